//! `INSERT`, `UPDATE`, `DELETE`.

use super::Parser;
use crate::ast::{
    Assignment, Conflict, Delete, FromItem, FromSource, Insert, InsertSource, JoinKind,
    ResultColumn, Stmt, Update, Upsert, With,
};
use crate::error::Result;
use crate::lex::{Kw, Tok};

impl Parser<'_> {
    /// A statement that may begin with `WITH`.
    pub(super) fn dml(&mut self) -> Result<Stmt> {
        let with = self.with()?;
        match self.peek() {
            Tok::Kw(Kw::Insert | Kw::Replace) => self.insert(with),
            Tok::Kw(Kw::Update) => self.update(with),
            Tok::Kw(Kw::Delete) => self.delete(with),
            _ => Ok(Stmt::Select(Box::new(self.select_behind(with)?))),
        }
    }

    pub(super) fn or_conflict(&mut self) -> Result<Option<Conflict>> {
        if self.eat_kw(Kw::Or) { self.conflict_action().map(Some) } else { Ok(None) }
    }

    pub(super) fn conflict_action(&mut self) -> Result<Conflict> {
        let action = match self.peek() {
            Tok::Kw(Kw::Rollback) => Conflict::Rollback,
            Tok::Kw(Kw::Abort) => Conflict::Abort,
            Tok::Kw(Kw::Fail) => Conflict::Fail,
            Tok::Kw(Kw::Ignore) => Conflict::Ignore,
            Tok::Kw(Kw::Replace) => Conflict::Replace,
            _ => return Err(self.unexpected()),
        };
        self.next();
        Ok(action)
    }

    fn insert(&mut self, with: Option<With>) -> Result<Stmt> {
        let conflict = if self.eat_kw(Kw::Replace) {
            Some(Conflict::Replace)
        } else {
            self.expect_kw(Kw::Insert)?;
            self.or_conflict()?
        };
        self.expect_kw(Kw::Into)?;
        let table = self.qualified_name()?;
        let alias = if self.eat_kw(Kw::As) { Some(self.name()?) } else { None };
        let columns = self.names_in_parens()?;
        let mut upserts = Vec::new();
        let source = if self.eat_kw(Kw::Default) {
            self.expect_kw(Kw::Values)?;
            InsertSource::Defaults
        } else {
            if !self.at_select() {
                return Err(self.unexpected());
            }
            let select = self.select()?;
            while self.is(Kw::On) {
                upserts.push(self.upsert()?);
            }
            InsertSource::Select(Box::new(select))
        };
        let returning = self.returning()?;
        Ok(Stmt::Insert(Box::new(Insert {
            with,
            conflict,
            table,
            alias,
            columns,
            source,
            upserts,
            returning,
        })))
    }

    fn upsert(&mut self) -> Result<Upsert> {
        self.expect_kw(Kw::On)?;
        self.expect_kw(Kw::Conflict)?;
        let mut upsert = Upsert { target: vec![], target_filter: None, update: None };
        if self.eat(Tok::LParen) {
            upsert.target = self.list(Self::order_term)?;
            self.expect(Tok::RParen)?;
            if self.eat_kw(Kw::Where) {
                upsert.target_filter = Some(self.expr()?);
            }
        }
        self.expect_kw(Kw::Do)?;
        if self.eat_kw(Kw::Nothing) {
            return Ok(upsert);
        }
        self.expect_kw(Kw::Update)?;
        self.expect_kw(Kw::Set)?;
        let set = self.list(Self::assignment)?;
        let filter = if self.eat_kw(Kw::Where) { Some(self.expr()?) } else { None };
        upsert.update = Some((set, filter));
        Ok(upsert)
    }

    fn assignment(&mut self) -> Result<Assignment> {
        let columns = if self.peek() == Tok::LParen {
            self.names_in_parens()?
        } else {
            vec![self.name()?]
        };
        self.expect(Tok::Eq)?;
        Ok(Assignment { columns, value: self.expr()? })
    }

    fn returning(&mut self) -> Result<Vec<ResultColumn>> {
        if self.eat_kw(Kw::Returning) { self.result_columns() } else { Ok(vec![]) }
    }

    /// The table an `UPDATE` or `DELETE` works on.
    fn target(&mut self) -> Result<FromItem> {
        let source = FromSource::Table(self.qualified_name()?);
        let alias = if self.eat_kw(Kw::As) { Some(self.name()?) } else { None };
        let indexed = self.indexed_by()?;
        let join = JoinKind::default();
        Ok(FromItem { source, alias, join, on: None, using: vec![], indexed })
    }

    fn update(&mut self, with: Option<With>) -> Result<Stmt> {
        self.expect_kw(Kw::Update)?;
        let conflict = self.or_conflict()?;
        let table = self.target()?;
        self.expect_kw(Kw::Set)?;
        let set = self.list(Self::assignment)?;
        let from = if self.eat_kw(Kw::From) { self.from()? } else { vec![] };
        let filter = if self.eat_kw(Kw::Where) { Some(self.expr()?) } else { None };
        let returning = self.returning()?;
        Ok(Stmt::Update(Box::new(Update {
            with,
            conflict,
            table,
            set,
            from,
            filter,
            order_by: vec![],
            limit: None,
            offset: None,
            returning,
        })))
    }

    fn delete(&mut self, with: Option<With>) -> Result<Stmt> {
        self.expect_kw(Kw::Delete)?;
        self.expect_kw(Kw::From)?;
        let table = self.target()?;
        let filter = if self.eat_kw(Kw::Where) { Some(self.expr()?) } else { None };
        let returning = self.returning()?;
        Ok(Stmt::Delete(Box::new(Delete {
            with,
            table,
            filter,
            order_by: vec![],
            limit: None,
            offset: None,
            returning,
        })))
    }
}
