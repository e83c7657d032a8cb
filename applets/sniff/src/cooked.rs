//! The cooked link layer of Linux: headers that stand for the different ones of all interfaces.
//!
//! The kernel shows cooked packets from their network header on, so a program that was compiled with
//! the cooked header in mind is moved there: what lies behind the header loses its length, the
//! protocol is asked of the kernel, and a program that looks elsewhere in the header runs here.

use box_sys::packet::{BpfInstruction, RingPacket};
use box_wire::link::LinkType;

use crate::filter::Instruction;

/// Where the kernel keeps facts about a packet that are not in it: `SKF_AD_OFF`.
const ANCILLARY: u32 = 0xffff_f000;
const ANCILLARY_PROTOCOL: u32 = ANCILLARY;
/// What lies before this offset counts as an address in the packet.
const MAX_OFFSET: u32 = 0x8000_0000;

const CLASS: u16 = 0x07;
const LD: u16 = 0x00;
const LDX: u16 = 0x01;
const MODE: u16 = 0xe0;
const ABS: u16 = 0x20;
const IND: u16 = 0x40;
const MSH: u16 = 0xa0;

fn shape(link_type: LinkType) -> (u32, u32) {
    match link_type {
        LinkType::LINUX_SLL2 => (20, 0),
        _ => (16, 14),
    }
}

/// The program for packets without the header, or `None` where it reads more of the header than the
/// protocol.
pub fn program(program: &[Instruction], link_type: LinkType) -> Option<Vec<BpfInstruction>> {
    let (header_len, protocol_at) = shape(link_type);
    let mut moved = Vec::with_capacity(program.len());
    for op in program {
        let mut k = op.k;
        let loads = match op.code & CLASS {
            LD => matches!(op.code & MODE, ABS | IND),
            LDX => op.code & MODE == MSH,
            _ => false,
        };
        if loads && k < MAX_OFFSET {
            k = match k.checked_sub(header_len) {
                Some(k) => k,
                None if k == protocol_at && op.code & MODE == ABS => ANCILLARY_PROTOCOL,
                None => return None,
            };
        }
        moved.push(BpfInstruction { code: op.code, jt: op.jt, jf: op.jf, k });
    }
    Some(moved)
}

/// Puts the header and the packet together; how many bytes the packet grew.
pub fn header(out: &mut Vec<u8>, packet: &RingPacket<'_>, link_type: LinkType) -> u32 {
    let origin = &packet.origin;
    out.clear();
    // 802.2 and 802.3 frames have no type of their own: the kernel's numbers are kept.
    let protocol = origin.protocol.to_be_bytes();
    let mut grown = shape(link_type).0;
    if link_type == LinkType::LINUX_SLL2 {
        out.extend_from_slice(&protocol);
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&origin.interface.to_be_bytes());
        out.extend_from_slice(&origin.hardware.to_be_bytes());
        out.extend_from_slice(&[origin.packet_type, origin.address_len]);
        out.extend_from_slice(&origin.address);
    } else {
        out.extend_from_slice(&u16::from(origin.packet_type).to_be_bytes());
        out.extend_from_slice(&origin.hardware.to_be_bytes());
        out.extend_from_slice(&u16::from(origin.address_len).to_be_bytes());
        out.extend_from_slice(&origin.address);
        if let Some((tag, kind)) = packet.vlan {
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&tag.to_be_bytes());
            grown += 4;
        }
        out.extend_from_slice(&protocol);
    }
    out.extend_from_slice(packet.bytes);
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(code: u16, k: u32) -> Instruction {
        Instruction { code, jt: 0, jf: 0, k }
    }

    #[test]
    fn loads_behind_the_header_move_and_the_protocol_is_asked_for() {
        let ops = [load(0x28, 0), load(0x30, 29), load(0xb1, 20), load(0x06, 262_144)];
        let moved = program(&ops, LinkType::LINUX_SLL2).unwrap();
        let ks: Vec<u32> = moved.iter().map(|op| op.k).collect();
        assert_eq!(ks, [ANCILLARY_PROTOCOL, 9, 0, 262_144]);
        assert!(program(&[load(0x20, 4)], LinkType::LINUX_SLL2).is_none());
        assert_eq!(program(&[load(0x28, 14)], LinkType::LINUX_SLL).unwrap()[0].k, ANCILLARY);
    }
}
