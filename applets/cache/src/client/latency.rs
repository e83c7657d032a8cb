//! `--latency`, `--latency-history`, `--latency-dist` and `--intrinsic-latency`: how long a PING
//! takes, and how long the machine itself withholds the CPU.

use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use box_kit::Exit;

use super::connection::Connection;
use super::options::Options;
use super::render::Output;
use super::{Stop, ask, show};

/// Between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(10);
/// Length of an interval of `--latency-history`, if none is given.
const HISTORY_INTERVAL: Duration = Duration::from_secs(15);
/// Length of an interval of the other modes, if none is given.
const INTERVAL: Duration = Duration::from_secs(1);

/// The samples of an interval, in whole milliseconds.
#[derive(Default)]
struct Samples {
    count: u64,
    min_ms: u64,
    max_ms: u64,
    total_ms: u64,
}

impl Samples {
    fn add(&mut self, ms: u64) {
        self.min_ms = if self.count == 0 { ms } else { self.min_ms.min(ms) };
        self.max_ms = self.max_ms.max(ms);
        self.total_ms += ms;
        self.count += 1;
    }

    fn text(&self, output: Output) -> String {
        let (min, max, count) = (self.min_ms, self.max_ms, self.count);
        let average = self.total_ms as f64 / count.max(1) as f64;
        match output {
            // To column 0, erase the line.
            Output::Standard => format!(
                "\x1b[0G\x1b[2Kmin: {min}, max: {max}, avg: {average} ({count} samples)",
                average = Two(average)
            ),
            Output::Csv => format!("{min},{max},{average:.2},{count}\n"),
            _ => format!("{min} {max} {average:.2} {count}\n"),
        }
    }
}

/// A number with two decimals.
struct Two(f64);

impl std::fmt::Display for Two {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

/// Measures until it is stopped; where no person looks, for one interval.
///
/// # Errors
/// The connection is lost.
pub fn sample(mut connection: Connection, options: &Options, history: bool) -> Result<Exit, Stop> {
    let given = Some(options.interval).filter(|interval| !interval.is_zero());
    let interval = given.unwrap_or(if history { HISTORY_INTERVAL } else { INTERVAL });
    let (mut samples, mut begun) = (Samples::default(), Instant::now());
    loop {
        let start = Instant::now();
        ask(&mut connection, &["PING"])?;
        samples.add(start.elapsed().as_millis() as u64);
        let over = begun.elapsed() > interval;
        if options.output == Output::Standard || history {
            show(samples.text(options.output).as_bytes())?;
        } else if over {
            show(samples.text(options.output).as_bytes())?;
            return Ok(Exit::DONE);
        }
        if history && over {
            show(format!(" -- {:.2} seconds range\n", begun.elapsed().as_secs_f64()).as_bytes())?;
            (samples, begun) = (Samples::default(), Instant::now());
        }
        thread::sleep(SAMPLE_EVERY);
    }
}

/// Upper bounds of the spectrum in microseconds, and their signs; the last has none.
const BUCKETS: [(u64, char); 30] = [
    (10, '.'),
    (125, '-'),
    (250, '*'),
    (500, '#'),
    (1000, '1'),
    (2000, '2'),
    (3000, '3'),
    (4000, '4'),
    (5000, '5'),
    (6000, '6'),
    (7000, '7'),
    (8000, '8'),
    (9000, '9'),
    (10_000, 'A'),
    (20_000, 'B'),
    (30_000, 'C'),
    (40_000, 'D'),
    (50_000, 'E'),
    (100_000, 'F'),
    (200_000, 'G'),
    (300_000, 'H'),
    (400_000, 'I'),
    (500_000, 'J'),
    (1_000_000, 'K'),
    (2_000_000, 'L'),
    (4_000_000, 'M'),
    (8_000_000, 'N'),
    (16_000_000, 'O'),
    (30_000_000, 'P'),
    (60_000_000, 'Q'),
];
/// Colours of the 256-colour palette from none to all samples.
const PALETTE: [u8; 19] =
    [0, 233, 234, 235, 237, 239, 241, 243, 245, 247, 144, 143, 142, 184, 226, 214, 208, 202, 196];
/// The legend is repeated after so many lines.
const LEGEND_EVERY: usize = 1000;

/// Shows each interval as a line of signs whose colour is their share.
///
/// # Errors
/// The connection is lost.
pub fn spectrum(mut connection: Connection, options: &Options) -> Result<Exit, Stop> {
    let interval = if options.interval.is_zero() { INTERVAL } else { options.interval };
    let mut lines = 0;
    loop {
        let (mut counts, mut total, begun) = ([0u64; BUCKETS.len() + 1], 0u64, Instant::now());
        while begun.elapsed() <= interval || total == 0 {
            let start = Instant::now();
            ask(&mut connection, &["PING"])?;
            let us = start.elapsed().as_micros() as u64;
            let bucket = BUCKETS.iter().position(|(bound, _)| us <= *bound);
            if let Some(count) = counts.get_mut(bucket.unwrap_or(BUCKETS.len())) {
                *count += 1;
            }
            total += 1;
            thread::sleep(SAMPLE_EVERY);
        }
        if lines % LEGEND_EVERY == 0 {
            show(legend().as_bytes())?;
        }
        lines += 1;
        show(spectrum_line(&counts, total).as_bytes())?;
    }
}

fn spectrum_line(counts: &[u64], total: u64) -> String {
    let mut line = String::from("\x1b[38;5;0m");
    let signs = BUCKETS.iter().map(|(_, sign)| *sign).chain(['?']);
    for (count, sign) in counts.iter().zip(signs) {
        let share = *count as f64 / total.max(1) as f64;
        let step = (share * (PALETTE.len() - 1) as f64).ceil() as usize;
        let colour = PALETTE.get(step).copied().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(line, "\x1b[48;5;{colour}m{sign}");
    }
    line + "\x1b[0m\n"
}

fn legend() -> String {
    let rule = "---------------------------------------------\n";
    let mut text = String::from(rule);
    text += ". - * #          .01 .125 .25 .5 milliseconds\n";
    text += "1,2,3,...,9      from 1 to 9     milliseconds\n";
    text += "A,B,C,D,E        10,20,30,40,50  milliseconds\n";
    text += "F,G,H,I,J        .1,.2,.3,.4,.5       seconds\n";
    text += "K,L,M,N,O,P,Q,?  1,2,4,8,16,30,60,>60 seconds\n";
    text += "From 0 to 100%: ";
    for colour in PALETTE {
        let _ = write!(text, "\x1b[48;5;{colour}m ");
    }
    text + "\x1b[0m\n" + rule
}

/// Rounds of work between two looks at the clock: some 50 ns.
const SPIN_ROUNDS: u64 = 40;

/// Spins for `length` and tells the longest time between two looks at the clock.
///
/// # Errors
/// Standard output is closed.
pub fn intrinsic(length: Duration) -> Result<Exit, Stop> {
    let (begun, mut last) = (Instant::now(), Instant::now());
    let (mut runs, mut worst_us) = (0u64, 0u64);
    let end = begun + length;
    while last < end {
        spin();
        let now = Instant::now();
        let us = now.duration_since(last).as_micros() as u64;
        (last, runs) = (now, runs + 1);
        if us > worst_us {
            worst_us = us;
            show(format!("Max latency so far: {worst_us} microseconds.\n").as_bytes())?;
            // Printing is no withheld CPU.
            last = Instant::now();
        }
    }
    let average_us = begun.elapsed().as_secs_f64() * 1e6 / runs.max(1) as f64;
    let text = format!(
        "\n{runs} total runs (avg latency: {average_us:.4} microseconds / {:.2} nanoseconds per \
         run).\nWorst run took {:.0}x longer than the average latency.\n",
        average_us * 1e3,
        worst_us as f64 / average_us
    );
    show(text.as_bytes())?;
    Ok(Exit::DONE)
}

fn spin() {
    let mut x = 1u64;
    for round in 0..SPIN_ROUNDS {
        x = std::hint::black_box(x.wrapping_mul(6364136223846793005).wrapping_add(round));
    }
}
