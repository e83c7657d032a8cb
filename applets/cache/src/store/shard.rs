//! The keyspace: 256 shards, each a lock around its part of every database.
//!
//! A key's shard follows from its hash tag, or from the whole key without one, so that all keys of
//! a cluster slot are in one shard. A command declares its keys; [`Keyspace::lock`] takes their
//! shards in ascending order, and work on the whole keyspace takes all of them in the same order:
//! so no two workers ever wait for each other in a circle, and a command is atomic towards
//! everybody. What a [`View`] does not hold cannot be reached.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::entry::Entry;
use super::hash;
use super::lock::{Guard, Lock};
use super::table::Table;
use crate::persist::snapshot::Snapshot;
use crate::server::blocked::Waiter;

/// How many shards. A power of two.
pub const SHARDS: usize = 256;

/// A client's note that a key it watches has been changed.
pub type WatchFlag = Arc<AtomicBool>;

/// A part of the keyspace.
pub struct Shard {
    /// Its part of each database.
    pub dbs: Vec<Table<Entry>>,
    /// Who watches which key of which database.
    pub watched: HashMap<(u32, Vec<u8>), Vec<WatchFlag>>,
    /// Who waits for which key of which database, first come first served.
    pub waiting: HashMap<(u32, Vec<u8>), VecDeque<Arc<Waiter>>>,
    /// Where the sweep for expired keys goes on, for each database.
    pub sweep_at: Vec<usize>,
    /// The snapshot that this shard has not been written to yet.
    pub snapshot: Option<Arc<Snapshot>>,
}

impl Shard {
    /// Must be called before anything in the shard changes: a snapshot that has not got the shard
    /// yet gets it now, as it is.
    #[inline]
    pub fn before_change(&mut self) {
        if self.snapshot.is_some() {
            self.write_to_snapshot();
        }
    }

    /// Gives the shard to the snapshot that waits for it.
    #[cold]
    pub fn write_to_snapshot(&mut self) {
        if let Some(snapshot) = self.snapshot.take() {
            snapshot.take_shard(self);
        }
    }

    /// Tells the clients that watch `key` that it has changed.
    #[inline]
    pub fn touch(&self, db: u32, key: &[u8]) {
        if !self.watched.is_empty() {
            self.touch_watched(db, key);
        }
    }

    #[cold]
    fn touch_watched(&self, db: u32, key: &[u8]) {
        for flag in self.watched.get(&(db, key.to_vec())).into_iter().flatten() {
            flag.store(true, Ordering::Release);
        }
    }

    /// Tells all clients that watch a key of `db` (of any, without one) that it may have changed.
    pub fn touch_all(&self, db: Option<u32>) {
        for ((of, _), flags) in &self.watched {
            if db.is_none_or(|db| db == *of) {
                flags.iter().for_each(|flag| flag.store(true, Ordering::Release));
            }
        }
    }
}

/// All shards.
pub struct Keyspace {
    shards: Vec<Lock<Shard>>,
    /// Whether whoever waits for a shard is to give up: a slow script holds them all.
    slow: AtomicBool,
}

/// The hash of a key and the shard it is in.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Of the whole key.
    pub hash: u64,
    /// Of its hash tag.
    pub shard: usize,
}

impl Place {
    /// Where `key` is.
    #[inline]
    pub fn of(key: &[u8]) -> Place {
        let hash = hash::of(key);
        let shard = match hash_tag(key) {
            Some(tag) => hash::shard(hash::of(tag)),
            None => hash::shard(hash),
        };
        Place { hash, shard }
    }
}

/// What stands between the first `{` and the next `}` of a key, if it is not empty.
#[inline]
pub fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = memchr::memchr(b'{', key)?;
    let rest = key.get(open + 1..)?;
    let close = memchr::memchr(b'}', rest)?;
    (close > 0).then(|| &rest[..close])
}

impl Keyspace {
    /// Empty ones for `dbs` databases.
    pub fn new(dbs: usize) -> Keyspace {
        let shard = || {
            Lock::new(Shard {
                dbs: (0..dbs).map(|_| Table::new()).collect(),
                watched: HashMap::new(),
                waiting: HashMap::new(),
                sweep_at: vec![0; dbs],
                snapshot: None,
            })
        };
        let shards = (0..SHARDS).map(|_| shard()).collect();
        Keyspace { shards, slow: AtomicBool::new(false) }
    }

    /// Locks one shard.
    #[inline]
    pub fn shard(&self, index: usize) -> Guard<'_, Shard> {
        self.shards[index].lock()
    }

    /// Locks one shard, unless a slow script holds it.
    #[inline]
    fn shard_unless_slow(&self, index: usize) -> Option<Guard<'_, Shard>> {
        self.shards[index].lock_unless(|| self.slow.load(Ordering::Acquire))
    }

    /// From here on a script is slow, or none is any more.
    pub fn set_slow(&self, slow: bool) {
        self.slow.store(slow, Ordering::Release);
    }

    /// Locks the shards of `places`, unless a slow script holds one.
    #[inline]
    pub fn lock_unless_slow(&self, places: &[Place]) -> Option<View<'_>> {
        if let [place] = places {
            return Some(View {
                held: Held::One(place.shard, self.shard_unless_slow(place.shard)?),
            });
        }
        let mut shards: Vec<usize> = places.iter().map(|place| place.shard).collect();
        shards.sort_unstable();
        shards.dedup();
        if shards.is_empty() {
            return Some(View { held: Held::None });
        }
        let guards = shards.into_iter().map(|shard| Some((shard, self.shard_unless_slow(shard)?)));
        Some(View { held: Held::Many(guards.collect::<Option<_>>()?) })
    }

    /// Locks all, unless a slow script holds them.
    pub fn lock_all_unless_slow(&self) -> Option<View<'_>> {
        let guards = (0..SHARDS).map(|index| self.shard_unless_slow(index));
        Some(View { held: Held::World(guards.collect::<Option<_>>()?) })
    }

    /// Locks the shards of `places`.
    #[inline]
    pub fn lock(&self, places: &[Place]) -> View<'_> {
        match places {
            [] => View { held: Held::None },
            [place] => View { held: Held::One(place.shard, self.shard(place.shard)) },
            _ => {
                let mut shards: Vec<usize> = places.iter().map(|place| place.shard).collect();
                shards.sort_unstable();
                shards.dedup();
                self.lock_shards(&shards)
            }
        }
    }

    /// Locks shards given in ascending order.
    pub fn lock_shards(&self, shards: &[usize]) -> View<'_> {
        match shards {
            [] => View { held: Held::None },
            [shard] => View { held: Held::One(*shard, self.shard(*shard)) },
            _ => {
                let guards = shards.iter().map(|shard| (*shard, self.shard(*shard)));
                View { held: Held::Many(guards.collect()) }
            }
        }
    }

    /// Locks all: nobody else executes a command meanwhile.
    pub fn lock_all(&self) -> View<'_> {
        View { held: Held::World((0..SHARDS).map(|index| self.shard(index)).collect()) }
    }

    /// Shows one shard after the other to `each`, each locked for itself.
    pub fn each_shard(&self, mut each: impl FnMut(&mut Shard)) {
        for index in 0..SHARDS {
            each(&mut self.shard(index));
        }
    }
}

/// The shards that a command holds.
pub struct View<'a> {
    held: Held<'a>,
}

enum Held<'a> {
    None,
    One(usize, Guard<'a, Shard>),
    Many(Vec<(usize, Guard<'a, Shard>)>),
    World(Vec<Guard<'a, Shard>>),
}

impl View<'_> {
    /// The shard with this number, which must be among those held.
    #[inline]
    pub fn shard(&mut self, index: usize) -> &mut Shard {
        match self.find(index) {
            Some(shard) => shard,
            None => panic!("shard {index} is not held: the command did not declare the key"),
        }
    }

    #[inline]
    fn find(&mut self, index: usize) -> Option<&mut Shard> {
        match &mut self.held {
            Held::None => None,
            Held::One(held, guard) => (*held == index).then_some(&mut **guard),
            Held::Many(list) => {
                list.iter_mut().find(|(held, _)| *held == index).map(|(_, guard)| &mut **guard)
            }
            Held::World(list) => list.get_mut(index).map(|guard| &mut **guard),
        }
    }

    /// Whether the shard with this number is held.
    pub fn holds(&self, index: usize) -> bool {
        match &self.held {
            Held::None => false,
            Held::One(held, _) => *held == index,
            Held::Many(list) => list.iter().any(|(held, _)| *held == index),
            Held::World(_) => true,
        }
    }

    /// Tells the shards held that they are about to be changed.
    #[inline]
    pub fn before_change(&mut self) {
        match &mut self.held {
            Held::None => {}
            Held::One(_, guard) => guard.before_change(),
            Held::Many(list) => list.iter_mut().for_each(|(_, guard)| guard.before_change()),
            Held::World(list) => list.iter_mut().for_each(|guard| guard.before_change()),
        }
    }

    /// Whether all shards are held.
    pub fn is_world(&self) -> bool {
        matches!(self.held, Held::World(_))
    }

    /// All shards held, in ascending order.
    pub fn shards(&mut self) -> Vec<&mut Shard> {
        match &mut self.held {
            Held::None => Vec::new(),
            Held::One(_, guard) => vec![&mut **guard],
            Held::Many(list) => list.iter_mut().map(|(_, guard)| &mut **guard).collect(),
            Held::World(list) => list.iter_mut().map(|guard| &mut **guard).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tag_chooses_the_shard() {
        assert_eq!(hash_tag(b"a{b}c"), Some(&b"b"[..]));
        assert_eq!(hash_tag(b"a{}c"), None);
        assert_eq!(hash_tag(b"a{b"), None);
        assert_eq!(Place::of(b"x{tag}1").shard, Place::of(b"y{tag}2").shard);
    }
}
