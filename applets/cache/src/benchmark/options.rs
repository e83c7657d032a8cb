//! What the command line asks for.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use box_kit::cli::Parsed;
use box_kit::{Exit, Failure, Invocation, Name};
use box_wire::resp::push_request;
use clap::ArgMatches;
use clap::error::ErrorKind;

use super::cli;
use crate::client::{Address, COMPATIBLE, Product, Stop, Target, Uri, leading_integer};

/// Most clients, threads and requests in a pipeline that may be asked for.
const COUNT_MAX: i64 = 1 << 20;
/// Largest value of a request.
const SIZE_MAX: i64 = 1 << 30;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// With the distribution of latencies.
    Full,
    /// One line a test.
    Quiet,
    /// CSV.
    Csv,
}

/// Everything the benchmark was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose benchmark it plays.
    pub product: Product,
    /// Where the server is.
    pub target: Target,
    /// Requests in front of all others on each connection, and how many they are.
    pub greeting: (Vec<u8>, usize),
    /// Connections.
    pub clients: usize,
    /// Requests of a test.
    pub requests: u64,
    /// Size of a value.
    pub size: usize,
    /// Use a connection for more than one request.
    pub keep_alive: bool,
    /// Random numbers are below this.
    pub keyspace: Option<u64>,
    /// Requests that are sent at a time.
    pub pipeline: usize,
    /// Threads; `None` where they were not asked for.
    pub threads: Option<usize>,
    /// Requests begun a second.
    pub rate: Option<f64>,
    /// Names of tests.
    pub tests: Option<Vec<String>>,
    /// Begin of the random numbers.
    pub seed: u64,
    /// Open the connections and wait.
    pub idle: bool,
    /// Repeat for ever.
    pub repeat: bool,
    /// Error replies do not end the run.
    pub tolerant: bool,
    /// How results are printed.
    pub output: Output,
    /// Decimals of latencies.
    pub precision: usize,
    /// A command instead of the tests.
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
        println!("{}", version(product));
        return Ok(Parsed::Shown(Exit::DONE));
    }
    from_matches(product, &matches).map(Parsed::Run)
}

fn version(product: Product) -> String {
    match product {
        Product::Own => format!(
            "box cache-benchmark {} (redis-benchmark {COMPATIBLE})",
            env!("CARGO_PKG_VERSION")
        ),
        Product::Redis => format!("redis-benchmark {COMPATIBLE}"),
        Product::Valkey => format!("valkey-benchmark {COMPATIBLE}"),
    }
}

/// The incumbent's way with misuse: the option and the usage on standard output, exit code 1.
fn imitated(name: &str, args: &[OsString]) -> Result<Option<ArgMatches>, Stop> {
    let command = cli::command().bin_name(name).no_binary_name(true);
    let usage = |word: &str| {
        println!("Invalid option \"{word}\" or option argument missing\n");
        println!("{}", cli::command().bin_name(name).render_help());
        Stop::Exit(Exit::FAILED)
    };
    match command.try_get_matches_from(args) {
        Ok(matches) => {
            let first = matches.get_one::<OsString>("command");
            match first.filter(|word| word.as_bytes().starts_with(b"-")) {
                Some(word) => Err(usage(&word.to_string_lossy())),
                None => Ok(Some(matches)),
            }
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            print!("{}", error.render());
            Ok(None)
        }
        Err(error) => {
            let culprit = error.get(clap::error::ContextKind::InvalidArg).map(ToString::to_string);
            Err(usage(culprit.unwrap_or_default().split(' ').next().unwrap_or_default()))
        }
    }
}

/// The values of a command line.
struct Values<'a>(&'a ArgMatches);

impl Values<'_> {
    fn os(&self, id: &str) -> Option<&OsStr> {
        self.0.get_one::<OsString>(id).map(OsString::as_os_str)
    }

    fn text(&self, id: &str) -> Option<String> {
        self.os(id).map(|value| value.to_string_lossy().into_owned())
    }

    fn number(&self, id: &str) -> Option<i64> {
        self.text(id).map(|text| leading_integer(&text))
    }

    /// A count of at least one.
    fn count(&self, id: &str, default: usize) -> usize {
        self.number(id).map_or(default, |count| count.clamp(1, COUNT_MAX) as usize)
    }

    fn flag(&self, id: &str) -> bool {
        self.0.get_flag(id)
    }
}

fn from_matches(product: Product, matches: &ArgMatches) -> Result<Options, Stop> {
    let values = Values(matches);
    for (flag, reason) in [
        ("cluster", "spreading the load over a cluster is not built in"),
        ("tls", "TLS is not built into the benchmark yet"),
    ] {
        if values.flag(flag) {
            return Err(Failure::new(reason).into());
        }
    }
    let mut command: Vec<Vec<u8>> = matches
        .get_many::<OsString>("command")
        .map(|words| words.map(|word| word.as_bytes().to_vec()).collect())
        .unwrap_or_default();
    if values.flag("last-from-stdin") && !command.is_empty() {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(Failure::os("standard input"))?;
        command.push(bytes);
    }
    let place = Place::of(&values)?;
    let output = if values.flag("csv") {
        Output::Csv
    } else if values.flag("quiet") {
        Output::Quiet
    } else {
        Output::Full
    };
    let rate = values.text("rate").map(|text| text.parse::<f64>().unwrap_or(0.0));
    Ok(Options {
        product,
        greeting: greeting(&values, &place),
        target: place.target,
        clients: values.count("clients", 50),
        requests: values.number("requests").unwrap_or(100_000).max(1) as u64,
        size: values.number("size").unwrap_or(3).clamp(1, SIZE_MAX) as usize,
        keep_alive: values.number("keep-alive").unwrap_or(1) != 0,
        keyspace: values.number("keyspace").map(|keys| keys.max(1) as u64),
        pipeline: values.count("pipeline", 1),
        threads: values.number("threads").filter(|n| *n > 0).map(|n| n.min(500) as usize),
        rate: rate.filter(|rate| *rate > 0.0),
        tests: values
            .text("tests")
            .map(|names| names.split(',').map(|name| name.trim().to_ascii_lowercase()).collect()),
        seed: values.number("seed").unwrap_or(1) as u64,
        idle: values.flag("idle"),
        repeat: values.flag("loop"),
        tolerant: values.flag("show-errors"),
        output,
        precision: values.number("precision").unwrap_or(3).clamp(0, 9) as usize,
        command,
    })
}

/// Where the server is and as whom to talk to it.
struct Place {
    target: Target,
    user: Option<Vec<u8>>,
    password: Option<Vec<u8>>,
    db: i64,
}

impl Place {
    fn of(values: &Values<'_>) -> Result<Place, Stop> {
        let bytes = |id| values.os(id).map(|value| value.as_bytes().to_vec());
        let mut place = Place {
            target: Target { address: address(values), timeout: None },
            user: bytes("user"),
            password: bytes("pass"),
            db: values.number("db").unwrap_or(0),
        };
        if let Some(text) = values.text("uri") {
            let uri = Uri::parse(&text)?;
            place.target.address = Address::Tcp {
                host: uri.host.unwrap_or_else(|| "127.0.0.1".into()),
                port: uri.port.unwrap_or(6379),
            };
            place.user = uri.user.or(place.user);
            place.password = uri.password.or(place.password);
            place.db = uri.db.unwrap_or(place.db);
        }
        Ok(place)
    }
}

fn address(values: &Values<'_>) -> Address {
    match values.os("socket") {
        Some(path) => Address::Unix(PathBuf::from(path)),
        None => Address::Tcp {
            host: values.text("host").unwrap_or_else(|| "127.0.0.1".into()),
            port: values.number("port").unwrap_or(6379) as u16,
        },
    }
}

fn greeting(values: &Values<'_>, place: &Place) -> (Vec<u8>, usize) {
    let (mut bytes, mut count) = (Vec::new(), 0);
    let mut add = |args: &[&[u8]]| {
        push_request(&mut bytes, args.iter());
        count += 1;
    };
    if let Some(password) = &place.password {
        match &place.user {
            Some(user) => add(&[b"AUTH", user, password]),
            None => add(&[b"AUTH", password]),
        }
    }
    if values.flag("enable-tracking") {
        add(&[b"CLIENT", b"TRACKING", b"on"]);
    }
    if place.db != 0 {
        add(&[b"SELECT", place.db.to_string().as_bytes()]);
    }
    if values.flag("resp3") {
        add(&[b"HELLO", b"3"]);
    }
    (bytes, count)
}
