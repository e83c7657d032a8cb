//! Latencies in microseconds, and their distribution.

/// Latencies, kept with three significant digits above 8 µs.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Sorted once [`Histogram::close`] has been called.
    values: Vec<u32>,
}

/// The largest value that is not told from `us`.
fn rounded(us: u32) -> u32 {
    let unit = 8u32 << (32 - (us >> 3).leading_zeros()).saturating_sub(11);
    us | (unit - 1)
}

impl Histogram {
    /// Adds a latency.
    pub fn add(&mut self, us: u128) {
        self.values.push(u32::try_from(us).unwrap_or(u32::MAX));
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: Histogram) {
        self.values.extend(other.values);
    }

    /// Ends adding.
    pub fn close(&mut self) {
        self.values.sort_unstable();
    }

    fn at(&self, index: usize) -> u32 {
        self.values.get(index.min(self.values.len().saturating_sub(1))).copied().unwrap_or(0)
    }

    /// The latency that this share (in percent) does not exceed, in ms.
    pub fn percentile(&self, percent: f64) -> f64 {
        let index = (percent / 100.0 * self.values.len() as f64).ceil().max(1.0) as usize - 1;
        f64::from(rounded(self.at(index))) / 1000.0
    }

    /// The mean, in ms.
    pub fn mean(&self) -> f64 {
        let sum: f64 = self.values.iter().map(|us| f64::from(*us)).sum();
        sum / self.values.len().max(1) as f64 / 1000.0
    }

    /// The least, in ms.
    pub fn min(&self) -> f64 {
        f64::from(self.at(0) & !7) / 1000.0
    }

    /// The most, in ms.
    pub fn max(&self) -> f64 {
        f64::from(rounded(self.at(usize::MAX))) / 1000.0
    }

    /// How many do not exceed `ms`.
    pub fn count_up_to(&self, ms: f64) -> usize {
        self.values.partition_point(|us| f64::from(rounded(*us)) <= ms * 1000.0 + 0.5)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_values() {
        let mut histogram = Histogram::default();
        (1..=1000).rev().for_each(|us| histogram.add(us));
        histogram.close();
        assert_eq!(histogram.percentile(50.0), 0.503);
        assert_eq!(histogram.max(), 1.007);
        assert_eq!(histogram.count_up_to(0.103), 103);
    }
}
