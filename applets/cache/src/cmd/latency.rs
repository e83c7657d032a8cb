//! LATENCY: events of the server that took long. Nothing is sampled by this server, so that the
//! histories are empty; the histogram comes from the counters of the commands.

use box_wire::resp::Args;

use super::table;
use super::{Ctx, Done};

/// `LATENCY LATEST`
pub fn latest(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.array(0);
    Ok(())
}

/// `LATENCY HISTORY event`
pub fn history(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.array(0);
    Ok(())
}

/// `LATENCY RESET [event ...]`
pub fn reset(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.int(0);
    Ok(())
}

/// `LATENCY GRAPH event`
pub fn graph(_: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let event = String::from_utf8_lossy(args.at(2)).into_owned();
    Err(super::Error::made(format!("ERR No samples available for event '{event}'")))
}

/// `LATENCY DOCTOR`
pub fn doctor(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.verbatim(b"No latency spike has been observed during the lifetime of this server.\n");
    Ok(())
}

/// `LATENCY HISTOGRAM [command ...]`
pub fn histogram(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let sums: Vec<(usize, u64)> = (0..table::count())
        .map(|number| (number, ctx.server.sum(|stats| stats.by_command[number].calls.load())))
        .filter(|(number, calls)| {
            let name = table::full_name(*number).as_bytes();
            *calls > 0
                && (args.len() == 2 || args.from(2).iter().any(|word| word.eq_ignore_ascii_case(name)))
        })
        .collect();
    ctx.out.map(sums.len());
    for (number, calls) in sums {
        let ns = ctx.server.sum(|stats| stats.by_command[number].ns.load());
        ctx.out.bulk(table::full_name(number).as_bytes());
        ctx.out.map(2);
        ctx.out.bulk(b"calls");
        ctx.out.int(calls as i64);
        ctx.out.bulk(b"histogram_usec");
        ctx.out.map(1);
        ctx.out.int((ns / calls / 1000).next_power_of_two() as i64);
        ctx.out.int(calls as i64);
    }
    Ok(())
}

/// `LATENCY HELP`
pub fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help("LATENCY", &["HISTOGRAM [COMMAND ...]", "    Return latency of commands."]);
    Ok(())
}
