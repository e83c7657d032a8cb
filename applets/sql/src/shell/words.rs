//! The words of a dot-command: divided by blanks, `'…'` taken as it stands, `"…"` with backslash
//! escapes.

/// Splits the line behind its dot.
pub fn split(line: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        rest = rest.get(blanks..).unwrap_or_default();
        let Some(first) = rest.first().copied() else { return words };
        if first == b'\'' || first == b'"' {
            let body = rest.get(1..).unwrap_or_default();
            let end = quoted_end(body, first);
            let text = body.get(..end).unwrap_or_default();
            words.push(if first == b'"' { unescaped(text) } else { text.to_vec() });
            rest = body.get(end + 1..).unwrap_or_default();
        } else {
            let end = rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
            words.push(rest.get(..end).unwrap_or_default().to_vec());
            rest = rest.get(end..).unwrap_or_default();
        }
    }
}

/// Where the closing quote stands; a backslash guards one in double quotes.
fn quoted_end(body: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        match *byte {
            b'\\' if quote == b'"' && body.get(at + 1).is_some() => at += 2,
            byte if byte == quote => return at,
            _ => at += 1,
        }
    }
    body.len()
}

/// Resolves C's escapes.
pub fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'a') => out.push(7),
            Some(b'b') => out.push(8),
            Some(b't') => out.push(b'\t'),
            Some(b'n') => out.push(b'\n'),
            Some(b'v') => out.push(11),
            Some(b'f') => out.push(12),
            Some(b'r') => out.push(b'\r'),
            Some(digit @ b'0'..=b'7') => {
                let mut code = u32::from(digit - b'0');
                for _ in 0..2 {
                    if let Some(next) = bytes.next_if(|next| (b'0'..=b'7').contains(next)) {
                        code = code * 8 + u32::from(next - b'0');
                    }
                }
                out.push(code as u8);
            }
            Some(other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
    out
}

/// `on`, `off`, `yes`, `no` or a number.
pub fn truth(word: &[u8]) -> Option<bool> {
    let text = String::from_utf8_lossy(word).to_ascii_lowercase();
    match text.as_str() {
        "on" | "yes" => Some(true),
        "off" | "no" => Some(false),
        _ => text.parse::<i64>().ok().map(|number| number != 0),
    }
}

/// Whether `text` matches the SQL GLOB or LIKE pattern of a dot-command: letter case aside, `%`
/// and `*` for any run, `_` and `?` for one character.
pub fn like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut pat) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match (pattern.get(pat), text.get(at)) {
            (Some(b'%' | b'*'), _) => {
                retry = Some((pat + 1, at));
                pat += 1;
            }
            (Some(b'_' | b'?'), Some(_)) => (at, pat) = (at + 1, pat + 1),
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => (at, pat) = (at + 1, pat + 1),
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    (pat, at) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(pat..).unwrap_or_default().iter().all(|byte| matches!(byte, b'%' | b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        split(line.as_bytes()).iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect()
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(words("print a 'b c'  \"d\\te\\\"f\" "), ["print", "a", "b c", "d\te\"f"]);
        assert_eq!(words("x ''"), ["x", ""]);
        assert_eq!(words("x 'open"), ["x", "open"]);
        assert_eq!(unescaped(b"\\101\\0\\q\\"), b"A\0q\\");
    }

    #[test]
    fn patterns() {
        assert!(like(b"%b_", b"aBc"));
        assert!(like(b"t*", b"t"));
        assert!(!like(b"t?", b"t"));
        assert!(like(b"", b""));
        assert!(!like(b"a", b"ab"));
    }
}
