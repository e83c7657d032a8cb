//! Runs classic BPF in user space.
//!
//! A program is decoded once: codes become a dense enum, distances become indexes, and a packet
//! load that is followed by a comparison with a constant becomes one operation, which is what most
//! of a filter is. The second of such a pair stays in its place too, for jumps that lead to it.
//! Against a loop over the raw instructions this takes a third off (`tcp port 443`: 35 ns a packet
//! for 49, packets in cache). Making the comparison free of branches as well was half as slow
//! again: a predicted branch lets the loads of the next test start before this one is decided.
//!
//! What the kernel decides is decided alike: a load outside of the packet rejects it, and so does a
//! division by an X of 0. Only `protochain` jumps backward; `MAX_BACK_JUMPS` bounds what a hostile
//! chain of headers can cost.

use super::program::{Instruction, MEMWORDS, op::*};

/// Backward jumps a run may take. Each follows one header of at least 8 bytes.
pub const MAX_BACK_JUMPS: u32 = 65_536;

/// Comparison of a fused load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    Set,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    LoadWord(u32),
    LoadHalf(u32),
    LoadByte(u32),
    LoadWordX(u32),
    LoadHalfX(u32),
    LoadByteX(u32),
    WordTest { offset: u32, k: u32, test: Test, yes: u16, no: u16 },
    HalfTest { offset: u32, k: u32, test: Test, yes: u16, no: u16 },
    ByteTest { offset: u32, k: u32, test: Test, yes: u16, no: u16 },
    HalfXTest { offset: u32, k: u32, test: Test, yes: u16, no: u16 },
    Immediate(u32),
    Length,
    Recall(u8),
    ImmediateX(u32),
    LengthX,
    RecallX(u8),
    HeaderLengthX(u32),
    Store(u8),
    StoreX(u8),
    Alu { operation: u16, operand: Operand },
    Jump(u32),
    JumpBack(u32),
    Compare { k: u32, test: Test, yes: u16, no: u16 },
    CompareX { test: Test, yes: u16, no: u16 },
    Return(u32),
    ReturnA,
    ToX,
    ToA,
}

#[derive(Clone, Copy, Debug)]
enum Operand {
    Constant(u32),
    X,
}

/// A decoded program. Branches are distances, as in the instructions.
#[derive(Clone, Debug)]
pub(super) struct Decoded(Vec<Op>);

impl Decoded {
    /// Decodes instructions that have been validated.
    pub(super) fn new(program: &[Instruction]) -> Decoded {
        let mut ops: Vec<Op> = program.iter().map(|i| decode(*i)).collect();
        for at in 1..ops.len() {
            if let Op::Compare { k, test, yes, no } = ops[at] {
                // One operation more lies between the load and the targets.
                let (yes, no) = (yes + 1, no + 1);
                ops[at - 1] = match ops[at - 1] {
                    Op::LoadWord(offset) => Op::WordTest { offset, k, test, yes, no },
                    Op::LoadHalf(offset) => Op::HalfTest { offset, k, test, yes, no },
                    Op::LoadByte(offset) => Op::ByteTest { offset, k, test, yes, no },
                    Op::LoadHalfX(offset) => Op::HalfXTest { offset, k, test, yes, no },
                    other => other,
                };
            }
        }
        Decoded(ops)
    }

    pub(super) fn run(&self, packet: &[u8], wire_len: u32) -> u32 {
        let mut a: u32 = 0;
        let mut x: u32 = 0;
        let mut memory = [0u32; MEMWORDS];
        let mut back_jumps = 0;
        let mut at = 0usize;
        macro_rules! load {
            ($read:ident, $offset:expr) => {
                match $read(packet, $offset) {
                    Some(value) => a = value,
                    None => return 0,
                }
            };
        }
        while let Some(op) = self.0.get(at) {
            at += 1;
            match *op {
                Op::HalfTest { offset, k, test, yes, no } => {
                    load!(half, offset);
                    at += branch(test, a, k, yes, no);
                }
                Op::WordTest { offset, k, test, yes, no } => {
                    load!(word, offset);
                    at += branch(test, a, k, yes, no);
                }
                Op::ByteTest { offset, k, test, yes, no } => {
                    load!(byte, offset);
                    at += branch(test, a, k, yes, no);
                }
                Op::HalfXTest { offset, k, test, yes, no } => {
                    load!(half, offset.wrapping_add(x));
                    at += branch(test, a, k, yes, no);
                }
                Op::Compare { k, test, yes, no } => at += branch(test, a, k, yes, no),
                Op::CompareX { test, yes, no } => at += branch(test, a, x, yes, no),
                Op::Return(k) => return k,
                Op::LoadWord(offset) => load!(word, offset),
                Op::LoadHalf(offset) => load!(half, offset),
                Op::LoadByte(offset) => load!(byte, offset),
                Op::LoadWordX(offset) => load!(word, offset.wrapping_add(x)),
                Op::LoadHalfX(offset) => load!(half, offset.wrapping_add(x)),
                Op::LoadByteX(offset) => load!(byte, offset.wrapping_add(x)),
                Op::HeaderLengthX(offset) => match byte(packet, offset) {
                    Some(value) => x = (value & 0xf) << 2,
                    None => return 0,
                },
                Op::Alu { operation, operand } => {
                    let operand = match operand {
                        Operand::Constant(k) => k,
                        Operand::X => x,
                    };
                    match compute(operation, a, operand) {
                        Some(value) => a = value,
                        None => return 0,
                    }
                }
                Op::Immediate(k) => a = k,
                Op::Length => a = wire_len,
                Op::Recall(word) => a = memory[usize::from(word) % MEMWORDS],
                Op::ImmediateX(k) => x = k,
                Op::LengthX => x = wire_len,
                Op::RecallX(word) => x = memory[usize::from(word) % MEMWORDS],
                Op::Store(word) => memory[usize::from(word) % MEMWORDS] = a,
                Op::StoreX(word) => memory[usize::from(word) % MEMWORDS] = x,
                Op::Jump(distance) => at += distance as usize,
                Op::JumpBack(distance) => {
                    back_jumps += 1;
                    if back_jumps > MAX_BACK_JUMPS {
                        return 0;
                    }
                    at -= distance as usize;
                }
                Op::ReturnA => return a,
                Op::ToX => x = a,
                Op::ToA => a = x,
            }
        }
        0
    }
}

#[inline(always)]
fn branch(test: Test, a: u32, k: u32, yes: u16, no: u16) -> usize {
    let holds = match test {
        Test::Equal => a == k,
        Test::Greater => a > k,
        Test::GreaterOrEqual => a >= k,
        Test::Set => a & k != 0,
    };
    usize::from(if holds { yes } else { no })
}

#[inline(always)]
fn word(packet: &[u8], offset: u32) -> Option<u32> {
    let bytes = packet.get(offset as usize..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

#[inline(always)]
fn half(packet: &[u8], offset: u32) -> Option<u32> {
    let bytes = packet.get(offset as usize..)?.first_chunk::<2>()?;
    Some(u32::from(u16::from_be_bytes(*bytes)))
}

#[inline(always)]
fn byte(packet: &[u8], offset: u32) -> Option<u32> {
    packet.get(offset as usize).map(|byte| u32::from(*byte))
}

/// Arithmetic as the kernel does it: modulo 2^32, shifts of 32 and more give 0, no quotient by 0.
pub(super) fn compute(operation: u16, a: u32, b: u32) -> Option<u32> {
    Some(match operation {
        ADD => a.wrapping_add(b),
        SUB => a.wrapping_sub(b),
        MUL => a.wrapping_mul(b),
        DIV => a.checked_div(b)?,
        MOD => a.checked_rem(b)?,
        OR => a | b,
        AND => a & b,
        XOR => a ^ b,
        LSH => a.checked_shl(b).unwrap_or(0),
        RSH => a.checked_shr(b).unwrap_or(0),
        _ => a.wrapping_neg(),
    })
}

fn decode(i: Instruction) -> Op {
    let word = (i.k & 0xf) as u8;
    match class(i.code) {
        LD => match (mode(i.code), size(i.code)) {
            (ABS, W) => Op::LoadWord(i.k),
            (ABS, H) => Op::LoadHalf(i.k),
            (ABS, _) => Op::LoadByte(i.k),
            (IND, W) => Op::LoadWordX(i.k),
            (IND, H) => Op::LoadHalfX(i.k),
            (IND, _) => Op::LoadByteX(i.k),
            (MEM, _) => Op::Recall(word),
            (LEN, _) => Op::Length,
            _ => Op::Immediate(i.k),
        },
        LDX => match mode(i.code) {
            MSH => Op::HeaderLengthX(i.k),
            MEM => Op::RecallX(word),
            LEN => Op::LengthX,
            _ => Op::ImmediateX(i.k),
        },
        ST => Op::Store(word),
        STX => Op::StoreX(word),
        ALU => Op::Alu {
            operation: operation(i.code),
            operand: if source(i.code) == X { Operand::X } else { Operand::Constant(i.k) },
        },
        JMP => decode_jump(i),
        RET if i.code == RET | A => Op::ReturnA,
        RET => Op::Return(i.k),
        _ if i.code == MISC | TXA => Op::ToA,
        _ => Op::ToX,
    }
}

fn decode_jump(i: Instruction) -> Op {
    let test = match operation(i.code) {
        JEQ => Test::Equal,
        JGT => Test::Greater,
        JGE => Test::GreaterOrEqual,
        JSET => Test::Set,
        _ => {
            let distance = i.k as i32;
            return if distance < 0 {
                Op::JumpBack(distance.unsigned_abs())
            } else {
                Op::Jump(i.k)
            };
        }
    };
    let (yes, no) = (u16::from(i.jt), u16::from(i.jf));
    if source(i.code) == X {
        Op::CompareX { test, yes, no }
    } else {
        Op::Compare { k: i.k, test, yes, no }
    }
}
