//! Virtual router redundancy: VRRP versions 2 and 3 (RFC 3768, RFC 5798) and CARP, which took over
//! its protocol number.

use super::ip::pseudo_header;
use super::{Buf, Ctx, Network, Payload, Sink, Step, put};
use crate::text::address::Address;
use crate::text::{Hex, Named, Names};
use box_wire::checksum::Checksum;

const KINDS: Names = &[(1, "Advertisement")];
const AUTHENTICATION: Names = &[(0, "none"), (1, "simple"), (2, "ah")];
const SIMPLE: u8 = 1;
const HEADER_LEN: usize = 8;
const PROTOCOL: u8 = 112;

/// Prints a message of either protocol: CARP where `-T carp` says so.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    if c.options.payload == Some(Payload::Carp) {
        carp(c, buf, len, network)
    } else {
        vrrp(c, buf, len, network)
    }
}

fn vrrp<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    c.layer("vrrp");
    let first = buf.u8_at(0)?;
    let (version, kind) = (first >> 4, first & 15);
    put!(c, "VRRPv", version, ", ", Named(KINDS, kind.into(), "unknown type (", ")"));
    if network.hops != 255 {
        put!(c, ", (ttl ", network.hops, ")");
    }
    if !matches!(version, 2 | 3) || kind != 1 {
        return Ok(());
    }
    put!(c, ", vrid ", buf.u8_at(1)?, ", prio ", buf.u8_at(2)?);
    let authentication = buf.u8_at(4)?;
    if version == 2 {
        let name = crate::text::name_of(AUTHENTICATION, authentication.into());
        match name {
            Some(name) => put!(c, ", authtype ", name),
            None => put!(c, ", authtype #", authentication),
        }
        put!(c, ", intvl ", buf.u8_at(5)?, "s, length ", len);
    } else {
        put!(c, ", intvl ", buf.be16_at(4)? & 0xfff, "cs, length ", len);
    }
    if !c.verbose() {
        return Ok(());
    }
    if buf.has(len) {
        let sum = match (version, network.source) {
            (3, Address::V4(_)) => pseudo_header(network, PROTOCOL, len),
            (_, Address::V6(_)) => pseudo_header(network, PROTOCOL, len),
            _ => Checksum::new(),
        };
        if sum.with(buf.bytes_at(0, len)?).finish() != 0 {
            put!(c, ", (bad vrrp cksum ", Hex(buf.be16_at(6)?), ")");
        }
    }
    let count = buf.u8_at(3)?;
    c.put(", addrs");
    if count > 1 {
        put!(c, "(", count, ")");
    }
    c.put(":");
    let mut at = HEADER_LEN;
    let mut separator = " ";
    for _ in 0..count {
        let v4 = matches!(network.source, Address::V4(_));
        if v4 {
            buf.need(at + 4)?;
        } else {
            buf.need(at + 16)?;
        }
        c.put(separator);
        separator = ",";
        if v4 {
            c.host4(buf, at)?;
            at += 4;
        } else {
            c.host6(buf, at)?;
            at += 16;
        }
    }
    if version == 2 && authentication == SIMPLE {
        buf.need(at + 8)?;
        c.put(" auth \"");
        c.visible_to_nul(buf.from(at), 8)?;
        c.put("\"");
    }
    Ok(())
}

/// CARP has no document; its header is that of VRRP with a counter and a digest.
fn carp<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    c.layer("carp");
    c.put("CARP");
    let first = buf.u8_at(0)?;
    let (version, kind) = (first >> 4, first & 15);
    put!(c, "v", version, "-");
    if kind == 1 {
        c.put("advertise ");
    } else {
        put!(c, "unknown type (", kind, ")");
    }
    put!(c, len, ": ");
    if network.hops != 255 {
        put!(c, "[ttl=", network.hops, "!] ");
    }
    if version != 2 || kind != 1 {
        return Ok(());
    }
    let base = buf.u8_at(5)?;
    put!(c, "vhid=", buf.u8_at(1)?, " advbase=", base, " advskew=", buf.u8_at(2)?);
    put!(c, " authlen=", buf.u8_at(3)?, " ");
    if c.verbose() && buf.has(len) && Checksum::new().with(buf.bytes_at(0, len)?).finish() != 0 {
        put!(c, " (bad carp cksum ", Hex(buf.be16_at(6)?), "!)");
    }
    put!(c, "counter=", buf.be64_at(8)?);
    Ok(())
}
