//! SLOWLOG: the commands that took long.

use std::collections::VecDeque;
use std::sync::PoisonError;

use box_wire::resp::Args;

use super::{Ctx, Done, parse};

/// Arguments of a slow command that are kept, and bytes of each.
const ARGS_MAX: usize = 32;
const ARG_BYTES_MAX: usize = 128;

/// A slow command.
pub struct Slow {
    id: u64,
    at_s: i64,
    us: u64,
    args: Vec<Vec<u8>>,
    addr: String,
    name: String,
}

/// The slow commands, newest first.
#[derive(Default)]
pub struct Slowlog {
    entries: VecDeque<Slow>,
    next: u64,
}

fn shortened(args: Args<'_>) -> Vec<Vec<u8>> {
    let shown = if args.len() > ARGS_MAX { ARGS_MAX - 1 } else { args.len() };
    let mut kept: Vec<Vec<u8>> = args
        .iter()
        .take(shown)
        .map(|arg| match arg.len().checked_sub(ARG_BYTES_MAX) {
            Some(more) if more > 0 => {
                let mut text = arg[..ARG_BYTES_MAX].to_vec();
                text.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
                text
            }
            _ => arg.to_vec(),
        })
        .collect();
    if args.len() > ARGS_MAX {
        kept.push(format!("... ({} more arguments)", args.len() - shown).into_bytes());
    }
    kept
}

impl Slowlog {
    /// Adds a command.
    pub fn add(&mut self, args: Args<'_>, us: u64, at_s: i64, client: (String, String), most: usize) {
        let (addr, name) = client;
        self.entries.push_front(Slow { id: self.next, at_s, us, args: shortened(args), addr, name });
        self.next += 1;
        self.entries.truncate(most);
    }
}

fn log<'a>(ctx: &Ctx<'a>) -> std::sync::MutexGuard<'a, Slowlog> {
    ctx.server.slowlog.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `SLOWLOG GET [count]`
pub fn get(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let count = match args.get(2) {
        None => 10,
        Some(text) => {
            parse::int_in(text, -1, i64::MAX, "ERR count should be greater than or equal to -1")?
        }
    };
    let log = log(ctx);
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(log.entries.len());
    ctx.out.array(count);
    for slow in log.entries.iter().take(count) {
        ctx.out.array(6);
        ctx.out.int(slow.id as i64);
        ctx.out.int(slow.at_s);
        ctx.out.int(slow.us as i64);
        ctx.out.array(slow.args.len());
        slow.args.iter().for_each(|arg| ctx.out.bulk(arg));
        ctx.out.bulk(slow.addr.as_bytes());
        ctx.out.bulk(slow.name.as_bytes());
    }
    Ok(())
}

/// `SLOWLOG LEN`
pub fn len(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let len = log(ctx).entries.len();
    ctx.out.count(len);
    Ok(())
}

/// `SLOWLOG RESET`
pub fn reset(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    log(ctx).entries.clear();
    ctx.out.ok();
    Ok(())
}

/// `SLOWLOG HELP`
pub fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "SLOWLOG",
        &[
            "GET [<count>]",
            "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
            "    Entries are made of:",
            "    id, timestamp, time in microseconds, arguments array, client IP and port,",
            "    client name",
            "LEN",
            "    Return the length of the slowlog.",
            "RESET",
            "    Reset the slowlog.",
        ],
    );
    Ok(())
}
