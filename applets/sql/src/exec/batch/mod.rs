//! The batch engine: scans, filters, joins and aggregation over a thousand rows at a time.
//!
//! ```text
//! leaves ── scan ──> vectors ── filter ──> row numbers ── probe ──> chunk ──> groups
//! (pager)   decode    (vector)   (eval)     (chunk)       (join)         └──> rows of the result
//! ```
//!
//! The row engine walks a cursor, copies a record, decodes a column when an expression asks for it
//! and goes through the expression tree, for every row. Here the leaf pages are decoded where they
//! lie, only the columns that are read, into vectors; each expression runs down a vector; the
//! columns that only the surviving rows need are decoded after the filters. Rows of a join are
//! numbers, so no row is ever put together.
//!
//! What it takes: queries whose outermost loop is a scan (or rowid range) of a table in UTF-8, whose
//! inner loops are hash joins or look-ups by key, and whose expressions [`program`] knows. All else,
//! and every statement that touches few rows, goes row by row; so do transactions' small changes.
//! Look-ups by key become hash joins when the rows that the first batch lets through say that
//! reading the inner table once is cheaper than seeking it for each of them: by then the size of the
//! trees and the selectivity are known and need not be guessed.
//!
//! Results are the row engine's to the bit, order included: chunks are in scan order, matches in loop
//! order, every accumulator takes its values one by one. `PRAGMA box_exec=row` switches the engine
//! off, and the differential tests compare the two.

mod chunk;
mod eval;
mod group;
mod join;
mod like;
mod program;
mod scan;
mod vector;

use std::rc::Rc;

use self::chunk::{Chunk, SlotRows};
use self::eval::{Evaluator, Out};
use self::group::Groups;
use self::join::{Join, give_back, outer_frame};
use self::program::{Builder, Node};
use self::scan::{Scan, Want};
use self::vector::Vector;
use super::frame::{Fetch, layout_of_table};
use super::group::Group;
use super::{Exec, Flow, Frame};
use crate::collate::Encoding;
use crate::error::{Error, INTERRUPT, Result};
use crate::plan::{Access, Aggregation, Query, ROWID, SortBy, SourceKind};
use crate::schema::{Index, IndexPart, Table};
use crate::value::{Owned, Value};

/// Takes rows of a result.
pub(super) trait RowSink {
    /// Whether a row that begins with this sort key is not wanted any more.
    fn refuses(&self, first: &Value<'_>) -> bool;

    /// Takes a row and the sort keys beside it.
    fn take(&mut self, row: &[Value<'_>], extra: &[Owned]) -> Result<Flow>;
}

/// Takes chunks; `false`: it has enough.
type Sink<'s> = dyn FnMut(&Evaluator<'_, '_>, &Chunk) -> Result<bool> + 's;

/// The loops of a query, ready to run.
struct Pipeline<'q> {
    query: &'q Query,
    slot: usize,
    /// Columns of the outermost source that its filters read: decoded first.
    early: usize,
    filters: Vec<Node<'q>>,
    joins: Vec<Join<'q>>,
}

/// Whether the engine can read a table.
fn is_scannable(table: &Table) -> bool {
    !table.without_rowid && table.encoding == Encoding::Utf8 && table.root > 1
}

/// A scan of a table that gives these columns, the first `early` of them before any filter; `None`
/// where one is not stored.
fn table_scan(
    exec: &Exec<'_>,
    table: &Table,
    columns: &[u16],
    early: usize,
    range: Option<(i64, i64)>,
) -> Result<Option<Scan>> {
    let layout = layout_of_table(table);
    let mut wants = Vec::with_capacity(columns.len());
    for (vector, col) in columns.iter().enumerate() {
        wants.push(match (*col, layout.get(usize::from(*col))) {
            (ROWID, _) | (_, Some(Fetch::Rowid)) => {
                Want { vector, field: None, real: false, missing: None }
            }
            (_, Some(Fetch::Field { at, real, missing })) => {
                Want { vector, field: Some(*at), real: *real, missing: missing.clone() }
            }
            _ => return Ok(None),
        });
    }
    let late = wants.split_off(early.min(wants.len()));
    let (from, to) = range.unwrap_or((i64::MIN, i64::MAX));
    let leaves = exec.connection.store(table.db)?.leaves(table.root, from, to);
    Ok(leaves.map(|leaves| Scan::new(leaves, wants, late)))
}

impl Exec<'_> {
    /// Stops the statement where the person wants it.
    pub(super) fn check_interrupt(&self) -> Result<()> {
        if self.connection.is_interrupted() {
            return Err(Error::coded(INTERRUPT, "interrupted"));
        }
        Ok(())
    }

    /// What turns the expressions of a query into nodes; `None`, seen at a glance: row by row.
    fn builder(&self, query: &Query) -> Option<Builder<'_>> {
        if !self.connection.flags.batches.get() || query.sources.len() > 60 {
            return None;
        }
        let level = query.levels.first()?;
        let SourceKind::Table(table) = &query.sources[level.slot].kind else { return None };
        let scans = matches!(
            level.access,
            Access::Scan { desc: false } | Access::RowidRange { desc: false, .. }
        );
        if !scans || !is_scannable(table) || level.left || level.right {
            return None;
        }
        let alias = |kind: &SourceKind| match kind {
            SourceKind::Table(table) => table.rowid_alias.and_then(|at| u16::try_from(at).ok()),
            _ => None,
        };
        Some(Builder {
            columns: vec![vec![]; query.sources.len()],
            params: self.params,
            aliases: query.sources.iter().map(|source| alias(&source.kind)).collect(),
            known: 1 << level.slot,
        })
    }

    /// The loops as a pipeline; `None`: row by row.
    fn pipeline<'q>(query: &'q Query, build: &mut Builder<'_>) -> Option<Pipeline<'q>> {
        let (level, inner) = query.levels.split_first()?;
        let mut filters = Vec::with_capacity(level.filters.len());
        for term in level.on.iter().chain(&level.filters) {
            filters.push(build.node(term)?);
        }
        let early = build.columns[level.slot].len();
        let mut joins = Vec::with_capacity(inner.len());
        for level in inner {
            joins.push(Join::new(&query.sources[level.slot], level, build)?);
        }
        Some(Pipeline { query, slot: level.slot, early, filters, joins })
    }

    /// Runs the aggregation of a query; `None`: row by row.
    pub(super) fn batch_groups(
        &self,
        query: &Query,
        plan: &Aggregation,
        frame: &Frame<'_>,
    ) -> Result<Option<Vec<Group>>> {
        let Some(mut build) = self.builder(query) else { return Ok(None) };
        let Some(pipeline) = Self::pipeline(query, &mut build) else { return Ok(None) };
        let Some(mut groups) = Groups::new(query, plan, &mut build) else { return Ok(None) };
        let columns = build.columns;
        let done = pipeline
            .run(self, &columns, frame, &mut |eval, chunk| groups.take(eval, chunk))?
            .is_some();
        Ok(done.then_some(groups.groups))
    }

    /// Runs the loops of a query and hands out its result columns and the sort keys beside them;
    /// `None`: row by row.
    pub(super) fn batch_rows(
        &self,
        query: &Query,
        frame: &Frame<'_>,
        sink: &mut dyn RowSink,
    ) -> Result<Option<Flow>> {
        let Some(mut build) = self.builder(query) else { return Ok(None) };
        let Some(pipeline) = Self::pipeline(query, &mut build) else { return Ok(None) };
        let outputs = query.outputs.iter().map(|e| build.node(e)).collect::<Option<Vec<_>>>();
        let keys = query.order.iter().filter_map(|key| match &key.by {
            SortBy::Expr(expr) => Some(build.node(expr)),
            SortBy::Output(_) => None,
        });
        let (Some(outputs), Some(keys)) = (outputs, keys.collect::<Option<Vec<_>>>()) else {
            return Ok(None);
        };
        let columns = build.columns;
        let mut extra: Vec<Owned> = Vec::with_capacity(keys.len());
        pipeline.run(self, &columns, frame, &mut |eval, chunk| {
            let outputs: Vec<Out<'_>> =
                outputs.iter().map(|node| eval.eval(node, chunk, None)).collect::<Result<_>>()?;
            let keys: Vec<Out<'_>> =
                keys.iter().map(|node| eval.eval(node, chunk, None)).collect::<Result<_>>()?;
            let mut row: Vec<Value<'_>> = Vec::with_capacity(outputs.len());
            let first = query.order.first().and_then(|key| match key.by {
                SortBy::Output(at) => outputs.get(at),
                SortBy::Expr(_) => keys.first(),
            });
            for at in 0..chunk.len {
                if first.is_some_and(|key| sink.refuses(&key.value(at, chunk))) {
                    continue;
                }
                row.clear();
                row.extend(outputs.iter().map(|out| out.value(at, chunk)));
                extra.clear();
                extra.extend(keys.iter().map(|key| key.value(at, chunk).into_owned()));
                if sink.take(&row, &extra)? == Flow::Stop {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Runs the loops of a query and hands out captured columns; `None`: row by row.
    pub(super) fn batch_captures(
        &self,
        query: &Query,
        frame: &Frame<'_>,
        each: &mut dyn FnMut(Box<[Owned]>),
    ) -> Result<bool> {
        let Some(mut build) = self.builder(query) else { return Ok(false) };
        let Some(pipeline) = Self::pipeline(query, &mut build) else { return Ok(false) };
        let mut captures = Vec::with_capacity(query.captures.len());
        for (slot, col) in &query.captures {
            let slot = usize::from(*slot);
            let Some(at) = build.column(slot, *col) else { return Ok(false) };
            captures.push(Node::Column { slot, at });
        }
        let columns = build.columns;
        let done = pipeline.run(self, &columns, frame, &mut |eval, chunk| {
            let values: Vec<Out<'_>> =
                captures.iter().map(|node| eval.eval(node, chunk, None)).collect::<Result<_>>()?;
            for at in 0..chunk.len {
                each(values.iter().map(|value| value.value(at, chunk).into_owned()).collect());
            }
            Ok(true)
        })?;
        Ok(done.is_some())
    }
}

impl Exec<'_> {
    /// The entries of an index of plain columns; `false`: row by row.
    ///
    /// # Errors
    /// I/O, a file that is malformed; what `each` reports.
    pub(crate) fn batch_entries(
        &self,
        table: &Table,
        index: &Index,
        each: &mut dyn FnMut(&[Value<'_>]) -> Result<()>,
    ) -> Result<bool> {
        if !is_scannable(table) || index.filter.is_some() {
            return Ok(false);
        }
        let mut columns = Vec::with_capacity(index.columns.len());
        for column in &index.columns {
            columns.push(match column.part {
                IndexPart::Column(at) => u16::try_from(at).unwrap_or(ROWID),
                IndexPart::Rowid => ROWID,
                IndexPart::Expr(_) => return Ok(false),
            });
        }
        let width = columns.len();
        let Some(mut scan) = table_scan(self, table, &columns, width, None)? else {
            return Ok(false);
        };
        // An entry has its columns as the row has them stored.
        scan.keep_stored();
        let (mut vectors, mut pages) = (vec![Vector::default(); width], Vec::new());
        loop {
            self.check_interrupt()?;
            let len = scan.read(&mut vectors, &mut pages)?;
            if len == 0 {
                return Ok(true);
            }
            let mut entry: Vec<Value<'_>> = Vec::with_capacity(width);
            for at in 0..len {
                entry.clear();
                entry.extend(vectors.iter().map(|vector| vector.value(at, &pages)));
                each(&entry)?;
            }
        }
    }
}

impl Pipeline<'_> {
    /// Runs it; `None`, before anything was handed out: row by row is better.
    fn run(
        mut self,
        exec: &Exec<'_>,
        columns: &[Vec<u16>],
        frame: &Frame<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Option<Flow>> {
        let own = outer_frame(frame);
        let eval = Evaluator { exec, frame: &own };
        if !exec.all_true(&self.query.constant_terms, &own)? {
            return Ok(Some(Flow::Continue));
        }
        let level = &self.query.levels[0];
        let SourceKind::Table(table) = &self.query.sources[self.slot].kind else {
            return Ok(None);
        };
        let range = match &level.access {
            Access::RowidRange { low, high, .. } => {
                let bounds = exec.rowid_range(low.as_ref(), high.as_ref(), &own)?;
                match bounds {
                    None => return Ok(Some(Flow::Continue)),
                    some => some,
                }
            }
            _ => None,
        };
        let own_columns = &columns[self.slot];
        let Some(mut scan) = table_scan(exec, table, own_columns, self.early, range)? else {
            return Ok(None);
        };
        let (mut vectors, mut pages) = (vec![Vector::default(); own_columns.len()], Vec::new());
        let slots = self.query.sources.len();
        let mut first = true;
        loop {
            exec.check_interrupt()?;
            let len = scan.read(&mut vectors, &mut pages)?;
            if len == 0 {
                return Ok(Some(Flow::Continue));
            }
            let mut chunk =
                Chunk { len, slots: vec![SlotRows::default(); slots], ..Chunk::default() };
            chunk.slots[self.slot].columns = Rc::new(std::mem::take(&mut vectors));
            chunk.pages = Rc::new(std::mem::take(&mut pages));
            let kept = self.filter(&eval, &mut chunk, &mut scan)?;
            if std::mem::take(&mut first) && !self.start_joins(&eval, table, columns, len, kept)? {
                return Ok(None);
            }
            if kept > 0 && !probe(&self.joins, &eval, chunk.clone(), sink)? {
                return Ok(Some(Flow::Stop));
            }
            give_back(chunk, self.slot, &mut vectors, &mut pages);
        }
    }

    /// Filters a batch and decodes the rest of what is left; says how many rows that is.
    fn filter(
        &self,
        eval: &Evaluator<'_, '_>,
        chunk: &mut Chunk,
        scan: &mut Scan,
    ) -> Result<usize> {
        if self.filters.is_empty() {
            return Ok(chunk.len);
        }
        let mut rows: Vec<u32> = (0..chunk.len as u32).collect();
        for filter in &self.filters {
            rows = eval.filter(filter, chunk, rows)?;
        }
        let pages = Rc::clone(&chunk.pages);
        if let Some(columns) = Rc::get_mut(&mut chunk.slots[self.slot].columns) {
            scan.finish(&rows, columns, &pages)?;
        }
        let kept = rows.len();
        if kept < chunk.len {
            chunk.len = kept;
            chunk.slots[self.slot].rows = Some(Rc::new(rows));
        }
        Ok(kept)
    }

    /// Reads the inner sides, if the outer side has as many rows as make that pay.
    fn start_joins(
        &mut self,
        eval: &Evaluator<'_, '_>,
        table: &Table,
        columns: &[Vec<u16>],
        rows: usize,
        kept: usize,
    ) -> Result<bool> {
        if self.joins.is_empty() {
            return Ok(true);
        }
        let all = eval.exec.connection.store(table.db)?.estimate(table.root)? as f64;
        let probes = all * (kept as f64 + 0.5) / rows as f64;
        for join in &self.joins {
            if !join.pays(eval.exec, probes)? {
                return Ok(false);
            }
        }
        for (join, level) in self.joins.iter_mut().zip(&self.query.levels[1..]) {
            if !join.build(eval, &columns[level.slot], columns.len())? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Sends a chunk through the joins to the sink.
fn probe(
    joins: &[Join<'_>],
    eval: &Evaluator<'_, '_>,
    chunk: Chunk,
    sink: &mut Sink<'_>,
) -> Result<bool> {
    let Some((join, rest)) = joins.split_first() else { return sink(eval, &chunk) };
    join.probe(eval, &chunk, &mut |joined| probe(rest, eval, joined, sink))
}
