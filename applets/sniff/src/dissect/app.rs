//! Protocols in lines of text: FTP, SMTP, HTTP, RTSP, SSH, telnet, whois, syslog, TFTP, RESP.

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Hex, Names, Raw, Visible, name_of, name_or, visible};

/// Words that begin a request, and whether the rest of the line is shown.
const HTTP_METHODS: &[&str] = &[
    "GET",
    "PUT",
    "COPY",
    "HEAD",
    "LOCK",
    "MOVE",
    "POLL",
    "POST",
    "BCOPY",
    "BMOVE",
    "MKCOL",
    "TRACE",
    "LABEL",
    "MERGE",
    "DELETE",
    "SEARCH",
    "UNLOCK",
    "REPORT",
    "UPDATE",
    "NOTIFY",
    "BDELETE",
    "CONNECT",
    "OPTIONS",
    "CHECKIN",
    "PROPFIND",
    "CHECKOUT",
    "CCM_POST",
    "SUBSCRIBE",
    "PROPPATCH",
    "BPROPFIND",
    "BPROPPATCH",
    "UNCHECKOUT",
    "MKACTIVITY",
    "MKWORKSPACE",
    "UNSUBSCRIBE",
    "RPC_CONNECT",
    "VERSION-CONTROL",
    "BASELINE-CONTROL",
];

const RTSP_METHODS: &[&str] = &[
    "OPTIONS",
    "DESCRIBE",
    "ANNOUNCE",
    "SETUP",
    "PLAY",
    "PAUSE",
    "TEARDOWN",
    "GET_PARAMETER",
    "SET_PARAMETER",
    "REDIRECT",
    "RECORD",
];

/// How the lines of a protocol are shown.
struct Text {
    protocol: &'static str,
    /// The name in capitals.
    name: &'static str,
    /// Words that begin a message; empty where any text does.
    words: &'static [&'static str],
    /// A status line begins with a version (`HTTP/1.1 200`).
    version: Option<&'static str>,
}

const HTTP: Text =
    Text { protocol: "http", name: "HTTP", words: HTTP_METHODS, version: Some("HTTP/") };
const RTSP: Text =
    Text { protocol: "rtsp", name: "RTSP", words: RTSP_METHODS, version: Some("RTSP/") };

/// HTTP/1.
pub fn http<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.put(": ");
    text(c, &HTTP, buf, len)
}

/// RTSP.
pub fn rtsp<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.put(": ");
    text(c, &RTSP, buf, len)
}

/// FTP and SMTP: every line is of the protocol.
pub fn named_text<S: Sink>(
    c: &mut Ctx<S>,
    protocol: &'static str,
    heading: &'static str,
    buf: Buf<'_>,
    len: usize,
) -> Step {
    c.put(": ");
    let name = heading.trim_matches([':', ' ']);
    text(c, &Text { protocol, name, words: &[], version: None }, buf, len)
}

/// SSH: the version lines.
pub fn ssh<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("ssh");
    let bytes = buf.limit(len).bytes();
    if !bytes.starts_with(b"SSH-") {
        return buf.need(len.min(4));
    }
    c.put(": SSH: ");
    for byte in bytes {
        match byte {
            b'\r' | b'\n' => return Ok(()),
            0x20..0x7f => {
                if S::TEXT {
                    c.out.push(*byte);
                }
            }
            _ => {
                c.put(".");
            }
        }
    }
    if buf.len() < len {
        c.truncated();
    }
    Ok(())
}

/// Whois.
pub fn whois<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.put(": ");
    text(c, &Text { protocol: "whois", name: "WHOIS", words: &[], version: None }, buf, len)
}

/// Whether the payload begins a message of the protocol.
fn begins(text: &Text, bytes: &[u8]) -> bool {
    if text.words.is_empty() {
        return true;
    }
    let word = bytes.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
    if text.words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes())) {
        return true;
    }
    let Some(version) = text.version else { return false };
    let same = |head: &[u8]| head.eq_ignore_ascii_case(version.as_bytes());
    if !bytes.get(..version.len()).is_some_and(same) {
        return false;
    }
    // A status line: the version, then a code of three digits.
    let mut rest = bytes.get(word.len()..).unwrap_or_default();
    rest = rest.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits == 3 && rest.get(3).is_none_or(|byte| byte.is_ascii_whitespace())
}

/// The first line, or at `-v` all lines of text.
fn text<S: Sink>(c: &mut Ctx<S>, kind: &Text, buf: Buf<'_>, len: usize) -> Step {
    c.layer(kind.protocol);
    let bytes = buf.limit(len).bytes();
    put!(c, kind.name);
    if c.verbose() {
        put!(c, ", length: ", len);
    }
    if !begins(kind, bytes) {
        return Ok(());
    }
    let mut at = 0;
    let prefix = if c.verbose() { "\n\t" } else { ": " };
    while at < len {
        let rest = bytes.get(at..).unwrap_or_default();
        match line(rest) {
            Line::Whole(line, used) => {
                put!(c, prefix, Raw(line));
                at += used;
            }
            Line::Cut(line) => {
                put!(c, prefix, Raw(line));
                if bytes.len() < len {
                    c.truncated();
                }
                return Ok(());
            }
            Line::Binary => return Ok(()),
        }
        if !c.verbose() {
            return Ok(());
        }
        c.check_text()?;
    }
    Ok(())
}

/// What the next line of a payload is.
enum Line<'a> {
    /// Text with its end, and the bytes of both.
    Whole(&'a [u8], usize),
    /// Text whose end is not there.
    Cut(&'a [u8]),
    /// No text.
    Binary,
}

fn line(bytes: &[u8]) -> Line<'_> {
    for (at, byte) in bytes.iter().enumerate() {
        let text = bytes.get(..at).unwrap_or_default();
        match byte {
            b'\n' => return Line::Whole(text, at + 1),
            b'\r' => {
                return match bytes.get(at + 1) {
                    None => Line::Cut(text),
                    Some(b'\n') => Line::Whole(text, at + 2),
                    Some(_) => Line::Binary,
                };
            }
            b'\t' | 0x20..0x7f => {}
            _ => return Line::Binary,
        }
    }
    Line::Cut(bytes)
}

const TELNET_COMMANDS: [&str; 20] = [
    "EOF", "SUSP", "ABORT", "EOR", "SE", "NOP", "DMARK", "BRK", "IP", "AO", "AYT", "EC", "EL",
    "GA", "SB", "WILL", "WON'T", "DO", "DON'T", "IAC",
];

#[rustfmt::skip]
const TELNET_OPTIONS: [&str; 40] = [
    "BINARY", "ECHO", "RCP", "SUPPRESS GO AHEAD", "NAME", "STATUS", "TIMING MARK", "RCTE", "NAOL",
    "NAOP", "NAOCRD", "NAOHTS", "NAOHTD", "NAOFFD", "NAOVTS", "NAOVTD", "NAOLFD", "EXTEND ASCII",
    "LOGOUT", "BYTE MACRO", "DATA ENTRY TERMINAL", "SUPDUP", "SUPDUP OUTPUT", "SEND LOCATION",
    "TERMINAL TYPE", "END OF RECORD", "TACACS UID", "OUTPUT MARKING", "TTYLOC", "3270 REGIME",
    "X.3 PAD", "NAWS", "TSPEED", "LFLOW", "LINEMODE", "XDISPLOC", "OLD-ENVIRON", "AUTHENTICATION",
    "ENCRYPT", "NEW-ENVIRON",
];

/// Telnet commands (RFC 854); data is not shown.
pub fn telnet<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("telnet");
    if c.options.quiet > 0 {
        return Ok(());
    }
    let mut rest = buf.limit(len);
    let mut first = true;
    while !rest.is_empty() {
        if rest.u8()? != 0xff {
            continue;
        }
        let Ok(command) = rest.u8() else { break };
        if command == 0xff {
            continue;
        }
        if c.verbose() {
            c.put("\n\t");
        } else {
            c.put(if first { " [telnet " } else { ", " });
        }
        first = false;
        let name = usize::from(command).checked_sub(236).and_then(|at| TELNET_COMMANDS.get(at));
        match name {
            Some(name) => c.put(*name),
            None => {
                put!(c, "IAC 0x", Hex(command));
                continue;
            }
        }
        if matches!(command, 250..=254) {
            let option = rest.u8()?;
            match TELNET_OPTIONS.get(usize::from(option)) {
                Some(name) => put!(c, " ", *name),
                None => put!(c, " ", option),
            }
            if command == 250 {
                subnegotiation(c, &mut rest)?;
            }
        }
    }
    if !first && !c.verbose() {
        c.put("]");
    }
    Ok(())
}

fn subnegotiation<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>) -> Step {
    while !rest.is_empty() {
        let byte = rest.u8()?;
        if byte == 0xff && rest.u8_at(0) == Ok(240) {
            rest.u8()?;
            c.put(" SE");
            return Ok(());
        }
        put!(c, " 0x", Hex(byte));
    }
    Ok(())
}

const FACILITIES: Names = &[
    (0, "kernel"),
    (1, "user"),
    (2, "mail"),
    (3, "daemon"),
    (4, "auth"),
    (5, "syslog"),
    (6, "lpr"),
    (7, "news"),
    (8, "uucp"),
    (9, "cron"),
    (10, "authpriv"),
    (11, "ftp"),
    (12, "ntp"),
    (13, "security"),
    (14, "console"),
    (15, "cron"),
    (16, "local0"),
    (17, "local1"),
    (18, "local2"),
    (19, "local3"),
    (20, "local4"),
    (21, "local5"),
    (22, "local6"),
    (23, "local7"),
];

const SEVERITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

/// Syslog (RFC 3164).
pub fn syslog<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("syslog");
    let bytes = buf.bytes();
    let mut at;
    let mut priority = 0u32;
    if buf.u8_at(0)? == b'<' {
        at = 1;
        loop {
            let byte = buf.u8_at(at)?;
            at += 1;
            match byte {
                b'0'..=b'9' if at <= 4 => priority = priority * 10 + u32::from(byte - b'0'),
                b'>' if at > 2 => break,
                _ => {
                    c.truncated();
                    return Ok(());
                }
            }
        }
    } else {
        c.truncated();
        return Ok(());
    }
    let (facility, severity) = (priority >> 3 & 0x7f, priority & 7);
    let facility_name = name_or(FACILITIES, facility, "unknown");
    let severity_name = SEVERITIES[severity as usize];
    if !c.verbose() {
        put!(c, "SYSLOG ", facility_name, ".", severity_name, ", length: ", len);
        return Ok(());
    }
    put!(c, "SYSLOG, length: ", len, "\n\tFacility ", facility_name, " (", facility);
    put!(c, "), Severity ", severity_name, " (", severity, ")\n\tMsg: ");
    let message = bytes.get(at..len.min(bytes.len())).unwrap_or_default();
    if S::TEXT {
        for byte in message {
            visible(&mut c.out, *byte);
        }
    }
    if bytes.len() < len {
        c.truncated();
    } else if c.options.verbose > 1 {
        c.hex_print("\n\t", buf, len);
    }
    Ok(())
}

const TFTP_OPERATIONS: Names =
    &[(1, "RRQ"), (2, "WRQ"), (3, "DATA"), (4, "ACK"), (5, "ERROR"), (6, "OACK")];
const TFTP_ERRORS: Names = &[
    (0, "EUNDEF"),
    (1, "ENOTFOUND"),
    (2, "EACCESS"),
    (3, "ENOSPACE"),
    (4, "EBADOP"),
    (5, "EBADID"),
    (6, "EEXISTS"),
    (7, "ENOUSER"),
];

/// TFTP (RFC 1350).
pub fn tftp<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("tftp");
    put!(c, "TFTP, length ", len);
    if len < 2 {
        c.truncated();
        return Ok(());
    }
    let operation = buf.be16_at(0)?;
    let Some(name) = name_of(TFTP_OPERATIONS, operation.into()) else {
        put!(c, ", tftp-#", operation);
        return Ok(());
    };
    put!(c, ", ", name);
    let mut rest = buf.limit(len).from(2);
    match operation {
        1 | 2 => {
            c.put(" \"");
            let whole = field(c, &mut rest);
            c.put("\"");
            if !whole {
                c.truncated();
                return Ok(());
            }
            c.put(" ");
            if !field(c, &mut rest) {
                c.truncated();
                return Ok(());
            }
            fields(c, &mut rest);
        }
        6 => fields(c, &mut rest),
        3 | 4 => put!(c, " block ", buf.be16_at(2)?),
        5 => {
            let code = rest.be16()?;
            match name_of(TFTP_ERRORS, code.into()) {
                Some(name) => put!(c, " ", name),
                None => put!(c, " tftp-err-#", code),
            }
            c.put(" \"");
            let whole = field(c, &mut rest);
            c.put("\"");
            if !whole {
                c.truncated();
            }
        }
        _ => {}
    }
    Ok(())
}

fn fields<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>) {
    while !rest.is_empty() {
        if rest.u8_at(0) != Ok(0) {
            c.put(" ");
        }
        if !field(c, rest) {
            c.truncated();
            return;
        }
    }
}

/// A string up to its zero; `false` when that is not there.
fn field<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>) -> bool {
    let bytes = rest.bytes();
    let end = memchr::memchr(0, bytes);
    c.put(Visible(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()));
    *rest = rest.from(end.map_or(bytes.len(), |end| end + 1));
    end.is_some()
}

/// RESP, the protocol of Redis.
pub fn resp<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("resp");
    c.put(": RESP");
    let mut rest = buf.limit(len);
    while !rest.is_empty() {
        c.put(" ");
        let before = rest.len();
        if !c.nested(|c| resp_value(c, &mut rest))? || rest.len() == before {
            break;
        }
        c.check_text()?;
    }
    Ok(())
}

/// Prints a value; `false` when it is no RESP.
fn resp_value<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>) -> Step<bool> {
    match rest.u8_at(0)? {
        b'+' => resp_line(c, rest, "\"", "\""),
        b'-' => resp_line(c, rest, "\"", "\""),
        b':' => resp_line(c, rest, "\"", "\""),
        b'$' => resp_bulk(c, rest),
        b'*' => resp_array(c, rest),
        _ => {
            // An inline command: words up to the end of the line.
            let Some(line) = take_line(rest) else {
                c.put(Quoted(rest.bytes()));
                *rest = rest.from(rest.len());
                return Ok(true);
            };
            let mut first = true;
            for word in line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
                put!(c, if first { "" } else { " " }, Quoted(word));
                first = false;
            }
            Ok(true)
        }
    }
}

struct Quoted<'a>(&'a [u8]);

impl crate::text::Put for Quoted<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        ("\"", Visible(self.0), "\"").put(out);
    }
}

fn take_line<'a>(rest: &mut Buf<'a>) -> Option<&'a [u8]> {
    let bytes = rest.bytes();
    let end = memchr::memmem::find(bytes, b"\r\n")?;
    *rest = rest.from(end + 2);
    bytes.get(..end)
}

fn resp_line<S: Sink>(
    c: &mut Ctx<S>,
    rest: &mut Buf<'_>,
    before: &str,
    behind: &str,
) -> Step<bool> {
    *rest = rest.from(1);
    let Some(line) = take_line(rest) else {
        return Err(super::Stop::Truncated);
    };
    put!(c, before, Visible(line), behind);
    Ok(true)
}

fn resp_number(rest: &mut Buf<'_>) -> Step<Option<i64>> {
    *rest = rest.from(1);
    let line = take_line(rest).ok_or(super::Stop::Truncated)?;
    Ok(std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()))
}

fn resp_bulk<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>) -> Step<bool> {
    match resp_number(rest)? {
        Some(-1) => c.put("null"),
        Some(0) => {
            rest.take(2)?;
            c.put("\"\"");
        }
        Some(len @ 1..) => {
            let len = usize::try_from(len).map_err(|_| super::Stop::Truncated)?;
            put!(c, Quoted(rest.take(len)?));
            rest.take(2)?;
        }
        _ => {
            c.invalid();
            return Ok(false);
        }
    }
    Ok(true)
}

fn resp_array<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>) -> Step<bool> {
    match resp_number(rest)? {
        Some(-1) => c.put("null"),
        Some(0) => c.put("empty"),
        Some(count @ 1..) => {
            for index in 0..count {
                if index > 0 {
                    c.put(" ");
                }
                if !c.nested(|c| resp_value(c, rest))? {
                    return Ok(false);
                }
                c.check_text()?;
            }
        }
        _ => {
            c.invalid();
            return Ok(false);
        }
    }
    Ok(true)
}
