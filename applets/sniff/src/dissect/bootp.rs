//! BOOTP and DHCP (RFC 951, RFC 2131, RFC 2132).

use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::{Bits, Hex, HexN, Named, NamedHex, Names, Visible, name_or};

const PAD: u8 = 0;
const NETBIOS_NODE: u8 = 46;
const OVERLOAD: u8 = 52;
const MESSAGE_TYPE: u8 = 53;
const PARAMETER_REQUEST: u8 = 55;
const CLIENT_ID: u8 = 61;
const USER_CLASS: u8 = 77;
const CLIENT_FQDN: u8 = 81;
const AGENT_INFORMATION: u8 = 82;
const CLASSLESS_ROUTE: u8 = 121;
const SZTP_REDIRECT: u8 = 143;
const CLASSLESS_ROUTE_MS: u8 = 249;
const END: u8 = 255;

/// How the value of an option is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Addresses,
    AddressPairs,
    Unsigned,
    Signed,
    Shorts,
    Bytes,
    Text,
    Booleans,
    Special,
    None,
}

use Form::{AddressPairs, Addresses, Booleans, Bytes, Shorts, Signed, Special, Text, Unsigned};

#[rustfmt::skip]
const OPTIONS: &[(u8, Form, &str)] = &[
    (0, Form::None, "PAD"), (1, Addresses, "Subnet-Mask"), (2, Signed, "Time-Zone"),
    (3, Addresses, "Default-Gateway"), (4, Addresses, "Time-Server"),
    (5, Addresses, "IEN-Name-Server"), (6, Addresses, "Domain-Name-Server"),
    (7, Addresses, "LOG"), (8, Addresses, "CS"), (9, Addresses, "LPR-Server"),
    (10, Addresses, "IM"), (11, Addresses, "RL"), (12, Text, "Hostname"), (13, Shorts, "BS"),
    (14, Text, "DP"), (15, Text, "Domain-Name"), (16, Addresses, "SS"), (17, Text, "RP"),
    (18, Text, "EP"), (19, Booleans, "IPF"), (20, Booleans, "SRT"), (21, AddressPairs, "PF"),
    (22, Shorts, "RSZ"), (23, Bytes, "TTL"), (24, Unsigned, "MTU-Timeout"),
    (25, Shorts, "MTU-Table"), (26, Shorts, "MTU"), (27, Booleans, "LSN"), (28, Addresses, "BR"),
    (29, Booleans, "MD"), (30, Booleans, "MS"), (31, Booleans, "Router-Discovery"),
    (32, Addresses, "RSA"), (33, AddressPairs, "Static-Route"), (34, Booleans, "UT"),
    (35, Unsigned, "AT"), (36, Booleans, "IE"), (37, Bytes, "TT"), (38, Unsigned, "KI"),
    (39, Booleans, "KG"), (40, Text, "YD"), (41, Addresses, "YS"), (42, Addresses, "NTP"),
    (43, Bytes, "Vendor-Option"), (44, Addresses, "Netbios-Name-Server"), (45, Addresses, "WDD"),
    (46, Special, "Netbios-Node"), (47, Text, "Netbios-Scope"), (48, Addresses, "XFS"),
    (49, Addresses, "XDM"), (50, Addresses, "Requested-IP"), (51, Unsigned, "Lease-Time"),
    (52, Special, "OO"), (53, Form::None, "DHCP-Message"), (54, Addresses, "Server-ID"),
    (55, Bytes, "Parameter-Request"), (56, Text, "MSG"), (57, Shorts, "MSZ"),
    (58, Unsigned, "RN"), (59, Unsigned, "RB"), (60, Text, "Vendor-Class"),
    (61, Special, "Client-ID"), (64, Shorts, "N+D"), (65, Addresses, "N+S"), (66, Text, "TFTP"),
    (67, Text, "BF"), (68, Addresses, "MH"), (69, Addresses, "SMTP"), (70, Addresses, "POP3"),
    (71, Addresses, "NNTP"), (72, Addresses, "WWW"), (73, Addresses, "FG"),
    (74, Addresses, "IRC"), (75, Addresses, "STS"), (76, Addresses, "STDA"),
    (77, Special, "User-Class"), (78, Bytes, "SLP-DA"), (79, Bytes, "SLP-SCOPE"),
    (80, Text, "SLP-NA"), (81, Special, "FQDN"), (82, Special, "Agent-Information"),
    (83, Bytes, "ARMT"), (88, Text, "TZSTR"), (89, Bytes, "FQDNS"), (90, Bytes, "AUTH"),
    (91, Signed, "Last-Transaction-Time"), (92, Addresses, "Associated-IP"),
    (93, Shorts, "ARCH"), (94, Bytes, "NDI"), (95, Text, "LDAP"), (97, Bytes, "GUID"),
    (98, Text, "UAP"), (100, Text, "POSIX-TZ"), (101, Text, "TZ-Name"), (112, Addresses, "NI"),
    (113, Text, "NITAG"), (114, Text, "URL"), (116, Booleans, "Auto-Configure"),
    (117, Shorts, "NSSEARCH"), (118, Addresses, "SUBNET"),
    (121, Special, "Classless-Static-Route"), (143, Special, "SZTP-Redirect"),
    (150, Addresses, "TFTP-Server-Address"), (161, Text, "MUD-URL"),
    (249, Special, "Classless-Static-Route-Microsoft"), (255, Form::None, "END"),
];

const OPERATIONS: Names = &[(1, "Request"), (2, "Reply")];
const FLAGS: Names = &[(0x8000, "Broadcast")];
const MESSAGES: Names = &[
    (1, "Discover"),
    (2, "Offer"),
    (3, "Request"),
    (4, "Decline"),
    (5, "ACK"),
    (6, "NACK"),
    (7, "Release"),
    (8, "Inform"),
    (10, "LeaseQuery"),
    (11, "LeaseUnassigned"),
    (12, "LeaseUnknown"),
    (13, "LeaseActive"),
];
const OVERLOADS: Names = &[(1, "file"), (2, "sname"), (3, "file+sname")];
const NODES: Names = &[(1, "b-node"), (2, "p-node"), (4, "m-node"), (8, "h-node")];
const HARDWARE: Names =
    &[(1, "ether"), (6, "ieee802"), (7, "arcnet"), (15, "frelay"), (23, "strip"), (24, "ieee1394")];
const AGENT: Names =
    &[(1, "Circuit-ID"), (2, "Remote-ID"), (5, "Link-selection"), (6, "Subscriber-ID")];

fn lookup(tag: u8) -> Option<(Form, &'static str)> {
    OPTIONS.iter().find(|row| row.0 == tag).map(|row| (row.1, row.2))
}

/// Prints a message of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("bootp");
    let operation = buf.u8_at(0)?;
    put!(c, "BOOTP/DHCP, ", NamedHex(OPERATIONS, operation.into(), "unknown (0x", 2, ")"));
    let (hardware, hardware_len) = (buf.u8_at(1)?, buf.u8_at(2)?);
    let ethernet = hardware == 1 && hardware_len == 6;
    if ethernet && operation == 1 {
        let address = buf.bytes_at(28, 6)?;
        c.put(" from ");
        c.mac(address);
    }
    put!(c, ", length ", len);
    if !c.verbose() {
        return Ok(());
    }
    buf.need(10)?;
    if hardware != 1 {
        put!(c, ", htype ", hardware);
    }
    if !ethernet {
        put!(c, ", hlen ", hardware_len);
    }
    match buf.u8_at(3)? {
        0 => {}
        hops => put!(c, ", hops ", hops),
    }
    match buf.be32_at(4)? {
        0 => {}
        id => put!(c, ", xid 0x", Hex(id)),
    }
    match buf.be16_at(8)? {
        0 => {}
        seconds => put!(c, ", secs ", seconds),
    }
    let flags = buf.be16_at(10)?;
    put!(c, ", Flags [", Bits(FLAGS, flags.into(), ", ", "none"), "]");
    if c.options.verbose > 1 {
        put!(c, " (0x", HexN(flags, 4), ")");
    }
    for (at, name) in [
        (12, "\n\t  Client-IP "),
        (16, "\n\t  Your-IP "),
        (20, "\n\t  Server-IP "),
        (24, "\n\t  Gateway-IP "),
    ] {
        if buf.be32_at(at)? != 0 {
            c.put(name);
            c.host4(buf, at)?;
        }
    }
    if ethernet {
        let address = buf.bytes_at(28, 6)?;
        c.put("\n\t  Client-Ethernet-Address ");
        c.mac(address);
    }
    for (at, len, name) in [(44, 64, "\n\t  sname \""), (108, 128, "\n\t  file \"")] {
        if buf.u8_at(at)? != 0 {
            c.put(name);
            string(c, buf.from(at).limit(len))?;
        }
    }
    vendor(c, buf)
}

/// A string that ends with a zero, in a field that is whole or cut off.
fn string<S: Sink>(c: &mut Ctx<S>, field: Buf<'_>) -> Step {
    let bytes = field.bytes();
    let end = memchr::memchr(0, bytes);
    put!(c, Visible(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()), "\"");
    if end.is_none() { Err(Stop::Truncated) } else { Ok(()) }
}

fn vendor<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    const RFC1048: u32 = 0x6382_5363;
    const CMU: u32 = 0x434d_5500;
    match buf.be32_at(236)? {
        RFC1048 => {
            c.put("\n\t  Vendor-rfc1048 Extensions");
            put!(c, "\n\t    Magic Cookie 0x", HexN(RFC1048, 8));
            options(c, buf.from(240))
        }
        CMU => cmu(c, buf.from(236)),
        0 => Ok(()),
        magic => {
            put!(c, "\n\t  Vendor-#0x", Hex(magic));
            Ok(())
        }
    }
}

fn cmu<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    c.put(" vend-cmu");
    let flags = buf.u8_at(4)?;
    if flags & !1 != 0 {
        put!(c, " F:0x", Hex(flags));
    }
    let mask = if flags & 1 != 0 { " SM:" } else { " SM*:" };
    for (at, name) in [
        (12, " DG:"),
        (8, mask),
        (16, " NS1:"),
        (20, " NS2:"),
        (24, " IEN1:"),
        (28, " IEN2:"),
        (32, " TS1:"),
        (36, " TS2:"),
    ] {
        if buf.be32_at(at)? != 0 {
            c.put(name);
            c.host4(buf, at)?;
        }
    }
    Ok(())
}

fn options<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    let mut buf = buf;
    while !buf.is_empty() {
        let tag = buf.u8()?;
        if c.options.verbose < 3 {
            match tag {
                PAD => continue,
                END => return Ok(()),
                _ => {}
            }
        }
        let (form, name) = lookup(tag).map_or((None, "Unknown"), |(form, name)| (Some(form), name));
        let len = if matches!(tag, PAD | END) { 0 } else { usize::from(buf.u8()?) };
        put!(c, "\n\t    ", name, " (", tag, "), length ", len, if len > 0 { ": " } else { "" });
        if tag == PAD {
            let run = buf.bytes().iter().take_while(|byte| **byte == PAD).count();
            buf.take(run)?;
            if run > 0 {
                put!(c, ", occurs ", run + 1);
            }
        }
        let value = Buf::new(buf.take(len)?);
        let rest = option(c, tag, form, value)?;
        if rest > 0 {
            put!(c, "\n\t  trailing data length ", rest);
        }
        c.check_text()?;
    }
    Ok(())
}

/// Prints the value of an option and returns how much of it was left over.
fn option<S: Sink>(c: &mut Ctx<S>, tag: u8, form: Option<Form>, value: Buf<'_>) -> Step<usize> {
    let len = value.len();
    match tag {
        MESSAGE_TYPE if len == 1 => {
            put!(c, Named(MESSAGES, value.u8_at(0)?.into(), "Unknown (", ")"));
            return Ok(0);
        }
        PARAMETER_REQUEST => {
            for (index, inner) in value.bytes().iter().enumerate() {
                c.put(if index % 4 == 0 { "\n\t      " } else { ", " });
                put!(c, lookup(*inner).map_or("Unknown", |row| row.1), " (", *inner, ")");
            }
            return Ok(0);
        }
        _ => {}
    }
    let form = form.unwrap_or(match len {
        len if len & 1 != 0 => Bytes,
        len if len & 2 != 0 => Shorts,
        _ => Unsigned,
    });
    let width = match form {
        Addresses | Unsigned | Signed => 4,
        AddressPairs => 8,
        Shorts => 2,
        Bytes | Booleans | Form::None => 1,
        Text => {
            put!(c, "\"", Visible(value.bytes()), "\"");
            return Ok(0);
        }
        Special => return special(c, tag, value),
    };
    for (index, at) in (0..len / width * width).step_by(width).enumerate() {
        if index > 0 {
            c.put(if matches!(form, Bytes | Form::None) { "." } else { "," });
        }
        match form {
            Addresses => c.host4(value, at)?,
            AddressPairs => {
                c.put("(");
                c.host4(value, at)?;
                c.put(":");
                c.host4(value, at + 4)?;
                c.put(")");
            }
            Signed => c.put(value.be32_at(at)? as i32),
            Shorts => c.put(value.be16_at(at)?),
            Booleans => match value.u8_at(at)? {
                0 => c.put("N"),
                1 => c.put("Y"),
                other => put!(c, other, "?"),
            },
            Bytes | Form::None => c.put(value.u8_at(at)?),
            _ => c.put(value.be32_at(at)?),
        }
    }
    Ok(len % width)
}

fn too_short<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>, least: usize) -> bool {
    if value.len() >= least {
        return false;
    }
    put!(c, "[ERROR: length < ", least, " bytes]");
    true
}

fn special<S: Sink>(c: &mut Ctx<S>, tag: u8, value: Buf<'_>) -> Step<usize> {
    let mut value = value;
    match tag {
        NETBIOS_NODE | OVERLOAD => {
            if too_short(c, value, 1) {
                return Ok(value.len());
            }
            let names = if tag == OVERLOAD { OVERLOADS } else { NODES };
            put!(c, Named(names, value.u8()?.into(), "#", ""));
            return Ok(value.len());
        }
        CLIENT_ID => {
            if too_short(c, value, 1) {
                return Ok(value.len());
            }
            let kind = value.u8()?;
            if kind == 0 {
                put!(c, "\"", Visible(value.bytes()), "\"");
            } else {
                put!(c, Named(HARDWARE, kind.into(), "hardware-type ", ","), " ");
                c.put(crate::text::address::Mac(value.bytes()));
            }
        }
        CLIENT_FQDN => client_fqdn(c, value)?,
        AGENT_INFORMATION => return agent(c, value),
        CLASSLESS_ROUTE | CLASSLESS_ROUTE_MS => routes(c, value)?,
        USER_CLASS => user_class(c, value)?,
        SZTP_REDIRECT => return sztp(c, value),
        _ => put!(c, "[unknown special tag ", tag, ", size ", value.len(), "]"),
    }
    Ok(0)
}

/// RFC 4702.
fn client_fqdn<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    if too_short(c, value, 3) {
        return Ok(());
    }
    let flags = value.u8_at(0)?;
    if flags & 0xf0 != 0 {
        put!(c, "[ERROR: MBZ nibble 0x", Hex(flags >> 4), " != 0] ");
    }
    if flags & 15 != 0 {
        c.put("[");
        for (mask, letter) in [(1, "S"), (2, "O"), (4, "E"), (8, "N")] {
            if flags & mask != 0 {
                c.put(letter);
            }
        }
        c.put("] ");
    }
    let (first, second) = (value.u8_at(1)?, value.u8_at(2)?);
    if first != 0 || second != 0 {
        put!(c, first, "/", second, " ");
    }
    put!(c, "\"", Visible(value.from(3).bytes()), "\"");
    Ok(())
}

/// RFC 3046.
fn agent<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step<usize> {
    let mut value = value;
    while value.len() >= 2 {
        let kind = value.u8()?;
        let len = usize::from(value.u8()?);
        let name = name_or(AGENT, kind.into(), "Unknown");
        put!(c, "\n\t      ", name, " SubOption ", kind, ", length ", len, ": ");
        if len > value.len() {
            c.put("length goes past end of option");
            return Ok(0);
        }
        let data = value.take(len)?;
        match kind {
            1 | 2 | 6 => c.put(Visible(data)),
            5 if len == 4 => c.host4(Buf::new(data), 0)?,
            _ => c.hex_print("\n\t\t", Buf::new(data), len),
        }
    }
    Ok(value.len())
}

/// RFC 3442.
fn routes<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    if too_short(c, value, 5) {
        return Ok(());
    }
    let mut value = value;
    let mut first = true;
    while !value.is_empty() {
        if !first {
            c.put(",");
        }
        first = false;
        let width = value.u8()?;
        if width > 32 {
            put!(c, "[ERROR: Mask width (", width, ") > 32]");
            return Ok(());
        }
        let octets = usize::from(width.div_ceil(8));
        if value.len() < octets + 4 {
            put!(c, "[ERROR: Remaining length (", value.len(), ") < ", octets + 4, " bytes]");
            return Ok(());
        }
        c.put("(");
        if width == 0 {
            c.put("default");
        } else {
            for (index, octet) in value.take(octets)?.iter().enumerate() {
                put!(c, if index > 0 { "." } else { "" }, *octet);
            }
            for _ in octets..4 {
                c.put(".0");
            }
            put!(c, "/", width);
        }
        c.put(":");
        c.host4(value, 0)?;
        c.put(")");
        value.take(4)?;
    }
    Ok(())
}

/// RFC 3004.
fn user_class<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    if too_short(c, value, 2) {
        return Ok(());
    }
    let mut value = value;
    let mut number = 1u32;
    while !value.is_empty() {
        let len = usize::from(value.u8()?);
        put!(c, "\n\t      instance#", number, ": ");
        if len == 0 {
            c.put("[ERROR: suboption length must be non-zero]");
            return Ok(());
        }
        if value.len() < len {
            c.put("[ERROR: invalid option]");
            return Ok(());
        }
        put!(c, "\"", Visible(value.take(len)?), "\", length ", len);
        number += 1;
    }
    Ok(())
}

/// RFC 8572 section 8.3.
fn sztp<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step<usize> {
    let mut value = value;
    while value.len() >= 2 {
        let len = usize::from(value.be16()? as u8);
        put!(c, "\n\t\t    length ", len, ": ");
        if value.len() < len {
            c.put("length goes past end of option");
            return Ok(0);
        }
        put!(c, "\"", Visible(value.take(len)?), "\"");
    }
    if !value.is_empty() {
        c.put("[ERROR: length < 2 bytes]");
    }
    Ok(value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_stands_in_the_table_twice() {
        for (index, row) in OPTIONS.iter().enumerate() {
            assert!(OPTIONS[..index].iter().all(|before| before.0 < row.0), "{row:?}");
        }
        assert_eq!(name_or(MESSAGES, 5, "?"), "ACK");
    }
}
