//! `inbound`, `outbound` and `ifindex`: from link-layer headers that say so, else from the kernel.

use super::graph::Cond;
use super::layout::{is_juniper, link};
use super::load::Base;
use super::{Generated, Generator, describe};
use crate::filter::program::op::{AD_IFINDEX, AD_OFF, AD_PKTTYPE, B, H, W};
use crate::filter::{FilterError, Source};

/// The packet type of what this host sent, in cooked headers and in the kernel.
const OUTGOING: u32 = 4;

impl Generator<'_> {
    /// The packet came in, or went out.
    pub(super) fn direction(&mut self, outbound: bool) -> Generated<Cond> {
        let number = self.layout.link_type;
        let by_value = |inbound, outgoing| if outbound { outgoing } else { inbound };
        match number {
            link::SLIP => return self.equal(Base::Link, 0, B, by_value(0, 1)),
            link::IPNET => return self.equal(Base::Link, 2, H, by_value(2, 1)),
            link::PFLOG => return self.equal(Base::Link, 60, B, by_value(1, 2)),
            link::PPP_PPPD => return self.equal(Base::Link, 0, B, by_value(0, 1)),
            link::DSA_TAG_BRCM => {
                return self.masked(Base::Link, 12, B, by_value(0x00, 0x20), 0xe0);
            }
            link::DSA_TAG_DSA => {
                return self.masked(Base::Link, 12, B, by_value(0x00, 0x40), 0xc0);
            }
            _ if is_juniper(number) => {
                return self.masked(Base::Link, 3, B, by_value(1, 0), 0x01);
            }
            _ => {}
        }
        let outgoing = match number {
            link::LINUX_SLL => self.equal(Base::Link, 0, H, OUTGOING)?,
            link::LINUX_SLL2 => self.equal(Base::Link, 10, B, OUTGOING)?,
            _ => {
                self.require_live(if outbound { "outbound" } else { "inbound" })?;
                self.equal(Base::Link, AD_OFF + AD_PKTTYPE, H, OUTGOING)?
            }
        };
        Ok(if outbound { outgoing } else { outgoing.negated() })
    }

    /// The packet belongs to an interface.
    pub(super) fn interface_index(&mut self, index: u32) -> Generated<Cond> {
        if self.layout.link_type == link::LINUX_SLL2 {
            return self.equal(Base::Link, 4, W, index);
        }
        self.require_live("ifindex")?;
        self.equal(Base::Link, AD_OFF + AD_IFINDEX, W, index)
    }

    fn require_live(&self, word: &str) -> Generated<()> {
        if self.options.source == Source::Live {
            return Ok(());
        }
        let name = describe(self.layout.link_type);
        let text = format!("not a live capture, '{word}' not supported on {name}");
        Err(FilterError::new(text))
    }
}
