//! `bit`: operations on 32 bits, as scripts know them from LuaJIT.
//!
//! A number is taken modulo 2^32 and given back signed.

use mlua::{Lua, MultiValue, Table, Value};

use super::engine::{Answer, host_function, number_argument};

/// A number's low 32 bits: 2^52 + 2^51 is added so that the mantissa's low end holds them, rounded
/// as the processor rounds.
fn normal(number: f64) -> u32 {
    (number + 6_755_399_441_055_744.0).to_bits() as u32
}

fn argument(args: &MultiValue, at: usize, name: &str) -> Result<u32, String> {
    number_argument(args, at, name).map(normal)
}

fn signed(value: u32) -> Answer {
    Ok(vec![Value::Number(f64::from(value as i32))])
}

fn fold(lua: &Lua, name: &'static str, f: fn(u32, u32) -> u32) -> mlua::Result<Value> {
    host_function(lua, move |_, args| {
        let mut value = argument(&args, 0, name)?;
        for at in 1..args.len() {
            value = f(value, argument(&args, at, name)?);
        }
        signed(value)
    })
}

fn shift(lua: &Lua, name: &'static str, f: fn(u32, u32) -> u32) -> mlua::Result<Value> {
    host_function(lua, move |_, args| {
        let value = argument(&args, 0, name)?;
        signed(f(value, argument(&args, 1, name)? & 31))
    })
}

fn single(lua: &Lua, name: &'static str, f: fn(u32) -> u32) -> mlua::Result<Value> {
    host_function(lua, move |_, args| signed(f(argument(&args, 0, name)?)))
}

fn tohex(_: &Lua, args: MultiValue) -> Result<String, String> {
    let value = argument(&args, 0, "tohex")?;
    let digits = match args.get(1) {
        None | Some(Value::Nil) => 8,
        Some(_) => argument(&args, 1, "tohex")? as i32,
    };
    let count = digits.unsigned_abs().min(8) as usize;
    let text = if digits < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    Ok(text[8 - count..].to_owned())
}

/// The library.
///
/// # Errors
/// The interpreter is out of memory.
pub fn library(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("tobit", single(lua, "tobit", |value| value)?)?;
    table.raw_set("bnot", single(lua, "bnot", |value| !value)?)?;
    table.raw_set("bswap", single(lua, "bswap", u32::swap_bytes)?)?;
    table.raw_set("band", fold(lua, "band", |a, b| a & b)?)?;
    table.raw_set("bor", fold(lua, "bor", |a, b| a | b)?)?;
    table.raw_set("bxor", fold(lua, "bxor", |a, b| a ^ b)?)?;
    table.raw_set("lshift", shift(lua, "lshift", |a, n| a << n)?)?;
    table.raw_set("rshift", shift(lua, "rshift", |a, n| a >> n)?)?;
    table.raw_set("arshift", shift(lua, "arshift", |a, n| ((a as i32) >> n) as u32)?)?;
    table.raw_set("rol", shift(lua, "rol", u32::rotate_left)?)?;
    table.raw_set("ror", shift(lua, "ror", u32::rotate_right)?)?;
    let hex = host_function(lua, |lua, args| {
        let text = tohex(lua, args)?;
        Ok(vec![Value::String(lua.create_string(text).map_err(|error| error.to_string())?)])
    })?;
    table.raw_set("tohex", hex)?;
    Ok(table)
}
