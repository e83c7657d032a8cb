//! The calendar, as far as certificates and logs need it: UTC, without time zones.

use std::time::{SystemTime, UNIX_EPOCH};

use box_kit::calendar;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// 1970 and later.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Date {
    /// Today.
    pub fn today() -> Date {
        Date::of_days((seconds() / 86_400) as i64)
    }

    /// The day that is `days` after 1970-01-01.
    pub fn of_days(days: i64) -> Date {
        let (year, month, day) = calendar::civil(days);
        Date { year: year as i32, month: month as u8, day: day as u8 }
    }

    /// Days since 1970-01-01.
    pub fn days(self) -> i64 {
        calendar::days(i64::from(self.year), i64::from(self.month), i64::from(self.day))
    }

    /// So many days later.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Date {
        Date::of_days(self.days() + days)
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}

/// Now as `2026-11-24T13:20:05.123Z`.
pub fn rfc3339() -> String {
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = Date::of_days((age.as_secs() / 86_400) as i64);
    let (h, m, s) = time_of_day(age.as_secs());
    let Date { year, month, day } = date;
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", age.subsec_millis())
}

/// `Tue, 24 Nov 2026 14:20:05 GMT` (RFC 9110 section 5.6.7).
pub fn http_date(seconds: u64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = seconds / 86_400;
    let Date { year, month, day } = Date::of_days(days as i64);
    let (h, m, s) = time_of_day(seconds);
    let (weekday, month) = (WEEKDAYS[(days % 7) as usize], MONTHS[usize::from(month - 1) % 12]);
    format!("{weekday}, {day:02} {month} {year:04} {h:02}:{m:02}:{s:02} GMT")
}

/// Now as `13:20:05.123`.
pub fn time() -> String {
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (h, m, s) = time_of_day(age.as_secs());
    format!("{h:02}:{m:02}:{s:02}.{:03}", age.subsec_millis())
}

fn time_of_day(seconds: u64) -> (u64, u64, u64) {
    let of_day = seconds % 86_400;
    (of_day / 3600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_those_of_the_rfc() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn days_and_dates_agree() {
        assert_eq!(Date::of_days(0), Date { year: 1970, month: 1, day: 1 });
        assert_eq!(Date::of_days(19_782), Date { year: 2024, month: 2, day: 29 });
        for days in (0..80_000).step_by(17) {
            assert_eq!(Date::of_days(days).days(), days);
        }
    }
}
