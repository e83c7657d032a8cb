//! Functions of any type: typeof, min, max, nullif, random, changes and their kin.

use super::{Context, Scalar};
use crate::error::{Error, Result};
use crate::value::{Owned, Value};

const MANY: usize = 1000;

pub(super) static FUNCTIONS: &[Scalar] = &[
    Scalar { name: "typeof", min_args: 1, max_args: 1, code: type_of, pure: true },
    Scalar { name: "abs", min_args: 1, max_args: 1, code: abs, pure: true },
    Scalar { name: "max", min_args: 2, max_args: MANY, code: max, pure: true },
    Scalar { name: "min", min_args: 2, max_args: MANY, code: min, pure: true },
    Scalar { name: "nullif", min_args: 2, max_args: 2, code: nullif, pure: true },
    Scalar { name: "likely", min_args: 1, max_args: 1, code: same, pure: true },
    Scalar { name: "unlikely", min_args: 1, max_args: 1, code: same, pure: true },
    Scalar { name: "likelihood", min_args: 2, max_args: 2, code: same, pure: true },
    Scalar { name: "random", min_args: 0, max_args: 0, code: random, pure: false },
    Scalar { name: "randomblob", min_args: 1, max_args: 1, code: randomblob, pure: false },
    Scalar { name: "zeroblob", min_args: 1, max_args: 1, code: zeroblob, pure: true },
    Scalar { name: "changes", min_args: 0, max_args: 0, code: changes, pure: false },
    Scalar { name: "total_changes", min_args: 0, max_args: 0, code: total_changes, pure: false },
    Scalar { name: "last_insert_rowid", min_args: 0, max_args: 0, code: last_rowid, pure: false },
    Scalar { name: "sqlite_version", min_args: 0, max_args: 0, code: version, pure: true },
    Scalar { name: "sqlite_source_id", min_args: 0, max_args: 0, code: source_id, pure: true },
    Scalar {
        name: "sqlite_compileoption_used",
        min_args: 1,
        max_args: 1,
        code: option_used,
        pure: true,
    },
    Scalar { name: "sqlite_compileoption_get", min_args: 1, max_args: 1, code: option, pure: true },
    Scalar { name: "load_extension", min_args: 1, max_args: 2, code: load_extension, pure: false },
    Scalar { name: "match", min_args: 2, max_args: 2, code: no_match, pure: true },
    Scalar { name: "subtype", min_args: 1, max_args: 1, code: subtype, pure: true },
];

/// The version of SQLite whose dialect, file format and shell are spoken.
pub const SQLITE_VERSION: &str = "3.54.1";

fn type_of(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::text(args[0].type_name()))
}

fn abs(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(match &args[0] {
        Value::Null => Value::Null,
        Value::Int(v) => Value::Int(v.checked_abs().ok_or_else(|| Error::new("integer overflow"))?),
        other => Value::Real(other.to_real().abs()),
    })
}

fn max(context: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    extreme(context, args, std::cmp::Ordering::Greater)
}

fn min(context: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    extreme(context, args, std::cmp::Ordering::Less)
}

fn extreme(context: &Context<'_>, args: &[Value<'_>], wanted: std::cmp::Ordering) -> Result<Owned> {
    let mut best = &args[0];
    for arg in args {
        if arg.is_null() {
            return Ok(Value::Null);
        }
        if arg.compare(best, context.collation) == wanted {
            best = arg;
        }
    }
    Ok(best.clone().into_owned())
}

fn nullif(context: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    if !args[0].is_null() && args[0].compare(&args[1], context.collation).is_eq() {
        return Ok(Value::Null);
    }
    Ok(args[0].clone().into_owned())
}

fn same(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(args[0].clone().into_owned())
}

fn random(context: &Context<'_>, _: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::Int(context.exec.connection.random()))
}

fn randomblob(context: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let len = args[0].to_int().max(1) as usize;
    crate::value::check_length(len)?;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&context.exec.connection.random().to_ne_bytes());
    }
    bytes.truncate(len);
    Ok(Value::blob(bytes))
}

fn zeroblob(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let len = args[0].to_int().max(0) as usize;
    crate::value::check_length(len)?;
    Ok(Value::blob(vec![0; len]))
}

fn changes(context: &Context<'_>, _: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::Int(context.exec.connection.changes.get()))
}

fn total_changes(context: &Context<'_>, _: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::Int(context.exec.connection.total_changes.get()))
}

fn last_rowid(context: &Context<'_>, _: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::Int(context.exec.connection.last_rowid.get()))
}

fn version(_: &Context<'_>, _: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::text(SQLITE_VERSION))
}

fn source_id(_: &Context<'_>, _: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::text(concat!("box sql ", env!("CARGO_PKG_VERSION"))))
}

/// What SQLite would call the options that this engine is built with.
pub static COMPILE_OPTIONS: &[&str] = &[
    "ENABLE_MATH_FUNCTIONS",
    "ENABLE_PERCENTILE",
    "MAX_ATTACHED=10",
    "MAX_COLUMN=2000",
    "MAX_COMPOUND_SELECT=500",
    "MAX_EXPR_DEPTH=1000",
    "MAX_LENGTH=1000000000",
    "MAX_LIKE_PATTERN_LENGTH=50000",
    "MAX_TRIGGER_DEPTH=1000",
    "MAX_VARIABLE_NUMBER=32766",
    "OMIT_LOAD_EXTENSION",
    "OMIT_SHARED_CACHE",
    "SOUNDEX",
    "TEMP_STORE=1",
    "THREADSAFE=1",
];

fn option_used(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let Some(name) = args[0].to_bytes() else { return Ok(Value::Null) };
    let name = String::from_utf8_lossy(&name).to_ascii_uppercase();
    let name = name.strip_prefix("SQLITE_").unwrap_or(&name);
    let used = COMPILE_OPTIONS.iter().any(|option| {
        option.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    });
    Ok(Value::bool(used))
}

fn option(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let option = usize::try_from(args[0].to_int()).ok().and_then(|n| COMPILE_OPTIONS.get(n));
    Ok(option.map_or(Value::Null, |option| Value::text(*option)))
}

/// The subtype of JSON, which the compiler hands over as JSONB.
fn subtype(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(Value::Int(if matches!(args[0], Value::Blob(_)) { 74 } else { 0 }))
}

fn load_extension(_: &Context<'_>, _: &[Value<'_>]) -> Result<Owned> {
    Err(Error::new("not authorized"))
}

fn no_match(_: &Context<'_>, _: &[Value<'_>]) -> Result<Owned> {
    Err(Error::new("unable to use function MATCH in the requested context"))
}
