//! Strings as arrays of bits.

use box_wire::resp::Args;

use super::db::event;
use super::string::edit;
use super::{Ctx, Done, Error, SYNTAX, is, parse};
use crate::store::entry::NewValue;

const BIT_OFFSET: &str = "ERR bit offset is not an integer or out of range";

fn bit_offset(ctx: &Ctx<'_>, text: &[u8]) -> Result<usize, Error> {
    let most = (ctx.config.proto_max_bulk_len as i64).saturating_mul(8) - 1;
    parse::int_in(text, 0, most, BIT_OFFSET).map(|offset| offset as usize)
}

/// `SETBIT key offset 0|1`
pub fn setbit(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let offset = bit_offset(ctx, args.at(2))?;
    let on = parse::int_in(args.at(3), 0, 1, "ERR bit is not an integer or out of range")? == 1;
    let (byte, mask) = (offset / 8, 0x80u8 >> (offset % 8));
    let (old, changed) = edit(&mut ctx.db, key, |text| {
        let grows = text.len() <= byte;
        if grows {
            text.resize(byte + 1, 0);
        }
        let old = text[byte] & mask != 0;
        text[byte] = if on { text[byte] | mask } else { text[byte] & !mask };
        (old, grows || old != on)
    })?;
    if changed {
        ctx.db.changed(event::STRING, "setbit", key);
    }
    ctx.out.flag(old);
    Ok(())
}

/// `GETBIT key offset`
pub fn getbit(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let offset = bit_offset(ctx, args.at(2))?;
    let on = match ctx.db.text(args.at(1))? {
        Some(text) => {
            let mut scratch = Vec::new();
            let byte = text.bytes(&mut scratch).get(offset / 8).copied().unwrap_or(0);
            byte & 0x80 >> (offset % 8) != 0
        }
        None => false,
    };
    ctx.out.flag(on);
    Ok(())
}

/// The bits of a range: first and behind-last, `None` if there are none.
fn bit_range(start: i64, end: i64, by_bit: bool, bytes: usize) -> Option<(usize, usize)> {
    let total = if by_bit { bytes * 8 } else { bytes } as i64;
    if start < 0 && end < 0 && start > end {
        return None;
    }
    let start = if start < 0 { (total + start).max(0) } else { start };
    let end = if end < 0 { (total + end).max(0) } else { end }.min(total - 1);
    if start > end {
        return None;
    }
    let unit = if by_bit { 1 } else { 8 };
    Some((start as usize * unit, (end as usize + 1) * unit))
}

/// Counts the ones from bit `from` to before bit `to`.
fn ones(bytes: &[u8], from: usize, to: usize) -> usize {
    let mut count = 0;
    let (first, last) = (from / 8, to.div_ceil(8).min(bytes.len()));
    for (number, byte) in bytes[first..last].iter().enumerate() {
        let start = (first + number) * 8;
        let mut byte = *byte;
        if start < from {
            byte &= 0xff >> (from - start);
        }
        if start + 8 > to {
            byte &= !(0xff >> (to - start));
        }
        count += byte.count_ones() as usize;
    }
    count
}

fn unit(word: &[u8]) -> Result<bool, Error> {
    match () {
        () if is(word, "bit") => Ok(true),
        () if is(word, "byte") => Ok(false),
        () => Err(SYNTAX),
    }
}

/// `BITCOUNT key [start end [BYTE|BIT]]`
pub fn bitcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    // The key comes first: without one the rest is not looked at.
    if ctx.db.text(args.at(1))?.is_none() {
        ctx.out.int(0);
        return Ok(());
    }
    let range = match args.len() {
        2 => None,
        4 | 5 => {
            let range = (parse::int(args.at(2))?, parse::int(args.at(3))?);
            let by_bit = args.get(4).map_or(Ok(false), unit)?;
            Some((range.0, range.1, by_bit))
        }
        _ => return Err(SYNTAX),
    };
    let count = match ctx.db.text(args.at(1))? {
        None => 0,
        Some(text) => {
            let mut scratch = Vec::new();
            let bytes = text.bytes(&mut scratch);
            let (start, end, by_bit) = range.unwrap_or((0, -1, false));
            bit_range(start, end, by_bit, bytes.len()).map_or(0, |(from, to)| ones(bytes, from, to))
        }
    };
    ctx.out.count(count);
    Ok(())
}

/// `BITPOS key bit [start [end [BYTE|BIT]]]`
pub fn bitpos(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let bit = match parse::int(args.at(2))? {
        0 => false,
        1 => true,
        _ => return Err(Error::fixed("ERR The bit argument must be 1 or 0.")),
    };
    if args.len() > 6 {
        return Err(SYNTAX);
    }
    let found = ctx.db.text(args.at(1))?;
    if found.is_none() {
        // Behind the end of a string there are zeros without end.
        ctx.out.int(if bit { -1 } else { 0 });
        return Ok(());
    }
    let start = args.get(3).map_or(Ok(0), parse::int)?;
    let by_bit = args.get(5).map_or(Ok(false), unit)?;
    let end = args.get(4).map(parse::int).transpose()?;
    let position = match found {
        None => 0,
        Some(text) => {
            let mut scratch = Vec::new();
            let bytes = text.bytes(&mut scratch);
            match bit_range_for_pos(start, end.unwrap_or(-1), by_bit, bytes.len()) {
                None => -1,
                Some((from, to)) => {
                    let found =
                        (from..to).find(|at| (bytes[at / 8] & 0x80 >> (at % 8) != 0) == bit);
                    match found {
                        Some(at) => at as i64,
                        None if !bit && end.is_none() => bytes.len() as i64 * 8,
                        None => -1,
                    }
                }
            }
        }
    };
    ctx.out.int(position);
    Ok(())
}

fn bit_range_for_pos(start: i64, end: i64, by_bit: bool, bytes: usize) -> Option<(usize, usize)> {
    let total = if by_bit { bytes * 8 } else { bytes } as i64;
    let start = if start < 0 { (total + start).max(0) } else { start };
    let end = if end < 0 { (total + end).max(0) } else { end }.min(total - 1);
    let unit = if by_bit { 1 } else { 8 };
    (start <= end).then(|| (start as usize * unit, (end as usize + 1) * unit))
}

/// `BITOP AND|OR|XOR|NOT dest key [key ...]`
pub fn bitop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let combine: fn(u8, u8) -> u8 = match args.at(1) {
        word if is(word, "and") => |a, b| a & b,
        word if is(word, "or") => |a, b| a | b,
        word if is(word, "xor") => |a, b| a ^ b,
        word if is(word, "not") => |a, _| !a,
        _ => return Err(SYNTAX),
    };
    let not = is(args.at(1), "not");
    if not && args.len() != 4 {
        return Err(Error::fixed("ERR BITOP NOT must be called with a single source key."));
    }
    let mut sources = Vec::new();
    for key in args.from(3).iter() {
        sources.push(match ctx.db.text(key)? {
            Some(text) => text.bytes(&mut Vec::new()).to_vec(),
            None => Vec::new(),
        });
    }
    let len = sources.iter().map(Vec::len).max().unwrap_or(0);
    let byte = |source: &Vec<u8>, at: usize| source.get(at).copied().unwrap_or(0);
    let result: Vec<u8> = (0..len)
        .map(|at| {
            let first = byte(&sources[0], at);
            if not {
                return combine(first, 0);
            }
            sources[1..].iter().fold(first, |sum, source| combine(sum, byte(source, at)))
        })
        .collect();
    let dest = args.at(2);
    if len == 0 {
        if ctx.db.exists(dest) {
            ctx.db.remove(dest);
            ctx.db.changed(event::GENERIC, "del", dest);
        }
    } else {
        ctx.db.put(dest, NewValue::Raw(result), None);
        ctx.db.changed(event::STRING, "set", dest);
    }
    ctx.out.count(len);
    Ok(())
}
