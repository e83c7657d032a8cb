//! Protocol independent multicast, version 2 (RFC 7761, RFC 3973, RFC 5015, RFC 5059).

use super::ip::pseudo_header;
use super::{Buf, Ctx, Network, Sink, Step, Stop, ip, ip6, put};
use crate::text::address::Address;
use crate::text::{Bits, Duration, Hex, HexN, Names, name_or};
use box_wire::checksum::Checksum;

const KINDS: Names = &[
    (0, "Hello"),
    (1, "Register"),
    (2, "Register Stop"),
    (3, "Join / Prune"),
    (4, "Bootstrap"),
    (5, "Assert"),
    (6, "Graft"),
    (7, "Graft Acknowledgement"),
    (8, "Candidate RP Advertisement"),
    (9, "Prune-Refresh"),
    (10, "DF Election"),
    (11, "ECMP Redirect"),
];
const OPTIONS: Names = &[
    (1, "Hold Time"),
    (2, "LAN Prune Delay"),
    (18, "DR Priority (Old)"),
    (19, "DR Priority"),
    (20, "Generation ID"),
    (21, "State Refresh Capability"),
    (22, "Bi-Directional Capability"),
    (24, "Address List"),
    (65001, "Address List (Old)"),
];
const REGISTER: Names = &[(0x8000_0000, "Border"), (0x4000_0000, "Null")];
const ELECTION: Names = &[(1, "Offer"), (2, "Winner"), (3, "Backoff"), (4, "Pass")];
const PROTOCOL: u8 = 103;

/// Which of the three forms an address has (RFC 7761 section 4.9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Unicast,
    Group,
    Source,
}

/// Prints a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    c.layer("pim");
    let first = buf.u8_at(0)?;
    let version = first >> 4;
    if version != 2 {
        put!(c, "[version ", version, "], length ", len);
        return Ok(());
    }
    put!(c, "PIMv2, ");
    let kind = first & 15;
    let name = name_or(KINDS, kind.into(), "Unknown Type");
    if !c.verbose() {
        put!(c, name, ", length ", len);
        return Ok(());
    }
    put!(c, "length ", len, "\n\t", name);
    message(c, kind, buf, len, network)
}

fn message<S: Sink>(c: &mut Ctx<S>, kind: u8, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    c.layer("pimv2");
    buf.need(2)?;
    // The upper half of this byte is a subtype (RFC 5015), the lower a length (RFC 2117).
    let address_len = buf.u8_at(1)? & 15;
    if address_len != 0 {
        c.put(", RFC2117-encoding");
    }
    checksum(c, kind, buf, len, network)?;
    if len < 4 {
        c.truncated();
        return Ok(());
    }
    let mut m = Message { rest: buf.from(4), left: len - 4, fixed: address_len };
    match kind {
        0 => hello(c, &mut m),
        1 => register(c, &mut m),
        2 => {
            m.address(c, " group=", Form::Group)?;
            m.address(c, " source=", Form::Unicast)
        }
        3 | 6 | 7 => join_prune(c, &mut m, kind),
        4 => bootstrap(c, &mut m),
        5 => assert(c, &mut m),
        8 => candidate(c, &mut m),
        9 => {
            m.address(c, " src=", Form::Unicast)?;
            m.address(c, " grp=", Form::Group)?;
            m.address(c, " forwarder=", Form::Unicast)?;
            put!(c, " TUNR ", Duration(m.be16()?.into()));
            Ok(())
        }
        10 => election(c, &mut m, buf.u8_at(1)? >> 4),
        _ => {
            put!(c, " [type ", kind, "]");
            Ok(())
        }
    }
}

/// Over the whole message, of a register over its first eight bytes.
fn checksum<S: Sink>(
    c: &mut Ctx<S>,
    kind: u8,
    buf: Buf<'_>,
    len: usize,
    network: &Network,
) -> Step {
    let found = buf.be16_at(2)?;
    put!(c, ", cksum 0x", HexN(found, 4), " ");
    let sum = |covered: usize, stated: usize| -> Option<u16> {
        let start = match network.source {
            Address::V4(_) => Checksum::new(),
            Address::V6(_) => pseudo_header(network, PROTOCOL, stated),
        };
        buf.bytes_at(0, covered).ok().map(|bytes| start.with(bytes).finish())
    };
    let good = match kind {
        _ if found == 0 => None,
        // The length in the pseudo-header is that of the part covered, or of the whole; and some
        // cover the whole in spite of the specification.
        1 => match [(8, 8), (8, len), (len, len)].map(|(covered, stated)| sum(covered, stated)) {
            sums if sums.contains(&Some(0)) => Some(true),
            [.., whole] => whole.map(|sum| sum == 0),
        },
        _ => sum(len, len).map(|sum| sum == 0),
    };
    c.put(match good {
        None => "(unverified)",
        Some(true) => "(correct)",
        Some(false) => "(incorrect)",
    });
    Ok(())
}

/// A message with what is left of its stated length.
struct Message<'a> {
    rest: Buf<'a>,
    left: usize,
    /// The length of addresses without family and encoding, 0 where they have both.
    fixed: u8,
}

impl Message<'_> {
    fn pass(&mut self, len: usize) -> Step {
        if self.left < len {
            return Err(Stop::Truncated);
        }
        self.rest = self.rest.from(len);
        self.left -= len;
        Ok(())
    }

    fn be16(&mut self) -> Step<u16> {
        let value = self.rest.be16_at(0)?;
        self.pass(2)?;
        Ok(value)
    }

    fn be32(&mut self) -> Step<u32> {
        let value = self.rest.be32_at(0)?;
        self.pass(4)?;
        Ok(value)
    }

    /// Prints an address behind a word.
    fn address<S: Sink>(&mut self, c: &mut Ctx<S>, word: &str, form: Form) -> Step {
        c.put(word);
        let (family, head) = if self.fixed == 0 {
            let family = self.rest.u8_at(0)?;
            if self.rest.u8_at(1)? != 0 {
                return Err(Stop::Truncated);
            }
            (family, 2)
        } else {
            (
                if self.fixed == 4 {
                    1
                } else if self.fixed == 16 {
                    2
                } else {
                    0
                },
                0,
            )
        };
        let (address_len, whole) = match family {
            1 => (4, 32),
            2 => (16, 128),
            _ => return Err(Stop::Truncated),
        };
        let mask_len = if form == Form::Unicast { 0 } else { 2 };
        let used = head + mask_len + address_len;
        if self.left < used {
            return Err(Stop::Truncated);
        }
        self.rest.need(used)?;
        if address_len == 4 {
            c.host4(self.rest, head + mask_len)?;
        } else {
            c.host6(self.rest, head + mask_len)?;
        }
        if form != Form::Unicast {
            let (flags, mask) = (self.rest.u8_at(head)?, self.rest.u8_at(head + 1)?);
            if mask != whole {
                put!(c, "/", mask);
            }
            if flags != 0 && form == Form::Group {
                put!(c, "(0x", HexN(flags, 2), ")");
            } else if flags != 0 {
                let letter = |mask: u8, letter: &'static str| (flags & mask != 0).then_some(letter);
                put!(c, "(", letter(4, "S"), letter(2, "W"), letter(1, "R"));
                if flags & 0xf8 != 0 {
                    put!(c, "+0x", HexN(flags & 0xf8, 2));
                }
                c.put(")");
            }
        }
        self.pass(used)
    }
}

fn hello<S: Sink>(c: &mut Ctx<S>, m: &mut Message<'_>) -> Step {
    while m.left > 0 {
        if m.left < 4 {
            return Err(Stop::Truncated);
        }
        let (kind, option_len) = (m.rest.be16_at(0)?, usize::from(m.rest.be16_at(2)?));
        put!(c, "\n\t  ", name_or(OPTIONS, kind.into(), "Unknown"), " Option (", kind);
        put!(c, "), length ", option_len, ", Value: ");
        m.pass(4)?;
        if m.left < option_len {
            return Err(Stop::Truncated);
        }
        let value = Buf::new(m.rest.bytes_at(0, option_len)?);
        let wanted = match kind {
            1 => 2,
            2 | 20 | 21 => 4,
            18 | 19 if option_len != 0 => 4,
            _ => option_len,
        };
        if option_len != wanted {
            put!(c, "[option length ", option_len, " != ", wanted, "]");
            return Err(Stop::Invalid);
        }
        option(c, kind, value, m.fixed)?;
        if c.options.verbose > 1 {
            c.hex_print("\n\t    ", value, option_len);
        }
        m.pass(option_len)?;
        c.check_text()?;
    }
    Ok(())
}

fn option<S: Sink>(c: &mut Ctx<S>, kind: u16, value: Buf<'_>, fixed: u8) -> Step {
    match kind {
        1 => match value.be16_at(0)? {
            0xffff => c.put("infinite"),
            seconds => put!(c, Duration(seconds.into())),
        },
        2 => {
            let delay = value.be16_at(0)?;
            put!(c, "\n\t    T-bit=", delay >> 15, ", LAN delay ", delay & 0x7fff);
            put!(c, "ms, Override interval ", value.be16_at(2)?, "ms");
        }
        18 | 19 if value.is_empty() => c.put("Bi-Directional Capability (Old)"),
        18 | 19 => c.put(value.be32_at(0)?),
        20 => put!(c, "0x", HexN(value.be32_at(0)?, 8)),
        21 => {
            put!(c, "v", value.u8_at(0)?);
            let interval = value.u8_at(1)?;
            if interval != 0 {
                put!(c, ", interval ", Duration(interval.into()));
            }
            let reserved = value.be16_at(2)?;
            if reserved != 0 {
                put!(c, " ?0x", HexN(reserved, 4), "?");
            }
        }
        22 => {}
        24 | 65001 => {
            if c.options.verbose > 1 {
                let mut list = Message { rest: value, left: value.len(), fixed };
                while list.left > 0 {
                    list.address(c, "\n\t    ", Form::Unicast)?;
                }
            }
        }
        _ => {
            if c.options.verbose <= 1 {
                c.hex_print("\n\t    ", value, value.len());
            }
        }
    }
    Ok(())
}

fn register<S: Sink>(c: &mut Ctx<S>, m: &mut Message<'_>) -> Step {
    let flags = m.be32()?;
    put!(c, ", Flags [ ", Bits(REGISTER, flags, ", ", "none"), " ]\n\t");
    if m.left == 0 {
        return Ok(());
    }
    let (rest, left) = (m.rest, m.left);
    match rest.u8_at(0)? >> 4 {
        0 => {
            // A register without a packet names source and group alone.
            rest.need(16)?;
            c.put("IP-Null-header ");
            c.host4(rest, 12)?;
            c.put(" > ");
            c.host4(rest, 16)
        }
        4 => c.nested(|c| ip::print(c, rest, left)),
        6 => c.nested(|c| ip6::print(c, rest, left)),
        version => {
            put!(c, "IP ver ", version);
            Ok(())
        }
    }
}

fn join_prune<S: Sink>(c: &mut Ctx<S>, m: &mut Message<'_>, kind: u8) -> Step {
    if kind != 7 {
        m.address(c, ", upstream-neighbor: ", Form::Unicast)?;
    }
    let (count, hold) = (m.rest.u8_at(1)?, m.rest.be16_at(2)?);
    m.pass(4)?;
    put!(c, "\n\t  ", count, " group(s)");
    if kind != 7 {
        c.put(", holdtime: ");
        match hold {
            0xffff => c.put("infinite"),
            hold => put!(c, Duration(hold.into())),
        }
    }
    for group in 1..=u32::from(count) {
        put!(c, "\n\t    group #", group);
        m.address(c, ": ", Form::Group)?;
        let (joined, pruned) = (m.rest.be16_at(0)?, m.rest.be16_at(2)?);
        m.pass(4)?;
        put!(c, ", joined sources: ", joined, ", pruned sources: ", pruned);
        for (sources, word) in [(joined, "joined"), (pruned, "pruned")] {
            for source in 1..=u32::from(sources) {
                put!(c, "\n\t      ", word, " source #", source);
                m.address(c, ": ", Form::Source)?;
                c.check_text()?;
            }
        }
    }
    Ok(())
}

fn bootstrap<S: Sink>(c: &mut Ctx<S>, m: &mut Message<'_>) -> Step {
    put!(c, " tag=", Hex(m.be16()?));
    put!(c, " hashmlen=", m.rest.u8_at(0)?);
    put!(c, " BSRprio=", m.rest.u8_at(1)?);
    m.pass(2)?;
    m.address(c, " BSR=", Form::Unicast)?;
    let mut group = 0u32;
    while m.left > 0 {
        put!(c, " (group", group);
        m.address(c, ": ", Form::Group)?;
        put!(c, " RPcnt=", m.rest.u8_at(0)?);
        let here = m.rest.u8_at(1)?;
        put!(c, " FRPcnt=", here);
        m.pass(4)?;
        for point in 0..u32::from(here) {
            if m.left == 0 {
                break;
            }
            put!(c, " RP", point);
            m.address(c, "=", Form::Unicast)?;
            put!(c, ",holdtime=", Duration(m.rest.be16_at(0)?.into()));
            put!(c, ",prio=", m.rest.u8_at(2)?);
            m.pass(4)?;
        }
        c.put(")");
        group += 1;
        c.check_text()?;
    }
    Ok(())
}

fn assert<S: Sink>(c: &mut Ctx<S>, m: &mut Message<'_>) -> Step {
    m.address(c, " group=", Form::Group)?;
    m.address(c, " src=", Form::Unicast)?;
    let preference = m.be32()?;
    if preference & 0x8000_0000 != 0 {
        c.put(" RPT");
    }
    put!(c, " pref=", preference & 0x7fff_ffff, " metric=", m.be32()?);
    Ok(())
}

fn candidate<S: Sink>(c: &mut Ctx<S>, m: &mut Message<'_>) -> Step {
    let count = m.rest.u8_at(0)?;
    put!(c, " prefix-cnt=", count, " prio=", m.rest.u8_at(1)?, " holdtime=");
    put!(c, Duration(m.rest.be16_at(2)?.into()));
    m.pass(4)?;
    m.address(c, " RP=", Form::Unicast)?;
    for group in 0..u32::from(count) {
        if m.left == 0 {
            break;
        }
        put!(c, " Group", group);
        m.address(c, "=", Form::Group)?;
    }
    Ok(())
}

/// The designated forwarder of a bidirectional tree (RFC 5015 section 3.7).
fn election<S: Sink>(c: &mut Ctx<S>, m: &mut Message<'_>, subtype: u8) -> Step {
    put!(c, "\n\t  ", name_or(ELECTION, subtype.into(), "Unknown"), ",");
    m.address(c, " rpa=", Form::Unicast)?;
    put!(c, " sender pref=", m.be32()?);
    put!(c, " sender metric=", m.be32()?);
    match subtype {
        3 => {
            m.address(c, "\n\t  offer addr=", Form::Unicast)?;
            put!(c, " offer pref=", m.be32()?);
            put!(c, " offer metric=", m.be32()?);
            put!(c, " interval ", m.be16()?, "ms");
        }
        4 => {
            m.address(c, "\n\t  new winner addr=", Form::Unicast)?;
            put!(c, " new winner pref=", m.be32()?);
            put!(c, " new winner metric=", m.be32()?);
        }
        _ => {}
    }
    Ok(())
}
