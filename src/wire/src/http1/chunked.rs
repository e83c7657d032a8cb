//! Chunked bodies (RFC 9112 section 7.1), decoded in place.

use std::ops::Range;

use memchr::memchr;

use super::Reject;
use super::grammar::{is_field_value, is_token, trim_ows};

/// The longest chunk-size line with its extension, and the longest trailer line.
const LINE_BYTES: usize = 4096;
/// Sixteen digits would reach 2^64.
const SIZE_DIGITS: usize = 15;
/// Trailer lines in all.
const TRAILERS: u32 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers(u32),
    Done,
}

/// What the next bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkStep {
    /// More bytes are needed.
    Partial,
    /// This many bytes were framing: skip them.
    Framing(usize),
    /// The first of these many bytes are body.
    Data(usize),
    /// A trailer field: skip `len` bytes; name and value lie in them.
    Trailer {
        /// The line with its end.
        len: usize,
        /// The field name.
        name: Range<usize>,
        /// The value without whitespace around it.
        value: Range<usize>,
    },
    /// The body is over; these many bytes still belong to it.
    End(usize),
}

/// Finds data, trailers and the end in a chunked body.
#[derive(Clone, Debug)]
pub struct ChunkDecoder {
    state: State,
}

impl Default for ChunkDecoder {
    fn default() -> ChunkDecoder {
        ChunkDecoder { state: State::Size }
    }
}

impl ChunkDecoder {
    /// Looks at the first bytes of `buffer`. The caller drops what the step says and calls again.
    /// After [`ChunkStep::Data`] it must call [`ChunkDecoder::took`] with what it took of it.
    ///
    /// # Errors
    /// The framing breaks a rule: where the body ends is unknown.
    pub fn step(&mut self, buffer: &[u8]) -> Result<ChunkStep, Reject> {
        match self.state {
            State::Size => self.size_line(buffer),
            State::Data(left) if buffer.is_empty() && left > 0 => Ok(ChunkStep::Partial),
            State::Data(left) => {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                Ok(ChunkStep::Data(here))
            }
            State::DataEnd => match buffer {
                [b'\r', b'\n', ..] => {
                    self.state = State::Size;
                    Ok(ChunkStep::Framing(2))
                }
                [] | [b'\r'] => Ok(ChunkStep::Partial),
                _ => Err(Reject::ChunkEnd),
            },
            State::Trailers(seen) => self.trailer(buffer, seen),
            State::Done => Ok(ChunkStep::End(0)),
        }
    }

    /// `count` bytes of the data that [`ChunkStep::Data`] announced have been taken.
    pub fn took(&mut self, count: usize) {
        if let State::Data(left) = self.state {
            let left = left.saturating_sub(count as u64);
            self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
        }
    }

    fn size_line(&mut self, buffer: &[u8]) -> Result<ChunkStep, Reject> {
        let Some(line) = whole_line(buffer)? else {
            // What cannot become a size is refused at once, not at the time-out.
            return match buffer.first() {
                Some(first) if !first.is_ascii_hexdigit() => Err(Reject::ChunkSize),
                _ => Ok(ChunkStep::Partial),
            };
        };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, extension) = line.split_at(digits);
        let well_formed = matches!(extension, [] | [b';', ..]) && is_field_value(extension);
        if digits == 0 || digits > SIZE_DIGITS || !well_formed {
            return Err(Reject::ChunkSize);
        }
        let size = size.iter().fold(0u64, |value, digit| value << 4 | hex_value(*digit));
        self.state = if size == 0 { State::Trailers(0) } else { State::Data(size) };
        Ok(ChunkStep::Framing(line.len() + 2))
    }

    fn trailer(&mut self, buffer: &[u8], seen: u32) -> Result<ChunkStep, Reject> {
        let Some(line) = whole_line(buffer)? else { return Ok(ChunkStep::Partial) };
        if line.is_empty() {
            self.state = State::Done;
            return Ok(ChunkStep::End(2));
        }
        if seen == TRAILERS {
            return Err(Reject::TooManyFields);
        }
        self.state = State::Trailers(seen + 1);
        let colon = memchr(b':', line).ok_or(Reject::FieldName)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_token(name) {
            return Err(Reject::FieldName);
        }
        if !is_field_value(value) {
            return Err(Reject::FieldValue);
        }
        let start = colon + 1 + value.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let end = start + trim_ows(value).len();
        Ok(ChunkStep::Trailer { len: line.len() + 2, name: 0..colon, value: start..end })
    }
}

/// The first line without its CRLF, or `None` while it has not ended.
fn whole_line(buffer: &[u8]) -> Result<Option<&[u8]>, Reject> {
    match memchr(b'\n', buffer) {
        None if buffer.len() > LINE_BYTES => Err(Reject::HeadTooLarge),
        None => Ok(None),
        Some(end) if end > LINE_BYTES => Err(Reject::HeadTooLarge),
        Some(end) => {
            let line = buffer.get(..end).and_then(|line| line.strip_suffix(b"\r"));
            line.map(Some).ok_or(Reject::BareLineEnd)
        }
    }
}

fn hex_value(digit: u8) -> u64 {
    u64::from(match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    })
}

/// Writes the size line of a chunk of `size` bytes.
pub fn chunk_head(out: &mut Vec<u8>, size: usize) {
    let mut started = false;
    for shift in (0..16).rev() {
        let digit = size >> (shift * 4) & 0xf;
        started |= digit != 0 || shift == 0;
        if started {
            out.push(b"0123456789abcdef"[digit]);
        }
    }
    out.extend_from_slice(b"\r\n");
}
