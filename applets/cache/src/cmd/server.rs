//! The server as a whole.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use box_wire::resp::Args;

use super::{Ctx, Done, Error, SYNTAX, is, parse};
use crate::store::table::Table;

fn flush(ctx: &mut Ctx<'_>, args: Args<'_>, dbs: &[usize]) -> Done {
    let well_formed = match args.get(1) {
        None => true,
        Some(word) => args.len() == 2 && (is(word, "sync") || is(word, "async")),
    };
    if !well_formed {
        return Err(SYNTAX);
    }
    let (mut gone, mut ready) = (Vec::new(), Vec::new());
    ctx.db.each_shard(|shard| {
        for db in dbs {
            if !shard.dbs[*db].is_empty() {
                gone.push(std::mem::take(&mut shard.dbs[*db]));
            }
            shard.touch_all(Some(*db as u32));
        }
        let of = |(db, _): &&(u32, Vec<u8>)| dbs.contains(&(*db as usize));
        ready.extend(shard.waiting.keys().filter(of).cloned());
    });
    ctx.db.effects.ready.append(&mut ready);
    if !gone.is_empty() {
        ctx.server.bin.throw(Box::new(gone));
    }
    ctx.db.effects.news.flushed = ctx.server.hot.tracking.load(Ordering::Relaxed) > 0;
    ctx.db.effects.dirty += 1;
    ctx.out.ok();
    Ok(())
}

/// `FLUSHDB [ASYNC|SYNC]`
pub fn flushdb(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let db = ctx.db.id as usize;
    flush(ctx, args, &[db])
}

/// `FLUSHALL [ASYNC|SYNC]`
pub fn flushall(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let all: Vec<usize> = (0..ctx.server.databases).collect();
    flush(ctx, args, &all)
}

/// `SWAPDB index index`
pub fn swapdb(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let number = |at: usize, error: &'static str| {
        let number = parse::int_in(args.at(at), i64::from(i32::MIN), i64::from(i32::MAX), error)?;
        usize::try_from(number)
            .ok()
            .filter(|number| *number < ctx.server.databases)
            .ok_or(Error::fixed("ERR DB index is out of range"))
    };
    let first = number(1, "ERR invalid first DB index")?;
    let second = number(2, "ERR invalid second DB index")?;
    let mut ready = Vec::new();
    ctx.db.each_shard(|shard| {
        shard.dbs.swap(first, second);
        shard.touch_all(Some(first as u32));
        shard.touch_all(Some(second as u32));
        for (db, key) in shard.waiting.keys() {
            if *db as usize == first || *db as usize == second {
                ready.push((*db, key.clone()));
            }
        }
    });
    ctx.db.effects.ready.append(&mut ready);
    ctx.db.effects.dirty += 1;
    ctx.out.ok();
    Ok(())
}

/// `TIME`
pub fn time(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ctx.out.array(2);
    ctx.out.bulk(now.as_secs().to_string().as_bytes());
    ctx.out.bulk(now.subsec_micros().to_string().as_bytes());
    Ok(())
}

/// `MONITOR`
pub fn monitor(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    if !ctx.session.monitor {
        ctx.session.monitor = true;
        ctx.server.start_monitor(ctx.session.id(), ctx.session.worker);
        ctx.session.info.set_flag(crate::server::clients::flag::MONITOR, true);
    }
    ctx.out.ok();
    Ok(())
}

/// `MEMORY STATS`
pub fn memory_stats(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let used = box_sys::heap_use::used_bytes() as i64;
    let mut keys = 0;
    ctx.db.each_shard(|shard| keys += shard.dbs.iter().map(Table::len).sum::<usize>() as i64);
    let rows: [(&str, i64); 6] = [
        ("peak.allocated", ctx.server.peak_memory(used as u64) as i64),
        ("total.allocated", used),
        ("startup.allocated", ctx.server.startup_bytes as i64),
        ("keys.count", keys),
        ("keys.bytes-per-key", (used - ctx.server.startup_bytes as i64).max(0) / keys.max(1)),
        ("dataset.bytes", (used - ctx.server.startup_bytes as i64).max(0)),
    ];
    ctx.out.map(rows.len());
    for (name, value) in rows {
        ctx.out.bulk(name.as_bytes());
        ctx.out.int(value);
    }
    Ok(())
}

/// `MEMORY DOCTOR`
pub fn memory_doctor(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.verbatim(b"No memory problem has been found in this instance.\n");
    Ok(())
}

/// `MEMORY MALLOC-STATS`
pub fn memory_malloc_stats(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let text = format!("mimalloc, {} bytes allocated\n", box_sys::heap_use::used_bytes());
    ctx.out.verbatim(text.as_bytes());
    Ok(())
}

/// `MEMORY PURGE`
pub fn memory_purge(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.ok();
    Ok(())
}

/// `MEMORY HELP`
pub fn memory_help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "MEMORY",
        &[
            "DOCTOR",
            "    Return memory problems reports.",
            "MALLOC-STATS",
            "    Return internal statistics report from the memory allocator.",
            "PURGE",
            "    Attempt to purge dirty pages for reclamation by the allocator.",
            "STATS",
            "    Return information about the memory usage of the server.",
            "USAGE <key> [SAMPLES <count>]",
            "    Return memory in bytes used by <key> and its value. Nested values are",
            "    sampled up to <count> times (default: 5, 0 means sample all).",
        ],
    );
    Ok(())
}
