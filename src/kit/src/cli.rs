//! The command line: clap parses it, misuse takes the house's error form.

use std::ffi::OsString;
use std::io::Write;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command, FromArgMatches};

use crate::output::Styling;
use crate::{Exit, Failure, Invocation};

/// What came of parsing a command line.
pub enum Parsed<T> {
    /// Go on with these values.
    Run(T),
    /// `--help` or `--version` was asked for and has been printed: end with this code.
    Shown(Exit),
}

/// Parses `invocation` by `command` into a clap-derived `T`.
///
/// # Errors
/// A [`Failure::misuse`] with clap's reason in one line and the usage as advice.
pub fn parse<T: FromArgMatches>(
    command: Command,
    invocation: &Invocation,
) -> Result<Parsed<T>, Failure> {
    match matches(command, invocation)? {
        Parsed::Shown(exit) => Ok(Parsed::Shown(exit)),
        Parsed::Run(matches) => T::from_arg_matches(&matches)
            .map(Parsed::Run)
            .map_err(|error| misuse(&error, &invocation.name.program())),
    }
}

/// Parses `invocation` by `command` into clap's own matches.
///
/// # Errors
/// As [`parse`].
pub fn matches(command: Command, invocation: &Invocation) -> Result<Parsed<ArgMatches>, Failure> {
    matches_as(command, &invocation.name.program(), &invocation.args)
}

/// Parses `args` by `command`, which usage lines call `program`.
///
/// # Errors
/// As [`parse`].
pub fn matches_as(
    command: Command,
    program: &str,
    args: &[OsString],
) -> Result<Parsed<ArgMatches>, Failure> {
    let command = command
        .bin_name(program)
        .color(if Styling::of_stdout().colour {
            clap::ColorChoice::Always
        } else {
            clap::ColorChoice::Never
        })
        .no_binary_name(true);
    match command.try_get_matches_from(args) {
        Ok(matches) => Ok(Parsed::Run(matches)),
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            let text = error.render();
            let text = if Styling::of_stdout().colour {
                text.ansi().to_string()
            } else {
                text.to_string()
            };
            std::io::stdout().write_all(text.as_bytes()).map_err(Failure::os("standard output"))?;
            Ok(Parsed::Shown(Exit::DONE))
        }
        Err(error) => Err(misuse(&error, program)),
    }
}

/// Turns clap's paragraphs into reason and advice.
fn misuse(error: &clap::Error, program: &str) -> Failure {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::misuse("a command is missing").advise(text);
    }
    let (reason, rest) = text.split_once('\n').unwrap_or((text, ""));
    let rest: String = rest
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .fold(String::new(), |all, line| all + line + "\n");
    Failure::misuse(reason.trim_end()).advise(format!("{rest}try: {program} --help"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;
    use clap::Arg;

    fn call(args: &[&str]) -> Result<Parsed<ArgMatches>, Failure> {
        let command = Command::new("demo").arg(Arg::new("file").required(true));
        let args = args.iter().map(Into::into).collect();
        matches(command, &Invocation { name: Name::Own("demo"), args })
    }

    #[test]
    fn an_unknown_flag_is_a_misuse_with_usage() {
        let Err(failure) = call(&["--nope", "x"]) else { panic!("parsed") };
        assert_eq!(failure.code(), Exit::MISUSED);
        let text = failure.render("box: demo");
        assert!(text.starts_with("box: demo: unexpected argument '--nope' found\n"), "{text}");
        assert!(text.contains("Usage: box demo <file>"), "{text}");
        assert!(text.ends_with("try: box demo --help\n"), "{text}");
    }

    #[test]
    fn a_value_that_is_there_is_parsed() {
        let Ok(Parsed::Run(matches)) = call(&["a.db"]) else { panic!("not parsed") };
        assert_eq!(matches.get_one::<String>("file").map(String::as_str), Some("a.db"));
    }
}
