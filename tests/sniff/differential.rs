//! Beside Debian's tcpdump: the packets that expressions match, and text that did not change between
//! its version and the one that is followed.

use crate::bx;
use box_harness::{oracle, shared};
use std::path::PathBuf;
use std::process::Command;

/// Expressions of all kinds (`ip multicast` is not among them: newer compilers leave broadcast out): hosts, ports, nets, protocols, arithmetic, link layer, offsets.
const FILTERS: &[&str] = &[
    "ip",
    "ip6",
    "arp",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "tcp port 80",
    "port 53",
    "udp port 53 or tcp port 53",
    "src port 22",
    "dst portrange 20-100",
    "host 192.168.1.11",
    "src host 10.0.0.1 and not port 80",
    "net 10.0.0.0/8",
    "dst net 192.168 mask 255.255.0.0",
    "ether host ff:ff:ff:ff:ff:ff",
    "ether multicast",
    "ip6 multicast",
    "vlan",
    "vlan 200 and ip",
    "less 64",
    "greater 200",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[13] = 2",
    "ip[6:2] & 0x1fff = 0 and udp",
    "ip[0] & 0xf != 5",
    "icmp[icmptype] = icmp-echo",
    "ip proto 17",
    "ip6 proto 58",
    "ether proto 0x88cc",
    "ether[0] & 1 = 1",
    "not (tcp or udp)",
    "len - 14 > 100",
    "ip broadcast or ether broadcast",
    "ip6[6] = 0",
    "proto 47",
    "stp or lldp or rarp",
    "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
    "udp[8:2] > 0x1000",
    "mpls",
    "pppoes",
    "ip protochain 6",
];

fn captures() -> Vec<PathBuf> {
    let Some(folder) = shared("sniff/tcpdump-tests") else { return Vec::new() };
    [
        "QinQpacket.pcap",
        "dns_tcp.pcap",
        "ssh.pcap",
        "dcb_ets.pcap",
        "resp_1_benchmark.pcap",
        "icmpv6.pcap",
        "IGMP_V1.pcap",
        "802.1w_rapid_STP.pcap",
        "ipv6-srh-insert-cksum.pcap",
        "tfo-5c1fa7f9ae91.pcap",
        "dhcp-mud.pcap",
    ]
    .iter()
    .map(|name| folder.join(name))
    .filter(|path| path.exists())
    .collect()
}

#[test]
fn expressions_match_the_same_packets() {
    let Some(tcpdump) = oracle("tcpdump") else { return };
    for capture in captures() {
        let path = capture.to_str().unwrap();
        for filter in FILTERS {
            let theirs =
                Command::new(&tcpdump).args(["-r", path, "-w", "-", filter]).output().unwrap();
            let ours = bx().command(["sniff", "-r", path, "-w", "-", filter]).output().unwrap();
            assert_eq!(
                theirs.status.success(),
                ours.status.success(),
                "{filter}: {}",
                String::from_utf8_lossy(&ours.stderr)
            );
            assert!(theirs.stdout == ours.stdout, "{path}: {filter} matches other packets");
        }
    }
}

#[test]
fn plain_text_is_the_incumbents() {
    let Some(tcpdump) = oracle("tcpdump") else { return };
    for capture in captures() {
        let path = capture.to_str().unwrap();
        // Without -v, and without what 4.99.6 prints anew, the two versions agree.
        let filter = "(tcp and not port 80 or arp or icmp) and not (ip[0] & 0xf != 5)";
        for flags in [
            "-n", "-nq", "-ne", "-nS", "-ntt", "-nttt", "-ntttt", "-nttttt", "-nx", "-nxx", "-nX",
            "-nXX", "-nA", "-nAA", "-n#", "-nc3", "-ns96",
        ] {
            let run =
                |mut command: Command| command.env("TZ", "GMT0").output().expect("both run").stdout;
            let mut theirs = Command::new(&tcpdump);
            theirs.args([flags, "-r", path, filter]);
            let ours = bx().command(["sniff", flags, "-r", path, filter]);
            let (theirs, ours) = (run(theirs), run(ours));
            assert_eq!(
                String::from_utf8_lossy(&ours),
                String::from_utf8_lossy(&theirs),
                "{flags} {path}"
            );
        }
    }
}
