//! Blocks to instructions.
//!
//! Blocks are laid out in reverse postorder, so that every branch goes forward. Branch distances
//! have eight bits; a branch that is farther goes to a `ja` right behind its block. Putting one in
//! moves everything else apart, which may make other branches too far, so that layout is repeated
//! until nothing changes; a `ja` once needed stays needed.

use super::FilterError;
use super::generate::graph::{Block, BlockId, Graph, NONE, NOP, Stmt};
use super::program::{Instruction, op::*};

/// Lays out the blocks that can be reached.
///
/// # Errors
/// A jump inside a block is too far, which no expression makes.
pub fn emit(graph: &Graph) -> Result<Vec<Instruction>, FilterError> {
    let order = reverse_postorder(graph);
    let mut placed: Vec<Placed> = vec![Placed::default(); graph.blocks.len()];
    while !place(graph, &order, &mut placed) {}
    let mut program = Vec::new();
    for id in order {
        write(&graph.blocks[id as usize], placed[id as usize], &placed, &mut program)?;
    }
    Ok(program)
}

/// Where a block is, and which of its branches need a `ja`.
#[derive(Clone, Copy, Debug, Default)]
struct Placed {
    at: usize,
    far_yes: bool,
    far_no: bool,
}

/// The blocks that can be reached from the root, before those they lead to. Of two successors the
/// one for "yes" comes first.
pub fn reverse_postorder(graph: &Graph) -> Vec<BlockId> {
    let mut order = Vec::new();
    let mut seen = vec![false; graph.blocks.len()];
    let mut stack = vec![(graph.root, 0)];
    seen[graph.root as usize] = true;
    while let Some((id, visited)) = stack.pop() {
        let block = &graph.blocks[id as usize];
        let child = match visited {
            0 => block.jf,
            1 => block.jt,
            _ => {
                order.push(id);
                continue;
            }
        };
        stack.push((id, visited + 1));
        if child != NONE && !seen[child as usize] {
            seen[child as usize] = true;
            stack.push((child, 0));
        }
    }
    order.reverse();
    order
}

/// Gives each block its place. False if some branch turned out to need a `ja`.
fn place(graph: &Graph, order: &[BlockId], placed: &mut [Placed]) -> bool {
    let mut at = 0;
    for id in order {
        let place = &mut placed[*id as usize];
        place.at = at;
        let extra = usize::from(place.far_yes) + usize::from(place.far_no);
        at += live(&graph.blocks[*id as usize].stmts).count() + 1 + extra;
    }
    let mut settled = true;
    for id in order {
        let block = &graph.blocks[*id as usize];
        if block.jt == NONE || block.jf == NONE {
            continue;
        }
        let next = placed[*id as usize].at + live(&block.stmts).count() + 1;
        let too_far = |to: BlockId| placed[to as usize].at - next > usize::from(u8::MAX);
        let (yes, no) = (too_far(block.jt), too_far(block.jf));
        let place = &mut placed[*id as usize];
        settled &= (place.far_yes || !yes) && (place.far_no || !no);
        place.far_yes |= yes;
        place.far_no |= no;
    }
    settled
}

fn live(stmts: &[Stmt]) -> impl Iterator<Item = &Stmt> {
    stmts.iter().filter(|stmt| stmt.code != NOP)
}

fn write(
    block: &Block,
    place: Placed,
    placed: &[Placed],
    program: &mut Vec<Instruction>,
) -> Result<(), FilterError> {
    for (at, stmt) in live(&block.stmts).enumerate() {
        program.push(statement(block, at, stmt)?);
    }
    let mut last = Instruction { code: block.code, jt: 0, jf: 0, k: block.k };
    if block.jt == NONE || block.jf == NONE {
        program.push(last);
        return Ok(());
    }
    let next = program.len() + 1;
    let distance = |to: BlockId, from: usize| placed[to as usize].at - from;
    let mut jumps = Vec::new();
    for (to, far, short) in
        [(block.jt, place.far_yes, &mut last.jt), (block.jf, place.far_no, &mut last.jf)]
    {
        if far {
            *short = jumps.len() as u8;
            let k = distance(to, next + jumps.len() + 1) as u32;
            jumps.push(Instruction { code: JMP | JA, jt: 0, jf: 0, k });
        } else {
            *short = u8::try_from(distance(to, next)).map_err(|_| too_far())?;
        }
    }
    program.push(last);
    program.append(&mut jumps);
    Ok(())
}

/// A statement; jumps inside the block get their distances.
fn statement(block: &Block, at: usize, stmt: &Stmt) -> Result<Instruction, FilterError> {
    let mut instruction = Instruction { code: stmt.code, jt: 0, jf: 0, k: stmt.k };
    if class(stmt.code) != JMP {
        return Ok(instruction);
    }
    let distance = |label: u32| {
        let found = live(&block.stmts).position(|stmt| stmt.label == label);
        let to = found.unwrap_or_else(|| live(&block.stmts).count());
        to as i64 - at as i64 - 1
    };
    let (yes, no) = stmt.targets;
    if stmt.code == JMP | JA {
        instruction.k = distance(yes) as i32 as u32;
    } else {
        instruction.jt = u8::try_from(distance(yes)).map_err(|_| too_far())?;
        instruction.jf = u8::try_from(distance(no)).map_err(|_| too_far())?;
    }
    Ok(instruction)
}

fn too_far() -> FilterError {
    FilterError::new("block-local relative jump out of range")
}
