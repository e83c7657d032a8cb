//! CLIENT TRACKING and what belongs to it.

use std::sync::atomic::Ordering;

use box_wire::resp::Args;

use super::client::on_off;
use super::{Ctx, Done, Error, NOT_INTEGER, SYNTAX, is, parse};
use crate::server::Server;
use crate::server::clients::flag;
use crate::server::session::Session;
use crate::server::tracking::mode;

#[derive(Default)]
struct Options {
    redirect: u64,
    mode: u32,
    prefixes: Vec<Vec<u8>>,
}

fn options(ctx: &Ctx<'_>, args: Args<'_>) -> Result<Options, Error> {
    let mut options = Options::default();
    let mut at = 3;
    while let Some(word) = args.get(at) {
        let next = args.get(at + 1);
        match (word, next) {
            (word, Some(id)) if is(word, "redirect") => {
                if options.redirect != 0 {
                    return Err(Error::fixed(
                        "ERR A client can only redirect to a single other client",
                    ));
                }
                let id = parse::int(id).map_err(|_| NOT_INTEGER)? as u64;
                if ctx.server.clients.find(id).is_none() {
                    return Err(Error::fixed(
                        "ERR The client ID you want redirect to does not exist",
                    ));
                }
                options.redirect = id;
                at += 1;
            }
            (word, Some(prefix)) if is(word, "prefix") => {
                options.prefixes.push(prefix.to_vec());
                at += 1;
            }
            (word, _) if is(word, "bcast") => options.mode |= mode::BCAST,
            (word, _) if is(word, "optin") => options.mode |= mode::OPTIN,
            (word, _) if is(word, "optout") => options.mode |= mode::OPTOUT,
            (word, _) if is(word, "noloop") => options.mode |= mode::NOLOOP,
            _ => return Err(SYNTAX),
        }
        at += 1;
    }
    Ok(options)
}

/// Whether the options fit together and with what is in force.
fn check(now: u32, options: &Options) -> Done {
    let new = options.mode;
    let has = |set: u32, bits: u32| set & bits != 0;
    if !has(new, mode::BCAST) && !options.prefixes.is_empty() {
        return Err(Error::fixed("ERR PREFIX option requires BCAST mode to be enabled"));
    }
    if now != 0 && has(now, mode::BCAST) != has(new, mode::BCAST) {
        return Err(Error::fixed(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, \
             and then re-enabling it with a different mode.",
        ));
    }
    if has(new, mode::BCAST) && has(new, mode::OPTIN | mode::OPTOUT) {
        return Err(Error::fixed("ERR OPTIN and OPTOUT are not compatible with BCAST"));
    }
    if has(new, mode::OPTIN) && has(new, mode::OPTOUT) {
        return Err(Error::fixed("ERR You can't specify both OPTIN mode and OPTOUT mode"));
    }
    if (has(new, mode::OPTIN) && has(now, mode::OPTOUT))
        || (has(new, mode::OPTOUT) && has(now, mode::OPTIN))
    {
        return Err(Error::fixed(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, \
             and then re-enabling it with a different mode.",
        ));
    }
    Ok(())
}

fn overlap(one: &[u8], other: &[u8], kind: &str) -> Done {
    if !one.starts_with(other) && !other.starts_with(one) {
        return Ok(());
    }
    let (one, other) = (String::from_utf8_lossy(one), String::from_utf8_lossy(other));
    Err(Error::made(format!(
        "ERR Prefix '{one}' overlaps with {kind} prefix '{other}'. Prefixes for a single client \
         must not overlap."
    )))
}

fn check_prefixes(old: &[Vec<u8>], new: &[Vec<u8>]) -> Done {
    for (number, prefix) in new.iter().enumerate() {
        old.iter().try_for_each(|other| overlap(prefix, other, "an existing"))?;
        let behind = &new[number + 1..];
        behind.iter().try_for_each(|other| overlap(prefix, other, "another provided"))?;
    }
    Ok(())
}

/// `CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]`
pub fn tracking(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut options = options(ctx, args)?;
    if !on_off(args.at(2))? {
        stop(ctx.server, ctx.session);
        ctx.out.ok();
        return Ok(());
    }
    check(ctx.session.tracking, &options)?;
    let id = ctx.session.id();
    if options.mode & mode::BCAST != 0 {
        let old = ctx.server.tracking.prefixes(id);
        check_prefixes(&old, &options.prefixes)?;
        if options.prefixes.is_empty() && !old.contains(&Vec::new()) {
            options.prefixes.push(Vec::new());
        }
    }
    let session = &mut *ctx.session;
    session.tracking = options.mode | mode::ON;
    session.prefix_bytes += options.prefixes.iter().map(|prefix| prefix.len() + 64).sum::<usize>();
    session.info.set_flag(flag::TRACKING, true);
    session.info.set_flag(flag::BROKEN_REDIR, false);
    session.info.set_flag(flag::BCAST, options.mode & mode::BCAST != 0);
    session.info.redirect.store(options.redirect + 1, Ordering::Relaxed);
    let (mode, prefixes) = (session.tracking, options.prefixes);
    ctx.server.tracking.start(ctx.server, id, mode, options.redirect, prefixes);
    ctx.out.ok();
    Ok(())
}

/// Ends the tracking of a client.
pub fn stop(server: &Server, session: &mut Session) {
    if session.tracking != 0 {
        session.tracking = 0;
        session.prefix_bytes = 0;
        let flags = flag::TRACKING | flag::BROKEN_REDIR | flag::BCAST;
        session.info.set_flag(flags, false);
        session.info.redirect.store(0, Ordering::Relaxed);
        server.tracking.stop(server, session.id());
    }
}

/// `CLIENT CACHING YES|NO`
pub fn caching(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let now = ctx.session.tracking;
    if now == 0 {
        return Err(Error::fixed(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN \
             or OPTOUT mode enabled",
        ));
    }
    match args.at(2) {
        word if is(word, "yes") && now & mode::OPTIN == 0 => Err(Error::fixed(
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
        )),
        word if is(word, "no") && now & mode::OPTOUT == 0 => Err(Error::fixed(
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
        )),
        word if is(word, "yes") || is(word, "no") => {
            ctx.session.tracking |= mode::CACHING;
            ctx.out.ok();
            Ok(())
        }
        _ => Err(SYNTAX),
    }
}

/// `CLIENT GETREDIR`
pub fn getredir(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let redirect = ctx.server.tracking.redirect(ctx.session.id());
    ctx.out.int(redirect.map_or(-1, |id| id as i64));
    Ok(())
}

/// `CLIENT TRACKINGINFO`
pub fn trackinginfo(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let now = ctx.session.tracking;
    let has = |bit: u32| now & bit != 0;
    let caching = has(mode::CACHING);
    let words = [
        ("off", now == 0),
        ("on", now != 0),
        ("bcast", has(mode::BCAST)),
        ("optin", has(mode::OPTIN)),
        ("caching-yes", has(mode::OPTIN) && caching),
        ("optout", has(mode::OPTOUT)),
        ("caching-no", has(mode::OPTOUT) && caching),
        ("noloop", has(mode::NOLOOP)),
        ("broken_redirect", now != 0 && ctx.session.info.has_flag(flag::BROKEN_REDIR)),
    ];
    let shown: Vec<&str> = words.iter().filter(|(_, on)| *on).map(|(word, _)| *word).collect();
    ctx.out.map(3);
    ctx.out.bulk(b"flags");
    ctx.out.set(shown.len());
    shown.iter().for_each(|word| ctx.out.bulk(word.as_bytes()));
    ctx.out.bulk(b"redirect");
    let redirect = ctx.server.tracking.redirect(ctx.session.id());
    ctx.out.int(redirect.map_or(-1, |id| id as i64));
    ctx.out.bulk(b"prefixes");
    let prefixes = ctx.server.tracking.prefixes(ctx.session.id());
    ctx.out.array(prefixes.len());
    prefixes.iter().for_each(|prefix| ctx.out.bulk(prefix));
    Ok(())
}
