//! Why a statement failed: SQLite's result code and message, and the offending byte of the text.

use std::fmt;

use crate::ast::Conflict;
use crate::vfs;

/// The result of everything above the storage layer.
pub type Result<T> = std::result::Result<T, Error>;

/// SQLITE_ERROR: the text of the statement is at fault.
pub const ERROR: i32 = 1;
/// SQLITE_INTERRUPT.
pub const INTERRUPT: i32 = 9;
/// SQLITE_CONSTRAINT.
pub const CONSTRAINT: i32 = 19;
/// SQLITE_MISMATCH.
pub const MISMATCH: i32 = 20;

/// A failure of a statement.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: i32,
    message: String,
    offset: Option<usize>,
    /// The statement never began to run.
    prepare: bool,
    /// It failed while it ran, whatever its code says.
    running: bool,
    /// How a broken constraint ends the statement.
    conflict: Option<Conflict>,
}

impl Error {
    /// An SQL error (code 1).
    pub fn new(message: impl Into<String>) -> Error {
        Error::coded(ERROR, message)
    }

    /// An error of another code.
    pub fn coded(code: i32, message: impl Into<String>) -> Error {
        let message = message.into();
        Error(Box::new(Inner {
            code,
            message,
            offset: None,
            prepare: false,
            running: false,
            conflict: None,
        }))
    }

    /// A broken constraint, and what is to become of the statement.
    pub fn constraint(message: impl Into<String>, conflict: Conflict) -> Error {
        let mut error = Error::coded(CONSTRAINT, message);
        error.0.conflict = Some(conflict);
        error
    }

    /// `near "X": syntax error`
    pub fn near(token: &[u8]) -> Error {
        Error::new(format!("near \"{}\": syntax error", String::from_utf8_lossy(token)))
    }

    /// Says where in the statement.
    pub fn at(mut self, offset: usize) -> Error {
        self.0.offset = Some(offset);
        self
    }

    /// The same error without a place: it lies in another text than the statement's own.
    pub fn nowhere(mut self) -> Error {
        self.0.offset = None;
        self
    }

    /// Says that the statement failed before it began to run.
    pub fn in_prepare(mut self) -> Error {
        self.0.prepare = !self.0.running;
        self
    }

    /// Says that the statement had begun to run, though its definition is at fault.
    pub fn while_running(mut self) -> Error {
        self.0.running = true;
        self
    }

    /// Whether it did.
    pub fn is_prepare(&self) -> bool {
        self.0.prepare
    }

    /// SQLite's primary result code.
    pub fn code(&self) -> i32 {
        self.0.code
    }

    /// Offset of the offending byte, where there is one.
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// What a broken constraint does to the statement; ABORT for any other error.
    pub fn conflict(&self) -> Conflict {
        self.0.conflict.unwrap_or(Conflict::Abort)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl From<vfs::Error> for Error {
    fn from(error: vfs::Error) -> Error {
        Error::coded(error.code(), error.to_string())
    }
}
