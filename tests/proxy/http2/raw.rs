//! Frames by hand: nothing here is shared with what is tested.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::dial;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// A frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// SETTINGS.
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in values {
        payload.extend(id.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

/// A field as a literal that nobody remembers.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    assert!(name.len() < 127 && value.len() < 127 + 128);
    let mut out = vec![0, name.len() as u8];
    out.extend(name.as_bytes());
    match value.len() {
        length @ 0..127 => out.push(length as u8),
        length => out.extend([127, (length - 127) as u8]),
    }
    out.extend(value.as_bytes());
    out
}

/// A header block.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

/// The header block of a GET.
pub fn get(path: &str) -> Vec<u8> {
    block(&[(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a.test")])
}

/// The header block of a POST.
pub fn post(more: &[(&str, &str)]) -> Vec<u8> {
    let own =
        [(":method", "POST"), (":scheme", "http"), (":path", "/body"), (":authority", "a.test")];
    block(&[&own, more].concat())
}

/// A received frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names =
            ["DATA", "HEADERS", "PRIORITY", "RST", "SETTINGS", "PUSH", "PING", "GOAWAY", "WINDOW"];
        let name = names.get(usize::from(self.kind)).unwrap_or(&"?");
        write!(
            f,
            "{name}/{}/{} {:?}",
            self.flags,
            self.stream,
            &self.payload[..self.payload.len().min(12)]
        )
    }
}

impl Frame {
    /// The error code of RST_STREAM or GOAWAY.
    pub fn code(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        self.payload.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }
}

/// A client.
pub struct Client {
    pub stream: TcpStream,
    pub held: Vec<u8>,
}

impl Client {
    /// Connected, greetings exchanged.
    pub fn greeted(port: u16) -> Client {
        let mut client = Client { stream: dial(port), held: Vec::new() };
        client.send(&[PREFACE, &settings(&[])].concat());
        while !client.read().is_some_and(|frame| frame.kind == SETTINGS && frame.flags == 1) {}
        client
    }

    pub fn send(&mut self, bytes: &[u8]) {
        // The other end may have had enough.
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame; `None` when the connection has ended.
    pub fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(head) = self.held.first_chunk::<9>() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                if self.held.len() >= 9 + length {
                    let (kind, flags) = (head[3], head[4]);
                    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    let payload = self.held[9..9 + length].to_vec();
                    self.held.drain(..9 + length);
                    return Some(Frame { kind, flags, stream, payload });
                }
            }
            let mut bytes = [0; 65536];
            match self.stream.read(&mut bytes) {
                Ok(count @ 1..) => self.held.extend(&bytes[..count]),
                Ok(0) => return None,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("neither a frame nor an end: {:?}", self.held)
                }
                Err(_) => return None,
            }
        }
    }

    /// Frames up to the answer to this PING and, if a stream is given, something final of it; or
    /// up to the end, which is told.
    pub fn read_until_ping_or_end(
        &mut self,
        ping: &[u8],
        stream: Option<u32>,
    ) -> (Vec<Frame>, bool) {
        let mut frames = Vec::new();
        let (mut ponged, mut over) = (false, stream.is_none());
        while !(ponged && over) {
            let Some(frame) = self.read() else { return (frames, true) };
            ponged |= frame.kind == PING && frame.flags == 1 && frame.payload == ping;
            let ends = frame.kind == RST_STREAM || (frame.kind < 2 && frame.flags & 1 == 1);
            over |= ends && Some(frame.stream) == stream;
            frames.push(frame);
        }
        (frames, false)
    }

    /// The body of the answer on a stream.
    pub fn body(&mut self, stream: u32) -> String {
        let mut body = Vec::new();
        while let Some(frame) = self.read() {
            assert!(frame.kind != RST_STREAM && frame.kind != GOAWAY, "{frame:?}");
            if frame.stream != stream || frame.kind > HEADERS {
                continue;
            }
            if frame.kind == DATA {
                body.extend(&frame.payload);
            }
            if frame.flags & 1 == 1 {
                break;
            }
        }
        String::from_utf8_lossy(&body).into_owned()
    }
}
