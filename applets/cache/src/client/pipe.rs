//! `--pipe`: requests from standard input, sent as fast as the server takes them.
//!
//! Behind the last byte goes an ECHO of random bytes: its reply is the last one, however the server
//! counts requests. Reading and writing alternate by readiness, since a server that cannot get rid
//! of its replies stops reading.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use box_kit::{Exit, Failure};
use box_sys::poll::{self, Wanted};
use box_sys::random;
use box_wire::resp::{Reply, push_request};

use super::connection::{Connection, Lost};
use super::{Stop, show};

/// Bytes read of standard input at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Longest sleep between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// Bytes on their way to the server.
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    input_ended: bool,
    /// What the last reply will be.
    magic: Vec<u8>,
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Reads more, or adds the last request. Returns whether the input has just ended.
    fn refill(&mut self) -> Result<bool, Stop> {
        self.bytes.resize(CHUNK_BYTES, 0);
        let length = loop {
            match io::stdin().lock().read(&mut self.bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(Failure::os("standard input"))?,
            }
        };
        self.bytes.truncate(length);
        self.sent = 0;
        if length > 0 {
            return Ok(false);
        }
        self.input_ended = true;
        // A line end in front completes an inline request that lacks its own.
        self.bytes.extend_from_slice(b"\r\n");
        push_request(&mut self.bytes, [&b"ECHO"[..], &self.magic].iter());
        Ok(true)
    }
}

/// Sends standard input and counts the replies.
///
/// # Errors
/// The input cannot be read.
pub fn run(mut connection: Connection, timeout: Duration) -> Result<Exit, Stop> {
    connection.set_nonblocking(true).map_err(Failure::from)?;
    let mut outgoing = Outgoing { bytes: Vec::new(), sent: 0, input_ended: false, magic: magic()? };
    let (mut errors, mut replies) = (0u64, 0u64);
    let mut heard = Instant::now();
    'transfer: loop {
        loop {
            match connection.receive_ready() {
                Ok(None) => break,
                Ok(Some(Reply::Bulk(bytes))) if outgoing.input_ended && bytes == outgoing.magic => {
                    show(b"Last reply received from server.\n")?;
                    break 'transfer;
                }
                Ok(Some(reply)) => {
                    replies += 1;
                    heard = Instant::now();
                    if let Reply::Error(text) = reply {
                        errors += 1;
                        eprintln!("{}", String::from_utf8_lossy(&text));
                    }
                }
                Err(lost) => {
                    eprintln!("{}", complaint(&lost));
                    errors += 1;
                    break 'transfer;
                }
            }
        }
        if outgoing.is_empty() && !outgoing.input_ended && outgoing.refill()? {
            show(b"All data transferred. Waiting for the last reply...\n")?;
            heard = Instant::now();
        }
        if let Err(error) = send(&mut connection, &mut outgoing) {
            eprintln!("Error writing to the server: {}", box_kit::exit::kernel_words(&error));
            return Ok(Exit::FAILED);
        }
        if !wait(&connection, &outgoing)?
            && outgoing.input_ended
            && outgoing.is_empty()
            && !timeout.is_zero()
            && heard.elapsed() > timeout
        {
            eprintln!("No replies for {} seconds: exiting.", timeout.as_secs());
            errors += 1;
            break;
        }
    }
    show(format!("errors: {errors}, replies: {replies}\n").as_bytes())?;
    Ok(if errors > 0 { Exit::FAILED } else { Exit::DONE })
}

fn complaint(lost: &Lost) -> String {
    match lost {
        Lost::Closed => "Server closed the connection".into(),
        Lost::Broken(broken) => format!("Error reading replies from server: {broken}"),
        other => format!("Error reading from the server: {other}"),
    }
}

fn magic() -> Result<Vec<u8>, Stop> {
    let mut bytes = [0; 10];
    random::fill(&mut bytes).map_err(Failure::from)?;
    Ok(bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect())
}

fn send(connection: &mut Connection, outgoing: &mut Outgoing) -> io::Result<()> {
    while !outgoing.is_empty() {
        match connection.send_some(outgoing.bytes.get(outgoing.sent..).unwrap_or_default()) {
            Ok(length) => outgoing.sent += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until something can be done; false when nothing could for a while.
fn wait(connection: &Connection, outgoing: &Outgoing) -> Result<bool, Stop> {
    let stdin = io::stdin();
    let mut wanted = if outgoing.is_empty() && !outgoing.input_ended {
        vec![Wanted::read(connection.as_fd()), Wanted::read(stdin.as_fd())]
    } else if outgoing.is_empty() {
        vec![Wanted::read(connection.as_fd())]
    } else {
        vec![Wanted::read_and_write(connection.as_fd())]
    };
    match poll::wait(&mut wanted, Some(TICK)) {
        Ok(ready) => Ok(ready > 0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(Failure::from(error).into()),
    }
}
