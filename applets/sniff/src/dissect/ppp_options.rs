//! Options that PPP negotiates: of the link (RFC 1661), of IP (RFC 1332, RFC 5072), of compression
//! (RFC 1962) and of bandwidth (RFC 2125).

use super::registry::OUI_NAMES;
use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{HexN, NamedHex, Names, name_or};

const LINK: Names = &[
    (0, "Vend-Ext"),
    (1, "MRU"),
    (2, "ACCM"),
    (3, "Auth-Prot"),
    (4, "Qual-Prot"),
    (5, "Magic-Num"),
    (6, "deprecated(6)"),
    (7, "PFC"),
    (8, "ACFC"),
    (9, "FCS-Alt"),
    (10, "SDP"),
    (11, "Numbered-Mode"),
    (12, "deprecated(12)"),
    (13, "Call-Back"),
    (14, "deprecated(14)"),
    (15, "deprecated(15)"),
    (16, "deprecated(16)"),
    (17, "MRRU"),
    (18, "12-Bit seq #"),
    (19, "End-Disc"),
    (20, "Proprietary"),
    (21, "DCE-Id"),
    (22, "MP+"),
    (23, "Link-Disc"),
    (24, "LCP-Auth-Opt"),
];
const IP4: Names = &[
    (1, "IP-Addrs"),
    (2, "IP-Comp"),
    (3, "IP-Addr"),
    (4, "Home-Addr"),
    (129, "Pri-DNS"),
    (130, "Pri-NBNS"),
    (131, "Sec-DNS"),
    (132, "Sec-NBNS"),
];
const IP_COMPRESSION: Names = &[(0x2d, "VJ-Comp"), (0x61, "IP Header Compression")];
const HEADER_COMPRESSION: Names = &[
    (1, "RTP-Compression"),
    (2, "Enhanced RTP-Compression"),
    (3, "Suppress Data/Compression of Control TCP Timestamps"),
];
const IP6: Names = &[(1, "Interface-ID")];
const COMPRESSION: Names = &[
    (0, "OUI"),
    (1, "Pred-1"),
    (2, "Pred-2"),
    (3, "Puddle"),
    (16, "HP-PPC"),
    (17, "Stac"),
    (18, "MPPC"),
    (19, "Gand-FZA"),
    (20, "V.42bis"),
    (21, "BSD-Comp"),
    (23, "LZS-DCP"),
    (24, "Deflate"),
    (26, "Deflate"),
    (27, "V.44"),
];
const BANDWIDTH: Names = &[(1, "Favored-Peer")];
const CALL_BACK: Names = &[
    (0, "UserAuth"),
    (1, "DialString"),
    (2, "LocalID"),
    (3, "E.164"),
    (4, "X.500"),
    (6, "CBCP nego"),
];
const CHAP: Names = &[(5, "MD5"), (128, "MS-CHAPv1"), (129, "MS-CHAPv2")];
const END_CLASSES: Names =
    &[(0, "Null"), (1, "Local"), (2, "IPv4"), (3, "MAC"), (4, "Magic-Num"), (5, "PSNDN")];

/// Prints the options of a packet of this protocol.
pub fn print<S: Sink>(c: &mut Ctx<S>, protocol: u16, buf: Buf<'_>, len: usize) -> Step {
    let (mut rest, mut left) = (buf, len);
    while left > 0 {
        let Some(used) = one(c, protocol, rest, left)? else { return Ok(()) };
        if left < used {
            put!(c, " [remaining options length ", left, " < ", used, "]");
            c.invalid();
            return Ok(());
        }
        rest = rest.from(used);
        left -= used;
        c.check_text()?;
    }
    Ok(())
}

/// One option and its length; `None` when there is no going on.
fn one<S: Sink>(c: &mut Ctx<S>, protocol: u16, buf: Buf<'_>, left: usize) -> Step<Option<usize>> {
    if left < 2 {
        put!(c, "[|");
        put!(c, name_or(super::ppp::PROTOCOLS, protocol.into(), "ppp"), "]");
        return Ok(None);
    }
    let names = match protocol {
        0xc021 => LINK,
        0x8021 => IP4,
        0x8057 => IP6,
        0x80fd => COMPRESSION,
        0xc02b => BANDWIDTH,
        _ => return Ok(None),
    };
    let (kind, len) = (buf.u8_at(0)?, usize::from(buf.u8_at(1)?));
    if len < 2 {
        let name = name_or(names, kind.into(), "unknown");
        put!(c, "\n\t  ", name, " Option (0x", HexN(kind, 2), "), length ", len);
        c.put(" (length bogus, should be >= 2)");
        return Ok(None);
    }
    if protocol == 0xc021 && kind > 24 {
        put!(c, "\n\t  ", "Unknown LCP Option (0x", HexN(kind, 2), "), length ", len);
    } else {
        put!(c, "\n\t  ", name_or(names, kind.into(), "unknown"), " Option (0x", HexN(kind, 2));
        put!(c, "), length ", len);
    }
    let value = buf.from(2);
    let known = match protocol {
        0xc021 => link(c, kind, value, len)?,
        0x8021 => ip4(c, kind, value, len)?,
        0x8057 => {
            if kind == 1 && len == 10 {
                put!(c, ": ", HexN(value.be16_at(0)?, 4), ":", HexN(value.be16_at(2)?, 4));
                put!(c, ":", HexN(value.be16_at(4)?, 4), ":", HexN(value.be16_at(6)?, 4));
            } else if kind == 1 {
                c.put(" (length bogus, should be = 10)");
                return Ok(Some(len));
            }
            kind == 1
        }
        0x80fd => compression(c, kind, value, len)?,
        _ => {
            if kind == 1 && len == 6 {
                put!(c, ": Magic-Num 0x", HexN(value.be32_at(0)?, 8));
            }
            kind == 1
        }
    };
    if !known && c.options.verbose < 2
        || c.options.verbose > 1 && !(protocol == 0x8021 && kind == 2)
    {
        let shown = value.limit(len - 2);
        c.hex_print("\n\t    ", shown, len - 2);
        value.need(len - 2)?;
    }
    Ok(Some(len))
}

fn bogus<S: Sink>(c: &mut Ctx<S>, word: &'static str, right: usize) -> Step<bool> {
    put!(c, " (length bogus, should be ", word, " ", right, ")");
    Ok(true)
}

fn link<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>, len: usize) -> Step<bool> {
    c.put(": ");
    match kind {
        0 => {
            if len < 6 {
                return bogus(c, ">=", 6);
            }
            let vendor = value.be24_at(0)?;
            put!(c, "Vendor: ", name_or(OUI_NAMES, vendor, "Unknown"), " (", vendor, ")");
        }
        1 | 17 => {
            if len != 4 {
                return bogus(c, "=", 4);
            }
            c.put(value.be16_at(0)?);
        }
        2 => {
            if len != 6 {
                return bogus(c, "=", 6);
            }
            put!(c, "0x", HexN(value.be32_at(0)?, 8));
        }
        3 => {
            if len < 4 {
                return bogus(c, ">=", 4);
            }
            let protocol = value.be16_at(0)?;
            put!(c, NamedHex(super::ppp::PROTOCOLS, protocol.into(), "Unknown (0x", 4, ")"));
            match protocol {
                0xc223 if len >= 5 => {
                    put!(c, ", ", NamedHex(CHAP, value.u8_at(2)?.into(), "Unknown (0x", 2, ")"));
                }
                0xc023 | 0xc227 | 0xc027 => {}
                _ => c.hex_print("\n\t", value, len),
            }
        }
        4 => {
            if len < 4 {
                return bogus(c, ">=", 4);
            }
            c.put(if value.be16_at(0)? == 0xc025 { " LQR" } else { " unknown" });
        }
        5 => {
            if len != 6 {
                return bogus(c, "=", 6);
            }
            put!(c, "0x", HexN(value.be32_at(0)?, 8));
        }
        13 => {
            if len < 3 {
                return bogus(c, ">=", 3);
            }
            let operation = value.u8_at(0)?;
            put!(c, "Callback Operation ", name_or(CALL_BACK, operation.into(), "Unknown"));
            put!(c, " (", operation, ")");
        }
        19 => {
            if len < 3 {
                return bogus(c, ">=", 3);
            }
            let class = value.u8_at(0)?;
            put!(c, name_or(END_CLASSES, class.into(), "Unknown"), " (", class, ")");
            match class {
                2 if len == 7 => {
                    c.put(", IPv4 ");
                    c.host4(value, 1)?;
                }
                3 if len == 9 => {
                    let address = value.bytes_at(1, 6)?;
                    c.put(", MAC ");
                    c.mac(address);
                }
                4 => put!(c, ", Magic-Num 0x", HexN(value.be32_at(1)?, 8)),
                _ => {}
            }
        }
        7 | 8 | 18 => {}
        _ => return Ok(false),
    }
    Ok(true)
}

fn ip4<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>, len: usize) -> Step<bool> {
    match kind {
        1 => {
            if len != 10 {
                return bogus(c, "=", 10);
            }
            c.put(": src ");
            c.host4(value, 0)?;
            c.put(", dst ");
            c.host4(value, 4)?;
        }
        2 => {
            if len < 4 {
                return bogus(c, ">=", 4);
            }
            let protocol = value.be16_at(0)?;
            let name = name_or(IP_COMPRESSION, protocol.into(), "Unknown");
            put!(c, ": ", name, " (0x", HexN(protocol, 2), "):");
            if protocol == 0x61 {
                return header_compression(c, value.from(2), len);
            }
        }
        3 | 4 | 129..=132 => {
            if len != 6 {
                return bogus(c, "=", 6);
            }
            c.put(": ");
            c.host4(value, 0)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// RFC 2509 and RFC 3544.
fn header_compression<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>, len: usize) -> Step<bool> {
    if len < 14 {
        return bogus(c, ">=", 14);
    }
    put!(c, "\n\t    TCP Space ", value.be16_at(0)?, ", non-TCP Space ", value.be16_at(2)?);
    put!(c, ", maxPeriod ", value.be16_at(4)?, ", maxTime ", value.be16_at(6)?);
    put!(c, ", maxHdr ", value.be16_at(8)?);
    let mut left = len - 14;
    if left == 0 {
        return Ok(true);
    }
    put!(c, "\n\t      Suboptions, length ", left);
    let mut rest = value.from(10);
    while left >= 2 {
        let (kind, sub_len) = (rest.u8_at(0)?, usize::from(rest.u8_at(1)?));
        put!(c, "\n\t\t", name_or(HEADER_COMPRESSION, kind.into(), "Unknown"));
        put!(c, " Suboption #", kind, ", length ", sub_len);
        // A length of 0 would go on for ever, and the kind's byte alone is no suboption.
        if sub_len == 0 || sub_len > left {
            break;
        }
        rest = rest.from(sub_len);
        left -= sub_len;
    }
    Ok(true)
}

fn compression<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>, len: usize) -> Step<bool> {
    match kind {
        21 => {
            if len < 3 {
                return bogus(c, ">=", 3);
            }
            let bits = value.u8_at(0)?;
            put!(c, ": Version ", bits >> 5, ", Dictionary Bits: ", bits & 0x1f);
        }
        27 => {
            if len < 4 {
                return bogus(c, ">=", 4);
            }
            put!(c, ": Features: ", value.u8_at(0)? >> 6, ", PktMode: ");
            match value.u8_at(0)? >> 6 {
                0 => c.put("PktMode"),
                1 => c.put("Multi-PktMode"),
                _ => c.put("Unknown"),
            }
            put!(c, ", Contexts: ", value.u8_at(1)?);
        }
        24 | 26 => {
            if len < 4 {
                return bogus(c, ">=", 4);
            }
            let (window, check) = (value.u8_at(0)?, value.u8_at(1)?);
            put!(c, ": Window: ", (window >> 4), "K, Method: ");
            let method = if window & 15 == 8 { "zlib" } else { "unknown" };
            put!(c, method, " (0x", HexN(window & 15, 1), "), MBZ: ", check >> 2);
            put!(c, ", CHK: ", check & 3);
        }
        _ => return Ok(false),
    }
    Ok(true)
}
