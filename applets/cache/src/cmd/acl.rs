//! ACL: users, their rules, and what was refused.

use std::sync::PoisonError;

use box_wire::resp::Args;

use super::table::{self, Found};
use super::{Ctx, Done, Error, is, parse};
use crate::acl::check::{self, Denied};
use crate::acl::rules::{Rules, Selector, category_of};
use crate::acl::{User, describe, log};
use crate::server::Server;
use crate::server::mailbox::Message;
use crate::server::session::Session;

const NO_FILE: Error = Error::fixed(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users \
     via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis \
     configuration file set) in order to store users in the Redis configuration.",
);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether the client's user may execute a request; a refusal is logged.
///
/// # Errors
/// The error reply.
pub fn permit(
    server: &Server,
    session: &Session,
    (number, args): (usize, Args<'_>),
    context: &'static str,
) -> Result<(), (Denied, Error)> {
    let Some(user) = &session.user else { return Ok(()) };
    check::request(&user.rules(), number, args).map_err(|denied| {
        let object = denied.object(number, args);
        record(server, session, denied.word(), (context, object), &user.name);
        (denied, denied.error(number))
    })
}

/// Remembers a refusal.
pub fn record(
    server: &Server,
    session: &Session,
    reason: &'static str,
    (context, object): (&'static str, Vec<u8>),
    user: &str,
) {
    let now = server.now_ms();
    let entry = log::Entry {
        reason,
        context,
        object,
        user: user.to_owned(),
        client: session.info.line(now),
        count: 1,
        at_ms: now,
    };
    let most = server.config().int("acllog-max-len").max(0) as usize;
    server.acl.log.lock().unwrap_or_else(PoisonError::into_inner).add(entry, most);
}

/// `ACL WHOAMI`
pub fn whoami(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    match &ctx.session.user {
        Some(user) => ctx.out.bulk(user.name.as_bytes()),
        None => ctx.out.nil(),
    }
    Ok(())
}

/// `ACL USERS`
pub fn users(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let all = ctx.server.acl.all();
    ctx.out.array(all.len());
    all.iter().for_each(|user| ctx.out.bulk(user.name.as_bytes()));
    Ok(())
}

/// `ACL LIST`
pub fn list(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let lines = ctx.server.acl.lines();
    ctx.out.array(lines.len());
    lines.iter().for_each(|line| ctx.out.bulk(line));
    Ok(())
}

/// `ACL GETUSER username`
pub fn getuser(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Some(user) = ctx.server.acl.user(&text(args.at(2))) else {
        ctx.out.nil();
        return Ok(());
    };
    let rules = user.rules();
    let out = &mut *ctx.out;
    out.map(6);
    out.bulk(b"flags");
    let flags = describe::flags(&rules);
    out.set(flags.len());
    flags.iter().for_each(|flag| out.bulk(flag.as_bytes()));
    out.bulk(b"passwords");
    out.array(rules.passwords.len());
    rules.passwords.iter().for_each(|password| out.bulk(password.as_bytes()));
    selector(out, &rules.root);
    out.bulk(b"selectors");
    out.array(rules.selectors.len());
    for each in &rules.selectors {
        out.map(3);
        selector(out, each);
    }
    Ok(())
}

fn selector(out: &mut super::reply::Out, selector: &Selector) {
    out.bulk(b"commands");
    out.bulk(describe::commands(selector).as_bytes());
    out.bulk(b"keys");
    out.bulk(&describe::keys(selector));
    out.bulk(b"channels");
    out.bulk(&describe::channels(selector));
}

/// `ACL SETUSER username [rule ...]`
pub fn setuser(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let name = text(args.at(2));
    let words: Vec<&[u8]> = args.from(3).iter().collect();
    let channels = ctx.config.get("acl-pubsub-default") == "allchannels";
    ctx.server.acl.set_user(&name, &words, channels).map_err(Error::made)?;
    stop_listening(ctx, &name);
    ctx.out.ok();
    Ok(())
}

/// Closes the connections of a user that listen to what it may not any more.
fn stop_listening(ctx: &mut Ctx<'_>, name: &str) {
    let Some(user) = ctx.server.acl.user(name) else { return };
    let rules = user.rules();
    for client in ctx.server.clients.all() {
        let owner = client.user.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if owner == name
            && !ctx
                .server
                .hub
                .all_topics(client.id, |topic, literal| check::may_listen(&rules, topic, literal))
        {
            close(ctx, client.id, client.worker);
        }
    }
}

fn close(ctx: &mut Ctx<'_>, client: u64, worker: usize) {
    if client == ctx.session.id() {
        ctx.session.closing = true;
    } else {
        ctx.server.post(worker, Message::Kill(client));
    }
}

/// `ACL DELUSER username [username ...]`
pub fn deluser(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let names: Vec<String> = args.from(2).iter().map(text).collect();
    if names.iter().any(|name| name == "default") {
        return Err(Error::fixed("ERR The 'default' user cannot be removed"));
    }
    let removed: Vec<&String> = names.iter().filter(|name| ctx.server.acl.remove(name)).collect();
    for client in ctx.server.clients.all() {
        let owner = client.user.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if removed.contains(&&owner) {
            close(ctx, client.id, client.worker);
        }
    }
    ctx.out.count(removed.len());
    Ok(())
}

/// `ACL CAT [category]`
pub fn cat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Some(name) = args.get(2).filter(|_| args.len() == 3) else {
        if args.len() != 2 {
            return Err(wrong_count("acl|cat"));
        }
        // In the incumbents' order, which is not that of the bits.
        const ORDER: &[&str] = &[
            "keyspace",
            "read",
            "write",
            "set",
            "sortedset",
            "list",
            "hash",
            "string",
            "bitmap",
            "hyperloglog",
            "geo",
            "stream",
            "pubsub",
            "admin",
            "fast",
            "slow",
            "blocking",
            "dangerous",
            "connection",
            "transaction",
            "scripting",
        ];
        ctx.out.array(ORDER.len());
        ORDER.iter().for_each(|name| ctx.out.bulk(name.as_bytes()));
        return Ok(());
    };
    let bit = category_of(&text(name))
        .ok_or_else(|| Error::made(format!("ERR Unknown category '{}'", text(name))))?;
    let rows: Vec<_> =
        table::rows().iter().filter(|row| row.command.categories & bit != 0).collect();
    ctx.out.array(rows.len());
    rows.iter().for_each(|row| ctx.out.bulk(row.name.as_bytes()));
    Ok(())
}

fn wrong_count(name: &str) -> Error {
    Error::made(format!("ERR wrong number of arguments for '{name}' command"))
}

/// `ACL GENPASS [bits]`
pub fn genpass(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    const MOST: i64 = 4096;
    let bits = match args.get(2) {
        None => 256,
        Some(bits) => parse::int(bits)?,
    };
    if !(1..=MOST).contains(&bits) || args.len() > 3 {
        return Err(Error::made(format!(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a \
             positive number up to {MOST}"
        )));
    }
    let mut bytes = vec![0; MOST as usize / 8];
    box_sys::random::fill(&mut bytes)
        .map_err(|error| Error::made(format!("ERR {}", box_kit::exit::kernel_words(&error))))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    ctx.out.bulk(&digits.as_bytes()[..(bits as usize).div_ceil(4)]);
    Ok(())
}

/// `ACL DRYRUN username command [arg ...]`
pub fn dryrun(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let name = text(args.at(2));
    let user = ctx.server.acl.user(&name);
    let user = user.ok_or_else(|| Error::made(format!("ERR User '{name}' not found")))?;
    let request = args.from(3);
    let Found::Row(number) = table::lookup(request.at(0), request.get(1)) else {
        let command = text(request.at(0));
        return Err(Error::made(format!("ERR Command '{command}' not found")));
    };
    let row = &table::rows()[number];
    if !row.command.takes(request.len()) || (!row.command.subs.is_empty() && request.len() == 1) {
        return Err(wrong_count(&row.name));
    }
    match check::request(&user.rules(), number, request) {
        Ok(()) => ctx.out.ok(),
        Err(denied) => {
            let object = text(&denied.object(number, request));
            let reason = match denied {
                Denied::Command => format!("run the '{object}' command"),
                Denied::Key(_) => format!("access the '{object}' key"),
                Denied::Channel(_) => format!("access the '{object}' channel"),
            };
            ctx.out.bulk(format!("This user has no permissions to {reason}").as_bytes());
        }
    }
    Ok(())
}

/// `ACL LOG [count|RESET]`
pub fn acl_log(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let now = ctx.server.now_ms();
    let mut log = ctx.server.acl.log.lock().unwrap_or_else(PoisonError::into_inner);
    match args.get(2) {
        None => log.show(ctx.out, 10, now),
        Some(word) if is(word, "reset") => {
            log.reset();
            ctx.out.ok();
        }
        Some(count) => log.show(ctx.out, parse::int(count)?.max(0) as usize, now),
    }
    Ok(())
}

/// `ACL LOAD`
pub fn load(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let path = ctx.config.get("aclfile");
    if path.is_empty() {
        return Err(NO_FILE);
    }
    let channels = ctx.config.get("acl-pubsub-default") == "allchannels";
    ctx.server
        .acl
        .load(path.as_ref(), channels)
        .map_err(|why| Error::made(format!("ERR {why}")))?;
    ctx.out.ok();
    Ok(())
}

/// `ACL SAVE`
pub fn save(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let path = ctx.config.get("aclfile");
    if path.is_empty() {
        return Err(NO_FILE);
    }
    if let Err(error) = ctx.server.acl.save(path.as_ref()) {
        let reason = box_kit::exit::kernel_words(&error);
        ctx.server.logger.warning(&format!("Writing ACL file for ACL SAVE: {reason}"));
        return Err(Error::fixed(
            "ERR There was an error trying to save the ACLs. Please check the server logs for more \
             information",
        ));
    }
    ctx.out.ok();
    Ok(())
}

/// Authenticates the client as a user.
///
/// # Errors
/// The password is wrong, or the user is disabled.
pub fn authenticate(ctx: &mut Ctx<'_>, name: &[u8], password: &[u8]) -> Done {
    let name = text(name);
    let user = ctx.server.acl.user(&name);
    let accepted = user.filter(|user| {
        let rules: &Rules = &user.rules();
        rules.enabled && rules.accepts(password)
    });
    let Some(user) = accepted else {
        record(ctx.server, ctx.session, "auth", ("toplevel", b"AUTH".to_vec()), &name);
        return Err(Error::fixed("WRONGPASS invalid username-password pair or user is disabled."));
    };
    become_user(ctx.session, &user);
    ctx.session.authenticated = true;
    Ok(())
}

/// The client is this user from now on.
pub fn become_user(session: &mut Session, user: &std::sync::Arc<User>) {
    user.name.clone_into(&mut session.info.user.lock().unwrap_or_else(PoisonError::into_inner));
    session.user = Some(user.clone());
}

/// `ACL HELP`
pub fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "ACL",
        &[
            "CAT [<category>]",
            "    List all commands that belong to <category>, or all command categories",
            "    when no category is specified.",
            "DELUSER <username> [<username> ...]",
            "    Delete a list of users.",
            "DRYRUN <username> <command> [<arg> ...]",
            "    Returns whether the user can execute the given command without executing the command.",
            "GETUSER <username>",
            "    Get the user's details.",
            "GENPASS [<bits>]",
            "    Generate a secure 256-bit user password. The optional `bits` argument can",
            "    be used to specify a different size.",
            "LIST",
            "    Show users details in config file format.",
            "LOAD",
            "    Reload users from the ACL file.",
            "LOG [<count> | RESET]",
            "    Show the ACL log entries.",
            "SAVE",
            "    Save the current config to the ACL file.",
            "SETUSER <username> <attribute> [<attribute> ...]",
            "    Create or modify a user with the specified attributes.",
            "USERS",
            "    List all the registered usernames.",
            "WHOAMI",
            "    Return the current connection username.",
        ],
    );
    Ok(())
}
