//! Replies as text, as the incumbent's client prints them.

use std::fmt::Write;

use box_wire::resp::Reply;

use super::options::Format;
use crate::text::quoted;

/// A reply in a format, with the line's end where the format has one.
pub fn shown(reply: &Reply, format: Format, delimiter: &str) -> Vec<u8> {
    match format {
        Format::Standard => standard(reply, "").into_bytes(),
        Format::Raw => {
            let mut out = raw(reply, delimiter);
            out.push(b'\n');
            out
        }
        Format::Csv => (csv(reply) + "\n").into_bytes(),
        Format::Json => (json(reply) + "\n").into_bytes(),
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn standard(reply: &Reply, prefix: &str) -> String {
    match reply {
        Reply::Error(text) => format!("(error) {}\n", lossy(text)),
        Reply::Status(text) => lossy(text) + "\n",
        Reply::Int(value) => format!("(integer) {value}\n"),
        Reply::Double(text) => format!("(double) {}\n", lossy(text)),
        Reply::BigNumber(text) => format!("(big number) {}\n", lossy(text)),
        Reply::Bulk(text) => quoted(text) + "\n",
        Reply::Verbatim(_, text) => lossy(text) + "\n",
        Reply::Nil => "(nil)\n".into(),
        Reply::Bool(value) => if *value { "(true)\n" } else { "(false)\n" }.into(),
        Reply::Array(items) => list(items, prefix, ')', "array"),
        Reply::Set(items) => list(items, prefix, '~', "set"),
        Reply::Push(items) => list(items, prefix, ')', "push"),
        Reply::Map(pairs) => map(pairs, prefix),
    }
}

fn list(items: &[Reply], prefix: &str, mark: char, name: &str) -> String {
    if items.is_empty() {
        return format!("(empty {name})\n");
    }
    let width = items.len().to_string().len();
    let inner = format!("{prefix}{}", " ".repeat(width + 2));
    let mut text = String::new();
    for (number, item) in items.iter().enumerate() {
        let front = if number == 0 { "" } else { prefix };
        let _ = write!(text, "{front}{:>width$}{mark} {}", number + 1, standard(item, &inner));
    }
    text
}

fn map(pairs: &[(Reply, Reply)], prefix: &str) -> String {
    if pairs.is_empty() {
        return "(empty hash)\n".into();
    }
    let width = pairs.len().to_string().len();
    let inner = format!("{prefix}{}", " ".repeat(width + 2));
    let mut text = String::new();
    for (number, (key, value_of)) in pairs.iter().enumerate() {
        let front = if number == 0 { "" } else { prefix };
        let key = standard(key, &inner);
        let value = standard(value_of, &inner);
        let key = key.trim_end_matches('\n');
        // An aggregate begins on a line of its own, as the incumbent has it.
        let breaks = matches!(value_of, Reply::Map(inner) if inner.len() > 1)
            || matches!(value_of, Reply::Array(inner) | Reply::Set(inner) if inner.len() > 1);
        let gap = if breaks { format!("\n{inner}") } else { String::new() };
        let _ = write!(text, "{front}{:>width$}# {key} => {gap}{value}", number + 1);
    }
    text
}

fn raw(reply: &Reply, delimiter: &str) -> Vec<u8> {
    match reply {
        Reply::Error(text) => [&text[..], b"\n"].concat(),
        Reply::Status(text)
        | Reply::Bulk(text)
        | Reply::Double(text)
        | Reply::BigNumber(text)
        | Reply::Verbatim(_, text) => text.clone(),
        Reply::Int(value) => value.to_string().into_bytes(),
        Reply::Nil => Vec::new(),
        Reply::Bool(value) => {
            if *value {
                b"(true)".to_vec()
            } else {
                b"(false)".to_vec()
            }
        }
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            let parts: Vec<_> = items.iter().map(|item| raw(item, delimiter)).collect();
            parts.join(delimiter.as_bytes())
        }
        Reply::Map(pairs) => {
            let parts: Vec<_> = pairs
                .iter()
                .map(|(key, value)| [raw(key, delimiter), raw(value, delimiter)].join(&b' '))
                .collect();
            parts.join(delimiter.as_bytes())
        }
    }
}

fn csv(reply: &Reply) -> String {
    match reply {
        Reply::Error(text) => format!("ERROR,{}", quoted(text)),
        Reply::Status(text) | Reply::Bulk(text) | Reply::Verbatim(_, text) => quoted(text),
        Reply::Int(value) => value.to_string(),
        Reply::Double(text) | Reply::BigNumber(text) => lossy(text),
        Reply::Nil => "NULL".into(),
        Reply::Bool(value) => value.to_string(),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            items.iter().map(csv).collect::<Vec<_>>().join(",")
        }
        Reply::Map(pairs) => {
            let parts = pairs.iter().map(|(key, value)| format!("{},{}", csv(key), csv(value)));
            parts.collect::<Vec<_>>().join(",")
        }
    }
}

fn json_string(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for c in lossy(text).chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn json(reply: &Reply) -> String {
    match reply {
        Reply::Error(text) => format!("error:{}", json_string(text)),
        Reply::Status(text) | Reply::Bulk(text) | Reply::Verbatim(_, text) => json_string(text),
        Reply::Int(value) => value.to_string(),
        Reply::Double(text) | Reply::BigNumber(text) => lossy(text),
        Reply::Nil => "null".into(),
        Reply::Bool(value) => value.to_string(),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(","))
        }
        Reply::Map(pairs) => {
            let parts = pairs.iter().map(|(key, value)| {
                let key = match key {
                    Reply::Status(text) | Reply::Bulk(text) => json_string(text),
                    other => json_string(json(other).as_bytes()),
                };
                format!("{key}:{}", json(value))
            });
            format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_array_is_indented() {
        let inner = Reply::Array(vec![Reply::Int(1), Reply::Nil]);
        let reply = Reply::Array(vec![Reply::Bulk(b"a".to_vec()), inner]);
        assert_eq!(standard(&reply, ""), "1) \"a\"\n2) 1) (integer) 1\n   2) (nil)\n");
        assert_eq!(csv(&reply), "\"a\",1,NULL");
        assert_eq!(json(&reply), "[\"a\",[1,null]]");
        assert_eq!(raw(&reply, "\n"), b"a\n1\n");
    }
}
