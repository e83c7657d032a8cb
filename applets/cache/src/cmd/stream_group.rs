//! Consumer groups: making them, and what their consumers have not acknowledged.

use box_wire::rdb::stream::Id;
use box_wire::resp::Args;

use super::db::event;
use super::stream::{push_entry, push_id, range_end, range_start, strict_id};
use super::stream_read::{log_claim, log_group_id, tell_consumer};
use super::{Ctx, Done, Error, SYNTAX, WRONG_TYPE, is, parse};
use crate::types::Stream;
use crate::types::stream::{Group, Nack, UNKNOWN};

/// How many entries XAUTOCLAIM looks at for each that it gives.
const ATTEMPTS: usize = 10;

fn no_group(key: &[u8], group: &[u8]) -> Error {
    let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
    Error::made(format!("NOGROUP No such key '{key}' or consumer group '{group}'"))
}

/// A subcommand was given other arguments than it takes.
pub fn bad_sub(args: Args<'_>) -> Error {
    let (sub, name) = (String::from_utf8_lossy(args.at(1)), args.at(0).to_ascii_uppercase());
    Error::made(format!(
        "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {} HELP.",
        String::from_utf8_lossy(&name)
    ))
}

struct Create {
    make_stream: bool,
    entries_read: i64,
}

fn create_options(args: Args<'_>, creates: bool) -> Result<Create, Error> {
    let mut options = Create { make_stream: false, entries_read: UNKNOWN };
    let mut at = 5;
    while let Some(word) = args.get(at) {
        match args.get(at + 1) {
            _ if creates && is(word, "mkstream") => options.make_stream = true,
            Some(count) if is(word, "entriesread") => {
                options.entries_read = parse::int(count)?;
                if options.entries_read < UNKNOWN {
                    return Err(Error::fixed("ERR value for ENTRIESREAD must be positive or -1"));
                }
                at += 1;
            }
            _ => return Err(bad_sub(args)),
        }
        at += 1;
    }
    Ok(options)
}

const NEEDS_KEY: Error = Error::fixed(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to \
     use the MKSTREAM option to create an empty stream automatically.",
);

/// The group that a subcommand is about.
fn group_of<'c>(ctx: &'c mut Ctx<'_>, args: Args<'_>) -> Result<&'c mut Stream, Error> {
    let (key, name) = (args.at(2), args.at(3));
    let stream = ctx.db.stream_mut(key)?.ok_or(NEEDS_KEY)?;
    if !stream.groups.contains_key(name) {
        let (key, name) = (String::from_utf8_lossy(key), String::from_utf8_lossy(name));
        return Err(Error::made(format!(
            "NOGROUP No such consumer group '{name}' for key name '{key}'"
        )));
    }
    Ok(stream)
}

/// `XGROUP CREATE key group id|$ [MKSTREAM] [ENTRIESREAD n]`
pub fn xgroup_create(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let options = create_options(args, true)?;
    let (key, name) = (args.at(2), args.at(3));
    let stream = ctx.db.stream_mut(key)?;
    if stream.is_none() && !options.make_stream {
        return Err(NEEDS_KEY);
    }
    let last_id = match args.at(4) {
        b"$" => stream.map_or(Id::MIN, |stream| stream.last_id),
        text => strict_id(text, 0)?,
    };
    let stream = ctx.db.stream_or_new(key, Box::default)?;
    if stream.groups.contains_key(name) {
        return Err(Error::fixed("BUSYGROUP Consumer Group name already exists"));
    }
    let group = Group { last_id, entries_read: options.entries_read, ..Group::default() };
    stream.groups.insert(name.to_vec(), group);
    ctx.out.ok();
    ctx.db.changed(event::STREAM, "xgroup-create", key);
    Ok(())
}

/// `XGROUP SETID key group id|$ [ENTRIESREAD n]`
pub fn xgroup_setid(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let options = create_options(args, false)?;
    let stream = group_of(ctx, args)?;
    let last_id = match args.at(4) {
        b"$" => stream.last_id,
        text => strict_id(text, 0)?,
    };
    if let Some(group) = stream.groups.get_mut(args.at(3)) {
        group.last_id = last_id;
        group.entries_read = options.entries_read;
    }
    ctx.out.ok();
    ctx.db.changed(event::STREAM, "xgroup-setid", args.at(2));
    Ok(())
}

/// `XGROUP DESTROY key group`
pub fn xgroup_destroy(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let stream = ctx.db.stream_mut(args.at(2))?.ok_or(NEEDS_KEY)?;
    let there = stream.groups.remove(args.at(3)).is_some();
    ctx.out.flag(there);
    if there {
        ctx.db.changed(event::STREAM, "xgroup-destroy", args.at(2));
        // Its consumers wait for nothing any more.
        ctx.db.signal(args.at(2));
    }
    Ok(())
}

/// `XGROUP CREATECONSUMER key group consumer`
pub fn xgroup_createconsumer(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let now = ctx.db.now;
    let stream = group_of(ctx, args)?;
    let new = stream.groups.get_mut(args.at(3)).is_some_and(|g| g.consumer(args.at(4), now).1);
    ctx.out.flag(new);
    if new {
        ctx.db.changed(event::STREAM, "xgroup-createconsumer", args.at(2));
    }
    Ok(())
}

/// `XGROUP DELCONSUMER key group consumer`
pub fn xgroup_delconsumer(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let stream = group_of(ctx, args)?;
    let Some(group) = stream.groups.get_mut(args.at(3)) else { return Err(WRONG_TYPE) };
    let gone = group.consumers.remove(args.at(4));
    let pending = gone.as_ref().map_or(0, |consumer| consumer.pending.len());
    for id in gone.iter().flat_map(|consumer| &consumer.pending) {
        group.pending.remove(id);
    }
    ctx.out.count(pending);
    if gone.is_some() {
        ctx.db.changed(event::STREAM, "xgroup-delconsumer", args.at(2));
    }
    Ok(())
}

/// `XGROUP HELP`
pub fn xgroup_help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "XGROUP",
        &[
            "CREATE <key> <groupname> <id|$> [option]",
            "    Create a new consumer group. Options are:",
            "    * MKSTREAM",
            "      Create the empty stream if it does not exist.",
            "    * ENTRIESREAD entries_read",
            "      Set the group's entries_read counter (internal use).",
            "CREATECONSUMER <key> <groupname> <consumer>",
            "    Create a new consumer in the specified group.",
            "DELCONSUMER <key> <groupname> <consumer>",
            "    Remove the specified consumer.",
            "DESTROY <key> <groupname>",
            "    Remove the specified group.",
            "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
            "    Set the current group ID and entries_read counter.",
        ],
    );
    Ok(())
}

/// `XACK key group id [id ...]`
pub fn xack(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let found = ctx.db.stream_mut(args.at(1))?.map(|s| s.groups.contains_key(args.at(2)));
    if found != Some(true) {
        ctx.out.int(0);
        return Ok(());
    }
    let ids: Vec<Id> =
        args.from(3).iter().map(|text| strict_id(text, 0)).collect::<Result<_, _>>()?;
    let stream = ctx.db.stream_mut(args.at(1))?.ok_or(WRONG_TYPE)?;
    let group = stream.groups.get_mut(args.at(2)).ok_or(WRONG_TYPE)?;
    let count = ids.into_iter().filter(|id| group.forget(*id).is_some()).count();
    ctx.out.count(count);
    ctx.db.effects.dirty += count as u64;
    Ok(())
}

struct Window {
    start: Id,
    end: Id,
    count: usize,
    idle_ms: i64,
    consumer: Option<Vec<u8>>,
}

fn window(args: Args<'_>) -> Result<Option<Window>, Error> {
    if args.len() == 3 {
        return Ok(None);
    }
    if !(6..=9).contains(&args.len()) {
        return Err(SYNTAX);
    }
    let (mut at, mut idle_ms) = (3, 0);
    if is(args.at(3), "idle") {
        idle_ms = parse::int(args.at(4))?;
        if args.len() < 8 {
            return Err(SYNTAX);
        }
        at = 5;
    }
    let count = parse::int(args.at(at + 2))?.max(0) as usize;
    let (start, end) = (range_start(args.at(at))?, range_end(args.at(at + 1))?);
    let consumer = args.get(at + 3).map(<[u8]>::to_vec);
    Ok(Some(Window { start, end, count, idle_ms, consumer }))
}

/// `XPENDING key group [[IDLE ms] start end count [consumer]]`
pub fn xpending(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let window = window(args)?;
    let Ctx { db, out, .. } = ctx;
    let now = db.now;
    let stream = db.stream(args.at(1))?;
    let group = stream.and_then(|stream| stream.groups.get(args.at(2)));
    let group = group.ok_or_else(|| no_group(args.at(1), args.at(2)))?;
    let Some(window) = window else {
        summary(out, group);
        return Ok(());
    };
    let owner = window.consumer.as_ref().map(|name| group.consumers.get(name));
    if owner.is_some_and(|found| found.is_none()) || window.start > window.end {
        out.array(0);
        return Ok(());
    }
    let (later, mut count) = (out.later(), 0);
    for (id, nack) in group.pending.range(window.start..=window.end) {
        if count == window.count {
            break;
        }
        let idle = now - nack.delivered_ms;
        let other = window.consumer.as_ref().is_some_and(|name| **name != *nack.consumer);
        if other || (window.idle_ms != 0 && idle < window.idle_ms) {
            continue;
        }
        out.array(4);
        push_id(out, *id);
        out.bulk(&nack.consumer);
        out.int(idle.max(0));
        out.int(nack.count as i64);
        count += 1;
    }
    out.array_at(later, count);
    Ok(())
}

fn summary(out: &mut super::reply::Out, group: &Group) {
    out.array(4);
    out.count(group.pending.len());
    let (first, last) = (group.pending.first_key_value(), group.pending.last_key_value());
    let (Some((first, _)), Some((last, _))) = (first, last) else {
        out.nil();
        out.nil();
        return out.nil_array();
    };
    push_id(out, *first);
    push_id(out, *last);
    let busy = group.consumers.values().filter(|consumer| !consumer.pending.is_empty());
    out.array(busy.clone().count());
    for consumer in busy {
        out.array(2);
        out.bulk(&consumer.name);
        out.bulk_int(consumer.pending.len() as i64);
    }
}

#[derive(Default)]
struct Claim {
    ids: Vec<Id>,
    min_idle_ms: i64,
    delivered_ms: Option<i64>,
    count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: Id,
}

fn claim_options(args: Args<'_>, now: i64) -> Result<Claim, Error> {
    let number = |text: &[u8], error: &'static str| parse::int_in(text, i64::MIN, i64::MAX, error);
    let mut claim = Claim {
        min_idle_ms: number(args.at(4), "ERR Invalid min-idle-time argument for XCLAIM")?.max(0),
        ..Claim::default()
    };
    let mut at = 5;
    while let Some(Ok(id)) = args.get(at).map(|text| strict_id(text, 0)) {
        claim.ids.push(id);
        at += 1;
    }
    while let Some(word) = args.get(at) {
        match args.get(at + 1) {
            _ if is(word, "force") => claim.force = true,
            _ if is(word, "justid") => claim.just_id = true,
            Some(value) => {
                match () {
                    () if is(word, "idle") => {
                        let idle = number(value, "ERR Invalid IDLE option argument for XCLAIM")?;
                        claim.delivered_ms = Some(now.wrapping_sub(idle));
                    }
                    () if is(word, "time") => {
                        let error = "ERR Invalid TIME option argument for XCLAIM";
                        claim.delivered_ms = Some(number(value, error)?);
                    }
                    () if is(word, "retrycount") => {
                        let error = "ERR Invalid RETRYCOUNT option argument for XCLAIM";
                        claim.count = u64::try_from(number(value, error)?).ok();
                    }
                    () if is(word, "lastid") => claim.last_id = strict_id(value, 0)?,
                    () => return Err(unknown_option(word)),
                }
                at += 1;
            }
            None => return Err(unknown_option(word)),
        }
        at += 1;
    }
    Ok(claim)
}

fn unknown_option(word: &[u8]) -> Error {
    Error::made(format!("ERR Unrecognized XCLAIM option '{}'", String::from_utf8_lossy(word)))
}

fn has_group(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let stream = ctx.db.stream_mut(args.at(1))?;
    let found = stream.is_some_and(|stream| stream.groups.contains_key(args.at(2)));
    if found { Ok(()) } else { Err(no_group(args.at(1), args.at(2))) }
}

/// `XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME ms] [RETRYCOUNT n] [FORCE] [JUSTID]`
pub fn xclaim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    ctx.db.read(args.at(1));
    has_group(ctx, args)?;
    let now = ctx.db.now;
    let claim = claim_options(args, now)?;
    let (key, name, consumer) = (args.at(1), args.at(2), args.at(3));
    let delivered_ms = claim.delivered_ms.filter(|at| (0..=now).contains(at)).unwrap_or(now);
    let stream = ctx.db.stream_mut(key)?.ok_or(WRONG_TYPE)?;
    let mut group = stream.groups.remove(name).ok_or(WRONG_TYPE)?;
    let advanced = claim.last_id > group.last_id;
    group.last_id = group.last_id.max(claim.last_id);
    let mut log: Vec<(Id, Nack)> = Vec::new();
    let (later, mut count, mut made) = (ctx.out.later(), 0, false);
    for id in claim.ids {
        if !stream.contains(id) {
            log.extend(group.forget(id).map(|nack| (id, nack)));
            continue;
        }
        match group.pending.get(&id) {
            None if claim.force => {}
            Some(nack) if now - nack.delivered_ms >= claim.min_idle_ms => {}
            _ => continue,
        }
        made |= seen_now(&mut group, consumer, now);
        if group.pending.contains_key(&id) {
            group.hand_over(id, consumer);
        } else {
            group.deliver(id, consumer, now);
        }
        let Some(nack) = group.pending.get_mut(&id) else { continue };
        nack.delivered_ms = delivered_ms;
        nack.count = match claim.count {
            Some(count) => count,
            None => nack.count + u64::from(!claim.just_id),
        };
        log.push((id, nack.clone()));
        count += 1;
        give(ctx.out, stream, id, claim.just_id);
    }
    ctx.out.array_at(later, count);
    finish(ctx, args, group, log, (made, advanced))
}

fn give(out: &mut super::reply::Out, stream: &Stream, id: Id, just_id: bool) {
    if just_id {
        return push_id(out, id);
    }
    stream.range(id, id, false, |entry| {
        push_entry(out, entry);
        false
    });
}

/// Makes the consumer if it is not there; it has been seen now. Whether it is new.
fn seen_now(group: &mut Group, name: &[u8], now: i64) -> bool {
    let (consumer, new) = group.consumer(name, now);
    consumer.seen_ms = now;
    new
}

/// Puts the group back and logs what has become of its entries.
fn finish(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    mut group: Group,
    log: Vec<(Id, Nack)>,
    (made, advanced): (bool, bool),
) -> Done {
    let (key, name) = (args.at(1), args.at(2));
    let (last, read) = (group.last_id, group.entries_read);
    if let Some(consumer) = group.consumers.get_mut(args.at(3))
        && !log.is_empty()
    {
        consumer.active_ms = ctx.db.now;
    }
    let stream = ctx.db.stream_mut(key)?.ok_or(WRONG_TYPE)?;
    stream.groups.insert(name.to_vec(), group);
    ctx.db.effects.not_verbatim = true;
    ctx.db.effects.dirty += log.len() as u64;
    if made {
        tell_consumer(&mut ctx.db, key, name, args.at(3));
    }
    if advanced && log.is_empty() {
        ctx.db.effects.dirty += 1;
        log_group_id(&mut ctx.db, key, name, last, read);
    }
    for (id, nack) in log {
        log_claim(&mut ctx.db, key, name, id, &nack, last);
    }
    Ok(())
}

/// `XAUTOCLAIM key group consumer min-idle-time start [COUNT n] [JUSTID]`
pub fn xautoclaim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    // The key is looked up before anything is said about the arguments.
    ctx.db.read(args.at(1));
    let error = "ERR Invalid min-idle-time argument for XAUTOCLAIM";
    let min_idle_ms = parse::int_in(args.at(4), i64::MIN, i64::MAX, error)?.max(0);
    let start = range_start(args.at(5))?;
    let (mut most, mut just_id) = (100usize, false);
    let mut at = 6;
    while let Some(word) = args.get(at) {
        match args.get(at + 1) {
            Some(count) if is(word, "count") => {
                let max = i64::MAX / 16;
                most = parse::int_in(count, 1, max, "ERR COUNT must be > 0")? as usize;
                at += 1;
            }
            _ if is(word, "justid") => just_id = true,
            _ => return Err(SYNTAX),
        }
        at += 1;
    }
    has_group(ctx, args)?;
    let now = ctx.db.now;
    let (key, name, consumer) = (args.at(1), args.at(2), args.at(3));
    let stream = ctx.db.stream_mut(key)?.ok_or(WRONG_TYPE)?;
    let mut group = stream.groups.remove(name).ok_or(WRONG_TYPE)?;
    let (mut log, mut gone, mut claimed, mut made) = (Vec::new(), Vec::new(), 0, false);
    let mut next = Some(start);
    ctx.out.array(3);
    let mut entries = super::reply::Out::new(ctx.out.resp3);
    for _ in 0..most.saturating_mul(ATTEMPTS) {
        if claimed + gone.len() == most {
            break;
        }
        let Some(id) = next.and_then(|from| Some(*group.pending.range(from..).next()?.0)) else {
            next = None;
            break;
        };
        next = id.next();
        if !stream.contains(id) {
            log.extend(group.forget(id).map(|nack| (id, nack)));
            gone.push(id);
            continue;
        }
        if group.pending.get(&id).is_none_or(|nack| now - nack.delivered_ms < min_idle_ms) {
            continue;
        }
        made |= seen_now(&mut group, consumer, now);
        group.hand_over(id, consumer);
        let Some(nack) = group.pending.get_mut(&id) else { continue };
        nack.delivered_ms = now;
        nack.count += u64::from(!just_id);
        log.push((id, nack.clone()));
        claimed += 1;
        give(&mut entries, stream, id, just_id);
    }
    let next = next.and_then(|from| Some(*group.pending.range(from..).next()?.0));
    push_id(ctx.out, next.unwrap_or(Id::MIN));
    ctx.out.array(claimed);
    ctx.out.raw(&entries.bytes);
    ctx.out.array(gone.len());
    gone.iter().for_each(|id| push_id(ctx.out, *id));
    finish(ctx, args, group, log, (made, false))
}
