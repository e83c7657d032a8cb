//! The x87 extended number in which the incumbents compute INCRBYFLOAT and HINCRBYFLOAT: 64 bits of
//! mantissa, printed by `%.17Lf` without trailing zeros. Emulated with exact integers, as results
//! differ visibly from those of 53 bits.

/// `mantissa * 2^exponent`, the mantissa having at most 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    mantissa: u64,
    exponent: i32,
}

/// Why a sum has no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Infinite;

/// Digits of text that are taken: what is longer is no number that anybody wrote by hand.
const TEXT_MAX: usize = 5 * 1024;
/// The largest exponent of ten whose value fits.
const TEN_MAX: i64 = 4933;

impl LongDouble {
    /// Parses decimal text: sign, digits, point, exponent. Infinities and NaN are refused.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.is_empty() || text.len() > TEXT_MAX {
            return None;
        }
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let split = rest.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, exponent) = match split {
            Some(at) => {
                let exponent = str::from_utf8(&rest[at + 1..]).ok()?.parse::<i64>().ok()?;
                (&rest[..at], exponent)
            }
            None => (rest, 0),
        };
        let mut digits = Big::zero();
        let (mut scale, mut seen_point, mut count) = (exponent, false, 0);
        for &byte in mantissa {
            match byte {
                b'.' if !seen_point => seen_point = true,
                b'0'..=b'9' => {
                    digits.mul_add(10, u32::from(byte - b'0'));
                    scale -= i64::from(seen_point);
                    count += 1;
                }
                _ => return None,
            }
        }
        if count == 0 {
            return None;
        }
        if digits.is_zero() {
            return Some(LongDouble { negative, mantissa: 0, exponent: 0 });
        }
        if scale + count > TEN_MAX || scale < -TEN_MAX - 5000 {
            return None;
        }
        Some(LongDouble { negative, ..LongDouble::from_decimal(digits, scale) })
    }

    /// A whole number, exactly.
    pub fn from_int(value: i64) -> LongDouble {
        LongDouble { negative: value < 0, mantissa: value.unsigned_abs(), exponent: 0 }
    }

    /// `digits * 10^scale`, rounded to 64 bits.
    fn from_decimal(mut digits: Big, scale: i64) -> LongDouble {
        if scale >= 0 {
            (0..scale).for_each(|_| digits.mul_add(10, 0));
            return LongDouble::round(&digits, 0, false);
        }
        let mut divisor = Big::one();
        (0..-scale).for_each(|_| divisor.mul_add(10, 0));
        // Shifted so that the quotient has at least 66 bits; the remainder is a sticky bit.
        let shift = (divisor.bits() as i64 - digits.bits() as i64 + 66).max(0) as usize;
        digits.shift_left(shift);
        let (quotient, exact) = digits.divide(&divisor);
        LongDouble::round(&quotient, -(shift as i32), !exact)
    }

    /// `value * 2^exponent` to nearest, ties to even; `sticky` says that a bit was lost below.
    fn round(value: &Big, exponent: i32, sticky: bool) -> LongDouble {
        let excess = value.bits().saturating_sub(64);
        let mut mantissa = value.top(excess);
        let mut exponent = exponent + excess as i32;
        if excess > 0 {
            let half = value.bit(excess - 1);
            let below = sticky || value.any_below(excess - 1);
            if half && (below || mantissa & 1 == 1) {
                let (next, carry) = mantissa.overflowing_add(1);
                mantissa = if carry { 1 << 63 } else { next };
                exponent += i32::from(carry);
            }
        }
        LongDouble { negative: false, mantissa, exponent }
    }

    /// The sum, rounded.
    pub fn add(self, other: LongDouble) -> LongDouble {
        if self.mantissa == 0 {
            return other;
        }
        if other.mantissa == 0 {
            return self;
        }
        let low = self.exponent.min(other.exponent);
        let wide = |number: LongDouble| {
            let mut big = Big::from(number.mantissa);
            big.shift_left((number.exponent - low) as usize);
            big
        };
        let (a, b) = (wide(self), wide(other));
        let (sum, negative) = if self.negative == other.negative {
            (a.plus(&b), self.negative)
        } else if a.is_less(&b) {
            (b.minus(&a), other.negative)
        } else {
            (a.minus(&b), self.negative)
        };
        if sum.is_zero() {
            return LongDouble { negative: false, mantissa: 0, exponent: 0 };
        }
        LongDouble { negative, ..LongDouble::round(&sum, low, false) }
    }

    /// `%.17Lf` without trailing zeros, and without `-` in front of a zero.
    ///
    /// # Errors
    /// The number is beyond the format's range.
    pub fn text(self) -> Result<Vec<u8>, Infinite> {
        if i64::from(self.exponent) + 64 > 16_384 {
            return Err(Infinite);
        }
        // value * 10^17, rounded to a whole number.
        let mut scaled = Big::from(self.mantissa);
        (0..17).for_each(|_| scaled.mul_add(10, 0));
        if self.exponent >= 0 {
            scaled.shift_left(self.exponent as usize);
        } else {
            scaled.round_shift_right(self.exponent.unsigned_abs() as usize);
        }
        let digits = scaled.decimal();
        let digits = format!("{digits:0>18}");
        let (whole, fraction) = digits.split_at(digits.len() - 17);
        let fraction = fraction.trim_end_matches('0');
        let mut text = String::new();
        if self.negative && (whole != "0" || !fraction.is_empty()) {
            text.push('-');
        }
        text.push_str(whole);
        if !fraction.is_empty() {
            text.push('.');
            text.push_str(fraction);
        }
        Ok(text.into_bytes())
    }
}

/// A whole number of any size: little-endian limbs of 32 bits, without zeros at the top.
#[derive(Clone, Debug)]
struct Big(Vec<u32>);

impl Big {
    fn zero() -> Big {
        Big(Vec::new())
    }

    fn one() -> Big {
        Big(vec![1])
    }

    fn from(value: u64) -> Big {
        Big(vec![value as u32, (value >> 32) as u32]).trimmed()
    }

    fn trimmed(mut self) -> Big {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    fn bit(&self, at: usize) -> bool {
        self.0.get(at / 32).is_some_and(|limb| limb >> (at % 32) & 1 == 1)
    }

    fn any_below(&self, at: usize) -> bool {
        (0..at).any(|bit| self.bit(bit))
    }

    /// The 64 bits from bit `from` on.
    fn top(&self, from: usize) -> u64 {
        (0..64).fold(0, |value, bit| value | u64::from(self.bit(from + bit)) << bit)
    }

    fn mul_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn shift_left(&mut self, bits: usize) {
        if self.is_zero() {
            return;
        }
        (0..bits % 32).for_each(|_| self.mul_add(2, 0));
        self.0.splice(0..0, std::iter::repeat_n(0, bits / 32));
    }

    /// Divides by `2^bits`, to nearest, ties to even.
    fn round_shift_right(&mut self, bits: usize) {
        if bits == 0 {
            return;
        }
        let up = self.bit(bits - 1) && (self.any_below(bits - 1) || self.bit(bits));
        let limbs = self.0.len() * 32;
        let kept = (bits..limbs).step_by(32).map(|from| self.top(from) as u32).collect();
        *self = Big(kept).trimmed();
        if up {
            *self = self.plus(&Big::one());
        }
    }

    fn plus(&self, other: &Big) -> Big {
        let len = self.0.len().max(other.0.len()) + 1;
        let limb = |big: &Big, at: usize| u64::from(big.0.get(at).copied().unwrap_or(0));
        let mut carry = 0;
        let sum = (0..len).map(|at| {
            carry += limb(self, at) + limb(other, at);
            let low = carry as u32;
            carry >>= 32;
            low
        });
        Big(sum.collect()).trimmed()
    }

    /// `self - other`, which must not be negative.
    fn minus(&self, other: &Big) -> Big {
        let mut borrow = 0i64;
        let difference = self.0.iter().enumerate().map(|(at, limb)| {
            let value =
                i64::from(*limb) - i64::from(other.0.get(at).copied().unwrap_or(0)) + borrow;
            borrow = value >> 32;
            value as u32
        });
        Big(difference.collect()).trimmed()
    }

    fn is_less(&self, other: &Big) -> bool {
        let by_len = self.0.len().cmp(&other.0.len());
        by_len.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())).is_lt()
    }

    /// Quotient, and whether nothing is left. Bit by bit: this is not a hot path.
    fn divide(&self, divisor: &Big) -> (Big, bool) {
        let (mut quotient, mut rest) = (vec![0u32; self.0.len()], Big::zero());
        for bit in (0..self.bits()).rev() {
            rest.mul_add(2, u32::from(self.bit(bit)));
            rest = rest.trimmed();
            if !rest.is_less(divisor) {
                rest = rest.minus(divisor);
                quotient[bit / 32] |= 1 << (bit % 32);
            }
        }
        (Big(quotient).trimmed(), rest.is_zero())
    }

    fn decimal(&self) -> String {
        let mut limbs = self.0.clone();
        let mut digits = Vec::new();
        while limbs.iter().any(|limb| *limb != 0) {
            let mut rest = 0u64;
            for limb in limbs.iter_mut().rev() {
                let value = rest << 32 | u64::from(*limb);
                *limb = (value / 1_000_000_000) as u32;
                rest = value % 1_000_000_000;
            }
            digits.push(rest);
        }
        let mut text = String::new();
        for (number, part) in digits.iter().rev().enumerate() {
            text += &if number == 0 { format!("{part}") } else { format!("{part:09}") };
        }
        if text.is_empty() { "0".into() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).unwrap();
        String::from_utf8(parse(a).add(parse(b)).text().unwrap()).unwrap()
    }

    #[test]
    fn sums_are_those_of_the_incumbent() {
        assert_eq!(sum("3", "1.1"), "4.1");
        assert_eq!(sum("0.1", "0.2"), "0.3");
        assert_eq!(sum("10.5", "0.1"), "10.6");
        assert_eq!(sum("5.0e3", "2.0e2"), "5200");
        assert_eq!(sum("1", "-1.1"), "-0.1");
        assert_eq!(sum("17179869184", "1.5"), "17179869185.5");
        assert_eq!(sum("0", "1e-18"), "0");
        // Beyond 64 binary digits the one is lost.
        assert_eq!(sum("1e20", "1"), "100000000000000000000");
    }

    #[test]
    fn only_decimal_numbers_are_taken() {
        for bad in ["", "-", ".", "abc", "1x", "inf", "nan", "1e99999", " 1"] {
            assert_eq!(LongDouble::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
