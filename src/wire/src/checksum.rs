//! The Internet checksum (RFC 1071).

/// A running sum of 16-bit words in network order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checksum(u64);

impl Checksum {
    /// Nothing summed yet.
    pub fn new() -> Checksum {
        Checksum(0)
    }

    /// Adds `bytes`; an odd last byte counts as the upper half of a word, so only the last part
    /// may have an odd length.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Checksum {
        let mut sum = self.0;
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            sum += u64::from(u32::from_be_bytes(*word));
        }
        match *rest {
            [a] => sum += u64::from(a) << 8,
            [a, b] => sum += u64::from(u16::from_be_bytes([a, b])),
            [a, b, c] => sum += u64::from(u16::from_be_bytes([a, b])) + (u64::from(c) << 8),
            _ => {}
        }
        Checksum(sum)
    }

    /// Adds one word.
    #[must_use]
    pub fn word(self, word: u16) -> Checksum {
        Checksum(self.0 + u64::from(word))
    }

    /// The complement of the sum: 0 for data whose checksum field is right.
    pub fn finish(self) -> u16 {
        !fold(self.0)
    }
}

/// What the checksum field should hold when it holds `found` and the sum over all is `computed`.
pub fn should_be(found: u16, computed: u16) -> u16 {
    fold(u64::from(found) + u64::from(computed))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_holds() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Checksum::new().with(&data).finish(), !0xddf2);
    }

    #[test]
    fn a_wrong_field_is_told_what_it_should_be() {
        let mut data = [0x45, 0, 0, 20, 0, 0, 0x12, 0x34];
        let computed = Checksum::new().with(&data).finish();
        let right = should_be(0x1234, computed);
        data[6..].copy_from_slice(&right.to_be_bytes());
        assert_eq!(Checksum::new().with(&data).finish(), 0);
    }

    #[test]
    fn odd_lengths_pad_with_zero() {
        for len in 0..9 {
            let data = [1, 2, 3, 4, 5, 6, 7, 8, 9];
            let mut padded = data[..len].to_vec();
            padded.resize(16, 0);
            let left = Checksum::new().with(&data[..len]).finish();
            assert_eq!(left, Checksum::new().with(&padded).finish(), "{len}");
        }
    }
}
