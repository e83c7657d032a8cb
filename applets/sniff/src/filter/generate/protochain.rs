//! `protochain`: follows extension headers in a loop. The kernel takes no backward jump, so that
//! such a program only runs in user space.

use super::graph::{Cond, Stmt};
use super::link_type::ether;
use super::load::Base;
use super::{Generated, Generator, invalid_qualifier, limit};
use crate::filter::FilterError;
use crate::filter::program::op::*;
use crate::filter::syntax::Proto;

/// Numbers of the headers that are gone past, and of "no next header".
const HOP_BY_HOP: u32 = 0;
const ROUTING: u32 = 43;
const FRAGMENT: u32 = 44;
const AUTHENTICATION: u32 = 51;
const NO_NEXT: u32 = 59;
const DESTINATION: u32 = 60;

impl Generator<'_> {
    /// A protocol anywhere in the chain of headers.
    pub(super) fn protochain(&mut self, number: u32, over: Option<Proto>) -> Generated<Cond> {
        let register = self.allocate()?;
        let (ether_type, v6) = match over {
            None => {
                let v4 = self.protochain(number, Some(Proto::Ip))?;
                let v6 = self.protochain(number, Some(Proto::Ip6))?;
                return Ok(self.graph.or(v4, v6));
            }
            Some(Proto::Ip) => (ether::IP, false),
            Some(Proto::Ip6) => (ether::IP6, true),
            Some(other) => return Err(invalid_qualifier(other.word(), "protochain")),
        };
        limit("protocol number", number, 0xff)?;
        if self.layout.payload.variable {
            let text = "'protochain' not supported with variable length headers";
            return Err(FilterError::new(text));
        }
        self.has_local_jumps = true;
        let typed = self.link_type(ether_type)?;
        let stmts = self.chain(number, v6, register)?;
        let found = self.graph.test(stmts, JMP | JEQ | K, number);
        self.free(register);
        Ok(self.graph.and(typed, found))
    }

    /// A is the next protocol, X the length of the headers so far.
    fn chain(&mut self, number: u32, v6: bool, register: u32) -> Generated<Vec<Stmt>> {
        let (again, not_it, ah, is_ah, end) =
            (self.label(), self.label(), self.label(), self.label(), self.label());
        let other = if v6 { self.label() } else { ah };
        let network = self.layout.payload.constant.wrapping_add(self.layout.network);
        let mut stmts = self.load(Base::Network, if v6 { 6 } else { 9 }, B)?;
        if v6 {
            stmts.push(Stmt::new(LDX | IMM, 40));
        } else {
            stmts.extend(self.ipv4_header_end()?);
        }
        stmts.extend([
            Stmt::branch(JEQ, number, end, not_it).labelled(again),
            Stmt::branch(JEQ, NO_NEXT, end, other).labelled(not_it),
        ]);
        let test_ah = Stmt::branch(JEQ, AUTHENTICATION, is_ah, end);
        if v6 {
            self.extension_headers(&mut stmts, network, register, [other, again, ah]);
            stmts.push(test_ah.labelled(ah));
        } else {
            stmts.push(Stmt::new(ALU | ADD | K, 0).labelled(ah));
            stmts.push(test_ah);
        }
        stmts.extend([
            // The length of AH is in words, less two (RFC 4302 section 2.2).
            Stmt::new(LD | IND | B, network).labelled(is_ah),
            Stmt::new(ST, register),
            Stmt::new(MISC | TXA, 0),
            Stmt::new(ALU | ADD | K, 1),
            Stmt::new(MISC | TAX, 0),
            Stmt::new(LD | IND | B, network),
            Stmt::new(ALU | ADD | K, 2),
            Stmt::new(ALU | MUL | K, 4),
            Stmt::new(MISC | TAX, 0),
            Stmt::new(LD | MEM, register),
            Stmt::jump(again),
            Stmt::new(ALU | ADD | K, 0).labelled(end),
        ]);
        Ok(stmts)
    }

    /// IPv6 extension headers: next header, and a length in units of eight bytes, less one.
    fn extension_headers(
        &mut self,
        stmts: &mut Vec<Stmt>,
        network: u32,
        register: u32,
        [first, again, otherwise]: [u32; 3],
    ) {
        let advance = self.label();
        let mut at = first;
        for header in [HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT] {
            let next = if header == FRAGMENT { otherwise } else { self.label() };
            stmts.push(Stmt::branch(JEQ, header, advance, next).labelled(at));
            at = next;
        }
        stmts.extend([
            Stmt::new(LD | IND | B, network).labelled(advance),
            Stmt::new(ST, register),
            Stmt::new(LD | IND | B, network.wrapping_add(1)),
            Stmt::new(ALU | ADD | K, 1),
            Stmt::new(ALU | MUL | K, 8),
            Stmt::new(ALU | ADD | X, 0),
            Stmt::new(MISC | TAX, 0),
            Stmt::new(LD | MEM, register),
            Stmt::jump(again),
        ]);
    }
}
