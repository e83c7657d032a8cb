//! Fields of the log header of the packet filter pf. Numbers are in network byte order.

use super::graph::Cond;
use super::layout::link;
use super::load::Base;
use super::{Generated, Generator};
use crate::filter::FilterError;
use crate::filter::program::op::{B, W};
use crate::filter::syntax::Pf;

/// Offsets in the header, and the lengths of its names.
const ACTION: u32 = 2;
const REASON: u32 = 3;
const INTERFACE: u32 = 4;
const INTERFACE_LENGTH: usize = 16;
const RULESET: u32 = 20;
const RULESET_LENGTH: usize = 16;
const RULE: u32 = 36;
const SUBRULE: u32 = 40;

impl Generator<'_> {
    /// A field has a value.
    pub(super) fn pf(&mut self, field: &Pf) -> Generated<Cond> {
        let word = match field {
            Pf::Interface(_) => "ifname",
            Pf::Ruleset(_) => "ruleset",
            Pf::Rule(_) => "rnr",
            Pf::Subrule(_) => "srnr",
            Pf::Reason(_) => "reason",
            Pf::Action(_) => "action",
        };
        if self.layout.link_type != link::PFLOG {
            let text = format!("'{word}' supported only on PFLOG linktype");
            return Err(FilterError::new(text));
        }
        match field {
            Pf::Interface(name) => {
                self.pf_name(name, "ifname interface", INTERFACE, INTERFACE_LENGTH)
            }
            Pf::Ruleset(name) => self.pf_name(name, "ruleset", RULESET, RULESET_LENGTH),
            Pf::Rule(number) => self.equal(Base::Link, RULE, W, *number),
            Pf::Subrule(number) => self.equal(Base::Link, SUBRULE, W, *number),
            Pf::Reason(number) => self.equal(Base::Link, REASON, B, *number),
            Pf::Action(number) => self.equal(Base::Link, ACTION, B, *number),
        }
    }

    fn pf_name(&mut self, name: &str, what: &str, offset: u32, length: usize) -> Generated<Cond> {
        if name.len() >= length {
            let text = format!("{what} names can only be {} characters", length - 1);
            return Err(FilterError::new(text));
        }
        self.bytes(Base::Link, offset, name.as_bytes())
    }
}
