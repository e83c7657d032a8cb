//! `LIKE` with a pattern that is known: cut at its `%` once, each piece then searched for.
//!
//! A pattern of plain ASCII pieces between `%` is what is asked for nearly always; the first `_`,
//! byte of another character or long text sends the whole pattern to the matcher that knows
//! everything.

use crate::func::pattern;

/// A pattern made ready.
#[derive(Clone, Debug)]
pub struct LikePattern {
    whole: Vec<u8>,
    /// The pieces between `%`, in lower case; `None`: not of that kind.
    pieces: Option<Vec<Piece>>,
    open_start: bool,
    open_end: bool,
}

/// Text to be found without regard to case.
#[derive(Clone, Debug)]
struct Piece {
    lower: Vec<u8>,
    /// Its rarest byte, as lower and upper case, and where it stands.
    rare: (u8, u8),
    rare_at: usize,
}

impl Piece {
    fn new(text: &[u8]) -> Piece {
        let lower = text.to_ascii_lowercase();
        let (rare_at, byte) =
            lower.iter().copied().enumerate().min_by_key(|(_, b)| weight(*b)).unwrap_or((0, 0));
        Piece { rare: (byte, byte.to_ascii_uppercase()), rare_at, lower }
    }

    fn is_at(&self, text: &[u8], at: usize) -> bool {
        text.get(at..at + self.lower.len())
            .is_some_and(|part| part.eq_ignore_ascii_case(&self.lower))
    }

    /// Where it ends, searched from `from` on.
    fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut at = from + self.rare_at;
        loop {
            let rest = text.get(at..)?;
            let (low, up) = self.rare;
            let found =
                if low == up { memchr::memchr(low, rest) } else { memchr::memchr2(low, up, rest) };
            let start = at + found? - self.rare_at;
            if self.is_at(text, start) {
                return Some(start + self.lower.len());
            }
            at = start + self.rare_at + 1;
        }
    }
}

/// How common a byte is in text: the rarest one of a piece is searched for.
fn weight(byte: u8) -> u8 {
    match byte {
        b' ' | b'e' => 20,
        b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 15,
        b'h' | b'l' | b'd' | b'c' | b'u' | b'm' | b'f' | b'p' => 10,
        b'a'..=b'z' => 5,
        b'0'..=b'9' => 7,
        _ => 3,
    }
}

impl LikePattern {
    /// The longest pattern (SQLITE_MAX_LIKE_PATTERN_LENGTH).
    pub const LONGEST: usize = 50_000;

    pub fn new(text: &[u8]) -> LikePattern {
        let plain = text.iter().all(|b| b.is_ascii() && *b != b'_' && *b != 0);
        let pieces = plain.then(|| {
            text.split(|b| *b == b'%').filter(|piece| !piece.is_empty()).map(Piece::new).collect()
        });
        LikePattern {
            whole: text.to_vec(),
            pieces,
            open_start: text.first() == Some(&b'%'),
            open_end: text.last() == Some(&b'%'),
        }
    }

    /// Whether a text matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        let Some(pieces) = &self.pieces else {
            return pattern::like(&self.whole, text, None, false);
        };
        let mut at = 0;
        let (mut pieces, mut last) = (pieces.as_slice(), None);
        if !self.open_end {
            let Some((end, before)) = pieces.split_last() else {
                return self.open_start || text.is_empty();
            };
            if before.is_empty() && !self.open_start {
                return text.eq_ignore_ascii_case(&end.lower);
            }
            (pieces, last) = (before, Some(end));
        }
        if !self.open_start
            && let Some((first, rest)) = pieces.split_first()
        {
            if !first.is_at(text, 0) {
                return false;
            }
            at = first.lower.len();
            pieces = rest;
        }
        for piece in pieces {
            match piece.find(text, at) {
                Some(end) => at = end,
                None => return false,
            }
        }
        last.is_none_or(|end| {
            let start = text.len().checked_sub(end.lower.len());
            start.is_some_and(|start| start >= at && end.is_at(text, start))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_match_as_the_whole_matcher_does() {
        let patterns =
            ["", "%", "%%", "a", "a%", "%a", "%ab%", "ab%ab", "a%b%c", "%b%b%", "abc%abc", "%c"];
        let texts = ["", "a", "A", "ab", "aB", "abc", "abab", "ababc", "xabx", "bb", "b", "abcabc"];
        for pattern in patterns {
            let ready = LikePattern::new(pattern.as_bytes());
            assert!(ready.pieces.is_some());
            for text in texts {
                let known = pattern::like(pattern.as_bytes(), text.as_bytes(), None, false);
                assert_eq!(ready.matches(text.as_bytes()), known, "{text} LIKE {pattern}");
            }
        }
    }
}
