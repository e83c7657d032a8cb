//! `PRAGMA integrity_check`: the pages by the storage layer, then rows against their indexes and
//! constraints.

use std::rc::Rc;

use super::Answer;
use crate::connection::Connection;
use crate::dml::Writer;
use crate::error::Result;
use crate::exec::Exec;
use crate::record::Field;
use crate::schema::Table;
use crate::value::Value;

pub(super) fn check(
    connection: &Connection,
    db: usize,
    text: Option<&str>,
    quick: bool,
) -> Result<Answer> {
    let column = if quick { "quick_check" } else { "integrity_check" };
    let limit = text.and_then(|t| t.parse::<usize>().ok()).filter(|n| *n > 0).unwrap_or(100);
    let catalog = connection.catalog()?;
    let store = connection.store(db)?;
    let schema = &catalog.schemas[db].1;
    let mut roots = Vec::new();
    let mut tables: Vec<&Rc<Table>> =
        schema.tables.values().filter(|table| table.root > 1).collect();
    tables.sort_by_key(|table| table.root);
    for table in &tables {
        roots.push(table.root);
        roots.extend(table.indexes.iter().map(|index| index.root));
    }
    let mut messages = Vec::new();
    if store.page_count() > 0 {
        messages = store.integrity_check(&roots, limit)?;
    }
    if messages.is_empty() {
        let exec = Exec::new(connection, catalog.clone(), &[]);
        for table in tables {
            if messages.len() < limit {
                check_table(&exec, table, quick, limit, &mut messages)?;
            }
        }
    }
    if messages.is_empty() {
        messages.push("ok".into());
    }
    let rows = messages.into_iter().map(|text| vec![Value::text(text)]).collect();
    Ok(Answer { columns: vec![column], rows })
}

fn check_table(
    exec: &Exec<'_>,
    table: &Rc<Table>,
    quick: bool,
    limit: usize,
    messages: &mut Vec<String>,
) -> Result<()> {
    let mut writer = Writer::open(exec, table)?;
    let mut counts = vec![0u64; writer.indexes.len()];
    let mut on = writer.cursor.first()?;
    let mut number = 0;
    while on && messages.len() < limit {
        exec.tick()?;
        number += 1;
        let row = writer.read(exec)?;
        for (at, column) in table.columns.iter().enumerate() {
            let alias = table.rowid_alias == Some(at);
            if column.not_null.is_some() && row.values[at].is_null() && !alias {
                messages.push(format!("NULL value in {}.{}", table.name, column.name));
            }
        }
        if !quick {
            for n in 0..writer.indexes.len() {
                let Some(entry) = writer.entry(exec, n, &row)? else { continue };
                counts[n] += 1;
                let fields: Vec<Field<'_>> = entry.iter().map(Value::as_field).collect();
                let index = &mut writer.indexes[n];
                if !index.cursor.seek_key(&fields, crate::btree::Seek::Eq)? {
                    messages.push(format!(
                        "row {number} missing from index {}",
                        index.index.name
                    ));
                }
            }
        }
        on = writer.cursor.next()?;
    }
    if !quick {
        for (writer, count) in writer.indexes.iter_mut().zip(counts) {
            if writer.cursor.count()? != count {
                messages.push(format!("wrong # of entries in index {}", writer.index.name));
            }
        }
    }
    Ok(())
}
