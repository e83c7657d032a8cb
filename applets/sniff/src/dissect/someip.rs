//! SOME/IP, the service-oriented middleware of vehicles (AUTOSAR R19-11).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Names, name_or};

const MESSAGES: Names = &[
    (0x00, "REQUEST"),
    (0x01, "REQUEST_NO_RETURN"),
    (0x02, "NOTIFICATION"),
    (0x80, "RESPONSE"),
    (0x81, "ERROR"),
    (0x20, "TP_REQUEST"),
    (0x21, "TP_REQUEST_NO_RETURN"),
    (0x22, "TP_NOTIFICATION"),
    (0xa0, "TP_RESPONSE"),
    (0xa1, "TP_ERROR"),
];
const RETURN_CODES: Names = &[
    (0x00, "E_OK"),
    (0x01, "E_NOT_OK"),
    (0x02, "E_UNKNOWN_SERVICE"),
    (0x03, "E_UNKNOWN_METHOD"),
    (0x04, "E_NOT_READY"),
    (0x05, "E_NOT_REACHABLE"),
    (0x06, "E_TIMEOUT"),
    (0x07, "E_WRONG_PROTOCOL_VERSION"),
    (0x08, "E_WRONG_INTERFACE_VERSION"),
    (0x09, "E_MALFORMED_MESSAGE"),
    (0x0a, "E_WRONG_MESSAGE_TYPE"),
    (0x0b, "E_E2E_REPEATED"),
    (0x0c, "E_E2E_WRONG_SEQUENCE"),
    (0x0d, "E_E2E"),
    (0x0e, "E_E2E_NOT_AVAILABLE"),
    (0x0f, "E_E2E_NO_NEW_DATA"),
];

/// Prints the header of a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("someip");
    if len < 16 {
        c.put(" (invalid)");
        return buf.need(len);
    }
    c.put("SOMEIP");
    let message = buf.be32_at(0)?;
    let kind = if message & 0x8000 != 0 { "event" } else { "method" };
    put!(c, ", service ", message >> 16, ", ", kind, " ", message & 0x7fff);
    let stated = buf.be32_at(4)?;
    put!(c, ", len ", stated);
    // What the length counts begins behind it, and holds the rest of this header at least.
    if stated < 8 || stated as usize > len.saturating_sub(8) {
        c.invalid();
        return buf.need(len);
    }
    put!(c, ", client ", buf.be16_at(8)?, ", session ", buf.be16_at(10)?);
    put!(c, ", pver ", buf.u8_at(12)?, ", iver ", buf.u8_at(13)?);
    put!(c, ", msgtype ", name_or(MESSAGES, buf.u8_at(14)?.into(), "Unknown"));
    put!(c, ", retcode ", name_or(RETURN_CODES, buf.u8_at(15)?.into(), "Unknown"), "\n");
    Ok(())
}
