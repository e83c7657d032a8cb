//! The server is killed under load, again and again: what it has acknowledged must be there.

use std::path::Path;
use std::time::Duration;

use box_harness::scratch;

use crate::support::{Client, Dice, Server};

/// How the keys are kept.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    /// In the log, with this policy.
    Log(&'static str),
    /// In the log, whose end is torn off after the crash.
    Torn,
    /// In snapshots.
    Snapshot,
}

fn start(dir: &Path, kept: Kept) -> Server {
    let policy = match kept {
        Kept::Log(policy) => policy,
        _ => "always",
    };
    let log = if kept == Kept::Snapshot { "no" } else { "yes" };
    let args = ["--save", "", "--appendonly", log, "--appendfsync", policy];
    Server::ours(dir, &args)
}

fn number(client: &mut Client, request: &str) -> i64 {
    let reply = client.ask(request);
    let digits = reply.split("\r\n").find(|line| !line.is_empty() && !line.starts_with('$'));
    digits.and_then(|line| line.trim_start_matches(':').parse().ok()).unwrap_or(0)
}

/// Counts up in a thread until the server is gone; the last number that was acknowledged, and the
/// last that was certainly in a snapshot.
fn count_until_gone(mut client: Client, save: bool) -> std::thread::JoinHandle<(i64, i64)> {
    std::thread::spawn(move || {
        let (mut last, mut saved) = (0, 0);
        for round in 0.. {
            client.send(&["INCR", "n"]);
            let Some(reply) = client.try_reply() else { break };
            let text = String::from_utf8_lossy(&reply).into_owned();
            last = text.trim_start_matches(':').trim_end().parse().unwrap_or(last);
            if save && round % 50 == 49 {
                client.send(&["SAVE"]);
                if client.try_reply().is_none() {
                    break;
                }
                saved = last;
            }
        }
        (last, saved)
    })
}

/// Cuts a few bytes off the newest part of the log, as a lost disk write does.
fn tear(dir: &Path, bytes: u64) {
    let folder = std::fs::read_dir(dir.join("appendonlydir")).expect("a folder");
    let parts = folder.filter_map(Result::ok).map(|entry| entry.path());
    let newest = parts.filter(|path| path.to_string_lossy().ends_with(".incr.aof")).max();
    let file = std::fs::OpenOptions::new().write(true).open(newest.expect("a part"));
    let file = file.expect("a file");
    let len = file.metadata().expect("a size").len();
    file.set_len(len.saturating_sub(bytes)).expect("it is cut");
}

fn rounds(kept: Kept, count: usize) {
    let dir = scratch();
    let mut dice = Dice(count as u64, 0);
    let mut least = 0;
    for round in 0..count {
        let server = start(dir.path(), kept);
        let mut client = server.client();
        let found = number(&mut client, "GET n");
        assert!(found >= least, "round {round}: {found} was found, {least} acknowledged");
        let counting = count_until_gone(server.client(), kept == Kept::Snapshot);
        std::thread::sleep(Duration::from_millis(20 + dice.below(60) as u64));
        server.kill();
        let (last, saved) = counting.join().expect("it ends");
        least = if kept == Kept::Snapshot { saved.max(found) } else { last.max(found) };
        if kept == Kept::Torn {
            // A request has 21 bytes at least: of the last one only a part is left.
            tear(dir.path(), 1 + dice.below(15) as u64);
            least -= 1;
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    for kept in [Kept::Log("always"), Kept::Log("everysec"), Kept::Torn, Kept::Snapshot] {
        rounds(kept, 4);
    }
}

/// The same, fifty times each.
#[test]
#[ignore = "takes minutes"]
fn nothing_acknowledged_is_lost_in_fifty_rounds() {
    for kept in [Kept::Log("always"), Kept::Log("everysec"), Kept::Torn, Kept::Snapshot] {
        rounds(kept, 50);
    }
}
