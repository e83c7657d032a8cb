//! Who is at the other end of a PPP link, and how much of it: PAP (RFC 1334), CHAP (RFC 1994) and
//! bandwidth allocation (RFC 2125).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{HexBytes, HexN, NamedHex, Names};

const CHAP_CODES: Names = &[(1, "Challenge"), (2, "Response"), (3, "Success"), (4, "Fail")];
const PAP_CODES: Names = &[(1, "Auth-Req"), (2, "Auth-ACK"), (3, "Auth-NACK")];
const BAP_CODES: Names = &[
    (1, "Call-Req"),
    (2, "Call-Resp"),
    (3, "CallBack-Req"),
    (4, "CallBack-Resp"),
    (5, "Link-Drop-Req"),
    (6, "Link-Drop-Resp"),
    (7, "Call-Stat-Ind"),
    (8, "Call-Stat-Resp"),
];

/// What the incumbent prints where one of these ends early: without a space.
fn cut<S: Sink>(c: &mut Ctx<S>, name: &str) -> Step {
    put!(c, "[|", name, "]");
    Ok(())
}

/// Prints a packet of CHAP.
pub fn chap<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 4 || !buf.has(4) {
        return cut(c, "chap");
    }
    let code = buf.u8_at(0)?;
    put!(c, "CHAP, ", NamedHex(CHAP_CODES, code.into(), "0x", 2, ""), ", id ", buf.u8_at(1)?);
    let stated = usize::from(buf.be16_at(2)?);
    let body = buf.from(4);
    match code {
        1 | 2 => {
            if stated < 5 || !body.has(1) {
                return cut(c, "chap");
            }
            let value_len = usize::from(body.u8_at(0)?);
            let Some(name_len) = stated.checked_sub(5 + value_len) else { return cut(c, "chap") };
            c.put(", Value ");
            put!(c, HexBytes(body.from(1).limit(value_len).bytes()));
            if !body.has(1 + value_len) {
                return cut(c, "chap");
            }
            c.put(", Name ");
            let name = body.from(1 + value_len);
            if c.visible(name, name_len).is_err() {
                return cut(c, "chap");
            }
        }
        3 | 4 => {
            c.put(", Msg ");
            if c.visible(body, stated.saturating_sub(4)).is_err() {
                return cut(c, "chap");
            }
        }
        _ => {}
    }
    Ok(())
}

/// Prints a packet of PAP.
pub fn pap<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 4 || !buf.has(4) {
        return cut(c, "pap");
    }
    let code = buf.u8_at(0)?;
    put!(c, "PAP, ", NamedHex(PAP_CODES, code.into(), "0x", 2, ""));
    put!(c, " (0x", HexN(code, 2), "), id ", buf.u8_at(1)?);
    let stated = usize::from(buf.be16_at(2)?);
    if stated > len {
        put!(c, ", length ", stated, " > packet size");
        return cut(c, "pap");
    }
    let body = buf.from(4).limit(stated.saturating_sub(4));
    let mut rest = body;
    let fields: &[&str] = match code {
        1 => &[", Peer ", ", Name "],
        2 | 3 => &[", Msg "],
        _ => &[],
    };
    for word in fields {
        let Ok(field_len) = rest.u8() else { return cut(c, "pap") };
        c.put(*word);
        if c.visible(rest, field_len.into()).is_err() {
            return cut(c, "pap");
        }
        rest = rest.from(field_len.into());
    }
    Ok(())
}

/// Prints a packet of BAP.
pub fn bap<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 2 || !buf.has(2) {
        return cut(c, "bap");
    }
    let code = buf.u8_at(0)?;
    put!(c, "BAP, ", NamedHex(BAP_CODES, code.into(), "0x", 2, ""));
    put!(c, " (0x", HexN(code, 2), "), id ", buf.u8_at(1)?);
    Ok(())
}
