//! SCAN and its kin.
//!
//! The cursor of SCAN is a shard's number in its low eight bits and the table's cursor above them.

use box_wire::resp::Args;

use super::{Ctx, Done, Error, SYNTAX, is, parse};
use crate::glob;
use crate::store::entry::Value;
use crate::store::shard::SHARDS;
use crate::store::table::Element;

struct Options<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    kind: Option<&'a [u8]>,
}

fn cursor(text: &[u8]) -> Result<u64, Error> {
    box_wire::decimal::parse_u64(text).ok_or(Error::fixed("ERR invalid cursor"))
}

fn options(args: Args<'_>, first: usize, keys: bool) -> Result<Options<'_>, Error> {
    let mut options = Options { pattern: None, count: 10, kind: None };
    let mut at = first;
    while let Some(word) = args.get(at) {
        let Some(value) = args.get(at + 1) else { return Err(SYNTAX) };
        if is(word, "count") {
            let count = parse::int(value)?;
            if count < 1 {
                return Err(SYNTAX);
            }
            options.count = count as usize;
        } else if is(word, "match") {
            options.pattern = Some(value).filter(|pattern| *pattern != b"*");
        } else if keys && is(word, "type") {
            options.kind = Some(value);
        } else {
            return Err(SYNTAX);
        }
        at += 2;
    }
    Ok(options)
}

impl Options<'_> {
    fn wants(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name, false))
    }
}

/// `SCAN cursor [MATCH pattern] [COUNT n] [TYPE name]`
pub fn scan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let start = cursor(args.at(1))?;
    let options = options(args, 2, true)?;
    let Ctx { db, out, server, .. } = ctx;
    let (id, now) = (db.id as usize, db.now);
    let (mut shard, mut at) = (start as usize % SHARDS, start >> 8);
    let (mut seen, mut buckets) = (0, 0);
    let mut keys = Vec::new();
    let next = loop {
        let mut visit = |table: &crate::store::table::Table<crate::store::entry::Entry>| {
            table.scan(at, |entry| {
                seen += 1;
                let alive = entry.expiry().is_none_or(|at| at > now);
                let kind = match entry.value() {
                    Value::Object(object) => object.type_name(),
                    _ => "string",
                };
                let right = options.kind.is_none_or(|kind_wanted| is(kind_wanted, kind));
                if alive && right && options.wants(entry.key()) {
                    keys.push(entry.key().to_vec());
                }
            })
        };
        at = if db.view.is_world() {
            visit(&db.view.shard(shard).dbs[id])
        } else {
            visit(&server.keyspace.shard(shard).dbs[id])
        };
        if at == 0 {
            shard += 1;
            if shard == SHARDS {
                break 0;
            }
        }
        buckets += 1;
        if seen >= options.count || buckets >= options.count.saturating_mul(10).max(SHARDS) {
            break at << 8 | shard as u64;
        }
    };
    out.array(2);
    out.bulk(next.to_string().as_bytes());
    out.array(keys.len());
    keys.iter().for_each(|key| out.bulk(key));
    Ok(())
}

/// Shows the elements behind the cursor until `count` have been seen.
fn walk(count: usize, start: u64, mut step: impl FnMut(u64) -> (u64, usize)) -> u64 {
    let (mut at, mut seen, mut calls) = (start, 0, 0);
    loop {
        let (next, found) = step(at);
        at = next;
        seen += found;
        calls += 1;
        if at == 0 || seen >= count || calls >= count.saturating_mul(10) {
            return at;
        }
    }
}

fn reply(ctx: &mut Ctx<'_>, next: u64, found: &[Vec<u8>]) -> Done {
    ctx.out.array(2);
    ctx.out.bulk(next.to_string().as_bytes());
    ctx.out.array(found.len());
    found.iter().for_each(|text| ctx.out.bulk(text));
    Ok(())
}

/// `SSCAN key cursor [MATCH pattern] [COUNT n]`
pub fn sscan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let start = cursor(args.at(2))?;
    let Some(set) = ctx.db.set(args.at(1))? else { return reply(ctx, 0, &[]) };
    let options = options(args, 3, false)?;
    let mut found = Vec::new();
    let next = walk(options.count, start, |at| {
        let mut seen = 0;
        let next = set.scan(at, |member| {
            seen += 1;
            if options.wants(member) {
                found.push(member.to_vec());
            }
        });
        (next, seen)
    });
    reply(ctx, next, &found)
}

/// `HSCAN key cursor [MATCH pattern] [COUNT n]`
pub fn hscan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let start = cursor(args.at(2))?;
    let Some(hash) = ctx.db.hash(args.at(1))? else { return reply(ctx, 0, &[]) };
    let options = options(args, 3, false)?;
    let mut found = Vec::new();
    let next = walk(options.count, start, |at| {
        let mut seen = 0;
        let next = hash.scan(at, |field, value| {
            seen += 1;
            if options.wants(field) {
                found.push(field.to_vec());
                found.push(value.to_vec());
            }
        });
        (next, seen)
    });
    reply(ctx, next, &found)
}

/// `ZSCAN key cursor [MATCH pattern] [COUNT n]`
pub fn zscan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let start = cursor(args.at(2))?;
    let Some(zset) = ctx.db.zset(args.at(1))? else { return reply(ctx, 0, &[]) };
    let options = options(args, 3, false)?;
    let mut found = Vec::new();
    let next = walk(options.count, start, |at| {
        let mut seen = 0;
        let next = zset.scan(at, |member, score| {
            seen += 1;
            if options.wants(member) {
                found.push(member.to_vec());
                found.push(crate::types::double::text(score));
            }
        });
        (next, seen)
    });
    reply(ctx, next, &found)
}
