//! What programs decide: the optimizer changes nothing, and a few meanings spelled out.

use super::machine::{self, End, Random};
use super::{compile, compile_for, expressions, names, packets};
use box_sniff::filter::{self, CompileOptions, Source};
use box_wire::link::LinkType;

#[test]
fn the_optimizer_changes_no_decision() {
    let mut random = Random(0x0971);
    let packets = packets(&mut random, 10_000);
    for expression in expressions() {
        let Ok(optimized) = compile(expression, LinkType::ETHERNET, true) else { continue };
        let plain = compile(expression, LinkType::ETHERNET, false).unwrap();
        assert!(optimized.instructions().len() <= plain.instructions().len(), "{expression}");
        for packet in &packets {
            let length = packet.len() as u32;
            let end = machine::run(plain.instructions(), packet, length);
            assert_eq!(plain.run(packet, length), end.value(), "{expression} on {packet:02x?}");
            // The optimizer drops loads that nobody looks at, and with them what they reject.
            if end != End::Faulted {
                let decision = optimized.run(packet, length);
                assert_eq!(decision, end.value(), "{expression} on {packet:02x?}");
            }
        }
    }
}

fn matches(expression: &str, packet: &[u8]) -> bool {
    let program = compile(expression, LinkType::ETHERNET, true).unwrap();
    program.run(packet, packet.len() as u32) != 0
}

#[test]
fn vlan_moves_what_is_read_after_it() {
    let samples = machine::samples();
    let tagged = samples.iter().find(|p| p[12..14] == [0x81, 0] && p[16..18] == [8, 0]).unwrap();
    let bare = samples.iter().find(|p| p[12..14] == [8, 0] && p[23] == 6).unwrap();
    assert!(matches("vlan 7 and tcp port 80", tagged));
    assert!(!matches("tcp", tagged));
    assert!(matches("tcp or (vlan and tcp)", tagged));
    assert!(matches("tcp or (vlan and tcp)", bare));
    // Parentheses do not move it back.
    assert!(!matches("(vlan and ip6) or tcp", bare));
}

#[test]
fn names_with_two_versions_of_addresses_become_alternatives() {
    let program = compile("host both.example", LinkType::ETHERNET, true).unwrap();
    let constants: Vec<u32> = program.instructions().iter().map(|i| i.k).collect();
    assert!(constants.contains(&0xc000_0201) && constants.contains(&0x2001_0db8));
    let v4_only = compile("ip host both.example", LinkType::ETHERNET, true).unwrap();
    assert!(!v4_only.instructions().iter().any(|i| i.k == 0x2001_0db8));
    assert!(compile("net loopback", LinkType::ETHERNET, true).is_ok());
    assert!(compile("gateway gw.example", LinkType::ETHERNET, true).is_ok());
    assert!(compile("sctp port sctp-only", LinkType::ETHERNET, true).is_ok());
    let message = |text| compile(text, LinkType::ETHERNET, true).unwrap_err().to_string();
    assert_eq!(message("host nobody"), "unknown host 'nobody'");
    assert_eq!(
        message("ip6 host gw.example"),
        "unknown host 'gw.example' for specified address family"
    );
    assert_eq!(message("port nowhere"), "unknown port 'nowhere'");
    assert_eq!(message("udp port ssh"), "port 'ssh' is tcp");
}

#[test]
fn live_captures_may_ask_the_kernel() {
    let listing = compile_for("inbound and ifindex 1", Source::Live).dump_d();
    assert!(
        listing.contains("ldh      [type]") && listing.contains("ld       [ifidx]"),
        "{listing}"
    );
    let listing = compile_for("vlan 100 and tcp", Source::Live).dump_d();
    assert!(listing.contains("ldb      [vlanp]") && listing.contains("[vlan_tci]"), "{listing}");
    let options = CompileOptions::default();
    let error = filter::compile("inbound", LinkType::ETHERNET, &options).unwrap_err();
    let expected = "not a live capture, 'inbound' not supported on DLT_EN10MB (Ethernet)";
    assert_eq!(error.message(), expected);
}

#[test]
fn a_tag_that_the_kernel_keeps_aside_matches_as_one_in_the_packet() {
    let tagged = |packet: &&Vec<u8>| packet[12..14] == [0x81, 0];
    for expression in [
        "vlan",
        "vlan 7",
        "vlan 8",
        "vlan and tcp",
        "vlan 7 and tcp port 80",
        "not vlan",
        "vlan 7 and ip6 and udp port 53",
        "tcp or vlan 7",
        "vlan and vlan",
        "vlan or udp",
        "vlan 7 and icmp[0] = 8",
        "vlan and not tcp",
        "vlan 7 and host 10.0.0.9",
    ] {
        let in_packet = compile(expression, LinkType::ETHERNET, true).unwrap();
        for optimize in [true, false] {
            let options =
                CompileOptions { source: Source::Live, optimize, ..CompileOptions::default() };
            let live = filter::compile(expression, LinkType::ETHERNET, &options).unwrap();
            for packet in machine::samples().iter().filter(tagged) {
                let length = packet.len() as u32;
                let expected = in_packet.run(packet, length);
                let decide = |packet: &[u8], tag| {
                    machine::run_live(live.instructions(), packet, length, tag).value()
                };
                assert_eq!(decide(packet, None), expected, "{expression} left in {packet:02x?}");
                let tag = u16::from_be_bytes([packet[14], packet[15]]);
                let mut without = packet.clone();
                without.drain(12..16);
                // What is read before `vlan` is read of the packet as it is.
                if !expression.starts_with("tcp or") {
                    let found = decide(&without, Some(tag));
                    assert_eq!(found, expected, "{expression} taken out of {packet:02x?}");
                }
            }
        }
    }
}

#[test]
fn scoped_tags_move_only_what_stands_beside_them() {
    for (expression, plain) in [
        ("vlan 7 or tcp", "tcp or vlan 7"),
        ("not vlan and tcp", "tcp and not vlan"),
        ("(vlan 7 and udp) or host 10.0.0.9", "host 10.0.0.9 or (vlan 7 and udp)"),
        ("vlan 7 and tcp", "vlan 7 and tcp"),
        ("vlan 7 or vlan 9", "vlan 9 or vlan 7"),
    ] {
        for (source, optimize) in [
            (Source::None, true),
            (Source::None, false),
            (Source::Live, true),
            (Source::Live, false),
        ] {
            let options =
                CompileOptions { source, optimize, scoped: true, ..CompileOptions::default() };
            let scoped = filter::compile(expression, LinkType::ETHERNET, &options).unwrap();
            let expected = filter::compile(plain, LinkType::ETHERNET, &options).unwrap();
            for packet in machine::samples() {
                let length = packet.len() as u32;
                let decide = |program: &filter::Program| {
                    machine::run_live(program.instructions(), &packet, length, None).value()
                };
                assert_eq!(decide(&scoped), decide(&expected), "{expression}: {packet:02x?}");
            }
        }
    }
    assert!(filter::leaks("vlan 7 or tcp").unwrap() && !filter::leaks("vlan 7 and tcp").unwrap());
}

#[test]
fn loopback_families_follow_the_byte_order_of_the_file() {
    let options = |source| CompileOptions { source, ..CompileOptions::default() };
    let constant = |source| {
        let program = filter::compile("ip", LinkType::NULL, &options(source)).unwrap();
        program.instructions()[1].k
    };
    assert_eq!(constant(Source::File { swapped: false }), 2u32.to_be());
    assert_eq!(constant(Source::File { swapped: true }), 2u32.swap_bytes().to_be());
}

#[test]
fn protochain_ends_on_a_chain_that_goes_in_circles() {
    let program = compile("ip6 protochain 89", LinkType::RAW, true).unwrap();
    assert!(program.has_loop());
    // Length fields of 255 that take the offset round and round.
    let mut packet = vec![0x60, 0, 0, 0, 0xff, 0xff, 0, 64];
    packet.resize(1 << 16, 0);
    assert_eq!(program.run(&packet, packet.len() as u32), 0);
}

#[test]
fn far_branches_go_over_a_jump() {
    let many = (1..400).map(|n| format!("host 10.1.{}.{}", n / 256, n % 256));
    let expression = many.collect::<Vec<_>>().join(" or ");
    let program = compile(&expression, LinkType::ETHERNET, true).unwrap();
    let jumps = program.instructions().iter().filter(|i| i.code == 5).count();
    assert!(jumps > 0 && !program.has_loop());
    let mut packet = vec![0; 60];
    packet[12] = 8;
    packet[26..30].copy_from_slice(&[10, 1, 1, 143]);
    assert_ne!(program.run(&packet, 60), 0);
    packet[29] = 200;
    assert_eq!(program.run(&packet, 60), 0);
}

#[test]
fn a_snapshot_length_is_what_an_accepted_packet_is_cut_to() {
    let options = CompileOptions { snaplen: 96, names: &names::Fixed, ..CompileOptions::default() };
    let program = filter::compile("", LinkType::ETHERNET, &options).unwrap();
    assert_eq!(program.run(&[], 0), 96);
    assert!(program.accepts_all());
    let options = CompileOptions { snaplen: 0, ..options };
    let error = filter::compile("ip", LinkType::ETHERNET, &options).unwrap_err();
    assert_eq!(error.message(), "snaplen of 0 rejects all packets");
}
