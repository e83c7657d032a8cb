//! A session: a prompt, lines with history, commands and what the client itself does.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use box_kit::exit::kernel_words;
use box_kit::{Exit, Outcome};
use box_wire::resp::split_words;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::connection::Connection;
use super::options::Options;
use super::{connect, one, place};

struct Session {
    options: Options,
    connection: Option<Connection>,
    in_multi: bool,
    db: i64,
}

fn history() -> Option<PathBuf> {
    match std::env::var_os("REDISCLI_HISTFILE") {
        Some(path) => Some(PathBuf::from(path)),
        None => std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".rediscli_history")),
    }
}

/// Runs a session to its end.
///
/// # Errors
/// The terminal cannot be read.
pub fn run(options: &Options) -> Outcome {
    let connection = match connect(options) {
        Ok(connection) => Some(connection),
        Err(error) => {
            eprintln!("Could not connect to Redis at {}: {}", place(options), kernel_words(&error));
            None
        }
    };
    let db = options.db;
    let mut session = Session { options: options.clone(), connection, in_multi: false, db };
    if !io::stdin().is_terminal() {
        for line in io::stdin().lock().lines() {
            if !session.line(&line?) {
                break;
            }
        }
        return Ok(Exit::DONE);
    }
    let mut editor = DefaultEditor::new().map_err(box_kit::Failure::new)?;
    let file = history();
    if let Some(file) = &file {
        let _ = editor.load_history(file);
    }
    loop {
        match editor.readline(&session.prompt()) {
            Ok(line) => {
                let secret = line.trim_start().to_lowercase().starts_with("auth");
                if !line.trim().is_empty() && !secret {
                    let _ = editor.add_history_entry(&line);
                    if let Some(file) = &file {
                        let _ = editor.append_history(file);
                    }
                }
                if !session.line(&line) {
                    return Ok(Exit::DONE);
                }
            }
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(Exit::DONE),
            Err(error) => return Err(box_kit::Failure::new(error)),
        }
    }
}

impl Session {
    fn prompt(&self) -> String {
        if self.connection.is_none() {
            return "not connected> ".into();
        }
        let place = place(&self.options);
        let db = if self.db == 0 { String::new() } else { format!("[{}]", self.db) };
        let multi = if self.in_multi { "(TX)" } else { "" };
        format!("{place}{db}{multi}> ")
    }

    /// Does what a line says; whether the session goes on.
    fn line(&mut self, line: &str) -> bool {
        let Some(mut words) = split_words(line.as_bytes()) else {
            println!("Invalid argument(s)");
            return true;
        };
        let Some(first) = words.first() else { return true };
        // A number in front repeats the command.
        let times = str::from_utf8(first).ok().and_then(|word| word.parse::<u32>().ok());
        let times = times.filter(|_| words.len() > 1);
        if times.is_some() {
            words.remove(0);
        }
        let name = String::from_utf8_lossy(&words[0]).to_lowercase();
        match (name.as_str(), words.len()) {
            ("quit" | "exit", 1) => return false,
            ("clear", 1) => print!("\x1b[H\x1b[2J"),
            ("help" | "?", _) => help(words.get(1)),
            ("connect", 3) => {
                self.options.host = String::from_utf8_lossy(&words[1]).into_owned();
                self.options.port =
                    String::from_utf8_lossy(&words[2]).parse().unwrap_or(self.options.port);
                self.options.socket = None;
                self.connection = connect(&self.options).ok();
            }
            _ => {
                for _ in 0..times.unwrap_or(1) {
                    self.execute(&words, &name);
                }
            }
        }
        true
    }

    fn execute(&mut self, words: &[Vec<u8>], name: &str) {
        for attempt in 0..2 {
            if self.connection.is_none() {
                match connect(&self.options) {
                    Ok(connection) => self.connection = Some(connection),
                    Err(error) => {
                        let reason = kernel_words(&error);
                        eprintln!(
                            "Could not connect to Redis at {}: {reason}",
                            place(&self.options)
                        );
                        return;
                    }
                }
            }
            let Some(connection) = &mut self.connection else { return };
            match one(connection, &self.options, words) {
                Ok(failed) => return self.note(words, name, failed),
                // The server may have closed a connection that was idle: once more.
                Err(error) => {
                    self.connection = None;
                    self.in_multi = false;
                    if attempt == 1 {
                        eprintln!("Error: {}", kernel_words(&error));
                    }
                }
            }
        }
    }

    /// Keeps what the prompt shows.
    fn note(&mut self, words: &[Vec<u8>], name: &str, failed: bool) {
        match name {
            "multi" if !failed => self.in_multi = true,
            "exec" | "discard" | "reset" => self.in_multi = false,
            "select" if !failed => {
                let db = words.get(1).and_then(|word| str::from_utf8(word).ok()?.parse().ok());
                self.db = db.unwrap_or(self.db);
                self.options.db = self.db;
            }
            _ => {}
        }
    }
}

/// What a command does, from the same table that the server works by.
fn help(name: Option<&Vec<u8>>) {
    let Some(name) = name else {
        println!(
            "cache-cli\nTo get help about a command type:\n      \"help <command>\" for help on \
             <command>\n      \"quit\" to exit"
        );
        return;
    };
    match crate::cmd::table::by_full_name(name) {
        Some(number) => {
            let row = &crate::cmd::table::rows()[number];
            println!(
                "\n  {}\n  summary: {}\n  since: {}\n  group: {}\n",
                row.name.to_uppercase(),
                row.command.summary,
                row.command.since,
                row.command.group
            );
        }
        None => println!("No such command: {}", String::from_utf8_lossy(name)),
    }
}
