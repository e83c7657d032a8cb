//! Random words and random bytes: nothing panics, what compiles is valid and means one thing.

use super::machine::{self, End, Random};
use super::{compile, packets};
use box_wire::link::LinkType;

const WORDS: &[&str] = &[
    "ip",
    "ip6",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "arp",
    "ether",
    "link",
    "wlan",
    "decnet",
    "iso",
    "isis",
    "host",
    "net",
    "port",
    "portrange",
    "proto",
    "protochain",
    "gateway",
    "src",
    "dst",
    "addr1",
    "ra",
    "and",
    "or",
    "not",
    "!",
    "&&",
    "||",
    "(",
    ")",
    "[",
    "]",
    ":",
    "+",
    "-",
    "*",
    "/",
    "%",
    "&",
    "|",
    "^",
    "<<",
    ">>",
    "=",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
    "0",
    "1",
    "2",
    "4",
    "80",
    "443",
    "0x800",
    "4294967295",
    "65535",
    "1.2.3.4",
    "10.0.0.0/8",
    "10",
    "::1",
    "fe80::/10",
    "02:aa:bb:cc:00:01",
    "$0e",
    "vlan",
    "mpls",
    "pppoes",
    "pppoed",
    "geneve",
    "vxlan",
    "len",
    "less",
    "greater",
    "byte",
    "broadcast",
    "multicast",
    "llc",
    "type",
    "subtype",
    "mgt",
    "dir",
    "tcp-syn",
    "tcpflags",
    "inbound",
    "radio",
    "vpi",
    "lane",
    "sio",
    "fisu",
    "rnr",
    "reason",
    "both.example",
    "25-53",
    "mask",
    "255.0.0.0",
    "ifindex",
    "\\tcp",
    "aarp",
    "stp",
    "l1",
    "lsp",
];

const LINK_TYPES: &[u16] = &[
    1, 1, 1, 0, 6, 7, 9, 10, 101, 104, 105, 107, 113, 117, 119, 122, 123, 127, 140, 163, 192, 226,
    228, 240, 276, 281, 147,
];

fn soup(random: &mut Random) -> String {
    let count = 1 + random.below(14);
    (0..count).map(|_| random.pick(WORDS)).collect::<Vec<_>>().join(" ")
}

/// Expressions that are right more often than not.
fn plausible(random: &mut Random, depth: usize) -> String {
    let primitives = [
        "tcp",
        "ip6",
        "udp port 53",
        "port 80",
        "host 10.0.0.9",
        "net 10.0.0.0/8",
        "vlan 7",
        "mpls",
        "pppoes",
        "geneve",
        "vxlan 42",
        "less 100",
        "len > 60",
        "tcp[13] & 2 != 0",
        "ip[2:2] - 20 > udp[4:2]",
        "ether[0] & 1 = 1",
        "portrange 20-90",
        "icmp6[0] = 128",
        "ip[ip[0] & 15] % 7 = len / (ip[8] - 64)",
        "ether broadcast",
        "ip protochain 6",
        "link[len - 1] > 128",
        "-1 = 4294967295",
        "1 / len < 2",
    ];
    if depth == 0 || random.below(3) == 0 {
        return random.pick(&primitives).to_owned();
    }
    let (left, right) = (plausible(random, depth - 1), plausible(random, depth - 1));
    match random.below(5) {
        0 => format!("not ({left})"),
        1 => format!("({left}) or ({right})"),
        2 => format!("({left}) and not ({right})"),
        3 => format!("{left} and {right}"),
        _ => format!("{left} or {right}"),
    }
}

fn try_it(expression: &str, link_type: LinkType, packets: &[Vec<u8>]) -> bool {
    let Ok(plain) = compile(expression, link_type, false) else { return false };
    let optimized = compile(expression, link_type, true);
    for packet in packets {
        let length = packet.len() as u32;
        let end = machine::run(plain.instructions(), packet, length);
        assert_eq!(plain.run(packet, length), end.value(), "{expression}");
        if end == End::Faulted {
            continue;
        }
        let decision = match &optimized {
            Ok(program) => program.run(packet, length),
            Err(_) => 0,
        };
        assert_eq!(decision, end.value(), "{expression} on {packet:02x?}");
    }
    true
}

#[test]
fn words_in_any_order() {
    let mut random = Random(0xf11e);
    let packets = packets(&mut random, 10);
    let mut accepted = 0;
    for _ in 0..60_000 {
        let expression = soup(&mut random);
        let link_type = LinkType(LINK_TYPES[random.below(LINK_TYPES.len())]);
        accepted += usize::from(try_it(&expression, link_type, &packets));
    }
    assert!(accepted > 500, "{accepted} of the soups compiled");
}

#[test]
fn plausible_expressions() {
    let mut random = Random(0x9145);
    let packets = packets(&mut random, 60);
    let mut accepted = 0;
    for _ in 0..3_000 {
        let expression = plausible(&mut random, 4);
        accepted += usize::from(try_it(&expression, LinkType::ETHERNET, &packets));
    }
    assert!(accepted > 1_000, "{accepted} of the expressions compiled");
}

#[test]
fn characters_in_any_order() {
    let mut random = Random(0xc4a7);
    let alphabet: Vec<char> =
        "abcdefx0123456789:.-_/\\$[]()!&|<>=+*%^ \t\n\u{e9}\u{0}tcp".chars().collect();
    for _ in 0..100_000 {
        let length = random.below(40);
        let text: String = (0..length).map(|_| alphabet[random.below(alphabet.len())]).collect();
        let _ = compile(&text, LinkType::ETHERNET, true);
    }
}

#[test]
fn long_expressions() {
    for (start, more) in [
        ("tcp", " or tcp"),
        ("port 1", " or port 2"),
        ("1", "+1"),
        ("not", " not"),
        ("host 1.2.3.4", " and vlan 5"),
        ("ip[0]", " + ip[1]"),
        ("", "("),
        ("", "-"),
        ("", "1:"),
        ("", "ip["),
    ] {
        let expression = format!("{start}{}", more.repeat(3_000));
        for text in [expression.clone(), format!("{expression} = 1")] {
            let _ = compile(&text, LinkType::ETHERNET, true);
        }
    }
}
