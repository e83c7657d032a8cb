//! The rules of the tree, checked on its text. Prints the distribution of function and file
//! lengths.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file of the project, with its path below the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Files under tests, benches and fuzz, and `tests.rs` modules.
    fn is_test(&self) -> bool {
        ["tests/", "fuzz/", "bench/"].iter().any(|folder| self.path.starts_with(folder))
            || self.path.contains("/tests/")
            || self.path.ends_with("tests.rs")
    }

    /// The lines of code outside `#[cfg(test)]` modules, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("\n#[cfg(test)]\nmod ").map_or(self.text.len(), |at| at + 1);
        self.text[..end]
            .lines()
            .enumerate()
            .map(|(number, line)| (number + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "applets", "tests", "fuzz"] {
        walk(&root.join(folder), &mut found);
    }
    let sources: Vec<Source> = found
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).unwrap(),
            path: path.strip_prefix(root).unwrap().display().to_string(),
        })
        .collect();
    assert!(sources.len() > 20, "the walk found {} files", sources.len());
    sources
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Fails with every line that breaks a rule.
#[track_caller]
fn none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let broken = sources().into_iter().filter(|source| !source.text.starts_with("//!"));
    none("a file begins with //!", broken.map(|source| source.path).collect());
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let mut broken = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let block = code.contains("unsafe {") || code.contains("unsafe impl");
            if !block || source.path.ends_with("tidy.rs") || code.contains('"') {
                continue;
            }
            // The line may stand above a statement of a few lines, or above a chain of them.
            let above = &lines[at.saturating_sub(8)..=at];
            if !above.iter().any(|line| line.contains("// SAFETY:")) {
                broken.push(format!("{}:{}", source.path, at + 1));
            }
        }
    }
    none("// SAFETY: stands above every unsafe block", broken);
}

#[test]
fn no_applet_names_another() {
    let names = ["proxy", "cache", "sql", "sniff", "container"];
    let mut broken = Vec::new();
    for source in sources() {
        let Some(rest) = source.path.strip_prefix("applets/") else { continue };
        let own = rest.split('/').next().unwrap_or_default();
        for name in names.iter().filter(|name| **name != own) {
            let krate = format!("box_{name}");
            for (number, _) in source.code().filter(|(_, line)| line.contains(&krate)) {
                broken.push(format!("{}:{number}: {krate}", source.path));
            }
        }
    }
    none("an applet never depends on another", broken);
}

/// Lines of code (not of tests) that hold `word`, where `of` says that the rule is about the file.
fn holding(word: &str, of: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().into_iter().filter(|source| !source.is_test() && of(source)) {
        for (number, _) in source.code().filter(|(_, line)| line.contains(word)) {
            found.push(format!("{}:{number}", source.path));
        }
    }
    found
}

#[test]
fn only_main_ends_the_process() {
    none("process::exit", holding("process::exit", |source| !source.path.starts_with("src/bin/")));
}

#[test]
fn nothing_is_left_behind() {
    for word in ["dbg!(", "todo!(", "unimplemented!(", "TODO", "FIXME"] {
        none(word, holding(word, |_| true));
    }
}

#[test]
fn the_parsers_of_wire_cannot_panic_on_their_input() {
    for word in [".unwrap()", ".expect(", "panic!(", "unreachable!("] {
        none(word, holding(word, |source| source.path.starts_with("src/wire/")));
    }
}

#[test]
fn lengths_are_shown() {
    let mut files: Vec<usize> = Vec::new();
    let mut functions: Vec<usize> = Vec::new();
    for source in sources().into_iter().filter(|source| !source.is_test()) {
        files.push(source.text.lines().count());
        functions.extend(function_lengths(&source.text));
    }
    for (what, lengths) in [("file", &mut files), ("function", &mut functions)] {
        lengths.sort_unstable();
        let at = |share: f64| lengths[((lengths.len() - 1) as f64 * share) as usize];
        println!(
            "{what} lengths: {} of them, median {}, 90 % below {}, 99 % below {}, longest {}",
            lengths.len(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }
    assert!(!functions.is_empty());
}

/// Lines from `fn` to the brace that closes it at the same indentation, as rustfmt lays it out.
fn function_lengths(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let mut lengths = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let starts =
            ["fn ", "pub fn ", "pub(crate) fn ", "const fn ", "pub const fn ", "async fn "];
        if !starts.iter().any(|start| code.starts_with(start)) {
            continue;
        }
        let close = format!("{}}}", &line[..line.len() - code.len()]);
        if let Some(length) = lines[at..].iter().position(|line| *line == close) {
            lengths.push(length + 1);
        }
    }
    lengths
}
