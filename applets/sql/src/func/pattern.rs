//! `LIKE` and `GLOB`: both walk bytes, a character being one UTF-8 sequence.

/// Bytes of the UTF-8 sequence that starts with `first`.
fn sequence_len(first: u8) -> usize {
    match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
        _ => 1,
    }
}

/// Cuts the first character off.
pub fn first_char(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = sequence_len(*text.first()?);
    let len = 1 + text.iter().take(len).skip(1).take_while(|b| **b & 0xc0 == 0x80).count();
    text.split_at_checked(len)
}

/// `text LIKE pattern ESCAPE escape`: letters of ASCII match without their case.
pub fn like(pattern: &[u8], text: &[u8], escape: Option<&[u8]>, case: bool) -> bool {
    let mut pattern = pattern;
    let mut text = text;
    // Where to go on when a match behind the last `%` fails: a later `%` makes the earlier one final.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let step = like_step(&mut pattern, &mut text, escape, case);
        match step {
            Step::Any(behind) => {
                if behind.is_empty() {
                    return true;
                }
                pattern = behind;
                retry = Some((behind, text));
            }
            Step::Matched => {}
            Step::Done => return true,
            Step::Failed => {
                let Some((behind, from)) = retry else { return false };
                let Some((_, rest)) = first_char(from) else { return false };
                let rest = skip_to(behind, rest, escape, case);
                pattern = behind;
                text = rest;
                retry = Some((behind, rest));
            }
        }
    }
}

/// Skips text that cannot match the plain character that a pattern begins with.
fn skip_to<'t>(pattern: &[u8], text: &'t [u8], escape: Option<&[u8]>, case: bool) -> &'t [u8] {
    let Some(&first) = pattern.first() else { return text };
    if matches!(first, b'_' | b'%') || first >= 0x80 || escape.is_some_and(|e| e[0] == first) {
        return text;
    }
    let at = if case || !first.is_ascii_alphabetic() {
        memchr::memchr(first, text)
    } else {
        memchr::memchr2(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text)
    };
    text.get(at.unwrap_or(text.len())..).unwrap_or_default()
}

enum Step<'p> {
    Any(&'p [u8]),
    Matched,
    Done,
    Failed,
}

fn like_step<'p>(
    pattern: &mut &'p [u8],
    text: &mut &[u8],
    escape: Option<&[u8]>,
    case: bool,
) -> Step<'p> {
    let Some((mut want, mut behind)) = first_char(pattern) else {
        return if text.is_empty() { Step::Done } else { Step::Failed };
    };
    let mut literal = false;
    if Some(want) == escape {
        let Some((next, rest)) = first_char(behind) else { return Step::Failed };
        (want, behind, literal) = (next, rest, true);
    }
    if !literal && want == b"%" {
        return Step::Any(behind);
    }
    let Some((have, rest)) = first_char(text) else { return Step::Failed };
    let same = !literal && want == b"_"
        || if case { want == have } else { want.eq_ignore_ascii_case(have) };
    if !same {
        return Step::Failed;
    }
    *pattern = behind;
    *text = rest;
    Step::Matched
}

/// `text GLOB pattern`: `*`, `?`, `[a-z]`, `[^a-z]`.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let mut pattern = pattern;
    let mut text = text;
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let matched = match first_char(pattern) {
            None if text.is_empty() => return true,
            None => None,
            Some((b"*", behind)) => {
                if behind.is_empty() {
                    return true;
                }
                pattern = behind;
                retry = Some((behind, text));
                continue;
            }
            Some((want, behind)) => match first_char(text) {
                None => None,
                Some((have, rest)) => match want {
                    b"?" => Some((behind, rest)),
                    b"[" => class(behind, have).map(|behind| (behind, rest)),
                    _ => (want == have).then_some((behind, rest)),
                },
            },
        };
        if let Some((behind, rest)) = matched {
            pattern = behind;
            text = rest;
            continue;
        }
        let Some((behind, from)) = retry else { return false };
        let Some((_, rest)) = first_char(from) else { return false };
        pattern = behind;
        text = rest;
        retry = Some((behind, rest));
    }
}

/// Whether `have` is in the class behind `[`; what stands behind its `]`.
fn class<'p>(mut pattern: &'p [u8], have: &[u8]) -> Option<&'p [u8]> {
    let value =
        |c: &[u8]| str::from_utf8(c).ok().and_then(|c| c.chars().next()).map_or(0xfffd, u32::from);
    let have = value(have);
    let invert = pattern.first() == Some(&b'^');
    if invert {
        pattern = &pattern[1..];
    }
    let mut seen = false;
    let mut previous = None;
    if pattern.first() == Some(&b']') {
        seen = have == u32::from(b']');
        pattern = &pattern[1..];
    }
    loop {
        let (c, rest) = first_char(pattern)?;
        pattern = rest;
        match c {
            b"]" => return (seen != invert).then_some(pattern),
            b"-" if previous.is_some() && !matches!(pattern.first(), None | Some(b']')) => {
                let (high, rest) = first_char(pattern)?;
                pattern = rest;
                let low = previous.take().unwrap_or(0);
                seen |= (low..=value(high)).contains(&have);
            }
            _ => {
                seen |= have == value(c);
                previous = Some(value(c));
            }
        }
    }
}

#[cfg(test)]
mod tests {

    #[test]
    fn like_matches_as_sqlite_does() {
        let like = |p: &str, t: &str| super::like(p.as_bytes(), t.as_bytes(), None, false);
        assert!(like("%b_d%", "aBxDe"));
        assert!(like("%", ""));
        assert!(!like("_", ""));
        assert!(like("a%c%e", "abcde"));
        assert!(!like("a%c%f", "abcde"));
        assert!(like("_x", "éx"));
        assert!(super::like(b"10!%", b"10%", Some(b"!"), false));
        assert!(!super::like(b"10!%", b"100", Some(b"!"), false));
    }

    #[test]
    fn glob_matches_as_sqlite_does() {
        let glob = |p: &str, t: &str| super::glob(p.as_bytes(), t.as_bytes());
        assert!(glob("a*[b-d]?", "axxcz"));
        assert!(!glob("A", "a"));
        assert!(glob("[^a]", "b"));
        assert!(glob("[]]", "]"));
        assert!(!glob("[a", "a"));
    }
}
