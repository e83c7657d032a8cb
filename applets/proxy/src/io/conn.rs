//! A connection with a read buffer and a short queue of bytes to write.
//!
//! The write queue takes heads, chunk sizes and small bodies, so that a message leaves in one
//! system call. It must be flushed before anybody waits for more input: bytes that sit in it while
//! the source is silent would be a stalled stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Buffer, Stream};

/// Pieces up to this size are copied behind the queue instead of being written on their own.
const COPIED_BYTES: usize = 8 * 1024;
/// The queue is written out when it holds this much.
const QUEUE_BYTES: usize = 32 * 1024;

/// A stream, what was read from it, and what is to be written to it.
pub struct Conn {
    /// The stream.
    pub stream: Stream,
    /// Read, not yet consumed.
    pub input: Buffer,
    /// To be written before anything else.
    pub output: Vec<u8>,
    written: usize,
    unflushed: bool,
}

impl Conn {
    /// A connection from which `input` has been read already.
    pub fn new(stream: Stream, input: Buffer) -> Conn {
        // The first flush of a stream that was opened here tells the peer of it, also without data:
        // in many protocols the server speaks first.
        let unflushed = matches!(stream, Stream::Mux(_));
        Conn { stream, input, output: Vec::new(), written: 0, unflushed }
    }

    /// Reads what is there behind the bytes that wait: their number, 0 at the end of the stream.
    ///
    /// # Errors
    /// Those of the stream; [`io::ErrorKind::OutOfMemory`] when the buffer is full.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = self.input.room();
        if room.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        let mut room = ReadBuf::new(room);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut room);
        let count = room.filled().len();
        self.input.filled(count);
        read.map_ok(|()| count)
    }

    /// As [`Conn::poll_fill`], awaited.
    ///
    /// # Errors
    /// As there.
    pub async fn fill(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Takes bytes of `data` behind the queue: how many are on their way.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if data.len() <= COPIED_BYTES && self.output.len() + data.len() <= QUEUE_BYTES {
            self.output.extend_from_slice(data);
            return Poll::Ready(Ok(data.len()));
        }
        loop {
            let queued = &self.output[self.written..];
            let pieces = [io::IoSlice::new(queued), io::IoSlice::new(data)];
            let pieces = if queued.is_empty() { &pieces[1..] } else { &pieces[..] };
            let queued = queued.len();
            let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, pieces))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.wrote(count.min(queued));
            if count > queued {
                return Poll::Ready(Ok(count - queued));
            }
        }
    }

    /// Writes the queue out and flushes what the stream keeps.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            let queued = &self.output[self.written..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, queued))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.wrote(count);
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// As [`Conn::poll_flush`], awaited.
    ///
    /// # Errors
    /// As there.
    pub async fn flush(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Flushes, then ends our direction.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// As [`Conn::poll_finish`], awaited.
    ///
    /// # Errors
    /// As there.
    pub async fn finish(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_finish(cx)).await
    }

    /// Nothing waits to be written.
    pub fn is_flushed(&self) -> bool {
        self.output.is_empty() && !self.unflushed
    }

    fn wrote(&mut self, count: usize) {
        self.written += count;
        if self.written == self.output.len() {
            self.written = 0;
            self.output.clear();
            // A queue that once held a large head does not keep its memory while idle.
            if self.output.capacity() > 4096 {
                self.output = Vec::new();
            }
        }
    }
}
