//! How fast the trees are, without SQL: `cargo run --profile quick -p box-sql --example storage`.
//!
//! Prints nanoseconds of processor time an operation, and gigabytes of leaf pages a second for scans. An argument
//! names the file to use (default: one in the temporary folder).

use std::path::PathBuf;
use std::rc::Rc;

use box_sql::btree::{Placement, Seek, Store, TreeKind};
use box_sql::pager::{OpenOptions, WriteLock};
use box_sql::record::{self, Field, KeyInfo};
use box_sql::vfs::Result;

const ROWS: i64 = 1_000_000;
const LOOKUPS: i64 = 500_000;

fn main() -> Result<()> {
    let path = std::env::args_os()
        .nth(1)
        .map_or_else(|| std::env::temp_dir().join("box-sql-storage.db"), PathBuf::from);
    let _ = std::fs::remove_file(&path);
    let store = Store::open(&path, &OpenOptions::default())?;
    store.begin_write(WriteLock::Immediate)?;
    let table = store.create_tree(&TreeKind::Table)?;
    let random_table = store.create_tree(&TreeKind::Table)?;
    let kind = TreeKind::Index(Rc::new(KeyInfo::binary(2)));
    let index = store.create_tree(&kind)?;
    let sorted_index = store.create_tree(&kind)?;
    append(&store, table)?;
    insert_random(&store, random_table)?;
    insert_index(&store, index, kind.clone(), false)?;
    insert_index(&store, sorted_index, kind.clone(), true)?;
    time("commit", 1, || store.commit())?;
    store.begin_read()?;
    println!("{} pages", store.page_count());
    scan(&store, table, "scan from the cache")?;
    store.end_read();
    drop(store);
    let store = Store::open(&path, &OpenOptions::default())?;
    store.begin_read()?;
    scan(&store, table, "scan from the file")?;
    seek_rows(&store, table)?;
    seek_keys(&store, index, kind)?;
    store.end_read();
    Ok(())
}

fn time(name: &str, count: i64, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = cpu_seconds();
    work()?;
    let seconds = cpu_seconds() - start;
    println!("{name:28} {:9.1} ns/op {:9.1} ms", seconds * 1e9 / count as f64, seconds * 1e3);
    Ok(seconds)
}

/// The processor time of this thread: wall time says little on a machine that others use.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}

/// A permutation of the numbers below a prime above `ROWS`.
fn shuffled(n: i64) -> i64 {
    n * 654_321 % 1_000_003
}

const FILLER: &[u8; 80] = &[b'x'; 80];

fn row(rowid: i64, out: &mut Vec<u8>) {
    out.clear();
    let fields =
        [Field::Null, Field::Int(rowid * 3), Field::Real(rowid as f64 / 7.0), Field::Text(FILLER)];
    record::encode(fields, out);
}

fn append(store: &Store, root: u32) -> Result<()> {
    let mut cursor = store.cursor(root, TreeKind::Table)?;
    let mut record = Vec::new();
    time("append rows", ROWS, || {
        for rowid in 1..=ROWS {
            row(rowid, &mut record);
            cursor.insert_row(rowid, &record, 0, Placement::Append)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn insert_random(store: &Store, root: u32) -> Result<()> {
    let mut cursor = store.cursor(root, TreeKind::Table)?;
    let mut record = Vec::new();
    time("insert rows at random", ROWS / 2, || {
        for n in 1..=ROWS / 2 {
            let rowid = shuffled(n);
            row(rowid, &mut record);
            cursor.insert_row(rowid, &record, 0, Placement::Anywhere)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn insert_index(store: &Store, root: u32, kind: TreeKind, sorted: bool) -> Result<()> {
    let mut cursor = store.cursor(root, kind)?;
    let mut record = Vec::new();
    let (name, placement) = if sorted {
        ("insert keys in order", Placement::Append)
    } else {
        ("insert keys at random", Placement::Anywhere)
    };
    time(name, ROWS / 2, || {
        for n in 1..=ROWS / 2 {
            let key = if sorted { n } else { shuffled(n) };
            record.clear();
            record::encode([Field::Int(key * 1000), Field::Int(n)], &mut record);
            cursor.insert_key(&record, placement)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn scan(store: &Store, root: u32, name: &str) -> Result<()> {
    let mut bytes = 0;
    let seconds = time(name, ROWS, || {
        let mut cursor = store.cursor(root, TreeKind::Table)?;
        let mut sum = 0;
        let mut more = cursor.first()?;
        while more {
            if let Some(Field::Int(value)) = cursor.column(1)? {
                sum += value;
            }
            bytes += cursor.payload_len()? as usize;
            more = cursor.next()?;
        }
        assert_eq!(sum, ROWS * (ROWS + 1) / 2 * 3);
        Ok(())
    })?;
    println!("{:28} {:9.2} GB/s of payload", "", bytes as f64 / seconds / 1e9);
    Ok(())
}

fn seek_rows(store: &Store, root: u32) -> Result<()> {
    let mut cursor = store.cursor(root, TreeKind::Table)?;
    time("seek rows at random", LOOKUPS, || {
        for n in 1..=LOOKUPS {
            let rowid = shuffled(n).clamp(1, ROWS - 1);
            assert!(cursor.seek_rowid(rowid, Seek::Eq)?);
            cursor.column(1)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn seek_keys(store: &Store, root: u32, kind: TreeKind) -> Result<()> {
    let mut cursor = store.cursor(root, kind)?;
    time("seek keys at random", LOOKUPS, || {
        for n in 1..=LOOKUPS {
            assert!(cursor.seek_key(&[Field::Int(shuffled(n) * 1000)], Seek::Eq)?);
            cursor.column(1)?;
        }
        Ok(())
    })?;
    Ok(())
}
