//! Packets that Linux's packet filter logged: a header, then values of which one is the packet. The
//! lengths are in the byte order of the machine that logged, the header's number in network order.

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, ip, ip6, put};
use crate::text::{Names, name_or};

const FAMILIES: Names = &[(2, "IPv4"), (10, "IPv6")];
const HEADER_LEN: usize = 4;
const PAYLOAD: u16 = 9;

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("nflog");
    if !buf.has(HEADER_LEN) || len < HEADER_LEN {
        c.truncated();
        return Ok(());
    }
    let (family, version) = (buf.u8_at(0)?, buf.u8_at(1)?);
    if version != 0 {
        put!(c, "version ", version, " (unknown)");
        return Ok(());
    }
    if c.options.link_header {
        put!(c, "version ", version, ", resource ID ", buf.be16_at(2)?);
        if c.options.quiet == 0 {
            put!(c, ", family ", name_or(FAMILIES, family.into(), "Unknown"), " (", family, ")");
        } else {
            put!(c, ", ", name_or(FAMILIES, family.into(), "Unknown"));
        }
        put!(c, ", length ", len, ": ");
    }
    let mut rest = buf.from(HEADER_LEN);
    let mut left = len - HEADER_LEN;
    let mut used = HEADER_LEN;
    while !rest.is_empty() {
        // The filter runs on machines of the other order too: a length is small.
        let raw = rest.le16_at(0)?;
        let (size, kind) = (usize::from(raw), rest.le16_at(2)?);
        if size < 4 {
            c.put("TLV size < 4");
            c.link_header_len = used;
            return Ok(());
        }
        if kind == PAYLOAD {
            used += 4;
            c.link_header_len = used;
            let (packet, left) = (rest.from(4), left.saturating_sub(4).min(size - 4));
            return match family {
                2 => ip::print(c, packet, left),
                10 => ip6::print(c, packet, left),
                _ => {
                    c.default_print(packet);
                    Ok(())
                }
            };
        }
        let padded = size.next_multiple_of(4);
        rest.need(padded)?;
        rest = rest.from(padded);
        left = left.saturating_sub(padded);
        used += padded;
    }
    c.link_header_len = used;
    c.truncated();
    Ok(())
}
