//! The prompt: line editing, history and completion.

use std::io::IsTerminal;
use std::path::PathBuf;

use box_kit::Failure;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Helper};

use super::input::{Piece, ends_statement, is_blank};
use super::message::Origin;

/// Lines of history that are kept.
const HISTORY_LINES: usize = 2000;

/// Whether a person sits at both ends.
pub fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The line editor.
pub struct Editor {
    lines: rustyline::Editor<Names, FileHistory>,
    history: Option<PathBuf>,
}

/// What Tab completes: tables, columns, keywords, dot-commands.
struct Names(Vec<String>);

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = line.get(..at).unwrap_or_default();
        let part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
        let start = before.rfind(|letter| !part(letter)).map_or(0, |at| at + 1);
        let word = before.get(start..).unwrap_or_default();
        let found = self.0.iter().filter(|name| {
            name.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
        });
        Ok((start, found.cloned().collect()))
    }
}

impl Hinter for Names {
    type Hint = String;
}
impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}

impl Editor {
    /// With the history of former sessions (`SQLITE_HISTORY`, by default `~/.sqlite_history`).
    ///
    /// # Errors
    /// The terminal cannot be used.
    pub fn new() -> Result<Editor, Failure> {
        let config =
            Config::builder().max_history_size(HISTORY_LINES).map(|builder| builder.build());
        let config = config.map_err(Failure::new)?;
        let mut lines = rustyline::Editor::with_config(config).map_err(Failure::new)?;
        let history = std::env::var_os("SQLITE_HISTORY").map(PathBuf::from).or_else(|| {
            std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".sqlite_history"))
        });
        if let Some(path) = &history {
            // A history that is not there yet, or not readable, is an empty one.
            let _ = lines.load_history(path);
        }
        Ok(Editor { lines, history })
    }

    /// The next piece that the person types; `None` at the end (Ctrl-D). Ctrl-C gives the
    /// statement up.
    ///
    /// # Errors
    /// The terminal failed.
    pub fn next(
        &mut self,
        prompt: &str,
        continuation: &str,
        names: Vec<String>,
    ) -> Result<Option<Piece>, Failure> {
        self.lines.set_helper(Some(Names(names)));
        let mut text = String::new();
        loop {
            let shown = if text.is_empty() { prompt } else { continuation };
            let line = match self.lines.readline(shown) {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => {
                    text.clear();
                    continue;
                }
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(Failure::new(error)),
            };
            if text.is_empty() && is_blank(line.as_bytes()) {
                continue;
            }
            let is_command = text.is_empty() && line.starts_with('.');
            text.push_str(&line);
            if is_command || ends_statement(line.as_bytes(), text.as_bytes()) {
                self.remember(&text);
                return Ok(Some(Piece {
                    text: text.into_bytes(),
                    is_command,
                    origin: Origin::Prompt,
                }));
            }
            text.push('\n');
        }
    }

    fn remember(&mut self, text: &str) {
        // A history that cannot be written must not keep the person from working.
        let _ = self.lines.add_history_entry(text);
        if let Some(path) = &self.history {
            let _ = self.lines.save_history(path);
        }
    }
}
