//! Names with fixed answers, so that no test depends on the host's tables.

use box_sniff::filter::{Names, Transport};
use std::net::IpAddr;

/// A host with one address of each version, a network, a gateway.
pub struct Fixed;

impl Names for Fixed {
    fn host(&self, name: &str) -> Vec<IpAddr> {
        match name {
            "both.example" => {
                vec!["2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap()]
            }
            "gw.example" => vec!["192.0.2.254".parse().unwrap()],
            _ => Vec::new(),
        }
    }

    fn network(&self, name: &str) -> Option<u32> {
        (name == "loopback").then_some(127)
    }

    fn service(&self, name: &str, transport: Transport) -> Option<u16> {
        (name == "sctp-only" && transport == Transport::Sctp).then_some(5000)
    }

    fn protocol(&self, _: &str) -> Option<u8> {
        None
    }

    fn ether(&self, name: &str) -> Option<[u8; 6]> {
        (name == "gw.example").then_some([2, 0, 0, 0, 0, 0xfe])
    }
}
