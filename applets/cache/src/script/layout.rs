//! `struct`: values laid out in bytes after a format string, as Lua's struct library does.
//!
//! `>` `<` `=` byte order, `!n` alignment, `b B h H l L T iN IN` whole numbers, `f d` floats, `s`
//! a string with a zero, `cN` so many bytes, `x` a byte of padding.

use mlua::{Lua, MultiValue, Table, Value};

use super::engine::{Answer, as_text, host_function, number_argument, type_name};

/// The widest whole number.
const WIDTH_MAX: usize = 32;
/// Values that one call gives back at most.
const RESULTS_MAX: usize = 7000;

/// The library.
///
/// # Errors
/// The interpreter is out of memory.
pub fn library(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("pack", host_function(lua, pack)?)?;
    table.raw_set("unpack", host_function(lua, unpack)?)?;
    table.raw_set("size", host_function(lua, size)?)?;
    Ok(table)
}

/// Reads a format, option by option.
struct Format {
    text: Vec<u8>,
    function: &'static str,
    at: usize,
    big_endian: bool,
    align: usize,
}

/// An option with the bytes it takes and the padding in front of it.
struct Piece {
    option: u8,
    size: usize,
    padding: usize,
}

impl Format {
    fn of(args: &MultiValue, name: &'static str) -> Result<Format, String> {
        let Some(text) = args.front().and_then(as_text) else {
            let got = type_name(args.front());
            return Err(format!("bad argument #1 to '{name}' (string expected, got {got})"));
        };
        Ok(Format { text, function: name, at: 0, big_endian: false, align: 1 })
    }

    fn number(&mut self) -> Result<Option<usize>, String> {
        let start = self.at;
        let mut value = 0usize;
        while let Some(digit) = self.text.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(usize::from(digit - b'0')))
                .filter(|value| *value <= i32::MAX as usize)
                .ok_or("integral size overflow")?;
            self.at += 1;
        }
        Ok((self.at > start).then_some(value))
    }

    fn width(&mut self) -> Result<usize, String> {
        let width = self.number()?.unwrap_or(4);
        if width > WIDTH_MAX {
            return Err(format!("integral size {width} is larger than limit of {WIDTH_MAX}"));
        }
        Ok(width)
    }

    /// The next option that takes bytes; the others change the state.
    fn next(&mut self, total: usize) -> Result<Option<Piece>, String> {
        while let Some(option) = self.text.get(self.at).copied() {
            self.at += 1;
            let size = match option {
                b'b' | b'B' | b'x' => 1,
                b'h' | b'H' => 2,
                b'l' | b'L' | b'T' | b'd' => 8,
                b'f' => 4,
                b'i' | b'I' => self.width()?,
                b'c' => self.number()?.unwrap_or(1),
                b's' => 0,
                b' ' => continue,
                b'>' => {
                    self.big_endian = true;
                    continue;
                }
                b'<' | b'=' => {
                    self.big_endian = false;
                    continue;
                }
                b'!' => {
                    let align = self.number()?.unwrap_or(8);
                    if align == 0 || !align.is_power_of_two() {
                        return Err(format!("alignment {align} is not a power of 2"));
                    }
                    self.align = align;
                    continue;
                }
                other => {
                    return Err(format!(
                        "bad argument #1 to '{}' (invalid format option '{}')",
                        self.function,
                        char::from(other)
                    ));
                }
            };
            let align = if option == b'c' { 1 } else { size.min(self.align) };
            let padding = if align > 1 { (align - (total & (align - 1))) & (align - 1) } else { 0 };
            return Ok(Some(Piece { option, size, padding }));
        }
        Ok(None)
    }
}

fn pack(lua: &Lua, args: MultiValue) -> Answer {
    let mut format = Format::of(&args, "pack")?;
    let (mut out, mut arg) = (Vec::new(), 0);
    // One that is missing counts as nil.
    let mut args = args;
    args.push_back(Value::Nil);
    while let Some(piece) = format.next(out.len())? {
        out.resize(out.len() + piece.padding, 0);
        if piece.option == b'x' {
            out.push(0);
            continue;
        }
        arg += 1;
        match piece.option {
            b's' | b'c' => pack_text(&mut out, &args, arg, &piece)?,
            b'f' => {
                let bits = (number_argument(&args, arg, "pack")? as f32).to_bits();
                push_bytes(&mut out, u64::from(bits), 4, format.big_endian);
            }
            b'd' => {
                let bits = number_argument(&args, arg, "pack")?.to_bits();
                push_bytes(&mut out, bits, 8, format.big_endian);
            }
            _ => {
                let number = number_argument(&args, arg, "pack")?;
                let value = if number < 0.0 { number as i64 as u64 } else { number as u64 };
                push_bytes(&mut out, value, piece.size, format.big_endian);
            }
        }
    }
    Ok(vec![Value::String(lua.create_string(out).map_err(|error| error.to_string())?)])
}

fn pack_text(out: &mut Vec<u8>, args: &MultiValue, at: usize, piece: &Piece) -> Result<(), String> {
    let Some(text) = args.get(at).and_then(as_text) else {
        let got = type_name(args.get(at));
        return Err(format!("bad argument #{} to 'pack' (string expected, got {got})", at + 1));
    };
    let size = if piece.size == 0 { text.len() } else { piece.size };
    let Some(text) = text.get(..size) else {
        return Err(format!("bad argument #{} to 'pack' (string too short)", at + 2));
    };
    out.extend_from_slice(text);
    if piece.option == b's' {
        out.push(0);
    }
    Ok(())
}

fn push_bytes(out: &mut Vec<u8>, value: u64, size: usize, big_endian: bool) {
    // What is wider than the number is filled up with zeros.
    let mut bytes = [0; WIDTH_MAX];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    let bytes = &mut bytes[..size];
    if big_endian {
        bytes.reverse();
    }
    out.extend_from_slice(bytes);
}

fn whole(bytes: &[u8], big_endian: bool) -> u64 {
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    if big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
}

fn signed(value: u64, size: usize) -> f64 {
    let shift = 64 - 8 * size.min(8) as u32;
    if shift == 64 { 0.0 } else { ((value << shift) as i64 >> shift) as f64 }
}

fn unpack(lua: &Lua, args: MultiValue) -> Answer {
    let mut format = Format::of(&args, "unpack")?;
    let Some(data) = args.get(1).and_then(as_text) else {
        let got = type_name(args.get(1));
        return Err(format!("bad argument #2 to 'unpack' (string expected, got {got})"));
    };
    let start = match args.get(2) {
        None | Some(Value::Nil) => 1.0,
        Some(_) => number_argument(&args, 2, "unpack")?,
    };
    if start < 1.0 {
        return Err("bad argument #3 to 'unpack' (offset must be 1 or greater)".into());
    }
    let mut at = start as usize - 1;
    let mut values: Vec<Value> = Vec::new();
    const SHORT: &str = "bad argument #2 to 'unpack' (data string too short)";
    while let Some(piece) = format.next(at)? {
        at += piece.padding;
        let rest = at.checked_add(piece.size).and_then(|end| data.get(at..end)).ok_or(SHORT)?;
        let rest = rest.to_vec();
        if values.len() >= RESULTS_MAX {
            return Err("too many results".into());
        }
        let value = match piece.option {
            b'x' => {
                at += 1;
                continue;
            }
            b'b' | b'h' | b'l' | b'i' => {
                Value::Number(signed(whole(&rest, format.big_endian), piece.size))
            }
            b'B' | b'H' | b'L' | b'T' | b'I' => {
                Value::Number(whole(&rest, format.big_endian) as f64)
            }
            b'f' => {
                let bits = whole(&rest, format.big_endian) as u32;
                Value::Number(f64::from(f32::from_bits(bits)))
            }
            b'd' => Value::Number(f64::from_bits(whole(&rest, format.big_endian))),
            b'c' => {
                let len = match (piece.size, values.pop()) {
                    (0, Some(Value::Number(len))) if len >= 0.0 => len as usize,
                    (0, _) => return Err("format 'c0' needs a previous size".into()),
                    (size, last) => {
                        values.extend(last);
                        size
                    }
                };
                let text = at.checked_add(len).and_then(|end| data.get(at..end)).ok_or(SHORT)?;
                at += len;
                values.push(string(lua, text)?);
                continue;
            }
            _ => {
                let rest = data.get(at..).unwrap_or_default();
                let end = memchr::memchr(0, rest).ok_or("unfinished string in data")?;
                at += end + 1;
                values.push(string(lua, &rest[..end])?);
                continue;
            }
        };
        values.push(value);
        at += piece.size;
    }
    values.push(Value::Number((at + 1) as f64));
    Ok(values)
}

fn string(lua: &Lua, text: &[u8]) -> Result<Value, String> {
    lua.create_string(text).map(Value::String).map_err(|error| error.to_string())
}

fn size(_: &Lua, args: MultiValue) -> Answer {
    let mut format = Format::of(&args, "size")?;
    let mut total = 0usize;
    while let Some(piece) = format.next(total)? {
        total += piece.padding;
        match (piece.option, piece.size) {
            (b's', _) => {
                return Err("bad argument #1 to 'size' (option 's' has no fixed size)".into());
            }
            (b'c', 0) => {
                return Err("bad argument #1 to 'size' (option 'c0' has no fixed size)".into());
            }
            (_, size) => total = total.saturating_add(size),
        }
    }
    Ok(vec![Value::Number(total as f64)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Formats and data made at random are taken, or refused in words: nothing panics.
    #[test]
    fn no_random_format_panics() {
        let lua = Lua::new();
        let mut state = 0x1234_5678_9abc_def1u64;
        let mut next = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as usize % bound
        };
        let alphabet = b"<>=!bBhHlLTiIfdscx 0123456789z";
        for _ in 0..20_000 {
            let format: Vec<u8> = (0..next(8)).map(|_| alphabet[next(alphabet.len())]).collect();
            let data: Vec<u8> = (0..next(40)).map(|_| next(256) as u8).collect();
            let string = |text: &[u8]| Value::String(lua.create_string(text).expect("memory"));
            let args = vec![string(&format), string(&data), Value::Number(next(50) as f64)];
            let args = MultiValue::from_vec(args);
            let _ = pack(&lua, args.clone());
            let _ = unpack(&lua, args.clone());
            let _ = size(&lua, args);
        }
    }
}
