//! Lists.

use box_wire::resp::Args;

use super::db::{Db, event};
use super::reply::Out;
use super::{Ctx, Done, Error, NO_KEY, OUT_OF_RANGE, SYNTAX, is, parse};
use crate::types::List;
use crate::types::list::End;

fn item(out: &mut Out, item: box_wire::rdb::listpack::Item<'_>) {
    match item {
        box_wire::rdb::listpack::Item::Int(value) => out.bulk_int(value),
        box_wire::rdb::listpack::Item::Bytes(text) => out.bulk(text),
    }
}

/// The end that a word names.
pub fn end(word: &[u8]) -> Result<End, Error> {
    match () {
        () if is(word, "left") => Ok(End::Head),
        () if is(word, "right") => Ok(End::Tail),
        () => Err(SYNTAX),
    }
}

fn push(ctx: &mut Ctx<'_>, args: Args<'_>, end: End, only_existing: bool) -> Done {
    let key = args.at(1);
    let limit = ctx.db.limits.list_size;
    if only_existing && ctx.db.list_mut(key)?.is_none() {
        ctx.out.int(0);
        return Ok(());
    }
    let list = ctx.db.list_or_new(key, List::new)?;
    for text in args.from(2).iter() {
        list.push(end, text, limit);
    }
    let len = list.len();
    ctx.db.changed(event::LIST, if end == End::Head { "lpush" } else { "rpush" }, key);
    ctx.db.effects.dirty += args.len() as u64 - 3;
    ctx.out.count(len);
    Ok(())
}

/// `LPUSH key element [element ...]`
pub fn lpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    push(ctx, args, End::Head, false)
}

/// `RPUSH key element [element ...]`
pub fn rpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    push(ctx, args, End::Tail, false)
}

/// `LPUSHX key element [element ...]`
pub fn lpushx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    push(ctx, args, End::Head, true)
}

/// `RPUSHX key element [element ...]`
pub fn rpushx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    push(ctx, args, End::Tail, true)
}

/// Takes an element from an end of the list at `key`, with all that comes with it.
pub fn pop_one(db: &mut Db<'_>, key: &[u8], end: End) -> Result<Option<Vec<u8>>, Error> {
    let Some(list) = db.list_mut(key)? else { return Ok(None) };
    let Some(text) = list.pop(end) else { return Ok(None) };
    db.changed(event::LIST, if end == End::Head { "lpop" } else { "rpop" }, key);
    db.remove_if_empty(key);
    Ok(Some(text))
}

fn pop(ctx: &mut Ctx<'_>, args: Args<'_>, end: End, name: &str) -> Done {
    let key = args.at(1);
    if args.len() > 3 {
        return Err(Error::made(format!("ERR wrong number of arguments for '{name}' command")));
    }
    let count = args.get(2).map(parse::positive).transpose()?;
    let Some(list) = ctx.db.list_mut(key)? else {
        match count {
            Some(_) => ctx.out.nil_array(),
            None => ctx.out.nil(),
        }
        return Ok(());
    };
    let len = list.len();
    let Some(count) = count else {
        let text = pop_one(&mut ctx.db, key, end)?;
        ctx.out.bulk_or_nil(text.as_deref());
        return Ok(());
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(len);
    ctx.out.array(count);
    if count > 0 {
        pop_many(&mut ctx.db, ctx.out, key, end, count)?;
    }
    Ok(())
}

/// Takes `count` elements, which are there, and writes them.
fn pop_many(db: &mut Db<'_>, out: &mut Out, key: &[u8], end: End, count: usize) -> Done {
    if let Some(list) = db.list_mut(key)? {
        for text in std::iter::from_fn(|| list.pop(end)).take(count) {
            out.bulk(&text);
        }
    }
    db.changed(event::LIST, if end == End::Head { "lpop" } else { "rpop" }, key);
    db.remove_if_empty(key);
    Ok(())
}

/// `LPOP key [count]`
pub fn lpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    pop(ctx, args, End::Head, "lpop")
}

/// `RPOP key [count]`
pub fn rpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    pop(ctx, args, End::Tail, "rpop")
}

/// `LLEN key`
pub fn llen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let len = ctx.db.list(args.at(1))?.map_or(0, List::len);
    ctx.out.count(len);
    Ok(())
}

/// `LRANGE key start stop`
pub fn lrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (start, stop) = (parse::int(args.at(2))?, parse::int(args.at(3))?);
    let Ctx { db, out, .. } = ctx;
    let Some(list) = db.list(args.at(1))? else {
        out.array(0);
        return Ok(());
    };
    let Some((from, to)) = parse::range(start, stop, list.len()) else {
        out.array(0);
        return Ok(());
    };
    out.array(to - from);
    for element in list.iter_from(from).take(to - from) {
        item(out, element);
    }
    Ok(())
}

/// The index that a number means, if the list has it.
fn index_of(list: &List, index: i64) -> Option<usize> {
    let index = if index < 0 { list.len() as i64 + index } else { index };
    usize::try_from(index).ok().filter(|index| *index < list.len())
}

/// `LINDEX key index`
pub fn lindex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let Some(list) = db.list(args.at(1))? else {
        out.nil();
        return Ok(());
    };
    let index = parse::int(args.at(2))?;
    match index_of(list, index).and_then(|index| list.get(index)) {
        Some(element) => item(out, element),
        None => out.nil(),
    }
    Ok(())
}

/// `LSET key index element`
pub fn lset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let limit = ctx.db.limits.list_size;
    let Some(list) = ctx.db.list_mut(key)? else { return Err(NO_KEY) };
    let index = parse::int(args.at(2))?;
    let index = index_of(list, index).ok_or(OUT_OF_RANGE)?;
    list.set(index, args.at(3), limit);
    ctx.db.changed(event::LIST, "lset", key);
    ctx.out.ok();
    Ok(())
}

/// `LINSERT key BEFORE|AFTER pivot element`
pub fn linsert(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let before = match args.at(2) {
        word if is(word, "before") => true,
        word if is(word, "after") => false,
        _ => return Err(SYNTAX),
    };
    let key = args.at(1);
    let limit = ctx.db.limits.list_size;
    let Some(list) = ctx.db.list_mut(key)? else {
        ctx.out.int(0);
        return Ok(());
    };
    if !list.insert(args.at(3), before, args.at(4), limit) {
        ctx.out.int(-1);
        return Ok(());
    }
    let len = list.len();
    ctx.db.changed(event::LIST, "linsert", key);
    ctx.out.count(len);
    Ok(())
}

/// `LREM key count element`
pub fn lrem(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let count = parse::int(args.at(2))?;
    let Some(list) = ctx.db.list_mut(key)? else {
        ctx.out.int(0);
        return Ok(());
    };
    let from = if count < 0 { End::Tail } else { End::Head };
    let removed = list.remove(args.at(3), count.unsigned_abs() as usize, from);
    if removed > 0 {
        ctx.db.changed(event::LIST, "lrem", key);
        ctx.db.remove_if_empty(key);
    }
    ctx.out.count(removed);
    Ok(())
}

/// `LTRIM key start stop`
pub fn ltrim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (start, stop) = (parse::int(args.at(2))?, parse::int(args.at(3))?);
    let key = args.at(1);
    if let Some(list) = ctx.db.list_mut(key)? {
        match parse::range(start, stop, list.len()) {
            Some((from, to)) => list.trim(from, to - from),
            None => list.trim(0, 0),
        }
        ctx.db.changed(event::LIST, "ltrim", key);
        ctx.db.remove_if_empty(key);
    }
    ctx.out.ok();
    Ok(())
}

/// `LPOS key element [RANK n] [COUNT n] [MAXLEN n]`
pub fn lpos(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (mut rank, mut count, mut max_len) = (1i64, None, 0i64);
    let mut at = 3;
    while let Some(word) = args.get(at) {
        let Some(value) = args.get(at + 1) else { return Err(SYNTAX) };
        if is(word, "rank") {
            rank = parse::int(value)?;
            if rank == 0 {
                return Err(Error::fixed(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the \
                     second ... or use negative to start from the end of the list",
                ));
            }
        } else if is(word, "count") {
            count = Some(parse::int_in(value, 0, i64::MAX, "ERR COUNT can't be negative")?);
        } else if is(word, "maxlen") {
            max_len = parse::int_in(value, 0, i64::MAX, "ERR MAXLEN can't be negative")?;
        } else {
            return Err(SYNTAX);
        }
        at += 2;
    }
    let found = match ctx.db.list(args.at(1))? {
        Some(list) => positions(list, args.at(2), rank, count, max_len),
        None => Vec::new(),
    };
    match (count, found.first()) {
        (Some(_), _) => {
            ctx.out.array(found.len());
            found.iter().for_each(|at| ctx.out.count(*at));
        }
        (None, Some(at)) => ctx.out.count(*at),
        (None, None) => ctx.out.nil(),
    }
    Ok(())
}

fn positions(list: &List, text: &[u8], rank: i64, count: Option<i64>, max_len: i64) -> Vec<usize> {
    let most = match count {
        None => 1,
        Some(0) => usize::MAX,
        Some(count) => count as usize,
    };
    let looked_at = if max_len == 0 { usize::MAX } else { max_len as usize };
    let skip = rank.unsigned_abs() as usize - 1;
    let len = list.len();
    if rank > 0 {
        let hits = list.iter_from(0).take(looked_at).enumerate();
        hits.filter(|(_, item)| item.is(text)).map(|(at, _)| at).skip(skip).take(most).collect()
    } else {
        let hits = list.iter_back_from(len.saturating_sub(1)).take(looked_at).enumerate();
        let hits = hits.filter(|(_, item)| item.is(text)).map(|(at, _)| len - 1 - at);
        hits.skip(skip).take(most).collect()
    }
}

/// Moves an element between two lists.
pub fn move_one(
    db: &mut Db<'_>,
    from: &[u8],
    to: &[u8],
    ends: (End, End),
) -> Result<Option<Vec<u8>>, Error> {
    let limit = db.limits.list_size;
    if db.list_mut(from)?.is_none() {
        return Ok(None);
    }
    db.list_mut(to)?;
    let Some(text) = db.list_mut(from)?.and_then(|list| list.pop(ends.0)) else { return Ok(None) };
    db.list_or_new(to, List::new)?.push(ends.1, &text, limit);
    db.event(event::LIST, if ends.1 == End::Head { "lpush" } else { "rpush" }, to);
    let name = if ends.0 == End::Head { "lpop" } else { "rpop" };
    db.changed(event::LIST, name, from);
    db.touch(to);
    db.remove_if_empty(from);
    Ok(Some(text))
}

/// `LMOVE source destination LEFT|RIGHT LEFT|RIGHT`
pub fn lmove(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let ends = (end(args.at(3))?, end(args.at(4))?);
    let text = move_one(&mut ctx.db, args.at(1), args.at(2), ends)?;
    ctx.out.bulk_or_nil(text.as_deref());
    Ok(())
}

/// `RPOPLPUSH source destination`
pub fn rpoplpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let text = move_one(&mut ctx.db, args.at(1), args.at(2), (End::Tail, End::Head))?;
    ctx.out.bulk_or_nil(text.as_deref());
    Ok(())
}

/// The keys, the word behind them and the COUNT of `… numkeys key [key ...] WORD [COUNT n]`.
pub fn numkeys_word_count(args: Args<'_>, at: usize) -> Result<(Args<'_>, &[u8], usize), Error> {
    let count = parse::int_in(args.at(at), 1, i64::MAX, "ERR numkeys should be greater than 0")?;
    let behind = usize::try_from(count).ok().and_then(|count| count.checked_add(at + 1));
    let behind = behind.filter(|behind| *behind < args.len()).ok_or(SYNTAX)?;
    let word = args.at(behind);
    let mut most = 1;
    match args.len() - behind {
        1 => {}
        3 if is(args.at(behind + 1), "count") => {
            most = parse::int_in(
                args.at(behind + 2),
                1,
                i64::MAX,
                "ERR count should be greater than 0",
            )? as usize;
        }
        _ => return Err(SYNTAX),
    }
    Ok((args, word, most))
}

/// `LMPOP numkeys key [key ...] LEFT|RIGHT [COUNT n]`
pub fn lmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (args, word, count) = numkeys_word_count(args, 1)?;
    let end = end(word)?;
    for key in keys_of(args, 1) {
        if pop_from(&mut ctx.db, ctx.out, key, end, count)? {
            return Ok(());
        }
    }
    ctx.out.nil_array();
    Ok(())
}

/// The keys behind a count of keys at `at`.
pub fn keys_of<'a>(args: Args<'a>, at: usize) -> impl Iterator<Item = &'a [u8]> {
    let count = box_wire::decimal::parse_i64(args.at(at)).unwrap_or(0).max(0) as usize;
    args.from(at + 1).iter().take(count)
}

/// Takes up to `count` elements of `key` for (B)LMPOP; whether there were any.
pub fn pop_from(
    db: &mut Db<'_>,
    out: &mut Out,
    key: &[u8],
    end: End,
    count: usize,
) -> Result<bool, Error> {
    let Some(list) = db.list_mut(key)? else { return Ok(false) };
    let count = count.min(list.len());
    out.array(2);
    out.bulk(key);
    out.array(count);
    pop_many(db, out, key, end, count)?;
    let name: &[u8] = if end == End::Head { b"LPOP" } else { b"RPOP" };
    db.log_instead(&[name, key, count.to_string().as_bytes()]);
    Ok(true)
}
