//! Ethernet: addresses, VLAN tags, and the length or type behind them.

use super::registry::{ETHERTYPE_NAMES, Registry};
use super::{Buf, Ctx, Field, Sink, Step, arista, llc, macsec, put};
use crate::text::{HexN, NamedHex, name_or};

/// Length of the header without tags.
pub const HEADER_LEN: usize = 14;
/// A type field of at most this is a length.
const MAX_LENGTH: u16 = 1500;
const VLAN: [u16; 4] = [0x8100, 0x9100, 0x9200, 0x88a8];
const JUMBO: u16 = 0x8870;
const MACSEC: u16 = 0x88e5;
const ARISTA: u16 = 0xd28b;

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
    c.layer("ether");
    tagged(c, frame, len, 0, |_, _| Ok(()))
}

/// As [`print`], of a frame with a switch's tag of `tag_len` bytes behind the addresses.
#[inline]
pub fn tagged<S: Sink>(
    c: &mut Ctx<S>,
    frame: Buf<'_>,
    len: usize,
    tag_len: usize,
    tag: impl FnOnce(&mut Ctx<S>, Buf<'_>) -> Step,
) -> Step<usize> {
    let header_len = HEADER_LEN + tag_len;
    if len < header_len || !frame.has(header_len) {
        c.truncated();
        return Ok(len.min(frame.len()));
    }
    let destination = frame.bytes_at(0, 6)?;
    let source = frame.bytes_at(6, 6)?;
    c.field(Field::EthDestination, destination);
    c.field(Field::EthSource, source);
    if c.options.link_header {
        addresses(c, source, destination);
    }
    tag(c, frame.from(12))?;
    let frame = Frame {
        link: Link { addresses: Some((source, destination)) },
        whole_len: len,
        kind: frame.be16_at(12 + tag_len)?,
        header_len,
        payload: frame.from(header_len),
        left: len - header_len,
        length_shown: false,
    };
    typed(c, frame)
}

/// A frame, as far as its tags have been read.
struct Frame<'a> {
    link: Link<'a>,
    whole_len: usize,
    kind: u16,
    header_len: usize,
    payload: Buf<'a>,
    left: usize,
    /// Whether `-e` has told the length.
    length_shown: bool,
}

impl<'a> Frame<'a> {
    /// Goes on behind a tag, at whose end another type stands.
    fn pass(&mut self, payload: Buf<'a>, left: usize, len: usize) -> Step {
        self.kind = payload.be16_at(len)?;
        self.payload = payload.from(len + 2);
        self.left = left.saturating_sub(len + 2);
        self.header_len += len + 2;
        Ok(())
    }

    /// The type for `-e`, with the length the first time.
    fn show_type<S: Sink>(&mut self, c: &mut Ctx<S>) {
        ethertype(c, self.kind);
        if self.length_shown {
            c.put(", ");
        } else {
            put!(c, ", length ", self.whole_len, ": ");
            self.length_shown = true;
        }
    }
}

/// From the type on.
#[inline]
fn typed<S: Sink>(c: &mut Ctx<S>, mut frame: Frame<'_>) -> Step<usize> {
    if frame.kind == MACSEC
        && let Some(header_len) = secured(c, &mut frame)?
    {
        return Ok(header_len);
    }
    if frame.kind > MAX_LENGTH {
        c.field(Field::EthType, frame.kind);
    }
    while VLAN.contains(&frame.kind) {
        if frame.left < 4 || !frame.payload.has(4) {
            c.layer("vlan");
            c.truncated();
            return Ok(frame.header_len + frame.left.min(frame.payload.len()));
        }
        let tag = frame.payload.be16_at(0)?;
        if S::FIELDS {
            c.sink.layer("vlan");
            c.field(Field::VlanId, tag & 0xfff);
        }
        if c.options.link_header {
            frame.show_type(c);
            vlan_tag(c, tag);
            c.put(", ");
        }
        frame.pass(frame.payload, frame.left, 2)?;
        c.field(Field::VlanType, frame.kind);
    }
    if frame.kind <= MAX_LENGTH {
        let left = frame.left.min(usize::from(frame.kind));
        if c.options.link_header {
            put!(c, "802.3, length ", left, ": ");
        }
        return Ok(frame.header_len + llc::print(c, frame.payload.limit(left), left, frame.link)?);
    }
    if c.options.link_header {
        frame.show_type(c);
    }
    if frame.kind == JUMBO {
        return Ok(frame.header_len + llc::print(c, frame.payload, frame.left, frame.link)?);
    }
    if c.depth == 0 {
        // Known before the payload is read, should that be cut off.
        c.link_header_len = frame.header_len;
    }
    if frame.kind == ARISTA {
        if !c.options.link_header {
            frame.show_type(c);
        }
        if let Some(len) = arista::print(c, frame.payload)? {
            frame.pass(frame.payload, frame.left, len)?;
            frame.length_shown = false;
            return c.nested(|c| typed(c, frame));
        }
    } else if by_ethertype(c, frame.kind, frame.payload, frame.left, frame.link)? {
        return Ok(frame.header_len);
    }
    if !c.options.link_header {
        if let Some((source, destination)) = frame.link.addresses {
            addresses(c, source, destination);
        }
        ethertype(c, frame.kind);
        put!(c, ", length ", frame.whole_len, ": ");
    }
    c.default_print(frame.payload);
    Ok(frame.header_len)
}

/// Passes a MACsec tag; the length of the header where that is all there is to show.
fn secured<S: Sink>(c: &mut Ctx<S>, frame: &mut Frame<'_>) -> Step<Option<usize>> {
    if c.options.link_header {
        frame.show_type(c);
    }
    let link = frame.link;
    let show_addresses = |c: &mut Ctx<S>| {
        if let Some((source, destination)) = link.addresses {
            c.mac(source);
            c.put(" > ");
            c.mac(destination);
            c.put(" ");
        }
    };
    match macsec::print(c, frame.payload, frame.left, show_addresses)? {
        macsec::Inside::End(len) => Ok(Some(frame.header_len + len)),
        macsec::Inside::Hidden(len) => {
            c.default_print(frame.payload.from(len));
            Ok(Some(frame.header_len + len))
        }
        macsec::Inside::Frame(payload, left, len) => {
            frame.header_len += len;
            frame.pass(payload, left, 0)?;
            Ok(None)
        }
    }
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
