//! Flags, ACL categories and key flags, in the order in which they are shown.

/// Bits of `flag`.
pub mod flag {
#![allow(missing_docs, reason = "the names are the protocol's own")]
#![allow(dead_code, reason = "the list is complete")]
pub const WRITE: u32 = 1 << 0;
pub const READONLY: u32 = 1 << 1;
pub const PUBSUB: u32 = 1 << 2;
pub const DENYOOM: u32 = 1 << 3;
pub const ASKING: u32 = 1 << 4;
pub const ADMIN: u32 = 1 << 5;
pub const NOSCRIPT: u32 = 1 << 6;
pub const BLOCKING: u32 = 1 << 7;
pub const LOADING: u32 = 1 << 8;
pub const STALE: u32 = 1 << 9;
pub const SKIP_SLOWLOG: u32 = 1 << 10;
pub const SKIP_MONITOR: u32 = 1 << 11;
pub const NO_MANDATORY_KEYS: u32 = 1 << 12;
pub const MOVABLEKEYS: u32 = 1 << 13;
pub const NO_ASYNC_LOADING: u32 = 1 << 14;
pub const NO_MULTI: u32 = 1 << 15;
pub const FAST: u32 = 1 << 16;
pub const NO_AUTH: u32 = 1 << 17;
pub const ALLOW_BUSY: u32 = 1 << 18;
pub const NAMES: &[&str] = &["write", "readonly", "pubsub", "denyoom", "asking", "admin", "noscript", "blocking", "loading", "stale", "skip_slowlog", "skip_monitor", "no_mandatory_keys", "movablekeys", "no_async_loading", "no_multi", "fast", "no_auth", "allow_busy"];
}

/// Bits of `category`.
pub mod category {
#![allow(missing_docs, reason = "the names are the protocol's own")]
#![allow(dead_code, reason = "the list is complete")]
pub const PUBSUB: u32 = 1 << 0;
pub const KEYSPACE: u32 = 1 << 1;
pub const WRITE: u32 = 1 << 2;
pub const READ: u32 = 1 << 3;
pub const STRING: u32 = 1 << 4;
pub const STREAM: u32 = 1 << 5;
pub const SET: u32 = 1 << 6;
pub const SORTEDSET: u32 = 1 << 7;
pub const LIST: u32 = 1 << 8;
pub const HYPERLOGLOG: u32 = 1 << 9;
pub const HASH: u32 = 1 << 10;
pub const GEO: u32 = 1 << 11;
pub const BITMAP: u32 = 1 << 12;
pub const ADMIN: u32 = 1 << 13;
pub const SLOW: u32 = 1 << 14;
pub const SCRIPTING: u32 = 1 << 15;
pub const FAST: u32 = 1 << 16;
pub const TRANSACTION: u32 = 1 << 17;
pub const DANGEROUS: u32 = 1 << 18;
pub const CONNECTION: u32 = 1 << 19;
pub const BLOCKING: u32 = 1 << 20;
pub const NAMES: &[&str] = &["pubsub", "keyspace", "write", "read", "string", "stream", "set", "sortedset", "list", "hyperloglog", "hash", "geo", "bitmap", "admin", "slow", "scripting", "fast", "transaction", "dangerous", "connection", "blocking"];
}

/// Bits of key flags.
pub mod key {
#![allow(missing_docs, reason = "the names are the protocol's own")]
#![allow(dead_code, reason = "the list is complete")]
pub const RW: u32 = 1 << 0;
pub const RO: u32 = 1 << 1;
pub const OW: u32 = 1 << 2;
pub const RM: u32 = 1 << 3;
pub const ACCESS: u32 = 1 << 4;
pub const UPDATE: u32 = 1 << 5;
pub const INSERT: u32 = 1 << 6;
pub const DELETE: u32 = 1 << 7;
pub const NOT_KEY: u32 = 1 << 8;
pub const INCOMPLETE: u32 = 1 << 9;
pub const VARIABLE_FLAGS: u32 = 1 << 10;
pub const NAMES: &[&str] = &["RW", "RO", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags"];
}
