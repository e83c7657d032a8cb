//! Primitives that go into a packet: `vlan`, `mpls`, `pppoes`, `geneve`, `vxlan`.
//!
//! Each tests for its header and then moves the [`super::layout::Layout`] behind it, for every
//! primitive that is read later. That is the documented meaning of `vlan 100 and tcp`, and it is
//! also why `tcp or vlan 100` and `vlan 100 or tcp` differ: nothing moves the layout back.

use super::graph::{Cond, Stmt};
use super::layout::{Layout, Offset, is_ethernet, is_wlan, link};
use super::link_type::ether;
use super::load::Base;
use super::port::{Carrier, UDP};
use super::{Generated, Generator, limit};
use crate::filter::program::op::*;
use crate::filter::syntax::Dir;
use crate::filter::{FilterError, Source};

/// UDP ports of the tunnels.
const GENEVE_PORT: u32 = 6081;
const VXLAN_PORT: u32 = 4789;

/// The PPP protocol number of MPLS.
const PPP_MPLS: u32 = 0x0281;

impl Generator<'_> {
    /// `vlan [TAG]`: 802.1Q, 802.1ad, or the older type for stacked tags.
    pub(super) fn vlan(&mut self, tag: Option<u32>) -> Generated<Cond> {
        if self.layout.mpls_depth > 0 {
            return Err(FilterError::new("no VLAN match after MPLS"));
        }
        let number = self.layout.link_type;
        if !is_ethernet(number) && (!is_wlan(number) || number == link::PPI) {
            return Err(self.unsupported("vlan"));
        }
        let outermost = self.layout.vlan_depth == 0
            && !self.layout.header.variable
            && self.layout.header.constant == self.layout.outermost_header.constant;
        let cond = if number == link::EN10MB && outermost && self.options.source == Source::Live {
            self.vlan_live(tag)?
        } else {
            let cond = self.vlan_in_packet(tag)?;
            for offset in [&mut self.layout.payload, &mut self.layout.type_field] {
                offset.constant = offset.constant.wrapping_add(4);
            }
            cond
        };
        self.layout.vlan_depth += 1;
        Ok(cond)
    }

    fn vlan_in_packet(&mut self, tag: Option<u32>) -> Generated<Cond> {
        let typed = self.vlan_type()?;
        match tag {
            Some(tag) => {
                limit("VLAN tag", tag, 0xfff)?;
                let tagged = self.masked(Base::Network, 0, H, tag, 0xfff)?;
                Ok(self.graph.and(typed, tagged))
            }
            None => Ok(typed),
        }
    }

    fn vlan_type(&mut self) -> Generated<Cond> {
        let conds = vec![
            self.link_type(ether::VLAN)?,
            self.link_type(ether::SERVICE_VLAN)?,
            self.link_type(ether::OLD_QINQ)?,
        ];
        self.either(conds)
    }

    /// The outermost tag of a live packet: the kernel has taken it out and keeps it aside, or, on
    /// some interfaces, has left it in. Only in the second case do offsets move, so that they
    /// become variable.
    fn vlan_live(&mut self, tag: Option<u32>) -> Generated<Cond> {
        let mut aside = self.vlan_aside();
        if let Some(tag) = tag {
            limit("VLAN tag", tag, 0xfff)?;
            let stmts = vec![
                Stmt::new(LD | ABS | H, AD_OFF + AD_VLAN_TAG),
                Stmt::new(ALU | AND | K, 0xfff),
            ];
            let tagged = self.graph.test(stmts, JMP | JEQ | K, tag);
            aside = self.graph.and(aside, tagged);
        }
        let not_aside = self.vlan_aside().negated();
        let in_packet = self.vlan_in_packet(tag)?;
        let payload = self.make_variable(|layout| &mut layout.payload)?;
        let type_field = self.make_variable(|layout| &mut layout.type_field)?;
        for register in [payload, type_field] {
            if !self.moved_by_tag.contains(&register) {
                self.moved_by_tag.push(register);
            }
        }
        // All tests of this tag have been made with the constant offsets; move the rest on.
        let moved = [payload, type_field]
            .into_iter()
            .flat_map(|register| {
                [
                    Stmt::new(LD | MEM, register),
                    Stmt::new(ALU | ADD | K, 4),
                    Stmt::new(ST, register),
                ]
            })
            .collect();
        self.graph.prepend(in_packet.head, moved);
        let in_packet = self.graph.and(not_aside, in_packet);
        Ok(self.graph.or(aside, in_packet))
    }

    fn vlan_aside(&mut self) -> Cond {
        let stmts = vec![Stmt::new(LD | ABS | B, AD_OFF + AD_VLAN_TAG_PRESENT)];
        self.graph.test(stmts, JMP | JEQ | K, 1)
    }

    fn make_variable(&mut self, select: fn(&mut Layout) -> &mut Offset) -> Generated<u32> {
        let register = match select(&mut self.layout).register {
            Some(register) => register,
            None => self.allocate()?,
        };
        let offset = select(&mut self.layout);
        offset.variable = true;
        offset.register = Some(register);
        Ok(register)
    }

    /// `mpls [LABEL]`
    pub(super) fn mpls(&mut self, label: Option<u32>) -> Generated<Cond> {
        let mut cond = if self.layout.mpls_depth > 0 {
            // The label before this one was not the last.
            self.any_bit(Base::PreviousLabel, 2, B, 0x01)?.negated()
        } else {
            match self.layout.link_type {
                link::C_HDLC | link::HDLC => self.link_type(ether::MPLS)?,
                number if is_ethernet(number) => self.link_type(ether::MPLS)?,
                link::PPP => self.link_type(PPP_MPLS)?,
                _ => return Err(self.unsupported("mpls")),
            }
        };
        if let Some(label) = label {
            limit("MPLS label", label, 0xf_ffff)?;
            let labelled = self.masked(Base::Network, 0, W, label << 12, 0xffff_f000)?;
            cond = self.graph.and(cond, labelled);
        }
        self.layout.network = self.layout.network.wrapping_add(4);
        self.layout.network_no_snap = self.layout.network_no_snap.wrapping_add(4);
        self.layout.mpls_depth += 1;
        Ok(cond)
    }

    /// `pppoes [SESSION]`: six bytes of PPPoE header (RFC 2516), then PPP from its protocol field.
    pub(super) fn pppoes(&mut self, session: Option<u32>) -> Generated<Cond> {
        let mut cond = self.link_type(ether::PPPOES)?;
        if let Some(session) = session {
            limit("PPPoE session number", session, 0xffff)?;
            let of_session = self.equal(Base::Network, 2, H, session)?;
            cond = self.graph.and(cond, of_session);
        }
        let layout = &mut self.layout;
        let constant = layout.payload.constant.wrapping_add(layout.network).wrapping_add(6);
        let header = Offset { constant, ..layout.payload };
        layout.push(link::PPP, header);
        layout.type_field = header;
        layout.payload.constant = constant.wrapping_add(2);
        layout.network = 0;
        layout.network_no_snap = 0;
        Ok(cond)
    }

    /// `geneve [VNI]` (RFC 8926)
    pub(super) fn geneve(&mut self, network: Option<u32>) -> Generated<Cond> {
        let version = |generator: &mut Self, base| generator.masked(base, 8, B, 0, 0xc0);
        let tunnel = self.tunnel(GENEVE_PORT, "Geneve VNI", network, version)?;
        let stmts = self.geneve_offsets()?;
        self.go_inside(tunnel, stmts)
    }

    /// `vxlan [VNI]` (RFC 7348)
    pub(super) fn vxlan(&mut self, network: Option<u32>) -> Generated<Cond> {
        let flags = |generator: &mut Self, base| generator.equal(base, 8, B, 0x08);
        let tunnel = self.tunnel(VXLAN_PORT, "VXLAN VNI", network, flags)?;
        let stmts = self.vxlan_offsets()?;
        self.go_inside(tunnel, stmts)
    }

    /// A UDP tunnel over either version of IP. Where it holds, A is the length of the IP header
    /// and of what is variable in front of it.
    fn tunnel(
        &mut self,
        port: u32,
        what: &str,
        network: Option<u32>,
        check: impl Fn(&mut Self, Base) -> Generated<Cond>,
    ) -> Generated<Cond> {
        let over_v4 = self.tunnel_header(Carrier::V4, port, what, network, &check)?;
        let mut stmts = self.ipv4_header_end()?;
        stmts.push(Stmt::new(MISC | TXA, 0));
        let loaded = self.graph.test(stmts, JMP | JEQ | X, 0);
        let over_v4 = self.graph.and(over_v4, loaded);

        let over_v6 = self.tunnel_header(Carrier::V6, port, what, network, &check)?;
        let mut stmts = self.variable_part(|layout| &mut layout.payload)?;
        let variable = !stmts.is_empty();
        stmts.push(Stmt::new(LD | IMM, 40));
        if variable {
            stmts.push(Stmt::new(ALU | ADD | X, 0));
        }
        stmts.push(Stmt::new(MISC | TAX, 0));
        let loaded = self.graph.test(stmts, JMP | JEQ | X, 0);
        let over_v6 = self.graph.and(over_v6, loaded);
        Ok(self.graph.or(over_v4, over_v6))
    }

    fn tunnel_header(
        &mut self,
        carrier: Carrier,
        port: u32,
        what: &str,
        network: Option<u32>,
        check: &impl Fn(&mut Self, Base) -> Generated<Cond>,
    ) -> Generated<Cond> {
        let ported = self.ports_over(carrier, (port, port), Some(UDP), Some(Dir::Dst))?;
        let checked = check(self, carrier.transport())?;
        let cond = self.graph.and(ported, checked);
        let Some(network) = network else { return Ok(cond) };
        limit(what, network, 0xff_ffff)?;
        let identified = self.masked(carrier.transport(), 12, W, network << 8, 0xffff_ff00)?;
        Ok(self.graph.and(cond, identified))
    }

    /// Computes the offsets behind a Geneve header from A: of the inner type field, of the inner
    /// link-layer header, and of its payload. Where there is no inner Ethernet header the last
    /// two are the same.
    fn geneve_offsets(&mut self) -> Generated<Vec<Stmt>> {
        let layout = &self.layout;
        let udp_end = layout.payload.constant.wrapping_add(layout.network).wrapping_add(8);
        let type_field = self.allocate()?;
        let header = self.allocate()?;
        let payload = self.allocate()?;
        let (bridged, end) = (self.label(), self.label());
        let stmts = vec![
            Stmt::new(ALU | ADD | K, udp_end),
            Stmt::new(MISC | TAX, 0),
            Stmt::new(ALU | ADD | K, 2),
            Stmt::new(ST, type_field),
            // The options are counted in words.
            Stmt::new(LD | IND | B, 0),
            Stmt::new(ALU | AND | K, 0x3f),
            Stmt::new(ALU | MUL | K, 4),
            Stmt::new(ALU | ADD | K, 8),
            Stmt::new(ALU | ADD | X, 0),
            Stmt::new(ST, header),
            Stmt::new(LD | IND | H, 2),
            Stmt::new(LDX | MEM, header),
            Stmt::branch(JEQ, ether::BRIDGED, bridged, end),
            Stmt::new(MISC | TXA, 0).labelled(bridged),
            Stmt::new(ALU | ADD | K, 12),
            Stmt::new(ST, type_field),
            Stmt::new(ALU | ADD | K, 2),
            Stmt::new(MISC | TAX, 0),
            Stmt::new(STX, payload).labelled(end),
        ];
        self.has_local_jumps = true;
        self.set_inner_offsets(type_field, header, payload);
        Ok(stmts)
    }

    /// The same for VXLAN, which always carries an Ethernet frame behind its eight bytes.
    fn vxlan_offsets(&mut self) -> Generated<Vec<Stmt>> {
        let layout = &self.layout;
        let udp_end = layout.payload.constant.wrapping_add(layout.network).wrapping_add(8);
        let header = self.allocate()?;
        let type_field = self.allocate()?;
        let payload = self.allocate()?;
        let stmts = vec![
            Stmt::new(ALU | ADD | K, udp_end),
            Stmt::new(ALU | ADD | K, 8),
            Stmt::new(ST, header),
            Stmt::new(ALU | ADD | K, 12),
            Stmt::new(ST, type_field),
            Stmt::new(ALU | ADD | K, 2),
            Stmt::new(MISC | TAX, 0),
            Stmt::new(STX, payload),
        ];
        self.set_inner_offsets(type_field, header, payload);
        Ok(stmts)
    }

    fn set_inner_offsets(&mut self, type_field: u32, header: u32, payload: u32) {
        let variable = |register| Offset { constant: 0, variable: true, register: Some(register) };
        self.layout.push(link::EN10MB, variable(header));
        self.layout.type_field = variable(type_field);
        self.layout.payload = variable(payload);
        self.layout.network = 0;
    }

    /// Runs `stmts` where a tunnel's header is, and marks what follows as inside.
    fn go_inside(&mut self, tunnel: Cond, mut stmts: Vec<Stmt>) -> Generated<Cond> {
        stmts.push(Stmt::new(LD | IMM, 0));
        let computed = self.graph.test(stmts, JMP | JEQ | K, 0);
        self.layout.encapsulated = true;
        Ok(self.graph.and(tunnel, computed))
    }
}
