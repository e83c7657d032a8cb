//! DEBUG: what helps with testing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use box_wire::resp::Args;

use super::{Ctx, Done, Error, NO_KEY, is, object, parse};
use crate::types::double;

/// `DEBUG subcommand [arg ...]`
pub fn debug(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let sub = args.at(1);
    match () {
        () if is(sub, "sleep") && args.len() == 3 => {
            let seconds = double::parse(args.at(2)).unwrap_or(0.0).clamp(0.0, 3600.0);
            std::thread::sleep(Duration::from_secs_f64(seconds));
            ctx.out.ok();
        }
        () if is(sub, "object") && args.len() >= 3 => describe(ctx, args.at(2))?,
        () if is(sub, "reload") => {
            crate::persist::rdb::reload(ctx.server, ctx.config, ctx.db.view.shards())
                .map_err(Error::made)?;
            ctx.out.ok();
        }
        () if is(sub, "loadaof") => {
            ctx.session.after = Some(crate::server::session::After::LoadAof);
        }
        () if is(sub, "set-active-expire") && args.len() == 3 => {
            let on = parse::int(args.at(2))? != 0;
            ctx.server.hot.no_active_expire.store(!on, Ordering::Relaxed);
            ctx.out.ok();
        }
        () if is(sub, "jmap") || is(sub, "quicklist-packed-threshold") => ctx.out.ok(),
        () if is(sub, "protocol") && args.len() == 3 => protocol(ctx, args.at(2))?,
        () if is(sub, "change-repl-id") => ctx.out.ok(),
        () if is(sub, "digest") => {
            let digest = digest(ctx);
            ctx.out.status(&digest);
        }
        () => {
            let sub = String::from_utf8_lossy(sub);
            return Err(Error::made(format!(
                "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try DEBUG HELP."
            )));
        }
    }
    Ok(())
}

fn describe(ctx: &mut Ctx<'_>, key: &[u8]) -> Done {
    let Some(entry) = ctx.db.peek(key) else { return Err(NO_KEY) };
    let mut payload = Vec::new();
    crate::persist::value::push_value(&mut payload, entry.value(), true);
    let text = format!(
        "Value at:0x0 refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:0",
        object::encoding_of(entry),
        payload.len(),
        entry.clock()
    );
    ctx.out.status(&text);
    Ok(())
}

/// A digest of all keys that does not depend on their order.
fn digest(ctx: &mut Ctx<'_>) -> String {
    use crate::store::table::Element;
    use box_wire::rdb::crc64::crc64;
    let mut sum = [0u64; 2];
    let databases = ctx.server.databases;
    ctx.db.each_shard(|shard| {
        for db in 0..databases {
            for entry in shard.dbs[db].iter() {
                let mut bytes = vec![db as u8];
                bytes.extend_from_slice(entry.key());
                crate::persist::value::push_value(&mut bytes, entry.value(), false);
                bytes.extend_from_slice(&entry.expiry().unwrap_or(-1).to_le_bytes());
                let crc = crc64(0, &bytes);
                sum[0] ^= crc;
                sum[1] = sum[1].wrapping_add(crc.rotate_left(31).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            }
        }
    });
    format!("{:016x}{:016x}00000000", sum[0], sum[1])
}

/// One reply of each type.
fn protocol(ctx: &mut Ctx<'_>, name: &[u8]) -> Done {
    let out = &mut ctx.out;
    match () {
        () if is(name, "string") => out.bulk(b"Hello World"),
        () if is(name, "integer") => out.int(12345),
        () if is(name, "double") => out.double(3.141),
        () if is(name, "null") => out.nil(),
        () if is(name, "array") => {
            out.array(3);
            (0..3).for_each(|number| out.int(number));
        }
        () if is(name, "set") => {
            out.set(3);
            (0..3).for_each(|number| out.int(number));
        }
        () if is(name, "map") => {
            out.map(3);
            (0..3).for_each(|number| {
                out.int(number);
                out.boolean(number == 1);
            });
        }
        () if is(name, "push") => {
            out.push(2);
            out.bulk(b"server-cpu-usage");
            out.int(42);
        }
        () if is(name, "verbatim") => out.verbatim(b"This is a verbatim\nstring"),
        () if is(name, "true") => out.boolean(true),
        () if is(name, "false") => out.boolean(false),
        () => {
            return Err(Error::fixed(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}
