//! The hash table: cache-line buckets with tags, grown and shrunk one bucket at a time.
//!
//! ```text
//! bucket, 64 bytes:  [6 tags][occupied bits][marked bits][6 elements][overflow bucket]
//! ```
//!
//! *Linear hashing*: a table has `2^level + split` buckets. Bucket `split` is divided next, whichever
//! bucket was inserted into, so that there is no moment at which all is rehashed and none at which
//! two tables exist. A look-up compares six tags of one cache line and touches an element only where
//! its tag is equal. A *marked* element is one that the owner wants to find without looking at all
//! the others: keys that expire.
//!
//! [`Table::scan`] walks the buckets in the order of their reversed bits, so that a bucket that is
//! divided or merged between two calls is neither missed nor its elements lost: every element that
//! is there throughout is seen at least once.

use super::{hash, rng};

const SLOTS: usize = 6;
/// Buckets that are allocated at a time, once there are that many.
const SEGMENT: usize = 64;
/// Elements for every 16 buckets above which the table grows, below which it shrinks.
const GROW_ABOVE: usize = 75;
const SHRINK_BELOW: usize = 24;

/// What a table holds: one pointer in size.
pub trait Element {
    /// What it is found by.
    fn key(&self) -> &[u8];
}

#[repr(align(64))]
struct Bucket<T> {
    tags: [u8; SLOTS],
    occupied: u8,
    marked: u8,
    elements: [Option<T>; SLOTS],
    overflow: Option<Box<Bucket<T>>>,
}

impl<T> Bucket<T> {
    fn new() -> Bucket<T> {
        Bucket {
            tags: [0; SLOTS],
            occupied: 0,
            marked: 0,
            elements: [const { None }; SLOTS],
            overflow: None,
        }
    }

    fn elements(&self) -> impl Iterator<Item = &T> {
        let mut bucket = Some(self);
        std::iter::from_fn(move || {
            let here = bucket?;
            bucket = here.overflow.as_deref();
            Some(here)
        })
        .flat_map(|bucket| bucket.elements.iter().flatten())
    }
}

impl<T: Element> Bucket<T> {
    #[inline]
    fn slot(&self, tag: u8, key: &[u8]) -> Option<usize> {
        (0..SLOTS).find(|&slot| {
            self.tags[slot] == tag
                && self.elements[slot].as_ref().is_some_and(|element| element.key() == key)
        })
    }

    fn put(&mut self, tag: u8, element: T, marked: bool) {
        let mut bucket = self;
        while bucket.occupied == (1 << SLOTS) - 1 {
            bucket = bucket.overflow.get_or_insert_with(|| Box::new(Bucket::new()));
        }
        let slot = bucket.occupied.trailing_ones() as usize;
        bucket.tags[slot] = tag;
        bucket.occupied |= 1 << slot;
        bucket.marked |= u8::from(marked) << slot;
        bucket.elements[slot] = Some(element);
    }

    fn take(&mut self, slot: usize) -> Option<T> {
        self.tags[slot] = 0;
        self.occupied &= !(1 << slot);
        self.marked &= !(1 << slot);
        self.elements[slot].take()
    }

    /// Takes all out: `(tag, marked, element)` of each.
    fn drain(mut self, mut each: impl FnMut(u8, bool, T)) {
        loop {
            for slot in 0..SLOTS {
                let (tag, marked) = (self.tags[slot], self.marked >> slot & 1 == 1);
                if let Some(element) = self.elements[slot].take() {
                    each(tag, marked, element);
                }
            }
            match self.overflow.take() {
                Some(next) => self = *next,
                None => return,
            }
        }
    }
}

/// A hash table of `T`.
pub struct Table<T> {
    segments: Vec<Vec<Bucket<T>>>,
    level: u32,
    split: usize,
    len: usize,
    marked: usize,
}

impl<T: Element> Default for Table<T> {
    fn default() -> Table<T> {
        Table::new()
    }
}

impl<T: Element> Table<T> {
    /// An empty one; it allocates nothing.
    pub fn new() -> Table<T> {
        Table { segments: Vec::new(), level: 0, split: 0, len: 0, marked: 0 }
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many elements are marked.
    pub fn marked(&self) -> usize {
        self.marked
    }

    /// How many buckets.
    pub fn buckets(&self) -> usize {
        if self.segments.is_empty() { 0 } else { (1 << self.level) + self.split }
    }

    #[inline]
    fn index(&self, hash: u64) -> usize {
        let index = hash as usize & ((1 << self.level) - 1);
        if index < self.split { hash as usize & ((2 << self.level) - 1) } else { index }
    }

    #[inline]
    fn bucket(&self, index: usize) -> Option<&Bucket<T>> {
        self.segments.get(index / SEGMENT)?.get(index % SEGMENT)
    }

    #[inline]
    fn bucket_mut(&mut self, index: usize) -> Option<&mut Bucket<T>> {
        self.segments.get_mut(index / SEGMENT)?.get_mut(index % SEGMENT)
    }

    /// The element whose key is `key`.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&T> {
        let tag = hash::tag(hash);
        let mut bucket = self.bucket(self.index(hash));
        while let Some(here) = bucket {
            if let Some(slot) = here.slot(tag, key) {
                return here.elements[slot].as_ref();
            }
            bucket = here.overflow.as_deref();
        }
        None
    }

    /// The element whose key is `key`, to be changed. Its key must stay.
    #[inline]
    pub fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut T> {
        let tag = hash::tag(hash);
        let mut bucket = self.bucket_mut(self.index(hash));
        while let Some(here) = bucket {
            if let Some(slot) = here.slot(tag, key) {
                return here.elements[slot].as_mut();
            }
            bucket = here.overflow.as_deref_mut();
        }
        None
    }

    /// Adds an element whose key is not there yet.
    pub fn insert(&mut self, hash: u64, element: T, marked: bool) {
        if self.segments.is_empty() {
            self.push_bucket(Bucket::new());
        } else if self.len * 16 >= self.buckets() * GROW_ABOVE {
            self.grow();
        }
        let index = self.index(hash);
        if let Some(bucket) = self.bucket_mut(index) {
            bucket.put(hash::tag(hash), element, marked);
            self.len += 1;
            self.marked += usize::from(marked);
        }
    }

    /// Takes the element whose key is `key` out.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<T> {
        let tag = hash::tag(hash);
        let index = self.index(hash);
        let mut bucket = self.bucket_mut(index);
        while let Some(here) = bucket {
            if let Some(slot) = here.slot(tag, key) {
                let was_marked = here.marked >> slot & 1 == 1;
                let element = here.take(slot);
                self.len -= 1;
                self.marked -= usize::from(was_marked);
                self.shrink();
                return element;
            }
            bucket = here.overflow.as_deref_mut();
        }
        None
    }

    /// Marks the element whose key is `key`, or takes its mark away.
    pub fn mark(&mut self, hash: u64, key: &[u8], marked: bool) {
        let tag = hash::tag(hash);
        let mut bucket = self.bucket_mut(self.index(hash));
        while let Some(here) = bucket {
            if let Some(slot) = here.slot(tag, key) {
                let before = here.marked >> slot & 1 == 1;
                here.marked = here.marked & !(1 << slot) | u8::from(marked) << slot;
                self.marked = self.marked + usize::from(marked) - usize::from(before);
                return;
            }
            bucket = here.overflow.as_deref_mut();
        }
    }

    fn push_bucket(&mut self, bucket: Bucket<T>) {
        match self.segments.last_mut() {
            Some(segment) if segment.len() < SEGMENT => segment.push(bucket),
            Some(_) => {
                let mut segment = Vec::with_capacity(SEGMENT);
                segment.push(bucket);
                self.segments.push(segment);
            }
            None => {
                let mut segment = Vec::with_capacity(1);
                segment.push(bucket);
                self.segments.push(segment);
            }
        }
    }

    /// Divides bucket `split` in two.
    fn grow(&mut self) {
        let from = self.split;
        let Some(bucket) = self.bucket_mut(from) else { return };
        let old = std::mem::replace(bucket, Bucket::new());
        self.push_bucket(Bucket::new());
        self.split += 1;
        if self.split == 1 << self.level {
            self.level += 1;
            self.split = 0;
        }
        self.place_again(old);
    }

    /// Joins the last bucket with the one that it was divided from.
    fn shrink(&mut self) {
        let buckets = self.buckets();
        if buckets <= 1 || self.len * 16 >= buckets * SHRINK_BELOW {
            return;
        }
        let Some(segment) = self.segments.last_mut() else { return };
        let Some(bucket) = segment.pop() else { return };
        if segment.is_empty() {
            self.segments.pop();
        } else if buckets < SEGMENT && segment.len() * 4 <= segment.capacity() {
            segment.shrink_to(segment.len() * 2);
        }
        if self.split == 0 {
            self.level -= 1;
            self.split = 1 << self.level;
        }
        self.split -= 1;
        self.place_again(bucket);
    }

    fn place_again(&mut self, bucket: Bucket<T>) {
        bucket.drain(|tag, marked, element| {
            let index = self.index(hash::of(element.key()));
            if let Some(bucket) = self.bucket_mut(index) {
                bucket.put(tag, element, marked);
            }
        });
    }

    /// All elements, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flatten().flat_map(Bucket::elements)
    }

    /// Shows the elements of one cursor's buckets to `each`; the next cursor, 0 at the end.
    pub fn scan(&self, cursor: u64, mut each: impl FnMut(&T)) -> u64 {
        if self.segments.is_empty() {
            return 0;
        }
        let mask = (1u64 << self.level) - 1;
        let low = cursor & mask;
        // A bucket that has been divided in this round is two: both are behind the same cursor.
        let twin = (low as usize) < self.split;
        for index in [Some(low as usize), twin.then_some(low as usize + (1 << self.level))] {
            if let Some(bucket) = index.and_then(|index| self.bucket(index)) {
                bucket.elements().for_each(&mut each);
            }
        }
        // Adds one to the reversed bits: cursors of a smaller table stand for all their extensions.
        let next = (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits();
        if next & mask == 0 { 0 } else { next & mask }
    }

    /// A random element; those in full buckets are a little less likely.
    pub fn random(&self) -> Option<&T> {
        if self.len == 0 {
            return None;
        }
        loop {
            let bucket = self.bucket(rng::below(self.buckets()))?;
            let count = bucket.elements().count();
            if count > 0 {
                return bucket.elements().nth(rng::below(count));
            }
        }
    }

    /// Shows marked elements of up to `buckets` buckets from `from` on to `each`; where to go on.
    pub fn sweep(&self, from: usize, buckets: usize, mut each: impl FnMut(&T)) -> usize {
        let end = self.buckets().min(from + buckets);
        for index in from..end {
            let mut bucket = self.bucket(index);
            while let Some(here) = bucket {
                for slot in 0..SLOTS {
                    if here.marked >> slot & 1 == 1 {
                        here.elements[slot].iter().for_each(&mut each);
                    }
                }
                bucket = here.overflow.as_deref();
            }
        }
        if end >= self.buckets() { 0 } else { end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    struct Word(Box<String>);

    impl Element for Word {
        fn key(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }

    fn word(number: usize) -> (u64, Word) {
        let word = Word(Box::new(format!("word:{number}")));
        (hash::of(word.key()), word)
    }

    #[test]
    fn a_bucket_is_one_cache_line() {
        assert_eq!(size_of::<Bucket<Word>>(), 64);
    }

    #[test]
    fn it_behaves_as_a_map_while_it_grows_and_shrinks() {
        let (mut table, mut model) = (Table::new(), BTreeMap::new());
        for round in 0..3 {
            for number in 0..5000 {
                let (hash, element) = word(number);
                if table.find(hash, element.key()).is_none() {
                    table.insert(hash, element, number % 3 == 0);
                    model.insert(number, ());
                }
            }
            assert_eq!(table.len(), model.len());
            assert_eq!(table.marked(), 1667, "round {round}");
            for number in (0..5000).filter(|number| number % 100 != round) {
                let (hash, element) = word(number);
                assert!(table.remove(hash, element.key()).is_some());
                model.remove(&number);
            }
            assert_eq!(table.iter().count(), model.len());
            assert!(table.buckets() < 100);
            for (number, ()) in std::mem::take(&mut model) {
                let (hash, element) = word(number);
                assert!(table.remove(hash, element.key()).is_some());
            }
            assert_eq!((table.len(), table.marked()), (0, 0));
        }
    }

    #[test]
    fn a_scan_sees_all_that_stays_while_the_table_changes() {
        let mut table = Table::new();
        for number in 0..2000 {
            let (hash, element) = word(number);
            table.insert(hash, element, false);
        }
        let (mut seen, mut cursor, mut step) = (BTreeSet::new(), 0, 0);
        loop {
            cursor = table.scan(cursor, |word| drop(seen.insert(word.0.to_string())));
            if cursor == 0 {
                break;
            }
            step += 1;
            for extra in 0..20 {
                let (hash, element) = word(10_000 + step * 20 + extra);
                if step < 300 {
                    table.insert(hash, element, false);
                } else if let Some(number) = (step < 600).then_some(4000 + step * 20 + extra) {
                    let (hash, element) = word(number);
                    table.remove(hash, element.key());
                }
            }
        }
        for number in 0..2000 {
            assert!(seen.contains(&format!("word:{number}")), "{number}");
        }
    }
}
