//! Walking bound expressions.

use crate::ast::Binary;
use crate::plan::{Expr, SubPlan};

/// Calls `each` with the direct parts of an expression.
pub(crate) fn children<'e>(expr: &'e Expr, each: &mut dyn FnMut(&'e Expr)) {
    match expr {
        Expr::Const(_) | Expr::Param(_) | Expr::Column(_) | Expr::Reg { .. } => {}
        Expr::Minus(e)
        | Expr::Plus(e)
        | Expr::BitNot(e)
        | Expr::Not(e)
        | Expr::IsNull(e)
        | Expr::NotNull(e)
        | Expr::Cast(e, _)
        | Expr::Convert(e, _)
        | Expr::Collate(e, _) => each(e),
        Expr::And(l, r)
        | Expr::Or(l, r)
        | Expr::Compare(_, l, r, _)
        | Expr::Arith(_, l, r)
        | Expr::Concat(l, r) => {
            each(l);
            each(r);
        }
        Expr::RowCompare { left, right, .. } => {
            each(left);
            each(right);
        }
        Expr::InList { value, list, .. } => {
            each(value);
            list.iter().for_each(each);
        }
        Expr::InSelect { values, .. } => values.iter().for_each(each),
        Expr::Call { args, .. } | Expr::Coalesce(args) | Expr::Row(args) => {
            args.iter().for_each(each);
        }
        Expr::Case { whens, otherwise } => {
            for (when, then) in whens {
                each(when);
                each(then);
            }
            otherwise.iter().for_each(|e| each(e));
        }
        Expr::CaseOf { operand, whens, otherwise } => {
            each(operand);
            for (when, then, _) in whens {
                each(when);
                each(then);
            }
            otherwise.iter().for_each(|e| each(e));
        }
        Expr::Exists(_) | Expr::Scalar(_) | Expr::RowSelect(_) | Expr::RowField(..) => {}
        Expr::Raise(_, message) => message.iter().for_each(|e| each(e)),
    }
}

/// The subquery that an expression itself asks.
pub(crate) fn subplan(expr: &Expr) -> Option<&SubPlan> {
    match expr {
        Expr::InSelect { plan, .. }
        | Expr::Exists(plan)
        | Expr::Scalar(plan)
        | Expr::RowSelect(plan)
        | Expr::RowField(plan, _) => Some(plan),
        _ => None,
    }
}

/// The slots of its own frame that an expression reads, as a bit set; slot 63 and above share a bit.
pub(crate) fn slots_of(expr: &Expr) -> u64 {
    let mut slots = 0;
    add_slots(expr, &mut slots);
    slots
}

fn add_slots(expr: &Expr, slots: &mut u64) {
    if let Expr::Column(column) = expr
        && column.up == 0
    {
        *slots |= bit(column.slot as usize);
    }
    if let Some(sub) = subplan(expr) {
        for (up, slot, _) in &sub.plan.outer {
            if *up == 1 {
                *slots |= bit(*slot as usize);
            }
        }
    }
    children(expr, &mut |child| add_slots(child, slots));
}

/// The bit of a slot.
pub(crate) fn bit(slot: usize) -> u64 {
    1 << slot.min(63)
}

/// Splits a condition at its ANDs.
pub(crate) fn conjuncts(expr: Expr, into: &mut Vec<Expr>) {
    match expr {
        Expr::And(l, r) => {
            conjuncts(*l, into);
            conjuncts(*r, into);
        }
        other => into.push(other),
    }
}

/// The comparison with its sides exchanged.
pub(crate) fn mirrored(op: Binary) -> Binary {
    match op {
        Binary::Lt => Binary::Gt,
        Binary::Le => Binary::Ge,
        Binary::Gt => Binary::Lt,
        Binary::Ge => Binary::Le,
        other => other,
    }
}
