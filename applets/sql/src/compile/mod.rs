//! The compiler: syntax tree to plan. Names are resolved, affinities and collations settled,
//! aggregates and windows found; then the planner orders the loops.
//!
//! Two stacks: *frames* (one a query that will run) and *scopes* (what names are visible; a view or
//! subquery that is flattened into its outer query has a scope but no frame of its own).

mod columns;
mod cte;
mod dml;
mod expr;
mod from;
mod join;
mod json;
mod order;
mod select;
mod walk;
mod window;

pub mod explain;

use std::rc::Rc;

use crate::ast::{self, Name, QualifiedName};
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::plan::{AggregateCall, ColumnRef, Expr, ROWID, Select, Source, WindowPlan};
use crate::schema::Table;
use crate::value::Affinity;

pub(crate) use walk::{children, mirrored, slots_of};

/// How deep views and subqueries may nest.
const MAX_FRAMES: usize = 200;

/// Compiles one statement against a catalog.
pub struct Compiler<'c> {
    pub catalog: &'c Catalog,
    frames: Vec<FrameBuild>,
    scopes: Vec<Scope>,
    ctes: Vec<CteEntry>,
    caches: usize,
    /// The next query finds the rows that an UPDATE or DELETE changes: SQLite changes them as it
    /// goes, and so walks no covering index for them.
    finds_targets: bool,
}

/// A query under construction.
#[derive(Default)]
struct FrameBuild {
    sources: Vec<Source>,
    /// Aggregates may stand in what is being bound.
    aggregates_allowed: bool,
    windows_allowed: bool,
    /// A frame of single rows: no aggregate can ever stand there.
    rows: bool,
    /// Inside the argument of an aggregate.
    in_aggregate: bool,
    /// What is bound now is read before any grouping: nothing to capture.
    before_groups: bool,
    calls: Vec<(ast::Call, AggregateCall)>,
    windows: Vec<(ast::Window, WindowPlan)>,
    window_calls: Vec<(ast::Call, u16)>,
    named_windows: Vec<(Name, ast::Window)>,
    registers: usize,
    captures: Vec<(u16, u16)>,
    outer: Vec<(u16, u16, u16)>,
    reach: u16,
}

/// What names mean.
#[derive(Default)]
struct Scope {
    frame: usize,
    sources: Vec<ScopeSource>,
    /// The result columns by alias.
    aliases: Vec<(Name, ast::Expr)>,
    /// Names that resolve here as a row of values: OLD, NEW, excluded.
    hide: bool,
}

/// A table as names see it.
struct ScopeSource {
    name: Name,
    schema: Option<Name>,
    columns: ScopeColumns,
    /// Columns that a USING or NATURAL join has merged into one further left.
    merged: Vec<Name>,
    /// Not found by a bare column name, only by its own: OLD and NEW, `excluded`.
    qualified_only: bool,
}

enum ScopeColumns {
    Table { slot: usize, table: Rc<Table> },
    Derived(Vec<DerivedColumn>),
}

#[derive(Clone)]
struct DerivedColumn {
    name: Name,
    expr: Expr,
    type_name: Option<Name>,
    hidden: bool,
}

/// A common table expression in sight.
#[derive(Clone)]
struct CteEntry {
    cte: Rc<ast::Cte>,
    kind: CteKind,
    /// How many entries were in sight when it was defined, itself included where it recurses.
    visible: usize,
}

#[derive(Clone)]
enum CteKind {
    Plain,
    /// Being compiled, and not recursive: it must not name itself.
    Busy,
    /// Being compiled: a reference reads the rows of the last step.
    Recursing {
        id: usize,
        columns: Vec<(Name, Affinity)>,
    },
    Compiled {
        plan: Rc<Select>,
        cache: usize,
    },
}

/// The name that a scope source shows for OLD and NEW rows.
pub struct RowScope {
    pub name: &'static str,
    pub table: Rc<Table>,
    pub slot: usize,
}

impl<'c> Compiler<'c> {
    pub fn new(catalog: &'c Catalog) -> Compiler<'c> {
        Compiler {
            catalog,
            frames: vec![],
            scopes: vec![],
            ctes: vec![],
            caches: 0,
            finds_targets: false,
        }
    }

    /// How many results the statement keeps while it runs.
    pub fn caches(&self) -> usize {
        self.caches
    }

    /// Later caches are numbered from here: several compilers may serve one statement.
    pub fn start_caches_at(&mut self, first: usize) {
        self.caches = first;
    }

    fn new_cache(&mut self) -> usize {
        self.caches += 1;
        self.caches - 1
    }

    /// A frame whose slots are single rows: OLD and NEW, the row of a CHECK constraint. Everything
    /// compiled later may name them; a query then finds them one frame up.
    pub fn push_rows(&mut self, rows: Vec<RowScope>, qualified_only: bool) {
        let mut frame = FrameBuild { rows: true, ..FrameBuild::default() };
        let mut scope = Scope { frame: self.frames.len(), ..Scope::default() };
        for row in rows {
            let columns = ScopeColumns::Table { slot: row.slot, table: row.table.clone() };
            while frame.sources.len() <= row.slot {
                frame.sources.push(Source {
                    kind: crate::plan::SourceKind::Table(row.table.clone()),
                    name: row.name.into(),
                    used: vec![false; row.table.columns.len()],
                });
            }
            scope.sources.push(ScopeSource {
                name: row.name.into(),
                schema: None,
                columns,
                merged: vec![],
                qualified_only,
            });
        }
        self.frames.push(frame);
        self.scopes.push(scope);
    }

    /// Makes a later pushed row visible by its bare column names too.
    pub fn push_row(&mut self, name: &str, table: &Rc<Table>) {
        self.push_rows(vec![RowScope { name: "", table: table.clone(), slot: 0 }], false);
        if let Some(source) = self.scopes.last_mut().and_then(|scope| scope.sources.last_mut()) {
            source.name = name.into();
        }
    }

    /// Binds an expression in the frame that was pushed last.
    ///
    /// # Errors
    /// Names that mean nothing.
    pub fn expr(&mut self, expr: &ast::Expr) -> Result<Expr> {
        self.bind(expr)
    }

    /// Finds a table by its name.
    fn find_table(&self, name: &QualifiedName) -> Result<Rc<Table>> {
        self.catalog
            .table(self.trigger_schema(name).as_deref(), &name.name)
            .ok_or_else(|| Error::new(format!("no such table: {}", shown(name))))
    }

    fn trigger_schema(&self, name: &QualifiedName) -> Option<Name> {
        name.schema.clone()
    }

    fn frame(&mut self) -> &mut FrameBuild {
        if self.frames.is_empty() {
            self.frames.push(FrameBuild::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// Notes that a column of `frame` is read from the innermost frame, and makes the reference.
    fn reference(
        &mut self,
        frame: usize,
        slot: usize,
        col: u16,
        affinity: Affinity,
        collation: crate::collate::Collation,
    ) -> Expr {
        let top = self.frames.len() - 1;
        let owner = &mut self.frames[frame];
        if col != ROWID
            && let Some(used) =
                owner.sources.get_mut(slot).and_then(|s| s.used.get_mut(col as usize))
        {
            *used = true;
        }
        if !owner.in_aggregate
            && !owner.before_groups
            && !owner.captures.contains(&(slot as u16, col))
        {
            owner.captures.push((slot as u16, col));
        }
        for inner in frame + 1..=top {
            let up = (inner - frame) as u16;
            let entry = (up, slot as u16, col);
            let build = &mut self.frames[inner];
            build.reach = build.reach.max(up);
            if !build.outer.contains(&entry) {
                build.outer.push(entry);
            }
        }
        Expr::Column(ColumnRef {
            up: (top - frame) as u16,
            slot: slot as u16,
            col,
            affinity,
            collation,
        })
    }
}

pub(crate) fn shown(name: &QualifiedName) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.to_string(),
    }
}

/// Where a name of a source leads.
fn expr_target(columns: &ScopeColumns, name: &str) -> Option<columns::Found> {
    match columns {
        ScopeColumns::Table { slot, table } => {
            let at = table.column(name)?;
            let column = &table.columns[at];
            let col = if table.rowid_alias == Some(at) { ROWID } else { at as u16 };
            Some(columns::Found::Slot(*slot, col, column.affinity, column.collation))
        }
        ScopeColumns::Derived(columns) => columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
            .map(|column| columns::Found::Expr(column.expr.clone())),
    }
}
