//! Formats on the wire and on disk: nom parsers and encoders. No I/O, no logging, no panic, no
//! dependency inside the project; lengths are checked against named limits before use.

pub mod checksum;
pub mod decimal;
pub mod dns;
pub mod hpack;
pub mod http1;
pub mod http2;
pub mod link;
pub mod pcap;
pub mod pcapng;
pub mod proxy_protocol;
pub mod rdb;
pub mod resp;
pub mod resp_reply;
pub mod tls_hello;
