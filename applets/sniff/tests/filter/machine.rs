//! A plain interpreter to compare with, a generator of numbers, and sample packets.

use box_sniff::filter::Instruction;

/// How a run of the plain interpreter ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A return.
    Returned(u32),
    /// A load outside of the packet, or a division by zero: rejected too.
    Faulted,
}

impl End {
    /// What the machine answers.
    pub fn value(self) -> u32 {
        match self {
            End::Returned(value) => value,
            End::Faulted => 0,
        }
    }
}

/// Runs instructions one by one, as the paper describes the machine.
pub fn run(program: &[Instruction], packet: &[u8], wire_len: u32) -> End {
    run_live(program, packet, wire_len, None)
}

/// The kernel's machine: loads far outside of the packet read what the kernel keeps beside it, of
/// which there is the VLAN tag here.
pub fn run_live(program: &[Instruction], packet: &[u8], wire_len: u32, tag: Option<u16>) -> End {
    let (mut a, mut x, mut memory, mut at) = (0u32, 0u32, [0u32; 16], 0usize);
    for _ in 0..1_000_000 {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let load = |offset: u32, size: usize| {
            match offset {
                0xffff_f030 => return Some(u32::from(tag.is_some())),
                0xffff_f02c => return Some(tag.map_or(0, u32::from)),
                _ => {}
            }
            let bytes = packet.get(offset as usize..)?.get(..size)?;
            Some(bytes.iter().fold(0u32, |value, byte| value << 8 | u32::from(*byte)))
        };
        let size = [4, 2, 1, 0][usize::from(code >> 3 & 3)];
        match code & 7 {
            0 | 1 => {
                let value = match code & 0xe0 {
                    0x00 => Some(k),
                    0x20 => load(k, size),
                    0x40 => load(k.wrapping_add(x), size),
                    0x60 => Some(memory[k as usize]),
                    0x80 => Some(wire_len),
                    _ => load(k, 1).map(|byte| (byte & 15) * 4),
                };
                let Some(value) = value else { return End::Faulted };
                *(if code & 7 == 0 { &mut a } else { &mut x }) = value;
            }
            2 => memory[k as usize] = a,
            3 => memory[k as usize] = x,
            4 => {
                let b = if code & 8 == 0 { k } else { x };
                a = match code & 0xf0 {
                    0x00 => a.wrapping_add(b),
                    0x10 => a.wrapping_sub(b),
                    0x20 => a.wrapping_mul(b),
                    0x30 | 0x90 if b == 0 => return End::Faulted,
                    0x30 => a / b,
                    0x40 => a | b,
                    0x50 => a & b,
                    0x60 => a.checked_shl(b).unwrap_or(0),
                    0x70 => a.checked_shr(b).unwrap_or(0),
                    0x80 => 0u32.wrapping_sub(a),
                    0x90 => a % b,
                    _ => a ^ b,
                };
            }
            5 => {
                let b = if code & 8 == 0 { k } else { x };
                let holds = match code & 0xf0 {
                    0x00 => {
                        at = (at as i64 + i64::from(k as i32)) as usize;
                        continue;
                    }
                    0x10 => a == b,
                    0x20 => a > b,
                    0x30 => a >= b,
                    _ => a & b != 0,
                };
                at += usize::from(if holds { jt } else { jf });
            }
            6 => return End::Returned(if code & 0x18 == 0 { k } else { a }),
            _ if code & 0xf8 == 0 => x = a,
            _ => a = x,
        }
    }
    // What never ends is what the real machine gives up on.
    End::Faulted
}

/// A generator with a fixed seed (xorshift).
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    /// One of some things.
    pub fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// One Ethernet packet of each kind that filters tell apart, bare and inside tags and tunnels.
pub fn samples() -> Vec<Vec<u8>> {
    let tcp =
        [&b"\x04\xd2\x00\x50\0\0\0\x01\0\0\0\x02\x50\x12\0\x63\0\0\0\0"[..], b"GET / HTTP/1.1"]
            .concat();
    let udp = |port: u16, body: &[u8]| {
        let mut packet = vec![0x80, 0x00];
        packet.extend(port.to_be_bytes());
        packet.extend((8 + body.len() as u16).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(body);
        packet
    };
    let v4 = |protocol: u8, fragment: u16, body: &[u8]| {
        let mut packet = vec![0x45, 0];
        packet.extend((20 + body.len() as u16).to_be_bytes());
        packet.extend([0, 7]);
        packet.extend(fragment.to_be_bytes());
        packet.extend([64, protocol, 0, 0, 10, 0, 0, 9, 192, 168, 0, 2]);
        packet.extend(body);
        packet
    };
    let v6 = |next: u8, body: &[u8]| {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((body.len() as u16).to_be_bytes());
        packet.extend([next, 64]);
        packet.extend(0x2001_0db8_000a_0000_0000_0000_0000_0067u128.to_be_bytes());
        packet.extend(1u128.to_be_bytes());
        packet.extend(body);
        packet
    };
    let ethernet = |kind: u16, body: &[u8]| {
        let mut packet = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0xaa, 0xbb, 0xcc, 0, 1];
        packet.extend(kind.to_be_bytes());
        packet.extend(body);
        packet
    };
    let dns = udp(53, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01");
    let echo = b"\x08\0\0\0\0\x07\0\x01data";
    let inner = ethernet(0x0800, &v4(6, 0, &tcp));
    let vxlan = udp(4789, &[&[8, 0, 0, 0, 0, 0, 42, 0][..], &inner].concat());
    let geneve = udp(6081, &[&[0, 0, 0x65, 0x58, 0, 0, 1, 0][..], &inner].concat());
    let over_ip = [
        (0x0800, v4(6, 0, &tcp)),
        (0x0800, v4(17, 0, &dns)),
        (0x0800, v4(1, 0, echo)),
        (0x0800, v4(6, 0x2000, &tcp)),
        (0x0800, v4(6, 0x0010, &tcp)),
        (0x0800, v4(17, 0, &vxlan)),
        (0x0800, v4(17, 0, &geneve)),
        (
            0x0800,
            v4(51, 0, &[&[6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0][..], &tcp].concat()),
        ),
        (0x86dd, v6(6, &tcp)),
        (0x86dd, v6(17, &dns)),
        (0x86dd, v6(17, &vxlan)),
        (0x86dd, v6(58, b"\x80\0\0\0\0\x07\0\x01data")),
        (0x86dd, v6(44, &[&[6, 0, 0, 1, 0, 0, 0, 1][..], &tcp].concat())),
        (0x86dd, v6(0, &[&[17, 0, 0, 0, 0, 0, 0, 0][..], &dns].concat())),
    ];
    let mut samples = vec![
        ethernet(
            0x0806,
            b"\0\x01\x08\0\x06\x04\0\x01\x02\xaa\xbb\xcc\0\x01\x0a\0\0\x09\0\0\0\0\0\0\x0a\0\0\x01",
        ),
        ethernet(0x0026, b"\x42\x42\x03\0\0\0\0\0\x80\0\0\x1c\x0e\x87\x78\0\0\0\0\x04"),
        ethernet(0x0040, b"\xfe\xfe\x03\x83\x1b\x01\0\x0f\x01\0\0\x01\0\0\0\0\0\0\0\0"),
        ethernet(0x0030, b"\xaa\xaa\x03\x08\0\x07\x80\x9b\0\0\0\0\0\0\0\0\0\0\0\0"),
        ethernet(0x0030, b"\xe0\xe0\x03\xff\xff\0\x22\0\x11\0\0\0\0\0\0\0\0\0\0\0"),
        ethernet(0x6003, b"\x10\0\x02\x01\x04\x02\x04\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ethernet(0x8863, b"\x11\x09\0\0\0\x04\x01\x01\0\0"),
    ];
    for (kind, packet) in over_ip {
        let tagged = [&7u16.to_be_bytes()[..], &u16::to_be_bytes(kind), &packet].concat();
        let stacked = [&100u16.to_be_bytes()[..], &0x8100u16.to_be_bytes(), &tagged].concat();
        let ppp: &[u8] = if kind == 0x0800 { &[0, 0x21] } else { &[0, 0x57] };
        let session = [&[0x11, 0, 0, 0x11, 0, 0x30][..], ppp, &packet].concat();
        samples.push(ethernet(0x8100, &tagged));
        samples.push(ethernet(0x88a8, &stacked));
        samples.push(ethernet(0x8847, &[&[0, 6, 0x41, 64][..], &packet].concat()));
        samples.push(ethernet(0x8864, &session));
        samples.push(ethernet(kind, &packet));
    }
    samples
}
