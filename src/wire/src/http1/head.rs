//! Start line and fields: the parser, and what it hands out.

use memchr::memchr;

use super::grammar::{authority, is_field_value, is_target, is_token, list_items, trim_ows};
use super::{Framing, Reject};

/// How much of a head is accepted.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Start line and fields together.
    pub head_bytes: usize,
    /// Number of fields.
    pub fields: usize,
    /// Length of the request target.
    pub target_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { head_bytes: 64 * 1024, fields: 200, target_bytes: 32 * 1024 }
    }
}

/// HTTP/1.0 or HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// No persistent connection unless asked for, no chunks, Host not required.
    Http10,
    /// Persistent, chunked, Host required.
    Http11,
}

/// Fields that a proxy must tell from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FieldName {
    Accept,
    AcceptEncoding,
    Authorization,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentType,
    Cookie,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    Proxy,
    ProxyConnection,
    Te,
    TransferEncoding,
    Upgrade,
    UserAgent,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    Other,
}

impl FieldName {
    /// Classifies a name; the case of its letters does not matter.
    pub fn of(name: &[u8]) -> FieldName {
        use FieldName::*;
        let (text, known): (&[u8], FieldName) = match name.len() {
            2 => (b"te", Te),
            3 => (b"via", Via),
            4 => (b"host", Host),
            5 => (b"proxy", Proxy),
            6 => {
                return first_of(
                    name,
                    &[(b"accept", Accept), (b"cookie", Cookie), (b"expect", Expect)],
                );
            }
            7 => (b"upgrade", Upgrade),
            9 => (b"forwarded", Forwarded),
            10 => {
                return first_of(
                    name,
                    &[
                        (b"connection", Connection),
                        (b"keep-alive", KeepAlive),
                        (b"user-agent", UserAgent),
                    ],
                );
            }
            12 => (b"content-type", ContentType),
            13 => (b"authorization", Authorization),
            14 => {
                return first_of(
                    name,
                    &[(b"content-length", ContentLength), (b"http2-settings", Http2Settings)],
                );
            }
            15 => (b"accept-encoding", AcceptEncoding),
            16 => {
                return first_of(
                    name,
                    &[
                        (b"content-encoding", ContentEncoding),
                        (b"proxy-connection", ProxyConnection),
                        (b"x-forwarded-host", XForwardedHost),
                    ],
                );
            }
            17 => {
                return first_of(
                    name,
                    &[
                        (b"transfer-encoding", TransferEncoding),
                        (b"x-forwarded-proto", XForwardedProto),
                    ],
                );
            }
            _ => (b"x-forwarded-for", XForwardedFor),
        };
        match name.len() {
            15 if name.eq_ignore_ascii_case(b"x-forwarded-for") => XForwardedFor,
            _ if name.eq_ignore_ascii_case(text) => known,
            _ => Other,
        }
    }
}

fn first_of(name: &[u8], candidates: &[(&[u8], FieldName)]) -> FieldName {
    let found = candidates.iter().find(|(text, _)| name.eq_ignore_ascii_case(text));
    found.map_or(FieldName::Other, |(_, known)| *known)
}

/// A field line, borrowed from the buffer it was parsed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'b> {
    /// Which of the known fields it is.
    pub known: FieldName,
    /// The name as it was sent.
    pub name: &'b [u8],
    /// The value without the whitespace around it.
    pub value: &'b [u8],
}

#[derive(Clone, Copy, Debug)]
struct FieldSpan {
    known: FieldName,
    name: (u32, u32),
    value: (u32, u32),
}

/// The fields of a head.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'b> {
    buffer: &'b [u8],
    spans: &'b [FieldSpan],
}

impl<'b> Fields<'b> {
    /// All of them in the order in which they were sent.
    pub fn iter(self) -> impl Iterator<Item = Field<'b>> {
        self.spans.iter().map(move |span| Field {
            known: span.known,
            name: slice(self.buffer, span.name),
            value: slice(self.buffer, span.value),
        })
    }

    /// The first value of a known field.
    pub fn first(self, known: FieldName) -> Option<&'b [u8]> {
        let span = self.spans.iter().find(|span| span.known == known)?;
        Some(slice(self.buffer, span.value))
    }

    /// The first value of any field, by name.
    pub fn named(self, name: &str) -> Option<&'b [u8]> {
        let found = self.iter().find(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|field| field.value)
    }

    /// Whether a comma-separated field holds `item` in any of its lines.
    pub fn lists(self, known: FieldName, item: &str) -> bool {
        self.iter()
            .filter(|field| field.known == known)
            .any(|field| list_items(field.value).any(|i| i.eq_ignore_ascii_case(item.as_bytes())))
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    fn only(self, known: FieldName, otherwise: Reject) -> Result<Option<&'b [u8]>, Reject> {
        let mut found = self.spans.iter().filter(|span| span.known == known);
        let first = found.next();
        if found.next().is_some() {
            return Err(otherwise);
        }
        Ok(first.map(|span| slice(self.buffer, span.value)))
    }
}

fn slice(buffer: &[u8], (start, end): (u32, u32)) -> &[u8] {
    buffer.get(start as usize..end as usize).unwrap_or_default()
}

/// The form of a request target (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'b> {
    /// `/path?query`, as it was sent.
    Origin(&'b [u8]),
    /// `http://host/path`: the authority overrules Host; the path is empty or starts with `/` or `?`.
    Absolute {
        /// `http` or `https`.
        scheme: &'b [u8],
        /// `host[:port]`.
        authority: &'b [u8],
        /// The rest.
        path: &'b [u8],
    },
    /// `host:port` of CONNECT.
    Authority(&'b [u8]),
    /// `*` of OPTIONS.
    Asterisk,
}

/// A request head that keeps the rules.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'b> {
    /// GET, POST, ...: a token, case-sensitive.
    pub method: &'b [u8],
    /// The target as it was sent.
    pub target: &'b [u8],
    /// Its form.
    pub form: Target<'b>,
    /// The version of the sender.
    pub version: Version,
    /// The authority of the request: from an absolute target, else from Host.
    pub host: Option<&'b [u8]>,
    /// The fields.
    pub fields: Fields<'b>,
    /// Where the message ends.
    pub framing: Framing,
}

impl<'b> RequestHead<'b> {
    /// What goes into the request line of the next hop: never the absolute form.
    pub fn origin_target(&self) -> (&'static [u8], &'b [u8]) {
        match self.form {
            Target::Absolute { path, .. } if !path.starts_with(b"/") => (b"/", path),
            Target::Absolute { path, .. } => (b"", path),
            _ => (b"", self.target),
        }
    }

    /// Whether the connection may carry another request after this one (RFC 9112 section 9.3).
    pub fn keep_alive(&self) -> bool {
        keep_alive(self.version, self.fields)
    }

    /// The protocol that an Upgrade asks for, if Connection names it too and the version has it.
    pub fn upgrade(&self) -> Option<&'b [u8]> {
        if self.version != Version::Http11 || !self.fields.lists(FieldName::Connection, "upgrade") {
            return None;
        }
        self.fields.first(FieldName::Upgrade)
    }
}

/// A response head that keeps the rules.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'b> {
    /// The version of the sender.
    pub version: Version,
    /// 100 to 599.
    pub status: u16,
    /// The reason phrase, possibly empty.
    pub reason: &'b [u8],
    /// The fields.
    pub fields: Fields<'b>,
}

impl ResponseHead<'_> {
    /// Where the message ends, given the method it answers (RFC 9112 section 6.3).
    ///
    /// # Errors
    /// Lengths that contradict each other.
    pub fn framing(&self, to_head: bool) -> Result<Framing, Reject> {
        let declared = declared_framing(self.version, self.fields)?;
        // RFC 9110 section 6.4.1: these have no body, whatever the fields say.
        if to_head || self.status < 200 || self.status == 204 || self.status == 304 {
            return Ok(Framing::None);
        }
        Ok(declared.unwrap_or(Framing::Close))
    }

    /// Whether the connection may carry another response after this one.
    pub fn keep_alive(&self) -> bool {
        keep_alive(self.version, self.fields)
    }
}

fn keep_alive(version: Version, fields: Fields<'_>) -> bool {
    match version {
        Version::Http11 => !fields.lists(FieldName::Connection, "close"),
        Version::Http10 => {
            fields.lists(FieldName::Connection, "keep-alive")
                && !fields.lists(FieldName::Connection, "close")
        }
    }
}

/// The framing that Content-Length and Transfer-Encoding declare, if one of them is there.
fn declared_framing(version: Version, fields: Fields<'_>) -> Result<Option<Framing>, Reject> {
    let length = fields.only(FieldName::ContentLength, Reject::ContentLength)?;
    let coding = fields.only(FieldName::TransferEncoding, Reject::TransferEncoding)?;
    match (length, coding) {
        (Some(_), Some(_)) => Err(Reject::TwoFramings),
        (None, Some(coding))
            if version == Version::Http11 && coding.eq_ignore_ascii_case(b"chunked") =>
        {
            Ok(Some(Framing::Chunked))
        }
        (None, Some(_)) => Err(Reject::TransferEncoding),
        (Some(digits), None) => content_length(digits).map(Framing::Length).map(Some),
        (None, None) => Ok(None),
    }
}

/// Digits alone; more than 19 could wrap a 64-bit number.
fn content_length(digits: &[u8]) -> Result<u64, Reject> {
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reject::ContentLength);
    }
    Ok(digits.iter().fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0')))
}

/// How far a head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Partial,
    /// The head is this long; the body starts behind it.
    Complete(usize),
}

/// Parses heads in place and resumes where it stopped. One per connection, reused.
#[derive(Debug, Default)]
pub struct HeadParser {
    limits: Limits,
    /// Offset of the first byte that has not been parsed: a line start.
    position: usize,
    /// Bytes behind `position` already searched for a line end.
    searched: usize,
    /// Empty lines before the start line are skipped (RFC 9112 section 2.2).
    start: Option<(u32, u32)>,
    fields: Vec<FieldSpan>,
}

impl HeadParser {
    /// A parser with these limits.
    pub fn new(limits: Limits) -> HeadParser {
        HeadParser { limits, ..HeadParser::default() }
    }

    /// Forgets the message: the next byte of the buffer is the first of another.
    pub fn reset(&mut self) {
        self.position = 0;
        self.searched = 0;
        self.start = None;
        self.fields.clear();
    }

    /// Goes on through `buffer`, which starts with the same bytes as in the last call.
    ///
    /// # Errors
    /// The head breaks a rule or a limit.
    pub fn advance(&mut self, buffer: &[u8]) -> Result<Progress, Reject> {
        loop {
            let rest = buffer.get(self.position..).unwrap_or_default();
            let Some(end) =
                rest.get(self.searched..).and_then(|unsearched| memchr(b'\n', unsearched))
            else {
                self.searched = rest.len();
                return self.unfinished(rest).map(|()| Progress::Partial);
            };
            let end = end + self.searched;
            self.searched = 0;
            let Some(line) = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")) else {
                return Err(Reject::BareLineEnd);
            };
            let at = self.position;
            self.position += end + 1;
            if self.position > self.limits.head_bytes {
                return Err(self.too_large());
            }
            if self.line(at, line)? {
                return Ok(Progress::Complete(self.position));
            }
        }
    }

    /// Takes one line; true at the empty line that ends the head.
    fn line(&mut self, at: usize, line: &[u8]) -> Result<bool, Reject> {
        if line.is_empty() {
            // One empty line before a request is what an old client's form post leaves behind.
            return match self.start {
                None if at > 0 => Err(Reject::StartLine),
                None => Ok(false),
                Some(_) => Ok(true),
            };
        }
        if self.start.is_none() {
            if line.contains(&b'\r') {
                return Err(Reject::BareLineEnd);
            }
            self.start = Some(span(at, line.len()));
            return Ok(false);
        }
        if self.fields.len() == self.limits.fields {
            return Err(Reject::TooManyFields);
        }
        self.fields.push(field_span(at, line)?);
        Ok(false)
    }

    /// A line without an end may already be too long.
    fn unfinished(&self, rest: &[u8]) -> Result<(), Reject> {
        if self.position + rest.len() >= self.limits.head_bytes {
            return Err(self.too_large());
        }
        Ok(())
    }

    fn too_large(&self) -> Reject {
        if self.start.is_none() { Reject::TargetTooLong } else { Reject::HeadTooLarge }
    }

    fn fields<'b>(&'b self, buffer: &'b [u8]) -> Fields<'b> {
        Fields { buffer, spans: &self.fields }
    }

    /// The request that [`HeadParser::advance`] has completed in `buffer`.
    ///
    /// # Errors
    /// The start line, Host or the framing breaks a rule.
    pub fn request<'b>(&'b self, buffer: &'b [u8]) -> Result<RequestHead<'b>, Reject> {
        let line = slice(buffer, self.start.unwrap_or_default());
        let method_end = memchr(b' ', line).ok_or(Reject::StartLine)?;
        let (method, rest) = (&line[..method_end], &line[method_end + 1..]);
        if !is_token(method) {
            return Err(Reject::Method);
        }
        let target_end = memchr(b' ', rest).ok_or(Reject::StartLine)?;
        let (target, version) = (&rest[..target_end], &rest[target_end + 1..]);
        if target.len() > self.limits.target_bytes {
            return Err(Reject::TargetTooLong);
        }
        if !is_target(target) {
            return Err(Reject::RequestTarget);
        }
        let version = parse_version(version)?;
        let form = target_form(method, target)?;
        let fields = self.fields(buffer);
        let host = request_host(version, form, fields)?;
        let framing = declared_framing(version, fields)?.unwrap_or(Framing::None);
        Ok(RequestHead { method, target, form, version, host, fields, framing })
    }

    /// The response that [`HeadParser::advance`] has completed in `buffer`.
    ///
    /// # Errors
    /// The status line breaks a rule.
    pub fn response<'b>(&'b self, buffer: &'b [u8]) -> Result<ResponseHead<'b>, Reject> {
        let line = slice(buffer, self.start.unwrap_or_default());
        let (version, rest) = line.split_at_checked(8).ok_or(Reject::StartLine)?;
        let version = parse_version(version)?;
        let rest = rest.strip_prefix(b" ").ok_or(Reject::StartLine)?;
        let (digits, reason) = rest.split_at_checked(3).ok_or(Reject::Status)?;
        let status = match digits {
            [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
                u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
            }
            _ => return Err(Reject::Status),
        };
        // Many servers leave out the space when there is no phrase.
        let reason = match reason {
            [] => reason,
            [b' ', reason @ ..] if is_field_value(reason) => reason,
            _ => return Err(Reject::StartLine),
        };
        Ok(ResponseHead { version, status, reason, fields: self.fields(buffer) })
    }
}

fn span(start: usize, len: usize) -> (u32, u32) {
    (start as u32, (start + len) as u32)
}

fn field_span(at: usize, line: &[u8]) -> Result<FieldSpan, Reject> {
    if matches!(line, [b' ' | b'\t', ..]) {
        return Err(Reject::FoldedLine);
    }
    let colon = memchr(b':', line).ok_or(Reject::FieldName)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(Reject::FieldName);
    }
    if !is_field_value(value) {
        let bare = value.contains(&b'\r');
        return Err(if bare { Reject::BareLineEnd } else { Reject::FieldValue });
    }
    let trimmed = trim_ows(value);
    let leading = value.len() - trim_start(value).len();
    Ok(FieldSpan {
        known: FieldName::of(name),
        name: span(at, colon),
        value: span(at + colon + 1 + leading, trimmed.len()),
    })
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn parse_version(bytes: &[u8]) -> Result<Version, Reject> {
    match bytes {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Reject::Version),
        _ => Err(Reject::StartLine),
    }
}

fn target_form<'b>(method: &[u8], target: &'b [u8]) -> Result<Target<'b>, Reject> {
    if method == b"CONNECT" {
        return match authority(target) {
            Some((_, Some(_))) => Ok(Target::Authority(target)),
            _ => Err(Reject::RequestTarget),
        };
    }
    match target {
        [b'/', ..] => Ok(Target::Origin(target)),
        b"*" if method == b"OPTIONS" => Ok(Target::Asterisk),
        _ => absolute_form(target).ok_or(Reject::RequestTarget),
    }
}

fn absolute_form(target: &[u8]) -> Option<Target<'_>> {
    let colon = memchr(b':', target)?;
    let (scheme, rest) = target.split_at(colon);
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    authority(host)?;
    Some(Target::Absolute { scheme, authority: host, path })
}

fn request_host<'b>(
    version: Version,
    form: Target<'b>,
    fields: Fields<'b>,
) -> Result<Option<&'b [u8]>, Reject> {
    let host = fields.only(FieldName::Host, Reject::Host)?;
    match host {
        None if version == Version::Http11 => return Err(Reject::Host),
        Some(host) if authority(host).is_none() => return Err(Reject::Host),
        _ => {}
    }
    match form {
        Target::Absolute { authority, .. } => Ok(Some(authority)),
        _ => Ok(host),
    }
}
