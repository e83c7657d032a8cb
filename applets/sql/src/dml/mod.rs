//! INSERT, UPDATE and DELETE: constraints, conflicts, triggers.
//!
//! A statement gathers what it changes before it changes it wherever its own reads could see the
//! changes. Its atomicity is the caller's: a savepoint around it is rolled back when it fails.

mod constraint;
mod delete;
mod foreign;
mod insert;
mod trigger;
mod update;
mod view;
mod writer;

pub(crate) use constraint::unique_message;
pub use trigger::Program;
pub(crate) use writer::{Writer, generated_exprs, index_exprs};

use crate::error::Result;
use crate::exec::{Exec, Frame, Slot};
use crate::plan::Expr;
use crate::value::Owned;

/// The rows that RETURNING gives, handed out when all changes are made.
pub type Returned = Vec<Vec<Owned>>;

/// A row on its way into a table: its columns, and the rowid.
#[derive(Clone, Debug)]
pub(crate) struct NewRow {
    pub values: Vec<Owned>,
    pub rowid: i64,
}

impl NewRow {
    fn slot(&self) -> Slot {
        Slot::Values { values: self.values.clone(), rowid: self.rowid }
    }
}

/// Evaluates the RETURNING columns over a row.
fn returned(
    exec: &Exec<'_>,
    exprs: &[Expr],
    row: &NewRow,
    parent: Option<&Frame<'_>>,
    out: &mut Returned,
) -> Result<()> {
    if exprs.is_empty() {
        return Ok(());
    }
    let frame = Frame::of_rows(parent, vec![row.slot()]);
    let values =
        exprs.iter().map(|e| Ok(exec.eval(e, &frame)?.into_owned())).collect::<Result<_>>()?;
    out.push(values);
    Ok(())
}
