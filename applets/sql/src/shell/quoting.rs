//! Text as the output modes write it: SQL literals, CSV, JSON, C strings, HTML.

/// Appends `text` as an SQL string literal.
pub fn sql(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'\'');
    for byte in text {
        out.push(*byte);
        if *byte == b'\'' {
            out.push(b'\'');
        }
    }
    out.push(b'\'');
}

/// Appends `text` as an SQL expression on one line: line ends become `replace(...)`.
pub fn sql_one_line(out: &mut Vec<u8>, text: &[u8]) {
    let line_feed = text.contains(&b'\n').then(|| unused_escape(text, b'n'));
    let carriage_return = text.contains(&b'\r').then(|| unused_escape(text, b'r'));
    for escape in [&line_feed, &carriage_return] {
        if escape.is_some() {
            out.extend_from_slice(b"replace(");
        }
    }
    out.push(b'\'');
    for byte in text {
        match (byte, &line_feed, &carriage_return) {
            (b'\n', Some(escape), _) | (b'\r', _, Some(escape)) => out.extend_from_slice(escape),
            (b'\'', ..) => out.extend_from_slice(b"''"),
            _ => out.push(*byte),
        }
    }
    out.push(b'\'');
    for (escape, code) in [(carriage_return, "13"), (line_feed, "10")] {
        if let Some(escape) = escape {
            out.extend_from_slice(b",'");
            out.extend_from_slice(&escape);
            out.extend_from_slice(b"',char(");
            out.extend_from_slice(code.as_bytes());
            out.extend_from_slice(b"))");
        }
    }
}

/// `\n`, or a longer form where the text holds that already.
fn unused_escape(text: &[u8], letter: u8) -> Vec<u8> {
    let mut escape = vec![b'\\', letter];
    let mut count = 0u32;
    while memchr::memmem::find(text, &escape).is_some() {
        escape = [b"\\", [letter].as_slice(), count.to_string().as_bytes()].concat();
        escape = [b"(", escape.as_slice(), b")"].concat();
        count += 1;
    }
    escape
}

/// Appends `bytes` as a blob literal.
pub fn blob(out: &mut Vec<u8>, prefix: u8, bytes: &[u8]) {
    out.push(prefix);
    out.push(b'\'');
    for byte in bytes {
        out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
    }
    out.push(b'\'');
}

/// Appends an identifier, in double quotes where it needs them.
pub fn identifier(out: &mut Vec<u8>, name: &[u8]) {
    let plain = name.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && crate::lex::keyword(name).is_none();
    if plain {
        out.extend_from_slice(name);
        return;
    }
    out.push(b'"');
    for byte in name {
        out.push(*byte);
        if *byte == b'"' {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

/// Appends a CSV field: quoted where it is empty, or holds the separator, a quote, a blank or
/// anything beyond printable ASCII.
pub fn csv(out: &mut Vec<u8>, field: &[u8], separator: &[u8]) {
    let special = |byte: &u8| !matches!(byte, b'!' | b'#'..=b'&' | b'('..=b'~');
    let quoted = field.is_empty()
        || field.iter().any(special)
        || (!separator.is_empty() && memchr::memmem::find(field, separator).is_some());
    if !quoted {
        out.extend_from_slice(field);
        return;
    }
    out.push(b'"');
    for byte in field {
        out.push(*byte);
        if *byte == b'"' {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

/// Appends a JSON string.
pub fn json(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// Appends a string as C and Tcl write it.
pub fn c_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b' '..=b'~' => out.push(*byte),
            _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
    out.push(b'"');
}

/// Appends text for an HTML page.
pub fn html(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            _ => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn line_ends_become_replace() {
        assert_eq!(text(|out| sql_one_line(out, b"a'b")), "'a''b'");
        assert_eq!(text(|out| sql_one_line(out, b"a\nb")), "replace('a\\nb','\\n',char(10))");
        assert_eq!(
            text(|out| sql_one_line(out, b"a\r\nb")),
            "replace(replace('a\\r\\nb','\\r',char(13)),'\\n',char(10))"
        );
        assert_eq!(
            text(|out| sql_one_line(out, b"\\n\n")),
            "replace('\\n(\\n0)','(\\n0)',char(10))"
        );
    }

    #[test]
    fn csv_quotes_what_a_reader_could_misread() {
        for (field, shown) in [
            ("plain", "plain"),
            ("a b", "\"a b\""),
            ("", "\"\""),
            ("q\"q", "\"q\"\"q\""),
            ("a,b", "\"a,b\""),
            ("it's", "\"it's\""),
            ("-1.0e+20", "-1.0e+20"),
        ] {
            assert_eq!(text(|out| csv(out, field.as_bytes(), b",")), shown);
        }
    }

    #[test]
    fn the_other_quotings() {
        assert_eq!(text(|out| json(out, b"a\"\\\n\x01")), "\"a\\\"\\\\\\n\\u0001\"");
        assert_eq!(text(|out| c_string(out, "ä\t".as_bytes())), "\"\\303\\244\\t\"");
        assert_eq!(text(|out| html(out, b"<&>\"'")), "&lt;&amp;&gt;&quot;&#39;");
        assert_eq!(text(|out| blob(out, b'X', &[0, 255])), "X'00ff'");
        assert_eq!(text(|out| identifier(out, b"we ird")), "\"we ird\"");
        assert_eq!(text(|out| identifier(out, b"a1")), "a1");
    }
}
