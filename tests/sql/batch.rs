//! The batch engine against the row engine and sqlite3: the same rows, in the same order, to the bit.

use box_harness::{oracle, scratch};

use super::{bx, reference};

/// Rows of every type in every column, long values, NULLs, rows that are older than a column.
fn data() -> String {
    let mut sql = String::from(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b REAL, c TEXT, d, n TEXT COLLATE NOCASE);
         CREATE TABLE u(k INTEGER, v TEXT, w REAL); CREATE INDEX uk ON u(k);
         CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT); BEGIN;\n",
    );
    let mut state = 42u64;
    let mut next = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for id in 0..4000 {
        let a = match next(20) {
            0 => "NULL".to_owned(),
            1 => format!("'text {}'", next(5)),
            2 => format!("{}.5", next(50)),
            3 => "9223372036854775807".to_owned(),
            _ => next(60).to_string(),
        };
        let b = match next(12) {
            0 => "NULL".to_owned(),
            1 => "'abc'".to_owned(),
            2 => next(9).to_string(),
            _ => format!("{}e{}", next(100_000) as f64 / 7.0, next(12)),
        };
        let c = match next(40) {
            0 => "NULL".to_owned(),
            1 => format!("x'00{:02x}'", next(256)),
            2 => format!("printf('%.*c', {}, 'x')||'special'", 3000 + next(9000)),
            _ => format!("'note {} Special {}'", next(300), next(7)),
        };
        let d = ["NULL", "1", "1.0", "'1'", "x'31'", "0.1", "-0.0"][next(7) as usize];
        let n = ["'A'", "'a'", "'b'", "'B '", "NULL"][next(5) as usize];
        let id = id * 3 - 5000;
        sql += &format!("INSERT INTO t VALUES({id},{a},{b},{c},{d},{n});\n");
    }
    for _ in 0..900 {
        let k = if next(15) == 0 { "NULL".to_owned() } else { next(70).to_string() };
        sql += &format!("INSERT INTO u VALUES({k},'v{}',{}.25);\n", next(40), next(1000));
    }
    for id in 0..60 {
        sql += &format!("INSERT INTO p VALUES({id},'name {}');\n", id % 7);
    }
    sql + "COMMIT; ALTER TABLE t ADD COLUMN later DEFAULT 'since';\n"
}

const QUERIES: &[&str] = &[
    "SELECT count(*), sum(a), total(b), avg(a), min(c), max(c), count(d) FROM t WHERE typeof(a)<>'text'",
    "SELECT hex(total(b)), total(b)*3, avg(b) FROM t",
    "SELECT id, a, b FROM t WHERE a > 10 AND b < 5000 OR d IS NULL",
    "SELECT id FROM t WHERE a = '12' OR a = 12.0 OR b = 3",
    "SELECT n, count(*), sum(id), min(b), max(d) FROM t GROUP BY n",
    "SELECT a, d, count(*), count(DISTINCT c), sum(DISTINCT a) FROM t WHERE a < 9e18 GROUP BY a, d",
    "SELECT d, typeof(d), count(*) FROM t GROUP BY d ORDER BY 3 DESC, 1",
    "SELECT c, max(b), id FROM t WHERE typeof(c)='text' GROUP BY c HAVING count(*) > 2",
    "SELECT min(b), id, c FROM t",
    "SELECT max(id), a FROM t WHERE a IS NOT NULL",
    "SELECT count(*) FROM t WHERE c LIKE '%special%'",
    "SELECT id FROM t WHERE c LIKE 'note 1_%7'",
    "SELECT id, length(c), upper(substr(c, 1, 6)) FROM t WHERE c GLOB '*[12] *'",
    "SELECT id, CASE WHEN a > 30 THEN 'high' WHEN a IS NULL THEN b ELSE -a END FROM t WHERE id % 5 = 0",
    "SELECT id, a + b, a * 2, b / a, a % 7, a & 6, -b, c || d FROM t WHERE typeof(a) = 'integer'",
    "SELECT id FROM t WHERE a IN (1, 2, '3', 4.0) AND d NOT IN ('1', 0.1)",
    "SELECT id FROM t WHERE a IN (SELECT k FROM u WHERE w > 500)",
    "SELECT id, b FROM t ORDER BY b DESC, id LIMIT 15",
    "SELECT id, c FROM t ORDER BY n, d DESC, id DESC LIMIT -1 OFFSET 100",
    "SELECT DISTINCT n, d FROM t",
    "SELECT DISTINCT n COLLATE BINARY FROM t ORDER BY 1 DESC",
    "SELECT id, later FROM t WHERE id BETWEEN -4900 AND -4500",
    "SELECT count(*) FROM t WHERE id > 100",
    "SELECT t.id, p.name FROM t JOIN p ON p.id = t.a WHERE t.b > 10",
    "SELECT p.name, count(*), sum(t.b) FROM t JOIN p ON p.id = t.a GROUP BY 1",
    "SELECT t.id, u.v FROM t JOIN u ON u.k = t.a WHERE t.id % 7 = 0",
    "SELECT count(*), sum(x.w) FROM u x JOIN u y ON x.v = y.v",
    "SELECT t.id, p.name FROM t LEFT JOIN p ON p.id = t.a AND p.name <> 'name 3' WHERE t.id % 11 = 0",
    "SELECT count(*), count(p.id), sum(u.w) FROM t LEFT JOIN p ON p.id = t.a JOIN u ON u.k = p.id + 0",
    "SELECT id, row_number() OVER (PARTITION BY n ORDER BY b, id), sum(id) OVER (ORDER BY id) FROM t",
    "SELECT (SELECT max(w) FROM u WHERE u.k = t.a), id FROM t WHERE id % 97 = 0",
    "SELECT id FROM t WHERE b > (SELECT avg(w) FROM u) AND a < 20",
    "SELECT sum(a) FROM t WHERE a > 9000000000000000000",
];

#[test]
fn batches_give_the_rows_of_the_row_engine_and_of_sqlite3() {
    let Some(sqlite3) = oracle("sqlite3") else { return };
    let folder = scratch();
    let path = folder.path().join("t.db").display().to_string();
    assert_eq!(reference(&sqlite3, &path, &data()).1, "");
    let run = |mode: &str, query: &str| {
        let ran = bx().feed(["sql", &path], format!("PRAGMA box_exec={mode};\n{query};\n"));
        (ran.out(), ran.err())
    };
    for query in QUERIES {
        let batch = run("batch", query);
        assert_eq!(batch, run("row", query), "{query}");
        let other = reference(&sqlite3, &path, &format!("{query};\n")).0;
        // The spelling of doubles is that of another version.
        if !other.contains('.') && batch.1.is_empty() {
            assert_eq!(batch.0, other, "{query}");
        }
    }
}
