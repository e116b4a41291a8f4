//! The test event that a webhook's profile wants as it is made or switched on: kept in the same commit, so that a crash
//! loses neither or both.

use fanfare_engine::delivery::Trigger;
use fanfare_engine::id::WebhookId;
use fanfare_engine::profile::Profile;
use fanfare_store::StoreResult;
use fanfare_store::catalogue::webhooks::WebhookRow;
use fanfare_store::query::Change;
use fanfare_store::queue::{Accept, Operation, Touches};

use crate::app::App;
use crate::catalogue::sending;
use crate::{intake, test_event};

/// The event for a webhook with these settings; `None` where its profile has none to send.
pub(super) async fn prepare(app: &App, profile: &Profile, row: &WebhookRow) -> StoreResult<Option<Accept>> {
    let types = app.compiled().event_types(row.project).await?;
    let event = test_event::choose(profile, &row.settings, &types, None);
    let trigger = if profile.activation.test_retries { Trigger::RetriedTest } else { Trigger::Test };
    let place = (row.project, row.organization, row.id);
    Ok(event.map(|event| intake::test_to_keep(&app.dispatcher, place, event, trigger)))
}

/// Writes a change and the event that goes with it.
///
/// `made` is the id of the webhook if the change makes one, and empty otherwise.
pub(super) async fn write(
    app: &App,
    change: Change,
    touches: Touches,
    test: Option<Accept>,
    made: &str,
) -> StoreResult<()> {
    app.write(Operation::Change { change, touches: Some(touches), report: test }, made).await.map(drop)
}

/// Has what waits for a webhook sent, the event that was kept among it, once the change was told. What was looked for while
/// the webhook was off may have been left where it was.
pub(super) fn send(app: &App, webhook: WebhookId) {
    sending::tell(app, vec![(webhook, 1)]);
}
