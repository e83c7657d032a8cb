//! The log, in the incumbents' form, as harnesses wait for its lines:
//! `PID:ROLE DD Mon YYYY HH:MM:SS.mmm LEVEL message`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where lines go.
pub struct Logger {
    file: Mutex<Option<File>>,
    /// Lines below this level are not written.
    level: u8,
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
        Ok(Logger { file: Mutex::new(file), level })
    }

    fn line(&self, level: u8, text: &str) {
        if level < self.level {
            return;
        }
        let mark = [".", "-", "*", "#"][usize::from(level.min(3))];
        let line = format!("{}:M {} {mark} {text}\n", std::process::id(), stamp());
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written must not stop the server.
        let _ = match &mut *file {
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

/// `24 Nov 2026 13:12:45.123`, in UTC.
fn stamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (now.as_secs() / 86_400, now.as_secs() % 86_400);
    let (year, month, day) = date(days as i64);
    format!(
        "{day:02} {} {year} {:02}:{:02}:{:02}.{:03}",
        MONTHS[month],
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        now.subsec_millis()
    )
}

/// Year, month from 0 and day of a number of days since 1970, in the Gregorian calendar.
fn date(days: i64) -> (i64, usize, i64) {
    // Counted from 1 March 0000, so that the leap day is the last of its year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 2 } else { month - 10 };
    (year + era * 400 + i64::from(month < 2), month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), (1970, 0, 1));
        assert_eq!(date(59), (1970, 2, 1));
        assert_eq!(date(11_016), (2000, 1, 29));
        assert_eq!(date(20_781), (2026, 10, 24));
    }
}
