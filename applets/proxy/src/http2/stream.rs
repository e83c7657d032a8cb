//! A stream of HTTP/2 as the engine sees it: a connection that carries one message each way in
//! HTTP/1.1.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use box_wire::http1::chunk_head;
use box_wire::http2::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{Connection, STREAM_WINDOW, Side};
use super::head::{Inward, MalformedMessage};
use super::message::{Outgoing, Piece, Writes};

/// Bytes of a body that wait for the windows before the engine has to wait.
const PENDING_BYTES: usize = 64 * 1024;

/// What ends our direction, once all data is out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// Not yet known: the message goes on.
    Open,
    /// END_STREAM on the last DATA.
    End,
    /// These trailers.
    Trailers(Vec<u8>),
    /// It is out.
    Sent,
}

/// What the connection and the user of a stream share.
pub(super) struct StreamState {
    /// 0 until the HEADERS of a stream of ours go out.
    pub(super) id: u32,

    /// Text for the engine.
    inbox: Vec<u8>,
    read: usize,
    /// DATA bytes in it for which no credit has been given back.
    uncredited: usize,
    consumed: usize,
    pub(super) receive_window: i64,
    pub(super) inward: Inward,
    /// The final head has come.
    pub(super) has_head: bool,
    pub(super) peer_ended: bool,
    reader: Option<Waker>,

    pub(super) outgoing: Outgoing,
    pub(super) pending: Vec<u8>,
    pub(super) pending_start: usize,
    pub(super) send_window: i64,
    pub(super) finish: Finish,
    /// In the queue of the connection.
    pub(super) queued: bool,
    writer: Option<Waker>,

    /// Reset by one side, or the connection has ended.
    pub(super) broken: bool,
    /// The engine has let go of it.
    pub(super) orphaned: bool,
}

impl StreamState {
    pub(super) fn new(id: u32, send_window: i64, writes: Writes) -> StreamState {
        StreamState {
            id,
            inbox: Vec::new(),
            read: 0,
            uncredited: 0,
            consumed: 0,
            receive_window: STREAM_WINDOW,
            inward: Inward::None,
            has_head: false,
            peer_ended: false,
            reader: None,
            outgoing: Outgoing::new(writes),
            pending: Vec::new(),
            pending_start: 0,
            send_window,
            finish: Finish::Open,
            queued: false,
            writer: None,
            broken: false,
            orphaned: false,
        }
    }

    /// Appends the text of a head.
    pub(super) fn head(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<Inward, MalformedMessage>,
    ) -> Result<(), MalformedMessage> {
        self.inward = write(&mut self.inbox)?;
        self.wake_reader();
        Ok(())
    }

    /// Takes DATA.
    pub(super) fn data(&mut self, body: &[u8], ends: bool) -> Result<(), MalformedMessage> {
        match &mut self.inward {
            Inward::Length(left) => {
                *left = left.checked_sub(body.len() as u64).ok_or(MalformedMessage)?;
                self.inbox.extend_from_slice(body);
            }
            Inward::Chunked if !body.is_empty() => {
                chunk_head(&mut self.inbox, body.len());
                self.inbox.extend_from_slice(body);
                self.inbox.extend_from_slice(b"\r\n");
            }
            Inward::Chunked => {}
            Inward::None if body.is_empty() => {}
            Inward::None => return Err(MalformedMessage),
        }
        self.uncredited += body.len();
        if ends {
            return self.ended(|_| Ok(()));
        }
        self.wake_reader();
        Ok(())
    }

    /// The peer's message is over, with these trailers.
    pub(super) fn ended(
        &mut self,
        trailers: impl FnOnce(&mut Vec<u8>) -> Result<(), MalformedMessage>,
    ) -> Result<(), MalformedMessage> {
        match self.inward {
            Inward::Length(1..) => return Err(MalformedMessage),
            Inward::Chunked => {
                self.inbox.extend_from_slice(b"0\r\n");
                trailers(&mut self.inbox)?;
                self.inbox.extend_from_slice(b"\r\n");
            }
            // HTTP/1.1 has no place for trailers behind these, but they must be well formed.
            _ => trailers(&mut Vec::new())?,
        }
        self.peer_ended = true;
        self.wake_reader();
        Ok(())
    }

    pub(super) fn break_off(&mut self) {
        self.broken = true;
        self.pending = Vec::new();
        self.pending_start = 0;
        self.wake_reader();
        self.wake_writer();
    }

    /// Nothing of our message is left to be sent.
    pub(super) fn is_sent(&self) -> bool {
        self.finish == Finish::Sent
    }

    pub(super) fn wants_to_send(&self) -> bool {
        self.pending_start < self.pending.len()
            || matches!(self.finish, Finish::End | Finish::Trailers(_))
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }

    /// Moves text out; how much credit that frees for the peer on the stream and the connection.
    fn take(&mut self, out: &mut ReadBuf<'_>) -> usize {
        let waiting = self.inbox.get(self.read..).unwrap_or_default();
        let count = waiting.len().min(out.remaining());
        out.put_slice(&waiting[..count]);
        self.read += count;
        if self.read == self.inbox.len() {
            self.inbox.clear();
            self.read = 0;
            if self.inbox.capacity() > 4096 {
                self.inbox = Vec::new();
            }
        }
        let credit =
            if self.inbox.is_empty() { self.uncredited } else { count.min(self.uncredited) };
        self.uncredited -= credit;
        credit
    }

    /// The credit to give on the stream now: half a window at a time.
    fn stream_credit(&mut self, credit: usize) -> Option<u32> {
        self.consumed += credit;
        if self.peer_ended || self.broken || (self.consumed as i64) * 2 < STREAM_WINDOW {
            return None;
        }
        self.receive_window += self.consumed as i64;
        Some(std::mem::take(&mut self.consumed) as u32)
    }

    /// What the engine has not read is given back with the stream.
    pub(super) fn unread(&self) -> usize {
        self.uncredited
    }
}

/// One of many streams of a connection. Dropping it before both messages have ended resets it.
pub struct H2Stream {
    connection: Rc<Connection>,
    state: Rc<RefCell<StreamState>>,
}

impl fmt::Debug for H2Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "H2Stream({})", self.state.borrow().id)
    }
}

impl H2Stream {
    pub(super) fn new(connection: Rc<Connection>, state: Rc<RefCell<StreamState>>) -> H2Stream {
        connection.state.borrow_mut().handles += 1;
        H2Stream { connection, state }
    }

    /// Breaks the stream off in both directions.
    pub fn reset(&mut self) {
        self.connection.reset(&mut self.state.borrow_mut(), ErrorCode::Internal);
    }

    /// Ready once the stream was reset or its connection has ended.
    pub fn poll_broken(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.broken {
            return Poll::Ready(());
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncRead for H2Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        if state.inbox.is_empty() {
            if state.peer_ended {
                return Poll::Ready(Ok(()));
            }
            if state.broken {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let credit = state.take(out);
        let id = state.id;
        let of_stream = state.stream_credit(credit);
        self.connection.return_credit(id, of_stream, credit);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for H2Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        if state.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.pending.len() - state.pending_start >= PENDING_BYTES {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut outgoing =
            std::mem::replace(&mut state.outgoing, Outgoing::new(self.connection.writes()));
        let fed =
            outgoing.feed(bytes, &mut |piece| self.connection.send(&self.state, &mut state, piece));
        state.outgoing = outgoing;
        if fed.is_err() {
            self.connection.reset(&mut state, ErrorCode::Internal);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        self.connection.queue(&mut state);
        Poll::Ready(Ok(bytes.len()))
    }

    /// The connection sends what it has as soon as it may.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The engine has said all it will: a message that it has not ended is broken off.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        if state.broken {
            return Poll::Ready(Ok(()));
        }
        let mut outgoing =
            std::mem::replace(&mut state.outgoing, Outgoing::new(self.connection.writes()));
        let whole =
            outgoing.finish(&mut |piece| self.connection.send(&self.state, &mut state, piece));
        state.outgoing = outgoing;
        if whole {
            self.connection.queue(&mut state);
        } else {
            self.connection.reset(&mut state, ErrorCode::Internal);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for H2Stream {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        state.orphaned = true;
        self.connection.let_go(&mut state);
    }
}

impl Connection {
    /// What the engine writes into a stream of this connection.
    pub(super) fn writes(&self) -> Writes {
        match self.side {
            Side::Server => Writes::Response { to_head: false },
            Side::Client => Writes::Request { tls: self.tls },
        }
    }

    /// Passes on a piece of the message that goes out.
    fn send(&self, shared: &Rc<RefCell<StreamState>>, state: &mut StreamState, piece: Piece<'_>) {
        match piece {
            Piece::Head(block, ends) => {
                self.send_head(shared, state, block, ends);
                if ends {
                    state.finish = Finish::Sent;
                }
            }
            Piece::Data(data) => state.pending.extend_from_slice(data),
            Piece::Trailers(block) => state.finish = Finish::Trailers(block.to_vec()),
            Piece::End => state.finish = Finish::End,
        }
    }
}
