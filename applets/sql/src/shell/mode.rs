//! Output modes: how the rows of a query are written.
//!
//! Most modes write a row as soon as it is there; the columnar ones (column, table, box, markdown)
//! must see all rows first and live in [`super::columnar`].

use super::quoting;
use crate::value::Value;

/// An output mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Values divided by 0x1F, rows by 0x1E.
    Ascii,
    /// Tables of Unicode box-drawing characters.
    Box,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Columns under a ruled header.
    Column,
    /// `<TR>` and `<TD>`.
    Html,
    /// INSERT statements.
    Insert,
    /// An array of objects.
    Json,
    /// `name = value`, a line each.
    Line,
    /// Values divided by the separator.
    List,
    /// A Markdown table.
    Markdown,
    /// SQL literals.
    Quote,
    /// Tables of ASCII characters.
    Table,
    /// Strings as Tcl writes them.
    Tcl,
}

impl Mode {
    /// The mode of this name, or of a prefix of it where SQLite takes one.
    pub fn named(name: &str) -> Option<Mode> {
        Some(match name {
            "ascii" => Mode::Ascii,
            "box" => Mode::Box,
            "csv" => Mode::Csv,
            "column" | "columns" => Mode::Column,
            "html" => Mode::Html,
            "insert" => Mode::Insert,
            "json" => Mode::Json,
            "line" | "lines" => Mode::Line,
            "list" => Mode::List,
            "markdown" => Mode::Markdown,
            "quote" => Mode::Quote,
            "table" => Mode::Table,
            "tcl" => Mode::Tcl,
            _ => return None,
        })
    }

    /// Its name in `.show` and `.mode`.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Ascii => "ascii",
            Mode::Box => "box",
            Mode::Csv => "csv",
            Mode::Column => "column",
            Mode::Html => "html",
            Mode::Insert => "insert",
            Mode::Json => "json",
            Mode::Line => "line",
            Mode::List => "list",
            Mode::Markdown => "markdown",
            Mode::Quote => "quote",
            Mode::Table => "table",
            Mode::Tcl => "tcl",
        }
    }

    /// Whether all rows must be there before the first is written.
    pub fn is_columnar(self) -> bool {
        matches!(self, Mode::Column | Mode::Table | Mode::Box | Mode::Markdown)
    }
}

/// What `.mode`, `.headers`, `.separator`, `.nullvalue` and `.width` set.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The mode.
    pub mode: Mode,
    /// Column names first.
    pub headers: bool,
    /// Whether `.headers` was given: else columnar modes turn them on.
    pub headers_chosen: bool,
    /// Between values.
    pub column_separator: Vec<u8>,
    /// Behind rows.
    pub row_separator: Vec<u8>,
    /// In place of NULL.
    pub null: Vec<u8>,
    /// The table of insert mode, quoted already.
    pub table: Vec<u8>,
    /// `.width`: least widths; negative ones align to the right.
    pub widths: Vec<i64>,
    /// Columnar modes: longest line of a cell; 0 for no limit.
    pub wrap: usize,
    /// Columnar modes: wrap between words.
    pub word_wrap: bool,
    /// Columnar modes: values as SQL literals.
    pub quote: bool,
}

impl Layout {
    /// As the shell starts.
    pub fn new() -> Layout {
        Layout {
            mode: Mode::List,
            headers: false,
            headers_chosen: false,
            column_separator: b"|".to_vec(),
            row_separator: b"\n".to_vec(),
            null: Vec::new(),
            table: b"table".to_vec(),
            widths: Vec::new(),
            wrap: 60,
            word_wrap: false,
            quote: false,
        }
    }

    /// Changes the mode and what goes with it.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
        let (column, row): (&[u8], &[u8]) = match mode {
            Mode::Ascii => (b"\x1f", b"\x1e"),
            Mode::Csv => (b",", b"\r\n"),
            Mode::Quote => (b",", b"\n"),
            Mode::List => (b"|", b"\n"),
            Mode::Tcl => (b" ", b"\n"),
            Mode::Line | Mode::Column | Mode::Table | Mode::Box | Mode::Markdown => {
                if mode.is_columnar() && !self.headers_chosen {
                    self.headers = true;
                }
                if mode != Mode::Line && mode != Mode::Column {
                    return;
                }
                self.row_separator = b"\n".to_vec();
                return;
            }
            Mode::Html | Mode::Insert | Mode::Json => return,
        };
        self.column_separator = column.to_vec();
        self.row_separator = row.to_vec();
    }
}

/// Writes the rows of one query in a mode that needs no look ahead.
pub struct RowWriter<'a> {
    layout: &'a Layout,
    names: Vec<Vec<u8>>,
    rows: u64,
}

impl<'a> RowWriter<'a> {
    /// For a query with these columns.
    pub fn new(layout: &'a Layout, names: Vec<Vec<u8>>) -> RowWriter<'a> {
        RowWriter { layout, names, rows: 0 }
    }

    /// Appends one row, and before the first what comes before it.
    pub fn row(&mut self, out: &mut Vec<u8>, row: &[Value<'_>]) {
        if self.rows == 0 {
            self.head(out);
        }
        match self.layout.mode {
            Mode::Line => self.line(out, row),
            Mode::Json => self.json(out, row),
            Mode::Insert => self.insert(out, row),
            Mode::Html => self.html(out, row),
            Mode::Tcl => {
                // A separator stands behind the last value too, but for the line end.
                self.separated(out, row, |out, value| match value {
                    Value::Null => quoting::c_string(out, &self.layout.null),
                    value => quoting::c_string(out, &value.to_text()),
                });
            }
            Mode::Quote => self.separated(out, row, literal),
            Mode::Csv => self.separated(out, row, |out, value| match value {
                Value::Null => out.extend_from_slice(&self.layout.null),
                value => quoting::csv(out, c_text(&value.to_text()), &self.layout.column_separator),
            }),
            _ => self.separated(out, row, |out, value| match value {
                Value::Null => out.extend_from_slice(&self.layout.null),
                value => out.extend_from_slice(c_text(&value.to_text())),
            }),
        }
        self.rows += 1;
    }

    /// Appends what comes behind the last row.
    pub fn end(&self, out: &mut Vec<u8>) {
        if self.layout.mode == Mode::Json && self.rows > 0 {
            out.extend_from_slice(b"]\n");
        }
    }

    fn head(&self, out: &mut Vec<u8>) {
        let layout = self.layout;
        if layout.mode == Mode::Json {
            out.push(b'[');
        }
        if !layout.headers {
            return;
        }
        let write: &dyn Fn(&mut Vec<u8>, &[u8]) = match layout.mode {
            Mode::Line | Mode::Json | Mode::Insert => return,
            Mode::Html => {
                out.extend_from_slice(b"<TR>");
                for name in &self.names {
                    out.extend_from_slice(b"<TH>");
                    quoting::html(out, name);
                    out.extend_from_slice(b"</TH>\n");
                }
                out.extend_from_slice(b"</TR>\n");
                return;
            }
            Mode::Tcl => &quoting::c_string,
            Mode::Quote => &quoting::sql,
            Mode::Csv => &|out, name| quoting::csv(out, name, &layout.column_separator),
            _ => &|out, name| out.extend_from_slice(name),
        };
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(&layout.column_separator);
            }
            write(out, name);
        }
        out.extend_from_slice(&layout.row_separator);
    }

    fn separated(&self, out: &mut Vec<u8>, row: &[Value<'_>], write: impl Fn(&mut Vec<u8>, &Value<'_>)) {
        for (index, value) in row.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(&self.layout.column_separator);
            }
            write(out, value);
        }
        out.extend_from_slice(&self.layout.row_separator);
    }

    fn line(&self, out: &mut Vec<u8>, row: &[Value<'_>]) {
        if self.rows > 0 {
            out.extend_from_slice(&self.layout.row_separator);
        }
        let width = self.names.iter().map(Vec::len).max().unwrap_or(0).max(5);
        for (name, value) in self.names.iter().zip(row) {
            out.resize(out.len() + (width - name.len()), b' ');
            out.extend_from_slice(name);
            out.extend_from_slice(b" = ");
            match value {
                Value::Null => out.extend_from_slice(&self.layout.null),
                value => out.extend_from_slice(c_text(&value.to_text())),
            }
            out.extend_from_slice(&self.layout.row_separator);
        }
    }

    fn json(&self, out: &mut Vec<u8>, row: &[Value<'_>]) {
        if self.rows > 0 {
            out.extend_from_slice(b",\n");
        }
        out.push(b'{');
        for (index, (name, value)) in self.names.iter().zip(row).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            quoting::json(out, name);
            out.push(b':');
            match value {
                Value::Null => out.extend_from_slice(b"null"),
                Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
                Value::Real(value) => full_real(out, *value),
                Value::Text(bytes) | Value::Blob(bytes) => quoting::json(out, bytes),
            }
        }
        out.push(b'}');
    }

    fn insert(&self, out: &mut Vec<u8>, row: &[Value<'_>]) {
        out.extend_from_slice(b"INSERT INTO ");
        out.extend_from_slice(&self.layout.table);
        if self.layout.headers {
            out.push(b'(');
            for (index, name) in self.names.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                quoting::identifier(out, name);
            }
            out.push(b')');
        }
        insert_values(out, row);
        out.extend_from_slice(b";\n");
    }

    fn html(&self, out: &mut Vec<u8>, row: &[Value<'_>]) {
        out.extend_from_slice(b"<TR>");
        for value in row {
            out.extend_from_slice(b"<TD>");
            match value {
                Value::Null => quoting::html(out, &self.layout.null),
                value => quoting::html(out, c_text(&value.to_text())),
            }
            out.extend_from_slice(b"</TD>\n");
        }
        out.extend_from_slice(b"</TR>\n");
    }
}

/// Appends ` VALUES(...)` with one-line literals, as insert mode and `.dump` write them.
pub fn insert_values(out: &mut Vec<u8>, row: &[Value<'_>]) {
    out.extend_from_slice(b" VALUES(");
    for (index, value) in row.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match value {
            Value::Null => out.extend_from_slice(b"NULL"),
            Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Value::Real(value) => full_real(out, *value),
            Value::Text(bytes) => quoting::sql_one_line(out, bytes),
            Value::Blob(bytes) => quoting::blob(out, b'X', bytes),
        }
    }
    out.push(b')');
}

/// Appends a value as an SQL literal.
pub fn literal(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Null => out.extend_from_slice(b"NULL"),
        Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Real(value) => full_real(out, *value),
        Value::Text(bytes) => quoting::sql(out, bytes),
        Value::Blob(bytes) => quoting::blob(out, b'X', bytes),
    }
}

/// A real with all its digits: reading it back gives the same value.
fn full_real(out: &mut Vec<u8>, value: f64) {
    match value {
        f64::INFINITY => out.extend_from_slice(b"1e999"),
        f64::NEG_INFINITY => out.extend_from_slice(b"-1e999"),
        value => {
            let digits = crate::func::printf::format(b"%!.20g", &[Value::Real(value)]);
            out.extend(digits.unwrap_or_default());
        }
    }
}

/// Text up to its first zero byte: that is where SQLite's shell stops writing.
pub fn c_text(text: &[u8]) -> &[u8] {
    memchr::memchr(0, text).and_then(|end| text.get(..end)).unwrap_or(text)
}
