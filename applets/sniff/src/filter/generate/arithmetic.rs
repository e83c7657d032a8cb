//! Values: numbers, packet bytes, operators, and their comparison.
//!
//! A value lives in a scratch register and carries the code that computes it. A value read from a
//! protocol's header also carries the condition that the packet is of that protocol; the
//! comparison it ends in is made only where that holds. An operator keeps the condition of its
//! left operand alone, as the incumbent does.

use super::graph::{Cond, Stmt};
use super::layout::link;
use super::link_type::ether;
use super::load::Base;
use super::port::{SCTP, TCP, UDP};
use super::{Generated, Generator};
use crate::filter::FilterError;
use crate::filter::program::op::*;
use crate::filter::syntax::{Proto, Relation};

/// A value under construction.
#[derive(Debug)]
pub(super) struct Value {
    stmts: Vec<Stmt>,
    register: u32,
    guard: Option<Cond>,
}

impl Generator<'_> {
    pub(super) fn push_number(&mut self, number: u32) -> Generated<()> {
        self.push_loaded(Stmt::new(LD | IMM, number))
    }

    pub(super) fn push_length(&mut self) -> Generated<()> {
        self.push_loaded(Stmt::new(LD | LEN, 0))
    }

    fn push_loaded(&mut self, load: Stmt) -> Generated<()> {
        let register = self.allocate()?;
        let stmts = vec![load, Stmt::new(ST, register)];
        self.values.push(Value { stmts, register, guard: None });
        Ok(())
    }

    fn pop_value(&mut self) -> Generated<Value> {
        self.values.pop().ok_or_else(FilterError::syntax)
    }

    pub(super) fn negate(&mut self) -> Generated<()> {
        let mut value = self.pop_value()?;
        value.stmts.extend([
            Stmt::new(LD | MEM, value.register),
            Stmt::new(ALU | NEG, 0),
            Stmt::new(ST, value.register),
        ]);
        self.values.push(value);
        Ok(())
    }

    pub(super) fn compute(&mut self, operation: u16) -> Generated<()> {
        let (mut right, mut left) = (self.pop_value()?, self.pop_value()?);
        if let Some(Stmt { code, k, .. }) = right.stmts.first()
            && *code == LD | IMM
        {
            let complaint = match operation {
                DIV if *k == 0 => "division by zero",
                MOD if *k == 0 => "modulus by zero",
                LSH | RSH if *k > 31 => "shift by more than 31 bits",
                _ => "",
            };
            if !complaint.is_empty() {
                return Err(FilterError::new(complaint));
            }
        }
        left.stmts.append(&mut right.stmts);
        left.stmts.extend([
            Stmt::new(LDX | MEM, right.register),
            Stmt::new(LD | MEM, left.register),
            Stmt::new(ALU | operation | X, 0),
        ]);
        self.free(left.register);
        self.free(right.register);
        left.register = self.allocate()?;
        left.stmts.push(Stmt::new(ST, left.register));
        self.values.push(left);
        Ok(())
    }

    pub(super) fn compare(&mut self, relation: Relation) -> Generated<Cond> {
        let (mut right, mut left) = (self.pop_value()?, self.pop_value()?);
        left.stmts.append(&mut right.stmts);
        left.stmts
            .extend([Stmt::new(LDX | MEM, right.register), Stmt::new(LD | MEM, left.register)]);
        let mut cond = self.graph.test(left.stmts, JMP | relation.jump | X, 0);
        if relation.negated {
            cond = cond.negated();
        }
        self.free(left.register);
        self.free(right.register);
        let guard = match (left.guard, right.guard) {
            (Some(left), Some(right)) => Some(self.graph.and(left, right)),
            (left, right) => left.or(right),
        };
        Ok(match guard {
            Some(guard) => self.graph.and(guard, cond),
            None => cond,
        })
    }

    /// `PROTO [ value : size ]`
    pub(super) fn index(&mut self, proto: Proto, size: u32) -> Generated<()> {
        let mut value = self.pop_value()?;
        let register = self.allocate()?;
        self.free(value.register);
        let size = match size {
            1 => B,
            2 => H,
            4 => W,
            _ => return Err(FilterError::new("data size must be 1, 2, or 4")),
        };
        let index = value.register;
        match proto {
            Proto::Radio => {
                self.require_radio()?;
                value.stmts.push(Stmt::new(LDX | MEM, index));
                value.stmts.push(Stmt::new(LD | IND | size, 0));
            }
            Proto::Link => {
                let base = self.variable_part(|layout| &mut layout.header)?;
                indexed(&mut value.stmts, base, index);
                let k = self.layout.header.constant;
                value.stmts.push(Stmt::new(LD | IND | size, k));
            }
            Proto::Ip
            | Proto::Ip6
            | Proto::Arp
            | Proto::Rarp
            | Proto::Atalk
            | Proto::Decnet
            | Proto::Sca
            | Proto::Lat
            | Proto::Moprc
            | Proto::Mopdl => {
                let base = self.variable_part(|layout| &mut layout.payload)?;
                indexed(&mut value.stmts, base, index);
                let k = self.network_constant();
                value.stmts.push(Stmt::new(LD | IND | size, k));
                let typed = self.abbreviation(proto)?;
                self.guard(&mut value, typed);
            }
            Proto::Sctp
            | Proto::Tcp
            | Proto::Udp
            | Proto::Icmp
            | Proto::Igmp
            | Proto::Igrp
            | Proto::Pim
            | Proto::Vrrp
            | Proto::Carp => {
                let base = self.ipv4_header_end()?;
                indexed(&mut value.stmts, base, index);
                let k = self.network_constant();
                value.stmts.push(Stmt::new(LD | IND | size, k));
                let protocol = self.equal(Base::Network, 9, B, ip_protocol(proto))?;
                let first = self.first_fragment()?;
                let transported = self.graph.and(protocol, first);
                self.guard(&mut value, transported);
                // Only IPv4 has the header length that was used.
                let over_v4 = self.link_type(ether::IP)?;
                if let Some(guard) = value.guard.take() {
                    value.guard = Some(self.graph.and(over_v4, guard));
                }
            }
            Proto::Icmp6 => {
                let typed = self.link_type(ether::IP6)?;
                self.guard(&mut value, typed);
                let next = self.equal(Base::Network, 6, B, 58)?;
                self.guard(&mut value, next);
                let base = self.variable_part(|layout| &mut layout.payload)?;
                indexed(&mut value.stmts, base, index);
                let k = self.network_constant().wrapping_add(40);
                value.stmts.push(Stmt::new(LD | IND | size, k));
            }
            _ => {
                let text = format!("'{}' does not support the index operation", proto.word());
                return Err(FilterError::new(text));
            }
        }
        value.register = register;
        value.stmts.push(Stmt::new(ST, register));
        self.values.push(value);
        Ok(())
    }

    fn require_radio(&self) -> Generated<()> {
        match self.layout.link_type {
            link::IEEE802_11_RADIO_AVS | link::IEEE802_11_RADIO | link::PRISM_HEADER => Ok(()),
            _ => Err(FilterError::new("radio information not present in capture")),
        }
    }

    fn network_constant(&self) -> u32 {
        self.layout.payload.constant.wrapping_add(self.layout.network)
    }

    /// Adds a condition to those of a value.
    fn guard(&mut self, value: &mut Value, cond: Cond) {
        value.guard = Some(match value.guard.take() {
            Some(guard) => self.graph.and(guard, cond),
            None => cond,
        });
    }
}

/// The number of a protocol that is indexed behind an IPv4 header.
fn ip_protocol(proto: Proto) -> u32 {
    match proto {
        Proto::Icmp => 1,
        Proto::Igmp => 2,
        Proto::Tcp => TCP,
        Proto::Igrp => 9,
        Proto::Udp => UDP,
        Proto::Pim => 103,
        Proto::Sctp => SCTP,
        _ => 112,
    }
}

/// Puts the sum of an index and what `base` leaves in X into X.
fn indexed(stmts: &mut Vec<Stmt>, base: Vec<Stmt>, index: u32) {
    if base.is_empty() {
        stmts.push(Stmt::new(LDX | MEM, index));
        return;
    }
    stmts.extend(base);
    stmts.extend([
        Stmt::new(LD | MEM, index),
        Stmt::new(ALU | ADD | X, 0),
        Stmt::new(MISC | TAX, 0),
    ]);
}
