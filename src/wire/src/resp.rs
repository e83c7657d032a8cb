//! RESP, the protocol of Redis and Valkey: requests as a server reads them, replies as a client
//! reads them.
//!
//! A request is `*N\r\n` and N times `$LEN\r\nBYTES\r\n`, or an *inline* line of words
//! for a person at a terminal. The parser keeps its state between reads, so that a request that
//! arrives byte by byte costs linear time, and hands out ranges of the caller's buffer: nothing is
//! copied.
//!
//! ```text
//! *2\r\n$3\r\nGET\r\n$1\r\nk\r\n      -> ranges [8..11, 17..18]
//! ```

use std::ops::Range;

use memchr::memchr;

use crate::decimal::{parse_i64, push_i64};

/// The longest line: an inline request, or the count in front of arguments.
pub const LINE_MAX: usize = 64 * 1024;
/// Arguments and bytes of a bulk that a client may send before it has authenticated.
const UNAUTHENTICATED: (i64, i64) = (10, 16 * 1024);

/// Limits of a request, as the server is configured.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest argument (`proto-max-bulk-len`).
    pub bulk_bytes: usize,
    /// Whether the client has authenticated, or need not.
    pub authenticated: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bulk_bytes: 512 << 20, authenticated: true }
    }
}

/// What a call of [`RequestParser::parse`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole request: its arguments stand in [`RequestParser::args`] and the next one begins at
    /// this offset. There may be no argument: `*0` and an empty line are skipped by servers.
    Done(usize),
    /// More bytes are needed; `reserve` of them if a long argument is being read.
    More {
        /// Bytes still missing of the argument being read, as far as it is known.
        reserve: usize,
    },
    /// The stream is broken: this is the text behind `-ERR Protocol error: `.
    Broken(String),
}

/// The state of reading one request.
#[derive(Debug, Default)]
pub struct RequestParser {
    ranges: Vec<Range<usize>>,
    /// Text of an inline request with quotes, where ranges of the input do not do.
    unquoted: Option<Vec<u8>>,
    /// Offset of the byte to be looked at next.
    at: usize,
    /// Arguments still to come; `None` between requests.
    left: Option<i64>,
    /// Length of the argument being read.
    bulk: Option<usize>,
}

impl RequestParser {
    /// Begins a request at offset `start` of the buffer.
    pub fn start(&mut self, start: usize) {
        self.at = start;
        self.left = None;
        self.bulk = None;
        self.ranges.clear();
        self.unquoted = None;
    }

    /// Whether a request has begun and is not complete.
    pub fn is_midway(&self) -> bool {
        self.left.is_some()
    }

    /// Tells that the first `count` bytes of the buffer are gone.
    pub fn shift(&mut self, count: usize) {
        self.at -= count;
        for range in &mut self.ranges {
            range.start -= count;
            range.end -= count;
        }
    }

    /// Goes on with the request in `input`.
    #[inline]
    pub fn parse(&mut self, input: &[u8], limits: &Limits) -> Step {
        if self.left.is_none() {
            match input.get(self.at) {
                None => return Step::More { reserve: 0 },
                Some(b'*') => {
                    if let Err(step) = self.count(input, limits) {
                        return step;
                    }
                }
                Some(_) => return self.inline(input),
            }
        }
        self.arguments(input, limits)
    }

    /// The arguments of the request that [`Step::Done`] has announced.
    #[inline]
    pub fn args<'a>(&'a self, input: &'a [u8]) -> Args<'a> {
        Args { bytes: self.unquoted.as_deref().unwrap_or(input), ranges: &self.ranges }
    }

    fn count(&mut self, input: &[u8], limits: &Limits) -> Result<(), Step> {
        let (line, next) = line(input, self.at + 1, "too big mbulk count string")?;
        let count = match parse_i64(line) {
            Some(count) if count <= i64::from(i32::MAX) => count,
            _ => return Err(Step::Broken("invalid multibulk length".into())),
        };
        if count > UNAUTHENTICATED.0 && !limits.authenticated {
            return Err(Step::Broken("unauthenticated multibulk length".into()));
        }
        self.at = next;
        self.left = Some(count.max(0));
        Ok(())
    }

    #[inline]
    fn arguments(&mut self, input: &[u8], limits: &Limits) -> Step {
        while self.left.unwrap_or(0) > 0 {
            let len = match self.bulk {
                Some(len) => len,
                None => match self.bulk_len(input, limits) {
                    Ok(len) => len,
                    Err(step) => return step,
                },
            };
            let end = self.at + len;
            if input.len() < end + 2 {
                self.bulk = Some(len);
                return Step::More { reserve: end + 2 - input.len() };
            }
            self.ranges.push(self.at..end);
            self.at = end + 2;
            self.bulk = None;
            self.left = self.left.map(|left| left - 1);
        }
        Step::Done(self.at)
    }

    #[inline]
    fn bulk_len(&mut self, input: &[u8], limits: &Limits) -> Result<usize, Step> {
        // Lengths of one or two digits are nearly all there are.
        match input.get(self.at..self.at + 5) {
            Some([b'$', d @ b'0'..=b'9', b'\r', b'\n', _]) => {
                self.at += 4;
                return Ok(usize::from(d - b'0'));
            }
            Some([b'$', t @ b'1'..=b'9', d @ b'0'..=b'9', b'\r', b'\n']) => {
                self.at += 5;
                return Ok(usize::from(t - b'0') * 10 + usize::from(d - b'0'));
            }
            _ => {}
        }
        let Some(&sign) = input.get(self.at) else { return Err(Step::More { reserve: 0 }) };
        let (line, next) = line(input, self.at, "too big bulk count string")?;
        if sign != b'$' {
            return Err(Step::Broken(format!("expected '$', got '{}'", char::from(sign))));
        }
        let len = match parse_i64(line.get(1..).unwrap_or_default()) {
            Some(len) if len >= 0 && len as u64 <= limits.bulk_bytes as u64 => len,
            _ => return Err(Step::Broken("invalid bulk length".into())),
        };
        if len > UNAUTHENTICATED.1 && !limits.authenticated {
            return Err(Step::Broken("unauthenticated bulk length".into()));
        }
        self.at = next;
        Ok(len as usize)
    }

    fn inline(&mut self, input: &[u8]) -> Step {
        let rest = input.get(self.at..).unwrap_or_default();
        let Some(end) = memchr(b'\n', rest) else {
            return if rest.len() > LINE_MAX {
                Step::Broken("too big inline request".into())
            } else {
                Step::More { reserve: 0 }
            };
        };
        let line = rest.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(words) = split_words(line) else {
            return Step::Broken("unbalanced quotes in request".into());
        };
        let mut text = Vec::with_capacity(line.len());
        for word in words {
            let start = text.len();
            text.extend_from_slice(&word);
            self.ranges.push(start..text.len());
        }
        self.unquoted = Some(text);
        self.at += end + 1;
        Step::Done(self.at)
    }
}

/// The line at `from` without its `\r\n`, and the offset behind it.
#[inline]
fn line<'a>(input: &'a [u8], from: usize, too_big: &str) -> Result<(&'a [u8], usize), Step> {
    let rest = input.get(from..).unwrap_or_default();
    match memchr(b'\r', rest) {
        // The '\n' must have arrived too; what it is, is not looked at (as the incumbents do).
        Some(end) if end + 1 < rest.len() => {
            Ok((rest.get(..end).unwrap_or_default(), from + end + 2))
        }
        None if rest.len() > LINE_MAX => Err(Step::Broken(too_big.into())),
        _ => Err(Step::More { reserve: 0 }),
    }
}

/// The arguments of one request, in the buffer that they arrived in.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    ranges: &'a [Range<usize>],
}

impl<'a> Args<'a> {
    /// Arguments that stand in `bytes` at `ranges`; a range outside of it is an empty argument.
    pub fn new(bytes: &'a [u8], ranges: &'a [Range<usize>]) -> Args<'a> {
        Args { bytes, ranges }
    }

    /// How many there are, the command's name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The argument number `index`, if there are that many.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.ranges.get(index).map(|range| self.bytes.get(range.clone()).unwrap_or_default())
    }

    /// The argument number `index`, empty if there are fewer.
    #[inline]
    pub fn at(&self, index: usize) -> &'a [u8] {
        self.get(index).unwrap_or_default()
    }

    /// All from number `index` on.
    #[inline]
    pub fn from(&self, index: usize) -> Args<'a> {
        Args { bytes: self.bytes, ranges: self.ranges.get(index..).unwrap_or_default() }
    }

    /// One after the other.
    #[inline]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + use<'a> {
        let bytes = self.bytes;
        self.ranges.iter().map(move |range| bytes.get(range.clone()).unwrap_or_default())
    }
}

/// Splits a line into words as the incumbents' inline requests, configuration files and client
/// do: `"…"` knows `\n \r \t \b \a \xHH \\ \"`, `'…'` only `\'`, and a closing quote must be
/// followed by a space. `None` when quotes do not balance.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        while let [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, tail @ ..] = rest {
            rest = tail;
        }
        // A zero byte ends the line, as it does for a C string.
        if matches!(rest, [] | [0, ..]) {
            return Some(words);
        }
        let mut word = Vec::new();
        rest = split_word(rest, &mut word)?;
        words.push(word);
    }
}

fn split_word<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] | [b' ' | b'\t' | b'\n' | b'\r' | 0, ..] => return Some(rest),
            [b'"', tail @ ..] => return ends_word(double_quoted(tail, word)?),
            [b'\'', tail @ ..] => return ends_word(single_quoted(tail, word)?),
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

fn ends_word(rest: &[u8]) -> Option<&[u8]> {
    match rest.first() {
        None => Some(rest),
        Some(byte) if byte.is_ascii_whitespace() || *byte == 0x0b => Some(rest),
        Some(_) => None,
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(*high) << 4 | hex(*low));
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                tail
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'\'', tail @ ..] => return Some(tail),
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                tail
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
        }
    }
}

fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).unwrap_or(0) as u8
}

/// Appends a request to `out`.
pub fn push_request<A: AsRef<[u8]>>(out: &mut Vec<u8>, args: impl ExactSizeIterator<Item = A>) {
    out.push(b'*');
    push_i64(out, args.len() as i64);
    out.extend_from_slice(b"\r\n");
    for arg in args {
        push_bulk(out, arg.as_ref());
    }
}

/// Appends a bulk string to `out`.
#[inline]
pub fn push_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    push_i64(out, bytes.len() as i64);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A reply, as a client reads it.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+text`
    Status(Vec<u8>),
    /// `-text`
    Error(Vec<u8>),
    /// `:1`
    Int(i64),
    /// `$…`, and `=…` whose format word is in front
    Bulk(Vec<u8>),
    /// `=…`: text with its three-letter format
    Verbatim(Vec<u8>, Vec<u8>),
    /// `$-1`, `*-1`, `_`
    Nil,
    /// `#t`, `#f`
    Bool(bool),
    /// `,1.5`: the text as it came
    Double(Vec<u8>),
    /// `(123`
    BigNumber(Vec<u8>),
    /// `*…`
    Array(Vec<Reply>),
    /// `~…`
    Set(Vec<Reply>),
    /// `%…`
    Map(Vec<(Reply, Reply)>),
    /// `>…`
    Push(Vec<Reply>),
}

/// Why bytes are not a reply (yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReply {
    /// More bytes are needed.
    Incomplete,
    /// No reply begins like this.
    Broken,
}

/// Replies may nest this deep.
const DEPTH_MAX: usize = 128;

impl Reply {
    /// The reply at the start of `input`, and the bytes behind it.
    ///
    /// # Errors
    /// [`NotReply`] tells whether more bytes would help.
    pub fn parse(input: &[u8]) -> Result<(Reply, &[u8]), NotReply> {
        parse_reply(input, DEPTH_MAX)
    }
}

fn parse_reply(input: &[u8], depth: usize) -> Result<(Reply, &[u8]), NotReply> {
    let (&kind, rest) = input.split_first().ok_or(NotReply::Incomplete)?;
    let end = memchr(b'\n', rest).ok_or(NotReply::Incomplete)?;
    let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(NotReply::Broken)?;
    let rest = rest.get(end + 1..).unwrap_or_default();
    let simple = |reply| Ok((reply, rest));
    match kind {
        b'+' => simple(Reply::Status(line.to_vec())),
        b'-' => simple(Reply::Error(line.to_vec())),
        b':' => simple(Reply::Int(parse_i64(line).ok_or(NotReply::Broken)?)),
        b',' => simple(Reply::Double(line.to_vec())),
        b'(' => simple(Reply::BigNumber(line.to_vec())),
        b'_' => simple(Reply::Nil),
        b'#' => simple(Reply::Bool(line == b"t")),
        b'$' | b'=' | b'!' => parse_blob(kind, line, rest),
        b'*' | b'~' | b'>' | b'%' | b'|' => {
            let depth = depth.checked_sub(1).ok_or(NotReply::Broken)?;
            parse_aggregate(kind, line, rest, depth)
        }
        _ => Err(NotReply::Broken),
    }
}

fn parse_blob<'a>(kind: u8, line: &[u8], rest: &'a [u8]) -> Result<(Reply, &'a [u8]), NotReply> {
    let len = parse_i64(line).ok_or(NotReply::Broken)?;
    let Ok(len) = usize::try_from(len) else { return Ok((Reply::Nil, rest)) };
    let bytes = rest.get(..len).ok_or(NotReply::Incomplete)?;
    let after = len.checked_add(2).and_then(|end| rest.get(end..)).ok_or(NotReply::Incomplete)?;
    let reply = match (kind, bytes) {
        (b'!', _) => Reply::Error(bytes.to_vec()),
        (b'=', [a, b, c, b':', text @ ..]) => Reply::Verbatim(vec![*a, *b, *c], text.to_vec()),
        _ => Reply::Bulk(bytes.to_vec()),
    };
    Ok((reply, after))
}

fn parse_aggregate<'a>(
    kind: u8,
    line: &[u8],
    mut rest: &'a [u8],
    depth: usize,
) -> Result<(Reply, &'a [u8]), NotReply> {
    let count = parse_i64(line).ok_or(NotReply::Broken)?;
    let Ok(count) = usize::try_from(count) else { return Ok((Reply::Nil, rest)) };
    let pairs = matches!(kind, b'%' | b'|');
    let total = if pairs { count.saturating_mul(2) } else { count };
    // Every element has three bytes at least: a count beyond that is waiting for them.
    let mut items = Vec::with_capacity(total.min(rest.len() / 3));
    for _ in 0..total {
        let (item, next) = parse_reply(rest, depth)?;
        items.push(item);
        rest = next;
    }
    Ok(match kind {
        b'*' => (Reply::Array(items), rest),
        b'~' => (Reply::Set(items), rest),
        b'>' => (Reply::Push(items), rest),
        b'%' => (Reply::Map(pair_up(items)), rest),
        // An attribute says something about the reply behind it; clients without use for it skip it.
        _ => return parse_reply(rest, depth),
    })
}

fn pair_up(items: Vec<Reply>) -> Vec<(Reply, Reply)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(input: &[u8], piece: usize) -> (Vec<Vec<Vec<u8>>>, Option<String>) {
        let mut parser = RequestParser::default();
        let (mut all, mut start) = (Vec::new(), 0);
        parser.start(0);
        let mut have = 0;
        while have < input.len() {
            have = (have + piece).min(input.len());
            loop {
                let seen = &input[..have];
                match parser.parse(seen, &Limits::default()) {
                    Step::Done(next) => {
                        all.push(parser.args(seen).iter().map(<[u8]>::to_vec).collect());
                        start = next;
                        parser.start(start);
                    }
                    Step::More { .. } => break,
                    Step::Broken(why) => return (all, Some(why)),
                }
            }
        }
        let _ = start;
        (all, None)
    }

    #[test]
    fn every_cut_of_the_stream_gives_the_same_requests() {
        let input =
            b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING \"a b\"\r\n*1\r\n$11\r\nhello world\r\n*0\r\n\r\n";
        let whole = requests(input, input.len());
        assert_eq!(whole.0.len(), 5);
        assert_eq!(whole.0[1], [b"PING".to_vec(), b"a b".to_vec()]);
        for piece in 1..input.len() {
            assert_eq!(requests(input, piece), whole, "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_broken_is_named() {
        for (input, why) in [
            (&b"*3000000000\r\n"[..], "invalid multibulk length"),
            (b"*x\r\n", "invalid multibulk length"),
            (b"*1\r\nfoo\r\n", "expected '$', got 'f'"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$600000000\r\n", "invalid bulk length"),
            (b"get \"a\r\n", "unbalanced quotes in request"),
        ] {
            assert_eq!(requests(input, 1).1.as_deref(), Some(why));
        }
    }

    #[test]
    fn replies_are_read_and_every_prefix_asks_for_more() {
        let input = b"*3\r\n:1\r\n$2\r\nab\r\n%1\r\n+k\r\n~2\r\n#t\r\n,1.5\r\n";
        let (reply, rest) = Reply::parse(input).unwrap();
        assert!(rest.is_empty());
        let Reply::Array(items) = reply else { panic!("{reply:?}") };
        assert_eq!(items[1], Reply::Bulk(b"ab".to_vec()));
        for cut in 0..input.len() {
            assert_eq!(Reply::parse(&input[..cut]), Err(NotReply::Incomplete), "{cut}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let input = b"*1\r\n".repeat(100_000);
        assert_eq!(Reply::parse(&input), Err(NotReply::Broken));
    }

    #[test]
    fn no_mutation_makes_the_parsers_panic() {
        let seed = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n%1\r\n+a\r\n=7\r\ntxt:abc\r\n\"\\x41\" 'b'\r\n";
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            let mut input = seed.to_vec();
            for _ in 0..3 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let at = (state >> 33) as usize % input.len();
                input[at] = (state >> 24) as u8;
            }
            let _ = requests(&input, 7);
            let _ = Reply::parse(&input);
        }
    }
}
