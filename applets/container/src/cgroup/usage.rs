//! What a group uses, read from the files of either version.

use std::collections::BTreeMap;
use std::path::Path;

use super::Group;

/// What a group has used, and how much it may.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    pub cpu_ns: u64,
    pub cpu_user_ns: u64,
    pub cpu_system_ns: u64,
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_ns: u64,
    pub memory: u64,
    pub memory_max: u64,
    /// `None` for no limit.
    pub memory_limit: Option<u64>,
    /// Of `memory`, what the kernel can take back: pages of files.
    pub cache: u64,
    /// Of `cache`, what has not been used of late.
    pub inactive_file: u64,
    /// `memory.stat`.
    pub memory_detail: BTreeMap<String, u64>,
    pub pids: u64,
    pub pids_limit: Option<u64>,
    /// Major, minor, operation, bytes.
    pub block_bytes: Vec<(u32, u32, String, u64)>,
    pub block_operations: Vec<(u32, u32, String, u64)>,
}

/// What version 1 shows for "no limit", a page less than 2^63.
const V1_UNLIMITED: u64 = 1 << 62;

fn text(directory: &Path, file: &str) -> String {
    box_sys::at::read_file(&directory.join(file)).unwrap_or_default()
}

fn number(directory: &Path, file: &str) -> Option<u64> {
    text(directory, file).trim().parse().ok()
}

/// Lines of a name and a number.
fn table(directory: &Path, file: &str) -> BTreeMap<String, u64> {
    let text = text(directory, file);
    let row = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}

impl Group {
    /// What the group uses now; what cannot be read counts as nothing.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        self.cpu(&mut usage);
        self.memory(&mut usage);
        if let Some(directory) = self.v1_of("pids").or(self.v2.as_deref()) {
            usage.pids = number(directory, "pids.current").unwrap_or(0);
            usage.pids_limit = number(directory, "pids.max");
        }
        self.block(&mut usage);
        usage
    }

    fn cpu(&self, usage: &mut Usage) {
        if let Some(directory) = self.v1_of("cpuacct") {
            usage.cpu_ns = number(directory, "cpuacct.usage").unwrap_or(0);
            usage.cpu_user_ns = number(directory, "cpuacct.usage_user").unwrap_or(0);
            usage.cpu_system_ns = number(directory, "cpuacct.usage_sys").unwrap_or(0);
        }
        let Some(directory) = self.v1_of("cpu").or(self.v2.as_deref()) else { return };
        let stat = table(directory, "cpu.stat");
        let field = |name: &str| stat.get(name).copied().unwrap_or(0);
        usage.periods = field("nr_periods");
        usage.throttled_periods = field("nr_throttled");
        usage.throttled_ns = field("throttled_time").max(field("throttled_usec") * 1000);
        if self.v1_of("cpuacct").is_none() {
            usage.cpu_ns = field("usage_usec") * 1000;
            usage.cpu_user_ns = field("user_usec") * 1000;
            usage.cpu_system_ns = field("system_usec") * 1000;
        }
    }

    fn memory(&self, usage: &mut Usage) {
        if let Some(directory) = self.v1_of("memory") {
            usage.memory = number(directory, "memory.usage_in_bytes").unwrap_or(0);
            usage.memory_max = number(directory, "memory.max_usage_in_bytes").unwrap_or(0);
            let limit = number(directory, "memory.limit_in_bytes");
            usage.memory_limit = limit.filter(|limit| *limit < V1_UNLIMITED);
            usage.memory_detail = table(directory, "memory.stat");
            let field = |name: &str| usage.memory_detail.get(name).copied().unwrap_or(0);
            (usage.cache, usage.inactive_file) =
                (field("total_cache"), field("total_inactive_file"));
        } else if let Some(directory) = &self.v2 {
            usage.memory = number(directory, "memory.current").unwrap_or(0);
            usage.memory_max = number(directory, "memory.peak").unwrap_or(0);
            usage.memory_limit = number(directory, "memory.max");
            usage.memory_detail = table(directory, "memory.stat");
            let field = |name: &str| usage.memory_detail.get(name).copied().unwrap_or(0);
            (usage.cache, usage.inactive_file) = (field("file"), field("inactive_file"));
        }
    }

    fn block(&self, usage: &mut Usage) {
        if let Some(directory) = self.v1_of("blkio") {
            let rows = |file: &str| {
                let text = text(directory, file);
                text.lines().filter_map(v1_block_row).collect()
            };
            usage.block_bytes = rows("blkio.throttle.io_service_bytes_recursive");
            usage.block_operations = rows("blkio.throttle.io_serviced_recursive");
        } else if let Some(directory) = &self.v2 {
            for line in text(directory, "io.stat").lines() {
                let mut words = line.split(' ');
                let Some((major, minor)) = words.next().and_then(device) else { continue };
                for (key, value) in words.filter_map(|word| word.split_once('=')) {
                    let value = value.parse().unwrap_or(0);
                    let (list, operation) = match key {
                        "rbytes" => (&mut usage.block_bytes, "Read"),
                        "wbytes" => (&mut usage.block_bytes, "Write"),
                        "rios" => (&mut usage.block_operations, "Read"),
                        "wios" => (&mut usage.block_operations, "Write"),
                        _ => continue,
                    };
                    list.push((major, minor, operation.to_owned(), value));
                }
            }
        }
    }
}

fn device(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// `8:0 Read 4096`.
fn v1_block_row(line: &str) -> Option<(u32, u32, String, u64)> {
    let mut words = line.split(' ');
    let (major, minor) = device(words.next()?)?;
    let operation = words.next()?.to_owned();
    Some((major, minor, operation, words.next()?.parse().ok()?))
}
