//! Floating-point numbers as text: C's `%.17g` for replies, strtod's grammar for arguments.

use box_wire::decimal::push_i64;

/// Whether `value` is a whole number that an i64 holds exactly.
fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 4_503_599_627_370_496.0;
    let fits = value > -EXACT && value < EXACT && value.fract() == 0.0;
    (fits && !(value == 0.0 && value.is_sign_negative())).then_some(value as i64)
}

/// Appends `value` as `%.17g` prints it; infinities are `inf` and `-inf`.
pub fn push(out: &mut Vec<u8>, value: f64) {
    match whole(value) {
        Some(whole) => push_i64(out, whole),
        None => push_digits(out, value, 17),
    }
}

/// Appends `value` as `%g` prints it with so many digits.
pub fn push_digits(out: &mut Vec<u8>, value: f64, precision: usize) {
    if value.is_nan() {
        return out.extend_from_slice(b"nan");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"inf" } else { b"-inf" });
    }
    // 17 significant digits are d.dddddddddddddddde±x, which %g shows plainly for -4 <= x < 17.
    let text = format!("{value:.*e}", precision - 1);
    let Some((mantissa, exponent)) = text.split_once('e') else { return };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value < 0.0 || (value == 0.0 && value.is_sign_negative()) {
        out.push(b'-');
    }
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0').as_bytes();
    let digits = if digits.is_empty() { &b"0"[..] } else { digits };
    if (-4..precision as i32).contains(&exponent) {
        push_plain(out, digits, exponent);
    } else {
        push_scientific(out, digits, exponent);
    }
}

fn push_plain(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent - 1) as usize, b'0');
        return out.extend_from_slice(digits);
    }
    let point = exponent as usize + 1;
    if digits.len() <= point {
        out.extend_from_slice(digits);
        out.resize(out.len() + point - digits.len(), b'0');
    } else {
        out.extend_from_slice(&digits[..point]);
        out.push(b'.');
        out.extend_from_slice(&digits[point..]);
    }
}

fn push_scientific(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    out.extend_from_slice(&digits[..1]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    out.extend_from_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
}

/// `value` as `%.17g` prints it.
pub fn text(value: f64) -> Vec<u8> {
    let mut out = Vec::with_capacity(24);
    push(&mut out, value);
    out
}

/// Parses as strtod does, but refuses NaN, white space in front, and what over- or underflows.
pub fn parse(text: &[u8]) -> Option<f64> {
    let text = str::from_utf8(text).ok()?;
    if text.starts_with(|c: char| c.is_ascii_whitespace()) {
        return None;
    }
    if let Some(value) = parse_hexadecimal(text) {
        return Some(value);
    }
    let value: f64 = text.parse().ok()?;
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    if value.is_nan() || (value.is_infinite() && digits) {
        return None;
    }
    let nonzero = || {
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
    };
    (value != 0.0 || !nonzero()).then_some(value)
}

/// `0x1f` and the like, which strtod takes too.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"))?;
    u64::from_str_radix(digits, 16).ok().map(|value| sign * value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_that_of_printf() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (0.1, "0.10000000000000001"),
            (-1.5, "-1.5"),
            (1e17, "1e+17"),
            (1e16, "10000000000000000"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (9.14, "9.1400000000000006"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(String::from_utf8(text(value)).unwrap(), expected);
        }
    }

    #[test]
    fn arguments_are_taken_as_strtod_takes_them() {
        assert_eq!(parse(b"+1e2"), Some(100.0));
        assert_eq!(parse(b".5"), Some(0.5));
        assert_eq!(parse(b"-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(parse(b"0x10"), Some(16.0));
        for bad in ["", " 1", "1 ", "nan", "1e400", "1e-400", "abc", "1x"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
