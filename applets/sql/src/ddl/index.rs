//! Building the tree of an index: entries are gathered, sorted, and written from left to right.

use std::rc::Rc;

use crate::ast::Conflict;
use crate::btree::{Bulk, Cursor, Placement, TreeKind};
use crate::collate::{Collation, Encoding};
use crate::dml::Writer;
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::record::{self, Field};
use crate::schema::{Index, Table};
use crate::sort::Sorter;
use crate::sort::key::{self, Order};
use crate::value::Value;

/// Takes the entries of an index in any order.
struct Gather<'i> {
    index: &'i Index,
    orders: Vec<Order>,
    sorter: Sorter,
}

impl Gather<'_> {
    fn push(&mut self, entry: &[Value<'_>]) -> Result<()> {
        let orders = &self.orders;
        let (encoding, plain) = (self.index.key_info.encoding, Encoding::Utf8);
        self.sorter.push(
            |out| {
                for (value, order) in entry.iter().zip(orders) {
                    // BINARY compares the bytes of the tree, whatever they encode.
                    let own = if order.collation == Collation::Binary { plain } else { encoding };
                    key::push(&Value::from_field(value.as_field(), own), *order, out);
                }
            },
            |out| record::encode(entry.iter().map(Value::as_field), out),
        )?;
        Ok(())
    }
}

/// Where sorted entries go.
enum Target {
    Bulk(Bulk),
    Cursor(Box<Cursor>),
}

/// Fills the empty tree of an index.
///
/// # Errors
/// `UNIQUE constraint failed`, what its expressions report, I/O.
pub(super) fn fill(exec: &Exec<'_>, table: &Rc<Table>, index: &Index) -> Result<()> {
    let store = exec.connection.store(table.db)?;
    let orders = index.key_info.columns.iter().map(|column| Order {
        desc: column.desc,
        // NULL is below everything, so a descending column has it last.
        nulls_first: !column.desc,
        collation: column.collation,
    });
    let mut gather = Gather { index, orders: orders.collect(), sorter: store.sorter() };
    if !exec.batch_entries(table, index, &mut |entry| gather.push(entry))? {
        each_entry(exec, table, index, &mut |entry| gather.push(entry))?;
    }
    let info = index.key_info.clone();
    let mut target = match store.bulk(index.root)? {
        Some(bulk) => Target::Bulk(bulk),
        None => Target::Cursor(Box::new(store.cursor(index.root, TreeKind::Index(info))?)),
    };
    let mut last: Vec<u8> = Vec::new();
    gather.sorter.finish(|_, entry| -> Result<bool> {
        if index.unique {
            if !last.is_empty() && same_key(&last, entry, index)? {
                let text = crate::dml::unique_message(table, index);
                return Err(Error::constraint(text, Conflict::Abort));
            }
            last.clear();
            last.extend_from_slice(entry);
        }
        match &mut target {
            Target::Bulk(bulk) => bulk.push(entry)?,
            Target::Cursor(cursor) => cursor.insert_key(entry, Placement::Append)?,
        }
        Ok(true)
    })?;
    match target {
        Target::Bulk(bulk) => Ok(bulk.finish()?),
        Target::Cursor(_) => Ok(()),
    }
}

/// Computes the entries row by row.
fn each_entry(
    exec: &Exec<'_>,
    table: &Rc<Table>,
    index: &Index,
    each: &mut dyn FnMut(&[Value<'_>]) -> Result<()>,
) -> Result<()> {
    let mut alone = (**table).clone();
    alone.indexes = vec![Rc::new(index.clone())];
    alone.checks.clear();
    let alone = Rc::new(alone);
    let mut writer = Writer::open(exec, &alone)?;
    let mut on = writer.cursor.first()?;
    while on {
        exec.tick()?;
        let row = writer.read(exec)?;
        if let Some(entry) = writer.entry(exec, 0, &row)? {
            each(&entry)?;
        }
        on = writer.cursor.next()?;
    }
    Ok(())
}

/// Whether two entries have one key, without a NULL in it.
fn same_key(left: &[u8], right: &[u8], index: &Index) -> Result<bool> {
    let (mut left, mut right) = (record::fields(left)?, record::fields(right)?);
    for column in &index.key_info.columns[..index.key_columns] {
        let (Some(l), Some(r)) = (left.next(), right.next()) else { return Ok(false) };
        let (l, r) = (l?, r?);
        let null = matches!(l, Field::Null);
        let order = record::compare_fields(l, r, column.collation, index.key_info.encoding);
        if null || order.is_ne() {
            return Ok(false);
        }
    }
    Ok(true)
}
