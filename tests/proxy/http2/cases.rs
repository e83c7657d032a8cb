//! The cases: what is sent behind the greeting, what must come back. Names start with the section of
//! RFC 9113, or of RFC 7541 where they are about HPACK.

use super::raw::*;

/// What must come back.
#[derive(Debug)]
pub enum Expect {
    /// GOAWAY with this code, and the end.
    GoAway(u32),
    /// RST_STREAM of this stream with this code; the connection goes on.
    Reset(u32, u32),
    /// 200 on this stream.
    Answer(u32),
    /// A frame of this kind with these flags and this payload.
    Frame(u8, u8, &'static [u8]),
    /// No frame of this kind with these flags.
    NoFrame(u8, u8),
}

impl Expect {
    /// The stream whose end is waited for.
    pub fn stream(&self) -> Option<u32> {
        match self {
            Expect::Answer(stream) | Expect::Reset(stream, _) => Some(*stream),
            _ => None,
        }
    }
}

use Expect::{Answer, GoAway, NoFrame, Reset};

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const COMPRESSION: u32 = 9;

const ENDS: u8 = 1;
const WHOLE: u8 = 4;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;

/// A request on this stream, whole.
fn request(stream: u32) -> Vec<u8> {
    frame(HEADERS, ENDS | WHOLE, stream, &get("/"))
}

/// The head of a request whose body is to come.
fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &post(&[]))
}

fn cancel(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())
}

fn update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn in_two(first: &[u8], between: &[u8], second: &[u8]) -> Vec<u8> {
    [frame(HEADERS, ENDS, 1, first), between.to_vec(), frame(CONTINUATION, WHOLE, 1, second)]
        .concat()
}

type Case = (&'static str, fn() -> Vec<u8>, Expect);

#[rustfmt::skip]
pub static CASES: &[Case] = &[
    ("3.4 a request behind the greeting", || request(1), Answer(1)),
    ("4.1 an unknown kind of frame is ignored", || [frame(0x20, 0, 0, b"what"), request(1)].concat(), Answer(1)),
    ("4.1 unknown flags are ignored", || [frame(PING, 0x16 & !1, 0, b"with bit"), request(1)].concat(), Answer(1)),
    ("4.1 the reserved bit of a stream is ignored", || frame(HEADERS, ENDS | WHOLE, 1 | 1 << 31, &get("/")), Answer(1)),
    ("4.2 DATA that is too large", || [open(1), frame(DATA, ENDS, 1, &[0; 16385])].concat(), GoAway(FRAME_SIZE)),
    ("4.2 HEADERS that are too large", || frame(HEADERS, ENDS | WHOLE, 1, &[0; 16385]), GoAway(FRAME_SIZE)),
    ("4.2 DATA of the largest size", || [open(1), frame(DATA, ENDS, 1, &[b'x'; 16384])].concat(), Answer(1)),
    ("4.3 a block that is no HPACK", || frame(HEADERS, ENDS | WHOLE, 1, &[0xff, 0xff, 0xff, 0xff, 0xff]), GoAway(COMPRESSION)),
    ("4.3 PRIORITY inside of a block", || in_two(&get("/"), &frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]), &[]), GoAway(PROTOCOL)),
    ("4.3 HEADERS of another stream inside of a block", || in_two(&get("/"), &request(3), &[]), GoAway(PROTOCOL)),
    ("4.3 PING inside of a block", || in_two(&get("/"), &frame(PING, 0, 0, b"pingping"), &[]), GoAway(PROTOCOL)),
    ("5.1 DATA on an idle stream", || frame(DATA, ENDS, 1, b"x"), GoAway(PROTOCOL)),
    ("5.1 RST_STREAM on an idle stream", || cancel(1), GoAway(PROTOCOL)),
    ("5.1 WINDOW_UPDATE on an idle stream", || update(1, 100), GoAway(PROTOCOL)),
    ("5.1 CONTINUATION on an idle stream", || frame(CONTINUATION, WHOLE, 1, &get("/")), GoAway(PROTOCOL)),
    ("5.1 PRIORITY on an idle stream is fine", || [frame(PRIORITY, 0, 5, &[0, 0, 0, 0, 1]), request(1)].concat(), Answer(1)),
    ("5.1 DATA behind END_STREAM", || [request(1), frame(DATA, ENDS, 1, b"x")].concat(), Reset(1, CLOSED)),
    ("5.1 HEADERS behind END_STREAM", || [request(1), request(1)].concat(), GoAway(CLOSED)),
    ("5.1 CONTINUATION behind END_STREAM", || [request(1), frame(CONTINUATION, WHOLE, 1, &[])].concat(), GoAway(PROTOCOL)),
    ("5.1 DATA behind RST_STREAM", || [open(1), cancel(1), frame(DATA, ENDS, 1, b"x")].concat(), Reset(1, CLOSED)),
    ("5.1 HEADERS behind RST_STREAM", || [open(1), cancel(1), request(1)].concat(), GoAway(CLOSED)),
    ("5.1 CONTINUATION behind RST_STREAM", || [open(1), cancel(1), frame(CONTINUATION, WHOLE, 1, &[])].concat(), GoAway(PROTOCOL)),
    ("5.1 WINDOW_UPDATE on a closed stream is fine", || [open(1), cancel(1), update(1, 5), request(3)].concat(), Answer(3)),
    ("5.1 RST_STREAM on a closed stream is fine", || [open(1), cancel(1), cancel(1), request(3)].concat(), Answer(3)),
    ("5.1 PRIORITY on a closed stream is fine", || [open(1), cancel(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]), request(3)].concat(), Answer(3)),
    ("5.1 WINDOW_UPDATE while half closed", || [request(1), update(1, 5)].concat(), Answer(1)),
    ("5.1.1 an even stream", || request(2), GoAway(PROTOCOL)),
    ("5.1.1 a number below an earlier one", || [request(5), request(3)].concat(), GoAway(CLOSED)),
    ("5.1.1 numbers may be left out", || request(101), Answer(101)),
    ("5.3 a stream that depends on itself", || frame(HEADERS, ENDS | WHOLE | WITH_PRIORITY, 1, &[&[0, 0, 0, 1, 5], &get("/")[..]].concat()), GoAway(PROTOCOL)),
    ("5.3 PRIORITY of a stream on itself", || frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 5]), GoAway(PROTOCOL)),
    ("5.5 an unknown frame inside of a block", || in_two(&get("/"), &frame(0x20, 0, 0, b"what"), &[]), GoAway(PROTOCOL)),
    ("6.1 DATA of the connection", || frame(DATA, ENDS, 0, b"x"), GoAway(PROTOCOL)),
    ("6.1 padded DATA", || [open(1), frame(DATA, ENDS | PADDED, 1, b"\x02ok\0\0")].concat(), Answer(1)),
    ("6.1 as much padding as payload", || [open(1), frame(DATA, ENDS | PADDED, 1, b"\x05ok\0\0")].concat(), GoAway(PROTOCOL)),
    ("6.1 padded DATA without a length", || [open(1), frame(DATA, ENDS | PADDED, 1, b"")].concat(), GoAway(FRAME_SIZE)),
    ("6.1 nothing but padding", || [open(1), frame(DATA, ENDS | PADDED, 1, b"\x03\0\0\0")].concat(), Answer(1)),
    ("6.2 HEADERS of the connection", || frame(HEADERS, ENDS | WHOLE, 0, &get("/")), GoAway(PROTOCOL)),
    ("6.2 padded HEADERS", || frame(HEADERS, ENDS | WHOLE | PADDED, 1, &[&[2], &get("/")[..], &[0, 0]].concat()), Answer(1)),
    ("6.2 padded HEADERS with a priority", || frame(HEADERS, ENDS | WHOLE | PADDED | WITH_PRIORITY, 1, &[&[1, 0, 0, 0, 0, 9], &get("/")[..], &[0]].concat()), Answer(1)),
    ("6.2 more padding than block", || frame(HEADERS, ENDS | WHOLE | PADDED, 1, &[9, 0x82]), GoAway(PROTOCOL)),
    ("6.2 a priority that is cut", || frame(HEADERS, ENDS | WHOLE | WITH_PRIORITY, 1, &[0, 0, 0]), GoAway(FRAME_SIZE)),
    ("6.2 END_STREAM on HEADERS that go on", || in_two(&get("/")[..20], &[], &get("/")[20..]), Answer(1)),
    ("6.3 PRIORITY of the connection", || frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 1]), GoAway(PROTOCOL)),
    ("6.3 PRIORITY of a wrong length", || [open(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 0])].concat(), Reset(1, FRAME_SIZE)),
    ("6.4 RST_STREAM of the connection", || cancel(0), GoAway(PROTOCOL)),
    ("6.4 RST_STREAM of a wrong length", || [open(1), frame(RST_STREAM, 0, 1, &[0, 0, 8])].concat(), GoAway(FRAME_SIZE)),
    ("6.5 SETTINGS are acknowledged", || settings(&[(3, 100)]), Expect::Frame(SETTINGS, 1, b"")),
    ("6.5 an acknowledgement with a payload", || frame(SETTINGS, 1, 0, &[0; 6]), GoAway(FRAME_SIZE)),
    ("6.5 SETTINGS of a stream", || frame(SETTINGS, 0, 1, &[]), GoAway(PROTOCOL)),
    ("6.5 SETTINGS of a wrong length", || frame(SETTINGS, 0, 0, &[0; 5]), GoAway(FRAME_SIZE)),
    ("6.5.2 ENABLE_PUSH of 2", || settings(&[(2, 2)]), GoAway(PROTOCOL)),
    ("6.5.2 a window of 2^31", || settings(&[(4, 1 << 31)]), GoAway(FLOW_CONTROL)),
    ("6.5.2 frames below 2^14", || settings(&[(5, 16383)]), GoAway(PROTOCOL)),
    ("6.5.2 frames above 2^24", || settings(&[(5, 1 << 24)]), GoAway(PROTOCOL)),
    ("6.5.2 an unknown setting is ignored", || [settings(&[(0xff, 1)]), request(1)].concat(), Answer(1)),
    ("6.5.3 of two values the last one counts", || [settings(&[(4, 1), (4, 60000)]), request(1)].concat(), Answer(1)),
    ("6.6 PUSH_PROMISE of a client", || [open(1), frame(PUSH_PROMISE, WHOLE, 1, &[&[0, 0, 0, 2], &get("/")[..]].concat())].concat(), GoAway(PROTOCOL)),
    ("6.7 PING is answered", || frame(PING, 0, 0, b"pingpong"), Expect::Frame(PING, 1, b"pingpong")),
    ("6.7 an answer to a PING is not", || frame(PING, 1, 0, b"pingpong"), NoFrame(PING, 0)),
    ("6.7 PING of a stream", || frame(PING, 0, 1, b"pingpong"), GoAway(PROTOCOL)),
    ("6.7 PING of a wrong length", || frame(PING, 0, 0, b"ping"), GoAway(FRAME_SIZE)),
    ("6.8 GOAWAY of a stream", || frame(GOAWAY, 0, 1, &[0; 8]), GoAway(PROTOCOL)),
    ("6.8 GOAWAY that is cut", || frame(GOAWAY, 0, 0, &[0; 4]), GoAway(FRAME_SIZE)),
    ("6.8 what is open is finished behind GOAWAY", || [request(1), frame(GOAWAY, 0, 0, &[0; 8])].concat(), Answer(1)),
    ("6.9 WINDOW_UPDATE of 0 for the connection", || update(0, 0), GoAway(PROTOCOL)),
    ("6.9 WINDOW_UPDATE of 0 for a stream", || [open(1), update(1, 0)].concat(), Reset(1, PROTOCOL)),
    ("6.9 WINDOW_UPDATE of a wrong length", || frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1]), GoAway(FRAME_SIZE)),
    ("6.9.1 a window of the connection above 2^31-1", || update(0, 0x7fff_ffff), GoAway(FLOW_CONTROL)),
    ("6.9.1 a window of a stream above 2^31-1", || [open(1), update(1, 0x7fff_ffff)].concat(), Reset(1, FLOW_CONTROL)),
    ("6.9.2 SETTINGS that make a window too large", || [open(1), update(1, 0x7fff_0000), settings(&[(4, 0x7fff_ffff)])].concat(), GoAway(FLOW_CONTROL)),
    ("6.9 more DATA than the window", || [open(1), (0..9).flat_map(|_| frame(DATA, 0, 1, &[b'x'; 16384])).collect()].concat(), Reset(1, FLOW_CONTROL)),
    ("6.10 many CONTINUATIONs", || [frame(HEADERS, ENDS, 1, &get("/")[..9]), frame(CONTINUATION, 0, 1, &get("/")[9..15]), frame(CONTINUATION, 0, 1, &[]), frame(CONTINUATION, WHOLE, 1, &get("/")[15..])].concat(), Answer(1)),
    ("6.10 CONTINUATION behind a whole block", || [request(1), frame(CONTINUATION, WHOLE, 1, &field("x", "y"))].concat(), GoAway(PROTOCOL)),
    ("6.10 CONTINUATION of the connection", || [frame(HEADERS, ENDS, 1, &get("/")), frame(CONTINUATION, WHOLE, 0, &[])].concat(), GoAway(PROTOCOL)),
    ("6.10 CONTINUATION of another stream", || [frame(HEADERS, ENDS, 1, &get("/")), frame(CONTINUATION, WHOLE, 3, &[])].concat(), GoAway(PROTOCOL)),
    ("6.10 CONTINUATION behind DATA", || [open(1), frame(DATA, 0, 1, b"x"), frame(CONTINUATION, WHOLE, 1, &[])].concat(), GoAway(PROTOCOL)),
    ("7 unknown error codes are fine", || [open(1), frame(RST_STREAM, 0, 1, &[9; 4]), request(3)].concat(), Answer(3)),
    ("8.1 trailers", || [open(1), frame(DATA, 0, 1, b"x"), frame(HEADERS, ENDS | WHOLE, 1, &field("x", "y"))].concat(), Answer(1)),
    ("8.1 a second head without an end", || [open(1), frame(HEADERS, WHOLE, 1, &field("x", "y"))].concat(), Reset(1, PROTOCOL)),
    ("8.1 a pseudo-field in the trailers", || [open(1), frame(HEADERS, ENDS | WHOLE, 1, &field(":method", "GET"))].concat(), Reset(1, PROTOCOL)),
    ("8.1 a name in capitals in the trailers", || [open(1), frame(HEADERS, ENDS | WHOLE, 1, &field("X", "y"))].concat(), Reset(1, PROTOCOL)),
    ("8.1 an empty body", || [open(1), frame(DATA, ENDS, 1, b"")].concat(), Answer(1)),
    ("8.1.1 less DATA than told", || [frame(HEADERS, WHOLE, 1, &post(&[("content-length", "5")])), frame(DATA, ENDS, 1, b"four")].concat(), Reset(1, PROTOCOL)),
    ("8.1.1 more DATA than told", || [frame(HEADERS, WHOLE, 1, &post(&[("content-length", "5")])), frame(DATA, 0, 1, b"four"), frame(DATA, ENDS, 1, b"four")].concat(), Reset(1, PROTOCOL)),
    ("8.1.1 as much DATA as told", || [frame(HEADERS, WHOLE, 1, &post(&[("content-length", "5")])), frame(DATA, 0, 1, b"fo"), frame(DATA, ENDS, 1, b"our")].concat(), Answer(1)),
    ("8.1.1 trailers before the told end", || [frame(HEADERS, WHOLE, 1, &post(&[("content-length", "5")])), frame(HEADERS, ENDS | WHOLE, 1, &field("x", "y"))].concat(), Reset(1, PROTOCOL)),
    ("7541 2.3.3 an index beyond the tables", || frame(HEADERS, ENDS | WHOLE, 1, &[&get("/")[..], &[0xff, 0x50]].concat()), GoAway(COMPRESSION)),
    ("7541 6.1 index 0", || frame(HEADERS, ENDS | WHOLE, 1, &[&get("/")[..], &[0x80]].concat()), GoAway(COMPRESSION)),
    ("7541 4.2 a change of the size behind a field", || frame(HEADERS, ENDS | WHOLE, 1, &[&get("/")[..], &[0x20]].concat()), GoAway(COMPRESSION)),
    ("7541 4.2 a change of the size in front", || frame(HEADERS, ENDS | WHOLE, 1, &[&[0x20], &get("/")[..]].concat()), Answer(1)),
    ("7541 6.3 a size above the limit", || frame(HEADERS, ENDS | WHOLE, 1, &[&[0x3f, 0xe2, 0x1f], &get("/")[..]].concat()), GoAway(COMPRESSION)),
    ("7541 5.2 padding of more than 7 bits", || frame(HEADERS, ENDS | WHOLE, 1, &[&get("/")[..], &[0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x84, 0x49, 0x50, 0x9f, 0xff]].concat()), GoAway(COMPRESSION)),
    ("7541 5.2 padding that is not ones", || frame(HEADERS, ENDS | WHOLE, 1, &[&get("/")[..], &[0, 0x83, 0xf2, 0xb2, 0x40, 1, b'x']].concat()), GoAway(COMPRESSION)),
    ("7541 5.2 the end of the string inside of it", || frame(HEADERS, ENDS | WHOLE, 1, &[&get("/")[..], &[0, 0x84, 0xff, 0xff, 0xff, 0xff, 1, b'x']].concat()), GoAway(COMPRESSION)),
    ("7541 5.1 an integer that is cut", || frame(HEADERS, ENDS | WHOLE, 1, &[&get("/")[..], &[0xff]].concat()), GoAway(COMPRESSION)),
    ("7541 5.2 a string that is cut", || frame(HEADERS, ENDS | WHOLE, 1, &[&get("/")[..], &[0, 5, b'x']].concat()), GoAway(COMPRESSION)),
    ("7541 the dynamic table is kept", || {
        let adds = [&get("/")[..], &[0x40, 1, b'x', 1, b'y']].concat();
        let uses = [&get("/")[..], &[0xbe]].concat();
        [frame(HEADERS, ENDS | WHOLE, 1, &adds), frame(HEADERS, ENDS | WHOLE, 3, &uses)].concat()
    }, Answer(3)),
];

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const PATH: (&str, &str) = (":path", "/");
const AUTHORITY: (&str, &str) = (":authority", "a.test");
const POSTED: (&str, &str) = (":method", "POST");

/// What is wrong, the fields, the body.
type Malformed = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// Field lists with a body that are reset with PROTOCOL_ERROR and never reach the origin.
#[rustfmt::skip]
pub static MALFORMED: &[Malformed] = &[
    ("8.2.1 a name in capitals", &[METHOD, SCHEME, PATH, AUTHORITY, ("X-Mine", "y")], ""),
    ("8.2.1 a name with a space", &[METHOD, SCHEME, PATH, AUTHORITY, ("x mine", "y")], ""),
    ("8.2.1 a name with a colon", &[METHOD, SCHEME, PATH, AUTHORITY, ("x:y", "z")], ""),
    ("8.2.1 a name with a line end", &[METHOD, SCHEME, PATH, AUTHORITY, ("x\r\ny", "z")], ""),
    ("8.2.1 an empty name", &[METHOD, SCHEME, PATH, AUTHORITY, ("", "z")], ""),
    ("8.2.1 a name beyond ASCII", &[METHOD, SCHEME, PATH, AUTHORITY, ("é", "z")], ""),
    ("8.2.1 a value with CRLF", &[METHOD, SCHEME, PATH, AUTHORITY, ("x", "a\r\nTransfer-Encoding: chunked")], ""),
    ("8.2.1 a value with a line feed", &[METHOD, SCHEME, PATH, AUTHORITY, ("x", "a\nb")], ""),
    ("8.2.1 a value with a carriage return", &[METHOD, SCHEME, PATH, AUTHORITY, ("x", "a\rb")], ""),
    ("8.2.1 a value with a null byte", &[METHOD, SCHEME, PATH, AUTHORITY, ("x", "a\0b")], ""),
    ("8.2.1 a value that starts with a space", &[METHOD, SCHEME, PATH, AUTHORITY, ("x", " a")], ""),
    ("8.2.1 a value that ends with a tab", &[METHOD, SCHEME, PATH, AUTHORITY, ("x", "a\t")], ""),
    ("8.2.2 connection", &[METHOD, SCHEME, PATH, AUTHORITY, ("connection", "keep-alive")], ""),
    ("8.2.2 transfer-encoding", &[POSTED, SCHEME, PATH, AUTHORITY, ("transfer-encoding", "chunked")], "0\r\n\r\n"),
    ("8.2.2 upgrade", &[METHOD, SCHEME, PATH, AUTHORITY, ("upgrade", "websocket")], ""),
    ("8.2.2 keep-alive", &[METHOD, SCHEME, PATH, AUTHORITY, ("keep-alive", "5")], ""),
    ("8.2.2 proxy-connection", &[METHOD, SCHEME, PATH, AUTHORITY, ("proxy-connection", "close")], ""),
    ("8.2.2 te beyond trailers", &[METHOD, SCHEME, PATH, AUTHORITY, ("te", "trailers, deflate")], ""),
    ("8.3 an unknown pseudo-field", &[METHOD, SCHEME, PATH, AUTHORITY, (":test", "x")], ""),
    ("8.3 a pseudo-field of responses", &[METHOD, SCHEME, PATH, AUTHORITY, (":status", "200")], ""),
    ("8.3 a pseudo-field behind a field", &[METHOD, SCHEME, ("x", "y"), PATH, AUTHORITY], ""),
    ("8.3.1 no method", &[SCHEME, PATH, AUTHORITY], ""),
    ("8.3.1 no scheme", &[METHOD, PATH, AUTHORITY], ""),
    ("8.3.1 no path", &[METHOD, SCHEME, AUTHORITY], ""),
    ("8.3.1 an empty path", &[METHOD, SCHEME, (":path", ""), AUTHORITY], ""),
    ("8.3.1 two methods", &[METHOD, METHOD, SCHEME, PATH, AUTHORITY], ""),
    ("8.3.1 two schemes", &[METHOD, SCHEME, SCHEME, PATH, AUTHORITY], ""),
    ("8.3.1 two paths", &[METHOD, SCHEME, PATH, PATH, AUTHORITY], ""),
    ("8.3.1 two authorities", &[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY], ""),
    ("8.3.1 no authority and no host", &[METHOD, SCHEME, PATH], ""),
    ("8.3.1 an authority and another host", &[METHOD, SCHEME, PATH, AUTHORITY, ("host", "b.test")], ""),
    ("8.3.1 a method with a space", &[(":method", "GET /x"), SCHEME, PATH, AUTHORITY], ""),
    ("8.3.1 a method with a line end", &[(":method", "GET / HTTP/1.1\r\nX:"), SCHEME, PATH, AUTHORITY], ""),
    ("8.3.1 a path with a space", &[METHOD, SCHEME, (":path", "/ HTTP/1.1"), AUTHORITY], ""),
    ("8.3.1 a path with a line end", &[METHOD, SCHEME, (":path", "/\r\nX: y"), AUTHORITY], ""),
    ("8.3.1 a path without a slash", &[METHOD, SCHEME, (":path", "x"), AUTHORITY], ""),
    ("8.3.1 an absolute path", &[METHOD, SCHEME, (":path", "http://b.test/"), AUTHORITY], ""),
    ("8.3.1 a fragment", &[METHOD, SCHEME, (":path", "/a#b"), AUTHORITY], ""),
    ("8.3.1 star for GET", &[METHOD, SCHEME, (":path", "*"), AUTHORITY], ""),
    ("8.3.1 an authority with a line end", &[METHOD, SCHEME, PATH, (":authority", "a\r\nX: y")], ""),
    ("8.5 CONNECT with a path", &[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY], ""),
    ("8.1.1 a length without a body", &[POSTED, SCHEME, PATH, AUTHORITY, ("content-length", "5")], ""),
    ("8.1.1 a length below the body", &[POSTED, SCHEME, PATH, AUTHORITY, ("content-length", "1")], "ab"),
    ("8.1.1 a length above the body", &[POSTED, SCHEME, PATH, AUTHORITY, ("content-length", "3")], "ab"),
    ("8.1.1 two lengths", &[POSTED, SCHEME, PATH, AUTHORITY, ("content-length", "2"), ("content-length", "2")], "ab"),
    ("8.1.1 a signed length", &[POSTED, SCHEME, PATH, AUTHORITY, ("content-length", "+2")], "ab"),
    ("8.1.1 an empty length", &[POSTED, SCHEME, PATH, AUTHORITY, ("content-length", "")], "ab"),
];

/// Pieces of a head.
pub type Parts = &'static [&'static str];
/// Name, fields, body, what the head at the origin holds and what not.
pub type Downgraded =
    (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>, Parts, Parts);

#[rustfmt::skip]
pub static DOWNGRADED: &[Downgraded] = &[
    ("a GET has no framing", &[METHOD, SCHEME, (":path", "/a?b=c"), AUTHORITY], None, &["GET /a?b=c HTTP/1.1\r\n", "host: a.test\r\n"], &["content-length", "transfer-encoding"]),
    ("a body without a length goes in chunks", &[POSTED, SCHEME, PATH, AUTHORITY], Some("hello"), &["transfer-encoding: chunked"], &["content-length"]),
    ("a body with a length keeps it", &[POSTED, SCHEME, PATH, AUTHORITY, ("content-length", "5")], Some("hello"), &["content-length: 5"], &["transfer-encoding"]),
    ("a POST without a body says so", &[POSTED, SCHEME, PATH, AUTHORITY], None, &["content-length: 0"], &["transfer-encoding"]),
    ("cookies are one line", &[METHOD, SCHEME, PATH, AUTHORITY, ("cookie", "a=1"), ("cookie", "b=2")], None, &["cookie: a=1; b=2\r\n"], &[]),
    ("host instead of an authority", &[METHOD, SCHEME, PATH, ("host", "b.test")], None, &["host: b.test\r\n"], &[]),
    ("host and authority are one line", &[METHOD, SCHEME, PATH, AUTHORITY, ("host", "a.test")], None, &["host: a.test\r\n"], &["host: a.test\r\nhost"]),
    ("te trailers", &[METHOD, SCHEME, PATH, AUTHORITY, ("te", "trailers")], None, &["te: trailers\r\n"], &[]),
    ("star for OPTIONS", &[(":method", "OPTIONS"), SCHEME, (":path", "*"), AUTHORITY], None, &["OPTIONS * HTTP/1.1"], &[]),
    ("claims of a visitor are dropped", &[METHOD, SCHEME, PATH, AUTHORITY, ("x-forwarded-for", "6.6.6.6")], None, &["x-forwarded-for: 127.0.0.1"], &["6.6.6.6"]),
    ("fields keep their order and number", &[METHOD, SCHEME, PATH, AUTHORITY, ("x-a", "1"), ("x-b", "2"), ("x-a", "3")], None, &["x-a: 1\r\nx-b: 2\r\nx-a: 3"], &[]),
    ("bytes beyond ASCII in a value", &[METHOD, SCHEME, PATH, AUTHORITY, ("x-a", "é")], None, &["x-a: é"], &[]),
    ("the proxy field of CGI ends here", &[METHOD, SCHEME, PATH, AUTHORITY, ("proxy", "http://evil")], None, &[], &["evil"]),
];
