//! Media access control security (IEEE 802.1AE): the tag, and the frame where it is not encrypted.

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Bits, HexN, Names};

const FLAGS: Names = &[(0x08, "E"), (0x04, "C"), (0x40, "S"), (0x10, "B"), (0x20, "I")];
const VERSION: u8 = 0x80;
const CHANNEL: u8 = 0x20;
const ENCRYPTED: u8 = 0x0c;
const CHECK_LEN: usize = 16;

/// What lies behind a tag.
#[derive(Clone, Copy, Debug)]
pub enum Inside<'a> {
    /// Nothing to go on with; so many bytes of header were there.
    End(usize),
    /// Ciphertext, behind a tag of so many bytes.
    Hidden(usize),
    /// A frame from its type on: the captured part, its length, and the length of the tag.
    Frame(Buf<'a>, usize, usize),
}

/// Prints a tag. `addresses` shows those of the frame, which a hidden payload is shown with.
pub fn print<'a, S: Sink>(
    c: &mut Ctx<S>,
    buf: Buf<'a>,
    len: usize,
    addresses: impl FnOnce(&mut Ctx<S>),
) -> Step<Inside<'a>> {
    let outer = std::mem::replace(&mut c.protocol, "macsec");
    let inside = tag(c, buf, len, addresses);
    if inside.is_ok() {
        c.protocol = outer;
    }
    inside
}

fn tag<'a, S: Sink>(
    c: &mut Ctx<S>,
    buf: Buf<'a>,
    len: usize,
    addresses: impl FnOnce(&mut Ctx<S>),
) -> Step<Inside<'a>> {
    let end = Inside::End(buf.len());
    if len < 6 || !buf.has(6) {
        c.truncated();
        return Ok(end);
    }
    let control = buf.u8_at(0)?;
    let tag_len = if control & CHANNEL != 0 { 14 } else { 6 };
    if len < tag_len || !buf.has(tag_len) {
        c.truncated();
        return Ok(end);
    }
    let short = buf.u8_at(1)?;
    if short & 0xc0 != 0 || control & VERSION != 0 {
        c.invalid();
        return Ok(end);
    }
    if c.options.link_header {
        header(c, buf, control, short)?;
    }
    let payload = buf.from(tag_len);
    let left = len - tag_len;
    if control & ENCRYPTED != 0 {
        if !c.options.link_header {
            addresses(c);
            c.put("802.1AE MACsec, ");
            header(c, buf, control, short)?;
        }
        return Ok(Inside::Hidden(tag_len));
    }
    if left < CHECK_LEN || payload.len() < CHECK_LEN {
        c.truncated();
        return Ok(end);
    }
    let (mut payload, mut left) = (payload.limit(payload.len() - CHECK_LEN), left - CHECK_LEN);
    if short != 0 {
        let short = usize::from(short);
        if short > left || short > payload.len() {
            c.truncated();
            return Ok(end);
        }
        (payload, left) = (payload.limit(short), short);
    }
    Ok(Inside::Frame(payload, left, tag_len))
}

fn header<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, control: u8, short: u8) -> Step {
    put!(c, "an ", control & 3, ", pn ", buf.be32_at(2)?, ", flags ");
    c.put(Bits(FLAGS, control.into(), "", "none"));
    if short != 0 {
        put!(c, ", sl ", short);
    }
    if control & CHANNEL != 0 {
        put!(c, ", sci ", HexN(buf.be64_at(6)?, 16));
    }
    c.put(", ");
    Ok(())
}
