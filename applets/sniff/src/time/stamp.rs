//! The six forms of a time stamp (`-t` to `-ttttt`).

use box_kit::calendar::civil;
use box_kit::zone::Zone;
use box_wire::pcap::Precision;

use crate::text::{DecN, Put, Right};

/// When a packet was seen. The fraction is in the precision of the run, and may pass a second in a
/// damaged file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Micro- or nanoseconds.
    pub fraction: u32,
}

/// How stamps are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `12:34:56.123456`
    Clock,
    /// `-t`: none.
    None,
    /// `-tt`: seconds since 1970.
    Unix,
    /// `-ttt`: since the line before.
    SincePrevious,
    /// `-tttt`: with the date.
    Date,
    /// `-ttttt`: since the first line.
    SinceFirst,
}

impl Form {
    /// Of the number of times `-t` was given.
    pub fn of_count(count: u32) -> Option<Form> {
        Some(match count {
            0 => Form::Clock,
            1 => Form::None,
            2 => Form::Unix,
            3 => Form::SincePrevious,
            4 => Form::Date,
            5 => Form::SinceFirst,
            _ => return None,
        })
    }
}

/// Writes stamps in one form.
#[derive(Debug)]
pub struct Writer {
    form: Form,
    precision: Precision,
    zone: Zone,
    reference: Option<Stamp>,
    /// The hour last written, and its text up to the minutes.
    hour: (i64, Vec<u8>),
}

impl Writer {
    /// With a form, the precision of the fractions, and the viewer's zone.
    pub fn new(form: Form, precision: Precision, zone: Zone) -> Writer {
        Writer { form, precision, zone, reference: None, hour: (i64::MIN, Vec::new()) }
    }

    /// The reference that the next relative stamp counts from: ordered state, carried along where
    /// lines are written out of order.
    pub fn reference(&self) -> Option<Stamp> {
        self.reference
    }

    /// Sets the reference.
    pub fn set_reference(&mut self, reference: Option<Stamp>) {
        self.reference = reference;
    }

    /// Appends the stamp and a blank, or nothing.
    pub fn put(&mut self, out: &mut Vec<u8>, stamp: Stamp) {
        match self.form {
            Form::None => return,
            Form::Clock | Form::Date => {
                self.clock(out, stamp.seconds);
                self.fraction(out, stamp.fraction);
            }
            Form::Unix => {
                stamp.seconds.put(out);
                self.fraction(out, stamp.fraction);
            }
            Form::SincePrevious | Form::SinceFirst => self.relative(out, stamp),
        }
        out.push(b' ');
    }

    /// Date and time of the second; the text down to the hour is kept.
    fn clock(&mut self, out: &mut Vec<u8>, second: i64) {
        let local = second.saturating_add(i64::from(self.zone.offset(second)));
        let hour = local.div_euclid(3600);
        if hour != self.hour.0 {
            let text = &mut self.hour.1;
            text.clear();
            if self.form == Form::Date {
                let (year, month, day) = civil(hour.div_euclid(24));
                year_text(text, year);
                ("-", DecN(month as u64, 2), "-", DecN(day as u64, 2), " ").put(text);
            }
            (DecN(hour.rem_euclid(24) as u64, 2), ":").put(text);
            self.hour.0 = hour;
        }
        out.extend_from_slice(&self.hour.1);
        let rest = local.rem_euclid(3600) as u32;
        let (minute, second) = (rest / 60, rest % 60);
        let digit = |n: u32| b'0' + n as u8;
        out.extend_from_slice(&[
            digit(minute / 10),
            digit(minute % 10),
            b':',
            digit(second / 10),
            digit(second % 10),
        ]);
    }

    fn fraction(&self, out: &mut Vec<u8>, fraction: u32) {
        let (digits, unit, limit) = match self.precision {
            Precision::Micro => (6, "us", 1_000_000),
            Precision::Nano => (9, "ns", 1_000_000_000),
        };
        out.push(b'.');
        DecN(fraction, digits).put(out);
        if fraction >= limit {
            (" (invalid ", unit, ")").put(out);
        }
    }

    fn relative(&mut self, out: &mut Vec<u8>, stamp: Stamp) {
        let reference = *self.reference.get_or_insert(stamp);
        let earlier = (stamp.seconds, stamp.fraction) < (reference.seconds, reference.fraction);
        let (late, early) = if earlier { (reference, stamp) } else { (stamp, reference) };
        let unit = match self.precision {
            Precision::Micro => 1_000_000,
            Precision::Nano => 1_000_000_000,
        };
        let mut seconds = late.seconds.saturating_sub(early.seconds);
        let fraction = if late.fraction < early.fraction {
            seconds -= 1;
            (late.fraction + unit).wrapping_sub(early.fraction)
        } else {
            late.fraction - early.fraction
        };
        out.push(if earlier { b'-' } else { b' ' });
        let of_day = seconds.rem_euclid(86_400) as u32;
        (DecN(of_day / 3600, 2), ":", DecN(of_day / 60 % 60, 2), ":", DecN(of_day % 60, 2))
            .put(out);
        self.fraction(out, fraction);
        if self.form == Form::SincePrevious {
            self.reference = Some(stamp);
        }
    }
}

fn year_text(out: &mut Vec<u8>, year: i64) {
    if year < 0 {
        out.push(b'-');
    }
    DecN(year.unsigned_abs(), 4).put(out);
}

/// Appends a stamp with its date in UTC: what dissectors print of times inside packets.
pub fn put_utc(out: &mut Vec<u8>, second: i64) {
    put_utc_date(out, second, "T");
    "Z".put(out);
}

/// `2019-05-29 20:36:39.944724424`, in UTC.
pub fn put_utc_nanos(out: &mut Vec<u8>, second: i64, nanos: u32) {
    put_utc_date(out, second, " ");
    (".", DecN(nanos, 9)).put(out);
}

/// `2019-05-29 20:36:39`, in UTC, with `between` date and clock.
pub fn put_utc_date(out: &mut Vec<u8>, second: i64, between: &str) {
    let (year, month, day) = civil(second.div_euclid(86_400));
    let of_day = second.rem_euclid(86_400) as u64;
    year_text(out, year);
    ("-", DecN(month as u64, 2), "-", DecN(day as u64, 2), between).put(out);
    (DecN(of_day / 3600, 2), ":", DecN(of_day / 60 % 60, 2), ":", DecN(of_day % 60, 2)).put(out);
}

/// `Tue Nov 14 22:13:20 2023`, in UTC, as ctime(3) has it.
pub fn put_ctime(out: &mut Vec<u8>, second: i64) {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let of_epoch = second.div_euclid(86_400);
    let (year, month, day) = civil(of_epoch);
    let of_day = second.rem_euclid(86_400) as u64;
    DAYS.get(of_epoch.rem_euclid(7) as usize).put(out);
    (" ", MONTHS.get((month as usize).wrapping_sub(1)), " ", Right(day as u64, 2), " ").put(out);
    (DecN(of_day / 3600, 2), ":", DecN(of_day / 60 % 60, 2), ":", DecN(of_day % 60, 2)).put(out);
    (" ", year).put(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(form: Form, stamps: &[(i64, u32)]) -> String {
        let mut writer = Writer::new(form, Precision::Micro, Zone::utc());
        let mut out = Vec::new();
        for (seconds, fraction) in stamps {
            writer.put(&mut out, Stamp { seconds: *seconds, fraction: *fraction });
            out.push(b'|');
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_form_is_that_of_the_incumbent() {
        let stamps = [(1_700_000_000, 5), (1_700_003_600, 4), (1_699_999_999, 0)];
        assert_eq!(lines(Form::Clock, &stamps[..1]), "22:13:20.000005 |");
        assert_eq!(lines(Form::None, &stamps[..1]), "|");
        assert_eq!(lines(Form::Unix, &stamps[..1]), "1700000000.000005 |");
        assert_eq!(lines(Form::Date, &stamps[..1]), "2023-11-14 22:13:20.000005 |");
        assert_eq!(
            lines(Form::SincePrevious, &stamps),
            " 00:00:00.000000 | 00:59:59.999999 |-01:00:01.000004 |"
        );
        assert_eq!(
            lines(Form::SinceFirst, &stamps),
            " 00:00:00.000000 | 00:59:59.999999 |-00:00:01.000005 |"
        );
    }

    #[test]
    fn a_fraction_beyond_its_second_is_marked() {
        assert_eq!(lines(Form::Clock, &[(0, 1_000_000)]), "00:00:00.1000000 (invalid us) |");
    }
}
