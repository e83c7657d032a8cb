//! XREAD and XREADGROUP: entries behind an ID, for oneself or for a consumer of a group.

use box_wire::rdb::stream::Id;
use box_wire::resp::Args;

use super::blocking::wait;
use super::db::Db;
use super::reply::Out;
use super::stream::{id_text, push_entry, push_id, push_range, strict_id};
use super::{Ctx, Done, Error, SYNTAX, WRONG_TYPE, is, keys, parse};
use crate::server::blocked::{Read, Want};
use crate::types::Stream;
use crate::types::stream::{Nack, UNKNOWN};

/// How many entries a client that has waited gets, if it names no number.
const WAITED_COUNT: usize = 1000;

#[derive(Default)]
struct Options {
    timeout_ms: Option<i64>,
    count: usize,
    group: Option<(Vec<u8>, Vec<u8>)>,
    noack: bool,
}

fn options(args: Args<'_>, grouped: bool) -> Result<Options, Error> {
    let only = |word: &str| {
        Error::made(format!(
            "ERR The {word} option is only supported by XREADGROUP. You called XREAD instead."
        ))
    };
    let mut options = Options::default();
    let mut at = 1;
    while let Some(word) = args.get(at) {
        let more = args.len() - at - 1;
        match () {
            () if is(word, "block") && more > 0 => {
                at += 1;
                options.timeout_ms = Some(parse::timeout_ms(args.at(at))?);
            }
            () if is(word, "count") && more > 0 => {
                at += 1;
                options.count = parse::int(args.at(at))?.max(0) as usize;
            }
            () if is(word, "streams") && more > 0 => {
                if !more.is_multiple_of(2) {
                    return Err(Error::fixed(
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' \
                         must be specified.",
                    ));
                }
                if grouped && options.group.is_none() {
                    return Err(Error::fixed("ERR Missing GROUP option for XREADGROUP"));
                }
                return Ok(options);
            }
            () if is(word, "group") && more >= 2 => {
                if !grouped {
                    return Err(only("GROUP"));
                }
                options.group = Some((args.at(at + 1).to_vec(), args.at(at + 2).to_vec()));
                at += 2;
            }
            () if is(word, "noack") => {
                if !grouped {
                    return Err(only("NOACK"));
                }
                options.noack = true;
            }
            () => return Err(SYNTAX),
        }
        at += 1;
    }
    Err(SYNTAX)
}

/// Where a client wants to read from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// Behind an ID.
    Id(Id),
    /// What its group has not been given yet.
    New,
}

fn start(ctx: &mut Ctx<'_>, key: &[u8], id: &[u8], options: &Options) -> Result<From, Error> {
    if let Some((group, _)) = &options.group {
        let found = ctx.db.stream(key)?.is_some_and(|stream| stream.groups.contains_key(group));
        if !found {
            let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
            return Err(Error::made(format!(
                "NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP with GROUP \
                 option"
            )));
        }
    }
    let last_id = match options.group {
        // Looked up here for its type, and again when it is served.
        None => ctx.db.stream(key)?.map_or(Id::MIN, |stream| stream.last_id),
        Some(_) => Id::MIN,
    };
    match (id, options.group.is_some()) {
        (b"$", true) => Err(Error::fixed(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the \
             history of this consumer by specifying a proper ID, or use the > ID to get new \
             messages. The $ ID would just return an empty result set.",
        )),
        (b"$", false) => Ok(From::Id(last_id)),
        (b">", false) => Err(Error::fixed(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
             <consumer> option.",
        )),
        (b">", true) => Ok(From::New),
        _ => Ok(From::Id(strict_id(id, 0)?)),
    }
}

fn read(ctx: &mut Ctx<'_>, args: Args<'_>, grouped: bool) -> Done {
    let options = options(args, grouped)?;
    let streams = keys::streams_of(args);
    let count = streams.len();
    let mut from = Vec::with_capacity(count);
    for at in streams.clone() {
        from.push(start(ctx, args.at(at), args.at(at + count), &options)?);
    }
    let (later, mut served) = (ctx.out.later(), 0);
    for (at, from) in streams.clone().zip(&from) {
        let key = args.at(at);
        if serve_now(ctx, key, *from, &options)? {
            served += 1;
        }
    }
    if served > 0 {
        if ctx.out.resp3 {
            ctx.out.map_at(later, served);
        } else {
            ctx.out.array_at(later, served);
        }
        return Ok(());
    }
    match options.timeout_ms {
        Some(timeout_ms) if !ctx.in_exec => {
            let keys: Vec<Vec<u8>> = streams.map(|at| args.at(at).to_vec()).collect();
            let ids = from.iter().map(|from| if let From::Id(id) = from { *id } else { Id::MAX });
            let mut after: Vec<(Vec<u8>, Id)> = Vec::new();
            for (key, id) in keys.iter().zip(ids) {
                if after.iter().all(|(known, _)| known != key) {
                    after.push((key.clone(), id));
                }
            }
            let count = if options.count == 0 { WAITED_COUNT } else { options.count };
            let (group, noack) = (options.group, options.noack);
            let keys = after.iter().map(|(key, _)| key.clone()).collect();
            wait(ctx, keys, Want::Read(Read { after, count, group, noack }), timeout_ms);
        }
        _ => ctx.out.nil_array(),
    }
    Ok(())
}

/// Gives what there is of one stream; whether there was something to tell.
fn serve_now(ctx: &mut Ctx<'_>, key: &[u8], from: From, options: &Options) -> Result<bool, Error> {
    let count = options.count;
    let Some((group, consumer)) = &options.group else {
        let From::Id(after) = from else { return Ok(false) };
        let Ctx { db, out, .. } = ctx;
        let Some(stream) = db.stream(key)? else { return Ok(false) };
        if stream.edge(true).is_none_or(|last| last <= after) {
            return Ok(false);
        }
        push_key(out, key);
        push_behind(out, stream, after, count);
        return Ok(true);
    };
    match from {
        From::New => {
            let new = ctx.db.stream(key)?.is_some_and(|stream| {
                let given = stream.groups.get(group).map_or(Id::MAX, |group| group.last_id);
                stream.edge(true).is_some_and(|last| last > given)
            });
            if !new {
                return Ok(false);
            }
            make_consumer(&mut ctx.db, key, group, consumer)?;
            push_key(ctx.out, key);
            let given = (&group[..], &consumer[..]);
            deliver(&mut ctx.db, ctx.out, key, given, count, options.noack)?;
        }
        From::Id(after) => {
            make_consumer(&mut ctx.db, key, group, consumer)?;
            push_key(ctx.out, key);
            history(ctx, key, (group, consumer), after, count)?;
        }
    }
    Ok(true)
}

fn push_key(out: &mut Out, key: &[u8]) {
    if !out.resp3 {
        out.array(2);
    }
    out.bulk(key);
}

fn push_behind(out: &mut Out, stream: &Stream, after: Id, count: usize) {
    let start = after.next().unwrap_or(Id::MAX);
    push_range(out, stream, (start, Id::MAX), false, (count > 0).then_some(count));
}

/// Makes the consumer, if it is not there; it has been seen now.
fn make_consumer(db: &mut Db<'_>, key: &[u8], group: &[u8], consumer: &[u8]) -> Done {
    let now = db.now;
    let stream = db.stream_mut(key)?.ok_or(WRONG_TYPE)?;
    let owner = stream.groups.get_mut(group).ok_or(WRONG_TYPE)?;
    let (made, new) = owner.consumer(consumer, now);
    made.seen_ms = now;
    if new {
        tell_consumer(db, key, group, consumer);
    }
    Ok(())
}

/// Tells that a consumer has been made.
pub fn tell_consumer(db: &mut Db<'_>, key: &[u8], group: &[u8], consumer: &[u8]) {
    db.changed(super::db::event::STREAM, "xgroup-createconsumer", key);
    db.log_instead(&[b"XGROUP", &b"CREATECONSUMER"[..], key, group, consumer]);
}

/// Gives a consumer what its group has not been given yet.
fn deliver(
    db: &mut Db<'_>,
    out: &mut Out,
    key: &[u8],
    (group, consumer): (&[u8], &[u8]),
    count: usize,
    noack: bool,
) -> Done {
    let now = db.now;
    let stream = db.stream_mut(key)?.ok_or(WRONG_TYPE)?;
    let Some(mut owner) = stream.groups.remove(group) else { return Err(WRONG_TYPE) };
    let (later, mut given) = (out.later(), Vec::new());
    let start = owner.last_id.next().unwrap_or(Id::MAX);
    stream.range(start, Id::MAX, false, |entry| {
        push_entry(out, entry);
        given.push(entry.id);
        count == 0 || given.len() < count
    });
    out.array_at(later, given.len());
    for id in &given {
        if owner.entries_read != UNKNOWN && !stream.has_gaps_from(*id) {
            owner.entries_read += 1;
        } else if stream.entries_added > 0 {
            owner.entries_read = stream.added_up_to(*id).unwrap_or(UNKNOWN);
        }
        owner.last_id = *id;
        if !noack {
            owner.deliver(*id, consumer, now);
        }
    }
    if let Some(consumer) = owner.consumers.get_mut(consumer)
        && !given.is_empty()
    {
        consumer.active_ms = now;
    }
    let (last, read) = (owner.last_id, owner.entries_read);
    stream.groups.insert(group.to_vec(), owner);
    db.effects.dirty += 1;
    if noack || given.is_empty() {
        log_group_id(db, key, group, last, read);
        return Ok(());
    }
    for id in given {
        let nack = Nack { delivered_ms: now, count: 1, consumer: consumer.into() };
        log_claim(db, key, group, id, &nack, last);
    }
    log_group_id(db, key, group, last, read);
    Ok(())
}

/// Gives a consumer what it has been given before and has not acknowledged.
fn history(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    (group, consumer): (&[u8], &[u8]),
    after: Id,
    count: usize,
) -> Done {
    let now = ctx.db.now;
    let stream = ctx.db.stream_mut(key)?.ok_or(WRONG_TYPE)?;
    let Some(mut owner) = stream.groups.remove(group) else { return Err(WRONG_TYPE) };
    let start = after.next().unwrap_or(Id::MAX);
    let pending = owner.consumers.get(consumer).into_iter().flat_map(|c| c.pending.range(start..));
    let most = if count == 0 { usize::MAX } else { count };
    let ids: Vec<Id> = pending.take(most).copied().collect();
    ctx.out.array(ids.len());
    for id in ids {
        let mut found = false;
        stream.range(id, id, false, |entry| {
            push_entry(ctx.out, entry);
            found = true;
            false
        });
        match owner.pending.get_mut(&id) {
            Some(nack) if found => {
                nack.delivered_ms = now;
                nack.count += 1;
            }
            _ => {
                ctx.out.array(2);
                push_id(ctx.out, id);
                ctx.out.nil_array();
            }
        }
    }
    stream.groups.insert(group.to_vec(), owner);
    ctx.db.effects.dirty += 1;
    ctx.db.effects.not_verbatim = true;
    Ok(())
}

/// Logs that a group has been given entries up to an ID.
pub fn log_group_id(db: &mut Db<'_>, key: &[u8], group: &[u8], last: Id, read: i64) {
    let (last, read) = (id_text(last), read.to_string());
    let words = [b"XGROUP", &b"SETID"[..], key, group, &last, b"ENTRIESREAD", read.as_bytes()];
    db.log_instead(&words);
}

/// Logs that an entry is pending.
pub fn log_claim(db: &mut Db<'_>, key: &[u8], group: &[u8], id: Id, nack: &Nack, last: Id) {
    let (id, last) = (id_text(id), id_text(last));
    let (at, count) = (nack.delivered_ms.to_string(), nack.count.to_string());
    db.log_instead(&[
        b"XCLAIM",
        key,
        group,
        &nack.consumer,
        b"0",
        &id,
        b"TIME",
        at.as_bytes(),
        b"RETRYCOUNT",
        count.as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        &last,
    ]);
}

/// Serves a client that has waited for `key`; whether there was something for it.
pub fn serve(db: &mut Db<'_>, out: &mut Out, key: &[u8], read: &Read) -> bool {
    let Some((_, after)) = read.after.iter().find(|(known, _)| known == key) else { return false };
    let Some((group, consumer)) = &read.group else {
        let Ok(Some(stream)) = db.stream(key) else { return false };
        if stream.last_id <= *after {
            return false;
        }
        head_of_one(out, key);
        push_behind(out, stream, *after, read.count);
        return true;
    };
    let given = match db.stream(key) {
        Ok(Some(stream)) => stream.groups.get(group).map(|group| (group.last_id, stream.last_id)),
        _ => {
            out.error(&Error::fixed("UNBLOCKED the stream key no longer exists"));
            return true;
        }
    };
    match given {
        None => {
            out.error(&Error::fixed(
                "NOGROUP the consumer group this client was blocked on no longer exists",
            ));
            true
        }
        Some((given, last)) if last > given => {
            head_of_one(out, key);
            make_consumer(db, key, group, consumer).is_ok()
                && deliver(db, out, key, (group, consumer), read.count, read.noack).is_ok()
        }
        Some(_) => false,
    }
}

fn head_of_one(out: &mut Out, key: &[u8]) {
    if out.resp3 {
        out.map(1);
    } else {
        out.array(1);
    }
    push_key(out, key);
}

/// `XREAD [COUNT n] [BLOCK ms] STREAMS key [key ...] id [id ...]`
pub fn xread(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    read(ctx, args, false)
}

/// `XREADGROUP GROUP group consumer [COUNT n] [BLOCK ms] [NOACK] STREAMS key [key ...] id [id ...]`
pub fn xreadgroup(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    read(ctx, args, true)
}
