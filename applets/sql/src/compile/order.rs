//! Whether a walk over a table or index gives the order that a query asks for.

use std::rc::Rc;

use crate::collate::Collation;
use crate::func::AggregateKind;
use crate::plan::{Expr, Query, ROWID, SortBy, Source, SourceKind};
use crate::schema::{Index, IndexPart};

/// A sort key that is a column.
pub(super) struct Wanted {
    slot: usize,
    col: u16,
    desc: bool,
    collation: Collation,
}

/// The order in which an access path gives its rows.
pub(super) enum Walk {
    Rowid,
    One,
    Index { index: Rc<Index>, equal: usize, one: bool },
    Unordered,
}

/// The keys a query sorts by, where a walk could give them; empty where none can.
pub(super) fn wanted(plan: &Query) -> Vec<Wanted> {
    if let Some(aggregate) = &plan.aggregate {
        let [call] = aggregate.calls.as_slice() else { return vec![] };
        let desc = match call.function.kind {
            AggregateKind::Min => false,
            AggregateKind::Max => true,
            _ => return vec![],
        };
        if !aggregate.groups.is_empty() || call.filter.is_some() || !plan.windows.is_empty() {
            return vec![];
        }
        return match call.args.as_slice() {
            [Expr::Column(c)] if c.up == 0 => vec![Wanted {
                slot: c.slot as usize,
                col: c.col,
                desc,
                collation: call.collation,
            }],
            _ => vec![],
        };
    }
    if !plan.windows.is_empty() {
        return vec![];
    }
    let mut keys = Vec::with_capacity(plan.order.len());
    for key in &plan.order {
        let expr = match &key.by {
            SortBy::Output(at) => &plan.outputs[*at],
            SortBy::Expr(expr) => expr,
        };
        match expr {
            Expr::Column(c) if c.up == 0 && key.nulls_first != key.desc => keys.push(Wanted {
                slot: c.slot as usize,
                col: c.col,
                desc: key.desc,
                collation: key.collation,
            }),
            _ => return vec![],
        }
    }
    keys
}

/// Whether the walk gives the order; `Some(true)`: walked backwards.
pub(super) fn satisfied(
    wanted: &[Wanted],
    slot: usize,
    source: &Source,
    walk: &Walk,
    alone: bool,
) -> Option<bool> {
    let SourceKind::Table(table) = &source.kind else { return None };
    if wanted.is_empty() {
        return None;
    }
    match walk {
        Walk::One if alone => Some(false),
        Walk::Rowid if !table.without_rowid => {
            let first = &wanted[0];
            let fits = first.slot == slot && first.col == ROWID && (alone || wanted.len() == 1);
            fits.then_some(first.desc)
        }
        Walk::Rowid => {
            let index = table.primary.clone()?;
            along(wanted, slot, table.rowid_alias, &index, 0, alone)
        }
        Walk::Index { one: true, .. } if alone => Some(false),
        Walk::Index { index, equal, .. } => {
            along(wanted, slot, table.rowid_alias, index, *equal, alone)
        }
        _ => None,
    }
}

fn along(
    wanted: &[Wanted],
    slot: usize,
    rowid_alias: Option<usize>,
    index: &Index,
    equal: usize,
    alone: bool,
) -> Option<bool> {
    let is = |part: &IndexPart, col: u16| match part {
        IndexPart::Column(at) => *at == col as usize || col == ROWID && rowid_alias == Some(*at),
        IndexPart::Rowid => col == ROWID,
        IndexPart::Expr(_) => false,
    };
    let mut at = equal;
    let mut backwards = None;
    for want in wanted {
        if want.slot != slot {
            return None;
        }
        // A column that is equal to one value orders nothing.
        if index.columns[..equal].iter().any(|c| is(&c.part, want.col)) {
            continue;
        }
        let Some(column) = index.columns.get(at) else {
            // All of the index is used up: each row is told apart.
            return if alone { Some(backwards.unwrap_or(false)) } else { None };
        };
        if !is(&column.part, want.col) || column.collation != want.collation {
            return None;
        }
        let reversed = column.desc != want.desc;
        if *backwards.get_or_insert(reversed) != reversed {
            return None;
        }
        at += 1;
    }
    Some(backwards.unwrap_or(false))
}
