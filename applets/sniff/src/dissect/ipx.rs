//! Novell's internetwork packet exchange: the header.

use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::address::Mac;
use crate::text::{Hex, HexN, Names, name_of};

const HEADER: u16 = 30;
const SOCKETS: Names = &[
    (0x0452, "ipx-sap"),
    (0x0453, "ipx-rip"),
    (0x0455, "ipx-netbios"),
    (0x0456, "ipx-diags"),
    (0x0553, "nwlink-dgm"),
    (0x9086, "ipx-eigrp"),
];

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, _: usize) -> Step {
    c.layer("ipx");
    c.put("IPX ");
    put!(c, HexN(buf.be32_at(18)?, 8), ".", Mac(buf.bytes_at(22, 6)?), ".");
    put!(c, HexN(buf.be16_at(28)?, 4), " > ", HexN(buf.be32_at(6)?, 8), ".");
    let socket = buf.be16_at(16)?;
    put!(c, Mac(buf.bytes_at(10, 6)?), ".", HexN(socket, 4), ": ");
    let len = buf.be16_at(2)?;
    if len < HEADER {
        put!(c, "[length ", len, " < ", HEADER, "]");
        return Err(Stop::Invalid);
    }
    match name_of(SOCKETS, socket.into()) {
        Some(name) => c.put(name),
        None => put!(c, "ipx-#", Hex(socket)),
    }
    put!(c, " ", len - HEADER);
    Ok(())
}
