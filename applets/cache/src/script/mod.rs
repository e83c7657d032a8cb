//! Scripts: Lua as the incumbents run it.
//!
//! One interpreter serves all workers: it is made when the first script comes, and used by whoever
//! holds all shards, so that a script is atomic towards everybody and may touch keys that it did
//! not declare. `prelude.lua` is the sandbox; [`engine`] runs scripts in it; [`api`] is what
//! scripts see of the server and [`call`] how they reach the commands; [`convert`] turns replies into values and back; [`json`],
//! [`msgpack`], [`layout`] and [`bits`] are the libraries that scripts expect; [`library`] holds the
//! functions that outlive a call.
//!
//! A script that takes longer than `busy-reply-threshold` is slow: from then on its worker serves
//! other connections from inside the interpreter's hook, and everybody answers BUSY to what is not
//! about ending the script.

pub mod api;
pub mod bits;
pub mod call;
pub mod convert;
pub mod engine;
pub mod json;
pub mod layout;
pub mod library;
pub mod msgpack;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cmd::Error;
use crate::server::Server;
use engine::Engine;

/// Flags of a script or function.
pub mod flag {
    #![allow(missing_docs, reason = "the names are the protocol's own")]
    pub const NO_WRITES: u32 = 1;
    pub const ALLOW_OOM: u32 = 1 << 1;
    /// A script without a shebang: what it may do shows when it does it.
    pub const COMPAT: u32 = 1 << 5;
    /// The names, in the order of the bits. What they say of replicas without a master and of
    /// clusters does not matter here.
    pub const NAMES: &[&str] =
        &["no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"];

    /// The bit of a name.
    pub fn of(name: &[u8]) -> Option<u32> {
        NAMES.iter().position(|known| known.as_bytes() == name).map(|at| 1 << at)
    }
}

/// What runs.
pub struct Running {
    /// The function's name, or the script's digest.
    pub name: String,
    /// The request that runs it.
    pub command: Vec<Vec<u8>>,
    /// Whether it is a script rather than a function.
    pub is_script: bool,
    /// Since when.
    pub since: Instant,
}

/// The state of scripting that all workers see.
#[derive(Default)]
pub struct Scripts {
    engine: Mutex<Option<Engine>>,
    running: Mutex<Option<Running>>,
    ended: Condvar,
    active: AtomicBool,
    slow: AtomicBool,
    killed: AtomicBool,
    dirty: AtomicBool,
    limit_ms: AtomicI64,
    /// Bytes that the interpreter has allocated.
    pub memory: AtomicUsize,
    /// How many scripts are cached.
    pub cached: AtomicUsize,
    /// Bytes of their texts.
    pub cached_bytes: AtomicUsize,
    /// How many functions there are.
    pub functions: AtomicUsize,
    /// How many libraries there are.
    pub libraries: AtomicUsize,
    /// Bytes of their texts.
    pub library_bytes: AtomicUsize,
}

/// `BUSY …`, while a script runs.
pub const BUSY_SCRIPT: Error = Error::fixed(
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
);
/// `BUSY …`, while a function runs.
pub const BUSY_FUNCTION: Error = Error::fixed(
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
);

impl Scripts {
    /// The interpreter, made if it is not there yet. Called with all shards held.
    pub fn engine(&self, server: &'static Server) -> EngineGuard<'_> {
        let mut guard = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if guard.is_none() {
            *guard = Some(Engine::new(server));
        }
        EngineGuard(guard)
    }

    /// The interpreter, if it has been made.
    pub fn engine_if_made(&self) -> Option<EngineGuard<'_>> {
        let guard = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        guard.is_some().then_some(EngineGuard(guard))
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A script begins.
    pub fn begin(&self, running: Running, limit_ms: i64) {
        *self.running() = Some(running);
        self.limit_ms.store(limit_ms, Ordering::Relaxed);
        self.killed.store(false, Ordering::Relaxed);
        self.dirty.store(false, Ordering::Relaxed);
        self.active.store(true, Ordering::Release);
    }

    /// It has ended; whether it was killed.
    pub fn end(&self, server: &Server) -> bool {
        *self.running() = None;
        server.keyspace.set_slow(false);
        self.slow.store(false, Ordering::Release);
        self.active.store(false, Ordering::Release);
        self.ended.notify_all();
        self.killed.swap(false, Ordering::Relaxed)
    }

    /// It has executed a command that writes: it cannot be killed any more.
    pub fn set_dirty(&self) {
        self.dirty.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Relaxed)
    }

    /// Whether a script runs that has taken too long.
    #[inline]
    pub fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Acquire)
    }

    /// Whether a script runs.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Waits for the end of the script that runs, or for its being slow: whether it is.
    pub fn wait_for_end(&self) -> bool {
        let mut running = self.running();
        while running.is_some() && !self.is_slow() {
            let wait = Duration::from_millis(5);
            let woken = self.ended.wait_timeout(running, wait);
            running = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        running.is_some()
    }

    /// The error for whoever wants something while a slow script runs.
    pub fn busy(&self) -> Error {
        match &*self.running() {
            Some(running) if !running.is_script => BUSY_FUNCTION,
            _ => BUSY_SCRIPT,
        }
    }

    /// Shows what runs.
    pub fn show_running<R>(&self, show: impl FnOnce(Option<&Running>) -> R) -> R {
        show(self.running().as_ref())
    }

    /// `SCRIPT KILL`, `FUNCTION KILL`
    ///
    /// # Errors
    /// Nothing runs, it has written, or it is of the other kind.
    pub fn kill(&self, script: bool) -> Result<(), Error> {
        let running = self.running();
        let Some(running) = &*running else {
            return Err(Error::fixed("NOTBUSY No scripts in execution right now."));
        };
        if self.is_dirty() {
            return Err(Error::fixed(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. \
                 You can either wait the script termination or kill the server in a hard way using \
                 the SHUTDOWN NOSAVE command.",
            ));
        }
        match (script, running.is_script) {
            (true, false) => Err(BUSY_FUNCTION),
            (false, true) => Err(BUSY_SCRIPT),
            _ => {
                self.killed.store(true, Ordering::Release);
                Ok(())
            }
        }
    }

    /// Called by the interpreter every so many instructions: whether the script must end.
    pub fn interrupt(&self, server: &'static Server) -> bool {
        if !self.is_active() {
            return false;
        }
        let limit = self.limit_ms.load(Ordering::Relaxed);
        if !self.is_slow() {
            let (elapsed, is_script) = self.show_running(|running| {
                running.map_or((0, true), |run| (run.since.elapsed().as_millis(), run.is_script))
            });
            if limit <= 0 || (elapsed as i64) < limit {
                return server.ending.load(Ordering::Acquire);
            }
            let how = if is_script { "SCRIPT KILL" } else { "FUNCTION KILL" };
            server.logger.warning(&format!(
                "Slow script detected: still in execution after {elapsed} milliseconds. You can \
                 try killing the script using the {how} command."
            ));
            self.slow.store(true, Ordering::Release);
            server.keyspace.set_slow(true);
            self.ended.notify_all();
        }
        crate::server::worker::serve_while_busy();
        self.killed.load(Ordering::Acquire) || server.ending.load(Ordering::Acquire)
    }
}

/// The interpreter, locked.
pub struct EngineGuard<'a>(MutexGuard<'a, Option<Engine>>);

impl std::ops::Deref for EngineGuard<'_> {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        match &*self.0 {
            Some(engine) => engine,
            None => unreachable!("the guard is made around an engine"),
        }
    }
}

impl std::ops::DerefMut for EngineGuard<'_> {
    fn deref_mut(&mut self) -> &mut Engine {
        match &mut *self.0 {
            Some(engine) => engine,
            None => unreachable!("the guard is made around an engine"),
        }
    }
}
