//! Auto-vacuum databases: pointer maps, moved roots and files that shrink.

use super::*;
use crate::pager::{AutoVacuum, JournalMode};

#[test]
fn storms_keep_the_pointer_maps() {
    for (seed, page_size) in [512, 1024, 4096].into_iter().enumerate() {
        for mode in [AutoVacuum::Full, AutoVacuum::Incremental] {
            model::storm_in(JournalMode::Delete, page_size, mode, 31 + seed as u64);
        }
    }
    model::storm_in(JournalMode::Wal, 1024, AutoVacuum::Full, 5);
}

fn with_mode(path: &Path, mode: AutoVacuum) -> Store {
    let store = Store::open(path, &OpenOptions::default()).unwrap();
    store.set_page_size(512, 0);
    assert!(store.set_auto_vacuum(mode).unwrap());
    store
}

#[test]
fn incremental_vacuum_gives_pages_back() {
    let scratch = Scratch::new("incremental");
    let path = scratch.file("t.db");
    let db = Indexed::create(with_mode(&path, AutoVacuum::Incremental));
    db.store.begin_write(WriteLock::Immediate).unwrap();
    for rowid in 0..2000 {
        db.put(rowid, format!("{rowid}").as_bytes(), &[1; 700]).unwrap();
    }
    db.store.commit().unwrap();
    db.store.begin_write(WriteLock::Immediate).unwrap();
    for rowid in 0..1500 {
        db.remove(rowid).unwrap();
    }
    db.store.commit().unwrap();
    db.store.begin_write(WriteLock::Immediate).unwrap();
    let (pages, free) = (db.store.page_count(), db.store.freelist_count().unwrap());
    assert!(free > 1000);
    db.store.incremental_vacuum(100).unwrap();
    assert_eq!(db.store.freelist_count().unwrap(), free - 100);
    db.store.rollback().unwrap();
    db.store.begin_write(WriteLock::Immediate).unwrap();
    assert_eq!(db.store.freelist_count().unwrap(), free);
    db.store.incremental_vacuum(10).unwrap();
    assert_eq!(db.store.freelist_count().unwrap(), free - 10);
    db.store.incremental_vacuum(0).unwrap();
    assert_eq!(db.store.freelist_count().unwrap(), 0);
    assert!(db.store.page_count() <= pages - free);
    db.store.commit().unwrap();
    if has_sqlite3() {
        let check = "PRAGMA integrity_check; PRAGMA auto_vacuum; SELECT count(*) FROM t";
        assert_eq!(sqlite3(&path, check), "ok\n2\n500");
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert_eq!(bytes, 512 * u64::from(db.store.page_count()));
    }
}

#[test]
fn roots_stay_in_front() {
    let scratch = Scratch::new("roots");
    let path = scratch.file("t.db");
    let db = Indexed::create(with_mode(&path, AutoVacuum::Full));
    db.store.begin_write(WriteLock::Immediate).unwrap();
    for rowid in 0..500 {
        db.put(rowid, format!("{rowid}").as_bytes(), &[1; 300]).unwrap();
    }
    db.store.commit().unwrap();
    assert_eq!((db.table, db.index), (3, 4));
    // New roots push tree pages away; a dropped one is replaced by the last.
    db.store.begin_write(WriteLock::Immediate).unwrap();
    let roots: Vec<PageNo> =
        (0..6).map(|_| db.store.create_tree(&TreeKind::Table).unwrap()).collect();
    assert_eq!(roots, [5, 6, 7, 8, 9, 10]);
    for root in &roots {
        let mut cursor = db.store.cursor(*root, TreeKind::Table).unwrap();
        for rowid in 0..40 {
            let row = record_of(&[Field::Null, Field::Int(i64::from(*root) * 100 + rowid)]);
            cursor.insert_row(rowid, &row, 0, Placement::Append).unwrap();
        }
    }
    assert_eq!(db.store.drop_tree(6).unwrap(), Some(10));
    let mut moved = db.store.cursor(6, TreeKind::Table).unwrap();
    assert!(moved.seek_rowid(7, Seek::Eq).unwrap());
    assert_eq!(moved.column(1).unwrap(), Some(Field::Int(1007)));
    assert_eq!(db.store.drop_tree(9).unwrap(), None);
    let all = [3, 4, 5, 6, 7, 8];
    assert_eq!(db.store.integrity_check(&all, 9).unwrap(), Vec::<String>::new());
    for (name, root) in [("a", 5), ("b", 6), ("c", 7), ("d", 8)] {
        declare(&db.store, "table", name, name, root, &format!("CREATE TABLE {name}(x, y)"));
    }
    db.store.commit().unwrap();
    if has_sqlite3() {
        let check = "PRAGMA integrity_check; SELECT sum(y) FROM b; DROP TABLE a; DROP TABLE t;
            PRAGMA integrity_check; SELECT sum(y) FROM d";
        assert_eq!(sqlite3(&path, check), "ok\n40780\nok\n32780");
    }
}
