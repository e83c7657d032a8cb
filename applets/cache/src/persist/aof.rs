//! The append-only file: every change as the request that makes it again.
//!
//! A command appends to the buffer while it holds its keys' shards, so that the order of the log is
//! an order in which the changes could have happened one by one. The buffer is written at the end
//! of a worker's turn and before its replies leave; with `appendfsync always` it is on disk by
//! then: nothing is acknowledged that a crash could take back. Workers that end their turns
//! together share one write and one fdatasync.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use box_wire::resp::push_request;

use super::manifest::{Manifest, Part};

/// When the file is brought to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Before the replies leave.
    Always,
    /// Every second.
    #[default]
    EverySecond,
    /// When the kernel likes.
    No,
}

#[derive(Default)]
struct Inner {
    file: Option<File>,
    buffer: Vec<u8>,
    db: Option<u32>,
    fsync: Fsync,
    unsynced: bool,
    folder: PathBuf,
    name: String,
    manifest: Manifest,
}

/// The log.
#[derive(Default)]
pub struct Log {
    on: AtomicBool,
    pending: AtomicBool,
    inner: Mutex<Inner>,
    /// Bytes of all files.
    pub size: AtomicU64,
    /// Bytes there were after the last rewrite or at the start.
    pub base_size: AtomicU64,
    failed: AtomicBool,
}

impl Log {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether changes are logged.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Whether the last write has failed.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Appends a request that changes database `db`. Called with the keys' shards held.
    #[inline]
    pub fn append(&self, db: u32, request: &[u8]) {
        if self.is_on() {
            self.append_on(db, request);
        }
    }

    fn append_on(&self, db: u32, request: &[u8]) {
        let mut inner = self.inner();
        if inner.db != Some(db) {
            inner.db = Some(db);
            let number = db.to_string();
            push_request(&mut inner.buffer, [&b"SELECT"[..], number.as_bytes()].into_iter());
        }
        inner.buffer.extend_from_slice(request);
        self.pending.store(true, Ordering::Release);
    }

    /// Writes what has been appended; with `always`, brings it to disk. Called before replies
    /// leave.
    ///
    /// # Errors
    /// The kernel's: what could not be written stays in the buffer.
    #[inline]
    pub fn flush(&self) -> io::Result<()> {
        if self.pending.load(Ordering::Acquire) { self.flush_pending() } else { Ok(()) }
    }

    fn flush_pending(&self) -> io::Result<()> {
        let mut inner = self.inner();
        self.pending.store(false, Ordering::Release);
        let result = self.write_buffer(&mut inner);
        self.failed.store(result.is_err(), Ordering::Relaxed);
        if result.is_err() {
            self.pending.store(true, Ordering::Release);
        }
        result
    }

    fn write_buffer(&self, inner: &mut Inner) -> io::Result<()> {
        let Inner { file: Some(file), buffer, unsynced, fsync, .. } = inner else { return Ok(()) };
        if !buffer.is_empty() {
            let start = file.metadata()?.len();
            if let Err(error) = file.write_all(buffer) {
                // Half a request must not stay in front of the next one.
                let _ = file.set_len(start);
                return Err(error);
            }
            self.size.fetch_add(buffer.len() as u64, Ordering::Relaxed);
            buffer.clear();
            if buffer.capacity() > 1 << 20 {
                buffer.shrink_to(1 << 16);
            }
            *unsynced = true;
        }
        if *fsync == Fsync::Always && *unsynced {
            file.sync_data()?;
            *unsynced = false;
        }
        Ok(())
    }

    /// Brings to disk what has been written, once a second, without keeping others from writing.
    pub fn sync_every_second(&self) {
        let file = {
            let mut inner = self.inner();
            if inner.fsync != Fsync::EverySecond || !inner.unsynced {
                return;
            }
            inner.unsynced = false;
            inner.file.as_ref().and_then(|file| file.try_clone().ok())
        };
        if let Some(file) = file {
            let synced = file.sync_data();
            self.failed.store(synced.is_err(), Ordering::Relaxed);
        }
    }

    /// Changes when the file is brought to disk.
    pub fn set_fsync(&self, word: &str) {
        self.inner().fsync = match word {
            "always" => Fsync::Always,
            "no" => Fsync::No,
            _ => Fsync::EverySecond,
        };
    }

    /// Where the files are; to be called before the others.
    pub fn configure(&self, folder: &str, name: &str) {
        let mut inner = self.inner();
        inner.folder = PathBuf::from(folder);
        inner.name = name.to_owned();
    }

    /// The manifest's path.
    pub fn manifest_path(&self) -> PathBuf {
        let inner = self.inner();
        inner.folder.join(format!("{}.manifest", inner.name))
    }

    /// The folder of the files.
    pub fn folder(&self) -> PathBuf {
        self.inner().folder.clone()
    }

    /// The files as they are now.
    pub fn manifest(&self) -> Manifest {
        self.inner().manifest.clone()
    }

    /// Takes over files that have been loaded, and goes on with the last of them.
    ///
    /// # Errors
    /// The kernel's.
    pub fn resume(&self, manifest: Manifest, size: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.manifest = manifest;
        self.size.store(size, Ordering::Relaxed);
        self.base_size.store(size, Ordering::Relaxed);
        match inner.manifest.incr.last().map(|part| part.name.clone()) {
            Some(name) => inner.file = Some(append_to(&inner.folder.join(name))?),
            None => drop(self.next_incr(&mut inner)?),
        }
        self.on.store(true, Ordering::Release);
        Ok(())
    }

    /// Stops logging; what has been appended is written.
    pub fn stop(&self) {
        let _ = self.flush_pending();
        self.on.store(false, Ordering::Release);
        let mut inner = self.inner();
        if let Some(file) = inner.file.take() {
            let _ = file.sync_data();
        }
    }

    /// Goes on in a new file: what follows is not part of the base that is about to be written.
    /// Called with all shards held.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rotate(&self) -> io::Result<Part> {
        let mut inner = self.inner();
        std::fs::create_dir_all(&inner.folder)?;
        self.write_buffer(&mut inner)?;
        if let Some(file) = &inner.file {
            file.sync_data()?;
        }
        let part = self.next_incr(&mut inner)?;
        self.on.store(true, Ordering::Release);
        Ok(part)
    }

    fn next_incr(&self, inner: &mut Inner) -> io::Result<Part> {
        let seq = inner.manifest.incr.last().map_or(0, |part| part.seq) + 1;
        let part = Part { name: format!("{}.{seq}.incr.aof", inner.name), seq };
        std::fs::create_dir_all(&inner.folder)?;
        let file = append_to(&inner.folder.join(&part.name))?;
        inner.manifest.incr.push(part.clone());
        // Without a base the set would not load: the caller writes the manifest once it has one.
        if inner.manifest.base.is_some() {
            inner.manifest.write(&inner.folder.join(format!("{}.manifest", inner.name)))?;
        }
        inner.file = Some(file);
        inner.db = None;
        inner.unsynced = false;
        Ok(part)
    }

    /// The name of the next base.
    pub fn next_base(&self) -> (Part, PathBuf) {
        let inner = self.inner();
        let seq = inner.manifest.base.as_ref().map_or(0, |part| part.seq) + 1;
        let part = Part { name: format!("{}.{seq}.base.rdb", inner.name), seq };
        let path = inner.folder.join(&part.name);
        (part, path)
    }

    /// A new base is on disk that holds all in front of `first`: the manifest says so from now on,
    /// and what it replaces is removed.
    ///
    /// # Errors
    /// The kernel's.
    pub fn replace_base(&self, base: Part, first: &Part) -> io::Result<()> {
        let mut inner = self.inner();
        let path = inner.folder.join(format!("{}.manifest", inner.name));
        let mut next = Manifest { base: Some(base), history: Vec::new(), incr: Vec::new() };
        let mut old: Vec<Part> = inner.manifest.base.iter().cloned().collect();
        for part in &inner.manifest.incr {
            if part.seq < first.seq { &mut old } else { &mut next.incr }.push(part.clone());
        }
        next.write(&path)?;
        inner.manifest = next;
        for part in old {
            let _ = std::fs::remove_file(inner.folder.join(part.name));
        }
        let size = total_size(&inner.folder, &inner.manifest);
        self.size.store(size, Ordering::Relaxed);
        self.base_size.store(size, Ordering::Relaxed);
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Bytes of all files of the set.
pub fn total_size(folder: &Path, manifest: &Manifest) -> u64 {
    let parts = manifest.base.iter().chain(&manifest.incr);
    parts.filter_map(|part| folder.join(&part.name).metadata().ok()).map(|data| data.len()).sum()
}
