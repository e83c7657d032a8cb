//! Many writers and readers of both programs on one file.

use std::process::Stdio;
use std::time::Duration;

use super::*;
use crate::pager::{JournalMode, Synchronous};

const WRITERS: usize = 3;
const ROUNDS: i64 = 60;

fn counter(cursor: &mut Cursor, rowid: i64) -> i64 {
    assert!(cursor.seek_rowid(rowid, Seek::Eq).unwrap());
    match cursor.column(1).unwrap() {
        Some(Field::Int(n)) => n,
        other => panic!("{other:?}"),
    }
}

fn connect(path: &Path) -> Indexed {
    let options = OpenOptions { busy_timeout: Duration::from_secs(60), ..OpenOptions::default() };
    let store = Store::open(path, &options).unwrap();
    store.set_synchronous(Synchronous::Off);
    Indexed { store, table: 2, index: 3 }
}

/// Adds 1 to both counters in each transaction.
fn write(path: &Path) {
    let db = connect(path);
    for _ in 0..ROUNDS {
        db.store.begin_write(WriteLock::Immediate).unwrap();
        let mut rows = db.rows();
        for rowid in [1, 2] {
            let n = counter(&mut rows, rowid);
            let row = record_of(&[Field::Null, Field::Int(n + 1), Field::Null]);
            rows.insert_row(rowid, &row, 0, Placement::Anywhere).unwrap();
            let mut keys = db.keys();
            assert!(keys.seek_key(&[Field::Int(n), Field::Int(rowid)], Seek::Eq).unwrap());
            keys.delete().unwrap();
            let key = record_of(&[Field::Int(n + 1), Field::Int(rowid)]);
            keys.insert_key(&key, Placement::Anywhere).unwrap();
        }
        db.store.commit().unwrap();
    }
}

fn read(path: &Path) {
    let db = connect(path);
    for _ in 0..ROUNDS * 2 {
        db.store.begin_read().unwrap();
        let mut rows = db.rows();
        assert_eq!(counter(&mut rows, 1), counter(&mut rows, 2));
        db.store.end_read();
    }
}

fn crowd(mode: JournalMode) {
    let scratch = Scratch::new("crowd");
    let path = scratch.file("t.db");
    let store = Store::open(&path, &OpenOptions::default()).unwrap();
    store.set_journal_mode(mode).unwrap();
    let db = Indexed::create(store);
    db.store.begin_write(WriteLock::Immediate).unwrap();
    for rowid in [1, 2] {
        let row = record_of(&[Field::Null, Field::Int(0), Field::Null]);
        db.rows().insert_row(rowid, &row, 0, Placement::Append).unwrap();
        let key = record_of(&[Field::Int(0), Field::Int(rowid)]);
        db.keys().insert_key(&key, Placement::Append).unwrap();
    }
    db.store.commit().unwrap();
    drop(db);
    let foreign = if has_sqlite3() { WRITERS } else { 0 };
    let script = scratch.file("writer.sql");
    let step =
        "BEGIN IMMEDIATE; UPDATE t SET b=b+1 WHERE a=1; UPDATE t SET b=b+1 WHERE a=2; COMMIT;\n";
    let text = format!(
        ".timeout 60000\n.bail on\nPRAGMA synchronous=off;\n{}",
        step.repeat(ROUNDS as usize)
    );
    std::fs::write(&script, text).unwrap();
    let children: Vec<_> = (0..foreign)
        .map(|_| {
            Command::new("sqlite3")
                .arg(&path)
                .stdin(std::fs::File::open(&script).unwrap())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| write(&path));
            scope.spawn(|| read(&path));
        }
    });
    for child in children {
        let out = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stderr), "");
    }
    let db = connect(&path);
    db.store.begin_read().unwrap();
    let expected = (WRITERS + foreign) as i64 * ROUNDS;
    assert_eq!(counter(&mut db.rows(), 1), expected);
    assert_eq!(db.store.integrity_check(&[2, 3], 9).unwrap(), Vec::<String>::new());
    db.store.end_read();
    drop(db);
    if foreign > 0 {
        let check = "PRAGMA integrity_check; SELECT b FROM t";
        assert_eq!(sqlite3(&path, check), format!("ok\n{expected}\n{expected}"));
    }
}

#[test]
fn a_crowd_counts_right_with_a_rollback_journal() {
    crowd(JournalMode::Delete);
    crowd(JournalMode::Truncate);
}

#[test]
fn a_crowd_counts_right_with_a_log() {
    crowd(JournalMode::Wal);
}
