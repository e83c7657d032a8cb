//! Replies to Lua values and back.
//!
//! A script sees RESP2 until it asks for RESP3: nothing is `false`, a status is `{ok = …}`, an error
//! is `{err = …}`. What it returns goes the other way; its own view of the protocol decides whether
//! a boolean is a number, and the client's decides how maps, sets and doubles are written.

use mlua::{Lua, Table, Value};

use crate::cmd::Error;
use crate::cmd::reply::Out;
use crate::types::double;

/// How deep a returned table may nest.
const DEPTH_MAX: usize = 1000;

/// The text of an error as a script keeps it: `-CODE text` loses its dash; what has no code gets
/// `ERR`.
pub fn error_text(text: &[u8]) -> Vec<u8> {
    let trimmed = text.strip_suffix(b"\r\n").unwrap_or(text);
    match trimmed.strip_prefix(b"-") {
        Some(rest) if rest.contains(&b' ') => rest.to_vec(),
        Some(rest) => [b"ERR ", rest].concat(),
        None => [b"ERR ", trimmed].concat(),
    }
}

/// An error as a table.
///
/// # Errors
/// The interpreter is out of memory.
pub fn error_table(lua: &Lua, text: &[u8], counted: bool) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("err", lua.create_string(text)?)?;
    if counted {
        table.raw_set("ignore_error_stats_update", true)?;
    }
    Ok(Value::Table(table))
}

/// The reply at `at` as a value; `at` moves behind it.
///
/// # Errors
/// The interpreter is out of memory.
pub fn to_lua(lua: &Lua, bytes: &[u8], at: &mut usize) -> mlua::Result<Value> {
    let rest = bytes.get(*at..).unwrap_or_default();
    let Some(end) = memchr::memchr(b'\r', rest) else { return Ok(Value::Nil) };
    let (kind, line) =
        (rest.first().copied().unwrap_or(b'_'), rest.get(1..end).unwrap_or_default());
    *at += end + 2;
    let number = || box_wire::decimal::parse_i64(line).unwrap_or(0);
    Ok(match kind {
        b':' => Value::Number(number() as f64),
        b'$' | b'=' if number() >= 0 => {
            let len = number() as usize;
            let text = bytes.get(*at..*at + len).unwrap_or_default();
            *at += len + 2;
            if kind == b'$' { string(lua, text)? } else { verbatim(lua, text)? }
        }
        b'$' => Value::Boolean(false),
        b'*' if number() >= 0 => array(lua, bytes, at, number() as usize)?,
        b'*' => Value::Boolean(false),
        b'%' => map(lua, bytes, at, number() as usize)?,
        b'~' => set(lua, bytes, at, number() as usize)?,
        b'+' => single(lua, "ok", string(lua, line)?)?,
        b'-' => error_table(lua, &error_text(&[b"-", line].concat()), true)?,
        b'#' => Value::Boolean(line == b"t"),
        b',' => single(lua, "double", Value::Number(parse_double(line)))?,
        b'(' => single(lua, "big_number", string(lua, line)?)?,
        _ => Value::Nil,
    })
}

fn parse_double(text: &[u8]) -> f64 {
    double::parse(text).unwrap_or(f64::NAN)
}

fn string(lua: &Lua, text: &[u8]) -> mlua::Result<Value> {
    lua.create_string(text).map(Value::String)
}

fn single(lua: &Lua, key: &str, value: Value) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(key, value)?;
    Ok(Value::Table(table))
}

fn verbatim(lua: &Lua, text: &[u8]) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("format", lua.create_string(text.get(..3).unwrap_or_default())?)?;
    table.raw_set("string", lua.create_string(text.get(4..).unwrap_or_default())?)?;
    single(lua, "verbatim_string", Value::Table(table))
}

fn array(lua: &Lua, bytes: &[u8], at: &mut usize, count: usize) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(count, 0)?;
    for number in 1..=count {
        let value = to_lua(lua, bytes, at)?;
        table.raw_set(number, value)?;
    }
    Ok(Value::Table(table))
}

fn map(lua: &Lua, bytes: &[u8], at: &mut usize, count: usize) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, count)?;
    for _ in 0..count {
        let key = to_lua(lua, bytes, at)?;
        let value = to_lua(lua, bytes, at)?;
        table.raw_set(key, value)?;
    }
    single(lua, "map", Value::Table(table))
}

fn set(lua: &Lua, bytes: &[u8], at: &mut usize, count: usize) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, count)?;
    for _ in 0..count {
        let member = to_lua(lua, bytes, at)?;
        table.raw_set(member, true)?;
    }
    single(lua, "set", Value::Table(table))
}

/// The error that a returned value is, if it is one, and whether it has been counted.
pub fn as_error(value: &Value) -> Option<(Error, bool)> {
    let Value::Table(table) = value else { return None };
    let Ok(Value::String(text)) = table.raw_get::<Value>("err") else { return None };
    let counted = table.raw_get("ignore_error_stats_update").unwrap_or(false);
    Some((Error(text.as_bytes().to_vec().into()), counted))
}

/// Writes what a script has returned.
pub fn push_reply(out: &mut Out, value: &Value, script_resp3: bool) {
    push(out, value, script_resp3, 0);
}

fn push(out: &mut Out, value: &Value, resp3: bool, depth: usize) {
    match value {
        Value::String(text) => out.bulk(&text.as_bytes()),
        Value::Integer(number) => out.int(*number),
        // As C casts it: towards zero, and what does not fit to the smallest.
        Value::Number(number) if number.abs() < 9.3e18 => out.int(*number as i64),
        Value::Number(_) => out.int(i64::MIN),
        Value::Boolean(value) if resp3 => out.boolean(*value),
        Value::Boolean(true) => out.int(1),
        Value::Table(_) if depth >= DEPTH_MAX => {
            out.error(&Error::fixed("ERR reached lua stack limit"));
        }
        Value::Table(table) => push_table(out, table, resp3, depth),
        _ => out.nil(),
    }
}

fn text_field(table: &Table, name: &str) -> Option<Vec<u8>> {
    match table.raw_get::<Value>(name) {
        Ok(Value::String(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

fn table_field(table: &Table, name: &str) -> Option<Table> {
    match table.raw_get::<Value>(name) {
        Ok(Value::Table(table)) => Some(table),
        _ => None,
    }
}

fn one_line(text: Vec<u8>) -> Vec<u8> {
    text.into_iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect()
}

fn push_table(out: &mut Out, table: &Table, resp3: bool, depth: usize) {
    if let Some(text) = text_field(table, "err") {
        return out.error(&Error(text.into()));
    }
    if let Some(text) = text_field(table, "ok") {
        out.raw(b"+");
        // A C string: a zero byte ends it.
        let end = memchr::memchr(0, &text).unwrap_or(text.len());
        out.raw(&one_line(text[..end].to_vec()));
        return out.raw(b"\r\n");
    }
    match table.raw_get::<Value>("double") {
        Ok(Value::Number(number)) => return out.double(number),
        Ok(Value::Integer(number)) => return out.double(number as f64),
        _ => {}
    }
    if let Some(text) = text_field(table, "big_number") {
        if !out.resp3 {
            return out.bulk(&one_line(text));
        }
        out.raw(b"(");
        out.raw(&one_line(text));
        return out.raw(b"\r\n");
    }
    if let Some(parts) = table_field(table, "verbatim_string")
        && let (Some(format), Some(text)) =
            (text_field(&parts, "format"), text_field(&parts, "string"))
    {
        return push_verbatim(out, &format, &text);
    }
    if let Some(pairs) = table_field(table, "map") {
        return push_pairs(out, &pairs, resp3, depth);
    }
    if let Some(members) = table_field(table, "set") {
        return push_members(out, &members, resp3, depth);
    }
    let mut inner = Out::new(out.resp3);
    let mut count = 0;
    loop {
        match table.raw_get::<Value>(count + 1) {
            Ok(Value::Nil) | Err(_) => break,
            Ok(value) => push(&mut inner, &value, resp3, depth + 1),
        }
        count += 1;
    }
    out.array(count);
    out.raw(&inner.bytes);
}

fn push_verbatim(out: &mut Out, format: &[u8], text: &[u8]) {
    if !out.resp3 {
        return out.bulk(text);
    }
    let mut tag = format.to_vec();
    tag.resize(3, b' ');
    out.raw(format!("={}\r\n", text.len() + 4).as_bytes());
    out.raw(&tag);
    out.raw(b":");
    out.raw(text);
    out.raw(b"\r\n");
}

fn push_pairs(out: &mut Out, pairs: &Table, resp3: bool, depth: usize) {
    let mut inner = Out::new(out.resp3);
    let mut count = 0;
    let _ = pairs.for_each(|key: Value, value: Value| {
        push(&mut inner, &key, resp3, depth + 1);
        push(&mut inner, &value, resp3, depth + 1);
        count += 1;
        Ok(())
    });
    out.map(count);
    out.raw(&inner.bytes);
}

fn push_members(out: &mut Out, members: &Table, resp3: bool, depth: usize) {
    let mut inner = Out::new(out.resp3);
    let mut count = 0;
    let _ = members.for_each(|member: Value, _: Value| {
        push(&mut inner, &member, resp3, depth + 1);
        count += 1;
        Ok(())
    });
    out.set(count);
    out.raw(&inner.bytes);
}
