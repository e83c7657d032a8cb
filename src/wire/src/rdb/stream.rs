//! Streams: blocks of entries in listpacks, and consumer groups.
//!
//! ```text
//! block   count deleted fields name.. 0  entry..
//! entry   flags ms-diff seq-diff [fields] (value.. | (name value)..) elements
//!
//! flags   1 deleted   2 has the names of the block, in this order
//! ```
//!
//! `count` are the entries that are there, `deleted` those that were; IDs are told as differences
//! from the block's own, which is that of its first entry. `elements` is how many elements of the
//! entry stand in front of it, so that the block can be walked backwards. In a file a stream is its
//! blocks by ID, its counters, and its groups (`STREAM` without counters, `STREAM3` with the time
//! of a consumer's last delivery).

use super::listpack::{Item, ListPack, Run};
use super::read::{Broken, Reader};
use super::{kind, write};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// The ID of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Unix time in ms, as a rule.
    pub ms: u64,
    /// The number within that ms.
    pub seq: u64,
}

impl Id {
    /// The smallest.
    pub const MIN: Id = Id { ms: 0, seq: 0 };
    /// The largest.
    pub const MAX: Id = Id { ms: u64::MAX, seq: u64::MAX };

    /// The one behind it.
    pub fn next(self) -> Option<Id> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Id { ms: self.ms, seq }),
            None => Some(Id { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The one in front of it.
    pub fn prev(self) -> Option<Id> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Id { ms: self.ms, seq }),
            None => Some(Id { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Sixteen bytes that sort as the IDs do.
    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The ID of sixteen bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Id {
        let number = u128::from_be_bytes(bytes);
        Id { ms: (number >> 64) as u64, seq: number as u64 }
    }
}

/// A block of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    id: Id,
    pack: ListPack,
}

/// An entry of a block.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its ID.
    pub id: Id,
    /// Whether it has been deleted.
    pub deleted: bool,
    /// Where its flags stand.
    at: usize,
    /// Where its own fields or values begin.
    data: Option<usize>,
    same: bool,
    fields: usize,
    block: &'a Block,
}

impl<'a> Entry<'a> {
    /// How many fields it has.
    pub fn len(&self) -> usize {
        self.fields
    }

    /// Whether it has no field, which no entry that was added has.
    pub fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// Shows each field with its value.
    pub fn each(&self, mut show: impl FnMut(Item<'a>, Item<'a>)) {
        let mut own = Walk { pack: &self.block.pack, at: self.data };
        let mut names = Walk { pack: &self.block.pack, at: self.block.pack.seek(3) };
        for _ in 0..self.fields {
            let name = if self.same { names.item() } else { own.item() };
            let (Some(name), Some(value)) = (name, own.item()) else { return };
            show(name, value);
        }
    }
}

/// Reads elements one after the other.
struct Walk<'a> {
    pack: &'a ListPack,
    at: Option<usize>,
}

impl<'a> Walk<'a> {
    fn item(&mut self) -> Option<Item<'a>> {
        let at = self.at?;
        self.at = self.pack.next(at);
        Some(self.pack.get(at))
    }

    fn int(&mut self) -> Option<i64> {
        match self.item()? {
            Item::Int(value) => Some(value),
            Item::Bytes(_) => None,
        }
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        (0..count).try_for_each(|_| self.item().map(drop))
    }
}

/// Walks the entries of a block, deleted ones too.
pub struct Entries<'a> {
    block: &'a Block,
    walk: Walk<'a>,
    master_fields: usize,
}

impl<'a> Entries<'a> {
    fn entry(&mut self) -> Option<Entry<'a>> {
        let at = self.walk.at?;
        let flags = self.walk.int()?;
        let ms = self.block.id.ms.wrapping_add(self.walk.int()? as u64);
        let seq = self.block.id.seq.wrapping_add(self.walk.int()? as u64);
        let same = flags & SAME_FIELDS != 0;
        let fields =
            if same { self.master_fields } else { usize::try_from(self.walk.int()?).ok()? };
        let data = self.walk.at;
        self.walk.skip(if same { fields } else { fields.checked_mul(2)? })?;
        // How many elements there were.
        let stated = self.walk.int()?;
        let counted = if same { fields + 3 } else { fields * 2 + 4 };
        (stated == counted as i64).then_some(Entry {
            id: Id { ms, seq },
            deleted: flags & DELETED != 0,
            at,
            data,
            same,
            fields,
            block: self.block,
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.entry()
    }
}

impl Block {
    /// A block with a first entry.
    pub fn new(id: Id, pairs: &[(&[u8], &[u8])]) -> Block {
        let mut head = Run::default().int(1).int(0).int(pairs.len() as i64);
        for (name, _) in pairs {
            head = head.text(name);
        }
        let mut pack = ListPack::new();
        pack.push_run(&head.int(0));
        let mut block = Block { id, pack };
        block.push_entry(id, pairs, true);
        block
    }

    /// Its ID.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.pack.as_bytes()
    }

    /// Entries that are there, and entries that were deleted.
    pub fn counts(&self) -> (usize, usize) {
        let mut walk = Walk { pack: &self.pack, at: self.pack.first() };
        let mut count = || walk.int().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        (count(), count())
    }

    fn set_counts(&mut self, there: usize, deleted: usize) {
        if let Some(at) = self.pack.first() {
            self.pack.replace_int(at, there as i64);
        }
        if let Some(at) = self.pack.first().and_then(|at| self.pack.next(at)) {
            self.pack.replace_int(at, deleted as i64);
        }
    }

    /// All entries, deleted ones too.
    pub fn entries(&self) -> Entries<'_> {
        let mut walk = Walk { pack: &self.pack, at: self.pack.seek(2) };
        let fields = walk.int().and_then(|fields| usize::try_from(fields).ok()).unwrap_or(0);
        // The names and the zero behind them.
        if walk.skip(fields).and_then(|()| walk.skip(1)).is_none() {
            walk.at = None;
        }
        Entries { block: self, walk, master_fields: fields }
    }

    fn has_fields(&self, pairs: &[(&[u8], &[u8])]) -> bool {
        let mut walk = Walk { pack: &self.pack, at: self.pack.seek(2) };
        walk.int() == Some(pairs.len() as i64)
            && pairs.iter().all(|(name, _)| walk.item().is_some_and(|item| item.is(name)))
    }

    /// Appends an entry; its ID is behind all that are there.
    pub fn append(&mut self, id: Id, pairs: &[(&[u8], &[u8])]) {
        let (there, deleted) = self.counts();
        self.set_counts(there + 1, deleted);
        let same = self.has_fields(pairs);
        self.push_entry(id, pairs, same);
    }

    fn push_entry(&mut self, id: Id, pairs: &[(&[u8], &[u8])], same: bool) {
        let mut run = Run::default()
            .int(if same { SAME_FIELDS } else { 0 })
            .int(id.ms.wrapping_sub(self.id.ms) as i64)
            .int(id.seq.wrapping_sub(self.id.seq) as i64);
        if !same {
            run = run.int(pairs.len() as i64);
        }
        for (name, value) in pairs {
            run = if same { run.text(value) } else { run.text(name).text(value) };
        }
        let elements = if same { pairs.len() + 3 } else { pairs.len() * 2 + 4 };
        self.pack.push_run(&run.int(elements as i64));
    }

    /// Marks the entry with this ID as deleted; whether it was there.
    pub fn delete(&mut self, id: Id) -> bool {
        let found = self.entries().find(|entry| entry.id == id && !entry.deleted);
        let Some((at, same)) = found.map(|entry| (entry.at, entry.same)) else { return false };
        self.mark(at, same);
        let (there, deleted) = self.counts();
        self.set_counts(there.saturating_sub(1), deleted + 1);
        true
    }

    fn mark(&mut self, at: usize, same: bool) {
        self.pack.replace_int(at, DELETED | if same { SAME_FIELDS } else { 0 });
    }

    /// Deletes from the front while `goes` says so, which is asked about entries that were
    /// deleted, too; how many.
    pub fn delete_while(&mut self, mut goes: impl FnMut(&Entry<'_>) -> bool) -> usize {
        let entries = self.entries().take_while(|entry| goes(entry));
        let entries = entries.filter(|entry| !entry.deleted);
        let marks: Vec<_> = entries.map(|entry| (entry.at, entry.same)).collect();
        // Flags are one byte each, so that positions hold.
        marks.iter().for_each(|(at, same)| self.mark(*at, *same));
        let (there, deleted) = self.counts();
        self.set_counts(there.saturating_sub(marks.len()), deleted + marks.len());
        marks.len()
    }

    /// A block of a file, if its bytes are one.
    fn checked(id: Id, pack: ListPack) -> Option<Block> {
        let elements = pack.len();
        let block = Block { id, pack };
        let (there, deleted) = block.counts();
        let mut walk = Walk { pack: &block.pack, at: block.pack.seek(2) };
        let fields = usize::try_from(walk.int()?).ok().filter(|fields| *fields < elements)?;
        walk.skip(fields)?;
        let zero = walk.int()? == 0;
        let (mut seen, mut gone, mut last) = (0usize, 0usize, None);
        let mut entries = block.entries();
        for entry in entries.by_ref() {
            if entry.deleted {
                gone += 1
            } else {
                seen += 1
            }
            if last.is_some_and(|last| last >= entry.id) {
                return None;
            }
            last = Some(entry.id);
        }
        let whole = entries.walk.at.is_none();
        (zero && whole && seen == there && gone == deleted).then_some(block)
    }
}

/// A stream as a file holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Its blocks, by ID.
    pub blocks: Vec<Block>,
    /// How many entries are there.
    pub length: u64,
    /// The last ID given.
    pub last_id: Id,
    /// Counters, which old files do not have.
    pub counters: Option<Counters>,
    /// Its groups.
    pub groups: Vec<Group>,
}

/// What a stream remembers of entries that are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The first entry's ID.
    pub first_id: Id,
    /// The largest ID that was deleted.
    pub max_deleted_id: Id,
    /// How many entries were ever added.
    pub entries_added: u64,
}

/// A consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: Vec<u8>,
    /// The last ID delivered.
    pub last_id: Id,
    /// How many entries it has read; -1 if nobody knows, `None` in old files.
    pub entries_read: Option<i64>,
    /// What was delivered and not acknowledged, by ID.
    pub pending: Vec<Pending>,
    /// Its consumers.
    pub consumers: Vec<Consumer>,
}

/// A delivery that was not acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// The entry.
    pub id: Id,
    /// When it was delivered, in ms of Unix time.
    pub delivered_ms: i64,
    /// How often.
    pub count: u64,
}

/// A consumer of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: Vec<u8>,
    /// When it last asked, in ms of Unix time.
    pub seen_ms: i64,
    /// When it was last given something.
    pub active_ms: i64,
    /// What it has not acknowledged, by ID.
    pub pending: Vec<Id>,
}

/// Reads a stream.
pub(super) fn read(reader: &mut Reader<'_>, form: u8) -> Result<Stream, Broken> {
    let mut stream = Stream::default();
    for _ in 0..reader.count(2)? {
        stream.blocks.push(block(reader)?);
    }
    let sorted = stream.blocks.windows(2).all(|pair| pair[0].id < pair[1].id);
    if !sorted {
        return Err(reader.broken("Stream blocks out of order"));
    }
    stream.length = reader.length()?;
    stream.last_id = id(reader)?;
    if form != kind::STREAM {
        stream.counters = Some(Counters {
            first_id: id(reader)?,
            max_deleted_id: id(reader)?,
            entries_added: reader.length()?,
        });
    }
    let counted: u64 = stream.blocks.iter().map(|block| block.counts().0 as u64).sum();
    if counted != stream.length {
        return Err(reader.broken("Stream length inconsistent with rax entries"));
    }
    for _ in 0..reader.count(4)? {
        stream.groups.push(group(reader, form)?);
    }
    Ok(stream)
}

fn id(reader: &mut Reader<'_>) -> Result<Id, Broken> {
    Ok(Id { ms: reader.length()?, seq: reader.length()? })
}

fn block(reader: &mut Reader<'_>) -> Result<Block, Broken> {
    let key = reader.string()?;
    let key = <[u8; 16]>::try_from(&*key);
    let key =
        key.map_err(|_| reader.broken("Stream node key entry is not the size of a stream ID"))?;
    let bytes = reader.string()?.into_owned();
    let block =
        ListPack::from_bytes(bytes).and_then(|pack| Block::checked(Id::from_bytes(key), pack));
    block.ok_or_else(|| reader.broken("Stream listpack integrity check failed"))
}

fn group(reader: &mut Reader<'_>, form: u8) -> Result<Group, Broken> {
    let mut group = Group { name: reader.string()?.into_owned(), ..Group::default() };
    group.last_id = id(reader)?;
    if form != kind::STREAM {
        group.entries_read = Some(reader.length()? as i64);
    }
    for _ in 0..reader.count(25)? {
        let id = Id::from_bytes(reader.chunk()?);
        let delivered_ms = i64::from_le_bytes(reader.chunk()?);
        group.pending.push(Pending { id, delivered_ms, count: reader.length()? });
    }
    if !group.pending.windows(2).all(|pair| pair[0].id < pair[1].id) {
        return Err(reader.broken("Duplicated global PEL entry loading stream consumer group"));
    }
    for _ in 0..reader.count(10)? {
        let mut consumer = Consumer { name: reader.string()?.into_owned(), ..Consumer::default() };
        consumer.seen_ms = i64::from_le_bytes(reader.chunk()?);
        consumer.active_ms = consumer.seen_ms;
        if form == kind::STREAM3 {
            consumer.active_ms = i64::from_le_bytes(reader.chunk()?);
        }
        for _ in 0..reader.count(16)? {
            let id = Id::from_bytes(reader.chunk()?);
            if group.pending.binary_search_by_key(&id, |pending| pending.id).is_err() {
                return Err(reader.broken("Consumer entry not found in group global PEL"));
            }
            consumer.pending.push(id);
        }
        group.consumers.push(consumer);
    }
    let owned: usize = group.consumers.iter().map(|consumer| consumer.pending.len()).sum();
    if owned != group.pending.len() {
        return Err(reader.broken("NACK in stream consumer group without consumer"));
    }
    Ok(group)
}

/// Appends an ID as two lengths.
pub fn push_id(out: &mut Vec<u8>, id: Id) {
    write::len(out, id.ms);
    write::len(out, id.seq);
}

/// Appends a block with its ID.
pub fn push_block(out: &mut Vec<u8>, block: &Block, compress: bool) {
    write::string(out, &block.id.to_bytes(), compress);
    write::string(out, block.as_bytes(), compress);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Block {
        let mut block = Block::new(Id { ms: 5, seq: 3 }, &[(b"a", b"1"), (b"b", b"x")]);
        block.append(Id { ms: 6, seq: 0 }, &[(b"a", b"2"), (b"b", b"y")]);
        block.append(Id { ms: 6, seq: 1 }, &[(b"c", b"-7")]);
        block
    }

    fn shown(block: &Block) -> Vec<String> {
        let mut shown = Vec::new();
        for entry in block.entries().filter(|entry| !entry.deleted) {
            let mut line = format!("{}-{}", entry.id.ms, entry.id.seq);
            entry.each(|name, value| {
                line += &format!(
                    " {}={}",
                    String::from_utf8_lossy(&name.to_vec()),
                    String::from_utf8_lossy(&value.to_vec())
                );
            });
            shown.push(line);
        }
        shown
    }

    #[test]
    fn entries_are_kept_and_deleted() {
        let mut block = block();
        assert_eq!(shown(&block), ["5-3 a=1 b=x", "6-0 a=2 b=y", "6-1 c=-7"]);
        assert!(block.delete(Id { ms: 6, seq: 0 }));
        assert!(!block.delete(Id { ms: 6, seq: 0 }));
        assert_eq!(block.counts(), (2, 1));
        assert_eq!(shown(&block), ["5-3 a=1 b=x", "6-1 c=-7"]);
        let id = block.id;
        assert!(Block::checked(id, block.pack.clone()).is_some());
        assert_eq!(block.delete_while(|entry| entry.id.ms < 6), 1);
        assert_eq!(shown(&block), ["6-1 c=-7"]);
    }

    #[test]
    fn ids_have_neighbours() {
        let at = Id { ms: 1, seq: u64::MAX };
        assert_eq!(at.next(), Some(Id { ms: 2, seq: 0 }));
        assert_eq!(at.next().and_then(Id::prev), Some(at));
        assert_eq!((Id::MAX.next(), Id::MIN.prev()), (None, None));
        assert_eq!(Id::from_bytes(at.to_bytes()), at);
    }

    #[test]
    fn no_mutated_block_panics() {
        let bytes = block().as_bytes().to_vec();
        let mut state = 3u64;
        for _ in 0..20_000 {
            let mut bytes = bytes.clone();
            for _ in 0..2 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let at = (state >> 33) as usize % bytes.len();
                bytes[at] ^= (state >> 20) as u8;
            }
            if let Some(pack) = ListPack::from_bytes(bytes)
                && let Some(mut block) = Block::checked(Id { ms: 5, seq: 3 }, pack)
            {
                let _ = shown(&block);
                block.append(Id { ms: 9, seq: 9 }, &[(b"z", b"1")]);
                block.delete_while(|_| true);
            }
        }
    }
}
