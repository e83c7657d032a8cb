//! Foreign keys: a child row needs its parent; a parent that goes or changes takes its children
//! along, sets them free, or stays.

use std::rc::Rc;

use super::{NewRow, Writer};
use crate::ast::{Conflict, FkAction};
use crate::collate::Collation;
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::schema::{Table, TableKey};
use crate::value::{Owned, Value};

/// The side of a foreign key that is pointed at: it decides how keys are compared.
#[derive(Clone, Copy)]
struct Parent<'p> {
    table: &'p Table,
    columns: &'p [usize],
}

impl Parent<'_> {
    fn collations(&self) -> Vec<Collation> {
        self.columns.iter().map(|at| self.table.columns[*at].collation).collect()
    }
}

impl Exec<'_> {
    /// Checks that the parents of a new row are there.
    pub(super) fn check_child(&self, table: &Rc<Table>, row: &NewRow) -> Result<()> {
        if !self.connection.foreign_keys() {
            return Ok(());
        }
        for key in &table.foreign_keys {
            let values: Vec<Owned> = key.columns.iter().map(|at| row.values[*at].clone()).collect();
            if values.iter().any(Value::is_null) || self.parent_has(table, key, &values, row)? {
                continue;
            }
            if key.key.deferred || self.connection.defers_foreign_keys() {
                self.connection.note_deferred(table, key);
                continue;
            }
            return Err(failed());
        }
        Ok(())
    }

    fn parent_has(
        &self,
        table: &Rc<Table>,
        key: &TableKey,
        values: &[Owned],
        row: &NewRow,
    ) -> Result<bool> {
        let schema = self.catalog.name(table.db);
        let Some(parent) = self.catalog.table(Some(&schema), &key.key.table) else {
            let text = format!("no such table: {schema}.{}", key.key.table);
            return Err(Error::new(text).in_prepare());
        };
        let columns = parent_columns(&parent, key, &table.name)?;
        if Rc::ptr_eq(&parent, table) || parent.name == table.name {
            let own = columns
                .iter()
                .zip(values)
                .all(|(at, v)| row.values[*at].compare(v, parent.columns[*at].collation).is_eq());
            if own {
                return Ok(true);
            }
        }
        let collations = Parent { table: &parent, columns: &columns }.collations();
        Ok(!self.rows_with(&parent, &columns, values, &collations)?.is_empty())
    }

    /// The rows of a table whose columns equal the values.
    fn rows_with(
        &self,
        table: &Rc<Table>,
        columns: &[usize],
        values: &[Owned],
        collations: &[Collation],
    ) -> Result<Vec<NewRow>> {
        let mut writer = Writer::open(self, table)?;
        let mut found = Vec::new();
        if let ([only], [value]) = (columns, values)
            && table.rowid_alias == Some(*only)
        {
            if let Some(rowid) = crate::exec::as_rowid(value)
                && writer.seek(&[Value::Int(rowid)])?
            {
                found.push(writer.read(self)?);
            }
            return Ok(found);
        }
        let mut on = writer.cursor.first()?;
        while on {
            let row = writer.read(self)?;
            let same =
                columns.iter().zip(values).zip(collations).all(|((at, value), collation)| {
                    let column = &table.columns[*at];
                    let value = value.clone().apply(column.affinity);
                    !row.values[*at].is_null()
                        && row.values[*at].compare(&value, *collation).is_eq()
                });
            if same {
                found.push(row);
            }
            on = writer.cursor.next()?;
        }
        Ok(found)
    }

    /// Deals with the children of a row that is gone.
    pub(super) fn check_parent_delete(&self, table: &Rc<Table>, old: &NewRow) -> Result<()> {
        self.each_child(table, |child, key, columns| {
            let values: Vec<Owned> = columns.iter().map(|at| old.values[*at].clone()).collect();
            let parent = Parent { table, columns };
            self.act(child, key, parent, &values, None)
        })
    }

    /// Deals with the children of a row whose key has changed.
    pub(super) fn check_parent_update(
        &self,
        table: &Rc<Table>,
        old: &NewRow,
        new: &NewRow,
    ) -> Result<()> {
        self.each_child(table, |child, key, columns| {
            let before: Vec<Owned> = columns.iter().map(|at| old.values[*at].clone()).collect();
            let after: Vec<Owned> = columns.iter().map(|at| new.values[*at].clone()).collect();
            if before == after {
                return Ok(());
            }
            let parent = Parent { table, columns };
            self.act(child, key, parent, &before, Some(&after))
        })
    }

    fn each_child(
        &self,
        table: &Rc<Table>,
        mut each: impl FnMut(&Rc<Table>, &TableKey, &[usize]) -> Result<()>,
    ) -> Result<()> {
        if !self.connection.foreign_keys() {
            return Ok(());
        }
        let Some((_, schema)) = self.catalog.schemas.get(table.db) else { return Ok(()) };
        for child in schema.tables.values() {
            for key in &child.foreign_keys {
                if key.key.table.eq_ignore_ascii_case(&table.name) {
                    let columns = parent_columns(table, key, &child.name)?;
                    each(child, key, &columns)?;
                }
            }
        }
        Ok(())
    }

    fn act(
        &self,
        child: &Rc<Table>,
        key: &TableKey,
        parent: Parent<'_>,
        values: &[Owned],
        new: Option<&[Owned]>,
    ) -> Result<()> {
        let action = if new.is_some() { key.key.on_update } else { key.key.on_delete };
        if values.iter().any(Value::is_null) {
            return Ok(());
        }
        let collations = parent.collations();
        let rows = self.rows_with(child, &key.columns, values, &collations)?;
        if rows.is_empty() {
            return Ok(());
        }
        match action {
            FkAction::NoAction | FkAction::Restrict => {
                let later = key.key.deferred || self.connection.defers_foreign_keys();
                if later && action == FkAction::NoAction {
                    self.connection.note_deferred(child, key);
                    return Ok(());
                }
                Err(failed())
            }
            FkAction::Cascade if new.is_none() => {
                let triggers = super::trigger::Triggers::of_delete(self, child)?;
                let mut writer = Writer::open(self, child)?;
                for row in rows {
                    if writer.seek(&writer.key_of(&row))? {
                        triggers.fire(
                            self,
                            crate::ast::TriggerTime::Before,
                            Some(&row),
                            None,
                            None,
                        )?;
                        writer.remove(self, &row)?;
                        self.check_parent_delete(child, &row)?;
                        triggers.fire(
                            self,
                            crate::ast::TriggerTime::After,
                            Some(&row),
                            None,
                            None,
                        )?;
                    }
                }
                Ok(())
            }
            _ => {
                let changed: Vec<u16> = key.columns.iter().map(|at| *at as u16).collect();
                let triggers = super::trigger::Triggers::of_update(self, child, &changed)?;
                let mut writer = Writer::open(self, child)?;
                for row in rows {
                    let mut after = row.clone();
                    for (n, at) in key.columns.iter().enumerate() {
                        let value = match (action, new) {
                            (FkAction::Cascade, Some(new)) => new[n].clone(),
                            (FkAction::SetDefault, _) => {
                                let default =
                                    self.compile(|compiler| compiler.default_of(child, *at))?;
                                let frame = crate::exec::Frame::of_rows(None, vec![]);
                                self.eval(&default, &frame)?.into_owned()
                            }
                            _ => Value::Null,
                        };
                        if child.rowid_alias == Some(*at) {
                            after.rowid = value.to_int();
                        }
                        after.values[*at] = value;
                    }
                    self.update_row(&mut writer, &triggers, row, after, None)?;
                }
                Ok(())
            }
        }
    }

    /// Whether any row of a child table misses its parent: what a commit asks of deferred keys.
    pub fn has_orphans(&self, table: &Rc<Table>, key: &TableKey) -> Result<bool> {
        Ok(!self.orphans(table, key)?.is_empty())
    }

    /// The rowids of the rows of a child table that miss their parent.
    pub fn orphans(&self, table: &Rc<Table>, key: &TableKey) -> Result<Vec<i64>> {
        let mut writer = Writer::open(self, table)?;
        let mut found = Vec::new();
        let mut on = writer.cursor.first()?;
        while on {
            let row = writer.read(self)?;
            let values: Vec<Owned> = key.columns.iter().map(|at| row.values[*at].clone()).collect();
            if !values.iter().any(Value::is_null) && !self.parent_has(table, key, &values, &row)? {
                found.push(row.rowid);
            }
            on = writer.cursor.next()?;
        }
        Ok(found)
    }
}

fn failed() -> Error {
    Error::constraint("FOREIGN KEY constraint failed", Conflict::Abort)
}

/// The columns of the parent that a key points at: they must be its primary key or unique.
fn parent_columns(parent: &Table, key: &TableKey, child: &str) -> Result<Vec<usize>> {
    let mismatch = || {
        Error::new(format!("foreign key mismatch - \"{child}\" referencing \"{}\"", parent.name))
    };
    if key.key.columns.is_empty() {
        let mut primary: Vec<(usize, usize)> = parent
            .columns
            .iter()
            .enumerate()
            .filter(|(_, c)| c.primary_key > 0)
            .map(|(at, c)| (c.primary_key, at))
            .collect();
        primary.sort_unstable();
        if primary.len() != key.columns.len() {
            return Err(mismatch());
        }
        return Ok(primary.into_iter().map(|(_, at)| at).collect());
    }
    let columns: Option<Vec<usize>> =
        key.key.columns.iter().map(|name| parent.column(name)).collect();
    let columns = columns.ok_or_else(mismatch)?;
    let unique = parent.rowid_alias.is_some_and(|at| columns == [at])
        || parent.primary.iter().chain(&parent.indexes).any(|index| {
            index.unique
                && index.filter.is_none()
                && index.key_columns == columns.len()
                && index.columns[..index.key_columns].iter().all(
                    |c| matches!(c.part, crate::schema::IndexPart::Column(at) if columns.contains(&at)),
                )
        });
    if unique { Ok(columns) } else { Err(mismatch()) }
}
