//! The serial line protocol with compressed TCP headers (RFC 1144), behind the 16 bytes that BSD
//! systems put in front: direction and the header as it was on the line.

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, ip, ip6, put};

const HEADER_LEN: usize = 16;
const UNCOMPRESSED: u8 = 0x70;
const COMPRESSED: u8 = 0x80;
/// Changes that a compressed header may say (RFC 1144 section 3.2.2).
const NEW_C: u8 = 0x40;
const NEW_I: u8 = 0x20;
const NEW_S: u8 = 0x08;
const NEW_A: u8 = 0x04;
const NEW_W: u8 = 0x02;
const NEW_U: u8 = 0x01;

/// What compressed headers leave out: the last connection, and the last data length of each.
#[derive(Debug)]
pub struct Lines {
    connection: u8,
    lengths: [[u32; 256]; 2],
}

impl Default for Lines {
    fn default() -> Lines {
        Lines { connection: 255, lengths: [[0; 256]; 2] }
    }
}

/// Prints a packet with its pseudo-header.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("slip");
    if len < HEADER_LEN || !buf.has(HEADER_LEN) {
        c.truncated();
        return Ok(());
    }
    c.link_header_len = HEADER_LEN;
    let (packet, left) = (buf.from(HEADER_LEN), len - HEADER_LEN);
    if c.options.link_header {
        line(c, buf, packet, left)?;
    }
    if packet.is_empty() || left < 1 {
        c.truncated();
        return Ok(());
    }
    match packet.u8_at(0)? >> 4 {
        4 => ip::print(c, packet, left),
        6 => ip6::print(c, packet, left),
        version => {
            put!(c, "ip v", version);
            Ok(())
        }
    }
}

/// Prints a packet of BSD/OS, whose pseudo-header says nothing of interest.
pub fn print_bsdos<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("slip_bsdos");
    if len < HEADER_LEN + 8 || !buf.has(HEADER_LEN + 8) {
        c.truncated();
        return Ok(());
    }
    c.link_header_len = HEADER_LEN + 8;
    let (packet, left) = (buf.from(HEADER_LEN + 8), len - HEADER_LEN - 8);
    match packet.u8_at(0)? >> 4 {
        4 => ip::print(c, packet, left),
        6 => ip6::print(c, packet, left),
        version => {
            put!(c, "ip v", version);
            Ok(())
        }
    }
}

fn line<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, packet: Buf<'_>, left: usize) -> Step {
    let direction = buf.u8_at(0)?;
    match direction {
        0 => c.put("I "),
        1 => c.put("O "),
        _ => {
            put!(c, "Invalid direction ", direction, " ");
        }
    }
    let first = buf.u8_at(1)?;
    let known = direction < 2;
    match first & 0xf0 {
        0x40 => put!(c, "utcp ", left + HEADER_LEN, ": "),
        UNCOMPRESSED => {
            // The connection stands where the IP header has its protocol.
            let connection = buf.u8_at(1 + 9)?;
            c.lines.connection = connection;
            put!(c, "utcp ", connection, ": ");
            if known {
                data_len(c, packet, left, direction)?;
            }
        }
        _ if !known => {}
        _ if first & COMPRESSED != 0 => {
            compressed(c, buf.from(1), packet, left, direction)?;
            c.put(": ");
        }
        _ => put!(c, "slip-", first, "!: "),
    }
    Ok(())
}

/// The length of the data behind both headers; it is remembered for the connection.
fn data_len<S: Sink>(c: &mut Ctx<S>, packet: Buf<'_>, left: usize, direction: u8) -> Step<u32> {
    let words = packet.u8_at(0)? & 15;
    let offset = packet.u8_at(usize::from(words) * 4 + 12)? >> 4;
    let data = (left as u32).wrapping_sub(u32::from(words + offset) * 4);
    let connection = usize::from(c.lines.connection);
    if let Some(slot) =
        c.lines.lengths.get_mut(usize::from(direction)).and_then(|side| side.get_mut(connection))
    {
        *slot = data;
    }
    Ok(data)
}

/// A number that is one byte, or 0 and two.
fn change(header: &mut Buf<'_>) -> Step<u16> {
    match header.u8()? {
        0 => header.be16(),
        byte => Ok(byte.into()),
    }
}

fn compressed<S: Sink>(
    c: &mut Ctx<S>,
    header: Buf<'_>,
    packet: Buf<'_>,
    left: usize,
    direction: u8,
) -> Step {
    let whole = header.len();
    let mut header = header;
    let flags = header.u8()?;
    if flags & NEW_C != 0 {
        let connection = header.u8()?;
        c.lines.connection = connection;
        put!(c, "ctcp ", connection);
    } else {
        c.put("ctcp *");
    }
    // The checksum of TCP.
    header = header.from(2);
    let last = c
        .lines
        .lengths
        .get(usize::from(direction))
        .and_then(|side| side.get(usize::from(c.lines.connection)))
        .copied()
        .unwrap_or(0);
    match flags & (NEW_S | NEW_A | NEW_W | NEW_U) {
        special if special == NEW_S | NEW_W | NEW_U => put!(c, " *SA+", last),
        special if special == NEW_S | NEW_A | NEW_W | NEW_U => put!(c, " *S+", last),
        _ => {
            if flags & NEW_U != 0 {
                put!(c, " U=", change(&mut header)?);
            }
            if flags & NEW_W != 0 {
                let change = change(&mut header)? as i16;
                put!(c, if change >= 0 { " W+" } else { " W" }, change);
            }
            if flags & NEW_A != 0 {
                put!(c, " A+", change(&mut header)?);
            }
            if flags & NEW_S != 0 {
                put!(c, " S+", change(&mut header)?);
            }
        }
    }
    if flags & NEW_I != 0 {
        put!(c, " I+", change(&mut header)?);
    }
    let data = data_len(c, packet, left, direction)?;
    put!(c, " ", data, " (", whole - header.len(), ")");
    Ok(())
}
