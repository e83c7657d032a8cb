//! The command line of `cache-benchmark`: the incumbent's.

use clap::{Arg, ArgAction, Command};

/// What is measured, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The password.
    pub password: Option<String>,
    /// How many connections.
    pub clients: usize,
    /// How many requests in all.
    pub requests: u64,
    /// Bytes of a value.
    pub data: usize,
    /// Whether connections are kept.
    pub keep_alive: bool,
    /// Over how many keys requests are spread.
    pub keyspace: Option<u64>,
    /// Requests sent at once.
    pub pipeline: usize,
    /// How many threads send.
    pub threads: usize,
    /// Only a line a test.
    pub quiet: bool,
    /// Comma-separated.
    pub csv: bool,
    /// Which tests.
    pub tests: Option<Vec<String>>,
    /// The database.
    pub db: i64,
    /// A command to be measured instead of the tests.
    pub command: Vec<Vec<u8>>,
}

fn value(name: &'static str, short: char, help: &'static str, default: &'static str) -> Arg {
    Arg::new(name).short(short).help(help).num_args(1).default_value(default)
}

/// The clap tree.
pub fn command() -> Command {
    Command::new("cache-benchmark")
        .about("Measure a cache server")
        .after_help("Example: box cache-benchmark -p 7000 -t get,set -P 16 -q")
        .disable_help_flag(true)
        .args_override_self(true)
        .arg(Arg::new("help").long("help").action(ArgAction::Help).help("Print help"))
        .arg(value("host", 'h', "Server name or address", "127.0.0.1"))
        .arg(value("port", 'p', "Server port", "6379"))
        .arg(Arg::new("password").short('a').num_args(1).help("Password"))
        .arg(value("clients", 'c', "Parallel connections", "50"))
        .arg(value("requests", 'n', "Requests in all", "100000"))
        .arg(value("data", 'd', "Bytes of a value", "3"))
        .arg(value("keep", 'k', "1 keeps connections, 0 opens one a request", "1"))
        .arg(Arg::new("keyspace").short('r').num_args(1).help("Spread over so many keys"))
        .arg(value("pipeline", 'P', "Requests sent at once", "1"))
        .arg(Arg::new("threads").long("threads").num_args(1).default_value("1").help("Threads"))
        .arg(value("db", 'D', "Database number", "0").long("dbnum"))
        .arg(Arg::new("quiet").short('q').action(ArgAction::SetTrue).help("A line a test"))
        .arg(Arg::new("csv").long("csv").action(ArgAction::SetTrue).help("Comma-separated"))
        .arg(Arg::new("tests").short('t').num_args(1).help("Tests, separated by commas"))
        .arg(
            Arg::new("command")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(clap::builder::ValueParser::os_string())
                .help("A command to be measured instead of the tests"),
        )
}

impl Options {
    /// What the matches mean.
    ///
    /// # Errors
    /// A number is none.
    pub fn of(matches: &clap::ArgMatches) -> Result<Options, String> {
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let number = |name: &str| {
            let text = text(name).unwrap_or_default();
            text.parse::<u64>().map_err(|_| format!("{name}: not a number: {text}"))
        };
        let command = matches.get_many::<std::ffi::OsString>("command").unwrap_or_default();
        Ok(Options {
            host: text("host").unwrap_or_default(),
            port: u16::try_from(number("port")?).map_err(|_| "port: out of range".to_owned())?,
            password: text("password"),
            clients: number("clients")?.max(1) as usize,
            requests: number("requests")?.max(1),
            data: number("data")?.clamp(1, 1 << 30) as usize,
            keep_alive: number("keep")? != 0,
            keyspace: text("keyspace").map(|_| number("keyspace")).transpose()?.map(|n| n.max(1)),
            pipeline: number("pipeline")?.max(1) as usize,
            threads: number("threads")?.clamp(1, 500) as usize,
            quiet: matches.get_flag("quiet"),
            csv: matches.get_flag("csv"),
            tests: text("tests")
                .map(|list| list.split(',').map(|word| word.trim().to_lowercase()).collect()),
            db: number("db")? as i64,
            command: command
                .map(|arg| std::os::unix::ffi::OsStrExt::as_bytes(arg.as_os_str()).to_vec())
                .collect(),
        })
    }
}
