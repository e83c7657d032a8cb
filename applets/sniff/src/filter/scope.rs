//! How far an encapsulation primitive reaches.
//!
//! `vlan` moves the offsets of everything that is read after it: in `vlan 5 or tcp` the `tcp` is
//! looked for behind a tag, though the packet that it is asked of may have none. Here the operands
//! of each `or` and `not` are found in the postfix steps, so that the generator can begin every
//! operand with the offsets of the whole, and a warning can tell where that makes a difference.

use super::syntax::Step;

/// What happens to the layout at a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Before the step: go back to the layout before the step of this index.
    pub enter: Option<usize>,
    /// After the step: the same.
    pub leave: Option<usize>,
}

fn moves(step: &Step) -> bool {
    matches!(
        step,
        Step::Vlan(_) | Step::Mpls(_) | Step::Pppoes(_) | Step::Geneve(_) | Step::Vxlan(_)
    )
}

/// The scopes of all steps.
pub fn scopes(steps: &[Step]) -> Vec<Scope> {
    let mut scopes = vec![Scope::default(); steps.len()];
    // Where each pending condition and value begins.
    let mut conds: Vec<usize> = Vec::new();
    let mut values: Vec<usize> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Number(_) | Step::Length => values.push(at),
            Step::Load(..) | Step::Negate => {}
            Step::Compute(_) => {
                values.pop();
            }
            Step::Compare(_) => {
                values.pop();
                conds.push(values.pop().unwrap_or(at));
            }
            Step::Not => scopes[at].leave = conds.last().copied(),
            Step::And => {
                conds.pop();
            }
            Step::Or => {
                let second = conds.pop().unwrap_or(at);
                let first = conds.last().copied().unwrap_or(at);
                if scopes[second].enter.is_none() {
                    scopes[second].enter = Some(first);
                }
                scopes[at].leave = Some(first);
            }
            _ => conds.push(at),
        }
    }
    scopes
}

/// Whether scopes make a difference.
pub fn leaks(steps: &[Step]) -> bool {
    let scopes = scopes(steps);
    let moved_since = |start: usize, end: usize| steps[start..end].iter().any(moves);
    scopes.iter().enumerate().any(|(at, scope)| {
        let entered = scope.enter.is_some_and(|start| moved_since(start, at));
        let more =
            steps[at + 1..].iter().any(|step| !matches!(step, Step::And | Step::Or | Step::Not));
        entered || more && scope.leave.is_some_and(|start| moved_since(start, at))
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    #[test]
    fn what_lies_behind_or_is_told_from_what_stands_beside() {
        let leak = |text: &str| leaks(&parse(text).unwrap());
        assert!(
            leak("vlan 5 or tcp") && leak("(vlan 5 or udp) and tcp") && leak("not vlan and tcp")
        );
        assert!(leak("udp or vlan 5 and tcp"));
        assert!(!leak("vlan 5 and tcp") && !leak("tcp or vlan 5") && !leak("tcp or udp"));
    }
}
