//! Keys, whatever their values are.

use box_wire::resp::Args;

use super::db::{Db, event};
use super::{Ctx, Done, Error, NO_KEY, SYNTAX, is};
use crate::glob;
use crate::store::entry::{Entry, NewValue, Value};
use crate::store::rng;
use crate::store::table::Element;
use crate::types::Object;

/// `DEL key [key ...]`
pub fn del(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut removed = 0;
    for key in args.from(1).iter() {
        if ctx.db.exists(key) {
            ctx.db.remove(key);
            ctx.db.changed(event::GENERIC, "del", key);
            removed += 1;
        }
    }
    ctx.out.count(removed);
    Ok(())
}

/// `EXISTS key [key ...]`
pub fn exists(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let count = args.from(1).iter().filter(|key| ctx.db.glance(key).is_some()).count();
    ctx.out.count(count);
    Ok(())
}

/// `TOUCH key [key ...]`
pub fn touch(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let count = args.from(1).iter().filter(|key| ctx.db.read(key).is_some()).count();
    ctx.out.count(count);
    Ok(())
}

fn type_name(entry: &Entry) -> &'static str {
    match entry.value() {
        Value::Object(object) => object.type_name(),
        _ => "string",
    }
}

/// `TYPE key`
pub fn type_(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let name = ctx.db.glance(args.at(1)).map_or("none", |entry| type_name(entry));
    ctx.out.status(name);
    Ok(())
}

fn rename_to(ctx: &mut Ctx<'_>, args: Args<'_>, only_if_free: bool) -> Result<bool, Error> {
    let (from, to) = (args.at(1), args.at(2));
    if ctx.db.write(from).is_none() {
        return Err(NO_KEY);
    }
    if from == to {
        return Ok(!only_if_free);
    }
    if ctx.db.exists(to) {
        if only_if_free {
            return Ok(false);
        }
        ctx.db.remove(to);
    }
    let Some(entry) = ctx.db.take(from) else { return Err(NO_KEY) };
    place(&mut ctx.db, to, entry);
    ctx.db.changed(event::GENERIC, "rename_from", from);
    ctx.db.changed(event::GENERIC, "rename_to", to);
    Ok(true)
}

/// Puts an entry under another name.
fn place(db: &mut Db<'_>, key: &[u8], entry: Entry) {
    let expiry = entry.expiry();
    let text = match entry.value() {
        Value::Int(value) => return db.put(key, NewValue::Int(value), expiry),
        Value::Text(text) => Some((text.to_vec(), entry.is_raw())),
        Value::Object(_) => None,
    };
    match text {
        Some((text, true)) => db.put(key, NewValue::Raw(text), expiry),
        Some((text, false)) => db.put(key, NewValue::Text(&text), expiry),
        None => {
            if let Some(object) = entry.into_object() {
                db.put(key, NewValue::Object(object), expiry);
            }
        }
    }
}

/// `RENAME key newkey`
pub fn rename(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    rename_to(ctx, args, false)?;
    ctx.out.ok();
    Ok(())
}

/// `RENAMENX key newkey`
pub fn renamenx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let renamed = rename_to(ctx, args, true)?;
    ctx.out.flag(renamed);
    Ok(())
}

fn db_number(ctx: &Ctx<'_>, text: &[u8], error: &'static str) -> Result<u32, Error> {
    let number = box_wire::decimal::parse_i64(text).ok_or(super::NOT_INTEGER)?;
    u32::try_from(number)
        .ok()
        .filter(|number| (*number as usize) < ctx.server.databases)
        .ok_or(Error::fixed(error))
}

/// `MOVE key db`
pub fn move_(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let from = ctx.db.id;
    let to = db_number(ctx, args.at(2), "ERR DB index is out of range")?;
    if from == to {
        return Err(Error::fixed("ERR source and destination objects are the same"));
    }
    if ctx.db.write(key).is_none() {
        ctx.out.int(0);
        return Ok(());
    }
    ctx.db.id = to;
    let taken = ctx.db.exists(key);
    ctx.db.id = from;
    if taken {
        ctx.out.int(0);
        return Ok(());
    }
    let Some(entry) = ctx.db.take(key) else { return Ok(()) };
    ctx.db.id = to;
    place(&mut ctx.db, key, entry);
    ctx.db.id = from;
    ctx.db.changed(event::GENERIC, "move_from", key);
    ctx.db.id = to;
    ctx.db.changed(event::GENERIC, "move_to", key);
    ctx.db.id = from;
    ctx.out.int(1);
    Ok(())
}

/// `COPY source destination [DB n] [REPLACE]`
pub fn copy(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (from, to) = (args.at(1), args.at(2));
    let source = ctx.db.id;
    let (mut dest, mut replace, mut at) = (source, false, 3);
    while let Some(word) = args.get(at) {
        if is(word, "replace") {
            replace = true;
        } else if let (true, Some(number)) = (is(word, "db"), args.get(at + 1)) {
            dest = db_number(ctx, number, "ERR DB index is out of range")?;
            at += 1;
        } else {
            return Err(SYNTAX);
        }
        at += 1;
    }
    if source == dest && from == to {
        return Err(Error::fixed("ERR source and destination objects are the same"));
    }
    let Some(entry) = ctx.db.read(from) else {
        ctx.out.int(0);
        return Ok(());
    };
    let expiry = entry.expiry();
    let copied = Copied::of(entry);
    ctx.db.id = dest;
    let taken = ctx.db.exists(to);
    if taken && !replace {
        ctx.db.id = source;
        ctx.out.int(0);
        return Ok(());
    }
    if taken {
        ctx.db.remove(to);
    }
    copied.store(&mut ctx.db, to, expiry);
    ctx.db.changed(event::GENERIC, "copy_to", to);
    ctx.db.id = source;
    ctx.out.int(1);
    Ok(())
}

/// A copy of a value, in the encoding that the value has.
enum Copied {
    Int(i64),
    Text(Vec<u8>, bool),
    Object(Box<Object>),
}

impl Copied {
    fn of(entry: &Entry) -> Copied {
        match entry.value() {
            Value::Int(value) => Copied::Int(value),
            Value::Text(text) => Copied::Text(text.to_vec(), entry.is_raw()),
            Value::Object(object) => Copied::Object(Box::new(object.duplicate())),
        }
    }

    fn store(self, db: &mut Db<'_>, key: &[u8], expiry: Option<i64>) {
        match self {
            Copied::Int(value) => db.put(key, NewValue::Int(value), expiry),
            Copied::Text(text, true) => db.put(key, NewValue::Raw(text), expiry),
            Copied::Text(text, false) => db.put(key, NewValue::Text(&text), expiry),
            Copied::Object(object) => db.put(key, NewValue::Object(object), expiry),
        }
    }
}

/// `KEYS pattern`
pub fn keys(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let (later, pattern) = (out.later(), args.at(1));
    let (id, now) = (db.id as usize, db.now);
    let mut count = 0;
    db.each_shard(|shard| {
        for entry in shard.dbs[id].iter() {
            let alive = entry.expiry().is_none_or(|at| at > now);
            if alive && glob::matches(pattern, entry.key(), false) {
                out.bulk(entry.key());
                count += 1;
            }
        }
    });
    out.array_at(later, count);
    Ok(())
}

/// `RANDOMKEY`
pub fn randomkey(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let (id, now) = (ctx.db.id as usize, ctx.db.now);
    let mut total = 0;
    ctx.db.each_shard(|shard| total += shard.dbs[id].len());
    let mut found: Option<Vec<u8>> = None;
    for _ in 0..100 {
        if total == 0 || found.is_some() {
            break;
        }
        let mut skip = rng::below(total);
        ctx.db.each_shard(|shard| {
            let table = &shard.dbs[id];
            if skip != usize::MAX && skip < table.len() {
                let entry = table.random();
                found = entry
                    .filter(|entry| entry.expiry().is_none_or(|at| at > now))
                    .map(|entry| entry.key().to_vec());
                skip = usize::MAX;
            } else if skip != usize::MAX {
                skip -= table.len();
            }
        });
    }
    ctx.out.bulk_or_nil(found.as_deref());
    Ok(())
}

/// `DBSIZE`
pub fn dbsize(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let id = ctx.db.id as usize;
    let mut keys = 0;
    ctx.db.each_shard(|shard| keys += shard.dbs[id].len());
    ctx.out.count(keys);
    Ok(())
}
