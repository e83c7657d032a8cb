#!/usr/bin/env bash
# Alternates `box sql` and sqlite3 on the same work and prints the ratio of their CPU time (user and
# system, the best of the runs): below 1 box is cheaper.
#
#   bench/sql.sh ./box [RUNS] [ROWS]
set -euo pipefail
BOX=${1:?usage: bench/sql.sh BOX [RUNS] [ROWS]}
RUNS=${2:-3}
ROWS=${3:-300000}
PEER=${PEER:-sqlite3}
exec python3 - "$BOX" "$PEER" "$RUNS" "$ROWS" <<'PY'
import os, shutil, subprocess, sys, tempfile
box, peer, runs, rows = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
d = tempfile.mkdtemp(prefix='box-bench-')
data = os.path.join(d, 'data.db')
schema = f"""
CREATE TABLE cust(c_id INTEGER PRIMARY KEY, c_name TEXT, c_region TEXT);
CREATE TABLE fact(f_id INTEGER PRIMARY KEY, f_cust INTEGER, f_qty INTEGER, f_price REAL, f_flag TEXT, f_note TEXT);
BEGIN;
INSERT INTO cust SELECT i, 'Customer#'||i, substr('ABCDE', 1+i%5, 1) FROM
 (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000) SELECT i FROM n);
INSERT INTO fact SELECT i, 1+(i*48271)%5000, i%50, (i*7919%100000)/4.0, substr('ANR', 1+i%3, 1),
 'note '||(i*2654435761%100003)||' carefully final deposits' FROM
 (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<{rows}) SELECT i FROM n);
COMMIT; CREATE INDEX f_c ON fact(f_cust);
"""
subprocess.run([peer, data], input=schema.encode(), check=True)
cases = [
 ('insert in one transaction', True, "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c TEXT); BEGIN;\n" +
   ''.join(f"INSERT INTO t VALUES({i},{i*7%1000},'text value {i}');\n" for i in range(rows // 6)) + "COMMIT; SELECT count(*) FROM t;"),
 ('create index', True, None),
 ('point select', False, ''.join(f"SELECT f_qty FROM fact WHERE f_id={1+i*7919%rows};\n" for i in range(rows // 10))),
 ('index look-ups', False, ''.join(f"SELECT sum(f_qty) FROM fact WHERE f_cust={1+i*17%5000};\n" for i in range(1000))),
 ('filter and sum', False, "SELECT sum(f_qty), count(*) FROM fact WHERE f_price > 5000 AND f_qty < 24;"),
 ('group, few', False, "SELECT f_flag, sum(f_qty), avg(f_price), count(*) FROM fact GROUP BY f_flag;"),
 ('group, many', False, "SELECT count(*), sum(s) FROM (SELECT f_cust, sum(f_qty) s FROM fact GROUP BY f_cust);"),
 ('join and group', False, "SELECT c_region, count(*), sum(f_qty) FROM fact JOIN cust ON c_id=f_cust GROUP BY 1;"),
 ('join without index', False, "SELECT count(*) FROM cust a JOIN cust b ON a.c_name = b.c_name;"),
 ('sort', False, "SELECT count(*) FROM (SELECT f_id, f_note FROM fact ORDER BY f_note LIMIT -1 OFFSET 1);"),
 ('top 10', False, "SELECT f_id FROM fact ORDER BY f_price DESC, f_id LIMIT 10;"),
 ('like', False, "SELECT count(*) FROM fact WHERE f_note LIKE '%99%final%';"),
 ('count distinct', False, "SELECT count(DISTINCT f_note) FROM fact;"),
 ('recursive', False, f"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<{rows}) SELECT sum(x%7) FROM c;"),
 ('print all', False, "SELECT f_id, f_cust, f_price, f_note FROM fact;"),
]
def run(command, db, sql):
    out = os.path.join(d, 'out')
    with open(out, 'wb') as f, tempfile.TemporaryFile() as i:
        i.write(sql.encode()); i.seek(0)
        p = subprocess.Popen(command + [db], stdin=i, stdout=f)
        _, _, use = os.wait4(p.pid, 0)
    return use.ru_utime + use.ru_stime, use.ru_maxrss, open(out, 'rb').read()
print('%-28s %9s %9s %7s %9s' % ('case', 'box ms', 'peer ms', 'ratio', 'memory'))
for name, fresh, sql in cases:
    best = {}
    for _ in range(runs):
        answers = []
        for key, command in (('box', [box, 'sql']), ('peer', [peer])):
            db = data
            if fresh:
                db = os.path.join(d, 'w.db')
                if os.path.exists(db): os.unlink(db)
                if sql is None: shutil.copy(data, db)
            cpu, rss, out = run(command, db, sql or "CREATE INDEX x ON fact(f_note, f_qty);")
            old = best.get(key, (9e9, 9e9)); best[key] = (min(old[0], cpu), min(old[1], rss))
            answers.append(out)
        if answers[0] != answers[1]: name += ' DIFFERENT'
    b, p = best['box'], best['peer']
    print('%-28s %9.1f %9.1f %7.2f %9.2f' % (name[:28], b[0]*1e3, p[0]*1e3, b[0]/max(p[0], 1e-4), b[1]/p[1]))
shutil.rmtree(d)
PY
