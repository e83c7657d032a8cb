//! A connection to a server: requests out, replies in.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use box_wire::resp::{NotReply, Reply, push_request};

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection.
pub struct Connection {
    stream: Stream,
    input: Vec<u8>,
}

impl Connection {
    /// Connects by TCP.
    ///
    /// # Errors
    /// The name is not known, or nobody answers.
    pub fn tcp(host: &str, port: u16) -> io::Result<Connection> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for ip in box_sys::resolve::host(host)? {
            match TcpStream::connect((ip, port)) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Connection { stream: Stream::Tcp(stream), input: Vec::new() });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Connects to a socket of this machine.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn unix(path: &str) -> io::Result<Connection> {
        let stream = Stream::Unix(UnixStream::connect(path)?);
        Ok(Connection { stream, input: Vec::new() })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<()> {
        let mut bytes = Vec::new();
        push_request(&mut bytes, args.iter());
        self.write(&bytes)
    }

    /// The next reply.
    ///
    /// # Errors
    /// The connection is broken, or what comes is no reply.
    pub fn reply(&mut self) -> io::Result<Reply> {
        loop {
            match Reply::parse(&self.input) {
                Ok((reply, rest)) => {
                    let used = self.input.len() - rest.len();
                    self.input.drain(..used);
                    return Ok(reply);
                }
                Err(NotReply::Broken) => return Err(io::ErrorKind::InvalidData.into()),
                Err(NotReply::Incomplete) => self.fill()?,
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 64 * 1024];
        let count = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut chunk)?,
            Stream::Unix(stream) => stream.read(&mut chunk)?,
        };
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "Server closed the connection",
            ));
        }
        self.input.extend_from_slice(&chunk[..count]);
        Ok(())
    }

    /// Sends a request and gives its reply; push messages in front of it are left out.
    ///
    /// # Errors
    /// As [`Connection::reply`].
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Reply> {
        self.send(args)?;
        loop {
            match self.reply()? {
                Reply::Push(_) => {}
                reply => return Ok(reply),
            }
        }
    }
}
