//! SQL of any bytes: the parser accepts or refuses, it never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    box_sql::parses(text);
});
