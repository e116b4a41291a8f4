//! Webhooks: made, edited, switched, listed, removed, and their secrets.
//!
//! The same functions serve customers' webhooks and the operator's own, which are in the organization that is never
//! shown and choose from [`OPERATOR_EVENTS`].

mod create;
mod edit;
mod endpoint;
mod first_test;
mod handshake;
mod input;
mod masking;
mod owner;
mod secrets;
mod switch;
mod waits;

use fanfare_engine::access::Action;
use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::webhook::Credentials;
use fanfare_store::catalogue::Page;
use fanfare_store::catalogue::webhooks::{self as rows, WebhookFilter, WebhookRow};
use fanfare_store::queue::Touches;

use uuid::Uuid;

pub use create::create;
pub use edit::{edit, edit_seen};
pub use endpoint::judge_url;
pub use input::{AuthShape, ContentTypeShape, EventsShape, FilterShape, HeaderList, MethodShape, RateLimitShape};
pub use input::{RetryShape, SecretInput, SecretShape, WebhookInput, given};
use masking::hide_headers;
pub use masking::{MASK, hide_sent_headers, shown_headers};
pub use secrets::{MAX_OVERLAP_SECONDS, Rotation, rotate};
pub use switch::{Switch, switch};
pub use waits::Waits;

use super::access::Actor;
use super::turns::Turn;
use super::{CatalogueError, CatalogueResult, Found};
use crate::app::App;
use crate::vault::VaultError;

/// How many webhooks an organization may have.
pub const MAX_WEBHOOKS: u32 = 100_000;

/// How many bytes the settings and credentials of an organization's webhooks may take together (128 MiB): all of them are
/// in memory while events come for it.
pub const MAX_WEBHOOK_BYTES: u32 = 128 << 20;

/// The event types of the operator's own webhooks.
pub const OPERATOR_EVENTS: [&str; 2] = ["webhook.auto_disabled", "delivery.exhausted"];

const NAME: &str = "webhook";

/// Where webhooks are looked for and made, and on whose behalf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub project: ProjectId,
    pub organization: OrganizationId,
    /// Whether it is the operator's own organization.
    pub operator: bool,
    /// The user on whose behalf it is done; `None` for the host itself.
    pub user: Option<String>,
    /// Whether a webhook may be given its number, UUID and several secrets, as when it comes from another system.
    pub imports: bool,
}

impl Place {
    fn touches(&self) -> Touches {
        Touches { project: self.project, organization: Some(self.organization) }
    }

    /// Refuses where the user on whose behalf it is done may not do this with the webhook.
    async fn check(&self, app: &App, webhook: &WebhookRow, action: Action) -> CatalogueResult<()> {
        let actor = Actor::of(app, self.organization, self.user.as_deref()).await?;
        self.judge(app, &actor, webhook, action).await
    }

    async fn judge(&self, app: &App, actor: &Actor, webhook: &WebhookRow, action: Action) -> CatalogueResult<()> {
        let WebhookRow { profile, settings, .. } = webhook;
        actor.may(app, self.organization, profile, settings.filter.as_ref(), action).await
    }

    /// Masks what one may not see who may not manage the webhook.
    async fn hide(&self, app: &App, actor: &Actor, webhook: &mut OpenWebhook) -> CatalogueResult<()> {
        if webhook.credentials.headers.is_empty() {
            return Ok(());
        }
        match self.judge(app, actor, &webhook.row, Action::Manage).await {
            Err(CatalogueError::Forbidden(_)) => hide_headers(&mut webhook.credentials.headers),
            other => other?,
        }
        Ok(())
    }

    fn tell(&self, app: &App, webhook: WebhookId) {
        app.observer.webhook_changed(self.organization, webhook);
    }
}

/// A webhook with its credentials opened.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenWebhook {
    pub row: WebhookRow,
    pub credentials: Credentials,
    /// The credentials can't be decrypted, and are shown as if there were none.
    pub unreadable: bool,
}

/// What is said of a webhook whose credentials can't be decrypted.
pub const UNREADABLE: &str = "Its credentials can't be decrypted, so its deliveries wait. Start the server with the master key that encrypted \
     them, or delete the webhook and create it again.";

impl OpenWebhook {
    fn open(app: &App, row: WebhookRow) -> CatalogueResult<OpenWebhook> {
        let credentials = app.vault.open_credentials(row.id, &row.sealed).map_err(|error| match error {
            VaultError::Damaged => CatalogueError::State(UNREADABLE),
            error => error.into(),
        })?;
        Ok(OpenWebhook { row, credentials, unreadable: false })
    }

    /// The same for showing it, so that one whose credentials can't be decrypted can be found and keeps nobody from the others.
    fn open_to_show(app: &App, row: WebhookRow) -> OpenWebhook {
        let opened = app.vault.open_credentials(row.id, &row.sealed);
        let unreadable = opened.is_err();
        OpenWebhook { row, credentials: opened.unwrap_or_default(), unreadable }
    }

    fn seal(&mut self, app: &App) {
        self.row.sealed = app.vault.seal_credentials(self.row.id, &self.credentials);
    }
}

/// The webhook that `text` names, for looking at: the values of its custom headers are masked for a user who may not manage
/// it.
///
/// # Errors
/// It is unknown in this place, or the user may not see it.
pub async fn seen(app: &App, place: &Place, text: &str) -> CatalogueResult<OpenWebhook> {
    let id = WebhookId::parse(text).ok_or(CatalogueError::NotFound(NAME))?;
    let mut webhook = OpenWebhook::open_to_show(app, row(app, place, id).await?);
    let actor = Actor::of(app, place.organization, place.user.as_deref()).await?;
    place.judge(app, &actor, &webhook.row, Action::See).await?;
    place.hide(app, &actor, &mut webhook).await?;
    Ok(webhook)
}

/// The webhook that `text` names, for doing something with it.
///
/// # Errors
/// It is unknown in this place, or the user may not manage it.
pub async fn managed(app: &App, place: &Place, text: &str) -> CatalogueResult<OpenWebhook> {
    let webhook = find(app, place, text).await?;
    place.check(app, &webhook.row, Action::Manage).await?;
    Ok(webhook)
}

/// The webhook that `text` names: its id.
async fn find(app: &App, place: &Place, text: &str) -> CatalogueResult<OpenWebhook> {
    let id = WebhookId::parse(text).ok_or(CatalogueError::NotFound(NAME))?;
    get(app, place, id).await
}

/// Waits until nobody else edits the webhook that `text` names.
///
/// # Errors
/// Too many wait already: an edit may take as long as the receiver takes to answer.
async fn turn<'a>(app: &'a App, place: &Place, text: &str) -> CatalogueResult<Turn<'a>> {
    let id = WebhookId::parse(text).ok_or(CatalogueError::NotFound(NAME))?;
    app.waits.turn(&app.turns, place.organization, id).await
}

async fn get(app: &App, place: &Place, id: WebhookId) -> CatalogueResult<OpenWebhook> {
    OpenWebhook::open(app, row(app, place, id).await?)
}

async fn row(app: &App, place: &Place, id: WebhookId) -> CatalogueResult<WebhookRow> {
    app.store.read_one(rows::by_id(place.organization, id)).await?.ok_or(CatalogueError::NotFound(NAME))
}

/// The webhook with this UUID.
///
/// # Errors
/// It is unknown in this place.
pub async fn by_uuid(app: &App, place: &Place, uuid: Uuid) -> CatalogueResult<OpenWebhook> {
    let row = app.store.read_one(rows::by_uuid(uuid)).await?;
    let row = row.filter(|row| row.organization == place.organization);
    OpenWebhook::open(app, row.ok_or(CatalogueError::NotFound(NAME))?)
}

/// The webhook with this number.
///
/// # Errors
/// It is unknown in this place.
pub async fn by_number(app: &App, place: &Place, number: i64) -> CatalogueResult<OpenWebhook> {
    let row = app.store.read_one(rows::by_number(place.organization, number)).await?;
    OpenWebhook::open(app, row.ok_or(CatalogueError::NotFound(NAME))?)
}

/// A page of webhooks of a place; of a search those among as many as are looked at for one page.
///
/// # Errors
/// The user may not see the webhooks of every profile that matters there.
pub async fn list_in(
    app: &App,
    place: &Place,
    filter: WebhookFilter,
    page: Page,
) -> CatalogueResult<Found<OpenWebhook>> {
    let mut found = opened(app, rows_in(app, place, filter, page).await?);
    hidden(app, place, &mut found.rows).await?;
    Ok(found)
}

/// Masks in webhooks of a place what a user may not see.
///
/// # Errors
/// The store's.
pub async fn hidden(app: &App, place: &Place, webhooks: &mut [OpenWebhook]) -> CatalogueResult<()> {
    let actor = Actor::of(app, place.organization, place.user.as_deref()).await?;
    for webhook in webhooks {
        place.hide(app, &actor, webhook).await?;
    }
    Ok(())
}

/// The same without their credentials, so that one of which they cannot be opened keeps nobody from the others.
///
/// # Errors
/// As [`list_in`].
pub async fn rows_in(
    app: &App,
    place: &Place,
    filter: WebhookFilter,
    page: Page,
) -> CatalogueResult<Found<WebhookRow>> {
    let actor = Actor::of(app, place.organization, place.user.as_deref()).await?;
    if actor != Actor::Host {
        let organization = app.compiled().organization(place.organization).await?;
        let organization = organization.ok_or(CatalogueError::NotFound("organization"))?;
        actor.may_everywhere(&organization, Action::See)?;
    }
    let filter = WebhookFilter { organization: Some(place.organization), ..filter };
    rows_of(app, place.project, &filter, page).await
}

/// A page of webhooks of a project, for the host; see [`list_in`].
pub async fn list(
    app: &App,
    project: ProjectId,
    filter: &WebhookFilter,
    page: Page,
) -> CatalogueResult<Found<OpenWebhook>> {
    Ok(opened(app, rows_of(app, project, filter, page).await?))
}

/// The same without their credentials.
///
/// # Errors
/// The store's.
pub async fn rows_of(
    app: &App,
    project: ProjectId,
    filter: &WebhookFilter,
    page: Page,
) -> CatalogueResult<Found<WebhookRow>> {
    let end = filter.searches().then(|| rows::scan_end(project, filter, page));
    Ok(Found::read(app, rows::list(project, filter, page), page.limit, end).await?)
}

fn opened(app: &App, found: Found<WebhookRow>) -> Found<OpenWebhook> {
    found.map(|row| OpenWebhook::open_to_show(app, row))
}

/// Refuses a webhook for which there is no room any more, `before` being what it took until now.
async fn check_bytes(app: &App, before: i64, after: &WebhookRow) -> CatalogueResult<()> {
    let more = rows::stored_bytes(after) - before;
    if more <= 0 {
        return Ok(());
    }
    let taken = app.store.read_one(rows::bytes(after.organization)).await?.unwrap_or(0);
    let what = "bytes of settings and credentials in an organization's webhooks";
    match has_room(taken, more) {
        true => Ok(()),
        false => Err(CatalogueError::Full { what, most: MAX_WEBHOOK_BYTES }),
    }
}

/// Whether so many bytes more may be kept where others are.
fn has_room(taken: i64, more: i64) -> bool {
    taken.saturating_add(more) <= i64::from(MAX_WEBHOOK_BYTES)
}

/// Removes a webhook, even one whose credentials cannot be opened. What still waits for it is skipped, with that reason.
///
/// # Errors
/// It is unknown in this place, or the user may not manage it.
pub async fn delete(app: &App, place: &Place, text: &str) -> CatalogueResult<()> {
    let id = WebhookId::parse(text).ok_or(CatalogueError::NotFound(NAME))?;
    place.check(app, &row(app, place, id).await?, Action::Manage).await?;
    app.change(rows::delete(place.organization, id), Some(place.touches())).await?;
    place.tell(app, id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organizations_webhooks_take_so_many_bytes_at_most() {
        let most = i64::from(MAX_WEBHOOK_BYTES);
        assert!(has_room(0, most) && has_room(most - 10, 10));
        assert!(!has_room(most - 10, 11) && !has_room(most, i64::MAX));
    }
}
