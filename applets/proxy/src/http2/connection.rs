//! A connection of HTTP/2: its streams, its windows and the task that drives it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use box_wire::http2::{self, ErrorCode, INITIAL_WINDOW, Kind, MAX_FRAME_BYTES, PREFACE, Setting};
use tokio::sync::mpsc;

use super::frames::Receiver;
use super::stream::{Finish, H2Stream, StreamState};
use crate::io::Conn;

/// Streams that a peer may have open at once.
pub(super) const MAX_STREAMS: usize = 1000;
/// What a peer may send on a stream before the engine has read it.
pub(super) const STREAM_WINDOW: i64 = 128 * 1024;
/// The same for all streams of a connection together.
const CONNECTION_WINDOW: i64 = 2 << 20;
/// Names and values of a field list, with 32 bytes for each.
pub(super) const HEADER_LIST_BYTES: usize = 64 * 1024;
/// Frames are collected up to this size and written at once.
const BATCH_BYTES: usize = 64 * 1024;
/// With so many answers waiting for a peer that does not read, nothing more is read from it.
const CONTROL_BYTES: usize = 64 * 1024;
/// Without a stream for this long, the connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A peer that takes nothing for this long is gone.
const STUCK_TIMEOUT: Duration = Duration::from_secs(60);
/// The preface and the first SETTINGS must have come by then.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer is read from behind GOAWAY, so that it sees it and not a reset.
const LINGER: Duration = Duration::from_secs(1);
/// Streams of ours that were reset lately: frames for them may still be under way.
const REMEMBERED: usize = 256;

/// Which end this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Was dialled: the peer opens odd streams.
    Server,
    /// Has dialled: we do.
    Client,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The peer has closed it, or it failed.
    Gone,
    /// Drained or idle.
    Done,
    /// The peer broke the protocol.
    Error(ErrorCode),
}

impl From<ErrorCode> for Ending {
    fn from(code: ErrorCode) -> Ending {
        Ending::Error(code)
    }
}

pub(super) type StreamRef = Rc<RefCell<StreamState>>;

/// What the driver and the streams share.
pub(super) struct State {
    pub(super) streams: HashMap<u32, StreamRef>,
    /// Streams in use by an engine, those that were reset included.
    pub(super) handles: usize,
    /// Frames without flow control, sent before data.
    pub(super) control: Vec<u8>,
    /// Streams that have something to send, in turn.
    ready: VecDeque<u32>,
    pub(super) send_window: i64,
    pub(super) receive_window: i64,
    consumed: usize,
    pub(super) peer_window: i64,
    pub(super) peer_max_streams: usize,
    pub(super) last_peer_stream: u32,
    pub(super) next_stream: u32,
    pub(super) reset_lately: VecDeque<u32>,
    pub(super) draining: bool,
    pub(super) ended: bool,
    driver: Option<Waker>,
}

/// One connection's streams. Shared by the tasks of its thread.
pub struct Connection {
    pub(super) state: RefCell<State>,
    pub(super) side: Side,
    pub(super) tls: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("side", &self.side).finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection on `conn`. Returns it, the streams that the peer opens, and the driver, which
    /// must be run.
    pub fn start(
        conn: Conn,
        side: Side,
    ) -> (Rc<Connection>, mpsc::UnboundedReceiver<H2Stream>, impl Future<Output = ()>) {
        let mut control = Vec::new();
        if side == Side::Client {
            control.extend_from_slice(PREFACE);
        }
        let first = match side {
            Side::Server => (Setting::MaxConcurrentStreams, MAX_STREAMS as u32),
            Side::Client => (Setting::EnablePush, 0),
        };
        let window = (Setting::InitialWindowSize, STREAM_WINDOW as u32);
        let list = (Setting::MaxHeaderListSize, HEADER_LIST_BYTES as u32);
        http2::write_settings(&mut control, &[first, window, list]);
        let more = (CONNECTION_WINDOW - INITIAL_WINDOW) as u32;
        http2::write_number(&mut control, Kind::WindowUpdate, 0, more);
        let state = State {
            streams: HashMap::new(),
            handles: 0,
            control,
            ready: VecDeque::new(),
            send_window: INITIAL_WINDOW,
            receive_window: CONNECTION_WINDOW,
            consumed: 0,
            peer_window: INITIAL_WINDOW,
            peer_max_streams: MAX_STREAMS,
            last_peer_stream: 0,
            next_stream: 1,
            reset_lately: VecDeque::new(),
            draining: false,
            ended: false,
            driver: None,
        };
        let tls = conn.stream.alpn().is_some();
        let connection = Rc::new(Connection { state: RefCell::new(state), side, tls });
        let (arrivals, receiver) = mpsc::unbounded_channel();
        let now = Instant::now();
        let driver = Driver {
            conn,
            receiver: Receiver::new(connection.clone(), arrivals),
            started: now,
            busy: now,
            moved: now,
        };
        (connection, receiver, driver.run())
    }

    /// Opens a stream of ours; it gets its number with its first frame. `None`: take another
    /// connection.
    pub fn open(self: &Rc<Connection>) -> Option<H2Stream> {
        let state = self.state.borrow();
        if state.draining || state.ended || state.handles >= state.peer_max_streams {
            return None;
        }
        let stream = StreamState::new(0, state.peer_window, self.writes());
        drop(state);
        Some(H2Stream::new(self.clone(), Rc::new(RefCell::new(stream))))
    }

    /// Takes no new streams and ends when the open ones have.
    pub fn go_away(&self) {
        let mut state = self.state.borrow_mut();
        if !state.draining {
            state.draining = true;
            let last = state.last_peer_stream;
            http2::write_go_away(&mut state.control, last, ErrorCode::NoError);
        }
        state.wake_driver();
    }

    /// Sends the head of a message; a stream of ours starts with it.
    pub(super) fn send_head(
        &self,
        shared: &StreamRef,
        stream: &mut StreamState,
        block: &[u8],
        ends: bool,
    ) {
        let mut state = self.state.borrow_mut();
        if stream.id == 0 {
            stream.id = state.next_stream;
            stream.send_window = state.peer_window;
            state.next_stream += 2;
            state.streams.insert(stream.id, shared.clone());
            if state.ended {
                stream.break_off();
            }
        }
        http2::write_headers(&mut state.control, stream.id, block, ends);
        state.wake_driver();
    }

    /// The stream has something to send, or may be over.
    pub(super) fn queue(&self, stream: &mut StreamState) {
        let mut state = self.state.borrow_mut();
        if stream.wants_to_send() && !stream.queued && stream.id != 0 {
            stream.queued = true;
            state.ready.push_back(stream.id);
        }
        state.wake_driver();
        state.forget_if_over(stream, self.side);
    }

    /// The engine has let go: what is whole is still sent, the rest is broken off.
    pub(super) fn let_go(&self, stream: &mut StreamState) {
        let whole = stream.outgoing.is_done();
        {
            let mut state = self.state.borrow_mut();
            state.handles -= 1;
            state.consumed += stream.unread();
            state.wake_driver();
        }
        if !whole && !stream.broken {
            let code =
                if self.side == Side::Client { ErrorCode::Cancel } else { ErrorCode::Internal };
            self.reset(stream, code);
        } else {
            self.state.borrow_mut().forget_if_over(stream, self.side);
        }
    }

    /// Breaks a stream off.
    pub(super) fn reset(&self, stream: &mut StreamState, code: ErrorCode) {
        if stream.broken {
            return;
        }
        stream.break_off();
        let over = stream.is_sent() && stream.peer_ended;
        if stream.id != 0 && !over {
            self.state.borrow_mut().reset(stream.id, code);
        }
    }

    /// Gives credit back that an engine has made free.
    pub(super) fn return_credit(&self, id: u32, of_stream: Option<u32>, of_connection: usize) {
        let mut state = self.state.borrow_mut();
        state.consumed += of_connection;
        if let Some(credit) = of_stream {
            http2::write_number(&mut state.control, Kind::WindowUpdate, id, credit);
            state.wake_driver();
        }
        if state.consumed as i64 * 2 >= CONNECTION_WINDOW {
            state.wake_driver();
        }
    }

    /// The connection is over: every stream fails.
    fn end(&self) {
        let mut state = self.state.borrow_mut();
        state.ended = true;
        let streams: Vec<StreamRef> = state.streams.drain().map(|(_, stream)| stream).collect();
        drop(state);
        for stream in streams {
            stream.borrow_mut().break_off();
        }
    }
}

impl State {
    pub(super) fn wake_driver(&mut self) {
        if let Some(waker) = self.driver.take() {
            waker.wake();
        }
    }

    /// Bytes that no engine will read count as read.
    pub(super) fn discard(&mut self, count: usize) {
        self.consumed += count;
    }

    /// Sends RST_STREAM and forgets the stream; frames that are under way are ignored.
    pub(super) fn reset(&mut self, id: u32, code: ErrorCode) {
        http2::write_number(&mut self.control, Kind::ResetStream, id, code as u32);
        self.streams.remove(&id);
        if self.reset_lately.len() == REMEMBERED {
            self.reset_lately.pop_front();
        }
        self.reset_lately.push_back(id);
        self.wake_driver();
    }

    /// A stream whose messages have both ended is forgotten; an answer that did not wait for its
    /// request ends it too (RFC 9113 section 8.1).
    fn forget_if_over(&mut self, stream: &mut StreamState, side: Side) {
        if stream.broken || !stream.is_sent() || stream.id == 0 {
            return;
        }
        if stream.peer_ended {
            self.streams.remove(&stream.id);
        } else if stream.orphaned {
            let code = if side == Side::Server { ErrorCode::NoError } else { ErrorCode::Cancel };
            self.reset(stream.id, code);
        }
    }

    /// Puts a stream in the queue that may send again.
    pub(super) fn resume(&mut self, stream: &mut StreamState) {
        if stream.wants_to_send() && !stream.queued {
            stream.queued = true;
            self.ready.push_back(stream.id);
        }
        self.wake_driver();
    }

    /// Collects frames: control first, then data of the ready streams in turn.
    fn batch(&mut self, out: &mut Vec<u8>, side: Side) {
        if self.consumed as i64 * 2 >= CONNECTION_WINDOW {
            let credit = std::mem::take(&mut self.consumed);
            self.receive_window += credit as i64;
            http2::write_number(&mut self.control, Kind::WindowUpdate, 0, credit as u32);
        }
        out.append(&mut self.control);
        while out.len() < BATCH_BYTES
            && let Some(id) = self.ready.pop_front()
        {
            let Some(shared) = self.streams.get(&id).cloned() else { continue };
            let mut stream = shared.borrow_mut();
            stream.queued = false;
            if !self.send_data(&mut stream, out) {
                stream.queued = true;
                self.ready.push_front(id);
                break;
            }
            self.forget_if_over(&mut stream, side);
        }
        out.append(&mut self.control);
    }

    /// One DATA frame of a stream, and its end; false when the connection's window is used up.
    fn send_data(&mut self, stream: &mut StreamState, out: &mut Vec<u8>) -> bool {
        let waiting = stream.pending.len() - stream.pending_start;
        let window = stream.send_window.min(self.send_window).max(0) as usize;
        let count = waiting.min(window).min(MAX_FRAME_BYTES);
        if waiting > 0 && count == 0 {
            // A stream without a window comes back with its WINDOW_UPDATE.
            return stream.send_window <= 0;
        }
        let last = count == waiting;
        let ends = last && stream.finish == Finish::End;
        if count > 0 || ends {
            let flags = if ends { http2::END_STREAM } else { 0 };
            http2::write_header(out, Kind::Data, flags, stream.id, count);
            let start = stream.pending_start;
            out.extend_from_slice(&stream.pending[start..start + count]);
        }
        stream.send_window -= count as i64;
        self.send_window -= count as i64;
        stream.pending_start += count;
        if last {
            stream.pending = Vec::new();
            stream.pending_start = 0;
            if let Finish::Trailers(block) = &stream.finish {
                http2::write_headers(out, stream.id, block, true);
            }
            if stream.finish != Finish::Open {
                stream.finish = Finish::Sent;
            }
        } else {
            stream.queued = true;
            self.ready.push_back(stream.id);
        }
        stream.wake_writer();
        true
    }
}

/// The task that reads and writes the connection.
struct Driver {
    conn: Conn,
    receiver: Receiver,
    started: Instant,
    /// When there was last a stream.
    busy: Instant,
    /// When the peer last took something, or nothing waited for it.
    moved: Instant,
}

impl Driver {
    async fn run(mut self) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let ending = poll_fn(|cx| {
            while tick.poll_tick(cx).is_ready() {
                if let Some(ending) = self.tick() {
                    return Poll::Ready(ending);
                }
            }
            match self.poll(cx) {
                Err(ending) => Poll::Ready(ending),
                Ok(()) => Poll::Pending,
            }
        })
        .await;
        self.receiver.connection.end();
        if ending != Ending::Gone {
            let _ = tokio::time::timeout(LINGER, self.farewell(ending)).await;
        }
    }

    /// Says why it ends, and reads on until the peer has seen it.
    async fn farewell(&mut self, ending: Ending) -> io::Result<()> {
        {
            let mut state = self.receiver.connection.state.borrow_mut();
            let last = state.last_peer_stream;
            if let Ending::Error(code) = ending {
                http2::write_go_away(&mut state.control, last, code);
            }
            self.conn.output.append(&mut state.control);
        }
        self.conn.finish().await?;
        loop {
            let waiting = self.conn.input.data().len();
            self.conn.input.consume(waiting);
            if self.conn.fill().await? == 0 {
                return Ok(());
            }
        }
    }

    fn tick(&mut self) -> Option<Ending> {
        let now = Instant::now();
        let mut state = self.receiver.connection.state.borrow_mut();
        if !self.receiver.greeted && now.duration_since(self.started) > GREETING_TIMEOUT {
            return Some(Ending::Done);
        }
        if self.conn.is_flushed() {
            self.moved = now;
        } else if now.duration_since(self.moved) > STUCK_TIMEOUT {
            return Some(Ending::Gone);
        }
        if !state.streams.is_empty() || state.handles > 0 {
            self.busy = now;
        } else if now.duration_since(self.busy) > IDLE_TIMEOUT {
            let last = state.last_peer_stream;
            http2::write_go_away(&mut state.control, last, ErrorCode::NoError);
            return Some(Ending::Done);
        }
        None
    }

    /// Writes and reads as much as the connection takes and has, within one turn.
    fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        for _ in 0..16 {
            let blocked = self.poll_write(cx)?;
            let full = self.receiver.connection.state.borrow().control.len() > CONTROL_BYTES;
            let read = !(blocked && full) && self.poll_read(cx)?;
            let mut state = self.receiver.connection.state.borrow_mut();
            let more = !state.control.is_empty();
            if state.draining && state.streams.is_empty() && !more && !blocked {
                return Err(Ending::Done);
            }
            if !read && (blocked || !more) {
                state.driver = Some(cx.waker().clone());
                return Ok(());
            }
        }
        // Others of this thread have their turn.
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// True when the connection takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, Ending> {
        loop {
            if self.conn.output.is_empty() {
                let connection = &self.receiver.connection;
                connection.state.borrow_mut().batch(&mut self.conn.output, connection.side);
            }
            if self.conn.is_flushed() {
                return Ok(false);
            }
            match self.conn.poll_flush(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Ok(())) => self.moved = Instant::now(),
                Poll::Ready(Err(_)) => return Err(Ending::Gone),
            }
        }
    }

    /// Handles the whole frames and reads once; true when something was read.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, Ending> {
        self.frames()?;
        match self.conn.poll_fill(cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(1..)) => {
                self.frames()?;
                Ok(true)
            }
            Poll::Ready(_) => Err(Ending::Gone),
        }
    }

    fn frames(&mut self) -> Result<(), Ending> {
        loop {
            let taken = self.receiver.take(self.conn.input.data())?;
            if taken == 0 {
                return Ok(());
            }
            self.conn.input.consume(taken);
        }
    }
}
