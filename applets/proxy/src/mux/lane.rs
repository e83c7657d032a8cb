//! A lane: the streams of one connection and the task that drives it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;

use super::frame::{self, Header, Kind, OpenHead};
use super::stream::{MuxStream, StreamState};
use crate::io::Stream;

/// A batch of frames is written when the connection takes it; writers wait beyond this size.
const BATCH_BYTES: usize = 64 * 1024;
/// What interactive streams may put on top of a full batch.
const BATCH_RESERVE: usize = 16 * 1024;
/// One read of the connection.
const READ_BYTES: usize = 64 * 1024;
/// Payloads below this are copied out of the read buffer, so that a byte does not pin 64 KiB.
const SLICED_BYTES: usize = 4096;
/// Streams of a lane that are open at once; more are refused with RESET.
pub const MAX_STREAMS: usize = 20_000;
/// By how much all windows of a lane together may grow over their initial size.
const GROWTH_BUDGET: usize = 64 << 20;
/// A PING goes out after this much time.
const PING_EVERY: Duration = Duration::from_secs(5);
/// A peer that was silent this long is gone.
const DEAD_AFTER: Duration = Duration::from_secs(11);
/// Writers woken after each batch.
const WOKEN_PER_BATCH: usize = 6;
/// Control frames that may wait for a connection that takes nothing, before the lane is given up.
const CONTROL_BYTES: usize = 1 << 20;

/// Which end of the connection this is: the edge opens even streams, the agent odd ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Dialled in; has the services.
    Agent,
    /// Was dialled; has the visitors.
    Edge,
}

/// Why a lane ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneError {
    /// The peer closed the connection.
    Closed,
    /// The connection failed.
    Io(String),
    /// The peer did not answer.
    Silent,
    /// The peer broke the protocol.
    Protocol(&'static str),
    /// We ended it.
    Local,
}

impl fmt::Display for LaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LaneError::Closed => f.write_str("connection closed"),
            LaneError::Io(error) => f.write_str(error),
            LaneError::Silent => f.write_str("no answer for 11 s"),
            LaneError::Protocol(what) => write!(f, "protocol error: {what}"),
            LaneError::Local => f.write_str("closed"),
        }
    }
}

/// What a lane hands to its owner.
pub enum Arrival {
    /// The peer opened a stream.
    Stream(MuxStream, OpenHead),
    /// A control message.
    Control(Bytes),
    /// The peer takes no new streams.
    GoAway,
}

pub(super) type StreamRef = Rc<RefCell<StreamState>>;

/// What the driver and the streams share.
pub(super) struct State {
    pub(super) streams: HashMap<u32, StreamRef>,
    /// Frames that are not subject to flow control, sent before data.
    control: Vec<u8>,
    /// Data frames that will go out together.
    pub(super) batch: Vec<u8>,
    /// Writers that wait for room, interactive ones first.
    interactive: VecDeque<u32>,
    bulk: VecDeque<u32>,
    driver: Option<Waker>,
    ended: Option<LaneError>,
    next_stream: u32,
    last_peer_stream: u32,
    growth_left: usize,
    draining: bool,
    closing: bool,
}

/// One connection's streams. Shared by the tasks of its thread.
pub struct Lane {
    pub(super) state: RefCell<State>,
    rtt: Cell<Duration>,
    side: Side,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("side", &self.side).finish_non_exhaustive()
    }
}

impl Lane {
    /// A lane on `io` after the greeting, of which `read` is left. Returns the lane, its arrivals,
    /// and the driver, which must be run until it returns why the lane ended.
    pub fn start(
        io: Stream,
        side: Side,
        read: BytesMut,
    ) -> (Rc<Lane>, mpsc::UnboundedReceiver<Arrival>, impl Future<Output = LaneError>) {
        let state = State {
            streams: HashMap::new(),
            control: Vec::new(),
            batch: Vec::new(),
            interactive: VecDeque::new(),
            bulk: VecDeque::new(),
            driver: None,
            ended: None,
            next_stream: if side == Side::Edge { 2 } else { 1 },
            last_peer_stream: 0,
            growth_left: GROWTH_BUDGET,
            draining: false,
            closing: false,
        };
        let lane =
            Rc::new(Lane { state: RefCell::new(state), rtt: Cell::new(Duration::ZERO), side });
        let (arrivals, receiver) = mpsc::unbounded_channel();
        let driver = Driver::new(lane.clone(), io, read, arrivals).run();
        (lane, receiver, driver)
    }

    /// Opens a stream. Its OPEN frame leaves together with the first bytes written to it.
    ///
    /// # Errors
    /// The lane has ended or drains, or has too many streams.
    pub fn open(self: &Rc<Lane>, head: &OpenHead) -> Result<MuxStream, LaneError> {
        let mut state = self.state.borrow_mut();
        if let Some(error) = &state.ended {
            return Err(error.clone());
        }
        if state.draining || state.streams.len() >= MAX_STREAMS || state.next_stream > u32::MAX - 2
        {
            return Err(LaneError::Local);
        }
        let id = state.next_stream;
        state.next_stream += 2;
        let mut opening = Vec::with_capacity(64);
        head.write(&mut opening);
        let stream = Rc::new(RefCell::new(StreamState::new(id, Some(opening))));
        state.streams.insert(id, stream.clone());
        drop(state);
        Ok(MuxStream::new(self.clone(), stream))
    }

    /// Sends a control message.
    pub fn control(&self, message: &[u8]) {
        self.push_control(|out| {
            frame::write_header(out, Kind::Control, 0, message.len(), 0);
            out.extend_from_slice(message);
        });
    }

    /// Tells the peer that no new streams will be served, and opens none itself.
    pub fn go_away(&self) {
        let last = self.state.borrow().last_peer_stream;
        self.state.borrow_mut().draining = true;
        self.push_control(|out| frame::write_number(out, Kind::GoAway, 0, last));
    }

    /// Ends the lane after what is queued has been written.
    pub fn close(&self) {
        self.state.borrow_mut().closing = true;
        self.wake_driver();
    }

    /// Whether streams may be opened.
    pub fn is_open(&self) -> bool {
        let state = self.state.borrow();
        state.ended.is_none() && !state.draining && !state.closing
    }

    /// Open streams.
    pub fn stream_count(&self) -> usize {
        self.state.borrow().streams.len()
    }

    /// Bytes and writers that wait: the less, the better for a new stream.
    pub fn load(&self) -> usize {
        let state = self.state.borrow();
        state.batch.len()
            + (state.interactive.len() + state.bulk.len()) * frame::MAX_DATA_BYTES
            + state.streams.len()
    }

    /// The last measured time to the peer and back.
    pub fn rtt(&self) -> Duration {
        self.rtt.get()
    }

    /// Why the lane ended, if it has.
    pub(super) fn ended(&self) -> Option<LaneError> {
        self.state.borrow().ended.clone()
    }

    pub(super) fn push_control(&self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.state.borrow_mut().control);
        self.wake_driver();
    }

    /// Breaks a stream off, behind what it has sent: the part of an answer that came is passed on.
    pub(super) fn push_reset(&self, id: u32) {
        frame::write_number(&mut self.state.borrow_mut().batch, Kind::Reset, id, 2);
        self.wake_driver();
    }

    pub(super) fn wake_driver(&self) {
        let waker = self.state.borrow_mut().driver.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether a writer may add a frame to the batch now; queues it otherwise.
    pub(super) fn admit(&self, stream: &mut StreamState) -> bool {
        let mut state = self.state.borrow_mut();
        let interactive = stream.is_interactive();
        let limit = if interactive { BATCH_BYTES + BATCH_RESERVE } else { BATCH_BYTES };
        let others_wait = !interactive && !stream.granted && !state.bulk.is_empty();
        if state.batch.len() < limit && !others_wait {
            stream.granted = false;
            return true;
        }
        stream.granted = false;
        if !stream.queued {
            stream.queued = true;
            let queue = if interactive { &mut state.interactive } else { &mut state.bulk };
            queue.push_back(stream.id);
        }
        false
    }

    /// Takes growth of a window out of the budget of all; false when there is none left.
    pub(super) fn grow(&self, by: usize) -> bool {
        let mut state = self.state.borrow_mut();
        let fits = state.growth_left >= by;
        if fits {
            state.growth_left -= by;
        }
        fits
    }

    /// A stream is over on both sides and forgotten.
    pub(super) fn forget(&self, id: u32, growth: usize) {
        let mut state = self.state.borrow_mut();
        if state.streams.remove(&id).is_some() {
            state.growth_left += growth;
        }
        let idle = state.draining && state.streams.is_empty();
        drop(state);
        if idle {
            self.wake_driver();
        }
    }

    /// Lets those who wait for room go on, in turn.
    fn wake_writers(&self) {
        for _ in 0..WOKEN_PER_BATCH {
            let mut state = self.state.borrow_mut();
            let Some(id) = state.interactive.pop_front().or_else(|| state.bulk.pop_front()) else {
                return;
            };
            let Some(stream) = state.streams.get(&id).cloned() else { continue };
            drop(state);
            let mut stream = stream.borrow_mut();
            stream.queued = false;
            stream.granted = true;
            stream.wake_writer();
        }
    }

    /// The lane is over: every stream fails.
    fn end(&self, error: LaneError) {
        let mut state = self.state.borrow_mut();
        state.ended = Some(error);
        let streams: Vec<StreamRef> = state.streams.drain().map(|(_, stream)| stream).collect();
        drop(state);
        for stream in streams {
            let mut stream = stream.borrow_mut();
            stream.broken = true;
            stream.wake_reader();
            stream.wake_writer();
        }
    }
}

/// The task that reads and writes the connection.
struct Driver {
    lane: Rc<Lane>,
    io: Stream,
    read: BytesMut,
    arrivals: mpsc::UnboundedSender<Arrival>,
    writing: Vec<u8>,
    written: usize,
    unflushed: bool,
    started: Instant,
    last_heard: Instant,
    last_ping: Option<Instant>,
}

impl Driver {
    fn new(
        lane: Rc<Lane>,
        io: Stream,
        read: BytesMut,
        arrivals: mpsc::UnboundedSender<Arrival>,
    ) -> Driver {
        let now = Instant::now();
        Driver {
            lane,
            io,
            read,
            arrivals,
            writing: Vec::new(),
            written: 0,
            unflushed: false,
            started: now,
            last_heard: now,
            // The first PING goes out at once: the round trip is shown to the user.
            last_ping: None,
        }
    }

    async fn run(mut self) -> LaneError {
        let mut heartbeat = tokio::time::interval(Duration::from_secs(1));
        let error = poll_fn(|cx| {
            while heartbeat.poll_tick(cx).is_ready() {
                if let Err(error) = self.heartbeat() {
                    return Poll::Ready(error);
                }
            }
            match self.poll(cx) {
                Err(error) => Poll::Ready(error),
                Ok(()) => Poll::Pending,
            }
        })
        .await;
        self.lane.end(error.clone());
        let _ = tokio::time::timeout(
            Duration::from_secs(1),
            poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)),
        )
        .await;
        error
    }

    fn heartbeat(&mut self) -> Result<(), LaneError> {
        let now = Instant::now();
        if now.duration_since(self.last_heard) > DEAD_AFTER {
            return Err(LaneError::Silent);
        }
        if self.last_ping.is_none_or(|last| now.duration_since(last) >= PING_EVERY) {
            self.last_ping = Some(now);
            let stamp = now.duration_since(self.started).as_nanos() as u64;
            let mut state = self.lane.state.borrow_mut();
            frame::write_header(&mut state.control, Kind::Ping, 0, 8, 0);
            state.control.extend_from_slice(&stamp.to_be_bytes());
        }
        Ok(())
    }

    /// Writes and reads as much as the connection takes and has, within one turn.
    fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), LaneError> {
        for _ in 0..16 {
            let blocked = self.poll_write(cx)?;
            let read = self.poll_read(cx)?;
            let mut state = self.lane.state.borrow_mut();
            let more = !state.control.is_empty() || !state.batch.is_empty();
            if state.closing && !more && self.writing.is_empty() {
                return Err(LaneError::Local);
            }
            if state.control.len() > CONTROL_BYTES {
                return Err(LaneError::Protocol("control frames pile up"));
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
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, LaneError> {
        loop {
            if self.writing.is_empty() && !self.next_batch() {
                break;
            }
            let rest = &self.writing[self.written..];
            match Pin::new(&mut self.io).poll_write(cx, rest) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Ok(0)) => return Err(LaneError::Closed),
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return Err(LaneError::Io(error.to_string())),
            }
            if self.written == self.writing.len() {
                self.writing.clear();
                self.written = 0;
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(LaneError::Io(error.to_string())),
            }
        }
        Ok(false)
    }

    /// Takes the batch to be written and makes room for the next one.
    fn next_batch(&mut self) -> bool {
        let mut state = self.lane.state.borrow_mut();
        if state.control.is_empty() && state.batch.is_empty() {
            // Idle: the memory of a busy time is not kept.
            if state.batch.capacity() > BATCH_BYTES / 4 {
                state.batch = Vec::new();
                self.writing = Vec::new();
            }
            return false;
        }
        if state.control.is_empty() {
            std::mem::swap(&mut self.writing, &mut state.batch);
        } else {
            std::mem::swap(&mut self.writing, &mut state.control);
            let State { batch, .. } = &mut *state;
            self.writing.append(batch);
        }
        drop(state);
        self.lane.wake_writers();
        true
    }

    /// Reads once and handles the whole frames; true when something was read.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, LaneError> {
        self.frames()?;
        if self.read.capacity() - self.read.len() < frame::MAX_DATA_BYTES {
            self.read.reserve(READ_BYTES);
        }
        let read = std::pin::pin!(self.io.read_buf(&mut self.read)).poll(cx);
        match read {
            Poll::Pending => {
                if self.read.is_empty() && self.read.capacity() > 0 {
                    self.read = BytesMut::new();
                }
                Ok(false)
            }
            Poll::Ready(Err(error)) => Err(LaneError::Io(error.to_string())),
            Poll::Ready(Ok(0)) => Err(LaneError::Closed),
            Poll::Ready(Ok(_)) => {
                self.last_heard = Instant::now();
                self.frames()?;
                Ok(true)
            }
        }
    }

    fn frames(&mut self) -> Result<(), LaneError> {
        loop {
            let header = frame::header(&self.read).map_err(|bad| LaneError::Protocol(bad.0))?;
            let Some(header) = header else { return Ok(()) };
            if self.read.len() < frame::HEADER_BYTES + header.length {
                return Ok(());
            }
            let mut payload = self.read.split_to(frame::HEADER_BYTES + header.length);
            let _ = payload.split_to(frame::HEADER_BYTES);
            self.frame(header, payload)?;
        }
    }

    fn frame(&mut self, header: Header, payload: BytesMut) -> Result<(), LaneError> {
        let number = || frame::number(&payload).ok_or(LaneError::Protocol("a short frame"));
        match header.kind {
            None => Ok(()),
            Some(Kind::Data) => self.data(header, payload),
            Some(Kind::Open) => self.opened(header, payload),
            Some(Kind::Credit) => {
                let credit = number()?;
                self.with_stream(header.stream, |stream| stream.credit(credit as usize))
            }
            Some(Kind::Reset) => {
                self.with_stream(header.stream, |stream| {
                    stream.broken = true;
                    stream.reset_by_peer = true;
                    stream.wake_reader();
                    stream.wake_writer();
                    true
                })?;
                let stream = self.lane.state.borrow().streams.get(&header.stream).cloned();
                if let Some(stream) = stream {
                    let growth = stream.borrow().growth;
                    self.lane.forget(header.stream, growth);
                }
                Ok(())
            }
            Some(Kind::Ping) => {
                self.ping(header, &payload);
                Ok(())
            }
            Some(Kind::GoAway) => {
                self.lane.state.borrow_mut().draining = true;
                self.arrived(Arrival::GoAway)
            }
            Some(Kind::Control) => self.arrived(Arrival::Control(payload.freeze())),
            Some(Kind::Hello | Kind::Welcome | Kind::Reject) => {
                Err(LaneError::Protocol("a greeting after the greeting"))
            }
        }
    }

    fn arrived(&self, arrival: Arrival) -> Result<(), LaneError> {
        self.arrivals.send(arrival).map_err(|_| LaneError::Local)
    }

    /// Streams that are already forgotten may still be spoken of by the peer.
    fn with_stream(
        &self,
        id: u32,
        act: impl FnOnce(&mut StreamState) -> bool,
    ) -> Result<(), LaneError> {
        let stream = self.lane.state.borrow().streams.get(&id).cloned();
        match stream {
            Some(stream) if !act(&mut stream.borrow_mut()) => {
                Err(LaneError::Protocol("flow control was ignored"))
            }
            _ => Ok(()),
        }
    }

    fn data(&self, header: Header, payload: BytesMut) -> Result<(), LaneError> {
        let fin = header.flags & frame::FIN != 0;
        let payload = keep(payload);
        self.with_stream(header.stream, |stream| stream.received(payload, fin))
    }

    fn opened(&self, header: Header, payload: BytesMut) -> Result<(), LaneError> {
        let id = header.stream;
        let peer_parity = if self.lane.side == Side::Edge { 1 } else { 0 };
        let mut state = self.lane.state.borrow_mut();
        // Numbers are given when a stream is made, frames go out when there is room for its first
        // bytes: a later stream may overtake an earlier one.
        if id % 2 != peer_parity || state.streams.contains_key(&id) {
            return Err(LaneError::Protocol("a stream number that is not free"));
        }
        state.last_peer_stream = state.last_peer_stream.max(id);
        let Some((head, length)) = OpenHead::parse(&payload) else {
            return Err(LaneError::Protocol("a malformed OPEN"));
        };
        if state.draining || state.streams.len() >= MAX_STREAMS {
            frame::write_number(&mut state.control, Kind::Reset, id, 1);
            return Ok(());
        }
        let stream = Rc::new(RefCell::new(StreamState::new(id, None)));
        state.streams.insert(id, stream.clone());
        drop(state);
        let mut payload = payload;
        let _ = payload.split_to(length);
        let fin = header.flags & frame::FIN != 0;
        if !stream.borrow_mut().received(keep(payload), fin) {
            return Err(LaneError::Protocol("flow control was ignored"));
        }
        self.arrived(Arrival::Stream(MuxStream::new(self.lane.clone(), stream), head))
    }

    fn ping(&self, header: Header, payload: &[u8]) {
        if header.flags & frame::ACK == 0 {
            let mut state = self.lane.state.borrow_mut();
            frame::write_header(&mut state.control, Kind::Ping, frame::ACK, payload.len(), 0);
            state.control.extend_from_slice(payload);
        } else if let Some(stamp) = payload.first_chunk::<8>() {
            let sent = Duration::from_nanos(u64::from_be_bytes(*stamp));
            self.lane.rtt.set(self.started.elapsed().saturating_sub(sent));
        }
    }
}

fn keep(payload: BytesMut) -> Bytes {
    if payload.len() < SLICED_BYTES { Bytes::copy_from_slice(&payload) } else { payload.freeze() }
}
