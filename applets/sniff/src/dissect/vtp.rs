//! Cisco's VLAN trunking protocol.

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::{Hex, HexBytes, HexN, Names, name_or};

const KINDS: Names = &[
    (1, "Summary advertisement"),
    (2, "Subset advertisement"),
    (3, "Advertisement request"),
    (4, "Join message"),
];
const VLANS: Names =
    &[(1, "Standard"), (2, "FDDI"), (3, "TokenRing"), (4, "FDDI-Net"), (5, "TokenRing-Net")];
const STATUSES: Names = &[(0, "Operational"), (1, "Shutdown/Suspended")];
const DOMAIN_LEN: usize = 32;

/// Prints a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("vtp");
    if len < 4 + DOMAIN_LEN {
        c.truncated();
        return Ok(());
    }
    let (version, kind) = (buf.u8_at(0)?, buf.u8_at(1)?);
    put!(c, "VTPv", version, ", Message ", name_or(KINDS, kind.into(), "Unknown message type"));
    put!(c, " (0x", HexN(kind, 2), "), length ", len);
    if !c.verbose() {
        return Ok(());
    }
    let domain_len = usize::from(buf.u8_at(3)?);
    if !(1..=DOMAIN_LEN).contains(&domain_len) {
        put!(c, " [invalid MD length ", domain_len, "]");
        return Err(Stop::Invalid);
    }
    c.put("\n\tDomain name: ");
    c.visible_to_nul(buf.from(4), domain_len)?;
    put!(
        c,
        ", ",
        if kind == 1 {
            "Followers: "
        } else if kind == 3 {
            "Start value: "
        } else {
            "Seq number: "
        }
    );
    put!(c, buf.u8_at(2)?);
    let rest = buf.from(4 + DOMAIN_LEN);
    match kind {
        1 => {
            put!(c, "\n\t  Config Rev ", Hex(rest.be32_at(0)?), ", Updater ");
            c.host4(rest, 4)?;
            let stamp = rest.array_at::<12>(8)?;
            if stamp != [0; 12] {
                put!(c, ", Timestamp 0x", HexBytes(&stamp));
            }
            put!(c, ", MD5 digest: ", HexBytes(rest.bytes_at(20, 16)?));
            Ok(())
        }
        2 => {
            put!(c, ", Config Rev ", Hex(rest.be32_at(0)?));
            vlans(c, rest.from(4), len - 4 - DOMAIN_LEN - 4)
        }
        _ => Ok(()),
    }
}

fn vlans<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    let (mut rest, mut left) = (buf, len);
    while left > 0 {
        let entry_len = usize::from(rest.u8_at(0)?);
        if entry_len == 0 || entry_len < 12 || entry_len > left {
            c.invalid();
            return rest.need(left);
        }
        let entry = Buf::new(rest.bytes_at(0, entry_len)?);
        let (status, kind) = (entry.u8_at(1)?, entry.u8_at(2)?);
        let name_len = usize::from(entry.u8_at(3)?);
        put!(c, "\n\tVLAN info status ", name_or(STATUSES, status.into(), "Unknown"));
        put!(c, ", type ", name_or(VLANS, kind.into(), "Unknown"), ", VLAN-id ");
        put!(c, entry.be16_at(4)?, ", MTU ", entry.be16_at(6)?, ", SAID 0x");
        put!(c, HexN(entry.be32_at(8)?, 8), ", Name ");
        c.visible_to_nul(entry.from(12), name_len)?;
        rest = rest.from(entry_len);
        left -= entry_len;
        c.check_text()?;
    }
    Ok(())
}
