//! A hash: a listpack of fields and values in turn while it is small, else a hash table.

use box_wire::rdb::listpack::ListPack;

use super::Limits;
use crate::store::pair::Pair;
use crate::store::table::{Element, Table};
use crate::store::{hash, rng};

/// Fields with values.
pub enum Hash {
    /// Fields and values in turn.
    Pack(ListPack),
    /// Any number of them.
    Table(Table<Pair>),
}

impl Default for Hash {
    fn default() -> Hash {
        Hash::Pack(ListPack::new())
    }
}

impl Hash {
    /// How many fields.
    pub fn len(&self) -> usize {
        match self {
            Hash::Pack(pack) => pack.len() / 2,
            Hash::Table(table) => table.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is in the compact encoding.
    pub fn is_compact(&self) -> bool {
        matches!(self, Hash::Pack(_))
    }

    /// Shows the value of `field` to `show`, if there is one.
    pub fn with<R>(&self, field: &[u8], show: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match self {
            Hash::Pack(pack) => {
                let at = pack.next(pack.find(field, pack.first(), 1)?)?;
                Some(show(pack.get(at).text(&mut Vec::new())))
            }
            Hash::Table(table) => table.find(hash::of(field), field).map(|pair| show(pair.value())),
        }
    }

    /// The value of `field`.
    pub fn get(&self, field: &[u8]) -> Option<Vec<u8>> {
        self.with(field, <[u8]>::to_vec)
    }

    /// Whether there is such a field.
    pub fn contains(&self, field: &[u8]) -> bool {
        self.with(field, |_| ()).is_some()
    }

    /// Turns into a table if one of `texts` is too long for the compact encoding.
    pub fn make_room_for<'a>(&mut self, texts: impl Iterator<Item = &'a [u8]>, limits: &Limits) {
        let Hash::Pack(pack) = self else { return };
        let (mut sum, mut long) = (pack.as_bytes().len(), false);
        for text in texts {
            long |= text.len() > limits.hash_value;
            sum += text.len();
        }
        // A listpack may not grow beyond 1 GiB.
        if long || sum > 1 << 30 {
            self.into_table();
        }
    }

    /// Sets `field`; whether it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &Limits) -> bool {
        if let Hash::Pack(pack) = self {
            if field.len() > limits.hash_value || value.len() > limits.hash_value {
                self.into_table();
            } else {
                let found = pack.find(field, pack.first(), 1).and_then(|at| pack.next(at));
                if let Some(at) = found {
                    pack.replace(at, value);
                    return false;
                }
                pack.push(field);
                pack.push(value);
                if pack.len() / 2 > limits.hash_entries {
                    self.into_table();
                }
                return true;
            }
        }
        let Hash::Table(table) = self else { return false };
        let hash = hash::of(field);
        if let Some(pair) = table.find_mut(hash, field) {
            pair.set_value(value);
            return false;
        }
        table.insert(hash, Pair::new(field, value), false);
        true
    }

    /// Removes `field`; whether it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self {
            Hash::Pack(pack) => match pack.find(field, pack.first(), 1) {
                Some(at) => {
                    pack.remove(at, 2);
                    true
                }
                None => false,
            },
            Hash::Table(table) => table.remove(hash::of(field), field).is_some(),
        }
    }

    /// Shows each field with its value.
    pub fn each(&self, mut show: impl FnMut(&[u8], &[u8])) {
        match self {
            Hash::Pack(pack) => {
                let (mut one, mut two) = (Vec::new(), Vec::new());
                let mut items = pack.iter();
                while let (Some(field), Some(value)) = (items.next(), items.next()) {
                    show(field.text(&mut one), value.text(&mut two));
                }
            }
            Hash::Table(table) => table.iter().for_each(|pair| show(pair.key(), pair.value())),
        }
    }

    /// All fields with their values.
    pub fn pairs(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut pairs = Vec::with_capacity(self.len());
        self.each(|field, value| pairs.push((field.to_vec(), value.to_vec())));
        pairs
    }

    /// A random field with its value.
    pub fn random(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        match self {
            Hash::Pack(pack) if pack.is_empty() => None,
            Hash::Pack(pack) => {
                let at = pack.seek(2 * rng::below(pack.len() / 2) as i64)?;
                Some((pack.get(at).to_vec(), pack.get(pack.next(at)?).to_vec()))
            }
            Hash::Table(table) => {
                table.random().map(|pair| (pair.key().to_vec(), pair.value().to_vec()))
            }
        }
    }

    /// Shows the fields behind `cursor`; the next cursor.
    pub fn scan(&self, cursor: u64, mut show: impl FnMut(&[u8], &[u8])) -> u64 {
        match self {
            Hash::Pack(_) => {
                self.each(show);
                0
            }
            Hash::Table(table) => table.scan(cursor, |pair| show(pair.key(), pair.value())),
        }
    }

    #[allow(clippy::wrong_self_convention, reason = "the hash turns into a table in place")]
    fn into_table(&mut self) {
        let mut table = Table::new();
        self.each(|field, value| table.insert(hash::of(field), Pair::new(field, value), false));
        *self = Hash::Table(table);
    }
}
