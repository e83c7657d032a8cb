//! Frames of the multiplexer.
#![no_main]

use box_proxy::mux::frame::{OpenHead, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = header(bytes);
    if let Some((head, length)) = OpenHead::parse(bytes) {
        assert!(length <= bytes.len());
        let mut out = Vec::new();
        head.write(&mut out);
        assert!(OpenHead::parse(&out).is_some());
    }
});
