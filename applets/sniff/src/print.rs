//! A packet as lines of text: number, time stamp, dissection, dump.

use crate::arguments::{Dump, MAX_SNAPLEN};
use crate::dissect::{Ctx, Sink};
use crate::source::Packet;
use crate::text::{Put, dump};
use crate::time::stamp::Writer;

/// Writes packets as text into the buffer of its [`Ctx`].
pub struct Printer<S: Sink> {
    /// The dissection and its text.
    pub ctx: Ctx<S>,
    /// The time stamps.
    pub stamps: Writer,
    /// `-#`
    pub number: bool,
    /// `--lengths`
    pub lengths: bool,
    /// `-x`, `-X`, `-A`
    pub dump: Dump,
}

impl<S: Sink> Printer<S> {
    /// Appends the lines of a packet; `number` is its place in the capture.
    pub fn packet(&mut self, packet: &Packet<'_>, number: u64) {
        let out = &mut self.ctx.out;
        if self.number {
            let width = itoa::Buffer::new().format(number).len();
            for _ in width..5 {
                out.push(b' ');
            }
            (number, "  ").put(out);
        }
        if self.lengths {
            ("caplen ", packet.bytes.len(), " len ", packet.wire_len, " ").put(out);
        }
        if invalid_header(out, packet) {
            return;
        }
        self.stamps.put(out, packet.stamp);
        let wire_len = packet.wire_len as usize;
        let header_len = self.ctx.packet(packet.link_type, packet.bytes, wire_len);
        self.dump(packet.bytes, header_len);
        self.ctx.out.push(b'\n');
    }

    fn dump(&mut self, bytes: &[u8], header_len: usize) {
        let Dump { hex, hex_ascii, ascii } = self.dump;
        let payload = bytes.get(header_len..).unwrap_or_default();
        let out = &mut self.ctx.out;
        match (hex_ascii, hex, ascii) {
            (0, 0, 0) => {}
            (2.., ..) => dump::hex_and_ascii(out, b"\n\t", bytes),
            (1, ..) => dump::hex_and_ascii(out, b"\n\t", payload),
            (_, 2.., _) => dump::hex_only(out, b"\n\t", bytes),
            (_, 1, _) => dump::hex_only(out, b"\n\t", payload),
            (_, _, 2..) => dump::ascii(out, bytes),
            _ if !payload.is_empty() => dump::ascii(out, payload),
            _ => {}
        }
    }
}

/// Says what cannot be of a record's lengths; such a packet is not dissected.
fn invalid_header(out: &mut Vec<u8>, packet: &Packet<'_>) -> bool {
    let (captured, original) = (packet.bytes.len() as u32, packet.wire_len);
    if captured != 0 && original >= captured && original <= MAX_SNAPLEN {
        return false;
    }
    let mut separator = "[Invalid header:";
    let mut say = |out: &mut Vec<u8>| {
        separator.put(out);
        separator = ",";
    };
    if captured == 0 {
        say(out);
        " caplen==0".put(out);
    }
    if original == 0 {
        say(out);
        " len==0".put(out);
    } else if original < captured {
        say(out);
        (" len(", original, ") < caplen(", captured, ")").put(out);
    }
    for (name, len) in [(" caplen(", captured), (" len(", original)] {
        if len > MAX_SNAPLEN {
            say(out);
            (name, len, ") > ", MAX_SNAPLEN).put(out);
        }
    }
    "]\n".put(out);
    true
}
