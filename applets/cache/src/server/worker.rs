//! A worker: one thread, one epoll instance, its own connections. It reads, parses and executes in
//! place; what it has to say to connections of others goes through their mailboxes.
//!
//! A turn: wait; read and execute everything that has come; take the mailbox; write the log (and
//! bring it to disk where asked for); write replies. Replies leave at the end of the turn, so that a
//! pipeline costs one write, and the log of many clients one fdatasync.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use box_sys::epoll::{Epoll, Events, Interest};
use box_wire::resp::{Limits, RequestParser, Step};

use super::Server;
use super::clients::{ClientInfo, flag};
use super::mailbox::{Mailbox, Message, Stream};
use super::session::{After, Session};
use crate::cmd::dispatch::{Executor, execute};
use crate::cmd::reply::Out;
use crate::cmd::{Error, blocking, pubsub, tracking, transaction};
use crate::config::{Config, OutputLimit};

/// The bell's token; those of listeners are below it.
const BELL: u64 = 15;
/// The token of signals.
pub const SIGNALS: u64 = 14;
/// Connections' tokens begin here: their client's number above it.
const FIRST: u64 = 16;
/// Bytes that are read at a time.
const READ_BYTES: usize = 16 * 1024;
/// Replies of this size are written before the turn ends.
const WRITE_EARLY: usize = 1 << 20;
/// Room that a quiet connection keeps.
const KEEP_BYTES: usize = 16 * 1024;
/// Bytes of the replication stream that wait in a connection at most.
const FEED_BYTES: usize = 1 << 20;
/// How often a worker looks after its connections.
const CARE: Duration = Duration::from_millis(100);

impl Read for &Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&mut &*stream).read(buf),
            Stream::Unix(stream) => (&mut &*stream).read(buf),
            Stream::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&mut &*stream).write(buf),
            Stream::Unix(stream) => (&mut &*stream).write(buf),
            Stream::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tls(stream) => stream.settle(),
            Stream::Tcp(_) | Stream::Unix(_) => Ok(()),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
            Stream::Tls(stream) => stream.socket.as_fd(),
        }
    }
}

/// A connection.
struct Conn {
    stream: Stream,
    session: Session,
    parser: RequestParser,
    query: Vec<u8>,
    /// Bytes of `query` that are valid.
    filled: usize,
    /// Where the request that is being read begins.
    start: usize,
    out: Out,
    written: usize,
    wants_write: bool,
    /// In the list of those whose replies are to be written.
    listed: bool,
    /// The peer will send nothing more.
    ended: bool,
    /// Its next request is held back by a pause.
    postponed: bool,
    /// More replies wait for it than may: it ends without getting them.
    overflown: bool,
    /// Since when more than the soft limit wait, in ms of Unix time.
    soft_since: Option<i64>,
    /// What the server's total has of it.
    accounted: usize,
}

thread_local! {
    /// The worker of this thread, so that the interpreter's hook finds it.
    static CURRENT: RefCell<Option<Rc<RefCell<Worker>>>> = const { RefCell::new(None) };
}

/// Serves the other connections of this thread's worker while one of them runs a slow script.
pub fn serve_while_busy() {
    let worker = CURRENT.with(|current| current.borrow().clone());
    if let Some(worker) = worker {
        Worker::busy_turn(&worker);
    }
}

/// A worker. It is not borrowed while a command runs: a slow script serves other connections from
/// within.
pub struct Worker {
    server: &'static Server,
    number: usize,
    epoll: Epoll,
    mailbox: Arc<Mailbox>,
    conns: HashMap<u64, Box<Conn>>,
    to_write: Vec<u64>,
    deadlines: BTreeSet<(i64, u64)>,
    config: Arc<Config>,
    config_version: u64,
    paused: Vec<u64>,
    last_care: Instant,
    /// Inside a slow script: nothing that locks a shard may be done.
    busy: bool,
    /// Connections that have ended meanwhile.
    to_close: Vec<u64>,
    /// What only the first worker does.
    chief: Option<super::start::Chief>,
}

impl Worker {
    /// Makes one.
    ///
    /// # Errors
    /// The limits of open files are reached.
    pub fn new(
        server: &'static Server,
        number: usize,
        mailbox: Arc<Mailbox>,
        chief: Option<super::start::Chief>,
    ) -> io::Result<Worker> {
        let epoll = Epoll::new()?;
        epoll.add(&mailbox.bell, BELL, Interest::READ)?;
        if let Some(chief) = &chief {
            chief.watch(&epoll)?;
        }
        Ok(Worker {
            server,
            number,
            epoll,
            mailbox,
            conns: HashMap::new(),
            to_write: Vec::new(),
            deadlines: BTreeSet::new(),
            config: server.config(),
            config_version: server.config_version(),
            paused: Vec::new(),
            last_care: Instant::now(),
            busy: false,
            to_close: Vec::new(),
            chief,
        })
    }

    /// Works until the server ends.
    pub fn run(self) {
        let server = self.server;
        let this = Rc::new(RefCell::new(self));
        CURRENT.with(|current| *current.borrow_mut() = Some(this.clone()));
        let mut events = Events::with_room(256);
        while !server.ending.load(Ordering::Acquire) {
            if this.borrow_mut().wait(&mut events).is_err() {
                return;
            }
            Worker::turn(&this, &events);
        }
        this.borrow_mut().flush();
        CURRENT.with(|current| *current.borrow_mut() = None);
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.wait_for();
        if timeout.is_zero() || self.mailbox.may_sleep() {
            self.epoll.wait(events, Some(timeout))?;
            self.mailbox.awake();
        }
        Ok(())
    }

    /// A turn from inside a slow script.
    fn busy_turn(this: &RefCell<Worker>) {
        let mut events = Events::with_room(64);
        {
            let Ok(mut worker) = this.try_borrow_mut() else { return };
            if worker.epoll.wait(&mut events, Some(Duration::ZERO)).is_err() {
                return;
            }
            worker.busy = true;
        }
        Worker::turn(this, &events);
        this.borrow_mut().busy = false;
    }

    fn wait_for(&self) -> Duration {
        let mut wait = CARE.saturating_sub(self.last_care.elapsed());
        let pause = || self.server.hot.paused_until.load(Ordering::Acquire);
        let pause = (!self.paused.is_empty()).then(pause);
        if let Some(at) = self.deadlines.first().map(|(at, _)| *at).into_iter().chain(pause).min() {
            let ms = (at - self.server.now_ms()).max(0) as u64;
            wait = wait.min(Duration::from_millis(ms));
        }
        wait
    }

    fn turn(this: &RefCell<Worker>, events: &Events) {
        let (server, number, config, busy) = this.borrow_mut().begin_turn();
        let now = Instant::now();
        let mut ex = Executor {
            server,
            config: &config,
            worker: number,
            base_ms: server.now_ms(),
            base: now,
            last: now,
            loading: false,
        };
        for (token, ready) in events.iter() {
            match token {
                BELL => this.borrow().mailbox.bell.silence(),
                SIGNALS if busy => {}
                SIGNALS => this.borrow_mut().signal(),
                listener if listener < SIGNALS => this.borrow_mut().accept(listener as usize),
                token => Worker::ready(this, &mut ex, token - FIRST, ready),
            }
        }
        Worker::mail(this, &mut ex);
        // Nothing that locks a shard while a script holds them all.
        if !busy && !server.scripts.is_active() {
            Worker::expire_waits(this, &mut ex);
            let pauses = !this.borrow().paused.is_empty();
            if pauses && server.hot.end_pause(Some(server.now_ms())) {
                Worker::resume(this, &mut ex);
            }
            if this.borrow().last_care.elapsed() >= CARE {
                this.borrow_mut().care(&ex);
            }
        }
        this.borrow_mut().flush();
    }

    fn begin_turn(&mut self) -> (&'static Server, usize, Arc<Config>, bool) {
        self.server.stats(self.number).turns.add(1);
        if self.config_version != self.server.config_version() {
            self.config_version = self.server.config_version();
            self.config = self.server.config();
        }
        if !self.busy && !self.server.scripts.is_active() {
            std::mem::take(&mut self.to_close).into_iter().for_each(|id| self.close(id));
        }
        (self.server, self.number, self.config.clone(), self.busy)
    }

    fn signal(&mut self) {
        if let Some(signal) = self.chief.as_ref().and_then(super::start::Chief::signal) {
            self.server.shut_down_by(signal);
        }
    }

    fn accept(&mut self, listener: usize) {
        // A turn takes in so many at most, as others wait too.
        for _ in 0..1000 {
            let Some(stream) = self.chief.as_ref().and_then(|chief| chief.accept(listener)) else {
                return;
            };
            let workers = self.chief.as_ref().map_or(1, |chief| chief.workers);
            let worker = (self.server.clients.next_id() as usize) % workers;
            if worker == self.number {
                self.take_in(stream);
            } else {
                self.server.post(worker, Message::Connection(stream));
            }
        }
    }

    fn take_in(&mut self, stream: Stream) {
        let stats = self.server.stats(self.number);
        if self.server.clients.len() >= self.config.maxclients {
            stats.rejected.add(1);
            let _ = (&stream).write_all(b"-ERR max number of clients reached\r\n");
            return;
        }
        let (addr, laddr, unix, local) = match stream.tcp() {
            Some(tcp) => {
                let _ = tcp.set_nodelay(true);
                let peer = tcp.peer_addr();
                let local = peer.as_ref().is_ok_and(|addr| addr.ip().to_canonical().is_loopback());
                let text = |addr: io::Result<std::net::SocketAddr>| {
                    addr.map(|addr| addr.to_string()).unwrap_or_default()
                };
                (text(peer), text(tcp.local_addr()), false, local)
            }
            None => {
                let path = format!("{}:0", self.config.get("unixsocket"));
                (path.clone(), path, true, true)
            }
        };
        let open = self.server.acl.is_open();
        if !local
            && open
            && self.config.is_on("protected-mode")
            && self.config.get("bind") == "* -::*"
        {
            let _ = (&stream).write_all(
                b"-DENIED Redis is running in protected mode because protected mode is enabled and \
                  no password is set for the default user. In this mode connections are only \
                  accepted from the loopback interface. Set a password, bind an address, or set \
                  protected-mode to no.\r\n",
            );
            stats.rejected.add(1);
            return;
        }
        let now = self.server.now_ms();
        let info = Arc::new(ClientInfo {
            id: self.server.clients.next_id(),
            addr,
            laddr,
            fd: stream.as_fd().as_raw_fd(),
            worker: self.number,
            created_ms: now,
            ..ClientInfo::default()
        });
        info.used_ms.store(now, Ordering::Relaxed);
        info.resp.store(2, Ordering::Relaxed);
        "default"
            .clone_into(&mut info.user.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        info.set_flag(flag::UNIX, unix);
        let id = info.id;
        if self.epoll.add(&stream, id + FIRST, Interest::READ).is_err() {
            return;
        }
        stats.connections.add(1);
        self.server.clients.add(&info);
        let mut session = Session::new(info, self.number, open);
        session.user = Some(self.server.acl.default_user());
        let conn = Conn {
            stream,
            session,
            parser: RequestParser::default(),
            query: Vec::new(),
            filled: 0,
            start: 0,
            out: Out::default(),
            written: 0,
            wants_write: false,
            listed: false,
            ended: false,
            postponed: false,
            overflown: false,
            soft_since: None,
            accounted: 0,
        };
        self.conns.insert(id, Box::new(conn));
    }

    fn ready(this: &RefCell<Worker>, ex: &mut Executor<'_>, id: u64, ready: Interest) {
        while this.borrow_mut().read(ex, id, ready) {
            Worker::process(this, ex, id);
            if !this.borrow().conns.get(&id).is_some_and(|conn| conn.stream.has_more()) {
                break;
            }
        }
    }

    /// Reads what has come for a connection; whether something has.
    fn read(&mut self, ex: &Executor<'_>, id: u64, ready: Interest) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        if ready.is_writable() && conn.wants_write {
            self.list(id);
        }
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        if !ready.is_readable() || conn.session.closing {
            return false;
        }
        let stats = self.server.stats(self.number);
        match conn.read() {
            Ok(0) => conn.ended = true,
            Ok(count) => {
                stats.read_bytes.add(count as u64);
                stats.reads.add(1);
                conn.session.info.used_ms.store(ex.base_ms, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => conn.ended = true,
        }
        if conn.ended {
            self.close(id);
            return false;
        }
        true
    }

    /// Executes all whole requests of a connection.
    fn process(this: &RefCell<Worker>, ex: &mut Executor<'_>, id: u64) {
        let Some(mut conn) = this.borrow_mut().conns.remove(&id) else { return };
        let mut query = std::mem::take(&mut conn.query);
        ex.last = Instant::now();
        while !conn.session.closing && conn.session.blocked.is_none() && !conn.postponed {
            let limits = Limits {
                bulk_bytes: ex.config.proto_max_bulk_len,
                authenticated: conn.session.authenticated,
            };
            match conn.parser.parse(&query[..conn.filled], &limits) {
                Step::Done(next) => {
                    let args = conn.parser.args(&query[..conn.filled]);
                    if !args.is_empty() && !execute(ex, &mut conn.session, args, &mut conn.out) {
                        conn.parser.start(conn.start);
                        this.borrow_mut().postpone(&mut conn);
                        break;
                    }
                    conn.start = next;
                    conn.parser.start(next);
                    if conn.session.blocked.is_some() || conn.session.after.is_some() {
                        this.borrow_mut().follow_up(&mut conn);
                    }
                    if conn.waiting() > conn.limit(ex.config).hard {
                        conn.overflown = true;
                        break;
                    }
                    if conn.out.bytes.len() - conn.written > WRITE_EARLY && !ex.server.log.is_on() {
                        let _ = conn.write(ex.server.stats(ex.worker));
                    }
                }
                Step::More { reserve } => {
                    if reserve > READ_BYTES {
                        // Grown as it comes: a length that is only claimed costs nothing.
                        let room = reserve.min(conn.filled.max(READ_BYTES));
                        query.reserve(room);
                    }
                    break;
                }
                Step::Broken(why) => {
                    conn.out.error(&Error::made(format!("ERR Protocol error: {why}")));
                    conn.session.closing = true;
                }
            }
        }
        conn.query = query;
        conn.compact();
        if conn.filled > ex.config.query_buffer_limit {
            conn.session.closing = true;
        }
        conn.account(ex.server);
        let mut worker = this.borrow_mut();
        worker.conns.insert(id, conn);
        worker.list(id);
    }

    /// Holds a connection's next request back until the pause is over.
    fn postpone(&mut self, conn: &mut Conn) {
        conn.postponed = true;
        conn.session.info.set_flag(flag::BLOCKED, true);
        self.server.clients.blocked.fetch_add(1, Ordering::Relaxed);
        self.paused.push(conn.session.id());
    }

    /// What a command has left to be done when its locks were given back.
    fn follow_up(&mut self, conn: &mut Conn) {
        if let Some(waiter) = &conn.session.blocked {
            self.server.begin_wait(waiter);
            conn.session.info.set_flag(flag::BLOCKED, true);
            if let Some(until) = waiter.until_ms {
                self.deadlines.insert((until, waiter.client));
            }
        }
        match conn.session.after.take() {
            None => {}
            Some(After::Save) => drop(self.server.save_in_background()),
            Some(After::Rewrite) => drop(self.server.rewrite_in_background()),
            Some(After::Follow(host, port)) => self.server.follow(&host, port),
            Some(After::FollowNobody) => self.server.follow_nobody(),
            Some(After::FullSync) => self.server.start_full_syncs(),
            Some(After::Acknowledged) => self.server.serve_acknowledged(self.server.now_ms()),
            Some(After::Failover { to, timeout_ms, force }) => {
                self.server.fail_over(to, timeout_ms, force);
            }
            Some(After::LoadAof) => match self.server.reload_log() {
                Ok(()) => conn.out.ok(),
                Err(error) => conn.out.error(&Error::made(format!("ERR {error}"))),
            },
            Some(After::Shutdown { wish, force }) => {
                if let Err(error) = self.server.shut_down(wish, force) {
                    conn.out.error(&Error::made(error));
                }
            }
        }
    }

    fn list(&mut self, id: u64) {
        if let Some(conn) = self.conns.get_mut(&id)
            && !conn.listed
        {
            conn.listed = true;
            self.to_write.push(id);
        }
    }

    fn mail(this: &RefCell<Worker>, ex: &mut Executor<'_>) {
        let messages = this.borrow().mailbox.take();
        for message in messages {
            match message {
                Message::Connection(stream) => this.borrow_mut().take_in(stream),
                Message::Deliver(id, bytes) => this.borrow_mut().deliver(id, &bytes),
                Message::Served(id, reply) => Worker::served(this, ex, id, &reply),
                Message::Kill(id) => this.borrow_mut().close(id),
                // The turn's end feeds all replicas.
                Message::Feed => {}
                Message::Resume => Worker::resume(this, ex),
                Message::Stop => {}
            }
        }
    }

    fn deliver(&mut self, id: u64, bytes: &[u8]) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.out.raw(bytes);
            self.list(id);
        }
    }

    fn resume(this: &RefCell<Worker>, ex: &mut Executor<'_>) {
        let paused = std::mem::take(&mut this.borrow_mut().paused);
        for id in paused {
            if this.borrow_mut().end_postponement(id) {
                Worker::process(this, ex, id);
            }
        }
    }

    /// Lets a connection go on after a pause; whether it is still there.
    fn end_postponement(&mut self, id: u64) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        conn.postponed = false;
        conn.session.info.set_flag(flag::BLOCKED, false);
        self.server.clients.blocked.fetch_sub(1, Ordering::Relaxed);
        true
    }

    fn served(this: &RefCell<Worker>, ex: &mut Executor<'_>, id: u64, reply: &[u8]) {
        if this.borrow_mut().end_wait(id, reply) {
            Worker::process(this, ex, id);
        }
    }

    /// Takes a reply for a client that has waited; whether it is still there.
    fn end_wait(&mut self, id: u64, reply: &[u8]) -> bool {
        self.server.end_wait(id);
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        if let Some(waiter) = conn.session.blocked.take()
            && let Some(until) = waiter.until_ms
        {
            self.deadlines.remove(&(until, id));
        }
        conn.session.info.set_flag(flag::BLOCKED, false);
        conn.out.raw(reply);
        true
    }

    /// Gives up for those whose time is over.
    fn expire_waits(this: &RefCell<Worker>, ex: &mut Executor<'_>) {
        let now = ex.server.now_ms();
        loop {
            let Some((until, id)) = this.borrow().deadlines.first().copied() else { return };
            if until > now {
                return;
            }
            this.borrow_mut().deadlines.remove(&(until, id));
            let waiter = this.borrow().conns.get(&id).and_then(|conn| conn.session.blocked.clone());
            let Some(waiter) = waiter else { continue };
            if blocking::give_up(ex.server, ex.worker, now, &waiter) {
                let mut out = Out::new(waiter.resp3);
                ex.server.push_timeout(&waiter, &mut out);
                Worker::served(this, ex, id, &out.bytes);
            }
        }
    }

    /// Looks after connections, and after the server if it is the chief.
    fn care(&mut self, ex: &Executor<'_>) {
        self.last_care = Instant::now();
        let now = ex.base_ms;
        let late = |conn: &Conn| {
            let limit = conn.limit(ex.config);
            conn.soft_since.is_some_and(|since| now - since > limit.soft_ms)
        };
        let late: Vec<u64> =
            self.conns.iter().filter(|(_, conn)| late(conn)).map(|(id, _)| *id).collect();
        late.into_iter().for_each(|id| self.close_overflown(id));
        if ex.config.timeout_s > 0 {
            let limit = ex.base_ms - ex.config.timeout_s * 1000;
            let idle: Vec<u64> = self
                .conns
                .values()
                .filter(|conn| {
                    let session = &conn.session;
                    let exempt = session.blocked.is_some() || session.subscriptions() > 0;
                    !exempt && session.info.used_ms.load(Ordering::Relaxed) < limit
                })
                .map(|conn| conn.session.id())
                .collect();
            idle.into_iter().for_each(|id| self.close(id));
        }
        if let Some(chief) = &mut self.chief {
            chief.cron.run(self.server, self.number, &self.config);
        }
    }

    /// Gives replicas what of the stream they have not got.
    fn feed(&mut self) {
        if self.server.repl.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        for replica in self.server.repl.replicas() {
            if replica.worker != self.number || !replica.is(crate::repl::state::ONLINE) {
                continue;
            }
            let Some(conn) = self.conns.get_mut(&replica.client) else { continue };
            let room = FEED_BYTES.saturating_sub(conn.waiting());
            let sent = replica.sent.load(Ordering::Relaxed);
            match self.server.repl.read(sent, room, &mut conn.out.bytes) {
                Some(0) => {}
                Some(count) => {
                    replica.sent.store(sent + count as u64, Ordering::Release);
                    self.list(replica.client);
                }
                None => self.close(replica.client),
            }
        }
        self.server.repl.wake(self.server, self.number);
    }

    /// Writes the log, then replies.
    fn flush(&mut self) {
        self.feed();
        self.server.evict_clients();
        if let Err(error) = self.server.log.flush() {
            self.server.logger.warning(&format!(
                "Error writing to the AOF file: {}",
                box_kit::exit::kernel_words(&error)
            ));
            if self.config.get("appendfsync") == "always" {
                // What cannot be made durable must not be acknowledged.
                self.server.logger.warning(
                    "Can't recover from AOF write error when the AOF fsync policy is 'always'. \
                     Exiting...",
                );
                self.server.ended_badly.store(true, Ordering::Release);
                self.server.ending.store(true, Ordering::Release);
                return;
            }
        }
        let stats = self.server.stats(self.number);
        for id in std::mem::take(&mut self.to_write) {
            let Some(conn) = self.conns.get_mut(&id) else { continue };
            conn.listed = false;
            let limit = conn.limit(&self.config);
            if conn.overflown || conn.waiting() > limit.hard {
                self.close_overflown(id);
                continue;
            }
            let result = conn.write(stats);
            let left = conn.waiting();
            conn.account(self.server);
            let owing = conn.stream.is_owing();
            if result.is_err() || (left == 0 && conn.session.closing && !owing) {
                self.close(id);
                continue;
            }
            if left <= limit.soft {
                conn.soft_since = None;
            } else if conn.soft_since.is_none() {
                conn.soft_since = Some(self.server.now_ms());
            }
            let wants_write = left > 0 || owing;
            if wants_write != conn.wants_write {
                conn.wants_write = wants_write;
                let interest =
                    if wants_write { Interest::READ.and(Interest::WRITE) } else { Interest::READ };
                let _ = self.epoll.modify(&conn.stream, id + FIRST, interest);
            }
        }
    }

    /// Ends a connection that does not fetch its replies.
    fn close_overflown(&mut self, id: u64) {
        if let Some(conn) = self.conns.get(&id) {
            let line = conn.session.info.line(self.server.now_ms());
            self.server.logger.warning(&format!(
                "Client {line} scheduled to be closed ASAP for overcoming of output buffer limits."
            ));
            self.close(id);
        }
    }

    fn close(&mut self, id: u64) {
        if self.busy || self.server.scripts.is_active() {
            // What it watches and waits for stands in shards that the script holds.
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.session.closing = true;
                self.to_close.push(id);
            }
            return;
        }
        let Some(mut conn) = self.conns.remove(&id) else { return };
        let session = &mut conn.session;
        if let Some(waiter) = session.blocked.take() {
            blocking::give_up(self.server, self.number, self.server.now_ms(), &waiter);
            self.server.end_wait(id);
            if let Some(until) = waiter.until_ms {
                self.deadlines.remove(&(until, id));
            }
        }
        transaction::unwatch_all(self.server, session);
        pubsub::stop_all(self.server, session);
        tracking::stop(self.server, session);
        if conn.postponed {
            self.server.clients.blocked.fetch_sub(1, Ordering::Relaxed);
        }
        self.server.clients.memory.fetch_sub(conn.accounted, Ordering::Relaxed);
        if session.monitor {
            self.server.stop_monitor(id);
        }
        if session.replica.is_some() {
            self.server.repl.remove(id);
        }
        self.server.clients.remove(id);
    }
}

impl Conn {
    /// Bytes of replies that wait to be written.
    fn waiting(&self) -> usize {
        self.out.bytes.len() - self.written
    }

    fn limit(&self, config: &Config) -> OutputLimit {
        if self.session.info.has_flag(flag::REPLICA) {
            // What it has not got waits in the backlog.
            return OutputLimit::NONE;
        }
        config.output_limits[usize::from(self.session.subscriptions() > 0)]
    }

    /// Notes for others how much is kept for this connection.
    fn account(&mut self, server: &Server) {
        let info = &self.session.info;
        info.query_bytes.store(self.filled, Ordering::Relaxed);
        info.reply_bytes.store(self.waiting(), Ordering::Relaxed);
        let memory = self.query.len() + self.out.bytes.capacity() + self.session.memory();
        if memory != self.accounted {
            server.clients.memory.fetch_add(memory, Ordering::Relaxed);
            server.clients.memory.fetch_sub(self.accounted, Ordering::Relaxed);
            self.accounted = memory;
            info.memory.store(memory, Ordering::Relaxed);
            info.rooms[0].store(self.query.len(), Ordering::Relaxed);
            info.rooms[1].store(self.out.bytes.capacity(), Ordering::Relaxed);
            let multi = self.session.multi.as_ref().map_or(0, |multi| multi.bytes);
            info.multi_bytes.store(multi, Ordering::Relaxed);
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        let room = self.query.len() - self.filled;
        if room < READ_BYTES {
            let target = self.query.capacity().max(self.filled + READ_BYTES);
            self.query.resize(target, 0);
        }
        let count = (&self.stream).read(&mut self.query[self.filled..])?;
        self.filled += count;
        Ok(count)
    }

    /// Drops what has been executed from the buffer.
    fn compact(&mut self) {
        if self.start == self.filled && !self.parser.is_midway() {
            self.filled = 0;
            self.start = 0;
            self.parser.start(0);
            if self.query.len() > KEEP_BYTES {
                self.query = Vec::new();
            }
        } else if self.start > 0 {
            self.query.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.parser.shift(self.start);
            self.start = 0;
        }
    }

    fn write(&mut self, stats: &super::stats::Stats) -> io::Result<()> {
        match (&self.stream).flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        while self.written < self.out.bytes.len() {
            match (&self.stream).write(&self.out.bytes[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    stats.written_bytes.add(count as u64);
                    stats.writes.add(1);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.written == self.out.bytes.len() {
            self.written = 0;
            self.out.bytes.clear();
            if self.out.bytes.capacity() > KEEP_BYTES {
                self.out.bytes = Vec::new();
            }
        }
        Ok(())
    }
}
