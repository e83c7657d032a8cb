//! Expressions as the batch engine runs them.
//!
//! [`Builder`] turns a bound expression into a [`Node`], or says that it cannot (`None`): then the
//! whole query is run row by row. Columns become numbers of vectors, each slot's in the order they
//! were asked for, so that what the filters read comes first.

use std::cell::OnceCell;
use std::rc::Rc;

use super::like::LikePattern;
use crate::ast::Binary;
use crate::collate::Collation;
use crate::exec::hash::Set;
use crate::func::Scalar;
use crate::plan::{Comparison, Expr, ROWID};
use crate::value::{Affinity, Owned, Value};

/// An expression over the columns of a batch.
pub enum Node<'q> {
    /// Vector `at` of a slot.
    Column {
        slot: usize,
        at: usize,
    },
    Const(Owned),
    /// Does not depend on the row: computed when it is first asked for.
    Once(&'q Expr, OnceCell<Owned>),
    Compare(Binary, Box<Node<'q>>, Box<Node<'q>>, Comparison),
    Arith(Binary, Box<Node<'q>>, Box<Node<'q>>),
    And(Box<Node<'q>>, Box<Node<'q>>),
    Or(Box<Node<'q>>, Box<Node<'q>>),
    Not(Box<Node<'q>>),
    IsNull(Box<Node<'q>>, bool),
    Minus(Box<Node<'q>>),
    Concat(Box<Node<'q>>, Box<Node<'q>>),
    Cast(Box<Node<'q>>, Affinity),
    Convert(Box<Node<'q>>, Affinity),
    Like(Box<Node<'q>>, LikePattern),
    /// A set that does not depend on the row: made when it is first asked for.
    In {
        not: bool,
        value: Box<Node<'q>>,
        expr: &'q Expr,
        how: Comparison,
        set: OnceCell<Rc<Set>>,
    },
    Call {
        function: &'static Scalar,
        args: Vec<Node<'q>>,
        collation: Collation,
    },
    Case {
        whens: Vec<(Node<'q>, Node<'q>)>,
        otherwise: Option<Box<Node<'q>>>,
    },
}

/// The columns that a slot must give, in the order of its vectors.
pub type Columns = Vec<u16>;

/// Builds nodes and notes which columns they read.
pub struct Builder<'a> {
    pub columns: Vec<Columns>,
    pub params: &'a [Owned],
    /// For each slot, the column that is another name of the rowid.
    pub aliases: Vec<Option<u16>>,
    /// Slots that the engine knows how to read.
    pub known: u64,
}

impl Builder<'_> {
    /// The vector of a column.
    pub fn column(&mut self, slot: usize, col: u16) -> Option<usize> {
        if self.known & 1u64.checked_shl(slot as u32)? == 0 {
            return None;
        }
        let col = if *self.aliases.get(slot)? == Some(col) { ROWID } else { col };
        let columns = self.columns.get_mut(slot)?;
        if let Some(at) = columns.iter().position(|known| *known == col) {
            return Some(at);
        }
        columns.push(col);
        Some(columns.len() - 1)
    }

    fn boxed<'q>(&mut self, expr: &'q Expr) -> Option<Box<Node<'q>>> {
        self.node(expr).map(Box::new)
    }

    /// The node of an expression; `None` where it has to be run row by row.
    pub fn node<'q>(&mut self, expr: &'q Expr) -> Option<Node<'q>> {
        Some(match expr {
            Expr::Const(value) => Node::Const(value.clone()),
            Expr::Param(n) => Node::Const(self.params.get(*n).cloned().unwrap_or_default()),
            Expr::Column(c) if c.up == 0 => {
                let slot = usize::from(c.slot);
                Node::Column { slot, at: self.column(slot, c.col)? }
            }
            Expr::Column(_) => Node::Once(expr, OnceCell::new()),
            Expr::Reg { up, .. } if *up > 0 => Node::Once(expr, OnceCell::new()),
            Expr::Scalar(plan) | Expr::Exists(plan) if plan.cache.is_some() => {
                Node::Once(expr, OnceCell::new())
            }
            Expr::Compare(op, l, r, how) => {
                Node::Compare(*op, self.boxed(l)?, self.boxed(r)?, *how)
            }
            Expr::Arith(op, l, r) => Node::Arith(*op, self.boxed(l)?, self.boxed(r)?),
            Expr::And(l, r) => Node::And(self.boxed(l)?, self.boxed(r)?),
            Expr::Or(l, r) => Node::Or(self.boxed(l)?, self.boxed(r)?),
            Expr::Not(inner) => Node::Not(self.boxed(inner)?),
            Expr::IsNull(inner) => Node::IsNull(self.boxed(inner)?, true),
            Expr::NotNull(inner) => Node::IsNull(self.boxed(inner)?, false),
            Expr::Minus(inner) => Node::Minus(self.boxed(inner)?),
            Expr::Plus(inner) | Expr::Collate(inner, _) => self.node(inner)?,
            Expr::Concat(l, r) => Node::Concat(self.boxed(l)?, self.boxed(r)?),
            Expr::Cast(inner, affinity) => Node::Cast(self.boxed(inner)?, *affinity),
            Expr::Convert(inner, affinity) => Node::Convert(self.boxed(inner)?, *affinity),
            Expr::InList { not, value, how, constant: Some(_), .. } => Node::In {
                not: *not,
                value: self.boxed(value)?,
                expr,
                how: *how,
                set: OnceCell::new(),
            },
            Expr::InSelect { not, values, plan, how } if plan.cache.is_some() => {
                let ([value], [how]) = (values.as_slice(), how.as_slice()) else { return None };
                let value = self.boxed(value)?;
                Node::In { not: *not, value, expr, how: *how, set: OnceCell::new() }
            }
            Expr::Call { function, args, collation } => {
                self.call(expr, function, args, *collation)?
            }
            Expr::Case { whens, otherwise } => Node::Case {
                whens: whens
                    .iter()
                    .map(|(when, then)| Some((self.node(when)?, self.node(then)?)))
                    .collect::<Option<_>>()?,
                otherwise: match otherwise {
                    Some(otherwise) => Some(self.boxed(otherwise)?),
                    None => None,
                },
            },
            _ => return None,
        })
    }

    fn call<'q>(
        &mut self,
        whole: &'q Expr,
        function: &'static Scalar,
        args: &'q [Expr],
        collation: Collation,
    ) -> Option<Node<'q>> {
        if !function.pure {
            return None;
        }
        // `x LIKE 'pattern'` is like('pattern', x).
        if function.name == "like"
            && let [Expr::Const(Value::Text(pattern)), text] = args
            && pattern.len() <= LikePattern::LONGEST
        {
            return Some(Node::Like(self.boxed(text)?, LikePattern::new(pattern)));
        }
        // The same for every row: computed once.
        if !args.is_empty() && args.iter().all(|arg| matches!(arg, Expr::Const(_))) {
            return Some(Node::Once(whole, OnceCell::new()));
        }
        let args = args.iter().map(|arg| self.node(arg)).collect::<Option<_>>()?;
        Some(Node::Call { function, args, collation })
    }
}
