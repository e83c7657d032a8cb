//! The `redis` table of scripts.
//!
//! Its functions live as long as the interpreter; what they act on is there only while a script
//! runs. Between them stands [`Current`]: the function that serves the run.

use std::sync::{Arc, Mutex, PoisonError};

use mlua::{Function, Lua, MultiValue, Table, Value};

use super::convert;
use super::engine::{Raised, as_text, digest, number_of, raise_table};
use crate::server::Server;

/// Who serves the script that runs.
#[derive(Clone, Default)]
pub struct Current(Arc<Mutex<Option<Function>>>);

impl Current {
    /// A script begins, or has ended.
    pub fn set(&self, serve: Option<Function>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = serve;
    }

    fn get(&self) -> Option<Function> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether no script runs.
    pub fn is_none(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn need(&self, what: &str) -> mlua::Result<Function> {
        self.get().ok_or_else(|| {
            raise_table(&format!("{what} can only be called inside a script invocation"))
        })
    }

    /// Asks for something; whether it is an error to raise, and what it is.
    fn ask(&self, what: &str, verb: &str, args: MultiValue) -> mlua::Result<(bool, Value)> {
        self.need(what)?.call((verb, args))
    }
}

fn raised(value: &Value) -> mlua::Error {
    match convert::as_error(value) {
        Some((error, counted)) => {
            mlua::Error::external(Raised::Table(error.0.into_owned(), counted))
        }
        None => raise_table("unknown error"),
    }
}

/// The table.
///
/// # Errors
/// The interpreter is out of memory.
pub fn table(lua: &Lua, server: &'static Server, current: &Current) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    constants(&table)?;
    calls(lua, &table, current)?;
    settings(lua, &table, current)?;
    replies(lua, &table)?;
    table.raw_set("log", log(lua, server)?)?;
    Ok(table)
}

fn constants(table: &Table) -> mlua::Result<()> {
    let numbers = [
        ("LOG_DEBUG", 0),
        ("LOG_VERBOSE", 1),
        ("LOG_NOTICE", 2),
        ("LOG_WARNING", 3),
        ("REPL_NONE", 0),
        ("REPL_AOF", 1),
        ("REPL_SLAVE", 2),
        ("REPL_REPLICA", 2),
        ("REPL_ALL", 3),
        ("REDIS_VERSION_NUM", 0x07_00_0f),
    ];
    numbers.into_iter().try_for_each(|(name, number)| table.raw_set(name, number))?;
    table.raw_set("REDIS_VERSION", crate::VERSION)
}

fn calls(lua: &Lua, table: &Table, current: &Current) -> mlua::Result<()> {
    let own = current.clone();
    let call = lua.create_function(move |_, args: MultiValue| {
        match own.ask("redis.call/pcall", "call", args)? {
            (true, value) => Err(raised(&value)),
            (false, value) => Ok(value),
        }
    })?;
    table.raw_set("call", call)?;
    let own = current.clone();
    let pcall = lua.create_function(move |_, args: MultiValue| {
        own.ask("redis.call/pcall", "call", args).map(|(_, value)| value)
    })?;
    table.raw_set("pcall", pcall)?;
    let own = current.clone();
    let may = lua.create_function(move |_, args: MultiValue| {
        match own.ask("redis.acl_check_cmd", "acl", args)? {
            (true, value) => Err(raised(&value)),
            (false, value) => Ok(value),
        }
    })?;
    table.raw_set("acl_check_cmd", may)
}

fn settings(lua: &Lua, table: &Table, current: &Current) -> mlua::Result<()> {
    let own = current.clone();
    let setresp = lua.create_function(move |_, args: MultiValue| {
        own.need("redis.setresp")?;
        if args.len() != 1 {
            return Err(raise_table("redis.setresp() requires one argument."));
        }
        let version = args.front().and_then(number_of).unwrap_or(0.0);
        if version.trunc() != 2.0 && version.trunc() != 3.0 {
            return Err(raise_table("RESP version must be 2 or 3."));
        }
        own.ask("redis.setresp", "setresp", args).map(drop)
    })?;
    table.raw_set("setresp", setresp)?;
    let own = current.clone();
    let set_repl = lua.create_function(move |_, args: MultiValue| {
        own.need("redis.set_repl")?;
        if args.len() != 1 {
            return Err(raise_table("redis.set_repl() requires two arguments."));
        }
        let to = args.front().and_then(number_of).unwrap_or(0.0) as i64;
        if !(0..=3).contains(&to) {
            return Err(raise_table(
                "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
            ));
        }
        own.ask("redis.set_repl", "set_repl", args).map(drop)
    })?;
    table.raw_set("set_repl", set_repl)
}

/// The only argument, if it is a string.
fn only_string(args: &MultiValue) -> Option<Vec<u8>> {
    match (args.len(), args.front()) {
        (1, Some(Value::String(text))) => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

fn replies(lua: &Lua, table: &Table) -> mlua::Result<()> {
    const WRONG: &[u8] = b"ERR wrong number or type of arguments";
    let status_reply = lua.create_function(|lua, args: MultiValue| match only_string(&args) {
        None => convert::error_table(lua, WRONG, false),
        Some(text) => {
            let reply = lua.create_table()?;
            reply.raw_set("ok", lua.create_string(text)?)?;
            Ok(Value::Table(reply))
        }
    })?;
    table.raw_set("status_reply", status_reply)?;
    let error_reply = lua.create_function(|lua, args: MultiValue| match only_string(&args) {
        None => convert::error_table(lua, WRONG, false),
        Some(text) => {
            let dashed = if text.starts_with(b"-") { text } else { [b"-", &text[..]].concat() };
            convert::error_table(lua, &convert::error_text(&dashed), false)
        }
    })?;
    table.raw_set("error_reply", error_reply)?;
    let sha1hex = lua.create_function(|_, args: MultiValue| {
        if args.len() != 1 {
            return Err(raise_table("wrong number of arguments"));
        }
        Ok(digest(&args.front().and_then(as_text).unwrap_or_default()))
    })?;
    table.raw_set("sha1hex", sha1hex)
}

fn log(lua: &Lua, server: &'static Server) -> mlua::Result<Function> {
    lua.create_function(move |_, args: MultiValue| {
        if args.len() < 2 {
            return Err(raise_table("redis.log() requires two arguments or more."));
        }
        let level = args.front().and_then(number_of);
        let level =
            level.ok_or_else(|| raise_table("First argument must be a number (log level)."))?;
        let words: Vec<Vec<u8>> = args.iter().skip(1).filter_map(as_text).collect();
        let text = String::from_utf8_lossy(&words.join(&b' ')).into_owned();
        match level as i64 {
            0 => server.logger.debug(&text),
            1 => server.logger.verbose(&text),
            2 => server.logger.notice(&text),
            3 => server.logger.warning(&text),
            _ => return Err(raise_table("Invalid debug level.")),
        }
        Ok(())
    })
}
