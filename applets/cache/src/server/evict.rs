//! Makes room when memory is full: samples keys, keeps the best candidates in a pool between calls,
//! and removes the best of them, as the incumbents do.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use box_wire::resp::push_request;

use super::Server;
use super::hot::{Policy, pause};
use crate::cmd::db::event;
use crate::cmd::reply::Out;
use crate::store::entry::Entry;
use crate::store::shard::{Place, SHARDS};
use crate::store::table::Element;
use crate::store::{lfu, rng};

const POOL: usize = 16;
/// Tries to find a key before memory is taken to be full of other things.
const TRIES: usize = 4 * SHARDS;

/// A key that may be evicted; the higher its score, the sooner.
struct Candidate {
    score: u64,
    db: u32,
    key: Vec<u8>,
}

/// The candidates, worst first.
#[derive(Default)]
pub struct Pool(Mutex<Vec<Candidate>>);

impl Server {
    /// Makes room if memory is full; whether there is room now.
    pub fn make_room(
        &'static self,
        worker: usize,
        now: i64,
        samples: usize,
        own: (u64, &mut Out),
    ) -> bool {
        let max = self.hot.maxmemory.load(Ordering::Relaxed) as usize;
        if self.repl.is_replica() && self.config().is_on("replica-ignore-maxmemory") {
            // The master decides what goes.
            return true;
        }
        if box_sys::heap_use::used_bytes() <= max
            || self.hot.pause.load(Ordering::Relaxed) != pause::NONE
        {
            return true;
        }
        let (policy, volatile) = self.hot.policy();
        if policy == Policy::NoEviction {
            return false;
        }
        let mut pool = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        while box_sys::heap_use::used_bytes() > max {
            let found = match policy {
                Policy::Random => self.random_key(volatile),
                _ => {
                    self.fill(&mut pool, policy, volatile, samples, now);
                    pool.pop().map(|candidate| (candidate.db, candidate.key))
                }
            };
            let Some((db, key)) = found else {
                return self.bin.pending() > 0 && box_sys::heap_use::used_bytes() <= max;
            };
            self.evict(worker, now, (db, &key), volatile, (own.0, &mut *own.1));
        }
        true
    }

    fn evict(
        &'static self,
        worker: usize,
        now: i64,
        (db, key): (u32, &[u8]),
        volatile: bool,
        own: (u64, &mut Out),
    ) {
        let mut db = self.lock_db(worker, db, now, &[Place::of(key)]);
        let fits = db.peek(key).is_some_and(|entry| !volatile || entry.expiry().is_some());
        if !fits {
            return;
        }
        db.shard_of(key).before_change();
        db.remove(key);
        db.stats.evicted.add(1);
        let id = db.id;
        db.touch(key);
        db.event(event::EVICTED, "evicted", key);
        let mut request = Vec::new();
        push_request(&mut request, [&b"DEL"[..], key].into_iter());
        self.propagate(id, &request);
        let news = std::mem::take(&mut db.effects.news);
        drop(db);
        let (client, out) = own;
        self.tell(news, client, Some(out));
    }

    /// Samples keys of one random shard into the pool.
    fn fill(
        &self,
        pool: &mut Vec<Candidate>,
        policy: Policy,
        volatile: bool,
        samples: usize,
        now: i64,
    ) {
        let mut missing = samples.max(1);
        for _ in 0..TRIES {
            let shard = self.keyspace.shard(rng::below(SHARDS));
            for (db, table) in shard.dbs.iter().enumerate() {
                if table.is_empty() || (volatile && table.marked() == 0) {
                    continue;
                }
                while missing > 0 {
                    let Some(entry) = sample(table, volatile) else { break };
                    missing -= 1;
                    let score = self.score(entry, policy, now);
                    offer(pool, score, db as u32, entry.key());
                }
            }
            if missing == 0 {
                return;
            }
        }
    }

    fn score(&self, entry: &Entry, policy: Policy, now: i64) -> u64 {
        match (policy, self.hot.lfu()) {
            (Policy::Ttl, _) => u64::MAX - entry.expiry().unwrap_or(i64::MAX) as u64,
            (_, Some((_, decay))) => {
                255 - u64::from(lfu::decayed(entry.clock(), self.hot.clock(now), decay))
            }
            _ => u64::from(self.hot.clock(now).wrapping_sub(entry.clock()) & 0xff_ffff),
        }
    }

    fn random_key(&self, volatile: bool) -> Option<(u32, Vec<u8>)> {
        for _ in 0..TRIES {
            let shard = self.keyspace.shard(rng::below(SHARDS));
            let start = rng::below(shard.dbs.len());
            for step in 0..shard.dbs.len() {
                let db = (start + step) % shard.dbs.len();
                if let Some(entry) = sample(&shard.dbs[db], volatile) {
                    return Some((db as u32, entry.key().to_vec()));
                }
            }
        }
        None
    }
}

fn sample(table: &crate::store::table::Table<Entry>, volatile: bool) -> Option<&Entry> {
    if !volatile {
        return table.random();
    }
    if table.marked() == 0 {
        return None;
    }
    (0..table.buckets().max(16))
        .find_map(|_| table.random().filter(|entry| entry.expiry().is_some()))
}

fn offer(pool: &mut Vec<Candidate>, score: u64, db: u32, key: &[u8]) {
    if pool.iter().any(|candidate| candidate.db == db && candidate.key == key) {
        return;
    }
    let at = pool.partition_point(|candidate| candidate.score < score);
    if pool.len() == POOL {
        if at == 0 {
            return;
        }
        pool.remove(0);
        pool.insert(at - 1, Candidate { score, db, key: key.to_vec() });
    } else {
        pool.insert(at, Candidate { score, db, key: key.to_vec() });
    }
}
