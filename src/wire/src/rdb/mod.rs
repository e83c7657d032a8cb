//! RDB, the file of Redis and Valkey, and its pieces: LZF, CRC-64, the compact encodings.
//!
//! ```text
//! "REDIS" "0010"
//! 0xfa key value            auxiliary field
//! 0xfe db                   the keys that follow are of this database
//! 0xfb keys expires         size of its tables
//! [0xfc ms u64 | 0xfd s u32] [0xf8 idle] [0xf9 freq] type key value
//! 0xff crc64 u64            of all in front
//! ```
//!
//! A DUMP payload is `type value` followed by the version (u16) and the CRC-64 of all in front.
//! [`read`] takes versions 1 to 12 of Redis and Valkey's own; [`write`] makes version 10, which
//! Redis 7.0 and everything later loads.

pub mod crc64;
pub mod expiring;
pub mod intset;
pub mod listpack;
pub mod lzf;
pub mod read;
pub mod stream;
pub mod write;
pub mod ziplist;

/// The version that is written.
pub const VERSION: u16 = 10;

/// Opcodes between keys.
pub mod opcode {
    #![allow(missing_docs, reason = "the names are the format's own")]
    pub const SLOT_INFO: u8 = 244;
    pub const FUNCTION2: u8 = 245;
    pub const FUNCTION_PRE_GA: u8 = 246;
    pub const MODULE_AUX: u8 = 247;
    pub const IDLE: u8 = 248;
    pub const FREQ: u8 = 249;
    pub const AUX: u8 = 250;
    pub const RESIZE_DB: u8 = 251;
    pub const EXPIRE_MS: u8 = 252;
    pub const EXPIRE_S: u8 = 253;
    pub const SELECT_DB: u8 = 254;
    pub const EOF: u8 = 255;
}

/// Types of values.
pub mod kind {
    #![allow(missing_docs, reason = "the names are the format's own")]
    pub const STRING: u8 = 0;
    pub const LIST: u8 = 1;
    pub const SET: u8 = 2;
    pub const ZSET: u8 = 3;
    pub const HASH: u8 = 4;
    pub const ZSET2: u8 = 5;
    pub const HASH_ZIPMAP: u8 = 9;
    pub const LIST_ZIPLIST: u8 = 10;
    pub const SET_INTSET: u8 = 11;
    pub const ZSET_ZIPLIST: u8 = 12;
    pub const HASH_ZIPLIST: u8 = 13;
    pub const LIST_QUICKLIST: u8 = 14;
    pub const STREAM: u8 = 15;
    pub const HASH_LISTPACK: u8 = 16;
    pub const ZSET_LISTPACK: u8 = 17;
    pub const LIST_QUICKLIST2: u8 = 18;
    pub const STREAM2: u8 = 19;
    pub const SET_LISTPACK: u8 = 20;
    pub const STREAM3: u8 = 21;
    pub const HASH_TTL: u8 = 22;
    pub const HASH_LISTPACK_TTL: u8 = 23;
    pub const HASH_METADATA: u8 = 24;
    pub const HASH_LISTPACK_EX: u8 = 25;
}
