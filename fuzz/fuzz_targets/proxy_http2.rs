//! Frames of HTTP/2 and header blocks: never a panic, and what is decoded can be encoded again.
#![no_main]

use box_wire::{hpack, http2};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(header) = http2::header(bytes) {
        let payload = &bytes[http2::HEADER_BYTES..];
        let _ = http2::unpadded(header, payload);
        let _ = http2::settings(payload);
    }
    let mut fields = hpack::FieldList::new(1 << 16);
    if hpack::Decoder::default().decode(bytes, &mut fields).is_err() || fields.is_too_large() {
        return;
    }
    let mut block = Vec::new();
    for (name, value) in fields.iter() {
        hpack::encode(&mut block, name, value);
    }
    let mut again = hpack::FieldList::new(1 << 16);
    hpack::Decoder::default().decode(&block, &mut again).expect("our own");
    assert!(again.iter().eq(fields.iter()));
});
