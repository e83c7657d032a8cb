//! Publish and subscribe.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use box_wire::resp::Args;

use super::{Ctx, Done};
use crate::server::clients;
use crate::server::hub::Kind;
use crate::server::session::Session;

fn topics(session: &mut Session, kind: Kind) -> &mut BTreeSet<Vec<u8>> {
    match kind {
        Kind::Channel => &mut session.channels,
        Kind::Pattern => &mut session.patterns,
        Kind::Shard => &mut session.shard_channels,
    }
}

fn count(session: &Session, kind: Kind) -> usize {
    match kind {
        Kind::Shard => session.shard_channels.len(),
        _ => session.subscriptions(),
    }
}

fn tell(session: &Session) {
    let sizes =
        [session.channels.len(), session.patterns.len(), session.shard_channels.len()];
    for (counter, size) in session.info.subscriptions.iter().zip(sizes) {
        counter.store(size as u32, Ordering::Relaxed);
    }
    session.info.set_flag(clients::flag::PUBSUB, sizes.iter().sum::<usize>() > 0);
}

fn listen(ctx: &mut Ctx<'_>, args: Args<'_>, kind: Kind, word: &str) -> Done {
    let (id, worker, resp3) = (ctx.session.id(), ctx.session.worker, ctx.session.resp3);
    for topic in args.from(1).iter() {
        if topics(ctx.session, kind).insert(topic.to_vec()) {
            ctx.server.hub.subscribe(kind, topic, id, worker, resp3);
        }
        ctx.out.push(3);
        ctx.out.bulk(word.as_bytes());
        ctx.out.bulk(topic);
        ctx.out.count(count(ctx.session, kind));
    }
    tell(ctx.session);
    Ok(())
}

fn stop(ctx: &mut Ctx<'_>, args: Args<'_>, kind: Kind, word: &str) -> Done {
    let mut wanted: Vec<Vec<u8>> = args.from(1).iter().map(<[u8]>::to_vec).collect();
    if wanted.is_empty() {
        wanted = topics(ctx.session, kind).iter().cloned().collect();
        if wanted.is_empty() {
            ctx.out.push(3);
            ctx.out.bulk(word.as_bytes());
            ctx.out.nil();
            ctx.out.count(count(ctx.session, kind));
        }
    }
    for topic in &wanted {
        if topics(ctx.session, kind).remove(topic) {
            ctx.server.hub.unsubscribe(kind, topic, ctx.session.id());
        }
        ctx.out.push(3);
        ctx.out.bulk(word.as_bytes());
        ctx.out.bulk(topic);
        ctx.out.count(count(ctx.session, kind));
    }
    tell(ctx.session);
    Ok(())
}

/// Forgets all that a client listens to.
pub fn stop_all(server: &crate::server::Server, session: &mut Session) {
    let id = session.id();
    for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
        for topic in std::mem::take(topics(session, kind)) {
            server.hub.unsubscribe(kind, &topic, id);
        }
    }
    tell(session);
}

/// `SUBSCRIBE channel [channel ...]`
pub fn subscribe(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    listen(ctx, args, Kind::Channel, "subscribe")
}

/// `PSUBSCRIBE pattern [pattern ...]`
pub fn psubscribe(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    listen(ctx, args, Kind::Pattern, "psubscribe")
}

/// `SSUBSCRIBE channel [channel ...]`
pub fn ssubscribe(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    listen(ctx, args, Kind::Shard, "ssubscribe")
}

/// `UNSUBSCRIBE [channel ...]`
pub fn unsubscribe(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    stop(ctx, args, Kind::Channel, "unsubscribe")
}

/// `PUNSUBSCRIBE [pattern ...]`
pub fn punsubscribe(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    stop(ctx, args, Kind::Pattern, "punsubscribe")
}

/// `SUNSUBSCRIBE [channel ...]`
pub fn sunsubscribe(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    stop(ctx, args, Kind::Shard, "sunsubscribe")
}

/// `PUBLISH channel message`
pub fn publish(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let own = Some((ctx.session.id(), &mut *ctx.out));
    let sent = ctx.server.hub.publish(ctx.server, args.at(1), args.at(2), own);
    ctx.out.count(sent);
    Ok(())
}

/// `SPUBLISH channel message`
pub fn spublish(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let own = Some((ctx.session.id(), &mut *ctx.out));
    let sent = ctx.server.hub.publish_shard(ctx.server, args.at(1), args.at(2), own);
    ctx.out.count(sent);
    Ok(())
}

fn show_topics(ctx: &mut Ctx<'_>, args: Args<'_>, kind: Kind) -> Done {
    let topics = ctx.server.hub.topics(kind, args.get(2));
    ctx.out.array(topics.len());
    topics.iter().for_each(|topic| ctx.out.bulk(topic));
    Ok(())
}

fn show_listeners(ctx: &mut Ctx<'_>, args: Args<'_>, kind: Kind) -> Done {
    ctx.out.array((args.len() - 2) * 2);
    for topic in args.from(2).iter() {
        ctx.out.bulk(topic);
        ctx.out.count(ctx.server.hub.listeners(kind, topic));
    }
    Ok(())
}

/// `PUBSUB CHANNELS [pattern]`
pub fn channels(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    show_topics(ctx, args, Kind::Channel)
}

/// `PUBSUB SHARDCHANNELS [pattern]`
pub fn shardchannels(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    show_topics(ctx, args, Kind::Shard)
}

/// `PUBSUB NUMSUB [channel ...]`
pub fn numsub(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    show_listeners(ctx, args, Kind::Channel)
}

/// `PUBSUB SHARDNUMSUB [channel ...]`
pub fn shardnumsub(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    show_listeners(ctx, args, Kind::Shard)
}

/// `PUBSUB NUMPAT`
pub fn numpat(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.count(ctx.server.hub.count(Kind::Pattern));
    Ok(())
}

/// `PUBSUB HELP`
pub fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "PUBSUB",
        &[
            "CHANNELS [<pattern>]",
            "    Return the currently active channels matching a <pattern> (default: '*').",
            "NUMPAT",
            "    Return number of subscriptions to patterns.",
            "NUMSUB [<channel> ...]",
            "    Return the number of subscribers for the specified channels, excluding",
            "    pattern subscriptions(default: no channels).",
            "SHARDCHANNELS [<pattern>]",
            "    Return the currently active shard level channels matching a <pattern> (default: '*').",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    Return the number of subscribers for the specified shard level channel(s)",
        ],
    );
    Ok(())
}
