//! What the command line and the environment ask for.
//!
//! Numbers are read as the incumbent reads them (`atoi`: the digits in front, else 0), since
//! scripts pass what they pass.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use box_kit::cli::Parsed;
use box_kit::{Exit, Failure, Invocation, Name};
use clap::ArgMatches;
use clap::error::ErrorKind;

use super::connection::{Address, Target};
use super::render::{Delimiters, Output};
use super::{Product, Stop, cli};

/// The version of redis-cli whose behaviour is imitated.
pub const COMPATIBLE: &str = "7.0.15";

/// What to do, where there is no command.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// Send the command, or begin a session.
    Commands,
    /// `--stat`
    Stat,
    /// `--latency`, `--latency-history`
    Latency {
        /// Begin anew after each interval.
        history: bool,
    },
    /// `--latency-dist`
    Spectrum,
    /// `--intrinsic-latency SECONDS`
    IntrinsicLatency(Duration),
    /// `--lru-test KEYS`
    LruTest(u64),
    /// `--scan`
    Scan,
    /// `--bigkeys`
    BigKeys,
    /// `--memkeys`, with the elements of a key to measure
    MemKeys(Option<u64>),
    /// `--hotkeys`
    HotKeys,
    /// `--pipe`
    Pipe,
    /// `--rdb FILE`, `--functions-rdb FILE`
    Snapshot {
        /// Where it goes.
        file: PathBuf,
        /// Only the functions.
        functions: bool,
    },
    /// `--replica`
    Replica,
    /// `--eval FILE`
    Eval(PathBuf),
}

/// Which protocol to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// What the connection begins with: RESP2.
    Default,
    /// RESP3 is demanded.
    Resp3,
    /// RESP3 is asked for, its refusal accepted: JSON shows more with it.
    PreferResp3,
}

/// Everything the client was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose client it plays.
    pub product: Product,
    /// Where the server is.
    pub target: Target,
    /// User to authenticate as.
    pub user: Option<Vec<u8>>,
    /// Password to authenticate with.
    pub password: Option<Vec<u8>>,
    /// Database to select.
    pub db: i64,
    /// Protocol to ask for.
    pub protocol: Protocol,
    /// How often a command is sent; for ever if negative.
    pub repeat: i64,
    /// Wait between two of them.
    pub interval: Duration,
    /// The last argument comes from standard input.
    pub last_from_stdin: bool,
    /// The argument that comes from standard input.
    pub tag: Option<Vec<u8>>,
    /// Exit with 1 when the reply is an error.
    pub exit_code: bool,
    /// Follow redirections.
    pub cluster: bool,
    /// How replies are printed.
    pub output: Output,
    /// What stands between them.
    pub delimiters: Delimiters,
    /// Print push messages.
    pub pushes: bool,
    /// Keys to list or sample.
    pub pattern: Option<Vec<u8>>,
    /// Patience with the last reply of `--pipe`.
    pub pipe_timeout: Duration,
    /// What to do.
    pub mode: Mode,
    /// The command and its arguments.
    pub command: Vec<Vec<u8>>,
}

/// Reads the command line.
///
/// # Errors
/// A misuse, in the form of the name that was called.
pub fn parse(invocation: &Invocation) -> Result<Parsed<Options>, Stop> {
    let product = Product::of(invocation.name);
    let matches = match invocation.name {
        Name::Own(_) => match box_kit::cli::matches(cli::command(), invocation)? {
            Parsed::Run(matches) => matches,
            Parsed::Shown(exit) => return Ok(Parsed::Shown(exit)),
        },
        Name::Imitated(name) => match imitated(name, &invocation.args)? {
            Some(matches) => matches,
            None => return Ok(Parsed::Shown(Exit::DONE)),
        },
    };
    if matches.get_flag("version") {
        println!("{}", product.version());
        return Ok(Parsed::Shown(Exit::DONE));
    }
    from_matches(product, &matches).map(Parsed::Run)
}

/// The incumbent's way with misuse: one line on standard error, exit code 1.
fn imitated(name: &str, args: &[OsString]) -> Result<Option<ArgMatches>, Stop> {
    let command = cli::command().bin_name(name).no_binary_name(true);
    match command.try_get_matches_from(args) {
        Ok(matches) => Ok(Some(matches)),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            print!("{}", error.render());
            Ok(None)
        }
        Err(error) => {
            let culprit = error.get(clap::error::ContextKind::InvalidArg).map(ToString::to_string);
            let culprit = culprit.unwrap_or_default();
            Err(unrecognized(culprit.split(' ').next().unwrap_or_default()))
        }
    }
}

fn unrecognized(word: &str) -> Stop {
    Stop::said(format!("Unrecognized option or bad number of args for: '{word}'"))
}

/// The values of a command line.
struct Values<'a>(&'a ArgMatches);

impl Values<'_> {
    fn os(&self, id: &str) -> Option<&OsStr> {
        self.0.get_one::<OsString>(id).map(OsString::as_os_str)
    }

    fn bytes(&self, id: &str) -> Option<Vec<u8>> {
        self.os(id).map(|value| value.as_bytes().to_vec())
    }

    fn text(&self, id: &str) -> Option<String> {
        self.os(id).map(|value| value.to_string_lossy().into_owned())
    }

    fn number(&self, id: &str) -> Option<i64> {
        self.text(id).map(|text| leading_integer(&text))
    }

    fn seconds(&self, id: &str) -> Option<Duration> {
        self.text(id).map(|text| seconds(&text))
    }

    fn flag(&self, id: &str) -> bool {
        self.0.get_flag(id)
    }

    /// The flag among `ids` that was given last.
    fn last<'i>(&self, ids: &[&'i str]) -> Option<&'i str> {
        let place = |id: &&str| self.0.indices_of(id).and_then(|mut places| places.next_back());
        let given = ids.iter().filter(|id| self.flag(id));
        given.max_by_key(|id| place(id)).copied()
    }
}

fn from_matches(product: Product, matches: &ArgMatches) -> Result<Options, Stop> {
    let values = Values(matches);
    let command: Vec<Vec<u8>> = matches
        .get_many::<OsString>("command")
        .map(|words| words.map(|word| word.as_bytes().to_vec()).collect())
        .unwrap_or_default();
    let mode = mode(&values)?;
    if let Some(first) = command.first().filter(|first| first.starts_with(b"-"))
        && !matches!(mode, Mode::Eval(_))
    {
        return Err(unrecognized(&String::from_utf8_lossy(first)));
    }
    let output = output(&values);
    let json = matches!(output, Output::Json | Output::QuotedJson);
    let protocol = match values.last(&["resp2", "resp3"]) {
        Some("resp3") => Protocol::Resp3,
        None if json => Protocol::PreferResp3,
        _ => Protocol::Default,
    };
    let mut options = Options {
        product,
        target: target(&values)?,
        user: values.bytes("user"),
        password: values.bytes("pass"),
        db: values.number("db").unwrap_or(0),
        protocol,
        repeat: values.number("repeat").unwrap_or(1),
        interval: values.seconds("interval").unwrap_or_default(),
        last_from_stdin: values.flag("last-from-stdin"),
        tag: values.bytes("tag"),
        exit_code: values.flag("exit-code"),
        cluster: values.flag("cluster-mode"),
        output,
        delimiters: delimiters(&values),
        pushes: pushes(&values, output),
        pattern: pattern(&values)?,
        pipe_timeout: values.seconds("pipe-timeout").unwrap_or(Duration::from_secs(30)),
        mode,
        command,
    };
    if values.flag("quoted-input") {
        let words: Result<_, Stop> = options.command.iter().map(|word| unquote(word)).collect();
        options.command = words.map_err(|stop| match (product, stop) {
            (Product::Redis | Product::Valkey, Stop::Said(words)) => {
                // The incumbent says this on standard output.
                println!("{words}");
                Stop::Exit(Exit::FAILED)
            }
            (_, stop) => stop,
        })?;
    }
    if options.last_from_stdin && options.tag.is_some() {
        return Err(Stop::said("Options -x and -X are mutually exclusive."));
    }
    apply_uri(&mut options, &values)?;
    authenticate(&mut options, &values)?;
    Ok(options)
}

fn mode(values: &Values<'_>) -> Result<Mode, Stop> {
    let path = |id| values.os(id).map(PathBuf::from);
    if values.os("cluster").is_some() {
        return Err(Failure::new("cluster management is not built in")
            .advise("the server's own commands (CLUSTER MEET, CLUSTER ADDSLOTS, ...) do it")
            .into());
    }
    if values.flag("ldb") || values.flag("ldb-sync-mode") {
        return Err(Failure::new("the Lua debugger is not built in").into());
    }
    Ok(if values.flag("latency") || values.flag("latency-history") {
        Mode::Latency { history: values.flag("latency-history") }
    } else if values.flag("latency-dist") {
        Mode::Spectrum
    } else if values.flag("replica") {
        Mode::Replica
    } else if let Some(file) = path("rdb") {
        Mode::Snapshot { file, functions: false }
    } else if let Some(file) = path("functions-rdb") {
        Mode::Snapshot { file, functions: true }
    } else if values.flag("pipe") {
        Mode::Pipe
    } else if values.flag("bigkeys") {
        Mode::BigKeys
    } else if values.flag("memkeys") || values.os("memkeys-samples").is_some() {
        Mode::MemKeys(values.number("memkeys-samples").map(|count| count.max(0) as u64))
    } else if values.flag("hotkeys") {
        Mode::HotKeys
    } else if values.flag("stat") {
        Mode::Stat
    } else if values.flag("scan") {
        Mode::Scan
    } else if let Some(keys) = values.number("lru-test") {
        Mode::LruTest(keys.max(1) as u64)
    } else if let Some(length) = values.seconds("intrinsic-latency") {
        Mode::IntrinsicLatency(length)
    } else if let Some(file) = path("eval") {
        Mode::Eval(file)
    } else {
        Mode::Commands
    })
}

fn target(values: &Values<'_>) -> Result<Target, Stop> {
    if values.flag("tls") {
        return Err(tls_is_missing());
    }
    let address = match values.os("socket") {
        Some(path) => Address::Unix(PathBuf::from(path)),
        None => Address::Tcp {
            host: values.text("host").unwrap_or_else(|| "127.0.0.1".into()),
            port: values.number("port").unwrap_or(6379) as u16,
        },
    };
    let timeout = values.seconds("timeout").filter(|timeout| !timeout.is_zero());
    Ok(Target { address, timeout })
}

fn tls_is_missing() -> Stop {
    Failure::new("TLS is not built into the client yet").into()
}

fn output(values: &Values<'_>) -> Output {
    match values.last(&["raw", "no-raw", "csv", "json", "quoted-json"]) {
        Some("raw") => Output::Raw,
        Some("csv") => Output::Csv,
        Some("json") => Output::Json,
        Some("quoted-json") => Output::QuotedJson,
        Some(_) => Output::Standard,
        None if stdout_is_terminal() => Output::Standard,
        None => Output::Raw,
    }
}

/// Whether a person reads standard output; FAKETTY says so for tests, as it does to redis-cli.
pub fn stdout_is_terminal() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() || env::var_os("FAKETTY").is_some()
}

fn delimiters(values: &Values<'_>) -> Delimiters {
    let mut delimiters = Delimiters::default();
    if let Some(element) = values.bytes("delimiter") {
        delimiters.element = element;
    }
    if let Some(reply) = values.bytes("reply-delimiter") {
        delimiters.reply = reply;
    }
    delimiters
}

fn pushes(values: &Values<'_>, output: Output) -> bool {
    use std::io::IsTerminal;
    let default = std::io::stdout().is_terminal() && output == Output::Standard;
    let Some(value) = values.text("show-pushes") else { return default };
    match value.to_ascii_lowercase().as_str() {
        "yes" | "y" => true,
        "no" | "n" => false,
        _ => {
            eprintln!("Unknown --show-pushes value '{value}' (valid: '[y]es', '[n]o')");
            default
        }
    }
}

fn pattern(values: &Values<'_>) -> Result<Option<Vec<u8>>, Stop> {
    match values.bytes("quoted-pattern") {
        Some(pattern) => unquote(&pattern).map(Some),
        None => Ok(values.bytes("pattern")),
    }
}

/// A word that may stand in quotes and hold escapes.
fn unquote(word: &[u8]) -> Result<Vec<u8>, Stop> {
    let invalid = || Stop::said("Invalid quoted string");
    let mut words = box_wire::resp::split_words(word).ok_or_else(invalid)?;
    if words.len() > 1 {
        return Err(invalid());
    }
    Ok(words.pop().unwrap_or_default())
}

fn apply_uri(options: &mut Options, values: &Values<'_>) -> Result<(), Stop> {
    let Some(text) = values.text("uri") else { return Ok(()) };
    let uri = Uri::parse(&text)?;
    if uri.tls {
        return Err(tls_is_missing());
    }
    if let Address::Tcp { host, port } = &mut options.target.address {
        if let Some(given) = uri.host {
            *host = given;
        }
        if let Some(given) = uri.port {
            *port = given;
        }
    }
    options.user = uri.user.or(options.user.take());
    options.password = uri.password.or(options.password.take());
    options.db = uri.db.unwrap_or(options.db);
    Ok(())
}

fn authenticate(options: &mut Options, values: &Values<'_>) -> Result<(), Stop> {
    if values.flag("askpass") {
        options.password = Some(ask_password()?);
        return Ok(());
    }
    if options.password.is_some() && !values.flag("no-auth-warning") {
        eprintln!(
            "Warning: Using a password with '-a' or '-u' option on the command line interface \
             may not be safe."
        );
    }
    if options.password.is_none() {
        let names = ["REDISCLI_AUTH", "VALKEYCLI_AUTH"];
        options.password = names.iter().find_map(env::var_os).map(OsString::into_vec);
    }
    Ok(())
}

fn ask_password() -> Result<Vec<u8>, Stop> {
    use std::os::fd::AsFd;
    let stdin = std::io::stdin();
    eprint!("Please input password: ");
    // Without a terminal there is nothing to hide.
    let hidden = box_sys::terminal::Hidden::on(stdin.as_fd()).ok();
    let mut line = String::new();
    stdin.read_line(&mut line).map_err(Failure::os("standard input"))?;
    drop(hidden);
    Ok(line.trim_end_matches(['\n', '\r']).as_bytes().to_vec())
}

/// The parts of `redis://USER:PASSWORD@HOST:PORT/DB`.
#[derive(Debug, Default, PartialEq)]
pub struct Uri {
    /// `rediss`: the connection is encrypted.
    pub tls: bool,
    /// User to authenticate as.
    pub user: Option<Vec<u8>>,
    /// Password to authenticate with.
    pub password: Option<Vec<u8>>,
    /// Host of the server.
    pub host: Option<String>,
    /// Port of the server.
    pub port: Option<u16>,
    /// Database to select.
    pub db: Option<i64>,
}

impl Uri {
    /// Takes one apart.
    ///
    /// # Errors
    /// Its scheme is another.
    pub fn parse(text: &str) -> Result<Uri, Stop> {
        let mut uri = Uri::default();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        uri.tls = match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(Stop::said("Invalid URI scheme")),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = match authority.rsplit_once('@') {
            None => authority,
            Some((info, host)) => {
                match info.split_once(':') {
                    Some((user, password)) => {
                        uri.user = Some(decode(user)).filter(|user| !user.is_empty());
                        uri.password = Some(decode(password));
                    }
                    None => uri.password = Some(decode(info)),
                }
                host
            }
        };
        let (host, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        uri.host = Some(host.to_owned()).filter(|host| !host.is_empty());
        uri.port = port.map(|port| leading_integer(port) as u16);
        uri.db = Some(path).filter(|path| !path.is_empty()).map(leading_integer);
        Ok(uri)
    }
}

/// Undoes percent-encoding (RFC 3986 section 2.1); what is none stays.
fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|pair| str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(decoded) if byte == b'%' => {
                out.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    out
}

/// The integer at the front of `text` as C's `atoi` reads it: 0 where there is none.
pub fn leading_integer(text: &str) -> i64 {
    let text = text.trim_start();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let digits = digits.get(..length).unwrap_or_default();
    let value = digits.parse::<i64>().unwrap_or(if length > 0 { i64::MAX } else { 0 });
    if text.starts_with('-') { -value } else { value }
}

fn seconds(text: &str) -> Duration {
    let value = text.trim().parse::<f64>().unwrap_or_else(|_| leading_integer(text) as f64);
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_gives_all_its_parts() {
        let uri = Uri::parse("redis://us%40er:p%3aw@[::1]:7000/3").unwrap();
        assert_eq!(uri.user.as_deref(), Some(&b"us@er"[..]));
        assert_eq!(uri.password.as_deref(), Some(&b"p:w"[..]));
        assert_eq!((uri.host.as_deref(), uri.port, uri.db), (Some("::1"), Some(7000), Some(3)));
        let uri = Uri::parse("redis://secret@host").unwrap();
        assert_eq!((uri.user, uri.password), (None, Some(b"secret".to_vec())));
        assert!(Uri::parse("rediss://h").unwrap().tls);
        assert!(Uri::parse("http://h").is_err());
    }

    #[test]
    fn numbers_are_read_as_far_as_they_go() {
        for (text, value) in [("12x", 12), ("-3", -3), ("", 0), ("x", 0), (" 7", 7), ("+2", 2)] {
            assert_eq!(leading_integer(text), value, "{text}");
        }
        assert_eq!(seconds("0.25"), Duration::from_millis(250));
        assert_eq!(seconds("nan"), Duration::ZERO);
    }
}
