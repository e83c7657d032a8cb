//! Text without the formatting machinery: values append themselves to one reused `Vec<u8>`.
//!
//! `fmt` costs a virtual call, a parse of the format and a UTF-8 check per field; a line of a capture
//! has twenty fields. Here each value knows how to write itself ([`Put`]), and `put!` writes a row
//! of values after all of them have been computed, so that a field that is cut off leaves no half
//! of its line behind.

pub mod address;
pub mod dump;

/// A value that can append itself.
pub trait Put {
    /// Appends the value to `out`.
    fn put(&self, out: &mut Vec<u8>);
}

impl Put for str {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Put for String {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl<T: Put + ?Sized> Put for &T {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
}

impl<T: Put> Put for Option<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.put(out);
        }
    }
}

impl Put for char {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

macro_rules! put_integers {
    ($($kind:ty),+) => {$(
        impl Put for $kind {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
            }
        }
    )+};
}
put_integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

/// `%x`
#[derive(Clone, Copy, Debug)]
pub struct Hex<T>(pub T);

/// `%0Nx` with N digits at least.
#[derive(Clone, Copy, Debug)]
pub struct HexN<T>(pub T, pub usize);

/// `%0Nu` with N digits at least.
#[derive(Clone, Copy, Debug)]
pub struct DecN<T>(pub T, pub usize);

/// Bytes as two digits each, nothing between.
#[derive(Clone, Copy, Debug)]
pub struct HexBytes<'a>(pub &'a [u8]);

/// Raw bytes as they are.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(pub &'a [u8]);

/// Bytes with what is not printable shown as `^X` and `M-x`, as `cat -v` does.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'a>(pub &'a [u8]);

/// The lower-case digits.
pub(crate) const DIGITS: &[u8; 16] = b"0123456789abcdef";

pub(crate) const fn hex_pairs() -> [[u8; 2]; 256] {
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    table
}

/// Two digits of each byte.
pub(crate) static HEX_PAIRS: [[u8; 2]; 256] = hex_pairs();

#[inline]
pub(crate) fn hex_pair(byte: u8) -> [u8; 2] {
    HEX_PAIRS[usize::from(byte)]
}

fn hex(out: &mut Vec<u8>, value: u64, least: usize) {
    let digits = (64 - value.leading_zeros() as usize).div_ceil(4).max(least).max(1);
    for place in (0..digits).rev() {
        let digit = if place < 16 { value >> (4 * place) & 15 } else { 0 };
        out.push(DIGITS[digit as usize]);
    }
}

impl<T: Copy + Into<u64>> Put for Hex<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        hex(out, self.0.into(), 1);
    }
}

impl<T: Copy + Into<u64>> Put for HexN<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        hex(out, self.0.into(), self.1);
    }
}

impl<T: Copy + Into<u64>> Put for DecN<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(self.0.into());
        for _ in digits.len()..self.1 {
            out.push(b'0');
        }
        out.extend_from_slice(digits.as_bytes());
    }
}

/// `%.3f`; the formatting machinery knows how to round.
#[derive(Clone, Copy, Debug)]
pub struct Fixed3(pub f64);

impl Put for Fixed3 {
    fn put(&self, out: &mut Vec<u8>) {
        use std::io::Write;
        // Writing into a vector cannot fail.
        let _ = if self.0.is_nan() {
            write!(out, "{}nan", if self.0.is_sign_negative() { "-" } else { "" })
        } else {
            write!(out, "{:.3}", self.0)
        };
    }
}

/// A value in a column of at least so many bytes, at its right end.
#[derive(Clone, Copy, Debug)]
pub struct Right<T>(pub T, pub usize);

impl<T: Put> Put for Right<T> {
    fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.0.put(out);
        let len = out.len() - start;
        if let Some(missing) = self.1.checked_sub(len) {
            out.resize(out.len() + missing, b' ');
            out.copy_within(start..start + len, start + missing);
            out[start..start + missing].fill(b' ');
        }
    }
}

/// A value in a column of at least so many bytes, at its left end.
#[derive(Clone, Copy, Debug)]
pub struct Left<T>(pub T, pub usize);

impl<T: Put> Put for Left<T> {
    fn put(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.1;
        self.0.put(out);
        if out.len() < end {
            out.resize(end, b' ');
        }
    }
}

impl Put for HexBytes<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        for byte in self.0 {
            out.extend_from_slice(&hex_pair(*byte));
        }
    }
}

impl Put for Raw<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

impl Put for Visible<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        for byte in self.0 {
            visible(out, *byte);
        }
    }
}

/// One byte of [`Visible`].
#[inline]
pub fn visible(out: &mut Vec<u8>, byte: u8) {
    let mut byte = byte;
    if byte >= 0x80 {
        out.extend_from_slice(b"M-");
        byte &= 0x7f;
    }
    if !(0x20..0x7f).contains(&byte) {
        out.push(b'^');
        byte ^= 0x40;
    }
    out.push(byte);
}

macro_rules! put_tuples {
    ($(($($name:ident $index:tt),+))+) => {$(
        impl<$($name: Put),+> Put for ($($name,)+) {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$index.put(out);)+
            }
        }
    )+};
}
put_tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13)
}

/// Names of numbers, sorted or not; looked up in order.
pub type Names = &'static [(u32, &'static str)];

/// The name of `value`, if the table has it.
#[inline]
pub fn name_of(table: Names, value: u32) -> Option<&'static str> {
    table.iter().find(|row| row.0 == value).map(|row| row.1)
}

/// The name of a number, or text before, the number in decimal, and text behind.
#[derive(Clone, Copy, Debug)]
pub struct Named(pub Names, pub u32, pub &'static str, pub &'static str);

impl Put for Named {
    fn put(&self, out: &mut Vec<u8>) {
        match name_of(self.0, self.1) {
            Some(name) => name.put(out),
            None => (self.2, self.1, self.3).put(out),
        }
    }
}

/// As [`Named`], with the number in hexadecimal of at least so many digits.
#[derive(Clone, Copy, Debug)]
pub struct NamedHex(pub Names, pub u32, pub &'static str, pub usize, pub &'static str);

impl Put for NamedHex {
    fn put(&self, out: &mut Vec<u8>) {
        match name_of(self.0, self.1) {
            Some(name) => name.put(out),
            None => (self.2, HexN(self.1, self.3), self.4).put(out),
        }
    }
}

/// The name of a number, or a fixed word.
pub fn name_or(table: Names, value: u32, unknown: &'static str) -> &'static str {
    name_of(table, value).unwrap_or(unknown)
}

/// The names of the bits that are set, with a separator, or a word when none is named.
#[derive(Clone, Copy, Debug)]
pub struct Bits(pub Names, pub u32, pub &'static str, pub &'static str);

impl Put for Bits {
    fn put(&self, out: &mut Vec<u8>) {
        let mut any = false;
        for (mask, name) in self.0 {
            if *mask != 0 && self.1 & mask == *mask {
                if any {
                    self.2.put(out);
                }
                name.put(out);
                any = true;
            }
        }
        if !any {
            self.3.put(out);
        }
    }
}

/// Seconds as weeks, days, hours...: `1y2w3d4h5m6s`, parts that are 0 left out.
#[derive(Clone, Copy, Debug)]
pub struct Duration(pub u32);

impl Put for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = self.0;
        if rest == 0 {
            "0s".put(out);
        }
        for (unit, name) in
            [(31_536_000, "y"), (604_800, "w"), (86_400, "d"), (3600, "h"), (60, "m"), (1, "s")]
        {
            if rest >= unit {
                (rest / unit, name).put(out);
                rest %= unit;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl Put) -> String {
        let mut out = Vec::new();
        value.put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_printf_writes_them() {
        assert_eq!(text(Hex(0u8)), "0");
        assert_eq!(text(Hex(0xdead_beefu32)), "deadbeef");
        assert_eq!(text(HexN(0xau8, 4)), "000a");
        assert_eq!(text(HexN(0x12345u32, 4)), "12345");
        assert_eq!(text(DecN(7u8, 3)), "007");
        assert_eq!(text((1u8, " ", -2i32)), "1 -2");
    }

    #[test]
    fn what_is_not_printable_is_made_visible() {
        assert_eq!(text(Visible(b"a\x00\x7f\xe9\x80")), "a^@^?M-iM-^@");
    }

    #[test]
    fn names_fall_back_to_numbers() {
        const TABLE: Names = &[(1, "one"), (2, "two")];
        assert_eq!(text(Named(TABLE, 2, "#", "")), "two");
        assert_eq!(text(Named(TABLE, 9, "(", ")")), "(9)");
        assert_eq!(text(Bits(TABLE, 3, ", ", "none")), "one, two");
        assert_eq!(text(Bits(TABLE, 4, ", ", "none")), "none");
        assert_eq!(text(Duration(2_147_483_648)), "68y5w3h14m8s");
    }
}
