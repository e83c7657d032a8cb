//! Loads and comparisons of fields relative to a header.

use super::graph::{Cond, Stmt};
use super::layout::Offset;
use super::{Generated, Generator};
use crate::filter::FilterError;
use crate::filter::program::op::*;

/// What an offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The start of the packet.
    Packet,
    /// The link-layer header.
    Link,
    /// The link-layer header around the present one.
    PreviousLink,
    /// The link-layer payload, where an LLC header is.
    Llc,
    /// The MPLS label gone past last.
    PreviousLabel,
    /// The link-layer type field.
    LinkType,
    /// The network-layer header.
    Network,
    /// The network-layer header where there is no SNAP header.
    NetworkNoSnap,
    /// The transport-layer header behind IPv4.
    Transport4,
    /// The transport-layer header behind IPv6 without extension headers.
    Transport6,
}

impl Generator<'_> {
    /// Code that puts the variable part of an offset into X, if it has one; a register is given to
    /// it if it has none yet.
    pub(super) fn variable_part(
        &mut self,
        select: fn(&mut super::layout::Layout) -> &mut Offset,
    ) -> Generated<Vec<Stmt>> {
        let offset = *select(&mut self.layout);
        if !offset.variable {
            return Ok(Vec::new());
        }
        let register = match offset.register {
            Some(register) => register,
            None => self.allocate()?,
        };
        select(&mut self.layout).register = Some(register);
        Ok(vec![Stmt::new(LDX | MEM, register)])
    }

    /// Loads `size` bytes at `offset` from a header whose place is an [`Offset`].
    fn load_from(
        &mut self,
        select: fn(&mut super::layout::Layout) -> &mut Offset,
        offset: u32,
        size: u16,
    ) -> Generated<Vec<Stmt>> {
        let mut stmts = self.variable_part(select)?;
        let mode = if stmts.is_empty() { ABS } else { IND };
        let k = select(&mut self.layout).constant.wrapping_add(offset);
        stmts.push(Stmt::new(LD | mode | size, k));
        Ok(stmts)
    }

    /// Loads a word, half-word or byte at `offset` from `base` into A.
    pub(super) fn load(&mut self, base: Base, offset: u32, size: u16) -> Generated<Vec<Stmt>> {
        let network = self.layout.network;
        let from_payload = match base {
            Base::Packet => return Ok(vec![Stmt::new(LD | ABS | size, offset)]),
            Base::Link => return self.load_from(|l| &mut l.header, offset, size),
            Base::PreviousLink => return self.load_from(|l| &mut l.previous_header, offset, size),
            Base::LinkType => return self.load_from(|l| &mut l.type_field, offset, size),
            Base::Transport4 => {
                let mut stmts = self.ipv4_header_end()?;
                let k = self.layout.payload.constant.wrapping_add(network).wrapping_add(offset);
                stmts.push(Stmt::new(LD | IND | size, k));
                return Ok(stmts);
            }
            Base::Llc => 0,
            Base::PreviousLabel => network.wrapping_sub(4),
            Base::Network => network,
            Base::NetworkNoSnap => self.layout.network_no_snap,
            Base::Transport6 => network.wrapping_add(40),
        };
        self.load_from(|l| &mut l.payload, from_payload.wrapping_add(offset), size)
    }

    /// Puts the length of the IPv4 header into X, and the variable part of the payload's offset
    /// with it.
    pub(super) fn ipv4_header_end(&mut self) -> Generated<Vec<Stmt>> {
        let mut stmts = self.variable_part(|l| &mut l.payload)?;
        let k = self.layout.payload.constant.wrapping_add(self.layout.network);
        if stmts.is_empty() {
            return Ok(vec![Stmt::new(LDX | MSH | B, k)]);
        }
        // The machine multiplies the nibble by four only at constant offsets.
        stmts.extend([
            Stmt::new(LD | IND | B, k),
            Stmt::new(ALU | AND | K, 0xf),
            Stmt::new(ALU | LSH | K, 2),
            Stmt::new(ALU | ADD | X, 0),
            Stmt::new(MISC | TAX, 0),
        ]);
        Ok(stmts)
    }

    /// `field & mask JUMP value`, or its opposite.
    pub(super) fn compare_masked(
        &mut self,
        (base, offset, size): (Base, u32, u16),
        mask: u32,
        (jump, negated): (u16, bool),
        value: u32,
    ) -> Generated<Cond> {
        let mut stmts = self.load(base, offset, size)?;
        if mask != u32::MAX {
            stmts.push(Stmt::new(ALU | AND | K, mask));
        }
        let cond = self.graph.test(stmts, JMP | jump | K, value);
        Ok(if negated { cond.negated() } else { cond })
    }

    /// `field == value`
    pub(super) fn equal(
        &mut self,
        base: Base,
        offset: u32,
        size: u16,
        value: u32,
    ) -> Generated<Cond> {
        self.compare_masked((base, offset, size), u32::MAX, (JEQ, false), value)
    }

    /// `field <= value`
    pub(super) fn at_most(
        &mut self,
        base: Base,
        offset: u32,
        size: u16,
        value: u32,
    ) -> Generated<Cond> {
        self.compare_masked((base, offset, size), u32::MAX, (JGT, true), value)
    }

    /// `field & mask == value`
    pub(super) fn masked(
        &mut self,
        base: Base,
        offset: u32,
        size: u16,
        value: u32,
        mask: u32,
    ) -> Generated<Cond> {
        if mask == 0 {
            return Ok(self.graph.constant(value == 0));
        }
        self.compare_masked((base, offset, size), mask, (JEQ, false), value)
    }

    /// `byte & mask != 0`
    pub(super) fn any_bit(
        &mut self,
        base: Base,
        offset: u32,
        size: u16,
        mask: u32,
    ) -> Generated<Cond> {
        let stmts = self.load(base, offset, size)?;
        Ok(self.graph.test(stmts, JMP | JSET | K, mask))
    }

    /// The bytes at `offset` are `wanted`, in as few loads as there are; the last ones first, as
    /// they differ most between addresses.
    pub(super) fn bytes(&mut self, base: Base, offset: u32, wanted: &[u8]) -> Generated<Cond> {
        let mut cond: Option<Cond> = None;
        let mut end = wanted.len();
        while end > 0 {
            let (size, length) = match end {
                4.. => (W, 4),
                2.. => (H, 2),
                _ => (B, 1),
            };
            end -= length;
            let value = wanted[end..end + length]
                .iter()
                .fold(0, |value, byte| value << 8 | u32::from(*byte));
            let next = self.equal(base, offset.wrapping_add(end as u32), size, value)?;
            cond = Some(match cond {
                Some(cond) => self.graph.and(cond, next),
                None => next,
            });
        }
        cond.ok_or_else(FilterError::syntax)
    }

    /// Either of two conditions, each made by a call.
    pub(super) fn either(&mut self, conds: Vec<Cond>) -> Generated<Cond> {
        let mut conds = conds.into_iter();
        let first = conds.next().ok_or_else(FilterError::syntax)?;
        Ok(conds.fold(first, |all, cond| self.graph.or(all, cond)))
    }
}
