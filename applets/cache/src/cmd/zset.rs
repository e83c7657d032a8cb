//! Sorted sets: members, scores, ranks. Ranges are in [`super::zrange`], set algebra in
//! [`super::zstore`].

use box_wire::resp::Args;

use super::db::{Db, event};
use super::hash::{COUNT_RANGE, pick};
use super::list::{keys_of, numkeys_word_count};
use super::reply::Out;
use super::{Ctx, Done, Error, NOT_FLOAT, SYNTAX, is, parse};
use crate::types::Zset;
use crate::types::zset::Change;

#[derive(Clone, Copy, Default)]
struct AddOptions {
    if_absent: bool,
    if_exists: bool,
    greater: bool,
    less: bool,
    changed: bool,
    increment: bool,
}

fn add_options(args: Args<'_>) -> (AddOptions, usize) {
    let mut options = AddOptions::default();
    let mut at = 2;
    while let Some(word) = args.get(at) {
        match word {
            _ if is(word, "nx") => options.if_absent = true,
            _ if is(word, "xx") => options.if_exists = true,
            _ if is(word, "ch") => options.changed = true,
            _ if is(word, "incr") => options.increment = true,
            _ if is(word, "gt") => options.greater = true,
            _ if is(word, "lt") => options.less = true,
            _ => break,
        }
        at += 1;
    }
    (options, at)
}

/// `ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]`
pub fn zadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (options, first) = add_options(args);
    add(ctx, args, options, first)
}

/// `ZINCRBY key n member`
pub fn zincrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    add(ctx, args, AddOptions { increment: true, ..AddOptions::default() }, 2)
}

fn add(ctx: &mut Ctx<'_>, args: Args<'_>, options: AddOptions, first: usize) -> Done {
    let count = args.len() - first.min(args.len());
    if count == 0 || !count.is_multiple_of(2) {
        return Err(SYNTAX);
    }
    if options.if_absent && options.if_exists {
        return Err(Error::fixed("ERR XX and NX options at the same time are not compatible"));
    }
    if (options.greater && options.less)
        || (options.if_absent && (options.greater || options.less))
    {
        return Err(Error::fixed(
            "ERR GT, LT, and/or NX options at the same time are not compatible",
        ));
    }
    if options.increment && count > 2 {
        return Err(Error::fixed("ERR INCR option supports a single increment-element pair"));
    }
    let scores: Vec<f64> = (first..args.len())
        .step_by(2)
        .map(|at| parse::float(args.at(at)))
        .collect::<Result<_, _>>()?;
    let (key, limits) = (args.at(1), ctx.db.limits);
    if ctx.db.zset_mut(key)?.is_none() && options.if_exists {
        match options.increment {
            true => ctx.out.nil(),
            false => ctx.out.int(0),
        }
        return Ok(());
    }
    let len = args.at(first + 1).len();
    let zset = ctx.db.zset_or_new(key, || Zset::for_member(len, &limits))?;
    let (mut added, mut moved, mut last) = (0, 0, None);
    let mut failure = None;
    for (number, score) in scores.into_iter().enumerate() {
        let member = args.at(first + 1 + number * 2);
        match add_one(zset, member, score, options, &limits) {
            Ok((change, score)) => {
                added += usize::from(change == Some(Change::Added));
                moved += usize::from(change == Some(Change::Moved));
                last = change.map(|_| score);
            }
            Err(error) => failure = Some(error),
        }
    }
    if added + moved > 0 {
        let name = if options.increment { "zincr" } else { "zadd" };
        ctx.db.changed(event::ZSET, name, key);
        ctx.db.effects.dirty += (added + moved) as u64 - 1;
    }
    if let Some(error) = failure {
        ctx.db.remove_if_empty(key);
        return Err(error);
    }
    match (options.increment, last) {
        (true, Some(score)) => ctx.out.double(score),
        (true, None) => ctx.out.nil(),
        (false, _) => ctx.out.count(if options.changed { added + moved } else { added }),
    }
    Ok(())
}

/// What became of the member, if the options let it change, and its score then.
fn add_one(
    zset: &mut Zset,
    member: &[u8],
    score: f64,
    options: AddOptions,
    limits: &crate::types::Limits,
) -> Result<(Option<Change>, f64), Error> {
    let Some(old) = zset.score(member) else {
        if options.if_exists {
            return Ok((None, score));
        }
        return Ok((Some(zset.set(member, score, limits)), score));
    };
    if options.if_absent {
        return Ok((None, score));
    }
    let new = if options.increment { old + score } else { score };
    if new.is_nan() {
        return Err(Error::fixed("ERR resulting score is not a number (NaN)"));
    }
    if (options.less && new >= old) || (options.greater && new <= old) {
        return Ok((None, new));
    }
    Ok((Some(zset.set(member, new, limits)), new))
}

/// `ZREM key member [member ...]`
pub fn zrem(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let mut removed = 0;
    if let Some(zset) = ctx.db.zset_mut(key)? {
        removed = args.from(2).iter().filter(|member| zset.remove(member)).count();
    }
    if removed > 0 {
        ctx.db.changed(event::ZSET, "zrem", key);
        ctx.db.remove_if_empty(key);
    }
    ctx.out.count(removed);
    Ok(())
}

/// `ZCARD key`
pub fn zcard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let len = ctx.db.zset(args.at(1))?.map_or(0, Zset::len);
    ctx.out.count(len);
    Ok(())
}

/// `ZSCORE key member`
pub fn zscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    match ctx.db.zset(args.at(1))?.and_then(|zset| zset.score(args.at(2))) {
        Some(score) => ctx.out.double(score),
        None => ctx.out.nil(),
    }
    Ok(())
}

/// `ZMSCORE key member [member ...]`
pub fn zmscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let zset = db.zset(args.at(1))?;
    out.array(args.len() - 2);
    for member in args.from(2).iter() {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => out.double(score),
            None => out.nil(),
        }
    }
    Ok(())
}

fn rank(ctx: &mut Ctx<'_>, args: Args<'_>, down: bool) -> Done {
    let zset = ctx.db.zset(args.at(1))?;
    let rank = zset.and_then(|zset| {
        let rank = zset.rank(args.at(2))?;
        Some(if down { zset.len() - 1 - rank } else { rank })
    });
    match rank {
        Some(rank) => ctx.out.count(rank),
        None => ctx.out.nil(),
    }
    Ok(())
}

/// `ZRANK key member`
pub fn zrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    rank(ctx, args, false)
}

/// `ZREVRANK key member`
pub fn zrevrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    rank(ctx, args, true)
}

/// Takes up to `count` members from an end.
pub fn take(
    db: &mut Db<'_>,
    key: &[u8],
    max: bool,
    count: usize,
) -> Result<Vec<(Vec<u8>, f64)>, Error> {
    let mut taken = Vec::new();
    let Some(zset) = db.zset_mut(key)? else { return Ok(taken) };
    let len = zset.len();
    let count = count.min(len);
    if count == 0 {
        return Ok(taken);
    }
    zset.range(if max { len - 1 } else { 0 }, count, max, |member, score| {
        taken.push((member.to_vec(), score));
    });
    if max {
        zset.remove_range(len - count, len);
    } else {
        zset.remove_range(0, count);
    }
    db.changed(event::ZSET, if max { "zpopmax" } else { "zpopmin" }, key);
    db.remove_if_empty(key);
    Ok(taken)
}

fn pop(ctx: &mut Ctx<'_>, args: Args<'_>, max: bool) -> Done {
    if args.len() > 3 {
        return Err(SYNTAX);
    }
    let count = args.get(2).map(parse::positive).transpose()?;
    let taken = take(&mut ctx.db, args.at(1), max, count.unwrap_or(1) as usize)?;
    // In RESP3 a pair is an array of its own only where a count was given.
    let nested = ctx.out.resp3 && count.is_some();
    ctx.out.array(if nested { taken.len() } else { taken.len() * 2 });
    for (member, score) in taken {
        if nested {
            ctx.out.array(2);
        }
        ctx.out.bulk(&member);
        ctx.out.double(score);
    }
    Ok(())
}

/// `ZPOPMIN key [count]`
pub fn zpopmin(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    pop(ctx, args, false)
}

/// `ZPOPMAX key [count]`
pub fn zpopmax(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    pop(ctx, args, true)
}

/// Whether a word of (B)ZMPOP means the highest.
pub fn min_or_max(word: &[u8]) -> Result<bool, Error> {
    match () {
        () if is(word, "min") => Ok(false),
        () if is(word, "max") => Ok(true),
        () => Err(SYNTAX),
    }
}

/// Takes members of `key` for (B)ZMPOP; whether there were any.
pub fn pop_from(
    db: &mut Db<'_>,
    out: &mut Out,
    key: &[u8],
    max: bool,
    count: usize,
) -> Result<bool, Error> {
    let taken = take(db, key, max, count)?;
    if taken.is_empty() {
        return Ok(false);
    }
    out.array(2);
    out.bulk(key);
    out.array(taken.len());
    for (member, score) in &taken {
        out.array(2);
        out.bulk(member);
        out.double(*score);
    }
    let name: &[u8] = if max { b"ZPOPMAX" } else { b"ZPOPMIN" };
    db.log_instead(&[name, key, taken.len().to_string().as_bytes()]);
    Ok(true)
}

/// `ZMPOP numkeys key [key ...] MIN|MAX [COUNT n]`
pub fn zmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (args, word, count) = numkeys_word_count(args, 1)?;
    let max = min_or_max(word)?;
    for key in keys_of(args, 1) {
        if pop_from(&mut ctx.db, ctx.out, key, max, count)? {
            return Ok(());
        }
    }
    ctx.out.nil_array();
    Ok(())
}

/// `ZRANDMEMBER key [count [WITHSCORES]]`
pub fn zrandmember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let Some(count) = args.get(2) else {
        let member = db.zset(args.at(1))?.and_then(Zset::random);
        out.bulk_or_nil(member.as_ref().map(|(member, _)| &member[..]));
        return Ok(());
    };
    let count = parse::int_in(count, -i64::MAX, i64::MAX, COUNT_RANGE)?;
    let with_scores = match args.get(3) {
        None => false,
        Some(word) if is(word, "withscores") && args.len() == 4 => true,
        Some(_) => return Err(SYNTAX),
    };
    if with_scores && (count < -i64::MAX / 2 || count > i64::MAX / 2) {
        return Err(Error::fixed("ERR value is out of range"));
    }
    let Some(zset) = db.zset(args.at(1))? else {
        out.array(0);
        return Ok(());
    };
    let picked = pick(count, zset.len(), || zset.random(), || zset.pairs());
    write_pairs(out, &picked, with_scores);
    Ok(())
}

/// Writes members with or without their scores: flat in RESP2, pairs in RESP3.
pub fn write_pairs(out: &mut Out, pairs: &[(Vec<u8>, f64)], with_scores: bool) {
    let flat = with_scores && !out.resp3;
    out.array(if flat { pairs.len() * 2 } else { pairs.len() });
    for (member, score) in pairs {
        if with_scores && out.resp3 {
            out.array(2);
        }
        out.bulk(member);
        if with_scores {
            out.double(*score);
        }
    }
}

/// What a score that is no number is answered with where a range was expected.
pub const RANGE_NOT_FLOAT: Error = Error::fixed("ERR min or max is not a float");
/// What a weight that is no number is answered with.
pub const WEIGHT_NOT_FLOAT: Error = Error::fixed("ERR weight value is not a float");
/// A score that is no number.
pub const SCORE_NOT_FLOAT: Error = NOT_FLOAT;
