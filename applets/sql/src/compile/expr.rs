//! Binding of expressions.

use std::rc::Rc;

use super::columns::Found as Target;
use super::{Compiler, FrameBuild, ScopeColumns};
use crate::ast::{self, Binary, InSet, Literal, Name, Unary};
use crate::collate::Collation;
use crate::error::{Error, Result};
use crate::func::{self, Found};
use crate::plan::{AggregateCall, Comparison, Expr, ROWID, SubPlan};
use crate::schema;
use crate::value::{Affinity, Value};

/// The affinity of an expression (datatype3, section 3.2).
pub(crate) fn affinity_of(expr: &Expr) -> Affinity {
    match expr {
        Expr::Column(column) => column.affinity,
        Expr::Cast(_, affinity) => *affinity,
        Expr::Collate(inner, _) => affinity_of(inner),
        Expr::Scalar(sub) => sub.plan.columns.first().map_or(Affinity::None, |c| c.affinity),
        Expr::RowField(sub, n) => sub.plan.columns.get(*n).map_or(Affinity::None, |c| c.affinity),
        Expr::Row(items) => items.first().map_or(Affinity::None, affinity_of),
        _ => Affinity::None,
    }
}

/// The collation of an expression: whether it was said, and which (datatype3, section 7.1).
fn collation_rank(expr: &Expr) -> Option<(bool, Collation)> {
    match expr {
        Expr::Collate(_, collation) => Some((true, *collation)),
        Expr::Column(column) => Some((false, column.collation)),
        Expr::Plus(inner) | Expr::Cast(inner, _) => collation_rank(inner),
        Expr::Scalar(sub) => {
            sub.plan.columns.first().filter(|c| c.collated).map(|c| (false, c.collation))
        }
        _ => {
            // A COLLATE deeper inside counts as said for the whole.
            let mut found = None;
            super::children(expr, &mut |child| {
                if found.is_none() {
                    found = collation_rank(child).filter(|(said, _)| *said);
                }
            });
            found
        }
    }
}

/// The collation of an expression, and whether it has one at all.
pub(crate) fn collation_of(expr: &Expr) -> (Collation, bool) {
    collation_rank(expr).map_or((Collation::Binary, false), |(_, collation)| (collation, true))
}

fn comparison_collation(left: &Expr, right: &Expr) -> Collation {
    match (collation_rank(left), collation_rank(right)) {
        (Some((true, collation)), _) | (_, Some((true, collation))) => collation,
        (Some((_, collation)), _) | (None, Some((_, collation))) => collation,
        (None, None) => Collation::Binary,
    }
}

pub(super) fn comparison(left: &Expr, right: &Expr) -> Comparison {
    Comparison {
        affinity: Affinity::of_comparison(affinity_of(left), affinity_of(right)),
        collation: comparison_collation(left, right),
    }
}

impl Compiler<'_> {
    pub(super) fn bind(&mut self, expr: &ast::Expr) -> Result<Expr> {
        let boxed = |e: Expr| Box::new(e);
        Ok(match expr {
            ast::Expr::Literal(literal) => self.literal(literal),
            ast::Expr::Variable(number) => Expr::Param(number - 1),
            ast::Expr::Column { schema, table, name, quoted, offset } => {
                self.column(schema.as_ref(), table.as_ref(), name, *quoted, *offset)?
            }
            ast::Expr::Unary(op, inner) => {
                let inner = boxed(self.bind_value(inner)?);
                match op {
                    Unary::Minus => match *inner {
                        Expr::Const(Value::Int(v)) if v != i64::MIN => Expr::Const(Value::Int(-v)),
                        Expr::Const(Value::Real(v)) => Expr::Const(Value::Real(-v)),
                        _ => Expr::Minus(inner),
                    },
                    Unary::Plus => Expr::Plus(inner),
                    Unary::BitNot => Expr::BitNot(inner),
                    Unary::Not => Expr::Not(inner),
                    Unary::IsNull => Expr::IsNull(inner),
                    Unary::NotNull => Expr::NotNull(inner),
                }
            }
            ast::Expr::Binary(op, left, right) => self.binary(*op, left, right)?,
            ast::Expr::Like { function, not, lhs, rhs, escape } => {
                let mut args = vec![self.bind_value(rhs)?, self.bind_value(lhs)?];
                if let Some(escape) = escape {
                    args.push(self.bind_value(escape)?);
                }
                let call = self.scalar_call(function, args, 0)?;
                if *not { Expr::Not(boxed(call)) } else { call }
            }
            ast::Expr::Between { not, value, low, high } => {
                let bound = self.bind(value)?;
                let low = self.bind(low)?;
                let high = self.bind(high)?;
                let from = self.compare(Binary::Ge, bound.clone(), low)?;
                let to = self.compare(Binary::Le, bound, high)?;
                let both = Expr::And(boxed(from), boxed(to));
                if *not { Expr::Not(boxed(both)) } else { both }
            }
            ast::Expr::In { not, value, set } => self.in_set(*not, value, set)?,
            ast::Expr::Cast(inner, name) => {
                Expr::Cast(boxed(self.bind_value(inner)?), Affinity::of_type(name))
            }
            ast::Expr::Collate(inner, name) => {
                Expr::Collate(boxed(self.bind(inner)?), schema::named(name)?)
            }
            ast::Expr::Call(call) => self.call(call)?,
            ast::Expr::Case { operand, whens, otherwise } => {
                self.case(operand.as_deref(), whens, otherwise.as_deref())?
            }
            ast::Expr::Exists(select) => Expr::Exists(self.subquery(select)?),
            ast::Expr::Subquery(select) => {
                let sub = self.subquery(select)?;
                if sub.plan.columns.len() == 1 { Expr::Scalar(sub) } else { Expr::RowSelect(sub) }
            }
            ast::Expr::Row(items) => {
                Expr::Row(items.iter().map(|item| self.bind(item)).collect::<Result<_>>()?)
            }
            ast::Expr::RowField(select, n) => Expr::RowField(self.subquery(select)?, *n),
            ast::Expr::Raise(kind, message) => {
                let message = match message {
                    Some(message) => Some(boxed(self.bind_value(message)?)),
                    None => None,
                };
                Expr::Raise(*kind, message)
            }
        })
    }

    /// Binds what must be one value.
    pub(super) fn bind_value(&mut self, expr: &ast::Expr) -> Result<Expr> {
        match self.bind(expr)? {
            Expr::Row(_) => Err(Error::new("row value misused")),
            Expr::RowSelect(sub) => Err(Error::new(format!(
                "sub-select returns {} columns - expected 1",
                sub.plan.columns.len()
            ))),
            bound => Ok(bound),
        }
    }

    fn literal(&self, literal: &Literal) -> Expr {
        Expr::Const(match literal {
            Literal::Null => Value::Null,
            Literal::Int(v) => Value::Int(*v),
            Literal::Real(v) => Value::Real(*v),
            Literal::Text(v) => Value::text(v.to_vec()),
            Literal::Blob(v) => Value::blob(v.to_vec()),
            now => func::current(now),
        })
    }

    fn binary(&mut self, op: Binary, left: &ast::Expr, right: &ast::Expr) -> Result<Expr> {
        match op {
            Binary::And | Binary::Or => {
                let left = Box::new(self.bind_value(left)?);
                let right = Box::new(self.bind_value(right)?);
                Ok(if op == Binary::And { Expr::And(left, right) } else { Expr::Or(left, right) })
            }
            Binary::Concat => Ok(Expr::Concat(
                Box::new(self.bind_value(left)?),
                Box::new(self.bind_value(right)?),
            )),
            Binary::Is | Binary::IsNot if is_truth_word(right) && !self.is_column(right) => {
                // `x IS TRUE` asks for truth, not for equality with 1.
                let truth = matches!(right, ast::Expr::Column { name, .. } if name.eq_ignore_ascii_case("true"));
                let value = self.bind_value(left)?;
                let how = Comparison { affinity: Affinity::None, collation: Collation::Binary };
                let as_bool = Expr::Not(Box::new(Expr::Not(Box::new(value))));
                let one = Box::new(Expr::Const(Value::Int(i64::from(truth))));
                Ok(Expr::Compare(op, Box::new(as_bool), one, how))
            }
            Binary::Eq
            | Binary::Ne
            | Binary::Lt
            | Binary::Le
            | Binary::Gt
            | Binary::Ge
            | Binary::Is
            | Binary::IsNot => {
                let left = self.bind(left)?;
                let right = self.bind(right)?;
                self.compare(op, left, right)
            }
            _ => Ok(Expr::Arith(
                op,
                Box::new(self.bind_value(left)?),
                Box::new(self.bind_value(right)?),
            )),
        }
    }

    fn is_column(&self, expr: &ast::Expr) -> bool {
        let ast::Expr::Column { name, .. } = expr else { return false };
        self.scopes.iter().flat_map(|scope| &scope.sources).any(|source| match &source.columns {
            ScopeColumns::Table { table, .. } => table.column(name).is_some(),
            ScopeColumns::Derived(columns) => {
                columns.iter().any(|c| c.name.eq_ignore_ascii_case(name))
            }
        })
    }

    pub(super) fn compare(&mut self, op: Binary, left: Expr, right: Expr) -> Result<Expr> {
        let width = |e: &Expr| match e {
            Expr::Row(items) => items.len(),
            Expr::RowSelect(sub) => sub.plan.columns.len(),
            _ => 1,
        };
        let (l, r) = (width(&left), width(&right));
        if l == 1 && r == 1 && !matches!(left, Expr::Row(_)) && !matches!(right, Expr::Row(_)) {
            let how = comparison(&left, &right);
            return Ok(Expr::Compare(op, Box::new(left), Box::new(right), how));
        }
        if l != r {
            return Err(match (&left, &right) {
                (_, Expr::RowSelect(_)) | (Expr::RowSelect(_), _) => Error::new(format!(
                    "sub-select returns {} columns - expected {}",
                    if matches!(right, Expr::RowSelect(_)) { r } else { l },
                    if matches!(right, Expr::RowSelect(_)) { l } else { r }
                )),
                _ => Error::new("row value misused"),
            });
        }
        let how = row_comparisons(&left, &right, l);
        // Rows of expressions compare column by column where that says the same.
        if let (Expr::Row(ls), Expr::Row(rs), Binary::Eq) = (&left, &right, op) {
            let mut all: Option<Expr> = None;
            for ((l, r), how) in ls.iter().zip(rs).zip(&how) {
                let one = Expr::Compare(op, Box::new(l.clone()), Box::new(r.clone()), *how);
                all = Some(match all {
                    None => one,
                    Some(before) => Expr::And(Box::new(before), Box::new(one)),
                });
            }
            return Ok(all.unwrap_or(Expr::Const(Value::Int(1))));
        }
        Ok(Expr::RowCompare { op, left: Box::new(left), right: Box::new(right), how })
    }

    fn in_set(&mut self, not: bool, value: &ast::Expr, set: &InSet) -> Result<Expr> {
        let value = self.bind(value)?;
        let select = match set {
            InSet::List(list) => return self.in_list(not, value, list),
            InSet::Select(select) => self.subquery(select)?,
            InSet::Table(name) => self.subquery(&select_all(name))?,
        };
        let values = match value {
            Expr::Row(items) => items,
            Expr::RowSelect(_) => return Err(Error::new("row value misused")),
            one => vec![one],
        };
        if values.len() != select.plan.columns.len() {
            return Err(Error::new(format!(
                "sub-select returns {} columns - expected {}",
                select.plan.columns.len(),
                values.len()
            )));
        }
        let how = values
            .iter()
            .zip(&select.plan.columns)
            .map(|(value, column)| Comparison {
                affinity: Affinity::of_comparison(affinity_of(value), column.affinity),
                collation: collation_of(value).0,
            })
            .collect();
        Ok(Expr::InSelect { not, values, plan: select, how })
    }

    fn in_list(&mut self, not: bool, value: Expr, list: &[ast::Expr]) -> Result<Expr> {
        if let Expr::Row(_) = value {
            // (a, b) IN ((1, 2), ...) is a chain of comparisons.
            let mut any = Expr::Const(Value::Int(0));
            for item in list {
                let item = self.bind(item)?;
                let same = self.compare(Binary::Eq, value.clone(), item)?;
                any = Expr::Or(Box::new(any), Box::new(same));
            }
            return Ok(if not { Expr::Not(Box::new(any)) } else { any });
        }
        let list: Vec<Expr> =
            list.iter().map(|item| self.bind_value(item)).collect::<Result<_>>()?;
        // The left side alone decides how list items are compared. A list without affinity of the
        // left side compares as it stands.
        let how = Comparison { affinity: affinity_of(&value), collation: collation_of(&value).0 };
        let constant = list.len() > 2 && list.iter().all(|e| matches!(e, Expr::Const(_)));
        let constant = constant.then(|| self.new_cache());
        Ok(Expr::InList { not, value: Box::new(value), list, how, constant })
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        whens: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let operand = match operand {
            Some(operand) => Some(self.bind_value(operand)?),
            None => None,
        };
        let mut bound = Vec::with_capacity(whens.len());
        for (when, then) in whens {
            bound.push((self.bind_value(when)?, self.bind_value(then)?));
        }
        let otherwise = match otherwise {
            Some(otherwise) => Some(Box::new(self.bind_value(otherwise)?)),
            None => None,
        };
        Ok(match operand {
            None => Expr::Case { whens: bound, otherwise },
            Some(operand) => {
                let whens = bound
                    .into_iter()
                    .map(|(when, then)| {
                        let how = comparison(&operand, &when);
                        (when, then, how)
                    })
                    .collect();
                Expr::CaseOf { operand: Box::new(operand), whens, otherwise }
            }
        })
    }

    pub(super) fn subquery(&mut self, select: &ast::Select) -> Result<Rc<SubPlan>> {
        let plan = self.select(select)?;
        let cache = if plan.reach == 0 { Some(self.new_cache()) } else { None };
        Ok(Rc::new(SubPlan { plan, cache }))
    }

    // ---- names --------------------------------------------------------------------------------

    fn column(
        &mut self,
        schema: Option<&Name>,
        table: Option<&Name>,
        name: &Name,
        quoted: bool,
        offset: usize,
    ) -> Result<Expr> {
        for at in (0..self.scopes.len()).rev() {
            if self.scopes[at].hide {
                continue;
            }
            match self.column_in(at, schema, table, name).map_err(|error| error.at(offset))? {
                Some(Target::Slot(slot, col, affinity, collation)) => {
                    let frame = self.scopes[at].frame;
                    return Ok(self.reference(frame, slot, col, affinity, collation));
                }
                Some(Target::Expr(expr)) => {
                    let frame = self.scopes[at].frame;
                    return Ok(self.lift_expr(&expr, frame));
                }
                None => {}
            }
            if table.is_none() {
                let alias = self.scopes[at].aliases.iter().find(|a| a.0.eq_ignore_ascii_case(name));
                if let Some((_, expr)) = alias.cloned() {
                    return self.bind_alias(at, &expr);
                }
            }
        }
        if table.is_none() {
            if quoted {
                return Ok(Expr::Const(Value::text(name.as_bytes())));
            }
            if name.eq_ignore_ascii_case("true") || name.eq_ignore_ascii_case("false") {
                return Ok(Expr::Const(Value::bool(name.eq_ignore_ascii_case("true"))));
            }
        }
        let mut full = String::new();
        for part in [schema, table].into_iter().flatten() {
            full.push_str(part);
            full.push('.');
        }
        Err(Error::new(format!("no such column: {full}{name}")).at(offset))
    }

    /// Binds the expression behind an alias in the scope that has the alias.
    fn bind_alias(&mut self, scope: usize, expr: &ast::Expr) -> Result<Expr> {
        let aliases = std::mem::take(&mut self.scopes[scope].aliases);
        let bound = self.bind(expr);
        self.scopes[scope].aliases = aliases;
        bound
    }

    fn column_in(
        &self,
        at: usize,
        schema: Option<&Name>,
        table: Option<&Name>,
        name: &Name,
    ) -> Result<Option<Target>> {
        let mut found: Option<Target> = None;
        let mut rowid: Option<Target> = None;
        for source in &self.scopes[at].sources {
            let named = match table {
                None => !source.qualified_only,
                Some(table) => {
                    source.name.eq_ignore_ascii_case(table)
                        && schema.is_none_or(|schema| {
                            source.schema.as_ref().is_some_and(|s| s.eq_ignore_ascii_case(schema))
                        })
                }
            };
            if !named
                || table.is_none()
                    && source.merged.iter().any(|merged| merged.eq_ignore_ascii_case(name))
            {
                continue;
            }
            if let Some(target) = super::expr_target(&source.columns, name) {
                if found.is_some() {
                    return Err(Error::new(match table {
                        Some(table) => format!("ambiguous column name: {table}.{name}"),
                        None => format!("ambiguous column name: {name}"),
                    }));
                }
                found = Some(target);
            } else if let ScopeColumns::Table { slot, table } = &source.columns
                && table.is_rowid_name(name)
                && rowid.is_none()
            {
                rowid = Some(Target::Slot(*slot, ROWID, Affinity::Integer, Collation::Binary));
            }
        }
        Ok(found.or(rowid))
    }

    /// An expression over the slots of `frame`, as the innermost frame sees it.
    pub(super) fn lift_expr(&mut self, expr: &Expr, frame: usize) -> Expr {
        let by = (self.frames.len() - 1 - frame) as u16;
        self.note(expr, frame);
        let mut lifted = expr.clone();
        if by > 0 {
            shift_up(&mut lifted, by);
        }
        lifted
    }

    /// Notes the columns that a flattened expression reads as read from the innermost frame.
    fn note(&mut self, expr: &Expr, frame: usize) {
        if let Expr::Column(c) = expr {
            let owner = frame - c.up as usize;
            self.reference(owner, c.slot as usize, c.col, c.affinity, c.collation);
        }
        if let Some(sub) = super::walk::subplan(expr) {
            for (up, slot, col) in sub.plan.outer.clone() {
                let owner = (frame + 1).saturating_sub(up as usize);
                let none = (Affinity::None, Collation::Binary);
                self.reference(owner, slot as usize, col, none.0, none.1);
            }
        }
        let mut parts = Vec::new();
        super::children(expr, &mut |child| parts.push(child));
        for part in parts {
            self.note(part, frame);
        }
    }

    // ---- calls --------------------------------------------------------------------------------

    fn call(&mut self, call: &ast::Call) -> Result<Expr> {
        let nests = func::nests_json(&call.name);
        let rewritten = nests.then(|| super::json::with_blob_args(call));
        let call = rewritten.as_ref().unwrap_or(call);
        if call.over.is_some() {
            return self.window_call(call);
        }
        let lower = call.name.to_ascii_lowercase();
        let args = call.args.len();
        let aggregate = match func::aggregate(&lower, args) {
            Found::Function(function) => Some(function),
            _ => None,
        };
        if let Some(function) = aggregate {
            return self.aggregate_call(call, function);
        }
        if call.filter.is_some() {
            return Err(Error::new(format!(
                "FILTER may not be used with non-aggregate {}()",
                call.name
            ))
            .at(call.offset));
        }
        if call.distinct && args != 1 {
            return Err(Error::new("DISTINCT aggregates must have exactly one argument"));
        }
        let is_window = !matches!(func::window(&lower, args), Found::Unknown);
        if is_window {
            return Err(
                Error::new(format!("misuse of window function {}()", call.name)).at(call.offset)
            );
        }
        let mut bound = Vec::with_capacity(args);
        for arg in &call.args {
            let arg = self.bind_value(arg)?;
            bound.push(if nests { self.blob_arg(arg) } else { arg });
        }
        if call.star {
            return Err(wrong_arguments(call));
        }
        match lower.as_str() {
            "coalesce" if args >= 2 => return Ok(Expr::Coalesce(bound)),
            "ifnull" if args == 2 => return Ok(Expr::Coalesce(bound)),
            "iif" | "if" if args >= 2 => {
                let otherwise = if args % 2 == 1 { bound.pop().map(Box::new) } else { None };
                let mut whens = Vec::with_capacity(args / 2);
                let mut bound = bound.into_iter();
                while let (Some(when), Some(then)) = (bound.next(), bound.next()) {
                    whens.push((when, then));
                }
                return Ok(Expr::Case { whens, otherwise });
            }
            "coalesce" | "ifnull" | "iif" | "if" => return Err(wrong_arguments(call)),
            "likelihood"
                if args == 2
                    && !matches!(&bound[1], Expr::Const(Value::Real(v)) if (0.0..=1.0).contains(v)) =>
            {
                return Err(Error::new(
                    "second argument to likelihood() must be a constant between 0.0 and 1.0",
                ));
            }
            "subtype" if args == 1 => {
                // JSON is told from text while compiling: `json` has the argument as JSONB then.
                let json = super::json::with_blob_args(call);
                if json != *call {
                    let arg = self.bind_value(&json.args[0])?;
                    return self.scalar_call("subtype", vec![arg], call.offset);
                }
                return Ok(Expr::Const(Value::Int(0)));
            }
            _ => {}
        }
        self.scalar_call(&call.name, bound, call.offset)
    }

    fn scalar_call(&mut self, name: &str, args: Vec<Expr>, offset: usize) -> Result<Expr> {
        match func::scalar(name, args.len()) {
            Found::Function(function) => {
                let collation = args
                    .iter()
                    .map(collation_of)
                    .find(|(_, has)| *has)
                    .map_or(Collation::Binary, |(collation, _)| collation);
                Ok(Expr::Call { function, args, collation })
            }
            Found::WrongArgs => {
                Err(Error::new(format!("wrong number of arguments to function {name}()"))
                    .at(offset))
            }
            Found::Unknown => match func::aggregate(name, args.len()) {
                Found::Unknown => Err(Error::new(format!("no such function: {name}")).at(offset)),
                _ => Err(Error::new(format!("wrong number of arguments to function {name}()"))
                    .at(offset)),
            },
        }
    }

    fn aggregate_call(
        &mut self,
        call: &ast::Call,
        function: &'static func::Aggregate,
    ) -> Result<Expr> {
        let misuse = || Error::new(format!("misuse of aggregate: {}()", call.name)).at(call.offset);
        if call.distinct && call.args.len() != 1 {
            return Err(Error::new("DISTINCT aggregates must have exactly one argument"));
        }
        if call.star && function.name != "count" {
            return Err(wrong_arguments(call));
        }
        if self.frames.is_empty() {
            return Err(misuse());
        }
        let owner = self.aggregate_owner(call);
        let top = self.frames.len() - 1;
        if !self.frames[owner].aggregates_allowed {
            if self.frames[owner].rows {
                let text = format!("misuse of aggregate function {}()", call.name);
                return Err(Error::new(text).at(call.offset));
            }
            if self.frames[owner].in_aggregate {
                let text = format!("misuse of aggregate function {}()", call.name.to_uppercase());
                return Err(Error::new(text).at(call.offset));
            }
            return Err(misuse());
        }
        let up = (top - owner) as u16;
        for inner in owner + 1..=top {
            let reach = (inner - owner) as u16;
            self.frames[inner].reach = self.frames[inner].reach.max(reach);
            self.frames[inner].outer.push((reach, u16::MAX, 0));
        }
        if let Some((_, known)) = self.frames[owner].calls.iter().find(|(c, _)| same_call(c, call))
        {
            return Ok(Expr::Reg { up, reg: known.reg });
        }
        // The arguments are computed in the frame that owns the aggregate.
        let frames = self.frames.split_off(owner + 1);
        let keep = self.scopes.iter().rposition(|s| s.frame <= owner).map_or(0, |n| n + 1);
        let scopes = self.scopes.split_off(keep);
        let bound = self.bind_aggregate(call, function);
        self.frames.extend(frames);
        self.scopes.extend(scopes);
        let reg = bound?;
        Ok(Expr::Reg { up, reg })
    }

    fn bind_aggregate(
        &mut self,
        call: &ast::Call,
        function: &'static func::Aggregate,
    ) -> Result<u16> {
        let frame = self.frame();
        frame.in_aggregate = true;
        frame.aggregates_allowed = false;
        let windows = std::mem::replace(&mut frame.windows_allowed, false);
        let parts = self.aggregate_parts(call);
        let frame = self.frame();
        frame.in_aggregate = false;
        frame.aggregates_allowed = true;
        frame.windows_allowed = windows;
        let (args, filter, order) = parts?;
        let reg = frame.registers as u16;
        frame.registers += 1;
        let collation = args.first().map_or(Collation::Binary, |arg| collation_of(arg).0);
        let distinct = call.distinct
            && !matches!(function.kind, func::AggregateKind::Min | func::AggregateKind::Max);
        let plan = AggregateCall { function, args, distinct, collation, filter, order, reg };
        frame.calls.push((call.clone(), plan));
        Ok(reg)
    }

    #[allow(clippy::type_complexity)]
    fn aggregate_parts(
        &mut self,
        call: &ast::Call,
    ) -> Result<(Vec<Expr>, Option<Expr>, Vec<crate::plan::SortKey>)> {
        let mut args =
            call.args.iter().map(|arg| self.bind_value(arg)).collect::<Result<Vec<_>>>()?;
        if func::nests_json(&call.name) {
            args = args.into_iter().map(|arg| self.blob_arg(arg)).collect();
        }
        let filter = match &call.filter {
            Some(filter) => Some(self.bind_value(filter)?),
            None => None,
        };
        let order =
            call.order_by.iter().map(|term| self.sort_key_of(term)).collect::<Result<Vec<_>>>()?;
        Ok((args, filter, order))
    }

    /// The frame that an aggregate belongs to: the innermost one whose columns it reads; the
    /// innermost of all where it reads none.
    fn aggregate_owner(&self, call: &ast::Call) -> usize {
        let top = self.frames.len() - 1;
        let mut owner: Option<usize> = None;
        let mut names = Vec::new();
        call.args.iter().for_each(|arg| column_names(arg, &mut names));
        for (table, name) in names {
            for scope in (0..self.scopes.len()).rev() {
                if self.scopes[scope].hide {
                    continue;
                }
                if let Ok(Some(_)) = self.column_in(scope, None, table.as_ref(), &name) {
                    let frame = self.scopes[scope].frame;
                    owner = Some(owner.map_or(frame, |o| o.max(frame)));
                    break;
                }
            }
        }
        match owner {
            Some(frame) if self.frames[frame].aggregates_allowed => frame,
            _ => top,
        }
    }

    pub(super) fn take_frame(&mut self) -> FrameBuild {
        self.frames.pop().unwrap_or_default()
    }
}

fn wrong_arguments(call: &ast::Call) -> Error {
    Error::new(format!("wrong number of arguments to function {}()", call.name)).at(call.offset)
}

fn same_call(left: &ast::Call, right: &ast::Call) -> bool {
    left.name.eq_ignore_ascii_case(&right.name)
        && left.distinct == right.distinct
        && left.star == right.star
        && left.args.len() == right.args.len()
        && left.args.iter().zip(&right.args).all(|(l, r)| same_expr(l, r))
        && left.order_by == right.order_by
        && match (&left.filter, &right.filter) {
            (None, None) => true,
            (Some(l), Some(r)) => same_expr(l, r),
            _ => false,
        }
}

/// Whether two expressions say the same, wherever they stand in the text.
pub(super) fn same_expr(left: &ast::Expr, right: &ast::Expr) -> bool {
    use ast::Expr::*;
    match (left, right) {
        (
            Column { schema: ls, table: lt, name: ln, .. },
            Column { schema: rs, table: rt, name: rn, .. },
        ) => {
            let same = |l: &Option<Name>, r: &Option<Name>| match (l, r) {
                (Some(l), Some(r)) => l.eq_ignore_ascii_case(r),
                (None, None) => true,
                _ => false,
            };
            same(ls, rs) && same(lt, rt) && ln.eq_ignore_ascii_case(rn)
        }
        (Unary(lo, l), Unary(ro, r)) => lo == ro && same_expr(l, r),
        (Binary(lo, l1, l2), Binary(ro, r1, r2)) => {
            lo == ro && same_expr(l1, r1) && same_expr(l2, r2)
        }
        (Cast(l, lt), Cast(r, rt)) | (Collate(l, lt), Collate(r, rt)) => {
            lt.eq_ignore_ascii_case(rt) && same_expr(l, r)
        }
        (Call(l), Call(r)) => l.over == r.over && same_call(l, r),
        _ => left == right,
    }
}

fn column_names(expr: &ast::Expr, names: &mut Vec<(Option<Name>, Name)>) {
    use ast::Expr::*;
    match expr {
        Column { table, name, .. } => names.push((table.clone(), name.clone())),
        Unary(_, e) | Cast(e, _) | Collate(e, _) => column_names(e, names),
        Binary(_, l, r) => {
            column_names(l, names);
            column_names(r, names);
        }
        Like { lhs, rhs, .. } => {
            column_names(lhs, names);
            column_names(rhs, names);
        }
        Between { value, low, high, .. } => {
            [value, low, high].into_iter().for_each(|e| column_names(e, names));
        }
        In { value, set, .. } => {
            column_names(value, names);
            if let InSet::List(list) = set {
                list.iter().for_each(|e| column_names(e, names));
            }
        }
        Call(call) => call.args.iter().for_each(|e| column_names(e, names)),
        Case { operand, whens, otherwise } => {
            operand.iter().for_each(|e| column_names(e, names));
            for (when, then) in whens {
                column_names(when, names);
                column_names(then, names);
            }
            otherwise.iter().for_each(|e| column_names(e, names));
        }
        Row(items) => items.iter().for_each(|e| column_names(e, names)),
        _ => {}
    }
}

fn is_truth_word(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Column { table: None, name, quoted: false, .. }
        if name.eq_ignore_ascii_case("true") || name.eq_ignore_ascii_case("false"))
}

fn row_comparisons(left: &Expr, right: &Expr, width: usize) -> Vec<Comparison> {
    let part = |e: &Expr, n: usize| match e {
        Expr::Row(items) => (affinity_of(&items[n]), collation_rank(&items[n])),
        Expr::RowSelect(sub) => {
            let column = &sub.plan.columns[n];
            (column.affinity, column.collated.then_some((false, column.collation)))
        }
        other => (affinity_of(other), collation_rank(other)),
    };
    (0..width)
        .map(|n| {
            let ((la, lc), (ra, rc)) = (part(left, n), part(right, n));
            let collation = match (lc, rc) {
                (Some((true, c)), _) | (_, Some((true, c))) => c,
                (Some((_, c)), _) | (None, Some((_, c))) => c,
                _ => Collation::Binary,
            };
            Comparison { affinity: Affinity::of_comparison(la, ra), collation }
        })
        .collect()
}

/// `SELECT * FROM name`
fn select_all(name: &ast::QualifiedName) -> ast::Select {
    let item = ast::FromItem {
        source: ast::FromSource::Table(name.clone()),
        alias: None,
        join: ast::JoinKind::default(),
        on: None,
        using: vec![],
        indexed: None,
    };
    let query = ast::Query {
        columns: vec![ast::ResultColumn::Star],
        from: vec![item],
        ..ast::Query::default()
    };
    ast::Select {
        with: None,
        first: ast::SelectCore::Query(Box::new(query)),
        rest: vec![],
        order_by: vec![],
        limit: None,
        offset: None,
    }
}

/// Moves every reference of an expression `by` frames further up.
fn shift_up(expr: &mut Expr, by: u16) {
    match expr {
        Expr::Column(column) => column.up += by,
        Expr::Reg { up, .. } => *up += by,
        Expr::Const(_) | Expr::Param(_) => {}
        Expr::Minus(e)
        | Expr::Plus(e)
        | Expr::BitNot(e)
        | Expr::Not(e)
        | Expr::IsNull(e)
        | Expr::NotNull(e)
        | Expr::Cast(e, _)
        | Expr::Convert(e, _)
        | Expr::Collate(e, _) => shift_up(e, by),
        Expr::And(l, r)
        | Expr::Or(l, r)
        | Expr::Compare(_, l, r, _)
        | Expr::Arith(_, l, r)
        | Expr::Concat(l, r) => {
            shift_up(l, by);
            shift_up(r, by);
        }
        Expr::RowCompare { left, right, .. } => {
            shift_up(left, by);
            shift_up(right, by);
        }
        Expr::InList { value, list, .. } => {
            shift_up(value, by);
            list.iter_mut().for_each(|e| shift_up(e, by));
        }
        Expr::Call { args, .. } | Expr::Coalesce(args) | Expr::Row(args) => {
            args.iter_mut().for_each(|e| shift_up(e, by));
        }
        Expr::Case { whens, otherwise } => {
            for (when, then) in whens {
                shift_up(when, by);
                shift_up(then, by);
            }
            otherwise.iter_mut().for_each(|e| shift_up(e, by));
        }
        Expr::CaseOf { operand, whens, otherwise } => {
            shift_up(operand, by);
            for (when, then, _) in whens {
                shift_up(when, by);
                shift_up(then, by);
            }
            otherwise.iter_mut().for_each(|e| shift_up(e, by));
        }
        // Expressions with subqueries are not flattened: see `from::flattens`.
        Expr::InSelect { .. }
        | Expr::Exists(_)
        | Expr::Scalar(_)
        | Expr::RowSelect(_)
        | Expr::RowField(..)
        | Expr::Raise(..) => {}
    }
}
