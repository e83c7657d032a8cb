//! `.import FILE TABLE`: rows of separated values.

use std::io::Read;
use std::path::Path;

use box_kit::Failure;

use super::dot::{engine_failed, failed};
use super::mode::Mode;
use super::{Next, Shell, quoting};
use crate::value::Owned;

struct Options {
    file: String,
    table: String,
    schema: Option<String>,
    skip: usize,
    verbose: bool,
    reader: Separators,
}

#[derive(Clone, Copy)]
struct Separators {
    column: u8,
    row: u8,
    /// CSV's quotes mean something.
    quotes: bool,
}

const USAGE: &str = "ERROR: missing FILE argument. Usage:\n.import FILE TABLE\n";

/// Runs the command.
pub fn run(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let options = match options(shell, args) {
        Ok(options) => options,
        Err(text) => return failed(shell, &text),
    };
    let content = match content(&options.file) {
        Ok(content) => content,
        Err(_) => return failed(shell, &format!("Error: cannot open \"{}\"\n", options.file)),
    };
    let mut reader = Reader { bytes: &content, line: 1, separators: options.reader };
    for _ in 0..options.skip {
        reader.record();
    }
    let columns = match columns(shell, &options, &mut reader) {
        Ok(columns) => columns,
        Err(error) => return engine_failed(shell, &error),
    };
    if columns == 0 {
        return Ok(Next::Continue);
    }
    insert(shell, &options, &mut reader, columns)
}

fn options(shell: &Shell, args: &[String]) -> Result<Options, String> {
    let layout = &shell.layout;
    let mut reader = None;
    let (mut skip, mut verbose, mut schema) = (0, false, None);
    let mut names = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let option = word.strip_prefix('-').map(|rest| rest.trim_start_matches('-'));
        match option {
            None => names.push(word.clone()),
            Some("csv") => reader = Some(Separators { column: b',', row: b'\n', quotes: true }),
            Some("ascii") => reader = Some(Separators { column: 0x1f, row: 0x1e, quotes: false }),
            Some("v") => verbose = true,
            Some("skip") => skip = words.next().and_then(|n| n.parse().ok()).unwrap_or(0),
            Some("schema") => schema = words.next().cloned(),
            Some(_) => {
                return Err(format!(
                    "ERROR: unknown option: \"{word}\".  Usage:\n.import FILE TABLE\n"
                ));
            }
        }
    }
    let [file, table] = names.as_slice() else {
        return Err(if names.len() > 2 {
            format!("ERROR: extra argument: \"{}\".  Usage:\n.import FILE TABLE\n", names[2])
        } else if names.len() == 1 {
            "ERROR: missing TABLE argument. Usage:\n.import FILE TABLE\n".to_owned()
        } else {
            USAGE.to_owned()
        });
    };
    let reader = match reader {
        Some(reader) => reader,
        None => {
            let column = match layout.column_separator.as_slice() {
                [column] => *column,
                [] => {
                    return Err("Error: non-null column separator required for import\n".to_owned());
                }
                _ => {
                    return Err("Error: multi-character column separators not allowed for import\n"
                        .to_owned());
                }
            };
            let row = match layout.row_separator.as_slice() {
                b"\r\n" => b'\n',
                [row] => *row,
                [] => return Err("Error: non-null row separator required for import\n".to_owned()),
                _ => {
                    return Err(
                        "Error: multi-character row separators not allowed for import\n".to_owned()
                    );
                }
            };
            Separators { column, row, quotes: layout.mode != Mode::Ascii }
        }
    };
    Ok(Options { file: file.clone(), table: table.clone(), schema, skip, verbose, reader })
}

/// The whole file, or what a program prints where the name begins with `|`.
fn content(file: &str) -> std::io::Result<Vec<u8>> {
    if let Some(program) = file.strip_prefix('|') {
        return Ok(std::process::Command::new("/bin/sh").args(["-c", program]).output()?.stdout);
    }
    let mut content = Vec::new();
    std::fs::File::open(Path::new(file))?.read_to_end(&mut content)?;
    Ok(content)
}

fn qualified(options: &Options) -> String {
    let mut out = Vec::new();
    if let Some(schema) = &options.schema {
        quoting::identifier(&mut out, schema.as_bytes());
        out.push(b'.');
    }
    out.push(b'"');
    out.extend_from_slice(options.table.replace('"', "\"\"").as_bytes());
    out.push(b'"');
    String::from_utf8_lossy(&out).into_owned()
}

/// How many columns the table has; a table that is not there is made from the first record.
fn columns(
    shell: &mut Shell,
    options: &Options,
    reader: &mut Reader<'_>,
) -> crate::error::Result<usize> {
    let mut name = Vec::new();
    quoting::sql(&mut name, options.table.as_bytes());
    let name = String::from_utf8_lossy(&name).into_owned();
    let info = format!("SELECT count(*) FROM pragma_table_info({name})");
    let count = |rows: Vec<Vec<Owned>>| {
        rows.first().and_then(|row| row.first()).map_or(0, |value| value.to_int() as usize)
    };
    let found = count(shell.session.query(&info)?);
    if found > 0 {
        return Ok(found);
    }
    let Some(header) = reader.record() else { return Ok(0) };
    let names = unique(&header);
    let columns: Vec<String> =
        names.iter().map(|name| format!("\"{}\" TEXT", name.replace('"', "\"\""))).collect();
    let sql = format!("CREATE TABLE {}(\n{})", qualified(options), columns.join(", "));
    shell.session.query(&sql)?;
    Ok(names.len())
}

/// Names of the header; an empty one is `?`, one that stands twice gets its place behind it.
fn unique(header: &[Vec<u8>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (index, name) in header.iter().enumerate() {
        let mut name = String::from_utf8_lossy(name).into_owned();
        if name.is_empty() {
            name = "?".to_owned();
        }
        if header.len() > 1 && names.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
            name = format!("{name}_{}", index + 1);
        }
        names.push(name);
    }
    names
}

fn insert(
    shell: &mut Shell,
    options: &Options,
    reader: &mut Reader<'_>,
    columns: usize,
) -> Result<Next, Failure> {
    let marks = vec!["?"; columns].join(",");
    let sql = format!("INSERT INTO {} VALUES({marks})", qualified(options));
    let mut statement = match shell.session.prepare(&sql) {
        Ok(Some(statement)) => statement,
        Ok(None) => return Ok(Next::Continue),
        Err(error) => return engine_failed(shell, &error),
    };
    let own_transaction = !shell.session.in_transaction();
    if own_transaction && let Err(error) = shell.session.query("BEGIN") {
        return engine_failed(shell, &error);
    }
    let (mut rows, mut errors) = (0u64, 0u64);
    let mut line = reader.line;
    while let Some(record) = reader.record() {
        let count = record.len();
        let short = "filling the rest with NULL";
        if count != columns {
            let what = if count < columns { short } else { "extras ignored" };
            shell.output.complain(&format!(
                "{}:{line}: expected {columns} columns but found {count} - {what}\n",
                options.file
            ))?;
        }
        let mut values: Vec<Owned> =
            record.into_iter().take(columns).map(|field| Owned::Text(field.into())).collect();
        values.resize(columns, Owned::Null);
        match shell.session.execute(&mut statement, &values) {
            Ok(()) => rows += 1,
            Err(error) => {
                errors += 1;
                let text = format!("{}:{line}: INSERT failed: {error}\n", options.file);
                shell.output.complain(&text)?;
            }
        }
        line = reader.line;
    }
    if own_transaction && let Err(error) = shell.session.query("COMMIT") {
        return engine_failed(shell, &error);
    }
    if options.verbose {
        let text = format!(
            "Added {rows} rows with {errors} errors using {} lines of input\n",
            reader.line - 1
        );
        shell.output.write(text.as_bytes())?;
    }
    Ok(Next::Continue)
}

/// Reads records of separated values.
struct Reader<'a> {
    bytes: &'a [u8],
    /// The line that comes next, from 1.
    line: u64,
    separators: Separators,
}

impl Reader<'_> {
    /// The fields of the next record, or `None` at the end.
    fn record(&mut self) -> Option<Vec<Vec<u8>>> {
        if self.line == 1
            && let Some(rest) = self.bytes.strip_prefix("\u{feff}".as_bytes())
        {
            self.bytes = rest;
        }
        if self.bytes.is_empty() {
            return None;
        }
        let mut fields = Vec::new();
        loop {
            let (field, more) = self.field();
            fields.push(field);
            if !more {
                self.line += 1;
                return Some(fields);
            }
        }
    }

    /// One field, and whether another follows in the record.
    fn field(&mut self) -> (Vec<u8>, bool) {
        if self.separators.quotes && self.bytes.first() == Some(&b'"') {
            return self.quoted();
        }
        let Separators { column, row, .. } = self.separators;
        let end = memchr::memchr2(column, row, self.bytes).unwrap_or(self.bytes.len());
        let (field, rest) = self.bytes.split_at(end);
        let more = rest.first() == Some(&column);
        self.bytes = rest.get(1..).unwrap_or_default();
        let field =
            if row == b'\n' && !more { field.strip_suffix(b"\r").unwrap_or(field) } else { field };
        (field.to_vec(), more)
    }

    /// A field in double quotes, which may hold separators and, doubled, quotes.
    fn quoted(&mut self) -> (Vec<u8>, bool) {
        let Separators { column, row, .. } = self.separators;
        let mut field = Vec::new();
        let mut at = 1;
        while let Some(byte) = self.bytes.get(at).copied() {
            at += 1;
            if byte != b'"' {
                self.line += u64::from(byte == b'\n');
                field.push(byte);
                continue;
            }
            let next = self.bytes.get(at).copied();
            match next {
                Some(b'"') => {
                    field.push(b'"');
                    at += 1;
                }
                Some(b'\r') if self.bytes.get(at + 1) == Some(&b'\n') => {
                    self.bytes = self.bytes.get(at + 2..).unwrap_or_default();
                    return (field, false);
                }
                Some(next) if next == column || next == row => {
                    self.bytes = self.bytes.get(at + 1..).unwrap_or_default();
                    return (field, next == column);
                }
                None => break,
                // A quote in the middle of a field stands for itself.
                Some(_) => field.push(b'"'),
            }
        }
        self.bytes = self.bytes.get(at..).unwrap_or_default();
        (field, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<Vec<String>> {
        let separators = Separators { column: b',', row: b'\n', quotes: true };
        let mut reader = Reader { bytes: text.as_bytes(), line: 1, separators };
        let mut all = Vec::new();
        while let Some(record) = reader.record() {
            all.push(record.iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect());
        }
        all
    }

    #[test]
    fn csv_is_read_with_its_quirks() {
        assert_eq!(
            records("\u{feff}a,b\r\n\"x \"\"y\"\"\",\"l1\nl2\"\n\n1,\"open"),
            [vec!["a", "b"], vec!["x \"y\"", "l1\nl2"], vec![""], vec!["1", "open"]]
        );
        assert_eq!(records("a,\n"), [["a", ""]]);
        assert_eq!(records("\"a\"b,c\n"), [["a\"b,c\n"]]);
    }

    #[test]
    fn header_names_are_made_unique() {
        let header = ["a", "A", ""].map(|name| name.as_bytes().to_vec());
        assert_eq!(unique(&header), ["a", "A_2", "?"]);
    }
}
