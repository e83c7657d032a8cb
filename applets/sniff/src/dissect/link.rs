//! The outermost layer of a packet, by the link type of the capture.

use box_wire::link::LinkType;

use super::ether::{self, Link};
use super::registry::{ETHERTYPE_NAMES, Registry};
use super::{Buf, Ctx, Sink, Step, ip, ip6, llc, put};
use crate::text::{HexN, Names, name_or};

const PACKET_TYPES: Names = &[(0, "In"), (1, "B"), (2, "M"), (3, "P"), (4, "Out")];

/// Address families of BSD systems; IPv6 differs from one to the other.
const FAMILIES: Names = &[
    (2, "IPv4"),
    (7, "ISO"),
    (16, "Appletalk"),
    (23, "IPX"),
    (24, "IPv6"),
    (28, "IPv6"),
    (30, "IPv6"),
];

/// Prints a packet of a capture.
pub fn print<S: Sink>(c: &mut Ctx<S>, link: LinkType, buf: Buf<'_>, len: usize) -> Step {
    match link {
        LinkType::ETHERNET => {
            let header_len = ether::print(c, buf, len)?;
            c.link_header_len = header_len;
            Ok(())
        }
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => raw(c, buf, len),
        LinkType::NULL | LinkType::LOOP => null(c, link == LinkType::LOOP, buf, len),
        LinkType::LINUX_SLL => sll(c, buf, len),
        LinkType::LINUX_SLL2 => sll2(c, buf, len),
        _ => match Registry::<S>::link_type(link.0) {
            Some(dissector) => dissector(c, buf, len, &Link::NONE),
            None => {
                c.put("UNSUPPORTED");
                c.default_print(buf);
                Ok(())
            }
        },
    }
}

fn raw<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("raw");
    if c.options.link_header {
        c.put("ip: ");
    }
    ip_of_any_version(c, buf, len)
}

/// IPv4 or IPv6, by the version in the first byte.
pub fn ip_of_any_version<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("ipn");
    if len < 1 {
        put!(c, "truncated-ip ", len);
        return Ok(());
    }
    match buf.u8_at(0)? >> 4 {
        4 => ip::print(c, buf, len),
        6 => ip6::print(c, buf, len),
        version => {
            put!(c, "unknown ip ", version);
            Ok(())
        }
    }
}

fn null<S: Sink>(c: &mut Ctx<S>, network_order: bool, buf: Buf<'_>, len: usize) -> Step {
    c.layer("null");
    buf.need(4)?;
    c.link_header_len = 4;
    // The family is in the byte order of the capturing host: a family is small.
    let family = match buf.le32_at(0)? {
        swapped if network_order || swapped & 0xffff_0000 != 0 => swapped.swap_bytes(),
        family => family,
    };
    let payload = buf.from(4);
    let left = len.saturating_sub(4);
    if c.options.link_header {
        family_header(c, family, len);
    }
    match family {
        2 => ip::print(c, payload, left),
        24 | 28 | 30 => ip6::print(c, payload, left),
        _ => {
            let osi = if family == 7 { Registry::<S>::osi() } else { None };
            if let Some(dissector) = osi {
                return dissector(c, payload, left, &Link::NONE);
            }
            if !c.options.link_header {
                family_header(c, family, len);
            }
            c.default_print(payload);
            Ok(())
        }
    }
}

fn family_header<S: Sink>(c: &mut Ctx<S>, family: u32, len: usize) {
    if c.options.quiet == 0 {
        put!(c, "AF ", name_or(FAMILIES, family, "Unknown"), " (", family, ")");
    } else {
        put!(c, crate::text::Named(FAMILIES, family, "Unknown AF ", ""));
    }
    put!(c, ", length ", len, ": ");
}

/// A cooked header of either version, taken apart.
struct Cooked<'a> {
    packet_type: u16,
    address: &'a [u8],
    hardware: u16,
    protocol: u16,
}

/// Linux cooked capture, version 1: type, hardware, address length, address, protocol.
fn sll<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("sll");
    buf.need(16)?;
    c.link_header_len = 16;
    let address_len = usize::from(buf.be16_at(4)?).min(8);
    let head = Cooked {
        packet_type: buf.be16_at(0)?,
        address: buf.bytes_at(6, address_len)?,
        hardware: buf.be16_at(2)?,
        protocol: buf.be16_at(14)?,
    };
    if c.options.link_header {
        put!(c, Right3(name_or(PACKET_TYPES, head.packet_type.into(), "?")), " ");
        cooked_header(c, &head, len);
    }
    cooked_payload(c, &head, buf.from(16), len.saturating_sub(16), 16, true)
}

/// Linux cooked capture, version 2: protocol, interface, hardware, type, address length, address.
fn sll2<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("sll2");
    buf.need(20)?;
    c.link_header_len = 20;
    let address_len = usize::from(buf.u8_at(11)?).min(8);
    let head = Cooked {
        packet_type: buf.u8_at(10)?.into(),
        address: buf.bytes_at(12, address_len)?,
        hardware: buf.be16_at(8)?,
        protocol: buf.be16_at(0)?,
    };
    let interface = buf.be32_at(4)?;
    if S::TEXT {
        let name = c.names.interface(interface);
        let width = name.len();
        c.out.extend_from_slice(name.as_bytes());
        for _ in width..5 {
            c.put(" ");
        }
        c.put(" ");
        let kind = name_or(PACKET_TYPES, head.packet_type.into(), "?");
        put!(c, kind);
        for _ in kind.len()..3 {
            c.put(" ");
        }
        c.put(" ");
    }
    if c.options.link_header {
        put!(c, "ifindex ", interface, " ");
        cooked_header(c, &head, len);
    }
    cooked_payload(c, &head, buf.from(20), len.saturating_sub(20), 20, false)
}

/// Text in a column of three, to the right.
struct Right3(&'static str);

impl crate::text::Put for Right3 {
    fn put(&self, out: &mut Vec<u8>) {
        for _ in self.0.len()..3 {
            out.push(b' ');
        }
        self.0.put(out);
    }
}

fn cooked_header<S: Sink>(c: &mut Ctx<S>, head: &Cooked<'_>, len: usize) {
    if head.address.len() == 6 {
        c.mac(head.address);
        c.put(" ");
    }
    if c.options.quiet > 0 {
        return;
    }
    let kind = u32::from(head.protocol);
    match kind {
        1 => c.put("802.3"),
        4 => c.put("802.2"),
        0..=1500 => put!(c, "ethertype Unknown (0x", HexN(kind, 4), ")"),
        _ => {
            let name = name_or(ETHERTYPE_NAMES, kind, "Unknown");
            put!(c, "ethertype ", name, " (0x", HexN(kind, 4), ")");
        }
    }
    put!(c, ", length ", len, ": ");
}

fn cooked_payload<S: Sink>(
    c: &mut Ctx<S>,
    head: &Cooked<'_>,
    buf: Buf<'_>,
    len: usize,
    header_len: usize,
    shows_type: bool,
) -> Step {
    let _ = head.hardware;
    let (mut kind, mut payload, mut left) = (head.protocol, buf, len);
    while kind == 0x8100 {
        c.layer("vlan");
        payload.need(4)?;
        let tag = payload.be16_at(0)?;
        if c.options.link_header {
            ether::vlan_tag(c, tag);
            c.put(", ");
        }
        kind = payload.be16_at(2)?;
        if kind <= 1500 {
            kind = 4;
        }
        if c.options.quiet == 0 {
            put!(c, "ethertype ", name_or(ETHERTYPE_NAMES, kind.into(), "Unknown"), ", ");
        }
        payload = payload.from(4);
        left = left.saturating_sub(4);
    }
    if kind == 4 {
        return llc::print(c, payload, left, Link::NONE).map(drop);
    }
    if kind > 1500 && ether::by_ethertype(c, kind, payload, left, Link::NONE)? {
        return Ok(());
    }
    if !c.options.link_header {
        if shows_type {
            put!(c, Right3(name_or(PACKET_TYPES, head.packet_type.into(), "?")), " ");
        }
        cooked_header(c, head, len + header_len);
    }
    c.default_print(payload);
    Ok(())
}
