//! One type for all transports, so that the HTTP engine and the relay are compiled once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::ReadAhead;
use crate::http2::H2Stream;
use crate::mux::MuxStream;

/// A connection of any kind.
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// A socket of the Unix domain.
    Unix(UnixStream),
    /// TLS that we accepted.
    ServerTls(Box<tokio_rustls::server::TlsStream<ReadAhead>>),
    /// TLS that we opened.
    ClientTls(Box<tokio_rustls::client::TlsStream<ReadAhead>>),
    /// A stream in a lane.
    Mux(MuxStream),
    /// A stream of HTTP/2.
    H2(H2Stream),
}

impl Stream {
    /// Breaks the connection so that the peer cannot take what it got for the whole.
    pub fn abort(self) {
        match self {
            Stream::Tcp(socket) => reset(&socket),
            Stream::ServerTls(tls) => {
                if let super::Raw::Tcp(socket) = &tls.get_ref().0.raw {
                    reset(socket);
                }
            }
            Stream::ClientTls(tls) => {
                if let super::Raw::Tcp(socket) = &tls.get_ref().0.raw {
                    reset(socket);
                }
            }
            Stream::Mux(mut stream) => stream.reset(),
            Stream::H2(mut stream) => stream.reset(),
            Stream::Unix(_) => {}
        }
    }

    /// The protocol that the TLS handshake chose, if there was one.
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Stream::ServerTls(tls) => tls.get_ref().1.alpn_protocol(),
            Stream::ClientTls(tls) => tls.get_ref().1.alpn_protocol(),
            _ => None,
        }
    }

    /// Whether it is one of many on a connection: it carries one request, and its direction ends
    /// with that.
    pub fn is_single(&self) -> bool {
        matches!(self, Stream::Mux(_) | Stream::H2(_))
    }

    /// Ready once a stream among many was broken off; never for a connection of its own.
    pub fn poll_broken(&self, cx: &Context<'_>) -> Poll<()> {
        match self {
            Stream::Mux(stream) => stream.poll_broken(cx),
            Stream::H2(stream) => stream.poll_broken(cx),
            _ => Poll::Pending,
        }
    }

    /// The TCP socket, if bytes go over it as they are.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Tcp(socket) => Some(socket),
            _ => None,
        }
    }
}

/// Closes with RST: zero linger.
fn reset(socket: &TcpStream) {
    let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
            Stream::ServerTls($inner) => $call,
            Stream::ClientTls($inner) => $call,
            Stream::Mux($inner) => $call,
            Stream::H2($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_read(cx, out))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, inner => inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(cx))
    }
}
