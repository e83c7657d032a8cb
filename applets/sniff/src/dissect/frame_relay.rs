//! Frame relay: addresses (Q.922), encapsulation (RFC 2427), fragments of it (FRF.15, FRF.16) and its
//! signalling (Q.933).

use super::ether::{self, Link};
use super::osi::PROTOCOLS;
use super::registry::ETHERTYPE_NAMES;
use super::{Buf, Ctx, Sink, Step, ip, ip6, llc, osi, ppp, put};
use crate::text::{Bits, HexBytes, HexN, NamedHex, Names, Right, Visible, name_or};

const FLAGS: Names = &[
    (0x0200_0000, "C!"),
    (0x0008_0000, "FECN"),
    (0x0004_0000, "BECN"),
    (0x0002_0000, "DE"),
    (0x0000_0002, "sdlcore"),
];
const FRAGMENT_FLAGS: Names = &[(0x80, "Begin"), (0x40, "End"), (0x20, "Control")];
const MESSAGES: Names = &[
    (1, "Add Link"),
    (2, "Add Link ACK"),
    (3, "Add Link Reject"),
    (4, "Hello"),
    (5, "Hello ACK"),
    (6, "Remove Link"),
    (7, "Remove Link ACK"),
];
const ELEMENTS: Names = &[
    (1, "Bundle ID"),
    (2, "Link ID"),
    (3, "Magic Number"),
    (5, "Timestamp"),
    (6, "Vendor Extension"),
    (7, "Cause"),
];
const SIGNALS: Names = &[
    (0x00, "ESC to National"),
    (0x01, "Alert"),
    (0x02, "Call proceeding"),
    (0x07, "Connect"),
    (0x0f, "Connect ACK"),
    (0x03, "Progress"),
    (0x05, "Setup"),
    (0x45, "Disconnect"),
    (0x4d, "Release"),
    (0x5a, "Release Complete"),
    (0x46, "Restart"),
    (0x4e, "Restart ACK"),
    (0x7d, "Status Reply"),
    (0x75, "Status Enquiry"),
];
const SIGNAL_ELEMENTS: Names = &[
    (0x01, "ANSI Report Type"),
    (0x19, "ANSI Link Verify"),
    (0x03, "ANSI Link Verify"),
    (0x07, "ANSI PVC Status"),
    (0x51, "CCITT Report Type"),
    (0x53, "CCITT Link Verify"),
    (0x57, "CCITT PVC Status"),
];
const REPORTS: Names = &[(0, "Full Status"), (1, "Link verify"), (2, "Async PVC Status")];
const UNNUMBERED: u8 = 3;

/// Where a frame goes.
struct Address {
    len: usize,
    circuit: u32,
    flags: u32,
}

/// Reads an address of two to four bytes; `None` when it cannot be, a stop when it is cut off.
fn address(buf: Buf<'_>, len: usize) -> Step<Option<Address>> {
    let within = |at: usize| {
        if at < len { buf.u8_at(at) } else { Err(super::Stop::Truncated) }
    };
    let first = within(0)?;
    if first & 1 != 0 {
        return Ok(None);
    }
    let second = within(1)?;
    let mut address = Address {
        len: 2,
        circuit: u32::from(first & 0xfc) << 2 | u32::from(second >> 4),
        flags: u32::from(first & 2) << 24 | u32::from(second & 0x0e) << 16,
    };
    if second & 1 != 0 {
        return Ok(Some(address));
    }
    let mut next = within(2)?;
    address.len = 3;
    if next & 1 == 0 {
        address.circuit = address.circuit << 7 | u32::from(next >> 1);
        address.len = 4;
        next = within(3)?;
    }
    if next & 1 == 0 {
        return Ok(None);
    }
    address.flags |= u32::from(next & 2);
    address.circuit = address.circuit << 6 | u32::from(next >> 2);
    Ok(Some(address))
}

/// As a link type.
pub fn link<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("fr");
    buf.need(4)?;
    print(c, buf, len)
}

fn header<S: Sink>(c: &mut Ctx<S>, len: usize, address: &Address, protocol: u16) {
    if c.options.quiet > 0 {
        put!(c, "Q.922, DLCI ", address.circuit, ", length ", len, ": ");
        return;
    }
    put!(c, "Q.922, hdr-len ", address.len, ", DLCI ", address.circuit, ", Flags [");
    put!(c, Bits(FLAGS, address.flags, ", ", "none"), "], ");
    let number = u32::from(protocol);
    if protocol <= 0xff {
        put!(c, "NLPID ", name_or(PROTOCOLS, number, "unknown"), " (0x", HexN(protocol, 2));
    } else {
        let name = name_or(ETHERTYPE_NAMES, number, "unknown");
        put!(c, "cisco-ethertype ", name, " (0x", HexN(protocol, 4));
    }
    put!(c, "), length ", len, ": ");
}

/// Prints a frame and notes how long its header was.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("fr");
    let Some(address) = address(buf, len)? else {
        c.put("Q.922, invalid address");
        return Ok(());
    };
    let at = address.len;
    let control = buf.u8_at(at)?;
    if len < at + 1 {
        return Err(super::Stop::Truncated);
    }
    if control != UNNUMBERED && address.circuit != 0 {
        if buf.has(at + 2) && len >= at + 2 {
            // Perhaps Cisco's way: an Ethernet type behind the address.
            let kind = buf.be16_at(at)?;
            if c.options.link_header {
                header(c, len, &address, kind);
            }
            let (inner, left) = (buf.from(at + 2), len - at - 2);
            if ether::by_ethertype(c, kind, inner, left, Link::NONE)? {
                c.link_header_len = at + 2;
                return Ok(());
            }
        }
        put!(c, "UI ", HexN(control, 2), "! ");
    }
    let pad = buf.u8_at(at + 1)?;
    if len < at + 2 {
        return Err(super::Stop::Truncated);
    }
    let header_len = if pad == 0 {
        if at != 3 {
            c.put("Pad! ");
        }
        at + 3
    } else {
        if at == 3 {
            c.put("No pad! ");
        }
        at + 2
    };
    let protocol = buf.u8_at(header_len - 1)?;
    if len < header_len {
        return Err(super::Stop::Truncated);
    }
    if c.options.link_header {
        header(c, len, &address, protocol.into());
    }
    c.link_header_len = header_len;
    let (inner, left) = (buf.from(header_len), len - header_len);
    match protocol {
        0xcc => c.nested(|c| ip::print(c, inner, left)),
        0x8e => c.nested(|c| ip6::print(c, inner, left)),
        0x81..=0x83 => c.nested(|c| osi::print(c, buf.from(header_len - 1), left + 1)),
        0x80 => {
            if !llc::snap(c, inner, left, Link::NONE)? {
                if !c.options.link_header {
                    header(c, len, &Address { len: header_len, ..address }, protocol.into());
                }
                c.default_print(buf);
            }
            Ok(())
        }
        0x08 => q933(c, inner, left),
        0xb1 => frf15(c, inner, left),
        0xcf => c.nested(|c| ppp::print(c, inner, left)),
        _ => {
            if !c.options.link_header {
                header(c, len, &address, protocol.into());
            }
            c.default_print(inner);
            inner.need(left)
        }
    }
}

/// Fragments over one link.
fn frf15<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 2 {
        return Err(super::Stop::Truncated);
    }
    let (first, second) = (buf.u8_at(0)?, buf.u8_at(1)?);
    let sequence = u16::from(first & 0x1e) << 7 | u16::from(second);
    put!(c, "FRF.15, seq 0x", HexN(sequence, 3), ", Flags [");
    put!(c, Bits(FRAGMENT_FLAGS, (first & 0xe0).into(), ", ", "none"), "],");
    c.put(if first & 1 != 0 { "Interface" } else { "End-to-End" });
    put!(c, " Fragmentation, length ", len);
    Ok(())
}

/// Several links as one (FRF.16), as a link type.
pub fn multilink<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("mfr");
    if len < 4 {
        put!(c, "[length ", len, " < 4]");
        c.invalid();
        return Ok(());
    }
    buf.need(4)?;
    let (first, second) = (buf.u8_at(0)?, buf.u8_at(1)?);
    let flags = first & 0xe0;
    if flags == 0xe0 && second == 0 {
        c.link_header_len = 3;
        return integrity(c, buf, len);
    }
    let sequence = u16::from(first & 0x1e) << 7 | u16::from(second);
    put!(c, "FRF.16 Frag, seq ", sequence, ", Flags [");
    put!(c, Bits(FRAGMENT_FLAGS, flags.into(), ", ", "none"), "]");
    if matches!(flags, 0xc0 | 0x80) {
        c.put(", ");
        print(c, buf.from(2), len - 2)?;
        c.link_header_len = 2;
        return Ok(());
    }
    c.hex_print("\n\t", buf, len);
    Ok(())
}

/// The frames that watch over the links.
fn integrity<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    let message = buf.u8_at(2)?;
    put!(c, "FRF.16 Control, Flags [");
    put!(c, Bits(FRAGMENT_FLAGS, (buf.u8_at(0)? & 0xe0).into(), ", ", "none"), "], ");
    put!(c, NamedHex(MESSAGES, message.into(), "Unknown Message (0x", 2, ")"), ", length ", len);
    if !c.verbose() {
        return Ok(());
    }
    let (mut rest, mut left) = (buf.from(3), len - 3);
    while left > 2 {
        let (kind, stated) = (rest.u8_at(0), rest.u8_at(1)?);
        let kind = kind?;
        let element_len = usize::from(stated);
        put!(c, "\n\tIE ", name_or(ELEMENTS, kind.into(), "Unknown"), " (", kind, "), length ");
        put!(c, element_len, ": ");
        if kind == 0 || element_len <= 2 {
            return Ok(());
        }
        let value = Buf::new(rest.bytes_at(0, element_len)?).from(2);
        match kind {
            3 if value.len() != 4 => {
                put!(c, "[IE data length ", value.len(), " != 4]");
                c.invalid();
            }
            3 => put!(c, "0x", HexN(value.be32_at(0)?, 8)),
            1 | 2 => {
                let text = value.limit(50).bytes();
                let end = memchr::memchr(0, text).unwrap_or(text.len());
                c.put(Visible(text.get(..end).unwrap_or_default()));
            }
            _ if c.options.verbose <= 1 => c.hex_print("\n\t  ", value, value.len()),
            _ => {}
        }
        if c.options.verbose > 1 {
            c.hex_print("\n\t  ", value, value.len());
        }
        rest = rest.from(element_len);
        left = left.saturating_sub(element_len);
        c.check_text()?;
    }
    Ok(())
}

/// Signalling, from the length of the call reference on.
pub fn q933<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("q.933");
    if !c.options.link_header {
        c.put("Q.933, ");
    }
    let mut rest = buf.limit(len);
    let head = (|| {
        let reference_len = usize::from(rest.u8()? & 15);
        let reference = rest.take(reference_len)?;
        let message = rest.u8()?;
        let shift = if rest.is_empty() && buf.len() >= len { 0 } else { rest.u8_at(0)? };
        Ok((reference, message, shift))
    })();
    let (reference, message, shift) = match head {
        Ok(head) => head,
        Err(stop) => {
            put!(c, "length ", len);
            return Err(stop);
        }
    };
    let mut code_set = 0;
    let mut return_to = None;
    let mut ansi = false;
    if shift & 0xf0 == 0x90 {
        rest = rest.from(1);
        code_set = shift & 7;
        if shift & 8 == 0 {
            ansi = code_set == 5;
        } else {
            return_to = Some(0);
        }
    }
    put!(c, if ansi { "ANSI" } else { "CCITT" }, ", codeset ", code_set);
    if !reference.is_empty() {
        let next = rest.u8_at(0)?;
        if reference.len() > 1 || next != 0 {
            put!(c, ", Call Ref: 0x", HexBytes(reference));
        }
    }
    if c.verbose() {
        put!(c, ", ", name_or(SIGNALS, message.into(), "unknown message"));
        put!(c, " (0x", HexN(message, 2), "), length ", len);
    } else {
        put!(c, ", ", NamedHex(SIGNALS, message.into(), "unknown message 0x", 2, ""));
    }
    let outcome = elements(c, rest, buf.len() >= len, code_set, return_to);
    if !c.verbose() {
        put!(c, ", length ", len);
    }
    outcome
}

/// The elements; a shift changes what their numbers mean, for all or for the next.
fn elements<S: Sink>(
    c: &mut Ctx<S>,
    rest: Buf<'_>,
    complete: bool,
    code_set: u8,
    return_to: Option<u8>,
) -> Step {
    let (mut rest, mut code_set, mut return_to) = (rest, code_set, return_to);
    let mut used = false;
    while !rest.is_empty() {
        if used && let Some(before) = return_to.take() {
            code_set = before;
        }
        used = return_to.is_some();
        let kind = rest.u8()?;
        if kind & 0x80 != 0 {
            if kind & 0xf0 == 0x90 {
                return_to = (kind & 8 != 0).then_some(code_set);
                used = false;
                code_set = kind & 7;
            }
            continue;
        }
        let element_len = usize::from(rest.u8()?);
        let names = if matches!(code_set, 0 | 5) { SIGNAL_ELEMENTS } else { &[] };
        if c.verbose() {
            put!(c, "\n\t", name_or(names, kind.into(), "unknown"), " IE (0x", HexN(kind, 2));
            put!(c, "), length ", element_len, ": ");
        }
        if kind == 0 || element_len == 0 {
            return Ok(());
        }
        let value = Buf::new(rest.take(element_len)?);
        let known = !names.is_empty() && element(c, kind, value)?;
        match (known, c.options.verbose) {
            (true, 2..) => c.hex_print("\n\t  ", value, element_len),
            (false, 1..) => c.hex_print("\n\t", value, element_len),
            _ => {}
        }
        c.check_text()?;
    }
    if complete { Ok(()) } else { Err(super::Stop::Truncated) }
}

fn element<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step<bool> {
    let comma = if c.verbose() { "" } else { ", " };
    match kind {
        0x01 | 0x51 => {
            let report = value.u8_at(0)?;
            if c.verbose() {
                put!(c, name_or(REPORTS, report.into(), "unknown"), " (", report, ")");
            }
        }
        0x03 | 0x19 | 0x53 => {
            if !value.has(2) {
                put!(c, comma, "Invalid LINK VERIFY IE");
                return Ok(true);
            }
            put!(c, comma, "TX Seq: ", Right(value.u8_at(0)?, 3));
            put!(c, ", RX Seq: ", Right(value.u8_at(1)?, 3));
        }
        0x07 | 0x57 => {
            c.put(comma);
            let Some((circuit, status)) = circuit(value) else {
                c.put("Invalid DLCI in PVC STATUS IE");
                return Ok(true);
            };
            put!(c, "DLCI ", circuit, ": status ", if status & 8 != 0 { "New, " } else { "" });
            c.put(if status & 2 != 0 { "Active" } else { "Inactive" });
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A circuit of two to four bytes, of which the last but one ends the number, and its status.
fn circuit(value: Buf<'_>) -> Option<(u32, u8)> {
    let (status, number) = value.bytes().split_last()?;
    let (last, first) = number.split_last()?;
    if status & 0x80 == 0 || last & 0x80 == 0 || first.iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    let at = |at: usize| number.get(at).copied().map(u32::from);
    let circuit = (at(0)? & 0x3f) << 4 | (at(1)? & 0x78) >> 3;
    match number.len() {
        2 => Some((circuit, *status)),
        3 => Some((circuit << 6 | (at(2)? & 0x7e) >> 1, *status)),
        4 => Some((circuit << 13 | at(2)? & 0x7f | (at(3)? & 0x7e) >> 1, *status)),
        _ => None,
    }
}
