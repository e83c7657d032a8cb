//! Bytes from socket to socket through a pipe, without a copy to user space (splice(2)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// What a pipe is asked to hold: the most that an unprivileged user may have.
const PIPE_BYTES: libc::c_int = 1 << 20;

/// A pipe that knows how much it holds: so that `EAGAIN` has one meaning only.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
    size: usize,
}

impl Pipe {
    /// An empty pipe, as large as the kernel gives it.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> io::Result<Pipe> {
        let mut ends = [0; 2];
        // SAFETY: the kernel writes two descriptors into the array, which lives long enough.
        check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
        // SAFETY: both were just made and belong to nobody else.
        let (read, write) =
            unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        // SAFETY: F_SETPIPE_SZ takes a number; the descriptor is open.
        let size = unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
        // Past the user's limit of pipe memory the size stays at its default.
        let size = usize::try_from(size).unwrap_or(64 << 10);
        Ok(Pipe { read, write, held: 0, size })
    }

    /// Bytes in it.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Moves at most `limit` bytes from a socket into the empty pipe: their number, 0 at the end.
    ///
    /// # Errors
    /// The kernel's; `WouldBlock` when the socket has nothing.
    pub fn fill(&mut self, socket: BorrowedFd<'_>, limit: usize) -> io::Result<usize> {
        let count = splice(socket.as_raw_fd(), self.write.as_raw_fd(), limit.min(self.size))?;
        self.held += count;
        Ok(count)
    }

    /// Moves bytes out of the pipe to a socket: their number.
    ///
    /// # Errors
    /// The kernel's; `WouldBlock` when the socket takes nothing.
    pub fn drain(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let count = splice(self.read.as_raw_fd(), socket.as_raw_fd(), self.held)?;
        self.held -= count.min(self.held);
        Ok(count)
    }
}

fn splice(from: i32, to: i32, count: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    loop {
        // SAFETY: no memory of ours is passed; both descriptors are open for the length of the call.
        let moved = unsafe {
            libc::splice(from, std::ptr::null_mut(), to, std::ptr::null_mut(), count, flags)
        };
        match usize::try_from(moved) {
            Ok(moved) => return Ok(moved),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn bytes_go_from_socket_to_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let pair = || {
            let address = listener.local_addr().expect("bound");
            let near = TcpStream::connect(address).expect("connected");
            (near, listener.accept().expect("accepted").0)
        };
        let ((mut sender, source), (sink, mut receiver)) = (pair(), pair());
        sender.write_all(b"hello").expect("sent");
        let mut pipe = Pipe::new().expect("a pipe");
        assert_eq!(pipe.fill(source.as_fd(), 5).expect("filled"), 5);
        assert_eq!(pipe.held(), 5);
        assert_eq!(pipe.drain(sink.as_fd()).expect("drained"), 5);
        let mut bytes = [0; 5];
        receiver.read_exact(&mut bytes).expect("received");
        assert_eq!(&bytes, b"hello");
        drop(sender);
        assert_eq!(pipe.fill(source.as_fd(), 5).expect("the end"), 0);
    }
}
