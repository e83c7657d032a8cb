//! The parser: tokens to syntax tree. Recursive descent for statements, precedence climbing for
//! expressions; `near "X": syntax error` names the first token that cannot continue, as SQLite's
//! LALR parser does.

mod ddl;
mod dml;
mod expr;
mod select;

pub(crate) use expr::{int_literal, unhex};

use crate::ast::{Alter, Begin, DropKind, Name, PragmaValue, QualifiedName, Stmt};
use crate::error::{Error, Result};
use crate::lex::{self, Kw, Tok, Token};

/// How deep expressions, subqueries and joins may nest (SQLITE_MAX_EXPR_DEPTH).
const MAX_DEPTH: usize = 1000;

/// A parsed statement and where the next one starts.
pub struct Parsed {
    /// `None`: only white space, comments or a lone semicolon.
    pub stmt: Option<Stmt>,
    /// Offset behind the statement's semicolon.
    pub tail: usize,
    /// The parameters, by number less one; `None` for `?`.
    pub variables: Vec<Option<Vec<u8>>>,
}

/// Parses the first statement of `sql`.
///
/// # Errors
/// `near "X": syntax error` and its kin, with the offset of X.
pub fn statement(sql: &[u8]) -> Result<Parsed> {
    let mut parser = Parser::new(sql);
    if parser.eat(Tok::Semi) {
        return Ok(Parsed { stmt: None, tail: parser.last_end, variables: vec![] });
    }
    if parser.peek() == Tok::End {
        return Ok(Parsed { stmt: None, tail: sql.len(), variables: vec![] });
    }
    let stmt = parser.top_statement()?;
    let at_end = parser.peek() == Tok::End;
    if !at_end && !parser.eat(Tok::Semi) {
        return Err(parser.unexpected());
    }
    let tail = if at_end { sql.len() } else { parser.last_end };
    Ok(Parsed { stmt: Some(stmt), tail, variables: parser.variables })
}

pub(crate) struct Parser<'a> {
    sql: &'a [u8],
    /// The tokens that were looked at and not yet taken.
    ahead: std::collections::VecDeque<Token>,
    /// Where the lexer goes on.
    lexed: usize,
    /// The end of the last token taken.
    last_end: usize,
    depth: usize,
    variables: Vec<Option<Vec<u8>>>,
    /// Inside a trigger body.
    in_trigger: bool,
}

impl<'a> Parser<'a> {
    fn new(sql: &'a [u8]) -> Parser<'a> {
        Parser {
            sql,
            ahead: std::collections::VecDeque::new(),
            lexed: 0,
            last_end: 0,
            depth: 0,
            variables: Vec::new(),
            in_trigger: false,
        }
    }

    fn token(&mut self, n: usize) -> Token {
        while self.ahead.len() <= n {
            let token = lex::next(self.sql, self.lexed);
            self.lexed = token.end;
            self.ahead.push_back(token);
        }
        self.ahead[n]
    }

    fn peek(&mut self) -> Tok {
        self.token(0).tok
    }

    fn peek_at(&mut self, n: usize) -> Tok {
        self.token(n).tok
    }

    fn next(&mut self) -> Token {
        let token = self.token(0);
        self.ahead.pop_front();
        self.last_end = token.end;
        token
    }

    fn text(&self, token: Token) -> &'a [u8] {
        self.sql.get(token.start..token.end).unwrap_or_default()
    }

    /// The text from `start` to the end of the last token taken.
    fn span(&self, start: usize) -> Name {
        let text = self.sql.get(start..self.last_end).unwrap_or_default();
        String::from_utf8_lossy(text).trim().into()
    }

    fn eat(&mut self, tok: Tok) -> bool {
        let found = self.peek() == tok;
        if found {
            self.next();
        }
        found
    }

    fn is(&mut self, kw: Kw) -> bool {
        self.peek() == Tok::Kw(kw)
    }

    fn eat_kw(&mut self, kw: Kw) -> bool {
        self.eat(Tok::Kw(kw))
    }

    fn expect(&mut self, tok: Tok) -> Result<Token> {
        if self.peek() == tok { Ok(self.next()) } else { Err(self.unexpected()) }
    }

    fn expect_kw(&mut self, kw: Kw) -> Result<()> {
        self.expect(Tok::Kw(kw)).map(drop)
    }

    /// The error at the next token.
    fn unexpected(&mut self) -> Error {
        let token = self.token(0);
        let text = String::from_utf8_lossy(self.text(token)).into_owned();
        match token.tok {
            Tok::End => Error::new("incomplete input"),
            Tok::Illegal => Error::new(format!("unrecognized token: \"{text}\"")).at(token.start),
            _ => Error::new(format!("near \"{text}\": syntax error")).at(token.start),
        }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH / 4 {
            return Err(Error::new("parser stack overflow"));
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Whether token `n` may be taken as an identifier.
    fn is_id(&mut self, n: usize) -> bool {
        match self.peek_at(n) {
            Tok::Id => true,
            Tok::Kw(kw) => kw.falls_back(),
            _ => false,
        }
    }

    /// Whether token `n` may be a name: an identifier, a string, a join word, `INDEXED`.
    fn is_name(&mut self, n: usize) -> bool {
        match self.peek_at(n) {
            Tok::Str => true,
            Tok::Kw(kw) if kw.is_join_word() || kw == Kw::Indexed => true,
            _ => self.is_id(n),
        }
    }

    fn name(&mut self) -> Result<Name> {
        if !self.is_name(0) {
            return Err(self.unexpected());
        }
        let token = self.next();
        Ok(self.unquote_name(token))
    }

    fn unquote_name(&self, token: Token) -> Name {
        String::from_utf8_lossy(&unquote(self.text(token))).into()
    }

    fn qualified_name(&mut self) -> Result<QualifiedName> {
        let name = self.name()?;
        if self.eat(Tok::Dot) {
            return Ok(QualifiedName { schema: Some(name), name: self.name()? });
        }
        Ok(QualifiedName { schema: None, name })
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(Tok::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn names_in_parens(&mut self) -> Result<Vec<Name>> {
        if !self.eat(Tok::LParen) {
            return Ok(vec![]);
        }
        let names = self.list(Self::name)?;
        self.expect(Tok::RParen)?;
        Ok(names)
    }

    fn top_statement(&mut self) -> Result<Stmt> {
        if self.eat_kw(Kw::Explain) {
            let plan = self.is(Kw::Query);
            if plan {
                self.next();
                self.expect_kw(Kw::Plan)?;
            }
            return Ok(Stmt::Explain { plan, stmt: Box::new(self.stmt()?) });
        }
        self.stmt()
    }

    fn stmt(&mut self) -> Result<Stmt> {
        let Tok::Kw(kw) = self.peek() else { return Err(self.unexpected()) };
        match kw {
            Kw::Select | Kw::Values => Ok(Stmt::Select(Box::new(self.select()?))),
            Kw::With | Kw::Insert | Kw::Replace | Kw::Update | Kw::Delete => self.dml(),
            Kw::Create => self.create(),
            Kw::Drop => self.drop_object(),
            Kw::Alter => self.alter(),
            Kw::Begin => self.begin(),
            Kw::Commit | Kw::End => {
                self.next();
                self.transaction_name()?;
                Ok(Stmt::Commit)
            }
            Kw::Rollback => self.rollback(),
            Kw::Savepoint => {
                self.next();
                Ok(Stmt::Savepoint(self.name()?))
            }
            Kw::Release => {
                self.next();
                self.eat_kw(Kw::Savepoint);
                Ok(Stmt::Release(self.name()?))
            }
            Kw::Pragma => self.pragma(),
            Kw::Attach => {
                self.next();
                self.eat_kw(Kw::Database);
                let file = self.expr()?;
                self.expect_kw(Kw::As)?;
                Ok(Stmt::Attach { file, name: self.expr()? })
            }
            Kw::Detach => {
                self.next();
                self.eat_kw(Kw::Database);
                Ok(Stmt::Detach(self.expr()?))
            }
            Kw::Vacuum => {
                self.next();
                let schema = if self.is_name(0) { Some(self.name()?) } else { None };
                let into = if self.eat_kw(Kw::Into) { Some(self.expr()?) } else { None };
                Ok(Stmt::Vacuum { schema, into })
            }
            Kw::Analyze => {
                self.next();
                Ok(Stmt::Analyze(self.optional_name()?))
            }
            Kw::Reindex => {
                self.next();
                Ok(Stmt::Reindex(self.optional_name()?))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn optional_name(&mut self) -> Result<Option<QualifiedName>> {
        if self.is_name(0) { self.qualified_name().map(Some) } else { Ok(None) }
    }

    fn transaction_name(&mut self) -> Result<()> {
        if self.eat_kw(Kw::Transaction) && self.is_name(0) {
            self.name()?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<Stmt> {
        self.next();
        let kind = match self.peek() {
            Tok::Kw(Kw::Deferred) => Some(Begin::Deferred),
            Tok::Kw(Kw::Immediate) => Some(Begin::Immediate),
            Tok::Kw(Kw::Exclusive) => Some(Begin::Exclusive),
            _ => None,
        };
        if kind.is_some() {
            self.next();
        }
        self.transaction_name()?;
        Ok(Stmt::Begin(kind.unwrap_or(Begin::Deferred)))
    }

    fn rollback(&mut self) -> Result<Stmt> {
        self.next();
        self.transaction_name()?;
        if !self.eat_kw(Kw::To) {
            return Ok(Stmt::Rollback(None));
        }
        self.eat_kw(Kw::Savepoint);
        Ok(Stmt::Rollback(Some(self.name()?)))
    }

    fn drop_object(&mut self) -> Result<Stmt> {
        self.next();
        let kind = match self.peek() {
            Tok::Kw(Kw::Table) => DropKind::Table,
            Tok::Kw(Kw::Index) => DropKind::Index,
            Tok::Kw(Kw::View) => DropKind::View,
            Tok::Kw(Kw::Trigger) => DropKind::Trigger,
            _ => return Err(self.unexpected()),
        };
        self.next();
        let if_exists = self.eat_kw(Kw::If);
        if if_exists {
            self.expect_kw(Kw::Exists)?;
        }
        Ok(Stmt::Drop { kind, if_exists, name: self.qualified_name()? })
    }

    fn alter(&mut self) -> Result<Stmt> {
        self.next();
        self.expect_kw(Kw::Table)?;
        let table = self.qualified_name()?;
        let action = match self.peek() {
            Tok::Kw(Kw::Rename) => {
                self.next();
                if self.eat_kw(Kw::To) {
                    Alter::RenameTable(self.name()?)
                } else {
                    self.eat_kw(Kw::Column);
                    let from = self.name()?;
                    self.expect_kw(Kw::To)?;
                    Alter::RenameColumn(from, self.name()?)
                }
            }
            Tok::Kw(Kw::Add) => {
                self.next();
                self.eat_kw(Kw::Column);
                let start = self.token(0).start;
                let column = self.column_def()?;
                Alter::AddColumn { column, text: self.span(start) }
            }
            Tok::Kw(Kw::Drop) => {
                self.next();
                self.eat_kw(Kw::Column);
                Alter::DropColumn(self.name()?)
            }
            _ => return Err(self.unexpected()),
        };
        Ok(Stmt::Alter { table, action })
    }

    fn pragma(&mut self) -> Result<Stmt> {
        self.next();
        let name = self.qualified_name()?;
        let value = if self.eat(Tok::Eq) {
            Some(self.pragma_value()?)
        } else if self.eat(Tok::LParen) {
            let value = self.pragma_value()?;
            self.expect(Tok::RParen)?;
            Some(value)
        } else {
            None
        };
        Ok(Stmt::Pragma { name, value })
    }

    fn pragma_value(&mut self) -> Result<PragmaValue> {
        let mut text = Vec::new();
        if matches!(self.peek(), Tok::Minus | Tok::Plus) {
            if self.next_is_minus() {
                text.push(b'-');
            }
            if !matches!(self.peek(), Tok::Int | Tok::Float) {
                return Err(self.unexpected());
            }
        }
        let taken = match self.peek() {
            Tok::Int | Tok::Float | Tok::Kw(Kw::On | Kw::Delete | Kw::Default) => true,
            _ => self.is_name(0),
        };
        if !taken {
            return Err(self.unexpected());
        }
        let token = self.next();
        text.extend_from_slice(&unquote(self.text(token)));
        Ok(PragmaValue { text })
    }

    /// Whether the next token stands in quotes.
    fn is_quoted(&mut self) -> bool {
        let token = self.token(0);
        matches!(self.text(token).first(), Some(b'"' | b'[' | b'`' | b'\''))
    }

    fn next_is_minus(&mut self) -> bool {
        self.next().tok == Tok::Minus
    }
}

/// Takes the quotes off a token and halves the doubled ones inside.
pub(crate) fn unquote(text: &[u8]) -> Vec<u8> {
    let Some((&quote, rest)) = text.split_first() else { return vec![] };
    let close = match quote {
        b'\'' | b'"' | b'`' => quote,
        b'[' => b']',
        _ => return text.to_vec(),
    };
    let inner = rest.strip_suffix(&[close]).unwrap_or(rest);
    let mut out = Vec::with_capacity(inner.len());
    let mut skip = false;
    for &byte in inner {
        skip = !skip && byte == close && quote != b'[';
        if !skip {
            out.push(byte);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: &[&str] = &[
        "SELECT a, b AS c, t.*, count(*) FILTER (WHERE x > 1) OVER (PARTITION BY y ORDER BY z DESC \
         ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t LEFT JOIN u ON t.a = u.b WHERE a IN (1, 2) \
         GROUP BY 1 HAVING sum(b) > 3 ORDER BY 2 NULLS LAST LIMIT 5 OFFSET 6",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT * FROM c, (VALUES (1))",
        "INSERT OR REPLACE INTO t(a, b) VALUES (1, x'00'), (?1, :name) ON CONFLICT (a) DO UPDATE SET \
         b = excluded.b WHERE a NOT LIKE 'x%' ESCAPE '!' RETURNING *",
        "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT NOT NULL DEFAULT 'x' COLLATE nocase, \
         c AS (a + 1) STORED, CHECK (b <> ''), FOREIGN KEY (b) REFERENCES u ON DELETE CASCADE) STRICT",
        "CREATE TRIGGER g AFTER UPDATE OF a ON t WHEN new.a > 1 BEGIN DELETE FROM u; SELECT \
         RAISE(ABORT, 'no'); END",
        "UPDATE t SET (a, b) = (SELECT 1, 2), c = CASE a WHEN 1 THEN 2 ELSE 3 END FROM u WHERE t.x = u.x",
        "ALTER TABLE t ADD COLUMN z DEFAULT -1.5e3",
        "PRAGMA main.table_info(t)",
    ];

    #[test]
    fn every_sample_is_a_statement() {
        for sample in SAMPLES {
            assert!(statement(sample.as_bytes()).is_ok_and(|p| p.stmt.is_some()), "{sample}");
        }
    }

    #[test]
    fn no_mutation_panics() {
        let mut x = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = |bound: usize| {
            x ^= x >> 12;
            x ^= x << 25;
            x ^= x >> 27;
            (x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
        };
        for _ in 0..30_000 {
            let mut text = SAMPLES[random(SAMPLES.len())].as_bytes().to_vec();
            for _ in 0..1 + random(4) {
                let at = random(text.len());
                match random(4) {
                    0 => text[at] = random(256) as u8,
                    1 => text.truncate(at.max(1)),
                    2 => {
                        let other = SAMPLES[random(SAMPLES.len())].as_bytes();
                        let from = random(other.len());
                        text.splice(at..at, other[from..].iter().take(20).copied());
                    }
                    _ => drop(text.drain(at..(at + 5).min(text.len()))),
                }
                if text.is_empty() {
                    break;
                }
            }
            let _ = statement(&text);
            crate::lex::complete(&text);
        }
    }

    #[test]
    fn depth_is_limited() {
        let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
        assert!(statement(deep.as_bytes()).is_err());
    }
}
