//! `-w`: packets into a file, or into several by size or time (`-C`, `-G`, `-W`).
//!
//! The records of a run are gathered and written in big blocks; `-U` writes each as it comes.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use box_kit::Failure;
use box_wire::link::LinkType;
use box_wire::pcap::{self, Precision};
use box_wire::pcapng;

use crate::arguments::Settings;
use crate::opener::Opener;
use crate::source::Packet;
use box_kit::calendar::{civil, days};
use box_kit::zone::Zone;

const BLOCK_LEN: usize = 1 << 18;

/// Writes capture files.
pub struct PacketWriter {
    path: String,
    /// The name of the file at hand.
    name: String,
    rotation: Rotation,
    precision: Precision,
    /// Blocks of pcapng in place of records of pcap.
    blocks: bool,
    opener: Opener,
    snaplen: u32,
    link: u32,
    each: bool,
    zone: Zone,
    file: Option<File>,
    block: Vec<u8>,
    /// Bytes of the file at hand, the block included.
    written: u64,
    /// The number of the file at hand.
    index: u64,
    /// When the file at hand was begun, in seconds of its packets.
    begun: i64,
}

#[derive(Clone, Copy)]
struct Rotation {
    bytes: u64,
    seconds: u64,
    count: u64,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is in the file.
    Done,
    /// `-W` with `-G`: the last file is full, the capture ends.
    Limit,
}

impl PacketWriter {
    /// Opens the (first) file with `opener`; `link` is the word of the link type.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(
        path: &str,
        settings: &Settings,
        opener: Opener,
        (link, snaplen): (u32, u32),
    ) -> Result<PacketWriter, Failure> {
        let mut writer = PacketWriter {
            path: path.to_owned(),
            name: String::new(),
            rotation: Rotation {
                bytes: settings.rotate_bytes,
                seconds: settings.rotate_seconds,
                count: settings.rotate_count,
            },
            precision: settings.precision,
            blocks: settings.pcapng,
            opener,
            snaplen,
            link,
            each: settings.packet_buffered,
            zone: Zone::local(),
            file: None,
            block: Vec::with_capacity(BLOCK_LEN + 65_536),
            written: 0,
            index: 0,
            begun: now(),
        };
        writer.start()?;
        Ok(writer)
    }

    /// Takes a packet.
    ///
    /// # Errors
    /// The kernel's, with the file's name.
    pub fn packet(&mut self, packet: &Packet<'_>) -> Result<Written, Failure> {
        if self.rotation.seconds > 0 {
            let seen = packet.stamp.seconds;
            if seen - self.begun >= self.rotation.seconds as i64 {
                self.close()?;
                if self.rotation.count > 0
                    && self.rotation.bytes == 0
                    && self.index + 1 >= self.rotation.count
                {
                    eprintln!("Maximum file limit reached: {}", self.rotation.count);
                    return Ok(Written::Limit);
                }
                self.begun = seen;
                self.next_file()?;
            }
        }
        if self.rotation.bytes > 0 && self.written > self.rotation.bytes {
            self.close()?;
            self.next_file()?;
        }
        let before = self.block.len();
        let stamp = packet.stamp;
        if self.blocks {
            let nanos = match self.precision {
                Precision::Micro => u64::from(stamp.fraction) * 1000,
                Precision::Nano => u64::from(stamp.fraction),
            };
            let nanos = (stamp.seconds as u64).wrapping_mul(1_000_000_000).wrapping_add(nanos);
            pcapng::put_packet(&mut self.block, nanos, packet.wire_len, packet.bytes);
        } else {
            let (seconds, fraction) = (stamp.seconds as u32, stamp.fraction);
            pcap::put_record(&mut self.block, seconds, fraction, packet.wire_len, packet.bytes);
        }
        self.written += (self.block.len() - before) as u64;
        if self.each || self.block.len() >= BLOCK_LEN {
            self.flush()?;
        }
        Ok(Written::Done)
    }

    /// Writes out what is gathered.
    ///
    /// # Errors
    /// The kernel's, with the file's name.
    pub fn flush(&mut self) -> Result<(), Failure> {
        if let Some(file) = &mut self.file {
            file.write_all(&self.block).map_err(Failure::os(&self.path))?;
        }
        self.block.clear();
        Ok(())
    }

    /// Ends the file at hand: what `-z` names may have it.
    fn close(&mut self) -> Result<(), Failure> {
        self.flush()?;
        self.file = None;
        self.opener.finished(&self.name).map_err(Failure::os(&self.name))
    }

    fn next_file(&mut self) -> Result<(), Failure> {
        self.index += 1;
        if self.rotation.count > 0 && self.rotation.bytes > 0 {
            self.index %= self.rotation.count;
        }
        self.start()
    }

    fn start(&mut self) -> Result<(), Failure> {
        let name = self.file_name();
        self.file = Some(if name == "-" {
            stdout_file().map_err(Failure::os("standard output"))?
        } else {
            self.opener.create(&name).map_err(Failure::os(&name))?
        });
        self.block.clear();
        if self.blocks {
            pcapng::put_section(&mut self.block, LinkType(self.link as u16), self.snaplen);
        } else {
            pcap::put_file_header(&mut self.block, self.precision, self.snaplen, self.link);
        }
        self.name = name;
        self.written = self.block.len() as u64;
        if self.each {
            self.flush()?;
        }
        Ok(())
    }

    /// The name of the file at hand: `-G` puts the time into it, `-C` a number behind it.
    fn file_name(&self) -> String {
        if self.path == "-" {
            return self.path.clone();
        }
        let mut name = if self.rotation.seconds > 0 {
            strftime(&self.path, self.begun, &self.zone)
        } else {
            self.path.clone()
        };
        if self.rotation.bytes > 0 && self.rotation.seconds == 0 {
            if self.rotation.count > 0 {
                let width = digits(self.rotation.count.saturating_sub(1));
                name += &format!("{:0width$}", self.index);
            } else if self.index > 0 {
                name += &self.index.to_string();
            }
        }
        name
    }
}

fn digits(mut number: u64) -> usize {
    let mut width = 1;
    while number >= 10 {
        number /= 10;
        width += 1;
    }
    width
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

/// Standard output without the line buffer of the standard library.
///
/// # Errors
/// The kernel's.
pub fn stdout_file() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// The conversions of strftime(3) that make sense in a file's name.
fn strftime(pattern: &str, second: i64, zone: &Zone) -> String {
    let local = second + i64::from(zone.offset(second));
    let (year, month, day) = civil(local.div_euclid(86_400));
    let of_day = local.rem_euclid(86_400);
    let of_year = local.div_euclid(86_400) - days(year, 1, 1) + 1;
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('Y') => out += &year.to_string(),
            Some('y') => out += &format!("{:02}", year % 100),
            Some('m') => out += &format!("{month:02}"),
            Some('d') => out += &format!("{day:02}"),
            Some('H') => out += &format!("{:02}", of_day / 3600),
            Some('M') => out += &format!("{:02}", of_day / 60 % 60),
            Some('S') => out += &format!("{:02}", of_day % 60),
            Some('j') => out += &format!("{of_year:03}"),
            Some('s') => out += &second.to_string(),
            Some('F') => out += &format!("{year}-{month:02}-{day:02}"),
            Some('T') => {
                out += &format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
            }
            Some('%') => out.push('%'),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_the_time() {
        let zone = Zone::utc();
        let name = strftime("x-%Y%m%d-%H%M%S-%j-%%-%q.pcap", 1_700_000_000, &zone);
        assert_eq!(name, "x-20231114-221320-318-%-%q.pcap");
    }

    #[test]
    fn numbers_are_padded_to_the_last() {
        assert_eq!((digits(0), digits(9), digits(10), digits(999)), (1, 1, 2, 3));
    }
}
