//! Replies of RESP2 and RESP3 as a client reads them off a socket, in pieces of any size.
//!
//! [`ReplyDecoder`] builds values; it keeps the aggregates it is inside of on a stack of its own, so
//! that a reply of a million elements costs linear time however it arrives. [`ReplySkipper`] builds
//! nothing: it finds the end of each reply and tells whether it was an error, which is all that a
//! load generator wants to know.
//!
//! ```text
//! *2\r\n  :1\r\n  %1\r\n +k\r\n $1\r\n v\r\n   stack: [*: 2 left] -> [*: 1 left][%: 2 left] -> ...
//! ```

use memchr::memchr;

use crate::decimal::parse_i64;
use crate::resp::Reply;

/// Aggregates may nest this deep.
const DEPTH_MAX: usize = 128;
/// The longest line in front of a body, or simple string.
const LINE_MAX: usize = 64 << 20;
/// The longest blob that is waited for.
const BLOB_MAX: i64 = 1 << 40;
/// Most elements that room is made for before they have arrived.
const RESERVE_MAX: usize = 4096;

/// The stream is no RESP; the words are for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

fn unknown_type(byte: u8) -> Broken {
    let shown = match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b'\n' => "\\n".into(),
        b'\r' => "\\r".into(),
        b'\t' => "\\t".into(),
        0x07 => "\\a".into(),
        0x08 => "\\b".into(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    Broken(format!("Protocol error, got \"{shown}\" as reply type byte"))
}

/// An aggregate whose elements are still arriving.
#[derive(Debug)]
struct Frame {
    kind: u8,
    left: usize,
    items: Vec<Reply>,
}

impl Frame {
    fn close(self) -> Option<Reply> {
        Some(match self.kind {
            b'*' => Reply::Array(self.items),
            b'~' => Reply::Set(self.items),
            b'>' => Reply::Push(self.items),
            b'%' => Reply::Map(pairs(self.items)),
            // An attribute speaks about the reply behind it; there is no use for it here.
            _ => return None,
        })
    }
}

fn pairs(items: Vec<Reply>) -> Vec<(Reply, Reply)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// What stands at the front of the input.
enum Front {
    /// A reply without elements.
    Whole(Reply),
    /// The head of an aggregate: its kind and how many elements follow.
    Head(u8, usize),
}

/// Reads replies from bytes that arrive in pieces.
#[derive(Debug, Default)]
pub struct ReplyDecoder {
    buffer: Vec<u8>,
    /// What is in front of this offset has been decoded.
    start: usize,
    stack: Vec<Frame>,
}

impl ReplyDecoder {
    /// Takes bytes that have arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The bytes behind the last decoded reply, which are given up: what follows is not RESP (the
    /// payload of SYNC).
    pub fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.buffer.split_off(self.start.min(self.buffer.len()));
        self.buffer.clear();
        self.start = 0;
        rest
    }

    /// Whether a part of a reply has arrived.
    pub fn is_midway(&self) -> bool {
        !self.stack.is_empty() || self.start < self.buffer.len()
    }

    /// The next reply, or `None` until more has arrived.
    ///
    /// # Errors
    /// The bytes are no RESP; nothing can be decoded after that.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, Broken> {
        loop {
            let input = self.buffer.get(self.start..).unwrap_or_default();
            let Some((front, length)) = front(input)? else { return Ok(None) };
            self.start += length;
            let mut done = match front {
                Front::Whole(reply) => Some(reply),
                Front::Head(kind, count) => self.open(kind, count)?,
            };
            while let Some(reply) = done {
                let Some(frame) = self.stack.last_mut() else { return Ok(Some(reply)) };
                frame.items.push(reply);
                frame.left -= 1;
                done = if frame.left == 0 { self.stack.pop().and_then(Frame::close) } else { None };
            }
        }
    }

    /// Begins an aggregate; one without elements is complete at once.
    fn open(&mut self, kind: u8, count: usize) -> Result<Option<Reply>, Broken> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(Broken("replies nest too deep".into()));
        }
        let frame = Frame { kind, left: count, items: Vec::with_capacity(count.min(RESERVE_MAX)) };
        if count == 0 {
            return Ok(frame.close());
        }
        self.stack.push(frame);
        Ok(None)
    }
}

/// The first line of `input` without its end, and the offset behind it.
fn line(input: &[u8]) -> Result<Option<(&[u8], usize)>, Broken> {
    match memchr(b'\n', input) {
        Some(end) => {
            let line = input.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").ok_or_else(|| Broken("bad line end".into()))?;
            Ok(Some((line, end + 1)))
        }
        None if input.len() > LINE_MAX => Err(Broken("too big line".into())),
        None => Ok(None),
    }
}

fn front(input: &[u8]) -> Result<Option<(Front, usize)>, Broken> {
    let Some(&kind) = input.first() else { return Ok(None) };
    if !b"+-:$*_#,(!=%~>|".contains(&kind) {
        return Err(unknown_type(kind));
    }
    let Some((head, behind)) = line(input)? else { return Ok(None) };
    let text = head.get(1..).unwrap_or_default();
    let reply = match kind {
        b'+' => Reply::Status(text.to_vec()),
        b'-' => Reply::Error(text.to_vec()),
        b':' => Reply::Int(parse_i64(text).ok_or_else(|| Broken("Bad integer value".into()))?),
        b',' => Reply::Double(text.to_vec()),
        b'(' => Reply::BigNumber(text.to_vec()),
        b'_' => Reply::Nil,
        b'#' => Reply::Bool(match text {
            b"t" | b"T" => true,
            b"f" | b"F" => false,
            _ => return Err(Broken("Bad bool value".into())),
        }),
        b'$' | b'!' | b'=' => return blob(kind, text, input, behind),
        _ => {
            let count = count(kind, text)?;
            return Ok(Some(match count {
                Some(count) => (Front::Head(kind, count), behind),
                None => (Front::Whole(Reply::Nil), behind),
            }));
        }
    };
    Ok(Some((Front::Whole(reply), behind)))
}

/// How many replies an aggregate holds; `None` for the null array of RESP2.
fn count(kind: u8, text: &[u8]) -> Result<Option<usize>, Broken> {
    let out_of_range = || Broken("Multi-bulk length out of range".into());
    let count = parse_i64(text).filter(|count| *count >= -1 && *count <= i64::from(i32::MAX));
    let Ok(count) = usize::try_from(count.ok_or_else(out_of_range)?) else { return Ok(None) };
    Ok(Some(if matches!(kind, b'%' | b'|') { count * 2 } else { count }))
}

/// The length of a blob; `None` for the null bulk of RESP2.
fn blob_length(text: &[u8]) -> Result<Option<usize>, Broken> {
    match parse_i64(text).filter(|length| (-1..=BLOB_MAX).contains(length)) {
        Some(length) => Ok(usize::try_from(length).ok()),
        None => Err(Broken("Bulk string length out of range".into())),
    }
}

fn blob(
    kind: u8,
    text: &[u8],
    input: &[u8],
    behind: usize,
) -> Result<Option<(Front, usize)>, Broken> {
    let Some(length) = blob_length(text)? else {
        return Ok(Some((Front::Whole(Reply::Nil), behind)));
    };
    let end = behind + length;
    if input.len() < end + 2 {
        return Ok(None);
    }
    let bytes = input.get(behind..end).unwrap_or_default();
    let reply = match (kind, bytes) {
        (b'!', _) => Reply::Error(bytes.to_vec()),
        (b'=', [a, b, c, b':', text @ ..]) => Reply::Verbatim(vec![*a, *b, *c], text.to_vec()),
        (b'=', _) => {
            return Err(Broken(
                "Verbatim string 4 bytes of content type are missing or incorrectly encoded."
                    .into(),
            ));
        }
        _ => Reply::Bulk(bytes.to_vec()),
    };
    Ok(Some((Front::Whole(reply), end + 2)))
}

/// What [`ReplySkipper::skip`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// The reply ends behind these many bytes; whether it was an error, which then is the line at
    /// the front of them.
    Reply {
        /// Bytes that belong to the reply (of those passed in).
        length: usize,
        /// Whether it is an error.
        error: bool,
    },
    /// The reply goes on: these many bytes are done with and need not be passed in again.
    More {
        /// Bytes that may be dropped.
        length: usize,
    },
}

/// Finds the ends of replies without building them.
#[derive(Debug, Default)]
pub struct ReplySkipper {
    /// Replies of the current one that are still to come, itself included; 0 between replies.
    due: u64,
    /// Bytes of a blob that are still to come.
    blob: usize,
}

impl ReplySkipper {
    /// Goes on in `input`, which begins where the last call's `length` ended.
    ///
    /// # Errors
    /// The bytes are no RESP.
    #[inline]
    pub fn skip(&mut self, input: &[u8]) -> Result<Skipped, Broken> {
        let mut at = 0;
        if self.blob > 0 {
            let here = self.blob.min(input.len());
            self.blob -= here;
            at = here;
            if self.blob > 0 {
                return Ok(Skipped::More { length: at });
            }
            self.due -= 1;
            if self.due == 0 {
                return Ok(Skipped::Reply { length: at, error: false });
            }
        }
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let Some((head, behind)) = line(rest)? else {
                return Ok(Skipped::More { length: at });
            };
            let first = self.due == 0;
            let Some((&kind, text)) = head.split_first() else {
                return Err(Broken("empty line".into()));
            };
            at += behind;
            self.due = self.due.max(1);
            match kind {
                b'+' | b'-' | b':' | b',' | b'(' | b'_' | b'#' => self.due -= 1,
                b'$' | b'!' | b'=' => {
                    let length = blob_length(text)?.map_or(0, |length| length + 2);
                    let have = input.len() - at;
                    if length > have {
                        self.blob = length - have;
                        return Ok(Skipped::More { length: input.len() });
                    }
                    at += length;
                    self.due -= 1;
                }
                b'*' | b'~' | b'>' | b'%' | b'|' => {
                    let count = count(kind, text)?.unwrap_or(0) as u64;
                    // An attribute stands in front of a reply that is still due.
                    self.due = self.due.saturating_add(count) - u64::from(kind != b'|');
                }
                _ => return Err(unknown_type(kind)),
            }
            if self.due == 0 {
                let error = first && matches!(kind, b'-' | b'!');
                return Ok(Skipped::Reply { length: at, error });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[u8] = b"+OK\r\n-ERR no\r\n:-12\r\n$5\r\nhello\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n_\r\n#t\r\n\
        ,1.5\r\n(123456789012345678901\r\n!5\r\nERR x\r\n=7\r\ntxt:abc\r\n%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n\
        ~2\r\n:1\r\n:2\r\n>2\r\n+message\r\n$1\r\nx\r\n|1\r\n+ttl\r\n:3\r\n:7\r\n*2\r\n*2\r\n:1\r\n*0\r\n$2\r\nab\r\n";

    fn decode(input: &[u8], piece: usize) -> (Vec<Reply>, Option<Broken>) {
        let (mut decoder, mut all) = (ReplyDecoder::default(), Vec::new());
        for bytes in input.chunks(piece) {
            decoder.feed(bytes);
            loop {
                match decoder.next_reply() {
                    Ok(Some(reply)) => all.push(reply),
                    Ok(None) => break,
                    Err(broken) => return (all, Some(broken)),
                }
            }
        }
        (all, None)
    }

    /// Kind of each reply that is skipped, as `true` for an error.
    fn skip(input: &[u8], piece: usize) -> Result<Vec<bool>, Broken> {
        let (mut skipper, mut all, mut held) = (ReplySkipper::default(), Vec::new(), Vec::new());
        for bytes in input.chunks(piece) {
            held.extend_from_slice(bytes);
            while !held.is_empty() {
                match skipper.skip(&held)? {
                    Skipped::Reply { length, error } => {
                        held.drain(..length);
                        all.push(error);
                    }
                    Skipped::More { length } => {
                        held.drain(..length);
                        break;
                    }
                }
            }
        }
        Ok(all)
    }

    #[test]
    fn every_kind_is_read_in_pieces_of_every_size() {
        let (whole, broken) = decode(ALL, ALL.len());
        assert_eq!(broken, None);
        assert_eq!(whole.len(), 19);
        assert_eq!(whole[12], Reply::Error(b"ERR x".to_vec()));
        assert_eq!(whole[13], Reply::Verbatim(b"txt".to_vec(), b"abc".to_vec()));
        assert_eq!(whole[17], Reply::Int(7), "the attribute is skipped");
        for piece in 1..ALL.len() {
            assert_eq!(decode(ALL, piece), (whole.clone(), None), "pieces of {piece}");
        }
    }

    #[test]
    fn the_skipper_sees_the_same_ends_as_the_decoder() {
        let (whole, _) = decode(ALL, ALL.len());
        let errors: Vec<bool> = whole.iter().map(|r| matches!(r, Reply::Error(_))).collect();
        for piece in 1..=ALL.len() {
            // The long form of an error is told by its head alone where the body comes later.
            let skipped = skip(ALL, piece).unwrap();
            assert_eq!(skipped.len(), errors.len(), "pieces of {piece}");
            assert_eq!(skipped[..12], errors[..12]);
        }
    }

    #[test]
    fn the_decoder_agrees_with_the_parser_of_whole_replies() {
        let mut rest = ALL;
        let mut parsed = Vec::new();
        while !rest.is_empty() {
            let (reply, next) = Reply::parse(rest).unwrap();
            parsed.push(reply);
            rest = next;
        }
        assert_eq!(parsed, decode(ALL, 3).0);
    }

    #[test]
    fn what_is_no_reply_is_named() {
        let told = |input: &[u8]| decode(input, 1).1.unwrap().to_string();
        assert_eq!(told(b"HTTP/1.1 400"), "Protocol error, got \"H\" as reply type byte");
        assert_eq!(told(b"\x00"), "Protocol error, got \"\\x00\" as reply type byte");
        assert_eq!(told(b":x\r\n"), "Bad integer value");
        assert_eq!(told(b"*99999999999\r\n"), "Multi-bulk length out of range");
        assert!(decode(&b"*1\r\n".repeat(1000), 9).1.is_some());
    }

    #[test]
    fn what_follows_the_last_reply_can_be_taken() {
        let mut decoder = ReplyDecoder::default();
        decoder.feed(b"+FULLRESYNC a 0\r\n$100\r\nREDIS");
        assert!(matches!(decoder.next_reply(), Ok(Some(Reply::Status(_)))));
        assert_eq!(decoder.take_rest(), b"$100\r\nREDIS");
        assert!(!decoder.is_midway());
    }

    #[test]
    fn no_mutation_makes_them_panic() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..20_000 {
            let mut input = ALL.to_vec();
            for _ in 0..4 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = (state >> 20) as usize % input.len();
                input[at] = if state & 1 == 0 { (state >> 8) as u8 } else { ALL[at / 2] };
            }
            let _ = decode(&input, 11);
            let _ = skip(&input, 11);
        }
    }
}
