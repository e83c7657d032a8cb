//! `llc`: frames with an LLC header, and their control field.

use super::graph::Cond;
use super::layout::{is_ethernet, is_wlan, link};
use super::link_type::ether;
use super::load::Base;
use super::{Generated, Generator};
use crate::filter::program::op::{B, H, JEQ};
use crate::filter::syntax::Llc;

impl Generator<'_> {
    /// An LLC frame of a kind.
    pub(super) fn llc(&mut self, kind: Llc) -> Generated<Cond> {
        let frame = self.llc_frame()?;
        let control = match kind {
            Llc::Any => return Ok(frame),
            Llc::I => self.any_bit(Base::Llc, 2, B, 0x01)?.negated(),
            Llc::S => self.masked(Base::Llc, 2, B, 0x01, 0x03)?,
            Llc::U => self.masked(Base::Llc, 2, B, 0x03, 0x03)?,
            Llc::Supervisory(command) => self.masked(Base::Llc, 2, B, command, 0x0f)?,
            Llc::Unnumbered(command) => self.masked(Base::Llc, 2, B, command, 0xef)?,
        };
        Ok(self.graph.and(frame, control))
    }

    fn llc_frame(&mut self) -> Generated<Cond> {
        match self.layout.link_type {
            number
                if is_ethernet(number)
                    && number != link::NETANALYZER
                    && number != link::NETANALYZER_TRANSPARENT =>
            {
                let is_802_3 = self.at_most(Base::LinkType, 0, H, ether::MTU)?;
                // Novell's "raw" 802.3 has no LLC header.
                let raw = (Base::Llc, 0, H);
                let not_raw = self.compare_masked(raw, u32::MAX, (JEQ, true), 0xffff)?;
                Ok(self.graph.and(is_802_3, not_raw))
            }
            link::SUNATM => {
                let llc = self.atm_protocol(0x02)?;
                self.layout.link_type = self.layout.previous_type;
                Ok(llc)
            }
            link::IEEE802 | link::FDDI | link::ATM_RFC1483 => Ok(self.graph.constant(true)),
            number if is_wlan(number) => self.masked(Base::Link, 0, B, 0x08, 0x0c),
            _ => Err(self.unsupported("llc")),
        }
    }
}
