//! Select statements: values, compounds, recursion, limits.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use super::hash::BuildKeyHasher;
use super::query::Limits;
use super::sorter::{Sorter, compare_key};
use super::{Exec, Flow, Frame, Sink};
use crate::ast::CompoundOp;
use crate::collate::Collation;
use crate::error::{Error, MISMATCH, Result};
use crate::number;
use crate::plan::{Body, Recursive, Select, SortBy, SortKey};
use crate::value::{Owned, Value};

/// How the arms of a compound are put together.
#[derive(Clone, Copy)]
struct Arms<'c> {
    collations: &'c [Collation],
    /// ORDER BY: the arms are merged.
    merged: bool,
}

/// A row that is kept.
pub type Row = Rc<[Owned]>;

impl Exec<'_> {
    /// Runs a select below `parent`; every row goes to `sink` until it has enough.
    ///
    /// # Errors
    /// What the statement's expressions and the storage report.
    pub fn run_select(
        &self,
        plan: &Select,
        parent: Option<&Frame<'_>>,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let limits = self.limits(plan, parent)?;
        self.run_body(&plan.body, &plan.columns, parent, limits, sink).map(drop)
    }

    fn limits(&self, plan: &Select, parent: Option<&Frame<'_>>) -> Result<Limits> {
        if plan.limit.is_none() && plan.offset.is_none() {
            return Ok(Limits::NONE);
        }
        let frame = Frame::new(parent, 0, 0);
        let whole = |expr: &Option<crate::plan::Expr>| -> Result<Option<i64>> {
            let Some(expr) = expr else { return Ok(None) };
            let value = self.eval(expr, &frame)?.apply(crate::value::Affinity::Numeric);
            match value {
                Value::Int(v) => Ok(Some(v)),
                Value::Real(v) if number::exact_int(v).is_some() => Ok(Some(v as i64)),
                _ => Err(Error::coded(MISMATCH, "datatype mismatch")),
            }
        };
        let most = whole(&plan.limit)?.filter(|most| *most >= 0).map(|most| most as usize);
        let skip = whole(&plan.offset)?.unwrap_or(0).max(0) as usize;
        Ok(Limits { skip, most })
    }

    fn run_body(
        &self,
        body: &Body,
        columns: &[crate::plan::Output],
        parent: Option<&Frame<'_>>,
        mut limits: Limits,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        match body {
            Body::Query(query) => self.run_query(query, parent, limits, sink),
            Body::Values(rows) => {
                let frame = Frame::new(parent, 0, 0);
                for exprs in rows {
                    let (hand_out, flow) = limits.next();
                    if hand_out {
                        let row: Vec<Value<'_>> =
                            exprs.iter().map(|e| self.eval(e, &frame)).collect::<Result<_>>()?;
                        if sink(&row)? == Flow::Stop {
                            return Ok(Flow::Stop);
                        }
                    }
                    if flow == Flow::Stop {
                        break;
                    }
                }
                Ok(Flow::Continue)
            }
            Body::Compound { first, rest, order } => {
                let wanted = limits.most.map(|most| most.saturating_add(limits.skip));
                let mut limited = |row: &[Value<'_>]| {
                    let (hand_out, flow) = limits.next();
                    if hand_out && sink(row)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                    Ok(flow)
                };
                let collations: Vec<Collation> = columns.iter().map(|c| c.collation).collect();
                let merged = !order.is_empty();
                let arms = Arms { collations: &collations, merged };
                if !merged {
                    return self.compound(first, rest, arms, parent, &mut limited);
                }
                let mut sorter = Sorter::new(self, order, wanted)?;
                self.compound(first, rest, arms, parent, &mut |row| {
                    sorter.push(row, &[])?;
                    Ok(Flow::Continue)
                })?;
                sorter.finish(&mut limited)
            }
            Body::Recursive(plan) => self.recurse(plan, parent, limits, sink),
        }
    }

    /// Arms from left to right. UNION ALL hands rows through; the others make a sorted set of all
    /// that stands left of them. Of rows that are equal but not the same (1 and 1.0) SQLite keeps
    /// the last it meets; where ORDER BY lets it merge the arms, the first of the right-hand arm.
    fn compound(
        &self,
        first: &Select,
        rest: &[(CompoundOp, Select)],
        arms: Arms<'_>,
        parent: Option<&Frame<'_>>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        let collations = arms.collations;
        let Some(((op, last), before)) = rest.split_last() else {
            let mut flow = Flow::Continue;
            self.run_select(first, parent, &mut |row| {
                flow = sink(row)?;
                Ok(flow)
            })?;
            return Ok(flow);
        };
        if *op == CompoundOp::UnionAll {
            if self.compound(first, before, arms, parent, sink)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            let mut flow = Flow::Continue;
            self.run_select(last, parent, &mut |row| {
                flow = sink(row)?;
                Ok(flow)
            })?;
            return Ok(flow);
        }
        let mut left: HashMap<Box<[u8]>, Vec<Owned>, BuildKeyHasher> = HashMap::default();
        let key_of = |row: &[Value<'_>]| key_of(row, collations);
        let own = |row: &[Value<'_>]| row.iter().map(|v| v.clone().into_owned()).collect();
        self.compound(first, before, arms, parent, &mut |row| {
            let key = key_of(row);
            if !arms.merged || !left.contains_key(&key) {
                left.insert(key, own(row));
            }
            Ok(Flow::Continue)
        })?;
        // The keys that the right-hand arm has given.
        let mut common: HashSet<Box<[u8]>, BuildKeyHasher> = HashSet::default();
        self.run_select(last, parent, &mut |row| {
            let key = key_of(row);
            match op {
                CompoundOp::Union => {
                    if !arms.merged || common.insert(key.clone()) {
                        left.insert(key, own(row));
                    }
                }
                CompoundOp::Except => {
                    left.remove(&key);
                }
                _ => {
                    common.insert(key);
                }
            }
            Ok(Flow::Continue)
        })?;
        if *op == CompoundOp::Intersect {
            left.retain(|key, _| common.contains(key));
        }
        let mut rows: Vec<Vec<Owned>> = left.into_values().collect();
        rows.sort_by(|a, b| {
            let orders = a.iter().zip(b).zip(collations).map(|((a, b), c)| a.compare(b, *c));
            orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
        for row in rows {
            if sink(&row)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    /// `WITH RECURSIVE`: a queue of rows, each of which is given out and then stepped from.
    fn recurse(
        &self,
        plan: &Recursive,
        parent: Option<&Frame<'_>>,
        mut limits: Limits,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        let all =
            |arms: &[(CompoundOp, Select)]| arms.iter().all(|(op, _)| *op == CompoundOp::UnionAll);
        let distinct = !all(&plan.steps);
        let mut queue = Queue {
            seen: distinct.then(HashSet::default),
            collations: &plan.collations,
            order: &plan.order,
            fifo: VecDeque::new(),
            sorted: BTreeMap::new(),
            next: 0,
        };
        for (n, (op, arm)) in plan.first.iter().enumerate() {
            let once = n > 0 && *op == CompoundOp::Union;
            let mut here: HashSet<Box<[u8]>, BuildKeyHasher> = HashSet::default();
            self.run_select(arm, parent, &mut |row| {
                if !once || here.insert(key_of(row, &plan.collations)) {
                    queue.push(row);
                }
                Ok(Flow::Continue)
            })?;
        }
        let saved = self.recursion.borrow_mut().remove(&plan.id);
        let mut result = Ok(Flow::Continue);
        while let Some(row) = queue.pop() {
            let step = self.recursive_step(plan, row, parent, &mut limits, &mut queue, sink);
            match step {
                Ok(Flow::Continue) => {}
                Ok(Flow::Stop) => {
                    result = Ok(Flow::Stop);
                    break;
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let mut recursion = self.recursion.borrow_mut();
        recursion.remove(&plan.id);
        if let Some(saved) = saved {
            recursion.insert(plan.id, saved);
        }
        result
    }

    fn recursive_step(
        &self,
        plan: &Recursive,
        row: Row,
        parent: Option<&Frame<'_>>,
        limits: &mut Limits,
        queue: &mut Queue<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        self.tick()?;
        let (hand_out, flow) = limits.next();
        if hand_out && sink(&row)? == Flow::Stop || flow == Flow::Stop {
            return Ok(Flow::Stop);
        }
        self.recursion.borrow_mut().insert(plan.id, row);
        for (_, arm) in &plan.steps {
            self.run_select(arm, parent, &mut |row| {
                queue.push(row);
                Ok(Flow::Continue)
            })?;
        }
        Ok(Flow::Continue)
    }
}

fn key_of(row: &[Value<'_>], collations: &[Collation]) -> Box<[u8]> {
    let mut key = Vec::new();
    for (value, collation) in row.iter().zip(collations) {
        value.push_key(*collation, &mut key);
    }
    key.into()
}

/// The rows that a recursive table still has to step from.
struct Queue<'k> {
    seen: Option<HashSet<Box<[u8]>, BuildKeyHasher>>,
    collations: &'k [Collation],
    order: &'k [SortKey],
    fifo: VecDeque<Row>,
    /// With ORDER BY: by key, then by age.
    sorted: BTreeMap<Ordered, Row>,
    next: usize,
}

struct Ordered {
    keys: Vec<(Owned, SortKey)>,
    age: usize,
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Ordered) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Ordered {}
impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Ordered) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ordered {
    fn cmp(&self, other: &Ordered) -> std::cmp::Ordering {
        for ((l, key), (r, _)) in self.keys.iter().zip(&other.keys) {
            let order = compare_key(l, r, key);
            if order.is_ne() {
                return order;
            }
        }
        self.age.cmp(&other.age)
    }
}

impl Queue<'_> {
    fn push(&mut self, row: &[Value<'_>]) {
        if let Some(seen) = &mut self.seen
            && !seen.insert(key_of(row, self.collations))
        {
            return;
        }
        let owned: Row = row.iter().map(|value| value.clone().into_owned()).collect();
        if self.order.is_empty() {
            self.fifo.push_back(owned);
            return;
        }
        let keys = self
            .order
            .iter()
            .map(|key| match key.by {
                SortBy::Output(at) => (owned[at].clone(), key.clone()),
                SortBy::Expr(_) => (Value::Null, key.clone()),
            })
            .collect();
        self.next += 1;
        self.sorted.insert(Ordered { keys, age: self.next }, owned);
    }

    fn pop(&mut self) -> Option<Row> {
        self.fifo.pop_front().or_else(|| self.sorted.pop_first().map(|(_, row)| row))
    }
}
