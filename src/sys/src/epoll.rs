//! Readiness: epoll instances, and eventfds to wake a thread that waits on one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::check;

/// What a descriptor is watched for, and what it is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(u32);

impl Interest {
    /// Bytes, a connection or the end of the stream.
    pub const READ: Interest = Interest(libc::EPOLLIN as u32);
    /// Room to write.
    pub const WRITE: Interest = Interest(libc::EPOLLOUT as u32);
    /// Nothing: only errors and hang-ups are told.
    pub const NONE: Interest = Interest(0);

    /// Of what is asked for.
    pub fn of(read: bool, write: bool) -> Interest {
        let part = |on: bool, part: Interest| if on { part } else { Interest::NONE };
        part(read, Interest::READ).and(part(write, Interest::WRITE))
    }

    /// Both.
    pub fn and(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    /// Whether reading will not block: there are bytes, an error or the end.
    pub fn is_readable(self) -> bool {
        self.0 & (libc::EPOLLIN | libc::EPOLLERR | libc::EPOLLHUP) as u32 != 0
    }

    /// Whether writing will not block.
    pub fn is_writable(self) -> bool {
        self.0 & (libc::EPOLLOUT | libc::EPOLLERR | libc::EPOLLHUP) as u32 != 0
    }

    /// Whether the descriptor is broken or both ends are closed.
    pub fn is_hung_up(self) -> bool {
        self.0 & (libc::EPOLLERR | libc::EPOLLHUP) as u32 != 0
    }
}

/// An epoll instance, level-triggered.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    /// Makes one.
    ///
    /// # Errors
    /// The limits of open files are reached.
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: no memory is passed; the descriptor returned is ours alone.
        let fd = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Epoll { fd })
    }

    /// Watches `fd`; its events carry `token`.
    ///
    /// # Errors
    /// It is watched already, or cannot be.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    /// Changes what `fd` is watched for.
    ///
    /// # Errors
    /// It is not watched.
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    /// Stops watching `fd`. Closing its last descriptor does so too.
    ///
    /// # Errors
    /// It is not watched.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, Interest::NONE)
    }

    fn control(&self, op: i32, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.0, u64: token };
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open for the length of the call; `event` is a valid struct.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), op, fd, &raw mut event) }).map(drop)
    }

    /// Waits for events, at most `timeout` (for ever without one), and puts them in `events`.
    /// A signal ends the wait with no event.
    ///
    /// # Errors
    /// None that the kernel documents for a valid instance.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        // Rounded up: a wait that ends too early would spin until its time has come.
        let ms = timeout
            .map_or(-1, |t| i32::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
        let room = events.list.capacity() as i32;
        events.list.clear();
        // SAFETY: the kernel writes at most `room` events, for which the vector has capacity.
        let ready =
            unsafe { libc::epoll_wait(self.fd.as_raw_fd(), events.list.as_mut_ptr(), room, ms) };
        match check(ready) {
            // SAFETY: the kernel has written `ready` events.
            Ok(ready) => unsafe { events.list.set_len(ready as usize) },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Room for events.
pub struct Events {
    list: Vec<libc::epoll_event>,
}

impl Events {
    /// Room for `count` of them at a time.
    pub fn with_room(count: usize) -> Events {
        Events { list: Vec::with_capacity(count.max(1)) }
    }

    /// Token and readiness of each.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Interest)> + '_ {
        self.list.iter().map(|event| (event.u64, Interest(event.events)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// An eventfd: any thread rings, the one whose epoll watches it wakes.
#[derive(Debug)]
pub struct Bell {
    fd: OwnedFd,
}

impl Bell {
    /// Makes one.
    ///
    /// # Errors
    /// The limits of open files are reached.
    pub fn new() -> io::Result<Bell> {
        let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
        // SAFETY: no memory is passed; the descriptor returned is ours alone.
        let fd = unsafe { OwnedFd::from_raw_fd(check(libc::eventfd(0, flags))?) };
        Ok(Bell { fd })
    }

    /// Wakes the waiter. A bell that rings already stays ringing.
    pub fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight readable bytes are passed. The only failure is EAGAIN at the counter's
        // limit, and then the waiter is woken anyway.
        unsafe { libc::write(self.fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Silences it.
    pub fn silence(&self) {
        let mut count = [0u8; 8];
        // SAFETY: eight writable bytes are passed. EAGAIN means that it did not ring.
        unsafe { libc::read(self.fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_wakes_and_is_silenced() {
        let (epoll, bell) = (Epoll::new().unwrap(), Bell::new().unwrap());
        epoll.add(&bell, 7, Interest::READ).unwrap();
        let mut events = Events::with_room(4);
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty());
        bell.ring();
        bell.ring();
        epoll.wait(&mut events, None).unwrap();
        assert_eq!(events.iter().map(|(token, _)| token).collect::<Vec<_>>(), [7]);
        bell.silence();
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty());
    }
}
