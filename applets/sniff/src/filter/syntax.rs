//! What an expression is made of: qualifiers, identifiers, and the postfix steps of the parser.

use std::net::Ipv6Addr;

/// Names of the enum's variants as expressions spell them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* #[allow(missing_docs)] $variant,)* }

        impl $name {
            /// The word in an expression, and in messages.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

words! {
    /// A protocol name: qualifier, abbreviation, or what is indexed by `[...]`.
    Proto {
        Link = "link", Ip = "ip", Arp = "arp", Rarp = "rarp", Sctp = "sctp", Tcp = "tcp",
        Udp = "udp", Icmp = "icmp", Igmp = "igmp", Igrp = "igrp", Pim = "pim", Vrrp = "vrrp",
        Carp = "carp", Atalk = "atalk", Aarp = "aarp", Decnet = "decnet", Lat = "lat", Sca = "sca",
        Moprc = "moprc", Mopdl = "mopdl", Ip6 = "ip6", Icmp6 = "icmp6", Ah = "ah", Esp = "esp",
        Iso = "iso", Esis = "esis", Isis = "isis", Clnp = "clnp", Stp = "stp", Ipx = "ipx",
        Netbeui = "netbeui", IsisL1 = "l1", IsisL2 = "l2", IsisIih = "iih", IsisLsp = "lsp",
        IsisSnp = "snp", IsisCsnp = "csnp", IsisPsnp = "psnp", Radio = "radio",
    }
}

words! {
    /// A direction qualifier.
    Dir {
        Src = "src", Dst = "dst", SrcOrDst = "src or dst", SrcAndDst = "src and dst",
        Addr1 = "addr1", Addr2 = "addr2", Addr3 = "addr3", Addr4 = "addr4", Ra = "ra", Ta = "ta",
    }
}

words! {
    /// A type qualifier: what the identifier is.
    Kind {
        Host = "host", Net = "net", Port = "port", PortRange = "portrange", Gateway = "gateway",
        Proto = "proto", ProtoChain = "protochain",
    }
}

words! {
    /// An ATM abbreviation or field (SunATM captures).
    Atm {
        Lane = "lane", Metac = "metac", Bcc = "bcc", OamF4Ec = "oamf4ec", OamF4Sc = "oamf4sc",
        Sc = "sc", Ilmic = "ilmic", Oam = "oam", OamF4 = "oamf4", ConnectMsg = "connectmsg",
        MetaConnect = "metaconnect", Vpi = "vpi", Vci = "vci",
    }
}

words! {
    /// An SS7 message type (MTP2) or field (MTP3); those with `h` are for high-speed links.
    Ss7 {
        Fisu = "fisu", Lssu = "lssu", Msu = "msu", Hfisu = "hfisu", Hlssu = "hlssu", Hmsu = "hmsu",
        Sio = "sio", Opc = "opc", Dpc = "dpc", Sls = "sls", Hsio = "hsio", Hopc = "hopc",
        Hdpc = "hdpc", Hsls = "hsls",
    }
}

/// The qualifiers in front of an identifier. What is not given is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Qualifiers {
    /// `tcp` in `tcp src port 80`.
    pub proto: Option<Proto>,
    /// `src` in `tcp src port 80`.
    pub dir: Option<Dir>,
    /// `port` in `tcp src port 80`.
    pub kind: Option<Kind>,
}

/// An identifier: what the qualifiers qualify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    /// A name: host, service, protocol, network, or a range of ports.
    Name(String),
    /// A bare number.
    Number(u32),
    /// Two to four numbers with dots, as written.
    Dotted(String),
    /// Dotted, and the number of bits after `/`.
    DottedPrefix(String, u32),
    /// Dotted, and the dotted netmask after `mask`.
    DottedMask(String, String),
    /// An IPv6 address, its text, and the number of bits after `/`.
    V6(Ipv6Addr, String, Option<u32>),
    /// A 48-bit MAC address.
    Mac([u8; 6]),
    /// An 8-bit MAC address (`$0e`; ARCNET, MS/TP).
    Mac8(u8),
}

/// A comparison between two values: the operation, and whether its opposite is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// `JEQ`, `JGT` or `JGE`.
    pub jump: u16,
    /// `!=`, `<=` and `<` are the opposites of the three.
    pub negated: bool,
}

/// The operator of `byte N op N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOp {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `&`
    And,
    /// `|`
    Or,
}

/// A field of the pf log header and the value wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pf {
    /// `ifname`, `on`
    Interface(String),
    /// `ruleset`, `rset`
    Ruleset(String),
    /// `rulenum`, `rnr`
    Rule(u32),
    /// `subrulenum`, `srnr`
    Subrule(u32),
    /// `reason`
    Reason(u32),
    /// `action`
    Action(u32),
}

/// What of LLC frames `llc` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Llc {
    /// Any.
    Any,
    /// Information frames.
    I,
    /// Supervisory frames.
    S,
    /// Unnumbered frames.
    U,
    /// A supervisory frame of this command.
    Supervisory(u32),
    /// An unnumbered frame of this command.
    Unnumbered(u32),
}

/// One step of an expression in postfix order. Conditions and values have a stack each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Pushes the condition of a qualified identifier; `None` where nothing qualifies it.
    Id(Id, Option<Qualifiers>),
    /// Pushes the condition that the packet is of a protocol.
    Abbreviation(Proto),
    /// `broadcast`
    Broadcast(Option<Proto>),
    /// `multicast`
    Multicast(Option<Proto>),
    /// `less N`
    Less(u32),
    /// `greater N`
    Greater(u32),
    /// `byte OFFSET op VALUE`
    Byte(u32, ByteOp, u32),
    /// `inbound`, `outbound`
    Direction {
        /// `outbound`
        outbound: bool,
    },
    /// `ifindex N`
    IfIndex(u32),
    /// `vlan [N]`
    Vlan(Option<u32>),
    /// `mpls [N]`
    Mpls(Option<u32>),
    /// `pppoed`
    Pppoed,
    /// `pppoes [N]`
    Pppoes(Option<u32>),
    /// `geneve [N]`
    Geneve(Option<u32>),
    /// `vxlan [N]`
    Vxlan(Option<u32>),
    /// A pf log field.
    Pf(Pf),
    /// The 802.11 frame control byte: value, and the mask to compare under.
    WlanType(u32, u32),
    /// The 802.11 direction bits.
    WlanDir(u32),
    /// `llc [...]`
    Llc(Llc),
    /// An ATM abbreviation.
    AtmType(Atm),
    /// An ATM field compared with a number.
    AtmField(Atm, Relation, u32),
    /// An SS7 message type.
    Ss7Type(Ss7),
    /// An SS7 field compared with a number.
    Ss7Field(Ss7, Relation, u32),
    /// Pushes a value.
    Number(u32),
    /// Pushes the packet's length on the wire.
    Length,
    /// Replaces an offset by the 1, 2 or 4 bytes there in a protocol's header.
    Load(Proto, u32),
    /// Replaces two values by the result of an ALU operation.
    Compute(u16),
    /// Negates a value.
    Negate,
    /// Replaces two values by the condition that they relate so.
    Compare(Relation),
    /// Negates a condition.
    Not,
    /// Replaces two conditions by both.
    And,
    /// Replaces two conditions by either.
    Or,
}
