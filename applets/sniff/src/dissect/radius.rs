//! RADIUS (RFC 2865, RFC 2866, RFC 5176): the packet and the forms that attributes have. Which has
//! which is in [`radius_attributes`](super::radius_attributes).

use super::radius_attributes::{self as attributes, Form};
use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::address::Ip6;
use crate::text::{Bits, DecN, HexBytes, HexN, Named, Names, Put, name_or};
use crate::time::stamp::put_utc;

const CODES: Names = &[
    (1, "Access-Request"),
    (2, "Access-Accept"),
    (3, "Access-Reject"),
    (4, "Accounting-Request"),
    (5, "Accounting-Response"),
    (11, "Access-Challenge"),
    (12, "Status-Server"),
    (13, "Status-Client"),
    (40, "Disconnect-Request"),
    (41, "Disconnect-ACK"),
    (42, "Disconnect-NAK"),
    (43, "CoA-Request"),
    (44, "CoA-ACK"),
    (45, "CoA-NAK"),
    (255, "Reserved"),
];
const TAGS: Names = &[(0x31, "Tagged"), (0x32, "Untagged")];
const NAMESPACES: Names = &[(0x30, "TADIG"), (0x31, "REALM"), (0x32, "E212"), (0x33, "ICC")];
const LOCATION_CODES: Names = &[(0, "Civic"), (1, "Geospatial")];
const ENTITIES: Names = &[(0, "User"), (1, "NAS")];
const RETRANSMISSION: Names = &[(0x8000, "Retransmission Allowed")];
const HEADER_LEN: usize = 20;
/// Seconds from 1900 to 1970.
const UNIX_EPOCH: i64 = 2_208_988_800;

/// Text with points in place of what is not printable, up to a NUL.
struct Printable<'a>(&'a [u8]);

impl Put for Printable<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        let shown =
            self.0.iter().map(|byte| if (b' '..0x7f).contains(byte) { *byte } else { b'.' });
        out.extend(shown);
    }
}

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("radius");
    buf.need(HEADER_LEN)?;
    let stated = usize::from(buf.be16_at(2)?);
    if stated < HEADER_LEN {
        c.invalid();
        return Ok(());
    }
    let len = stated.min(len);
    let (code, id) = (buf.u8_at(0)?, buf.u8_at(1)?);
    let name = name_or(CODES, code.into(), "Unknown Command");
    if !c.verbose() {
        put!(c, "RADIUS, ", name, " (", code, "), id: 0x", HexN(id, 2), " length: ", len);
        return Ok(());
    }
    put!(c, "RADIUS, length: ", len, "\n\t", name, " (", code, "), id: 0x", HexN(id, 2));
    put!(c, ", Authenticator: ", HexBytes(buf.bytes_at(4, 16)?));
    list(c, buf.from(HEADER_LEN), len.saturating_sub(HEADER_LEN))
}

fn list<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    let (mut rest, mut left) = (buf, len);
    while left > 0 {
        if left < 2 {
            return Err(Stop::Truncated);
        }
        let (kind, attribute_len) = (rest.u8_at(0)?, usize::from(rest.u8_at(1)?));
        let (name, form) = attributes::of(kind);
        put!(c, "\n\t  ", name, " Attribute (", kind, "), length: ", attribute_len);
        if attribute_len < 2 {
            c.put(" (bogus, must be >= 2)");
            return Ok(());
        }
        if attribute_len > left {
            c.put(" (bogus, goes past end of packet)");
            return Ok(());
        }
        c.put(", Value: ");
        let value = rest.from(2).limit(attribute_len - 2);
        if attribute_len > 2 {
            attribute(c, kind, form, value, attribute_len - 2)?;
        }
        if c.options.verbose > 1 {
            c.hex_print("\n\t    ", value, attribute_len - 2);
        }
        rest = rest.from(attribute_len);
        left -= attribute_len;
        c.check_text()?;
    }
    Ok(())
}

fn wrong<S: Sink>(c: &mut Ctx<S>, len: usize, right: usize) -> Step {
    put!(c, "ERROR: length ", len, " != ", right);
    Ok(())
}

fn attribute<S: Sink>(c: &mut Ctx<S>, kind: u8, form: Form, value: Buf<'_>, len: usize) -> Step {
    match form {
        Form::Hidden => Ok(()),
        Form::Text => text(c, kind, value, len),
        Form::Number | Form::Enumerated(_) | Form::Address | Form::Time if len != 4 => {
            wrong(c, len, 4)
        }
        Form::Number => number(c, kind, value),
        Form::Enumerated(names) => {
            let number = if matches!(kind, 64 | 65) {
                tag(c, value.u8_at(0)?);
                value.be24_at(1)?
            } else {
                value.be32_at(0)?
            };
            put!(c, Named(names, number, "#", ""));
            Ok(())
        }
        Form::Address => match (kind, value.be32_at(0)?) {
            (8 | 14, 0xffff_ffff) => {
                c.put("User Selected");
                Ok(())
            }
            (8 | 14, 0xffff_fffe) => {
                c.put("NAS Select");
                Ok(())
            }
            _ => c.host4(value, 0),
        },
        Form::Address6 if len != 16 => wrong(c, len, 16),
        Form::Address6 => c.host6(value, 0),
        Form::Prefix6 => prefix6(c, value, len),
        Form::Time => {
            let second = value.be32_at(0)?;
            if S::TEXT {
                crate::time::stamp::put_ctime(&mut c.out, second.into());
            }
            Ok(())
        }
        Form::Vendor => vendor(c, value, len),
        Form::Strange => strange(c, kind, value, len),
    }
}

fn tag<S: Sink>(c: &mut Ctx<S>, tag: u8) {
    match tag {
        0 => c.put("Tag[Unused] "),
        tag => put!(c, "Tag[", tag, "] "),
    }
}

fn text<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>, len: usize) -> Step {
    let (mut value, mut len) = (value, len);
    // All of it has to be there before the first of it is shown, but for plain text.
    match kind {
        69 => {
            if len < 3 {
                return Err(Stop::Truncated);
            }
            match value.u8_at(0)? {
                first @ 1..=0x1f => put!(c, "Tag[", first, "] "),
                _ => c.put("Tag[Unused] "),
            }
            put!(c, "Salt ", value.be16_at(1)?, " ");
            (value, len) = (value.from(3), len - 3);
        }
        66 | 67 | 81 | 82 | 90 | 91 if value.u8_at(0)? <= 0x1f => {
            tag(c, value.u8_at(0)?);
            (value, len) = (value.from(1), len - 1);
        }
        58 => {
            let first = value.u8_at(0)?;
            put!(c, name_or(TAGS, first.into(), "Unknown tag"), " (0x", HexN(first, 2), ") ");
            (value, len) = (value.from(1), len - 1);
        }
        126 => {
            let space = value.u8_at(0)?;
            put!(c, "[", Named(NAMESPACES, space.into(), "unknown namespace ", ""), "] ");
            (value, len) = (value.from(1), len - 1);
        }
        _ => {}
    }
    let shown = value.limit(len).bytes();
    let end = memchr::memchr(0, shown).unwrap_or(shown.len());
    c.put(Printable(shown.get(..end).unwrap_or_default()));
    if end < shown.len() { Ok(()) } else { value.need(len) }
}

fn number<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step {
    let number = value.be32_at(0)?;
    match kind {
        23 if number == 0xffff_fffe => c.put("NAS Select"),
        27 | 28 | 41 | 46 | 85 => match number {
            0..60 => put!(c, DecN(number, 2), " secs"),
            60..3600 => put!(c, DecN(number / 60, 2), ":", DecN(number % 60, 2), " min"),
            _ => {
                put!(c, DecN(number / 3600, 2), ":", DecN(number / 60 % 60, 2), ":");
                put!(c, DecN(number % 60, 2), " hours");
            }
        },
        37 if number == 0 => c.put("Unnumbered"),
        38 if number == 0 => c.put("NAS assigned"),
        83 => {
            tag(c, value.u8_at(0)?);
            c.put(number & 0xff_ffff);
        }
        56 => {
            let first = value.u8_at(0)?;
            put!(c, name_or(TAGS, first.into(), "Unknown tag"), " (0x", HexN(first, 2), ") ");
            c.put(number & 0xff_ffff);
        }
        _ => c.put(number),
    }
    Ok(())
}

fn prefix6<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>, len: usize) -> Step {
    if !(2..=18).contains(&len) {
        put!(c, "ERROR: length ", len, " not in range (2..18)");
        return Ok(());
    }
    let bits = value.u8_at(1)?;
    if bits > 128 {
        put!(c, "ERROR: netmask ", bits, " not in range (0..128)");
        return Ok(());
    }
    let mut address = [0; 16];
    for (slot, byte) in address.iter_mut().zip(value.bytes_at(2, len - 2)?) {
        *slot = *byte;
    }
    put!(c, Ip6(address), "/", bits);
    if usize::from(bits) > 8 * (len - 2) {
        c.put(" (inconsistent prefix length)");
    }
    Ok(())
}

fn vendor<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>, len: usize) -> Step {
    if len < 4 {
        return Err(Stop::Truncated);
    }
    let id = value.be32_at(0)?;
    put!(c, "Vendor: ", name_or(attributes::ENTERPRISES, id, "Unknown"), " (", id, ")");
    let (mut rest, mut left) = (value.from(4), len - 4);
    while left >= 2 {
        let (kind, stated) = (rest.u8_at(0)?, usize::from(rest.u8_at(1)?));
        let words = ("\n\t    Vendor Attribute: ", kind, ", Length: ");
        if stated < 2 {
            put!(c, words, stated, " (bogus, must be >= 2)");
            return Ok(());
        }
        if stated > left {
            put!(c, words, stated, " (bogus, goes past end of vendor-specific attribute)");
            return Ok(());
        }
        let body = rest.bytes_at(2, stated - 2)?;
        put!(c, words, stated - 2, ", Value: ", Printable(body));
        rest = rest.from(stated);
        left -= stated;
        c.check_text()?;
    }
    Ok(())
}

/// NTP's form of time, with its date.
fn ntp_time<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>, at: usize) -> Step {
    let (seconds, fraction) = (value.be32_at(at)?, value.be32_at(at + 4)?);
    let nanos = (f64::from(fraction) / 4_294_967_296.0 * 1_000_000_000.0) as u32;
    put!(c, seconds, ".", DecN(nanos, 9));
    if seconds != 0 {
        c.put(" (");
        if S::TEXT {
            put_utc(&mut c.out, i64::from(seconds) - UNIX_EPOCH);
        }
        c.put(")");
    }
    Ok(())
}

/// Attributes that have a form of their own.
fn strange<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>, len: usize) -> Step {
    match kind {
        70 if len != 16 => return wrong(c, len, 16),
        70 => {
            put!(c, "User_challenge (", HexBytes(value.bytes_at(0, 8)?), ") User_resp(");
            put!(c, HexBytes(value.bytes_at(8, 8)?), ")");
        }
        71 if len != 14 => return wrong(c, len, 14),
        71 => {
            let can = if value.u8_at(0)? != 0 { "can" } else { "cannot" };
            put!(c, "User ", can, " change password, Min password length: ", value.u8_at(1)?);
            put!(c, ", created at: ", HexBytes(value.bytes_at(2, 4)?));
            put!(c, ", expires in: ", HexBytes(value.bytes_at(6, 4)?));
            put!(c, ", Current Time: ", HexBytes(value.bytes_at(10, 4)?));
        }
        84 if len < 8 => return wrong(c, len, 8),
        84 => put!(c, HexBytes(value.bytes_at(0, 8)?)),
        101 if len != 4 => put!(c, "Error: length ", len, " != 4"),
        101 => {
            let cause = value.be32_at(0)?;
            let words = Named(attributes::ERROR_CAUSES, cause, "Error-Cause ", " not known");
            put!(c, "Error cause ", cause, ": ", words);
        }
        127 => {
            if len < 21 {
                put!(c, "ERROR: length ", len, " < 21");
                return Ok(());
            }
            put!(c, "index ", value.be16_at(0)?, ", code ");
            put!(c, Named(LOCATION_CODES, value.u8_at(2)?.into(), "unknown (", ")"));
            put!(c, ", entity ", Named(ENTITIES, value.u8_at(3)?.into(), "unknown (", ")"));
            c.put(", sighting time ");
            ntp_time(c, value, 4)?;
            c.put(", time to live ");
            ntp_time(c, value, 12)?;
            put!(c, ", method \"", Printable(value.bytes_at(20, len - 20)?), "\"");
        }
        128 => {
            if len < 3 {
                put!(c, "ERROR: length ", len, " < 3");
                return Ok(());
            }
            put!(c, "index ", value.be16_at(0)?, ", location");
            if S::TEXT {
                let shown = value.from(2).limit(len - 2).bytes();
                crate::text::dump::hex_and_ascii(&mut c.out, b"\n\t    ", shown);
            }
        }
        129 => {
            if len < 10 {
                put!(c, "ERROR: length ", len, " < 10");
                return Ok(());
            }
            let flags = Bits(RETRANSMISSION, value.be16_at(0)?.into(), ", ", "none");
            put!(c, "flags [", flags, "], retention expires ");
            ntp_time(c, value, 2)?;
            put!(c, ", note well \"", Printable(value.bytes_at(10, len - 10)?), "\"");
        }
        _ => {}
    }
    Ok(())
}
