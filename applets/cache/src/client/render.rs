//! Replies as text: for a person, raw for a pipe, CSV, JSON.
//!
//! The forms are those of redis-cli 7.0, byte for byte, because scripts parse them. Numbered lists
//! are aligned by the width of their longest number, and what is nested is indented by as much:
//!
//! ```text
//! 1) "a"
//! 2) 1) (integer) 1
//!    2) (nil)
//! ```

use box_wire::resp::Reply;

/// How replies are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For a person: types are named, text is quoted.
    Standard,
    /// The bytes alone.
    Raw,
    /// Comma-separated values.
    Csv,
    /// JSON; bytes that are no UTF-8 go through as they are.
    Json,
    /// JSON in ASCII: other bytes are written as `\\xHH` within the string.
    QuotedJson,
}

/// What stands between replies in raw form.
#[derive(Clone, Debug)]
pub struct Delimiters {
    /// Between the elements of one reply (`-d`).
    pub element: Vec<u8>,
    /// Behind each reply (`-D`).
    pub reply: Vec<u8>,
}

impl Default for Delimiters {
    fn default() -> Delimiters {
        Delimiters { element: b"\n".to_vec(), reply: b"\n".to_vec() }
    }
}

/// The text of `reply`. A `verbatim` one (INFO, CLIENT LIST) is a text for a person already, in
/// every form.
pub fn render(reply: &Reply, output: Output, verbatim: bool, delimiters: &Delimiters) -> Vec<u8> {
    let mut out = Vec::new();
    if verbatim {
        raw(reply, delimiters, &mut out);
        return out;
    }
    match output {
        Output::Standard => standard(reply, "", &mut out),
        Output::Raw => {
            raw(reply, delimiters, &mut out);
            out.extend_from_slice(&delimiters.reply);
        }
        Output::Csv => {
            csv(reply, &mut out);
            out.push(b'\n');
        }
        Output::Json | Output::QuotedJson => {
            json(reply, output == Output::QuotedJson, &mut out);
            out.push(b'\n');
        }
    }
    out
}

/// An invalidation message of client-side caching, as the interactive client shows it; `None` where
/// `reply` is another push.
pub fn invalidation(reply: &Reply) -> Option<Vec<u8>> {
    let Reply::Push(items) = reply else { return None };
    let [Reply::Bulk(kind), keys] = items.as_slice() else { return None };
    if kind != b"invalidate" {
        return None;
    }
    let mut out = b"-> invalidate: ".to_vec();
    match keys {
        Reply::Array(keys) => {
            for (index, key) in keys.iter().enumerate() {
                let Reply::Bulk(key) = key else { return None };
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                out.push(b'\'');
                out.extend_from_slice(key);
                out.push(b'\'');
            }
        }
        // FLUSHALL: everything.
        Reply::Nil => out.extend_from_slice(b"all keys"),
        _ => return None,
    }
    out.push(b'\n');
    Some(out)
}

/// Appends `bytes` in double quotes, with escapes for what cannot be printed.
pub fn quote(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    out.push(b'"');
}

/// `bytes` in double quotes.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    quote(bytes, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn standard(reply: &Reply, indent: &str, out: &mut Vec<u8>) {
    let mut line = |parts: &[&[u8]]| {
        parts.iter().for_each(|part| out.extend_from_slice(part));
        out.push(b'\n');
    };
    match reply {
        Reply::Error(text) => line(&[b"(error) ", text]),
        Reply::Status(text) | Reply::Verbatim(_, text) => line(&[text]),
        Reply::Int(value) => line(&[b"(integer) ", value.to_string().as_bytes()]),
        Reply::Double(text) => line(&[b"(double) ", text]),
        Reply::BigNumber(text) => line(&[b"(big number) ", text]),
        Reply::Bulk(bytes) => {
            quote(bytes, out);
            out.push(b'\n');
        }
        Reply::Nil => line(&[b"(nil)"]),
        Reply::Bool(true) => line(&[b"(true)"]),
        Reply::Bool(false) => line(&[b"(false)"]),
        Reply::Array(items) => numbered(items, ")", "array", indent, out),
        Reply::Set(items) => numbered(items, "~", "set", indent, out),
        Reply::Push(items) => numbered(items, ">", "push", indent, out),
        Reply::Map(pairs) => numbered_pairs(pairs, indent, out),
    }
}

fn numbered(items: &[Reply], mark: &str, kind: &str, indent: &str, out: &mut Vec<u8>) {
    if items.is_empty() {
        out.extend_from_slice(format!("(empty {kind})\n").as_bytes());
        return;
    }
    let width = items.len().to_string().len();
    let deeper = format!("{indent}{:w$}", "", w = width + 2);
    for (index, item) in items.iter().enumerate() {
        number(index, width, mark, indent, out);
        standard(item, &deeper, out);
    }
}

fn numbered_pairs(pairs: &[(Reply, Reply)], indent: &str, out: &mut Vec<u8>) {
    if pairs.is_empty() {
        out.extend_from_slice(b"(empty hash)\n");
        return;
    }
    let width = pairs.len().to_string().len();
    let deeper = format!("{indent}{:w$}", "", w = width + 2);
    for (index, (key, value)) in pairs.iter().enumerate() {
        number(index, width, "#", indent, out);
        standard(key, &deeper, out);
        // The line end of the key gives way to the arrow.
        out.pop();
        out.extend_from_slice(b" => ");
        let at = out.len();
        standard(value, &deeper, out);
        // What takes several lines begins on one of its own.
        let lines = out.get(at..).map_or(0, |text| memchr::memchr_iter(b'\n', text).count());
        if lines > 1 {
            out.splice(at..at, format!("\n{deeper}").into_bytes());
        }
    }
}

/// The number in front of an element; the first one stands behind what its parent has printed.
fn number(index: usize, width: usize, mark: &str, indent: &str, out: &mut Vec<u8>) {
    if index > 0 {
        out.extend_from_slice(indent.as_bytes());
    }
    out.extend_from_slice(format!("{:>width$}{mark} ", index + 1).as_bytes());
}

fn raw(reply: &Reply, delimiters: &Delimiters, out: &mut Vec<u8>) {
    match reply {
        Reply::Nil => {}
        Reply::Error(text) => {
            out.extend_from_slice(text);
            out.push(b'\n');
        }
        Reply::Status(bytes)
        | Reply::Bulk(bytes)
        | Reply::Verbatim(_, bytes)
        | Reply::Double(bytes)
        | Reply::BigNumber(bytes) => out.extend_from_slice(bytes),
        Reply::Bool(value) => out.extend_from_slice(if *value { b"(true)" } else { b"(false)" }),
        Reply::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(&delimiters.element);
                }
                raw(item, delimiters, out);
            }
        }
        Reply::Map(pairs) => {
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(&delimiters.element);
                }
                raw(key, delimiters, out);
                out.push(b' ');
                raw(value, delimiters, out);
            }
        }
    }
}

fn csv(reply: &Reply, out: &mut Vec<u8>) {
    match reply {
        Reply::Error(text) => {
            out.extend_from_slice(b"ERROR,");
            quote(text, out);
        }
        Reply::Status(bytes) | Reply::Bulk(bytes) | Reply::Verbatim(_, bytes) => quote(bytes, out),
        Reply::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Reply::Double(text) | Reply::BigNumber(text) => out.extend_from_slice(text),
        Reply::Nil => out.extend_from_slice(b"NULL"),
        Reply::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            separated(items, b',', out, csv);
        }
        Reply::Map(pairs) => separated(pairs, b',', out, |(key, value), out| {
            csv(key, out);
            out.push(b',');
            csv(value, out);
        }),
    }
}

fn separated<T>(items: &[T], by: u8, out: &mut Vec<u8>, mut each: impl FnMut(&T, &mut Vec<u8>)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(by);
        }
        each(item, out);
    }
}

fn json(reply: &Reply, ascii: bool, out: &mut Vec<u8>) {
    match reply {
        Reply::Error(text) => {
            out.extend_from_slice(b"error:");
            json_string(text, ascii, out);
        }
        Reply::Status(bytes) | Reply::Bulk(bytes) | Reply::Verbatim(_, bytes) => {
            json_string(bytes, ascii, out);
        }
        Reply::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Reply::Double(text) | Reply::BigNumber(text) => out.extend_from_slice(text),
        Reply::Nil => out.extend_from_slice(b"null"),
        Reply::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            out.push(b'[');
            separated(items, b',', out, |item, out| json(item, ascii, out));
            out.push(b']');
        }
        Reply::Map(pairs) => {
            out.push(b'{');
            separated(pairs, b',', out, |(key, value), out| {
                json_key(key, ascii, out);
                out.push(b':');
                json(value, ascii, out);
            });
            out.push(b'}');
        }
    }
}

/// Keys of a JSON object are strings (RFC 8259 section 4): others are written as JSON first.
fn json_key(key: &Reply, ascii: bool, out: &mut Vec<u8>) {
    match key {
        Reply::Status(bytes) | Reply::Bulk(bytes) | Reply::Verbatim(_, bytes) => {
            json_string(bytes, ascii, out);
        }
        other => {
            let mut text = Vec::new();
            json(other, ascii, &mut text);
            json_string(&text, ascii, out);
        }
    }
}

fn json_string(bytes: &[u8], ascii: bool, out: &mut Vec<u8>) {
    if ascii {
        let mut quoted = Vec::with_capacity(bytes.len() + 2);
        quote(bytes, &mut quoted);
        for byte in quoted {
            if byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        return;
    }
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reply: &Reply, output: Output) -> String {
        String::from_utf8(render(reply, output, false, &Delimiters::default())).unwrap()
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.into())
    }

    #[test]
    fn numbers_are_aligned_and_what_is_nested_is_indented() {
        let inner = Reply::Array(vec![Reply::Int(1), Reply::Array(vec![]), Reply::Nil]);
        let mut items = vec![inner];
        items.resize(10, bulk("x"));
        let shown = text(&Reply::Array(items), Output::Standard);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[..4],
            [" 1) 1) (integer) 1", "    2) (empty array)", "    3) (nil)", " 2) \"x\""]
        );
        assert_eq!(lines[11], "10) \"x\"");
    }

    #[test]
    fn maps_are_told_with_an_arrow() {
        let map = Reply::Map(vec![(bulk("a"), Reply::Set(vec![Reply::Bool(true)]))]);
        assert_eq!(text(&map, Output::Standard), "1# \"a\" => 1~ (true)\n");
        assert_eq!(text(&map, Output::Raw), "a (true)\n");
        assert_eq!(text(&map, Output::Csv), "\"a\",true\n");
        assert_eq!(text(&map, Output::Json), "{\"a\":[true]}\n");
    }

    #[test]
    fn bytes_are_quoted_by_the_form() {
        let reply = bulk("a\"\n\u{1}\u{fc}");
        assert_eq!(text(&reply, Output::Standard), "\"a\\\"\\n\\x01\\xc3\\xbc\"\n");
        assert_eq!(text(&reply, Output::Json), "\"a\\\"\\n\\u0001\u{fc}\"\n");
        assert_eq!(text(&reply, Output::QuotedJson), "\"a\\\\\"\\\\n\\\\x01\\\\xc3\\\\xbc\"\n");
    }

    #[test]
    fn invalidations_name_their_keys() {
        let push = |keys| Reply::Push(vec![bulk("invalidate"), keys]);
        let keys = Reply::Array(vec![bulk("a"), bulk("b")]);
        assert_eq!(invalidation(&push(keys)).unwrap(), b"-> invalidate: 'a', 'b'\n");
        assert_eq!(invalidation(&push(Reply::Nil)).unwrap(), b"-> invalidate: all keys\n");
        assert!(invalidation(&bulk("x")).is_none());
    }
}
