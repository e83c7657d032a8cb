//! DNS over UDP, TCP and multicast (RFC 1035, RFC 6762, RFC 6891).

use super::{Buf, Ctx, Field, Sink, Step, Stop, put};
use crate::text::address::{Ip4, Ip6};
use crate::text::{Duration, Hex, HexBytes, HexN, Named, Names, Visible};

/// Whether it is the multicast dialect, in which the top bit of a class has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ordinary DNS.
    Unicast,
    /// mDNS.
    Multicast,
}

const HEADER_LEN: usize = 12;
/// A name of more characters than this is cut off.
const MAX_NAME: usize = 255;
const IN: u16 = 1;
const OPT: u16 = 41;

const OPERATIONS: [&str; 16] = [
    "",
    " inv_q",
    " stat",
    " op3",
    " notify",
    " update",
    " op6",
    " op7",
    " op8",
    " updateA",
    " updateD",
    " updateDA",
    " updateM",
    " updateMA",
    " zoneInit",
    " zoneRef",
];

const RESPONSES: Names = &[
    (0, ""),
    (1, " FormErr"),
    (2, " ServFail"),
    (3, " NXDomain"),
    (4, " NotImp"),
    (5, " Refused"),
    (6, " YXDomain"),
    (7, " YXRRSet"),
    (8, " NXRRSet"),
    (9, " NotAuth"),
    (10, " NotZone"),
    (16, " BadVers"),
];

const CLASSES: Names = &[(1, "IN"), (3, "CHAOS"), (4, "HS"), (255, "ANY")];

#[rustfmt::skip]
const TYPES: Names = &[
    (1, "A"), (2, "NS"), (3, "MD"), (4, "MF"), (5, "CNAME"), (6, "SOA"), (7, "MB"), (8, "MG"),
    (9, "MR"), (10, "NULL"), (11, "WKS"), (12, "PTR"), (13, "HINFO"), (14, "MINFO"), (15, "MX"),
    (16, "TXT"), (17, "RP"), (18, "AFSDB"), (19, "X25"), (20, "ISDN"), (21, "RT"), (22, "NSAP"),
    (23, "NSAP_PTR"), (24, "SIG"), (25, "KEY"), (26, "PX"), (27, "GPOS"), (28, "AAAA"),
    (29, "LOC"), (30, "NXT"), (31, "EID"), (32, "NIMLOC"), (33, "SRV"), (34, "ATMA"),
    (35, "NAPTR"), (36, "KX"), (37, "CERT"), (38, "A6"), (39, "DNAME"), (40, "SINK"), (41, "OPT"),
    (42, "APL"), (43, "DS"), (44, "SSHFP"), (45, "IPSECKEY"), (46, "RRSIG"), (47, "NSEC"),
    (48, "DNSKEY"), (49, "DHCID"), (50, "NSEC3"), (51, "NSEC3PARAM"), (52, "TLSA"),
    (53, "SMIMEA"), (55, "HIP"), (56, "NINFO"), (57, "RKEY"), (58, "TALINK"), (59, "CDS"),
    (60, "CDNSKEY"), (61, "OPENPGPKEY"), (62, "CSYNC"), (63, "ZONEMD"), (64, "SVCB"),
    (65, "HTTPS"), (99, "SPF"), (100, "UINFO"), (101, "UID"), (102, "GID"), (103, "UNSPEC"),
    (104, "NID"), (105, "L32"), (106, "L64"), (107, "LP"), (108, "EUI48"), (109, "EUI64"),
    (249, "TKEY"), (250, "TSIG"), (251, "IXFR"), (252, "AXFR"), (253, "MAILB"), (254, "MAILA"),
    (255, "ANY"), (256, "URI"), (257, "CAA"), (258, "AVC"), (259, "DOA"), (260, "AMTRELAY"),
    (32768, "TA"), (32769, "DLV"),
];

const EDNS: Names = &[
    (1, "LLQ"),
    (2, "UL"),
    (3, "NSID"),
    (5, "DAU"),
    (6, "DHU"),
    (7, "N3U"),
    (8, "ECS"),
    (9, "EXPIRE"),
    (10, "COOKIE"),
    (11, "KEEPALIVE"),
    (12, "PADDING"),
    (13, "CHAIN"),
    (14, "KEY-TAG"),
    (16, "CLIENT-TAG"),
    (17, "SERVER-TAG"),
];

const SIGNATURES: Names = &[
    (0, "DELETE"),
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DS"),
    (5, "RSASHA1"),
    (6, "DSA-NSEC3-SHA1"),
    (7, "RSASHA1-NSEC3-SHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECC-GOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];

const DIGESTS: Names = &[(1, "SHA-1"), (2, "SHA-256"), (3, "GOST_R_34.11-94"), (4, "SHA-384")];

/// Prints a message behind the length that TCP puts before it.
pub fn print_tcp<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("domain");
    if len < 2 {
        put!(c, "[DNS over TCP: length ", len, " < 2]");
        return Err(Stop::Invalid);
    }
    let stated = usize::from(buf.be16_at(0)?);
    if stated != len - 2 {
        put!(c, "[prefix length(", stated, ") != length(", len - 2, ")]");
        return Err(Stop::Invalid);
    }
    print(c, buf.from(2), len - 2, Kind::Unicast)
}

/// Prints a message of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, kind: Kind) -> Step {
    c.layer("domain");
    if len < HEADER_LEN {
        put!(c, "domain [length ", len, " < 12]");
        return Err(Stop::Invalid);
    }
    buf.need(HEADER_LEN)?;
    let message = Message { buf, multicast: kind == Kind::Multicast };
    let flags = buf.be16_at(2)?;
    c.field(Field::DnsId, buf.be16_at(0)?);
    c.field(Field::DnsResponse, flags >> 15);
    if S::FIELDS && flags & 0x8000 != 0 {
        c.field(Field::DnsCode, flags & 15);
    }
    let counts = [buf.be16_at(4)?, buf.be16_at(6)?, buf.be16_at(8)?, buf.be16_at(10)?];
    c.field(Field::DnsQuestions, counts[0]);
    c.field(Field::DnsAnswers, counts[1]);
    if flags & 0x8000 != 0 {
        message.response(c, flags, counts)?;
    } else {
        message.request(c, flags, counts)?;
    }
    put!(c, " (", len, ")");
    Ok(())
}

struct Message<'a> {
    /// From the header on: where compressed names point into.
    buf: Buf<'a>,
    multicast: bool,
}

impl Message<'_> {
    fn response<S: Sink>(&self, c: &mut Ctx<S>, flags: u16, counts: [u16; 4]) -> Step {
        let [questions, answers, authorities, additionals] = counts;
        let code = self.response_code(flags, counts).unwrap_or(u32::from(flags & 15));
        put!(c, self.buf.be16_at(0)?, OPERATIONS[usize::from(flags >> 11 & 15)]);
        put!(c, Named(RESPONSES, code, " Resp", ""));
        for (set, unset, mask) in
            [("*", "", 0x400), ("", "-", 0x80), ("|", "", 0x200), ("$", "", 0x20)]
        {
            c.put(if flags & mask != 0 { set } else { unset });
        }
        if questions != 1 {
            put!(c, " [", questions, "q]");
        }
        let mut at = HEADER_LEN;
        for index in 0..questions {
            if index > 0 {
                c.put(",");
            }
            at = if c.options.verbose > 1 {
                c.put(" q:");
                self.question(c, at)?
            } else if S::FIELDS {
                let start = c.out.len();
                let next = self.question(c, at);
                c.out.truncate(start);
                next?
            } else {
                self.skip_name(at)? + 4
            };
        }
        put!(c, " ", answers, "/", authorities, "/", additionals);
        at = self.records(c, at, answers, true)?;
        self.tail(c, at, authorities, additionals)
    }

    fn request<S: Sink>(&self, c: &mut Ctx<S>, flags: u16, counts: [u16; 4]) -> Step {
        let [questions, answers, authorities, additionals] = counts;
        let operation = flags >> 11 & 15;
        put!(c, self.buf.be16_at(0)?, OPERATIONS[usize::from(operation)]);
        c.put(if flags & 0x100 != 0 { "+" } else { "" });
        c.put(if flags & 0x10 != 0 { "%" } else { "" });
        if flags & 0x6cf != 0 {
            put!(c, " [b2&3=0x", Hex(flags), "]");
        }
        let inverse = operation == 1;
        if inverse && questions != 0 {
            put!(c, " [", questions, "q]");
        }
        if answers != u16::from(inverse) {
            put!(c, " [", answers, "a]");
        }
        if !inverse && questions != 1 {
            put!(c, " [", questions, "q]");
        }
        if authorities != 0 {
            put!(c, " [", authorities, "n]");
        }
        if additionals != 0 {
            put!(c, " [", additionals, "au]");
        }
        let mut at = HEADER_LEN;
        for index in 0..questions {
            if index > 0 && at >= self.buf.len() {
                return Err(Stop::Truncated);
            }
            at = self.question(c, at)?;
        }
        if c.options.verbose > 1 {
            at = self.records(c, at, answers, true)?;
        }
        self.tail(c, at, authorities, additionals)
    }

    /// The sections that only `-vv` shows.
    fn tail<S: Sink>(&self, c: &mut Ctx<S>, at: usize, authorities: u16, additionals: u16) -> Step {
        if c.options.verbose < 2 {
            return Ok(());
        }
        let mut at = at;
        for (name, count) in [(" ns:", authorities), (" ar:", additionals)] {
            if count > 0 {
                if at >= self.buf.len() {
                    return Err(Stop::Truncated);
                }
                c.put(name);
                at = self.records(c, at, count, true)?;
            }
        }
        Ok(())
    }

    fn records<S: Sink>(&self, c: &mut Ctx<S>, at: usize, count: u16, first: bool) -> Step<usize> {
        let mut at = at;
        for index in 0..count {
            if index > 0 || !first {
                if at >= self.buf.len() {
                    return Err(Stop::Truncated);
                }
                c.put(",");
            }
            at = self.record(c, at)?;
            c.check_text()?;
        }
        Ok(at)
    }

    /// The response code with the upper bits that an OPT record holds.
    fn response_code(&self, flags: u16, counts: [u16; 4]) -> Step<u32> {
        let mut at = HEADER_LEN;
        for _ in 0..counts[0] {
            at = self.skip_name(at)? + 4;
            self.buf.u8_at(at)?;
        }
        for _ in 0..u32::from(counts[1]) + u32::from(counts[2]) {
            at = self.skip_name(at)? + 8;
            at += 2 + usize::from(self.buf.be16_at(at)?);
            self.buf.u8_at(at)?;
        }
        for _ in 0..counts[3] {
            at = self.skip_name(at)?;
            if self.buf.be16_at(at)? == OPT {
                return Ok(u32::from(flags & 15) | u32::from(self.buf.u8_at(at + 4)?) << 4);
            }
            at += 8;
            at += 2 + usize::from(self.buf.be16_at(at)?);
        }
        Ok(u32::from(flags & 15))
    }

    fn question<S: Sink>(&self, c: &mut Ctx<S>, at: usize) -> Step<usize> {
        let name_at = at;
        let at = self.skip_name(at)?;
        self.buf.bytes_at(at, 4)?;
        let kind = self.buf.be16_at(at)?;
        put!(c, " ", Named(TYPES, kind.into(), "Type", ""));
        let class = self.buf.be16_at(at + 2)?;
        let plain = if self.multicast { class & 0x7fff } else { class };
        if plain != IN {
            put!(c, " ", Named(CLASSES, plain.into(), "(Class ", ")"));
        }
        if self.multicast {
            c.put(if class & 0x8000 != 0 { " (QU)" } else { " (QM)" });
        }
        c.field(Field::DnsQueryType, kind);
        c.put("? ");
        let start = c.out.len();
        name(c, self.buf, name_at)?;
        if S::FIELDS && S::TEXT {
            let text = c.out.get(start..).unwrap_or_default().to_vec();
            // The root has no name, others no dot at their end.
            let text = text.strip_suffix(b".").filter(|rest| !rest.is_empty()).unwrap_or(&text);
            c.field(Field::DnsQueryName, text);
        }
        Ok(at + 4)
    }

    fn record<S: Sink>(&self, c: &mut Ctx<S>, at: usize) -> Step<usize> {
        let buf = self.buf;
        let at = if c.verbose() {
            c.put(" ");
            name(c, buf, at)?
        } else {
            match self.skip_name(at) {
                Ok(at) => at,
                Err(_) => return Ok(buf.len()),
            }
        };
        if !buf.from(at).has(10) {
            return Ok(buf.len());
        }
        let kind = buf.be16_at(at)?;
        let class = buf.be16_at(at + 2)?;
        let plain = if self.multicast { class & 0x7fff } else { class };
        if plain != IN && kind != OPT {
            put!(c, " ", Named(CLASSES, plain.into(), "(Class ", ")"));
        }
        if self.multicast && class & 0x8000 != 0 {
            c.put(" (Cache flush)");
        }
        let ttl = buf.be32_at(at + 4)?;
        if kind != OPT && c.options.verbose > 2 {
            put!(c, " [", Duration(ttl), "]");
        }
        let len = usize::from(buf.be16_at(at + 8)?);
        put!(c, " ", Named(TYPES, kind.into(), "Type", ""));
        let data = at + 10;
        let end = data + len;
        if end > buf.len() {
            return Err(Stop::Truncated);
        }
        if kind == OPT {
            put!(c, " UDPsize=", plain);
            if ttl & 0x8000 != 0 {
                c.put(" DO");
            }
            if len > 0 {
                c.put(" [");
                options(c, Buf::new(buf.bytes_at(data, len)?))?;
                c.put("]");
            }
        } else {
            self.data(c, kind, data, end)?;
        }
        Ok(end)
    }

    fn data<S: Sink>(&self, c: &mut Ctx<S>, kind: u16, at: usize, end: usize) -> Step {
        let buf = self.buf;
        match kind {
            1 => put!(c, " ", Ip4(buf.array_at(at)?)),
            28 => put!(c, " ", Ip6(buf.array_at(at)?)),
            2 | 5 | 12 | 39 => {
                c.put(" ");
                name(c, buf, at)?;
            }
            6 if c.verbose() => {
                c.put(" ");
                let at = name(c, buf, at)?;
                c.put(" ");
                let at = name(c, buf, at)?;
                buf.bytes_at(at, 20)?;
                for index in 0..5 {
                    put!(c, " ", buf.be32_at(at + 4 * index)?);
                }
            }
            15 => {
                c.put(" ");
                let preference = buf.be16_at(at)?;
                name(c, buf, at + 2)?;
                put!(c, " ", preference);
            }
            16 => {
                let mut at = at;
                while at < end {
                    c.put(" \"");
                    let len = usize::from(buf.u8_at(at)?);
                    c.put(Visible(buf.bytes_at(at + 1, len)?));
                    c.put("\"");
                    at += 1 + len;
                }
            }
            33 => {
                c.put(" ");
                buf.bytes_at(at, 6)?;
                name(c, buf, at + 6)?;
                let (priority, weight) = (buf.be16_at(at)?, buf.be16_at(at + 2)?);
                put!(c, ":", buf.be16_at(at + 4)?, " ", priority, " ", weight);
            }
            38 => self.a6(c, at)?,
            256 => {
                put!(c, " ", buf.be16_at(at)?, " ", buf.be16_at(at + 2)?, " ");
                c.put(Visible(buf.bytes_at(at + 4, (end - at).saturating_sub(4))?));
            }
            250 if c.verbose() => self.signature(c, at)?,
            _ => {}
        }
        Ok(())
    }

    fn a6<S: Sink>(&self, c: &mut Ctx<S>, at: usize) -> Step {
        let bits = self.buf.u8_at(at)?;
        if bits > 128 {
            put!(c, " ", bits, "(bad plen)");
            return Ok(());
        }
        let known = usize::from(bits / 8);
        if bits < 128 {
            let mut address = [0; 16];
            let suffix = self.buf.bytes_at(at + 1, 16 - known)?;
            if let Some(slot) = address.get_mut(known..) {
                slot.copy_from_slice(suffix);
            }
            put!(c, " ", bits, " ", Ip6(address));
        }
        if bits > 0 {
            c.put(" ");
            name(c, self.buf, at + 1 + 16 - known)?;
        }
        Ok(())
    }

    /// TSIG (RFC 8945).
    fn signature<S: Sink>(&self, c: &mut Ctx<S>, at: usize) -> Step {
        let buf = self.buf;
        c.put(" ");
        let at = name(c, buf, at)? + 6;
        put!(c, " fudge=", buf.be16_at(at)?);
        let mac_len = buf.be16_at(at + 2)?;
        put!(c, " maclen=", mac_len);
        let at = at + 4 + usize::from(mac_len);
        put!(c, " origid=", buf.be16_at(at)?);
        put!(c, " error=", buf.be16_at(at + 2)?);
        put!(c, " otherlen=", buf.be16_at(at + 4)?);
        Ok(())
    }

    /// Where a name ends.
    fn skip_name(&self, at: usize) -> Step<usize> {
        let mut at = at;
        loop {
            let len = self.buf.u8_at(at)?;
            at += 1;
            match len >> 6 {
                3 => return Ok(at + 1),
                1 if len == 0x41 => at += bit_label_len(self.buf.u8_at(at)?),
                0 if len == 0 => return Ok(at),
                0 => at += usize::from(len),
                _ => return Err(Stop::Truncated),
            }
        }
    }
}

/// Bytes of a bit-string label (RFC 2673) with its count.
fn bit_label_len(bits: u8) -> usize {
    let bits = if bits == 0 { 256 } else { usize::from(bits) };
    bits.div_ceil(8) + 1
}

/// Prints the name at `at` of a message and returns where it ends. Pointers lead backwards only.
pub fn name<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, at: usize) -> Step<usize> {
    labels(c, buf, at)
}

fn labels<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, start: usize) -> Step<usize> {
    let mut at = start;
    let mut lowest = at;
    let mut end = None;
    let mut chars = 0usize;
    loop {
        let len = buf.u8_at(at)?;
        match len >> 6 {
            3 => {
                let target = usize::from(buf.be16_at(at)? & 0x3fff);
                end.get_or_insert(at + 2);
                if target >= lowest {
                    c.put("<BAD PTR>");
                    return Err(Stop::Truncated);
                }
                lowest = target;
                at = target;
            }
            1 => {
                if len != 0x41 {
                    put!(c, "<ELT ", len & 0x3f, ">");
                    return Err(Stop::Truncated);
                }
                let bits = buf.u8_at(at + 1)?;
                bit_label(c, buf.from(at + 2), bits)?;
                at += 1 + bit_label_len(bits);
                c.put(".");
                chars += 1;
            }
            2 => {
                c.put("<BAD LABEL TYPE>");
                return Err(Stop::Truncated);
            }
            _ if len == 0 => {
                if at == start {
                    c.put(".");
                }
                if chars > MAX_NAME {
                    c.put("<DOMAIN NAME TOO LONG>");
                }
                return Ok(end.unwrap_or(at + 1));
            }
            _ => {
                let len = usize::from(len);
                let shown = len.min(MAX_NAME.saturating_sub(chars));
                match buf.bytes_at(at + 1, shown) {
                    Ok(label) => c.put(Visible(label)),
                    Err(stop) => {
                        c.put(Visible(buf.from(at + 1).bytes()));
                        return Err(stop);
                    }
                }
                chars += len;
                if chars <= MAX_NAME {
                    c.put(".");
                }
                chars += 1;
                at += 1 + len;
            }
        }
    }
}

fn bit_label<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, bits: u8) -> Step {
    let bits = if bits == 0 { 256 } else { usize::from(bits) };
    put!(c, "\\[x", HexBytes(buf.bytes_at(0, bits / 8)?));
    let rest = bits % 8;
    if rest > 0 {
        let byte = buf.u8_at(bits / 8)? & (0xff00u16 >> rest) as u8;
        if rest > 4 { c.put(HexN(byte, 2)) } else { c.put(Hex(byte >> 4)) }
    }
    put!(c, "/", bits, "]");
    Ok(())
}

/// The options of EDNS.
fn options<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    let mut buf = buf;
    while !buf.is_empty() {
        let kind = buf.be16()?;
        put!(c, Named(EDNS, kind.into(), "Opt", ""));
        let len = usize::from(buf.be16()?);
        let data = buf.take(len)?;
        if len > 0 {
            c.put(" ");
            option(c, kind, data);
        }
        if !buf.is_empty() {
            c.put(",");
        }
    }
    Ok(())
}

fn option<S: Sink>(c: &mut Ctx<S>, kind: u16, data: &[u8]) {
    match (kind, data) {
        (8, _) => client_subnet(c, data),
        (10, _) => match data.split_at_checked(8) {
            Some((client, server)) if server.is_empty() || (8..=32).contains(&server.len()) => {
                c.put(HexBytes(client));
                if !server.is_empty() {
                    put!(c, " ", HexBytes(server));
                }
            }
            _ => c.invalid(),
        },
        (11, &[a, b]) => {
            let tenths = u16::from_be_bytes([a, b]);
            put!(c, tenths / 10, ".", tenths % 10, " sec");
        }
        (9, &[a, b, d, e]) => put!(c, u32::from_be_bytes([a, b, d, e]), " sec"),
        (9 | 11, _) => c.invalid(),
        (12, _) => put!(c, "(", data.len(), ")"),
        (14, _) if data.len().is_multiple_of(2) => {
            for (index, tag) in data.chunks_exact(2).enumerate() {
                if index > 0 {
                    c.put(" ");
                }
                c.put(Buf::new(tag).be16_at(0).unwrap_or(0));
            }
        }
        (14, _) => c.invalid(),
        (5..=7, _) => {
            let names = match kind {
                5 => SIGNATURES,
                6 => DIGESTS,
                _ => DIGESTS.get(..1).unwrap_or_default(),
            };
            for (index, algorithm) in data.iter().enumerate() {
                if index > 0 {
                    c.put(" ");
                }
                put!(c, Named(names, (*algorithm).into(), "Alg_", ""));
            }
        }
        (13, _) => {
            let _ = name(c, Buf::new(data), 0);
        }
        _ => c.put(HexBytes(data)),
    }
}

/// EDNS client subnet (RFC 7871).
fn client_subnet<S: Sink>(c: &mut Ctx<S>, data: &[u8]) {
    let Some((&[0, family @ 1..=2, source, scope], address)) = data.split_first_chunk::<4>() else {
        return c.invalid();
    };
    let len = if family == 1 { 4 } else { 16 };
    let bits = len as u8 * 8;
    let needed = usize::from(source).div_ceil(8);
    if address.len() > len || source > bits || scope > bits || needed != address.len() {
        return c.invalid();
    }
    let mut padded = [0; 16];
    if let Some(slot) = padded.get_mut(..address.len()) {
        slot.copy_from_slice(address);
    }
    match family {
        1 => put!(c, Ip4([padded[0], padded[1], padded[2], padded[3]])),
        _ => put!(c, Ip6(padded)),
    }
    put!(c, "/", source, "/", scope);
}
