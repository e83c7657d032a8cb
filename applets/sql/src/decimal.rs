//! Doubles as decimal digits, the way SQLite has made them since 3.52: 18 digits by one
//! multiplication with a power of ten of 64 bits, then rounded in decimal. The last digit may differ
//! from the exact one, so the arithmetic is kept to the bit; the method is that of Russ Cox's
//! "unrounded scaling".

/// `10^(27 k)` for k from -13 to 12, as 64 bits and the 32 behind them; `10^-1` stands for k = 0,
/// whose powers are exact in [`exact_power`].
const SCALE: [(u64, u32); 26] = [
    (0x8049a4ac0c5811ae, 0x205b896d),
    (0xcf42894a5dce35ea, 0x52064cac),
    (0xa76c582338ed2621, 0xaf2af2b8),
    (0x873e4f75e2224e68, 0x5a7744a6),
    (0xda7f5bf590966848, 0xaf39a475),
    (0xb080392cc4349dec, 0xbd8d794d),
    (0x8e938662882af53e, 0x547eb47b),
    (0xe65829b3046b0afa, 0x0cb4a5a3),
    (0xba121a4650e4ddeb, 0x92f34d62),
    (0x964e858c91ba2655, 0x3a6a07f8),
    (0xf2d56790ab41c2a2, 0xfae27299),
    (0xc428d05aa4751e4c, 0xaa97e14c),
    (0x9e74d1b791e07e48, 0x775ea264),
    (0xcccccccccccccccc, 0xcccccccc),
    (0xcecb8f27f4200f3a, 0x00000000),
    (0xa70c3c40a64e6c51, 0x999090b6),
    (0x86f0ac99b4e8dafd, 0x69a028bb),
    (0xda01ee641a708de9, 0xe80e6f48),
    (0xb01ae745b101e9e4, 0x5ec05dcf),
    (0x8e41ade9fbebc27d, 0x14588f13),
    (0xe5d3ef282a242e81, 0x8f1668c8),
    (0xb9a74a0637ce2ee1, 0x6d953e2b),
    (0x95f83d0a1fb69cd9, 0x4abdaf10),
    (0xf24a01a73cf2dccf, 0xbc633b39),
    (0xc3b8358109e84f07, 0x0a862f80),
    (0x9e19db92b4e31ba9, 0x6c07a2c2),
];

/// A decoded double.
#[derive(Clone, Debug, PartialEq)]
pub struct Decimal {
    /// The value is below zero.
    pub negative: bool,
    /// The significant digits, without zeros at the end; empty for what is not finite.
    digits: Vec<u8>,
    /// How many of them stand before the decimal point.
    pub point: i32,
}

/// `10^p` for p from 0 to 26, its highest bit set.
fn exact_power(p: i32) -> u64 {
    let power = 10u128.pow(p as u32);
    let zeros = power.leading_zeros();
    ((power << zeros) >> 64) as u64
}

/// The first 64 bits of `10^p`.
fn power(p: i32) -> u64 {
    if (0..27).contains(&p) {
        return exact_power(p);
    }
    if p == -1 {
        return SCALE[13].0;
    }
    let (group, rest) = (p.div_euclid(27), p.rem_euclid(27));
    let (high, low) = SCALE[(group + 13).clamp(0, 25) as usize];
    if rest == 0 {
        return high;
    }
    let base = u128::from(exact_power(rest));
    let product = u128::from(high) * base + ((u128::from(low) * base) >> 32);
    let (high, low) = ((product >> 64) as u64, (product >> 32) as u32);
    if high >> 63 == 1 { high } else { (high << 1) | u64::from(low >> 31) }
}

/// `floor(log2(10^p))`
fn log2_of_power10(p: i32) -> i32 {
    (p * 108_853) >> 15
}

/// `floor(log10(2^p))`
fn log10_of_power2(p: i32) -> i32 {
    (p * 78_913) >> 18
}

/// `mantissa * 2^exponent` as an integer of at least `count` digits and a power of ten.
fn scaled(mantissa: u64, exponent: i32, count: i32) -> (u64, i32) {
    let p = count - 1 - log10_of_power2(exponent + 63);
    let high = ((u128::from(mantissa) * u128::from(power(p))) >> 64) as u64;
    let shift = -(exponent + log2_of_power10(p) + 2);
    let right = |by: i32| high.checked_shr(by.max(0) as u32).unwrap_or(0);
    if count == 18 {
        let high = right(shift);
        return (high.wrapping_add((high << 1) & 2) >> 1, -p);
    }
    (right(shift + 1), -p)
}

impl Decimal {
    /// Decodes a double, rounded to `round` significant digits, or to `-round` behind the point
    /// where that is not positive; never more than `most` digits.
    pub fn of(value: f64, round: i32, most: i32) -> Decimal {
        let zero = Decimal { negative: false, digits: vec![b'0'], point: 1 };
        if value == 0.0 {
            return zero;
        }
        let negative = value < 0.0;
        if !value.is_finite() {
            return Decimal { negative, digits: vec![], point: 0 };
        }
        let bits = value.abs().to_bits();
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, exponent) = match (bits >> 52) as i32 {
            0 => {
                let zeros = fraction.leading_zeros();
                (fraction << zeros, -1074 - zeros as i32)
            }
            biased => ((fraction << 11) | (1 << 63), biased - 1086),
        };
        let count = if (1..18).contains(&round) { round + 1 } else { 18 };
        let (whole, power) = scaled(mantissa, exponent, count);
        if whole == 0 {
            return zero;
        }
        let digits = whole.to_string().into_bytes();
        let point = digits.len() as i32 + power;
        let mut decimal = Decimal { negative, digits, point };
        decimal.round(round, most, value.abs());
        while decimal.digits.len() > 1 && decimal.digits.last() == Some(&b'0') {
            decimal.digits.pop();
        }
        decimal
    }

    fn round(&mut self, round: i32, most: i32, value: f64) {
        let mut keep = round;
        if keep <= 0 {
            keep = self.point.saturating_sub(keep);
            if keep == 0 && self.digits[0] >= b'5' {
                keep = 1;
                self.digits.insert(0, b'0');
                self.point += 1;
            }
        }
        let count = self.digits.len() as i32;
        if keep <= 0 {
            (self.digits, self.point) = (vec![b'0'], 1);
            return;
        }
        if keep >= count && count <= most {
            return;
        }
        keep = keep.min(most);
        if keep == 17 {
            keep = self.shorter(value).unwrap_or(keep);
        }
        let up = self.digits.get(keep as usize).is_some_and(|digit| *digit >= b'5');
        self.digits.truncate(keep as usize);
        if up {
            self.increment();
        }
    }

    fn increment(&mut self) {
        for digit in self.digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        self.digits.insert(0, b'1');
        self.point += 1;
    }

    /// Of 17 digits fewer are kept where the digits look as if a shorter number was meant, nines or
    /// zeros at the end, and that number reads back as the same double.
    fn shorter(&self, value: f64) -> Option<i32> {
        let digits = &self.digits;
        let at = |n: usize| digits.get(n).copied().unwrap_or(b'0');
        let nines = at(14) == b'9' && at(15) == b'9';
        let whole = self.point >= digits.len() as i32;
        let mut keep = if nines {
            14
        } else if whole || [13, 14, 15].iter().all(|n| at(*n) == b'0') {
            13
        } else {
            return None;
        };
        let filler = if nines { b'9' } else { b'0' };
        while keep > 0 && at(keep - 1) == filler {
            keep -= 1;
        }
        let text = str::from_utf8(digits.get(..keep)?).ok()?;
        let number = text.parse().unwrap_or(0u64) + u64::from(nines);
        let exponent = self.point - keep as i32;
        let again: f64 = format!("{number}e{exponent}").parse().ok()?;
        (again == value).then_some(keep as i32 + 1)
    }

    /// Whether all its digits are zeros.
    pub fn is_zero(&self) -> bool {
        self.digits == b"0"
    }

    /// The digit at `n`, zeros behind the last.
    pub fn digit(&self, n: usize) -> char {
        self.digits.get(n).map_or('0', |digit| char::from(*digit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(value: f64, round: i32, most: i32) -> (String, i32) {
        let decimal = Decimal::of(value, round, most);
        (String::from_utf8_lossy(&decimal.digits).into_owned(), decimal.point)
    }

    #[test]
    fn seventeen_digits_are_shortened_where_a_shorter_number_was_meant() {
        assert_eq!(digits(0.1, 17, 20), ("1".into(), 0));
        assert_eq!(digits(49.47, 17, 20), ("4947".into(), 2));
        assert_eq!(digits(0.1 + 0.2, 17, 20), ("30000000000000004".into(), 0));
        assert_eq!(digits(1.0 / 3.0, 17, 20), ("33333333333333332".into(), 0));
        assert_eq!(digits(5e-324, 17, 20), ("49406564584124654".into(), -323));
        assert_eq!(digits(f64::MAX, 17, 20), ("17976931348623157".into(), 309));
    }

    #[test]
    fn places_behind_the_point() {
        assert_eq!(digits(2.675, -2, 16), ("267".into(), 1));
        assert_eq!(digits(0.5, 0, 16), ("1".into(), 1));
        assert_eq!(digits(0.4, 0, 16), ("0".into(), 1));
        assert_eq!(digits(9.99, -1, 16), ("1".into(), 2));
    }
}
