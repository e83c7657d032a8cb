//! The container configuration of the OCI runtime specification 1.3.0 (config.md, config-linux.md),
//! as far as it takes effect here. Unknown fields are passed over, as the specification asks.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

/// The version of the specification that is followed.
pub const VERSION: &str = "1.3.0";
/// The version that `spec` writes: runtimes of some years ago refuse what they have not heard of,
/// and nothing that is written needs a later one.
pub const WRITTEN_VERSION: &str = "1.0.2";

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

macro_rules! record {
    ($(#[$meta:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct $name { $($(#[$attr])* #[serde(skip_serializing_if = "is_default")] pub $field: $type,)* }
    };
}

record! {
    /// `config.json`.
    Spec {
        oci_version: String,
        process: Option<Process>,
        root: Option<Root>,
        hostname: String,
        domainname: String,
        mounts: Vec<Mount>,
        hooks: Hooks,
        annotations: BTreeMap<String, String>,
        linux: Linux,
    }
}

record! {
    /// `process`.
    Process {
        terminal: bool,
        console_size: Option<ConsoleSize>,
        user: User,
        args: Vec<String>,
        env: Vec<String>,
        cwd: String,
        capabilities: Option<CapabilityNames>,
        rlimits: Vec<Limit>,
        no_new_privileges: bool,
        oom_score_adj: Option<i32>,
        scheduler: Option<Scheduler>,
        #[serde(rename = "ioPriority")]
        io_priority: Option<IoPriority>,
        #[serde(rename = "execCPUAffinity")]
        exec_cpu_affinity: Option<Affinity>,
    }
}

record! {
    /// Lists of processors: at the start of the process, and once it is in its groups.
    Affinity { initial: String, #[serde(rename = "final")] last: String, }
}
record! { ConsoleSize { height: u16, width: u16, } }
record! { User { uid: u32, gid: u32, umask: Option<u32>, additional_gids: Vec<u32>, } }
record! {
    CapabilityNames {
        bounding: Vec<String>,
        effective: Vec<String>,
        inheritable: Vec<String>,
        permitted: Vec<String>,
        ambient: Vec<String>,
    }
}
record! { Limit { #[serde(rename = "type")] kind: String, soft: u64, hard: u64, } }
record! {
    Scheduler {
        policy: String,
        nice: i32,
        priority: u32,
        flags: Vec<String>,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
}
record! { IoPriority { class: String, priority: u32, } }
record! { Root { path: String, readonly: bool, } }

/// An entry of `mounts`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mount {
    pub destination: String,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
    /// The tree itself, where the engine has opened it already.
    #[serde(skip)]
    pub tree: Option<std::sync::Arc<OwnedFd>>,
}

impl PartialEq for Mount {
    fn eq(&self, other: &Mount) -> bool {
        let key = |mount: &Mount| {
            let Mount { destination, kind, source, options, .. } = mount;
            (destination.clone(), kind.clone(), source.clone(), options.clone())
        };
        key(self) == key(other)
    }
}

record! {
    Hooks {
        prestart: Vec<Hook>,
        create_runtime: Vec<Hook>,
        create_container: Vec<Hook>,
        start_container: Vec<Hook>,
        poststart: Vec<Hook>,
        poststop: Vec<Hook>,
    }
}
record! { Hook { path: String, args: Vec<String>, env: Vec<String>, timeout: Option<u64>, } }

record! {
    /// `linux`.
    Linux {
        namespaces: Vec<NamespaceEntry>,
        uid_mappings: Vec<IdMapping>,
        gid_mappings: Vec<IdMapping>,
        devices: Vec<Device>,
        cgroups_path: String,
        resources: Resources,
        rootfs_propagation: String,
        seccomp: Option<Seccomp>,
        sysctl: BTreeMap<String, String>,
        time_offsets: BTreeMap<String, TimeOffset>,
        masked_paths: Vec<String>,
        readonly_paths: Vec<String>,
        personality: Option<Personality>,
    }
}
record! { NamespaceEntry { #[serde(rename = "type")] kind: String, path: String, } }
record! { IdMapping { #[serde(rename = "containerID")] container_id: u32, #[serde(rename = "hostID")] host_id: u32, size: u32, } }
record! {
    Device {
        #[serde(rename = "type")]
        kind: String,
        path: String,
        major: u32,
        minor: u32,
        file_mode: Option<u32>,
        uid: u32,
        gid: u32,
    }
}
record! { TimeOffset { secs: i64, nanosecs: u32, } }
record! { Personality { domain: String, } }
record! {
    Seccomp {
        default_action: String,
        default_errno_ret: Option<u16>,
        architectures: Vec<String>,
        flags: Vec<String>,
        syscalls: Vec<SeccompRule>,
    }
}
record! { SeccompRule { names: Vec<String>, action: String, errno_ret: Option<u16>, args: Vec<SeccompArgument>, } }
record! { SeccompArgument { index: u32, value: u64, value_two: u64, op: String, } }

record! {
    /// `linux.resources`.
    Resources {
        devices: Vec<DeviceRule>,
        memory: MemoryLimits,
        cpu: CpuLimits,
        pids: PidsLimit,
        #[serde(rename = "blockIO")]
        block_io: BlockIo,
        hugepage_limits: Vec<HugepageLimit>,
        network: NetworkClass,
        unified: BTreeMap<String, String>,
    }
}
record! {
    DeviceRule {
        allow: bool,
        #[serde(rename = "type")]
        kind: String,
        major: Option<i64>,
        minor: Option<i64>,
        access: String,
    }
}
record! {
    MemoryLimits {
        limit: Option<i64>,
        reservation: Option<i64>,
        swap: Option<i64>,
        swappiness: Option<u64>,
        #[serde(rename = "disableOOMKiller")]
        disable_oom_killer: bool,
        /// Refuse a limit below what is in use.
        check_before_update: bool,
    }
}
record! {
    CpuLimits {
        shares: Option<u64>,
        quota: Option<i64>,
        period: Option<u64>,
        burst: Option<u64>,
        realtime_runtime: Option<i64>,
        realtime_period: Option<u64>,
        idle: Option<i64>,
        cpus: String,
        mems: String,
    }
}
record! { PidsLimit { limit: Option<i64>, } }
record! {
    BlockIo {
        weight: Option<u16>,
        leaf_weight: Option<u16>,
        weight_device: Vec<WeightDevice>,
        throttle_read_bps_device: Vec<ThrottleDevice>,
        throttle_write_bps_device: Vec<ThrottleDevice>,
        #[serde(rename = "throttleReadIOPSDevice")]
        throttle_read_iops_device: Vec<ThrottleDevice>,
        #[serde(rename = "throttleWriteIOPSDevice")]
        throttle_write_iops_device: Vec<ThrottleDevice>,
    }
}
record! { WeightDevice { major: u32, minor: u32, weight: Option<u16>, } }
record! { ThrottleDevice { major: u32, minor: u32, rate: u64, } }
record! { HugepageLimit { page_size: String, limit: u64, } }
record! { NetworkClass { #[serde(rename = "classID")] class_id: Option<u32>, priorities: Vec<InterfacePriority>, } }
record! { InterfacePriority { name: String, priority: u32, } }
