//! The options of TCP: kind, length, body.

use super::{Buf, Ctx, Sink, Step, Stop, mptcp, put};
use crate::text::{Hex, HexBytes, HexN, Named, Names};

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const ECHO: u8 = 6;
const ECHO_REPLY: u8 = 7;
const TIMESTAMPS: u8 = 8;
const CC: u8 = 11;
const CC_NEW: u8 = 12;
const CC_ECHO: u8 = 13;
const SIGNATURE: u8 = 19;
const SCPS: u8 = 20;
const USER_TIMEOUT: u8 = 28;
const AUTHENTICATION: u8 = 29;
const MULTIPATH: u8 = 30;
const FAST_OPEN: u8 = 34;
const EXPERIMENT: u8 = 254;

const NAMES: Names = &[
    (0, "eol"),
    (1, "nop"),
    (2, "mss"),
    (3, "wscale"),
    (4, "sackOK"),
    (5, "sack"),
    (6, "echo"),
    (7, "echoreply"),
    (8, "TS"),
    (11, "cc"),
    (12, "ccnew"),
    (13, "ccecho"),
    (19, "md5"),
    (20, "scps"),
    (28, "uto"),
    (29, "tcp-ao"),
    (30, "mptcp"),
    (34, "tfo"),
    (254, "exp"),
];

/// Why the options end early.
enum Bad {
    /// An option cannot be: `[bad opt]`.
    Option,
    /// It was not captured.
    Stop(Stop),
}

impl From<Stop> for Bad {
    fn from(stop: Stop) -> Bad {
        Bad::Stop(stop)
    }
}

/// Prints `, options [...]`; `false` when they are bad and the line ends here.
pub fn print<S: Sink>(
    c: &mut Ctx<S>,
    buf: Buf<'_>,
    len: usize,
    flags: u8,
    sack_base: u32,
) -> Step<bool> {
    c.put(", options [");
    let mut buf = buf;
    let mut left = len;
    let mut first = true;
    while left > 0 {
        if !first {
            c.put(",");
        }
        match option(c, buf, left, flags, sack_base) {
            Ok((kind, used)) => {
                buf = buf.from(used);
                left -= used;
                first = false;
                if kind == END {
                    break;
                }
            }
            Err(bad) => {
                match bad {
                    Bad::Option => c.put("[bad opt]"),
                    Bad::Stop(Stop::Truncated) => {
                        c.layer("tcp");
                        c.truncated();
                    }
                    Bad::Stop(stop) => return Err(stop),
                }
                if !first {
                    c.put("]");
                }
                return Ok(false);
            }
        }
    }
    c.put("]");
    Ok(true)
}

/// Prints one option; its kind and length.
fn option<S: Sink>(
    c: &mut Ctx<S>,
    buf: Buf<'_>,
    left: usize,
    flags: u8,
    sack_base: u32,
) -> Result<(u8, usize), Bad> {
    let kind = buf.u8_at(0)?;
    if matches!(kind, END | NOP) {
        put!(c, Named(NAMES, kind.into(), "", ""));
        return Ok((kind, 1));
    }
    let len = usize::from(buf.u8_at(1)?);
    if len < 2 || len > left {
        return Err(Bad::Option);
    }
    put!(c, Named(NAMES, kind.into(), "unknown-", ""));
    let body = Body { buf: buf.from(2), left: left - 2, len: len - 2 };
    let used = body.print(c, kind, flags, sack_base)?;
    if used != body.len {
        put!(c, "[len ", len, "]");
    }
    // What was printed is what is passed over, even where the length says otherwise.
    Ok((kind, used + 2))
}

/// The body of an option.
struct Body<'a> {
    buf: Buf<'a>,
    /// Bytes of all options left.
    left: usize,
    /// Bytes of the body by its length byte.
    len: usize,
}

impl Body<'_> {
    /// Checks that `n` bytes are there.
    fn check(&self, n: usize) -> Result<(), Bad> {
        if n > self.left {
            return Err(Bad::Option);
        }
        Ok(self.buf.need(n)?)
    }

    /// Prints the body and returns how much of it has a meaning.
    fn print<S: Sink>(
        &self,
        c: &mut Ctx<S>,
        kind: u8,
        flags: u8,
        sack_base: u32,
    ) -> Result<usize, Bad> {
        let buf = self.buf;
        match kind {
            MSS => {
                self.check(2)?;
                put!(c, " ", buf.be16_at(0)?);
                Ok(2)
            }
            WINDOW_SCALE => {
                self.check(1)?;
                put!(c, " ", buf.u8_at(0)?);
                Ok(1)
            }
            SACK_PERMITTED => Ok(0),
            SACK => self.sack(c, sack_base),
            ECHO | ECHO_REPLY | CC | CC_NEW | CC_ECHO => {
                self.check(4)?;
                put!(c, " ", buf.be32_at(0)?);
                Ok(4)
            }
            TIMESTAMPS => {
                self.check(8)?;
                put!(c, " val ", buf.be32_at(0)?, " ecr ", buf.be32_at(4)?);
                Ok(8)
            }
            SIGNATURE => {
                self.check(16)?;
                put!(c, " can't check - ", HexBytes(buf.bytes_at(0, 16)?));
                Ok(16)
            }
            SCPS => {
                self.check(2)?;
                put!(c, " cap ", HexN(buf.u8_at(0)?, 2), " id ", buf.u8_at(1)?);
                Ok(2)
            }
            MULTIPATH => {
                self.check(self.len)?;
                put!(c, " ", self.len + 2);
                if mptcp::print(c, buf.limit(self.len), flags)? {
                    Ok(self.len)
                } else {
                    Err(Bad::Option)
                }
            }
            USER_TIMEOUT => {
                self.check(2)?;
                let raw = buf.be16_at(0)?;
                let minutes = raw & 1 == 1;
                let seconds = u32::from(raw >> 1) * if minutes { 60 } else { 1 };
                put!(c, " 0x", Hex(raw), " ", seconds);
                Ok(2)
            }
            AUTHENTICATION => self.authentication(c),
            FAST_OPEN => {
                self.check(self.len)?;
                c.put(" ");
                self.fast_open(c, 0, false)?;
                Ok(self.len)
            }
            EXPERIMENT => self.experiment(c),
            _ => {
                for at in 0..self.len {
                    self.check(at + 1)?;
                    put!(c, HexN(buf.u8_at(at)?, 2));
                }
                Ok(self.len)
            }
        }
    }

    fn sack<S: Sink>(&self, c: &mut Ctx<S>, base: u32) -> Result<usize, Bad> {
        if !self.len.is_multiple_of(8) {
            c.put(" invalid sack");
            return Ok(self.len);
        }
        put!(c, " ", self.len / 8, " ");
        for at in (0..self.len).step_by(8) {
            self.check(at + 4)?;
            let start = self.buf.be32_at(at)?;
            self.check(at + 8)?;
            let end = self.buf.be32_at(at + 4)?;
            put!(c, "{", start.wrapping_sub(base), ":", end.wrapping_sub(base), "}");
        }
        Ok(self.len)
    }

    /// TCP-AO (RFC 5925 section 2.2).
    fn authentication<S: Sink>(&self, c: &mut Ctx<S>) -> Result<usize, Bad> {
        if self.len < 2 {
            c.invalid();
            return Ok(self.len);
        }
        self.check(1)?;
        put!(c, " keyid ", self.buf.u8_at(0)?);
        self.check(2)?;
        put!(c, " rnextkeyid ", self.buf.u8_at(1)?);
        if self.len > 2 {
            c.put(" mac 0x");
            for at in 2..self.len {
                self.check(at + 1)?;
                put!(c, HexN(self.buf.u8_at(at)?, 2));
            }
        }
        Ok(self.len)
    }

    /// A cookie of TCP Fast Open (RFC 7413), behind `skip` bytes.
    fn fast_open<S: Sink>(&self, c: &mut Ctx<S>, skip: usize, experiment: bool) -> Result<(), Bad> {
        if experiment {
            c.put("tfo");
        }
        let len = self.len - skip;
        match len {
            0 => c.put(" cookiereq"),
            4..=16 if len.is_multiple_of(2) => {
                put!(c, " cookie ", HexBytes(self.buf.bytes_at(skip, len)?));
            }
            _ => c.invalid(),
        }
        Ok(())
    }

    /// A shared experimental option (RFC 6994): a number tells whose.
    fn experiment<S: Sink>(&self, c: &mut Ctx<S>) -> Result<usize, Bad> {
        self.check(self.len)?;
        if self.len < 2 {
            return Err(Bad::Option);
        }
        c.put("-");
        match self.buf.be16_at(0)? {
            0xf989 => self.fast_open(c, 2, true)?,
            number => put!(c, HexN(number, 4)),
        }
        Ok(self.len)
    }
}
