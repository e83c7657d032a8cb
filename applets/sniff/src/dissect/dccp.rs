//! The datagram congestion control protocol (RFC 4340).

use super::ip::pseudo_header;
use super::{Buf, Ctx, Network, Sink, Step, put};
use crate::text::{HexBytes, HexN, Named, Names, name_or};
use box_wire::checksum::should_be;

const KINDS: Names = &[
    (0, "DCCP-Request"),
    (1, "DCCP-Response"),
    (2, "DCCP-Data"),
    (3, "DCCP-Ack"),
    (4, "DCCP-DataAck"),
    (5, "DCCP-CloseReq"),
    (6, "DCCP-Close"),
    (7, "DCCP-Reset"),
    (8, "DCCP-Sync"),
    (9, "DCCP-SyncAck"),
];
const RESETS: Names = &[
    (0, "unspecified"),
    (1, "closed"),
    (2, "aborted"),
    (3, "no_connection"),
    (4, "packet_error"),
    (5, "option_error"),
    (6, "mandatory_error"),
    (7, "connection_refused"),
    (8, "bad_service_code"),
    (9, "too_busy"),
    (10, "bad_init_cookie"),
    (11, "aggression_penalty"),
];
const FEATURES: [&str; 10] = [
    "reserved",
    "ccid",
    "allow_short_seqno",
    "sequence_window",
    "ecn_incapable",
    "ack_ratio",
    "send_ack_vector",
    "send_ndp_count",
    "minimum checksum coverage",
    "check data checksum",
];
const OPTIONS: Names = &[
    (0, "nop"),
    (1, "mandatory"),
    (2, "slowreceiver"),
    (32, "change_l"),
    (33, "confirm_l"),
    (34, "change_r"),
    (35, "confirm_r"),
    (36, "initcookie"),
    (37, "ndp_count"),
    (38, "ack_vector0"),
    (39, "ack_vector1"),
    (40, "data_dropped"),
    (41, "timestamp"),
    (42, "timestamp_echo"),
    (43, "elapsed_time"),
    (44, "data_checksum"),
];
const PROTOCOL: u8 = 33;

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    c.layer("dccp");
    buf.need(12)?;
    if len < 12 {
        put!(c, "truncated-dccp - ", 12 - len, " bytes missing!");
        return Ok(());
    }
    // The X bit makes sequence numbers of 48 bits.
    let extended = buf.u8_at(8)? & 1 != 0;
    let mut fixed = if extended { 16 } else { 12 };
    if len < fixed {
        put!(c, "truncated-dccp - ", fixed - len, " bytes missing!");
        return Ok(());
    }
    buf.need(fixed)?;
    let header_len = usize::from(buf.u8_at(4)?) * 4;
    c.host(network.source);
    put!(c, ".", buf.be16_at(0)?, " > ");
    c.host(network.destination);
    put!(c, ".", buf.be16_at(2)?, ": DCCP");
    if c.options.quiet > 0 {
        put!(c, " ", (len as u32).wrapping_sub(header_len as u32));
        if header_len > len {
            put!(c, " [bad hdr length ", header_len, " - too long, > ", len, "]");
        }
        return Ok(());
    }
    if c.verbose() {
        checksum(c, buf, len, header_len, network)?;
    }
    c.put(" ");
    let kind = buf.u8_at(8)? >> 1 & 15;
    let name = name_or(KINDS, kind.into(), "");
    let body = fixed;
    fixed += match kind {
        0 => 4,
        1 | 7 => 12,
        3..=6 | 8 | 9 => 8,
        _ => 0,
    };
    if len < fixed {
        put!(c, "truncated-", name, " - ", fixed - len, " bytes missing!");
        return Ok(());
    }
    match kind {
        0 => put!(c, name, " (service=", buf.be32_at(body)?, ") "),
        1 => put!(c, name, " (service=", buf.be32_at(body + 8)?, ") "),
        7 => {
            let code = name_or(RESETS, buf.u8_at(body + 8)?.into(), "invalid");
            put!(c, name, " (code=", code, ") ");
        }
        _ => put!(c, Named(KINDS, kind.into(), "unknown-type-", ""), " "),
    }
    if !matches!(kind, 0 | 2) {
        let number = if extended {
            buf.be64_at(body)? & 0xffff_ffff_ffff
        } else {
            u64::from(buf.be24_at(body + 1)?)
        };
        put!(c, "(ack=", number, ") ");
    }
    if c.options.verbose < 2 {
        return Ok(());
    }
    if extended {
        put!(c, "seq ", buf.be64_at(8)? & 0xffff_ffff_ffff);
    } else {
        put!(c, "seq ", buf.be24_at(9)?);
    }
    if header_len > fixed {
        c.put(" <");
        options(c, buf.from(fixed), header_len - fixed)?;
        c.put(">");
    }
    Ok(())
}

/// The sum covers the header and as much of the data as the sender says.
fn checksum<S: Sink>(
    c: &mut Ctx<S>,
    buf: Buf<'_>,
    len: usize,
    header_len: usize,
    network: &Network,
) -> Step {
    let coverage = buf.u8_at(5)?;
    put!(c, " (CCVal ", coverage >> 4, ", CsCov ", coverage & 15, ", ");
    if buf.has(len) {
        let found = buf.be16_at(6)?;
        let covered = match coverage & 15 {
            0 => len,
            words => (header_len + usize::from(words - 1) * 4).min(len),
        };
        let sum = pseudo_header(network, PROTOCOL, len).with(buf.bytes_at(0, covered)?).finish();
        put!(c, "cksum 0x", HexN(found, 4), " ");
        if sum == 0 {
            c.put("(correct)");
        } else {
            put!(c, "(incorrect -> 0x", HexN(should_be(found, sum), 4), ")");
        }
    }
    c.put(")");
    Ok(())
}

fn options<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    let (mut rest, mut left) = (buf, len);
    loop {
        let kind = rest.u8_at(0)?;
        let option_len = if kind >= 32 { usize::from(rest.u8_at(1)?) } else { 1 };
        let name = |c: &mut Ctx<S>| {
            if kind >= 128 {
                put!(c, "CCID option ", kind);
            } else {
                put!(c, Named(OPTIONS, kind.into(), "Option ", ""));
            }
        };
        if kind >= 32 && option_len < 2 {
            name(c);
            c.put(" optlen too short");
            return Ok(());
        }
        if left < option_len {
            name(c);
            c.put(" optlen goes past header length");
            return Ok(());
        }
        let value = Buf::new(rest.bytes_at(0, option_len)?).from(2);
        name(c);
        option(c, kind, value)?;
        if left <= option_len {
            return Ok(());
        }
        left -= option_len;
        rest = rest.from(option_len);
        c.put(", ");
        c.check_text()?;
    }
}

fn option<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step {
    match kind {
        32..=35 => {
            let Ok(feature) = value.u8_at(0) else {
                c.put(" optlen too short");
                return Ok(());
            };
            if let Some(name) = FEATURES.get(usize::from(feature)) {
                put!(c, " ", *name);
                for byte in value.from(1).bytes() {
                    put!(c, " ", *byte);
                }
            }
        }
        36 | 38..=40 if !value.is_empty() => put!(c, " 0x", HexBytes(value.bytes())),
        37 => {
            for byte in value.bytes() {
                put!(c, " ", *byte);
            }
        }
        41 if value.len() == 4 => put!(c, " ", value.be32_at(0)?),
        41 => c.put(" [optlen != 6]"),
        42 => match value.len() {
            4 => put!(c, " ", value.be32_at(0)?),
            6 => put!(c, " ", value.be32_at(0)?, " (elapsed time ", value.be16_at(4)?, ")"),
            8 => put!(c, " ", value.be32_at(0)?, " (elapsed time ", value.be32_at(4)?, ")"),
            _ => c.put(" [optlen != 6 or 8 or 10]"),
        },
        43 => match value.len() {
            2 => put!(c, " ", value.be16_at(0)?),
            4 => put!(c, " ", value.be32_at(0)?),
            _ => c.put(" [optlen != 4 or 6]"),
        },
        44 if !value.is_empty() => put!(c, " 0x", HexBytes(value.bytes())),
        128.. => match value.len() {
            2 => put!(c, " ", value.be16_at(0)?),
            4 => put!(c, " ", value.be32_at(0)?),
            _ => {}
        },
        _ => {}
    }
    Ok(())
}
