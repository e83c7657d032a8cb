//! Ethernet: addresses, VLAN tags, and the length or type behind them.

use super::registry::{ETHERTYPE_NAMES, Registry};
use super::{Buf, Ctx, Field, Sink, Step, llc, put};
use crate::text::{HexN, NamedHex, name_or};

/// Length of the header without tags.
pub const HEADER_LEN: usize = 14;
/// A type field of at most this is a length.
const MAX_LENGTH: u16 = 1500;
const VLAN: [u16; 4] = [0x8100, 0x9100, 0x9200, 0x88a8];
const JUMBO: u16 = 0x8870;

/// The link-layer addresses that a payload may want to show.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// Source and destination, where the link has them.
    pub addresses: Option<(&'a [u8], &'a [u8])>,
}

impl Link<'_> {
    /// A link without addresses.
    pub const NONE: Link<'static> = Link { addresses: None };
}

/// Prints a frame and returns the length of its header, tags included.
pub fn print<S: Sink>(c: &mut Ctx<S>, frame: Buf<'_>, len: usize) -> Step<usize> {
    c.protocol = "ether";
    if len < HEADER_LEN || !frame.has(HEADER_LEN) {
        c.truncated();
        return Ok(len.min(frame.len()));
    }
    let destination = frame.bytes_at(0, 6)?;
    let source = frame.bytes_at(6, 6)?;
    let link = Link { addresses: Some((source, destination)) };
    c.field(Field::EthDestination, destination);
    c.field(Field::EthSource, source);
    if c.options.link_header {
        addresses(c, source, destination);
    }
    let mut kind = frame.be16_at(12)?;
    let mut header_len = HEADER_LEN;
    let mut payload = frame.from(HEADER_LEN);
    let mut left = len - HEADER_LEN;
    let mut length_shown = false;
    while VLAN.contains(&kind) {
        if left < 4 || !payload.has(4) {
            c.protocol = "vlan";
            c.truncated();
            return Ok(header_len + left.min(payload.len()));
        }
        let tag = payload.be16_at(0)?;
        c.field(Field::VlanId, tag & 0xfff);
        if c.options.link_header {
            ethertype(c, kind);
            if length_shown {
                c.put(", ");
            } else {
                put!(c, ", length ", len, ": ");
                length_shown = true;
            }
            vlan_tag(c, tag);
            c.put(", ");
        }
        kind = payload.be16_at(2)?;
        payload = payload.from(4);
        left -= 4;
        header_len += 4;
    }
    c.field(Field::EthType, kind);
    if kind <= MAX_LENGTH {
        left = left.min(usize::from(kind));
        payload = payload.limit(left);
        if c.options.link_header {
            put!(c, "802.3, length ", left, ": ");
        }
        return Ok(header_len + llc::print(c, payload, left, link)?);
    }
    if c.options.link_header {
        ethertype(c, kind);
        if length_shown {
            c.put(", ");
        } else {
            put!(c, ", length ", len, ": ");
        }
    }
    if kind == JUMBO {
        return Ok(header_len + llc::print(c, payload, left, link)?);
    }
    if c.depth == 0 {
        // Known before the payload is read, should that be cut off.
        c.link_header_len = header_len;
    }
    if !by_ethertype(c, kind, payload, left, link)? {
        if !c.options.link_header {
            addresses(c, source, destination);
            ethertype(c, kind);
            put!(c, ", length ", len, ": ");
        }
        c.default_print(payload);
    }
    Ok(header_len)
}

/// Prints the payload of a known type; `false` when nobody knows it.
pub fn by_ethertype<S: Sink>(
    c: &mut Ctx<S>,
    kind: u16,
    payload: Buf<'_>,
    len: usize,
    link: Link<'_>,
) -> Step<bool> {
    let Some(dissector) = Registry::<S>::ethertype(kind) else { return Ok(false) };
    c.nested(|c| dissector(c, payload, len, &link))?;
    Ok(true)
}

fn addresses<S: Sink>(c: &mut Ctx<S>, source: &[u8], destination: &[u8]) {
    c.mac(source);
    c.put(" > ");
    c.mac(destination);
    c.put(", ");
}

/// The type as `-e` shows it.
pub fn ethertype<S: Sink>(c: &mut Ctx<S>, kind: u16) {
    let kind = u32::from(kind);
    if c.options.quiet == 0 {
        put!(
            c,
            "ethertype ",
            name_or(ETHERTYPE_NAMES, kind, "Unknown"),
            " (0x",
            HexN(kind, 4),
            ")"
        );
    } else {
        put!(c, NamedHex(ETHERTYPE_NAMES, kind, "Unknown Ethertype (0x", 4, ")"));
    }
}

/// `vlan 7, p 3, DEI`
pub fn vlan_tag<S: Sink>(c: &mut Ctx<S>, tag: u16) {
    put!(c, "vlan ", tag & 0xfff, ", p ", tag >> 13);
    if tag & 0x1000 != 0 {
        c.put(", DEI");
    }
}
