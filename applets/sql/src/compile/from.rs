//! The FROM clause: tables, views and subqueries as sources, ON and USING, flattening.

use std::rc::Rc;

use super::columns::Found;
use super::join::{JoinBuild, Term};
use super::walk::conjuncts;
use super::{
    Compiler, DerivedColumn, FrameBuild, MAX_FRAMES, Scope, ScopeColumns, ScopeSource, shown,
};
use crate::ast::{self, Binary, FromItem, FromSource, Name, ResultColumn, SelectCore};
use crate::collate::Collation;
use crate::error::{Error, Result};
use crate::func;
use crate::plan::{Expr, Output, Source, SourceKind};
use crate::value::Affinity;

impl Compiler<'_> {
    /// Opens a scope over the tables of a FROM clause in the innermost frame.
    pub(super) fn push_from(&mut self, items: &[FromItem], joins: &mut JoinBuild) -> Result<()> {
        let frame = self.frames.len() - 1;
        self.scopes.push(Scope { frame, hide: true, ..Scope::default() });
        let scope = self.scopes.len() - 1;
        let outer_joins = items.iter().any(|item| item.join.right);
        for (n, item) in items.iter().enumerate() {
            let alone = !item.join.left && !outer_joins;
            self.add_item(item, n, alone, scope, joins)?;
        }
        self.scopes[scope].hide = false;
        Ok(())
    }

    fn add_item(
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
        self.frame().before_groups = true;
        let result = self.join_terms(item, &using, scope, first_source, on_slot, joins);
        self.frame().before_groups = false;
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
            let right = (first_source..sources)
                .find(|at| self.scopes[scope].sources[*at].columns.has(name));
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

    pub(super) fn add_source(
        &mut self,
        item: &FromItem,
        may_flatten: bool,
        scope: usize,
        joins: &mut JoinBuild,
    ) -> Result<()> {
        match &item.source {
            FromSource::Table(name) => {
                if name.schema.is_none()
                    && self.cte_source(name, item, may_flatten, scope, joins)?
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

    pub(super) fn push_source(
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
        self.frame().sources.push(Source {
            kind,
            name: alias.clone().unwrap_or_else(|| "".into()),
            used,
        });
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

    pub(super) fn subquery_source(
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
    pub(super) fn flatten(
        &mut self,
        query: &ast::Query,
        alias: Name,
        names: &[Name],
        scope: usize,
        joins: &mut JoinBuild,
    ) -> Result<()> {
        let result = self.push_from(&query.from, joins).and_then(|()| {
            self.frame().before_groups = true;
            let filter = query.filter.as_ref().map(|f| self.bind_value(f)).transpose();
            self.frame().before_groups = false;
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
}

pub(super) fn slot_column(
    slot: usize,
    col: usize,
    affinity: Affinity,
    collation: Collation,
) -> Expr {
    Expr::Column(crate::plan::ColumnRef {
        up: 0,
        slot: slot as u16,
        col: col as u16,
        affinity,
        collation,
    })
}

pub(super) fn derived(
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

pub(super) fn wrong_width(name: &str, values: usize, columns: usize) -> Error {
    Error::new(format!("table {name} has {values} values for {columns} columns"))
}

/// The query of a subquery that can run within the loops around it.
pub(super) fn flattens<'s>(select: &'s ast::Select, joins: &JoinBuild) -> Option<&'s ast::Query> {
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
                && matches!(
                    func::aggregate(&call.name, call.args.len()),
                    func::Found::Unknown | func::Found::WrongArgs
                )
                && !matches!(func::scalar(&call.name, call.args.len()), func::Found::Function(f) if !f.pure)
                && call.args.iter().all(plain)
        }
        _ => false,
    }
}

impl ScopeColumns {
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            ScopeColumns::Table { table, .. } => table.column(name).is_some(),
            ScopeColumns::Derived(columns) => {
                columns.iter().any(|c| !c.hidden && c.name.eq_ignore_ascii_case(name))
            }
        }
    }

    pub(super) fn each_name(&self, each: &mut dyn FnMut(&Name)) {
        match self {
            ScopeColumns::Table { table, .. } => table.columns.iter().for_each(|c| each(&c.name)),
            ScopeColumns::Derived(columns) => {
                columns.iter().filter(|c| !c.hidden).for_each(|c| each(&c.name));
            }
        }
    }

    pub(super) fn visible_names(&self, merged: &[Name]) -> Vec<Name> {
        let mut names = Vec::new();
        self.each_name(&mut |name| {
            if !merged.iter().any(|m| m.eq_ignore_ascii_case(name)) {
                names.push(name.clone());
            }
        });
        names
    }
}
