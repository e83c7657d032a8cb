//! What can go wrong below SQL: SQLite's result codes and their texts.

use std::fmt;
use std::io;

/// The result of everything in the storage layer.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of the storage layer, one variant a SQLite result code.
#[derive(Debug)]
pub enum Error {
    /// Another connection holds a lock that is in the way, after the busy handler gave up.
    Busy,
    /// A read transaction of a WAL file cannot become a write transaction: its snapshot is stale.
    BusySnapshot,
    /// A table is in use by another statement of the same connection.
    Locked,
    /// The database, its file or its folder cannot be written.
    ReadOnly,
    /// The file breaks the format.
    Corrupt,
    /// The file is not a database at all.
    NotADatabase,
    /// The disk or the page limit is full.
    Full,
    /// The file cannot be opened.
    CannotOpen,
    /// A row or blob is over the length limit.
    TooBig,
    /// The caller asked to stop.
    Interrupted,
    /// The locking protocol of the WAL did not settle.
    Protocol,
    /// The call does not fit the state of the connection; the text says which.
    Misuse(&'static str),
    /// The kernel's word.
    Io(io::Error),
}

impl Error {
    /// SQLite's primary result code.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Error::Busy | Error::BusySnapshot => 5,
            Error::Locked => 6,
            Error::ReadOnly => 8,
            Error::Interrupted => 9,
            Error::Io(_) => 10,
            Error::Corrupt => 11,
            Error::Full => 13,
            Error::CannotOpen => 14,
            Error::Protocol => 15,
            Error::TooBig => 18,
            Error::Misuse(_) => 1,
            Error::NotADatabase => 26,
        }
    }

    /// SQLite's extended result code where it has one, else the primary code.
    #[must_use]
    pub fn extended_code(&self) -> i32 {
        match self {
            Error::BusySnapshot => 5 | (2 << 8),
            _ => self.code(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Busy | Error::BusySnapshot => "database is locked",
            Error::Locked => "database table is locked",
            Error::ReadOnly => "attempt to write a readonly database",
            Error::Corrupt => "database disk image is malformed",
            Error::NotADatabase => "file is not a database",
            Error::Full => "database or disk is full",
            Error::CannotOpen => "unable to open database file",
            Error::TooBig => "string or blob too big",
            Error::Interrupted => "interrupted",
            Error::Protocol => "locking protocol",
            Error::Misuse(text) => text,
            Error::Io(_) => "disk I/O error",
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
            _ => Error::Io(error),
        }
    }
}
