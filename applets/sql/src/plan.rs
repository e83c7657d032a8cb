//! What the compiler makes of a statement and the executor runs: bound expressions, the loops of a
//! join, aggregation, windows, sorts.
//!
//! Rows live in *frames*: one frame a running query, with one *slot* a table of its FROM clause. A
//! bound column says how many frames up, which slot, which column; so a correlated subquery reads
//! its outer row in place.

use std::rc::Rc;

use crate::ast::{Binary, CompoundOp, Conflict, FrameExclude, FrameUnit, Name, Raise};
use crate::collate::Collation;
use crate::func::{Aggregate, Scalar, WindowFn};
use crate::schema::{Index, Table};
use crate::value::{Affinity, Owned};

/// The column number that means the rowid.
pub const ROWID: u16 = u16::MAX;

/// A bound column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnRef {
    /// Frames up from the one that evaluates.
    pub up: u16,
    pub slot: u16,
    /// Column of the table, or [`ROWID`].
    pub col: u16,
    pub affinity: Affinity,
    pub collation: Collation,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Applied to both sides first.
    pub affinity: Affinity,
    pub collation: Collation,
}

/// A bound expression.
#[derive(Clone, Debug)]
pub enum Expr {
    Const(Owned),
    /// Parameter, from 0.
    Param(usize),
    Column(ColumnRef),
    /// A result of aggregation or of a window, `up` frames up.
    Reg {
        up: u16,
        reg: u16,
    },
    Minus(Box<Expr>),
    /// Unary plus: the value without affinity or index.
    Plus(Box<Expr>),
    BitNot(Box<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    NotNull(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compare(Binary, Box<Expr>, Box<Expr>, Comparison),
    Arith(Binary, Box<Expr>, Box<Expr>),
    Concat(Box<Expr>, Box<Expr>),
    InList {
        not: bool,
        value: Box<Expr>,
        list: Vec<Expr>,
        how: Comparison,
        constant: Option<usize>,
    },
    InSelect {
        not: bool,
        values: Vec<Expr>,
        plan: Rc<SubPlan>,
        how: Vec<Comparison>,
    },
    Cast(Box<Expr>, Affinity),
    /// A key converted as the comparison that it stands for converts.
    Convert(Box<Expr>, Affinity),
    Collate(Box<Expr>, Collation),
    Call {
        function: &'static Scalar,
        args: Vec<Expr>,
        collation: Collation,
    },
    Coalesce(Vec<Expr>),
    /// `iif`, `CASE`: whens, otherwise.
    Case {
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    /// `CASE operand WHEN`: the operand is computed once.
    CaseOf {
        operand: Box<Expr>,
        whens: Vec<(Expr, Expr, Comparison)>,
        otherwise: Option<Box<Expr>>,
    },
    Exists(Rc<SubPlan>),
    Scalar(Rc<SubPlan>),
    /// A row value; compared, never a value itself.
    Row(Vec<Expr>),
    /// A subquery of several columns, as a row value.
    RowSelect(Rc<SubPlan>),
    RowCompare {
        op: Binary,
        left: Box<Expr>,
        right: Box<Expr>,
        how: Vec<Comparison>,
    },
    /// Column `n` of a subquery's only row: `SET (a, b) = (SELECT ...)`.
    RowField(Rc<SubPlan>, usize),
    Raise(Raise, Option<Box<Expr>>),
}

/// A subquery within an expression.
#[derive(Debug)]
pub struct SubPlan {
    pub plan: Select,
    /// Where its result is kept while the statement runs; `None` for correlated ones.
    pub cache: Option<usize>,
}

/// A result column.
#[derive(Clone, Debug)]
pub struct Output {
    pub name: Name,
    pub affinity: Affinity,
    pub collation: Collation,
    /// The collation was said, or is a column's.
    pub collated: bool,
    pub type_name: Option<Name>,
}

/// A select statement.
#[derive(Debug)]
pub struct Select {
    pub columns: Vec<Output>,
    pub body: Body,
    pub limit: Option<Expr>,
    pub offset: Option<Expr>,
    /// Columns of outer frames that it reads: (frames up from its own, slot, column).
    pub outer: Vec<(u16, u16, u16)>,
    /// How many frames up the farthest thing is that it reads; 0 for an uncorrelated one.
    pub reach: u16,
}

/// What a select does.
#[derive(Debug)]
pub enum Body {
    Values(Vec<Vec<Expr>>),
    Query(Box<Query>),
    Compound { first: Box<Select>, rest: Vec<(CompoundOp, Select)>, order: Vec<SortKey> },
    Recursive(Box<Recursive>),
}

/// `WITH RECURSIVE`
#[derive(Debug)]
pub struct Recursive {
    pub id: usize,
    pub first: Vec<(CompoundOp, Select)>,
    pub steps: Vec<(CompoundOp, Select)>,
    pub order: Vec<SortKey>,
    pub collations: Vec<Collation>,
}

/// A sort key over the columns of a result, or an expression beside them.
#[derive(Clone, Debug)]
pub struct SortKey {
    pub by: SortBy,
    pub desc: bool,
    pub nulls_first: bool,
    pub collation: Collation,
}

/// What is sorted by.
#[derive(Clone, Debug)]
pub enum SortBy {
    Output(usize),
    Expr(Expr),
}

/// One arm: the loops, then aggregation, windows, order.
#[derive(Debug)]
pub struct Query {
    pub sources: Vec<Source>,
    /// The loops, outermost first.
    pub levels: Vec<Level>,
    /// Terms that read no table of this query: false means no row at all.
    pub constant_terms: Vec<Expr>,
    pub outputs: Vec<Expr>,
    pub distinct: Option<Vec<Collation>>,
    pub aggregate: Option<Aggregation>,
    pub windows: Vec<WindowPlan>,
    pub order: Vec<SortKey>,
    /// The loops give the rows in the order asked for.
    pub ordered: bool,
    /// Registers of the frame.
    pub registers: usize,
    /// (slot, column) that are read after aggregation or a window.
    pub captures: Vec<(u16, u16)>,
}

/// A table of the FROM clause.
#[derive(Debug)]
pub struct Source {
    pub kind: SourceKind,
    pub name: Name,
    /// The columns that are read, by number; the rowid not counted.
    pub used: Vec<bool>,
}

/// What a source is.
#[derive(Debug)]
pub enum SourceKind {
    Table(Rc<Table>),
    /// A subquery; rows kept under `cache` while the statement runs where it is not correlated.
    Select {
        plan: Rc<Select>,
        cache: Option<usize>,
    },
    /// The rows that a recursive table got last.
    Recursion {
        id: usize,
    },
    /// A table-valued function.
    Function {
        function: &'static crate::func::TableFn,
        args: Vec<Expr>,
    },
}

/// One loop of a join.
#[derive(Debug)]
pub struct Level {
    pub slot: usize,
    pub access: Access,
    /// Terms that decide whether a row matches.
    pub on: Vec<Expr>,
    /// A row without a match goes on with NULLs.
    pub left: bool,
    /// Rows of this source that match nothing come at the end with NULLs on the other side.
    pub right: bool,
    /// Terms that are checked once the row, or its NULLs, stand.
    pub filters: Vec<Expr>,
    /// Rows that the planner counts on.
    pub rows: f64,
}

/// A bound of a range.
#[derive(Clone, Debug)]
pub struct Bound {
    pub value: Expr,
    pub inclusive: bool,
}

/// How the rows of a source are found.
#[derive(Debug)]
pub enum Access {
    Scan {
        desc: bool,
    },
    RowidEq(Expr),
    RowidIn(Box<InTerm>),
    RowidRange {
        low: Option<Bound>,
        high: Option<Bound>,
        desc: bool,
    },
    Index(Box<IndexAccess>),
    /// A hash table over the source, made once: equal keys in the order of the scan.
    Hash {
        keys: Vec<HashKey>,
    },
}

/// `value = column` for a hash table.
#[derive(Debug)]
pub struct HashKey {
    /// Over the source itself.
    pub inner: Expr,
    /// Over the loops outside.
    pub outer: Expr,
    pub how: Comparison,
}

/// `IN` as an access path.
#[derive(Debug)]
pub enum InTerm {
    List(Vec<Expr>),
    /// A subquery, and the affinity that its values are compared with.
    Select(Rc<SubPlan>, Affinity),
}

/// A walk over an index.
#[derive(Debug)]
pub struct IndexAccess {
    pub index: Rc<Index>,
    /// Values that the first columns equal; `true`: a NULL matches too (`IS`).
    pub equal: Vec<(Expr, bool)>,
    /// `IN` on the column behind them.
    pub within: Option<InTerm>,
    pub low: Option<Bound>,
    pub high: Option<Bound>,
    pub desc: bool,
    /// All columns that are read stand in the index.
    pub covering: bool,
}

/// GROUP BY and aggregates.
#[derive(Debug)]
pub struct Aggregation {
    pub groups: Vec<Expr>,
    pub collations: Vec<Collation>,
    /// Sorted descending, where ORDER BY asks for the groups so.
    pub descending: Vec<bool>,
    pub calls: Vec<AggregateCall>,
    pub having: Option<Expr>,
    /// The only call is min() or max(): bare columns come from its row.
    pub extreme: Option<usize>,
    /// The rows come in the order of the only call, min() or max(): the first that is not NULL is it.
    pub first_only: bool,
    /// `count(*)` of one table and nothing else.
    pub count_rows: bool,
}

/// A call of an aggregate.
#[derive(Debug)]
pub struct AggregateCall {
    pub function: &'static Aggregate,
    pub args: Vec<Expr>,
    pub distinct: bool,
    pub collation: Collation,
    pub filter: Option<Expr>,
    pub order: Vec<SortKey>,
    pub reg: u16,
}

/// The functions over one window.
#[derive(Debug)]
pub struct WindowPlan {
    pub partition: Vec<(Expr, Collation)>,
    pub order: Vec<SortKey>,
    pub unit: FrameUnit,
    pub start: Bounds,
    pub end: Bounds,
    pub exclude: FrameExclude,
    pub calls: Vec<WindowCall>,
}

/// An end of a window frame.
#[derive(Debug, Clone)]
pub enum Bounds {
    Unbounded,
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
}

/// A call of a window function.
#[derive(Debug)]
pub struct WindowCall {
    pub function: WindowKind,
    pub args: Vec<Expr>,
    pub collation: Collation,
    pub filter: Option<Expr>,
    pub reg: u16,
}

/// A built-in window function, or an aggregate over the frame.
#[derive(Clone, Copy, Debug)]
pub enum WindowKind {
    Builtin(WindowFn),
    Aggregate(&'static Aggregate),
}

/// `INSERT`
#[derive(Debug)]
pub struct Insert {
    pub table: Rc<Table>,
    pub conflict: Option<Conflict>,
    /// For each column of the table: the column of the source, or the default.
    pub columns: Vec<ColumnSource>,
    /// Column of the source that is the rowid, where `rowid` was named.
    pub rowid: Option<usize>,
    pub source: Option<Select>,
    /// The source reads the table: its rows are gathered first.
    pub gather: bool,
    pub upserts: Vec<Upsert>,
    pub returning: Vec<Expr>,
    pub outputs: Vec<Output>,
}

/// Where a column of an inserted row comes from.
#[derive(Debug)]
pub enum ColumnSource {
    Source(usize),
    Default(Expr),
}

/// `ON CONFLICT DO`
#[derive(Debug)]
#[allow(clippy::type_complexity)]
pub struct Upsert {
    /// The index whose conflict it answers; `None` inside: the rowid; `None`: any.
    pub target: Option<Option<Name>>,
    pub update: Option<(Vec<(u16, Expr)>, Option<Expr>)>,
}

/// `UPDATE`
#[derive(Debug)]
pub struct Update {
    pub table: Rc<Table>,
    pub conflict: Option<Conflict>,
    pub query: Select,
    /// Column (or [`ROWID`]) and the place of its new value in the query's row.
    pub set: Vec<(u16, usize)>,
    /// Where the row key begins in the query's row.
    pub key: usize,
    /// `UPDATE ... FROM`
    pub joined: bool,
    pub returning: Vec<Expr>,
    pub outputs: Vec<Output>,
}

/// `DELETE`
#[derive(Debug)]
pub struct Delete {
    pub table: Rc<Table>,
    /// The keys of the rows.
    pub query: Select,
    /// No WHERE, no trigger, no key that watches: the trees are cleared whole.
    pub truncate: bool,
    pub returning: Vec<Expr>,
    pub outputs: Vec<Output>,
}
