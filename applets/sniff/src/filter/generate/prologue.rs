//! Code in front of a program that computes where variable headers end: radio information in
//! front of 802.11, the 802.11 header itself, the pf log header.
//!
//! It is made last, when it is known which of these offsets somebody uses. Most of it has jumps
//! inside the block, which keeps the optimizer away.

use super::graph::{BlockId, Cond, Stmt};
use super::layout::{is_wlan, link};
use super::load::Base;
use super::{Generated, Generator};
use crate::filter::program::op::*;

/// The length of a Prism header, and what an AVS header begins with in place of it.
const PRISM_LENGTH: u32 = 144;
const AVS_MAGIC: u32 = 0x8021_1000;
const AVS_MASK: u32 = 0xffff_f000;

/// 802.11 frame control: data frames, QoS data, and the bit that other types have.
const DATA: u32 = 0x08;
const CONTROL: u32 = 0x04;
const QOS: u32 = 0x80;

/// Radiotap presence bits as loaded (they are little-endian), and the padding flag.
const FLAGS_PRESENT: u32 = 0x0000_0002u32.swap_bytes();
const MORE_PRESENCE: u32 = 0x8000_0000u32.swap_bytes();
const TSFT_PRESENT: u32 = 0x0000_0001u32.swap_bytes();
const PADDED: u32 = 0x20;

impl Generator<'_> {
    /// The statements to put in front of the first block.
    pub(super) fn prologue(&mut self, first: BlockId) -> Generated<Vec<Stmt>> {
        // The payload's offset includes the header's.
        if self.layout.payload.register.is_some()
            && self.layout.header.variable
            && self.layout.header.register.is_none()
        {
            self.layout.header.register = Some(self.allocate()?);
        }
        let mut stmts = self.radio_length();
        if is_wlan(self.layout.outermost_type) {
            self.wlan_header_length(&mut stmts, first);
        } else if self.layout.outermost_type == link::PFLOG {
            stmts = self.pf_header_length();
        }
        if stmts.is_empty() && !self.moved_by_tag.is_empty() {
            stmts.push(Stmt::new(LD | IMM, 0));
            stmts.extend(self.moved_by_tag.iter().map(|register| Stmt::new(ST, *register)));
        }
        Ok(stmts)
    }

    /// PPI says for each packet what it holds; only 802.11 is understood.
    pub(super) fn check_wrapped_type(&mut self, cond: Cond) -> Generated<Cond> {
        if self.layout.link_type != link::PPI {
            return Ok(cond);
        }
        let wlan = u32::from(link::IEEE802_11).swap_bytes();
        let wrapped = self.equal(Base::Packet, 4, W, wlan)?;
        Ok(self.graph.and(wrapped, cond))
    }

    /// Stores the length of the radio header, which ends in X.
    fn radio_length(&mut self) -> Vec<Stmt> {
        let Some(register) = self.layout.header.register else { return Vec::new() };
        let store = [Stmt::new(ST, register), Stmt::new(MISC | TAX, 0)];
        let mut stmts = match self.layout.outermost_type {
            link::PRISM_HEADER => self.prism_length(register),
            link::IEEE802_11_RADIO_AVS => vec![Stmt::new(LD | ABS | W, 4)],
            // A little-endian half-word.
            link::IEEE802_11_RADIO | link::PPI => vec![
                Stmt::new(LD | ABS | B, 3),
                Stmt::new(ALU | LSH | K, 8),
                Stmt::new(MISC | TAX, 0),
                Stmt::new(LD | ABS | B, 2),
                Stmt::new(ALU | OR | X, 0),
            ],
            _ => return Vec::new(),
        };
        if self.layout.outermost_type != link::PRISM_HEADER {
            stmts.extend(store);
        }
        stmts
    }

    /// Some drivers announce Prism headers and give AVS ones.
    fn prism_length(&mut self, register: u32) -> Vec<Stmt> {
        self.has_local_jumps = true;
        let (avs, prism, store) = (self.label(), self.label(), self.label());
        vec![
            Stmt::new(LD | ABS | W, 0),
            Stmt::new(ALU | AND | K, AVS_MASK),
            Stmt::branch(JEQ, AVS_MAGIC, avs, prism),
            Stmt::new(LD | ABS | W, 4).labelled(avs),
            Stmt::jump(store),
            Stmt::new(LD | IMM, PRISM_LENGTH).labelled(prism),
            Stmt::new(ST, register).labelled(store),
            Stmt::new(MISC | TAX, 0),
        ]
    }

    /// Adds the 802.11 header to the radio header: 24 bytes in data frames, two more with QoS, and
    /// where radiotap says so padding to a multiple of four.
    fn wlan_header_length(&mut self, stmts: &mut Vec<Stmt>, first: BlockId) {
        let Some(register) = self.layout.payload.register else { return };
        self.has_local_jumps = true;
        let done = self.label();
        self.label_block(first, done);
        let radiotap = self.layout.link_type == link::IEEE802_11_RADIO;
        let (type_bit, qos, is_qos, padding) =
            (self.label(), self.label(), self.label(), self.label());
        let not_qos = if radiotap { padding } else { done };
        if stmts.is_empty() {
            stmts.push(Stmt::new(LDX | IMM, self.layout.outermost_header.constant));
        }
        stmts.extend([
            Stmt::new(MISC | TXA, 0),
            Stmt::new(ALU | ADD | K, 24),
            Stmt::new(ST, register),
            Stmt::new(LD | IND | B, 0),
            Stmt::branch(JSET, DATA, type_bit, done),
            Stmt::branch(JSET, CONTROL, done, qos).labelled(type_bit),
            Stmt::branch(JSET, QOS, is_qos, not_qos).labelled(qos),
            Stmt::new(LD | MEM, register).labelled(is_qos),
            Stmt::new(ALU | ADD | K, 2),
            Stmt::new(ST, register),
        ]);
        if radiotap {
            self.radiotap_padding(stmts, register, padding, done);
        }
    }

    fn radiotap_padding(&mut self, stmts: &mut Vec<Stmt>, register: u32, padding: u32, done: u32) {
        let (more, tsft, with, without, round_up) =
            (self.label(), self.label(), self.label(), self.label(), self.label());
        stmts.extend([
            Stmt::new(LD | ABS | W, 4).labelled(padding),
            Stmt::branch(JSET, FLAGS_PRESENT, more, done),
            Stmt::branch(JSET, MORE_PRESENCE, done, tsft).labelled(more),
            Stmt::branch(JSET, TSFT_PRESENT, with, without).labelled(tsft),
            Stmt::new(LD | ABS | B, 16).labelled(with),
            Stmt::branch(JSET, PADDED, round_up, done),
            Stmt::new(LD | ABS | B, 8).labelled(without),
            Stmt::branch(JSET, PADDED, round_up, done),
            Stmt::new(LD | MEM, register).labelled(round_up),
            Stmt::new(ALU | ADD | K, 3),
            Stmt::new(ALU | AND | K, !3),
            Stmt::new(ST, register),
        ]);
    }

    /// The pf log header says its length, and is padded to a multiple of four.
    fn pf_header_length(&mut self) -> Vec<Stmt> {
        let Some(register) = self.layout.payload.register else { return Vec::new() };
        vec![
            Stmt::new(LD | ABS | B, 0),
            Stmt::new(ALU | ADD | K, 3),
            Stmt::new(ALU | AND | K, !3),
            Stmt::new(ST, register),
            Stmt::new(MISC | TAX, 0),
        ]
    }

    /// Labels the first statement of a block; a block without statements is jumped to its end.
    fn label_block(&mut self, block: BlockId, label: u32) {
        let block = self.graph.blocks.get_mut(block as usize);
        if let Some(first) = block.and_then(|block| block.stmts.first_mut()) {
            *first = first.labelled(label);
        }
    }
}
