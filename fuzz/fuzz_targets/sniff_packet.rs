//! Dissection of any bytes as a packet of any link type, at any verbosity.
#![no_main]

use box_sniff::LinkType;
use box_sniff::dissect::{Ctx, MAX_TEXT, Options, Text};
use box_sniff::names::Names;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[link, flags, len_a, len_b], packet)) = input.split_first_chunk::<4>() else {
        return;
    };
    let link_type = LinkType([1, 101, 0, 113, 276, 229, 228, 108][usize::from(link & 7)]);
    let options = Options {
        verbose: u32::from(flags & 3),
        quiet: u32::from(flags >> 2 & 1),
        link_header: flags & 8 != 0,
        ..Options::default()
    };
    let mut ctx = Ctx::new(options, Names::numeric(), Text);
    let wire_len = packet.len() + usize::from(u16::from_be_bytes([len_a, len_b]));
    ctx.packet(link_type, packet, wire_len);
    assert!(ctx.out.len() <= 8 * MAX_TEXT);
});
