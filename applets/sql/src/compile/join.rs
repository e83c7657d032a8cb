//! The planner: which loop goes around which, and how each finds its rows.
//!
//! Costs are in units of one row of a scan. Without statistics a table counts a million rows and an
//! index narrows as SQLite assumes (10, 9, 8... rows for one, two, three equal columns).

use std::rc::Rc;

use super::walk::{bit, mirrored, slots_of};
use super::{Compiler, order};
use crate::ast::{Binary, Name};
use crate::collate::Collation;
use crate::error::{Error, Result};
use crate::plan::{
    Access, Bound, Comparison, Expr, HashKey, InTerm, IndexAccess, Level, Query, ROWID, Source,
    SourceKind,
};
use crate::schema::{Index, IndexPart, Table};
use crate::value::Affinity;

/// A condition of WHERE or ON.
pub(super) struct Term {
    expr: Expr,
    /// The slot whose outer join it belongs to.
    on: Option<usize>,
    filter: bool,
    slots: u64,
    used: bool,
}

impl Term {
    pub(super) fn of_where(expr: Expr) -> Term {
        Term { slots: slots_of(&expr), expr, on: None, filter: true, used: false }
    }

    pub(super) fn of_on(expr: Expr, on: Option<usize>) -> Term {
        Term { slots: slots_of(&expr), expr, on, filter: false, used: false }
    }
}

/// What a FROM clause has gathered.
#[derive(Default)]
pub(super) struct JoinBuild {
    pub terms: Vec<Term>,
    pub slots: Vec<SlotJoin>,
    /// The order of the text is kept.
    pub fixed: bool,
    /// What is found is changed: no scan of a covering index.
    pub finds_targets: bool,
}

/// How a slot is joined.
#[derive(Default, Clone)]
pub(super) struct SlotJoin {
    pub left: bool,
    pub right: bool,
    /// Slots that must come before it.
    pub needs: u64,
    pub indexed: Option<Option<Name>>,
}

impl JoinBuild {
    pub(super) fn cover(&mut self, slots: usize) {
        if self.slots.len() < slots {
            self.slots.resize(slots, SlotJoin::default());
        }
    }

    pub(super) fn after_all_before(&mut self, slot: usize, first: usize) {
        let before = if first >= 64 { u64::MAX } else { (1u64 << first) - 1 };
        self.slots[slot].needs |= before;
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Op {
    Eq,
    Is,
    IsNull,
    Low { inclusive: bool },
    High { inclusive: bool },
    In { count: f64 },
}

/// A term as seen from one of its columns.
struct Constraint {
    term: usize,
    slot: usize,
    col: u16,
    op: Op,
    other: u64,
    how: Comparison,
    /// The column stands right.
    flipped: bool,
}

/// A way to find the rows, by the numbers of its constraints.
#[derive(Clone, Debug)]
enum Shape {
    Scan,
    RowidEq(usize),
    RowidIn(usize),
    RowidRange(Option<usize>, Option<usize>),
    Index {
        index: Rc<Index>,
        equal: Vec<usize>,
        within: Option<usize>,
        low: Option<usize>,
        high: Option<usize>,
        covering: bool,
    },
    Hash(Vec<usize>),
}

#[derive(Clone, Debug)]
struct Choice {
    slot: usize,
    shape: Shape,
    /// For each time around.
    cost: f64,
    rows: f64,
    /// Gives the order asked for, walked backwards where true.
    ordered: Option<bool>,
}

struct Planner<'p> {
    sources: &'p [Source],
    slots: &'p [SlotJoin],
    terms: &'p [Term],
    constraints: Vec<Constraint>,
    order: Vec<order::Wanted>,
    finds_targets: bool,
}

impl Compiler<'_> {
    /// Chooses the loops of a query and puts every term where it is first known.
    pub(super) fn plan_loops(
        &mut self,
        plan: &mut Query,
        mut joins: JoinBuild,
        limited: bool,
    ) -> Result<()> {
        let frame = self.frame();
        joins.cover(frame.sources.len());
        if frame.sources.len() > 64 {
            return Err(Error::new("at most 64 tables in a join"));
        }
        reduce_left_joins(&mut joins);
        let wanted = order::wanted(plan);
        let constraints = constraints(&joins.terms);
        let planner = Planner {
            sources: &frame.sources,
            slots: &joins.slots,
            terms: &joins.terms,
            constraints,
            order: wanted,
            finds_targets: joins.finds_targets,
        };
        let choices = planner.choose(joins.fixed, limited);
        let ordered = choices.first().and_then(|choice| choice.ordered);
        plan.ordered = ordered.is_some() && !plan.order.is_empty();
        if let Some(aggregate) = &mut plan.aggregate {
            aggregate.first_only = ordered.is_some() && choices.len() == 1;
        }
        let mut levels = Vec::with_capacity(choices.len());
        let mut used = Vec::new();
        for choice in &choices {
            levels.push(planner.level(choice, &mut used)?);
        }
        for term in used {
            joins.terms[term].used = true;
        }
        place_terms(plan, &mut levels, joins);
        if let Some(aggregate) = &mut plan.aggregate {
            aggregate.count_rows =
                counts_rows(aggregate, &levels, &frame.sources) && plan.constant_terms.is_empty();
        }
        plan.levels = levels;
        Ok(())
    }
}

/// Whether all that is asked for is `count(*)` over one whole table.
fn counts_rows(aggregate: &crate::plan::Aggregation, levels: &[Level], sources: &[Source]) -> bool {
    let [level] = levels else { return false };
    aggregate.groups.is_empty()
        && matches!(level.access, Access::Scan { .. })
        && level.on.is_empty()
        && level.filters.is_empty()
        && matches!(sources[level.slot].kind, SourceKind::Table(_))
        && aggregate.calls.iter().all(|call| {
            call.function.kind == crate::func::AggregateKind::Count
                && call.args.is_empty()
                && call.filter.is_none()
        })
        && sources[level.slot].used.iter().all(|used| !used)
}

/// A LEFT JOIN whose right side WHERE wants not NULL is an inner join.
fn reduce_left_joins(joins: &mut JoinBuild) {
    if joins.fixed {
        return;
    }
    for slot in 0..joins.slots.len() {
        if !joins.slots[slot].left {
            continue;
        }
        let rejects =
            joins.terms.iter().any(|term| term.on.is_none() && rejects_null(&term.expr, slot));
        if rejects {
            joins.slots[slot].left = false;
            for term in &mut joins.terms {
                if term.on == Some(slot) {
                    term.on = None;
                }
            }
        }
    }
}

fn rejects_null(expr: &Expr, slot: usize) -> bool {
    let column = |e: &Expr| matches!(e, Expr::Column(c) if c.up == 0 && c.slot as usize == slot);
    match expr {
        Expr::Compare(op, l, r, _) => {
            !matches!(op, Binary::Is | Binary::IsNot) && (column(l) || column(r))
        }
        Expr::NotNull(e) => column(e),
        Expr::InList { not: false, value, .. } => column(value),
        _ => false,
    }
}

fn constraints(terms: &[Term]) -> Vec<Constraint> {
    let mut out = Vec::new();
    for (n, term) in terms.iter().enumerate() {
        let own = |e: &Expr| match e {
            Expr::Column(c) if c.up == 0 => Some((c.slot as usize, c.col)),
            _ => None,
        };
        match &term.expr {
            Expr::Compare(op, left, right, how) => {
                for (side, other, flipped) in [(left, right, false), (right, left, true)] {
                    let Some((slot, col)) = own(side) else { continue };
                    let op = match if flipped { mirrored(*op) } else { *op } {
                        Binary::Eq => Op::Eq,
                        Binary::Is => Op::Is,
                        Binary::Lt => Op::High { inclusive: false },
                        Binary::Le => Op::High { inclusive: true },
                        Binary::Gt => Op::Low { inclusive: false },
                        Binary::Ge => Op::Low { inclusive: true },
                        _ => continue,
                    };
                    let other = slots_of(other);
                    if other & bit(slot) == 0 {
                        let how = *how;
                        out.push(Constraint { term: n, slot, col, op, other, how, flipped });
                    }
                }
            }
            Expr::IsNull(inner) => {
                if let Some((slot, col)) = own(inner) {
                    let how = Comparison { affinity: Affinity::None, collation: Collation::Binary };
                    let op = Op::IsNull;
                    out.push(Constraint { term: n, slot, col, op, other: 0, how, flipped: false });
                }
            }
            Expr::InList { not: false, value, list, how, .. } => {
                if let Some((slot, col)) = own(value) {
                    let other = list.iter().fold(0, |all, e| all | slots_of(e));
                    let op = Op::In { count: list.len() as f64 };
                    if other & bit(slot) == 0 {
                        let how = *how;
                        out.push(Constraint { term: n, slot, col, op, other, how, flipped: false });
                    }
                }
            }
            Expr::InSelect { not: false, values, plan, how } => {
                let [value] = values.as_slice() else { continue };
                if let Some((slot, col)) = own(value)
                    && plan.plan.reach == 0
                {
                    let op = Op::In { count: 25.0 };
                    let how = how[0];
                    out.push(Constraint { term: n, slot, col, op, other: 0, how, flipped: false });
                }
            }
            _ => {}
        }
    }
    out
}

impl Planner<'_> {
    fn choose(&self, fixed: bool, limited: bool) -> Vec<Choice> {
        let count = self.sources.len();
        if count == 0 {
            return vec![];
        }
        if fixed {
            let mut placed = 0;
            return (0..count)
                .map(|slot| {
                    let choice = self.best(slot, placed, 2.0, false, limited);
                    placed |= bit(slot);
                    choice
                })
                .collect();
        }
        let mut best: Option<(f64, Vec<Choice>)> = None;
        let starts: Vec<usize> = (0..count).filter(|slot| self.slots[*slot].needs == 0).collect();
        let few = count <= 10;
        let mut firsts: Vec<Choice> =
            starts.iter().map(|slot| self.best(*slot, 0, 1.0, true, limited)).collect();
        firsts.sort_by(|a, b| (a.cost + a.rows).total_cmp(&(b.cost + b.rows)));
        if !few {
            firsts.truncate(3);
        }
        for first in firsts {
            let (cost, choices) = self.greedy(first, limited);
            if best.as_ref().is_none_or(|(known, _)| cost < *known * 0.999) {
                best = Some((cost, choices));
            }
        }
        best.map(|(_, choices)| choices).unwrap_or_default()
    }

    /// Goes on from a first loop with the cheapest next one, again and again.
    fn greedy(&self, first: Choice, limited: bool) -> (f64, Vec<Choice>) {
        let count = self.sources.len();
        let mut placed = bit(first.slot);
        let mut cost = first.cost;
        let mut rows = first.rows.max(1.0);
        let ordered = first.ordered.is_some();
        let mut choices = vec![first];
        while choices.len() < count {
            let next = (0..count)
                .filter(|slot| placed & bit(*slot) == 0 && self.slots[*slot].needs & !placed == 0)
                .map(|slot| self.best(slot, placed, rows, false, limited))
                .min_by(|a, b| {
                    let weight = |c: &Choice| rows * c.cost + rows * c.rows * 2.0;
                    weight(a).total_cmp(&weight(b))
                });
            let Some(next) = next else { break };
            cost += rows * next.cost;
            rows = (rows * next.rows).max(1.0);
            placed |= bit(next.slot);
            choices.push(next);
        }
        if !self.order.is_empty() && !ordered {
            cost += rows * rows.log2().max(1.0);
        }
        (cost, choices)
    }

    fn usable(&self, slot: usize, placed: u64) -> Vec<usize> {
        (0..self.constraints.len())
            .filter(|n| {
                let c = &self.constraints[*n];
                let term = &self.terms[c.term];
                let joined = self.slots[slot].left || self.slots[slot].right;
                c.slot == slot
                    && c.other & !placed == 0
                    && (term.on == Some(slot) || term.on.is_none() && !joined)
            })
            .collect()
    }

    fn best(
        &self,
        slot: usize,
        placed: u64,
        outer_rows: f64,
        first: bool,
        limited: bool,
    ) -> Choice {
        let usable = self.usable(slot, placed);
        let rows = source_rows(&self.sources[slot]);
        let residual = self.residual(slot, placed, &usable);
        let mut best: Option<Choice> = None;
        let mut offer = |shape: Shape, cost: f64, rows: f64| {
            let ordered = if first {
                order::satisfied(
                    &self.order,
                    slot,
                    &self.sources[slot],
                    &self.as_walk(&shape),
                    self.sources.len() == 1,
                )
            } else {
                None
            };
            let choice = Choice { slot, shape, cost, rows: rows * residual, ordered };
            let weigh = |c: &Choice| {
                let sort = if first && !self.order.is_empty() && c.ordered.is_none() {
                    c.rows * c.rows.max(2.0).log2() * if limited { 1.0 } else { 2.0 }
                } else {
                    0.0
                };
                c.cost + sort + c.rows * 0.01
            };
            if best.as_ref().is_none_or(|known| weigh(&choice) < weigh(known)) {
                best = Some(choice);
            }
        };
        offer(Shape::Scan, rows, rows);
        if let SourceKind::Table(table) = &self.sources[slot].kind
            && self.slots[slot].indexed != Some(None)
        {
            self.offer_rowid(table, &usable, rows, &mut offer);
            self.offer_indexes(slot, table, &usable, rows, first, &mut offer);
        }
        let by_function = matches!(self.sources[slot].kind, SourceKind::Function { .. });
        if placed != 0 && outer_rows > 1.0 && !by_function {
            let keys: Vec<usize> = usable
                .iter()
                .copied()
                .filter(|n| {
                    matches!(self.constraints[*n].op, Op::Eq) && self.constraints[*n].other != 0
                })
                .collect();
            if !keys.is_empty() {
                let matches = (rows / 10f64.powi(keys.len() as i32 * 3)).max(1.0).min(rows);
                offer(Shape::Hash(keys), rows * 2.0 / outer_rows.max(1.0) + 1.5 + matches, matches);
            }
        }
        best.unwrap_or(Choice { slot, shape: Shape::Scan, cost: rows, rows, ordered: None })
    }

    /// How much the terms that are no access path narrow the rows.
    fn residual(&self, slot: usize, placed: u64, usable: &[usize]) -> f64 {
        let here = placed | bit(slot);
        let others = self
            .terms
            .iter()
            .enumerate()
            .filter(|(n, term)| {
                term.slots & bit(slot) != 0
                    && term.slots & !here == 0
                    && !usable.iter().any(|c| self.constraints[*c].term == *n)
            })
            .count();
        0.9f64.powi(others.min(10) as i32)
    }

    fn find(&self, usable: &[usize], col: u16, wanted: impl Fn(Op) -> bool) -> Option<usize> {
        usable
            .iter()
            .copied()
            .find(|n| self.constraints[*n].col == col && wanted(self.constraints[*n].op))
    }

    fn offer_rowid(
        &self,
        table: &Table,
        usable: &[usize],
        rows: f64,
        offer: &mut dyn FnMut(Shape, f64, f64),
    ) {
        if table.without_rowid {
            return;
        }
        if let Some(n) = self.find(usable, ROWID, |op| matches!(op, Op::Eq | Op::Is)) {
            offer(Shape::RowidEq(n), 5.0, 1.0);
            return;
        }
        if let Some(n) = self.find(usable, ROWID, |op| matches!(op, Op::In { .. }))
            && let Op::In { count } = self.constraints[n].op
        {
            offer(Shape::RowidIn(n), 6.0 * count.max(1.0), count.max(1.0));
        }
        let low = self.find(usable, ROWID, |op| matches!(op, Op::Low { .. }));
        let high = self.find(usable, ROWID, |op| matches!(op, Op::High { .. }));
        let part = match (low, high) {
            (None, None) => return,
            (Some(_), Some(_)) => 0.03,
            _ => 0.25,
        };
        offer(Shape::RowidRange(low, high), 5.0 + rows * part, rows * part);
    }

    fn offer_indexes(
        &self,
        slot: usize,
        table: &Rc<Table>,
        usable: &[usize],
        rows: f64,
        first: bool,
        offer: &mut dyn FnMut(Shape, f64, f64),
    ) {
        let forced = self.slots[slot].indexed.clone().flatten();
        for index in table.primary.iter().chain(&table.indexes) {
            if forced.as_ref().is_some_and(|name| !name.eq_ignore_ascii_case(&index.name)) {
                continue;
            }
            if index.filter.is_some() && forced.is_none() {
                // A partial index is used only where it is asked for by name.
                continue;
            }
            let tree_itself = table.primary.as_ref().is_some_and(|p| Rc::ptr_eq(p, index));
            let covering = tree_itself || covers(index, table, &self.sources[slot].used);
            self.offer_index(index, table, usable, rows, covering, first, forced.is_some(), offer);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn offer_index(
        &self,
        index: &Rc<Index>,
        table: &Table,
        usable: &[usize],
        rows: f64,
        covering: bool,
        first: bool,
        forced: bool,
        offer: &mut dyn FnMut(Shape, f64, f64),
    ) {
        let mut equal = Vec::new();
        let mut within = None;
        let (mut low, mut high) = (None, None);
        let mut seeks = 1.0;
        for column in &index.columns[..index.key_columns] {
            let fits = |n: usize| {
                let c = &self.constraints[n];
                part_is(&column.part, table, c.col)
                    && (matches!(c.op, Op::IsNull)
                        || c.how.collation == column.collation
                            && affinity_fits(c.how.affinity, &column.part, table))
            };
            let pick = |wanted: &dyn Fn(Op) -> bool| {
                usable.iter().copied().find(|n| fits(*n) && wanted(self.constraints[*n].op))
            };
            if let Some(n) = pick(&|op| matches!(op, Op::Eq | Op::Is | Op::IsNull)) {
                equal.push(n);
                continue;
            }
            if let Some(n) = pick(&|op| matches!(op, Op::In { .. })) {
                if let Op::In { count } = self.constraints[n].op {
                    seeks = count.max(1.0);
                }
                within = Some(n);
                break;
            }
            low = pick(&|op| matches!(op, Op::Low { .. }));
            high = pick(&|op| matches!(op, Op::High { .. }));
            break;
        }
        let depth = equal.len() + usize::from(within.is_some());
        let whole = depth == index.key_columns && index.unique;
        let per_row = if covering { 1.1 } else { 3.0 };
        if depth == 0 && low.is_none() && high.is_none() {
            let smaller = covering
                && !self.finds_targets
                && table.primary.is_none()
                && narrower(index, table);
            let cost = if smaller { rows * 0.9 } else { rows * per_row };
            if (first && !self.order.is_empty()) || smaller || forced {
                let shape =
                    Shape::Index { index: index.clone(), equal, within, low, high, covering };
                offer(shape, if forced { 0.0 } else { cost }, rows);
            }
            return;
        }
        let mut matches = if whole {
            1.0
        } else if depth == 0 {
            rows
        } else {
            let assumed = (11.0 - depth as f64).max(5.0);
            index.stat.get(depth).map_or(assumed, |rows| *rows as f64).min(rows)
        };
        for _ in low.iter().chain(&high) {
            matches *= 0.25;
        }
        let matches = (matches * seeks).max(1.0);
        let shape = Shape::Index { index: index.clone(), equal, within, low, high, covering };
        let cost = 5.0 * seeks + matches * per_row;
        offer(shape, if forced { 0.0 } else { cost }, matches);
    }

    fn as_walk(&self, shape: &Shape) -> order::Walk {
        match shape {
            Shape::Scan | Shape::RowidRange(..) => order::Walk::Rowid,
            Shape::RowidEq(_) => order::Walk::One,
            Shape::Index { index, equal, within: None, .. } => order::Walk::Index {
                index: index.clone(),
                equal: equal.len(),
                one: index.unique && equal.len() == index.key_columns,
            },
            _ => order::Walk::Unordered,
        }
    }

    // ---- from choice to level -----------------------------------------------------------------

    fn level(&self, choice: &Choice, used: &mut Vec<usize>) -> Result<Level> {
        let desc = choice.ordered.unwrap_or(false);
        let access = match &choice.shape {
            Shape::Scan => Access::Scan { desc },
            Shape::RowidEq(n) => Access::RowidEq(self.value(*n, used)),
            Shape::RowidIn(n) => Access::RowidIn(Box::new(self.in_term(*n, used))),
            Shape::RowidRange(low, high) => Access::RowidRange {
                low: low.map(|n| self.bound(n, used)),
                high: high.map(|n| self.bound(n, used)),
                desc,
            },
            Shape::Index { index, equal, within, low, high, covering } => {
                Access::Index(Box::new(IndexAccess {
                    index: index.clone(),
                    equal: equal
                        .iter()
                        .map(|n| {
                            let nulls = matches!(self.constraints[*n].op, Op::Is | Op::IsNull);
                            (self.value(*n, used), nulls)
                        })
                        .collect(),
                    within: within.map(|n| self.in_term(n, used)),
                    low: low.map(|n| self.bound(n, used)),
                    high: high.map(|n| self.bound(n, used)),
                    desc,
                    covering: *covering,
                }))
            }
            Shape::Hash(keys) => {
                Access::Hash { keys: keys.iter().map(|n| self.hash_key(*n, used)).collect() }
            }
        };
        if self.slots[choice.slot].indexed.as_ref().is_some_and(Option::is_some)
            && !matches!(access, Access::Index(_))
        {
            return Err(Error::new("no query solution"));
        }
        Ok(Level {
            slot: choice.slot,
            access,
            on: vec![],
            left: self.slots[choice.slot].left,
            right: self.slots[choice.slot].right,
            filters: vec![],
            rows: choice.rows,
        })
    }

    fn sides(&self, n: usize) -> (&Expr, &Expr) {
        let constraint = &self.constraints[n];
        match &self.terms[constraint.term].expr {
            Expr::Compare(_, left, right, _) if constraint.flipped => (right, left),
            Expr::Compare(_, left, right, _) => (left, right),
            other => (other, other),
        }
    }

    /// The value that a column is compared with, converted as the comparison does.
    fn value(&self, n: usize, used: &mut Vec<usize>) -> Expr {
        let constraint = &self.constraints[n];
        used.push(constraint.term);
        if constraint.op == Op::IsNull {
            return Expr::Const(crate::value::Value::Null);
        }
        converted(self.sides(n).1.clone(), constraint.how.affinity)
    }

    fn bound(&self, n: usize, used: &mut Vec<usize>) -> Bound {
        let inclusive = matches!(
            self.constraints[n].op,
            Op::Low { inclusive: true } | Op::High { inclusive: true }
        );
        Bound { value: self.value(n, used), inclusive }
    }

    fn in_term(&self, n: usize, used: &mut Vec<usize>) -> InTerm {
        let constraint = &self.constraints[n];
        used.push(constraint.term);
        match &self.terms[constraint.term].expr {
            Expr::InList { list, how, .. } => {
                InTerm::List(list.iter().map(|e| converted(e.clone(), how.affinity)).collect())
            }
            Expr::InSelect { plan, how, .. } => InTerm::Select(plan.clone(), how[0].affinity),
            _ => InTerm::List(vec![]),
        }
    }

    fn hash_key(&self, n: usize, used: &mut Vec<usize>) -> HashKey {
        let (inner, outer) = self.sides(n);
        used.push(self.constraints[n].term);
        HashKey { inner: inner.clone(), outer: outer.clone(), how: self.constraints[n].how }
    }
}

/// Wraps a key so that it is converted as the comparison converts it.
fn converted(value: Expr, affinity: Affinity) -> Expr {
    match (affinity, &value) {
        (Affinity::None | Affinity::Blob, _) => value,
        (affinity, Expr::Const(v)) => Expr::Const(v.clone().for_comparison(affinity)),
        (affinity, _) => Expr::Convert(Box::new(value), affinity),
    }
}

fn source_rows(source: &Source) -> f64 {
    match &source.kind {
        SourceKind::Table(table) => table.rows(),
        SourceKind::Select { .. } => 10_000.0,
        SourceKind::Recursion { .. } => 20.0,
        SourceKind::Function { .. } => 100.0,
    }
}

fn part_is(part: &IndexPart, table: &Table, col: u16) -> bool {
    match part {
        IndexPart::Column(at) => {
            *at == col as usize || col == ROWID && table.rowid_alias == Some(*at)
        }
        IndexPart::Rowid => col == ROWID,
        IndexPart::Expr(_) => false,
    }
}

/// Whether a comparison with that affinity finds everything by the index (sqlite3IndexAffinityOk).
fn affinity_fits(comparison: Affinity, part: &IndexPart, table: &Table) -> bool {
    let own = match part {
        IndexPart::Column(at) => table.columns[*at].affinity,
        _ => Affinity::Integer,
    };
    match comparison {
        Affinity::None | Affinity::Blob => true,
        Affinity::Text => own == Affinity::Text,
        _ => own.is_numeric(),
    }
}

/// Whether all columns that are read stand in the index.
fn covers(index: &Index, table: &Table, used: &[bool]) -> bool {
    used.iter().enumerate().filter(|(_, used)| **used).all(|(at, _)| {
        let in_index = |part: &IndexPart| *part == IndexPart::Column(at);
        table.columns[at].generated.as_ref().is_none_or(|(_, stored)| *stored)
            && index.columns.iter().any(|c| in_index(&c.part))
    })
}

/// Whether SQLite reckons an index row smaller than a table row, so that a whole scan goes over the
/// index (estimateIndexWidth, estimateTableWidth).
fn narrower(index: &Index, table: &Table) -> bool {
    let width = |at: usize| {
        let column = &table.columns[at];
        let Some(name) = &column.type_name else { return 1 };
        if column.affinity.is_numeric() {
            return 1;
        }
        let digits: String = name
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        let size: usize = digits.parse().unwrap_or(16);
        (size / 4 + 1).min(255)
    };
    let row: usize = (0..table.columns.len()).map(width).sum::<usize>()
        + usize::from(table.rowid_alias.is_none());
    let entry: usize = index
        .columns
        .iter()
        .map(|column| match column.part {
            IndexPart::Column(at) => width(at),
            _ => 1,
        })
        .sum();
    log_estimate(entry * 4) < log_estimate(row * 4)
}

/// Ten times the logarithm, as SQLite rounds it: widths that are near count as equal.
fn log_estimate(value: usize) -> i32 {
    ((value.max(1) as f64).log2() * 10.0) as i32
}

/// Puts each term at the first loop where all that it reads is known.
fn place_terms(plan: &mut Query, levels: &mut [Level], joins: JoinBuild) {
    let last_right = levels.iter().rposition(|level| level.right);
    for term in joins.terms {
        if term.used {
            continue;
        }
        if let Some(slot) = term.on {
            if let Some(level) = levels.iter_mut().find(|level| level.slot == slot) {
                level.on.push(term.expr);
            }
            continue;
        }
        if term.slots == 0 && (levels.is_empty() || !term.filter || last_right.is_none()) {
            plan.constant_terms.push(term.expr);
            continue;
        }
        let mut placed = 0;
        let known = levels.iter().position(|level| {
            placed |= bit(level.slot);
            term.slots & !placed == 0
        });
        let mut at = known.unwrap_or(levels.len() - 1);
        if term.filter
            && let Some(last) = last_right
        {
            at = at.max(last);
        }
        let level = &mut levels[at];
        if level.left || level.right || term.filter {
            level.filters.push(term.expr);
        } else {
            level.on.push(term.expr);
        }
    }
}
