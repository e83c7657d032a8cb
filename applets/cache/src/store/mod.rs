//! The keyspace: shards, tables, entries.

pub mod entry;
pub mod hash;
pub mod lfu;
pub mod pair;
pub mod rng;
pub mod shard;
pub mod table;
