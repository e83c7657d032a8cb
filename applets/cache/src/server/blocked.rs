//! Clients that wait for a key.
//!
//! A waiter stands in the queue of each of its keys, inside the key's shard. When a command has made
//! a key, whoever executed it serves the first waiter there, right behind its own command: it
//! executes the waiter's command in its place, on the same locks that the command would have taken,
//! and leaves the reply in the mailbox of the waiter's worker. A waiter is claimed before it is
//! served, so that it is never both served and timed out.

use std::sync::atomic::{AtomicU8, Ordering};

use box_wire::rdb::stream::Id;

use crate::store::shard::Place;
use crate::types::list::End;

/// What a waiter wants to do with a key.
#[derive(Clone, Debug)]
pub enum Want {
    /// BLPOP, BRPOP
    Pop(End),
    /// BLMOVE, BRPOPLPUSH
    Move(End, End, Vec<u8>),
    /// BLMPOP
    PopMany(End, usize),
    /// BZPOPMIN, BZPOPMAX
    ZPop(bool),
    /// BZMPOP
    ZPopMany(bool, usize),
    /// WAIT: an offset, and how many replicas must have it.
    Acks(u64, usize),
    /// XREAD, XREADGROUP
    Read(Read),
}

/// What a reader of streams waits for.
#[derive(Clone, Debug)]
pub struct Read {
    /// Each stream with the ID behind which it wants entries.
    pub after: Vec<(Vec<u8>, Id)>,
    /// The most entries.
    pub count: usize,
    /// Group and consumer, if it reads for one.
    pub group: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether what it gets need not be acknowledged.
    pub noack: bool,
}

const WAITING: u8 = 0;
const CLAIMED: u8 = 1;
const OVER: u8 = 2;

/// A client that waits.
#[derive(Debug)]
pub struct Waiter {
    /// Its number.
    pub client: u64,
    /// Its worker's number.
    pub worker: usize,
    /// Whether it speaks RESP3.
    pub resp3: bool,
    /// The database of its keys.
    pub db: u32,
    /// The keys it waits for.
    pub keys: Vec<Vec<u8>>,
    /// What it wants.
    pub want: Want,
    /// When it gives up, in ms of Unix time.
    pub until_ms: Option<i64>,
    state: AtomicU8,
}

impl Waiter {
    /// A waiter that nobody serves yet.
    pub fn new(
        client: (u64, usize, bool),
        db: u32,
        keys: Vec<Vec<u8>>,
        want: Want,
        until_ms: Option<i64>,
    ) -> Waiter {
        let (client, worker, resp3) = client;
        let state = AtomicU8::new(WAITING);
        Waiter { client, worker, resp3, db, keys, want, until_ms, state }
    }

    /// Takes the right to serve it, or to give it up.
    pub fn claim(&self) -> bool {
        self.state.compare_exchange(WAITING, CLAIMED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives the right back: there was nothing for it.
    pub fn unclaim(&self) {
        self.state.store(WAITING, Ordering::Release);
    }

    /// It has been served or has given up.
    pub fn finish(&self) {
        self.state.store(OVER, Ordering::Release);
    }

    /// All places that serving it may touch.
    pub fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self.keys.iter().map(|key| Place::of(key)).collect();
        if let Want::Move(_, _, dest) = &self.want {
            places.push(Place::of(dest));
        }
        places
    }
}
