//! `.tables`, `.indexes`, `.schema`, `.fullschema`, `.databases`.

use box_kit::Failure;

use super::dot::engine_failed;
use super::words::like;
use super::{Next, Shell, quoting};
use crate::value::Owned;

/// Columns of the screen that `.tables` fills.
const SCREEN_COLUMNS: usize = 80;

/// A row of the schema table.
struct Object {
    kind: String,
    name: Vec<u8>,
    table: Vec<u8>,
    sql: Option<Vec<u8>>,
    /// The database it is in, where that is not `main`.
    database: Option<String>,
}

fn objects(shell: &mut Shell) -> crate::error::Result<Vec<Object>> {
    let databases = shell.session.query("PRAGMA database_list")?;
    let mut found = Vec::new();
    for row in databases {
        let Some(name) = row.get(1) else { continue };
        let name = String::from_utf8_lossy(&name.to_text()).into_owned();
        let mut quoted = Vec::new();
        quoting::identifier(&mut quoted, name.as_bytes());
        let quoted = String::from_utf8_lossy(&quoted).into_owned();
        let rows = shell.session.query(&format!(
            "SELECT type, name, tbl_name, sql FROM {quoted}.sqlite_schema ORDER BY rowid"
        ))?;
        for row in rows {
            let text = |index: usize| row.get(index).map(|value| value.to_text().into_owned());
            let sql = row.get(3).filter(|value| !value.is_null());
            found.push(Object {
                kind: String::from_utf8_lossy(&text(0).unwrap_or_default()).into_owned(),
                name: text(1).unwrap_or_default(),
                table: text(2).unwrap_or_default(),
                sql: sql.map(|value| value.to_text().into_owned()),
                database: (name != "main").then(|| name.clone()),
            });
        }
    }
    Ok(found)
}

/// Names of tables and views.
pub fn tables(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let pattern = args.first().map_or("%", String::as_str).to_owned();
    names(shell, &|object| {
        matches!(object.kind.as_str(), "table" | "view")
            && !object.name.starts_with(b"sqlite_")
            && like(pattern.as_bytes(), &object.name)
    })
}

/// Names of indexes, all or those of one table.
pub fn indexes(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let pattern = args.first().map_or("%", String::as_str).to_owned();
    let all = args.is_empty();
    names(shell, &|object| {
        object.kind == "index"
            && like(pattern.as_bytes(), &object.table)
            && !(all && object.name.starts_with(b"sqlite_"))
    })
}

fn names(shell: &mut Shell, wanted: &dyn Fn(&Object) -> bool) -> Result<Next, Failure> {
    let found = match objects(shell) {
        Ok(found) => found,
        Err(error) => return engine_failed(shell, &error),
    };
    let mut names: Vec<Vec<u8>> = found
        .iter()
        .filter(|object| wanted(object))
        .map(|object| match &object.database {
            Some(database) => [database.as_bytes(), b".", &object.name].concat(),
            None => object.name.clone(),
        })
        .collect();
    names.sort();
    let mut out = Vec::new();
    in_columns(&mut out, &names);
    shell.output.write(&out)?;
    Ok(Next::Continue)
}

/// As many columns as fit the screen, read downwards.
fn in_columns(out: &mut Vec<u8>, names: &[Vec<u8>]) {
    let longest = names.iter().map(Vec::len).max().unwrap_or(0);
    let columns = (SCREEN_COLUMNS / (longest + 2)).max(1);
    let rows = names.len().div_ceil(columns);
    for row in 0..rows {
        for (column, name) in names.iter().skip(row).step_by(rows).enumerate() {
            if column > 0 {
                out.extend_from_slice(b"  ");
            }
            out.extend_from_slice(name);
            out.resize(out.len() + (longest - name.len()), b' ');
        }
        out.push(b'\n');
    }
}

/// The CREATE statements, all or of what matches.
pub fn schema(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let no_system = args.iter().any(|word| word.trim_start_matches('-') == "nosys");
    let pattern = args.iter().find(|word| !word.starts_with('-')).cloned();
    let found = match objects(shell) {
        Ok(found) => found,
        Err(error) => return engine_failed(shell, &error),
    };
    let mut out = Vec::new();
    for object in found {
        let matched = pattern.as_ref().is_none_or(|pattern| {
            let pattern = pattern.strip_prefix("main.").unwrap_or(pattern).as_bytes();
            like(pattern, &object.table) || like(pattern, &object.name)
        });
        let hidden = no_system && object.name.starts_with(b"sqlite_");
        let Some(sql) = object.sql.as_ref().filter(|_| matched && !hidden) else { continue };
        statement(&mut out, sql);
        if object.kind == "view" {
            let columns = view_columns(shell, &object.name);
            out.extend_from_slice(&columns);
        }
        out.extend_from_slice(b";\n");
    }
    shell.output.write(&out)?;
    Ok(Next::Continue)
}

/// A CREATE statement; a quoted table name gets IF NOT EXISTS, as sqlite3 writes it.
pub fn statement(out: &mut Vec<u8>, sql: &[u8]) {
    match sql.strip_prefix(b"CREATE TABLE ") {
        Some(rest) if matches!(rest.first(), Some(b'\'' | b'"')) => {
            out.extend_from_slice(b"CREATE TABLE IF NOT EXISTS ");
            out.extend_from_slice(rest);
        }
        _ => out.extend_from_slice(sql),
    }
}

/// The comment that names the columns of a view.
fn view_columns(shell: &mut Shell, name: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::new();
    quoting::sql(&mut quoted, name);
    let sql = format!("SELECT name FROM pragma_table_info({})", String::from_utf8_lossy(&quoted));
    // A view whose table is gone has no columns, and no comment.
    let columns = shell.session.query(&sql).unwrap_or_default();
    if columns.is_empty() {
        return Vec::new();
    }
    let mut out = b"\n/* ".to_vec();
    quoting::identifier(&mut out, name);
    for (index, column) in columns.iter().enumerate() {
        out.push(if index == 0 { b'(' } else { b',' });
        quoting::identifier(
            &mut out,
            &column.first().map_or_else(Vec::new, |v| v.to_text().into_owned()),
        );
    }
    out.extend_from_slice(b") */");
    out
}

/// The schema and the tables of ANALYZE.
pub fn fullschema(shell: &mut Shell, _: &[String]) -> Result<Next, Failure> {
    let found = match objects(shell) {
        Ok(found) => found,
        Err(error) => return engine_failed(shell, &error),
    };
    let mut out = Vec::new();
    for object in &found {
        if let Some(sql) = object.sql.as_ref().filter(|_| !object.name.starts_with(b"sqlite_")) {
            statement(&mut out, sql);
            out.extend_from_slice(b";\n");
        }
    }
    let has_statistics = found.iter().any(|object| object.name == b"sqlite_stat1");
    if !has_statistics {
        out.extend_from_slice(b"/* No STAT tables available */\n");
        shell.output.write(&out)?;
        return Ok(Next::Continue);
    }
    out.extend_from_slice(b"ANALYZE sqlite_schema;\n");
    match shell.session.query("SELECT * FROM sqlite_stat1") {
        Ok(rows) => {
            for row in rows {
                out.extend_from_slice(b"INSERT INTO sqlite_stat1");
                super::mode::insert_values(&mut out, &row);
                out.extend_from_slice(b";\n");
            }
        }
        Err(error) => return engine_failed(shell, &error),
    }
    out.extend_from_slice(b"ANALYZE sqlite_schema;\n");
    shell.output.write(&out)?;
    Ok(Next::Continue)
}

/// Names and files of the databases.
pub fn databases(shell: &mut Shell, _: &[String]) -> Result<Next, Failure> {
    let rows = match shell.session.query("PRAGMA database_list") {
        Ok(rows) => rows,
        Err(error) => return engine_failed(shell, &error),
    };
    for row in rows {
        let text = |index: usize| {
            row.get(index)
                .map(|value: &Owned| String::from_utf8_lossy(&value.to_text()).into_owned())
        };
        let (name, file) = (text(1).unwrap_or_default(), text(2).unwrap_or_default());
        let shown = if file.is_empty() { "\"\"".to_owned() } else { file };
        let access = if name == "main" && shell.session.is_readonly() { "r/o" } else { "r/w" };
        shell.output.write(format!("{name}: {shown} {access}\n").as_bytes())?;
    }
    Ok(Next::Continue)
}
