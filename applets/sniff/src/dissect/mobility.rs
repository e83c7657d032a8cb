//! The mobility header of IPv6 (RFC 6275).

use super::{Buf, Ctx, Network, Sink, Step, Stop, put};
use crate::text::{Bits, HexN, Named, Names};

const TYPES: Names = &[
    (0, "BRR"),
    (1, "HoTI"),
    (2, "CoTI"),
    (3, "HoT"),
    (4, "CoT"),
    (5, "BU"),
    (6, "BA"),
    (7, "BE"),
];
const HEADER_LENS: [usize; 8] = [8, 16, 16, 24, 24, 12, 12, 24];
const UPDATE_FLAGS: Names = &[(8, "A"), (4, "H"), (2, "L"), (1, "K")];

/// Prints the header.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, _: &Network) -> Step {
    c.layer("mobility");
    let len = (usize::from(buf.u8_at(1)?) + 1) * 8;
    let kind = buf.u8_at(2)?;
    let header_len = HEADER_LENS.get(usize::from(kind)).copied();
    c.put("mobility:");
    let next = buf.u8_at(0)?;
    if next != 59 {
        put!(c, " (payload protocol ", next, " should be 59)");
    }
    if header_len.is_some_and(|needed| len < needed) {
        put!(c, " (header length ", len, " is too small for type ", kind, ")");
        return Err(Stop::Truncated);
    }
    put!(c, " ", Named(TYPES, kind.into(), "type-#", ""));
    let who = if kind % 2 == 1 { "Home" } else { "Care-of" };
    match kind {
        0 => {}
        1 | 2 => {
            if c.verbose() {
                pair(c, buf, who, "Init Cookie", 8)?;
            }
        }
        3 | 4 => {
            put!(c, " nonce id=0x", crate::text::Hex(buf.be16_at(6)?));
            if c.verbose() {
                pair(c, buf, who, "Init Cookie", 8)?;
                pair(c, buf, who, "Keygen Token", 16)?;
            }
        }
        5 => {
            put!(c, " seq#=", buf.be16_at(6)?);
            buf.bytes_at(8, 2)?;
            let bits = u32::from(buf.u8_at(8)? >> 4);
            if bits != 0 {
                put!(c, " ", Bits(UPDATE_FLAGS, bits, "", ""));
            }
            put!(c, " lifetime=", u32::from(buf.be16_at(10)?) << 2);
        }
        6 => {
            put!(c, " status=", buf.u8_at(6)?);
            if buf.u8_at(7)? & 0x80 != 0 {
                c.put(" K");
            }
            put!(c, " seq#=", buf.be16_at(8)?, " lifetime=", u32::from(buf.be16_at(10)?) << 2);
        }
        7 => {
            put!(c, " status=", buf.u8_at(6)?);
            buf.bytes_at(8, 16)?;
            c.put(" homeaddr ");
            c.host6(buf, 8)?;
        }
        _ => {
            put!(c, " len=", buf.u8_at(1)?);
            return Ok(());
        }
    }
    match header_len {
        Some(header_len) if c.verbose() => options(c, buf.from(header_len), len - header_len),
        _ => Ok(()),
    }
}

fn pair<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, who: &str, what: &str, at: usize) -> Step {
    let (high, low) = (buf.be32_at(at)?, buf.be32_at(at + 4)?);
    put!(c, " ", who, " ", what, "=", HexN(high, 8), ":", HexN(low, 8));
    Ok(())
}

fn options<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    let mut at = 0;
    while at < len {
        let kind = buf.u8_at(at)?;
        if kind == 0 {
            c.put("(pad1)");
            at += 1;
            continue;
        }
        if at + 1 >= len {
            return Err(Stop::Truncated);
        }
        let option_len = usize::from(buf.u8_at(at + 1)?) + 2;
        if at + option_len > len {
            return Err(Stop::Truncated);
        }
        let least = match kind {
            2 => 4,
            3 => 18,
            4 => 6,
            5 => 12,
            _ => 2,
        };
        let name = match kind {
            1 => "padn",
            2 => "refresh",
            3 => "altcoa",
            4 => "ni",
            _ => "auth",
        };
        if len - at < least {
            put!(c, "(", name, ": trunc)");
            return Err(Stop::Truncated);
        }
        match kind {
            1 => c.put("(padn)"),
            2 => {
                c.put("(refresh: ");
                put!(c, u32::from(buf.be16_at(at + 2)?) << 2, ")");
            }
            3 => {
                c.put("(alt-CoA: ");
                c.host6(buf, at + 2)?;
                c.put(")");
            }
            4 => {
                c.put("(ni: ");
                let (home, care_of) = (buf.be16_at(at + 2)?, buf.be16_at(at + 4)?);
                put!(c, "ho=0x", HexN(home, 4), " co=0x", HexN(care_of, 4), ")");
            }
            5 => c.put("(auth)"),
            _ => put!(c, "(unknown: type-#", kind, " len=", option_len - 2, ")"),
        }
        c.check_text()?;
        at += option_len;
    }
    Ok(())
}
