//! The configuration file and the command line that overrides it.
//!
//! A line is a parameter and its words, quoted as in an inline request; `#` begins a comment;
//! `include` reads another file in place. `--name value` on the command line is such a line.

use std::fmt;
use std::io;
use std::path::Path;

use box_wire::resp::split_words;

use super::{Config, Refused};

/// Files may include each other this deep.
const DEPTH_MAX: usize = 16;

/// A line that is not taken.
#[derive(Debug)]
pub struct BadLine {
    /// Its number.
    pub number: usize,
    /// Its text.
    pub line: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\n*** FATAL CONFIG FILE ERROR (Redis {}) ***\nReading the configuration file, at line \
             {}\n>>> '{}'\n{}\n",
            crate::VERSION,
            self.number,
            self.line,
            self.reason
        )
    }
}

/// Directives that are taken and have no parameter.
const OTHER: &[&str] = &["rename-command", "loadmodule", "sentinel"];

/// Reads all lines of `text` into `config`.
///
/// # Errors
/// The first line that is not taken.
pub fn load(config: &mut Config, text: &str, depth: usize) -> Result<(), BadLine> {
    let mut saves = 0;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_matches([' ', '\t', '\r', '\n']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = |reason: String| BadLine { number: number + 1, line: line.to_owned(), reason };
        let words = split_words(line.as_bytes())
            .ok_or_else(|| bad("Unbalanced quotes in configuration line".into()))?;
        let words: Vec<String> =
            words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let Some((name, values)) = words.split_first() else { continue };
        apply(config, &name.to_lowercase(), values, &mut saves, depth).map_err(bad)?;
    }
    Ok(())
}

fn apply(
    config: &mut Config,
    name: &str,
    values: &[String],
    saves: &mut usize,
    depth: usize,
) -> Result<(), String> {
    if name == "include" {
        if depth >= DEPTH_MAX {
            return Err("too many levels of include".into());
        }
        for path in values {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("{path}: {}", box_kit::exit::kernel_words(&error)))?;
            load(config, &text, depth + 1).map_err(|bad| bad.to_string())?;
        }
        return Ok(());
    }
    if name == "user" {
        config.users.push(values.to_vec());
        return Ok(());
    }
    if OTHER.contains(&name) {
        return Ok(());
    }
    if values.is_empty() {
        return Err(match Config::is_fixed(name) {
            None => "Bad directive or wrong number of arguments".into(),
            Some(_) => "wrong number of arguments".into(),
        });
    }
    let set = if name == "save" && !values.iter().all(String::is_empty) {
        *saves += 1;
        config.add_save_point(values, *saves == 1)
    } else {
        if name == "save" {
            *saves = 0;
        }
        let values: Vec<String> = match name {
            "replicaof" | "slaveof" if values == ["no", "one"] => vec![String::new()],
            "save" => Vec::new(),
            _ => values.to_vec(),
        };
        config.set(name, &values, false)
    };
    set.map_err(|refused| match refused {
        Refused::Unknown => "Bad directive or wrong number of arguments".into(),
        Refused::Fixed => "can't set immutable config".into(),
        Refused::Protected => "can't set protected config".into(),
        Refused::Value(reason) => reason,
    })
}

/// The lines that `--name value …` on the command line stand for.
pub fn from_arguments(args: &[String]) -> String {
    let mut text = String::new();
    for arg in args {
        match arg.strip_prefix("--") {
            Some(name) => {
                text.push('\n');
                text.push_str(name);
            }
            None => {
                text.push(' ');
                text.push_str(&quoted(arg));
            }
        }
    }
    text.push('\n');
    text
}

/// A word as it must stand in the file.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '#');
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            _ => text.push(c),
        }
    }
    text.push('"');
    text
}

/// Parameters whose value is several words.
const MANY_WORDS: &[&str] = &[
    "bind",
    "client-output-buffer-limit",
    "oom-score-adj-values",
    "latency-tracking-info-percentiles",
];

fn lines_for(name: &str, value: &str) -> Vec<String> {
    let words: Vec<&str> = value.split(' ').collect();
    match name {
        "save" if value.is_empty() => vec!["save \"\"".into()],
        "save" => words.chunks(2).map(|pair| format!("save {}", pair.join(" "))).collect(),
        "client-output-buffer-limit" => {
            words.chunks(4).map(|group| format!("{name} {}", group.join(" "))).collect()
        }
        _ if MANY_WORDS.contains(&name) => vec![format!("{name} {value}")],
        _ => vec![format!("{name} {}", quoted(value))],
    }
}

/// Writes the values into the file at `path`: a line of it keeps its place, comments stay, what
/// differs from the default and has no line is added at the end.
///
/// # Errors
/// The file cannot be read or written.
pub fn rewrite(config: &Config, path: &Path) -> io::Result<()> {
    let old = std::fs::read_to_string(path).unwrap_or_default();
    let defaults = Config::default();
    let mut written: Vec<&str> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    let pairs = config.pairs();
    for line in old.lines() {
        let name = line.split_whitespace().next().unwrap_or_default().to_lowercase();
        match pairs.iter().find(|(known, _)| *known == name) {
            None => lines.push(line.to_owned()),
            Some((known, _)) if written.contains(known) => {}
            Some((known, value)) => {
                lines.extend(lines_for(known, value));
                written.push(known);
            }
        }
    }
    let marker = "# Generated by CONFIG REWRITE";
    for (name, value) in pairs {
        if value == defaults.get(name) || written.contains(&name) || name == "threads" {
            continue;
        }
        if !lines.iter().any(|line| line == marker) {
            lines.push(marker.to_owned());
        }
        lines.extend(lines_for(name, value));
    }
    let temporary = path.with_extension("rewrite-temp");
    std::fs::write(&temporary, lines.join("\n") + "\n")?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_arguments_are_taken() {
        let mut config = Config::default();
        load(&mut config, "# x\nport 7000\nsave 900 1\nsave 300 10\nrequirepass \"a b\"\n", 0)
            .unwrap();
        assert_eq!(config.get("save"), "900 1 300 10");
        assert_eq!(config.get("requirepass"), "a b");
        let args = ["--port", "7001", "--save", ""].map(str::to_owned);
        load(&mut config, &from_arguments(&args), 0).unwrap();
        assert_eq!((config.get("port"), config.get("save")), ("7001", ""));
    }

    #[test]
    fn a_bad_line_is_named() {
        let mut config = Config::default();
        let bad = load(&mut config, "port 1\nnope 3\n", 0).unwrap_err();
        assert_eq!((bad.number, &bad.line[..]), (2, "nope 3"));
        assert!(bad.to_string().contains("*** FATAL CONFIG FILE ERROR"));
    }

    #[test]
    fn no_text_panics() {
        let mut state = 1u64;
        for _ in 0..2000 {
            let text: String = (0..30)
                .map(|_| {
                    state =
                        state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    char::from(b" \"\\'#\nsaveport0-9x"[(state >> 40) as usize % 18])
                })
                .collect();
            let _ = load(&mut Config::default(), &text, 0);
        }
    }
}
