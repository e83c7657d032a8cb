//! Any bytes as a capture file of either format.
#![no_main]

use std::io::Cursor;

use box_sniff::Precision;
use box_sniff::source::file::CaptureFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let input = Box::new(Cursor::new(input.to_vec()));
    let Ok(mut file) = CaptureFile::new(input, Precision::Nano) else { return };
    while let Ok(Some(_)) = file.read() {}
});
