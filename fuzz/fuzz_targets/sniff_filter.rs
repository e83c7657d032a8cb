//! Filter expressions of any text, run over any packet: with and without the optimizer the decision
//! is the same, unless a load that the optimizer dropped would have been outside of the packet.
#![no_main]

use box_sniff::filter::{self, CompileOptions};
use box_wire::link::LinkType;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &str, &[u8])| {
    let (link_type, expression, packet) = input;
    let link_type = LinkType(link_type % 300);
    let plain = CompileOptions { optimize: false, ..CompileOptions::default() };
    let Ok(plain) = filter::compile(expression, link_type, &plain) else { return };
    let length = packet.len() as u32;
    let decision = plain.run(packet, length);
    if let Ok(optimized) = filter::compile(expression, link_type, &CompileOptions::default()) {
        let optimized = optimized.run(packet, length);
        assert!(optimized == decision || decision == 0, "{expression}");
    }
});
