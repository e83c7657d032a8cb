//! `box proxy run`, `check` and `reload`: a reverse proxy, one thread a core.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use box_kit::{Exit, Failure, Outcome, folders};
use box_sys::pidfd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinSet, LocalSet};

use super::{local_authority, print, stop_signal, thread_count};
use crate::cli;
use crate::config::{Config, Listen};
use crate::http1::Forwarding;
use crate::listen::{self, address};
use crate::policy::Network;
use crate::reverse::{Command, Model, Worker, look_after};
use crate::target::TargetSpec;
use crate::tls::sha256_hex;
use crate::ui::{Event, Form, Output, Ui};

/// Serves until a signal, then drains.
pub fn run(args: &cli::Run) -> Outcome {
    let config = configuration(args)?;
    let ui = Ui::start(Form::Logfmt, Output::Stdout)?;
    let threads = thread_count(args.threads.or(config.threads));
    let drain = args.drain.map_or(config.drain, Duration::from_secs);
    let model = Arc::new(Model::new(config, ui.events.clone(), local_authority)?);
    let mut workers = Vec::new();
    for number in 0..threads {
        workers.push(Worker::start(number, model.clone())?);
    }
    let mut server = Server { workers, model, listening: BTreeMap::new(), checks: JoinSet::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let fresh = server.bind(&server.model)?;
        server.follow(fresh)?;
        let noted = args.config.as_deref().map(Noted::new).transpose()?;
        server.serve(args).await?;
        drop(noted);
        server.drain(drain).await;
        Ok::<(), Failure>(())
    })?;
    ui.end();
    Ok(Exit::DONE)
}

/// Says whether a file is right.
pub fn check(args: &cli::Check) -> Outcome {
    let config = Config::read(&args.config)?;
    let count = config.routes.len();
    print(&format!("ok: {count} {}\n", if count == 1 { "route" } else { "routes" }))
}

/// Lets a running proxy read its file again, if that is right.
pub fn reload(args: &cli::Check) -> Outcome {
    Config::read(&args.config)?;
    let running = Noted::path(&args.config).ok().and_then(|path| Noted::process(&path));
    let sent = running.map(|process| pidfd::send_signal(process.as_fd(), libc::SIGHUP));
    match sent {
        Some(Ok(())) => Ok(Exit::DONE),
        _ => Err(Failure::new("no proxy runs with this file").about(args.config.display())),
    }
}

/// The file, or what the flags say.
fn configuration(args: &cli::Run) -> Result<Config, Failure> {
    let mut config = match (&args.config, &args.to) {
        (Some(file), _) => Config::read(file)?,
        (None, Some(to)) => {
            let everybody = ["0.0.0.0/0", "::/0"].iter().filter_map(|text| Network::parse(text));
            let trusted: Vec<Network> = everybody.filter(|_| args.trust_forwarded).collect();
            let listen = |text: &String| {
                let (address, tls, accept_proxy) = (address(text)?, None, false);
                Ok(Listen { address, tls, accept_proxy, trusted: trusted.clone() })
            };
            let listens = args.listen.iter().map(listen).collect::<Result<_, Failure>>()?;
            let target = TargetSpec::parse(to, args.upstream.manner("http"))?;
            Config::single(listens, target, Forwarding::Replace)
        }
        (None, None) => {
            return Err(Failure::misuse("neither a file nor --listen and --to is given"));
        }
    };
    config.access_log |= args.access_log;
    Ok(config)
}

/// The main thread's side of a running proxy.
struct Server {
    workers: Vec<Worker>,
    model: Arc<Model>,
    /// What is configured, and what is bound for it: another port where that was 0.
    listening: BTreeMap<SocketAddr, SocketAddr>,
    checks: JoinSet<()>,
}

impl Server {
    /// Binds what a model listens at and we do not yet.
    fn bind(&self, model: &Model) -> Result<Vec<(SocketAddr, Vec<TcpListener>)>, Failure> {
        let addresses = model.config.listens.iter().map(|listen| listen.address);
        let fresh = addresses.filter(|address| !self.listening.contains_key(address));
        let bound = |address| Ok((address, listen::bind_each(address, self.workers.len())?));
        fresh.map(bound).collect()
    }

    /// Brings listeners and health checks in line with the model, which the workers know already.
    fn follow(&mut self, fresh: Vec<(SocketAddr, Vec<TcpListener>)>) -> Result<(), Failure> {
        let wanted: Vec<SocketAddr> =
            self.model.config.listens.iter().map(|listen| listen.address).collect();
        for (address, sockets) in fresh {
            let bound = sockets.first().map(|socket| socket.local_addr()).transpose()?;
            let bound = bound.unwrap_or(address);
            let tls = self.model.listen(address).is_some_and(|(listen, _)| listen.tls.is_some());
            let what = if tls { "https" } else { "http" };
            self.model.events.send(Event::Listening { what, address: bound.to_string() });
            for (worker, socket) in self.workers.iter().zip(sockets) {
                worker.order(Command::Listen(address, socket));
            }
            self.listening.insert(address, bound);
        }
        let gone: Vec<SocketAddr> =
            self.listening.keys().filter(|address| !wanted.contains(address)).copied().collect();
        for address in gone {
            self.listening.remove(&address);
            self.workers.iter().for_each(|worker| worker.order(Command::Close(address)));
        }
        self.checks = look_after(&self.model);
        Ok(())
    }

    /// Until a signal to end.
    async fn serve(&mut self, args: &cli::Run) -> Result<(), Failure> {
        let mut stopping = stop_signal()?;
        let mut reload = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return Ok(()),
                _ = reload.recv() => {
                    if let Err(failure) = self.reload(args) {
                        let said = format!("box: proxy: {failure}: the old configuration stays\n");
                        let _ = std::io::stderr().write_all(said.as_bytes());
                    }
                }
            }
        }
    }

    /// Takes the file as it is now; a mistake in it changes nothing.
    fn reload(&mut self, args: &cli::Run) -> Result<(), Failure> {
        let config = configuration(args)?;
        let model = Arc::new(Model::new(config, self.model.events.clone(), local_authority)?);
        let fresh = self.bind(&model)?;
        self.workers.iter().for_each(|worker| worker.order(Command::Model(model.clone())));
        self.model = model;
        self.follow(fresh)?;
        let count = self.model.config.routes.len();
        self.model.events.send(Event::Notice(format!("configuration reloaded, routes: {count}")));
        Ok(())
    }

    /// Accepts nothing more and waits for what is open.
    async fn drain(&self, patience: Duration) {
        self.workers.iter().for_each(|worker| worker.order(Command::Drain));
        let end = Instant::now() + patience;
        while self.workers.iter().any(|worker| !worker.has_ended()) && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A note of the process that runs with a file, for `reload`.
struct Noted(PathBuf);

impl Noted {
    fn path(config: &Path) -> Result<PathBuf, Failure> {
        let whole = std::fs::canonicalize(config).map_err(Failure::os(config.display()))?;
        let digest = sha256_hex(whole.as_os_str().as_encoded_bytes());
        let name = format!("run-{}.pid", digest.get(..16).unwrap_or_default());
        Ok(folders::state("proxy")?.join(name))
    }

    fn new(config: &Path) -> Result<Noted, Failure> {
        let path = Noted::path(config)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Failure::os(folder.display()))?;
        }
        let pid = std::process::id() as i32;
        let (started, _) = pidfd::start_time(pid)?;
        std::fs::write(&path, format!("{pid} {started}\n")).map_err(Failure::os(path.display()))?;
        Ok(Noted(path))
    }

    /// The process that a note is of, if it still runs: another one may have its number by now.
    fn process(path: &Path) -> Option<OwnedFd> {
        let text = std::fs::read_to_string(path).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let pid = pid.parse().ok()?;
        let process = pidfd::open(pid).ok()?;
        let is_same = pidfd::start_time(pid).ok()?.0 == started.parse::<u64>().ok()?;
        is_same.then_some(process)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
