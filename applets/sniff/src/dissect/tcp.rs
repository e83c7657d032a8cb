//! TCP (RFC 9293): flags, numbers, options, and the payload by port.

use super::flow::Shown;
use super::ip::pseudo_header;
use super::registry::{Ports, Registry};
use super::{Buf, Ctx, Field, Network, Payload, Sink, Step, Stop, app, dns, put, tcp_options};
use crate::text::{Bits, HexN, Names, visible};
use box_wire::checksum::should_be;

const HEADER_LEN: usize = 20;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;
/// More bytes of the payload of a reset are not shown.
const MAX_RESET_DATA: usize = 30;

const FLAGS: Names = &[
    (0x01, "F"),
    (0x02, "S"),
    (0x04, "R"),
    (0x08, "P"),
    (0x10, "."),
    (0x20, "U"),
    (0x40, "E"),
    (0x80, "W"),
    (0x100, "e"),
];

/// Prints a segment of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    c.layer("tcp");
    let Ok(destination) = buf.be16_at(2) else {
        c.host(network.source);
        c.put(" > ");
        c.host(network.destination);
        c.put(":");
        return Err(Stop::Truncated);
    };
    let ports = Ports { source: buf.be16_at(0)?, destination, network: *network };
    ends(c, &ports);
    c.field(Field::TcpSourcePort, ports.source);
    c.field(Field::TcpDestinationPort, ports.destination);
    buf.need(HEADER_LEN)?;
    let header_len = usize::from(buf.u8_at(12)? >> 4) * 4;
    if header_len < HEADER_LEN {
        put!(c, " tcp ", len.wrapping_sub(header_len) as u32, " [bad hdr length ", header_len);
        c.put(" - too short, < 20]");
        return Err(Stop::Invalid);
    }
    if c.options.quiet > 0 {
        put!(c, "tcp ", len.wrapping_sub(header_len) as u32);
        return too_long(c, header_len, len);
    }
    let flags = buf.u8_at(13)?;
    put!(c, "Flags [", Bits(FLAGS, flags.into(), "", "none"), "]");
    let (sequence, acknowledgement) = (buf.be32_at(4)?, buf.be32_at(8)?);
    c.field(Field::TcpFlags, flags);
    c.field(Field::TcpSequence, sequence);
    c.field(Field::TcpAcknowledgement, acknowledgement);
    c.field(Field::TcpHeaderLength, header_len as u32);
    let shown = if flags & ACK != 0 && !c.options.absolute_sequence {
        let hosts = (network.source, network.destination);
        let ports = (ports.source, ports.destination);
        c.tcp.relative(hosts, ports, (sequence, acknowledgement), flags & SYN != 0)
    } else {
        Shown { sequence, acknowledgement, sack_base: 0 }
    };
    too_long(c, header_len, len)?;
    if c.verbose() && !c.options.unchecked && !network.fragment && buf.has(len) {
        checksum(c, buf, len, network)?;
    }
    let data_len = len - header_len;
    c.field(Field::TcpWindow, buf.be16_at(14)?);
    c.field(Field::TcpLength, data_len as u32);
    if S::FIELDS {
        c.field(Field::TcpChecksum, buf.be16_at(16)?);
        c.field(Field::TcpUrgent, buf.be16_at(18)?);
    }
    if c.options.verbose > 1 || data_len > 0 || flags & (SYN | FIN | RST) != 0 {
        put!(c, ", seq ", shown.sequence);
        if data_len > 0 {
            put!(c, ":", shown.sequence.wrapping_add(data_len as u32));
        }
    }
    if flags & ACK != 0 {
        put!(c, ", ack ", shown.acknowledgement);
    }
    put!(c, ", win ", buf.be16_at(14)?);
    if flags & URG != 0 {
        put!(c, ", urg ", buf.be16_at(18)?);
    }
    if header_len > HEADER_LEN {
        let options = buf.from(HEADER_LEN);
        if !tcp_options::print(c, options, header_len - HEADER_LEN, flags, shown.sack_base)? {
            return Ok(());
        }
    }
    put!(c, ", length ", data_len);
    if data_len == 0 {
        return Ok(());
    }
    let data = buf.from(header_len);
    c.field(Field::TcpPayload, data.limit(data_len).bytes());
    if flags & RST != 0 {
        if c.verbose() {
            reset_data(c, data, data_len);
            return Ok(());
        }
        return data.need(data_len);
    }
    payload(c, data, data_len, &ports)
}

fn ends<S: Sink>(c: &mut Ctx<S>, ports: &Ports) {
    if ports.network.protocol == 6 {
        c.host(ports.network.source);
        c.put(".");
        c.tcp_port(ports.source);
        c.put(" > ");
        c.host(ports.network.destination);
        c.put(".");
    } else {
        c.tcp_port(ports.source);
        c.put(" > ");
    }
    c.tcp_port(ports.destination);
    c.put(": ");
}

fn too_long<S: Sink>(c: &mut Ctx<S>, header_len: usize, len: usize) -> Step {
    if header_len <= len {
        return Ok(());
    }
    put!(c, " [bad hdr length ", header_len, " - too long, > ", len, "]");
    Err(Stop::Invalid)
}

fn checksum<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    let computed = pseudo_header(network, 6, len).with(buf.bytes_at(0, len)?).finish();
    let found = buf.be16_at(16)?;
    put!(c, ", cksum 0x", HexN(found, 4));
    match computed {
        0 => c.put(" (correct)"),
        _ => put!(c, " (incorrect -> 0x", HexN(should_be(found, computed), 4), ")"),
    }
    Ok(())
}

/// A reset may say why in words (RFC 9293 section 3.5.3).
fn reset_data<S: Sink>(c: &mut Ctx<S>, data: Buf<'_>, len: usize) {
    c.put(if data.has(len) { " [RST" } else { " [!RST" });
    if len > MAX_RESET_DATA {
        c.put("+");
    }
    c.put(" ");
    if S::TEXT {
        for byte in data.limit(len.min(MAX_RESET_DATA)).bytes() {
            visible(&mut c.out, *byte);
        }
    }
    c.put("]");
}

fn payload<S: Sink>(c: &mut Ctx<S>, data: Buf<'_>, len: usize, ports: &Ports) -> Step {
    match c.options.payload {
        Some(Payload::Domain) => {
            c.put(" ");
            return dns::print_tcp(c, data, len);
        }
        Some(Payload::Resp) => return app::resp(c, data, len),
        Some(_) => return Ok(()),
        None => {}
    }
    match Registry::<S>::tcp(ports.source, ports.destination) {
        Some(dissector) => dissector(c, data, len, ports),
        None => Ok(()),
    }
}
