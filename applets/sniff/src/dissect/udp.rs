//! UDP (RFC 768): ports, checksum, and the payload by port.

use super::ip::pseudo_header;
use super::registry::{Ports, Registry};
use super::{
    Buf, Ctx, Field, Network, Payload, Sink, Step, Stop, app, dns, put, quic, rtp, someip, tunnel,
};
use crate::text::HexN;
use crate::text::address::Address;
use box_wire::checksum::should_be;

const HEADER_LEN: usize = 8;

/// Prints a datagram of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    c.layer("udp");
    let Ok(destination) = buf.be16_at(2) else {
        if network.protocol == 17 {
            c.host(network.source);
            c.put(" > ");
            c.host(network.destination);
            c.put(": ");
        }
        return Err(Stop::Truncated);
    };
    let ports = Ports { source: buf.be16_at(0)?, destination, network: *network };
    ends(c, &ports);
    c.field(Field::UdpSourcePort, ports.source);
    c.field(Field::UdpDestinationPort, ports.destination);
    if len < HEADER_LEN {
        put!(c, "truncated-udp ", len);
        return Ok(());
    }
    let mut stated = usize::from(buf.be16_at(4)?);
    c.field(Field::UdpLength, stated as u32);
    if stated == 0 && len > 65_535 {
        stated = len;
    }
    if stated < HEADER_LEN {
        put!(c, "truncated-udplength ", stated);
        return Ok(());
    }
    let stated = stated - HEADER_LEN;
    let left = (len - HEADER_LEN).min(stated);
    buf.need(HEADER_LEN)?;
    if S::FIELDS {
        c.field(Field::UdpChecksum, buf.be16_at(6)?);
    }
    let data = buf.from(HEADER_LEN);
    if let Some(payload) = c.options.payload {
        return forced(c, payload, data, left, stated, &ports);
    }
    if !network.fragment {
        checksum(c, buf, left, network)?;
    }
    if c.options.quiet == 0
        && let Some(dissector) = Registry::<S>::udp(ports.source, ports.destination)
    {
        return dissector(c, data, left, &ports);
    }
    if stated > left && !network.fragment {
        put!(c, "UDP, bad length ", stated, " > ", left);
    } else {
        put!(c, "UDP, length ", stated);
    }
    Ok(())
}

fn ends<S: Sink>(c: &mut Ctx<S>, ports: &Ports) {
    if ports.network.protocol == 17 {
        c.host(ports.network.source);
        c.put(".");
        c.udp_port(ports.source);
        c.put(" > ");
        c.host(ports.network.destination);
        c.put(".");
    } else {
        c.udp_port(ports.source);
        c.put(" > ");
    }
    c.udp_port(ports.destination);
    c.put(": ");
}

/// IPv4 has the checksum at `-vv`, IPv6, where it is mandatory, at `-v`.
fn checksum<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, left: usize, network: &Network) -> Step {
    let v4 = matches!(network.source, Address::V4(_));
    if c.options.unchecked || c.options.verbose < if v4 { 2 } else { 1 } {
        return Ok(());
    }
    let found = buf.be16_at(6)?;
    if v4 && found == 0 {
        c.put("[no cksum] ");
        return Ok(());
    }
    let len = left + HEADER_LEN;
    if !buf.has(len) {
        return Ok(());
    }
    let computed = pseudo_header(network, 17, len).with(buf.bytes_at(0, len)?).finish();
    if computed == 0 {
        c.put("[udp sum ok] ");
    } else {
        put!(c, "[bad udp cksum 0x", HexN(found, 4), " -> 0x");
        put!(c, HexN(should_be(found, computed), 4), "!] ");
    }
    Ok(())
}

/// The payload is what `-T` says.
fn forced<S: Sink>(
    c: &mut Ctx<S>,
    payload: Payload,
    data: Buf<'_>,
    len: usize,
    stated: usize,
    ports: &Ports,
) -> Step {
    match payload {
        Payload::Domain => dns::print(c, data, len, dns::Kind::Unicast),
        Payload::Rtp => rtp::print(c, data, len),
        Payload::Quic => quic::print(c, data, len, ports),
        Payload::Resp => app::resp(c, data, len),
        Payload::Tftp => app::tftp(c, data, len),
        Payload::Vxlan => tunnel::vxlan(c, data, len),
        Payload::Someip => someip::print(c, data, len),
        Payload::Carp | Payload::Rtcp | Payload::Other => {
            put!(c, "UDP, length ", stated);
            Ok(())
        }
    }
}
