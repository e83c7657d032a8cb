//! A stream of a lane, as a reader and writer.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::{self, Kind};
use super::lane::{Lane, StreamRef};

/// The window every stream starts with, in both directions.
pub const INITIAL_WINDOW: usize = 256 * 1024;
/// The largest window a fast reader is given.
const MAX_WINDOW: usize = 8 << 20;
/// A stream that sent less than this since it was last quiet is interactive.
const INTERACTIVE_BYTES: usize = 64 * 1024;
/// How long a stream must be quiet to count as interactive again.
const QUIET: Duration = Duration::from_millis(100);

/// What the lane's driver and the stream's user share.
pub(super) struct StreamState {
    pub(super) id: u32,
    /// The head of the OPEN frame that has not been sent yet.
    opening: Option<Vec<u8>>,

    received: VecDeque<Bytes>,
    /// Bytes in `received`.
    held: usize,
    /// Bytes the peer may have under way or held here.
    window: usize,
    /// Of it, what the peer may still send.
    peer_credit: usize,
    /// Consumed, and not yet given back as credit.
    consumed: usize,
    last_credit: Instant,
    /// How much of the lane's growth budget the window holds.
    pub(super) growth: usize,
    peer_finished: bool,
    reader: Option<Waker>,

    send_credit: usize,
    sent_lately: usize,
    last_sent: Instant,
    finished: bool,
    /// In a queue of the lane.
    pub(super) queued: bool,
    /// Its turn has come.
    pub(super) granted: bool,
    writer: Option<Waker>,

    /// Reset by the peer, or the lane has ended.
    pub(super) broken: bool,
    pub(super) reset_by_peer: bool,
}

impl StreamState {
    pub(super) fn new(id: u32, opening: Option<Vec<u8>>) -> StreamState {
        let now = Instant::now();
        StreamState {
            id,
            opening,
            received: VecDeque::new(),
            held: 0,
            window: INITIAL_WINDOW,
            peer_credit: INITIAL_WINDOW,
            consumed: 0,
            last_credit: now,
            growth: 0,
            peer_finished: false,
            reader: None,
            send_credit: INITIAL_WINDOW,
            sent_lately: 0,
            last_sent: now,
            finished: false,
            queued: false,
            granted: false,
            writer: None,
            broken: false,
            reset_by_peer: false,
        }
    }

    /// Takes bytes from the peer; false when it sent more than it may.
    pub(super) fn received(&mut self, payload: Bytes, fin: bool) -> bool {
        if payload.len() > self.peer_credit || self.peer_finished {
            return false;
        }
        self.peer_credit -= payload.len();
        self.held += payload.len();
        if !payload.is_empty() {
            self.received.push_back(payload);
        }
        self.peer_finished = fin;
        self.wake_reader();
        true
    }

    /// The peer gives credit; false when it gives more than any window.
    pub(super) fn credit(&mut self, credit: usize) -> bool {
        self.send_credit += credit;
        self.wake_writer();
        self.send_credit <= 2 * MAX_WINDOW
    }

    pub(super) fn is_interactive(&self) -> bool {
        self.sent_lately < INTERACTIVE_BYTES
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }

    fn note_sent(&mut self, count: usize) {
        // The clock is asked only where the answer can matter: a bulk stream becomes quiet rarely.
        self.sent_lately += count;
        if self.sent_lately >= INTERACTIVE_BYTES {
            let now = Instant::now();
            if now.duration_since(self.last_sent) > QUIET {
                self.sent_lately = count;
            }
            self.last_sent = now;
        }
    }
}

/// One of many streams on a lane. Dropping it before both directions have ended resets it.
pub struct MuxStream {
    lane: Rc<Lane>,
    state: StreamRef,
}

impl fmt::Debug for MuxStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MuxStream({})", self.state.borrow().id)
    }
}

impl MuxStream {
    pub(super) fn new(lane: Rc<Lane>, state: Rc<RefCell<StreamState>>) -> MuxStream {
        MuxStream { lane, state }
    }

    /// Breaks the stream off in both directions.
    pub fn reset(&mut self) {
        let mut state = self.state.borrow_mut();
        let (id, growth) = (state.id, state.growth);
        let known = state.opening.take().is_none();
        if known && !state.broken && !(state.finished && state.peer_finished) {
            self.lane.push_reset(id);
        }
        state.broken = true;
        drop(state);
        self.lane.forget(id, growth);
    }

    /// Ready once the stream was reset or its lane has ended: also after the peer's clean end.
    pub fn poll_broken(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.broken {
            return Poll::Ready(());
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn broken(&self, state: &StreamState) -> io::Error {
        match self.lane.ended() {
            Some(error) if !state.reset_by_peer => {
                io::Error::new(io::ErrorKind::ConnectionAborted, error.to_string())
            }
            _ => io::ErrorKind::ConnectionReset.into(),
        }
    }

    /// Gives credit back once half of the window was consumed; a window that is consumed within
    /// two round trips is too small for the reader and doubles, as far as the budget goes.
    fn return_credit(&self, state: &mut StreamState) {
        if state.consumed * 2 < state.window || state.peer_finished || state.broken {
            return;
        }
        let now = Instant::now();
        let fast = (2 * self.lane.rtt()).max(Duration::from_millis(2));
        let mut credit = state.consumed;
        let doubles = state.window < MAX_WINDOW && now.duration_since(state.last_credit) <= fast;
        if doubles && self.lane.grow(state.window) {
            credit += state.window;
            state.growth += state.window;
            state.window *= 2;
        }
        state.last_credit = now;
        state.consumed = 0;
        state.peer_credit += credit;
        let id = state.id;
        self.lane.push_control(|out| frame::write_number(out, Kind::Credit, id, credit as u32));
    }

    /// Appends a frame to the batch: an OPEN if none was sent yet, else DATA.
    fn append(&self, state: &mut StreamState, pieces: &[&[u8]], fin: bool) {
        let opening = state.opening.take();
        let kind = if opening.is_some() { Kind::Open } else { Kind::Data };
        let opening = opening.unwrap_or_default();
        let count: usize = pieces.iter().map(|piece| piece.len()).sum();
        let flags = if fin { frame::FIN } else { 0 };
        let mut lane = self.lane.state.borrow_mut();
        frame::write_header(&mut lane.batch, kind, flags, opening.len() + count, state.id);
        lane.batch.extend_from_slice(&opening);
        for piece in pieces {
            lane.batch.extend_from_slice(piece);
        }
        drop(lane);
        self.lane.wake_driver();
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        if state.broken || state.finished {
            return Poll::Ready(Err(self.broken(&state)));
        }
        let wanted = first.len() + second.len();
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        if state.send_credit == 0 || !self.lane.admit(&mut state) {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = wanted.min(state.send_credit).min(frame::MAX_DATA_BYTES);
        let first = &first[..first.len().min(count)];
        let second = &second[..count - first.len()];
        state.send_credit -= count;
        state.note_sent(count);
        self.append(&mut state, &[first, second], false);
        Poll::Ready(Ok(count))
    }
}

impl AsyncRead for MuxStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        if state.held == 0 {
            if state.peer_finished {
                return Poll::Ready(Ok(()));
            }
            if state.broken {
                return Poll::Ready(Err(self.broken(&state)));
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // What came before a reset is handed out: behind a clean end the reset only says that the
        // peer reads no more, otherwise the error comes after the last byte.
        while out.remaining() > 0
            && let Some(front) = state.received.front_mut()
        {
            let count = front.len().min(out.remaining());
            out.put_slice(&front[..count]);
            front.advance(count);
            if front.is_empty() {
                state.received.pop_front();
            }
            state.held -= count;
            state.consumed += count;
        }
        if state.held == 0 {
            state.received = VecDeque::new();
        }
        self.return_credit(&mut state);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MuxStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes, &[])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = pieces.iter().filter(|piece| !piece.is_empty());
        let first = filled.next().map_or(&[][..], |piece| piece);
        let second = filled.next().map_or(&[][..], |piece| piece);
        self.poll_send(cx, first, second)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written is in the batch; an OPEN without data goes out now.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        if state.opening.is_some() && !state.broken {
            self.append(&mut state, &[], false);
        }
        Poll::Ready(Ok(()))
    }

    /// Ends our direction; the peer's goes on.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        if !state.finished && !state.broken {
            state.finished = true;
            self.append(&mut state, &[], true);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for MuxStream {
    fn drop(&mut self) {
        self.reset();
    }
}
