//! Replication: who follows whom.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use box_wire::decimal::parse_i64;
use box_wire::resp::Args;

use super::{Ctx, Done, Error, NOT_INTEGER, SYNTAX, is, parse};
use crate::repl::link::stage;
use crate::repl::{Replica, state};
use crate::server::blocked::{Waiter, Want};
use crate::server::clients::flag;
use crate::server::session::After;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `REPLICAOF host port`, `REPLICAOF NO ONE`
pub fn replicaof(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if is(args.at(1), "no") && is(args.at(2), "one") {
        if ctx.server.repl.is_replica() {
            ctx.session.after = Some(After::FollowNobody);
            ctx.server.logger.notice(&format!(
                "MASTER MODE enabled (user request from '{}')",
                ctx.session.info.line(ctx.db.now)
            ));
        }
        ctx.out.ok();
        return Ok(());
    }
    if ctx.session.replica.is_some() {
        return Err(Error::fixed("ERR Command is not valid when client is a replica."));
    }
    let port = parse_i64(args.at(2)).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(Error::fixed("ERR Invalid master port"))?;
    let host = text(args.at(1));
    if ctx.server.repl.link.target() == Some((host.clone(), port)) {
        ctx.server.logger.notice(
            "REPLICAOF would result into synchronization with the master we are already connected \
             with. No operation performed.",
        );
        ctx.out.status("OK Already connected to specified master");
        return Ok(());
    }
    ctx.server.logger.notice(&format!(
        "REPLICAOF {host}:{port} enabled (user request from '{}')",
        ctx.session.info.line(ctx.db.now)
    ));
    ctx.session.after = Some(After::Follow(host, port));
    ctx.out.ok();
    Ok(())
}

/// The client's state as a replica, made when it is needed first.
fn replica<'s>(ctx: &'s mut Ctx<'_>) -> &'s Arc<Replica> {
    let info = ctx.session.info.clone();
    ctx.session.replica.get_or_insert_with(|| {
        let replica = Replica { client: info.id, worker: info.worker, ..Replica::default() };
        let address = info.addr.rsplit_once(':').map_or("", |(ip, _)| ip).trim_matches(['[', ']']);
        address.clone_into(&mut replica.address.lock().unwrap_or_else(PoisonError::into_inner));
        Arc::new(replica)
    })
}

/// `REPLCONF option value [option value ...]`
pub fn replconf(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if args.len().is_multiple_of(2) {
        return Err(SYNTAX);
    }
    let now = ctx.db.now;
    for at in (1..args.len()).step_by(2) {
        let (option, value) = (args.at(at), args.at(at + 1));
        let number = || parse_i64(value).ok_or(NOT_INTEGER);
        match () {
            () if is(option, "listening-port") => {
                let port = number()? as usize;
                replica(ctx).port.store(port, Ordering::Relaxed);
            }
            () if is(option, "ip-address") => {
                let address = text(value);
                let own = replica(ctx);
                *own.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
            }
            () if is(option, "capa") => {
                let own = replica(ctx);
                if is(value, "eof") {
                    own.eof.store(true, Ordering::Relaxed);
                } else if is(value, "psync2") {
                    own.psync2.store(true, Ordering::Relaxed);
                }
            }
            () if is(option, "ack") => {
                // A sign of life: no reply.
                if let Some(own) = &ctx.session.replica {
                    let offset = u64::try_from(number()?).unwrap_or(0);
                    own.acked.fetch_max(offset, Ordering::Relaxed);
                    own.acked_ms.store(now, Ordering::Relaxed);
                    if own.is(state::SENT) && !own.rdb_only.load(Ordering::Relaxed) {
                        own.state.store(state::ONLINE, Ordering::Release);
                    }
                    ctx.session.after = Some(After::Acknowledged);
                }
                return Ok(());
            }
            () if is(option, "getack") => return Ok(()),
            () if is(option, "rdb-only") => {
                let only = number()? == 1;
                replica(ctx).rdb_only.store(only, Ordering::Relaxed);
            }
            () if is(option, "rdb-filter-only") => {
                let own = replica(ctx);
                for word in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
                    if !is(word, "functions") {
                        let word = text(word);
                        return Err(Error::made(format!(
                            "ERR Unsupported rdb-filter-only option: {word}"
                        )));
                    }
                    own.functions_only.store(true, Ordering::Relaxed);
                }
            }
            () if is(option, "version") => {}
            () => {
                let option = text(option);
                return Err(Error::made(format!("ERR Unrecognized REPLCONF option: {option}")));
            }
        }
    }
    ctx.out.ok();
    Ok(())
}

/// `SYNC`
pub fn sync(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    begin(ctx, args, true)
}

/// `PSYNC replicationid offset [FAILOVER]`
pub fn psync(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    begin(ctx, args, false)
}

/// Called with all shards held, so that the stream does not grow meanwhile.
fn begin(ctx: &mut Ctx<'_>, args: Args<'_>, old: bool) -> Done {
    if ctx.session.info.has_flag(flag::REPLICA) {
        return Ok(());
    }
    let repl = &ctx.server.repl;
    if args.get(3).is_some_and(|word| is(word, "failover")) {
        take_over(ctx, args)?;
    }
    if repl.is_replica() && !repl.link.is_up() {
        return Err(Error::fixed("NOMASTERLINK Can't SYNC while not connected with my master"));
    }
    let size = ctx.config.get("repl-backlog-size").parse().unwrap_or(1 << 20);
    let first = !repl.is_active();
    repl.activate(size);
    let own = replica(ctx).clone();
    own.old.store(old, Ordering::Relaxed);
    own.acked_ms.store(ctx.db.now, Ordering::Relaxed);
    ctx.session.info.set_flag(flag::REPLICA, true);
    let history = text(args.at(1));
    let wanted = args.get(2).and_then(parse_i64).and_then(|at| u64::try_from(at - 1).ok());
    let name = format!("{}:{}", own.address(), own.port.load(Ordering::Relaxed));
    ctx.server.logger.notice(&format!("Replica {name} asks for synchronization"));
    if let Some(offset) = wanted.filter(|offset| !first && repl.can_resume(&history, *offset)) {
        own.sent.store(offset, Ordering::Release);
        own.acked.store(offset, Ordering::Relaxed);
        own.state.store(state::ONLINE, Ordering::Release);
        if own.psync2.load(Ordering::Relaxed) {
            ctx.out.status(&format!("CONTINUE {}", repl.histories().id));
        } else {
            ctx.out.status("CONTINUE");
        }
        repl.syncs[1].fetch_add(1, Ordering::Relaxed);
        repl.add(&own);
        ctx.server.logger.notice(&format!(
            "Partial resynchronization request from {name} accepted. Sending {} bytes of backlog \
             starting from offset {}.",
            repl.offset() - offset,
            offset + 1
        ));
        return Ok(());
    }
    if wanted.is_some() {
        repl.syncs[2].fetch_add(1, Ordering::Relaxed);
    }
    ctx.server.logger.notice(&format!("Full resync requested by replica {name}"));
    own.sent.store(repl.offset(), Ordering::Release);
    repl.add(&own);
    ctx.session.after = Some(After::FullSync);
    Ok(())
}

/// A master that fails over asks its replica to take its place.
fn take_over(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if !ctx.server.repl.is_replica() {
        return Err(Error::fixed("ERR PSYNC FAILOVER can't be sent to a master."));
    }
    if !ctx.server.repl.histories().id.eq_ignore_ascii_case(&text(args.at(1))) {
        return Err(Error::fixed("ERR PSYNC FAILOVER replid must match my replid."));
    }
    ctx.server.follow_nobody();
    Ok(())
}

/// `ROLE`
pub fn role(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let repl = &ctx.server.repl;
    let out = &mut *ctx.out;
    if let Some((host, port)) = repl.link.target() {
        let word = match repl.link.stage.load(Ordering::Acquire) {
            stage::CONNECTED => "connected",
            stage::SYNC => "sync",
            stage::CONNECTING => "connecting",
            _ => "connect",
        };
        out.array(5);
        out.bulk(b"slave");
        out.bulk(host.as_bytes());
        out.int(i64::from(port));
        out.bulk(word.as_bytes());
        out.int(if repl.link.is_up() { repl.offset() as i64 } else { -1 });
        return Ok(());
    }
    let replicas: Vec<_> =
        repl.replicas().into_iter().filter(|replica| replica.is(state::ONLINE)).collect();
    out.array(3);
    out.bulk(b"master");
    out.int(repl.offset() as i64);
    out.array(replicas.len());
    for replica in replicas {
        out.array(3);
        out.bulk(replica.address().as_bytes());
        out.bulk(replica.port.load(Ordering::Relaxed).to_string().as_bytes());
        out.bulk(replica.acked.load(Ordering::Relaxed).to_string().as_bytes());
    }
    Ok(())
}

/// `WAIT numreplicas timeout`
pub fn wait(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let repl = &ctx.server.repl;
    if repl.is_replica() {
        return Err(Error::fixed(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 \
             if a replica is configured to be writable (which is not the default) writes to replicas \
             are just local and are not propagated.",
        ));
    }
    let wanted = parse::int(args.at(1))?;
    let timeout = parse::int_in(
        args.at(2),
        i64::MIN,
        i64::MAX,
        "ERR timeout is not an integer or out of range",
    )?;
    if timeout < 0 {
        return Err(Error::fixed("ERR timeout is negative"));
    }
    let offset = repl.offset();
    let acknowledged = repl.acknowledged(offset);
    if acknowledged as i64 >= wanted || ctx.in_exec || ctx.session.multi.is_some() {
        ctx.out.count(acknowledged);
        return Ok(());
    }
    repl.append_plain(&["REPLCONF", "GETACK", "*"]);
    let until = (timeout > 0).then(|| ctx.db.now.saturating_add(timeout));
    let client = (ctx.session.id(), ctx.session.worker, ctx.session.resp3);
    let want = Want::Acks(offset, wanted as usize);
    ctx.session.blocked = Some(Arc::new(Waiter::new(client, ctx.db.id, Vec::new(), want, until)));
    Ok(())
}

/// `FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]`
pub fn failover(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (mut to, mut force, mut abort, mut timeout) = (None, false, false, 0);
    let mut at = 1;
    while let Some(word) = args.get(at) {
        match () {
            () if is(word, "to") && at + 2 < args.len() && to.is_none() => {
                let port = parse_i64(args.at(at + 2)).and_then(|port| u16::try_from(port).ok());
                to = Some((text(args.at(at + 1)), port.ok_or(NOT_INTEGER)?));
                at += 2;
            }
            () if is(word, "timeout") && at + 1 < args.len() => {
                timeout = parse::int(args.at(at + 1))?;
                if timeout <= 0 {
                    return Err(Error::fixed("ERR FAILOVER timeout must be greater than 0"));
                }
                at += 1;
            }
            () if is(word, "abort") && args.len() == 2 => abort = true,
            () if is(word, "force") => force = true,
            () => return Err(SYNTAX),
        }
        at += 1;
    }
    if abort {
        return Err(Error::fixed("ERR No failover in progress."));
    }
    let repl = &ctx.server.repl;
    if repl.is_replica() {
        return Err(Error::fixed("ERR FAILOVER is not valid when server is a replica."));
    }
    let replicas = repl.replicas();
    if replicas.is_empty() {
        return Err(Error::fixed("ERR FAILOVER requires connected replicas."));
    }
    if force && (timeout == 0 || to.is_none()) {
        return Err(Error::fixed(
            "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
        ));
    }
    if let Some((host, port)) = &to {
        let found = replicas.iter().any(|replica| {
            replica.address() == *host
                && replica.port.load(Ordering::Relaxed) == usize::from(*port)
                && replica.is(state::ONLINE)
        });
        if !found {
            return Err(Error::fixed("ERR FAILOVER target HOST and PORT is not a replica."));
        }
    }
    ctx.session.after = Some(After::Failover { to, timeout_ms: timeout, force });
    ctx.out.ok();
    Ok(())
}
