//! What a received frame does: the rules of RFC 9113 sections 5 and 6.
//!
//! An error of a stream resets it, one of the connection ends that. The window of the connection
//! counts every byte of DATA, also of streams that are over: what nobody reads is given back at once.

use std::rc::Rc;
use std::time::Instant;

use box_wire::hpack::{Decoder, FieldList};
use box_wire::http2::{
    self, ACK, END_HEADERS, END_STREAM, ErrorCode, HEADER_BYTES, Header, Kind, MAX_FRAME_BYTES,
    MAX_WINDOW, PREFACE, PRIORITY, Setting, number, unpadded,
};
use tokio::sync::mpsc;

use super::connection::{Connection, Ending, HEADER_LIST_BYTES, MAX_STREAMS, Side, StreamRef};
use super::head;
use super::message::Writes;
use super::stream::{H2Stream, StreamState};

/// A header block and the frames it may come in: more is an attack (CVE-2024-27316).
const MAX_BLOCK_BYTES: usize = 64 * 1024;
const MAX_CONTINUATIONS: usize = 32;
/// Frames that cost their sender nothing are paid for out of a budget that fills up again.
const BUDGET: f64 = 1000.0;
const BUDGET_PER_SECOND: f64 = 200.0;
/// What opening and resetting a stream costs (CVE-2023-44487).
const RESET_COST: f64 = 5.0;

/// A header block whose end has not come.
struct Block {
    stream: u32,
    ends_stream: bool,
    bytes: Vec<u8>,
    continuations: usize,
}

/// Takes frames in.
pub(super) struct Receiver {
    pub(super) connection: Rc<Connection>,
    arrivals: mpsc::UnboundedSender<H2Stream>,
    /// The preface and SETTINGS have come.
    pub(super) greeted: bool,
    preface_left: usize,
    decoder: Decoder,
    fields: FieldList,
    block: Option<Block>,
    budget: f64,
    filled: Instant,
}

impl Receiver {
    pub(super) fn new(
        connection: Rc<Connection>,
        arrivals: mpsc::UnboundedSender<H2Stream>,
    ) -> Receiver {
        let preface_left = if connection.side == Side::Server { PREFACE.len() } else { 0 };
        Receiver {
            connection,
            arrivals,
            greeted: false,
            preface_left,
            decoder: Decoder::default(),
            fields: FieldList::new(HEADER_LIST_BYTES),
            block: None,
            budget: BUDGET,
            filled: Instant::now(),
        }
    }

    /// Handles the frame at the start of `data`: how many bytes it is, 0 when it is not whole.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<usize, Ending> {
        if self.preface_left > 0 {
            return self.preface(data);
        }
        let Some(header) = http2::header(data) else { return Ok(0) };
        if header.length > MAX_FRAME_BYTES {
            return Err(ErrorCode::FrameSize.into());
        }
        let length = HEADER_BYTES + header.length;
        let Some(payload) = data.get(HEADER_BYTES..length) else { return Ok(0) };
        if !self.greeted && header.kind != Some(Kind::Settings) {
            return Err(ErrorCode::Protocol.into());
        }
        self.frame(header, payload)?;
        Ok(length)
    }

    fn preface(&mut self, data: &[u8]) -> Result<usize, Ending> {
        let expected = &PREFACE[PREFACE.len() - self.preface_left..];
        let here = data.len().min(expected.len());
        if data.get(..here) != expected.get(..here) {
            return Err(ErrorCode::Protocol.into());
        }
        self.preface_left -= here;
        Ok(here)
    }

    fn frame(&mut self, header: Header, payload: &[u8]) -> Result<(), Ending> {
        // Nothing may come between the frames of a header block (RFC 9113 section 4.3).
        let expected = self.block.as_ref().map(|block| block.stream);
        let continues = header.kind == Some(Kind::Continuation) && expected == Some(header.stream);
        if expected.is_some() != continues {
            return Err(ErrorCode::Protocol.into());
        }
        match header.kind {
            None => self.charge(1.0),
            Some(Kind::Data) => self.data(header, payload),
            Some(Kind::Headers) => self.headers(header, payload),
            Some(Kind::Continuation) => self.continuation(header, payload),
            Some(Kind::Priority) => self.priority(header, payload),
            Some(Kind::ResetStream) => self.reset_stream(header, payload),
            Some(Kind::Settings) => self.settings(header, payload),
            Some(Kind::PushPromise) => Err(ErrorCode::Protocol.into()),
            Some(Kind::Ping) => self.ping(header, payload),
            Some(Kind::GoAway) => self.go_away(header, payload),
            Some(Kind::WindowUpdate) => self.window_update(header, payload),
        }
    }

    /// Pays for a frame.
    fn charge(&mut self, cost: f64) -> Result<(), Ending> {
        self.budget -= cost;
        if self.budget < 0.0 {
            let now = Instant::now();
            let earned = now.duration_since(self.filled).as_secs_f64() * BUDGET_PER_SECOND;
            self.filled = now;
            self.budget = (self.budget + earned).min(BUDGET);
            if self.budget < 0.0 {
                return Err(ErrorCode::EnhanceYourCalm.into());
            }
        }
        Ok(())
    }

    fn stream(&self, id: u32) -> Option<StreamRef> {
        self.connection.state.borrow().streams.get(&id).cloned()
    }

    /// No frame has ever opened this stream.
    fn is_idle(&self, id: u32) -> bool {
        let state = self.connection.state.borrow();
        let ours = (self.connection.side == Side::Client) == (id % 2 == 1);
        if ours { id >= state.next_stream } else { id > state.last_peer_stream }
    }

    /// We have reset it, and the peer may not have known.
    fn was_reset_lately(&self, id: u32) -> bool {
        self.connection.state.borrow().reset_lately.contains(&id)
    }

    /// An error of one stream.
    fn stream_error(&mut self, id: u32, code: ErrorCode) -> Result<(), Ending> {
        match self.stream(id) {
            Some(stream) => self.connection.reset(&mut stream.borrow_mut(), code),
            None => self.connection.state.borrow_mut().reset(id, code),
        }
        self.charge(RESET_COST)
    }

    fn data(&mut self, header: Header, payload: &[u8]) -> Result<(), Ending> {
        if header.stream == 0 || self.is_idle(header.stream) {
            return Err(ErrorCode::Protocol.into());
        }
        {
            let mut state = self.connection.state.borrow_mut();
            state.receive_window -= payload.len() as i64;
            if state.receive_window < 0 {
                return Err(ErrorCode::FlowControl.into());
            }
        }
        let body = unpadded(header, payload)?;
        let ends = header.has(END_STREAM);
        if body.is_empty() && !ends {
            self.charge(1.0)?;
        }
        let Some(stream) = self.stream(header.stream) else {
            self.discard(payload.len());
            if self.was_reset_lately(header.stream) {
                return Ok(());
            }
            return self.stream_error(header.stream, ErrorCode::StreamClosed);
        };
        let mut stream = stream.borrow_mut();
        if stream.peer_ended {
            self.discard(payload.len());
            drop(stream);
            return self.stream_error(header.stream, ErrorCode::StreamClosed);
        }
        stream.receive_window -= payload.len() as i64;
        let padding = payload.len() - body.len();
        let outcome = match stream.receive_window {
            ..0 => Err(ErrorCode::FlowControl),
            _ => stream.data(body, ends).map_err(|_| ErrorCode::Protocol),
        };
        if let Err(code) = outcome {
            self.discard(payload.len());
            drop(stream);
            return self.stream_error(header.stream, code);
        }
        stream.receive_window += padding as i64;
        let mut state = self.connection.state.borrow_mut();
        state.discard(padding);
        if padding > 0 && !ends {
            http2::write_number(
                &mut state.control,
                Kind::WindowUpdate,
                header.stream,
                padding as u32,
            );
        }
        drop(state);
        if ends {
            self.connection.queue(&mut stream);
        }
        Ok(())
    }

    /// DATA that no engine will read.
    fn discard(&self, count: usize) {
        let mut state = self.connection.state.borrow_mut();
        state.discard(count);
        state.wake_driver();
    }

    fn headers(&mut self, header: Header, payload: &[u8]) -> Result<(), Ending> {
        if header.stream == 0 {
            return Err(ErrorCode::Protocol.into());
        }
        let mut fragment = unpadded(header, payload)?;
        if header.has(PRIORITY) {
            let (priority, rest) = fragment.split_at_checked(5).ok_or(ErrorCode::FrameSize)?;
            if number(priority) == Some(header.stream) {
                return Err(ErrorCode::Protocol.into());
            }
            fragment = rest;
        }
        let block = Block {
            stream: header.stream,
            ends_stream: header.has(END_STREAM),
            bytes: Vec::new(),
            continuations: 0,
        };
        if header.has(END_HEADERS) {
            return self.block(block.stream, block.ends_stream, fragment);
        }
        self.block = Some(Block { bytes: fragment.to_vec(), ..block });
        Ok(())
    }

    fn continuation(&mut self, header: Header, payload: &[u8]) -> Result<(), Ending> {
        let Some(block) = &mut self.block else { return Err(ErrorCode::Protocol.into()) };
        block.continuations += 1;
        if block.continuations > MAX_CONTINUATIONS
            || block.bytes.len() + payload.len() > MAX_BLOCK_BYTES
        {
            return Err(ErrorCode::EnhanceYourCalm.into());
        }
        block.bytes.extend_from_slice(payload);
        if header.has(END_HEADERS)
            && let Some(block) = self.block.take()
        {
            return self.block(block.stream, block.ends_stream, &block.bytes);
        }
        Ok(())
    }

    /// A whole header block.
    fn block(&mut self, id: u32, ends: bool, block: &[u8]) -> Result<(), Ending> {
        let mut fields = std::mem::take(&mut self.fields);
        fields = if fields.is_too_large() { FieldList::new(HEADER_LIST_BYTES) } else { fields };
        fields.clear();
        let decoded = self.decoder.decode(block, &mut fields);
        let handled = match decoded {
            Err(_) => Err(ErrorCode::Compression.into()),
            Ok(()) => self.message(id, ends, &fields),
        };
        self.fields = fields;
        handled
    }

    fn message(&mut self, id: u32, ends: bool, fields: &FieldList) -> Result<(), Ending> {
        if let Some(stream) = self.stream(id) {
            return self.further_head(id, &stream, ends, fields);
        }
        if !self.is_idle(id) {
            // The table is up to date; the stream is not there any more.
            return if self.was_reset_lately(id) {
                Ok(())
            } else {
                Err(ErrorCode::StreamClosed.into())
            };
        }
        if self.connection.side == Side::Client || id.is_multiple_of(2) {
            return Err(ErrorCode::Protocol.into());
        }
        self.request(id, ends, fields)
    }

    /// A request opens a stream.
    fn request(&mut self, id: u32, ends: bool, fields: &FieldList) -> Result<(), Ending> {
        let mut state = self.connection.state.borrow_mut();
        state.last_peer_stream = id;
        let full = state.handles.max(state.streams.len()) >= MAX_STREAMS;
        let (draining, window) = (state.draining, state.peer_window);
        drop(state);
        if full || draining {
            return self.stream_error(id, ErrorCode::RefusedStream);
        }
        let to_head = fields.iter().any(|(name, value)| name == b":method" && value == b"HEAD");
        let mut stream = StreamState::new(id, window, Writes::Response { to_head });
        stream.has_head = true;
        if fields.is_too_large() {
            return self.stream_error(id, ErrorCode::EnhanceYourCalm);
        }
        if stream.head(|out| head::request(fields, ends, out)).is_err() {
            return self.stream_error(id, ErrorCode::Protocol);
        }
        stream.peer_ended = ends;
        let stream = Rc::new(std::cell::RefCell::new(stream));
        self.connection.state.borrow_mut().streams.insert(id, stream.clone());
        let arrived = self.arrivals.send(H2Stream::new(self.connection.clone(), stream));
        arrived.map_err(|_| Ending::Done)
    }

    /// A response, an interim one, or trailers.
    fn further_head(
        &mut self,
        id: u32,
        stream: &StreamRef,
        ends: bool,
        fields: &FieldList,
    ) -> Result<(), Ending> {
        let mut stream = stream.borrow_mut();
        if stream.peer_ended {
            return Err(ErrorCode::StreamClosed.into());
        }
        let taken = if fields.is_too_large() {
            Err(head::MalformedMessage)
        } else if stream.has_head {
            if ends {
                stream.ended(|out| head::trailers(fields, out))
            } else {
                Err(head::MalformedMessage)
            }
        } else {
            response(&mut stream, ends, fields)
        };
        if taken.is_err() {
            drop(stream);
            return self.stream_error(id, ErrorCode::Protocol);
        }
        if ends {
            self.connection.queue(&mut stream);
        }
        Ok(())
    }

    /// Priorities are not used (RFC 9113 section 5.3.2), but they must be well formed.
    fn priority(&mut self, header: Header, payload: &[u8]) -> Result<(), Ending> {
        if header.stream == 0 || number(payload) == Some(header.stream) {
            return Err(ErrorCode::Protocol.into());
        }
        if payload.len() != 5 {
            return self.stream_error(header.stream, ErrorCode::FrameSize);
        }
        self.charge(1.0)
    }

    fn reset_stream(&mut self, header: Header, payload: &[u8]) -> Result<(), Ending> {
        if payload.len() != 4 {
            return Err(ErrorCode::FrameSize.into());
        }
        if header.stream == 0 || self.is_idle(header.stream) {
            return Err(ErrorCode::Protocol.into());
        }
        if let Some(stream) = self.stream(header.stream) {
            let mut stream = stream.borrow_mut();
            self.connection.state.borrow_mut().streams.remove(&header.stream);
            // An answer that was whole before its request was: the engine still gets it.
            let whole = stream.peer_ended && self.connection.side == Side::Client;
            if !whole {
                stream.break_off();
            }
        }
        self.charge(RESET_COST)
    }

    fn settings(&mut self, header: Header, payload: &[u8]) -> Result<(), Ending> {
        if header.stream != 0 {
            return Err(ErrorCode::Protocol.into());
        }
        if header.has(ACK) {
            return if payload.is_empty() {
                self.charge(1.0)
            } else {
                Err(ErrorCode::FrameSize.into())
            };
        }
        self.greeted = true;
        for (setting, value) in http2::settings(payload)? {
            match setting {
                Setting::InitialWindowSize => self.initial_window(i64::from(value))?,
                Setting::MaxConcurrentStreams => {
                    let most = (value as usize).min(MAX_STREAMS);
                    self.connection.state.borrow_mut().peer_max_streams = most;
                }
                _ => {}
            }
        }
        let mut state = self.connection.state.borrow_mut();
        http2::write_header(&mut state.control, Kind::Settings, ACK, 0, 0);
        drop(state);
        self.charge(1.0)
    }

    /// Changes the windows of the open streams by the difference; they may become negative
    /// (RFC 9113 section 6.9.2).
    fn initial_window(&mut self, window: i64) -> Result<(), Ending> {
        let mut state = self.connection.state.borrow_mut();
        let difference = window - std::mem::replace(&mut state.peer_window, window);
        let streams: Vec<StreamRef> = state.streams.values().cloned().collect();
        for stream in streams {
            let mut stream = stream.borrow_mut();
            stream.send_window += difference;
            if stream.send_window > MAX_WINDOW {
                return Err(ErrorCode::FlowControl.into());
            }
            state.resume(&mut stream);
        }
        Ok(())
    }

    fn ping(&mut self, header: Header, payload: &[u8]) -> Result<(), Ending> {
        if header.stream != 0 {
            return Err(ErrorCode::Protocol.into());
        }
        if payload.len() != 8 {
            return Err(ErrorCode::FrameSize.into());
        }
        if !header.has(ACK) {
            let mut state = self.connection.state.borrow_mut();
            http2::write_header(&mut state.control, Kind::Ping, ACK, 0, 8);
            state.control.extend_from_slice(payload);
        }
        self.charge(1.0)
    }

    fn go_away(&mut self, header: Header, payload: &[u8]) -> Result<(), Ending> {
        if header.stream != 0 {
            return Err(ErrorCode::Protocol.into());
        }
        let last = number(payload).filter(|_| payload.len() >= 8).ok_or(ErrorCode::FrameSize)?;
        let mut state = self.connection.state.borrow_mut();
        state.draining = true;
        state.wake_driver();
        if self.connection.side == Side::Client {
            // Those above the last one were not begun.
            state.streams.retain(|id, stream| {
                if *id > last {
                    stream.borrow_mut().break_off();
                }
                *id <= last
            });
        }
        Ok(())
    }

    fn window_update(&mut self, header: Header, payload: &[u8]) -> Result<(), Ending> {
        if payload.len() != 4 {
            return Err(ErrorCode::FrameSize.into());
        }
        let more = i64::from(number(payload).unwrap_or(0));
        if header.stream == 0 {
            let mut state = self.connection.state.borrow_mut();
            state.send_window += more;
            state.wake_driver();
            return match (more, state.send_window) {
                (0, _) => Err(ErrorCode::Protocol.into()),
                (_, window) if window > MAX_WINDOW => Err(ErrorCode::FlowControl.into()),
                _ => Ok(()),
            };
        }
        if self.is_idle(header.stream) {
            return Err(ErrorCode::Protocol.into());
        }
        let Some(stream) = self.stream(header.stream) else { return Ok(()) };
        let mut stream = stream.borrow_mut();
        stream.send_window += more;
        let code = match (more, stream.send_window) {
            (0, _) => ErrorCode::Protocol,
            (_, window) if window > MAX_WINDOW => ErrorCode::FlowControl,
            _ => {
                self.connection.state.borrow_mut().resume(&mut stream);
                return Ok(());
            }
        };
        drop(stream);
        self.stream_error(header.stream, code)
    }
}

/// The head of a response to a request of ours.
fn response(
    stream: &mut StreamState,
    ends: bool,
    fields: &FieldList,
) -> Result<(), head::MalformedMessage> {
    let to_head = stream.outgoing.asks_head;
    let mut status = 0;
    stream.head(|out| {
        let (code, inward) = head::response(fields, ends, to_head, out)?;
        status = code;
        Ok(inward)
    })?;
    stream.has_head = status >= 200;
    // Nothing is written for an end without a body: the head has said that there is none.
    stream.peer_ended = ends;
    Ok(())
}
