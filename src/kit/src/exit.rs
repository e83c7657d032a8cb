//! Failures and exit codes: libraries return typed errors, an applet adds the subject and makes a
//! [`Failure`], and only the dispatcher prints it and ends the process.
//!
//! The form is `box: APPLET: SUBJECT: REASON`, with the kernel's words for the kernel's errors,
//! and a second line only where it tells what to do.

use std::fmt::Display;
use std::io;

/// The exit code of a run that ended as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// 0: done.
    pub const DONE: Exit = Exit(0);
    /// 1: failed.
    pub const FAILED: Exit = Exit(1);
    /// 2: misused.
    pub const MISUSED: Exit = Exit(2);
    /// 127: no such command.
    pub const NOT_FOUND: Exit = Exit(127);

    /// 128+N: ended by signal `signal`.
    pub fn by_signal(signal: i32) -> Exit {
        Exit(128u8.wrapping_add(signal as u8))
    }
}

/// What an applet returns: an exit code, or a failure for the dispatcher to print.
pub type Outcome = Result<Exit, Failure>;

/// Why a run failed, and what the person can do about it.
#[derive(Debug)]
pub struct Failure {
    subject: Option<String>,
    reason: String,
    advice: Option<String>,
    exit: Exit,
}

impl Failure {
    /// A failure with a reason of our own words: lower case, no full stop.
    pub fn new(reason: impl Display) -> Failure {
        Failure { subject: None, reason: reason.to_string(), advice: None, exit: Exit::FAILED }
    }

    /// Makes a closure for `map_err` that names what the kernel refused.
    ///
    /// ```
    /// # use box_kit::Failure;
    /// let error = std::fs::read("/nope").map_err(Failure::os("/nope")).unwrap_err();
    /// assert_eq!(error.to_string(), "/nope: No such file or directory");
    /// ```
    pub fn os(subject: impl Display) -> impl FnOnce(io::Error) -> Failure {
        let subject = subject.to_string();
        move |error| Failure::new(kernel_words(&error)).about(subject)
    }

    /// A misuse: exit code 2.
    pub fn misuse(reason: impl Display) -> Failure {
        Failure::new(reason).exit(Exit::MISUSED)
    }

    /// Names what it is about: a file, an interface, an address.
    pub fn about(mut self, subject: impl Display) -> Failure {
        self.subject = Some(subject.to_string());
        self
    }

    /// Adds the second line: what to do.
    pub fn advise(mut self, advice: impl Display) -> Failure {
        self.advice = Some(advice.to_string());
        self
    }

    /// Chooses another exit code than 1.
    pub fn exit(mut self, exit: Exit) -> Failure {
        self.exit = exit;
        self
    }

    /// The exit code the process ends with.
    pub fn code(&self) -> Exit {
        self.exit
    }

    /// The whole message for standard error, with `prefix` (`box: sniff`) in front.
    pub fn render(&self, prefix: &str) -> String {
        match &self.advice {
            Some(advice) => format!("{prefix}: {self}\n{advice}\n"),
            None => format!("{prefix}: {self}\n"),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{subject}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::new(kernel_words(&error))
    }
}

/// The kernel's words for an error, without the number that Rust adds to them.
pub fn kernel_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) if error.raw_os_error().is_some() => text[..end].to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_subject_reason_and_advice() {
        let failure = Failure::new("Operation not permitted").about("eth0").advise("try: sudo");
        assert_eq!(
            failure.render("box: sniff"),
            "box: sniff: eth0: Operation not permitted\ntry: sudo\n"
        );
        assert_eq!(failure.code(), Exit::FAILED);
    }

    #[test]
    fn the_kernels_words_lose_their_number() {
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(kernel_words(&error), "No such file or directory");
        assert_eq!(kernel_words(&io::Error::other("own words")), "own words");
    }

    #[test]
    fn a_signal_makes_128_plus_its_number() {
        assert_eq!(Exit::by_signal(9), Exit(137));
    }
}
