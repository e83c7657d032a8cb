//! Pipes of this thread for splicing: two descriptors each, so they are kept and shared out.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use box_sys::splice::Pipe;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Pipes kept for reuse, per thread.
const POOLED: usize = 32;

thread_local! {
    static POOL: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// A pipe between two sockets of this thread's runtime.
pub struct SocketPipe(Pipe);

/// Runs `work` with a pipe; one that is left empty goes back to the pool.
///
/// # Errors
/// No descriptors are left.
pub async fn with_pipe<T>(work: impl AsyncFnOnce(&mut SocketPipe) -> T) -> io::Result<T> {
    let pooled = POOL.with_borrow_mut(Vec::pop);
    let mut pipe = SocketPipe(match pooled {
        Some(pipe) => pipe,
        None => Pipe::new()?,
    });
    let result = work(&mut pipe).await;
    if pipe.0.held() == 0 {
        POOL.with_borrow_mut(|pool| {
            if pool.len() < POOLED {
                pool.push(pipe.0);
            }
        });
    }
    Ok(result)
}

impl SocketPipe {
    /// Moves bytes from a socket into the empty pipe: their number, 0 at the end.
    ///
    /// # Errors
    /// The kernel's.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        socket: Option<&TcpStream>,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let Some(socket) = socket else { return Poll::Ready(Ok(0)) };
        loop {
            ready!(socket.poll_read_ready(cx))?;
            let filled = socket.try_io(Interest::READABLE, || self.0.fill(socket.as_fd(), limit));
            match filled {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                filled => return Poll::Ready(filled),
            }
        }
    }

    /// Moves all bytes of the pipe to a socket.
    ///
    /// # Errors
    /// The kernel's.
    pub fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        socket: Option<&TcpStream>,
    ) -> Poll<io::Result<()>> {
        let Some(socket) = socket else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        while self.0.held() > 0 {
            ready!(socket.poll_write_ready(cx))?;
            let drained = socket.try_io(Interest::WRITABLE, || self.0.drain(socket.as_fd()));
            match drained {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                _ => {}
            }
        }
        Poll::Ready(Ok(()))
    }
}
