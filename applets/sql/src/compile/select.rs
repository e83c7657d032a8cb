//! Binding of select statements: arms, compounds, groups, order, limits.

use super::columns::{ExpandedColumn, output};
use super::expr::{collation_of, same_expr};
use super::join::{JoinBuild, Term};
use super::walk::conjuncts;
use super::{Compiler, FrameBuild, MAX_FRAMES};
use crate::ast::{self, CompoundOp, ResultColumn, SelectCore};
use crate::collate::Collation;
use crate::error::{Error, Result};
use crate::func;
use crate::plan::{Aggregation, Body, Expr, Output, Query, Select, SortBy, SortKey};
use crate::value::Affinity;

impl Compiler<'_> {
    /// Compiles a select statement below the frames and scopes that stand.
    ///
    /// # Errors
    /// Names that mean nothing, misuse of aggregates, columns that do not fit.
    pub fn select(&mut self, select: &ast::Select) -> Result<Select> {
        if self.frames.len() > MAX_FRAMES {
            return Err(Error::new("Expression tree is too large (maximum depth 1000)"));
        }
        let mark = self.ctes.len();
        let result = self.push_ctes(select.with.as_ref()).and_then(|()| self.select_body(select));
        self.ctes.truncate(mark);
        result
    }

    fn select_body(&mut self, select: &ast::Select) -> Result<Select> {
        let mut plan = if select.rest.is_empty() {
            self.core(&select.first, &select.order_by, select.limit.is_some())?
        } else {
            self.compound(select)?
        };
        if select.limit.is_some() || select.offset.is_some() {
            self.frames.push(FrameBuild::default());
            let limit = self.limit_term(select.limit.as_deref());
            let offset = self.limit_term(select.offset.as_deref());
            let frame = self.take_frame();
            (plan.limit, plan.offset) = (limit?, offset?);
            merge_outer(&mut plan, frame.outer, frame.reach);
        }
        Ok(plan)
    }

    pub(super) fn limit_term(&mut self, expr: Option<&ast::Expr>) -> Result<Option<Expr>> {
        match expr {
            Some(expr) => self.bind_value(expr).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn core(
        &mut self,
        core: &SelectCore,
        order_by: &[ast::OrderTerm],
        limited: bool,
    ) -> Result<Select> {
        match core {
            SelectCore::Values(rows) => self.values(rows),
            SelectCore::Query(query) => {
                self.frames.push(FrameBuild::default());
                let scope = self.scopes.len();
                let result = self.query(query, order_by, limited);
                self.scopes.truncate(scope);
                let frame = self.take_frame();
                let mut plan = result?;
                merge_outer(&mut plan, frame.outer, frame.reach);
                Ok(plan)
            }
        }
    }

    fn values(&mut self, rows: &[Vec<ast::Expr>]) -> Result<Select> {
        self.frames.push(FrameBuild::default());
        let bound: Result<Vec<Vec<Expr>>> =
            rows.iter().map(|row| row.iter().map(|expr| self.bind_value(expr)).collect()).collect();
        let frame = self.take_frame();
        let bound = bound?;
        let columns = bound[0]
            .iter()
            .enumerate()
            .map(|(n, expr)| output(format!("column{}", n + 1).into(), expr))
            .collect();
        Ok(Select {
            columns,
            body: Body::Values(bound),
            limit: None,
            offset: None,
            outer: frame.outer,
            reach: frame.reach,
        })
    }

    fn compound(&mut self, select: &ast::Select) -> Result<Select> {
        let mut first = self.core(&select.first, &[], false)?;
        let mut rest = Vec::with_capacity(select.rest.len());
        let (mut outer, mut reach) = (first.outer.clone(), first.reach);
        for (op, core) in &select.rest {
            let arm = self.core(core, &[], false)?;
            if arm.columns.len() != first.columns.len() {
                return Err(unequal_arms(*op));
            }
            for (mine, other) in first.columns.iter_mut().zip(&arm.columns) {
                if !mine.collated && other.collated {
                    (mine.collation, mine.collated) = (other.collation, true);
                }
                if mine.affinity != other.affinity {
                    mine.affinity = Affinity::None;
                }
            }
            outer.extend(arm.outer.iter().copied());
            reach = reach.max(arm.reach);
            rest.push((*op, arm));
        }
        let columns = first.columns.clone();
        let order = self.compound_order(select, &columns)?;
        Ok(Select {
            columns,
            body: Body::Compound { first: Box::new(first), rest, order },
            limit: None,
            offset: None,
            outer,
            reach,
        })
    }

    pub(super) fn compound_order(
        &self,
        select: &ast::Select,
        columns: &[Output],
    ) -> Result<Vec<SortKey>> {
        let arms: Vec<&SelectCore> =
            std::iter::once(&select.first).chain(select.rest.iter().map(|(_, c)| c)).collect();
        let mut keys = Vec::new();
        for (n, term) in select.order_by.iter().enumerate() {
            let (expr, said) = strip_collate(&term.expr)?;
            let at = match integer(expr) {
                Some(at) => {
                    check_place("ORDER BY", n, at, columns.len())?;
                    Some(at as usize - 1)
                }
                None => arms.iter().find_map(|arm| place_in_arm(arm, expr, columns)),
            };
            let Some(at) = at else {
                return Err(Error::new(format!(
                    "{} ORDER BY term does not match any column in the result set",
                    ordinal(n + 1)
                )));
            };
            keys.push(SortKey {
                by: SortBy::Output(at),
                desc: term.desc,
                nulls_first: term.nulls_first.unwrap_or(!term.desc),
                collation: said.unwrap_or(columns[at].collation),
            });
        }
        Ok(keys)
    }

    // ---- one arm ------------------------------------------------------------------------------

    fn query(
        &mut self,
        query: &ast::Query,
        order_by: &[ast::OrderTerm],
        limited: bool,
    ) -> Result<Select> {
        let mut joins = JoinBuild {
            finds_targets: std::mem::take(&mut self.finds_targets),
            ..JoinBuild::default()
        };
        self.push_from(&query.from, &mut joins)?;
        let scope = self.scopes.len() - 1;
        self.scopes[scope].aliases = query
            .columns
            .iter()
            .filter_map(|column| match column {
                ResultColumn::Expr { expr, alias: Some(alias), .. } => {
                    Some((alias.clone(), expr.clone()))
                }
                _ => None,
            })
            .collect();
        self.frame().named_windows = query.windows.clone();
        self.frame().before_groups = true;
        let filter = query.filter.as_ref().map(|filter| self.bind_value(filter)).transpose();
        self.frame().before_groups = false;
        if let Some(filter) = filter? {
            let mut terms = Vec::new();
            conjuncts(filter, &mut terms);
            joins.terms.extend(terms.into_iter().map(Term::of_where));
        }
        let frame = self.frame();
        (frame.aggregates_allowed, frame.windows_allowed) = (true, true);
        let expanded = self.expand_columns(&query.columns)?;
        let mut columns = Vec::with_capacity(expanded.len());
        let mut outputs = Vec::with_capacity(expanded.len());
        for item in &expanded {
            let (column, expr) = self.result_column(item)?;
            columns.push(column);
            outputs.push(expr);
        }
        if columns.len() > 2000 {
            return Err(Error::new("too many columns in result set"));
        }
        let groups = self.groups(&query.group_by, &expanded)?;
        let having = query.having.as_ref().map(|h| self.bind_value(h)).transpose()?;
        let order = self.order_keys(order_by, &expanded, &columns)?;
        let frame = self.frame();
        (frame.aggregates_allowed, frame.windows_allowed) = (false, false);
        let calls: Vec<_> =
            std::mem::take(&mut frame.calls).into_iter().map(|(_, call)| call).collect();
        let windows: Vec<_> =
            std::mem::take(&mut frame.windows).into_iter().map(|(_, window)| window).collect();
        let aggregate = if calls.is_empty() && groups.is_empty() {
            if query.having.is_some() {
                return Err(Error::new("HAVING clause on a non-aggregate query"));
            }
            None
        } else {
            Some(aggregation(groups, calls, having))
        };
        let distinct =
            query.distinct.then(|| columns.iter().map(|c: &Output| c.collation).collect());
        let mut plan = Query {
            sources: vec![],
            levels: vec![],
            constant_terms: vec![],
            outputs,
            distinct,
            aggregate,
            windows,
            order,
            ordered: false,
            registers: 0,
            captures: vec![],
        };
        self.plan_loops(&mut plan, joins, limited)?;
        let frame = self.frame();
        plan.sources = std::mem::take(&mut frame.sources);
        plan.registers = frame.registers;
        plan.captures = std::mem::take(&mut frame.captures);
        Ok(Select {
            columns,
            body: Body::Query(Box::new(plan)),
            limit: None,
            offset: None,
            outer: vec![],
            reach: 0,
        })
    }

    fn groups(&mut self, group_by: &[ast::Expr], columns: &[ExpandedColumn]) -> Result<Vec<Expr>> {
        let frame = self.frame();
        let saved = (frame.aggregates_allowed, frame.windows_allowed);
        (frame.aggregates_allowed, frame.windows_allowed) = (false, false);
        frame.before_groups = true;
        let mut groups = Vec::with_capacity(group_by.len());
        let mut failed = None;
        for (n, expr) in group_by.iter().enumerate() {
            let bound = match integer(expr) {
                Some(at) => check_place("GROUP BY", n, at, columns.len())
                    .and_then(|()| self.expanded(&columns[at as usize - 1])),
                None => self.bind_value(expr),
            };
            match bound {
                Ok(bound) => groups.push(bound),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let frame = self.frame();
        frame.before_groups = false;
        (frame.aggregates_allowed, frame.windows_allowed) = saved;
        failed.map_or(Ok(groups), Err)
    }

    /// The sort keys of an ORDER BY that may name result columns.
    fn order_keys(
        &mut self,
        order_by: &[ast::OrderTerm],
        expanded: &[ExpandedColumn],
        columns: &[Output],
    ) -> Result<Vec<SortKey>> {
        let mut keys = Vec::with_capacity(order_by.len());
        for (n, term) in order_by.iter().enumerate() {
            let (expr, said) = strip_collate(&term.expr)?;
            let at = if let Some(at) = integer(expr) {
                check_place("ORDER BY", n, at, columns.len())?;
                Some(at as usize - 1)
            } else {
                expanded.iter().position(|column| column.is_called(expr)).or_else(|| {
                    expanded.iter().position(|column| match column {
                        ExpandedColumn::Expr { expr: own, .. } => same_expr(own, expr),
                        ExpandedColumn::Bound { .. } => false,
                    })
                })
            };
            let (by, collation) = match at {
                Some(at) => (SortBy::Output(at), columns[at].collation),
                None => {
                    let bound = self.bind_value(expr)?;
                    let collation = collation_of(&bound).0;
                    (SortBy::Expr(bound), collation)
                }
            };
            keys.push(SortKey {
                by,
                desc: term.desc,
                nulls_first: term.nulls_first.unwrap_or(!term.desc),
                collation: said.unwrap_or(collation),
            });
        }
        Ok(keys)
    }

    /// A sort key over an expression alone: within aggregates and windows.
    pub(super) fn sort_key_of(&mut self, term: &ast::OrderTerm) -> Result<SortKey> {
        let bound = self.bind_value(&term.expr)?;
        Ok(SortKey {
            collation: collation_of(&bound).0,
            by: SortBy::Expr(bound),
            desc: term.desc,
            nulls_first: term.nulls_first.unwrap_or(!term.desc),
        })
    }
}

fn aggregation(
    groups: Vec<Expr>,
    calls: Vec<crate::plan::AggregateCall>,
    having: Option<Expr>,
) -> Aggregation {
    let extremes: Vec<usize> = (0..calls.len())
        .filter(|n| {
            matches!(calls[*n].function.kind, func::AggregateKind::Min | func::AggregateKind::Max)
        })
        .collect();
    let extreme = if extremes.len() == 1 { Some(extremes[0]) } else { None };
    let collations: Vec<Collation> = groups.iter().map(|g| collation_of(g).0).collect();
    let descending = vec![false; groups.len()];
    Aggregation {
        groups,
        collations,
        descending,
        calls,
        having,
        extreme,
        first_only: false,
        count_rows: false,
    }
}

pub(super) fn merge_outer(plan: &mut Select, outer: Vec<(u16, u16, u16)>, reach: u16) {
    for entry in outer {
        if !plan.outer.contains(&entry) {
            plan.outer.push(entry);
        }
    }
    plan.reach = plan.reach.max(reach);
}

pub(super) fn unequal_arms(op: CompoundOp) -> Error {
    let name = match op {
        CompoundOp::Union => "UNION",
        CompoundOp::UnionAll => "UNION ALL",
        CompoundOp::Except => "EXCEPT",
        CompoundOp::Intersect => "INTERSECT",
    };
    Error::new(format!(
        "SELECTs to the left and right of {name} do not have the same number of result columns"
    ))
}

pub(super) fn integer(expr: &ast::Expr) -> Option<i64> {
    match expr {
        ast::Expr::Literal(ast::Literal::Int(v)) => Some(*v),
        ast::Expr::Unary(ast::Unary::Minus, inner) => integer(inner).map(|v| -v),
        _ => None,
    }
}

pub(super) fn check_place(clause: &str, n: usize, at: i64, columns: usize) -> Result<()> {
    if (1..=columns as i64).contains(&at) {
        return Ok(());
    }
    Err(Error::new(format!(
        "{} {clause} term out of range - should be between 1 and {columns}",
        ordinal(n + 1)
    )))
}

pub(super) fn ordinal(n: usize) -> String {
    let suffix = match (n % 10, n % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

pub(super) fn strip_collate(expr: &ast::Expr) -> Result<(&ast::Expr, Option<Collation>)> {
    match expr {
        ast::Expr::Collate(inner, name) => {
            let (inner, _) = strip_collate(inner)?;
            Ok((inner, Some(crate::schema::named(name)?)))
        }
        other => Ok((other, None)),
    }
}

/// The result column that an ORDER BY term of a compound means in one of its arms.
fn place_in_arm(arm: &SelectCore, expr: &ast::Expr, columns: &[Output]) -> Option<usize> {
    let SelectCore::Query(query) = arm else { return None };
    let bare = match expr {
        ast::Expr::Column { table: None, name, .. } => Some(name),
        _ => None,
    };
    if query.columns.iter().any(|c| !matches!(c, ResultColumn::Expr { .. })) {
        let name = bare?;
        return columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
    }
    let called = query.columns.iter().position(|column| match (column, bare) {
        (ResultColumn::Expr { alias: Some(alias), .. }, Some(name)) => {
            alias.eq_ignore_ascii_case(name)
        }
        _ => false,
    });
    called.or_else(|| {
        query.columns.iter().position(|column| match (column, bare) {
            (ResultColumn::Expr { expr: own, .. }, _) if same_expr(own, expr) => true,
            (ResultColumn::Expr { expr: ast::Expr::Column { name: own, .. }, .. }, Some(name)) => {
                own.eq_ignore_ascii_case(name)
            }
            _ => false,
        })
    })
}
