//! Value numbers.
//!
//! Every operation on numbered values gives a number, the same operation on the same numbers the
//! same one; distinct constants have distinct numbers. What a register holds before the program
//! and what it holds where ways meet that disagree are operations too, of no operands but the
//! block and the register. As no block runs twice, one number is one value on any one packet.

use super::flow::REGISTERS;
use crate::filter::generate::graph::BlockId;
use crate::filter::program::op::{IMM, LD};
use std::collections::HashMap;

/// A value number.
pub type Number = u32;

/// The "operation" of a register at the start of a block; no instruction has this code.
const AT_START: u16 = u16::MAX;

/// The value number of each register.
pub type State = [Number; REGISTERS];

/// The numbers given out, and the state at the end of each block.
#[derive(Debug)]
pub struct Values {
    numbers: HashMap<(u16, u32, u32), Number>,
    constants: Vec<Option<u32>>,
    /// The registers where a block ends.
    pub at_end: Vec<State>,
    /// What a block compares A with.
    pub operand: Vec<Number>,
}

impl Values {
    /// Nothing is known of any block.
    pub fn new(blocks: usize) -> Values {
        Values {
            numbers: HashMap::new(),
            constants: vec![None],
            at_end: vec![[0; REGISTERS]; blocks],
            operand: vec![0; blocks],
        }
    }

    /// The number of an operation on two values (or operands).
    pub fn number(&mut self, code: u16, a: u32, b: u32) -> Number {
        let constants = &mut self.constants;
        *self.numbers.entry((code, a, b)).or_insert_with(|| {
            constants.push((code == LD | IMM).then_some(a));
            (constants.len() - 1) as Number
        })
    }

    /// The number of a constant.
    pub fn constant(&mut self, value: u32) -> Number {
        self.number(LD | IMM, value, 0)
    }

    /// The number of what a register holds at the start of a block, if nothing else is known.
    pub fn at_start(&mut self, block: BlockId, register: usize) -> Number {
        self.number(AT_START, block, register as u32)
    }

    /// The constant that a number stands for.
    pub fn is_constant(&self, number: Number) -> Option<u32> {
        self.constants.get(number as usize).copied().flatten()
    }

    /// The number of a register where a block ends.
    pub fn end_of(&self, block: BlockId, register: usize) -> Number {
        self.at_end[block as usize][register]
    }
}
