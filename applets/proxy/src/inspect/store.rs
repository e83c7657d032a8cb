//! The ring of recorded requests, and what is counted of all.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use box_wire::http1::{RequestHead, ResponseHead};

use crate::clock;
use crate::http1::{Capture, Record, Visitor};

/// Requests kept.
const KEPT: usize = 500;
/// Bytes kept over all of them.
const KEPT_BYTES: usize = 64 << 20;
/// Of one body.
const BODY_BYTES: usize = 10 << 20;
/// Durations that percentiles are taken of.
const TIMES: usize = 2000;

/// A copy of a message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Start line and fields as they came.
    pub head: Vec<u8>,
    /// The body without its framing, at most 10 MiB.
    pub body: Vec<u8>,
    /// Its length.
    pub length: u64,
}

impl Message {
    fn take(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let room = BODY_BYTES.saturating_sub(self.body.len());
        self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether the copy is not whole.
    pub fn is_truncated(&self) -> bool {
        self.length > self.body.len() as u64
    }
}

/// A recorded request.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Its number.
    pub id: u64,
    /// When it came.
    pub start: String,
    /// Who sent it.
    pub client: String,
    /// The method.
    pub method: String,
    /// The target.
    pub uri: String,
    /// The request.
    pub request: Message,
    /// The answer.
    pub response: Message,
    /// Its status.
    pub status: u16,
    /// What went wrong.
    pub error: Option<String>,
    /// How long it took.
    pub duration: Duration,
}

impl Entry {
    fn size(&self) -> usize {
        let of = |message: &Message| message.head.len() + message.body.len();
        of(&self.request) + of(&self.response)
    }
}

/// The recorded requests, newest first.
#[derive(Debug, Default)]
pub struct Store {
    /// The requests.
    pub entries: VecDeque<Rc<Entry>>,
    bytes: usize,
    next_id: u64,
    /// Requests so far.
    pub count: u64,
    times: VecDeque<(Instant, Duration)>,
}

impl Store {
    fn push(&mut self, entry: Entry) {
        self.count += 1;
        self.times.push_front((Instant::now(), entry.duration));
        self.times.truncate(TIMES);
        self.bytes += entry.size();
        self.entries.push_front(Rc::new(entry));
        while self.entries.len() > KEPT || (self.bytes > KEPT_BYTES && self.entries.len() > 1) {
            if let Some(old) = self.entries.pop_back() {
                self.bytes -= old.size();
            }
        }
    }

    /// Forgets all requests.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// The request with this number.
    pub fn find(&self, id: u64) -> Option<Rc<Entry>> {
        self.entries.iter().find(|entry| entry.id == id).cloned()
    }

    /// Requests a second over the last so many minutes.
    pub fn rate(&self, minutes: u64) -> f64 {
        let since = Duration::from_secs(minutes * 60);
        let recent = self.times.iter().take_while(|(at, _)| at.elapsed() < since).count();
        recent as f64 / since.as_secs_f64()
    }

    /// Percentiles of the durations, in nanoseconds.
    pub fn percentiles(&self, of: &[usize]) -> Vec<u64> {
        let mut sorted: Vec<Duration> = self.times.iter().map(|(_, time)| *time).collect();
        sorted.sort_unstable();
        of.iter()
            .map(|p| sorted.get(sorted.len() * p / 100).map_or(0, |time| time.as_nanos() as u64))
            .collect()
    }
}

/// Copies one request into the store.
#[derive(Debug)]
pub struct Recorder {
    store: Rc<RefCell<Store>>,
    entry: Entry,
    done: bool,
}

impl Recorder {
    /// For the next request.
    pub fn new(store: Rc<RefCell<Store>>) -> Recorder {
        let mut kept = store.borrow_mut();
        kept.next_id += 1;
        let entry = Entry { id: kept.next_id, start: clock::rfc3339(), ..Entry::default() };
        drop(kept);
        Recorder { store, entry, done: false }
    }
}

impl Capture for Recorder {
    fn request(&mut self, head: &RequestHead<'_>, raw: &[u8], visitor: &Visitor) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.entry.client = visitor.client.to_string();
        self.entry.method = text(head.method);
        self.entry.uri = text(head.target);
        self.entry.request.head = raw.to_vec();
    }

    fn request_body(&mut self, bytes: &[u8]) {
        self.entry.request.take(bytes);
    }

    fn response(&mut self, head: &ResponseHead<'_>, raw: &[u8]) {
        self.entry.status = head.status;
        self.entry.response.head = raw.to_vec();
    }

    fn response_body(&mut self, bytes: &[u8]) {
        self.entry.response.take(bytes);
    }

    fn finished(&mut self, record: &Record) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        self.entry.status = record.status;
        self.entry.error.clone_from(&record.error);
        self.entry.duration = record.total;
        self.store.borrow_mut().push(std::mem::take(&mut self.entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_its_limits() {
        let mut store = Store::default();
        for id in 0..1000 {
            let mut entry = Entry { id, ..Entry::default() };
            entry.response.take(&vec![0; 1 << 20]);
            store.push(entry);
        }
        assert!(store.entries.len() <= KEPT && store.bytes <= KEPT_BYTES);
        assert_eq!(store.entries.front().map(|entry| entry.id), Some(999));
        assert_eq!(store.count, 1000);
    }

    #[test]
    fn a_long_body_is_cut_and_says_so() {
        let mut message = Message::default();
        for _ in 0..11 {
            message.take(&vec![0; 1 << 20]);
        }
        assert_eq!((message.body.len(), message.length), (10 << 20, 11 << 20));
        assert!(message.is_truncated());
    }
}
