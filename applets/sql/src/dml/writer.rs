//! A table opened for writing: its tree, its indexes, and the expressions that its constraints need.

use std::rc::Rc;

use super::NewRow;
use crate::btree::{Cursor, Placement, Seek, TreeKind};
use crate::error::Result;
use crate::exec::{Exec, Fetch, Frame, Slot, layout_of_table};
use crate::number;
use crate::plan::Expr;
use crate::record::{self, Field};
use crate::schema::{Index, IndexPart, Table};
use crate::value::{Affinity, Owned, Value};

/// An index opened for writing.
pub(crate) struct IndexWriter {
    pub index: Rc<Index>,
    pub cursor: Cursor,
    pub filter: Option<Expr>,
    /// The expression of each column that is one.
    pub exprs: Vec<Option<Expr>>,
}

/// A table opened for writing.
pub(crate) struct Writer {
    pub table: Rc<Table>,
    pub cursor: Cursor,
    pub indexes: Vec<IndexWriter>,
    pub checks: Vec<(Expr, Rc<str>)>,
    /// The expressions of generated columns.
    pub generated: Vec<(usize, Expr)>,
    layout: Rc<[Fetch]>,
    buffer: Vec<u8>,
}

impl Writer {
    /// Opens a table and all its indexes.
    ///
    /// # Errors
    /// An expression of the schema that means nothing any more, I/O.
    pub fn open(exec: &Exec<'_>, table: &Rc<Table>) -> Result<Writer> {
        let store = exec.connection.store(table.db)?;
        let mut indexes = Vec::with_capacity(table.indexes.len());
        for index in &table.indexes {
            let kind = TreeKind::Index(index.key_info.clone());
            let cursor = store.cursor(index.root, kind)?;
            let (filter, exprs) = index_exprs(exec, table, index)?;
            indexes.push(IndexWriter { index: index.clone(), cursor, filter, exprs });
        }
        let checks = if table.checks.is_empty() {
            vec![]
        } else {
            exec.compile(|compiler| {
                compiler.push_row(&table.name, table);
                table
                    .checks
                    .iter()
                    .map(|check| Ok((compiler.expr(&check.expr)?, check.shown.clone())))
                    .collect::<Result<Vec<_>>>()
            })?
        };
        let generated = generated_exprs(exec, table)?;
        Ok(Writer {
            cursor: exec.table_cursor(table)?,
            table: table.clone(),
            indexes,
            checks,
            generated,
            layout: layout_of_table(table),
            buffer: Vec::new(),
        })
    }

    /// Reads the row that the table's cursor is on.
    pub fn read(&mut self, exec: &Exec<'_>) -> Result<NewRow> {
        let rowid = if self.table.without_rowid { 0 } else { self.cursor.rowid()? };
        let encoding = self.table.encoding;
        let mut values = Vec::with_capacity(self.layout.len());
        let record = self.cursor.payload()?;
        let fields: Vec<Field<'_>> =
            record::fields(record)?.collect::<std::result::Result<_, _>>()?;
        for fetch in self.layout.iter() {
            values.push(match fetch {
                Fetch::Rowid => Value::Int(rowid),
                Fetch::None => Value::Null,
                Fetch::Field { at, real, missing } => match fields.get(*at as usize) {
                    Some(Field::Int(v)) if *real => Value::Real(*v as f64),
                    Some(field) => Value::from_field(*field, encoding).into_owned(),
                    None => missing.as_ref().map_or(Value::Null, |v| (**v).clone()),
                },
            });
        }
        let mut row = NewRow { values, rowid };
        self.generate(exec, &mut row)?;
        Ok(row)
    }

    /// Computes the generated columns of a row.
    pub fn generate(&self, exec: &Exec<'_>, row: &mut NewRow) -> Result<()> {
        for (at, expr) in self.generated.iter().cycle().take(self.generated.len().pow(2).min(16)) {
            let frame = Frame::of_rows(None, vec![row.slot()]);
            let value = exec.eval(expr, &frame)?.apply(self.table.columns[*at].affinity);
            row.values[*at] = value.into_owned();
        }
        Ok(())
    }

    /// Seeks the row of that key; for a table with rowids the key is the rowid alone.
    pub fn seek(&mut self, key: &[Owned]) -> Result<bool> {
        if self.table.primary.is_none() {
            let Some(Value::Int(rowid)) = key.first() else { return Ok(false) };
            return Ok(self.cursor.seek_rowid(*rowid, Seek::Eq)?);
        }
        let encoding = self.table.encoding;
        let key: Vec<Owned> = key.iter().map(|v| v.clone().encoded(encoding)).collect();
        let fields: Vec<Field<'_>> = key.iter().map(Value::as_field).collect();
        Ok(self.cursor.seek_key(&fields, Seek::Eq)?)
    }

    /// The key of a row.
    pub fn key_of(&self, row: &NewRow) -> Vec<Owned> {
        match &self.table.primary {
            None => vec![Value::Int(row.rowid)],
            Some(primary) => primary.columns[..primary.key_columns]
                .iter()
                .filter_map(|column| match column.part {
                    IndexPart::Column(at) => Some(row.values[at].clone()),
                    _ => None,
                })
                .collect(),
        }
    }

    /// The entry of a row in an index; `None` where a partial index leaves it out.
    pub fn entry(&self, exec: &Exec<'_>, n: usize, row: &NewRow) -> Result<Option<Vec<Owned>>> {
        let writer = &self.indexes[n];
        let needs_frame = writer.filter.is_some() || writer.exprs.iter().any(Option::is_some);
        let frame = needs_frame.then(|| Frame::of_rows(None, vec![row.slot()]));
        if let (Some(filter), Some(frame)) = (&writer.filter, &frame)
            && exec.truth(filter, frame)? != Some(true)
        {
            return Ok(None);
        }
        let mut entry = Vec::with_capacity(writer.index.columns.len());
        for (column, expr) in writer.index.columns.iter().zip(&writer.exprs) {
            entry.push(match (&column.part, expr, &frame) {
                (IndexPart::Column(at), ..) => self.stored(row, *at).into_owned(),
                (IndexPart::Rowid, ..) => Value::Int(row.rowid),
                (IndexPart::Expr(_), Some(expr), Some(frame)) => {
                    exec.eval(expr, frame)?.encoded(self.table.encoding).into_owned()
                }
                _ => Value::Null,
            });
        }
        Ok(Some(entry))
    }

    /// A column as it is stored: text encoded, whole doubles of a REAL column as integers.
    fn stored<'v>(&self, row: &'v NewRow, at: usize) -> Value<'v> {
        if self.table.rowid_alias == Some(at) {
            return Value::Int(row.rowid);
        }
        let value = &row.values[at];
        match value {
            Value::Real(v) if self.table.columns[at].affinity == Affinity::Real => {
                let whole = number::exact_int(*v).filter(|int| int.unsigned_abs() < 1 << 47);
                match whole {
                    Some(int) if int != 0 || v.is_sign_positive() => Value::Int(int),
                    _ => Value::Real(*v),
                }
            }
            other => other.borrow().encoded(self.table.encoding),
        }
    }

    /// Writes the row and its index entries; every conflict has been dealt with.
    pub fn put(
        &mut self,
        exec: &Exec<'_>,
        row: &NewRow,
        entries: &[Option<Vec<Owned>>],
        append: bool,
    ) -> Result<()> {
        let _ = exec;
        for (writer, entry) in self.indexes.iter_mut().zip(entries) {
            let Some(entry) = entry else { continue };
            self.buffer.clear();
            record::encode(entry.iter().map(Value::as_field), &mut self.buffer);
            writer.cursor.insert_key(&self.buffer, Placement::Anywhere)?;
        }
        let mut record = std::mem::take(&mut self.buffer);
        record.clear();
        let result = self.put_row(row, append, &mut record);
        self.buffer = record;
        result
    }

    fn put_row(&mut self, row: &NewRow, append: bool, record: &mut Vec<u8>) -> Result<()> {
        if let Some(primary) = self.table.primary.clone() {
            let values: Vec<Value<'_>> = primary
                .columns
                .iter()
                .map(|column| match column.part {
                    IndexPart::Column(at) => self.stored(row, at),
                    _ => Value::Null,
                })
                .collect();
            record::encode(values.iter().map(Value::as_field), record);
            return Ok(self.cursor.insert_key(record, Placement::Anywhere)?);
        }
        let values: Vec<Value<'_>> = (0..row.values.len())
            .filter(|at| self.table.fields[*at].is_some())
            .map(|at| {
                // The alias of the rowid is stored as NULL.
                if self.table.rowid_alias == Some(at) { Value::Null } else { self.stored(row, at) }
            })
            .collect();
        record::encode(values.iter().map(Value::as_field), record);
        let placement = if append { Placement::Append } else { Placement::Anywhere };
        Ok(self.cursor.insert_row(row.rowid, record, 0, placement)?)
    }

    /// Removes the entries of a row from the indexes for which `which` holds.
    pub fn remove_entries(
        &mut self,
        exec: &Exec<'_>,
        row: &NewRow,
        which: impl Fn(usize) -> bool,
    ) -> Result<()> {
        for n in 0..self.indexes.len() {
            if !which(n) {
                continue;
            }
            let Some(entry) = self.entry(exec, n, row)? else { continue };
            let fields: Vec<Field<'_>> = entry.iter().map(Value::as_field).collect();
            let cursor = &mut self.indexes[n].cursor;
            if cursor.seek_key(&fields, Seek::Eq)? {
                cursor.delete()?;
            }
        }
        Ok(())
    }

    /// Removes a row and its index entries.
    pub fn remove(&mut self, exec: &Exec<'_>, row: &NewRow) -> Result<bool> {
        let key = self.key_of(row);
        self.remove_entries(exec, row, |_| true)?;
        let found = self.seek(&key)?;
        if found {
            self.cursor.delete()?;
        }
        Ok(found)
    }
}

/// The expressions of the generated columns of a table.
pub(crate) fn generated_exprs(exec: &Exec<'_>, table: &Rc<Table>) -> Result<Vec<(usize, Expr)>> {
    if !table.has_generated {
        return Ok(vec![]);
    }
    exec.compile(|compiler| {
        compiler.push_row(&table.name, table);
        let mut out = Vec::new();
        for (at, column) in table.columns.iter().enumerate() {
            if let Some((expr, _)) = &column.generated {
                out.push((at, compiler.expr(expr)?));
            }
        }
        Ok(out)
    })
}

#[allow(clippy::type_complexity)]
pub(crate) fn index_exprs(
    exec: &Exec<'_>,
    table: &Rc<Table>,
    index: &Index,
) -> Result<(Option<Expr>, Vec<Option<Expr>>)> {
    let plain = index.filter.is_none()
        && index.columns.iter().all(|c| !matches!(c.part, IndexPart::Expr(_)));
    if plain {
        return Ok((None, vec![None; index.columns.len()]));
    }
    exec.compile(|compiler| {
        compiler.push_row(&table.name, table);
        let filter = index.filter.as_ref().map(|filter| compiler.expr(filter)).transpose()?;
        let mut exprs = Vec::with_capacity(index.columns.len());
        for column in &index.columns {
            exprs.push(match &column.part {
                IndexPart::Expr(expr) => Some(compiler.expr(expr)?),
                _ => None,
            });
        }
        Ok((filter, exprs))
    })
}

/// A row as the slot of a frame.
pub(crate) fn slot_of(row: &NewRow) -> Slot {
    row.slot()
}
