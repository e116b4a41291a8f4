//! Notices when the wall clock was set, so that nothing irreversible follows from a wrong time.
//!
//! Two clocks are compared: the wall clock, which anybody may set, and the time that has passed, which nobody can. Where
//! they disagree by a lot, the wall clock may be wrong now or may have been wrong before; nobody can tell which. Until it has
//! been steady for a while, or somebody confirms it, nothing is removed or disabled because of its age.

use std::time::Duration;

use crate::time::Timestamp;

/// A wall clock that goes back by less than this was not set: two threads read it one after the other.
const JITTER: Duration = Duration::from_secs(1);
/// A step of at least this much in either direction is implausible while the server runs.
const IMPLAUSIBLE_STEP: Duration = Duration::from_secs(10 * 60);
/// A gap of at least this much since the last run is implausible.
const IMPLAUSIBLE_GAP: Duration = Duration::from_secs(24 * 3_600);
/// How long the wall clock must run steadily before it is trusted again.
const PROBATION: Duration = Duration::from_secs(3_600);

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub wall: Timestamp,
    /// The time that has passed since some fixed moment.
    pub passed: Duration,
}

/// A change of the wall clock that is not the passing of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Back(Duration),
    Forward(Duration),
}

/// Follows both clocks. See the module.
#[derive(Debug)]
pub struct ClockWatch {
    last: Reading,
    /// Until when, in passed time, the wall clock is on probation; `None` while it is trusted.
    probation_ends: Option<Duration>,
}

impl ClockWatch {
    /// Starts with the first reading. `last_trusted` is the latest wall time that an earlier process trusted. Returns the
    /// step between the two, if there was one.
    pub fn start(reading: Reading, last_trusted: Option<Timestamp>) -> (Self, Option<Step>) {
        let mut watch = ClockWatch { last: reading, probation_ends: None };
        let Some(trusted) = last_trusted else { return (watch, None) };
        let (back, gap) = (trusted.since(reading.wall), reading.wall.since(trusted));
        if back >= IMPLAUSIBLE_STEP || gap >= IMPLAUSIBLE_GAP {
            watch.distrust(reading.passed);
        }
        let step = match (back >= JITTER, gap >= IMPLAUSIBLE_GAP) {
            (true, _) => Some(Step::Back(back)),
            (false, true) => Some(Step::Forward(gap)),
            (false, false) => None,
        };
        (watch, step)
    }

    /// Takes a reading. Returns the step since the last one, if there was one; forward ones only where they are implausible,
    /// since a busy machine looks the same.
    pub fn observe(&mut self, reading: Reading) -> Option<Step> {
        let expected = self.last.wall.plus(reading.passed.saturating_sub(self.last.passed));
        let went_back = self.last.wall.since(reading.wall);
        let (behind, ahead) = (expected.since(reading.wall), reading.wall.since(expected));
        self.last = reading;
        if went_back >= JITTER {
            if behind >= IMPLAUSIBLE_STEP {
                self.distrust(reading.passed);
            }
            return Some(Step::Back(behind));
        }
        if ahead >= IMPLAUSIBLE_STEP {
            self.distrust(reading.passed);
            return Some(Step::Forward(ahead));
        }
        if self.probation_ends.is_some_and(|end| reading.passed >= end) {
            self.probation_ends = None;
        }
        None
    }

    /// Whether what is old by the wall clock may be treated as old.
    pub fn is_trusted(&self) -> bool {
        self.probation_ends.is_none()
    }

    /// When the wall clock will be trusted again if it runs steadily; `None` where it is trusted now.
    pub fn trusted_at(&self) -> Option<Timestamp> {
        self.probation_ends.map(|end| self.last.wall.plus(end.saturating_sub(self.last.passed)))
    }

    /// Somebody who knows says that the wall clock is right.
    pub fn confirm(&mut self) {
        self.probation_ends = None;
    }

    fn distrust(&mut self, passed: Duration) {
        self.probation_ends = Some(passed + PROBATION);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_800_000_000_000);
    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;

    /// Both clocks after so many seconds; the wall clock is off by `error` seconds.
    fn at(passed: i64, error: i64) -> Reading {
        let wall = Timestamp(START.millis() + (passed + error) * 1_000);
        Reading { wall, passed: Duration::from_secs(passed.unsigned_abs()) }
    }

    fn seconds(count: i64) -> Duration {
        Duration::from_secs(count.unsigned_abs())
    }

    fn started() -> ClockWatch {
        let (watch, step) = ClockWatch::start(at(0, 0), None);
        assert_eq!(step, None);
        watch
    }

    #[test]
    fn passing_time_is_no_step() {
        let mut watch = started();
        for moment in [1, 2, 3 * HOUR, 90 * DAY] {
            assert_eq!(watch.observe(at(moment, 0)), None);
            assert!(watch.is_trusted());
        }
    }

    #[test]
    fn a_small_step_is_reported_and_trusted() {
        let mut watch = started();
        assert_eq!(watch.observe(at(10, 60)), None, "forward: a busy machine looks the same");
        assert_eq!(watch.observe(at(11, 0)), Some(Step::Back(seconds(60))));
        assert!(watch.is_trusted());
        let jitter = Reading { wall: Timestamp(at(11, 0).wall.millis() - 999), ..at(11, 0) };
        assert_eq!(watch.observe(jitter), None);
    }

    #[test]
    fn a_large_step_is_trusted_after_a_steady_hour() {
        for (error, step) in [(40 * DAY, Step::Forward(seconds(40 * DAY))), (-HOUR, Step::Back(seconds(HOUR)))] {
            let mut watch = started();
            assert_eq!(watch.observe(at(10, error)), Some(step));
            assert_eq!(watch.observe(at(HOUR, error)), None);
            assert!(!watch.is_trusted());
            assert_eq!(watch.trusted_at(), Some(at(10 + HOUR, error).wall));
            assert_eq!(watch.observe(at(10 + HOUR, error)), None);
            assert!(watch.is_trusted());
        }
    }

    #[test]
    fn each_large_step_starts_the_hour_anew() {
        let mut watch = started();
        watch.observe(at(10, DAY));
        watch.observe(at(HOUR, 0));
        watch.observe(at(HOUR + 20, 0));
        assert!(!watch.is_trusted());
        watch.observe(at(2 * HOUR, 0));
        assert!(watch.is_trusted());
    }

    #[test]
    fn somebody_may_confirm_the_time() {
        let mut watch = started();
        watch.observe(at(10, DAY));
        watch.confirm();
        assert_eq!((watch.is_trusted(), watch.trusted_at()), (true, None));
        watch.observe(at(20, DAY));
        assert!(watch.is_trusted());
    }

    #[test]
    fn a_start_is_compared_with_the_last_run() {
        let start = |later: i64| {
            let trusted = Timestamp(START.millis() - later * 1_000);
            let (watch, step) = ClockWatch::start(at(0, 0), Some(trusted));
            (watch.is_trusted(), step)
        };
        assert_eq!(start(0), (true, None));
        assert_eq!(start(DAY - 1), (true, None), "the server was off");
        assert_eq!(start(40 * DAY), (false, Some(Step::Forward(seconds(40 * DAY)))));
        assert_eq!(start(-60), (true, Some(Step::Back(seconds(60)))));
        assert_eq!(start(-HOUR), (false, Some(Step::Back(seconds(HOUR)))));
    }
}
