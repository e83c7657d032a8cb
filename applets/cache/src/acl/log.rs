//! What was refused lately (`ACL LOG`).

use std::collections::VecDeque;

use crate::cmd::reply::Out;

/// Entries that differ in nothing but time within this are one.
const SAME_MS: i64 = 60_000;

/// An entry.
pub struct Entry {
    /// `command`, `key`, `channel` or `auth`.
    pub reason: &'static str,
    /// `toplevel`, `multi` or `lua`.
    pub context: &'static str,
    /// What was refused.
    pub object: Vec<u8>,
    /// To whom.
    pub user: String,
    /// The client's line of CLIENT LIST.
    pub client: String,
    /// How often.
    pub count: u64,
    /// When last, in ms of Unix time.
    pub at_ms: i64,
}

/// The log, newest first.
#[derive(Default)]
pub struct Log {
    entries: VecDeque<Entry>,
}

impl Log {
    /// Adds an entry, or counts it where it is there already.
    pub fn add(&mut self, entry: Entry, most: usize) {
        let same = |old: &Entry| {
            old.reason == entry.reason
                && old.context == entry.context
                && old.object == entry.object
                && old.user == entry.user
                && entry.at_ms - old.at_ms <= SAME_MS
        };
        match self.entries.iter().position(same).and_then(|at| self.entries.remove(at)) {
            Some(old) => {
                self.entries.push_front(Entry { count: old.count + 1, ..entry });
            }
            None => self.entries.push_front(entry),
        }
        self.entries.truncate(most);
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        self.entries.clear();
    }

    /// Writes the newest.
    pub fn show(&self, out: &mut Out, count: usize, now_ms: i64) {
        let count = count.min(self.entries.len());
        out.array(count);
        for entry in self.entries.iter().take(count) {
            out.map(7);
            out.bulk(b"count");
            out.int(entry.count as i64);
            out.bulk(b"reason");
            out.bulk(entry.reason.as_bytes());
            out.bulk(b"context");
            out.bulk(entry.context.as_bytes());
            out.bulk(b"object");
            out.bulk(&entry.object);
            out.bulk(b"username");
            out.bulk(entry.user.as_bytes());
            out.bulk(b"age-seconds");
            out.double((now_ms - entry.at_ms) as f64 / 1000.0);
            out.bulk(b"client-info");
            out.bulk(entry.client.as_bytes());
        }
    }
}
