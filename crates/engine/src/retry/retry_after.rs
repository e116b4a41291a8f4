//! The Retry-After header: seconds, or a date in one of HTTP's three forms.

use std::time::Duration;

use jiff::fmt::{rfc2822, strtime};

use crate::time::Timestamp;

/// The longest that a receiver can ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// How long the header's value asks to wait from `now` on, at most [`MAX_RETRY_AFTER`]; zero for a date that has passed.
/// `None` for what is neither whole seconds nor a date (`-1`, `NaN`, `1e99`): it is to be ignored.
pub fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has room for ask for longer than the limit all the same.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        date(value)?.since(now)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// HTTP's own form; RFC 850 and asctime, which receivers may still send.
const FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

fn date(value: &str) -> Option<Timestamp> {
    // Takes spellings, too, that HTTP does not: other offsets, no weekday.
    let moment = rfc2822::DateTimeParser::new().parse_timestamp(value).map(jiff::Timestamp::as_millisecond);
    moment.ok().or_else(|| FORMS.iter().find_map(|form| in_form(form, value))).map(Timestamp)
}

/// Milliseconds since the epoch. They are counted from the date itself, since a `jiff::Timestamp` ends a day before the year
/// 9999 does.
fn in_form(form: &str, value: &str) -> Option<i64> {
    let civil = strtime::parse(form, value).ok()?.to_datetime().ok()?;
    let since_epoch = civil.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0));
    i64::try_from(since_epoch.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_618_884_415_000);

    #[test]
    fn case_034_seconds_and_dates() {
        let minute = Some(Duration::from_secs(60));
        for value in [
            "60",
            " 060 ",
            "Tue, 20 Apr 2021 02:07:55 GMT",
            "Tuesday, 20-Apr-21 02:07:55 GMT",
            "Tue Apr 20 02:07:55 2021",
        ] {
            assert_eq!(parse_retry_after(value, NOW), minute, "{value}");
        }
        assert_eq!(parse_retry_after("Tue, 20 Apr 1999 02:07:55 GMT", NOW), Some(Duration::ZERO));
    }

    #[test]
    fn case_034_at_most_a_day() {
        for value in [
            "86401",
            "99999999999999999999999999",
            "Tue, 20 Apr 2094 02:07:55 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Fri Dec 31 23:59:59 9999",
        ] {
            assert_eq!(parse_retry_after(value, NOW), Some(MAX_RETRY_AFTER), "{value}");
        }
    }

    #[test]
    fn case_035_nonsense_is_ignored() {
        for value in
            ["", "-1", "-5", "+5", "NaN", "1e99", "inf", "1.5", "soon", "0x10", "5 s", "Tue, 99 Apr 2021 02:07:55 GMT"]
        {
            assert_eq!(parse_retry_after(value, NOW), None, "{value}");
        }
    }
}
