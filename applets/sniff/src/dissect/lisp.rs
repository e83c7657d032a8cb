//! Registrations of the locator/identifier separation protocol (RFC 6833).

use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::{Bits, Named, Names, name_or};

const KINDS: Names = &[
    (0, "LISP-Reserved"),
    (1, "LISP-Map-Request"),
    (2, "LISP-Map-Reply"),
    (3, "LISP-Map-Register"),
    (4, "LISP-Map-Notify"),
    (8, "LISP-Encapsulated-Contol-Message"),
];
const REGISTER_FLAGS: Names = &[
    (0x0800_0000, "P-Proxy-Map-Reply"),
    (0x0400_0000, "S-LISP-SEC-Capable"),
    (0x0200_0000, "I-xTR-ID-Present"),
    (0x0100_0000, "R-Build-For-RTR"),
    (0x0000_0100, "M-Want-Map-Notify"),
];
const NOTIFY_FLAGS: Names = &[(0x0800_0000, "I-xTR-ID-Present"), (0x0400_0000, "R-Build-For-RTR")];
const SECRETS: Names = &[(0, "None"), (1, "SHA1"), (2, "SHA256")];
const ACTIONS: Names =
    &[(0, "No-Action"), (1, "Natively-Forward"), (2, "Send-Map-Request"), (3, "Drop")];
const LOCATOR_FLAGS: Names = &[(4, "Local-Locator"), (2, "RLoc-Probed"), (1, "Reachable")];

/// Prints a control message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("lisp");
    buf.need(16)?;
    let flags = buf.be32_at(0)?;
    let kind = flags >> 28;
    put!(c, Named(KINDS, kind, "unknown-type-", ""), ",");
    let (names, identified) = match kind {
        3 => (REGISTER_FLAGS, flags & 0x0200_0000 != 0),
        4 => (NOTIFY_FLAGS, flags & 0x0800_0000 != 0),
        _ => return Ok(()),
    };
    let secret_len = usize::from(buf.be16_at(14)?);
    let mut records = buf.u8_at(3)?;
    let mut rest = buf.from(16);
    if c.verbose() {
        put!(c, " flags [", Bits(names, flags, ", ", "none"), "],\n    ", records, " record(s), ");
        put!(c, "Authentication ", name_or(SECRETS, buf.be16_at(12)?.into(), "unknown-type"), ",");
        c.hex_print("\n    Authentication-Data: ", rest, secret_len);
    } else {
        put!(c, " ", records, " record(s),");
    }
    rest = rest.from(secret_len);
    let mut left = len.saturating_sub(16 + secret_len);
    if records == 0 {
        return Err(Stop::Invalid);
    }
    while left > 0 && records > 0 {
        records -= 1;
        let before = rest.len();
        c.put("\n");
        if !record(c, &mut rest)? {
            return Ok(());
        }
        left = left.saturating_sub(before - rest.len());
    }
    if identified {
        if !rest.has(24) {
            return Err(Stop::Invalid);
        }
        c.hex_print("\n    xTR-ID: ", rest, 16);
        put!(c, "\n    SITE-ID: ", rest.be64_at(16)?);
    } else if !rest.is_empty() {
        c.hex_print("\n    Data: ", rest, rest.len());
    }
    Ok(())
}

/// Whether the kind of its addresses is known.
fn record<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>) -> Step<bool> {
    rest.need(12)?;
    let (locators, mask) = (rest.u8_at(4)?, rest.u8_at(5)?);
    if c.verbose() {
        put!(c, "      Record TTL ", rest.be32_at(0)?, ",");
        let action = rest.u8_at(6)?;
        c.put(if action & 0x10 == 0 { " Non-Authoritative," } else { " Authoritative," });
        put!(c, " ", name_or(ACTIONS, u32::from(action >> 5), "unknown"), ",");
        put!(c, " Map Version: ", rest.be16_at(8)? & 0xfff, ",");
    }
    let family = rest.be16_at(10)?;
    *rest = rest.from(12);
    if family != 1 && family != 2 {
        return Ok(false);
    }
    address(c, rest, family, " EID ")?;
    put!(c, "/", mask, ", ", locators, " locator(s)");
    for _ in 0..locators {
        rest.need(8)?;
        let locator = *rest;
        *rest = rest.from(8);
        if c.verbose() {
            c.put("\n       ");
        }
        address(c, rest, locator.be16_at(6)?, " LOC ")?;
        if c.verbose() {
            put!(c, "\n          Priority/Weight ", locator.u8_at(0)?, "/", locator.u8_at(1)?);
            put!(c, ", Multicast Priority/Weight ", locator.u8_at(2)?, "/", locator.u8_at(3)?);
            let flags = Bits(LOCATOR_FLAGS, locator.be16_at(4)?.into(), ", ", "none");
            put!(c, ", flags [", flags, "],");
        }
        c.check_text()?;
    }
    Ok(true)
}

fn address<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>, family: u16, before: &'static str) -> Step {
    let size = match family {
        1 => 4,
        2 => 16,
        _ => return Ok(()),
    };
    rest.need(size)?;
    c.put(before);
    match size {
        4 => c.host4(*rest, 0)?,
        _ => c.host6(*rest, 0)?,
    }
    *rest = rest.from(size);
    Ok(())
}
