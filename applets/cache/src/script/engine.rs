//! The interpreter: made once, with the sandbox around it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value, VmState};

use super::api::{self, Current};
use super::library::Library;
use super::{bits, convert, flag, json, layout, msgpack};
use crate::cmd::Error;
use crate::server::Server;

/// Instructions between two looks at the clock.
const HOOK_INSTRUCTIONS: u32 = 100_000;
/// The name under which scripts see their text.
const SCRIPT_NAME: &str = "@user_script";
/// The same of functions.
pub const FUNCTION_NAME: &str = "@user_function";
/// Cached scripts at most: what nobody has run for longest goes first.
const SCRIPTS_MAX: usize = 100_000;

/// What a host function gives: values, or the message to raise.
pub type Answer = Result<Vec<Value>, String>;

/// An error on its way to the script's own error handling.
#[derive(Clone, Debug)]
pub enum Raised {
    /// A message, with its place in front.
    Text(Vec<u8>),
    /// A table with an `err` field, and whether the error has been counted.
    Table(Vec<u8>, bool),
}

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Raised::Text(text) | Raised::Table(text, _)) = self;
        f.write_str(&String::from_utf8_lossy(text))
    }
}

impl std::error::Error for Raised {}

/// Raises a table with this error.
pub fn raise_table(text: &str) -> mlua::Error {
    mlua::Error::external(Raised::Table(convert::error_text(text.as_bytes()), false))
}

/// A function that scripts call. What goes wrong is raised with the place of its caller in front.
///
/// # Errors
/// The interpreter is out of memory.
pub fn host_function(
    lua: &Lua,
    f: impl Fn(&Lua, MultiValue) -> Answer + Send + 'static,
) -> mlua::Result<Value> {
    let function = lua.create_function(move |lua, args: MultiValue| match f(lua, args) {
        Ok(values) => Ok(MultiValue::from_vec(values)),
        Err(text) => {
            let text = format!("{}{text}", place_of_caller(lua));
            Err(mlua::Error::external(Raised::Text(text.into_bytes())))
        }
    })?;
    Ok(Value::Function(function))
}

/// `source:line: ` of who has called the function that runs, if that is Lua.
fn place_of_caller(lua: &Lua) -> String {
    let place = lua.inspect_stack(1, |debug| {
        let source = debug.source();
        let line = debug.current_line().filter(|_| source.what != "C")?;
        Some(format!("{}:{line}: ", source.short_src.unwrap_or_default()))
    });
    place.flatten().unwrap_or_default()
}

/// What the userdata of an error stands for, as scripts see it.
fn plain(lua: &Lua, error: &mlua::Error) -> mlua::Result<Value> {
    let raised = error.chain().find_map(|cause| cause.downcast_ref::<Raised>());
    match raised {
        Some(Raised::Text(text)) => lua.create_string(text).map(Value::String),
        Some(Raised::Table(text, counted)) => convert::error_table(lua, text, *counted),
        None => lua.create_string(innermost(error)).map(Value::String),
    }
}

fn innermost(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } => innermost(cause),
        mlua::Error::RuntimeError(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The name of a value's type as error texts have it.
pub fn type_name(value: Option<&Value>) -> &'static str {
    match value {
        None => "no value",
        Some(Value::Integer(_)) => "number",
        Some(Value::LightUserData(_)) => "userdata",
        Some(value) => value.type_name(),
    }
}

/// A string or a number as text.
pub fn as_text(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(_) | Value::Number(_) => {
            let mut out = Vec::new();
            crate::types::double::push_digits(&mut out, number_of(value)?, 14);
            Some(out)
        }
        _ => None,
    }
}

/// A number, or the number that a string is the text of.
pub fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        Value::String(text) => {
            let text = text.as_bytes().to_vec();
            crate::types::double::parse(text.trim_ascii())
        }
        _ => None,
    }
}

/// The number at `at`.
///
/// # Errors
/// The text that Lua has for what is none.
pub fn number_argument(args: &MultiValue, at: usize, name: &str) -> Result<f64, String> {
    args.get(at).and_then(number_of).ok_or_else(|| {
        let got = type_name(args.get(at));
        format!("bad argument #{} to '{name}' (number expected, got {got})", at + 1)
    })
}

/// A script that has been compiled.
pub struct Script {
    /// Its text.
    pub body: Vec<u8>,
    /// Bits of [`flag`].
    pub flags: u32,
    /// What runs it.
    pub function: Function,
}

/// The interpreter with what it has loaded.
pub struct Engine {
    /// The interpreter.
    pub lua: Lua,
    /// Runs a script: function, keys, arguments.
    pub run_script: Function,
    /// Runs a library's function: the same.
    pub run_function: Function,
    /// Loads a library: its chunk, what registers functions.
    pub load_library: Function,
    /// The globals of libraries.
    pub library_globals: Table,
    /// Who serves the script that runs.
    pub current: Current,
    /// Scripts by the hexadecimal digits of their SHA-1.
    pub scripts: HashMap<Vec<u8>, Script>,
    /// Libraries by name.
    pub libraries: BTreeMap<Vec<u8>, Library>,
    /// Libraries by the names of their functions.
    pub functions: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// The generator of `math.random`, which must give the same numbers everywhere: drand48's.
static RANDOM: AtomicU64 = AtomicU64::new(0x1234_abcd_330e);

/// Seeds `math.random`.
pub fn seed_random(seed: i32) {
    RANDOM.store(u64::from(seed as u32) << 16 | 0x330e, Ordering::Relaxed);
}

fn next_random() -> u32 {
    let last = RANDOM.load(Ordering::Relaxed);
    let next = last.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & ((1 << 48) - 1);
    RANDOM.store(next, Ordering::Relaxed);
    (next >> 17) as u32
}

fn random(_: &Lua, args: MultiValue) -> Answer {
    const MAX: u32 = i32::MAX as u32;
    let r = f64::from(next_random() % MAX) / f64::from(MAX);
    let value = match args.len() {
        0 => r,
        1 => {
            let upper = number_argument(&args, 0, "random")? as i32;
            if upper < 1 {
                return Err("bad argument #1 to 'random' (interval is empty)".into());
            }
            (r * f64::from(upper)).floor() + 1.0
        }
        2 => {
            let lower = number_argument(&args, 0, "random")? as i32;
            let upper = number_argument(&args, 1, "random")? as i32;
            if lower > upper {
                return Err("bad argument #2 to 'random' (interval is empty)".into());
            }
            (r * (f64::from(upper) - f64::from(lower) + 1.0)).floor() + f64::from(lower)
        }
        _ => return Err("wrong number of arguments".into()),
    };
    Ok(vec![Value::Number(value)])
}

/// The digits by which a script is called.
pub fn digest(body: &[u8]) -> String {
    sha1_smol::Sha1::from(body).digest().to_string()
}

/// Where an error has been raised: the innermost level that is a script's.
fn position(lua: &Lua) -> Option<(String, i64)> {
    for level in 0..64 {
        let found = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let name = source.source.unwrap_or_default().into_owned();
            let own = source.what != "C" && source.what != "tail" && name != "=prelude";
            own.then(|| (name, debug.current_line().map_or(-1, |line| line as i64)))
        });
        match found {
            None => return None,
            Some(Some(position)) => return Some(position),
            Some(None) => {}
        }
    }
    None
}

fn host_table(lua: &Lua, server: &'static Server, current: &Current) -> mlua::Result<Table> {
    let host = lua.create_table()?;
    let plain_function = lua.create_function(|lua, value: Value| match &value {
        Value::Error(error) => plain(lua, error),
        _ => Ok(value),
    })?;
    host.raw_set("plain", plain_function)?;
    let libraries = lua.create_table()?;
    libraries.raw_set("bit", bits::library(lua)?)?;
    libraries.raw_set("cjson", json::library(lua)?)?;
    libraries.raw_set("cmsgpack", msgpack::library(lua)?)?;
    libraries.raw_set("struct", layout::library(lua)?)?;
    let os = lua.create_table()?;
    let clock = host_function(lua, move |_, _| {
        Ok(vec![Value::Number(server.started.elapsed().as_secs_f64())])
    })?;
    os.raw_set("clock", clock)?;
    libraries.raw_set("os", os)?;
    let math = lua.create_table()?;
    let own = current.clone();
    let random = host_function(lua, move |lua, args| {
        if own.is_none() {
            return Err("math.random can only be called inside a script invocation".into());
        }
        random(lua, args)
    })?;
    math.raw_set("random", random)?;
    let own = current.clone();
    let randomseed = host_function(lua, move |_, args| {
        if own.is_none() {
            return Err("math.randomseed can only be called inside a script invocation".into());
        }
        seed_random(number_argument(&args, 0, "randomseed")? as i64 as i32);
        Ok(Vec::new())
    })?;
    math.raw_set("randomseed", randomseed)?;
    libraries.raw_set("math", math)?;
    host.raw_set("libraries", libraries)?;
    host.raw_set("redis", api::table(lua, server, current)?)?;
    let where_function = lua.create_function(|lua, ()| {
        Ok(match position(lua) {
            Some((source, line)) => (Some(source), Some(line)),
            None => (None, None),
        })
    })?;
    host.raw_set("where", where_function)?;
    Ok(host)
}

fn set_hook(lua: &Lua, server: &'static Server, triggers: HookTriggers) -> mlua::Result<()> {
    lua.set_global_hook(triggers, move |lua, debug| {
        if debug.source().source.as_deref() == Some("=prelude") {
            return Ok(VmState::Continue);
        }
        if server.scripts.interrupt(server) {
            // At every line from now on, so that the script cannot catch it and go on.
            set_hook(lua, server, HookTriggers::EVERY_LINE)?;
            return Err(mlua::Error::runtime("Script killed by user with SCRIPT KILL..."));
        }
        Ok(VmState::Continue)
    })
}

impl Engine {
    /// A new interpreter in its sandbox.
    pub fn new(server: &'static Server) -> Engine {
        match Engine::build(server) {
            Ok(engine) => engine,
            // Nothing of it depends on input: only memory can have run out.
            Err(error) => panic!("the Lua interpreter cannot be made: {error}"),
        }
    }

    fn build(server: &'static Server) -> mlua::Result<Engine> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false))?;
        let current = Current::default();
        let host = host_table(&lua, server, &current)?;
        type Entries = (Function, Function, Function, Table, Table);
        let prelude = lua.load(include_str!("prelude.lua")).set_name("=prelude");
        let (run_script, run_function, load_library, globals, library_globals): Entries =
            prelude.call(host)?;
        lua.set_globals(globals)?;
        set_hook(&lua, server, HookTriggers::new().every_nth_instruction(HOOK_INSTRUCTIONS))?;
        Ok(Engine {
            lua,
            run_script,
            run_function,
            load_library,
            library_globals,
            current,
            scripts: HashMap::new(),
            libraries: BTreeMap::new(),
            functions: BTreeMap::new(),
        })
    }

    /// Puts the hook back after a script was killed.
    pub fn restore_hook(&self, server: &'static Server) {
        let triggers = HookTriggers::new().every_nth_instruction(HOOK_INSTRUCTIONS);
        let _ = set_hook(&self.lua, server, triggers);
    }

    /// Compiles a script and keeps it; its digest.
    ///
    /// # Errors
    /// The text of the error reply.
    pub fn add_script(&mut self, server: &Server, body: &[u8]) -> Result<Vec<u8>, Error> {
        let sha = digest(body).into_bytes();
        if self.scripts.contains_key(&sha) {
            return Ok(sha);
        }
        let (flags, skipped) = shebang_flags(body)?;
        let chunk = self.lua.load(&body[skipped..]).set_name(SCRIPT_NAME);
        let chunk = chunk.set_mode(ChunkMode::Text);
        let function = chunk.into_function().map_err(|error| {
            let text = compile_error(&error);
            Error::made(format!("ERR Error compiling script (new function): {text}"))
        })?;
        if self.scripts.len() >= SCRIPTS_MAX
            && let Some(old) = self.scripts.keys().next().cloned()
        {
            self.scripts.remove(&old);
        }
        self.scripts.insert(sha.clone(), Script { body: body.to_vec(), flags, function });
        self.publish_sizes(server);
        Ok(sha)
    }

    /// Shows everybody how much memory it has.
    pub fn publish_memory(&self, server: &Server) {
        server.scripts.memory.store(self.lua.used_memory(), Ordering::Relaxed);
    }

    /// Shows everybody how much there is.
    pub fn publish_sizes(&self, server: &Server) {
        let all = &server.scripts;
        let count = |field: &std::sync::atomic::AtomicUsize, value| {
            field.store(value, Ordering::Relaxed);
        };
        count(&all.memory, self.lua.used_memory());
        count(&all.cached, self.scripts.len());
        count(&all.cached_bytes, self.scripts.values().map(|script| script.body.len() + 40).sum());
        count(&all.functions, self.functions.len());
        count(&all.libraries, self.libraries.len());
        count(&all.library_bytes, self.libraries.values().map(|library| library.code.len()).sum());
    }
}

/// The message of a chunk that does not compile.
pub fn compile_error(error: &mlua::Error) -> String {
    match error {
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// The flags in the first line of a script, and how many of its bytes are not Lua.
fn shebang_flags(body: &[u8]) -> Result<(u32, usize), Error> {
    if !body.starts_with(b"#!") {
        return Ok((flag::COMPAT, 0));
    }
    let end = memchr::memchr(b'\n', body);
    let end = end.ok_or(Error::fixed("ERR Invalid script shebang"))?;
    let line = String::from_utf8_lossy(&body[..end]).into_owned();
    let mut words = line.split_ascii_whitespace();
    let engine = words.next().unwrap_or_default();
    if engine != "#!lua" {
        return Err(Error::made(format!("ERR Unexpected engine in script shebang: {engine}")));
    }
    let mut flags = 0;
    for word in words {
        let Some(list) = word.strip_prefix("flags=") else {
            return Err(Error::made(format!("ERR Unknown lua shebang option: {word}")));
        };
        for name in list.split(',').filter(|name| !name.is_empty()) {
            flags |= flag::of(name.as_bytes()).ok_or_else(|| {
                Error::made(format!("ERR Unexpected flag in script shebang: {name}"))
            })?;
        }
    }
    Ok((flags, end))
}
