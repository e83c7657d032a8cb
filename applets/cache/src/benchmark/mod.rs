//! `box cache-benchmark`, which is also `redis-benchmark` and `valkey-benchmark`.
//!
//! ```text
//! cli, options   the command line -> Options
//! workload       the tests -> bytes of a pipeline, with places for random numbers
//! worker         threads, each an epoll loop over its clients; closed or open loop
//! socket         one client: sends a pipeline, counts its replies without building them
//! report         the histogram -> text, one line, CSV
//! ```
//!
//! A turn of a client costs one `read` and one `write`, and shares an `epoll_wait` with all that are
//! ready. Nothing is allocated in it.

pub mod cli;
mod options;
mod report;
mod socket;
mod worker;
mod workload;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use box_kit::cli::Parsed;
use box_kit::exit::kernel_words;
use box_kit::{Exit, Failure, Invocation, Name, Outcome};
use box_sys::{limits, resolve};
use box_wire::resp::Reply;

use crate::client::{Address, Connection, Stop};
use options::{Options, Output};
use report::{CSV_HEAD, Report, ServerConfig};
use socket::Place;
use worker::{Harvest, Run};
use workload::Test;

/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Descriptors beside those of the clients.
const SPARE_FILES: u64 = 64;

/// Runs the benchmark.
///
/// # Errors
/// What went wrong, where it was called by its own name.
pub fn run(invocation: &Invocation) -> Outcome {
    let ended = match options::parse(invocation) {
        Ok(Parsed::Shown(exit)) => return Ok(exit),
        Ok(Parsed::Run(options)) => start(&options),
        Err(stop) => Err(stop),
    };
    match ended {
        Ok(exit) | Err(Stop::Exit(exit)) => Ok(exit),
        Err(Stop::Failed(failure)) => Err(failure),
        Err(Stop::Said(words)) if matches!(invocation.name, Name::Own(_)) => {
            Err(Failure::new(words))
        }
        Err(Stop::Said(words)) => {
            // What was printed so far comes first.
            let _ = io::stdout().flush();
            eprintln!("{words}");
            Ok(Exit::FAILED)
        }
    }
}

fn start(options: &Options) -> Result<Exit, Stop> {
    // Fewer files than clients will be told by the connection that fails.
    let _ = limits::raise_open_files(options.clients as u64 + SPARE_FILES);
    let place = place(options)?;
    let config = server_config(options)?;
    if config.is_none() {
        eprintln!("WARNING: Could not fetch server CONFIG");
    }
    if options.idle {
        return idle(options, &place);
    }
    if options.output == Output::Csv {
        print(CSV_HEAD)?;
    }
    loop {
        for test in workload::tests(options) {
            measure(options, &place, config.as_ref(), &test)?;
        }
        if !options.repeat {
            break;
        }
    }
    if options.output != Output::Csv && options.command.is_empty() {
        print("\n")?;
    }
    Ok(Exit::DONE)
}

fn print(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::os("standard output")(error).into())
}

fn could_not_connect(options: &Options, error: &io::Error) -> Stop {
    let (server, words) = (options.product.server(), kernel_words(error));
    Stop::said(format!("Could not connect to {server} at {}: {words}", options.target.address))
}

/// Resolves the name once, so that clients need not.
fn place(options: &Options) -> Result<Place, Stop> {
    match &options.target.address {
        Address::Unix(path) => Ok(Place::Unix(path.clone())),
        Address::Tcp { host, port } => {
            let found = resolve::host(host).map_err(|error| could_not_connect(options, &error))?;
            let reachable = |ip: &&std::net::IpAddr| {
                std::net::TcpStream::connect(SocketAddr::new(**ip, *port)).is_ok()
            };
            // A name with several addresses: the first that answers.
            let first = if found.len() > 1 { found.iter().find(reachable) } else { None };
            let ip = first.or(found.first()).copied();
            let missing = || could_not_connect(options, &io::ErrorKind::NotFound.into());
            ip.map(|ip| Place::Tcp(SocketAddr::new(ip, *port))).ok_or_else(missing)
        }
    }
}

/// Asks the server for its persistence, which explains its figures; one may not be allowed to.
fn server_config(options: &Options) -> Result<Option<ServerConfig>, Stop> {
    let mut connection =
        Connection::open(&options.target).map_err(|error| could_not_connect(options, &error))?;
    let (greeting, replies) = &options.greeting;
    connection.send_raw(greeting)?;
    for _ in 0..*replies {
        if let Reply::Error(text) = connection.receive()? {
            return Err(Stop::said(format!(
                "Error from server: {}",
                String::from_utf8_lossy(&text)
            )));
        }
    }
    let mut value = |name: &str| -> Result<Option<String>, Stop> {
        let reply = connection.call(&["CONFIG", "GET", name])?;
        let text = |reply: &Reply| match reply {
            Reply::Bulk(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        };
        Ok(match &reply {
            Reply::Array(items) => items.get(1).and_then(text),
            Reply::Map(pairs) => pairs.first().and_then(|(_, value)| text(value)),
            _ => None,
        })
    };
    Ok(match (value("save")?, value("appendonly")?) {
        (Some(save), Some(appendonly)) => Some(ServerConfig { save, appendonly }),
        _ => None,
    })
}

fn idle(options: &Options, place: &Place) -> Result<Exit, Stop> {
    let count = options.clients;
    print(&format!("Creating {count} idle connections and waiting forever (Ctrl+C when done)\n"))?;
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let template = workload::Template::new(b"", 0, false);
        let client = socket::Socket::open(place, &options.greeting, template)
            .map_err(|error| could_not_connect(options, &error))?;
        clients.push(client);
    }
    loop {
        thread::park();
    }
}

/// Runs a test and prints its result.
fn measure(
    options: &Options,
    place: &Place,
    config: Option<&ServerConfig>,
    test: &Test,
) -> Result<(), Stop> {
    let threads = options.threads.unwrap_or(1).min(options.clients);
    let run = Run::new(options, place.clone(), &test.request, threads);
    let (took, harvest) = threads_of(&run, threads, &test.title)?;
    let (latencies, errors) = (&harvest.latencies, harvest.errors);
    let report = Report { title: &test.title, options, config, took, latencies, errors };
    print(&report.text())
}

/// Starts the threads, tells how far they are, and adds up what they bring home.
fn threads_of(run: &Run<'_>, threads: usize, title: &str) -> Result<(Duration, Harvest), Stop> {
    let begun = Instant::now();
    let (ended, ends) = mpsc::channel();
    let results = thread::scope(|scope| {
        let mut handles = Vec::new();
        for number in 0..threads {
            let ended = ended.clone();
            let clients = run.options.clients;
            let share = clients / threads + usize::from(number < clients % threads);
            let name = format!("clients-{number}");
            let body = move || {
                let harvest = worker::work(run, number, share);
                if harvest.is_err() {
                    run.stop.store(true, Ordering::Relaxed);
                }
                // The receiver lives as long as the scope.
                let _ = ended.send(());
                harvest
            };
            handles.push(thread::Builder::new().name(name).spawn_scoped(scope, body));
        }
        let watched = watch(run, threads, &ends, title);
        let took = begun.elapsed();
        let harvests: Vec<_> = handles
            .into_iter()
            .map(|handle| match handle.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(harvest)) => harvest,
                Ok(Err(_)) => Err(Stop::said("Error: a thread panicked")),
                Err(error) => Err(Stop::said(format!("Error: {}", kernel_words(&error)))),
            })
            .collect();
        watched.map(|()| (took, harvests))
    });
    let (took, harvests) = results?;
    let mut all = Harvest { latencies: worker::histogram(), errors: 0 };
    for harvest in harvests {
        let harvest = harvest?;
        // Both have the same bounds.
        let _ = all.latencies.add(&harvest.latencies);
        all.errors += harvest.errors;
    }
    Ok((took, all))
}

/// Prints a line of progress, over and over in the same place, until all threads have ended.
fn watch(
    run: &Run<'_>,
    threads: usize,
    ends: &mpsc::Receiver<()>,
    title: &str,
) -> Result<(), Stop> {
    let (mut left, mut before, mut shown) = (threads, Sum::default(), 0);
    let mut last = Instant::now();
    while left > 0 {
        match ends.recv_timeout(PROGRESS_EVERY) {
            Ok(()) => left -= 1,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if run.options.output != Output::Csv => {
                let sum = Sum::of(run);
                let line = progress(title, &before, &sum, last.elapsed(), run.begun.elapsed());
                print(&format!("{:shown$}\r{line}\r", ""))?;
                (before, last, shown) = (sum, Instant::now(), line.len());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    if run.options.output != Output::Csv {
        // Blanks over the line of progress; the result begins where it stood.
        print(&format!("{:width$}\r", "", width = shown.max(1)))?;
    }
    Ok(())
}

/// Replies and latencies of all threads.
#[derive(Clone, Copy, Default)]
struct Sum {
    replies: u64,
    latency_us: u64,
}

impl Sum {
    fn of(run: &Run<'_>) -> Sum {
        run.progress.iter().fold(Sum::default(), |sum, progress| Sum {
            replies: sum.replies + progress.replies.load(Ordering::Relaxed),
            latency_us: sum.latency_us + progress.latency_us.load(Ordering::Relaxed),
        })
    }

    fn average_ms(self) -> f64 {
        self.latency_us as f64 / 1000.0 / self.replies.max(1) as f64
    }
}

fn progress(title: &str, before: &Sum, now: &Sum, lately: Duration, in_all: Duration) -> String {
    let part = Sum {
        replies: now.replies.saturating_sub(before.replies),
        latency_us: now.latency_us.saturating_sub(before.latency_us),
    };
    format!(
        "{title}: rps={:.1} (overall: {:.1}) avg_msec={:.3} (overall: {:.3})",
        part.replies as f64 / lately.as_secs_f64().max(1e-9),
        now.replies as f64 / in_all.as_secs_f64().max(1e-9),
        part.average_ms(),
        now.average_ms()
    )
}
