//! A write-ahead log and a rollback journal of any bytes beside a small database.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use box_sql::btree::{Store, TreeKind};
use box_sql::pager::{JournalMode, OpenOptions, WriteLock};
use box_sql::vfs::{Memory, Result};
use libfuzzer_sys::fuzz_target;

const NAME: &str = "/t.db";

fuzz_target!(|bytes: &[u8]| {
    for (mode, suffix) in [(JournalMode::Wal, "-wal"), (JournalMode::Delete, "-journal")] {
        if let Ok(database) = database(mode) {
            let vfs = Memory::default();
            vfs.put(Path::new(NAME), &database);
            vfs.put(Path::new(&format!("{NAME}{suffix}")), bytes);
            let _ = recover(vfs);
        }
    }
});

fn open(vfs: Memory) -> Result<Store> {
    Store::open_on(Arc::new(vfs), Path::new(NAME), &OpenOptions::default())
}

fn database(mode: JournalMode) -> Result<Vec<u8>> {
    let vfs = Memory::default();
    let store = open(vfs.clone())?;
    store.set_page_size(512, 0);
    store.set_journal_mode(mode)?;
    store.begin_write(WriteLock::Immediate)?;
    store.create_tree(&TreeKind::Table)?;
    store.commit()?;
    drop(store);
    Ok(vfs.bytes(Path::new(NAME)).unwrap_or_default())
}

fn recover(vfs: Memory) -> Result<()> {
    let store = open(vfs)?;
    store.begin_read()?;
    store.integrity_check(&[2], 20)?;
    store.end_read();
    store.begin_write(WriteLock::Immediate)?;
    store.create_tree(&TreeKind::Table)?;
    store.commit()
}
