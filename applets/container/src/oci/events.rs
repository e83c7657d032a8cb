//! `events`: what a container uses, and when the kernel kills for want of memory, one JSON object a
//! line, in runc's form.

use std::path::Path;
use std::time::{Duration, Instant};

use box_kit::{Exit, Failure, Outcome};
use serde_json::{Value, json};

use super::cli::EventsArgs;
use super::state::Container;
use crate::cgroup::Usage;

/// How often the count of kills is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// `events`.
pub fn events(root: &Path, args: &EventsArgs) -> Outcome {
    let container = Container::named(root, &args.id)?;
    let state = container.load()?;
    if !state.init.is_alive() {
        return Err(Failure::new("container not running").about(&args.id));
    }
    let stats = || line("stats", &args.id, Some(report(&state.group.usage())));
    if args.stats {
        return print(&stats());
    }
    let interval = interval(&args.interval)
        .ok_or_else(|| Failure::misuse(format!("not a time: {:?}", args.interval)))?;
    let mut kills = state.group.oom_kills();
    let mut next = Instant::now();
    loop {
        let now = state.group.oom_kills();
        if now > kills {
            print(&line("oom", &args.id, None))?;
            kills = now;
        }
        if !state.init.is_alive() {
            return Ok(Exit::DONE);
        }
        if Instant::now() >= next {
            print(&stats())?;
            next += interval;
        }
        std::thread::sleep(LOOK.min(interval));
    }
}

fn print(line: &Value) -> Outcome {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush())?;
    Ok(Exit::DONE)
}

/// `5s`, `500ms`, `1m`, or seconds.
fn interval(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok().filter(|number| (0.001..1e6).contains(number))?;
    let seconds = match text.get(digits.len()..)? {
        "ms" => number / 1000.0,
        "s" | "" => number,
        "m" => number * 60.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(seconds))
}

fn line(kind: &str, id: &str, data: Option<Value>) -> Value {
    match data {
        Some(data) => json!({"type": kind, "id": id, "data": data}),
        None => json!({"type": kind, "id": id}),
    }
}

fn report(usage: &Usage) -> Value {
    let memory = |used: u64, max: u64, limit: Option<u64>| json!({"usage": used, "max": max, "limit": limit.unwrap_or(u64::MAX), "failcnt": 0});
    let entries = |of: &[(u32, u32, String, u64)]| -> Value {
        let entry = |(major, minor, op, value): &(u32, u32, String, u64)| json!({"major": major, "minor": minor, "op": op, "value": value});
        of.iter().map(entry).collect()
    };
    json!({
        "cpu": {
            "usage": {"total": usage.cpu_ns, "kernel": usage.cpu_system_ns, "user": usage.cpu_user_ns},
            "throttling": {"periods": usage.periods, "throttledPeriods": usage.throttled_periods,
                "throttledTime": usage.throttled_ns},
        },
        "memory": {
            "cache": usage.cache,
            "usage": memory(usage.memory, usage.memory_max, usage.memory_limit),
            "raw": usage.memory_detail,
        },
        "pids": {"current": usage.pids, "limit": usage.pids_limit.unwrap_or(0)},
        "blkio": {"ioServiceBytesRecursive": entries(&usage.block_bytes),
            "ioServicedRecursive": entries(&usage.block_operations)},
        "hugetlb": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(interval("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(interval("5s"), Some(Duration::from_secs(5)));
        for text in ["", "s", "-1s", "5h", "1e9"] {
            assert_eq!(interval(text), None, "{text}");
        }
    }
}
