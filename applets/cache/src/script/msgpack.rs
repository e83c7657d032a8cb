//! `cmsgpack`: MessagePack as lua-cmsgpack 0.4 writes and reads it.

use mlua::{Lua, MultiValue, Table, Value};

use super::engine::{Answer, as_text, host_function, number_of, type_name};

/// Tables nested deeper are written as nil.
const PACK_DEPTH_MAX: usize = 16;
/// Values nested deeper are refused.
const UNPACK_DEPTH_MAX: usize = 1000;

const MISSING: &str = "Missing bytes in input.";
const BAD: &str = "Bad data format in input.";

/// The library.
///
/// # Errors
/// The interpreter is out of memory.
pub fn library(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("pack", host_function(lua, pack)?)?;
    table.raw_set("unpack", host_function(lua, |lua, args| unpack(lua, &args, 0, 0, "unpack"))?)?;
    let one = host_function(lua, |lua, args| {
        let offset = optional(&args, 1, "unpack_one", 0)?;
        unpack(lua, &args, 1, offset, "unpack_one")
    })?;
    table.raw_set("unpack_one", one)?;
    let limited = host_function(lua, |lua, args| {
        let limit = super::engine::number_argument(&args, 1, "unpack_limit")? as i64;
        let offset = optional(&args, 2, "unpack_limit", 0)?;
        unpack(lua, &args, limit, offset, "unpack_limit")
    })?;
    table.raw_set("unpack_limit", limited)?;
    table.raw_set("_NAME", "cmsgpack")?;
    table.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    table.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    Ok(table)
}

fn optional(args: &MultiValue, at: usize, name: &str, default: i64) -> Result<i64, String> {
    match args.get(at) {
        None | Some(Value::Nil) => Ok(default),
        Some(_) => super::engine::number_argument(args, at, name).map(|number| number as i64),
    }
}

fn pack(lua: &Lua, args: MultiValue) -> Answer {
    if args.is_empty() {
        return Err("bad argument #0 to 'pack' (MessagePack pack needs input.)".into());
    }
    let mut out = Vec::new();
    for value in &args {
        push(&mut out, value, 0)?;
    }
    Ok(vec![Value::String(lua.create_string(out).map_err(|error| error.to_string())?)])
}

fn push(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), String> {
    match value {
        Value::String(text) => push_text(out, &text.as_bytes()),
        Value::Boolean(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Integer(number) => push_integer(out, *number),
        Value::Number(number) => push_number(out, *number),
        Value::Table(table) if depth < PACK_DEPTH_MAX => push_table(out, table, depth + 1)?,
        _ => out.push(0xc0),
    }
    Ok(())
}

fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        len @ 0..32 => out.push(0xa0 | len as u8),
        len @ 32..256 => out.extend_from_slice(&[0xd9, len as u8]),
        len @ 256..65536 => {
            out.push(0xda);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0xdb);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}

fn push_integer(out: &mut Vec<u8>, number: i64) {
    match number {
        0..128 => out.push(number as u8),
        128..256 => out.extend_from_slice(&[0xcc, number as u8]),
        256..65536 => {
            out.push(0xcd);
            out.extend_from_slice(&(number as u16).to_be_bytes());
        }
        65536..4_294_967_296 => {
            out.push(0xce);
            out.extend_from_slice(&(number as u32).to_be_bytes());
        }
        4_294_967_296.. => {
            out.push(0xcf);
            out.extend_from_slice(&number.to_be_bytes());
        }
        -32..0 => out.push(number as i8 as u8),
        -128..-32 => out.extend_from_slice(&[0xd0, number as i8 as u8]),
        -32768..-128 => {
            out.push(0xd1);
            out.extend_from_slice(&(number as i16).to_be_bytes());
        }
        -2_147_483_648..-32768 => {
            out.push(0xd2);
            out.extend_from_slice(&(number as i32).to_be_bytes());
        }
        _ => {
            out.push(0xd3);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

fn push_number(out: &mut Vec<u8>, number: f64) {
    if number as i64 as f64 == number && number.abs() < 9.2e18 {
        return push_integer(out, number as i64);
    }
    let short = number as f32;
    if f64::from(short) == number {
        out.push(0xca);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// The length of a table that is an array without holes.
fn length(table: &Table) -> Result<Option<usize>, String> {
    let (mut max, mut count, mut array) = (0usize, 0usize, true);
    let walked = table.for_each(|key: Value, _: Value| {
        match number_of(&key).filter(|_| !matches!(key, Value::String(_))) {
            Some(key) if key > 0.0 && key.fract() == 0.0 => max = max.max(key as usize),
            _ => array = false,
        }
        count += 1;
        Ok(())
    });
    walked.map_err(|error| error.to_string())?;
    Ok((array && max == count).then_some(count))
}

fn push_header(out: &mut Vec<u8>, len: usize, (fix, wide): (u8, u8)) {
    match len {
        0..16 => out.push(fix | len as u8),
        16..65536 => {
            out.push(wide);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(wide + 1);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

fn push_table(out: &mut Vec<u8>, table: &Table, depth: usize) -> Result<(), String> {
    let failed = |error: mlua::Error| error.to_string();
    if let Some(len) = length(table)? {
        push_header(out, len, (0x90, 0xdc));
        for at in 1..=len {
            push(out, &table.raw_get::<Value>(at).map_err(failed)?, depth)?;
        }
        return Ok(());
    }
    let mut pairs = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        pairs.push(pair.map_err(failed)?);
    }
    push_header(out, pairs.len(), (0x80, 0xde));
    for (key, value) in pairs {
        push(out, &key, depth)?;
        push(out, &value, depth)?;
    }
    Ok(())
}

fn unpack(lua: &Lua, args: &MultiValue, limit: i64, offset: i64, name: &str) -> Answer {
    let Some(text) = args.front().and_then(as_text) else {
        let got = type_name(args.front());
        return Err(format!("bad argument #1 to '{name}' (string expected, got {got})"));
    };
    if offset < 0 || limit < 0 {
        return Err(format!(
            "Invalid request to unpack with offset of {offset} and limit of {limit}."
        ));
    }
    if offset as usize > text.len() {
        return Err(format!("Start offset {offset} greater than input length {}.", text.len()));
    }
    // Without a limit only the values are given back, with one the offset in front of them.
    let all = limit == 0 && offset == 0;
    let limit = if all { i64::MAX } else { limit };
    let mut reader = Reader { lua, text: &text, at: offset as usize };
    let mut values = Vec::new();
    while reader.at < text.len() && (values.len() as i64) < limit {
        if values.len() > 7000 {
            return Err(
                "too many return values at once; use unpack_one or unpack_limit instead.".into()
            );
        }
        values.push(reader.value(0)?);
    }
    if !all {
        let next = if reader.at < text.len() { reader.at as f64 } else { -1.0 };
        values.insert(0, Value::Number(next));
    }
    Ok(values)
}

struct Reader<'a> {
    lua: &'a Lua,
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(count).ok_or(MISSING)?;
        let bytes = self.text.get(self.at..end).ok_or(MISSING)?;
        self.at = end;
        Ok(bytes)
    }

    fn unsigned(&mut self, bytes: usize) -> Result<u64, String> {
        Ok(self.take(bytes)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, bytes: usize) -> Result<Value, String> {
        let shift = 64 - 8 * bytes as u32;
        let value = (self.unsigned(bytes)? << shift) as i64 >> shift;
        Ok(Value::Number(value as f64))
    }

    fn string(&mut self, len: usize) -> Result<Value, String> {
        let lua = self.lua;
        let text = self.take(len)?;
        lua.create_string(text).map(Value::String).map_err(|error| error.to_string())
    }

    fn array(&mut self, len: usize, depth: usize) -> Result<Value, String> {
        let table = self.lua.create_table().map_err(|error| error.to_string())?;
        for number in 1..=len {
            let value = self.value(depth + 1)?;
            table.raw_set(number, value).map_err(|error| error.to_string())?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: usize, depth: usize) -> Result<Value, String> {
        let table = self.lua.create_table().map_err(|error| error.to_string())?;
        for _ in 0..len {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            table.raw_set(key, value).map_err(|error| error.to_string())?;
        }
        Ok(Value::Table(table))
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > UNPACK_DEPTH_MAX {
            return Err("stack overflow (in function mp_decode_to_lua_array)".into());
        }
        let byte = self.take(1)?[0];
        Ok(match byte {
            0x00..=0x7f => Value::Number(f64::from(byte)),
            0xe0..=0xff => Value::Number(f64::from(byte as i8)),
            0x80..=0x8f => self.map(usize::from(byte & 15), depth)?,
            0x90..=0x9f => self.array(usize::from(byte & 15), depth)?,
            0xa0..=0xbf => self.string(usize::from(byte & 31))?,
            0xc0 => Value::Nil,
            0xc2 => Value::Boolean(false),
            0xc3 => Value::Boolean(true),
            0xc4 | 0xd9 => self.sized(1)?,
            0xc5 | 0xda => self.sized(2)?,
            0xc6 | 0xdb => self.sized(4)?,
            0xca => Value::Number(f64::from(f32::from_bits(self.unsigned(4)? as u32))),
            0xcb => Value::Number(f64::from_bits(self.unsigned(8)?)),
            0xcc => Value::Number(self.unsigned(1)? as f64),
            0xcd => Value::Number(self.unsigned(2)? as f64),
            0xce => Value::Number(self.unsigned(4)? as f64),
            0xcf => Value::Number(self.unsigned(8)? as f64),
            0xd0 => self.signed(1)?,
            0xd1 => self.signed(2)?,
            0xd2 => self.signed(4)?,
            0xd3 => self.signed(8)?,
            0xdc => self.many(2, depth, Self::array)?,
            0xdd => self.many(4, depth, Self::array)?,
            0xde => self.many(2, depth, Self::map)?,
            0xdf => self.many(4, depth, Self::map)?,
            _ => return Err(BAD.into()),
        })
    }

    fn sized(&mut self, bytes: usize) -> Result<Value, String> {
        let len = self.unsigned(bytes)? as usize;
        self.string(len)
    }

    fn many(
        &mut self,
        bytes: usize,
        depth: usize,
        read: fn(&mut Self, usize, usize) -> Result<Value, String>,
    ) -> Result<Value, String> {
        let len = self.unsigned(bytes)? as usize;
        read(self, len, depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that have been changed at random are read, or refused in words: nothing panics.
    #[test]
    fn no_mutated_input_panics() {
        let lua = Lua::new();
        let seed = b"\x93\x01\x02\x82\xa1a\xa1b\xa1c\xcb\x3f\xf8\0\0\0\0\0\0\xa4text\xd2\xff\xfe\xee\x90\xc3\xde\0\x01\x01\xc0";
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as usize % bound
        };
        for _ in 0..20_000 {
            let mut bytes = seed.to_vec();
            for _ in 0..=next(3) {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
            bytes.truncate(1 + next(bytes.len()));
            let text = Value::String(lua.create_string(&bytes).expect("memory"));
            let args = MultiValue::from_vec(vec![text]);
            if let Ok(values) = unpack(&lua, &args, 0, 0, "unpack") {
                values
                    .iter()
                    .for_each(|value| push(&mut Vec::new(), value, 0).expect("it is packed"));
            }
        }
    }
}
