//! A database file of any bytes: walked, checked and written to.

#![no_main]

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use box_sql::btree::{Cursor, Placement, Store, TreeKind};
use box_sql::pager::{OpenOptions, WriteLock};
use box_sql::record::KeyInfo;
use box_sql::vfs::{Memory, Result};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let vfs = Memory::default();
    vfs.put(Path::new("/t.db"), bytes);
    let _ = touch(&vfs);
});

fn touch(vfs: &Memory) -> Result<()> {
    let store =
        Store::open_on(Arc::new(vfs.clone()), Path::new("/t.db"), &OpenOptions::default())?;
    store.begin_read()?;
    store.integrity_check(&[2, 3], 20)?;
    store.end_read();
    store.begin_write(WriteLock::Immediate)?;
    for root in 1..=store.page_count().min(8) {
        let index = TreeKind::Index(Rc::new(KeyInfo::binary(2)));
        for kind in [TreeKind::Table, index] {
            let is_table = matches!(kind, TreeKind::Table);
            let mut cursor = store.cursor(root, kind)?;
            let _ = walk(&mut cursor);
            for rowid in 0..8 {
                let record = [3, 1, 1, rowid as u8, 7];
                let _ = if is_table {
                    cursor.insert_row(rowid, &record, 600, Placement::Anywhere)
                } else {
                    cursor.insert_key(&record, Placement::Anywhere)
                };
            }
            if cursor.first().unwrap_or(false) {
                let _ = cursor.delete();
            }
        }
        let _ = store.clear_tree(root);
    }
    store.commit()
}

fn walk(cursor: &mut Cursor) -> Result<()> {
    let mut more = cursor.first()?;
    for _ in 0..10_000 {
        if !more {
            break;
        }
        cursor.column(3)?;
        cursor.payload()?;
        more = cursor.next()?;
    }
    Ok(())
}
