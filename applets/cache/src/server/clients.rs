//! All clients, as `CLIENT LIST` shows them and `CLIENT KILL` finds them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Server;
use super::mailbox::Message;
use crate::cmd::table;

/// Flags of a client.
pub mod flag {
    #![allow(missing_docs, reason = "the letters of CLIENT LIST say it")]
    pub const MULTI: u32 = 1;
    pub const BLOCKED: u32 = 1 << 1;
    pub const MONITOR: u32 = 1 << 2;
    pub const PUBSUB: u32 = 1 << 3;
    pub const NO_EVICT: u32 = 1 << 4;
    pub const UNIX: u32 = 1 << 5;
    pub const CLOSING: u32 = 1 << 6;
    pub const NO_TOUCH: u32 = 1 << 7;
    pub const TRACKING: u32 = 1 << 8;
    pub const BCAST: u32 = 1 << 9;
    pub const BROKEN_REDIR: u32 = 1 << 10;
    pub const REPLICA: u32 = 1 << 11;
}

/// What others may see of a client. Its worker writes, anybody reads.
#[derive(Default)]
pub struct ClientInfo {
    /// Its number, never used again.
    pub id: u64,
    /// Its address.
    pub addr: String,
    /// The address it has reached.
    pub laddr: String,
    /// Its descriptor.
    pub fd: i32,
    /// Its worker's number.
    pub worker: usize,
    /// Unix time of its connection, in ms.
    pub created_ms: i64,
    /// Unix time of its last request, in ms.
    pub used_ms: AtomicI64,
    /// The number of its last command in the table, plus one.
    pub command: AtomicUsize,
    /// The selected database.
    pub db: AtomicU32,
    /// What it is at.
    pub flags: AtomicU32,
    /// Channels, patterns, shard channels.
    pub subscriptions: [AtomicU32; 3],
    /// Requests in its transaction, plus one; 0 without one.
    pub queued: AtomicU32,
    /// Bytes read and not executed.
    pub query_bytes: AtomicUsize,
    /// Bytes of replies not written.
    pub reply_bytes: AtomicUsize,
    /// 2 or 3.
    pub resp: AtomicU32,
    /// Its name.
    pub name: Mutex<String>,
    /// Whom it has authenticated as.
    pub user: Mutex<String>,
    /// Whom its invalidations go to, plus one; 0 if it does not track.
    pub redirect: AtomicU64,
    /// Bytes of requests in its transaction.
    pub multi_bytes: AtomicUsize,
    /// Bytes of all that is kept for it.
    pub memory: AtomicUsize,
    /// Room of its buffers for requests and replies.
    pub rooms: [AtomicUsize; 2],
}

fn text(field: &Mutex<String>) -> String {
    field.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl ClientInfo {
    /// Sets or clears a flag.
    pub fn set_flag(&self, flag: u32, on: bool) {
        if on {
            self.flags.fetch_or(flag, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flag, Ordering::Relaxed);
        }
    }

    /// Whether a flag is set.
    pub fn has_flag(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    /// Its name.
    pub fn name(&self) -> String {
        text(&self.name)
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        let host = self.addr.rsplit_once(':').map_or("", |(host, _)| host);
        let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        self.has_flag(flag::UNIX) || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
    }

    /// `normal` or `pubsub`.
    pub fn kind(&self) -> &'static str {
        match () {
            () if self.has_flag(flag::REPLICA) => "slave",
            () if self.has_flag(flag::PUBSUB) => "pubsub",
            () => "normal",
        }
    }

    /// The letters of its flags.
    pub fn letters(&self) -> String {
        let letters = [
            (flag::REPLICA, 'S'),
            (flag::MONITOR, 'O'),
            (flag::PUBSUB, 'P'),
            (flag::MULTI, 'x'),
            (flag::BLOCKED, 'b'),
            (flag::CLOSING, 'c'),
            (flag::TRACKING, 't'),
            (flag::BROKEN_REDIR, 'R'),
            (flag::BCAST, 'B'),
            (flag::UNIX, 'U'),
            (flag::NO_EVICT, 'e'),
            (flag::NO_TOUCH, 'T'),
        ];
        let shown: String =
            letters.iter().filter(|(flag, _)| self.has_flag(*flag)).map(|(_, c)| *c).collect();
        if shown.is_empty() { "N".into() } else { shown }
    }

    /// Its line of CLIENT LIST.
    pub fn line(&self, now_ms: i64) -> String {
        let size = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let load = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        let query = self.query_bytes.load(Ordering::Relaxed);
        let reply = self.reply_bytes.load(Ordering::Relaxed);
        let command = self.command.load(Ordering::Relaxed).checked_sub(1);
        let command = command.map_or("NULL", table::full_name);
        format!(
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={} psub={} \
             ssub={} multi={} qbuf={} qbuf-free={} argv-mem={} multi-mem={} rbs={} rbp={} obl={} \
             oll={} omem={} tot-mem={} events={} cmd={} user={} redir={} resp={}",
            self.id,
            self.addr,
            self.laddr,
            self.fd,
            self.name(),
            (now_ms - self.created_ms) / 1000,
            (now_ms - self.used_ms.load(Ordering::Relaxed)) / 1000,
            self.letters(),
            load(&self.db),
            load(&self.subscriptions[0]),
            load(&self.subscriptions[1]),
            load(&self.subscriptions[2]),
            i64::from(load(&self.queued)) - 1,
            query,
            size(&self.rooms[0]).saturating_sub(query),
            0,
            size(&self.multi_bytes),
            size(&self.rooms[1]),
            0,
            reply,
            0,
            0,
            size(&self.memory),
            "r",
            command,
            text(&self.user),
            self.redirect.load(Ordering::Relaxed) as i64 - 1,
            load(&self.resp),
        )
    }
}

/// All clients by number.
#[derive(Default)]
pub struct Clients {
    next: AtomicU64,
    all: Mutex<BTreeMap<u64, Arc<ClientInfo>>>,
    count: AtomicUsize,
    /// How many are blocked.
    pub blocked: AtomicUsize,
    /// Bytes that are kept for all of them.
    pub memory: AtomicUsize,
    /// How many were evicted.
    pub evicted: AtomicUsize,
}

impl Clients {
    fn map(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<ClientInfo>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a new client.
    pub fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The one with this number.
    pub fn find(&self, id: u64) -> Option<Arc<ClientInfo>> {
        self.map().get(&id).cloned()
    }

    /// Adds one.
    pub fn add(&self, info: &Arc<ClientInfo>) {
        self.map().insert(info.id, info.clone());
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Removes one.
    pub fn remove(&self, id: u64) {
        if self.map().remove(&id).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// All, by number.
    pub fn all(&self) -> Vec<Arc<ClientInfo>> {
        self.map().values().cloned().collect()
    }
}

impl Server {
    /// Ends the clients that keep the most memory, until all together keep no more than
    /// `maxmemory-clients`.
    #[inline]
    pub fn evict_clients(&self) {
        let max = self.hot.clients_max.load(Ordering::Relaxed) as usize;
        if max > 0 && self.clients.memory.load(Ordering::Relaxed) > max {
            self.evict_down_to(max);
        }
    }

    #[cold]
    fn evict_down_to(&self, max: usize) {
        let mut total = self.clients.memory.load(Ordering::Relaxed);
        let mut all = self.clients.all();
        all.sort_by_key(|client| std::cmp::Reverse(client.memory.load(Ordering::Relaxed)));
        for client in all {
            if client.has_flag(flag::CLOSING) {
                total = total.saturating_sub(client.memory.load(Ordering::Relaxed));
            }
            if total <= max {
                return;
            }
            if client.has_flag(flag::NO_EVICT | flag::CLOSING) {
                continue;
            }
            client.set_flag(flag::CLOSING, true);
            total = total.saturating_sub(client.memory.load(Ordering::Relaxed));
            self.clients.evicted.fetch_add(1, Ordering::Relaxed);
            let line = client.line(self.now_ms());
            self.logger.notice(&format!("Evicting client: {line}"));
            self.post(client.worker, Message::Kill(client.id));
        }
    }
}
