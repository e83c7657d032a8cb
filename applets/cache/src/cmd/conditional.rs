//! What later versions of the incumbents have beside SET: changes that depend on the value that is
//! there (Valkey 8.1 and 9, Redis 8.4), and setting many strings under one condition.

use box_wire::resp::Args;

use super::db::event;
use super::string::{Unit, expiry_word, moment};
use super::{Ctx, Done, Error, SYNTAX, is, parse};
use crate::store::entry::Value;

/// Whether the string at `key` is equal to `wanted`, or is not, as `equal` asks. A key that is not
/// there is equal to nothing.
pub fn holds(ctx: &mut Ctx<'_>, key: &[u8], wanted: &[u8], equal: bool) -> Result<bool, Error> {
    let Some(text) = ctx.db.text_to_change(key)? else { return Ok(!equal) };
    Ok((text.bytes(&mut Vec::new()) == wanted) == equal)
}

fn delete(ctx: &mut Ctx<'_>, key: &[u8]) {
    ctx.db.remove(key);
    ctx.db.changed(event::GENERIC, "del", key);
    ctx.db.log_instead(&[b"DEL", key]);
}

/// `DELIFEQ key value`
pub fn delifeq(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let goes = holds(ctx, key, args.at(2), true)?;
    if goes {
        delete(ctx, key);
    }
    ctx.out.flag(goes);
    Ok(())
}

/// `DELEX key [IFEQ value|IFNE value]`
pub fn delex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let condition = match (args.len(), args.get(2)) {
        (2, _) => None,
        (4, Some(word)) if is(word, "ifeq") => Some(true),
        (4, Some(word)) if is(word, "ifne") => Some(false),
        _ => return Err(SYNTAX),
    };
    let is_string = ctx.db.write(key).map(|entry| !matches!(entry.value(), Value::Object(_)));
    let goes = match (is_string, condition) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(false), Some(_)) => {
            return Err(Error::fixed(
                "ERR Key should be of string type if conditions are specified",
            ));
        }
        (Some(true), Some(equal)) => holds(ctx, key, args.at(3), equal)?,
    };
    if goes {
        delete(ctx, key);
    }
    ctx.out.flag(goes);
    Ok(())
}

/// `MSETEX numkeys key value [key value ...] [NX|XX] [EX|PX|EXAT|PXAT n|KEEPTTL]`
pub fn msetex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let count = parse::int_in(args.at(1), 1, i64::from(i32::MAX), "ERR invalid numkeys value")?;
    let end = 2 + count as usize * 2;
    if end > args.len() {
        return Err(Error::fixed("ERR wrong number of key-value pairs"));
    }
    let (mut must_exist, mut keep, mut expiry) = (None, false, None);
    let mut at = end;
    while let Some(word) = args.get(at) {
        let timed = keep || expiry.is_some();
        match (expiry_word(word, ctx.db.now), args.get(at + 1)) {
            _ if is(word, "nx") && must_exist.is_none() => must_exist = Some(false),
            _ if is(word, "xx") && must_exist.is_none() => must_exist = Some(true),
            _ if is(word, "keepttl") && !timed => keep = true,
            (Some((unit, base)), Some(value)) if !timed => {
                expiry = Some(moment(value, unit == Unit::Seconds, base, "msetex")?);
                at += 1;
            }
            _ => return Err(SYNTAX),
        }
        at += 1;
    }
    let keys = (2..end).step_by(2);
    let fits = |ctx: &mut Ctx<'_>, at| must_exist.is_none_or(|m| ctx.db.exists(args.at(at)) == m);
    if !keys.clone().all(|at| fits(ctx, at)) {
        ctx.out.int(0);
        return Ok(());
    }
    for at in keys {
        let (key, value) = (args.at(at), args.at(at + 1));
        let kept = ctx.db.peek(key).and_then(|entry| entry.expiry()).filter(|_| keep);
        let until = expiry.or(kept);
        ctx.db.put_text(key, value, until);
        ctx.db.changed(event::STRING, "set", key);
        match until {
            Some(at) => {
                ctx.db.event(event::GENERIC, "expire", key);
                ctx.db.log_instead(&[b"SET", key, value, b"PXAT", at.to_string().as_bytes()]);
            }
            None => ctx.db.log_instead(&[b"SET", key, value]),
        }
    }
    ctx.out.int(1);
    Ok(())
}
