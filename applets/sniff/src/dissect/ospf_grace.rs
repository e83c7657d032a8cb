//! Graceful restart of OSPF routers (RFC 3623, RFC 5187).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Names, name_or};

const KINDS: Names =
    &[(1, "Grace Period"), (2, "Graceful restart Reason"), (3, "IPv4 interface address")];
const REASONS: Names = &[
    (0, "Unknown"),
    (1, "Software Restart"),
    (2, "Software Reload/Upgrade"),
    (3, "Control Processor Switch"),
];

/// Prints the values of an advertisement.
pub fn print<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let mut rest = body;
    while !rest.is_empty() {
        if !rest.has(4) {
            put!(c, "\n\t    Remaining LS length ", rest.len(), " < 4");
            return Ok(());
        }
        let (kind, len) = (rest.be16()?, usize::from(rest.be16()?));
        put!(c, "\n\t    ", name_or(KINDS, kind.into(), "unknown"), " TLV (", kind);
        put!(c, "), length ", len, ", value: ");
        let Ok(value) = rest.take(len) else {
            put!(c, "\n\t    Bogus length ", len, " > ", rest.len());
            return Ok(());
        };
        let value = Buf::new(value);
        let wanted = match kind {
            1 | 3 => 4,
            2 => 1,
            _ => len,
        };
        if len != wanted {
            put!(c, "\n\t    Bogus length ", len, " != ", wanted);
            return Ok(());
        }
        match kind {
            1 => put!(c, value.be32_at(0)?, "s"),
            2 => {
                let reason = value.u8_at(0)?;
                put!(c, name_or(REASONS, reason.into(), "Unknown"), " (", reason, ")");
            }
            3 => c.host4(value, 0)?,
            _ if c.options.verbose <= 1 => c.hex_print("\n\t      ", value, len),
            _ => {}
        }
        // Values are padded to words, which their length does not count.
        rest = rest.from(len.wrapping_neg() & 3);
        c.check_text()?;
    }
    Ok(())
}
