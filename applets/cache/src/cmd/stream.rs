//! Streams: adding, reading and deleting entries.

use box_wire::rdb::listpack::Item;
use box_wire::rdb::stream::{Entry, Id};
use box_wire::resp::Args;

use super::db::event;
use super::reply::Out;
use super::{Ctx, Done, Error, NO_KEY, SYNTAX, WRONG_TYPE, is, parse};
use crate::config::Config;
use crate::types::stream::{Keep, Stream, Trim};

/// `ERR Invalid stream ID …`
pub const BAD_ID: Error =
    Error::fixed("ERR Invalid stream ID specified as stream command argument");
/// An ID is read from so many bytes at most.
const ID_BYTES_MAX: usize = 127;
/// The most entries that an approximate trim without a limit looks at.
const TRIM_MAX: usize = 1_000_000;

/// An ID as clients write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The ID, with a zero where the number within the ms is left out.
    pub id: Id,
    /// Whether that is to be chosen (`ms-*`).
    pub any_seq: bool,
}

fn number(text: &[u8]) -> Option<u64> {
    // As strtoull reads: white space and a plus sign in front are nothing.
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let digit = |byte: &u8| byte.is_ascii_digit();
    (!digits.is_empty() && digits.iter().all(digit)).then_some(())?;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// `ms`, `ms-seq` or `ms-*`.
pub fn written_id(text: &[u8], missing_seq: u64) -> Result<Written, Error> {
    let read = || {
        if text.len() > ID_BYTES_MAX {
            return None;
        }
        let Some(dash) = text.iter().position(|byte| *byte == b'-') else {
            let id = Id { ms: number(text)?, seq: missing_seq };
            return Some(Written { id, any_seq: false });
        };
        let (ms, seq) = (number(&text[..dash])?, &text[dash + 1..]);
        if seq == b"*" {
            return Some(Written { id: Id { ms, seq: 0 }, any_seq: true });
        }
        Some(Written { id: Id { ms, seq: number(seq)? }, any_seq: false })
    };
    read().ok_or(BAD_ID)
}

/// An ID that stands for itself: neither `-` nor `+`.
pub fn strict_id(text: &[u8], missing_seq: u64) -> Result<Id, Error> {
    match written_id(text, missing_seq)? {
        Written { any_seq: true, .. } => Err(BAD_ID),
        Written { id, .. } => Ok(id),
    }
}

/// An end of a range: `-`, `+`, an ID, or an ID with `(` in front that is not in the range.
pub fn range_start(text: &[u8]) -> Result<Id, Error> {
    let (id, open) = range_end_id(text, 0)?;
    let error = Error::fixed("ERR invalid start ID for the interval");
    if open { id.next().ok_or(error) } else { Ok(id) }
}

/// The other end of a range.
pub fn range_end(text: &[u8]) -> Result<Id, Error> {
    let (id, open) = range_end_id(text, u64::MAX)?;
    let error = Error::fixed("ERR invalid end ID for the interval");
    if open { id.prev().ok_or(error) } else { Ok(id) }
}

fn range_end_id(text: &[u8], missing_seq: u64) -> Result<(Id, bool), Error> {
    match text {
        b"-" => Ok((Id::MIN, false)),
        b"+" => Ok((Id::MAX, false)),
        [b'(', rest @ ..] if !rest.is_empty() => Ok((strict_id(rest, missing_seq)?, true)),
        text => Ok((strict_id(text, missing_seq)?, false)),
    }
}

/// Text of an ID.
pub fn id_text(id: Id) -> Vec<u8> {
    format!("{}-{}", id.ms, id.seq).into_bytes()
}

/// Writes an ID.
pub fn push_id(out: &mut Out, id: Id) {
    out.bulk(&id_text(id));
}

fn push_item(out: &mut Out, item: Item<'_>) {
    match item {
        Item::Bytes(bytes) => out.bulk(bytes),
        Item::Int(value) => out.bulk_int(value),
    }
}

/// Writes an entry: its ID, then its fields and values.
pub fn push_entry(out: &mut Out, entry: &Entry<'_>) {
    out.array(2);
    push_id(out, entry.id);
    out.array(entry.len() * 2);
    entry.each(|name, value| {
        push_item(out, name);
        push_item(out, value);
    });
}

/// Writes the entries of a range as an array.
pub fn push_range(
    out: &mut Out,
    stream: &Stream,
    (start, end): (Id, Id),
    backwards: bool,
    max: Option<usize>,
) {
    let (later, mut count) = (out.later(), 0);
    if max != Some(0) {
        stream.range(start, end, backwards, |entry| {
            push_entry(out, entry);
            count += 1;
            max.is_none_or(|max| count < max)
        });
    }
    out.array_at(later, count);
}

/// What stands in front of an ID in XADD, or behind the key in XTRIM.
#[derive(Default)]
struct Options {
    trim: Option<Trim>,
    /// The argument that tells what to keep, and the one in front of it if it says how.
    value_at: usize,
    no_stream: bool,
    /// The ID's argument.
    id_at: usize,
    id: Option<Written>,
}

fn trim_of(args: Args<'_>, at: &mut usize) -> Result<Trim, Error> {
    let ids = is(args.at(*at), "minid");
    let more = args.len() - *at - 1;
    let how = if more >= 2 { args.at(*at + 1) } else { b"" };
    if how == b"~" || how == b"=" {
        *at += 1;
    }
    *at += 1;
    let value = args.at(*at);
    let keep = if ids {
        Keep::From(strict_id(value, 0)?)
    } else {
        let max = parse::int(value)?;
        let error = Error::fixed("ERR The MAXLEN argument must be >= 0.");
        Keep::Newest(usize::try_from(max).map_err(|_| error)?)
    };
    Ok(Trim { keep, about: how == b"~", limit: 0 })
}

fn options(config: &Config, args: Args<'_>, adds: bool) -> Result<Options, Error> {
    let mut options = Options { id_at: args.len(), ..Options::default() };
    let mut limit = None;
    let mut at = 2;
    while at < args.len() {
        let (word, more) = (args.at(at), args.len() - at - 1 > 0);
        match () {
            () if adds && word == b"*" => {
                options.id_at = at;
                break;
            }
            () if more && (is(word, "maxlen") || is(word, "minid")) => {
                if options.trim.is_some() {
                    return Err(Error::fixed(
                        "ERR syntax error, MAXLEN and MINID options at the same time are not \
                         compatible",
                    ));
                }
                options.trim = Some(trim_of(args, &mut at)?);
                options.value_at = at;
            }
            () if more && is(word, "limit") => {
                let error = Error::fixed("ERR The LIMIT argument must be >= 0.");
                at += 1;
                limit = Some(usize::try_from(parse::int(args.at(at))?).map_err(|_| error)?);
            }
            () if adds && is(word, "nomkstream") => options.no_stream = true,
            () if adds => {
                options.id = Some(written_id(word, 0)?);
                options.id_at = at;
                break;
            }
            () => return Err(SYNTAX),
        }
        at += 1;
    }
    set_limit(config, &mut options, limit, adds)?;
    Ok(options)
}

fn set_limit(
    config: &Config,
    options: &mut Options,
    limit: Option<usize>,
    adds: bool,
) -> Result<(), Error> {
    let Some(trim) = &mut options.trim else {
        return match limit {
            Some(limit) if limit > 0 => Err(Error::fixed(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            )),
            _ if !adds => {
                Err(Error::fixed("ERR syntax error, XTRIM must be called with a trimming strategy"))
            }
            _ => Ok(()),
        };
    };
    match limit {
        Some(_) if !trim.about => {
            Err(Error::fixed("ERR syntax error, LIMIT cannot be used without the special ~ option"))
        }
        Some(limit) => {
            trim.limit = limit;
            Ok(())
        }
        None if trim.about => {
            let most = config.limits.stream_entries.saturating_mul(100);
            trim.limit = if most == 0 { 10_000 } else { most.min(TRIM_MAX) };
            Ok(())
        }
        None => Ok(()),
    }
}

/// `XADD key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT n]] *|id field value [field value ...]`
pub fn xadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let options = options(ctx.config, args, true)?;
    let first = options.id_at + 1;
    let left = args.len().saturating_sub(first);
    if left < 2 || left % 2 == 1 {
        return Err(Error::fixed("ERR wrong number of arguments for 'xadd' command"));
    }
    if options.id.is_some_and(|written| written.id == Id::MIN && !written.any_seq) {
        return Err(Error::fixed("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let key = args.at(1);
    let (now, limits) = (ctx.db.now, ctx.db.limits);
    if options.no_stream && ctx.db.stream_mut(key)?.is_none() {
        ctx.out.nil();
        return Ok(());
    }
    let is_new = ctx.db.stream_mut(key)?.is_none();
    let stream = ctx.db.stream_or_new(key, Box::default)?;
    let id = new_id(stream, options.id, now);
    let id = match id {
        Ok(id) => id,
        Err(error) => {
            if is_new {
                ctx.db.remove(key);
            }
            return Err(error);
        }
    };
    let pairs: Vec<(&[u8], &[u8])> =
        (first..args.len()).step_by(2).map(|at| (args.at(at), args.at(at + 1))).collect();
    stream.append(id, &pairs, &limits);
    let trimmed = options.trim.map_or(0, |trim| stream.trim(&trim));
    let left = options.trim.and_then(|trim| exactly(stream, &trim));
    push_id(ctx.out, id);
    ctx.db.changed(event::STREAM, "xadd", key);
    if trimmed > 0 {
        ctx.db.event(event::STREAM, "xtrim", key);
    }
    ctx.db.signal(key);
    log_add(ctx, args, &options, id, left);
    Ok(())
}

fn new_id(stream: &Stream, wanted: Option<Written>, now: i64) -> Result<Id, Error> {
    if stream.last_id == Id::MAX {
        return Err(Error::fixed(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = match wanted {
        None => stream.next_id(now),
        Some(Written { id, any_seq: true }) if id.ms == stream.last_id.ms => {
            stream.last_id.seq.checked_add(1).map(|seq| Id { ms: id.ms, seq })
        }
        Some(written) => Some(written.id),
    };
    id.filter(|id| *id > stream.last_id).ok_or(Error::fixed(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    ))
}

/// What a trim has led to, told exactly: whoever repeats it must come to the same.
fn exactly(stream: &Stream, trim: &Trim) -> Option<Vec<u8>> {
    trim.about.then(|| match trim.keep {
        Keep::Newest(_) => stream.len().to_string().into_bytes(),
        Keep::From(_) => id_text(stream.first_id),
    })
}

/// Logs an XADD with the ID that it gave, and with what its trim has led to.
fn log_add(ctx: &mut Ctx<'_>, args: Args<'_>, options: &Options, id: Id, left: Option<Vec<u8>>) {
    let mut words = exact_words(args, options, left);
    words.push(id_text(id));
    words.extend(args.from(options.id_at + 1).iter().map(<[u8]>::to_vec));
    ctx.db.log_instead(&words);
}

/// The words in front of the ID, a trim being told exactly where `left` says how.
fn exact_words(args: Args<'_>, options: &Options, left: Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut at = 0;
    while at < options.id_at {
        let word = args.at(at);
        match &left {
            Some(_) if at + 1 == options.value_at => words.push(b"=".to_vec()),
            Some(left) if at == options.value_at => words.push(left.clone()),
            // A limit belongs to what is not exact.
            Some(_) if at > options.value_at && is(word, "limit") => at += 1,
            _ => words.push(word.to_vec()),
        }
        at += 1;
    }
    words
}

/// `XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT n]`
pub fn xtrim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let options = options(ctx.config, args, false)?;
    let key = args.at(1);
    let Some(stream) = ctx.db.stream_mut(key)? else {
        ctx.out.int(0);
        return Ok(());
    };
    let Some(trim) = options.trim else { return Err(SYNTAX) };
    let deleted = stream.trim(&trim);
    let left = exactly(stream, &trim);
    ctx.out.count(deleted);
    if deleted > 0 {
        ctx.db.changed(event::STREAM, "xtrim", key);
        if left.is_some() {
            let words = exact_words(args, &options, left);
            ctx.db.log_instead(&words);
        }
    }
    Ok(())
}

/// `XLEN key`
pub fn xlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let count = ctx.db.stream(args.at(1))?.map_or(0, |stream| stream.len());
    ctx.out.count(count);
    Ok(())
}

fn range(ctx: &mut Ctx<'_>, args: Args<'_>, backwards: bool) -> Done {
    let (from, to) = if backwards { (3, 2) } else { (2, 3) };
    let ends = (range_start(args.at(from))?, range_end(args.at(to))?);
    let mut max = None;
    let mut at = 4;
    while let Some(word) = args.get(at) {
        match args.get(at + 1) {
            Some(count) if is(word, "count") => max = Some(parse::int(count)?.max(0) as usize),
            _ => return Err(SYNTAX),
        }
        at += 2;
    }
    let Ctx { db, out, .. } = ctx;
    match db.stream(args.at(1))? {
        None => out.array(0),
        Some(_) if max == Some(0) => out.nil_array(),
        Some(stream) => push_range(out, stream, ends, backwards, max),
    }
    Ok(())
}

/// `XRANGE key start end [COUNT n]`
pub fn xrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    range(ctx, args, false)
}

/// `XREVRANGE key end start [COUNT n]`
pub fn xrevrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    range(ctx, args, true)
}

/// `XDEL key id [id ...]`
pub fn xdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    if ctx.db.stream_mut(key)?.is_none() {
        ctx.out.int(0);
        return Ok(());
    }
    let ids: Vec<Id> =
        args.from(2).iter().map(|text| strict_id(text, 0)).collect::<Result<_, _>>()?;
    let stream = ctx.db.stream_mut(key)?.ok_or(WRONG_TYPE)?;
    let deleted = ids.into_iter().filter(|id| stream.delete(*id)).count();
    ctx.out.count(deleted);
    if deleted > 0 {
        ctx.db.changed(event::STREAM, "xdel", key);
    }
    Ok(())
}

/// `XSETID key id [ENTRIESADDED n] [MAXDELETEDID id]`
pub fn xsetid(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let id = strict_id(args.at(2), 0)?;
    let (mut added, mut deleted) = (None, Id::MIN);
    let mut at = 3;
    while let Some(word) = args.get(at) {
        match args.get(at + 1) {
            Some(value) if is(word, "entriesadded") => {
                let error = Error::fixed("ERR entries_added must be positive");
                added = Some(u64::try_from(parse::int(value)?).map_err(|_| error)?);
            }
            Some(value) if is(word, "maxdeletedid") => {
                deleted = strict_id(value, 0)?;
                if id < deleted {
                    return Err(Error::fixed(
                        "ERR The ID specified in XSETID is smaller than the provided \
                         max_deleted_entry_id",
                    ));
                }
            }
            _ => return Err(SYNTAX),
        }
        at += 2;
    }
    let key = args.at(1);
    let stream = ctx.db.stream_mut(key)?.ok_or(NO_KEY)?;
    if id < stream.max_deleted_id {
        return Err(Error::fixed(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if stream.edge(true).is_some_and(|last| id < last) {
        return Err(Error::fixed(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if stream.len() > 0 && added.is_some_and(|added| added < stream.len() as u64) {
        return Err(Error::fixed(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    stream.last_id = id;
    stream.entries_added = added.unwrap_or(stream.entries_added);
    if deleted != Id::MIN {
        stream.max_deleted_id = deleted;
    }
    ctx.out.ok();
    ctx.db.changed(event::STREAM, "xsetid", key);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_the_incumbents_read_them() {
        let id = |ms, seq| Ok(Id { ms, seq });
        assert_eq!(strict_id(b"5", 7), id(5, 7));
        assert_eq!(strict_id(b"5-6", 7), id(5, 6));
        assert_eq!(strict_id(b"18446744073709551615-0", 0), id(u64::MAX, 0));
        for bad in ["", "-", "+", "x", "1-", "-1", "1-x", "18446744073709551616", "1-2-3", "1-*"] {
            assert_eq!(strict_id(bad.as_bytes(), 0), Err(BAD_ID), "{bad}");
        }
        assert!(written_id(b"5-*", 0).is_ok_and(|written| written.any_seq));
        assert_eq!(range_start(b"(1-1"), id(1, 2));
        assert_eq!(range_end(b"(1-0"), id(0, u64::MAX));
        assert!(range_end(b"(0-0").is_err() && range_start(b"(18446744073709551615").is_ok());
    }
}
