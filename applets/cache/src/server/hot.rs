//! The settings that every command looks at, as atomics beside the configuration.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// What is evicted when memory is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: writes are refused.
    NoEviction,
    /// What was not used for the longest time.
    Lru,
    /// What is used the least often.
    Lfu,
    /// Anything.
    Random,
    /// What expires first.
    Ttl,
}

/// What `CLIENT PAUSE` holds back.
pub mod pause {
    /// Nothing.
    pub const NONE: u8 = 0;
    /// What changes keys.
    pub const WRITES: u8 = 1;
    /// Everything.
    pub const ALL: u8 = 2;
}

/// The settings.
#[derive(Default)]
pub struct Hot {
    /// `maxmemory`, 0 for none.
    pub maxmemory: AtomicU64,
    policy: AtomicU8,
    volatile: AtomicBool,
    events: AtomicU32,
    lfu_factor: AtomicU32,
    lfu_decay: AtomicU32,
    /// `slowlog-log-slower-than`, in microseconds.
    pub slow_us: AtomicI64,
    /// From how many ms on something is an event of LATENCY.
    pub long_ms: AtomicI64,
    /// Whether the times of commands are not spread over buckets.
    pub untimed: AtomicBool,
    /// Clients that see every command.
    pub monitors: AtomicU32,
    /// Clients that track keys.
    pub tracking: AtomicU32,
    /// What of the clients' commands is held back: a number of [`pause`].
    pub pause: AtomicU8,
    /// Until when, in ms of Unix time.
    pub paused_until: AtomicI64,
    /// `maxmemory-clients` in bytes, 0 for none.
    pub clients_max: AtomicU64,
    /// Whether expired keys are looked for (`DEBUG SET-ACTIVE-EXPIRE`).
    pub no_active_expire: AtomicBool,
}

impl Hot {
    /// Holds commands back until `until`; what is already in force is never weakened.
    pub fn pause_clients(&self, what: u8, until: i64) {
        self.paused_until.fetch_max(until, Ordering::AcqRel);
        self.pause.fetch_max(what, Ordering::AcqRel);
    }

    /// Ends a pause; with a time, only if that has come.
    pub fn end_pause(&self, now_ms: Option<i64>) -> bool {
        let over = now_ms.is_none_or(|now| self.paused_until.load(Ordering::Acquire) <= now);
        if over {
            self.pause.store(pause::NONE, Ordering::Release);
            self.paused_until.store(0, Ordering::Release);
        }
        over
    }

    /// Classes of events that are published.
    #[inline]
    pub fn events(&self) -> u32 {
        self.events.load(Ordering::Relaxed)
    }

    /// Sets the classes of events.
    pub fn set_events(&self, events: u32) {
        self.events.store(events, Ordering::Relaxed);
    }

    /// The LFU factor and decay, if the policy is LFU.
    #[inline]
    pub fn lfu(&self) -> Option<(u32, u32)> {
        (self.policy.load(Ordering::Relaxed) == Policy::Lfu as u8).then(|| {
            (self.lfu_factor.load(Ordering::Relaxed), self.lfu_decay.load(Ordering::Relaxed))
        })
    }

    /// Sets factor and decay.
    pub fn set_lfu(&self, factor: u32, decay: u32) {
        self.lfu_factor.store(factor, Ordering::Relaxed);
        self.lfu_decay.store(decay, Ordering::Relaxed);
    }

    /// The policy, and whether only keys that expire are evicted.
    pub fn policy(&self) -> (Policy, bool) {
        let policies = [Policy::NoEviction, Policy::Lru, Policy::Lfu, Policy::Random, Policy::Ttl];
        let number = usize::from(self.policy.load(Ordering::Relaxed));
        let policy = policies.get(number).copied().unwrap_or(Policy::NoEviction);
        (policy, self.volatile.load(Ordering::Relaxed))
    }

    /// Sets the policy by its name.
    pub fn set_policy(&self, name: &str) {
        let (policy, volatile) = match name {
            "allkeys-lru" => (Policy::Lru, false),
            "allkeys-lfu" => (Policy::Lfu, false),
            "allkeys-random" => (Policy::Random, false),
            "volatile-lru" => (Policy::Lru, true),
            "volatile-lfu" => (Policy::Lfu, true),
            "volatile-random" => (Policy::Random, true),
            "volatile-ttl" => (Policy::Ttl, true),
            _ => (Policy::NoEviction, false),
        };
        self.volatile.store(volatile, Ordering::Relaxed);
        self.policy.store(policy as u8, Ordering::Relaxed);
    }

    /// The clock of a key that is used at this moment: LRU seconds or LFU minutes.
    #[inline]
    pub fn clock(&self, now_ms: i64) -> u32 {
        let seconds = now_ms / 1000;
        match self.lfu() {
            Some(_) => (seconds / 60) as u32 & 0xffff,
            None => seconds as u32 & 0xff_ffff,
        }
    }
}
