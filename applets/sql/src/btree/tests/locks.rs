//! Locks and hot journals, with the sqlite3 program on the other side.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use super::*;
use crate::pager::JournalMode;
use crate::vfs::Error;

/// A sqlite3 that is talked to line by line.
pub struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    pub fn open(path: &Path) -> Shell {
        let mut child = Command::new("stdbuf")
            .args(["-oL", "sqlite3", "-batch"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Shell { child, input, output: BufReader::new(output) }
    }

    /// Runs SQL; what it printed comes back.
    pub fn run(&mut self, sql: &str) -> Vec<String> {
        writeln!(self.input, "{sql}\nSELECT '--done--';").unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "sqlite3 is gone: {sql}");
            if line.trim_end() == "--done--" {
                return lines;
            }
            lines.push(line.trim_end().to_owned());
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn is_busy<T>(result: crate::vfs::Result<T>) -> bool {
    matches!(result, Err(Error::Busy))
}

#[test]
fn locks_exclude_sqlite3_and_are_excluded_by_it() {
    if !has_sqlite3() {
        return;
    }
    let scratch = Scratch::new("locks");
    let path = scratch.file("t.db");
    let db = Indexed::create(Store::open(&path, &OpenOptions::default()).unwrap());
    let mut shell = Shell::open(&path);
    let failing = "INSERT INTO t VALUES(NULL, 'x', 'y');\nSELECT changes();";

    // Ours RESERVED: it reads, but cannot write.
    db.store.begin_write(WriteLock::Immediate).unwrap();
    assert_eq!(shell.run("SELECT count(*) FROM t;"), ["0"]);
    assert_eq!(shell.run(failing), ["0"]);
    // Ours EXCLUSIVE: it cannot even read.
    db.store.begin_write(WriteLock::Exclusive).unwrap();
    assert_eq!(shell.run("SELECT count(*) FROM t;"), [""; 0]);
    db.put(1, b"one", b"1").unwrap();
    db.store.commit().unwrap();
    assert_eq!(shell.run("SELECT a, b FROM t;"), ["1|one"]);

    // Its RESERVED.
    shell.run("BEGIN IMMEDIATE; INSERT INTO t VALUES(2, 'two', '2');");
    db.store.begin_read().unwrap();
    assert_eq!(db.rows().count().unwrap(), 1);
    assert!(is_busy(db.store.begin_write(WriteLock::Immediate)));
    // Our SHARED stops its commit; its commit attempt (PENDING) stops new readers.
    shell.run("COMMIT;");
    let other = Store::open(&path, &OpenOptions::default()).unwrap();
    assert!(is_busy(other.begin_read()));
    db.store.end_read();
    shell.run("COMMIT;");
    db.store.begin_read().unwrap();
    assert_eq!(db.rows().count().unwrap(), 2);
    db.store.end_read();

    // Its SHARED stops our commit, which can be tried again.
    shell.run("BEGIN; SELECT count(*) FROM t;");
    db.store.begin_write(WriteLock::Immediate).unwrap();
    db.put(3, b"three", b"3").unwrap();
    assert!(is_busy(db.store.commit()));
    assert!(db.store.in_write());
    shell.run("COMMIT;");
    db.store.commit().unwrap();
    assert_eq!(shell.run("PRAGMA integrity_check; SELECT count(*) FROM t;"), ["ok", "3"]);
}

#[test]
fn two_connections_of_one_process_exclude_each_other() {
    let scratch = Scratch::new("twins");
    let path = scratch.file("t.db");
    let db = Indexed::create(Store::open(&path, &OpenOptions::default()).unwrap());
    let other = Store::open(&path, &OpenOptions::default()).unwrap();
    db.store.begin_write(WriteLock::Immediate).unwrap();
    assert!(is_busy(other.begin_write(WriteLock::Immediate)));
    other.begin_read().unwrap();
    other.end_read();
    drop(other);
    // A close elsewhere has dropped nothing.
    let third = Store::open(&path, &OpenOptions::default()).unwrap();
    assert!(is_busy(third.begin_write(WriteLock::Immediate)));
    let calls = std::rc::Rc::new(std::cell::Cell::new(0));
    let seen = std::rc::Rc::clone(&calls);
    third.set_busy_handler(Some(Box::new(move |n| {
        seen.set(n + 1);
        n < 4
    })));
    assert!(is_busy(third.begin_write(WriteLock::Immediate)));
    assert_eq!(calls.get(), 5);
    third.set_busy_timeout(Duration::from_millis(5));
    assert!(is_busy(third.begin_write(WriteLock::Immediate)));
}

/// Leaves the file as a process that dies between the database write and the journal's end.
fn leave_hot_journal(path: &Path, by_sqlite3: bool) {
    let journal = PathBuf::from(format!("{}-journal", path.display()));
    let saved = PathBuf::from(format!("{}-saved", path.display()));
    if by_sqlite3 {
        let mut shell = Shell::open(path);
        shell.run("PRAGMA cache_size=5; PRAGMA cache_spill=1; BEGIN IMMEDIATE;");
        shell.run("UPDATE t SET c = zeroblob(2000);");
        shell.run("INSERT INTO t SELECT a+5000, b, zeroblob(900) FROM t;");
        std::fs::copy(&journal, &saved).unwrap();
        let database = std::fs::read(path).unwrap();
        drop(shell);
        std::fs::write(path, database).unwrap();
    } else {
        let store = Store::open(path, &OpenOptions::default()).unwrap();
        store.set_cache_bytes(16 * 4096);
        let db = Indexed { store, table: 2, index: 3 };
        db.store.begin_write(WriteLock::Immediate).unwrap();
        for rowid in 0..400 {
            db.put(rowid, b"changed", &[1; 2000]).unwrap();
        }
        std::fs::copy(&journal, &saved).unwrap();
        let database = std::fs::read(path).unwrap();
        drop(db);
        std::fs::write(path, database).unwrap();
    }
    std::fs::rename(saved, journal).unwrap();
}

#[test]
fn hot_journals_are_played_back_by_either() {
    if !has_sqlite3() {
        return;
    }
    for (by_sqlite3, read_by_sqlite3) in [(true, false), (false, true), (false, false)] {
        let scratch = Scratch::new("hot");
        let path = scratch.file("t.db");
        let db = Indexed::create(Store::open(&path, &OpenOptions::default()).unwrap());
        db.store.begin_write(WriteLock::Immediate).unwrap();
        for rowid in 0..500 {
            db.put(rowid, format!("{rowid}").as_bytes(), &[0; 200]).unwrap();
        }
        db.store.commit().unwrap();
        drop(db);
        let check = "PRAGMA integrity_check; SELECT count(*), sum(length(c)) FROM t;";
        leave_hot_journal(&path, by_sqlite3);
        if !read_by_sqlite3 {
            let store = Store::open(&path, &OpenOptions::default()).unwrap();
            let db = Indexed { store, table: 2, index: 3 };
            db.store.begin_read().unwrap();
            assert_eq!(db.rows().count().unwrap(), 500);
            assert_eq!(db.store.integrity_check(&[2, 3], 9).unwrap(), Vec::<String>::new());
            db.store.end_read();
            assert!(!PathBuf::from(format!("{}-journal", path.display())).exists());
        }
        assert_eq!(sqlite3(&path, check), "ok\n500|100000");
    }
}

#[test]
fn journals_end_as_their_mode_says() {
    let scratch = Scratch::new("modes");
    let path = scratch.file("t.db");
    let journal = PathBuf::from(format!("{}-journal", path.display()));
    let db = Indexed::create(Store::open(&path, &OpenOptions::default()).unwrap());
    let mut rowid = 0;
    for mode in [
        JournalMode::Truncate,
        JournalMode::Persist,
        JournalMode::Memory,
        JournalMode::Off,
        JournalMode::Delete,
    ] {
        assert_eq!(db.store.set_journal_mode(mode).unwrap(), mode);
        for commits in [true, true, false, true] {
            rowid += 1;
            db.store.begin_write(WriteLock::Immediate).unwrap();
            db.put(rowid, b"b", b"c").unwrap();
            if commits {
                db.store.commit().unwrap();
            } else {
                db.store.rollback().unwrap();
                rowid -= 1;
            }
        }
        match mode {
            JournalMode::Truncate => assert_eq!(std::fs::metadata(&journal).unwrap().len(), 0),
            JournalMode::Persist => {
                assert_eq!(std::fs::read(&journal).unwrap()[..28], [0; 28]);
            }
            _ => assert!(!journal.exists(), "{mode:?}"),
        }
        if has_sqlite3() {
            let check = "PRAGMA integrity_check; SELECT count(*) FROM t";
            assert_eq!(sqlite3(&path, check), format!("ok\n{rowid}"));
        }
    }
}
