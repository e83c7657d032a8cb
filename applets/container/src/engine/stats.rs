//! What containers use: `stats`, `top`; and what they may: `update`.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use box_kit::{Exit, Failure, Outcome};
use serde_json::{Value, json};

use super::container::{self, Container};
use super::{Engine, create, events, template, values};
use crate::cgroup::Usage;
use crate::cli::observe::{StatsArgs, TopArgs, UpdateArgs};
use crate::oci::spec::{CpuLimits, MemoryLimits, PidsLimit, Resources};

/// Between two looks at the clocks.
const SAMPLE: Duration = Duration::from_millis(500);

/// `stats`.
pub fn stats(engine: &Engine, args: &StatsArgs) -> Outcome {
    let mut before: BTreeMap<String, (u64, Instant)> = BTreeMap::new();
    loop {
        let shown = chosen(engine, args)?;
        let once = args.no_stream;
        if before.is_empty() {
            for found in &shown {
                let used = found.state.group.usage().cpu_ns;
                before.insert(found.config.id.clone(), (used, Instant::now()));
            }
            std::thread::sleep(SAMPLE);
        }
        let rows: Vec<_> =
            shown.iter().map(|found| row(found, &mut before, args.no_trunc)).collect();
        print(&rows, args)?;
        if once {
            return Ok(Exit::DONE);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn chosen(engine: &Engine, args: &StatsArgs) -> Result<Vec<Container>, Failure> {
    if !args.names.is_empty() {
        return args.names.iter().map(|name| container::find(&engine.store, name)).collect();
    }
    let mut all = container::all(&engine.store)?;
    all.retain(|found| args.all || found.is_running());
    Ok(all)
}

fn print(rows: &[Value], args: &StatsArgs) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if let Some(text) = template::rows(args.format.as_deref().unwrap_or("table"), rows)? {
        write!(out, "{text}")?;
        return Ok(());
    }
    if !args.no_stream && std::io::stdout().is_terminal() {
        write!(out, "\x1b[H\x1b[2J")?;
    }
    let fields = ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"];
    let cells = rows
        .iter()
        .map(|row| fields.map(|field| row[field].as_str().unwrap_or_default().to_owned()));
    let head = [
        "CONTAINER ID",
        "NAME",
        "CPU %",
        "MEM USAGE / LIMIT",
        "MEM %",
        "NET I/O",
        "BLOCK I/O",
        "PIDS",
    ];
    write!(out, "{}", crate::table::render(&head, cells))?;
    out.flush()?;
    Ok(())
}

fn row(found: &Container, before: &mut BTreeMap<String, (u64, Instant)>, whole: bool) -> Value {
    let usage = found.state.group.usage();
    let now = Instant::now();
    let id = &found.config.id;
    let (used, then) =
        before.insert(id.clone(), (usage.cpu_ns, now)).unwrap_or((usage.cpu_ns, now));
    let passed = now.duration_since(then).as_nanos().max(1) as f64;
    let cpu = usage.cpu_ns.saturating_sub(used) as f64 / passed * 100.0;
    let memory = usage.memory.saturating_sub(usage.inactive_file);
    let limit = usage.memory_limit.unwrap_or_else(machine_memory);
    let share = if limit == 0 { 0.0 } else { memory as f64 / limit as f64 * 100.0 };
    let (received, sent) = network(found).unwrap_or((0, 0));
    let (words, in_words) = (values::bytes_in_words, values::memory_in_words);
    json!({
        "ID": if whole { id.clone() } else { id.get(..12).unwrap_or(id).to_owned() },
        "Container": found.config.name,
        "Name": found.config.name,
        "CPUPerc": format!("{cpu:.2}%"),
        "MemUsage": format!("{} / {}", in_words(memory), in_words(limit)),
        "MemPerc": format!("{share:.2}%"),
        "NetIO": format!("{} / {}", words(received), words(sent)),
        "BlockIO": format!("{} / {}", words(block(&usage, "Read")), words(block(&usage, "Write"))),
        "PIDs": usage.pids.to_string(),
    })
}

fn block(usage: &Usage, operation: &str) -> u64 {
    usage.block_bytes.iter().filter(|row| row.2 == operation).map(|row| row.3).sum()
}

fn machine_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Bytes received and sent, of all devices but the loopback (proc(5), `/proc/PID/net/dev`).
fn network(found: &Container) -> Option<(u64, u64)> {
    let init = found.is_running().then_some(found.state.init.pid)?;
    let text = std::fs::read_to_string(format!("/proc/{init}/net/dev")).ok()?;
    let mut total = (0, 0);
    for line in text.lines().skip(2) {
        let (name, counts) = line.split_once(':')?;
        let counts: Vec<u64> = counts.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        if name.trim() != "lo" {
            total.0 += counts.first()?;
            total.1 += counts.get(8)?;
        }
    }
    Some(total)
}

/// `top`: the container's processes as the machine sees them.
pub fn top(engine: &Engine, args: &TopArgs) -> Outcome {
    let found = container::find(&engine.store, &args.name)?;
    if !found.is_running() {
        return Err(Failure::new("is not running").about(&found.config.name));
    }
    let ticks = 100;
    let rows = found.state.group.pids().into_iter().filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        let uid = uid.split_whitespace().next()?.to_owned();
        let used: u64 =
            fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        let seconds = used / ticks;
        let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let command = command.trim_end_matches('\0').replace('\0', " ");
        let parent = (*fields.get(1)?).to_owned();
        let terminal = if *fields.get(4)? == "0" { "?" } else { "pts" };
        Some([uid, pid.to_string(), parent, terminal.into(), time, command])
    });
    let head = ["UID", "PID", "PPID", "TTY", "TIME", "CMD"];
    print!("{}", crate::table::render(&head, rows));
    Ok(Exit::DONE)
}

/// `update`.
pub fn update(engine: &Engine, args: &UpdateArgs) -> Outcome {
    let memory = args.memory.as_deref().map(|text| values::size("--memory", text)).transpose()?;
    // -1 is no limit; where swap is not counted, there is nothing to change.
    let counted = crate::cgroup::Hierarchies::detect()?.limits_swap();
    let swap = args.memory_swap.as_deref().filter(|_| counted);
    let swap = swap.map(|text| match text {
        "-1" => Ok(-1),
        text => values::size("--memory-swap", text),
    });
    let swap = swap.transpose()?;
    let quota = args.cpus.as_deref().map(values::cpus).transpose()?;
    let change = Resources {
        memory: MemoryLimits { limit: memory, swap, ..MemoryLimits::default() },
        cpu: CpuLimits {
            shares: args.cpu_shares,
            quota,
            period: quota.map(|_| 100_000),
            cpus: args.cpuset_cpus.clone().unwrap_or_default(),
            ..CpuLimits::default()
        },
        pids: PidsLimit { limit: args.pids_limit },
        ..Resources::default()
    };
    for name in &args.names {
        let mut found = container::find(&engine.store, name)?;
        if found.is_running() {
            found.state.group.limit(&change)?;
        }
        let kept = &mut found.config.resources;
        kept.memory.limit = memory.or(kept.memory.limit);
        kept.memory.swap = swap.or(kept.memory.swap);
        kept.pids.limit = args.pids_limit.or(kept.pids.limit);
        kept.cpu.shares = args.cpu_shares.or(kept.cpu.shares);
        if quota.is_some() {
            (kept.cpu.quota, kept.cpu.period) = (quota, Some(100_000));
        }
        if let Some(cpus) = &args.cpuset_cpus {
            kept.cpu.cpus.clone_from(cpus);
        }
        if let Some(policy) = &args.restart {
            found.config.restart = create::restart(policy)?;
        }
        found.save_config()?;
        events::of_container(&engine.store, &found, "update", &[]);
        println!("{name}");
    }
    Ok(Exit::DONE)
}
