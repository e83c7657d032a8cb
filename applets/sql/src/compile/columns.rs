//! Result columns: `*` written out, names and declared types.

use super::expr::{affinity_of, collation_of};
use super::{Compiler, ScopeColumns};
use crate::ast::{self, Name, ResultColumn};
use crate::collate::Collation;
use crate::error::{Error, Result};
use crate::plan::{Expr, Output};
use crate::value::Affinity;

impl Compiler<'_> {
    pub(super) fn expand_columns(
        &mut self,
        columns: &[ResultColumn],
    ) -> Result<Vec<ExpandedColumn>> {
        let mut out = Vec::with_capacity(columns.len());
        for column in columns {
            match column {
                ResultColumn::Expr { expr, alias, text } => out.push(ExpandedColumn::Expr {
                    expr: expr.clone(),
                    alias: alias.clone(),
                    text: text.clone(),
                }),
                ResultColumn::Star => self.expand_star(None, &mut out)?,
                ResultColumn::TableStar(name) => self.expand_star(Some(name), &mut out)?,
            }
        }
        Ok(out)
    }

    fn expand_star(&mut self, only: Option<&Name>, out: &mut Vec<ExpandedColumn>) -> Result<()> {
        let scope = self.scopes.len().saturating_sub(1);
        let mut found = Vec::new();
        let mut any = false;
        if let Some(scope) = self.scopes.get(scope) {
            for source in &scope.sources {
                if only.is_some_and(|name| !source.name.eq_ignore_ascii_case(name)) {
                    continue;
                }
                any = true;
                let merged = |name: &Name| {
                    only.is_none()
                        && source.merged.iter().any(|merged| merged.eq_ignore_ascii_case(name))
                };
                match &source.columns {
                    ScopeColumns::Table { slot, table } => {
                        for (at, column) in table.columns.iter().enumerate() {
                            if merged(&column.name) {
                                continue;
                            }
                            let col = if table.rowid_alias == Some(at) {
                                crate::plan::ROWID
                            } else {
                                at as u16
                            };
                            found.push((
                                column.name.clone(),
                                column.type_name.clone(),
                                Found::Slot(*slot, col, column.affinity, column.collation),
                            ));
                        }
                    }
                    ScopeColumns::Derived(columns) => {
                        for column in columns.iter().filter(|c| !c.hidden && !merged(&c.name)) {
                            found.push((
                                column.name.clone(),
                                column.type_name.clone(),
                                Found::Expr(column.expr.clone()),
                            ));
                        }
                    }
                }
            }
        }
        if !any {
            return Err(match only {
                Some(name) => Error::new(format!("no such table: {name}")),
                None => Error::new("no tables specified"),
            });
        }
        let frame = self.scopes[scope].frame;
        for (name, type_name, target) in found {
            let expr = match target {
                Found::Slot(slot, col, affinity, collation) => {
                    self.reference(frame, slot, col, affinity, collation)
                }
                Found::Expr(expr) => self.lift_expr(&expr, frame),
            };
            out.push(ExpandedColumn::Bound { expr, name, type_name });
        }
        Ok(())
    }

    pub(super) fn expanded(&mut self, column: &ExpandedColumn) -> Result<Expr> {
        match column {
            ExpandedColumn::Expr { expr, .. } => self.bind_value(expr),
            ExpandedColumn::Bound { expr, .. } => Ok(expr.clone()),
        }
    }

    pub(super) fn result_column(&mut self, column: &ExpandedColumn) -> Result<(Output, Expr)> {
        match column {
            ExpandedColumn::Bound { expr, name, type_name } => {
                let mut output = output(name.clone(), expr);
                output.type_name = type_name.clone();
                Ok((output, expr.clone()))
            }
            ExpandedColumn::Expr { expr, alias, text } => {
                let bound = self.bind_value(expr)?;
                let own = match expr {
                    ast::Expr::Column { table, name, .. } => self.declared(table.as_ref(), name),
                    _ => None,
                };
                let name = match (alias, &own) {
                    (Some(alias), _) => alias.clone(),
                    (None, Some((name, _))) if matches!(bound, Expr::Column(_)) => name.clone(),
                    _ => text.clone(),
                };
                let mut output = output(name, &bound);
                output.type_name = own.and_then(|(_, type_name)| type_name);
                Ok((output, bound))
            }
        }
    }

    /// A column as its table spells it, and its declared type.
    fn declared(&self, table: Option<&Name>, name: &str) -> Option<(Name, Option<Name>)> {
        for scope in self.scopes.iter().rev().filter(|scope| !scope.hide) {
            for source in &scope.sources {
                if table.is_some_and(|table| !source.name.eq_ignore_ascii_case(table)) {
                    continue;
                }
                match &source.columns {
                    ScopeColumns::Table { table, .. } => {
                        if let Some(at) = table.column(name) {
                            let column = &table.columns[at];
                            return Some((column.name.clone(), column.type_name.clone()));
                        }
                        if table.is_rowid_name(name) {
                            let alias = table.rowid_alias.map(|at| &table.columns[at]);
                            return Some((
                                alias.map_or_else(|| name.into(), |c| c.name.clone()),
                                Some("INTEGER".into()),
                            ));
                        }
                    }
                    ScopeColumns::Derived(columns) => {
                        let found = columns.iter().find(|c| c.name.eq_ignore_ascii_case(name));
                        if let Some(column) = found {
                            return Some((column.name.clone(), column.type_name.clone()));
                        }
                    }
                }
            }
        }
        None
    }
}

/// A result column with `*` written out.
pub(super) enum ExpandedColumn {
    Expr { expr: ast::Expr, alias: Option<Name>, text: Name },
    Bound { expr: Expr, name: Name, type_name: Option<Name> },
}

impl ExpandedColumn {
    /// Whether a bare name in ORDER BY means this column.
    pub(super) fn is_called(&self, expr: &ast::Expr) -> bool {
        let ast::Expr::Column { table: None, name, .. } = expr else { return false };
        match self {
            ExpandedColumn::Expr { alias: Some(alias), .. } => alias.eq_ignore_ascii_case(name),
            ExpandedColumn::Expr { .. } => false,
            ExpandedColumn::Bound { name: own, .. } => own.eq_ignore_ascii_case(name),
        }
    }
}

/// Where a name of a source leads.
pub(super) enum Found {
    Slot(usize, u16, Affinity, Collation),
    Expr(Expr),
}

pub(super) fn output(name: Name, expr: &Expr) -> Output {
    let (collation, collated) = collation_of(expr);
    Output { name, affinity: affinity_of(expr), collation, collated, type_name: None }
}
