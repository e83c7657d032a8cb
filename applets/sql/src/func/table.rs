//! Table-valued functions.

use super::{TableFn, json_table};
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::value::{Owned, Value};

pub static TABLE_FUNCTIONS: &[TableFn] = &[
    TableFn {
        name: "generate_series",
        columns: &["value"],
        hidden: &["start", "stop", "step"],
        rows: generate_series,
    },
    TableFn {
        name: "json_each",
        columns: json_table::COLUMNS,
        hidden: &["json", "root"],
        rows: |exec, args| json_table::rows(exec, args, false, false),
    },
    TableFn {
        name: "json_tree",
        columns: json_table::COLUMNS,
        hidden: &["json", "root"],
        rows: |exec, args| json_table::rows(exec, args, true, false),
    },
    TableFn {
        name: "jsonb_each",
        columns: json_table::COLUMNS,
        hidden: &["json", "root"],
        rows: |exec, args| json_table::rows(exec, args, false, true),
    },
    TableFn {
        name: "jsonb_tree",
        columns: json_table::COLUMNS,
        hidden: &["json", "root"],
        rows: |exec, args| json_table::rows(exec, args, true, true),
    },
    TableFn {
        name: "pragma_table_info",
        columns: &["cid", "name", "type", "notnull", "dflt_value", "pk"],
        hidden: &["arg", "schema"],
        rows: |exec, args| pragma(exec, "table_info", args),
    },
    TableFn {
        name: "pragma_table_xinfo",
        columns: &["cid", "name", "type", "notnull", "dflt_value", "pk", "hidden"],
        hidden: &["arg", "schema"],
        rows: |exec, args| pragma(exec, "table_xinfo", args),
    },
    TableFn {
        name: "pragma_index_list",
        columns: &["seq", "name", "unique", "origin", "partial"],
        hidden: &["arg", "schema"],
        rows: |exec, args| pragma(exec, "index_list", args),
    },
    TableFn {
        name: "pragma_index_info",
        columns: &["seqno", "cid", "name"],
        hidden: &["arg", "schema"],
        rows: |exec, args| pragma(exec, "index_info", args),
    },
    TableFn {
        name: "pragma_foreign_key_list",
        columns: &["id", "seq", "table", "from", "to", "on_update", "on_delete", "match"],
        hidden: &["arg", "schema"],
        rows: |exec, args| pragma(exec, "foreign_key_list", args),
    },
    TableFn {
        name: "pragma_database_list",
        columns: &["seq", "name", "file"],
        hidden: &["arg", "schema"],
        rows: |exec, args| pragma(exec, "database_list", args),
    },
    TableFn {
        name: "pragma_user_version",
        columns: &["user_version"],
        hidden: &["arg", "schema"],
        rows: |exec, args| pragma(exec, "user_version", args),
    },
    TableFn {
        name: "pragma_integrity_check",
        columns: &["integrity_check"],
        hidden: &["arg", "schema"],
        rows: |exec, args| pragma(exec, "integrity_check", args),
    },
];

fn pragma(exec: &Exec<'_>, name: &str, args: &[Owned]) -> Result<Vec<Vec<Owned>>> {
    let value = args.first().filter(|arg| !arg.is_null()).map(|arg| arg.to_text().into_owned());
    let schema = args.get(1).filter(|arg| !arg.is_null()).map(|arg| arg.to_text().into_owned());
    let schema = schema.map(|schema| String::from_utf8_lossy(&schema).into_owned());
    Ok(crate::pragma::run(exec, schema.as_deref(), name, value.as_deref())?.rows)
}

/// The most rows that a series may have before it is refused as a mistake.
const MAX_SERIES: i64 = 100_000_000;

fn generate_series(_: &Exec<'_>, args: &[Owned]) -> Result<Vec<Vec<Owned>>> {
    if args.iter().any(Value::is_null) {
        return Ok(vec![]);
    }
    let at = |n: usize, otherwise: i64| args.get(n).map_or(otherwise, Value::to_int);
    let (start, stop) = (at(0, 0), at(1, 0xffff_ffff));
    let step = match at(2, 1) {
        0 => 1,
        step => step,
    };
    if (stop.saturating_sub(start) / step) > MAX_SERIES {
        return Err(Error::new("generate_series: too many rows"));
    }
    let mut rows = Vec::new();
    let mut value = start;
    while if step > 0 { value <= stop } else { value >= stop } {
        rows.push(vec![Value::Int(value), Value::Int(start), Value::Int(stop), Value::Int(step)]);
        let Some(next) = value.checked_add(step) else { break };
        value = next;
    }
    Ok(rows)
}
