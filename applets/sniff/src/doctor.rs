//! What capture needs of the machine. Files are read without any of it.

use std::fs;

use box_kit::doctor::Finding;
use box_kit::exit::kernel_words;
use box_sys::packet::{Level, PacketSocket};

/// The lines of `box doctor`.
pub fn needs() -> Vec<Finding> {
    vec![packet_socket(), kernel_compiler()]
}

fn packet_socket() -> Finding {
    let need = "packet socket";
    match PacketSocket::open(Level::Raw) {
        Ok(_) => Finding::good(need, "may be opened"),
        Err(error) => Finding::missing(
            need,
            format!("{}: nothing can be captured; files can be read", kernel_words(&error)),
            "sudo setcap cap_net_raw,cap_net_admin=+ep $(command -v box)",
        ),
    }
}

fn kernel_compiler() -> Finding {
    let need = "filter compiler";
    match fs::read_to_string("/proc/sys/net/core/bpf_jit_enable") {
        Ok(text) if text.trim() == "0" => Finding::worse(
            need,
            "the kernel interprets filters: they cost more",
            "sudo sysctl net.core.bpf_jit_enable=1",
        ),
        // A kernel that always compiles has no such switch, and only root may read it.
        _ => Finding::good(need, "not switched off"),
    }
}
