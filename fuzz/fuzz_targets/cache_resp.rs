//! Requests and replies of RESP never panic, whatever the bytes.
#![no_main]

use box_wire::resp::{Limits, Reply, RequestParser, Step};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut parser = RequestParser::default();
    parser.start(0);
    while let Step::Done(next) = parser.parse(input, &Limits::default()) {
        let _ = parser.args(input).iter().count();
        if next >= input.len() {
            break;
        }
        parser.start(next);
    }
    let _ = Reply::parse(input);
});
