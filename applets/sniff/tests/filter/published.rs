//! The incumbent's own filter tests, which come beside the project as data.

use super::machine::{self, End, Random};
use box_harness::shared;
use box_sniff::filter::{self, CompileOptions, Program, Source};
use box_wire::link::LinkType;
use serde_json::Value;

fn tests(kind: &str) -> Vec<Value> {
    let Some(path) = shared("sniff/libpcap-filter-tests/filter-tests.jsonl") else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(path).unwrap();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|test| test["kind"] == kind).collect()
}

fn text<'a>(test: &'a Value, key: &str) -> &'a str {
    test[key].as_str().unwrap_or_default()
}

fn compile(test: &Value, optimize: bool) -> Result<Program, filter::FilterError> {
    let link_type = LinkType::by_name(text(test, "dlt")).unwrap();
    let snaplen = test["snaplen"].as_u64().map_or(filter::DEFAULT_SNAPLEN, |n| n as u32);
    let options = CompileOptions { snaplen, optimize, ..CompileOptions::default() };
    filter::compile(text(test, "expr"), link_type, &options)
}

#[test]
fn accepted_expressions_give_the_expected_programs() {
    let mut different = 0;
    for test in tests("accept") {
        for optimize in [true, false] {
            let Some(expected) = test[if optimize { "opt" } else { "unopt" }].as_str() else {
                continue;
            };
            let program =
                compile(&test, optimize).unwrap_or_else(|error| panic!("{test}: {error}"));
            let listing: Vec<&str> = expected.lines().map(str::trim_end).collect();
            let dump = program.dump_d();
            different += usize::from(dump.lines().map(str::trim_end).ne(listing));
        }
    }
    // Where the optimizer goes further than the incumbent's, programs are shorter.
    assert!(different <= 40, "{different} programs differ");
}

#[test]
fn optimized_programs_decide_as_unoptimized_ones_for_every_link_type() {
    let mut random = Random(0x5eed);
    let packets = super::packets(&mut random, 60);
    for test in tests("accept") {
        let (Ok(optimized), Ok(plain)) = (compile(&test, true), compile(&test, false)) else {
            continue;
        };
        for packet in &packets {
            let length = packet.len() as u32;
            let expected = machine::run(plain.instructions(), packet, length);
            if expected != End::Faulted {
                assert_eq!(optimized.run(packet, length), expected.value(), "{test}");
            }
        }
    }
}

#[test]
fn refused_expressions_are_refused_in_the_same_words() {
    for test in tests("reject") {
        if test["dlt"].is_null() {
            continue;
        }
        let error = compile(&test, true).expect_err(text(&test, "expr"));
        let message = error.to_string();
        assert!(message.contains(text(&test, "error")), "{test}: {message}");
    }
}

#[test]
fn captures_give_the_expected_packets() {
    for test in tests("apply") {
        let name = text(&test, "savefile");
        let path = shared("sniff/libpcap-filter-tests/savefiles").unwrap().join(name);
        let bytes = std::fs::read(path).unwrap();
        let Some((link_type, source, snaplen, records)) = capture(&bytes) else { continue };
        let options = CompileOptions { source, snaplen, ..CompileOptions::default() };
        let program = filter::compile(text(&test, "expr"), link_type, &options);
        // One that matches nothing may be found out by the optimizer.
        let decide = |packet: &&[u8]| {
            program.as_ref().is_ok_and(|program| program.run(packet, packet.len() as u32) != 0)
        };
        let found: Vec<bool> = records.iter().map(decide).collect();
        let expected: Vec<bool> =
            test["results"].as_array().unwrap().iter().map(|result| result != 0).collect();
        assert_eq!(found, expected, "{test}");
    }
}

/// Link type, byte order, snapshot length and packets of a classic pcap file.
fn capture(bytes: &[u8]) -> Option<(LinkType, Source, u32, Vec<&[u8]>)> {
    let swapped = match bytes.get(..4)? {
        [0xd4, 0xc3, 0xb2, 0xa1] => cfg!(target_endian = "big"),
        [0xa1, 0xb2, 0xc3, 0xd4] => cfg!(target_endian = "little"),
        _ => return None,
    };
    let number = |at: usize| {
        let number = u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        if swapped { number.swap_bytes() } else { number }
    };
    let mut records = Vec::new();
    let mut at = 24;
    while at + 16 <= bytes.len() {
        let end = at + 16 + number(at + 8) as usize;
        records.push(bytes.get(at + 16..end)?);
        at = end;
    }
    let link_type = LinkType((number(20) & 0xffff) as u16);
    Some((link_type, Source::File { swapped }, number(16).max(1), records))
}
