//! The write-ahead log, alone and together with sqlite3.

use super::locks::{Shell, is_busy};
use super::*;
use crate::pager::{AutoVacuum, CheckpointMode, JournalMode};
use crate::vfs::Error;

fn in_wal(path: &Path) -> Indexed {
    let store = Store::open(path, &OpenOptions::default()).unwrap();
    assert_eq!(store.set_journal_mode(JournalMode::Wal).unwrap(), JournalMode::Wal);
    Indexed::create(store)
}

fn reopen(path: &Path) -> Indexed {
    Indexed { store: Store::open(path, &OpenOptions::default()).unwrap(), table: 2, index: 3 }
}

fn add(db: &Indexed, rowids: std::ops::Range<i64>) {
    db.store.begin_write(WriteLock::Immediate).unwrap();
    for rowid in rowids {
        db.put(rowid, format!("row {rowid}").as_bytes(), &[5; 300]).unwrap();
    }
    db.store.commit().unwrap();
}

fn count(db: &Indexed) -> u64 {
    db.store.begin_read().unwrap();
    let count = db.rows().count().unwrap();
    assert_eq!(db.keys().count().unwrap(), count);
    db.store.end_read();
    count
}

fn log_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

#[test]
fn a_storm_through_the_log_leaves_a_sound_file() {
    model::storm_in(JournalMode::Wal, 1024, AutoVacuum::None, 17);
    model::storm_in(JournalMode::Wal, 65_536, AutoVacuum::None, 18);
}

#[test]
fn the_last_connection_removes_the_log() {
    let scratch = Scratch::new("wal-close");
    let path = scratch.file("t.db");
    let db = in_wal(&path);
    add(&db, 0..100);
    assert!(log_of(&path).exists());
    let second = reopen(&path);
    assert_eq!(count(&second), 100);
    drop(db);
    assert!(log_of(&path).exists());
    add(&second, 100..200);
    drop(second);
    assert!(!log_of(&path).exists());
    let db = reopen(&path);
    assert_eq!(count(&db), 200);
    assert_eq!(db.store.journal_mode().unwrap(), JournalMode::Wal);
    assert_eq!(db.store.set_journal_mode(JournalMode::Delete).unwrap(), JournalMode::Delete);
    add(&db, 200..210);
    drop(db);
    if has_sqlite3() {
        let check = "PRAGMA journal_mode; PRAGMA integrity_check; SELECT count(*) FROM t";
        assert_eq!(sqlite3(&path, check), "delete\nok\n210");
    }
}

#[test]
fn readers_keep_their_snapshot() {
    let scratch = Scratch::new("wal-snapshot");
    let path = scratch.file("t.db");
    let writer = in_wal(&path);
    add(&writer, 0..50);
    let reader = reopen(&path);
    reader.store.begin_read().unwrap();
    assert_eq!(reader.rows().count().unwrap(), 50);
    for round in 1..20 {
        add(&writer, round * 50..round * 50 + 50);
        let result = writer.store.checkpoint(CheckpointMode::Passive).unwrap();
        assert!(result.checkpointed_frames < result.log_frames);
        reader.store.shrink_memory();
        assert_eq!(reader.rows().count().unwrap(), 50);
    }
    // A stale snapshot cannot become a write transaction.
    assert!(matches!(reader.store.begin_write(WriteLock::Immediate), Err(Error::BusySnapshot)));
    let result = writer.store.checkpoint(CheckpointMode::Truncate).unwrap();
    assert!(result.busy);
    reader.store.end_read();
    let result = writer.store.checkpoint(CheckpointMode::Truncate).unwrap();
    assert_eq!((result.busy, result.log_frames, result.checkpointed_frames), (false, 0, 0));
    assert_eq!(std::fs::metadata(log_of(&path)).unwrap().len(), 0);
    assert_eq!(count(&reader), 1000);
    add(&reader, 1000..1001);
    assert_eq!(count(&writer), 1001);
}

#[test]
fn a_long_log_is_begun_anew() {
    let scratch = Scratch::new("wal-anew");
    let path = scratch.file("t.db");
    let db = in_wal(&path);
    db.store.set_wal_autocheckpoint(50);
    for round in 0..200 {
        add(&db, round * 10..round * 10 + 10);
    }
    assert!(std::fs::metadata(log_of(&path)).unwrap().len() < 100 * 4120);
    if has_sqlite3() {
        assert_eq!(sqlite3(&path, "PRAGMA integrity_check; SELECT count(*) FROM t"), "ok\n2000");
    }
    assert_eq!(count(&db), 2000);
}

#[test]
fn both_programs_share_the_log() {
    if !has_sqlite3() {
        return;
    }
    let scratch = Scratch::new("wal-shared");
    let path = scratch.file("t.db");
    let db = in_wal(&path);
    let mut shell = Shell::open(&path);
    let mut expected = 0u64;
    for round in 0..40i64 {
        let first = round * 200;
        if round % 2 == 0 {
            add(&db, first..first + 100);
            expected += 100;
        } else {
            shell.run(&format!(
                "WITH RECURSIVE n(x) AS (SELECT {first} UNION ALL SELECT x+1 FROM n WHERE x<{first}+99)
                 INSERT INTO t SELECT x, 'row '||x, zeroblob(300) FROM n;"
            ));
            expected += 100;
        }
        assert_eq!(count(&db), expected);
        assert_eq!(shell.run("SELECT count(*) FROM t;"), [expected.to_string()]);
        match round % 5 {
            3 => assert_eq!(shell.run("PRAGMA wal_checkpoint(TRUNCATE);"), ["0|0|0"]),
            4 => assert!(!db.store.checkpoint(CheckpointMode::Restart).unwrap().busy),
            _ => {}
        }
    }
    // Locks, both ways.
    shell.run("BEGIN IMMEDIATE; DELETE FROM t WHERE a < 50;");
    assert!(is_busy(db.store.begin_write(WriteLock::Immediate)));
    assert_eq!(count(&db), expected);
    shell.run("COMMIT;");
    assert_eq!(count(&db), expected - 50);
    db.store.begin_write(WriteLock::Immediate).unwrap();
    assert_eq!(shell.run("DELETE FROM t;\nSELECT count(*) > 0 FROM t;"), ["1"]);
    db.store.rollback().unwrap();
    // A snapshot of sqlite3's stops our checkpoint where it is.
    shell.run("BEGIN; SELECT count(*) FROM t;");
    add(&db, 100_000..100_100);
    let result = db.store.checkpoint(CheckpointMode::Full).unwrap();
    assert!(result.busy && result.checkpointed_frames < result.log_frames);
    shell.run("COMMIT;");
    let result = db.store.checkpoint(CheckpointMode::Full).unwrap();
    assert!(!result.busy && result.checkpointed_frames == result.log_frames);
    assert_eq!(shell.run("PRAGMA integrity_check;"), ["ok"]);
}

#[test]
fn a_log_that_was_left_is_recovered_by_either() {
    if !has_sqlite3() {
        return;
    }
    let scratch = Scratch::new("wal-left");
    let path = scratch.file("t.db");
    let db = in_wal(&path);
    add(&db, 0..500);
    // What a crash leaves: the database and the log, with half a frame at its end.
    let (copy, copy_log) = (scratch.file("c.db"), scratch.file("c.db-wal"));
    let mut log = std::fs::read(log_of(&path)).unwrap();
    log.truncate(log.len() - 100);
    log.extend_from_slice(&[7; 5000]);
    for by_sqlite3 in [true, false] {
        std::fs::copy(&path, &copy).unwrap();
        std::fs::write(&copy_log, &log).unwrap();
        let _ = std::fs::remove_file(scratch.file("c.db-shm"));
        if by_sqlite3 {
            // The last commit is cut, so all that it did is gone.
            assert_eq!(sqlite3(&copy, "PRAGMA integrity_check; SELECT count(*) FROM t"), "ok\n0");
        } else {
            assert_eq!(count(&reopen(&copy)), 0);
        }
    }
    let mut shell = Shell::open(&path);
    shell.run(
        "PRAGMA wal_autocheckpoint=0; DELETE FROM t WHERE a >= 400; DELETE FROM t WHERE a < 10;",
    );
    let log = std::fs::read(log_of(&path)).unwrap();
    std::fs::copy(&path, &copy).unwrap();
    std::fs::write(&copy_log, &log).unwrap();
    let copied = reopen(&copy);
    assert_eq!(count(&copied), 390);
    copied.store.begin_read().unwrap();
    assert_eq!(copied.store.integrity_check(&[2, 3], 5).unwrap(), Vec::<String>::new());
}

#[test]
fn savepoints_and_spills_go_through_the_log() {
    let scratch = Scratch::new("wal-spill");
    let path = scratch.file("t.db");
    let db = in_wal(&path);
    db.store.set_cache_bytes(16 * 4096);
    add(&db, 0..300);
    db.store.begin_write(WriteLock::Immediate).unwrap();
    for rowid in 300..600 {
        db.put(rowid, format!("row {rowid}").as_bytes(), &[1; 600]).unwrap();
    }
    let depth = db.store.open_savepoint().unwrap();
    for rowid in 0..600 {
        db.put(rowid, format!("changed {rowid}").as_bytes(), &[2; 900]).unwrap();
    }
    db.store.rollback_to_savepoint(depth).unwrap();
    assert_eq!(db.rows().count().unwrap(), 600);
    db.store.commit().unwrap();
    db.store.begin_write(WriteLock::Immediate).unwrap();
    for rowid in 0..600 {
        db.put(rowid, b"gone", &[3; 900]).unwrap();
    }
    db.store.rollback().unwrap();
    assert_eq!(count(&db), 600);
    if has_sqlite3() {
        let check = "PRAGMA integrity_check; SELECT count(*) FROM t WHERE b = 'row ' || a";
        assert_eq!(sqlite3(&path, check), "ok\n600");
    }
}
