//! What is read before a connection's protocol is known: ClientHello and PROXY headers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = box_wire::tls_hello::parse(bytes);
    if let box_wire::proxy_protocol::Header::Complete { len, .. } =
        box_wire::proxy_protocol::parse(bytes)
    {
        assert!(len <= bytes.len());
    }
});
