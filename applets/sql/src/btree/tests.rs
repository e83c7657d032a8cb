//! Trees written here and read by the sqlite3 program, and the other way round.

mod auto_vacuum;
mod copy;
mod crowd;
mod damage;
mod faults;
mod foreign;
mod locks;
mod model;
mod wal;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::pager::{OpenOptions, PageNo, WriteLock};
use crate::record::{self, Field, KeyInfo};

/// A folder that is gone with its owner.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("box-sql-{name}-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Scratch(folder)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether the sqlite3 program is here; says so when it is not.
pub fn has_sqlite3() -> bool {
    let found = Command::new("sqlite3").arg("-version").output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "sqlite3 is needed where CI is set");
        eprintln!("skipped: needs sqlite3");
    }
    found
}

/// What sqlite3 prints.
pub fn sqlite3(path: &Path, sql: &str) -> String {
    let out = Command::new("sqlite3").arg("-batch").arg(path).arg(sql).output().unwrap();
    assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

/// Random numbers that are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn text(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| b'a' + self.below(26) as u8).collect()
    }
}

pub fn record_of(fields: &[Field<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    record::encode(fields.iter().copied(), &mut out);
    out
}

/// Adds a row of the schema table.
pub fn declare(store: &Store, kind: &str, name: &str, table: &str, root: PageNo, sql: &str) {
    let mut schema = store.cursor(1, TreeKind::Table).unwrap();
    let rowid = if schema.last().unwrap() { schema.rowid().unwrap() + 1 } else { 1 };
    let row = record_of(&[
        Field::Text(kind.as_bytes()),
        Field::Text(name.as_bytes()),
        Field::Text(table.as_bytes()),
        Field::Int(i64::from(root)),
        if sql.is_empty() { Field::Null } else { Field::Text(sql.as_bytes()) },
    ]);
    schema.insert_row(rowid, &row, 0, Placement::Append).unwrap();
    let cookie = store.meta(Meta::SchemaCookie).unwrap();
    store.set_meta(Meta::SchemaCookie, cookie + 1).unwrap();
    if store.meta(Meta::SchemaFormat).unwrap() == 0 {
        store.set_meta(Meta::SchemaFormat, 4).unwrap();
        store.set_meta(Meta::TextEncoding, 1).unwrap();
    }
}

/// A file with `t(a INTEGER PRIMARY KEY, b, c)` and an index on `b`.
pub struct Indexed {
    pub store: Store,
    pub table: PageNo,
    pub index: PageNo,
}

pub fn index_kind() -> TreeKind {
    TreeKind::Index(std::rc::Rc::new(KeyInfo::binary(2)))
}

impl Indexed {
    pub fn create(store: Store) -> Indexed {
        store.begin_write(WriteLock::Immediate).unwrap();
        let table = store.create_tree(&TreeKind::Table).unwrap();
        let index = store.create_tree(&index_kind()).unwrap();
        declare(&store, "table", "t", "t", table, "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c)");
        declare(&store, "index", "i", "t", index, "CREATE INDEX i ON t(b)");
        store.commit().unwrap();
        Indexed { store, table, index }
    }

    pub fn rows(&self) -> Cursor {
        self.store.cursor(self.table, TreeKind::Table).unwrap()
    }

    pub fn keys(&self) -> Cursor {
        self.store.cursor(self.index, index_kind()).unwrap()
    }

    pub fn put(&self, rowid: i64, b: &[u8], c: &[u8]) -> crate::vfs::Result<()> {
        self.remove(rowid)?;
        let row = record_of(&[Field::Null, Field::Text(b), Field::Blob(c)]);
        self.rows().insert_row(rowid, &row, 0, Placement::Anywhere)?;
        let key = record_of(&[Field::Text(b), Field::Int(rowid)]);
        self.keys().insert_key(&key, Placement::Anywhere)
    }

    pub fn remove(&self, rowid: i64) -> crate::vfs::Result<bool> {
        let mut rows = self.rows();
        if !rows.seek_rowid(rowid, Seek::Eq)? {
            return Ok(false);
        }
        let b = match rows.column(1)? {
            Some(Field::Text(b)) => b.to_vec(),
            other => panic!("{other:?}"),
        };
        rows.delete()?;
        let mut keys = self.keys();
        assert!(keys.seek_key(&[Field::Text(&b), Field::Int(rowid)], Seek::Eq)?);
        keys.delete()?;
        Ok(true)
    }
}
