//! ALTER TABLE.

use super::verify::Scope;
use super::{Change, Master};
use crate::ast::{Alter, ColumnConstraint, ColumnDef, Expr, Literal, QualifiedName, Unary};
use crate::compile::shown;
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::lex::{self, Tok};
use crate::value::Value;

pub(super) fn table(
    exec: &Exec<'_>,
    name: &QualifiedName,
    action: &Alter,
    text: &[u8],
) -> Result<()> {
    let schema = name.schema.as_deref();
    let table = exec.catalog.table(schema, &name.name).ok_or_else(|| {
        if exec.catalog.view(schema, &name.name).is_some() {
            if matches!(action, Alter::AddColumn { .. }) {
                return Error::new("Cannot add a column to a view");
            }
            return Error::new(format!("view {} may not be altered", name.name));
        }
        Error::new(format!("no such table: {}", shown(name)))
    })?;
    if table.name.starts_with("sqlite_") {
        let shown = if &*table.name == "sqlite_schema" { "sqlite_master" } else { &table.name };
        return Err(Error::new(format!("table {shown} may not be altered")));
    }
    match action {
        Alter::AddColumn { column, text } => add_column(exec, &table, column, text),
        Alter::RenameTable(to) => rename_table(exec, &table, to),
        Alter::RenameColumn(from, to) => {
            named_column(&table, from, text, 2)?;
            rename_column(exec, &table, from, to)
        }
        Alter::DropColumn(column) => {
            named_column(&table, column, text, 0)?;
            drop_column(exec, &table, column)
        }
    }
}

/// The column that the statement names `behind` tokens before its end.
fn named_column(
    table: &crate::schema::Table,
    name: &str,
    text: &[u8],
    behind: usize,
) -> Result<usize> {
    table.column(name).ok_or_else(|| {
        let mut starts = Vec::new();
        let mut at = 0;
        loop {
            let token = lex::next(text, at);
            at = token.end;
            match token.tok {
                Tok::End | Tok::Semi => break,
                _ => starts.push(token.start),
            }
        }
        let place = starts.len().checked_sub(behind + 1).map_or(0, |n| starts[n]);
        Error::new(format!("no such column: \"{name}\"")).at(place)
    })
}

/// Whether a default is one value that old rows can be given.
fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Unary(Unary::Minus | Unary::Plus, inner) => is_literal(inner),
        Expr::Literal(Literal::CurrentDate | Literal::CurrentTime | Literal::CurrentTimestamp) => {
            false
        }
        Expr::Literal(_) | Expr::Column { .. } => true,
        _ => false,
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
    let mut constant = true;
    let mut stored = false;
    for constraint in &column.constraints {
        match constraint {
            ColumnConstraint::PrimaryKey { .. } => {
                return Err(Error::new("Cannot add a PRIMARY KEY column"));
            }
            ColumnConstraint::Unique(_) => return Err(Error::new("Cannot add a UNIQUE column")),
            ColumnConstraint::NotNull(_) => not_null = true,
            ColumnConstraint::Default { expr, .. } => {
                default = !matches!(expr, Expr::Literal(Literal::Null));
                constant = is_literal(expr);
            }
            ColumnConstraint::Generated { stored: true, .. } => stored = true,
            _ => {}
        }
    }
    if table.column(&column.name).is_some() {
        return Err(Error::new(format!("duplicate column name: {}", column.name)));
    }
    let refusal = match (not_null && !default, constant, stored) {
        (true, ..) => Some("Cannot add a NOT NULL column with default value NULL"),
        (_, false, _) => Some("Cannot add a column with non-constant default"),
        (.., true) => Some("cannot add a STORED column"),
        _ => None,
    };
    if let Some(refusal) = refusal
        && exec.table_cursor(table)?.first()?
    {
        return Err(Error::new(refusal).while_running());
    }
    let sql = &table.sql;
    let at = columns_end(sql.as_bytes()).ok_or_else(|| Error::new("malformed schema"))?;
    let new = format!("{}, {}{}", &sql[..at], text, &sql[at..]);
    crate::parse::statement(new.as_bytes())?;
    let after = Check { scope: Scope::Table(&table.name), phase: " after add column" };
    rewrite(exec, table.db, after, |row| {
        if is_table(row, &table.name) {
            row[4] = Value::text(new.as_bytes());
            return Ok(Change::Write);
        }
        Ok(Change::Keep)
    })
}

/// Where the list of columns ends: at the first constraint of the table or the closing parenthesis.
fn columns_end(sql: &[u8]) -> Option<usize> {
    use lex::Kw::{Check, Constraint, Foreign, Primary, Unique};
    let mut depth = 0;
    let mut at = 0;
    loop {
        let token = lex::next(sql, at);
        at = token.end;
        match token.tok {
            Tok::LParen => depth += 1,
            Tok::RParen if depth == 1 => return Some(token.start),
            Tok::RParen => depth -= 1,
            Tok::Comma if depth == 1 => {
                let behind = lex::next(sql, at).tok;
                if matches!(behind, Tok::Kw(Check | Constraint | Foreign | Primary | Unique)) {
                    return Some(token.start);
                }
            }
            Tok::End => return None,
            _ => {}
        }
    }
}

/// What is checked behind a change.
struct Check<'c> {
    scope: Scope<'c>,
    phase: &'c str,
}

const AFTER_RENAME: Check<'static> = Check { scope: Scope::All, phase: " after rename" };

fn rewrite(
    exec: &Exec<'_>,
    db: usize,
    check: Check<'_>,
    change: impl FnMut(&mut [crate::value::Owned]) -> Result<Change>,
) -> Result<()> {
    exec.connection.atomically(db, || {
        let mut master = Master::open(exec, db)?;
        master.each(change)?;
        master.changed()?;
        super::verify::schema(exec, db, check.scope, check.phase)
    })
}

fn text(value: &Value<'_>) -> String {
    String::from_utf8_lossy(&value.to_text()).into_owned()
}

fn is_table(row: &[crate::value::Owned], name: &str) -> bool {
    text(&row[0]) == "table" && text(&row[1]).eq_ignore_ascii_case(name)
}

/// Replaces the tokens that are the name `from` where `fits` says so; the rest of the text stays.
fn replace_names(
    sql: &str,
    from: &str,
    to: &str,
    always: bool,
    fits: impl Fn(&[lex::Token], usize) -> bool,
) -> String {
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
        if quoted || always {
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
    if to.to_ascii_lowercase().starts_with("sqlite_") {
        return Err(Error::new(format!("object name reserved for internal use: {to}")));
    }
    let from = table.name.clone();
    super::verify::schema(exec, table.db, Scope::All, "")?;
    rewrite(exec, table.db, AFTER_RENAME, |row| {
        let own = text(&row[2]).eq_ignore_ascii_case(&from);
        let kind = text(&row[0]);
        let mut changed = false;
        if !row[4].is_null() {
            let sql = text(&row[4]);
            let new = replace_names(&sql, &from, to, true, |tokens, n| {
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
    if table.column(to).is_some_and(|at| !table.columns[at].name.eq_ignore_ascii_case(from)) {
        let text =
            format!("error in table {} after rename: duplicate column name: {to}", table.name);
        return Err(Error::new(text).while_running());
    }
    super::verify::schema(exec, table.db, Scope::All, "")?;
    rewrite(exec, table.db, AFTER_RENAME, |row| {
        let own = text(&row[2]).eq_ignore_ascii_case(&table.name);
        let kind = text(&row[0]);
        let sql = text(&row[4]);
        let names_table = sql.to_ascii_lowercase().contains(&table.name.to_ascii_lowercase());
        if row[4].is_null() || !own && (!names_table || kind == "index") {
            return Ok(Change::Keep);
        }
        let new = replace_names(&sql, from, to, false, |tokens, n| {
            let before = n.checked_sub(1).map(|n| tokens[n].tok);
            use lex::Kw::*;
            if kind == "table" {
                // A name within REFERENCES belongs to the table that is referred to.
                let owner = referred(sql.as_bytes(), tokens, n);
                let owned = owner.as_ref().map_or(own, |o| o.eq_ignore_ascii_case(&table.name));
                if !owned {
                    return false;
                }
            }
            !matches!(
                before,
                Some(Tok::Kw(
                    Table | Index | View | Trigger | From | Join | Into | As | References
                ))
            ) && tokens.get(n + 1).map(|t| t.tok) != Some(Tok::Dot)
        });
        if new == sql {
            return Ok(Change::Keep);
        }
        row[4] = Value::text(new.into_bytes());
        Ok(Change::Write)
    })
}

/// The table of the REFERENCES clause in whose list of columns token `n` stands.
fn referred(sql: &[u8], tokens: &[lex::Token], n: usize) -> Option<String> {
    let open =
        tokens[..n].iter().rposition(|t| !matches!(t.tok, Tok::Id | Tok::Comma | Tok::Str))?;
    let before = open.checked_sub(2)?;
    let fits =
        tokens[open].tok == Tok::LParen && tokens[before].tok == Tok::Kw(lex::Kw::References);
    let name = tokens[open - 1];
    let name = crate::parse::unquote(sql.get(name.start..name.end)?);
    fits.then(|| String::from_utf8_lossy(&name).into_owned())
}

fn drop_column(
    exec: &Exec<'_>,
    table: &std::rc::Rc<crate::schema::Table>,
    name: &str,
) -> Result<()> {
    let at = table.column(name).ok_or_else(|| Error::new(format!("no such column: \"{name}\"")))?;
    let refuse = |why: &str| Err(Error::new(format!("cannot drop {why} column: \"{name}\"")));
    if table.columns[at].primary_key > 0 {
        return refuse("PRIMARY KEY");
    }
    let part = crate::schema::IndexPart::Column(at);
    for index in &table.indexes {
        if index.columns[..index.key_columns].iter().any(|c| c.part == part) {
            if index.origin == crate::schema::Origin::Unique && has_unique(&table.sql, at) {
                return refuse("UNIQUE");
            }
            let object = if index.origin == crate::schema::Origin::Create {
                format!("index {}", index.name)
            } else {
                format!("table {}", table.name)
            };
            return Err(Error::new(format!(
                "error in {object} after drop column: no such column: {name}"
            ))
            .while_running());
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
        let after = std::rc::Rc::new(after);
        super::create::check_expressions(exec, &after).map_err(|error| {
            let text = format!("error in table {} after drop column: {error}", table.name);
            Error::new(text).while_running()
        })?;
        let mut writer = crate::dml::Writer::open(exec, table)?;
        let mut target = crate::dml::Writer::open(exec, &after)?;
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
        master.changed()?;
        super::verify::schema(exec, table.db, Scope::All, " after drop column")
    })
}

/// Whether UNIQUE is a constraint of the column itself.
fn has_unique(sql: &str, at: usize) -> bool {
    let parsed = crate::parse::statement(sql.as_bytes());
    let Ok(Some(crate::ast::Stmt::CreateTable(create))) = parsed.map(|parsed| parsed.stmt) else {
        return false;
    };
    create.columns.get(at).is_some_and(|column| {
        column.constraints.iter().any(|c| matches!(c, ColumnConstraint::Unique(_)))
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
