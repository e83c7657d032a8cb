//! Listening sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use box_kit::Failure;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;
/// How many ports after a busy one are tried.
const NEXT_PORTS: u16 = 50;

/// A listener; with `shared`, one of several on the same address among which the kernel chooses.
///
/// # Errors
/// The kernel's.
pub fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A listener for each of `count` cores. With more than one, a first socket that is not shared
/// finds out whether the address is somebody else's: shared ones would quietly join.
///
/// # Errors
/// The kernel's, about the address.
pub fn bind_each(address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, Failure> {
    let failed = |error| Failure::os(address)(error);
    if count == 1 {
        return Ok(vec![bind(address, false).map_err(failed)?]);
    }
    let probe = bind(address, false).map_err(failed)?;
    let address = probe.local_addr().map_err(failed)?;
    drop(probe);
    (0..count).map(|_| bind(address, true).map_err(failed)).collect()
}

/// A listener on `address`, or on the next port that is free.
///
/// # Errors
/// None of them is free, or another error than that.
pub fn bind_next(address: SocketAddr) -> Result<TcpListener, Failure> {
    let mut candidate = address;
    loop {
        match bind(candidate, false) {
            Ok(listener) => return Ok(listener),
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && candidate.port() < address.port().saturating_add(NEXT_PORTS) =>
            {
                candidate.set_port(candidate.port() + 1);
            }
            Err(error) => return Err(Failure::os(candidate)(error)),
        }
    }
}

/// An address to listen on: `127.0.0.1:80`, `[::]:80`, `:80` or `80`.
///
/// # Errors
/// It is none of them.
pub fn address(text: &str) -> Result<SocketAddr, Failure> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    }
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok());
    if let Some(port) = local {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| Failure::misuse("not an address and port").about(text))
}
