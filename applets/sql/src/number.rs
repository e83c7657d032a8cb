//! Numbers and text: SQLite's reading of a number at the start of a text, and its `%!.15g`.

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

/// A double as SQLite prints it (`%!.15g`).
pub fn real_to_text(value: f64) -> String {
    if let Some(text) = short_decimal(value) {
        return text;
    }
    general(value, 15, true)
}

/// The text of a double that is the nearest one to a decimal of up to four places and less than 15
/// digits (prices, measures): 15 digits give such a decimal back, so it need not be searched for.
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

/// `%g` with `precision` significant digits; `point` keeps a decimal point and a digit behind it.
pub fn general(value: f64, precision: usize, point: bool) -> String {
    if value.is_nan() {
        return String::new();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Inf".into() } else { "-Inf".into() };
    }
    let precision = precision.max(1);
    let scientific = format!("{value:.*e}", precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let negative = mantissa.starts_with('-') && value != 0.0;
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let mut out = String::with_capacity(24);
    if negative {
        out.push('-');
    }
    if exponent < -4 || exponent >= precision as i32 {
        let (first, rest) = digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() || point {
            out.push('.');
            out.push_str(if rest.is_empty() { "0" } else { rest });
        }
        out.push_str(&format!("e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()));
    } else if exponent < 0 {
        out.push_str("0.");
        (0..-exponent - 1).for_each(|_| out.push('0'));
        out.push_str(digits);
    } else {
        let whole = exponent as usize + 1;
        if digits.len() <= whole {
            out.push_str(digits);
            (digits.len()..whole).for_each(|_| out.push('0'));
            if point {
                out.push_str(".0");
            }
        } else {
            let (whole, fraction) = digits.split_at(whole);
            out.push_str(whole);
            out.push('.');
            out.push_str(fraction);
        }
    }
    out
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
            (1e15, "1.0e+15"),
            (123456789012345.0, "123456789012345.0"),
            (1e-5, "1.0e-05"),
            (0.0001, "0.0001"),
            (1e300, "1.0e+300"),
            (2.5e-10, "2.5e-10"),
            (0.1 + 0.2, "0.3"),
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
                assert_eq!(real_to_text(value), general(value, 15, true));
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
