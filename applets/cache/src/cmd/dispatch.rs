//! A request on its way: checks, locks, the command, what follows from it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use box_wire::resp::{Args, push_request};

use super::db::Expiry;
use super::keys::{self, Scope};
use super::reply::Out;
use super::table::{self, Command, Found, flag};
use super::{Ctx, Error, blocking};
use crate::acl::check::Denied;
use crate::config::Config;
use crate::server::Server;
use crate::server::hot::pause;
use crate::server::session::{Queued, Replies, Session};
use crate::server::tracking::mode;
use crate::store::shard::{Place, View};

/// What a worker executes with.
pub struct Executor<'a> {
    /// The server.
    pub server: &'static Server,
    /// The configuration at the start of the turn.
    pub config: &'a Config,
    /// The worker's number.
    pub worker: usize,
    /// Unix time at the start of the turn, in ms.
    pub base_ms: i64,
    /// The moment of `base_ms`.
    pub base: Instant,
    /// The moment at which the command before has ended.
    pub last: Instant,
    /// Whether files are being loaded: nothing is refused or logged.
    pub loading: bool,
}

impl Executor<'_> {
    fn now_ms(&self) -> i64 {
        self.base_ms + self.last.duration_since(self.base).as_millis() as i64
    }
}

/// Executes a request, or queues it, or refuses it; the reply goes to `out`. Whether it is done
/// with: a request that is held back by a pause must be given again.
pub fn execute(
    ex: &mut Executor<'_>,
    session: &mut Session,
    args: Args<'_>,
    out: &mut Out,
) -> bool {
    let mark = out.bytes.len();
    let command = check(ex, session, args, out);
    if ex.server.hot.pause.load(Ordering::Relaxed) != pause::NONE
        && let Ok((_, command)) = command
        && is_held_back(ex, session, command)
    {
        return false;
    }
    match command {
        Ok((number, command)) if queues(session, command) => {
            if let Some(multi) = &mut session.multi {
                let queued = Queued::new(command, args);
                multi.bytes += queued.size();
                multi.queue.push(queued);
                session.info.queued.fetch_add(1, Ordering::Relaxed);
            }
            session.info.command.store(number + 1, Ordering::Relaxed);
            out.raw(b"+QUEUED\r\n");
        }
        Ok((number, command)) => call(ex, session, number, command, args, out),
        Err((number, error)) => refuse(ex, session, number, args, &error, out),
    }
    match session.replies {
        Replies::On => {}
        Replies::SkipNext => session.replies = Replies::Skip,
        Replies::Skip => {
            out.bytes.truncate(mark);
            session.replies = Replies::On;
        }
        Replies::Off => out.bytes.truncate(mark),
    }
    true
}

/// Whether a pause holds a command back.
#[cold]
fn is_held_back(ex: &Executor<'_>, session: &Session, command: &Command) -> bool {
    let hot = &ex.server.hot;
    if ex.loading || hot.end_pause(Some(ex.now_ms())) {
        return false;
    }
    let queued = || {
        let queue = session.multi.iter().flat_map(|multi| &multi.queue);
        command.name == "exec" && queue.into_iter().any(|queued| may_change(queued.command))
    };
    hot.pause.load(Ordering::Relaxed) == pause::ALL || may_change(command) || queued()
}

/// Whether a command may change keys or be sent to replicas.
fn may_change(command: &Command) -> bool {
    command.is(flag::WRITE)
        || matches!(command.name, "eval" | "evalsha" | "fcall" | "pfcount" | "publish" | "spublish")
}

fn queues(session: &Session, command: &Command) -> bool {
    session.multi.is_some()
        && !matches!(command.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}

fn refuse(
    ex: &Executor<'_>,
    session: &mut Session,
    number: Option<usize>,
    args: Args<'_>,
    error: &Error,
    out: &mut Out,
) {
    let stats = ex.server.stats(ex.worker);
    stats.errors.add(1);
    ex.server.count_error(error);
    if let Some(number) = number {
        stats.by_command[number].rejected.add(1);
    }
    let is_exec = args.at(0).eq_ignore_ascii_case(b"exec");
    if let Some(multi) = &mut session.multi {
        multi.broken = true;
    }
    if is_exec {
        super::transaction::end(session);
        super::transaction::unwatch_all(ex.server, session);
        let text = error.0.strip_prefix(b"ERR ").unwrap_or(&error.0);
        let text = String::from_utf8_lossy(text);
        let text = format!("EXECABORT Transaction discarded because of: {text}");
        return out.error(&Error::made(text));
    }
    out.error(error);
}

type Checked = Result<(usize, &'static Command), (Option<usize>, Error)>;

fn check(ex: &mut Executor<'_>, session: &Session, args: Args<'_>, out: &mut Out) -> Checked {
    let number = match table::lookup(args.at(0), args.get(1)) {
        Found::Row(number) => number,
        Found::NoSub => return Err((None, unknown_sub(args))),
        Found::Nothing => return Err((None, unknown(args))),
    };
    let command = table::rows()[number].command;
    let refuse = |error| Err((Some(number), error));
    if !command.takes(args.len())
        || (!command.subs.is_empty() && args.len() == 1 && command.name != "command")
    {
        let name = table::full_name(number);
        return refuse(Error::made(format!("ERR wrong number of arguments for '{name}' command")));
    }
    if ex.loading {
        return Ok((number, command));
    }
    if !session.authenticated && !command.is(flag::NO_AUTH) {
        return refuse(Error::fixed("NOAUTH Authentication required."));
    }
    if ex.server.acl.is_in_use() {
        let context = if session.multi.is_some() { "multi" } else { "toplevel" };
        let permitted = super::acl::permit(ex.server, session, (number, args), context);
        permitted.map_err(|(_, error)| (Some(number), error))?;
    }
    if ex.server.scripts.is_active() && is_kept_back(ex, session, command, args) {
        return refuse(ex.server.scripts.busy());
    }
    if session.multi.is_some() && command.is(flag::NO_MULTI) {
        return refuse(Error::fixed("ERR Command not allowed inside a transaction"));
    }
    if session.only_listens() && !may_while_listening(command.name) {
        let name = table::full_name(number);
        return refuse(Error::made(format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / \
             RESET are allowed in this context"
        )));
    }
    if ex.server.hot.maxmemory.load(Ordering::Relaxed) > 0 {
        let now = ex.now_ms();
        let own = (session.id(), &mut *out);
        let full = !ex.server.make_room(ex.worker, now, ex.config.samples, own);
        let exec_denies = || {
            command.name == "exec"
                && session.multi.as_ref().is_some_and(|multi| {
                    multi.queue.iter().any(|queued| queued.command.is(flag::DENYOOM))
                })
        };
        if full && (command.is(flag::DENYOOM) || exec_denies()) {
            return refuse(Error::fixed("OOM command not allowed when used memory > 'maxmemory'."));
        }
    }
    if command.is(flag::WRITE) {
        may_write_here(ex).map_err(|error| (Some(number), error))?;
    } else if ex.server.repl.is_replica() && !command.is(flag::STALE) && is_stale(ex) {
        return refuse(MASTER_DOWN);
    }
    if command.is(flag::WRITE) && ex.server.refuses_writes(ex.config) {
        return refuse(misconfigured(ex.server));
    }
    Ok((number, command))
}

/// `MASTERDOWN …`
pub const MASTER_DOWN: Error = Error::fixed(
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
);
/// `READONLY …`
pub const READ_ONLY: Error = Error::fixed("READONLY You can't write against a read only replica.");

/// Whether this replica has lost its master and must not answer.
fn is_stale(ex: &Executor<'_>) -> bool {
    !ex.server.repl.link.is_up() && !ex.config.is_on("replica-serve-stale-data")
}

/// Whether clients may write to this server as far as replication goes.
fn may_write_here(ex: &Executor<'_>) -> super::Done {
    let repl = &ex.server.repl;
    if repl.is_replica() {
        if is_stale(ex) {
            return Err(MASTER_DOWN);
        }
        return if ex.config.is_on("replica-read-only") { Err(READ_ONLY) } else { Ok(()) };
    }
    let wanted = ex.config.min_replicas;
    if wanted > 0 && (repl.good(ex.now_ms(), ex.config.min_replicas_lag_s) as i64) < wanted {
        return Err(Error::fixed("NOREPLICAS Not enough good replicas to write."));
    }
    Ok(())
}

/// The error for who writes while saving fails.
pub fn misconfigured(server: &Server) -> Error {
    if server.log.has_failed() {
        return Error::fixed("MISCONF Errors writing to the AOF file: No space left on device");
    }
    Error::fixed(
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist \
         to disk. Commands that may modify the data set are disabled, because this instance is \
         configured to report errors during writes if RDB snapshotting fails \
         (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the \
         RDB error.",
    )
}

/// Whether a slow script keeps a request from being executed; waits for one that is not slow yet
/// and runs on another worker.
fn is_kept_back(ex: &Executor<'_>, session: &Session, command: &Command, args: Args<'_>) -> bool {
    if !ex.server.scripts.is_slow() {
        let elsewhere = ex.server.scripts.is_active() && !command.is(flag::ALLOW_BUSY);
        if !elsewhere || !ex.server.scripts.wait_for_end() {
            return false;
        }
    }
    match command.name {
        // They would have to look into shards that the script holds.
        "watch" => true,
        "unwatch" | "discard" | "reset" => !session.watch.keys.is_empty(),
        "shutdown" => !args.iter().any(|word| super::is(word, "nosave")),
        _ => !command.is(flag::ALLOW_BUSY),
    }
}

fn may_while_listening(name: &str) -> bool {
    matches!(
        name,
        "subscribe"
            | "unsubscribe"
            | "psubscribe"
            | "punsubscribe"
            | "ssubscribe"
            | "sunsubscribe"
            | "ping"
            | "quit"
            | "reset"
    )
}

fn unknown(args: Args<'_>) -> Error {
    // C strings: a zero byte ends them.
    let short = |text: &[u8], most: usize| {
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        text[..end.min(most)].to_vec()
    };
    let mut text = b"ERR unknown command '".to_vec();
    text.extend(short(args.at(0), 128));
    text.extend_from_slice(b"', with args beginning with: ");
    let start = text.len();
    for arg in args.from(1).iter() {
        if text.len() - start >= 128 {
            break;
        }
        let room = 128 - (text.len() - start);
        text.push(b'\'');
        text.extend(short(arg, room));
        text.extend_from_slice(b"' ");
    }
    Error(text.into())
}

fn unknown_sub(args: Args<'_>) -> Error {
    let mut text = b"ERR unknown subcommand '".to_vec();
    let sub = args.at(1);
    text.extend_from_slice(&sub[..sub.len().min(128)]);
    text.extend_from_slice(b"'. Try ");
    text.extend(args.at(0).to_ascii_uppercase());
    text.extend_from_slice(b" HELP.");
    Error(text.into())
}

/// The one key of a request, by its address, with its place.
type Declared = Option<(*const u8, usize, Place)>;

/// Locks what a request declares; `None` where a slow script holds it.
fn lock<'s>(
    server: &'s Server,
    session: &Session,
    command: &'static Command,
    args: Args<'_>,
) -> Option<(View<'s>, Declared)> {
    let keyspace = &server.keyspace;
    if matches!(command.name, "exec" | "discard" | "unwatch") {
        return Some((lock_transaction(server, session, command.name == "exec")?, None));
    }
    Some(match keys::scope(command, args) {
        Scope::Nothing => (keyspace.lock(&[]), None),
        Scope::World => (keyspace.lock_all_unless_slow()?, None),
        Scope::Keys => {
            // One key at the first place is what nearly all commands have.
            if let ((1, 1, _), [_]) = (command.keys, command.specs) {
                let key = args.at(1);
                let place = Place::of(key);
                let view = keyspace.lock_unless_slow(&[place])?;
                return Some((view, Some((key.as_ptr(), key.len(), place))));
            }
            let mut places = Vec::new();
            keys::each(command, args, |key| places.push(Place::of(args.at(key.at))));
            (keyspace.lock_unless_slow(&places)?, None)
        }
    })
}

fn lock_transaction<'s>(server: &'s Server, session: &Session, exec: bool) -> Option<View<'s>> {
    let mut places: Vec<Place> = session.watch.keys.iter().map(|(_, key)| Place::of(key)).collect();
    let queue = session.multi.iter().filter(|_| exec).flat_map(|multi| &multi.queue);
    for queued in queue {
        let args = queued.args();
        match keys::scope(queued.command, args) {
            Scope::World => return server.keyspace.lock_all_unless_slow(),
            Scope::Nothing if keys::looks_at_shards(queued.command) => {
                return server.keyspace.lock_all_unless_slow();
            }
            Scope::Nothing => {}
            Scope::Keys => {
                keys::each(queued.command, args, |key| places.push(Place::of(args.at(key.at))));
            }
        }
    }
    server.keyspace.lock_unless_slow(&places)
}

fn call(
    ex: &mut Executor<'_>,
    session: &mut Session,
    number: usize,
    command: &'static Command,
    args: Args<'_>,
    out: &mut Out,
) {
    let now = ex.now_ms();
    if ex.server.hot.monitors.load(Ordering::Relaxed) > 0 && !command.is(flag::SKIP_MONITOR) {
        ex.server.feed_monitors(session, args);
    }
    session.info.command.store(number + 1, Ordering::Relaxed);
    let Some((mut view, declared)) = lock(ex.server, session, command, args) else {
        let busy = ex.server.scripts.busy();
        return refuse(ex, session, Some(number), args, &busy, out);
    };
    if command.is(flag::WRITE) || may_write(command.name) {
        view.before_change();
    }
    let mut db = ex.server.db_of(view, ex.worker, session.db, now);
    db.declared = declared;
    if session.is_master {
        db.expiry = Expiry::Ignored;
    }
    db.no_touch = session.no_touch;
    let session_now = &mut *session;
    let mut ctx = Ctx {
        server: ex.server,
        config: ex.config,
        session: session_now,
        db,
        out,
        in_exec: false,
        loading: ex.loading,
    };
    let result = (command.run)(&mut ctx, args);
    let failed = result.is_err();
    if let Err(error) = result {
        ex.server.stats(ex.worker).errors.add(1);
        ex.server.count_error(&error);
        ctx.out.error(&error);
    }
    commit(ex, &mut ctx.db, args);
    if ctx.session.tracking != 0 {
        remember(&mut ctx, command, args);
    }
    let ready = std::mem::take(&mut ctx.db.effects.ready);
    let news = std::mem::take(&mut ctx.db.effects.news);
    // The shards are free from here on.
    drop(ctx);
    ex.server.tell(news, session.id(), Some(out));
    if !ready.is_empty() {
        blocking::serve(ex.server, ex.worker, now, ready);
    }
    count(ex, session, number, command, args, failed);
}

/// Remembers the keys that a tracking client has read.
fn remember(ctx: &mut Ctx<'_>, command: &'static Command, args: Args<'_>) {
    let mode = ctx.session.tracking;
    let chosen = mode & mode::CACHING != 0;
    let wanted = mode & mode::BCAST == 0
        && (mode & mode::OPTIN == 0 || chosen)
        && (mode & mode::OPTOUT == 0 || !chosen);
    // Of a script the keys that it declares are taken for read.
    let reads = command.is(flag::READONLY) || matches!(command.name, "eval" | "evalsha" | "fcall");
    if wanted && reads {
        let id = ctx.session.id();
        keys::each(command, args, |key| ctx.server.tracking.remember(id, args.at(key.at)));
    }
    if ctx.session.multi.is_none() && !ctx.in_exec && command.group != "connection" {
        ctx.session.tracking &= !mode::CACHING;
    }
}

/// Commands that write without saying so.
fn may_write(name: &str) -> bool {
    matches!(name, "exec" | "debug" | "eval" | "evalsha" | "fcall")
}

fn commit(ex: &Executor<'_>, db: &mut super::db::Db<'_>, args: Args<'_>) {
    if db.effects.dirty == 0 && db.effects.instead.is_empty() {
        return;
    }
    if ex.server.logs_changes() && !db.effects.not_verbatim && db.effects.dirty > 0 {
        let mut request = Vec::new();
        push_request(&mut request, args.iter());
        ex.server.commit(db, &request);
    } else {
        ex.server.commit(db, &[]);
    }
}

fn count(
    ex: &mut Executor<'_>,
    session: &Session,
    number: usize,
    command: &Command,
    args: Args<'_>,
    failed: bool,
) {
    let end = Instant::now();
    let took = end.duration_since(ex.last);
    ex.last = end;
    let stats = ex.server.stats(ex.worker);
    stats.commands.add(1);
    let of = &stats.by_command[number];
    of.calls.add(1);
    of.ns.add(took.as_nanos() as u64);
    if !ex.server.hot.untimed.load(Ordering::Relaxed) {
        of.times.add(took.as_nanos() as u64);
    }
    if failed {
        of.failed.add(1);
    }
    let ms = took.as_millis() as i64;
    if ms >= ex.server.hot.long_ms.load(Ordering::Relaxed) {
        let event = if command.is(flag::FAST) { "fast-command" } else { "command" };
        ex.server.latency.add(event, ex.now_ms() / 1000, ms as u64);
    }
    let slow = ex.server.hot.slow_us.load(Ordering::Relaxed);
    let us = took.as_micros() as i64;
    if slow >= 0 && us >= slow && !command.is(flag::SKIP_SLOWLOG) && session.blocked.is_none() {
        let client = (session.info.addr.clone(), session.info.name());
        let mut log = ex.server.slowlog.lock().unwrap_or_else(PoisonError::into_inner);
        log.add(args, us as u64, ex.now_ms() / 1000, client, ex.config.slowlog_max_len);
    }
}

/// Runs a queued request inside EXEC, on the locks that EXEC holds.
pub fn run_in_exec(
    ctx: &mut Ctx<'_>,
    command: &'static Command,
    args: Args<'_>,
    log: &mut Vec<(u32, Vec<u8>)>,
) {
    if ctx.server.hot.monitors.load(Ordering::Relaxed) > 0 && !command.is(flag::SKIP_MONITOR) {
        ctx.server.feed_monitors(ctx.session, args);
    }
    if ctx.server.acl.is_in_use()
        && let Err(error) = still_permitted(ctx, command, args)
    {
        ctx.server.count_error(&error);
        return ctx.out.error(&error);
    }
    let dirty = std::mem::take(&mut ctx.db.effects.dirty);
    ctx.db.effects.not_verbatim = false;
    let begun = Instant::now();
    let result = (command.run)(ctx, args);
    if let Some(number) = table::number_of(command) {
        let of = &ctx.db.stats.by_command[number];
        let took = begun.elapsed().as_nanos() as u64;
        of.calls.add(1);
        of.ns.add(took);
        of.times.add(took);
        of.failed.add(u64::from(result.is_err()));
        ctx.db.stats.commands.add(1);
    }
    if let Err(error) = result {
        ctx.db.stats.errors.add(1);
        ctx.server.count_error(&error);
        ctx.out.error(&error);
    }
    if ctx.session.tracking != 0 {
        remember(ctx, command, args);
    }
    let instead = std::mem::take(&mut ctx.db.effects.instead);
    if !instead.is_empty() {
        log.extend(instead);
    } else if ctx.db.effects.dirty > 0 && !ctx.db.effects.not_verbatim {
        let mut request = Vec::new();
        push_request(&mut request, args.iter());
        log.push((ctx.db.id, request));
    }
    ctx.db.effects.dirty += dirty;
}

/// A user's rules may have changed since its request was queued.
fn still_permitted(ctx: &Ctx<'_>, command: &'static Command, args: Args<'_>) -> super::Done {
    let Some(number) = table::number_of(command) else { return Ok(()) };
    let permitted = super::acl::permit(ctx.server, ctx.session, (number, args), "multi");
    permitted.map_err(|(denied, _)| {
        Error::made(format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the \
             EXEC call. This command is no longer allowed for the following reason: {}",
            match denied {
                Denied::Command => "no permission to execute the command or subcommand",
                Denied::Key(_) => "no permission to touch the specified keys",
                Denied::Channel(_) => "no permission to access one of the channels used",
            }
        ))
    })
}
