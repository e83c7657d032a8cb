//! CREATE TABLE, INDEX, VIEW, TRIGGER; REINDEX.

use std::rc::Rc;

use super::{Master, name_offset, stored_sql};
use crate::ast::{
    ColumnDef, CreateIndex, CreateTable, CreateTrigger, CreateView, QualifiedName, Select,
    TriggerTime,
};
use crate::btree::{Meta, Placement, TreeKind};
use crate::catalog::{MAIN, TEMP};
use crate::error::{Error, Result};
use crate::exec::{Exec, Flow};
use crate::plan::{Expr, Output};
use crate::record;
use crate::schema::{self, Index, Table};
use crate::value::{Affinity, Owned, Value};

/// The database in which an object is created.
fn database(exec: &Exec<'_>, name: &QualifiedName, temp: bool) -> Result<usize> {
    match &name.schema {
        Some(schema) if temp && !schema.eq_ignore_ascii_case("temp") => {
            Err(Error::new("temporary table name must be unqualified"))
        }
        Some(schema) => exec
            .catalog
            .database(schema)
            .ok_or_else(|| Error::new(format!("unknown database {schema}"))),
        None => Ok(if temp { TEMP } else { MAIN }),
    }
}

/// Refuses a name that is taken or reserved; `false`: it is there and that is fine.
fn free(
    exec: &Exec<'_>,
    db: usize,
    name: &str,
    if_not_exists: bool,
    offset: usize,
) -> Result<bool> {
    if name.to_ascii_lowercase().starts_with("sqlite_") {
        return Err(Error::new(format!("object name reserved for internal use: {name}")));
    }
    let schema = exec.catalog.name(db);
    let schema = Some(&*schema);
    let kind = if exec.catalog.table(schema, name).is_some() {
        "table"
    } else if exec.catalog.view(schema, name).is_some() {
        "view"
    } else {
        if exec.catalog.index_table(schema, name).is_some() {
            return Err(Error::new(format!("there is already an index named {name}")));
        }
        return Ok(true);
    };
    if if_not_exists {
        return Ok(false);
    }
    Err(Error::new(format!("{kind} {name} already exists")).at(offset))
}

pub(super) fn table(exec: &Exec<'_>, create: &CreateTable, text: &[u8]) -> Result<()> {
    let at = name_offset("TABLE", text);
    let db = database(exec, &create.name, create.temp).map_err(|error| {
        let schema = create.name.schema.as_ref().map_or(0, |schema| schema.len() + 1);
        error.at(at.saturating_sub(schema))
    })?;
    if !free(exec, db, &create.name.name, create.if_not_exists, at)? {
        return Ok(());
    }
    if let Some(select) = &create.as_select {
        return table_as(exec, db, create, select);
    }
    let encoding = exec.connection.store(db)?.encoding()?;
    let table = Rc::new(Table::define(db, create, encoding)?);
    check_expressions(exec, &table)?;
    let sql = stored_sql("TABLE", text);
    exec.connection.atomically(db, || make_table(exec, &table, &sql).map(drop))
}

/// Compiles the expressions of a definition, so that what they get wrong is told now.
pub(super) fn check_expressions(exec: &Exec<'_>, table: &Rc<Table>) -> Result<()> {
    exec.compile(|compiler| {
        compiler.push_row(&table.name, table);
        for check in &table.checks {
            compiler.expr(&check.expr)?;
        }
        for column in &table.columns {
            if let Some((expr, _)) = &column.generated {
                let bound = compiler.expr(expr)?;
                deterministic(&bound)?;
            }
        }
        Ok(())
    })
}

/// Refuses what a generated column may not ask: queries, functions with moods.
fn deterministic(expr: &Expr) -> Result<()> {
    match expr {
        Expr::Call { function, .. } if !function.pure && !function.is_date() => {
            let text = "non-deterministic functions prohibited in generated columns";
            return Err(Error::new(text));
        }
        Expr::Scalar(_) | Expr::Exists(_) | Expr::InSelect { .. } | Expr::RowSelect(_) => {
            return Err(Error::new("subqueries prohibited in generated columns"));
        }
        _ => {}
    }
    let mut result = Ok(());
    crate::compile::children(expr, &mut |child| {
        if result.is_ok() {
            result = deterministic(child);
        }
    });
    result
}

/// Makes the trees and schema rows of a table; its root page.
fn make_table(exec: &Exec<'_>, table: &Rc<Table>, sql: &[u8]) -> Result<u32> {
    let store = exec.connection.store(table.db)?;
    if store.meta(Meta::SchemaFormat)? == 0 {
        store.set_meta(Meta::SchemaFormat, 4)?;
        store.set_meta(Meta::TextEncoding, store.encoding()?.to_header())?;
    }
    let kind = match &table.primary {
        Some(primary) => TreeKind::Index(primary.key_info.clone()),
        None => TreeKind::Table,
    };
    let root = store.create_tree(&kind)?;
    let mut master = Master::open(exec, table.db)?;
    master.add("table", &table.name, &table.name, root, Some(sql))?;
    for index in &table.indexes {
        let name = &index.name;
        let root = store.create_tree(&TreeKind::Index(index.key_info.clone()))?;
        master.add("index", name, &table.name, root, None)?;
    }
    let schema = &exec.catalog.schemas[table.db].1;
    if table.autoincrement && !schema.tables.contains_key("sqlite_sequence") {
        let root = store.create_tree(&TreeKind::Table)?;
        let sql = b"CREATE TABLE sqlite_sequence(name,seq)";
        master.add("table", "sqlite_sequence", "sqlite_sequence", root, Some(sql))?;
    }
    master.changed()?;
    Ok(root)
}

/// `CREATE TABLE ... AS SELECT`
fn table_as(exec: &Exec<'_>, db: usize, create: &CreateTable, select: &Select) -> Result<()> {
    let plan = exec.compile(|compiler| compiler.select(select))?;
    let name = &create.name.name;
    let columns = unique_names(&plan.columns);
    let sql = table_sql(name, &columns, &plan.columns);
    let definition = CreateTable {
        columns: columns
            .iter()
            .zip(&plan.columns)
            .map(|(name, output)| {
                let type_name = type_of(output);
                ColumnDef {
                    name: name.as_str().into(),
                    type_name: (!type_name.is_empty()).then(|| type_name.into()),
                    constraints: vec![],
                }
            })
            .collect(),
        as_select: None,
        ..create.clone()
    };
    let encoding = exec.connection.store(db)?.encoding()?;
    let mut table = Table::define(db, &definition, encoding)?;
    exec.connection.atomically(db, || {
        table.root = make_table(exec, &Rc::new(table.clone()), sql.as_bytes())?;
        let store = exec.connection.store(db)?;
        let mut cursor = store.cursor(table.root, TreeKind::Table)?;
        let mut rowid = 0;
        let mut bytes = Vec::new();
        exec.run_select(&plan, None, &mut |row| {
            rowid += 1;
            let values: Vec<Owned> = row
                .iter()
                .zip(&table.columns)
                .map(|(v, c)| v.borrow().apply(c.affinity).encoded(encoding).into_owned())
                .collect();
            bytes.clear();
            record::encode(values.iter().map(Value::as_field), &mut bytes);
            cursor.insert_row(rowid, &bytes, 0, Placement::Append)?;
            Ok(Flow::Continue)
        })
    })
}

fn type_of(output: &Output) -> &'static str {
    match output.affinity {
        Affinity::Text => "TEXT",
        Affinity::Integer => "INT",
        Affinity::Real => "REAL",
        Affinity::Numeric => "NUM",
        Affinity::Blob | Affinity::None => "",
    }
}

fn unique_names(columns: &[Output]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut name = column.name.to_string();
        let mut count = 0;
        while names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            count += 1;
            name = format!("{}:{count}", column.name);
        }
        names.push(name);
    }
    names
}

/// The text that SQLite makes for a table from a query.
fn table_sql(name: &str, names: &[String], columns: &[Output]) -> String {
    let total: usize = names.iter().map(|name| name.len() + 5).sum::<usize>() + name.len();
    let (open, separator, close) =
        if total < 50 { ("", ",", ")") } else { ("\n  ", ",\n  ", "\n)") };
    let mut sql = format!("CREATE TABLE {}(", quoted(name));
    for (n, (name, column)) in names.iter().zip(columns).enumerate() {
        sql.push_str(if n == 0 { open } else { separator });
        sql.push_str(&quoted(name));
        let type_name = type_of(column);
        if !type_name.is_empty() {
            sql.push(' ');
            sql.push_str(type_name);
        }
    }
    sql + close
}

/// A name as it must be written in SQL.
pub(crate) fn quoted(name: &str) -> String {
    let plain = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && crate::lex::keyword(name.as_bytes()).is_none();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

pub(super) fn index(exec: &Exec<'_>, create: &CreateIndex, text: &[u8]) -> Result<()> {
    let schema = create.name.schema.as_deref();
    let table = exec.catalog.table(schema, &create.table).ok_or_else(|| {
        if exec.catalog.view(schema, &create.table).is_some() {
            return Error::new("views may not be indexed");
        }
        let shown = match schema {
            Some(schema) => format!("{schema}.{}", create.table),
            None => format!("main.{}", create.table),
        };
        Error::new(format!("no such table: {shown}"))
    })?;
    if table.name.starts_with("sqlite_") {
        return Err(Error::new(format!("table {} may not be indexed", table.name)));
    }
    let name = &create.name.name;
    if name.to_ascii_lowercase().starts_with("sqlite_") {
        return Err(Error::new(format!("object name reserved for internal use: {name}")));
    }
    let own = exec.catalog.name(table.db);
    if exec.catalog.index_table(Some(&own), name).is_some() {
        if create.if_not_exists {
            return Ok(());
        }
        return Err(Error::new(format!("index {name} already exists")));
    }
    if exec.catalog.table(Some(&own), name).is_some() {
        return Err(Error::new(format!("there is already a table named {name}")));
    }
    let mut index = schema::define_index(&table, create)?;
    crate::dml::index_exprs(exec, &table, &index)?;
    let sql = stored_sql(if create.unique { "UNIQUE INDEX" } else { "INDEX" }, text);
    exec.connection.atomically(table.db, || {
        let store = exec.connection.store(table.db)?;
        index.root = store.create_tree(&TreeKind::Index(index.key_info.clone()))?;
        super::index::fill(exec, &table, &index)?;
        let mut master = Master::open(exec, table.db)?;
        master.add("index", name, &table.name, index.root, Some(&sql))?;
        master.changed()
    })
}

pub(super) fn view(exec: &Exec<'_>, create: &CreateView, text: &[u8]) -> Result<()> {
    let db = database(exec, &create.name, create.temp)?;
    let at = name_offset("VIEW", text);
    if !free(exec, db, &create.name.name, create.if_not_exists, at)? {
        return Ok(());
    }
    let sql = stored_sql("VIEW", text);
    exec.connection.atomically(db, || {
        prepare_schema(exec, db)?;
        let mut master = Master::open(exec, db)?;
        master.add("view", &create.name.name, &create.name.name, 0, Some(&sql))?;
        master.changed()
    })
}

fn prepare_schema(exec: &Exec<'_>, db: usize) -> Result<()> {
    let store = exec.connection.store(db)?;
    if store.meta(Meta::SchemaFormat)? == 0 {
        store.set_meta(Meta::SchemaFormat, 4)?;
        store.set_meta(Meta::TextEncoding, store.encoding()?.to_header())?;
    }
    Ok(())
}

pub(super) fn trigger(exec: &Exec<'_>, create: &CreateTrigger, text_of: &[u8]) -> Result<()> {
    let schema = create.table.schema.as_deref().or(create.name.schema.as_deref());
    let table = exec.catalog.table(schema, &create.table.name);
    let view = exec.catalog.view(schema, &create.table.name);
    let (table_db, table_name) = match (&table, &view) {
        (Some(table), _) => (table.db, table.name.clone()),
        (None, Some(view)) => (view.db, view.name.clone()),
        _ => {
            let name = &create.table.name;
            let shown = schema.map_or_else(|| format!("main.{name}"), |s| format!("{s}.{name}"));
            return Err(Error::new(format!("no such table: {shown}")));
        }
    };
    match (create.time, view.is_some()) {
        (TriggerTime::InsteadOf, false) => {
            let text = format!("cannot create INSTEAD OF trigger on table: {table_name}");
            return Err(Error::new(text));
        }
        (TriggerTime::Before | TriggerTime::After, true) => {
            let time = if create.time == TriggerTime::Before { "BEFORE" } else { "AFTER" };
            let text = format!("cannot create {time} trigger on view: {table_name}");
            return Err(Error::new(text));
        }
        _ => {}
    }
    let db = match &create.name.schema {
        Some(_) => database(exec, &create.name, false)?,
        None if create.temp => TEMP,
        None => table_db,
    };
    let own = exec.catalog.name(db);
    if exec.catalog.trigger(Some(&own), &create.name.name).is_some() {
        if create.if_not_exists {
            return Ok(());
        }
        let text = format!("trigger {} already exists", create.name.name);
        return Err(Error::new(text).at(name_offset("TRIGGER", text_of)));
    }
    let sql = stored_sql("TRIGGER", text_of);
    exec.connection.atomically(db, || {
        prepare_schema(exec, db)?;
        let mut master = Master::open(exec, db)?;
        master.add("trigger", &create.name.name, &table_name, 0, Some(&sql))?;
        master.changed()
    })
}

/// REINDEX: the entries of indexes are built anew.
pub(super) fn reindex(exec: &Exec<'_>, name: Option<&QualifiedName>) -> Result<()> {
    let mut wanted: Vec<(Rc<Table>, Rc<Index>)> = Vec::new();
    for (_, schema) in &exec.catalog.schemas {
        for table in schema.tables.values() {
            for index in &table.indexes {
                let chosen = name.is_none_or(|name| {
                    table.name.eq_ignore_ascii_case(&name.name)
                        || index.name.eq_ignore_ascii_case(&name.name)
                        || index.columns[..index.key_columns]
                            .iter()
                            .any(|c| c.collation.name().eq_ignore_ascii_case(&name.name))
                });
                if chosen {
                    wanted.push((table.clone(), index.clone()));
                }
            }
        }
    }
    if wanted.is_empty()
        && let Some(name) = name
        && exec.catalog.table(name.schema.as_deref(), &name.name).is_none()
        && crate::collate::Collation::by_name(&name.name).is_none()
    {
        return Err(Error::new("unable to identify the object to be reindexed"));
    }
    for (table, index) in wanted {
        exec.connection.atomically(table.db, || {
            exec.connection.store(table.db)?.clear_tree(index.root)?;
            super::index::fill(exec, &table, &index)
        })?;
    }
    Ok(())
}
