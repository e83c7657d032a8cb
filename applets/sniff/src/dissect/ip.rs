//! IPv4 (RFC 791) with its options.

use super::registry::Registry;
use super::{Buf, Ctx, Field, Network, Sink, Step, Stop, ip_protocol_name, put};
use crate::text::address::{Address, Ip4};
use crate::text::{Bits, Hex, Named, Names};
use box_wire::checksum::{Checksum, should_be};

/// Length of the header without options.
const HEADER_LEN: usize = 20;
const OFFSET_MASK: u16 = 0x1fff;
const MORE_FRAGMENTS: u16 = 0x2000;

const FLAGS: Names = &[(0x2000, "+"), (0x4000, "DF"), (0x8000, "rsvd")];
const ECN: [&str; 4] = ["", ",ECT(1)", ",ECT(0)", ",CE"];

const NOP: u8 = 1;
const END: u8 = 0;
const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;
const LOOSE_ROUTE: u8 = 131;
const STRICT_ROUTE: u8 = 137;
const ROUTER_ALERT: u8 = 148;

const OPTIONS: Names = &[
    (0, "EOL"),
    (1, "NOP"),
    (68, "timestamp"),
    (130, "security"),
    (7, "RR"),
    (137, "SSRR"),
    (131, "LSRR"),
    (148, "RA"),
    (82, "traceroute"),
];

/// Prints a datagram of which `len` bytes were on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("ip");
    if !c.options.link_header {
        c.put("IP ");
    }
    if len < HEADER_LEN {
        put!(c, " [length ", len, " < 20]");
        return Err(Stop::Invalid);
    }
    let first = buf.u8_at(0)?;
    if first >> 4 != 4 {
        put!(c, " [version ", first >> 4, " != 4]");
        return Err(Stop::Invalid);
    }
    buf.need(HEADER_LEN)?;
    let header_len = usize::from(first & 15) * 4;
    if header_len < HEADER_LEN {
        put!(c, " [header length ", header_len, " < 20]");
        return Err(Stop::Invalid);
    }
    let stated_len = usize::from(buf.be16_at(2)?);
    if stated_len > len {
        put!(c, "[total length ", stated_len, " > length ", len, "] (invalid) ");
    }
    let mut total_len = stated_len;
    if total_len < header_len {
        if total_len > 0 {
            put!(c, "[total length ", total_len, " < header length ", header_len, "]");
            return Err(Stop::Invalid);
        }
        // The card cuts the segment: the header was never completed.
        total_len = len;
    }
    let buf = buf.limit(total_len);
    let offset = buf.be16_at(6)?;
    let protocol = buf.u8_at(9)?;
    let source = Address::V4(Ip4(buf.array_at(12)?));
    let destination = Address::V4(Ip4(buf.array_at(16)?));
    if S::FIELDS {
        c.field(Field::IpHeaderLength, header_len as u32);
        c.field(Field::IpService, buf.u8_at(1)?);
        c.field(Field::IpId, buf.be16_at(4)?);
        c.field(Field::IpChecksum, buf.be16_at(10)?);
    }
    c.field(Field::IpSource, source);
    c.field(Field::IpDestination, destination);
    c.field(Field::IpTtl, buf.u8_at(8)?);
    c.field(Field::IpProtocol, protocol);
    c.field(Field::IpLength, stated_len as u32);
    if c.verbose() {
        let complete = verbose(c, buf, header_len, total_len, stated_len == 0)?;
        if !complete {
            ends(c, source, destination);
            c.put(": ");
            return Err(Stop::Truncated);
        }
    }
    if offset & OFFSET_MASK != 0 {
        if c.options.quiet > 1 {
            return Ok(());
        }
        ends(c, source, destination);
        c.put(":");
        c.ip_protocol(protocol);
        return Ok(());
    }
    if !matches!(protocol, 6 | 17 | 132 | 33) {
        ends(c, source, destination);
        c.put(": ");
    }
    if !buf.has(header_len) {
        put!(c, " [remaining caplen(", buf.len(), ") < header length(", header_len, ")]");
        return Err(Stop::Truncated);
    }
    let network = Network {
        source,
        destination,
        last: last_hop(buf, header_len).unwrap_or(destination),
        protocol,
        hops: buf.u8_at(8)?,
        fragment: offset & MORE_FRAGMENTS != 0,
    };
    payload(c, protocol, buf.from(header_len), total_len - header_len, &network)
}

/// Prints the payload of a datagram of either version.
pub fn payload<S: Sink>(
    c: &mut Ctx<S>,
    protocol: u8,
    buf: Buf<'_>,
    len: usize,
    network: &Network,
) -> Step {
    let version = match network.source {
        Address::V4(_) => 4,
        Address::V6(_) => 6,
    };
    // Each of these belongs to one version (RFC 4443 section 1, RFC 8200 section 4).
    let needed = match protocol {
        1 | 2 => 4,
        58 | 143 => 6,
        _ => version,
    };
    if needed != version {
        put!(c, "[", ip_protocol_name(protocol), " requires IPv", needed, "]");
        return Err(Stop::Invalid);
    }
    match Registry::<S>::ip_protocol(protocol) {
        Some(dissector) => c.nested(|c| dissector(c, buf, len, network)),
        None => {
            c.ip_protocol(protocol);
            put!(c, " ", len);
            Ok(())
        }
    }
}

fn ends<S: Sink>(c: &mut Ctx<S>, source: Address, destination: Address) {
    c.host(source);
    c.put(" > ");
    c.host(destination);
}

/// The bracket of `-v`; `false` when an option was cut off.
fn verbose<S: Sink>(
    c: &mut Ctx<S>,
    buf: Buf<'_>,
    header_len: usize,
    total_len: usize,
    presumed: bool,
) -> Step<bool> {
    let tos = buf.u8_at(1)?;
    put!(c, "(tos 0x", Hex(tos), ECN[usize::from(tos & 3)]);
    let ttl = buf.u8_at(8)?;
    if ttl > 0 {
        put!(c, ", ttl ", ttl);
    }
    let offset = buf.be16_at(6)?;
    let protocol = buf.u8_at(9)?;
    put!(c, ", id ", buf.be16_at(4)?, ", offset ", u32::from(offset & OFFSET_MASK) * 8);
    put!(c, ", flags [", Bits(FLAGS, (offset & 0xe000).into(), ", ", "none"), "], proto ");
    put!(c, ip_protocol_name(protocol), " (", protocol, "), length ", total_len);
    if presumed {
        c.put(" [was 0, presumed TSO]");
    }
    let mut complete = true;
    if header_len > HEADER_LEN {
        c.put(", options (");
        match options(c, buf.from(HEADER_LEN), header_len - HEADER_LEN) {
            Err(Stop::Truncated) => {
                c.put(" [truncated-option]");
                complete = false;
            }
            other => other?,
        }
        c.put(")");
    }
    if !c.options.unchecked && buf.has(header_len) {
        let computed = Checksum::new().with(buf.bytes_at(0, header_len)?).finish();
        if computed != 0 {
            let found = buf.be16_at(10)?;
            put!(c, ", bad cksum ", Hex(found), " (->", Hex(should_be(found, computed)), ")!");
        }
    }
    c.put(")\n    ");
    Ok(complete)
}

fn options<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    let (mut buf, mut left) = (buf, len);
    let mut separator = "";
    while left > 0 {
        c.put(separator);
        separator = ",";
        let kind = buf.u8_at(0)?;
        put!(c, Named(OPTIONS, kind.into(), "unknown ", ""));
        let option_len = match kind {
            NOP | END => 1,
            _ => usize::from(buf.u8_at(1)?),
        };
        let too_short = option_len < 2 && !matches!(kind, NOP | END);
        if too_short || option_len > left {
            put!(c, " [bad length ", option_len, "]");
            return Ok(());
        }
        buf.need(option_len)?;
        match kind {
            END => return Ok(()),
            TIMESTAMP => timestamps(c, buf, option_len)?,
            RECORD_ROUTE | LOOSE_ROUTE | STRICT_ROUTE => route(c, buf, option_len)?,
            ROUTER_ALERT if option_len < 4 => put!(c, " [bad length ", option_len, "]"),
            ROUTER_ALERT => {
                let value = buf.be16_at(2)?;
                if value != 0 {
                    put!(c, " value ", value);
                }
            }
            _ => {}
        }
        buf = buf.from(option_len);
        left -= option_len;
    }
    Ok(())
}

fn route<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 3 {
        put!(c, " [bad length ", len, "]");
        return Ok(());
    }
    if (len + 1) & 3 != 0 {
        put!(c, " [bad length ", len, "]");
    }
    let pointer = usize::from(buf.u8_at(2)?).wrapping_sub(1);
    if pointer < 3 || pointer.wrapping_add(1) & 3 != 0 || pointer > len + 1 {
        put!(c, " [bad ptr ", buf.u8_at(2)?, "]");
    }
    for at in (3..len).step_by(4) {
        buf.bytes_at(at, 4)?;
        c.put(" ");
        c.host4(buf, at)?;
        if pointer > at {
            c.put(",");
        }
    }
    Ok(())
}

fn timestamps<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 4 {
        put!(c, "[bad length ", len, "]");
        return Ok(());
    }
    c.put(" TS{");
    let kind = buf.u8_at(3)? & 15;
    let step = if kind == 0 { 4 } else { 8 };
    if (len - 4) & (step - 1) != 0 {
        put!(c, "[bad length ", len, "]");
    }
    let pointer = usize::from(buf.u8_at(2)?).wrapping_sub(1);
    if pointer < 4 || pointer.wrapping_sub(4) & (step - 1) != 0 || pointer > len + 1 {
        put!(c, "[bad ptr ", buf.u8_at(2)?, "]");
    }
    let mut at = 0;
    match kind {
        0 => c.put("TSONLY"),
        1 => c.put("TS+ADDR"),
        3 => c.put("PRESPEC"),
        _ => put!(c, "[bad ts type ", kind, "]"),
    }
    if matches!(kind, 0 | 1 | 3) {
        at = 4;
        while at < len {
            let mark = if pointer == at { " ^ " } else { " " };
            buf.bytes_at(at, step)?;
            put!(c, mark, buf.be32_at(at + step - 4)?, "@");
            if step == 8 {
                c.host4(buf, at)?;
            }
            at += step;
        }
    }
    if pointer == at {
        c.put(" ^ ");
    }
    match buf.u8_at(3)? >> 4 {
        0 => c.put("}"),
        missed => put!(c, " [", missed, " hops not recorded]} "),
    }
    Ok(())
}

/// The end of a source route: what the pseudo-header of a checksum has as destination.
fn last_hop(buf: Buf<'_>, header_len: usize) -> Option<Address> {
    let mut options = Buf::new(buf.bytes().get(HEADER_LEN..header_len)?);
    loop {
        let kind = options.u8_at(0).ok()?;
        let len = match kind {
            END => return None,
            NOP => 1,
            _ => usize::from(options.u8_at(1).ok()?),
        };
        if len == 0 || len > options.len() {
            return None;
        }
        if matches!(kind, LOOSE_ROUTE | STRICT_ROUTE) && len >= 7 {
            return options.array_at(len - 4).ok().map(|last| Address::V4(Ip4(last)));
        }
        options = options.from(len);
    }
}

/// The sum of the pseudo-header that the checksums of transports begin with.
pub fn pseudo_header(network: &Network, protocol: u8, len: usize) -> Checksum {
    let sum = match (network.source, network.last) {
        (Address::V4(source), Address::V4(last)) => Checksum::new().with(&source.0).with(&last.0),
        (Address::V6(source), Address::V6(last)) => Checksum::new().with(&source.0).with(&last.0),
        _ => Checksum::new(),
    };
    sum.word((len >> 16) as u16).word(len as u16).word(protocol.into())
}
