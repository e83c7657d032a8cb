//! Libraries of functions: loaded once, kept with the data, called by name.

use std::cell::RefCell;
use std::collections::BTreeMap;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, Table, Value};

use super::engine::{Engine, FUNCTION_NAME, compile_error};
use super::flag;
use crate::cmd::Error;
use crate::server::Server;

/// A function of a library.
pub struct LibraryFunction {
    /// What runs it.
    pub function: Function,
    /// Bits of [`flag`].
    pub flags: u32,
    /// What its author says of it.
    pub description: Option<Vec<u8>>,
}

/// A library.
pub struct Library {
    /// Its text.
    pub code: Vec<u8>,
    /// Its functions by name.
    pub functions: BTreeMap<Vec<u8>, LibraryFunction>,
}

/// The name in a library's first line, and how many of its bytes are not Lua.
fn metadata(code: &[u8]) -> Result<(Vec<u8>, usize), Error> {
    if !code.starts_with(b"#!") {
        return Err(Error::fixed("ERR Missing library metadata"));
    }
    let end = memchr::memchr(b'\n', code).ok_or(Error::fixed("ERR Invalid library metadata"))?;
    let line = String::from_utf8_lossy(&code[2..end]).into_owned();
    let mut words = line.split_ascii_whitespace();
    let engine = words.next().unwrap_or_default().to_owned();
    let mut name = None;
    for word in words {
        match word.strip_prefix("name=") {
            None => {
                return Err(Error::made(format!("ERR Invalid metadata value given: {word}")));
            }
            Some(_) if name.is_some() => {
                return Err(Error::fixed(
                    "ERR Invalid metadata value, name argument was given multiple times",
                ));
            }
            Some(value) => name = Some(value.as_bytes().to_vec()),
        }
    }
    let name = name.ok_or(Error::fixed("ERR Library name was not given"))?;
    if !is_name(&name) {
        return Err(Error::fixed(
            "ERR Library names can only contain letters, numbers, or underscores(_) and must be at \
             least one character long",
        ));
    }
    if !engine.eq_ignore_ascii_case("lua") {
        return Err(Error::made(format!("ERR Engine '{engine}' not found")));
    }
    Ok((name, end))
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn flags_of(table: &Table) -> Result<u32, String> {
    let mut flags = 0;
    for value in table.sequence_values::<Value>() {
        let bit = match value {
            Ok(Value::String(name)) => flag::of(&name.as_bytes()),
            _ => None,
        };
        flags |= bit.ok_or("unknown flag given")?;
    }
    Ok(flags)
}

type Functions = BTreeMap<Vec<u8>, LibraryFunction>;
type Registration = (mlua::LuaString, Function, Table, Option<mlua::LuaString>);

fn register(functions: &mut Functions, registration: Registration) -> Result<(), String> {
    let (name, function, flags, description) = registration;
    let name = name.as_bytes().to_vec();
    if !is_name(&name) {
        return Err("Library names can only contain letters, numbers, or underscores(_) and must \
                    be at least one character long"
            .into());
    }
    let flags = flags_of(&flags)?;
    if functions.contains_key(&name) {
        return Err("Function already exists in the library".into());
    }
    let description = description.map(|text| text.as_bytes().to_vec());
    functions.insert(name, LibraryFunction { function, flags, description });
    Ok(())
}

impl Engine {
    /// Runs a library's text to see which functions it has.
    fn functions_of(&self, code: &[u8]) -> Result<Functions, Error> {
        let chunk = self.lua.load(code).set_name(FUNCTION_NAME).set_mode(ChunkMode::Text);
        let chunk = chunk.set_environment(self.library_globals.clone());
        let chunk = chunk.into_function().map_err(|error| {
            Error::made(format!("ERR Error compiling function: {}", compile_error(&error)))
        })?;
        let functions = RefCell::new(Functions::new());
        let outcome = self.lua.scope(|scope| {
            let add = scope.create_function(|_: &Lua, registration: Registration| {
                Ok(register(&mut functions.borrow_mut(), registration).err())
            })?;
            self.load_library.call::<(bool, Value)>((chunk, add))
        });
        match outcome {
            Ok((true, _)) => {}
            Ok((false, value)) => {
                return Err(Error::made(format!(
                    "ERR Error registering functions: {}",
                    message_of(&value)
                )));
            }
            Err(error) => {
                return Err(Error::made(format!("ERR Error registering functions: {error}")));
            }
        }
        let functions = functions.into_inner();
        if functions.is_empty() {
            return Err(Error::fixed("ERR No functions registered"));
        }
        Ok(functions)
    }

    /// `FUNCTION LOAD`: the library's name.
    ///
    /// # Errors
    /// The text of the error reply.
    pub fn add_library(
        &mut self,
        server: &Server,
        code: &[u8],
        replace: bool,
    ) -> Result<Vec<u8>, Error> {
        let (name, skipped) = metadata(code)?;
        if self.libraries.contains_key(&name) && !replace {
            let name = String::from_utf8_lossy(&name);
            return Err(Error::made(format!("ERR Library '{name}' already exists")));
        }
        let functions = self.functions_of(&code[skipped..])?;
        for function in functions.keys() {
            if self.functions.get(function).is_some_and(|library| *library != name) {
                let function = String::from_utf8_lossy(function);
                return Err(Error::made(format!("ERR Function {function} already exists")));
            }
        }
        self.remove_library(&name);
        for function in functions.keys() {
            self.functions.insert(function.clone(), name.clone());
        }
        self.libraries.insert(name.clone(), Library { code: code.to_vec(), functions });
        self.publish_sizes(server);
        Ok(name)
    }

    /// Removes a library; whether it was there.
    pub fn remove_library(&mut self, name: &[u8]) -> bool {
        self.functions.retain(|_, library| library != name);
        self.libraries.remove(name).is_some()
    }

    /// Removes all libraries.
    pub fn clear_libraries(&mut self) {
        self.functions.clear();
        self.libraries.clear();
    }
}

/// The text of an error value.
fn message_of(value: &Value) -> String {
    let Value::Table(table) = value else { return String::new() };
    let text = table.raw_get::<mlua::LuaString>("err").map(|text| text.to_string_lossy());
    text.unwrap_or_default()
}
