//! JSON text to JSONB: RFC 8259, and JSON5 where it goes beyond.

use super::{Kind, MAX_DEPTH, push_header, push_node};

/// A parsed text.
#[derive(Debug)]
pub struct Parsed {
    pub blob: Vec<u8>,
    /// The text is JSON5 and not plain JSON.
    pub json5: bool,
}

/// Parses a whole text; the error is the offset of the byte that cannot be.
///
/// # Errors
/// Malformed JSON.
pub fn parse(text: &[u8]) -> Result<Parsed, usize> {
    // A zero byte ends the text, as it ends a C string.
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    let mut parser = Parser { text: &text[..end], blob: Vec::new(), json5: false, depth: 0 };
    let at = parser.value(0)?;
    let at = parser.space(at);
    if at < end {
        return Err(at);
    }
    Ok(Parsed { blob: parser.blob, json5: parser.json5 })
}

struct Parser<'t> {
    text: &'t [u8],
    blob: Vec<u8>,
    json5: bool,
    depth: usize,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

fn continues_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit()
}

impl Parser<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn has(&self, at: usize, word: &[u8]) -> bool {
        self.text.get(at..at + word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word))
    }

    /// Skips white space and comments.
    fn space(&mut self, mut at: usize) -> usize {
        loop {
            while is_space(self.byte(at)) {
                at += 1;
            }
            let skipped = self.space5(at);
            if skipped == 0 {
                return at;
            }
            self.json5 = true;
            at += skipped;
        }
    }

    /// How many bytes of white space that only JSON5 knows stand at `at`: one character or comment.
    fn space5(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        match rest {
            [0x0b | 0x0c, ..] => 1,
            [b'/', b'*', tail @ ..] => memchr::memmem::find(tail, b"*/").map_or(0, |n| n + 4),
            [b'/', b'/', tail @ ..] => line_end(tail) + 2,
            [0xc2, 0xa0, ..] => 2,
            [0xe1, 0x9a, 0x80, ..] | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..] => 3,
            [0xe2, 0x81, 0x9f, ..] | [0xe3, 0x80, 0x80, ..] | [0xef, 0xbb, 0xbf, ..] => 3,
            _ => 0,
        }
    }

    /// Parses the value at `at`; the offset behind it.
    fn value(&mut self, at: usize) -> Result<usize, usize> {
        let at = self.space(at);
        match self.byte(at) {
            b'{' => self.nested(at, Kind::Object),
            b'[' => self.nested(at, Kind::Array),
            quote @ (b'"' | b'\'') => self.string(at, quote),
            b't' => self.word(at, b"true", Kind::True),
            b'f' => self.word(at, b"false", Kind::False),
            b'n' if self.text[at..].starts_with(b"null") => self.word(at, b"null", Kind::Null),
            b'+' | b'-' | b'.' | b'0'..=b'9' => self.number(at),
            _ => self.odd_word(at),
        }
    }

    fn word(&mut self, at: usize, word: &[u8], kind: Kind) -> Result<usize, usize> {
        let end = at + word.len();
        if self.text[at..].starts_with(word) && !self.byte(end).is_ascii_alphanumeric() {
            push_header(&mut self.blob, kind, 0);
            return Ok(end);
        }
        Err(at)
    }

    /// `NaN` and `Infinity`, in any case.
    fn odd_word(&mut self, at: usize) -> Result<usize, usize> {
        const WORDS: [(&[u8], bool); 5] = [
            (b"inf", true),
            (b"infinity", true),
            (b"nan", false),
            (b"qnan", false),
            (b"snan", false),
        ];
        for (word, infinite) in WORDS {
            let end = at + word.len();
            if self.has(at, word) && !self.byte(end).is_ascii_alphanumeric() {
                self.json5 = true;
                if infinite {
                    push_node(&mut self.blob, Kind::Float, b"9e999");
                } else {
                    push_header(&mut self.blob, Kind::Null, 0);
                }
                return Ok(end);
            }
        }
        Err(at)
    }

    fn nested(&mut self, at: usize, kind: Kind) -> Result<usize, usize> {
        if self.depth >= MAX_DEPTH {
            return Err(at);
        }
        self.depth += 1;
        let outer = std::mem::take(&mut self.blob);
        let end = if kind == Kind::Object { self.members(at + 1) } else { self.elements(at + 1) };
        let inner = std::mem::replace(&mut self.blob, outer);
        push_node(&mut self.blob, kind, &inner);
        self.depth -= 1;
        end
    }

    /// Behind a value: goes on behind a comma (`false`) or ends behind the bracket (`true`).
    fn separator(&mut self, at: usize, close: u8) -> Result<(usize, bool), usize> {
        let at = self.space(at);
        match self.byte(at) {
            b',' => {
                let next = self.space(at + 1);
                if self.byte(next) == close {
                    self.json5 = true;
                    return Ok((next + 1, true));
                }
                Ok((next, false))
            }
            byte if byte == close => Ok((at + 1, true)),
            _ => Err(at),
        }
    }

    fn elements(&mut self, at: usize) -> Result<usize, usize> {
        let mut at = self.space(at);
        if self.byte(at) == b']' {
            return Ok(at + 1);
        }
        loop {
            at = self.value(at)?;
            let (next, done) = self.separator(at, b']')?;
            if done {
                return Ok(next);
            }
            at = next;
        }
    }

    fn members(&mut self, at: usize) -> Result<usize, usize> {
        let mut at = self.space(at);
        if self.byte(at) == b'}' {
            return Ok(at + 1);
        }
        loop {
            at = self.label(at)?;
            at = self.space(at);
            if self.byte(at) != b':' {
                return Err(at);
            }
            at = self.value(at + 1)?;
            let (next, done) = self.separator(at, b'}')?;
            if done {
                return Ok(next);
            }
            at = next;
        }
    }

    fn label(&mut self, at: usize) -> Result<usize, usize> {
        let quote = self.byte(at);
        if matches!(quote, b'"' | b'\'') {
            return self.string(at, quote);
        }
        let mut kind = Kind::Text;
        let mut end = at;
        loop {
            let byte = self.byte(end);
            let fits = if end == at { starts_name(byte) } else { continues_name(byte) };
            if fits && self.space5(end) == 0 {
                end += 1;
            } else if byte == b'\\' && self.byte(end + 1) == b'u' && self.is_hex(end + 2, 4) {
                kind = Kind::TextJ;
                end += 6;
            } else {
                break;
            }
        }
        if end == at {
            return Err(at);
        }
        self.json5 = true;
        push_node(&mut self.blob, kind, &self.text[at..end]);
        Ok(end)
    }

    fn is_hex(&self, at: usize, count: usize) -> bool {
        self.text.get(at..at + count).is_some_and(|t| t.iter().all(u8::is_ascii_hexdigit))
    }

    fn string(&mut self, at: usize, quote: u8) -> Result<usize, usize> {
        if quote == b'\'' {
            self.json5 = true;
        }
        let mut kind = Kind::Text;
        let mut end = at + 1;
        loop {
            let Some(&byte) = self.text.get(end) else { return Err(end) };
            match byte {
                _ if byte == quote => break,
                b'\\' => {
                    end += 1;
                    if self.is_plain_escape(end) {
                        if kind == Kind::Text {
                            kind = Kind::TextJ;
                        }
                    } else if self.is_escape5(end) {
                        kind = Kind::Text5;
                        self.json5 = true;
                        if self.byte(end) == b'\r' && self.byte(end + 1) == b'\n' {
                            end += 1;
                        }
                    } else {
                        return Err(end);
                    }
                }
                0..=0x1f => {
                    kind = Kind::Text5;
                    self.json5 = true;
                }
                b'"' => kind = Kind::Text5,
                _ => {}
            }
            end += 1;
        }
        push_node(&mut self.blob, kind, &self.text[at + 1..end]);
        Ok(end + 1)
    }

    fn is_plain_escape(&self, at: usize) -> bool {
        match self.byte(at) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => true,
            b'u' => self.is_hex(at + 1, 4),
            _ => false,
        }
    }

    fn is_escape5(&self, at: usize) -> bool {
        match self.byte(at) {
            b'\'' | b'v' | b'\n' | b'\r' => true,
            b'0' => !self.byte(at + 1).is_ascii_digit(),
            b'x' => self.is_hex(at + 1, 2),
            0xe2 => self.byte(at + 1) == 0x80 && matches!(self.byte(at + 2), 0xa8 | 0xa9),
            _ => false,
        }
    }

    fn number(&mut self, at: usize) -> Result<usize, usize> {
        let sign = usize::from(matches!(self.byte(at), b'+' | b'-'));
        let first = at + sign;
        let mut odd = self.byte(at) == b'+';
        self.json5 |= odd;
        if sign == 1 && self.has(first, b"inf") {
            self.json5 = true;
            let text: &[u8] = if self.byte(at) == b'-' { b"-9e999" } else { b"9e999" };
            push_node(&mut self.blob, Kind::Float, text);
            return Ok(first + if self.has(first + 3, b"inity") { 8 } else { 3 });
        }
        odd = false;
        if self.byte(first) == b'0' {
            if matches!(self.byte(first + 1), b'x' | b'X')
                && self.byte(first + 2).is_ascii_hexdigit()
            {
                let digits = self.text[first + 2..].iter().take_while(|b| b.is_ascii_hexdigit());
                let end = first + 2 + digits.count();
                return Ok(self.push_number(at, end, Kind::Int5));
            }
            if self.byte(first + 1).is_ascii_digit() {
                return Err(first + usize::from(sign == 0));
            }
        }
        let digits = |from: usize| {
            let tail = self.text.get(from..).unwrap_or_default();
            from + tail.iter().take_while(|b| b.is_ascii_digit()).count()
        };
        let mut end = digits(first);
        let mut real = false;
        let whole = end > first;
        if self.byte(end) == b'.' {
            let fraction = digits(end + 1);
            let any = fraction > end + 1;
            if !whole && !any {
                return Err(at);
            }
            odd = !whole || !any;
            real = true;
            end = fraction;
        } else if !whole {
            return Err(at);
        }
        if matches!(self.byte(end), b'e' | b'E') {
            let exponent = end + 1 + usize::from(matches!(self.byte(end + 1), b'+' | b'-'));
            if !self.byte(exponent).is_ascii_digit() {
                return Err(exponent - 1);
            }
            real = true;
            end = digits(exponent);
        }
        if matches!(self.byte(end), b'.' | b'e' | b'E') {
            return Err(end);
        }
        Ok(self.push_number(
            at,
            end,
            match (real, odd) {
                (false, _) => Kind::Int,
                (true, false) => Kind::Float,
                (true, true) => Kind::Float5,
            },
        ))
    }

    fn push_number(&mut self, at: usize, end: usize, kind: Kind) -> usize {
        let start = at + usize::from(self.byte(at) == b'+');
        self.json5 |= matches!(kind, Kind::Int5 | Kind::Float5);
        push_node(&mut self.blob, kind, &self.text[start..end]);
        end
    }
}

/// The end of a line comment: LF, CR, U+2028 or U+2029.
fn line_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\n' | b'\r' => return at,
            0xe2 if matches!(text.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9])) => return at,
            _ => at += 1,
        }
    }
    at
}
