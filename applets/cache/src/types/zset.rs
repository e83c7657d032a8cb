//! A sorted set: a listpack of members and scores in turn while it is small, else a table by name
//! beside a tree by rank. The table owns the members; the tree refers to them.

use std::cmp::Ordering;

use box_wire::rdb::listpack::{Item, ListPack};

use super::Limits;
use super::double;
use super::tree::{Ranked, Tree, order};
use crate::store::pair::Pair;
use crate::store::table::{Element, Table};
use crate::store::{hash, rng};

/// What became of a member whose score was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It has another score.
    Moved,
    /// It had that score.
    Same,
}

/// One end of a range of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreBound {
    /// The score.
    pub score: f64,
    /// Whether the score itself is outside.
    pub exclusive: bool,
}

/// One end of a range of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameBound {
    /// In front of every name.
    Lowest,
    /// Behind every name.
    Highest,
    /// This name, inside.
    Inclusive(Vec<u8>),
    /// This name, outside.
    Exclusive(Vec<u8>),
}

/// Both structures of a big sorted set.
#[derive(Default)]
pub struct Indexed {
    // Dropped in this order: nobody walks the tree once the members are gone.
    tree: Tree,
    table: Table<Pair>,
}

/// Members with scores.
pub enum Zset {
    /// Members and scores in turn, in order.
    Pack(ListPack),
    /// Any number of them.
    Indexed(Box<Indexed>),
}

impl Default for Zset {
    fn default() -> Zset {
        Zset::Pack(ListPack::new())
    }
}

fn score_of(item: Item<'_>) -> f64 {
    match item {
        Item::Int(value) => value as f64,
        Item::Bytes(text) => double::parse(text).unwrap_or(0.0),
    }
}

impl Zset {
    /// An empty one for members up to this length.
    pub fn for_member(len: usize, limits: &Limits) -> Zset {
        if limits.zset_entries == 0 || len > limits.zset_value {
            Zset::Indexed(Box::default())
        } else {
            Zset::default()
        }
    }

    /// Takes a listpack from a file: scores must be numbers in order, names must differ.
    pub fn from_pack(pack: ListPack, limits: &Limits) -> Option<Zset> {
        let mut zset = Zset::Indexed(Box::default());
        let mut items = pack.iter();
        while let (Some(member), Some(score)) = (items.next(), items.next()) {
            let score = match score {
                Item::Int(value) => value as f64,
                Item::Bytes(text) => double::parse(text)?,
            };
            if zset.set(&member.to_vec(), score, limits) != Change::Added {
                return None;
            }
        }
        if zset.len() > limits.zset_entries {
            return Some(zset);
        }
        zset.into_pack_if_small(limits);
        Some(zset)
    }

    /// How many members.
    pub fn len(&self) -> usize {
        match self {
            Zset::Pack(pack) => pack.len() / 2,
            Zset::Indexed(indexed) => indexed.tree.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is in the compact encoding.
    pub fn is_compact(&self) -> bool {
        matches!(self, Zset::Pack(_))
    }

    /// The score of `member`.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Zset::Pack(pack) => {
                let at = pack.next(pack.find(member, pack.first(), 1)?)?;
                Some(score_of(pack.get(at)))
            }
            Zset::Indexed(indexed) => {
                indexed.table.find(hash::of(member), member).map(Pair::score)
            }
        }
    }

    /// Sets the score of `member`, adding it if needed.
    pub fn set(&mut self, member: &[u8], score: f64, limits: &Limits) -> Change {
        if let Zset::Pack(pack) = self {
            match pack.find(member, pack.first(), 1) {
                Some(at) => {
                    let old = pack.next(at).map_or(0.0, |at| score_of(pack.get(at)));
                    if old == score {
                        return Change::Same;
                    }
                    pack.remove(at, 2);
                    pack_insert(pack, member, score);
                    return Change::Moved;
                }
                None => {
                    if pack.len() / 2 < limits.zset_entries && member.len() <= limits.zset_value {
                        pack_insert(pack, member, score);
                        return Change::Added;
                    }
                    self.into_indexed();
                }
            }
        }
        let Zset::Indexed(indexed) = self else { return Change::Same };
        indexed.set(member, score)
    }

    /// Removes `member`; whether it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Zset::Pack(pack) => match pack.find(member, pack.first(), 1) {
                Some(at) => {
                    pack.remove(at, 2);
                    true
                }
                None => false,
            },
            Zset::Indexed(indexed) => {
                let Some(pair) = indexed.table.find(hash::of(member), member) else { return false };
                let rank = indexed.tree.rank(pair.score(), member);
                indexed.remove_rank(rank);
                true
            }
        }
    }

    /// The rank of `member`, counted from the lowest.
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        match self {
            Zset::Pack(pack) => {
                let target = pack.find(member, pack.first(), 1)?;
                let (mut at, mut rank) = (pack.first()?, 0);
                while at != target {
                    at = pack.next(pack.next(at)?)?;
                    rank += 1;
                }
                Some(rank)
            }
            Zset::Indexed(indexed) => {
                let pair = indexed.table.find(hash::of(member), member)?;
                Some(indexed.tree.rank(pair.score(), member))
            }
        }
    }

    /// How many members are in front of the first for which `in_front` is false.
    fn partition(&self, in_front: impl Fn(f64, &[u8]) -> bool) -> usize {
        match self {
            Zset::Pack(pack) => {
                let (mut items, mut rank) = (pack.iter(), 0);
                let mut scratch = Vec::new();
                while let (Some(member), Some(score)) = (items.next(), items.next()) {
                    if !in_front(score_of(score), member.text(&mut scratch)) {
                        break;
                    }
                    rank += 1;
                }
                rank
            }
            Zset::Indexed(indexed) => {
                indexed.tree.rank_of(|element| in_front(element.score, element.member.key()))
            }
        }
    }

    /// First rank inside, and first rank behind, of a range of scores.
    pub fn score_range(&self, min: ScoreBound, max: ScoreBound) -> (usize, usize) {
        let below = |score: f64, bound: ScoreBound| {
            if bound.exclusive { score <= bound.score } else { score < bound.score }
        };
        let above = |score: f64, bound: ScoreBound| {
            if bound.exclusive { score >= bound.score } else { score > bound.score }
        };
        let start = self.partition(|score, _| below(score, min));
        let end = self.partition(|score, _| !above(score, max));
        (start, end.max(start))
    }

    /// First rank inside, and first rank behind, of a range of names.
    pub fn name_range(&self, min: &NameBound, max: &NameBound) -> (usize, usize) {
        let start = self.partition(|_, name| match min {
            NameBound::Lowest => false,
            NameBound::Highest => true,
            NameBound::Inclusive(bound) => name < &bound[..],
            NameBound::Exclusive(bound) => name <= &bound[..],
        });
        let end = self.partition(|_, name| match max {
            NameBound::Lowest => false,
            NameBound::Highest => true,
            NameBound::Inclusive(bound) => name <= &bound[..],
            NameBound::Exclusive(bound) => name < &bound[..],
        });
        (start, end.max(start))
    }

    /// Shows `count` members from rank `rank` on, upwards or downwards.
    pub fn range(&self, rank: usize, count: usize, down: bool, mut show: impl FnMut(&[u8], f64)) {
        match self {
            Zset::Pack(pack) => {
                let mut scratch = Vec::new();
                let mut at = pack.seek(2 * rank as i64);
                for _ in 0..count {
                    let Some(member) = at else { break };
                    let Some(score) = pack.next(member) else { break };
                    show(pack.get(member).text(&mut scratch), score_of(pack.get(score)));
                    at = if down {
                        pack.prev(member).and_then(|at| pack.prev(at))
                    } else {
                        pack.next(score)
                    };
                }
            }
            Zset::Indexed(indexed) => {
                for element in indexed.tree.iter_from(rank, down).take(count) {
                    show(element.member.key(), element.score);
                }
            }
        }
    }

    /// All members in order.
    pub fn pairs(&self) -> Vec<(Vec<u8>, f64)> {
        let mut pairs = Vec::with_capacity(self.len());
        self.range(0, usize::MAX, false, |member, score| pairs.push((member.to_vec(), score)));
        pairs
    }

    /// Removes the ranks from `start` to before `end`.
    pub fn remove_range(&mut self, start: usize, end: usize) {
        match self {
            Zset::Pack(pack) => {
                if let Some(at) = pack.seek(2 * start as i64) {
                    pack.remove(at, 2 * (end - start));
                }
            }
            Zset::Indexed(indexed) => {
                for _ in start..end {
                    indexed.remove_rank(start);
                }
            }
        }
    }

    /// A random member with its score.
    pub fn random(&self) -> Option<(Vec<u8>, f64)> {
        if self.is_empty() {
            return None;
        }
        let mut found = None;
        self.range(rng::below(self.len()), 1, false, |member, score| {
            found = Some((member.to_vec(), score));
        });
        found
    }

    /// Shows the members behind `cursor`; the next cursor.
    pub fn scan(&self, cursor: u64, mut show: impl FnMut(&[u8], f64)) -> u64 {
        match self {
            Zset::Pack(_) => {
                self.range(0, usize::MAX, false, show);
                0
            }
            Zset::Indexed(indexed) => {
                indexed.table.scan(cursor, |pair| show(pair.key(), pair.score()))
            }
        }
    }

    /// Turns into the compact encoding if it is small enough: what a command makes anew does.
    #[allow(clippy::wrong_self_convention, reason = "the set turns into a listpack in place")]
    pub fn into_pack_if_small(&mut self, limits: &Limits) {
        let Zset::Indexed(indexed) = self else { return };
        let longest = indexed.table.iter().map(|pair| pair.key().len()).max().unwrap_or(0);
        if indexed.tree.len() > limits.zset_entries || longest > limits.zset_value {
            return;
        }
        let mut pack = ListPack::new();
        for element in indexed.tree.iter_from(0, false) {
            pack.push(element.member.key());
            push_score(&mut pack, element.score);
        }
        *self = Zset::Pack(pack);
    }

    #[allow(clippy::wrong_self_convention, reason = "the set turns into a tree in place")]
    fn into_indexed(&mut self) {
        let mut indexed = Box::<Indexed>::default();
        self.range(0, usize::MAX, false, |member, score| drop(indexed.set(member, score)));
        *self = Zset::Indexed(indexed);
    }
}

impl Indexed {
    fn set(&mut self, member: &[u8], score: f64) -> Change {
        let hash = hash::of(member);
        let Some(pair) = self.table.find_mut(hash, member) else {
            let pair = Pair::scored(member, score);
            self.tree.insert(Ranked { score, member: pair.share() });
            self.table.insert(hash, pair, false);
            return Change::Added;
        };
        let old = pair.score();
        if old == score {
            return Change::Same;
        }
        let rank = self.tree.rank(old, member);
        self.tree.remove(rank);
        // The score keeps its length, so that the member stays where it is.
        pair.set_value(&score.to_le_bytes());
        self.tree.insert(Ranked { score, member: pair.share() });
        Change::Moved
    }

    fn remove_rank(&mut self, rank: usize) {
        if let Some(element) = self.tree.remove(rank) {
            let member = element.member.key();
            self.table.remove(hash::of(member), member);
        }
    }
}

fn pack_insert(pack: &mut ListPack, member: &[u8], score: f64) {
    let mut scratch = Vec::new();
    let mut at = pack.first();
    while let Some(here) = at {
        let Some(score_at) = pack.next(here) else { break };
        let other = score_of(pack.get(score_at));
        let before = match score.partial_cmp(&other) {
            Some(Ordering::Equal) | None => member < pack.get(here).text(&mut scratch),
            Some(order) => order == Ordering::Less,
        };
        if before {
            pack.insert_before(here, member);
            let text = double::text(score);
            pack.insert_after(here, &text);
            return;
        }
        at = pack.next(score_at);
    }
    pack.push(member);
    push_score(pack, score);
}

fn push_score(pack: &mut ListPack, score: f64) {
    pack.push(&double::text(score));
}

/// Order of two members: by score, then by name.
pub fn compare(a: (f64, &[u8]), b: (f64, &[u8])) -> Ordering {
    a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_agree() {
        let small = Limits { zset_entries: 0, ..Limits::default() };
        let big = Limits { zset_entries: 10_000, ..Limits::default() };
        let (mut tree, mut pack) = (Zset::for_member(1, &small), Zset::for_member(1, &big));
        let mut state = 3u64;
        for _ in 0..3000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let member = format!("m{}", (state >> 40) % 200).into_bytes();
            let score = ((state >> 20) % 50) as f64 / 4.0;
            if state >> 62 == 0 {
                assert_eq!(tree.remove(&member), pack.remove(&member));
            } else {
                assert_eq!(tree.set(&member, score, &small), pack.set(&member, score, &big));
            }
            assert_eq!(tree.rank(&member), pack.rank(&member));
        }
        assert_eq!(tree.pairs(), pack.pairs());
        let bound = |score, exclusive| ScoreBound { score, exclusive };
        for (a, b) in [(bound(1.0, true), bound(9.0, false)), (bound(3.25, false), bound(3.25, false))] {
            assert_eq!(tree.score_range(a, b), pack.score_range(a, b));
        }
        tree.remove_range(5, 30);
        pack.remove_range(5, 30);
        assert_eq!(tree.pairs(), pack.pairs());
        tree.into_pack_if_small(&big);
        assert!(tree.is_compact());
        assert_eq!(tree.pairs(), pack.pairs());
        let _ = order;
    }
}
