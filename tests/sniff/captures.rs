//! The incumbent's own captures with the text that it prints: those listed in `exact.txt` must stay
//! exact to the byte.

use std::path::Path;
use std::process::Output;

use crate::bx;

/// A row of the set's table.
struct Row {
    name: String,
    input: String,
    output: String,
    args: String,
}

fn rows(folder: &Path) -> Vec<Row> {
    let table = std::fs::read_to_string(folder.join("tests.tsv")).expect("the table of the set");
    table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut fields = line.split('\t').map(str::to_owned);
            let mut next = || fields.next().unwrap_or_default();
            let (name, input, output) = (next(), next(), next());
            let (_protocol, _tier) = (next(), next());
            Row { name, input, output, args: next() }
        })
        .collect()
}

fn run(row: &Row, folder: &Path) -> Output {
    let mut args = vec!["sniff".to_owned()];
    if !row.args.contains("SPECIAL_t") {
        args.push("-tttt".to_owned());
    }
    args.extend(["-#".to_owned(), "-n".to_owned(), "-r".to_owned()]);
    args.push(folder.join(&row.input).display().to_string());
    let words = row.args.split_whitespace().filter(|word| *word != "SPECIAL_t");
    args.extend(words.map(|word| word.trim_matches(['\'', '"']).to_owned()));
    bx().command(args).env("TZ", "GMT0").output().expect("the binary runs")
}

#[test]
fn listed_captures_are_printed_to_the_byte_and_none_crashes() {
    let Some(folder) = box_harness::shared("sniff/tcpdump-tests") else { return };
    let exact: Vec<(&str, &str)> = include_str!("exact.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('\t').unwrap_or((line, "")))
        .collect();
    let mut wrong = Vec::new();
    let mut better = Vec::new();
    for row in rows(&folder) {
        let output = run(&row, &folder);
        assert!(output.status.code().is_some_and(|code| code != 101), "{} crashed", row.name);
        let expected = std::fs::read(folder.join(&row.output)).expect("the expected text");
        let same = output.stdout == without_exit_code(&expected);
        match exact.contains(&(row.name.as_str(), row.args.as_str())) {
            true if !same => wrong.push(row.name),
            false if same => better.push(row.name),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "no longer exact: {wrong:?}");
    eprintln!("{} captures exact; exact but not listed: {better:?}", exact.len());
}

/// Some texts end with the incumbent's own exit status.
fn without_exit_code(text: &[u8]) -> &[u8] {
    let mark = b"EXIT CODE ";
    match text.windows(mark.len()).rposition(|window| window == mark) {
        Some(at) => &text[..at],
        None => text,
    }
}
