//! The classic capture file: a file header of 24 bytes, then records of 16 bytes and a packet.
//!
//! ```text
//! magic(4) major(2) minor(2) thiszone(4) sigfigs(4) snaplen(4) linktype(4)
//! seconds(4) fraction(4) captured(4) original(4) packet(captured) ...
//! ```
//!
//! The magic tells byte order and precision. Two dialects differ: the "modified" format of old Red
//! Hat kernels has 8 bytes more in each record, and captures of versions before 2.3 may have the two
//! lengths swapped.

use crate::link::LinkType;

/// Length of the file header.
pub const FILE_HEADER_LEN: usize = 24;
/// Length of the usual record header.
pub const RECORD_HEADER_LEN: usize = 16;
/// A record longer than this is damage: the largest snapshot length of any link type.
pub const MAX_RECORD_LEN: u32 = 128 * 1024 * 1024;

/// The bits of the link type's word that are no link type (draft-ietf-opsawg-pcap).
const LINK_EXTENSION: u32 = 0xfc00_0000;
const MAGIC_MICRO: u32 = 0xa1b2_c3d4;
const MAGIC_NANO: u32 = 0xa1b2_3c4d;
const MAGIC_MODIFIED: u32 = 0xa1b2_cd34;
const MAGIC_NAVTEL: u32 = 0xa12b_3c4d;

/// What a fraction of a second counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Microseconds.
    Micro,
    /// Nanoseconds.
    Nano,
}

/// Whether lengths of a record are swapped, by version of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    InOrder,
    MaybeSwapped,
    Swapped,
}

/// The file header, with all that is needed to read the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The writer's byte order is the other one than ours.
    big_endian: bool,
    lengths: Lengths,
    /// Bytes of a record header: 16, or 24 in the modified format.
    pub record_header_len: usize,
    /// What the fractions of the time stamps count.
    pub precision: Precision,
    /// The most bytes of a packet that are in the file.
    pub snaplen: u32,
    /// The link-layer header type.
    pub link_type: LinkType,
    /// The upper bits of the link type's word, which tell of a frame check sequence.
    pub link_extension: u32,
    /// Major and minor version.
    pub version: (u16, u16),
}

/// Why a file header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The magic is none of ours.
    NotPcap,
    /// A version that no reader knows.
    Version(u16, u16),
}

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Seconds since 1970, unsigned as the format has them.
    pub seconds: u32,
    /// Fraction of a second in the file's precision; not always smaller than a second.
    pub fraction: u32,
    /// Bytes of the packet that follow.
    pub captured: u32,
    /// Bytes of the packet on the wire.
    pub original: u32,
}

impl FileHeader {
    /// Reads the file header.
    ///
    /// # Errors
    /// [`HeaderError`], when this is not a capture of a known version.
    pub fn parse(bytes: &[u8; FILE_HEADER_LEN]) -> Result<FileHeader, HeaderError> {
        let (big_endian, precision, modified) = magic(bytes)?;
        let u16_at = |at: usize| {
            let pair = [bytes[at], bytes[at + 1]];
            if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        let u32_at = |at: usize| read_u32(bytes, at, big_endian);
        let version = (u16_at(4), u16_at(6));
        if version.0 != 2 && version != (543, 0) {
            return Err(HeaderError::Version(version.0, version.1));
        }
        Ok(FileHeader {
            big_endian,
            lengths: match version {
                (2, 3) => Lengths::MaybeSwapped,
                (2, minor) if minor < 3 => Lengths::Swapped,
                (543, 0) => Lengths::Swapped,
                _ => Lengths::InOrder,
            },
            record_header_len: if modified { 24 } else { RECORD_HEADER_LEN },
            precision,
            snaplen: match u32_at(16) {
                0 => 262_144,
                huge if huge > i32::MAX as u32 => i32::MAX as u32,
                snaplen => snaplen,
            },
            link_type: LinkType((u32_at(20) & 0xffff) as u16),
            link_extension: u32_at(20) & LINK_EXTENSION,
            version,
        })
    }

    /// Whether the writer's byte order is not this machine's.
    pub fn swapped(&self) -> bool {
        self.big_endian != cfg!(target_endian = "big")
    }

    /// Reads a record header; `bytes` must have at least [`FileHeader::record_header_len`] bytes.
    pub fn record(&self, bytes: &[u8]) -> Option<RecordHeader> {
        let bytes = bytes.get(..RECORD_HEADER_LEN)?;
        let field = |at| read_u32(bytes, at, self.big_endian);
        let (mut captured, mut original) = (field(8), field(12));
        let swap = match self.lengths {
            Lengths::InOrder => false,
            Lengths::MaybeSwapped => captured > original,
            Lengths::Swapped => true,
        };
        if swap {
            std::mem::swap(&mut captured, &mut original);
        }
        Some(RecordHeader { seconds: field(0), fraction: field(4), captured, original })
    }
}

fn magic(bytes: &[u8; FILE_HEADER_LEN]) -> Result<(bool, Precision, bool), HeaderError> {
    for big_endian in [false, true] {
        match read_u32(bytes, 0, big_endian) {
            MAGIC_MICRO | MAGIC_NAVTEL => return Ok((big_endian, Precision::Micro, false)),
            MAGIC_NANO => return Ok((big_endian, Precision::Nano, false)),
            MAGIC_MODIFIED => return Ok((big_endian, Precision::Micro, true)),
            _ => {}
        }
    }
    Err(HeaderError::NotPcap)
}

fn read_u32(bytes: &[u8], at: usize, big_endian: bool) -> u32 {
    let mut word = [0; 4];
    if let Some(part) = bytes.get(at..at + 4) {
        word.copy_from_slice(part);
    }
    if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
}

/// Appends a file header in the byte order of this machine; `link` is the word of the link type.
pub fn put_file_header(out: &mut Vec<u8>, precision: Precision, snaplen: u32, link: u32) {
    let magic = match precision {
        Precision::Micro => MAGIC_MICRO,
        Precision::Nano => MAGIC_NANO,
    };
    out.extend_from_slice(&magic.to_ne_bytes());
    out.extend_from_slice(&2u16.to_ne_bytes());
    out.extend_from_slice(&4u16.to_ne_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&snaplen.to_ne_bytes());
    out.extend_from_slice(&link.to_ne_bytes());
}

/// Appends a record in the byte order of this machine.
pub fn put_record(out: &mut Vec<u8>, seconds: u32, fraction: u32, original: u32, packet: &[u8]) {
    out.extend_from_slice(&seconds.to_ne_bytes());
    out.extend_from_slice(&fraction.to_ne_bytes());
    out.extend_from_slice(&(packet.len() as u32).to_ne_bytes());
    out.extend_from_slice(&original.to_ne_bytes());
    out.extend_from_slice(packet);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut file = Vec::new();
        put_file_header(&mut file, Precision::Nano, 65_535, 101);
        put_record(&mut file, 7, 999, 1500, b"abc");
        let head: &[u8; 24] = file[..24].try_into().unwrap();
        let head = FileHeader::parse(head).unwrap();
        assert_eq!((head.snaplen, head.link_type), (65_535, LinkType::RAW));
        assert_eq!(head.precision, Precision::Nano);
        let record = head.record(&file[24..]).unwrap();
        let expected = RecordHeader { seconds: 7, fraction: 999, captured: 3, original: 1500 };
        assert_eq!(record, expected);
        assert_eq!(head.record(&file[24..39]), None);
    }

    #[test]
    fn both_byte_orders_and_old_versions_are_read() {
        let mut head = [0u8; 24];
        head[..4].copy_from_slice(&MAGIC_MICRO.to_be_bytes());
        head[5] = 2;
        head[7] = 2;
        head[18..20].copy_from_slice(&[1, 0]);
        let parsed = FileHeader::parse(&head).unwrap();
        assert_eq!((parsed.version, parsed.snaplen), ((2, 2), 256));
        let record = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 60, 0, 0, 0, 50];
        assert_eq!(parsed.record(&record).unwrap().captured, 50);
        assert_eq!(FileHeader::parse(&[0; 24]), Err(HeaderError::NotPcap));
    }
}
