//! Frames and slots: where the rows of a running query are.

use std::cell::RefCell;
use std::rc::Rc;

use super::select::Row;
use crate::collate::Encoding;
use crate::error::{Error, Result};
use crate::plan::ROWID;
use crate::record::{Field, Header};
use crate::schema::{Index, IndexPart, Table};
use crate::value::{Affinity, Owned, Value};

/// How a column is had from a record.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// Field of the record; what stands for it in records that are older than the column.
    Field { at: u16, real: bool, missing: Option<Box<Owned>> },
    /// The rowid.
    Rowid,
    /// Not in the record: a virtual column, computed when the row is loaded.
    None,
}

/// The columns of a table as its rows hold them.
pub fn layout_of_table(table: &Table) -> Rc<[Fetch]> {
    let columns = table.columns.iter().enumerate().map(|(n, column)| {
        if table.rowid_alias == Some(n) {
            return Fetch::Rowid;
        }
        let Some(at) = table.fields[n] else { return Fetch::None };
        let missing = column.default.as_ref().and_then(|(expr, _)| constant(expr, column.affinity));
        Fetch::Field { at: at as u16, real: column.affinity == Affinity::Real, missing }
    });
    columns.collect()
}

/// The value of a default that is a literal.
fn constant(expr: &crate::ast::Expr, affinity: Affinity) -> Option<Box<Owned>> {
    use crate::ast::{Expr, Literal, Unary};
    let value = match expr {
        Expr::Literal(Literal::Int(v)) => Value::Int(*v),
        Expr::Literal(Literal::Real(v)) => Value::Real(*v),
        Expr::Literal(Literal::Text(v)) => Value::text(v.to_vec()),
        Expr::Literal(Literal::Blob(v)) => Value::blob(v.to_vec()),
        Expr::Unary(Unary::Minus, inner) => match *constant(inner, Affinity::None)? {
            Value::Int(v) => Value::Int(v.wrapping_neg()),
            Value::Real(v) => Value::Real(-v),
            _ => return None,
        },
        Expr::Unary(Unary::Plus, inner) => *constant(inner, Affinity::None)?,
        Expr::Column { table: None, name, .. } => match name.to_ascii_lowercase().as_str() {
            "true" => Value::Int(1),
            "false" => Value::Int(0),
            _ => Value::text(name.as_bytes()),
        },
        _ => return None,
    };
    Some(Box::new(value.apply(affinity)))
}

/// The columns of a table as an index entry holds them, and the field of the rowid.
pub fn layout_of_index(table: &Table, index: &Index) -> (Rc<[Fetch]>, Option<usize>) {
    let place = |n: usize| index.columns.iter().position(|c| c.part == IndexPart::Column(n));
    let columns = table.columns.iter().enumerate().map(|(n, column)| {
        if table.rowid_alias == Some(n) {
            return Fetch::Rowid;
        }
        place(n).map_or(Fetch::None, |at| Fetch::Field {
            at: at as u16,
            real: column.affinity == Affinity::Real,
            missing: None,
        })
    });
    let rowid = index.columns.iter().position(|c| c.part == IndexPart::Rowid);
    (columns.collect(), rowid)
}

/// The current row of one source.
pub enum Slot {
    /// No row, or the NULLs of an outer join.
    Null,
    /// A record as it is stored.
    Record(Record),
    /// Values, one a column; and the rowid.
    Values { values: Vec<Owned>, rowid: i64 },
    /// A row of a kept result.
    Shared(Row),
}

/// A stored row.
pub struct Record {
    pub bytes: Vec<u8>,
    pub header: RefCell<Header>,
    pub layout: Rc<[Fetch]>,
    pub rowid: i64,
    /// The field that holds the rowid, in an index entry.
    pub rowid_field: Option<usize>,
    pub encoding: Encoding,
    /// The row stands; otherwise the slot is NULL, its buffers kept.
    pub present: bool,
}

impl Record {
    pub fn new(layout: Rc<[Fetch]>, rowid_field: Option<usize>, encoding: Encoding) -> Record {
        Record {
            bytes: Vec::new(),
            header: RefCell::new(Header::new()),
            layout,
            rowid: 0,
            rowid_field,
            encoding,
            present: false,
        }
    }

    /// Takes a row in.
    #[inline]
    pub fn load(&mut self, rowid: i64, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.header.get_mut().reset();
        self.rowid = rowid;
        self.present = true;
    }

    #[inline]
    fn field(&self, at: usize) -> Result<Option<Field<'_>>> {
        Ok(self.header.borrow_mut().field(&self.bytes, at)?)
    }

    fn rowid(&self) -> Result<i64> {
        match self.rowid_field {
            None => Ok(self.rowid),
            Some(at) => match self.field(at)? {
                Some(Field::Int(rowid)) => Ok(rowid),
                _ => Err(crate::vfs::Error::Corrupt.into()),
            },
        }
    }

    #[inline]
    fn column(&self, col: u16) -> Result<Value<'_>> {
        if !self.present {
            return Ok(Value::Null);
        }
        if col == ROWID {
            return self.rowid().map(Value::Int);
        }
        match self.layout.get(col as usize) {
            Some(Fetch::Field { at, real, missing }) => match self.field(*at as usize)? {
                Some(Field::Int(v)) if *real => Ok(Value::Real(v as f64)),
                Some(field) => Ok(Value::from_field(field, self.encoding)),
                None => Ok(missing.as_ref().map_or(Value::Null, |value| value.borrow())),
            },
            Some(Fetch::Rowid) => self.rowid().map(Value::Int),
            _ => Ok(Value::Null),
        }
    }
}

impl Slot {
    /// Column `col` of the row.
    #[inline]
    pub fn column(&self, col: u16) -> Result<Value<'_>> {
        match self {
            Slot::Record(record) => record.column(col),
            Slot::Null => Ok(Value::Null),
            Slot::Values { rowid, .. } if col == ROWID => Ok(Value::Int(*rowid)),
            Slot::Values { values, .. } => {
                Ok(values.get(col as usize).map_or(Value::Null, Value::borrow))
            }
            Slot::Shared(row) => Ok(row.get(col as usize).map_or(Value::Null, Value::borrow)),
        }
    }

    /// Turns the row to NULLs, its buffers kept.
    pub fn clear(&mut self) {
        match self {
            Slot::Record(record) => record.present = false,
            other => *other = Slot::Null,
        }
    }
}

/// The rows of one running query, and the query around it.
pub struct Frame<'p> {
    pub parent: Option<&'p Frame<'p>>,
    pub slots: Vec<Slot>,
    pub regs: Vec<Owned>,
    pub(super) cursors: Vec<Option<super::access::Cursors>>,
}

impl<'p> Frame<'p> {
    pub fn new(parent: Option<&'p Frame<'p>>, slots: usize, regs: usize) -> Frame<'p> {
        Frame {
            parent,
            slots: (0..slots).map(|_| Slot::Null).collect(),
            regs: vec![Value::Null; regs],
            cursors: (0..slots).map(|_| None).collect(),
        }
    }

    /// A frame of single rows.
    pub fn of_rows(parent: Option<&'p Frame<'p>>, slots: Vec<Slot>) -> Frame<'p> {
        Frame { parent, slots, regs: vec![], cursors: vec![] }
    }

    /// The frame `up` frames up.
    #[inline]
    pub fn up(&self, up: u16) -> Result<&Frame<'_>> {
        let mut frame: &Frame<'_> = self;
        for _ in 0..up {
            frame = frame.parent.ok_or_else(|| Error::new("no such outer query"))?;
        }
        Ok(frame)
    }

    /// Column `col` of slot `slot`.
    #[inline]
    pub fn column(&self, up: u16, slot: u16, col: u16) -> Result<Value<'_>> {
        let frame = if up == 0 { self } else { self.up(up)? };
        frame.slots.get(slot as usize).map_or(Ok(Value::Null), |slot| slot.column(col))
    }
}
