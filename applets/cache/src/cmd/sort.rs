//! SORT: the elements of a list, set or sorted set in another order, with lookups by pattern.

use box_wire::resp::Args;

use super::db::{Text, event};
use super::{Ctx, Done, Error, SYNTAX, WRONG_TYPE, is, parse};
use crate::store::entry::{NewValue, Value};
use crate::types::list::End;
use crate::types::{List, Object, double};

#[derive(Default)]
struct Query<'a> {
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
    limit: Option<(i64, i64)>,
    down: bool,
    alpha: bool,
    store: Option<&'a [u8]>,
}

fn query<'a>(args: Args<'a>, read_only: bool) -> Result<Query<'a>, Error> {
    let mut query = Query::default();
    let mut at = 2;
    while let Some(word) = args.get(at) {
        let left = args.len() - at - 1;
        match word {
            _ if is(word, "asc") => query.down = false,
            _ if is(word, "desc") => query.down = true,
            _ if is(word, "alpha") => query.alpha = true,
            _ if is(word, "limit") && left >= 2 => {
                query.limit = Some((parse::int(args.at(at + 1))?, parse::int(args.at(at + 2))?));
                at += 2;
            }
            _ if is(word, "store") && left >= 1 && !read_only => {
                query.store = args.get(at + 1);
                at += 1;
            }
            _ if is(word, "by") && left >= 1 => {
                query.by = args.get(at + 1);
                at += 1;
            }
            _ if is(word, "get") && left >= 1 => {
                query.get.extend(args.get(at + 1));
                at += 1;
            }
            _ => return Err(SYNTAX),
        }
        at += 1;
    }
    Ok(query)
}

/// Whether the options look up other keys, so that all shards are needed.
pub fn looks_elsewhere(args: Args<'_>) -> bool {
    query(args, false).is_ok_and(|query| {
        let pattern = |text: &&[u8]| text.contains(&b'*');
        query.by.as_ref().is_some_and(pattern) || query.get.iter().any(pattern)
    })
}

/// The value that `pattern` leads to for `element`.
fn lookup(ctx: &mut Ctx<'_>, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(element.to_vec());
    }
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let arrow =
        pattern[star + 1..].windows(2).position(|pair| pair == b"->").map(|at| at + star + 1);
    let arrow = arrow.filter(|at| at + 2 < pattern.len());
    let (key_part, field) = match arrow {
        Some(at) => (&pattern[..at], Some(&pattern[at + 2..])),
        None => (pattern, None),
    };
    let key = [&key_part[..star], element, &key_part[star + 1..]].concat();
    match field {
        Some(field) => ctx.db.hash(&key).ok().flatten().and_then(|hash| hash.get(field)),
        None => match ctx.db.text(&key).ok().flatten()? {
            Text::Bytes(text) => Some(text.to_vec()),
            Text::Int(value) => Some(value.to_string().into_bytes()),
        },
    }
}

fn elements(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<(Vec<Vec<u8>>, bool, bool), Error> {
    let (mut elements, mut is_zset, mut is_set) = (Vec::new(), false, false);
    // The incumbents sort by their skip list, and a small set keeps that encoding afterwards.
    if let Some(Object::Zset(zset)) = ctx.db.read(key).and_then(|entry| entry.object_mut()) {
        zset.into_indexed();
    }
    match ctx.db.peek(key).map(|entry| entry.value()) {
        None => {}
        Some(Value::Object(Object::List(list))) => {
            elements.extend(list.iter_from(0).map(|item| item.to_vec()));
        }
        Some(Value::Object(Object::Set(set))) => {
            is_set = true;
            elements = set.members();
        }
        Some(Value::Object(Object::Zset(zset))) => {
            is_zset = true;
            elements.extend(zset.pairs().into_iter().map(|(member, _)| member));
        }
        Some(_) => return Err(WRONG_TYPE),
    }
    Ok((elements, is_zset, is_set))
}

/// `SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC|DESC] [ALPHA] [STORE dest]`
pub fn sort(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    run(ctx, args, false)
}

/// `SORT_RO key …`
pub fn sort_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    run(ctx, args, true)
}

/// Patterns lead to keys that nobody declares: only who may read all keys may use them.
fn may_look_elsewhere(ctx: &Ctx<'_>, query: &Query<'_>) -> Done {
    let Some(user) = ctx.session.user.as_ref().filter(|_| ctx.server.acl.is_in_use()) else {
        return Ok(());
    };
    if crate::acl::check::reads_all_keys(&user.rules()) {
        return Ok(());
    }
    if query.by.is_some_and(|by| by.contains(&b'*')) {
        return Err(Error::fixed(
            "ERR BY option of SORT denied due to insufficient ACL permissions.",
        ));
    }
    if query.get.iter().any(|get| *get != b"#") {
        return Err(Error::fixed(
            "ERR GET option of SORT denied due to insufficient ACL permissions.",
        ));
    }
    Ok(())
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>, read_only: bool) -> Done {
    let mut query = query(args, read_only)?;
    may_look_elsewhere(ctx, &query)?;
    let (mut elements, is_zset, is_set) = elements(ctx, args.at(1))?;
    let mut keep_order = query.by.is_some_and(|by| !by.contains(&b'*'));
    if keep_order && is_set && query.store.is_some() {
        // The order of a set is nobody's: what is stored must be the same everywhere.
        keep_order = false;
        query.alpha = true;
        query.by = None;
    }
    if keep_order {
        if is_zset && query.down {
            elements.reverse();
        }
    } else {
        order(ctx, &query, &mut elements)?;
    }
    let len = elements.len() as i64;
    let (start, end) = match query.limit {
        None => (0, len),
        Some((offset, count)) => {
            let start = offset.clamp(0, len);
            let end = if count < 0 { len } else { start.saturating_add(count).min(len) };
            (start, end)
        }
    };
    elements.truncate(end as usize);
    elements.drain(..start as usize);
    let results = results(ctx, &query, &elements);
    match query.store {
        Some(dest) => store(ctx, dest, &results),
        None => {
            ctx.out.array(results.len());
            results.iter().for_each(|result| ctx.out.bulk_or_nil(result.as_deref()));
        }
    }
    Ok(())
}

fn results(ctx: &mut Ctx<'_>, query: &Query<'_>, elements: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    if query.get.is_empty() {
        return elements.iter().cloned().map(Some).collect();
    }
    let mut results = Vec::with_capacity(elements.len() * query.get.len());
    for element in elements {
        for pattern in &query.get {
            results.push(lookup(ctx, pattern, element));
        }
    }
    results
}

/// The number that a text begins with, as strtod reads a C string: a zero byte ends it, and nothing
/// is zero.
fn weight_of(text: &[u8]) -> Option<f64> {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    match &text[..end] {
        b"" => Some(0.0),
        text => double::parse(text.trim_ascii_start()),
    }
}

fn order(ctx: &mut Ctx<'_>, query: &Query<'_>, elements: &mut Vec<Vec<u8>>) -> Done {
    let not_double = Error::fixed("ERR One or more scores can't be converted into double");
    let mut weighed = Vec::with_capacity(elements.len());
    for element in elements.drain(..) {
        let weight = match query.by {
            Some(by) => lookup(ctx, by, &element),
            None => Some(element.clone()),
        };
        let score = match (&weight, query.alpha) {
            (Some(text), false) => weight_of(text).ok_or_else(|| not_double.clone())?,
            _ => 0.0,
        };
        weighed.push((score, weight, element));
    }
    weighed.sort_by(|a, b| {
        let by_weight = if query.alpha { a.1.cmp(&b.1) } else { a.0.total_cmp(&b.0) };
        let order = by_weight.then_with(|| a.2.cmp(&b.2));
        if query.down { order.reverse() } else { order }
    });
    elements.extend(weighed.into_iter().map(|(_, _, element)| element));
    Ok(())
}

fn store(ctx: &mut Ctx<'_>, dest: &[u8], results: &[Option<Vec<u8>>]) {
    let limit = ctx.db.limits.list_size;
    if results.is_empty() {
        if ctx.db.exists(dest) {
            ctx.db.remove(dest);
            ctx.db.changed(event::GENERIC, "del", dest);
        }
    } else {
        let mut list = List::new();
        for result in results {
            list.push(End::Tail, result.as_deref().unwrap_or_default(), limit);
        }
        ctx.db.put(dest, NewValue::Object(Box::new(Object::List(list))), None);
        ctx.db.changed(event::LIST, "sortstore", dest);
    }
    ctx.out.count(results.len());
}
