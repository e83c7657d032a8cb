//! DEBUG: what helps with testing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use box_wire::resp::Args;

use super::digest::{self, Digest};
use super::{Ctx, Done, Error, NO_KEY, is, object, parse};
use crate::persist::rdb::{self, Reload};
use crate::store::entry::Value;
use crate::types::{Object, double};

/// Words that are taken and have no meaning here.
const NO_MEANING: &[&str] = &[
    "change-repl-id",
    "config-rewrite-force-all",
    "drop-cluster-packet-filter",
    "leak",
    "pause-cron",
    "replybuffer",
    "set-disable-deny-scripts",
    "set-skip-checksum-validation",
];

fn unknown(sub: &[u8]) -> Error {
    let sub = String::from_utf8_lossy(sub);
    Error::made(format!(
        "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try DEBUG HELP."
    ))
}

/// Whether a command that can do harm is allowed: `yes`, or `local` and the client is.
pub fn is_allowed(ctx: &Ctx<'_>, parameter: &str) -> bool {
    match ctx.config.get(parameter) {
        "yes" => true,
        "local" => ctx.session.info.is_local(),
        _ => false,
    }
}

/// `DEBUG subcommand [arg ...]`
pub fn debug(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if !is_allowed(ctx, "enable-debug-command") {
        return Err(Error::fixed(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \
             \"local\", you can run it from a local connection, otherwise you need to set this \
             option in the configuration file, and then restart the server.",
        ));
    }
    let sub = args.at(1);
    match args.len() {
        2 => plain(ctx, args),
        3 if is(sub, "object") => describe(ctx, args.at(2)),
        3 if is(sub, "sleep") => sleep(ctx, args.at(2)),
        3 if is(sub, "protocol") => protocol(ctx, args.at(2)),
        3 if is(sub, "listpack") => compact(ctx, args.at(2)),
        3 if is(sub, "error") => Err(Error(args.at(2).to_vec().into())),
        3 if is(sub, "htstats") => table_stats(ctx, args.at(2)),
        3 if is(sub, "set-active-expire") => {
            let on = parse::int(args.at(2))? != 0;
            ctx.server.hot.no_active_expire.store(!on, Ordering::Relaxed);
            ctx.out.ok();
            Ok(())
        }
        3 if is(sub, "quicklist-packed-threshold") => packed_threshold(ctx, args.at(2)),
        3 if is(sub, "log") => {
            let text = String::from_utf8_lossy(args.at(2)).into_owned();
            ctx.server.logger.warning(&format!("DEBUG LOG: {text}"));
            ctx.out.ok();
            Ok(())
        }
        _ if is(sub, "reload") => reload(ctx, args),
        _ if is(sub, "digest-value") => digest_values(ctx, args),
        3..=5 if is(sub, "populate") => populate(ctx, args),
        _ if NO_MEANING.iter().any(|known| is(sub, known)) => {
            ctx.out.ok();
            Ok(())
        }
        _ => Err(unknown(sub)),
    }
}

/// Subcommands without an argument.
fn plain(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let sub = args.at(1);
    match () {
        () if is(sub, "reload") => reload(ctx, args)?,
        () if is(sub, "loadaof") => {
            ctx.session.after = Some(crate::server::session::After::LoadAof);
        }
        () if is(sub, "digest") => {
            let digest = all_keys(ctx);
            ctx.out.status(&digest.text());
        }
        () if is(sub, "structsize") => ctx.out.status("bits:64 "),
        () if is(sub, "client-eviction") => {
            if ctx.server.hot.clients_max.load(Ordering::Relaxed) == 0 {
                return Err(Error::fixed("ERR maxmemory-clients is disabled."));
            }
            let bytes = ctx.server.clients.memory.load(Ordering::Relaxed);
            ctx.out.verbatim(format!("Clients: {bytes} bytes\n").as_bytes());
        }
        () if is(sub, "help") => help(ctx),
        () if is(sub, "change-repl-id") || is(sub, "config-rewrite-force-all") => ctx.out.ok(),
        () => return Err(unknown(sub)),
    }
    Ok(())
}

fn help(ctx: &mut Ctx<'_>) {
    ctx.out.help(
        "DEBUG",
        &[
            "DIGEST, DIGEST-VALUE <key> [<key> ...]",
            "    A number for what the databases or keys hold.",
            "OBJECT <key>, LISTPACK <key>, HTSTATS <dbid>",
            "    How something is stored.",
            "POPULATE <count> [<prefix>] [<size>]",
            "    Make string keys.",
            "RELOAD [NOSAVE] [NOFLUSH] [MERGE], LOADAOF",
            "    Save and load.",
            "SLEEP <seconds>, SET-ACTIVE-EXPIRE <0|1>, ERROR <string>, PROTOCOL <type>, LOG <text>",
            "    Behave as wished.",
        ],
    );
}

fn sleep(ctx: &mut Ctx<'_>, seconds: &[u8]) -> Done {
    let seconds = double::parse(seconds).unwrap_or(0.0).clamp(0.0, 3600.0);
    std::thread::sleep(Duration::from_secs_f64(seconds));
    ctx.out.ok();
    Ok(())
}

/// `DEBUG RELOAD [NOSAVE] [NOFLUSH] [MERGE]`
fn reload(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let mut how = Reload { save: true, flush: true, merge: false };
    for word in args.iter().skip(2) {
        match () {
            () if is(word, "nosave") => how.save = false,
            () if is(word, "noflush") => how.flush = false,
            () if is(word, "merge") => how.merge = true,
            () => {
                return Err(Error::fixed(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    rdb::reload(ctx.server, ctx.config, ctx.db.view.shards(), how).map_err(Error::made)?;
    ctx.out.ok();
    Ok(())
}

fn packed_threshold(ctx: &mut Ctx<'_>, size: &[u8]) -> Done {
    let text = String::from_utf8_lossy(size);
    let bytes = crate::config::parse_memory(&text).filter(|bytes| *bytes < 1 << 32);
    // Where a list's element gets a node of its own follows from the node's size here.
    bytes.ok_or(Error::fixed(
        "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
    ))?;
    ctx.out.ok();
    Ok(())
}

/// `DEBUG LISTPACK key`
fn compact(ctx: &mut Ctx<'_>, key: &[u8]) -> Done {
    let entry = ctx.db.peek(key).ok_or(NO_KEY)?;
    if object::encoding_of(entry) != "listpack" {
        return Err(Error::fixed("ERR Not a listpack encoded object."));
    }
    ctx.out.status("Listpack structure printed on stdout");
    Ok(())
}

/// `DEBUG HTSTATS db`
fn table_stats(ctx: &mut Ctx<'_>, db: &[u8]) -> Done {
    let number = parse::int(db)?;
    let number = usize::try_from(number).ok().filter(|number| *number < ctx.server.databases);
    let number = number.ok_or(Error::fixed("ERR Out of range database"))?;
    let (mut slots, mut keys, mut expires) = (0, 0, 0);
    ctx.db.each_shard(|shard| {
        slots += shard.dbs[number].buckets();
        keys += shard.dbs[number].len();
        expires += shard.dbs[number].marked();
    });
    let text = format!(
        "[Dictionary HT]\nHash table 0 stats (main hash table):\n table size: {slots}\n number of \
         elements: {keys}\n[Expires HT]\nHash table 0 stats (main hash table):\n number of \
         elements: {expires}\n"
    );
    ctx.out.verbatim(text.as_bytes());
    Ok(())
}

/// `DEBUG POPULATE count [prefix] [size]`
fn populate(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let count = parse::positive(args.at(2))?;
    let prefix = args.get(3).unwrap_or(b"key").to_vec();
    let size = args.get(4).map(parse::positive).transpose()?;
    for number in 0..count {
        let key = [&prefix[..], format!(":{number}").as_bytes()].concat();
        if ctx.db.exists(&key) {
            continue;
        }
        let mut text = format!("value:{number}").into_bytes();
        if let Some(size) = size.filter(|size| *size > 0) {
            text.resize(size as usize, 0);
        }
        ctx.db.put_text(&key, &text, None);
        ctx.db.touch(&key);
    }
    ctx.out.ok();
    Ok(())
}

fn describe(ctx: &mut Ctx<'_>, key: &[u8]) -> Done {
    let limit = ctx.db.limits.list_size;
    let clock = ctx.db.clock;
    let Some(entry) = ctx.db.peek(key) else { return Err(NO_KEY) };
    let mut payload = Vec::new();
    crate::persist::value::push_value(&mut payload, entry.value(), true);
    let extra = match entry.value() {
        Value::Object(Object::List(list)) => {
            let (nodes, bytes) = (list.nodes(), list.bytes());
            let average = list.len() as f64 / nodes.max(1) as f64;
            format!(
                " ql_nodes:{nodes} ql_avg_node:{average:.2} ql_listpack_max:{limit} \
                 ql_compressed:0 ql_uncompressed_size:{bytes}"
            )
        }
        _ => String::new(),
    };
    let text = format!(
        "Value at:0x7f0000000000 refcount:1 encoding:{} serializedlength:{} lru:{} \
         lru_seconds_idle:{}{extra}",
        object::encoding_of(entry),
        payload.len(),
        entry.clock(),
        clock.wrapping_sub(entry.clock()) & 0xff_ffff,
    );
    ctx.out.status(&text);
    Ok(())
}

/// The digest of all keys.
fn all_keys(ctx: &mut Ctx<'_>) -> Digest {
    let mut digest = Digest::default();
    for db in 0..ctx.server.databases {
        let mut keys = 0;
        ctx.db.each_shard(|shard| keys += shard.dbs[db].len());
        if keys > 0 {
            digest::begin_database(&mut digest, db as u32);
            ctx.db.each_shard(|shard| {
                shard.dbs[db].iter().for_each(|entry| digest::add_entry(&mut digest, entry));
            });
        }
    }
    digest
}

/// `DEBUG DIGEST-VALUE key [key ...]`
fn digest_values(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    ctx.out.array(args.len() - 2);
    for key in args.from(2).iter() {
        let mut digest = Digest::default();
        if let Some(entry) = ctx.db.peek(key) {
            digest::mix_value(&mut digest, entry);
        }
        ctx.out.status(&digest.text());
    }
    Ok(())
}

/// One reply of each type.
fn protocol(ctx: &mut Ctx<'_>, name: &[u8]) -> Done {
    let out = &mut ctx.out;
    match () {
        () if is(name, "string") => out.bulk(b"Hello World"),
        () if is(name, "integer") => out.int(12345),
        () if is(name, "double") => {
            out.raw(if out.resp3 { b",3.141\r\n" } else { b"$5\r\n3.141\r\n" })
        }
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
        () if is(name, "bignum") => {
            let digits = b"1234567999999999999999999999999999999";
            out.raw(if out.resp3 { b"(" } else { b"$37\r\n" });
            out.raw(digits);
            out.raw(b"\r\n");
        }
        () if is(name, "attrib") => {
            if out.resp3 {
                out.raw(b"|1\r\n");
                out.bulk(b"key-popularity");
                out.array(2);
                out.bulk(b"key:123");
                out.int(90);
            }
            out.bulk(b"Some real reply following the attribute");
        }
        () if is(name, "verbatim") => out.verbatim(b"This is a verbatim\nstring"),
        () if is(name, "true") => out.boolean(true),
        () if is(name, "false") => out.boolean(false),
        () => {
            return Err(Error::fixed(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}
