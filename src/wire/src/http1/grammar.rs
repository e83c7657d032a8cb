//! The small productions of RFC 9110 section 5.6: tokens, visible bytes, lists, authorities.

/// RFC 9110 section 5.6.2: `tchar`.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let symbols = b"!#$%&'*+-.^_`|~";
    let mut i = 0;
    while i < symbols.len() {
        table[symbols[i] as usize] = true;
        i += 1;
    }
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] = true;
        }
        byte += 1;
    }
    table
};

/// Whether `bytes` is a token: a method, a field name.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// Whether every byte may stand in a field value: visible, space, tab, or beyond ASCII.
///
/// Folded instead of stopped at the first bad byte, so that the compiler makes vectors of it.
pub fn is_field_value(bytes: &[u8]) -> bool {
    let bad = bytes.iter().fold(0u8, |bad, byte| {
        bad | u8::from(*byte < 0x20 && *byte != b'\t') | u8::from(*byte == 0x7f)
    });
    bad == 0
}

/// Whether every byte may stand in a request target: RFC 3986 has no byte beyond `!`..`~`, and no
/// fragment is ever sent.
pub fn is_target(bytes: &[u8]) -> bool {
    let bad = bytes.iter().fold(0u8, |bad, byte| {
        bad | u8::from(!(0x21..=0x7e).contains(byte)) | u8::from(*byte == b'#')
    });
    bad == 0 && !bytes.is_empty()
}

/// Strips optional whitespace (space, tab) on both sides.
pub(super) fn trim_ows(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The items of a comma-separated list, without empty ones (RFC 9110 section 5.6.1).
pub fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim_ows).filter(|item| !item.is_empty())
}

/// Splits `host[:port]`; the host keeps its brackets. `None` when it is neither (RFC 3986
/// section 3.2, without user information, which HTTP forbids).
pub fn authority(value: &[u8]) -> Option<(&str, Option<u16>)> {
    let text = std::str::from_utf8(value).ok()?;
    let (host, port) = if text.starts_with('[') {
        let end = text.find(']')?;
        let (host, rest) = text.split_at(end + 1);
        let inner = &host[1..end];
        if inner.is_empty()
            || !inner.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.')
        {
            return None;
        }
        (host, rest)
    } else {
        let end = text.find(':').unwrap_or(text.len());
        let (host, rest) = text.split_at(end);
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&b);
        if host.is_empty() || !host.bytes().all(allowed) {
            return None;
        }
        (host, rest)
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Some((host, None)),
        None => None,
        Some("") => Some((host, None)),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some((host, Some(digits.parse().ok()?)))
        }
        Some(_) => None,
    }
}
