//! UPDATE.

use std::cmp::Ordering;

use super::constraint::Verdict;
use super::trigger::Triggers;
use super::{NewRow, Returned, Writer, returned};
use crate::ast::{Conflict, TriggerTime};
use crate::collate::Collation;
use crate::error::{Error, MISMATCH, Result};
use crate::exec::{Exec, Flow, Frame, as_rowid};
use crate::plan::{ROWID, Update};
use crate::value::{Owned, Value};

impl Exec<'_> {
    /// Runs an UPDATE; says how many rows it changed.
    pub fn run_update(&self, plan: &Update, parent: Option<&Frame<'_>>) -> Result<(i64, Returned)> {
        if plan.table.is_view {
            return self.update_view(plan, parent);
        }
        // All rows are found before the first is changed, so that no row is met twice.
        let mut rows: Vec<Vec<Owned>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        self.run_select(&plan.query, parent, &mut |row| {
            let mut key = Vec::new();
            for value in &row[plan.key..] {
                value.push_key(Collation::Binary, &mut key);
            }
            if plan.joined || seen.insert(key) {
                rows.push(row.iter().map(|value| value.clone().into_owned()).collect());
            }
            Ok(Flow::Continue)
        })?;
        drop(seen);
        if plan.joined {
            rows = last_of_each(rows, plan.key);
        }
        let changed: Vec<u16> = plan.set.iter().map(|(column, _)| *column).collect();
        let triggers = Triggers::of_update(self, &plan.table, &changed)?;
        let mut writer = Writer::open(self, &plan.table)?;
        let mut out = Vec::new();
        let mut changes = 0;
        for row in rows {
            if !writer.seek(&row[plan.key..])? {
                continue;
            }
            let old = writer.read(self)?;
            let mut new = old.clone();
            for (column, place) in &plan.set {
                if *column == ROWID {
                    new.rowid = as_rowid(&row[*place])
                        .ok_or_else(|| Error::coded(MISMATCH, "datatype mismatch"))?;
                } else {
                    new.values[*column as usize] = row[*place].clone();
                }
            }
            if let Some(new) = self.update_row(&mut writer, &triggers, old, new, plan.conflict)? {
                changes += 1;
                returned(self, &plan.returning, &new, parent, &mut out)?;
            }
        }
        Ok((changes, out))
    }

    /// Puts `new` in the place of `old`; `None`: the row was left as it is.
    pub(super) fn update_row(
        &self,
        writer: &mut Writer,
        triggers: &Triggers,
        old: NewRow,
        mut new: NewRow,
        conflict: Option<Conflict>,
    ) -> Result<Option<NewRow>> {
        let table = writer.table.clone();
        if let Some(at) = table.rowid_alias {
            new.values[at] = Value::Int(new.rowid);
        }
        writer.convert(&mut new)?;
        writer.generate(self, &mut new)?;
        if !triggers.is_empty() {
            if !triggers.fire(self, TriggerTime::Before, Some(&old), Some(&new), None)? {
                return Ok(None);
            }
            // The trigger may have removed the row.
            if !writer.seek(&writer.key_of(&old))? {
                return Ok(None);
            }
        }
        if writer.check(self, &mut new, conflict)? == Verdict::Skip {
            return Ok(None);
        }
        let mut entries = Vec::with_capacity(writer.indexes.len());
        let mut touched = Vec::with_capacity(writer.indexes.len());
        for n in 0..writer.indexes.len() {
            let before = writer.entry(self, n, &old)?;
            let after = writer.entry(self, n, &new)?;
            touched.push(!same_entry(&before, &after));
            entries.push(after);
        }
        let own = writer.key_of(&old);
        let clashes = writer.clashes(&new, &entries, Some(&own), false, conflict)?;
        if let Some(clash) = clashes.iter().find(|c| c.conflict != Conflict::Replace) {
            if clash.conflict == Conflict::Ignore {
                return Ok(None);
            }
            return Err(Error::constraint(clash.message.clone(), clash.conflict));
        }
        for clash in clashes {
            if writer.seek(&clash.key)? {
                let other = writer.read(self)?;
                self.replace_row(writer, &other)?;
            }
        }
        writer.remove_entries(self, &old, |n| touched[n])?;
        for (entry, touched) in entries.iter_mut().zip(&touched) {
            if !touched {
                *entry = None;
            }
        }
        let moved = own != writer.key_of(&new);
        if moved && writer.seek(&own)? {
            writer.cursor.delete()?;
        }
        writer.put(self, &new, &entries, false)?;
        self.check_parent_update(&table, &old, &new)?;
        self.check_child(&table, &new)?;
        triggers.fire(self, TriggerTime::After, Some(&old), Some(&new), None)?;
        Ok(Some(new))
    }
}

/// Of the rows that an UPDATE FROM joins with one row of the table the last, in the order of the
/// keys: SQLite puts them into a tree by key first.
fn last_of_each(mut rows: Vec<Vec<Owned>>, key: usize) -> Vec<Vec<Owned>> {
    let compare = |left: &[Owned], right: &[Owned]| {
        let pairs = left[key..].iter().zip(&right[key..]);
        pairs.fold(Ordering::Equal, |order, (l, r)| order.then(l.compare(r, Collation::Binary)))
    };
    rows.sort_by(|left, right| compare(left, right));
    let mut kept: Vec<Vec<Owned>> = Vec::with_capacity(rows.len());
    for row in rows {
        match kept.last_mut() {
            Some(last) if compare(last, &row).is_eq() => *last = row,
            _ => kept.push(row),
        }
    }
    kept
}

/// Whether two index entries are the same bytes.
fn same_entry(left: &Option<Vec<Owned>>, right: &Option<Vec<Owned>>) -> bool {
    match (left, right) {
        (None, None) => true,
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}
