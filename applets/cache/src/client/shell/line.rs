//! The line at the terminal: editing by rustyline, completion and hints by the server's docs.

use std::borrow::Cow;
use std::cell::Cell;

use box_kit::Failure;
use box_kit::output::Styling;
use box_wire::resp::split_words;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::super::Stop;
use super::super::docs::Docs;

/// Edits lines.
pub struct LineEditor {
    editor: Editor<Knowledge, MemHistory>,
}

impl LineEditor {
    /// With what the server tells about its commands.
    ///
    /// # Errors
    /// The terminal cannot be used.
    pub fn new(docs: Docs) -> Result<LineEditor, Stop> {
        let config = Config::builder()
            .completion_type(CompletionType::Circular)
            .history_ignore_dups(true)
            .and_then(|builder| builder.max_history_size(1000))
            .map_err(failed)?
            .build();
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history).map_err(failed)?;
        let colour = Styling::of_stdout().colour;
        editor.set_helper(Some(Knowledge { docs, hints: Cell::new(true), colour }));
        Ok(LineEditor { editor })
    }

    /// The next line; none at the end, or on Ctrl-C.
    ///
    /// # Errors
    /// The terminal fails.
    pub fn read(&mut self, prompt: &str) -> Result<Option<String>, Stop> {
        match self.editor.readline(prompt) {
            Ok(line) => Ok(Some(line)),
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Keeps a line for the arrow keys.
    pub fn remember(&mut self, line: &str) {
        // What is refused is a line like the one before, or an empty one.
        let _ = self.editor.add_history_entry(line);
    }

    /// Shows hints or does not.
    pub fn show_hints(&mut self, on: bool) {
        if let Some(knowledge) = self.editor.helper() {
            knowledge.hints.set(on);
        }
    }

    /// Clears the terminal.
    pub fn clear_screen(&mut self) {
        // A terminal that cannot is left as it is.
        let _ = self.editor.clear_screen();
    }
}

fn failed(error: ReadlineError) -> Stop {
    Failure::new(error).about("standard input").into()
}

/// What is known about the commands that may be typed.
struct Knowledge {
    docs: Docs,
    hints: Cell<bool>,
    colour: bool,
}

impl Helper for Knowledge {}
impl Validator for Knowledge {}

impl Completer for Knowledge {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..pos).unwrap_or_default();
        // Behind `help` come commands and groups.
        let start = if typed.to_ascii_lowercase().starts_with("help ") { 5 } else { 0 };
        let word = typed.get(start..).unwrap_or_default();
        if let Some(group) = word.strip_prefix('@').filter(|_| start > 0) {
            let wanted = format!("@{}", group.to_ascii_lowercase());
            let groups = self.docs.groups().into_iter().filter(|group| group.starts_with(&wanted));
            return Ok((start, groups.collect()));
        }
        Ok((start, self.docs.completions(word)))
    }
}

/// Text behind the cursor; it cannot be taken over.
struct Synopsis(String);

impl Hint for Synopsis {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Hinter for Knowledge {
    type Hint = Synopsis;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<Synopsis> {
        if !self.hints.get() || pos < line.len() || line.trim().is_empty() {
            return None;
        }
        let words = split_words(line.as_bytes())?;
        let words: Vec<String> =
            words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let (entry, typed) = self.docs.find(&words)?;
        // A word that is being typed does not count yet, unless it is the command itself.
        let open = !line.ends_with(' ');
        let typed = if open { typed.split_last().map_or(typed, |(_, done)| done) } else { typed };
        let hint = entry.remaining(typed);
        if hint.is_empty() || (open && words.len() > entry.name.split(' ').count()) {
            return None;
        }
        Some(Synopsis(if open { format!(" {hint}") } else { hint }))
    }
}

impl Highlighter for Knowledge {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.colour { Cow::Owned(format!("\x1b[90m{hint}\x1b[0m")) } else { Cow::Borrowed(hint) }
    }
}
