//! VACUUM: the database is rebuilt in a fresh store and copied back, or into a file.

use std::path::Path;

use crate::ast::Expr;
use crate::btree::{Meta, Placement, Store, TreeKind};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::pager::{OpenOptions, WriteLock};
use crate::record::{self, Field};
use crate::value::Value;

pub(super) fn run(exec: &Exec<'_>, schema: Option<&str>, into: Option<&Expr>) -> Result<()> {
    let connection = exec.connection;
    if connection.in_transaction() {
        return Err(Error::new("cannot VACUUM from within a transaction"));
    }
    let db = match schema {
        None => 0,
        Some(name) => exec
            .catalog
            .database(name)
            .ok_or_else(|| Error::new(format!("unknown database {name}")))?,
    };
    let store = connection.store(db)?;
    if let Some(into) = into {
        let bound = exec.compile(|compiler| {
            compiler.push_rows(vec![], true);
            compiler.expr(into)
        })?;
        let frame = crate::exec::Frame::of_rows(None, vec![]);
        let path = exec.eval(&bound, &frame)?.to_text().into_owned();
        let path = String::from_utf8_lossy(&path).into_owned();
        if std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
            return Err(Error::new("output file already exists"));
        }
        let target = Store::open(Path::new(&path), &OpenOptions::default())?;
        rebuild(connection, db, &store, &target)?;
        return Ok(target.commit()?);
    }
    let fresh = Store::memory();
    rebuild(connection, db, &store, &fresh)?;
    fresh.commit()?;
    fresh.begin_read()?;
    connection.begin_write(db)?;
    store.copy_from(&fresh)?;
    fresh.end_read();
    connection.forget_schemas();
    Ok(())
}

/// Copies every tree of `from` into the empty store `to`, in the order of the schema.
fn rebuild(connection: &Connection, db: usize, from: &Store, to: &Store) -> Result<()> {
    to.set_page_size(from.page_size(), from.reserved_bytes());
    let catalog = connection.catalog()?;
    let schema = catalog.schemas[db].1.clone();
    to.set_auto_vacuum(from.auto_vacuum()?)?;
    to.begin_write(WriteLock::Immediate)?;
    for meta in [
        Meta::SchemaFormat,
        Meta::DefaultCacheSize,
        Meta::TextEncoding,
        Meta::UserVersion,
        Meta::ApplicationId,
    ] {
        to.set_meta(meta, from.meta(meta)?)?;
    }
    to.set_meta(Meta::SchemaCookie, from.meta(Meta::SchemaCookie)?.wrapping_add(1))?;
    if from.page_count() == 0 {
        return Ok(());
    }
    let encoding = from.encoding()?;
    let mut master = from.cursor(1, TreeKind::Table)?;
    let mut target = to.cursor(1, TreeKind::Table)?;
    let mut rowid = 0;
    let mut on = master.first()?;
    while on {
        let mut row = Vec::with_capacity(5);
        for field in record::fields(master.payload()?)? {
            row.push(Value::from_field(field?, encoding).into_owned());
        }
        row.resize(5, Value::Null);
        let root = row[3].to_int() as u32;
        if root > 0 {
            let name = String::from_utf8_lossy(&row[1].to_text()).into_owned();
            let kind = tree_kind(&schema, &name)?;
            let new = to.create_tree(&kind)?;
            copy_tree(from, root, to, new, &kind)?;
            row[3] = Value::Int(i64::from(new));
        }
        rowid += 1;
        let stored: Vec<_> = row.into_iter().map(|v| v.encoded(encoding)).collect();
        let mut bytes = Vec::new();
        record::encode(stored.iter().map(Value::as_field), &mut bytes);
        target.insert_row(rowid, &bytes, 0, Placement::Append)?;
        on = master.next()?;
    }
    Ok(())
}

fn tree_kind(schema: &crate::schema::Schema, name: &str) -> Result<TreeKind> {
    let lower = crate::schema::lower(name);
    if let Some(table) = schema.tables.get(&lower) {
        return Ok(match &table.primary {
            Some(primary) => TreeKind::Index(primary.key_info.clone()),
            None => TreeKind::Table,
        });
    }
    let index = schema.indexes.get(&lower).and_then(|table| schema.tables.get(table)).and_then(
        |table| table.indexes.iter().find(|index| index.name.eq_ignore_ascii_case(name)).cloned(),
    );
    let index = index.ok_or_else(|| Error::new(format!("no such index: {name}")))?;
    Ok(TreeKind::Index(index.key_info.clone()))
}

fn copy_tree(from: &Store, root: u32, to: &Store, new: u32, kind: &TreeKind) -> Result<()> {
    let mut source = from.cursor(root, kind.clone())?;
    let mut target = to.cursor(new, kind.clone())?;
    let mut on = source.first()?;
    let _: Option<Field<'_>> = None;
    while on {
        match kind {
            TreeKind::Table => {
                let rowid = source.rowid()?;
                target.insert_row(rowid, source.payload()?, 0, Placement::Append)?;
            }
            TreeKind::Index(_) => target.insert_key(source.payload()?, Placement::Append)?,
        }
        on = source.next()?;
    }
    Ok(())
}
