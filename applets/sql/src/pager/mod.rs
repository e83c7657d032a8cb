//! Pages, transactions, journals and locks.

mod options;

pub use options::{
    AutoVacuum, CheckpointMode, CheckpointResult, JournalMode, LockingMode, OpenOptions,
    Synchronous, WriteLock,
};

/// The number of a page of the file; the first is 1, and 0 stands for none.
pub type PageNo = u32;
