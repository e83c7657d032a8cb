//! Sockets between a host and its virtual machines, as the kernel's monitor shows them
//! (`struct af_vsockmon_hdr`). All numbers are little-endian.

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Hex, Named, Names};

const TRANSPORTS: Names = &[(0, "UNKNOWN"), (1, "NO_INFO"), (2, "VIRTIO")];
const OPERATIONS: Names =
    &[(0, "UNKNOWN"), (1, "CONNECT"), (2, "DISCONNECT"), (3, "CONTROL"), (4, "PAYLOAD")];
const VIRTIO_TYPES: Names = &[(1, "STREAM")];
const VIRTIO_OPERATIONS: Names = &[
    (0, "INVALID"),
    (1, "REQUEST"),
    (2, "RESPONSE"),
    (3, "RST"),
    (4, "SHUTDOWN"),
    (5, "RW"),
    (6, "CREDIT UPDATE"),
    (7, "CREDIT REQUEST"),
];
const HEADER_LEN: usize = 32;
const VIRTIO: u16 = 2;
const VIRTIO_LEN: usize = 44;
const PAYLOAD: u16 = 4;

/// Prints a packet of the monitor.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, _: usize, _: &Link<'_>) -> Step {
    c.layer("vsock");
    let len = buf.len();
    if len < HEADER_LEN {
        c.truncated();
        return Ok(());
    }
    let transport = buf.le16_at(26)?;
    let transport_len = if transport == VIRTIO { VIRTIO_LEN } else { 0 };
    put!(c, Named(TRANSPORTS, transport.into(), "Invalid transport (", ")"));
    let mut whole = true;
    if !c.verbose() {
        c.put(" ");
    } else if len < HEADER_LEN + transport_len {
        whole = false;
    } else {
        if transport == VIRTIO {
            c.put(" (");
            virtio(c, buf.from(HEADER_LEN))?;
            c.put(")");
        }
        c.put("\n\t");
    }
    put!(c, buf.le64_at(0)?, ".", buf.le32_at(16)?, " > ", buf.le64_at(8)?, ".", buf.le32_at(20)?);
    let operation = buf.le16_at(24)?;
    put!(c, " ", Named(OPERATIONS, operation.into(), " invalid op (", ")"), ", length ", len);
    let payload = buf.from(HEADER_LEN + transport_len);
    if !whole || c.options.verbose > 1 && operation == PAYLOAD && payload.is_empty() {
        c.truncated();
    } else if c.options.verbose > 1 && operation == PAYLOAD {
        c.put("\n");
        c.hex_print("\t", payload, payload.len());
    }
    c.link_header_len = len;
    Ok(())
}

/// The header of virtio's transport (Virtual I/O Device 1.1 section 5.10.6).
fn virtio<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    put!(c, "len ", buf.le32_at(24)?);
    put!(c, ", type ", Named(VIRTIO_TYPES, buf.le16_at(28)?.into(), "Invalid type (", ")"));
    put!(c, ", op ", Named(VIRTIO_OPERATIONS, buf.le16_at(30)?.into(), "Invalid op (", ")"));
    put!(c, ", flags ", Hex(buf.le32_at(32)?), ", buf_alloc ", buf.le32_at(36)?);
    put!(c, ", fwd_cnt ", buf.le32_at(40)?);
    Ok(())
}
