//! One blocking connection to a server: requests out, replies in.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use box_kit::exit::kernel_words;
use box_sys::poll::{self, Wanted};
use box_sys::{interrupt, resolve};
use box_wire::resp::{Reply, push_request};
use box_wire::resp_reply::{Broken, ReplyDecoder};

/// Bytes asked of the socket at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or address, and a port.
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    /// As prompts and messages show it: `127.0.0.1:6379`, `[::1]:6379`, `/run/redis.sock`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A server and how long to wait for it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: Address,
    /// Longest wait for the connection.
    pub timeout: Option<Duration>,
}

/// Why there is no reply.
#[derive(Debug)]
pub enum Lost {
    /// The server closed the connection.
    Closed,
    /// The kernel says so.
    Io(io::Error),
    /// The bytes are no RESP.
    Broken(Broken),
    /// Ctrl-C, where it is caught.
    Interrupted,
}

impl Lost {
    /// Whether a new connection may help: the server has gone away.
    pub fn is_hang_up(&self) -> bool {
        match self {
            Lost::Closed => true,
            Lost::Io(error) => {
                matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Lost::Closed => f.write_str("Server closed the connection"),
            Lost::Io(error) => f.write_str(&kernel_words(error)),
            Lost::Broken(broken) => broken.fmt(f),
            Lost::Interrupted => f.write_str("Interrupted"),
        }
    }
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    decoder: ReplyDecoder,
    request: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// The name is not known or no address of it answers; the error is of the last one tried.
    pub fn open(target: &Target) -> io::Result<Connection> {
        let stream = match &target.address {
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
            Address::Tcp { host, port } => Stream::Tcp(connect(host, *port, target.timeout)?),
        };
        Ok(Connection { stream, decoder: ReplyDecoder::default(), request: Vec::new() })
    }

    /// Sends one request.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<(), Lost> {
        let mut request = std::mem::take(&mut self.request);
        request.clear();
        push_request(&mut request, args.iter());
        let sent = self.send_raw(&request);
        self.request = request;
        sent
    }

    /// Sends bytes that are requests already.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
        .map_err(Lost::Io)
    }

    /// Sends what the socket takes of `bytes` at once.
    ///
    /// # Errors
    /// What the kernel says; `WouldBlock` if it takes nothing and does not block.
    pub fn send_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    /// Waits for the next reply or push.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn receive(&mut self) -> Result<Reply, Lost> {
        loop {
            if let Some(reply) = self.decoder.next_reply().map_err(Lost::Broken)? {
                return Ok(reply);
            }
            self.fill()?;
        }
    }

    /// Waits for the next reply, at most about `patience`.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn receive_within(&mut self, patience: Duration) -> Result<Option<Reply>, Lost> {
        loop {
            if let Some(reply) = self.decoder.next_reply().map_err(Lost::Broken)? {
                return Ok(Some(reply));
            }
            let ready = poll::wait(&mut [Wanted::read(self.as_fd())], Some(patience));
            if ready.map_err(Lost::Io)? == 0 {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Reads once and decodes nothing.
    fn fill(&mut self) -> Result<(), Lost> {
        let mut chunk = [0; CHUNK_BYTES];
        let length = self.receive_raw(&mut chunk)?;
        self.decoder.feed(chunk.get(..length).unwrap_or_default());
        Ok(())
    }

    /// The next reply if it has arrived. The socket is not waited for if it does not block.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn receive_ready(&mut self) -> Result<Option<Reply>, Lost> {
        match self.receive() {
            Ok(reply) => Ok(Some(reply)),
            Err(Lost::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(lost) => Err(lost),
        }
    }

    /// Waits for bytes behind the last reply; never returns 0.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn receive_raw(&mut self, chunk: &mut [u8]) -> Result<usize, Lost> {
        loop {
            let got = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(chunk),
                Stream::Unix(stream) => stream.read(chunk),
            };
            match got {
                Ok(0) => return Err(Lost::Closed),
                Ok(length) => return Ok(length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    if interrupt::is_pending() {
                        return Err(Lost::Interrupted);
                    }
                }
                Err(error) => return Err(Lost::Io(error)),
            }
        }
    }

    /// Bytes that have arrived behind the last reply and are no RESP.
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.decoder.take_rest()
    }

    /// Takes back bytes of [`Connection::take_rest`] that are RESP after all.
    pub fn give_back(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
    }

    /// Sends a request and waits for its reply; pushes in between are dropped.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Reply, Lost> {
        self.send(args)?;
        loop {
            match self.receive()? {
                Reply::Push(_) => {}
                reply => return Ok(reply),
            }
        }
    }

    /// Whether reads and writes return at once.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_nonblocking(on),
            Stream::Unix(stream) => stream.set_nonblocking(on),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

fn connect(host: &str, port: u16, timeout: Option<Duration>) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in resolve::host(host)? {
        let address = SocketAddr::new(address, port);
        let opened = match timeout {
            Some(timeout) => TcpStream::connect_timeout(&address, timeout),
            None => TcpStream::connect(address),
        };
        match opened {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
