//! ARP and RARP (RFC 826, RFC 903).

use super::registry::ETHERTYPE_NAMES;
use super::{Buf, Ctx, Field, Sink, Step, put};
use crate::text::address::{Address, Ip4, Mac};
use crate::text::{Named, NamedHex, Names};

const HARDWARE: Names = &[
    (1, "Ethernet"),
    (6, "TokenRing"),
    (7, "ArcNet"),
    (15, "FrameRelay"),
    (23, "Strip"),
    (24, "IEEE 1394"),
    (19, "ATM"),
    (32, "InfiniBand"),
];

const OPERATIONS: Names = &[
    (1, "Request"),
    (2, "Reply"),
    (3, "Reverse Request"),
    (4, "Reverse Reply"),
    (8, "Inverse Request"),
    (9, "Inverse Reply"),
    (10, "NACK Reply"),
];

const IPV4: u16 = 0x0800;
const TRAILER: u16 = 0x1000;

/// The packet with its lengths applied.
struct Packet<'a> {
    buf: Buf<'a>,
    protocol: u16,
    hardware_len: usize,
    protocol_len: usize,
}

impl<'a> Packet<'a> {
    fn sender_hardware(&self) -> Step<&'a [u8]> {
        self.buf.bytes_at(8, self.hardware_len)
    }

    fn target_hardware(&self) -> Step<&'a [u8]> {
        self.buf.bytes_at(8 + self.hardware_len + self.protocol_len, self.hardware_len)
    }

    fn host<S: Sink>(&self, c: &mut Ctx<S>, at: usize) -> Step {
        if !matches!(self.protocol, IPV4 | TRAILER) {
            c.put("<wrong proto type>");
        } else if self.protocol_len != 4 {
            c.put("<wrong len>");
        } else {
            c.host4(self.buf, at)?;
        }
        Ok(())
    }

    fn sender<S: Sink>(&self, c: &mut Ctx<S>) -> Step {
        self.host(c, 8 + self.hardware_len)
    }

    fn target<S: Sink>(&self, c: &mut Ctx<S>) -> Step {
        self.host(c, 8 + 2 * self.hardware_len + self.protocol_len)
    }
}

/// Prints a packet of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("arp");
    buf.need(8)?;
    let hardware = u32::from(buf.be16_at(0)?);
    let packet = Packet {
        buf,
        protocol: buf.be16_at(2)?,
        hardware_len: buf.u8_at(4)?.into(),
        protocol_len: buf.u8_at(5)?.into(),
    };
    let operation = buf.be16_at(6)?;
    c.field(Field::ArpOperation, operation);
    buf.need(8 + 2 * (packet.hardware_len + packet.protocol_len))?;
    if S::FIELDS && packet.protocol == IPV4 && (packet.hardware_len, packet.protocol_len) == (6, 4)
    {
        c.field(Field::ArpSenderMac, packet.sender_hardware()?);
        c.field(Field::ArpSenderIp, Address::V4(Ip4(buf.array_at(14)?)));
        c.field(Field::ArpTargetMac, packet.target_hardware()?);
        c.field(Field::ArpTargetIp, Address::V4(Ip4(buf.array_at(24)?)));
    }
    if !c.options.link_header {
        c.put("ARP, ");
    }
    let ordinary = matches!(packet.protocol, IPV4 | TRAILER)
        && packet.protocol_len == 4
        && packet.hardware_len != 0;
    if !ordinary || c.verbose() {
        let protocol = packet.protocol.into();
        put!(c, Named(HARDWARE, hardware, "Unknown Hardware (", ")"));
        put!(c, " (len ", packet.hardware_len, "), ");
        put!(c, NamedHex(ETHERTYPE_NAMES, protocol, "Unknown Protocol (0x", 4, ")"));
        put!(c, " (len ", packet.protocol_len, ")");
        if !c.verbose() {
            put!(c, ", length ", len);
            return Ok(());
        }
        c.put(", ");
    }
    put!(c, Named(OPERATIONS, operation.into(), "Unknown (", ")"), " ");
    match operation {
        1 => {
            c.put("who-has ");
            packet.target(c)?;
            let target = packet.target_hardware()?;
            if target.iter().any(|byte| *byte != 0) {
                c.put(" (");
                linkaddr(c, target);
                c.put(")");
            }
            c.put(" tell ");
            packet.sender(c)?;
        }
        2 => {
            packet.sender(c)?;
            c.put(" is-at ");
            linkaddr(c, packet.sender_hardware()?);
        }
        3 | 8 => {
            c.put("who-is ");
            linkaddr(c, packet.target_hardware()?);
            c.put(" tell ");
            linkaddr(c, packet.sender_hardware()?);
        }
        4 => {
            linkaddr(c, packet.target_hardware()?);
            c.put(" at ");
            packet.target(c)?;
        }
        9 => {
            linkaddr(c, packet.sender_hardware()?);
            c.put(" at ");
            packet.sender(c)?;
        }
        _ => {
            c.default_print(buf);
            return Ok(());
        }
    }
    put!(c, ", length ", len);
    Ok(())
}

fn linkaddr<S: Sink>(c: &mut Ctx<S>, address: &[u8]) {
    match address.len() {
        0 => c.put("<empty>"),
        6 => c.mac(address),
        _ => put!(c, Mac(address)),
    }
}
