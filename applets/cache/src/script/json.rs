//! `cjson`: JSON as lua-cjson 2.1 writes and reads it, to the byte and to the error text.

use std::sync::{Arc, Mutex, PoisonError};

use mlua::{Lua, MultiValue, Table, Value};

use super::engine::{Answer, as_text, host_function, number_of, type_name};
use crate::types::double;

/// Settings of a module, which scripts may change.
#[derive(Clone)]
struct Settings {
    sparse_convert: bool,
    sparse_ratio: i64,
    sparse_safe: i64,
    encode_depth: usize,
    decode_depth: usize,
    precision: usize,
    keep_buffer: bool,
    encode_invalid: Invalid,
    decode_invalid: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Invalid {
    Refuse,
    Null,
    Write,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1000,
            decode_depth: 1000,
            precision: 14,
            keep_buffer: true,
            encode_invalid: Invalid::Refuse,
            decode_invalid: true,
        }
    }
}

type Shared = Arc<Mutex<Settings>>;

fn settings(shared: &Shared) -> Settings {
    shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A module with settings of its own.
///
/// # Errors
/// The interpreter is out of memory.
pub fn library(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let shared = Shared::default();
    let own = shared.clone();
    let encode = host_function(lua, move |lua, args| {
        if args.len() != 1 {
            return Err("bad argument #1 to 'encode' (expected 1 argument)".into());
        }
        let mut writer = Writer { out: Vec::new(), settings: settings(&own) };
        writer.value(args.front().unwrap_or(&Value::Nil), 0)?;
        text_answer(lua, &writer.out)
    })?;
    table.raw_set("encode", encode)?;
    let own = shared.clone();
    let decode = host_function(lua, move |lua, args| {
        if args.len() != 1 {
            return Err("bad argument #1 to 'decode' (expected 1 argument)".into());
        }
        let Some(text) = args.front().and_then(as_text) else {
            let got = type_name(args.front());
            return Err(format!("bad argument #1 to 'decode' (string expected, got {got})"));
        };
        Reader::new(lua, &text, &settings(&own)).document().map(|value| vec![value])
    })?;
    table.raw_set("decode", decode)?;
    settings_functions(lua, &table, &shared)?;
    let new = host_function(lua, |lua, _| {
        Ok(vec![Value::Table(library(lua).map_err(|error| error.to_string())?)])
    })?;
    table.raw_set("new", new)?;
    table.raw_set("null", Value::NULL)?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    Ok(table)
}

fn text_answer(lua: &Lua, text: &[u8]) -> Answer {
    let text = lua.create_string(text).map_err(|error| error.to_string())?;
    Ok(vec![Value::String(text)])
}

/// An optional whole number between two bounds.
fn integer(
    args: &MultiValue,
    at: usize,
    name: &str,
    (min, max): (i64, i64),
) -> Result<Option<i64>, String> {
    let value = match args.get(at) {
        None | Some(Value::Nil) => return Ok(None),
        Some(value) => value,
    };
    let Some(number) = number_of(value) else {
        let got = type_name(Some(value));
        return Err(format!("bad argument #{} to '{name}' (number expected, got {got})", at + 1));
    };
    let number = number as i64;
    if !(min..=max).contains(&number) {
        return Err(format!(
            "bad argument #{} to '{name}' (expected integer between {min} and {max})",
            at + 1
        ));
    }
    Ok(Some(number))
}

/// An optional `true`, `false`, "on", "off" or "null".
fn switch(args: &MultiValue, name: &str, words: &[&str]) -> Result<Option<usize>, String> {
    match args.front() {
        None | Some(Value::Nil) => Ok(None),
        Some(Value::Boolean(on)) => Ok(Some(usize::from(*on))),
        Some(value) => {
            let text = as_text(value).unwrap_or_default();
            let found = words.iter().position(|word| word.as_bytes() == text);
            found.map(Some).ok_or_else(|| {
                let text = String::from_utf8_lossy(&text);
                format!("bad argument #1 to '{name}' (invalid option '{text}')")
            })
        }
    }
}

fn setter(
    lua: &Lua,
    table: &Table,
    shared: &Shared,
    name: &'static str,
    set: fn(&mut Settings, &MultiValue, &str) -> Answer,
) -> mlua::Result<()> {
    let own = shared.clone();
    let function = host_function(lua, move |_, args| {
        set(&mut own.lock().unwrap_or_else(PoisonError::into_inner), &args, name)
    })?;
    table.raw_set(name, function)
}

fn whole(number: i64) -> Value {
    Value::Number(number as f64)
}

fn settings_functions(lua: &Lua, table: &Table, shared: &Shared) -> mlua::Result<()> {
    const INT_MAX: i64 = i32::MAX as i64;
    setter(lua, table, shared, "encode_sparse_array", |own, args, name| {
        if let Some(convert) = switch(args, name, &["off", "on"])? {
            own.sparse_convert = convert == 1;
        }
        if let Some(ratio) = integer(args, 1, name, (0, INT_MAX))? {
            own.sparse_ratio = ratio;
        }
        if let Some(safe) = integer(args, 2, name, (0, INT_MAX))? {
            own.sparse_safe = safe;
        }
        let values = [Value::Boolean(own.sparse_convert), whole(own.sparse_ratio)];
        Ok(values.into_iter().chain([whole(own.sparse_safe)]).collect())
    })?;
    setter(lua, table, shared, "encode_max_depth", |own, args, name| {
        if let Some(depth) = integer(args, 0, name, (1, INT_MAX))? {
            own.encode_depth = depth as usize;
        }
        Ok(vec![whole(own.encode_depth as i64)])
    })?;
    setter(lua, table, shared, "decode_max_depth", |own, args, name| {
        if let Some(depth) = integer(args, 0, name, (1, INT_MAX))? {
            own.decode_depth = depth as usize;
        }
        Ok(vec![whole(own.decode_depth as i64)])
    })?;
    setter(lua, table, shared, "encode_number_precision", |own, args, name| {
        if let Some(digits) = integer(args, 0, name, (1, 14))? {
            own.precision = digits as usize;
        }
        Ok(vec![whole(own.precision as i64)])
    })?;
    setter(lua, table, shared, "encode_keep_buffer", |own, args, name| {
        if let Some(keep) = switch(args, name, &["off", "on"])? {
            own.keep_buffer = keep == 1;
        }
        Ok(vec![Value::Boolean(own.keep_buffer)])
    })?;
    setter(lua, table, shared, "encode_invalid_numbers", |own, args, name| {
        if let Some(how) = switch(args, name, &["off", "on", "null"])? {
            own.encode_invalid = [Invalid::Refuse, Invalid::Write, Invalid::Null][how];
        }
        Ok(vec![Value::Boolean(own.encode_invalid == Invalid::Write)])
    })?;
    setter(lua, table, shared, "decode_invalid_numbers", |own, args, name| {
        if let Some(on) = switch(args, name, &["off", "on"])? {
            own.decode_invalid = on == 1;
        }
        Ok(vec![Value::Boolean(own.decode_invalid)])
    })
}

struct Writer {
    out: Vec<u8>,
    settings: Settings,
}

/// Nesting that the stack bears, whatever a script sets.
const DEPTH_MAX: usize = 4000;

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        match value {
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Integer(number) => self.number(*number as f64)?,
            Value::Number(number) => self.number(*number)?,
            Value::Boolean(value) => {
                self.out.extend_from_slice(if *value { b"true" } else { b"false" });
            }
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(data) if data.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Table(table) => self.table(table, depth + 1)?,
            other => {
                let name = type_name(Some(other));
                return Err(format!("Cannot serialise {name}: type not supported"));
            }
        }
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), String> {
        if number.is_finite() {
            double::push_digits(&mut self.out, number, self.settings.precision);
            return Ok(());
        }
        match self.settings.encode_invalid {
            Invalid::Refuse => Err("Cannot serialise number: must not be NaN or Inf".into()),
            Invalid::Null => {
                self.out.extend_from_slice(b"null");
                Ok(())
            }
            Invalid::Write => {
                let nan = if number.is_sign_negative() { &b"-nan"[..] } else { b"nan" };
                let inf = if number.is_sign_negative() { &b"-inf"[..] } else { b"inf" };
                self.out.extend_from_slice(if number.is_nan() { nan } else { inf });
                Ok(())
            }
        }
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for byte in text {
            let escaped = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'/' => b"\\/",
                8 => b"\\b",
                9 => b"\\t",
                10 => b"\\n",
                12 => b"\\f",
                13 => b"\\r",
                0..=31 | 127 => {
                    self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                    continue;
                }
                plain => {
                    self.out.push(*plain);
                    continue;
                }
            };
            self.out.extend_from_slice(escaped);
        }
        self.out.push(b'"');
    }

    /// The length of a table that is an array; `None` if it is an object.
    fn length(&self, table: &Table) -> Result<Option<i64>, String> {
        let (mut max, mut items, mut object) = (0i64, 0i64, false);
        let walked = table.for_each(|key: Value, _: Value| {
            match key {
                Value::Integer(key) if key >= 1 => max = max.max(key),
                Value::Number(key) if key >= 1.0 && key.fract() == 0.0 => max = max.max(key as i64),
                _ => object = true,
            }
            items += 1;
            Ok(())
        });
        walked.map_err(|error| error.to_string())?;
        if object {
            return Ok(None);
        }
        let own = &self.settings;
        let sparse = own.sparse_ratio > 0
            && max > items.saturating_mul(own.sparse_ratio)
            && max > own.sparse_safe;
        match (sparse, own.sparse_convert) {
            (false, _) => Ok((max > 0).then_some(max)),
            (true, true) => Ok(None),
            (true, false) => Err("Cannot serialise table: excessively sparse array".into()),
        }
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<(), String> {
        if depth > self.settings.encode_depth.min(DEPTH_MAX) {
            return Err(format!("Cannot serialise, excessive nesting ({depth})"));
        }
        match self.length(table)? {
            Some(len) => {
                self.out.push(b'[');
                for at in 1..=len {
                    if at > 1 {
                        self.out.push(b',');
                    }
                    let value: Value = table.raw_get(at).map_err(|error| error.to_string())?;
                    self.value(&value, depth)?;
                }
                self.out.push(b']');
            }
            None => self.object(table, depth)?,
        }
        Ok(())
    }

    fn object(&mut self, table: &Table, depth: usize) -> Result<(), String> {
        self.out.push(b'{');
        let mut first = true;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair.map_err(|error| error.to_string())?;
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            match &key {
                Value::String(text) => self.string(&text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    self.number(number_of(&key).unwrap_or(0.0))?;
                    self.out.push(b'"');
                }
                other => {
                    let name = type_name(Some(other));
                    return Err(format!(
                        "Cannot serialise {name}: table key must be a number or string"
                    ));
                }
            }
            self.out.push(b':');
            self.value(&value, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// A piece of JSON, with the place where it begins.
struct Token {
    kind: Kind,
    at: usize,
}

enum Kind {
    ObjBegin,
    ObjEnd,
    ArrBegin,
    ArrEnd,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Wrong(&'static str),
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::ObjBegin => "T_OBJ_BEGIN",
            Kind::ObjEnd => "T_OBJ_END",
            Kind::ArrBegin => "T_ARR_BEGIN",
            Kind::ArrEnd => "T_ARR_END",
            Kind::Text(_) => "T_STRING",
            Kind::Number(_) => "T_NUMBER",
            Kind::Boolean(_) => "T_BOOLEAN",
            Kind::Null => "T_NULL",
            Kind::Colon => "T_COLON",
            Kind::Comma => "T_COMMA",
            Kind::End => "T_END",
            Kind::Wrong(what) => what,
        }
    }
}

struct Reader<'a> {
    lua: &'a Lua,
    text: &'a [u8],
    at: usize,
    depth: usize,
    settings: Settings,
}

fn expected(what: &str, found: &Token) -> String {
    format!("Expected {what} but found {} at character {}", found.kind.name(), found.at + 1)
}

impl<'a> Reader<'a> {
    fn new(lua: &'a Lua, text: &'a [u8], settings: &Settings) -> Reader<'a> {
        Reader { lua, text, at: 0, depth: 0, settings: settings.clone() }
    }

    fn document(&mut self) -> Result<Value, String> {
        if self.text.len() >= 2 && (self.text[0] == 0 || self.text[1] == 0) {
            return Err("JSON parser does not support UTF-16 or UTF-32".into());
        }
        let token = self.next();
        let value = self.value(token)?;
        let token = self.next();
        match token.kind {
            Kind::End => Ok(value),
            _ => Err(expected("the end", &token)),
        }
    }

    fn value(&mut self, token: Token) -> Result<Value, String> {
        let failed = |error: mlua::Error| error.to_string();
        match token.kind {
            Kind::Text(text) => self.lua.create_string(text).map(Value::String).map_err(failed),
            Kind::Number(number) => Ok(Value::Number(number)),
            Kind::Boolean(value) => Ok(Value::Boolean(value)),
            Kind::Null => Ok(Value::NULL),
            Kind::ObjBegin => self.object(token.at),
            Kind::ArrBegin => self.array(token.at),
            _ => Err(expected("value", &token)),
        }
    }

    fn deeper(&mut self, at: usize) -> Result<Table, String> {
        self.depth += 1;
        if self.depth > self.settings.decode_depth.min(DEPTH_MAX) {
            let depth = self.depth;
            return Err(format!(
                "Found too many nested data structures ({depth}) at character {}",
                at + 1
            ));
        }
        self.lua.create_table().map_err(|error| error.to_string())
    }

    fn object(&mut self, at: usize) -> Result<Value, String> {
        let table = self.deeper(at)?;
        let mut token = self.next();
        if matches!(token.kind, Kind::ObjEnd) {
            self.depth -= 1;
            return Ok(Value::Table(table));
        }
        loop {
            let Kind::Text(key) = token.kind else {
                return Err(expected("object key string", &token));
            };
            let colon = self.next();
            if !matches!(colon.kind, Kind::Colon) {
                return Err(expected("colon", &colon));
            }
            let token_of_value = self.next();
            let value = self.value(token_of_value)?;
            let key = self.lua.create_string(key).map_err(|error| error.to_string())?;
            table.raw_set(key, value).map_err(|error| error.to_string())?;
            token = self.next();
            match token.kind {
                Kind::ObjEnd => break,
                Kind::Comma => token = self.next(),
                _ => return Err(expected("comma or object end", &token)),
            }
        }
        self.depth -= 1;
        Ok(Value::Table(table))
    }

    fn array(&mut self, at: usize) -> Result<Value, String> {
        let table = self.deeper(at)?;
        let mut token = self.next();
        if matches!(token.kind, Kind::ArrEnd) {
            self.depth -= 1;
            return Ok(Value::Table(table));
        }
        for number in 1.. {
            let value = self.value(token)?;
            table.raw_set(number, value).map_err(|error| error.to_string())?;
            token = self.next();
            match token.kind {
                Kind::ArrEnd => break,
                Kind::Comma => token = self.next(),
                _ => return Err(expected("comma or array end", &token)),
            }
        }
        self.depth -= 1;
        Ok(Value::Table(table))
    }

    fn next(&mut self) -> Token {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let at = self.at;
        let Some(byte) = self.text.get(at) else { return Token { kind: Kind::End, at } };
        let rest = &self.text[at..];
        let mut width = 1;
        let kind = match byte {
            b'{' => Kind::ObjBegin,
            b'}' => Kind::ObjEnd,
            b'[' => Kind::ArrBegin,
            b']' => Kind::ArrEnd,
            b',' => Kind::Comma,
            b':' => Kind::Colon,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => return self.number(),
            b't' if rest.starts_with(b"true") => {
                width = 4;
                Kind::Boolean(true)
            }
            b'f' if rest.starts_with(b"false") => {
                width = 5;
                Kind::Boolean(false)
            }
            b'n' if rest.starts_with(b"null") => {
                width = 4;
                Kind::Null
            }
            b'+' | b'i' | b'I' | b'n' | b'N' if self.settings.decode_invalid => {
                return self.odd_number();
            }
            _ => Kind::Wrong("invalid token"),
        };
        self.at += width;
        Token { kind, at }
    }

    fn number(&mut self) -> Token {
        let at = self.at;
        if !self.settings.decode_invalid {
            let digits = self.text[at..].strip_prefix(b"-").unwrap_or(&self.text[at..]);
            let leading_zero = matches!(digits, [b'0', b'0'..=b'9' | b'x' | b'X', ..]);
            if leading_zero || !digits.first().is_some_and(u8::is_ascii_digit) {
                return Token { kind: Kind::Wrong("invalid number"), at };
            }
        }
        self.odd_number()
    }

    /// What strtod takes: decimal, hexadecimal, infinities, NaN.
    fn odd_number(&mut self) -> Token {
        let at = self.at;
        let rest = &self.text[at..];
        let Some((value, width)) = strtod(rest) else {
            let wrong = if matches!(rest[0], b'-' | b'0'..=b'9') {
                "invalid number"
            } else {
                "invalid token"
            };
            return Token { kind: Kind::Wrong(wrong), at };
        };
        self.at += width;
        Token { kind: Kind::Number(value), at }
    }

    fn string(&mut self) -> Token {
        let at = self.at;
        let mut out = Vec::new();
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                None => {
                    return Token { kind: Kind::Wrong("unexpected end of string"), at: self.at };
                }
                Some(b'"') => break,
                Some(b'\\') => {
                    if let Err(wrong) = self.escape(&mut out) {
                        return Token { kind: Kind::Wrong(wrong), at: self.at };
                    }
                }
                Some(byte) => {
                    out.push(*byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Token { kind: Kind::Text(out), at }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let plain = match self.text.get(self.at + 1) {
            Some(b'"') => b'"',
            Some(b'\\') => b'\\',
            Some(b'/') => b'/',
            Some(b'b') => 8,
            Some(b't') => 9,
            Some(b'n') => 10,
            Some(b'f') => 12,
            Some(b'r') => 13,
            Some(b'u') => return self.unicode(out),
            Some(_) => return Err("invalid escape code"),
            None => return Err("invalid escape code"),
        };
        out.push(plain);
        self.at += 2;
        Ok(())
    }

    fn unicode(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        const WRONG: &str = "invalid unicode escape code";
        let unit = |at: usize| {
            let digits =
                self.text.get(at..at + 4).filter(|d| d.iter().all(u8::is_ascii_hexdigit))?;
            u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let first = unit(self.at + 2).ok_or(WRONG)?;
        let mut width = 6;
        let mut point = first;
        if (0xd800..0xe000).contains(&first) {
            let escaped = self.text.get(self.at + 6..self.at + 8) == Some(b"\\u");
            let second = unit(self.at + 8).filter(|low| (0xdc00..0xe000).contains(low));
            let (true, true, Some(low)) = (first < 0xdc00, escaped, second) else {
                return Err(WRONG);
            };
            point = 0x1_0000 + ((first & 0x3ff) << 10 | (low & 0x3ff));
            width = 12;
        }
        let character = char::from_u32(point).ok_or(WRONG)?;
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += width;
        Ok(())
    }
}

/// The number at the start of `text` and how many bytes it takes.
fn strtod(text: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let negative = text.first() == Some(&b'-');
    let rest = &text[sign..];
    let signed = |value: f64| if negative { -value } else { value };
    for (word, value) in [("infinity", f64::INFINITY), ("inf", f64::INFINITY), ("nan", f64::NAN)] {
        if rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes())) {
            return Some((signed(value), sign + word.len()));
        }
    }
    if matches!(rest, [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit()) {
        let end = rest[2..].iter().position(|b| !(b.is_ascii_hexdigit() || *b == b'.'));
        let end = 2 + end.unwrap_or(rest.len() - 2);
        return double::parse(&rest[..end]).map(|value| (signed(value), sign + end));
    }
    let digits = |from: usize| rest[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = digits(0);
    let mut any = end > 0;
    if rest.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        any |= fraction > 0;
        if any {
            end += 1 + fraction;
        }
    }
    if !any {
        return None;
    }
    if matches!(rest.get(end), Some(b'e' | b'E')) {
        let minus = usize::from(matches!(rest.get(end + 1), Some(b'-' | b'+')));
        let exponent = if end + 1 + minus <= rest.len() { digits(end + 1 + minus) } else { 0 };
        if exponent > 0 {
            end += 1 + minus + exponent;
        }
    }
    let value: f64 = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some((signed(value), sign + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Input that has been changed at random is read, or refused in words: nothing panics.
    #[test]
    fn no_mutated_input_panics() {
        let lua = Lua::new();
        let texts: [&[u8]; 3] = [
            br#"{"a":[1,2.5e3,-0.1,"x\u00e9\ud83d\ude00\n",{"b":null}],"c":[true,false],"d":{}}"#,
            br#"[[[[[[[[[["deep"]]]]]]]]]]"#,
            br#"[0x1f,inf,-nan,1e999,"\"\\\/"]"#,
        ];
        let mut state = 0x2545_f491_4f6c_dd1du64;
        let mut next = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as usize % bound
        };
        for round in 0..20_000 {
            let mut text = texts[round % texts.len()].to_vec();
            for _ in 0..=next(3) {
                let at = next(text.len());
                match next(3) {
                    0 => text[at] = next(256) as u8,
                    1 => text.truncate(at),
                    _ => text.insert(at, b"[]{}\",:\\u0e-"[next(12)]),
                }
                if text.is_empty() {
                    text.push(b'[');
                }
            }
            let settings = Settings::default();
            if let Ok(value) = Reader::new(&lua, &text, &settings).document() {
                let mut writer = Writer { out: Vec::new(), settings };
                let _ = writer.value(&value, 0);
            }
        }
    }
}
