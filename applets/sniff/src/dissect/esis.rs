//! End systems and intermediate systems find each other (ISO 9542).

use super::osi::{self, Nsap};
use super::{Buf, Ctx, Sink, Step, put};
use crate::text::address::Mac;
use crate::text::{HexBytes, HexN, Named, Names, name_or};

const KINDS: Names = &[(6, "redirect"), (2, "ESH"), (4, "ISH")];
const OPTIONS: Names = &[
    (129, "Protocols supported"),
    (195, "QoS Maintenance"),
    (197, "Security"),
    (198, "ES Configuration Time"),
    (205, "Priority"),
    (225, "Addressk Mask"),
    (226, "SNPA Mask"),
];
const HEADER_LEN: usize = 9;

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("esis");
    if !c.options.link_header {
        c.put("ES-IS");
    }
    if len <= 2 {
        c.put(if c.options.quiet > 0 { "bad pkt!" } else { "no header at all!" });
        return Ok(());
    }
    buf.need(HEADER_LEN)?;
    let header_len = usize::from(buf.u8_at(1)?);
    let version = buf.u8_at(2)?;
    if version != 1 {
        put!(c, " version ", version, " packet not supported");
        return Ok(());
    }
    if header_len > len {
        put!(c, " length indicator(", header_len, ") > PDU size (", len, ")!");
        return Ok(());
    }
    if header_len < HEADER_LEN + 2 {
        put!(c, " length indicator ", header_len, " < min PDU size:");
        for byte in buf.bytes() {
            put!(c, HexBytes(&[*byte]));
        }
        return Ok(());
    }
    let kind = buf.u8_at(4)? & 0x1f;
    let comma = if c.options.link_header { "" } else { ", " };
    if !c.verbose() {
        put!(c, comma, Named(KINDS, kind.into(), "unknown type (", ")"), ", length ", len);
        return Ok(());
    }
    put!(c, comma, "length ", len, "\n\t", Named(KINDS, kind.into(), "unknown type: ", ""));
    let sum = buf.be16_at(7)?;
    put!(c, " (", kind, "), v: ", version, ", checksum: 0x", HexN(sum, 4));
    osi::checksum(c, buf, sum, 7, header_len);
    put!(c, ", holding time: ", buf.be16_at(5)?, "s, length indicator: ", header_len);
    if c.options.verbose > 1 {
        c.hex_print("\n\t", buf, HEADER_LEN);
    }
    let mut rest = buf.from(HEADER_LEN);
    let mut left = header_len - HEADER_LEN;
    let complete = match kind {
        6 => redirect(c, &mut rest, &mut left)?,
        2 => end_system(c, &mut rest, &mut left)?,
        4 => net(c, &mut rest, &mut left, "ish", "\n\t  NET (length: ", "): ")?,
        _ => {
            if c.options.verbose <= 1 {
                c.hex_print("\n\t  ", rest, rest.len());
            }
            false
        }
    };
    if complete { options(c, rest, left) } else { Ok(()) }
}

/// An address with its length in front; `None`, and words about it, when the header ends before.
fn address<'a, S: Sink>(
    c: &mut Ctx<S>,
    rest: &mut Buf<'a>,
    left: &mut usize,
    word: &str,
) -> Step<Option<&'a [u8]>> {
    let first = rest.u8()?;
    if *left < 1 {
        put!(c, ", bad ", word, "/li");
        return Ok(None);
    }
    *left -= 1;
    let bytes = rest.take(first.into())?;
    if *left < bytes.len() {
        put!(c, ", bad ", word, "/li");
        return Ok(None);
    }
    *left -= bytes.len();
    Ok(Some(bytes))
}

fn net<S: Sink>(
    c: &mut Ctx<S>,
    rest: &mut Buf<'_>,
    left: &mut usize,
    word: &str,
    before: &str,
    between: &str,
) -> Step<bool> {
    let Some(net) = address(c, rest, left, word)? else { return Ok(false) };
    put!(c, before, net.len(), between, Nsap(net));
    Ok(true)
}

fn redirect<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>, left: &mut usize) -> Step<bool> {
    let Some(destination) = address(c, rest, left, "redirect")? else { return Ok(false) };
    put!(c, "\n\t  ", Nsap(destination));
    let Some(subnetwork) = address(c, rest, left, "redirect")? else { return Ok(false) };
    put!(c, "\n\t  SNPA (length: ", subnetwork.len(), "): ");
    match subnetwork.len() {
        0 => c.put("<empty>"),
        6 => c.mac(subnetwork),
        _ => c.put(Mac(subnetwork)),
    }
    // The incumbent does not count the byte that tells the length of the last address.
    *left += 1;
    let Some(net) = address(c, rest, left, "redirect")? else { return Ok(false) };
    if !net.is_empty() {
        put!(c, "\n\t  NET (length: ", net.len(), ") ", Nsap(net));
    }
    Ok(true)
}

fn end_system<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>, left: &mut usize) -> Step<bool> {
    let count = rest.u8()?;
    if *left < 1 {
        c.put(", bad esh/li");
        return Ok(false);
    }
    *left -= 1;
    put!(c, "\n\t  Number of Source Addresses: ", count);
    for _ in 0..count {
        if !net(c, rest, left, "esh", "\n\t  NET (length: ", "): ")? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn options<S: Sink>(c: &mut Ctx<S>, rest: Buf<'_>, left: usize) -> Step {
    let (mut rest, mut left) = (rest, left);
    while left != 0 {
        if left < 2 {
            c.put(", bad opts/li");
            return Ok(());
        }
        let (kind, option_len) = (rest.u8()?, usize::from(rest.u8()?));
        left -= 2;
        if option_len > left {
            put!(c, ", opt (", kind, ") too long");
            return Ok(());
        }
        left -= option_len;
        put!(c, "\n\t  ", name_or(OPTIONS, kind.into(), "Unknown"), " Option #", kind);
        put!(c, ", length ", option_len, ", value: ");
        match kind {
            198 if option_len == 2 => put!(c, rest.be16_at(0)?, "s"),
            198 => c.put("(bad length)"),
            129 => osi::protocol_list(c, rest, option_len)?,
            _ => c.hex_print("\n\t  ", rest, option_len),
        }
        if c.options.verbose > 1 {
            c.hex_print("\n\t  ", rest, option_len);
        }
        rest = rest.from(option_len);
        c.check_text()?;
    }
    Ok(())
}
