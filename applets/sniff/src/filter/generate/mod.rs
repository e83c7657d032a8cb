//! Steps to blocks.
//!
//! `Generator` is a stack machine over the postfix steps: conditions are pushed, negated and
//! joined on one stack, values on another. What it keeps beside is the `layout::Layout`, which
//! primitives such as `vlan` change for all that follows, and the 16 scratch registers.
//!
//! One module a family of primitives; each method returns the `Cond` of its primitive.

pub mod graph;
pub mod layout;

mod arithmetic;
mod direction;
mod encapsulation;
mod host;
mod link_type;
mod llc;
mod load;
mod mac;
mod pf;
mod port;
mod prologue;
mod protochain;
mod protocol;
mod signalling;
mod wlan;

use super::program::{MEMWORDS, op};
use super::syntax::{ByteOp, Step};
use super::{CompileOptions, FilterError, scope};
use arithmetic::Value;
use box_wire::link::LinkType;
use graph::{Cond, Graph, Stmt};
use layout::Layout;
use load::Base;

type Generated<T> = Result<T, FilterError>;

/// A generated program, before optimization.
#[derive(Debug)]
pub struct Code {
    /// The blocks.
    pub graph: Graph,
    /// Some block has jumps inside it, which the optimizer does not understand.
    pub has_local_jumps: bool,
}

/// Generates the blocks of an expression.
///
/// # Errors
/// A step does not fit the link type, or a value or name is not valid.
pub fn generate(
    steps: &[Step],
    link_type: LinkType,
    options: &CompileOptions<'_>,
) -> Generated<Code> {
    let mut generator = Generator {
        options,
        layout: Layout::new(link_type)?,
        graph: Graph::default(),
        conds: Vec::new(),
        values: Vec::new(),
        registers: [false; MEMWORDS],
        next_register: 0,
        labels: 0,
        has_local_jumps: false,
        moved_by_tag: Vec::new(),
    };
    if options.scoped {
        generator.scoped(steps)?;
    } else {
        for step in steps {
            generator.step(step)?;
        }
    }
    generator.finish(!steps.is_empty())
}

struct Generator<'a> {
    options: &'a CompileOptions<'a>,
    layout: Layout,
    graph: Graph,
    conds: Vec<Cond>,
    values: Vec<Value>,
    registers: [bool; MEMWORDS],
    next_register: usize,
    labels: u32,
    has_local_jumps: bool,
    /// Registers that a tag which the kernel may keep aside moves, to be cleared at the start.
    moved_by_tag: Vec<u32>,
}

impl Generator<'_> {
    /// Generates with encapsulations scoped to their operand.
    fn scoped(&mut self, steps: &[Step]) -> Generated<()> {
        // Variable headers get their registers now, so that every scope knows them.
        if self.layout.header.variable {
            self.layout.header.register = Some(self.allocate()?);
        }
        if self.layout.payload.variable {
            self.layout.payload.register = Some(self.allocate()?);
        }
        let scopes = scope::scopes(steps);
        let mut before = Vec::with_capacity(steps.len());
        for (step, scope) in steps.iter().zip(scopes) {
            if let Some(layout) = scope.enter.and_then(|at| before.get(at)) {
                self.layout = *layout;
            }
            before.push(self.layout);
            self.step(step)?;
            if let Some(layout) = scope.leave.and_then(|at| before.get(at)) {
                self.layout = *layout;
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Generated<()> {
        let cond = match step {
            Step::Number(number) => return self.push_number(*number),
            Step::Length => return self.push_length(),
            Step::Load(proto, size) => return self.index(*proto, *size),
            Step::Compute(operation) => return self.compute(*operation),
            Step::Negate => return self.negate(),
            Step::Compare(relation) => self.compare(*relation)?,
            Step::Not => self.pop()?.negated(),
            Step::And => {
                let (second, first) = (self.pop()?, self.pop()?);
                self.graph.and(first, second)
            }
            Step::Or => {
                let (second, first) = (self.pop()?, self.pop()?);
                self.graph.or(first, second)
            }
            Step::Id(id, qualifiers) => self.identifier(id, *qualifiers)?,
            Step::Abbreviation(proto) => self.abbreviation(*proto)?,
            Step::Broadcast(proto) => self.broadcast(*proto)?,
            Step::Multicast(proto) => self.multicast(*proto)?,
            Step::Less(length) => self.length(op::JGT, *length).negated(),
            Step::Greater(length) => self.length(op::JGE, *length),
            Step::Byte(offset, operator, value) => self.byte(*offset, *operator, *value)?,
            Step::Direction { outbound } => self.direction(*outbound)?,
            Step::IfIndex(index) => self.interface_index(*index)?,
            Step::Vlan(tag) => self.vlan(*tag)?,
            Step::Mpls(label) => self.mpls(*label)?,
            Step::Pppoed => self.link_type(link_type::ether::PPPOED)?,
            Step::Pppoes(session) => self.pppoes(*session)?,
            Step::Geneve(network) => self.geneve(*network)?,
            Step::Vxlan(network) => self.vxlan(*network)?,
            Step::Pf(field) => self.pf(field)?,
            Step::WlanType(value, mask) => self.wlan_type(*value, *mask)?,
            Step::WlanDir(value) => self.wlan_direction(*value)?,
            Step::Llc(llc) => self.llc(*llc)?,
            Step::AtmType(atm) => self.atm_type(*atm)?,
            Step::AtmField(field, relation, value) => self.atm_field(*field, *relation, *value)?,
            Step::Ss7Type(ss7) => self.ss7_type(*ss7)?,
            Step::Ss7Field(field, relation, value) => self.ss7_field(*field, *relation, *value)?,
        };
        self.conds.push(cond);
        Ok(())
    }

    fn pop(&mut self) -> Generated<Cond> {
        self.conds.pop().ok_or_else(FilterError::syntax)
    }

    fn finish(mut self, has_cond: bool) -> Generated<Code> {
        let cond = if has_cond {
            let cond = self.pop()?;
            let prologue = self.prologue(cond.head)?;
            self.graph.prepend(cond.head, prologue);
            Some(self.check_wrapped_type(cond)?)
        } else {
            None
        };
        self.graph.finish(cond, self.options.snaplen);
        Ok(Code { graph: self.graph, has_local_jumps: self.has_local_jumps })
    }

    /// Takes the next free scratch register, going round.
    fn allocate(&mut self) -> Generated<u32> {
        for _ in 0..MEMWORDS {
            if !self.registers[self.next_register] {
                self.registers[self.next_register] = true;
                return Ok(self.next_register as u32);
            }
            self.next_register = (self.next_register + 1) % MEMWORDS;
        }
        Err(FilterError::new("too many registers needed to evaluate expression"))
    }

    fn free(&mut self, register: u32) {
        self.registers[register as usize % MEMWORDS] = false;
    }

    /// A new label for a statement.
    fn label(&mut self) -> u32 {
        self.labels += 1;
        self.labels
    }

    fn length(&mut self, jump: u16, length: u32) -> Cond {
        self.graph.test(vec![Stmt::new(op::LD | op::LEN, 0)], op::JMP | jump | op::K, length)
    }

    /// `byte OFFSET op VALUE`, from the link-layer header.
    fn byte(&mut self, offset: u32, operator: ByteOp, value: u32) -> Generated<Cond> {
        limit("byte argument", value, 0xff)?;
        let field = (Base::Link, offset, op::B);
        let operation = match operator {
            ByteOp::Equal => return self.equal(Base::Link, offset, op::B, value),
            ByteOp::Less => {
                return self.compare_masked(field, u32::MAX, (op::JGE, true), value);
            }
            ByteOp::Greater => {
                return self.compare_masked(field, u32::MAX, (op::JGT, false), value);
            }
            ByteOp::And => op::AND,
            ByteOp::Or => op::OR,
        };
        let mut stmts = self.load(Base::Link, offset, op::B)?;
        stmts.push(Stmt::new(op::ALU | operation | op::K, value));
        Ok(self.graph.test(stmts, op::JMP | op::JEQ | op::K, 0).negated())
    }

    /// "'WORD' not supported on" the present link type.
    fn unsupported(&self, word: &str) -> FilterError {
        FilterError::new(format!("'{word}' not supported on {}", describe(self.layout.link_type)))
    }
}

/// How messages name a link type.
fn describe(link_type: u16) -> String {
    let link_type = LinkType(link_type);
    match (link_type.name(), link_type.description()) {
        (Some(name), Some(description)) => format!("DLT_{name} ({description})"),
        (Some(name), None) => format!("DLT_{name}"),
        _ => format!("DLT {}", link_type.0),
    }
}

/// Refuses a value that is too large for its field.
fn limit(what: &str, value: u32, maximum: u32) -> Generated<()> {
    if value > maximum {
        let text = format!("{what} {value} greater than maximum {maximum}");
        return Err(FilterError::new(text));
    }
    Ok(())
}

/// "'WORD' is not a valid qualifier for 'WHAT'".
fn invalid_qualifier(word: &str, what: &str) -> FilterError {
    FilterError::new(format!("'{word}' is not a valid qualifier for '{what}'"))
}
