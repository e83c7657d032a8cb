//! The shell: what it prints is what sqlite3 prints.

use box_harness::{oracle, scratch};

use super::{bx, reference};

#[track_caller]
fn same(script: &str) {
    let ran = bx().feed(["sql", ":memory:"], script);
    let Some(sqlite3) = oracle("sqlite3") else { return };
    let (out, err) = reference(&sqlite3, ":memory:", script);
    assert_eq!(ran.out(), out, "{script}");
    assert_eq!(ran.err(), err, "{script}");
}

#[test]
fn sql_comes_from_the_command_line() {
    bx().run(["sql", ":memory:", "select 1+1, 'a'||'b', null"]).succeeds().stdout("2|ab|\n");
    bx().run(["sql", ":memory:", "selec 2"])
        .fails(1)
        .stderr("Error: in prepare, near \"selec\": syntax error\n  selec 2\n  ^--- error here\n");
}

#[test]
fn every_mode_prints_as_sqlite3_prints() {
    for mode in [
        "list",
        "csv",
        "column",
        "table",
        "box",
        "markdown",
        "line",
        "json",
        "html",
        "insert t2",
        "quote",
        "tabs",
        "ascii",
        "tcl",
    ] {
        same(&format!(
            ".mode {mode}\n.headers on\nCREATE TABLE t(a, \"b c\", d);
            INSERT INTO t VALUES (1, 'plain', 2.5), (NULL, 'it''s \"quoted\", <b>', x'00ff'), (-7, 'two' || char(10) || 'lines', 12345678.5), (0, 'é🦀', '');
            SELECT * FROM t; SELECT 1 AS one WHERE 0; SELECT max(a) FROM t;\n"
        ));
    }
}

#[test]
fn dot_commands() {
    same("CREATE TABLE a(x); CREATE TABLE b(y PRIMARY KEY); CREATE VIEW v AS SELECT 1; CREATE INDEX ax ON a(x);
.tables
.schema
.schema a
.indexes
.separator ,
.nullvalue nil
SELECT 1, NULL;
.mode column
SELECT 1 AS wide_name, 'x' AS y;
.print hello world
.nope
");
}

#[test]
fn csv_is_imported() {
    let dir = scratch();
    let file = dir.path().join("in.csv");
    std::fs::write(
        &file,
        "id,name,note\n1,\"a, b\",x\n2,\"say \"\"hi\"\"\",\n3,\"two\nlines\",z\n",
    )
    .expect("a file");
    let name = file.to_string_lossy();
    same(&format!(".mode csv\n.import {name} t\n.mode quote\nSELECT * FROM t;\n.schema\n"));
    same(&format!(
        "CREATE TABLE t(id INTEGER, name, note);\n.import --csv --skip 1 {name} t\nSELECT sum(id), count(*) FROM t;\n"
    ));
}

#[test]
fn a_script_is_read_and_left() {
    let dir = scratch();
    let file = dir.path().join("s.sql");
    std::fs::write(&file, "SELECT 'in the script';\n.quit\nSELECT 'never';\n").expect("a file");
    bx().feed(["sql", ":memory:"], format!(".read {}\n", file.display())).stdout("in the script\n");
    bx().feed(["sql", ":memory:"], "SELECT 1;\n.exit 3\nSELECT 2;\n").fails(3).stdout("1\n");
}

#[test]
fn errors_go_on_and_count() {
    same(
        "SELECT 1;\nselec 2;\nSELECT nope;\nCREATE TABLE t(a UNIQUE);\nINSERT INTO t VALUES(1);\nINSERT INTO t VALUES(1);\nSELECT 3;\n",
    );
    bx().feed(["sql", "-bail", ":memory:"], "SELECT 1;\nselec;\nSELECT 2;\n")
        .fails(1)
        .stdout("1\n");
}

#[test]
fn answers_come_before_the_next_question() {
    use std::io::{BufRead, Write};
    let mut child = bx()
        .command(["sql", ":memory:"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("box starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    for n in 0..5 {
        writeln!(stdin, "SELECT {n};").expect("a pipe");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a pipe");
        assert_eq!(line, format!("{n}\n"));
    }
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}
