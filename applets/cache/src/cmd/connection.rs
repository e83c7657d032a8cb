//! The connection itself.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use box_wire::resp::Args;

use super::{Ctx, Done, Error, SYNTAX, acl, is, parse, pubsub, tracking, transaction};
use crate::server::clients::flag;
use crate::server::session::Replies;

/// `PING [message]`
pub fn ping(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if args.len() > 2 {
        return Err(Error::fixed("ERR wrong number of arguments for 'ping' command"));
    }
    if ctx.session.only_listens() {
        ctx.out.array(2);
        ctx.out.bulk(b"pong");
        ctx.out.bulk(args.at(1));
        return Ok(());
    }
    match args.get(1) {
        Some(text) => ctx.out.bulk(text),
        None => ctx.out.raw(b"+PONG\r\n"),
    }
    Ok(())
}

/// `ECHO message`
pub fn echo(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    ctx.out.bulk(args.at(1));
    Ok(())
}

/// `QUIT`
pub fn quit(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.session.closing = true;
    ctx.out.ok();
    Ok(())
}

/// `SELECT db`
pub fn select(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let number = parse::int_in(
        args.at(1),
        i64::from(i32::MIN),
        i64::from(i32::MAX),
        "ERR invalid DB index",
    )?;
    let number = u32::try_from(number).ok().filter(|n| (*n as usize) < ctx.server.databases);
    let number = number.ok_or(Error::fixed("ERR DB index is out of range"))?;
    ctx.session.db = number;
    ctx.session.info.db.store(number, Ordering::Relaxed);
    ctx.out.ok();
    Ok(())
}

/// `AUTH [username] password`
pub fn auth(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    match args.len() {
        2 => {
            if ctx.server.acl.default_user().rules().no_password {
                return Err(Error::fixed(
                    "ERR AUTH <password> called without any password configured for the default \
                     user. Are you sure your configuration is correct?",
                ));
            }
            acl::authenticate(ctx, b"default", args.at(1))?;
        }
        3 => acl::authenticate(ctx, args.at(1), args.at(2))?,
        _ => return Err(SYNTAX),
    }
    ctx.out.ok();
    Ok(())
}

/// `HELLO [protover [AUTH username password] [SETNAME name]]`
pub fn hello(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let version = match args.get(1) {
        None => None,
        Some(text) => {
            let version = parse::int_in(
                text,
                i64::MIN,
                i64::MAX,
                "ERR Protocol version is not an integer or out of range",
            )?;
            if !(2..=3).contains(&version) {
                return Err(Error::fixed("NOPROTO unsupported protocol version"));
            }
            Some(version)
        }
    };
    let mut name = None;
    let mut at = 2;
    let mut credentials = None;
    while let Some(word) = args.get(at) {
        let left = args.len() - at - 1;
        if is(word, "auth") && left >= 2 {
            credentials = Some((args.at(at + 1), args.at(at + 2)));
            at += 3;
        } else if is(word, "setname") && left >= 1 {
            name = Some(args.at(at + 1));
            check_name(args.at(at + 1))?;
            at += 2;
        } else {
            let word = String::from_utf8_lossy(word);
            return Err(Error::made(format!("ERR Syntax error in HELLO option '{word}'")));
        }
    }
    if let Some((user, password)) = credentials {
        acl::authenticate(ctx, user, password)?;
    }
    if !ctx.session.authenticated {
        return Err(Error::fixed(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        set_name(ctx, name);
    }
    if let Some(version) = version {
        set_protocol(ctx, version == 3);
    }
    describe(ctx);
    Ok(())
}

fn set_protocol(ctx: &mut Ctx<'_>, resp3: bool) {
    ctx.session.resp3 = resp3;
    ctx.out.resp3 = resp3;
    ctx.session.info.resp.store(if resp3 { 3 } else { 2 }, Ordering::Relaxed);
    if ctx.session.subscriptions() + ctx.session.shard_channels.len() > 0 {
        ctx.server.hub.set_protocol(ctx.session.id(), resp3);
    }
}

fn describe(ctx: &mut Ctx<'_>) {
    let id = ctx.session.id() as i64;
    let version = if ctx.session.resp3 { 3 } else { 2 };
    ctx.out.map(7);
    ctx.out.bulk(b"server");
    ctx.out.bulk(b"redis");
    ctx.out.bulk(b"version");
    ctx.out.bulk(crate::VERSION.as_bytes());
    ctx.out.bulk(b"proto");
    ctx.out.int(version);
    ctx.out.bulk(b"id");
    ctx.out.int(id);
    ctx.out.bulk(b"mode");
    ctx.out.bulk(b"standalone");
    ctx.out.bulk(b"role");
    ctx.out.bulk(if ctx.server.repl.is_replica() { b"replica" } else { b"master" });
    ctx.out.bulk(b"modules");
    ctx.out.array(0);
}

/// Whether a text may be a client's name.
pub fn check_name(name: &[u8]) -> Done {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(());
    }
    Err(Error::fixed("ERR Client names cannot contain spaces, newlines or special characters."))
}

/// Gives the client a name.
pub fn set_name(ctx: &Ctx<'_>, name: &[u8]) {
    let name = String::from_utf8_lossy(name).into_owned();
    *ctx.session.info.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
}

/// `RESET`
pub fn reset(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    transaction::end(ctx.session);
    transaction::unwatch_all(ctx.server, ctx.session);
    pubsub::stop_all(ctx.server, ctx.session);
    tracking::stop(ctx.server, ctx.session);
    if std::mem::take(&mut ctx.session.monitor) {
        ctx.server.stop_monitor(ctx.session.id());
    }
    set_protocol(ctx, false);
    set_name(ctx, b"");
    ctx.session.db = 0;
    ctx.session.info.db.store(0, Ordering::Relaxed);
    ctx.session.replies = Replies::On;
    let user = ctx.server.acl.default_user();
    acl::become_user(ctx.session, &user);
    ctx.session.authenticated = ctx.server.acl.is_open();
    ctx.session.no_touch = false;
    ctx.session.info.set_flag(flag::NO_EVICT | flag::NO_TOUCH, false);
    ctx.out.status("RESET");
    Ok(())
}
