//! What a dissection yields beside text: fields with fixed names, and the sinks that take them.
//!
//! A dissector calls both `put!` and [`field`](super::Ctx::field). Which of the two does something is
//! a constant of the sink, so that the calls of the other compile to nothing: one dissection feeds
//! every output.

use crate::text::address::Address;

/// A field of a layer. Its name is the key of JSON, the column of SQL and the word of a display
/// filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it: see `Field::name`")]
pub enum Field {
    EthSource,
    EthDestination,
    EthType,
    VlanId,
    ArpOperation,
    IpSource,
    IpDestination,
    IpTtl,
    IpProtocol,
    IpLength,
    Ipv6Source,
    Ipv6Destination,
    Ipv6HopLimit,
    TcpSourcePort,
    TcpDestinationPort,
    TcpFlags,
    TcpSequence,
    TcpAcknowledgement,
    TcpWindow,
    TcpLength,
    UdpSourcePort,
    UdpDestinationPort,
    UdpLength,
    IcmpType,
    IcmpCode,
    Icmpv6Type,
    Icmpv6Code,
    DnsId,
    DnsResponse,
    DnsQueryName,
    DnsQueryType,
}

impl Field {
    /// The name, as display filters spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Field::EthSource => "eth.src",
            Field::EthDestination => "eth.dst",
            Field::EthType => "eth.type",
            Field::VlanId => "vlan.id",
            Field::ArpOperation => "arp.opcode",
            Field::IpSource => "ip.src",
            Field::IpDestination => "ip.dst",
            Field::IpTtl => "ip.ttl",
            Field::IpProtocol => "ip.proto",
            Field::IpLength => "ip.len",
            Field::Ipv6Source => "ipv6.src",
            Field::Ipv6Destination => "ipv6.dst",
            Field::Ipv6HopLimit => "ipv6.hlim",
            Field::TcpSourcePort => "tcp.srcport",
            Field::TcpDestinationPort => "tcp.dstport",
            Field::TcpFlags => "tcp.flags",
            Field::TcpSequence => "tcp.seq_raw",
            Field::TcpAcknowledgement => "tcp.ack_raw",
            Field::TcpWindow => "tcp.window_size_value",
            Field::TcpLength => "tcp.len",
            Field::UdpSourcePort => "udp.srcport",
            Field::UdpDestinationPort => "udp.dstport",
            Field::UdpLength => "udp.length",
            Field::IcmpType => "icmp.type",
            Field::IcmpCode => "icmp.code",
            Field::Icmpv6Type => "icmpv6.type",
            Field::Icmpv6Code => "icmpv6.code",
            Field::DnsId => "dns.id",
            Field::DnsResponse => "dns.flags.response",
            Field::DnsQueryName => "dns.qry.name",
            Field::DnsQueryType => "dns.qry.type",
        }
    }
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number.
    Number(u64),
    /// An address.
    Address(Address),
    /// Bytes: a link-layer address, a name as it was on the wire.
    Bytes(&'a [u8]),
}

impl From<u8> for Value<'_> {
    fn from(value: u8) -> Self {
        Value::Number(value.into())
    }
}

impl From<u16> for Value<'_> {
    fn from(value: u16) -> Self {
        Value::Number(value.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Value::Number(value.into())
    }
}

impl From<Address> for Value<'_> {
    fn from(value: Address) -> Self {
        Value::Address(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Value::Bytes(value)
    }
}

/// Where a dissection goes.
pub trait Sink: 'static {
    /// Whether text is wanted.
    const TEXT: bool;
    /// Whether fields are wanted.
    const FIELDS: bool;

    /// Takes a field of the packet.
    fn field(&mut self, field: Field, value: Value<'_>);
}

/// Text alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text;

impl Sink for Text {
    const TEXT: bool = true;
    const FIELDS: bool = false;

    #[inline(always)]
    fn field(&mut self, _: Field, _: Value<'_>) {}
}
