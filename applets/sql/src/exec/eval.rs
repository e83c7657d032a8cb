//! Expressions to values.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use super::hash::Set;
use super::{Exec, Flow, Frame, Kept};
use crate::ast::{Binary, Conflict, Raise};
use crate::error::{CONSTRAINT, Error, Result};
use crate::func::Context;
use crate::number::Number;
use crate::plan::{Comparison, Expr, SubPlan};
use crate::value::{Owned, Value, arithmetic};

/// The text by which RAISE(IGNORE) is known on its way up.
pub(crate) const RAISE_IGNORE: i32 = 0x7fff;

impl Exec<'_> {
    /// The value of an expression in a frame.
    ///
    /// # Errors
    /// What the functions and subqueries in it report.
    #[inline]
    pub fn eval<'v>(&self, expr: &'v Expr, frame: &'v Frame<'v>) -> Result<Value<'v>> {
        match expr {
            Expr::Const(value) => Ok(value.borrow()),
            Expr::Column(c) => frame.column(c.up, c.slot, c.col),
            Expr::Compare(op, left, right, how) => {
                let (l, r) = (self.eval(left, frame)?, self.eval(right, frame)?);
                Ok(Value::truth(compare(*op, l, r, *how)))
            }
            Expr::And(left, right) => {
                // The second side is not asked when the first is false.
                let l = self.truth(left, frame)?;
                if l == Some(false) {
                    return Ok(Value::Int(0));
                }
                let r = self.truth(right, frame)?;
                Ok(Value::truth(match (l, r) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                }))
            }
            Expr::Arith(op, left, right) => {
                let (l, r) = (self.eval(left, frame)?, self.eval(right, frame)?);
                Ok(arithmetic(*op, &l, &r))
            }
            other => self.eval_rest(other, frame),
        }
    }

    fn eval_rest<'v>(&self, expr: &'v Expr, frame: &'v Frame<'v>) -> Result<Value<'v>> {
        Ok(match expr {
            Expr::Param(n) => self.params.get(*n).cloned().unwrap_or_default(),
            Expr::Reg { up, reg } => {
                frame.up(*up)?.regs.get(*reg as usize).map_or(Value::Null, Value::borrow)
            }
            Expr::Minus(inner) => negative(&self.eval(inner, frame)?),
            Expr::Plus(inner) => self.eval(inner, frame)?,
            Expr::BitNot(inner) => match self.eval(inner, frame)? {
                Value::Null => Value::Null,
                value => Value::Int(!value.to_int()),
            },
            Expr::Not(inner) => Value::truth(self.truth(inner, frame)?.map(|truth| !truth)),
            Expr::IsNull(inner) => Value::bool(self.eval(inner, frame)?.is_null()),
            Expr::NotNull(inner) => Value::bool(!self.eval(inner, frame)?.is_null()),
            Expr::Or(left, right) => {
                let l = self.truth(left, frame)?;
                if l == Some(true) {
                    return Ok(Value::Int(1));
                }
                let r = self.truth(right, frame)?;
                Value::truth(match (l, r) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                })
            }
            Expr::Concat(left, right) => {
                concat(&self.eval(left, frame)?, &self.eval(right, frame)?)?
            }
            Expr::Cast(inner, affinity) => self.eval(inner, frame)?.cast(*affinity),
            Expr::Convert(inner, affinity) => self.eval(inner, frame)?.for_comparison(*affinity),
            Expr::Collate(inner, _) => self.eval(inner, frame)?,
            Expr::Call { function, args, collation } => {
                let mut values: [Value<'v>; 4] = Default::default();
                let many: Vec<Value<'v>>;
                let context = Context { exec: self, collation: *collation };
                let args = if args.len() <= values.len() {
                    for (value, arg) in values.iter_mut().zip(args) {
                        *value = self.eval(arg, frame)?;
                    }
                    &values[..args.len()]
                } else {
                    many = args.iter().map(|arg| self.eval(arg, frame)).collect::<Result<_>>()?;
                    &many
                };
                (function.code)(&context, args)?
            }
            Expr::Coalesce(args) => {
                for arg in args {
                    let value = self.eval(arg, frame)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Value::Null
            }
            Expr::Case { whens, otherwise } => {
                for (when, then) in whens {
                    if self.truth(when, frame)? == Some(true) {
                        return self.eval(then, frame);
                    }
                }
                match otherwise {
                    Some(otherwise) => self.eval(otherwise, frame)?,
                    None => Value::Null,
                }
            }
            Expr::CaseOf { operand, whens, otherwise } => {
                let value = self.eval(operand, frame)?;
                for (when, then, how) in whens {
                    let when = self.eval(when, frame)?;
                    if compare(Binary::Eq, value.borrow(), when, *how) == Some(true) {
                        return self.eval(then, frame);
                    }
                }
                match otherwise {
                    Some(otherwise) => self.eval(otherwise, frame)?,
                    None => Value::Null,
                }
            }
            Expr::InList { not, value, list, how, constant } => {
                let found = self.in_list(value, list, *how, *constant, frame)?;
                Value::truth(found.map(|found| found != *not))
            }
            Expr::InSelect { not, values, plan, how } => {
                let found = self.in_select(values, plan, how, frame)?;
                Value::truth(found.map(|found| found != *not))
            }
            Expr::Exists(plan) => Value::bool(self.exists(plan, frame)?),
            Expr::Scalar(plan) => self.scalar(plan, frame)?,
            Expr::RowField(plan, n) => {
                self.first_row(plan, frame)?.get(*n).cloned().unwrap_or_default()
            }
            Expr::RowCompare { op, left, right, how } => {
                let left = self.row_value(left, frame)?;
                let right = self.row_value(right, frame)?;
                Value::truth(compare_rows(*op, &left, &right, how))
            }
            Expr::Raise(kind, message) => {
                return Err(self.raise(*kind, message.as_deref(), frame)?);
            }
            Expr::Row(_) | Expr::RowSelect(_) => return Err(Error::new("row value misused")),
            _ => Value::Null,
        })
    }

    /// Whether a condition holds; `None` for NULL.
    #[inline]
    pub fn truth(&self, expr: &Expr, frame: &Frame<'_>) -> Result<Option<bool>> {
        if let Expr::Compare(op, left, right, how) = expr {
            let (l, r) = (self.eval(left, frame)?, self.eval(right, frame)?);
            return Ok(compare(*op, l, r, *how));
        }
        Ok(self.eval(expr, frame)?.as_bool())
    }

    /// Whether all conditions hold.
    #[inline]
    pub fn all_true(&self, exprs: &[Expr], frame: &Frame<'_>) -> Result<bool> {
        for expr in exprs {
            if self.truth(expr, frame)? != Some(true) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn in_list(
        &self,
        value: &Expr,
        list: &[Expr],
        how: Comparison,
        constant: Option<usize>,
        frame: &Frame<'_>,
    ) -> Result<Option<bool>> {
        if list.is_empty() {
            return Ok(Some(false));
        }
        let value = self.eval(value, frame)?.for_comparison(how.affinity);
        if let Some(at) = constant {
            let set = self.constant_set(at, list, how)?;
            return Ok(set.contains(std::slice::from_ref(&value), &[how]));
        }
        if value.is_null() {
            return Ok(None);
        }
        let mut nulls = false;
        for item in list {
            let item = self.eval(item, frame)?.for_comparison(how.affinity);
            if item.is_null() {
                nulls = true;
            } else if value.compare(&item, how.collation).is_eq() {
                return Ok(Some(true));
            }
        }
        Ok(if nulls { None } else { Some(false) })
    }

    fn constant_set(&self, at: usize, list: &[Expr], how: Comparison) -> Result<Rc<Set>> {
        if let Some(Kept::Set(set)) = self.kept(at) {
            return Ok(set);
        }
        let mut set = Set::new(1);
        for item in list {
            if let Expr::Const(value) = item {
                set.add(&[value.borrow()], &[how]);
            }
        }
        let set = Rc::new(set);
        self.keep(at, Kept::Set(set.clone()));
        Ok(set)
    }

    fn in_select(
        &self,
        values: &[Expr],
        plan: &SubPlan,
        how: &[Comparison],
        frame: &Frame<'_>,
    ) -> Result<Option<bool>> {
        let set = self.select_set(plan, how, frame)?;
        if set.is_empty() {
            return Ok(Some(false));
        }
        let row: Vec<Value<'_>> = values
            .iter()
            .zip(how)
            .map(|(value, how)| Ok(self.eval(value, frame)?.for_comparison(how.affinity)))
            .collect::<Result<_>>()?;
        Ok(set.contains(&row, how))
    }

    /// The rows of a subquery as a set.
    pub(super) fn select_set(
        &self,
        plan: &SubPlan,
        how: &[Comparison],
        frame: &Frame<'_>,
    ) -> Result<Rc<Set>> {
        if let Some(Kept::Set(set)) = plan.cache.and_then(|at| self.kept(at)) {
            return Ok(set);
        }
        let mut set = Set::new(how.len());
        self.run_select(&plan.plan, Some(frame), &mut |row| {
            set.add(row, how);
            Ok(Flow::Continue)
        })?;
        let set = Rc::new(set);
        if let Some(at) = plan.cache {
            self.keep(at, Kept::Set(set.clone()));
        }
        Ok(set)
    }

    fn exists(&self, plan: &SubPlan, frame: &Frame<'_>) -> Result<bool> {
        if let Some(Kept::Value(value)) = plan.cache.and_then(|at| self.kept(at)) {
            return Ok(value == Value::Int(1));
        }
        let mut found = false;
        self.run_select(&plan.plan, Some(frame), &mut |_| {
            found = true;
            Ok(Flow::Stop)
        })?;
        if let Some(at) = plan.cache {
            self.keep(at, Kept::Value(Value::bool(found)));
        }
        Ok(found)
    }

    fn scalar(&self, plan: &SubPlan, frame: &Frame<'_>) -> Result<Owned> {
        if let Some(Kept::Value(value)) = plan.cache.and_then(|at| self.kept(at)) {
            return Ok(value);
        }
        let mut result = Value::Null;
        self.run_select(&plan.plan, Some(frame), &mut |row| {
            result = row.first().map_or(Value::Null, |value| value.clone().into_owned());
            Ok(Flow::Stop)
        })?;
        if let Some(at) = plan.cache {
            self.keep(at, Kept::Value(result.clone()));
        }
        Ok(result)
    }

    /// The first row of a subquery, NULLs where there is none.
    fn first_row(&self, plan: &SubPlan, frame: &Frame<'_>) -> Result<Rc<Vec<Owned>>> {
        if let Some(Kept::Row(row)) = plan.cache.and_then(|at| self.kept(at)) {
            return Ok(row);
        }
        let mut result = vec![Value::Null; plan.plan.columns.len()];
        self.run_select(&plan.plan, Some(frame), &mut |row| {
            result = row.iter().map(|value| value.clone().into_owned()).collect();
            Ok(Flow::Stop)
        })?;
        let result = Rc::new(result);
        if let Some(at) = plan.cache {
            self.keep(at, Kept::Row(result.clone()));
        }
        Ok(result)
    }

    fn row_value(&self, expr: &Expr, frame: &Frame<'_>) -> Result<Vec<Owned>> {
        match expr {
            Expr::Row(items) => {
                items.iter().map(|item| Ok(self.eval(item, frame)?.into_owned())).collect()
            }
            Expr::RowSelect(plan) => Ok(self.first_row(plan, frame)?.to_vec()),
            other => Ok(vec![self.eval(other, frame)?.into_owned()]),
        }
    }

    fn raise(&self, kind: Raise, message: Option<&Expr>, frame: &Frame<'_>) -> Result<Error> {
        let text = match message {
            None => String::new(),
            Some(message) => {
                String::from_utf8_lossy(&self.eval(message, frame)?.to_text()).into_owned()
            }
        };
        let conflict = match kind {
            Raise::Ignore => return Ok(Error::coded(RAISE_IGNORE, "")),
            Raise::Rollback => Conflict::Rollback,
            Raise::Abort => Conflict::Abort,
            Raise::Fail => Conflict::Fail,
        };
        let _ = CONSTRAINT;
        Ok(Error::constraint(text, conflict))
    }
}

/// `-value`
pub(super) fn negative(value: &Value<'_>) -> Owned {
    match value.to_number() {
        None => Value::Null,
        Some(Number::Int(v)) => v.checked_neg().map_or(Value::Real(-(v as f64)), Value::Int),
        Some(Number::Real(v)) => Value::Real(-v),
    }
}

/// `left || right`
pub(super) fn concat(left: &Value<'_>, right: &Value<'_>) -> Result<Owned> {
    let (Some(l), Some(r)) = (left.to_bytes(), right.to_bytes()) else { return Ok(Value::Null) };
    crate::value::check_length(l.len() + r.len())?;
    let mut text = Vec::with_capacity(l.len() + r.len());
    text.extend_from_slice(&l);
    text.extend_from_slice(&r);
    Ok(Value::Text(Cow::Owned(text)))
}

/// Compares two values as an operator does; `None` where NULL decides nothing.
#[inline]
pub(crate) fn compare(op: Binary, l: Value<'_>, r: Value<'_>, how: Comparison) -> Option<bool> {
    if l.is_null() || r.is_null() {
        return match op {
            Binary::Is => Some(l.is_null() && r.is_null()),
            Binary::IsNot => Some(l.is_null() != r.is_null()),
            _ => None,
        };
    }
    let order = match (&l, &r) {
        (Value::Int(l), Value::Int(r)) if how.affinity != crate::value::Affinity::Text => l.cmp(r),
        _ => l.for_comparison(how.affinity).compare(&r.for_comparison(how.affinity), how.collation),
    };
    Some(holds(op, order))
}

fn holds(op: Binary, order: Ordering) -> bool {
    match op {
        Binary::Eq | Binary::Is => order.is_eq(),
        Binary::Ne | Binary::IsNot => order.is_ne(),
        Binary::Lt => order.is_lt(),
        Binary::Le => order.is_le(),
        Binary::Gt => order.is_gt(),
        _ => order.is_ge(),
    }
}

fn compare_rows(op: Binary, left: &[Owned], right: &[Owned], how: &[Comparison]) -> Option<bool> {
    let mut unknown = false;
    for ((l, r), how) in left.iter().zip(right).zip(how) {
        if l.is_null() || r.is_null() {
            match op {
                Binary::Is | Binary::IsNot => {
                    if l.is_null() != r.is_null() {
                        return Some(op == Binary::IsNot);
                    }
                    continue;
                }
                Binary::Eq | Binary::Ne => {
                    unknown = true;
                    continue;
                }
                _ => return None,
            }
        }
        let l = l.borrow().for_comparison(how.affinity);
        let order = l.compare(&r.borrow().for_comparison(how.affinity), how.collation);
        if order.is_ne() {
            return Some(match op {
                Binary::Eq | Binary::Is => false,
                Binary::Ne | Binary::IsNot => true,
                _ => holds(op, order),
            });
        }
    }
    if unknown { None } else { Some(holds(op, Ordering::Equal)) }
}
