//! Files in memory, with the locks of the real ones, and a memory of what a sync made durable.

use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Access, Call, File, LockLevel, SHM_REGION_BYTES, Shm, ShmLock, ShmRegion, Vfs};

/// Asked before each call; an error is the call's result.
pub type Gate = Arc<dyn Fn(Call) -> io::Result<()> + Send + Sync>;

/// A change of a file that no sync has made durable yet.
#[derive(Clone, Debug)]
pub enum Change {
    /// Bytes at an offset.
    Write(u64, Vec<u8>),
    /// A new size.
    Resize(u64),
}

/// A change of the folder that is not durable yet.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A name was made.
    Made(PathBuf),
    /// A name was removed.
    Removed(PathBuf),
}

/// The content of a file, now and after a power loss.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// As it is read.
    pub live: Vec<u8>,
    /// As the last sync left it.
    pub durable: Vec<u8>,
    /// Since then.
    pub changes: Vec<Change>,
}

#[derive(Default)]
struct Locks {
    held: HashMap<u64, LockLevel>,
    slots: [Slot; 8],
    regions: Vec<Arc<MemoryRegion>>,
}

#[derive(Default)]
struct Slot {
    shared: Vec<u64>,
    exclusive: Option<u64>,
}

#[derive(Default)]
struct Node {
    content: Mutex<Content>,
    locks: Mutex<Locks>,
}

#[derive(Default)]
struct Disk {
    names: HashMap<PathBuf, Arc<Node>>,
    durable_names: HashMap<PathBuf, Arc<Node>>,
    entries: Vec<Entry>,
}

/// A file system in memory.
#[derive(Clone)]
pub struct Memory {
    disk: Arc<Mutex<Disk>>,
    gate: Gate,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::with_gate(Arc::new(|_| Ok(())))
    }
}

impl Memory {
    /// An empty file system whose calls pass that gate.
    #[must_use]
    pub fn with_gate(gate: Gate) -> Memory {
        Memory { disk: Arc::default(), gate }
    }

    /// Puts a file in, durable.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let content =
            Content { live: bytes.to_vec(), durable: bytes.to_vec(), changes: Vec::new() };
        let node = Arc::new(Node { content: Mutex::new(content), locks: Mutex::default() });
        let mut disk = lock(&self.disk);
        disk.names.insert(path.to_owned(), Arc::clone(&node));
        disk.durable_names.insert(path.to_owned(), node);
    }

    /// The bytes of a file.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let node = lock(&self.disk).names.get(path).cloned()?;
        Some(lock(&node.content).live.clone())
    }

    /// What the disk holds: each durable name, and the changes of names and contents that may or
    /// may not have reached it.
    #[must_use]
    pub fn after_power_loss(&self) -> (HashMap<PathBuf, Content>, Vec<(Entry, Content)>) {
        let disk = lock(&self.disk);
        let content = |node: &Arc<Node>| lock(&node.content).clone();
        let durable =
            disk.durable_names.iter().map(|(path, node)| (path.clone(), content(node))).collect();
        let entries = disk
            .entries
            .iter()
            .map(|entry| {
                let path = match entry {
                    Entry::Made(path) | Entry::Removed(path) => path,
                };
                (entry.clone(), disk.names.get(path).map(content).unwrap_or_default())
            })
            .collect();
        (durable, entries)
    }

    fn pass(&self, call: Call) -> io::Result<()> {
        (self.gate)(call)
    }

    fn node(&self, path: &Path, create: bool) -> io::Result<Arc<Node>> {
        let mut disk = lock(&self.disk);
        if let Some(node) = disk.names.get(path) {
            return Ok(Arc::clone(node));
        }
        if !create {
            return Err(io::ErrorKind::NotFound.into());
        }
        let node = Arc::new(Node::default());
        disk.names.insert(path.to_owned(), Arc::clone(&node));
        disk.entries.push(Entry::Made(path.to_owned()));
        Ok(node)
    }

    fn handle(&self, node: Arc<Node>, read_only: bool) -> MemoryFile {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        MemoryFile { vfs: self.clone(), node, id, read_only }
    }
}

impl Vfs for Memory {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        self.pass(Call::Open)?;
        let node = self.node(path, access.create && access.write)?;
        Ok(Arc::new(self.handle(node, !access.write)))
    }

    fn delete(&self, path: &Path, sync_folder: bool) -> io::Result<()> {
        self.pass(Call::Delete)?;
        let mut disk = lock(&self.disk);
        disk.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        disk.entries.push(Entry::Removed(path.to_owned()));
        drop(disk);
        if sync_folder { self.sync_folder(path) } else { Ok(()) }
    }

    fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        self.pass(Call::Sync)?;
        let mut disk = lock(&self.disk);
        disk.durable_names = disk.names.clone();
        disk.entries.clear();
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.pass(Call::Exists)?;
        Ok(lock(&self.disk).names.contains_key(path))
    }

    fn open_shm(&self, path: &Path, read_only: bool) -> io::Result<Arc<dyn Shm>> {
        self.pass(Call::Open)?;
        let node = self.node(path, !read_only)?;
        Ok(Arc::new(MemoryShm { file: self.handle(node, read_only), path: path.to_owned() }))
    }

    fn temporary(&self) -> io::Result<Arc<dyn File>> {
        self.pass(Call::Open)?;
        Ok(Arc::new(self.handle(Arc::default(), false)))
    }

    fn sleep(&self, _time: Duration) {
        std::thread::yield_now();
    }

    fn random(&self) -> u64 {
        static STATE: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
        STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) | 1
    }
}

struct MemoryFile {
    vfs: Memory,
    node: Arc<Node>,
    id: u64,
    read_only: bool,
}

impl MemoryFile {
    fn level(&self) -> LockLevel {
        lock(&self.node.locks).held.get(&self.id).copied().unwrap_or_default()
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let mut locks = lock(&self.node.locks);
        locks.held.remove(&self.id);
        for slot in &mut locks.slots {
            slot.shared.retain(|id| *id != self.id);
            slot.exclusive.take_if(|id| *id == self.id);
        }
    }
}

impl Content {
    /// Makes a change to bytes.
    pub fn apply(bytes: &mut Vec<u8>, change: &Change) {
        match change {
            Change::Resize(len) => bytes.resize(*len as usize, 0),
            Change::Write(offset, data) => {
                let start = *offset as usize;
                if bytes.len() < start + data.len() {
                    bytes.resize(start + data.len(), 0);
                }
                if let Some(out) = bytes.get_mut(start..start + data.len()) {
                    out.copy_from_slice(data);
                }
            }
        }
    }

    fn change(&mut self, change: Change) {
        Content::apply(&mut self.live, &change);
        self.changes.push(change);
    }
}

impl File for MemoryFile {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.vfs.pass(Call::Read)?;
        let content = lock(&self.node.content);
        let bytes = content.live.get(offset as usize..).unwrap_or_default();
        let len = bytes.len().min(out.len());
        if let (Some(out), Some(bytes)) = (out.get_mut(..len), bytes.get(..len)) {
            out.copy_from_slice(bytes);
        }
        Ok(len)
    }

    fn read_vectored_at(&self, out: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        for part in out {
            let read = self.read_at(part, offset + done as u64)?;
            done += read;
            if read < part.len() {
                break;
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.vfs.pass(Call::Write)?;
        lock(&self.node.content).change(Change::Write(offset, bytes.to_vec()));
        Ok(())
    }

    fn write_vectored_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut at = offset;
        for part in parts {
            self.write_at(part, at)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.vfs.pass(Call::Truncate)?;
        lock(&self.node.content).change(Change::Resize(bytes));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.vfs.pass(Call::Sync)?;
        let mut content = lock(&self.node.content);
        content.durable = content.live.clone();
        content.changes.clear();
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.vfs.pass(Call::Size)?;
        Ok(lock(&self.node.content).live.len() as u64)
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn lock(&self, level: LockLevel) -> io::Result<bool> {
        self.vfs.pass(Call::Lock)?;
        let mut locks = lock(&self.node.locks);
        let mut own = locks.held.get(&self.id).copied().unwrap_or_default();
        let others = |locks: &Locks| {
            let others = locks.held.iter().filter(|(id, _)| **id != self.id);
            others.map(|(_, level)| *level).max().unwrap_or_default()
        };
        let highest = others(&locks);
        if own < LockLevel::Shared && level >= LockLevel::Shared {
            if highest >= LockLevel::Pending {
                return Ok(false);
            }
            own = LockLevel::Shared;
        }
        let mut got = true;
        if level == LockLevel::Reserved && own < level {
            got = highest < LockLevel::Reserved;
            own = if got { level } else { own };
        }
        if level == LockLevel::Exclusive && own < level {
            got = highest < LockLevel::Pending;
            if got {
                own = LockLevel::Pending;
                got = highest == LockLevel::None;
            }
            own = if got { level } else { own };
        }
        locks.held.insert(self.id, own);
        Ok(got)
    }

    fn unlock(&self, level: LockLevel) -> io::Result<()> {
        let mut locks = lock(&self.node.locks);
        if let Some(held) = locks.held.get_mut(&self.id) {
            *held = level.min(*held);
        }
        Ok(())
    }

    fn lock_level(&self) -> LockLevel {
        self.level()
    }

    fn is_reserved(&self) -> io::Result<bool> {
        self.vfs.pass(Call::Lock)?;
        Ok(lock(&self.node.locks).held.values().any(|level| *level >= LockLevel::Reserved))
    }
}

struct MemoryRegion(Vec<AtomicU32>);

impl ShmRegion for MemoryRegion {
    fn words(&self) -> &[AtomicU32] {
        &self.0
    }
}

struct MemoryShm {
    file: MemoryFile,
    path: PathBuf,
}

impl Shm for MemoryShm {
    fn region(&self, index: usize, extend: bool) -> io::Result<Option<Arc<dyn ShmRegion>>> {
        self.file.vfs.pass(Call::Map)?;
        let mut locks = lock(&self.file.node.locks);
        while extend && locks.regions.len() <= index {
            let words = (0..SHM_REGION_BYTES / 4).map(|_| AtomicU32::new(0)).collect();
            locks.regions.push(Arc::new(MemoryRegion(words)));
        }
        Ok(locks.regions.get(index).cloned().map(|region| region as Arc<dyn ShmRegion>))
    }

    fn lock(&self, slot: usize, count: usize, wanted: ShmLock) -> io::Result<bool> {
        if wanted != ShmLock::Unlock {
            self.file.vfs.pass(Call::Lock)?;
        }
        let id = self.file.id;
        let mut locks = lock(&self.file.node.locks);
        let slots = locks.slots.get_mut(slot..slot + count).unwrap_or_default();
        let free = slots.iter().all(|slot| {
            let alone = slot.exclusive.is_none_or(|owner| owner == id);
            alone && (wanted != ShmLock::Exclusive || slot.shared.iter().all(|owner| *owner == id))
        });
        if wanted != ShmLock::Unlock && !free {
            return Ok(false);
        }
        for slot in slots {
            slot.shared.retain(|owner| *owner != id);
            slot.exclusive.take_if(|owner| *owner == id);
            match wanted {
                ShmLock::Shared => slot.shared.push(id),
                ShmLock::Exclusive => slot.exclusive = Some(id),
                ShmLock::Unlock => {}
            }
        }
        Ok(true)
    }

    fn is_read_only(&self) -> bool {
        self.file.read_only
    }

    fn delete(&self) {
        lock(&self.file.vfs.disk).names.remove(&self.path);
    }
}
