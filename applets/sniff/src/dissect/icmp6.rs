//! ICMPv6 (RFC 4443), neighbour discovery (RFC 4861) and multicast listeners (RFC 3810).

use super::ip::pseudo_header;
use super::{Buf, Ctx, Field, Network, Sink, Step, Stop, dns, icmp6_node, put, rpl};
use crate::text::address::{Ip6, Mac};
use crate::text::{Bits, HexN, Named, Names, name_or};
use box_wire::checksum::should_be;

const TYPES: Names = &[
    (1, "destination unreachable"),
    (2, "packet too big"),
    (3, "time exceeded in-transit"),
    (4, "parameter problem"),
    (128, "echo request"),
    (129, "echo reply"),
    (130, "multicast listener query"),
    (131, "multicast listener report"),
    (132, "multicast listener done"),
    (133, "router solicitation"),
    (134, "router advertisement"),
    (135, "neighbor solicitation"),
    (136, "neighbor advertisement"),
    (137, "redirect"),
    (138, "router renumbering"),
    (139, "node information query"),
    (140, "node information reply"),
    (141, "inverse neighbor solicitation"),
    (142, "inverse neighbor advertisement"),
    (143, "multicast listener report v2"),
    (144, "ha discovery request"),
    (145, "ha discovery reply"),
    (146, "mobile router solicitation"),
    (147, "mobile router advertisement"),
    (155, "RPL"),
    (200, "mtrace message"),
    (201, "mtrace response"),
];

const UNREACHABLE: Names = &[
    (0, "unreachable route"),
    (1, " unreachable prohibited"),
    (2, "beyond scope"),
    (3, "unreachable address"),
    (4, "unreachable port"),
];

const OPTIONS: Names = &[
    (1, "source link-address"),
    (2, "destination link-address"),
    (3, "prefix info"),
    (4, "redirected header"),
    (5, "mtu"),
    (7, "advertisement interval"),
    (8, "homeagent information"),
    (24, "route info"),
    (25, "rdnss"),
    (31, "dnssl"),
];

const PREFIX_FLAGS: Names = &[(0x80, "onlink"), (0x40, "auto"), (0x20, "router")];
const ROUTER_FLAGS: Names =
    &[(0x80, "managed"), (0x40, "other stateful"), (0x20, "home agent"), (0x02, "ipv6 only")];
const NEIGHBOR_FLAGS: Names =
    &[(0x8000_0000, "router"), (0x4000_0000, "solicited"), (0x2000_0000, "override")];
const RECORDS: Names =
    &[(1, "is_in"), (2, "is_ex"), (3, "to_in"), (4, "to_ex"), (5, "allow"), (6, "block")];
const PREFERENCES: [&str; 4] = ["medium", "high", "rsv", "low"];

/// Prints a message of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    c.layer("icmp6");
    if len == 0 {
        c.put("ICMP6, length 0");
        return Err(Stop::Invalid);
    }
    if c.verbose() && !network.fragment && buf.has(len) {
        let computed = pseudo_header(network, 58, len).with(buf.bytes_at(0, len)?).finish();
        let found = buf.be16_at(2)?;
        if computed == 0 {
            c.put("[icmp6 sum ok] ");
        } else {
            put!(c, "[bad icmp6 cksum 0x", HexN(found, 4), " -> 0x");
            put!(c, HexN(should_be(found, computed), 4), "!] ");
        }
    }
    let kind = buf.u8_at(0)?;
    c.field(Field::Icmpv6Type, kind);
    put!(c, "ICMP6, ", Named(TYPES, kind.into(), "unknown icmp6 type (", ")"));
    if c.verbose() && matches!(kind, 133..=137 | 145 | 147) {
        put!(c, ", length ", len);
    }
    let code = buf.u8_at(1)?;
    c.field(Field::Icmpv6Code, code);
    if !message(c, buf, len, kind, code)? {
        return Ok(());
    }
    if !c.verbose() {
        put!(c, ", length ", len);
    }
    Ok(())
}

/// Prints the body; `false` when the line is complete with it.
fn message<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, kind: u8, code: u8) -> Step<bool> {
    match kind {
        1 => return unreachable(c, buf, len, code),
        2 => put!(c, ", mtu ", buf.be32_at(4)?),
        3 => match code {
            0 => {
                buf.bytes_at(32, 16)?;
                c.put(" for ");
                c.host6(buf, 32)?;
            }
            1 => c.put(" (reassembly)"),
            _ => put!(c, ", unknown code (", code, ")"),
        },
        4 => {
            buf.bytes_at(32, 16)?;
            let word = match code {
                0 => ", erroneous - octet ",
                1 => ", next header - octet ",
                2 => ", option - octet ",
                3 => ", incomplete header chain - octet ",
                _ => {
                    put!(c, ", code-#", code);
                    return Ok(true);
                }
            };
            put!(c, word, buf.be32_at(4)?);
        }
        128 | 129 => put!(c, ", id ", buf.be16_at(4)?, ", seq ", buf.be16_at(6)?),
        130 if len == 24 => listener(c, buf)?,
        130 if len >= 28 => {
            c.put(" v2");
            listener_query(c, buf, len)?;
        }
        130 => put!(c, " unknown-version (len ", len, ") "),
        131 | 132 => listener(c, buf)?,
        133 => options(c, buf, len, 8)?,
        134 => {
            if c.verbose() {
                router_advertisement(c, buf)?;
            }
            options(c, buf, len, 16)?;
        }
        135 => {
            buf.bytes_at(8, 16)?;
            c.put(", who has ");
            c.host6(buf, 8)?;
            options(c, buf, len, 24)?;
        }
        136 => {
            buf.bytes_at(8, 16)?;
            c.put(", tgt is ");
            c.host6(buf, 8)?;
            if c.verbose() {
                put!(c, ", Flags [", Bits(NEIGHBOR_FLAGS, buf.be32_at(4)?, ", ", "none"), "]");
            }
            options(c, buf, len, 24)?;
        }
        137 => {
            buf.bytes_at(24, 16)?;
            c.put(", ");
            c.host6(buf, 24)?;
            buf.bytes_at(8, 16)?;
            c.put(" to ");
            c.host6(buf, 8)?;
            options(c, buf, len, 40)?;
        }
        138 => icmp6_node::renumbering(c, buf)?,
        139 | 140 => {
            let step = icmp6_node::information(c, buf, len, kind == 139);
            c.absorb(step)?;
        }
        141 | 142 | 200 | 201 if kind < 200 => {}
        143 => listener_report(c, buf, len)?,
        144 | 146 => put!(c, ", id 0x", HexN(buf.be16_at(4)?, 4)),
        145 if c.verbose() => {
            put!(c, ", id 0x", HexN(buf.be16_at(4)?, 4));
            let list = buf.limit(len).from(8);
            for at in (0..list.len()).step_by(16) {
                list.bytes_at(at, 16)?;
                c.put(", ");
                c.host6(list, at)?;
            }
        }
        145 => {}
        147 if c.verbose() => {
            put!(c, ", id 0x", HexN(buf.be16_at(4)?, 4));
            let flags = buf.be16_at(6)?;
            if flags & 0xc000 != 0 {
                c.put(" ");
            }
            c.put(if flags & 0x8000 != 0 { "M" } else { "" });
            c.put(if flags & 0x4000 != 0 { "O" } else { "" });
            options(c, buf, len, 8)?;
        }
        147 => {}
        155 => rpl::print(c, code, buf.from(4), len.saturating_sub(4))?,
        _ => {
            put!(c, ", length ", len);
            if c.options.verbose <= 1 {
                c.hex_print("\n\t", buf, len);
            }
            return Ok(false);
        }
    }
    Ok(true)
}

fn unreachable<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, code: u8) -> Step<bool> {
    put!(c, ", ", Named(UNREACHABLE, code.into(), "unknown unreach code (", ")"));
    match code {
        0 | 1 | 3 => {
            buf.bytes_at(32, 16)?;
            c.put(" ");
            c.host6(buf, 32)?;
        }
        2 => {
            buf.bytes_at(16, 32)?;
            c.put(" ");
            c.host6(buf, 32)?;
            c.put(", source address ");
            c.host6(buf, 16)?;
        }
        4 => {
            let (protocol, port) = upper_layer(buf.from(8))?;
            c.put(", ");
            c.host6(buf, 32)?;
            match protocol {
                6 => {
                    c.put(" tcp port ");
                    c.tcp_port(port);
                }
                _ => {
                    c.put(" udp port ");
                    c.udp_port(port);
                }
            }
        }
        _ => {
            if c.options.verbose <= 1 {
                c.hex_print("\n\t", buf, len);
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Protocol and destination port of the datagram that an error quotes.
fn upper_layer(buf: Buf<'_>) -> Step<(u8, u16)> {
    let mut next = buf.u8_at(6)?;
    let mut at = 40;
    loop {
        match next {
            6 | 17 => return Ok((next, buf.be16_at(at + 2)?)),
            0 | 43 | 60 => {
                let header_len = (usize::from(buf.u8_at(at + 1)?) + 1) * 8;
                next = buf.u8_at(at)?;
                at += header_len;
            }
            44 => {
                if buf.be16_at(at + 2)? & 0xfff8 != 0 {
                    return Err(Stop::Truncated);
                }
                next = buf.u8_at(at)?;
                at += 8;
            }
            51 => {
                let header_len = (usize::from(buf.u8_at(at + 1)?) + 2) * 4;
                next = buf.u8_at(at)?;
                at += header_len;
            }
            _ => return Err(Stop::Truncated),
        }
    }
}

fn router_advertisement<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    let flags = buf.u8_at(5)?;
    put!(c, "\n\thop limit ", buf.u8_at(4)?);
    put!(c, ", Flags [", Bits(ROUTER_FLAGS, flags.into(), ", ", "none"), "]");
    put!(c, ", pref ", PREFERENCES[usize::from(flags >> 3 & 3)]);
    put!(c, ", router lifetime ", buf.be16_at(6)?, "s, reachable time ", buf.be32_at(8)?);
    put!(c, "ms, retrans timer ", buf.be32_at(12)?, "ms");
    Ok(())
}

fn lifetime<S: Sink>(c: &mut Ctx<S>, seconds: u32) {
    match seconds {
        u32::MAX => c.put("infinity"),
        _ => put!(c, seconds, "s"),
    }
}

/// The options behind the first `skip` bytes, at `-v`.
fn options<S: Sink>(c: &mut Ctx<S>, message: Buf<'_>, len: usize, skip: usize) -> Step {
    if !c.verbose() {
        return Ok(());
    }
    let mut buf = message.from(skip);
    let mut left = len.saturating_sub(skip);
    while !buf.is_empty() {
        let units = buf.u8_at(1)?;
        if left == 0 {
            return Ok(());
        }
        let kind = buf.u8_at(0)?;
        let option_len = usize::from(units) * 8;
        if units == 0 || option_len > buf.len() {
            return Err(Stop::Truncated);
        }
        put!(
            c,
            "\n\t  ",
            name_or(OPTIONS, kind.into(), "unknown"),
            " option (",
            kind,
            "), length "
        );
        put!(c, option_len, " (", units, "): ");
        let known = option(c, message.from(skip), buf.limit(option_len), kind, units)?;
        if !known && c.options.verbose <= 1 {
            c.hex_print("\n\t  ", buf.from(2), option_len - 2);
            return Ok(());
        }
        if c.options.verbose > 1 {
            c.hex_print("\n\t    ", buf.from(2), option_len - 2);
        }
        buf = buf.from(option_len);
        left = left.saturating_sub(option_len);
        c.check_text()?;
    }
    Ok(())
}

/// One option; `false` when its kind is not known.
fn option<S: Sink>(
    c: &mut Ctx<S>,
    first: Buf<'_>,
    buf: Buf<'_>,
    kind: u8,
    units: u8,
) -> Step<bool> {
    match kind {
        1 | 2 => c.put(Mac(buf.from(2).bytes())),
        3 => {
            let prefix = Ip6(buf.array_at(16)?);
            put!(c, prefix, "/", buf.u8_at(2)?, if units == 4 { "" } else { "badlen" });
            put!(c, ", Flags [", Bits(PREFIX_FLAGS, buf.u8_at(3)?.into(), ", ", "none"), "]");
            c.put(", valid time ");
            lifetime(c, buf.be32_at(4)?);
            c.put(", pref. time ");
            lifetime(c, buf.be32_at(8)?);
        }
        4 => c.hex_print("\n\t    ", first, usize::from(units) * 8),
        5 => put!(c, " ", buf.be32_at(4)?, if units == 1 { "" } else { "bad option length" }),
        7 => put!(c, " ", buf.be32_at(4)?, "ms"),
        8 => put!(c, " preference ", buf.be16_at(4)?, ", lifetime ", buf.be16_at(6)?),
        24 => {
            if units > 3 {
                return Err(Stop::Truncated);
            }
            let known = usize::from(units - 1) * 8;
            let mut prefix = [0; 16];
            if let Some(slot) = prefix.get_mut(..known) {
                slot.copy_from_slice(buf.bytes_at(8, known)?);
            }
            put!(c, " ", Ip6(prefix), "/", buf.u8_at(2)?);
            put!(c, ", pref=", PREFERENCES[usize::from(buf.u8_at(3)? >> 3 & 3)], ", lifetime=");
            lifetime(c, buf.be32_at(4)?);
        }
        25 => {
            put!(c, " lifetime ", buf.be32_at(4)?, "s,");
            for index in 0..usize::from(units - 1) / 2 {
                buf.bytes_at(8 + 16 * index, 16)?;
                c.put(" addr: ");
                c.host6(buf, 8 + 16 * index)?;
            }
        }
        31 => {
            put!(c, " lifetime ", buf.be32_at(4)?, "s, domain(s):");
            let mut at = 8;
            while at < buf.len() && buf.u8_at(at)? != 0 {
                c.put(" ");
                at = dns::name(c, buf, at)?;
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn listener<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    if !buf.has(24) {
        return Ok(());
    }
    put!(c, "max resp delay: ", buf.be16_at(4)?, " addr: ");
    c.host6(buf, 8)
}

fn listener_query<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    let code = u32::from(buf.be16_at(4)?);
    // RFC 3810 section 5.1.3: above 32767 it is a float.
    let delay =
        if code < 32_768 { code } else { (code & 0xfff | 0x1000) << ((code >> 12 & 7) + 3) };
    if c.verbose() {
        put!(c, " [max resp delay=", delay, "]");
    }
    buf.bytes_at(8, 16)?;
    c.put(" [gaddr ");
    c.host6(buf, 8)?;
    if c.verbose() {
        let flags = buf.u8_at(24)?;
        if flags & 8 != 0 {
            c.put(" sflag");
        }
        if flags & 7 != 0 {
            put!(c, " robustness=", flags & 7);
        }
        let code = u32::from(buf.u8_at(25)?);
        let seconds = if code < 128 { code } else { (code & 15 | 16) << ((code >> 4 & 7) + 3) };
        put!(c, " qqi=", seconds);
    }
    let sources = usize::from(buf.be16_at(26)?);
    if sources > 0 {
        if len < 28 + 16 * sources {
            c.put(" [invalid number of sources]");
        } else if c.options.verbose > 1 {
            sources_of(c, buf.from(28), sources)?;
        } else {
            put!(c, ", ", sources, " source(s)");
        }
    }
    c.put("]");
    Ok(())
}

fn sources_of<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, count: usize) -> Step {
    c.put(" {");
    for index in 0..count {
        buf.bytes_at(16 * index, 16)?;
        c.put(" ");
        c.host6(buf, 16 * index)?;
    }
    c.put(" }");
    Ok(())
}

fn listener_report<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 8 {
        put!(c, " [invalid len ", len, "]");
        return Ok(());
    }
    let groups = buf.be16_at(6)?;
    put!(c, ", ", groups, " group record(s)");
    if !c.verbose() {
        return Ok(());
    }
    let mut at = 8;
    for _ in 0..groups {
        if len < at + 20 {
            c.put(" [invalid number of groups]");
            return Ok(());
        }
        buf.bytes_at(at + 4, 16)?;
        c.put(" [gaddr ");
        c.host6(buf, at + 4)?;
        let kind = u32::from(buf.u8_at(at)?);
        put!(c, " ", Named(RECORDS, kind, " [v2-report-#", "]"));
        let sources = usize::from(buf.be16_at(at + 2)?);
        if len < at + 20 + 16 * sources {
            put!(c, " [invalid number of sources ", sources, "]");
            return Ok(());
        }
        if c.options.verbose == 1 {
            put!(c, ", ", sources, " source(s)");
        } else {
            sources_of(c, buf.from(at + 20), sources)?;
        }
        at += 20 + 16 * sources;
        c.put("]");
    }
    Ok(())
}
