//! COMMAND: what commands there are, from the one table.

use box_wire::resp::Args;

use super::keys::{self, KeyAt};
use super::reply::Out;
use super::table::{self, Begin, Command, Find, Found, KeySpec, category, flag, key};
use super::{Ctx, Done, Error, SYNTAX, is};
use crate::glob;

/// `COMMAND`
pub fn command(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let top: Vec<_> = table::rows().iter().filter(|row| row.parent.is_none()).collect();
    ctx.out.array(top.len());
    top.iter().for_each(|row| describe(ctx.out, row.command, &row.name));
    Ok(())
}

/// `COMMAND COUNT`
pub fn count(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.count(table::rows().iter().filter(|row| row.parent.is_none()).count());
    Ok(())
}

/// `COMMAND INFO [name ...]`
pub fn info(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if args.len() == 2 {
        return command(ctx, args);
    }
    ctx.out.array(args.len() - 2);
    for name in args.from(2).iter() {
        match table::by_full_name(name) {
            Some(number) => {
                let row = &table::rows()[number];
                describe(ctx.out, row.command, &row.name);
            }
            None => ctx.out.nil_array(),
        }
    }
    Ok(())
}

fn statuses(out: &mut Out, names: &[&str], sign: &str) {
    out.set(names.len());
    names.iter().for_each(|name| out.status(&format!("{sign}{name}")));
}

fn describe(out: &mut Out, command: &Command, name: &str) {
    out.array(10);
    out.bulk(name.as_bytes());
    out.int(i64::from(command.arity));
    statuses(out, &Command::names_of(command.flags, flag::NAMES), "");
    out.int(i64::from(command.keys.0));
    out.int(i64::from(command.keys.1));
    out.int(i64::from(command.keys.2));
    statuses(out, &Command::names_of(command.categories, category::NAMES), "@");
    out.set(command.tips.len());
    command.tips.iter().for_each(|tip| out.bulk(tip.as_bytes()));
    out.set(command.specs.len());
    command.specs.iter().for_each(|spec| describe_spec(out, spec));
    if command.subs.is_empty() {
        return out.set(0);
    }
    out.array(command.subs.len());
    for sub in command.subs {
        describe(out, sub, &format!("{name}|{}", sub.name));
    }
}

fn describe_spec(out: &mut Out, spec: &KeySpec) {
    out.map(3 + usize::from(spec.notes.is_some()));
    if let Some(notes) = spec.notes {
        out.bulk(b"notes");
        out.bulk(notes.as_bytes());
    }
    out.bulk(b"flags");
    statuses(out, &Command::names_of(spec.flags, key::NAMES), "");
    out.bulk(b"begin_search");
    out.map(2);
    out.bulk(b"type");
    match spec.begin {
        Begin::Index(index) => {
            out.bulk(b"index");
            numbers(out, &[("index", index)]);
        }
        Begin::Keyword(word, from) => {
            out.bulk(b"keyword");
            out.bulk(b"spec");
            out.map(2);
            out.bulk(b"keyword");
            out.bulk(word.as_bytes());
            out.bulk(b"startfrom");
            out.int(i64::from(from));
        }
        Begin::Unknown => unknown(out),
    }
    out.bulk(b"find_keys");
    out.map(2);
    out.bulk(b"type");
    match spec.find {
        Find::Range(last, step, limit) => {
            out.bulk(b"range");
            numbers(out, &[("lastkey", last), ("keystep", step), ("limit", limit)]);
        }
        Find::Count(at, first, step) => {
            out.bulk(b"keynum");
            numbers(out, &[("keynumidx", at), ("firstkey", first), ("keystep", step)]);
        }
        Find::Unknown => unknown(out),
    }
}

fn unknown(out: &mut Out) {
    out.bulk(b"unknown");
    out.bulk(b"spec");
    out.map(0);
}

fn numbers(out: &mut Out, pairs: &[(&str, i32)]) {
    out.bulk(b"spec");
    out.map(pairs.len());
    for (name, value) in pairs {
        out.bulk(name.as_bytes());
        out.int(i64::from(*value));
    }
}

/// `COMMAND LIST [FILTERBY MODULE|ACLCAT|PATTERN text]`
pub fn list(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let wanted: Box<dyn Fn(&table::Row) -> bool> = match args.len() {
        2 => Box::new(|_| true),
        5 if is(args.at(2), "filterby") => {
            let text = args.at(4).to_vec();
            match args.at(3) {
                word if is(word, "module") => Box::new(|_| false),
                word if is(word, "aclcat") => {
                    let name = String::from_utf8_lossy(&text).to_lowercase();
                    let bit = category::NAMES.iter().position(|known| *known == name);
                    Box::new(move |row| {
                        bit.is_some_and(|bit| row.command.categories >> bit & 1 == 1)
                    })
                }
                word if is(word, "pattern") => {
                    Box::new(move |row| glob::matches(&text, row.name.as_bytes(), true))
                }
                _ => return Err(SYNTAX),
            }
        }
        _ => return Err(SYNTAX),
    };
    let rows: Vec<_> = table::rows().iter().filter(|row| wanted(row)).collect();
    ctx.out.set(rows.len());
    rows.iter().for_each(|row| ctx.out.bulk(row.name.as_bytes()));
    Ok(())
}

/// `COMMAND DOCS [name ...]`
pub fn docs(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    super::docs::docs(ctx, args)
}

fn keys_of(args: Args<'_>) -> Result<Vec<KeyAt>, Error> {
    let request = args.from(2);
    let number = match table::lookup(request.at(0), request.get(1)) {
        Found::Row(number) => number,
        _ => return Err(Error::fixed("ERR Invalid command specified")),
    };
    let command = table::rows()[number].command;
    if command.specs.is_empty() {
        return Err(Error::fixed("ERR The command has no key arguments"));
    }
    if !command.takes(request.len()) {
        return Err(Error::fixed("ERR Invalid number of arguments specified for command"));
    }
    let mut found = Vec::new();
    let sensible = keys::each(command, request, |key| found.push(key));
    if !sensible || found.is_empty() {
        return Err(Error::fixed("ERR Invalid arguments specified for command"));
    }
    Ok(found)
}

/// `COMMAND GETKEYS command [arg ...]`
pub fn getkeys(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let found = keys_of(args)?;
    ctx.out.array(found.len());
    found.iter().for_each(|key| ctx.out.bulk(args.at(2 + key.at)));
    Ok(())
}

/// `COMMAND GETKEYSANDFLAGS command [arg ...]`
pub fn getkeysandflags(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let found = keys_of(args)?;
    ctx.out.array(found.len());
    for key in &found {
        ctx.out.array(2);
        ctx.out.bulk(args.at(2 + key.at));
        statuses(ctx.out, &Command::names_of(key.flags, key::NAMES), "");
    }
    Ok(())
}

/// `COMMAND HELP`
pub fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "COMMAND",
        &[
            "(no subcommand)",
            "    Return details about all commands.",
            "COUNT",
            "    Return the total number of commands in this server.",
            "LIST",
            "    Return a list of all commands in this server.",
            "INFO [<command-name> ...]",
            "    Return details about multiple commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "DOCS [<command-name> ...]",
            "    Return documentation details about multiple commands.",
            "GETKEYS <full-command>",
            "    Return the keys from a full command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Return the keys and the access flags from a full command.",
        ],
    );
    Ok(())
}
