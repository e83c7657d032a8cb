//! Lines from a file or a pipe, gathered into dot-commands and whole statements.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use box_kit::Failure;

use super::message::Origin;
use super::output::Output;

/// A dot-command, or statements up to a semicolon at the end of a line.
pub struct Piece {
    /// The text without its last line end.
    pub text: Vec<u8>,
    /// Whether it may be a dot-command: one line on its own.
    pub is_command: bool,
    /// Where it began.
    pub origin: Origin,
}

/// A source of pieces.
pub struct Input {
    lines: Box<dyn BufRead>,
    line: u64,
    /// What reads must wait for: standard input, before which the output is flushed.
    may_block: bool,
}

impl Input {
    /// Standard input.
    pub fn stdin() -> Input {
        Input { lines: Box::new(BufReader::new(io::stdin())), line: 0, may_block: true }
    }

    /// A file, or the output of a program where the path begins with `|`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn file(path: &Path) -> io::Result<Input> {
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let lines: Box<dyn BufRead> = match path.to_str().and_then(|path| path.strip_prefix('|')) {
            Some(program) => {
                let output =
                    std::process::Command::new("/bin/sh").args(["-c", program]).output()?;
                Box::new(io::Cursor::new(output.stdout))
            }
            None => Box::new(BufReader::with_capacity(64 * 1024, File::open(path)?)),
        };
        Ok(Input { lines, line: 0, may_block: false })
    }

    /// The next piece; a statement that the end of the input cuts off is one too.
    ///
    /// # Errors
    /// The source cannot be read, or the output not flushed.
    pub fn next(&mut self, output: &mut Output) -> Result<Option<Piece>, Failure> {
        let mut text = Vec::new();
        let mut first_line = self.line + 1;
        loop {
            let start = text.len();
            if self.may_block {
                output.flush()?;
            }
            let read = self.lines.read_until(b'\n', &mut text);
            if read.map_err(Failure::os("standard input"))? == 0 {
                let rest = (!is_blank(&text)).then_some(text);
                let origin = Origin::Line(first_line);
                return Ok(rest.map(|text| Piece { text, is_command: false, origin }));
            }
            self.line += 1;
            if start == 0 && text.first() == Some(&b'.') {
                trim_line_end(&mut text);
                return Ok(Some(Piece { text, is_command: true, origin: Origin::Line(self.line) }));
            }
            if start == 0 && is_blank(&text) {
                text.clear();
                first_line = self.line + 1;
                continue;
            }
            let line = text.get(start..).unwrap_or_default();
            if ends_statement(line, &text) {
                trim_line_end(&mut text);
                return Ok(Some(Piece {
                    text,
                    is_command: false,
                    origin: Origin::Line(first_line),
                }));
            }
            if is_terminator(line) && crate::lex::complete(&[&text[..start], b";"].concat()) {
                text.truncate(start);
                return Ok(Some(Piece {
                    text,
                    is_command: false,
                    origin: Origin::Line(first_line),
                }));
            }
        }
    }
}

/// Whether the text is whole with this line at its end.
pub fn ends_statement(line: &[u8], text: &[u8]) -> bool {
    line.contains(&b';') && crate::lex::complete(text)
}

/// `/` or `go` on a line of its own ends a statement, as in other shells.
fn is_terminator(line: &[u8]) -> bool {
    let word = line.trim_ascii();
    word == b"/" || word.eq_ignore_ascii_case(b"go")
}

/// Nothing but blanks and comments that end.
pub fn is_blank(text: &[u8]) -> bool {
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return true;
        }
        rest = if rest.starts_with(b"--") {
            memchr::memchr(b'\n', rest).and_then(|at| rest.get(at..)).unwrap_or_default()
        } else if rest.starts_with(b"/*") {
            match memchr::memmem::find(rest, b"*/") {
                Some(at) => rest.get(at + 2..).unwrap_or_default(),
                None => return false,
            }
        } else {
            return false;
        };
    }
}

fn trim_line_end(text: &mut Vec<u8>) {
    if text.last() == Some(&b'\n') {
        text.pop();
        if text.last() == Some(&b'\r') {
            text.pop();
        }
    }
}
