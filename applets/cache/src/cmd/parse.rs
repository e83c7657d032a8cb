//! Arguments as values, with the incumbents' texts for what they are not.

use box_wire::decimal::parse_i64;

use super::{Error, NOT_FLOAT, NOT_INTEGER};
use crate::types::double;

/// An integer.
#[inline]
pub fn int(text: &[u8]) -> Result<i64, Error> {
    parse_i64(text).ok_or(NOT_INTEGER)
}

/// An integer of this range; outside of it the text is `error`.
pub fn int_in(text: &[u8], min: i64, max: i64, error: &'static str) -> Result<i64, Error> {
    match parse_i64(text) {
        Some(value) if (min..=max).contains(&value) => Ok(value),
        _ => Err(Error::fixed(error)),
    }
}

/// A number that can be negated, as counts that may be negative are.
pub fn symmetric(text: &[u8]) -> Result<i64, Error> {
    match int(text)? {
        i64::MIN => Err(Error::fixed(
            "ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
        )),
        value => Ok(value),
    }
}

/// A positive number or zero, as `getPositiveLongFromObject` has it.
pub fn positive(text: &[u8]) -> Result<i64, Error> {
    int_in(text, 0, i64::MAX, "ERR value is out of range, must be positive")
}

/// A floating-point number.
pub fn float(text: &[u8]) -> Result<f64, Error> {
    double::parse(text).ok_or(NOT_FLOAT)
}

/// A time-out in seconds with fractions, as milliseconds; 0 means for ever.
pub fn timeout(text: &[u8]) -> Result<i64, Error> {
    let seconds =
        double::parse(text).ok_or(Error::fixed("ERR timeout is not a float or out of range"))?;
    let ms = seconds * 1000.0;
    if ms > i64::MAX as f64 {
        return Err(Error::fixed("ERR timeout is out of range"));
    }
    if ms < 0.0 {
        return Err(Error::fixed("ERR timeout is negative"));
    }
    Ok(ms.ceil() as i64)
}

/// A time-out in whole milliseconds; 0 means for ever.
pub fn timeout_ms(text: &[u8]) -> Result<i64, Error> {
    let ms = int_in(text, i64::MIN, i64::MAX, "ERR timeout is not an integer or out of range")?;
    if ms < 0 { Err(Error::fixed("ERR timeout is negative")) } else { Ok(ms) }
}

/// First and behind-last index of the range `start..=end`, negative from the end; `None` if empty.
pub fn range(start: i64, end: i64, len: usize) -> Option<(usize, usize)> {
    let len = len as i64;
    let start = if start < 0 { (len + start).max(0) } else { start };
    let end = if end < 0 { len + end } else { end.min(len - 1) };
    (start <= end && start < len && end >= 0).then(|| (start as usize, end as usize + 1))
}
