//! Hash joins: the inner side becomes columns and a table of keys once, each chunk of the outer side
//! is probed as a whole.
//!
//! Matches come in the order of the nested loops: outer rows as they are, for each its inner rows in
//! the order of the scan.

use std::rc::Rc;

use super::chunk::{Chunk, NO_ROW, SlotRows};
use super::eval::{Evaluator, Out};
use super::program::{Builder, Node};
use super::table_scan;
use super::vector::{INT, Vector};
use crate::error::Result;
use crate::exec::keys::{IntSet, KeySet};
use crate::exec::{Exec, Frame, as_rowid};
use crate::plan::{Access, Comparison, Expr, Level, ROWID, Source, SourceKind};
use crate::schema::{IndexPart, Table};
use crate::value::{Affinity, Value};

/// Matches that are handed on at once.
const CHUNK_ROWS: usize = 2048;
/// Bytes that the text of the inner side may take.
const MOST_BYTES: usize = 1 << 30;
/// Rows of the inner side whose scan costs as much as one look-up in its tree.
const ROWS_PER_SEEK: f64 = 8.0;

/// One inner loop.
pub struct Join<'q> {
    slot: usize,
    source: &'q Source,
    left: bool,
    inner: Vec<Node<'q>>,
    outer: Vec<Node<'q>>,
    how: Vec<Comparison>,
    /// The outer value is a rowid.
    by_rowid: bool,
    /// The loops would seek: scanning the inner side must pay.
    by_seek: bool,
    /// Of the inner side alone, checked when it is read.
    early: Vec<Node<'q>>,
    /// Checked for each match.
    late: Vec<Node<'q>>,
    built: Option<Built>,
}

/// The inner side.
struct Built {
    columns: Rc<Vec<Vector>>,
    ints: Option<IntSet>,
    bytes: KeySet,
    /// For each key its first row, for each row the next of the same key.
    first: Vec<u32>,
    next: Vec<u32>,
    last: Vec<u32>,
}

impl<'q> Join<'q> {
    /// The join of a level; `None`: the row engine has to do it.
    pub fn new(source: &'q Source, level: &'q Level, build: &mut Builder<'_>) -> Option<Join<'q>> {
        let table = match &source.kind {
            SourceKind::Table(table) if super::is_scannable(table) => Some(table),
            SourceKind::Select { cache: Some(_), .. } => None,
            _ => return None,
        };
        if level.right {
            return None;
        }
        let slot = level.slot;
        let mut join = Join {
            slot,
            source,
            left: level.left,
            inner: vec![],
            outer: vec![],
            how: vec![],
            by_rowid: false,
            by_seek: !matches!(level.access, Access::Hash { .. }),
            early: vec![],
            late: vec![],
            built: None,
        };
        // The outer side is known before this slot is.
        match (&level.access, table) {
            (Access::Hash { keys }, _) => {
                for key in keys {
                    join.outer.push(build.node(&key.outer)?);
                    join.how.push(key.how);
                }
            }
            (Access::RowidEq(value), Some(_)) => {
                join.by_rowid = true;
                join.outer.push(build.node(value)?);
                join.how.push(Comparison { affinity: Affinity::None, ..ROWID_KEY });
            }
            (Access::Index(access), Some(_)) => {
                let whole = access.equal.len() == access.index.key_columns;
                if !whole
                    || access.within.is_some()
                    || access.low.is_some()
                    || access.high.is_some()
                {
                    return None;
                }
                for ((value, nulls), column) in access.equal.iter().zip(&access.index.columns) {
                    if *nulls || access.index.filter.is_some() {
                        return None;
                    }
                    join.outer.push(build.node(value)?);
                    let collation = column.collation;
                    join.how.push(Comparison { affinity: Affinity::None, collation });
                }
            }
            _ => return None,
        }
        build.known |= 1u64.checked_shl(slot as u32)?;
        join.inner_nodes(level, table, build)?;
        Some(join)
    }

    fn inner_nodes(
        &mut self,
        level: &'q Level,
        table: Option<&Rc<Table>>,
        build: &mut Builder<'_>,
    ) -> Option<()> {
        let slot = self.slot;
        match (&level.access, table) {
            (Access::Hash { keys }, _) => {
                for key in keys {
                    self.inner.push(build.node(&key.inner)?);
                }
            }
            (Access::RowidEq(_), _) => {
                self.inner.push(Node::Column { slot, at: build.column(slot, ROWID)? });
            }
            (Access::Index(access), Some(_)) => {
                for column in access.index.columns.iter().take(access.equal.len()) {
                    let IndexPart::Column(at) = &column.part else { return None };
                    let at = build.column(slot, u16::try_from(*at).ok()?)?;
                    self.inner.push(Node::Column { slot, at });
                }
            }
            _ => return None,
        }
        let own = 1u64.checked_shl(slot as u32)?;
        let alone = |expr: &Expr| crate::compile::slots_of(expr) & !own == 0;
        for term in &level.on {
            let node = build.node(term)?;
            if alone(term) {
                self.early.push(node);
            } else if self.left {
                return None;
            } else {
                self.late.push(node);
            }
        }
        for term in &level.filters {
            let node = build.node(term)?;
            if alone(term) && !self.left { &mut self.early } else { &mut self.late }.push(node);
        }
        Some(())
    }

    /// Whether reading the whole inner side costs less than so many look-ups.
    pub fn pays(&self, exec: &Exec<'_>, probes: f64) -> Result<bool> {
        let SourceKind::Table(table) = &self.source.kind else { return Ok(true) };
        if !self.by_seek {
            return Ok(true);
        }
        let rows = exec.connection.store(table.db)?.estimate(table.root)? as f64;
        Ok(rows <= probes * ROWS_PER_SEEK)
    }

    /// Reads the inner side; `false`: it is too large to be held.
    pub fn build(
        &mut self,
        eval: &Evaluator<'_, '_>,
        columns: &[u16],
        slots: usize,
    ) -> Result<bool> {
        let mut built = Built {
            columns: Rc::default(),
            ints: (self.inner.len() == 1).then(IntSet::default),
            bytes: KeySet::default(),
            first: vec![],
            next: vec![],
            last: vec![],
        };
        let mut all: Vec<Vector> = columns.iter().map(|_| Vector::default()).collect();
        match &self.source.kind {
            SourceKind::Table(table) => {
                let Some(mut scan) = table_scan(eval.exec, table, columns, columns.len(), None)?
                else {
                    return Ok(false);
                };
                let (mut vectors, mut pages) = (vec![Vector::default(); columns.len()], Vec::new());
                loop {
                    let len = scan.read(&mut vectors, &mut pages)?;
                    if len == 0 {
                        break;
                    }
                    let mut chunk = self.own_chunk(&mut vectors, &mut pages, len, slots);
                    self.add(eval, &mut chunk, &mut built, &mut all)?;
                    give_back(chunk, self.slot, &mut vectors, &mut pages);
                    if all.iter().any(|vector| vector.arena_len() > MOST_BYTES) {
                        return Ok(false);
                    }
                }
            }
            SourceKind::Select { plan, cache } => {
                let rows = eval.exec.rows_of(plan, *cache, eval.frame)?;
                let mut vectors = vec![Vector::default(); columns.len()];
                for (vector, col) in vectors.iter_mut().zip(columns) {
                    for row in rows.iter() {
                        vector.push(row.get(usize::from(*col)).unwrap_or(&Value::Null));
                    }
                    if vector.arena_len() > MOST_BYTES {
                        return Ok(false);
                    }
                }
                let mut chunk = self.own_chunk(&mut vectors, &mut Vec::new(), rows.len(), slots);
                self.add(eval, &mut chunk, &mut built, &mut all)?;
            }
            _ => return Ok(false),
        }
        built.columns = Rc::new(all);
        self.built = Some(built);
        Ok(true)
    }

    fn own_chunk(
        &self,
        vectors: &mut Vec<Vector>,
        pages: &mut Vec<crate::pager::Page>,
        len: usize,
        slots: usize,
    ) -> Chunk {
        let mut chunk = Chunk { len, slots: vec![SlotRows::default(); slots], ..Chunk::default() };
        chunk.slots[self.slot].columns = Rc::new(std::mem::take(vectors));
        chunk.pages = Rc::new(std::mem::take(pages));
        chunk
    }

    /// Takes rows of the inner side in.
    fn add(
        &self,
        eval: &Evaluator<'_, '_>,
        chunk: &mut Chunk,
        built: &mut Built,
        all: &mut [Vector],
    ) -> Result<()> {
        eval.exec.check_interrupt()?;
        if !self.early.is_empty() {
            let mut rows: Vec<u32> = (0..chunk.len as u32).collect();
            for filter in &self.early {
                rows = eval.filter(filter, chunk, rows)?;
            }
            chunk.keep(rows);
        }
        let keys: Vec<Out<'_>> =
            self.inner.iter().map(|key| eval.eval(key, chunk, None)).collect::<Result<_>>()?;
        let mut key = Vec::new();
        for at in 0..chunk.len {
            let row = built.next.len() as u32;
            built.next.push(NO_ROW);
            let Some(number) = self.number(&keys, at, chunk, built, &mut key) else { continue };
            let number = number as usize;
            if number == built.first.len() {
                built.first.push(row);
                built.last.push(row);
            } else {
                built.next[built.last[number] as usize] = row;
                built.last[number] = row;
            }
        }
        let slot = &chunk.slots[self.slot];
        for (vector, from) in all.iter_mut().zip(slot.columns.iter()) {
            for at in 0..chunk.len {
                let at = slot.rows.as_ref().map_or(at, |rows| rows[at] as usize);
                vector.push(&from.value(at, &chunk.pages));
            }
        }
        Ok(())
    }

    /// The number of an inner row's key; `None` where a NULL keeps it from any match.
    fn number(
        &self,
        keys: &[Out<'_>],
        at: usize,
        chunk: &Chunk,
        built: &mut Built,
        key: &mut Vec<u8>,
    ) -> Option<u32> {
        if let ([value], Some(ints)) = (keys, &mut built.ints) {
            match as_int_key(value.value(at, chunk).for_comparison(self.how[0].affinity)) {
                IntKey::Int(int) => return Some(ints.insert(int).0),
                IntKey::Null => return None,
                IntKey::Other => {
                    // From here on keys are bytes; those so far keep their numbers.
                    for int in built.ints.take().iter().flat_map(IntSet::keys) {
                        key.clear();
                        Value::Int(*int).push_key(self.how[0].collation, key);
                        built.bytes.insert(key);
                    }
                }
            }
        }
        self.byte_key(keys, at, chunk, key).then(|| built.bytes.insert(key).0)
    }

    fn byte_key(&self, keys: &[Out<'_>], at: usize, chunk: &Chunk, key: &mut Vec<u8>) -> bool {
        key.clear();
        for (value, how) in keys.iter().zip(&self.how) {
            let value = value.value(at, chunk);
            if value.is_null() {
                return false;
            }
            value.for_comparison(how.affinity).push_key(how.collation, key);
        }
        true
    }

    /// Joins a chunk; `each` gets the matches.
    pub fn probe(
        &self,
        eval: &Evaluator<'_, '_>,
        chunk: &Chunk,
        each: &mut dyn FnMut(Chunk) -> Result<bool>,
    ) -> Result<bool> {
        let Some(built) = &self.built else { return Ok(true) };
        let keys: Vec<Out<'_>> =
            self.outer.iter().map(|key| eval.eval(key, chunk, None)).collect::<Result<_>>()?;
        let (mut outer, mut inner) = (Vec::new(), Vec::new());
        let mut key = Vec::new();
        for at in 0..chunk.len {
            let number = self.look_up(&keys, at, chunk, built, &mut key);
            let mut row = number.map_or(NO_ROW, |number| built.first[number as usize]);
            if row == NO_ROW && self.left {
                outer.push(at as u32);
                inner.push(NO_ROW);
            }
            while row != NO_ROW {
                outer.push(at as u32);
                inner.push(row);
                row = built.next[row as usize];
                if outer.len() >= CHUNK_ROWS
                    && !self.hand_on(eval, chunk, built, &mut outer, &mut inner, each)?
                {
                    return Ok(false);
                }
            }
        }
        self.hand_on(eval, chunk, built, &mut outer, &mut inner, each)
    }

    #[inline]
    fn look_up(
        &self,
        keys: &[Out<'_>],
        at: usize,
        chunk: &Chunk,
        built: &Built,
        key: &mut Vec<u8>,
    ) -> Option<u32> {
        if let ([value], Some(ints)) = (keys, &built.ints) {
            if let Out::Vector(vector) = value
                && vector.one_type() == Some(INT)
            {
                return ints.find(vector.bits[at] as i64);
            }
            let value = value.value(at, chunk);
            if self.by_rowid {
                return as_rowid(&value).and_then(|rowid| ints.find(rowid));
            }
            return match as_int_key(value.for_comparison(self.how[0].affinity)) {
                IntKey::Int(int) => ints.find(int),
                _ => None,
            };
        }
        if self.byte_key(keys, at, chunk, key) { built.bytes.find(key) } else { None }
    }

    fn hand_on(
        &self,
        eval: &Evaluator<'_, '_>,
        chunk: &Chunk,
        built: &Built,
        outer: &mut Vec<u32>,
        inner: &mut Vec<u32>,
        each: &mut dyn FnMut(Chunk) -> Result<bool>,
    ) -> Result<bool> {
        if outer.is_empty() {
            return Ok(true);
        }
        let mut joined = chunk.clone();
        joined.keep(std::mem::take(outer));
        joined.slots[self.slot] = SlotRows {
            columns: Rc::clone(&built.columns),
            rows: Some(Rc::new(std::mem::take(inner))),
        };
        if !self.late.is_empty() {
            let mut rows: Vec<u32> = (0..joined.len as u32).collect();
            for filter in &self.late {
                rows = eval.filter(filter, &joined, rows)?;
            }
            if rows.is_empty() {
                return Ok(true);
            }
            if rows.len() < joined.len {
                joined.keep(rows);
            }
        }
        each(joined)
    }
}

const ROWID_KEY: Comparison =
    Comparison { affinity: Affinity::None, collation: crate::collate::Collation::Binary };

enum IntKey {
    Int(i64),
    Null,
    Other,
}

/// A value as an integer key: doubles that equal an integer are that integer.
fn as_int_key(value: Value<'_>) -> IntKey {
    match value {
        Value::Int(v) => IntKey::Int(v),
        Value::Null => IntKey::Null,
        Value::Real(v) => crate::number::exact_int(v).map_or(IntKey::Other, IntKey::Int),
        _ => IntKey::Other,
    }
}

/// Takes the vectors and pages of a chunk back, to be filled again.
pub fn give_back(
    mut chunk: Chunk,
    slot: usize,
    vectors: &mut Vec<Vector>,
    pages: &mut Vec<crate::pager::Page>,
) {
    let columns = std::mem::take(&mut chunk.slots[slot].columns);
    let width = columns.len();
    *vectors = Rc::try_unwrap(columns).unwrap_or_else(|_| vec![Vector::default(); width]);
    *pages = Rc::try_unwrap(std::mem::take(&mut chunk.pages)).unwrap_or_default();
}

/// A frame as the engine sees it: nothing of it changes while chunks run.
pub fn outer_frame<'f>(frame: &'f Frame<'_>) -> Frame<'f> {
    Frame { parent: frame.parent, slots: vec![], regs: vec![], cursors: vec![] }
}
