//! `CREATE TABLE`, `INDEX`, `VIEW`, `TRIGGER`.

use super::Parser;
use crate::ast::{
    ColumnConstraint, ColumnDef, Conflict, CreateIndex, CreateTable, CreateTrigger, CreateView,
    Expr, FkAction, ForeignKey, Name, QualifiedName, Stmt, TableConstraint, TriggerEvent,
    TriggerTime, Unary,
};
use crate::error::{Error, Result};
use crate::lex::{Kw, Tok};

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Result<Stmt> {
        self.next();
        let temp = self.eat_kw(Kw::Temp) || self.eat_kw(Kw::Temporary);
        match self.peek() {
            Tok::Kw(Kw::Table) => self.create_table(temp),
            Tok::Kw(Kw::View) => self.create_view(temp),
            Tok::Kw(Kw::Trigger) => self.create_trigger(temp),
            Tok::Kw(Kw::Index | Kw::Unique) if !temp => self.create_index(),
            Tok::Kw(Kw::Virtual) if !temp => {
                self.next();
                self.expect_kw(Kw::Table)?;
                self.if_not_exists()?;
                let name = self.qualified_name()?;
                self.expect_kw(Kw::Using)?;
                self.name()?;
                if self.eat(Tok::LParen) {
                    self.skip_parens()?;
                }
                Ok(Stmt::CreateVirtualTable(name))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn skip_parens(&mut self) -> Result<()> {
        let mut open = 1;
        while open > 0 {
            match self.next().tok {
                Tok::LParen => open += 1,
                Tok::RParen => open -= 1,
                Tok::End => return Err(self.unexpected()),
                _ => {}
            }
        }
        Ok(())
    }

    fn if_not_exists(&mut self) -> Result<bool> {
        let found = self.is(Kw::If) && self.peek_at(1) == Tok::Kw(Kw::Not);
        if found {
            self.next();
            self.next();
            self.expect_kw(Kw::Exists)?;
        }
        Ok(found)
    }

    fn create_table(&mut self, temp: bool) -> Result<Stmt> {
        self.next();
        let if_not_exists = self.if_not_exists()?;
        let name = self.qualified_name()?;
        let mut table = CreateTable {
            temp,
            if_not_exists,
            name,
            columns: vec![],
            constraints: vec![],
            without_rowid: false,
            strict: false,
            as_select: None,
        };
        if self.eat_kw(Kw::As) {
            table.as_select = Some(Box::new(self.select()?));
            return Ok(Stmt::CreateTable(Box::new(table)));
        }
        self.expect(Tok::LParen)?;
        table.columns.push(self.column_def()?);
        loop {
            if self.eat(Tok::Comma) {
                if !self.at_table_constraint() {
                    if !table.constraints.is_empty() {
                        return Err(self.unexpected());
                    }
                    table.columns.push(self.column_def()?);
                    continue;
                }
            } else if !self.at_table_constraint() {
                break;
            }
            self.table_constraint(&mut table.constraints)?;
        }
        self.expect(Tok::RParen)?;
        self.table_options(&mut table)?;
        Ok(Stmt::CreateTable(Box::new(table)))
    }

    fn at_table_constraint(&mut self) -> bool {
        matches!(
            self.peek(),
            Tok::Kw(Kw::Constraint | Kw::Primary | Kw::Unique | Kw::Check | Kw::Foreign)
        )
    }

    fn table_options(&mut self, table: &mut CreateTable) -> Result<()> {
        while self.is_name(0) {
            if self.eat_kw(Kw::Without) {
                let word = self.name()?;
                if !word.eq_ignore_ascii_case("rowid") {
                    return Err(Error::new(format!("unknown table option: {word}")));
                }
                table.without_rowid = true;
            } else {
                let word = self.name()?;
                if !word.eq_ignore_ascii_case("strict") {
                    return Err(Error::new(format!("unknown table option: {word}")));
                }
                table.strict = true;
            }
            if !self.eat(Tok::Comma) {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn column_def(&mut self) -> Result<ColumnDef> {
        let name = self.name()?;
        let type_name = self.type_name()?;
        let mut constraints = Vec::new();
        let mut label = None;
        loop {
            if self.eat_kw(Kw::Constraint) {
                label = Some(self.name()?);
                continue;
            }
            match self.column_constraint(label.take())? {
                Some(constraint) => constraints.push(constraint),
                None => break,
            }
        }
        Ok(ColumnDef { name, type_name, constraints })
    }

    fn column_constraint(&mut self, label: Option<Name>) -> Result<Option<ColumnConstraint>> {
        loop {
            let Tok::Kw(kw) = self.peek() else { return Ok(None) };
            let constraint = match kw {
                Kw::Primary => {
                    self.next();
                    self.expect_kw(Kw::Key)?;
                    let desc = self.eat_kw(Kw::Desc);
                    if !desc {
                        self.eat_kw(Kw::Asc);
                    }
                    let conflict = self.on_conflict()?;
                    let autoincrement = self.eat_kw(Kw::Autoincrement);
                    ColumnConstraint::PrimaryKey { desc, conflict, autoincrement }
                }
                Kw::Not if self.peek_at(1) == Tok::Kw(Kw::Null) => {
                    self.next();
                    self.next();
                    ColumnConstraint::NotNull(self.on_conflict()?)
                }
                Kw::Null => {
                    self.next();
                    self.on_conflict()?;
                    continue;
                }
                Kw::Unique => {
                    self.next();
                    ColumnConstraint::Unique(self.on_conflict()?)
                }
                Kw::Check => {
                    self.next();
                    let (expr, text) = self.expr_in_parens()?;
                    ColumnConstraint::Check { expr, name: label, text }
                }
                Kw::Default => self.default_value()?,
                Kw::Collate => {
                    self.next();
                    ColumnConstraint::Collate(self.name()?)
                }
                Kw::References => ColumnConstraint::References(self.foreign_key()?),
                Kw::Deferrable | Kw::Not => {
                    self.deferrable()?;
                    continue;
                }
                Kw::Generated | Kw::As => self.generated()?,
                _ => return Ok(None),
            };
            return Ok(Some(constraint));
        }
    }

    fn generated(&mut self) -> Result<ColumnConstraint> {
        if self.eat_kw(Kw::Generated) {
            self.expect_kw(Kw::Always)?;
        }
        self.expect_kw(Kw::As)?;
        let (expr, _) = self.expr_in_parens()?;
        let mut stored = false;
        if self.is_id(0) {
            let token = self.token(0);
            let word = self.name()?;
            stored = word.eq_ignore_ascii_case("stored");
            if !stored && !word.eq_ignore_ascii_case("virtual") {
                return Err(Error::near(word.as_bytes()).at(token.start));
            }
        }
        Ok(ColumnConstraint::Generated { expr, stored })
    }

    fn expr_in_parens(&mut self) -> Result<(Expr, Name)> {
        self.expect(Tok::LParen)?;
        let start = self.token(0).start;
        let expr = self.expr()?;
        let text = self.span(start);
        self.expect(Tok::RParen)?;
        Ok((expr, text))
    }

    fn default_value(&mut self) -> Result<ColumnConstraint> {
        self.next();
        let start = self.token(0).start;
        let expr = match self.peek() {
            Tok::LParen => {
                let (expr, text) = self.expr_in_parens()?;
                return Ok(ColumnConstraint::Default { expr, text });
            }
            tok @ (Tok::Minus | Tok::Plus) => {
                self.next();
                let term = Box::new(self.term()?);
                let op = if tok == Tok::Minus { Unary::Minus } else { Unary::Plus };
                match *term {
                    Expr::Literal(crate::ast::Literal::Real(9223372036854775808.0))
                        if op == Unary::Minus =>
                    {
                        Expr::Literal(crate::ast::Literal::Int(i64::MIN))
                    }
                    _ => Expr::Unary(op, term),
                }
            }
            Tok::Int | Tok::Float | Tok::Str | Tok::Blob => self.term()?,
            Tok::Kw(Kw::Null | Kw::CurrentDate | Kw::CurrentTime | Kw::CurrentTimestamp) => {
                self.term()?
            }
            _ if self.is_id(0) => {
                let quoted = self.peek() == Tok::Id && self.is_quoted();
                let name = self.name()?;
                match name.to_ascii_lowercase().as_str() {
                    "true" if !quoted => Expr::Literal(crate::ast::Literal::Int(1)),
                    "false" if !quoted => Expr::Literal(crate::ast::Literal::Int(0)),
                    _ => Expr::Literal(crate::ast::Literal::Text(name.as_bytes().into())),
                }
            }
            _ => return Err(self.unexpected()),
        };
        Ok(ColumnConstraint::Default { expr, text: self.span(start) })
    }

    fn term(&mut self) -> Result<Expr> {
        let token = self.token(0);
        match token.tok {
            Tok::Int | Tok::Float | Tok::Str | Tok::Blob | Tok::Kw(_) => self.primary_term(token),
            _ => Err(self.unexpected()),
        }
    }

    fn on_conflict(&mut self) -> Result<Option<Conflict>> {
        if self.is(Kw::On) && self.peek_at(1) == Tok::Kw(Kw::Conflict) {
            self.next();
            self.next();
            return self.conflict_action().map(Some);
        }
        Ok(None)
    }

    fn foreign_key(&mut self) -> Result<ForeignKey> {
        self.expect_kw(Kw::References)?;
        let table = self.name()?;
        let columns = self.names_in_parens()?;
        let mut key = ForeignKey {
            table,
            columns,
            on_delete: FkAction::NoAction,
            on_update: FkAction::NoAction,
            deferred: false,
            match_name: None,
        };
        loop {
            if self.eat_kw(Kw::Match) {
                key.match_name = Some(self.name()?);
            } else if self.is(Kw::On)
                && matches!(self.peek_at(1), Tok::Kw(Kw::Delete | Kw::Update | Kw::Insert))
            {
                self.next();
                let event = self.next().tok;
                let action = self.fk_action()?;
                match event {
                    Tok::Kw(Kw::Delete) => key.on_delete = action,
                    Tok::Kw(Kw::Update) => key.on_update = action,
                    _ => {}
                }
            } else if self.is(Kw::Deferrable)
                || self.is(Kw::Not) && self.peek_at(1) == Tok::Kw(Kw::Deferrable)
            {
                key.deferred = self.deferrable()?;
            } else {
                return Ok(key);
            }
        }
    }

    fn deferrable(&mut self) -> Result<bool> {
        let not = self.eat_kw(Kw::Not);
        self.expect_kw(Kw::Deferrable)?;
        let mut deferred = false;
        if self.eat_kw(Kw::Initially) {
            deferred = self.eat_kw(Kw::Deferred);
            if !deferred {
                self.expect_kw(Kw::Immediate)?;
            }
        }
        Ok(deferred && !not)
    }

    fn fk_action(&mut self) -> Result<FkAction> {
        let first = self.peek();
        let second = self.peek_at(1);
        let (action, tokens) = match (first, second) {
            (Tok::Kw(Kw::Set), Tok::Kw(Kw::Null)) => (FkAction::SetNull, 2),
            (Tok::Kw(Kw::Set), Tok::Kw(Kw::Default)) => (FkAction::SetDefault, 2),
            (Tok::Kw(Kw::No), Tok::Kw(Kw::Action)) => (FkAction::NoAction, 2),
            (Tok::Kw(Kw::Cascade), _) => (FkAction::Cascade, 1),
            (Tok::Kw(Kw::Restrict), _) => (FkAction::Restrict, 1),
            _ => return Err(self.unexpected()),
        };
        for _ in 0..tokens {
            self.next();
        }
        Ok(action)
    }

    fn table_constraint(&mut self, into: &mut Vec<TableConstraint>) -> Result<()> {
        let mut label = None;
        while self.eat_kw(Kw::Constraint) {
            label = Some(self.name()?);
        }
        let constraint = match self.peek() {
            Tok::Kw(Kw::Primary) => {
                self.next();
                self.expect_kw(Kw::Key)?;
                self.expect(Tok::LParen)?;
                let columns = self.list(Self::order_term)?;
                let autoincrement = self.eat_kw(Kw::Autoincrement);
                self.expect(Tok::RParen)?;
                let conflict = self.on_conflict()?;
                TableConstraint::PrimaryKey { columns, conflict, autoincrement }
            }
            Tok::Kw(Kw::Unique) => {
                self.next();
                self.expect(Tok::LParen)?;
                let columns = self.list(Self::order_term)?;
                self.expect(Tok::RParen)?;
                TableConstraint::Unique { columns, conflict: self.on_conflict()? }
            }
            Tok::Kw(Kw::Check) => {
                self.next();
                let (expr, text) = self.expr_in_parens()?;
                self.on_conflict()?;
                TableConstraint::Check { expr, name: label, text }
            }
            Tok::Kw(Kw::Foreign) => {
                self.next();
                self.expect_kw(Kw::Key)?;
                if self.peek() != Tok::LParen {
                    return Err(self.unexpected());
                }
                let columns = self.names_in_parens()?;
                TableConstraint::ForeignKey { columns, key: self.foreign_key()? }
            }
            _ if label.is_some() => return Ok(()),
            _ => return Err(self.unexpected()),
        };
        into.push(constraint);
        Ok(())
    }

    fn create_index(&mut self) -> Result<Stmt> {
        let unique = self.eat_kw(Kw::Unique);
        self.expect_kw(Kw::Index)?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.qualified_name()?;
        self.expect_kw(Kw::On)?;
        let table = self.name()?;
        self.expect(Tok::LParen)?;
        let columns = self.list(Self::order_term)?;
        self.expect(Tok::RParen)?;
        let filter = if self.eat_kw(Kw::Where) { Some(self.expr()?) } else { None };
        Ok(Stmt::CreateIndex(Box::new(CreateIndex {
            unique,
            if_not_exists,
            name,
            table,
            columns,
            filter,
        })))
    }

    fn create_view(&mut self, temp: bool) -> Result<Stmt> {
        self.next();
        let if_not_exists = self.if_not_exists()?;
        let name = self.qualified_name()?;
        let columns = self.names_in_parens()?;
        self.expect_kw(Kw::As)?;
        let select = self.select()?;
        Ok(Stmt::CreateView(Box::new(CreateView { temp, if_not_exists, name, columns, select })))
    }

    fn create_trigger(&mut self, temp: bool) -> Result<Stmt> {
        self.next();
        let if_not_exists = self.if_not_exists()?;
        let name = self.qualified_name()?;
        let time = if self.eat_kw(Kw::After) {
            TriggerTime::After
        } else if self.eat_kw(Kw::Instead) {
            self.expect_kw(Kw::Of)?;
            TriggerTime::InsteadOf
        } else {
            self.eat_kw(Kw::Before);
            TriggerTime::Before
        };
        let event = match self.peek() {
            Tok::Kw(Kw::Delete) => TriggerEvent::Delete,
            Tok::Kw(Kw::Insert) => TriggerEvent::Insert,
            Tok::Kw(Kw::Update) => TriggerEvent::Update(vec![]),
            _ => return Err(self.unexpected()),
        };
        self.next();
        let event = match event {
            TriggerEvent::Update(_) if self.eat_kw(Kw::Of) => {
                TriggerEvent::Update(self.list(Self::name)?)
            }
            event => event,
        };
        self.expect_kw(Kw::On)?;
        let table: QualifiedName = self.qualified_name()?;
        if self.eat_kw(Kw::For) {
            self.expect_kw(Kw::Each)?;
            self.expect_kw(Kw::Row)?;
        }
        self.in_trigger = true;
        let when = if self.eat_kw(Kw::When) { Some(self.expr()?) } else { None };
        self.expect_kw(Kw::Begin)?;
        let mut body = Vec::new();
        while !self.is(Kw::End) || body.is_empty() {
            match self.peek() {
                Tok::Kw(Kw::Select | Kw::Values) => {
                    body.push(Stmt::Select(Box::new(self.select()?)));
                }
                Tok::Kw(Kw::With | Kw::Insert | Kw::Replace | Kw::Update | Kw::Delete) => {
                    let stmt = self.dml()?;
                    may_stand_in_trigger(&stmt)?;
                    body.push(stmt);
                }
                _ => return Err(self.unexpected()),
            }
            self.expect(Tok::Semi)?;
        }
        self.next();
        self.in_trigger = false;
        Ok(Stmt::CreateTrigger(Box::new(CreateTrigger {
            temp,
            if_not_exists,
            name,
            time,
            event,
            table,
            when,
            body,
        })))
    }
}

/// What the body of a trigger may not have.
fn may_stand_in_trigger(stmt: &Stmt) -> Result<()> {
    let (table, indexed, returning) = match stmt {
        Stmt::Insert(insert) => (Some(&insert.table), None, &insert.returning),
        Stmt::Update(update) => {
            (update.table.table_name(), update.table.indexed.as_ref(), &update.returning)
        }
        Stmt::Delete(delete) => {
            (delete.table.table_name(), delete.table.indexed.as_ref(), &delete.returning)
        }
        _ => return Ok(()),
    };
    if table.is_some_and(|name| name.schema.is_some()) {
        return Err(Error::new(
            "qualified table names are not allowed on INSERT, UPDATE, and DELETE statements within \
             triggers",
        ));
    }
    if let Some(indexed) = indexed {
        let clause = if indexed.is_some() { "INDEXED BY" } else { "NOT INDEXED" };
        return Err(Error::new(format!(
            "the {clause} clause is not allowed on UPDATE or DELETE statements within triggers"
        )));
    }
    if !returning.is_empty() {
        return Err(Error::new("cannot use RETURNING in a trigger"));
    }
    Ok(())
}
