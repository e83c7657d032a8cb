//! CLIENT: telling about and controlling connections.

use box_wire::resp::Args;

use super::connection::{check_name, set_name};
use super::{Ctx, Done, Error, SYNTAX, is, parse};
use crate::server::clients::{ClientInfo, flag};
use crate::server::hot::pause;
use crate::server::mailbox::Message;
use crate::server::session::Replies;

/// `CLIENT ID`
pub fn id(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.int(ctx.session.id() as i64);
    Ok(())
}

/// `CLIENT GETNAME`
pub fn getname(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let name = ctx.session.info.name();
    ctx.out.bulk_or_nil((!name.is_empty()).then_some(name.as_bytes()));
    Ok(())
}

/// `CLIENT SETNAME name`
pub fn setname(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    check_name(args.at(2))?;
    set_name(ctx, args.at(2));
    ctx.out.ok();
    Ok(())
}

/// `CLIENT INFO`
pub fn info(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let line = ctx.session.info.line(ctx.db.now) + "\n";
    ctx.out.verbatim(line.as_bytes());
    Ok(())
}

fn of_kind(word: &[u8]) -> Result<&'static str, Error> {
    let kinds = ["normal", "master", "replica", "slave", "pubsub"];
    let kind = kinds.into_iter().find(|kind| is(word, kind));
    kind.map(|kind| if kind == "slave" { "replica" } else { kind }).ok_or_else(|| {
        Error::made(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(word)))
    })
}

/// `CLIENT LIST [TYPE kind] [ID id ...]`
pub fn list(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let wanted: Box<dyn Fn(&ClientInfo) -> bool> = match args.get(2) {
        None => Box::new(|_| true),
        Some(word) if args.len() == 4 && is(word, "type") => {
            let kind = of_kind(args.at(3))?;
            Box::new(move |client| client.kind() == kind)
        }
        Some(word) if args.len() > 3 && is(word, "id") => {
            let ids: Vec<i64> = args
                .from(3)
                .iter()
                .map(|id| parse::int_in(id, 1, i64::MAX, "ERR Invalid client ID"))
                .collect::<Result<_, _>>()?;
            Box::new(move |client| ids.contains(&(client.id as i64)))
        }
        Some(_) => return Err(SYNTAX),
    };
    let mut text = String::new();
    for client in ctx.server.clients.all() {
        if wanted(&client) {
            text += &client.line(ctx.db.now);
            text.push('\n');
        }
    }
    ctx.out.verbatim(text.as_bytes());
    Ok(())
}

#[derive(Default)]
struct Filter {
    id: Option<i64>,
    kind: Option<&'static str>,
    addr: Option<String>,
    laddr: Option<String>,
    user: Option<String>,
    keep_me: bool,
}

fn kill_filter(args: Args<'_>) -> Result<Filter, Error> {
    let mut filter = Filter { keep_me: true, ..Filter::default() };
    let mut at = 2;
    while let Some(word) = args.get(at) {
        let Some(value) = args.get(at + 1) else { return Err(SYNTAX) };
        let text = || Some(String::from_utf8_lossy(value).into_owned());
        match word {
            _ if is(word, "id") => {
                let error = "ERR client-id should be greater than 0";
                filter.id = Some(parse::int_in(value, 1, i64::MAX, error)?);
            }
            _ if is(word, "type") => filter.kind = Some(of_kind(value)?),
            _ if is(word, "addr") => filter.addr = text(),
            _ if is(word, "laddr") => filter.laddr = text(),
            _ if is(word, "user") => {
                filter.user = text();
                if !is(value, "default") {
                    let name = String::from_utf8_lossy(value);
                    return Err(Error::made(format!("ERR No such user '{name}'")));
                }
            }
            _ if is(word, "skipme") && is(value, "yes") => filter.keep_me = true,
            _ if is(word, "skipme") && is(value, "no") => filter.keep_me = false,
            _ => return Err(SYNTAX),
        }
        at += 2;
    }
    Ok(filter)
}

/// `CLIENT KILL addr`, `CLIENT KILL [ID id] [TYPE kind] [ADDR addr] [LADDR addr] [USER u] [SKIPME …]`
pub fn kill(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let old_style = args.len() == 3;
    let filter = if old_style {
        let addr = Some(String::from_utf8_lossy(args.at(2)).into_owned());
        Filter { addr, ..Filter::default() }
    } else {
        kill_filter(args)?
    };
    let mut killed = 0;
    for client in ctx.server.clients.all() {
        let same = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|w| w == is);
        let fits = filter.id.is_none_or(|id| id == client.id as i64)
            && filter.kind.is_none_or(|kind| kind == client.kind())
            && same(&filter.addr, &client.addr)
            && same(&filter.laddr, &client.laddr)
            && !(filter.keep_me && client.id == ctx.session.id());
        if fits {
            killed += 1;
            if client.id == ctx.session.id() {
                ctx.session.closing = true;
            } else {
                ctx.server.post(client.worker, Message::Kill(client.id));
            }
        }
    }
    match (old_style, killed) {
        (true, 0) => return Err(Error::fixed("ERR No such client")),
        (true, _) => ctx.out.ok(),
        (false, _) => ctx.out.int(killed),
    }
    Ok(())
}

/// `CLIENT PAUSE ms [WRITE|ALL]`
pub fn pause(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let writes_only = match args.get(3) {
        None => false,
        Some(word) if is(word, "write") => true,
        Some(word) if is(word, "all") => false,
        Some(_) => return Err(Error::fixed("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    };
    let ms = parse::int_in(
        args.at(2),
        i64::MIN,
        i64::MAX,
        "ERR timeout is not an integer or out of range",
    )?;
    if ms < 0 {
        return Err(Error::fixed("ERR timeout is negative"));
    }
    let what = if writes_only { pause::WRITES } else { pause::ALL };
    ctx.server.hot.pause_clients(what, ctx.db.now.saturating_add(ms));
    ctx.out.ok();
    Ok(())
}

/// `CLIENT UNPAUSE`
pub fn unpause(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.server.hot.end_pause(None);
    ctx.server.post_all(|| Message::Resume);
    ctx.out.ok();
    Ok(())
}

/// `CLIENT REPLY ON|OFF|SKIP`
pub fn reply(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    match args.at(2) {
        word if is(word, "on") => {
            ctx.session.replies = Replies::On;
            ctx.out.ok();
        }
        word if is(word, "off") => ctx.session.replies = Replies::Off,
        word if is(word, "skip") => {
            if ctx.session.replies != Replies::Off {
                ctx.session.replies = Replies::SkipNext;
            }
        }
        _ => return Err(SYNTAX),
    }
    Ok(())
}

/// `CLIENT UNBLOCK id [TIMEOUT|ERROR]`
pub fn unblock(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let with_error = match args.get(3) {
        None => false,
        Some(word) if is(word, "timeout") => false,
        Some(word) if is(word, "error") => true,
        Some(_) => {
            return Err(Error::fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
        }
    };
    let id = parse::int(args.at(2))?;
    let unblocked = ctx.server.unblock(id as u64, with_error, ctx.db.now);
    ctx.out.flag(unblocked);
    Ok(())
}

/// `ON` or `OFF`.
pub fn on_off(word: &[u8]) -> Result<bool, Error> {
    match () {
        () if is(word, "on") => Ok(true),
        () if is(word, "off") => Ok(false),
        () => Err(SYNTAX),
    }
}

/// `CLIENT NO-EVICT ON|OFF`
pub fn no_evict(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    ctx.session.info.set_flag(flag::NO_EVICT, on_off(args.at(2))?);
    ctx.out.ok();
    Ok(())
}

/// `CLIENT NO-TOUCH ON|OFF`
pub fn no_touch(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    ctx.session.no_touch = on_off(args.at(2))?;
    ctx.session.info.set_flag(flag::NO_TOUCH, ctx.session.no_touch);
    ctx.out.ok();
    Ok(())
}

/// `CLIENT HELP`
pub fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "CLIENT",
        &[
            "GETNAME, SETNAME <name>, ID, INFO",
            "    Name, number and state of this connection.",
            "LIST [TYPE <kind>] [ID <id> ...], KILL <filter>, UNBLOCK <id> [TIMEOUT|ERROR]",
            "    See and control other connections.",
            "PAUSE <ms> [WRITE|ALL], UNPAUSE, REPLY ON|OFF|SKIP, NO-EVICT ON|OFF",
            "    Control when and whether replies come.",
        ],
    );
    Ok(())
}
