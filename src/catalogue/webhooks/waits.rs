//! What changes of webhooks wait for: a receiver that is asked, a name that is looked up, another edit of the same webhook.
//!
//! Any of it may take long, and a change that waits holds one of the places for changes meanwhile. So those of one
//! organization may take a part of the places only, and those of all together leave some for everything else.

use fanfare_engine::id::{OrganizationId, WebhookId};

use crate::background::MAX_AT_ONCE;
use crate::catalogue::seats::Seats;
use crate::catalogue::turns::{Turn, Turns};
use crate::catalogue::{CatalogueError, CatalogueResult};

/// How many receivers of one organization are asked at once.
const ASKED: u32 = 8;
/// How many names are looked up at once for one organization.
const LOOKED_UP: u32 = 16;
/// How many edits of one organization's webhooks wait for others of the same webhook.
const IN_TURN: u32 = 16;
/// How many of each kind there are at once of all organizations.
const OF_ALL: u32 = 64;

const _: () =
    assert!((ASKED + LOOKED_UP + IN_TURN) as usize * 4 <= MAX_AT_ONCE, "one organization takes too many places");
const _: () = assert!(OF_ALL as usize * 3 <= MAX_AT_ONCE / 4 * 3, "all organizations together take too many places");

/// See the module.
pub struct Waits {
    /// For the consent of receivers.
    pub(super) asked: Seats,
    /// For name servers. Who finds no seat goes on without the look-up.
    pub(super) looked_up: Seats,
    /// For other edits.
    in_turn: Seats,
}

impl Default for Waits {
    fn default() -> Self {
        Waits {
            asked: Seats::new(ASKED, OF_ALL),
            looked_up: Seats::new(LOOKED_UP, OF_ALL),
            in_turn: Seats::new(IN_TURN, OF_ALL),
        }
    }
}

impl Waits {
    /// Waits until nobody else edits a webhook.
    ///
    /// # Errors
    /// Too many wait already.
    pub(super) async fn turn<'a>(
        &self,
        turns: &'a Turns,
        organization: OrganizationId,
        webhook: WebhookId,
    ) -> CatalogueResult<Turn<'a>> {
        const WHY: &str = "as many edits of webhooks wait for others as may; try again soon";
        if let Some(turn) = turns.now(webhook.0) {
            return Ok(turn);
        }
        let _seat = self.in_turn.take(organization).ok_or(CatalogueError::Busy(WHY))?;
        Ok(turns.wait(webhook.0).await)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    const ONE: OrganizationId = OrganizationId(1);
    const OTHER: OrganizationId = OrganizationId(2);

    /// However many webhooks they are of, and whatever the first of each waits for.
    #[tokio::test]
    async fn so_many_edits_of_an_organization_wait() {
        let (turns, waits) = (Turns::default(), Waits::default());
        let turn = |organization, webhook| Box::pin(waits.turn(&turns, organization, WebhookId(webhook)));
        let mut first = Vec::new();
        for webhook in 0..i64::from(IN_TURN) {
            first.push(turn(ONE, webhook).await.unwrap());
        }
        let mut second: Vec<_> = (0..i64::from(IN_TURN)).map(|webhook| turn(ONE, webhook)).collect();
        for waiting in &mut second {
            assert!(poll!(waiting).is_pending());
        }
        assert!(matches!(turn(ONE, 0).await, Err(CatalogueError::Busy(_))));
        assert!(turn(ONE, 100).await.is_ok(), "nobody else edits it");
        let mut of_another = turn(OTHER, 0);
        assert!(poll!(&mut of_another).is_pending(), "its edits wait in seats of their own");

        first.remove(0);
        assert!(second.remove(0).await.is_ok());
        assert!(poll!(&mut turn(ONE, 1)).is_pending(), "who waits no more leaves the seat");
    }
}
