//! `box cache-check`, which is also `redis-check-rdb` and `redis-check-aof` (and Valkey's).
//!
//! A snapshot is read by the same reader that the server loads it with (`box_wire::rdb`). An
//! append-only file is read as a stream; what can be kept of a broken one ends with the last
//! command, or the last transaction, that is whole. Only its tail is ever cut, and only after a
//! question. [`convert`] writes a snapshot for another incumbent.

mod aof;
pub mod cli;
mod convert;
mod rdb;

use std::io::{self, Write};
use std::path::PathBuf;

use box_kit::{Exit, Failure, Invocation, Name, Outcome};

use crate::client::Stop;
use convert::Dialect;

/// What is to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// A snapshot.
    Rdb(PathBuf),
    /// An append-only file or a manifest.
    Aof(PathBuf, Fix),
    /// A snapshot that is to be written in another dialect, if need be with a loss.
    Convert(PathBuf, PathBuf, Dialect, bool),
}

/// What is to be done about an append-only file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Nothing but tell.
    Nothing,
    /// Cut off what cannot be read.
    Tail,
    /// Cut off what was written after this Unix time.
    Timestamp(i64),
}

/// Runs the check.
///
/// # Errors
/// The file cannot be opened.
pub fn run(invocation: &Invocation) -> Outcome {
    let task = match cli::parse(invocation) {
        Ok(Some(task)) => task,
        Ok(None) => return Ok(Exit::DONE),
        Err(stop) => return told(invocation, stop),
    };
    let mut out = io::stdout().lock();
    let ended = match &task {
        Task::Rdb(path) => rdb::check_file(&mut out, path),
        Task::Convert(from, to, dialect, lossy) => {
            convert::convert(&mut out, from, to, *dialect, *lossy)
        }
        Task::Aof(path, fix) => aof::check(&mut out, path, *fix),
    };
    out.flush().map_err(Failure::os("standard output"))?;
    drop(out);
    match ended {
        Ok(true) => Ok(Exit::DONE),
        Ok(false) => Ok(Exit::FAILED),
        Err(stop) => told(invocation, stop),
    }
}

fn told(invocation: &Invocation, stop: Stop) -> Outcome {
    match (stop, invocation.name) {
        (Stop::Exit(exit), _) => Ok(exit),
        (Stop::Failed(failure), Name::Own(_)) => Err(failure),
        (Stop::Said(words), Name::Own(_)) => Err(Failure::new(words)),
        (Stop::Said(words), _) => {
            println!("{words}");
            Ok(Exit::FAILED)
        }
        // The incumbent ends without a word.
        (Stop::Failed(_), _) => Ok(Exit::FAILED),
    }
}
