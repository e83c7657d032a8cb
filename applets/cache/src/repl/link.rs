//! The connection to a master: one thread that shakes hands, loads a snapshot if it must, and
//! executes the stream.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use box_kit::exit::kernel_words;
use box_wire::resp::{Args, Limits, RequestParser, Step, push_request};

use crate::cmd::dispatch::{Executor, execute};
use crate::cmd::reply::Out;
use crate::persist::rdb::{self, Loaded};
use crate::server::clients::ClientInfo;
use crate::server::session::Session;
use crate::server::{Server, WORKERS_MAX};
use crate::store::table::Table;

/// Between two attempts to reach the master.
const RETRY: Duration = Duration::from_secs(1);
/// How long a read waits, so that acknowledgements leave in time.
const TICK: Duration = Duration::from_millis(100);
/// Between two acknowledgements.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);
/// Bytes of a line of the handshake.
const LINE_MAX: usize = 64 * 1024;
/// Digits of the mark behind a snapshot.
const MARK_BYTES: usize = 40;

/// How far the link is.
pub mod stage {
    #![allow(missing_docs, reason = "the names are the protocol's own")]
    pub const NONE: u8 = 0;
    pub const CONNECT: u8 = 1;
    pub const CONNECTING: u8 = 2;
    pub const SYNC: u8 = 3;
    pub const CONNECTED: u8 = 4;
}

/// What others may see of the link.
#[derive(Default)]
pub struct State {
    target: Mutex<Option<(String, u16)>>,
    /// Grows with each change of the target: a thread of an older one ends.
    generation: AtomicU64,
    /// One of [`stage`].
    pub stage: AtomicU8,
    /// When the master was last heard, in ms of Unix time.
    pub heard_ms: AtomicI64,
    /// Since when the link is down, in ms of Unix time.
    pub down_ms: AtomicI64,
    /// The offset from which a resumption is asked, once there is one.
    resumable: AtomicBool,
    /// The next PSYNC asks the other side to take over.
    pub failover: AtomicBool,
}

impl State {
    /// The master, if there is one.
    pub fn target(&self) -> Option<(String, u16)> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the stream flows.
    pub fn is_up(&self) -> bool {
        self.stage.load(Ordering::Acquire) == stage::CONNECTED
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn aim(&self, target: Option<(String, u16)>) -> u64 {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
        self.generation.fetch_add(1, Ordering::AcqRel) + 1
    }
}

impl Server {
    /// Follows a master.
    pub fn follow(&'static self, host: &str, port: u16) {
        let size = self.config().get("repl-backlog-size").parse().unwrap_or(1 << 20);
        let first = !self.repl.is_replica() && !self.repl.is_active();
        let generation = self.repl.link.aim(Some((host.to_owned(), port)));
        // What has no history of its own cannot be resumed.
        self.repl.link.resumable.store(!first || self.repl.offset() > 0, Ordering::Release);
        self.repl.follow(size);
        self.repl.link.stage.store(stage::CONNECT, Ordering::Release);
        self.repl.link.down_ms.store(self.now_ms(), Ordering::Relaxed);
        self.repl.drop_replicas(self);
        let work = move || run(self, generation);
        if std::thread::Builder::new().name("replica".into()).spawn(work).is_err() {
            self.logger.warning("The thread of the link to the master cannot be started");
        }
    }

    /// Follows nobody any more.
    pub fn follow_nobody(&'static self) {
        self.repl.link.aim(None);
        self.repl.link.stage.store(stage::NONE, Ordering::Release);
        self.repl.promote();
    }
}

/// Why the link has ended.
enum Ended {
    /// There is another target, or the server ends.
    Superseded,
    /// Something went wrong.
    Broken(String),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        Ended::Broken(kernel_words(&error))
    }
}

fn run(server: &'static Server, generation: u64) {
    let link = &server.repl.link;
    loop {
        let Some((host, port)) = link.target() else { return };
        if link.generation() != generation || server.ending.load(Ordering::Acquire) {
            return;
        }
        server.logger.notice(&format!("Connecting to MASTER {host}:{port}"));
        link.stage.store(stage::CONNECTING, Ordering::Release);
        let ended = match Link::connect(server, generation, &host, port) {
            Ok(mut link) => link.serve(),
            Err(ended) => ended,
        };
        if link.generation() != generation {
            return;
        }
        if link.stage.swap(stage::CONNECT, Ordering::AcqRel) == stage::CONNECTED {
            link.down_ms.store(server.now_ms(), Ordering::Relaxed);
            server.logger.warning("Connection with master lost.");
        }
        match ended {
            Ended::Superseded => return,
            Ended::Broken(why) => server.logger.warning(&format!("MASTER {host}:{port}: {why}")),
        }
        std::thread::sleep(RETRY);
    }
}

struct Link {
    server: &'static Server,
    generation: u64,
    socket: TcpStream,
    buffer: Vec<u8>,
    heard: Instant,
    acknowledged: Instant,
}

impl Link {
    fn connect(
        server: &'static Server,
        generation: u64,
        host: &str,
        port: u16,
    ) -> Result<Link, Ended> {
        let ips = match host.parse() {
            Ok(ip) => vec![ip],
            Err(_) => box_sys::resolve::host(host)?,
        };
        let ip = ips.into_iter().next().ok_or_else(|| Ended::Broken("no address".into()))?;
        let limit = Duration::from_secs(server.config().int("repl-timeout").max(1) as u64);
        let socket = TcpStream::connect_timeout(&SocketAddr::new(ip, port), limit)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TICK))?;
        socket.set_write_timeout(Some(limit))?;
        let now = Instant::now();
        Ok(Link { server, generation, socket, buffer: Vec::new(), heard: now, acknowledged: now })
    }

    fn is_current(&self) -> bool {
        self.server.repl.link.generation() == self.generation
            && !self.server.ending.load(Ordering::Acquire)
    }

    /// Reads more; whether something came.
    fn more(&mut self) -> Result<bool, Ended> {
        if !self.is_current() {
            return Err(Ended::Superseded);
        }
        let mut chunk = [0; 64 * 1024];
        match self.socket.read(&mut chunk) {
            Ok(0) => Err(Ended::Broken("the connection has been closed".into())),
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                self.heard = Instant::now();
                self.server.repl.link.heard_ms.store(self.server.now_ms(), Ordering::Relaxed);
                Ok(true)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) =>
            {
                let limit = self.server.config().int("repl-timeout").max(1) as u64;
                if self.heard.elapsed() > Duration::from_secs(limit) {
                    return Err(Ended::Broken("nothing has been heard for too long".into()));
                }
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn send<A: AsRef<[u8]>>(&mut self, words: &[A]) -> Result<(), Ended> {
        let mut request = Vec::new();
        push_request(&mut request, words.iter());
        Ok(self.socket.write_all(&request)?)
    }

    /// The next line that is not empty.
    fn line(&mut self) -> Result<String, Ended> {
        loop {
            let blank = self.buffer.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            self.buffer.drain(..blank);
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
            if self.buffer.len() > LINE_MAX {
                return Err(Ended::Broken("a line without an end".into()));
            }
            self.more()?;
        }
    }

    fn ask<A: AsRef<[u8]>>(&mut self, words: &[A]) -> Result<String, Ended> {
        self.send(words)?;
        self.line()
    }

    fn serve(&mut self) -> Ended {
        match self.follow() {
            Ok(()) => Ended::Superseded,
            Err(ended) => ended,
        }
    }

    fn follow(&mut self) -> Result<(), Ended> {
        self.shake_hands()?;
        self.server.repl.link.stage.store(stage::SYNC, Ordering::Release);
        let repl = &self.server.repl;
        let (id, offset) = if repl.link.resumable.load(Ordering::Acquire) {
            (repl.histories().id, (repl.offset() + 1).to_string())
        } else {
            ("?".to_owned(), "-1".to_owned())
        };
        let failover = repl.link.failover.swap(false, Ordering::AcqRel);
        let mut words = vec!["PSYNC", &id, &offset];
        if failover {
            words.push("FAILOVER");
        }
        let reply = self.ask(&words)?;
        let words: Vec<&str> = reply.split(' ').collect();
        match &words[..] {
            ["+FULLRESYNC", id, offset] => {
                let offset = offset
                    .parse()
                    .map_err(|_| Ended::Broken(format!("not an offset: {offset}")))?;
                self.server.logger.notice(&format!("Full resync from master: {id}:{offset}"));
                self.load_snapshot(id, offset)?;
            }
            ["+CONTINUE", rest @ ..] => {
                self.server.logger.notice("Successful partial resynchronization with master.");
                if let Some(id) = rest.first() {
                    self.server.repl.rename(id);
                }
                self.server.logger.notice(
                    "MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.",
                );
            }
            _ => {
                return Err(Ended::Broken(format!(
                    "Unexpected reply to PSYNC from master: {reply}"
                )));
            }
        }
        self.server.repl.link.resumable.store(true, Ordering::Release);
        self.server.repl.link.stage.store(stage::CONNECTED, Ordering::Release);
        self.execute_stream()
    }

    fn shake_hands(&mut self) -> Result<(), Ended> {
        let config = self.server.config();
        let reply = self.ask(&["PING"])?;
        let known = ["+PONG", "-NOAUTH", "-NOPERM", "-ERR operation not permitted"];
        if !known.iter().any(|known| reply.starts_with(known)) {
            return Err(Ended::Broken(format!("Error reply to PING from master: '{reply}'")));
        }
        let (user, password) = (config.get("masteruser"), config.get("masterauth"));
        if !password.is_empty() {
            let reply = if user.is_empty() {
                self.ask(&["AUTH", password])?
            } else {
                self.ask(&["AUTH", user, password])?
            };
            if reply.starts_with('-') {
                return Err(Ended::Broken(format!("Unable to AUTH to MASTER: {reply}")));
            }
        }
        let announced = config.get("replica-announce-port");
        let port = if announced == "0" { config.get("port") } else { announced };
        // A master that does not know an option says so and goes on.
        self.ask(&["REPLCONF", "listening-port", port])?;
        let ip = config.get("replica-announce-ip");
        if !ip.is_empty() {
            self.ask(&["REPLCONF", "ip-address", ip])?;
        }
        self.ask(&["REPLCONF", "capa", "eof", "capa", "psync2"])?;
        Ok(())
    }

    /// Receives a snapshot and puts it in the place of all keys.
    fn load_snapshot(&mut self, id: &str, offset: u64) -> Result<(), Ended> {
        let line = self.line()?;
        let bytes = match line.strip_prefix("$EOF:") {
            Some(mark) if mark.len() == MARK_BYTES => self.until(mark.as_bytes())?,
            _ => {
                let len = line.strip_prefix('$').and_then(|len| len.parse::<usize>().ok());
                let len = len.ok_or_else(|| Ended::Broken(format!("not a snapshot: {line}")))?;
                while self.buffer.len() < len {
                    self.more()?;
                }
                self.buffer.drain(..len).collect()
            }
        };
        let logger = &self.server.logger;
        logger.notice("MASTER <-> REPLICA sync: Flushing old data");
        logger.notice("MASTER <-> REPLICA sync: Loading DB in memory");
        self.server.replace_keys(&bytes, id, offset).map_err(Ended::Broken)?;
        logger.notice("MASTER <-> REPLICA sync: Finished with success");
        Ok(())
    }

    fn until(&mut self, mark: &[u8]) -> Result<Vec<u8>, Ended> {
        let mut searched = 0;
        loop {
            let from = searched.min(self.buffer.len());
            if let Some(at) = memchr::memmem::find(&self.buffer[from..], mark) {
                let snapshot: Vec<u8> = self.buffer.drain(..from + at).collect();
                self.buffer.drain(..mark.len());
                return Ok(snapshot);
            }
            searched = self.buffer.len().saturating_sub(mark.len() - 1);
            self.more()?;
        }
    }

    /// What cannot be executed is lost: whoever looks after the server must know.
    fn report(&self, args: Args<'_>, out: &Out) {
        if let Some(error) = out.bytes.strip_prefix(b"-") {
            self.server.logger.warning(&format!(
                "== CRITICAL == This replica is sending an error to its master: '{}' after \
                 processing the command '{}'",
                String::from_utf8_lossy(error).trim_end(),
                String::from_utf8_lossy(args.at(0))
            ));
        }
    }

    fn acknowledge(&mut self) -> Result<(), Ended> {
        let offset = self.server.repl.offset().to_string();
        self.acknowledged = Instant::now();
        self.send(&["REPLCONF", "ACK", &offset])
    }

    /// Executes the stream until the link ends.
    fn execute_stream(&mut self) -> Result<(), Ended> {
        let info = Arc::new(ClientInfo::default());
        let mut session = Session::new(info, WORKERS_MAX, true);
        session.is_master = true;
        let mut parser = RequestParser::default();
        let mut out = Out::default();
        // Requests of a transaction that has not ended: they count once it has.
        let mut begun = Vec::new();
        let limits = Limits { bulk_bytes: usize::MAX >> 1, authenticated: true };
        // A master that has sent a snapshot waits for this before it sends the stream.
        self.acknowledge()?;
        loop {
            let mut at = 0;
            let config = self.server.config();
            let now = Instant::now();
            let mut ex = Executor {
                server: self.server,
                config: &config,
                worker: WORKERS_MAX,
                base_ms: self.server.now_ms(),
                base: now,
                last: now,
                loading: true,
            };
            let mut asked = false;
            while at < self.buffer.len() && self.is_current() {
                if matches!(self.buffer[at], b'\n' | b'\r') {
                    // A sign of life in front of the stream.
                    at += 1;
                    continue;
                }
                parser.start(at);
                match parser.parse(&self.buffer, &limits) {
                    Step::Done(next) => {
                        let args = parser.args(&self.buffer);
                        asked |= is_getack(args);
                        let applying = self.server.repl.applying();
                        if !is_replconf(args) {
                            out.bytes.clear();
                            match as_hset(args) {
                                Some((bytes, ranges)) => {
                                    let args = Args::new(&bytes, &ranges);
                                    execute(&mut ex, &mut session, args, &mut out);
                                }
                                None => drop(execute(&mut ex, &mut session, args, &mut out)),
                            }
                            self.report(args, &out);
                        }
                        begun.extend_from_slice(&self.buffer[at..next]);
                        if session.multi.is_none() {
                            self.server.repl.pass_on(&begun);
                            begun.clear();
                        }
                        drop(applying);
                        at = next;
                    }
                    Step::More { .. } => break,
                    Step::Broken(why) => {
                        return Err(Ended::Broken(format!("the stream is broken: {why}")));
                    }
                }
            }
            if at > 0 {
                self.buffer.drain(..at);
                let _ = self.server.log.flush();
                self.server.repl.wake(self.server, usize::MAX);
            }
            if asked || self.acknowledged.elapsed() >= ACKNOWLEDGE {
                self.acknowledge()?;
            }
            self.more()?;
        }
    }
}

/// `HSETEX key KEEPTTL FIELDS n field value …` as HSET: so Redis 8 logs HINCRBYFLOAT, and where no
/// field expires the two are the same.
fn as_hset(args: Args<'_>) -> Option<(Vec<u8>, Vec<Range<usize>>)> {
    let is =
        |at: usize, word: &[u8]| args.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word));
    if !is(0, b"hsetex") || !is(2, b"keepttl") || !is(3, b"fields") || args.len() < 7 {
        return None;
    }
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    for word in [&b"HSET"[..], args.at(1)].into_iter().chain(args.from(5).iter()) {
        let start = bytes.len();
        bytes.extend_from_slice(word);
        ranges.push(start..bytes.len());
    }
    Some((bytes, ranges))
}

fn is_replconf(args: Args<'_>) -> bool {
    args.at(0).eq_ignore_ascii_case(b"replconf")
}

fn is_getack(args: Args<'_>) -> bool {
    is_replconf(args) && args.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"getack"))
}

impl Server {
    /// Puts the keys of a snapshot in the place of all that there are.
    fn replace_keys(&'static self, bytes: &[u8], id: &str, offset: u64) -> Result<(), String> {
        let config = self.config();
        let mut loaded = Loaded::default();
        {
            let mut view = self.keyspace.lock_all();
            view.before_change();
            let mut shards = view.shards();
            for shard in &mut shards {
                shard.dbs.iter_mut().for_each(|table| *table = Table::new());
                shard.touch_all(None);
            }
            // Expired keys are the master's to remove.
            rdb::load(bytes, &config, i64::MIN, &mut shards, &mut loaded).map_err(|broken| {
                format!(
                    "Failed trying to load the MASTER synchronization DB: {} at offset {}",
                    broken.reason, broken.offset
                )
            })?;
            self.repl.restart_at(id, offset);
            rdb::load_libraries(self, &loaded.libraries)?;
        }
        self.repl.drop_replicas(self);
        if self.log.is_on() {
            // The log must hold what has been loaded.
            let _ = self.rewrite_in_background();
        }
        Ok(())
    }
}
