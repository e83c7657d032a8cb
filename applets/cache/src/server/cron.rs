//! What is done ten times a second, whoever comes or not: expired keys, save points, rewriting the
//! log, rates.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Server;
use super::hot::pause;
use crate::config::Config;
use crate::store::shard::SHARDS;
use crate::store::table::Element;

/// The time that a round may spend on expired keys.
const EXPIRE_BUDGET: Duration = Duration::from_millis(10);
/// Buckets of a shard that are looked at while it is locked.
const BUCKETS_AT_ONCE: usize = 512;

/// The state between rounds.
pub struct Cron {
    shard: usize,
    rounds: u64,
    last_totals: [u64; 3],
    last_rates: Instant,
}

impl Default for Cron {
    fn default() -> Cron {
        Cron { shard: 0, rounds: 0, last_totals: [0; 3], last_rates: Instant::now() }
    }
}

impl Cron {
    /// A round.
    pub fn run(&mut self, server: &'static Server, worker: usize, config: &Config) {
        self.rounds += 1;
        server.tracking.limit(server, config.int("tracking-table-max-keys") as usize);
        let paused = server.hot.pause.load(Ordering::Relaxed) != pause::NONE
            && !server.hot.end_pause(Some(server.now_ms()));
        server.repl.tick(server, server.now_ms());
        let expires = !server.hot.no_active_expire.load(Ordering::Relaxed);
        if !paused && expires && !server.repl.is_replica() {
            self.expire(server, worker);
        }
        server.peak_memory(box_sys::heap_use::used_bytes() as u64);
        if self.rounds.is_multiple_of(10) {
            self.rates(server);
            self.save(server, config);
            server.sync_log_every_second();
        }
    }

    /// Removes keys whose time has come. All shards are walked in turn; a table without keys that
    /// expire costs nothing, and of the others only the marks in the buckets are looked at.
    fn expire(&mut self, server: &'static Server, worker: usize) {
        let start = Instant::now();
        let now = server.now_ms();
        for _ in 0..SHARDS {
            let index = self.shard;
            self.shard = (self.shard + 1) % SHARDS;
            for db in 0..server.databases {
                expire_in(server, worker, now, index, db);
            }
            if start.elapsed() > EXPIRE_BUDGET {
                break;
            }
        }
        let ms = start.elapsed().as_millis() as i64;
        if ms >= server.hot.long_ms.load(Ordering::Relaxed) {
            server.latency.add("expire-cycle", now / 1000, ms as u64);
        }
    }

    fn rates(&mut self, server: &Server) {
        let totals = [
            server.sum(|stats| stats.commands.load()),
            server.sum(|stats| stats.read_bytes.load()),
            server.sum(|stats| stats.written_bytes.load()),
        ];
        let seconds = self.last_rates.elapsed().as_secs_f64().max(0.001);
        self.last_rates = Instant::now();
        for ((rate, total), last) in server.rates.iter().zip(totals).zip(self.last_totals) {
            rate.store((total.saturating_sub(last) as f64 / seconds) as u64, Ordering::Relaxed);
        }
        self.last_totals = totals;
    }

    fn save(&mut self, server: &'static Server, config: &Config) {
        let dirty = server.dirty();
        for (seconds, changes) in config.save_points() {
            if !server.saver.is_saving() && server.saver.is_due(&[(seconds, changes)], dirty) {
                server.logger.notice(&format!("{changes} changes in {seconds} seconds. Saving..."));
                let _ = server.save_in_background();
                break;
            }
        }
        let grown = config.int("auto-aof-rewrite-percentage") as u64;
        let least = config.get("auto-aof-rewrite-min-size").parse().unwrap_or(u64::MAX);
        let size = server.log.size.load(Ordering::Relaxed);
        let base = server.log.base_size.load(Ordering::Relaxed).max(1);
        let growth = (size * 100 / base).saturating_sub(100);
        if server.log.is_on()
            && grown > 0
            && size > least
            && growth >= grown
            && !server.saver.is_rewriting()
        {
            server
                .logger
                .notice(&format!("Starting automatic rewriting of AOF on {growth}% growth"));
            let _ = server.rewrite_in_background();
        }
    }
}

fn expire_in(server: &'static Server, worker: usize, now: i64, index: usize, db: usize) {
    let mut due: Vec<Vec<u8>> = Vec::new();
    {
        let mut shard = server.keyspace.shard(index);
        if shard.dbs[db].marked() == 0 {
            return;
        }
        let from = shard.sweep_at[db];
        let next = shard.dbs[db].sweep(from, BUCKETS_AT_ONCE, |entry| {
            if entry.expiry().is_some_and(|at| at <= now) {
                due.push(entry.key().to_vec());
            }
        });
        shard.sweep_at[db] = next;
    }
    for key in due {
        let place = crate::store::shard::Place::of(&key);
        let mut held = server.lock_db(worker, db as u32, now, &[place]);
        // Looking at it removes it, if its time has not been changed meanwhile.
        held.exists(&key);
        let news = std::mem::take(&mut held.effects.news);
        drop(held);
        server.tell(news, 0, None);
    }
}
