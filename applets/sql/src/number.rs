//! Numbers and text: SQLite's reading of a number at the start of a text, and its `%f`, `%e`, `%g`.

use crate::decimal::Decimal;

/// What a text says as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer of 64 bits.
    Int(i64),
    /// Anything else.
    Real(f64),
}

/// A number at the start of a text.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    /// Its value; 0 where there is none.
    pub value: Number,
    /// Nothing but white space stands around it.
    pub whole: bool,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r')
}

/// Reads the longest number that `text` begins with, white space before it skipped.
pub fn prefix(text: &[u8]) -> Prefix {
    let byte = |i: usize| text.get(i).copied().unwrap_or(0);
    let digits = |mut i: usize| {
        while byte(i).is_ascii_digit() {
            i += 1;
        }
        i
    };
    let mut start = 0;
    while is_space(byte(start)) {
        start += 1;
    }
    let signed = start + usize::from(matches!(byte(start), b'+' | b'-'));
    let whole_end = digits(signed);
    let mut end = whole_end;
    let mut any = end > signed;
    let mut real = false;
    if byte(end) == b'.' {
        let fraction_end = digits(end + 1);
        if any || fraction_end > end + 1 {
            any = true;
            real = true;
            end = fraction_end;
        }
    }
    if any && matches!(byte(end), b'e' | b'E') {
        let exponent = end + 1 + usize::from(matches!(byte(end + 1), b'+' | b'-'));
        if byte(exponent).is_ascii_digit() {
            real = true;
            end = digits(exponent);
        }
    }
    if !any {
        return Prefix { value: Number::Int(0), whole: false };
    }
    let whole = text.get(end..).unwrap_or_default().iter().all(|b| is_space(*b));
    let text = text.get(start..end).unwrap_or_default();
    let value = if real { Number::Real(parse_real(text)) } else { integer_or_real(text) };
    Prefix { value, whole }
}

fn integer_or_real(text: &[u8]) -> Number {
    let digits = str::from_utf8(text).unwrap_or("0");
    digits.parse().map_or_else(|_| Number::Real(parse_real(text)), Number::Int)
}

/// The double nearest to a decimal text that is known to be one.
pub fn parse_real(text: &[u8]) -> f64 {
    str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

/// The integer that a double equals, where it does and where doubles are exact.
pub fn exact_int(value: f64) -> Option<i64> {
    let int = value as i64;
    let small = (-(1i64 << 51)..(1i64 << 51)).contains(&int);
    (value == int as f64 && small).then_some(int)
}

/// A double as an integer: cut towards zero, held at the ends of the range.
pub fn truncate(value: f64) -> i64 {
    value as i64
}

/// A double as SQLite prints it (`%!.17g`).
pub fn real_to_text(value: f64) -> String {
    short_decimal(value).unwrap_or_else(|| LONGEST.show(value))
}

/// `%!.17g`
const LONGEST: Style = Style {
    kind: Kind::General,
    precision: 17,
    bang: true,
    alternate: false,
    commas: false,
    upper: false,
    huge: false,
};

/// The text of a double that is the nearest one to a decimal of up to four places and less than 15
/// digits (prices, measures): 17 digits are cut to such a decimal, so it need not be searched for.
fn short_decimal(value: f64) -> Option<String> {
    let scaled = (value * 1e4).round();
    if scaled.abs() >= 1e14 || scaled / 1e4 != value || scaled == 0.0 {
        return None;
    }
    let units = scaled.abs() as u64;
    let (whole, mut places) = (units / 10_000, units % 10_000);
    let mut width = 4;
    while width > 1 && places.is_multiple_of(10) {
        places /= 10;
        width -= 1;
    }
    let mut buffer = [b'0'; 24];
    let mut at = buffer.len();
    let mut put = |mut number: u64, least: usize, end: Option<u8>| {
        let start = at;
        while number > 0 || start - at < least {
            at -= 1;
            buffer[at] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        if let Some(byte) = end {
            at -= 1;
            buffer[at] = byte;
        }
    };
    put(places, width, Some(b'.'));
    put(whole, 1, (value < 0.0).then_some(b'-'));
    Some(String::from_utf8_lossy(&buffer[at..]).into_owned())
}

/// Which of the conversions `%f`, `%e`, `%g`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Fixed,
    Exponential,
    General,
}

/// How a double is written, its width and its sign for positive numbers aside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    pub kind: Kind,
    pub precision: usize,
    /// `!`: up to 20 digits, and a digit behind the point always.
    pub bang: bool,
    /// `#`: the point always, and no sign for what is rounded to zero.
    pub alternate: bool,
    pub commas: bool,
    pub upper: bool,
    /// Infinity is spelled as a number.
    pub huge: bool,
}

impl Style {
    /// The text of a double.
    pub fn show(&self, value: f64) -> String {
        if value.is_nan() {
            return if self.huge { "null".into() } else { "NaN".into() };
        }
        if value.is_infinite() && !self.huge {
            return if value > 0.0 { "Inf".into() } else { "-Inf".into() };
        }
        let mut precision = self.precision.min(100_000_000) as i32;
        let round = match self.kind {
            Kind::Fixed => -precision,
            Kind::Exponential => precision + 1,
            Kind::General => {
                precision = precision.max(1);
                precision
            }
        };
        let value = if value.is_infinite() { f64::MAX.copysign(value) } else { value };
        let decimal = Decimal::of(value, round, if self.bang { 20 } else { 16 });
        let huge = self.huge && value.abs() == f64::MAX;
        let decimal = if huge { Decimal::of(9.0_f64.copysign(value), 1, 16) } else { decimal };
        let point = if huge { 1000 } else { decimal.point };
        let mut kind = self.kind;
        let mut trims = self.bang;
        if kind == Kind::General {
            precision -= 1;
            trims = !self.alternate;
            if point - 1 < -4 || point - 1 > precision {
                kind = Kind::Exponential;
            } else {
                precision -= point - 1;
                kind = Kind::Fixed;
            }
        }
        let mut out = String::with_capacity(24);
        if decimal.negative && !(self.alternate && decimal.is_zero()) {
            out.push('-');
        }
        self.digits(
            &decimal,
            if kind == Kind::Exponential { 1 } else { point },
            precision,
            trims,
            &mut out,
        );
        if kind == Kind::Exponential {
            let exponent = point - 1;
            out.push(if self.upper { 'E' } else { 'e' });
            out.push(if exponent < 0 { '-' } else { '+' });
            out.push_str(&format!("{:02}", exponent.abs()));
        }
        out
    }

    /// The digits with the point at `point`, `precision` of them behind it.
    fn digits(&self, decimal: &Decimal, point: i32, precision: i32, trims: bool, out: &mut String) {
        let mut next = 0;
        let mut take = |out: &mut String| {
            out.push(decimal.digit(next));
            next += 1;
        };
        if point <= 0 {
            out.push('0');
        }
        for left in (0..point).rev() {
            take(out);
            if self.commas && left > 0 && left % 3 == 0 {
                out.push(',');
            }
        }
        if precision <= 0 && !self.alternate && !self.bang {
            return;
        }
        out.push('.');
        for place in 0..precision {
            if place < -point { out.push('0') } else { take(out) }
        }
        if trims {
            out.truncate(out.trim_end_matches('0').len());
            if out.ends_with('.') {
                if self.bang {
                    out.push('0');
                } else {
                    out.pop();
                }
            }
        } else if self.bang && out.ends_with('.') {
            out.push('0');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_sqlite_prints_them() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.0, "0.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (123456789012345.0, "123456789012345.0"),
            (1e-5, "1.0e-05"),
            (0.0001, "0.0001"),
            (1e300, "1.0e+300"),
            (2.5e-10, "2.5e-10"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(real_to_text(value), text);
        }
    }

    #[test]
    fn short_decimals_are_what_the_long_way_gives() {
        let mut checked = 0;
        for n in (-3_000_000..3_000_000i64).step_by(997) {
            for scale in [1.0, 2.0, 4.0, 10.0, 100.0, 1000.0, 10_000.0, 3.0, 1e9] {
                let value = n as f64 / scale;
                checked += usize::from(short_decimal(value).is_some());
                assert_eq!(real_to_text(value), LONGEST.show(value));
            }
        }
        assert!(checked > 40_000, "{checked}");
    }

    #[test]
    fn the_longest_number_in_front_is_read() {
        assert_eq!(prefix(b" 12abc").value, Number::Int(12));
        assert_eq!(prefix(b"1e").value, Number::Int(1));
        assert_eq!(prefix(b".5 ").value, Number::Real(0.5));
        assert!(prefix(b".5 ").whole);
        assert!(!prefix(b"5x").whole);
        assert_eq!(prefix(b"9223372036854775808").value, Number::Real(9223372036854775808.0));
    }
}
