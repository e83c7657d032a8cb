//! Values of options: sizes, processors, durations.

use std::time::Duration;

use box_kit::Failure;

fn bad(option: &str, text: &str) -> Failure {
    Failure::new(format!("invalid argument {text:?}")).about(option)
}

/// `512`, `64k`, `20m`, `1.5g`, with `b` or `ib` behind.
pub fn size(option: &str, text: &str) -> Result<i64, Failure> {
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let shift = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(bad(option, text)),
    };
    let number: f64 = number.parse().map_err(|_| bad(option, text))?;
    Ok((number * (1u64 << shift) as f64) as i64)
}

/// Processors as microseconds of a period of 100 ms.
pub fn cpus(text: &str) -> Result<i64, Failure> {
    let number: f64 = text.parse().map_err(|_| bad("--cpus", text))?;
    if !(0.01..=4096.0).contains(&number) {
        return Err(bad("--cpus", text));
    }
    Ok((number * 100_000.0) as i64)
}

/// `NAME=SOFT[:HARD]`.
pub fn limit(text: &str) -> Result<crate::oci::spec::Limit, Failure> {
    let (name, value) = text.split_once('=').ok_or_else(|| bad("--ulimit", text))?;
    let kind = format!("RLIMIT_{}", name.to_ascii_uppercase());
    crate::oci::options::limit(&kind).ok_or_else(|| bad("--ulimit", text))?;
    let number = |text: &str| match text {
        "-1" | "unlimited" => Some(u64::MAX),
        text => text.parse().ok(),
    };
    let (soft, hard) = value.split_once(':').unwrap_or((value, value));
    let (soft, hard) = number(soft).zip(number(hard)).ok_or_else(|| bad("--ulimit", text))?;
    if soft > hard {
        return Err(Failure::new("the soft limit is above the hard one").about(text));
    }
    Ok(crate::oci::spec::Limit { kind, soft, hard })
}

/// A point in time: RFC 3339, seconds since the epoch, or how long ago (`10m`, `1h30m`).
pub fn since(option: &str, text: &str) -> Result<Duration, Failure> {
    if let Some(time) = crate::time::parse_rfc3339(text) {
        return Ok(time);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok(Duration::from_secs_f64(seconds.max(0.0)));
    }
    let mut total = 0.0;
    let mut number = String::new();
    for letter in text.chars() {
        if letter.is_ascii_digit() || letter == '.' {
            number.push(letter);
            continue;
        }
        let unit = match letter {
            's' => 1.0,
            'm' => 60.0,
            'h' => 3600.0,
            _ => return Err(bad(option, text)),
        };
        total += unit * number.parse::<f64>().map_err(|_| bad(option, text))?;
        number.clear();
    }
    if !number.is_empty() {
        return Err(bad(option, text));
    }
    Ok(crate::time::now().saturating_sub(Duration::from_secs_f64(total)))
}

/// Bytes of memory in docker's words: `1.5MiB`.
pub fn memory_in_words(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let text = format!("{value:.3}");
    // Four digits that count, and no zeros behind them.
    let short = text.get(..5).unwrap_or(&text);
    let short = if short.contains('.') { short.trim_end_matches('0') } else { short };
    format!("{}{}", short.trim_end_matches('.'), units[unit])
}

/// Bytes in docker's words: `4.26MB`.
pub fn bytes_in_words(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}{}", units.get(unit).unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("512", 512), ("64k", 65536), ("20m", 20 << 20), ("1.5GiB", 3 << 29)]
        {
            assert_eq!(size("--memory", text).unwrap(), bytes, "{text}");
        }
        assert!(size("--memory", "x").is_err());
        assert!(size("--memory", "5q").is_err());
    }

    #[test]
    fn limits_have_two_sides() {
        let limit = limit("nofile=1024:2048").unwrap();
        assert_eq!((limit.kind.as_str(), limit.soft, limit.hard), ("RLIMIT_NOFILE", 1024, 2048));
        assert!(super::limit("nofile=3:2").is_err());
        assert!(super::limit("nope=3").is_err());
    }

    #[test]
    fn byte_counts_are_told_in_words() {
        assert_eq!(bytes_in_words(4_260_000), "4.26MB");
        assert_eq!(bytes_in_words(999), "999B");
    }
}
