//! The command line of `box cache-benchmark`, which is redis-benchmark's, and `--rate`.

use clap::{Arg, ArgAction, Command, builder::OsStringValueParser};

/// The clap tree of `box cache-benchmark`.
pub fn command() -> Command {
    Command::new("cache-benchmark")
        .about("Measure a cache server")
        .long_about(
            "Measure a cache server (box cache-server, Redis, Valkey): requests a second and \
             latencies.\n\n\
             Without --rate each client sends its next request when the last is answered: the \
             most that the server can do. With --rate requests begin when they are due, whether \
             the server is ready or not, and latencies count from then on, so that a pause is \
             seen in all the requests that it held up.\n\n\
             Example: box cache-benchmark -t set,get -P 16 -q\n\
             Example: box cache-benchmark -r 10000 -n 50000 lpush list __rand_int__\n\
             Example: box cache-benchmark -t get --rate 20000",
        )
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .args(connection())
        .args(load())
        .args(output())
        .arg(Arg::new("help").long("help").action(ArgAction::Help).help("Print this help"))
        .arg(flag("version", "Print the version").long("version").short('v'))
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(OsStringValueParser::new())
                .help("The command to measure, instead of the tests"),
        )
}

fn flag(id: &'static str, help: &'static str) -> Arg {
    Arg::new(id).action(ArgAction::SetTrue).help(help)
}

fn value(id: &'static str, name: &'static str, help: &'static str) -> Arg {
    Arg::new(id)
        .value_name(name)
        .allow_hyphen_values(true)
        .value_parser(OsStringValueParser::new())
        .action(ArgAction::Set)
        .help(help)
}

fn connection() -> Vec<Arg> {
    vec![
        value("host", "HOST", "Host of the server [default: 127.0.0.1]").short('h'),
        value("port", "PORT", "Port of the server [default: 6379]").short('p'),
        value("socket", "PATH", "Unix socket of the server").short('s'),
        value("uri", "URI", "redis://USER:PASSWORD@HOST:PORT/DB").short('u'),
        value("pass", "PASSWORD", "Password to authenticate with").short('a'),
        value("user", "NAME", "User to authenticate as, with a password").long("user"),
        value("db", "NUMBER", "Database to select [default: 0]").long("dbnum"),
        flag("resp3", "Speak RESP3").short('3'),
        flag("enable-tracking", "Send CLIENT TRACKING ON first").long("enable-tracking"),
        flag("cluster", "Spread the load over a cluster (not built in)").long("cluster").hide(true),
        flag("tls", "Encrypt the connection (not built in)").long("tls").hide(true),
    ]
}

fn load() -> Vec<Arg> {
    vec![
        value("clients", "COUNT", "Connections [default: 50]").short('c'),
        value("requests", "COUNT", "Requests of each test [default: 100000]").short('n'),
        value("size", "BYTES", "Size of a value [default: 3]").short('d'),
        value("keep-alive", "0|1", "Connect anew for each request with 0 [default: 1]").short('k'),
        value("keyspace", "COUNT", "Put numbers below COUNT where __rand_int__ stands").short('r'),
        value("pipeline", "COUNT", "Requests that are sent at a time [default: 1]").short('P'),
        value("threads", "COUNT", "Threads that send [default: 1]").long("threads"),
        value("rate", "COUNT", "Requests begun a second, however fast the server answers")
            .long("rate")
            .alias("rps"),
        value("tests", "NAMES", "Tests to run, separated by commas [default: all]").short('t'),
        value("seed", "NUMBER", "Begin random numbers with this").long("seed"),
        flag("last-from-stdin", "Read the last argument from standard input").short('x'),
        flag("idle", "Open the connections and wait").short('I'),
        flag("loop", "Repeat the tests for ever").short('l'),
        flag("show-errors", "Count error replies and go on").short('e'),
    ]
}

fn output() -> Vec<Arg> {
    vec![
        flag("quiet", "Print requests a second alone").short('q'),
        flag("csv", "Print CSV").long("csv"),
        value("precision", "DIGITS", "Decimals of latencies [default: 3]").long("precision"),
    ]
}
