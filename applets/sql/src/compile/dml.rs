//! Binding of INSERT, UPDATE and DELETE.

use std::rc::Rc;

use super::expr::same_expr;
use super::{Compiler, FrameBuild, RowScope, shown};
use crate::ast::{
    self, Assignment, FromItem, FromSource, InsertSource, Name, ResultColumn, TriggerEvent,
};
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::plan::{ColumnSource, Delete, Expr, Insert, Output, ROWID, Update, Upsert};
use crate::schema::{Column, Index, IndexColumn, IndexPart, Table, View};
use crate::value::Value;

impl Compiler<'_> {
    /// The table that a statement changes, or what stands for a view with a trigger for it.
    fn target(
        &mut self,
        name: &ast::QualifiedName,
        watches: impl Fn(&TriggerEvent) -> bool,
    ) -> Result<Rc<Table>> {
        let schema = name.schema.as_deref();
        if let Some(view) = self.catalog.view(schema, &name.name) {
            let triggers = self.catalog.triggers_of(view.db, &view.name);
            if !triggers.iter().any(|trigger| watches(&trigger.definition.event)) {
                return Err(Error::new(format!(
                    "cannot modify {} because it is a view",
                    view.name
                )));
            }
            return self.view_target(&view);
        }
        let table = self
            .catalog
            .table(schema, &name.name)
            .ok_or_else(|| Error::new(format!("no such table: {}", shown(name))))?;
        let lower = table.name.to_ascii_lowercase();
        if lower == "sqlite_schema" || lower == "sqlite_master" {
            return Err(Error::new("table sqlite_master may not be modified"));
        }
        Ok(table)
    }

    fn view_target(&mut self, view: &View) -> Result<Rc<Table>> {
        let plan = self.select(&view.definition.select).map_err(Error::nowhere)?;
        let named = &view.definition.columns;
        let columns = plan
            .columns
            .iter()
            .enumerate()
            .map(|(n, output)| Column {
                name: named.get(n).unwrap_or(&output.name).clone(),
                type_name: output.type_name.clone(),
                affinity: output.affinity,
                collation: output.collation,
                not_null: None,
                default: None,
                generated: None,
                primary_key: 0,
            })
            .collect();
        let encoding = self.catalog.schemas[view.db].1.encoding;
        Ok(Rc::new(Table::of_view(view, columns, encoding)))
    }

    /// Compiles `INSERT`.
    ///
    /// # Errors
    /// Names that mean nothing, columns that do not fit.
    pub fn insert(&mut self, insert: &ast::Insert) -> Result<Insert> {
        let table = self.target(&insert.table, |event| *event == TriggerEvent::Insert)?;
        let mark = self.ctes.len();
        self.push_ctes(insert.with.as_ref())?;
        let result = self.insert_into(insert, table);
        self.ctes.truncate(mark);
        result
    }

    fn insert_into(&mut self, insert: &ast::Insert, table: Rc<Table>) -> Result<Insert> {
        let source = match &insert.source {
            InsertSource::Defaults => None,
            InsertSource::Select(select) => Some(self.select(select)?),
        };
        let given = source.as_ref().map_or(0, |source| source.columns.len());
        let mut places: Vec<Option<usize>> = vec![None; table.columns.len()];
        let mut rowid = None;
        if insert.columns.is_empty() && source.is_some() {
            let open: Vec<usize> = (0..table.columns.len())
                .filter(|n| table.columns[*n].generated.is_none())
                .collect();
            if given != open.len() {
                return Err(Error::new(format!(
                    "table {} has {} columns but {given} values were supplied",
                    table.name,
                    open.len()
                )));
            }
            open.into_iter().enumerate().for_each(|(n, at)| places[at] = Some(n));
        } else if source.is_some() {
            for (n, name) in insert.columns.iter().enumerate() {
                match table.column(name) {
                    Some(at) if table.columns[at].generated.is_some() => {
                        return Err(Error::new(format!(
                            "cannot INSERT into generated column \"{name}\""
                        )));
                    }
                    Some(at) => {
                        places[at].get_or_insert(n);
                    }
                    None if table.is_rowid_name(name) => rowid = Some(n),
                    None => {
                        return Err(Error::new(format!(
                            "table {} has no column named {name}",
                            shown(&insert.table)
                        )));
                    }
                }
            }
            if given != insert.columns.len() {
                return Err(Error::new(format!(
                    "{given} values for {} columns",
                    insert.columns.len()
                )));
            }
        }
        let mut columns = Vec::with_capacity(places.len());
        for (at, place) in places.into_iter().enumerate() {
            columns.push(match place {
                Some(n) => ColumnSource::Source(n),
                None => ColumnSource::Default(self.default_of(&table, at)?),
            });
        }
        let gather = insert_reads(insert);
        let alias = insert.alias.clone().unwrap_or_else(|| table.name.clone());
        let mut upserts = Vec::new();
        for upsert in &insert.upserts {
            upserts.push(self.upsert(upsert, &table, &alias)?);
        }
        let (returning, outputs) = self.returning(&insert.returning, &table)?;
        Ok(Insert {
            table,
            conflict: insert.conflict,
            columns,
            rowid,
            source,
            gather,
            upserts,
            returning,
            outputs,
        })
    }

    /// The value of a column that is not given.
    pub fn default_of(&mut self, table: &Table, at: usize) -> Result<Expr> {
        let Some((expr, _)) = &table.columns[at].default else {
            return Ok(Expr::Const(Value::Null));
        };
        match expr {
            ast::Expr::Column { name, .. } if !is_bool_word(name) => {
                Ok(Expr::Const(Value::text(name.as_bytes())))
            }
            expr => {
                self.frames.push(FrameBuild::default());
                let scopes = std::mem::take(&mut self.scopes);
                let bound = self.bind_value(expr);
                self.scopes = scopes;
                self.take_frame();
                bound.map_err(Error::nowhere)
            }
        }
    }

    fn upsert(&mut self, upsert: &ast::Upsert, table: &Rc<Table>, alias: &Name) -> Result<Upsert> {
        let target =
            if upsert.target.is_empty() { None } else { Some(find_target(upsert, table)?) };
        let Some((set, filter)) = &upsert.update else {
            return Ok(Upsert { target, update: None });
        };
        let row = |name, slot| RowScope { name, table: table.clone(), slot };
        let frames = self.frames.len();
        let scopes = self.scopes.len();
        self.push_rows(vec![row("", 0)], false);
        if let Some(source) = self.scopes.last_mut().and_then(|s| s.sources.last_mut()) {
            source.name = alias.clone();
        }
        let frame = self.frames.len() - 1;
        let excluded = super::ScopeSource {
            name: "excluded".into(),
            schema: None,
            columns: super::ScopeColumns::Table { slot: 1, table: table.clone() },
            merged: vec![],
            qualified_only: true,
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.sources.push(excluded);
        }
        let _ = frame;
        let result = self.upsert_parts(set, filter.as_ref(), table);
        self.frames.truncate(frames);
        self.scopes.truncate(scopes);
        Ok(Upsert { target, update: Some(result?) })
    }

    #[allow(clippy::type_complexity)]
    fn upsert_parts(
        &mut self,
        set: &[Assignment],
        filter: Option<&ast::Expr>,
        table: &Table,
    ) -> Result<(Vec<(u16, Expr)>, Option<Expr>)> {
        let mut out = Vec::new();
        for (name, value) in assignments(set)? {
            out.push((set_column(table, &name)?, self.bind_value(&value)?));
        }
        let filter = filter.map(|filter| self.bind_value(filter)).transpose()?;
        Ok((out, filter))
    }

    fn returning(
        &mut self,
        columns: &[ResultColumn],
        table: &Rc<Table>,
    ) -> Result<(Vec<Expr>, Vec<Output>)> {
        if columns.is_empty() {
            return Ok((vec![], vec![]));
        }
        if columns.iter().any(|column| matches!(column, ResultColumn::TableStar(_))) {
            return Err(Error::new("RETURNING may not use \"TABLE.*\" wildcards"));
        }
        let (frames, scopes) = (self.frames.len(), self.scopes.len());
        self.push_row(&table.name, table);
        let result = self.returning_columns(columns);
        self.frames.truncate(frames);
        self.scopes.truncate(scopes);
        result
    }

    fn returning_columns(&mut self, columns: &[ResultColumn]) -> Result<(Vec<Expr>, Vec<Output>)> {
        let mut exprs = Vec::new();
        let mut outputs = Vec::new();
        for column in self.expand_columns(columns)? {
            let (output, expr) = self.result_column(&column)?;
            exprs.push(expr);
            outputs.push(output);
        }
        Ok((exprs, outputs))
    }

    /// Compiles `UPDATE`.
    ///
    /// # Errors
    /// Names that mean nothing.
    pub fn update(&mut self, update: &ast::Update) -> Result<Update> {
        let FromSource::Table(name) = &update.table.source else {
            return Err(Error::new("no such table"));
        };
        let table = self.target(name, |event| match event {
            TriggerEvent::Update(columns) => {
                let mut set = update.set.iter().flat_map(|assignment| &assignment.columns);
                columns.is_empty()
                    || set.any(|name| columns.iter().any(|c| c.eq_ignore_ascii_case(name)))
            }
            _ => false,
        })?;
        let alias = update.table.alias.clone().unwrap_or_else(|| name.name.clone());
        let mut set = Vec::new();
        let mut columns = Vec::new();
        for (name, value) in assignments(&update.set)? {
            let column = set_column(&table, &name)?;
            // The last assignment to a column counts.
            set.retain(|(known, _): &(u16, usize)| *known != column);
            set.push((column, columns.len()));
            columns.push(result(value));
        }
        let key = columns.len();
        columns.extend(key_columns(&table, &alias));
        let mut from = vec![update.table.clone()];
        from.extend(update.from.iter().cloned());
        let query = select_of(update.with.clone(), columns, from, update.filter.clone());
        self.finds_targets = update.from.is_empty();
        let query = self.select(&query)?;
        let (returning, outputs) = self.returning(&update.returning, &table)?;
        let joined = !update.from.is_empty();
        let conflict = update.conflict;
        Ok(Update { table, conflict, query, set, key, joined, returning, outputs })
    }

    /// Compiles `DELETE`.
    ///
    /// # Errors
    /// Names that mean nothing.
    pub fn delete(&mut self, delete: &ast::Delete) -> Result<Delete> {
        let FromSource::Table(name) = &delete.table.source else {
            return Err(Error::new("no such table"));
        };
        let table = self.target(name, |event| *event == TriggerEvent::Delete)?;
        let alias = delete.table.alias.clone().unwrap_or_else(|| name.name.clone());
        let query = select_of(
            delete.with.clone(),
            key_columns(&table, &alias),
            vec![delete.table.clone()],
            delete.filter.clone(),
        );
        self.finds_targets = true;
        let query = self.select(&query)?;
        let (returning, outputs) = self.returning(&delete.returning, &table)?;
        let watched = !self.catalog.triggers_of(table.db, &table.name).is_empty()
            || references(self.catalog, &table);
        let truncate =
            delete.filter.is_none() && returning.is_empty() && !watched && !table.is_view;
        Ok(Delete { table, query, truncate, returning, outputs })
    }
}

/// Whether a foreign key of any table points at this one.
fn references(catalog: &Catalog, table: &Table) -> bool {
    let Some((_, schema)) = catalog.schemas.get(table.db) else { return false };
    schema.tables.values().any(|other| {
        other.foreign_keys.iter().any(|key| key.key.table.eq_ignore_ascii_case(&table.name))
    })
}

fn is_bool_word(name: &str) -> bool {
    name.eq_ignore_ascii_case("true") || name.eq_ignore_ascii_case("false")
}

/// Whether the source of an INSERT may read what it writes; VALUES with plain rows cannot.
fn insert_reads(insert: &ast::Insert) -> bool {
    match &insert.source {
        InsertSource::Defaults => false,
        InsertSource::Select(select) => {
            !(select.rest.is_empty() && matches!(select.first, ast::SelectCore::Values(_)))
        }
    }
}

/// The assignments one by one, rows taken apart.
fn assignments(set: &[Assignment]) -> Result<Vec<(Name, ast::Expr)>> {
    let mut out = Vec::new();
    for assignment in set {
        let columns = &assignment.columns;
        if let [only] = columns.as_slice() {
            out.push((only.clone(), assignment.value.clone()));
            continue;
        }
        match &assignment.value {
            ast::Expr::Row(items) if items.len() == columns.len() => {
                out.extend(columns.iter().cloned().zip(items.iter().cloned()));
            }
            ast::Expr::Subquery(select) => {
                let field = |n| ast::Expr::RowField(select.clone(), n);
                out.extend(columns.iter().cloned().enumerate().map(|(n, name)| (name, field(n))));
            }
            other => {
                let count = if let ast::Expr::Row(items) = other { items.len() } else { 1 };
                return Err(Error::new(format!(
                    "{} columns assigned {count} values",
                    columns.len()
                )));
            }
        }
    }
    Ok(out)
}

fn set_column(table: &Table, name: &str) -> Result<u16> {
    match table.column(name) {
        Some(at) if table.columns[at].generated.is_some() => {
            Err(Error::new(format!("cannot UPDATE generated column \"{name}\"")))
        }
        Some(at) if table.rowid_alias == Some(at) => Ok(ROWID),
        Some(at) => Ok(at as u16),
        None if table.is_rowid_name(name) => Ok(ROWID),
        None => Err(Error::new(format!("no such column: {name}"))),
    }
}

/// The columns that tell a row of a table apart.
fn key_columns(table: &Table, alias: &Name) -> Vec<ResultColumn> {
    let column = |name: &str| {
        result(ast::Expr::Column {
            schema: None,
            table: Some(alias.clone()),
            name: name.into(),
            quoted: false,
            offset: 0,
        })
    };
    if table.is_view {
        return table.columns.iter().map(|c| column(&c.name)).collect();
    }
    match &table.primary {
        None => {
            let free = ["rowid", "_rowid_", "oid"].iter().find(|name| table.column(name).is_none());
            let alias = table.rowid_alias.map(|at| table.columns[at].name.clone());
            vec![column(alias.as_deref().or(free.copied()).unwrap_or("rowid"))]
        }
        Some(primary) => primary.columns[..primary.key_columns]
            .iter()
            .filter_map(|c| match c.part {
                IndexPart::Column(at) => Some(column(&table.columns[at].name)),
                _ => None,
            })
            .collect(),
    }
}

fn result(expr: ast::Expr) -> ResultColumn {
    ResultColumn::Expr { expr, alias: None, text: "".into() }
}

fn select_of(
    with: Option<ast::With>,
    columns: Vec<ResultColumn>,
    from: Vec<FromItem>,
    filter: Option<ast::Expr>,
) -> ast::Select {
    let query = ast::Query { columns, from, filter, ..ast::Query::default() };
    ast::Select {
        with,
        first: ast::SelectCore::Query(Box::new(query)),
        rest: vec![],
        order_by: vec![],
        limit: None,
        offset: None,
    }
}

/// The constraint that an ON CONFLICT clause names: an index, or the rowid (`None`).
fn find_target(upsert: &ast::Upsert, table: &Table) -> Result<Option<Name>> {
    for term in &upsert.target {
        if let ast::Expr::Column { name, offset, .. } = uncollated(&term.expr).0
            && table.column(name).is_none()
            && !table.is_rowid_name(name)
        {
            return Err(Error::new(format!("no such column: {name}")).at(*offset));
        }
    }
    if let [only] = upsert.target.as_slice()
        && !table.without_rowid
        && let ast::Expr::Column { name, .. } = &only.expr
    {
        let column = table.column(name);
        if column.is_none() || column == table.rowid_alias {
            return Ok(None);
        }
    }
    table
        .primary
        .iter()
        .chain(&table.indexes)
        .find(|index| targets(upsert, table, index))
        .map(|index| Some(index.name.clone()))
        .ok_or_else(unmatched)
}

/// Whether the columns of an ON CONFLICT clause are those of a unique index.
fn targets(upsert: &ast::Upsert, table: &Table, index: &Index) -> bool {
    let filter = match (&index.filter, &upsert.target_filter) {
        (None, _) => true,
        (Some(own), Some(said)) => same_expr(own, said),
        (Some(_), None) => false,
    };
    let is = |column: &IndexColumn, expr: &ast::Expr| {
        let (bare, collation) = uncollated(expr);
        let collated =
            collation.is_none_or(|name| name.eq_ignore_ascii_case(column.collation.name()));
        collated
            && match (&column.part, bare) {
                (IndexPart::Column(at), ast::Expr::Column { name, .. }) => {
                    table.column(name) == Some(*at)
                }
                (IndexPart::Expr(own), bare) => same_expr(uncollated(own).0, bare),
                _ => false,
            }
    };
    index.unique
        && filter
        && index.key_columns == upsert.target.len()
        && index.columns[..index.key_columns]
            .iter()
            .all(|column| upsert.target.iter().any(|term| is(column, &term.expr)))
}

fn uncollated(expr: &ast::Expr) -> (&ast::Expr, Option<&Name>) {
    match expr {
        ast::Expr::Collate(inner, name) => (uncollated(inner).0, Some(name)),
        other => (other, None),
    }
}

fn unmatched() -> Error {
    Error::new("ON CONFLICT clause does not match any PRIMARY KEY or UNIQUE constraint")
}
