//! Expressions, by precedence climbing over SQLite's operator table.

use std::rc::Rc;

use super::{Parser, unquote};
use crate::ast::{
    Binary, Call, Expr, FrameBound, FrameExclude, FrameUnit, InSet, Literal, Name, OrderTerm, Over,
    Raise, Unary, Window, WindowFrame,
};
use crate::error::{Error, Result};
use crate::lex::{Kw, Tok, Token};
use crate::number;

/// The highest parameter number (SQLITE_MAX_VARIABLE_NUMBER).
const MAX_VARIABLE: usize = 32766;

/// Binding strengths, weakest first.
mod power {
    pub const OR: u8 = 1;
    pub const AND: u8 = 2;
    pub const NOT: u8 = 3;
    pub const EQUALITY: u8 = 4;
    pub const COMPARISON: u8 = 5;
    pub const BITS: u8 = 7;
    pub const SUM: u8 = 8;
    pub const PRODUCT: u8 = 9;
    pub const CONCAT: u8 = 10;
    pub const COLLATE: u8 = 11;
    pub const PREFIX: u8 = 12;
}

fn infix(tok: Tok) -> Option<(Binary, u8)> {
    Some(match tok {
        Tok::Kw(Kw::Or) => (Binary::Or, power::OR),
        Tok::Kw(Kw::And) => (Binary::And, power::AND),
        Tok::Eq => (Binary::Eq, power::EQUALITY),
        Tok::Ne => (Binary::Ne, power::EQUALITY),
        Tok::Lt => (Binary::Lt, power::COMPARISON),
        Tok::Le => (Binary::Le, power::COMPARISON),
        Tok::Gt => (Binary::Gt, power::COMPARISON),
        Tok::Ge => (Binary::Ge, power::COMPARISON),
        Tok::BitAnd => (Binary::BitAnd, power::BITS),
        Tok::BitOr => (Binary::BitOr, power::BITS),
        Tok::Shl => (Binary::Shl, power::BITS),
        Tok::Shr => (Binary::Shr, power::BITS),
        Tok::Plus => (Binary::Add, power::SUM),
        Tok::Minus => (Binary::Sub, power::SUM),
        Tok::Star => (Binary::Mul, power::PRODUCT),
        Tok::Slash => (Binary::Div, power::PRODUCT),
        Tok::Percent => (Binary::Rem, power::PRODUCT),
        Tok::Concat => (Binary::Concat, power::CONCAT),
        _ => return None,
    })
}

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.expr_above(0)
    }

    fn boxed(&mut self, above: u8) -> Result<Box<Expr>> {
        self.expr_above(above).map(Box::new)
    }

    /// Parses an expression whose operators bind stronger than `above`.
    fn expr_above(&mut self, above: u8) -> Result<Expr> {
        self.deeper(|p| {
            let mut left = p.prefix()?;
            let mut height = 0;
            while let Some(next) = p.infix_step(above, &mut left)? {
                left = next;
                height += 1;
                if height > super::MAX_DEPTH {
                    return Err(Error::new(format!(
                        "Expression tree is too large (maximum depth {})",
                        super::MAX_DEPTH
                    )));
                }
            }
            Ok(left)
        })
    }

    /// Takes one operator and what stands right of it, or nothing.
    fn infix_step(&mut self, above: u8, left: &mut Expr) -> Result<Option<Expr>> {
        let take = |left: &mut Expr| std::mem::replace(left, Expr::Literal(Literal::Null));
        let tok = self.peek();
        if let Some((op, power)) = infix(tok) {
            if power <= above {
                return Ok(None);
            }
            self.next();
            let right = self.boxed(power)?;
            return Ok(Some(Expr::Binary(op, Box::new(take(left)), right)));
        }
        match tok {
            Tok::Arrow if power::CONCAT > above => {
                let token = self.next();
                let name = if token.end - token.start == 3 { "->>" } else { "->" };
                let right = self.expr_above(power::CONCAT)?;
                let args = vec![take(left), right];
                Ok(Some(Expr::Call(Box::new(simple_call(name, args, token.start)))))
            }
            Tok::Kw(Kw::Collate) if power::COLLATE > above => {
                self.next();
                let name = if self.is_id(0) || self.peek() == Tok::Str {
                    self.name()?
                } else {
                    return Err(self.unexpected());
                };
                Ok(Some(Expr::Collate(Box::new(take(left)), name)))
            }
            Tok::Kw(kw) if power::EQUALITY > above => self.test(kw, left),
            _ => Ok(None),
        }
    }

    /// `IS`, `IN`, `LIKE`, `BETWEEN`, `ISNULL`... behind `left`.
    fn test(&mut self, kw: Kw, left: &mut Expr) -> Result<Option<Expr>> {
        let take =
            |left: &mut Expr| Box::new(std::mem::replace(left, Expr::Literal(Literal::Null)));
        let mut kw = kw;
        let not = kw == Kw::Not;
        if not {
            let Tok::Kw(behind) = self.peek_at(1) else { return Ok(None) };
            kw = behind;
        }
        match kw {
            Kw::Is if !not => {
                self.next();
                let mut negated = self.eat_kw(Kw::Not);
                if self.is(Kw::Distinct) && self.peek_at(1) == Tok::Kw(Kw::From) {
                    self.next();
                    self.next();
                    negated = !negated;
                }
                let right = self.boxed(power::EQUALITY)?;
                let op = if negated { Binary::IsNot } else { Binary::Is };
                Ok(Some(Expr::Binary(op, take(left), right)))
            }
            Kw::Isnull | Kw::Notnull if !not => {
                self.next();
                let op = if kw == Kw::Isnull { Unary::IsNull } else { Unary::NotNull };
                Ok(Some(Expr::Unary(op, take(left))))
            }
            Kw::Null if not => {
                self.next();
                self.next();
                Ok(Some(Expr::Unary(Unary::NotNull, take(left))))
            }
            Kw::Between => {
                self.skip(1 + usize::from(not));
                let low = self.boxed(power::EQUALITY)?;
                self.expect_kw(Kw::And)?;
                let high = self.boxed(power::EQUALITY)?;
                Ok(Some(Expr::Between { not, value: take(left), low, high }))
            }
            Kw::In => {
                self.skip(1 + usize::from(not));
                let set = self.in_set()?;
                Ok(Some(Expr::In { not, value: take(left), set }))
            }
            Kw::Like | Kw::Glob | Kw::Match | Kw::Regexp => {
                self.skip(1 + usize::from(not));
                let function = match kw {
                    Kw::Like => "like",
                    Kw::Glob => "glob",
                    Kw::Match => "match",
                    _ => "regexp",
                };
                let rhs = self.boxed(power::EQUALITY)?;
                let escape =
                    if self.eat_kw(Kw::Escape) { Some(self.boxed(power::EQUALITY)?) } else { None };
                Ok(Some(Expr::Like { function, not, lhs: take(left), rhs, escape }))
            }
            _ => Ok(None),
        }
    }

    fn skip(&mut self, tokens: usize) {
        for _ in 0..tokens {
            self.next();
        }
    }

    fn in_set(&mut self) -> Result<InSet> {
        if !self.eat(Tok::LParen) {
            if !self.is_name(0) {
                return Err(self.unexpected());
            }
            return Ok(InSet::Table(self.qualified_name()?));
        }
        if self.eat(Tok::RParen) {
            return Ok(InSet::List(vec![]));
        }
        let set = if self.at_select() {
            InSet::Select(Box::new(self.select()?))
        } else {
            InSet::List(self.list(Self::expr)?)
        };
        self.expect(Tok::RParen)?;
        Ok(set)
    }

    pub(super) fn at_select(&mut self) -> bool {
        matches!(self.peek(), Tok::Kw(Kw::Select | Kw::Values))
            || (self.is(Kw::With) && self.is_name(1) || self.peek_at(1) == Tok::Kw(Kw::Recursive))
                && self.is(Kw::With)
    }

    fn prefix(&mut self) -> Result<Expr> {
        let token = self.token(0);
        match token.tok {
            Tok::Minus => {
                self.next();
                if self.peek() == Tok::Int {
                    // -9223372036854775808 is an integer although its digits alone are not.
                    let number = self.token(0);
                    if let Literal::Real(_) = int_literal(self.text(number), false)? {
                        self.next();
                        let literal = int_literal(self.text(number), true)?;
                        return Ok(Expr::Literal(literal));
                    }
                }
                Ok(Expr::Unary(Unary::Minus, self.boxed(power::PREFIX)?))
            }
            Tok::Plus => {
                self.next();
                Ok(Expr::Unary(Unary::Plus, self.boxed(power::PREFIX)?))
            }
            Tok::BitNot => {
                self.next();
                Ok(Expr::Unary(Unary::BitNot, self.boxed(power::PREFIX)?))
            }
            Tok::Kw(Kw::Not) => {
                self.next();
                Ok(Expr::Unary(Unary::Not, self.boxed(power::NOT)?))
            }
            _ => self.primary(token),
        }
    }

    pub(super) fn primary_term(&mut self, token: Token) -> Result<Expr> {
        self.primary(token)
    }

    fn primary(&mut self, token: Token) -> Result<Expr> {
        let literal = |literal| Ok(Expr::Literal(literal));
        match token.tok {
            Tok::Int => {
                self.next();
                literal(int_literal(self.text(token), false)?)
            }
            Tok::Float => {
                self.next();
                literal(Literal::Real(number::parse_real(self.text(token))))
            }
            Tok::Str if self.peek_at(1) != Tok::Dot => {
                self.next();
                literal(Literal::Text(unquote(self.text(token)).into()))
            }
            Tok::Blob => {
                self.next();
                let hex = &self.text(token)[2..token.end - token.start - 1];
                literal(Literal::Blob(unhex(hex)))
            }
            Tok::Var => self.variable(),
            Tok::LParen => self.parenthesised(),
            Tok::Kw(kw) => self.keyword_expr(kw),
            _ => self.column_or_call(),
        }
    }

    fn keyword_expr(&mut self, kw: Kw) -> Result<Expr> {
        let literal = |literal| Ok(Expr::Literal(literal));
        match kw {
            Kw::Null => {
                self.next();
                literal(Literal::Null)
            }
            Kw::CurrentDate | Kw::CurrentTime | Kw::CurrentTimestamp
                if self.peek_at(1) != Tok::Dot =>
            {
                self.next();
                literal(match kw {
                    Kw::CurrentDate => Literal::CurrentDate,
                    Kw::CurrentTime => Literal::CurrentTime,
                    _ => Literal::CurrentTimestamp,
                })
            }
            Kw::Cast if self.peek_at(1) == Tok::LParen => {
                self.skip(2);
                let value = self.boxed(0)?;
                self.expect_kw(Kw::As)?;
                let type_name = self.type_name()?.unwrap_or_else(|| "".into());
                self.expect(Tok::RParen)?;
                Ok(Expr::Cast(value, type_name))
            }
            Kw::Case => self.case(),
            Kw::Exists => {
                self.next();
                self.expect(Tok::LParen)?;
                let select = self.select()?;
                self.expect(Tok::RParen)?;
                Ok(Expr::Exists(Box::new(select)))
            }
            Kw::Raise if self.peek_at(1) == Tok::LParen => self.raise(),
            _ => self.column_or_call(),
        }
    }

    fn raise(&mut self) -> Result<Expr> {
        self.skip(2);
        let kind = match self.peek() {
            Tok::Kw(Kw::Ignore) => Raise::Ignore,
            Tok::Kw(Kw::Rollback) => Raise::Rollback,
            Tok::Kw(Kw::Abort) => Raise::Abort,
            Tok::Kw(Kw::Fail) => Raise::Fail,
            _ => return Err(self.unexpected()),
        };
        self.next();
        let message = if kind == Raise::Ignore {
            None
        } else {
            self.expect(Tok::Comma)?;
            Some(self.boxed(0)?)
        };
        self.expect(Tok::RParen)?;
        if !self.in_trigger {
            let text = "RAISE() may only be used within a trigger-program";
            return Err(Error::new(text));
        }
        Ok(Expr::Raise(kind, message))
    }

    fn case(&mut self) -> Result<Expr> {
        self.next();
        let operand = if self.is(Kw::When) { None } else { Some(self.boxed(0)?) };
        let mut whens = Vec::new();
        while self.eat_kw(Kw::When) {
            let when = self.expr()?;
            self.expect_kw(Kw::Then)?;
            whens.push((when, self.expr()?));
        }
        if whens.is_empty() {
            return Err(self.unexpected());
        }
        let otherwise = if self.eat_kw(Kw::Else) { Some(self.boxed(0)?) } else { None };
        self.expect_kw(Kw::End)?;
        Ok(Expr::Case { operand, whens, otherwise })
    }

    fn parenthesised(&mut self) -> Result<Expr> {
        self.next();
        if self.at_select() {
            let select = self.select()?;
            self.expect(Tok::RParen)?;
            return Ok(Expr::Subquery(Box::new(select)));
        }
        let mut items = self.list(Self::expr)?;
        self.expect(Tok::RParen)?;
        match items.pop() {
            Some(only) if items.is_empty() => Ok(only),
            Some(last) => {
                items.push(last);
                Ok(Expr::Row(items))
            }
            None => Err(self.unexpected()),
        }
    }

    fn variable(&mut self) -> Result<Expr> {
        let token = self.next();
        let text = self.text(token);
        let digits = &text[1..];
        let number = if text == b"?" {
            self.variables.push(None);
            self.variables.len()
        } else if text[0] == b'?' {
            let number = str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).unwrap_or(0);
            if !(1..=MAX_VARIABLE).contains(&number) {
                return Err(Error::new(format!(
                    "variable number must be between ?1 and ?{MAX_VARIABLE}"
                ))
                .at(token.start));
            }
            if self.variables.len() < number {
                self.variables.resize(number, None);
            }
            self.variables[number - 1].get_or_insert_with(|| text.to_vec());
            number
        } else if text[0] == b'#' {
            return Err(Error::near(text).at(token.start));
        } else {
            match self.variables.iter().position(|known| known.as_deref() == Some(text)) {
                Some(at) => at + 1,
                None => {
                    self.variables.push(Some(text.to_vec()));
                    self.variables.len()
                }
            }
        };
        if number > MAX_VARIABLE {
            return Err(Error::new("too many SQL variables").at(token.start));
        }
        Ok(Expr::Variable(number))
    }

    fn column_or_call(&mut self) -> Result<Expr> {
        if !self.is_name(0) {
            return Err(self.unexpected());
        }
        let first = self.token(0);
        if self.peek_at(1) == Tok::LParen && first.tok != Tok::Str {
            return self.call();
        }
        self.next();
        let mut names = vec![self.unquote_name(first)];
        let mut last = first;
        while names.len() < 3 && self.peek() == Tok::Dot {
            self.next();
            if !self.is_name(0) {
                return Err(self.unexpected());
            }
            last = self.next();
            names.push(self.unquote_name(last));
        }
        let quoted = names.len() == 1 && self.text(last).first() == Some(&b'"');
        let name = names.pop().unwrap_or_else(|| "".into());
        let table = names.pop();
        let schema = names.pop();
        Ok(Expr::Column { schema, table, name, quoted, offset: first.start })
    }

    fn call(&mut self) -> Result<Expr> {
        let token = self.next();
        let mut call = simple_call("", vec![], token.start);
        call.name = self.unquote_name(token);
        self.next();
        if self.eat(Tok::Star) {
            call.star = true;
        } else if self.peek() != Tok::RParen {
            call.distinct = self.eat_kw(Kw::Distinct);
            if !call.distinct {
                self.eat_kw(Kw::All);
            }
            call.args = self.list(Self::expr)?;
            if self.is(Kw::Order) {
                call.order_by = self.order_by()?;
            }
        }
        self.expect(Tok::RParen)?;
        if self.is(Kw::Filter) && self.peek_at(1) == Tok::LParen {
            self.skip(2);
            self.expect_kw(Kw::Where)?;
            call.filter = Some(self.boxed(0)?);
            self.expect(Tok::RParen)?;
        }
        if self.is(Kw::Over) && (self.peek_at(1) == Tok::LParen || self.is_name(1)) {
            self.next();
            call.over = Some(Box::new(if self.peek() == Tok::LParen {
                Over::Window(self.window()?)
            } else {
                Over::Name(self.name()?)
            }));
        }
        Ok(Expr::Call(Box::new(call)))
    }

    /// `(base PARTITION BY ... ORDER BY ... frame)`
    pub(super) fn window(&mut self) -> Result<Window> {
        self.expect(Tok::LParen)?;
        let mut window = Window::default();
        let starts_clause = matches!(
            self.peek(),
            Tok::Kw(Kw::Partition | Kw::Order | Kw::Rows | Kw::Range | Kw::Groups) | Tok::RParen
        );
        if !starts_clause {
            window.base = Some(self.name()?);
        }
        if self.eat_kw(Kw::Partition) {
            self.expect_kw(Kw::By)?;
            window.partition_by = self.list(Self::expr)?;
        }
        if self.is(Kw::Order) {
            window.order_by = self.order_by()?;
        }
        window.frame = self.window_frame()?;
        self.expect(Tok::RParen)?;
        Ok(window)
    }

    fn window_frame(&mut self) -> Result<Option<WindowFrame>> {
        let unit = match self.peek() {
            Tok::Kw(Kw::Rows) => FrameUnit::Rows,
            Tok::Kw(Kw::Range) => FrameUnit::Range,
            Tok::Kw(Kw::Groups) => FrameUnit::Groups,
            _ => return Ok(None),
        };
        self.next();
        let (start, end) = if self.eat_kw(Kw::Between) {
            let start = self.frame_bound(true)?;
            self.expect_kw(Kw::And)?;
            (start, self.frame_bound(false)?)
        } else {
            (self.frame_bound(true)?, FrameBound::CurrentRow)
        };
        let mut exclude = FrameExclude::NoOthers;
        if self.eat_kw(Kw::Exclude) {
            exclude = match self.next().tok {
                Tok::Kw(Kw::No) => {
                    self.expect_kw(Kw::Others)?;
                    FrameExclude::NoOthers
                }
                Tok::Kw(Kw::Current) => {
                    self.expect_kw(Kw::Row)?;
                    FrameExclude::CurrentRow
                }
                Tok::Kw(Kw::Group) => FrameExclude::Group,
                Tok::Kw(Kw::Ties) => FrameExclude::Ties,
                _ => return Err(self.unexpected()),
            };
        }
        use FrameBound::*;
        let bad = matches!(
            (&start, &end),
            (UnboundedFollowing, _)
                | (_, UnboundedPreceding)
                | (CurrentRow, Preceding(_))
                | (Following(_), Preceding(_) | CurrentRow)
        );
        if bad {
            return Err(Error::new("unsupported frame specification"));
        }
        Ok(Some(WindowFrame { unit, start, end, exclude }))
    }

    fn frame_bound(&mut self, first: bool) -> Result<FrameBound> {
        if self.is(Kw::Unbounded) {
            self.next();
            return match self.peek() {
                Tok::Kw(Kw::Preceding) => {
                    self.next();
                    Ok(FrameBound::UnboundedPreceding)
                }
                Tok::Kw(Kw::Following) if !first => {
                    self.next();
                    Ok(FrameBound::UnboundedFollowing)
                }
                _ => Err(self.unexpected()),
            };
        }
        if self.is(Kw::Current) && self.peek_at(1) == Tok::Kw(Kw::Row) {
            self.skip(2);
            return Ok(FrameBound::CurrentRow);
        }
        let value = self.boxed(0)?;
        if self.eat_kw(Kw::Preceding) {
            Ok(FrameBound::Preceding(value))
        } else {
            self.expect_kw(Kw::Following)?;
            Ok(FrameBound::Following(value))
        }
    }

    /// `ORDER BY term, ...`
    pub(super) fn order_by(&mut self) -> Result<Vec<OrderTerm>> {
        self.expect_kw(Kw::Order)?;
        self.expect_kw(Kw::By)?;
        self.list(Self::order_term)
    }

    pub(super) fn order_term(&mut self) -> Result<OrderTerm> {
        let expr = self.expr()?;
        let desc = self.eat_kw(Kw::Desc);
        if !desc {
            self.eat_kw(Kw::Asc);
        }
        let mut nulls_first = None;
        if self.eat_kw(Kw::Nulls) {
            nulls_first = Some(self.is(Kw::First));
            if !self.eat_kw(Kw::First) {
                self.expect_kw(Kw::Last)?;
            }
        }
        Ok(OrderTerm { expr, desc, nulls_first })
    }

    /// A type name: words, then at most two signed numbers in parentheses.
    pub(super) fn type_name(&mut self) -> Result<Option<Name>> {
        let start = self.token(0).start;
        let mut any = false;
        while self.is_id(0) || self.peek() == Tok::Str {
            if matches!(self.peek(), Tok::Kw(Kw::Generated))
                && self.peek_at(1) == Tok::Kw(Kw::Always)
            {
                break;
            }
            self.next();
            any = true;
        }
        if !any {
            return Ok(None);
        }
        if self.eat(Tok::LParen) {
            loop {
                let _ = self.eat(Tok::Minus) || self.eat(Tok::Plus);
                if !matches!(self.peek(), Tok::Int | Tok::Float) {
                    return Err(self.unexpected());
                }
                self.next();
                if !self.eat(Tok::Comma) {
                    break;
                }
            }
            self.expect(Tok::RParen)?;
        }
        let text = self.sql.get(start..self.last_end).unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        Ok(Some(text.trim_matches(|c| matches!(c, '"' | '\'' | '`' | '[' | ']')).into()))
    }
}

fn simple_call(name: &str, args: Vec<Expr>, offset: usize) -> Call {
    Call {
        name: name.into(),
        distinct: false,
        star: false,
        args,
        order_by: vec![],
        filter: None,
        over: None,
        offset,
    }
}

/// The value of an integer token; too large for 64 bits makes it REAL, or an error in hex.
pub(crate) fn int_literal(text: &[u8], negative: bool) -> Result<Literal> {
    let shown = || String::from_utf8_lossy(text).into_owned();
    if let Some(hex) = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")) {
        let digits = str::from_utf8(hex).unwrap_or("").trim_start_matches('0');
        let value = if digits.is_empty() { Ok(0) } else { u64::from_str_radix(digits, 16) };
        return match value {
            Ok(value) if negative => Ok(Literal::Int((value as i64).wrapping_neg())),
            Ok(value) => Ok(Literal::Int(value as i64)),
            Err(_) => Err(Error::new(format!("hex literal too big: {}", shown()))),
        };
    }
    let digits = str::from_utf8(text).unwrap_or("");
    let signed: std::result::Result<i64, _> =
        if negative { format!("-{digits}").parse() } else { digits.parse() };
    Ok(signed.map_or_else(
        |_| {
            let value = number::parse_real(text);
            Literal::Real(if negative { -value } else { value })
        },
        Literal::Int,
    ))
}

/// Pairs of hex digits to bytes; the tokenizer has checked them.
pub(crate) fn unhex(hex: &[u8]) -> Rc<[u8]> {
    let digit = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
    hex.chunks(2).map(|pair| digit(pair[0]) << 4 | pair.get(1).map_or(0, |b| digit(*b))).collect()
}
