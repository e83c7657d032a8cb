//! Client-side caching: who has read which key, and telling them when it changes.
//!
//! A tracking client is remembered beside each key that it reads, while the key's shard is held; so
//! whoever changes the key afterwards finds it here. A broadcasting client is told of every change
//! under its prefixes instead, and costs nothing when it reads. Messages leave once the shards are
//! free, for the client that made the change behind its reply.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Server;
use super::clients::{ClientInfo, flag};
use super::mailbox::Message;
use crate::cmd::reply::Out;

/// How a client tracks.
pub mod mode {
    #![allow(missing_docs, reason = "the words of CLIENT TRACKING say it")]
    pub const ON: u32 = 1;
    pub const BCAST: u32 = 1 << 1;
    pub const OPTIN: u32 = 1 << 2;
    pub const OPTOUT: u32 = 1 << 3;
    pub const NOLOOP: u32 = 1 << 4;
    /// `CLIENT CACHING` has spoken about the next command.
    pub const CACHING: u32 = 1 << 5;
}

/// The channel of invalidations in RESP2.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// A client that tracks.
struct Tracker {
    mode: u32,
    redirect: u64,
    prefixes: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Registry {
    trackers: HashMap<u64, Tracker>,
    readers: HashMap<Vec<u8>, BTreeSet<u64>>,
    items: usize,
}

/// The registry of tracking clients.
#[derive(Default)]
pub struct Tracking(Mutex<Registry>);

/// What a message is about.
enum Subject<'a> {
    Keys(&'a [&'a [u8]]),
    Everything,
}

/// The output of the client whose command made the change.
pub type Own<'a> = Option<(u64, &'a mut Out)>;

impl Tracking {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client begins to track, or changes how it does. Prefixes are added to those it has.
    pub fn start(&self, server: &Server, id: u64, mode: u32, redirect: u64, new: Vec<Vec<u8>>) {
        let mut registry = self.registry();
        let tracker = registry.trackers.entry(id).or_insert_with(|| {
            server.hot.tracking.fetch_add(1, Ordering::Relaxed);
            Tracker { mode, redirect, prefixes: Vec::new() }
        });
        tracker.mode = mode;
        tracker.redirect = redirect;
        tracker.prefixes.extend(new);
    }

    /// A client tracks no more.
    pub fn stop(&self, server: &Server, id: u64) {
        if self.registry().trackers.remove(&id).is_some() {
            server.hot.tracking.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The prefixes of a client.
    pub fn prefixes(&self, id: u64) -> Vec<Vec<u8>> {
        self.registry().trackers.get(&id).map_or_else(Vec::new, |t| t.prefixes.clone())
    }

    /// Whom the messages of a client go to: `None` if it does not track, 0 for itself.
    pub fn redirect(&self, id: u64) -> Option<u64> {
        self.registry().trackers.get(&id).map(|tracker| tracker.redirect)
    }

    /// Keys, readers of keys, prefixes, clients.
    pub fn totals(&self) -> [usize; 4] {
        let registry = self.registry();
        let prefixes: BTreeSet<&Vec<u8>> =
            registry.trackers.values().flat_map(|tracker| &tracker.prefixes).collect();
        [registry.readers.len(), registry.items, prefixes.len(), registry.trackers.len()]
    }

    /// A client has read a key. Called with the key's shard held.
    pub fn remember(&self, id: u64, key: &[u8]) {
        let mut registry = self.registry();
        let new = match registry.readers.get_mut(key) {
            Some(readers) => readers.insert(id),
            None => registry.readers.insert(key.to_vec(), BTreeSet::from([id])).is_none(),
        };
        registry.items += usize::from(new);
    }

    /// Tells all who have read one of these keys or listen to a prefix of it.
    pub fn invalidate(&self, server: &Server, keys: &[Vec<u8>], writer: u64, mut own: Own<'_>) {
        let mut registry = self.registry();
        for key in keys {
            let readers = registry.readers.remove(key).unwrap_or_default();
            registry.items -= readers.len();
            for id in readers {
                let Some(tracker) = registry.trackers.get(&id) else { continue };
                let own_change = tracker.mode & mode::NOLOOP != 0 && id == writer;
                if tracker.mode & mode::BCAST == 0 && !own_change {
                    send(server, id, tracker, &Subject::Keys(&[key]), &mut own);
                }
            }
        }
        for (id, tracker) in &registry.trackers {
            if tracker.mode & mode::NOLOOP != 0 && *id == writer {
                continue;
            }
            for prefix in &tracker.prefixes {
                let mut under: Vec<&[u8]> = Vec::new();
                for key in keys.iter().filter(|key| key.starts_with(prefix)) {
                    if !under.contains(&&key[..]) {
                        under.push(key);
                    }
                }
                if !under.is_empty() {
                    send(server, *id, tracker, &Subject::Keys(&under), &mut own);
                }
            }
        }
    }

    /// Tells all that every key may have changed.
    pub fn invalidate_all(&self, server: &Server, mut own: Own<'_>) {
        let mut registry = self.registry();
        registry.readers = HashMap::new();
        registry.items = 0;
        for (id, tracker) in &registry.trackers {
            send(server, *id, tracker, &Subject::Everything, &mut own);
        }
    }

    /// Forgets keys until there are `max` at most, telling their readers.
    pub fn limit(&self, server: &Server, max: usize) {
        let surplus: Vec<Vec<u8>> = {
            let registry = self.registry();
            let surplus = registry.readers.len().saturating_sub(max);
            registry.readers.keys().take(if max == 0 { 0 } else { surplus }).cloned().collect()
        };
        if !surplus.is_empty() {
            let mut registry = self.registry();
            for key in &surplus {
                let readers = registry.readers.remove(key).unwrap_or_default();
                registry.items -= readers.len();
                for id in readers {
                    if let Some(tracker) = registry.trackers.get(&id) {
                        send(server, id, tracker, &Subject::Keys(&[key]), &mut None);
                    }
                }
            }
        }
    }
}

fn send(server: &Server, id: u64, tracker: &Tracker, what: &Subject<'_>, own: &mut Own<'_>) {
    let Some(reader) = server.clients.find(id) else { return };
    if tracker.redirect == 0 {
        return deliver(server, &reader, false, what, own);
    }
    match server.clients.find(tracker.redirect) {
        Some(target) => deliver(server, &target, true, what, own),
        None => {
            reader.set_flag(flag::BROKEN_REDIR, true);
            if reader.resp.load(Ordering::Relaxed) == 3 {
                let mut out = Out::new(true);
                out.push(2);
                out.bulk(b"tracking-redir-broken");
                out.int(tracker.redirect as i64);
                hand_over(server, &reader, &out.bytes, own);
            }
        }
    }
}

fn deliver(
    server: &Server,
    target: &ClientInfo,
    redirected: bool,
    what: &Subject<'_>,
    own: &mut Own<'_>,
) {
    let mut out = Out::new(target.resp.load(Ordering::Relaxed) == 3);
    if out.resp3 {
        out.push(2);
        out.bulk(b"invalidate");
    } else if redirected && target.has_flag(flag::PUBSUB) {
        out.array(3);
        out.bulk(b"message");
        out.bulk(CHANNEL);
    } else {
        // RESP2 has no way to tell a client that does not listen.
        return;
    }
    match what {
        Subject::Keys(keys) => {
            out.array(keys.len());
            keys.iter().for_each(|key| out.bulk(key));
        }
        Subject::Everything => out.nil(),
    }
    hand_over(server, target, &out.bytes, own);
}

fn hand_over(server: &Server, target: &ClientInfo, bytes: &[u8], own: &mut Own<'_>) {
    match own {
        Some((id, out)) if *id == target.id => out.raw(bytes),
        _ => server.post(target.worker, Message::Deliver(target.id, bytes.into())),
    }
}
