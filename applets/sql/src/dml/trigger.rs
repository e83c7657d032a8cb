//! Triggers: their programs are compiled at the first firing and run with OLD and NEW as the rows of
//! a frame around them.

use std::rc::Rc;

use super::NewRow;
use crate::ast::{Conflict, Stmt, TriggerEvent, TriggerTime};
use crate::compile::RowScope;
use crate::error::{Error, Result};
use crate::exec::{Exec, Flow, Frame, RAISE_IGNORE, Slot};
use crate::plan::{Delete, Expr, Insert, ROWID, Select, Update};
use crate::schema::{Table, Trigger};

/// How deep triggers may fire each other (SQLITE_MAX_TRIGGER_DEPTH).
const MAX_DEPTH: usize = 1000;

/// The body of a trigger, compiled.
pub struct Program {
    when: Option<Expr>,
    steps: Vec<Step>,
}

enum Step {
    Select(Select),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
}

/// The triggers that one statement may fire.
pub(super) struct Triggers {
    table: Rc<Table>,
    list: Vec<Rc<Trigger>>,
}

impl Triggers {
    fn of(
        exec: &Exec<'_>,
        table: &Rc<Table>,
        wanted: impl Fn(&TriggerEvent) -> bool,
    ) -> Result<Triggers> {
        let mut list = exec.catalog.triggers_of(table.db, &table.name);
        list.retain(|trigger| wanted(&trigger.definition.event));
        if !exec.connection.recursive_triggers() {
            let running = exec.running.borrow();
            list.retain(|t| !running.contains(&(Rc::as_ptr(t) as usize)));
        }
        let triggers = Triggers { table: table.clone(), list };
        // What is wrong with a trigger keeps the statement from being prepared.
        for trigger in &triggers.list {
            triggers.program(exec, trigger)?;
        }
        Ok(triggers)
    }

    pub fn of_insert(exec: &Exec<'_>, table: &Rc<Table>) -> Result<Triggers> {
        Triggers::of(exec, table, |event| *event == TriggerEvent::Insert)
    }

    pub fn of_delete(exec: &Exec<'_>, table: &Rc<Table>) -> Result<Triggers> {
        Triggers::of(exec, table, |event| *event == TriggerEvent::Delete)
    }

    pub fn of_update(exec: &Exec<'_>, table: &Rc<Table>, changed: &[u16]) -> Result<Triggers> {
        Triggers::of(exec, table, |event| match event {
            TriggerEvent::Update(columns) => {
                columns.is_empty()
                    || columns.iter().any(|name| {
                        table.column(name).is_some_and(|at| {
                            changed.contains(&(at as u16))
                                || table.rowid_alias == Some(at) && changed.contains(&ROWID)
                        })
                    })
            }
            _ => false,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Fires the triggers of that time; `false`: RAISE(IGNORE) gives the row up.
    pub fn fire(
        &self,
        exec: &Exec<'_>,
        time: TriggerTime,
        old: Option<&NewRow>,
        new: Option<&NewRow>,
        conflict: Option<Conflict>,
    ) -> Result<bool> {
        let _ = conflict;
        for trigger in self.list.iter().filter(|t| t.definition.time == time) {
            if exec.depth.get() >= MAX_DEPTH {
                return Err(Error::new("too many levels of trigger recursion"));
            }
            exec.depth.set(exec.depth.get() + 1);
            exec.running.borrow_mut().push(Rc::as_ptr(trigger) as usize);
            let result = self.run(exec, trigger, old, new);
            exec.running.borrow_mut().pop();
            exec.depth.set(exec.depth.get() - 1);
            match result {
                Err(error) if error.code() == RAISE_IGNORE => return Ok(false),
                other => other?,
            }
        }
        Ok(true)
    }

    fn run(
        &self,
        exec: &Exec<'_>,
        trigger: &Rc<Trigger>,
        old: Option<&NewRow>,
        new: Option<&NewRow>,
    ) -> Result<()> {
        let first = exec.caches.get();
        let program = self.program(exec, trigger)?;
        let slot = |row: Option<&NewRow>| row.map_or(Slot::Null, super::writer::slot_of);
        let frame = Frame::of_rows(None, vec![slot(old), slot(new)]);
        if let Some(when) = &program.when
            && exec.truth(when, &frame)? != Some(true)
        {
            return Ok(());
        }
        let _ = first;
        for step in &program.steps {
            exec.forget_from(0);
            match step {
                Step::Select(plan) => {
                    exec.run_select(plan, Some(&frame), &mut |_| Ok(Flow::Continue))?;
                }
                Step::Insert(plan) => {
                    let (changes, _) = exec.run_insert(plan, Some(&frame))?;
                    exec.connection.count_changes(changes);
                }
                Step::Update(plan) => {
                    let (changes, _) = exec.run_update(plan, Some(&frame))?;
                    exec.connection.count_changes(changes);
                }
                Step::Delete(plan) => {
                    let (changes, _) = exec.run_delete(plan, Some(&frame))?;
                    exec.connection.count_changes(changes);
                }
            }
        }
        exec.forget_from(0);
        Ok(())
    }

    fn program(&self, exec: &Exec<'_>, trigger: &Rc<Trigger>) -> Result<Rc<Program>> {
        let address = Rc::as_ptr(trigger) as usize;
        if let Some(program) = exec.programs.borrow().get(&address) {
            return Ok(program.clone());
        }
        let definition = &trigger.definition;
        let program = exec.compile(|compiler| {
            let row = |name, slot| RowScope { name, table: self.table.clone(), slot };
            let rows = match definition.event {
                TriggerEvent::Insert => vec![row("new", 1)],
                TriggerEvent::Delete => vec![row("old", 0)],
                TriggerEvent::Update(_) => vec![row("old", 0), row("new", 1)],
            };
            compiler.push_rows(rows, true);
            let when = definition.when.as_ref().map(|w| compiler.expr(w)).transpose()?;
            let mut steps = Vec::with_capacity(definition.body.len());
            for stmt in &definition.body {
                steps.push(match stmt {
                    Stmt::Select(select) => Step::Select(compiler.select(select)?),
                    Stmt::Insert(insert) => Step::Insert(compiler.insert(insert)?),
                    Stmt::Update(update) => Step::Update(compiler.update(update)?),
                    Stmt::Delete(delete) => Step::Delete(compiler.delete(delete)?),
                    _ => return Err(Error::new("statement not allowed in a trigger")),
                });
            }
            Ok(Program { when, steps })
        });
        let program = Rc::new(program.map_err(|error| error.nowhere().in_prepare())?);
        exec.programs.borrow_mut().insert(address, program.clone());
        Ok(program)
    }
}
