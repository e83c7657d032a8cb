//! OSI network protocols, told apart by their first byte.

use super::{Buf, Ctx, Sink, Step, Stop};

/// Prints what follows the padding byte of the Ethernet type.
pub fn ethernet<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.protocol = "isoclns";
    if len == 0 || buf.is_empty() {
        return Err(Stop::Truncated);
    }
    let inner = buf.from(1);
    inner.need(1)?;
    c.put("OSI NLPID");
    c.default_print(inner);
    Ok(())
}
