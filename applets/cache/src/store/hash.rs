//! The hash of a key, seeded once per process so that nobody can choose keys that collide.

use std::sync::OnceLock;

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

static SECRETS: OnceLock<RapidSecrets> = OnceLock::new();

/// The hash of `key`. Its low bits choose the bucket, its top byte is the tag, and the bits in
/// between choose the shard, so that the three are independent.
#[inline]
pub fn of(key: &[u8]) -> u64 {
    let secrets = SECRETS
        .get_or_init(|| RapidSecrets::seed(box_sys::random::u64().unwrap_or(0x9e37_79b9_7f4a_7c15)));
    rapidhash_v3_seeded(key, secrets)
}

/// The tag of a hash: a byte that is never zero, as zero marks an empty slot.
#[inline]
pub fn tag(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(1)
}

/// The shard of a hash.
#[inline]
pub fn shard(hash: u64) -> usize {
    (hash >> 48) as usize & (super::shard::SHARDS - 1)
}
