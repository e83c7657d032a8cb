//! Three commits of one row each, to be counted by strace: `commits FILE JOURNAL_MODE`.

use std::path::Path;

use box_sql::btree::{Placement, Store, TreeKind};
use box_sql::pager::{JournalMode, OpenOptions, WriteLock};
use box_sql::record::{self, Field};
use box_sql::vfs::{Error, Result};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (path, mode) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let mode = JournalMode::by_name(&mode).ok_or(Error::Misuse("FILE JOURNAL_MODE"))?;
    let store = Store::open(Path::new(&path), &OpenOptions::default())?;
    store.set_journal_mode(mode)?;
    for rowid in 10..13 {
        store.begin_write(WriteLock::Immediate)?;
        let mut record = Vec::new();
        record::encode([Field::Null, Field::Int(1)], &mut record);
        let mut rows = store.cursor(2, TreeKind::Table)?;
        rows.insert_row(rowid, &record, 0, Placement::Append)?;
        store.commit()?;
    }
    Ok(())
}
