//! OBJECT and MEMORY USAGE: how a key is stored.

use box_wire::resp::Args;

use super::{Ctx, Done, Error, SYNTAX, is, parse};
use crate::store::entry::{Entry, Value};
use crate::store::lfu;
use crate::types::stream::Group;
use crate::types::{Hash, Object, Set, Zset};

/// Strings up to this length are `embstr`.
const EMBEDDED_MAX: usize = 44;

/// What OBJECT ENCODING says of an entry.
pub fn encoding_of(entry: &Entry) -> &'static str {
    match entry.value() {
        Value::Int(_) => "int",
        Value::Text(text) if entry.is_raw() || text.len() > EMBEDDED_MAX => "raw",
        Value::Text(_) | Value::Object(Object::Text(_)) => "embstr",
        Value::Object(Object::List(_)) => "quicklist",
        Value::Object(Object::Set(Set::Ints(_))) => "intset",
        Value::Object(Object::Hash(Hash::Pack(_)) | Object::Zset(Zset::Pack(_))) => "listpack",
        Value::Object(Object::Set(_) | Object::Hash(_)) => "hashtable",
        Value::Object(Object::Zset(_)) => "skiplist",
        Value::Object(Object::Stream(_)) => "stream",
    }
}

/// `OBJECT ENCODING key`
pub fn encoding(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    match ctx.db.peek(args.at(2)).map(|entry| encoding_of(entry)) {
        Some(name) => ctx.out.bulk(name.as_bytes()),
        None => ctx.out.nil(),
    }
    Ok(())
}

/// `OBJECT REFCOUNT key`
pub fn refcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    // Small numbers are shared by the incumbents, which shows here.
    let count = ctx.db.peek(args.at(2)).map(|entry| match entry.value() {
        Value::Int(value) if (0..10_000).contains(&value) => i64::from(i32::MAX),
        _ => 1,
    });
    match count {
        Some(count) => ctx.out.int(count),
        None => ctx.out.nil(),
    }
    Ok(())
}

/// `OBJECT IDLETIME key`
pub fn idletime(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let lfu = ctx.server.hot.lfu().is_some();
    let clock = ctx.db.clock;
    match ctx.db.peek(args.at(2)).map(|entry| entry.clock()) {
        None => ctx.out.nil(),
        Some(_) if lfu => {
            return Err(Error::fixed(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that \
                 when switching between policies at runtime LRU and LFU data will take some time \
                 to adjust.",
            ));
        }
        Some(used) => ctx.out.int(i64::from(clock.wrapping_sub(used) & 0xff_ffff)),
    }
    Ok(())
}

/// `OBJECT FREQ key`
pub fn freq(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let lfu = ctx.server.hot.lfu();
    let minutes = ctx.db.clock;
    match (ctx.db.peek(args.at(2)).map(|entry| entry.clock()), lfu) {
        (None, _) => ctx.out.nil(),
        (Some(_), None) => {
            return Err(Error::fixed(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please \
                 note that when switching between policies at runtime LRU and LFU data will take \
                 some time to adjust.",
            ));
        }
        (Some(clock), Some((_, decay))) => {
            ctx.out.int(i64::from(lfu::decayed(clock, minutes, decay)));
        }
    }
    Ok(())
}

/// `OBJECT HELP`
pub fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "OBJECT",
        &[
            "ENCODING <key>",
            "    Return the kind of internal representation used in order to store the value",
            "    associated with a <key>.",
            "FREQ <key>",
            "    Return the access frequency index of the <key>. The returned integer is",
            "    proportional to the logarithm of the recent access frequency of the key.",
            "IDLETIME <key>",
            "    Return the idle time of the <key>, that is the approximated number of",
            "    seconds elapsed since the last access to the key.",
            "REFCOUNT <key>",
            "    Return the number of references of the value associated with the specified",
            "    <key>.",
        ],
    );
    Ok(())
}

/// Bytes that an entry takes with its value, about: big values are sampled.
fn bytes_of(entry: &Entry) -> usize {
    const SLOT: usize = 14;
    let value = match entry.value() {
        Value::Int(_) => 0,
        Value::Text(text) => text.len(),
        Value::Object(object) => match object {
            Object::Text(text) => text.capacity(),
            Object::List(list) => list.iter_from(0).map(|item| item.text_len() + 3).sum(),
            Object::Set(set) => {
                let mut sum = 0;
                set.each(|member| sum += member.len() + SLOT);
                sum
            }
            Object::Hash(hash) => {
                let mut sum = 0;
                hash.each(|field, value| sum += field.len() + value.len() + SLOT);
                sum
            }
            Object::Zset(zset) => {
                let mut sum = 0;
                zset.range(0, usize::MAX, false, |member, _| sum += member.len() + 8 + 2 * SLOT);
                sum
            }
            Object::Stream(stream) => {
                let group = |group: &Group| group.pending.len() * 64 + group.consumers.len() * 96;
                stream.bytes() + stream.groups.values().map(group).sum::<usize>()
            }
        },
    };
    entry.size() + SLOT + value
}

/// `MEMORY USAGE key [SAMPLES n]`
pub fn usage(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut at = 3;
    while let Some(word) = args.get(at) {
        match args.get(at + 1) {
            Some(value) if is(word, "samples") => {
                if parse::int(value)? < 0 {
                    return Err(SYNTAX);
                }
            }
            _ => return Err(SYNTAX),
        }
        at += 2;
    }
    match ctx.db.peek(args.at(2)).map(|entry| bytes_of(entry)) {
        Some(bytes) => ctx.out.count(bytes),
        None => ctx.out.nil(),
    }
    Ok(())
}
