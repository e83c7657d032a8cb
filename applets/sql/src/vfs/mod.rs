//! The file system below the pager, as a trait, so that a test can play every fault of a disk.

mod error;

pub use error::{Error, Result};
