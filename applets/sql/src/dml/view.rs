//! Changes of views: INSTEAD OF triggers do all that is done.

use super::trigger::Triggers;
use super::{NewRow, Returned, returned};
use crate::ast::TriggerTime;
use crate::error::Result;
use crate::exec::{Exec, Flow, Frame};
use crate::plan::{ColumnSource, Delete, Insert, Update};
use crate::value::Owned;

/// What a view's triggers get of a row.
fn row_of(values: &[Owned]) -> NewRow {
    NewRow { values: values.to_vec(), rowid: -1 }
}

impl Exec<'_> {
    /// The rows of a query, all before the first is worked on.
    fn gathered(
        &self,
        query: &crate::plan::Select,
        parent: Option<&Frame<'_>>,
    ) -> Result<Vec<Vec<Owned>>> {
        let mut rows = Vec::new();
        self.run_select(query, parent, &mut |row| {
            rows.push(row.iter().map(|value| value.clone().into_owned()).collect());
            Ok(Flow::Continue)
        })?;
        Ok(rows)
    }

    /// INSERT into a view. Rows that triggers take are not counted as changes.
    pub(super) fn insert_into_view(
        &self,
        plan: &Insert,
        parent: Option<&Frame<'_>>,
    ) -> Result<(i64, Returned)> {
        let triggers = Triggers::of_insert(self, &plan.table)?;
        let mut out = Vec::new();
        let rows = match &plan.source {
            Some(source) => self.gathered(source, parent)?,
            None => vec![vec![]],
        };
        for row in rows {
            let mut values = Vec::with_capacity(plan.columns.len());
            for column in &plan.columns {
                values.push(match column {
                    ColumnSource::Source(n) => row.get(*n).cloned().unwrap_or_default(),
                    ColumnSource::Default(expr) => {
                        self.eval(expr, &Frame::of_rows(None, vec![]))?.into_owned()
                    }
                });
            }
            let new = row_of(&values);
            if triggers.fire(self, TriggerTime::InsteadOf, None, Some(&new), plan.conflict)? {
                returned(self, &plan.returning, &new, parent, &mut out)?;
            }
        }
        Ok((0, out))
    }

    /// UPDATE of a view.
    pub(super) fn update_view(
        &self,
        plan: &Update,
        parent: Option<&Frame<'_>>,
    ) -> Result<(i64, Returned)> {
        let changed: Vec<u16> = plan.set.iter().map(|(column, _)| *column).collect();
        let triggers = Triggers::of_update(self, &plan.table, &changed)?;
        let mut out = Vec::new();
        for row in self.gathered(&plan.query, parent)? {
            let old = row_of(row.get(plan.key..).unwrap_or_default());
            let mut new = old.clone();
            for (column, place) in &plan.set {
                if let Some(value) = new.values.get_mut(*column as usize) {
                    *value = row[*place].clone();
                }
            }
            let fired = triggers.fire(
                self,
                TriggerTime::InsteadOf,
                Some(&old),
                Some(&new),
                plan.conflict,
            )?;
            if fired {
                returned(self, &plan.returning, &new, parent, &mut out)?;
            }
        }
        Ok((0, out))
    }

    /// DELETE from a view.
    pub(super) fn delete_from_view(
        &self,
        plan: &Delete,
        parent: Option<&Frame<'_>>,
    ) -> Result<(i64, Returned)> {
        let triggers = Triggers::of_delete(self, &plan.table)?;
        let mut out = Vec::new();
        for row in self.gathered(&plan.query, parent)? {
            let old = row_of(&row);
            if triggers.fire(self, TriggerTime::InsteadOf, Some(&old), None, None)? {
                returned(self, &plan.returning, &old, parent, &mut out)?;
            }
        }
        Ok((0, out))
    }
}
