//! CREATE, DROP, ALTER, REINDEX, ANALYZE, VACUUM: what changes the schema.

mod alter;
mod analyze;
mod create;
mod drop;
mod index;
mod vacuum;
mod verify;

use crate::ast::Stmt;
use crate::btree::{Cursor, Meta, Placement, Store, TreeKind};
use crate::collate::Encoding;
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::lex::{self, Kw, Tok};
use crate::record::{self, Field};
use crate::value::{Owned, Value};

/// Runs a statement that changes the schema.
pub(crate) fn run(exec: &Exec<'_>, stmt: &Stmt, text: &[u8]) -> Result<()> {
    match stmt {
        Stmt::CreateTable(create) => create::table(exec, create, text),
        Stmt::CreateIndex(create) => create::index(exec, create, text),
        Stmt::CreateView(create) => create::view(exec, create, text),
        Stmt::CreateTrigger(create) => create::trigger(exec, create, text),
        Stmt::CreateVirtualTable(name) => {
            Err(Error::new(format!("no such module for virtual table {}", name.name)))
        }
        Stmt::Drop { kind, if_exists, name } => drop::object(exec, *kind, *if_exists, name),
        Stmt::Alter { table, action } => alter::table(exec, table, action, text),
        Stmt::Reindex(name) => create::reindex(exec, name.as_ref()),
        Stmt::Analyze(name) => analyze::run(exec, name.as_ref()),
        Stmt::Vacuum { schema, into } => vacuum::run(exec, schema.as_deref(), into.as_ref()),
        _ => Err(Error::new("statement not supported here")),
    }
}

/// The schema table of one database, opened for writing.
struct Master {
    store: Store,
    cursor: Cursor,
    encoding: Encoding,
}

impl Master {
    fn open(exec: &Exec<'_>, db: usize) -> Result<Master> {
        let store = exec.connection.store(db)?;
        let cursor = store.cursor(1, TreeKind::Table)?;
        let encoding = store.encoding()?;
        Ok(Master { store, cursor, encoding })
    }

    /// Adds a row.
    fn add(
        &mut self,
        kind: &str,
        name: &str,
        table: &str,
        root: u32,
        sql: Option<&[u8]>,
    ) -> Result<()> {
        let row = [
            Value::text(kind),
            Value::text(name),
            Value::text(table),
            Value::Int(i64::from(root)),
            sql.map_or(Value::Null, Value::text),
        ];
        let rowid = if self.cursor.last()? { self.cursor.rowid()? + 1 } else { 1 };
        self.write(rowid, &row)
    }

    fn write(&mut self, rowid: i64, row: &[Owned]) -> Result<()> {
        let stored: Vec<Owned> =
            row.iter().map(|value| value.clone().encoded(self.encoding).into_owned()).collect();
        let mut bytes = Vec::new();
        record::encode(stored.iter().map(Value::as_field), &mut bytes);
        Ok(self.cursor.insert_row(rowid, &bytes, 0, Placement::Anywhere)?)
    }

    /// Goes through all rows; `change` says what becomes of each.
    fn each(&mut self, mut change: impl FnMut(&mut [Owned]) -> Result<Change>) -> Result<()> {
        let mut rowids = Vec::new();
        let mut on = self.cursor.first()?;
        while on {
            rowids.push(self.cursor.rowid()?);
            on = self.cursor.next()?;
        }
        for rowid in rowids {
            if !self.cursor.seek_rowid(rowid, crate::btree::Seek::Eq)? {
                continue;
            }
            let mut row = Vec::with_capacity(5);
            for field in record::fields(self.cursor.payload()?)? {
                let field: Field<'_> = field?;
                row.push(Value::from_field(field, self.encoding).into_owned());
            }
            row.resize(5, Value::Null);
            match change(&mut row)? {
                Change::Keep => {}
                Change::Write => self.write(rowid, &row)?,
                Change::Delete => self.cursor.delete()?,
            }
        }
        Ok(())
    }

    /// Makes every connection read the schema anew.
    fn changed(&self) -> Result<()> {
        let cookie = self.store.meta(Meta::SchemaCookie)?;
        Ok(self.store.set_meta(Meta::SchemaCookie, cookie.wrapping_add(1))?)
    }

    /// Gives a tree back; a root that moves into its place is written anew.
    fn drop_tree(&mut self, root: u32) -> Result<()> {
        let Some(moved) = self.store.drop_tree(root)? else { return Ok(()) };
        self.each(|row| {
            if row[3] == Value::Int(i64::from(moved)) {
                row[3] = Value::Int(i64::from(root));
                return Ok(Change::Write);
            }
            Ok(Change::Keep)
        })
    }
}

enum Change {
    Keep,
    Write,
    Delete,
}

/// Where the bare name of the object stands in a CREATE statement.
fn name_offset(kind: &str, text: &[u8]) -> usize {
    let stored = stored_sql(kind, text);
    let name = stored.get("CREATE ".len() + kind.len() + 1..).unwrap_or_default();
    memchr::memmem::rfind(text, name).unwrap_or(0)
}

/// The text of a CREATE statement as the schema keeps it: `CREATE kind ` and all from the bare name
/// of the object on.
fn stored_sql(kind: &str, text: &[u8]) -> Vec<u8> {
    let mut at = 0;
    let mut next = || {
        let token = lex::next(text, at);
        at = token.end;
        token
    };
    let mut token = next();
    // Behind the word that says what is created stands the name, perhaps after IF NOT EXISTS.
    while !matches!(token.tok, Tok::Kw(Kw::Table | Kw::Index | Kw::View | Kw::Trigger) | Tok::End) {
        token = next();
    }
    token = next();
    if token.tok == Tok::Kw(Kw::If) && lex::next(text, token.end).tok == Tok::Kw(Kw::Not) {
        next();
        next();
        token = next();
    }
    let dot = lex::next(text, token.end);
    if dot.tok == Tok::Dot {
        next();
        token = next();
    }
    let start = token.start;
    let mut end = token.end;
    while !matches!(token.tok, Tok::End) {
        let following = lex::next(text, token.end);
        let last = following.tok == Tok::Semi && lex::next(text, following.end).tok == Tok::End;
        if last || following.tok == Tok::End {
            break;
        }
        end = following.end;
        token = following;
    }
    let mut sql = format!("CREATE {kind} ").into_bytes();
    sql.extend_from_slice(text.get(start..end).unwrap_or_default());
    sql
}
