//! How fast what waits in the store is claimed, so that a backlog does not hold up what comes in.
//!
//! Claims are written by the thread that writes new events, too. After an outage thousands of webhooks may be due at the same
//! moment; if all of them claimed at once, and as much as they could hold, events would wait for seconds. So webhooks stand in
//! line to claim: organizations take turns, however many webhooks each has; a claim asks for few deliveries where many wait, and
//! all together for no more than are written within some milliseconds.
//!
//! How long the answers take shows how busy the writer is, with claims, outcomes and new events. Where they take twice as long
//! as usual the pace is cut by a quarter, at most once for each answer that was asked for since; else it is raised by an
//! eighth, until nothing limits it. What is usual is the shortest time lately, so a slow disk is not taken
//! for a busy one. Each step is O(1).

use std::collections::VecDeque;
use std::time::Duration;

use foldhash::HashMap;

use crate::id::{OrganizationId, WebhookId};
use crate::time::Timestamp;

/// Most deliveries that claims may be asked for at a time: written within some
/// milliseconds.
const MOST_ASKED: u32 = 256;
/// So many deliveries a claim may ask for, however many webhooks wait for theirs.
const LEAST_CLAIM: u32 = 16;
/// Deliveries that are claimed in a second where nothing is held up, which stands for no limit; and at least.
const FASTEST: u32 = 200_000;
const SLOWEST: u32 = 1_000;
/// By how much answers may come later than usual, beside twice the time, in milliseconds: clocks tick in whole ones.
const LEEWAY: u64 = 4;
/// What is usual grows by this part of what answers take longer, as a divisor; where they come sooner, it is that.
const USUAL_PART: u64 = 64;
const NANOS: i64 = 1_000_000;

/// See the module.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// The webhooks of each organization that wait for their turn; none is empty.
    lines: HashMap<OrganizationId, VecDeque<WebhookId>>,
    /// The organizations of which any waits.
    turns: VecDeque<OrganizationId>,
    /// How many webhooks wait.
    waiting: usize,
    /// Deliveries that were asked for by claims which are not answered.
    asked: u32,
    /// Deliveries in a second.
    pace: u32,
    /// The earliest moment for the next claim, in nanoseconds.
    next_nanos: i64,
    /// How long answers usually take, in [`USUAL_PART`]s of a millisecond; `None` before the first.
    usual: Option<u64>,
    /// When the pace was cut last.
    cut_at: Timestamp,
}

impl CatchUp {
    pub(super) fn new() -> Self {
        CatchUp {
            lines: HashMap::default(),
            turns: VecDeque::new(),
            waiting: 0,
            asked: 0,
            pace: FASTEST,
            next_nanos: i64::MIN,
            usual: None,
            cut_at: Timestamp(i64::MIN),
        }
    }

    /// Puts a webhook in line.
    pub(super) fn join(&mut self, organization: OrganizationId, webhook: WebhookId) {
        let line = self.lines.entry(organization).or_default();
        if line.is_empty() {
            self.turns.push_back(organization);
        }
        line.push_back(webhook);
        self.waiting += 1;
    }

    /// The webhook whose turn it is to claim, if it may do so now, and how many deliveries at most.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<(WebhookId, u32)> {
        if self.waiting == 0 {
            return None;
        }
        let now = nanos(now);
        // Never further ahead, unless the clock was set back.
        self.next_nanos = self.next_nanos.min(now.saturating_add(self.span(MOST_ASKED)));
        if self.next_nanos > now || self.asked + LEAST_CLAIM > MOST_ASKED {
            return None;
        }
        let waiting = u32::try_from(self.waiting).unwrap_or(u32::MAX);
        let most = (MOST_ASKED / waiting).max(LEAST_CLAIM).min(MOST_ASKED - self.asked);
        Some((self.take_first()?, most))
    }

    fn take_first(&mut self) -> Option<WebhookId> {
        let organization = self.turns.pop_front()?;
        let line = self.lines.get_mut(&organization)?;
        let webhook = line.pop_front()?;
        self.waiting -= 1;
        if line.is_empty() {
            self.lines.remove(&organization);
        } else {
            self.turns.push_back(organization);
        }
        Some(webhook)
    }

    /// When [`CatchUp::next`] may have something; `None` while it waits for an answer, or nobody for it.
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        let waits = self.waiting > 0 && self.asked + LEAST_CLAIM <= MOST_ASKED;
        waits.then(|| Timestamp(self.next_nanos.saturating_add(NANOS - 1).div_euclid(NANOS)))
    }

    /// A claim was made for so many deliveries.
    pub(super) fn asked(&mut self, now: Timestamp, deliveries: u32) {
        self.asked += deliveries;
        self.next_nanos = self.next_nanos.max(nanos(now)).saturating_add(self.span(deliveries));
    }

    /// A claim for so many deliveries that was made at `asked_at` is answered with `brought`; `None` where it did not come to the
    /// thread that writes, so that its answer tells nothing of how busy that is.
    pub(super) fn answered(&mut self, now: Timestamp, asked_at: Timestamp, asked: u32, brought: Option<u32>) {
        if asked == 0 {
            // It had slots for what it asked for, and did not stand in line.
            return;
        }
        self.asked -= asked;
        // What did not come took no time of others'.
        let unused = asked.saturating_sub(brought.map_or(0, |brought| brought.max(1)));
        self.next_nanos = self.next_nanos.saturating_sub(self.span(unused));
        if brought.is_some() {
            self.look_at_answer(now, asked_at);
        }
    }

    fn look_at_answer(&mut self, now: Timestamp, asked_at: Timestamp) {
        let took = u64::try_from(now.since(asked_at).as_millis()).unwrap_or(u64::MAX).min(60_000) * USUAL_PART;
        let usual =
            self.usual.map_or(took, |usual| if took < usual { took } else { usual + (took - usual) / USUAL_PART });
        self.usual = Some(usual);
        if took <= 2 * usual + LEEWAY * USUAL_PART {
            self.pace = (self.pace + self.pace / 8).min(FASTEST);
        } else if asked_at >= self.cut_at || self.cut_at > now {
            self.pace = (self.pace - self.pace / 4).max(SLOWEST);
            self.cut_at = now;
        }
    }

    /// Nanoseconds in which so many deliveries are claimed.
    fn span(&self, deliveries: u32) -> i64 {
        if self.pace == FASTEST {
            return 0;
        }
        let span = Duration::from_secs(1) * deliveries / self.pace;
        i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
    }
}

fn nanos(at: Timestamp) -> i64 {
    at.millis().saturating_mul(NANOS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp(1_800_000_000_000 + millis)
    }

    fn with_line(webhooks: i64) -> CatchUp {
        let mut catch_up = CatchUp::new();
        (0..webhooks).for_each(|webhook| catch_up.join(OrganizationId(1), WebhookId(webhook)));
        catch_up
    }

    #[test]
    fn no_more_is_asked_for_at_a_time_than_is_written_soon() {
        let mut catch_up = with_line(1_000);
        let mut now = 0;
        let (mut asked, mut claims) = (0, 0);
        while catch_up.wakes_at().is_some() {
            while let Some((_, most)) = catch_up.next(at(now)) {
                catch_up.asked(at(now), most);
                (asked, claims) = (asked + most, claims + 1);
            }
            now += 1;
            assert!(now < 1_000);
        }
        assert_eq!((asked, claims), (MOST_ASKED, MOST_ASKED / LEAST_CLAIM));
        catch_up.answered(at(now), at(now - 1), LEAST_CLAIM, Some(LEAST_CLAIM));
        assert!(catch_up.wakes_at().is_some());
    }

    #[test]
    fn one_alone_asks_for_much() {
        let mut catch_up = with_line(1);
        assert_eq!(catch_up.next(at(0)), Some((WebhookId(0), MOST_ASKED)));
        assert_eq!(catch_up.wakes_at(), None);
    }

    /// Claims one after the other, each answered after so many milliseconds; answers the pace.
    fn pace(catch_up: &mut CatchUp, from: i64, claims: i64, takes: i64) -> u32 {
        for claim in 0..claims {
            let asked_at = at(from + claim * (takes + 1));
            catch_up.asked(asked_at, 16);
            catch_up.answered(asked_at.plus(Duration::from_millis(takes.unsigned_abs())), asked_at, 16, Some(16));
        }
        catch_up.pace
    }

    #[test]
    fn organizations_take_turns_however_many_webhooks_they_have() {
        let mut catch_up = with_line(1_000);
        catch_up.join(OrganizationId(2), WebhookId(5_001));
        catch_up.join(OrganizationId(2), WebhookId(5_002));
        let order: Vec<i64> = (0..5).map(|_| catch_up.next(at(0)).unwrap().0.0).collect();
        assert_eq!(order, [0, 5_001, 1, 5_002, 2]);
        assert!(catch_up.lines.len() == 1 && catch_up.turns.len() == 1);
    }

    #[test]
    fn only_what_claims_bring_takes_of_the_pace() {
        // Slowed down, many webhooks with one delivery each that is due claim one after the other.
        let drained_at = |brought: Option<u32>| {
            let mut catch_up = with_line(100);
            pace(&mut catch_up, 0, 1, 3);
            catch_up.pace = SLOWEST;
            let (mut now, mut claims) = (1_000, 0);
            while claims < 100 {
                while let Some((_, most)) = catch_up.next(at(now)) {
                    catch_up.asked(at(now), most);
                    catch_up.answered(at(now + 1), at(now), most, brought);
                    catch_up.pace = SLOWEST;
                    claims += 1;
                }
                now += 1;
            }
            now - 1_000
        };
        assert!((1_500..=1_700).contains(&drained_at(Some(LEAST_CLAIM))));
        assert!((90..=110).contains(&drained_at(Some(1))));
        assert!(drained_at(None) <= 1, "what does not come to the writer takes nothing of its time");
    }

    #[test]
    fn an_answer_that_did_not_come_to_the_writer_tells_nothing_of_it() {
        let mut catch_up = CatchUp::new();
        pace(&mut catch_up, 0, 10, 30);
        catch_up.asked(at(5_000), 16);
        catch_up.answered(at(5_000), at(5_000), 16, None);
        assert_eq!(pace(&mut catch_up, 6_000, 10, 30), FASTEST);
    }

    #[test]
    fn late_answers_slow_it_down_and_timely_ones_speed_it_up() {
        let mut catch_up = CatchUp::new();
        assert_eq!(pace(&mut catch_up, 0, 10, 3), FASTEST);
        let slow = pace(&mut catch_up, 1_000, 10, 30);
        assert!(slow < FASTEST / 8, "{slow}");
        assert_eq!(pace(&mut catch_up, 2_000, 40, 3), FASTEST);
    }

    #[test]
    fn a_disk_that_is_always_slow_is_not_taken_for_a_busy_one() {
        assert_eq!(pace(&mut CatchUp::new(), 0, 100, 80), FASTEST);
    }

    #[test]
    fn late_answers_to_claims_of_the_same_moment_count_once() {
        let mut catch_up = CatchUp::new();
        pace(&mut catch_up, 0, 1, 3);
        (0..8).for_each(|_| catch_up.asked(at(100), 16));
        (0..8).for_each(|_| catch_up.answered(at(150), at(100), 16, Some(16)));
        assert_eq!(catch_up.pace, FASTEST - FASTEST / 4);
    }

    #[test]
    fn case_059_a_clock_that_is_set_back_does_not_stop_it() {
        let mut catch_up = with_line(2);
        pace(&mut catch_up, 0, 1, 3);
        pace(&mut catch_up, 100, 40, 60);
        catch_up.asked(at(86_400_000), 16);
        assert_eq!(catch_up.next(at(0)), None);
        assert!(catch_up.wakes_at().is_some_and(|wakes| wakes <= at(1_000)));
    }
}
