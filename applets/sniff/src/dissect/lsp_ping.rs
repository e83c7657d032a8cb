//! Echo requests and replies along label switched paths (RFC 4379).

use super::{Buf, Ctx, Sink, Step, ntp, put};
use crate::text::address::{Ip4, Ip6};
use crate::text::{HexN, Named, Names, name_or};

const MESSAGES: Names = &[(1, "MPLS Echo Request"), (2, "MPLS Echo Reply")];
const MODES: Names = &[
    (1, "Do not reply"),
    (2, "Reply via an IPv4/IPv6 UDP packet"),
    (3, "Reply via an IPv4/IPv6 UDP packet with Router Alert"),
    (4, "Reply via application level control channel"),
];
const CODES: Names = &[
    (0, "No return code or return code contained in the Error Code TLV"),
    (1, "Malformed echo request received"),
    (2, "One or more of the TLVs was not understood"),
    (3, "Replying router is an egress for the FEC at stack depth"),
    (4, "Replying router has no mapping for the FEC at stack depth"),
    (5, "Reserved"),
    (6, "Reserved"),
    (7, "Reserved"),
    (8, "Label switched at stack-depth"),
    (9, "Label switched but no MPLS forwarding at stack-depth"),
    (10, "Mapping for this FEC is not the given label at stack depth"),
    (11, "No label entry at stack-depth"),
    (12, "Protocol not associated with interface at FEC stack depth"),
];
const VALUES: Names = &[
    (1, "Target FEC Stack"),
    (2, "Downstream Mapping"),
    (3, "Pad"),
    (4, "Error Code"),
    (5, "Vendor Enterprise Code"),
];
const STACK: Names = &[
    (1, "LDP IPv4 prefix"),
    (2, "LDP IPv6 prefix"),
    (3, "RSVP IPv4 Session Query"),
    (4, "RSVP IPv6 Session Query"),
    (5, "Reserved"),
    (6, "VPN IPv4 prefix"),
    (7, "VPN IPv6 prefix"),
    (8, "L2 VPN endpoint"),
    (9, "L2 circuit ID (old)"),
    (10, "L2 circuit ID"),
    (11, "BGP labeled IPv4 prefix"),
    (12, "BGP labeled IPv6 prefix"),
];
const HEADER: usize = 32;

/// Prints a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("lspping");
    buf.need(HEADER)?;
    let (version, kind) = (buf.be16_at(0)?, buf.u8_at(4)?);
    if version != 1 {
        put!(c, "LSP-PING version ", version, " packet not supported");
        return Ok(());
    }
    let sequence = buf.be32_at(12)?;
    if !c.verbose() {
        put!(c, "LSP-PINGv", version, ", ", Named(MESSAGES, kind.into(), "unknown (", ")"));
        put!(c, ", seq ", sequence, ", length: ", len);
        return Ok(());
    }
    put!(c, "\n\tLSP-PINGv", version, ", msg-type: ", name_or(MESSAGES, kind.into(), "unknown"));
    put!(c, " (", kind, "), length: ", len);
    let (mode, code, detail) = (buf.u8_at(5)?, buf.u8_at(6)?, buf.u8_at(7)?);
    put!(c, "\n\t  reply-mode: ", name_or(MODES, mode.into(), "unknown"), " (", mode, ")");
    put!(c, "\n\t  Return Code: ", name_or(CODES, code.into(), "unknown"));
    if matches!(code, 3 | 4 | 8 | 10 | 11 | 12) {
        put!(c, " ", detail);
    }
    put!(c, " (", code, ")\n\t  Return Subcode: (", detail, ")");
    put!(c, "\n\t  Sender Handle: 0x", HexN(buf.be32_at(8)?, 8), ", Sequence: ", sequence);
    c.put("\n\t  TimeStamp Sent: ");
    ntp::long(c, buf.be64_at(16)?);
    c.put("\n\t  TimeStamp Received: ");
    match buf.be64_at(24)? {
        0 => c.put("no timestamp"),
        stamp => ntp::long(c, stamp),
    }
    let (mut rest, mut left) = (buf.from(HEADER), len.saturating_sub(HEADER));
    while left >= 4 {
        let (kind, size) = (rest.be16_at(0)?, usize::from(rest.be16_at(2)?));
        if size == 0 {
            return Ok(());
        }
        put!(c, "\n\t  ", name_or(VALUES, kind.into(), "Unknown"), " TLV (", kind);
        put!(c, "), length: ", size);
        if size + 4 > left {
            c.put(" (goes past end of packet)");
            return Ok(());
        }
        let body = Buf::new(rest.bytes_at(4, size)?);
        let known = match kind {
            1 => {
                stack(c, body)?;
                true
            }
            4 => {
                put!(c, "\n\t    Error Code: ", body.u8_at(0)?);
                true
            }
            _ => false,
        };
        if !known || c.options.verbose > 1 {
            c.hex_print("\n\t    ", body, size);
        }
        // Values are padded to words.
        let padded = (size + 4).next_multiple_of(4);
        rest = rest.from(padded);
        left = left.saturating_sub(padded);
        c.check_text()?;
    }
    Ok(())
}

/// What the echo asks about.
fn stack<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let mut rest = body;
    while rest.has(4) {
        let (kind, size) = (rest.be16_at(0)?, usize::from(rest.be16_at(2)?));
        put!(c, "\n\t    ", name_or(STACK, kind.into(), "Unknown"), " subTLV (", kind);
        put!(c, "), length: ", size);
        if size == 0 || !rest.has(size + 4) {
            c.put(" (goes past end of TLV)");
            return Ok(());
        }
        let b = rest.from(4).limit(size);
        let known = match (kind, size) {
            (1, 5) => {
                put!(c, "\n\t      ", Ip4(b.array_at(0)?), "/", b.u8_at(4)?);
                true
            }
            (2, 17) => {
                put!(c, "\n\t      ", Ip6(b.array_at(0)?), "/", b.u8_at(16)?);
                true
            }
            (11, 9) => {
                put!(c, "\n\t      ", Ip4(b.array_at(4)?), "/", b.u8_at(8)?, ", sender-id ");
                put!(c, Ip4(b.array_at(0)?));
                true
            }
            (3, 20) => {
                put!(c, "\n\t      tunnel end-point ", Ip4(b.array_at(0)?), ", tunnel sender ");
                put!(c, Ip4(b.array_at(12)?), ", lsp-id 0x", HexN(b.be16_at(18)?, 4));
                put!(c, "\n\t      tunnel-id 0x", HexN(b.be16_at(6)?, 4));
                put!(c, ", extended tunnel-id ", Ip4(b.array_at(8)?));
                true
            }
            _ => false,
        };
        if !known || c.options.verbose > 1 {
            c.hex_print("\n\t      ", b, size);
        }
        rest = rest.from((size + 4).next_multiple_of(4));
        c.check_text()?;
    }
    Ok(())
}
