//! The filter compiler against the incumbent's published tests, against `tcpdump -d`, against
//! itself without the optimizer, and against nonsense.

mod differential;
mod machine;
mod names;
mod nonsense;
mod published;
mod semantics;

use box_sniff::filter::{self, CompileOptions, FilterError, Program, Source};
use box_wire::link::LinkType;
use machine::Random;

/// Expressions over everything that Ethernet carries.
const EXPRESSIONS: &str = include_str!("expressions.txt");

/// The expressions that hold something.
fn expressions() -> impl Iterator<Item = &'static str> {
    EXPRESSIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn compile(expression: &str, link_type: LinkType, optimize: bool) -> Result<Program, FilterError> {
    let options = CompileOptions { optimize, names: &names::Fixed, ..CompileOptions::default() };
    filter::compile(expression, link_type, &options)
}

fn compile_for(expression: &str, source: Source) -> Program {
    let options = CompileOptions { source, ..CompileOptions::default() };
    filter::compile(expression, LinkType::ETHERNET, &options).unwrap()
}

/// Ethernet packets: whole ones of many protocols, changed here and there, cut, or noise.
fn packets(random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    let base = machine::samples();
    (0..count)
        .map(|_| {
            if random.below(5) == 0 {
                let length = random.below(200);
                return (0..length).map(|_| random.below(256) as u8).collect();
            }
            let mut packet = base[random.below(base.len())].clone();
            for _ in 0..random.below(5) {
                let at = random.below(packet.len().min(64));
                let usual = [0, 1, 4, 6, 8, 17, 44, 58, 0x45, 0x60, 0x81, 0x86, 0xff];
                packet[at] = match random.below(2) {
                    0 => usual[random.below(usual.len())],
                    _ => random.below(256) as u8,
                };
            }
            if random.below(5) == 0 {
                packet.truncate(random.below(packet.len() + 1));
            }
            packet
        })
        .collect()
}
