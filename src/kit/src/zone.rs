//! The viewer's time zone, read once: `TZ` as POSIX writes it, or a TZif file (RFC 9636).
//!
//! The C library asks for `/etc/localtime` anew at every packet when `TZ` is not set; here the file
//! is read at the start and a stamp costs a comparison with the span the last one fell in.

use std::cell::Cell;
use std::env;
use std::path::{Path, PathBuf};

use crate::calendar::{civil, days};

/// Offsets from UTC over time.
#[derive(Debug, Default)]
pub struct Zone {
    /// First second of each span and its offset, in order.
    spans: Vec<(i64, i32)>,
    /// The offset before the first span.
    first: i32,
    /// The rule for the time behind the last span.
    rule: Option<Rule>,
    /// The span the last look-up fell in: start, end, offset.
    last: Cell<(i64, i64, i32)>,
}

/// A POSIX rule: standard time, and summer time between two dates of each year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    standard: i32,
    summer: Option<(i32, Change, Change)>,
}

/// When a change of a [`Rule`] comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    day: Day,
    /// Seconds of the local day.
    time: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// `Jn`: 1 to 365, without 29 February.
    Julian(i64),
    /// `n`: 0 to 365.
    Zero(i64),
    /// `Mm.w.d`.
    Month(i64, i64, i64),
}

impl Zone {
    /// UTC.
    pub fn utc() -> Zone {
        Zone::default()
    }

    /// Of `TZ` and `/etc/localtime`.
    pub fn local() -> Zone {
        match env::var("TZ") {
            Ok(name) => Zone::named(&name),
            Err(_) => Zone::of_file(Path::new("/etc/localtime")).unwrap_or_default(),
        }
    }

    /// Of a value of `TZ`; what cannot be understood means UTC, as in the C library.
    pub fn named(name: &str) -> Zone {
        let bare = name.strip_prefix(':').unwrap_or(name);
        if bare.is_empty() {
            return Zone::utc();
        }
        let file = if bare.starts_with('/') {
            Some(PathBuf::from(bare))
        } else if bare.split('/').any(|part| part == "..") {
            None
        } else {
            Some(Path::new("/usr/share/zoneinfo").join(bare))
        };
        file.and_then(|file| Zone::of_file(&file))
            .or_else(|| Rule::parse(bare).map(|rule| Zone { rule: Some(rule), ..Zone::default() }))
            .unwrap_or_default()
    }

    fn of_file(path: &Path) -> Option<Zone> {
        let bytes = std::fs::read(path).ok()?;
        Zone::of_tzif(&bytes)
    }

    /// Of the bytes of a TZif file.
    pub fn of_tzif(bytes: &[u8]) -> Option<Zone> {
        let head = TzifHeader::parse(bytes)?;
        if bytes.get(4)? >= &b'2' {
            let second = bytes.get(head.end(4)?..)?;
            let head = TzifHeader::parse(second)?;
            let footer = second.get(head.end(8)?..)?;
            let rule = std::str::from_utf8(footer).ok().map(|text| text.trim_matches('\n'));
            return head.spans(second, 8, rule.and_then(Rule::parse));
        }
        head.spans(bytes, 4, None)
    }

    /// Seconds to add to UTC at this second.
    pub fn offset(&self, second: i64) -> i32 {
        let (start, end, offset) = self.last.get();
        if (start..end).contains(&second) {
            return offset;
        }
        let found = self.find(second);
        self.last.set(found);
        found.2
    }

    fn find(&self, second: i64) -> (i64, i64, i32) {
        let index = self.spans.partition_point(|span| span.0 <= second);
        if index == self.spans.len()
            && let Some(rule) = &self.rule
        {
            // A change falls on a whole quarter of an hour in all zones of today.
            let start = second.div_euclid(900) * 900;
            return (start, start + 900, rule.offset(second));
        }
        let offset = match index {
            0 => self.first,
            _ => self.spans[index - 1].1,
        };
        let start = if index == 0 { i64::MIN } else { self.spans[index - 1].0 };
        let end = self.spans.get(index).map_or(i64::MAX, |span| span.0);
        (start, end, offset)
    }
}

/// The counts at the head of a TZif block.
struct TzifHeader {
    isut: usize,
    isstd: usize,
    leaps: usize,
    times: usize,
    types: usize,
    chars: usize,
}

const TZIF_HEADER_LEN: usize = 44;
/// No zone has had this many changes.
const MAX_TRANSITIONS: usize = 10_000;

impl TzifHeader {
    fn parse(bytes: &[u8]) -> Option<TzifHeader> {
        if !bytes.starts_with(b"TZif") {
            return None;
        }
        let count = |at: usize| {
            let raw: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
            let count = u32::from_be_bytes(raw) as usize;
            (count <= MAX_TRANSITIONS).then_some(count)
        };
        Some(TzifHeader {
            isut: count(20)?,
            isstd: count(24)?,
            leaps: count(28)?,
            times: count(32)?,
            types: count(36)?,
            chars: count(40)?,
        })
    }

    /// Where the block ends, with time stamps of `width` bytes.
    fn end(&self, width: usize) -> Option<usize> {
        let leap = self.leaps * (width + 4);
        Some(
            TZIF_HEADER_LEN
                + self.times * (width + 1)
                + self.types * 6
                + self.chars
                + leap
                + self.isstd
                + self.isut,
        )
    }

    fn spans(&self, bytes: &[u8], width: usize, rule: Option<Rule>) -> Option<Zone> {
        let times = bytes.get(TZIF_HEADER_LEN..)?;
        let (times, rest) = times.split_at_checked(self.times * width)?;
        let (indices, rest) = rest.split_at_checked(self.times)?;
        let (types, _) = rest.split_at_checked(self.types * 6)?;
        let offset = |index: usize| {
            let raw: [u8; 4] = types.get(index * 6..index * 6 + 4)?.try_into().ok()?;
            Some(i32::from_be_bytes(raw))
        };
        let mut spans = Vec::with_capacity(self.times);
        for (time, index) in times.chunks_exact(width).zip(indices) {
            let second = match time.len() {
                8 => i64::from_be_bytes(time.try_into().ok()?),
                _ => i64::from(i32::from_be_bytes(time.try_into().ok()?)),
            };
            spans.push((second, offset(usize::from(*index))?));
        }
        Some(Zone { spans, first: offset(0)?, rule, last: Cell::new((0, 0, 0)) })
    }
}

impl Rule {
    /// `CET-1CEST,M3.5.0,M10.5.0/3`
    fn parse(text: &str) -> Option<Rule> {
        let rest = skip_name(text)?;
        let (west, rest) = clock(rest)?;
        let standard = -west;
        if rest.is_empty() {
            return Some(Rule { standard, summer: None });
        }
        let rest = skip_name(rest)?;
        let (summer, rest) = match rest.chars().next() {
            None | Some(',') => (standard + 3600, rest),
            _ => clock(rest).map(|(west, rest)| (-west, rest))?,
        };
        let rest = if rest.is_empty() { ",M3.2.0,M11.1.0" } else { rest };
        let (start, rest) = Change::parse(rest.strip_prefix(',')?)?;
        let (end, rest) = Change::parse(rest.strip_prefix(',')?)?;
        rest.is_empty().then_some(Rule { standard, summer: Some((summer, start, end)) })
    }

    fn offset(&self, second: i64) -> i32 {
        let Some((summer, start, end)) = self.summer else { return self.standard };
        let local = second + i64::from(self.standard);
        let (year, ..) = civil(local.div_euclid(86_400));
        let start = start.second(year) - i64::from(self.standard);
        let end = end.second(year) - i64::from(summer);
        let in_summer = if start < end {
            (start..end).contains(&second)
        } else {
            !(end..start).contains(&second)
        };
        if in_summer { summer } else { self.standard }
    }
}

impl Change {
    fn parse(text: &str) -> Option<(Change, &str)> {
        let (day, rest) = match text.as_bytes().first()? {
            b'J' => {
                let (day, rest) = number(&text[1..])?;
                (Day::Julian(day), rest)
            }
            b'M' => {
                let (month, rest) = number(&text[1..])?;
                let (week, rest) = number(rest.strip_prefix('.')?)?;
                let (day, rest) = number(rest.strip_prefix('.')?)?;
                let sane = (1..=12).contains(&month) && (1..=5).contains(&week) && day <= 6;
                (sane.then_some(Day::Month(month, week, day))?, rest)
            }
            _ => {
                let (day, rest) = number(text)?;
                (Day::Zero(day), rest)
            }
        };
        let (time, rest) = match rest.strip_prefix('/') {
            Some(rest) => clock(rest)?,
            None => (7200, rest),
        };
        Some((Change { day, time }, rest))
    }

    /// The second of the change in `year`, on the local clock before it.
    fn second(&self, year: i64) -> i64 {
        let first = days(year, 1, 1);
        let leap = days(year + 1, 1, 1) - first == 366;
        let day = match self.day {
            Day::Julian(day) => first + day - 1 + i64::from(leap && day >= 60),
            Day::Zero(day) => first + day,
            Day::Month(month, week, weekday) => {
                let start = days(year, month, 1);
                let next =
                    if month == 12 { days(year + 1, 1, 1) } else { days(year, month + 1, 1) };
                // 1 January 1970 was a Thursday.
                let ahead = (weekday - (start + 4)).rem_euclid(7);
                let mut day = start + ahead + 7 * (week - 1);
                while day >= next {
                    day -= 7;
                }
                day
            }
        };
        day * 86_400 + i64::from(self.time)
    }
}

fn skip_name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>').map(|(_, rest)| rest);
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    (end >= 3).then(|| &text[end..])
}

/// `[+-]hh[:mm[:ss]]` in seconds.
fn clock(text: &str) -> Option<(i32, &str)> {
    let (sign, text) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (mut seconds, mut rest) = number(text).map(|(hours, rest)| (hours * 3600, rest))?;
    for unit in [60, 1] {
        if let Some(part) = rest.strip_prefix(':') {
            let (value, behind) = number(part)?;
            seconds += value * unit;
            rest = behind;
        }
    }
    Some((sign * i32::try_from(seconds).ok()?, rest))
}

fn number(text: &str) -> Option<(i64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let value: i64 = text.get(..end.min(6))?.parse().ok()?;
    Some((value, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_posix_rule_knows_summer_in_both_hemispheres() {
        let berlin = Zone::named("CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(berlin.offset(1_711_846_799), 3600);
        assert_eq!(berlin.offset(1_711_846_800), 7200);
        assert_eq!(berlin.offset(1_729_990_799), 7200);
        assert_eq!(berlin.offset(1_729_990_800), 3600);
        let sydney = Zone::named("AEST-10AEDT,M10.1.0,M4.1.0/3");
        assert_eq!(sydney.offset(1_704_067_200), 39_600);
        assert_eq!(sydney.offset(1_720_000_000), 36_000);
        assert_eq!(Zone::named("GMT0").offset(5), 0);
        assert_eq!(Zone::named("<-03>3").offset(5), -10_800);
    }

    #[test]
    fn nonsense_is_utc() {
        for name in ["", ":", "X", "../../etc/passwd", "EST5EDT,M13.1.0,M1.1.0", "\u{e9}"] {
            assert_eq!(Zone::named(name).offset(1_700_000_000), 0, "{name}");
        }
        assert!(Zone::of_tzif(b"TZif2").is_none());
    }
}
