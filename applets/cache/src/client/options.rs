//! The command line of `cache-cli`: the incumbent's options, and a command behind them that is
//! taken as it is.

use clap::{Arg, ArgAction, Command};

/// How replies are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a person: types and numbers of elements.
    Standard,
    /// The bytes, a line each.
    Raw,
    /// Comma-separated.
    Csv,
    /// JSON.
    Json,
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its socket, instead of both.
    pub socket: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The database.
    pub db: i64,
    /// How often the command is repeated; below zero for ever.
    pub repeat: i64,
    /// Seconds between repetitions.
    pub interval: f64,
    /// Whether the last argument comes from standard input.
    pub last_from_stdin: bool,
    /// How replies are shown.
    pub format: Format,
    /// 2 or 3, if asked for.
    pub protocol: Option<u8>,
    /// Whether an error reply gives exit code 1.
    pub fail: bool,
    /// What separates elements of raw output.
    pub delimiter: String,
    /// A mode of its own.
    pub mode: Mode,
    /// The pattern of `--scan`.
    pub pattern: Option<String>,
    /// The command.
    pub command: Vec<Vec<u8>>,
}

/// What is done instead of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A command, or a session.
    Command,
    /// All keys.
    Scan,
    /// Requests from standard input.
    Pipe,
    /// The biggest key of each type.
    BigKeys,
    /// A line of figures every second.
    Stat,
    /// How long a PING takes.
    Latency,
}

fn value(name: &'static str, short: Option<char>, help: &'static str) -> Arg {
    let arg = Arg::new(name).help(help).num_args(1).allow_hyphen_values(true);
    match short {
        Some(short) => arg.short(short),
        None => arg.long(name),
    }
}

fn flag(name: &'static str, short: Option<char>, help: &'static str) -> Arg {
    let arg = Arg::new(name).help(help).action(ArgAction::SetTrue);
    match short {
        Some(short) => arg.short(short),
        None => arg.long(name),
    }
}

/// The clap tree.
pub fn command() -> Command {
    Command::new("cache-cli")
        .about("Talk to a cache server, one command or a session")
        .after_help(
            "Examples:\n  box cache-cli -p 7000 set greeting hello\n  box cache-cli --scan --pattern \
             'user:*'\n  box cache-cli",
        )
        .disable_help_flag(true)
        .args_override_self(true)
        .arg(Arg::new("help").long("help").action(ArgAction::Help).help("Print help"))
        .arg(value("host", Some('h'), "Server name or address").default_value("127.0.0.1"))
        .arg(value("port", Some('p'), "Server port").default_value("6379"))
        .arg(value("socket", Some('s'), "Server socket"))
        .arg(value("password", Some('a'), "Password; REDISCLI_AUTH is safer").visible_alias("pass"))
        .arg(value("user", None, "User name"))
        .arg(value("uri", Some('u'), "redis://user:password@host:port/db"))
        .arg(value("db", Some('n'), "Database number").default_value("0"))
        .arg(value("repeat", Some('r'), "Repeat the command").default_value("1"))
        .arg(value("interval", Some('i'), "Seconds between repetitions").default_value("0"))
        .arg(value("delimiter", Some('d'), "Delimiter of raw output").default_value("\n"))
        .arg(flag("stdin", Some('x'), "Read the last argument from standard input"))
        .arg(flag("resp2", Some('2'), "Speak RESP2"))
        .arg(flag("resp3", Some('3'), "Speak RESP3"))
        .arg(flag("errors", Some('e'), "Exit with 1 when the server replies an error"))
        .arg(flag("raw", None, "Show replies as their bytes"))
        .arg(flag("no-raw", None, "Show replies for a person even when output is a pipe"))
        .arg(flag("csv", None, "Show replies as CSV"))
        .arg(flag("json", None, "Show replies as JSON"))
        .arg(flag("no-auth-warning", None, "Accepted; there is no such warning"))
        .arg(flag("scan", None, "List all keys"))
        .arg(value("pattern", None, "Pattern of --scan"))
        .arg(flag("pipe", None, "Send requests from standard input"))
        .arg(flag("bigkeys", None, "Find the biggest keys"))
        .arg(flag("stat", None, "Show figures every second"))
        .arg(flag("latency", None, "Measure how long a PING takes"))
        .arg(
            Arg::new("command")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(clap::builder::ValueParser::os_string())
                .help("Command and arguments; a session without"),
        )
}

impl Options {
    /// What the matches mean.
    ///
    /// # Errors
    /// A number is none.
    pub fn of(matches: &clap::ArgMatches, terminal: bool) -> Result<Options, String> {
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let on = |name: &str| matches.get_flag(name);
        fn number<T: std::str::FromStr>(name: &str, text: Option<String>) -> Result<T, String> {
            let text = text.unwrap_or_default();
            text.parse().map_err(|_| format!("{name}: not a number: {text}"))
        }
        let modes = [
            ("scan", Mode::Scan),
            ("pipe", Mode::Pipe),
            ("bigkeys", Mode::BigKeys),
            ("stat", Mode::Stat),
            ("latency", Mode::Latency),
        ];
        let format = match () {
            () if on("csv") => Format::Csv,
            () if on("json") => Format::Json,
            () if on("no-raw") => Format::Standard,
            () if on("raw") || !terminal => Format::Raw,
            () => Format::Standard,
        };
        let command = matches.get_many::<std::ffi::OsString>("command").unwrap_or_default();
        let mut options = Options {
            host: text("host").unwrap_or_default(),
            port: number("port", text("port"))?,
            socket: text("socket"),
            password: text("password").or_else(|| std::env::var("REDISCLI_AUTH").ok()),
            user: text("user"),
            db: number("db", text("db"))?,
            repeat: number("repeat", text("repeat"))?,
            interval: number("interval", text("interval"))?,
            last_from_stdin: on("stdin"),
            format,
            protocol: if on("resp3") || on("json") { Some(3) } else { on("resp2").then_some(2) },
            fail: on("errors"),
            delimiter: text("delimiter").unwrap_or_default(),
            mode: modes.iter().find(|(name, _)| on(name)).map_or(Mode::Command, |(_, mode)| *mode),
            pattern: text("pattern"),
            command: command
                .map(|arg| std::os::unix::ffi::OsStrExt::as_bytes(arg.as_os_str()).to_vec())
                .collect(),
        };
        if let Some(uri) = text("uri") {
            options.take_uri(&uri)?;
        }
        Ok(options)
    }

    fn take_uri(&mut self, uri: &str) -> Result<(), String> {
        let rest = uri.strip_prefix("redis://").ok_or("Invalid URI scheme")?;
        let (authority, db) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, place) = match authority.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, authority),
        };
        if let Some(credentials) = credentials {
            let (user, password) = credentials.split_once(':').unwrap_or(("", credentials));
            self.user = (!user.is_empty()).then(|| user.to_owned());
            self.password = Some(password.to_owned());
        }
        let (host, port) = place.rsplit_once(':').unwrap_or((place, ""));
        if !host.is_empty() {
            host.clone_into(&mut self.host);
        }
        if !port.is_empty() {
            self.port = port.parse().map_err(|_| format!("port: not a number: {port}"))?;
        }
        if !db.is_empty() {
            self.db = db.parse().map_err(|_| format!("db: not a number: {db}"))?;
        }
        Ok(())
    }
}
