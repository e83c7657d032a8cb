//! Sets.

use std::collections::HashSet;

use box_wire::resp::Args;

use super::db::{Db, event};
use super::hash::{COUNT_RANGE, pick};
use super::list::keys_of;
use super::{Ctx, Done, Error, SYNTAX, is, parse};
use crate::store::entry::NewValue;
use crate::types::{Object, Set};

/// `SADD key member [member ...]`
pub fn sadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (key, limits) = (args.at(1), ctx.db.limits);
    let set = ctx.db.set_or_new(key, || Set::for_member(args.at(2)))?;
    let added = args.from(2).iter().filter(|member| set.insert(member, &limits)).count();
    if added > 0 {
        ctx.db.changed(event::SET, "sadd", key);
        ctx.db.effects.dirty += added as u64 - 1;
    }
    ctx.out.count(added);
    Ok(())
}

/// `SREM key member [member ...]`
pub fn srem(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let mut removed = 0;
    if let Some(set) = ctx.db.set_mut(key)? {
        removed = args.from(2).iter().filter(|member| set.remove(member)).count();
    }
    if removed > 0 {
        ctx.db.changed(event::SET, "srem", key);
        ctx.db.remove_if_empty(key);
    }
    ctx.out.count(removed);
    Ok(())
}

/// `SMOVE source destination member`
pub fn smove(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (from, to, member, limits) = (args.at(1), args.at(2), args.at(3), ctx.db.limits);
    if ctx.db.set_mut(from)?.is_none() {
        ctx.out.flag(false);
        return Ok(());
    }
    ctx.db.set_mut(to)?;
    if from == to {
        let found = ctx.db.set_mut(from)?.is_some_and(|set| set.contains(member));
        ctx.out.flag(found);
        return Ok(());
    }
    if !ctx.db.set_mut(from)?.is_some_and(|set| set.remove(member)) {
        ctx.out.flag(false);
        return Ok(());
    }
    ctx.db.changed(event::SET, "srem", from);
    ctx.db.remove_if_empty(from);
    if ctx.db.set_or_new(to, || Set::for_member(member))?.insert(member, &limits) {
        ctx.db.changed(event::SET, "sadd", to);
    }
    ctx.out.flag(true);
    Ok(())
}

/// `SISMEMBER key member`
pub fn sismember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let found = ctx.db.set(args.at(1))?.is_some_and(|set| set.contains(args.at(2)));
    ctx.out.flag(found);
    Ok(())
}

/// `SMISMEMBER key member [member ...]`
pub fn smismember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let set = db.set(args.at(1))?;
    out.array(args.len() - 2);
    for member in args.from(2).iter() {
        out.flag(set.is_some_and(|set| set.contains(member)));
    }
    Ok(())
}

/// `SCARD key`
pub fn scard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let len = ctx.db.set(args.at(1))?.map_or(0, Set::len);
    ctx.out.count(len);
    Ok(())
}

/// `SMEMBERS key`
pub fn smembers(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    match db.set(args.at(1))? {
        None => out.set(0),
        Some(set) => {
            out.set(set.len());
            set.each(|member| out.bulk(member));
        }
    }
    Ok(())
}

/// `SRANDMEMBER key [count]`
pub fn srandmember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    if args.len() > 3 {
        return Err(SYNTAX);
    }
    let Some(count) = args.get(2) else {
        let member = db.set(args.at(1))?.and_then(Set::random);
        out.bulk_or_nil(member.as_deref());
        return Ok(());
    };
    let count = parse::int_in(count, -i64::MAX, i64::MAX, COUNT_RANGE)?;
    let Some(set) = db.set(args.at(1))? else {
        out.array(0);
        return Ok(());
    };
    let picked = pick(count, set.len(), || set.random(), || set.members());
    out.array(picked.len());
    picked.iter().for_each(|member| out.bulk(member));
    Ok(())
}

/// `SPOP key [count]`
pub fn spop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    if args.len() > 3 {
        return Err(SYNTAX);
    }
    let count = args.get(2).map(parse::positive).transpose()?;
    let Some(set) = ctx.db.set_mut(key)? else {
        match count {
            Some(_) => ctx.out.set(0),
            None => ctx.out.nil(),
        }
        return Ok(());
    };
    let picked = match count {
        Some(count) => pick(count, set.len(), || set.random(), || set.members()),
        None => set.random().into_iter().collect(),
    };
    picked.iter().for_each(|member| drop(set.remove(member)));
    match count {
        Some(_) => ctx.out.set(picked.len()),
        None if picked.is_empty() => ctx.out.nil(),
        None => {}
    }
    picked.iter().for_each(|member| ctx.out.bulk(member));
    if picked.is_empty() {
        return Ok(());
    }
    ctx.db.changed(event::SET, "spop", key);
    if ctx.db.remove_if_empty(key) {
        ctx.db.log_instead(&[&b"DEL"[..], key]);
    } else {
        let mut request = vec![&b"SREM"[..], key];
        request.extend(picked.iter().map(|member| &member[..]));
        ctx.db.log_instead(&request);
    }
    Ok(())
}

/// The members of the set at `key`.
fn members(db: &mut Db<'_>, key: &[u8]) -> Result<Option<Vec<Vec<u8>>>, Error> {
    Ok(db.set(key)?.map(Set::members))
}

fn intersection<'a>(
    db: &mut Db<'_>,
    keys: impl Iterator<Item = &'a [u8]> + Clone,
    limit: usize,
) -> Result<Vec<Vec<u8>>, Error> {
    let mut smallest: Option<(usize, &[u8])> = None;
    let mut missing = false;
    for key in keys.clone() {
        match db.set(key)? {
            None => missing = true,
            Some(set) if smallest.is_none_or(|(len, _)| set.len() < len) => {
                smallest = Some((set.len(), key));
            }
            Some(_) => {}
        }
    }
    let Some((_, first)) = smallest.filter(|_| !missing) else { return Ok(Vec::new()) };
    let mut common = members(db, first)?.unwrap_or_default();
    for key in keys.filter(|key| *key != first) {
        if let Some(set) = db.set(key)? {
            common.retain(|member| set.contains(member));
        }
    }
    common.truncate(limit);
    Ok(common)
}

fn union<'a>(
    db: &mut Db<'_>,
    keys: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Vec<u8>>, Error> {
    let limits = db.limits;
    let mut sum = Set::Ints(box_wire::rdb::intset::IntSet::new());
    for key in keys {
        if let Some(set) = db.set(key)? {
            set.each(|member| drop(sum.insert(member, &limits)));
        }
    }
    Ok(sum.members())
}

fn difference<'a>(
    db: &mut Db<'_>,
    mut keys: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Vec<u8>>, Error> {
    let first = keys.next().unwrap_or_default();
    let mut left = members(db, first)?.unwrap_or_default();
    let mut gone: HashSet<Vec<u8>> = HashSet::new();
    for key in keys {
        if let Some(set) = db.set(key)? {
            set.each(|member| drop(gone.insert(member.to_vec())));
        }
    }
    left.retain(|member| !gone.contains(member));
    Ok(left)
}

fn reply(ctx: &mut Ctx<'_>, members: &[Vec<u8>]) -> Done {
    ctx.out.set(members.len());
    members.iter().for_each(|member| ctx.out.bulk(member));
    Ok(())
}

fn store(ctx: &mut Ctx<'_>, dest: &[u8], members: &[Vec<u8>], name: &'static str) -> Done {
    let limits = ctx.db.limits;
    if members.is_empty() {
        if ctx.db.exists(dest) {
            ctx.db.remove(dest);
            ctx.db.changed(event::GENERIC, "del", dest);
        }
    } else {
        let mut set = Set::Ints(box_wire::rdb::intset::IntSet::new());
        members.iter().for_each(|member| drop(set.insert(member, &limits)));
        ctx.db.put(dest, NewValue::Object(Box::new(Object::Set(set))), None);
        ctx.db.changed(event::SET, name, dest);
    }
    ctx.out.count(members.len());
    Ok(())
}

/// `SINTER key [key ...]`
pub fn sinter(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let keys: Vec<_> = args.from(1).iter().collect();
    let members = intersection(&mut ctx.db, keys.into_iter(), usize::MAX)?;
    reply(ctx, &members)
}

/// `SINTERSTORE destination key [key ...]`
pub fn sinterstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let keys: Vec<_> = args.from(2).iter().collect();
    let members = intersection(&mut ctx.db, keys.into_iter(), usize::MAX)?;
    store(ctx, args.at(1), &members, "sinterstore")
}

/// `SINTERCARD numkeys key [key ...] [LIMIT n]`
pub fn sintercard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let count = parse::int_in(args.at(1), 1, i64::MAX, "ERR numkeys should be greater than 0")?;
    if count > args.len() as i64 - 2 {
        return Err(Error::fixed("ERR Number of keys can't be greater than number of args"));
    }
    let mut limit = 0;
    let mut at = 2 + count as usize;
    while let Some(word) = args.get(at) {
        match args.get(at + 1) {
            Some(value) if is(word, "limit") => {
                limit = parse::int_in(value, 0, i64::MAX, "ERR LIMIT can't be negative")?;
            }
            _ => return Err(SYNTAX),
        }
        at += 2;
    }
    let limit = if limit == 0 { usize::MAX } else { limit as usize };
    let keys: Vec<_> = keys_of(args, 1).collect();
    let members = intersection(&mut ctx.db, keys.into_iter(), limit)?;
    ctx.out.count(members.len());
    Ok(())
}

/// `SUNION key [key ...]`
pub fn sunion(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let members = union(&mut ctx.db, args.from(1).iter())?;
    reply(ctx, &members)
}

/// `SUNIONSTORE destination key [key ...]`
pub fn sunionstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let members = union(&mut ctx.db, args.from(2).iter())?;
    store(ctx, args.at(1), &members, "sunionstore")
}

/// `SDIFF key [key ...]`
pub fn sdiff(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let members = difference(&mut ctx.db, args.from(1).iter())?;
    reply(ctx, &members)
}

/// `SDIFFSTORE destination key [key ...]`
pub fn sdiffstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let members = difference(&mut ctx.db, args.from(2).iter())?;
    store(ctx, args.at(1), &members, "sdiffstore")
}
