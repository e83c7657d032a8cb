//! When and how the last save was made, and whether one is being made.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// The state of saving.
pub struct Saver {
    last_s: AtomicI64,
    dirty_then: AtomicU64,
    tried_s: AtomicI64,
    failed: AtomicBool,
    saving: AtomicBool,
    rewriting: AtomicBool,
    rewrite_failed: AtomicBool,
    /// Saves that have ended well.
    pub saves: AtomicU64,
}

impl Saver {
    /// Nothing has been saved yet.
    pub fn new(now_s: i64) -> Saver {
        Saver {
            last_s: AtomicI64::new(now_s),
            dirty_then: AtomicU64::new(0),
            tried_s: AtomicI64::new(0),
            failed: AtomicBool::new(false),
            saving: AtomicBool::new(false),
            rewriting: AtomicBool::new(false),
            rewrite_failed: AtomicBool::new(false),
            saves: AtomicU64::new(0),
        }
    }

    /// A save has ended that holds all but the changes since `dirty`.
    pub fn saved(&self, dirty: u64) {
        self.last_s.store(now_s(), Ordering::Relaxed);
        self.dirty_then.store(dirty, Ordering::Relaxed);
        self.failed.store(false, Ordering::Relaxed);
        self.saves.fetch_add(1, Ordering::Relaxed);
    }

    /// A background save has failed.
    pub fn save_failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether the last save has failed.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Unix time of the last save.
    pub fn last_save_s(&self) -> i64 {
        self.last_s.load(Ordering::Relaxed)
    }

    /// Changes since the last save.
    pub fn unsaved(&self, dirty: u64) -> u64 {
        dirty.saturating_sub(self.dirty_then.load(Ordering::Relaxed))
    }

    /// Whether a background save runs.
    pub fn is_saving(&self) -> bool {
        self.saving.load(Ordering::Acquire)
    }

    /// Takes the right to save in the background.
    pub fn begin_save(&self) -> bool {
        self.tried_s.store(now_s(), Ordering::Relaxed);
        !self.saving.swap(true, Ordering::AcqRel)
    }

    /// A background save has ended.
    pub fn end_save(&self) {
        self.saving.store(false, Ordering::Release);
    }

    /// Whether the append-only file is being rewritten.
    pub fn is_rewriting(&self) -> bool {
        self.rewriting.load(Ordering::Acquire)
    }

    /// Takes the right to rewrite.
    pub fn begin_rewrite(&self) -> bool {
        !self.rewriting.swap(true, Ordering::AcqRel)
    }

    /// A rewrite has ended.
    pub fn end_rewrite(&self, well: bool) {
        self.rewrite_failed.store(!well, Ordering::Relaxed);
        self.rewriting.store(false, Ordering::Release);
    }

    /// Whether the last rewrite has failed.
    pub fn rewrite_failed(&self) -> bool {
        self.rewrite_failed.load(Ordering::Relaxed)
    }

    /// Whether a save point asks for a save: so many changes in so many seconds. After a failure
    /// it is tried again in five seconds.
    pub fn is_due(&self, points: &[(i64, u64)], dirty: u64) -> bool {
        let (unsaved, passed) = (self.unsaved(dirty), now_s() - self.last_save_s());
        let may_try = !self.has_failed() || now_s() - self.tried_s.load(Ordering::Relaxed) > 5;
        may_try && points.iter().any(|(seconds, changes)| unsaved >= *changes && passed > *seconds)
    }
}

fn now_s() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs() as i64
}
