//! The customers' receivers: what they answer, and how long they take.

use std::time::Duration;

use fanfare_engine::attempt::Outcome;

use crate::chance::Chance;

/// After so many milliseconds an exchange is given up.
pub(crate) const TIMEOUT: i64 = 5_000;

/// How a receiver behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    Fine,
    /// Takes so long at most, in milliseconds, and half of that at least; and succeeds.
    Slow(i64),
    /// Fails so many times of a hundred.
    Flaky(u32),
    /// Never answers.
    Hangs,
    /// Cannot be reached until then, milliseconds since the run's start.
    DownUntil(i64),
    /// Asks to come back later about every second time.
    Busy,
    /// Is gone for good from then on.
    GoneFrom(i64),
}

/// What comes of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reaction {
    /// Milliseconds until the request is with the receiver; `None` where it never gets there.
    pub(crate) arrives: Option<i64>,
    /// Milliseconds until the sender knows the outcome.
    pub(crate) ends: i64,
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
}

impl Manner {
    pub(crate) fn draw(chance: &mut Chance, span: i64) -> Manner {
        match chance.index(10) {
            0..=2 => Manner::Fine,
            3 => Manner::Slow(chance.pick(&[400, 4_000, TIMEOUT])),
            4 | 5 => Manner::Flaky(chance.pick(&[20, 50, 100])),
            6 => Manner::Hangs,
            7 => Manner::DownUntil(chance.between(0, span * 2)),
            8 => Manner::Busy,
            _ => Manner::GoneFrom(chance.between(0, span * 2)),
        }
    }

    /// What comes of a request that is made `now`.
    pub(crate) fn react(self, now: i64, chance: &mut Chance) -> Reaction {
        let quick = chance.between(1, 30);
        match self {
            Manner::Fine => answer(quick, chance.between(1, 40), 200),
            Manner::Slow(most) => answer(quick, chance.between(most / 2, most), 204),
            Manner::Flaky(percent) if chance.percent(percent) => {
                let latency = chance.between(1, 200);
                match chance.index(3) {
                    0 => Reaction { status: None, outcome: Outcome::Reset, ..answer(quick, latency, 0) },
                    1 => unreachable(quick),
                    _ => answer(quick, latency, 503),
                }
            }
            Manner::Flaky(_) => answer(quick, chance.between(1, 200), 200),
            Manner::Hangs => Reaction {
                arrives: Some(quick),
                ends: TIMEOUT,
                outcome: Outcome::Timeout,
                status: None,
                retry_after: None,
            },
            Manner::DownUntil(until) if now < until => unreachable(quick),
            Manner::Busy if chance.percent(50) => {
                let wait = Duration::from_secs(chance.between(1, 60).unsigned_abs());
                Reaction { retry_after: Some(wait), ..answer(quick, 5, 429) }
            }
            Manner::GoneFrom(from) if now >= from => answer(quick, 5, 410),
            Manner::DownUntil(_) | Manner::Busy | Manner::GoneFrom(_) => answer(quick, chance.between(1, 40), 200),
        }
    }
}

fn answer(arrives: i64, latency: i64, status: u16) -> Reaction {
    let outcome = if (200..300).contains(&status) { Outcome::Success } else { Outcome::Status };
    Reaction { arrives: Some(arrives), ends: arrives + latency, outcome, status: Some(status), retry_after: None }
}

fn unreachable(after: i64) -> Reaction {
    Reaction { arrives: None, ends: after, outcome: Outcome::Connect, status: None, retry_after: None }
}
