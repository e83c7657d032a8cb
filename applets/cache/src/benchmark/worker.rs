//! The threads that send: each an epoll loop over its own clients.
//!
//! Closed loop: a client whose pipeline is answered claims the next one from the common count and
//! sends it at once, in the same turn. Open loop (`--rate`): pipelines fall due at fixed times; the
//! next idle client sends the oldest due one, and latency counts from when it was due, not from
//! when a client was free for it (no coordinated omission).

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use box_kit::exit::kernel_words;
use box_sys::epoll::{Epoll, Events, Interest};
use box_sys::timer::Timer;
use hdrhistogram::Histogram;

use super::options::Options;
use super::socket::{Place, Socket, Trouble};
use super::workload::{Random, Template};
use crate::client::Stop;

/// Bytes read of a socket at a time.
const BUFFER_BYTES: usize = 256 * 1024;
/// The token of the timer.
const TIMER: u64 = u64::MAX;
/// Shortest and longest latency that is told apart, in microseconds: as redis-benchmark.
const LATENCY_US: (u64, u64) = (10, 3_000_000);
/// A thread that waits for its clients looks at the stop flag so often.
const GLANCE: Duration = Duration::from_millis(100);

/// A histogram of latencies in microseconds.
pub fn histogram() -> Histogram<u64> {
    let (least, most) = LATENCY_US;
    // The bounds are right: both are constants, and three digits are accepted.
    Histogram::new_with_bounds(least, most, 3).expect("constant bounds are valid")
}

/// What the threads of a run share.
pub struct Run<'o> {
    /// What was asked for.
    pub options: &'o Options,
    /// Where the server is.
    pub place: Place,
    /// The request.
    pub request: &'o [u8],
    /// When it began.
    pub begun: Instant,
    issued: AtomicU64,
    /// Ends the run early.
    pub stop: AtomicBool,
    /// Replies so far and the sum of their latencies, for the line of progress.
    pub progress: Vec<Progress>,
}

/// Counted by one thread, read by another; alone in its cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Progress {
    /// Replies.
    pub replies: AtomicU64,
    /// Microseconds.
    pub latency_us: AtomicU64,
}

/// What a thread brings home.
pub struct Harvest {
    /// Latencies.
    pub latencies: Histogram<u64>,
    /// Error replies.
    pub errors: u64,
}

impl<'o> Run<'o> {
    /// A run that has not begun.
    pub fn new(options: &'o Options, place: Place, request: &'o [u8], threads: usize) -> Run<'o> {
        Run {
            options,
            place,
            request,
            begun: Instant::now(),
            issued: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            progress: std::iter::repeat_with(Progress::default).take(threads).collect(),
        }
    }

    /// Takes the next pipeline from the common count: its first request and its length.
    fn claim(&self) -> Option<(u64, usize)> {
        let pipeline = self.options.pipeline as u64;
        let first = self.issued.fetch_add(pipeline, Ordering::Relaxed);
        let left = self.options.requests.checked_sub(first).filter(|left| *left > 0)?;
        Some((first, left.min(pipeline) as usize))
    }

    fn now_ns(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// When request number `first` is due, in nanoseconds of the run.
    fn due_ns(&self, first: u64, rate: f64) -> u64 {
        (first as f64 * 1e9 / rate) as u64
    }
}

/// One thread.
struct Worker<'r, 'o> {
    run: &'r Run<'o>,
    progress: &'r Progress,
    epoll: Epoll,
    clients: Vec<Socket>,
    buffer: Vec<u8>,
    random: Random,
    harvest: Harvest,
    /// Clients that wait for a reply.
    busy: usize,
    /// Clients that wait for work (open loop).
    idle: Vec<usize>,
    /// The next pipeline and when it is due (open loop).
    next: Option<(u64, usize)>,
    timer: Timer,
}

/// Runs thread number `number` with `clients` clients.
///
/// # Errors
/// The server is not there, closes a connection or answers with an error.
pub fn work(run: &Run<'_>, number: usize, clients: usize) -> Result<Harvest, Stop> {
    let told = |error: io::Error| Stop::said(format!("Error: {}", kernel_words(&error)));
    let Some(progress) = run.progress.get(number) else {
        return Err(Stop::said("a thread without a counter"));
    };
    let mut worker = Worker {
        run,
        progress,
        epoll: Epoll::new().map_err(told)?,
        clients: Vec::with_capacity(clients),
        buffer: vec![0; BUFFER_BYTES],
        random: Random(run.options.seed.wrapping_add((number as u64) << 32)),
        harvest: Harvest { latencies: histogram(), errors: 0 },
        busy: 0,
        idle: Vec::new(),
        next: None,
        timer: Timer::new().map_err(told)?,
    };
    for _ in 0..clients {
        worker.add_client()?;
    }
    worker.epoll.add(&worker.timer, TIMER, Interest::READ).map_err(told)?;
    match run.options.rate {
        None => worker.closed_loop()?,
        Some(rate) => worker.open_loop(rate)?,
    }
    Ok(worker.harvest)
}

impl Worker<'_, '_> {
    fn connect(&self) -> Result<Socket, Stop> {
        let options = self.run.options;
        let random = options.keyspace.is_some();
        let template = Template::new(self.run.request, options.pipeline, random);
        Socket::open(&self.run.place, &options.greeting, template).map_err(|error| {
            let (server, words) = (options.product.server(), kernel_words(&error));
            Stop::said(format!(
                "Could not connect to {server} at {}: {words}",
                options.target.address
            ))
        })
    }

    fn add_client(&mut self) -> Result<(), Stop> {
        let socket = self.connect()?;
        self.watch(&socket, self.clients.len())?;
        self.clients.push(socket);
        Ok(())
    }

    fn watch(&self, socket: &Socket, index: usize) -> Result<(), Stop> {
        self.epoll
            .add(socket, index as u64, Interest::READ)
            .map_err(|error| Stop::said(format!("Error: {}", kernel_words(&error))))
    }

    fn closed_loop(&mut self) -> Result<(), Stop> {
        for index in 0..self.clients.len() {
            if let Some((_, count)) = self.run.claim() {
                self.busy += 1;
                self.begin(index, count, self.run.now_ns())?;
            }
        }
        let mut events = Events::with_room(self.clients.len() + 1);
        while self.busy > 0 && !self.run.stop.load(Ordering::Relaxed) {
            self.wait(&mut events)?;
            for (token, ready) in events.iter() {
                let index = token as usize;
                if self.serve(index, ready)? {
                    match self.run.claim() {
                        Some((_, count)) => self.begin(index, count, self.run.now_ns())?,
                        None => self.busy -= 1,
                    }
                }
            }
        }
        Ok(())
    }

    fn open_loop(&mut self, rate: f64) -> Result<(), Stop> {
        self.idle = (0..self.clients.len()).collect();
        self.next = self.run.claim();
        let mut events = Events::with_room(self.clients.len() + 1);
        self.send_due(rate)?;
        while (self.busy > 0 || self.next.is_some()) && !self.run.stop.load(Ordering::Relaxed) {
            self.wait(&mut events)?;
            for (token, ready) in events.iter() {
                if token != TIMER && self.serve(token as usize, ready)? {
                    self.busy -= 1;
                    self.idle.push(token as usize);
                }
            }
            self.send_due(rate)?;
        }
        Ok(())
    }

    /// Lets idle clients send what is due, and sets the timer for what is not yet.
    fn send_due(&mut self, rate: f64) -> Result<(), Stop> {
        while let Some((first, count)) = self.next {
            let (due, now) = (self.run.due_ns(first, rate), self.run.now_ns());
            if due > now {
                let wait = Duration::from_nanos(due - now);
                return self
                    .timer
                    .set(wait)
                    .map_err(|error| Stop::said(format!("Error: {}", kernel_words(&error))));
            }
            let Some(index) = self.idle.pop() else { break };
            self.busy += 1;
            self.begin(index, count, due)?;
            self.next = self.run.claim();
        }
        // Nothing is to be waited for but replies.
        self.timer
            .set(Duration::from_secs(3600))
            .map_err(|error| Stop::said(format!("Error: {}", kernel_words(&error))))
    }

    fn wait(&mut self, events: &mut Events) -> Result<(), Stop> {
        self.epoll
            .wait(events, Some(GLANCE))
            .map_err(|error| Stop::said(format!("Error: {}", kernel_words(&error))))
    }

    fn begin(&mut self, index: usize, count: usize, begun_ns: u64) -> Result<(), Stop> {
        if !self.run.options.keep_alive {
            let fresh = self.connect()?;
            self.watch(&fresh, index)?;
            if let Some(client) = self.clients.get_mut(index) {
                // Closing the old one takes it out of the epoll instance.
                *client = fresh;
            }
        }
        let Some(client) = self.clients.get_mut(index) else { return Ok(()) };
        if let Some(limit) = self.run.options.keyspace {
            client.template.randomize(count, limit, &mut self.random);
        }
        client.begin(count, begun_ns).map_err(|trouble| told(&trouble))?;
        self.mind_room(index)
    }

    /// Watches for room to write where a pipeline is stuck, and only there.
    fn mind_room(&mut self, index: usize) -> Result<(), Stop> {
        let Some(client) = self.clients.get_mut(index) else { return Ok(()) };
        let stuck = client.is_stuck();
        if stuck == client.wants_room {
            return Ok(());
        }
        client.wants_room = stuck;
        let interest = if stuck { Interest::READ.and(Interest::WRITE) } else { Interest::READ };
        self.epoll
            .modify(&*client, index as u64, interest)
            .map_err(|error| Stop::said(format!("Error: {}", kernel_words(&error))))
    }

    /// Serves a client that is ready; true when its pipeline is answered.
    fn serve(&mut self, index: usize, ready: Interest) -> Result<bool, Stop> {
        let Some(client) = self.clients.get_mut(index) else { return Ok(false) };
        if client.wants_room && ready.is_writable() {
            client.send().map_err(|trouble| told(&trouble))?;
            self.mind_room(index)?;
        }
        if !ready.is_readable() {
            return Ok(false);
        }
        let Some(client) = self.clients.get_mut(index) else { return Ok(false) };
        let waiting = client.due > 0;
        let arrived = client.receive(&mut self.buffer).map_err(|trouble| told(&trouble))?;
        let (answered, begun_ns) = (waiting && client.due == 0, client.begun_ns);
        if let Some(error) = arrived.error {
            if !self.run.options.tolerant {
                return Err(Stop::said(format!("Error from server: {error}")));
            }
            self.harvest.errors += arrived.errors;
        }
        if arrived.replies > 0 {
            self.record(arrived.replies as u64, begun_ns);
        }
        Ok(answered)
    }

    #[inline]
    fn record(&mut self, replies: u64, begun_ns: u64) {
        let us = self.run.now_ns().saturating_sub(begun_ns) / 1000;
        self.harvest.latencies.saturating_record_n(us.min(LATENCY_US.1), replies);
        // Only this thread writes: no atomic addition is needed.
        let add = |counter: &AtomicU64, more: u64| {
            counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        };
        add(&self.progress.replies, replies);
        add(&self.progress.latency_us, us * replies);
    }
}

fn told(trouble: &Trouble) -> Stop {
    Stop::said(match trouble {
        Trouble::Closed => "Error: Server closed the connection".to_owned(),
        Trouble::Io(error) => format!("Error: {}", kernel_words(error)),
        Trouble::Broken(broken) => format!("Error: {broken}"),
    })
}
