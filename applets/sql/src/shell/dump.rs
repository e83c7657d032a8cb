//! `.dump`, `.backup`, `.save`, `.restore`.

use std::path::{Path, PathBuf};

use box_kit::Failure;

use super::dot::{engine_failed, failed};
use super::words::like;
use super::{Next, Shell, mode, quoting, schema};
use crate::error::Result as SqlResult;

/// Writes the database as SQL that makes it anew.
pub fn dump(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let patterns: Vec<String> =
        args.iter().filter(|word| !word.starts_with("--")).cloned().collect();
    shell.output.write(b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n")?;
    // One read transaction: the dump is of one moment.
    let own_transaction = !shell.session.in_transaction();
    let outcome = if own_transaction { shell.session.query("BEGIN").map(drop) } else { Ok(()) };
    let outcome = match outcome {
        Ok(()) => objects(shell, &patterns)?,
        Err(error) => Err(error),
    };
    if own_transaction && shell.session.in_transaction() {
        // Nothing was written in it.
        let _ = shell.session.query("END");
    }
    match outcome {
        Ok(()) => {
            shell.output.write(b"COMMIT;\n")?;
            Ok(Next::Continue)
        }
        Err(error) => {
            shell.output.write(
                format!("/****** ERROR: {error} *******/\nROLLBACK; -- due to errors\n").as_bytes(),
            )?;
            Ok(Next::Failed)
        }
    }
}

/// Tables first (that of AUTOINCREMENT last), then indexes, triggers and views.
fn objects(shell: &mut Shell, patterns: &[String]) -> Result<SqlResult<()>, Failure> {
    let wanted = |name: &[u8]| {
        patterns.is_empty() || patterns.iter().any(|pattern| like(pattern.as_bytes(), name))
    };
    let tables = shell.session.query(
        "SELECT name, sql FROM sqlite_schema WHERE type='table' AND sql NOT NULL \
         ORDER BY tbl_name='sqlite_sequence', rowid",
    );
    let tables = match tables {
        Ok(tables) => tables,
        Err(error) => return Ok(Err(error)),
    };
    for row in tables {
        let [name, sql] = row.as_slice() else { continue };
        let (name, sql) = (name.to_text(), sql.to_text());
        if wanted(&name)
            && let Err(error) = table(shell, &name, &sql)?
        {
            return Ok(Err(error));
        }
    }
    let others = shell.session.query(
        "SELECT name, sql FROM sqlite_schema WHERE type IN ('index','trigger','view') AND sql NOT NULL",
    );
    let others = match others {
        Ok(others) => others,
        Err(error) => return Ok(Err(error)),
    };
    for row in others {
        let [name, sql] = row.as_slice() else { continue };
        if wanted(&name.to_text()) {
            shell.output.write(&sql.to_text())?;
            shell.output.write(b";\n")?;
        }
    }
    Ok(Ok(()))
}

fn table(shell: &mut Shell, name: &[u8], sql: &[u8]) -> Result<SqlResult<()>, Failure> {
    let mut out = Vec::new();
    match name {
        b"sqlite_sequence" => out.extend_from_slice(b"DELETE FROM sqlite_sequence;\n"),
        name if name.starts_with(b"sqlite_stat") => {
            out.extend_from_slice(b"ANALYZE sqlite_schema;\n");
        }
        name if name.starts_with(b"sqlite_") => return Ok(Ok(())),
        _ => {
            schema::statement(&mut out, sql);
            out.extend_from_slice(b";\n");
        }
    }
    shell.output.write(&out)?;
    let mut quoted = Vec::new();
    quoting::identifier(&mut quoted, name);
    let head = [b"INSERT INTO ", quoted.as_slice()].concat();
    let select = [b"SELECT * FROM ", quoted.as_slice()].concat();
    let output = &mut shell.output;
    let mut unwritten = None;
    let mut line = Vec::new();
    let outcome = shell.session.for_each(&select, |row| {
        line.clear();
        line.extend_from_slice(&head);
        mode::insert_values(&mut line, row);
        line.extend_from_slice(b";\n");
        if unwritten.is_none() {
            unwritten = output.write(&line).err();
        }
        Ok(())
    });
    match unwritten {
        Some(failure) => Err(failure),
        None => Ok(outcome),
    }
}

fn file_argument(args: &[String]) -> Option<&str> {
    let mut files = args.iter().filter(|word| !word.starts_with("--"));
    let first = files.next()?;
    // `.backup main FILE` names the database first.
    Some(files.next().unwrap_or(first))
}

/// Copies the database into a file, whole or not at all.
pub fn backup(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let Some(file) = file_argument(args) else {
        return failed(shell, "missing FILENAME argument on .backup\n");
    };
    let target = PathBuf::from(file);
    let temporary = sibling(&target);
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return failed(shell, &format!("Error: cannot open \"{file}\"\n"));
        }
        _ => {}
    }
    let mut quoted = Vec::new();
    quoting::sql(&mut quoted, temporary.as_os_str().as_encoded_bytes());
    let sql = format!("VACUUM INTO {}", String::from_utf8_lossy(&quoted));
    if let Err(error) = shell.session.query(&sql) {
        return engine_failed(shell, &error);
    }
    if std::fs::rename(&temporary, &target).is_err() {
        return failed(shell, &format!("Error: cannot open \"{file}\"\n"));
    }
    Ok(Next::Continue)
}

/// Replaces the content of the database by that of a file.
pub fn restore(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let Some(file) = file_argument(args) else {
        return failed(shell, "Usage: .restore ?DB? FILE\n");
    };
    let (source, target) = (PathBuf::from(file), shell.session.path().to_owned());
    if !source.is_file() {
        return failed(shell, &format!("Error: cannot open \"{file}\"\n"));
    }
    if target == Path::new(":memory:") {
        // The file is copied behind the shell's back, so that changes do not reach it.
        let private = std::env::temp_dir().join(format!("box-restore-{}", std::process::id()));
        let outcome = std::fs::copy(&source, &private).is_ok()
            && shell.session.reopen(&private, false).is_ok();
        // The connection keeps the file open; its name is not needed any more.
        let _ = std::fs::remove_file(&private);
        return if outcome {
            Ok(Next::Continue)
        } else {
            failed(shell, &format!("Error: cannot open \"{file}\"\n"))
        };
    }
    let temporary = sibling(&target);
    let moved =
        std::fs::copy(&source, &temporary).and_then(|_| std::fs::rename(&temporary, &target));
    if moved.is_err() {
        return failed(shell, &format!("Error: cannot open \"{file}\"\n"));
    }
    match shell.session.reopen(&target, false) {
        Ok(()) => Ok(Next::Continue),
        Err(error) => engine_failed(shell, &error),
    }
}

/// A name beside `path` for a file that is then renamed to it.
fn sibling(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".box-{}", std::process::id()));
    path.with_file_name(name)
}
