//! The graph of basic blocks, and conditions under construction.
//!
//! A block is straight-line code that ends in one comparison (or a return). A [`Cond`] is a piece
//! of graph with one entry and two bundles of branches that lead nowhere yet: where it goes when
//! it holds, and where when it does not. `and`, `or` and `not` only connect and exchange bundles.

use crate::filter::program::op::*;

/// Index of a block.
pub type BlockId = u32;
/// No block.
pub const NONE: BlockId = u32::MAX;
/// The code of a statement that the optimizer took out.
pub const NOP: u16 = u16::MAX;

/// A statement inside a block.
#[derive(Clone, Copy, Debug)]
pub struct Stmt {
    /// Instruction code, or [`NOP`].
    pub code: u16,
    /// Operand.
    pub k: u32,
    /// Label of this statement; 0 is none.
    pub label: u32,
    /// Labels that a jump inside the block leads to. Blocks with such jumps are not optimized.
    pub targets: (u32, u32),
}

impl Stmt {
    /// A statement without labels.
    pub fn new(code: u16, k: u32) -> Stmt {
        Stmt { code, k, label: 0, targets: (0, 0) }
    }

    /// The same statement, labelled.
    pub fn labelled(self, label: u32) -> Stmt {
        Stmt { label, ..self }
    }

    /// A comparison with a constant inside a block.
    pub fn branch(jump: u16, k: u32, yes: u32, no: u32) -> Stmt {
        Stmt { targets: (yes, no), ..Stmt::new(JMP | jump | K, k) }
    }

    /// An unconditional jump inside a block.
    pub fn jump(to: u32) -> Stmt {
        Stmt { targets: (to, 0), ..Stmt::new(JMP | JA, 0) }
    }
}

/// A block: statements and the comparison or return that ends them.
#[derive(Clone, Debug)]
pub struct Block {
    /// The statements.
    pub stmts: Vec<Stmt>,
    /// Code of the last instruction.
    pub code: u16,
    /// Operand of the last instruction.
    pub k: u32,
    /// Where to if the comparison holds.
    pub jt: BlockId,
    /// Where to if it does not.
    pub jf: BlockId,
}

/// All blocks.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The blocks, by number.
    pub blocks: Vec<Block>,
    /// Where the program begins.
    pub root: BlockId,
}

/// A branch of a block: the one taken when the comparison holds, or the other.
type Branch = (BlockId, bool);

/// A condition.
#[derive(Debug)]
pub struct Cond {
    /// The block to enter by.
    pub head: BlockId,
    /// What is known without looking at a packet.
    pub constant: Option<bool>,
    holds: Vec<Branch>,
    fails: Vec<Branch>,
}

impl Cond {
    /// The opposite.
    pub fn negated(self) -> Cond {
        Cond {
            head: self.head,
            constant: self.constant.map(|known| !known),
            holds: self.fails,
            fails: self.holds,
        }
    }
}

impl Graph {
    /// A condition of one block.
    pub fn test(&mut self, stmts: Vec<Stmt>, code: u16, k: u32) -> Cond {
        let id = self.add(Block { stmts, code, k, jt: NONE, jf: NONE });
        Cond { head: id, constant: None, holds: vec![(id, true)], fails: vec![(id, false)] }
    }

    /// A condition that holds always or never.
    pub fn constant(&mut self, value: bool) -> Cond {
        let load = Stmt::new(LD | IMM, u32::from(!value));
        Cond { constant: Some(value), ..self.test(vec![load], JMP | JEQ | K, 0) }
    }

    /// Both.
    pub fn and(&mut self, first: Cond, second: Cond) -> Cond {
        match (first.constant, second.constant) {
            (Some(true), _) | (_, Some(false)) => return second,
            (Some(false), _) | (_, Some(true)) => return first,
            _ => {}
        }
        self.lead(&first.holds, second.head);
        Cond {
            head: first.head,
            constant: None,
            holds: second.holds,
            fails: joined(first.fails, second.fails),
        }
    }

    /// Either.
    pub fn or(&mut self, first: Cond, second: Cond) -> Cond {
        match (first.constant, second.constant) {
            (Some(false), _) | (_, Some(true)) => return second,
            (Some(true), _) | (_, Some(false)) => return first,
            _ => {}
        }
        self.lead(&first.fails, second.head);
        Cond {
            head: first.head,
            constant: None,
            holds: joined(first.holds, second.holds),
            fails: second.fails,
        }
    }

    /// Ends the program: packets for which `cond` holds are kept up to `snaplen` bytes. Without
    /// a condition all are.
    pub fn finish(&mut self, cond: Option<Cond>, snaplen: u32) {
        let accept = self.add_return(snaplen);
        let Some(cond) = cond else {
            self.root = accept;
            return;
        };
        self.lead(&cond.holds, accept);
        let reject = self.add_return(0);
        self.lead(&cond.fails, reject);
        self.root = cond.head;
    }

    fn add_return(&mut self, k: u32) -> BlockId {
        self.add(Block { stmts: Vec::new(), code: RET | K, k, jt: NONE, jf: NONE })
    }

    fn add(&mut self, block: Block) -> BlockId {
        let id = self.blocks.len() as BlockId;
        self.blocks.push(block);
        id
    }

    /// Fills in where branches lead to.
    fn lead(&mut self, branches: &[Branch], to: BlockId) {
        for (id, side) in branches {
            if let Some(block) = self.blocks.get_mut(*id as usize) {
                *(if *side { &mut block.jt } else { &mut block.jf }) = to;
            }
        }
    }

    /// Puts statements in front of those of a block.
    pub fn prepend(&mut self, id: BlockId, mut stmts: Vec<Stmt>) {
        if let Some(block) = self.blocks.get_mut(id as usize) {
            stmts.append(&mut block.stmts);
            block.stmts = stmts;
        }
    }
}

/// Both lists, the longer one growing: chains of a thousand terms stay linear.
fn joined(mut a: Vec<Branch>, mut b: Vec<Branch>) -> Vec<Branch> {
    if a.len() < b.len() {
        std::mem::swap(&mut a, &mut b);
    }
    a.append(&mut b);
    a
}
