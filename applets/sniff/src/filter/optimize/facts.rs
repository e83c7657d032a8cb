//! Which constants a value can be, where ways meet.
//!
//! Dominating edges say nothing of a value that was found to be 6, 17 or 132 on three ways that
//! have met since; and `not (port 22 or port 443)` asks for the three again. A set of constants
//! per value is carried along the edges instead, and an edge is moved past a whole chain of tests
//! if each constant of the set leads through the chain to the same block.

use super::Changes;
use super::branch::{conflict, redirect, target};
use super::flow::{A_REG, Edge, Flow};
use super::value::{Number, Values};
use crate::filter::generate::graph::{BlockId, Graph, NONE};
use crate::filter::program::op::*;

/// Constants of a value, and values with a set, that are kept.
const MAX_CONSTANTS: usize = 12;
const MAX_VALUES: usize = 8;

/// What is known on a way: values and all constants that each can be. `None`: nobody comes here.
type Known = Option<Vec<(Number, Vec<u32>)>>;

/// Moves edges past tests that the sets decide.
pub fn thread(graph: &mut Graph, flow: &Flow, values: &Values, changes: &mut Changes) {
    let known = at_entries(graph, flow, values);
    for id in flow.levels.iter().skip(1).flatten().copied() {
        for yes in [true, false] {
            let edge = Edge { from: id, yes };
            let Some(sets) = along(graph, values, &known[id as usize], edge) else { continue };
            while let Some(to) = destination(graph, flow, values, &sets, edge) {
                redirect(graph, edge, to);
                changes.rewritten();
            }
        }
    }
}

fn at_entries(graph: &Graph, flow: &Flow, values: &Values) -> Vec<Known> {
    let mut known: Vec<Known> = vec![None; graph.blocks.len()];
    known[graph.root as usize] = Some(Vec::new());
    for id in flow.levels.iter().rev().flatten().copied() {
        let edges = &flow.predecessors[id as usize];
        let ways = edges.iter().map(|edge| along(graph, values, &known[edge.from as usize], *edge));
        if let Some(met) = ways.flatten().reduce(meet) {
            known[id as usize] = Some(met);
        }
    }
    known
}

/// What two ways agree on.
fn meet(mut a: Vec<(Number, Vec<u32>)>, b: Vec<(Number, Vec<u32>)>) -> Vec<(Number, Vec<u32>)> {
    a.retain_mut(|(value, constants)| {
        let Some((_, others)) = b.iter().find(|(other, _)| other == value) else { return false };
        constants.extend(others);
        constants.sort_unstable();
        constants.dedup();
        constants.len() <= MAX_CONSTANTS
    });
    a
}

/// The value that a block compares with a constant.
fn tested(graph: &Graph, values: &Values, id: BlockId) -> Option<Number> {
    let block = &graph.blocks[id as usize];
    let constant = class(block.code) == JMP && source(block.code) == K;
    constant.then(|| values.end_of(id, A_REG))
}

/// Whether the test of a block holds for a constant.
fn holds(graph: &Graph, id: BlockId, constant: u32) -> bool {
    let block = &graph.blocks[id as usize];
    match operation(block.code) {
        JEQ => constant == block.k,
        JGT => constant > block.k,
        JGE => constant >= block.k,
        _ => constant & block.k != 0,
    }
}

/// What is known on an edge, from what is known where its block begins.
fn along(graph: &Graph, values: &Values, known: &Known, edge: Edge) -> Known {
    let mut sets = known.clone()?;
    let Some(value) = tested(graph, values, edge.from) else { return Some(sets) };
    if let Some((_, constants)) = sets.iter_mut().find(|(known, _)| *known == value) {
        constants.retain(|constant| holds(graph, edge.from, *constant) == edge.yes);
        if constants.is_empty() {
            return None;
        }
    } else if edge.yes && operation(graph.blocks[edge.from as usize].code) == JEQ {
        if sets.len() == MAX_VALUES {
            sets.remove(0);
        }
        sets.push((value, vec![graph.blocks[edge.from as usize].k]));
    }
    Some(sets)
}

/// Where an edge may go instead of to the test that it leads to.
fn destination(
    graph: &Graph,
    flow: &Flow,
    values: &Values,
    sets: &[(Number, Vec<u32>)],
    edge: Edge,
) -> Option<BlockId> {
    let first = target(graph, edge);
    let value = tested(graph, values, first)?;
    let (_, constants) = sets.iter().find(|(known, _)| *known == value)?;
    let mut end = NONE;
    for constant in constants {
        let mut at = first;
        let mut past = Vec::new();
        while tested(graph, values, at) == Some(value) {
            past.push(at);
            at = target(graph, Edge { from: at, yes: holds(graph, at, *constant) });
        }
        if end != NONE && end != at {
            return None;
        }
        end = at;
        if past.iter().any(|via| conflict(flow, values, edge.from, *via, at)) {
            return None;
        }
    }
    (end != NONE && end != first).then_some(end)
}
