//! System call filters: a profile (rules by name, with conditions on arguments) compiled to the
//! classic BPF that seccomp(2) takes.
//!
//! The program first tells the architectures apart, then finds the call's number in a balanced
//! tree of ranges, so that the cost of a call grows with the logarithm of the profile. It is
//! emitted from its end to its start: every jump goes forward, so its distance is known when it is
//! written, and one that is too far for the 8 bits of a conditional jump goes through a `ja`.

mod profile;
mod table;

use std::collections::BTreeMap;

use box_sys::credentials::Instruction;

pub use profile::default_profile;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Allow,
    Errno(u16),
    KillThread,
    KillProcess,
    Trap,
    Trace(u16),
    Log,
    Notify,
}

impl Action {
    /// The filter's return value (linux/seccomp.h).
    fn value(self) -> u32 {
        match self {
            Action::KillProcess => 0x8000_0000,
            Action::KillThread => 0,
            Action::Trap => 0x0003_0000,
            Action::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Action::Notify => 0x7fc0_0000,
            Action::Trace(message) => 0x7ff0_0000 | u32::from(message),
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    NotEqual,
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
    /// `argument & value == second`.
    MaskedEqual,
}

/// A condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    pub index: u32,
    pub operator: Operator,
    pub value: u64,
    pub second: u64,
}

/// An action for some calls, when all conditions hold.
#[derive(Clone, Debug)]
pub struct Rule {
    pub names: Vec<String>,
    pub action: Action,
    pub conditions: Vec<Condition>,
}

impl Rule {
    pub fn of<'a>(
        names: impl IntoIterator<Item = &'a str>,
        action: Action,
        conditions: Vec<Condition>,
    ) -> Rule {
        Rule { names: names.into_iter().map(str::to_owned).collect(), action, conditions }
    }
}

/// The calling conventions of an x86_64 kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    X86_64,
    X86,
    X32,
}

impl Architecture {
    pub const ALL: [Architecture; 3] =
        [Architecture::X86_64, Architecture::X86, Architecture::X32];
}

/// A filter's source.
#[derive(Clone, Debug)]
pub struct Profile {
    pub default: Action,
    pub rules: Vec<Rule>,
    pub architectures: Vec<Architecture>,
}

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;
const X32_BIT: u32 = 0x4000_0000;

const LOAD: u16 = 0x20; // ld [k]
const AND: u16 = 0x54; // and #k
const RETURN: u16 = 0x06; // ret #k
const JUMP: u16 = 0x05; // ja +k
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_NOT_LESS: u16 = 0x35;

/// The filter of `profile`.
pub fn compile(profile: &Profile) -> Vec<Instruction> {
    let mut code = Code::default();
    let bad_architecture = code.finish(Action::KillProcess);
    let has = |architecture| profile.architectures.contains(&architecture);
    let mut tree = |code: &mut Code, architecture| {
        if !has(architecture) {
            return bad_architecture;
        }
        let bodies = bodies(code, profile, architecture);
        code.tree(&bodies)
    };
    let x86 = tree(&mut code, Architecture::X86);
    let x86 = code.load(NUMBER, x86);
    let x32 = tree(&mut code, Architecture::X32);
    let x86_64 = tree(&mut code, Architecture::X86_64);
    let wide = code.branch(IF_NOT_LESS, X32_BIT, x32, x86_64);
    let wide = code.load(NUMBER, wide);
    let not_wide = code.branch(IF_EQUAL, AUDIT_ARCH_I386, x86, bad_architecture);
    let start = code.branch(IF_EQUAL, AUDIT_ARCH_X86_64, wide, not_wide);
    code.load(ARCHITECTURE, start);
    code.instructions.reverse();
    code.instructions
}

/// Where a range of numbers goes: (first number, label), in rising order, from 0 on.
type Bodies = Vec<(u32, Label)>;

fn bodies(code: &mut Code, profile: &Profile, architecture: Architecture) -> Bodies {
    let mut by_number: BTreeMap<u32, Vec<&Rule>> = BTreeMap::new();
    for rule in &profile.rules {
        for name in &rule.names {
            if let Some(number) = number(name, architecture) {
                by_number.entry(number).or_default().push(rule);
            }
        }
    }
    let default = code.finish(profile.default);
    let first = if architecture == Architecture::X32 { X32_BIT } else { 0 };
    let mut bodies: Bodies = vec![(first, default)];
    for (number, rules) in by_number {
        let label = rules.iter().rev().fold(default, |next, rule| code.rule(rule, next));
        push_merged(&mut bodies, number, label);
        push_merged(&mut bodies, number + 1, default);
    }
    bodies
}

/// Adds a range, or lengthens the one before it when both go to the same place.
fn push_merged(bodies: &mut Bodies, first: u32, label: Label) {
    if bodies.last().is_some_and(|(last, _)| *last == first) {
        bodies.pop();
    }
    if bodies.last().is_none_or(|(_, before)| *before != label) {
        bodies.push((first, label));
    }
}

fn number(name: &str, architecture: Architecture) -> Option<u32> {
    let row = table::SYSCALLS.binary_search_by_key(&name, |row| row.0).ok()?;
    let (_, x86_64, x86, x32) = *table::SYSCALLS.get(row)?;
    let number = match architecture {
        Architecture::X86_64 => x86_64,
        Architecture::X86 => x86,
        Architecture::X32 => x32,
    };
    let bit = if architecture == Architecture::X32 { X32_BIT } else { 0 };
    (number != table::NONE).then_some(u32::from(number) | bit)
}

/// Whether any architecture has a call of this name.
pub fn is_known(name: &str) -> bool {
    table::SYSCALLS.binary_search_by_key(&name, |row| row.0).is_ok()
}

/// A place in the program, counted from its end.
type Label = usize;

/// The program, last instruction first.
#[derive(Default)]
struct Code {
    instructions: Vec<Instruction>,
    returns: Vec<(u32, Label)>,
}

/// The farthest target of a conditional jump that is not sent through a `ja`: below 255, since the
/// `ja`s themselves come between.
const NEAR: usize = 250;

impl Code {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.instructions.push(Instruction { code, jt, jf, k });
        self.instructions.len() - 1
    }

    /// How many instructions are skipped by a jump from the next one written to `target`.
    fn distance(&self, target: Label) -> usize {
        self.instructions.len() - 1 - target
    }

    /// The return of `action`, written once.
    fn finish(&mut self, action: Action) -> Label {
        let value = action.value();
        if let Some((_, label)) = self.returns.iter().find(|(known, _)| *known == value) {
            return *label;
        }
        let label = self.push(RETURN, 0, 0, value);
        self.returns.push((value, label));
        label
    }

    /// Sends to `target`, if need be through a `ja`, so that what is written next falls into it.
    fn follow(&mut self, target: Label) {
        if self.distance(target) != 0 {
            let distance = self.distance(target) as u32;
            self.push(JUMP, 0, 0, distance);
        }
    }

    fn near(&mut self, target: Label) -> Label {
        if self.distance(target) <= NEAR {
            return target;
        }
        let distance = self.distance(target) as u32;
        self.push(JUMP, 0, 0, distance)
    }

    fn branch(&mut self, test: u16, k: u32, when: Label, otherwise: Label) -> Label {
        let when = self.near(when);
        let otherwise = self.near(otherwise);
        let (jt, jf) = (self.distance(when) as u8, self.distance(otherwise) as u8);
        self.push(test, jt, jf, k)
    }

    /// Loads a word of the call's data, then goes on at `next`.
    fn load(&mut self, offset: u32, next: Label) -> Label {
        self.follow(next);
        self.push(LOAD, 0, 0, offset)
    }

    /// A tree that sends the number in the accumulator to its range.
    fn tree(&mut self, bodies: &[(u32, Label)]) -> Label {
        if let [(_, label)] = bodies {
            return *label;
        }
        let (low, high) = bodies.split_at(bodies.len() / 2);
        let pivot = high[0].0;
        let high = self.tree(high);
        let low = self.tree(low);
        self.branch(IF_NOT_LESS, pivot, high, low)
    }

    /// Goes to the rule's action when all its conditions hold, else to `next`.
    fn rule(&mut self, rule: &Rule, next: Label) -> Label {
        let action = self.finish(rule.action);
        rule.conditions.iter().rev().fold(action, |when, condition| {
            self.condition(condition, when, next)
        })
    }

    fn condition(&mut self, condition: &Condition, when: Label, otherwise: Label) -> Label {
        let Condition { index, operator, value, second } = *condition;
        let low_at = ARGUMENTS + 8 * index;
        let high_at = low_at + 4;
        let (high, low) = ((value >> 32) as u32, value as u32);
        match operator {
            Operator::Equal => {
                let rest = self.branch(IF_EQUAL, low, when, otherwise);
                let rest = self.load(low_at, rest);
                let start = self.branch(IF_EQUAL, high, rest, otherwise);
                self.load(high_at, start)
            }
            Operator::NotEqual => {
                let equal = Condition { operator: Operator::Equal, ..*condition };
                self.condition(&equal, otherwise, when)
            }
            Operator::Greater | Operator::GreaterOrEqual => {
                let test =
                    if operator == Operator::Greater { IF_GREATER } else { IF_NOT_LESS };
                let rest = self.branch(test, low, when, otherwise);
                let rest = self.load(low_at, rest);
                let equal = self.branch(IF_EQUAL, high, rest, otherwise);
                let start = self.branch(IF_GREATER, high, when, equal);
                self.load(high_at, start)
            }
            Operator::Less => {
                let opposite = Condition { operator: Operator::GreaterOrEqual, ..*condition };
                self.condition(&opposite, otherwise, when)
            }
            Operator::LessOrEqual => {
                let opposite = Condition { operator: Operator::Greater, ..*condition };
                self.condition(&opposite, otherwise, when)
            }
            Operator::MaskedEqual => {
                let rest = self.branch(IF_EQUAL, second as u32, when, otherwise);
                let rest = self.mask(low, rest);
                let rest = self.load(low_at, rest);
                let start = self.branch(IF_EQUAL, (second >> 32) as u32, rest, otherwise);
                let start = self.mask(high, start);
                self.load(high_at, start)
            }
        }
    }

    fn mask(&mut self, mask: u32, next: Label) -> Label {
        self.follow(next);
        self.push(AND, 0, 0, mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program returns for a call: an interpreter of the instructions that are emitted.
    fn verdict(program: &[Instruction], architecture: u32, number: u32, arguments: &[u64]) -> u32 {
        let word = |offset: u32| match offset {
            NUMBER => number,
            ARCHITECTURE => architecture,
            _ => {
                let at = (offset - ARGUMENTS) as usize;
                let argument = arguments.get(at / 8).copied().unwrap_or(0);
                (argument >> (8 * (at % 8))) as u32
            }
        };
        let (mut pc, mut a) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[pc];
            pc += 1;
            let jump = |holds: bool| usize::from(if holds { jt } else { jf });
            match code {
                LOAD => a = word(k),
                AND => a &= k,
                RETURN => return k,
                JUMP => pc += k as usize,
                IF_EQUAL => pc += jump(a == k),
                IF_GREATER => pc += jump(a > k),
                IF_NOT_LESS => pc += jump(a >= k),
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    /// The same verdict by going through the rules one by one.
    fn expected(profile: &Profile, architecture: Architecture, number: u32, arguments: &[u64]) -> u32 {
        for rule in &profile.rules {
            let named = rule.names.iter().any(|name| super::number(name, architecture) == Some(number));
            let holds = |condition: &Condition| {
                let argument = arguments.get(condition.index as usize).copied().unwrap_or(0);
                match condition.operator {
                    Operator::Equal => argument == condition.value,
                    Operator::NotEqual => argument != condition.value,
                    Operator::Less => argument < condition.value,
                    Operator::LessOrEqual => argument <= condition.value,
                    Operator::Greater => argument > condition.value,
                    Operator::GreaterOrEqual => argument >= condition.value,
                    Operator::MaskedEqual => argument & condition.value == condition.second,
                }
            };
            if named && rule.conditions.iter().all(holds) {
                return rule.action.value();
            }
        }
        profile.default.value()
    }

    fn agree(profile: &Profile) {
        let program = compile(profile);
        assert!(program.len() < 4096, "{} instructions", program.len());
        let edges = [0, 1, 8, 40, 0x2_0000, 0x1000_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX];
        let kinds = [
            (Architecture::X86_64, AUDIT_ARCH_X86_64, 0),
            (Architecture::X86, AUDIT_ARCH_I386, 0),
            (Architecture::X32, AUDIT_ARCH_X86_64, X32_BIT),
        ];
        for (architecture, audit, bit) in kinds {
            for number in 0..600 {
                for edge in edges {
                    let arguments = [edge, 0, 0];
                    assert_eq!(
                        verdict(&program, audit, number | bit, &arguments),
                        expected(profile, architecture, number | bit, &arguments),
                        "{architecture:?} call {number} argument {edge:#x}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_default_profile_compiles_to_what_its_rules_say() {
        agree(&default_profile(0));
        agree(&default_profile(u64::MAX));
    }

    #[test]
    fn every_operator_compiles_to_what_it_says() {
        let operators = [
            Operator::NotEqual,
            Operator::Less,
            Operator::LessOrEqual,
            Operator::Equal,
            Operator::GreaterOrEqual,
            Operator::Greater,
            Operator::MaskedEqual,
        ];
        for operator in operators {
            for value in [0, 1, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0008, u64::MAX] {
                let condition = Condition { index: 0, operator, value, second: value & 8 };
                let rules = vec![
                    Rule::of(["read", "write"], Action::Errno(7), vec![condition]),
                    Rule::of(["write", "futex"], Action::Log, vec![]),
                ];
                let architectures = Architecture::ALL.to_vec();
                agree(&Profile { default: Action::Allow, rules, architectures });
            }
        }
    }

    #[test]
    fn a_foreign_architecture_is_killed() {
        let program = compile(&default_profile(0));
        assert_eq!(verdict(&program, 0xc000_00b7, 0, &[]), Action::KillProcess.value());
    }

    #[test]
    fn every_name_of_the_default_profile_is_a_call() {
        for rule in default_profile(u64::MAX).rules {
            assert!(rule.names.iter().all(|name| is_known(name)), "{:?}", rule.names);
        }
    }
}
