//! When keys end.

use box_wire::resp::Args;

use super::db::{Expiry, event};
use super::{Ctx, Done, Error, is, parse};

#[derive(Clone, Copy, Default)]
struct Only {
    without: bool,
    with: bool,
    later: bool,
    sooner: bool,
}

fn options(args: Args<'_>) -> Result<Only, Error> {
    let mut only = Only::default();
    for word in args.from(3).iter() {
        match word {
            _ if is(word, "nx") => only.without = true,
            _ if is(word, "xx") => only.with = true,
            _ if is(word, "gt") => only.later = true,
            _ if is(word, "lt") => only.sooner = true,
            _ => {
                let word = String::from_utf8_lossy(word);
                return Err(Error::made(format!("ERR Unsupported option {word}")));
            }
        }
    }
    if only.without && (only.with || only.later || only.sooner) {
        return Err(Error::fixed(
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        ));
    }
    if only.later && only.sooner {
        return Err(Error::fixed("ERR GT and LT options at the same time are not compatible"));
    }
    Ok(only)
}

fn set(ctx: &mut Ctx<'_>, args: Args<'_>, seconds: bool, base: i64, name: &str) -> Done {
    let key = args.at(1);
    let only = options(args)?;
    let value = parse::int(args.at(2))?;
    let invalid = || Error::made(format!("ERR invalid expire time in '{name}' command"));
    let ms = if seconds { value.checked_mul(1000).ok_or_else(invalid)? } else { value };
    let at = ms.checked_add(base).ok_or_else(invalid)?;
    let Some(entry) = ctx.db.write(key) else {
        ctx.out.int(0);
        return Ok(());
    };
    let old = entry.expiry();
    let applies = match old {
        None => !only.with && !only.later,
        Some(old) => {
            let refused = (only.later && at <= old) || (only.sooner && at >= old);
            !only.without && !refused
        }
    };
    if !applies {
        ctx.out.int(0);
        return Ok(());
    }
    if at <= ctx.db.now && ctx.db.expiry == Expiry::Removed {
        ctx.db.remove(key);
        ctx.db.changed(event::GENERIC, "del", key);
        ctx.db.log_instead(&[b"DEL", key]);
    } else {
        ctx.db.set_expiry(key, Some(at));
        ctx.db.changed(event::GENERIC, "expire", key);
        ctx.db.log_instead(&[b"PEXPIREAT", key, at.to_string().as_bytes()]);
    }
    ctx.out.int(1);
    Ok(())
}

/// `EXPIRE key seconds [NX|XX|GT|LT]`
pub fn expire(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let now = ctx.db.now;
    set(ctx, args, true, now, "expire")
}

/// `PEXPIRE key milliseconds [NX|XX|GT|LT]`
pub fn pexpire(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let now = ctx.db.now;
    set(ctx, args, false, now, "pexpire")
}

/// `EXPIREAT key seconds-of-unix-time [NX|XX|GT|LT]`
pub fn expireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    set(ctx, args, true, 0, "expireat")
}

/// `PEXPIREAT key ms-of-unix-time [NX|XX|GT|LT]`
pub fn pexpireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    set(ctx, args, false, 0, "pexpireat")
}

fn tell(ctx: &mut Ctx<'_>, args: Args<'_>, seconds: bool, absolute: bool) -> Done {
    let now = ctx.db.now;
    // TTL does not count as a use of the key.
    let value = match ctx.db.glance(args.at(1)).map(|entry| entry.expiry()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => {
            let ms = if absolute { at } else { (at - now).max(0) };
            match (seconds, absolute) {
                (true, false) => (ms + 500) / 1000,
                (true, true) => (ms + 500) / 1000,
                (false, _) => ms,
            }
        }
    };
    ctx.out.int(value);
    Ok(())
}

/// `TTL key`
pub fn ttl(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    tell(ctx, args, true, false)
}

/// `PTTL key`
pub fn pttl(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    tell(ctx, args, false, false)
}

/// `EXPIRETIME key`
pub fn expiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    tell(ctx, args, true, true)
}

/// `PEXPIRETIME key`
pub fn pexpiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    tell(ctx, args, false, true)
}

/// `PERSIST key`
pub fn persist(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let had = ctx.db.write(key).is_some_and(|entry| entry.expiry().is_some());
    if had {
        ctx.db.set_expiry(key, None);
        ctx.db.changed(event::GENERIC, "persist", key);
    }
    ctx.out.flag(had);
    Ok(())
}
