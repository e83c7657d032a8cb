//! Packets of a file: pcap and pcapng, from a path or standard input.
//!
//! One buffer is filled with big reads; packets are slices of it, copied nowhere.

use std::fs::File;
use std::io::{self, Read};

use box_wire::link::LinkType;
use box_wire::pcap::{self, FileHeader, HeaderError, MAX_RECORD_LEN, Precision};
use box_wire::pcapng::{self, Block, Section};

use super::Packet;
use crate::time::stamp::Stamp;

const READ_LEN: usize = 1 << 20;

/// A file of packets that is being read.
pub struct CaptureFile {
    input: Input,
    format: Format,
    precision: Precision,
    /// The link type of the file, or of its first interface.
    pub link_type: LinkType,
    /// The snapshot length of the file, or of its first interface.
    pub snaplen: u32,
    /// The upper bits of the link type's word, which a rewritten file keeps.
    pub link_extension: u32,
    /// The file's byte order is not this machine's.
    pub swapped: bool,
}

enum Format {
    Pcap(FileHeader),
    Pcapng(Section),
}

/// The buffer between the file and the packets.
struct Input {
    file: Box<dyn Read>,
    buffer: Vec<u8>,
    /// Of what is in the buffer, from here on is not yet used.
    at: usize,
    /// Up to here the buffer is filled.
    end: usize,
}

/// Why a file is refused, or its reading ends, in the incumbent's words.
#[derive(Debug)]
pub enum FileError {
    /// The kernel's error.
    Io(io::Error),
    /// The file is not a capture, or damaged.
    Format(String),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> FileError {
        FileError::Io(error)
    }
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FileError::Io(error) => write!(f, "error reading dump file: {}", kernel(error)),
            FileError::Format(text) => f.write_str(text),
        }
    }
}

fn kernel(error: &io::Error) -> String {
    box_kit::exit::kernel_words(error)
}

fn truncated(wanted: usize, what: &str, got: usize) -> FileError {
    FileError::Format(format!(
        "truncated dump file; tried to read {wanted} {what} bytes, only got {got}"
    ))
}

impl Input {
    /// Makes `len` bytes available; how many there are is less at the end of the file.
    fn fill(&mut self, len: usize) -> io::Result<usize> {
        while self.end - self.at < len {
            if self.at > 0 && self.buffer.len() - self.at < len.max(READ_LEN / 4) {
                self.buffer.copy_within(self.at..self.end, 0);
                self.end -= self.at;
                self.at = 0;
            }
            if self.buffer.len() - self.at < len || self.end == self.buffer.len() {
                self.buffer.resize((self.at + len).max(READ_LEN).max(self.buffer.len() * 2), 0);
            }
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.file.read(room) {
                Ok(0) => break,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok((self.end - self.at).min(len))
    }

    fn bytes(&self, len: usize) -> &[u8] {
        self.buffer.get(self.at..self.at + len).unwrap_or_default()
    }
}

impl CaptureFile {
    /// Opens a path, or standard input for `-`.
    ///
    /// # Errors
    /// The kernel's error, or that it is no capture.
    pub fn open(path: &str, precision: Precision) -> Result<CaptureFile, FileError> {
        let file: Box<dyn Read> =
            if path == "-" { Box::new(io::stdin().lock()) } else { Box::new(File::open(path)?) };
        CaptureFile::new(file, precision)
    }

    /// Reads what `file` holds; stamps are given in `precision`.
    ///
    /// # Errors
    /// As [`CaptureFile::open`].
    pub fn new(file: Box<dyn Read>, precision: Precision) -> Result<CaptureFile, FileError> {
        let mut input = Input { file, buffer: vec![0; READ_LEN], at: 0, end: 0 };
        let got = input.fill(4)?;
        if got < 4 {
            return Err(truncated(4, "file header", got));
        }
        if input.bytes(4) == pcapng::SECTION_HEADER.to_le_bytes() {
            return CaptureFile::pcapng(input, precision);
        }
        let got = input.fill(pcap::FILE_HEADER_LEN)?;
        let Some(head) = input.bytes(got).first_chunk::<{ pcap::FILE_HEADER_LEN }>() else {
            return match input.bytes(4) {
                magic if is_pcap(magic) => Err(truncated(24, "file header", got)),
                _ => Err(FileError::Format("unknown file format".to_owned())),
            };
        };
        let header = FileHeader::parse(head).map_err(|error| match error {
            HeaderError::NotPcap => FileError::Format("unknown file format".to_owned()),
            HeaderError::Version(major, minor) => {
                FileError::Format(format!("unsupported pcap savefile version {major}.{minor}"))
            }
        })?;
        input.at += pcap::FILE_HEADER_LEN;
        Ok(CaptureFile {
            input,
            precision,
            link_type: header.link_type,
            snaplen: header.snaplen,
            link_extension: header.link_extension,
            swapped: header.swapped(),
            format: Format::Pcap(header),
        })
    }

    /// Reads the blocks up to the first interface.
    fn pcapng(input: Input, precision: Precision) -> Result<CaptureFile, FileError> {
        let mut file = CaptureFile {
            input,
            precision,
            link_type: LinkType::ETHERNET,
            snaplen: 0,
            link_extension: 0,
            swapped: false,
            format: Format::Pcapng(Section::default()),
        };
        loop {
            match file.next_block()? {
                None => {
                    let text = "the capture file has no Interface Description Blocks";
                    return Err(FileError::Format(text.to_owned()));
                }
                Some(Step::Interface(interface)) => {
                    file.link_type = interface.link_type;
                    file.snaplen = match interface.snaplen {
                        0 => 262_144,
                        snaplen => snaplen.min(i32::MAX as u32),
                    };
                    return Ok(file);
                }
                Some(Step::Packet(..)) => {
                    let text = "the capture file has a packet block before any Interface \
                                Description Blocks";
                    return Err(FileError::Format(text.to_owned()));
                }
                Some(Step::Other) => {}
            }
        }
    }

    /// The next packet, or `None` at the end.
    ///
    /// # Errors
    /// The kernel's error, or damage.
    pub fn next(&mut self) -> Result<Option<Packet<'_>>, FileError> {
        if let Format::Pcap(header) = self.format {
            return self.next_record(header);
        }
        loop {
            match self.next_block()? {
                None => return Ok(None),
                Some(Step::Packet(stamp, wire_len, from, len)) => {
                    let bytes = self.input.buffer.get(from..from + len).unwrap_or_default();
                    return Ok(Some(Packet { stamp, wire_len, link_type: self.link_type, bytes }));
                }
                Some(Step::Interface(interface)) if interface.link_type != self.link_type => {
                    return Err(FileError::Format(format!(
                        "an interface has a type {} different from the type of the first \
                         interface",
                        interface.link_type.0
                    )));
                }
                Some(_) => {}
            }
        }
    }

    fn next_record(&mut self, header: FileHeader) -> Result<Option<Packet<'_>>, FileError> {
        let head_len = header.record_header_len;
        let got = self.input.fill(head_len)?;
        if got == 0 {
            return Ok(None);
        }
        let record = match header.record(self.input.bytes(got)) {
            Some(record) if got == head_len => record,
            _ => return Err(truncated(head_len, "header", got)),
        };
        if record.captured > MAX_RECORD_LEN {
            return Err(FileError::Format(format!(
                "invalid packet capture length {}, bigger than maximum of {MAX_RECORD_LEN}",
                record.captured
            )));
        }
        self.input.at += head_len;
        let captured = record.captured as usize;
        let got = self.input.fill(captured)?;
        if got < captured {
            return Err(truncated(captured, "captured", got));
        }
        let at = self.input.at;
        self.input.at += captured;
        // A record may be longer than the file says its packets are: the rest is not shown.
        let shown = captured.min(self.snaplen as usize);
        let fraction = match (header.precision, self.precision) {
            (Precision::Micro, Precision::Nano) => record.fraction.wrapping_mul(1000),
            // Signed, as the incumbent's reader divides: it shows in damaged files.
            (Precision::Nano, Precision::Micro) => (record.fraction as i32 / 1000) as u32,
            _ => record.fraction,
        };
        let stamp = Stamp { seconds: i64::from(record.seconds), fraction };
        let bytes = self.input.buffer.get(at..at + shown).unwrap_or_default();
        let link_type = self.link_type;
        Ok(Some(Packet { stamp, wire_len: record.original, link_type, bytes }))
    }

    fn next_block(&mut self) -> Result<Option<Step>, FileError> {
        let Format::Pcapng(section) = &mut self.format else { return Ok(None) };
        let got = self.input.fill(12)?;
        if got == 0 {
            return Ok(None);
        }
        let Some(head) = self.input.bytes(got).first_chunk::<12>() else {
            return Err(truncated(8, "block header", got));
        };
        let damaged = |error: pcapng::BlockError| FileError::Format(error.to_string());
        let len = section.block_len(head).map_err(damaged)? as usize;
        let got = self.input.fill(len)?;
        if got < len {
            return Err(truncated(len, "block", got));
        }
        let at = self.input.at;
        self.input.at += len;
        let block = self.input.buffer.get(at..at + len).unwrap_or_default();
        let precision = self.precision;
        let step = match section.block(block).map_err(damaged)? {
            Block::Packet(packet) => {
                let from = at + (packet.bytes.as_ptr() as usize - block.as_ptr() as usize);
                let fraction = match precision {
                    Precision::Micro => packet.nanos / 1000,
                    Precision::Nano => packet.nanos,
                };
                let stamp = Stamp { seconds: packet.seconds, fraction };
                Step::Packet(stamp, packet.original, from, packet.bytes.len())
            }
            Block::Interface => match section.interfaces.last() {
                Some(interface) => Step::Interface(*interface),
                None => Step::Other,
            },
            Block::Section | Block::Other => Step::Other,
        };
        Ok(Some(step))
    }
}

/// What a block of a pcapng file gave; a packet by its place in the buffer.
enum Step {
    Packet(Stamp, u32, usize, usize),
    Interface(pcapng::Interface),
    Other,
}

fn is_pcap(magic: &[u8]) -> bool {
    let mut head = [0; pcap::FILE_HEADER_LEN];
    if let Some(slot) = head.get_mut(..4) {
        slot.copy_from_slice(magic);
    }
    !matches!(FileHeader::parse(&head), Err(HeaderError::NotPcap))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: Vec<u8>) -> (Vec<Vec<u8>>, Option<String>) {
        let mut packets = Vec::new();
        let file = CaptureFile::new(Box::new(io::Cursor::new(bytes)), Precision::Micro);
        let mut file = match file {
            Ok(file) => file,
            Err(error) => return (packets, Some(error.to_string())),
        };
        loop {
            match file.next() {
                Ok(None) => return (packets, None),
                Ok(Some(packet)) => packets.push(packet.bytes.to_vec()),
                Err(error) => return (packets, Some(error.to_string())),
            }
        }
    }

    fn sample() -> Vec<u8> {
        let mut file = Vec::new();
        pcap::put_file_header(&mut file, Precision::Micro, 262_144, 1);
        pcap::put_record(&mut file, 1, 2, 3, b"abc");
        pcap::put_record(&mut file, 1, 2, 2000, &[7; 2000]);
        file
    }

    #[test]
    fn what_is_whole_comes_before_the_damage() {
        let file = sample();
        assert_eq!(read(file.clone()).0.len(), 2);
        let (packets, error) = read(file[..file.len() - 1940].to_vec());
        assert_eq!(packets, [b"abc"]);
        let words = "truncated dump file; tried to read 2000 captured bytes, only got 60";
        assert_eq!(error.unwrap(), words);
        let (_, error) = read(file[..6].to_vec());
        let words = "truncated dump file; tried to read 24 file header bytes, only got 6";
        assert_eq!(error.unwrap(), words);
        let (_, error) = read(Vec::new());
        let words = "truncated dump file; tried to read 4 file header bytes, only got 0";
        assert_eq!(error.unwrap(), words);
        let (_, error) = read(vec![b'x'; 100]);
        assert_eq!(error.unwrap(), "unknown file format");
    }

    #[test]
    fn packets_larger_than_a_read_are_whole() {
        let mut file = Vec::new();
        pcap::put_file_header(&mut file, Precision::Micro, i32::MAX as u32, 1);
        for byte in 0..5 {
            pcap::put_record(&mut file, 1, 2, 3_000_000, &vec![byte; 3_000_000]);
        }
        let (packets, error) = read(file);
        assert!(error.is_none());
        for (byte, packet) in packets.iter().enumerate() {
            assert_eq!(packet.len(), 3_000_000);
            assert!(packet.iter().all(|found| usize::from(*found) == byte));
        }
    }
}
