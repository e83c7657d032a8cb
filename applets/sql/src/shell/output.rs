//! Where the shell writes: standard output, a file or a program, through one buffer.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use box_kit::Failure;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// The output of the shell.
pub struct Output {
    stdout: BufWriter<io::Stdout>,
    /// What `.output` or `.once` put in its place.
    elsewhere: Option<Elsewhere>,
    /// Only for the next statement (`.once`).
    once: bool,
}

enum Elsewhere {
    File(BufWriter<File>, String),
    Program(BufWriter<std::process::ChildStdin>, Child, String),
    Nowhere,
}

impl Output {
    /// To standard output.
    pub fn stdout() -> Output {
        let stdout = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
        Output { stdout, elsewhere: None, once: false }
    }

    /// What `.show` says.
    pub fn name(&self) -> &str {
        match &self.elsewhere {
            None => "stdout",
            Some(Elsewhere::File(_, name) | Elsewhere::Program(_, _, name)) => name,
            Some(Elsewhere::Nowhere) => "off",
        }
    }

    /// Writes into the buffer.
    ///
    /// # Errors
    /// The file or pipe does not take it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.elsewhere {
            None => self.stdout.write_all(bytes),
            Some(Elsewhere::File(file, _)) => file.write_all(bytes),
            Some(Elsewhere::Program(pipe, ..)) => pipe.write_all(bytes),
            Some(Elsewhere::Nowhere) => Ok(()),
        };
        written.map_err(Failure::os(self.name().to_owned()))
    }

    /// Writes and flushes.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn print(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write(bytes)?;
        self.flush()
    }

    /// Hands everything to the kernel.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(Failure::os("standard output"))?;
        let flushed = match &mut self.elsewhere {
            Some(Elsewhere::File(file, _)) => file.flush(),
            Some(Elsewhere::Program(pipe, ..)) => pipe.flush(),
            _ => Ok(()),
        };
        flushed.map_err(Failure::os(self.name().to_owned()))
    }

    /// Writes to standard error, behind everything that was printed before.
    ///
    /// # Errors
    /// Standard output or standard error is closed.
    pub fn complain(&mut self, text: &str) -> Result<(), Failure> {
        self.flush()?;
        io::stderr().write_all(text.as_bytes()).map_err(Failure::os("standard error"))
    }

    /// Back to standard output; waits for the program that was written to.
    ///
    /// # Errors
    /// What was left in the buffer could not be written.
    pub fn reset(&mut self) -> Result<(), Failure> {
        self.flush()?;
        self.once = false;
        if let Some(Elsewhere::Program(pipe, mut child, name)) = self.elsewhere.take() {
            drop(pipe);
            child.wait().map_err(Failure::os(name))?;
        }
        Ok(())
    }

    /// After a statement: `.once` is over.
    ///
    /// # Errors
    /// As [`Output::reset`].
    pub fn statement_done(&mut self) -> Result<(), Failure> {
        if self.once { self.reset() } else { Ok(()) }
    }

    /// Sends the output to a file (`off` and `stdout` are names of their own), or into a program
    /// where the name begins with `|`. False where that cannot be opened.
    ///
    /// # Errors
    /// As [`Output::reset`].
    pub fn redirect(&mut self, name: &str, once: bool) -> Result<bool, Failure> {
        self.reset()?;
        self.once = once;
        self.elsewhere = match name {
            "stdout" => None,
            "off" => Some(Elsewhere::Nowhere),
            _ => match name.strip_prefix('|') {
                Some(program) => match spawn(program) {
                    Ok((pipe, child)) => Some(Elsewhere::Program(pipe, child, name.to_owned())),
                    Err(_) => return Ok(false),
                },
                None => match File::create(Path::new(name)) {
                    Ok(file) => {
                        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
                        Some(Elsewhere::File(file, name.to_owned()))
                    }
                    Err(_) => return Ok(false),
                },
            },
        };
        Ok(true)
    }
}

fn spawn(program: &str) -> io::Result<(BufWriter<std::process::ChildStdin>, Child)> {
    let mut child = Command::new("/bin/sh").args(["-c", program]).stdin(Stdio::piped()).spawn()?;
    let pipe = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((BufWriter::with_capacity(BUFFER_BYTES, pipe), child))
}
