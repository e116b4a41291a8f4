//! Figures and moments as people read them.

use std::time::Duration;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::{SkipReason, State, Trigger};
use fanfare_engine::retry::RetryPolicy;
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::Status;

use super::deliveries::read_time;
use super::texts::{Texts, WordsTexts, fill};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A moment, for people and for the script that shows it in local time.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// RFC 3339.
    pub(super) exact: String,
    /// `2026-11-22 09:30:05`, in UTC.
    pub(super) utc: String,
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        let exact = at.to_string();
        let utc = exact.get(..19).unwrap_or(&exact).replace('T', " ");
        Moment { exact, utc }
    }
}

/// A time as fields for times take it, in UTC. What is no time stays as it was typed.
pub(super) fn time_field(text: &str) -> String {
    let Some(time) = read_time(text) else { return text.to_owned() };
    let exact = time.to_string();
    let length = if exact.get(17..19) == Some("00") { 16 } else { 19 };
    exact.get(..length).unwrap_or(&exact).to_owned()
}

/// A span in its largest whole unit.
pub(super) fn span(words: &WordsTexts, span: Duration) -> String {
    let seconds = span.as_secs();
    let whole = |unit: u64| seconds > 0 && seconds.is_multiple_of(unit);
    if seconds == DAY {
        words.one_day.to_owned()
    } else if whole(DAY) {
        fill(words.days, &[("n", &(seconds / DAY))])
    } else if whole(HOUR) {
        fill(words.hours, &[("n", &(seconds / HOUR))])
    } else if whole(MINUTE) {
        fill(words.minutes, &[("n", &(seconds / MINUTE))])
    } else {
        fill(words.seconds, &[("n", &seconds)])
    }
}

/// A retry schedule in a sentence's end.
pub(super) fn schedule(words: &WordsTexts, policy: &RetryPolicy) -> String {
    let spans: Vec<String> = policy.delays.iter().map(|delay| span(words, *delay)).collect();
    let listed = match &spans[..] {
        [] => return words.no_retries.to_owned(),
        [only] => return fill(words.one_retry, &[("spans", only)]),
        [first @ .., last] => fill(words.list_and, &[("first", &first.join(", ")), ("last", last)]),
    };
    fill(words.retries, &[("n", &spans.len()), ("spans", &listed)])
}

/// Delays as they are typed, `30s 5m 2h 1d`.
pub(super) fn typed_delays(seconds: &[u32]) -> String {
    let typed = |seconds: &u32| {
        let seconds = u64::from(*seconds);
        let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m")];
        match units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit)) {
            Some((unit, name)) => format!("{}{name}", seconds / unit),
            None => format!("{seconds}s"),
        }
    };
    seconds.iter().map(typed).collect::<Vec<_>>().join(" ")
}

/// Reads what [`typed_delays`] writes; a number alone counts seconds.
///
/// # Errors
/// The first word that is no span.
pub(super) fn read_delays(text: &str) -> Result<Vec<u32>, String> {
    let words = text.split([' ', ',', ';', '\n', '\t', '\r']).filter(|word| !word.is_empty());
    words.map(|word| read_delay(word).ok_or_else(|| word.to_owned())).collect()
}

fn read_delay(word: &str) -> Option<u32> {
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = word.split_at(digits);
    let unit = match unit {
        "" | "s" => 1,
        "m" | "min" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).and_then(|seconds| u32::try_from(seconds).ok())
}

/// A share of a whole in percent.
pub(super) fn percent(part: u64, whole: u64) -> String {
    match (part * 1_000).checked_div(whole) {
        None => "–".to_owned(),
        Some(0) if part > 0 => "<0.1 %".to_owned(),
        Some(tenths) if tenths.is_multiple_of(10) || tenths >= 100 => format!("{} %", tenths / 10),
        Some(tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// How a webhook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Active,
    /// Active, but every attempt fails.
    Failing,
    Paused,
    Deactivated,
    AutoDisabled,
}

impl Standing {
    pub(super) const ALL: [Standing; 5] =
        [Standing::Active, Standing::Failing, Standing::Paused, Standing::Deactivated, Standing::AutoDisabled];

    pub(super) fn of(status: Status, failing_since: Option<Timestamp>) -> Standing {
        match status {
            Status::Active if failing_since.is_some() => Standing::Failing,
            Status::Active => Standing::Active,
            Status::Paused => Standing::Paused,
            Status::Deactivated => Standing::Deactivated,
            Status::AutoDisabled => Standing::AutoDisabled,
        }
    }

    /// The status in the database.
    pub(super) fn status(self) -> Status {
        match self {
            Standing::Active | Standing::Failing => Status::Active,
            Standing::Paused => Status::Paused,
            Standing::Deactivated => Status::Deactivated,
            Standing::AutoDisabled => Status::AutoDisabled,
        }
    }

    /// Whether every attempt fails, where that makes the difference.
    pub(super) fn fails(self) -> Option<bool> {
        match self {
            Standing::Active => Some(false),
            Standing::Failing => Some(true),
            Standing::Paused | Standing::Deactivated | Standing::AutoDisabled => None,
        }
    }

    /// The word for it in addresses and style sheets.
    pub(super) fn name(self) -> &'static str {
        match self {
            Standing::Failing => "failing",
            other => other.status().name(),
        }
    }

    pub(super) fn label(self, t: &Texts) -> &'static str {
        match self {
            Standing::Active => t.status.active,
            Standing::Failing => t.status.failing,
            Standing::Paused => t.status.paused,
            Standing::Deactivated => t.status.deactivated,
            Standing::AutoDisabled => t.status.auto_disabled,
        }
    }
}

/// The word for a delivery's state.
pub(super) fn state(t: &Texts, state: State) -> &'static str {
    match state {
        State::Pending => t.state.pending,
        State::Delivering => t.state.delivering,
        State::Delivered => t.state.delivered,
        State::Exhausted => t.state.exhausted,
        State::Skipped => t.state.skipped,
        State::Cancelled => t.state.cancelled,
    }
}

/// Why a delivery was skipped.
pub(super) fn skipped(t: &Texts, reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::WebhookDeactivated => t.skipped.webhook_deactivated,
        SkipReason::WebhookAutoDisabled => t.skipped.webhook_auto_disabled,
        SkipReason::WebhookDeleted => t.skipped.webhook_deleted,
        SkipReason::OrganizationDeleted => t.skipped.organization_deleted,
        SkipReason::AccessRevoked => t.skipped.access_revoked,
        SkipReason::Poison => t.skipped.poison,
    }
}

/// What set an attempt off.
pub(super) fn trigger(t: &Texts, trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Schedule => t.trigger.schedule,
        Trigger::Manual => t.trigger.manual,
        Trigger::Test | Trigger::RetriedTest => t.trigger.test,
    }
}

/// How an attempt ended, in a few words.
pub(super) fn outcome(t: &Texts, outcome: Outcome) -> &'static str {
    let o = &t.outcome;
    match outcome {
        Outcome::Success => o.success,
        Outcome::Status => o.status,
        Outcome::Timeout => o.timeout,
        Outcome::Dns => o.dns,
        Outcome::Connect => o.connect,
        Outcome::Tls => o.tls,
        Outcome::Reset => o.reset,
        Outcome::Protocol => o.protocol,
        Outcome::Blocked => o.blocked,
        Outcome::Unknown => o.unknown,
        Outcome::Render => o.render,
    }
}

/// What to do about an attempt that ended so.
pub(super) fn hint(t: &Texts, outcome: Outcome, status: Option<u16>) -> Option<&'static str> {
    let o = &t.outcome;
    Some(match outcome {
        Outcome::Success => return None,
        Outcome::Status => match status.unwrap_or_default() {
            401 | 403 | 407 => o.hint_status_auth,
            404 | 405 => o.hint_status_not_found,
            410 => o.hint_status_gone,
            429 => o.hint_status_rate,
            300 | 304 => return None,
            301..=399 => o.hint_status_redirect,
            400..=499 => o.hint_status_client,
            _ => o.hint_status_server,
        },
        Outcome::Timeout => o.hint_timeout,
        Outcome::Dns => o.hint_dns,
        Outcome::Connect => o.hint_connect,
        Outcome::Tls => o.hint_tls,
        Outcome::Reset => o.hint_reset,
        Outcome::Protocol => o.hint_protocol,
        Outcome::Blocked => o.hint_blocked,
        Outcome::Unknown => o.hint_unknown,
        Outcome::Render => o.hint_render,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::texts::for_languages;

    #[test]
    fn fields_for_times_hold_utc() {
        for (text, field) in [
            ("2026-11-22T09:30", "2026-11-22T09:30"),
            ("2026-11-22T09:30:05Z", "2026-11-22T09:30:05"),
            ("2026-11-22T09:30:00.000+02:00", "2026-11-22T07:30"),
            ("2026-11-22", "2026-11-22T00:00"),
            ("soon", "soon"),
            ("", ""),
        ] {
            assert_eq!(time_field(text), field);
        }
    }

    #[test]
    fn spans_are_said_in_whole_units() {
        let words = &for_languages("en").words;
        let said = |seconds| span(words, Duration::from_secs(seconds));
        assert_eq!([5, 300, 7_200, 86_400, 172_800, 90].map(said), ["5 s", "5 min", "2 h", "1 day", "2 days", "90 s"]);
    }

    #[test]
    fn delays_are_read_as_they_are_typed() {
        let delays = [5, 300, 7_200, 86_400, 90];
        assert_eq!(typed_delays(&delays), "5s 5m 2h 1d 90s");
        assert_eq!(read_delays(&typed_delays(&delays)).unwrap(), delays);
        assert_eq!(read_delays("30, 5min;1h").unwrap(), [30, 300, 3_600]);
        assert_eq!(read_delays("5m soon"), Err("soon".to_owned()));
        assert_eq!(read_delays("99999999999d"), Err("99999999999d".to_owned()));
    }

    #[test]
    fn shares_are_short() {
        let said = [(0, 0), (0, 5), (1, 3), (1, 40), (1, 5_000), (5, 5)].map(|(part, whole)| percent(part, whole));
        assert_eq!(said, ["–", "0 %", "33 %", "2.5 %", "<0.1 %", "100 %"]);
    }
}
