//! RDB files and RESTORE payloads never panic, whatever the bytes.
#![no_main]

use box_wire::rdb::read::{Piece, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = Reader::payload(input);
    if let Ok(mut reader) = Reader::file(input) {
        while let Ok(piece) = reader.piece() {
            if matches!(piece, Piece::End) {
                break;
            }
        }
    }
});
