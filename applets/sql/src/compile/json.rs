//! JSON in the arguments of JSON functions. SQLite marks a value as JSON while it runs; here the
//! compiler sees where JSON comes from, and has the argument computed as JSONB instead, which is
//! told from text by its type. As in SQLite since 3.45 the result of a subquery is text.

use super::Compiler;
use crate::ast;
use crate::func::{self, Found, json_as_blob};
use crate::plan::{Expr, SourceKind};

/// A call whose arguments give JSONB where they gave JSON text.
pub(super) fn with_blob_args(call: &ast::Call) -> ast::Call {
    let mut call = call.clone();
    call.args.iter_mut().for_each(to_blob);
    call
}

fn to_blob(expr: &mut ast::Expr) {
    match expr {
        ast::Expr::Call(call) => match json_as_blob(&call.name) {
            Some(name) => call.name = name.as_str().into(),
            None if ["coalesce", "ifnull", "iif", "if", "likely", "unlikely"]
                .iter()
                .any(|name| call.name.eq_ignore_ascii_case(name)) =>
            {
                call.args.iter_mut().for_each(to_blob);
            }
            None => {}
        },
        ast::Expr::Case { whens, otherwise, .. } => {
            whens.iter_mut().for_each(|(_, then)| to_blob(then));
            otherwise.iter_mut().for_each(|expr| to_blob(expr));
        }
        _ => {}
    }
}

impl Compiler<'_> {
    /// A bound argument that gives JSONB where it gave JSON text: what stands behind the columns of
    /// a flattened subquery is seen here only.
    pub(super) fn blob_arg(&self, expr: Expr) -> Expr {
        match expr {
            Expr::Call { function, args, collation } => {
                let name = json_as_blob(function.name);
                let blob = name.map(|name| func::scalar(&name, args.len()));
                let function = match blob {
                    Some(Found::Function(blob)) => blob,
                    _ => function,
                };
                Expr::Call { function, args, collation }
            }
            Expr::Coalesce(args) => {
                Expr::Coalesce(args.into_iter().map(|arg| self.blob_arg(arg)).collect())
            }
            Expr::Case { whens, otherwise } => Expr::Case {
                whens: whens.into_iter().map(|(when, then)| (when, self.blob_arg(then))).collect(),
                otherwise: otherwise.map(|expr| Box::new(self.blob_arg(*expr))),
            },
            Expr::Column(mut column) => {
                if column.col == func::json_table::VALUE
                    && self.is_json_table(column.up, column.slot)
                {
                    column.col = func::json_table::VALUE_BLOB;
                }
                Expr::Column(column)
            }
            other => other,
        }
    }

    fn is_json_table(&self, up: u16, slot: u16) -> bool {
        let frame = self.frames.len().checked_sub(1 + up as usize).map(|at| &self.frames[at]);
        let source = frame.and_then(|frame| frame.sources.get(slot as usize));
        matches!(source.map(|source| &source.kind), Some(SourceKind::Function { function, .. })
            if function.columns == func::json_table::COLUMNS)
    }
}
