//! Commands that wait for a key, and serving those who wait.

use std::sync::Arc;

use box_wire::resp::Args;

use super::db::Db;
use super::list::{end, keys_of, move_one, numkeys_word_count, pop_one};
use super::reply::Out;
use super::{Ctx, Done, Error, list, parse, zset};
use crate::server::Server;
use crate::server::blocked::{Waiter, Want};
use crate::server::mailbox::Message;
use crate::store::shard::Place;
use crate::types::list::End;

/// Tries what a waiter wants with one key; whether there was something.
fn attempt(db: &mut Db<'_>, out: &mut Out, key: &[u8], want: &Want) -> Result<bool, Error> {
    match want {
        Want::Pop(from) => {
            let Some(text) = pop_one(db, key, *from)? else { return Ok(false) };
            out.array(2);
            out.bulk(key);
            out.bulk(&text);
            db.log_instead(&[if *from == End::Head { b"LPOP" } else { b"RPOP" }, key]);
        }
        Want::Move(from, to, dest) => {
            let Some(text) = move_one(db, key, dest, (*from, *to))? else { return Ok(false) };
            out.bulk(&text);
            let word = |end: End| if end == End::Head { &b"left"[..] } else { b"right" };
            db.log_instead(&[b"LMOVE", key, dest, word(*from), word(*to)]);
        }
        Want::PopMany(from, count) => return list::pop_from(db, out, key, *from, *count),
        Want::ZPop(max) => {
            let taken = zset::take(db, key, *max, 1)?;
            let Some((member, score)) = taken.first() else { return Ok(false) };
            out.array(3);
            out.bulk(key);
            out.bulk(member);
            out.double(*score);
            db.log_instead(&[if *max { &b"ZPOPMAX"[..] } else { b"ZPOPMIN" }, key]);
        }
        Want::ZPopMany(max, count) => return zset::pop_from(db, out, key, *max, *count),
        Want::Acks(..) => return Ok(false),
        Want::Read(read) => return Ok(super::stream_read::serve(db, out, key, read)),
    }
    Ok(true)
}

fn wait_or_take(ctx: &mut Ctx<'_>, keys: Vec<Vec<u8>>, want: Want, timeout_ms: i64) -> Done {
    for key in &keys {
        if attempt(&mut ctx.db, ctx.out, key, &want)? {
            return Ok(());
        }
    }
    if ctx.in_exec {
        // In a transaction nobody waits: it is as if the time were over.
        match want {
            Want::Move(..) => ctx.out.nil(),
            _ => ctx.out.nil_array(),
        }
        return Ok(());
    }
    wait(ctx, keys, want, timeout_ms);
    Ok(())
}

/// Puts the client into the queues of its keys.
pub fn wait(ctx: &mut Ctx<'_>, keys: Vec<Vec<u8>>, want: Want, timeout_ms: i64) {
    let until = (timeout_ms > 0).then(|| ctx.db.now.saturating_add(timeout_ms));
    let client = (ctx.session.id(), ctx.session.worker, ctx.session.resp3);
    let waiter = Arc::new(Waiter::new(client, ctx.db.id, keys, want, until));
    for key in &waiter.keys {
        let queue = ctx.db.shard_of(key).waiting.entry((waiter.db, key.clone())).or_default();
        queue.push_back(waiter.clone());
    }
    ctx.session.blocked = Some(waiter);
}

fn keys_and_timeout(args: Args<'_>) -> Result<(Vec<Vec<u8>>, i64), Error> {
    let last = args.len() - 1;
    let timeout = parse::timeout(args.at(last))?;
    Ok((args.iter().skip(1).take(last - 1).map(<[u8]>::to_vec).collect(), timeout))
}

/// `BLPOP key [key ...] timeout`
pub fn blpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (keys, timeout) = keys_and_timeout(args)?;
    wait_or_take(ctx, keys, Want::Pop(End::Head), timeout)
}

/// `BRPOP key [key ...] timeout`
pub fn brpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (keys, timeout) = keys_and_timeout(args)?;
    wait_or_take(ctx, keys, Want::Pop(End::Tail), timeout)
}

/// `BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout`
pub fn blmove(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (from, to) = (end(args.at(3))?, end(args.at(4))?);
    let timeout = parse::timeout(args.at(5))?;
    let want = Want::Move(from, to, args.at(2).to_vec());
    wait_or_take(ctx, vec![args.at(1).to_vec()], want, timeout)
}

/// `BRPOPLPUSH source destination timeout`
pub fn brpoplpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let timeout = parse::timeout(args.at(3))?;
    let want = Want::Move(End::Tail, End::Head, args.at(2).to_vec());
    wait_or_take(ctx, vec![args.at(1).to_vec()], want, timeout)
}

/// `BLMPOP timeout numkeys key [key ...] LEFT|RIGHT [COUNT n]`
pub fn blmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let timeout = parse::timeout(args.at(1))?;
    let (args, word, count) = numkeys_word_count(args, 2)?;
    let want = Want::PopMany(end(word)?, count);
    wait_or_take(ctx, keys_of(args, 2).map(<[u8]>::to_vec).collect(), want, timeout)
}

/// `BZPOPMIN key [key ...] timeout`
pub fn bzpopmin(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (keys, timeout) = keys_and_timeout(args)?;
    wait_or_take(ctx, keys, Want::ZPop(false), timeout)
}

/// `BZPOPMAX key [key ...] timeout`
pub fn bzpopmax(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (keys, timeout) = keys_and_timeout(args)?;
    wait_or_take(ctx, keys, Want::ZPop(true), timeout)
}

/// `BZMPOP timeout numkeys key [key ...] MIN|MAX [COUNT n]`
pub fn bzmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let timeout = parse::timeout(args.at(1))?;
    let (args, word, count) = numkeys_word_count(args, 2)?;
    let want = Want::ZPopMany(zset::min_or_max(word)?, count);
    wait_or_take(ctx, keys_of(args, 2).map(<[u8]>::to_vec).collect(), want, timeout)
}

/// Serves those who wait for keys that have been made, first come first served. A move makes a
/// key in turn, so that the list may grow while it is worked off.
pub fn serve(server: &'static Server, worker: usize, now: i64, mut ready: Vec<(u32, Vec<u8>)>) {
    let mut at = 0;
    while at < ready.len() {
        let (db, key) = ready[at].clone();
        at += 1;
        let mut skip = 0;
        while let Some(waiter) = next_waiter(server, db, &key, skip) {
            if !waiter.claim() {
                skip += 1;
                continue;
            }
            match serve_one(server, worker, now, &waiter, &key) {
                Some(made) => ready.extend(made),
                None => {
                    waiter.unclaim();
                    skip += 1;
                }
            }
        }
    }
}

fn next_waiter(server: &Server, db: u32, key: &[u8], skip: usize) -> Option<Arc<Waiter>> {
    let shard = server.keyspace.shard(Place::of(key).shard);
    shard.waiting.get(&(db, key.to_vec()))?.get(skip).cloned()
}

/// Executes what a waiter wants in its place. The keys that this made, or `None` if there was
/// nothing for it.
fn serve_one(
    server: &'static Server,
    worker: usize,
    now: i64,
    waiter: &Arc<Waiter>,
    key: &[u8],
) -> Option<Vec<(u32, Vec<u8>)>> {
    let mut db = server.lock_db(worker, waiter.db, now, &waiter.places());
    let mut out = Out::new(waiter.resp3);
    match attempt(&mut db, &mut out, key, &waiter.want) {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) => match &waiter.want {
            // The destination is of another type: the waiter gets the error.
            Want::Move(..) if db.list_mut(key).is_ok_and(|list| list.is_some()) => {
                out.error(&error);
            }
            _ => return None,
        },
    }
    server.commit(&mut db, &[]);
    waiter.finish();
    leave(&mut db, waiter);
    let made = std::mem::take(&mut db.effects.ready);
    let news = std::mem::take(&mut db.effects.news);
    drop(db);
    server.tell(news, 0, None);
    server.post(waiter.worker, Message::Served(waiter.client, out.bytes));
    Some(made)
}

/// Takes a waiter out of the queues of all its keys.
fn leave(db: &mut Db<'_>, waiter: &Arc<Waiter>) {
    for key in &waiter.keys {
        let queue_key = (waiter.db, key.clone());
        let waiting = &mut db.shard_of(key).waiting;
        if let Some(queue) = waiting.get_mut(&queue_key) {
            queue.retain(|other| !Arc::ptr_eq(other, waiter));
            if queue.is_empty() {
                waiting.remove(&queue_key);
            }
        }
    }
}

/// Gives a waiter up: its time is over or its client has gone. Whether it still waited.
pub fn give_up(server: &'static Server, worker: usize, now: i64, waiter: &Arc<Waiter>) -> bool {
    if !waiter.claim() {
        return false;
    }
    waiter.finish();
    let mut db = server.lock_db(worker, waiter.db, now, &waiter.places());
    leave(&mut db, waiter);
    true
}
