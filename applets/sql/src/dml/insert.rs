//! INSERT, REPLACE, UPSERT.

use super::constraint::{Clash, Verdict};
use super::trigger::Triggers;
use super::{NewRow, Returned, Writer, returned};
use crate::ast::{Conflict, Name, TriggerTime};
use crate::error::{Error, MISMATCH, Result};
use crate::exec::{Exec, Flow, Frame, as_rowid};
use crate::plan::{ColumnSource, Insert, ROWID, Upsert};
use crate::value::{Owned, Value};

/// A running INSERT.
struct Inserter<'i, 'x> {
    exec: &'i Exec<'x>,
    plan: &'i Insert,
    writer: Writer,
    triggers: Triggers,
    parent: Option<&'i Frame<'i>>,
    returned: Returned,
    changes: i64,
    /// The highest rowid so far, where it is known.
    last_rowid: Option<i64>,
    /// The row of `sqlite_sequence`, read at the first use.
    sequence: Option<i64>,
}

impl Exec<'_> {
    /// Runs an INSERT; says how many rows it inserted or updated.
    pub fn run_insert(&self, plan: &Insert, parent: Option<&Frame<'_>>) -> Result<(i64, Returned)> {
        if plan.table.is_view {
            return self.insert_into_view(plan, parent);
        }
        let mut inserter = Inserter {
            exec: self,
            plan,
            writer: Writer::open(self, &plan.table)?,
            triggers: Triggers::of_insert(self, &plan.table)?,
            parent,
            returned: vec![],
            changes: 0,
            last_rowid: None,
            sequence: None,
        };
        match &plan.source {
            None => inserter.insert(&[])?,
            Some(source) if plan.gather => {
                let mut rows: Vec<Vec<Owned>> = Vec::new();
                self.run_select(source, parent, &mut |row| {
                    rows.push(row.iter().map(|value| value.clone().into_owned()).collect());
                    Ok(Flow::Continue)
                })?;
                for row in rows {
                    inserter.insert(&row)?;
                }
            }
            Some(source) => self.run_select(source, parent, &mut |row| {
                inserter.insert(row)?;
                Ok(Flow::Continue)
            })?,
        }
        inserter.finish()
    }
}

impl Inserter<'_, '_> {
    fn finish(self) -> Result<(i64, Returned)> {
        if let Some(sequence) = self.sequence {
            self.exec.connection.write_sequence(&self.plan.table, sequence)?;
        }
        Ok((self.changes, self.returned))
    }

    fn insert(&mut self, source: &[Value<'_>]) -> Result<()> {
        let table = self.plan.table.clone();
        let mut values = Vec::with_capacity(self.plan.columns.len());
        for column in &self.plan.columns {
            values.push(match column {
                ColumnSource::Source(n) => source.get(*n).cloned().unwrap_or_default().into_owned(),
                ColumnSource::Default(expr) => {
                    let frame = Frame::of_rows(None, vec![]);
                    self.exec.eval(expr, &frame)?.into_owned()
                }
            });
        }
        let given = match (self.plan.rowid, table.rowid_alias) {
            (Some(n), _) => source.get(n).cloned().unwrap_or_default().into_owned(),
            (None, Some(at)) => values[at].clone(),
            _ => Value::Null,
        };
        let mut row = NewRow { values, rowid: -1 };
        if !self.triggers.is_empty() {
            if let Some(rowid) = as_rowid(&given) {
                row.rowid = rowid;
            }
            self.writer.convert(&mut row)?;
            self.writer.generate(self.exec, &mut row)?;
            if !self.triggers.fire(self.exec, TriggerTime::Before, None, Some(&row), None)? {
                return Ok(());
            }
        }
        let mut fresh = false;
        if !table.without_rowid {
            (row.rowid, fresh) = self.rowid(&given)?;
            if let Some(at) = table.rowid_alias {
                row.values[at] = Value::Int(row.rowid);
            }
        }
        self.writer.convert(&mut row)?;
        self.writer.generate(self.exec, &mut row)?;
        self.store(row, fresh)
    }

    /// The rowid of a new row, and whether it is known to be free.
    fn rowid(&mut self, given: &Owned) -> Result<(i64, bool)> {
        if !given.is_null() {
            let rowid =
                as_rowid(given).ok_or_else(|| Error::coded(MISMATCH, "datatype mismatch"))?;
            self.last_rowid = None;
            if self.plan.table.autoincrement {
                let sequence = self.sequence()?;
                self.sequence = Some(sequence.max(rowid));
            }
            return Ok((rowid, false));
        }
        let highest = match self.last_rowid {
            Some(rowid) => Some(rowid),
            None if self.writer.cursor.last()? => Some(self.writer.cursor.rowid()?),
            None => None,
        };
        let mut base = highest.map_or(0, |rowid| rowid.max(if rowid < 0 { rowid } else { 0 }));
        if self.plan.table.autoincrement {
            base = base.max(self.sequence()?);
            if base == i64::MAX {
                return Err(Error::coded(13, "database or disk is full"));
            }
            self.sequence = Some(base + 1);
        }
        if base == i64::MAX {
            return self.random_rowid().map(|rowid| (rowid, true));
        }
        let rowid = base + 1;
        self.last_rowid = Some(rowid);
        Ok((rowid, true))
    }

    fn sequence(&mut self) -> Result<i64> {
        match self.sequence {
            Some(sequence) => Ok(sequence),
            None => self.exec.connection.read_sequence(&self.plan.table),
        }
    }

    /// After the highest rowid of all is taken, free ones are searched at random.
    fn random_rowid(&mut self) -> Result<i64> {
        for _ in 0..100 {
            let rowid = (self.exec.connection.random() & (i64::MAX >> 1)) + 1;
            if !self.writer.cursor.seek_rowid(rowid, crate::btree::Seek::Eq)? {
                return Ok(rowid);
            }
        }
        Err(Error::coded(13, "database or disk is full"))
    }

    fn store(&mut self, mut row: NewRow, fresh: bool) -> Result<()> {
        let conflict = self.plan.conflict;
        if self.writer.check(self.exec, &mut row, conflict)? == Verdict::Skip {
            return Ok(());
        }
        let mut entries = Vec::with_capacity(self.writer.indexes.len());
        for n in 0..self.writer.indexes.len() {
            entries.push(self.writer.entry(self.exec, n, &row)?);
        }
        let clashes = self.writer.clashes(&row, &entries, None, fresh, conflict)?;
        if !clashes.is_empty() && !self.settle(&row, clashes)? {
            return Ok(());
        }
        self.writer.put(self.exec, &row, &entries, fresh)?;
        self.changes += 1;
        if !self.plan.table.without_rowid && self.exec.depth.get() == 0 {
            self.exec.connection.last_rowid.set(row.rowid);
        }
        self.exec.check_child(&self.plan.table, &row)?;
        self.triggers.fire(self.exec, TriggerTime::After, None, Some(&row), None)?;
        if !self.triggers.is_empty() {
            self.last_rowid = None;
        }
        returned(self.exec, &self.plan.returning, &row, self.parent, &mut self.returned)
    }

    /// Deals with the rows in the way; `false`: the new row is not inserted.
    fn settle(&mut self, row: &NewRow, clashes: Vec<Clash>) -> Result<bool> {
        // The clauses say in which order the constraints are looked at.
        for upsert in &self.plan.upserts {
            let clash = clashes.iter().find(|clash| {
                upsert.target.as_ref().is_none_or(|target| *target == self.constraint(clash))
            });
            if let Some(clash) = clash {
                self.upsert(row, clash, upsert)?;
                return Ok(false);
            }
        }
        if let Some(clash) = clashes.iter().find(|clash| clash.conflict != Conflict::Replace) {
            if clash.conflict == Conflict::Ignore {
                return Ok(false);
            }
            return Err(Error::constraint(clash.message.clone(), clash.conflict));
        }
        for clash in clashes {
            if self.writer.seek(&clash.key)? {
                let old = self.writer.read(self.exec)?;
                self.exec.replace_row(&mut self.writer, &old)?;
            }
        }
        self.last_rowid = None;
        Ok(true)
    }

    /// The index of a clash, or `None` for the rowid.
    fn constraint(&self, clash: &Clash) -> Option<Name> {
        match clash.index {
            Some(n) => Some(self.writer.indexes[n].index.name.clone()),
            None => self.plan.table.primary.as_ref().map(|p| p.name.clone()),
        }
    }

    /// ON CONFLICT DO for the row in the way.
    fn upsert(&mut self, row: &NewRow, clash: &Clash, upsert: &Upsert) -> Result<()> {
        let plan = self.plan;
        let Some((set, filter)) = &upsert.update else { return Ok(()) };
        if !self.writer.seek(&clash.key)? {
            return Ok(());
        }
        let old = self.writer.read(self.exec)?;
        let slots = vec![super::writer::slot_of(&old), super::writer::slot_of(row)];
        let frame = Frame::of_rows(self.parent, slots);
        if let Some(filter) = filter
            && self.exec.truth(filter, &frame)? != Some(true)
        {
            return Ok(());
        }
        let mut new = old.clone();
        let mut changed = Vec::with_capacity(set.len());
        for (column, expr) in set {
            let value = self.exec.eval(expr, &frame)?.into_owned();
            changed.push(*column);
            if *column == ROWID {
                new.rowid =
                    as_rowid(&value).ok_or_else(|| Error::coded(MISMATCH, "datatype mismatch"))?;
            } else {
                new.values[*column as usize] = value;
            }
        }
        let triggers = Triggers::of_update(self.exec, &plan.table, &changed)?;
        let done = self.exec.update_row(&mut self.writer, &triggers, old, new, plan.conflict)?;
        if let Some(new) = done {
            self.changes += 1;
            returned(self.exec, &plan.returning, &new, self.parent, &mut self.returned)?;
        }
        Ok(())
    }
}
