//! What a user without privileges needs to map ids: one id of their own they may map themselves;
//! ranges of `/etc/subuid` are mapped by `newuidmap` and `newgidmap`, which are setuid programs
//! (shadow's newuidmap(1)).

use std::fs;
use std::process::Command;

use box_kit::Failure;

use super::spec::IdMapping;
use crate::launch::id_map_text;

/// Writes the maps of the user namespace of process `pid`.
pub fn write_maps(pid: i32, uids: &[IdMapping], gids: &[IdMapping]) -> Result<(), Failure> {
    let (uid, gid) = box_sys::process::ids();
    if is_own(uids, uid) && is_own(gids, gid) {
        let file = format!("/proc/{pid}/setgroups");
        fs::write(&file, "deny").map_err(Failure::os(file))?;
        for (name, maps) in [("uid_map", uids), ("gid_map", gids)] {
            let file = format!("/proc/{pid}/{name}");
            fs::write(&file, id_map_text(maps)).map_err(Failure::os(file))?;
        }
        return Ok(());
    }
    call("newuidmap", "/etc/subuid", pid, uids)?;
    call("newgidmap", "/etc/subgid", pid, gids)
}

/// Whether the user may write this map without help.
fn is_own(maps: &[IdMapping], id: u32) -> bool {
    matches!(maps, [map] if map.size == 1 && map.host_id == id)
}

fn call(program: &str, ranges: &str, pid: i32, maps: &[IdMapping]) -> Result<(), Failure> {
    let numbers = maps.iter().flat_map(|map| [map.container_id, map.host_id, map.size]);
    let mut command = Command::new(program);
    command.arg(pid.to_string()).args(numbers.map(|number| number.to_string()));
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let reason = "is needed to map more than one id (Debian's uidmap), and is not there";
            return Err(Failure::new(reason).about(program));
        }
        output => output.map_err(Failure::os(program))?,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = format!("{} (the ranges are in {ranges})", said.trim());
    Err(Failure::new(reason).about(program))
}
