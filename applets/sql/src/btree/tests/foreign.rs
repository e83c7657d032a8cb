//! Files that sqlite3 wrote.

use super::*;

fn schema_roots(store: &Store) -> Vec<(String, PageNo)> {
    let mut schema = store.cursor(1, TreeKind::Table).unwrap();
    let mut roots = Vec::new();
    let mut more = schema.first().unwrap();
    while more {
        let name = match schema.column(1).unwrap() {
            Some(Field::Text(name)) => store.encoding().unwrap().decode(name).into_owned(),
            other => panic!("{other:?}"),
        };
        if let Some(Field::Int(root)) = schema.column(3).unwrap()
            && root > 0
        {
            roots.push((String::from_utf8(name).unwrap(), root as PageNo));
        }
        more = schema.next().unwrap();
    }
    roots
}

const FILL: &str = "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c BLOB);
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<1500)
    INSERT INTO t SELECT x*7, 'row ' || x, zeroblob(CASE WHEN x%100=0 THEN x*10 ELSE x%50 END) FROM n;
    CREATE INDEX i ON t(b);
    CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    INSERT INTO w SELECT b, a FROM t;
    DELETE FROM t WHERE a % 5 = 0; DELETE FROM w WHERE v % 5 = 0;";

#[test]
fn files_of_sqlite3_read_equal() {
    if !has_sqlite3() {
        return;
    }
    let scratch = Scratch::new("foreign");
    for page_size in [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536] {
        for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
            let vacuum = page_size / 512 % 3;
            let path = scratch.file(&format!("{page_size}-{encoding}.db"));
            let options = format!(
                "PRAGMA page_size={page_size}; PRAGMA encoding='{encoding}'; PRAGMA auto_vacuum={vacuum};"
            );
            sqlite3(&path, &format!("{options}{FILL}"));
            read_equal(&path);
        }
    }
}

fn read_equal(path: &Path) {
    let store = Store::open(path, &OpenOptions { read_only: true, ..Default::default() }).unwrap();
    store.begin_read().unwrap();
    let roots = schema_roots(&store);
    let root = |name: &str| roots.iter().find(|(n, _)| n == name).unwrap().1;
    let encoding = store.encoding().unwrap();
    let mut rows = store.cursor(root("t"), TreeKind::Table).unwrap();
    let (mut lines, mut more) = (Vec::new(), rows.first().unwrap());
    while more {
        let a = rows.rowid().unwrap();
        let b = match rows.column(1).unwrap() {
            Some(Field::Text(b)) => String::from_utf8(encoding.decode(b).into_owned()).unwrap(),
            other => panic!("{other:?}"),
        };
        let c = match rows.column(2).unwrap() {
            Some(Field::Blob(c)) => c.len(),
            other => panic!("{other:?}"),
        };
        lines.push(format!("{a}|{b}|{c}"));
        more = rows.next().unwrap();
    }
    assert_eq!(lines.join("\n"), sqlite3(path, "SELECT a, b, length(c) FROM t"));

    let info = KeyInfo { encoding, ..KeyInfo::binary(1) };
    let kind = TreeKind::Index(std::rc::Rc::new(info));
    let mut entries = store.cursor(root("w"), kind).unwrap();
    let (mut lines, mut more) = (Vec::new(), entries.first().unwrap());
    while more {
        let v = entries.column(1).unwrap();
        lines.push(match v {
            Some(Field::Int(v)) => v.to_string(),
            other => panic!("{other:?}"),
        });
        more = entries.next().unwrap();
    }
    assert_eq!(lines.join("\n"), sqlite3(path, "SELECT v FROM w ORDER BY k"));
    for x in [1, 3, 77, 1499] {
        let name = encoding.encode(format!("row {x}").as_bytes()).into_owned();
        assert!(entries.seek_key(&[Field::Text(&name)], Seek::Eq).unwrap());
        assert_eq!(entries.column(1).unwrap(), Some(Field::Int(x * 7)));
    }
    let all: Vec<PageNo> = roots.iter().map(|(_, root)| *root).collect();
    assert_eq!(store.integrity_check(&all, 10).unwrap(), Vec::<String>::new());
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let scratch = Scratch::new("no-db");
    let path = scratch.file("x");
    std::fs::write(&path, "root:x:0:0:root:/root:/bin/bash\n".repeat(40)).unwrap();
    let store = Store::open(&path, &OpenOptions::default()).unwrap();
    assert!(matches!(store.begin_read(), Err(crate::vfs::Error::NotADatabase)));
    assert!(matches!(
        store.begin_write(WriteLock::Immediate),
        Err(crate::vfs::Error::NotADatabase)
    ));
    let missing =
        Store::open(&scratch.file("none"), &OpenOptions { create: false, ..Default::default() });
    assert!(matches!(missing, Err(crate::vfs::Error::CannotOpen)));
}
