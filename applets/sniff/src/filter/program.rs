//! Classic BPF programs: instructions, validation, and the listings that `-d`, `-dd` and `-ddd`
//! print.
//!
//! The encoding is that of the 1993 BPF paper and of `struct sock_filter`: a 16-bit code, two
//! 8-bit branch distances and a 32-bit operand. Distances count from the next instruction.

use super::interpret::Decoded;
use std::fmt::Write;

/// The parts that instruction codes are made of.
#[allow(missing_docs)]
pub mod op {
    pub const LD: u16 = 0x00;
    pub const LDX: u16 = 0x01;
    pub const ST: u16 = 0x02;
    pub const STX: u16 = 0x03;
    pub const ALU: u16 = 0x04;
    pub const JMP: u16 = 0x05;
    pub const RET: u16 = 0x06;
    pub const MISC: u16 = 0x07;

    pub const W: u16 = 0x00;
    pub const H: u16 = 0x08;
    pub const B: u16 = 0x10;

    pub const IMM: u16 = 0x00;
    pub const ABS: u16 = 0x20;
    pub const IND: u16 = 0x40;
    pub const MEM: u16 = 0x60;
    pub const LEN: u16 = 0x80;
    pub const MSH: u16 = 0xa0;

    pub const ADD: u16 = 0x00;
    pub const SUB: u16 = 0x10;
    pub const MUL: u16 = 0x20;
    pub const DIV: u16 = 0x30;
    pub const OR: u16 = 0x40;
    pub const AND: u16 = 0x50;
    pub const LSH: u16 = 0x60;
    pub const RSH: u16 = 0x70;
    pub const NEG: u16 = 0x80;
    pub const MOD: u16 = 0x90;
    pub const XOR: u16 = 0xa0;

    pub const JA: u16 = 0x00;
    pub const JEQ: u16 = 0x10;
    pub const JGT: u16 = 0x20;
    pub const JGE: u16 = 0x30;
    pub const JSET: u16 = 0x40;

    pub const K: u16 = 0x00;
    pub const X: u16 = 0x08;
    pub const A: u16 = 0x10;

    pub const TAX: u16 = 0x00;
    pub const TXA: u16 = 0x80;

    /// Loads at and above this offset read the kernel's ancillary data, not the packet.
    pub const AD_OFF: u32 = 0xffff_f000;
    /// Ancillary: packet type (to us, outgoing, ...).
    pub const AD_PKTTYPE: u32 = 4;
    /// Ancillary: interface index.
    pub const AD_IFINDEX: u32 = 8;
    /// Ancillary: VLAN tag control information.
    pub const AD_VLAN_TAG: u32 = 44;
    /// Ancillary: whether the kernel holds a VLAN tag.
    pub const AD_VLAN_TAG_PRESENT: u32 = 48;

    pub const fn class(code: u16) -> u16 {
        code & 0x07
    }
    pub const fn size(code: u16) -> u16 {
        code & 0x18
    }
    pub const fn mode(code: u16) -> u16 {
        code & 0xe0
    }
    pub const fn operation(code: u16) -> u16 {
        code & 0xf0
    }
    pub const fn source(code: u16) -> u16 {
        code & 0x08
    }
}

use op::*;

/// Scratch memory words of the machine.
pub const MEMWORDS: usize = 16;

/// One instruction, laid out as the kernel's `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    /// Class, size or operation, and mode or source.
    pub code: u16,
    /// Distance of the branch taken when the comparison holds.
    pub jt: u8,
    /// Distance of the branch taken when it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A program that has been validated, ready to be attached or run.
#[derive(Clone, Debug)]
pub struct Program {
    instructions: Vec<Instruction>,
    decoded: Decoded,
}

/// Why a list of instructions is not a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The instruction at fault.
    pub at: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Program {
    /// Takes over `instructions` if they are a valid program.
    ///
    /// # Errors
    /// See [`validate`].
    pub fn new(instructions: Vec<Instruction>) -> Result<Program, Invalid> {
        validate(&instructions)?;
        let decoded = Decoded::new(&instructions);
        Ok(Program { instructions, decoded })
    }

    /// The instructions, as the kernel takes them.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Whether there is a backward jump. The kernel takes no such program.
    pub fn has_loop(&self) -> bool {
        self.instructions.iter().any(|i| i.code == JMP | JA && i.k & 0x8000_0000 != 0)
    }

    /// Whether every packet is accepted whole, so that running the program is needless.
    pub fn accepts_all(&self) -> bool {
        matches!(self.instructions.as_slice(), [i] if i.code == RET && i.k != 0)
    }

    /// Runs the program over the captured bytes of a packet that was `wire_len` bytes long.
    /// Returns how many bytes to keep; 0 rejects the packet.
    #[inline]
    pub fn run(&self, packet: &[u8], wire_len: u32) -> u32 {
        self.decoded.run(packet, wire_len)
    }

    /// The listing of `-d`: one line an instruction, as text.
    pub fn dump_d(&self) -> String {
        let mut out = String::with_capacity(self.instructions.len() * 32);
        for (at, instruction) in self.instructions.iter().enumerate() {
            list(&mut out, at, *instruction);
            out.push('\n');
        }
        out
    }

    /// The listing of `-dd`: C initializers.
    pub fn dump_dd(&self) -> String {
        let mut out = String::with_capacity(self.instructions.len() * 32);
        for Instruction { code, jt, jf, k } in &self.instructions {
            let _ = writeln!(out, "{{ {code:#x}, {jt}, {jf}, {k:#010x} }},");
        }
        out
    }

    /// The listing of `-ddd`: decimal numbers, their count first.
    pub fn dump_ddd(&self) -> String {
        let mut out = String::with_capacity(self.instructions.len() * 16);
        let _ = writeln!(out, "{}", self.instructions.len());
        for Instruction { code, jt, jf, k } in &self.instructions {
            let _ = writeln!(out, "{code} {jt} {jf} {k}");
        }
        out
    }
}

/// Checks what the machine relies on: known codes, scratch words in range, no constant division by
/// zero, branches that stay inside and go forward (a `ja` may go backward), a return at the end.
///
/// # Errors
/// The first instruction that is wrong.
pub fn validate(program: &[Instruction]) -> Result<(), Invalid> {
    let Some(last) = program.last() else {
        return Err(Invalid { at: 0, reason: "empty program" });
    };
    for (at, instruction) in program.iter().enumerate() {
        check(program.len(), at, *instruction).map_err(|reason| Invalid { at, reason })?;
    }
    if class(last.code) != RET {
        return Err(Invalid { at: program.len() - 1, reason: "the end is not a return" });
    }
    Ok(())
}

fn check(len: usize, at: usize, i: Instruction) -> Result<(), &'static str> {
    let inside = |target: u64| if target < len as u64 { Ok(()) } else { Err("jump to outside") };
    match class(i.code) {
        LD => match mode(i.code) {
            IMM | LEN if size(i.code) == W => Ok(()),
            ABS | IND if size(i.code) <= B => Ok(()),
            MEM if size(i.code) == W => scratch(i.k),
            _ => Err("unknown load"),
        },
        LDX => match i.code {
            c if c == LDX | IMM || c == LDX | LEN || c == LDX | MSH | B => Ok(()),
            c if c == LDX | MEM => scratch(i.k),
            _ => Err("unknown load"),
        },
        ST | STX if i.code <= STX => scratch(i.k),
        ALU => match operation(i.code) {
            DIV | MOD if source(i.code) == K && i.k == 0 => Err("division by zero"),
            ADD | SUB | MUL | DIV | OR | AND | LSH | RSH | NEG | MOD | XOR if i.code < 0x100 => {
                Ok(())
            }
            _ => Err("unknown operation"),
        },
        JMP => match operation(i.code) {
            JA if i.code == JMP | JA => {
                let target = at as i64 + 1 + i64::from(i.k as i32);
                inside(u64::try_from(target).map_err(|_| "jump to outside")?)
            }
            JEQ | JGT | JGE | JSET if i.code < 0x100 => {
                inside(at as u64 + 1 + u64::from(i.jt))?;
                inside(at as u64 + 1 + u64::from(i.jf))
            }
            _ => Err("unknown jump"),
        },
        RET if i.code == RET | K || i.code == RET | A => Ok(()),
        MISC if i.code == MISC | TAX || i.code == MISC | TXA => Ok(()),
        _ => Err("unknown instruction"),
    }
}

fn scratch(k: u32) -> Result<(), &'static str> {
    if (k as usize) < MEMWORDS { Ok(()) } else { Err("scratch word out of range") }
}

/// One line of `-d`.
fn list(out: &mut String, at: usize, i: Instruction) {
    let (name, operand) = text(at, i);
    let _ = if class(i.code) == JMP && operation(i.code) != JA {
        let (jt, jf) = (at + 1 + usize::from(i.jt), at + 1 + usize::from(i.jf));
        write!(out, "({at:03}) {name:<8} {operand:<16} jt {jt}\tjf {jf}")
    } else {
        write!(out, "({at:03}) {name:<8} {operand}")
    };
}

/// Mnemonic and operand.
fn text(at: usize, i: Instruction) -> (&'static str, String) {
    match class(i.code) {
        LD => load_text(i),
        LDX => match mode(i.code) {
            IMM => ("ldx", format!("#{:#x}", i.k)),
            MEM => ("ldx", format!("M[{}]", i.k)),
            LEN => ("ldx", "#pktlen".to_owned()),
            _ => ("ldxb", format!("4*([{}]&0xf)", i.k)),
        },
        ST => ("st", format!("M[{}]", i.k)),
        STX => ("stx", format!("M[{}]", i.k)),
        ALU => arithmetic_text(i),
        JMP => jump_text(at, i),
        RET if i.code == RET | A => ("ret", String::new()),
        RET => ("ret", format!("#{}", i.k as i32)),
        _ if i.code == MISC | TXA => ("txa", String::new()),
        _ => ("tax", String::new()),
    }
}

fn load_text(i: Instruction) -> (&'static str, String) {
    let name = match size(i.code) {
        H => "ldh",
        B => "ldb",
        _ => "ld",
    };
    let operand = match mode(i.code) {
        IMM => format!("#{:#x}", i.k),
        ABS => match ancillary(i.k) {
            Some(field) => format!("[{field}]"),
            None => format!("[{}]", i.k as i32),
        },
        IND => format!("[x + {}]", i.k as i32),
        MEM => format!("M[{}]", i.k),
        _ => "#pktlen".to_owned(),
    };
    (name, operand)
}

/// The name of a piece of ancillary data.
fn ancillary(k: u32) -> Option<&'static str> {
    match k.checked_sub(AD_OFF)? {
        0 => Some("proto"),
        AD_PKTTYPE => Some("type"),
        AD_IFINDEX => Some("ifidx"),
        AD_VLAN_TAG => Some("vlan_tci"),
        AD_VLAN_TAG_PRESENT => Some("vlanp"),
        _ => None,
    }
}

fn arithmetic_text(i: Instruction) -> (&'static str, String) {
    let (name, hexadecimal) = match operation(i.code) {
        ADD => ("add", false),
        SUB => ("sub", false),
        MUL => ("mul", false),
        DIV => ("div", false),
        MOD => ("mod", false),
        AND => ("and", true),
        OR => ("or", true),
        XOR => ("xor", true),
        LSH => ("lsh", false),
        RSH => ("rsh", false),
        _ => return ("neg", String::new()),
    };
    if source(i.code) == X {
        (name, "x".to_owned())
    } else if hexadecimal {
        (name, format!("#{:#x}", i.k))
    } else {
        (name, format!("#{}", i.k as i32))
    }
}

fn jump_text(at: usize, i: Instruction) -> (&'static str, String) {
    let name = match operation(i.code) {
        JEQ => "jeq",
        JGT => "jgt",
        JGE => "jge",
        JSET => "jset",
        _ => return ("ja", (at as i64 + 1 + i64::from(i.k as i32)).to_string()),
    };
    if source(i.code) == X { (name, "x".to_owned()) } else { (name, format!("#{:#x}", i.k)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ret(k: u32) -> Instruction {
        Instruction { code: RET, k, ..Instruction::default() }
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let bad = |code, jt, jf, k| {
            Program::new(vec![Instruction { code, jt, jf, k }, ret(0)]).unwrap_err().at
        };
        assert!(Program::new(vec![]).is_err());
        assert_eq!(bad(LD | MEM, 0, 0, 16), 0);
        assert_eq!(bad(ALU | DIV, 0, 0, 0), 0);
        assert_eq!(bad(JMP | JEQ, 1, 0, 0), 0);
        assert_eq!(bad(JMP | JA, 0, 0, 1), 0);
        assert_eq!(bad(JMP | JA, 0, 0, u32::MAX - 1), 0);
        assert_eq!(bad(0xffff, 0, 0, 0), 0);
        assert!(Program::new(vec![Instruction { code: MISC, ..Instruction::default() }]).is_err());
    }

    #[test]
    fn listings() {
        let program = Program::new(vec![
            Instruction { code: LD | H | ABS, jt: 0, jf: 0, k: 12 },
            Instruction { code: JMP | JEQ, jt: 0, jf: 1, k: 0x800 },
            ret(262_144),
            ret(0),
        ])
        .unwrap();
        assert_eq!(
            program.dump_d(),
            "(000) ldh      [12]\n(001) jeq      #0x800           jt 2\tjf 3\n\
             (002) ret      #262144\n(003) ret      #0\n"
        );
        assert_eq!(
            program.dump_dd(),
            "{ 0x28, 0, 0, 0x0000000c },\n{ 0x15, 0, 1, 0x00000800 },\n\
             { 0x6, 0, 0, 0x00040000 },\n{ 0x6, 0, 0, 0x00000000 },\n"
        );
        assert_eq!(program.dump_ddd(), "4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n");
    }
}
