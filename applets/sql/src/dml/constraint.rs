//! NOT NULL, CHECK, STRICT types, the rowid and unique indexes: what keeps a row out.

use super::{NewRow, Writer};
use crate::ast::Conflict;
use crate::btree::Seek;
use crate::error::{CONSTRAINT, Error, Result};
use crate::exec::{Exec, Frame};
use crate::record::Field;
use crate::schema::{Index, IndexPart, Table};
use crate::value::{Affinity, Owned, Value};

/// What a check of a row came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// IGNORE: the row is left out.
    Skip,
}

/// A row that is in the way.
pub(super) struct Clash {
    /// The index, or `None` for the rowid (and the tree of a WITHOUT ROWID table).
    pub index: Option<usize>,
    /// The key of the row.
    pub key: Vec<Owned>,
    pub message: String,
    pub conflict: Conflict,
}

impl Writer {
    /// Converts the values of a row by the affinities of their columns.
    pub fn convert(&self, row: &mut NewRow) -> Result<()> {
        for (value, column) in row.values.iter_mut().zip(&self.table.columns) {
            *value = std::mem::take(value).apply(column.affinity);
            if self.table.strict {
                strict(&self.table, column, value)?;
            }
        }
        Ok(())
    }

    /// NOT NULL and CHECK.
    pub(super) fn check(
        &self,
        exec: &Exec<'_>,
        row: &mut NewRow,
        conflict: Option<Conflict>,
    ) -> Result<Verdict> {
        for at in 0..row.values.len() {
            let column = &self.table.columns[at];
            let Some(own) = column.not_null else { continue };
            if !row.values[at].is_null() || self.table.rowid_alias == Some(at) {
                continue;
            }
            let mut action = conflict.or(own).unwrap_or(Conflict::Abort);
            if action == Conflict::Replace {
                let default = exec.compile(|compiler| compiler.default_of(&self.table, at))?;
                let frame = Frame::of_rows(None, vec![]);
                let value = exec.eval(&default, &frame)?.into_owned();
                if !value.is_null() {
                    row.values[at] = value.apply(column.affinity);
                    continue;
                }
                action = Conflict::Abort;
            }
            if action == Conflict::Ignore {
                return Ok(Verdict::Skip);
            }
            let text = format!("NOT NULL constraint failed: {}.{}", self.table.name, column.name);
            return Err(Error::constraint(text, action));
        }
        if self.checks.is_empty() || exec.connection.ignores_checks() {
            return Ok(Verdict::Pass);
        }
        let frame = Frame::of_rows(None, vec![super::writer::slot_of(row)]);
        for (expr, shown) in &self.checks {
            if exec.truth(expr, &frame)? == Some(false) {
                let action = conflict.unwrap_or(Conflict::Abort);
                if action == Conflict::Ignore {
                    return Ok(Verdict::Skip);
                }
                // A CHECK is not mended by REPLACE.
                let action = if action == Conflict::Replace { Conflict::Abort } else { action };
                let text = format!("CHECK constraint failed: {shown}");
                return Err(Error::constraint(text, action));
            }
        }
        Ok(Verdict::Pass)
    }

    /// The rows that have the rowid or a unique key of `row`; `own` is the row itself where it is
    /// updated. `fresh`: the rowid is known to be free.
    pub(super) fn clashes(
        &mut self,
        row: &NewRow,
        entries: &[Option<Vec<Owned>>],
        own: Option<&[Owned]>,
        fresh: bool,
        conflict: Option<Conflict>,
    ) -> Result<Vec<Clash>> {
        let mut clashes = Vec::new();
        let key = self.key_of(row);
        let same = own.is_some_and(|own| same_key(&self.table, own, &key));
        if !fresh && !same && self.has_key(row, &key)? {
            let own = match &self.table.primary {
                Some(primary) => primary.conflict,
                None => self.table.rowid_conflict,
            };
            clashes.push(Clash {
                index: None,
                message: self.key_message(),
                conflict: conflict.or(own).unwrap_or(Conflict::Abort),
                key,
            });
        }
        for (n, entry) in entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            let index = self.indexes[n].index.clone();
            if !index.unique || entry[..index.key_columns].iter().any(Value::is_null) {
                continue;
            }
            let fields: Vec<Field<'_>> =
                entry[..index.key_columns].iter().map(Value::as_field).collect();
            let cursor = &mut self.indexes[n].cursor;
            if !cursor.seek_key(&fields, Seek::Eq)? {
                continue;
            }
            let key = match &self.table.primary {
                None => vec![Value::Int(crate::exec::rowid_of_entry(cursor.payload()?)?)],
                Some(primary) => crate::exec::row_key(cursor.payload()?, &index, primary)?,
            };
            if own.is_some_and(|own| same_key(&self.table, own, &key)) {
                continue;
            }
            clashes.push(Clash {
                index: Some(n),
                key,
                message: unique_message(&self.table, &index),
                conflict: conflict.or(index.conflict).unwrap_or(Conflict::Abort),
            });
        }
        Ok(clashes)
    }

    fn has_key(&mut self, row: &NewRow, key: &[Owned]) -> Result<bool> {
        match &self.table.primary {
            None => Ok(self.cursor.has_row(row.rowid)?),
            Some(_) => self.seek(key),
        }
    }

    fn key_message(&self) -> String {
        match (&self.table.primary, self.table.rowid_alias) {
            (Some(primary), _) => unique_message(&self.table, primary),
            (None, Some(at)) => format!(
                "UNIQUE constraint failed: {}.{}",
                self.table.name, self.table.columns[at].name
            ),
            _ => format!("UNIQUE constraint failed: {}.rowid", self.table.name),
        }
    }
}

fn same_key(table: &Table, left: &[Owned], right: &[Owned]) -> bool {
    let collation = |n: usize| {
        table.primary.as_ref().map_or(crate::collate::Collation::Binary, |p| p.columns[n].collation)
    };
    left.len() == right.len()
        && left.iter().zip(right).enumerate().all(|(n, (l, r))| l.compare(r, collation(n)).is_eq())
}

/// The message of a unique index: its columns, or its name where it has expressions.
pub(crate) fn unique_message(table: &Table, index: &Index) -> String {
    let mut names = Vec::new();
    for column in &index.columns[..index.key_columns] {
        match column.part {
            IndexPart::Column(at) => {
                names.push(format!("{}.{}", table.name, table.columns[at].name));
            }
            IndexPart::Rowid => names.push(format!("{}.rowid", table.name)),
            IndexPart::Expr(_) => {
                return format!("UNIQUE constraint failed: index '{}'", index.name);
            }
        }
    }
    format!("UNIQUE constraint failed: {}", names.join(", "))
}

fn strict(table: &Table, column: &crate::schema::Column, value: &Owned) -> Result<()> {
    let Some(name) = &column.type_name else { return Ok(()) };
    let fits = match (column.affinity, value) {
        (_, Value::Null) => true,
        (Affinity::Integer, Value::Int(_)) => true,
        (Affinity::Real, Value::Real(_)) => true,
        (Affinity::Text, Value::Text(_)) => true,
        (Affinity::Blob, Value::Blob(_)) => true,
        (Affinity::Blob, _) => name.eq_ignore_ascii_case("any"),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let text = format!(
        "cannot store {} value in {} column {}.{}",
        value.type_name().to_uppercase(),
        name.to_uppercase(),
        table.name,
        column.name
    );
    let _ = CONSTRAINT;
    Err(Error::constraint(text, Conflict::Abort))
}
