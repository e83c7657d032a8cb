//! EVAL and SCRIPT.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::time::Instant;

use box_wire::decimal::parse_i64;
use box_wire::resp::Args;
use mlua::{Function, Lua, MultiValue, Value};

use super::{Ctx, Done, Error, NOT_INTEGER, is};
use crate::script::call::Run;
use crate::script::{Running, convert, flag};

const NO_SCRIPT: Error = Error::fixed("NOSCRIPT No matching script. Please use EVAL.");

/// What is to be run.
pub struct Call {
    /// Its function.
    pub function: Function,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Its name, or the script's digest.
    pub name: String,
    /// Whether it is a script.
    pub is_script: bool,
    /// Whether the command promises not to write.
    pub read_only: bool,
}

/// Checks the number of keys of `EVAL script numkeys key… arg…`.
///
/// # Errors
/// There are fewer words, or it is no number.
pub fn count_keys(args: Args<'_>, not_a_number: Error) -> Result<usize, Error> {
    let count = parse_i64(args.at(2)).ok_or(not_a_number)?;
    if count > args.len() as i64 - 3 {
        return Err(Error::fixed("ERR Number of keys can't be greater than number of args"));
    }
    usize::try_from(count).map_err(|_| Error::fixed("ERR Number of keys can't be negative"))
}

/// `EVAL script numkeys [key ...] [arg ...]`
pub fn eval(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    by_text(ctx, args, false)
}

/// `EVAL_RO`
pub fn eval_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    by_text(ctx, args, true)
}

fn by_text(ctx: &mut Ctx<'_>, args: Args<'_>, read_only: bool) -> Done {
    let keys = count_keys(args, NOT_INTEGER)?;
    let sha = ctx.server.scripts.engine(ctx.server).add_script(ctx.server, args.at(1))?;
    by_digest(ctx, args, keys, &sha, read_only)
}

/// `EVALSHA sha1 numkeys [key ...] [arg ...]`
pub fn evalsha(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let keys = count_keys(args, NOT_INTEGER)?;
    by_digest(ctx, args, keys, &args.at(1).to_ascii_lowercase(), false)
}

/// `EVALSHA_RO`
pub fn evalsha_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let keys = count_keys(args, NOT_INTEGER)?;
    by_digest(ctx, args, keys, &args.at(1).to_ascii_lowercase(), true)
}

fn by_digest(ctx: &mut Ctx<'_>, args: Args<'_>, keys: usize, sha: &[u8], read_only: bool) -> Done {
    let call = {
        let engine = ctx.server.scripts.engine_if_made().ok_or(NO_SCRIPT)?;
        let script = engine.scripts.get(sha).ok_or(NO_SCRIPT)?;
        Call {
            function: script.function.clone(),
            flags: script.flags,
            name: String::from_utf8_lossy(sha).into_owned(),
            is_script: true,
            read_only,
        }
    };
    run(ctx, args, keys, &call)
}

/// What must be true before a script with a shebang, or a function, may run.
fn may_run(ctx: &Ctx<'_>, call: &Call, out_of_memory: bool) -> Done {
    if call.flags & flag::COMPAT != 0 || ctx.loading {
        return Ok(());
    }
    if call.flags & flag::ALLOW_OOM == 0 && out_of_memory {
        return Err(Error::fixed(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > \
             'maxmemory'",
        ));
    }
    if call.flags & flag::NO_WRITES != 0 {
        return Ok(());
    }
    if ctx.server.repl.is_replica() && ctx.config.is_on("replica-read-only") {
        return Err(Error::fixed("ERR Can not run script with write flag on readonly replica"));
    }
    if ctx.server.refuses_writes(ctx.config) {
        return Err(if ctx.server.log.has_failed() {
            Error::fixed(
                "MISCONF Redis is configured to persist data to AOF, but it's currently unable to \
                 persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only \
                 scripts. AOF error: No space left on device",
            )
        } else {
            Error::fixed(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to \
                 persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only \
                 scripts.",
            )
        });
    }
    if call.read_only {
        return Err(Error::fixed(
            "ERR Can not execute a script with write flag using *_ro command.",
        ));
    }
    Ok(())
}

/// Runs a script or function on what the request gives it, and replies.
///
/// # Errors
/// The text of the error reply.
pub fn run(ctx: &mut Ctx<'_>, args: Args<'_>, keys: usize, call: &Call) -> Done {
    let server = ctx.server;
    let maxmemory = server.hot.maxmemory.load(Ordering::Relaxed);
    let out_of_memory = maxmemory > 0 && box_sys::heap_use::used_bytes() as u64 > maxmemory;
    may_run(ctx, call, out_of_memory)?;
    let engine = server.scripts.engine(server);
    server.scripts.begin(
        Running {
            name: call.name.clone(),
            command: args.iter().map(<[u8]>::to_vec).collect(),
            is_script: call.is_script,
            since: Instant::now(),
        },
        ctx.config.int("busy-reply-threshold"),
    );
    let compat = call.flags & flag::COMPAT != 0;
    let read_only = call.read_only || (!compat && call.flags & flag::NO_WRITES != 0);
    let in_exec = ctx.in_exec;
    let words = |from: usize, to: usize| (from..to).map(|at| args.at(at));
    let lua = &engine.lua;
    let entry = if call.is_script { &engine.run_script } else { &engine.run_function };
    let cell = RefCell::new(Run::new(ctx, call.flags, read_only, out_of_memory));
    let outcome = lua.scope(|scope| {
        let serve =
            scope.create_function(|lua: &Lua, args: MultiValue| match cell.try_borrow_mut() {
                Ok(mut run) => run.serve(lua, args),
                Err(_) => Err(mlua::Error::runtime("recursive call of a command")),
            })?;
        let key_table = lua.create_sequence_from(words_of(lua, words(3, 3 + keys))?)?;
        let argv = lua.create_sequence_from(words_of(lua, words(3 + keys, args.len()))?)?;
        engine.current.set(Some(serve));
        entry.call::<(bool, Value)>((&call.function, key_table, argv))
    });
    engine.current.set(None);
    let Run { log, resp3, .. } = cell.into_inner();
    let killed = server.scripts.end(server);
    if killed {
        server.logger.warning("Lua script killed by user with SCRIPT KILL.");
        engine.restore_hook(server);
    }
    engine.publish_memory(server);
    drop(engine);
    ctx.db.effects.not_verbatim = true;
    super::transaction::log_as_one(ctx, log, in_exec);
    reply(ctx, call, outcome, killed, resp3)
}

fn words_of<'w>(
    lua: &Lua,
    words: impl Iterator<Item = &'w [u8]>,
) -> mlua::Result<Vec<mlua::LuaString>> {
    words.map(|word| lua.create_string(word)).collect()
}

fn reply(
    ctx: &mut Ctx<'_>,
    call: &Call,
    outcome: mlua::Result<(bool, Value)>,
    killed: bool,
    resp3: bool,
) -> Done {
    match outcome {
        Ok((true, value)) => {
            match convert::as_error(&value) {
                Some((error, false)) => return Err(error),
                Some((error, true)) => ctx.out.error(&error),
                None => convert::push_reply(ctx.out, &value, resp3),
            }
            Ok(())
        }
        Ok((false, value)) => Err(failure(call, &value, killed)),
        Err(error) => Err(Error::made(format!("ERR {error}"))),
    }
}

/// The error of a script that has failed, with the place.
fn failure(call: &Call, value: &Value, killed: bool) -> Error {
    let Value::Table(table) = value else { return Error::fixed("ERR unknown error") };
    let text = |name: &str| table.raw_get::<mlua::LuaString>(name).ok();
    let mut message = match text("err") {
        _ if killed => b"ERR Script killed by user with SCRIPT KILL...".to_vec(),
        Some(message) => message.as_bytes().to_vec(),
        None => b"ERR unknown error".to_vec(),
    };
    if let (Some(source), Ok(line)) = (text("source"), table.raw_get::<i64>("line")) {
        let source = source.to_string_lossy();
        message.extend(format!(" script: {}, on {source}:{line}.", call.name).into_bytes());
    }
    Error(message.into())
}

/// `SCRIPT LOAD script`
pub fn script_load(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let sha = ctx.server.scripts.engine(ctx.server).add_script(ctx.server, args.at(2))?;
    ctx.out.bulk(&sha);
    Ok(())
}

/// `SCRIPT EXISTS sha1 [sha1 ...]`
pub fn script_exists(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let engine = ctx.server.scripts.engine_if_made();
    ctx.out.array(args.len() - 2);
    for sha in args.from(2).iter() {
        let sha = sha.to_ascii_lowercase();
        ctx.out.flag(engine.as_ref().is_some_and(|engine| engine.scripts.contains_key(&sha)));
    }
    Ok(())
}

/// Whether a word is `SYNC` or `ASYNC`, or there is none.
pub fn flush_mode(args: Args<'_>) -> bool {
    let named = |word| is(word, "sync") || is(word, "async");
    args.len() == 2 || (args.len() == 3 && named(args.at(2)))
}

/// `SCRIPT FLUSH [ASYNC|SYNC]`
pub fn script_flush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if !flush_mode(args) {
        return Err(Error::fixed("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    if let Some(mut engine) = ctx.server.scripts.engine_if_made() {
        engine.scripts.clear();
        let _ = engine.lua.gc_collect();
        engine.publish_sizes(ctx.server);
    }
    ctx.out.ok();
    Ok(())
}

/// `SCRIPT KILL`
pub fn script_kill(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.server.scripts.kill(true)?;
    ctx.out.ok();
    Ok(())
}

/// `SCRIPT DEBUG YES|SYNC|NO`
pub fn script_debug(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mode = args.at(2);
    if is(mode, "no") {
        ctx.out.ok();
        return Ok(());
    }
    if is(mode, "yes") || is(mode, "sync") {
        return Err(Error::fixed("ERR the Lua debugger is not built in"));
    }
    Err(Error::fixed("ERR Use SCRIPT DEBUG YES/SYNC/NO"))
}

/// `SCRIPT HELP`
pub fn script_help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "SCRIPT",
        &[
            "DEBUG (YES|SYNC|NO)",
            "    Set the debug mode for subsequent scripts executed.",
            "EXISTS <sha1> [<sha1> ...]",
            "    Return information about the existence of the scripts in the script cache.",
            "FLUSH [ASYNC|SYNC]",
            "    Flush the Lua scripts cache. Very dangerous on replicas.",
            "    When called without the optional mode argument, the behavior is determined by the",
            "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the scripts cache.",
            "    * SYNC: Synchronously flush the scripts cache.",
            "KILL",
            "    Kill the currently executing Lua script.",
            "LOAD <script>",
            "    Load a script into the scripts cache without executing it.",
        ],
    );
    Ok(())
}
