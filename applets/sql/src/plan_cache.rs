//! Plans of statements that come again and again with other literals.
//!
//! A program that writes its SQL as text sends `INSERT INTO t VALUES (1, 'a')`, then `(2, 'b')`, and
//! so on: parsing and planning cost more than the row. So the literals that cannot decide the plan
//! are lifted out of the token stream, as if they had been `?`, and what is left is the key under
//! which the plan is kept:
//!
//! - in `VALUES` lists, where they stand alone between commas;
//! - behind `WHERE` and `SET`, as the right side of a comparison or an assignment.
//!
//! All others stay in the key: they name columns, fold into limits, decide over LIKE and partial
//! indexes. A schema with partial indexes or indexes on expressions keeps all its literals.
//!
//! A key is planned with lifted literals when it is seen for the second time; a plan holds as long as
//! the catalog that it was made against.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use crate::ast::{Literal, Stmt};
use crate::catalog::Catalog;
use crate::exec::KeyHasher;
use crate::lex::{self, Kw, Tok, Token};
use crate::number;
use crate::parse;
use crate::plan::{Delete, Insert, Select, Update};
use crate::value::{Owned, Value};

/// Plans that are kept, and keys that were seen once.
const MOST: usize = 256;
/// Longer texts, and those with more literals, are not worth a key.
const LONGEST: usize = 4096;
const MOST_LITERALS: usize = 200;

type BuildHasher = BuildHasherDefault<KeyHasher>;

/// A plan.
pub enum Plan {
    Select(Select),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
}

/// A statement without its literals, and its plan once it has one.
pub struct Prepared {
    pub stmt: Stmt,
    plan: RefCell<Option<Planned>>,
}

struct Planned {
    catalog: Rc<Catalog>,
    plan: Rc<Plan>,
    /// Kept results that the plan numbers.
    caches: usize,
}

impl Prepared {
    /// The plan, if it was made against this catalog, and how many kept results it has.
    pub fn plan(&self, catalog: &Rc<Catalog>) -> Option<(Rc<Plan>, usize)> {
        let planned = self.plan.borrow();
        let planned = planned.as_ref().filter(|p| Rc::ptr_eq(&p.catalog, catalog))?;
        Some((planned.plan.clone(), planned.caches))
    }

    /// Keeps a plan.
    pub fn set_plan(&self, catalog: &Rc<Catalog>, plan: Rc<Plan>, caches: usize) {
        *self.plan.borrow_mut() = Some(Planned { catalog: catalog.clone(), plan, caches });
    }
}

/// The plans of a connection.
#[derive(Default)]
pub struct PlanCache {
    plans: HashMap<Box<[u8]>, Rc<Prepared>, BuildHasher>,
    once: HashSet<Box<[u8]>, BuildHasher>,
    lifted: Lifted,
}

/// A statement's text taken apart.
#[derive(Default)]
struct Lifted {
    key: Vec<u8>,
    values: Vec<Owned>,
    /// The same with `?` for each literal.
    text: Vec<u8>,
    tail: usize,
}

impl PlanCache {
    /// The statement at the front of `sql`, its literals and how long it is, if it has come before.
    pub fn find(&mut self, sql: &[u8]) -> Option<(Rc<Prepared>, Vec<Owned>, usize)> {
        self.lifted.take_apart(sql)?;
        let lifted = &mut self.lifted;
        if let Some(prepared) = self.plans.get(lifted.key.as_slice()) {
            return Some((prepared.clone(), std::mem::take(&mut lifted.values), lifted.tail));
        }
        if !self.once.remove(lifted.key.as_slice()) {
            if self.once.len() >= MOST {
                self.once.clear();
            }
            self.once.insert(lifted.key.as_slice().into());
            return None;
        }
        let stmt = parse::statement(&lifted.text).ok()?.stmt?;
        if self.plans.len() >= MOST {
            self.plans.clear();
        }
        let prepared = Rc::new(Prepared { stmt, plan: RefCell::new(None) });
        self.plans.insert(lifted.key.as_slice().into(), prepared.clone());
        Some((prepared, std::mem::take(&mut lifted.values), lifted.tail))
    }

    /// Forgets everything: the schema decides by literals.
    pub fn clear(&mut self) {
        self.plans.clear();
        self.once.clear();
    }
}

/// Where in a statement the lexer is.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// Literals stay.
    Fixed,
    /// Behind VALUES.
    Values,
    /// Behind WHERE or SET.
    Terms,
}

impl Lifted {
    /// Cuts the first statement of `sql` into key and literals; `None`: it is not of a kind that is
    /// kept.
    fn take_apart(&mut self, sql: &[u8]) -> Option<()> {
        self.key.clear();
        self.text.clear();
        self.values.clear();
        let mut token = lex::next(sql, 0);
        let is_insert = match token.tok {
            Tok::Kw(Kw::Insert | Kw::Replace) => true,
            Tok::Kw(Kw::Select | Kw::Update | Kw::Delete) => false,
            _ => return None,
        };
        let mut part = Part::Fixed;
        let mut depth = 0usize;
        // The two tokens before.
        let (mut before, mut earlier) = (Tok::Semi, Tok::Semi);
        while !matches!(token.tok, Tok::Semi | Tok::End) {
            if matches!(token.tok, Tok::Var | Tok::Illegal) || token.start > LONGEST {
                return None;
            }
            part = match token.tok {
                Tok::Kw(Kw::Values) if is_insert => Part::Values,
                Tok::Kw(Kw::Where | Kw::Set) if !is_insert => Part::Terms,
                Tok::Kw(
                    Kw::On
                    | Kw::Returning
                    | Kw::Select
                    | Kw::Group
                    | Kw::Window
                    | Kw::Order
                    | Kw::Limit,
                ) => Part::Fixed,
                _ => part,
            };
            match token.tok {
                Tok::LParen => depth += 1,
                Tok::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            let after = lex::next(sql, token.end);
            let negative = before == Tok::Minus;
            let opener = if negative { earlier } else { before };
            // An argument of a function within VALUES is no value of its own.
            let nested = part == Part::Values && depth != 1;
            if is_literal(token.tok)
                && !nested
                && opens(part, opener)
                && closes(part, after.tok)
                && (!negative || matches!(token.tok, Tok::Int | Tok::Float))
            {
                let value = literal(sql, token, negative)?;
                if self.values.len() >= MOST_LITERALS {
                    return None;
                }
                if negative {
                    self.key.pop();
                    self.text.pop();
                }
                // A literal of another type may be converted otherwise.
                self.key.push(value.type_name().as_bytes()[0] & 0x1f);
                self.text.push(b'?');
                self.values.push(value);
            } else {
                let text = sql.get(token.start..token.end)?;
                self.key.extend_from_slice(text);
                self.text.extend_from_slice(text);
            }
            if !(after.tok != Tok::Minus && token.tok == Tok::Minus) {
                self.key.push(b' ');
                self.text.push(b' ');
            }
            (earlier, before) = (before, token.tok);
            token = after;
        }
        self.tail = token.end;
        Some(())
    }
}

fn is_literal(tok: Tok) -> bool {
    matches!(tok, Tok::Int | Tok::Float | Tok::Str | Tok::Blob | Tok::Kw(Kw::Null))
}

/// Whether a literal may stand alone behind a token.
fn opens(part: Part, tok: Tok) -> bool {
    match part {
        Part::Fixed => false,
        Part::Values => matches!(tok, Tok::LParen | Tok::Comma),
        Part::Terms => matches!(tok, Tok::Eq | Tok::Lt | Tok::Le | Tok::Gt | Tok::Ge),
    }
}

/// Whether a literal that stands before a token is a whole operand.
fn closes(part: Part, tok: Tok) -> bool {
    match part {
        Part::Fixed => false,
        Part::Values => matches!(tok, Tok::RParen | Tok::Comma),
        Part::Terms => matches!(
            tok,
            Tok::Semi
                | Tok::End
                | Tok::RParen
                | Tok::Comma
                | Tok::Kw(Kw::And | Kw::Or | Kw::Where | Kw::Group | Kw::Order | Kw::Limit)
        ),
    }
}

fn literal(sql: &[u8], token: Token, negative: bool) -> Option<Owned> {
    let text = sql.get(token.start..token.end)?;
    Some(match token.tok {
        Tok::Str => Value::text(parse::unquote(text)),
        Tok::Kw(Kw::Null) => Value::Null,
        Tok::Blob => {
            let hex = text.get(2..text.len().checked_sub(1)?)?;
            Value::blob(parse::unhex(hex).to_vec())
        }
        Tok::Int => match parse::int_literal(text, negative).ok()? {
            Literal::Int(v) => Value::Int(v),
            Literal::Real(v) => Value::Real(v),
            _ => return None,
        },
        _ => {
            let value = number::parse_real(text);
            Value::Real(if negative { -value } else { value })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(sql: &str) -> Option<(String, Vec<Owned>)> {
        let mut lifted = Lifted::default();
        lifted.take_apart(sql.as_bytes())?;
        Some((String::from_utf8(lifted.text).unwrap().trim_end().to_owned(), lifted.values))
    }

    #[test]
    fn literals_that_stand_alone_are_lifted() {
        let (text, values) =
            taken("INSERT INTO t VALUES(-1, 'a''b', x'00', 2.5, NULL); x").unwrap();
        assert_eq!(text, "INSERT INTO t VALUES ( ? , ? , ? , ? , ? )");
        let blob = Value::blob([0]);
        let wanted = [Value::Int(-1), Value::text("a'b"), blob, Value::Real(2.5), Value::Null];
        assert_eq!(values, wanted);
        let (text, values) = taken("SELECT a, 5 FROM t WHERE b = 7 AND c<'x' LIMIT 3").unwrap();
        assert_eq!(text, "SELECT a , 5 FROM t WHERE b = ? AND c < ? LIMIT 3");
        assert_eq!(values, [Value::Int(7), Value::text("x")]);
    }

    #[test]
    fn literals_that_name_or_decide_something_stay() {
        let kept = |sql: &str| taken(sql).is_none_or(|(_, values)| values.is_empty());
        assert!(kept("SELECT a = 5 FROM t"));
        assert!(kept("SELECT a FROM t WHERE b LIKE 'x%' ORDER BY 1"));
        assert!(kept("SELECT a FROM t WHERE b = 5 + c"));
        assert!(kept("INSERT INTO t VALUES (1 + 2, abs(-3) + 1)"));
        assert!(kept("INSERT INTO t SELECT 1, 2"));
        assert!(kept("SELECT a FROM t WHERE b = ?1 AND c = 7"));
        assert!(kept("CREATE TABLE t(a DEFAULT 5)"));
        assert!(kept("UPDATE t SET a = 'open"));
    }
}
