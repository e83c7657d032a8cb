//! INFO: the state of the server, as people, exporters and clients read it.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use box_sys::limits;
use box_wire::resp::Args;

use super::table;
use super::{Ctx, Done};
use crate::server::hub::Kind;
use crate::text::human_bytes;

/// Writes the lines of a section.
type Section = fn(&mut Ctx<'_>, &mut String);

/// Sections in order, and whether they are shown without being asked for.
const SECTIONS: &[(&str, bool, Section)] = &[
    ("Server", true, server),
    ("Clients", true, clients),
    ("Memory", true, memory),
    ("Persistence", true, persistence),
    ("Stats", true, stats),
    ("Replication", true, replication),
    ("CPU", true, cpu),
    ("Modules", true, modules),
    ("Commandstats", false, commandstats),
    ("Errorstats", true, errorstats),
    ("Latencystats", false, latencystats),
    ("Cluster", true, cluster),
    ("Keyspace", true, keyspace),
];

/// `INFO [section ...]`
pub fn info(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let wanted: Vec<String> =
        args.from(1).iter().map(|word| String::from_utf8_lossy(word).to_lowercase()).collect();
    let has = |name: &str| wanted.iter().any(|word| word == name);
    let all = has("all") || has("everything");
    let default = wanted.is_empty() || has("default");
    let mut text = String::new();
    for (name, shown, write) in SECTIONS {
        if all || (default && *shown) || has(&name.to_lowercase()) {
            let mut section = String::new();
            write(ctx, &mut section);
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            let _ = write!(text, "# {name}\r\n{section}");
        }
    }
    ctx.out.verbatim(text.as_bytes());
    Ok(())
}

macro_rules! lines {
    ($text:expr, $($name:literal: $value:expr),+ $(,)?) => {
        $( let _ = write!($text, concat!($name, ":{}\r\n"), $value); )+
    };
}

fn server(ctx: &mut Ctx<'_>, text: &mut String) {
    let uptime = ctx.server.started.elapsed().as_secs();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let exe = std::env::current_exe().unwrap_or_default();
    let file = ctx.config.file.as_deref().map(|path| path.display().to_string());
    lines!(text,
        "redis_version": crate::VERSION,
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": "0",
        "redis_mode": "standalone",
        "os": format!("Linux {} {}", kernel.trim(), std::env::consts::ARCH),
        "arch_bits": 64,
        "monotonic_clock": "POSIX clock_gettime",
        "multiplexing_api": "epoll",
        "atomicvar_api": "c11-builtin",
        "gcc_version": "0.0.0",
        "process_id": std::process::id(),
        "process_supervised": "no",
        "run_id": ctx.server.run_id,
        "tcp_port": ctx.config.get("port"),
        "server_time_usec": ctx.db.now * 1000,
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime / 86_400,
        "hz": ctx.config.get("hz"),
        "configured_hz": ctx.config.get("hz"),
        "lru_clock": (ctx.db.now / 1000) & 0xff_ffff,
        "executable": exe.display(),
        "config_file": file.unwrap_or_default(),
        "io_threads_active": 0,
    );
}

fn clients(ctx: &mut Ctx<'_>, text: &mut String) {
    let all = ctx.server.clients.all();
    let query = all.iter().map(|c| c.query_bytes.load(Ordering::Relaxed)).max().unwrap_or(0);
    let reply = all.iter().map(|c| c.reply_bytes.load(Ordering::Relaxed)).max().unwrap_or(0);
    lines!(text,
        "connected_clients": ctx.server.clients.len(),
        "cluster_connections": 0,
        "maxclients": ctx.config.maxclients,
        "client_recent_max_input_buffer": query,
        "client_recent_max_output_buffer": reply,
        "blocked_clients": ctx.server.clients.blocked.load(Ordering::Relaxed),
        "tracking_clients": ctx.server.tracking.totals()[3],
        "clients_in_timeout_table": 0,
    );
}

fn memory(ctx: &mut Ctx<'_>, text: &mut String) {
    let used = box_sys::heap_use::used_bytes() as u64;
    let peak = ctx.server.peak_memory(used);
    let resident = limits::resident_bytes();
    let startup = ctx.server.startup_bytes as u64;
    let max: u64 = ctx.server.hot.maxmemory.load(Ordering::Relaxed);
    let total = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|info| info.lines().next()?.split_whitespace().nth(1)?.parse::<u64>().ok());
    let total = total.unwrap_or(0) * 1024;
    let ratio = resident as f64 / used.max(1) as f64;
    let scripts = &ctx.server.scripts;
    let count = |field: &std::sync::atomic::AtomicUsize| field.load(Ordering::Relaxed) as u64;
    let (lua, eval_bytes) = (count(&scripts.memory), count(&scripts.cached_bytes));
    let function_bytes = count(&scripts.library_bytes);
    lines!(text,
        "used_memory": used,
        "used_memory_human": human_bytes(used),
        "used_memory_rss": resident,
        "used_memory_rss_human": human_bytes(resident),
        "used_memory_peak": peak,
        "used_memory_peak_human": human_bytes(peak),
        "used_memory_peak_perc": format!("{:.2}%", used as f64 * 100.0 / peak.max(1) as f64),
        "used_memory_overhead": startup,
        "used_memory_startup": startup,
        "used_memory_dataset": used.saturating_sub(startup),
        "used_memory_dataset_perc": format!("{:.2}%", used.saturating_sub(startup) as f64 * 100.0 / used.max(1) as f64),
        "allocator_allocated": used,
        "allocator_active": resident,
        "allocator_resident": resident,
        "total_system_memory": total,
        "total_system_memory_human": human_bytes(total),
        "used_memory_lua": lua,
        "used_memory_vm_eval": lua,
        "used_memory_lua_human": human_bytes(lua),
        "used_memory_scripts_eval": eval_bytes,
        "number_of_cached_scripts": count(&scripts.cached),
        "number_of_functions": count(&scripts.functions),
        "number_of_libraries": count(&scripts.libraries),
        "used_memory_vm_functions": 0,
        "used_memory_vm_total": lua,
        "used_memory_vm_total_human": human_bytes(lua),
        "used_memory_functions": function_bytes,
        "used_memory_scripts": eval_bytes + function_bytes,
        "used_memory_scripts_human": human_bytes(eval_bytes + function_bytes),
        "maxmemory": max,
        "maxmemory_human": human_bytes(max),
        "maxmemory_policy": ctx.config.get("maxmemory-policy"),
        "allocator_frag_ratio": format!("{ratio:.2}"),
        "allocator_frag_bytes": resident.saturating_sub(used),
        "allocator_rss_ratio": "1.00",
        "allocator_rss_bytes": 0,
        "rss_overhead_ratio": "1.00",
        "rss_overhead_bytes": 0,
        "mem_fragmentation_ratio": format!("{ratio:.2}"),
        "mem_fragmentation_bytes": resident.saturating_sub(used),
        "mem_not_counted_for_evict": 0,
        "mem_replication_backlog": 0,
        "mem_total_replication_buffers": 0,
        "mem_clients_slaves": 0,
        "mem_clients_normal": ctx.server.clients.memory.load(Ordering::Relaxed),
        "mem_cluster_links": 0,
        "mem_aof_buffer": 0,
        "mem_allocator": "mimalloc",
        "active_defrag_running": 0,
        "lazyfree_pending_objects": ctx.server.bin.pending(),
        "lazyfreed_objects": 0,
    );
}

fn persistence(ctx: &mut Ctx<'_>, text: &mut String) {
    let (saver, log) = (&ctx.server.saver, &ctx.server.log);
    let word = |failed: bool| if failed { "err" } else { "ok" };
    lines!(text,
        "loading": 0,
        "async_loading": 0,
        "current_cow_peak": 0,
        "current_cow_size": 0,
        "current_cow_size_age": 0,
        "current_fork_perc": "0.00",
        "current_save_keys_processed": 0,
        "current_save_keys_total": 0,
        "rdb_changes_since_last_save": saver.unsaved(ctx.server.dirty()),
        "rdb_bgsave_in_progress": u8::from(saver.is_saving()),
        "rdb_last_save_time": saver.last_save_s(),
        "rdb_last_bgsave_status": word(saver.has_failed()),
        "rdb_last_bgsave_time_sec": -1,
        "rdb_current_bgsave_time_sec": -1,
        "rdb_saves": saver.saves.load(Ordering::Relaxed),
        "rdb_last_cow_size": 0,
        "rdb_last_load_keys_expired": 0,
        "rdb_last_load_keys_loaded": 0,
        "aof_enabled": u8::from(log.is_on()),
        "aof_rewrite_in_progress": u8::from(saver.is_rewriting()),
        "aof_rewrite_scheduled": 0,
        "aof_last_rewrite_time_sec": -1,
        "aof_current_rewrite_time_sec": -1,
        "aof_last_bgrewrite_status": word(saver.rewrite_failed()),
        "aof_rewrites": 0,
        "aof_rewrites_consecutive_failures": 0,
        "aof_last_write_status": word(log.has_failed()),
        "aof_last_cow_size": 0,
        "module_fork_in_progress": 0,
        "module_fork_last_cow_size": 0,
    );
    if log.is_on() {
        lines!(text,
            "aof_current_size": log.size.load(Ordering::Relaxed),
            "aof_base_size": log.base_size.load(Ordering::Relaxed),
            "aof_pending_rewrite": 0,
            "aof_buffer_length": 0,
            "aof_pending_bio_fsync": 0,
            "aof_delayed_fsync": 0,
        );
    }
}

fn stats(ctx: &mut Ctx<'_>, text: &mut String) {
    let server = ctx.server;
    let tracked = server.tracking.totals();
    let rate = |number: usize| server.rates[number].load(Ordering::Relaxed);
    let kb = |number: usize| format!("{:.2}", rate(number) as f64 / 1024.0);
    lines!(text,
        "total_connections_received": server.sum(|s| s.connections.load()),
        "total_commands_processed": server.sum(|s| s.commands.load()),
        "instantaneous_ops_per_sec": rate(0),
        "total_net_input_bytes": server.sum(|s| s.read_bytes.load()),
        "total_net_output_bytes": server.sum(|s| s.written_bytes.load()),
        "total_net_repl_input_bytes": 0,
        "total_net_repl_output_bytes": 0,
        "instantaneous_input_kbps": kb(1),
        "instantaneous_output_kbps": kb(2),
        "instantaneous_input_repl_kbps": "0.00",
        "instantaneous_output_repl_kbps": "0.00",
        "rejected_connections": server.sum(|s| s.rejected.load()),
        "sync_full": server.repl.syncs[0].load(Ordering::Relaxed),
        "sync_partial_ok": server.repl.syncs[1].load(Ordering::Relaxed),
        "sync_partial_err": server.repl.syncs[2].load(Ordering::Relaxed),
        "expired_keys": server.sum(|s| s.expired.load()),
        "expired_stale_perc": "0.00",
        "expired_time_cap_reached_count": 0,
        "expire_cycle_cpu_milliseconds": 0,
        "evicted_keys": server.sum(|s| s.evicted.load()),
        "evicted_clients": server.clients.evicted.load(Ordering::Relaxed),
        "total_eviction_exceeded_time": 0,
        "current_eviction_exceeded_time": 0,
        "keyspace_hits": server.sum(|s| s.hits.load()),
        "keyspace_misses": server.sum(|s| s.misses.load()),
        "pubsub_channels": server.hub.count(Kind::Channel),
        "pubsub_patterns": server.hub.count(Kind::Pattern),
        "pubsubshard_channels": server.hub.count(Kind::Shard),
        "latest_fork_usec": 0,
        "total_forks": 0,
        "migrate_cached_sockets": 0,
        "slave_expires_tracked_keys": 0,
        "active_defrag_hits": 0,
        "active_defrag_misses": 0,
        "active_defrag_key_hits": 0,
        "active_defrag_key_misses": 0,
        "total_active_defrag_time": 0,
        "current_active_defrag_time": 0,
        "tracking_total_keys": tracked[0],
        "tracking_total_items": tracked[1],
        "tracking_total_prefixes": tracked[2],
        "unexpected_error_replies": 0,
        "total_error_replies": server.sum(|s| s.errors.load()),
        "dump_payload_sanitizations": 0,
        "total_reads_processed": server.sum(|s| s.reads.load()),
        "total_writes_processed": server.sum(|s| s.writes.load()),
        "io_threaded_reads_processed": 0,
        "io_threaded_writes_processed": 0,
        "reply_buffer_shrinks": 0,
        "reply_buffer_expands": 0,
        "eventloop_cycles": server.sum(|s| s.turns.load()),
    );
}

fn replication(ctx: &mut Ctx<'_>, text: &mut String) {
    let repl = &ctx.server.repl;
    let now = ctx.db.now;
    match repl.link.target() {
        None => {
            lines!(text, "role": "master");
        }
        Some((host, port)) => {
            let up = repl.link.is_up();
            let heard = (now - repl.link.heard_ms.load(Ordering::Relaxed)) / 1000;
            let sync = repl.link.stage.load(Ordering::Relaxed) == crate::repl::link::stage::SYNC;
            lines!(text,
                "role": "slave",
                "master_host": host,
                "master_port": port,
                "master_link_status": if up { "up" } else { "down" },
                "master_last_io_seconds_ago": if up { heard } else { -1 },
                "master_sync_in_progress": u8::from(sync),
                "slave_read_repl_offset": repl.offset(),
                "slave_repl_offset": repl.offset(),
            );
            if !up {
                let down = (now - repl.link.down_ms.load(Ordering::Relaxed)) / 1000;
                lines!(text, "master_link_down_since_seconds": down);
            }
            lines!(text,
                "slave_priority": ctx.config.get("replica-priority"),
                "slave_read_only": u8::from(ctx.config.is_on("replica-read-only")),
                "replica_announced": u8::from(ctx.config.is_on("replica-announced")),
            );
        }
    }
    let replicas = repl.replicas();
    lines!(text, "connected_slaves": replicas.len());
    if ctx.config.min_replicas > 0 {
        let good = repl.good(now, ctx.config.min_replicas_lag_s);
        lines!(text, "min_slaves_good_slaves": good);
    }
    for (number, replica) in replicas.iter().enumerate() {
        let online = replica.is(crate::repl::state::ONLINE);
        let lag = (now - replica.acked_ms.load(Ordering::Relaxed)) / 1000;
        let _ = write!(
            text,
            "slave{number}:ip={},port={},state={},offset={},lag={}\r\n",
            replica.address(),
            replica.port.load(Ordering::Relaxed),
            if online { "online" } else { "wait_bgsave" },
            replica.acked.load(Ordering::Relaxed),
            if online { lag } else { 0 },
        );
    }
    let histories = repl.histories();
    let (size, start, len) = repl.backlog();
    let second = histories.old_end.map_or(-1, |end| end as i64 + 1);
    lines!(text,
        "master_failover_state": "no-failover",
        "master_replid": histories.id,
        "master_replid2": histories.old,
        "master_repl_offset": repl.offset(),
        "second_repl_offset": second,
        "repl_backlog_active": u8::from(repl.is_active()),
        "repl_backlog_size": size,
        "repl_backlog_first_byte_offset": if repl.is_active() { start + 1 } else { 0 },
        "repl_backlog_histlen": len,
    );
}

fn cpu(_: &mut Ctx<'_>, text: &mut String) {
    let (own, children) = (limits::cpu_time(false), limits::cpu_time(true));
    let seconds = |time: std::time::Duration| format!("{:.6}", time.as_secs_f64());
    lines!(text,
        "used_cpu_sys": seconds(own.system),
        "used_cpu_user": seconds(own.user),
        "used_cpu_sys_children": seconds(children.system),
        "used_cpu_user_children": seconds(children.user),
        "used_cpu_sys_main_thread": seconds(own.system),
        "used_cpu_user_main_thread": seconds(own.user),
    );
}

fn modules(_: &mut Ctx<'_>, _: &mut String) {}

fn commandstats(ctx: &mut Ctx<'_>, text: &mut String) {
    for number in 0..table::count() {
        let sum = |counter: fn(&crate::server::stats::CommandStats) -> u64| {
            ctx.server.sum(|stats| counter(&stats.by_command[number]))
        };
        let (calls, rejected) = (sum(|of| of.calls.load()), sum(|of| of.rejected.load()));
        if calls + rejected == 0 {
            continue;
        }
        let us = sum(|of| of.ns.load()) / 1000;
        let per_call = us as f64 / calls.max(1) as f64;
        let _ = write!(
            text,
            "cmdstat_{}:calls={calls},usec={us},usec_per_call={per_call:.2},rejected_calls={rejected},failed_calls={}\r\n",
            table::full_name(number),
            sum(|of| of.failed.load()),
        );
    }
}

fn errorstats(ctx: &mut Ctx<'_>, text: &mut String) {
    for (word, count) in ctx.server.errors() {
        let _ = write!(text, "errorstat_{word}:count={count}\r\n");
    }
}

fn latencystats(ctx: &mut Ctx<'_>, text: &mut String) {
    let percents: Vec<f64> = ctx
        .config
        .get("latency-tracking-info-percentiles")
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    for number in 0..table::count() {
        let times = ctx.server.times_of(number);
        if times.count() > 0 {
            let shown: Vec<String> = percents
                .iter()
                .map(|percent| {
                    let us = times.percentile(*percent) as f64 / 1000.0;
                    format!("p{percent}={us:.3}")
                })
                .collect();
            let name = table::full_name(number);
            let _ = write!(text, "latency_percentiles_usec_{name}:{}\r\n", shown.join(","));
        }
    }
}

fn cluster(_: &mut Ctx<'_>, text: &mut String) {
    lines!(text, "cluster_enabled": 0);
}

fn keyspace(ctx: &mut Ctx<'_>, text: &mut String) {
    let databases = ctx.server.databases;
    let mut sizes = vec![(0, 0); databases];
    ctx.db.each_shard(|shard| {
        for (size, table) in sizes.iter_mut().zip(&shard.dbs) {
            size.0 += table.len();
            size.1 += table.marked();
        }
    });
    for (db, (keys, expires)) in sizes.iter().enumerate() {
        if *keys > 0 {
            let _ = write!(text, "db{db}:keys={keys},expires={expires},avg_ttl=0\r\n");
        }
    }
}
