//! IP over InfiniBand (RFC 4391), as captures hold it: 40 bytes of addresses, then the type.

use super::ether::{self, Link};
use super::{Buf, Ctx, Sink, Step, put};

const HEADER_LEN: usize = 44;

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("ipoib");
    if len < HEADER_LEN || !buf.has(HEADER_LEN) {
        c.truncated();
        return Ok(());
    }
    c.link_header_len = HEADER_LEN;
    let kind = buf.be16_at(40)?;
    if c.options.link_header {
        c.put("IPOIB");
        header(c, kind, len);
    }
    let payload = buf.from(HEADER_LEN);
    if !ether::by_ethertype(c, kind, payload, len - HEADER_LEN, Link::NONE)? {
        if !c.options.link_header {
            header(c, kind, len);
        }
        c.default_print(payload);
    }
    Ok(())
}

fn header<S: Sink>(c: &mut Ctx<S>, kind: u16, len: usize) {
    c.put(", ");
    ether::ethertype(c, kind);
    put!(c, ", length ", len, ": ");
}
