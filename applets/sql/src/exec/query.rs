//! One arm of a select: loops, then groups, windows, DISTINCT, ORDER BY, LIMIT.

use super::batch::RowSink;
use super::keys::KeySet;
use super::sorter::Sorter;
use super::{Exec, Flow, Frame, Sink};
use crate::error::Result;
use crate::plan::{Query, SortBy};
use crate::value::{Owned, Value};

/// How many rows are skipped and how many are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub skip: usize,
    pub most: Option<usize>,
}

impl Limits {
    /// No limit.
    pub const NONE: Limits = Limits { skip: 0, most: None };

    /// Decides over the next row: hand it out, and go on?
    pub fn next(&mut self) -> (bool, Flow) {
        if self.most == Some(0) {
            return (false, Flow::Stop);
        }
        if self.skip > 0 {
            self.skip -= 1;
            return (false, Flow::Continue);
        }
        match &mut self.most {
            None => (true, Flow::Continue),
            Some(most) => {
                *most -= 1;
                (true, if *most == 0 { Flow::Stop } else { Flow::Continue })
            }
        }
    }
}

/// The last stage of a query: takes rows of the join (or groups), gives rows of the result.
struct Stage<'q, 's> {
    query: &'q Query,
    seen: Option<KeySet>,
    key: Vec<u8>,
    sorter: Option<Sorter<'q>>,
    limits: Limits,
    sink: &'s mut dyn FnMut(&[Value<'_>]) -> Result<Flow>,
    /// The buffer of the row, its memory used again.
    row: Vec<Value<'static>>,
}

/// Empties a vector of values and lends it to values of another lifetime.
pub(super) fn recycle<'a>(mut row: Vec<Value<'_>>) -> Vec<Value<'a>> {
    row.clear();
    // Nothing is in it: the collection keeps its memory and is never run.
    row.into_iter().map(|_| Value::Null).collect()
}

impl RowSink for Stage<'_, '_> {
    fn refuses(&self, first: &Value<'_>) -> bool {
        self.sorter.as_ref().is_some_and(|sorter| sorter.refuses(first))
    }

    fn take(&mut self, row: &[Value<'_>], extra: &[Owned]) -> Result<Flow> {
        Stage::take(self, row, || Ok(extra.to_vec()))
    }
}

impl Stage<'_, '_> {
    fn row(&mut self, exec: &Exec<'_>, frame: &Frame<'_>) -> Result<Flow> {
        let mut row = recycle(std::mem::take(&mut self.row));
        for output in &self.query.outputs {
            row.push(exec.eval(output, frame)?);
        }
        let flow = self.take(&row, || {
            let mut extra = Vec::new();
            for key in &self.query.order {
                if let SortBy::Expr(expr) = &key.by {
                    extra.push(exec.eval(expr, frame)?.into_owned());
                }
            }
            Ok(extra)
        });
        self.row = recycle(row);
        flow
    }

    /// Takes a row; `extra` gives the sort keys that stand beside it.
    fn take(
        &mut self,
        row: &[Value<'_>],
        extra: impl FnOnce() -> Result<Vec<Owned>>,
    ) -> Result<Flow> {
        if let (Some(seen), Some(collations)) = (&mut self.seen, &self.query.distinct) {
            self.key.clear();
            for (value, collation) in row.iter().zip(collations) {
                value.push_key(*collation, &mut self.key);
            }
            if !seen.insert(&self.key).1 {
                return Ok(Flow::Continue);
            }
        }
        if let Some(sorter) = &mut self.sorter {
            sorter.push(row, &extra()?)?;
            return Ok(Flow::Continue);
        }
        let (hand_out, flow) = self.limits.next();
        if hand_out && (self.sink)(row)? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        Ok(flow)
    }

    fn finish(mut self) -> Result<Flow> {
        let Some(sorter) = self.sorter.take() else { return Ok(Flow::Continue) };
        let (limits, sink) = (&mut self.limits, &mut self.sink);
        sorter.finish(&mut |row| {
            let (hand_out, flow) = limits.next();
            if hand_out && sink(row)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            Ok(flow)
        })
    }
}

impl Exec<'_> {
    /// Runs one arm.
    pub(super) fn run_query(
        &self,
        query: &Query,
        parent: Option<&Frame<'_>>,
        limits: Limits,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        if limits.most == Some(0) {
            return Ok(Flow::Continue);
        }
        let mut frame = Frame::new(parent, query.sources.len(), query.registers);
        let sorts = !query.order.is_empty() && !query.ordered;
        let wanted = limits.most.map(|most| most.saturating_add(limits.skip));
        let mut stopped = Flow::Continue;
        let mut counted = |row: &[Value<'_>]| {
            stopped = sink(row)?;
            Ok(stopped)
        };
        let mut stage = Stage {
            query,
            seen: query.distinct.as_ref().map(|_| KeySet::default()),
            key: Vec::new(),
            sorter: if sorts { Some(Sorter::new(self, &query.order, wanted)?) } else { None },
            limits,
            sink: &mut counted,
            row: Vec::with_capacity(query.outputs.len()),
        };
        if !query.windows.is_empty() {
            self.run_windows(query, &mut frame, &mut |frame| stage.row(self, frame))?;
        } else if let Some(plan) = &query.aggregate {
            self.run_groups(query, plan, &mut frame, &mut |frame| stage.row(self, frame))?;
        } else {
            // Few rows are found sooner one by one.
            let few = !sorts && wanted.is_some_and(|wanted| wanted < 1000);
            if few || self.batch_rows(query, &frame, &mut stage)?.is_none() {
                self.run_join(query, &mut frame, &mut |frame| stage.row(self, frame))?;
            }
        }
        stage.finish()?;
        Ok(stopped)
    }
}
