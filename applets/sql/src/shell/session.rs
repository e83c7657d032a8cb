//! The shell's connection: statements are compiled, run and shown here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use box_kit::Failure;

use super::message::{self, Origin, Phase};
use super::mode::{Layout, RowWriter};
use super::output::Output;
use super::{Shell, columnar};
use crate::connection::{Connection, Handler, Open, Statement};
use crate::error::{Error, Result};
use crate::exec::Flow;
use crate::plan;
use crate::value::{Owned, Value};

/// Bytes of rows that are gathered before they go to the output.
const BATCH_BYTES: usize = 32 * 1024;

/// A row of a query of the shell's own.
pub type Row = Vec<Owned>;

/// The connection and what the shell keeps beside it.
pub struct Session {
    connection: Connection,
    path: PathBuf,
    readonly: bool,
    /// Values of `.parameter`, by name with its prefix.
    pub parameters: BTreeMap<Vec<u8>, Owned>,
    /// `.eqp on`
    pub explain_plan: bool,
    /// `.explain`: off, on or auto.
    pub explain: &'static str,
    /// `.changes on`
    pub changes: bool,
    /// `.timer on`
    pub timer: bool,
    /// `.stats on`
    pub stats: bool,
    /// `.timeout`, in milliseconds.
    timeout_ms: u64,
}

impl Session {
    /// Opens a database file, or one in memory (`:memory:`).
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path, readonly: bool, nofollow: bool) -> Result<Session> {
        if nofollow && std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
            return Err(Error::coded(14, "unable to open database file"));
        }
        let connection = Connection::open(path, Open { readonly, create: !readonly })?;
        Ok(Session {
            connection,
            path: path.to_owned(),
            readonly,
            parameters: BTreeMap::new(),
            explain_plan: false,
            explain: "auto",
            changes: false,
            timer: false,
            stats: false,
            timeout_ms: 0,
        })
    }

    /// Opens another file in place of this one; the settings stay.
    ///
    /// # Errors
    /// It cannot be opened; the old one stays open.
    pub fn reopen(&mut self, path: &Path, readonly: bool) -> Result<()> {
        let connection = Connection::open(path, Open { readonly, create: !readonly })?;
        connection.set_busy_timeout(Duration::from_millis(self.timeout_ms));
        self.connection = connection;
        self.path = path.to_owned();
        self.readonly = readonly;
        Ok(())
    }

    /// The file's name as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `.timeout`
    pub fn set_timeout_ms(&mut self, timeout_ms: u64) {
        self.timeout_ms = timeout_ms;
        self.connection.set_busy_timeout(Duration::from_millis(timeout_ms));
    }

    /// All rows of a query of the shell's own.
    ///
    /// # Errors
    /// As the statement fails.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.for_each(sql.as_bytes(), |row| {
            rows.push(row.to_vec());
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs statements of the shell's own and hands each row on.
    ///
    /// # Errors
    /// As a statement or `each` fails.
    pub fn for_each(
        &mut self,
        sql: &[u8],
        mut each: impl FnMut(&[Owned]) -> Result<()>,
    ) -> Result<()> {
        let mut rest = sql;
        while !rest.is_empty() {
            let (statement, used) = self.connection.prepare(rest)?;
            rest = rest.get(used..).unwrap_or_default();
            let Some(statement) = statement else { continue };
            self.connection.execute(&statement, &[], &mut Each(&mut each))?;
        }
        Ok(())
    }

    /// Compiles one statement for many runs with other values.
    ///
    /// # Errors
    /// As it fails to compile.
    pub fn prepare(&mut self, sql: &str) -> Result<Option<Statement>> {
        Ok(self.connection.prepare(sql.as_bytes())?.0)
    }

    /// Runs a statement that gives no rows with these values for its parameters.
    ///
    /// # Errors
    /// As it fails to run.
    pub fn execute(&mut self, statement: &mut Statement, values: &[Owned]) -> Result<()> {
        self.connection.execute(statement, values, &mut Each(&mut |_: &[Owned]| Ok(())))
    }

    /// What Tab completes at the prompt.
    pub fn completions(&mut self) -> Vec<String> {
        let names = self.query(
            "SELECT name FROM sqlite_schema WHERE type IN ('table','view') UNION \
             SELECT p.name FROM sqlite_schema AS s JOIN pragma_table_info(s.name) AS p \
             WHERE s.type IN ('table','view')",
        );
        // A database that cannot be read offers no names; the statement itself will say why.
        let names = names.unwrap_or_default();
        let mut names: Vec<String> = names
            .iter()
            .filter_map(|row| Some(String::from_utf8_lossy(&row.first()?.to_text()).into_owned()))
            .collect();
        names.extend(super::dot::NAMES.iter().map(|name| format!(".{name}")));
        names.extend(KEYWORDS.iter().map(|word| (*word).to_owned()));
        names
    }

    /// Ctrl-C stops the statement that runs; the session goes on.
    ///
    /// # Errors
    /// The handler cannot be set.
    pub fn stop_on_interrupt(&self) -> std::result::Result<(), Failure> {
        box_sys::interrupt::catch()?;
        self.connection.stop_on(box_sys::interrupt::flag());
        Ok(())
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.connection.in_transaction()
    }

    /// Whether the database was opened to be read only.
    pub fn is_readonly(&self) -> bool {
        self.readonly
    }

    /// The end: an open transaction is undone, as for a program that just ends.
    pub fn close(&mut self, _: &mut Output) {
        if self.in_transaction() {
            // The file is as it was before; a failure here leaves a hot journal that says so.
            let _ = self.query("ROLLBACK");
        }
    }

    /// The values of a statement's parameters.
    fn values(&self, statement: &Statement) -> Vec<Owned> {
        let names = statement.parameter_names().iter().enumerate();
        names
            .map(|(index, name)| {
                let numbered = || format!("?{}", index + 1).into_bytes();
                let name = name.clone().unwrap_or_else(numbered);
                self.parameters.get(&name).cloned().unwrap_or_default()
            })
            .collect()
    }
}

/// Hands each row on to a closure.
struct Each<'e, F: FnMut(&[Owned]) -> Result<()>>(&'e mut F);

impl<F: FnMut(&[Owned]) -> Result<()>> Handler for Each<'_, F> {
    fn columns(&mut self, _: &[plan::Output]) {}

    fn row(&mut self, row: &[Value<'_>]) -> Result<Flow> {
        let row: Row = row.iter().map(|value| value.clone().into_owned()).collect();
        (self.0)(&row)?;
        Ok(Flow::Continue)
    }
}

/// Words that are worth completing.
const KEYWORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "INSERT INTO",
    "VALUES",
    "UPDATE",
    "SET",
    "DELETE FROM",
    "CREATE TABLE",
    "CREATE INDEX",
    "CREATE VIEW",
    "CREATE TRIGGER",
    "DROP TABLE",
    "DROP INDEX",
    "ALTER TABLE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "EXPLAIN QUERY PLAN",
    "PRAGMA",
    "JOIN",
    "LEFT JOIN",
    "DISTINCT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "RETURNING",
    "VACUUM",
    "ANALYZE",
    "ATTACH DATABASE",
    "DETACH DATABASE",
];

/// Runs the statements of `sql` and shows their rows; the code of the first that fails, whose
/// message has then been printed.
///
/// # Errors
/// The output does not take what is written.
pub fn run(
    shell: &mut Shell,
    sql: &[u8],
    origin: Origin,
) -> std::result::Result<Option<i32>, Failure> {
    let mut rest = sql;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            break;
        }
        let whole = rest;
        let (statement, used) = match shell.session.connection.prepare(rest) {
            Ok(prepared) => prepared,
            Err(error) => return fail(shell, &error, Phase::Prepare, origin, rest),
        };
        let text = rest.get(..used).unwrap_or_default();
        rest = rest.get(used..).unwrap_or_default();
        let Some(statement) = statement else { continue };
        if shell.session.explain_plan
            && statement.explain() == 0
            && let Err(error) = show_plan(shell, text)
        {
            return fail(shell, &error, Phase::Prepare, origin, text);
        }
        let start = Instant::now();
        let outcome = show(shell, &statement)?;
        if let Err(error) = outcome {
            let phase = if error.is_prepare() { Phase::Prepare } else { Phase::Step };
            return fail(shell, &error, phase, origin, whole);
        }
        after(shell, start)?;
    }
    Ok(None)
}

fn fail(
    shell: &mut Shell,
    error: &Error,
    phase: Phase,
    origin: Origin,
    sql: &[u8],
) -> std::result::Result<Option<i32>, Failure> {
    shell.output.complain(&message::render(error, phase, origin, sql))?;
    shell.output.statement_done()?;
    Ok(Some(error.code()))
}

/// What `.timer` and `.changes` add behind a statement.
fn after(shell: &mut Shell, start: Instant) -> std::result::Result<(), Failure> {
    if shell.session.timer {
        let text = format!("Run Time: real {:.3}\n", start.elapsed().as_secs_f64());
        shell.output.write(text.as_bytes())?;
    }
    if shell.session.changes {
        let connection = &shell.session.connection;
        let (changes, total) = (connection.changes.get(), connection.total_changes.get());
        let text = format!("changes: {changes}   total_changes: {total}\n");
        shell.output.write(text.as_bytes())?;
    }
    shell.output.statement_done()
}

/// Runs one statement to its end and shows its rows. The outer failure is the output's.
fn show(shell: &mut Shell, statement: &Statement) -> std::result::Result<Result<()>, Failure> {
    if statement.explain() == 2 {
        return show_plan_rows(shell, statement);
    }
    let values = shell.session.values(statement);
    let layout = shell.layout.clone();
    if layout.mode.is_columnar() {
        let mut gathered = Gathered::default();
        let outcome = shell.session.connection.execute(statement, &values, &mut gathered);
        let mut out = Vec::new();
        if gathered.any {
            columnar::write(&mut out, &layout, &gathered.names, &gathered.rows);
        }
        shell.output.write(&out)?;
        return Ok(outcome);
    }
    let Shell { session, output, .. } = shell;
    let mut printer =
        Printer { layout: &layout, output, writer: None, out: Vec::new(), failure: None };
    let outcome = session.connection.execute(statement, &values, &mut printer);
    let Printer { writer, mut out, failure, .. } = printer;
    if let Some(failure) = failure {
        return Err(failure);
    }
    if let Some(writer) = writer {
        writer.end(&mut out);
    }
    shell.output.write(&out)?;
    Ok(outcome)
}

/// The whole result of a statement.
#[derive(Default)]
struct Gathered {
    names: Vec<Vec<u8>>,
    rows: Vec<Row>,
    any: bool,
}

impl Handler for Gathered {
    fn columns(&mut self, columns: &[plan::Output]) {
        self.any = true;
        self.names = names_of(columns);
    }

    fn row(&mut self, row: &[Value<'_>]) -> Result<Flow> {
        self.rows.push(row.iter().map(|value| value.clone().into_owned()).collect());
        Ok(Flow::Continue)
    }
}

fn names_of(columns: &[plan::Output]) -> Vec<Vec<u8>> {
    columns.iter().map(|column| column.name.as_bytes().to_vec()).collect()
}

/// Prints rows as they come.
struct Printer<'p> {
    layout: &'p Layout,
    output: &'p mut Output,
    writer: Option<RowWriter<'p>>,
    out: Vec<u8>,
    failure: Option<Failure>,
}

impl Handler for Printer<'_> {
    fn columns(&mut self, columns: &[plan::Output]) {
        self.writer = Some(RowWriter::new(self.layout, names_of(columns)));
    }

    fn row(&mut self, row: &[Value<'_>]) -> Result<Flow> {
        if let Some(writer) = &mut self.writer {
            writer.row(&mut self.out, row);
        }
        if self.out.len() >= BATCH_BYTES {
            if let Err(failure) = self.output.write(&self.out) {
                self.failure = Some(failure);
                return Ok(Flow::Stop);
            }
            self.out.clear();
        }
        Ok(Flow::Continue)
    }
}

/// Shows the plan of `sql` before it runs (`.eqp on`).
fn show_plan(shell: &mut Shell, sql: &[u8]) -> Result<()> {
    let sql = [b"EXPLAIN QUERY PLAN ", sql].concat();
    let Some(statement) = shell.session.connection.prepare(&sql)?.0 else { return Ok(()) };
    match show_plan_rows(shell, &statement) {
        Ok(outcome) => outcome,
        Err(failure) => Err(Error::new(failure.to_string())),
    }
}

/// Rows (id, parent, unused, detail) as a tree.
fn show_plan_rows(
    shell: &mut Shell,
    statement: &Statement,
) -> std::result::Result<Result<()>, Failure> {
    let values = shell.session.values(statement);
    let mut gathered = Gathered::default();
    if let Err(error) = shell.session.connection.execute(statement, &values, &mut gathered) {
        return Ok(Err(error));
    }
    let nodes: Vec<(i64, i64, Vec<u8>)> = gathered
        .rows
        .iter()
        .map(|row| {
            let number = |index: usize| row.get(index).map_or(0, Owned::to_int);
            let detail = row.get(3).map(|value| value.to_text().into_owned());
            (number(0), number(1), detail.unwrap_or_default())
        })
        .collect();
    let mut out = Vec::new();
    if !nodes.is_empty() {
        out.extend_from_slice(b"QUERY PLAN\n");
        plan_level(&mut out, &nodes, 0, &mut Vec::new());
    }
    shell.output.write(&out)?;
    Ok(Ok(()))
}

/// Deepest plan that is drawn: below it there are only repetitions of a damaged tree.
const PLAN_DEPTH_MAX: usize = 100;

fn plan_level(out: &mut Vec<u8>, nodes: &[(i64, i64, Vec<u8>)], parent: i64, lead: &mut Vec<u8>) {
    let children: Vec<_> =
        nodes.iter().filter(|(id, up, _)| *up == parent && *id != parent).collect();
    for (index, (id, _, detail)) in children.iter().enumerate() {
        let last = index + 1 == children.len();
        out.extend_from_slice(lead);
        out.extend_from_slice(if last { b"`--" } else { b"|--" });
        out.extend_from_slice(detail);
        out.push(b'\n');
        if lead.len() < PLAN_DEPTH_MAX * 3 {
            lead.extend_from_slice(if last { b"   " } else { b"|  " });
            plan_level(out, nodes, *id, lead);
            lead.truncate(lead.len() - 3);
        }
    }
}
