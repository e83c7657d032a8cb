//! JSONB to JSON text.

use super::{Kind, MAX_DEPTH, Node};

/// The text of a node; `None` where the blob is damaged.
pub fn to_text(blob: &[u8], node: &Node) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(node.end - node.start + 16);
    append(blob, node, &mut out, 0)?;
    Some(out)
}

fn append(blob: &[u8], node: &Node, out: &mut Vec<u8>, depth: usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    match node.kind {
        Kind::Array => {
            out.push(b'[');
            each(blob, node, |n, child| {
                if n > 0 {
                    out.push(b',');
                }
                append(blob, child, out, depth + 1)
            })?;
            out.push(b']');
        }
        Kind::Object => {
            out.push(b'{');
            let count = each(blob, node, |n, child| {
                if n > 0 {
                    out.push(if n % 2 == 0 { b',' } else { b':' });
                }
                if n % 2 == 0 && !child.kind.is_text() {
                    return None;
                }
                append(blob, child, out, depth + 1)
            })?;
            if count % 2 == 1 {
                return None;
            }
            out.push(b'}');
        }
        _ => scalar(blob, node, out)?,
    }
    Some(())
}

/// Runs over the children of a node, which must fill it exactly.
fn each(
    blob: &[u8],
    node: &Node,
    mut each: impl FnMut(usize, &Node) -> Option<()>,
) -> Option<usize> {
    let mut at = node.body;
    let mut count = 0;
    for child in node.children(blob) {
        each(count, &child)?;
        at = child.end;
        count += 1;
    }
    (at == node.end).then_some(count)
}

fn scalar(blob: &[u8], node: &Node, out: &mut Vec<u8>) -> Option<()> {
    let payload = node.payload(blob);
    match node.kind {
        Kind::Null => out.extend_from_slice(b"null"),
        Kind::True => out.extend_from_slice(b"true"),
        Kind::False => out.extend_from_slice(b"false"),
        Kind::Int | Kind::Float => {
            if payload.is_empty() {
                return None;
            }
            out.extend_from_slice(payload);
        }
        Kind::Int5 => hexadecimal(payload, out)?,
        Kind::Float5 => float5(payload, out)?,
        Kind::Text | Kind::TextJ => {
            out.push(b'"');
            out.extend_from_slice(payload);
            out.push(b'"');
        }
        Kind::Text5 => text5(payload, out)?,
        Kind::TextRaw => append_string(payload, out),
        Kind::Array | Kind::Object => {}
    }
    Some(())
}

fn hexadecimal(payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let rest = match payload.strip_prefix(b"-") {
        Some(rest) => {
            out.push(b'-');
            rest
        }
        None => payload,
    };
    let digits = str::from_utf8(rest.get(2..)?).ok()?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    match u64::from_str_radix(digits, 16) {
        Ok(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Err(_) => out.extend_from_slice(b"9.0e999"),
    }
    Some(())
}

/// `.5` and `5.` get their zeros.
fn float5(payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let rest = match payload.strip_prefix(b"-") {
        Some(rest) => {
            out.push(b'-');
            rest
        }
        None => payload,
    };
    if rest.first()? == &b'.' {
        out.push(b'0');
    }
    for (n, byte) in rest.iter().enumerate() {
        out.push(*byte);
        if *byte == b'.' && !rest.get(n + 1).is_some_and(u8::is_ascii_digit) {
            out.push(b'0');
        }
    }
    Some(())
}

/// A string of JSON5 with the escapes of JSON.
fn text5(payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.push(b'"');
    let mut rest = payload;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'"' => out.extend_from_slice(b"\\\""),
            0..=0x1f => control(first, out),
            b'\\' => rest = escape5(tail, out)?,
            other => out.push(other),
        }
    }
    out.push(b'"');
    Some(())
}

fn escape5<'t>(text: &'t [u8], out: &mut Vec<u8>) -> Option<&'t [u8]> {
    let (&first, tail) = text.split_first()?;
    match first {
        b'\'' => out.push(b'\''),
        b'v' => out.extend_from_slice(b"\\u000b"),
        b'x' => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(tail.get(..2)?);
            return tail.get(2..);
        }
        b'0' => out.extend_from_slice(b"\\u0000"),
        b'\r' if tail.first() == Some(&b'\n') => return tail.get(1..),
        b'\r' | b'\n' => {}
        0xe2 => return tail.get(2..),
        other => out.extend_from_slice(&[b'\\', other]),
    }
    Some(tail)
}

fn control(byte: u8, out: &mut Vec<u8>) {
    match byte {
        8 => out.extend_from_slice(b"\\b"),
        9 => out.extend_from_slice(b"\\t"),
        10 => out.extend_from_slice(b"\\n"),
        12 => out.extend_from_slice(b"\\f"),
        13 => out.extend_from_slice(b"\\r"),
        other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
    }
}

/// Appends SQL text as a JSON string.
pub fn append_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => control(byte, out),
            other => out.push(other),
        }
    }
    out.push(b'"');
}

/// The text of a node over several lines.
pub fn pretty(blob: &[u8], node: &Node, indent: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    pretty_at(blob, node, indent, 0, &mut out)?;
    Some(out)
}

fn pretty_at(
    blob: &[u8],
    node: &Node,
    indent: &[u8],
    depth: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    let (open, close) = match node.kind {
        Kind::Array => (b'[', b']'),
        Kind::Object => (b'{', b'}'),
        _ => return scalar(blob, node, out),
    };
    if depth > MAX_DEPTH {
        return None;
    }
    out.push(open);
    let line = |depth: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        (0..depth).for_each(|_| out.extend_from_slice(indent));
    };
    let object = node.kind == Kind::Object;
    let count = each(blob, node, |n, child| {
        if object && n % 2 == 1 {
            out.extend_from_slice(b": ");
        } else {
            if n > 0 {
                out.push(b',');
            }
            line(depth + 1, out);
        }
        pretty_at(blob, child, indent, depth + 1, out)
    })?;
    if count > 0 {
        line(depth, out);
    }
    out.push(close);
    Some(())
}
