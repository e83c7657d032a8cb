//! A message of HTTP/1.1 from the engine, taken apart for frames.

use box_wire::http1::{ChunkDecoder, ChunkStep, Framing, HeadParser, Progress, Reject};

use super::head;

/// What a message consists of, in its order.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'p> {
    /// A header block; whether nothing follows it.
    Head(&'p [u8], bool),
    /// Bytes of the body.
    Data(&'p [u8]),
    /// The block of the trailers: the end.
    Trailers(&'p [u8]),
    /// The end.
    End,
}

/// What the engine writes into a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// The answer to a request, which was HEAD or not.
    Response {
        /// It was.
        to_head: bool,
    },
    /// A request, over TLS or not.
    Request {
        /// It is.
        tls: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Head,
    Length(u64),
    Chunked,
    ToTheEnd,
    Done,
}

/// Takes the text of one message apart. Interim heads may come before it.
#[derive(Debug)]
pub struct Outgoing {
    writes: Writes,
    phase: Phase,
    parser: HeadParser,
    decoder: ChunkDecoder,
    /// Bytes that are not whole yet: a part of a head, of a chunk size, of a trailer.
    held: Vec<u8>,
    /// A header block under construction.
    block: Vec<u8>,
    /// The message asked with HEAD.
    pub asks_head: bool,
}

impl Outgoing {
    /// Before the first byte.
    pub fn new(writes: Writes) -> Outgoing {
        Outgoing {
            writes,
            phase: Phase::Head,
            parser: HeadParser::default(),
            decoder: ChunkDecoder::default(),
            held: Vec::new(),
            block: Vec::new(),
            asks_head: false,
        }
    }

    /// Whether the message has ended.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Takes more text and hands out what it holds.
    ///
    /// # Errors
    /// It is not what an engine writes.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Piece<'_>)) -> Result<(), Reject> {
        if self.held.is_empty() {
            let taken = self.work(bytes, sink)?;
            self.held.extend_from_slice(bytes.get(taken..).unwrap_or_default());
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let taken = self.work(&held, sink)?;
        held.drain(..taken);
        self.held = held;
        Ok(())
    }

    /// The text ends here; false when the message is not whole.
    pub fn finish(&mut self, sink: &mut impl FnMut(Piece<'_>)) -> bool {
        if self.phase == Phase::ToTheEnd {
            self.phase = Phase::Done;
            sink(Piece::End);
        }
        self.is_done()
    }

    /// Goes through whole pieces: how many bytes they are.
    fn work(&mut self, bytes: &[u8], sink: &mut impl FnMut(Piece<'_>)) -> Result<usize, Reject> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match self.phase {
                Phase::Head => match self.parser.advance(rest)? {
                    Progress::Partial => return Ok(at),
                    Progress::Complete(length) => {
                        self.head(rest.get(..length).unwrap_or_default(), sink)?;
                        self.parser.reset();
                        at += length;
                    }
                },
                Phase::Length(0) => {
                    self.phase = Phase::Done;
                    sink(Piece::End);
                }
                Phase::Length(left) => {
                    let here = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    if here == 0 {
                        return Ok(at);
                    }
                    sink(Piece::Data(&rest[..here]));
                    self.phase = Phase::Length(left - here as u64);
                    at += here;
                }
                Phase::Chunked => match self.chunk(rest, sink)? {
                    0 => return Ok(at),
                    taken => at += taken,
                },
                Phase::ToTheEnd => {
                    if !rest.is_empty() {
                        sink(Piece::Data(rest));
                    }
                    return Ok(bytes.len());
                }
                Phase::Done if rest.is_empty() => return Ok(at),
                Phase::Done => return Err(Reject::StartLine),
            }
        }
    }

    fn head(&mut self, raw: &[u8], sink: &mut impl FnMut(Piece<'_>)) -> Result<(), Reject> {
        self.block.clear();
        let framing = match self.writes {
            Writes::Response { to_head } => {
                let head = self.parser.response(raw)?;
                head::encode_response(&head, &mut self.block);
                if head.status < 200 {
                    sink(Piece::Head(&self.block, false));
                    return Ok(());
                }
                head.framing(to_head)?
            }
            Writes::Request { tls } => {
                let head = self.parser.request(raw)?;
                self.asks_head = head.method == b"HEAD";
                head::encode_request(&head, tls, &mut self.block);
                head.framing
            }
        };
        self.phase = match framing {
            Framing::None | Framing::Length(0) => Phase::Done,
            Framing::Length(length) => Phase::Length(length),
            Framing::Chunked => Phase::Chunked,
            Framing::Close => Phase::ToTheEnd,
        };
        sink(Piece::Head(&self.block, self.phase == Phase::Done));
        self.block.clear();
        Ok(())
    }

    /// One step through chunks: how many bytes it took, 0 when more are needed.
    fn chunk(&mut self, rest: &[u8], sink: &mut impl FnMut(Piece<'_>)) -> Result<usize, Reject> {
        Ok(match self.decoder.step(rest)? {
            ChunkStep::Partial => 0,
            ChunkStep::Framing(count) => count,
            ChunkStep::Data(count) => {
                sink(Piece::Data(&rest[..count]));
                self.decoder.took(count);
                count
            }
            ChunkStep::Trailer { len, name, value } => {
                head::encode_field(&mut self.block, &rest[name], &rest[value]);
                len
            }
            ChunkStep::End(count) => {
                self.phase = Phase::Done;
                let end =
                    if self.block.is_empty() { Piece::End } else { Piece::Trailers(&self.block) };
                sink(end);
                count
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text becomes, fed in pieces of `size` bytes; blocks by their length.
    fn pieces(writes: Writes, text: &[u8], size: usize) -> String {
        let mut outgoing = Outgoing::new(writes);
        let mut shown = String::new();
        let mut sink = |piece: Piece<'_>| match piece {
            Piece::Head(block, ends) => {
                shown.push_str(&format!("[{}{}]", block.len(), if ends { "." } else { "" }))
            }
            Piece::Data(data) => shown.push_str(&String::from_utf8_lossy(data)),
            Piece::Trailers(block) => shown.push_str(&format!("[{}].", block.len())),
            Piece::End => shown.push('.'),
        };
        for piece in text.chunks(size) {
            outgoing.feed(piece, &mut sink).expect("well formed");
        }
        assert!(outgoing.finish(&mut sink));
        shown
    }

    #[test]
    fn messages_are_taken_apart_however_they_are_cut() {
        let response = Writes::Response { to_head: false };
        for (text, expected) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..], "[5]hello."),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "[5.]"),
            (b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n", "[1.]"),
            (b"HTTP/1.1 200 OK\r\n\r\nto the end", "[1]to the end."),
            (b"HTTP/1.1 103 Hint\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "[5][1.]"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "[1]hello."),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n",
                "[1]ok[5].",
            ),
        ] {
            for size in 1..=text.len() {
                assert_eq!(pieces(response, text, size), expected, "in pieces of {size}");
            }
        }
    }
}
