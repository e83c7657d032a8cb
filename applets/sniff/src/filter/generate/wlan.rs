//! 802.11: addresses, whose places depend on type and direction of the frame, and frame control.
//!
//! ```text
//! To DS  From DS   addr1 (4)   addr2 (10)   addr3 (16)   addr4 (24)
//!   0      0          DA          SA          BSSID          -
//!   0      1          DA         BSSID          SA           -
//!   1      0         BSSID        SA            DA           -
//!   1      1          RA          TA            DA           SA
//! ```
//! Management frames are as the first line; control frames have no DA and no SA.

use super::graph::Cond;
use super::layout::is_wlan;
use super::load::Base;
use super::{Generated, Generator};
use crate::filter::program::op::{B, JEQ};
use crate::filter::syntax::Dir;

/// Bits of the two frame control bytes.
const TYPE_MASK: u32 = 0x0c;
const CONTROL: u32 = 0x04;
const DATA: u32 = 0x08;
const SUBTYPE_MASK: u32 = 0xf0;
const CTS: u32 = 0xc0;
const ACK: u32 = 0xd0;
const TO_DS: u32 = 0x01;
const FROM_DS: u32 = 0x02;
const DIRECTION_MASK: u32 = 0x03;

/// A test of the address at an offset.
type AddressTest<'a> = &'a dyn Fn(&mut Generator<'_>, u32) -> Generated<Cond>;

impl Generator<'_> {
    /// A MAC address in an 802.11 header.
    pub(super) fn wlan_address(&mut self, address: [u8; 6], dir: Option<Dir>) -> Generated<Cond> {
        let at: AddressTest<'_> =
            &|generator, offset| generator.bytes(Base::Link, offset, &address);
        match dir {
            Some(Dir::Src) => self.wlan_source(at),
            Some(Dir::Dst) => self.wlan_destination(at),
            Some(Dir::SrcAndDst) => {
                let source = self.wlan_source(at)?;
                let destination = self.wlan_destination(at)?;
                Ok(self.graph.and(source, destination))
            }
            None | Some(Dir::SrcOrDst) => {
                let source = self.wlan_source(at)?;
                let destination = self.wlan_destination(at)?;
                Ok(self.graph.or(source, destination))
            }
            Some(Dir::Addr1) => at(self, 4),
            Some(Dir::Addr2) => {
                let present = self.wlan_has_second_address()?;
                let address = at(self, 10)?;
                Ok(self.graph.and(present, address))
            }
            Some(Dir::Addr3) => {
                let field = (Base::Link, 0, B);
                let present = self.compare_masked(field, TYPE_MASK, (JEQ, true), CONTROL)?;
                let address = at(self, 16)?;
                Ok(self.graph.and(present, address))
            }
            Some(Dir::Addr4) => {
                let present = self.masked(Base::Link, 1, B, DIRECTION_MASK, DIRECTION_MASK)?;
                let address = at(self, 24)?;
                Ok(self.graph.and(present, address))
            }
            Some(Dir::Ra) => {
                let present = self.any_bit(Base::Link, 0, B, DATA)?;
                let address = at(self, 4)?;
                Ok(self.graph.and(present, address))
            }
            Some(Dir::Ta) => {
                let second = self.wlan_has_second_address()?;
                let not_management = self.any_bit(Base::Link, 0, B, DATA)?;
                let present = self.graph.and(not_management, second);
                let address = at(self, 10)?;
                Ok(self.graph.and(present, address))
            }
        }
    }

    /// The destination is a group.
    pub(super) fn wlan_multicast(&mut self) -> Generated<Cond> {
        self.wlan_destination(&|generator, offset| generator.any_bit(Base::Link, offset, B, 1))
    }

    fn wlan_source(&mut self, at: AddressTest<'_>) -> Generated<Cond> {
        let between_access_points = self.wlan_when(1, TO_DS, at, 24)?;
        let from_access_point = self.wlan_unless(1, TO_DS, at, 16)?;
        let either = self.graph.or(from_access_point, between_access_points);
        let from_ds = self.any_bit(Base::Link, 1, B, FROM_DS)?;
        let from_ds = self.graph.and(from_ds, either);
        let not_from_ds = self.wlan_unless(1, FROM_DS, at, 10)?;
        let data = self.graph.or(not_from_ds, from_ds);
        self.wlan_data_or_management(data, at, 10)
    }

    fn wlan_destination(&mut self, at: AddressTest<'_>) -> Generated<Cond> {
        let to_ds = self.wlan_when(1, TO_DS, at, 16)?;
        let not_to_ds = self.wlan_unless(1, TO_DS, at, 4)?;
        let data = self.graph.or(not_to_ds, to_ds);
        self.wlan_data_or_management(data, at, 4)
    }

    /// `data` in data frames, the address at an offset in management frames, nothing in others.
    fn wlan_data_or_management(
        &mut self,
        data: Cond,
        at: AddressTest<'_>,
        offset: u32,
    ) -> Generated<Cond> {
        let is_data = self.any_bit(Base::Link, 0, B, DATA)?;
        let data = self.graph.and(is_data, data);
        let management = self.wlan_unless(0, DATA, at, offset)?;
        let either = self.graph.or(management, data);
        let not_control = self.any_bit(Base::Link, 0, B, CONTROL)?.negated();
        Ok(self.graph.and(not_control, either))
    }

    /// A bit of a frame control byte is set and the address is at an offset.
    fn wlan_when(
        &mut self,
        byte: u32,
        bit: u32,
        at: AddressTest<'_>,
        offset: u32,
    ) -> Generated<Cond> {
        let set = self.any_bit(Base::Link, byte, B, bit)?;
        let address = at(self, offset)?;
        Ok(self.graph.and(set, address))
    }

    /// A bit of a frame control byte is clear and the address is at an offset.
    fn wlan_unless(
        &mut self,
        byte: u32,
        bit: u32,
        at: AddressTest<'_>,
        offset: u32,
    ) -> Generated<Cond> {
        let clear = self.any_bit(Base::Link, byte, B, bit)?.negated();
        let address = at(self, offset)?;
        Ok(self.graph.and(clear, address))
    }

    /// Any frame but the control frames CTS and ACK.
    fn wlan_has_second_address(&mut self) -> Generated<Cond> {
        let field = (Base::Link, 0, B);
        let not_control = self.compare_masked(field, TYPE_MASK, (JEQ, true), CONTROL)?;
        let not_cts = self.compare_masked(field, SUBTYPE_MASK, (JEQ, true), CTS)?;
        let not_ack = self.compare_masked(field, SUBTYPE_MASK, (JEQ, true), ACK)?;
        let neither = self.graph.and(not_cts, not_ack);
        Ok(self.graph.or(not_control, neither))
    }

    /// `type` and `subtype`
    pub(super) fn wlan_type(&mut self, value: u32, mask: u32) -> Generated<Cond> {
        if !is_wlan(self.layout.link_type) {
            return Err(self.unsupported("type/subtype"));
        }
        self.masked(Base::Link, 0, B, value, mask)
    }

    /// `dir`
    pub(super) fn wlan_direction(&mut self, value: u32) -> Generated<Cond> {
        if !is_wlan(self.layout.link_type) {
            return Err(self.unsupported("dir"));
        }
        self.masked(Base::Link, 1, B, value, DIRECTION_MASK)
    }
}
