//! The catalog: what the `sqlite_schema` table of one database says, parsed once and kept until the
//! schema cookie changes.

use std::collections::HashMap;
use std::rc::Rc;

use crate::ast::{
    ColumnConstraint, Conflict, CreateIndex, CreateTable, CreateTrigger, CreateView, Expr,
    ForeignKey, Name, OrderTerm, Stmt, TableConstraint,
};
use crate::collate::{Collation, Encoding};
use crate::error::{Error, Result};
use crate::parse;
use crate::record::{KeyColumn, KeyInfo};
use crate::value::Affinity;

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: Name,
    pub type_name: Option<Name>,
    pub affinity: Affinity,
    pub collation: Collation,
    /// `NOT NULL`, and what breaking it does where said.
    pub not_null: Option<Option<Conflict>>,
    pub default: Option<(Expr, Name)>,
    /// The expression, and whether its value is stored.
    pub generated: Option<(Expr, bool)>,
    /// Place in the primary key, from 1.
    pub primary_key: usize,
}

/// What a column of an index holds.
#[derive(Clone, Debug, PartialEq)]
pub enum IndexPart {
    Column(usize),
    Rowid,
    Expr(Rc<Expr>),
}

/// A column of an index.
#[derive(Clone, Debug)]
pub struct IndexColumn {
    pub part: IndexPart,
    pub collation: Collation,
    pub desc: bool,
}

/// How an index came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Create,
    Unique,
    PrimaryKey,
}

/// An index, or the tree of a WITHOUT ROWID table.
#[derive(Clone, Debug)]
pub struct Index {
    pub name: Name,
    pub root: u32,
    pub unique: bool,
    pub origin: Origin,
    pub conflict: Option<Conflict>,
    /// The columns by which it was declared.
    pub key_columns: usize,
    /// All columns: the declared ones and those that lead back to the row.
    pub columns: Vec<IndexColumn>,
    pub filter: Option<Rc<Expr>>,
    /// From `sqlite_stat1`: rows in all, then rows for each equal prefix.
    pub stat: Vec<u64>,
    pub key_info: Rc<KeyInfo>,
}

/// A foreign key of a table.
#[derive(Clone, Debug)]
pub struct TableKey {
    pub columns: Vec<usize>,
    pub key: ForeignKey,
}

/// A `CHECK` constraint.
#[derive(Clone, Debug)]
pub struct Check {
    pub expr: Rc<Expr>,
    /// Its name, or its text.
    pub shown: Name,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: Name,
    pub db: usize,
    pub root: u32,
    pub columns: Vec<Column>,
    /// The column that is the rowid.
    pub rowid_alias: Option<usize>,
    /// What a rowid that is taken does, where said.
    pub rowid_conflict: Option<Conflict>,
    pub without_rowid: bool,
    pub autoincrement: bool,
    pub strict: bool,
    /// In the order of creation reversed, as SQLite walks them. For WITHOUT ROWID the tree of the
    /// table itself stands in `primary`.
    pub indexes: Vec<Rc<Index>>,
    /// The tree of a WITHOUT ROWID table.
    pub primary: Option<Rc<Index>>,
    pub checks: Vec<Check>,
    pub foreign_keys: Vec<TableKey>,
    /// The field of the record that holds each column; `None` for virtual columns.
    pub fields: Vec<Option<usize>>,
    /// From `sqlite_stat1`: the number of rows.
    pub row_estimate: Option<u64>,
    pub sql: Rc<str>,
    pub encoding: Encoding,
    /// Any column is generated.
    pub has_generated: bool,
    /// Stands for a view that INSTEAD OF triggers change.
    pub is_view: bool,
}

/// A view.
#[derive(Debug)]
pub struct View {
    pub name: Name,
    pub db: usize,
    pub definition: CreateView,
}

/// A trigger.
#[derive(Debug)]
pub struct Trigger {
    pub name: Name,
    pub db: usize,
    /// The database of its table: a temporary trigger may watch any.
    pub table_db: Option<Name>,
    pub definition: CreateTrigger,
}

/// The schema of one database.
#[derive(Debug, Default)]
pub struct Schema {
    pub cookie: u32,
    pub encoding: Encoding,
    /// By lower-case name, with their order in the file.
    pub tables: HashMap<Box<str>, Rc<Table>>,
    pub views: HashMap<Box<str>, Rc<View>>,
    /// Index name to table name, both lower case.
    pub indexes: HashMap<Box<str>, Box<str>>,
    pub triggers: Vec<Rc<Trigger>>,
}

/// A row of `sqlite_schema`.
#[derive(Clone, Debug)]
pub struct Entry {
    pub kind: String,
    pub name: String,
    pub table: String,
    pub root: u32,
    pub sql: Option<Vec<u8>>,
}

/// The SQL of the schema table.
const SCHEMA_SQL: &str =
    "CREATE TABLE sqlite_schema(type text,name text,tbl_name text,rootpage int,sql text)";

pub fn lower(name: &str) -> Box<str> {
    name.to_ascii_lowercase().into()
}

impl Schema {
    /// The schema of database number `db` that `entries` describe.
    ///
    /// # Errors
    /// `malformed database schema`.
    pub fn load(db: usize, cookie: u32, encoding: Encoding, entries: &[Entry]) -> Result<Schema> {
        let mut schema = Schema { cookie, encoding, ..Schema::default() };
        schema.add_table(db, "sqlite_schema", 1, SCHEMA_SQL.as_bytes(), entries)?;
        let mut late = Vec::new();
        for entry in entries {
            let Some(sql) = &entry.sql else { continue };
            match entry.kind.as_str() {
                "table" if entry.root > 0 => {
                    schema.add_table(db, &entry.name, entry.root, sql, entries)?;
                }
                "index" => late.push(entry),
                "view" | "trigger" => schema.add_other(db, entry, sql)?,
                _ => {}
            }
        }
        for entry in late {
            schema.add_index(entry)?;
        }
        Ok(schema)
    }

    fn add_table(
        &mut self,
        db: usize,
        name: &str,
        root: u32,
        sql: &[u8],
        entries: &[Entry],
    ) -> Result<()> {
        let stmt = parse_entry(name, sql)?;
        let Stmt::CreateTable(definition) = stmt else { return Err(malformed(name)) };
        let mut table = Table::define(db, &definition, self.encoding)?;
        table.name = name.into();
        table.root = root;
        table.sql = String::from_utf8_lossy(sql).into();
        // Automatic indexes have no SQL: they are found by their number.
        let indexes = std::mem::take(&mut table.indexes);
        for index in indexes {
            let number = index.name.rsplit('_').next().unwrap_or_default();
            let wanted = format!("sqlite_autoindex_{name}_{number}");
            let found =
                entries.iter().find(|e| e.kind == "index" && e.name.eq_ignore_ascii_case(&wanted));
            let mut index = (*index).clone();
            if let Some(found) = found {
                index.name = found.name.as_str().into();
                index.root = found.root;
                self.indexes.insert(lower(&found.name), lower(name));
            } else {
                return Err(malformed(name));
            }
            table.indexes.insert(0, Rc::new(index));
        }
        if let Some(primary) = &mut table.primary {
            let mut tree = (**primary).clone();
            tree.root = root;
            table.primary = Some(Rc::new(tree));
        }
        self.tables.insert(lower(name), Rc::new(table));
        Ok(())
    }

    fn add_index(&mut self, entry: &Entry) -> Result<()> {
        let sql = entry.sql.as_deref().unwrap_or_default();
        let Stmt::CreateIndex(definition) = parse_entry(&entry.name, sql)? else {
            return Err(malformed(&entry.name));
        };
        let key = lower(&entry.table);
        let table = self.tables.get_mut(&key).ok_or_else(|| malformed(&entry.name))?;
        let mut index = define_index(table, &definition)?;
        index.name = entry.name.as_str().into();
        index.root = entry.root;
        Rc::make_mut(table).indexes.insert(0, Rc::new(index));
        self.indexes.insert(lower(&entry.name), key);
        Ok(())
    }

    fn add_other(&mut self, db: usize, entry: &Entry, sql: &[u8]) -> Result<()> {
        let name: Name = entry.name.as_str().into();
        match parse_entry(&entry.name, sql)? {
            Stmt::CreateView(definition) => {
                let view = View { name, db, definition: *definition };
                self.views.insert(lower(&entry.name), Rc::new(view));
            }
            Stmt::CreateTrigger(definition) => {
                let table_db = definition.table.schema.clone();
                let trigger = Trigger { name, db, table_db, definition: *definition };
                self.triggers.insert(0, Rc::new(trigger));
            }
            _ => return Err(malformed(&entry.name)),
        }
        Ok(())
    }

    /// Takes the rows of `sqlite_stat1` in: table, index, figures.
    pub fn add_statistics(&mut self, rows: &[(String, Option<String>, String)]) {
        for (table, index, figures) in rows {
            let Some(table) = self.tables.get_mut(&lower(table)) else { continue };
            let table = Rc::make_mut(table);
            let stat: Vec<u64> =
                figures.split(' ').map_while(|figure| figure.parse().ok()).collect();
            let Some(rows) = stat.first() else { continue };
            match index {
                None => table.row_estimate = Some(*rows),
                Some(name) => {
                    for index in &mut table.indexes {
                        if index.name.eq_ignore_ascii_case(name) {
                            if index.filter.is_none() {
                                table.row_estimate = Some(*rows);
                            }
                            Rc::make_mut(index).stat = stat.clone();
                        }
                    }
                }
            }
        }
    }
}

fn parse_entry(name: &str, sql: &[u8]) -> Result<Stmt> {
    match parse::statement(sql) {
        Ok(parse::Parsed { stmt: Some(stmt), .. }) => Ok(stmt),
        Ok(_) => Err(malformed(name)),
        Err(error) => {
            Err(Error::coded(11, format!("malformed database schema ({name}) - {error}")))
        }
    }
}

fn malformed(name: &str) -> Error {
    Error::coded(11, format!("malformed database schema ({name})"))
}

impl Table {
    /// What stands for a view with those columns where it is changed.
    pub fn of_view(view: &View, columns: Vec<Column>, encoding: Encoding) -> Table {
        Table {
            name: view.name.clone(),
            db: view.db,
            root: 0,
            fields: vec![None; columns.len()],
            columns,
            rowid_alias: None,
            rowid_conflict: None,
            without_rowid: false,
            autoincrement: false,
            strict: false,
            indexes: vec![],
            primary: None,
            checks: vec![],
            foreign_keys: vec![],
            row_estimate: None,
            sql: "".into(),
            encoding,
            has_generated: false,
            is_view: true,
        }
    }

    /// The table that `CREATE TABLE` describes, without its pages.
    ///
    /// # Errors
    /// What makes a definition wrong: no such column, two primary keys...
    pub fn define(db: usize, create: &CreateTable, encoding: Encoding) -> Result<Table> {
        let mut table = Table {
            name: create.name.name.clone(),
            db,
            root: 0,
            columns: Vec::with_capacity(create.columns.len()),
            rowid_alias: None,
            rowid_conflict: None,
            without_rowid: create.without_rowid,
            autoincrement: false,
            strict: create.strict,
            indexes: vec![],
            primary: None,
            checks: vec![],
            foreign_keys: vec![],
            fields: vec![],
            row_estimate: None,
            sql: "".into(),
            encoding,
            has_generated: false,
            is_view: false,
        };
        if create.columns.len() > 2000 {
            return Err(Error::new(format!("too many columns on {}", create.name.name)));
        }
        let mut builder = Builder { create, unique: vec![], primary: None };
        for def in &create.columns {
            if table.column(&def.name).is_some() {
                return Err(Error::new(format!("duplicate column name: {}", def.name)));
            }
            let affinity =
                def.type_name.as_ref().map_or(Affinity::Blob, |name| Affinity::of_type(name));
            table.columns.push(Column {
                name: def.name.clone(),
                type_name: def.type_name.clone(),
                affinity,
                collation: Collation::Binary,
                not_null: None,
                default: None,
                generated: None,
                primary_key: 0,
            });
            builder.column(&mut table, &def.constraints)?;
        }
        builder.constraints(&mut table)?;
        builder.finish(&mut table)?;
        Ok(table)
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// Whether a name means the rowid.
    pub fn is_rowid_name(&self, name: &str) -> bool {
        !self.without_rowid
            && ["rowid", "_rowid_", "oid"].iter().any(|word| name.eq_ignore_ascii_case(word))
    }

    /// The rows that the planner counts on.
    pub fn rows(&self) -> f64 {
        self.row_estimate.map_or(1_048_576.0, |rows| rows.max(2) as f64)
    }

    /// The columns that lead from an index entry back to the row.
    fn row_key(&self) -> Vec<IndexColumn> {
        match &self.primary {
            Some(primary) => primary.columns[..primary.key_columns].to_vec(),
            None => vec![IndexColumn {
                part: IndexPart::Rowid,
                collation: Collation::Binary,
                desc: false,
            }],
        }
    }

    fn assign_fields(&mut self) {
        self.has_generated = self.columns.iter().any(|c| c.generated.is_some());
        if let Some(primary) = &self.primary {
            let place = |at| primary.columns.iter().position(|c| c.part == IndexPart::Column(at));
            self.fields = (0..self.columns.len()).map(place).collect();
            return;
        }
        let mut next = 0;
        self.fields = self
            .columns
            .iter()
            .map(|column| {
                let stored = column.generated.as_ref().is_none_or(|(_, stored)| *stored);
                next += usize::from(stored);
                stored.then(|| next - 1)
            })
            .collect();
    }
}

/// What is gathered while the constraints of a table are read.
struct Builder<'a> {
    create: &'a CreateTable,
    unique: Vec<(Vec<OrderTerm>, Option<Conflict>, Origin)>,
    primary: Option<(Vec<OrderTerm>, Option<Conflict>, bool)>,
}

impl Builder<'_> {
    fn column(&mut self, table: &mut Table, constraints: &[ColumnConstraint]) -> Result<()> {
        let at = table.columns.len() - 1;
        let name = table.columns[at].name.clone();
        let itself = |desc| {
            let expr = Expr::Column {
                schema: None,
                table: None,
                name: name.clone(),
                quoted: false,
                offset: 0,
            };
            vec![OrderTerm { expr, desc, nulls_first: None }]
        };
        for constraint in constraints {
            let column = &mut table.columns[at];
            match constraint {
                ColumnConstraint::PrimaryKey { desc, conflict, autoincrement } => {
                    self.primary_key(&table.name, itself(*desc), *conflict, *autoincrement)?;
                    // `INTEGER PRIMARY KEY DESC` on a column is no alias of the rowid.
                    if !desc {
                        self.try_alias(table, at, *conflict, *autoincrement)?;
                    } else if *autoincrement {
                        return Err(autoincrement_misplaced());
                    }
                }
                ColumnConstraint::NotNull(conflict) => column.not_null = Some(*conflict),
                ColumnConstraint::Unique(conflict) => {
                    self.unique.push((itself(false), *conflict, Origin::Unique));
                }
                ColumnConstraint::Check { expr, name, text } => table.checks.push(Check {
                    expr: Rc::new(expr.clone()),
                    shown: name.clone().unwrap_or_else(|| text.clone()),
                }),
                ColumnConstraint::Default { expr, text } => {
                    if !is_constant(expr) {
                        return Err(Error::new(format!(
                            "default value of column [{name}] is not constant"
                        )));
                    }
                    column.default = Some((expr.clone(), text.clone()));
                }
                ColumnConstraint::Collate(collation) => column.collation = named(collation)?,
                ColumnConstraint::References(key) => {
                    if key.columns.len() > 1 {
                        return Err(Error::new(format!(
                            "foreign key on {} should reference only one column of table {}",
                            column.name, key.table
                        )));
                    }
                    table.foreign_keys.push(TableKey { columns: vec![at], key: key.clone() });
                }
                ColumnConstraint::Generated { expr, stored } => {
                    column.generated = Some((expr.clone(), *stored));
                }
            }
        }
        Ok(())
    }

    fn primary_key(
        &mut self,
        table: &str,
        columns: Vec<OrderTerm>,
        conflict: Option<Conflict>,
        autoincrement: bool,
    ) -> Result<()> {
        if self.primary.is_some() {
            return Err(Error::new(format!("table \"{table}\" has more than one primary key")));
        }
        self.primary = Some((columns, conflict, autoincrement));
        self.unique.push((vec![], conflict, Origin::PrimaryKey));
        Ok(())
    }

    /// Makes a sole primary key column of type INTEGER the rowid.
    fn try_alias(
        &mut self,
        table: &mut Table,
        at: usize,
        conflict: Option<Conflict>,
        autoincrement: bool,
    ) -> Result<()> {
        let integer =
            table.columns[at].type_name.as_ref().is_some_and(|t| t.eq_ignore_ascii_case("integer"));
        if integer && !self.create.without_rowid {
            table.rowid_alias = Some(at);
            table.rowid_conflict = conflict;
            table.autoincrement = autoincrement;
            self.unique.retain(|(_, _, origin)| *origin != Origin::PrimaryKey);
        } else if autoincrement {
            return Err(if self.create.without_rowid && integer {
                Error::new("AUTOINCREMENT not allowed on WITHOUT ROWID tables")
            } else {
                autoincrement_misplaced()
            });
        }
        Ok(())
    }

    fn constraints(&mut self, table: &mut Table) -> Result<()> {
        for constraint in &self.create.constraints {
            match constraint {
                TableConstraint::PrimaryKey { columns, conflict, autoincrement } => {
                    let name = table.name.clone();
                    self.primary_key(&name, columns.clone(), *conflict, *autoincrement)?;
                    let sole = match columns.as_slice() {
                        [only] => resolve_part(table, &only.expr)?.0,
                        _ => IndexPart::Rowid,
                    };
                    if let IndexPart::Column(at) = sole {
                        self.try_alias(table, at, *conflict, *autoincrement)?;
                    } else if *autoincrement {
                        return Err(autoincrement_misplaced());
                    }
                }
                TableConstraint::Unique { columns, conflict } => {
                    self.unique.push((columns.clone(), *conflict, Origin::Unique));
                }
                TableConstraint::Check { expr, name, text } => table.checks.push(Check {
                    expr: Rc::new(expr.clone()),
                    shown: name.clone().unwrap_or_else(|| text.clone()),
                }),
                TableConstraint::ForeignKey { columns, key } => {
                    let mut at = Vec::new();
                    for name in columns {
                        at.push(table.column(name).ok_or_else(|| {
                            Error::new(format!(
                                "unknown column \"{name}\" in foreign key definition"
                            ))
                        })?);
                    }
                    if !key.columns.is_empty() && key.columns.len() != at.len() {
                        return Err(Error::new(
                            "number of columns in foreign key does not match the number of \
                             columns in the referenced table",
                        ));
                    }
                    table.foreign_keys.push(TableKey { columns: at, key: key.clone() });
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, table: &mut Table) -> Result<()> {
        if !table.columns.is_empty() && table.columns.iter().all(|c| c.generated.is_some()) {
            return Err(Error::new("must have at least one non-generated column"));
        }
        let primary = self.primary.take();
        if let Some((columns, _, _)) = &primary {
            for (n, term) in columns.iter().enumerate() {
                if let (IndexPart::Column(at), _) = resolve_part(table, &term.expr)? {
                    if table.columns[at].generated.is_some() {
                        let text = "generated columns cannot be part of the PRIMARY KEY";
                        return Err(Error::new(text));
                    }
                    table.columns[at].primary_key = n + 1;
                }
            }
        }
        if table.strict {
            strict_types(table)?;
        }
        if table.without_rowid {
            let Some((columns, conflict, _)) = &primary else {
                return Err(Error::new(format!("PRIMARY KEY missing on table {}", table.name)));
            };
            primary_tree(table, columns, *conflict)?;
        }
        // Automatic indexes are numbered in the order in which they come to be. The primary key of a
        // WITHOUT ROWID table has a number and no entry of its own; an INTEGER one comes last.
        let mut made = 0;
        let late =
            table.without_rowid && primary.as_ref().is_some_and(|(c, ..)| is_integer(table, c));
        let auto_name = |table: &Table, number: usize| -> Name {
            format!("sqlite_autoindex_{}_{number}", table.name).into()
        };
        for (columns, conflict, origin) in std::mem::take(&mut self.unique) {
            let columns = match (&primary, origin) {
                (Some((columns, ..)), Origin::PrimaryKey) => {
                    if table.without_rowid {
                        if !late {
                            made += 1;
                            name_primary(table, auto_name(table, made));
                        }
                        continue;
                    }
                    columns.clone()
                }
                _ => columns,
            };
            let mut index = build_index(table, &columns, true, origin, conflict, None)?;
            index.name = auto_name(table, made + 1);
            // The same columns again make no second index.
            let same = |other: &Rc<Index>| {
                other.key_columns == index.key_columns
                    && other
                        .columns
                        .iter()
                        .zip(&index.columns)
                        .take(index.key_columns)
                        .all(|(a, b)| a.part == b.part && a.collation == b.collation)
            };
            let is_primary = table.primary.as_ref().is_some_and(same);
            match table.indexes.iter().position(same) {
                _ if is_primary => {}
                Some(at) if origin == Origin::PrimaryKey => {
                    let mut changed = (*table.indexes[at]).clone();
                    changed.origin = origin;
                    table.indexes[at] = Rc::new(changed);
                }
                Some(_) => {}
                None => {
                    made += 1;
                    table.indexes.push(Rc::new(index));
                }
            }
        }
        if late {
            name_primary(table, auto_name(table, made + 1));
        }
        table.assign_fields();
        Ok(())
    }
}

/// Whether the key is one INTEGER column, which would be the rowid in another table.
fn is_integer(table: &Table, key: &[OrderTerm]) -> bool {
    let [OrderTerm { expr, desc: false, .. }] = key else { return false };
    let Ok((IndexPart::Column(at), _)) = resolve_part(table, expr) else { return false };
    table.columns[at].type_name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case("integer"))
}

fn name_primary(table: &mut Table, name: Name) {
    if let Some(primary) = &mut table.primary {
        Rc::make_mut(primary).name = name;
    }
}

fn autoincrement_misplaced() -> Error {
    Error::new("AUTOINCREMENT is only allowed on an INTEGER PRIMARY KEY")
}

fn strict_types(table: &mut Table) -> Result<()> {
    for column in &mut table.columns {
        let Some(name) = &column.type_name else {
            let text = format!("missing datatype for {}.{}", table.name, column.name);
            return Err(Error::new(text));
        };
        column.affinity = match name.to_ascii_uppercase().as_str() {
            "INT" | "INTEGER" => Affinity::Integer,
            "REAL" => Affinity::Real,
            "TEXT" => Affinity::Text,
            "BLOB" => Affinity::Blob,
            "ANY" => Affinity::Blob,
            _ => {
                return Err(Error::new(format!(
                    "unknown datatype for {}.{}: \"{name}\"",
                    table.name, column.name
                )));
            }
        };
        if column.primary_key > 0 && column.not_null.is_none() && table.rowid_alias.is_none() {
            column.not_null = Some(None);
        }
    }
    Ok(())
}

/// The tree of a WITHOUT ROWID table: the primary key, then all other columns.
fn primary_tree(
    table: &mut Table,
    columns: &[OrderTerm],
    conflict: Option<Conflict>,
) -> Result<()> {
    let mut index = build_index(table, columns, true, Origin::PrimaryKey, conflict, None)?;
    index.columns.truncate(index.key_columns);
    // A column named twice counts once.
    let mut seen: Vec<IndexColumn> = Vec::new();
    for column in index.columns {
        if !seen.iter().any(|s| s.part == column.part && s.collation == column.collation) {
            seen.push(column);
        }
    }
    index.key_columns = seen.len();
    index.key_info = key_info(&seen, table.encoding);
    for (at, column) in table.columns.iter_mut().enumerate() {
        if seen.iter().take(index.key_columns).any(|c| c.part == IndexPart::Column(at)) {
            if column.not_null.is_none() {
                column.not_null = Some(None);
            }
        } else if column.generated.as_ref().is_none_or(|(_, stored)| *stored) {
            seen.push(IndexColumn {
                part: IndexPart::Column(at),
                collation: column.collation,
                desc: false,
            });
        }
    }
    index.columns = seen;
    table.primary = Some(Rc::new(index));
    Ok(())
}

fn key_info(columns: &[IndexColumn], encoding: Encoding) -> Rc<KeyInfo> {
    let columns =
        columns.iter().map(|c| KeyColumn { collation: c.collation, desc: c.desc }).collect();
    Rc::new(KeyInfo { columns, encoding })
}

/// The index that `CREATE INDEX` describes, without its pages.
///
/// # Errors
/// No such column, no such collation.
pub fn define_index(table: &Table, create: &CreateIndex) -> Result<Index> {
    let filter = create.filter.as_ref().map(|expr| Rc::new(expr.clone()));
    let mut index =
        build_index(table, &create.columns, create.unique, Origin::Create, None, filter)?;
    index.name = create.name.name.clone();
    Ok(index)
}

fn build_index(
    table: &Table,
    terms: &[OrderTerm],
    unique: bool,
    origin: Origin,
    conflict: Option<Conflict>,
    filter: Option<Rc<Expr>>,
) -> Result<Index> {
    let mut columns = Vec::with_capacity(terms.len() + 1);
    for term in terms {
        if term.nulls_first.is_some() {
            let which = if term.nulls_first == Some(true) { "FIRST" } else { "LAST" };
            return Err(Error::new(format!("unsupported use of NULLS {which}")));
        }
        let (part, collation) = resolve_part(table, &term.expr)?;
        columns.push(IndexColumn { part, collation, desc: term.desc });
    }
    let key_columns = columns.len();
    for column in table.row_key() {
        let known =
            columns.iter().any(|c| c.part == column.part && c.collation == column.collation);
        if !known {
            columns.push(IndexColumn { desc: false, ..column });
        }
    }
    Ok(Index {
        name: "".into(),
        root: 0,
        unique,
        origin,
        conflict,
        key_columns,
        key_info: key_info(&columns, table.encoding),
        columns,
        filter,
        stat: vec![],
    })
}

/// What an indexed expression means, and its collation.
fn resolve_part(table: &Table, expr: &Expr) -> Result<(IndexPart, Collation)> {
    match expr {
        Expr::Column { table: None, name, quoted, offset, .. } => match table.column(name) {
            Some(at) => Ok((IndexPart::Column(at), table.columns[at].collation)),
            None if *quoted => {
                let literal = crate::ast::Literal::Text(name.as_bytes().into());
                Ok((IndexPart::Expr(Rc::new(Expr::Literal(literal))), Collation::Binary))
            }
            None if table.is_rowid_name(name) => Ok((IndexPart::Rowid, Collation::Binary)),
            None => {
                let text = format!("no such column: {name}");
                Err(Error::new(text).at(*offset))
            }
        },
        Expr::Literal(crate::ast::Literal::Text(text)) => {
            let name = String::from_utf8_lossy(text);
            match table.column(&name) {
                Some(at) => Ok((IndexPart::Column(at), table.columns[at].collation)),
                None => Ok((IndexPart::Expr(Rc::new(expr.clone())), Collation::Binary)),
            }
        }
        Expr::Collate(inner, name) => Ok((resolve_part(table, inner)?.0, named(name)?)),
        other => Ok((IndexPart::Expr(Rc::new(other.clone())), Collation::Binary)),
    }
}

/// The collating sequence of that name.
///
/// # Errors
/// `no such collation sequence`.
pub fn named(name: &str) -> Result<Collation> {
    Collation::by_name(name)
        .ok_or_else(|| Error::new(format!("no such collation sequence: {name}")))
}

/// Whether a default value names no column and asks no query.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(_) => true,
        Expr::Column { quoted, .. } => *quoted,
        Expr::Unary(_, inner) | Expr::Cast(inner, _) | Expr::Collate(inner, _) => {
            is_constant(inner)
        }
        Expr::Binary(_, l, r) => is_constant(l) && is_constant(r),
        Expr::Between { value, low, high, .. } => {
            is_constant(value) && is_constant(low) && is_constant(high)
        }
        Expr::Like { lhs, rhs, .. } => is_constant(lhs) && is_constant(rhs),
        Expr::Call(call) => call.args.iter().all(is_constant),
        Expr::Case { operand, whens, otherwise } => {
            operand.as_deref().is_none_or(is_constant)
                && whens.iter().all(|(w, t)| is_constant(w) && is_constant(t))
                && otherwise.as_deref().is_none_or(is_constant)
        }
        Expr::In { value, set: crate::ast::InSet::List(list), .. } => {
            is_constant(value) && list.iter().all(is_constant)
        }
        _ => false,
    }
}
