//! Heads for the next hop: the fields as they were sent, without those of the connection.

use box_wire::http1::{
    Field, FieldName, Fields, Framing, RequestHead, ResponseHead, Version, list_items,
};

use super::Visitor;

/// What a hop does with the fields that say whom it speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Forwarding {
    /// Replaces them: whatever a visitor claims is dropped.
    #[default]
    Replace,
    /// Appends to them: the client is a proxy that is trusted.
    Append,
    /// Leaves them: an earlier hop of ours has set them.
    Keep,
}

/// Changes to the heads of a route.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// X-Forwarded-For, -Proto and -Host.
    pub forwarding: Forwarding,
    /// Another Host.
    pub host: Option<String>,
    /// Fields added to the request; a field of the same name is dropped.
    pub request_add: Vec<(String, String)>,
    /// Fields dropped from the request.
    pub request_remove: Vec<String>,
    /// Fields added to the response; a field of the same name is dropped.
    pub response_add: Vec<(String, String)>,
    /// Fields dropped from the response.
    pub response_remove: Vec<String>,
}

/// Protocols that Upgrade may ask for. Not `h2c`: behind it the visitor would speak unseen.
pub fn may_upgrade_to(protocol: &[u8]) -> bool {
    [&b"websocket"[..], b"tcp", b"spdy/3.1", b"raw"]
        .iter()
        .any(|allowed| protocol.eq_ignore_ascii_case(allowed))
}

/// Whether a field belongs to the connection and ends here (RFC 9110 section 7.6.1), or is one that
/// no proxy may pass on: `Proxy` becomes an environment variable of CGI programs.
fn is_hop_by_hop(field: &Field<'_>, fields: Fields<'_>, nominated: bool) -> bool {
    use FieldName::*;
    match field.known {
        Connection | KeepAlive | ProxyConnection | Te | TransferEncoding | Upgrade | Proxy
        | Http2Settings => true,
        // Connection can name fields of its own invention; not those that frame, route or identify.
        ContentLength | Host | Authorization | Cookie | ContentType | XForwardedFor
        | XForwardedHost | XForwardedProto | Forwarded => false,
        _ => nominated && is_nominated(field.name, fields),
    }
}

fn is_nominated(name: &[u8], fields: Fields<'_>) -> bool {
    fields
        .iter()
        .filter(|field| field.known == FieldName::Connection)
        .any(|field| list_items(field.value).any(|item| item.eq_ignore_ascii_case(name)))
}

/// Whether Connection names anything beyond the two common words.
fn nominates(fields: Fields<'_>) -> bool {
    fields.iter().filter(|field| field.known == FieldName::Connection).any(|field| {
        list_items(field.value).any(|item| {
            !item.eq_ignore_ascii_case(b"keep-alive")
                && !item.eq_ignore_ascii_case(b"close")
                && !item.eq_ignore_ascii_case(b"upgrade")
        })
    })
}

fn named(list: &[String], name: &[u8]) -> bool {
    list.iter().any(|n| n.as_bytes().eq_ignore_ascii_case(name))
}

fn replaced(list: &[(String, String)], name: &[u8]) -> bool {
    list.iter().any(|(n, _)| n.as_bytes().eq_ignore_ascii_case(name))
}

/// An underscore twin (`X_Forwarded_For`): many servers turn both into one variable.
fn is_twin(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"x_forwarded_";
    name.contains(&b'_')
        && name.len() > PREFIX.len()
        && name
            .iter()
            .zip(PREFIX)
            .all(|(a, b)| a.to_ascii_lowercase() == *b || (*a == b'-' && *b == b'_'))
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes the request head for the upstream. `upgrade`: the protocol asked for, if it may be.
pub fn request(
    out: &mut Vec<u8>,
    head: &RequestHead<'_>,
    visitor: &Visitor,
    edits: &Edits,
    upgrade: Option<&[u8]>,
) {
    let (slash, target) = head.origin_target();
    for part in [head.method, b" ", slash, target, b" HTTP/1.1\r\n"] {
        out.extend_from_slice(part);
    }
    let host = edits.host.as_deref().map(str::as_bytes).or(head.host).unwrap_or(b"");
    line(out, b"Host", host);
    let nominated = nominates(head.fields);
    for field in head.fields.iter() {
        if request_field_passes(&field, head, edits, nominated) {
            line(out, field.name, field.value);
        }
    }
    if head.framing == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if head.fields.lists(FieldName::Te, "trailers") {
        out.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n");
    }
    if let Some(protocol) = upgrade {
        line(out, b"Upgrade", protocol);
        out.extend_from_slice(b"Connection: Upgrade\r\n");
    }
    forwarded(out, head, visitor, edits.forwarding);
    for (name, value) in &edits.request_add {
        line(out, name.as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn request_field_passes(
    field: &Field<'_>,
    head: &RequestHead<'_>,
    edits: &Edits,
    nominated: bool,
) -> bool {
    use FieldName::*;
    match field.known {
        Host => return false,
        XForwardedFor | XForwardedHost | XForwardedProto | Forwarded
            if edits.forwarding != super::Forwarding::Keep =>
        {
            return false;
        }
        _ => {}
    }
    !(is_hop_by_hop(field, head.fields, nominated)
        || named(&edits.request_remove, field.name)
        || replaced(&edits.request_add, field.name)
        || is_twin(field.name))
}

fn forwarded(out: &mut Vec<u8>, head: &RequestHead<'_>, visitor: &Visitor, how: Forwarding) {
    use std::io::Write;
    if how == Forwarding::Keep {
        return;
    }
    out.extend_from_slice(b"X-Forwarded-For: ");
    if how == Forwarding::Append {
        let earlier = head.fields.iter().filter(|field| field.known == FieldName::XForwardedFor);
        for field in earlier {
            out.extend_from_slice(field.value);
            out.extend_from_slice(b", ");
        }
    }
    // A write to a Vec cannot fail.
    let _ = write!(out, "{}\r\n", visitor.client.ip());
    let told = |known| head.fields.first(known).filter(|_| how == Forwarding::Append);
    let scheme: &[u8] = if visitor.tls { b"https" } else { b"http" };
    line(out, b"X-Forwarded-Proto", told(FieldName::XForwardedProto).unwrap_or(scheme));
    let host = told(FieldName::XForwardedHost).or(head.host).unwrap_or(b"");
    line(out, b"X-Forwarded-Host", host);
}

/// How the response leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The framing towards the client.
    pub framing: Framing,
    /// The client speaks HTTP/1.0.
    pub to_http10: bool,
    /// The connection may carry another request.
    pub keep_alive: bool,
    /// It answers HEAD.
    pub to_head: bool,
}

/// Writes the response head for the client.
pub fn response(out: &mut Vec<u8>, head: &ResponseHead<'_>, edits: &Edits, reply: Reply) {
    status_line(out, head);
    let nominated = nominates(head.fields);
    for field in head.fields.iter() {
        if response_field_passes(&field, head, edits, nominated) {
            line(out, field.name, field.value);
        }
    }
    if head.status >= 200 {
        for (name, value) in &edits.response_add {
            line(out, name.as_bytes(), value.as_bytes());
        }
        if reply.framing == Framing::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if !reply.keep_alive {
            out.extend_from_slice(b"Connection: close\r\n");
        } else if reply.to_http10 {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of a 101: the connection's fields stay, for they are its meaning.
pub fn switching(out: &mut Vec<u8>, head: &ResponseHead<'_>, edits: &Edits) {
    status_line(out, head);
    for field in head.fields.iter() {
        let framing = matches!(field.known, FieldName::ContentLength | FieldName::TransferEncoding);
        if !framing && !named(&edits.response_remove, field.name) {
            line(out, field.name, field.value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn status_line(out: &mut Vec<u8>, head: &ResponseHead<'_>) {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    let status = [digit(head.status / 100), digit(head.status / 10), digit(head.status)];
    for part in [b"HTTP/1.1 ", &status[..], b" ", head.reason, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn response_field_passes(
    field: &Field<'_>,
    head: &ResponseHead<'_>,
    edits: &Edits,
    nominated: bool,
) -> bool {
    // RFC 9110 section 8.6: no Content-Length in 1xx and 204.
    let bodiless = head.status < 200 || head.status == 204;
    !(is_hop_by_hop(field, head.fields, nominated)
        || (bodiless && field.known == FieldName::ContentLength)
        || named(&edits.response_remove, field.name)
        || (head.status >= 200 && replaced(&edits.response_add, field.name)))
}

/// Whether a trailer field may be passed on: none that frames, routes or authenticates
/// (RFC 9110 section 6.5.1).
pub fn trailer_passes(name: &[u8]) -> bool {
    use FieldName::*;
    matches!(FieldName::of(name), Other | Via)
}

/// The framing towards the client for a response that comes with `framing`.
pub fn outward(framing: Framing, client: Version, single: bool) -> Framing {
    match (framing, client) {
        // The end of a stream in a lane is told from a reset: it may end the body.
        (Framing::Close, _) if single => Framing::Close,
        (Framing::Close, Version::Http11) => Framing::Chunked,
        (Framing::Chunked, Version::Http10) => Framing::Close,
        (framing, _) => framing,
    }
}
