//! What is generated is fresh; what the README shows is true.

use std::fs;
use std::path::Path;
use std::process::Command;

use box_harness::Ran;
use toolbox::applets::APPLETS;

use crate::bx;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A build with some of the applets has another command line: only the whole box is documented.
fn whole_box() -> bool {
    let all = cfg!(all(
        feature = "proxy",
        feature = "cache",
        feature = "sql",
        feature = "sniff",
        feature = "container"
    ));
    assert!(all || APPLETS.len() < 7, "a feature without a row");
    all
}

#[test]
fn the_committed_command_line_page_is_fresh() {
    if !whole_box() {
        return;
    }
    let page = root().join("docs/cli.md");
    let fresh = toolbox::manual::markdown();
    if std::env::var_os("BOX_BLESS").is_some() {
        fs::write(&page, &fresh).unwrap();
    }
    let committed = fs::read_to_string(&page).unwrap_or_default();
    assert!(committed == fresh, "docs/cli.md is stale: run make docs");
}

/// The console blocks of a page: prompts and the output below each.
fn console_blocks(text: &str) -> Vec<Vec<(String, String)>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line != "```console" {
            continue;
        }
        let mut block: Vec<(String, String)> = Vec::new();
        for line in lines.by_ref().take_while(|line| *line != "```") {
            match (line.strip_prefix("$ "), block.last_mut()) {
                (Some(command), _) => block.push((command.to_owned(), String::new())),
                (None, Some((_, output))) => output.push_str(&format!("{line}\n")),
                (None, None) => panic!("a console block begins with a prompt: {line}"),
            }
        }
        blocks.push(block);
    }
    blocks
}

/// Whether `shown` matches `got`; a line `...` stands for any lines, `...` within one for any text.
fn matches(shown: &[&str], got: &[&str]) -> bool {
    match shown.split_first() {
        None => got.is_empty(),
        Some((&"...", rest)) => (0..=got.len()).any(|skip| matches(rest, &got[skip..])),
        Some((line, rest)) => {
            got.first().is_some_and(|first| line_matches(line, first)) && matches(rest, &got[1..])
        }
    }
}

fn line_matches(shown: &str, got: &str) -> bool {
    let mut parts = shown.split("...");
    let Some(mut rest) = got.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Runs every console block of the README in an empty folder and compares what it shows.
#[test]
fn the_readme_shows_what_happens() {
    if !whole_box() || !box_harness::root() {
        return;
    }
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = console_blocks(&text);
    assert!(blocks.len() >= 5, "a minute with each applet: {} blocks", blocks.len());
    for block in blocks {
        let folder = box_harness::scratch();
        let bin = folder.path().join("bin");
        bx().run(["--install".as_ref(), bin.as_os_str()]).succeeds();
        // One shell a block, so that `&` and variables work; a marker parts the outputs.
        let script: String = block
            .iter()
            .map(|(command, _)| format!("{command}\nprintf '\\n--8<--\\n'\n"))
            .collect();
        let mut shell = Command::new("bash");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        shell.args([
            "-c",
            &format!("exec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n{script}"),
        ]);
        shell.env("PATH", path).env("HOME", folder.path()).current_dir(folder.path());
        shell.env("BOX_CONTAINER_ROOT", folder.path().join("containers"));
        let ran = Ran::feed(shell, "");
        let out = ran.out();
        let outputs: Vec<&str> = out.split("\n--8<--\n").collect();
        for ((command, shown), got) in block.iter().zip(&outputs) {
            let shown_lines: Vec<&str> = shown.lines().collect();
            let got_lines: Vec<&str> = got.lines().collect();
            assert!(
                matches(&shown_lines, &got_lines),
                "README: $ {command}\n--- shown\n{shown}\n--- got\n{got}\n--- all\n{out}"
            );
        }
    }
}

#[test]
fn dots_stand_for_anything() {
    assert!(matches(&["a...z", "...", "end"], &["abcz", "x", "y", "end"]));
    assert!(!matches(&["a...z"], &["abc"]));
    assert!(!matches(&["a"], &["a", "b"]));
}
