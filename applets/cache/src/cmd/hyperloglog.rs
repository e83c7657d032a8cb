//! HyperLogLogs.

use box_wire::resp::Args;

use super::db::event;
use super::{Ctx, Done, Error, is, string};
use crate::store::entry::NewValue;
use crate::types::hyperloglog::{self as hll, Code, Corrupt};

const NOT_ONE: Error = Error::fixed("WRONGTYPE Key is not a valid HyperLogLog string value.");

impl From<Corrupt> for Error {
    fn from(_: Corrupt) -> Error {
        Error::fixed("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// The string at `key`, if it is a HyperLogLog.
fn read(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let Some(text) = ctx.db.text(key)? else { return Ok(None) };
    let mut scratch = Vec::new();
    let bytes = text.bytes(&mut scratch);
    if hll::is_one(bytes) { Ok(Some(bytes.to_vec())) } else { Err(NOT_ONE) }
}

/// Changes the HyperLogLog at `key` in place, which must be one.
fn change<T>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    change: impl FnOnce(&mut Vec<u8>) -> Result<T, Corrupt>,
) -> Result<T, Error> {
    Ok(string::edit(&mut ctx.db, key, change)??)
}

/// Makes sure that there is a HyperLogLog; whether it was made.
fn make(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<bool, Error> {
    let Some(text) = ctx.db.text_to_change(key)? else {
        ctx.db.put(key, NewValue::Raw(hll::new()), None);
        return Ok(true);
    };
    let mut scratch = Vec::new();
    if hll::is_one(text.bytes(&mut scratch)) { Ok(false) } else { Err(NOT_ONE) }
}

fn sparse_max(ctx: &Ctx<'_>) -> usize {
    ctx.config.get("hll-sparse-max-bytes").parse().unwrap_or(3000)
}

/// `PFADD key [element ...]`
pub fn pfadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (key, max) = (args.at(1), sparse_max(ctx));
    let made = make(ctx, key)?;
    let added = change(ctx, key, |bytes| {
        let mut added = 0;
        for element in args.from(2).iter() {
            added += u64::from(hll::add(bytes, element, max)?);
        }
        if made || added > 0 {
            hll::forget_cached(bytes);
        }
        Ok(added)
    })?;
    let changed = made || added > 0;
    if changed {
        ctx.db.changed(event::STRING, "pfadd", key);
    }
    ctx.out.flag(changed);
    Ok(())
}

/// `PFCOUNT key [key ...]`
pub fn pfcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if args.len() > 2 {
        let mut most = vec![0u8; hll::REGISTERS];
        for key in args.from(1).iter() {
            if let Some(bytes) = read(ctx, key)? {
                join(&mut most, &bytes)?;
            }
        }
        let count = hll::estimate(&most);
        ctx.out.int(count as i64);
        return Ok(());
    }
    let key = args.at(1);
    let Some(bytes) = read(ctx, key)? else {
        ctx.out.int(0);
        return Ok(());
    };
    let count = match hll::cached(&bytes) {
        Some(count) => count,
        None => {
            let count = hll::estimate(&hll::registers(&bytes)?);
            // The estimate is kept in the value, so that a read is a change here.
            ctx.db.shard_of(key).before_change();
            change(ctx, key, |bytes| {
                hll::set_cached(bytes, count);
                Ok(())
            })?;
            ctx.db.touch(key);
            ctx.db.effects.dirty += 1;
            count
        }
    };
    ctx.out.int(count as i64);
    Ok(())
}

fn join(most: &mut [u8], bytes: &[u8]) -> Result<(), Corrupt> {
    for (most, value) in most.iter_mut().zip(hll::registers(bytes)?) {
        *most = value.max(*most);
    }
    Ok(())
}

/// `PFMERGE destkey [sourcekey ...]`
pub fn pfmerge(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (dest, max) = (args.at(1), sparse_max(ctx));
    let mut most = vec![0u8; hll::REGISTERS];
    let mut dense = false;
    for key in args.from(1).iter() {
        if let Some(bytes) = read(ctx, key)? {
            dense |= !hll::is_sparse(&bytes);
            join(&mut most, &bytes)?;
        }
    }
    make(ctx, dest)?;
    change(ctx, dest, |bytes| {
        if dense {
            hll::make_dense(bytes)?;
        }
        for (register, value) in most.iter().enumerate().filter(|(_, value)| **value > 0) {
            hll::raise(bytes, register, *value, max)?;
        }
        hll::forget_cached(bytes);
        Ok(())
    })?;
    // One event for all, as the incumbents name it.
    ctx.db.changed(event::STRING, "pfadd", dest);
    ctx.out.ok();
    Ok(())
}

/// `PFDEBUG GETREG|DECODE|ENCODING|TODENSE key`
pub fn pfdebug(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (word, key) = (args.at(1), args.at(2));
    if !ctx.db.exists(key) {
        return Err(Error::fixed("ERR The specified key does not exist"));
    }
    let bytes = read(ctx, key)?.ok_or(NOT_ONE)?;
    let known = ["getreg", "decode", "encoding", "todense"];
    let Some(word) = known.into_iter().find(|known| is(word, known)) else {
        let word = String::from_utf8_lossy(word);
        return Err(Error::made(format!("ERR Unknown PFDEBUG subcommand '{word}'")));
    };
    if args.len() != 3 {
        return Err(Error::made(format!(
            "ERR Wrong number of arguments for the '{}' subcommand",
            String::from_utf8_lossy(args.at(1))
        )));
    }
    let sparse = hll::is_sparse(&bytes);
    match word {
        "encoding" => ctx.out.status(if sparse { "sparse" } else { "dense" }),
        "decode" if !sparse => return Err(Error::fixed("ERR HLL encoding is not sparse")),
        "decode" => ctx.out.bulk(decoded(&bytes).as_bytes()),
        word => {
            if sparse {
                change(ctx, key, hll::make_dense)?;
                ctx.db.effects.dirty += 1;
            }
            if word == "todense" {
                ctx.out.flag(sparse);
            } else {
                let registers = hll::registers(&bytes)?;
                ctx.out.array(registers.len());
                registers.iter().for_each(|value| ctx.out.int(i64::from(*value)));
            }
        }
    }
    Ok(())
}

fn decoded(bytes: &[u8]) -> String {
    let words: Vec<String> = hll::codes(bytes)
        .map(|code| match code {
            Code::Zero(run) => format!("z:{run}"),
            Code::LongZero(run) => format!("Z:{run}"),
            Code::Value(value, run) => format!("v:{value},{run}"),
        })
        .collect();
    words.join(" ")
}

/// `PFSELFTEST`: whether the two encodings agree and estimate within their error.
pub fn pfselftest(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let (mut sparse, mut dense) = (hll::new(), hll::new());
    hll::make_dense(&mut dense)?;
    for number in 0..10_000u64 {
        for bytes in [&mut sparse, &mut dense] {
            hll::add(bytes, &number.to_le_bytes(), usize::MAX)?;
        }
    }
    let (one, other) = (hll::registers(&sparse)?, hll::registers(&dense)?);
    let error = hll::estimate(&one).abs_diff(10_000);
    if one != other || error > 500 {
        return Err(Error::made(format!("TESTFAILED the estimate is off by {error}")));
    }
    ctx.out.ok();
    Ok(())
}
