//! Facts about the flow graph: levels, dominators of blocks and of edges, uses.

use crate::filter::generate::graph::{Block, BlockId, Graph, NONE, NOP, Stmt};
use crate::filter::program::{MEMWORDS, op::*};

/// Registers as bits and indexes: the scratch words, then A and X.
pub const A_REG: usize = MEMWORDS;
pub const X_REG: usize = MEMWORDS + 1;
/// How many registers there are.
pub const REGISTERS: usize = MEMWORDS + 2;

/// A set of registers.
pub type Registers = u32;

/// Sets of small numbers, one a row.
#[derive(Debug)]
pub struct Sets {
    words: usize,
    bits: Vec<u32>,
}

impl Sets {
    fn new(rows: usize, size: usize, full: bool) -> Sets {
        let words = size / 32 + 1;
        Sets { words, bits: vec![if full { u32::MAX } else { 0 }; rows * words] }
    }

    fn clear(&mut self, row: usize) {
        self.bits[row * self.words..(row + 1) * self.words].fill(0);
    }

    fn insert(&mut self, row: usize, member: usize) {
        self.bits[row * self.words + member / 32] |= 1 << (member % 32);
    }

    /// Whether `member` is in a row's set.
    pub fn contains(&self, row: usize, member: usize) -> bool {
        self.bits[row * self.words + member / 32] & 1 << (member % 32) != 0
    }

    fn intersect(&mut self, row: usize, with: usize) {
        for word in 0..self.words {
            self.bits[row * self.words + word] &= self.bits[with * self.words + word];
        }
    }

    /// The words of a row's set.
    pub fn row(&self, row: usize) -> &[u32] {
        &self.bits[row * self.words..(row + 1) * self.words]
    }
}

/// One branch of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The block it leaves.
    pub from: BlockId,
    /// The branch taken when the comparison holds.
    pub yes: bool,
}

/// The facts. Edges are numbered: those for "yes" by their block, then those for "no".
#[derive(Debug)]
pub struct Flow {
    /// Blocks by level; within a level, the last found first.
    pub levels: Vec<Vec<BlockId>>,
    /// The level of each block; `None` if it cannot be reached.
    pub level: Vec<Option<usize>>,
    /// For each block the blocks on every way to it, itself included.
    pub dominators: Sets,
    /// For each edge the edges on every way to and with it.
    pub edge_dominators: Sets,
    /// For each block the registers that those after it read before they write.
    pub uses_after: Vec<Registers>,
    /// The same, with the block's own.
    pub uses_before: Vec<Registers>,
    /// For each block the registers that itself reads before it writes them.
    pub reads: Vec<Registers>,
    /// For each block the registers that it writes.
    pub writes: Vec<Registers>,
    /// For each block the edges that lead to it, the last found first.
    pub predecessors: Vec<Vec<Edge>>,
}

impl Flow {
    /// Computes the facts.
    pub fn new(graph: &Graph) -> Flow {
        let count = graph.blocks.len();
        let mut flow = Flow {
            levels: Vec::new(),
            level: vec![None; count],
            dominators: Sets::new(0, 0, false),
            edge_dominators: Sets::new(2 * count, 2 * count, true),
            uses_after: vec![0; count],
            uses_before: vec![0; count],
            reads: vec![0; count],
            writes: vec![0; count],
            predecessors: Vec::new(),
        };
        flow.find_levels(graph);
        flow.find_dominators(graph);
        flow.find_edge_dominators(graph);
        flow.find_uses(graph);
        flow.find_predecessors(graph);
        flow
    }

    /// The number of an edge.
    pub fn edge(&self, edge: Edge) -> usize {
        edge.from as usize + if edge.yes { 0 } else { self.level.len() }
    }

    /// The edge of a number.
    pub fn numbered(&self, number: usize) -> Edge {
        let count = self.level.len();
        Edge { from: (number % count) as BlockId, yes: number < count }
    }

    fn find_levels(&mut self, graph: &Graph) {
        let mut found: Vec<Vec<BlockId>> = Vec::new();
        let mut seen = vec![false; graph.blocks.len()];
        let mut stack = vec![(graph.root, 0)];
        seen[graph.root as usize] = true;
        while let Some((id, visited)) = stack.pop() {
            let block = &graph.blocks[id as usize];
            let child = match visited {
                0 => block.jt,
                1 => block.jf,
                _ => {
                    let below = |id: BlockId| self.level.get(id as usize).copied().flatten();
                    let level = below(block.jt).max(below(block.jf)).map_or(0, |level| level + 1);
                    self.level[id as usize] = Some(level);
                    if found.len() <= level {
                        found.resize(level + 1, Vec::new());
                    }
                    found[level].push(id);
                    continue;
                }
            };
            stack.push((id, visited + 1));
            if child != NONE && !seen[child as usize] {
                seen[child as usize] = true;
                stack.push((child, 0));
            }
        }
        for level in &mut found {
            level.reverse();
        }
        self.levels = found;
    }

    fn root_first(&self) -> impl Iterator<Item = BlockId> {
        self.levels.iter().rev().flatten().copied()
    }

    /// Blocks that dominate each block.
    pub fn find_dominators(&mut self, graph: &Graph) {
        let count = graph.blocks.len();
        let mut sets = Sets::new(count, count, true);
        sets.clear(graph.root as usize);
        for id in self.root_first() {
            sets.insert(id as usize, id as usize);
            for next in successors(&graph.blocks[id as usize]) {
                sets.intersect(next as usize, id as usize);
            }
        }
        self.dominators = sets;
    }

    fn find_edge_dominators(&mut self, graph: &Graph) {
        let count = graph.blocks.len();
        let mut sets = Sets::new(2 * count, 2 * count, true);
        let root = graph.root as usize;
        sets.clear(root);
        sets.clear(root + count);
        for id in self.root_first() {
            let block = &graph.blocks[id as usize];
            for (edge, next) in [(id as usize, block.jt), (id as usize + count, block.jf)] {
                sets.insert(edge, edge);
                if next != NONE {
                    sets.intersect(next as usize, edge);
                    sets.intersect(next as usize + count, edge);
                }
            }
        }
        self.edge_dominators = sets;
    }

    fn find_uses(&mut self, graph: &Graph) {
        for level in 0..self.levels.len() {
            for at in 0..self.levels[level].len() {
                let id = self.levels[level][at] as usize;
                let block = &graph.blocks[id];
                let after =
                    successors(block).fold(0, |uses, next| uses | self.uses_before[next as usize]);
                let (reads, writes) = local_uses(block);
                self.reads[id] = reads;
                self.writes[id] = writes;
                self.uses_after[id] = after;
                self.uses_before[id] = reads | after & !writes;
            }
        }
    }

    /// The edges that lead to each block.
    pub fn find_predecessors(&mut self, graph: &Graph) {
        let mut predecessors: Vec<Vec<Edge>> = vec![Vec::new(); graph.blocks.len()];
        for id in self.root_first() {
            let block = &graph.blocks[id as usize];
            for (yes, next) in [(true, block.jt), (false, block.jf)] {
                if next != NONE {
                    predecessors[next as usize].push(Edge { from: id, yes });
                }
            }
        }
        for edges in &mut predecessors {
            edges.reverse();
        }
        self.predecessors = predecessors;
    }
}

fn successors(block: &Block) -> impl Iterator<Item = BlockId> {
    [block.jt, block.jf].into_iter().filter(|id| *id != NONE)
}

/// The registers that a block reads before it writes them, and those that it writes.
fn local_uses(block: &Block) -> (Registers, Registers) {
    let (mut reads, mut writes) = (0, 0);
    for stmt in block.stmts.iter().filter(|stmt| stmt.code != NOP) {
        reads |= read_by(stmt.code, stmt.k) & !writes;
        if let Some(register) = written_by(stmt) {
            writes |= 1 << register;
        }
    }
    if class(block.code) == JMP {
        reads |= read_by(block.code, block.k) & !writes;
    }
    (reads, writes)
}

/// The registers that an instruction reads.
pub fn read_by(code: u16, k: u32) -> Registers {
    const A_BIT: Registers = 1 << A_REG;
    const X_BIT: Registers = 1 << X_REG;
    match class(code) {
        RET if code == RET | A => A_BIT,
        RET => 0,
        LD | LDX => match mode(code) {
            IND => X_BIT,
            MEM => 1 << (k as usize % MEMWORDS),
            _ => 0,
        },
        ST => A_BIT,
        STX => X_BIT,
        JMP | ALU if source(code) == X => A_BIT | X_BIT,
        JMP | ALU => A_BIT,
        _ if code == MISC | TXA => X_BIT,
        _ => A_BIT,
    }
}

/// The register that a statement writes.
pub fn written_by(stmt: &Stmt) -> Option<usize> {
    match class(stmt.code) {
        LD | ALU => Some(A_REG),
        LDX => Some(X_REG),
        ST | STX => Some(stmt.k as usize % MEMWORDS),
        MISC if stmt.code == MISC | TAX => Some(X_REG),
        MISC => Some(A_REG),
        _ => None,
    }
}
