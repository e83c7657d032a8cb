//! Running one statement within its transaction.

use std::path::Path;
use std::rc::Rc;

use crate::ast::{self, Stmt};
use crate::compile::{Compiler, explain};
use crate::connection::{Connection, Handler};
use crate::error::{Error, Result};
use crate::exec::{Exec, Flow, Frame};
use crate::plan::Output;
use crate::plan_cache::{Plan, Prepared};
use crate::value::{Owned, Value};

/// Runs a statement other than those that begin and end transactions.
pub(crate) fn run(
    connection: &Connection,
    stmt: &Stmt,
    text: &[u8],
    params: &[Owned],
    handler: &mut dyn Handler,
) -> Result<()> {
    if let Stmt::Pragma { name, value } = stmt {
        return pragma(connection, name, value.as_ref(), handler);
    }
    let catalog = connection.catalog().map_err(Error::in_prepare)?;
    let exec = Exec::new(connection, catalog, params);
    match stmt {
        Stmt::Select(select) => {
            let plan = prepare(&exec, |compiler| compiler.select(select))?;
            handler.columns(&plan.columns);
            exec.run_select(&plan, None, &mut |row| handler.row(row))
        }
        Stmt::Insert(insert) => {
            let plan = prepare(&exec, |compiler| compiler.insert(insert))?;
            let db = plan.table.db;
            change(&exec, db, &plan.outputs, handler, || exec.run_insert(&plan, None))
        }
        Stmt::Update(update) => {
            let plan = prepare(&exec, |compiler| compiler.update(update))?;
            let db = plan.table.db;
            change(&exec, db, &plan.outputs, handler, || exec.run_update(&plan, None))
        }
        Stmt::Delete(delete) => {
            let plan = prepare(&exec, |compiler| compiler.delete(delete))?;
            let db = plan.table.db;
            change(&exec, db, &plan.outputs, handler, || exec.run_delete(&plan, None))
        }
        Stmt::Explain { plan: true, stmt } => explain_plan(&exec, stmt, handler),
        Stmt::Explain { .. } => Err(Error::new(
            "EXPLAIN lists no opcodes: this engine has none; use EXPLAIN QUERY PLAN",
        )),
        Stmt::Attach { file, name } => {
            let file = constant(&exec, file)?;
            let name = constant(&exec, name)?;
            if connection.in_transaction() {
                return Err(Error::new("cannot ATTACH database within transaction"));
            }
            connection.attach(Path::new(&file), &name)
        }
        Stmt::Detach(name) => {
            let name = constant(&exec, name)?;
            if connection.in_transaction() {
                return Err(Error::new("cannot DETACH database within transaction"));
            }
            connection.detach(&name)
        }
        other => crate::ddl::run(&exec, other, text).map_err(|error| {
            // A definition that is wrong is refused before anything runs.
            if error.code() == crate::error::ERROR { error.in_prepare() } else { error }
        }),
    }
}

/// Runs a statement that has come before, with the literals of this time; `false`, nothing done: it
/// cannot be compiled any more, or the schema decides by literals.
pub(crate) fn run_known(
    connection: &Connection,
    prepared: &Prepared,
    literals: &[Owned],
    handler: &mut dyn Handler,
) -> Result<bool> {
    let catalog = connection.catalog().map_err(Error::in_prepare)?;
    let exec = Exec::new(connection, catalog, literals);
    let Some(plan) = known_plan(&exec, prepared) else { return Ok(false) };
    match &*plan {
        Plan::Select(plan) => {
            handler.columns(&plan.columns);
            exec.run_select(plan, None, &mut |row| handler.row(row))?;
        }
        Plan::Insert(plan) => {
            let work = || exec.run_insert(plan, None);
            change(&exec, plan.table.db, &plan.outputs, handler, work)?;
        }
        Plan::Update(plan) => {
            let work = || exec.run_update(plan, None);
            change(&exec, plan.table.db, &plan.outputs, handler, work)?;
        }
        Plan::Delete(plan) => {
            let work = || exec.run_delete(plan, None);
            change(&exec, plan.table.db, &plan.outputs, handler, work)?;
        }
    }
    Ok(true)
}

/// The kept plan, or a new one that is kept.
fn known_plan(exec: &Exec<'_>, prepared: &Prepared) -> Option<Rc<Plan>> {
    if let Some((plan, caches)) = prepared.plan(&exec.catalog) {
        exec.caches.set(caches);
        return Some(plan);
    }
    if exec.catalog.decides_by_literals() {
        return None;
    }
    let plan = exec.compile(|compiler| {
        Ok(match &prepared.stmt {
            Stmt::Select(select) => Plan::Select(compiler.select(select)?),
            Stmt::Insert(insert) => Plan::Insert(compiler.insert(insert)?),
            Stmt::Update(update) => Plan::Update(compiler.update(update)?),
            Stmt::Delete(delete) => Plan::Delete(compiler.delete(delete)?),
            _ => return Err(Error::new("not a statement that is kept")),
        })
    });
    let plan = Rc::new(plan.ok()?);
    prepared.set_plan(&exec.catalog, plan.clone(), exec.caches.get());
    Some(plan)
}

/// Compiles a statement; what goes wrong there is said to have gone wrong before it ran.
fn prepare<T>(exec: &Exec<'_>, work: impl FnOnce(&mut Compiler<'_>) -> Result<T>) -> Result<T> {
    exec.compile(work).map_err(Error::in_prepare)
}

fn change(
    exec: &Exec<'_>,
    db: usize,
    outputs: &[Output],
    handler: &mut dyn Handler,
    work: impl FnOnce() -> Result<(i64, crate::dml::Returned)>,
) -> Result<()> {
    let connection = exec.connection;
    let (changes, returned) = connection.atomically(db, work)?;
    connection.changes.set(changes);
    connection.count_changes(changes);
    if !outputs.is_empty() {
        handler.columns(outputs);
        for row in returned {
            if handler.row(&row)? == Flow::Stop {
                break;
            }
        }
    }
    Ok(())
}

/// The value of an expression without columns, as text; a bare name stands for itself.
fn constant(exec: &Exec<'_>, expr: &ast::Expr) -> Result<String> {
    if let ast::Expr::Column { table: None, name, .. } = expr {
        return Ok(name.to_string());
    }
    let bound = prepare(exec, |compiler: &mut Compiler<'_>| {
        compiler.push_rows(vec![], true);
        compiler.expr(expr)
    })?;
    let frame = Frame::of_rows(None, vec![]);
    let value = exec.eval(&bound, &frame)?;
    Ok(String::from_utf8_lossy(&value.to_text()).into_owned())
}

fn explain_plan(exec: &Exec<'_>, stmt: &Stmt, handler: &mut dyn Handler) -> Result<()> {
    let lines = match stmt {
        Stmt::Select(select) => explain::lines(&prepare(exec, |compiler| compiler.select(select))?),
        Stmt::Insert(insert) => {
            let plan = prepare(exec, |compiler| compiler.insert(insert))?;
            plan.source.as_ref().map(explain::lines).unwrap_or_default()
        }
        Stmt::Update(update) => {
            explain::lines(&prepare(exec, |compiler| compiler.update(update))?.query)
        }
        Stmt::Delete(delete) => {
            let plan = prepare(exec, |compiler| compiler.delete(delete))?;
            if plan.truncate { vec![] } else { explain::lines(&plan.query) }
        }
        _ => vec![],
    };
    handler.columns(&explain::columns());
    for (id, parent, text) in lines {
        let row = [Value::Int(id), Value::Int(parent), Value::Int(0), Value::text(text)];
        handler.row(&row)?;
    }
    Ok(())
}

fn pragma(
    connection: &Connection,
    name: &ast::QualifiedName,
    value: Option<&ast::PragmaValue>,
    handler: &mut dyn Handler,
) -> Result<()> {
    let value = value.map(|value| value.text.as_slice());
    let result = crate::pragma::run_on(connection, name.schema.as_deref(), &name.name, value)?;
    if result.columns.is_empty() {
        return Ok(());
    }
    let outputs: Vec<Output> = result.columns.iter().map(|name| explain::column(name)).collect();
    handler.columns(&outputs);
    for row in result.rows {
        if handler.row(&row)? == Flow::Stop {
            break;
        }
    }
    Ok(())
}
