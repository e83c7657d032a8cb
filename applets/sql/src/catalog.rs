//! What the names of all open databases mean: `main`, `temp`, attached ones.

use std::rc::Rc;

use crate::ast::Name;
use crate::schema::{IndexPart, Schema, Table, Trigger, View, lower};

/// The number of `main`.
pub const MAIN: usize = 0;
/// The number of `temp`.
pub const TEMP: usize = 1;

/// The schemas that a statement is compiled against.
#[derive(Clone, Default)]
pub struct Catalog {
    /// By database number.
    pub schemas: Vec<(Name, Rc<Schema>)>,
}

impl Catalog {
    /// The name of a database.
    pub fn name(&self, db: usize) -> Name {
        self.schemas.get(db).map_or_else(|| "main".into(), |(name, _)| name.clone())
    }

    /// The number of the database of that name.
    pub fn database(&self, name: &str) -> Option<usize> {
        self.schemas.iter().position(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    /// The databases in the order in which a bare name is looked up: temp, main, the others.
    fn order<'s>(&'s self, only: Option<&'s str>) -> impl Iterator<Item = (usize, &'s Rc<Schema>)> {
        let numbers = [TEMP, MAIN].into_iter().chain(2..self.schemas.len());
        numbers
            .filter_map(|db| self.schemas.get(db).map(|(name, schema)| (db, name, schema)))
            .filter(move |(_, name, _)| only.is_none_or(|only| name.eq_ignore_ascii_case(only)))
            .map(|(db, _, schema)| (db, schema))
    }

    /// The table of that name.
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<Rc<Table>> {
        let key = lower(name);
        let master = ["sqlite_master", "sqlite_schema"].contains(&&*key);
        if master || ["sqlite_temp_master", "sqlite_temp_schema"].contains(&&*key) {
            let db = match schema {
                Some(schema) => self.database(schema)?,
                None if master => MAIN,
                None => TEMP,
            };
            return self.schemas.get(db)?.1.tables.get("sqlite_schema").cloned();
        }
        self.order(schema).find_map(|(_, schema)| schema.tables.get(&key).cloned())
    }

    /// The view of that name, where no table hides it.
    pub fn view(&self, schema: Option<&str>, name: &str) -> Option<Rc<View>> {
        let key = lower(name);
        self.order(schema).find_map(|(_, schema)| {
            if schema.tables.contains_key(&key) {
                return Some(None);
            }
            schema.views.get(&key).map(|view| Some(view.clone()))
        })?
    }

    /// The table of the index of that name.
    pub fn index_table(&self, schema: Option<&str>, name: &str) -> Option<Rc<Table>> {
        let key = lower(name);
        self.order(schema).find_map(|(_, schema)| {
            schema.indexes.get(&key).and_then(|table| schema.tables.get(table)).cloned()
        })
    }

    /// The trigger of that name.
    pub fn trigger(&self, schema: Option<&str>, name: &str) -> Option<Rc<Trigger>> {
        self.order(schema).find_map(|(_, schema)| {
            schema.triggers.iter().find(|t| t.name.eq_ignore_ascii_case(name)).cloned()
        })
    }

    /// Whether an index holds part of its table or expressions: then a literal can decide whether it
    /// serves a query.
    pub fn decides_by_literals(&self) -> bool {
        let decides = |index: &crate::schema::Index| {
            let is_expr = |part: &IndexPart| matches!(part, IndexPart::Expr(_));
            index.filter.is_some() || index.columns.iter().any(|column| is_expr(&column.part))
        };
        let tables = self.schemas.iter().flat_map(|(_, schema)| schema.tables.values());
        tables.flat_map(|table| table.indexes.iter()).any(|index| decides(index))
    }

    /// The triggers of a table or view.
    pub fn triggers_of(&self, db: usize, table: &str) -> Vec<Rc<Trigger>> {
        let mut found = Vec::new();
        for at in [TEMP, db] {
            if at == TEMP && db == TEMP && !found.is_empty() {
                continue;
            }
            let Some((_, schema)) = self.schemas.get(at) else { continue };
            for trigger in &schema.triggers {
                let same = trigger.definition.table.name.eq_ignore_ascii_case(table);
                let here = at == db
                    || match &trigger.table_db {
                        Some(name) => self.database(name) == Some(db),
                        None => true,
                    };
                if same && here {
                    found.push(trigger.clone());
                }
            }
            if at == db {
                break;
            }
        }
        found
    }
}
