//! BITFIELD: strings as arrays of integers of any width.

use box_wire::resp::Args;

use super::db::event;
use super::string::edit;
use super::{Ctx, Done, Error, NOT_INTEGER, SYNTAX, is, parse};

#[derive(Clone, Copy)]
struct Field {
    signed: bool,
    bits: u32,
    offset: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy)]
enum Op {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

/// `BITFIELD key [GET type offset] [SET type offset value] [INCRBY type offset n] [OVERFLOW …]`
pub fn bitfield(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    run(ctx, args, false)
}

/// `BITFIELD_RO key [GET type offset ...]`
pub fn bitfield_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    run(ctx, args, true)
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>, read_only: bool) -> Done {
    let ops = operations(ctx, args)?;
    let key = args.at(1);
    let writes = ops.iter().any(|(_, op)| !matches!(op, Op::Get));
    if writes && read_only {
        return Err(Error::fixed("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    if !writes {
        let text = match ctx.db.text(key)? {
            Some(text) => text.bytes(&mut Vec::new()).to_vec(),
            None => Vec::new(),
        };
        ctx.out.array(ops.len());
        ops.iter().for_each(|(field, _)| ctx.out.int(field.read(&text)));
        return Ok(());
    }
    let last = ops.iter().filter(|(_, op)| !matches!(op, Op::Get));
    let bytes = last.map(|(field, _)| (field.offset + field.bits as usize).div_ceil(8)).max();
    let out = &mut ctx.out;
    let mut changed = false;
    edit(&mut ctx.db, key, |text| {
        if text.len() < bytes.unwrap_or(0) {
            text.resize(bytes.unwrap_or(0), 0);
            changed = true;
        }
        out.array(ops.len());
        for (field, op) in &ops {
            let old = field.read(text);
            match field.apply(text, *op) {
                Some(value) => out.int(value),
                None => out.nil(),
            }
            changed |= field.read(text) != old;
        }
    })?;
    if changed {
        ctx.db.changed(event::STRING, "setbit", key);
    }
    Ok(())
}

fn operations(ctx: &Ctx<'_>, args: Args<'_>) -> Result<Vec<(Field, Op)>, Error> {
    let mut ops = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut at = 2;
    while let Some(word) = args.get(at) {
        let left = args.len() - at - 1;
        if is(word, "overflow") && left >= 1 {
            overflow = match args.at(at + 1) {
                word if is(word, "wrap") => Overflow::Wrap,
                word if is(word, "sat") => Overflow::Saturate,
                word if is(word, "fail") => Overflow::Fail,
                _ => return Err(Error::fixed("ERR Invalid OVERFLOW type specified")),
            };
            at += 2;
            continue;
        }
        let (set, add) = (is(word, "set"), is(word, "incrby"));
        if !(is(word, "get") && left >= 2 || (set || add) && left >= 3) {
            return Err(SYNTAX);
        }
        let (signed, bits) = field_type(args.at(at + 1))?;
        let offset = offset(ctx, args.at(at + 2), bits)?;
        let field = Field { signed, bits, offset };
        if set || add {
            let value = box_wire::decimal::parse_i64(args.at(at + 3)).ok_or(NOT_INTEGER)?;
            ops.push((
                field,
                if set { Op::Set(value, overflow) } else { Op::Add(value, overflow) },
            ));
            at += 4;
        } else {
            ops.push((field, Op::Get));
            at += 3;
        }
    }
    Ok(ops)
}

fn field_type(text: &[u8]) -> Result<(bool, u32), Error> {
    let invalid = Error::fixed(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but \
         i64 is.",
    );
    let (signed, digits) = match text {
        [b'i', digits @ ..] => (true, digits),
        [b'u', digits @ ..] => (false, digits),
        _ => return Err(invalid),
    };
    let most = if signed { 64 } else { 63 };
    match box_wire::decimal::parse_i64(digits) {
        Some(bits) if (1..=most).contains(&bits) => Ok((signed, bits as u32)),
        _ => Err(invalid),
    }
}

fn offset(ctx: &Ctx<'_>, text: &[u8], bits: u32) -> Result<usize, Error> {
    const INVALID: &str = "ERR bit offset is not an integer or out of range";
    let (text, unit) = match text {
        [b'#', digits @ ..] => (digits, i64::from(bits)),
        _ => (text, 1),
    };
    let most = (ctx.config.proto_max_bulk_len as i64).saturating_mul(8);
    let value = parse::int_in(text, 0, i64::MAX, INVALID)?;
    match value.checked_mul(unit) {
        Some(value) if value < most => Ok(value as usize),
        _ => Err(Error::fixed(INVALID)),
    }
}

impl Field {
    fn raw(self, text: &[u8]) -> u64 {
        (self.offset..self.offset + self.bits as usize).fold(0, |value, at| {
            let byte = text.get(at / 8).copied().unwrap_or(0);
            value << 1 | u64::from(byte >> (7 - at % 8) & 1)
        })
    }

    fn read(self, text: &[u8]) -> i64 {
        let unused = 64 - self.bits;
        let raw = self.raw(text);
        if self.signed { (raw << unused) as i64 >> unused } else { raw as i64 }
    }

    fn write(self, text: &mut [u8], value: i64) {
        for bit in 0..self.bits as usize {
            let at = self.offset + bit;
            let on = (value as u64) >> (self.bits as usize - 1 - bit) & 1 == 1;
            let mask = 0x80u8 >> (at % 8);
            if let Some(byte) = text.get_mut(at / 8) {
                *byte = if on { *byte | mask } else { *byte & !mask };
            }
        }
    }

    /// The reply: the old value for SET, the new one for INCRBY, nothing where it overflowed.
    fn apply(self, text: &mut [u8], op: Op) -> Option<i64> {
        let old = self.read(text);
        match op {
            Op::Get => Some(old),
            Op::Set(value, overflow) => {
                let value = if self.signed { i128::from(value) } else { i128::from(value as u64) };
                self.write(text, self.fit(value, overflow)?);
                Some(old)
            }
            Op::Add(delta, overflow) => {
                let new = self.fit(i128::from(old) + i128::from(delta), overflow)?;
                self.write(text, new);
                Some(new)
            }
        }
    }

    fn fit(self, value: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = if self.signed {
            (-(1i128 << (self.bits - 1)), (1i128 << (self.bits - 1)) - 1)
        } else {
            (0, (1i128 << self.bits) - 1)
        };
        if (min..=max).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            Overflow::Fail => None,
            Overflow::Saturate => Some(value.clamp(min, max) as i64),
            Overflow::Wrap => {
                let unused = 64 - self.bits;
                let raw = (value as u64) << unused;
                Some(if self.signed { raw as i64 >> unused } else { (raw >> unused) as i64 })
            }
        }
    }
}
