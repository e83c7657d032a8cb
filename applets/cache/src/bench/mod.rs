//! `cache-benchmark`: many connections that send the same request as fast as replies come, and what
//! that took. Tests, options and output are the incumbent's.

mod histogram;
pub mod options;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use box_kit::cli::Parsed;
use box_kit::exit::kernel_words;
use box_kit::{Exit, Failure, Invocation, Outcome};
use box_sys::epoll::{Epoll, Events, Interest};
use box_wire::resp::{NotReply, Reply, push_request};

use crate::store::rng;
use histogram::Histogram;
use options::Options;

/// What in a request is replaced by a random number of twelve digits.
const RANDOM: &[u8] = b"__rand_int__";

/// Name, title and request of the tests; `<data>` is a value of the size asked for.
const TESTS: &[(&str, &str, &str)] = &[
    ("ping_inline", "PING_INLINE", "PING"),
    ("ping_mbulk", "PING_MBULK", "PING"),
    ("set", "SET", "SET key:__rand_int__ <data>"),
    ("get", "GET", "GET key:__rand_int__"),
    ("incr", "INCR", "INCR counter:__rand_int__"),
    ("lpush", "LPUSH", "LPUSH mylist <data>"),
    ("rpush", "RPUSH", "RPUSH mylist <data>"),
    ("lpop", "LPOP", "LPOP mylist"),
    ("rpop", "RPOP", "RPOP mylist"),
    ("sadd", "SADD", "SADD myset element:__rand_int__"),
    ("hset", "HSET", "HSET myhash element:__rand_int__ <data>"),
    ("spop", "SPOP", "SPOP myset"),
    ("zadd", "ZADD", "ZADD myzset 0 element:__rand_int__"),
    ("zpopmin", "ZPOPMIN", "ZPOPMIN myzset"),
    ("lrange", "LPUSH (needed to benchmark LRANGE)", "LPUSH mylist <data>"),
    ("lrange_100", "LRANGE_100 (first 100 elements)", "LRANGE mylist 0 99"),
    ("lrange_300", "LRANGE_300 (first 300 elements)", "LRANGE mylist 0 299"),
    ("lrange_500", "LRANGE_500 (first 500 elements)", "LRANGE mylist 0 499"),
    ("lrange_600", "LRANGE_600 (first 600 elements)", "LRANGE mylist 0 599"),
    ("mset", "MSET (10 keys)", ""),
];

/// Runs the benchmark.
///
/// # Errors
/// The server cannot be reached.
pub fn run(invocation: &Invocation) -> Outcome {
    let matches = match box_kit::cli::matches(options::command(), invocation)? {
        Parsed::Shown(exit) => return Ok(exit),
        Parsed::Run(matches) => matches,
    };
    let options = Options::of(&matches).map_err(Failure::misuse)?;
    match measure_all(&options) {
        Ok(()) => Ok(Exit::DONE),
        Err(error) => {
            let place = format!("{}:{}", options.host, options.port);
            eprintln!("Could not connect to Redis at {place}: {}", kernel_words(&error));
            Ok(Exit::FAILED)
        }
    }
}

fn measure_all(options: &Options) -> io::Result<()> {
    let ips = box_sys::resolve::host(&options.host)?;
    let ip = ips.first().copied().ok_or(io::ErrorKind::NotFound)?;
    let address = SocketAddr::new(ip, options.port);
    if options.csv {
        println!(
            "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
             \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\""
        );
    }
    if !options.command.is_empty() {
        let words: Vec<_> =
            options.command.iter().map(|word| String::from_utf8_lossy(word)).collect();
        let mut request = Vec::new();
        push_request(&mut request, options.command.iter());
        return measure(options, address, &words.join(" "), &request);
    }
    for (name, title, shape) in TESTS {
        let wanted =
            options.tests.as_ref().is_none_or(|tests| tests.iter().any(|test| fits(test, name)));
        if wanted {
            measure(options, address, title, &request(options, name, shape))?;
        }
    }
    Ok(())
}

/// Whether `-t test` asks for the test called `name`.
fn fits(test: &str, name: &str) -> bool {
    let group = (test == "ping" && name.starts_with("ping_"))
        || (test == "lrange" && name.starts_with("lrange"))
        || (test.starts_with("lrange_") && name == "lrange");
    test == name || group
}

fn request(options: &Options, name: &str, shape: &str) -> Vec<u8> {
    if name == "ping_inline" {
        return b"PING\r\n".to_vec();
    }
    let data = vec![b'x'; options.data];
    let mut args: Vec<Vec<u8>> = shape
        .split(' ')
        .map(|word| if word == "<data>" { data.clone() } else { word.as_bytes().to_vec() })
        .collect();
    if name == "mset" {
        args = vec![b"MSET".to_vec()];
        for _ in 0..10 {
            args.extend([b"key:__rand_int__".to_vec(), data.clone()]);
        }
    }
    let mut bytes = Vec::new();
    push_request(&mut bytes, args.iter());
    bytes
}

/// What threads of a test share.
struct Shared {
    address: SocketAddr,
    request: Vec<u8>,
    /// Requests that have not been sent.
    left: AtomicU64,
    options: Options,
}

fn measure(options: &Options, address: SocketAddr, title: &str, request: &[u8]) -> io::Result<()> {
    let shared = Arc::new(Shared {
        address,
        request: request.to_vec(),
        left: AtomicU64::new(options.requests),
        options: options.clone(),
    });
    let threads = options.threads.min(options.clients);
    let start = Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|number| {
            let shared = shared.clone();
            let share = options.clients / threads + usize::from(number < options.clients % threads);
            std::thread::spawn(move || drive(&shared, share))
        })
        .collect();
    let mut histogram = Histogram::default();
    for worker in workers {
        let part = worker.join().map_err(|_| io::Error::other("a thread has ended early"))?;
        histogram.merge(part?);
    }
    let seconds = start.elapsed().as_secs_f64();
    histogram.close();
    report(options, title, &histogram, seconds);
    Ok(())
}

struct Conn {
    stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    /// Bytes of `out` that have been written.
    written: usize,
    /// Replies still to come.
    pending: usize,
    sent: Instant,
}

impl Conn {
    fn open(shared: &Shared) -> io::Result<Conn> {
        let mut stream = TcpStream::connect(shared.address)?;
        stream.set_nodelay(true)?;
        let mut head = Vec::new();
        let mut replies = 0;
        if let Some(password) = &shared.options.password {
            push_request(&mut head, ["AUTH", password].into_iter());
            replies += 1;
        }
        if shared.options.db != 0 {
            push_request(&mut head, ["SELECT", &shared.options.db.to_string()].into_iter());
            replies += 1;
        }
        stream.write_all(&head)?;
        let mut input = Vec::new();
        while replies > 0 {
            let mut chunk = [0; 1024];
            let count = stream.read(&mut chunk)?;
            input.extend_from_slice(&chunk[..count]);
            while let Ok((_, rest)) = Reply::parse(&input) {
                let used = input.len() - rest.len();
                input.drain(..used);
                replies -= 1;
            }
        }
        stream.set_nonblocking(true)?;
        let sent = Instant::now();
        Ok(Conn { stream, out: Vec::new(), input: Vec::new(), written: 0, pending: 0, sent })
    }

    /// Sends the next batch; whether there is one.
    fn send(&mut self, shared: &Shared) -> io::Result<bool> {
        let batch = shared.options.pipeline as u64;
        let left = shared.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left > 0).then(|| left.saturating_sub(batch))
        });
        if left.is_err() {
            return Ok(false);
        }
        self.out.clear();
        self.written = 0;
        for _ in 0..batch {
            self.out.extend_from_slice(&shared.request);
        }
        if let Some(keys) = shared.options.keyspace {
            randomise(&mut self.out, keys);
        }
        self.pending = batch as usize;
        self.sent = Instant::now();
        self.write()?;
        Ok(true)
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes replies in; whether all of the batch have come.
    fn read(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 64 * 1024];
        let count = match self.stream.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        self.input.extend_from_slice(&chunk[..count]);
        let mut rest = &self.input[..];
        while self.pending > 0 {
            match skip_reply(rest) {
                Ok(next) => {
                    rest = next;
                    self.pending -= 1;
                }
                Err(NotReply::Incomplete) => break,
                Err(NotReply::Broken) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        let used = self.input.len() - rest.len();
        self.input.drain(..used);
        Ok(self.pending == 0)
    }
}

/// The bytes behind a reply; the short ones are not taken apart.
fn skip_reply(input: &[u8]) -> Result<&[u8], NotReply> {
    match input.first() {
        Some(b'+' | b':' | b'-') => {
            let end = memchr::memchr(b'\n', input).ok_or(NotReply::Incomplete)?;
            Ok(&input[end + 1..])
        }
        _ => Reply::parse(input).map(|(_, rest)| rest),
    }
}

fn randomise(out: &mut [u8], keys: u64) {
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&out[at..], RANDOM) {
        let digits = format!("{:012}", rng::next() % keys);
        out[at + found..at + found + RANDOM.len()].copy_from_slice(digits.as_bytes());
        at += found + RANDOM.len();
    }
}

/// Keeps `count` connections busy until all requests have been answered.
fn drive(shared: &Shared, count: usize) -> io::Result<Histogram> {
    let epoll = Epoll::new()?;
    let mut events = Events::with_room(256);
    let mut conns = Vec::new();
    let mut histogram = Histogram::default();
    let mut busy = 0;
    for number in 0..count {
        let mut conn = Conn::open(shared)?;
        epoll.add(conn.stream.as_fd(), number as u64, Interest::READ)?;
        busy += usize::from(conn.send(shared)?);
        conns.push(conn);
    }
    while busy > 0 {
        epoll.wait(&mut events, Some(Duration::from_millis(100)))?;
        for (number, _) in events.iter() {
            let conn = &mut conns[number as usize];
            if conn.pending == 0 {
                continue;
            }
            conn.write()?;
            if !conn.read()? {
                continue;
            }
            let us = conn.sent.elapsed().as_micros();
            (0..shared.options.pipeline).for_each(|_| histogram.add(us));
            if !shared.options.keep_alive {
                *conn = Conn::open(shared)?;
                epoll.add(conn.stream.as_fd(), number, Interest::READ)?;
            }
            busy -= usize::from(!conn.send(shared)?);
        }
    }
    Ok(histogram)
}

fn report(options: &Options, title: &str, histogram: &Histogram, seconds: f64) {
    let rate = histogram.len() as f64 / seconds;
    let p = |percent| histogram.percentile(percent);
    if options.csv {
        println!(
            "\"{title}\",\"{rate:.2}\",\"{:.3}\",\"{:.3}\",\"{:.3}\",\"{:.3}\",\"{:.3}\",\"{:.3}\"",
            histogram.mean(),
            histogram.min(),
            p(50.0),
            p(95.0),
            p(99.0),
            histogram.max()
        );
        return;
    }
    if options.quiet {
        println!("{title}: {rate:.2} requests per second, p50={:.3} msec", p(50.0));
        return;
    }
    println!("====== {title} ======");
    println!("  {} requests completed in {seconds:.2} seconds", histogram.len());
    println!("  {} parallel clients", options.clients);
    println!("  {} bytes payload", options.data);
    println!("  keep alive: {}", u8::from(options.keep_alive));
    println!("  multi-thread: {}\n", if options.threads > 1 { "yes" } else { "no" });
    println!("Latency by percentile distribution:");
    let mut percent = 0.0;
    loop {
        let ms = p(percent);
        let count = histogram.count_up_to(ms);
        println!("{percent:.3}% <= {ms:.3} milliseconds (cumulative count {count})");
        if count >= histogram.len() {
            break;
        }
        percent = if percent == 0.0 { 50.0 } else { 100.0 - (100.0 - percent) / 2.0 };
    }
    println!("\nSummary:");
    println!("  throughput summary: {rate:.2} requests per second");
    println!("  latency summary (msec):");
    println!("          avg       min       p50       p95       p99       max");
    println!(
        "    {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>9.3}\n",
        histogram.mean(),
        histogram.min(),
        p(50.0),
        p(95.0),
        p(99.0),
        histogram.max()
    );
}
