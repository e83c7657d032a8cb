//! Blocks that do the same and lead to the same become one.

use crate::filter::emit::reverse_postorder;
use crate::filter::generate::graph::{Block, BlockId, Graph, NONE, NOP, Stmt};
use std::collections::HashMap;

/// What makes blocks equal.
type Key = (u16, u32, BlockId, BlockId, Vec<(u16, u32)>);

/// Merges equal blocks. Returns come first, so that one pass sees every successor merged.
pub fn merge(graph: &mut Graph) {
    let mut known: HashMap<Key, BlockId> = HashMap::new();
    let mut merged: Vec<BlockId> = (0..graph.blocks.len() as BlockId).collect();
    for id in reverse_postorder(graph).into_iter().rev() {
        let block = &mut graph.blocks[id as usize];
        for next in [&mut block.jt, &mut block.jf] {
            if *next != NONE {
                *next = merged[*next as usize];
            }
        }
        merged[id as usize] = *known.entry(key(block)).or_insert(id);
    }
}

fn key(block: &Block) -> Key {
    let live = block.stmts.iter().filter(|stmt| stmt.code != NOP);
    let stmts = live.map(|Stmt { code, k, .. }| (*code, *k)).collect();
    (block.code, block.k, block.jt, block.jf, stmts)
}
