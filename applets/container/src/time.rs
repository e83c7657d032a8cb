//! Times as state files and logs have them: RFC 3339 in UTC with nanoseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use box_kit::calendar::{civil, days};

/// Time since the epoch.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// `2026-01-02T03:04:05.678901234Z`.
pub fn rfc3339(time: Duration) -> String {
    let seconds = time.as_secs() as i64;
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let nanos = time.subsec_nanos();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// Parses what [`rfc3339`] writes, any fraction or none, and numeric zones.
pub fn parse_rfc3339(text: &str) -> Option<Duration> {
    let (date, rest) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let offset = match zone {
        "" | "Z" => 0,
        zone => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if zone.starts_with('-') { -seconds } else { seconds }
        }
    };
    let mut clock = clock.splitn(3, ':');
    let hour = clock.next()?.parse::<i64>().ok()?;
    let minute = clock.next()?.parse::<i64>().ok()?;
    let (second, fraction) = clock.next().unwrap_or("0").split_once('.').map_or_else(
        || (clock_second(rest), ""),
        |(second, fraction)| (second.parse::<i64>().ok(), fraction),
    );
    let whole = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second? - offset;
    let nanos = format!("{fraction:0<9}").get(..9)?.parse::<u32>().ok()?;
    Some(Duration::new(u64::try_from(whole).ok()?, nanos))
}

/// The seconds of a clock without a fraction.
fn clock_second(clock: &str) -> Option<i64> {
    let end = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
    clock.get(..end)?.splitn(3, ':').nth(2).unwrap_or("0").parse().ok()
}

/// How long ago, in docker's words: `About a minute`, `3 hours`.
pub fn in_words(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0 => "Less than a second".into(),
        1 => "1 second".into(),
        2..=59 => format!("{seconds} seconds"),
        60..=119 => "About a minute".into(),
        120..=3599 => format!("{} minutes", seconds / 60),
        3600..=7199 => "About an hour".into(),
        7200..=172_799 => format!("{} hours", seconds / 3600),
        172_800..=1_209_599 => format!("{} days", seconds / 86_400),
        1_209_600..=5_183_999 => format!("{} weeks", seconds / 604_800),
        5_184_000..=63_071_999 => format!("{} months", seconds / 2_592_000),
        _ => format!("{} years", seconds / 31_536_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        let time = Duration::new(1_772_323_445, 678_901_234);
        let text = rfc3339(time);
        assert_eq!(text, "2026-03-01T00:04:05.678901234Z");
        assert_eq!(parse_rfc3339(&text), Some(time));
        assert_eq!(parse_rfc3339("1970-01-02"), Some(Duration::from_secs(86_400)));
        assert_eq!(parse_rfc3339("1970-01-01T01:00:07+01:00"), Some(Duration::from_secs(7)));
        assert_eq!(parse_rfc3339("nonsense"), None);
    }

    #[test]
    fn ages_are_told_in_words() {
        assert_eq!(in_words(Duration::from_secs(61)), "About a minute");
        assert_eq!(in_words(Duration::from_secs(7300)), "2 hours");
    }
}
