//! The connectionless network protocol (ISO 8473-1).

use super::osi::{self, Nsap};
use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Bits, Hex, HexBytes, HexN, Named, Names, name_or};

const KINDS: Names =
    &[(1, "Error Report"), (29, "MD"), (28, "Data"), (30, "Echo Request"), (31, "Echo Response")];
const FLAGS: Names =
    &[(0x80, "Segmentation permitted"), (0x40, "more Segments"), (0x20, "request Error Report")];
const OPTIONS: Names = &[
    (193, "Discard Reason"),
    (205, "Priority"),
    (195, "QoS Maintenance"),
    (197, "Security"),
    (200, "Source Routing"),
    (203, "Route Recording"),
    (204, "Padding"),
];
const SCOPES: Names = &[
    (0x40, "Source Address Specific"),
    (0x80, "Destination Address Specific"),
    (0xc0, "Globally unique"),
];
const QUALITY: Names = &[
    (0x20, "reserved"),
    (0x10, "sequencing vs. delay"),
    (0x08, "congested"),
    (0x04, "delay vs. cost"),
    (0x02, "error vs. delay"),
    (0x01, "error vs. cost"),
];
const ROUTES: Names = &[(0, "partial"), (1, "complete")];
const ROUTE_KINDS: Names = &[(200, "source routing"), (203, "recording of route in progress")];
const DISCARD_CLASSES: Names = &[
    (0x0, "General"),
    (0x8, "Address"),
    (0x9, "Source Routeing"),
    (0xa, "Lifetime"),
    (0xb, "PDU Discarded"),
    (0xc, "Reassembly"),
];
const GENERAL: Names = &[
    (0, "Reason not specified"),
    (1, "Protocol procedure error"),
    (2, "Incorrect checksum"),
    (3, "PDU discarded due to congestion"),
    (4, "Header syntax error (cannot be parsed)"),
    (5, "Segmentation needed but not permitted"),
    (6, "Incomplete PDU received"),
    (7, "Duplicate option"),
];
const ADDRESS: Names =
    &[(0, "Destination address unreachable"), (1, "Destination address unknown")];
const ROUTEING: Names = &[
    (0, "Unspecified source routeing error"),
    (1, "Syntax error in source routeing field"),
    (2, "Unknown address in source routeing field"),
    (3, "Path not acceptable"),
];
const LIFETIME: Names = &[
    (0, "Lifetime expired while data unit in transit"),
    (1, "Lifetime expired during reassembly"),
];
const UNSUPPORTED: Names = &[
    (0, "Unsupported option not specified"),
    (1, "Unsupported protocol version"),
    (2, "Unsupported security option"),
    (3, "Unsupported source routeing option"),
    (4, "Unsupported recording of route option"),
];
const REASSEMBLY: Names = &[(0, "Reassembly interference")];

const HEADER_LEN: usize = 9;
const TOO_SHORT: &str = "li < size of fixed part of CLNP header and addresses";
const ECHO_RESPONSE: u8 = 31;
const ERROR_REPORT: u8 = 1;

/// Prints a packet; `false` when its header cannot be, and its bytes should be shown.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step<bool> {
    c.layer("clnp");
    buf.need(HEADER_LEN)?;
    let header_len = usize::from(buf.u8_at(1)?);
    if !c.options.link_header {
        c.put("CLNP");
    }
    let version = buf.u8_at(2)?;
    if version != 1 {
        put!(c, "version ", version, " packet not supported");
        return Ok(false);
    }
    if header_len > len {
        put!(c, " length indicator(", header_len, ") > PDU size (", len, ")!");
        return Ok(false);
    }
    if header_len < HEADER_LEN {
        put!(c, " length indicator ", header_len, " < min PDU size:");
        for byte in buf.bytes() {
            put!(c, HexBytes(&[*byte]));
        }
        return Ok(false);
    }
    let kind = buf.u8_at(4)? & 0x1f;
    let flags = buf.u8_at(4)? & 0xe0;
    let (mut rest, mut left) = (buf.from(HEADER_LEN), header_len - HEADER_LEN);
    let Some(destination) = address(&mut rest, &mut left)? else {
        c.put(TOO_SHORT);
        return Ok(false);
    };
    let Some(source) = address(&mut rest, &mut left)? else {
        c.put(TOO_SHORT);
        return Ok(false);
    };
    let comma = if c.options.link_header { "" } else { ", " };
    let kind_name = Named(KINDS, kind.into(), "unknown (", ")");
    if !c.verbose() {
        put!(c, comma, Nsap(source), " > ", Nsap(destination), ", ", kind_name, ", length ", len);
        return Ok(true);
    }
    put!(c, comma, "length ", len, "\n\t", kind_name, " PDU, hlen: ", header_len);
    let (lifetime, sum) = (buf.u8_at(3)?, buf.be16_at(7)?);
    put!(c, ", v: ", version, ", lifetime: ", lifetime / 2, ".", lifetime % 2 * 5, "s");
    put!(c, ", Segment PDU length: ", buf.be16_at(5)?, ", checksum: 0x", HexN(sum, 4));
    osi::checksum(c, buf, sum, 7, header_len);
    put!(c, "\n\tFlags [", Bits(FLAGS, flags.into(), ", ", "none"), "]");
    put!(c, "\n\tsource address (length ", source.len(), "): ", Nsap(source));
    put!(c, "\n\tdest   address (length ", destination.len(), "): ", Nsap(destination));
    if flags & 0x80 != 0 {
        if left < 6 {
            c.put("li < size of fixed part of CLNP header, addresses, and segment part");
            return Ok(false);
        }
        put!(c, "\n\tData Unit ID: 0x", HexN(rest.be16_at(0)?, 4));
        put!(c, ", Segment Offset: ", rest.be16_at(2)?, ", Total PDU Length: ", rest.be16_at(4)?);
        rest = rest.from(6);
        left -= 6;
    }
    if !options(c, &mut rest, left)? {
        return Ok(false);
    }
    payload(c, kind, rest, len, header_len)
}

/// An address with its length in front; `None` when the header ends before.
fn address<'a>(rest: &mut Buf<'a>, left: &mut usize) -> Step<Option<&'a [u8]>> {
    if *left < 1 {
        return Ok(None);
    }
    let address_len = usize::from(rest.u8()?);
    *left -= 1;
    if *left < address_len {
        return Ok(None);
    }
    *left -= address_len;
    rest.take(address_len).map(Some)
}

fn options<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>, left: usize) -> Step<bool> {
    let mut left = left;
    while left >= 2 {
        let (kind, option_len) = (rest.u8()?, usize::from(rest.u8()?));
        left -= 2;
        if option_len > left {
            put!(c, ", opt (", kind, ") too long");
            return Ok(false);
        }
        left -= option_len;
        let value = Buf::new(rest.take(option_len)?);
        put!(c, "\n\t  ", name_or(OPTIONS, kind.into(), "Unknown"), " Option #", kind);
        put!(c, ", length ", option_len, ", value: ");
        let least = match kind {
            200 | 203 | 197 => 2,
            205 | 195 | 193 => 1,
            _ => 0,
        };
        if option_len < least {
            c.put(", bad opt len");
            return Ok(false);
        }
        option(c, kind, value)?;
        if c.options.verbose > 1 {
            c.hex_print("\n\t  ", value, option_len);
        }
        c.check_text()?;
    }
    Ok(true)
}

fn option<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step {
    match kind {
        200 | 203 => route(c, kind, value)?,
        205 => put!(c, "0x", Hex(value.u8_at(0)? & 15)),
        195 => {
            let format = value.u8_at(0)?;
            put!(c, "\n\t    Format Code: ", name_or(SCOPES, (format & 0xc0).into(), "Reserved"));
            if format & 0xc0 == 0xc0 {
                let quality = Bits(QUALITY, (format & 0x3f).into(), ", ", "none");
                put!(c, "\n\t    QoS Flags [", quality, "]");
            }
        }
        197 => {
            let scope = name_or(SCOPES, (value.u8_at(0)? & 0xc0).into(), "Reserved");
            put!(c, "\n\t    Format Code: ", scope, ", Security-Level ", value.u8_at(1)?);
        }
        193 => {
            let error = value.u8_at(0)?;
            let (class, reason) = (error >> 4, error & 15);
            let reasons = match class {
                0 => GENERAL,
                8 => ADDRESS,
                9 => ROUTEING,
                10 => LIFETIME,
                11 => UNSUPPORTED,
                12 => REASSEMBLY,
                _ => &[],
            };
            put!(c, "\n\t    Class: ", name_or(DISCARD_CLASSES, class.into(), "Unknown"));
            put!(c, " Error (0x", Hex(class), "), ", name_or(reasons, reason.into(), "Unknown"));
            put!(c, " (0x", Hex(reason), ")");
        }
        204 => c.put("padding data"),
        _ => c.hex_print("\n\t  ", value, value.len()),
    }
    Ok(())
}

fn route<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step {
    put!(c, name_or(ROUTES, value.u8_at(0)?.into(), "Unknown"), " ");
    put!(c, Named(ROUTE_KINDS, kind.into(), "Unknown Option ", ""));
    let Some(offset) = usize::from(value.u8_at(1)?).checked_sub(1) else {
        c.put(" Bad NSAP offset (0)");
        return Ok(());
    };
    if offset > value.len() {
        c.put(" Bad NSAP offset (past end of option)");
        return Ok(());
    }
    let mut rest = value.from(offset);
    while !rest.is_empty() {
        let address_len = usize::from(rest.u8()?);
        let Ok(address) = rest.take(address_len) else {
            c.put("\n\t    NSAP address goes past end of option");
            return Ok(());
        };
        if !address.is_empty() {
            put!(c, "\n\t    NSAP address (length ", address_len, "): ", Nsap(address));
        }
    }
    Ok(())
}

fn payload<S: Sink>(
    c: &mut Ctx<S>,
    kind: u8,
    rest: Buf<'_>,
    len: usize,
    header_len: usize,
) -> Step<bool> {
    if matches!(kind, ERROR_REPORT | ECHO_RESPONSE) && rest.u8_at(0)? == 0x81 {
        c.put("\n\t-----original packet-----\n\t");
        let left = len - header_len;
        if left > 0 {
            c.nested(|c| print(c, rest, left))?;
        }
        return Ok(true);
    }
    if len > header_len {
        put!(c, "\n\t  undecoded non-header data, length ", len - header_len);
        c.hex_print("\n\t  ", rest, len - header_len);
    }
    Ok(true)
}
