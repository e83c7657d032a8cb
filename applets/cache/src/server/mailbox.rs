//! What workers tell each other: a queue for each, and a bell to wake its owner.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use box_sys::epoll::Bell;

use super::tls::TlsStream;

/// A connection's socket.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// Unix domain.
    Unix(UnixStream),
    /// TLS over TCP.
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Whether bytes have come that no event will tell of.
    pub fn has_more(&self) -> bool {
        matches!(self, Stream::Tls(stream) if stream.has_more())
    }

    /// Whether bytes that were taken have not been sent.
    pub fn is_owing(&self) -> bool {
        matches!(self, Stream::Tls(stream) if stream.is_owing())
    }

    /// The TCP socket, if it is over one.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Tcp(stream) => Some(stream),
            Stream::Tls(stream) => Some(&stream.socket),
            Stream::Unix(_) => None,
        }
    }
}

/// A message to a worker.
pub enum Message {
    /// A new connection is yours.
    Connection(Stream),
    /// Write these bytes to a client.
    Deliver(u64, Arc<[u8]>),
    /// A blocked client has been served: write its reply and go on with its requests.
    Served(u64, Vec<u8>),
    /// The replication stream has grown.
    Feed,
    /// Close a client's connection.
    Kill(u64),
    /// The pause is over: go on with all clients.
    Resume,
    /// End.
    Stop,
}

/// A worker's queue.
pub struct Mailbox {
    queue: Mutex<Vec<Message>>,
    /// Whether the worker sleeps, or is about to: then the bell must be rung.
    sleeping: AtomicBool,
    /// Wakes the worker.
    pub bell: Bell,
}

impl Mailbox {
    /// An empty one.
    ///
    /// # Errors
    /// The limits of open files are reached.
    pub fn new() -> io::Result<Mailbox> {
        Ok(Mailbox {
            queue: Mutex::new(Vec::new()),
            sleeping: AtomicBool::new(false),
            bell: Bell::new()?,
        })
    }

    /// Leaves a message.
    pub fn post(&self, message: Message) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        if self.sleeping.swap(false, Ordering::SeqCst) {
            self.bell.ring();
        }
    }

    /// All messages left so far.
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The worker is about to sleep: whether it may, as there is no message.
    pub fn may_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        let empty = self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if !empty {
            self.sleeping.store(false, Ordering::SeqCst);
        }
        empty
    }

    /// The worker is awake.
    pub fn awake(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }
}
