//! What a thing must offer to be a table of `box sql`: columns, rows, push-down of filters.
//!
//! Floor: the ground; no I/O and no dependency. A provider (a capture, an RDB file, the running
//! containers) implements [`Table`]; `src/applets.rs` registers it; `box sql` scans it.

use std::fmt;

/// A value in a row, in SQLite's five storage classes.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// INTEGER, 64 bits signed.
    Integer(i64),
    /// REAL, IEEE 754 binary64.
    Real(f64),
    /// TEXT: bytes that are not necessarily UTF-8.
    Text(Vec<u8>),
    /// BLOB.
    Blob(Vec<u8>),
}

/// The declared type of a column, as SQLite's type affinity reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `INTEGER`
    Integer,
    /// `REAL`
    Real,
    /// `TEXT`
    Text,
    /// `BLOB`
    Blob,
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, lower case.
    pub name: &'static str,
    /// Its declared type.
    pub kind: ColumnType,
}

/// How a pushed-down filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// `column COMPARISON value`: a term of the WHERE clause that the provider may use to skip rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Index into [`Table::columns`].
    pub column: usize,
    /// How to compare.
    pub comparison: Comparison,
    /// What to compare with.
    pub value: Value,
}

/// Why a scan could not go on: one line for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanError(pub String);

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScanError {}

/// A thing with columns and rows.
pub trait Table {
    /// The columns, in order.
    fn columns(&self) -> &[Column];

    /// Starts a scan. `wanted[i]` says whether column `i` is read: an unwanted one may stay
    /// [`Value::Null`]. `filters` may be used to skip rows; the caller checks them again.
    ///
    /// # Errors
    /// The thing cannot be read.
    fn scan(&self, wanted: &[bool], filters: &[Filter]) -> Result<Box<dyn Rows + '_>, ScanError>;
}

/// The rows of a scan.
pub trait Rows {
    /// Fills `row` (one value a column) with the next row; false at the end.
    ///
    /// # Errors
    /// The thing cannot be read further.
    fn next(&mut self, row: &mut Vec<Value>) -> Result<bool, ScanError>;
}

/// Opens a thing by its name: registered in `src/applets.rs`, asked by `box sql` in order.
pub struct Opener {
    /// The table's name in SQL, such as `packets`.
    pub table: &'static str,
    /// Whether the first bytes of the file are of its kind.
    pub recognises: fn(head: &[u8]) -> bool,
    /// Opens the file.
    pub open: fn(path: &std::path::Path) -> Result<Box<dyn Table>, ScanError>,
}
