//! sqllogictest: the public corpus, fed through the shell. Rules as in SQLite's own runner: `I`
//! prints an integer, `R` three decimals, `T` text; long results are known by their MD5.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use box_harness::{scratch, shared};

use super::bx;

/// What a record expects.
enum Expected {
    Ok,
    Error,
    Rows { types: Vec<u8>, sort: String, lines: Vec<String> },
}

struct Record {
    line: usize,
    sql: String,
    expected: Expected,
}

fn parse(text: &str) -> Vec<Record> {
    let lines: Vec<&str> = text.lines().collect();
    let mut records = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let mut skip = false;
        while let Some(words) =
            lines.get(at).map(|line| line.split_whitespace().collect::<Vec<_>>())
        {
            match words.as_slice() {
                ["skipif", "sqlite", ..] => skip = true,
                ["onlyif", engine, ..] if *engine != "sqlite" => skip = true,
                ["skipif" | "onlyif", ..] => {}
                _ => break,
            }
            at += 1;
        }
        let Some(head) = lines.get(at) else { break };
        let words: Vec<&str> = head.split_whitespace().collect();
        let line = at + 1;
        at += 1;
        let body = |at: &mut usize, stop: &str| {
            let mut sql = String::new();
            while let Some(text) = lines.get(*at).filter(|t| !t.trim().is_empty() && **t != stop) {
                let _ = writeln!(sql, "{text}");
                *at += 1;
            }
            sql
        };
        match words.as_slice() {
            ["halt"] if !skip => break,
            ["statement", kind, ..] => {
                let sql = body(&mut at, "");
                let expected = if *kind == "ok" { Expected::Ok } else { Expected::Error };
                if !skip {
                    records.push(Record { line, sql, expected });
                }
            }
            ["query", types, rest @ ..] => {
                let sql = body(&mut at, "----");
                let mut expected = Vec::new();
                if lines.get(at) == Some(&"----") {
                    at += 1;
                    expected = body(&mut at, "").lines().map(str::to_owned).collect();
                }
                if !skip {
                    let sort = (*rest.first().unwrap_or(&"nosort")).to_owned();
                    let types = types.bytes().collect();
                    let expected = Expected::Rows { types, sort, lines: expected };
                    records.push(Record { line, sql, expected });
                }
            }
            _ => {}
        }
    }
    records
}

/// A printed value as the runner shows it.
fn shown(value: &str, kind: u8) -> String {
    if value == "~NULL~" {
        return "NULL".into();
    }
    let number = || {
        let end = value
            .char_indices()
            .find(|(_, c)| !(c.is_ascii_digit() || ".eE+-".contains(*c)))
            .map_or(value.len(), |(n, _)| n);
        value[..end].parse::<f64>().unwrap_or(0.0)
    };
    match kind {
        b'I' => match value.parse::<i64>() {
            Ok(int) => (int as i32).to_string(),
            Err(_) => (number() as i64 as i32).to_string(),
        },
        b'R' => format!("{:.3}", number()),
        _ if value.is_empty() => "(empty)".into(),
        _ => value.chars().map(|c| if (' '..='~').contains(&c) { c } else { '@' }).collect(),
    }
}

/// The values of a result in the order in which they are compared.
fn values(rows: &[Vec<String>], types: &[u8], sort: &str) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().zip(types).map(|(value, kind)| shown(value, *kind)).collect())
        .collect();
    if sort == "rowsort" {
        rows.sort();
    }
    let mut all: Vec<String> = rows.into_iter().flatten().collect();
    if sort == "valuesort" {
        all.sort();
    }
    all
}

/// The MD5 of each text, by coreutils.
fn md5(texts: &[String]) -> Vec<String> {
    let dir = scratch();
    let mut sums = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        std::fs::write(dir.path().join(format!("{n:06}")), text).expect("a scratch file");
    }
    let names: Vec<String> = (0..texts.len()).map(|n| format!("{n:06}")).collect();
    for names in names.chunks(2000) {
        let ran = Command::new("md5sum").args(names).current_dir(dir.path()).output();
        let ran = ran.expect("md5sum runs");
        sums.extend(String::from_utf8_lossy(&ran.stdout).lines().map(|line| line[..32].to_owned()));
    }
    sums
}

/// Runs one file and fails with the first records that do not hold.
fn run(path: &Path) {
    let text = std::fs::read_to_string(path).expect("a test file");
    let records = parse(&text);
    let mut script = String::from(
        ".mode list\n.headers off\n.separator \"\\037\" \"\\036\\n\"\n.nullvalue ~NULL~\n.bail off\n",
    );
    for (n, record) in records.iter().enumerate() {
        let _ = writeln!(script, ".print @@{n}");
        let _ = writeln!(script, "{};", record.sql.trim_end().trim_end_matches(';'));
    }
    script.push_str(".print @@end\n");
    let dir = scratch();
    let file = dir.path().join("t.db").into_os_string();
    let ran = bx().feed(["sql".into(), file], &script);
    let failed = failed_records(&ran.err(), &script);
    let mut rows: HashMap<usize, Vec<Vec<String>>> = HashMap::new();
    let out = ran.out();
    for piece in out.split("@@").skip(1) {
        let Some((number, body)) = piece.split_once('\n') else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        let found = body
            .split_terminator("\u{1e}\n")
            .map(|row| row.split('\u{1f}').map(str::to_owned).collect())
            .collect();
        rows.insert(number, found);
    }
    let mut broken = Vec::new();
    let mut hashed: Vec<(usize, usize, String)> = Vec::new();
    let mut texts = Vec::new();
    for (n, record) in records.iter().enumerate() {
        let erred = failed.contains(&n);
        match &record.expected {
            Expected::Ok if erred => broken.push(n),
            Expected::Error if !erred => broken.push(n),
            Expected::Rows { types, sort, lines } => {
                let found = rows.get(&n).map(|rows| values(rows, types, sort)).unwrap_or_default();
                let words: Vec<&str> =
                    lines.first().map(|line| line.split(' ').collect()).unwrap_or_default();
                if let [count, "values", "hashing", "to", hash] = words.as_slice() {
                    if count.parse() == Ok(found.len()) {
                        hashed.push((n, texts.len(), (*hash).to_owned()));
                        texts.push(found.iter().fold(String::new(), |all, v| all + v + "\n"));
                    } else {
                        broken.push(n);
                    }
                } else if erred || found != *lines {
                    broken.push(n);
                }
            }
            _ => {}
        }
    }
    let sums = md5(&texts);
    broken.extend(hashed.iter().filter(|(_, at, hash)| sums[*at] != *hash).map(|(n, ..)| *n));
    broken.sort_unstable();
    let list: Vec<String> = broken
        .iter()
        .take(5)
        .map(|n| format!("line {}: {}", records[*n].line, records[*n].sql))
        .collect();
    let count = broken.len();
    assert!(count == 0, "{}: {count} broken\n{}", path.display(), list.join("\n"));
    assert!(!records.is_empty());
}

/// The numbers of the records whose statement was refused: by the line that the message names.
fn failed_records(errors: &str, script: &str) -> Vec<usize> {
    let mut marks = Vec::new();
    for (n, line) in script.lines().enumerate() {
        if let Some(number) = line.strip_prefix(".print @@").and_then(|n| n.parse::<usize>().ok()) {
            marks.push((n + 1, number));
        }
    }
    errors
        .lines()
        .filter_map(|line| {
            let rest = line.split_once("near line ")?.1;
            let line: usize = rest.split(':').next()?.parse().ok()?;
            marks.iter().rev().find(|(at, _)| *at <= line).map(|(_, number)| *number)
        })
        .collect()
}

macro_rules! corpus {
    ($($name:ident $path:literal)*) => {
        $(
            #[test]
            fn $name() {
                if let Some(path) = shared(concat!("sql/slt/", $path)) {
                    run(&path);
                }
            }
        )*
    };
}

corpus! {
    select1 "select1.test"
    select2 "select2.test"
    select3 "select3.test"
    select4 "select4.test"
    evidence_in1 "evidence/in1.test"
    evidence_in2 "evidence/in2.test"
    evidence_update "evidence/slt_lang_update.test"
    evidence_replace "evidence/slt_lang_replace.test"
    evidence_trigger "evidence/slt_lang_createtrigger.test"
    evidence_view "evidence/slt_lang_createview.test"
    evidence_reindex "evidence/slt_lang_reindex.test"
}
