//! LATENCY: what took long, and how long commands take.

use std::fmt::Write as _;

use box_wire::resp::Args;

use super::table;
use super::{Ctx, Done, Error};
use crate::server::histogram::Sum;
use crate::server::latency::Series;

/// Columns of a graph.
const GRAPH_COLUMNS: usize = 80;
const GRAPH_ROWS: u64 = 4;

/// `LATENCY LATEST`
pub fn latest(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let all = ctx.server.latency.all();
    ctx.out.array(all.len());
    for (name, series) in all {
        let (at, ms) = series.samples.back().copied().unwrap_or_default();
        ctx.out.array(4);
        ctx.out.bulk(name.as_bytes());
        ctx.out.int(at);
        ctx.out.int(ms as i64);
        ctx.out.int(series.max_ms as i64);
    }
    Ok(())
}

fn series(ctx: &Ctx<'_>, name: &[u8]) -> Option<Series> {
    let all = ctx.server.latency.all();
    all.into_iter().find(|(known, _)| known.as_bytes() == name).map(|(_, series)| series)
}

/// `LATENCY HISTORY event`
pub fn history(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let samples = series(ctx, args.at(2)).unwrap_or_default().samples;
    ctx.out.array(samples.len());
    for (at, ms) in samples {
        ctx.out.array(2);
        ctx.out.int(at);
        ctx.out.int(ms as i64);
    }
    Ok(())
}

/// `LATENCY RESET [event ...]`
pub fn reset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let wanted = |name: &str| {
        args.len() == 2
            || args.from(2).iter().any(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    let count = ctx.server.latency.reset(wanted);
    ctx.out.count(count);
    Ok(())
}

/// `LATENCY GRAPH event`
pub fn graph(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let name = String::from_utf8_lossy(args.at(2)).into_owned();
    let series = series(ctx, args.at(2))
        .ok_or_else(|| Error::made(format!("ERR No samples available for event '{name}'")))?;
    let text = drawing(&name, &series, ctx.db.now / 1000);
    ctx.out.verbatim(text.as_bytes());
    Ok(())
}

fn drawing(name: &str, series: &Series, now_s: i64) -> String {
    let skip = series.samples.len().saturating_sub(GRAPH_COLUMNS);
    let shown: Vec<(i64, u64)> = series.samples.iter().skip(skip).copied().collect();
    let high = shown.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
    let low = shown.iter().map(|(_, ms)| *ms).min().unwrap_or(0);
    let mut text = format!(
        "{name} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        series.max_ms,
        "-".repeat(GRAPH_COLUMNS)
    );
    let height = |ms: u64| {
        if high == low { 1 } else { 1 + (ms - low) * (GRAPH_ROWS * 2 - 1) / (high - low) }
    };
    for row in (0..GRAPH_ROWS).rev() {
        let line: String = shown
            .iter()
            .map(|(_, ms)| match height(*ms).saturating_sub(row * 2) {
                0 => ' ',
                1 => '_',
                _ => '#',
            })
            .collect();
        let _ = writeln!(text, "{}", line.trim_end());
    }
    // How long ago each was, read from top to bottom.
    let ages: Vec<String> = shown.iter().map(|(at, _)| age(now_s - at)).collect();
    let rows = ages.iter().map(String::len).max().unwrap_or(0);
    text.push('\n');
    for row in 0..rows {
        let line: String = ages
            .iter()
            .map(|age| age.as_bytes().get(row).map_or(' ', |b| char::from(*b)))
            .collect();
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `LATENCY DOCTOR`
pub fn doctor(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let mut text = String::new();
    let all = ctx.server.latency.all();
    if ctx.config.int("latency-monitor-threshold") == 0 {
        text.push_str(
            "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis \
             instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in \
             order to enable it.\n",
        );
    } else if all.is_empty() {
        text.push_str("Dave, no latency spike was observed during the lifetime of this server.\n");
    } else {
        text.push_str("Dave, I have observed latency spikes in this server:\n\n");
        for (number, (name, series)) in all.iter().enumerate() {
            let count = series.samples.len() as u64;
            let sum: u64 = series.samples.iter().map(|(_, ms)| ms).sum();
            let _ = writeln!(
                text,
                "{}. {name}: {count} latency spikes (average {}ms). Worst all time event {}ms.",
                number + 1,
                sum / count.max(1),
                series.max_ms
            );
        }
        text.push_str(
            "\n- Check your Slow Log to understand what are the commands you are running which are \
             too slow to execute.\n",
        );
    }
    ctx.out.verbatim(text.as_bytes());
    Ok(())
}

/// `LATENCY HISTOGRAM [command ...]`
pub fn histogram(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let wanted = |number: usize| {
        let own = table::full_name(number).as_bytes();
        let parent = own.split(|byte| *byte == b'|').next().unwrap_or_default();
        let named =
            |word: &[u8]| word.eq_ignore_ascii_case(own) || word.eq_ignore_ascii_case(parent);
        args.len() == 2 || args.from(2).iter().any(named)
    };
    let sums: Vec<(usize, Sum)> = (0..table::count())
        .filter(|number| wanted(*number))
        .map(|number| (number, ctx.server.times_of(number)))
        .filter(|(_, sum)| sum.count() > 0)
        .collect();
    ctx.out.map(sums.len());
    for (number, sum) in sums {
        ctx.out.bulk(table::full_name(number).as_bytes());
        ctx.out.map(2);
        ctx.out.bulk(b"calls");
        ctx.out.int(sum.count() as i64);
        ctx.out.bulk(b"histogram_usec");
        let powers = sum.powers();
        ctx.out.map(powers.len());
        for (ns, seen) in powers {
            // The incumbents' buckets end a hundred-and-twenty-eighth above the power of two.
            ctx.out.int((ns + ns / 128 - 1) as i64 / 1000);
            ctx.out.int(seen as i64);
        }
    }
    Ok(())
}

/// `LATENCY HELP`
pub fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "LATENCY",
        &[
            "DOCTOR",
            "    Return a human readable latency analysis report.",
            "GRAPH <event>",
            "    Return an ASCII latency graph for the <event> class.",
            "HISTORY <event>",
            "    Return time-latency samples for the <event> class.",
            "LATEST",
            "    Return the latest latency samples for all events.",
            "RESET [<event> ...]",
            "    Reset latency data of one or more <event> classes.",
            "    (default: reset all data for all event classes)",
            "HISTOGRAM [COMMAND ...]",
            "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
            "    If no commands are specified then all histograms are replied.",
        ],
    );
    Ok(())
}
