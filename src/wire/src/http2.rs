//! Frames of HTTP/2 (RFC 9113 section 4 and 6): their heads, settings and error codes.
//!
//! ```text
//! +-----------------------------------------------+
//! |                 Length (24)                   |
//! +---------------+---------------+---------------+
//! |   Type (8)    |   Flags (8)   |
//! +-+-------------+---------------+-------------------------------+
//! |R|                 Stream Identifier (31)                      |
//! +=+=============================================================+
//! ```

/// What a client sends first (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame's head.
pub const HEADER_BYTES: usize = 9;
/// The largest payload that everybody must take, and the largest that we take.
pub const MAX_FRAME_BYTES: usize = 16 * 1024;
/// Windows are below this (RFC 9113 section 6.9.1).
pub const MAX_WINDOW: i64 = (1 << 31) - 1;
/// What a window is before anybody has said otherwise.
pub const INITIAL_WINDOW: i64 = 65_535;

/// Kinds of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    Data = 0,
    Headers = 1,
    Priority = 2,
    ResetStream = 3,
    Settings = 4,
    PushPromise = 5,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

impl Kind {
    fn of(number: u8) -> Option<Kind> {
        use Kind::*;
        [
            Data,
            Headers,
            Priority,
            ResetStream,
            Settings,
            PushPromise,
            Ping,
            GoAway,
            WindowUpdate,
            Continuation,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == number)
    }
}

/// DATA and HEADERS: nothing follows on the stream.
pub const END_STREAM: u8 = 0x1;
/// SETTINGS and PING: an answer.
pub const ACK: u8 = 0x1;
/// HEADERS and CONTINUATION: the block is whole.
pub const END_HEADERS: u8 = 0x4;
/// DATA and HEADERS: the first byte of the payload says how many of its last ones mean nothing.
pub const PADDED: u8 = 0x8;
/// HEADERS: five bytes of priority come before the block.
pub const PRIORITY: u8 = 0x20;

/// Error codes (RFC 9113 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum ErrorCode {
    NoError = 0,
    Protocol = 1,
    Internal = 2,
    FlowControl = 3,
    StreamClosed = 5,
    FrameSize = 6,
    RefusedStream = 7,
    Cancel = 8,
    Compression = 9,
    EnhanceYourCalm = 11,
    Http11Required = 13,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the payload.
    pub length: usize,
    /// The kind; `None`: unknown, to be ignored.
    pub kind: Option<Kind>,
    /// The flags.
    pub flags: u8,
    /// The stream; 0 is the connection.
    pub stream: u32,
}

impl Header {
    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The head at the start of `bytes`, when it is whole.
pub fn header(bytes: &[u8]) -> Option<Header> {
    let &[a, b, c, kind, flags, s0, s1, s2, s3] = bytes.first_chunk::<HEADER_BYTES>()?;
    Some(Header {
        length: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
        kind: Kind::of(kind),
        flags,
        // The first bit is reserved and ignored.
        stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
    })
}

/// Appends the head of a frame.
pub fn write_header(out: &mut Vec<u8>, kind: Kind, flags: u8, stream: u32, length: usize) {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind as u8, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Appends a frame whose payload is one number: RST_STREAM, WINDOW_UPDATE.
pub fn write_number(out: &mut Vec<u8>, kind: Kind, stream: u32, number: u32) {
    write_header(out, kind, 0, stream, 4);
    out.extend_from_slice(&number.to_be_bytes());
}

/// Appends a header block as HEADERS and as many CONTINUATION as it takes.
pub fn write_headers(out: &mut Vec<u8>, stream: u32, block: &[u8], end_stream: bool) {
    let mut pieces = block.chunks(MAX_FRAME_BYTES).peekable();
    let mut kind = Kind::Headers;
    let mut flags = if end_stream { END_STREAM } else { 0 };
    loop {
        let piece = pieces.next().unwrap_or_default();
        let last = pieces.peek().is_none();
        flags |= if last { END_HEADERS } else { 0 };
        write_header(out, kind, flags, stream, piece.len());
        out.extend_from_slice(piece);
        if last {
            return;
        }
        (kind, flags) = (Kind::Continuation, 0);
    }
}

/// Appends SETTINGS.
pub fn write_settings(out: &mut Vec<u8>, settings: &[(Setting, u32)]) {
    write_header(out, Kind::Settings, 0, 0, settings.len() * 6);
    for (setting, value) in settings {
        out.extend_from_slice(&(*setting as u16).to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends GOAWAY.
pub fn write_go_away(out: &mut Vec<u8>, last_stream: u32, code: ErrorCode) {
    write_header(out, Kind::GoAway, 0, 0, 8);
    out.extend_from_slice(&last_stream.to_be_bytes());
    out.extend_from_slice(&(code as u32).to_be_bytes());
}

/// The number at the start of a payload, without its reserved bit.
pub fn number(payload: &[u8]) -> Option<u32> {
    payload.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes) & 0x7fff_ffff)
}

/// Settings that matter here (RFC 9113 section 6.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs)]
pub enum Setting {
    EnablePush = 2,
    MaxConcurrentStreams = 3,
    InitialWindowSize = 4,
    MaxFrameSize = 5,
    MaxHeaderListSize = 6,
}

/// The settings in a payload, unknown ones left out, each checked.
///
/// # Errors
/// A value that its setting cannot have, or a payload of a wrong length.
pub fn settings(payload: &[u8]) -> Result<Vec<(Setting, u32)>, ErrorCode> {
    use Setting::*;
    let (entries, rest) = payload.as_chunks::<6>();
    if !rest.is_empty() {
        return Err(ErrorCode::FrameSize);
    }
    let mut known = Vec::with_capacity(entries.len().min(8));
    for &[i0, i1, v0, v1, v2, v3] in entries {
        let value = u32::from_be_bytes([v0, v1, v2, v3]);
        let all =
            [EnablePush, MaxConcurrentStreams, InitialWindowSize, MaxFrameSize, MaxHeaderListSize];
        let Some(setting) = all.into_iter().find(|s| *s as u16 == u16::from_be_bytes([i0, i1]))
        else {
            continue;
        };
        match setting {
            EnablePush if value > 1 => return Err(ErrorCode::Protocol),
            InitialWindowSize if i64::from(value) > MAX_WINDOW => {
                return Err(ErrorCode::FlowControl);
            }
            MaxFrameSize if !(MAX_FRAME_BYTES as u32..1 << 24).contains(&value) => {
                return Err(ErrorCode::Protocol);
            }
            _ => known.push((setting, value)),
        }
    }
    Ok(known)
}

/// A payload without its padding (RFC 9113 section 6.1).
///
/// # Errors
/// There is more padding than payload.
pub fn unpadded(header: Header, payload: &[u8]) -> Result<&[u8], ErrorCode> {
    if !header.has(PADDED) {
        return Ok(payload);
    }
    let (&padding, rest) = payload.split_first().ok_or(ErrorCode::FrameSize)?;
    let length = rest.len().checked_sub(usize::from(padding)).ok_or(ErrorCode::Protocol)?;
    Ok(rest.get(..length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_as_it_was_written() {
        let mut out = Vec::new();
        write_header(&mut out, Kind::Headers, END_STREAM | PADDED, 0x7fff_ffff, 0x12_3456);
        let header = header(&out).expect("whole");
        assert_eq!(
            (header.length, header.kind, header.stream),
            (0x12_3456, Some(Kind::Headers), 0x7fff_ffff)
        );
        assert!(header.has(END_STREAM) && !header.has(END_HEADERS));
        for cut in 0..HEADER_BYTES {
            assert_eq!(super::header(&out[..cut]), None);
        }
    }

    #[test]
    fn a_long_block_goes_on_in_continuations() {
        let block = vec![7; 2 * MAX_FRAME_BYTES + 1];
        let mut out = Vec::new();
        write_headers(&mut out, 3, &block, true);
        let (mut rest, mut seen, mut joined) = (&out[..], Vec::new(), Vec::new());
        while let Some(head) = header(rest) {
            seen.push((head.kind, head.flags));
            joined.extend_from_slice(&rest[HEADER_BYTES..HEADER_BYTES + head.length]);
            rest = &rest[HEADER_BYTES + head.length..];
        }
        let continued = Some(Kind::Continuation);
        assert_eq!(
            seen,
            [(Some(Kind::Headers), END_STREAM), (continued, 0), (continued, END_HEADERS)]
        );
        assert_eq!(joined, block);
    }

    #[test]
    fn settings_are_checked() {
        let with = |id: u16, value: u32| {
            let mut payload = id.to_be_bytes().to_vec();
            payload.extend_from_slice(&value.to_be_bytes());
            settings(&payload)
        };
        assert_eq!(with(2, 2), Err(ErrorCode::Protocol));
        assert_eq!(with(4, 1 << 31), Err(ErrorCode::FlowControl));
        assert_eq!(with(5, 16_383), Err(ErrorCode::Protocol));
        assert_eq!(with(5, 1 << 24), Err(ErrorCode::Protocol));
        assert_eq!(with(0xabcd, 1), Ok(Vec::new()));
        assert_eq!(with(4, 1000), Ok(vec![(Setting::InitialWindowSize, 1000)]));
        assert_eq!(settings(&[0; 5]), Err(ErrorCode::FrameSize));
    }

    #[test]
    fn padding_is_taken_off() {
        let header = Header { length: 0, kind: Some(Kind::Data), flags: PADDED, stream: 1 };
        assert_eq!(unpadded(header, &[2, b'a', 0, 0]), Ok(&b"a"[..]));
        assert_eq!(unpadded(header, &[3, 0, 0]), Err(ErrorCode::Protocol));
        assert_eq!(unpadded(header, &[]), Err(ErrorCode::FrameSize));
    }
}
