//! DELETE, and the removal of rows that REPLACE puts out of the way.

use super::trigger::Triggers;
use super::{NewRow, Returned, Writer, returned};
use crate::ast::TriggerTime;
use crate::error::Result;
use crate::exec::{Exec, Flow, Frame};
use crate::plan::Delete;
use crate::value::Owned;

impl Exec<'_> {
    /// Runs a DELETE; says how many rows it removed.
    pub fn run_delete(&self, plan: &Delete, parent: Option<&Frame<'_>>) -> Result<(i64, Returned)> {
        if plan.table.is_view {
            return self.delete_from_view(plan, parent);
        }
        if plan.truncate {
            let store = self.connection.store(plan.table.db)?;
            for index in &plan.table.indexes {
                store.clear_tree(index.root)?;
            }
            return Ok((store.clear_tree(plan.table.root)? as i64, vec![]));
        }
        let mut keys: Vec<Vec<Owned>> = Vec::new();
        self.run_select(&plan.query, parent, &mut |row| {
            keys.push(row.iter().map(|value| value.clone().into_owned()).collect());
            Ok(Flow::Continue)
        })?;
        let triggers = Triggers::of_delete(self, &plan.table)?;
        let mut writer = Writer::open(self, &plan.table)?;
        let mut out = Vec::new();
        let mut changes = 0;
        for key in keys {
            if !writer.seek(&key)? {
                continue;
            }
            let old = writer.read(self)?;
            if !triggers.fire(self, TriggerTime::Before, Some(&old), None, None)? {
                continue;
            }
            if !writer.remove(self, &old)? {
                continue;
            }
            changes += 1;
            self.check_parent_delete(&plan.table, &old)?;
            triggers.fire(self, TriggerTime::After, Some(&old), None, None)?;
            returned(self, &plan.returning, &old, parent, &mut out)?;
        }
        Ok((changes, out))
    }

    /// Removes a row that a new one replaces. Its delete triggers fire with recursive triggers only.
    pub(super) fn replace_row(&self, writer: &mut Writer, old: &NewRow) -> Result<()> {
        let table = writer.table.clone();
        let fires = self.connection.recursive_triggers();
        let triggers = if fires { Some(Triggers::of_delete(self, &table)?) } else { None };
        if let Some(triggers) = &triggers {
            triggers.fire(self, TriggerTime::Before, Some(old), None, None)?;
        }
        writer.remove(self, old)?;
        self.check_parent_delete(&table, old)?;
        if let Some(triggers) = &triggers {
            triggers.fire(self, TriggerTime::After, Some(old), None, None)?;
        }
        Ok(())
    }
}
