//! Replication: as master to replicas, as replica of a master, or both.
//!
//! The stream is the log's requests, appended while the shards are held, so that its order is that
//! of the changes. A replica of a master passes the master's bytes on as they are: offsets are the
//! same in the whole chain. [`backlog`] keeps the stream's end; [`feed`] gives snapshots to replicas;
//! [`link`] is the connection to a master.
//!
//! A history of changes has a name of forty digits. Who is promoted begins a new one and remembers
//! the old with the offset up to which it is the same, so that other replicas can go on.

pub mod backlog;
pub mod feed;
pub mod link;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use box_wire::resp::push_request;

use crate::server::Server;
use crate::server::mailbox::Message;
use backlog::Backlog;

/// Where a replica stands.
pub mod state {
    /// It waits for a snapshot to begin.
    pub const WAIT_START: u8 = 0;
    /// It is being sent a snapshot.
    pub const SENDING: u8 = 1;
    /// It has been sent a snapshot that ends with a mark. It looks for the mark at the end of what
    /// it has received, so that nothing may follow before it says that it is ready.
    pub const SENT: u8 = 2;
    /// It follows the stream.
    pub const ONLINE: u8 = 3;
}

/// A replica of ours.
#[derive(Default)]
pub struct Replica {
    /// Its client's number.
    pub client: u64,
    /// Its worker's number.
    pub worker: usize,
    /// Its address, as it tells it or as it is seen.
    pub address: Mutex<String>,
    /// The port it listens on.
    pub port: AtomicUsize,
    /// One of [`state`].
    pub state: AtomicU8,
    /// Whether the end of a snapshot may be marked instead of its length be told.
    pub eof: AtomicBool,
    /// Whether it knows of histories.
    pub psync2: AtomicBool,
    /// Whether it asked by SYNC, the old way.
    pub old: AtomicBool,
    /// Whether it wants only the snapshot.
    pub rdb_only: AtomicBool,
    /// Whether it wants only the functions.
    pub functions_only: AtomicBool,
    /// Offset of what has been given to its connection.
    pub sent: AtomicU64,
    /// Offset that it has acknowledged.
    pub acked: AtomicU64,
    /// When, in ms of Unix time.
    pub acked_ms: AtomicI64,
}

impl Replica {
    /// Where it stands.
    pub fn is(&self, state: u8) -> bool {
        self.state.load(Ordering::Acquire) == state
    }

    /// Its address.
    pub fn address(&self) -> String {
        self.address.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The names of the history and of the one it came from.
#[derive(Clone, Debug)]
pub struct Histories {
    /// The name.
    pub id: String,
    /// The name of the one before.
    pub old: String,
    /// Up to which offset the one before is the same; `None` without one.
    pub old_end: Option<u64>,
}

#[derive(Default)]
struct Stream {
    backlog: Backlog,
    db: Option<u32>,
    size: usize,
}

/// The state of replication.
pub struct Repl {
    histories: Mutex<Histories>,
    stream: Mutex<Stream>,
    active: AtomicBool,
    is_replica: AtomicBool,
    pending: AtomicBool,
    applying: Mutex<()>,
    replicas: Mutex<BTreeMap<u64, Arc<Replica>>>,
    /// How many replicas there are.
    pub count: AtomicUsize,
    /// The connection to the master.
    pub link: link::State,
    /// Snapshots sent, resumptions granted and refused.
    pub syncs: [AtomicU64; 3],
    last_ping_ms: AtomicI64,
}

/// A new name of a history.
pub fn new_id() -> String {
    let mut bytes = [0; 20];
    // Without random bytes the time must do.
    if box_sys::random::fill(&mut bytes).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        bytes[..16].copy_from_slice(&now.unwrap_or_default().as_nanos().to_le_bytes());
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Default for Repl {
    fn default() -> Repl {
        let histories = Histories { id: new_id(), old: "0".repeat(40), old_end: None };
        Repl {
            histories: Mutex::new(histories),
            stream: Mutex::default(),
            active: AtomicBool::new(false),
            is_replica: AtomicBool::new(false),
            pending: AtomicBool::new(false),
            applying: Mutex::default(),
            replicas: Mutex::default(),
            count: AtomicUsize::new(0),
            link: link::State::default(),
            syncs: Default::default(),
            last_ping_ms: AtomicI64::new(0),
        }
    }
}

impl Repl {
    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Replica>>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the history.
    pub fn histories(&self) -> Histories {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_histories(&self, histories: Histories) {
        *self.histories.lock().unwrap_or_else(PoisonError::into_inner) = histories;
    }

    /// Whether there is a stream: somebody has asked for it.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Whether this server follows a master.
    #[inline]
    pub fn is_replica(&self) -> bool {
        self.is_replica.load(Ordering::Relaxed)
    }

    /// Whether own changes go into the stream.
    #[inline]
    pub fn takes_changes(&self) -> bool {
        self.is_active() && !self.is_replica()
    }

    /// Starts the stream, if it has not been.
    pub fn activate(&self, size: usize) {
        self.stream().size = size;
        self.active.store(true, Ordering::Release);
    }

    /// `repl-backlog-size`
    pub fn set_backlog_size(&self, size: usize) {
        self.stream().size = size;
    }

    /// Bytes of the stream so far.
    pub fn offset(&self) -> u64 {
        self.stream().backlog.end()
    }

    /// Size, first offset and length of the backlog.
    pub fn backlog(&self) -> (usize, u64, usize) {
        let stream = self.stream();
        (stream.size, stream.backlog.start(), stream.backlog.len())
    }

    /// The offset up to which all replicas that follow have got.
    fn needed(&self) -> u64 {
        let replicas = self.map();
        replicas
            .values()
            .map(|replica| replica.sent.load(Ordering::Relaxed))
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Appends a request of database `db`. Called with its keys' shards held.
    pub fn append(&self, db: u32, request: &[u8]) {
        if self.takes_changes() {
            let needed = self.needed();
            let mut stream = self.stream();
            let Stream { backlog, db: last, size } = &mut *stream;
            if *last != Some(db) {
                *last = Some(db);
                let mut select = Vec::new();
                let number = db.to_string();
                push_request(&mut select, [&b"SELECT"[..], number.as_bytes()].into_iter());
                backlog.push(&select, *size, needed);
            }
            backlog.push(request, *size, needed);
            drop(stream);
            self.pending.store(true, Ordering::Release);
        }
    }

    /// Appends what belongs to no database.
    pub fn append_plain(&self, words: &[&str]) {
        if self.takes_changes() {
            let mut request = Vec::new();
            push_request(&mut request, words.iter());
            self.pass_on(&request);
        }
    }

    /// Appends bytes of the master's stream as they are.
    pub fn pass_on(&self, bytes: &[u8]) {
        let needed = self.needed();
        let mut stream = self.stream();
        let size = stream.size;
        stream.backlog.push(bytes, size, needed);
        drop(stream);
        self.pending.store(true, Ordering::Release);
    }

    /// Held while a request of the master is executed and passed on, and while a cut is made: so the
    /// offset of a cut is that of its keys. Taken before any shard.
    pub fn applying(&self) -> MutexGuard<'_, ()> {
        self.applying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request names its database again.
    pub fn forget_db(&self) {
        self.stream().db = None;
    }

    /// Reads the stream behind `offset`.
    pub fn read(&self, offset: u64, most: usize, out: &mut Vec<u8>) -> Option<usize> {
        self.stream().backlog.read(offset, most, out)
    }

    /// Wakes the workers whose replicas have something to get.
    pub fn wake(&self, server: &Server, except: usize) {
        if !self.pending.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut workers: Vec<usize> = self.map().values().map(|replica| replica.worker).collect();
        workers.sort_unstable();
        workers.dedup();
        for worker in workers.into_iter().filter(|worker| *worker != except) {
            server.post(worker, Message::Feed);
        }
    }

    /// Adds a replica.
    pub fn add(&self, replica: &Arc<Replica>) {
        let mut map = self.map();
        map.insert(replica.client, replica.clone());
        self.count.store(map.len(), Ordering::Relaxed);
    }

    /// Removes a replica.
    pub fn remove(&self, client: u64) {
        let mut map = self.map();
        map.remove(&client);
        self.count.store(map.len(), Ordering::Relaxed);
    }

    /// All replicas.
    pub fn replicas(&self) -> Vec<Arc<Replica>> {
        self.map().values().cloned().collect()
    }

    /// How many replicas have acknowledged `offset`.
    pub fn acknowledged(&self, offset: u64) -> usize {
        let replicas = self.map();
        let has = |replica: &&Arc<Replica>| {
            replica.is(state::ONLINE) && replica.acked.load(Ordering::Relaxed) >= offset
        };
        replicas.values().filter(has).count()
    }

    /// How many replicas have been heard of lately.
    pub fn good(&self, now_ms: i64, max_lag_s: i64) -> usize {
        let replicas = self.map();
        let good = |replica: &&Arc<Replica>| {
            let age = now_ms - replica.acked_ms.load(Ordering::Relaxed);
            replica.is(state::ONLINE) && age <= max_lag_s * 1000
        };
        replicas.values().filter(good).count()
    }

    /// Closes all replicas' connections: their history is not ours any more.
    pub fn drop_replicas(&self, server: &Server) {
        for replica in self.replicas() {
            server.post(replica.worker, Message::Kill(replica.client));
        }
    }

    /// Whether a replica that knows `history` up to `offset` can go on from there.
    pub fn can_resume(&self, history: &str, offset: u64) -> bool {
        let own = self.histories();
        let same = history.eq_ignore_ascii_case(&own.id)
            || (history.eq_ignore_ascii_case(&own.old)
                && own.old_end.is_some_and(|end| offset <= end));
        let stream = self.stream();
        same && self.is_active()
            && offset >= stream.backlog.start()
            && offset <= stream.backlog.end()
    }

    /// Begins a new history where the old one ends.
    fn branch(&self) {
        let end = self.offset();
        let old = self.histories().id;
        self.set_histories(Histories { id: new_id(), old, old_end: Some(end) });
    }

    /// This server becomes a replica.
    pub fn follow(&self, size: usize) {
        self.is_replica.store(true, Ordering::Release);
        self.activate(size);
    }

    /// This server is nobody's replica any more.
    pub fn promote(&self) {
        if self.is_replica.swap(false, Ordering::AcqRel) {
            self.branch();
            self.forget_db();
        }
    }

    /// The keys are those of a master's snapshot from here on.
    pub fn restart_at(&self, id: &str, offset: u64) {
        self.set_histories(Histories { id: id.to_owned(), old: "0".repeat(40), old_end: None });
        let mut stream = self.stream();
        stream.backlog = Backlog::at(offset);
        stream.db = None;
    }

    /// The master's history has another name now.
    pub fn rename(&self, id: &str) {
        let own = self.histories();
        if id != own.id {
            let end = self.offset();
            self.set_histories(Histories { id: id.to_owned(), old: own.id, old_end: Some(end) });
        }
    }

    /// What is done ten times a second.
    pub fn tick(&self, server: &'static Server, now_ms: i64) {
        let replicas = self.replicas();
        if replicas.is_empty() {
            return;
        }
        let config = server.config();
        if replicas.iter().any(|replica| replica.is(state::WAIT_START)) {
            server.start_full_syncs();
        }
        let period = config.int("repl-ping-replica-period").max(1) * 1000;
        if now_ms - self.last_ping_ms.load(Ordering::Relaxed) >= period {
            self.last_ping_ms.store(now_ms, Ordering::Relaxed);
            self.append_plain(&["PING"]);
        }
        let limit = config.int("repl-timeout") * 1000;
        for replica in replicas.iter().filter(|replica| replica.is(state::ONLINE)) {
            let known = replica.psync2.load(Ordering::Relaxed);
            if known && now_ms - replica.acked_ms.load(Ordering::Relaxed) > limit {
                server.logger.warning(&format!(
                    "Disconnecting timedout replica (streaming sync): {}:{}",
                    replica.address(),
                    replica.port.load(Ordering::Relaxed)
                ));
                server.post(replica.worker, Message::Kill(replica.client));
            }
        }
        self.wake(server, usize::MAX);
    }
}
