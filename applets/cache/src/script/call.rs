//! What a script reaches the commands through: `redis.call` and its kin.

use box_wire::resp::{Args, push_request};
use mlua::{Lua, MultiValue, Value};
use std::ops::Range;
use std::sync::atomic::Ordering;

use super::engine::number_of;
use super::{convert, flag};
use crate::acl::check::Denied;
use crate::cmd::Ctx;
use crate::cmd::reply::Out;
use crate::cmd::table::{self, Command, Found, flag as command_flag};

/// Requests, each with its database.
type Requests = Vec<(u32, Vec<u8>)>;

/// A run of a script.
pub struct Run<'c, 'a> {
    /// What the script was called with; its keys are held.
    pub ctx: &'c mut Ctx<'a>,
    /// The database that the script has selected.
    pub db: u32,
    /// Whether the script sees RESP3.
    pub resp3: bool,
    /// Requests that stand for the script in the log.
    pub log: Requests,
    /// Whether writing is refused.
    pub read_only: bool,
    /// Whether memory was used up when the script began, and that matters to it.
    pub out_of_memory: bool,
    /// Whether what it changes is logged.
    pub logs: bool,
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl<'c, 'a> Run<'c, 'a> {
    /// A run that has not begun.
    pub fn new(ctx: &'c mut Ctx<'a>, flags: u32, read_only: bool, out_of_memory: bool) -> Self {
        let db = ctx.session.db;
        Run {
            ctx,
            db,
            resp3: false,
            log: Vec::new(),
            read_only,
            out_of_memory: out_of_memory && flags & flag::ALLOW_OOM == 0,
            logs: true,
            bytes: Vec::new(),
            ranges: Vec::new(),
        }
    }

    /// Serves the prelude: whether to raise, and a value.
    ///
    /// # Errors
    /// The interpreter is out of memory.
    pub fn serve(&mut self, lua: &Lua, args: MultiValue) -> mlua::Result<(bool, Value)> {
        let mut args = args.into_iter();
        let verb = match args.next() {
            Some(Value::String(verb)) => verb.as_bytes().to_vec(),
            _ => Vec::new(),
        };
        match &verb[..] {
            b"call" => self.call(lua, args),
            b"acl" => self.may(lua, args),
            b"setresp" => {
                self.resp3 = args.next().as_ref().and_then(number_of) == Some(3.0);
                Ok((false, Value::Nil))
            }
            _ => {
                let to = args.next().as_ref().and_then(number_of).unwrap_or(3.0) as u32;
                self.logs = to != 0;
                Ok((false, Value::Nil))
            }
        }
    }

    /// Takes a request's words; the error if they are none.
    fn take_words(&mut self, args: impl Iterator<Item = Value>) -> Result<(), &'static str> {
        self.bytes.clear();
        self.ranges.clear();
        for value in args {
            let start = self.bytes.len();
            match &value {
                Value::String(text) => self.bytes.extend_from_slice(&text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    let number = number_of(&value).unwrap_or(0.0);
                    crate::types::double::push(&mut self.bytes, number);
                }
                _ => return Err("Lua redis lib command arguments must be strings or integers"),
            }
            self.ranges.push(start..self.bytes.len());
        }
        if self.ranges.is_empty() {
            return Err("Please specify at least one argument for this redis lib call");
        }
        Ok(())
    }

    fn call(
        &mut self,
        lua: &Lua,
        args: impl Iterator<Item = Value>,
    ) -> mlua::Result<(bool, Value)> {
        if let Err(text) = self.take_words(args) {
            return Ok((
                true,
                convert::error_table(lua, &convert::error_text(text.as_bytes()), false)?,
            ));
        }
        let (bytes, ranges) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.ranges));
        let outcome = self.execute(Args::new(&bytes, &ranges));
        (self.bytes, self.ranges) = (bytes, ranges);
        match outcome {
            Err(text) => {
                self.ctx
                    .server
                    .count_error(&crate::cmd::Error(convert::error_text(text.as_bytes()).into()));
                Ok((true, convert::error_table(lua, &convert::error_text(text.as_bytes()), true)?))
            }
            Ok(reply) => {
                let raises = reply.first() == Some(&b'-');
                Ok((raises, convert::to_lua(lua, &reply, &mut 0)?))
            }
        }
    }

    /// `redis.acl_check_cmd`
    fn may(&mut self, lua: &Lua, args: impl Iterator<Item = Value>) -> mlua::Result<(bool, Value)> {
        let problem = match self.take_words(args) {
            Err(text) => Some(text),
            Ok(()) => match find(Args::new(&self.bytes, &self.ranges)) {
                Some(number) => {
                    let user = self.ctx.session.user.as_ref();
                    let args = Args::new(&self.bytes, &self.ranges);
                    let may = user.is_none_or(|user| {
                        crate::acl::check::request(&user.rules(), number, args).is_ok()
                    });
                    return Ok((false, Value::Boolean(may)));
                }
                None => Some("Invalid command passed to redis.acl_check_cmd()"),
            },
        };
        match problem {
            Some(text) => {
                let text = convert::error_text(text.as_bytes());
                Ok((true, convert::error_table(lua, &text, false)?))
            }
            None => Ok((false, Value::Boolean(true))),
        }
    }

    /// Executes a request; the bytes of its reply.
    fn execute(&mut self, args: Args<'_>) -> Result<Vec<u8>, String> {
        let number = self.check(args)?;
        let command = table::rows()[number].command;
        let ctx = &mut *self.ctx;
        let server = ctx.server;
        if command.is(command_flag::WRITE) {
            server.scripts.set_dirty();
        }
        if server.hot.monitors.load(Ordering::Relaxed) > 0
            && !command.is(command_flag::SKIP_MONITOR)
        {
            server.feed_monitors_as(self.db, "lua", args);
        }
        server.stats(ctx.session.worker).by_command[number].calls.add(1);
        let outer = Outer::enter(ctx, self.db, self.resp3);
        let result = (command.run)(ctx, args);
        if let Err(error) = &result {
            server.count_error(error);
            ctx.out.error(error);
        }
        self.db = ctx.session.db;
        let id = ctx.db.id;
        let (reply, instead, verbatim) = outer.leave(ctx);
        if self.logs {
            if !instead.is_empty() {
                self.log.extend(instead);
            } else if verbatim && server.logs_changes() {
                let mut request = Vec::new();
                push_request(&mut request, args.iter());
                self.log.push((id, request));
            }
        }
        Ok(reply)
    }

    fn check(&self, args: Args<'_>) -> Result<usize, String> {
        let number = find(args).ok_or("Unknown Redis command called from script")?;
        let command = table::rows()[number].command;
        if !command.takes(args.len()) || (!command.subs.is_empty() && args.len() == 1) {
            return Err("Wrong number of args calling Redis command from script".into());
        }
        if command.is(command_flag::NOSCRIPT) {
            return Err("This Redis command is not allowed from script".into());
        }
        if self.ctx.loading {
            return Ok(number);
        }
        self.check_state(command)?;
        self.check_user(number, args)?;
        Ok(number)
    }

    fn check_user(&self, number: usize, args: Args<'_>) -> Result<(), String> {
        let (server, session) = (self.ctx.server, &*self.ctx.session);
        if !server.acl.is_in_use() {
            return Ok(());
        }
        let permitted = crate::cmd::acl::permit(server, session, (number, args), "lua");
        permitted.map_err(|(denied, _)| {
            match denied {
                Denied::Command => {
                    "The user executing the script can't run this command or subcommand"
                }
                Denied::Key(_) => {
                    "The user executing the script can't access at least one of the keys mentioned \
                     in the command arguments"
                }
                Denied::Channel(_) => {
                    "The user executing the script can't publish to the channel mentioned in the \
                     command"
                }
            }
            .to_owned()
        })
    }

    fn check_state(&self, command: &Command) -> Result<(), String> {
        let server = self.ctx.server;
        if command.is(command_flag::WRITE) {
            if self.read_only {
                return Err("Write commands are not allowed from read-only scripts.".into());
            }
            if server.repl.is_replica() && self.ctx.config.is_on("replica-read-only") {
                return Err("-READONLY You can't write against a read only replica.".into());
            }
            if server.refuses_writes(self.ctx.config) {
                let error = crate::cmd::dispatch::misconfigured(server);
                return Err(format!("-{}", String::from_utf8_lossy(&error.0)));
            }
        }
        if command.is(command_flag::DENYOOM) && self.out_of_memory && !server.scripts.is_dirty() {
            return Err("-OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        Ok(())
    }
}

fn find(args: Args<'_>) -> Option<usize> {
    match table::lookup(args.at(0), args.get(1)) {
        Found::Row(number) => Some(number),
        Found::NoSub | Found::Nothing => None,
    }
}

/// What the caller of a script has, while one of the script's commands runs.
struct Outer {
    out: Out,
    db: u32,
    session_db: u32,
    in_exec: bool,
    dirty: u64,
    instead: Requests,
}

impl Outer {
    fn enter(ctx: &mut Ctx<'_>, db: u32, resp3: bool) -> Outer {
        let outer = Outer {
            out: std::mem::replace(ctx.out, Out::new(resp3)),
            db: ctx.db.id,
            session_db: ctx.session.db,
            in_exec: ctx.in_exec,
            dirty: std::mem::take(&mut ctx.db.effects.dirty),
            instead: std::mem::take(&mut ctx.db.effects.instead),
        };
        ctx.db.effects.not_verbatim = false;
        ctx.session.db = db;
        ctx.db.id = db;
        ctx.in_exec = true;
        outer
    }

    /// The reply, what is to be logged, and whether the request's own words are.
    fn leave(self, ctx: &mut Ctx<'_>) -> (Vec<u8>, Requests, bool) {
        let reply = std::mem::replace(ctx.out, self.out);
        let instead = std::mem::replace(&mut ctx.db.effects.instead, self.instead);
        let verbatim = ctx.db.effects.dirty > 0 && !ctx.db.effects.not_verbatim;
        ctx.db.effects.dirty += self.dirty;
        ctx.db.id = self.db;
        ctx.session.db = self.session_db;
        ctx.in_exec = self.in_exec;
        (reply.bytes, instead, verbatim)
    }
}
