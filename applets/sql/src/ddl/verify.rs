//! Whether the objects of a schema still mean something after ALTER TABLE changed their texts.

use std::rc::Rc;

use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::schema::Table;

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope<'s> {
    /// One table.
    Table(&'s str),
    /// All tables, indexes and views.
    All,
}

/// Reads the schema anew and compiles what is in it. `phase` is what was done, `" after rename"`.
///
/// # Errors
/// `error in view v after rename: no such column: a`
pub(super) fn schema(exec: &Exec<'_>, db: usize, scope: Scope<'_>, phase: &str) -> Result<()> {
    let wrong = |kind: &str, name: &str, error: &Error| {
        Error::new(format!("error in {kind} {name}{phase}: {error}")).while_running()
    };
    let catalog = exec.connection.catalog().map_err(|error| {
        // The definition itself is refused: `malformed database schema (t) - why`.
        let text = error.to_string();
        let parts =
            text.strip_prefix("malformed database schema (").and_then(|t| t.split_once(")"));
        let name = if let Scope::Table(name) = scope { name } else { "" };
        let (name, why) = parts.unwrap_or((name, &text));
        let why = why.strip_prefix(" - ").unwrap_or(why);
        Error::new(format!("error in table {name}{phase}: {why}")).while_running()
    })?;
    let fresh = Exec::new(exec.connection, catalog.clone(), &[]);
    let Some((_, own)) = catalog.schemas.get(db) else { return Ok(()) };
    let mut tables: Vec<&Rc<Table>> = own.tables.values().collect();
    tables.sort_by_key(|table| table.root);
    for table in tables {
        if matches!(scope, Scope::Table(name) if !table.name.eq_ignore_ascii_case(name)) {
            continue;
        }
        super::create::check_expressions(&fresh, table)
            .map_err(|error| wrong("table", &table.name, &error))?;
        for index in table.indexes.iter().rev() {
            crate::dml::index_exprs(&fresh, table, index)
                .map_err(|error| wrong("index", &index.name, &error))?;
        }
    }
    if scope != Scope::All {
        return Ok(());
    }
    for view in own.views.values() {
        fresh
            .compile(|compiler| compiler.select(&view.definition.select))
            .map_err(|error| wrong("view", &view.name, &error))?;
    }
    Ok(())
}
