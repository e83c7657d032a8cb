//! Sets of keys: groups, DISTINCT, the inner side of joins.
//!
//! Keys are numbered in the order they come. Their bytes (see `Value::push_key`: equal values, equal
//! bytes) stand one behind the other in an arena, so a key costs no allocation; the table holds
//! numbers and is probed in sequence. A key that is one integer has a table of its own without bytes.

/// A number for every key.
#[derive(Default)]
pub struct KeySet {
    /// Number of a key plus one; 0 is free. A power of two, at most half full.
    table: Vec<u32>,
    hashes: Vec<u64>,
    /// Where each key ends in the arena.
    ends: Vec<usize>,
    arena: Vec<u8>,
}

const K: u64 = 0x517c_c1b7_2722_0a95;

/// A multiplicative hash over the bytes of a key: quick, and keys are no attacker's to choose beyond
/// their own database.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        hash = (hash.rotate_left(5) ^ word).wrapping_mul(K);
    }
    let mut word = 0;
    for byte in chunks.remainder() {
        word = word << 8 | u64::from(*byte);
    }
    hash = (hash.rotate_left(5) ^ word).wrapping_mul(K);
    hash ^ (hash >> 32)
}

#[inline]
fn hash_int(key: i64) -> u64 {
    let hash = (key as u64).wrapping_mul(K);
    hash ^ (hash >> 32)
}

/// Doubles a table of numbers.
fn grow(table: &mut Vec<u32>, hashes: impl Iterator<Item = u64>) {
    let size = (table.len() * 2).max(64);
    table.clear();
    table.resize(size, 0);
    for (n, hash) in hashes.enumerate() {
        let mut at = hash as usize & (size - 1);
        while table[at] != 0 {
            at = (at + 1) & (size - 1);
        }
        table[at] = n as u32 + 1;
    }
}

impl KeySet {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    #[inline]
    fn key(&self, n: usize) -> &[u8] {
        let start = n.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.arena[start..self.ends[n]]
    }

    /// The number of a key.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        self.place(key, hash_bytes(key)).ok()
    }

    fn place(&self, key: &[u8], hash: u64) -> Result<u32, usize> {
        let Some(mask) = self.table.len().checked_sub(1) else { return Err(0) };
        let mut at = hash as usize & mask;
        loop {
            let Some(n) = self.table[at].checked_sub(1) else { return Err(at) };
            if self.hashes[n as usize] == hash && self.key(n as usize) == key {
                return Ok(n);
            }
            at = (at + 1) & mask;
        }
    }

    /// The number of a key, and whether it is new.
    #[inline]
    pub fn insert(&mut self, key: &[u8]) -> (u32, bool) {
        let hash = hash_bytes(key);
        if (self.len() + 1) * 2 > self.table.len() {
            grow(&mut self.table, self.hashes.iter().copied());
        }
        match self.place(key, hash) {
            Ok(n) => (n, false),
            Err(at) => {
                let n = self.len() as u32;
                self.table[at] = n + 1;
                self.hashes.push(hash);
                self.arena.extend_from_slice(key);
                self.ends.push(self.arena.len());
                (n, true)
            }
        }
    }
}

/// A number for every integer.
#[derive(Default)]
pub struct IntSet {
    table: Vec<u32>,
    keys: Vec<i64>,
}

impl IntSet {
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn keys(&self) -> &[i64] {
        &self.keys
    }

    #[inline]
    fn place(&self, key: i64) -> Result<u32, usize> {
        let Some(mask) = self.table.len().checked_sub(1) else { return Err(0) };
        let mut at = hash_int(key) as usize & mask;
        loop {
            let Some(n) = self.table[at].checked_sub(1) else { return Err(at) };
            if self.keys[n as usize] == key {
                return Ok(n);
            }
            at = (at + 1) & mask;
        }
    }

    /// The number of a key.
    #[inline]
    pub fn find(&self, key: i64) -> Option<u32> {
        self.place(key).ok()
    }

    /// The number of a key, and whether it is new.
    #[inline]
    pub fn insert(&mut self, key: i64) -> (u32, bool) {
        if (self.len() + 1) * 2 > self.table.len() {
            grow(&mut self.table, self.keys.iter().map(|key| hash_int(*key)));
        }
        match self.place(key) {
            Ok(n) => (n, false),
            Err(at) => {
                let n = self.len() as u32;
                self.table[at] = n + 1;
                self.keys.push(key);
                (n, true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_numbered_in_the_order_they_come() {
        let (mut bytes, mut ints) = (KeySet::default(), IntSet::default());
        for round in 0..2 {
            for n in 0..1000u32 {
                let key = format!("key {n}");
                assert_eq!(bytes.insert(key.as_bytes()), (n, round == 0));
                assert_eq!(ints.insert(i64::from(n) << 32), (n, round == 0));
            }
        }
        assert_eq!((bytes.len(), ints.len()), (1000, 1000));
        assert_eq!((bytes.find(b"key 999"), bytes.find(b"key")), (Some(999), None));
        assert_eq!((ints.find(7 << 32), ints.find(7)), (Some(7), None));
    }
}
