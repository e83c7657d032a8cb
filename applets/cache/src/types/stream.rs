//! A stream: entries by ID in blocks, and groups of consumers that share them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use box_wire::rdb::stream::{self as form, Block, Entry, Id};

use super::Limits;

/// The most bytes of a block, where the configuration names none.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// A stream.
#[derive(Clone, Default)]
pub struct Stream {
    blocks: BTreeMap<Id, Block>,
    length: usize,
    /// The last ID given.
    pub last_id: Id,
    /// The ID of the first entry that is there; zero without any.
    pub first_id: Id,
    /// The largest ID that was deleted.
    pub max_deleted_id: Id,
    /// How many entries were ever added.
    pub entries_added: u64,
    /// Its groups.
    pub groups: BTreeMap<Vec<u8>, Group>,
}

/// A delivery that was not acknowledged.
#[derive(Clone, Debug)]
pub struct Nack {
    /// When it was delivered, in ms of Unix time.
    pub delivered_ms: i64,
    /// How often.
    pub count: u64,
    /// To whom.
    pub consumer: Arc<[u8]>,
}

/// A consumer of a group.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// Its name.
    pub name: Arc<[u8]>,
    /// When it last asked, in ms of Unix time.
    pub seen_ms: i64,
    /// When it was last given something.
    pub active_ms: i64,
    /// What it has not acknowledged.
    pub pending: BTreeSet<Id>,
}

/// How many entries a group has read, where nobody knows.
pub const UNKNOWN: i64 = -1;

/// A consumer group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The last ID delivered.
    pub last_id: Id,
    /// How many entries it has read, or [`UNKNOWN`].
    pub entries_read: i64,
    /// What was delivered and not acknowledged.
    pub pending: BTreeMap<Id, Nack>,
    /// Its consumers.
    pub consumers: BTreeMap<Vec<u8>, Consumer>,
}

/// Which entries are trimmed.
#[derive(Clone, Copy, Debug)]
pub enum Keep {
    /// All but the newest so many.
    Newest(usize),
    /// All below this ID.
    From(Id),
}

/// How a stream is trimmed.
#[derive(Clone, Copy, Debug)]
pub struct Trim {
    /// What stays.
    pub keep: Keep,
    /// Whether only whole blocks go.
    pub about: bool,
    /// The most entries that go, 0 for any number.
    pub limit: usize,
}

impl Group {
    /// The consumer of this name, made if there is none; whether it is new.
    pub fn consumer(&mut self, name: &[u8], now: i64) -> (&mut Consumer, bool) {
        let new = !self.consumers.contains_key(name);
        let consumer = self.consumers.entry(name.to_vec()).or_insert_with(|| Consumer {
            name: name.into(),
            seen_ms: now,
            active_ms: UNKNOWN,
            pending: BTreeSet::new(),
        });
        (consumer, new)
    }

    /// Notes that an entry has been delivered to a consumer, whoever had it before.
    pub fn deliver(&mut self, id: Id, consumer: &[u8], now: i64) {
        let Some(owner) = self.consumers.get_mut(consumer) else { return };
        owner.pending.insert(id);
        let nack = Nack { delivered_ms: now, count: 1, consumer: owner.name.clone() };
        if let Some(old) = self.pending.insert(id, nack)
            && *old.consumer != *consumer
            && let Some(loser) = self.consumers.get_mut(&*old.consumer)
        {
            loser.pending.remove(&id);
        }
    }

    /// Forgets a delivery; whether there was one.
    pub fn forget(&mut self, id: Id) -> Option<Nack> {
        let nack = self.pending.remove(&id)?;
        if let Some(consumer) = self.consumers.get_mut(&*nack.consumer) {
            consumer.pending.remove(&id);
        }
        Some(nack)
    }

    /// Gives a pending entry to a consumer.
    pub fn hand_over(&mut self, id: Id, to: &[u8]) {
        let Some(nack) = self.pending.get_mut(&id) else { return };
        if let Some(loser) = self.consumers.get_mut(&*nack.consumer) {
            loser.pending.remove(&id);
        }
        if let Some(owner) = self.consumers.get_mut(to) {
            owner.pending.insert(id);
            nack.consumer = owner.name.clone();
        }
    }
}

impl Stream {
    /// How many entries are there.
    pub fn len(&self) -> usize {
        self.length
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Bytes of all blocks.
    pub fn bytes(&self) -> usize {
        self.blocks.values().map(|block| block.as_bytes().len() + 64).sum()
    }

    /// The ID that a new entry gets at this time; `None` if all have been given.
    pub fn next_id(&self, now_ms: i64) -> Option<Id> {
        let now = Id { ms: now_ms as u64, seq: 0 };
        if now.ms > self.last_id.ms { Some(now) } else { self.last_id.next() }
    }

    /// Appends an entry, whose ID must be behind [`Stream::last_id`].
    pub fn append(&mut self, id: Id, pairs: &[(&[u8], &[u8])], limits: &Limits) {
        let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        let room = match limits.stream_bytes {
            0 => BLOCK_BYTES_MAX,
            max => max.min(BLOCK_BYTES_MAX),
        };
        let last = self.blocks.last_entry();
        match last {
            Some(mut last) if fits(last.get(), bytes, room, limits.stream_entries) => {
                last.get_mut().append(id, pairs);
            }
            _ => drop(self.blocks.insert(id, Block::new(id, pairs))),
        }
        self.length += 1;
        self.entries_added += 1;
        self.last_id = id;
        if self.length == 1 {
            self.first_id = id;
        }
    }

    /// Shows the entries from `start` to `end`, backwards if asked to, while `show` wants more.
    pub fn range(
        &self,
        start: Id,
        end: Id,
        backwards: bool,
        mut show: impl FnMut(&Entry<'_>) -> bool,
    ) {
        if start > end {
            return;
        }
        let from = self.blocks.range(..=start).next_back().map_or(Id::MIN, |(id, _)| *id);
        let within = |entry: &Entry<'_>| !entry.deleted && entry.id >= start && entry.id <= end;
        let blocks = self.blocks.range(from..=end);
        if backwards {
            for (_, block) in blocks.rev() {
                let entries: Vec<Entry<'_>> = block.entries().filter(within).collect();
                if !entries.iter().rev().all(&mut show) {
                    return;
                }
            }
        } else {
            for (_, block) in blocks {
                if !block.entries().filter(within).all(|entry| show(&entry)) {
                    return;
                }
            }
        }
    }

    /// Whether an entry is there.
    pub fn contains(&self, id: Id) -> bool {
        let mut found = false;
        self.range(id, id, false, |_| {
            found = true;
            false
        });
        found
    }

    /// The first ID that is there, or the last.
    pub fn edge(&self, last: bool) -> Option<Id> {
        let mut edge = None;
        self.range(Id::MIN, Id::MAX, last, |entry| {
            edge = Some(entry.id);
            false
        });
        edge
    }

    /// Deletes an entry; whether it was there.
    pub fn delete(&mut self, id: Id) -> bool {
        let Some((key, block)) = self.blocks.range_mut(..=id).next_back() else { return false };
        let key = *key;
        if !block.delete(id) {
            return false;
        }
        if block.counts().0 == 0 {
            self.blocks.remove(&key);
        }
        self.length -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id || self.length == 0 {
            self.first_id = self.edge(false).unwrap_or_default();
        }
        true
    }

    /// Deletes the oldest entries; how many.
    pub fn trim(&mut self, trim: &Trim) -> usize {
        let mut deleted = 0;
        while let Some(mut first) = self.blocks.first_entry() {
            let keep = |length: usize| match trim.keep {
                Keep::Newest(count) => length <= count,
                Keep::From(_) => false,
            };
            if keep(self.length) {
                break;
            }
            let entries = first.get().counts().0;
            if trim.limit > 0 && deleted + entries > trim.limit {
                break;
            }
            let whole = match trim.keep {
                Keep::Newest(count) => self.length - entries >= count,
                // Entries that were deleted count here, as they do for the incumbents.
                Keep::From(id) => first.get().entries().all(|entry| entry.id < id),
            };
            if whole {
                first.remove();
                self.length -= entries;
                deleted += entries;
                continue;
            }
            if !trim.about {
                let mut left = self.length;
                let gone = first.get_mut().delete_while(|entry| {
                    let goes = match trim.keep {
                        Keep::Newest(count) => left > count,
                        Keep::From(id) => entry.id < id,
                    };
                    left -= usize::from(goes && !entry.deleted);
                    goes
                });
                self.length -= gone;
                deleted += gone;
            }
            break;
        }
        if deleted > 0 || self.length == 0 {
            self.first_id = self.edge(false).unwrap_or_default();
        }
        deleted
    }

    /// Whether something was deleted from `start` on.
    pub fn has_gaps_from(&self, start: Id) -> bool {
        self.length > 0
            && self.max_deleted_id != Id::MIN
            && self.max_deleted_id >= self.first_id
            && start <= self.max_deleted_id
    }

    /// How many entries were added up to `id`, where that can be told.
    pub fn added_up_to(&self, id: Id) -> Option<i64> {
        let added = self.entries_added as i64;
        if self.entries_added == 0 {
            return Some(0);
        }
        if id == self.last_id || (self.length == 0 && id < self.last_id) {
            return Some(added);
        }
        if id > self.last_id {
            return None;
        }
        if self.max_deleted_id == Id::MIN || self.max_deleted_id < self.first_id {
            let before = added - self.length as i64;
            if id < self.first_id {
                return Some(before);
            }
            if id == self.first_id {
                return Some(before + 1);
            }
        }
        None
    }

    /// How many entries a group has not been given, where that can be told.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let known = group.entries_read != UNKNOWN && !self.has_gaps_from(group.last_id);
        let read = if known { Some(group.entries_read) } else { self.added_up_to(group.last_id) };
        read.map(|read| self.entries_added as i64 - read)
    }

    /// How many nodes the incumbents' radix tree of these blocks has.
    pub fn tree_nodes(&self) -> usize {
        let keys: Vec<[u8; 16]> = self.blocks.keys().map(|id| id.to_bytes()).collect();
        if keys.is_empty() { 1 } else { nodes(&keys, 0) }
    }

    /// The stream as a file holds it, but for its blocks.
    pub fn each_block(&self, show: impl FnMut(&Block)) {
        self.blocks.values().for_each(show);
    }

    /// A stream from a file.
    pub fn from_file(file: &form::Stream) -> Option<Stream> {
        let mut stream = Stream {
            blocks: file.blocks.iter().map(|block| (block.id(), block.clone())).collect(),
            length: file.length as usize,
            last_id: file.last_id,
            ..Stream::default()
        };
        match file.counters {
            Some(counters) => {
                stream.first_id = counters.first_id;
                stream.max_deleted_id = counters.max_deleted_id;
                stream.entries_added = counters.entries_added;
            }
            None => {
                stream.entries_added = file.length;
                stream.first_id = stream.edge(false).unwrap_or_default();
            }
        }
        for group in &file.groups {
            let read = group.entries_read.or_else(|| stream.added_up_to(group.last_id));
            let made = group_from_file(group, read.unwrap_or(UNKNOWN))?;
            if stream.groups.insert(group.name.clone(), made).is_some() {
                return None;
            }
        }
        Some(stream)
    }
}

fn group_from_file(file: &form::Group, entries_read: i64) -> Option<Group> {
    let mut group = Group { last_id: file.last_id, entries_read, ..Group::default() };
    for consumer in &file.consumers {
        let name: Arc<[u8]> = consumer.name.as_slice().into();
        for id in &consumer.pending {
            let at = file.pending.binary_search_by_key(id, |pending| pending.id).ok()?;
            let pending = file.pending[at];
            let (delivered_ms, count) = (pending.delivered_ms, pending.count);
            group.pending.insert(*id, Nack { delivered_ms, count, consumer: name.clone() });
        }
        let pending = consumer.pending.iter().copied().collect();
        let (seen_ms, active_ms) = (consumer.seen_ms, consumer.active_ms);
        let made = Consumer { name, seen_ms, active_ms, pending };
        if group.consumers.insert(consumer.name.clone(), made).is_some() {
            return None;
        }
    }
    (group.pending.len() == file.pending.len()).then_some(group)
}

fn fits(block: &Block, bytes: usize, room: usize, entries_max: usize) -> bool {
    let (there, deleted) = block.counts();
    block.as_bytes().len() + bytes < room && (entries_max == 0 || there + deleted < entries_max)
}

/// Nodes of a radix tree of sorted keys that agree in their first `depth` bytes: a leaf, a node for
/// a run that all share, or a node for the bytes in which they part.
fn nodes(keys: &[[u8; 16]], depth: usize) -> usize {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return 0 };
    if depth == 16 {
        return 1;
    }
    let shared = first[depth..].iter().zip(&last[depth..]).take_while(|(a, b)| a == b).count();
    if shared > 0 {
        return 1 + nodes(keys, depth + shared);
    }
    let parts = keys.chunk_by(|a, b| a[depth] == b[depth]);
    1 + parts.map(|part| nodes(part, depth + 1)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64) -> Id {
        Id { ms, seq: 0 }
    }

    fn stream(count: u64) -> Stream {
        let mut stream = Stream::default();
        let limits = Limits { stream_entries: 4, ..Limits::default() };
        for ms in 1..=count {
            stream.append(id(ms), &[(b"f", b"v")], &limits);
        }
        stream
    }

    fn ids(stream: &Stream, start: Id, end: Id, backwards: bool) -> Vec<u64> {
        let mut ids = Vec::new();
        stream.range(start, end, backwards, |entry| {
            ids.push(entry.id.ms);
            true
        });
        ids
    }

    #[test]
    fn ranges_go_both_ways_across_blocks() {
        let stream = stream(10);
        assert_eq!(stream.blocks(), 3);
        assert_eq!(ids(&stream, id(3), id(6), false), [3, 4, 5, 6]);
        assert_eq!(ids(&stream, id(3), id(6), true), [6, 5, 4, 3]);
        assert_eq!(ids(&stream, id(7), id(6), true), []);
    }

    #[test]
    fn trimming_takes_whole_blocks_or_all() {
        let mut about = stream(10);
        assert_eq!(about.trim(&Trim { keep: Keep::Newest(5), about: true, limit: 0 }), 4);
        assert_eq!(about.trim(&Trim { keep: Keep::Newest(5), about: false, limit: 0 }), 1);
        assert_eq!((about.len(), about.first_id), (5, id(6)));
        assert_eq!(about.trim(&Trim { keep: Keep::From(id(8)), about: false, limit: 0 }), 2);
        assert!(about.delete(id(9)) && !about.delete(id(9)));
        assert_eq!(ids(&about, Id::MIN, Id::MAX, false), [8, 10]);
        assert_eq!((about.max_deleted_id, about.entries_added), (id(9), 10));
    }
}
