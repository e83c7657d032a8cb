//! Results as text, in the forms that scripts read of redis-benchmark.

use std::fmt::Write;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::options::{Options, Output};

/// What a server says about its persistence.
#[derive(Clone, Debug, Default)]
pub struct ServerConfig {
    /// `save`
    pub save: String,
    /// `appendonly`
    pub appendonly: String,
}

/// The result of a test.
pub struct Report<'a> {
    /// Its title.
    pub title: &'a str,
    /// What was asked for.
    pub options: &'a Options,
    /// What the server says about itself, where it does.
    pub config: Option<&'a ServerConfig>,
    /// How long it took.
    pub took: Duration,
    /// Latencies in microseconds.
    pub latencies: &'a Histogram<u64>,
    /// Error replies.
    pub errors: u64,
}

/// The first line of CSV.
pub const CSV_HEAD: &str = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\
\"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n";

impl Report<'_> {
    /// The text.
    pub fn text(&self) -> String {
        match self.options.output {
            Output::Full => self.full(),
            Output::Quiet => format!(
                "{}: {:.2} requests per second, p50={:.*} msec\n",
                self.title,
                self.rate(),
                self.options.precision,
                self.at(0.5)
            ),
            Output::Csv => self.csv(),
        }
    }

    fn rate(&self) -> f64 {
        // Whole milliseconds, as the incumbent counts; at least one.
        let ms = self.took.as_millis().max(1) as f64;
        self.latencies.len() as f64 * 1000.0 / ms
    }

    fn at(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// Average, least, the percentiles 50, 95 and 99, most; in milliseconds.
    fn figures(&self) -> [f64; 6] {
        [
            self.latencies.mean() / 1000.0,
            self.latencies.min() as f64 / 1000.0,
            self.at(0.5),
            self.at(0.95),
            self.at(0.99),
            self.latencies.max() as f64 / 1000.0,
        ]
    }

    fn csv(&self) -> String {
        let mut line = format!("\"{}\",\"{:.2}\"", self.title, self.rate());
        for figure in self.figures() {
            // Writing to a String cannot fail.
            let _ = write!(line, ",\"{figure:.3}\"");
        }
        line + "\n"
    }

    fn full(&self) -> String {
        let mut text = format!("====== {} ======\n", self.title);
        self.conditions(&mut text);
        text += "\nLatency by percentile distribution:\n";
        self.percentiles(&mut text);
        text += "\nCumulative distribution of latencies:\n";
        self.cumulative(&mut text);
        text += "\nSummary:\n";
        let _ = writeln!(text, "  throughput summary: {:.2} requests per second", self.rate());
        if self.errors > 0 {
            let _ = writeln!(text, "  error replies: {}", self.errors);
        }
        text += "  latency summary (msec):\n   ";
        for name in ["avg", "min", "p50", "p95", "p99", "max"] {
            let _ = write!(text, " {name:>9}");
        }
        text += "\n   ";
        for figure in self.figures() {
            let _ = write!(text, " {figure:>9.3}");
        }
        text + "\n"
    }

    fn conditions(&self, text: &mut String) {
        let options = self.options;
        let _ = writeln!(
            text,
            "  {} requests completed in {:.2} seconds",
            self.latencies.len(),
            self.took.as_secs_f64()
        );
        let _ = writeln!(text, "  {} parallel clients", options.clients);
        let _ = writeln!(text, "  {} bytes payload", options.size);
        let _ = writeln!(text, "  keep alive: {}", u8::from(options.keep_alive));
        if let Some(config) = self.config {
            let _ = writeln!(text, "  host configuration \"save\": {}", config.save);
            let _ = writeln!(text, "  host configuration \"appendonly\": {}", config.appendonly);
        }
        let multi = if options.threads.is_some() { "yes" } else { "no" };
        let _ = writeln!(text, "  multi-thread: {multi}");
        if let Some(threads) = options.threads {
            let _ = writeln!(text, "  threads: {threads}");
        }
        if let Some(rate) = options.rate {
            let _ = writeln!(
                text,
                "  open loop: {rate} requests per second, latencies from when they were due"
            );
        }
    }

    /// Steps that halve the distance to 100 %.
    fn percentiles(&self, text: &mut String) {
        let mut seen = 0;
        for step in self.latencies.iter_quantiles(1) {
            seen += step.count_since_last_iteration();
            let percent = step.quantile_iterated_to() * 100.0;
            self.line(
                percent,
                self.latencies.highest_equivalent(step.value_iterated_to()),
                seen,
                text,
            );
        }
    }

    /// Steps of 0.1 ms up to 2 ms, of 1 ms behind, where anything falls into them.
    fn cumulative(&self, text: &mut String) {
        let total = self.latencies.len();
        let (mut edge_us, mut before) = (100, 0);
        while before < total {
            let value = self.latencies.highest_equivalent(edge_us);
            let seen = self.latencies.count_between(0, value);
            if seen != before {
                self.line(seen as f64 * 100.0 / total as f64, value, seen, text);
            }
            before = seen;
            edge_us += if value > 2000 { 1000 } else { 100 };
        }
    }

    fn line(&self, percent: f64, value_us: u64, seen: u64, text: &mut String) {
        let digits = self.options.precision;
        let _ = writeln!(
            text,
            "{percent:.3}% <= {:.digits$} milliseconds (cumulative count {seen})",
            value_us as f64 / 1000.0
        );
    }
}
