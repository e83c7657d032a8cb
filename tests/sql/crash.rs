//! kill -9 in a loop of commits: the file stays whole, and every commit that was acknowledged is in
//! it.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use box_harness::{oracle, scratch};

use super::{bx, reference};

/// Feeds transactions until the process is killed after `kill_at` of them; the last acknowledged.
fn killed_run(file: &str, kill_at: usize, first: usize) -> usize {
    let mut command = bx().command(["sql", file]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("box starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut acknowledged = first;
    for n in 0..kill_at {
        let tx = first + n + 1;
        let mut text = String::from("BEGIN;\n");
        for row in 0..20 {
            text.push_str(&format!(
                "INSERT INTO r VALUES ({tx}, {row}, hex(zeroblob({})));\n",
                row * 13 % 200
            ));
        }
        text.push_str(&format!("INSERT INTO s VALUES ({tx}, 20);\nCOMMIT;\nSELECT {tx};\n"));
        if n + 1 == kill_at {
            // Killed somewhere within the last one.
            let half = text.len() * (first % 7 + 1) / 8;
            stdin.write_all(&text.as_bytes()[..half]).expect("a pipe");
            stdin.flush().expect("a pipe");
            child.kill().expect("it runs");
            break;
        }
        stdin.write_all(text.as_bytes()).expect("a pipe");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a pipe");
        acknowledged = line.trim().parse().expect("the number of the transaction");
        if (n + first) % 5 == 4 {
            child.kill().expect("it runs");
            break;
        }
    }
    child.wait().expect("it has ended");
    acknowledged
}

#[test]
fn killed_writers_lose_no_acknowledged_commit() {
    let Some(sqlite3) = oracle("sqlite3") else { return };
    for mode in ["delete", "truncate", "persist", "wal"] {
        let dir = scratch();
        let file = dir.path().join("k.db").to_string_lossy().into_owned();
        let schema = format!(
            "PRAGMA journal_mode={mode};
             CREATE TABLE r(tx INTEGER, n INTEGER, pad TEXT); CREATE INDEX ri ON r(pad, n);
             CREATE TABLE s(tx INTEGER PRIMARY KEY, cnt INTEGER);"
        );
        bx().feed(["sql", &file], schema).succeeds();
        let mut last = 0;
        for loop_no in 0..12 {
            last = killed_run(&file, 2 + loop_no % 6, last);
            let check = format!(
                "PRAGMA integrity_check;
                 SELECT count(*) FROM s WHERE tx <= {last};
                 SELECT count(*) FROM s WHERE cnt <> (SELECT count(*) FROM r WHERE r.tx = s.tx);
                 SELECT max(tx) FROM s;"
            );
            let (out, errors) = reference(&sqlite3, &file, &check);
            assert_eq!(errors, "", "{mode}");
            let lines: Vec<&str> = out.lines().collect();
            assert_eq!(lines[0], "ok", "{mode}, loop {loop_no}");
            assert_eq!(lines[1], last.to_string(), "{mode}: a commit is lost, loop {loop_no}");
            assert_eq!(lines[2], "0", "{mode}: half a transaction, loop {loop_no}");
            let ours = bx().feed(["sql", &file], check).succeeds().out();
            assert_eq!(ours, out, "{mode}");
            last = lines[3].parse().unwrap_or(last);
        }
    }
}
