//! Standard output as an applet may use it: whether it is a terminal, how wide, with colour or not.
//!
//! `NO_COLOR` (any non-empty value), a pipe and `TERM=dumb` each mean: not one escape byte.

use std::env;
use std::io::{self, IsTerminal};

/// What may be written to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Styling {
    /// A person looks at it: progress bars and screens are welcome.
    pub terminal: bool,
    /// Escape sequences for colour are welcome.
    pub colour: bool,
}

impl Styling {
    /// Of standard output.
    pub fn of_stdout() -> Styling {
        Styling::decide(io::stdout().is_terminal(), |name| env::var_os(name))
    }

    /// Of standard error.
    pub fn of_stderr() -> Styling {
        Styling::decide(io::stderr().is_terminal(), |name| env::var_os(name))
    }

    fn decide(is_terminal: bool, var: impl Fn(&str) -> Option<std::ffi::OsString>) -> Styling {
        let dumb = var("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
        let no_color = var("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = is_terminal && !dumb;
        Styling { terminal, colour: terminal && !no_color }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn decide(terminal: bool, vars: &[(&str, &str)]) -> Styling {
        Styling::decide(terminal, |name| {
            vars.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v))
        })
    }

    #[test]
    fn colour_needs_a_terminal_that_is_not_dumb_and_no_no_color() {
        let colour = |terminal, vars: &[_]| decide(terminal, vars).colour;
        assert!(colour(true, &[("TERM", "xterm")]));
        assert!(colour(true, &[("TERM", "xterm"), ("NO_COLOR", "")]));
        assert!(!colour(true, &[("TERM", "xterm"), ("NO_COLOR", "1")]));
        assert!(!colour(true, &[("TERM", "dumb")]));
        assert!(!colour(false, &[("TERM", "xterm")]));
    }
}
