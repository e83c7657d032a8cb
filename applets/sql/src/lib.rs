//! Query and change SQLite database files.
//!
//! Text goes down this list, rows come back up:
//!
//! - `shell`: arguments, dot-commands, output modes, line editing.
//! - `connection`, `statement`: transactions, one statement at a time.
//! - `lex`, `ast`, `parse`: bytes to syntax tree; every token keeps its offset.
//! - `schema`, `catalog`: what `sqlite_schema` says, parsed once and kept by the schema cookie.
//! - `compile`, `plan`: names, affinities, collations; then the order of the loops.
//! - `exec`: the loops, groups, sorts, windows. Rows are pushed from loop to loop; a row is copied
//!   once into its slot and decoded column by column as far as somebody asks.
//! - `dml`, `ddl`, `pragma`: what changes rows, schemas and settings.
//! - `func`: the SQL functions. `value`, `number`, `decimal`: values as bytes, affinity,
//!   comparison, numbers as text.
//! - `json`: JSON as JSONB.
//! - `btree`, `pager`, `vfs`, `record`, `collate`: the file.
//!
//! Invariants: values are bytes, never `String`; every statement is atomic by a savepoint of the
//! store; a statement's plan is made against one catalog, and the catalog against one snapshot.
//! All of a connection stays in one thread.
//!
//! Compatible: the SQLite 3 file format, its locks and journals, its SQL, the texts of its errors,
//! and the sqlite3 shell as far as `docs/sql.md` says.

mod ast;
pub mod btree;
mod catalog;
pub mod cli;
pub mod collate;
mod compile;
mod connection;
mod ddl;
mod decimal;
mod dml;
pub mod doctor;
mod error;
mod exec;
mod func;
mod json;
mod lex;
mod number;
pub mod pager;
mod parse;
mod plan;
mod plan_cache;
mod pragma;
pub mod record;
mod schema;
mod shell;
mod sort;
mod statement;
mod value;
pub mod vfs;

use box_kit::{Invocation, Outcome};

/// Runs the applet.
///
/// # Errors
/// What the applet could not do.
pub fn run(invocation: Invocation, _tables: &'static [box_table::Opener]) -> Outcome {
    shell::run(&invocation)
}

/// Whether a text begins with a statement, or with nothing but blanks: the parser's own verdict,
/// for those who feed it anything.
pub fn parses(sql: &[u8]) -> bool {
    parse::statement(sql).is_ok()
}
