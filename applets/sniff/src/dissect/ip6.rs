//! IPv6 (RFC 8200) with its extension headers.

use super::{Buf, Ctx, Field, Network, Sink, Step, Stop, ip, ip_protocol_name, mobility, put};
use crate::text::address::{Address, Ip6};
use crate::text::{Hex, HexN};

const HEADER_LEN: usize = 40;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY_OLD: u8 = 62;
const MOBILITY: u8 = 135;

const PAD1: u8 = 0;
const PADN: u8 = 1;
const ROUTER_ALERT: u8 = 5;
const JUMBO: u8 = 0xc2;
const HOME_ADDRESS: u8 = 0xc9;

/// Prints a datagram of which `len` bytes were on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("ip6");
    if !c.options.link_header {
        c.put("IP6 ");
    }
    if len < HEADER_LEN {
        put!(c, " [length ", len, " < 40]");
        return Err(Stop::Invalid);
    }
    let version = buf.u8_at(0)? >> 4;
    if version != 6 {
        put!(c, " [version ", version, " != 6]");
        return Err(Stop::Invalid);
    }
    buf.need(HEADER_LEN)?;
    let payload_len = usize::from(buf.be16_at(4)?);
    let next = buf.u8_at(6)?;
    let hops = buf.u8_at(7)?;
    if payload_len + HEADER_LEN > len {
        put!(c, "[header+payload length ", payload_len + HEADER_LEN, " > length ", len);
        c.put("] (invalid) ");
    }
    if c.verbose() {
        let flow = buf.be32_at(0)?;
        c.put("(");
        if flow & 0x0ff0_0000 != 0 {
            put!(c, "class 0x", HexN(flow >> 20 & 0xff, 2), ", ");
        }
        if flow & 0xf_ffff != 0 {
            put!(c, "flowlabel 0x", HexN(flow & 0xf_ffff, 5), ", ");
        }
        put!(c, "hlim ", hops, ", next-header ", ip_protocol_name(next), " (", next);
        put!(c, "), payload length ", payload_len, ") ");
    }
    let source = Address::V6(Ip6(buf.array_at(8)?));
    let destination = Address::V6(Ip6(buf.array_at(24)?));
    c.field(Field::Ipv6PayloadLength, payload_len as u32);
    c.field(Field::Ipv6Next, next);
    c.field(Field::Ipv6Source, source);
    c.field(Field::Ipv6Destination, destination);
    c.field(Field::Ipv6HopLimit, hops);
    let network =
        Network { source, destination, last: destination, protocol: next, hops, fragment: false };
    Chain {
        buf,
        len,
        payload_len,
        network,
        at: HEADER_LEN,
        seen_hop_by_hop: false,
        seen_any: false,
    }
    .run(c, next)
}

/// The walk along the extension headers.
struct Chain<'a> {
    /// The whole datagram.
    buf: Buf<'a>,
    /// Its length on the wire.
    len: usize,
    /// The payload length it states, by its header or by a jumbo option.
    payload_len: usize,
    network: Network,
    /// Where the header at hand begins.
    at: usize,
    seen_hop_by_hop: bool,
    seen_any: bool,
}

impl Chain<'_> {
    fn run<S: Sink>(mut self, c: &mut Ctx<S>, first: u8) -> Step {
        let mut next = first;
        // A hop-by-hop header may carry the true length: cut off only what is known to be padding.
        if !(next == HOP_BY_HOP && self.payload_len == 0) {
            self.buf = self.buf.limit(HEADER_LEN + self.payload_len);
        }
        if self.buf.len() < self.at {
            return Ok(());
        }
        if !matches!(next, 6 | 17 | 132 | 33) {
            c.host(self.network.source);
            c.put(" > ");
            c.host(self.network.destination);
            c.put(": ");
        }
        loop {
            let header = self.buf.from(self.at);
            let advance = match next {
                HOP_BY_HOP => self.hop_by_hop(c, header)?,
                DESTINATION_OPTIONS => {
                    c.layer("dstopt");
                    let len = (usize::from(header.u8_at(1)?) + 1) * 8;
                    c.put("DSTOPT ");
                    self.options(c, header, len, false)?;
                    len
                }
                FRAGMENT => match self.fragment(c, header)? {
                    Some(len) => len,
                    None => return Ok(()),
                },
                ROUTING => {
                    let (len, last) = routing(c, header)?;
                    if let Some(last) = last {
                        self.network.last = last;
                    }
                    len
                }
                MOBILITY | MOBILITY_OLD => {
                    return mobility::print(c, header, &self.network);
                }
                _ => {
                    let len = (HEADER_LEN + self.payload_len).saturating_sub(self.at);
                    return ip::payload(c, next, header, len, &self.network);
                }
            };
            c.check_text()?;
            self.seen_any = true;
            next = header.u8_at(0)?;
            self.at += advance;
            if self.at > HEADER_LEN + self.payload_len {
                c.layer("ip6");
                return Err(Stop::Truncated);
            }
            if self.at >= self.buf.len() && !matches!(next, 59) {
                return Ok(());
            }
        }
    }

    fn hop_by_hop<S: Sink>(&mut self, c: &mut Ctx<S>, header: Buf<'_>) -> Step<usize> {
        if self.seen_hop_by_hop {
            c.put(" [The Hop-by-Hop Options header was already found]");
            return Err(Stop::Invalid);
        }
        if self.seen_any {
            c.put("[The Hop-by-Hop Options header don't follow the IPv6 header]");
            return Err(Stop::Invalid);
        }
        self.seen_hop_by_hop = true;
        c.layer("hbhopt");
        c.put("HBH ");
        let len = (usize::from(header.u8_at(1)?) + 1) * 8;
        let jumbo = self.options(c, header, len, true)?;
        if let Some(jumbo) = jumbo {
            self.payload_len = jumbo;
            if HEADER_LEN + jumbo > self.len {
                put!(c, "[header+payload length ", HEADER_LEN + jumbo, " > length ", self.len);
                c.put("] (invalid) ");
            }
            self.buf = self.buf.limit(HEADER_LEN + jumbo);
        } else {
            self.buf = self.buf.limit(HEADER_LEN + self.payload_len);
        }
        Ok(len)
    }

    /// The options of a header of `len` bytes; the length of a jumbo option that holds.
    fn options<S: Sink>(
        &self,
        c: &mut Ctx<S>,
        header: Buf<'_>,
        len: usize,
        hop_by_hop: bool,
    ) -> Step<Option<usize>> {
        header.need(len)?;
        let options = header.limit(len).from(2);
        let mut at = 0;
        let mut jumbo = None;
        let mut seen_jumbo = false;
        while at < len - 2 {
            let kind = options.u8_at(at)?;
            let option_len = if kind == PAD1 { 1 } else { usize::from(options.u8_at(at + 1)?) + 2 };
            if at + option_len > len - 2 {
                put!(c, " [remaining length ", len - 2 - at, " < ", option_len, "]");
                return Err(Stop::Invalid);
            }
            let option = Buf::new(options.bytes_at(at, option_len)?);
            match kind {
                JUMBO => {
                    let value = option_of(c, option, 6, "jumbo")?.be32_at(2)?;
                    let fate = match () {
                        () if seen_jumbo => " - already seen",
                        () if !hop_by_hop => " - not a hop-by-hop option",
                        () if self.payload_len != 0 => " - payload len != 0",
                        () if value < 65_536 => " - < 65536",
                        () => "",
                    };
                    seen_jumbo = true;
                    if fate.is_empty() {
                        jumbo = Some(value as usize);
                    }
                    if c.verbose() {
                        put!(c, "(jumbo: ", value, fate, ") ");
                    }
                }
                _ if !c.verbose() => {}
                PAD1 => c.put("(pad1)"),
                PADN => c.put("(padn)"),
                ROUTER_ALERT => {
                    let value = option_of(c, option, 4, "rtalert")?.be16_at(2)?;
                    put!(c, "(rtalert: 0x", HexN(value, 4), ") ");
                }
                HOME_ADDRESS => {
                    if option.len() < 18 {
                        put!(c, "(homeaddr: invalid len ", option.len() - 2, ")");
                        return Err(Stop::Truncated);
                    }
                    put!(c, "(homeaddr: ", Ip6(option.array_at(2)?), ")");
                }
                _ => put!(c, "(unknown opt-type 0x", HexN(kind, 2), " len=", option_len - 2, ")"),
            }
            c.check_text()?;
            at += option_len;
        }
        if c.verbose() {
            c.put(" ");
        }
        Ok(jumbo)
    }

    /// A fragment header: `None` when the payload is not the first part and nothing more is to say.
    fn fragment<S: Sink>(&mut self, c: &mut Ctx<S>, header: Buf<'_>) -> Step<Option<usize>> {
        c.layer("frag6");
        c.put("frag (");
        header.need(8)?;
        let offset = header.be16_at(2)? & 0xfff8;
        if c.verbose() {
            put!(c, "0x", HexN(header.be32_at(4)?, 8), ":");
        }
        put!(c, offset, "|");
        match (HEADER_LEN + self.payload_len).checked_sub(self.at + 8) {
            Some(left) => put!(c, left, ")"),
            None => c.put("?)"),
        }
        self.network.fragment = true;
        if offset != 0 {
            return Ok(None);
        }
        c.put(" ");
        Ok(Some(8))
    }
}

/// Checks the fixed length of an option.
fn option_of<'a, S: Sink>(
    c: &mut Ctx<S>,
    option: Buf<'a>,
    len: usize,
    name: &'static str,
) -> Step<Buf<'a>> {
    if option.len() != len {
        put!(c, "(", name, ": invalid len ", option.len() - 2, ")");
        return Err(Stop::Truncated);
    }
    Ok(option)
}

/// A routing header: its length, and the final destination that it names.
fn routing<S: Sink>(c: &mut Ctx<S>, header: Buf<'_>) -> Step<(usize, Option<Address>)> {
    c.layer("rt6");
    header.need(4)?;
    let len = header.u8_at(1)?;
    let kind = header.u8_at(2)?;
    let left = header.u8_at(3)?;
    put!(c, "RT6 (len=", len, ", type=", kind);
    if kind == 0 {
        c.put(" [Deprecated]");
    }
    put!(c, ", segleft=", left);
    let total = (usize::from(len) + 1) * 8;
    match kind {
        0 | 2 => {
            let reserved = header.be32_at(4)?;
            if reserved != 0 || c.options.verbose > 1 {
                put!(c, ", rsv=0x", Hex(reserved));
            }
            if len % 2 == 1 {
                return Err(Stop::Invalid);
            }
            let mut last = None;
            for index in 0..usize::from(len / 2) {
                let address = Ip6(header.array_at(8 + 16 * index)?);
                put!(c, ", [", index, "]", address);
                last = Some(Address::V6(address));
            }
            c.put(") ");
            Ok((total, if left > 0 { last } else { None }))
        }
        4 => {
            put!(c, ", last-entry=", header.u8_at(4)?);
            let flags = header.u8_at(5)?;
            if flags != 0 || c.verbose() {
                put!(c, ", flags=0x", Hex(flags));
            }
            put!(c, ", tag=", Hex(header.be16_at(6)?));
            let mut last = None;
            let segments = usize::from(header.u8_at(4)?) + 1;
            for index in 0..segments.min(usize::from(len / 2)) {
                let address = Ip6(header.array_at(8 + 16 * index)?);
                put!(c, ", [", index, "]", address);
                // The list is in reverse: the first is the last to be visited (RFC 8754).
                if index == 0 {
                    last = Some(Address::V6(address));
                }
            }
            c.put(") ");
            Ok((total, if left > 0 { last } else { None }))
        }
        _ => {
            put!(c, " (unknown type) ");
            header.need(total)?;
            c.put(") ");
            Ok((total, None))
        }
    }
}
