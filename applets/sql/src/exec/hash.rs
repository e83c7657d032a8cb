//! Hash tables: sets of rows for IN, and the inner side of a join.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use super::select::Row;
use crate::plan::Comparison;
use crate::value::Value;

/// A multiplicative hash over the bytes of a key: quick, and keys are no attacker's to choose
/// beyond their own database.
#[derive(Default, Clone)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        const K: u64 = 0x517c_c1b7_2722_0a95;
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(K);
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(K);
        }
    }

    fn finish(&self) -> u64 {
        // The table takes its bits from the top: mix them down.
        self.0 ^ (self.0 >> 32)
    }
}

/// Builds [`KeyHasher`]s.
pub type BuildKeyHasher = BuildHasherDefault<KeyHasher>;

/// A set of rows.
pub struct Set {
    keys: HashSet<Box<[u8]>, BuildKeyHasher>,
    /// Rows with a NULL in them: they may equal anything.
    with_null: Vec<Vec<Value<'static>>>,
    width: usize,
    any: bool,
}

impl Set {
    pub fn new(width: usize) -> Set {
        Set { keys: HashSet::default(), with_null: Vec::new(), width, any: false }
    }

    pub fn is_empty(&self) -> bool {
        !self.any
    }

    /// Adds a row, its values converted as they are compared.
    pub fn add(&mut self, row: &[Value<'_>], how: &[Comparison]) {
        self.any = true;
        let row = &row[..self.width.min(row.len())];
        if row.iter().any(Value::is_null) {
            if self.width > 1 || self.with_null.is_empty() {
                self.with_null.push(row.iter().map(|v| v.clone().into_owned()).collect());
            }
            return;
        }
        let key = key_of(row, how);
        if !self.keys.contains(&*key) {
            self.keys.insert(key.into());
        }
    }

    /// Whether a row is in the set; `None` where NULL leaves it open.
    pub fn contains(&self, row: &[Value<'_>], how: &[Comparison]) -> Option<bool> {
        if row.iter().any(Value::is_null) {
            return if self.any { None } else { Some(false) };
        }
        if self.keys.contains(&*key_of(row, how)) {
            return Some(true);
        }
        let open = self.with_null.iter().any(|other| {
            other.iter().zip(row).zip(how).all(|((o, v), how)| {
                o.is_null() || o.compare(v, how.collation).is_eq()
            })
        });
        if open { None } else { Some(false) }
    }
}

fn key_of(row: &[Value<'_>], how: &[Comparison]) -> Vec<u8> {
    let mut key = Vec::with_capacity(row.len() * 12);
    for (value, how) in row.iter().zip(how) {
        value.borrow().for_comparison(how.affinity).push_key(how.collation, &mut key);
    }
    key
}

/// The inner side of a hash join: rows by key, in the order of the scan.
#[derive(Default)]
pub struct JoinTable {
    pub map: HashMap<Box<[u8]>, Vec<u32>, BuildKeyHasher>,
    /// Records one behind the other.
    pub bytes: Vec<u8>,
    /// Rowid, start and length of each record.
    pub records: Vec<(i64, usize, u32)>,
    /// Or rows of a kept result.
    pub rows: Option<Rc<Vec<Row>>>,
}

impl JoinTable {
    pub fn add(&mut self, key: &[u8], row: u32) {
        match self.map.get_mut(key) {
            Some(rows) => rows.push(row),
            None => {
                self.map.insert(key.into(), vec![row]);
            }
        }
    }
}
