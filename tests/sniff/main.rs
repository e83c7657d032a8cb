//! `box sniff` end to end: the real binary against captures, the incumbent, and live interfaces.

mod captures;
mod command_line;
mod differential;
mod fields;
mod files;
mod live;
mod robustness;

use box_harness::Bin;
use std::path::Path;

fn bx() -> Bin {
    Bin::new(env!("CARGO_BIN_EXE_box"))
}

/// A link by the incumbent's name in `folder`, which calls the binary under test.
fn imitation(folder: &Path) -> Bin {
    let link = folder.join("tcpdump");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_box"), &link).expect("a link");
    Bin::new(link)
}

/// A small capture: Ethernet, two UDP datagrams and an ARP request.
fn sample() -> Vec<u8> {
    let mut file = Vec::new();
    box_wire_pcap_header(&mut file);
    record(&mut file, 1_700_000_000, 1, &udp(b"hello", 9));
    record(&mut file, 1_700_000_000, 2, &udp(b"", 10));
    record(&mut file, 1_700_000_001, 3, &arp());
    file
}

fn box_wire_pcap_header(file: &mut Vec<u8>) {
    file.extend(0xa1b2_c3d4u32.to_ne_bytes());
    file.extend(2u16.to_ne_bytes());
    file.extend(4u16.to_ne_bytes());
    file.extend([0; 8]);
    file.extend(262_144u32.to_ne_bytes());
    file.extend(1u32.to_ne_bytes());
}

fn record(file: &mut Vec<u8>, seconds: u32, micros: u32, packet: &[u8]) {
    for word in [seconds, micros, packet.len() as u32, packet.len() as u32] {
        file.extend(word.to_ne_bytes());
    }
    file.extend(packet);
}

fn ethernet(kind: u16) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1]);
    frame.extend(kind.to_be_bytes());
    frame
}

fn udp(data: &[u8], port: u16) -> Vec<u8> {
    let mut frame = ethernet(0x0800);
    let len = 28 + data.len() as u16;
    frame.extend([0x45, 0]);
    frame.extend(len.to_be_bytes());
    frame.extend([0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend(40_000u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend((len - 20).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(data);
    frame
}

fn arp() -> Vec<u8> {
    let mut frame = ethernet(0x0806);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
    frame.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    frame
}
