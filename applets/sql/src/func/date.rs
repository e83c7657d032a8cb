//! Dates and times: a moment is a Julian day in milliseconds, as SQLite keeps it.

use std::time::{SystemTime, UNIX_EPOCH};

use box_kit::zone::Zone;

use super::{Context, Scalar};
use crate::error::Result;
use crate::number::{self, Number};
use crate::value::{Owned, Value};

const MANY: usize = 1000;
/// 1970-01-01 in milliseconds of the Julian day.
const UNIX_EPOCH_MS: i64 = 210_866_760_000_000;
/// 9999-12-31 23:59:59.999
const MAX_MS: i64 = 464_269_060_799_999;
const DAY_MS: i64 = 86_400_000;

pub(super) static FUNCTIONS: &[Scalar] = &[
    Scalar { name: "date", min_args: 0, max_args: MANY, code: date, pure: false },
    Scalar { name: "time", min_args: 0, max_args: MANY, code: time, pure: false },
    Scalar { name: "datetime", min_args: 0, max_args: MANY, code: datetime, pure: false },
    Scalar { name: "julianday", min_args: 0, max_args: MANY, code: julianday, pure: false },
    Scalar { name: "unixepoch", min_args: 0, max_args: MANY, code: unixepoch, pure: false },
    Scalar { name: "strftime", min_args: 1, max_args: MANY, code: strftime, pure: false },
    Scalar { name: "timediff", min_args: 2, max_args: 2, code: timediff, pure: false },
];

thread_local! {
    /// The zone of `localtime`.
    static ZONE: Zone = Zone::local();
}

/// Now, in milliseconds of the Julian day.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as i64 + UNIX_EPOCH_MS
}

/// A moment and how it is to be shown.
#[derive(Clone, Copy, Debug)]
struct Moment {
    ms: i64,
    subsecond: bool,
    /// It was given as a bare number, which `unixepoch`, `julianday` and `auto` read anew.
    raw: Option<f64>,
    /// The date as it was spelled: 30 February stays that until its days count.
    spelled: Option<Civil>,
    /// By how many days the last date went beyond its month.
    excess: i64,
    /// Known to be local time, or UTC.
    clock: Option<Clock>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Clock {
    Local,
    Utc,
}

impl Moment {
    fn at(ms: i64) -> Moment {
        Moment { ms, subsecond: false, raw: None, spelled: None, excess: 0, clock: None }
    }

    fn now() -> Moment {
        Moment { clock: Some(Clock::Utc), ..Moment::at(now_ms()) }
    }

    /// Calendar and clock; the date as it was spelled.
    fn civil(&mut self) -> Civil {
        let civil = Civil::of(self.ms);
        match self.spelled.take() {
            Some(Civil { year, month, day, .. }) => Civil { year, month, day, ..civil },
            None => civil,
        }
    }

    fn set_civil(&mut self, civil: Civil) {
        self.ms = civil.to_ms();
        self.excess = (civil.day - days_of_month(civil.year, civil.month)).max(0);
    }

    fn make_local(&mut self) {
        if self.clock != Some(Clock::Local) {
            self.ms += local_offset_ms(self.ms);
            self.clock = Some(Clock::Local);
        }
    }

    /// The moment whose local time this is: guessed, then corrected.
    fn make_utc(&mut self) {
        if self.clock == Some(Clock::Utc) {
            return;
        }
        let wanted = self.ms;
        for _ in 0..3 {
            let error = self.ms + local_offset_ms(self.ms) - wanted;
            if error == 0 {
                break;
            }
            self.ms -= error;
        }
        self.clock = Some(Clock::Utc);
    }
}

/// What the local zone adds to UTC. The years that a 32-bit clock does not know are told by one
/// that is alike, as SQLite does.
fn local_offset_ms(ms: i64) -> i64 {
    let known = (UNIX_EPOCH_MS..213_014_145_600_000).contains(&ms);
    let ms = if known {
        ms
    } else {
        let civil = Civil::of(ms);
        Civil { year: 2000 + civil.year.rem_euclid(4), ..civil }.to_ms()
    };
    let second = (ms - UNIX_EPOCH_MS).div_euclid(1000);
    ZONE.with(|zone| i64::from(zone.offset(second))) * 1000
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    /// With milliseconds.
    second_ms: i64,
}

impl Civil {
    /// The calendar day of a moment (Meeus, Astronomical Algorithms, chapter 7).
    fn of(ms: i64) -> Civil {
        let z = (ms + 43_200_000).div_euclid(DAY_MS);
        let alpha = ((z as f64 + 32_044.75) / 36_524.25) as i64 - 52;
        let a = z + 1 + alpha - ((alpha + 100) / 4) + 25;
        let b = a + 1524;
        let c = ((b as f64 - 122.1) / 365.25) as i64;
        let d = (36_525 * (c & 32_767)) / 100;
        let e = ((b - d) as f64 / 30.6001) as i64;
        let x1 = (30.6001 * e as f64) as i64;
        let day = b - d - x1;
        let month = if e < 14 { e - 1 } else { e - 13 };
        let year = if month > 2 { c - 4716 } else { c - 4715 };
        let in_day = (ms + 43_200_000).rem_euclid(DAY_MS);
        Civil {
            year,
            month,
            day,
            hour: in_day / 3_600_000,
            minute: in_day / 60_000 % 60,
            second_ms: in_day % 60_000,
        }
    }

    fn to_ms(self) -> i64 {
        let (mut year, mut month) = (self.year, self.month);
        if month <= 2 {
            year -= 1;
            month += 12;
        }
        let a = (year + 4800) / 100;
        let b = 38 - a + (a / 4);
        let x1 = 36_525 * (year + 4716) / 100;
        let x2 = 306_001 * (month + 1) / 10_000;
        let day = ((x1 + x2 + self.day + b) as f64 - 1524.5) * DAY_MS as f64;
        day as i64 + self.hour * 3_600_000 + self.minute * 60_000 + self.second_ms
    }
}

/// The current time, date or both, for `CURRENT_TIMESTAMP` and its kin.
pub fn current(what: &crate::ast::Literal) -> Owned {
    let civil = Civil::of(now_ms());
    match what {
        crate::ast::Literal::CurrentDate => Value::text(show_date(&civil)),
        crate::ast::Literal::CurrentTime => Value::text(show_time(&civil, false)),
        _ => Value::text(format!("{} {}", show_date(&civil), show_time(&civil, false))),
    }
}

fn show_date(civil: &Civil) -> String {
    if civil.year < 0 {
        return format!("-{:04}-{:02}-{:02}", -civil.year, civil.month, civil.day);
    }
    format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
}

fn show_time(civil: &Civil, subsecond: bool) -> String {
    let seconds = civil.second_ms / 1000;
    let base = format!("{:02}:{:02}:{:02}", civil.hour, civil.minute, seconds);
    if subsecond { format!("{base}.{:03}", civil.second_ms % 1000) } else { base }
}

/// The moment that the arguments name: a time value and its modifiers.
fn moment(args: &[Value<'_>]) -> Option<Moment> {
    let Some((first, modifiers)) = args.split_first() else {
        return Some(Moment::now());
    };
    let mut moment = match first {
        Value::Null => return None,
        Value::Int(v) => of_number(*v as f64),
        Value::Real(v) => of_number(*v),
        Value::Text(text) | Value::Blob(text) => parse(str::from_utf8(text).ok()?)?,
    };
    for (n, modifier) in modifiers.iter().enumerate() {
        let text = modifier.to_bytes()?;
        apply(&mut moment, str::from_utf8(&text).ok()?.trim(), n)?;
    }
    (0..=MAX_MS).contains(&moment.ms).then_some(moment)
}

fn of_number(value: f64) -> Moment {
    let in_range = (0.0..5_373_484.5).contains(&value);
    let ms = if in_range { (value * DAY_MS as f64 + 0.5) as i64 } else { -1 };
    Moment { raw: Some(value), ..Moment::at(ms) }
}

fn digits(text: &str, count: usize) -> Option<(i64, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

fn parse(text: &str) -> Option<Moment> {
    if let Some(moment) = parse_date(text) {
        return Some(moment);
    }
    if let Some((hour_ms, zone)) = parse_time(text) {
        let base = Civil { year: 2000, month: 1, day: 1, hour: 0, minute: 0, second_ms: 0 };
        return Some(zoned(base.to_ms() + hour_ms, zone));
    }
    if text.eq_ignore_ascii_case("now") {
        return Some(Moment::now());
    }
    if text.eq_ignore_ascii_case("subsec") || text.eq_ignore_ascii_case("subsecond") {
        return Some(Moment { subsecond: true, ..Moment::now() });
    }
    let prefix = number::prefix(text.as_bytes());
    prefix.whole.then(|| match prefix.value {
        Number::Int(v) => of_number(v as f64),
        Number::Real(v) => of_number(v),
    })
}

/// A time with the milliseconds of the zone that was named with it.
fn zoned(ms: i64, zone: Option<i64>) -> Moment {
    let clock = zone.map(|_| Clock::Utc);
    Moment { clock, ..Moment::at(ms - zone.unwrap_or(0)) }
}

fn parse_date(text: &str) -> Option<Moment> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let rest = rest.trim_start_matches([' ', 'T']);
    let year = if negative { -year } else { year };
    let civil = Civil { year, month, day, hour: 0, minute: 0, second_ms: 0 };
    let (time, zone) = if rest.is_empty() { (0, None) } else { parse_time(rest)? };
    let mut moment = zoned(civil.to_ms() + time, zone);
    moment.excess = (day - days_of_month(year, month)).max(0);
    moment.spelled = zone.is_none().then_some(civil);
    Some(moment)
}

/// `HH:MM[:SS[.FFF]][zone]`: milliseconds of the day, and of the zone where one is named.
fn parse_time(text: &str) -> Option<(i64, Option<i64>)> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, mut rest) = digits(rest.strip_prefix(':')?, 2)?;
    if hour > 24 || minute > 59 {
        return None;
    }
    let mut second_ms = 0;
    if let Some(behind) = rest.strip_prefix(':') {
        let (second, behind) = digits(behind, 2)?;
        if second > 59 {
            return None;
        }
        second_ms = second * 1000;
        rest = behind;
        let fraction_len =
            rest.strip_prefix('.').map(|f| f.bytes().take_while(u8::is_ascii_digit).count());
        if let Some(len) = fraction_len.filter(|len| *len > 0) {
            let (fraction, behind) = rest.split_at(len + 1);
            // Rounded, but never into the next second.
            second_ms += ((fraction.parse::<f64>().ok()? * 1000.0 + 0.5) as i64).min(999);
            rest = behind;
        }
    }
    let zone = parse_zone(rest.trim_start())?;
    Some((hour * 3_600_000 + minute * 60_000 + second_ms, zone))
}

fn parse_zone(text: &str) -> Option<Option<i64>> {
    let sign = match text.bytes().next() {
        None => return Some(None),
        Some(b'Z' | b'z') => return text[1..].trim().is_empty().then_some(Some(0)),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return None,
    };
    let (hours, rest) = digits(&text[1..], 2)?;
    let (minutes, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let ms = sign * (hours * 3_600_000 + minutes * 60_000);
    (hours <= 14 && minutes <= 59 && rest.trim().is_empty()).then_some(Some(ms))
}

fn apply(moment: &mut Moment, modifier: &str, place: usize) -> Option<()> {
    let lower = modifier.to_ascii_lowercase();
    let raw = moment.raw.take();
    let from_unix = |value: f64| (value * 1000.0 + UNIX_EPOCH_MS as f64 + 0.5).floor() as i64;
    match lower.as_str() {
        "unixepoch" => {
            moment.ms = from_unix(raw.filter(|_| place == 0)?);
            return Some(());
        }
        "julianday" => {
            raw.filter(|_| place == 0)?;
            return Some(());
        }
        "auto" => {
            if let Some(value) = raw
                && !(0.0..5_373_484.5).contains(&value)
            {
                moment.ms = from_unix(value);
            }
            return Some(());
        }
        "subsec" | "subsecond" => {
            moment.subsecond = true;
            moment.raw = raw;
            return Some(());
        }
        "ceiling" => {
            moment.spelled = None;
            return Some(());
        }
        "floor" => {
            moment.ms -= moment.excess * DAY_MS;
            moment.spelled = None;
            return Some(());
        }
        "localtime" => {
            moment.make_local();
            moment.spelled = None;
            return Some(());
        }
        "utc" => {
            moment.make_utc();
            moment.spelled = None;
            return Some(());
        }
        _ => {}
    }
    if let Some(unit) = lower.strip_prefix("start of ") {
        let mut civil = moment.civil();
        (civil.hour, civil.minute, civil.second_ms) = (0, 0, 0);
        match unit.trim() {
            "day" => {}
            "month" => civil.day = 1,
            "year" => (civil.month, civil.day) = (1, 1),
            _ => return None,
        }
        moment.ms = civil.to_ms();
        return Some(());
    }
    if let Some(day) = lower.strip_prefix("weekday ") {
        let prefix = number::prefix(day.as_bytes());
        let wanted = match prefix.value {
            Number::Int(v) => v,
            Number::Real(v) if v == v.trunc() => v as i64,
            Number::Real(_) => return None,
        };
        if !prefix.whole || !(0..7).contains(&wanted) {
            return None;
        }
        moment.spelled = None;
        let today = ((moment.ms + 129_600_000) / DAY_MS) % 7;
        moment.ms += (wanted - today).rem_euclid(7) * DAY_MS;
        return Some(());
    }
    shift(moment, &lower)
}

/// `+NNN days`, `-HH:MM`, `+YYYY-MM-DD HH:MM`.
fn shift(moment: &mut Moment, text: &str) -> Option<()> {
    moment.excess = 0;
    let signed = text.starts_with(['+', '-']);
    let body = text.trim_start_matches(['+', '-']);
    let sign = if text.starts_with('-') { -1 } else { 1 };
    if signed && let Some((years, rest)) = digits(body, 4).filter(|(_, r)| r.starts_with('-')) {
        let (months, rest) = digits(&rest[1..], 2)?;
        let (days, rest) = digits(rest.strip_prefix('-')?, 2)?;
        if months > 11 || days > 30 {
            return None;
        }
        add_months(moment, sign * (years * 12 + months));
        moment.ms += sign * days * DAY_MS;
        if rest.trim().is_empty() {
            return Some(());
        }
        moment.ms += sign * parse_time(rest.trim())?.0;
        return Some(());
    }
    if let Some((time, _)) = parse_time(body) {
        moment.spelled = None;
        moment.ms += sign * time;
        return Some(());
    }
    let end = text.find(' ').unwrap_or(text.len());
    let (amount, unit) = text.split_at(end);
    let prefix = number::prefix(amount.as_bytes());
    if !prefix.whole {
        return None;
    }
    let amount = Value::from(prefix.value).to_real();
    let unit = unit.trim();
    let unit = unit.strip_suffix('s').unwrap_or(unit);
    let milliseconds = match unit {
        "day" => 86_400_000.0,
        "hour" => 3_600_000.0,
        "minute" => 60_000.0,
        "second" => 1000.0,
        "month" => {
            add_months(moment, amount.trunc() as i64);
            moment.ms += (amount.fract() * 30.0 * DAY_MS as f64) as i64;
            return Some(());
        }
        "year" => {
            add_months(moment, amount.trunc() as i64 * 12);
            moment.ms += (amount.fract() * 365.0 * DAY_MS as f64) as i64;
            return Some(());
        }
        _ => return None,
    };
    moment.spelled = None;
    let rounder = if amount < 0.0 { -0.5 } else { 0.5 };
    moment.ms = moment.ms.checked_add((amount * milliseconds + rounder) as i64)?;
    Some(())
}

fn add_months(moment: &mut Moment, months: i64) {
    let mut civil = moment.civil();
    let all = civil.year * 12 + civil.month - 1 + months.clamp(-200_000, 200_000);
    civil.year = all.div_euclid(12);
    civil.month = all.rem_euclid(12) + 1;
    moment.set_civil(civil);
}

fn date(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(moment(args).map_or(Value::Null, |m| Value::text(show_date(&Civil::of(m.ms)))))
}

fn time(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(moment(args).map_or(Value::Null, |m| Value::text(show_time(&Civil::of(m.ms), m.subsecond))))
}

fn datetime(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(moment(args).map_or(Value::Null, |m| {
        let civil = Civil::of(m.ms);
        Value::text(format!("{} {}", show_date(&civil), show_time(&civil, m.subsecond)))
    }))
}

fn julianday(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(moment(args).map_or(Value::Null, |m| Value::Real(m.ms as f64 / DAY_MS as f64)))
}

fn unixepoch(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    Ok(moment(args).map_or(Value::Null, |m| {
        let ms = m.ms - UNIX_EPOCH_MS;
        if m.subsecond { Value::Real(ms as f64 / 1000.0) } else { Value::Int(ms.div_euclid(1000)) }
    }))
}

fn strftime(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let Some(format) = args[0].to_bytes() else { return Ok(Value::Null) };
    let Some(m) = moment(&args[1..]) else { return Ok(Value::Null) };
    let civil = Civil::of(m.ms);
    let start_of_year =
        Civil { month: 1, day: 1, hour: 0, minute: 0, second_ms: 0, ..civil }.to_ms();
    let day_of_year = (m.ms - start_of_year) / DAY_MS;
    let weekday = ((m.ms + 129_600_000) / DAY_MS) % 7;
    let mut out = Vec::with_capacity(format.len() + 16);
    let mut bytes = format.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let Some(&conversion) = bytes.next() else { return Ok(Value::Null) };
        let hour12 = if civil.hour % 12 == 0 { 12 } else { civil.hour % 12 };
        let text = match conversion {
            b'd' => format!("{:02}", civil.day),
            b'e' => format!("{:2}", civil.day),
            b'f' => format!("{:06.3}", civil.second_ms as f64 / 1000.0),
            b'F' => show_date(&civil),
            b'G' | b'g' | b'V' => {
                let thursday = Civil::of(m.ms + (3 - (weekday + 6) % 7) * DAY_MS);
                let january =
                    Civil { month: 1, day: 1, hour: 0, minute: 0, second_ms: 0, ..thursday };
                let week = (thursday.to_ms() - january.to_ms()) / DAY_MS / 7 + 1;
                match conversion {
                    b'G' => format!("{:04}", thursday.year),
                    b'g' => format!("{:02}", thursday.year % 100),
                    _ => format!("{week:02}"),
                }
            }
            b'H' => format!("{:02}", civil.hour),
            b'k' => format!("{:2}", civil.hour),
            b'I' => format!("{hour12:02}"),
            b'l' => format!("{hour12:2}"),
            b'j' => format!("{:03}", day_of_year + 1),
            b'J' => {
                let style = number::Style {
                    kind: number::Kind::General,
                    precision: 16,
                    ..number::Style::default()
                };
                style.show(m.ms as f64 / DAY_MS as f64)
            }
            b'm' => format!("{:02}", civil.month),
            b'M' => format!("{:02}", civil.minute),
            b'p' => if civil.hour >= 12 { "PM" } else { "AM" }.into(),
            b'P' => if civil.hour >= 12 { "pm" } else { "am" }.into(),
            b'R' => format!("{:02}:{:02}", civil.hour, civil.minute),
            b's' => (m.ms.div_euclid(1000) - UNIX_EPOCH_MS / 1000).to_string(),
            b'S' => format!("{:02}", civil.second_ms / 1000),
            b'T' => show_time(&civil, false),
            b'u' => (if weekday == 0 { 7 } else { weekday }).to_string(),
            b'w' => weekday.to_string(),
            b'U' => format!("{:02}", (day_of_year + 7 - weekday) / 7),
            b'W' => format!("{:02}", (day_of_year + 7 - (weekday + 6) % 7) / 7),
            b'Y' => format!("{:04}", civil.year),
            b'%' => "%".into(),
            _ => return Ok(Value::Null),
        };
        out.extend_from_slice(text.as_bytes());
    }
    Ok(Value::text(out))
}

/// `timediff(a, b)`: what is added to b to get a, in years, months, days and time.
fn timediff(_: &Context<'_>, args: &[Value<'_>]) -> Result<Owned> {
    let (Some(to), Some(from)) = (moment(&args[..1]), moment(&args[1..])) else {
        return Ok(Value::Null);
    };
    let forward = to.ms >= from.ms;
    let target = Civil::of(to.ms);
    let mut start = Civil::of(from.ms);
    let (late, early) = if forward { (target, start) } else { (start, target) };
    let mut months = (late.year - early.year) * 12 + late.month - early.month;
    (start.year, start.month) = (target.year, target.month);
    // A month too many where the day of the month was not reached.
    while if forward { to.ms < start.to_ms() } else { to.ms > start.to_ms() } {
        months -= 1;
        let all = start.year * 12 + start.month - 1 + if forward { -1 } else { 1 };
        (start.year, start.month) = (all.div_euclid(12), all.rem_euclid(12) + 1);
    }
    let zero = Civil { year: 0, month: 1, day: 1, hour: 0, minute: 0, second_ms: 0 };
    let rest = Civil::of((to.ms - start.to_ms()).abs() + zero.to_ms());
    Ok(Value::text(format!(
        "{}{:04}-{:02}-{:02} {}",
        if forward { '+' } else { '-' },
        months / 12,
        months % 12,
        rest.day - 1,
        show_time(&rest, true)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(args: &[&str]) -> String {
        let args: Vec<Owned> = args.iter().map(|arg| Value::text(*arg)).collect();
        moment(&args).map_or("null".into(), |m| {
            let civil = Civil::of(m.ms);
            format!("{} {}", show_date(&civil), show_time(&civil, false))
        })
    }

    #[test]
    fn moments_and_modifiers() {
        assert_eq!(at(&["2024-02-29 12:34:56"]), "2024-02-29 12:34:56");
        assert_eq!(at(&["2024-01-31", "+1 month"]), "2024-03-02 00:00:00");
        assert_eq!(at(&["2024-03-15", "start of month", "-1 day"]), "2024-02-29 00:00:00");
        assert_eq!(at(&["2024-01-01", "weekday 0"]), "2024-01-07 00:00:00");
        assert_eq!(at(&["1700000000", "unixepoch"]), "2023-11-14 22:13:20");
        assert_eq!(at(&["2000-01-01T10:00+02:00"]), "2000-01-01 08:00:00");
        assert_eq!(at(&["nonsense"]), "null");
    }
}
