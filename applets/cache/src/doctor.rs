//! What a cache server needs of the machine.

use std::fs;

use box_kit::doctor::{self, Finding};

/// `maxclients` of the incumbents, and what the server itself holds open.
const FILES_WANTED: u64 = 10_032;
/// `tcp-backlog` of the incumbents.
const BACKLOG: u64 = 511;

/// The lines of `box doctor`.
pub fn needs() -> Vec<Finding> {
    vec![
        doctor::open_files(FILES_WANTED),
        doctor::port("port", 6379, "box cache-server --port 6380"),
        backlog(),
        huge_pages(),
    ]
}

fn backlog() -> Finding {
    let need = "backlog";
    let limit = fs::read_to_string("/proc/sys/net/core/somaxconn");
    match limit.ok().and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(limit) if limit < BACKLOG => Finding::worse(
            need,
            format!("net.core.somaxconn is {limit}: a rush of clients is refused"),
            "sudo sysctl net.core.somaxconn=511",
        ),
        Some(limit) => Finding::good(need, format!("net.core.somaxconn is {limit}")),
        None => Finding::good(need, "net.core.somaxconn is not to be seen here"),
    }
}

/// Large pages make what is overwritten during a save cost more memory and time than it must.
fn huge_pages() -> Finding {
    let need = "huge pages";
    let setting = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    if setting.is_ok_and(|text| text.contains("[always]")) {
        return Finding::worse(
            need,
            "transparent huge pages are always on: latency and memory suffer",
            "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
        );
    }
    Finding::good(need, "not forced")
}
