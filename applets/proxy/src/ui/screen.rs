//! The screen: redrawn in place, at most ten times a second.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::{Event, Output, next};
use crate::clock;
use crate::http1::{Record, phrase};

const REDRAW_EVERY: Duration = Duration::from_millis(100);
const SHOWN_REQUESTS: usize = 12;
const KEPT_TIMES: usize = 1000;

#[derive(Default)]
struct Screen {
    session: String,
    hint: Option<&'static str>,
    inspector: Option<String>,
    forwarding: Vec<(String, String)>,
    certificate: Option<String>,
    notices: Vec<String>,
    requests: VecDeque<String>,
    total: u64,
    times: VecDeque<(Instant, Duration)>,
    drawn_lines: usize,
}

/// Draws until the end.
pub fn run(output: &mut Output, receiver: &Receiver<Event>) {
    let mut screen = Screen { session: "connecting".to_owned(), ..Screen::default() };
    let mut due = Some(Instant::now());
    loop {
        let patience = due.map_or(Duration::from_secs(5), |due| due - Instant::now().min(due));
        match next(receiver, patience) {
            Some(Event::End) => {
                let _ = screen.draw(output);
                return;
            }
            Some(event) => {
                screen.take(event);
                due = due.or(Some(Instant::now() + REDRAW_EVERY));
            }
            None => {
                // A terminal that is gone is no reason to stop serving.
                let _ = screen.draw(output);
                due = None;
            }
        }
    }
}

impl Screen {
    fn take(&mut self, event: Event) {
        match event {
            Event::Online { server: None, .. } => {
                self.session = "online · local edge (this computer only)".to_owned();
                self.hint = Some(
                    "share it: box proxy http 3000 --server HOST     \
                     make a server: box proxy server --help",
                );
            }
            Event::Online { server: Some(server), user, rtt, lanes } => {
                let plural = if lanes == 1 { "" } else { "s" };
                let ms = rtt.as_millis();
                self.session =
                    format!("online · {server} · {user} · {ms}ms · {lanes} lane{plural}");
            }
            Event::Reconnecting { attempt, delay, why } => {
                let (nth, delay) = (ordinal(attempt), delay.as_secs_f64());
                self.session = format!("reconnecting ({nth} try in {delay:.1}s) · {why}");
            }
            Event::Forwarding { urls, target, .. } => {
                for line in urls.into_iter().map(|url| (url, target.clone())) {
                    if !self.forwarding.contains(&line) {
                        self.forwarding.push(line);
                    }
                }
            }
            Event::Request(record) => self.request(&record),
            Event::Connection { client, received, sent, error } => {
                self.total += 1;
                let (received, sent) = (size(received), size(sent));
                let error = error.unwrap_or_default();
                self.push(format!(
                    "{}  {client}  in {received}  out {sent}  {error}",
                    clock::time()
                ));
            }
            Event::Inspector(address) => self.inspector = Some(address),
            Event::Certificate(state) => self.certificate = Some(state),
            Event::Notice(text) => self.notices.push(text),
            Event::Bound { .. }
            | Event::AgentGone { .. }
            | Event::Listening { .. }
            | Event::End => {}
        }
    }

    fn request(&mut self, record: &Record) {
        self.total += 1;
        self.times.push_front((Instant::now(), record.total));
        self.times.truncate(KEPT_TIMES);
        let outcome = match &record.error {
            Some(error) => printable(error),
            None => {
                let (words, ms) = (phrase(record.status), record.total.as_millis());
                format!("{words:<12} {ms:>5}ms  {}", size(record.sent))
            }
        };
        let (method, target) = (printable(&record.method), printable(&record.target));
        let target: String = target.chars().take(32).collect();
        let (time, status) = (clock::time(), record.status);
        self.push(format!("{time}  {method:<5} {target:<32} {status} {outcome}"));
    }

    fn push(&mut self, line: String) {
        self.requests.push_front(line);
        self.requests.truncate(SHOWN_REQUESTS);
    }

    fn lines(&self) -> Vec<String> {
        let title = format!("box proxy {}", env!("CARGO_PKG_VERSION"));
        let mut lines = vec![format!("{title:<59}(Ctrl+C to quit)")];
        let mut row = |label: &str, value: &str| lines.push(format!("{label:<13}{value}"));
        row("Session", &self.session);
        if let Some(hint) = self.hint {
            row("", hint);
        }
        if let Some(inspector) = &self.inspector {
            row("Inspector", inspector);
        }
        for (index, (url, target)) in self.forwarding.iter().enumerate() {
            row(if index == 0 { "Forwarding" } else { "" }, &format!("{url} -> {target}"));
        }
        if let Some(certificate) = &self.certificate {
            row("Certificate", certificate);
        }
        for notice in &self.notices {
            row("Note", notice);
        }
        row("Connections", "ttl   rt1   rt5   p50     p90");
        row("", &self.figures());
        lines.push("HTTP requests".to_owned());
        lines.extend(self.requests.iter().cloned());
        lines
    }

    fn figures(&self) -> String {
        let rate = |seconds: u64| {
            let since = Duration::from_secs(seconds);
            let recent = self.times.iter().take_while(|(at, _)| at.elapsed() < since).count();
            recent as f64 / seconds as f64
        };
        let mut sorted: Vec<Duration> = self.times.iter().map(|(_, time)| *time).collect();
        sorted.sort_unstable();
        let percentile = |p: usize| {
            let time = sorted.get(sorted.len() * p / 100).copied().unwrap_or_default();
            format!("{:.1}ms", time.as_secs_f64() * 1e3)
        };
        let (total, p50, p90) = (self.total, percentile(50), percentile(90));
        format!("{total:<5} {:<5.2} {:<5.2} {p50:<7} {p90}", rate(60), rate(300))
    }

    fn draw(&mut self, output: &mut Output) -> std::io::Result<()> {
        let lines = self.lines();
        let up = match self.drawn_lines {
            0 => String::new(),
            count => format!("\x1b[{count}A"),
        };
        let body: String = lines.iter().map(|line| format!("{line}\x1b[K\n")).collect();
        self.drawn_lines = lines.len();
        output.write_all(format!("{up}\r{body}\x1b[J").as_bytes())?;
        output.flush()
    }
}

/// What a visitor sent must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn ordinal(number: u32) -> String {
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

/// `1.2kB`, as people read sizes.
fn size(bytes: u64) -> String {
    match bytes {
        0..=999 => format!("{bytes}B"),
        1_000..=999_999 => format!("{:.1}kB", bytes as f64 / 1e3),
        1_000_000..=999_999_999 => format!("{:.1}MB", bytes as f64 / 1e6),
        _ => format!("{:.1}GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_its_rows() {
        let mut screen = Screen::default();
        let rtt = Duration::ZERO;
        screen.take(Event::Online { server: None, user: "you".into(), rtt, lanes: 1 });
        screen.take(Event::Forwarding {
            name: "brave-otter".into(),
            urls: vec!["https://brave-otter.localhost:8443".into()],
            target: "http://localhost:3000".into(),
        });
        let text = screen.lines().join("\n");
        assert!(text.contains("Session      online · local edge (this computer only)"), "{text}");
        let forwarding = "Forwarding   https://brave-otter.localhost:8443 -> http://localhost:3000";
        assert!(text.contains(forwarding), "{text}");
        assert!(text.contains("HTTP requests"), "{text}");
        assert_eq!((ordinal(3), ordinal(12)), ("3rd".into(), "12th".into()));
    }
}
