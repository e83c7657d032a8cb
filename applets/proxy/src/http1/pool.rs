//! Upstreams that are sockets: how they are dialled, and their idle connections.
//!
//! A pool belongs to one thread, and a connection that carries a byte or an end while idle is
//! thrown away: an answer that nobody asked for would go to the wrong visitor.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use box_wire::proxy_protocol::{Ends, write_v1, write_v2};
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::{Failed, Visitor};
use crate::http2::{Connection, Side};
use crate::io::{Buffer, Conn, Raw, ReadAhead, Stream};

/// Idle connections kept per target and thread.
const MAX_IDLE: usize = 256;
/// After this time an idle connection is not used again: servers close theirs after 60 s or more,
/// the shortest common one (Node) after 5.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);
/// A connection must stand within this time.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The kind of socket that a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// Host (name or address) and port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// A service that requests are forwarded to.
pub struct Target {
    /// Where it listens.
    pub kind: TargetKind,
    /// How it is shown to people: `localhost:3000`.
    pub name: String,
    /// TLS towards it, with the name its certificate must have.
    pub tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    /// It speaks HTTP/2: known beforehand, not asked for by an upgrade.
    http2: bool,
    /// It is told in a PROXY header of this version whom a connection is for.
    proxy_protocol: Option<u8>,
    /// The connection of HTTP/2 that new streams are opened on.
    shared: RefCell<Option<Rc<Connection>>>,
    idle: RefCell<Vec<(Conn, Instant)>>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.name)
    }
}

impl Target {
    /// A target without connections.
    pub fn new(
        kind: TargetKind,
        name: String,
        tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    ) -> Target {
        let (shared, idle) = (RefCell::default(), RefCell::default());
        Target { kind, name, tls, http2: false, proxy_protocol: None, shared, idle }
    }

    /// The same, spoken to in HTTP/2.
    #[must_use]
    pub fn with_http2(mut self, http2: bool) -> Target {
        self.http2 = http2;
        self
    }

    /// The same, told whom each connection is for.
    #[must_use]
    pub fn with_proxy_protocol(mut self, version: Option<u8>) -> Target {
        self.proxy_protocol = version;
        self
    }

    /// A connection, and whether it is one that has been used before; `fresh`: it must not be.
    ///
    /// # Errors
    /// Why there is none, in words for an error page.
    pub async fn open(&self, visitor: &Visitor, fresh: bool) -> Result<(Conn, bool), Failed> {
        if self.proxy_protocol.is_some() {
            return self.dial(visitor.client).await.map(|conn| (conn, false));
        }
        if self.http2 {
            return self.stream(visitor.client, fresh).await;
        }
        match self.take_idle() {
            Some(conn) if !fresh => Ok((conn, true)),
            _ => self.dial(visitor.client).await.map(|conn| (conn, false)),
        }
    }

    /// A stream of the shared connection, which is dialled when there is none that takes more.
    async fn stream(&self, client: SocketAddr, fresh: bool) -> Result<(Conn, bool), Failed> {
        let shared = self.shared.borrow().clone().filter(|_| !fresh);
        if let Some(stream) = shared.and_then(|connection| connection.open()) {
            return Ok((Conn::new(Stream::H2(stream), Buffer::default()), true));
        }
        let conn = self.dial(client).await?;
        if conn.stream.alpn().is_some_and(|chosen| chosen != crate::http2::ALPN) {
            return Err(self.unreachable(&io::Error::other("it does not speak HTTP/2")));
        }
        let (connection, _, driver) = Connection::start(conn, Side::Client);
        tokio::task::spawn_local(driver);
        let stream = connection.open();
        self.shared.replace(Some(connection));
        match stream {
            Some(stream) => Ok((Conn::new(Stream::H2(stream), Buffer::default()), false)),
            None => Err(self.unreachable(&io::ErrorKind::ConnectionAborted.into())),
        }
    }

    /// An idle connection that is still good.
    fn take_idle(&self) -> Option<Conn> {
        loop {
            let (mut conn, since) = self.idle.borrow_mut().pop()?;
            if since.elapsed() > MAX_IDLE_TIME {
                self.idle.borrow_mut().clear();
                return None;
            }
            let mut nobody = Context::from_waker(Waker::noop());
            if conn.poll_fill(&mut nobody).is_pending() {
                return Some(conn);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub fn keep(&self, conn: Conn) {
        if conn.stream.is_single() || self.proxy_protocol.is_some() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() == MAX_IDLE {
            idle.remove(0);
        }
        idle.push((conn, Instant::now()));
    }

    /// A new connection on behalf of `client`.
    ///
    /// # Errors
    /// Why there is none, in words for an error page.
    pub async fn dial(&self, client: SocketAddr) -> Result<Conn, Failed> {
        match tokio::time::timeout(DIAL_TIMEOUT, self.connect(client)).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(_) => Err(self.unreachable(&io::ErrorKind::TimedOut.into())),
        }
    }

    async fn connect(&self, client: SocketAddr) -> io::Result<Conn> {
        let mut raw = match &self.kind {
            TargetKind::Unix(path) => Raw::Unix(UnixStream::connect(path).await?),
            TargetKind::Tcp(host, port) => Raw::Tcp(connect(host, *port).await?),
        };
        if let Some(version) = self.proxy_protocol {
            introduce(&mut raw, version, client).await?;
        }
        let stream = match (&self.tls, raw) {
            (Some((config, name)), raw) => {
                let connector = TlsConnector::from(config.clone());
                let tls = connector.connect(name.clone(), ReadAhead::new(raw)).await?;
                Stream::ClientTls(Box::new(tls))
            }
            (None, Raw::Tcp(socket)) => Stream::Tcp(socket),
            (None, Raw::Unix(socket)) => Stream::Unix(socket),
        };
        Ok(Conn::new(stream, Buffer::default()))
    }

    fn unreachable(&self, error: &io::Error) -> Failed {
        let name = &self.name;
        let words = box_kit::exit::kernel_words(error).to_lowercase();
        let (status, code, advice) = match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                let advice =
                    format!("Nothing listens there. Start the service on {name}, then reload.");
                (502, 201, advice)
            }
            io::ErrorKind::TimedOut => {
                (504, 202, format!("{name} does not answer. Is it behind a firewall, or stopped?"))
            }
            io::ErrorKind::InvalidData => {
                let advice = format!(
                    "The certificate of {name} is not accepted: --upstream-tls-verify=false skips the check."
                );
                (502, 203, advice)
            }
            _ => (502, 204, format!("{name} could not be reached.")),
        };
        Failed { status, code, reason: format!("no service on {name} ({words})"), advice }
    }
}

/// Sends a PROXY header: whom the connection is for, and the address of the service itself as the
/// one that the client wanted.
async fn introduce(raw: &mut Raw, version: u8, client: SocketAddr) -> io::Result<()> {
    let peer = match raw {
        Raw::Tcp(socket) => socket.peer_addr()?,
        Raw::Unix(_) => SocketAddr::new(client.ip(), 0),
    };
    // Both must be of one family: IPv4 is written as IPv6 where they are not.
    let (source, destination) = match (client.ip(), peer.ip()) {
        (IpAddr::V4(a), IpAddr::V6(_)) => {
            (SocketAddr::new(a.to_ipv6_mapped().into(), client.port()), peer)
        }
        (IpAddr::V6(_), IpAddr::V4(b)) => {
            (client, SocketAddr::new(b.to_ipv6_mapped().into(), peer.port()))
        }
        _ => (client, peer),
    };
    let mut header = Vec::with_capacity(64);
    let ends = Ends { source, destination };
    if version == 1 {
        write_v1(&mut header, ends)
    } else {
        write_v2(&mut header, ends)
    }
    match raw {
        Raw::Tcp(socket) => socket.write_all(&header).await,
        Raw::Unix(socket) => socket.write_all(&header).await,
    }
}

/// Connects to a host by name or address, trying all its addresses in turn.
///
/// # Errors
/// That of the last address, or of the name.
pub async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses(host).await? {
        match TcpStream::connect(SocketAddr::new(address, port)).await {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Names are resolved at each dial: a container that came back has another address.
async fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return Ok(vec![address]);
    }
    // Development servers listen on either of the two, seldom on both.
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]);
    }
    let host = host.to_owned();
    let lookup = tokio::task::spawn_blocking(move || box_sys::resolve::host(&host));
    lookup.await.map_err(io::Error::other)?
}
