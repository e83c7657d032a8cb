//! GeoNetworking of vehicles (ETSI EN 302 636-4-1).

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::Names;
use crate::text::address::Mac;
use crate::text::name_or;

const MESSAGES: Names = &[
    (0, "CAM"),
    (1, "DENM"),
    (101, "TPEGM"),
    (102, "TSPDM"),
    (103, "VPM"),
    (104, "SRM"),
    (105, "SLAM"),
    (106, "ecoCAM"),
    (107, "ITM"),
    (150, "SA"),
];
const NEXT: Names = &[(0, "Any"), (1, "BTP-A"), (2, "BTP-B"), (3, "IPv6")];

const HEADERS: &[(u8, u8, &str)] = &[
    (0, 0, "Any"),
    (1, 0, "Beacon"),
    (2, 0, "GeoUnicast"),
    (3, 0, "GeoAnycastCircle"),
    (3, 1, "GeoAnycastRect"),
    (3, 2, "GeoAnycastElipse"),
    (4, 0, "GeoBroadcastCircle"),
    (4, 1, "GeoBroadcastRect"),
    (4, 2, "GeoBroadcastElipse"),
    (5, 0, "TopoScopeBcast-SH"),
    (5, 1, "TopoScopeBcast-MH"),
    (6, 0, "GeoLocService-Request"),
    (6, 1, "GeoLocService-Reply"),
];

/// Prints a packet of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, link: &Link<'_>) -> Step {
    c.layer("geonet");
    c.put("GeoNet ");
    if let Some((source, _)) = link.addresses {
        c.put("src:");
        c.mac(source);
        c.put("; ");
    }
    if len < 36 {
        return Err(Stop::Invalid);
    }
    buf.need(8)?;
    let (version, next) = (buf.u8_at(0)? >> 4, buf.u8_at(0)? & 15);
    let (kind, subtype) = (buf.u8_at(1)? >> 4, buf.u8_at(1)? & 15);
    let payload = buf.be16_at(4)?;
    let hops = buf.u8_at(7)?;
    let kind_name = HEADERS.iter().find(|row| row.0 == kind && row.1 == subtype);
    put!(c, "v:", version, " NH:", next, "-", name_or(NEXT, next.into(), "Unknown"));
    put!(c, " HT:", kind, "-", subtype, "-", kind_name.map_or("Unknown", |row| row.2));
    put!(c, " HopLim:", hops, " Payload:", payload, " ");
    put!(c, "GN_ADDR:", Mac(buf.bytes_at(8, 8)?));
    let rest = buf.from(16);
    rest.need(20)?;
    put!(c, " lat:", rest.be32_at(4)? as i32, " lon:", rest.be32_at(8)? as i32);
    let left = len - 36;
    // The headers of packets that travel more than one hop go on behind the position.
    let more = if (kind, subtype) == (5, 1) { 32 } else { 0 };
    if more > left {
        put!(c, " (header size ", more, " > ", left, ")");
        return Err(Stop::Invalid);
    }
    let rest = buf.from(36 + more);
    if next == 1 { transport(c, rest, left - more) } else { Ok(()) }
}

/// Ports, and the message of an intelligent transport system.
fn transport<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 4 {
        return Err(Stop::Invalid);
    }
    put!(c, "; BTP Dst:", buf.be16_at(0)?, " Src:", buf.be16_at(2)?);
    let (body, left) = (buf.from(4), len - 4);
    if left < 2 {
        return Ok(());
    }
    let (version, kind) = (body.u8_at(0)?, body.u8_at(1)?);
    put!(
        c,
        "; ItsPduHeader v:",
        version,
        " t:",
        kind,
        "-",
        name_or(MESSAGES, kind.into(), "Unknown")
    );
    c.default_print(body.limit(left));
    Ok(())
}
