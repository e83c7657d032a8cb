//! A set: an intset while it is small and holds integers only, else a hash table.

use box_wire::decimal::{parse_i64, push_i64};
use box_wire::rdb::intset::IntSet;

use super::Limits;
use crate::store::pair::Pair;
use crate::store::table::{Element, Table};
use crate::store::{hash, rng};

/// A set of byte strings.
pub enum Set {
    /// Integers, sorted.
    Ints(IntSet),
    /// Anything.
    Table(Table<Pair>),
}

impl Set {
    /// An empty one, of the encoding that suits a first member.
    pub fn for_member(member: &[u8]) -> Set {
        match parse_i64(member) {
            Some(_) => Set::Ints(IntSet::new()),
            None => Set::Table(Table::new()),
        }
    }

    /// How many members.
    pub fn len(&self) -> usize {
        match self {
            Set::Ints(ints) => ints.len(),
            Set::Table(table) => table.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is in the compact encoding.
    pub fn is_compact(&self) -> bool {
        matches!(self, Set::Ints(_))
    }

    /// Whether it holds `member`.
    pub fn contains(&self, member: &[u8]) -> bool {
        match self {
            Set::Ints(ints) => ints.contains_text(member),
            Set::Table(table) => table.find(hash::of(member), member).is_some(),
        }
    }

    /// Adds `member`; whether it is new.
    pub fn insert(&mut self, member: &[u8], limits: &Limits) -> bool {
        if let Set::Ints(ints) = self {
            match parse_i64(member) {
                Some(value) => {
                    let new = ints.insert(value);
                    if new && ints.len() > limits.set_entries {
                        self.into_table();
                    }
                    return new;
                }
                None => self.into_table(),
            }
        }
        let Set::Table(table) = self else { return false };
        let hash = hash::of(member);
        if table.find(hash, member).is_some() {
            return false;
        }
        table.insert(hash, Pair::new(member, &[]), false);
        true
    }

    /// Removes `member`; whether it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Set::Ints(ints) => parse_i64(member).is_some_and(|value| ints.remove(value)),
            Set::Table(table) => table.remove(hash::of(member), member).is_some(),
        }
    }

    /// Shows each member.
    pub fn each(&self, mut show: impl FnMut(&[u8])) {
        match self {
            Set::Ints(ints) => {
                let mut text = Vec::new();
                for value in ints.iter() {
                    text.clear();
                    push_i64(&mut text, value);
                    show(&text);
                }
            }
            Set::Table(table) => table.iter().for_each(|pair| show(pair.key())),
        }
    }

    /// All members.
    pub fn members(&self) -> Vec<Vec<u8>> {
        let mut members = Vec::with_capacity(self.len());
        self.each(|member| members.push(member.to_vec()));
        members
    }

    /// A random member.
    pub fn random(&self) -> Option<Vec<u8>> {
        match self {
            Set::Ints(ints) if ints.is_empty() => None,
            Set::Ints(ints) => ints.get(rng::below(ints.len())).map(|v| v.to_string().into_bytes()),
            Set::Table(table) => table.random().map(|pair| pair.key().to_vec()),
        }
    }

    /// Shows the members behind `cursor`; the next cursor.
    pub fn scan(&self, cursor: u64, mut show: impl FnMut(&[u8])) -> u64 {
        match self {
            Set::Ints(_) => {
                self.each(show);
                0
            }
            Set::Table(table) => table.scan(cursor, |pair| show(pair.key())),
        }
    }

    #[allow(clippy::wrong_self_convention, reason = "the set turns into a table in place")]
    fn into_table(&mut self) {
        let mut table = Table::new();
        self.each(|member| table.insert(hash::of(member), Pair::new(member, &[]), false));
        *self = Set::Table(table);
    }
}
