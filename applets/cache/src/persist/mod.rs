//! What outlives the process: RDB files and the append-only file.

pub mod aof;
pub mod manifest;
pub mod rdb;
pub mod saver;
pub mod snapshot;
pub mod stream;
pub mod value;
