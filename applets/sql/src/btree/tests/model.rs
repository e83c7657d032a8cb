//! Random changes beside a `BTreeMap`, judged by sqlite3's integrity check.

use std::collections::BTreeMap;

use super::*;
use crate::pager::{AutoVacuum, JournalMode};

type Model = BTreeMap<i64, (Vec<u8>, Vec<u8>)>;

/// Lengths that give local rows, full pages and overflow chains.
fn random_len(random: &mut Random, page_size: u64) -> usize {
    match random.below(20) {
        0 => random.below(page_size * 4) as usize,
        1..=3 => random.below(page_size) as usize,
        _ => random.below(60) as usize,
    }
}

fn change(db: &Indexed, model: &mut Model, random: &mut Random, page_size: u64) {
    let rowid = match random.below(4) {
        0 => model.keys().next_back().map_or(1, |last| last + 1),
        1 => random.next() as i64 - (1 << 55),
        _ => random.below(2000) as i64,
    };
    let existing = model.keys().nth(random.below(model.len() as u64 + 1) as usize).copied();
    match random.below(10) {
        0..=5 => {
            let (b_len, c_len) = (random_len(random, page_size), random_len(random, page_size));
            let (b, c) = (random.text(b_len), random.text(c_len));
            db.put(rowid, &b, &c).unwrap();
            model.insert(rowid, (b, c));
        }
        _ => {
            let rowid = existing.unwrap_or(rowid);
            assert_eq!(db.remove(rowid).unwrap(), model.remove(&rowid).is_some());
        }
    }
}

/// Both trees hold what the model holds, forwards and backwards.
pub fn assert_equal(db: &Indexed, model: &Model) {
    let mut rows = db.rows();
    let mut more = rows.first().unwrap();
    for (rowid, (b, c)) in model {
        assert!(more);
        assert_eq!(rows.rowid().unwrap(), *rowid);
        assert_eq!(rows.column(1).unwrap(), Some(Field::Text(b)));
        assert_eq!(rows.column(2).unwrap(), Some(Field::Blob(c)));
        more = rows.next().unwrap();
    }
    assert!(!more);
    let mut expected: Vec<(&[u8], i64)> = model.iter().map(|(a, (b, _))| (&b[..], *a)).collect();
    expected.sort_unstable();
    let mut keys = db.keys();
    let mut more = keys.last().unwrap();
    for (b, rowid) in expected.iter().rev() {
        assert!(more);
        let record = record_of(&[Field::Text(b), Field::Int(*rowid)]);
        assert_eq!(keys.payload().unwrap(), record);
        more = keys.prev().unwrap();
    }
    assert!(!more);
    assert_eq!(db.keys().count().unwrap(), model.len() as u64);
    assert_eq!(db.rows().count().unwrap(), model.len() as u64);
}

fn storm(page_size: u32, reserved: u8, auto_vacuum: AutoVacuum, seed: u64) {
    let scratch = Scratch::new("storm");
    let path = scratch.file("t.db");
    let store = Store::open(&path, &OpenOptions::default()).unwrap();
    assert!(store.set_page_size(page_size, reserved));
    assert!(store.set_auto_vacuum(auto_vacuum).unwrap());
    storm_on(store, &path, page_size, seed);
}

/// The same in another journal mode.
pub fn storm_in(mode: JournalMode, page_size: u32, auto_vacuum: AutoVacuum, seed: u64) {
    let scratch = Scratch::new("storm");
    let path = scratch.file("t.db");
    let store = Store::open(&path, &OpenOptions::default()).unwrap();
    assert!(store.set_page_size(page_size, 0));
    assert!(store.set_auto_vacuum(auto_vacuum).unwrap());
    assert_eq!(store.set_journal_mode(mode).unwrap(), mode);
    storm_on(store, &path, page_size, seed);
}

fn storm_on(store: Store, path: &Path, page_size: u32, seed: u64) {
    let db = Indexed::create(store);
    let (mut model, mut random) = (Model::new(), Random(seed));
    for round in 0..12 {
        db.store.begin_write(WriteLock::Immediate).unwrap();
        let before = model.clone();
        for _ in 0..150 {
            change(&db, &mut model, &mut random, u64::from(page_size.min(4096)));
        }
        if round % 4 == 3 {
            db.store.rollback().unwrap();
            model = before;
        } else {
            db.store.commit().unwrap();
        }
        db.store.begin_read().unwrap();
        assert_equal(&db, &model);
        assert_eq!(
            db.store.integrity_check(&[db.table, db.index], 10).unwrap(),
            Vec::<String>::new()
        );
        db.store.end_read();
    }
    if has_sqlite3() {
        assert_eq!(sqlite3(path, "PRAGMA integrity_check"), "ok");
        let sums = sqlite3(path, "SELECT count(*), sum(length(b)), sum(length(c)) FROM t");
        let (b, c) = model.values().fold((0, 0), |(x, y), (b, c)| (x + b.len(), y + c.len()));
        assert_eq!(sums, format!("{}|{b}|{c}", model.len()));
    }
    // What is left is emptied: every page comes back.
    db.store.begin_write(WriteLock::Immediate).unwrap();
    for rowid in model.keys() {
        assert!(db.remove(*rowid).unwrap());
    }
    db.store.commit().unwrap();
    db.store.begin_read().unwrap();
    assert_equal(&db, &Model::new());
    db.store.end_read();
    if has_sqlite3() {
        assert_eq!(sqlite3(path, "PRAGMA integrity_check; SELECT count(*) FROM t"), "ok\n0");
    }
}

#[test]
fn random_changes_leave_a_sound_file() {
    for (seed, page_size) in [512, 1024, 4096, 65_536].into_iter().enumerate() {
        storm(page_size, 0, AutoVacuum::None, 77 + seed as u64);
    }
    storm(512, 32, AutoVacuum::None, 5);
}

#[test]
fn rows_in_order_fill_their_pages() {
    let scratch = Scratch::new("append");
    let path = scratch.file("t.db");
    let db = Indexed::create(Store::open(&path, &OpenOptions::default()).unwrap());
    db.store.begin_write(WriteLock::Immediate).unwrap();
    let (mut rows, mut keys) = (db.rows(), db.keys());
    for rowid in 1..=20_000i64 {
        let b = format!("{rowid:010}");
        let row = record_of(&[Field::Null, Field::Text(b.as_bytes()), Field::Blob(b"123")]);
        rows.insert_row(rowid, &row, 0, Placement::Append).unwrap();
        let key = record_of(&[Field::Text(b.as_bytes()), Field::Int(rowid)]);
        keys.insert_key(&key, Placement::Append).unwrap();
    }
    db.store.commit().unwrap();
    if has_sqlite3() {
        assert_eq!(sqlite3(&path, "PRAGMA integrity_check"), "ok");
        let own: u64 = sqlite3(&path, "PRAGMA page_count").parse().unwrap();
        sqlite3(&path, "VACUUM");
        let packed: u64 = sqlite3(&path, "PRAGMA page_count").parse().unwrap();
        assert!(own <= packed + packed / 50 + 3, "{own} pages, {packed} would do");
    }
}

#[test]
fn cursors_find_their_place_again() {
    let db = Indexed::create(Store::memory());
    db.store.begin_write(WriteLock::Immediate).unwrap();
    for rowid in 0..1000 {
        db.put(rowid * 2, format!("{:05}", rowid * 2).as_bytes(), &[7; 30]).unwrap();
    }
    let (mut rows, mut keys) = (db.rows(), db.keys());
    assert!(rows.seek_rowid(500, Seek::Eq).unwrap());
    assert!(keys.seek_key(&[Field::Text(b"00500")], Seek::Eq).unwrap());
    for rowid in 0..300 {
        db.put(rowid * 2 + 1, format!("{:05}", rowid * 2 + 1).as_bytes(), &[8; 300]).unwrap();
    }
    assert_eq!(rows.rowid().unwrap(), 500);
    assert_eq!(keys.column(1).unwrap(), Some(Field::Int(500)));
    db.remove(500).unwrap();
    assert!(!rows.is_valid().unwrap());
    assert!(rows.next().unwrap());
    assert_eq!(rows.rowid().unwrap(), 501);
    assert!(!keys.is_valid().unwrap());
    assert!(keys.prev().unwrap());
    assert_eq!(keys.column(1).unwrap(), Some(Field::Int(499)));
    // Deleting through the scan itself.
    let mut more = rows.first().unwrap();
    let mut seen = 0;
    while more {
        let rowid = rows.rowid().unwrap();
        if rowid % 3 == 0 {
            rows.delete().unwrap();
        }
        seen += 1;
        more = rows.next().unwrap();
    }
    assert_eq!(seen, 1299);
}

#[test]
fn savepoints_undo_what_is_theirs() {
    let db = Indexed::create(Store::memory());
    db.store.begin_write(WriteLock::Immediate).unwrap();
    let mut random = Random(99);
    let mut model = Model::new();
    let mut saved: Vec<Model> = Vec::new();
    for _ in 0..400 {
        match random.below(8) {
            0 => {
                assert_eq!(db.store.open_savepoint().unwrap(), saved.len());
                saved.push(model.clone());
            }
            1 if !saved.is_empty() => {
                let depth = random.below(saved.len() as u64) as usize;
                db.store.release_savepoint(depth);
                saved.truncate(depth);
            }
            2 if !saved.is_empty() => {
                let depth = random.below(saved.len() as u64) as usize;
                db.store.rollback_to_savepoint(depth).unwrap();
                saved.truncate(depth + 1);
                model = saved[depth].clone();
                assert_equal(&db, &model);
            }
            _ => {
                for _ in 0..10 {
                    change(&db, &mut model, &mut random, 4096);
                }
            }
        }
    }
    assert_equal(&db, &model);
    db.store.commit().unwrap();
}

#[test]
fn a_small_cache_spills_and_rolls_back() {
    let scratch = Scratch::new("spill");
    let path = scratch.file("t.db");
    let db = Indexed::create(Store::open(&path, &OpenOptions::default()).unwrap());
    db.store.set_cache_bytes(20 * 4096);
    let (mut model, mut random) = (Model::new(), Random(4));
    for round in 0..6 {
        db.store.begin_write(WriteLock::Immediate).unwrap();
        let before = model.clone();
        for step in 0..600 {
            change(&db, &mut model, &mut random, 4096);
            if step == 300 {
                db.store.open_savepoint().unwrap();
            }
        }
        match round % 3 {
            0 => db.store.commit().unwrap(),
            1 => {
                db.store.rollback().unwrap();
                model = before;
            }
            _ => {
                let middle = db.rows().count().unwrap();
                db.store.open_savepoint().unwrap();
                for rowid in model.keys() {
                    db.remove(*rowid).unwrap();
                }
                db.store.rollback_to_savepoint(1).unwrap();
                assert_eq!(db.rows().count().unwrap(), middle);
                db.store.commit().unwrap();
            }
        }
        db.store.begin_read().unwrap();
        assert_equal(&db, &model);
        db.store.end_read();
        if has_sqlite3() {
            assert_eq!(sqlite3(&path, "PRAGMA integrity_check"), "ok");
        }
    }
}
