//! A disk that fails at every call, and power that goes at every call.

use super::*;
use crate::pager::{JournalMode, Synchronous};
use crate::vfs::{Fault, Result};

const NAME: &str = "/t.db";

fn open(disk: &Fault) -> Result<Indexed> {
    let store = Store::open_on(disk.vfs(), Path::new(NAME), &OpenOptions::default())?;
    Ok(Indexed { store, table: 2, index: 3 })
}

/// A small database in that journal mode, all of it durable.
fn base(mode: JournalMode) -> Vec<u8> {
    let disk = Fault::default();
    let store = Store::open_on(disk.vfs(), Path::new(NAME), &OpenOptions::default()).unwrap();
    store.set_page_size(512, 0);
    let db = Indexed::create(store);
    assert_eq!(db.store.set_journal_mode(mode).unwrap(), mode);
    step(&db, 0).unwrap();
    drop(db);
    disk.bytes(Path::new(NAME)).unwrap()
}

/// One transaction: `n` is what every row of it says.
fn step(db: &Indexed, n: i64) -> Result<()> {
    db.store.begin_write(WriteLock::Immediate)?;
    for rowid in 0..24 {
        let text = format!("{n:04} of row {rowid}");
        db.put(rowid, text.as_bytes(), &[n as u8; 150])?;
    }
    for rowid in 100 + n * 10..110 + n * 10 {
        db.put(rowid, format!("{n:04}").as_bytes(), &[9; 1200])?;
    }
    if n % 2 == 1 {
        for rowid in 100 + (n - 1) * 10..110 + (n - 1) * 10 {
            db.remove(rowid)?;
        }
    }
    db.store.commit()
}

/// The number of the last transaction; all rows must agree on it.
fn state(db: &Indexed) -> i64 {
    db.store.begin_read().unwrap();
    assert_eq!(db.store.integrity_check(&[2, 3], 5).unwrap(), Vec::<String>::new());
    let mut rows = db.rows();
    let mut said = Vec::new();
    for rowid in 0..24 {
        assert!(rows.seek_rowid(rowid, Seek::Eq).unwrap());
        match rows.column(1).unwrap() {
            Some(Field::Text(text)) => {
                said.push(String::from_utf8_lossy(&text[..4]).parse::<i64>().unwrap());
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(said.iter().all(|n| *n == said[0]), "{said:?}");
    let n = said[0];
    assert!(rows.seek_rowid(105 + n * 10, Seek::Eq).unwrap());
    assert!(rows.payload_len().unwrap() > 1200);
    assert!(!rows.seek_rowid(105 + (n + 1) * 10, Seek::Eq).unwrap());
    db.store.end_read();
    n
}

fn prepare(disk: &Fault, mode: JournalMode, level: Synchronous, spills: bool) -> Result<Indexed> {
    let db = open(disk)?;
    if mode != JournalMode::Wal {
        db.store.set_journal_mode(mode)?;
    }
    db.store.set_synchronous(level);
    db.store.set_wal_autocheckpoint(40);
    if spills {
        db.store.set_cache_bytes(16 * 512);
    }
    Ok(db)
}

const MODES: [JournalMode; 4] =
    [JournalMode::Delete, JournalMode::Truncate, JournalMode::Persist, JournalMode::Wal];

/// Every call fails once: an error, a rollback, and the file is as before or as after.
#[test]
fn an_error_at_any_call_harms_nothing() {
    for mode in MODES {
        let bytes = base(mode);
        for spills in [false, true] {
            for nth in 1.. {
                let disk = Fault::default();
                disk.put(Path::new(NAME), &bytes);
                disk.fail_at(nth, nth % 3 == 0);
                let mut acknowledged = 0;
                let db = prepare(&disk, mode, Synchronous::Full, spills);
                if let Ok(db) = &db {
                    for n in 1..=2 {
                        match step(db, n) {
                            Ok(()) => acknowledged = n,
                            Err(_) => {
                                let _ = db.store.rollback();
                                break;
                            }
                        }
                    }
                }
                let failed = disk.has_failed();
                disk.disarm();
                if let Ok(db) = &db {
                    // The same connection goes on.
                    let n = state(db);
                    assert!(n >= acknowledged, "{mode:?} call {nth}: {n} after {acknowledged}");
                    step(db, n + 1).unwrap();
                }
                drop(db);
                let n = state(&open(&disk).unwrap());
                assert!(n >= acknowledged, "{mode:?} call {nth}: {n} after {acknowledged}");
                if !failed {
                    break;
                }
            }
        }
    }
}

fn lose_power(mode: JournalMode, level: Synchronous, spills: bool, seeds: u64) -> u32 {
    let bytes = base(mode);
    let mut rounds = 0;
    for nth in 1.. {
        let disk = Fault::default();
        disk.put(Path::new(NAME), &bytes);
        disk.cut_power_at(nth);
        let mut acknowledged = 0;
        let mut begun = 0;
        let db = prepare(&disk, mode, level, spills);
        if let Ok(db) = &db {
            for n in 1..=3 {
                begun = n;
                if step(db, n).is_err() {
                    break;
                }
                acknowledged = n;
            }
        }
        let failed = disk.has_failed();
        for seed in 1..=seeds {
            let after = disk.power_on(nth * 7919 + seed * 104_729);
            let n = state(&open(&after).unwrap());
            assert!(n <= begun);
            // With FULL the deletion of the journal is not waited for, and NORMAL does not wait for
            // the log: the last commits may be undone, whole.
            let is_strict = match mode {
                JournalMode::Delete => level == Synchronous::Extra,
                JournalMode::Wal => level >= Synchronous::Full,
                _ => level >= Synchronous::Full,
            };
            let least = if is_strict {
                acknowledged
            } else if mode == JournalMode::Wal {
                0
            } else {
                acknowledged - 1
            };
            assert!(n >= least, "{mode:?} {level:?} call {nth} seed {seed}: {n} < {least}");
            rounds += 1;
        }
        drop(db);
        if !failed {
            break;
        }
    }
    rounds
}

#[test]
fn a_power_loss_at_any_call_loses_no_commit() {
    let mut rounds = 0;
    for mode in MODES {
        rounds += lose_power(mode, Synchronous::Full, false, 3);
        rounds += lose_power(mode, Synchronous::Extra, true, 2);
    }
    rounds += lose_power(JournalMode::Wal, Synchronous::Normal, false, 2);
    eprintln!("{rounds} power losses");
    assert!(rounds > 1000);
}
