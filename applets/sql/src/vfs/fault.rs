//! A disk that fails on purpose.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::memory::{Change, Content, Entry, Memory};

/// The kinds of call that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Opening a file.
    Open,
    /// Removing one.
    Delete,
    /// Asking for a name.
    Exists,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Cutting or growing.
    Truncate,
    /// Waiting for the disk.
    Sync,
    /// Asking for the size.
    Size,
    /// Locking.
    Lock,
    /// Mapping shared memory.
    Map,
}

/// Sectors are kept, lost or torn one by one.
const SECTOR_BYTES: usize = 512;

#[derive(Default)]
struct Plan {
    calls: AtomicU64,
    /// The call that fails, counted from 1; 0: none.
    fails_at: AtomicU64,
    /// Every call after it fails too: the power is gone.
    for_ever: AtomicBool,
    /// The error is a full disk's.
    is_full: AtomicBool,
}

impl Plan {
    fn gate(&self) -> io::Result<()> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let fails_at = self.fails_at.load(Ordering::Relaxed);
        let for_ever = self.for_ever.load(Ordering::Relaxed);
        if fails_at == 0 || call < fails_at || (call > fails_at && !for_ever) {
            return Ok(());
        }
        if self.is_full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Err(io::Error::other("a fault on purpose"))
    }
}

/// A file system in memory whose calls fail as planned.
#[derive(Clone)]
pub struct Fault {
    memory: Memory,
    plan: Arc<Plan>,
}

impl Default for Fault {
    fn default() -> Fault {
        let plan: Arc<Plan> = Arc::default();
        let own = Arc::clone(&plan);
        Fault { memory: Memory::with_gate(Arc::new(move |_| own.gate())), plan }
    }
}

impl Fault {
    /// The file system, to open databases on.
    #[must_use]
    pub fn vfs(&self) -> Arc<Memory> {
        Arc::new(self.memory.clone())
    }

    /// Puts a file in, durable.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        self.memory.put(path, bytes);
    }

    /// The bytes of a file.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.memory.bytes(path)
    }

    /// Lets the `nth` call from now fail, once.
    pub fn fail_at(&self, nth: u64, disk_is_full: bool) {
        self.plan.is_full.store(disk_is_full, Ordering::Relaxed);
        self.arm(nth, false);
    }

    /// Cuts the power at the `nth` call from now.
    pub fn cut_power_at(&self, nth: u64) {
        self.plan.is_full.store(false, Ordering::Relaxed);
        self.arm(nth, true);
    }

    fn arm(&self, nth: u64, for_ever: bool) {
        self.plan.for_ever.store(for_ever, Ordering::Relaxed);
        self.plan.calls.store(0, Ordering::Relaxed);
        self.plan.fails_at.store(nth, Ordering::Relaxed);
    }

    /// Whether the planned call was reached.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let fails_at = self.plan.fails_at.load(Ordering::Relaxed);
        fails_at > 0 && self.plan.calls.load(Ordering::Relaxed) >= fails_at
    }

    /// No call fails any more.
    pub fn disarm(&self) {
        self.plan.fails_at.store(0, Ordering::Relaxed);
    }

    /// The disk after the power came back: of what no sync has covered each sector and each name is
    /// kept, lost or torn, as the seed says.
    #[must_use]
    pub fn power_on(&self, seed: u64) -> Fault {
        let mut random = seed | 1;
        let mut draw = |end: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) % end
        };
        let (durable, entries) = self.memory.after_power_loss();
        let mut names: Vec<(PathBuf, Content)> = durable.into_iter().collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        // The folder keeps the order of its changes: some of the first ones are there.
        let kept = draw(entries.len() as u64 + 1) as usize;
        for (entry, content) in entries.into_iter().take(kept) {
            match entry {
                Entry::Made(path) => names.push((path, content)),
                Entry::Removed(path) => names.retain(|(name, _)| *name != path),
            }
        }
        let after = Fault::default();
        for (path, content) in names {
            if path.to_string_lossy().ends_with("-shm") {
                continue;
            }
            after.put(&path, &survive(&content, &mut draw));
        }
        after
    }
}

fn survive(content: &Content, draw: &mut impl FnMut(u64) -> u64) -> Vec<u8> {
    let mut bytes = content.durable.clone();
    // Now and then the disk was quick and has it all, or slow and has none.
    let luck = draw(6);
    for change in &content.changes {
        match change {
            Change::Resize(_) if luck == 0 || (luck > 1 && draw(2) == 0) => {}
            Change::Resize(_) => Content::apply(&mut bytes, change),
            Change::Write(offset, data) => {
                for (index, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                    let at = offset + (index * SECTOR_BYTES) as u64;
                    let kept = match luck {
                        0 => 0,
                        1 => sector.len(),
                        _ => match draw(5) {
                            0 | 1 => 0,
                            2 => draw(sector.len() as u64 + 1) as usize,
                            _ => sector.len(),
                        },
                    };
                    let part = sector.get(..kept).unwrap_or_default().to_vec();
                    if !part.is_empty() {
                        Content::apply(&mut bytes, &Change::Write(at, part));
                    }
                }
            }
        }
    }
    bytes
}
