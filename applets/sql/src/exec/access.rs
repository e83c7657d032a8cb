//! The loops of a join: each walks one source by its access path and runs the loop inside for
//! every row.

use std::cmp::Ordering;
use std::rc::Rc;

use super::frame::{Fetch, Record, layout_of_index, layout_of_table};
use super::hash::JoinTable;
use super::select::Row;
use super::{Exec, Flow, Frame, Kept, Slot};
use crate::btree::{Cursor, Seek, TreeKind};
use crate::collate::Encoding;
use crate::error::Result;
use crate::number;
use crate::plan::{
    Access, Bound, Expr, HashKey, InTerm, IndexAccess, Level, Query, Select, Source, SourceKind,
};
use crate::record::Field;
use crate::schema::Table;
use crate::value::{Owned, Value};

/// The cursors of a slot, kept while its frame lives.
#[derive(Default)]
pub(crate) struct Cursors {
    table: Option<Cursor>,
    index: Option<Cursor>,
}

/// What runs for each row.
type Each<'e> = dyn FnMut(&mut Frame<'_>) -> Result<Flow> + 'e;

/// Rows of the right side of an outer join that found a match, by their identity.
pub(super) type Matched = std::collections::HashSet<Vec<u8>>;

impl Exec<'_> {
    /// Runs the loops from `at` on; `emit` for each row of the join.
    pub(super) fn run_levels(
        &self,
        query: &Query,
        at: usize,
        frame: &mut Frame<'_>,
        matched: &mut [Option<Matched>],
        emit: &mut Each<'_>,
    ) -> Result<Flow> {
        let Some(level) = query.levels.get(at) else { return emit(frame) };
        let mut any = false;
        let flow = self.each_row(query, level, frame, &mut |frame| {
            if !self.all_true(&level.on, frame)? {
                return Ok(Flow::Continue);
            }
            any = true;
            if let Some(set) = &mut matched[at] {
                set.insert(identity(&frame.slots[level.slot])?);
            }
            if !self.all_true(&level.filters, frame)? {
                return Ok(Flow::Continue);
            }
            self.run_levels(query, at + 1, frame, matched, emit)
        })?;
        if flow == Flow::Stop {
            return Ok(flow);
        }
        if level.left && !any {
            frame.slots[level.slot].clear();
            if self.all_true(&level.filters, frame)? {
                return self.run_levels(query, at + 1, frame, matched, emit);
            }
        }
        Ok(Flow::Continue)
    }

    /// Runs a whole join.
    pub(super) fn run_join(
        &self,
        query: &Query,
        frame: &mut Frame<'_>,
        emit: &mut Each<'_>,
    ) -> Result<Flow> {
        if !self.all_true(&query.constant_terms, frame)? {
            return Ok(Flow::Continue);
        }
        let mut matched: Vec<Option<Matched>> =
            query.levels.iter().map(|l| l.right.then(Matched::new)).collect();
        if self.run_levels(query, 0, frame, &mut matched, emit)? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        for at in 0..query.levels.len() {
            let Some(seen) = matched[at].take() else { continue };
            if self.unmatched(query, at, &seen, frame, &mut matched, emit)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    /// The rows of a RIGHT or FULL join that nothing on the left matched.
    fn unmatched(
        &self,
        query: &Query,
        at: usize,
        seen: &Matched,
        frame: &mut Frame<'_>,
        matched: &mut [Option<Matched>],
        emit: &mut Each<'_>,
    ) -> Result<Flow> {
        for before in &query.levels[..at] {
            frame.slots[before.slot] = Slot::Null;
        }
        let level = &query.levels[at];
        let scan = Level {
            slot: level.slot,
            access: Access::Scan { desc: false },
            on: vec![],
            left: false,
            right: false,
            filters: vec![],
            rows: level.rows,
        };
        frame.slots[level.slot] = Slot::Null;
        frame.cursors[level.slot] = None;
        self.each_row(query, &scan, frame, &mut |frame| {
            if seen.contains(&identity(&frame.slots[level.slot])?)
                || !self.all_true(&level.filters, frame)?
            {
                return Ok(Flow::Continue);
            }
            self.run_levels(query, at + 1, frame, matched, emit)
        })
    }

    fn each_row(
        &self,
        query: &Query,
        level: &Level,
        frame: &mut Frame<'_>,
        each: &mut Each<'_>,
    ) -> Result<Flow> {
        let source = &query.sources[level.slot];
        match &source.kind {
            SourceKind::Table(table) => self.each_of_table(table, source, level, frame, each),
            SourceKind::Select { plan, cache } => {
                if let Access::Hash { keys } = &level.access {
                    let built = self.hash_of_select(plan, *cache, level, keys, frame)?;
                    return self.probe(&built, level, &source.kind, keys, frame, each);
                }
                if cache.is_none() || is_outermost(query, level) {
                    return self.stream(plan, *cache, level, frame, each);
                }
                let rows = self.rows_of(plan, *cache, frame)?;
                for row in rows.iter() {
                    self.tick()?;
                    frame.slots[level.slot] = Slot::Shared(row.clone());
                    if each(frame)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
                Ok(Flow::Continue)
            }
            SourceKind::Recursion { id } => {
                let row = self.recursion.borrow().get(id).cloned();
                let Some(row) = row else { return Ok(Flow::Continue) };
                frame.slots[level.slot] = Slot::Shared(row);
                each(frame)
            }
            SourceKind::Function { function, args } => {
                let args: Vec<Owned> = args
                    .iter()
                    .map(|arg| Ok(self.eval(arg, frame)?.into_owned()))
                    .collect::<Result<_>>()?;
                for row in (function.rows)(self, &args)? {
                    self.tick()?;
                    frame.slots[level.slot] = Slot::Values { values: row, rowid: 0 };
                    if each(frame)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
                Ok(Flow::Continue)
            }
        }
    }

    /// Runs a subquery and hands its rows on as they come. Nothing is kept.
    fn stream(
        &self,
        plan: &Select,
        cache: Option<usize>,
        level: &Level,
        frame: &mut Frame<'_>,
        each: &mut Each<'_>,
    ) -> Result<Flow> {
        if let Some(Kept::Rows(rows)) = cache.and_then(|at| self.kept(at)) {
            for row in rows.iter() {
                frame.slots[level.slot] = Slot::Shared(row.clone());
                if each(frame)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
            return Ok(Flow::Continue);
        }
        // The subquery sees the frame around ours, which is one further up for it.
        let inner = Frame { parent: frame.parent, slots: vec![], regs: vec![], cursors: vec![] };
        let mut stopped = Flow::Continue;
        self.run_select(plan, Some(&inner), &mut |row| {
            let row: Row = row.iter().map(|value| value.clone().into_owned()).collect();
            frame.slots[level.slot] = Slot::Shared(row);
            stopped = each(frame)?;
            Ok(stopped)
        })?;
        Ok(stopped)
    }

    /// All rows of a subquery, kept where it does not depend on an outer row.
    pub(super) fn rows_of(
        &self,
        plan: &Select,
        cache: Option<usize>,
        frame: &Frame<'_>,
    ) -> Result<Rc<Vec<Row>>> {
        if let Some(Kept::Rows(rows)) = cache.and_then(|at| self.kept(at)) {
            return Ok(rows);
        }
        let mut rows: Vec<Row> = Vec::new();
        self.run_select(plan, Some(frame), &mut |row| {
            rows.push(row.iter().map(|value| value.clone().into_owned()).collect());
            Ok(Flow::Continue)
        })?;
        let rows = Rc::new(rows);
        if let Some(at) = cache {
            self.keep(at, Kept::Rows(rows.clone()));
        }
        Ok(rows)
    }

    // ---- tables -------------------------------------------------------------------------------

    fn each_of_table(
        &self,
        table: &Rc<Table>,
        source: &Source,
        level: &Level,
        frame: &mut Frame<'_>,
        each: &mut Each<'_>,
    ) -> Result<Flow> {
        if let Access::Hash { keys } = &level.access {
            let built = self.hash_of_table(table, source, level, keys, frame)?;
            prepare_slot(frame, level.slot, table);
            return self.probe(&built, level, &source.kind, keys, frame, each);
        }
        let mut cursors = frame.cursors[level.slot].take().unwrap_or_default();
        if let Access::Index(access) = &level.access {
            let result = self.each_of_index(table, access, &mut cursors, level.slot, frame, each);
            frame.cursors[level.slot] = Some(cursors);
            return result;
        }
        let mut cursor = match cursors.table.take() {
            Some(cursor) => cursor,
            None => self.table_cursor(table)?,
        };
        prepare_slot(frame, level.slot, table);
        let payload = table.without_rowid || table.has_generated || source.used.iter().any(|u| *u);
        let mut walk = Walk { exec: self, table, cursor: &mut cursor, slot: level.slot, payload };
        let result = match &level.access {
            Access::RowidEq(expr) => walk.rowid(expr, frame, each),
            Access::RowidIn(term) => walk.rowid_in(term, frame, each),
            Access::RowidRange { low, high, desc } => {
                walk.range(low.as_ref(), high.as_ref(), *desc, frame, each)
            }
            Access::Scan { desc } => walk.scan(*desc, frame, each),
            Access::Index(_) | Access::Hash { .. } => Ok(Flow::Continue),
        };
        cursors.table = Some(cursor);
        frame.cursors[level.slot] = Some(cursors);
        result
    }

    /// A cursor over the rows of a table.
    pub fn table_cursor(&self, table: &Table) -> Result<Cursor> {
        let kind = match &table.primary {
            Some(primary) => TreeKind::Index(primary.key_info.clone()),
            None => TreeKind::Table,
        };
        Ok(self.connection.store(table.db)?.cursor(table.root, kind)?)
    }

    fn each_of_index(
        &self,
        table: &Rc<Table>,
        access: &IndexAccess,
        cursors: &mut Cursors,
        slot: usize,
        frame: &mut Frame<'_>,
        each: &mut Each<'_>,
    ) -> Result<Flow> {
        let index = &access.index;
        let mut cursor = match cursors.index.take() {
            Some(cursor) => cursor,
            None => {
                let kind = TreeKind::Index(index.key_info.clone());
                self.connection.store(table.db)?.cursor(index.root, kind)?
            }
        };
        let mut rows = None;
        if access.covering {
            let (layout, rowid) = layout_of_index(table, index);
            prepare(frame, slot, layout, rowid, table.encoding);
        } else {
            rows = Some(match cursors.table.take() {
                Some(cursor) => cursor,
                None => self.table_cursor(table)?,
            });
            prepare_slot(frame, slot, table);
        }
        let mut walk =
            IndexWalk { exec: self, table, access, cursor: &mut cursor, rows: rows.as_mut(), slot };
        let result = walk.run(frame, each);
        cursors.index = Some(cursor);
        cursors.table = rows;
        result
    }

    // ---- hash joins ---------------------------------------------------------------------------

    fn hash_of_table(
        &self,
        table: &Rc<Table>,
        source: &Source,
        level: &Level,
        keys: &[HashKey],
        frame: &Frame<'_>,
    ) -> Result<Rc<JoinTable>> {
        let address = std::ptr::from_ref(level) as usize;
        if let Some(built) = self.hashes.borrow().get(&address) {
            return Ok(built.clone());
        }
        let mut built = JoinTable::default();
        let mut own = Frame::new(frame.parent, level.slot + 1, 0);
        prepare_slot(&mut own, level.slot, table);
        let mut cursor = self.table_cursor(table)?;
        let payload = table.without_rowid || table.has_generated || source.used.iter().any(|u| *u);
        let mut key = Vec::new();
        let mut walk = Walk { exec: self, table, cursor: &mut cursor, slot: level.slot, payload };
        walk.scan(false, &mut own, &mut |own| {
            if self.inner_key(keys, own, &mut key)? {
                let Slot::Record(record) = &own.slots[level.slot] else {
                    return Ok(Flow::Continue);
                };
                let start = built.bytes.len();
                built.bytes.extend_from_slice(&record.bytes);
                built.records.push((record.rowid, start, record.bytes.len() as u32));
                built.add(&key, (built.records.len() - 1) as u32);
            }
            Ok(Flow::Continue)
        })?;
        let built = Rc::new(built);
        self.hashes.borrow_mut().insert(address, built.clone());
        Ok(built)
    }

    fn hash_of_select(
        &self,
        plan: &Select,
        cache: Option<usize>,
        level: &Level,
        keys: &[HashKey],
        frame: &Frame<'_>,
    ) -> Result<Rc<JoinTable>> {
        let address = std::ptr::from_ref(level) as usize;
        if cache.is_some()
            && let Some(built) = self.hashes.borrow().get(&address)
        {
            return Ok(built.clone());
        }
        let rows = self.rows_of(plan, cache, frame)?;
        let mut built = JoinTable::default();
        let mut own = Frame::new(frame.parent, level.slot + 1, 0);
        let mut key = Vec::new();
        for (n, row) in rows.iter().enumerate() {
            own.slots[level.slot] = Slot::Shared(row.clone());
            if self.inner_key(keys, &own, &mut key)? {
                built.add(&key, n as u32);
            }
        }
        built.rows = Some(rows);
        let built = Rc::new(built);
        if cache.is_some() {
            self.hashes.borrow_mut().insert(address, built.clone());
        }
        Ok(built)
    }

    /// The key of a row of the inner side; `false` where a NULL keeps it from any match.
    fn inner_key(&self, keys: &[HashKey], frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<bool> {
        out.clear();
        for key in keys {
            let value = self.eval(&key.inner, frame)?;
            if value.is_null() {
                return Ok(false);
            }
            value.for_comparison(key.how.affinity).push_key(key.how.collation, out);
        }
        Ok(true)
    }

    fn probe(
        &self,
        built: &Rc<JoinTable>,
        level: &Level,
        kind: &SourceKind,
        keys: &[HashKey],
        frame: &mut Frame<'_>,
        each: &mut Each<'_>,
    ) -> Result<Flow> {
        let mut wanted = Vec::new();
        for key in keys {
            let value = self.eval(&key.outer, frame)?;
            if value.is_null() {
                return Ok(Flow::Continue);
            }
            value.for_comparison(key.how.affinity).push_key(key.how.collation, &mut wanted);
        }
        let Some(found) = built.map.get(&*wanted) else { return Ok(Flow::Continue) };
        for &n in found {
            self.tick()?;
            match &built.rows {
                Some(rows) => frame.slots[level.slot] = Slot::Shared(rows[n as usize].clone()),
                None => {
                    let (rowid, start, len) = built.records[n as usize];
                    let bytes = &built.bytes[start..start + len as usize];
                    if let Slot::Record(record) = &mut frame.slots[level.slot] {
                        record.load(rowid, bytes);
                    }
                    if let SourceKind::Table(table) = kind {
                        self.fill_virtual(table, frame, level.slot)?;
                    }
                }
            }
            if each(frame)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }
}

/// Whether no loop stands outside of this one.
fn is_outermost(query: &Query, level: &Level) -> bool {
    query.levels.first().is_some_and(|first| first.slot == level.slot)
}

/// What tells the rows of a source apart.
fn identity(slot: &Slot) -> Result<Vec<u8>> {
    Ok(match slot {
        Slot::Record(record) if !record.bytes.is_empty() && record.rowid == 0 => {
            record.bytes.clone()
        }
        Slot::Record(record) => record.rowid.to_be_bytes().to_vec(),
        Slot::Shared(row) => (row.as_ptr() as usize).to_be_bytes().to_vec(),
        Slot::Values { values, .. } => {
            let mut key = Vec::new();
            values.iter().for_each(|v| v.push_key(crate::collate::Collation::Binary, &mut key));
            key
        }
        Slot::Null => vec![],
    })
}

/// Makes a slot ready to take records of a table.
pub(crate) fn prepare_slot(frame: &mut Frame<'_>, slot: usize, table: &Table) {
    if matches!(&frame.slots[slot], Slot::Record(r) if r.rowid_field.is_none()) {
        return;
    }
    prepare(frame, slot, layout_of_table(table), None, table.encoding);
}

fn prepare(
    frame: &mut Frame<'_>,
    slot: usize,
    layout: Rc<[Fetch]>,
    rowid: Option<usize>,
    encoding: Encoding,
) {
    if !matches!(&frame.slots[slot], Slot::Record(r) if Rc::ptr_eq(&r.layout, &layout)) {
        frame.slots[slot] = Slot::Record(Record::new(layout, rowid, encoding));
    }
}

/// A walk over the rows of a table tree.
struct Walk<'w, 'x> {
    exec: &'w Exec<'x>,
    table: &'w Rc<Table>,
    cursor: &'w mut Cursor,
    slot: usize,
    /// Columns are read, not the rowid alone.
    payload: bool,
}

impl Walk<'_, '_> {
    /// Takes the row that the cursor is on in.
    #[inline]
    fn load(&mut self, frame: &mut Frame<'_>) -> Result<()> {
        self.exec.tick()?;
        let rowid = if self.table.without_rowid { 0 } else { self.cursor.rowid()? };
        if let Slot::Record(record) = &mut frame.slots[self.slot] {
            let bytes = if self.payload { self.cursor.payload()? } else { &[] };
            record.load(rowid, bytes);
        }
        self.exec.fill_virtual(self.table, frame, self.slot)
    }

    fn scan(&mut self, desc: bool, frame: &mut Frame<'_>, each: &mut Each<'_>) -> Result<Flow> {
        let mut on = if desc { self.cursor.last()? } else { self.cursor.first()? };
        while on {
            self.load(frame)?;
            if each(frame)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            on = if desc { self.cursor.prev()? } else { self.cursor.next()? };
        }
        Ok(Flow::Continue)
    }

    fn rowid(&mut self, expr: &Expr, frame: &mut Frame<'_>, each: &mut Each<'_>) -> Result<Flow> {
        let rowid = as_rowid(&self.exec.eval(expr, frame)?);
        match rowid {
            Some(rowid) if self.cursor.seek_rowid(rowid, Seek::Eq)? => {
                self.load(frame)?;
                each(frame)
            }
            _ => Ok(Flow::Continue),
        }
    }

    fn rowid_in(
        &mut self,
        term: &InTerm,
        frame: &mut Frame<'_>,
        each: &mut Each<'_>,
    ) -> Result<Flow> {
        let mut rowids: Vec<i64> =
            self.exec.in_values(term, frame)?.iter().filter_map(as_rowid).collect();
        rowids.sort_unstable();
        rowids.dedup();
        for rowid in rowids {
            if self.cursor.seek_rowid(rowid, Seek::Eq)? {
                self.load(frame)?;
                if each(frame)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
        }
        Ok(Flow::Continue)
    }

    fn range(
        &mut self,
        low: Option<&Bound>,
        high: Option<&Bound>,
        desc: bool,
        frame: &mut Frame<'_>,
        each: &mut Each<'_>,
    ) -> Result<Flow> {
        let Some((from, to)) = self.exec.rowid_range(low, high, frame)? else {
            return Ok(Flow::Continue);
        };
        let mut on = if desc {
            self.cursor.seek_rowid(to, Seek::Le)?
        } else {
            self.cursor.seek_rowid(from, Seek::Ge)?
        };
        while on {
            let rowid = self.cursor.rowid()?;
            if !(from..=to).contains(&rowid) {
                break;
            }
            self.load(frame)?;
            if each(frame)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            on = if desc { self.cursor.prev()? } else { self.cursor.next()? };
        }
        Ok(Flow::Continue)
    }
}

impl Exec<'_> {
    /// The rowids between two bounds; `None`: there are none.
    pub(super) fn rowid_range(
        &self,
        low: Option<&Bound>,
        high: Option<&Bound>,
        frame: &Frame<'_>,
    ) -> Result<Option<(i64, i64)>> {
        let from = self.rowid_bound(low, true, frame)?;
        let to = self.rowid_bound(high, false, frame)?;
        Ok(from.zip(to).filter(|(from, to)| from <= to))
    }

    /// The least (or greatest) rowid within a bound; `None`: none is.
    fn rowid_bound(
        &self,
        bound: Option<&Bound>,
        low: bool,
        frame: &Frame<'_>,
    ) -> Result<Option<i64>> {
        let open = if low { i64::MIN } else { i64::MAX };
        let Some(bound) = bound else { return Ok(Some(open)) };
        let value = self.eval(&bound.value, frame)?.apply(crate::value::Affinity::Numeric);
        Ok(match value {
            Value::Null => None,
            Value::Int(v) if bound.inclusive => Some(v),
            Value::Int(v) if low => v.checked_add(1),
            Value::Int(v) => v.checked_sub(1),
            Value::Real(v) if low => {
                if v >= 9_223_372_036_854_775_808.0 {
                    None
                } else if v < -9_223_372_036_854_775_808.0 {
                    Some(open)
                } else {
                    let up = v.ceil();
                    if up == v && !bound.inclusive {
                        (up as i64).checked_add(1)
                    } else {
                        Some(up as i64)
                    }
                }
            }
            Value::Real(v) => {
                if v < -9_223_372_036_854_775_808.0 {
                    None
                } else if v >= 9_223_372_036_854_775_808.0 {
                    Some(open)
                } else {
                    let down = v.floor();
                    if down == v && !bound.inclusive {
                        (down as i64).checked_sub(1)
                    } else {
                        Some(down as i64)
                    }
                }
            }
            // Text and blobs are above all numbers.
            _ if low => None,
            _ => Some(open),
        })
    }
}

/// A value as a rowid, where it is one.
pub(crate) fn as_rowid(value: &Value<'_>) -> Option<i64> {
    match value.borrow().apply(crate::value::Affinity::Numeric) {
        Value::Int(v) => Some(v),
        Value::Real(v) => number::exact_int(v).or_else(|| {
            let int = v as i64;
            crate::record::compare_int_real(int, v).is_eq().then_some(int)
        }),
        _ => None,
    }
}

/// A walk over an index.
struct IndexWalk<'w, 'x> {
    exec: &'w Exec<'x>,
    table: &'w Rc<Table>,
    access: &'w IndexAccess,
    cursor: &'w mut Cursor,
    /// The table's own cursor, where the index does not hold all columns.
    rows: Option<&'w mut Cursor>,
    slot: usize,
}

/// An end of the walk: the key, and whether entries that equal it belong to it.
struct End {
    key: Vec<Owned>,
    inclusive: bool,
}

impl IndexWalk<'_, '_> {
    fn run(&mut self, frame: &mut Frame<'_>, each: &mut Each<'_>) -> Result<Flow> {
        let mut prefix: Vec<Owned> = Vec::with_capacity(self.access.equal.len() + 2);
        for (expr, nulls) in &self.access.equal {
            let value = self.exec.eval(expr, frame)?;
            if value.is_null() && !nulls {
                return Ok(Flow::Continue);
            }
            prefix.push(self.key_value(value));
        }
        let Some(within) = &self.access.within else { return self.walk(prefix, frame, each) };
        let column = &self.access.index.columns[prefix.len()];
        let collation = column.collation;
        let mut values: Vec<Owned> =
            self.exec.in_values(within, frame)?.into_iter().filter(|v| !v.is_null()).collect();
        values.sort_by(|a, b| a.compare(b, collation));
        values.dedup_by(|a, b| a.compare(b, collation).is_eq());
        if self.access.desc != column.desc {
            values.reverse();
        }
        for value in values {
            let mut key = prefix.clone();
            key.push(self.key_value(value));
            if self.walk(key, frame, each)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn key_value(&self, value: Value<'_>) -> Owned {
        value.encoded(self.table.encoding).into_owned()
    }

    /// The two ends of the walk in the order of the index; `None`: nothing is between them.
    fn ends(&self, prefix: Vec<Owned>, frame: &Frame<'_>) -> Result<Option<(End, End)>> {
        let bound = |bound: &Option<Bound>| -> Result<Option<End>> {
            let Some(bound) = bound else { return Ok(None) };
            let value = self.exec.eval(&bound.value, frame)?;
            let mut key = prefix.clone();
            key.push(self.key_value(value));
            Ok(Some(End { key, inclusive: bound.inclusive }))
        };
        let (low, high) = (bound(&self.access.low)?, bound(&self.access.high)?);
        let null = |end: &Option<End>| {
            end.as_ref().is_some_and(|end| end.key.last().is_some_and(Value::is_null))
        };
        if null(&low) || null(&high) {
            return Ok(None);
        }
        let ranged = low.is_some() || high.is_some();
        let low = low.unwrap_or_else(|| {
            let mut key = prefix.clone();
            if ranged {
                // A comparison never holds for NULL: the walk stays above the NULLs.
                key.push(Value::Null);
            }
            End { key, inclusive: !ranged }
        });
        let desc = self.access.index.columns.get(prefix.len()).is_some_and(|c| c.desc);
        let high = high.unwrap_or(End { key: prefix, inclusive: true });
        Ok(Some(if desc { (high, low) } else { (low, high) }))
    }

    fn walk(
        &mut self,
        prefix: Vec<Owned>,
        frame: &mut Frame<'_>,
        each: &mut Each<'_>,
    ) -> Result<Flow> {
        let Some((start, end)) = self.ends(prefix, frame)? else { return Ok(Flow::Continue) };
        let desc = self.access.desc;
        let (from, to) = if desc { (&end, &start) } else { (&start, &end) };
        let fields: Vec<Field<'_>> = from.key.iter().map(Value::as_field).collect();
        let limit: Vec<Field<'_>> = to.key.iter().map(Value::as_field).collect();
        let mut on = match (fields.is_empty(), desc) {
            (true, false) => self.cursor.first()?,
            (true, true) => self.cursor.last()?,
            (false, false) => {
                self.cursor.seek_key(&fields, if from.inclusive { Seek::Ge } else { Seek::Gt })?
            }
            (false, true) => {
                self.cursor.seek_key(&fields, if from.inclusive { Seek::Le } else { Seek::Lt })?
            }
        };
        let past = if desc { Ordering::Less } else { Ordering::Greater };
        let info = self.access.index.key_info.clone();
        while on {
            if !limit.is_empty() {
                let order = info.compare(self.cursor.payload()?, &limit)?;
                if order == past || order == Ordering::Equal && !to.inclusive {
                    break;
                }
            }
            if self.load(frame)? && each(frame)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            on = if desc { self.cursor.prev()? } else { self.cursor.next()? };
        }
        Ok(Flow::Continue)
    }

    /// Takes the row of the entry in; `false` where the table does not have it.
    fn load(&mut self, frame: &mut Frame<'_>) -> Result<bool> {
        self.exec.tick()?;
        let entry = self.cursor.payload()?;
        let Slot::Record(record) = &mut frame.slots[self.slot] else { return Ok(false) };
        let Some(rows) = &mut self.rows else {
            record.load(0, entry);
            return Ok(true);
        };
        if let Some(primary) = &self.table.primary {
            let key = row_key(entry, &self.access.index, primary)?;
            let fields: Vec<Field<'_>> = key.iter().map(Value::as_field).collect();
            if !rows.seek_key(&fields, Seek::Eq)? {
                return Err(crate::vfs::Error::Corrupt.into());
            }
            record.load(0, rows.payload()?);
            self.exec.fill_virtual(self.table, frame, self.slot)?;
            return Ok(true);
        }
        let rowid = rowid_of_entry(entry)?;
        if !rows.seek_rowid(rowid, Seek::Eq)? {
            return Err(crate::vfs::Error::Corrupt.into());
        }
        record.load(rowid, rows.payload()?);
        self.exec.fill_virtual(self.table, frame, self.slot)?;
        Ok(true)
    }
}

/// The rowid at the end of an index entry.
pub(crate) fn rowid_of_entry(entry: &[u8]) -> Result<i64> {
    let mut last = Field::Null;
    for field in crate::record::fields(entry)? {
        last = field?;
    }
    match last {
        Field::Int(rowid) => Ok(rowid),
        _ => Err(crate::vfs::Error::Corrupt.into()),
    }
}

/// The primary key that an index entry of a WITHOUT ROWID table leads to.
pub(crate) fn row_key(
    entry: &[u8],
    index: &crate::schema::Index,
    primary: &crate::schema::Index,
) -> Result<Vec<Owned>> {
    let fields: Vec<Field<'_>> =
        crate::record::fields(entry)?.collect::<std::result::Result<_, _>>()?;
    primary.columns[..primary.key_columns]
        .iter()
        .map(|column| {
            let at = index.columns.iter().position(|c| c.part == column.part);
            let field = at.and_then(|at| fields.get(at)).ok_or(crate::vfs::Error::Corrupt)?;
            // The text stays in the encoding of the tree.
            Ok(Value::from_field(*field, Encoding::Utf8).into_owned())
        })
        .collect()
}

impl Exec<'_> {
    /// Computes the virtual columns of the row in a slot.
    fn fill_virtual(&self, table: &Rc<Table>, frame: &mut Frame<'_>, slot: usize) -> Result<()> {
        if !table.has_generated || table.fields.iter().all(Option::is_some) {
            return Ok(());
        }
        let exprs = self.virtual_exprs(table)?;
        let Slot::Record(record) = &mut frame.slots[slot] else { return Ok(()) };
        record.virtuals.clear();
        record.virtuals.resize(table.columns.len(), Value::Null);
        // A column may need one that stands behind it.
        for _ in 0..exprs.len().min(4) {
            let mut values = Vec::with_capacity(table.columns.len());
            for col in 0..table.columns.len() {
                let value = frame.slots[slot].column(col as u16)?.into_owned();
                values.push(value);
            }
            let rowid = frame.slots[slot].column(crate::plan::ROWID)?.to_int();
            let row = Frame::of_rows(None, vec![Slot::Values { values, rowid }]);
            for (at, expr) in exprs.iter() {
                let value = self.eval(expr, &row)?.apply(table.columns[*at].affinity);
                let value = value.into_owned();
                if let Slot::Record(record) = &mut frame.slots[slot] {
                    record.virtuals[*at] = value;
                }
            }
        }
        Ok(())
    }

    fn virtual_exprs(&self, table: &Rc<Table>) -> Result<Rc<Vec<(usize, Expr)>>> {
        let address = Rc::as_ptr(table) as usize;
        if let Some(exprs) = self.virtuals.borrow().get(&address) {
            return Ok(exprs.clone());
        }
        let exprs = Rc::new(crate::dml::generated_exprs(self, table)?);
        self.virtuals.borrow_mut().insert(address, exprs.clone());
        Ok(exprs)
    }

    /// The values of an IN that is an access path.
    fn in_values(&self, term: &InTerm, frame: &Frame<'_>) -> Result<Vec<Owned>> {
        match term {
            InTerm::List(list) => {
                list.iter().map(|item| Ok(self.eval(item, frame)?.into_owned())).collect()
            }
            InTerm::Select(plan, affinity) => {
                let mut values = Vec::new();
                self.run_select(&plan.plan, Some(frame), &mut |row| {
                    let value = row.first().map(|value| value.borrow().for_comparison(*affinity));
                    values.extend(value.map(Value::into_owned));
                    Ok(Flow::Continue)
                })?;
                Ok(values)
            }
        }
    }
}
