//! A connection: the open databases, the transaction, and what a statement does to both.
//!
//! Outside of BEGIN every statement is its own transaction. Within one, a statement that changes
//! something runs in a savepoint of the store, so that its failure undoes itself alone. Named
//! savepoints are the store's lower ones: a store that begins to write late opens as many as stand.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::ast::{Begin, Conflict, Name, Stmt};
use crate::btree::{Meta, Store, TreeKind};
use crate::catalog::{Catalog, MAIN, TEMP};
use crate::collate::Encoding;
use crate::error::{Error, Result};
use crate::exec::{Exec, Flow};
use crate::pager::{OpenOptions, WriteLock};
use crate::parse;
use crate::plan::Output;
use crate::plan_cache::{PlanCache, Prepared};
use crate::record::{self, Field};
use crate::schema::{Entry, Schema, Table, TableKey};
use crate::value::{Owned, Value};

/// Takes the result of a statement.
pub trait Handler {
    /// A statement with a result begins.
    fn columns(&mut self, columns: &[Output]);
    /// A row of it.
    ///
    /// # Errors
    /// The output failed.
    fn row(&mut self, row: &[Value<'_>]) -> Result<Flow>;
}

/// A parsed statement.
pub struct Statement {
    form: Form,
    text: Vec<u8>,
    parameters: Vec<Option<Vec<u8>>>,
}

enum Form {
    Parsed(Box<Stmt>),
    /// One that has come before, and the literals of this time.
    Known(Rc<Prepared>, Vec<Owned>),
}

impl Statement {
    /// 1 for EXPLAIN, 2 for EXPLAIN QUERY PLAN, else 0.
    pub fn explain(&self) -> u8 {
        match &self.form {
            Form::Parsed(stmt) if matches!(**stmt, Stmt::Explain { plan: false, .. }) => 1,
            Form::Parsed(stmt) if matches!(**stmt, Stmt::Explain { plan: true, .. }) => 2,
            _ => 0,
        }
    }

    /// Names of the parameters, by number from 1; `None` for `?`.
    pub fn parameter_names(&self) -> &[Option<Vec<u8>>] {
        &self.parameters
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// Refuse to write.
    pub readonly: bool,
    /// Make the file when it is not there.
    pub create: bool,
}

/// One open database.
pub struct Database {
    pub name: Name,
    pub store: Store,
    pub path: Option<PathBuf>,
    schema: RefCell<Option<Rc<Schema>>>,
}

/// A savepoint by name.
struct Savepoint {
    name: Name,
    /// It began the transaction.
    outermost: bool,
    deferred: usize,
}

/// Settings that are on or off.
pub struct Flags {
    /// Scans may run in batches.
    pub batches: Cell<bool>,
    pub foreign_keys: Cell<bool>,
    pub defer_foreign_keys: Cell<bool>,
    pub recursive_triggers: Cell<bool>,
    pub ignore_checks: Cell<bool>,
    pub query_only: Cell<bool>,
}

impl Default for Flags {
    fn default() -> Flags {
        let off = || Cell::new(false);
        Flags {
            batches: Cell::new(true),
            foreign_keys: off(),
            defer_foreign_keys: off(),
            recursive_triggers: off(),
            ignore_checks: off(),
            query_only: off(),
        }
    }
}

/// A connection.
pub struct Connection {
    databases: RefCell<Vec<Database>>,
    autocommit: Cell<bool>,
    savepoints: RefCell<Vec<Savepoint>>,
    pub changes: Cell<i64>,
    pub total_changes: Cell<i64>,
    pub last_rowid: Cell<i64>,
    pub flags: Flags,
    /// What `PRAGMA cache_size` answers.
    pub cache_size: Cell<i64>,
    interrupted: Cell<Option<&'static AtomicBool>>,
    random: Cell<u64>,
    busy_timeout: Cell<Duration>,
    /// Foreign keys that were broken for the time being.
    deferred: RefCell<Vec<(Rc<Table>, TableKey)>>,
    options: OpenOptions,
    plans: RefCell<PlanCache>,
    /// The catalog of the last statement: the next one's too where no schema has changed.
    catalog: RefCell<Option<Rc<Catalog>>>,
}

impl Connection {
    /// Opens a database file, or one in memory where `path` is `:memory:` or empty.
    ///
    /// # Errors
    /// `unable to open database file`.
    pub fn open(path: &Path, open: Open) -> Result<Connection> {
        let options =
            OpenOptions { read_only: open.readonly, create: open.create, ..OpenOptions::default() };
        let store = open_store(path, &options)?;
        let memory = path.as_os_str().is_empty() || path == Path::new(":memory:");
        let main = Database {
            name: "main".into(),
            store,
            path: (!memory).then(|| std::path::absolute(path).unwrap_or_else(|_| path.into())),
            schema: RefCell::new(None),
        };
        let temp = Database {
            name: "temp".into(),
            store: Store::memory(),
            path: None,
            schema: RefCell::new(None),
        };
        let seed = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64)
            ^ (u64::from(std::process::id()) << 32);
        Ok(Connection {
            databases: RefCell::new(vec![main, temp]),
            autocommit: Cell::new(true),
            savepoints: RefCell::new(vec![]),
            changes: Cell::new(0),
            total_changes: Cell::new(0),
            last_rowid: Cell::new(0),
            flags: Flags::default(),
            cache_size: Cell::new(-2000),
            interrupted: Cell::new(None),
            random: Cell::new(seed | 1),
            busy_timeout: Cell::new(Duration::ZERO),
            deferred: RefCell::new(vec![]),
            options,
            plans: RefCell::default(),
            catalog: RefCell::new(None),
        })
    }

    /// A signal handler sets `flag` to stop the running statement.
    pub fn stop_on(&self, flag: &'static AtomicBool) {
        self.interrupted.set(Some(flag));
    }

    pub fn is_interrupted(&self) -> bool {
        self.interrupted.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    pub fn foreign_keys(&self) -> bool {
        self.flags.foreign_keys.get()
    }

    pub fn defers_foreign_keys(&self) -> bool {
        self.flags.defer_foreign_keys.get()
    }

    pub fn recursive_triggers(&self) -> bool {
        self.flags.recursive_triggers.get()
    }

    pub fn ignores_checks(&self) -> bool {
        self.flags.ignore_checks.get()
    }

    pub fn note_deferred(&self, table: &Rc<Table>, key: &TableKey) {
        self.deferred.borrow_mut().push((table.clone(), key.clone()));
    }

    pub fn count_changes(&self, changes: i64) {
        self.total_changes.set(self.total_changes.get() + changes);
    }

    /// The next number of a xorshift64* sequence.
    pub fn random(&self) -> i64 {
        let mut x = self.random.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) as i64
    }

    /// Whether a transaction was begun by BEGIN or SAVEPOINT.
    pub fn in_transaction(&self) -> bool {
        !self.autocommit.get()
    }

    pub fn set_busy_timeout(&self, timeout: Duration) {
        self.busy_timeout.set(timeout);
        for database in self.databases.borrow().iter() {
            database.store.set_busy_timeout(timeout);
        }
    }

    pub fn busy_timeout(&self) -> Duration {
        self.busy_timeout.get()
    }

    /// The store of database `db`.
    ///
    /// # Errors
    /// There is no such database any more.
    pub fn store(&self, db: usize) -> Result<Store> {
        self.databases
            .borrow()
            .get(db)
            .map(|database| database.store.clone())
            .ok_or_else(|| Error::new("unknown database"))
    }

    /// Number, name and file of every database.
    pub fn databases(&self) -> Vec<(usize, Name, Option<PathBuf>)> {
        let databases = self.databases.borrow();
        databases.iter().enumerate().map(|(n, d)| (n, d.name.clone(), d.path.clone())).collect()
    }

    pub fn attach(&self, path: &Path, name: &str) -> Result<()> {
        if self.databases.borrow().iter().any(|d| d.name.eq_ignore_ascii_case(name)) {
            return Err(Error::new(format!("database {name} is already in use")));
        }
        if self.databases.borrow().len() >= 12 {
            return Err(Error::new("too many attached databases - max 10"));
        }
        let store = open_store(path, &self.options).map_err(|_| {
            Error::coded(14, format!("unable to open database: {}", path.display()))
        })?;
        store.set_busy_timeout(self.busy_timeout.get());
        let memory = path.as_os_str().is_empty() || path == Path::new(":memory:");
        let path = (!memory).then(|| std::path::absolute(path).unwrap_or_else(|_| path.into()));
        let schema = RefCell::new(None);
        self.databases.borrow_mut().push(Database { name: name.into(), store, path, schema });
        Ok(())
    }

    pub fn detach(&self, name: &str) -> Result<()> {
        let at = self.databases.borrow().iter().position(|d| d.name.eq_ignore_ascii_case(name));
        match at {
            None => Err(Error::new(format!("no such database: {name}"))),
            Some(MAIN | TEMP) => Err(Error::new(format!("cannot detach database {name}"))),
            Some(at) => {
                self.databases.borrow_mut().remove(at);
                // Later databases have new numbers.
                self.forget_schemas();
                Ok(())
            }
        }
    }

    // ---- schema -------------------------------------------------------------------------------

    /// Forgets what is known of the schemas.
    pub fn forget_schemas(&self) {
        for database in self.databases.borrow().iter() {
            *database.schema.borrow_mut() = None;
        }
    }

    /// Begins reading all databases and gives their schemas.
    ///
    /// # Errors
    /// `database is locked`, a schema that is malformed.
    pub fn catalog(&self) -> Result<Rc<Catalog>> {
        let databases = self.databases.borrow();
        let mut last = self.catalog.borrow_mut();
        let mut same = last.as_ref().is_some_and(|last| last.schemas.len() == databases.len());
        for (n, database) in databases.iter().enumerate() {
            database.store.begin_read()?;
            let schema = database.load(n)?;
            same = same
                && last.as_ref().is_some_and(|last| {
                    let (name, known) = &last.schemas[n];
                    Rc::ptr_eq(known, &schema) && *name == database.name
                });
        }
        if let Some(last) = last.as_ref().filter(|_| same) {
            return Ok(last.clone());
        }
        let mut schemas = Vec::with_capacity(databases.len());
        for (n, database) in databases.iter().enumerate() {
            schemas.push((database.name.clone(), database.load(n)?));
        }
        let catalog = Rc::new(Catalog { schemas });
        self.plans.borrow_mut().clear();
        *last = Some(catalog.clone());
        Ok(catalog)
    }

    // ---- transactions -------------------------------------------------------------------------

    /// Begins writing to database `db`.
    ///
    /// # Errors
    /// `database is locked`, `attempt to write a readonly database`.
    pub fn begin_write(&self, db: usize) -> Result<()> {
        if self.flags.query_only.get() {
            return Err(Error::coded(8, "attempt to write a readonly database"));
        }
        let store = self.store(db)?;
        self.begin_store(&store, WriteLock::Immediate)
    }

    fn begin_store(&self, store: &Store, lock: WriteLock) -> Result<()> {
        store.begin_write(lock)?;
        while store.savepoint_depth() < self.savepoints.borrow().len() {
            store.open_savepoint()?;
        }
        Ok(())
    }

    fn each_store(&self, mut each: impl FnMut(&Store) -> Result<()>) -> Result<()> {
        let stores: Vec<Store> = self.databases.borrow().iter().map(|d| d.store.clone()).collect();
        stores.iter().try_for_each(&mut each)
    }

    fn begin(&self, kind: Begin) -> Result<()> {
        if !self.autocommit.get() {
            return Err(Error::new("cannot start a transaction within a transaction"));
        }
        let lock = match kind {
            Begin::Deferred => None,
            Begin::Immediate => Some(WriteLock::Immediate),
            Begin::Exclusive => Some(WriteLock::Exclusive),
        };
        if let Some(lock) = lock {
            self.each_store(|store| self.begin_store(store, lock))?;
        }
        self.autocommit.set(false);
        Ok(())
    }

    fn commit(&self) -> Result<()> {
        self.check_deferred()?;
        self.each_store(|store| {
            if store.in_write() {
                store.commit()?;
            }
            store.end_read();
            Ok(())
        })?;
        self.autocommit.set(true);
        self.savepoints.borrow_mut().clear();
        self.flags.defer_foreign_keys.set(false);
        Ok(())
    }

    fn check_deferred(&self) -> Result<()> {
        let deferred = std::mem::take(&mut *self.deferred.borrow_mut());
        if deferred.is_empty() {
            return Ok(());
        }
        let catalog = self.catalog()?;
        let exec = Exec::new(self, catalog, &[]);
        for (table, key) in &deferred {
            if exec.has_orphans(table, key)? {
                *self.deferred.borrow_mut() = deferred;
                let text = "FOREIGN KEY constraint failed";
                return Err(Error::constraint(text, Conflict::Abort));
            }
        }
        Ok(())
    }

    /// Undoes the whole transaction.
    ///
    /// # Errors
    /// I/O.
    pub fn rollback(&self) -> Result<()> {
        self.autocommit.set(true);
        self.savepoints.borrow_mut().clear();
        self.deferred.borrow_mut().clear();
        self.flags.defer_foreign_keys.set(false);
        self.forget_schemas();
        self.each_store(|store| {
            if store.in_write() {
                store.rollback()?;
            }
            store.end_read();
            Ok(())
        })
    }

    fn savepoint(&self, name: &Name) -> Result<()> {
        let outermost = self.autocommit.get();
        self.autocommit.set(false);
        let deferred = self.deferred.borrow().len();
        self.savepoints.borrow_mut().push(Savepoint { name: name.clone(), outermost, deferred });
        self.each_store(|store| {
            if store.in_write() {
                self.begin_store(store, WriteLock::Immediate)?;
            }
            Ok(())
        })
    }

    fn find_savepoint(&self, name: &Name) -> Result<usize> {
        let savepoints = self.savepoints.borrow();
        savepoints
            .iter()
            .rposition(|savepoint| savepoint.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| Error::new(format!("no such savepoint: {name}")))
    }

    fn release(&self, name: &Name) -> Result<()> {
        let at = self.find_savepoint(name)?;
        if self.savepoints.borrow()[at].outermost {
            return self.commit();
        }
        self.savepoints.borrow_mut().truncate(at);
        self.each_store(|store| {
            if store.in_write() {
                store.release_savepoint(at);
            }
            Ok(())
        })
    }

    fn rollback_to(&self, name: &Name) -> Result<()> {
        let at = self.find_savepoint(name)?;
        let mut savepoints = self.savepoints.borrow_mut();
        savepoints.truncate(at + 1);
        self.deferred.borrow_mut().truncate(savepoints[at].deferred);
        drop(savepoints);
        self.forget_schemas();
        self.each_store(|store| {
            if store.in_write() { Ok(store.rollback_to_savepoint(at)?) } else { Ok(()) }
        })
    }

    /// Ends the transaction that a statement was alone.
    fn end_statement(&self) -> Result<()> {
        if self.autocommit.get() {
            let result = self.commit();
            if result.is_err() {
                self.rollback()?;
            }
            return result;
        }
        Ok(())
    }

    // ---- statements ---------------------------------------------------------------------------

    /// Parses the first statement of `sql` and says how many bytes it took; `None` for blanks and
    /// comments.
    ///
    /// # Errors
    /// Its syntax is wrong.
    pub fn prepare(&self, sql: &[u8]) -> Result<(Option<Statement>, usize)> {
        let known = self.plans.try_borrow_mut().ok().and_then(|mut plans| plans.find(sql));
        if let Some((prepared, values, tail)) = known {
            let text = sql.get(..tail).unwrap_or(sql).to_vec();
            let form = Form::Known(prepared, values);
            return Ok((Some(Statement { form, text, parameters: vec![] }), tail));
        }
        let parsed = parse::statement(sql).map_err(Error::in_prepare)?;
        let tail = parsed.tail;
        let Some(stmt) = parsed.stmt else { return Ok((None, tail)) };
        let text = sql.get(..tail).unwrap_or(sql).to_vec();
        let form = Form::Parsed(Box::new(stmt));
        Ok((Some(Statement { form, text, parameters: parsed.variables }), tail))
    }

    /// Runs a statement with these values for its parameters.
    ///
    /// # Errors
    /// What the statement failed with; whatever it did is undone as its conflict clause says.
    pub fn execute(
        &self,
        statement: &Statement,
        values: &[Owned],
        handler: &mut dyn Handler,
    ) -> Result<()> {
        if let Some(flag) = self.interrupted.get() {
            flag.store(false, Ordering::Relaxed);
        }
        match &statement.form {
            Form::Parsed(stmt) => self.run(stmt, &statement.text, values, handler),
            Form::Known(prepared, values) => {
                let result = crate::statement::run_known(self, prepared, values, handler);
                match result {
                    // It means nothing any more: the text itself tells where the error is.
                    Ok(false) => {
                        let parsed =
                            parse::statement(&statement.text).map_err(Error::in_prepare)?;
                        match &parsed.stmt {
                            Some(stmt) => self.run(stmt, &statement.text, &[], handler),
                            None => Ok(()),
                        }
                    }
                    Ok(true) => self.ended(Ok(())),
                    Err(error) => self.ended(Err(error)),
                }
            }
        }
    }

    fn run(
        &self,
        stmt: &Stmt,
        text: &[u8],
        params: &[Owned],
        handler: &mut dyn Handler,
    ) -> Result<()> {
        match stmt {
            Stmt::Begin(kind) => self.begin(*kind),
            Stmt::Commit if self.autocommit.get() => {
                Err(Error::new("cannot commit - no transaction is active"))
            }
            Stmt::Commit => self.commit(),
            Stmt::Rollback(None) if self.autocommit.get() => {
                Err(Error::new("cannot rollback - no transaction is active"))
            }
            Stmt::Rollback(None) => self.rollback(),
            Stmt::Rollback(Some(name)) => self.rollback_to(name),
            Stmt::Savepoint(name) => self.savepoint(name),
            Stmt::Release(name) => self.release(name),
            _ => self.run_in_transaction(stmt, text, params, handler),
        }
    }

    fn run_in_transaction(
        &self,
        stmt: &Stmt,
        text: &[u8],
        params: &[Owned],
        handler: &mut dyn Handler,
    ) -> Result<()> {
        self.ended(crate::statement::run(self, stmt, text, params, handler))
    }

    /// Ends what a statement began, as its result and its conflict clause say.
    fn ended(&self, result: Result<()>) -> Result<()> {
        match result {
            Ok(()) => self.end_statement(),
            Err(error) => {
                if error.conflict() == Conflict::Fail && self.autocommit.get() {
                    self.end_statement()?;
                } else if error.conflict() == Conflict::Rollback || self.autocommit.get() {
                    self.rollback()?;
                }
                Err(error)
            }
        }
    }

    /// Runs what changes database `db` so that its failure undoes itself alone.
    ///
    /// # Errors
    /// What `work` failed with.
    pub fn atomically<T>(&self, db: usize, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.begin_write(db)?;
        let store = self.store(db)?;
        let alone = self.autocommit.get();
        let depth = if alone { 0 } else { store.open_savepoint()? };
        let result = work();
        if alone {
            return result;
        }
        match &result {
            Ok(_) => store.release_savepoint(depth),
            Err(error) => match error.conflict() {
                Conflict::Fail => store.release_savepoint(depth),
                Conflict::Rollback => {}
                _ => {
                    store.rollback_to_savepoint(depth)?;
                    store.release_savepoint(depth);
                    self.forget_schemas();
                }
            },
        }
        result
    }

    // ---- sqlite_sequence ----------------------------------------------------------------------

    fn sequence_table(&self, table: &Table) -> Result<Option<Rc<Table>>> {
        let databases = self.databases.borrow();
        let database = databases.get(table.db).ok_or_else(|| Error::new("unknown database"))?;
        let schema = database.load(table.db)?;
        Ok(schema.tables.get("sqlite_sequence").cloned())
    }

    /// The highest rowid that AUTOINCREMENT has given in a table.
    pub fn read_sequence(&self, table: &Table) -> Result<i64> {
        let Some(sequence) = self.sequence_table(table)? else { return Ok(0) };
        let mut cursor = self.store(table.db)?.cursor(sequence.root, TreeKind::Table)?;
        let mut on = cursor.first()?;
        while on {
            let (name, value) = name_and_value(cursor.payload()?, table.encoding)?;
            if name.eq_ignore_ascii_case(&table.name) {
                return Ok(value);
            }
            on = cursor.next()?;
        }
        Ok(0)
    }

    /// Notes it.
    pub fn write_sequence(&self, table: &Table, value: i64) -> Result<()> {
        let Some(sequence) = self.sequence_table(table)? else { return Ok(()) };
        let mut cursor = self.store(table.db)?.cursor(sequence.root, TreeKind::Table)?;
        let mut on = cursor.first()?;
        let mut rowid = 0;
        let mut last = 0;
        while on {
            last = cursor.rowid()?;
            let (name, _) = name_and_value(cursor.payload()?, table.encoding)?;
            if name.eq_ignore_ascii_case(&table.name) {
                rowid = last;
                break;
            }
            on = cursor.next()?;
        }
        let mut bytes = Vec::new();
        let name = table.encoding.encode(table.name.as_bytes());
        record::encode([Field::Text(&name), Field::Int(value)], &mut bytes);
        let rowid = if rowid == 0 { last + 1 } else { rowid };
        Ok(cursor.insert_row(rowid, &bytes, 0, crate::btree::Placement::Anywhere)?)
    }
}

fn name_and_value(record: &[u8], encoding: Encoding) -> Result<(String, i64)> {
    let mut fields = record::fields(record)?;
    let mut next = || fields.next().transpose();
    let name = Value::from_field(next()?.unwrap_or(Field::Null), encoding);
    let value = Value::from_field(next()?.unwrap_or(Field::Null), encoding);
    Ok((String::from_utf8_lossy(&name.to_text()).into_owned(), value.to_int()))
}

fn open_store(path: &Path, options: &OpenOptions) -> Result<Store> {
    if path == Path::new(":memory:") {
        return Ok(Store::memory());
    }
    if path.as_os_str().is_empty() {
        return Ok(Store::temporary());
    }
    Ok(Store::open(path, options)?)
}

impl Database {
    /// The schema, read anew when its cookie has changed.
    fn load(&self, db: usize) -> Result<Rc<Schema>> {
        let cookie = self.store.meta(Meta::SchemaCookie)?;
        if let Some(schema) = &*self.schema.borrow()
            && schema.cookie == cookie
        {
            return Ok(schema.clone());
        }
        let encoding = self.store.encoding()?;
        let entries = self.entries(encoding)?;
        let mut schema = Schema::load(db, cookie, encoding, &entries)?;
        let stat = schema.tables.get("sqlite_stat1").map(|table| table.root);
        if let Some(root) = stat {
            schema.add_statistics(&self.statistics(root, encoding)?);
        }
        let schema = Rc::new(schema);
        *self.schema.borrow_mut() = Some(schema.clone());
        Ok(schema)
    }

    fn entries(&self, encoding: Encoding) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        if self.store.page_count() == 0 {
            return Ok(entries);
        }
        let mut cursor = self.store.cursor(1, TreeKind::Table)?;
        let mut on = cursor.first()?;
        while on {
            let mut values = Vec::with_capacity(5);
            for field in record::fields(cursor.payload()?)? {
                values.push(Value::from_field(field?, encoding).into_owned());
            }
            values.resize(5, Value::Null);
            let text = |n: usize| String::from_utf8_lossy(&values[n].to_text()).into_owned();
            entries.push(Entry {
                kind: text(0),
                name: text(1),
                table: text(2),
                root: values[3].to_int() as u32,
                sql: values[4].to_bytes().map(|sql| sql.into_owned()),
            });
            on = cursor.next()?;
        }
        Ok(entries)
    }

    fn statistics(
        &self,
        root: u32,
        encoding: Encoding,
    ) -> Result<Vec<(String, Option<String>, String)>> {
        let mut rows = Vec::new();
        let mut cursor = self.store.cursor(root, TreeKind::Table)?;
        let mut on = cursor.first()?;
        while on {
            let mut values = Vec::with_capacity(3);
            for field in record::fields(cursor.payload()?)? {
                let value = Value::from_field(field?, encoding);
                values.push(value.to_bytes().map(|v| String::from_utf8_lossy(&v).into_owned()));
            }
            values.resize(3, None);
            let mut values = values.into_iter();
            let (table, index, stat) = (values.next(), values.next(), values.next());
            if let (Some(Some(table)), Some(index), Some(Some(stat))) = (table, index, stat) {
                rows.push((table, index, stat));
            }
            on = cursor.next()?;
        }
        Ok(rows)
    }
}
