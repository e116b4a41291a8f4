//! A moment in time, in milliseconds since the Unix epoch, and its RFC 3339 form.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};
use jiff::fmt::temporal::Pieces;

/// The start of the year 0, before which no time has a form in RFC 3339, in milliseconds.
const YEAR_0: i64 = -62_167_219_200_000;
/// The last millisecond of the year 9999, after which there is none either.
const YEAR_9999: i64 = 253_402_300_799_999;
/// The largest offset from UTC in RFC 3339, in minutes: 23:59.
const MAX_OFFSET_MINUTES: i32 = 23 * 60 + 59;

/// A moment, in whole milliseconds since 1970-01-01T00:00:00Z. May be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Later than every moment that occurs; what waits for it waits for ever.
    pub const NEVER: Timestamp = Timestamp(i64::MAX);

    /// Milliseconds since the epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment plus `duration`; stops at [`Timestamp::NEVER`] instead of overflowing.
    pub fn plus(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(millis))
    }

    /// This moment less `duration`; stops at the earliest there is instead of overflowing.
    pub fn minus(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_sub(millis))
    }

    /// The start of this moment's month in UTC.
    pub fn month_start(self) -> Timestamp {
        let Ok(moment) = jiff::Timestamp::from_millisecond(self.0) else { return self };
        let date = moment.to_zoned(jiff::tz::TimeZone::UTC).date().first_of_month();
        let since_epoch = date.duration_since(jiff::civil::date(1970, 1, 1));
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// The time from `earlier` to this moment; zero where `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// RFC 3339 in UTC with milliseconds, `2026-11-22T09:30:00.125Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Civil dates reach to the end of the year 9999; the library's own moments end a day before.
        match epoch().checked_add(SignedDuration::from_millis(self.0)) {
            Ok(moment) => write!(f, "{moment:.3}Z"),
            Err(_) => write!(f, "never"),
        }
    }
}

/// Where milliseconds are counted from.
fn epoch() -> DateTime {
    date(1970, 1, 1).at(0, 0, 0, 0)
}

impl Timestamp {
    /// The moment of a date and time in UTC.
    fn of_utc(moment: DateTime) -> Timestamp {
        let since_epoch = moment.duration_since(epoch()).as_millis();
        Timestamp(i64::try_from(since_epoch).unwrap_or(i64::MAX))
    }
}

/// What is wrong with a text that should have been an RFC 3339 time. It reads on after the field's name.
#[derive(Debug, thiserror::Error)]
#[error("must be an RFC 3339 time with its offset, such as 2026-11-22T09:30:00Z, of the years 0000 to 9999")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pieces = Pieces::parse(text).map_err(|_| InvalidTimestamp)?;
        let (Some(time), Some(offset)) = (pieces.time(), pieces.to_numeric_offset()) else {
            return Err(InvalidTimestamp);
        };
        if offset.seconds() % 60 != 0 || offset.seconds().abs() / 60 > MAX_OFFSET_MINUTES {
            return Err(InvalidTimestamp);
        }
        let local = Timestamp::of_utc(pieces.date().to_datetime(time)).0;
        let moment = local - i64::from(offset.seconds()) * 1_000;
        // Without four digits for its year it is no RFC 3339 time when it is written again.
        match (YEAR_0..=YEAR_9999).contains(&moment) {
            true => Ok(Timestamp(moment)),
            false => Err(InvalidTimestamp),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_through_rfc_3339() {
        let moment = Timestamp(1_588_429_200_207);
        assert_eq!(moment.to_string(), "2020-05-02T14:20:00.207Z");
        assert_eq!("2020-05-02T14:20:00.207Z".parse::<Timestamp>().unwrap(), moment);
        assert_eq!("2020-05-02T16:20:00.207+02:00".parse::<Timestamp>().unwrap(), moment);
        for wrong in
            ["yesterday", "2020-05-02", "2020-05-02T14:20:00", "-000001-12-31T00:00:00Z", "99999-01-01T00:00:00Z"]
        {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
        let last = "9999-12-31T23:59:59.999Z";
        assert_eq!(last.parse::<Timestamp>().unwrap(), Timestamp(YEAR_9999));
        assert_eq!(Timestamp(YEAR_9999).to_string(), last);
        assert_eq!("9999-12-31T01:00:00-22:59".parse::<Timestamp>().unwrap().to_string(), "9999-12-31T23:59:00.000Z");
        assert_eq!("2026-01-01T00:00:00+23:59".parse::<Timestamp>().unwrap().to_string(), "2025-12-31T00:01:00.000Z");
        for wrong in ["+25:00", "+24:00", "-24:00", "+25:59:59", "+01:00:30"] {
            assert!(format!("2026-01-01T00:00:00{wrong}").parse::<Timestamp>().is_err(), "{wrong}");
        }
        assert!("9999-12-31T23:59:59-00:01".parse::<Timestamp>().is_err(), "that is the year 10000 in UTC");
        assert_eq!("0000-01-01T00:00:00Z".parse::<Timestamp>().unwrap().to_string(), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn months_start_on_their_first_day() {
        for (moment, start) in
            [("2026-11-22T09:30:00Z", "2026-11-01T00:00:00Z"), ("1969-12-31T23:59:59Z", "1969-12-01T00:00:00Z")]
        {
            let moment: Timestamp = moment.parse().unwrap();
            assert_eq!(moment.month_start(), start.parse().unwrap());
            assert_eq!(moment.month_start().month_start(), moment.month_start());
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::NEVER.plus(Duration::from_secs(1)), Timestamp::NEVER);
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(5).minus(Duration::MAX), Timestamp(5 - i64::MAX));
    }
}
