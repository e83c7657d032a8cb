//! The server: what all workers share.

pub mod bin;
pub mod blocked;
pub mod clients;
pub mod cron;
pub mod evict;
pub mod histogram;
pub mod hot;
pub mod hub;
pub mod latency;
pub mod load;
pub mod logger;
pub mod mailbox;
pub mod save;
pub mod session;
pub mod start;
pub mod stats;
pub mod tls;
pub mod tracking;
pub mod worker;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use box_wire::resp::Args;

use crate::acl::Acl;
use crate::cmd::Error;
use crate::cmd::db::{Db, Effects, Expiry, News, event};
use crate::cmd::reply::Out;
use crate::cmd::slowlog::Slowlog;
use crate::config::{Config, Refused};
use crate::persist::aof::Log;
use crate::persist::saver::Saver;
use crate::repl::Repl;
use crate::script::Scripts;
use crate::store::shard::{Keyspace, Place, View};
use mailbox::{Mailbox, Message};
use session::Session;
use stats::Stats;

/// Parameters that a client may change only where `enable-protected-configs` lets it.
const PROTECTED: &[&str] = &["dbfilename", "dir"];
/// The most workers there can be.
pub const WORKERS_MAX: usize = 16;
/// Kinds of errors that are counted, so that nobody fills memory with their own.
const ERROR_KINDS_MAX: usize = 128;

/// What all workers share.
pub struct Server {
    /// The keys.
    pub keyspace: Keyspace,
    /// How many databases.
    pub databases: usize,
    /// Settings that every command looks at.
    pub hot: hot::Hot,
    /// The append-only file.
    pub log: Log,
    /// Where big values go.
    pub bin: bin::Bin,
    /// Who listens to what.
    pub hub: hub::Hub,
    /// All users.
    pub acl: Acl,
    /// All clients.
    pub clients: clients::Clients,
    /// Who has read which key.
    pub tracking: tracking::Tracking,
    /// What took long.
    pub latency: latency::Monitor,
    /// The slow commands.
    pub slowlog: Mutex<Slowlog>,
    /// The state of saving.
    pub saver: Saver,
    /// Replication.
    pub repl: Repl,
    /// The interpreter and what runs in it.
    pub scripts: Scripts,
    /// Where lines of the log go.
    pub logger: logger::Logger,
    /// Candidates for eviction.
    pub pool: evict::Pool,
    /// Forty hexadecimal digits that name this run.
    pub run_id: String,
    /// When it started.
    pub started: Instant,
    /// Bytes allocated when it had started.
    pub startup_bytes: usize,
    /// How TLS is spoken, if it is.
    pub tls: RwLock<Option<Arc<rustls::ServerConfig>>>,
    config: RwLock<Arc<Config>>,
    config_version: AtomicU64,
    stats: Vec<Stats>,
    mailboxes: OnceLock<Vec<Arc<Mailbox>>>,
    monitors: Mutex<Vec<(u64, usize)>>,
    blocked: Mutex<BTreeMap<u64, Arc<blocked::Waiter>>>,
    errors: Mutex<BTreeMap<String, u64>>,
    peak: AtomicU64,
    /// Rates of the last second: commands, bytes in, bytes out.
    pub rates: [AtomicU64; 3],
    /// Whether it is ending.
    pub ending: AtomicBool,
    /// How it ended: whether well.
    pub ended_badly: AtomicBool,
}

impl Server {
    /// A server that has no worker yet.
    ///
    /// # Errors
    /// The log file cannot be opened.
    pub fn new(config: Config) -> std::io::Result<Server> {
        let databases = config.int("databases").max(1) as usize;
        let mut id = [0u8; 20];
        box_sys::random::fill(&mut id)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let server = Server {
            keyspace: Keyspace::new(databases),
            databases,
            hot: hot::Hot::default(),
            log: Log::default(),
            bin: bin::Bin::default(),
            hub: hub::Hub::default(),
            acl: Acl::default(),
            clients: clients::Clients::default(),
            tracking: tracking::Tracking::default(),
            latency: latency::Monitor::default(),
            slowlog: Mutex::default(),
            saver: Saver::new(now.as_secs() as i64),
            repl: Repl::default(),
            scripts: Scripts::default(),
            logger: logger::Logger::open(config.get("logfile"), config.get("loglevel"))?,
            pool: evict::Pool::default(),
            run_id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            started: Instant::now(),
            startup_bytes: box_sys::heap_use::used_bytes(),
            tls: RwLock::default(),
            config: RwLock::new(Arc::new(config)),
            config_version: AtomicU64::new(1),
            stats: (0..=WORKERS_MAX).map(|_| Stats::new()).collect(),
            mailboxes: OnceLock::new(),
            monitors: Mutex::default(),
            blocked: Mutex::default(),
            errors: Mutex::default(),
            peak: AtomicU64::new(0),
            rates: Default::default(),
            ending: AtomicBool::new(false),
            ended_badly: AtomicBool::new(false),
        };
        server.apply_config();
        Ok(server)
    }

    /// Unix time, in ms.
    pub fn now_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
    }

    /// The configuration.
    pub fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A number that grows with every change of the configuration.
    pub fn config_version(&self) -> u64 {
        self.config_version.load(Ordering::Acquire)
    }

    /// Changes the configuration: all of it or nothing. `trusted` says whether what is protected
    /// may change.
    ///
    /// # Errors
    /// The text of the error reply.
    pub fn change_config(&self, pairs: &[(String, String)], trusted: bool) -> Result<(), String> {
        let mut current = self.config.write().unwrap_or_else(PoisonError::into_inner);
        let mut config = Config::clone(&current);
        for (number, (name, value)) in pairs.iter().enumerate() {
            if pairs[..number].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(format!(
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - duplicate parameter"
                ));
            }
            let words: Vec<String> = vec![value.clone()];
            let set = if PROTECTED.iter().any(|known| name.eq_ignore_ascii_case(known)) && !trusted
            {
                Err(Refused::Protected)
            } else {
                config.set(name, &words, true)
            };
            set.map_err(|refused| match refused {
                Refused::Protected => format!(
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - can't set protected config"
                ),
                Refused::Unknown => {
                    format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
                }
                Refused::Fixed => format!(
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config"
                ),
                Refused::Value(reason) => format!(
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
                ),
            })?;
        }
        if let Some((_, dir)) = pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case("dir")) {
            std::env::set_current_dir(dir).map_err(|error| {
                format!(
                    "ERR CONFIG SET failed (possibly related to argument 'dir') - {}",
                    box_kit::exit::kernel_words(&error)
                )
            })?;
            let here = std::env::current_dir().unwrap_or_default().display().to_string();
            let _ = config.set("dir", &[here], true);
        }
        if pairs.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("tls-")) {
            let settings = tls::settings(&config).map_err(|why| {
                self.logger.warning(&why);
                format!(
                    "ERR CONFIG SET failed (possibly related to argument '{}') - Unable to update \
                     TLS configuration. Check server logs.",
                    pairs.first().map_or("", |(name, _)| name.as_str())
                )
            })?;
            *self.tls.write().unwrap_or_else(PoisonError::into_inner) = settings;
        }
        *current = Arc::new(config);
        drop(current);
        if pairs.iter().any(|(name, _)| name.eq_ignore_ascii_case("requirepass")) {
            self.acl.set_default_password(&self.config().requirepass);
        }
        self.apply_config();
        Ok(())
    }

    /// Takes over what is kept beside the configuration.
    fn apply_config(&self) {
        let config = self.config();
        let memory = config.get("maxmemory").parse().unwrap_or(0);
        self.hot.maxmemory.store(memory, Ordering::Relaxed);
        self.hot.set_policy(config.get("maxmemory-policy"));
        self.hot.set_lfu(config.int("lfu-log-factor") as u32, config.int("lfu-decay-time") as u32);
        let classes = crate::config::event_classes(config.get("notify-keyspace-events"));
        let classes = classes.unwrap_or(0);
        let on = classes & (event::KEYSPACE | event::KEYEVENT) != 0;
        self.hot.set_events(if on { classes } else { 0 });
        self.hot.slow_us.store(config.int("slowlog-log-slower-than"), Ordering::Relaxed);
        let long_ms = config.int("latency-monitor-threshold");
        self.hot.long_ms.store(if long_ms > 0 { long_ms } else { i64::MAX }, Ordering::Relaxed);
        self.hot.untimed.store(!config.is_on("latency-tracking"), Ordering::Relaxed);
        self.log.set_fsync(config.get("appendfsync"));
        self.repl.set_backlog_size(config.get("repl-backlog-size").parse().unwrap_or(1 << 20));
        self.hot.clients_max.store(config.clients_memory(memory), Ordering::Relaxed);
        self.config_version.fetch_add(1, Ordering::AcqRel);
    }

    /// The counters of a worker; [`WORKERS_MAX`] is that of the other threads.
    #[inline]
    pub fn stats(&self, worker: usize) -> &Stats {
        &self.stats[worker.min(WORKERS_MAX)]
    }

    /// A counter summed over all workers.
    pub fn sum(&self, counter: impl Fn(&Stats) -> u64) -> u64 {
        self.stats.iter().map(counter).sum()
    }

    /// How long the calls of a command took, by its number in the table.
    pub fn times_of(&self, number: usize) -> histogram::Sum {
        histogram::Sum::of(self.stats.iter().map(|stats| &stats.by_command[number].times))
    }

    /// Changes of keys so far.
    pub fn dirty(&self) -> u64 {
        self.sum(|stats| stats.dirty.load())
    }

    /// Sets the counters to zero.
    pub fn reset_stats(&self) {
        self.stats.iter().for_each(Stats::reset);
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts an error reply by its first word.
    pub fn count_error(&self, error: &Error) {
        let word = error.0.split(|byte| *byte == b' ').next().unwrap_or_default();
        let word = String::from_utf8_lossy(word).into_owned();
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.len() < ERROR_KINDS_MAX || errors.contains_key(&word) {
            *errors.entry(word).or_default() += 1;
        }
    }

    /// Error replies by their first word.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The most memory that was used so far, `used` included.
    pub fn peak_memory(&self, used: u64) -> u64 {
        self.peak.fetch_max(used, Ordering::Relaxed).max(used)
    }

    /// Whether writes are refused since saving has failed.
    #[inline]
    pub fn refuses_writes(&self, config: &Config) -> bool {
        self.log.has_failed()
            || (self.saver.has_failed()
                && config.stop_writes_on_save_error
                && !config.get("save").is_empty())
    }

    /// The keys of a view.
    #[inline]
    pub fn db_of<'s>(&'static self, view: View<'s>, worker: usize, id: u32, now: i64) -> Db<'s> {
        let limits = self.limits();
        Db {
            server: self,
            view,
            id,
            now,
            clock: self.hot.clock(now),
            limits,
            effects: Effects::default(),
            stats: self.stats(worker),
            no_touch: false,
            // While clients are paused, the data stays as it is.
            expiry: self.expiry(),
            declared: None,
        }
    }

    /// Locks places for a change outside of a request.
    pub fn lock_db(
        &'static self,
        worker: usize,
        id: u32,
        now: i64,
        places: &[Place],
    ) -> Db<'static> {
        let mut view = self.keyspace.lock(places);
        view.before_change();
        self.db_of(view, worker, id, now)
    }

    fn limits(&self) -> crate::types::Limits {
        self.config.read().unwrap_or_else(PoisonError::into_inner).limits
    }

    /// Whether anybody wants to know what changes.
    #[inline]
    pub fn logs_changes(&self) -> bool {
        self.log.is_on() || self.repl.takes_changes()
    }

    /// What happens to keys whose time has come: a replica leaves them to its master, and while
    /// clients are paused nothing changes.
    fn expiry(&self) -> Expiry {
        let paused = self.hot.pause.load(Ordering::Relaxed) != hot::pause::NONE;
        if paused || self.repl.is_replica() { Expiry::Hidden } else { Expiry::Removed }
    }

    /// Appends a request to the log and to the stream of replicas. Called with its keys' shards
    /// held.
    pub fn propagate(&self, db: u32, request: &[u8]) {
        self.log.append(db, request);
        self.repl.append(db, request);
    }

    /// Hands what a command has changed to the log: `request`, or what stands instead of it. Called
    /// with the shards held.
    pub fn commit(&self, db: &mut Db<'_>, request: &[u8]) {
        db.stats.dirty.add(db.effects.dirty);
        if !self.logs_changes() {
            return;
        }
        if !request.is_empty() {
            self.propagate(db.id, request);
        }
        for (id, request) in std::mem::take(&mut db.effects.instead) {
            self.propagate(id, &request);
        }
    }

    /// The mailboxes, once the workers have been made.
    pub fn set_mailboxes(&self, mailboxes: Vec<Arc<Mailbox>>) {
        let _ = self.mailboxes.set(mailboxes);
    }

    /// Leaves a message for a worker.
    pub fn post(&self, worker: usize, message: Message) {
        if let Some(mailbox) = self.mailboxes.get().and_then(|all| all.get(worker)) {
            mailbox.post(message);
        }
    }

    /// Leaves a message for every worker.
    pub fn post_all(&self, message: impl Fn() -> Message) {
        for mailbox in self.mailboxes.get().into_iter().flatten() {
            mailbox.post(message());
        }
    }

    /// Publishes events about keys.
    pub fn publish_events(&self, events: Vec<(u32, u32, &'static str, Vec<u8>)>) {
        let wanted = self.hot.events();
        for (db, class, name, key) in events {
            if wanted & class == 0 {
                continue;
            }
            if wanted & event::KEYSPACE != 0 {
                let channel = [format!("__keyspace@{db}__:").as_bytes(), &key].concat();
                self.hub.publish(self, &channel, name.as_bytes(), None);
            }
            if wanted & event::KEYEVENT != 0 {
                let channel = format!("__keyevent@{db}__:{name}");
                self.hub.publish(self, channel.as_bytes(), &key, None);
            }
        }
    }

    /// Tells everybody what a command has done beside its reply. Called when the shards are free;
    /// what is for the client `writer` itself goes to its output.
    pub fn tell(&self, news: News, writer: u64, out: Option<&mut Out>) {
        if !news.events.is_empty() {
            self.publish_events(news.events);
        }
        if news.flushed || !news.changed.is_empty() {
            let mut out = out;
            let own = out.as_deref_mut().map(|out| (writer, out));
            self.tracking.invalidate(self, &news.changed, writer, own);
            if news.flushed {
                self.tracking.invalidate_all(self, out.map(|out| (writer, out)));
            }
        }
    }

    /// A client wants to see every command.
    pub fn start_monitor(&self, client: u64, worker: usize) {
        self.monitors.lock().unwrap_or_else(PoisonError::into_inner).push((client, worker));
        self.hot.monitors.fetch_add(1, Ordering::Relaxed);
    }

    /// It does not any more.
    pub fn stop_monitor(&self, client: u64) {
        let mut monitors = self.monitors.lock().unwrap_or_else(PoisonError::into_inner);
        let before = monitors.len();
        monitors.retain(|(other, _)| *other != client);
        self.hot.monitors.fetch_sub((before - monitors.len()) as u32, Ordering::Relaxed);
    }

    /// Shows a command to the clients that want to see it.
    pub fn feed_monitors(&self, session: &Session, args: Args<'_>) {
        self.feed_monitors_as(session.db, &session.info.addr, args);
    }

    /// The same for whoever executes it in this database.
    pub fn feed_monitors_as(&self, db: u32, who: &str, args: Args<'_>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = format!("+{}.{:06} [{db} {who}]", now.as_secs(), now.subsec_micros(),);
        for arg in args.iter() {
            line.push(' ');
            crate::text::push_quoted(&mut line, arg);
        }
        line.push_str("\r\n");
        let bytes: Arc<[u8]> = line.into_bytes().into();
        for (client, worker) in self.monitors.lock().unwrap_or_else(PoisonError::into_inner).iter()
        {
            self.post(*worker, Message::Deliver(*client, bytes.clone()));
        }
    }

    /// A client has begun to wait.
    pub fn begin_wait(&self, waiter: &Arc<blocked::Waiter>) {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        blocked.insert(waiter.client, waiter.clone());
        self.clients.blocked.fetch_add(1, Ordering::Relaxed);
    }

    /// A client has ceased to wait.
    pub fn end_wait(&self, client: u64) {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        if blocked.remove(&client).is_some() {
            self.clients.blocked.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Writes what a waiter gets that has waited for nothing.
    pub fn push_timeout(&self, waiter: &blocked::Waiter, out: &mut Out) {
        match waiter.want {
            blocked::Want::Acks(offset, _) => out.count(self.repl.acknowledged(offset)),
            _ => out.nil_array(),
        }
    }

    /// Serves those who have waited for replicas' acknowledgements.
    pub fn serve_acknowledged(&'static self, now: i64) {
        let waiting: Vec<Arc<blocked::Waiter>> = {
            let blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
            let done = |waiter: &&Arc<blocked::Waiter>| match waiter.want {
                blocked::Want::Acks(offset, count) => self.repl.acknowledged(offset) >= count,
                _ => false,
            };
            blocked.values().filter(done).cloned().collect()
        };
        for waiter in waiting {
            if crate::cmd::blocking::give_up(self, WORKERS_MAX, now, &waiter) {
                let mut out = Out::new(waiter.resp3);
                self.push_timeout(&waiter, &mut out);
                self.post(waiter.worker, Message::Served(waiter.client, out.bytes));
            }
        }
    }

    /// `CLIENT UNBLOCK`: whether the client waited.
    pub fn unblock(&'static self, client: u64, with_error: bool, now: i64) -> bool {
        let waiter =
            self.blocked.lock().unwrap_or_else(PoisonError::into_inner).get(&client).cloned();
        let Some(waiter) = waiter else { return false };
        if !crate::cmd::blocking::give_up(self, WORKERS_MAX, now, &waiter) {
            return false;
        }
        let mut out = crate::cmd::reply::Out::new(waiter.resp3);
        if with_error {
            out.error(&Error::fixed("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
        } else {
            self.push_timeout(&waiter, &mut out);
        }
        self.post(waiter.worker, Message::Served(client, out.bytes));
        true
    }
}
