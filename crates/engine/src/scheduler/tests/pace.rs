//! Rate limits: what a webhook is sent is no more than they say, and not much less either.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000;

/// A machine whose timers and receivers are late by what is drawn, in virtual time.
struct Machine {
    scheduler: Scheduler,
    config: LaneConfig,
    /// When a request ends or a claim is answered.
    happenings: BinaryHeap<Reverse<(i64, bool)>>,
    lateness: Vec<i64>,
    draws: usize,
    started: Vec<i64>,
    next: i64,
}

impl Machine {
    fn late(&mut self) -> i64 {
        self.draws += 1;
        self.lateness[self.draws % self.lateness.len()]
    }

    fn tell(&mut self, now: i64, input: Input) {
        for command in step(&mut self.scheduler, Timestamp(NOW.millis() + now), input) {
            match command {
                Command::Send(_) => {
                    self.started.push(now);
                    let ends = now + self.late();
                    self.happenings.push(Reverse((ends, true)));
                }
                Command::Claim { .. } => {
                    let answered = now + self.late();
                    self.happenings.push(Reverse((answered, false)));
                }
                Command::Release { .. } => panic!("nothing is given back"),
            }
        }
    }

    /// A claim is answered: there is always more.
    fn answer(&mut self, now: i64) {
        let lane = &self.scheduler.lanes[&WebhookId(1)];
        let count = if self.config.at_most_once { i64::from(lane.claimed_slots) } else { 64 };
        let jobs = (0..count).map(|number| job(1, self.next + number)).collect();
        self.next += count;
        let next_due = Some(Timestamp(NOW.millis()));
        self.tell(now, Input::Claimed { webhook: WebhookId(1), config: self.config, jobs, next_due });
    }

    /// Lets so many milliseconds pass; answers when requests started.
    fn run(mut self, span: i64) -> Vec<i64> {
        self.tell(0, Input::Stored { webhook: WebhookId(1), config: Some(self.config), due: NOW });
        let mut now = 0;
        while now < span {
            let wake = self.scheduler.next_wakeup().map(|at| at.millis() - NOW.millis());
            let happens = self.happenings.peek().map(|Reverse((at, _))| *at);
            match (wake, happens) {
                (Some(wake), happens) if happens.is_none_or(|at| at > wake) => {
                    now = now.max(wake + self.late());
                    self.tell(now, Input::Tick);
                }
                (_, Some(at)) => {
                    let Some(Reverse((_, ended))) = self.happenings.pop() else { break };
                    now = now.max(at);
                    if ended {
                        self.tell(now, sent(1, false));
                        self.tell(now, recorded());
                    } else {
                        self.answer(now);
                    }
                }
                _ => panic!("it stands still"),
            }
        }
        self.started.retain(|at| *at < span);
        self.started
    }
}

fn starts(per_second: u32, at_most_once: bool, lateness: Vec<i64>, span: i64) -> Vec<i64> {
    let config = LaneConfig { rate: Some(RateLimit::PerSecond(per_second)), at_most_once, ..config(1, 64) };
    let scheduler = Scheduler::new(Limits::default());
    let happenings = BinaryHeap::new();
    Machine { scheduler, config, happenings, lateness, draws: 0, started: Vec::new(), next: 1 }.run(span)
}

/// The most that started within any second.
fn most_in_a_second(starts: &[i64]) -> usize {
    let within = |from: usize| starts[from..].partition_point(|at| *at < starts[from] + SECOND);
    (0..starts.len()).map(within).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_rate_limit_is_kept_and_used(
        per_second in 1u32..=1_000,
        at_most_once in any::<bool>(),
        lateness in prop::collection::vec(0i64..=3, 1..40),
    ) {
        let span = 10 * SECOND;
        let starts = starts(per_second, at_most_once, lateness, span);
        let rate = f64::from(per_second);
        let expected = rate * 10.0;
        prop_assert!(starts.len() as f64 >= expected * 0.95 - 1.0, "{} of {expected}", starts.len());
        prop_assert!(starts.len() as f64 <= expected + 1.0, "{} of {expected}", starts.len());
        // What is late is caught up within a fiftieth of a second.
        let most = most_in_a_second(&starts);
        prop_assert!(most as f64 <= rate * 1.02 + 1.0, "{most} in a second");
    }
}

#[test]
fn a_thousand_a_second_are_a_thousand_though_timers_come_late() {
    for at_most_once in [false, true] {
        let starts = starts(1_000, at_most_once, vec![2, 1, 0, 3], 10 * SECOND);
        assert!((9_950..=10_001).contains(&starts.len()), "{at_most_once}: {}", starts.len());
    }
}

#[test]
fn what_was_not_wanted_for_a_while_is_not_caught_up() {
    let mut scheduler = Scheduler::new(Limits::default());
    let limited = LaneConfig { rate: Some(RateLimit::PerSecond(1_000)), ..config(1, 64) };
    offer(&mut scheduler, NOW, limited, job(1, 0)).unwrap();
    let mut sent = 0;
    for delivery in 1..=10 {
        sent += offer(&mut scheduler, later(1), limited, job(1, delivery)).unwrap().len();
    }
    assert_eq!(sent, 1, "the others follow, a millisecond apart");
}
