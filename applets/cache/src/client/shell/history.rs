//! The history file: one line a command, as redis-cli keeps it (`~/.rediscli_history`).
//!
//! Lines are appended, so that sessions side by side do not lose each other's; the file is cut to
//! its newest lines when it has become long.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Lines that are kept.
const LINES_MAX: usize = 1000;

/// A file in the home folder, or where `variable` says; `/dev/null` means none.
pub fn dotfile(variable: &str, name: &str) -> Option<PathBuf> {
    match env::var_os(variable) {
        Some(path) if path.is_empty() || path == "/dev/null" => None,
        Some(path) => Some(PathBuf::from(path)),
        None => Some(PathBuf::from(env::var_os("HOME")?).join(name)),
    }
}

/// The history file.
pub struct HistoryFile {
    path: PathBuf,
}

impl HistoryFile {
    /// Where `REDISCLI_HISTFILE` says, or in the home folder.
    pub fn of_environment() -> Option<HistoryFile> {
        dotfile("REDISCLI_HISTFILE", ".rediscli_history").map(|path| HistoryFile { path })
    }

    /// Its lines, oldest first.
    pub fn load(&self) -> Vec<String> {
        let text = fs::read(&self.path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let surplus = lines.len().saturating_sub(LINES_MAX);
        if surplus > LINES_MAX / 2 {
            self.rewrite(lines.get(surplus..).unwrap_or_default());
        }
        lines.into_iter().skip(surplus).collect()
    }

    /// Adds a line. A history that cannot be written is no reason to stop.
    pub fn append(&self, line: &str) {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path);
        if let Ok(mut file) = file {
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }

    fn rewrite(&self, lines: &[String]) {
        let mut fresh = self.path.clone().into_os_string();
        fresh.push(".new");
        let file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh);
        let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
        if file.and_then(|mut file| file.write_all(text.as_bytes())).is_ok() {
            let _ = fs::rename(&fresh, &self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_and_a_long_file_is_cut() {
        let folder = env::temp_dir().join(format!("box-history-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = HistoryFile { path: folder.join("history") };
        (0..1600).for_each(|number| file.append(&format!("get {number}")));
        let lines = file.load();
        assert_eq!((lines.len(), lines[999].as_str()), (1000, "get 1599"));
        assert_eq!(fs::read_to_string(&file.path).unwrap().lines().count(), 1000);
        fs::remove_dir_all(&folder).unwrap();
    }
}
