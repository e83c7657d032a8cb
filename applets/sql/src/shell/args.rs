//! The command line: sqlite3's own options, with one dash or two.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::mode::Mode;

/// What the command line asks for.
#[derive(Debug, Default)]
pub struct Args {
    /// The database file; none means one in memory.
    pub file: Option<PathBuf>,
    /// SQL and dot-commands behind the file name, run instead of standard input.
    pub commands: Vec<Vec<u8>>,
    /// `-init FILE`, in place of `~/.sqliterc`.
    pub init: Option<PathBuf>,
    /// `-cmd COMMAND`, run before everything else.
    pub before: Vec<Vec<u8>>,
    /// Settings, in the order they were given.
    pub settings: Vec<Setting>,
    /// `-readonly`
    pub readonly: bool,
    /// `-batch`
    pub batch: bool,
    /// `-interactive`
    pub interactive: bool,
    /// `-safe`
    pub safe: bool,
    /// `-bail`
    pub bail: bool,
    /// `-echo`
    pub echo: bool,
    /// `-stats`
    pub stats: bool,
    /// `-nofollow`
    pub nofollow: bool,
}

/// An option that changes the layout of the output.
#[derive(Debug)]
pub enum Setting {
    /// `-csv`, `-box`, …
    Mode(Mode),
    /// `-tabs`
    Tabs,
    /// `-header`, `-noheader`
    Headers(bool),
    /// `-separator SEP`
    Separator(Vec<u8>),
    /// `-newline SEP`
    Newline(Vec<u8>),
    /// `-nullvalue TEXT`
    Null(Vec<u8>),
}

/// What to do.
#[derive(Debug)]
pub enum Wanted {
    /// Run the shell.
    Shell(Box<Args>),
    /// `-help`
    Help,
    /// `-version`
    Version,
}

/// Why the command line could not be understood.
#[derive(Debug, PartialEq, Eq)]
pub enum BadArgs {
    /// No such option.
    Unknown(String),
    /// The option wants a value and is the last word.
    MissingValue(String),
}

/// Options whose value is accepted and has no meaning here: they size what this engine sizes by
/// itself. The number is that of their values.
const ACCEPTED: &[(&str, usize)] = &[
    ("lookaside", 2),
    ("pagecache", 2),
    ("mmap", 1),
    ("vfs", 1),
    ("maxsize", 1),
    ("memtrace", 0),
    ("nonce", 1),
    ("heap", 1),
];

/// Reads the words behind the program's name.
///
/// # Errors
/// An unknown option, or one without its value.
pub fn parse(words: &[OsString]) -> Result<Wanted, BadArgs> {
    let mut args = Args::default();
    let mut words = words.iter();
    let mut options = true;
    while let Some(word) = words.next() {
        let bytes = word.as_encoded_bytes();
        if !options || !bytes.starts_with(b"-") || bytes == b"-" {
            positional(&mut args, word);
            continue;
        }
        if bytes == b"--" {
            options = false;
            continue;
        }
        let shown = word.to_string_lossy().into_owned();
        let name = shown.strip_prefix("--").unwrap_or(&shown);
        let name = name.strip_prefix('-').unwrap_or(name);
        match name {
            "help" | "h" | "?" => return Ok(Wanted::Help),
            "version" | "V" => return Ok(Wanted::Version),
            _ => {}
        }
        let mut value = || {
            let value = words.next().ok_or_else(|| BadArgs::MissingValue(shown.clone()));
            value.map(|value| value.as_encoded_bytes().to_vec())
        };
        if !option(&mut args, name, &mut value)? {
            return Err(BadArgs::Unknown(shown));
        }
    }
    Ok(Wanted::Shell(Box::new(args)))
}

fn positional(args: &mut Args, word: &OsStr) {
    if args.file.is_none() {
        args.file = Some(PathBuf::from(word));
    } else {
        args.commands.push(word.as_encoded_bytes().to_vec());
    }
}

/// Takes one option; false for an unknown one.
fn option(
    args: &mut Args,
    name: &str,
    value: &mut dyn FnMut() -> Result<Vec<u8>, BadArgs>,
) -> Result<bool, BadArgs> {
    if let Some(mode) = Mode::named(name).filter(|mode| *mode != Mode::Insert) {
        args.settings.push(Setting::Mode(mode));
        return Ok(true);
    }
    match name {
        "tabs" => args.settings.push(Setting::Tabs),
        "header" | "headers" => args.settings.push(Setting::Headers(true)),
        "noheader" => args.settings.push(Setting::Headers(false)),
        "separator" => args.settings.push(Setting::Separator(value()?)),
        "newline" => args.settings.push(Setting::Newline(value()?)),
        "nullvalue" => args.settings.push(Setting::Null(value()?)),
        "cmd" => args.before.push(value()?),
        "init" => {
            let path = String::from_utf8_lossy(&value()?).into_owned();
            args.init = Some(PathBuf::from(path));
        }
        "readonly" => args.readonly = true,
        "batch" => args.batch = true,
        "interactive" => args.interactive = true,
        "safe" => args.safe = true,
        "bail" => args.bail = true,
        "echo" => args.echo = true,
        "stats" => args.stats = true,
        "nofollow" => args.nofollow = true,
        _ => {
            let Some((_, values)) = ACCEPTED.iter().find(|(known, _)| *known == name) else {
                return Ok(false);
            };
            for _ in 0..*values {
                value()?;
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Result<Wanted, BadArgs> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options_stand_anywhere_and_take_one_dash_or_two() {
        let Ok(Wanted::Shell(args)) =
            words(&["-csv", "a.db", "--header", "select 1", "-cmd", ".x", "-pagecache", "1", "2"])
        else {
            panic!("not a shell");
        };
        assert_eq!(args.file, Some(PathBuf::from("a.db")));
        assert_eq!(args.commands, [b"select 1".to_vec()]);
        assert_eq!(args.before, [b".x".to_vec()]);
        assert_eq!(args.settings.len(), 2);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(words(&["-foo"]).unwrap_err(), BadArgs::Unknown("-foo".into()));
        assert_eq!(words(&["-init"]).unwrap_err(), BadArgs::MissingValue("-init".into()));
        assert!(matches!(words(&["--version"]), Ok(Wanted::Version)));
    }
}
