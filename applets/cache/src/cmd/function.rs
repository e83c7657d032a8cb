//! FCALL and FUNCTION.

use box_wire::rdb::{opcode, read, write};
use box_wire::resp::Args;

use super::eval::{Call, count_keys, flush_mode, run};
use super::{Ctx, Done, Error, is};
use crate::glob;
use crate::script::{engine, flag};
use crate::server::Server;

/// `FCALL function numkeys [key ...] [arg ...]`
pub fn fcall(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    by_name(ctx, args, false)
}

/// `FCALL_RO`
pub fn fcall_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    by_name(ctx, args, true)
}

fn by_name(ctx: &mut Ctx<'_>, args: Args<'_>, read_only: bool) -> Done {
    const NOT_FOUND: Error = Error::fixed("ERR Function not found");
    let name = args.at(1);
    let call = {
        let engine = ctx.server.scripts.engine_if_made().ok_or(NOT_FOUND)?;
        let library = engine.functions.get(name).and_then(|name| engine.libraries.get(name));
        let function = library.and_then(|library| library.functions.get(name)).ok_or(NOT_FOUND)?;
        Call {
            function: function.function.clone(),
            flags: function.flags,
            name: String::from_utf8_lossy(name).into_owned(),
            is_script: false,
            read_only,
        }
    };
    let keys = count_keys(args, Error::fixed("ERR Bad number of keys provided"))?;
    run(ctx, args, keys, &call)
}

/// `FUNCTION LOAD [REPLACE] code`
pub fn load(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut replace = false;
    let code = args.len() - 1;
    for word in (2..code).map(|at| args.at(at)) {
        if !is(word, "replace") {
            let word = String::from_utf8_lossy(word);
            return Err(Error::made(format!("ERR Unknown option given: {word}")));
        }
        replace = true;
    }
    let mut engine = ctx.server.scripts.engine(ctx.server);
    let name = engine.add_library(ctx.server, args.at(code), replace)?;
    drop(engine);
    ctx.db.effects.dirty += 1;
    ctx.out.bulk(&name);
    Ok(())
}

/// `FUNCTION DELETE library`
pub fn delete(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let engine = ctx.server.scripts.engine_if_made();
    let removed = engine.is_some_and(|mut engine| {
        let removed = engine.remove_library(args.at(2));
        engine.publish_sizes(ctx.server);
        removed
    });
    if !removed {
        return Err(Error::fixed("ERR Library not found"));
    }
    ctx.db.effects.dirty += 1;
    ctx.out.ok();
    Ok(())
}

/// `FUNCTION FLUSH [ASYNC|SYNC]`
pub fn flush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if !flush_mode(args) {
        return Err(Error::fixed("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    if let Some(mut engine) = ctx.server.scripts.engine_if_made() {
        engine.clear_libraries();
        engine.publish_sizes(ctx.server);
    }
    ctx.db.effects.dirty += 1;
    ctx.out.ok();
    Ok(())
}

/// `FUNCTION KILL`
pub fn kill(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.server.scripts.kill(false)?;
    ctx.out.ok();
    Ok(())
}

/// `FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]`
pub fn list(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (mut with_code, mut pattern, mut at) = (false, None, 2);
    while let Some(word) = args.get(at) {
        match () {
            () if !with_code && is(word, "withcode") => with_code = true,
            () if pattern.is_none() && is(word, "libraryname") => {
                at += 1;
                let missing = Error::fixed("ERR library name argument was not given");
                pattern = Some(args.get(at).ok_or(missing)?);
            }
            () => {
                let word = String::from_utf8_lossy(word);
                return Err(Error::made(format!("ERR Unknown argument {word}")));
            }
        }
        at += 1;
    }
    let Some(engine) = ctx.server.scripts.engine_if_made() else {
        ctx.out.array(0);
        return Ok(());
    };
    let shown = |name: &[u8]| pattern.is_none_or(|pattern| glob::matches(pattern, name, true));
    let libraries: Vec<_> = engine.libraries.iter().filter(|(name, _)| shown(name)).collect();
    let out = &mut *ctx.out;
    out.array(libraries.len());
    for (name, library) in libraries {
        out.map(if with_code { 4 } else { 3 });
        out.bulk(b"library_name");
        out.bulk(name);
        out.bulk(b"engine");
        out.bulk(b"LUA");
        out.bulk(b"functions");
        out.array(library.functions.len());
        for (name, function) in &library.functions {
            out.map(3);
            out.bulk(b"name");
            out.bulk(name);
            out.bulk(b"description");
            out.bulk_or_nil(function.description.as_deref());
            out.bulk(b"flags");
            let names: Vec<_> = flag::NAMES
                .iter()
                .enumerate()
                .filter(|(bit, _)| function.flags >> bit & 1 == 1)
                .collect();
            out.set(names.len());
            names.iter().for_each(|(_, name)| out.status(name));
        }
        if with_code {
            out.bulk(b"library_code");
            out.bulk(&library.code);
        }
    }
    Ok(())
}

/// `FUNCTION STATS`
pub fn stats(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    use std::sync::atomic::Ordering;
    let scripts = &ctx.server.scripts;
    let out = &mut *ctx.out;
    out.map(2);
    out.bulk(b"running_script");
    scripts.show_running(|running| match running {
        None => out.nil(),
        Some(running) => {
            out.map(3);
            out.bulk(b"name");
            out.bulk(running.name.as_bytes());
            out.bulk(b"command");
            out.array(running.command.len());
            running.command.iter().for_each(|word| out.bulk(word));
            out.bulk(b"duration_ms");
            out.int(running.since.elapsed().as_millis() as i64);
        }
    });
    out.bulk(b"engines");
    out.map(1);
    out.bulk(b"LUA");
    out.map(2);
    out.bulk(b"libraries_count");
    out.count(scripts.libraries.load(Ordering::Relaxed));
    out.bulk(b"functions_count");
    out.count(scripts.functions.load(Ordering::Relaxed));
    Ok(())
}

/// Appends all libraries in their RDB form.
pub fn push_libraries(out: &mut Vec<u8>, server: &Server, compress: bool) {
    let Some(engine) = server.scripts.engine_if_made() else { return };
    for library in engine.libraries.values() {
        out.push(opcode::FUNCTION2);
        write::string(out, &library.code, compress);
    }
}

/// `FUNCTION DUMP`
pub fn dump(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let mut payload = Vec::new();
    push_libraries(&mut payload, ctx.server, ctx.config.rdb_compression);
    write::seal_payload(&mut payload);
    ctx.out.bulk(&payload);
    Ok(())
}

/// `FUNCTION RESTORE payload [FLUSH|APPEND|REPLACE]`
pub fn restore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (mut flush, mut replace) = (false, false);
    match args.get(3) {
        None => {}
        Some(word) if args.len() == 4 && is(word, "flush") => flush = true,
        Some(word) if args.len() == 4 && is(word, "append") => {}
        Some(word) if args.len() == 4 && is(word, "replace") => replace = true,
        Some(_) => {
            return Err(Error::fixed(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    }
    let codes = read::functions(args.at(2)).map_err(|broken| match broken.reason {
        "version" | "checksum" | "too short" => {
            Error::fixed("ERR DUMP payload version or checksum are wrong")
        }
        "not a function" => Error::fixed("ERR given type is not a function"),
        _ => Error::fixed("ERR failed loading the given functions payload"),
    })?;
    let mut engine = ctx.server.scripts.engine(ctx.server);
    let before: Vec<Vec<u8>> = engine.libraries.values().map(|old| old.code.clone()).collect();
    if flush {
        engine.clear_libraries();
    }
    let result =
        codes.iter().try_for_each(|code| engine.add_library(ctx.server, code, replace).map(drop));
    if let Err(error) = result {
        put_back(&mut engine, ctx.server, &before);
        return Err(match error.0.strip_prefix(b"ERR Library '") {
            Some(rest) => {
                let name = String::from_utf8_lossy(rest);
                let name = name.strip_suffix("' already exists").unwrap_or(&name);
                Error::made(format!("ERR Library {name} already exists"))
            }
            None => error,
        });
    }
    drop(engine);
    ctx.db.effects.dirty += 1;
    ctx.out.ok();
    Ok(())
}

/// All or nothing: what was there is loaded again.
fn put_back(engine: &mut engine::Engine, server: &Server, codes: &[Vec<u8>]) {
    engine.clear_libraries();
    for code in codes {
        let _ = engine.add_library(server, code, true);
    }
}

/// `FUNCTION HELP`
pub fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "FUNCTION",
        &[
            "LOAD [REPLACE] <FUNCTION CODE>",
            "    Create a new library with the given library name and code.",
            "DELETE <LIBRARY NAME>",
            "    Delete the given library.",
            "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
            "    Return general information on all the libraries:",
            "    * Library name",
            "    * The engine used to run the Library",
            "    * Library description",
            "    * Functions list",
            "    * Library code (if WITHCODE is given)",
            "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
            "STATS",
            "    Return information about the current function running:",
            "    * Function name",
            "    * Command used to run the function",
            "    * Duration in MS that the function is running",
            "    If no function is running, return nil",
            "    In addition, returns a list of available engines.",
            "KILL",
            "    Kill the current running function.",
            "FLUSH [ASYNC|SYNC]",
            "    Delete all the libraries.",
            "    When called without the optional mode argument, the behavior is determined by the",
            "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the libraries.",
            "    * SYNC: Synchronously flush the libraries.",
            "DUMP",
            "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command",
            "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
            "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
            "    control how to handle existing libraries (default APPEND):",
            "    * FLUSH: delete all existing libraries.",
            "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
            "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
            "      libraries with the new libraries (notice that even on this option there is a chance of failure",
            "      in case of functions name collision with another library).",
        ],
    );
    Ok(())
}
