//! Programs of `tcpdump -ddd` and ours, run side by side.

use super::machine::{self, Random};
use super::{compile, expressions, packets};
use box_harness::oracle;
use box_sniff::filter::{Instruction, program::validate};
use box_wire::link::LinkType;
use std::path::Path;
use std::process::Command;

/// The incumbent's program, if it accepts the expression.
fn reference(tcpdump: &Path, expression: &str) -> Option<Vec<Instruction>> {
    let ran =
        Command::new(tcpdump).args(["-y", "EN10MB", "-ddd", "--", expression]).output().unwrap();
    if !ran.status.success() {
        return None;
    }
    let listing = String::from_utf8(ran.stdout).unwrap();
    let instruction = |line: &str| {
        let numbers: Vec<u32> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let [code, jt, jf, k] = numbers[..] else { panic!("{line}") };
        Instruction { code: code as u16, jt: jt as u8, jf: jf as u8, k }
    };
    let program: Vec<Instruction> = listing.lines().skip(1).map(instruction).collect();
    assert_eq!(validate(&program), Ok(()), "{expression}");
    Some(program)
}

/// Expressions that mean something else since the version that is the norm.
fn is_newer(expression: &str) -> bool {
    expression.contains("vxlan") || expression == "ip multicast"
}

#[test]
fn the_same_packets_match() {
    let Some(tcpdump) = oracle("tcpdump") else { return };
    let mut random = Random(0xd1ff);
    let packets = packets(&mut random, 400);
    let mut compared = 0;
    for expression in expressions().filter(|expression| !is_newer(expression)) {
        let ours = compile(expression, LinkType::ETHERNET, true);
        let theirs = reference(&tcpdump, expression);
        let (Ok(ours), Some(theirs)) = (&ours, &theirs) else {
            assert_eq!(ours.is_ok(), theirs.is_some(), "{expression}");
            continue;
        };
        compared += 1;
        for packet in &packets {
            let length = packet.len() as u32;
            let expected = machine::run(theirs, packet, length).value();
            assert_eq!(ours.run(packet, length), expected, "{expression} on {packet:02x?}");
        }
    }
    assert!(compared > 150, "{compared} expressions were compared");
}
