//! `SELECT`, `VALUES`, `WITH` and the join clause.

use std::rc::Rc;

use super::Parser;
use crate::ast::{
    CompoundOp, Cte, Expr, FromItem, FromSource, JoinKind, Query, ResultColumn, Select, SelectCore,
    With,
};
use crate::error::{Error, Result};
use crate::lex::{Kw, Tok};

impl Parser<'_> {
    pub(super) fn select(&mut self) -> Result<Select> {
        self.deeper(|p| {
            let with = p.with()?;
            p.select_behind(with)
        })
    }

    pub(super) fn with(&mut self) -> Result<Option<With>> {
        if !self.eat_kw(Kw::With) {
            return Ok(None);
        }
        let recursive = self.is(Kw::Recursive) && self.is_name(1);
        if recursive {
            self.next();
        }
        let tables = self.list(|p| {
            let name = p.name()?;
            let columns = p.names_in_parens()?;
            p.expect_kw(Kw::As)?;
            let mut materialized = None;
            if p.is(Kw::Materialized) || p.is(Kw::Not) {
                materialized = Some(!p.eat_kw(Kw::Not));
                p.expect_kw(Kw::Materialized)?;
            }
            p.expect(Tok::LParen)?;
            let select = p.select()?;
            p.expect(Tok::RParen)?;
            Ok(Rc::new(Cte { name, columns, materialized, select }))
        })?;
        Ok(Some(With { recursive, tables }))
    }

    pub(super) fn select_behind(&mut self, with: Option<With>) -> Result<Select> {
        let first = self.core()?;
        let mut rest = Vec::new();
        loop {
            let op = match self.peek() {
                Tok::Kw(Kw::Union) if self.peek_at(1) == Tok::Kw(Kw::All) => {
                    self.next();
                    CompoundOp::UnionAll
                }
                Tok::Kw(Kw::Union) => CompoundOp::Union,
                Tok::Kw(Kw::Except) => CompoundOp::Except,
                Tok::Kw(Kw::Intersect) => CompoundOp::Intersect,
                _ => break,
            };
            self.next();
            if rest.len() >= 499 {
                return Err(Error::new("too many terms in compound SELECT"));
            }
            rest.push((op, self.core()?));
        }
        let mut select =
            Select { with, first, rest, order_by: vec![], limit: None, offset: None };
        let last = select.rest.last().map_or(&select.first, |(_, core)| core);
        let values = matches!(last, SelectCore::Values(_));
        if self.is(Kw::Order) && !values {
            select.order_by = self.order_by()?;
        }
        if self.is(Kw::Limit) && !values {
            self.next();
            let first = Box::new(self.expr()?);
            if self.eat_kw(Kw::Offset) {
                select.offset = Some(Box::new(self.expr()?));
                select.limit = Some(first);
            } else if self.eat(Tok::Comma) {
                select.offset = Some(first);
                select.limit = Some(Box::new(self.expr()?));
            } else {
                select.limit = Some(first);
            }
        }
        if let Tok::Kw(kw @ (Kw::Union | Kw::Except | Kw::Intersect)) = self.peek() {
            let what = if select.order_by.is_empty() { "LIMIT" } else { "ORDER BY" };
            if select.order_by.is_empty() && select.limit.is_none() {
                return Err(self.unexpected());
            }
            let op = match kw {
                Kw::Union if self.peek_at(1) == Tok::Kw(Kw::All) => "UNION ALL",
                Kw::Union => "UNION",
                Kw::Except => "EXCEPT",
                _ => "INTERSECT",
            };
            return Err(Error::new(format!("{what} clause should come after {op} not before")));
        }
        Ok(select)
    }

    fn core(&mut self) -> Result<SelectCore> {
        if self.eat_kw(Kw::Values) {
            let rows = self.list(|p| {
                p.expect(Tok::LParen)?;
                let row = p.list(Self::expr)?;
                p.expect(Tok::RParen)?;
                Ok(row)
            })?;
            if rows.iter().any(|row| row.len() != rows[0].len()) {
                return Err(Error::new("all VALUES must have the same number of terms"));
            }
            return Ok(SelectCore::Values(rows));
        }
        self.expect_kw(Kw::Select)?;
        let mut query = Query { distinct: self.eat_kw(Kw::Distinct), ..Query::default() };
        if !query.distinct {
            self.eat_kw(Kw::All);
        }
        query.columns = self.result_columns()?;
        if self.eat_kw(Kw::From) {
            query.from = self.from()?;
        }
        if self.eat_kw(Kw::Where) {
            query.filter = Some(self.expr()?);
        }
        if self.eat_kw(Kw::Group) {
            self.expect_kw(Kw::By)?;
            query.group_by = self.list(Self::expr)?;
        }
        if self.eat_kw(Kw::Having) {
            query.having = Some(self.expr()?);
        }
        if self.is(Kw::Window) && self.is_name(1) && self.peek_at(2) == Tok::Kw(Kw::As) {
            self.next();
            query.windows = self.list(|p| {
                let name = p.name()?;
                p.expect_kw(Kw::As)?;
                Ok((name, p.window()?))
            })?;
        }
        Ok(SelectCore::Query(Box::new(query)))
    }

    pub(super) fn result_columns(&mut self) -> Result<Vec<ResultColumn>> {
        self.list(|p| {
            if p.eat(Tok::Star) {
                return Ok(ResultColumn::Star);
            }
            if p.is_name(0) && p.peek_at(1) == Tok::Dot && p.peek_at(2) == Tok::Star {
                let name = p.name()?;
                p.next();
                p.next();
                return Ok(ResultColumn::TableStar(name));
            }
            let start = p.token(0).start;
            let expr = p.expr()?;
            let text = p.span(start);
            let alias = p.alias()?;
            Ok(ResultColumn::Expr { expr, alias, text })
        })
    }

    /// `[AS] name`: without `AS` not every name may stand there.
    fn alias(&mut self) -> Result<Option<crate::ast::Name>> {
        if self.eat_kw(Kw::As) {
            return self.name().map(Some);
        }
        if self.is(Kw::Window) && self.is_name(1) && self.peek_at(2) == Tok::Kw(Kw::As) {
            return Ok(None);
        }
        if self.is_id(0) || self.peek() == Tok::Str {
            return self.name().map(Some);
        }
        Ok(None)
    }

    /// The join clause.
    pub(super) fn from(&mut self) -> Result<Vec<FromItem>> {
        let mut items = vec![self.from_item(JoinKind::default())?];
        loop {
            let join = match self.peek() {
                Tok::Comma => {
                    self.next();
                    JoinKind::default()
                }
                Tok::Kw(Kw::Join) => {
                    self.next();
                    JoinKind::default()
                }
                Tok::Kw(kw) if kw.is_join_word() => self.join_words()?,
                _ => return Ok(items),
            };
            let item = self.from_item(join)?;
            items.push(item);
        }
    }

    fn join_words(&mut self) -> Result<JoinKind> {
        let mut join = JoinKind::default();
        let (mut outer, mut inner) = (false, false);
        let mut words = Vec::new();
        while let Tok::Kw(kw) = self.peek() {
            if !kw.is_join_word() {
                break;
            }
            let token = self.next();
            words.push(String::from_utf8_lossy(self.text(token)).into_owned());
            match kw {
                Kw::Natural => join.natural = true,
                Kw::Left => join.left = true,
                Kw::Right => join.right = true,
                Kw::Full => (join.left, join.right) = (true, true),
                Kw::Outer => outer = true,
                Kw::Inner => inner = true,
                _ => join.cross = true,
            }
        }
        self.expect_kw(Kw::Join)?;
        let sided = join.left || join.right;
        if (inner || join.cross) && (outer || sided) || (outer && !sided) || words.len() > 3 {
            return Err(Error::new(format!("unknown join type: {}", words.join(" "))));
        }
        Ok(join)
    }

    fn from_item(&mut self, join: JoinKind) -> Result<FromItem> {
        let source = if self.eat(Tok::LParen) {
            let source = if self.at_select() {
                FromSource::Select(Box::new(self.select()?))
            } else {
                FromSource::Join(self.deeper(Self::from)?)
            };
            self.expect(Tok::RParen)?;
            source
        } else {
            let name = self.qualified_name()?;
            if self.eat(Tok::LParen) {
                let args =
                    if self.peek() == Tok::RParen { vec![] } else { self.list(Self::expr)? };
                self.expect(Tok::RParen)?;
                FromSource::Function(name, args)
            } else {
                FromSource::Table(name)
            }
        };
        let alias = self.alias()?;
        let indexed = self.indexed_by()?;
        let on: Option<Expr> = if self.eat_kw(Kw::On) { Some(self.expr()?) } else { None };
        let mut using = Vec::new();
        if on.is_none() && self.eat_kw(Kw::Using) {
            if self.peek() != Tok::LParen {
                return Err(self.unexpected());
            }
            using = self.names_in_parens()?;
        }
        Ok(FromItem { source, alias, join, on, using, indexed })
    }

    /// `INDEXED BY name` or `NOT INDEXED`.
    pub(super) fn indexed_by(&mut self) -> Result<Option<Option<crate::ast::Name>>> {
        if self.is(Kw::Indexed) {
            self.next();
            self.expect_kw(Kw::By)?;
            return Ok(Some(Some(self.name()?)));
        }
        if self.is(Kw::Not) && self.peek_at(1) == Tok::Kw(Kw::Indexed) {
            self.next();
            self.next();
            return Ok(Some(None));
        }
        Ok(None)
    }
}
