//! COMMAND DOCS: what commands do.

use box_wire::resp::Args;

use super::reply::Out;
use super::table::{self, Command};
use super::{Ctx, Done};

/// `COMMAND DOCS [name ...]`
pub fn docs(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let rows = table::rows();
    let wanted: Vec<_> = if args.len() == 2 {
        rows.iter().filter(|row| row.parent.is_none()).collect()
    } else {
        let numbers = args.from(2).iter().filter_map(table::by_full_name);
        numbers.map(|number| &rows[number]).collect()
    };
    ctx.out.map(wanted.len());
    for row in wanted {
        ctx.out.bulk(row.name.as_bytes());
        describe(ctx.out, row.command, &row.name);
    }
    Ok(())
}

fn describe(out: &mut Out, command: &Command, name: &str) {
    let has_complexity = !command.complexity.is_empty();
    let has_subs = !command.subs.is_empty();
    out.map(3 + usize::from(has_complexity) + usize::from(has_subs));
    let mut pair = |key: &str, value: &str| {
        out.bulk(key.as_bytes());
        out.bulk(value.as_bytes());
    };
    pair("summary", command.summary);
    pair("since", command.since);
    pair("group", command.group);
    if has_complexity {
        pair("complexity", command.complexity);
    }
    if has_subs {
        out.bulk(b"subcommands");
        out.map(command.subs.len());
        for sub in command.subs {
            let name = format!("{name}|{}", sub.name);
            out.bulk(name.as_bytes());
            describe(out, sub, &name);
        }
    }
}
