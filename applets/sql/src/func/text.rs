//! Functions on text and blobs.

use super::{Context, Scalar, pattern, printf};
use crate::error::{Error, Result};
use crate::value::{Owned, Value, check_length};

const MANY: usize = 1000;

pub(super) static FUNCTIONS: &[Scalar] = &[
    Scalar { name: "length", min_args: 1, max_args: 1, code: length, pure: true },
    Scalar { name: "octet_length", min_args: 1, max_args: 1, code: octet_length, pure: true },
    Scalar { name: "lower", min_args: 1, max_args: 1, code: lower, pure: true },
    Scalar { name: "upper", min_args: 1, max_args: 1, code: upper, pure: true },
    Scalar { name: "substr", min_args: 2, max_args: 3, code: substr, pure: true },
    Scalar { name: "substring", min_args: 2, max_args: 3, code: substr, pure: true },
    Scalar { name: "instr", min_args: 2, max_args: 2, code: instr, pure: true },
    Scalar { name: "replace", min_args: 3, max_args: 3, code: replace, pure: true },
    Scalar { name: "trim", min_args: 1, max_args: 2, code: trim, pure: true },
    Scalar { name: "ltrim", min_args: 1, max_args: 2, code: ltrim, pure: true },
    Scalar { name: "rtrim", min_args: 1, max_args: 2, code: rtrim, pure: true },
    Scalar { name: "hex", min_args: 1, max_args: 1, code: hex, pure: true },
    Scalar { name: "unhex", min_args: 1, max_args: 2, code: unhex, pure: true },
    Scalar { name: "quote", min_args: 1, max_args: 1, code: quote, pure: true },
    Scalar { name: "char", min_args: 0, max_args: MANY, code: char_of, pure: true },
    Scalar { name: "unicode", min_args: 1, max_args: 1, code: unicode, pure: true },
    Scalar { name: "printf", min_args: 0, max_args: MANY, code: format, pure: true },
    Scalar { name: "format", min_args: 0, max_args: MANY, code: format, pure: true },
    Scalar { name: "like", min_args: 2, max_args: 3, code: like, pure: true },
    Scalar { name: "glob", min_args: 2, max_args: 2, code: glob, pure: true },
    Scalar { name: "concat", min_args: 1, max_args: MANY, code: concat, pure: true },
    Scalar { name: "concat_ws", min_args: 2, max_args: MANY, code: concat_ws, pure: true },
    Scalar { name: "unistr", min_args: 1, max_args: 1, code: unistr, pure: true },
    Scalar { name: "unistr_quote", min_args: 1, max_args: 1, code: unistr_quote, pure: true },
    Scalar { name: "soundex", min_args: 1, max_args: 1, code: soundex, pure: true },
];

/// `\XXXX`, `\uXXXX`, `\+XXXXXX`, `\UXXXXXXXX` and `\\` as the characters they stand for.
fn unistr(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let Some(text) = args[0].to_bytes() else { return Ok(Value::Null) };
    let mut out = Vec::with_capacity(text.len());
    let mut rest: &[u8] = &text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let behind = &rest[at + 1..];
        let (skip, count) = match behind.first() {
            Some(b'\\') => {
                out.push(b'\\');
                rest = &behind[1..];
                continue;
            }
            Some(b'u') => (1, 4),
            Some(b'+') => (1, 6),
            Some(b'U') => (1, 8),
            _ => (0, 4),
        };
        let code = behind
            .get(skip..skip + count)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())
            .ok_or_else(|| Error::new("invalid Unicode escape"))?;
        push_char(i64::from(code), &mut out);
        rest = &behind[skip + count..];
    }
    out.extend_from_slice(rest);
    Ok(Value::text(out))
}

fn unistr_quote(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::text(printf::unistr_quote(&args[0])))
}

/// The number of characters, as SQLite counts: bytes that continue none.
fn chars(text: &[u8]) -> usize {
    text.iter().filter(|b| **b & 0xc0 != 0x80).count()
}

fn length(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(match &args[0] {
        Value::Null => Value::Null,
        Value::Blob(v) => Value::Int(v.len() as i64),
        other => {
            let text = other.to_text();
            let end = memchr::memchr(0, &text).unwrap_or(text.len());
            Value::Int(chars(&text[..end]) as i64)
        }
    })
}

fn octet_length(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(args[0].to_bytes().map_or(Value::Null, |v| Value::Int(v.len() as i64)))
}

fn map_text(value: &Value<'_>, map: fn(&u8) -> u8) -> Owned {
    value
        .to_bytes()
        .map_or(Value::Null, |text| Value::text(text.iter().map(map).collect::<Vec<_>>()))
}

fn lower(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(map_text(&args[0], u8::to_ascii_lowercase))
}

fn upper(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(map_text(&args[0], u8::to_ascii_uppercase))
}

fn substr(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    if args.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let blob = matches!(args[0], Value::Blob(_));
    let bytes = args[0].to_text();
    let total = if blob { bytes.len() } else { chars(&bytes) } as i64;
    let mut start = args[1].to_int();
    let mut count = args.get(2).map_or(i64::MAX >> 1, Value::to_int);
    let before = count < 0;
    count = count.checked_abs().unwrap_or(i64::MAX);
    if start < 0 {
        start = start.saturating_add(total);
        if start < 0 {
            count = (count.saturating_add(start)).max(0);
            if before {
                count = 0;
            }
            start = 0;
        }
    } else if start > 0 {
        start -= 1;
    } else if count > 0 && !before {
        count -= 1;
    }
    if before {
        start = start.saturating_sub(count);
        if start < 0 {
            count = count.saturating_add(start).max(0);
            start = 0;
        }
    }
    let (start, end) = (start.min(total) as usize, start.saturating_add(count).min(total) as usize);
    if blob {
        return Ok(Value::blob(&bytes[start..end]));
    }
    let place = |n: usize| char_offset(&bytes, n);
    let (from, to) =
        if bytes.len() as i64 == total { (start, end) } else { (place(start), place(end)) };
    Ok(Value::text(&bytes[from..to]))
}

/// The offset of character `n`.
fn char_offset(text: &[u8], n: usize) -> usize {
    let starts = text.iter().enumerate().filter(|(_, b)| **b & 0xc0 != 0x80);
    starts.map(|(at, _)| at).nth(n).unwrap_or(text.len())
}

fn instr(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let (Some(text), Some(part)) = (args[0].to_bytes(), args[1].to_bytes()) else {
        return Ok(Value::Null);
    };
    let blobs = args.iter().all(|arg| matches!(arg, Value::Blob(_)));
    let found = memchr::memmem::find(&text, &part);
    Ok(Value::Int(
        found.map_or(0, |at| 1 + if blobs { at as i64 } else { chars(&text[..at]) as i64 }),
    ))
}

fn replace(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let (Some(text), Some(from), Some(to)) =
        (args[0].to_bytes(), args[1].to_bytes(), args[2].to_bytes())
    else {
        return Ok(Value::Null);
    };
    if from.is_empty() {
        return Ok(Value::text(text.into_owned()));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = 0;
    for at in memchr::memmem::find_iter(&text, &*from) {
        out.extend_from_slice(&text[rest..at]);
        out.extend_from_slice(&to);
        rest = at + from.len();
        check_length(out.len())?;
    }
    out.extend_from_slice(&text[rest..]);
    check_length(out.len())?;
    Ok(Value::text(out))
}

fn trimmed(args: &[Value<'_>], left: bool, right: bool) -> Owned {
    let Some(text) = args[0].to_bytes() else { return Value::Null };
    let set = match args.get(1) {
        None => vec![b" ".to_vec()],
        Some(chars) => {
            let Some(chars) = chars.to_bytes() else { return Value::Null };
            let mut rest = &*chars;
            std::iter::from_fn(|| {
                let (first, behind) = pattern::first_char(rest)?;
                rest = behind;
                Some(first.to_vec())
            })
            .collect()
        }
    };
    let mut text = &*text;
    while left && let Some(c) = set.iter().find(|c| text.starts_with(c)) {
        text = &text[c.len()..];
    }
    while right && let Some(c) = set.iter().find(|c| text.ends_with(c)) {
        text = &text[..text.len() - c.len()];
    }
    Value::text(text)
}

fn trim(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(trimmed(args, true, true))
}

fn ltrim(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(trimmed(args, true, false))
}

fn rtrim(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(trimmed(args, false, true))
}

fn hex(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::text(printf::hex_of(&args[0].to_text())))
}

fn unhex(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let Some(text) = args[0].to_bytes() else { return Ok(Value::Null) };
    let ignored = match args.get(1) {
        None => Vec::new(),
        Some(value) => match value.to_bytes() {
            None => return Ok(Value::Null),
            Some(value) => value.into_owned(),
        },
    };
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut half: Option<u8> = None;
    for &byte in &*text {
        match ((byte as char).to_digit(16), half) {
            (Some(digit), None) => half = Some(digit as u8),
            (Some(digit), Some(high)) => {
                out.push(high << 4 | digit as u8);
                half = None;
            }
            (None, None) if ignored.contains(&byte) => {}
            _ => return Ok(Value::Null),
        }
    }
    Ok(if half.is_some() { Value::Null } else { Value::blob(out) })
}

fn quote(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::text(printf::quote(&args[0])))
}

fn char_of(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let mut out = Vec::with_capacity(args.len());
    args.iter().for_each(|arg| push_char(arg.to_int(), &mut out));
    Ok(Value::text(out))
}

/// Appends a code point; what is none becomes U+FFFD.
fn push_char(code: i64, out: &mut Vec<u8>) {
    let code = u32::try_from(code).ok().and_then(char::from_u32);
    let char = code.unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

fn unicode(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let text = args[0].to_text();
    let first = pattern::first_char(&text).map(|(first, _)| String::from_utf8_lossy(first));
    let code = first.and_then(|first| first.chars().next()).map(|c| i64::from(u32::from(c)));
    Ok(code.filter(|code| *code != 0).map_or(Value::Null, Value::Int))
}

fn format(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let Some((template, args)) = args.split_first() else { return Ok(Value::Null) };
    let Some(template) = template.to_bytes() else { return Ok(Value::Null) };
    printf::format(&template, args).map(Value::text)
}

fn like(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let escape = match args.get(2) {
        None => None,
        Some(value) => {
            let Some(escape) = value.to_bytes() else { return Ok(Value::Null) };
            match pattern::first_char(&escape) {
                Some((_, [])) => Some(escape.into_owned()),
                _ => return Err(Error::new("ESCAPE expression must be a single character")),
            }
        }
    };
    let (Some(pattern), Some(text)) = (args[0].to_bytes(), args[1].to_bytes()) else {
        return Ok(Value::Null);
    };
    if pattern.len() > 50_000 {
        return Err(Error::new("LIKE or GLOB pattern too complex"));
    }
    Ok(Value::bool(pattern::like(&pattern, &text, escape.as_deref(), false)))
}

fn glob(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let (Some(pattern), Some(text)) = (args[0].to_bytes(), args[1].to_bytes()) else {
        return Ok(Value::Null);
    };
    if pattern.len() > 50_000 {
        return Err(Error::new("LIKE or GLOB pattern too complex"));
    }
    Ok(Value::bool(pattern::glob(&pattern, &text)))
}

fn concat(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::text(args.iter().flat_map(|arg| arg.to_text().into_owned()).collect::<Vec<u8>>()))
}

fn concat_ws(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let Some(separator) = args[0].to_bytes() else { return Ok(Value::Null) };
    let parts: Vec<_> = args[1..].iter().filter_map(Value::to_bytes).collect();
    Ok(Value::text(parts.join(&*separator)))
}

fn soundex(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    const CODES: &[u8; 26] = b"01230120022455012623010202";
    let code = |c: u8| CODES[(c.to_ascii_lowercase() - b'a') as usize];
    let text = args[0].to_text();
    let mut letters = text.iter().copied().skip_while(|c| !c.is_ascii_alphabetic());
    let Some(first) = letters.next() else { return Ok(Value::text("?000")) };
    let mut out = vec![first.to_ascii_uppercase()];
    let mut last = code(first);
    for c in letters.filter(u8::is_ascii_alphabetic) {
        let digit = code(c);
        if digit != b'0' && digit != last && out.len() < 4 {
            out.push(digit);
        }
        last = digit;
    }
    out.resize(4, b'0');
    Ok(Value::text(out))
}
