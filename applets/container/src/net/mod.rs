//! Networks of containers: the bridge `box0`, addresses on it, NAT and published ports. All of it
//! through netlink: no program is called.
//!
//! ```text
//!   host                                             container (network namespace)
//!   box0 10.87.0.1/16 ── bxv-ID (port of box0) ═══veth═══ eth0 10.87.x.y/16, route via 10.87.0.1
//!   table ip box: prerouting/output  dnat by map (address, protocol, port) -> (address, port)
//!                 postrouting        masquerade what leaves for elsewhere, hairpins, loopback
//!                 raw                drop 127/8 from box0 (route_localnet would let it in)
//! ```
//!
//! A published port is one element of a map, so its cost does not grow with their number and its
//! removal is one element's. The table is `box`'s own: no other program's rules are touched.

mod address;
mod publish;

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use box_kit::Failure;
use box_sys::netlink::Socket;
use box_sys::rtnetlink as link;
use serde::{Deserialize, Serialize};

pub use publish::{Port, choose_host_ports, parse_ports};

/// The bridge.
const BRIDGE: &str = "box0";
/// Its network.
const NETWORK: Ipv4Addr = Ipv4Addr::new(10, 87, 0, 0);
const PREFIX: u8 = 16;
/// The bridge's own address, the containers' way out.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 87, 0, 1);
/// The device's name in the container.
const INSIDE: &str = "eth0";

/// What the container's first process does to its own network namespace.
#[derive(Clone, Copy, Debug, Default)]
pub struct InsideConfig {
    /// Address and gateway of `eth0`; without them there is the loopback alone.
    pub address: Option<(Ipv4Addr, Ipv4Addr)>,
}

impl InsideConfig {
    /// Brings the devices up. Allocates nothing.
    pub fn apply(&self) -> io::Result<()> {
        let socket = link::open()?;
        link::set_up(&socket, 1)?;
        if let Some((address, gateway)) = self.address {
            let index = link::link_index(&socket, INSIDE)?;
            link::add_address(&socket, index, address, PREFIX)?;
            link::set_up(&socket, index)?;
            link::add_default_route(&socket, gateway)?;
        }
        Ok(())
    }
}

/// A container's place on the bridge, as its state keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// `10.87.0.2`.
    pub address: Ipv4Addr,
    /// `10.87.0.1`.
    pub gateway: Ipv4Addr,
    /// Prefix length of the network.
    pub prefix: u8,
    /// The machine's end of the pair.
    pub device: String,
    /// Published ports.
    pub ports: Vec<Port>,
}

impl Attachment {
    /// What the container has to do.
    pub fn inside(&self) -> InsideConfig {
        InsideConfig { address: Some((self.address, self.gateway)) }
    }
}

/// Leases an address to container `id`, and makes the bridge where it is not there yet.
pub fn reserve(id: &str, ports: Vec<Port>) -> Result<Attachment, Failure> {
    let socket = link::open().map_err(Failure::os("netlink"))?;
    ensure_bridge(&socket)?;
    let address = address::lease(&leases_file()?, id, &ports)?;
    let device = format!("bxv{}", id.get(..10).unwrap_or(id));
    Ok(Attachment { address, gateway: GATEWAY, prefix: PREFIX, device, ports })
}

/// Connects the network namespace of process `pid` to the bridge and publishes its ports.
pub fn connect(attachment: &Attachment, pid: i32) -> Result<(), Failure> {
    let socket = link::open().map_err(Failure::os("netlink"))?;
    let bridge = link::link_index(&socket, BRIDGE).map_err(Failure::os(BRIDGE))?;
    let device = &attachment.device;
    let peer = pid as u32;
    link::add_veth(&socket, device, bridge, INSIDE, peer).map_err(Failure::os(device))?;
    publish::publish(attachment.address, &attachment.ports)
}

/// Takes all of it back. What is gone already is no failure.
pub fn disconnect(attachment: &Attachment, id: &str) -> Result<(), Failure> {
    publish::withdraw(&attachment.ports);
    if let Ok(socket) = link::open() {
        // The device goes with the container's namespace, too: whichever comes first.
        let _ = link::delete_link(&socket, &attachment.device);
    }
    address::release(&leases_file()?, id)
}

/// Makes bridge, address, forwarding and the table, each unless it is there.
fn ensure_bridge(socket: &Socket) -> Result<(), Failure> {
    if link::link_index(socket, BRIDGE).is_err() {
        tolerate_existing(link::add_bridge(socket, BRIDGE)).map_err(Failure::os(BRIDGE))?;
    }
    let index = link::link_index(socket, BRIDGE).map_err(Failure::os(BRIDGE))?;
    tolerate_existing(link::add_address(socket, index, GATEWAY, PREFIX))
        .map_err(Failure::os(BRIDGE))?;
    link::set_up(socket, index).map_err(Failure::os(BRIDGE))?;
    set_sysctl("net/ipv4/ip_forward")?;
    set_sysctl(&format!("net/ipv4/conf/{BRIDGE}/route_localnet"))?;
    publish::ensure_table(BRIDGE, NETWORK, PREFIX)
}

fn tolerate_existing(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        outcome => outcome,
    }
}

/// Turns a switch on, unless it is.
fn set_sysctl(name: &str) -> Result<(), Failure> {
    let path = Path::new("/proc/sys").join(name);
    if fs::read(&path).is_ok_and(|value| value.starts_with(b"1")) {
        return Ok(());
    }
    fs::write(&path, "1").map_err(Failure::os(path.display()))
}

/// The leases of this network namespace's bridge: they are the machine's, whichever folder the
/// containers are kept in.
fn leases_file() -> Result<PathBuf, Failure> {
    let path = c"/proc/self/ns/net";
    let namespace = box_sys::at::status_followed(path).map_err(Failure::os("/proc/self/ns/net"))?;
    let folder = box_kit::folders::runtime("container")?.join("networks");
    fs::create_dir_all(&folder).map_err(Failure::os(folder.display()))?;
    Ok(folder.join(format!("{BRIDGE}-{}.json", namespace.ino)))
}
