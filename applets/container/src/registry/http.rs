//! Requests over HTTP/1.1, one at a time on a connection, which is kept for the next one.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use box_kit::Failure;
use box_wire::http1::{ChunkDecoder, ChunkStep, Framing, HeadParser, Limits, Progress};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// How long a peer may take to answer a connection, and to send anything at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections kept for later.
const IDLE_MAX: usize = 8;

/// `http://host:port/path?query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// With its query, from the slash on.
    pub path: String,
}

impl Url {
    pub fn parse(text: &str) -> Option<Url> {
        let (tls, rest) = match text.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = box_wire::http1::authority(authority.as_bytes())?;
        let clean = path.bytes().all(|byte| byte.is_ascii_graphic());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        clean.then(|| Url { tls, host: host.to_owned(), port, path })
    }

    /// A place that an answer names, seen from here.
    pub fn join(&self, location: &str) -> Option<Url> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Some(Url { path: location.to_owned(), ..self.clone() });
        }
        Url::parse(location)
    }

    pub fn same_server(&self, other: &Url) -> bool {
        (self.tls, &self.host, self.port) == (other.tls, &other.host, other.port)
    }

    fn authority(&self) -> String {
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Tls(stream) => match stream.read(buffer) {
                // The end of the connection without the protocol's: framing tells whether all is
                // there.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                outcome => outcome,
            },
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// What is sent after the head.
pub enum Body<'a> {
    None,
    Bytes(&'a [u8]),
    /// So many bytes of a source.
    Stream(&'a mut dyn Read, u64),
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    /// The peer speaks no TLS, or refuses it: it may speak without.
    NotTls(io::Error),
    Failed(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Failed(error)
    }
}

impl Trouble {
    pub fn about(self, url: &Url) -> Failure {
        let (Trouble::NotTls(error) | Trouble::Failed(error)) = self;
        let subject = format!("{}:{}", url.host, url.port);
        match error.raw_os_error() {
            Some(_) => Failure::os(subject)(error),
            None => Failure::new(error).about(subject),
        }
    }
}

/// Makes connections and keeps them.
pub struct Http {
    tls: Arc<ClientConfig>,
    idle: Mutex<Vec<(Url, Stream)>>,
}

/// An answer, and the connection that its body comes from.
pub struct Response<'c> {
    pub status: u16,
    fields: Vec<(String, String)>,
    http: &'c Http,
    server: Url,
    stream: Option<Stream>,
    kept: bool,
    buffer: Vec<u8>,
    position: usize,
    body: Remaining,
}

enum Remaining {
    Length(u64),
    Chunks(ChunkDecoder),
    Close,
    Done,
}

impl Http {
    pub fn new(tls: Arc<ClientConfig>) -> Http {
        Http { tls, idle: Mutex::new(Vec::new()) }
    }

    /// Sends a request and reads the answer's head.
    pub fn request(
        &self,
        method: &str,
        url: &Url,
        fields: &[(&str, &str)],
        body: Body<'_>,
    ) -> Result<Response<'_>, Trouble> {
        let length = match &body {
            Body::None => None,
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Stream(_, length) => Some(*length),
        };
        let mut head = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", url.path, url.authority());
        head.push_str(concat!("User-Agent: box/", env!("CARGO_PKG_VERSION"), "\r\n"));
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match length {
            Some(length) => head.push_str(&format!("Content-Length: {length}\r\n\r\n")),
            None if method == "POST" || method == "PUT" || method == "PATCH" => {
                head.push_str("Content-Length: 0\r\n\r\n");
            }
            None => head.push_str("\r\n"),
        }
        let idle = if matches!(body, Body::Stream(..)) { None } else { self.take_idle(url) };
        if let Some(stream) = idle {
            let again = match &body {
                Body::Bytes(bytes) => Body::Bytes(bytes),
                _ => Body::None,
            };
            // The peer may have closed it meanwhile: then the request goes out once more.
            if let Ok(response) = self.exchange(stream, method, url, &head, again) {
                return Ok(response);
            }
        }
        let stream = self.connect(url)?;
        Ok(self.exchange(stream, method, url, &head, body)?)
    }

    fn take_idle(&self, url: &Url) -> Option<Stream> {
        let mut idle = self.idle.lock().ok()?;
        let place = idle.iter().position(|(known, _)| known.same_server(url))?;
        Some(idle.swap_remove(place).1)
    }

    fn connect(&self, url: &Url) -> Result<Stream, Trouble> {
        let stream = open(&url.host, url.port)?;
        stream.set_read_timeout(Some(SILENCE_TIMEOUT))?;
        stream.set_write_timeout(Some(SILENCE_TIMEOUT))?;
        stream.set_nodelay(true)?;
        if !url.tls {
            return Ok(Stream::Plain(stream));
        }
        let name = url.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = rustls::pki_types::ServerName::try_from(name)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let connection = ClientConnection::new(Arc::clone(&self.tls), name)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(handshake_trouble)?;
        }
        Ok(Stream::Tls(Box::new(stream)))
    }

    fn exchange(
        &self,
        mut stream: Stream,
        method: &str,
        url: &Url,
        head: &str,
        body: Body<'_>,
    ) -> io::Result<Response<'_>> {
        stream.write_all(head.as_bytes())?;
        let sent = match body {
            Body::None => Ok(()),
            Body::Bytes(bytes) => stream.write_all(bytes),
            Body::Stream(source, length) => send(source, length, &mut stream),
        };
        stream.flush()?;
        // A peer that refuses may answer before it has read all.
        if let Err(error) = sent
            && error.kind() != io::ErrorKind::BrokenPipe
            && error.kind() != io::ErrorKind::ConnectionReset
        {
            return Err(error);
        }
        let mut buffer = Vec::new();
        loop {
            let mut parser = HeadParser::new(Limits::default());
            let length = read_head(&mut stream, &mut parser, &mut buffer)?;
            let answer = parser.response(&buffer).map_err(bad_answer)?;
            let status = answer.status;
            if status < 200 {
                buffer.drain(..length);
                continue;
            }
            let framing = answer.framing(method == "HEAD").map_err(bad_answer)?;
            let kept = answer.keep_alive() && framing != Framing::Close;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let fields = answer.fields.iter();
            let fields = fields.map(|field| (text(field.name), text(field.value))).collect();
            let body = match framing {
                Framing::None | Framing::Length(0) => Remaining::Done,
                Framing::Length(length) => Remaining::Length(length),
                Framing::Chunked => Remaining::Chunks(ChunkDecoder::default()),
                Framing::Close => Remaining::Close,
            };
            let (http, server, stream) = (self, url.clone(), Some(stream));
            let mut response = Response {
                status,
                fields,
                http,
                server,
                stream,
                kept,
                buffer,
                position: length,
                body,
            };
            response.finish_when_done();
            return Ok(response);
        }
    }
}

/// A connection to the first address that answers.
fn open(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in box_sys::resolve::host(host)? {
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn handshake_trouble(error: io::Error) -> Trouble {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let plain = matches!(inner, Some(rustls::Error::InvalidMessage(_)))
        || matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
    if plain { Trouble::NotTls(error) } else { Trouble::Failed(error) }
}

fn bad_answer(reject: box_wire::http1::Reject) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reject.reason())
}

fn send(source: &mut dyn Read, length: u64, stream: &mut Stream) -> io::Result<()> {
    let mut left = length;
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = source.read(buffer.get_mut(..most).unwrap_or_default())?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        stream.write_all(buffer.get(..count).unwrap_or_default())?;
        left -= count as u64;
    }
    Ok(())
}

fn read_head(
    stream: &mut Stream,
    parser: &mut HeadParser,
    buffer: &mut Vec<u8>,
) -> io::Result<usize> {
    loop {
        if let Progress::Complete(length) = parser.advance(buffer).map_err(bad_answer)? {
            return Ok(length);
        }
        fill(stream, buffer)?;
    }
}

fn fill(stream: &mut Stream, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 16 * 1024];
    match stream.read(&mut chunk)? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended too early")),
        count => {
            buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
            Ok(())
        }
    }
}

impl Response<'_> {
    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The whole body, up to `most` bytes.
    pub fn bytes(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too large"));
        }
        Ok(bytes)
    }

    fn finish_when_done(&mut self) {
        if matches!(self.body, Remaining::Done)
            && let Some(stream) = self.stream.take()
            && self.kept
            && self.position == self.buffer.len()
            && let Ok(mut idle) = self.http.idle.lock()
            && idle.len() < IDLE_MAX
        {
            idle.push((self.server.clone(), stream));
        }
    }

    /// Reads what is buffered, else from the connection, at most `most` bytes.
    fn raw(&mut self, buffer: &mut [u8], most: u64) -> io::Result<usize> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
        let Some(room) = buffer.get_mut(..most) else { return Ok(0) };
        let held = self.buffer.get(self.position..).unwrap_or_default();
        if !held.is_empty() {
            let count = held.len().min(room.len());
            room[..count].copy_from_slice(&held[..count]);
            self.position += count;
            return Ok(count);
        }
        match &mut self.stream {
            Some(stream) => stream.read(room),
            None => Ok(0),
        }
    }

    fn chunked(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Remaining::Chunks(decoder) = &mut self.body else { return Ok(0) };
            let held = self.buffer.get(self.position..).unwrap_or_default();
            match decoder.step(held).map_err(bad_answer)? {
                ChunkStep::Framing(count) => self.position += count,
                ChunkStep::Trailer { len, .. } => self.position += len,
                ChunkStep::End(count) => {
                    self.position += count;
                    self.body = Remaining::Done;
                    return Ok(0);
                }
                ChunkStep::Data(count) if count > 0 => {
                    let count = count.min(buffer.len());
                    buffer[..count].copy_from_slice(&held[..count]);
                    decoder.took(count);
                    self.position += count;
                    return Ok(count);
                }
                ChunkStep::Data(_) | ChunkStep::Partial => {
                    self.buffer.drain(..self.position);
                    self.position = 0;
                    let Some(stream) = &mut self.stream else { return Ok(0) };
                    fill(stream, &mut self.buffer)?;
                }
            }
        }
    }
}

impl Read for Response<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = match self.body {
            Remaining::Done => 0,
            Remaining::Close => self.raw(buffer, u64::MAX)?,
            Remaining::Chunks(_) => self.chunked(buffer)?,
            Remaining::Length(left) => {
                let count = self.raw(buffer, left)?;
                if count == 0 {
                    let reason = "the connection ended too early";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
                }
                let left = left - count as u64;
                self.body = if left == 0 { Remaining::Done } else { Remaining::Length(left) };
                count
            }
        };
        self.finish_when_done();
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let url = Url::parse("https://a.example:5000/v2/x?n=1").unwrap();
        assert_eq!((url.tls, url.host.as_str(), url.port), (true, "a.example", 5000));
        assert_eq!(url.path, "/v2/x?n=1");
        assert_eq!(Url::parse("http://h").unwrap().path, "/");
        for text in ["ftp://h/", "https://", "//h", "https://h/a b", "https://u@h/"] {
            assert!(Url::parse(text).is_none(), "{text}");
        }
        let there = url.join("/v2/y").unwrap();
        assert!(there.same_server(&url));
        assert!(!url.join("https://b.example/").unwrap().same_server(&url));
        assert!(!url.join("http://a.example:5000/").unwrap().same_server(&url));
    }
}
