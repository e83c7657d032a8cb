//! Statements of a block: value numbering, constant folding, peephole, dead stores.

use super::Changes;
use super::flow::{A_REG, Flow, REGISTERS, X_REG, read_by, written_by};
use super::value::{Number, State, Values};
use crate::filter::FilterError;
use crate::filter::generate::graph::{Block, BlockId, Graph, NOP, Stmt};
use crate::filter::interpret::compute;
use crate::filter::program::{MEMWORDS, op::*};

/// Numbers the values of a block, whose predecessors are done; where `rewrite`, its statements are
/// made simpler on the way.
pub fn block(
    graph: &mut Graph,
    flow: &Flow,
    values: &mut Values,
    id: BlockId,
    rewrite: bool,
    changes: &mut Changes,
) -> Result<(), FilterError> {
    let entry = entry_state(flow, values, id);
    let mut state = entry;
    let block = &mut graph.blocks[id as usize];
    for stmt in &mut block.stmts {
        statement(stmt, values, &mut state, rewrite, changes)?;
    }
    let after = flow.uses_after[id as usize];
    let leaves_all = after == 0 && state[A_REG] == entry[A_REG] && state[X_REG] == entry[X_REG];
    if rewrite && (leaves_all || class(block.code) == RET) {
        if !block.stmts.is_empty() {
            block.stmts.clear();
            changes.rewritten();
        }
    } else {
        peephole(block, values, &state, after, changes);
        drop_dead_stores(block, after, changes);
    }
    // What has been taken out may have left something else in a register that nobody used until
    // now. Blocks that follow must not rely on what is no longer there.
    let mut state = entry;
    for stmt in &mut block.stmts {
        statement(stmt, values, &mut state, false, changes)?;
    }
    values.operand[id as usize] =
        if source(block.code) == K { values.constant(block.k) } else { state[X_REG] };
    values.at_end[id as usize] = state;
    Ok(())
}

/// What all predecessors agree on.
fn entry_state(flow: &Flow, values: &mut Values, id: BlockId) -> State {
    let edges = &flow.predecessors[id as usize];
    std::array::from_fn(|register| {
        let mut ways = edges.iter().map(|edge| values.end_of(edge.from, register));
        match ways.next() {
            Some(first) if ways.all(|way| way == first) => first,
            _ => values.at_start(id, register),
        }
    })
}

/// Gives a register a value; a statement that gives it the value it has is taken out.
fn set(stmt: &mut Stmt, state: &mut State, register: usize, value: Number, rewrite: bool) {
    if rewrite && state[register] == value {
        stmt.code = NOP;
    } else {
        state[register] = value;
    }
}

fn statement(
    stmt: &mut Stmt,
    values: &mut Values,
    state: &mut State,
    rewrite: bool,
    changes: &mut Changes,
) -> Result<(), FilterError> {
    if stmt.code == NOP {
        return Ok(());
    }
    let word = stmt.k as usize % MEMWORDS;
    match class(stmt.code) {
        LD | LDX => load(stmt, values, state, rewrite, changes),
        ST => set(stmt, state, word, state[A_REG], rewrite),
        STX => set(stmt, state, word, state[X_REG], rewrite),
        ALU if operation(stmt.code) == NEG => negate(stmt, values, state, rewrite),
        ALU if source(stmt.code) == K => {
            compute_constant(stmt, values, state, rewrite, changes)?;
        }
        ALU => compute_x(stmt, values, state, rewrite, changes)?,
        MISC if stmt.code == MISC | TXA => set(stmt, state, A_REG, state[X_REG], rewrite),
        MISC => set(stmt, state, X_REG, state[A_REG], rewrite),
        _ => {}
    }
    Ok(())
}

fn load(
    stmt: &mut Stmt,
    values: &mut Values,
    state: &mut State,
    rewrite: bool,
    changes: &mut Changes,
) {
    let register = if class(stmt.code) == LD { A_REG } else { X_REG };
    let value = match mode(stmt.code) {
        IMM => values.constant(stmt.k),
        LEN => values.number(stmt.code, 0, 0),
        IND => match values.is_constant(state[X_REG]) {
            Some(x) if rewrite => {
                *stmt = Stmt::new(LD | ABS | size(stmt.code), stmt.k.wrapping_add(x));
                changes.rewritten();
                values.number(stmt.code, stmt.k, 0)
            }
            _ => values.number(stmt.code, stmt.k, state[X_REG]),
        },
        MEM => {
            let value = state[stmt.k as usize % MEMWORDS];
            if let Some(constant) = values.is_constant(value)
                && rewrite
            {
                *stmt = Stmt::new(class(stmt.code) | IMM, constant);
                changes.rewritten();
            }
            value
        }
        _ => values.number(stmt.code, stmt.k, 0),
    };
    set(stmt, state, register, value, rewrite);
}

fn negate(stmt: &mut Stmt, values: &mut Values, state: &mut State, rewrite: bool) {
    state[A_REG] = match values.is_constant(state[A_REG]) {
        Some(a) if rewrite => {
            *stmt = Stmt::new(LD | IMM, a.wrapping_neg());
            values.constant(stmt.k)
        }
        _ => values.number(stmt.code, state[A_REG], 0),
    };
}

fn compute_constant(
    stmt: &mut Stmt,
    values: &mut Values,
    state: &mut State,
    rewrite: bool,
    changes: &mut Changes,
) -> Result<(), FilterError> {
    if rewrite && stmt.k == 0 {
        match operation(stmt.code) {
            // Not SUB: later rounds may still move something into it.
            ADD | LSH | RSH | OR | XOR => {
                stmt.code = NOP;
                return Ok(());
            }
            MUL | AND => {
                stmt.code = LD | IMM;
                state[A_REG] = values.constant(0);
                return Ok(());
            }
            _ => {}
        }
    }
    if rewrite && stmt.k == u32::MAX && operation(stmt.code) == AND {
        stmt.code = NOP;
        return Ok(());
    }
    let operand = values.constant(stmt.k);
    if let Some(a) = values.is_constant(state[A_REG])
        && rewrite
    {
        fold(stmt, a, stmt.k, changes)?;
        state[A_REG] = values.constant(stmt.k);
    } else {
        state[A_REG] = values.number(stmt.code, state[A_REG], operand);
    }
    Ok(())
}

fn compute_x(
    stmt: &mut Stmt,
    values: &mut Values,
    state: &mut State,
    rewrite: bool,
    changes: &mut Changes,
) -> Result<(), FilterError> {
    let operation = operation(stmt.code);
    let a = values.is_constant(state[A_REG]);
    if let Some(x) = values.is_constant(state[X_REG])
        && rewrite
    {
        if let Some(a) = a {
            fold(stmt, a, x, changes)?;
            state[A_REG] = values.constant(stmt.k);
        } else {
            if x == 0 && matches!(operation, DIV | MOD) {
                return Err(by_zero(operation));
            }
            *stmt = Stmt::new(ALU | operation | K, x);
            changes.rewritten();
            let operand = values.constant(x);
            state[A_REG] = values.number(stmt.code, state[A_REG], operand);
        }
        return Ok(());
    }
    if rewrite && a == Some(0) {
        match operation {
            ADD | OR | XOR => {
                stmt.code = MISC | TXA;
                set(stmt, state, A_REG, state[X_REG], true);
                return Ok(());
            }
            // A quotient is left: X may be zero, which rejects the packet.
            MUL | AND | LSH | RSH => {
                *stmt = Stmt::new(LD | IMM, 0);
                let zero = values.constant(0);
                set(stmt, state, A_REG, zero, true);
                return Ok(());
            }
            _ => {}
        }
    }
    state[A_REG] = values.number(stmt.code, state[A_REG], state[X_REG]);
    Ok(())
}

fn fold(stmt: &mut Stmt, a: u32, b: u32, changes: &mut Changes) -> Result<(), FilterError> {
    let operation = operation(stmt.code);
    let value = compute(operation, a, b).ok_or_else(|| by_zero(operation))?;
    *stmt = Stmt::new(LD | IMM, value);
    changes.rewritten();
    Ok(())
}

fn by_zero(operation: u16) -> FilterError {
    FilterError::new(if operation == MOD { "modulus by zero" } else { "division by zero" })
}

/// The next statement that is still there, from `at` on.
fn live(stmts: &[Stmt], at: usize) -> Option<usize> {
    (at..stmts.len()).find(|at| stmts[*at].code != NOP)
}

/// Simplifies neighbouring statements, and the comparison with what is in front of it.
fn peephole(block: &mut Block, values: &Values, state: &State, after: u32, changes: &mut Changes) {
    let stmts = &mut block.stmts;
    let mut last = None;
    let mut at = live(stmts, 0);
    while let Some(first) = at {
        last = last.or(Some(first));
        let Some(second) = live(stmts, first + 1) else { break };
        last = Some(second);
        at = Some(second);
        // st M[k]; ldx M[k] -> st M[k]; tax
        if stmts[first].code == ST
            && stmts[second].code == LDX | MEM
            && stmts[first].k == stmts[second].k
        {
            stmts[second].code = MISC | TAX;
            changes.rewritten();
        }
        // ld #k; tax -> ldx #k; txa
        if stmts[first].code == LD | IMM && stmts[second].code == MISC | TAX {
            stmts[first].code = LDX | IMM;
            stmts[second].code = MISC | TXA;
            changes.rewritten();
        }
        if stmts[first].code == LD | IMM && after & 1 << X_REG == 0 {
            fold_index(stmts, first, second, changes);
        }
    }
    if let Some(last) = last {
        fold_comparison(block, last, values, state, after, changes);
    }
    decide(block, values, state, changes);
}

/// `ld #k; ldxb 4*([n]&0xf); add x; tax; ld [x + 0]` -> `ldxb 4*([n]&0xf); ld [x + k]`. The second
/// may be missing. This is every `tcp[k]`.
fn fold_index(stmts: &mut [Stmt], first: usize, second: usize, changes: &mut Changes) {
    let find = |from: usize, wanted: fn(u16) -> bool| {
        live(stmts, from).filter(|at| wanted(stmts[*at].code))
    };
    let add = if stmts[second].code == LDX | MSH | B { second + 1 } else { second };
    let Some(add) = find(add, |code| code == ALU | ADD | X) else { return };
    let Some(tax) = find(add + 1, |code| code == MISC | TAX) else { return };
    let is_indirect = |code| class(code) == LD && mode(code) == IND;
    let Some(load) = find(tax + 1, is_indirect) else { return };
    stmts[load].k = stmts[load].k.wrapping_add(stmts[first].k);
    for dropped in [first, add, tax] {
        stmts[dropped].code = NOP;
    }
    changes.rewritten();
}

/// Moves a subtraction or a mask into an equality test, if A is not needed afterwards.
fn fold_comparison(
    block: &mut Block,
    last: usize,
    values: &Values,
    state: &State,
    after: u32,
    changes: &mut Changes,
) {
    if block.code != JMP | JEQ | K || after & 1 << A_REG != 0 {
        return;
    }
    let stmt = &mut block.stmts[last];
    match stmt.code {
        code if code == ALU | SUB | X => match values.is_constant(state[X_REG]) {
            Some(x) => block.k = block.k.wrapping_add(x),
            None if block.k == 0 => block.code = JMP | JEQ | X,
            None => return,
        },
        code if code == ALU | SUB | K => block.k = block.k.wrapping_add(stmt.k),
        code if code == ALU | AND | K && block.k == 0 => {
            block.k = stmt.k;
            block.code = JMP | JSET | K;
            std::mem::swap(&mut block.jt, &mut block.jf);
        }
        _ => return,
    }
    stmt.code = NOP;
    changes.rewritten();
}

/// Takes the way of a comparison whose outcome is known.
fn decide(block: &mut Block, values: &Values, state: &State, changes: &mut Changes) {
    if class(block.code) != JMP {
        return;
    }
    if source(block.code) == X
        && let Some(x) = values.is_constant(state[X_REG])
    {
        block.code &= !X;
        block.k = x;
    }
    if block.code == JMP | JSET | K && block.k == 0 {
        always(block, false, changes);
    }
    let Some(a) = values.is_constant(state[A_REG]) else { return };
    if source(block.code) == K {
        let holds = match operation(block.code) {
            JEQ => a == block.k,
            JGT => a > block.k,
            JGE => a >= block.k,
            _ => a & block.k != 0,
        };
        always(block, holds, changes);
    }
}

fn always(block: &mut Block, holds: bool, changes: &mut Changes) {
    if block.jt != block.jf {
        changes.rewritten();
    }
    if holds {
        block.jf = block.jt;
    } else {
        block.jt = block.jf;
    }
}

/// Takes out writes of registers that are written again, or not read any more.
fn drop_dead_stores(block: &mut Block, after: u32, changes: &mut Changes) {
    let mut pending: [Option<usize>; REGISTERS] = [None; REGISTERS];
    let used = |pending: &mut [Option<usize>; REGISTERS], registers: u32| {
        for (register, store) in pending.iter_mut().enumerate() {
            if registers & 1 << register != 0 {
                *store = None;
            }
        }
    };
    for at in 0..block.stmts.len() {
        let stmt = block.stmts[at];
        if stmt.code == NOP {
            continue;
        }
        used(&mut pending, read_by(stmt.code, stmt.k));
        let Some(register) = written_by(&stmt) else { continue };
        if let Some(dead) = pending[register].replace(at) {
            drop_stmt(&mut block.stmts[dead], changes);
        }
    }
    used(&mut pending, read_by(block.code, block.k) | after);
    for dead in pending.into_iter().flatten() {
        drop_stmt(&mut block.stmts[dead], changes);
    }
}

fn drop_stmt(stmt: &mut Stmt, changes: &mut Changes) {
    stmt.code = NOP;
    changes.rewritten();
}
