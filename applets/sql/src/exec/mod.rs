//! The executor: plans to rows.
//!
//! Rows are pushed: a loop calls the loop inside it, the innermost calls the stage that groups,
//! sorts or hands out. A row that was found is copied once into its slot and decoded column by
//! column, only as far as somebody asks; so nothing holds a page while deeper loops run.

mod access;
mod batch;
mod eval;
mod frame;
mod group;
mod hash;
mod keys;
mod query;
mod select;
mod sorter;
mod window;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::catalog::Catalog;
use crate::connection::Connection;
use crate::error::{Error, INTERRUPT, Result};
use crate::value::{Owned, Value};

pub(crate) use access::{as_rowid, row_key, rowid_of_entry};
pub(crate) use eval::RAISE_IGNORE;
pub use frame::{Fetch, Frame, Slot, layout_of_table};
pub(crate) use hash::KeyHasher;
pub use select::Row;

/// Whether a producer of rows goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    Stop,
}

/// Takes rows.
pub type Sink<'s> = dyn FnMut(&[Value<'_>]) -> Result<Flow> + 's;

/// The expressions of generated columns, by column.
type Generated = Rc<Vec<(usize, crate::plan::Expr)>>;

/// A kept result.
#[derive(Clone)]
pub(crate) enum Kept {
    Value(Owned),
    Row(Rc<Vec<Owned>>),
    Rows(Rc<Vec<Row>>),
    Set(Rc<hash::Set>),
}

/// A running statement.
pub struct Exec<'a> {
    pub connection: &'a Connection,
    pub catalog: Rc<Catalog>,
    pub params: &'a [Owned],
    /// Results of subqueries that do not depend on an outer row.
    kept: RefCell<Vec<Option<Kept>>>,
    /// The row that each recursive table gives now.
    recursion: RefCell<HashMap<usize, Row>>,
    /// Hash tables of joins, by the address of their level.
    hashes: RefCell<HashMap<usize, Rc<hash::JoinTable>>>,
    /// The expressions of generated columns, by the address of their table.
    virtuals: RefCell<HashMap<usize, Generated>>,
    /// How deep triggers have fired.
    pub depth: Cell<usize>,
    /// The triggers that are running, by address.
    pub running: RefCell<Vec<usize>>,
    /// Programs of triggers, by address.
    pub programs: RefCell<HashMap<usize, Rc<crate::dml::Program>>>,
    /// The next free number of a kept result.
    pub caches: Cell<usize>,
    ticks: Cell<u32>,
}

impl<'a> Exec<'a> {
    pub fn new(connection: &'a Connection, catalog: Rc<Catalog>, params: &'a [Owned]) -> Exec<'a> {
        Exec {
            connection,
            catalog,
            params,
            kept: RefCell::new(Vec::new()),
            recursion: RefCell::new(HashMap::new()),
            hashes: RefCell::new(HashMap::new()),
            virtuals: RefCell::new(HashMap::new()),
            depth: Cell::new(0),
            running: RefCell::new(Vec::new()),
            programs: RefCell::new(HashMap::new()),
            caches: Cell::new(0),
            ticks: Cell::new(0),
        }
    }

    /// Makes a compiler whose kept results do not meet those of earlier ones.
    pub fn compile<T>(
        &self,
        work: impl FnOnce(&mut crate::compile::Compiler<'_>) -> Result<T>,
    ) -> Result<T> {
        let catalog = self.catalog.clone();
        let mut compiler = crate::compile::Compiler::new(&catalog);
        compiler.start_caches_at(self.caches.get());
        let result = work(&mut compiler);
        self.caches.set(compiler.caches());
        result
    }

    /// Forgets what was kept: another row of a trigger runs, or the data has changed.
    pub fn forget_from(&self, first: usize) {
        self.kept.borrow_mut().truncate(first);
        self.hashes.borrow_mut().clear();
    }

    fn kept(&self, at: usize) -> Option<Kept> {
        self.kept.borrow().get(at).cloned().flatten()
    }

    fn keep(&self, at: usize, what: Kept) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() <= at {
            kept.resize_with(at + 1, || None);
        }
        kept[at] = Some(what);
    }

    /// Asked once a row: whether the person wants it to stop.
    #[inline]
    pub(crate) fn tick(&self) -> Result<()> {
        let ticks = self.ticks.get().wrapping_add(1);
        self.ticks.set(ticks);
        if ticks & 0x3ff == 0 && self.connection.is_interrupted() {
            return Err(Error::coded(INTERRUPT, "interrupted"));
        }
        Ok(())
    }
}
