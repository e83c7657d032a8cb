//! Field lists to heads of HTTP/1.1 and back (RFC 9113 section 8).

use box_wire::hpack::{self, FieldList};
use box_wire::http1::{
    FieldName, RequestHead, ResponseHead, Target, is_field_value, is_target, is_token,
};

/// The list breaks a rule: its stream is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedMessage;

/// How the body of a message that comes in is written for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inward {
    /// There is none.
    None,
    /// As it is: the head has told so many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// The pseudo-fields of a request.
#[derive(Default)]
struct Pseudo<'f> {
    method: Option<&'f [u8]>,
    scheme: Option<&'f [u8]>,
    authority: Option<&'f [u8]>,
    path: Option<&'f [u8]>,
}

impl<'f> Pseudo<'f> {
    fn set(&mut self, name: &[u8], value: &'f [u8]) -> Result<(), MalformedMessage> {
        let slot = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            _ => return Err(MalformedMessage),
        };
        if slot.replace(value).is_some() { Err(MalformedMessage) } else { Ok(()) }
    }
}

/// Writes the head of a request. `ends`: nothing follows it.
///
/// # Errors
/// The list is not one of a request.
pub fn request(
    fields: &FieldList,
    ends: bool,
    out: &mut Vec<u8>,
) -> Result<Inward, MalformedMessage> {
    let mut pseudo = Pseudo::default();
    let mut regular = false;
    for (name, value) in fields.iter() {
        if name.starts_with(b":") {
            if regular {
                return Err(MalformedMessage);
            }
            pseudo.set(name, value)?;
        } else {
            regular = true;
            check_field(name, value)?;
        }
    }
    let method = pseudo.method.filter(|method| is_token(method)).ok_or(MalformedMessage)?;
    let connect = method == b"CONNECT";
    let target = match (connect, pseudo.path, pseudo.scheme) {
        (true, None, None) => pseudo.authority.ok_or(MalformedMessage)?,
        (false, Some(path), Some(_)) => path,
        _ => return Err(MalformedMessage),
    };
    let origin_form = target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS");
    if !is_target(target) || !(connect || origin_form) {
        return Err(MalformedMessage);
    }
    let host = host(fields, pseudo.authority)?;
    let length = content_length(fields)?;
    for part in [method, b" ", target, b" HTTP/1.1\r\nHost: ", host, b"\r\n"] {
        out.extend_from_slice(part);
    }
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(b":")) {
        match FieldName::of(name) {
            FieldName::Host | FieldName::ContentLength | FieldName::Cookie => {}
            // The engine takes it for a wish of this connection.
            FieldName::Te => out.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n"),
            _ => line(out, name, value),
        }
    }
    cookies(fields, out);
    finish_request(method, ends, length, out)
}

fn finish_request(
    method: &[u8],
    ends: bool,
    length: Option<u64>,
    out: &mut Vec<u8>,
) -> Result<Inward, MalformedMessage> {
    let has_no_body = [&b"GET"[..], b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT"];
    let inward = match (ends, length) {
        (true, Some(1..)) => return Err(MalformedMessage),
        (true, None) if has_no_body.contains(&method) => Inward::None,
        (true, _) | (false, Some(0)) => {
            out.extend_from_slice(b"Content-Length: 0\r\n");
            if ends { Inward::None } else { Inward::Length(0) }
        }
        (false, Some(length)) => {
            line(out, b"Content-Length", length.to_string().as_bytes());
            Inward::Length(length)
        }
        (false, None) => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            Inward::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    Ok(inward)
}

/// The one that is asked for: `:authority`, or Host where there is none; they may not differ.
fn host<'f>(
    fields: &'f FieldList,
    authority: Option<&'f [u8]>,
) -> Result<&'f [u8], MalformedMessage> {
    let mut hosts = fields.iter().filter(|(name, _)| *name == b"host").map(|(_, value)| value);
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(MalformedMessage);
    }
    match (authority, host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(MalformedMessage)
        }
        (Some(host), _) | (None, Some(host)) if is_field_value(host) => Ok(host),
        _ => Err(MalformedMessage),
    }
}

/// Cookies come in pieces so that they compress; HTTP/1.1 has one line (RFC 9113 section 8.2.3).
fn cookies(fields: &FieldList, out: &mut Vec<u8>) {
    let mut started = false;
    for (_, value) in fields.iter().filter(|(name, _)| *name == b"cookie") {
        out.extend_from_slice(if started { b"; " } else { b"Cookie: " });
        out.extend_from_slice(value);
        started = true;
    }
    if started {
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes the head of a response; interim ones have no body. Returns the status too.
///
/// # Errors
/// The list is not one of a response.
pub fn response(
    fields: &FieldList,
    ends: bool,
    to_head: bool,
    out: &mut Vec<u8>,
) -> Result<(u16, Inward), MalformedMessage> {
    let mut status = None;
    let mut regular = false;
    for (name, value) in fields.iter() {
        if name.starts_with(b":") {
            let digits =
                name == b":status" && value.len() == 3 && value.iter().all(u8::is_ascii_digit);
            if regular || !digits || status.replace(value).is_some() {
                return Err(MalformedMessage);
            }
        } else {
            regular = true;
            check_field(name, value)?;
        }
    }
    let digits = status.ok_or(MalformedMessage)?;
    let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    // 101 does not exist here (RFC 9113 section 8.6).
    if !(100..600).contains(&status) || status == 101 || (status < 200 && ends) {
        return Err(MalformedMessage);
    }
    for part in [b"HTTP/1.1 ", digits, b" \r\n"] {
        out.extend_from_slice(part);
    }
    let length = content_length(fields)?;
    let bodiless = to_head || status < 200 || status == 204 || status == 304;
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(b":")) {
        let known = FieldName::of(name);
        if known != FieldName::ContentLength || bodiless {
            line(out, name, value);
        }
    }
    let inward = match (bodiless, ends, length) {
        (true, ..) => Inward::None,
        (false, true, Some(1..)) => return Err(MalformedMessage),
        (false, true, _) => {
            out.extend_from_slice(b"Content-Length: 0\r\n");
            Inward::None
        }
        (false, false, Some(length)) => {
            line(out, b"Content-Length", length.to_string().as_bytes());
            Inward::Length(length)
        }
        (false, false, None) => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            Inward::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    Ok((status, inward))
}

/// Writes trailer lines.
///
/// # Errors
/// The list is not one of trailers.
pub fn trailers(fields: &FieldList, out: &mut Vec<u8>) -> Result<(), MalformedMessage> {
    for (name, value) in fields.iter() {
        check_field(name, value)?;
        line(out, name, value);
    }
    Ok(())
}

/// A name in lower case, a value that can stand in a line, and nothing that belongs to a connection
/// (RFC 9113 section 8.2). Pseudo-fields are none.
fn check_field(name: &[u8], value: &[u8]) -> Result<(), MalformedMessage> {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    let well_formed = is_token(name)
        && !name.iter().any(u8::is_ascii_uppercase)
        && is_field_value(value)
        && !edge(value.first())
        && !edge(value.last());
    let allowed = match FieldName::of(name) {
        FieldName::Connection
        | FieldName::KeepAlive
        | FieldName::ProxyConnection
        | FieldName::TransferEncoding
        | FieldName::Upgrade => false,
        FieldName::Te => value == b"trailers",
        _ => true,
    };
    if well_formed && allowed { Ok(()) } else { Err(MalformedMessage) }
}

/// The one Content-Length, if there is one.
fn content_length(fields: &FieldList) -> Result<Option<u64>, MalformedMessage> {
    let mut lengths = fields.iter().filter(|(name, _)| *name == b"content-length");
    let Some((_, digits)) = lengths.next() else { return Ok(None) };
    let valid = !digits.is_empty() && digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit);
    if !valid || lengths.next().is_some() {
        return Err(MalformedMessage);
    }
    Ok(Some(digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))))
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Encodes the head of a response as a header block.
pub fn encode_response(head: &ResponseHead<'_>, block: &mut Vec<u8>) {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    hpack::encode(
        block,
        b":status",
        &[digit(head.status / 100), digit(head.status / 10), digit(head.status)],
    );
    for field in head.fields.iter().filter(|field| passes(field.known)) {
        encode_field(block, field.name, field.value);
    }
}

/// Encodes the head of a request as a header block.
pub fn encode_request(head: &RequestHead<'_>, tls: bool, block: &mut Vec<u8>) {
    hpack::encode(block, b":method", head.method);
    hpack::encode(block, b":scheme", if tls { b"https" } else { b"http" });
    hpack::encode(block, b":authority", head.host.unwrap_or_default());
    let target = if head.form == Target::Asterisk { b"*" } else { head.target };
    hpack::encode(block, b":path", target);
    for field in
        head.fields.iter().filter(|field| passes(field.known) && field.known != FieldName::Host)
    {
        encode_field(block, field.name, field.value);
    }
    if head.fields.lists(FieldName::Te, "trailers") {
        hpack::encode(block, b"te", b"trailers");
    }
}

/// Fields that the engine wrote for a connection of HTTP/1.1 end here.
fn passes(known: FieldName) -> bool {
    !matches!(
        known,
        FieldName::Connection
            | FieldName::KeepAlive
            | FieldName::ProxyConnection
            | FieldName::TransferEncoding
            | FieldName::Upgrade
            | FieldName::Te
    )
}

/// Encodes a field; its name goes out in lower case.
pub fn encode_field(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    const LONGEST: usize = 64;
    let mut lower = [0; LONGEST];
    match lower.get_mut(..name.len()) {
        Some(lower) => {
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            hpack::encode(block, lower, value);
        }
        None => hpack::encode(block, &name.to_ascii_lowercase(), value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(fields: &[(&str, &str)]) -> FieldList {
        let mut list = FieldList::new(1 << 16);
        for (name, value) in fields {
            list.push(name.as_bytes(), value.as_bytes());
        }
        list
    }

    const GET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":path", "/a?b"), (":authority", "a.test")];

    fn written(fields: &[(&str, &str)], ends: bool) -> Result<(String, Inward), MalformedMessage> {
        let mut out = Vec::new();
        let inward = request(&list(fields), ends, &mut out)?;
        Ok((String::from_utf8_lossy(&out).into_owned(), inward))
    }

    fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        GET.iter().copied().chain(more.iter().copied()).collect()
    }

    #[test]
    fn a_request_becomes_a_head_with_one_framing() {
        let get = "GET /a?b HTTP/1.1\r\nHost: a.test\r\n";
        assert_eq!(written(&GET, true), Ok((format!("{get}\r\n"), Inward::None)));
        let chunked = format!("{get}Transfer-Encoding: chunked\r\n\r\n");
        assert_eq!(written(&GET, false), Ok((chunked, Inward::Chunked)));
        let length = format!("{get}Content-Length: 5\r\n\r\n");
        assert_eq!(
            written(&with(&[("content-length", "5")]), false),
            Ok((length, Inward::Length(5)))
        );
        let cookies = format!("{get}x: y\r\nCookie: a=1; b=2\r\n\r\n");
        let fields = with(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]);
        assert_eq!(written(&fields, true), Ok((cookies, Inward::None)));
    }

    /// What would be a second line, a second message or another framing in HTTP/1.1.
    #[test]
    fn what_cannot_stand_in_a_head_is_malformed() {
        for more in [
            ("x", "a\r\nb: c"),
            ("x", "a\nb"),
            ("x", "a\rb"),
            ("x", "a\0b"),
            ("x", " a"),
            ("x", "a\t"),
            ("x y", "a"),
            ("x:y", "a"),
            ("x\r\ny", "a"),
            ("", "a"),
            ("X", "a"),
            ("x\u{e9}", "a"),
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("keep-alive", "1"),
            ("proxy-connection", "close"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
            ("content-length", "5"),
            ("content-length", "+0"),
            ("content-length", ""),
            ("host", "b.test"),
            (":path", "/b"),
            (":method", "GET"),
            (":status", "200"),
            (":x", "y"),
        ] {
            assert_eq!(written(&with(&[more]), true), Err(MalformedMessage), "{more:?}");
        }
        for (index, value) in [
            (0, "GET /x HTTP/1.1\r\nX: y"),
            (0, "G T"),
            (0, ""),
            (2, ""),
            (2, "a"),
            (2, "/a b"),
            (2, "/a HTTP/1.1\r\nX: y"),
            (2, "/a#b"),
            (2, "http://b.test/"),
            (2, "*"),
            (3, "a\r\nb: c"),
        ] {
            let mut fields = GET;
            fields[index].1 = value;
            assert_eq!(written(&fields, true), Err(MalformedMessage), "{fields:?}");
        }
        for missing in 0..3 {
            let mut fields = GET.to_vec();
            fields.remove(missing);
            assert_eq!(written(&fields, true), Err(MalformedMessage), "{fields:?}");
        }
        let late = [&[("x", "y")], &GET[..]].concat();
        assert_eq!(written(&late, true), Err(MalformedMessage));
        let two = with(&[("content-length", "5"), ("content-length", "5")]);
        assert_eq!(written(&two, false), Err(MalformedMessage));
    }
}
