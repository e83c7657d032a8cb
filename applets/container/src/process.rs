//! Processes as state files name them: never by a bare pid, which may have come to mean another
//! one, but with the boot and the time at which they were started.

use std::fs;
use std::os::fd::OwnedFd;

use box_kit::Failure;
use box_sys::pidfd;
use serde::{Deserialize, Serialize};

/// A process, for all time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    pub pid: i32,
    /// Clock ticks from boot to its start.
    pub start_time: u64,
    /// The boot it belongs to.
    pub boot_id: String,
}

impl Identity {
    /// Of a process that is known to be there.
    pub fn of(pid: i32) -> Result<Identity, Failure> {
        let (start_time, _) =
            pidfd::start_time(pid).map_err(Failure::os(format!("process {pid}")))?;
        Ok(Identity { pid, start_time, boot_id: boot_id()? })
    }

    /// Of the calling process.
    pub fn own() -> Result<Identity, Failure> {
        Identity::of(std::process::id() as i32)
    }

    /// A handle, or `None` when the process has ended. The start time is compared after the handle
    /// is there, so what is compared is what the handle means.
    pub fn open(&self) -> Option<OwnedFd> {
        if self.pid == 0 || boot_id().is_ok_and(|boot| boot != self.boot_id) {
            return None;
        }
        let handle = pidfd::open(self.pid).ok()?;
        let (started, state) = pidfd::start_time(self.pid).ok()?;
        (started == self.start_time && state != 'Z' && state != 'X').then_some(handle)
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        self.open().is_some()
    }
}

/// The kernel's name of this boot.
pub fn boot_id() -> Result<String, Failure> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = fs::read_to_string(path).map_err(Failure::os(path))?;
    Ok(text.trim().to_owned())
}
