//! GROUP BY and aggregates: a hash table of groups, given back in the order of their keys, as a
//! sorter would have given them.

use std::collections::{HashMap, HashSet};

use super::hash::BuildKeyHasher;
use super::sorter::compare_key;
use super::{Exec, Flow, Frame, Slot};
use crate::btree::TreeKind;
use crate::collate::Collation;
use crate::error::Result;
use crate::func::Accumulator;
use crate::plan::{AggregateCall, Aggregation, Query, SourceKind};
use crate::value::{Owned, Value};

/// What has been gathered for one group.
pub(super) struct Group {
    pub keys: Box<[Owned]>,
    /// The row that bare columns are taken from.
    pub row: Box<[Owned]>,
    pub states: Box<[State]>,
}

/// One call in one group.
pub(super) struct State {
    pub accumulator: Accumulator,
    distinct: Option<HashSet<Box<[u8]>, BuildKeyHasher>>,
    /// Rows that wait to be ordered: `group_concat(x ORDER BY y)`.
    waiting: Vec<(Vec<Owned>, Vec<Owned>)>,
}

impl State {
    pub fn new(call: &AggregateCall) -> State {
        State {
            accumulator: Accumulator::new(call.function.kind, call.collation),
            distinct: call.distinct.then(HashSet::default),
            waiting: Vec::new(),
        }
    }
}

impl Exec<'_> {
    /// Runs an aggregate query; `emit` for each group, its row and results in the frame.
    pub(super) fn run_groups(
        &self,
        query: &Query,
        plan: &Aggregation,
        frame: &mut Frame<'_>,
        emit: &mut dyn FnMut(&mut Frame<'_>) -> Result<Flow>,
    ) -> Result<Flow> {
        if plan.count_rows {
            let count = Value::Int(self.count_rows(query)?);
            for call in &plan.calls {
                frame.regs[call.reg as usize] = count.clone();
            }
            return self.finish_group(plan, frame, emit);
        }
        if let Some(groups) = self.batch_groups(query, plan, frame)? {
            return self.emit_groups(query, plan, groups, frame, emit);
        }
        let mut groups: Vec<Group> = Vec::new();
        let mut places: HashMap<Box<[u8]>, u32, BuildKeyHasher> = HashMap::default();
        if plan.groups.is_empty() {
            groups.push(self.new_group(query, plan, vec![]));
        }
        let mut key = Vec::new();
        let mut first = true;
        let mut last: Option<(Vec<u8>, u32)> = None;
        self.run_join(query, frame, &mut |frame| {
            let at = if plan.groups.is_empty() {
                0
            } else {
                key.clear();
                for (expr, collation) in plan.groups.iter().zip(&plan.collations) {
                    self.eval(expr, frame)?.push_key(*collation, &mut key);
                }
                // Rows of one group often stand together.
                match &last {
                    Some((known, at)) if *known == key => *at as usize,
                    _ => {
                        let at = match places.get(&*key) {
                            Some(at) => *at,
                            None => {
                                let mut keys = Vec::with_capacity(plan.groups.len());
                                for expr in &plan.groups {
                                    keys.push(self.eval(expr, frame)?.into_owned());
                                }
                                places.insert(key.as_slice().into(), groups.len() as u32);
                                groups.push(self.new_group(query, plan, keys));
                                first = true;
                                (groups.len() - 1) as u32
                            }
                        };
                        match &mut last {
                            Some((known, place)) => {
                                known.clone_from(&key);
                                *place = at;
                            }
                            None => last = Some((key.clone(), at)),
                        }
                        at as usize
                    }
                }
            };
            let group = &mut groups[at];
            let extreme = self.step(plan, group, frame)?;
            if std::mem::take(&mut first) || extreme {
                group.row = self.capture(query, frame)?;
            }
            if plan.first_only && extreme {
                return Ok(Flow::Stop);
            }
            Ok(Flow::Continue)
        })?;
        self.emit_groups(query, plan, groups, frame, emit)
    }

    /// Sorts the groups and gives them out.
    fn emit_groups(
        &self,
        query: &Query,
        plan: &Aggregation,
        mut groups: Vec<Group>,
        frame: &mut Frame<'_>,
        emit: &mut dyn FnMut(&mut Frame<'_>) -> Result<Flow>,
    ) -> Result<Flow> {
        sort_groups(plan, &mut groups);
        for group in groups {
            for (call, state) in plan.calls.iter().zip(group.states) {
                frame.regs[call.reg as usize] = finish(call, state)?;
            }
            restore(query, group.row, frame);
            if self.finish_group(plan, frame, emit)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn finish_group(
        &self,
        plan: &Aggregation,
        frame: &mut Frame<'_>,
        emit: &mut dyn FnMut(&mut Frame<'_>) -> Result<Flow>,
    ) -> Result<Flow> {
        if let Some(having) = &plan.having
            && self.truth(having, frame)? != Some(true)
        {
            return Ok(Flow::Continue);
        }
        emit(frame)
    }

    fn new_group(&self, query: &Query, plan: &Aggregation, keys: Vec<Owned>) -> Group {
        Group {
            keys: keys.into(),
            row: vec![Value::Null; query.captures.len()].into(),
            states: plan.calls.iter().map(State::new).collect(),
        }
    }

    /// Takes the row of the frame into a group; whether it is the row that bare columns want.
    fn step(&self, plan: &Aggregation, group: &mut Group, frame: &Frame<'_>) -> Result<bool> {
        let mut wanted = false;
        for (n, (call, state)) in plan.calls.iter().zip(&mut group.states).enumerate() {
            if let Some(filter) = &call.filter
                && self.truth(filter, frame)? != Some(true)
            {
                continue;
            }
            let better = match call.args.as_slice() {
                [] => state.accumulator.step(&[])?,
                [arg] if !call.distinct && call.order.is_empty() => {
                    let value = self.eval(arg, frame)?;
                    state.accumulator.step(std::slice::from_ref(&value))?
                }
                args => {
                    let values: Vec<Value<'_>> =
                        args.iter().map(|arg| self.eval(arg, frame)).collect::<Result<_>>()?;
                    self.step_special(call, state, &values, frame)?
                }
            };
            wanted |= better && plan.extreme == Some(n);
        }
        Ok(wanted)
    }

    fn step_special(
        &self,
        call: &AggregateCall,
        state: &mut State,
        values: &[Value<'_>],
        frame: &Frame<'_>,
    ) -> Result<bool> {
        if let Some(seen) = &mut state.distinct {
            let mut key = Vec::new();
            if let Some(value) = values.first() {
                if value.is_null() {
                    return Ok(false);
                }
                value.push_key(call.collation, &mut key);
            }
            if seen.contains(&*key) {
                return Ok(false);
            }
            seen.insert(key.into());
        }
        if call.order.is_empty() {
            return state.accumulator.step(values);
        }
        let mut keys = Vec::with_capacity(call.order.len());
        for key in &call.order {
            if let crate::plan::SortBy::Expr(expr) = &key.by {
                keys.push(self.eval(expr, frame)?.into_owned());
            }
        }
        let values = values.iter().map(|value| value.clone().into_owned()).collect();
        state.waiting.push((keys, values));
        Ok(false)
    }

    /// The columns that are read after grouping, from the row of the frame.
    pub(super) fn capture(&self, query: &Query, frame: &Frame<'_>) -> Result<Box<[Owned]>> {
        query
            .captures
            .iter()
            .map(|(slot, col)| Ok(frame.column(0, *slot, *col)?.into_owned()))
            .collect()
    }

    fn count_rows(&self, query: &Query) -> Result<i64> {
        let Some(SourceKind::Table(table)) = query.sources.first().map(|source| &source.kind)
        else {
            return Ok(0);
        };
        // The smallest tree that has an entry for every row is counted.
        let whole = table.indexes.iter().find(|index| index.filter.is_none());
        let mut cursor = match whole {
            Some(index) if table.primary.is_none() => {
                let kind = TreeKind::Index(index.key_info.clone());
                self.connection.store(table.db)?.cursor(index.root, kind)?
            }
            _ => self.table_cursor(table)?,
        };
        Ok(cursor.count()? as i64)
    }
}

/// Puts captured columns back into the slots of a frame.
pub(super) fn restore(query: &Query, row: Box<[Owned]>, frame: &mut Frame<'_>) {
    for slot in &mut frame.slots {
        if !matches!(slot, Slot::Values { .. }) {
            *slot = Slot::Values { values: Vec::new(), rowid: 0 };
        }
    }
    for ((slot, col), value) in query.captures.iter().zip(row) {
        let Some(Slot::Values { values, rowid }) = frame.slots.get_mut(*slot as usize) else {
            continue;
        };
        if *col == crate::plan::ROWID {
            // A NULL row has no rowid: its number is told by the type of the value alone.
            *rowid = value.to_int();
            if value.is_null() {
                frame.slots[*slot as usize] = Slot::Null;
            }
            continue;
        }
        if values.len() <= *col as usize {
            values.resize(*col as usize + 1, Value::Null);
        }
        values[*col as usize] = value;
    }
}

fn sort_groups(plan: &Aggregation, groups: &mut [Group]) {
    groups.sort_by(|a, b| {
        for (n, collation) in plan.collations.iter().enumerate() {
            let order = a.keys[n].compare(&b.keys[n], *collation);
            if order.is_ne() {
                return if plan.descending[n] { order.reverse() } else { order };
            }
        }
        std::cmp::Ordering::Equal
    });
}

fn finish(call: &AggregateCall, mut state: State) -> Result<Owned> {
    if !state.waiting.is_empty() {
        state.waiting.sort_by(|a, b| {
            for (n, key) in call.order.iter().enumerate() {
                let order = compare_key(&a.0[n], &b.0[n], key);
                if order.is_ne() {
                    return order;
                }
            }
            std::cmp::Ordering::Equal
        });
        for (_, values) in std::mem::take(&mut state.waiting) {
            state.accumulator.step(&values)?;
        }
    }
    let _ = Collation::Binary;
    state.accumulator.finish()
}
