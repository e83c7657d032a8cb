//! The optimizer.
//!
//! The graph has no cycles, which makes everything here a walk by *level*: the longest distance
//! from a block to a return. Two kinds of rounds are repeated until nothing changes:
//! first rounds that only move branches (`branch`, `facts`), then rounds that also rewrite statements
//! (`stmt`), and at the end blocks that are equal become one (`merge`).
//!
//! Each round computes anew what it relies on (`flow`): levels, which blocks and which *edges*
//! lie on every way to a block, which registers a block leaves to those after it, and the value
//! numbers (`value`): two registers with one number hold the same value on every packet.

mod branch;
mod facts;
mod flow;
mod merge;
mod stmt;
mod value;

use super::FilterError;
use super::generate::graph::{Block, BlockId, Graph, NONE, Stmt};
use super::program::op::*;
use flow::Flow;
use value::Values;

/// Larger graphs are left as they are: the sets of edges take space with the square of the size.
pub const MAX_BLOCKS: usize = 3_000;

/// Rounds after which branches that only move about are taken to go in circles.
const MAX_IDLE_ROUNDS: usize = 100;

/// Rounds of each kind at most.
const MAX_ROUNDS: usize = 10_000;

/// What has been changed in a round.
#[derive(Clone, Copy, Debug, Default)]
struct Changes {
    /// Anything.
    any: bool,
    /// Something else than the target of a branch.
    substance: bool,
}

impl Changes {
    fn moved(&mut self) {
        self.any = true;
    }

    fn rewritten(&mut self) {
        self.any = true;
        self.substance = true;
    }
}

/// Optimizes the graph in place. Says whether no packet can match, which makes an expression an
/// error. What only `facts` shows is none, and not even used: `not (tcp and iso)` would accept
/// packets that are too short for the incumbent to look into.
///
/// # Errors
/// A constant expression divides by zero.
pub fn optimize(graph: &mut Graph) -> Result<bool, FilterError> {
    renumber(graph);
    if graph.blocks.len() > MAX_BLOCKS {
        return Ok(false);
    }
    let plain = graph.clone();
    optimize_with(graph, true)?;
    if class(graph.blocks[graph.root as usize].code) == RET {
        *graph = plain;
        optimize_with(graph, false)?;
    }
    let root = &graph.blocks[graph.root as usize];
    Ok(root.code == RET | K && root.k == 0)
}

fn optimize_with(graph: &mut Graph, facts: bool) -> Result<(), FilterError> {
    rounds(graph, Round::Branches { facts })?;
    rounds(graph, Round::Statements)?;
    merge::merge(graph);
    simplify_root(graph);
    Ok(())
}

/// What a round does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// Moves branches.
    Branches {
        /// By sets of constants as well.
        facts: bool,
    },
    /// Rewrites statements.
    Statements,
}

/// Keeps the blocks that can be reached, numbered depth first, "yes" before "no".
fn renumber(graph: &mut Graph) {
    let mut order: Vec<BlockId> = Vec::new();
    let mut number = vec![NONE; graph.blocks.len()];
    let mut stack = vec![graph.root];
    while let Some(id) = stack.pop() {
        if id == NONE || number[id as usize] != NONE {
            continue;
        }
        number[id as usize] = order.len() as BlockId;
        order.push(id);
        let block = &graph.blocks[id as usize];
        stack.push(block.jf);
        stack.push(block.jt);
    }
    let new = |id: BlockId| if id == NONE { NONE } else { number[id as usize] };
    let take = |id: &BlockId| {
        let block = &mut graph.blocks[*id as usize];
        let stmts = std::mem::take(&mut block.stmts);
        Block { stmts, jt: new(block.jt), jf: new(block.jf), ..*block }
    };
    graph.blocks = order.iter().map(take).collect();
    graph.root = 0;
}

fn rounds(graph: &mut Graph, kind: Round) -> Result<(), FilterError> {
    let mut idle = 0;
    for _ in 0..MAX_ROUNDS {
        let changes = round(graph, kind)?;
        if !changes.any {
            break;
        }
        idle = if changes.substance { 0 } else { idle + 1 };
        if idle >= MAX_IDLE_ROUNDS {
            break;
        }
    }
    Ok(())
}

fn round(graph: &mut Graph, kind: Round) -> Result<Changes, FilterError> {
    let mut changes = Changes::default();
    let statements = kind == Round::Statements;
    let mut flow = Flow::new(graph);
    let mut values = Values::new(graph.blocks.len());
    for level in (0..flow.levels.len()).rev() {
        for at in 0..flow.levels[level].len() {
            let id = flow.levels[level][at];
            stmt::block(graph, &flow, &mut values, id, statements, &mut changes)?;
        }
    }
    if let Round::Branches { facts } = kind {
        branch::thread(graph, &flow, &values, &mut changes);
        if facts {
            facts::thread(graph, &flow, &values, &mut changes);
        }
        flow.find_predecessors(graph);
        branch::pull_up(graph, &mut flow, &values, &mut changes);
    }
    Ok(changes)
}

/// Goes past branches of the root that are no branches, and drops what a return has no use for.
fn simplify_root(graph: &mut Graph) {
    let mut stmts: Vec<Stmt> = std::mem::take(&mut graph.blocks[graph.root as usize].stmts);
    loop {
        let block = &graph.blocks[graph.root as usize];
        if class(block.code) != JMP || block.jt != block.jf {
            break;
        }
        graph.root = block.jt;
    }
    let root = &mut graph.blocks[graph.root as usize];
    if class(root.code) == RET {
        root.stmts.clear();
    } else {
        stmts.append(&mut root.stmts);
        root.stmts = stmts;
    }
}
