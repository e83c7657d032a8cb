//! GROUP BY and aggregates over chunks: each row gets the number of its group, then each aggregate
//! runs down its column.
//!
//! Rows are taken in the order of the scan, one group's values into one accumulator one by one, as
//! the row engine does: so a compensated sum of doubles has the same bits.

use super::chunk::Chunk;
use super::eval::{Evaluator, Out};
use super::program::{Builder, Node};
use super::vector::{INT, NULL, REAL, TEXT, Vector};
use crate::collate::Collation;
use crate::error::Result;
use crate::exec::group::{Group, State};
use crate::exec::keys::{IntSet, KeySet};
use crate::func::Accumulator;
use crate::plan::{AggregateCall, Aggregation, Query};
use crate::value::{Owned, Value};

/// A call of an aggregate.
struct Call<'q> {
    plan: &'q AggregateCall,
    args: Vec<Node<'q>>,
    filter: Option<Node<'q>>,
    /// With DISTINCT: what was seen, the group's number in front.
    seen: KeySet,
}

/// The groups so far.
pub struct Groups<'q> {
    plan: &'q Aggregation,
    keys: Vec<Node<'q>>,
    calls: Vec<Call<'q>>,
    captures: Vec<Node<'q>>,
    by_int: IntSet,
    by_bytes: KeySet,
    /// Groups by their keys packed into a word, where that can be: what saves most rows of few
    /// groups the long way.
    memo: IntSet,
    memo_groups: Vec<u32>,
    /// All keys so far were single integers.
    only_ints: bool,
    pub groups: Vec<Group>,
    numbers: Vec<u32>,
}

impl<'q> Groups<'q> {
    /// `None`: the row engine has to do it.
    pub fn new(query: &'q Query, plan: &'q Aggregation, build: &mut Builder<'_>) -> Option<Self> {
        let keys = plan.groups.iter().map(|e| build.node(e)).collect::<Option<Vec<_>>>()?;
        let mut calls = Vec::with_capacity(plan.calls.len());
        for call in &plan.calls {
            if !call.order.is_empty()
                || call.args.len() > 1
                || call.distinct && call.args.is_empty()
            {
                return None;
            }
            calls.push(Call {
                plan: call,
                args: call.args.iter().map(|e| build.node(e)).collect::<Option<_>>()?,
                filter: match &call.filter {
                    Some(filter) => Some(build.node(filter)?),
                    None => None,
                },
                seen: KeySet::default(),
            });
        }
        let mut captures = Vec::with_capacity(query.captures.len());
        for (slot, col) in &query.captures {
            let slot = usize::from(*slot);
            captures.push(Node::Column { slot, at: build.column(slot, *col)? });
        }
        let only_ints = keys.len() == 1;
        let mut groups = Groups {
            plan,
            keys,
            calls,
            captures,
            by_int: IntSet::default(),
            by_bytes: KeySet::default(),
            memo: IntSet::default(),
            memo_groups: Vec::new(),
            only_ints,
            groups: Vec::new(),
            numbers: Vec::new(),
        };
        if plan.groups.is_empty() {
            groups.add_group(vec![]);
        }
        Some(groups)
    }

    fn add_group(&mut self, keys: Vec<Owned>) {
        self.groups.push(Group {
            keys: keys.into(),
            row: vec![Value::Null; self.captures.len()].into(),
            states: self.plan.calls.iter().map(State::new).collect(),
        });
    }

    /// Takes the rows of a chunk in; `false`: the answer is known.
    ///
    /// # Errors
    /// What expressions report.
    pub fn take(&mut self, eval: &Evaluator<'_, '_>, chunk: &Chunk) -> Result<bool> {
        if chunk.len == 0 {
            return Ok(true);
        }
        let had = if self.plan.groups.is_empty() { 0 } else { self.groups.len() };
        let first = self.plan.groups.is_empty() && self.numbers.is_empty();
        self.number(eval, chunk)?;
        self.capture_new(eval, chunk, had, first)?;
        let mut calls = std::mem::take(&mut self.calls);
        let mut stop = false;
        for (n, call) in calls.iter_mut().enumerate() {
            let better = self.step(n, call, eval, chunk)?;
            if self.plan.extreme == Some(n) && !better.is_empty() {
                stop |= self.plan.first_only;
                self.capture(eval, chunk, &better)?;
            }
        }
        self.calls = calls;
        Ok(!stop)
    }

    /// Finds the group of every row.
    fn number(&mut self, eval: &Evaluator<'_, '_>, chunk: &Chunk) -> Result<()> {
        self.numbers.clear();
        if self.keys.is_empty() {
            self.numbers.resize(chunk.len, 0);
            return Ok(());
        }
        let keys = std::mem::take(&mut self.keys);
        let values: Vec<Out<'_>> =
            keys.iter().map(|key| eval.eval(key, chunk, None)).collect::<Result<_>>()?;
        match values.as_slice() {
            [Out::Vector(ints)] if self.only_ints && ints.one_type() == Some(INT) => {
                for bits in &ints.bits {
                    let (n, new) = self.by_int.insert(*bits as i64);
                    if new {
                        self.add_group(vec![Value::Int(*bits as i64)]);
                    }
                    self.numbers.push(n);
                }
            }
            _ => self.number_bytes(&values, chunk),
        }
        drop(values);
        self.keys = keys;
        Ok(())
    }

    fn number_bytes(&mut self, values: &[Out<'_>], chunk: &Chunk) {
        let mut key = Vec::new();
        if self.only_ints {
            // The integers so far get the same numbers in the other table.
            self.only_ints = false;
            for int in self.by_int.keys() {
                key.clear();
                Value::Int(*int).push_key(Collation::Binary, &mut key);
                self.by_bytes.insert(&key);
            }
        }
        let short: Option<Vec<u64>> = short_keys(values, &self.plan.collations, chunk);
        for at in 0..chunk.len {
            if let Some(short) = &short
                && short[at] != LONG
                && let Some(n) = self.memo.find(short[at] as i64)
            {
                self.numbers.push(self.memo_groups[n as usize]);
                continue;
            }
            key.clear();
            for (value, collation) in values.iter().zip(&self.plan.collations) {
                value.value(at, chunk).push_key(*collation, &mut key);
            }
            let (n, new) = self.by_bytes.insert(&key);
            if new {
                let keys = values.iter().map(|v| v.value(at, chunk).into_owned()).collect();
                self.add_group(keys);
            }
            if let Some(short) = &short
                && short[at] != LONG
                && self.memo_groups.len() < MOST_MEMO
            {
                self.memo.insert(short[at] as i64);
                self.memo_groups.push(n);
            }
            self.numbers.push(n);
        }
    }

    /// Bare columns of a new group come from its first row.
    fn capture_new(
        &mut self,
        eval: &Evaluator<'_, '_>,
        chunk: &Chunk,
        had: usize,
        first: bool,
    ) -> Result<()> {
        if self.captures.is_empty() {
            return Ok(());
        }
        let mut new: Vec<(u32, u32)> = Vec::new();
        if self.plan.groups.is_empty() {
            if first {
                new.push((0, 0));
            }
        } else {
            let mut next = had as u32;
            for (at, n) in self.numbers.iter().enumerate() {
                if *n == next {
                    new.push((*n, at as u32));
                    next += 1;
                }
            }
        }
        self.capture(eval, chunk, &new)
    }

    /// Copies the captured columns of rows (group, row of the chunk).
    fn capture(
        &mut self,
        eval: &Evaluator<'_, '_>,
        chunk: &Chunk,
        rows: &[(u32, u32)],
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let places: Vec<u32> = rows.iter().map(|(_, at)| *at).collect();
        for (n, node) in self.captures.iter().enumerate() {
            let values = eval.eval(node, chunk, Some(&places))?;
            for (at, (group, _)) in rows.iter().enumerate() {
                self.groups[*group as usize].row[n] = values.value(at, chunk).into_owned();
            }
        }
        Ok(())
    }

    /// Runs one aggregate down its column; gives the rows that became the extreme of their group.
    fn step(
        &mut self,
        n: usize,
        call: &mut Call<'_>,
        eval: &Evaluator<'_, '_>,
        chunk: &Chunk,
    ) -> Result<Vec<(u32, u32)>> {
        let filtered = match &call.filter {
            None => None,
            Some(filter) => Some(eval.filter(filter, chunk, (0..chunk.len as u32).collect())?),
        };
        let Some(arg) = call.args.first() else {
            // count(*)
            match &filtered {
                None => self.numbers.iter().for_each(|group| count(&mut self.groups, *group, n)),
                Some(rows) => rows.iter().for_each(|at| {
                    count(&mut self.groups, self.numbers[*at as usize], n);
                }),
            }
            return Ok(vec![]);
        };
        let values = eval.eval(arg, chunk, filtered.as_deref())?;
        let len = filtered.as_ref().map_or(chunk.len, Vec::len);
        let vector = values.spread(len);
        let row = |at: usize| filtered.as_ref().map_or(at as u32, |rows| rows[at]);
        let mut better = Vec::new();
        if call.plan.distinct {
            let mut key = Vec::new();
            for at in 0..len {
                if vector.tag(at) == NULL {
                    continue;
                }
                let (group, value) =
                    (self.numbers[row(at) as usize], vector.value(at, &chunk.pages));
                key.clear();
                key.extend_from_slice(&group.to_le_bytes());
                value.push_key(call.plan.collation, &mut key);
                if call.seen.insert(&key).1
                    && self.groups[group as usize].states[n].accumulator.step(&[value])?
                {
                    better.push((group, row(at)));
                }
            }
            return Ok(better);
        }
        if filtered.is_none() && step_fast(&mut self.groups, &self.numbers, n, &vector) {
            return Ok(better);
        }
        for at in 0..len {
            let group = self.numbers[row(at) as usize];
            let value = vector.value(at, &chunk.pages);
            let state = &mut self.groups[group as usize].states[n];
            if state.accumulator.step(std::slice::from_ref(&value))? {
                better.push((group, row(at)));
            }
        }
        Ok(better)
    }
}

/// A key that has no packed form.
const LONG: u64 = u64::MAX;
/// Groups that are remembered by their packed keys.
const MOST_MEMO: usize = 4096;

/// The keys of up to two columns, each packed into 32 bits where it is a short BINARY text, a small
/// integer or NULL.
fn short_keys(values: &[Out<'_>], collations: &[Collation], chunk: &Chunk) -> Option<Vec<u64>> {
    if !matches!(values.len(), 1 | 2) || collations.iter().any(|c| *c != Collation::Binary) {
        return None;
    }
    let mut packed = vec![0u64; chunk.len];
    for value in values {
        let Out::Vector(vector) = value else { return None };
        for (at, packed) in packed.iter_mut().enumerate() {
            *packed = match short_key(vector, at, chunk) {
                Some(key) if *packed != LONG => *packed << 32 | u64::from(key),
                _ => LONG,
            };
        }
    }
    Some(packed)
}

#[inline]
fn short_key(vector: &Vector, at: usize, chunk: &Chunk) -> Option<u32> {
    let bits = vector.bits[at];
    match vector.tag(at) {
        NULL => Some(0x7f00_0000),
        INT if bits < 1 << 24 => Some(0x0800_0000 | bits as u32),
        TEXT => {
            let text = vector.bytes(bits, &chunk.pages);
            let pack = |key: u32, byte: &u8| key << 8 | u32::from(*byte);
            let key = (text.len() as u32 + 1) << 24;
            (text.len() <= 3).then(|| key | text.iter().fold(0, pack))
        }
        _ => None,
    }
}

fn count(groups: &mut [Group], group: u32, n: usize) {
    if let Accumulator::Count(count) = &mut groups[group as usize].states[n].accumulator {
        *count += 1;
    }
}

/// Counts and sums of a column of one type; `false`: it is another case.
fn step_fast(groups: &mut [Group], numbers: &[u32], n: usize, vector: &Vector) -> bool {
    let Some(tag) = vector.one_type() else { return false };
    let sums = groups.first().map(|group| &group.states[n].accumulator);
    match (sums, tag) {
        (Some(Accumulator::Count(_)), NULL) => {}
        (Some(Accumulator::Count(_)), _) => {
            numbers.iter().for_each(|group| count(groups, *group, n));
        }
        (Some(Accumulator::Sum(..)), INT) => {
            for (group, bits) in numbers.iter().zip(&vector.bits) {
                let state = &mut groups[*group as usize].states[n];
                if let Accumulator::Sum(_, sum) = &mut state.accumulator {
                    sum.add_int(*bits as i64);
                }
            }
        }
        (Some(Accumulator::Sum(..)), REAL) => {
            for (group, bits) in numbers.iter().zip(&vector.bits) {
                let state = &mut groups[*group as usize].states[n];
                if let Accumulator::Sum(_, sum) = &mut state.accumulator {
                    sum.add_double(f64::from_bits(*bits));
                }
            }
        }
        _ => return false,
    }
    true
}
