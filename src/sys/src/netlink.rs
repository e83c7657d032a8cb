//! Netlink sockets and messages (netlink(7)): built in place on the stack, so that they can be used
//! between clone and exec.
//!
//! ```text
//! length u32 | type u16 | flags u16 | sequence u32 | port u32 | family header | attributes
//! attribute: length u16 | type u16 | value | padding to 4
//! ```

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::check;

/// It is a request.
pub const REQUEST: u16 = 0x1;
/// An answer is wanted even for success.
pub const ACK: u16 = 0x4;
/// Fail when the object is there.
pub const EXCLUSIVE: u16 = 0x200;
/// Make the object.
pub const CREATE: u16 = 0x400;

/// Marks an attribute that holds attributes.
const NESTED: u16 = 0x8000;
/// Room of a message. Ours are small: a rule of ten expressions takes some 600 bytes.
const MESSAGE_MAX: usize = 2048;
const HEADER: usize = 16;

/// A message under construction. What does not fit makes [`Message::bytes`] empty, which the kernel
/// is never sent.
#[derive(Clone)]
pub struct Message {
    bytes: [u8; MESSAGE_MAX],
    length: usize,
    overflow: bool,
}

/// The start of an attribute that holds attributes.
#[derive(Clone, Copy)]
pub struct Nest(usize);

impl Message {
    /// An empty message of this type with these flags.
    pub fn new(kind: u16, flags: u16, sequence: u32) -> Message {
        let mut message = Message { bytes: [0; MESSAGE_MAX], length: 0, overflow: false };
        message.raw(&[0; 4]);
        message.raw(&kind.to_ne_bytes());
        message.raw(&flags.to_ne_bytes());
        message.raw(&sequence.to_ne_bytes());
        message.raw(&[0; 4]);
        message
    }

    /// Appends bytes as they are: a family's header.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Message {
        match self.bytes.get_mut(self.length..self.length + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => self.overflow = true,
        }
        self
    }

    /// Appends an attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Message {
        self.raw(&((4 + value.len()) as u16).to_ne_bytes());
        self.raw(&kind.to_ne_bytes());
        self.raw(value);
        self.pad()
    }

    /// Appends a string attribute with its NUL byte.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Message {
        self.raw(&((5 + value.len()) as u16).to_ne_bytes());
        self.raw(&kind.to_ne_bytes());
        self.raw(value.as_bytes());
        self.raw(&[0]);
        self.pad()
    }

    /// Appends a number in the machine's byte order, as rtnetlink has them.
    pub fn number(&mut self, kind: u16, value: u32) -> &mut Message {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends a number in network byte order, as nfnetlink has them.
    pub fn network_number(&mut self, kind: u16, value: u32) -> &mut Message {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Starts an attribute that holds what is appended until [`Message::end`].
    pub fn begin(&mut self, kind: u16) -> Nest {
        let start = self.length;
        self.raw(&[0; 2]);
        self.raw(&(kind | NESTED).to_ne_bytes());
        Nest(start)
    }

    /// Ends a nested attribute.
    pub fn end(&mut self, nest: Nest) -> &mut Message {
        let length = (self.length - nest.0) as u16;
        if let Some(place) = self.bytes.get_mut(nest.0..nest.0 + 2) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
        self
    }

    fn pad(&mut self) -> &mut Message {
        let padding = self.length.next_multiple_of(4) - self.length;
        self.raw(&[0; 3][..padding])
    }

    /// The finished message.
    pub fn bytes(&mut self) -> &[u8] {
        if self.overflow {
            return &[];
        }
        let length = (self.length as u32).to_ne_bytes();
        self.bytes[..4].copy_from_slice(&length);
        &self.bytes[..self.length]
    }
}

/// A netlink socket.
#[derive(Debug)]
pub struct Socket {
    socket: OwnedFd,
}

/// Room for an answer.
const ANSWER_MAX: usize = 8192;

impl Socket {
    /// Opens one of a family such as `NETLINK_ROUTE` (0) or `NETLINK_NETFILTER` (12), in the
    /// network namespace of the caller.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` when the kernel does not have the family.
    pub fn open(family: i32) -> io::Result<Socket> {
        // SAFETY: no memory is passed.
        let fd = check(unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, family)
        })?;
        // SAFETY: the kernel has just returned a new descriptor that nobody else owns.
        Ok(Socket { socket: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Sends bytes: one message or more.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        // SAFETY: the slice is readable for its length.
        let sent =
            unsafe { libc::send(self.socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Reads answers until the acknowledgement of message `sequence`, or any refusal, and calls
    /// `each` with type and body of what comes before it.
    ///
    /// # Errors
    /// The kernel's refusal of a message.
    pub fn await_ack(&self, sequence: u32, mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
        let mut buffer = [0u8; ANSWER_MAX];
        loop {
            // SAFETY: the buffer is writable for its length.
            let got = unsafe {
                libc::recv(self.socket.as_raw_fd(), buffer.as_mut_ptr().cast(), ANSWER_MAX, 0)
            };
            let Ok(got) = usize::try_from(got) else {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            };
            let mut rest = buffer.get(..got).unwrap_or_default();
            while let Some(header) = rest.get(..HEADER) {
                let length = word(header, 0) as usize;
                let kind = (word(header, 4) & 0xffff) as u16;
                let Some(body) = rest.get(HEADER..length) else { break };
                if kind == libc::NLMSG_ERROR as u16 {
                    match word(body, 0) as i32 {
                        0 if word(header, 8) == sequence => return Ok(()),
                        0 => {}
                        errno => return Err(io::Error::from_raw_os_error(-errno)),
                    }
                } else {
                    each(kind, body);
                }
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }

    /// Sends one message that asks for an acknowledgement, and waits for it.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn request(&self, message: &mut Message) -> io::Result<()> {
        let sequence = word(&message.bytes, 8);
        self.send(message.bytes())?;
        self.await_ack(sequence, |_, _| {})
    }
}

/// A number of the machine's byte order at an offset; 0 behind the end.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => u32::from_ne_bytes([a, b, c, d]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_filled_in_and_values_padded() {
        let mut message = Message::new(18, REQUEST, 7);
        let nest = message.begin(18);
        message.text(1, "veth");
        message.end(nest);
        let bytes = message.bytes();
        assert_eq!(word(bytes, 0), 16 + 4 + 12);
        assert_eq!(bytes[16..20], [16, 0, 18, 0x80]);
        assert_eq!(bytes[20..], [9, 0, 1, 0, b'v', b'e', b't', b'h', 0, 0, 0, 0]);
    }

    #[test]
    fn what_does_not_fit_is_not_sent() {
        let mut message = Message::new(18, REQUEST, 7);
        message.attribute(1, &[0; MESSAGE_MAX]);
        assert!(message.bytes().is_empty());
    }
}
