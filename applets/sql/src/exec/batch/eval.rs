//! Kernels: an expression over all rows of a chunk at once.
//!
//! The common types have loops of their own; whatever else SQL allows (text that is compared with a
//! number, an overflow, a NULL here and there) goes value by value through the same functions that
//! the row engine uses, so the two agree.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use super::chunk::Chunk;
use super::program::Node;
use super::vector::{INT, NULL, REAL, TEXT, Vector};
use crate::ast::Binary;
use crate::collate::Collation;
use crate::error::Result;
use crate::exec::eval::compare;
use crate::exec::hash::Set;
use crate::exec::{Exec, Frame};
use crate::func::{Context, Scalar};
use crate::plan::{Comparison, Expr};
use crate::value::{Affinity, Owned, Value, arithmetic};

/// Which rows of a chunk are computed: all, or those at these places.
pub type Rows<'r> = Option<&'r [u32]>;

/// What a node gives.
pub enum Out<'a> {
    Vector(Cow<'a, Vector>),
    /// The same for every row.
    Const(Value<'a>),
}

impl Out<'_> {
    #[inline]
    pub fn value<'v>(&'v self, at: usize, chunk: &'v Chunk) -> Value<'v> {
        match self {
            Out::Vector(vector) => vector.value(at, &chunk.pages),
            Out::Const(value) => value.borrow(),
        }
    }

    #[inline]
    pub fn truth(&self, at: usize, chunk: &Chunk) -> Option<bool> {
        match self {
            Out::Vector(vector) => vector.truth(at, &chunk.pages),
            Out::Const(value) => value.as_bool(),
        }
    }

    /// As a vector of `len` values.
    pub fn spread(&self, len: usize) -> Cow<'_, Vector> {
        match self {
            Out::Vector(vector) => Cow::Borrowed(vector),
            Out::Const(value) => Cow::Owned(Vector::repeat(value, len)),
        }
    }
}

/// Runs nodes.
pub struct Evaluator<'e, 'x> {
    pub exec: &'e Exec<'x>,
    /// The frame of the query, for what does not depend on its rows.
    pub frame: &'e Frame<'e>,
}

fn count(chunk: &Chunk, rows: Rows<'_>) -> usize {
    rows.map_or(chunk.len, <[u32]>::len)
}

impl Evaluator<'_, '_> {
    /// Computes a node for some rows of a chunk.
    ///
    /// # Errors
    /// What functions and subqueries report.
    pub fn eval<'a>(
        &'a self,
        node: &'a Node<'_>,
        chunk: &'a Chunk,
        rows: Rows<'_>,
    ) -> Result<Out<'a>> {
        let vector = match node {
            Node::Column { slot, at } => return Ok(column(chunk, *slot, *at, rows)),
            Node::Const(value) => return Ok(Out::Const(value.borrow())),
            Node::Once(expr, kept) => return self.once(expr, kept),
            Node::Compare(op, l, r, how) => {
                let (l, r) = (self.eval(l, chunk, rows)?, self.eval(r, chunk, rows)?);
                compare_all(*op, &l, &r, *how, chunk, count(chunk, rows))
            }
            Node::Arith(op, l, r) => {
                let (l, r) = (self.eval(l, chunk, rows)?, self.eval(r, chunk, rows)?);
                arith_all(*op, &l, &r, chunk, count(chunk, rows))
            }
            Node::And(..) | Node::Or(..) => self.logic(node, chunk, rows)?,
            Node::Not(inner) => {
                let inner = self.eval(inner, chunk, rows)?;
                each(count(chunk, rows), |at| Value::truth(inner.truth(at, chunk).map(|t| !t)))
            }
            Node::IsNull(inner, wanted) => {
                let inner = self.eval(inner, chunk, rows)?;
                let null = |at| match &inner {
                    Out::Vector(vector) => vector.tag(at) == NULL,
                    Out::Const(value) => value.is_null(),
                };
                let truths = (0..count(chunk, rows)).map(|at| u64::from(null(at) == *wanted));
                Vector::uniform(INT, truths.collect())
            }
            Node::Minus(inner) => {
                let inner = self.eval(inner, chunk, rows)?;
                each(count(chunk, rows), |at| crate::exec::eval::negative(&inner.value(at, chunk)))
            }
            Node::Concat(l, r) => {
                let (l, r) = (self.eval(l, chunk, rows)?, self.eval(r, chunk, rows)?);
                try_each(count(chunk, rows), |at| {
                    crate::exec::eval::concat(&l.value(at, chunk), &r.value(at, chunk))
                })?
            }
            Node::Cast(inner, affinity) => {
                let inner = self.eval(inner, chunk, rows)?;
                each(count(chunk, rows), |at| inner.value(at, chunk).cast(*affinity).into_owned())
            }
            Node::Convert(inner, affinity) => {
                let inner = self.eval(inner, chunk, rows)?;
                each(count(chunk, rows), |at| {
                    inner.value(at, chunk).for_comparison(*affinity).into_owned()
                })
            }
            Node::Like(text, pattern) => {
                let text = self.eval(text, chunk, rows)?;
                if let Out::Vector(vector) = &text
                    && vector.one_type() == Some(TEXT)
                {
                    let words = vector.bits.iter();
                    let matches =
                        words.map(|word| pattern.matches(vector.bytes(*word, &chunk.pages)));
                    let truths = matches.map(u64::from).collect();
                    return Ok(Out::Vector(Cow::Owned(Vector::uniform(INT, truths))));
                }
                each(count(chunk, rows), |at| match &text.value(at, chunk) {
                    Value::Text(text) => Value::bool(pattern.matches(text)),
                    other => Value::truth(other.to_bytes().map(|text| pattern.matches(&text))),
                })
            }
            Node::In { not, value, expr, how, set } => {
                let value = self.eval(value, chunk, rows)?;
                if count(chunk, rows) == 0 {
                    return Ok(Out::Vector(Cow::Owned(Vector::default())));
                }
                let set = self.set(expr, *how, set)?;
                each(count(chunk, rows), |at| {
                    let value = value.value(at, chunk).for_comparison(how.affinity);
                    let found = set.contains(std::slice::from_ref(&value), &[*how]);
                    Value::truth(found.map(|found| found != *not))
                })
            }
            Node::Call { function, args, collation } => {
                self.call(function, args, *collation, chunk, rows)?
            }
            Node::Case { whens, otherwise } => {
                self.case(whens, otherwise.as_deref(), chunk, rows)?
            }
        };
        Ok(Out::Vector(Cow::Owned(vector)))
    }

    fn once<'a>(&self, expr: &Expr, kept: &'a std::cell::OnceCell<Owned>) -> Result<Out<'a>> {
        if let Some(value) = kept.get() {
            return Ok(Out::Const(value.borrow()));
        }
        let value = self.exec.eval(expr, self.frame)?.into_owned();
        Ok(Out::Const(kept.get_or_init(|| value).borrow()))
    }

    fn set<'a>(
        &self,
        expr: &Expr,
        how: Comparison,
        kept: &'a std::cell::OnceCell<Rc<Set>>,
    ) -> Result<&'a Rc<Set>> {
        if let Some(set) = kept.get() {
            return Ok(set);
        }
        let set = match expr {
            Expr::InSelect { plan, how, .. } => self.exec.select_set(plan, how, self.frame)?,
            Expr::InList { list, .. } => {
                let mut set = Set::new(1);
                for item in list {
                    set.add(&[self.exec.eval(item, self.frame)?], &[how]);
                }
                Rc::new(set)
            }
            _ => Rc::new(Set::new(1)),
        };
        Ok(kept.get_or_init(|| set))
    }

    /// AND and OR: the right side is computed where the left leaves it open.
    fn logic(&self, node: &Node<'_>, chunk: &Chunk, rows: Rows<'_>) -> Result<Vector> {
        let (l, r, decides) = match node {
            Node::And(l, r) => (l, r, false),
            Node::Or(l, r) => (l, r, true),
            _ => return Ok(Vector::default()),
        };
        let left = self.eval(l, chunk, rows)?;
        let len = count(chunk, rows);
        let open: Vec<u32> =
            (0..len as u32).filter(|at| left.truth(*at as usize, chunk) != Some(decides)).collect();
        let chosen: Vec<u32> = match rows {
            None => open.clone(),
            Some(rows) => open.iter().map(|at| rows[*at as usize]).collect(),
        };
        let right = self.eval(r, chunk, Some(&chosen))?;
        let mut out = Vector::uniform(INT, vec![u64::from(decides); len]);
        for (n, at) in open.iter().enumerate() {
            let truth = match (left.truth(*at as usize, chunk), right.truth(n, chunk)) {
                (_, Some(truth)) if truth == decides => Some(truth),
                (Some(_), other) => other,
                (None, _) => None,
            };
            match truth {
                Some(truth) => out.set(*at as usize, INT, u64::from(truth)),
                None => out.set(*at as usize, NULL, 0),
            }
        }
        Ok(out)
    }

    fn call(
        &self,
        function: &'static Scalar,
        args: &[Node<'_>],
        collation: Collation,
        chunk: &Chunk,
        rows: Rows<'_>,
    ) -> Result<Vector> {
        let context = Context { exec: self.exec, collation };
        let args: Vec<Out<'_>> =
            args.iter().map(|arg| self.eval(arg, chunk, rows)).collect::<Result<_>>()?;
        let mut values: Vec<Value<'_>> = Vec::with_capacity(args.len());
        let mut out = Vector::with_capacity(count(chunk, rows));
        for at in 0..count(chunk, rows) {
            values.clear();
            values.extend(args.iter().map(|arg| arg.value(at, chunk)));
            out.push(&(function.code)(&context, &values)?);
        }
        Ok(out)
    }

    fn case(
        &self,
        whens: &[(Node<'_>, Node<'_>)],
        otherwise: Option<&Node<'_>>,
        chunk: &Chunk,
        rows: Rows<'_>,
    ) -> Result<Vector> {
        let len = count(chunk, rows);
        let place = |at: u32| rows.map_or(at, |rows| rows[at as usize]);
        let mut results: Vec<Owned> = vec![Value::Null; len];
        let mut left: Vec<u32> = (0..len as u32).collect();
        for (when, then) in whens {
            let chosen: Vec<u32> = left.iter().map(|at| place(*at)).collect();
            let truths = self.eval(when, chunk, Some(&chosen))?;
            let mut rest = Vec::with_capacity(left.len());
            let mut taken = Vec::new();
            for (n, at) in left.iter().enumerate() {
                let holds = truths.truth(n, chunk) == Some(true);
                if holds { &mut taken } else { &mut rest }.push(*at);
            }
            self.fill(then, &taken, &place, chunk, &mut results)?;
            left = rest;
        }
        if let Some(otherwise) = otherwise {
            self.fill(otherwise, &left, &place, chunk, &mut results)?;
        }
        let mut out = Vector::with_capacity(len);
        results.iter().for_each(|value| out.push(value));
        Ok(out)
    }

    fn fill(
        &self,
        node: &Node<'_>,
        at: &[u32],
        place: &dyn Fn(u32) -> u32,
        chunk: &Chunk,
        results: &mut [Owned],
    ) -> Result<()> {
        let chosen: Vec<u32> = at.iter().map(|at| place(*at)).collect();
        let values = self.eval(node, chunk, Some(&chosen))?;
        for (n, at) in at.iter().enumerate() {
            results[*at as usize] = values.value(n, chunk).into_owned();
        }
        Ok(())
    }

    /// The rows of a chunk for which a condition holds, out of `rows`.
    ///
    /// # Errors
    /// As [`eval`](Evaluator::eval).
    pub fn filter(&self, node: &Node<'_>, chunk: &Chunk, rows: Vec<u32>) -> Result<Vec<u32>> {
        if rows.is_empty() {
            return Ok(rows);
        }
        if let Node::And(l, r) = node {
            // A NULL on the left is as good as false here.
            let rows = self.filter(l, chunk, rows)?;
            return self.filter(r, chunk, rows);
        }
        let everything = rows.len() == chunk.len;
        let truths = self.eval(node, chunk, if everything { None } else { Some(&rows) })?;
        let mut rows = rows;
        match &truths {
            Out::Vector(truths) if truths.one_type() == Some(INT) => {
                let mut kept = 0;
                for at in 0..rows.len() {
                    rows[kept] = rows[at];
                    kept += usize::from(truths.bits[at] != 0);
                }
                rows.truncate(kept);
            }
            _ => {
                let mut at = 0;
                rows.retain(|_| {
                    at += 1;
                    truths.truth(at - 1, chunk) == Some(true)
                });
            }
        }
        Ok(rows)
    }
}

fn column<'a>(chunk: &'a Chunk, slot: usize, at: usize, rows: Rows<'_>) -> Out<'a> {
    let source = &chunk.slots[slot];
    let vector = &source.columns[at];
    Out::Vector(match (&source.rows, rows) {
        (None, None) => Cow::Borrowed(vector),
        (Some(places), None) => Cow::Owned(vector.gather(places)),
        (None, Some(rows)) => Cow::Owned(vector.gather(rows)),
        (Some(places), Some(rows)) => {
            let places: Vec<u32> = rows.iter().map(|at| places[*at as usize]).collect();
            Cow::Owned(vector.gather(&places))
        }
    })
}

fn each(len: usize, mut value: impl FnMut(usize) -> Owned) -> Vector {
    let mut out = Vector::with_capacity(len);
    for at in 0..len {
        out.push(&value(at));
    }
    out
}

fn try_each(len: usize, mut value: impl FnMut(usize) -> Result<Owned>) -> Result<Vector> {
    let mut out = Vector::with_capacity(len);
    for at in 0..len {
        out.push(&value(at)?);
    }
    Ok(out)
}

// ---- comparison -------------------------------------------------------------------------------

fn compare_all(
    op: Binary,
    l: &Out<'_>,
    r: &Out<'_>,
    how: Comparison,
    chunk: &Chunk,
    len: usize,
) -> Vector {
    let fast = match (l, r) {
        (Out::Vector(l), Out::Vector(r)) => compare_vectors(op, l, r, how, chunk),
        (Out::Vector(l), Out::Const(r)) => compare_with(op, l, r, how, chunk),
        (Out::Const(l), Out::Vector(r)) => {
            compare_with(crate::compile::mirrored(op), r, l, how, chunk)
        }
        (Out::Const(_), Out::Const(_)) => None,
    };
    fast.unwrap_or_else(|| {
        each(len, |at| Value::truth(compare(op, l.value(at, chunk), r.value(at, chunk), how)))
    })
}

/// One loop for each operator, so that the comparison in it is a single instruction.
macro_rules! loops {
    ($op:expr, $pairs:expr, $l:ident, $r:ident, $cmp:expr) => {
        match $op {
            Binary::Eq | Binary::Is => $pairs.map(|($l, $r)| u64::from($cmp.is_eq())).collect(),
            Binary::Ne | Binary::IsNot => $pairs.map(|($l, $r)| u64::from($cmp.is_ne())).collect(),
            Binary::Lt => $pairs.map(|($l, $r)| u64::from($cmp.is_lt())).collect(),
            Binary::Le => $pairs.map(|($l, $r)| u64::from($cmp.is_le())).collect(),
            Binary::Gt => $pairs.map(|($l, $r)| u64::from($cmp.is_gt())).collect(),
            _ => $pairs.map(|($l, $r)| u64::from($cmp.is_ge())).collect(),
        }
    };
}

fn real_order(l: f64, r: f64) -> Ordering {
    l.partial_cmp(&r).unwrap_or(Ordering::Equal)
}

fn compare_vectors(
    op: Binary,
    l: &Vector,
    r: &Vector,
    how: Comparison,
    chunk: &Chunk,
) -> Option<Vector> {
    let pairs = l.bits.iter().zip(&r.bits);
    let truths: Vec<u64> = match (l.one_type()?, r.one_type()?) {
        (INT, INT) if how.affinity != Affinity::Text => {
            loops!(op, pairs, l, r, (*l as i64).cmp(&(*r as i64)))
        }
        (REAL, REAL) if how.affinity != Affinity::Text => {
            loops!(op, pairs, l, r, real_order(f64::from_bits(*l), f64::from_bits(*r)))
        }
        (TEXT, TEXT) if !how.affinity.is_numeric() && how.collation == Collation::Binary => {
            let pages = &chunk.pages;
            loops!(op, pairs, a, b, l.bytes(*a, pages).cmp(r.bytes(*b, pages)))
        }
        _ => return None,
    };
    Some(Vector::uniform(INT, truths))
}

/// A double that is exactly this integer.
fn exact_real(int: i64) -> Option<f64> {
    (int.unsigned_abs() < 1 << 53).then_some(int as f64)
}

fn compare_with(
    op: Binary,
    l: &Vector,
    r: &Value<'_>,
    how: Comparison,
    chunk: &Chunk,
) -> Option<Vector> {
    // A literal is converted once; a number that becomes text goes the long way.
    let r = r.borrow().for_comparison(how.affinity);
    let bits = l.bits.iter();
    let truths: Vec<u64> = match (l.one_type()?, &r) {
        (INT, Value::Int(r)) => {
            let pairs = bits.map(|l| (*l as i64, r));
            loops!(op, pairs, l, r, l.cmp(r))
        }
        (REAL, number @ (Value::Real(_) | Value::Int(_))) => {
            let r = match number {
                Value::Int(v) => exact_real(*v)?,
                _ => number.to_real(),
            };
            let pairs = bits.map(|l| (f64::from_bits(*l), r));
            loops!(op, pairs, l, r, real_order(l, r))
        }
        (TEXT, Value::Text(r))
            if !how.affinity.is_numeric() && how.collation == Collation::Binary =>
        {
            let pairs = bits.map(|word| (l.bytes(*word, &chunk.pages), &**r));
            loops!(op, pairs, l, r, l.cmp(r))
        }
        _ => return None,
    };
    Some(Vector::uniform(INT, truths))
}

// ---- arithmetic -------------------------------------------------------------------------------

fn arith_all(op: Binary, l: &Out<'_>, r: &Out<'_>, chunk: &Chunk, len: usize) -> Vector {
    arith_fast(op, l, r, len)
        .unwrap_or_else(|| each(len, |at| arithmetic(op, &l.value(at, chunk), &r.value(at, chunk))))
}

/// Numbers of one type on each side; `None` where a result is not of that type.
fn arith_fast(op: Binary, l: &Out<'_>, r: &Out<'_>, len: usize) -> Option<Vector> {
    let (l_tag, r_tag) = (number_tag(l)?, number_tag(r)?);
    if l_tag == INT && r_tag == INT {
        return int_arith(op, l, r, len);
    }
    let reals = |out: &Out<'_>, tag: u8| -> Vec<f64> {
        match out {
            Out::Const(value) => vec![value.to_real(); len],
            Out::Vector(v) if tag == INT => v.bits.iter().map(|bits| *bits as i64 as f64).collect(),
            Out::Vector(v) => v.bits.iter().map(|bits| f64::from_bits(*bits)).collect(),
        }
    };
    let (l, r) = (reals(l, l_tag), reals(r, r_tag));
    let pairs = l.iter().zip(&r);
    let results: Vec<f64> = match op {
        Binary::Add => pairs.map(|(l, r)| l + r).collect(),
        Binary::Sub => pairs.map(|(l, r)| l - r).collect(),
        Binary::Mul => pairs.map(|(l, r)| l * r).collect(),
        Binary::Div if r.iter().all(|r| *r != 0.0) => pairs.map(|(l, r)| l / r).collect(),
        _ => return None,
    };
    if results.iter().any(|v| v.is_nan()) {
        return None;
    }
    Some(Vector::uniform(REAL, results.into_iter().map(f64::to_bits).collect()))
}

fn int_arith(op: Binary, l: &Out<'_>, r: &Out<'_>, len: usize) -> Option<Vector> {
    let code = match op {
        Binary::Add => i64::checked_add,
        Binary::Sub => i64::checked_sub,
        Binary::Mul => i64::checked_mul,
        Binary::Div => i64::checked_div,
        Binary::Rem => |l: i64, r: i64| if r == 0 { None } else { Some(l.wrapping_rem(r)) },
        Binary::BitAnd => |l: i64, r: i64| Some(l & r),
        Binary::BitOr => |l: i64, r: i64| Some(l | r),
        _ => return None,
    };
    let mut bits = Vec::with_capacity(len);
    match (l, r) {
        (Out::Vector(l), Out::Vector(r)) => {
            for (l, r) in l.bits.iter().zip(&r.bits) {
                bits.push(code(*l as i64, *r as i64)? as u64);
            }
        }
        (Out::Vector(l), Out::Const(Value::Int(r))) => {
            for l in &l.bits {
                bits.push(code(*l as i64, *r)? as u64);
            }
        }
        (Out::Const(Value::Int(l)), Out::Vector(r)) => {
            for r in &r.bits {
                bits.push(code(*l, *r as i64)? as u64);
            }
        }
        _ => return None,
    }
    Some(Vector::uniform(INT, bits))
}

fn number_tag(out: &Out<'_>) -> Option<u8> {
    let tag = match out {
        Out::Vector(vector) => vector.one_type()?,
        Out::Const(Value::Int(_)) => INT,
        Out::Const(Value::Real(_)) => REAL,
        Out::Const(_) => return None,
    };
    matches!(tag, INT | REAL).then_some(tag)
}
