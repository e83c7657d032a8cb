//! Branches: past tests whose outcome is known on the way there, and equal tests together.

use super::Changes;
use super::flow::{A_REG, Edge, Flow, REGISTERS};
use super::value::Values;
use crate::filter::generate::graph::{BlockId, Graph, NONE};
use crate::filter::program::op::*;

/// Moves the targets of edges on, as far as the edges before them decide.
pub fn thread(graph: &mut Graph, flow: &Flow, values: &Values, changes: &mut Changes) {
    for id in flow.levels.iter().skip(1).flatten().copied() {
        for yes in [true, false] {
            thread_edge(graph, flow, values, Edge { from: id, yes }, changes);
        }
    }
}

/// Where an edge leads to.
pub fn target(graph: &Graph, edge: Edge) -> BlockId {
    let block = &graph.blocks[edge.from as usize];
    if edge.yes { block.jt } else { block.jf }
}

/// Makes an edge lead elsewhere.
pub fn redirect(graph: &mut Graph, edge: Edge, to: BlockId) {
    let block = &mut graph.blocks[edge.from as usize];
    *(if edge.yes { &mut block.jt } else { &mut block.jf }) = to;
}

fn thread_edge(graph: &mut Graph, flow: &Flow, values: &Values, edge: Edge, changes: &mut Changes) {
    let next = &graph.blocks[target(graph, edge) as usize];
    if next.jt == NONE {
        return;
    }
    let (via, to) = (target(graph, edge), next.jt);
    if to == next.jf && !conflict(flow, values, edge.from, via, to) {
        redirect(graph, edge, to);
        changes.rewritten();
    }
    while let Some(to) = decided(graph, flow, values, edge) {
        redirect(graph, edge, to);
        changes.moved();
        if graph.blocks[to as usize].jt == NONE {
            return;
        }
    }
}

/// Where an edge may go instead, because an edge on every way to it decides the test it leads to.
fn decided(graph: &Graph, flow: &Flow, values: &Values, edge: Edge) -> Option<BlockId> {
    let next = target(graph, edge);
    for (at, word) in flow.edge_dominators.row(flow.edge(edge)).iter().enumerate() {
        let mut word = *word;
        while word != 0 {
            let number = at * 32 + word.trailing_zeros() as usize;
            word &= word - 1;
            if number >= 2 * graph.blocks.len() {
                break;
            }
            if let Some(to) = outcome(graph, values, next, flow.numbered(number))
                && !conflict(flow, values, edge.from, next, to)
            {
                return Some(to);
            }
        }
    }
    None
}

/// Where the test of `child` leads after `edge` was taken, if that tells.
fn outcome(graph: &Graph, values: &Values, child: BlockId, edge: Edge) -> Option<BlockId> {
    let test = &graph.blocks[child as usize];
    let before = &graph.blocks[edge.from as usize];
    if class(test.code) != JMP
        || test.code != before.code
        || values.end_of(child, A_REG) != values.end_of(edge.from, A_REG)
    {
        return None;
    }
    if values.operand[child as usize] == values.operand[edge.from as usize] {
        return Some(if edge.yes { test.jt } else { test.jf });
    }
    // A is known to be another constant.
    (edge.yes && test.code == JMP | JEQ | K).then_some(test.jf)
}

/// Whether going from a block past `via` to `to` would leave a register out that `to`, or what
/// comes after it, reads. A register that `from` has right already must not become one that is
/// read past `from` only now: ways to `from` may have been shortened on the grounds that it is not.
pub fn conflict(flow: &Flow, values: &Values, from: BlockId, via: BlockId, to: BlockId) -> bool {
    let left_out = flow.uses_before[to as usize] & flow.writes[via as usize];
    let kept = flow.writes[from as usize] | flow.uses_before[from as usize];
    (0..REGISTERS).filter(|register| left_out & 1 << register != 0).any(|register| {
        kept & 1 << register == 0 || values.end_of(from, register) != values.end_of(via, register)
    })
}

/// The branch that a chain of alternatives goes on with when a test fails (`or`), and the one that
/// all its tests share; for `and` the other way round.
#[derive(Clone, Copy)]
struct Chain {
    goes_on: bool,
}

impl Chain {
    fn next(self, graph: &Graph, id: BlockId) -> BlockId {
        target(graph, Edge { from: id, yes: self.goes_on })
    }

    fn shared(self, graph: &Graph, id: BlockId) -> BlockId {
        target(graph, Edge { from: id, yes: !self.goes_on })
    }
}

/// In chains of tests that share an exit, pulls a test of a value that has just been loaded up to
/// the others of that value: `port 80 or host x or port 443`.
pub fn pull_up(graph: &mut Graph, flow: &mut Flow, values: &Values, changes: &mut Changes) {
    let blocks: Vec<BlockId> = flow.levels.iter().skip(1).flatten().copied().collect();
    for id in blocks {
        for goes_on in [false, true] {
            if pull_up_from(graph, flow, values, id, Chain { goes_on }).is_some() {
                changes.moved();
                flow.find_dominators(graph);
            }
        }
    }
}

fn pull_up_from(
    graph: &mut Graph,
    flow: &Flow,
    values: &Values,
    id: BlockId,
    chain: Chain,
) -> Option<()> {
    let edges = &flow.predecessors[id as usize];
    let first = *edges.first()?;
    let value = values.end_of(first.from, A_REG);
    if edges.iter().any(|edge| values.end_of(edge.from, A_REG) != value) {
        return None;
    }
    let exit = chain.shared(graph, id);
    let in_chain = |graph: &Graph, at: BlockId| {
        at != NONE
            && chain.shared(graph, at) == exit
            && flow.dominators.contains(at as usize, id as usize)
    };

    // Down to the first test of another value.
    let entry = if graph.blocks[first.from as usize].jt == id {
        Edge { from: first.from, yes: true }
    } else {
        Edge { from: first.from, yes: false }
    };
    let mut differs = entry;
    let mut at_top = true;
    loop {
        let at = target(graph, differs);
        if !in_chain(graph, at) {
            return None;
        }
        if values.end_of(at, A_REG) != value {
            break;
        }
        differs = Edge { from: at, yes: chain.goes_on };
        at_top = false;
    }

    // And on to the next test of the value.
    let other = target(graph, differs);
    let mut same = Edge { from: other, yes: chain.goes_on };
    loop {
        let at = target(graph, same);
        if !in_chain(graph, at) {
            return None;
        }
        if values.end_of(at, A_REG) == value {
            break;
        }
        same = Edge { from: at, yes: chain.goes_on };
    }

    let pulled = target(graph, same);
    if !may_swap(graph, flow, chain, other, pulled) {
        return None;
    }
    let behind = chain.next(graph, pulled);
    redirect(graph, same, behind);
    redirect(graph, Edge { from: pulled, yes: chain.goes_on }, other);
    if at_top {
        for edge in edges {
            let yes = graph.blocks[edge.from as usize].jt == id;
            redirect(graph, Edge { from: edge.from, yes }, pulled);
        }
    } else {
        redirect(graph, differs, pulled);
    }
    Some(())
}

/// Whether a block may run before those of a chain that lead to it.
fn may_swap(graph: &Graph, flow: &Flow, chain: Chain, first: BlockId, pulled: BlockId) -> bool {
    let (mut reads, mut writes) = (0, 0);
    let mut at = first;
    while at != pulled {
        reads |= flow.reads[at as usize];
        writes |= flow.writes[at as usize];
        at = chain.next(graph, at);
    }
    let at = pulled as usize;
    let exit = chain.shared(graph, pulled) as usize;
    let used = flow.uses_after[at] | flow.uses_before[exit];
    flow.reads[at] & writes == 0
        && flow.writes[at] & reads == 0
        && (flow.writes[at] | writes) & used == 0
}
