//! Bidirectional forwarding detection (RFC 5880) over UDP (RFC 5881, 5883, 7130).

use super::registry::Ports;
use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Bits, HexN, Named, Names, Right, Visible, name_or};

const PORTS: Names = &[(3784, "Control"), (3785, "Echo"), (4784, "Multihop"), (6784, "Lag")];
const DIAGNOSTICS: Names = &[
    (0, "No Diagnostic"),
    (1, "Control Detection Time Expired"),
    (2, "Echo Function Failed"),
    (3, "Neighbor Signaled Session Down"),
    (4, "Forwarding Plane Reset"),
    (5, "Path Down"),
    (6, "Concatenated Path Down"),
    (7, "Administratively Down"),
    (8, "Reverse Concatenated Path Down"),
];
const FLAGS_0: Names = &[
    (0x80, "I Hear You"),
    (0x40, "Demand"),
    (0x20, "Poll"),
    (0x10, "Final"),
    (0x08, "Control Plane Independent"),
    (0x04, "Authentication Present"),
    (0x02, "Reserved"),
    (0x01, "Reserved"),
];
const FLAGS_1: Names = &[
    (0x20, "Poll"),
    (0x10, "Final"),
    (0x08, "Control Plane Independent"),
    (0x04, "Authentication Present"),
    (0x02, "Demand"),
    (0x01, "Reserved"),
];
const STATES: [&str; 4] = ["AdminDown", "Down", "Init", "Up"];
const AUTHENTICATION: Names = &[
    (1, "Simple Password"),
    (2, "Keyed MD5"),
    (3, "Meticulous Keyed MD5"),
    (4, "Keyed SHA1"),
    (5, "Meticulous Keyed SHA1"),
];
const ECHO: u16 = 3785;
const PRESENT: u8 = 4;

/// Prints a packet by the port that it went to.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, ports: &Ports) -> Step {
    c.layer("bfd");
    let port = ports.destination;
    let known = matches!(port, 3784 | 4784 | 6784);
    let kind = Named(PORTS, port.into(), "unknown (", ")");
    if !known || port == ECHO {
        put!(c, "BFD, ", kind, ", length: ", len);
        if c.verbose() {
            c.hex_print("\n\t", buf, len);
        }
        return Ok(());
    }
    let first = buf.u8_at(0)?;
    let (version, diagnostic) = (first >> 5, first & 0x1f);
    let flags = buf.u8_at(1)?;
    let (state, flag_names) = match version {
        0 => (None, FLAGS_0),
        _ => (STATES.get(usize::from(flags >> 6)).copied(), FLAGS_1),
    };
    put!(c, "BFDv", version, ", ");
    if c.verbose() {
        put!(c, "length: ", len, "\n\t");
    }
    put!(c, kind, state.map(|state| (", State ", state)));
    put!(c, ", Flags: [", Bits(flag_names, flags.into(), ", ", "none"), "]");
    if !c.verbose() {
        put!(c, ", length: ", len);
        return Ok(());
    }
    put!(c, ", Diagnostic: ", name_or(DIAGNOSTICS, diagnostic.into(), "unknown"));
    put!(c, " (0x", HexN(diagnostic, 2), ")");
    let (multiplier, interval) = (buf.u8_at(2)?, buf.be32_at(12)?);
    let detection = u32::from(multiplier).wrapping_mul(interval) / 1000;
    put!(c, "\n\tDetection Timer Multiplier: ", multiplier, " (", detection);
    put!(c, " ms Detection time), BFD Length: ", buf.u8_at(3)?);
    put!(c, "\n\tMy Discriminator: 0x", HexN(buf.be32_at(4)?, 8));
    put!(c, ", Your Discriminator: 0x", HexN(buf.be32_at(8)?, 8));
    put!(c, "\n\t  Desired min Tx Interval:    ", Right(interval / 1000, 4), " ms");
    put!(c, "\n\t  Required min Rx Interval:   ", Right(buf.be32_at(16)? / 1000, 4), " ms");
    put!(c, "\n\t  Required min Echo Interval: ", Right(buf.be32_at(20)? / 1000, 4), " ms");
    if flags & PRESENT != 0 {
        return authentication(c, buf.from(24), len.saturating_sub(24));
    }
    Ok(())
}

/// RFC 5880 sections 4.2 to 4.4.
fn authentication<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, left: usize) -> Step {
    if left < 2 {
        c.invalid();
        return buf.need(left);
    }
    let (kind, len) = (buf.u8_at(0)?, usize::from(buf.u8_at(1)?));
    put!(c, "\n\tAuthentication: ", name_or(AUTHENTICATION, kind.into(), "Unknown"));
    put!(c, " (", kind, "), length: ", len);
    if len == 0 || len > left {
        c.invalid();
        return buf.need(left);
    }
    match kind {
        1 if len >= 4 => {
            put!(c, "\n\t  Auth Key ID: ", buf.u8_at(2)?);
            put!(c, ", Password: ", Visible(buf.bytes_at(3, len - 3)?));
        }
        2 | 3 if len == 24 => digest(c, buf, 16)?,
        4 | 5 if len == 28 => digest(c, buf, 20)?,
        1..=5 => {
            put!(c, "[invalid length ", len, "]");
        }
        _ => c.hex_print("\n\t  ", buf.from(2), len.saturating_sub(2)),
    }
    Ok(())
}

fn digest<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    put!(c, "\n\t  Auth Key ID: ", buf.u8_at(2)?);
    put!(c, ", Sequence Number: 0x", HexN(buf.be32_at(4)?, 8), "\n\t  Digest: ");
    for byte in buf.bytes_at(8, len)? {
        put!(c, HexN(*byte, 2));
    }
    Ok(())
}
