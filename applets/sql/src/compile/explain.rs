//! EXPLAIN QUERY PLAN: a plan as SQLite words it.

use crate::ast::CompoundOp;
use crate::collate::Collation;
use crate::plan::{
    Access, Body, Expr, InTerm, IndexAccess, Level, Output, Query, Select, Source, SourceKind,
    SubPlan,
};
use crate::schema::{IndexPart, Table};
use crate::value::Affinity;

/// A line: number, number of its parent, text.
pub type Line = (i64, i64, String);

/// A result column by its name alone.
pub fn column(name: &str) -> Output {
    Output {
        name: name.into(),
        affinity: Affinity::None,
        collation: Collation::Binary,
        collated: false,
        type_name: None,
    }
}

/// The columns of the result.
pub fn columns() -> Vec<Output> {
    ["id", "parent", "notused", "detail"].into_iter().map(column).collect()
}

/// The lines of a plan.
pub fn lines(plan: &Select) -> Vec<Line> {
    let mut tree = Tree { lines: vec![], next: 1, subqueries: 0 };
    tree.select(plan, 0);
    tree.lines
}

struct Tree {
    lines: Vec<Line>,
    next: i64,
    subqueries: usize,
}

impl Tree {
    fn line(&mut self, parent: i64, text: impl Into<String>) -> i64 {
        self.next += 1;
        self.lines.push((self.next, parent, text.into()));
        self.next
    }

    fn select(&mut self, plan: &Select, parent: i64) {
        match &plan.body {
            Body::Query(query) => self.query(query, parent),
            Body::Values(rows) if rows.len() == 1 => {
                self.line(parent, "SCAN CONSTANT ROW");
            }
            Body::Values(rows) => {
                self.line(parent, format!("SCAN {} CONSTANT ROWS", rows.len()));
            }
            Body::Compound { first, rest, order } => {
                let compound = self.line(parent, "COMPOUND QUERY");
                let left = self.line(compound, "LEFT-MOST SUBQUERY");
                self.select(first, left);
                for (op, arm) in rest {
                    let text = match op {
                        CompoundOp::UnionAll => "UNION ALL",
                        CompoundOp::Union => "UNION USING TEMP B-TREE",
                        CompoundOp::Except => "EXCEPT USING TEMP B-TREE",
                        CompoundOp::Intersect => "INTERSECT USING TEMP B-TREE",
                    };
                    let line = self.line(compound, text);
                    self.select(arm, line);
                }
                if !order.is_empty() {
                    self.line(parent, "USE TEMP B-TREE FOR ORDER BY");
                }
            }
            Body::Recursive(plan) => {
                let setup = self.line(parent, "SETUP");
                for (_, arm) in &plan.first {
                    self.select(arm, setup);
                }
                let step = self.line(parent, "RECURSIVE STEP");
                for (_, arm) in &plan.steps {
                    self.select(arm, step);
                }
            }
        }
    }

    fn query(&mut self, query: &Query, parent: i64) {
        if query.levels.is_empty() {
            self.line(parent, "SCAN CONSTANT ROW");
        }
        for level in &query.levels {
            let source = &query.sources[level.slot];
            if let SourceKind::Select { plan, .. } = &source.kind {
                let word = if level.slot == query.levels[0].slot { "CO-ROUTINE" } else { "MATERIALIZE" };
                let name = self.source_name(source);
                let inner = self.line(parent, format!("{word} {name}"));
                self.select(plan, inner);
            }
        }
        for level in &query.levels {
            let source = &query.sources[level.slot];
            let text = self.access(source, level);
            self.line(parent, text);
        }
        let exprs = query
            .levels
            .iter()
            .flat_map(|level| level.on.iter().chain(&level.filters))
            .chain(&query.constant_terms)
            .chain(&query.outputs);
        for expr in exprs {
            self.subqueries(expr, parent);
        }
        if let Some(aggregate) = &query.aggregate
            && !aggregate.groups.is_empty()
        {
            self.line(parent, "USE TEMP B-TREE FOR GROUP BY");
        }
        if query.distinct.is_some() {
            self.line(parent, "USE TEMP B-TREE FOR DISTINCT");
        }
        if !query.order.is_empty() && !query.ordered {
            self.line(parent, "USE TEMP B-TREE FOR ORDER BY");
        }
    }

    fn source_name(&mut self, source: &Source) -> String {
        if !source.name.is_empty() {
            return source.name.to_string();
        }
        self.subqueries += 1;
        format!("(subquery-{})", self.subqueries)
    }

    fn subqueries(&mut self, expr: &Expr, parent: i64) {
        if let Some(sub) = super::walk::subplan(expr) {
            self.subquery(sub, expr, parent);
        }
        let mut parts = Vec::new();
        super::children(expr, &mut |child| parts.push(child));
        for part in parts {
            self.subqueries(part, parent);
        }
    }

    fn subquery(&mut self, sub: &SubPlan, expr: &Expr, parent: i64) {
        self.subqueries += 1;
        let kind = match expr {
            Expr::InSelect { .. } => "LIST SUBQUERY",
            _ => "SCALAR SUBQUERY",
        };
        let correlated = if sub.plan.reach > 0 { "CORRELATED " } else { "" };
        let line = self.line(parent, format!("{correlated}{kind} {}", self.subqueries));
        self.select(&sub.plan, line);
    }

    fn access(&mut self, source: &Source, level: &Level) -> String {
        let name = if source.name.is_empty() {
            format!("(subquery-{})", self.subqueries.max(1))
        } else {
            source.name.to_string()
        };
        let left = if level.left { " LEFT-JOIN" } else { "" };
        let text = match (&source.kind, &level.access) {
            (SourceKind::Table(table), Access::Index(access)) => index_text(&name, table, access),
            (_, Access::RowidEq(_)) => {
                format!("SEARCH {name} USING INTEGER PRIMARY KEY (rowid=?)")
            }
            (_, Access::RowidIn(_)) => {
                format!("SEARCH {name} USING INTEGER PRIMARY KEY (rowid=?)")
            }
            (_, Access::RowidRange { low, high, .. }) => {
                let mut terms = Vec::new();
                if low.is_some() {
                    terms.push("rowid>?");
                }
                if high.is_some() {
                    terms.push("rowid<?");
                }
                format!("SEARCH {name} USING INTEGER PRIMARY KEY ({})", terms.join(" AND "))
            }
            (_, Access::Hash { keys }) => {
                let terms: Vec<&str> = keys.iter().map(|_| "?=?").collect();
                format!("HASH JOIN {name} ({})", terms.join(" AND "))
            }
            (SourceKind::Function { .. }, _) => format!("SCAN {name} VIRTUAL TABLE INDEX 0:"),
            _ => format!("SCAN {name}"),
        };
        text + left
    }
}

fn index_text(name: &str, table: &Table, access: &IndexAccess) -> String {
    let index = &access.index;
    let part = |n: usize| match &index.columns[n].part {
        IndexPart::Column(at) => table.columns[*at].name.to_string(),
        IndexPart::Rowid => "rowid".to_owned(),
        IndexPart::Expr(_) => "<expr>".to_owned(),
    };
    let mut terms = Vec::new();
    let mut at = access.equal.len();
    for n in 0..at {
        terms.push(format!("{}=?", part(n)));
    }
    if let Some(within) = &access.within {
        let _: &InTerm = within;
        terms.push(format!("{}=?", part(at)));
        at += 1;
    }
    if access.low.is_some() {
        terms.push(format!("{}>?", part(at)));
    }
    if access.high.is_some() {
        terms.push(format!("{}<?", part(at)));
    }
    let verb = if terms.is_empty() { "SCAN" } else { "SEARCH" };
    let tree = table.primary.as_ref().is_some_and(|primary| primary.name == index.name);
    let using = if tree {
        " USING PRIMARY KEY".to_owned()
    } else if access.covering {
        format!(" USING COVERING INDEX {}", index.name)
    } else {
        format!(" USING INDEX {}", index.name)
    };
    if terms.is_empty() {
        return if tree { format!("SCAN {name}") } else { format!("{verb} {name}{using}") };
    }
    format!("{verb} {name}{using} ({})", terms.join(" AND "))
}
