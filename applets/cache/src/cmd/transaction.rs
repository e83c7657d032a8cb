//! Transactions.

use box_wire::resp::Args;

use super::{Ctx, Done, Error};
use crate::server::clients;
use crate::server::session::{Multi, Session};
use crate::store::shard::Place;
use std::sync::atomic::Ordering;

/// `MULTI`
pub fn multi(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    if ctx.session.multi.is_some() {
        return Err(Error::fixed("ERR MULTI calls can not be nested"));
    }
    ctx.session.multi = Some(Multi::default());
    ctx.session.info.set_flag(clients::flag::MULTI, true);
    ctx.session.info.queued.store(1, Ordering::Relaxed);
    ctx.out.ok();
    Ok(())
}

/// Forgets the transaction.
pub fn end(session: &mut Session) -> Option<Multi> {
    session.info.set_flag(clients::flag::MULTI, false);
    session.info.queued.store(0, Ordering::Relaxed);
    session.multi.take()
}

/// `DISCARD`
pub fn discard(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    if end(ctx.session).is_none() {
        return Err(Error::fixed("ERR DISCARD without MULTI"));
    }
    forget_watched(ctx);
    ctx.out.ok();
    Ok(())
}

/// `WATCH key [key ...]`
pub fn watch(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if ctx.session.multi.is_some() {
        return Err(Error::fixed("ERR WATCH inside MULTI is not allowed"));
    }
    let flag = ctx.session.watch.flag();
    for key in args.from(1).iter() {
        let watched = (ctx.db.id, key.to_vec());
        if ctx.session.watch.keys.contains(&watched) {
            continue;
        }
        ctx.db.exists(key);
        let flags = ctx.db.shard_of(key).watched.entry(watched.clone()).or_default();
        flags.push(flag.clone());
        ctx.session.watch.keys.push(watched);
    }
    ctx.out.ok();
    Ok(())
}

/// `UNWATCH`
pub fn unwatch(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    forget_watched(ctx);
    ctx.out.ok();
    Ok(())
}

/// Takes the client's flag out of the shards that are held; others are left to [`unwatch_all`].
fn forget_watched(ctx: &mut Ctx<'_>) {
    let Some(flag) = ctx.session.watch.flag.take() else { return };
    for (db, key) in std::mem::take(&mut ctx.session.watch.keys) {
        let index = Place::of(&key).shard;
        if ctx.db.view.holds(index) {
            remove_flag(ctx.db.view.shard(index), db, key, &flag);
        } else {
            // EXEC, DISCARD and UNWATCH hold either all that is watched or nothing.
            remove_flag(&mut ctx.server.keyspace.shard(index), db, key, &flag);
        }
    }
}

fn remove_flag(
    shard: &mut crate::store::shard::Shard,
    db: u32,
    key: Vec<u8>,
    flag: &crate::store::shard::WatchFlag,
) {
    let watched = (db, key);
    if let Some(flags) = shard.watched.get_mut(&watched) {
        flags.retain(|other| !std::sync::Arc::ptr_eq(other, flag));
        if flags.is_empty() {
            shard.watched.remove(&watched);
        }
    }
}

/// Forgets all that a client watches, when it holds no shard.
pub fn unwatch_all(server: &crate::server::Server, session: &mut Session) {
    let Some(flag) = session.watch.flag.take() else { return };
    for (db, key) in std::mem::take(&mut session.watch.keys) {
        let index = Place::of(&key).shard;
        remove_flag(&mut server.keyspace.shard(index), db, key, &flag);
    }
}

/// `EXEC`
pub fn exec(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let Some(multi) = end(ctx.session) else {
        return Err(Error::fixed("ERR EXEC without MULTI"));
    };
    let dirty = ctx.session.watch.is_dirty() || watched_has_expired(ctx);
    forget_watched(ctx);
    if multi.broken {
        return Err(Error::fixed("EXECABORT Transaction discarded because of previous errors."));
    }
    if dirty {
        ctx.out.nil_array();
        return Ok(());
    }
    ctx.out.array(multi.queue.len());
    ctx.in_exec = true;
    let mut log: Vec<(u32, Vec<u8>)> = Vec::new();
    for queued in &multi.queue {
        ctx.db.id = ctx.session.db;
        super::dispatch::run_in_exec(ctx, queued.command, queued.args(), &mut log);
    }
    ctx.in_exec = false;
    ctx.db.effects.not_verbatim = true;
    log_as_one(ctx, log, false);
    Ok(())
}

/// Logs requests that happened at once; more than one, and not inside of another's, in MULTI and
/// EXEC.
pub fn log_as_one(ctx: &mut Ctx<'_>, mut log: Vec<(u32, Vec<u8>)>, inside: bool) {
    let instead = &mut ctx.db.effects.instead;
    if inside || log.len() < 2 {
        return instead.append(&mut log);
    }
    let (first, last) = (log[0].0, log[log.len() - 1].0);
    instead.push((first, b"*1\r\n$5\r\nMULTI\r\n".to_vec()));
    instead.append(&mut log);
    instead.push((last, b"*1\r\n$4\r\nEXEC\r\n".to_vec()));
}

/// Whether a watched key's time has come without anybody having looked at it.
fn watched_has_expired(ctx: &mut Ctx<'_>) -> bool {
    let keys = ctx.session.watch.keys.clone();
    let id = ctx.db.id;
    for (db, key) in &keys {
        if ctx.db.view.holds(Place::of(key).shard) {
            ctx.db.id = *db;
            ctx.db.exists(key);
        }
    }
    ctx.db.id = id;
    ctx.session.watch.is_dirty()
}
