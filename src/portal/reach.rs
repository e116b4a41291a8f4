//! What a visitor reaches: webhooks and deliveries of the own organization, as far as the user's rights go.

use fanfare_engine::access::Action;
use fanfare_engine::id::DeliveryId;
use fanfare_store::catalogue::Page;
use fanfare_store::catalogue::webhooks::WebhookFilter;
use fanfare_store::log::{self, DeliveryRow};

use super::visitor::Visitor;
use crate::app::App;
use crate::catalogue::access::Actor;
use crate::catalogue::webhooks::{self, OpenWebhook};
use crate::catalogue::{CatalogueError, CatalogueResult};

/// A page of the visitor's webhooks.
///
/// # Errors
/// The user may not see webhooks here.
pub(super) async fn webhooks(
    app: &App,
    visitor: &Visitor,
    filter: &WebhookFilter,
    page: Page,
) -> CatalogueResult<Vec<OpenWebhook>> {
    webhooks::list_in(app, &visitor.place(), filter.clone(), page).await
}

/// The webhook that `text` names.
///
/// # Errors
/// It is unknown in the visitor's organization, or the user may not do this with it.
pub(super) async fn webhook(app: &App, visitor: &Visitor, text: &str, action: Action) -> CatalogueResult<OpenWebhook> {
    match action {
        Action::See => webhooks::seen(app, &visitor.place(), text).await,
        Action::Manage => webhooks::managed(app, &visitor.place(), text).await,
    }
}

/// Refuses who may not do this with everything of the organization.
///
/// # Errors
/// What the user lacks.
pub(super) async fn everything(app: &App, visitor: &Visitor, action: Action) -> CatalogueResult<()> {
    let actor = actor(app, visitor).await?;
    if actor == Actor::Host {
        return Ok(());
    }
    let organization = app.compiled().organization(visitor.organization.id).await?;
    actor.may_everywhere(&*organization.ok_or(CatalogueError::NotFound("organization"))?, action)
}

/// The delivery that `text` names.
///
/// # Errors
/// It is unknown in the visitor's organization, or the user may not do this with it: as the rules of its webhook say, or where
/// that is deleted, of all that matter in the organization.
pub(super) async fn delivery(app: &App, visitor: &Visitor, text: &str, action: Action) -> CatalogueResult<DeliveryRow> {
    let unknown = CatalogueError::NotFound("delivery");
    let Some(id) = DeliveryId::parse(text) else { return Err(unknown) };
    let own = visitor.organization.id;
    let row = app.store.read_one(log::delivery(id)).await?.filter(|row| row.organization == own).ok_or(unknown)?;
    let webhook = app.compiled().webhook(row.webhook).await?.filter(|known| known.webhook.organization == own);
    match webhook.as_ref().map(|known| &known.webhook) {
        Some(webhook) => {
            let filter = webhook.settings.filter.as_ref();
            actor(app, visitor).await?.may(app, own, &webhook.profile, filter, action).await?;
        }
        None => everything(app, visitor, action).await?,
    }
    Ok(row)
}

/// Whether something was allowed, where it was tried only to know that.
///
/// # Errors
/// It failed for another reason.
pub(super) fn allowed<T>(tried: CatalogueResult<T>) -> CatalogueResult<bool> {
    match tried {
        Ok(_) => Ok(true),
        Err(CatalogueError::Forbidden(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn actor(app: &App, visitor: &Visitor) -> CatalogueResult<Actor> {
    Actor::of(app, visitor.organization.id, visitor.session.user.as_deref()).await
}
