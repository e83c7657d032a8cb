//! Binding of select statements: CTEs, the FROM clause, flattening, compounds.

use std::rc::Rc;

use super::expr::{affinity_of, collation_of, same_expr};
use super::join::{JoinBuild, Term};
use super::walk::conjuncts;
use super::{
    CteEntry, CteKind, Compiler, DerivedColumn, FrameBuild, MAX_FRAMES, Scope, ScopeColumns,
    ScopeSource, shown,
};
use crate::ast::{self, Binary, CompoundOp, FromItem, FromSource, Name, ResultColumn, SelectCore};
use crate::collate::Collation;
use crate::error::{Error, Result};
use crate::func;
use crate::plan::{
    Aggregation, Body, Expr, Output, Query, Recursive, Select, SortBy, SortKey, Source, SourceKind,
};
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

    /// Puts the tables of a WITH clause in sight.
    pub(super) fn push_ctes(&mut self, with: Option<&ast::With>) -> Result<()> {
        let Some(with) = with else { return Ok(()) };
        let first = self.ctes.len();
        for (n, cte) in with.tables.iter().enumerate() {
            if with.tables[..n].iter().any(|t| t.name.eq_ignore_ascii_case(&cte.name)) {
                return Err(Error::new(format!("duplicate WITH table name: {}", cte.name)));
            }
            // All tables of the clause see each other; a body is compiled where it is named.
            self.ctes.push(CteEntry {
                cte: cte.clone(),
                kind: CteKind::Plain,
                visible: first + with.tables.len(),
            });
        }
        Ok(())
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

    fn limit_term(&mut self, expr: Option<&ast::Expr>) -> Result<Option<Expr>> {
        match expr {
            Some(expr) => self.bind_value(expr).map(Some),
            None => Ok(None),
        }
    }

    fn core(
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
        let bound: Result<Vec<Vec<Expr>>> = rows
            .iter()
            .map(|row| row.iter().map(|expr| self.bind_value(expr)).collect())
            .collect();
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

    fn compound_order(&self, select: &ast::Select, columns: &[Output]) -> Result<Vec<SortKey>> {
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
        let mut joins = JoinBuild::default();
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
        self.frame().in_aggregate = true; // WHERE is read before any grouping: nothing to capture
        let filter = query.filter.as_ref().map(|filter| self.bind_value(filter)).transpose();
        self.frame().in_aggregate = false;
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

    fn groups(
        &mut self,
        group_by: &[ast::Expr],
        columns: &[ExpandedColumn],
    ) -> Result<Vec<Expr>> {
        let frame = self.frame();
        let saved = (frame.aggregates_allowed, frame.windows_allowed);
        (frame.aggregates_allowed, frame.windows_allowed) = (false, false);
        frame.in_aggregate = true;
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
        frame.in_aggregate = false;
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

    // ---- result columns -----------------------------------------------------------------------

    pub(super) fn expand_columns(&mut self, columns: &[ResultColumn]) -> Result<Vec<ExpandedColumn>> {
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

    fn expanded(&mut self, column: &ExpandedColumn) -> Result<Expr> {
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
                    ast::Expr::Column { table, name, .. } => {
                        self.declared(table.as_ref(), name)
                    }
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

    // ---- FROM ---------------------------------------------------------------------------------

    /// Opens a scope over the tables of a FROM clause in the innermost frame.
    pub(super) fn push_from(&mut self, items: &[FromItem], joins: &mut JoinBuild) -> Result<()> {
        let frame = self.frames.len() - 1;
        self.scopes.push(Scope { frame, hide: true, ..Scope::default() });
        let scope = self.scopes.len() - 1;
        let outer_joins = items.iter().any(|item| item.join.right);
        for (n, item) in items.iter().enumerate() {
            let alone = !item.join.left && !outer_joins;
            self.from_item(item, n, alone, scope, joins)?;
        }
        self.scopes[scope].hide = false;
        Ok(())
    }

    fn from_item(
        &mut self,
        item: &FromItem,
        n: usize,
        may_flatten: bool,
        scope: usize,
        joins: &mut JoinBuild,
    ) -> Result<()> {
        let first_slot = self.frame().sources.len();
        let first_source = self.scopes[scope].sources.len();
        self.add_source(item, may_flatten, scope, joins)?;
        let slots = first_slot..self.frame().sources.len();
        joins.cover(slots.end);
        if item.join.left || item.join.right || item.join.cross {
            for slot in slots.clone() {
                joins.after_all_before(slot, first_slot);
            }
        }
        if (item.join.left || item.join.right)
            && let Some(slot) = slots.clone().next()
        {
            joins.slots[slot].left = item.join.left;
            joins.slots[slot].right = item.join.right;
            if item.join.right {
                joins.fixed = true;
            }
        }
        let on_slot = (item.join.left || item.join.right).then_some(first_slot);
        let using = self.using_columns(item, n, scope, first_source)?;
        self.scopes[scope].hide = false;
        self.frame().in_aggregate = true;
        let result = self.join_terms(item, &using, scope, first_source, on_slot, joins);
        self.frame().in_aggregate = false;
        self.scopes[scope].hide = true;
        result
    }

    fn using_columns(
        &self,
        item: &FromItem,
        n: usize,
        scope: usize,
        first_source: usize,
    ) -> Result<Vec<Name>> {
        if n == 0 {
            if !item.using.is_empty() {
                return Err(Error::new("a JOIN clause is required before USING"));
            }
            return Ok(vec![]);
        }
        if !item.join.natural {
            return Ok(item.using.clone());
        }
        if item.on.is_some() || !item.using.is_empty() {
            return Err(Error::new("a NATURAL join may not have an ON or USING clause"));
        }
        let sources = &self.scopes[scope].sources;
        let mut names = Vec::new();
        for source in &sources[first_source..] {
            source.columns.each_name(&mut |name| {
                let left = sources[..first_source].iter().any(|s| s.columns.has(name));
                if left {
                    names.push(name.clone());
                }
            });
        }
        Ok(names)
    }

    fn join_terms(
        &mut self,
        item: &FromItem,
        using: &[Name],
        scope: usize,
        first_source: usize,
        on_slot: Option<usize>,
        joins: &mut JoinBuild,
    ) -> Result<()> {
        for name in using {
            let sources = self.scopes[scope].sources.len();
            let left = (0..first_source).find(|at| {
                let source = &self.scopes[scope].sources[*at];
                source.columns.has(name) && !source.merged.iter().any(|m| m == name)
            });
            let right =
                (first_source..sources).find(|at| self.scopes[scope].sources[*at].columns.has(name));
            let (Some(left), Some(right)) = (left, right) else {
                return Err(Error::new(format!(
                    "cannot join using column {name} - column not present in both tables"
                )));
            };
            let left = self.source_column(scope, left, name)?;
            let right_expr = self.source_column(scope, right, name)?;
            let term = self.compare(Binary::Eq, left, right_expr)?;
            joins.terms.push(Term::of_on(term, on_slot));
            self.scopes[scope].sources[right].merged.push(name.clone());
        }
        if let Some(on) = &item.on {
            let bound = self.bind_value(on)?;
            let mut terms = Vec::new();
            conjuncts(bound, &mut terms);
            joins.terms.extend(terms.into_iter().map(|term| Term::of_on(term, on_slot)));
        }
        Ok(())
    }

    fn source_column(&mut self, scope: usize, source: usize, name: &str) -> Result<Expr> {
        let frame = self.scopes[scope].frame;
        let found = super::expr_target(&self.scopes[scope].sources[source].columns, name);
        match found {
            Some(Found::Slot(slot, col, affinity, collation)) => {
                Ok(self.reference(frame, slot, col, affinity, collation))
            }
            Some(Found::Expr(expr)) => Ok(self.lift_expr(&expr, frame)),
            None => Err(Error::new(format!("no such column: {name}"))),
        }
    }

    fn add_source(
        &mut self,
        item: &FromItem,
        may_flatten: bool,
        scope: usize,
        joins: &mut JoinBuild,
    ) -> Result<()> {
        match &item.source {
            FromSource::Table(name) => {
                if name.schema.is_none() && self.cte_source(name, item, may_flatten, scope, joins)?
                {
                    return Ok(());
                }
                self.table_source(name, item, may_flatten, scope, joins)
            }
            FromSource::Function(name, args) => {
                let Some(function) = func::table(&name.name) else {
                    let text = if self.find_table(name).is_ok() {
                        format!("'{}' is not a function", name.name)
                    } else {
                        format!("no such table-valued function: {}", shown(name))
                    };
                    return Err(Error::new(text));
                };
                if args.len() > function.hidden.len() {
                    return Err(Error::new(format!(
                        "too many arguments on {}() - max {}",
                        name.name,
                        function.hidden.len()
                    )));
                }
                self.scopes[scope].hide = false;
                let args: Result<Vec<Expr>> = args.iter().map(|a| self.bind_value(a)).collect();
                self.scopes[scope].hide = true;
                let alias = item.alias.clone().unwrap_or_else(|| name.name.clone());
                self.function_source(function, args?, alias, scope, joins);
                Ok(())
            }
            FromSource::Select(select) => {
                let alias = item.alias.clone().unwrap_or_else(|| "".into());
                self.subquery_source(select, alias, &[], may_flatten, scope, joins)
            }
            FromSource::Join(items) if items.len() == 1 && item.alias.is_none() => {
                self.add_source(&items[0], may_flatten, scope, joins)
            }
            FromSource::Join(items) => self.join_source(items, item, scope, joins),
        }
    }

    fn function_source(
        &mut self,
        function: &'static func::TableFn,
        args: Vec<Expr>,
        alias: Name,
        scope: usize,
        joins: &mut JoinBuild,
    ) {
        let slot = self.frame().sources.len();
        let columns = function
            .columns
            .iter()
            .map(|name| (*name, false))
            .chain(function.hidden.iter().map(|name| (*name, true)))
            .enumerate()
            .map(|(n, (name, hidden))| DerivedColumn {
                name: name.into(),
                expr: slot_column(slot, n, Affinity::None, Collation::Binary),
                type_name: None,
                hidden,
            })
            .collect();
        joins.cover(slot + 1);
        joins.slots[slot].needs |= args.iter().fold(0, |all, arg| all | super::slots_of(arg));
        self.push_source(SourceKind::Function { function, args }, alias, None, columns, scope);
    }

    fn push_source(
        &mut self,
        kind: SourceKind,
        name: Name,
        schema: Option<Name>,
        columns: Vec<DerivedColumn>,
        scope: usize,
    ) {
        let used = vec![false; columns.len()];
        self.frame().sources.push(Source { kind, name: name.clone(), used });
        self.scopes[scope].sources.push(ScopeSource {
            name,
            schema,
            columns: ScopeColumns::Derived(columns),
            merged: vec![],
            qualified_only: false,
        });
    }

    fn table_source(
        &mut self,
        name: &ast::QualifiedName,
        item: &FromItem,
        may_flatten: bool,
        scope: usize,
        joins: &mut JoinBuild,
    ) -> Result<()> {
        let alias = item.alias.clone().unwrap_or_else(|| name.name.clone());
        if let Some(view) = self.catalog.view(name.schema.as_deref(), &name.name) {
            let definition = &view.definition;
            return self
                .subquery_source(
                    &definition.select,
                    alias,
                    &definition.columns,
                    may_flatten,
                    scope,
                    joins,
                )
                .map_err(Error::nowhere);
        }
        let table = match self.find_table(name) {
            Ok(table) => table,
            Err(error) => {
                let Some(function) = func::table(&name.name) else { return Err(error) };
                self.function_source(function, vec![], alias, scope, joins);
                return Ok(());
            }
        };
        if let Some(Some(index)) = &item.indexed
            && !table.indexes.iter().any(|i| i.name.eq_ignore_ascii_case(index))
        {
            return Err(Error::new(format!("no such index: {index}")));
        }
        let slot = self.frame().sources.len();
        joins.cover(slot + 1);
        joins.slots[slot].indexed = item.indexed.clone();
        let used = vec![false; table.columns.len()];
        let kind = SourceKind::Table(table.clone());
        self.frame().sources.push(Source { kind, name: alias.clone(), used });
        let schema = Some(self.catalog.name(table.db));
        self.scopes[scope].sources.push(ScopeSource {
            name: alias,
            schema,
            columns: ScopeColumns::Table { slot, table },
            merged: vec![],
            qualified_only: false,
        });
        Ok(())
    }

    /// A parenthesised join: its tables stay visible by their names.
    fn join_source(
        &mut self,
        items: &[FromItem],
        item: &FromItem,
        scope: usize,
        joins: &mut JoinBuild,
    ) -> Result<()> {
        let query = ast::Query {
            columns: vec![ResultColumn::Star],
            from: items.to_vec(),
            ..ast::Query::default()
        };
        // The names of the inner sources, with their columns, in the order of `*`.
        self.frames.push(FrameBuild::default());
        let mark = self.scopes.len();
        let mut inner = JoinBuild::default();
        let listed = self.push_from(items, &mut inner).map(|()| {
            let sources = &self.scopes[mark].sources;
            sources
                .iter()
                .map(|s| (s.name.clone(), s.columns.visible_names(&s.merged)))
                .collect::<Vec<_>>()
        });
        self.scopes.truncate(mark);
        self.take_frame();
        let listed = listed?;
        let plan = self.core(&SelectCore::Query(Box::new(query)), &[], false)?;
        let slot = self.frame().sources.len();
        let cache = if plan.reach == 0 { Some(self.new_cache()) } else { None };
        let columns = derived(&plan.columns, &[], slot)?;
        let kind = SourceKind::Select { plan: Rc::new(plan), cache };
        let used = vec![false; columns.len()];
        joins.cover(slot + 1);
        let alias = item.alias.clone();
        self.frame().sources.push(Source { kind, name: alias.clone().unwrap_or_else(|| "".into()), used });
        let mut rest = columns.into_iter();
        for (name, names) in listed {
            let columns: Vec<DerivedColumn> = rest.by_ref().take(names.len()).collect();
            self.scopes[scope].sources.push(ScopeSource {
                name: alias.clone().unwrap_or(name),
                schema: None,
                columns: ScopeColumns::Derived(columns),
                merged: vec![],
                qualified_only: false,
            });
        }
        Ok(())
    }

    fn subquery_source(
        &mut self,
        select: &ast::Select,
        alias: Name,
        names: &[Name],
        may_flatten: bool,
        scope: usize,
        joins: &mut JoinBuild,
    ) -> Result<()> {
        if self.scopes.len() > MAX_FRAMES {
            return Err(Error::new(format!("view {alias} is circularly defined")));
        }
        if may_flatten && let Some(query) = flattens(select, joins) {
            return self.flatten(query, alias, names, scope, joins);
        }
        let plan = self.select(select)?;
        let slot = self.frame().sources.len();
        let cache = if plan.reach == 0 { Some(self.new_cache()) } else { None };
        let columns = derived(&plan.columns, names, slot)
            .map_err(|(values, columns)| wrong_width(&alias, values, columns))?;
        let kind = SourceKind::Select { plan: Rc::new(plan), cache };
        joins.cover(slot + 1);
        self.push_source(kind, alias, None, columns, scope);
        Ok(())
    }

    /// Puts the tables and terms of a simple subquery into the loops of the query around it.
    fn flatten(
        &mut self,
        query: &ast::Query,
        alias: Name,
        names: &[Name],
        scope: usize,
        joins: &mut JoinBuild,
    ) -> Result<()> {
        let result = self.push_from(&query.from, joins).and_then(|()| {
            self.frame().in_aggregate = true;
            let filter = query.filter.as_ref().map(|f| self.bind_value(f)).transpose();
            self.frame().in_aggregate = false;
            if let Some(filter) = filter? {
                let mut terms = Vec::new();
                conjuncts(filter, &mut terms);
                joins.terms.extend(terms.into_iter().map(Term::of_where));
            }
            // What the result columns read counts only where the outer query reads them.
            let used: Vec<_> = self.frame().sources.iter().map(|s| s.used.clone()).collect();
            let captures = self.frame().captures.clone();
            let expanded = self.expand_columns(&query.columns)?;
            let mut columns = Vec::with_capacity(expanded.len());
            for (n, item) in expanded.iter().enumerate() {
                let (output, expr) = self.result_column(item)?;
                columns.push(DerivedColumn {
                    name: names.get(n).cloned().unwrap_or(output.name),
                    expr,
                    type_name: output.type_name,
                    hidden: false,
                });
            }
            for (source, used) in self.frame().sources.iter_mut().zip(used) {
                source.used = used;
            }
            self.frame().captures = captures;
            if !names.is_empty() && names.len() != columns.len() {
                return Err(wrong_width(&alias, columns.len(), names.len()));
            }
            Ok(columns)
        });
        self.scopes.truncate(scope + 1);
        let columns = result?;
        self.scopes[scope].sources.push(ScopeSource {
            name: alias,
            schema: None,
            columns: ScopeColumns::Derived(columns),
            merged: vec![],
            qualified_only: false,
        });
        Ok(())
    }

    // ---- common table expressions -------------------------------------------------------------

    fn cte_source(
        &mut self,
        name: &ast::QualifiedName,
        item: &FromItem,
        may_flatten: bool,
        scope: usize,
        joins: &mut JoinBuild,
    ) -> Result<bool> {
        let Some(at) = self.ctes.iter().rposition(|e| e.cte.name.eq_ignore_ascii_case(&name.name))
        else {
            return Ok(false);
        };
        let alias = item.alias.clone().unwrap_or_else(|| name.name.clone());
        let entry = self.ctes[at].clone();
        let slot = self.frame().sources.len();
        match entry.kind {
            CteKind::Recursing { id, columns } => {
                let columns = columns
                    .into_iter()
                    .enumerate()
                    .map(|(n, (name, affinity))| DerivedColumn {
                        name,
                        expr: slot_column(slot, n, affinity, Collation::Binary),
                        type_name: None,
                        hidden: false,
                    })
                    .collect();
                joins.cover(slot + 1);
                self.push_source(SourceKind::Recursion { id }, alias, None, columns, scope);
                return Ok(true);
            }
            CteKind::Compiled { plan, cache } => {
                let columns = derived(&plan.columns, &entry.cte.columns, slot)
                    .map_err(|(v, c)| wrong_width(&entry.cte.name, v, c))?;
                joins.cover(slot + 1);
                let kind = SourceKind::Select { plan, cache: Some(cache) };
                self.push_source(kind, alias, None, columns, scope);
                return Ok(true);
            }
            CteKind::Plain => {}
        }
        let cte = entry.cte.clone();
        let later = self.ctes.split_off(entry.visible.min(self.ctes.len()));
        let result = self.plain_cte(at, &cte, alias, may_flatten, scope, joins);
        self.ctes.extend(later);
        result.map(|()| true)
    }

    fn plain_cte(
        &mut self,
        at: usize,
        cte: &Rc<ast::Cte>,
        alias: Name,
        may_flatten: bool,
        scope: usize,
        joins: &mut JoinBuild,
    ) -> Result<()> {
        if recurses(cte) {
            let plan = self.recursive(at, cte)?;
            let slot = self.frame().sources.len();
            let columns = derived(&plan.columns, &cte.columns, slot)
                .map_err(|(v, c)| wrong_width(&cte.name, v, c))?;
            let plan = Rc::new(plan);
            let cache = if plan.reach == 0 { Some(self.new_cache()) } else { None };
            if let Some(cache) = cache {
                self.ctes[at].kind = CteKind::Compiled { plan: plan.clone(), cache };
            }
            joins.cover(slot + 1);
            self.push_source(SourceKind::Select { plan, cache }, alias, None, columns, scope);
            return Ok(());
        }
        if may_flatten
            && cte.materialized != Some(true)
            && let Some(query) = flattens(&cte.select, joins)
        {
            // The body must not see itself.
            let visible = self.ctes.split_off(at);
            let result = self.flatten_cte(query, cte, alias, scope, joins, &visible);
            self.ctes.extend(visible);
            return result;
        }
        let hidden = self.hide_cte(at);
        let plan = self.select(&cte.select);
        self.ctes[at].cte = hidden;
        let plan = Rc::new(plan?);
        let slot = self.frame().sources.len();
        let columns = derived(&plan.columns, &cte.columns, slot)
            .map_err(|(v, c)| wrong_width(&cte.name, v, c))?;
        let cache = if plan.reach == 0 { Some(self.new_cache()) } else { None };
        if let Some(cache) = cache {
            self.ctes[at].kind = CteKind::Compiled { plan: plan.clone(), cache };
        }
        joins.cover(slot + 1);
        self.push_source(SourceKind::Select { plan, cache }, alias, None, columns, scope);
        Ok(())
    }

    fn flatten_cte(
        &mut self,
        query: &ast::Query,
        cte: &Rc<ast::Cte>,
        alias: Name,
        scope: usize,
        joins: &mut JoinBuild,
        visible: &[CteEntry],
    ) -> Result<()> {
        let mark = self.ctes.len();
        self.ctes.extend(
            visible.iter().filter(|e| !Rc::ptr_eq(&e.cte, cte)).cloned().map(|mut entry| {
                entry.visible = usize::MAX;
                entry
            }),
        );
        let result = self.flatten(query, alias, &cte.columns, scope, joins);
        self.ctes.truncate(mark);
        result
    }

    /// Takes the name of a CTE out of sight.
    fn hide_cte(&mut self, at: usize) -> Rc<ast::Cte> {
        let hidden = self.ctes[at].cte.clone();
        let mut nameless = (*hidden).clone();
        nameless.name = "\0".into();
        self.ctes[at].cte = Rc::new(nameless);
        hidden
    }

    fn recursive(&mut self, at: usize, cte: &Rc<ast::Cte>) -> Result<Select> {
        let select = &cte.select;
        let mark = self.ctes.len();
        self.push_ctes(select.with.as_ref())?;
        let result = self.recursive_arms(at, cte);
        self.ctes.truncate(mark);
        let mut plan = result?;
        if select.limit.is_some() || select.offset.is_some() {
            self.frames.push(FrameBuild::default());
            let limit = self.limit_term(select.limit.as_deref());
            let offset = self.limit_term(select.offset.as_deref());
            self.take_frame();
            (plan.limit, plan.offset) = (limit?, offset?);
        }
        Ok(plan)
    }

    fn recursive_arms(&mut self, at: usize, cte: &Rc<ast::Cte>) -> Result<Select> {
        let select = &cte.select;
        let arms: Vec<(CompoundOp, &SelectCore)> = std::iter::once((
            CompoundOp::UnionAll,
            &select.first,
        ))
        .chain(select.rest.iter().map(|(op, core)| (*op, core)))
        .collect();
        let split = arms.iter().position(|(_, core)| core_names(core, &cte.name)).unwrap_or(0);
        if split == 0 {
            return Err(Error::new(format!("circular reference: {}", cte.name)));
        }
        let hidden = self.hide_cte(at);
        let mut first = Vec::new();
        let mut failed = None;
        for (op, core) in &arms[..split] {
            match self.core(core, &[], false) {
                Ok(arm) => first.push((*op, arm)),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        self.ctes[at].cte = hidden;
        if let Some(error) = failed {
            return Err(error);
        }
        let columns = first[0].1.columns.clone();
        let id = self.new_cache();
        let named = columns
            .iter()
            .enumerate()
            .map(|(n, c)| {
                (cte.columns.get(n).unwrap_or(&c.name).clone(), c.affinity)
            })
            .collect();
        self.ctes[at].kind = CteKind::Recursing { id, columns: named };
        let mut steps = Vec::new();
        for (op, core) in &arms[split..] {
            match self.core(core, &[], false) {
                Ok(arm) if arm.columns.len() != columns.len() => {
                    failed = Some(unequal_arms(*op));
                    break;
                }
                Ok(arm) => steps.push((*op, arm)),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        self.ctes[at].kind = CteKind::Plain;
        if let Some(error) = failed {
            return Err(error);
        }
        let order = self.compound_order(select, &columns)?;
        let all = || first.iter().chain(&steps).map(|(_, arm)| arm);
        let reach = all().map(|arm| arm.reach).max().unwrap_or(0);
        let outer = all().flat_map(|arm| arm.outer.iter().copied()).collect();
        let collations = columns.iter().map(|c| c.collation).collect();
        Ok(Select {
            columns,
            body: Body::Recursive(Box::new(Recursive { id, first, steps, order, collations })),
            limit: None,
            offset: None,
            outer,
            reach,
        })
    }
}

/// A result column with `*` written out.
pub(super) enum ExpandedColumn {
    Expr { expr: ast::Expr, alias: Option<Name>, text: Name },
    Bound { expr: Expr, name: Name, type_name: Option<Name> },
}

impl ExpandedColumn {
    /// Whether a bare name in ORDER BY means this column.
    fn is_called(&self, expr: &ast::Expr) -> bool {
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

fn aggregation(
    groups: Vec<Expr>,
    calls: Vec<crate::plan::AggregateCall>,
    having: Option<Expr>,
) -> Aggregation {
    let extremes: Vec<usize> = (0..calls.len())
        .filter(|n| {
            matches!(
                calls[*n].function.kind,
                func::AggregateKind::Min | func::AggregateKind::Max
            )
        })
        .collect();
    let extreme = if extremes.len() == 1 { Some(extremes[0]) } else { None };
    let collations: Vec<Collation> = groups.iter().map(|g| collation_of(g).0).collect();
    let descending = vec![false; groups.len()];
    Aggregation { groups, collations, descending, calls, having, extreme, first_only: false, count_rows: false }
}

pub(super) fn output(name: Name, expr: &Expr) -> Output {
    let (collation, collated) = collation_of(expr);
    Output { name, affinity: affinity_of(expr), collation, collated, type_name: None }
}

fn merge_outer(plan: &mut Select, outer: Vec<(u16, u16, u16)>, reach: u16) {
    for entry in outer {
        if !plan.outer.contains(&entry) {
            plan.outer.push(entry);
        }
    }
    plan.reach = plan.reach.max(reach);
}

pub(super) fn slot_column(slot: usize, col: usize, affinity: Affinity, collation: Collation) -> Expr {
    Expr::Column(crate::plan::ColumnRef {
        up: 0,
        slot: slot as u16,
        col: col as u16,
        affinity,
        collation,
    })
}

fn derived(
    outputs: &[Output],
    names: &[Name],
    slot: usize,
) -> std::result::Result<Vec<DerivedColumn>, (usize, usize)> {
    if !names.is_empty() && names.len() != outputs.len() {
        return Err((outputs.len(), names.len()));
    }
    let mut columns: Vec<DerivedColumn> = Vec::with_capacity(outputs.len());
    for (n, column) in outputs.iter().enumerate() {
        let mut name = names.get(n).unwrap_or(&column.name).clone();
        // Two columns of one name: the later gets a number.
        let taken = |name: &Name, columns: &[DerivedColumn]| {
            columns.iter().any(|c| c.name.eq_ignore_ascii_case(name))
        };
        let mut count = 0;
        while names.is_empty() && taken(&name, &columns) {
            count += 1;
            name = format!("{}:{count}", column.name).into();
        }
        columns.push(DerivedColumn {
            name,
            expr: slot_column(slot, n, column.affinity, column.collation),
            type_name: column.type_name.clone(),
            hidden: false,
        });
    }
    Ok(columns)
}

impl From<(usize, usize)> for Error {
    fn from((values, columns): (usize, usize)) -> Error {
        wrong_width("", values, columns)
    }
}

fn wrong_width(name: &str, values: usize, columns: usize) -> Error {
    Error::new(format!("table {name} has {values} values for {columns} columns"))
}

fn unequal_arms(op: CompoundOp) -> Error {
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

/// The query of a subquery that can run within the loops around it.
fn flattens<'s>(select: &'s ast::Select, joins: &JoinBuild) -> Option<&'s ast::Query> {
    let SelectCore::Query(query) = &select.first else { return None };
    let simple = select.with.is_none()
        && select.rest.is_empty()
        && select.order_by.is_empty()
        && select.limit.is_none()
        && !query.distinct
        && query.group_by.is_empty()
        && query.having.is_none()
        && query.windows.is_empty()
        && !query.from.is_empty()
        && !query.from.iter().any(|item| item.join.right);
    let inner_left = query.from.iter().any(|item| item.join.left);
    let columns = query.columns.iter().all(|column| match column {
        ResultColumn::Expr { expr, .. } => plain(expr),
        _ => true,
    });
    (simple && columns && (!inner_left || joins.slots.is_empty())).then_some(query)
}

/// Whether an expression may be computed anywhere, any number of times.
fn plain(expr: &ast::Expr) -> bool {
    use ast::Expr::*;
    match expr {
        Literal(_) | Variable(_) | Column { .. } => true,
        Unary(_, e) | Cast(e, _) | Collate(e, _) => plain(e),
        Binary(_, l, r) => plain(l) && plain(r),
        Like { lhs, rhs, escape, .. } => {
            plain(lhs) && plain(rhs) && escape.as_deref().is_none_or(plain)
        }
        Between { value, low, high, .. } => plain(value) && plain(low) && plain(high),
        In { value, set: ast::InSet::List(list), .. } => plain(value) && list.iter().all(plain),
        Case { operand, whens, otherwise } => {
            operand.as_deref().is_none_or(plain)
                && whens.iter().all(|(w, t)| plain(w) && plain(t))
                && otherwise.as_deref().is_none_or(plain)
        }
        Call(call) => {
            call.over.is_none()
                && call.filter.is_none()
                && !call.star
                && matches!(func::aggregate(&call.name, call.args.len()), func::Found::Unknown | func::Found::WrongArgs)
                && !matches!(func::scalar(&call.name, call.args.len()), func::Found::Function(f) if !f.pure)
                && call.args.iter().all(plain)
        }
        _ => false,
    }
}

fn recurses(cte: &ast::Cte) -> bool {
    !cte.select.rest.is_empty()
        && std::iter::once(&cte.select.first)
            .chain(cte.select.rest.iter().map(|(_, core)| core))
            .any(|core| core_names(core, &cte.name))
}

/// Whether the FROM clause of an arm names a table.
fn core_names(core: &SelectCore, name: &str) -> bool {
    let SelectCore::Query(query) = core else { return false };
    query.from.iter().any(|item| item_names(item, name))
}

fn item_names(item: &FromItem, name: &str) -> bool {
    match &item.source {
        FromSource::Table(table) => {
            table.schema.is_none() && table.name.eq_ignore_ascii_case(name)
        }
        FromSource::Select(select) => {
            core_names(&select.first, name) || select.rest.iter().any(|(_, c)| core_names(c, name))
        }
        FromSource::Join(items) => items.iter().any(|item| item_names(item, name)),
        FromSource::Function(..) => false,
    }
}

pub(super) fn integer(expr: &ast::Expr) -> Option<i64> {
    match expr {
        ast::Expr::Literal(ast::Literal::Int(v)) => Some(*v),
        ast::Expr::Unary(ast::Unary::Minus, inner) => integer(inner).map(|v| -v),
        _ => None,
    }
}

fn check_place(clause: &str, n: usize, at: i64, columns: usize) -> Result<()> {
    if (1..=columns as i64).contains(&at) {
        return Ok(());
    }
    Err(Error::new(format!(
        "{} {clause} term out of range - should be between 1 and {columns}",
        ordinal(n + 1)
    )))
}

fn ordinal(n: usize) -> String {
    let suffix = match (n % 10, n % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

fn strip_collate(expr: &ast::Expr) -> Result<(&ast::Expr, Option<Collation>)> {
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

impl ScopeColumns {
    fn has(&self, name: &str) -> bool {
        match self {
            ScopeColumns::Table { table, .. } => table.column(name).is_some(),
            ScopeColumns::Derived(columns) => {
                columns.iter().any(|c| !c.hidden && c.name.eq_ignore_ascii_case(name))
            }
        }
    }

    fn each_name(&self, each: &mut dyn FnMut(&Name)) {
        match self {
            ScopeColumns::Table { table, .. } => table.columns.iter().for_each(|c| each(&c.name)),
            ScopeColumns::Derived(columns) => {
                columns.iter().filter(|c| !c.hidden).for_each(|c| each(&c.name));
            }
        }
    }

    fn visible_names(&self, merged: &[Name]) -> Vec<Name> {
        let mut names = Vec::new();
        self.each_name(&mut |name| {
            if !merged.iter().any(|m| m.eq_ignore_ascii_case(name)) {
                names.push(name.clone());
            }
        });
        names
    }
}
