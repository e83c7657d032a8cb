//! One file, two programs: what `box` writes sqlite3 accepts and reads, and the other way round.

use box_harness::{oracle, scratch};

use super::{bx, reference};

/// Tables of every kind: rowid and not, indexes of every kind, overflow, all storage classes.
const MANY_ROWS: &str = "
CREATE TABLE r(id INTEGER PRIMARY KEY, t TEXT COLLATE NOCASE, n REAL, b BLOB, UNIQUE(t, n));
CREATE TABLE w(k TEXT, v INTEGER, pad, PRIMARY KEY(k, v DESC)) WITHOUT ROWID;
CREATE TABLE s(x INTEGER PRIMARY KEY AUTOINCREMENT, y);
CREATE INDEX ri ON r(n DESC, t);
CREATE INDEX re ON r(length(b), lower(t));
CREATE INDEX rp ON r(t) WHERE n > 100;
CREATE INDEX wi ON w(pad);
CREATE VIEW big AS SELECT id, t FROM r WHERE n > 500;
BEGIN;
INSERT INTO r SELECT i, 'name ' || (i * 7919 % 5000), i / 4.0, zeroblob(i % 50)
 FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 4000) SELECT i FROM c);
INSERT INTO r VALUES (5000, 'long', 1, zeroblob(100000)), (5001, NULL, NULL, NULL);
INSERT INTO w SELECT t, id, hex(zeroblob(id % 300)) FROM r WHERE id <= 3000;
INSERT INTO s(y) SELECT t FROM r LIMIT 100;
COMMIT;
DELETE FROM r WHERE id % 3 = 0;
UPDATE r SET t = t || '!', n = n + 1 WHERE id % 5 = 0;
UPDATE w SET v = v + 100000 WHERE v % 4 = 0;
DELETE FROM w WHERE v % 7 = 0;
DELETE FROM s WHERE x > 50; INSERT INTO s(y) VALUES ('last');
DROP INDEX rp;
CREATE TABLE gone(a); INSERT INTO gone SELECT t FROM r; DROP TABLE gone;
";

const READ_ALL: &str = ".nullvalue NULL
SELECT id, t, n, hex(b), typeof(t), typeof(n) FROM r ORDER BY id; SELECT * FROM w ORDER BY k, v; SELECT * FROM s;
SELECT count(*) FROM big; SELECT * FROM sqlite_sequence;
SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name;
SELECT id FROM r WHERE t = 'NAME 17' OR n BETWEEN 10 AND 12 ORDER BY n, id;
";

#[test]
fn what_box_writes_sqlite3_reads() {
    let Some(sqlite3) = oracle("sqlite3") else { return };
    for page_size in [512, 1024, 4096, 65536] {
        let dir = scratch();
        let file = dir.path().join("a.db").to_string_lossy().into_owned();
        let script = format!("PRAGMA page_size={page_size};\n{MANY_ROWS}");
        bx().feed(["sql", &file], script).succeeds().stderr("");
        let (check, _) = reference(&sqlite3, &file, "PRAGMA integrity_check; PRAGMA page_size;");
        assert_eq!(check, format!("ok\n{page_size}\n"));
        let (theirs, errors) = reference(&sqlite3, &file, READ_ALL);
        assert_eq!(errors, "");
        bx().feed(["sql", &file], READ_ALL).succeeds().stdout(&theirs);
    }
}

#[test]
fn what_sqlite3_writes_box_reads() {
    let Some(sqlite3) = oracle("sqlite3") else { return };
    for pragma in
        ["encoding='UTF-8'", "encoding='UTF-16le'", "encoding='UTF-16be'", "auto_vacuum=1"]
    {
        let dir = scratch();
        let file = dir.path().join("s.db").to_string_lossy().into_owned();
        let script = format!("PRAGMA {pragma};\n{MANY_ROWS}");
        let (_, errors) = reference(&sqlite3, &file, &script);
        assert_eq!(errors, "");
        let (theirs, _) = reference(&sqlite3, &file, READ_ALL);
        bx().feed(["sql", &file], READ_ALL).succeeds().stderr("").stdout(&theirs);
        bx().run(["sql", &file, "PRAGMA integrity_check"]).succeeds().stdout("ok\n");
        // And writes into it.
        let more = "INSERT INTO r VALUES (9000, 'ümlaut', 2.5, x'01'); DELETE FROM w WHERE v < 50;";
        bx().run(["sql", &file, more]).succeeds().stderr("");
        let (check, _) =
            reference(&sqlite3, &file, "PRAGMA integrity_check; SELECT t FROM r WHERE id=9000;");
        assert_eq!(check, "ok\nümlaut\n", "{pragma}");
    }
}

#[test]
fn a_dump_goes_both_ways() {
    let Some(sqlite3) = oracle("sqlite3") else { return };
    let dir = scratch();
    let file = dir.path().join("a.db").to_string_lossy().into_owned();
    let script = "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT DEFAULT 'x''y', c REAL);
        INSERT INTO t VALUES (1, 'one', 1.5), (2, 'it''s', -0.25), (3, NULL, 1e10), (4, 'a' || char(10) || 'b', 7);
        CREATE INDEX i ON t(b); CREATE VIEW v AS SELECT a FROM t;
        CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t WHERE a < 0; END;";
    bx().feed(["sql", &file], script).succeeds();
    let ours = bx().run(["sql", &file, ".dump"]).succeeds().out();
    let (theirs, _) = reference(&sqlite3, &file, ".dump");
    assert_eq!(ours, theirs);
    let copy = dir.path().join("b.db").to_string_lossy().into_owned();
    bx().feed(["sql", &copy], &theirs).succeeds().stderr("");
    bx().run(["sql", &copy, ".dump"]).succeeds().stdout(&theirs);
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let dir = scratch();
    let file = dir.path().join("text");
    std::fs::write(&file, "root:x:0:0:root:/root:/bin/bash\n".repeat(40)).expect("a file");
    let name = file.to_string_lossy().into_owned();
    bx().run(["sql", &name, "SELECT 1 FROM sqlite_master"])
        .fails(26)
        .stderr("Error: in prepare, file is not a database (26)\n");
    let text = std::fs::read_to_string(&file).expect("the file");
    assert_eq!(text, "root:x:0:0:root:/root:/bin/bash\n".repeat(40));
}

#[test]
fn a_lock_of_sqlite3_is_respected() {
    let Some(sqlite3) = oracle("sqlite3") else { return };
    let dir = scratch();
    let file = dir.path().join("l.db").to_string_lossy().into_owned();
    reference(&sqlite3, &file, "CREATE TABLE t(a);");
    let mut holder = std::process::Command::new(&sqlite3)
        .arg(&file)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("sqlite3 starts");
    let mut stdin = holder.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, b"BEGIN IMMEDIATE;\n.print held\n").expect("a pipe");
    let mut stdout = holder.stdout.take().expect("a pipe");
    // sqlite3 flushes its output at the end only: the journal file tells that it holds the lock.
    box_harness::wait_until("the lock", 10, || {
        bx().run(["sql", &file, "BEGIN IMMEDIATE"]).output.status.code() == Some(5)
    });
    bx().feed(["sql", &file], "SELECT count(*) FROM t;\nINSERT INTO t VALUES (1);\n")
        .fails(1)
        .stdout("0\n")
        .stderr("Runtime error near line 2: database is locked (5)\n");
    drop(stdin);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut rest).expect("a pipe");
    holder.wait().expect("sqlite3 ends");
    bx().run(["sql", &file, "INSERT INTO t VALUES (1)"]).succeeds();
}
