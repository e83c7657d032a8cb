//! The person's side of the attach socket: terminal and streams here, frames there.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use box_kit::Failure;
use box_sys::epoll::{Epoll, Events, Interest};
use box_sys::signal::{self, SigPipe};
use box_sys::signal_fd::SignalFd;
use box_sys::{pty, spawn};

use crate::foreground::PASSED_ON;
use crate::monitor::frame;

/// How to be attached.
pub struct Options {
    /// Standard input goes to the container.
    pub input: bool,
    /// The container has a terminal.
    pub terminal: bool,
    /// Keys that detach.
    pub keys: Vec<u8>,
    pub pass_signals: bool,
}

/// How it came to its end.
pub enum Attached {
    Ended(u8),
    Detached,
    Lost,
}

/// Docker's words for a terminal that is asked for where none is.
pub fn check_terminal(wanted: bool) -> Result<(), Failure> {
    if wanted && !io::stdin().is_terminal() {
        return Err(Failure::new("the input device is not a TTY"));
    }
    Ok(())
}

/// Parses `ctrl-p,ctrl-q`, or single letters.
pub fn detach_keys(text: Option<&str>) -> Result<Vec<u8>, Failure> {
    let mut keys = Vec::new();
    for word in text.unwrap_or("ctrl-p,ctrl-q").split(',').filter(|word| !word.is_empty()) {
        let key = match (word.strip_prefix("ctrl-"), word.as_bytes()) {
            (Some(letter), _) => match letter.as_bytes() {
                &[letter @ b'a'..=b'z'] => letter - b'a' + 1,
                b"@" => 0,
                b"[" => 27,
                b"\\" => 28,
                b"]" => 29,
                b"^" => 30,
                b"_" => 31,
                _ => return Err(bad_keys(word)),
            },
            (None, &[letter]) => letter,
            _ => return Err(bad_keys(word)),
        };
        keys.push(key);
    }
    Ok(keys)
}

fn bad_keys(word: &str) -> Failure {
    Failure::new(format!("unknown character: {word:?}")).about("--detach-keys")
}

/// Finds the detach keys in what is typed, also when they come one by one.
struct KeyWatch {
    keys: Vec<u8>,
    matched: usize,
}

impl KeyWatch {
    /// What goes to the container, and whether the keys were complete.
    fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len());
        for byte in typed {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (passed, true);
                }
                continue;
            }
            passed.extend_from_slice(self.keys.get(..self.matched).unwrap_or_default());
            self.matched = 0;
            if self.keys.first() == Some(byte) {
                self.matched = 1;
            } else {
                passed.push(*byte);
            }
        }
        (passed, false)
    }
}

const SOCKET: u64 = 0;
const INPUT: u64 = 1;
const SIGNALS: u64 = 2;

struct Attachment<'a> {
    socket: OwnedFd,
    options: &'a Options,
    watch: KeyWatch,
    received: Vec<u8>,
}

/// Relays until the end, which is not before the monitor has recorded it and cleaned up.
pub fn attach(socket: OwnedFd, options: &Options) -> Result<Attached, Failure> {
    // The monitor may end while we write: its last words are still to be read.
    signal::on_pipe_closed(SigPipe::Ignore)?;
    let stdin = io::stdin();
    let raw = match options.terminal && options.input && stdin.is_terminal() {
        true => Some(pty::Raw::enter(stdin.as_fd())?),
        false => None,
    };
    let keys = if options.terminal { options.keys.clone() } else { Vec::new() };
    let watch = KeyWatch { keys, matched: 0 };
    let mut attachment = Attachment { socket, options, watch, received: Vec::new() };
    let outcome = attachment.relay();
    drop(raw);
    let outcome = outcome?;
    if matches!(outcome, Attached::Ended(_)) {
        let mut rest = [0; 64];
        while spawn::read(attachment.socket.as_fd(), &mut rest).is_ok_and(|length| length > 0) {}
    }
    Ok(outcome)
}

impl Attachment<'_> {
    fn relay(&mut self) -> Result<Attached, Failure> {
        let epoll = Epoll::new()?;
        let mut events = Events::with_room(32);
        epoll.add(self.socket.as_fd(), SOCKET, Interest::READ)?;
        let wanted: &[i32] = if self.options.pass_signals { &PASSED_ON } else { &[libc::SIGWINCH] };
        let signals = SignalFd::catch(wanted)?;
        epoll.add(signals.as_fd(), SIGNALS, Interest::READ)?;
        self.send_size()?;
        let stdin = io::stdin();
        let mut always_ready = false;
        if self.options.input {
            // A regular file cannot be waited on: it can always be read.
            always_ready = epoll.add(stdin.as_fd(), INPUT, Interest::READ).is_err();
        }
        loop {
            let mut ready = Vec::new();
            let timeout = always_ready.then_some(std::time::Duration::ZERO);
            epoll.wait(&mut events, timeout)?;
            ready.extend(events.iter().map(|(key, _)| key));
            if always_ready {
                ready.push(INPUT);
            }
            for key in ready {
                match key {
                    SOCKET => {
                        if let Some(ended) = self.hear()? {
                            return Ok(ended);
                        }
                    }
                    INPUT => match self.typed(stdin.as_fd())? {
                        Typed::More => {}
                        Typed::Detach => return Ok(Attached::Detached),
                        Typed::End => {
                            if !always_ready {
                                epoll.remove(stdin.as_fd())?;
                            }
                            always_ready = false;
                        }
                    },
                    _ => {
                        while let Some(signal) = signals.take()? {
                            if signal == libc::SIGWINCH {
                                self.send_size()?;
                            } else {
                                self.send(frame::SIGNAL, &[signal as u8])?;
                            }
                        }
                    }
                }
            }
        }
    }

    fn send(&self, kind: u8, payload: &[u8]) -> Result<(), Failure> {
        // A monitor that is gone is noticed where its frames are read.
        let head = frame::head(kind, payload.len());
        let _ = write_all(self.socket.as_fd(), &head)
            .and_then(|()| write_all(self.socket.as_fd(), payload));
        Ok(())
    }

    fn send_size(&self) -> Result<(), Failure> {
        if !self.options.terminal {
            return Ok(());
        }
        let Ok(size) = pty::size(io::stdin().as_fd()) else { return Ok(()) };
        let [a, b] = size.columns.to_le_bytes();
        let [c, d] = size.rows.to_le_bytes();
        self.send(frame::RESIZE, &[a, b, c, d])
    }

    fn typed(&mut self, stdin: BorrowedFd<'_>) -> Result<Typed, Failure> {
        let mut buffer = [0u8; 32 * 1024];
        let length = spawn::read(stdin, &mut buffer).unwrap_or(0);
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            self.send(frame::INPUT_END, &[])?;
            return Ok(Typed::End);
        }
        if self.watch.keys.is_empty() {
            self.send(frame::INPUT, bytes)?;
            return Ok(Typed::More);
        }
        let (passed, detach) = self.watch.filter(bytes);
        if !passed.is_empty() {
            self.send(frame::INPUT, &passed)?;
        }
        Ok(if detach { Typed::Detach } else { Typed::More })
    }

    fn hear(&mut self) -> Result<Option<Attached>, Failure> {
        let mut buffer = [0u8; frame::PAYLOAD_MAX];
        let length = spawn::read(self.socket.as_fd(), &mut buffer).unwrap_or(0);
        if length == 0 {
            return Ok(Some(Attached::Lost));
        }
        self.received.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let received = std::mem::take(&mut self.received);
        let mut rest = &received[..];
        while let Ok(Some((kind, payload, length))) = frame::first(rest) {
            match (kind, payload) {
                (frame::OUTPUT, bytes) => write_all(io::stdout().as_fd(), bytes)?,
                (frame::ERROR, bytes) => write_all(io::stderr().as_fd(), bytes)?,
                (frame::EXIT, &[code]) => return Ok(Some(Attached::Ended(code))),
                _ => {}
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        self.received = rest.to_vec();
        Ok(None)
    }
}

enum Typed {
    More,
    End,
    Detach,
}

fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let put = spawn::write(file, bytes)?;
        bytes = bytes.get(put..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys_are_found_and_all_else_passed() {
        let mut watch = KeyWatch { keys: detach_keys(None).unwrap(), matched: 0 };
        assert_eq!(watch.filter(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(watch.filter(b"\x10"), (vec![], false));
        assert_eq!(watch.filter(b"x"), (b"\x10x".to_vec(), false));
        assert_eq!(watch.filter(b"\x10\x10\x11rest"), (b"\x10".to_vec(), true));
    }

    #[test]
    fn keys_have_names() {
        assert_eq!(detach_keys(Some("ctrl-a,x,ctrl-]")).unwrap(), [1, b'x', 29]);
        assert!(detach_keys(Some("ctrl-1")).is_err());
        assert!(detach_keys(Some("xy")).is_err());
    }
}
