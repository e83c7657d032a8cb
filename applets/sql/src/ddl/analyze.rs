//! ANALYZE: counts how far each index narrows, for the planner.

use std::rc::Rc;

use super::Master;
use crate::ast::QualifiedName;
use crate::btree::{Placement, TreeKind};
use crate::error::Result;
use crate::exec::Exec;
use crate::record::{self, Field};
use crate::schema::{Index, Table};
use crate::value::Value;

pub(super) fn run(exec: &Exec<'_>, name: Option<&QualifiedName>) -> Result<()> {
    for (db, (db_name, schema)) in exec.catalog.schemas.iter().enumerate() {
        let only = name.filter(|name| !name.name.eq_ignore_ascii_case(db_name));
        if name.is_some() && only.is_none() && name.is_some_and(|n| n.schema.is_some()) {
            continue;
        }
        let mut tables: Vec<Rc<Table>> = schema
            .tables
            .values()
            .filter(|table| !table.name.starts_with("sqlite_"))
            .filter(|table| {
                only.is_none_or(|name| {
                    table.name.eq_ignore_ascii_case(&name.name)
                        || table.indexes.iter().any(|i| i.name.eq_ignore_ascii_case(&name.name))
                })
            })
            .cloned()
            .collect();
        tables.sort_by_key(|table| table.root);
        if tables.is_empty() {
            continue;
        }
        exec.connection.atomically(db, || analyze(exec, db, &tables))?;
    }
    Ok(())
}

fn analyze(exec: &Exec<'_>, db: usize, tables: &[Rc<Table>]) -> Result<()> {
    let store = exec.connection.store(db)?;
    let known = exec.catalog.schemas[db].1.tables.get("sqlite_stat1");
    let mut master = Master::open(exec, db)?;
    let root = match known {
        Some(table) => table.root,
        None => {
            let root = store.create_tree(&TreeKind::Table)?;
            let sql = b"CREATE TABLE sqlite_stat1(tbl,idx,stat)";
            master.add("table", "sqlite_stat1", "sqlite_stat1", root, Some(sql))?;
            root
        }
    };
    let mut cursor = store.cursor(root, TreeKind::Table)?;
    let encoding = store.encoding()?;
    let mut on = cursor.first()?;
    while on {
        let name = match cursor.column(0)? {
            Some(field) => {
                let name = Value::from_field(field, encoding);
                String::from_utf8_lossy(&name.to_text()).into_owned()
            }
            None => String::new(),
        };
        if tables.iter().any(|table| table.name.eq_ignore_ascii_case(&name)) {
            cursor.delete()?;
        }
        on = cursor.next()?;
    }
    let mut rowid = if cursor.last()? { cursor.rowid()? } else { 0 };
    let mut add = |table: &str, index: Option<&str>, stat: &str| -> Result<()> {
        rowid += 1;
        let row = [
            Value::text(table).encoded(encoding),
            index.map_or(Value::Null, |index| Value::text(index).encoded(encoding)),
            Value::text(stat).encoded(encoding),
        ];
        let mut bytes = Vec::new();
        record::encode(row.iter().map(Value::as_field), &mut bytes);
        Ok(cursor.insert_row(rowid, &bytes, 0, Placement::Append)?)
    };
    for table in tables {
        let mut any = false;
        for index in table.indexes.iter().chain(&table.primary) {
            let Some(stat) = statistics(exec, table, index)? else { continue };
            any |= index.filter.is_none();
            let tree = table.primary.as_ref().is_some_and(|p| Rc::ptr_eq(p, index));
            let name = if tree { &table.name } else { &index.name };
            add(&table.name, Some(name), &stat)?;
        }
        if !any {
            let rows = exec.table_cursor(table)?.count()?;
            if rows > 0 {
                add(&table.name, None, &rows.to_string())?;
            }
        }
    }
    master.changed()
}

/// `rows avg1 avg2...`: the average number of rows for each prefix of the key.
fn statistics(exec: &Exec<'_>, table: &Table, index: &Index) -> Result<Option<String>> {
    let store = exec.connection.store(table.db)?;
    let mut cursor = store.cursor(index.root, TreeKind::Index(index.key_info.clone()))?;
    let columns = index.key_columns;
    let mut distinct = vec![0u64; columns];
    let mut rows = 0u64;
    let mut last: Vec<u8> = Vec::new();
    let mut on = cursor.first()?;
    while on {
        exec.tick()?;
        let entry = cursor.payload()?;
        rows += 1;
        let same = if rows == 1 { 0 } else { common_prefix(&last, entry, index, columns)? };
        for count in &mut distinct[same..] {
            *count += 1;
        }
        last.clear();
        last.extend_from_slice(entry);
        on = cursor.next()?;
    }
    if rows == 0 {
        return Ok(None);
    }
    let mut stat = rows.to_string();
    for (n, count) in distinct.iter().enumerate() {
        let mut average = rows.div_ceil(*count);
        if index.unique && n + 1 == columns {
            average = 1;
        } else if average == 2 && rows * 10 <= count * 11 {
            average = 1;
        }
        stat.push_str(&format!(" {average}"));
    }
    Ok(Some(stat))
}

fn common_prefix(left: &[u8], right: &[u8], index: &Index, columns: usize) -> Result<usize> {
    let (mut left, mut right) = (record::fields(left)?, record::fields(right)?);
    for n in 0..columns {
        let l = left.next().transpose()?.unwrap_or(Field::Null);
        let r = right.next().transpose()?.unwrap_or(Field::Null);
        let collation = index.columns[n].collation;
        if record::compare_fields(l, r, collation, index.key_info.encoding).is_ne() {
            return Ok(n);
        }
    }
    Ok(columns)
}
