//! ICMP (RFC 792) with the extensions of RFC 4884.

use super::{Buf, Ctx, Field, Network, Sink, Step, Stop, ip, put};
use crate::text::address::Ip4;
use crate::text::{DecN, Hex, HexN, Names, name_of, name_or};
use box_wire::checksum::{Checksum, should_be};

const UNREACHABLE: u8 = 3;
const REDIRECT: u8 = 5;
const ROUTER_ADVERTISEMENT: u8 = 9;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;
/// A message longer than this may have extensions behind its 128 bytes of datagram.
const EXTENDED_MIN_LEN: usize = 136;

const TYPES: Names = &[
    (4, "source quench"),
    (10, "router solicitation"),
    (13, "time stamp request"),
    (14, "time stamp reply"),
    (15, "information request"),
    (16, "information reply"),
    (17, "address mask request"),
];

/// Text before and behind the address.
const UNREACHABLE_CODES: &[(u8, &str, &str)] = &[
    (0, "net ", " unreachable"),
    (1, "host ", " unreachable"),
    (5, "", " unreachable - source route failed"),
    (6, "net ", " unreachable - unknown"),
    (7, "host ", " unreachable - unknown"),
    (8, "", " unreachable - source host isolated"),
    (9, "net ", " unreachable - admin prohibited"),
    (10, "host ", " unreachable - admin prohibited"),
    (11, "net ", " unreachable - tos prohibited"),
    (12, "host ", " unreachable - tos prohibited"),
    (13, "host ", " unreachable - admin prohibited filter"),
    (14, "host ", " unreachable - host precedence violation"),
    (15, "host ", " unreachable - precedence cutoff"),
];

const EXTENSIONS: Names =
    &[(1, "MPLS Stack Entry"), (2, "Interface Identification"), (3, "Interface Identification")];

/// Prints a message of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    c.layer("icmp");
    let start = c.out.len();
    let outcome = message(c, buf, len, network);
    if outcome == Err(Stop::Truncated) && c.out.get(start..start + 5) == Some(&b"\x00ICMP"[..]) {
        // A message that was cut off before it said anything says nothing.
        c.out.truncate(start);
    } else if c.out.get(start) == Some(&0) {
        c.out.remove(start);
    }
    outcome
}

/// Until the first line is whole, the text begins with a mark that `print` takes away.
fn message<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    let start = c.out.len();
    c.put("\0ICMP ");
    let (kind, code) = (buf.u8_at(0)?, buf.u8_at(1)?);
    c.field(Field::IcmpType, kind);
    c.field(Field::IcmpCode, code);
    if S::FIELDS && buf.has(4) {
        c.field(Field::IcmpChecksum, buf.be16_at(2)?);
    }
    describe(c, buf, kind, code)?;
    if S::TEXT {
        c.out.remove(start);
    }
    put!(c, ", length ", len);
    if c.verbose() && !c.options.unchecked && !network.fragment && buf.has(len) {
        let computed = Checksum::new().with(buf.bytes_at(0, len)?).finish();
        if computed != 0 {
            let found = buf.be16_at(2)?;
            put!(
                c,
                " (wrong icmp cksum ",
                Hex(found),
                " (->",
                Hex(should_be(found, computed)),
                ")!)"
            );
        }
    }
    if !c.verbose() || matches!(kind, 0 | 8 | 9 | 10 | 13..=18) {
        return Ok(());
    }
    c.put("\n\t");
    let inner = buf.from(8);
    let inner_len = usize::from(inner.be16_at(2)?);
    c.nested(|c| {
        let outcome = ip::print(c, inner.limit(inner_len), inner_len);
        match outcome {
            Err(Stop::Truncated) => Err(Stop::Truncated),
            other => c.absorb(other),
        }
    })?;
    c.layer("icmp");
    if len > EXTENDED_MIN_LEN && matches!(kind, UNREACHABLE | TIME_EXCEEDED | PARAMETER_PROBLEM) {
        extensions(c, buf, len)?;
    }
    Ok(())
}

fn describe<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, kind: u8, code: u8) -> Step {
    match kind {
        0 | 8 => {
            let word = if kind == 8 { "request" } else { "reply" };
            put!(c, "echo ", word, ", id ", buf.be16_at(4)?, ", seq ", buf.be16_at(6)?);
        }
        UNREACHABLE => unreachable(c, buf, code)?,
        REDIRECT => {
            buf.bytes_at(24, 4)?;
            c.put(match code {
                0 | 1 => "redirect ",
                2 | 3 => "redirect-tos ",
                _ => "redirect-#",
            });
            if code > 3 {
                put!(c, code, " ");
            }
            c.host4(buf, 24)?;
            c.put(if matches!(code, 1 | 3) { " to host " } else { " to net " });
            c.host4(buf, 4)?;
        }
        ROUTER_ADVERTISEMENT => router_advertisement(c, buf)?,
        TIME_EXCEEDED => {
            buf.bytes_at(24, 4)?;
            match code {
                0 => c.put("time exceeded in-transit"),
                1 => c.put("ip reassembly time exceeded"),
                _ => put!(c, "time exceeded-#", code),
            }
        }
        PARAMETER_PROBLEM => match code {
            0 => put!(c, "parameter problem - octet ", buf.u8_at(4)?),
            _ => put!(c, "parameter problem - code ", code),
        },
        18 => put!(c, "address mask is 0x", HexN(buf.be32_at(8)?, 8)),
        13 => put!(c, "time stamp query id ", buf.be16_at(4)?, " seq ", buf.be16_at(6)?),
        14 => {
            put!(c, "time stamp reply id ", buf.be16_at(4)?, " seq ", buf.be16_at(6)?);
            put!(c, ": org ", Clock(buf.be32_at(8)?), ", recv ", Clock(buf.be32_at(12)?));
            put!(c, ", xmit ", Clock(buf.be32_at(16)?));
        }
        _ => match name_of(TYPES, kind.into()) {
            Some(name) => c.put(name),
            None => put!(c, "type-#", kind),
        },
    }
    Ok(())
}

/// Milliseconds since midnight.
struct Clock(u32);

impl crate::text::Put for Clock {
    fn put(&self, out: &mut Vec<u8>) {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        (DecN(seconds / 3600, 2), ":", DecN(seconds / 60 % 60, 2), ":").put(out);
        (DecN(seconds % 60, 2), ".", DecN(millis, 3)).put(out);
    }
}

fn unreachable<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, code: u8) -> Step {
    buf.bytes_at(24, 4)?;
    match code {
        2 => {
            c.host4(buf, 24)?;
            put!(c, " protocol ", buf.u8_at(17)?, " unreachable");
        }
        3 => {
            let header_len = usize::from(buf.u8_at(8)? & 15) * 4;
            let port = buf.be16_at(8 + header_len + 2)?;
            let protocol = buf.u8_at(17)?;
            c.host4(buf, 24)?;
            match protocol {
                6 => {
                    c.put(" tcp port ");
                    c.tcp_port(port);
                }
                17 => {
                    c.put(" udp port ");
                    c.udp_port(port);
                }
                _ => put!(c, " protocol ", protocol, " port ", port),
            }
            c.put(" unreachable");
        }
        4 => {
            c.host4(buf, 24)?;
            c.put(" unreachable - need to frag");
            match buf.be16_at(6)? {
                0 => {}
                mtu => put!(c, " (mtu ", mtu, ")"),
            }
        }
        _ => match UNREACHABLE_CODES.iter().find(|row| row.0 == code) {
            Some((_, before, behind)) => {
                c.put(*before);
                c.host4(buf, 24)?;
                c.put(*behind);
            }
            None => {
                put!(c, "#", code, " ");
                c.host4(buf, 24)?;
                c.put(" unreachable");
            }
        },
    }
    Ok(())
}

/// RFC 1256.
fn router_advertisement<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    let lifetime = u32::from(buf.be16_at(6)?);
    c.put("router advertisement lifetime ");
    let (hours, minutes, seconds) = (lifetime / 3600, lifetime % 3600 / 60, lifetime % 60);
    match lifetime {
        0..60 => c.put(lifetime),
        60..3600 => put!(c, minutes, ":", DecN(seconds, 2)),
        _ => put!(c, hours, ":", DecN(minutes, 2), ":", DecN(seconds, 2)),
    }
    let (count, size) = (buf.u8_at(4)?, buf.u8_at(5)?);
    put!(c, " ", count, ":");
    if size != 2 {
        put!(c, " [size ", size, "]");
        return Ok(());
    }
    for index in 0..usize::from(count) {
        buf.bytes_at(8 + 8 * index, 8)?;
        c.put(" {");
        c.host4(buf, 8 + 8 * index)?;
        put!(c, " ", buf.be32_at(12 + 8 * index)?, "}");
    }
    Ok(())
}

fn extensions<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    let header = buf.from(EXTENDED_MIN_LEN);
    header.need(4)?;
    let version = header.u8_at(0)? >> 4;
    if version != 2 {
        put!(c, "\n\tICMP Multi-Part extension v", version, " packet not supported");
        return Ok(());
    }
    put!(c, "\n\tICMP Multi-Part extension v", version);
    let mut left = len - EXTENDED_MIN_LEN;
    if header.has(left) {
        let sum = Checksum::new().with(header.bytes_at(0, left)?).finish();
        let right = if sum == 0 { "correct" } else { "incorrect" };
        put!(c, ", checksum 0x", HexN(header.be16_at(2)?, 4), " (", right, "), length ", left);
    }
    left = left.saturating_sub(4);
    let mut object = header.from(4);
    while left > 4 {
        let object_len = usize::from(object.be16_at(0)?);
        let (class, kind) = (object.u8_at(2)?, object.u8_at(3)?);
        let body_len = object_len.saturating_sub(4);
        put!(c, "\n\t  ", name_or(EXTENSIONS, class.into(), "unknown"), " Object (", class);
        put!(c, "), Class-Type: ", kind, ", length ", body_len);
        left -= 4;
        if object_len < 4 || body_len > left {
            break;
        }
        let body = object.from(4);
        match (class, kind) {
            (1, 1) => mpls_stack(c, body, body_len)?,
            (2, _) if body_len >= 4 => interface(c, body, body_len, kind)?,
            _ => c.hex_print("\n\t    ", body, body_len),
        }
        object = body.from(body_len);
        left -= body_len;
    }
    Ok(())
}

fn mpls_stack<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>, len: usize) -> Step {
    for at in (0..len).step_by(4) {
        let entry = body.be32_at(at)?;
        put!(c, "\n\t    label ", entry >> 12, ", tc ", entry >> 9 & 7);
        if entry & 0x100 != 0 {
            c.put(", stack");
        }
        put!(c, ", ttl ", entry & 0xff);
    }
    Ok(())
}

/// Interface information (RFC 5837).
fn interface<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>, len: usize, kind: u8) -> Step {
    const ROLES: [&str; 4] = [
        "the IP interface upon which datagram arrived",
        "the sub-IP component of an IP interface",
        "the IP interface through which the datagram would have been forwarded",
        "the IP next hop to which the datagram would be forwarded",
    ];
    put!(c, "\n\t\t This object describes ", ROLES[usize::from(kind >> 6)]);
    let mut body = body.limit(len);
    if kind & 8 != 0 {
        put!(c, ", Interface Index, length 4: ", body.be32()?);
    }
    if kind & 4 != 0 {
        let family = body.be16()?;
        body.be16()?;
        if family == 1 {
            put!(c, "\n\t\t IP Address sub-object: ", Ip4(body.array_at(0)?));
            body.take(4)?;
        }
    }
    if kind & 2 != 0 {
        let name_len = usize::from(body.u8()?);
        put!(c, "\n\t\t Interface Name, length ", name_len, ": ");
        let name = body.take(name_len.saturating_sub(1))?;
        c.put(crate::text::Visible(name));
    }
    if kind & 1 != 0 {
        put!(c, "\n\t\t MTU Value, length 4: ", body.be32()?);
    }
    Ok(())
}
