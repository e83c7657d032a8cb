//! The manifest of a multi-part append-only file: which files it consists of, in which order.
//!
//! ```text
//! file appendonly.aof.1.base.rdb seq 1 type b
//! file appendonly.aof.1.incr.aof seq 1 type i
//! ```
//!
//! `b` is the base, `h` history that may be removed, `i` what came after the base.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use box_wire::resp::split_words;

/// A file of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name in the folder.
    pub name: String,
    /// Its number.
    pub seq: u64,
}

/// The set of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The base.
    pub base: Option<Part>,
    /// What may be removed.
    pub history: Vec<Part>,
    /// What came after the base, oldest first.
    pub incr: Vec<Part>,
}

/// A line may have this many bytes.
const LINE_MAX: usize = 1024;

impl Manifest {
    /// Reads the text of a manifest.
    ///
    /// # Errors
    /// Why it is none, in the incumbents' words.
    pub fn parse(text: &str) -> Result<Manifest, String> {
        let mut manifest = Manifest::default();
        let mut lines = 0;
        for line in text.lines() {
            lines += 1;
            if line.starts_with('#') {
                continue;
            }
            let (part, kind) = part(line)?;
            match kind {
                'b' if manifest.base.is_some() => {
                    return Err("Found duplicate base file information".into());
                }
                'b' => manifest.base = Some(part),
                'h' => manifest.history.push(part),
                _ => {
                    if manifest.incr.last().is_some_and(|last| part.seq <= last.seq) {
                        return Err("Found a non-monotonic sequence number".into());
                    }
                    manifest.incr.push(part);
                }
            }
        }
        if lines == 0 {
            return Err("Found an empty AOF manifest".into());
        }
        Ok(manifest)
    }

    /// The text of the manifest.
    pub fn text(&self) -> String {
        let line = |part: &Part, kind| format!("file {} seq {} type {kind}\n", part.name, part.seq);
        let base = self.base.iter().map(|part| line(part, 'b'));
        let history = self.history.iter().map(|part| line(part, 'h'));
        base.chain(history).chain(self.incr.iter().map(|part| line(part, 'i'))).collect()
    }

    /// Puts the manifest in its place, so that there is always a whole one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!("temp-{name}"));
        let mut file = File::create(&temporary)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn part(line: &str) -> Result<(Part, char), String> {
    let invalid = || "Invalid AOF manifest file format".to_owned();
    if line.len() > LINE_MAX {
        return Err("The AOF manifest file contains too long line".into());
    }
    let words = split_words(line.as_bytes()).ok_or_else(invalid)?;
    let words: Vec<String> =
        words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let (mut name, mut seq, mut kind) = (None, None, None);
    for pair in words.chunks(2) {
        let [key, value] = pair else { return Err(invalid()) };
        match key.as_str() {
            "file" if value.contains('/') => return Err("File can't be a path, just a filename".into()),
            "file" => name = Some(value.clone()),
            "seq" => seq = value.parse().ok(),
            "type" => kind = value.chars().next(),
            _ => {}
        }
    }
    match (name, seq, kind) {
        (Some(name), Some(seq), Some(kind @ ('b' | 'h' | 'i'))) if seq > 0 && !name.is_empty() => {
            Ok((Part { name, seq }, kind))
        }
        (Some(_), Some(_), Some(_)) => Err("Unknown AOF file type".into()),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_round_trips() {
        let text = "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.text(), text);
        assert_eq!(manifest.incr.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in ["", "x", "file a seq 1", "file a seq 0 type b", "file a seq 1 type z",
            "file a/b seq 1 type b", "file a seq 1 type b\nfile b seq 2 type b",
            "file a seq 2 type i\nfile b seq 1 type i"] {
            assert!(Manifest::parse(text).is_err(), "{text}");
        }
    }
}
