//! XINFO: what a stream, its groups and their consumers are like.

use box_wire::rdb::stream::Id;
use box_wire::resp::Args;

use super::reply::Out;
use super::stream::{push_entry, push_id, push_range};
use super::stream_group::bad_sub;
use super::{Ctx, Done, Error, NO_KEY, is, parse};
use crate::types::Stream;
use crate::types::stream::{Group, UNKNOWN};

/// How much `XINFO STREAM … FULL` shows without a count.
const FULL_COUNT: usize = 10;

fn int_or_nil(out: &mut Out, value: Option<i64>) {
    match value {
        Some(value) => out.int(value),
        None => out.nil(),
    }
}

fn push_head(out: &mut Out, stream: &Stream) {
    out.bulk(b"length");
    out.count(stream.len());
    out.bulk(b"radix-tree-keys");
    out.count(stream.blocks());
    out.bulk(b"radix-tree-nodes");
    out.count(stream.tree_nodes());
    for (name, id) in [
        (&b"last-generated-id"[..], stream.last_id),
        (b"max-deleted-entry-id", stream.max_deleted_id),
    ] {
        out.bulk(name);
        push_id(out, id);
    }
    out.bulk(b"entries-added");
    out.int(stream.entries_added as i64);
    out.bulk(b"recorded-first-entry-id");
    push_id(out, stream.first_id);
}

fn push_edge(out: &mut Out, stream: &Stream, last: bool) {
    let mut found = false;
    stream.range(Id::MIN, Id::MAX, last, |entry| {
        push_entry(out, entry);
        found = true;
        false
    });
    if !found {
        out.nil();
    }
}

/// `XINFO STREAM key [FULL [COUNT n]]`
pub fn xinfo_stream(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if ctx.db.stream(args.at(2))?.is_none() {
        return Err(NO_KEY);
    }
    let full = match args.get(3) {
        None => None,
        Some(word) if is(word, "full") && args.len() == 4 => Some(FULL_COUNT),
        Some(word) if is(word, "full") && args.len() == 6 && is(args.at(4), "count") => {
            let count = parse::int(args.at(5))?;
            Some(usize::try_from(count).unwrap_or(FULL_COUNT))
        }
        Some(_) => return Err(bad_sub(args)),
    };
    let Ctx { db, out, .. } = ctx;
    let stream = db.stream(args.at(2))?.ok_or(NO_KEY)?;
    match full {
        None => {
            out.map(10);
            push_head(out, stream);
            out.bulk(b"groups");
            out.count(stream.groups.len());
            out.bulk(b"first-entry");
            push_edge(out, stream, false);
            out.bulk(b"last-entry");
            push_edge(out, stream, true);
        }
        Some(count) => {
            let most = (count > 0).then_some(count);
            out.map(9);
            push_head(out, stream);
            out.bulk(b"entries");
            push_range(out, stream, (Id::MIN, Id::MAX), false, most);
            out.bulk(b"groups");
            out.array(stream.groups.len());
            for (name, group) in &stream.groups {
                push_full_group(out, stream, name, group, most.unwrap_or(usize::MAX));
            }
        }
    }
    Ok(())
}

fn push_full_group(out: &mut Out, stream: &Stream, name: &[u8], group: &Group, most: usize) {
    out.map(7);
    out.bulk(b"name");
    out.bulk(name);
    out.bulk(b"last-delivered-id");
    push_id(out, group.last_id);
    push_progress(out, stream, group);
    out.bulk(b"pel-count");
    out.count(group.pending.len());
    out.bulk(b"pending");
    out.array(group.pending.len().min(most));
    for (id, nack) in group.pending.iter().take(most) {
        out.array(4);
        push_id(out, *id);
        out.bulk(&nack.consumer);
        out.int(nack.delivered_ms);
        out.int(nack.count as i64);
    }
    out.bulk(b"consumers");
    out.array(group.consumers.len());
    for consumer in group.consumers.values() {
        out.map(4);
        out.bulk(b"name");
        out.bulk(&consumer.name);
        out.bulk(b"seen-time");
        out.int(consumer.seen_ms);
        out.bulk(b"pel-count");
        out.count(consumer.pending.len());
        out.bulk(b"pending");
        out.array(consumer.pending.len().min(most));
        for id in consumer.pending.iter().take(most) {
            let nack = group.pending.get(id);
            out.array(3);
            push_id(out, *id);
            out.int(nack.map_or(0, |nack| nack.delivered_ms));
            out.int(nack.map_or(0, |nack| nack.count as i64));
        }
    }
}

fn push_progress(out: &mut Out, stream: &Stream, group: &Group) {
    out.bulk(b"entries-read");
    int_or_nil(out, (group.entries_read != UNKNOWN).then_some(group.entries_read));
    out.bulk(b"lag");
    int_or_nil(out, stream.lag(group));
}

/// `XINFO GROUPS key`
pub fn xinfo_groups(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let stream = db.stream(args.at(2))?.ok_or(NO_KEY)?;
    out.array(stream.groups.len());
    for (name, group) in &stream.groups {
        out.map(6);
        out.bulk(b"name");
        out.bulk(name);
        out.bulk(b"consumers");
        out.count(group.consumers.len());
        out.bulk(b"pending");
        out.count(group.pending.len());
        out.bulk(b"last-delivered-id");
        push_id(out, group.last_id);
        push_progress(out, stream, group);
    }
    Ok(())
}

/// `XINFO CONSUMERS key group`
pub fn xinfo_consumers(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let Ctx { db, out, .. } = ctx;
    let now = db.now;
    let stream = db.stream(args.at(2))?.ok_or(NO_KEY)?;
    let group = stream.groups.get(args.at(3)).ok_or_else(|| {
        let (key, name) =
            (String::from_utf8_lossy(args.at(2)), String::from_utf8_lossy(args.at(3)));
        Error::made(format!("NOGROUP No such consumer group '{name}' for key name '{key}'"))
    })?;
    out.array(group.consumers.len());
    for consumer in group.consumers.values() {
        out.map(3);
        out.bulk(b"name");
        out.bulk(&consumer.name);
        out.bulk(b"pending");
        out.count(consumer.pending.len());
        out.bulk(b"idle");
        out.int((now - consumer.seen_ms).max(0));
    }
    Ok(())
}

/// `XINFO HELP`
pub fn xinfo_help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "XINFO",
        &[
            "CONSUMERS <key> <groupname>",
            "    Show consumers of <groupname>.",
            "GROUPS <key>",
            "    Show the stream consumer groups.",
            "STREAM <key> [FULL [COUNT <count>]",
            "    Show information about the stream.",
        ],
    );
    Ok(())
}
