//! The commands: from arguments to running parts.

mod run;
mod server;
mod service;
mod trust;
mod tunnel;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use box_kit::{Exit, Failure, Outcome, folders};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::{Cert, Command, Token};
use crate::edge::Store;
use crate::tls::ca::Authority;

/// The domain of the local edge: browsers and resolvers send it to this computer.
const LOCAL_DOMAIN: &str = "localhost";

/// Runs a command to its end.
///
/// # Errors
/// What it could not do.
pub fn dispatch(command: Command) -> Outcome {
    match command {
        Command::Http(args) => tunnel::http(&args),
        Command::File(args) => tunnel::file(&args),
        Command::Tcp(args) => tunnel::tcp(&args),
        Command::Tls(args) => tunnel::tls(&args),
        Command::Server(args) => server::server(&args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => run::check(&args),
        Command::Reload(args) => run::reload(&args),
        Command::Service(command) => service::service(&command),
        Command::Trust => trust::trust(),
        Command::Untrust => trust::untrust(),
        Command::Token(command) => token(command),
        Command::Cert(command) => cert(command),
    }
}

fn token(command: Token) -> Outcome {
    let store = |data: Option<PathBuf>| Store::open(&data_folder(data)?);
    match command {
        Token::Add { user, data } => {
            let plain = user.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
            if user.is_empty() || !plain {
                return Err(Failure::misuse("a user is letters, digits, - and .").about(user));
            }
            print(&format!("{}\n", store(data)?.add_token(&user)?))
        }
        Token::List { data, json } => {
            let tokens = store(data)?.tokens()?;
            let line = |token: &crate::edge::TokenEntry| {
                let date = crate::clock::Date::of_days((token.created / 86_400) as i64);
                let day = format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
                if json {
                    let (user, hint) = (&token.user, &token.hint);
                    format!("{}\n", serde_json::json!({"user": user, "hint": hint, "created": day}))
                } else {
                    format!("{:<20} {}…  {day}\n", token.user, token.hint)
                }
            };
            print(&tokens.iter().map(line).collect::<String>())
        }
        Token::Revoke { which, data } => match store(data)?.revoke(&which)? {
            0 => Err(Failure::new("no such user or token").about(which)),
            1 => print("1 token revoked\n"),
            count => print(&format!("{count} tokens revoked\n")),
        },
    }
}

fn cert(command: Cert) -> Outcome {
    let Cert::Ca { data } = command;
    let file = match data {
        None => local_authority()?.file.clone(),
        // The domain is known to the server alone: its authority is made at its first start.
        Some(data) => {
            let file = data.join("ca").join("ca.pem");
            if !file.exists() {
                return Err(
                    Failure::new("the server has not been started yet").about(data.display())
                );
            }
            file
        }
    };
    print(&format!("{}\n", file.display()))
}

/// The user's own authority, for `*.localhost`.
fn local_authority() -> Result<Arc<Authority>, Failure> {
    let folder = folders::config("proxy")?.join("ca");
    Authority::open(&folder, LOCAL_DOMAIN).map(Arc::new)
}

fn data_folder(data: Option<PathBuf>) -> Result<PathBuf, Failure> {
    data.map_or_else(|| folders::data("proxy"), Ok)
}

fn print(text: &str) -> Outcome {
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::os("standard output"))?;
    Ok(Exit::DONE)
}

/// Turns true at the first SIGINT or SIGTERM; a second one ends the process by that signal.
fn stop_signal() -> Result<watch::Receiver<bool>, Failure> {
    let (stop, stopping) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::task::spawn_local(async move {
        for _ in 0..2 {
            let number = tokio::select! {
                _ = interrupt.recv() => 2,
                _ = terminate.recv() => 15,
            };
            if *stop.borrow() {
                box_sys::signal::die_of(number);
            }
            let _ = stop.send(true);
        }
    });
    Ok(stopping)
}

/// As many threads as asked for, or one a core.
fn thread_count(asked: Option<usize>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    asked.unwrap_or(cores).clamp(1, 64)
}
