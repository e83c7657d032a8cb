//! The point-to-point protocol (RFC 1661) and its framings: with or without address and control,
//! with bytes stuffed (RFC 1662), or in Cisco's HDLC.

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, hdlc, ip, ip6, mpls, osi, ppp_login, ppp_options, put};
use crate::text::{HexN, Named, NamedHex, Names, name_or};

/// Names of protocols.
pub const PROTOCOLS: Names = &[
    (0x0021, "IP"),
    (0x0023, "OSI"),
    (0x0025, "NS"),
    (0x0027, "DECNET"),
    (0x0029, "APPLE"),
    (0x002b, "IPX"),
    (0x002d, "VJC IP"),
    (0x002f, "VJNC IP"),
    (0x0031, "BRPDU"),
    (0x0033, "STII"),
    (0x0035, "VINES"),
    (0x003d, "MLPPP"),
    (0x0057, "IP6"),
    (0x00fb, "COMP"),
    (0x00fd, "COMP"),
    (0x0281, "MPLS"),
    (0x0283, "MPLS"),
    (0x0201, "HELLO"),
    (0x0231, "LUXCOM"),
    (0x0233, "SNS"),
    (0x8021, "IPCP"),
    (0x8023, "OSICP"),
    (0x8025, "NSCP"),
    (0x8027, "DECNETCP"),
    (0x8029, "APPLECP"),
    (0x802b, "IPXCP"),
    (0x8033, "STIICP"),
    (0x8035, "VINESCP"),
    (0x8057, "IP6CP"),
    (0x8281, "MPLSCP"),
    (0xc021, "LCP"),
    (0xc023, "PAP"),
    (0xc025, "LQM"),
    (0xc027, "SPAP"),
    (0xc223, "CHAP"),
    (0xc02b, "BACP"),
    (0xc02d, "BAP"),
    (0x80fd, "CCP"),
    (0xc227, "EAP"),
];
const CODES: Names = &[
    (0, "Vendor-Extension"),
    (1, "Conf-Request"),
    (2, "Conf-Ack"),
    (3, "Conf-Nack"),
    (4, "Conf-Reject"),
    (5, "Term-Request"),
    (6, "Term-Ack"),
    (7, "Code-Reject"),
    (8, "Prot-Reject"),
    (9, "Echo-Request"),
    (10, "Echo-Reply"),
    (11, "Disc-Req"),
    (12, "Ident"),
    (13, "Time-Remaining"),
    (14, "Reset-Req"),
    (15, "Reset-Ack"),
];
const LCP: u16 = 0xc021;
const ADDRESS: u8 = 0xff;
const CONTROL: u8 = 0x03;
const ML_FLAGS: Names =
    &[(0xc000, "begin and end"), (0x8000, "begin"), (0x4000, "end"), (0, "middle")];

/// Prints a frame from its protocol on; address and control may stand before it.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("ppp");
    let (mut buf, mut len) = (buf, len);
    let whole = len;
    if len < 2 {
        c.truncated();
        return Ok(());
    }
    let outgoing = match buf.be16_at(0)? {
        0x0003 => Some("In  "),
        0x0103 => Some("Out "),
        0xff03 => Some(""),
        _ => None,
    };
    if let Some(word) = outgoing {
        if c.options.link_header {
            c.put(word);
        }
        (buf, len) = (buf.from(2), len - 2);
    }
    if len < 2 {
        c.truncated();
        return Ok(());
    }
    // An odd first byte is a protocol of one byte.
    let first = buf.u8_at(0)?;
    let (protocol, skip) =
        if first & 1 == 1 { (u16::from(first), 1) } else { (buf.be16_at(0)?, 2) };
    if protocol & 1 == 0 {
        put!(c, "(protocol 0x", HexN(protocol, 4), " invalid)");
        return Ok(());
    }
    if c.options.link_header {
        let name = NamedHex(PROTOCOLS, protocol.into(), "unknown PPP protocol (0x", 4, ")");
        put!(c, name, " (0x", HexN(protocol, 4), "), length ", whole, ": ");
    }
    payload(c, protocol, buf.from(skip), len - skip)
}

/// As a link type: with address and control, or without.
pub fn link<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("ppp");
    if !buf.has(4) {
        c.truncated();
        return Ok(());
    }
    c.link_header_len = 4;
    print(c, buf, len)
}

/// As a link type: PPP or Cisco's protocol, in HDLC frames.
pub fn serial<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, link: &Link<'_>) -> Step {
    c.layer("ppp_hdlc");
    if !buf.has(2) {
        c.truncated();
        return Ok(());
    }
    match buf.u8_at(0)? {
        0x0f | 0x8f => hdlc::link(c, buf, len, link),
        ADDRESS => {
            if !buf.has(4) {
                c.truncated();
                return Ok(());
            }
            if c.options.link_header {
                put!(c, HexN(buf.u8_at(0)?, 2), " ", HexN(buf.u8_at(1)?, 2), " ", len, " ");
            }
            let protocol = buf.be16_at(2)?;
            c.link_header_len = 4;
            let unknown = "unknown PPP protocol (0x";
            put!(c, NamedHex(PROTOCOLS, protocol.into(), unknown, 4, ")"), ": ");
            payload(c, protocol, buf.from(4), len.saturating_sub(4))
        }
        _ => {
            if c.options.link_header {
                put!(c, HexN(buf.u8_at(0)?, 2), " ", HexN(buf.u8_at(1)?, 2), " ", len, " ");
            }
            c.link_header_len = 2;
            let protocol = buf.from(2).be16_at(0)?;
            let unknown = "unknown PPP protocol (0x";
            put!(c, NamedHex(PROTOCOLS, protocol.into(), unknown, 4, ")"), ": ");
            payload(c, protocol, buf.from(4), len.saturating_sub(4))
        }
    }
}

/// Prints what a protocol carries.
fn payload<S: Sink>(c: &mut Ctx<S>, protocol: u16, buf: Buf<'_>, len: usize) -> Step {
    if protocol & 0xff00 == 0x7e00 {
        // A flag in front: the frame is stuffed, and the flag's other byte belongs to it.
        return c.nested(|c| stuffed(c, protocol as u8, buf));
    }
    match protocol {
        LCP | 0x8021 | 0x8023 | 0x8281 | 0x8057 | 0x80fd | 0xc02b => control(c, protocol, buf, len),
        0x003d => multilink(c, buf, len),
        0xc223 => ppp_login::chap(c, buf, len),
        0xc023 => ppp_login::pap(c, buf, len),
        0xc02d => ppp_login::bap(c, buf, len),
        0xc227 => super::eap::print(c, buf, len),
        0x0800 | 0x0021 => c.nested(|c| ip::print(c, buf, len)),
        0x86dd | 0x0057 => c.nested(|c| ip6::print(c, buf, len)),
        0x0023 => c.nested(|c| osi::print(c, buf, len)),
        0x0281 | 0x0283 => c.nested(|c| mpls::print(c, buf, len)),
        0x00fb | 0x00fd => {
            c.put("COMP ");
            Ok(())
        }
        _ => {
            put!(c, NamedHex(PROTOCOLS, protocol.into(), "unknown PPP protocol (0x", 4, ")"));
            c.hex_print("\n\t", buf, len);
            Ok(())
        }
    }
}

/// A frame with bytes stuffed; `first` is what stood before `buf`. The one place where a packet is
/// copied: what follows it is printed of the copy.
fn stuffed<S: Sink>(c: &mut Ctx<S>, first: u8, buf: Buf<'_>) -> Step {
    let mut plain = Vec::with_capacity(buf.len() + 1);
    let mut bytes = std::iter::once(first).chain(buf.bytes().iter().copied());
    while let Some(byte) = bytes.next() {
        if byte != 0x7d {
            plain.push(byte);
        } else if let Some(next) = bytes.next() {
            plain.push(next ^ 0x20);
        }
    }
    let frame = Buf::new(&plain);
    let len = plain.len();
    match frame.u8_at(0)? {
        0x21 => return ip::print(c, frame.from(1), len - 1),
        0x57 => return ip6::print(c, frame.from(1), len - 1),
        _ => {}
    }
    let protocol = frame.be16_at(0)?;
    if protocol == u16::from_be_bytes([ADDRESS, CONTROL]) {
        let protocol = frame.be16_at(2)?;
        return payload(c, protocol, frame.from(4), len - 4);
    }
    payload(c, protocol, frame.from(2), len - 2)
}

fn multilink<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("mlppp");
    if !c.options.link_header {
        c.put("MLPPP, ");
    }
    if len < 2 || !buf.has(2) {
        c.put("[|mlppp]");
        return Ok(());
    }
    let head = buf.be16_at(0)?;
    put!(c, "seq 0x", HexN(head & 0x0fff, 3), ", Flags [");
    put!(c, name_or(ML_FLAGS, (head & 0xc000).into(), "none"), "], length ", len);
    Ok(())
}

/// The packets that negotiate (RFC 1661 section 5).
fn control<S: Sink>(c: &mut Ctx<S>, protocol: u16, buf: Buf<'_>, len: usize) -> Step {
    put!(c, NamedHex(PROTOCOLS, protocol.into(), "unknown ctrl-proto (0x", 4, ")"), ", ");
    if len < 4 {
        c.put("[|");
        put!(c, name_or(PROTOCOLS, protocol.into(), "ppp"), "]");
        return Ok(());
    }
    let code = buf.u8_at(0)?;
    put!(c, name_or(CODES, code.into(), "Unknown Opcode"), " (0x", HexN(code, 2), "), id ");
    put!(c, buf.u8_at(1)?, ", length ", len + 2);
    if !c.verbose() {
        return Ok(());
    }
    let stated = usize::from(buf.be16_at(2)?);
    put!(c, "\n\tencoded length ", stated);
    if stated < 4 {
        c.put(" (< 4))");
        return Ok(());
    }
    if stated > len {
        put!(c, " (> packet length ", len, "))");
        return Ok(());
    }
    put!(c, " (=Option(s) length ", stated - 4, ")");
    if stated == 4 {
        return Ok(());
    }
    if c.options.verbose > 1 {
        // With the protocol in front, of which only the number is at hand.
        let mut head = [0; 6];
        if let Some((number, rest)) = head.split_at_mut_checked(2) {
            number.copy_from_slice(&protocol.to_be_bytes());
            rest.copy_from_slice(buf.bytes_at(0, 4)?);
        }
        c.hex_print("\n\t", Buf::new(&head), 6);
    }
    let (body, body_len) = (buf.from(4), stated - 4);
    match code {
        0 if stated >= 11 => {
            put!(c, "\n\t  Magic-Num 0x", HexN(body.be32_at(0)?, 8), " Vendor: ");
            let vendor = body.be24_at(4)?;
            let name = name_or(super::registry::OUI_NAMES, vendor, "Unknown");
            put!(c, name, " (", vendor, ")");
        }
        1..=4 => ppp_options::print(c, protocol, body, body_len)?,
        5 | 6 => c.hex_print("\n\t    ", body, body_len),
        7 if stated >= 8 => {
            let inner = Named(CODES, body.u8_at(0)?.into(), "unknown (", ")");
            put!(c, "\n\t  Rejected Code ", inner, ", Id ", body.u8_at(1)?);
            if body_len > 4 {
                c.hex_print("\n\t    ", body, body_len);
            }
        }
        8 if stated >= 6 => {
            let rejected = body.be16_at(0)?;
            put!(c, "\n\t  Rejected ", NamedHex(PROTOCOLS, rejected.into(), "unknown (0x", 4, ")"));
            put!(c, " Protocol (0x", HexN(rejected, 4), ")");
            if body_len > 2 {
                c.put("\n\t  Rejected Packet");
                c.hex_print("\n\t    ", body.from(2), body_len - 2);
            }
        }
        9..=11 if stated >= 8 => {
            put!(c, "\n\t  Magic-Num 0x", HexN(body.be32_at(0)?, 8));
            if body_len > 4 {
                c.put("\n\t  -----trailing data-----");
                c.hex_print("\n\t    ", body.from(4), body_len - 4);
            }
        }
        12 if stated >= 8 => {
            put!(c, "\n\t  Magic-Num 0x", HexN(body.be32_at(0)?, 8));
            if body_len > 4 {
                c.put("\n\t  Data\n\t    ");
                c.visible(body.from(4), body_len - 4)?;
            }
        }
        13 if stated >= 12 => {
            put!(c, "\n\t  Magic-Num 0x", HexN(body.be32_at(0)?, 8));
            put!(c, ", Seconds-Remaining ", body.be32_at(4)?, "s");
        }
        0 | 7..=13 => {}
        _ => {
            if c.options.verbose <= 1 {
                c.hex_print("\n\t    ", buf, stated);
            }
        }
    }
    Ok(())
}
