//! DHCPv6 (RFC 8415).

use super::{Buf, Ctx, Sink, Step, Stop, dns, put};
use crate::text::{Hex, HexBytes, HexN, Named, Names, Visible};

const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;

const MESSAGES: Names = &[
    (1, "solicit"),
    (2, "advertise"),
    (3, "request"),
    (4, "confirm"),
    (5, "renew"),
    (6, "rebind"),
    (7, "reply"),
    (8, "release"),
    (9, "decline"),
    (10, "reconf"),
    (11, "inf-req"),
    (12, "relay-fwd"),
    (13, "relay-reply"),
    (14, "leasequery"),
    (15, "leasequery-reply"),
];

#[rustfmt::skip]
const OPTIONS: Names = &[
    (1, "client-ID"), (2, "server-ID"), (3, "IA_NA"), (4, "IA_TA"), (5, "IA_ADDR"),
    (6, "option-request"), (7, "preference"), (8, "elapsed-time"), (9, "relay-message"),
    (11, "authentication"), (12, "server-unicast"), (13, "status-code"), (14, "rapid-commit"),
    (15, "user-class"), (16, "vendor-class"), (17, "vendor-specific-info"), (18, "interface-ID"),
    (19, "reconfigure-message"), (20, "reconfigure-accept"), (21, "SIP-servers-domain"),
    (22, "SIP-servers-address"), (23, "DNS-server"), (24, "DNS-search-list"), (25, "IA_PD"),
    (26, "IA_PD-prefix"), (27, "NIS-server"), (28, "NIS+-server"), (29, "NIS-domain-name"),
    (30, "NIS+-domain-name"), (31, "SNTP-servers"), (32, "lifetime"), (33, "BCMCS-domain-name"),
    (34, "BCMCS-server"), (36, "Geoconf-Civic"), (37, "Remote-ID"), (38, "Subscriber-ID"),
    (39, "Client-FQDN"), (40, "PANA-agent"), (41, "POSIX-timezone"), (42, "POSIX-tz-database"),
    (43, "Echo-request-option"), (44, "Lease-query"), (45, "LQ-client-data"), (46, "Clt-time"),
    (47, "LQ-relay-data"), (48, "LQ-client-link"), (56, "NTP-server"), (59, "Bootfile-URL"),
    (64, "AFTR-Name"), (112, "MUD-URL"), (136, "SZTP-redirect"),
];

const STATUS: Names = &[
    (0, "Success"),
    (1, "UnspecFail"),
    (2, "NoAddrsAvail"),
    (3, "NoBinding"),
    (4, "NotOnLink"),
    (5, "UseMulticast"),
    (6, "NoPrefixAvail"),
    (7, "UnknownQueryType"),
    (8, "MalformedQuery"),
    (9, "NotConfigured"),
    (10, "NotAllowed"),
];

/// Prints a message of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("dhcp6");
    c.put("dhcp6");
    let buf = buf.limit(len);
    buf.need(4)?;
    let kind = buf.u8_at(0)?;
    let name = Named(MESSAGES, kind.into(), "msgtype-", "");
    if !c.verbose() {
        put!(c, " ", name);
        return Ok(());
    }
    put!(c, " ", name, " (");
    if matches!(kind, RELAY_FORWARD | RELAY_REPLY) {
        buf.bytes_at(2, 16)?;
        c.put("linkaddr=");
        c.host6(buf, 2)?;
        buf.bytes_at(18, 16)?;
        c.put(" peeraddr=");
        c.host6(buf, 18)?;
        options(c, buf.from(34))?;
    } else {
        put!(c, "xid=", Hex(buf.be24_at(1)?));
        options(c, buf.from(4))?;
    }
    c.put(")");
    Ok(())
}

/// Options up to the end of `buf`; one that is cut off says so, and the message goes on.
fn options<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    let mut buf = buf;
    while !buf.is_empty() {
        if !buf.has(4) {
            c.truncated();
            return Ok(());
        }
        let kind = buf.be16()?;
        let len = usize::from(buf.be16()?);
        if len > buf.len() {
            c.truncated();
            return Ok(());
        }
        let value = Buf::new(buf.take(len)?);
        put!(c, " (", Named(OPTIONS, kind.into(), "opt_", ""));
        match c.nested(|c| option(c, kind, value)) {
            Ok(true) => c.put(")"),
            Ok(false) => c.put(" ?)"),
            Err(Stop::Truncated) => {
                c.truncated();
                return Ok(());
            }
            Err(stop) => return Err(stop),
        }
        c.check_text()?;
    }
    Ok(())
}

/// Prints the value; `false` when its length cannot be.
fn option<S: Sink>(c: &mut Ctx<S>, kind: u16, value: Buf<'_>) -> Step<bool> {
    let len = value.len();
    match kind {
        1 | 2 => return duid(c, value),
        5 if len >= 24 => {
            c.put(" ");
            c.host6(value, 0)?;
            put!(c, " pltime:", value.be32_at(16)?, " vltime:", value.be32_at(20)?);
            options(c, value.from(24))?;
        }
        6 | 43 if len.is_multiple_of(2) => {
            for at in (0..len).step_by(2) {
                put!(c, " ", Named(OPTIONS, value.be16_at(at)?.into(), "opt_", ""));
            }
        }
        7 if len == 1 => put!(c, " ", value.u8_at(0)?),
        8 if len == 2 => put!(c, " ", value.be16_at(0)?),
        9 => {
            c.put(" (");
            print(c, value, len)?;
        }
        11 if len >= 11 => authentication(c, value)?,
        14 | 20 => {}
        18 | 38 => put!(c, " ", HexBytes(value.limit(10).bytes()), "..."),
        19 if len == 1 => match value.u8_at(0)? {
            5 => c.put(" for renew"),
            11 => c.put(" for inf-req"),
            other => put!(c, " for ???(", HexN(other, 2), ")"),
        },
        22 | 23 | 27 | 28 | 31 | 34 | 40 | 48 if len.is_multiple_of(16) => {
            for at in (0..len).step_by(16) {
                c.put(" ");
                c.host6(value, at)?;
            }
        }
        21 | 24 => {
            let mut at = 0;
            while at < len {
                c.put(" ");
                at = dns::name(c, value, at)?;
            }
        }
        13 if len >= 2 => match value.be16_at(0)? {
            256.. => c.put(" INVALID code"),
            code => put!(c, " ", Named(STATUS, code.into(), "code", "")),
        },
        3 | 25 if len >= 12 => {
            put!(c, " IAID:", value.be32_at(0)?, " T1:", value.be32_at(4)?);
            put!(c, " T2:", value.be32_at(8)?);
            options(c, value.from(12))?;
        }
        4 if len >= 4 => {
            put!(c, " IAID:", value.be32_at(0)?);
            options(c, value.from(4))?;
        }
        26 if len >= 25 => {
            c.put(" ");
            c.host6(value, 9)?;
            put!(c, "/", value.u8_at(8)?);
            put!(c, " pltime:", value.be32_at(0)?, " vltime:", value.be32_at(4)?);
            options(c, value.from(25))?;
        }
        32 | 46 if len == 4 => put!(c, " ", value.be32_at(0)?),
        37 if len >= 4 => {
            put!(c, " ", value.be32_at(0)?, " ", HexBytes(value.from(4).limit(10).bytes()), "...");
        }
        44 if len >= 17 => {
            match value.u8_at(0)? {
                1 => c.put(" by-address"),
                2 => c.put(" by-clientID"),
                other => put!(c, " type_", other),
            }
            c.put(" ");
            c.host6(value, 1)?;
            options(c, value.from(17))?;
        }
        45 => options(c, value)?,
        47 if len >= 16 => {
            c.put(" ");
            c.host6(value, 0)?;
            put!(c, " ", HexBytes(value.from(16).limit(10).bytes()), "...");
        }
        56 if len >= 4 => time_servers(c, value)?,
        64 if len >= 3 => plain_name(c, value)?,
        41 | 42 | 112 if len >= 5 => {
            let text = value.bytes().split(|byte| *byte == 0).next().unwrap_or_default();
            put!(c, " ", Visible(text));
        }
        59 => put!(c, " ", Visible(value.bytes())),
        15 | 136 => strings(c, value)?,
        3..=8 | 11 | 13 | 19 | 22 | 23 | 25..=28 | 31 | 32 | 34 | 37 | 40..=44 => return Ok(false),
        46..=48 | 56 | 64 | 112 => return Ok(false),
        _ => {}
    }
    Ok(true)
}

fn duid<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step<bool> {
    let len = value.len();
    if len < 2 {
        return Ok(false);
    }
    match value.be16_at(0)? {
        1 if len >= 8 => {
            put!(c, " hwaddr/time type ", value.be16_at(2)?, " time ", value.be32_at(4)?);
            put!(c, " ", HexBytes(value.from(8).bytes()));
        }
        2 if len >= 6 => {
            put!(c, " enterprise ", value.be32_at(2)?, " ", HexBytes(value.from(6).bytes()));
        }
        3 if len >= 4 => {
            put!(c, " hwaddr type ", value.be16_at(2)?, " ", HexBytes(value.from(4).bytes()));
        }
        4 => {
            c.put(" uuid ");
            if len != 18 {
                return Ok(false);
            }
            c.put(HexBytes(value.from(2).bytes()));
        }
        1..=3 => return Ok(false),
        other => put!(c, " type ", other),
    }
    Ok(true)
}

fn authentication<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let protocol = value.u8_at(0)?;
    match protocol {
        2 => c.put(" proto: delayed"),
        3 => c.put(" proto: reconfigure"),
        _ => put!(c, " proto: ", protocol),
    }
    match value.u8_at(1)? {
        1 => c.put(", alg: HMAC-MD5"),
        other => put!(c, ", alg: ", other),
    }
    match value.u8_at(2)? {
        0 => c.put(", RDM: mono"),
        other => put!(c, ", RDM: ", other),
    }
    c.put(", RD:");
    for index in 0..4 {
        put!(c, " ", HexN(value.be16_at(3 + 2 * index)?, 4));
    }
    let mut rest = value.from(11);
    match (protocol, rest.len()) {
        (2, 0) => {}
        (2, len @ 20..) => {
            if len > 20 {
                put!(c, ", realm: ", HexBytes(rest.take(len - 20)?));
            }
            put!(c, ", key ID: ", HexN(rest.be32()?, 8), ", HMAC-MD5:");
            words(c, rest)?;
        }
        (3, 17) => {
            match rest.u8()? {
                1 => c.put(" reconfig-key"),
                2 => c.put(" type: HMAC-MD5"),
                _ => c.put(" type: ??"),
            }
            c.put(" value:");
            words(c, rest)?;
        }
        _ => c.put(" ??"),
    }
    Ok(())
}

fn words<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    for index in 0..4 {
        put!(c, " ", HexN(buf.be32_at(4 * index)?, 8));
    }
    Ok(())
}

fn time_servers<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let mut value = value;
    while value.len() > 4 {
        let kind = value.be16()?;
        let len = usize::from(value.be16()?);
        let data = Buf::new(value.take(len)?);
        put!(c, " subopt:", kind);
        match kind {
            1 | 2 if len == 16 => {
                c.put(" ");
                c.host6(data, 0)?;
            }
            3 => {
                c.put(" ");
                dns::name(c, data, 0)?;
            }
            _ => c.put(" ?"),
        }
    }
    Ok(())
}

/// A name in labels without compression or final dot (RFC 6334).
fn plain_name<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    c.put(" ");
    let mut value = value;
    while !value.is_empty() && value.u8_at(0)? != 0 {
        let len = usize::from(value.u8()?);
        if len >= value.len() {
            c.put(" ?");
            return Ok(());
        }
        c.put(Visible(value.take(len)?));
        if value.u8_at(0)? != 0 {
            c.put(".");
        }
    }
    Ok(())
}

/// Strings behind their lengths, with commas between.
fn strings<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    c.put(" ");
    let mut value = value;
    let mut first = true;
    while value.len() >= 2 {
        if !first {
            c.put(",");
        }
        first = false;
        let len = usize::from(value.be16_at(0)?);
        if len > value.len() - 2 {
            break;
        }
        value.take(2)?;
        c.put(Visible(value.take(len)?));
    }
    if !value.is_empty() {
        c.put(" ?");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_stand_in_order() {
        assert!(OPTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(crate::text::name_of(OPTIONS, 25), Some("IA_PD"));
    }
}
