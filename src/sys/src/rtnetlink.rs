//! Links, addresses and routes (rtnetlink(7)). Nothing here allocates: it is used between clone and
//! exec, too.

use std::io;
use std::net::Ipv4Addr;

use crate::netlink::{ACK, CREATE, EXCLUSIVE, Message, REQUEST, Socket, word};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;

const LINK_NAME: u16 = 3;
const LINK_MASTER: u16 = 10;
const LINK_INFO: u16 = 18;
const LINK_INFO_KIND: u16 = 1;
const LINK_INFO_DATA: u16 = 2;
const LINK_NAMESPACE_PID: u16 = 19;
const VETH_PEER: u16 = 1;

const NETLINK_ROUTE: i32 = 0;

/// Opens a socket for the calls of this module.
///
/// # Errors
/// The kernel's refusal.
pub fn open() -> io::Result<Socket> {
    Socket::open(NETLINK_ROUTE)
}

/// `struct ifinfomsg`.
fn link_header(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

/// The index of the link of this name.
///
/// # Errors
/// `ENODEV` when there is none.
pub fn link_index(socket: &Socket, name: &str) -> io::Result<u32> {
    let mut message = Message::new(GET_LINK, REQUEST | ACK, 1);
    message.raw(&link_header(0, 0, 0)).text(LINK_NAME, name);
    let mut index = 0;
    socket.send(message.bytes())?;
    socket.await_ack(1, |kind, body| {
        if kind == NEW_LINK {
            index = word(body, 4);
        }
    })?;
    if index == 0 { Err(io::Error::from_raw_os_error(libc::ENODEV)) } else { Ok(index) }
}

/// Makes a bridge.
///
/// # Errors
/// `EEXIST`, or the kernel's refusal.
pub fn add_bridge(socket: &Socket, name: &str) -> io::Result<()> {
    let mut message = Message::new(NEW_LINK, REQUEST | ACK | CREATE | EXCLUSIVE, 1);
    message.raw(&link_header(0, 0, 0)).text(LINK_NAME, name);
    let info = message.begin(LINK_INFO);
    message.text(LINK_INFO_KIND, "bridge");
    message.end(info);
    socket.request(&mut message)
}

/// Makes a pair of linked devices: `name`, a port of the bridge `master`, here and up; and
/// `peer_name` in the network namespace of process `peer_pid`.
///
/// # Errors
/// `EEXIST` (for some time after a namespace has gone, its devices are still there), or the
/// kernel's refusal.
pub fn add_veth(
    socket: &Socket,
    name: &str,
    master: u32,
    peer_name: &str,
    peer_pid: u32,
) -> io::Result<()> {
    let mut message = Message::new(NEW_LINK, REQUEST | ACK | CREATE | EXCLUSIVE, 1);
    message.raw(&link_header(0, libc::IFF_UP as u32, libc::IFF_UP as u32));
    message.text(LINK_NAME, name).number(LINK_MASTER, master);
    let info = message.begin(LINK_INFO);
    message.text(LINK_INFO_KIND, "veth");
    let data = message.begin(LINK_INFO_DATA);
    let peer = message.begin(VETH_PEER);
    message.raw(&link_header(0, 0, 0)).text(LINK_NAME, peer_name);
    message.number(LINK_NAMESPACE_PID, peer_pid);
    message.end(peer);
    message.end(data);
    message.end(info);
    socket.request(&mut message)
}

/// Removes a link.
///
/// # Errors
/// `ENODEV`, or the kernel's refusal.
pub fn delete_link(socket: &Socket, name: &str) -> io::Result<()> {
    let mut message = Message::new(DELETE_LINK, REQUEST | ACK, 1);
    message.raw(&link_header(0, 0, 0)).text(LINK_NAME, name);
    socket.request(&mut message)
}

/// Turns a link on.
///
/// # Errors
/// The kernel's refusal.
pub fn set_up(socket: &Socket, index: u32) -> io::Result<()> {
    let mut message = Message::new(NEW_LINK, REQUEST | ACK, 1);
    message.raw(&link_header(index, libc::IFF_UP as u32, libc::IFF_UP as u32));
    socket.request(&mut message)
}

/// Gives a link an address in a network of this prefix length.
///
/// # Errors
/// `EEXIST` when it has it, or the kernel's refusal.
pub fn add_address(socket: &Socket, index: u32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    let mut message = Message::new(NEW_ADDRESS, REQUEST | ACK | CREATE | EXCLUSIVE, 1);
    let [a, b, c, d] = index.to_ne_bytes();
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    message.raw(&[libc::AF_INET as u8, prefix, 0, 0, a, b, c, d]);
    message.attribute(2, &address.octets()).attribute(1, &address.octets());
    let mask = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    let broadcast = Ipv4Addr::from(u32::from(address) | mask);
    message.attribute(4, &broadcast.octets());
    socket.request(&mut message)
}

/// Sends what has no route of its own to `gateway`.
///
/// # Errors
/// `EEXIST`, `ENETUNREACH`, or the kernel's refusal.
pub fn add_default_route(socket: &Socket, gateway: Ipv4Addr) -> io::Result<()> {
    let mut message = Message::new(NEW_ROUTE, REQUEST | ACK | CREATE | EXCLUSIVE, 1);
    // struct rtmsg: family, lengths, tos, table main, protocol boot, scope universe, unicast, flags.
    message.raw(&[libc::AF_INET as u8, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]);
    message.attribute(5, &gateway.octets());
    socket.request(&mut message)
}
