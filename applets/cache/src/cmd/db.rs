//! The keys that a command has locked, and what it does to them.
//!
//! Reads and writes go through here, so that each of the things that must happen beside a change
//! has one place: expiry on access, the LRU clock, WATCH, waiting clients, events, the log.

use std::sync::atomic::Ordering;

use box_wire::decimal::{parse_i64, push_i64};
use box_wire::resp::push_request;

use super::{Error, WRONG_TYPE};
use crate::server::Server;
use crate::server::stats::Stats;
use crate::store::entry::{Entry, NewValue, Value};
use crate::store::shard::{Place, Shard, View};
use crate::types::{Hash, Limits, List, Object, Set, Stream, Zset};

/// Classes of keyspace events (`notify-keyspace-events`).
pub mod event {
    #![allow(missing_docs, reason = "the letters of the configuration say it")]
    pub const KEYSPACE: u32 = 1;
    pub const KEYEVENT: u32 = 1 << 1;
    pub const GENERIC: u32 = 1 << 2;
    pub const STRING: u32 = 1 << 3;
    pub const LIST: u32 = 1 << 4;
    pub const SET: u32 = 1 << 5;
    pub const HASH: u32 = 1 << 6;
    pub const ZSET: u32 = 1 << 7;
    pub const EXPIRED: u32 = 1 << 8;
    pub const EVICTED: u32 = 1 << 9;
    pub const STREAM: u32 = 1 << 10;
    pub const KEY_MISS: u32 = 1 << 11;
    pub const NEW: u32 = 1 << 14;
}

/// What a command has done beside its reply.
#[derive(Debug, Default)]
pub struct Effects {
    /// How many changes.
    pub dirty: u64,
    /// Requests that stand for the command in the log, instead of its own words.
    pub instead: Vec<(u32, Vec<u8>)>,
    /// Whether the command's own words are not to be logged.
    pub not_verbatim: bool,
    /// Keys that a client may be waiting for.
    pub ready: Vec<(u32, Vec<u8>)>,
    /// What others are told once the shards are free.
    pub news: News,
}

/// What others are told of a command.
#[derive(Debug, Default)]
pub struct News {
    /// Events to be published: database, class, name of the event, key.
    pub events: Vec<(u32, u32, &'static str, Vec<u8>)>,
    /// Keys that have changed, if anybody tracks keys.
    pub changed: Vec<Vec<u8>>,
    /// Whether all keys have changed.
    pub flushed: bool,
}

/// What happens to a key whose time has come when somebody looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It is removed.
    Removed,
    /// It is as if it were not there; a replica waits for its master to remove it.
    Hidden,
    /// It is there: what a master does to it happened before.
    Ignored,
}

/// A string's value.
pub enum Text<'a> {
    /// The text of a number.
    Int(i64),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl Text<'_> {
    /// As bytes, using `scratch` for a number's text.
    pub fn bytes<'s>(&'s self, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        match self {
            Text::Bytes(bytes) => bytes,
            Text::Int(value) => {
                scratch.clear();
                push_i64(scratch, *value);
                scratch
            }
        }
    }
}

/// The locked keys of one database.
pub struct Db<'a> {
    /// The server.
    pub server: &'static Server,
    /// The shards held.
    pub view: View<'a>,
    /// The database's number.
    pub id: u32,
    /// Unix time of the command, in ms: it does not pass while the command runs.
    pub now: i64,
    /// The clock that a key gets when it is used.
    pub clock: u32,
    /// The limits of the compact encodings.
    pub limits: Limits,
    /// What has been done.
    pub effects: Effects,
    /// Counters of this worker.
    pub stats: &'static Stats,
    /// Whether reading a key does not renew its clock.
    pub no_touch: bool,
    /// What happens to keys whose time has come.
    pub expiry: Expiry,
    /// The one key that the request declares, by its address in the request, with its place. Other
    /// keys must not be remembered so: their bytes may be gone, and others at their address.
    pub declared: Option<(*const u8, usize, Place)>,
}

impl Db<'_> {
    #[inline]
    fn place(&self, key: &[u8]) -> Place {
        match self.declared {
            Some((at, len, place)) if at == key.as_ptr() && len == key.len() => place,
            _ => Place::of(key),
        }
    }

    /// The shard of `key`.
    pub fn shard_of(&mut self, key: &[u8]) -> &mut Shard {
        let place = self.place(key);
        self.view.shard(place.shard)
    }

    /// The entry of `key`, unless it has expired. Nothing is counted, no clock is set.
    #[inline]
    pub fn peek(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let place = self.place(key);
        let id = self.id as usize;
        let table = &self.view.shard(place.shard).dbs[id];
        if table.marked() > 0 {
            let expiry = table.find(place.hash, key).and_then(Entry::expiry);
            if expiry.is_some_and(|at| at <= self.now) {
                if self.expiry == Expiry::Ignored {
                    return self.view.shard(place.shard).dbs[id].find_mut(place.hash, key);
                }
                if self.expiry == Expiry::Removed {
                    self.expire(key);
                }
                return None;
            }
        }
        self.view.shard(place.shard).dbs[id].find_mut(place.hash, key)
    }

    /// The entry of `key`, for reading: counts a hit or a miss.
    #[inline]
    pub fn read(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let (clock, no_touch, stats, lfu) = (self.clock, self.no_touch, self.stats, self.lfu());
        let found = self.peek(key).is_some();
        if !found {
            stats.misses.add(1);
            self.event(event::KEY_MISS, "keymiss", key);
            return None;
        }
        stats.hits.add(1);
        let place = self.place(key);
        let id = self.id as usize;
        let entry = self.view.shard(place.shard).dbs[id].find_mut(place.hash, key)?;
        if !no_touch {
            use_now(entry, clock, lfu);
        }
        Some(entry)
    }

    /// The entry of `key`, for telling about it: counts a hit or a miss, its clock stays.
    pub fn glance(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let stats = self.stats;
        if self.peek(key).is_none() {
            stats.misses.add(1);
            self.event(event::KEY_MISS, "keymiss", key);
            return None;
        }
        stats.hits.add(1);
        self.peek(key)
    }

    /// The entry of `key`, for changing it.
    #[inline]
    pub fn write(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let (clock, no_touch, lfu) = (self.clock, self.no_touch, self.lfu());
        let entry = self.peek(key)?;
        if !no_touch {
            use_now(entry, clock, lfu);
        }
        Some(entry)
    }

    fn lfu(&self) -> Option<(u32, u32)> {
        self.server.hot.lfu()
    }

    /// Whether there is such a key.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.peek(key).is_some()
    }

    /// The string at `key`, for reading.
    #[inline]
    pub fn text(&mut self, key: &[u8]) -> Result<Option<Text<'_>>, Error> {
        as_text(self.read(key))
    }

    /// The string at `key`, for changing it.
    pub fn text_to_change(&mut self, key: &[u8]) -> Result<Option<Text<'_>>, Error> {
        as_text(self.write(key))
    }

    /// Stores a value: the key gets this expiry, whatever it had.
    pub fn put(&mut self, key: &[u8], value: NewValue<'_>, expiry: Option<i64>) {
        let place = self.place(key);
        let (id, clock) = (self.id as usize, self.new_clock());
        let table = &mut self.view.shard(place.shard).dbs[id];
        match table.find_mut(place.hash, key) {
            Some(entry) => {
                let was_stream = matches!(entry.value(), Value::Object(Object::Stream(_)));
                let had = entry.expiry().is_some();
                let heavy = entry.object_mut().is_some_and(|object| object.effort() > 64);
                if heavy {
                    let new = Entry::new(key, value, expiry, clock);
                    let old = std::mem::replace(entry, new);
                    self.server.bin.dispose(old);
                } else if had == expiry.is_some() {
                    entry.set_expiry(expiry);
                    entry.set_value(value);
                    entry.set_clock(clock);
                } else {
                    *entry = Entry::new(key, value, expiry, clock);
                }
                if had != expiry.is_some() {
                    self.view.shard(place.shard).dbs[id].mark(place.hash, key, !had);
                }
                if was_stream {
                    self.signal(key);
                }
            }
            None => {
                let entry = Entry::new(key, value, expiry, clock);
                table.insert(place.hash, entry, expiry.is_some());
                self.added(key);
            }
        }
    }

    fn new_clock(&self) -> u32 {
        match self.server.hot.lfu() {
            // A new key starts with a counter of 5, so that it is not evicted at once.
            Some(_) => self.clock << 8 | 5,
            None => self.clock,
        }
    }

    /// Stores a string in the encoding that suits it.
    #[inline]
    pub fn put_text(&mut self, key: &[u8], text: &[u8], expiry: Option<i64>) {
        self.put(key, encode(text), expiry);
    }

    /// What comes with a new key.
    fn added(&mut self, key: &[u8]) {
        self.event(event::NEW, "new", key);
        self.signal(key);
    }

    /// Looks for clients that wait for `key` once the command has ended.
    #[inline]
    pub fn signal(&mut self, key: &[u8]) {
        let id = self.id;
        let waiting = &self.shard_of(key).waiting;
        if !waiting.is_empty() && waiting.contains_key(&(id, key.to_vec())) {
            self.effects.ready.push((id, key.to_vec()));
        }
    }

    /// Removes `key`; whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.take(key).map(|entry| self.server.bin.dispose(entry)).is_some()
    }

    /// Takes the entry of `key` out.
    pub fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let place = self.place(key);
        let id = self.id as usize;
        // Who waits for entries of a group must learn that the stream has gone.
        self.signal(key);
        self.view.shard(place.shard).dbs[id].remove(place.hash, key)
    }

    /// Sets or takes away the expiry of a key that is there.
    pub fn set_expiry(&mut self, key: &[u8], expiry: Option<i64>) {
        let place = self.place(key);
        let id = self.id as usize;
        let table = &mut self.view.shard(place.shard).dbs[id];
        if let Some(entry) = table.find_mut(place.hash, key) {
            entry.set_expiry(expiry);
            table.mark(place.hash, key, expiry.is_some());
        }
    }

    /// Removes a key whose time has come, and tells everybody.
    #[cold]
    pub fn expire(&mut self, key: &[u8]) {
        let key = &key.to_vec();
        self.shard_of(key).before_change();
        if !self.remove(key) {
            return;
        }
        self.stats.expired.add(1);
        self.touch(key);
        self.event(event::EXPIRED, "expired", key);
        let mut request = Vec::new();
        push_request(&mut request, [&b"DEL"[..], key].into_iter());
        // In front of what the command itself logs.
        self.server.propagate(self.id, &request);
    }

    /// Tells that `key` has been changed: WATCH, the count of changes, an event.
    #[inline]
    pub fn changed(&mut self, class: u32, event: &'static str, key: &[u8]) {
        self.effects.dirty += 1;
        self.touch(key);
        self.event(class, event, key);
    }

    /// Tells those who watch or track `key` that it has been changed.
    #[inline]
    pub fn touch(&mut self, key: &[u8]) {
        let id = self.id;
        self.shard_of(key).touch(id, key);
        if self.server.hot.tracking.load(Ordering::Relaxed) > 0 {
            self.effects.news.changed.push(key.to_vec());
        }
    }

    /// Publishes an event about `key`, if anybody asked for its class.
    #[inline]
    pub fn event(&mut self, class: u32, event: &'static str, key: &[u8]) {
        if self.server.hot.events() & class != 0 {
            self.effects.news.events.push((self.id, class, event, key.to_vec()));
        }
    }

    /// Logs this request instead of the command's own words.
    pub fn log_instead<A: AsRef<[u8]>>(&mut self, request: &[A]) {
        let mut bytes = Vec::new();
        push_request(&mut bytes, request.iter());
        self.effects.instead.push((self.id, bytes));
        self.effects.not_verbatim = true;
    }

    /// Removes `key` if its container is empty, with the event for that; whether it was.
    pub fn remove_if_empty(&mut self, key: &[u8]) -> bool {
        let empty = self.peek(key).is_some_and(|entry| match entry.object_mut() {
            Some(Object::List(list)) => list.is_empty(),
            Some(Object::Set(set)) => set.is_empty(),
            Some(Object::Hash(hash)) => hash.is_empty(),
            Some(Object::Zset(zset)) => zset.is_empty(),
            _ => false,
        });
        if empty {
            self.remove(key);
            self.event(event::GENERIC, "del", key);
        }
        empty
    }

    /// Shows every shard, held or not: only for commands that declare no keys.
    pub fn each_shard(&mut self, mut each: impl FnMut(&mut Shard)) {
        if self.view.is_world() {
            self.view.shards().into_iter().for_each(each);
        } else {
            self.server.keyspace.each_shard(&mut each);
        }
    }
}

fn use_now(entry: &mut Entry, clock: u32, lfu: Option<(u32, u32)>) {
    match lfu {
        None => entry.set_clock(clock),
        Some((factor, decay)) => {
            entry.set_clock(crate::store::lfu::touched(entry.clock(), clock, factor, decay));
        }
    }
}

fn as_text(entry: Option<&mut Entry>) -> Result<Option<Text<'_>>, Error> {
    match entry.map(|entry| entry.value()) {
        None => Ok(None),
        Some(Value::Int(value)) => Ok(Some(Text::Int(value))),
        Some(Value::Text(text)) => Ok(Some(Text::Bytes(text))),
        Some(Value::Object(_)) => Err(WRONG_TYPE),
    }
}

/// A string as it is stored: as a number where it is the text of one.
#[inline]
pub fn encode(text: &[u8]) -> NewValue<'_> {
    if text.len() <= 20
        && let Some(value) = parse_i64(text)
    {
        return NewValue::Int(value);
    }
    NewValue::Text(text)
}

/// The accessors of one container type.
macro_rules! container {
    ($read:ident, $write:ident, $or_new:ident, $variant:ident, $type:ty) => {
        impl Db<'_> {
            /// The value at `key`, for reading.
            #[inline]
            pub fn $read(&mut self, key: &[u8]) -> Result<Option<&$type>, Error> {
                match self.read(key) {
                    None => Ok(None),
                    Some(entry) => match entry.value() {
                        Value::Object(Object::$variant(value)) => Ok(Some(value)),
                        _ => Err(WRONG_TYPE),
                    },
                }
            }

            /// The value at `key`, for changing it.
            #[inline]
            pub fn $write(&mut self, key: &[u8]) -> Result<Option<&mut $type>, Error> {
                match self.write(key) {
                    None => Ok(None),
                    Some(entry) => match entry.object_mut() {
                        Some(Object::$variant(value)) => Ok(Some(value)),
                        _ => Err(WRONG_TYPE),
                    },
                }
            }

            /// The value at `key`, made by `new` if there is none.
            pub fn $or_new(
                &mut self,
                key: &[u8],
                new: impl FnOnce() -> $type,
            ) -> Result<&mut $type, Error> {
                if self.$write(key)?.is_none() {
                    let object = Box::new(Object::$variant(new()));
                    self.put(key, NewValue::Object(object), None);
                }
                self.$write(key)?.ok_or(WRONG_TYPE)
            }
        }
    };
}

container!(list, list_mut, list_or_new, List, List);
container!(set, set_mut, set_or_new, Set, Set);
container!(hash, hash_mut, hash_or_new, Hash, Hash);
container!(zset, zset_mut, zset_or_new, Zset, Zset);
container!(stream, stream_mut, stream_or_new, Stream, Box<Stream>);
