//! What VACUUM is made of.

use super::*;

#[test]
fn a_database_is_copied_over_itself() {
    for (old_size, new_size) in [(4096, 4096), (1024, 8192), (8192, 512)] {
        let scratch = Scratch::new("copy");
        let path = scratch.file("t.db");
        let store = Store::open(&path, &OpenOptions::default()).unwrap();
        store.set_page_size(old_size, 0);
        let db = Indexed::create(store);
        db.store.begin_write(WriteLock::Immediate).unwrap();
        for rowid in 0..3000 {
            db.put(rowid * 7 % 3001, format!("{rowid}").as_bytes(), &[3; 120]).unwrap();
        }
        db.store.commit().unwrap();
        let other = Store::open(&path, &OpenOptions::default()).unwrap();
        other.begin_read().unwrap();
        let version = other.data_version();
        other.end_read();

        let fresh = Store::temporary();
        assert!(fresh.set_page_size(new_size, 0));
        let copy = Indexed::create(fresh);
        db.store.begin_write(WriteLock::Immediate).unwrap();
        let rows = copy_all(&copy, &db);
        assert_eq!(rows, (3000, 3000));
        for commits in [false, true] {
            db.store.begin_write(WriteLock::Immediate).unwrap();
            copy.store.begin_read().unwrap();
            db.store.copy_from(&copy.store).unwrap();
            if commits {
                db.store.commit().unwrap();
                assert_eq!(db.store.page_size(), new_size);
            } else {
                db.store.rollback().unwrap();
                assert_eq!(db.store.page_size(), old_size);
            }
            db.store.begin_read().unwrap();
            assert_eq!(db.rows().count().unwrap(), 3000);
            assert_eq!(db.store.integrity_check(&[2, 3], 9).unwrap(), Vec::<String>::new());
            db.store.end_read();
        }
        other.begin_read().unwrap();
        assert_ne!(other.data_version(), version);
        assert_eq!(other.page_size(), new_size);
        other.end_read();
        if has_sqlite3() {
            let check = "PRAGMA integrity_check; PRAGMA page_size; SELECT count(*) FROM t";
            assert_eq!(sqlite3(&path, check), format!("ok\n{new_size}\n3000"));
        }
    }
}

fn copy_all(copy: &Indexed, db: &Indexed) -> (u64, u64) {
    copy.store.begin_write(WriteLock::Immediate).unwrap();
    let rows = copy.store.copy_tree(copy.table, &db.store, db.table, &TreeKind::Table).unwrap();
    let keys = copy.store.copy_tree(copy.index, &db.store, db.index, &index_kind()).unwrap();
    copy.store.commit().unwrap();
    db.store.rollback().unwrap();
    (rows, keys)
}
