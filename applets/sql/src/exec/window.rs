//! Window functions: the rows are gathered, sorted by partition and order, and each gets the values
//! of its windows; then they go on in the order of the last window.

use std::cmp::Ordering;
use std::ops::Range;

use super::group::restore;
use super::sorter::compare_key;
use super::{Exec, Flow, Frame};
use crate::ast::{FrameExclude, FrameUnit};
use crate::error::{Error, Result};
use crate::func::{Accumulator, WindowFn};
use crate::plan::{Bounds, Query, SortBy, WindowCall, WindowKind, WindowPlan};
use crate::value::{Owned, Value};

/// A gathered row: captured columns, and registers.
struct Gathered {
    columns: Box<[Owned]>,
    regs: Vec<Owned>,
}

/// A partition in order, with the keys it is ordered by.
struct Partition<'w> {
    plan: &'w WindowPlan,
    /// Order keys of each row.
    keys: Vec<Vec<Owned>>,
    /// The peer group of each row, and where each group begins.
    group_of: Vec<usize>,
    groups: Vec<usize>,
}

impl Exec<'_> {
    /// Runs a query with windows; `emit` for each row, its window values in the registers.
    pub(super) fn run_windows(
        &self,
        query: &Query,
        frame: &mut Frame<'_>,
        emit: &mut dyn FnMut(&mut Frame<'_>) -> Result<Flow>,
    ) -> Result<Flow> {
        let mut rows: Vec<Gathered> = Vec::new();
        let mut gather = |frame: &mut Frame<'_>| {
            rows.push(Gathered { columns: self.capture(query, frame)?, regs: frame.regs.clone() });
            Ok(Flow::Continue)
        };
        match &query.aggregate {
            Some(plan) => self.run_groups(query, plan, frame, &mut gather)?,
            None => {
                let regs = frame.regs.clone();
                let mut batched = Vec::new();
                let each = &mut |columns| batched.push(Gathered { columns, regs: regs.clone() });
                if self.batch_captures(query, frame, each)? {
                    rows = batched;
                    Flow::Continue
                } else {
                    self.run_join(query, frame, &mut gather)?
                }
            }
        };
        // The window that was named first is sorted by last, so its order is the one seen.
        for plan in query.windows.iter().rev() {
            self.window(query, plan, &mut rows, frame)?;
        }
        for row in rows {
            frame.regs = row.regs;
            restore(query, row.columns, frame);
            if emit(frame)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn put(&self, query: &Query, row: &Gathered, frame: &mut Frame<'_>) {
        frame.regs.clone_from(&row.regs);
        restore(query, row.columns.clone(), frame);
    }

    fn window(
        &self,
        query: &Query,
        plan: &WindowPlan,
        rows: &mut Vec<Gathered>,
        frame: &mut Frame<'_>,
    ) -> Result<()> {
        let mut keyed = Vec::with_capacity(rows.len());
        for row in rows.drain(..) {
            self.put(query, &row, frame);
            let mut partition = Vec::with_capacity(plan.partition.len());
            for (expr, _) in &plan.partition {
                partition.push(self.eval(expr, frame)?.into_owned());
            }
            let mut keys = Vec::with_capacity(plan.order.len());
            for key in &plan.order {
                if let SortBy::Expr(expr) = &key.by {
                    keys.push(self.eval(expr, frame)?.into_owned());
                }
            }
            keyed.push((partition, keys, row));
        }
        let by_partition = |a: &[Owned], b: &[Owned]| {
            for (n, (_, collation)) in plan.partition.iter().enumerate() {
                let order = a[n].compare(&b[n], *collation);
                if order.is_ne() {
                    return order;
                }
            }
            Ordering::Equal
        };
        keyed.sort_by(|a, b| by_partition(&a.0, &b.0).then_with(|| compare_keys(plan, &a.1, &b.1)));
        let mut start = 0;
        while start < keyed.len() {
            let mut end = start + 1;
            while end < keyed.len() && by_partition(&keyed[start].0, &keyed[end].0).is_eq() {
                end += 1;
            }
            let keys: Vec<Vec<Owned>> =
                keyed[start..end].iter_mut().map(|row| std::mem::take(&mut row.1)).collect();
            let partition = Partition::new(plan, keys);
            let mut slice: Vec<&mut Gathered> =
                keyed[start..end].iter_mut().map(|row| &mut row.2).collect();
            self.partition(query, plan, &partition, &mut slice, frame)?;
            start = end;
        }
        rows.extend(keyed.into_iter().map(|(_, _, row)| row));
        Ok(())
    }

    fn partition(
        &self,
        query: &Query,
        plan: &WindowPlan,
        partition: &Partition<'_>,
        rows: &mut [&mut Gathered],
        frame: &mut Frame<'_>,
    ) -> Result<()> {
        // The arguments of every call, and whether its filter lets the row in.
        let mut args: Vec<Vec<Vec<Owned>>> = vec![Vec::with_capacity(rows.len()); plan.calls.len()];
        let mut admitted: Vec<Vec<bool>> = vec![Vec::with_capacity(rows.len()); plan.calls.len()];
        let mut offsets = Vec::with_capacity(rows.len());
        for row in rows.iter() {
            self.put(query, row, frame);
            for (n, call) in plan.calls.iter().enumerate() {
                let values = call.args.iter().map(|a| Ok(self.eval(a, frame)?.into_owned()));
                args[n].push(values.collect::<Result<_>>()?);
                admitted[n].push(match &call.filter {
                    None => true,
                    Some(filter) => self.truth(filter, frame)? == Some(true),
                });
            }
            offsets.push((
                self.offset(&plan.start, plan.unit, frame, "starting")?,
                self.offset(&plan.end, plan.unit, frame, "ending")?,
            ));
        }
        for (n, call) in plan.calls.iter().enumerate() {
            let results = match call.function {
                WindowKind::Builtin(function) => builtin(function, partition, &args[n], &offsets)?,
                WindowKind::Aggregate(_) => {
                    aggregate(call, partition, &args[n], &admitted[n], &offsets)?
                }
            };
            for (row, value) in rows.iter_mut().zip(results) {
                row.regs[call.reg as usize] = value;
            }
        }
        Ok(())
    }

    fn offset(
        &self,
        bounds: &Bounds,
        unit: FrameUnit,
        frame: &Frame<'_>,
        which: &str,
    ) -> Result<Value<'static>> {
        let (Bounds::Preceding(expr) | Bounds::Following(expr)) = bounds else {
            return Ok(Value::Null);
        };
        let value = self.eval(expr, frame)?.into_owned();
        let fits = match (&value, unit) {
            (Value::Int(v), _) => *v >= 0,
            (Value::Real(v), FrameUnit::Range) => *v >= 0.0,
            _ => false,
        };
        if fits {
            return Ok(value);
        }
        let what = if unit == FrameUnit::Range { "number" } else { "integer" };
        Err(Error::new(format!("frame {which} offset must be a non-negative {what}")))
    }
}

fn compare_keys(plan: &WindowPlan, a: &[Owned], b: &[Owned]) -> Ordering {
    for (n, key) in plan.order.iter().enumerate() {
        let order = compare_key(&a[n], &b[n], key);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

impl<'w> Partition<'w> {
    fn new(plan: &'w WindowPlan, keys: Vec<Vec<Owned>>) -> Partition<'w> {
        let mut group_of = Vec::with_capacity(keys.len());
        let mut groups = Vec::new();
        for n in 0..keys.len() {
            if n == 0 || compare_keys(plan, &keys[n - 1], &keys[n]).is_ne() {
                groups.push(n);
            }
            group_of.push(groups.len() - 1);
        }
        Partition { plan, keys, group_of, groups }
    }

    fn len(&self) -> usize {
        self.keys.len()
    }

    fn group(&self, group: usize) -> Range<usize> {
        let start = self.groups.get(group).copied().unwrap_or(self.len());
        start..self.groups.get(group + 1).copied().unwrap_or(self.len())
    }

    fn peers(&self, row: usize) -> Range<usize> {
        self.group(self.group_of[row])
    }

    /// The frame of a row.
    fn frame(&self, row: usize, offsets: &(Owned, Owned)) -> Range<usize> {
        let start = match &self.plan.start {
            Bounds::Unbounded => 0,
            Bounds::CurrentRow if self.plan.unit == FrameUnit::Rows => row,
            Bounds::CurrentRow => self.peers(row).start,
            Bounds::Preceding(_) => self.edge(row, &offsets.0, true, true),
            Bounds::Following(_) => self.edge(row, &offsets.0, false, true),
        };
        let end = match &self.plan.end {
            Bounds::Unbounded => self.len(),
            Bounds::CurrentRow if self.plan.unit == FrameUnit::Rows => row + 1,
            Bounds::CurrentRow => self.peers(row).end,
            Bounds::Preceding(_) => self.edge(row, &offsets.1, true, false),
            Bounds::Following(_) => self.edge(row, &offsets.1, false, false),
        };
        start.min(end)..end
    }

    /// Where a frame begins (or ends) that is so far before or behind a row.
    fn edge(&self, row: usize, offset: &Owned, before: bool, start: bool) -> usize {
        let by = usize::try_from(offset.to_int()).unwrap_or(usize::MAX);
        match self.plan.unit {
            FrameUnit::Rows => {
                let last = if start { 0 } else { 1 };
                if before {
                    (row + last).saturating_sub(by)
                } else {
                    row.saturating_add(by).saturating_add(last).min(self.len())
                }
            }
            FrameUnit::Groups => {
                let group = self.group_of[row];
                if before {
                    let Some(group) = group.checked_sub(by) else {
                        return 0;
                    };
                    let range = self.group(group);
                    if start { range.start } else { range.end }
                } else {
                    let group = group.saturating_add(by);
                    if group >= self.groups.len() {
                        return self.len();
                    }
                    let range = self.group(group);
                    if start { range.start } else { range.end }
                }
            }
            FrameUnit::Range => self.range_edge(row, offset, before, start),
        }
    }

    fn range_edge(&self, row: usize, offset: &Owned, before: bool, start: bool) -> usize {
        let key = &self.plan.order[0];
        let own = &self.keys[row][0];
        if !matches!(own, Value::Int(_) | Value::Real(_)) {
            let peers = self.peers(row);
            return if start { peers.start } else { peers.end };
        }
        let down = before != key.desc;
        let op = if down { crate::ast::Binary::Sub } else { crate::ast::Binary::Add };
        let limit = crate::value::arithmetic(op, own, offset);
        let position = |value: &Owned| compare_key(value, &limit, key);
        if start {
            (0..self.len()).find(|n| position(&self.keys[*n][0]).is_ge()).unwrap_or(self.len())
        } else {
            (0..self.len()).rfind(|n| position(&self.keys[*n][0]).is_le()).map_or(0, |n| n + 1)
        }
    }

    fn excluded(&self, row: usize, other: usize) -> bool {
        match self.plan.exclude {
            FrameExclude::NoOthers => false,
            FrameExclude::CurrentRow => row == other,
            FrameExclude::Group => self.group_of[row] == self.group_of[other],
            FrameExclude::Ties => row != other && self.group_of[row] == self.group_of[other],
        }
    }

    /// The rows of the frame, those left out taken away.
    fn members<'s>(
        &'s self,
        row: usize,
        offsets: &(Owned, Owned),
    ) -> impl DoubleEndedIterator<Item = usize> + 's {
        self.frame(row, offsets).filter(move |other| !self.excluded(row, *other))
    }
}

fn aggregate(
    call: &WindowCall,
    partition: &Partition<'_>,
    args: &[Vec<Owned>],
    admitted: &[bool],
    offsets: &[(Owned, Owned)],
) -> Result<Vec<Owned>> {
    let WindowKind::Aggregate(function) = call.function else { return Ok(vec![]) };
    let fresh = || Accumulator::new(function.kind, call.collation);
    let growing = matches!(partition.plan.start, Bounds::Unbounded)
        && partition.plan.exclude == FrameExclude::NoOthers;
    let mut results = Vec::with_capacity(partition.len());
    let mut running = fresh();
    let mut taken = 0;
    let mut last: Option<(Range<usize>, Owned)> = None;
    for (row, offset) in offsets.iter().enumerate() {
        let range = partition.frame(row, offset);
        if partition.plan.exclude == FrameExclude::NoOthers
            && let Some((known, value)) = &last
            && *known == range
        {
            results.push(value.clone());
            continue;
        }
        let value = if growing && range.end >= taken {
            while taken < range.end {
                if admitted[taken] {
                    running.step(&args[taken])?;
                }
                taken += 1;
            }
            running.finish()?
        } else {
            let mut accumulator = fresh();
            for other in partition.members(row, offset) {
                if admitted[other] {
                    accumulator.step(&args[other])?;
                }
            }
            accumulator.finish()?
        };
        last = Some((range, value.clone()));
        results.push(value);
    }
    Ok(results)
}

fn builtin(
    function: WindowFn,
    partition: &Partition<'_>,
    args: &[Vec<Owned>],
    offsets: &[(Owned, Owned)],
) -> Result<Vec<Owned>> {
    let count = partition.len();
    let mut results = Vec::with_capacity(count);
    for row in 0..count {
        let peers = partition.peers(row);
        let arg = |n: usize| args[row].get(n);
        let value = match function {
            WindowFn::RowNumber => Value::Int(row as i64 + 1),
            WindowFn::Rank => Value::Int(peers.start as i64 + 1),
            WindowFn::DenseRank => Value::Int(partition.group_of[row] as i64 + 1),
            WindowFn::PercentRank if count <= 1 => Value::Real(0.0),
            WindowFn::PercentRank => Value::Real(peers.start as f64 / (count - 1) as f64),
            WindowFn::CumeDist => Value::Real(peers.end as f64 / count as f64),
            WindowFn::Ntile => {
                let buckets = arg(0).map_or(0, Value::to_int);
                if buckets <= 0 {
                    return Err(Error::new("argument of ntile must be a positive integer"));
                }
                Value::Int(ntile(row, count, buckets as usize) as i64 + 1)
            }
            WindowFn::Lag | WindowFn::Lead => {
                let by = arg(1).map_or(1, Value::to_int);
                let by = if function == WindowFn::Lag { by.saturating_neg() } else { by };
                let other = usize::try_from((row as i64).saturating_add(by)).ok();
                match other.and_then(|other| args.get(other)) {
                    Some(values) => values[0].clone(),
                    None => arg(2).cloned().unwrap_or_default(),
                }
            }
            WindowFn::FirstValue => {
                let first = partition.members(row, &offsets[row]).next();
                first.map_or(Value::Null, |other| args[other][0].clone())
            }
            WindowFn::LastValue => {
                let last = partition.members(row, &offsets[row]).next_back();
                last.map_or(Value::Null, |other| args[other][0].clone())
            }
            WindowFn::NthValue => {
                let n = arg(1).cloned().unwrap_or_default().apply(crate::value::Affinity::Numeric);
                let Some(n) = super::access::as_rowid(&n).filter(|n| *n > 0) else {
                    return Err(Error::new(
                        "second argument to nth_value must be a positive integer",
                    ));
                };
                let nth = partition.members(row, &offsets[row]).nth(n as usize - 1);
                nth.map_or(Value::Null, |other| args[other][0].clone())
            }
        };
        results.push(value);
    }
    Ok(results)
}

/// The bucket of a row: the first buckets are one row larger where they do not come out even.
fn ntile(row: usize, count: usize, buckets: usize) -> usize {
    let size = count / buckets;
    if size == 0 {
        return row;
    }
    let larger = count % buckets;
    if row < larger * (size + 1) {
        row / (size + 1)
    } else {
        larger + (row - larger * (size + 1)) / size
    }
}
