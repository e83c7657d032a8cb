//! The command line of `box cache-cli`, which is redis-cli's: the same flags mean the same.

use clap::{Arg, ArgAction, Command, builder::OsStringValueParser};

/// The clap tree of `box cache-cli`.
pub fn command() -> Command {
    Command::new("cache-cli")
        .about("Talk to a cache server, one command or a session")
        .long_about(
            "Talk to a cache server (box cache-server, Redis, Valkey).\n\n\
             With a command it is sent, its reply printed; without one a session begins.\n\n\
             Example: box cache-cli -p 6380 set greeting hello\n\
             Example: box cache-cli --scan --pattern 'user:*'",
        )
        .after_help(
            "The password is better given in REDISCLI_AUTH than by -a, where other users see it.\n\
             The history of sessions is kept in ~/.rediscli_history (REDISCLI_HISTFILE), their\n\
             preferences are read from ~/.redisclirc (REDISCLI_RCFILE).",
        )
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .args(connection())
        .args(protocol())
        .args(input())
        .args(output())
        .args(sampling())
        .args(transfer())
        .args(scripting())
        .arg(Arg::new("help").long("help").action(ArgAction::Help).help("Print this help"))
        .arg(flag("version", "Print the version").long("version").short('v'))
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(OsStringValueParser::new())
                .help("The command and its arguments"),
        )
}

fn flag(id: &'static str, help: &'static str) -> Arg {
    Arg::new(id).long(id).action(ArgAction::SetTrue).help(help)
}

fn value(id: &'static str, name: &'static str, help: &'static str) -> Arg {
    Arg::new(id)
        .long(id)
        .value_name(name)
        .allow_hyphen_values(true)
        .value_parser(OsStringValueParser::new())
        .action(ArgAction::Set)
        .help(help)
}

/// A value that has a one-letter flag only.
fn letter(id: &'static str, short: char, name: &'static str, help: &'static str) -> Arg {
    value(id, name, help).long(None::<&str>).short(short)
}

fn connection() -> Vec<Arg> {
    vec![
        letter("host", 'h', "HOST", "Host of the server [default: 127.0.0.1]"),
        letter("port", 'p', "PORT", "Port of the server [default: 6379]"),
        letter("socket", 's', "PATH", "Unix socket of the server, instead of host and port"),
        letter("timeout", 't', "SECONDS", "Longest wait for the connection"),
        letter("uri", 'u', "URI", "redis://USER:PASSWORD@HOST:PORT/DB"),
        value("pass", "PASSWORD", "Password to authenticate with").short('a'),
        value("user", "NAME", "User to authenticate as, with a password"),
        flag("askpass", "Ask for the password on the terminal"),
        flag("no-auth-warning", "Do not warn about a password on the command line"),
        letter("db", 'n', "NUMBER", "Database to select"),
        flag("cluster-mode", "Follow redirections of a cluster").long(None::<&str>).short('c'),
        flag("tls", "Encrypt the connection"),
        value("sni", "HOST", "Server name to ask for"),
        value("cacert", "FILE", "Certificates of authorities to trust"),
        value("cacertdir", "DIR", "Folder of certificates of authorities to trust"),
        flag("insecure", "Do not verify the server's certificate"),
        value("cert", "FILE", "Certificate to authenticate with"),
        value("key", "FILE", "Private key of that certificate"),
        value("tls-ciphers", "LIST", "Accepted for compatibility").hide(true),
        value("tls-ciphersuites", "LIST", "Accepted for compatibility").hide(true),
    ]
}

fn protocol() -> Vec<Arg> {
    vec![
        flag("resp2", "Speak RESP2").long(None::<&str>).short('2'),
        flag("resp3", "Speak RESP3").long(None::<&str>).short('3'),
        value("show-pushes", "YES|NO", "Print push messages [default: on a terminal]"),
    ]
}

fn input() -> Vec<Arg> {
    vec![
        letter("repeat", 'r', "COUNT", "Send the command so many times, for ever if negative"),
        letter("interval", 'i', "SECONDS", "Wait so long between two of them, or two samples"),
        flag("last-from-stdin", "Read the last argument from standard input")
            .long(None::<&str>)
            .short('x'),
        letter("tag", 'X', "TAG", "Read the argument that is TAG from standard input"),
        flag("quoted-input", "Arguments may be quoted and hold escapes"),
        flag("exit-code", "Exit with 1 when the reply is an error").long(None::<&str>).short('e'),
        flag("verbose", "Say more"),
    ]
}

fn output() -> Vec<Arg> {
    vec![
        flag("raw", "Print the bytes alone [default: not on a terminal]"),
        flag("no-raw", "Print types and quotes [default: on a terminal]"),
        flag("csv", "Print CSV"),
        flag("json", "Print JSON"),
        flag("quoted-json", "Print JSON in ASCII"),
        letter("delimiter", 'd', "BYTES", "Stands between elements in raw form [default: \\n]"),
        letter("reply-delimiter", 'D', "BYTES", "Stands behind replies in raw form [default: \\n]"),
    ]
}

fn sampling() -> Vec<Arg> {
    vec![
        flag("stat", "Print memory, clients and requests again and again"),
        flag("latency", "Measure the time of a PING again and again"),
        flag("latency-history", "The same, in intervals [default: 15 s]"),
        flag("latency-dist", "The same, as a spectrum"),
        value("intrinsic-latency", "SECONDS", "Measure how long this machine withholds the CPU"),
        value("lru-test", "KEYS", "Measure the hit ratio of so many keys, 80 % of hits on 20 %"),
        flag("scan", "List the keys"),
        value("pattern", "GLOB", "Keys to list or to sample [default: *]"),
        value("quoted-pattern", "GLOB", "The same, quoted, with escapes"),
        flag("bigkeys", "Find the keys with most elements"),
        flag("memkeys", "Find the keys that take most memory"),
        value("memkeys-samples", "COUNT", "Elements of a key to measure, 0 for all"),
        flag("hotkeys", "Find the keys that are used most; needs an LFU policy"),
    ]
}

fn transfer() -> Vec<Arg> {
    vec![
        flag("pipe", "Send standard input, which is requests, as fast as possible"),
        value("pipe-timeout", "SECONDS", "Longest wait for the last reply [default: 30, 0: none]"),
        value("rdb", "FILE", "Fetch a snapshot of the data into FILE, - for standard output"),
        value("functions-rdb", "FILE", "The same, only of the functions"),
        flag("replica", "Print the commands that a replica is sent").alias("slave"),
    ]
}

fn scripting() -> Vec<Arg> {
    vec![
        value("eval", "FILE", "Send a Lua script: KEY... , ARGUMENT..."),
        flag("ldb", "Debug the script (not built in)").hide(true),
        flag("ldb-sync-mode", "Debug the script (not built in)").hide(true),
        value("cluster", "COMMAND", "Manage a cluster (not built in)").hide(true),
    ]
}
