//! ATM as SunATM captures it, and SS7 (MTP2 and MTP3).

use super::graph::Cond;
use super::layout::{Offset, Ss7Layout, link};
use super::load::Base;
use super::{Generated, Generator, limit};
use crate::filter::FilterError;
use crate::filter::program::op::{B, H, JEQ, JGT, W};
use crate::filter::syntax::{Atm, Relation, Ss7};

/// SunATM pseudo-header: protocol, VPI, VCI; then the packet.
const ATM_PROTOCOL: u32 = 0;
const ATM_VPI: u32 = 1;
const ATM_VCI: u32 = 2;
const ATM_PAYLOAD: u32 = 4;

/// LAN emulation, in the low four bits of the protocol.
const PROTOCOL_LANE: u32 = 0x01;

/// Q.2931 message types, at an offset in the packet.
const MESSAGE_TYPE: u32 = 5;
const CALL_PROCEEDING: u32 = 0x02;
const SETUP: u32 = 0x05;
const CONNECT: u32 = 0x07;
const CONNECT_ACK: u32 = 0x0f;
const RELEASE: u32 = 0x4d;
const RELEASE_COMPLETE: u32 = 0x5a;

/// Q.704 point codes have 14 bits, signalling link selectors 4.
const POINT_CODE: u32 = 0x3fff;
const SELECTOR: u32 = 0x0f;

const EQUAL: Relation = Relation { jump: JEQ, negated: false };

impl Generator<'_> {
    fn require_atm(&self, atm: Atm) -> Generated<()> {
        if self.layout.link_type == link::SUNATM {
            return Ok(());
        }
        Err(FilterError::new(format!("'{}' supported only on SUNATM", atm.word())))
    }

    /// What the ATM payload is.
    pub(super) fn atm_protocol(&mut self, protocol: u32) -> Generated<Cond> {
        self.masked(Base::Link, ATM_PROTOCOL, B, protocol, 0x0f)
    }

    pub(super) fn atm_field(
        &mut self,
        field: Atm,
        relation: Relation,
        value: u32,
    ) -> Generated<Cond> {
        self.require_atm(field)?;
        let (name, offset, size, maximum) = match field {
            Atm::Vpi => ("VPI", ATM_VPI, B, 0xff),
            _ => ("VCI", ATM_VCI, H, 0xffff),
        };
        limit(name, value, maximum)?;
        let test = (relation.jump, relation.negated);
        self.compare_masked((Base::Link, offset, size), u32::MAX, test, value)
    }

    /// Virtual path 0 and a channel.
    fn atm_channel(&mut self, channel: u32) -> Generated<Cond> {
        let path = self.atm_field(Atm::Vpi, EQUAL, 0)?;
        let channel = self.atm_field(Atm::Vci, EQUAL, channel)?;
        Ok(self.graph.and(path, channel))
    }

    pub(super) fn atm_type(&mut self, atm: Atm) -> Generated<Cond> {
        self.require_atm(atm)?;
        match atm {
            Atm::Metac => self.atm_channel(1),
            Atm::Bcc => self.atm_channel(2),
            Atm::OamF4Sc => self.atm_channel(3),
            Atm::OamF4Ec => self.atm_channel(4),
            Atm::Sc => self.atm_channel(5),
            Atm::Ilmic => self.atm_channel(16),
            Atm::Lane => {
                let lane = self.atm_protocol(PROTOCOL_LANE)?;
                let header = Offset { constant: ATM_PAYLOAD + 2, ..Offset::default() };
                self.layout.push(link::EN10MB, header);
                self.layout.type_field.constant = header.constant + 12;
                self.layout.payload.constant = header.constant + 14;
                self.layout.network = 0;
                self.layout.network_no_snap = 3;
                Ok(lane)
            }
            Atm::Oam | Atm::OamF4 => {
                let segment = self.atm_field(Atm::Vci, EQUAL, 3)?;
                let end_to_end = self.atm_field(Atm::Vci, EQUAL, 4)?;
                let either = self.graph.or(segment, end_to_end);
                let path = self.atm_field(Atm::Vpi, EQUAL, 0)?;
                Ok(self.graph.and(path, either))
            }
            Atm::ConnectMsg => self.atm_messages(
                &[CALL_PROCEEDING, SETUP, CONNECT, CONNECT_ACK, RELEASE, RELEASE_COMPLETE],
                5,
            ),
            Atm::MetaConnect => {
                self.atm_messages(&[CALL_PROCEEDING, SETUP, CONNECT, RELEASE, RELEASE_COMPLETE], 1)
            }
            Atm::Vpi | Atm::Vci => Err(FilterError::syntax()),
        }
    }

    /// Any of some signalling messages on a channel; later ones are tested first.
    fn atm_messages(&mut self, types: &[u32], channel: u32) -> Generated<Cond> {
        let mut any = None;
        for message in types {
            let message = self.equal(Base::Link, ATM_PAYLOAD + MESSAGE_TYPE, B, *message)?;
            any = Some(match any {
                Some(rest) => self.graph.or(message, rest),
                None => message,
            });
        }
        let any = any.ok_or_else(FilterError::syntax)?;
        let channel = self.atm_channel(channel)?;
        Ok(self.graph.and(channel, any))
    }

    fn ss7(&self, ss7: Ss7) -> Generated<Ss7Layout> {
        let text = || format!("'{}' supported only on SS7", ss7.word());
        self.layout.ss7.ok_or_else(|| FilterError::new(text()))
    }

    /// Message types by the length indicator: 0 is a fill-in, 1 and 2 link status, more a message.
    pub(super) fn ss7_type(&mut self, ss7: Ss7) -> Generated<Cond> {
        let length = self.ss7(ss7)?.length;
        let high_speed = matches!(ss7, Ss7::Hfisu | Ss7::Hlssu | Ss7::Hmsu);
        // On high-speed links the indicator has nine bits behind two sequence numbers.
        let (field, mask, two) = if high_speed {
            ((Base::Packet, length + 2, H), 0xff80, 0x0100)
        } else {
            ((Base::Packet, length, B), 0x3f, 2)
        };
        match ss7 {
            Ss7::Fisu | Ss7::Hfisu => self.compare_masked(field, mask, (JEQ, false), 0),
            Ss7::Lssu | Ss7::Hlssu => {
                let at_most_two = self.compare_masked(field, mask, (JGT, true), two)?;
                let not_zero = self.compare_masked(field, mask, (JGT, false), 0)?;
                Ok(self.graph.and(not_zero, at_most_two))
            }
            _ => self.compare_masked(field, mask, (JGT, false), two),
        }
    }

    /// Fields of the routing label, which is little-endian: 14 bits of destination, 14 of origin,
    /// 4 of selector. Masks and values are turned round instead of the packet.
    pub(super) fn ss7_field(
        &mut self,
        ss7: Ss7,
        relation: Relation,
        value: u32,
    ) -> Generated<Cond> {
        let service = self.ss7(ss7)?.service;
        let high_speed = matches!(ss7, Ss7::Hsio | Ss7::Hopc | Ss7::Hdpc | Ss7::Hsls);
        let service = if high_speed { service + 3 } else { service };
        let label = service + 1;
        let (maximum, field, mask, value_there) = match ss7 {
            Ss7::Sio | Ss7::Hsio => (0xff, (Base::Packet, service, B), u32::MAX, value),
            Ss7::Opc | Ss7::Hopc => (
                POINT_CODE,
                (Base::Packet, label, W),
                (POINT_CODE << 14).swap_bytes(),
                (value << 14).swap_bytes(),
            ),
            Ss7::Dpc | Ss7::Hdpc => (
                POINT_CODE,
                (Base::Packet, label, H),
                u32::from((POINT_CODE as u16).swap_bytes()),
                u32::from((value as u16).swap_bytes()),
            ),
            _ => (SELECTOR, (Base::Packet, label + 3, B), SELECTOR << 4, value << 4),
        };
        limit(ss7.word(), value, maximum)?;
        self.compare_masked(field, mask, (relation.jump, relation.negated), value_there)
    }
}
