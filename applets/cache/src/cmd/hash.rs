//! Hashes.

use box_wire::decimal::parse_i64;
use box_wire::resp::Args;

use super::db::event;
use super::{Ctx, Done, Error, SYNTAX, is, parse};
use crate::store::rng;
use crate::types::Hash;

fn set_fields(ctx: &mut Ctx<'_>, args: Args<'_>, name: &str) -> Result<usize, Error> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::made(format!("ERR wrong number of arguments for '{name}' command")));
    }
    let key = args.at(1);
    let limits = ctx.db.limits;
    let hash = ctx.db.hash_or_new(key, Hash::default)?;
    hash.make_room_for(args.from(2).iter(), &limits);
    let mut added = 0;
    for pair in (2..args.len()).step_by(2) {
        added += usize::from(hash.set(args.at(pair), args.at(pair + 1), &limits));
    }
    ctx.db.changed(event::HASH, "hset", key);
    ctx.db.effects.dirty += (args.len() as u64 - 4) / 2;
    Ok(added)
}

/// `HSET key field value [field value ...]`
pub fn hset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let added = set_fields(ctx, args, "hset")?;
    ctx.out.count(added);
    Ok(())
}

/// `HMSET key field value [field value ...]`
pub fn hmset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    set_fields(ctx, args, "hmset")?;
    ctx.out.ok();
    Ok(())
}

/// `HSETNX key field value`
pub fn hsetnx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (key, limits) = (args.at(1), ctx.db.limits);
    let hash = ctx.db.hash_or_new(key, Hash::default)?;
    let absent = !hash.contains(args.at(2));
    if absent {
        hash.set(args.at(2), args.at(3), &limits);
        ctx.db.changed(event::HASH, "hset", key);
    }
    ctx.out.flag(absent);
    Ok(())
}

/// `HGET key field`
pub fn hget(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let found = db.hash(args.at(1))?.and_then(|hash| hash.with(args.at(2), |v| out.bulk(v)));
    if found.is_none() {
        out.nil();
    }
    Ok(())
}

/// `HMGET key field [field ...]`
pub fn hmget(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let hash = db.hash(args.at(1))?;
    out.array(args.len() - 2);
    for field in args.from(2).iter() {
        if hash.and_then(|hash| hash.with(field, |value| out.bulk(value))).is_none() {
            out.nil();
        }
    }
    Ok(())
}

/// `HDEL key field [field ...]`
pub fn hdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let mut removed = 0;
    if let Some(hash) = ctx.db.hash_mut(key)? {
        removed = args.from(2).iter().filter(|field| hash.remove(field)).count();
    }
    if removed > 0 {
        ctx.db.changed(event::HASH, "hdel", key);
        ctx.db.remove_if_empty(key);
    }
    ctx.out.count(removed);
    Ok(())
}

/// `HLEN key`
pub fn hlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let len = ctx.db.hash(args.at(1))?.map_or(0, Hash::len);
    ctx.out.count(len);
    Ok(())
}

/// `HSTRLEN key field`
pub fn hstrlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let len = ctx.db.hash(args.at(1))?.and_then(|hash| hash.with(args.at(2), <[u8]>::len));
    ctx.out.count(len.unwrap_or(0));
    Ok(())
}

/// `HEXISTS key field`
pub fn hexists(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let found = ctx.db.hash(args.at(1))?.is_some_and(|hash| hash.contains(args.at(2)));
    ctx.out.flag(found);
    Ok(())
}

/// `HGETALL key`
pub fn hgetall(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    match db.hash(args.at(1))? {
        None => out.map(0),
        Some(hash) => {
            out.map(hash.len());
            hash.each(|field, value| {
                out.bulk(field);
                out.bulk(value);
            });
        }
    }
    Ok(())
}

/// `HKEYS key`
pub fn hkeys(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    match db.hash(args.at(1))? {
        None => out.array(0),
        Some(hash) => {
            out.array(hash.len());
            hash.each(|field, _| out.bulk(field));
        }
    }
    Ok(())
}

/// `HVALS key`
pub fn hvals(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    match db.hash(args.at(1))? {
        None => out.array(0),
        Some(hash) => {
            out.array(hash.len());
            hash.each(|_, value| out.bulk(value));
        }
    }
    Ok(())
}

/// `HINCRBY key field n`
pub fn hincrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (key, field, limits) = (args.at(1), args.at(2), ctx.db.limits);
    let delta = parse::int(args.at(3))?;
    let hash = ctx.db.hash_mut(key)?;
    let old = match hash.and_then(|hash| hash.get(field)) {
        Some(text) => {
            parse_i64(&text).ok_or(Error::fixed("ERR hash value is not an integer"))?
        }
        None => 0,
    };
    let sum = old
        .checked_add(delta)
        .ok_or(Error::fixed("ERR increment or decrement would overflow"))?;
    let hash = ctx.db.hash_or_new(key, Hash::default)?;
    hash.set(field, sum.to_string().as_bytes(), &limits);
    ctx.db.changed(event::HASH, "hincrby", key);
    ctx.out.int(sum);
    Ok(())
}

/// `HINCRBYFLOAT key field n`
pub fn hincrbyfloat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (key, field, limits) = (args.at(1), args.at(2), ctx.db.limits);
    let delta = args.at(3);
    let old = ctx.db.hash_mut(key)?.and_then(|hash| hash.get(field));
    let wrong = Error::fixed("ERR hash value is not a float");
    let sum = super::string::float_sum(old.as_deref(), delta, wrong)?;
    let hash = ctx.db.hash_or_new(key, Hash::default)?;
    hash.set(field, &sum, &limits);
    ctx.db.changed(event::HASH, "hincrbyfloat", key);
    ctx.out.bulk(&sum);
    ctx.db.log_instead(&[b"HSET", key, field, &sum]);
    Ok(())
}

/// `HRANDFIELD key [count [WITHVALUES]]`
pub fn hrandfield(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let Some(count) = args.get(2) else {
        let field = db.hash(args.at(1))?.and_then(Hash::random);
        out.bulk_or_nil(field.as_ref().map(|(field, _)| &field[..]));
        return Ok(());
    };
    let count = parse::int_in(count, -i64::MAX, i64::MAX, COUNT_RANGE)?;
    let with_values = match args.get(3) {
        None => false,
        Some(word) if is(word, "withvalues") && args.len() == 4 => true,
        Some(_) => return Err(SYNTAX),
    };
    if with_values && (count < -i64::MAX / 2 || count > i64::MAX / 2) {
        return Err(Error::fixed("ERR value is out of range"));
    }
    let Some(hash) = db.hash(args.at(1))? else {
        out.array(0);
        return Ok(());
    };
    let picked = pick(count, hash.len(), || hash.random(), || hash.pairs());
    let flat = with_values && !out.resp3;
    out.array(if flat { picked.len() * 2 } else { picked.len() });
    for (field, value) in picked {
        if with_values && out.resp3 {
            out.array(2);
        }
        out.bulk(&field);
        if with_values {
            out.bulk(&value);
        }
    }
    Ok(())
}

/// What a count out of range is answered with.
pub const COUNT_RANGE: &str = "ERR value is out of range, value must between \
     -9223372036854775807 and 9223372036854775807";

/// `count` random elements: different ones, or any if `count` is negative.
pub fn pick<T>(
    count: i64,
    len: usize,
    random: impl Fn() -> Option<T>,
    all: impl Fn() -> Vec<T>,
) -> Vec<T> {
    let wanted = count.unsigned_abs() as usize;
    if count < 0 {
        return (0..wanted).map_while(|_| random()).collect();
    }
    let mut elements = all();
    if wanted >= len {
        return elements;
    }
    // The first `wanted` steps of a shuffle.
    for at in 0..wanted {
        let other = at + rng::below(len - at);
        elements.swap(at, other);
    }
    elements.truncate(wanted);
    elements
}
