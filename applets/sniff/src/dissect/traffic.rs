//! Traffic engineering attributes that several routing protocols carry (RFC 3471, RFC 4124,
//! RFC 4203).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Fixed3, Named, Names, Put, name_or};

/// Protection of a link.
pub const PROTECTION: Names = &[
    (0x01, "Extra"),
    (0x02, "Unprotected"),
    (0x04, "Shared"),
    (0x08, "Dedicated 1:1"),
    (0x10, "Dedicated 1+1"),
    (0x20, "Enhanced"),
    (0x40, "Reserved"),
    (0x80, "Reserved"),
];
/// Switching capabilities.
pub const SWITCHING: Names = &[
    (1, "Packet-Switch Capable-1"),
    (2, "Packet-Switch Capable-2"),
    (3, "Packet-Switch Capable-3"),
    (4, "Packet-Switch Capable-4"),
    (40, "Ethernet Virtual Private Line"),
    (41, "802_1 PBB-TE"),
    (51, "Layer-2 Switch Capable"),
    (100, "Time-Division-Multiplex"),
    (125, "OTN-TDM capable"),
    (130, "Dual-coupled capable (DCSC)"),
    (150, "Lambda-Switch Capable"),
    (200, "Fiber-Switch Capable"),
];
/// Encodings of a label switched path.
pub const ENCODING: Names = &[
    (1, "Packet"),
    (2, "Ethernet V2/DIX"),
    (3, "ANSI/ETSI PDH"),
    (4, "Reserved"),
    (5, "SDH/SONET ITU-T G.707"),
    (6, "SDH/SONET ANSI T1.105"),
    (7, "Digital Wrapper"),
    (8, "Lambda"),
    (9, "Fiber"),
    (10, "Ethernet 802.3"),
    (11, "FiberChannel"),
    (12, "Digital Path (G.709)"),
    (13, "Digital Optical Channel"),
    (14, "Line (e.g. 8B/10B)"),
];
const INDICATION: Names = &[(0, "Standard SONET/SDH"), (1, "Arbitrary SONET/SDH")];
const MODELS: Names = &[(0, "maximum allocation"), (1, "russian dolls")];

/// A rate in bytes a second as IEEE floating point, shown in megabits.
#[derive(Clone, Copy, Debug)]
pub struct Mbps(pub u32);

impl Put for Mbps {
    fn put(&self, out: &mut Vec<u8>) {
        // In single precision, as the incumbent computes it: the last digits show.
        let rate = f32::from_bits(self.0) * 8.0 / 1_000_000.0;
        (Fixed3(f64::from(rate)), " Mbps").put(out);
    }
}

/// Bandwidth constraints by class type.
pub fn constraints<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>, ident: &str) -> Step {
    let model = value.u8_at(0)?;
    put!(c, ident, "  Bandwidth Constraints Model ID: ");
    put!(c, name_or(MODELS, model.into(), "unknown"), " (", model, ")");
    let mut rest = value.from(1);
    let mut class = 0u32;
    while rest.has(4) {
        put!(c, ident, "  Bandwidth constraint CT", class, ": ", Mbps(rest.be32()?));
        class += 1;
    }
    Ok(())
}

/// The switching capability of an interface; at least 36 bytes.
pub fn switching<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>, ident: &str) -> Step {
    let capability = value.u8_at(0)?;
    put!(c, ident, "  Interface Switching Capability:");
    put!(c, name_or(SWITCHING, capability.into(), "Unknown"), ", LSP Encoding: ");
    put!(c, name_or(ENCODING, value.u8_at(1)?.into(), "Unknown"));
    put!(c, ident, "  Max LSP Bandwidth:");
    for priority in 0..8usize {
        let rate = Mbps(value.be32_at(4 + priority * 4)?);
        put!(c, ident, "    priority level ", priority, ": ", rate);
    }
    let rest = value.from(36);
    match capability {
        1..=4 if rest.has(6) => {
            put!(c, ident, "  Min LSP Bandwidth: ", Mbps(rest.be32_at(0)?));
            put!(c, ident, "  Interface MTU: ", rest.be16_at(4)?);
        }
        100 if rest.has(8) => {
            put!(c, ident, "  Min LSP Bandwidth: ", Mbps(rest.be32_at(0)?));
            let indication = Named(INDICATION, rest.u8_at(4)?.into(), "Unknown (", ")");
            put!(c, ident, "  Indication ", indication);
        }
        1..=4 | 100 => {}
        _ if rest.is_empty() => {}
        _ => c.hex_print("\n\t\t    ", rest, rest.len()),
    }
    Ok(())
}
