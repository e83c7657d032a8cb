//! What is made of the fields of packets: JSON, columns, display filters, tables, streams.

use crate::{bx, sample};
use box_harness::{oracle, shared};
use std::process::Command;

/// An Ethernet frame with an IPv4 packet of TCP between 10.0.0.1:40000 and 10.0.0.2:80.
fn segment(back: bool, sequence: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let total = (40 + data.len()) as u16;
    frame.extend([0x45, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 6, 0, 0]);
    let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (client_port, server_port) = (40_000u16.to_be_bytes(), 80u16.to_be_bytes());
    let ends = [(client, client_port), (server, server_port)];
    let (from, to) = if back { (ends[1], ends[0]) } else { (ends[0], ends[1]) };
    frame.extend(from.0);
    frame.extend(to.0);
    frame.extend(from.1);
    frame.extend(to.1);
    frame.extend(sequence.to_be_bytes());
    frame.extend([0, 0, 0, 1, 0x50, flags, 2, 0, 0, 0, 0, 0]);
    frame.extend(data);
    frame
}

fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 0x4_0000, 1] {
        file.extend(word.to_le_bytes());
    }
    for (second, frame) in frames.iter().enumerate() {
        for word in [second as u32, 500_000, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

fn connection() -> Vec<u8> {
    capture(&[
        segment(false, 99, 0x02, b""),
        segment(true, 199, 0x12, b""),
        segment(false, 104, 0x18, b"world"),
        segment(false, 100, 0x18, b"1234"),
        segment(false, 100, 0x18, b"1234"),
        segment(true, 200, 0x18, b"\x01ok"),
    ])
}

#[test]
fn json_has_an_object_a_line() {
    let ran = bx().feed(["sniff", "-r", "-", "--json"], connection()).succeeds();
    let first = ran.out().lines().next().unwrap_or_default().to_owned();
    assert!(first.starts_with(
        "{\"frame.number\":1,\"frame.time_epoch\":\"0.500000000\",\"frame.len\":54,\
         \"frame.cap_len\":54,\"frame.protocols\":\"eth:ip:tcp\",\"eth.dst\":\"02:00:00:00:00:01\""
    ));
    assert!(first.contains("\"ip.src\":\"10.0.0.1\"") && first.contains("\"tcp.dstport\":80"));
    assert_eq!(ran.out().lines().count(), 6);
}

#[test]
fn columns_stand_between_tabs() {
    bx().feed(["sniff", "-r", "-", "--fields", "frame.number,tcp.flags,tcp.len"], connection())
        .succeeds()
        .stdout(
            "1\t0x0002\t0\n2\t0x0012\t0\n3\t0x0018\t5\n4\t0x0018\t4\n5\t0x0018\t4\n6\t0x0018\t3\n",
        );
    let ran = bx().feed(["sniff", "-r", "-", "--fields", "ip.sorce"], connection()).fails(1);
    assert!(ran.err().contains("no field is called \"ip.sorce\"") && ran.err().contains("ip.src"));
}

#[test]
fn a_display_filter_chooses_packets() {
    let numbers = |filter: &str| {
        let words = ["sniff", "-r", "-", "--where", filter, "--fields", "frame.number"];
        let ran = bx().feed(words, connection()).succeeds();
        ran.out().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(numbers("tcp.flags.syn == 1"), "1 2");
    assert_eq!(numbers("tcp.flags.syn == 1 && !tcp.flags.ack == 1"), "1");
    assert_eq!(numbers("ip.src == 10.0.0.2"), "2 6");
    assert_eq!(numbers("ip.addr != 10.0.0.2"), "");
    assert_eq!(numbers("tcp.len in {1..3, 5}"), "3 6");
    assert_eq!(numbers("tcp.payload contains \"orl\" or frame.number <= 1"), "1 3");
    assert_eq!(numbers("udp or arp"), "");
    bx().feed(["sniff", "-r", "-", "--where", "tcp.port =="], connection()).fails(1);
}

#[test]
fn a_display_filter_applies_to_text_and_to_files() {
    let ran = bx().feed(["sniff", "-nr", "-", "--where", "tcp.len == 5"], connection()).succeeds();
    assert!(ran.out().contains("length 5: HTTP") && ran.out().lines().count() == 1);
    let words = ["sniff", "-r", "-", "--where", "tcp.len == 5", "-w", "-"];
    let ran = bx().feed(words, connection()).succeeds();
    assert_eq!(ran.output.stdout.len(), 24 + 16 + 54 + 5);
}

#[test]
fn a_connection_is_followed_in_order() {
    let rule = "=".repeat(67);
    let expected = format!(
        "\n{rule}\nFollow: tcp,ascii\nFilter: tcp.stream eq 0\nNode 0: 10.0.0.1:40000\n\
         Node 1: 10.0.0.2:80\n4\n1234\n5\nworld\n\t3\n.ok\n{rule}\n"
    );
    bx().feed(["sniff", "-r", "-", "--follow", "tcp:0"], connection())
        .succeeds()
        .stdout(&*expected);
    let ran =
        bx().feed(["sniff", "-r", "-", "--follow", "tcp:0", "--raw"], connection()).succeeds();
    assert!(ran.out().contains("\n31323334\n776f726c64\n\t016f6b\n"));
}

#[test]
fn tables_are_printed_at_the_end() {
    bx().feed(["sniff", "-r", "-", "--stats", "conv,proto,io=2s"], connection()).succeeds().stdout(
        "conversations      A -> B: frames  bytes | B -> A: frames  bytes | frames  bytes\n\
         ip   10.0.0.1 <-> 10.0.0.2  4 229 | 2 111 | 6 340\n\
         tcp  10.0.0.1:40000 <-> 10.0.0.2:80  4 229 | 2 111 | 6 340\n\n\
         protocols\neth frames:6 bytes:340\n  ip frames:6 bytes:340\n    tcp frames:6 bytes:340\n\
         \x20     http frames:4 bytes:232\n\n\
         interval (s)      frames  bytes\n     0 <> 2       2 108\n     2 <> 4       2 117\n\
         \x20    4 <> 6       2 115\n",
    );
    bx().feed(["sniff", "-r", "-", "--stats", "convs"], sample()).fails(1);
}

/// Against tshark, over captures of the shared set, where both are at hand.
#[test]
fn fields_are_those_of_wireshark() {
    let Some(folder) = shared("sniff/tcpdump-tests") else { return };
    let Some(tshark) = oracle("tshark") else { return };
    const FIELDS: &str = "frame.number,frame.len,eth.src,eth.type,ip.src,ip.dst,ip.ttl,ip.proto,\
                          tcp.srcport,tcp.dstport,tcp.seq_raw,tcp.flags,udp.srcport,udp.dstport";
    for name in ["dns_tcp.pcap", "ipv4_tcp_http_xml.pcap"] {
        let path = folder.join(name);
        if !path.exists() {
            continue;
        }
        let path = path.to_string_lossy().into_owned();
        let ran = bx().run(["sniff", "-r", &path, "--fields", FIELDS]).succeeds();
        let mut command = Command::new(&tshark);
        command.args(["-r", &path, "-T", "fields"]);
        FIELDS.split(',').for_each(|field| {
            command.args(["-e", field]);
        });
        let theirs = command.output().map(|output| output.stdout).unwrap_or_default();
        assert_eq!(ran.out(), String::from_utf8_lossy(&theirs), "{name}");
    }
}
