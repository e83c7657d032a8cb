//! Keys, whatever their values are.

use box_wire::resp::Args;

use super::db::{Db, event};
use super::{Ctx, Done, Error, NO_KEY, SYNTAX, is, parse};
use crate::persist::value;
use crate::store::entry::{Entry, Value};
use crate::store::rng;
use crate::store::table::Element;
use crate::glob;

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
    let count = args.from(1).iter().filter(|key| ctx.db.read(key).is_some()).count();
    ctx.out.count(count);
    Ok(())
}

/// `TOUCH key [key ...]`
pub fn touch(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    exists(ctx, args)
}

fn type_name(entry: &Entry) -> &'static str {
    match entry.value() {
        Value::Object(object) => object.type_name(),
        _ => "string",
    }
}

/// `TYPE key`
pub fn type_(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let name = ctx.db.peek(args.at(1)).map_or("none", |entry| type_name(entry));
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
    use crate::store::entry::NewValue;
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
    ctx.db.changed(event::GENERIC, "move_from", key);
    ctx.db.id = to;
    place(&mut ctx.db, key, entry);
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
    let limits = ctx.db.limits;
    let Some(entry) = ctx.db.read(from) else {
        ctx.out.int(0);
        return Ok(());
    };
    let expiry = entry.expiry();
    let copied = clone_value(entry);
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
    if let Some(new) = copied.as_ref().and_then(|copied| copied.restore(&limits)) {
        ctx.db.put(to, new, expiry);
    }
    ctx.db.changed(event::GENERIC, "copy_to", to);
    ctx.db.id = source;
    ctx.out.int(1);
    Ok(())
}

/// A value in its RDB form, from which any number of copies are made.
struct Copied {
    raw: Option<Vec<u8>>,
    payload: Vec<u8>,
    parsed: Option<box_wire::rdb::read::Value<'static>>,
}

impl Copied {
    fn restore(&self, limits: &crate::types::Limits) -> Option<crate::store::entry::NewValue<'_>> {
        if let Some(raw) = &self.raw {
            return Some(crate::store::entry::NewValue::Raw(raw.clone()));
        }
        let _ = &self.payload;
        self.parsed.as_ref().and_then(|parsed| value::from_rdb(parsed, limits))
    }
}

fn clone_value(entry: &Entry) -> Option<Copied> {
    use box_wire::rdb::read;
    let raw = match entry.value() {
        Value::Text(text) if entry.is_raw() => Some(text.to_vec()),
        _ => None,
    };
    let mut payload = Vec::new();
    value::push_kind(&mut payload, entry.value());
    value::push_value(&mut payload, entry.value(), false);
    box_wire::rdb::write::seal_payload(&mut payload);
    let parsed = read::Reader::payload(&payload).ok().map(owned);
    Some(Copied { raw, payload: Vec::new(), parsed })
}

/// A parsed value that borrows nothing.
fn owned(value: box_wire::rdb::read::Value<'_>) -> box_wire::rdb::read::Value<'static> {
    use box_wire::rdb::read::{Bytes, Node, Value};
    fn own(bytes: Bytes<'_>) -> Bytes<'static> {
        Bytes::Owned(bytes.into_owned())
    }
    match value {
        Value::String(text) => Value::String(own(text)),
        Value::List(list) => Value::List(list.into_iter().map(own).collect()),
        Value::QuickList(nodes) => Value::QuickList(
            nodes
                .into_iter()
                .map(|node| match node {
                    Node::Packed(pack) => Node::Packed(pack),
                    Node::Plain(text) => Node::Plain(own(text)),
                })
                .collect(),
        ),
        Value::Set(members) => Value::Set(members.into_iter().map(own).collect()),
        Value::IntSet(ints) => Value::IntSet(ints),
        Value::Hash(pairs) => Value::Hash(pairs.into_iter().map(|(f, v)| (own(f), own(v))).collect()),
        Value::HashPack(pack) => Value::HashPack(pack),
        Value::Zset(pairs) => Value::Zset(pairs.into_iter().map(|(m, s)| (own(m), s)).collect()),
        Value::ZsetPack(pack) => Value::ZsetPack(pack),
        Value::SetPack(pack) => Value::SetPack(pack),
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

/// `WAIT numreplicas timeout`
pub fn wait(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    parse::int(args.at(1))?;
    parse::int_in(args.at(2), i64::MIN, i64::MAX, "ERR timeout is not an integer or out of range")?;
    ctx.out.int(0);
    Ok(())
}
