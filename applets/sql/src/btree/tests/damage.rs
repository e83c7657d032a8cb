//! Damaged files: an error, never a panic, a hang or memory without bound.

use super::*;
use crate::vfs::{Error, Result};

fn touch_everything(path: &Path) -> Result<()> {
    let store = Store::open(path, &OpenOptions::default())?;
    store.begin_read()?;
    let count = store.page_count();
    let mut kinds = vec![TreeKind::Table, index_kind()];
    for root in (1..=count.min(40)).rev() {
        for kind in &kinds {
            let Ok(mut cursor) = store.cursor(root, kind.clone()) else { continue };
            let _ = walk(&mut cursor);
        }
    }
    let _ = store.integrity_check(&[2, 3], 20);
    store.end_read();
    store.begin_write(WriteLock::Immediate)?;
    kinds.reverse();
    for (root, kind) in [(2, TreeKind::Table), (3, index_kind())] {
        let Ok(mut cursor) = store.cursor(root, kind) else { continue };
        let _ = change(&mut cursor, root == 2);
    }
    let _ = store.drop_tree(2);
    store.rollback()
}

fn walk(cursor: &mut Cursor) -> Result<()> {
    let mut more = cursor.first()?;
    let mut steps = 0;
    while more && steps < 20_000 {
        let _ = cursor.column(2);
        let _ = cursor.payload();
        more = cursor.next()?;
        steps += 1;
    }
    let mut more = cursor.last()?;
    while more && steps < 40_000 {
        more = cursor.prev()?;
        steps += 1;
    }
    cursor.count()?;
    Ok(())
}

fn change(cursor: &mut Cursor, is_table: bool) -> Result<()> {
    for n in 0..60i64 {
        if is_table {
            let row = record_of(&[Field::Null, Field::Text(&[b'x'; 90]), Field::Int(n)]);
            let _ = cursor.insert_row(n * 31, &row, 0, Placement::Anywhere);
        } else {
            let text = format!("row {n}");
            let key = record_of(&[Field::Text(text.as_bytes()), Field::Int(n)]);
            let _ = cursor.insert_key(&key, Placement::Anywhere);
        }
    }
    let mut more = cursor.first()?;
    for _ in 0..200 {
        if !more {
            break;
        }
        cursor.delete()?;
        more = cursor.next()?;
    }
    Ok(())
}

fn sample(path: &Path, page_size: u32) {
    let store = Store::open(path, &OpenOptions::default()).unwrap();
    store.set_page_size(page_size, 0);
    let db = Indexed::create(store);
    db.store.begin_write(WriteLock::Immediate).unwrap();
    let mut random = Random(8);
    for rowid in 0..300 {
        let len = if rowid % 40 == 0 { 3000 } else { random.below(60) as usize };
        let b = random.text(len);
        db.put(rowid, &b, b"c").unwrap();
    }
    for rowid in (0..300).step_by(3) {
        db.remove(rowid).unwrap();
    }
    db.store.commit().unwrap();
}

#[test]
fn mutated_files_never_panic() {
    let scratch = Scratch::new("damage");
    let good = scratch.file("good.db");
    sample(&good, 512);
    let bytes = std::fs::read(&good).unwrap();
    let path = scratch.file("bad.db");
    let mut random = Random(2024);
    let mut corrupt = 0;
    for _ in 0..1500 {
        let mut bad = bytes.clone();
        for _ in 0..=random.below(6) {
            let len = bad.len() as u64;
            let at = random.below(len) as usize;
            match random.below(5) {
                0 => bad[at] = random.next() as u8,
                1 => bad[at] ^= 1 << random.below(8),
                // Page headers and pointers are where it hurts.
                2 => {
                    let page = at / 512 * 512;
                    bad[page + random.below(40) as usize] = random.next() as u8;
                }
                3 => {
                    let (from, to) = (at / 512 * 512, random.below(len / 512) as usize * 512);
                    bad.copy_within(from..from + 512, to);
                }
                _ => {
                    let page = at / 512 * 512;
                    let value = (random.below(bytes.len() as u64 / 512) as u32).to_be_bytes();
                    let spot = page + random.below(127) as usize * 4;
                    bad[spot..spot + 4].copy_from_slice(&value);
                }
            }
        }
        if random.below(10) == 0 {
            bad.truncate(random.below(bytes.len() as u64) as usize);
        }
        std::fs::write(&path, &bad).unwrap();
        match touch_everything(&path) {
            Err(Error::Corrupt | Error::NotADatabase | Error::ReadOnly) => corrupt += 1,
            Err(error) => panic!("{error:?}"),
            Ok(()) => {}
        }
    }
    assert!(corrupt > 10);
}
