//! Drops big values in a thread of its own, so that nobody waits for a million frees.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use crate::store::entry::{Entry, Value};

/// Values that take more frees than this are dropped by the thread.
const EFFORT_MAX: usize = 64;

/// The bin and its thread.
pub struct Bin {
    sender: Mutex<Option<Sender<Rubbish>>>,
    pending: Arc<AtomicUsize>,
}

/// What is dropped.
pub type Rubbish = Box<dyn Send>;

impl Default for Bin {
    fn default() -> Bin {
        Bin { sender: Mutex::new(None), pending: Arc::new(AtomicUsize::new(0)) }
    }
}

impl Bin {
    /// Drops an entry, here or there.
    #[inline]
    pub fn dispose(&self, entry: Entry) {
        if matches!(entry.value(), Value::Object(object) if object.effort() > EFFORT_MAX) {
            self.throw(Box::new(entry));
        }
    }

    /// Drops anything in the thread, which is started when it is needed first.
    pub fn throw(&self, rubbish: Rubbish) {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = self.pending.clone();
        let running = sender.get_or_insert_with(|| {
            let (sender, receiver) = channel::<Rubbish>();
            let pending = pending.clone();
            // Where no thread can be started, the receiver is gone and `send` gives it back.
            let _ = std::thread::Builder::new().name("lazy-free".into()).spawn(move || {
                for rubbish in receiver {
                    drop(rubbish);
                    pending.fetch_sub(1, Ordering::Relaxed);
                }
            });
            sender
        });
        self.pending.fetch_add(1, Ordering::Relaxed);
        if running.send(rubbish).is_err() {
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many wait to be dropped.
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }
}
