//! What a dissection yields beside text: fields with fixed names, and the sinks that take them.
//!
//! A dissector calls both `put!` and [`field`](super::Ctx::field). Which of the two does something is
//! a constant of the sink, so that the calls of the other compile to nothing: one dissection feeds
//! every output.

use crate::text::address::Address;

/// How the value of a field is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// A number, or an address in its own notation.
    Decimal,
    /// `0x` and so many digits at least.
    Hex(usize),
    /// Six bytes with colons.
    Mac,
    /// Text.
    Text,
    /// Bytes in hex.
    Bytes,
}

macro_rules! fields {
    ($($field:ident $name:literal $spelling:expr;)+) => {
        /// A field of a layer. Its name is the key of JSON, the column of SQL and the word of a
        /// display filter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names say it: see `Field::name`")]
        pub enum Field {
            $($field,)+
        }

        impl Field {
            /// All of them.
            pub const ALL: &'static [Field] = &[$(Field::$field,)+];

            /// The name, as display filters spell it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Field::$field => $name,)+
                }
            }

            /// How values are spelt.
            pub const fn spelling(self) -> Spelling {
                match self {
                    $(Field::$field => $spelling,)+
                }
            }
        }
    };
}

fields! {
    EthSource "eth.src" Spelling::Mac;
    EthDestination "eth.dst" Spelling::Mac;
    EthType "eth.type" Spelling::Hex(4);
    VlanId "vlan.id" Spelling::Decimal;
    VlanType "vlan.etype" Spelling::Hex(4);
    ArpOperation "arp.opcode" Spelling::Decimal;
    ArpSenderMac "arp.src.hw_mac" Spelling::Mac;
    ArpSenderIp "arp.src.proto_ipv4" Spelling::Decimal;
    ArpTargetMac "arp.dst.hw_mac" Spelling::Mac;
    ArpTargetIp "arp.dst.proto_ipv4" Spelling::Decimal;
    IpHeaderLength "ip.hdr_len" Spelling::Decimal;
    IpService "ip.dsfield" Spelling::Hex(2);
    IpLength "ip.len" Spelling::Decimal;
    IpId "ip.id" Spelling::Hex(4);
    IpTtl "ip.ttl" Spelling::Decimal;
    IpProtocol "ip.proto" Spelling::Decimal;
    IpChecksum "ip.checksum" Spelling::Hex(4);
    IpSource "ip.src" Spelling::Decimal;
    IpDestination "ip.dst" Spelling::Decimal;
    Ipv6PayloadLength "ipv6.plen" Spelling::Decimal;
    Ipv6Next "ipv6.nxt" Spelling::Decimal;
    Ipv6HopLimit "ipv6.hlim" Spelling::Decimal;
    Ipv6Source "ipv6.src" Spelling::Decimal;
    Ipv6Destination "ipv6.dst" Spelling::Decimal;
    TcpSourcePort "tcp.srcport" Spelling::Decimal;
    TcpDestinationPort "tcp.dstport" Spelling::Decimal;
    TcpLength "tcp.len" Spelling::Decimal;
    TcpSequence "tcp.seq_raw" Spelling::Decimal;
    TcpAcknowledgement "tcp.ack_raw" Spelling::Decimal;
    TcpHeaderLength "tcp.hdr_len" Spelling::Decimal;
    TcpFlags "tcp.flags" Spelling::Hex(4);
    TcpWindow "tcp.window_size_value" Spelling::Decimal;
    TcpChecksum "tcp.checksum" Spelling::Hex(4);
    TcpUrgent "tcp.urgent_pointer" Spelling::Decimal;
    TcpPayload "tcp.payload" Spelling::Bytes;
    UdpSourcePort "udp.srcport" Spelling::Decimal;
    UdpDestinationPort "udp.dstport" Spelling::Decimal;
    UdpLength "udp.length" Spelling::Decimal;
    UdpChecksum "udp.checksum" Spelling::Hex(4);
    IcmpType "icmp.type" Spelling::Decimal;
    IcmpCode "icmp.code" Spelling::Decimal;
    IcmpChecksum "icmp.checksum" Spelling::Hex(4);
    Icmpv6Type "icmpv6.type" Spelling::Decimal;
    Icmpv6Code "icmpv6.code" Spelling::Decimal;
    DnsId "dns.id" Spelling::Hex(4);
    DnsResponse "dns.flags.response" Spelling::Decimal;
    DnsCode "dns.flags.rcode" Spelling::Decimal;
    DnsQuestions "dns.count.queries" Spelling::Decimal;
    DnsAnswers "dns.count.answers" Spelling::Decimal;
    DnsQueryName "dns.qry.name" Spelling::Text;
    DnsQueryType "dns.qry.type" Spelling::Decimal;
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

    /// Takes the name of a protocol whose header comes next.
    fn layer(&mut self, _: &'static str) {}
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

/// Text and what is told of one packet, to be looked at once it is whole.
#[derive(Debug, Default)]
pub struct Record {
    fields: Vec<(Field, Stored)>,
    bytes: Vec<u8>,
    layers: Vec<&'static str>,
}

/// A value with its bytes in the arena of the record.
#[derive(Clone, Copy, Debug)]
enum Stored {
    Number(u64),
    Address(Address),
    Bytes(usize, usize),
}

/// No packet of the world has more; what a hostile one has beyond is left out.
const MAX_FIELDS: usize = 1024;

impl Record {
    /// Forgets the packet.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.bytes.clear();
        self.layers.clear();
    }

    /// The protocols, outermost first, by the names that display filters use.
    pub fn layers(&self) -> impl Iterator<Item = &'static str> {
        self.layers.iter().map(|name| match *name {
            "ether" => "eth",
            "ip6" => "ipv6",
            "icmp6" => "icmpv6",
            "domain" => "dns",
            "bootp" => "dhcp",
            "dhcp6" => "dhcpv6",
            "pimv2" => "pim",
            "ospf2" | "ospf3" => "ospf",
            name => name,
        })
    }

    /// The fields in the order of the packet.
    pub fn fields(&self) -> impl Iterator<Item = (Field, Value<'_>)> {
        self.fields.iter().map(|(field, stored)| (*field, self.value(*stored)))
    }

    /// The values of a field.
    pub fn values(&self, field: Field) -> impl Iterator<Item = Value<'_>> {
        self.fields().filter(move |row| row.0 == field).map(|row| row.1)
    }

    /// The first value of a field, where that is a number.
    pub fn number(&self, field: Field) -> Option<u64> {
        self.values(field).find_map(|value| match value {
            Value::Number(number) => Some(number),
            _ => None,
        })
    }

    /// The first value of a field, where that is an address.
    pub fn address(&self, field: Field) -> Option<Address> {
        self.values(field).find_map(|value| match value {
            Value::Address(address) => Some(address),
            _ => None,
        })
    }

    fn value(&self, stored: Stored) -> Value<'_> {
        match stored {
            Stored::Number(number) => Value::Number(number),
            Stored::Address(address) => Value::Address(address),
            Stored::Bytes(start, end) => {
                Value::Bytes(self.bytes.get(start..end).unwrap_or_default())
            }
        }
    }
}

impl Sink for Record {
    const TEXT: bool = true;
    const FIELDS: bool = true;

    fn field(&mut self, field: Field, value: Value<'_>) {
        if self.fields.len() >= MAX_FIELDS {
            return;
        }
        let stored = match value {
            Value::Number(number) => Stored::Number(number),
            Value::Address(address) => Stored::Address(address),
            Value::Bytes(bytes) => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(bytes);
                Stored::Bytes(start, self.bytes.len())
            }
        };
        self.fields.push((field, stored));
    }

    fn layer(&mut self, name: &'static str) {
        if self.layers.len() < MAX_FIELDS && self.layers.last() != Some(&name) {
            self.layers.push(name);
        }
    }
}
