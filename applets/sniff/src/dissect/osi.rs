//! OSI network protocols, told apart by their first byte (ISO 9577), and what they share: network
//! addresses and the checksum.

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, Stop, clnp, esis, ip, ip6, isis, put};
use crate::text::{HexN, Names, Put, hex_pair, name_or};

/// Network layer protocol identifiers (ISO 9577).
pub const PROTOCOLS: Names = &[
    (0x00, "NULL"),
    (0x08, "Q.933"),
    (0x81, "CLNP"),
    (0x82, "ES-IS"),
    (0x83, "IS-IS"),
    (0xb1, "FRF.12"),
    (0xb0, "FRF.9"),
    (0x80, "SNAP"),
    (0x8e, "IPv6"),
    (0xcc, "IPv4"),
    (0xcf, "PPP"),
];
/// No network address is longer.
const MAX_ADDRESS_LEN: usize = 20;

/// Prints what follows the padding byte of the Ethernet type.
pub fn ethernet<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("isoclns");
    if len == 0 || buf.is_empty() {
        return Err(Stop::Truncated);
    }
    print(c, buf.from(1), len - 1)
}

/// As [`print`], for the tables.
pub fn link<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    print(c, buf, len)
}

/// Prints a packet from its protocol byte on.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("isoclns");
    let protocol = buf.u8_at(0)?;
    if c.options.link_header {
        let name = name_or(PROTOCOLS, protocol.into(), "Unknown");
        put!(c, "OSI NLPID ", name, " (0x", HexN(protocol, 2), "): ");
    }
    let (inner, left) = (buf.from(1), len.saturating_sub(1));
    match protocol {
        0x81 => {
            if !c.nested(|c| clnp::print(c, buf, len))? {
                c.hex_print("\n\t", buf, len);
            }
        }
        0x82 => esis::print(c, buf, len)?,
        0x83 => {
            if !isis::print(c, buf, len)? {
                c.hex_print("\n\t", buf, len);
            }
        }
        0 => put!(c, if c.options.link_header { "" } else { ", " }, "length: ", len),
        0x08 => super::frame_relay::q933(c, inner, left)?,
        0xcc => c.nested(|c| ip::print(c, inner, left))?,
        0x8e => c.nested(|c| ip6::print(c, inner, left))?,
        0xcf => c.nested(|c| super::ppp::print(c, inner, left))?,
        _ => {
            if !c.options.link_header {
                put!(c, "OSI NLPID 0x", HexN(protocol, 2), " unknown, ");
            }
            put!(c, "length: ", len);
            if len > 1 {
                c.hex_print("\n\t", buf, len);
            }
        }
    }
    Ok(())
}

/// A network service access point: pairs of bytes with points between, the first alone.
#[derive(Clone, Copy, Debug)]
pub struct Nsap<'a>(pub &'a [u8]);

impl Put for Nsap<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        if self.0.is_empty() || self.0.len() > MAX_ADDRESS_LEN {
            return "isonsap_string: illegal length".put(out);
        }
        for (at, byte) in self.0.iter().enumerate() {
            if at % 2 == 1 {
                out.push(b'.');
            }
            out.extend_from_slice(&hex_pair(*byte));
        }
    }
}

/// A list of protocols, with commas.
pub fn protocol_list<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    for at in 0..len {
        let protocol = buf.u8_at(at)?;
        put!(c, name_or(PROTOCOLS, protocol.into(), "unknown"), " (0x", HexN(protocol, 2), ")");
        if at + 1 < len {
            c.put(", ");
        }
    }
    Ok(())
}

/// What a checksum is worth: of `len` bytes from here, with the checksum itself at `offset`.
pub fn checksum<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, found: u16, offset: usize, len: usize) {
    let checkable = found != 0 && buf.has(offset + 2) && offset <= len && buf.has(len);
    if !checkable {
        return c.put(" (unverified)");
    }
    match fletcher(buf.limit(len).bytes(), offset) {
        computed if computed == found => c.put(" (correct)"),
        computed => put!(c, " (incorrect should be 0x", HexN(computed, 4), ")"),
    }
}

/// The checksum that `bytes` should have at `offset` (ISO 8473-1 annex C.3).
pub fn fletcher(bytes: &[u8], offset: usize) -> u16 {
    let (mut sum, mut weighted) = (0u64, 0u64);
    for (at, byte) in bytes.iter().enumerate() {
        if at != offset && at != offset + 1 {
            sum += u64::from(*byte);
        }
        weighted += sum;
    }
    let (sum, weighted) = ((sum % 255) as i64, (weighted % 255) as i64);
    let factor = (bytes.len() as i64 - offset as i64) * sum;
    // Neither byte of a checksum is 0: that would mean that there is none.
    let byte = |value: i64| match value.rem_euclid(255) {
        0 => 255u8,
        value => value as u8,
    };
    let first = byte(factor - sum - weighted);
    let second = byte(weighted - factor);
    u16::from_be_bytes([first, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_makes_both_sums_vanish() {
        let mut pdu: Vec<u8> = (0..60).map(|n| (n * 37 + 11) as u8).collect();
        let sum = fletcher(&pdu, 7);
        pdu[7..9].copy_from_slice(&sum.to_be_bytes());
        let (mut c0, mut c1) = (0u32, 0u32);
        for byte in &pdu {
            c0 += u32::from(*byte);
            c1 += c0;
        }
        assert_eq!((c0 % 255, c1 % 255), (0, 0));
        assert_eq!(fletcher(&pdu, 7), sum);
    }

    #[test]
    fn addresses_have_points_between_pairs() {
        let mut out = Vec::new();
        Nsap(&[0x49, 0x00, 0x01]).put(&mut out);
        assert_eq!(out, b"49.0001");
    }
}
