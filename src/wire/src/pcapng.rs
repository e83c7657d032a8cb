//! The newer capture file: blocks with a type, a length, a body, and the length again
//! (draft-ietf-opsawg-pcapng).
//!
//! A section header opens a section with its own byte order; interface blocks number the
//! interfaces of the section; packets name their interface. [`Section`] keeps what a packet block
//! needs from the blocks before it.

use crate::link::LinkType;

/// Type of a section header block; the same in either byte order.
pub const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// A block longer than this is damage.
pub const MAX_BLOCK_LEN: u32 = 16 * 1024 * 1024;
/// More interfaces than this in one section are refused.
pub const MAX_INTERFACES: usize = 65_536;

/// An interface of the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The link-layer header type.
    pub link_type: LinkType,
    /// The most bytes captured of a packet; 0 for no limit.
    pub snaplen: u32,
    /// Units of a time stamp in a second (`if_tsresol`).
    units_per_second: u64,
    /// Seconds to add to each time stamp (`if_tsoffset`).
    offset_seconds: i64,
}

/// A packet of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Index of the interface in its section.
    pub interface: usize,
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds of the second.
    pub nanos: u32,
    /// Bytes on the wire.
    pub original: u32,
    /// What was captured.
    pub bytes: &'a [u8],
}

/// Why a block is refused; `Display` has the wording of capture tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// The block's length is shorter than its fixed part.
    TooShort(u32),
    /// The block's length passes [`MAX_BLOCK_LEN`].
    TooLong(u32),
    /// The lengths before and behind the body differ.
    TrailerDiffers(u32, u32),
    /// The byte-order magic of a section header is neither order's.
    ByteOrder,
    /// A version other than 1.x.
    Version(u16, u16),
    /// A field or option ends behind the block's end.
    Overrun,
    /// A packet names an interface that no block described.
    NoInterface(u32),
    /// A packet says it has more bytes than its block.
    PacketTooLong,
    /// An option has a length that its type does not allow.
    BadOption(&'static str),
    /// More than [`MAX_INTERFACES`] interfaces.
    TooManyInterfaces,
    /// Two interfaces of different link types, which one output file cannot hold.
    LinkTypesDiffer(u16, u16),
}

impl std::fmt::Display for BlockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BlockError::TooShort(len) => {
                write!(f, "block in pcapng dump file has a length of {len} < 12")
            }
            BlockError::TooLong(len) => {
                write!(f, "pcapng block size {len} > maximum {MAX_BLOCK_LEN}")
            }
            BlockError::TrailerDiffers(head, tail) => {
                write!(
                    f,
                    "block total length {head} in block header and {tail} in block trailer do not match"
                )
            }
            BlockError::ByteOrder => {
                f.write_str("the section header block has no byte-order magic")
            }
            BlockError::Version(major, minor) => {
                write!(f, "unsupported pcapng savefile version {major}.{minor}")
            }
            BlockError::Overrun => f.write_str("block data ends behind the end of its block"),
            BlockError::NoInterface(id) => {
                write!(
                    f,
                    "a packet arrived on interface {id}, but there's no Interface Description Block for that interface"
                )
            }
            BlockError::PacketTooLong => f.write_str("packet data is longer than its block"),
            BlockError::BadOption(name) => {
                write!(f, "Interface Description Block has {name} option with the wrong length")
            }
            BlockError::TooManyInterfaces => f.write_str("too many interfaces in a section"),
            BlockError::LinkTypesDiffer(this, first) => {
                write!(
                    f,
                    "an interface has a type {this} different from the type of the first interface ({first})"
                )
            }
        }
    }
}

/// What the blocks of a section have said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    big_endian: bool,
    /// The section's interfaces, by their index.
    pub interfaces: Vec<Interface>,
}

/// A block that has been read.
#[derive(Debug, PartialEq, Eq)]
pub enum Block<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// Another interface has been added to [`Section::interfaces`].
    Interface,
    /// A section begins.
    Section,
    /// A block of no interest.
    Other,
}

impl Section {
    /// The length of the block whose first 12 bytes are `head` (a section header needs its
    /// byte-order magic to tell).
    ///
    /// # Errors
    /// When the length or the magic cannot be.
    pub fn block_len(&self, head: &[u8; 12]) -> Result<u32, BlockError> {
        let kind = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let big_endian = if kind == SECTION_HEADER { byte_order(head)? } else { self.big_endian };
        let raw = [head[4], head[5], head[6], head[7]];
        let len = if big_endian { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) };
        match len {
            0..12 => Err(BlockError::TooShort(len)),
            12..=MAX_BLOCK_LEN => Ok(len),
            _ => Err(BlockError::TooLong(len)),
        }
    }

    /// Reads a whole block, of the length that [`Section::block_len`] told.
    ///
    /// # Errors
    /// When the block is damaged.
    pub fn block<'a>(&mut self, block: &'a [u8]) -> Result<Block<'a>, BlockError> {
        let mut cursor = Cursor { rest: block, big_endian: self.big_endian };
        let kind = cursor.u32()?;
        if kind == SECTION_HEADER {
            let head = block.first_chunk::<12>().ok_or(BlockError::Overrun)?;
            cursor.big_endian = byte_order(head)?;
        }
        let len = cursor.u32()?;
        let body_len = (len as usize).checked_sub(12).ok_or(BlockError::TooShort(len))?;
        let body = cursor.take(body_len)?;
        let trailer = cursor.u32()?;
        if trailer != len {
            return Err(BlockError::TrailerDiffers(len, trailer));
        }
        let body = Cursor { rest: body, big_endian: cursor.big_endian };
        match kind {
            SECTION_HEADER => self.section(body),
            INTERFACE_DESCRIPTION => self.interface(body),
            ENHANCED_PACKET => self.enhanced_packet(body).map(Block::Packet),
            SIMPLE_PACKET => self.simple_packet(body).map(Block::Packet),
            PACKET => self.old_packet(body).map(Block::Packet),
            _ => Ok(Block::Other),
        }
    }

    fn section(&mut self, mut body: Cursor<'_>) -> Result<Block<'static>, BlockError> {
        body.u32()?;
        let (major, minor) = (body.u16()?, body.u16()?);
        if major != 1 || !matches!(minor, 0 | 2) {
            return Err(BlockError::Version(major, minor));
        }
        *self = Section { big_endian: body.big_endian, interfaces: Vec::new() };
        Ok(Block::Section)
    }

    fn interface(&mut self, mut body: Cursor<'_>) -> Result<Block<'static>, BlockError> {
        let link_type = LinkType(body.u16()?);
        body.u16()?;
        let snaplen = body.u32()?;
        let mut interface =
            Interface { link_type, snaplen, units_per_second: 1_000_000, offset_seconds: 0 };
        while body.rest.len() >= 4 {
            let (code, len) = (body.u16()?, body.u16()?);
            let value = body.take(usize::from(len))?;
            body.take(usize::from(len).wrapping_neg() & 3)?;
            match code {
                0 => break,
                9 => interface.units_per_second = resolution(value)?,
                14 => {
                    let raw: [u8; 8] =
                        value.try_into().map_err(|_| BlockError::BadOption("if_tsoffset"))?;
                    interface.offset_seconds = if body.big_endian {
                        i64::from_be_bytes(raw)
                    } else {
                        i64::from_le_bytes(raw)
                    };
                }
                _ => {}
            }
        }
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(BlockError::TooManyInterfaces);
        }
        self.interfaces.push(interface);
        Ok(Block::Interface)
    }

    fn enhanced_packet<'a>(&self, mut body: Cursor<'a>) -> Result<Packet<'a>, BlockError> {
        let id = body.u32()?;
        self.timed_packet(id, body)
    }

    /// The obsolete packet block: interface and drop count in 16 bits each.
    fn old_packet<'a>(&self, mut body: Cursor<'a>) -> Result<Packet<'a>, BlockError> {
        let id = u32::from(body.u16()?);
        body.u16()?;
        self.timed_packet(id, body)
    }

    fn timed_packet<'a>(&self, id: u32, mut body: Cursor<'a>) -> Result<Packet<'a>, BlockError> {
        let interface = self.interfaces.get(id as usize).ok_or(BlockError::NoInterface(id))?;
        let stamp = u64::from(body.u32()?) << 32 | u64::from(body.u32()?);
        let (captured, original) = (body.u32()?, body.u32()?);
        let bytes = body.take(captured as usize).map_err(|_| BlockError::PacketTooLong)?;
        let (seconds, nanos) = interface.time(stamp);
        Ok(Packet { interface: id as usize, seconds, nanos, original, bytes })
    }

    fn simple_packet<'a>(&self, mut body: Cursor<'a>) -> Result<Packet<'a>, BlockError> {
        let interface = self.interfaces.first().ok_or(BlockError::NoInterface(0))?;
        let original = body.u32()?;
        let limit = if interface.snaplen == 0 { original } else { interface.snaplen };
        let captured = original.min(limit).min(body.rest.len() as u32);
        let bytes = body.take(captured as usize)?;
        Ok(Packet { interface: 0, seconds: 0, nanos: 0, original, bytes })
    }
}

impl Interface {
    fn time(&self, stamp: u64) -> (i64, u32) {
        let seconds = (stamp / self.units_per_second) as i64;
        let rest = u128::from(stamp % self.units_per_second);
        let nanos = (rest * 1_000_000_000 / u128::from(self.units_per_second)) as u32;
        (seconds.wrapping_add(self.offset_seconds), nanos)
    }
}

/// `if_tsresol`: a negative power of 10, or of 2 with the top bit set.
fn resolution(value: &[u8]) -> Result<u64, BlockError> {
    let &[exponent] = value else { return Err(BlockError::BadOption("if_tsresol")) };
    let power = u32::from(exponent & 0x7f);
    let base: u64 = if exponent & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(power).ok_or(BlockError::BadOption("if_tsresol"))
}

fn byte_order(head: &[u8; 12]) -> Result<bool, BlockError> {
    let magic = [head[8], head[9], head[10], head[11]];
    if u32::from_le_bytes(magic) == BYTE_ORDER_MAGIC {
        Ok(false)
    } else if u32::from_be_bytes(magic) == BYTE_ORDER_MAGIC {
        Ok(true)
    } else {
        Err(BlockError::ByteOrder)
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
    big_endian: bool,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], BlockError> {
        let (part, rest) = self.rest.split_at_checked(n).ok_or(BlockError::Overrun)?;
        self.rest = rest;
        Ok(part)
    }

    fn u16(&mut self) -> Result<u16, BlockError> {
        let raw: [u8; 2] = self.take(2)?.try_into().map_err(|_| BlockError::Overrun)?;
        Ok(if self.big_endian { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) })
    }

    fn u32(&mut self) -> Result<u32, BlockError> {
        let raw: [u8; 4] = self.take(4)?.try_into().map_err(|_| BlockError::Overrun)?;
        Ok(if self.big_endian { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) })
    }
}

/// Appends a section header block and one interface block, in the byte order of this machine, with
/// nanosecond time stamps.
pub fn put_section(out: &mut Vec<u8>, link: LinkType, snaplen: u32) {
    let mut body = BYTE_ORDER_MAGIC.to_ne_bytes().to_vec();
    body.extend_from_slice(&1u16.to_ne_bytes());
    body.extend_from_slice(&0u16.to_ne_bytes());
    body.extend_from_slice(&u64::MAX.to_ne_bytes());
    put_block(out, SECTION_HEADER, &body);
    body.clear();
    body.extend_from_slice(&link.0.to_ne_bytes());
    body.extend_from_slice(&[0, 0]);
    body.extend_from_slice(&snaplen.to_ne_bytes());
    body.extend_from_slice(&9u16.to_ne_bytes());
    body.extend_from_slice(&1u16.to_ne_bytes());
    body.extend_from_slice(&[9, 0, 0, 0]);
    body.extend_from_slice(&[0; 4]);
    put_block(out, INTERFACE_DESCRIPTION, &body);
}

/// Appends an enhanced packet block of interface 0; `nanos` since 1970.
pub fn put_packet(out: &mut Vec<u8>, nanos: u64, original: u32, packet: &[u8]) {
    let padded = packet.len().next_multiple_of(4);
    let len = (padded + 32) as u32;
    for word in
        [ENHANCED_PACKET, len, 0, (nanos >> 32) as u32, nanos as u32, packet.len() as u32, original]
    {
        out.extend_from_slice(&word.to_ne_bytes());
    }
    out.extend_from_slice(packet);
    out.resize(out.len() + padded - packet.len(), 0);
    out.extend_from_slice(&len.to_ne_bytes());
}

fn put_block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let len = (body.len() + 12) as u32;
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&len.to_ne_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&len.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &[u8]) -> Result<Vec<(i64, u32, Vec<u8>)>, BlockError> {
        let mut section = Section::default();
        let mut rest = file;
        let mut packets = Vec::new();
        while let Some(head) = rest.first_chunk::<12>() {
            let len = section.block_len(head)? as usize;
            let block = rest.get(..len).ok_or(BlockError::Overrun)?;
            if let Block::Packet(packet) = section.block(block)? {
                packets.push((packet.seconds, packet.nanos, packet.bytes.to_vec()));
            }
            rest = &rest[len..];
        }
        Ok(packets)
    }

    fn sample() -> Vec<u8> {
        let mut file = Vec::new();
        put_section(&mut file, LinkType::ETHERNET, 262_144);
        put_packet(&mut file, 5_000_000_123, 1500, b"hello");
        put_packet(&mut file, 6_000_000_000, 4, b"four");
        file
    }

    #[test]
    fn what_is_written_is_read_back() {
        let packets = read(&sample()).unwrap();
        assert_eq!(packets[0], (5, 123, b"hello".to_vec()));
        assert_eq!(packets[1], (6, 0, b"four".to_vec()));
    }

    #[test]
    fn damage_at_any_byte_never_panics() {
        let file = sample();
        for at in 0..file.len() {
            let mut broken = file.clone();
            broken[at] ^= 0xff;
            let _ = read(&broken);
            let _ = read(&file[..at]);
        }
    }

    #[test]
    fn resolutions_of_both_bases_are_understood() {
        assert_eq!(resolution(&[6]), Ok(1_000_000));
        assert_eq!(resolution(&[0x8a]), Ok(1024));
        assert!(resolution(&[0xff]).is_err());
        let interface = Interface {
            link_type: LinkType::RAW,
            snaplen: 0,
            units_per_second: 1024,
            offset_seconds: 10,
        };
        assert_eq!(interface.time(1024 + 512), (11, 500_000_000));
    }
}
