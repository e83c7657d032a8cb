//! Dissection: one function a protocol, which reads a [`Buf`] and tells a [`Ctx`] what it found.
//!
//! The text follows the incumbent's to the byte, so its order is the order of reading, and where a
//! field was not captured the text ends with `[|name]` of the protocol that was at work. Dissectors
//! never index or slice by a value of the wire, nest at most [`MAX_DEPTH`] deep, and write at most
//! [`MAX_TEXT`] bytes a packet.

pub mod buf;
pub mod flow;
pub mod model;
pub mod registry;

mod ah;
mod ahcp;
mod aoe;
mod app;
mod arista;
mod arp;
mod atalk;
mod atm;
mod babel;
mod bcm_li;
mod bfd;
mod bgp;
mod bgp_attributes;
mod bootp;
mod calm_fast;
mod cfm;
mod clnp;
mod dccp;
mod dhcp6;
mod dns;
mod eap;
mod eigrp;
mod esis;
mod ether;
mod frame_relay;
mod geonet;
mod gre;
mod hdlc;
mod hsrp;
mod icmp;
mod icmp6;
mod icmp6_node;
mod igmp;
mod igrp;
mod ip;
mod ip6;
mod ipoib;
mod ipx;
mod isis;
mod isis_reach;
mod isis_tlv;
mod isis_topology;
mod ldp;
mod link;
mod lisp;
mod llc;
mod lldp;
mod lldp_organization;
mod loopback;
mod lsp_ping;
mod macsec;
mod mobility;
mod mpls;
mod mptcp;
mod nflog;
mod nsh;
mod ntp;
mod osi;
mod ospf;
mod ospf6;
mod ospf_grace;
mod ospf_lsa;
mod ospf_traffic;
mod pim;
mod ppp;
mod ppp_login;
mod ppp_options;
mod pppoe;
mod ptp;
mod quic;
mod radius;
mod radius_attributes;
mod rip;
mod rpki;
mod rpl;
mod rtp;
mod rx;
mod slip;
mod slow;
mod someip;
mod stp;
mod switch_tag;
mod tcp;
mod tcp_options;
mod timed;
mod traffic;
mod tunnel;
mod udld;
mod udp;
mod vqp;
mod vrrp;
mod vsock;
mod vtp;

pub use buf::Buf;
pub use model::{Field, Sink, Text, Value};

use box_wire::link::LinkType;

use crate::names::Names;
use crate::text::address::Address;
use crate::text::{Put, Visible, dump, name_of};
use flow::TcpNumbers;

/// Tunnels in tunnels deeper than this are not followed.
pub const MAX_DEPTH: u32 = 32;
/// Text of one packet beyond this is cut off.
pub const MAX_TEXT: usize = 1 << 20;

/// Why a dissector stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A field was not captured: `[|name]`.
    Truncated,
    /// A value cannot be: ` (invalid)`.
    Invalid,
    /// Nested too deep, or too much text.
    Limit,
}

/// The result of a step of dissection.
pub type Step<T = ()> = Result<T, Stop>;

/// What the user wants to see.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-v`, counted.
    pub verbose: u32,
    /// `-q`, counted.
    pub quiet: u32,
    /// `-e`: the link-layer header.
    pub link_header: bool,
    /// `-S`: absolute TCP sequence numbers.
    pub absolute_sequence: bool,
    /// `-K`: no checksums.
    pub unchecked: bool,
    /// `-b`: AS numbers in ASDOT notation.
    pub as_dot: bool,
    /// `-g`: no line break behind the IP header.
    pub one_line: bool,
    /// `-u`: NFS handles undecoded.
    pub undecoded_handles: bool,
    /// `-T`: the payload is of this protocol whatever the port.
    pub payload: Option<Payload>,
}

/// A protocol named by `-T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// DNS.
    Domain,
    /// RTP.
    Rtp,
    /// RTCP.
    Rtcp,
    /// QUIC.
    Quic,
    /// RESP.
    Resp,
    /// TFTP.
    Tftp,
    /// VXLAN.
    Vxlan,
    /// CARP in place of VRRP.
    Carp,
    /// SOME/IP.
    Someip,
    /// One whose dissector is not here: the payload is shown by its length.
    Other,
}

/// What lies between a transport and the network layer: addresses for the text and the checksum.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Source.
    pub source: Address,
    /// Destination of the header.
    pub destination: Address,
    /// The final destination, where a source route says so.
    pub last: Address,
    /// The protocol that the fixed header names, extension headers not counted.
    pub protocol: u8,
    /// TTL or hop limit.
    pub hops: u8,
    /// Whether this is a fragment.
    pub fragment: bool,
}

/// The state of a dissection, reused from packet to packet.
pub struct Ctx<S: Sink> {
    /// The text so far; the caller takes it away.
    pub out: Vec<u8>,
    /// What the user wants.
    pub options: Options,
    /// Names of hosts and ports.
    pub names: Names,
    /// Relative TCP numbers.
    pub tcp: TcpNumbers,
    /// Where fields go.
    pub sink: S,
    /// What compressed serial lines leave out.
    lines: Box<slip::Lines>,
    /// The protocol at work, for `[|name]`.
    protocol: &'static str,
    /// Length of the link-layer header, for `-x`.
    link_header_len: usize,
    depth: u32,
    /// Where the text of this packet begins.
    start: usize,
}

/// Appends a row of values to the text, all of them computed before the first is written.
macro_rules! put {
    ($ctx:expr, $($value:expr),+ $(,)?) => {{
        let values = ($($value,)+);
        $ctx.put(values);
    }};
}
pub(crate) use put;

impl<S: Sink> Ctx<S> {
    /// A fresh state.
    pub fn new(options: Options, names: Names, sink: S) -> Ctx<S> {
        Ctx {
            out: Vec::with_capacity(64 * 1024),
            options,
            names,
            tcp: TcpNumbers::default(),
            sink,
            lines: Box::default(),
            protocol: "",
            link_header_len: 0,
            depth: 0,
            start: 0,
        }
    }

    /// Appends text.
    #[inline(always)]
    pub fn put(&mut self, value: impl Put) {
        if S::TEXT {
            value.put(&mut self.out);
        }
    }

    /// Tells a field.
    #[inline(always)]
    pub fn field<'v>(&mut self, field: Field, value: impl Into<Value<'v>>) {
        if S::FIELDS {
            self.sink.field(field, value.into());
        }
    }

    /// Says whose header comes next.
    #[inline(always)]
    fn layer(&mut self, name: &'static str) {
        self.protocol = name;
        if S::FIELDS {
            self.sink.layer(name);
        }
    }

    /// Dissects a packet of this link type and returns the length of the link-layer header.
    pub fn packet(&mut self, link: LinkType, bytes: &[u8], wire_len: usize) -> usize {
        self.protocol = "";
        self.link_header_len = 0;
        self.depth = 0;
        self.start = self.out.len();
        let outcome = link::print(self, link, Buf::new(bytes), wire_len);
        match outcome {
            Ok(()) => {}
            Err(Stop::Truncated) => self.truncated(),
            Err(Stop::Invalid) => self.invalid(),
            Err(Stop::Limit) => self.put(" [|more]"),
        }
        self.link_header_len
    }

    fn verbose(&self) -> bool {
        self.options.verbose > 0
    }

    /// Says that a field was not captured.
    fn truncated(&mut self) {
        put!(self, " [|", self.protocol, "]");
    }

    /// Says that a value cannot be.
    fn invalid(&mut self) {
        self.put(" (invalid)");
    }

    /// Prints what a nested step stopped at, and goes on; a limit ends everything.
    fn absorb(&mut self, step: Step) -> Step {
        match step {
            Err(Stop::Truncated) => self.truncated(),
            Err(Stop::Invalid) => self.invalid(),
            other => return other,
        }
        Ok(())
    }

    /// Runs a layer inside a layer.
    fn nested<T>(&mut self, layer: impl FnOnce(&mut Self) -> Step<T>) -> Step<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Stop::Limit);
        }
        self.depth += 1;
        let outcome = layer(self);
        self.depth -= 1;
        outcome
    }

    /// Checks in a loop that the text has not grown beyond all measure.
    fn check_text(&self) -> Step {
        if self.out.len() - self.start > MAX_TEXT { Err(Stop::Limit) } else { Ok(()) }
    }

    /// A host by name or number.
    #[inline]
    fn host(&mut self, address: Address) {
        if S::TEXT {
            self.names.host(&mut self.out, address);
        }
    }

    /// An IPv4 address at `offset`, by name or number.
    fn host4(&mut self, buf: Buf<'_>, offset: usize) -> Step {
        let address = buf.array_at(offset)?;
        self.host(Address::V4(crate::text::address::Ip4(address)));
        Ok(())
    }

    /// An IPv6 address at `offset`, by name or number.
    fn host6(&mut self, buf: Buf<'_>, offset: usize) -> Step {
        let address = buf.array_at(offset)?;
        self.host(Address::V6(crate::text::address::Ip6(address)));
        Ok(())
    }

    fn tcp_port(&mut self, port: u16) {
        if S::TEXT {
            self.names.tcp_port(&mut self.out, port);
        }
    }

    fn udp_port(&mut self, port: u16) {
        if S::TEXT {
            self.names.udp_port(&mut self.out, port);
        }
    }

    /// A link-layer address, with its maker where names are wanted.
    fn mac(&mut self, address: &[u8]) {
        if S::TEXT {
            self.names.mac(&mut self.out, address);
        }
    }

    /// The bytes in hex and ASCII, as an unknown payload is shown.
    fn default_print(&mut self, buf: Buf<'_>) {
        if S::TEXT {
            dump::hex_and_ascii(&mut self.out, b"\n\t", buf.bytes());
        }
    }

    /// The bytes in hex alone, each line behind `indent`.
    fn hex_print(&mut self, indent: &str, buf: Buf<'_>, len: usize) {
        if S::TEXT {
            dump::hex_only(&mut self.out, indent.as_bytes(), buf.limit(len).bytes());
        }
    }

    /// So many bytes, what is not printable made visible; to the end of what was captured.
    fn visible(&mut self, buf: Buf<'_>, len: usize) -> Step {
        self.put(Visible(buf.limit(len).bytes()));
        buf.need(len)
    }

    /// As [`Ctx::visible`], up to a NUL that may come before.
    fn visible_to_nul(&mut self, buf: Buf<'_>, len: usize) -> Step {
        let text = buf.limit(len).bytes();
        match memchr::memchr(0, text) {
            Some(end) => {
                self.put(Visible(text.get(..end).unwrap_or_default()));
                Ok(())
            }
            None => self.visible(buf, len),
        }
    }

    /// The name of an IP protocol in a sentence.
    fn ip_protocol(&mut self, protocol: u8) {
        match self.names.protocol(protocol) {
            Some(name) => put!(self, " ", name),
            None => put!(self, " ip-proto-", protocol),
        }
    }
}

/// The short name of an IP protocol, or `unknown`.
fn ip_protocol_name(protocol: u8) -> &'static str {
    name_of(registry::IP_PROTOCOL_NAMES, protocol.into()).unwrap_or("unknown")
}
