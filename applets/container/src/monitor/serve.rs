//! The monitor's loop: output to the log and to who is attached, their input to the container,
//! until it has ended.
//!
//! Nothing grows without bound: output is not read while a client has [`PENDING_MAX`] bytes
//! waiting, and clients are not read while the container has as many waiting.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use box_sys::epoll::{Epoll, Events, Interest};
use box_sys::file;
use box_sys::pidfd::{self, Ended};
use box_sys::signal_fd::SignalFd;
use box_sys::{pty, spawn};

use super::Running;
use super::frame;
use super::log::Log;
use crate::engine::container::Container;

const PENDING_MAX: usize = 1 << 20;
/// More than this many at once are turned away.
const CLIENTS_MAX: usize = 64;
/// How long output may still come after the end: a process that has left the container's namespace
/// could hold the pipe open for ever.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// How long a client may take to read the last of it.
const FLUSH_MAX: Duration = Duration::from_secs(5);

const PROCESS: u64 = 0;
const LISTENER: u64 = 1;
const OUTPUT: u64 = 2;
const ERROR: u64 = 3;
const INPUT: u64 = 4;
const SIGNALS: u64 = 5;
const CLIENT: u64 = 16;

struct Client {
    number: u64,
    socket: UnixStream,
    received: Vec<u8>,
    pending: Vec<u8>,
    /// What of `pending` has been sent.
    sent: usize,
    gone: bool,
    /// What it is waited on for.
    interest: Interest,
}

impl Client {
    fn backlog(&self) -> usize {
        self.pending.len() - self.sent
    }

    fn queue(&mut self, kind: u8, payload: &[u8]) {
        self.pending.extend_from_slice(&frame::head(kind, payload.len()));
        self.pending.extend_from_slice(payload);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(rest) = self.pending.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(put) => self.sent += put,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
        self.pending.clear();
        self.sent = 0;
    }
}

/// Clients and log, for all runs of a container.
pub struct Server {
    listener: UnixListener,
    clients: Vec<Client>,
    next_number: u64,
    log: Log,
    /// Input for the container that it has not taken yet.
    input: Vec<u8>,
    input_ends: bool,
    /// Input ends with the client that gave it, unless the terminal stays.
    ends_with_client: bool,
}

impl Server {
    pub fn new(
        listener: UnixListener,
        client: Option<UnixStream>,
        container: &Container,
    ) -> Server {
        let mut server = Server {
            listener,
            clients: Vec::new(),
            next_number: CLIENT,
            log: Log::open(container),
            input: Vec::new(),
            input_ends: false,
            ends_with_client: !container.config.tty,
        };
        let _ = server.listener.set_nonblocking(true);
        if let Some(client) = client {
            server.take(client);
        }
        server
    }

    fn take(&mut self, socket: UnixStream) {
        if self.clients.len() >= CLIENTS_MAX || socket.set_nonblocking(true).is_err() {
            return;
        }
        self.next_number += 1;
        self.clients.push(Client {
            number: self.next_number,
            socket,
            received: Vec::new(),
            pending: Vec::new(),
            sent: 0,
            gone: false,
            interest: Interest::NONE,
        });
    }

    /// Serves until the container has ended. Trouble of the loop itself ends the container: a
    /// monitor that cannot watch must not let it run unwatched.
    pub fn until_end(&mut self, running: Running) -> Ended {
        let process = running.child.process.try_clone();
        let outcome = self.serve(running);
        self.log.close();
        outcome.unwrap_or_else(|_| {
            let Ok(process) = process else { return Ended::Signaled(libc::SIGKILL) };
            let _ = pidfd::send_signal(process.as_fd(), libc::SIGKILL);
            pidfd::wait(process.as_fd()).unwrap_or(Ended::Signaled(libc::SIGKILL))
        })
    }

    fn serve(&mut self, mut running: Running) -> io::Result<Ended> {
        let epoll = Epoll::new()?;
        let mut events = Events::with_room(32);
        // A monitor that is asked to end passes it on; it ends with its container.
        let signals = SignalFd::catch(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP])?;
        epoll.add(signals.as_fd(), SIGNALS, Interest::READ)?;
        epoll.add(running.child.process.as_fd(), PROCESS, Interest::READ)?;
        epoll.add(self.listener.as_fd(), LISTENER, Interest::READ)?;
        let mut streams = [running.output.take(), running.error.take()];
        for (stream, key) in streams.iter().zip([OUTPUT, ERROR]) {
            if let Some(stream) = stream {
                file::set_nonblocking(stream.as_fd(), true)?;
                epoll.add(stream.as_fd(), key, Interest::READ)?;
            }
        }
        if let Some(input) = &running.input {
            file::set_nonblocking(input.as_fd(), true)?;
            epoll.add(input.as_fd(), INPUT, Interest::NONE)?;
        }
        for client in &mut self.clients {
            client.interest = Interest::READ;
            epoll.add(client.socket.as_fd(), client.number, Interest::READ)?;
        }
        let mut reading = true;
        let mut ended: Option<Ended> = None;
        let mut deadline = None;
        while ended.is_none() || streams.iter().any(Option::is_some) {
            let timeout =
                deadline.map(|end: Instant| end.saturating_duration_since(Instant::now()));
            if timeout.is_some_and(|left| left.is_zero()) {
                break;
            }
            let mut ready = Vec::new();
            epoll.wait(&mut events, timeout)?;
            ready.extend(events.iter().map(|(key, _)| key));
            for key in ready {
                match key {
                    PROCESS => {
                        ended = pidfd::ended(running.child.process.as_fd())?;
                        epoll.remove(running.child.process.as_fd())?;
                        deadline = Some(Instant::now() + DRAIN_MAX);
                    }
                    LISTENER => self.accept(&epoll)?,
                    SIGNALS => {
                        while let Some(signal) = signals.take()? {
                            let _ = pidfd::send_signal(running.child.process.as_fd(), signal);
                        }
                    }
                    OUTPUT | ERROR => {
                        let place = (key - OUTPUT) as usize;
                        let stream = streams.get(place).and_then(Option::as_ref);
                        let alive = match stream {
                            Some(stream) => self.forward(place, stream)?,
                            None => true,
                        };
                        if !alive
                            && let Some(stream) = streams.get_mut(place).and_then(Option::take)
                        {
                            epoll.remove(stream.as_fd())?;
                        }
                    }
                    INPUT => {}
                    number => self.hear(number, &running),
                }
            }
            self.feed(&epoll, &mut running)?;
            self.settle(&epoll, &streams, &mut reading)?;
        }
        match ended {
            Some(ended) => Ok(ended),
            None => pidfd::wait(running.child.process.as_fd()),
        }
    }

    fn accept(&mut self, epoll: &Epoll) -> io::Result<()> {
        while let Ok((socket, _)) = self.listener.accept() {
            let before = self.clients.len();
            self.take(socket);
            if let Some(client) = self.clients.get_mut(before) {
                client.interest = Interest::READ;
                epoll.add(client.socket.as_fd(), client.number, Interest::READ)?;
            }
        }
        Ok(())
    }

    /// Reads output and hands it on; `false` at its end.
    fn forward(&mut self, stream: usize, file: &OwnedFd) -> io::Result<bool> {
        let mut buffer = [0u8; frame::PAYLOAD_MAX];
        let length = match spawn::read(file.as_fd(), &mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            // A terminal whose last user is gone.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => 0,
            length => length?,
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(false);
        }
        self.log.write(stream, bytes);
        let kind = if stream == 0 { frame::OUTPUT } else { frame::ERROR };
        for client in &mut self.clients {
            client.queue(kind, bytes);
        }
        Ok(true)
    }

    /// Takes what a client has sent.
    fn hear(&mut self, number: u64, running: &Running) {
        let Some(client) = self.clients.iter_mut().find(|client| client.number == number) else {
            return;
        };
        client.flush();
        let mut buffer = [0u8; frame::PAYLOAD_MAX];
        match client.socket.read(&mut buffer) {
            Ok(0) => client.gone = true,
            Ok(length) => {
                client.received.extend_from_slice(buffer.get(..length).unwrap_or_default());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => client.gone = true,
        }
        let received = std::mem::take(&mut client.received);
        let mut rest = &received[..];
        loop {
            match frame::first(rest) {
                Ok(Some((kind, payload, length))) => {
                    act(kind, payload, running, &mut self.input, &mut self.input_ends);
                    rest = rest.get(length..).unwrap_or_default();
                }
                Ok(None) => break,
                Err(()) => {
                    client.gone = true;
                    rest = &[];
                    break;
                }
            }
        }
        client.received = rest.to_vec();
    }

    /// Gives the container the input that it takes.
    fn feed(&mut self, epoll: &Epoll, running: &mut Running) -> io::Result<()> {
        let Some(input) = &running.input else {
            self.input.clear();
            return Ok(());
        };
        let mut taken = 0;
        let mut broken = false;
        while let Some(rest) = self.input.get(taken..).filter(|rest| !rest.is_empty()) {
            match spawn::write(input.as_fd(), rest) {
                Ok(put) => taken += put,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        self.input.drain(..taken);
        if broken {
            self.input.clear();
        }
        let ends = self.input_ends && self.input.is_empty() && !running.terminal;
        if broken || ends {
            epoll.remove(input.as_fd())?;
            running.input = None;
            return Ok(());
        }
        epoll.modify(input.as_fd(), INPUT, Interest::of(false, !self.input.is_empty()))
    }

    /// Drops clients that are gone, and waits on each thing only while there is room for it.
    fn settle(
        &mut self,
        epoll: &Epoll,
        streams: &[Option<OwnedFd>; 2],
        reading: &mut bool,
    ) -> io::Result<()> {
        let before = self.clients.len();
        // Dropping the socket takes it out of the set.
        self.clients.retain(|client| !client.gone);
        if self.clients.len() < before && self.clients.is_empty() && self.ends_with_client {
            self.input_ends = true;
        }
        let room = self.input.len() < PENDING_MAX;
        for client in &mut self.clients {
            let interest = Interest::of(room, client.backlog() > 0);
            if interest != client.interest {
                epoll.modify(client.socket.as_fd(), client.number, interest)?;
                client.interest = interest;
            }
        }
        let keeps_up = self.clients.iter().all(|client| client.backlog() < PENDING_MAX);
        if keeps_up != *reading {
            for (stream, key) in streams.iter().zip([OUTPUT, ERROR]) {
                if let Some(stream) = stream {
                    epoll.modify(stream.as_fd(), key, Interest::of(keeps_up, false))?;
                }
            }
            *reading = keeps_up;
        }
        Ok(())
    }

    /// Tells every client the exit code, and gives them time to read what is left.
    pub fn tell_exit(&mut self, code: u8) {
        let end = Instant::now() + FLUSH_MAX;
        for client in &mut self.clients {
            let left = end.saturating_duration_since(Instant::now());
            let _ = client.socket.set_nonblocking(false);
            let _ = client.socket.set_write_timeout(Some(left.max(Duration::from_millis(10))));
            client.queue(frame::EXIT, &[code]);
        }
    }
}

/// Does what a client asks for.
fn act(kind: u8, payload: &[u8], running: &Running, input: &mut Vec<u8>, input_ends: &mut bool) {
    match (kind, payload) {
        (frame::INPUT, bytes) if running.input.is_some() => input.extend_from_slice(bytes),
        (frame::INPUT_END, _) => *input_ends = true,
        (frame::RESIZE, &[a, b, c, d]) if running.terminal => {
            let columns = u16::from_le_bytes([a, b]);
            let rows = u16::from_le_bytes([c, d]);
            if let Some(terminal) = &running.input {
                let _ = pty::set_size(terminal.as_fd(), pty::Size { columns, rows });
            }
        }
        // It may have ended meanwhile.
        (frame::SIGNAL, &[signal]) => {
            let _ = pidfd::send_signal(running.child.process.as_fd(), signal.into());
        }
        _ => {}
    }
}
