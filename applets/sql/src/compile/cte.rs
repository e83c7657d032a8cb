//! Common table expressions, recursive ones among them.

use std::rc::Rc;

use super::from::{derived, flattens, slot_column, wrong_width};
use super::join::JoinBuild;
use super::select::unequal_arms;
use super::{Compiler, CteEntry, CteKind, DerivedColumn, FrameBuild};
use crate::ast::{self, CompoundOp, FromItem, FromSource, Name, SelectCore};
use crate::collate::Collation;
use crate::error::{Error, Result};
use crate::plan::{Body, Recursive, Select, SourceKind};

impl Compiler<'_> {
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

    pub(super) fn cte_source(
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
        self.ctes.extend(visible.iter().filter(|e| !Rc::ptr_eq(&e.cte, cte)).cloned().map(
            |mut entry| {
                entry.visible = usize::MAX;
                entry
            },
        ));
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
        let arms: Vec<(CompoundOp, &SelectCore)> =
            std::iter::once((CompoundOp::UnionAll, &select.first))
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
            .map(|(n, c)| (cte.columns.get(n).unwrap_or(&c.name).clone(), c.affinity))
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
        FromSource::Table(table) => table.schema.is_none() && table.name.eq_ignore_ascii_case(name),
        FromSource::Select(select) => {
            core_names(&select.first, name) || select.rest.iter().any(|(_, c)| core_names(c, name))
        }
        FromSource::Join(items) => items.iter().any(|item| item_names(item, name)),
        FromSource::Function(..) => false,
    }
}
