//! The syntax tree: what a statement says, before any name is looked up.

use std::rc::Rc;

/// An identifier. SQL text that is not UTF-8 loses its bad bytes in names only, never in values.
pub type Name = Rc<str>;

/// `[schema.]name`
#[derive(Clone, Debug, PartialEq)]
pub struct QualifiedName {
    /// `main`, `temp`, or an attached database.
    pub schema: Option<Name>,
    /// The object.
    pub name: Name,
}

/// A literal.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Literal {
    Null,
    Int(i64),
    Real(f64),
    Text(Rc<[u8]>),
    Blob(Rc<[u8]>),
    CurrentDate,
    CurrentTime,
    CurrentTimestamp,
}

/// A prefix operator or postfix test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Unary {
    Minus,
    Plus,
    BitNot,
    Not,
    IsNull,
    NotNull,
}

/// An infix operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Binary {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Is,
    IsNot,
    BitAnd,
    BitOr,
    Shl,
    Shr,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Concat,
}

/// What stands behind `IN`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum InSet {
    List(Vec<Expr>),
    Select(Box<Select>),
    Table(QualifiedName),
}

/// `RAISE(...)` inside a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Raise {
    Ignore,
    Rollback,
    Abort,
    Fail,
}

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub name: Name,
    /// `f(DISTINCT x)`
    pub distinct: bool,
    /// `f(*)`
    pub star: bool,
    /// The arguments.
    pub args: Vec<Expr>,
    /// `f(x ORDER BY y)`
    pub order_by: Vec<OrderTerm>,
    /// `FILTER (WHERE ...)`
    pub filter: Option<Box<Expr>>,
    /// `OVER ...`
    pub over: Option<Box<Over>>,
    /// Where the name stands.
    pub offset: usize,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Expr {
    Literal(Literal),
    /// A parameter, numbered from 1.
    Variable(usize),
    /// `[[schema.]table.]column`; `quoted` with double quotes, so that it may turn into a string.
    Column {
        schema: Option<Name>,
        table: Option<Name>,
        name: Name,
        quoted: bool,
        offset: usize,
    },
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `LIKE`, `GLOB`, `MATCH`, `REGEXP`: calls of the function of that name.
    Like {
        function: &'static str,
        not: bool,
        lhs: Box<Expr>,
        rhs: Box<Expr>,
        escape: Option<Box<Expr>>,
    },
    Between {
        not: bool,
        value: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
    },
    In {
        not: bool,
        value: Box<Expr>,
        set: InSet,
    },
    Cast(Box<Expr>, Name),
    Collate(Box<Expr>, Name),
    Call(Box<Call>),
    Case {
        operand: Option<Box<Expr>>,
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Exists(Box<Select>),
    Subquery(Box<Select>),
    /// `(a, b)`
    Row(Vec<Expr>),
    Raise(Raise, Option<Box<Expr>>),
    /// Column `n` of the only row of a subquery: what `SET (a, b) = (SELECT ...)` stands for.
    RowField(Box<Select>, usize),
}

/// A term of `ORDER BY` or of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderTerm {
    /// What is ordered.
    pub expr: Expr,
    /// `DESC`
    pub desc: bool,
    /// `NULLS FIRST` (true) or `NULLS LAST` where said.
    pub nulls_first: Option<bool>,
}

/// A window: by name, or its definition.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Over {
    Name(Name),
    Window(Window),
}

/// A window definition.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Window {
    /// The window this one is based on.
    pub base: Option<Name>,
    /// `PARTITION BY`
    pub partition_by: Vec<Expr>,
    /// `ORDER BY`
    pub order_by: Vec<OrderTerm>,
    /// `ROWS|RANGE|GROUPS ...`
    pub frame: Option<WindowFrame>,
}

/// How a frame counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FrameUnit {
    Rows,
    Range,
    Groups,
}

/// One end of a frame.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Box<Expr>),
    CurrentRow,
    Following(Box<Expr>),
    UnboundedFollowing,
}

/// What a frame leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FrameExclude {
    NoOthers,
    CurrentRow,
    Group,
    Ties,
}

/// The frame of a window.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct WindowFrame {
    pub unit: FrameUnit,
    pub start: FrameBound,
    pub end: FrameBound,
    pub exclude: FrameExclude,
}

/// `WITH ...`
#[derive(Clone, Debug, PartialEq)]
pub struct With {
    /// `RECURSIVE` was said; any table may recurse anyway.
    pub recursive: bool,
    /// The tables.
    pub tables: Vec<Rc<Cte>>,
}

/// A common table expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Cte {
    /// Its name.
    pub name: Name,
    /// Its columns where named.
    pub columns: Vec<Name>,
    /// `MATERIALIZED` or `NOT MATERIALIZED`.
    pub materialized: Option<bool>,
    /// Its query.
    pub select: Select,
}

/// How two arms of a compound select meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CompoundOp {
    Union,
    UnionAll,
    Except,
    Intersect,
}

/// A select statement: arms, order, limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// `WITH`
    pub with: Option<With>,
    /// The first arm.
    pub first: SelectCore,
    /// The others, with what stands before each.
    pub rest: Vec<(CompoundOp, SelectCore)>,
    /// `ORDER BY`
    pub order_by: Vec<OrderTerm>,
    /// `LIMIT`
    pub limit: Option<Box<Expr>>,
    /// `OFFSET`
    pub offset: Option<Box<Expr>>,
}

/// One arm.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum SelectCore {
    Values(Vec<Vec<Expr>>),
    Query(Box<Query>),
}

/// `SELECT ... FROM ... WHERE ...`
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Query {
    /// `DISTINCT`
    pub distinct: bool,
    /// What is asked for.
    pub columns: Vec<ResultColumn>,
    /// `FROM`, in the order of the text.
    pub from: Vec<FromItem>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `GROUP BY`
    pub group_by: Vec<Expr>,
    /// `HAVING`
    pub having: Option<Expr>,
    /// `WINDOW name AS (...)`
    pub windows: Vec<(Name, Window)>,
}

/// A result column.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum ResultColumn {
    Star,
    TableStar(Name),
    Expr { expr: Expr, alias: Option<Name>, text: Name },
}

/// How a table of `FROM` is joined to what stands left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct JoinKind {
    /// `NATURAL`
    pub natural: bool,
    /// `LEFT` or `FULL`: rows of the left side without a match stay.
    pub left: bool,
    /// `RIGHT` or `FULL`: rows of the right side without a match stay.
    pub right: bool,
    /// `CROSS`: the order of the tables is kept.
    pub cross: bool,
}

/// A table of `FROM`.
#[derive(Clone, Debug, PartialEq)]
pub struct FromItem {
    /// The table, subquery or function.
    pub source: FromSource,
    /// `AS name`
    pub alias: Option<Name>,
    /// How it is joined.
    pub join: JoinKind,
    /// `ON`
    pub on: Option<Expr>,
    /// `USING`
    pub using: Vec<Name>,
    /// `INDEXED BY name` or `NOT INDEXED` (inner `None`).
    pub indexed: Option<Option<Name>>,
}

impl FromItem {
    /// The name of the table that it is.
    pub fn table_name(&self) -> Option<&QualifiedName> {
        match &self.source {
            FromSource::Table(name) => Some(name),
            _ => None,
        }
    }
}

/// What stands in `FROM`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum FromSource {
    Table(QualifiedName),
    Function(QualifiedName, Vec<Expr>),
    Select(Box<Select>),
    /// `(a JOIN b)`
    Join(Vec<FromItem>),
}

/// What a broken constraint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Conflict {
    Rollback,
    Abort,
    Fail,
    Ignore,
    Replace,
}

/// `CREATE TABLE`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct CreateTable {
    pub temp: bool,
    pub if_not_exists: bool,
    pub name: QualifiedName,
    pub columns: Vec<ColumnDef>,
    pub constraints: Vec<TableConstraint>,
    pub without_rowid: bool,
    pub strict: bool,
    pub as_select: Option<Box<Select>>,
}

/// A column of `CREATE TABLE`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ColumnDef {
    pub name: Name,
    pub type_name: Option<Name>,
    pub constraints: Vec<ColumnConstraint>,
}

/// A constraint of a column.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum ColumnConstraint {
    PrimaryKey { desc: bool, conflict: Option<Conflict>, autoincrement: bool },
    NotNull(Option<Conflict>),
    Unique(Option<Conflict>),
    Check { expr: Expr, name: Option<Name>, text: Name },
    Default { expr: Expr, text: Name },
    Collate(Name),
    References(ForeignKey),
    Generated { expr: Expr, stored: bool },
}

/// A constraint of a table.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum TableConstraint {
    PrimaryKey { columns: Vec<OrderTerm>, conflict: Option<Conflict>, autoincrement: bool },
    Unique { columns: Vec<OrderTerm>, conflict: Option<Conflict> },
    Check { expr: Expr, name: Option<Name>, text: Name },
    ForeignKey { columns: Vec<Name>, key: ForeignKey },
}

/// What a foreign key does when the parent row goes or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum FkAction {
    #[default]
    NoAction,
    Restrict,
    SetNull,
    SetDefault,
    Cascade,
}

/// `REFERENCES`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ForeignKey {
    pub table: Name,
    pub columns: Vec<Name>,
    pub on_delete: FkAction,
    pub on_update: FkAction,
    pub deferred: bool,
    pub match_name: Option<Name>,
}

/// `CREATE INDEX`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct CreateIndex {
    pub unique: bool,
    pub if_not_exists: bool,
    pub name: QualifiedName,
    pub table: Name,
    pub columns: Vec<OrderTerm>,
    pub filter: Option<Expr>,
}

/// `CREATE VIEW`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct CreateView {
    pub temp: bool,
    pub if_not_exists: bool,
    pub name: QualifiedName,
    pub columns: Vec<Name>,
    pub select: Select,
}

/// When a trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TriggerTime {
    Before,
    After,
    InsteadOf,
}

/// What a trigger watches.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum TriggerEvent {
    Delete,
    Insert,
    Update(Vec<Name>),
}

/// `CREATE TRIGGER`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct CreateTrigger {
    pub temp: bool,
    pub if_not_exists: bool,
    pub name: QualifiedName,
    pub time: TriggerTime,
    pub event: TriggerEvent,
    pub table: QualifiedName,
    pub when: Option<Expr>,
    pub body: Vec<Stmt>,
}

/// `ON CONFLICT (...) DO ...`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Upsert {
    pub target: Vec<OrderTerm>,
    pub target_filter: Option<Expr>,
    /// `None`: `DO NOTHING`.
    pub update: Option<(Vec<Assignment>, Option<Expr>)>,
}

/// `column = expr` or `(a, b) = expr`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Assignment {
    pub columns: Vec<Name>,
    pub value: Expr,
}

/// What `INSERT` inserts.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum InsertSource {
    Select(Box<Select>),
    Defaults,
}

/// `INSERT`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Insert {
    pub with: Option<With>,
    pub conflict: Option<Conflict>,
    pub table: QualifiedName,
    pub alias: Option<Name>,
    pub columns: Vec<Name>,
    pub source: InsertSource,
    pub upserts: Vec<Upsert>,
    pub returning: Vec<ResultColumn>,
}

/// `UPDATE`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Update {
    pub with: Option<With>,
    pub conflict: Option<Conflict>,
    pub table: FromItem,
    pub set: Vec<Assignment>,
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub order_by: Vec<OrderTerm>,
    pub limit: Option<Box<Expr>>,
    pub offset: Option<Box<Expr>>,
    pub returning: Vec<ResultColumn>,
}

/// `DELETE`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Delete {
    pub with: Option<With>,
    pub table: FromItem,
    pub filter: Option<Expr>,
    pub order_by: Vec<OrderTerm>,
    pub limit: Option<Box<Expr>>,
    pub offset: Option<Box<Expr>>,
    pub returning: Vec<ResultColumn>,
}

/// What `DROP` drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DropKind {
    Table,
    Index,
    View,
    Trigger,
}

/// `ALTER TABLE ...`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Alter {
    RenameTable(Name),
    RenameColumn(Name, Name),
    AddColumn { column: ColumnDef, text: Name },
    DropColumn(Name),
}

/// `BEGIN ...`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Begin {
    Deferred,
    Immediate,
    Exclusive,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Stmt {
    Select(Box<Select>),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    CreateTable(Box<CreateTable>),
    CreateIndex(Box<CreateIndex>),
    CreateView(Box<CreateView>),
    CreateTrigger(Box<CreateTrigger>),
    CreateVirtualTable(QualifiedName),
    Drop { kind: DropKind, if_exists: bool, name: QualifiedName },
    Alter { table: QualifiedName, action: Alter },
    Begin(Begin),
    Commit,
    Rollback(Option<Name>),
    Savepoint(Name),
    Release(Name),
    Pragma { name: QualifiedName, value: Option<PragmaValue> },
    Attach { file: Expr, name: Expr },
    Detach(Expr),
    Vacuum { schema: Option<Name>, into: Option<Expr> },
    Analyze(Option<QualifiedName>),
    Reindex(Option<QualifiedName>),
    Explain { plan: bool, stmt: Box<Stmt> },
}

/// The value of a pragma: `= v` or `(v)`.
#[derive(Clone, Debug, PartialEq)]
pub struct PragmaValue {
    /// Its text: a name, a string, a signed number.
    pub text: Vec<u8>,
}
