//! The keyspace: shards, tables, entries.

pub mod entry;
pub mod hash;
pub mod lfu;
pub mod lock;
#[cfg(test)]
mod model;
pub mod pair;
mod primitives;
pub mod rng;
pub mod shard;
pub mod table;
