//! The choices that a connection makes: open flags, journal mode, synchronous, locking.

use std::path::PathBuf;
use std::time::Duration;

/// How to open a database file.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Never write to the file.
    pub read_only: bool,
    /// Make the file when there is none.
    pub create: bool,
    /// How long a lock is waited for.
    pub busy_timeout: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions { read_only: false, create: true, busy_timeout: Duration::ZERO }
    }
}

/// What a write transaction locks when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteLock {
    /// RESERVED: readers go on until the commit.
    Immediate,
    /// EXCLUSIVE: no other connection reads (a WAL file: as `Immediate`).
    Exclusive,
}

/// How an interrupted commit is undone or redone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JournalMode {
    /// A rollback journal that is deleted at commit.
    #[default]
    Delete,
    /// A rollback journal that is cut to nothing at commit.
    Truncate,
    /// A rollback journal whose header is zeroed at commit.
    Persist,
    /// A rollback journal in memory: a crash within the commit damages the file.
    Memory,
    /// No journal: a rollback is not possible.
    Off,
    /// A write-ahead log.
    Wal,
}

impl JournalMode {
    /// The mode of that name, in any case.
    #[must_use]
    pub fn by_name(name: &str) -> Option<JournalMode> {
        use JournalMode::{Delete, Memory, Off, Persist, Truncate, Wal};
        [Delete, Truncate, Persist, Memory, Off, Wal]
            .into_iter()
            .find(|mode| mode.name().eq_ignore_ascii_case(name))
    }

    /// The name as `PRAGMA journal_mode` prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            JournalMode::Delete => "delete",
            JournalMode::Truncate => "truncate",
            JournalMode::Persist => "persist",
            JournalMode::Memory => "memory",
            JournalMode::Off => "off",
            JournalMode::Wal => "wal",
        }
    }
}

/// When the disk is waited for (`PRAGMA synchronous`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Synchronous {
    /// Never.
    Off,
    /// At the moments where a crash would else damage the file.
    Normal,
    /// So that an acknowledged commit survives a power loss.
    #[default]
    Full,
    /// And the deletion of the journal too.
    Extra,
}

/// Whether locks are given back after each transaction (`PRAGMA locking_mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockingMode {
    /// They are.
    #[default]
    Normal,
    /// They are kept until the connection closes.
    Exclusive,
}

/// What becomes of free pages (`PRAGMA auto_vacuum`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoVacuum {
    /// They stay in the freelist.
    #[default]
    None,
    /// Each commit moves pages and cuts the file.
    Full,
    /// `PRAGMA incremental_vacuum` does.
    Incremental,
}

/// How far a checkpoint of the write-ahead log goes (`PRAGMA wal_checkpoint`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointMode {
    /// As far as no reader is in the way.
    Passive,
    /// Waits for writers, then for readers of old snapshots.
    Full,
    /// And waits until the next writer can begin the log anew.
    Restart,
    /// And cuts the log to nothing.
    Truncate,
    /// Does nothing but report.
    Noop,
}

/// What a checkpoint found: the row of `PRAGMA wal_checkpoint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointResult {
    /// Somebody was in the way of a checkpoint other than PASSIVE.
    pub busy: bool,
    /// Frames in the log, -1 where there is none.
    pub log_frames: i64,
    /// Frames of them that the database file holds, -1 where there is no log.
    pub checkpointed_frames: i64,
}

/// The file that belongs to a database: its path with a suffix.
#[must_use]
pub fn sibling(path: &std::path::Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
