//! A session at the terminal, or lines from a pipe.
//!
//! At a terminal lines are edited, kept in the history file that redis-cli uses, completed, and
//! hinted at with the arguments that may follow. From a pipe they are read as they are, bytes and
//! all, and no prompt is printed.

mod history;
mod line;

use std::io::{self, BufRead, IsTerminal};
use std::time::{Duration, Instant};

use box_kit::{Exit, Failure};
use box_sys::interrupt;
use box_wire::resp::split_words;

use super::docs::{self, Docs};
use super::render::Output;
use super::session::{Sent, Session};
use super::{Product, Stop, options, show};
use history::HistoryFile;
use line::LineEditor;

/// A command that takes this long has its time printed.
const SLOW: Duration = Duration::from_millis(500);

/// Where lines come from.
enum Lines {
    Terminal(Box<LineEditor>, Option<HistoryFile>),
    Pipe(io::StdinLock<'static>),
}

impl Lines {
    fn next(&mut self, prompt: &str) -> Result<Option<Vec<u8>>, Stop> {
        match self {
            Lines::Terminal(editor, _) => Ok(editor.read(prompt)?.map(String::into_bytes)),
            Lines::Pipe(input) => {
                let mut line = Vec::new();
                input.read_until(b'\n', &mut line).map_err(Failure::os("standard input"))?;
                if line.is_empty() {
                    return Ok(None);
                }
                while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                    line.pop();
                }
                Ok(Some(line))
            }
        }
    }

    fn remember(&mut self, line: &[u8]) {
        if let Lines::Terminal(editor, file) = self {
            let line = String::from_utf8_lossy(line);
            editor.remember(&line);
            if let Some(file) = file {
                file.append(&line);
            }
        }
    }
}

/// Runs the session to its end.
///
/// # Errors
/// Standard input or output fails.
pub fn run(mut session: Session<'_>) -> Result<Exit, Stop> {
    session.interactive = true;
    session.try_connect()?;
    let product = session.options().product;
    let mut lines = if io::stdin().is_terminal() {
        interrupt::catch().map_err(Failure::from)?;
        let docs = Docs::fetch(&mut session);
        let mut editor = LineEditor::new(docs)?;
        let history = HistoryFile::of_environment();
        if let Some(file) = &history {
            file.load().iter().for_each(|line| editor.remember(line));
        }
        load_preferences(&mut editor, product);
        Lines::Terminal(Box::new(editor), history)
    } else {
        Lines::Pipe(io::stdin().lock())
    };
    while let Some(line) = lines.next(&session.prompt())? {
        if line.is_empty() {
            continue;
        }
        if !enter(&mut session, &mut lines, &line)? {
            break;
        }
    }
    Ok(Exit::DONE)
}

/// Does what `line` asks for; false ends the session.
fn enter(session: &mut Session<'_>, lines: &mut Lines, line: &[u8]) -> Result<bool, Stop> {
    let Some(mut words) = split_words(line) else {
        lines.remember(line);
        show(b"Invalid argument(s)\n")?;
        return Ok(true);
    };
    let repeat = match repeat(&words) {
        Some(Ok(repeat)) => {
            words.remove(0);
            repeat
        }
        Some(Err(())) => {
            let client = session.options().product.client();
            show(format!("Invalid {client} repeat command option value.\n").as_bytes())?;
            return Ok(true);
        }
        None => 1,
    };
    if !is_secret(&words) {
        lines.remember(line);
    }
    let Some(first) = words.first().map(|word| word.to_ascii_lowercase()) else { return Ok(true) };
    match (first.as_slice(), words.len()) {
        (b"quit" | b"exit", _) => return Ok(false),
        ([b':', ..], _) => set_preference(lines, &words, "", session.options().product),
        (b"restart", _) => show(b"Use 'restart' only in Lua debugging mode.\n")?,
        (b"connect", 3) => {
            let text = |at: usize| words.get(at).map(|word| String::from_utf8_lossy(word));
            let port = options::leading_integer(&text(2).unwrap_or_default());
            session.set_server(&text(1).unwrap_or_default(), port as u16);
            session.try_connect()?;
        }
        (b"clear", 1) => {
            if let Lines::Terminal(editor, _) = lines {
                editor.clear_screen();
            }
        }
        _ if docs::is_help(&words) => {
            docs::print_help(session, words.get(1..).unwrap_or_default())?;
        }
        _ => issue(session, &words, repeat)?,
    }
    Ok(true)
}

fn issue(session: &mut Session<'_>, words: &[Vec<u8>], repeat: i64) -> Result<(), Stop> {
    let begun = Instant::now();
    let sent = session.issue(words, repeat)?;
    let took = begun.elapsed();
    if took >= SLOW && sent != Sent::Interrupted && session.options().output == Output::Standard {
        show(format!("({:.2}s)\n", took.as_millis() as f64 / 1000.0).as_bytes())?;
    }
    Ok(())
}

/// The number in front of a command: how often it is sent. An error where it makes no sense.
fn repeat(words: &[Vec<u8>]) -> Option<Result<i64, ()>> {
    let [first, _, ..] = words else { return None };
    let text = str::from_utf8(first).ok()?;
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().ok().filter(|repeat| *repeat > 0).ok_or(()))
}

/// Whether a command holds a password: it is kept out of the history.
fn is_secret(words: &[Vec<u8>]) -> bool {
    let word = |at: usize| words.get(at).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let has = |name: &[u8]| words.iter().any(|word| word.eq_ignore_ascii_case(name));
    match word(0).as_slice() {
        b"auth" => true,
        b"acl" => word(1) == b"setuser" || word(1) == b"deluser",
        b"hello" => has(b"auth"),
        b"migrate" => has(b"auth") || has(b"auth2"),
        b"config" => {
            word(1) == b"set" && (has(b"requirepass") || has(b"masterauth") || has(b"primaryauth"))
        }
        _ => false,
    }
}

/// Lines of `~/.redisclirc` (or `REDISCLI_RCFILE`), each a `:set`.
fn load_preferences(editor: &mut LineEditor, product: Product) {
    let Some(path) = history::dotfile("REDISCLI_RCFILE", ".redisclirc") else { return };
    let text = std::fs::read(path).unwrap_or_default();
    for line in text.split(|byte| *byte == b'\n') {
        if let Some(words) = split_words(line).filter(|words| !words.is_empty()) {
            prefer(Some(editor), &words, ".redisclirc: ", product);
        }
    }
}

fn set_preference(lines: &mut Lines, words: &[Vec<u8>], place: &str, product: Product) {
    match lines {
        Lines::Terminal(editor, _) => prefer(Some(editor), words, place, product),
        Lines::Pipe(_) => prefer(None, words, place, product),
    }
}

fn prefer(editor: Option<&mut LineEditor>, words: &[Vec<u8>], place: &str, product: Product) {
    let text = |at: usize| words.get(at).map(|word| String::from_utf8_lossy(word).into_owned());
    let (word, client) = (text(0).unwrap_or_default(), product.client());
    match text(1) {
        Some(what) if word.eq_ignore_ascii_case(":set") => {
            match (what.to_ascii_lowercase().as_str(), editor) {
                ("hints", Some(editor)) => editor.show_hints(true),
                ("nohints", Some(editor)) => editor.show_hints(false),
                ("hints" | "nohints", None) => {}
                _ => println!("{place}unknown {client} preference '{what}'"),
            }
        }
        _ => println!("{place}unknown {client} internal command '{word}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        split_words(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_number_in_front_of_a_command_repeats_it() {
        assert_eq!(repeat(&words("3 ping")), Some(Ok(3)));
        assert_eq!(repeat(&words("0 ping")), Some(Err(())));
        assert_eq!(repeat(&words("-2 ping")), Some(Err(())));
        assert_eq!(repeat(&words("3")), None);
        assert_eq!(repeat(&words("3x ping")), None);
    }

    #[test]
    fn passwords_stay_out_of_the_history() {
        for line in ["AUTH x", "acl setuser a >b", "hello 3 AUTH a b", "config set requirepass x"] {
            assert!(is_secret(&words(line)), "{line}");
        }
        for line in ["get auth", "acl list", "hello 3", "config set save ''"] {
            assert!(!is_secret(&words(line)), "{line}");
        }
    }
}
