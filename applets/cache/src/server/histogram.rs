//! How long commands took: counts in buckets that grow with the time, so that a bucket is an eighth
//! of its power of two wide.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets of each power of two.
const PARTS: u32 = 8;
/// Powers of two that are told apart, from 2^9 ns on; what is longer goes to the last bucket.
const POWERS: u32 = 32;
const FIRST_POWER: u32 = 9;
const BUCKETS: usize = (PARTS * POWERS) as usize;

/// The counts of one worker, made when they are needed first.
#[derive(Default)]
pub struct Histogram(OnceLock<Box<[AtomicU64; BUCKETS]>>);

fn bucket(ns: u64) -> usize {
    let power = ns.max(1).ilog2();
    if power < FIRST_POWER {
        return 0;
    }
    let part = (ns >> (power - 3)) as u32 & (PARTS - 1);
    (((power - FIRST_POWER) * PARTS + part) as usize).min(BUCKETS - 1)
}

/// The longest time that a bucket counts, in ns.
fn top(bucket: usize) -> u64 {
    let (power, part) = (bucket as u32 / PARTS + FIRST_POWER, bucket as u64 % u64::from(PARTS));
    let step = 1u64 << (power - 3);
    (1u64 << power) + (part + 1) * step - 1
}

impl Histogram {
    /// Counts a time. Only the worker that owns it calls this.
    #[inline]
    pub fn add(&self, ns: u64) {
        let counts = self.0.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(0))));
        let count = &counts[bucket(ns)];
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Sets all counts to zero.
    pub fn reset(&self) {
        for count in self.0.get().into_iter().flat_map(|counts| counts.iter()) {
            count.store(0, Ordering::Relaxed);
        }
    }
}

/// The counts of all workers together.
pub struct Sum([u64; BUCKETS]);

impl Sum {
    /// Adds them up.
    pub fn of<'a>(all: impl Iterator<Item = &'a Histogram>) -> Sum {
        let mut sum = [0; BUCKETS];
        for counts in all.filter_map(|histogram| histogram.0.get()) {
            for (sum, count) in sum.iter_mut().zip(counts.iter()) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        Sum(sum)
    }

    /// All counted times.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The time that this share of all stays within, in ns.
    pub fn percentile(&self, percent: f64) -> u64 {
        let wanted = (self.count() as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (number, count) in self.0.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return top(number);
            }
        }
        0
    }

    /// Powers of two in ns from 1024 on, each with how many times stayed within it; only those
    /// where the number grows.
    pub fn powers(&self) -> Vec<(u64, u64)> {
        let (mut seen, mut shown, mut powers) = (0, 0, Vec::new());
        for (number, count) in self.0.iter().enumerate() {
            seen += count;
            let last = number as u32 % PARTS == PARTS - 1;
            if last && seen > shown && count_is_due(number) {
                powers.push((top(number) + 1, seen));
                shown = seen;
            }
        }
        powers
    }
}

/// Times below 1024 ns are one bucket.
fn count_is_due(bucket: usize) -> bool {
    top(bucket) >= 1023
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_again() {
        let histogram = Histogram::default();
        for us in 1..=1000u64 {
            histogram.add(us * 1000);
        }
        let sum = Sum::of([&histogram].into_iter());
        assert_eq!(sum.count(), 1000);
        let half = sum.percentile(50.0);
        assert!((440_000..580_000).contains(&half), "{half}");
        assert_eq!(sum.powers().first(), Some(&(1024, 1)));
        assert_eq!(sum.powers().last().map(|(_, seen)| *seen), Some(1000));
    }

    #[test]
    fn every_bucket_ends_where_the_next_begins() {
        for number in 0..BUCKETS - 1 {
            assert_eq!(bucket(top(number)), number);
            assert_eq!(bucket(top(number) + 1), number + 1);
        }
    }
}
