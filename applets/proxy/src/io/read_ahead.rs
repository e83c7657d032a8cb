//! A socket below TLS: reads ahead in large pieces, and gives back what was read to route by.
//!
//! rustls reads records in steps of 4 KiB; with this in between, a 64 KiB burst is one system call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::Buffer;

/// A socket of the kernel.
#[derive(Debug)]
pub enum Raw {
    /// TCP.
    Tcp(TcpStream),
    /// A socket of the Unix domain.
    Unix(UnixStream),
}

/// A socket with what was read from it in advance.
#[derive(Debug)]
pub struct ReadAhead {
    /// The socket.
    pub raw: Raw,
    /// What has been read and not been asked for.
    pub buffer: Buffer,
}

impl ReadAhead {
    /// A socket from which nothing was read yet.
    pub fn new(raw: Raw) -> ReadAhead {
        ReadAhead { raw, buffer: Buffer::default() }
    }

    /// Reads what is there into the buffer: the number of bytes, 0 at the end.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(self.buffer.room());
        let read = match &mut self.raw {
            Raw::Tcp(socket) => Pin::new(socket).poll_read(cx, &mut room),
            Raw::Unix(socket) => Pin::new(socket).poll_read(cx, &mut room),
        };
        let count = room.filled().len();
        self.buffer.filled(count);
        read.map_ok(|()| count)
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.buffer.is_empty() {
            ready!(self.poll_fill(cx))?;
        }
        let data = self.buffer.data();
        let count = data.len().min(out.remaining());
        out.put_slice(&data[..count]);
        self.buffer.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ReadAhead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.raw {
            Raw::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Raw::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.raw {
            Raw::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, pieces),
            Raw::Unix(socket) => Pin::new(socket).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.raw {
            Raw::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Raw::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}
