//! DUMP and RESTORE: a key as bytes.

use box_wire::rdb::{read, write};
use box_wire::resp::Args;

use super::db::event;
use super::{Ctx, Done, Error, SYNTAX, is, parse};
use crate::persist::value;

/// `DUMP key`
pub fn dump(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, config, .. } = ctx;
    let Some(entry) = db.read(args.at(1)) else {
        out.nil();
        return Ok(());
    };
    let mut payload = Vec::new();
    value::push_kind(&mut payload, entry.value());
    value::push_value(&mut payload, entry.value(), config.rdb_compression);
    write::seal_payload(&mut payload);
    out.bulk(&payload);
    Ok(())
}

/// `RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME n] [FREQ n]`
pub fn restore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let (mut replace, mut absolute, mut idle, mut freq) = (false, false, None, None);
    let mut at = 4;
    while let Some(word) = args.get(at) {
        let next = args.get(at + 1);
        match next {
            _ if is(word, "replace") => replace = true,
            _ if is(word, "absttl") => absolute = true,
            Some(value) if is(word, "idletime") && freq.is_none() => {
                idle = Some(parse::int_in(value, 0, i64::MAX, "ERR Invalid IDLETIME value, must be >= 0")?);
                at += 1;
            }
            Some(value) if is(word, "freq") && idle.is_none() => {
                freq = Some(parse::int_in(value, 0, 255, "ERR Invalid FREQ value, must be >= 0 and <= 255")?);
                at += 1;
            }
            _ => return Err(SYNTAX),
        }
        at += 1;
    }
    if !replace && ctx.db.write(key).is_some() {
        return Err(Error::fixed("BUSYKEY Target key name already exists."));
    }
    let ttl = parse::int(args.at(2))?;
    if ttl < 0 {
        return Err(Error::fixed("ERR Invalid TTL value, must be >= 0"));
    }
    let parsed = read::Reader::payload(args.at(3)).map_err(|broken| match broken.reason {
        "version" | "checksum" | "too short" => {
            Error::fixed("ERR DUMP payload version or checksum are wrong")
        }
        _ => Error::fixed("ERR Bad data format"),
    })?;
    let limits = ctx.db.limits;
    let new = value::from_rdb(&parsed, &limits).ok_or(Error::fixed("ERR Bad data format"))?;
    let existed = replace && ctx.db.remove(key);
    let expiry = match ttl {
        0 => None,
        ttl if absolute => Some(ttl),
        ttl => Some(ttl.saturating_add(ctx.db.now)),
    };
    if expiry.is_some_and(|at| at <= ctx.db.now) {
        if existed {
            ctx.db.changed(event::GENERIC, "del", key);
            ctx.db.log_instead(&[b"DEL", key]);
        }
        ctx.out.ok();
        return Ok(());
    }
    ctx.db.put(key, new, expiry);
    let (clock, lfu) = (ctx.db.clock, ctx.server.hot.lfu().is_some());
    if let Some(entry) = ctx.db.peek(key) {
        match (idle, freq) {
            (Some(idle), _) if !lfu => entry.set_clock(clock.wrapping_sub(idle as u32)),
            (_, Some(freq)) if lfu => entry.set_clock(clock << 8 | freq as u32),
            _ => {}
        }
    }
    ctx.db.changed(event::GENERIC, "restore", key);
    if let Some(at) = expiry {
        let text = at.to_string();
        ctx.db.log_instead(&[b"RESTORE", key, text.as_bytes(), args.at(3), b"ABSTTL", b"REPLACE"]);
    }
    ctx.out.ok();
    Ok(())
}
