//! The container's output as docker's json-file driver writes it: a JSON object a line, files
//! rotated by size.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use crate::engine::container::{Container, LogConfig};

/// A longer line is written in parts, as docker does.
const LINE_MAX: usize = 16 * 1024;

/// The log of a container.
pub struct Log {
    path: PathBuf,
    config: LogConfig,
    file: Option<File>,
    size: u64,
    /// Lines that have begun, per stream.
    begun: [Vec<u8>; 2],
    /// Encoded and not yet written.
    pending: Vec<u8>,
}

/// The name of the log in a container's folder.
pub const FILE: &str = "log.json";

impl Log {
    pub fn open(container: &Container) -> Log {
        let path = container.folder.join(FILE);
        let config = container.config.log.clone();
        let file = (config.driver != "none")
            .then(|| File::options().append(true).create(true).open(&path).ok())
            .flatten();
        let size = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |data| data.len());
        Log { path, config, file, size, begun: [Vec::new(), Vec::new()], pending: Vec::new() }
    }

    /// Takes output of a stream (0 for standard output).
    pub fn write(&mut self, stream: usize, mut bytes: &[u8]) {
        if self.file.is_none() {
            return;
        }
        while !bytes.is_empty() {
            let Some(begun) = self.begun.get_mut(stream) else { return };
            let room = LINE_MAX.saturating_sub(begun.len());
            let window = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
            let end = window.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            let (line, rest) = bytes.split_at(end.unwrap_or(window.len()));
            begun.extend_from_slice(line);
            bytes = rest;
            if end.is_some() || begun.len() >= LINE_MAX {
                let line = std::mem::take(begun);
                self.encode(stream, &line);
            }
        }
        self.flush();
    }

    /// Writes what has begun and not ended.
    pub fn close(&mut self) {
        for stream in 0..2 {
            let line = self.begun.get_mut(stream).map(std::mem::take).unwrap_or_default();
            if !line.is_empty() {
                self.encode(stream, &line);
            }
        }
        self.flush();
    }

    fn encode(&mut self, stream: usize, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let stream = if stream == 0 { "stdout" } else { "stderr" };
        let time = crate::time::rfc3339(crate::time::now());
        if let Ok(text) = serde_json::to_string(&text) {
            let entry = format!("{{\"log\":{text},\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n");
            self.pending.extend_from_slice(entry.as_bytes());
        }
        if self.pending.len() > LINE_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let full = self.config.max_bytes.is_some_and(|max| self.size >= max);
        if full {
            self.rotate();
        }
        if let Some(file) = &mut self.file {
            // A full disk loses lines of the log, and never stops the container.
            if file.write_all(&self.pending).is_ok() {
                self.size += self.pending.len() as u64;
            }
        }
        self.pending.clear();
    }

    /// `log.json` becomes `log.json.1`, and so on up to the number of files kept.
    fn rotate(&mut self) {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        let keep = self.config.max_files.max(1);
        for number in (1..keep.saturating_sub(1)).rev() {
            let _ = fs::rename(numbered(number), numbered(number + 1));
        }
        let moved = if keep > 1 {
            fs::rename(&self.path, numbered(1))
        } else {
            fs::remove_file(&self.path)
        };
        if moved.is_ok() {
            self.file = File::options().append(true).create(true).open(&self.path).ok();
            self.size = 0;
        }
    }
}
