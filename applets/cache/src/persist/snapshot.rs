//! A consistent picture of the keyspace, taken without fork.
//!
//! The cut is made while all shards are held: each is told that the snapshot has not got it yet.
//! From then on the writer thread takes one shard after the other; whoever is about to change a
//! shard that has not been taken gives it to the snapshot first. So the file holds the keyspace as
//! it was at the cut, and the extra memory is that of the shards written ahead.
//!
//! The unit is a shard, 1/256 of the keys. The same protocol holds for smaller units: a bucket with
//! a version older than the snapshot's is given to it before it is changed.

use std::sync::{Mutex, PoisonError};

use box_wire::rdb::{opcode, write};

use super::value;
use crate::store::shard::Shard;
use crate::store::table::Element;

/// A snapshot that is being taken.
pub struct Snapshot {
    compress: bool,
    chunks: Mutex<Vec<Vec<u8>>>,
}

impl Snapshot {
    /// A new one.
    pub fn new(compress: bool) -> Snapshot {
        Snapshot { compress, chunks: Mutex::new(Vec::new()) }
    }

    /// Takes a shard as it is.
    pub fn take_shard(&self, shard: &Shard) {
        let mut bytes = Vec::new();
        push_shard(&mut bytes, shard, self.compress);
        if !bytes.is_empty() {
            self.chunks.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        }
    }

    /// What has been taken since the last call.
    pub fn chunks(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.chunks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Appends all keys of a shard.
pub fn push_shard(out: &mut Vec<u8>, shard: &Shard, compress: bool) {
    for (db, table) in shard.dbs.iter().enumerate() {
        if table.is_empty() {
            continue;
        }
        out.push(opcode::SELECT_DB);
        write::len(out, db as u64);
        for entry in table.iter() {
            if let Some(at) = entry.expiry() {
                write::expire_ms(out, at);
            }
            value::push_kind(out, entry.value());
            write::string(out, entry.key(), compress);
            value::push_value(out, entry.value(), compress);
        }
    }
}

/// Appends the start of a file: its version, auxiliary fields.
pub fn push_start(out: &mut Vec<u8>, aof_base: bool) {
    write::magic(out);
    write::aux(out, "redis-ver", crate::VERSION);
    write::aux(out, "redis-bits", "64");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    write::aux(out, "ctime", &now.unwrap_or_default().as_secs().to_string());
    write::aux(out, "used-mem", &box_sys::heap_use::used_bytes().to_string());
    write::aux(out, "aof-base", if aof_base { "1" } else { "0" });
}

/// Appends the sizes of the databases.
pub fn push_sizes(out: &mut Vec<u8>, sizes: &[(usize, usize)]) {
    for (db, (keys, expires)) in sizes.iter().enumerate() {
        if *keys > 0 {
            write::select_db(out, db as u64, *keys as u64, *expires as u64);
        }
    }
}

/// Keys, and keys that expire, of each database, over `shards`.
pub fn sizes<'a>(databases: usize, shards: impl Iterator<Item = &'a Shard>) -> Vec<(usize, usize)> {
    let mut sizes = vec![(0, 0); databases];
    for shard in shards {
        for (size, table) in sizes.iter_mut().zip(&shard.dbs) {
            size.0 += table.len();
            size.1 += table.marked();
        }
    }
    sizes
}
