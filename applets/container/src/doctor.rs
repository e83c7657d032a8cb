//! What containers need of the machine's kernel.

use std::fs;
use std::path::Path;

use box_kit::doctor::Finding;
use box_kit::exit::kernel_words;

use crate::cgroup::Hierarchies;

/// CAP_SYS_ADMIN.
const SYS_ADMIN: u32 = 21;

/// The lines of `box doctor`.
pub fn needs() -> Vec<Finding> {
    vec![namespaces(), overlay(), groups(), firewall(), seccomp()]
}

fn namespaces() -> Finding {
    let need = "namespaces";
    let permitted = box_sys::credentials::permitted_capabilities().unwrap_or(0);
    if permitted & (1 << SYS_ADMIN) != 0 {
        return Finding::good(need, "may be made");
    }
    let most = fs::read_to_string("/proc/sys/user/max_user_namespaces");
    match most.ok().and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(most) if most > 0 => Finding::worse(
            need,
            "not root: only `box container oci` with a user namespace of its own",
            "sudo box container run ...",
        ),
        _ => Finding::missing(
            need,
            "not root, and user namespaces are switched off",
            "sudo sysctl user.max_user_namespaces=15000",
        ),
    }
}

fn overlay() -> Finding {
    let need = "overlayfs";
    let known = fs::read_to_string("/proc/filesystems");
    if known.is_ok_and(|text| text.lines().any(|line| line.ends_with("\toverlay"))) {
        return Finding::good(need, "known to the kernel");
    }
    Finding::missing(need, "images cannot be mounted", "sudo modprobe overlay")
}

fn groups() -> Finding {
    let need = "control groups";
    let Ok(found) = Hierarchies::detect() else {
        return Finding::worse(need, "no mounts to be seen: no limits", "mount /proc");
    };
    let unified = found.v2.as_deref().map(controllers).unwrap_or_default();
    let has = |name: &str| {
        unified.split_whitespace().any(|known| known == name)
            || found.v1.iter().any(|(known, _)| known.iter().any(|known| known == name))
    };
    let absent: Vec<&str> =
        ["memory", "pids", "cpu"].into_iter().filter(|name| !has(name)).collect();
    let version = match (found.v1.is_empty(), &found.v2) {
        (true, Some(_)) => "version 2",
        (false, Some(_)) => "version 1 with 2 beside it",
        (false, None) => "version 1",
        (true, None) => "none",
    };
    if absent.is_empty() {
        return Finding::good(need, version);
    }
    let detail = format!("{version}; no limits of {}", absent.join(", "));
    Finding::worse(need, detail, "mount -t cgroup2 none /sys/fs/cgroup")
}

fn controllers(mount: &Path) -> String {
    fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default()
}

fn firewall() -> Finding {
    let need = "nf_tables";
    match box_sys::nftables::has_table("box") {
        Ok(_) => Finding::good(need, "answers"),
        Err(error) => Finding::worse(
            need,
            format!("{}: no bridge network with NAT", kernel_words(&error)),
            "sudo modprobe nf_tables nft_chain_nat, or --network host",
        ),
    }
}

fn seccomp() -> Finding {
    let need = "seccomp";
    match fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail") {
        Ok(_) => Finding::good(need, "filters can be loaded"),
        Err(_) => Finding::worse(
            need,
            "the kernel has no filters: containers need --security-opt seccomp=unconfined",
            "a kernel with CONFIG_SECCOMP_FILTER",
        ),
    }
}
