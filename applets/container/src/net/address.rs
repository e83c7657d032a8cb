//! Which container has which address: a file of leases under a lock.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::net::Ipv4Addr;
use std::path::Path;

use box_kit::Failure;
use serde::{Deserialize, Serialize};

use super::{GATEWAY, NETWORK, PREFIX, Port};
use crate::process::Identity;

/// Address to lease.
type Leases = BTreeMap<Ipv4Addr, Lease>;

#[derive(Debug, Serialize, Deserialize)]
struct Lease {
    container: String,
    #[serde(default)]
    ports: Vec<Port>,
    /// The container's monitor: a lease whose holder is gone is free.
    holder: Identity,
}

/// Leases the lowest free address to a container, held by the calling process, and the ports of the
/// machine that it publishes: whoever has the lease owns what the table says of them.
pub fn lease(file: &Path, container: &str, ports: &[Port]) -> Result<Ipv4Addr, Failure> {
    let holder = Identity::own()?;
    change(file, |leases| {
        leases.retain(|_, lease| lease.holder.is_alive());
        let taken = |port: &&Port| {
            leases.values().any(|lease| lease.ports.iter().any(|known| known.conflicts(port)))
        };
        if let Some(port) = ports.iter().find(taken) {
            return Err(Failure::new("port is already allocated")
                .about(format!("{}:{}", port.host_address, port.host_port)));
        }
        let first = u32::from(NETWORK) + 2;
        let last = u32::from(NETWORK) | (u32::MAX >> PREFIX);
        let free = (first..last).map(Ipv4Addr::from);
        let mut free = free.filter(|address| *address != GATEWAY && !leases.contains_key(address));
        let address =
            free.next().ok_or_else(|| Failure::new("no address is free").about("box0"))?;
        let lease = Lease {
            container: container.to_owned(),
            ports: ports.to_vec(),
            holder: holder.clone(),
        };
        leases.insert(address, lease);
        Ok(address)
    })
}

/// Gives the container's address back.
pub fn release(file: &Path, container: &str) -> Result<(), Failure> {
    change(file, |leases| {
        leases.retain(|_, lease| lease.container != container);
        Ok(())
    })
}

fn change<T>(
    path: &Path,
    with: impl FnOnce(&mut Leases) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let about = path.display().to_string();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file: File = options.open(path).map_err(Failure::os(&about))?;
    box_sys::at::lock(&file, true).map_err(Failure::os(&about))?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(Failure::os(&about))?;
    // A file cut short by a crash: its leases are those of containers that are gone with it.
    let mut leases: Leases = serde_json::from_str(&text).unwrap_or_default();
    let outcome = with(&mut leases)?;
    let text = serde_json::to_string(&leases).map_err(Failure::new)?;
    file.rewind().map_err(Failure::os(&about))?;
    file.write_all(text.as_bytes()).map_err(Failure::os(&about))?;
    file.set_len(text.len() as u64).map_err(Failure::os(&about))?;
    Ok(outcome)
}
