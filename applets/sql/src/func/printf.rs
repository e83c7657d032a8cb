//! `printf()`: the conversions of SQLite's formatter, and `quote()`.

use crate::error::Result;
use crate::number;
use crate::value::{Value, check_length};

/// Bytes as upper-case hex digits.
pub fn hex_of(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    bytes.iter().flat_map(|b| [DIGITS[(b >> 4) as usize], DIGITS[(b & 15) as usize]]).collect()
}

/// Text as an SQL string literal.
pub fn sql_quote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    out.push(b'\'');
    for &byte in text {
        if byte == b'\'' {
            out.push(b'\'');
        }
        out.push(byte);
    }
    out.push(b'\'');
    out
}

/// A value as an SQL literal.
pub fn quote(value: &Value<'_>) -> Vec<u8> {
    match value {
        Value::Null => b"NULL".to_vec(),
        Value::Int(v) => v.to_string().into_bytes(),
        Value::Real(v) => quote_real(*v).into_bytes(),
        Value::Text(v) => {
            let end = memchr::memchr(0, v).unwrap_or(v.len());
            sql_quote(&v[..end])
        }
        Value::Blob(v) => [b"X'", &*hex_of(v), b"'"].concat(),
    }
}

/// A double so that it reads back as the same.
fn quote_real(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "9.0e+999".into() } else { "-9.0e+999".into() };
    }
    number::real_to_text(value)
}

/// Whether a text has control characters, which `unistr()` spells.
fn needs_unistr(text: &[u8]) -> bool {
    text.iter().any(|byte| *byte < 0x20)
}

/// Control characters and backslashes as `unistr()` reads them.
fn unistr_escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    for &byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            other => out.push(other),
        }
    }
    out
}

/// A value as an SQL literal, control characters spelled out.
pub fn unistr_quote(value: &Value<'_>) -> Vec<u8> {
    match value {
        Value::Text(text) if needs_unistr(text) => {
            [b"unistr(", &*sql_quote(&unistr_escaped(text)), b")"].concat()
        }
        other => quote(other),
    }
}

#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
    bang: bool,
    comma: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats `args` by `template`.
///
/// # Errors
/// A result that is too long.
pub fn format(template: &[u8], args: &[Value<'_>]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(template.len());
    let mut args = args.iter();
    let mut at = 0;
    while let Some(&byte) = template.get(at) {
        if byte != b'%' {
            let end = memchr::memchr(b'%', &template[at..]).map_or(template.len(), |n| at + n);
            out.extend_from_slice(&template[at..end]);
            at = end;
            continue;
        }
        at += 1;
        let spec = parse_spec(template, &mut at, &mut args);
        let Some(&conversion) = template.get(at) else {
            out.push(b'%');
            break;
        };
        at += 1;
        if conversion == b'%' {
            out.push(b'%');
            continue;
        }
        if !convert(&mut out, conversion, &spec, &mut args) {
            break;
        }
        check_length(out.len())?;
    }
    Ok(out)
}

fn parse_spec<'a, 'v: 'a>(
    template: &[u8],
    at: &mut usize,
    args: &mut impl Iterator<Item = &'a Value<'v>>,
) -> Spec {
    let mut spec = Spec::default();
    loop {
        match template.get(*at) {
            Some(b'-') => spec.left = true,
            Some(b'+') => spec.plus = true,
            Some(b' ') => spec.space = true,
            Some(b'0') => spec.zero = true,
            Some(b'#') => spec.alternate = true,
            Some(b'!') => spec.bang = true,
            Some(b',') => spec.comma = true,
            _ => break,
        }
        *at += 1;
    }
    let number = |at: &mut usize| {
        let mut value = 0usize;
        while let Some(digit) = template.get(*at).filter(|b| b.is_ascii_digit()) {
            value = (value * 10 + usize::from(digit - b'0')).min(1 << 30);
            *at += 1;
        }
        value
    };
    if template.get(*at) == Some(&b'*') {
        *at += 1;
        let width = args.next().map_or(0, Value::to_int);
        spec.left |= width < 0;
        spec.width = width.unsigned_abs().min(1 << 30) as usize;
    } else {
        spec.width = number(at);
    }
    if template.get(*at) == Some(&b'.') {
        *at += 1;
        if template.get(*at) == Some(&b'*') {
            *at += 1;
            let precision = args.next().map_or(0, Value::to_int);
            spec.precision = Some(precision.unsigned_abs().min(100_000_000) as usize);
        } else {
            spec.precision = Some(number(at));
        }
    }
    while template.get(*at) == Some(&b'l') {
        *at += 1;
    }
    spec
}

/// Appends one conversion; `false`: an unknown one ends the output.
fn convert<'a, 'v: 'a>(
    out: &mut Vec<u8>,
    conversion: u8,
    spec: &Spec,
    args: &mut impl Iterator<Item = &'a Value<'v>>,
) -> bool {
    match conversion {
        b'd' | b'i' | b'u' => {
            let value = args.next().map_or(0, Value::to_int);
            let (sign, digits) = if conversion == b'u' {
                ("", (value as u64).to_string())
            } else {
                (sign_of(value < 0, spec), value.unsigned_abs().to_string())
            };
            let digits = precise(digits, spec, sign.len());
            let digits = if spec.comma { with_commas(&digits) } else { digits };
            pad(out, format!("{sign}{digits}").as_bytes(), spec);
        }
        b'x' | b'X' | b'o' | b'p' => {
            let value = args.next().map_or(0, Value::to_int);
            let digits = match conversion {
                b'x' => format!("{value:x}"),
                b'X' | b'p' => format!("{value:X}"),
                _ => format!("{value:o}"),
            };
            let prefix = match conversion {
                b'x' if spec.alternate && value != 0 => "0x",
                b'X' if spec.alternate && value != 0 => "0X",
                b'o' if spec.alternate && value != 0 => "0",
                _ => "",
            };
            let digits = precise(digits, spec, prefix.len());
            pad(out, format!("{prefix}{digits}").as_bytes(), spec);
        }
        b'f' | b'e' | b'E' | b'g' | b'G' => {
            let value = args.next().map_or(0.0, Value::to_real);
            let text = real(value, conversion, spec);
            pad(out, text.as_bytes(), spec);
        }
        b'c' => {
            let text = args.next().map(|v| v.to_text().into_owned()).unwrap_or_default();
            let first = super::pattern::first_char(&text).map_or(&b""[..], |(first, _)| first);
            let times = spec.precision.unwrap_or(1).max(1);
            pad(out, &first.repeat(times), spec);
        }
        b's' | b'z' | b'q' | b'Q' | b'w' | b'j' => {
            let value = args.next();
            let null = value.is_none_or(Value::is_null);
            let text = value.map(|v| v.to_text().into_owned()).unwrap_or_default();
            let end = memchr::memchr(0, &text).unwrap_or(text.len());
            let mut text = &text[..end];
            let null_text: &[u8] = match conversion {
                b'q' | b'w' => b"(NULL)",
                b'Q' => b"NULL",
                _ => b"",
            };
            if null {
                text = null_text;
            }
            if let Some(precision) = spec.precision {
                text = cut(text, precision, spec.bang);
            }
            let quoted = match conversion {
                b'Q' if !null && spec.alternate && needs_unistr(text) => {
                    [b"unistr(", &*sql_quote(&unistr_escaped(text)), b")"].concat()
                }
                b'Q' if !null => sql_quote(text),
                b'q' if spec.alternate && needs_unistr(text) => {
                    double(&unistr_escaped(text), b'\'')
                }
                b'q' => double(text, b'\''),
                b'j' => {
                    let mut quoted = Vec::new();
                    crate::json::append_string(text, &mut quoted);
                    quoted[1..quoted.len() - 1].to_vec()
                }
                b'w' => double(text, b'"'),
                _ => text.to_vec(),
            };
            pad_text(out, &quoted, spec);
        }
        b'r' => {
            let value = args.next().map_or(0, Value::to_int);
            let (sign, number) = (sign_of(value < 0, spec), value.unsigned_abs());
            let suffix = match (number % 10, number % 100 / 10) {
                (1, tens) if tens != 1 => "st",
                (2, tens) if tens != 1 => "nd",
                (3, tens) if tens != 1 => "rd",
                _ => "th",
            };
            let digits = precise(number.to_string(), spec, sign.len() + suffix.len());
            pad(out, format!("{sign}{digits}{suffix}").as_bytes(), spec);
        }
        b'n' => {}
        _ => return false,
    }
    true
}

fn double(text: &[u8], quote: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if byte == quote {
            out.push(quote);
        }
        out.push(byte);
    }
    out
}

/// The first `count` bytes, or characters.
fn cut(text: &[u8], count: usize, chars: bool) -> &[u8] {
    if !chars {
        return text.get(..count).unwrap_or(text);
    }
    let starts = text.iter().enumerate().filter(|(_, b)| **b & 0xc0 != 0x80);
    let end = starts.map(|(at, _)| at).nth(count).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

fn sign_of(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

/// Zeros in front, for a precision or the `0` flag.
fn precise(digits: String, spec: &Spec, sign: usize) -> String {
    let mut wanted = spec.precision.unwrap_or(0);
    if spec.zero {
        wanted = wanted.max(spec.width.saturating_sub(sign));
    }
    let zeros = wanted.saturating_sub(digits.len());
    "0".repeat(zeros) + &digits
}

fn with_commas(digits: &str) -> String {
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn real(value: f64, conversion: u8, spec: &Spec) -> String {
    let kind = match conversion {
        b'f' => number::Kind::Fixed,
        b'e' | b'E' => number::Kind::Exponential,
        _ => number::Kind::General,
    };
    let style = number::Style {
        kind,
        precision: spec.precision.unwrap_or(6),
        bang: spec.bang,
        alternate: spec.alternate,
        commas: spec.comma,
        upper: conversion.is_ascii_uppercase(),
        huge: spec.zero,
    };
    let text = style.show(value);
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None if value.is_nan() => ("", text.as_str()),
        None => (sign_of(false, spec), text.as_str()),
    };
    let zeros = if spec.zero && !spec.left && !value.is_nan() {
        spec.width.saturating_sub(sign.len() + text.len())
    } else {
        0
    };
    format!("{sign}{}{text}", "0".repeat(zeros))
}

fn pad(out: &mut Vec<u8>, text: &[u8], spec: &Spec) {
    pad_by(out, text, text.len(), spec);
}

fn pad_text(out: &mut Vec<u8>, text: &[u8], spec: &Spec) {
    let len =
        if spec.bang { text.iter().filter(|b| **b & 0xc0 != 0x80).count() } else { text.len() };
    pad_by(out, text, len, spec);
}

fn pad_by(out: &mut Vec<u8>, text: &[u8], len: usize, spec: &Spec) {
    let spaces = spec.width.saturating_sub(len);
    if !spec.left {
        out.resize(out.len() + spaces, b' ');
    }
    out.extend_from_slice(text);
    if spec.left {
        out.resize(out.len() + spaces, b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(template: &str, args: &[Value<'_>]) -> String {
        String::from_utf8_lossy(&format(template.as_bytes(), args).unwrap_or_default()).into_owned()
    }

    #[test]
    fn conversions() {
        assert_eq!(
            print("%05d|%-5d|%+d", &[Value::Int(42), Value::Int(42), Value::Int(42)]),
            "00042|42   |+42"
        );
        assert_eq!(print("%.2f|%8.3e", &[Value::Real(2.5), Value::Real(1234.5)]), "2.50|1.235e+03");
        assert_eq!(print("%Q|%q", &[Value::text("a'b"), Value::text("a'b")]), "'a''b'|a''b");
        assert_eq!(print("%,d", &[Value::Int(1234567)]), "1,234,567");
        assert_eq!(print("%%|%x|%c", &[Value::Int(255), Value::text("xyz")]), "%|ff|x");
        assert_eq!(print("%g", &[Value::Real(100000.0)]), "100000");
    }
}
