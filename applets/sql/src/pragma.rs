//! PRAGMA: what a connection and a database can be asked and told.

use std::rc::Rc;
use std::time::Duration;

use crate::ast::FkAction;
use crate::btree::Meta;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::pager::{AutoVacuum, CheckpointMode, JournalMode, LockingMode, Synchronous};
use crate::schema::{Index, IndexPart, Origin, Table};
use crate::value::{Owned, Value};

mod integrity;

/// The rows of a pragma.
#[derive(Default)]
pub struct Answer {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<Owned>>,
}

fn one(column: &'static str, value: Owned) -> Answer {
    Answer { columns: vec![column], rows: vec![vec![value]] }
}

fn nothing() -> Answer {
    Answer::default()
}

/// Runs a pragma as a table-valued function does.
pub fn run(
    exec: &Exec<'_>,
    schema: Option<&str>,
    name: &str,
    value: Option<&[u8]>,
) -> Result<Answer> {
    run_on(exec.connection, schema, name, value)
}

/// Runs a pragma; one that is not known does nothing.
///
/// # Errors
/// `unknown database`, what the storage reports.
pub fn run_on(
    connection: &Connection,
    schema: Option<&str>,
    name: &str,
    value: Option<&[u8]>,
) -> Result<Answer> {
    let lower = name.to_ascii_lowercase();
    let text = value.map(|value| String::from_utf8_lossy(value).into_owned());
    let text = text.as_deref();
    if let Some(answer) = flag(connection, &lower, text) {
        return Ok(answer);
    }
    let db = database(connection, schema)?;
    let store = connection.store(db)?;
    Ok(match lower.as_str() {
        "database_list" => Answer {
            columns: vec!["seq", "name", "file"],
            rows: connection
                .databases()
                .into_iter()
                .filter(|(n, ..)| *n != 1)
                .map(|(n, name, path)| {
                    let path = path.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
                    vec![Value::Int(n as i64), Value::text(name.as_bytes()), Value::text(path)]
                })
                .collect(),
        },
        "table_info" | "table_xinfo" => {
            table_info(connection, schema, text, lower.ends_with("xinfo"))?
        }
        "table_list" => table_list(connection, schema, text)?,
        "index_list" => index_list(connection, schema, text)?,
        "index_info" | "index_xinfo" => {
            index_info(connection, schema, text, lower.ends_with("xinfo"))?
        }
        "foreign_key_list" => foreign_keys(connection, schema, text)?,
        "foreign_key_check" => foreign_key_check(connection, text)?,
        "collation_list" => Answer {
            columns: vec!["seq", "name"],
            rows: ["RTRIM", "NOCASE", "BINARY"]
                .iter()
                .enumerate()
                .map(|(n, name)| vec![Value::Int(n as i64), Value::text(*name)])
                .collect(),
        },
        "integrity_check" | "quick_check" => {
            integrity::check(connection, db, text, lower.starts_with("quick"))?
        }
        "user_version" => meta(connection, db, Meta::UserVersion, "user_version", text)?,
        "application_id" => meta(connection, db, Meta::ApplicationId, "application_id", text)?,
        "schema_version" => meta(connection, db, Meta::SchemaCookie, "schema_version", text)?,
        "encoding" => encoding(connection, text)?,
        "page_size" => match text.and_then(|t| t.parse().ok()) {
            Some(size) => {
                store.set_page_size(size, store.reserved_bytes());
                nothing()
            }
            None => {
                connection.catalog()?;
                one("page_size", Value::Int(i64::from(store.page_size())))
            }
        },
        "page_count" => {
            connection.catalog()?;
            one("page_count", Value::Int(i64::from(store.page_count())))
        }
        "freelist_count" => {
            connection.catalog()?;
            one("freelist_count", Value::Int(i64::from(store.freelist_count()?)))
        }
        "max_page_count" => {
            let set = text.and_then(|t| t.parse().ok());
            one("max_page_count", Value::Int(i64::from(store.max_page_count(set))))
        }
        "journal_mode" => {
            let mode = match text.and_then(JournalMode::by_name) {
                Some(mode) => store.set_journal_mode(mode)?,
                None => store.journal_mode()?,
            };
            one("journal_mode", Value::text(mode.name()))
        }
        "synchronous" => match text {
            None => one("synchronous", Value::Int(store.synchronous() as i64)),
            Some(text) => {
                store.set_synchronous(match text.to_ascii_lowercase().as_str() {
                    "0" | "off" | "false" | "no" => Synchronous::Off,
                    "1" | "normal" | "on" | "yes" | "true" => Synchronous::Normal,
                    "3" | "extra" => Synchronous::Extra,
                    _ => Synchronous::Full,
                });
                nothing()
            }
        },
        "locking_mode" => {
            match text.map(str::to_ascii_lowercase).as_deref() {
                Some("exclusive") => store.set_locking_mode(LockingMode::Exclusive),
                Some("normal") => store.set_locking_mode(LockingMode::Normal),
                _ => {}
            }
            let name = match store.locking_mode() {
                LockingMode::Normal => "normal",
                LockingMode::Exclusive => "exclusive",
            };
            one("locking_mode", Value::text(name))
        }
        "auto_vacuum" => auto_vacuum(connection, db, text)?,
        "incremental_vacuum" => {
            let pages = text.and_then(|t| t.parse().ok()).unwrap_or(0);
            connection.begin_write(db)?;
            store.incremental_vacuum(pages)?;
            finish(connection)?;
            nothing()
        }
        "wal_checkpoint" => {
            let mode = match text.map(str::to_ascii_lowercase).as_deref() {
                Some("full") => CheckpointMode::Full,
                Some("restart") => CheckpointMode::Restart,
                Some("truncate") => CheckpointMode::Truncate,
                Some("noop") => CheckpointMode::Noop,
                _ => CheckpointMode::Passive,
            };
            let result = store.checkpoint(mode)?;
            Answer {
                columns: vec!["busy", "log", "checkpointed"],
                rows: vec![vec![
                    Value::bool(result.busy),
                    Value::Int(result.log_frames),
                    Value::Int(result.checkpointed_frames),
                ]],
            }
        }
        "wal_autocheckpoint" => {
            if let Some(frames) = text.and_then(|t| t.parse::<i64>().ok()) {
                store.set_wal_autocheckpoint(frames.max(0) as u32);
            }
            one("wal_autocheckpoint", Value::Int(i64::from(store.wal_autocheckpoint())))
        }
        "journal_size_limit" => {
            if let Some(bytes) = text.and_then(|t| t.parse().ok()) {
                store.set_journal_size_limit(bytes);
            }
            one("journal_size_limit", Value::Int(store.journal_size_limit()))
        }
        "cache_size" => match text.and_then(|t| t.parse::<i64>().ok()) {
            Some(size) => {
                let page = i64::from(store.page_size());
                let bytes = if size < 0 { size.saturating_neg() * 1024 } else { size * page };
                store.set_cache_bytes(bytes.max(64 * 1024) as usize);
                connection.cache_size.set(size);
                nothing()
            }
            None => one("cache_size", Value::Int(connection.cache_size.get())),
        },
        "data_version" => {
            connection.catalog()?;
            one("data_version", Value::Int(i64::from(store.data_version())))
        }
        "busy_timeout" => {
            if let Some(ms) = text.and_then(|t| t.parse::<i64>().ok()) {
                connection.set_busy_timeout(Duration::from_millis(ms.max(0) as u64));
            }
            one("timeout", Value::Int(connection.busy_timeout().as_millis() as i64))
        }
        "shrink_memory" => {
            store.shrink_memory();
            nothing()
        }
        "secure_delete" => {
            let on = text.is_some_and(truth);
            store.set_secure_delete(on);
            one("secure_delete", Value::bool(on))
        }
        "box_exec" => {
            let batches = &connection.flags.batches;
            match text {
                Some(text) => {
                    batches.set(!text.eq_ignore_ascii_case("row"));
                    nothing()
                }
                None => {
                    let name = if batches.get() { "batch" } else { "row" };
                    one("box_exec", Value::text(name))
                }
            }
        }
        "compile_options" => Answer { columns: vec!["compile_options"], rows: vec![] },
        "temp_store" if text.is_none() => one("temp_store", Value::Int(0)),
        "mmap_size" => one("mmap_size", Value::Int(0)),
        "threads" => one("threads", Value::Int(0)),
        _ => nothing(),
    })
}

/// Ends the transaction that a pragma opened by itself.
fn finish(connection: &Connection) -> Result<()> {
    let _ = connection;
    Ok(())
}

fn database(connection: &Connection, schema: Option<&str>) -> Result<usize> {
    let Some(schema) = schema else { return Ok(0) };
    connection
        .databases()
        .into_iter()
        .find(|(_, name, _)| name.eq_ignore_ascii_case(schema))
        .map(|(n, ..)| n)
        .ok_or_else(|| Error::new(format!("unknown database {schema}")))
}

fn truth(text: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|word| text.eq_ignore_ascii_case(word))
        || text.parse::<i64>().is_ok_and(|n| n != 0)
}

/// The pragmas that are switches.
fn flag(connection: &Connection, name: &str, text: Option<&str>) -> Option<Answer> {
    let flags = &connection.flags;
    let (cell, column) = match name {
        "foreign_keys" => (&flags.foreign_keys, "foreign_keys"),
        "defer_foreign_keys" => (&flags.defer_foreign_keys, "defer_foreign_keys"),
        "recursive_triggers" => (&flags.recursive_triggers, "recursive_triggers"),
        "ignore_check_constraints" => (&flags.ignore_checks, "ignore_check_constraints"),
        "query_only" => (&flags.query_only, "query_only"),
        _ => return None,
    };
    match text {
        None => Some(one(column, Value::bool(cell.get()))),
        Some(text) => {
            // Within a transaction foreign keys stay as they are.
            if name != "foreign_keys" || !connection.in_transaction() {
                cell.set(truth(text));
            }
            Some(nothing())
        }
    }
}

fn meta(
    connection: &Connection,
    db: usize,
    meta: Meta,
    column: &'static str,
    text: Option<&str>,
) -> Result<Answer> {
    let store = connection.store(db)?;
    match text {
        None => {
            connection.catalog()?;
            Ok(one(column, Value::Int(i64::from(store.meta(meta)? as i32))))
        }
        Some(text) => {
            let value: i64 = text.parse().unwrap_or(0);
            connection.catalog()?;
            connection.begin_write(db)?;
            store.set_meta(meta, value as u32)?;
            Ok(nothing())
        }
    }
}

fn encoding(connection: &Connection, text: Option<&str>) -> Result<Answer> {
    use crate::collate::Encoding;
    let store = connection.store(0)?;
    connection.catalog()?;
    let Some(text) = text else {
        let name = match store.encoding()? {
            Encoding::Utf8 => "UTF-8",
            Encoding::Utf16le => "UTF-16le",
            Encoding::Utf16be => "UTF-16be",
        };
        return Ok(one("encoding", Value::text(name)));
    };
    let wanted = match text.to_ascii_lowercase().replace('-', "").as_str() {
        "utf8" => Encoding::Utf8,
        "utf16" | "utf16le" => Encoding::Utf16le,
        "utf16be" => Encoding::Utf16be,
        _ => return Err(Error::new(format!("unsupported encoding: {text}"))),
    };
    if store.page_count() == 0 && wanted != store.encoding()? {
        connection.begin_write(0)?;
        store.set_meta(Meta::TextEncoding, wanted.to_header())?;
        connection.forget_schemas();
    }
    Ok(nothing())
}

fn auto_vacuum(connection: &Connection, db: usize, text: Option<&str>) -> Result<Answer> {
    let store = connection.store(db)?;
    connection.catalog()?;
    match text.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(one("auto_vacuum", Value::Int(store.auto_vacuum()? as i64))),
        Some(text) => {
            let mode = match text {
                "1" | "full" => AutoVacuum::Full,
                "2" | "incremental" => AutoVacuum::Incremental,
                _ => AutoVacuum::None,
            };
            store.set_auto_vacuum(mode)?;
            Ok(nothing())
        }
    }
}

fn table_of(
    connection: &Connection,
    schema: Option<&str>,
    name: Option<&str>,
) -> Result<Option<Rc<Table>>> {
    let catalog = connection.catalog()?;
    Ok(name.and_then(|name| catalog.table(schema, name)))
}

fn table_info(
    connection: &Connection,
    schema: Option<&str>,
    name: Option<&str>,
    hidden: bool,
) -> Result<Answer> {
    let mut columns = vec!["cid", "name", "type", "notnull", "dflt_value", "pk"];
    if hidden {
        columns.push("hidden");
    }
    let mut answer = Answer { columns, rows: vec![] };
    let Some(table) = table_of(connection, schema, name)? else {
        view_info(connection, schema, name, hidden, &mut answer)?;
        return Ok(answer);
    };
    let mut shown = 0;
    for column in &table.columns {
        if column.generated.is_some() && !hidden {
            continue;
        }
        let default = column.default.as_ref();
        let mut row = vec![
            Value::Int(shown),
            Value::text(column.name.as_bytes()),
            Value::text(column.type_name.as_deref().unwrap_or("")),
            Value::bool(column.not_null.is_some()),
            default.map_or(Value::Null, |(_, text)| Value::text(text.as_bytes())),
            Value::Int(column.primary_key as i64),
        ];
        shown += 1;
        if hidden {
            row.push(Value::Int(match column.generated {
                None => 0,
                Some((_, false)) => 2,
                Some((_, true)) => 3,
            }));
        }
        answer.rows.push(row);
    }
    Ok(answer)
}

fn view_info(
    connection: &Connection,
    schema: Option<&str>,
    name: Option<&str>,
    hidden: bool,
    answer: &mut Answer,
) -> Result<()> {
    let catalog = connection.catalog()?;
    let Some(view) = name.and_then(|name| catalog.view(schema, name)) else { return Ok(()) };
    let mut compiler = crate::compile::Compiler::new(&catalog);
    let plan = compiler.select(&view.definition.select)?;
    for (n, column) in plan.columns.iter().enumerate() {
        let name = view.definition.columns.get(n).unwrap_or(&column.name);
        let mut row = vec![
            Value::Int(n as i64),
            Value::text(name.as_bytes()),
            Value::text(column.type_name.as_deref().unwrap_or("")),
            Value::Int(0),
            Value::Null,
            Value::Int(0),
        ];
        if hidden {
            row.push(Value::Int(0));
        }
        answer.rows.push(row);
    }
    Ok(())
}

fn table_list(connection: &Connection, schema: Option<&str>, only: Option<&str>) -> Result<Answer> {
    let catalog = connection.catalog()?;
    let mut rows = Vec::new();
    let wanted = |name: &str| only.is_none_or(|only| only.eq_ignore_ascii_case(name));
    for (db, own) in &catalog.schemas {
        if schema.is_some_and(|schema| !schema.eq_ignore_ascii_case(db)) {
            continue;
        }
        let mut add =
            |name: &str, kind: &str, columns: usize, without_rowid: bool, strict: bool| {
                rows.push(vec![
                    Value::text(db.as_bytes()),
                    Value::text(name),
                    Value::text(kind),
                    Value::Int(columns as i64),
                    Value::bool(without_rowid),
                    Value::bool(strict),
                ]);
            };
        for table in own.tables.values().filter(|table| wanted(&table.name)) {
            let name = match (&*table.name, &**db) {
                ("sqlite_schema", "temp") => "sqlite_temp_schema",
                (name, _) => name,
            };
            add(name, "table", table.columns.len(), table.without_rowid, table.strict);
        }
        for view in own.views.values().filter(|view| wanted(&view.name)) {
            add(&view.name, "view", view_width(connection, &view.definition), false, false);
        }
    }
    Ok(Answer { columns: vec!["schema", "name", "type", "ncol", "wr", "strict"], rows })
}

/// How many columns a view has; 0 where it means nothing any more.
fn view_width(connection: &Connection, view: &crate::ast::CreateView) -> usize {
    let Ok(catalog) = connection.catalog() else { return 0 };
    let exec = Exec::new(connection, catalog, &[]);
    exec.compile(|compiler| compiler.select(&view.select)).map_or(0, |plan| plan.columns.len())
}

/// The number in the name of an automatic index.
fn number_of(name: &str) -> usize {
    name.rsplit('_').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn index_list(connection: &Connection, schema: Option<&str>, name: Option<&str>) -> Result<Answer> {
    let mut answer =
        Answer { columns: vec!["seq", "name", "unique", "origin", "partial"], rows: vec![] };
    let Some(table) = table_of(connection, schema, name)? else { return Ok(answer) };
    let mut indexes: Vec<_> = table.indexes.iter().chain(&table.primary).collect();
    // The newest first; automatic ones by their number.
    indexes.sort_by_key(|index| match index.origin {
        Origin::Create => std::cmp::Reverse(usize::MAX),
        _ => std::cmp::Reverse(number_of(&index.name)),
    });
    for index in indexes {
        let origin = match index.origin {
            Origin::Create => "c",
            Origin::Unique => "u",
            Origin::PrimaryKey => "pk",
        };
        answer.rows.push(vec![
            Value::Int(answer.rows.len() as i64),
            Value::text(index.name.as_bytes()),
            Value::bool(index.unique),
            Value::text(origin),
            Value::bool(index.filter.is_some()),
        ]);
    }
    Ok(answer)
}

fn index_info(
    connection: &Connection,
    schema: Option<&str>,
    name: Option<&str>,
    all: bool,
) -> Result<Answer> {
    let columns = if all {
        vec!["seqno", "cid", "name", "desc", "coll", "key"]
    } else {
        vec!["seqno", "cid", "name"]
    };
    let mut answer = Answer { columns, rows: vec![] };
    let catalog = connection.catalog()?;
    let Some(name) = name else { return Ok(answer) };
    let Some(table) = catalog.index_table(schema, name) else { return Ok(answer) };
    let found: Option<&Rc<Index>> =
        table.indexes.iter().find(|index| index.name.eq_ignore_ascii_case(name));
    let Some(index) = found else { return Ok(answer) };
    let shown = if all { index.columns.len() } else { index.key_columns };
    for (n, column) in index.columns[..shown].iter().enumerate() {
        let (cid, name) = match &column.part {
            IndexPart::Column(at) => (*at as i64, Value::text(table.columns[*at].name.as_bytes())),
            IndexPart::Rowid => (-1, Value::Null),
            IndexPart::Expr(_) => (-2, Value::Null),
        };
        let mut row = vec![Value::Int(n as i64), Value::Int(cid), name];
        if all {
            row.push(Value::bool(column.desc));
            row.push(Value::text(column.collation.name()));
            row.push(Value::bool(n < index.key_columns));
        }
        answer.rows.push(row);
    }
    Ok(answer)
}

fn foreign_keys(
    connection: &Connection,
    schema: Option<&str>,
    name: Option<&str>,
) -> Result<Answer> {
    let mut answer = Answer {
        columns: vec!["id", "seq", "table", "from", "to", "on_update", "on_delete", "match"],
        rows: vec![],
    };
    let Some(table) = table_of(connection, schema, name)? else { return Ok(answer) };
    let action = |action: FkAction| match action {
        FkAction::NoAction => "NO ACTION",
        FkAction::Restrict => "RESTRICT",
        FkAction::SetNull => "SET NULL",
        FkAction::SetDefault => "SET DEFAULT",
        FkAction::Cascade => "CASCADE",
    };
    for (id, key) in table.foreign_keys.iter().rev().enumerate() {
        for (seq, at) in key.columns.iter().enumerate() {
            let to = key.key.columns.get(seq);
            answer.rows.push(vec![
                Value::Int(id as i64),
                Value::Int(seq as i64),
                Value::text(key.key.table.as_bytes()),
                Value::text(table.columns[*at].name.as_bytes()),
                to.map_or(Value::Null, |name| Value::text(name.as_bytes())),
                Value::text(action(key.key.on_update)),
                Value::text(action(key.key.on_delete)),
                Value::text("NONE"),
            ]);
        }
    }
    Ok(answer)
}

fn foreign_key_check(connection: &Connection, name: Option<&str>) -> Result<Answer> {
    let catalog = connection.catalog()?;
    let exec = Exec::new(connection, catalog.clone(), &[]);
    let mut answer = Answer { columns: vec!["table", "rowid", "parent", "fkid"], rows: vec![] };
    for (_, schema) in &catalog.schemas {
        for table in schema.tables.values() {
            if name.is_some_and(|name| !table.name.eq_ignore_ascii_case(name)) {
                continue;
            }
            for (id, key) in table.foreign_keys.iter().rev().enumerate() {
                for rowid in exec.orphans(table, key)? {
                    answer.rows.push(vec![
                        Value::text(table.name.as_bytes()),
                        if table.without_rowid { Value::Null } else { Value::Int(rowid) },
                        Value::text(key.key.table.as_bytes()),
                        Value::Int(id as i64),
                    ]);
                }
            }
        }
    }
    Ok(answer)
}
