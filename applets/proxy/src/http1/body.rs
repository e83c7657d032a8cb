//! Bodies from one connection to another, by their framing.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};

use box_wire::http1::{ChunkDecoder, ChunkStep, Framing, Reject, chunk_head};

use super::emit::trailer_passes;
use crate::io::{Conn, with_pipe};

/// Why a body did not arrive whole.
#[derive(Debug)]
pub enum BodyError {
    /// The sender ended or failed before the end of the body.
    Cut(String),
    /// The sender's chunks are malformed.
    Malformed(Reject),
    /// The receiver does not take it.
    Refused(io::Error),
}

/// Sees the bytes that pass.
pub type Tap<'t> = &'t mut dyn FnMut(&[u8]);

/// What is left of a body of known length from here on goes through a pipe: below it the two more
/// system calls cost more than the copies.
const SPLICED_BYTES: u64 = 256 * 1024;

/// A body on its way.
pub struct Transfer<'t, 'c> {
    /// Read from here.
    pub from: &'t RefCell<&'c mut Conn>,
    /// Written there.
    pub to: &'t RefCell<&'c mut Conn>,
    /// The framing it comes with.
    pub framing: Framing,
    /// Whether it leaves in chunks.
    pub chunked: bool,
    /// The receiver has no use for trailers: HTTP/1.0.
    pub drop_trailers: bool,
    /// Somebody wants to see the bytes.
    pub tapped: bool,
    /// Counts the body bytes that have passed.
    pub passed: &'t Cell<u64>,
}

impl Transfer<'_, '_> {
    /// Carries the body over and flushes it.
    ///
    /// # Errors
    /// It did not arrive whole. What did arrive has been passed on without an end.
    pub async fn run(&self, tap: Tap<'_>) -> Result<(), BodyError> {
        match self.framing {
            Framing::None => {}
            Framing::Length(length) => self.length(length, tap).await?,
            Framing::Chunked => self.chunks(tap).await?,
            Framing::Close => self.to_the_end(tap).await?,
        }
        poll_fn(|cx| self.to.borrow_mut().poll_flush(cx)).await.map_err(BodyError::Refused)
    }

    async fn length(&self, length: u64, tap: Tap<'_>) -> Result<(), BodyError> {
        let mut left = length;
        while left > 0 {
            if left >= SPLICED_BYTES && self.may_splice() {
                self.splice(&mut left, length).await?;
                continue;
            }
            let here = self.more().await?;
            if here == 0 {
                return Err(BodyError::Cut(format!("{left} bytes of {length} are missing")));
            }
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(here);
            self.pass(count, tap).await?;
            left -= count as u64;
        }
        if self.chunked {
            self.to.borrow_mut().output.extend_from_slice(b"0\r\n\r\n");
        }
        Ok(())
    }

    async fn to_the_end(&self, tap: Tap<'_>) -> Result<(), BodyError> {
        loop {
            let here = self.more().await?;
            if here == 0 {
                break;
            }
            self.pass(here, tap).await?;
        }
        if self.chunked {
            self.to.borrow_mut().output.extend_from_slice(b"0\r\n\r\n");
        }
        Ok(())
    }

    async fn chunks(&self, tap: Tap<'_>) -> Result<(), BodyError> {
        let mut decoder = ChunkDecoder::default();
        let mut trailers = Vec::new();
        loop {
            let step =
                decoder.step(self.from.borrow().input.data()).map_err(BodyError::Malformed)?;
            match step {
                ChunkStep::Partial => {
                    if self.read().await? == 0 {
                        return Err(BodyError::Cut("the last chunk is missing".to_owned()));
                    }
                }
                ChunkStep::Framing(count) => self.from.borrow_mut().input.consume(count),
                ChunkStep::Data(count) => {
                    self.pass(count, tap).await?;
                    decoder.took(count);
                }
                ChunkStep::Trailer { len, name, value } => {
                    let mut from = self.from.borrow_mut();
                    let data = from.input.data();
                    if trailer_passes(&data[name.clone()]) {
                        for part in [&data[name], b": ", &data[value], b"\r\n"] {
                            trailers.extend_from_slice(part);
                        }
                    }
                    from.input.consume(len);
                }
                ChunkStep::End(count) => {
                    self.from.borrow_mut().input.consume(count);
                    break;
                }
            }
        }
        if self.chunked {
            let mut to = self.to.borrow_mut();
            to.output.extend_from_slice(b"0\r\n");
            if !self.drop_trailers {
                to.output.extend_from_slice(&trailers);
            }
            to.output.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// Plain TCP on both sides, nothing read ahead, and nobody who wants to see the bytes.
    fn may_splice(&self) -> bool {
        let from = self.from.borrow();
        let plain = from.stream.as_tcp().is_some() && self.to.borrow().stream.as_tcp().is_some();
        plain && from.input.is_empty() && !self.chunked && !self.tapped
    }

    /// Carries what is left through a pipe. The pipe is empty before each fill, so that EAGAIN can
    /// only mean that the sender has nothing.
    async fn splice(&self, left: &mut u64, length: u64) -> Result<(), BodyError> {
        poll_fn(|cx| self.to.borrow_mut().poll_flush(cx)).await.map_err(BodyError::Refused)?;
        let cut = |left: u64| BodyError::Cut(format!("{left} bytes of {length} are missing"));
        with_pipe(async |pipe| {
            while *left > 0 {
                let limit = usize::try_from(*left).unwrap_or(usize::MAX);
                let count = poll_fn(|cx| {
                    let from = self.from.borrow();
                    pipe.poll_fill(cx, from.stream.as_tcp(), limit)
                })
                .await
                .map_err(|error| BodyError::Cut(error.to_string()))?;
                if count == 0 {
                    return Err(cut(*left));
                }
                *left -= count as u64;
                poll_fn(|cx| {
                    let to = self.to.borrow();
                    pipe.poll_drain(cx, to.stream.as_tcp())
                })
                .await
                .map_err(BodyError::Refused)?;
                self.passed.set(self.passed.get() + count as u64);
            }
            Ok(())
        })
        .await
        .map_err(BodyError::Refused)?
    }

    /// Bytes that wait, after reading some if there were none; 0 at the end.
    async fn more(&self) -> Result<usize, BodyError> {
        let here = self.from.borrow().input.data().len();
        if here > 0 { Ok(here) } else { self.read().await }
    }

    /// Reads behind what waits. What is queued for the receiver is flushed while the sender is
    /// silent.
    async fn read(&self) -> Result<usize, BodyError> {
        poll_fn(|cx| {
            if let Poll::Ready(read) = self.from.borrow_mut().poll_fill(cx) {
                return Poll::Ready(read.map_err(|error| BodyError::Cut(error.to_string())));
            }
            match self.to.borrow_mut().poll_flush(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(BodyError::Refused(error))),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Passes on the first `count` bytes that wait.
    async fn pass(&self, count: usize, tap: Tap<'_>) -> Result<(), BodyError> {
        if self.chunked {
            chunk_head(&mut self.to.borrow_mut().output, count);
        }
        if self.tapped {
            tap(&self.from.borrow().input.data()[..count]);
        }
        self.passed.set(self.passed.get() + count as u64);
        let mut left = count;
        poll_fn(|cx| {
            let mut from = self.from.borrow_mut();
            let mut to = self.to.borrow_mut();
            while left > 0 {
                let sent = ready!(to.poll_send(cx, &from.input.data()[..left]))?;
                from.input.consume(sent);
                left -= sent;
            }
            Poll::Ready(io::Result::Ok(()))
        })
        .await
        .map_err(BodyError::Refused)?;
        if self.chunked {
            self.to.borrow_mut().output.extend_from_slice(b"\r\n");
        }
        Ok(())
    }
}
