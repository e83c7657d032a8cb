//! The log, in the incumbents' form, as harnesses wait for its lines:
//! `PID:ROLE DD Mon YYYY HH:MM:SS.mmm LEVEL message`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use box_kit::calendar::civil;
use box_kit::zone::Zone;

/// Where lines go.
pub struct Logger {
    sink: Mutex<Sink>,
    /// Lines below this level are not written.
    level: u8,
}

struct Sink {
    /// Standard output without one.
    file: Option<File>,
    /// Lines carry local time, as the incumbents' do.
    zone: Zone,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Logger {
    /// To the file at `path`, or to standard output if it is empty.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &str, level: &str) -> std::io::Result<Logger> {
        let file = match path {
            "" => None,
            path => Some(OpenOptions::new().create(true).append(true).open(path)?),
        };
        let level = match level {
            "debug" => 0,
            "verbose" => 1,
            "notice" => 2,
            "warning" => 3,
            _ => 4,
        };
        Ok(Logger { sink: Mutex::new(Sink { file, zone: Zone::local() }), level })
    }

    fn line(&self, level: u8, text: &str) {
        if level < self.level {
            return;
        }
        let mark = [".", "-", "*", "#"][usize::from(level.min(3))];
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let stamp = stamp(now, &sink.zone);
        let line = format!("{}:M {stamp} {mark} {text}\n", std::process::id());
        // A log that cannot be written must not stop the server.
        let _ = match &mut sink.file {
            Some(file) => file.write_all(line.as_bytes()),
            None => std::io::stdout().write_all(line.as_bytes()),
        };
    }

    /// What helps with finding a fault.
    pub fn debug(&self, text: &str) {
        self.line(0, text);
    }

    /// What may be of interest.
    pub fn verbose(&self, text: &str) {
        self.line(1, text);
    }

    /// What an operator wants to know.
    pub fn notice(&self, text: &str) {
        self.line(2, text);
    }

    /// What an operator must know.
    pub fn warning(&self, text: &str) {
        self.line(3, text);
    }
}

/// `24 Nov 2026 13:12:45.123` of a time since 1970.
fn stamp(now: Duration, zone: &Zone) -> String {
    let second = now.as_secs() as i64;
    let second = second + i64::from(zone.offset(second));
    let (year, month, day) = civil(second.div_euclid(86_400));
    let of_day = second.rem_euclid(86_400);
    format!(
        "{day:02} {} {year} {:02}:{:02}:{:02}.{:03}",
        MONTHS[month as usize - 1],
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        now.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_the_local_date() {
        let noon = Duration::from_millis(1_711_800_005_042);
        assert_eq!(stamp(noon, &Zone::utc()), "30 Mar 2024 12:00:05.042");
        assert_eq!(stamp(noon, &Zone::named("EST5")), "30 Mar 2024 07:00:05.042");
    }
}
