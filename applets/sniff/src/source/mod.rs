//! Where packets come from: capture files, and interfaces.

pub mod file;

use box_wire::link::LinkType;

use crate::time::stamp::Stamp;

/// A packet with what is known of its capture.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// When, in the precision of the run.
    pub stamp: Stamp,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// Its link type.
    pub link_type: LinkType,
    /// What was captured.
    pub bytes: &'a [u8],
}
