//! No input makes it panic: mutated packets of the captures, and mutated capture files.

use crate::{arp, bx, sample, udp};
use box_sniff::dissect::{Ctx, MAX_TEXT, Options, Text};
use box_sniff::names::Names;
use box_sniff::source::file::CaptureFile;
use box_sniff::{LinkType, Precision};

/// A generator of numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Packets of the captures, and some of our own where those are not there.
fn seeds() -> Vec<(LinkType, Vec<u8>)> {
    let mut seeds = vec![
        (LinkType::ETHERNET, udp(b"some payload of a datagram", 53)),
        (LinkType::ETHERNET, udp(&[0; 300], 67)),
        (LinkType::ETHERNET, udp(&[0xc1; 64], 443)),
        (LinkType::ETHERNET, arp()),
    ];
    let Some(folder) = box_harness::shared("sniff/tcpdump-tests") else { return seeds };
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let Ok(mut file) = CaptureFile::open(path.to_str().unwrap(), Precision::Micro) else {
            continue;
        };
        for _ in 0..12 {
            let Ok(Some(packet)) = file.next() else { break };
            seeds.push((packet.link_type, packet.bytes.to_vec()));
        }
    }
    seeds
}

fn mutate(random: &mut Random, packet: &mut Vec<u8>) {
    for _ in 0..1 + random.below(8) {
        let at = random.below(packet.len());
        match random.below(6) {
            0 => packet.truncate(at),
            1 => packet.insert(at, random.next() as u8),
            2 if at < packet.len() => packet[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            3 if at < packet.len() => {
                packet.remove(at);
            }
            _ if at < packet.len() => packet[at] = random.next() as u8,
            _ => packet.push(random.next() as u8),
        }
    }
}

#[test]
fn twenty_thousand_mutated_packets_are_dissected_without_a_panic() {
    let seeds = seeds();
    let mut random = Random(0x5eed_5a1f);
    for round in 0..20_000 {
        let (link_type, seed) = &seeds[random.below(seeds.len())];
        let mut packet = seed.clone();
        mutate(&mut random, &mut packet);
        let options = Options {
            verbose: random.below(4) as u32,
            quiet: u32::from(random.below(8) == 0),
            link_header: random.below(2) == 0,
            ..Options::default()
        };
        let mut ctx = Ctx::new(options, Names::numeric(), Text);
        let wire_len = match random.below(3) {
            0 => packet.len(),
            1 => packet.len() + random.below(100),
            _ => random.below(262_145).max(packet.len()),
        };
        let header_len = ctx.packet(*link_type, &packet, wire_len);
        assert!(header_len <= packet.len() + 64, "round {round}");
        assert!(ctx.out.len() <= 8 * MAX_TEXT, "round {round}: {} bytes", ctx.out.len());
    }
}

#[test]
fn every_packet_may_be_cut_at_every_byte() {
    let mut seeds = seeds();
    let mut random = Random(7);
    for _ in 0..300.min(seeds.len()) {
        let (link_type, packet) = seeds.swap_remove(random.below(seeds.len()));
        let options = Options { verbose: 3, link_header: true, ..Options::default() };
        let mut ctx = Ctx::new(options, Names::numeric(), Text);
        for len in 1..packet.len().min(400) {
            ctx.out.clear();
            ctx.packet(link_type, &packet[..len], packet.len());
        }
    }
}

#[test]
fn damaged_files_end_with_a_message() {
    let mut random = Random(99);
    let whole = sample();
    for _ in 0..60 {
        let mut file = whole.clone();
        mutate(&mut random, &mut file);
        let ran = bx().feed(["sniff", "-nvvvr", "-"], &file);
        let code = ran.output.status.code();
        assert!(matches!(code, Some(0 | 1)), "{code:?} on {file:x?}");
    }
}
