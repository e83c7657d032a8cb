//! The same seeded random SQL through `box sql` and sqlite3: every statement's rows and errors are
//! compared, then the file that `box` wrote is checked and read by sqlite3.

use std::fmt::Write as _;

use box_harness::{oracle, scratch};

use super::alike::reals;
use super::{bx, reference};

/// xorshift64*: the same sequence on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

const VALUES: &[&str] = &[
    "NULL",
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "10",
    "255",
    "-128",
    "1.5",
    "2.0",
    "-0.25",
    "1e10",
    "'a'",
    "'b'",
    "'A'",
    "'abc'",
    "''",
    "' 5'",
    "'10'",
    "'1.5'",
    "'x y'",
    "x'00ff'",
    "x''",
    "'é'",
    "9223372036854775807",
    "-9223372036854775808",
];
const COLUMNS: &[&str] = &["a", "b", "c", "d"];
const OPERATORS: &[&str] = &["=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT"];

fn expr(random: &mut Random, depth: u32) -> String {
    if depth == 0 {
        return if random.below(3) == 0 {
            random.pick(VALUES).to_owned()
        } else {
            format!("t1.{}", random.pick(COLUMNS))
        };
    }
    let sub = |random: &mut Random| expr(random, depth - 1);
    let (l, r) = (sub(random), sub(random));
    match random.below(14) {
        0..=2 => format!("({l} {} {r})", random.pick(OPERATORS)),
        3 => format!("({l} {} {r})", random.pick(&["+", "-", "*", "&", "|"])),
        4 => format!("({l} || {r})"),
        5 => format!("({l} AND {r})"),
        6 => format!("({l} OR {r})"),
        7 => format!("(NOT {l})"),
        8 => format!("coalesce({l}, {r})"),
        9 => format!("CASE WHEN {l} THEN {r} ELSE {} END", random.pick(VALUES)),
        10 => format!("({l} IN ({r}, {}, {}))", random.pick(VALUES), random.pick(VALUES)),
        11 => format!("({l} BETWEEN {r} AND {})", random.pick(VALUES)),
        12 => format!("typeof({l})"),
        _ => format!("(({l}) IS NULL)"),
    }
}

fn query(random: &mut Random) -> String {
    let filter = expr(random, 2);
    let value = expr(random, 2);
    match random.below(8) {
        0 => format!("SELECT a, b, c, d FROM t1 WHERE {filter} ORDER BY 1, 2, 3, 4"),
        // Of values that are equal, 1 and 1.0, either may be shown: they are compared as text.
        1 => format!("SELECT DISTINCT CAST({value} AS TEXT) FROM t1 ORDER BY 1"),
        2 => {
            format!("SELECT count(*), min(c), max(d) FROM t1 WHERE {filter} GROUP BY b ORDER BY b")
        }
        3 => format!(
            "SELECT t1.a, CAST(t2.b AS TEXT) FROM t1 {} JOIN t2 ON t1.b = t2.b WHERE {filter} ORDER BY 1, 2, t2.a",
            random.pick(&["", "LEFT"])
        ),
        4 => format!("SELECT count(*) FROM t1, t2 WHERE t1.a = t2.a AND {filter}"),
        5 => format!(
            "SELECT CAST({value} AS TEXT) FROM t1 {} SELECT CAST(b AS TEXT) FROM t2 ORDER BY 1",
            random.pick(&["UNION", "UNION ALL", "EXCEPT", "INTERSECT"])
        ),
        6 => format!("SELECT a FROM t1 WHERE b IN (SELECT b FROM t2) AND {filter} ORDER BY 1"),
        _ => format!(
            "SELECT a, (SELECT count(*) FROM t2 WHERE t2.b = t1.b) FROM t1 WHERE {filter} ORDER BY 1"
        ),
    }
}

fn change(random: &mut Random) -> String {
    let row = |random: &mut Random| {
        let values: Vec<&str> = (0..3).map(|_| random.pick(VALUES)).collect();
        values.join(", ")
    };
    let or = random.pick(&["", "", "OR IGNORE", "OR REPLACE"]);
    let table = random.pick(&["t1", "t2"]);
    match random.below(8) {
        0..=3 => {
            let key = random.below(40);
            format!("INSERT {or} INTO {table} VALUES ({key}, {})", row(random))
        }
        4 => format!(
            "UPDATE {or} {table} SET {} = {} WHERE a % {} = 1",
            random.pick(&COLUMNS[1..]),
            random.pick(VALUES),
            2 + random.below(5)
        ),
        5 => format!("DELETE FROM {table} WHERE a = {}", random.below(40)),
        6 => "SAVEPOINT s; INSERT INTO t2 VALUES (99, 1, 2, 3); ROLLBACK TO s; RELEASE s".into(),
        _ => format!("BEGIN; DELETE FROM {table}; ROLLBACK"),
    }
}

fn script(seed: u64) -> String {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let types = ["INTEGER", "TEXT", "REAL", "NUMERIC", "BLOB", "", "VARCHAR(9)"];
    let mut column = |name: &str| {
        let kind = random.pick(&types);
        let extra = random.pick(&["", "", "", "COLLATE NOCASE"]);
        format!("{name} {kind} {extra}")
    };
    // Nothing is synced: this test is of results, not of crashes.
    let mut text = String::from(".nullvalue NULL\nPRAGMA synchronous = OFF;\n");
    for table in ["t1", "t2"] {
        let (b, c, d) = (column("b"), column("c"), column("d"));
        let _ = writeln!(text, "CREATE TABLE {table}(a INTEGER PRIMARY KEY, {b}, {c}, {d});");
    }
    let index =
        random.pick(&["CREATE INDEX i1 ON t1(b);", "CREATE UNIQUE INDEX i1 ON t1(b, c);", ""]);
    let _ = writeln!(text, "{index}\nCREATE INDEX i2 ON t2(c DESC, b);");
    for n in 0..120 {
        let statement =
            if n < 40 || random.below(4) == 0 { change(&mut random) } else { query(&mut random) };
        let _ = writeln!(text, ".print #{n}\n{statement};");
    }
    text
}

#[test]
fn random_sql_gives_what_sqlite3_gives() {
    let Some(sqlite3) = oracle("sqlite3") else { return };
    let dir = scratch();
    for seed in 1..=300 {
        let text = script(seed);
        let file = dir.path().join(format!("{seed}.db"));
        let other = dir.path().join(format!("{seed}-s.db"));
        let name = file.to_string_lossy().into_owned();
        let ran = bx().feed(["sql", &name], &text);
        let (out, err) = reference(&sqlite3, &other.to_string_lossy(), &text);
        assert_eq!(ran.err(), err, "messages of seed {seed}\n{text}");
        let (ours, theirs) = (reals(&ran.out()), reals(&out));
        for (ours, theirs) in ours.split(".print").zip(theirs.split(".print")) {
            assert_eq!(ours, theirs, "results of seed {seed}\n{text}");
        }
        assert_eq!(ours, theirs, "results of seed {seed}");
        // What was stored is the same however it is shown: sqlite3 reads both files.
        let (check, _) = reference(&sqlite3, &name, "PRAGMA integrity_check;");
        assert_eq!(check, "ok\n", "seed {seed}");
        let all = "SELECT * FROM t1 ORDER BY a; SELECT * FROM t2 ORDER BY a;";
        let (left, _) = reference(&sqlite3, &name, all);
        let (right, _) = reference(&sqlite3, &other.to_string_lossy(), all);
        assert_eq!(left, right, "the files of seed {seed}\n{text}");
    }
}
