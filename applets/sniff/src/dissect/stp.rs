//! Spanning tree protocols: 802.1d, 802.1w, 802.1s and 802.1aq.

use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::address::Mac;
use crate::text::{Bits, DecN, HexBytes, HexN, NamedHex, Names, Put, Visible};

const PROTOCOLS: Names = &[(0, "802.1d"), (2, "802.1w"), (3, "802.1s"), (4, "802.1aq")];
const TYPES: Names = &[(0, "Config"), (2, "Rapid STP"), (0x80, "Topology Change")];
const ROLES: [&str; 4] = ["Unknown", "Alternate", "Root", "Designated"];
const FLAGS: Names = &[
    (0x01, "Topology change"),
    (0x02, "Proposal"),
    (0x10, "Learn"),
    (0x20, "Forward"),
    (0x40, "Agreement"),
    (0x80, "Topology change ACK"),
];

const CONFIG_LEN: usize = 36;
const MSTP_MIN_LEN: usize = 102;
const VERSION_3_LEN_AT: usize = 36;
const MSTI_LEN: usize = 16;

/// Prints a BPDU of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("stp");
    if len < 4 {
        return Err(Stop::Invalid);
    }
    if buf.be16_at(0)? != 0 {
        put!(c, "unknown STP version, length ", len);
        return Ok(());
    }
    let version = buf.u8_at(2)?;
    put!(c, "STP ", NamedHex(PROTOCOLS, version.into(), "Unknown STP protocol (0x", 2, ")"));
    if !matches!(version, 0 | 2 | 3 | 4) {
        return Ok(());
    }
    let kind = buf.u8_at(3)?;
    put!(c, ", ", NamedHex(TYPES, kind.into(), "Unknown BPDU Type (0x", 2, ")"));
    match (kind, version) {
        (0, _) if len < CONFIG_LEN - 1 => Err(Stop::Invalid),
        (2, 2) if len < CONFIG_LEN => Err(Stop::Invalid),
        (0, _) | (2, 2) => config(c, buf, len, version),
        (2, 3 | 4) => multiple(c, buf, len, version),
        _ => Ok(()),
    }
}

/// A bridge identifier: priority and address.
struct Bridge<'a>(&'a [u8]);

impl Put for Bridge<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        let (priority, address) = self.0.split_at_checked(2).unwrap_or_default();
        (HexBytes(priority), ".", Mac(address)).put(out);
    }
}

/// 256ths of a second with two digits.
struct Timer(u16);

impl Put for Timer {
    fn put(&self, out: &mut Vec<u8>) {
        // As %.2f rounds: to the nearest, ties to even (a 256th has exact ties).
        let scaled = u32::from(self.0) * 100;
        let (mut hundredths, rest) = (scaled / 256, scaled % 256);
        if rest > 128 || rest == 128 && hundredths % 2 == 1 {
            hundredths += 1;
        }
        (hundredths / 100, ".", DecN(hundredths % 100, 2), "s").put(out);
    }
}

fn timers<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    put!(c, "\n\tmessage-age ", Timer(buf.be16_at(27)?), ", max-age ", Timer(buf.be16_at(29)?));
    put!(c, ", hello-time ", Timer(buf.be16_at(31)?));
    put!(c, ", forwarding-delay ", Timer(buf.be16_at(33)?));
    Ok(())
}

fn role(flags: u8) -> &'static str {
    ROLES[usize::from(flags >> 2 & 3)]
}

fn config<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, version: u8) -> Step {
    let flags = buf.u8_at(4)?;
    put!(c, ", Flags [", Bits(FLAGS, flags.into(), ", ", "none"), "]");
    let bridge = Bridge(buf.bytes_at(17, 8)?);
    put!(c, ", bridge-id ", bridge, ".", HexN(buf.be16_at(25)?, 4), ", length ", len);
    if !c.verbose() {
        return Ok(());
    }
    timers(c, buf)?;
    put!(c, "\n\troot-id ", Bridge(buf.bytes_at(5, 8)?), ", root-pathcost ", buf.be32_at(13)?);
    if version == 2 {
        put!(c, ", port-role ", role(flags));
    }
    Ok(())
}

fn multiple<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, version: u8) -> Step {
    if len < MSTP_MIN_LEN || buf.u8_at(35)? != 0 {
        return Err(Stop::Invalid);
    }
    let mstp_len = usize::from(buf.be16_at(VERSION_3_LEN_AT)?) + 2;
    if len < CONFIG_LEN + mstp_len {
        return Err(Stop::Invalid);
    }
    mstp(c, buf, len)?;
    if version == 4 {
        let at = VERSION_3_LEN_AT + mstp_len;
        let spb_len = usize::from(buf.be16_at(at)?) + 2;
        if len < CONFIG_LEN + mstp_len + spb_len || spb_len < 87 {
            return Err(Stop::Invalid);
        }
        if c.verbose() {
            spb(c, buf, at)?;
        }
    }
    Ok(())
}

fn mstp<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    let flags = buf.u8_at(4)?;
    put!(c, ", CIST Flags [", Bits(FLAGS, flags.into(), ", ", "none"), "], length ", len);
    if !c.verbose() {
        return Ok(());
    }
    put!(c, "\n\tport-role ", role(flags), ", ");
    put!(c, "CIST root-id ", Bridge(buf.bytes_at(5, 8)?), ", CIST ext-pathcost ", buf.be32_at(13)?);
    put!(c, "\n\tCIST regional-root-id ", Bridge(buf.bytes_at(17, 8)?), ", ");
    put!(c, "CIST port-id ", HexN(buf.be16_at(25)?, 4), ",");
    timers(c, buf)?;
    let version_3_len = buf.be16_at(VERSION_3_LEN_AT)?;
    put!(c, "\n\tv3len ", version_3_len, ", MCID Name ");
    region_name(c, buf.bytes_at(39, 32)?);
    let digest = HexBytes(buf.bytes_at(73, 16)?);
    put!(c, ", rev ", buf.be16_at(71)?, ",\n\t\tdigest ", digest, ", ");
    put!(c, "CIST int-root-pathcost ", buf.be32_at(89)?, ",");
    put!(c, "\n\tCIST bridge-id ", Bridge(buf.bytes_at(93, 8)?), ", ");
    put!(c, "CIST remaining-hops ", buf.u8_at(101)?);
    let instances = usize::from(version_3_len).saturating_sub(64) / MSTI_LEN;
    for index in 0..instances {
        let instance = buf.from(MSTP_MIN_LEN + index * MSTI_LEN);
        let flags = instance.u8_at(0)?;
        let names = Bits(FLAGS, flags.into(), ", ", "none");
        put!(c, "\n\tMSTI ", instance.be16_at(1)? & 0xfff, ", Flags [", names);
        put!(c, "], port-role ", role(flags));
        let root = Bridge(instance.bytes_at(1, 8)?);
        put!(c, "\n\t\tMSTI regional-root-id ", root, ", pathcost ", instance.be32_at(9)?);
        put!(c, "\n\t\tMSTI bridge-prio ", instance.u8_at(13)? >> 4);
        put!(c, ", port-prio ", instance.u8_at(14)? >> 4, ", hops ", instance.u8_at(15)?);
    }
    Ok(())
}

fn region_name<S: Sink>(c: &mut Ctx<S>, name: &[u8]) {
    c.put(Visible(name.split(|byte| *byte == 0).next().unwrap_or_default()));
}

fn spb<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, at: usize) -> Step {
    put!(c, "\n\tv4len ", buf.be16_at(at)?, ", AUXMCID Name ");
    region_name(c, buf.bytes_at(at + 3, 32)?);
    let digest = HexBytes(buf.bytes_at(at + 37, 16)?);
    put!(c, ", Rev ", buf.be16_at(at + 35)?, ",\n\t\tdigest ", digest);
    let agreement = buf.u8_at(at + 53)?;
    put!(c, "\n\tAgreement num ", agreement >> 6);
    put!(c, ", Discarded Agreement num ", agreement >> 4 & 3);
    put!(c, ", Agreement valid-flag ", agreement >> 3 & 1);
    let (format, convention) = (buf.u8_at(at + 55)?, buf.u8_at(at + 56)?);
    put!(c, ",\n\tRestricted role-flag: ", agreement >> 2 & 1);
    put!(c, ", Format id ", format >> 4, " cap ", format);
    put!(c, ", Convention id ", convention >> 4, " cap ", convention);
    put!(c, ",\n\tEdge count ", buf.be16_at(at + 57)?);
    put!(c, ", Agreement digest ", HexBytes(buf.bytes_at(at + 67, 20)?));
    Ok(())
}
