//! Removes events that are older than their project keeps them, in the order in which they were made, since what was made
//! together lies together on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fanfare_engine::id::{EventId, ProjectId, floor_at};
use fanfare_engine::time::Timestamp;
use fanfare_store::queue::Which;
use fanfare_store::{StoreResult, expired};

use super::{LOOK, PIECE, Pruner};

impl Pruner {
    /// Goes through the events that have become too old since the last round, for each time of keeping once.
    pub(super) async fn too_old(&mut self, keeps: &BTreeMap<ProjectId, Duration>, now: Timestamp) -> StoreResult<u64> {
        let mut removed = 0;
        for (keep, projects) in by_keep(keeps) {
            let below = floor_at(now.minus(keep));
            removed += self.older_than(&projects, self.start(&projects, keep), below, now).await?;
            self.aged.extend(projects.iter().map(|project| (*project, (keep, EventId(below.saturating_sub(1))))));
        }
        Ok(removed)
    }

    /// Up to where the events of all these projects were gone through with this time of keeping.
    fn start(&self, projects: &BTreeSet<ProjectId>, keep: Duration) -> EventId {
        let through = |project| match self.aged.get(project) {
            Some((then, through)) if *then == keep => *through,
            _ => EventId(0),
        };
        projects.iter().map(through).min().unwrap_or(EventId(0))
    }

    async fn older_than(
        &self,
        projects: &BTreeSet<ProjectId>,
        mut after: EventId,
        below: i64,
        now: Timestamp,
    ) -> StoreResult<u64> {
        let mut removed = 0;
        loop {
            let found = self.ask(expired::events(after, below, LOOK)).await?;
            let theirs = found.iter().filter(|(_, project)| projects.contains(project));
            let events: Vec<EventId> = theirs.map(|(event, _)| *event).collect();
            removed += self.remove(&events, Which::Final, now).await?;
            match found.last().filter(|_| found.len() == LOOK as usize) {
                Some((last, _)) => after = *last,
                None => return Ok(removed),
            }
        }
    }

    /// Removes what earlier rounds had to leave, since something of it was still to be sent then: looks at each
    /// organization's oldest event, and through those of the ones where that is too old.
    pub(super) async fn leftovers(&self, keeps: &BTreeMap<ProjectId, Duration>, now: Timestamp) -> StoreResult<u64> {
        let mut removed = 0;
        let mut last = None;
        loop {
            let found = self.ask(expired::oldest_events(last, PIECE)).await?;
            for oldest in &found {
                let Some(below) = keeps.get(&oldest.project).map(|keep| floor_at(now.minus(*keep))) else { continue };
                let mut after = EventId(oldest.event.0.saturating_sub(1));
                while after.0 < below {
                    let events = self.ask(expired::events_of(oldest.organization, after, below, LOOK)).await?;
                    removed += self.remove(&events, Which::Final, now).await?;
                    after = events.last().copied().filter(|_| events.len() == LOOK as usize).unwrap_or(EventId(below));
                }
            }
            match found.last().filter(|_| found.len() == PIECE as usize) {
                Some(oldest) => last = Some(oldest.organization),
                None => return Ok(removed),
            }
        }
    }
}

/// The projects by how long they keep events.
fn by_keep(keeps: &BTreeMap<ProjectId, Duration>) -> BTreeMap<Duration, BTreeSet<ProjectId>> {
    let mut projects: BTreeMap<Duration, BTreeSet<ProjectId>> = BTreeMap::new();
    for (project, keep) in keeps {
        projects.entry(*keep).or_default().insert(*project);
    }
    projects
}
