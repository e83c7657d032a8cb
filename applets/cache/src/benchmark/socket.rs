//! One client: a socket that does not block, and what of its pipeline is under way.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use box_wire::resp_reply::{Broken, ReplySkipper, Skipped};

use super::workload::Template;

/// Where the server listens, with its name resolved once for all clients.
#[derive(Clone, Debug)]
pub enum Place {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A client.
pub struct Socket {
    stream: Stream,
    /// Its requests; the numbers in them are its own.
    pub template: Template,
    skipper: ReplySkipper,
    /// The begin of a line whose rest has not arrived.
    carry: Vec<u8>,
    /// Requests of the pipeline under way.
    pub batch: usize,
    /// Bytes of it that the kernel has taken.
    sent: usize,
    /// Replies that are still due.
    pub due: usize,
    /// When it was sent, or was to be sent, in nanoseconds of the run.
    pub begun_ns: u64,
    /// Replies of the greeting that come first and do not count.
    greeting: usize,
    /// Whether epoll watches for room to write.
    pub wants_room: bool,
}

/// What arrived.
#[derive(Debug, Default)]
pub struct Arrived {
    /// Replies that were waited for.
    pub replies: usize,
    /// The text of the last error among them.
    pub error: Option<String>,
    /// Errors among them.
    pub errors: u64,
}

/// Why a client cannot go on.
#[derive(Debug)]
pub enum Trouble {
    /// The server closed the connection.
    Closed,
    /// The kernel says so.
    Io(io::Error),
    /// The replies are no RESP.
    Broken(Broken),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Io(error)
    }
}

impl Socket {
    /// Connects and sends the greeting, whose replies are skipped later.
    ///
    /// # Errors
    /// The server is not there.
    pub fn open(
        place: &Place,
        greeting: &(Vec<u8>, usize),
        template: Template,
    ) -> io::Result<Socket> {
        let mut stream = match place {
            Place::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Place::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
        };
        match &mut stream {
            Stream::Tcp(stream) => {
                stream.write_all(&greeting.0)?;
                stream.set_nonblocking(true)?;
            }
            Stream::Unix(stream) => {
                stream.write_all(&greeting.0)?;
                stream.set_nonblocking(true)?;
            }
        }
        Ok(Socket {
            stream,
            template,
            skipper: ReplySkipper::default(),
            carry: Vec::new(),
            batch: 0,
            sent: 0,
            due: 0,
            begun_ns: 0,
            greeting: greeting.1,
            wants_room: false,
        })
    }

    /// Begins to send `count` requests; their time counts from `begun_ns`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn begin(&mut self, count: usize, begun_ns: u64) -> Result<(), Trouble> {
        (self.batch, self.due, self.sent, self.begun_ns) = (count, count, 0, begun_ns);
        self.send()
    }

    /// Sends what is left of the pipeline, as far as the kernel takes it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn send(&mut self) -> Result<(), Trouble> {
        loop {
            let rest = self.template.requests(self.batch).get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            let sent = match &mut self.stream {
                Stream::Tcp(stream) => stream.write(rest),
                Stream::Unix(stream) => stream.write(rest),
            };
            match sent {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether requests wait for room in the socket.
    pub fn is_stuck(&self) -> bool {
        self.sent < self.template.requests(self.batch).len()
    }

    /// Reads what has arrived, through `buffer`, which all clients of a thread share.
    ///
    /// # Errors
    /// The connection is closed or broken.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Arrived, Trouble> {
        let held = self.carry.len();
        let Some(room) = buffer.get_mut(held..).filter(|room| !room.is_empty()) else {
            return Err(Trouble::Broken(Broken("a line is too long".into())));
        };
        let got = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(room),
            Stream::Unix(stream) => stream.read(room),
        };
        let length = match got {
            Ok(0) => return Err(Trouble::Closed),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(Arrived::default());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Arrived::default());
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(front) = buffer.get_mut(..held) {
            front.copy_from_slice(&self.carry);
            self.carry.clear();
        }
        self.count(buffer.get(..held + length).unwrap_or_default())
    }

    fn count(&mut self, mut input: &[u8]) -> Result<Arrived, Trouble> {
        let mut arrived = Arrived::default();
        while !input.is_empty() {
            let push = input.first() == Some(&b'>');
            let (length, done) = match self.skipper.skip(input).map_err(Trouble::Broken)? {
                Skipped::Reply { length, error } => {
                    if error {
                        let line = input.get(1..length).unwrap_or_default();
                        arrived.error = Some(
                            String::from_utf8_lossy(line.strip_suffix(b"\r\n").unwrap_or(line))
                                .into(),
                        );
                        arrived.errors += 1;
                    }
                    if self.greeting > 0 && !push {
                        self.greeting -= 1;
                    } else if !push {
                        arrived.replies += 1;
                    }
                    (length, false)
                }
                Skipped::More { length } => (length, true),
            };
            input = input.get(length..).unwrap_or_default();
            if done {
                self.carry.extend_from_slice(input);
                break;
            }
        }
        // Replies that nobody asked for would let the next pipeline end early.
        arrived.replies = arrived.replies.min(self.due);
        self.due -= arrived.replies;
        Ok(arrived)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}
