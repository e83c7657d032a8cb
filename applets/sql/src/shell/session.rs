//! The shell's connection: statements are compiled, run and shown here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use box_kit::Failure;

use super::message::{self, Origin, Phase};
use super::mode::RowWriter;
use super::output::Output;
use super::{Shell, columnar};
use crate::connection::{Connection, Open, Statement};
use crate::error::{Error, Result};
use crate::value::Owned;

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
        let mut connection = Connection::open(path, Open { readonly, create: !readonly })?;
        connection.set_busy_timeout(self.timeout_ms);
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
        self.connection.set_busy_timeout(timeout_ms);
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
            let Some(mut statement) = statement else { continue };
            while statement.step(&mut self.connection)? {
                each(statement.row())?;
            }
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
        statement.reset();
        for (index, value) in values.iter().enumerate() {
            statement.bind(index + 1, value.clone());
        }
        while statement.step(&mut self.connection)? {}
        Ok(())
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

    fn bind(&self, statement: &mut Statement) {
        let names: Vec<Option<Vec<u8>>> = statement.parameter_names().to_vec();
        for (index, name) in names.into_iter().enumerate() {
            let name = name.unwrap_or_else(|| format!("?{}", index + 1).into_bytes());
            if let Some(value) = self.parameters.get(&name) {
                statement.bind(index + 1, value.clone());
            }
        }
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
    while !rest.is_empty() {
        let (statement, used) = match shell.session.connection.prepare(rest) {
            Ok(prepared) => prepared,
            Err(error) => return fail(shell, &error, Phase::Prepare, origin, rest),
        };
        let text = rest.get(..used).unwrap_or_default();
        rest = rest.get(used..).unwrap_or_default();
        let Some(mut statement) = statement else { continue };
        shell.session.bind(&mut statement);
        if shell.session.explain_plan
            && statement.explain() == 0
            && let Err(error) = show_plan(shell, text)
        {
            return fail(shell, &error, Phase::Prepare, origin, text);
        }
        let start = Instant::now();
        let outcome = show(shell, &mut statement)?;
        if let Err(error) = outcome {
            return fail(shell, &error, Phase::Step, origin, text);
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
        let (changes, total) = (connection.changes(), connection.total_changes());
        let text = format!("changes: {changes}   total_changes: {total}\n");
        shell.output.write(text.as_bytes())?;
    }
    shell.output.statement_done()
}

/// Runs one statement to its end and shows its rows. The outer failure is the output's.
fn show(shell: &mut Shell, statement: &mut Statement) -> std::result::Result<Result<()>, Failure> {
    if statement.explain() == 2 {
        return show_plan_rows(shell, statement);
    }
    let names: Vec<Vec<u8>> = statement.column_names().to_vec();
    let layout = shell.layout.clone();
    if layout.mode.is_columnar() {
        let mut rows: Vec<Row> = Vec::new();
        let outcome = loop {
            match statement.step(&mut shell.session.connection) {
                Ok(true) => rows.push(statement.row().to_vec()),
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let mut out = Vec::new();
        columnar::write(&mut out, &layout, &names, &rows);
        shell.output.write(&out)?;
        return Ok(outcome);
    }
    let mut writer = RowWriter::new(&layout, &names);
    let mut out = Vec::with_capacity(BATCH_BYTES);
    let outcome = loop {
        match statement.step(&mut shell.session.connection) {
            Ok(true) => writer.row(&mut out, statement.row()),
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
        if out.len() >= BATCH_BYTES {
            shell.output.write(&out)?;
            out.clear();
        }
    };
    writer.end(&mut out);
    shell.output.write(&out)?;
    Ok(outcome)
}

/// Shows the plan of `sql` before it runs (`.eqp on`).
fn show_plan(shell: &mut Shell, sql: &[u8]) -> Result<()> {
    let sql = [b"EXPLAIN QUERY PLAN ", sql].concat();
    let Some(mut statement) = shell.session.connection.prepare(&sql)?.0 else { return Ok(()) };
    match show_plan_rows(shell, &mut statement) {
        Ok(outcome) => outcome,
        Err(failure) => Err(Error::new(failure.to_string())),
    }
}

/// Rows (id, parent, unused, detail) as a tree.
fn show_plan_rows(
    shell: &mut Shell,
    statement: &mut Statement,
) -> std::result::Result<Result<()>, Failure> {
    let mut nodes: Vec<(i64, i64, Vec<u8>)> = Vec::new();
    loop {
        match statement.step(&mut shell.session.connection) {
            Ok(true) => {
                let row = statement.row();
                let number = |index: usize| row.get(index).map_or(0, Owned::to_int);
                let detail = row.get(3).map(|value| value.to_text().into_owned());
                nodes.push((number(0), number(1), detail.unwrap_or_default()));
            }
            Ok(false) => break,
            Err(error) => return Ok(Err(error)),
        }
    }
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
