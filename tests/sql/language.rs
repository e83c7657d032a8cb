//! The language, part by part: each script's output is what sqlite3 3.40.1 prints, and is compared
//! with the installed one too.

use super::alike::reals;
use super::{bx, reference, sql};
use box_harness::oracle;

/// Runs a script through both shells.
#[track_caller]
fn same(script: &str) {
    let ran = bx().feed(["sql", ":memory:"], script);
    let Some(sqlite3) = oracle("sqlite3") else { return };
    let (out, err) = reference(&sqlite3, ":memory:", script);
    assert_eq!(reals(&ran.out()), reals(&out), "{script}");
    assert_eq!(ran.err(), err, "{script}");
}

const TABLES: &str = "
CREATE TABLE emp(id INTEGER PRIMARY KEY, name TEXT NOT NULL, boss INTEGER, pay REAL, dept TEXT);
INSERT INTO emp VALUES (1,'ann',NULL,10.5,'a'),(2,'bob',1,8,'a'),(3,'cy',1,7.25,'b'),(4,'dee',2,NULL,'b'),(5,'eve',2,3,NULL);
CREATE TABLE dept(code TEXT PRIMARY KEY, title TEXT); INSERT INTO dept VALUES ('a','alpha'),('b','beta'),('c','gamma');
";

#[test]
fn joins() {
    same(&format!(
        "{TABLES}
        SELECT e.name, b.name FROM emp e LEFT JOIN emp b ON b.id = e.boss ORDER BY e.id;
        SELECT name, title FROM emp JOIN dept ON dept = code ORDER BY name;
        SELECT title, count(id) FROM dept LEFT JOIN emp ON dept = code GROUP BY code ORDER BY 1;
        SELECT count(*) FROM emp CROSS JOIN dept;
        SELECT name, title FROM emp RIGHT JOIN dept ON dept = code ORDER BY title, name;
        SELECT name, title FROM emp FULL JOIN dept ON dept = code ORDER BY title, name;
        SELECT * FROM dept NATURAL JOIN (SELECT 'a' AS code, 1 AS one);
        SELECT * FROM dept JOIN (SELECT 'b' AS code, 2 AS two) USING (code);
        SELECT e.name FROM emp e, emp f WHERE e.boss = f.id AND f.pay > 8 ORDER BY 1;"
    ));
}

#[test]
fn groups_and_aggregates() {
    same(&format!(
        "{TABLES}
        SELECT dept, count(*), sum(pay), avg(pay), min(name), max(pay), total(pay) FROM emp GROUP BY dept;
        SELECT dept, group_concat(name, '-') FROM emp GROUP BY dept HAVING count(*) > 1;
        SELECT count(DISTINCT dept), sum(DISTINCT boss) FROM emp;
        SELECT name, max(pay) FROM emp; SELECT name, min(pay) FROM emp GROUP BY dept;
        SELECT count(*), sum(pay) FROM emp WHERE 0; SELECT 1 FROM emp WHERE 0 GROUP BY dept;
        SELECT dept, sum(pay) FILTER (WHERE id > 2) FROM emp GROUP BY 1 ORDER BY 2 DESC;
        SELECT length(name) AS l, count(*) FROM emp GROUP BY l ORDER BY l DESC;
        SELECT sum(9223372036854775807), sum(1.5) FROM emp WHERE id = 1;"
    ));
}

#[test]
fn subqueries_and_compounds() {
    same(&format!(
        "{TABLES}
        SELECT name FROM emp WHERE pay > (SELECT avg(pay) FROM emp) ORDER BY 1;
        SELECT name, (SELECT count(*) FROM emp s WHERE s.boss = e.id) FROM emp e;
        SELECT name FROM emp WHERE dept IN (SELECT code FROM dept WHERE title < 'b');
        SELECT name FROM emp WHERE dept NOT IN (SELECT code FROM dept);
        SELECT name FROM emp e WHERE EXISTS (SELECT 1 FROM emp WHERE boss = e.id);
        SELECT (SELECT sum(e.pay)) FROM emp e;
        SELECT 3 UNION SELECT 1 UNION SELECT 3; SELECT 1 UNION ALL SELECT 1; SELECT 1 EXCEPT SELECT 1;
        SELECT id FROM emp INTERSECT SELECT boss FROM emp ORDER BY 1 DESC LIMIT 1;
        VALUES (1,2),(3,4); SELECT * FROM (VALUES (5),(6)) ORDER BY 1 DESC;
        SELECT (1,2) < (1,3), (1,NULL) = (1,2), (SELECT 1,2) = (1,2);
        WITH a(x) AS (SELECT 1 UNION SELECT 2), b AS (SELECT x*10 AS y FROM a) SELECT * FROM a, b ORDER BY 1, 2;
        WITH RECURSIVE f(n, a, b) AS (SELECT 1, 0, 1 UNION ALL SELECT n+1, b, a+b FROM f WHERE n < 10) SELECT a FROM f;
        WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i*2 FROM t LIMIT 8) SELECT group_concat(i) FROM t;"
    ));
}

#[test]
fn windows() {
    same(&format!(
        "{TABLES}
        SELECT name, row_number() OVER (ORDER BY pay DESC), rank() OVER (ORDER BY dept) FROM emp ORDER BY id;
        SELECT name, sum(pay) OVER (PARTITION BY dept ORDER BY id) FROM emp ORDER BY id;
        SELECT name, lag(name) OVER w, lead(name, 2, '-') OVER w, first_value(name) OVER w FROM emp WINDOW w AS (ORDER BY id) ORDER BY id;
        SELECT id, avg(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM emp;
        SELECT id, ntile(2) OVER (ORDER BY id), percent_rank() OVER (ORDER BY dept), cume_dist() OVER (ORDER BY dept) FROM emp ORDER BY id;
        SELECT id, group_concat(id) OVER (ORDER BY id GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW) FROM emp;"
    ));
}

#[test]
fn constraints_and_conflicts() {
    same("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c NOT NULL DEFAULT 7, CHECK (a < 100), d CHECK(d <> 5));
        INSERT INTO t(a, b) VALUES (1, 'x'); INSERT INTO t(a, b) VALUES (1, 'y'); INSERT INTO t(a,b) VALUES (2, 'x');
        INSERT INTO t VALUES (3, 'z', NULL, 1); INSERT INTO t VALUES (100, 'q', 1, 1); INSERT INTO t VALUES (4, 'd', 1, 5);
        INSERT OR IGNORE INTO t VALUES (1, 'n', 1, 1), (5, 'five', 1, 1);
        INSERT OR REPLACE INTO t VALUES (6, 'x', 2, 2); SELECT * FROM t;
        INSERT OR FAIL INTO t VALUES (7, 's', 1, 1), (6, 'u', 1, 1), (8, 'v', 1, 1); SELECT a FROM t;
        INSERT INTO t VALUES (9, 'w', 1, 1), (6, 'u', 1, 1); SELECT a FROM t;
        REPLACE INTO t(a, b, c) VALUES (5, 'fünf', NULL); SELECT * FROM t;
        INSERT INTO t(a, b) VALUES (5, 'again') ON CONFLICT(a) DO UPDATE SET b = excluded.b || '!', c = c + 1;
        INSERT INTO t(a, b) VALUES (5, 'no') ON CONFLICT DO NOTHING; SELECT * FROM t;
        UPDATE t SET a = a + 1; UPDATE OR REPLACE t SET a = 6 WHERE a = 7; SELECT a, b FROM t;
        INSERT INTO t(a, b) VALUES ('12', 'text key'), (13.0, 'real key') RETURNING a, typeof(a);
        INSERT INTO t(a) VALUES ('x'); DELETE FROM t WHERE a > 10 RETURNING b; SELECT changes(), total_changes();");
}

#[test]
fn transactions_and_savepoints() {
    same("CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES (1); SAVEPOINT x; INSERT INTO t VALUES (2);
        SAVEPOINT y; INSERT INTO t VALUES (3); ROLLBACK TO x; SELECT * FROM t; INSERT INTO t VALUES (4);
        RELEASE x; COMMIT; SELECT * FROM t; BEGIN; DELETE FROM t; CREATE TABLE u(b); ROLLBACK; SELECT * FROM t;
        SELECT * FROM u; COMMIT; ROLLBACK; BEGIN; BEGIN; END; RELEASE nope; SAVEPOINT s; INSERT INTO t VALUES (9);
        ROLLBACK TO s; RELEASE s; SELECT count(*) FROM t;");
}

#[test]
fn triggers_views_and_keys() {
    same("CREATE TABLE t(a, b); CREATE TABLE log(what, old, new);
        CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('i', NULL, new.a); END;
        CREATE TRIGGER u BEFORE UPDATE OF a ON t WHEN new.a > 5 BEGIN INSERT INTO log VALUES ('u', old.a, new.a); END;
        CREATE TRIGGER d AFTER DELETE ON t BEGIN SELECT RAISE(ABORT, 'kept') WHERE old.a = 3; END;
        INSERT INTO t VALUES (1, 2), (3, 4); UPDATE t SET a = a + 4; UPDATE t SET b = 0; UPDATE t SET a = 3 WHERE a = 5;
        DELETE FROM t WHERE a = 7; DELETE FROM t; SELECT * FROM t; SELECT * FROM log;
        CREATE VIEW v(x, y) AS SELECT a, b FROM t WHERE a > 1; SELECT * FROM v WHERE x < 5; DELETE FROM v;
        PRAGMA foreign_keys = ON; CREATE TABLE p(id INTEGER PRIMARY KEY);
        CREATE TABLE c(pid REFERENCES p ON DELETE CASCADE ON UPDATE SET NULL, n);
        INSERT INTO c VALUES (1, 1); INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1, 1), (2, 2), (NULL, 3);
        DELETE FROM p WHERE id = 1; UPDATE p SET id = 9; SELECT * FROM c;");
}

#[test]
fn affinity_collation_and_casts() {
    same("CREATE TABLE t(i INTEGER, t TEXT, r REAL, n NUMERIC, b BLOB, x);
        INSERT INTO t VALUES ('12', 12, '3', '4.0', 5, '6'), ('1x', 1.0, 7, '1e3', 'x', 2.5), (1.0, 1e20, 1, 2.5, x'41', NULL);
        SELECT typeof(i), typeof(t), typeof(r), typeof(n), typeof(b), typeof(x), t, r, n FROM t;
        SELECT count(*) FROM t WHERE i = '12'; SELECT count(*) FROM t WHERE t = 12; SELECT count(*) FROM t WHERE b = '5';
        SELECT 1 = '1', 1 = CAST('1' AS INTEGER), '1' < 2, x'41' > 'z', NULL IS NULL, 9007199254740993 = 9007199254740992.0;
        SELECT CAST('12abc' AS INTEGER), CAST('1.9' AS INTEGER), CAST(1.9 AS TEXT), CAST(x'313233' AS INTEGER), CAST('abc' AS REAL), CAST(1e30 AS INTEGER);
        SELECT 'a' = 'A' COLLATE NOCASE, 'a ' = 'a' COLLATE RTRIM, 'abc' || 1 || 2.5 || NULL, 5 / 2, -5 / 2, 5 % -3, 5.0 / 2, 1 / 0;
        SELECT 9223372036854775807 + 1, -9223372036854775808, 1 << 62, 1 << 64, -1 >> 1, ~5, 'abc' + 1, 3 & '6', 1e15, 1e16, 123456789.123;
        SELECT 1 IN (1, 2), NULL IN (1), 3 IN (1, NULL), 1 NOT IN (), 'b' BETWEEN 'a' AND 'c', 1 IS NOT 2, NOT NULL;");
}

#[test]
fn functions() {
    same("SELECT abs(-3), length('héllo'), upper('aé'), substr('hello', 2, 3), substr('hello', -3), instr('hello', 'l'), replace('aXbX', 'X', '-');
        SELECT trim('  a '), ltrim('xxa', 'x'), rtrim('abb', 'b'), hex('abc'), quote('it''s'), quote(x'00ff'), quote(1.5), quote(NULL), char(72, 105), unicode('é');
        SELECT round(2.5), round(-2.5), round(1234.5678, 2), coalesce(NULL, 2), ifnull(NULL, 'x'), nullif(1, 1), iif(1, 'y', 'n'), max(1, 3, 2), min('b', 'a');
        SELECT 'abc' LIKE 'A%', 'abc' LIKE '_b_', 'a%c' LIKE 'a!%c' ESCAPE '!', 'abc' GLOB 'a*', 'abc' GLOB 'A*', 'x' NOT LIKE 'y';
        SELECT printf('%05d|%-6s|%.3f|%x|%e|%g|%,d|%%|%c|%Q', 42, 'ab', 3.14159, 255, 12345.678, 0.0001, 1234567, 'z', 'q''s');
        SELECT date('2024-02-29', '+1 year'), time('12:34:56', '-90 minutes'), datetime(0, 'unixepoch'), julianday('2000-01-01'), strftime('%Y-%j %W %w', '2023-12-31');
        SELECT typeof(random()), length(randomblob(8)), zeroblob(2) = x'0000', sqrt(16), pow(2, 10), pi() > 3, floor(-1.5), ceil(1.2), sign(-3);
        SELECT nope(1); SELECT abs(); SELECT sum(1, 2); SELECT count(*) WHERE 1;");
}

#[test]
fn errors_name_the_token() {
    same(
        "CREATE TABLE t(a, b);
SELECT FROM t;
SELECT a FROM t WHERE;
SELECT nope FROM t;
SELECT a FROM nope;
SELECT t.a, u.b FROM t;
INSERT INTO t VALUES (1);
INSERT INTO t(a, c) VALUES (1, 2);
CREATE TABLE t(x);
DROP TABLE nope;
SELECT 'open
;
'; SELECT a, FROM t;
SELECT 1 ORDER BY 2;
SELECT a FROM t GROUP BY 3;
SELECT a, b FROM t UNION SELECT a FROM t;
SELECT sum(a) FROM t WHERE sum(a) > 1;
SELECT a FROM t, t AS u;
UPDATE t SET z = 1;
SELECT 12abc;
COMMIT;
CREATE INDEX i ON t(nope);
SELECT (SELECT a, b FROM t);
SELECT * ;
",
    );
}

#[test]
fn schema_changes() {
    same("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x');
        ALTER TABLE t ADD COLUMN c DEFAULT 5; SELECT * FROM t; ALTER TABLE t RENAME COLUMN b TO bb; SELECT bb FROM t;
        CREATE INDEX i ON t(bb); ALTER TABLE t RENAME TO u; SELECT * FROM u; ALTER TABLE u DROP COLUMN c; SELECT * FROM u;
        SELECT name, tbl_name, sql FROM sqlite_schema; CREATE TABLE copy AS SELECT a, bb || '!' AS loud FROM u; SELECT * FROM copy;
        PRAGMA table_info(u); PRAGMA index_list(u); PRAGMA index_info(i); DROP INDEX i; DROP TABLE u; SELECT name FROM sqlite_schema;
        CREATE TEMP TABLE tt(x); INSERT INTO tt VALUES (1); SELECT * FROM temp.tt; ATTACH ':memory:' AS other;
        CREATE TABLE other.o(y); INSERT INTO o VALUES (3); SELECT * FROM other.o, tt; DETACH other; SELECT * FROM o;");
}

#[test]
fn plans_are_worded_as_sqlite3_words_them() {
    same("CREATE TABLE t(a INTEGER PRIMARY KEY, b, c); CREATE INDEX tb ON t(b); CREATE INDEX tbc ON t(c, b); CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID;
        EXPLAIN QUERY PLAN SELECT * FROM t; EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = 1; EXPLAIN QUERY PLAN SELECT * FROM t WHERE a > 1 AND a < 5;
        EXPLAIN QUERY PLAN SELECT * FROM t WHERE b = 1; EXPLAIN QUERY PLAN SELECT b FROM t WHERE c = 1 AND b > 2; EXPLAIN QUERY PLAN SELECT * FROM t ORDER BY b;
        EXPLAIN QUERY PLAN SELECT * FROM t ORDER BY c + 1; EXPLAIN QUERY PLAN SELECT * FROM w WHERE k = 3; EXPLAIN QUERY PLAN SELECT * FROM t AS x, t AS y WHERE x.a = y.b;");
}

#[test]
fn values_are_bytes() {
    assert_eq!(
        sql("SELECT hex(CAST(x'ff41fe' AS TEXT)), length(CAST(x'ff41fe' AS TEXT))"),
        "FF41FE|3\n"
    );
    let ran = bx().feed(["sql", ":memory:"], b"SELECT hex('\xff\xfe');\n".as_slice()).succeeds();
    assert_eq!(ran.out(), "FFFE\n");
}
