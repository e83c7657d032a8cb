//! What tunnels and the reverse proxy need of the machine.

use std::fs;

use box_kit::doctor::{self, Finding};
use box_kit::folders;

/// Connections that an edge should be able to hold; each takes a descriptor, a proxied one two.
const FILES_WANTED: u64 = 20_000;
/// CAP_NET_BIND_SERVICE.
const BIND_SERVICE: u32 = 10;

/// The lines of `box doctor`.
pub fn needs() -> Vec<Finding> {
    vec![
        doctor::open_files(FILES_WANTED),
        doctor::port("local edge", 8443, "box proxy http PORT --https-port 9443"),
        low_ports(),
        authority(),
    ]
}

fn low_ports() -> Finding {
    let need = "ports 80, 443";
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first: u32 = first.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024);
    let capable = box_sys::credentials::permitted_capabilities()
        .is_ok_and(|permitted| permitted & (1 << BIND_SERVICE) != 0);
    if capable || first <= 80 {
        return Finding::good(need, "may be listened on");
    }
    Finding::worse(
        need,
        format!("ports below {first} are not for this user: an edge needs --listen-http 8080"),
        "sudo setcap cap_net_bind_service=+ep $(command -v box)",
    )
}

fn authority() -> Finding {
    let need = "local authority";
    match folders::data("proxy") {
        Ok(folder) => Finding::good(need, format!("kept in {}", folder.display())),
        Err(_) => Finding::missing(
            need,
            "neither HOME nor XDG_DATA_HOME is set: names and certificates cannot be kept",
            "export HOME=/root",
        ),
    }
}
