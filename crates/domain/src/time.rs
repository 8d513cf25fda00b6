//! Moments, as arguments. The domain never asks what time it is: it is told, once, by its caller.

use std::{fmt, ops::Add, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};

/// One reading of both clocks: the steady one for intervals, the wall for what tokens and people say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The steady clock.
    pub tick: Tick,
    /// The wall clock.
    pub wall: Timestamp,
}

/// A moment on the steady clock: the time since an origin that only the reader of the clock knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(Duration);

impl Tick {
    /// The origin.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment this long after the origin.
    pub const fn after_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the origin this is.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// How long after `earlier` this is; nothing where it is not.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Tick {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// A moment on the wall clock, to the millisecond; written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Not an RFC 3339 time between the years 0 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2030-01-01T00:00:00Z")]
pub struct NotATime;

const DAY: i64 = 86_400_000;

impl Timestamp {
    /// From seconds since 1970; a moment beyond all calendars is the last one that can be told.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        // 9999-12-31T23:59:59.999Z: later than this has no RFC 3339 form.
        const LAST: i64 = 253_402_300_799_999;
        const FIRST: i64 = -62_167_219_200_000;
        Self(if millis > LAST {
            LAST
        } else if millis < FIRST {
            FIRST
        } else {
            millis
        })
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; nothing where it is not.
    pub const fn since(self, earlier: Self) -> Duration {
        let gap = self.0.saturating_sub(earlier.0);
        Duration::from_millis(if gap > 0 { gap as u64 } else { 0 })
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Timestamp {
    /// `2026-11-22T04:05:06.789Z`, digit by digit: several are written for each connection, and formatters are dear.
    fn written(self) -> [u8; 24] {
        let (days, rest) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let (seconds, millis) = (rest / 1000, rest % 1000);
        let ([a, b, c, d], [e, f], [g, h]) = (digits(year), digits(month), digits(day));
        let ([i, j], [k, l], [m, n]) = (digits(seconds / 3600), digits(seconds / 60 % 60), digits(seconds % 60));
        let [o, p, q] = digits(millis);
        [a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n, b'.', o, p, q, b'Z']
    }
}

/// The last so many digits of a number that is not negative.
fn digits<const N: usize>(mut number: i64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.written()).map_err(|_| fmt::Error)?)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let (date, time) = text.split_once(['T', 't', ' ']).ok_or(NotATime)?;
        let mut date = date.splitn(3, '-').map(|part| (part, number(part)));
        let mut take = |digits: usize| match date.next() {
            Some((part, Some(value))) if part.len() == digits => Ok(value),
            _ => Err(NotATime),
        };
        let (year, month, day) = (take(4)?, take(2)?, take(2)?);
        let (clock, offset) = split_offset(time)?;
        let (whole, fraction) = clock.split_once('.').map_or((clock, None), |(whole, rest)| (whole, Some(rest)));
        let mut whole = whole.splitn(3, ':').map(|part| (part, number(part)));
        let mut take = || match whole.next() {
            Some((part, Some(value))) if part.len() == 2 => Ok(value),
            _ => Err(NotATime),
        };
        let (hour, minute, second) = (take()?, take()?, take()?);
        let millis = match fraction {
            None => 0,
            Some(digits) => {
                number(digits).ok_or(NotATime)?;
                digits.chars().chain("00".chars()).take(3).fold(0, |sum, c| sum * 10 + i64::from(c as u8 - b'0'))
            }
        };
        let fits = (1..=12).contains(&month) && hour < 24 && minute < 60 && second <= 60;
        let days = day_number(year, month, day);
        if !fits || civil(days) != (year, month, day) {
            return Err(NotATime);
        }
        Ok(Self::from_millis(days * DAY + ((hour * 60 + minute) * 60 + second) * 1000 + millis - offset))
    }
}

/// The clock part, and the zone's offset in milliseconds.
fn split_offset(time: &str) -> Result<(&str, i64), NotATime> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Ok((clock, 0));
    }
    let at = time.rfind(['+', '-']).ok_or(NotATime)?;
    let (clock, zone) = time.split_at(at);
    let (hours, minutes) = zone[1..].split_once(':').ok_or(NotATime)?;
    let (hours, minutes) = (number(hours).ok_or(NotATime)?, number(minutes).ok_or(NotATime)?);
    if hours > 23 || minutes > 59 {
        return Err(NotATime);
    }
    let offset = (hours * 60 + minutes) * 60_000;
    Ok((clock, if zone.starts_with('-') { -offset } else { offset }))
}

/// Digits and nothing else, few enough to fit.
fn number(digits: &str) -> Option<i64> {
    let fits = !digits.is_empty() && digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}

/// The date that many days after 1970-01-01, by the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years are counted from the first of March of the year 0, so that a leap day ends a year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// How many days after 1970-01-01 a date is.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.written()).map_err(S::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_calendar_agrees_with_known_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_767_225_599, "2025-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
            (i64::MIN, "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_seconds(seconds).to_string(), text);
        }
    }

    #[test]
    fn zones_and_fractions_are_read() {
        let expected = "2030-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
        for text in ["2030-01-01T01:00:00+01:00", "2029-12-31T18:30:00-05:30", "2030-01-01t00:00:00.000999z"] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2030",
            "2030-01-01",
            "2030-02-30T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-00-01T00:00:00Z",
            "2030-01-01T24:00:00Z",
            "2030-01-01T00:60:00Z",
            "2030-01-01T00:00:00",
            "2030-01-01T00:00Z",
            "2030-01-01T00:00:00+25:00",
            "2030-01-01T00:00:00.Z",
            "+030-01-01T00:00:00Z",
            "2030-1-01T00:00:00Z",
            "2030-01-01T00:00:00.xZ",
            "2030-01-01T00:00:00+0100",
            "2030-01-01T0:00:00Z",
            "2030-01-01T00:00:00+1:xx",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn intervals_never_run_backwards() {
        let (early, late) = (Tick::ZERO, Tick::ZERO + Duration::from_secs(3));
        assert_eq!(late.since(early), Duration::from_secs(3));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since_origin(), Duration::from_secs(3));
        let (early, late) = (Timestamp::from_seconds(1), Timestamp::from_seconds(1) + Duration::from_millis(5));
        assert_eq!((late.since(early), early.since(late)), (Duration::from_millis(5), Duration::ZERO));
    }

    proptest! {
        #[test]
        fn a_time_survives_being_written(millis in 0i64..253_402_300_799_999) {
            let time = Timestamp::from_millis(millis);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
            let json = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
