//! ALTER TABLE.

use super::{Change, Master};
use crate::ast::{Alter, ColumnConstraint, ColumnDef, QualifiedName};
use crate::compile::shown;
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::lex::{self, Tok};
use crate::value::Value;

pub(super) fn table(exec: &Exec<'_>, name: &QualifiedName, action: &Alter) -> Result<()> {
    let schema = name.schema.as_deref();
    let table = exec.catalog.table(schema, &name.name).ok_or_else(|| {
        if exec.catalog.view(schema, &name.name).is_some() {
            return Error::new(format!("view {} may not be altered", name.name));
        }
        Error::new(format!("no such table: {}", shown(name)))
    })?;
    if table.name.starts_with("sqlite_") {
        return Err(Error::new(format!("table {} may not be altered", table.name)));
    }
    match action {
        Alter::AddColumn { column, text } => add_column(exec, &table, column, text),
        Alter::RenameTable(to) => rename_table(exec, &table, to),
        Alter::RenameColumn(from, to) => rename_column(exec, &table, from, to),
        Alter::DropColumn(column) => drop_column(exec, &table, column),
    }
}

fn add_column(
    exec: &Exec<'_>,
    table: &crate::schema::Table,
    column: &ColumnDef,
    text: &str,
) -> Result<()> {
    let mut not_null = false;
    let mut default = false;
    for constraint in &column.constraints {
        match constraint {
            ColumnConstraint::PrimaryKey { .. } => {
                return Err(Error::new("Cannot add a PRIMARY KEY column"));
            }
            ColumnConstraint::Unique(_) => return Err(Error::new("Cannot add a UNIQUE column")),
            ColumnConstraint::NotNull(_) => not_null = true,
            ColumnConstraint::Default { expr, .. } => {
                let null = matches!(expr, crate::ast::Expr::Literal(crate::ast::Literal::Null));
                default = !null;
            }
            ColumnConstraint::Generated { stored: true, .. } => {
                return Err(Error::new("cannot add a STORED column"));
            }
            _ => {}
        }
    }
    if table.column(&column.name).is_some() {
        return Err(Error::new(format!("duplicate column name: {}", column.name)));
    }
    if not_null && !default && exec.table_cursor(table)?.first()? {
        return Err(Error::new("Cannot add a NOT NULL column with default value NULL"));
    }
    let sql = &table.sql;
    let close = closing_paren(sql.as_bytes()).ok_or_else(|| Error::new("malformed schema"))?;
    let new = format!("{}, {}{}", &sql[..close], text, &sql[close..]);
    crate::parse::statement(new.as_bytes())?;
    rewrite(exec, table.db, |row| {
        if is_table(row, &table.name) {
            row[4] = Value::text(new.as_bytes());
            return Ok(Change::Write);
        }
        Ok(Change::Keep)
    })
}

/// The parenthesis that closes the list of columns.
fn closing_paren(sql: &[u8]) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    loop {
        let token = lex::next(sql, at);
        at = token.end;
        match token.tok {
            Tok::LParen => depth += 1,
            Tok::RParen if depth == 1 => return Some(token.start),
            Tok::RParen => depth -= 1,
            Tok::End => return None,
            _ => {}
        }
    }
}

fn rewrite(
    exec: &Exec<'_>,
    db: usize,
    change: impl FnMut(&mut [crate::value::Owned]) -> Result<Change>,
) -> Result<()> {
    exec.connection.atomically(db, || {
        let mut master = Master::open(exec, db)?;
        master.each(change)?;
        master.changed()
    })
}

fn text(value: &Value<'_>) -> String {
    String::from_utf8_lossy(&value.to_text()).into_owned()
}

fn is_table(row: &[crate::value::Owned], name: &str) -> bool {
    text(&row[0]) == "table" && text(&row[1]).eq_ignore_ascii_case(name)
}

/// Replaces the tokens that are the name `from` where `fits` says so; the rest of the text stays.
fn replace_names(sql: &str, from: &str, to: &str, fits: impl Fn(&[lex::Token], usize) -> bool) -> String {
    let bytes = sql.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let token = lex::next(bytes, at);
        at = token.end;
        if token.tok == Tok::End {
            break;
        }
        tokens.push(token);
    }
    let mut out = String::new();
    let mut done = 0;
    for (n, token) in tokens.iter().enumerate() {
        let raw = &bytes[token.start..token.end];
        let name = crate::parse::unquote(raw);
        let named = matches!(token.tok, Tok::Id | Tok::Kw(_) | Tok::Str)
            && name.eq_ignore_ascii_case(from.as_bytes())
            && (token.tok != Tok::Str || n > 0);
        if !named || !fits(&tokens, n) {
            continue;
        }
        out.push_str(&sql[done..token.start]);
        let quoted = raw.first().is_some_and(|b| matches!(b, b'"' | b'[' | b'`' | b'\''));
        if quoted {
            out.push_str(&format!("\"{}\"", to.replace('"', "\"\"")));
        } else {
            out.push_str(&super::create::quoted(to));
        }
        done = token.end;
    }
    out.push_str(&sql[done..]);
    out
}

fn rename_table(exec: &Exec<'_>, table: &crate::schema::Table, to: &str) -> Result<()> {
    let schema = exec.catalog.name(table.db);
    let taken = exec.catalog.table(Some(&schema), to).is_some_and(|t| t.name != table.name)
        || exec.catalog.view(Some(&schema), to).is_some()
        || exec.catalog.index_table(Some(&schema), to).is_some();
    if taken {
        return Err(Error::new(format!(
            "there is already another table or index with this name: {to}"
        )));
    }
    let from = table.name.clone();
    rewrite(exec, table.db, |row| {
        let own = text(&row[2]).eq_ignore_ascii_case(&from);
        let kind = text(&row[0]);
        let mut changed = false;
        if !row[4].is_null() {
            let sql = text(&row[4]);
            let new = replace_names(&sql, &from, to, |tokens, n| {
                let before = n.checked_sub(1).map(|n| tokens[n].tok);
                let behind = tokens.get(n + 1).map(|t| t.tok);
                use lex::Kw::*;
                let after_word = matches!(
                    before,
                    Some(Tok::Kw(Table | From | Join | Into | Update | On | References | Exists))
                );
                let in_list = before == Some(Tok::Comma) && kind != "table" && kind != "index";
                after_word || in_list || behind == Some(Tok::Dot)
            });
            changed = new != sql;
            row[4] = Value::text(new.into_bytes());
        }
        if own {
            if kind == "table" {
                row[1] = Value::text(to);
            }
            let auto = format!("sqlite_autoindex_{from}_");
            let name = text(&row[1]);
            if let Some(number) = name.strip_prefix(&auto) {
                row[1] = Value::text(format!("sqlite_autoindex_{to}_{number}"));
            }
            row[2] = Value::text(to);
            changed = true;
        }
        Ok(if changed { Change::Write } else { Change::Keep })
    })?;
    let sequence = exec.catalog.schemas[table.db].1.tables.get("sqlite_sequence");
    if sequence.is_some() && table.autoincrement {
        let sql = "UPDATE sqlite_sequence SET name = ?1 WHERE name = ?2";
        let parsed = crate::parse::statement(sql.as_bytes())?;
        if let Some(crate::ast::Stmt::Update(update)) = parsed.stmt {
            let params = [Value::text(to), Value::text(table.name.as_bytes())];
            let inner = Exec::new(exec.connection, exec.catalog.clone(), &params);
            let plan = inner.compile(|compiler| compiler.update(&update))?;
            exec.connection.atomically(table.db, || inner.run_update(&plan, None))?;
        }
    }
    Ok(())
}

fn rename_column(
    exec: &Exec<'_>,
    table: &crate::schema::Table,
    from: &str,
    to: &str,
) -> Result<()> {
    if table.column(from).is_none() {
        return Err(Error::new(format!("no such column: \"{from}\"")));
    }
    if table.column(to).is_some_and(|at| !table.columns[at].name.eq_ignore_ascii_case(from)) {
        return Err(Error::new(format!("duplicate column name: {to}")));
    }
    rewrite(exec, table.db, |row| {
        let own = text(&row[2]).eq_ignore_ascii_case(&table.name);
        let kind = text(&row[0]);
        let sql = text(&row[4]);
        let names_table = sql.to_ascii_lowercase().contains(&table.name.to_ascii_lowercase());
        if row[4].is_null() || !own && (!names_table || kind == "table" || kind == "index") {
            return Ok(Change::Keep);
        }
        let new = replace_names(&sql, from, to, |tokens, n| {
            let before = n.checked_sub(1).map(|n| tokens[n].tok);
            use lex::Kw::*;
            !matches!(before, Some(Tok::Kw(Table | Index | View | Trigger | From | Join | Into | As | References)))
                && tokens.get(n + 1).map(|t| t.tok) != Some(Tok::Dot)
        });
        if new == sql {
            return Ok(Change::Keep);
        }
        row[4] = Value::text(new.into_bytes());
        Ok(Change::Write)
    })
}

fn drop_column(exec: &Exec<'_>, table: &std::rc::Rc<crate::schema::Table>, name: &str) -> Result<()> {
    let at = table
        .column(name)
        .ok_or_else(|| Error::new(format!("no such column: \"{name}\"")))?;
    let refuse = |why: &str| Err(Error::new(format!("cannot drop {why} column: \"{name}\"")));
    if table.columns[at].primary_key > 0 {
        return refuse("PRIMARY KEY");
    }
    let part = crate::schema::IndexPart::Column(at);
    for index in &table.indexes {
        if index.columns[..index.key_columns].iter().any(|c| c.part == part) {
            if index.origin == crate::schema::Origin::Unique {
                return refuse("UNIQUE");
            }
            return Err(Error::new(format!(
                "error in index {} after drop column: no such column: {name}",
                index.name
            )));
        }
    }
    if table.columns.len() == 1 {
        return Err(Error::new(format!("cannot drop column \"{name}\": no other columns exist")));
    }
    let new = without_column(&table.sql, at)?;
    exec.connection.atomically(table.db, || {
        // The rows are written without the column.
        let parsed = crate::parse::statement(new.as_bytes())?;
        let Some(crate::ast::Stmt::CreateTable(definition)) = parsed.stmt else {
            return Err(Error::new("malformed schema"));
        };
        let mut after = crate::schema::Table::define(table.db, &definition, table.encoding)?;
        after.root = table.root;
        if let Some(primary) = &mut after.primary {
            std::rc::Rc::make_mut(primary).root = table.root;
        }
        after.indexes.clear();
        let stored = table.fields[at].is_some();
        let mut writer = crate::dml::Writer::open(exec, table)?;
        let mut target = crate::dml::Writer::open(exec, &std::rc::Rc::new(after))?;
        let mut on = stored && writer.cursor.first()?;
        while on {
            let mut row = writer.read(exec)?;
            row.values.remove(at);
            target.put(exec, &row, &[], false)?;
            on = writer.cursor.next()?;
        }
        let mut master = Master::open(exec, table.db)?;
        master.each(|row| {
            if is_table(row, &table.name) {
                row[4] = Value::text(new.as_bytes());
                return Ok(Change::Write);
            }
            Ok(Change::Keep)
        })?;
        master.changed()
    })
}

/// The text of a table without its column number `at`.
fn without_column(sql: &str, at: usize) -> Result<String> {
    let bytes = sql.as_bytes();
    let mut depth = 0;
    let mut place = 0;
    let mut column = 0;
    let (mut start, mut end) = (None, None);
    let mut before = 0;
    loop {
        let token = lex::next(bytes, place);
        place = token.end;
        match token.tok {
            Tok::End => break,
            Tok::LParen => {
                depth += 1;
                if depth == 1 {
                    before = token.end;
                    if at == 0 {
                        start = Some(token.end);
                    }
                }
            }
            Tok::RParen => {
                depth -= 1;
                if depth == 0 {
                    if column == at {
                        end = Some(token.start);
                    }
                    break;
                }
            }
            Tok::Comma if depth == 1 => {
                if column == at {
                    end = Some(if at == 0 { token.end } else { token.start });
                    break;
                }
                column += 1;
                if column == at {
                    start = Some(token.start);
                }
            }
            _ => {}
        }
    }
    let _ = before;
    match (start, end) {
        (Some(start), Some(end)) => {
            let rest = if at == 0 { sql[end..].trim_start() } else { &sql[end..] };
            Ok(format!("{}{rest}", &sql[..start]))
        }
        _ => Err(Error::new("malformed schema")),
    }
}
