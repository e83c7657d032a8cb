//! DROP TABLE, INDEX, VIEW, TRIGGER.

use super::{Change, Master};
use crate::ast::{DropKind, QualifiedName};
use crate::compile::shown;
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::value::Value;

pub(super) fn object(
    exec: &Exec<'_>,
    kind: DropKind,
    if_exists: bool,
    name: &QualifiedName,
) -> Result<()> {
    let schema = name.schema.as_deref();
    let missing = |what: &str| {
        if if_exists { Ok(()) } else { Err(Error::new(format!("no such {what}: {}", shown(name)))) }
    };
    match kind {
        DropKind::Table => match exec.catalog.table(schema, &name.name) {
            Some(table) => {
                let lower = table.name.to_ascii_lowercase();
                if lower.starts_with("sqlite_") && !lower.starts_with("sqlite_stat") {
                    let master = lower == "sqlite_schema";
                    let shown = if master { "sqlite_master" } else { &table.name };
                    return Err(Error::new(format!("table {shown} may not be dropped")));
                }
                drop_table(exec, &table)
            }
            None if exec.catalog.view(schema, &name.name).is_some() => {
                Err(Error::new(format!("use DROP VIEW to delete view {}", name.name)))
            }
            None => missing("table"),
        },
        DropKind::View => match exec.catalog.view(schema, &name.name) {
            Some(view) => drop_entries(exec, view.db, "view", &view.name),
            None if exec.catalog.table(schema, &name.name).is_some() => {
                Err(Error::new(format!("use DROP TABLE to delete table {}", name.name)))
            }
            None => missing("view"),
        },
        DropKind::Trigger => match exec.catalog.trigger(schema, &name.name) {
            Some(trigger) => exec.connection.atomically(trigger.db, || {
                let mut master = Master::open(exec, trigger.db)?;
                master.each(|row| Ok(delete_if(is(row, "trigger", &trigger.name))))?;
                master.changed()
            }),
            None => missing("trigger"),
        },
        DropKind::Index => match exec.catalog.index_table(schema, &name.name) {
            None => missing("index"),
            Some(table) => {
                let found = table.indexes.iter().find(|i| i.name.eq_ignore_ascii_case(&name.name));
                let Some(index) = found else { return missing("index") };
                if index.origin != crate::schema::Origin::Create {
                    return Err(Error::new(
                        "index associated with UNIQUE or PRIMARY KEY constraint cannot be dropped",
                    ));
                }
                exec.connection.atomically(table.db, || {
                    let mut master = Master::open(exec, table.db)?;
                    master.each(|row| Ok(delete_if(is(row, "index", &index.name))))?;
                    master.drop_tree(index.root)?;
                    master.changed()
                })
            }
        },
    }
}

fn delete_if(condition: bool) -> Change {
    if condition { Change::Delete } else { Change::Keep }
}

fn is(row: &[crate::value::Owned], kind: &str, name: &str) -> bool {
    text(&row[0]) == kind && text(&row[1]).eq_ignore_ascii_case(name)
}

fn text(value: &Value<'_>) -> String {
    String::from_utf8_lossy(&value.to_text()).into_owned()
}

/// Removes the schema row of an object and of the triggers on it.
fn drop_entries(exec: &Exec<'_>, db: usize, kind: &str, name: &str) -> Result<()> {
    exec.connection.atomically(db, || {
        let mut master = Master::open(exec, db)?;
        master.each(|row| {
            let trigger = text(&row[0]) == "trigger" && text(&row[2]).eq_ignore_ascii_case(name);
            Ok(delete_if(trigger || is(row, kind, name)))
        })?;
        master.changed()
    })
}

fn drop_table(exec: &Exec<'_>, table: &crate::schema::Table) -> Result<()> {
    exec.connection.atomically(table.db, || {
        if exec.connection.foreign_keys() {
            implicit_delete(exec, table)?;
        }
        let mut master = Master::open(exec, table.db)?;
        master.each(|row| Ok(delete_if(text(&row[2]).eq_ignore_ascii_case(&table.name))))?;
        // The trees go from the last page to the first, so that a root that moves is not ours.
        let mut roots: Vec<u32> = table.indexes.iter().map(|index| index.root).collect();
        roots.push(table.root);
        roots.sort_unstable_by(|a, b| b.cmp(a));
        for root in roots {
            master.drop_tree(root)?;
        }
        let sequence = exec.catalog.schemas[table.db].1.tables.get("sqlite_sequence");
        if let Some(sequence) = sequence.filter(|_| table.autoincrement) {
            let store = exec.connection.store(table.db)?;
            let mut cursor = store.cursor(sequence.root, crate::btree::TreeKind::Table)?;
            let mut on = cursor.first()?;
            while on {
                let name = match cursor.column(0)? {
                    Some(field) => text(&Value::from_field(field, table.encoding)),
                    None => String::new(),
                };
                if name.eq_ignore_ascii_case(&table.name) {
                    cursor.delete()?;
                }
                on = cursor.next()?;
            }
        }
        master.changed()
    })
}

/// With foreign keys on, dropping a table deletes its rows first.
fn implicit_delete(exec: &Exec<'_>, table: &crate::schema::Table) -> Result<()> {
    let name = super::create::quoted(&table.name);
    let sql = format!("DELETE FROM {name}");
    let parsed = crate::parse::statement(sql.as_bytes())?;
    if let Some(crate::ast::Stmt::Delete(delete)) = parsed.stmt {
        let mut plan = exec.compile(|compiler| compiler.delete(&delete))?;
        let referenced = exec.catalog.schemas[table.db].1.tables.values().any(|other| {
            other.foreign_keys.iter().any(|k| k.key.table.eq_ignore_ascii_case(&table.name))
        });
        plan.truncate = !referenced;
        exec.run_delete(&plan, None)?;
    }
    Ok(())
}
