//! ATA over Ethernet (AoEr11).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Bits, HexN, Named, NamedHex, Names};

const COMMANDS: Names = &[
    (0, "Issue ATA Command"),
    (1, "Query Config Information"),
    (2, "MAC Mask List"),
    (3, "Reserve/Release"),
];
const FLAGS: Names = &[(8, "Response"), (4, "Error"), (2, "MBZ-1"), (1, "MBZ-0")];
const ERRORS: Names = &[
    (1, "Unrecognized command code"),
    (2, "Bad argument parameter"),
    (3, "Device unavailable"),
    (4, "Config string present"),
    (5, "Unsupported version"),
    (6, "Target is reserved"),
];
const ATA_FLAGS: Names = &[
    (0x80, "MBZ-7"),
    (0x40, "Ext48"),
    (0x20, "MBZ-5"),
    (0x10, "Device"),
    (0x08, "MBZ-3"),
    (0x04, "MBZ-2"),
    (0x02, "Async"),
    (0x01, "Write"),
];
const CONFIG_COMMANDS: Names = &[
    (0, "read config string"),
    (1, "test config string"),
    (2, "test config string prefix"),
    (3, "set config string"),
    (4, "force set config string"),
];
const MASK_COMMANDS: Names = &[(0, "Read Mac Mask List"), (1, "Edit Mac Mask List")];
const MASK_ERRORS: Names =
    &[(1, "Unspecified Error"), (2, "Bad DCmd directive"), (3, "Mask list full")];
const DIRECTIVES: Names = &[
    (0, "No Directive"),
    (1, "Add mac address to mask list"),
    (2, "Delete mac address from mask list"),
];
const RESERVE_COMMANDS: Names =
    &[(0, "Read reserve list"), (1, "Set reserve list"), (2, "Force set reserve list")];
const HEADER_LEN: usize = 10;
const MAX_CONFIG_LEN: usize = 1024;

/// Says that what follows cannot be, once it is known to have been captured.
fn invalid<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.invalid();
    buf.need(len)
}

/// Prints a frame.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("aoe");
    put!(c, "AoE length ", len);
    if len < 1 {
        return invalid(c, buf, len);
    }
    let first = buf.u8_at(0)?;
    put!(c, ", Ver ", first >> 4);
    if first >> 4 != 1 {
        return Ok(());
    }
    if len < HEADER_LEN {
        return invalid(c, buf, len);
    }
    put!(c, ", Flags: [", Bits(FLAGS, (first & 15).into(), ", ", "none"), "]");
    if !c.verbose() {
        return Ok(());
    }
    if first & 4 != 0 {
        put!(c, "\n\tError: ", Named(ERRORS, buf.u8_at(1)?.into(), "Invalid (", ")"));
    }
    put!(c, "\n\tMajor: 0x", HexN(buf.be16_at(2)?, 4), ", Minor: 0x", HexN(buf.u8_at(4)?, 2));
    let command = buf.u8_at(5)?;
    put!(c, ", Command: ", NamedHex(COMMANDS, command.into(), "Unknown (0x", 2, ")"));
    put!(c, ", Tag: 0x", HexN(buf.be32_at(6)?, 8));
    let (argument, left) = (buf.from(HEADER_LEN), len - HEADER_LEN);
    match command {
        0 => issue(c, argument, left),
        1 => query(c, argument, left),
        2 => masks(c, argument, left),
        3 => reserve(c, argument, left),
        _ => Ok(()),
    }
}

fn issue<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 12 {
        return invalid(c, buf, len);
    }
    put!(c, "\n\tAFlags: [", Bits(ATA_FLAGS, buf.u8_at(0)?.into(), ", ", "none"), "]");
    put!(c, ", Err/Feature: ", buf.u8_at(1)?);
    put!(c, ", Sector Count: ", buf.u8_at(2)?);
    put!(c, ", Cmd/Status: ", buf.u8_at(3)?);
    for at in 0..6usize {
        let start = if at == 0 { "\n\t" } else { ", " };
        put!(c, start, "lba", at, ": ", buf.u8_at(4 + at)?);
    }
    buf.need(12)?;
    if len > 12 {
        put!(c, "\n\tData: ", len - 12, " bytes");
    }
    Ok(())
}

fn query<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 8 {
        return invalid(c, buf, len);
    }
    put!(c, "\n\tBuffer Count: ", buf.be16_at(0)?);
    put!(c, ", Firmware Version: ", buf.be16_at(2)?);
    put!(c, ", Sector Count: ", buf.u8_at(4)?);
    let command = buf.u8_at(5)?;
    put!(c, ", AoE: ", command >> 4);
    put!(c, ", CCmd: ", NamedHex(CONFIG_COMMANDS, (command & 15).into(), "Unknown (0x", 2, ")"));
    let text_len = usize::from(buf.be16_at(6)?);
    if text_len > MAX_CONFIG_LEN || text_len > len - 8 {
        return invalid(c, buf.from(8), len - 8);
    }
    if text_len > 0 {
        put!(c, "\n\tConfig String (length ", text_len, "): ");
        c.visible(buf.from(8), text_len)?;
    }
    Ok(())
}

fn masks<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 4 {
        return invalid(c, buf, len);
    }
    put!(c, "\n\tMCmd: ", NamedHex(MASK_COMMANDS, buf.u8_at(1)?.into(), "Unknown (0x", 2, ")"));
    put!(c, ", MError: ", NamedHex(MASK_ERRORS, buf.u8_at(2)?.into(), "Unknown (0x", 2, ")"));
    let count = usize::from(buf.u8_at(3)?);
    put!(c, ", Dir Count: ", count);
    let mut rest = buf.from(4);
    if count * 8 > len - 4 {
        return invalid(c, rest, len - 4);
    }
    for _ in 0..count {
        let directive = rest.u8_at(1)?;
        put!(c, "\n\t DCmd: ", NamedHex(DIRECTIVES, directive.into(), "Unknown (0x", 2, ")"));
        let address = rest.bytes_at(2, 6)?;
        c.put(", Ethernet Address: ");
        c.mac(address);
        rest = rest.from(8);
    }
    Ok(())
}

fn reserve<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 2 || !(len - 2).is_multiple_of(6) {
        return invalid(c, buf, len);
    }
    put!(c, "\n\tRCmd: ", NamedHex(RESERVE_COMMANDS, buf.u8_at(0)?.into(), "Unknown (0x", 2, ")"));
    let count = usize::from(buf.u8_at(1)?);
    put!(c, ", NMacs: ", count);
    if count * 6 != len - 2 {
        return invalid(c, buf.from(2), len - 2);
    }
    for index in 0..count {
        let address = buf.bytes_at(2 + index * 6, 6)?;
        put!(c, "\n\tEthernet Address ", index, ": ");
        c.mac(address);
    }
    Ok(())
}
