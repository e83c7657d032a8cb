//! `--rdb`, `--functions-rdb` and `--replica`: the client plays a replica.
//!
//! The answer to SYNC is `$LENGTH\r\n` and so many bytes, or, from a server that does not know the
//! length beforehand, `$EOF:` and a mark of 40 bytes that ends the snapshot. Behind it the commands
//! follow.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use box_kit::exit::kernel_words;
use box_kit::{Exit, Failure};

use super::connection::Connection;
use super::render::{self, Delimiters, Output};
use super::{Stop, show};

/// Length of the mark behind a snapshot of unknown length.
const MARK_BYTES: usize = 40;
/// Between two signs of life to the master.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_secs(1);
/// Bytes asked of the socket at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// How the end of the snapshot is found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Extent {
    Bytes(u64),
    Mark(Vec<u8>),
}

/// A snapshot on its way.
struct Transfer {
    connection: Connection,
    extent: Extent,
    /// What has arrived and is not passed on.
    held: Vec<u8>,
}

impl Transfer {
    /// Asks for a snapshot: `filter` is what of it (`None` for a whole one that serves a file).
    fn begin(mut connection: Connection, setup: &[&[&str]]) -> Result<Transfer, Stop> {
        for request in setup {
            eprintln!("sending {}", request.join(" "));
            // A server that does not know the option sends more than was asked for, no less.
            connection.call(request)?;
        }
        connection.send(&["SYNC"])?;
        let mut held = connection.take_rest();
        let line = loop {
            // Newlines in front are the sign of life of a server that prepares the snapshot.
            let blank = held.iter().take_while(|byte| **byte == b'\n').count();
            held.drain(..blank);
            if let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = held.drain(..=end).collect();
                break line.trim_ascii_end().to_vec();
            }
            more(&mut connection, &mut held)?;
        };
        let extent = extent(&line)?;
        Ok(Transfer { connection, extent, held })
    }

    /// Passes the snapshot to `take` and returns its length.
    fn run(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), Stop>) -> Result<u64, Stop> {
        let mut passed = 0u64;
        loop {
            let (length, over) = match &self.extent {
                Extent::Bytes(total) => {
                    let left = usize::try_from(*total - passed).unwrap_or(usize::MAX);
                    (left.min(self.held.len()), left <= self.held.len())
                }
                Extent::Mark(mark) => match memchr::memmem::find(&self.held, mark) {
                    Some(at) => (at, true),
                    // The mark may have arrived in part.
                    None => (self.held.len().saturating_sub(MARK_BYTES - 1), false),
                },
            };
            take(self.held.get(..length).unwrap_or_default())?;
            self.held.drain(..length);
            passed += length as u64;
            if over {
                if let Extent::Mark(mark) = &self.extent {
                    self.held.drain(..mark.len());
                }
                return Ok(passed);
            }
            more(&mut self.connection, &mut self.held)?;
        }
    }
}

fn more(connection: &mut Connection, held: &mut Vec<u8>) -> Result<(), Stop> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let length = connection
        .receive_raw(&mut chunk)
        .map_err(|lost| Stop::said(format!("Error reading RDB payload while SYNCing: {lost}")))?;
    held.extend_from_slice(chunk.get(..length).unwrap_or_default());
    Ok(())
}

fn extent(line: &[u8]) -> Result<Extent, Stop> {
    let text = String::from_utf8_lossy(line);
    if text.starts_with('-') {
        return Err(Stop::said(format!("SYNC with master failed: {text}")));
    }
    if let Some(mark) = text.strip_prefix("$EOF:").filter(|mark| mark.len() >= MARK_BYTES) {
        let mark = mark.as_bytes().get(..MARK_BYTES).unwrap_or_default();
        return Ok(Extent::Mark(mark.to_vec()));
    }
    let length = text.strip_prefix('$').and_then(|length| length.parse().ok());
    length.map(Extent::Bytes).ok_or_else(|| Stop::said(format!("SYNC with master failed: {text}")))
}

/// Fetches a snapshot into `file` (`-`: standard output).
///
/// # Errors
/// The transfer breaks off, or the file cannot be written.
pub fn snapshot(connection: Connection, file: &Path, functions: bool) -> Result<Exit, Stop> {
    let filter = ["REPLCONF", "rdb-filter-only", "functions"];
    let mut setup: Vec<&[&str]> =
        vec![&["REPLCONF", "capa", "eof"], &["REPLCONF", "rdb-only", "1"]];
    if functions {
        setup.push(&filter);
    }
    let mut transfer = Transfer::begin(connection, &setup)?;
    let name = file.display();
    match &transfer.extent {
        Extent::Bytes(length) => {
            eprintln!("SYNC sent to master, writing {length} bytes to '{name}'");
        }
        Extent::Mark(_) => eprintln!(
            "SYNC sent to master, writing bytes of bulk transfer until EOF marker to '{name}'"
        ),
    }
    let mut sink = Sink::open(file)?;
    let length = transfer.run(|bytes| sink.write(bytes))?;
    sink.close()?;
    match transfer.extent {
        Extent::Bytes(_) => eprintln!("Transfer finished with success."),
        Extent::Mark(_) => eprintln!("Transfer finished with success after {length} bytes"),
    }
    Ok(Exit::DONE)
}

/// Where a snapshot goes.
enum Sink {
    Out(io::Stdout),
    File(File, String),
}

impl Sink {
    fn open(path: &Path) -> Result<Sink, Stop> {
        if path.as_os_str() == "-" {
            return Ok(Sink::Out(io::stdout()));
        }
        let name = path.display().to_string();
        let file = File::create(path).map_err(|error| {
            Stop::said(format!("Error opening '{name}': {}", kernel_words(&error)))
        })?;
        Ok(Sink::File(file, name))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        match self {
            Sink::Out(out) => out.write_all(bytes).map_err(Failure::os("standard output"))?,
            Sink::File(file, name) => file.write_all(bytes).map_err(|error| {
                let words = kernel_words(&error);
                Stop::said(format!("Error writing data to file '{name}': {words}"))
            })?,
        }
        Ok(())
    }

    fn close(self) -> Result<(), Stop> {
        match self {
            Sink::Out(mut out) => out.flush().map_err(Failure::os("standard output"))?,
            Sink::File(file, name) => file.sync_all().map_err(|error| {
                Stop::said(format!("Fail to fsync '{name}': {}", kernel_words(&error)))
            })?,
        }
        Ok(())
    }
}

/// Prints the commands that a replica is sent, until the connection is lost.
///
/// # Errors
/// The connection is lost.
pub fn follow(connection: Connection) -> Result<Exit, Stop> {
    follow_on(connection)?;
    Ok(Exit::DONE)
}

/// As [`follow`], for a session in which SYNC was typed.
///
/// # Errors
/// The connection is lost.
pub fn follow_on(connection: Connection) -> Result<(), Stop> {
    let setup: [&[&str]; 2] = [&["REPLCONF", "capa", "eof"], &["REPLCONF", "rdb-filter-only", ""]];
    let mut transfer = Transfer::begin(connection, &setup)?;
    match &transfer.extent {
        Extent::Bytes(length) => {
            eprintln!("SYNC with master, discarding {length} bytes of bulk transfer...");
        }
        Extent::Mark(_) => {
            eprintln!("SYNC with master, discarding bytes of bulk transfer until EOF marker...");
        }
    }
    let length = transfer.run(|_| Ok(()))?;
    match &transfer.extent {
        Extent::Bytes(_) => eprintln!("SYNC done. Logging commands from master."),
        Extent::Mark(_) => {
            eprintln!("SYNC done after {length} bytes. Logging commands from master.");
        }
    }
    let Transfer { mut connection, held, .. } = transfer;
    eprintln!("sending REPLCONF ACK 0");
    connection.give_back(&held);
    let mut acknowledged: Option<Instant> = None;
    loop {
        // A master sends nothing before it has heard of a replica that the snapshot is there, is
        // deaf to it while its child still ends, and drops a replica that falls silent.
        if acknowledged.is_none_or(|at| at.elapsed() >= ACKNOWLEDGE_EVERY) {
            connection.send(&["REPLCONF", "ACK", "0"])?;
            acknowledged = Some(Instant::now());
        }
        if let Some(command) = connection.receive_within(ACKNOWLEDGE_EVERY)? {
            show(&render::render(&command, Output::Csv, false, &Delimiters::default()))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_announcements_are_understood() {
        assert_eq!(extent(b"$175").unwrap(), Extent::Bytes(175));
        let mark = [b'a'; 40];
        let line = [b"$EOF:", &mark[..]].concat();
        assert_eq!(extent(&line).unwrap(), Extent::Mark(mark.to_vec()));
        assert!(extent(b"-NOAUTH no").is_err());
        assert!(extent(b"$EOF:short").is_err());
    }
}
