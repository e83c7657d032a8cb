//! Strings.

use box_wire::resp::Args;

use super::db::{Db, Text, encode, event};
use super::{Ctx, Done, Error, NOT_FLOAT, NOT_INTEGER, SYNTAX, TOO_LONG, conditional, is, parse};
use crate::store::entry::NewValue;
use crate::types::Object;
use crate::types::long_double::LongDouble;

/// How SET and its kin name an expiry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// In seconds.
    Seconds,
    /// In milliseconds.
    Ms,
}

/// The moment that an argument names, in ms of Unix time.
pub fn moment(text: &[u8], seconds: bool, base: i64, command: &str) -> Result<i64, Error> {
    let value = parse::int(text)?;
    let invalid = || Error::made(format!("ERR invalid expire time in '{command}' command"));
    if value <= 0 {
        return Err(invalid());
    }
    let ms = if seconds { value.checked_mul(1000).ok_or_else(invalid)? } else { value };
    ms.checked_add(base).ok_or_else(invalid)
}

#[derive(Default)]
struct SetOptions {
    if_exists: bool,
    if_absent: bool,
    get: bool,
    keep_ttl: bool,
    expiry: Option<i64>,
    /// The argument that the old value is compared with, and whether it must be equal.
    compare: Option<(usize, bool)>,
}

/// `GET key`
pub fn get(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    match db.text(args.at(1))? {
        Some(Text::Bytes(text)) => out.bulk(text),
        Some(Text::Int(value)) => out.bulk_int(value),
        None => out.nil(),
    }
    Ok(())
}

/// `SET key value [NX|XX|IFEQ value|IFNE value] [GET] [EX|PX|EXAT|PXAT n|KEEPTTL]`
pub fn set(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (key, value) = (args.at(1), args.at(2));
    if args.len() == 3 {
        ctx.db.put_text(key, value, None);
        ctx.db.changed(event::STRING, "set", key);
        ctx.out.ok();
        return Ok(());
    }
    let options = set_options(ctx, args)?;
    if options.get {
        let got = ctx.db.text(key)?;
        match got {
            Some(Text::Bytes(text)) => ctx.out.bulk(text),
            Some(Text::Int(value)) => ctx.out.bulk_int(value),
            None => ctx.out.nil(),
        }
    }
    if let Some((at, equal)) = options.compare
        && !conditional::holds(ctx, key, args.at(at), equal)?
    {
        if !options.get {
            ctx.out.nil();
        }
        return Ok(());
    }
    let found = ctx.db.write(key).map(|entry| entry.expiry());
    if (options.if_absent && found.is_some()) || (options.if_exists && found.is_none()) {
        if !options.get {
            ctx.out.nil();
        }
        return Ok(());
    }
    let expiry = if options.keep_ttl { found.flatten() } else { options.expiry };
    store_with_expiry(ctx, key, value, expiry, options.expiry.is_some());
    if !options.get {
        ctx.out.ok();
    }
    log_set(ctx, key, value, &options);
    Ok(())
}

/// The log says the moment, not the distance; and no GET, which has no effect.
fn log_set(ctx: &mut Ctx<'_>, key: &[u8], value: &[u8], options: &SetOptions) {
    match options.expiry {
        Some(at) => {
            ctx.db.log_instead(&[b"SET", key, value, b"PXAT", at.to_string().as_bytes()]);
        }
        None if options.keep_ttl => ctx.db.log_instead(&[b"SET", key, value, b"KEEPTTL"]),
        None => ctx.db.log_instead(&[b"SET", key, value]),
    }
}

fn store_with_expiry(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    value: &[u8],
    expiry: Option<i64>,
    is_new_expiry: bool,
) {
    ctx.db.put_text(key, value, expiry);
    ctx.db.changed(event::STRING, "set", key);
    if is_new_expiry {
        ctx.db.event(event::GENERIC, "expire", key);
    }
}

fn set_options(ctx: &Ctx<'_>, args: Args<'_>) -> Result<SetOptions, Error> {
    let mut options = SetOptions::default();
    let mut at = 3;
    let mut has_expiry = false;
    while let Some(word) = args.get(at) {
        let next = args.get(at + 1);
        let chosen = options.if_exists || options.if_absent || options.compare.is_some();
        if (is(word, "ifeq") || is(word, "ifne")) && next.is_some() && !chosen {
            options.compare = Some((at + 1, is(word, "ifeq")));
            at += 1;
        } else if is(word, "nx") && !options.if_exists && options.compare.is_none() {
            options.if_absent = true;
        } else if is(word, "xx") && !options.if_absent && options.compare.is_none() {
            options.if_exists = true;
        } else if is(word, "get") {
            options.get = true;
        } else if is(word, "keepttl") && !has_expiry {
            options.keep_ttl = true;
            has_expiry = true;
        } else if let (Some((unit, base)), Some(_), false) =
            (expiry_word(word, ctx.db.now), next, has_expiry)
        {
            options.expiry = Some((unit, base)).map(|_| at as i64);
            has_expiry = true;
            at += 1;
        } else {
            return Err(SYNTAX);
        }
        at += 1;
    }
    // Values are looked at when the syntax is known to be right, as the incumbents do.
    if let Some(at) = options.expiry {
        let at = at as usize;
        let (unit, base) = expiry_word(args.at(at), ctx.db.now).unwrap_or((Unit::Ms, 0));
        options.expiry = Some(moment(args.at(at + 1), unit == Unit::Seconds, base, "set")?);
    }
    Ok(options)
}

/// The unit that an option of SET names, and what its number counts from.
pub fn expiry_word(word: &[u8], now: i64) -> Option<(Unit, i64)> {
    Some(match () {
        () if is(word, "ex") => (Unit::Seconds, now),
        () if is(word, "px") => (Unit::Ms, now),
        () if is(word, "exat") => (Unit::Seconds, 0),
        () if is(word, "pxat") => (Unit::Ms, 0),
        () => return None,
    })
}

/// `SETNX key value`
pub fn setnx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let absent = ctx.db.write(key).is_none();
    if absent {
        ctx.db.put_text(key, args.at(2), None);
        ctx.db.changed(event::STRING, "set", key);
    }
    ctx.out.flag(absent);
    Ok(())
}

/// `SETEX key seconds value`
pub fn setex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    set_for(ctx, args, true, "setex")
}

/// `PSETEX key milliseconds value`
pub fn psetex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    set_for(ctx, args, false, "psetex")
}

fn set_for(ctx: &mut Ctx<'_>, args: Args<'_>, seconds: bool, name: &str) -> Done {
    let (key, value) = (args.at(1), args.at(3));
    let at = moment(args.at(2), seconds, ctx.db.now, name)?;
    store_with_expiry(ctx, key, value, Some(at), true);
    ctx.db.log_instead(&[b"SET", key, value, b"PXAT", at.to_string().as_bytes()]);
    ctx.out.ok();
    Ok(())
}

/// `GETSET key value`
pub fn getset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    get(ctx, args)?;
    let key = args.at(1);
    ctx.db.put_text(key, args.at(2), None);
    ctx.db.changed(event::STRING, "set", key);
    ctx.db.log_instead(&[b"SET", key, args.at(2)]);
    Ok(())
}

/// `GETDEL key`
pub fn getdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    get(ctx, args)?;
    let key = args.at(1);
    if ctx.db.remove(key) {
        ctx.db.changed(event::GENERIC, "del", key);
        ctx.db.log_instead(&[b"DEL", key]);
    }
    Ok(())
}

/// `GETEX key [EX|PX|EXAT|PXAT n|PERSIST]`
pub fn getex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let word = args.get(2);
    let timed = word.and_then(|word| expiry_word(word, ctx.db.now));
    let persist = word.is_some_and(|word| is(word, "persist"));
    let well_formed = match args.len() {
        2 => true,
        3 => persist,
        4 => timed.is_some(),
        _ => false,
    };
    if !well_formed {
        return Err(SYNTAX);
    }
    let Some(entry) = ctx.db.text(key)? else {
        ctx.out.nil();
        return Ok(());
    };
    let mut scratch = Vec::new();
    let text = entry.bytes(&mut scratch).to_vec();
    let at = match timed {
        Some((unit, base)) => Some(moment(args.at(3), unit == Unit::Seconds, base, "getex")?),
        None => None,
    };
    ctx.out.bulk(&text);
    if let Some(at) = at {
        if timed.is_some_and(|(_, base)| base == 0) && at <= ctx.db.now {
            ctx.db.remove(key);
            ctx.db.changed(event::GENERIC, "del", key);
            ctx.db.log_instead(&[b"DEL", key]);
        } else {
            ctx.db.set_expiry(key, Some(at));
            ctx.db.changed(event::GENERIC, "expire", key);
            ctx.db.log_instead(&[b"PEXPIREAT", key, at.to_string().as_bytes()]);
        }
    } else if persist && ctx.db.peek(key).is_some_and(|entry| entry.expiry().is_some()) {
        ctx.db.set_expiry(key, None);
        ctx.db.changed(event::GENERIC, "persist", key);
        ctx.db.log_instead(&[b"PERSIST", key]);
    }
    Ok(())
}

/// `MGET key [key ...]`
pub fn mget(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    out.array(args.len() - 1);
    for key in args.from(1).iter() {
        match db.text(key) {
            Ok(Some(Text::Bytes(text))) => out.bulk(text),
            Ok(Some(Text::Int(value))) => out.bulk_int(value),
            Ok(None) | Err(_) => out.nil(),
        }
    }
    Ok(())
}

fn check_pairs(args: Args<'_>, name: &str) -> Done {
    if args.len().is_multiple_of(2) {
        return Err(Error::made(format!("ERR wrong number of arguments for '{name}' command")));
    }
    Ok(())
}

fn set_pairs(ctx: &mut Ctx<'_>, args: Args<'_>) {
    for pair in (1..args.len()).step_by(2) {
        ctx.db.put_text(args.at(pair), args.at(pair + 1), None);
        ctx.db.changed(event::STRING, "set", args.at(pair));
    }
}

/// `MSET key value [key value ...]`
pub fn mset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    check_pairs(args, "mset")?;
    set_pairs(ctx, args);
    ctx.out.ok();
    Ok(())
}

/// `MSETNX key value [key value ...]`
pub fn msetnx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    check_pairs(args, "msetnx")?;
    let free = (1..args.len()).step_by(2).all(|at| !ctx.db.exists(args.at(at)));
    if free {
        set_pairs(ctx, args);
    }
    ctx.out.flag(free);
    Ok(())
}

/// `STRLEN key`
pub fn strlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let len = match ctx.db.text(args.at(1))? {
        Some(text) => text.bytes(&mut Vec::new()).len(),
        None => 0,
    };
    ctx.out.count(len);
    Ok(())
}

/// `INCR key`
pub fn incr(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    add(ctx, args.at(1), 1)
}

/// `DECR key`
pub fn decr(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    add(ctx, args.at(1), -1)
}

/// `INCRBY key n`
pub fn incrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    add(ctx, args.at(1), parse::int(args.at(2))?)
}

/// `DECRBY key n`
pub fn decrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let value = parse::int(args.at(2))?;
    let value = value.checked_neg().ok_or(Error::fixed("ERR decrement would overflow"))?;
    add(ctx, args.at(1), value)
}

fn add(ctx: &mut Ctx<'_>, key: &[u8], delta: i64) -> Done {
    let old = match ctx.db.text_to_change(key)? {
        None => None,
        Some(Text::Int(value)) => Some(value),
        Some(Text::Bytes(text)) => Some(box_wire::decimal::parse_i64(text).ok_or(NOT_INTEGER)?),
    };
    let sum = old.unwrap_or(0).checked_add(delta);
    let sum = sum.ok_or(Error::fixed("ERR increment or decrement would overflow"))?;
    match ctx.db.peek(key) {
        Some(entry) => {
            if !entry.set_int(sum) {
                entry.set_value(NewValue::Int(sum));
            }
        }
        None => ctx.db.put(key, NewValue::Int(sum), None),
    }
    ctx.db.changed(event::STRING, "incrby", key);
    ctx.out.int(sum);
    Ok(())
}

/// Whether a text spells an infinity.
pub fn is_infinite(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    is(text, "inf") || is(text, "infinity")
}

/// The sum of a stored number and an increment, as the incumbents print it.
pub fn float_sum(old: Option<&[u8]>, delta: &[u8], not_float: Error) -> Result<Vec<u8>, Error> {
    let parse = |text: &[u8], error: Error| match LongDouble::parse(text) {
        Some(number) => Ok(Some(number)),
        None if is_infinite(text) => Ok(None),
        None => Err(error),
    };
    let old = old.map_or(Ok(Some(LongDouble::from_int(0))), |old| parse(old, not_float))?;
    let delta = parse(delta, NOT_FLOAT)?;
    let sum = old.zip(delta).and_then(|(old, delta)| old.add(delta).text().ok());
    sum.ok_or(Error::fixed("ERR increment would produce NaN or Infinity"))
}

/// `INCRBYFLOAT key n`
pub fn incrbyfloat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let mut scratch = Vec::new();
    let old = ctx.db.text_to_change(key)?;
    let sum = float_sum(old.as_ref().map(|text| text.bytes(&mut scratch)), args.at(2), NOT_FLOAT)?;
    let expiry = ctx.db.peek(key).and_then(|entry| entry.expiry());
    // The sum is not tried as an integer: OBJECT ENCODING says embstr.
    ctx.db.put(key, NewValue::Text(&sum), expiry);
    ctx.db.changed(event::STRING, "incrbyfloat", key);
    ctx.out.bulk(&sum);
    ctx.db.log_instead(&[b"SET", key, &sum, b"KEEPTTL"]);
    Ok(())
}

/// Changes the string at `key` in place; it is `raw` from then on.
pub fn edit<R>(
    db: &mut Db<'_>,
    key: &[u8],
    change: impl FnOnce(&mut Vec<u8>) -> R,
) -> Result<R, Error> {
    if let Some(entry) = db.write(key)
        && let Some(Object::Text(text)) = entry.object_mut()
    {
        let result = change(text);
        entry.set_raw();
        return Ok(result);
    }
    let mut text = match db.text_to_change(key)? {
        Some(text) => text.bytes(&mut Vec::new()).to_vec(),
        None => Vec::new(),
    };
    let result = change(&mut text);
    match db.peek(key) {
        Some(entry) => entry.set_value(NewValue::Raw(text)),
        None => db.put(key, NewValue::Raw(text), None),
    }
    Ok(result)
}

/// `APPEND key value`
pub fn append(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (key, tail) = (args.at(1), args.at(2));
    let len = match ctx.db.text_to_change(key)? {
        None => {
            ctx.db.put(key, encode(tail), None);
            tail.len()
        }
        Some(text) => {
            let len = text.bytes(&mut Vec::new()).len() + tail.len();
            if len > ctx.config.proto_max_bulk_len {
                return Err(TOO_LONG);
            }
            edit(&mut ctx.db, key, |text| text.extend_from_slice(tail))?;
            len
        }
    };
    ctx.db.changed(event::STRING, "append", key);
    ctx.out.count(len);
    Ok(())
}

/// `SETRANGE key offset value`
pub fn setrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (key, value) = (args.at(1), args.at(3));
    let offset = parse::int(args.at(2))?;
    let offset = usize::try_from(offset).map_err(|_| Error::fixed("ERR offset is out of range"))?;
    let old = ctx.db.text_to_change(key)?.map(|text| text.bytes(&mut Vec::new()).len());
    if value.is_empty() {
        ctx.out.count(old.unwrap_or(0));
        return Ok(());
    }
    let end = offset.saturating_add(value.len());
    if end > ctx.config.proto_max_bulk_len {
        return Err(TOO_LONG);
    }
    let len = edit(&mut ctx.db, key, |text| {
        if text.len() < end {
            text.resize(end, 0);
        }
        text[offset..end].copy_from_slice(value);
        text.len()
    })?;
    ctx.db.changed(event::STRING, "setrange", key);
    ctx.out.count(len);
    Ok(())
}

/// `GETRANGE key start end`, also called SUBSTR
pub fn getrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (start, end) = (parse::int(args.at(2))?, parse::int(args.at(3))?);
    let Ctx { db, out, .. } = ctx;
    let Some(text) = db.text(args.at(1))? else {
        out.bulk(b"");
        return Ok(());
    };
    let mut scratch = Vec::new();
    let text = text.bytes(&mut scratch);
    let len = text.len() as i64;
    if start < 0 && end < 0 && start > end {
        out.bulk(b"");
        return Ok(());
    }
    let start = if start < 0 { (len + start).max(0) } else { start };
    let end = if end < 0 { (len + end).max(0) } else { end }.min(len - 1);
    if start > end || len == 0 {
        out.bulk(b"");
    } else {
        out.bulk(&text[start as usize..=end as usize]);
    }
    Ok(())
}
