//! Counters. Each worker has its own, which only it writes, so that counting needs no atomic
//! operation that others would wait for; whoever reads sums them up.

use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::Histogram;
use crate::cmd::table;

/// A counter with one writer.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the worker that owns it calls this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    /// Its value.
    pub fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets it to zero. An addition at the same moment may win.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Counters of one command.
#[derive(Default)]
pub struct CommandStats {
    /// Calls.
    pub calls: Counter,
    /// Time, in ns.
    pub ns: Counter,
    /// How the times are spread.
    pub times: Histogram,
    /// Calls refused before they ran.
    pub rejected: Counter,
    /// Calls that replied an error.
    pub failed: Counter,
}

/// Counters of one worker.
#[derive(Default)]
#[repr(align(128))]
pub struct Stats {
    /// Keys found.
    pub hits: Counter,
    /// Keys not found.
    pub misses: Counter,
    /// Keys whose time had come.
    pub expired: Counter,
    /// Keys evicted.
    pub evicted: Counter,
    /// Commands executed.
    pub commands: Counter,
    /// Connections accepted.
    pub connections: Counter,
    /// Connections refused.
    pub rejected: Counter,
    /// Bytes read.
    pub read_bytes: Counter,
    /// Bytes written.
    pub written_bytes: Counter,
    /// Error replies.
    pub errors: Counter,
    /// Reads and writes.
    pub reads: Counter,
    /// Writes.
    pub writes: Counter,
    /// Turns of the event loop.
    pub turns: Counter,
    /// Changes of keys.
    pub dirty: Counter,
    /// Per command, by its number in the table.
    pub by_command: Vec<CommandStats>,
}

impl Stats {
    /// All zero.
    pub fn new() -> Stats {
        let by_command = (0..table::count()).map(|_| CommandStats::default()).collect();
        Stats { by_command, ..Stats::default() }
    }

    /// Sets all to zero.
    pub fn reset(&self) {
        let Stats { hits, misses, expired, evicted, commands, connections, .. } = self;
        let Stats { rejected, read_bytes, written_bytes, errors, reads, writes, turns, .. } = self;
        for counter in [hits, misses, expired, evicted, commands, connections, rejected] {
            counter.reset();
        }
        for counter in [read_bytes, written_bytes, errors, reads, writes, turns] {
            counter.reset();
        }
        for of in &self.by_command {
            [&of.calls, &of.ns, &of.rejected, &of.failed].into_iter().for_each(Counter::reset);
            of.times.reset();
        }
    }
}
