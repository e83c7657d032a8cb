//! ATM: frames of LLC, and cells and frames as SunATM captures them.

use super::ether::{self, Link};
use super::{Buf, Ctx, Sink, Step, llc, osi, put};
use crate::text::{HexN, Named, Names};

const FLOWS: Names = &[(3, "OAM F4 (segment)"), (4, "OAM F4 (end to end)")];
const PAYLOADS: Names = &[
    (0, "non-OAM, EFCI 0, User 0"),
    (1, "non-OAM, EFCI 0, User 1"),
    (2, "non-OAM, EFCI 1, User 0"),
    (3, "non-OAM, EFCI 1, User 1"),
    (4, "OAM F5 (segment)"),
    (5, "OAM F5 (end to end)"),
];

/// Frames that start with LLC.
pub fn llc_frames<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("atm");
    let mut cookie = 0;
    if buf.be24_at(0)? != 0xaa_aa03 {
        if buf.u8_at(0)? == 3 {
            c.link_header_len = 1;
            return osi::print(c, buf.from(1), len.saturating_sub(1));
        }
        // What the driver put in front.
        cookie = 20;
        if c.options.link_header {
            put!(c, HexN(buf.be64_at(0)?, 16), " ", HexN(buf.be64_at(8)?, 16), " ");
        }
    }
    let header = llc::print(c, buf.from(cookie), len.saturating_sub(cookie), Link::NONE)?;
    c.link_header_len = cookie + header;
    Ok(())
}

/// A header of four bytes in front: what is carried, and on which channel.
pub fn sun<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("sunatm");
    buf.need(4)?;
    let (kind, path, channel) = (buf.u8_at(0)? & 15, buf.u8_at(1)?, buf.be16_at(2)?);
    c.link_header_len = 4;
    if c.options.link_header {
        put!(c, if buf.u8_at(0)? & 0x80 == 0 { "Rx: " } else { "Tx: " });
        put!(c, "VPI:", path, " VCI:", channel, " ");
    }
    let (payload, left) = (buf.from(4), len.saturating_sub(4));
    match (path, channel) {
        (0, 1) => {
            put!(c, "metac: ", left);
            Ok(())
        }
        (0, 2) => {
            put!(c, "broadcast sig: ", left, " bytes");
            Ok(())
        }
        (0, 3 | 4) => cell(c, payload, left, channel),
        _ if kind == 1 => c.nested(|c| {
            // The identifier of the emulated network.
            ether::print(c, payload.from(2), left.saturating_sub(2)).map(drop)
        }),
        _ => llc::print(c, payload, left, Link::NONE).map(drop),
    }
}

/// A cell of operation and maintenance.
fn cell<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, channel: u16) -> Step {
    c.layer("oam");
    let header = buf.be32_at(0)?;
    put!(c, Named(FLOWS, channel.into(), "OAM ", ""), ", vpi ", header >> 20 & 0xff);
    put!(c, ", vci ", header >> 4 & 0xffff);
    put!(c, ", payload [ ", Named(PAYLOADS, header >> 1 & 7, "Unknown (", ")"), " ]");
    put!(c, ", clp ", header & 1, ", length ", len);
    Ok(())
}
