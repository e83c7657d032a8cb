//! Formats on the wire and on disk: nom parsers and encoders. No I/O, no logging, no panic, no
//! dependency inside the project; lengths are checked against named limits before use.

pub mod decimal;
pub mod dns;
pub mod rdb;
pub mod resp;
pub mod resp_reply;
