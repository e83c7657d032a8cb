//! The SQL functions: tables of scalar functions, aggregates, window functions and table-valued
//! functions, by name and number of arguments.

mod aggregate;
mod date;
mod json;
pub mod json_table;
mod math;
pub mod pattern;
mod percentile;
pub mod printf;
mod scalar;
mod table;
mod text;

pub use scalar::SQLITE_VERSION;

use crate::collate::Collation;
use crate::error::Result;
use crate::exec::Exec;
use crate::value::{Owned, Value};

pub use aggregate::{AGGREGATES, Accumulator};
pub use date::current;
pub use json::{as_blob as json_as_blob, nests as nests_json};
pub use percentile::Percentile;
pub use table::TABLE_FUNCTIONS;

/// What a scalar function may ask for.
pub struct Context<'a> {
    /// The running statement.
    pub exec: &'a Exec<'a>,
    /// The collation of its arguments.
    pub collation: Collation,
}

/// The code of a scalar function.
pub type ScalarCode = fn(&Context<'_>, &[Value<'_>]) -> Result<Owned>;

/// A scalar function.
pub struct Scalar {
    pub name: &'static str,
    pub min_args: usize,
    pub max_args: usize,
    pub code: ScalarCode,
    /// Gives the same for the same arguments.
    pub pure: bool,
}

impl std::fmt::Debug for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// An aggregate function.
#[derive(Debug)]
pub struct Aggregate {
    pub name: &'static str,
    pub min_args: usize,
    pub max_args: usize,
    pub kind: AggregateKind,
}

/// What an aggregate gathers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKind {
    Count,
    Sum,
    Total,
    Avg,
    Min,
    Max,
    GroupConcat,
    /// `json_group_array()` and its kin.
    Json {
        object: bool,
        binary: bool,
    },
    Percentile(Percentile),
}

/// A built-in window function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowFn {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
}

/// The window functions: name, arguments.
pub const WINDOW_FUNCTIONS: &[(&str, WindowFn, usize, usize)] = &[
    ("row_number", WindowFn::RowNumber, 0, 0),
    ("rank", WindowFn::Rank, 0, 0),
    ("dense_rank", WindowFn::DenseRank, 0, 0),
    ("percent_rank", WindowFn::PercentRank, 0, 0),
    ("cume_dist", WindowFn::CumeDist, 0, 0),
    ("ntile", WindowFn::Ntile, 1, 1),
    ("lag", WindowFn::Lag, 1, 3),
    ("lead", WindowFn::Lead, 1, 3),
    ("first_value", WindowFn::FirstValue, 1, 1),
    ("last_value", WindowFn::LastValue, 1, 1),
    ("nth_value", WindowFn::NthValue, 2, 2),
];

/// The code of a table-valued function.
pub type TableCode = fn(&Exec<'_>, &[Owned]) -> Result<Vec<Vec<Owned>>>;

/// A table-valued function: its columns, then the hidden ones that take its arguments.
pub struct TableFn {
    pub name: &'static str,
    pub columns: &'static [&'static str],
    pub hidden: &'static [&'static str],
    pub rows: TableCode,
}

impl std::fmt::Debug for TableFn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All scalar functions.
fn scalars() -> impl Iterator<Item = &'static Scalar> {
    scalar::FUNCTIONS
        .iter()
        .chain(text::FUNCTIONS)
        .chain(math::FUNCTIONS)
        .chain(date::FUNCTIONS)
        .chain(json::FUNCTIONS)
}

/// What a look-up found.
pub enum Found<T> {
    Function(T),
    WrongArgs,
    Unknown,
}

fn look_up<T>(
    name: &str,
    args: usize,
    all: impl Iterator<Item = T>,
    of: impl Fn(&T) -> (&'static str, usize, usize),
) -> Found<T> {
    let mut found = Found::Unknown;
    for candidate in all {
        let (own, min, max) = of(&candidate);
        if own.eq_ignore_ascii_case(name) {
            if (min..=max).contains(&args) {
                return Found::Function(candidate);
            }
            found = Found::WrongArgs;
        }
    }
    found
}

/// The scalar function of that name.
pub fn scalar(name: &str, args: usize) -> Found<&'static Scalar> {
    look_up(name, args, scalars(), |f| (f.name, f.min_args, f.max_args))
}

/// The aggregate of that name.
pub fn aggregate(name: &str, args: usize) -> Found<&'static Aggregate> {
    look_up(name, args, AGGREGATES.iter(), |f| (f.name, f.min_args, f.max_args))
}

/// The window function of that name.
pub fn window(name: &str, args: usize) -> Found<WindowFn> {
    match look_up(name, args, WINDOW_FUNCTIONS.iter(), |f| (f.0, f.2, f.3)) {
        Found::Function(found) => Found::Function(found.1),
        Found::WrongArgs => Found::WrongArgs,
        Found::Unknown => Found::Unknown,
    }
}

/// The table-valued function of that name.
pub fn table(name: &str) -> Option<&'static TableFn> {
    TABLE_FUNCTIONS.iter().find(|f| f.name.eq_ignore_ascii_case(name))
}
