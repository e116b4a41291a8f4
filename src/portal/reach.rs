//! What a visitor reaches: webhooks and deliveries of the own organization, as far as the user's rights go.

use std::sync::Arc;

use fanfare_engine::access::Action;
use fanfare_engine::id::{DeliveryId, WebhookId};
use fanfare_store::catalogue::Page;
use fanfare_store::catalogue::webhooks::{WebhookFilter, WebhookRow};
use fanfare_store::log::{self, DeliveryRow};

use super::visitor::Visitor;
use crate::app::App;
use crate::catalogue::access::Actor;
use crate::catalogue::webhooks::{self, OpenWebhook};
use crate::catalogue::{CatalogueError, CatalogueResult, Found};
use crate::compiled::CompiledOrganization;

/// A page of the visitor's webhooks.
///
/// # Errors
/// The user may not see webhooks here.
pub(super) async fn webhooks(
    app: &App,
    visitor: &Visitor,
    filter: &WebhookFilter,
    page: Page,
) -> CatalogueResult<Vec<WebhookRow>> {
    Ok(search(app, visitor, filter, page).await?.rows)
}

/// A page of those of the visitor's webhooks that a search finds.
///
/// # Errors
/// The user may not see webhooks here.
pub(super) async fn search(
    app: &App,
    visitor: &Visitor,
    filter: &WebhookFilter,
    page: Page,
) -> CatalogueResult<Found<WebhookRow>> {
    webhooks::rows_in(app, &visitor.place(), filter.clone(), page).await
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

/// The delivery that `text` names, and whether the user who may see it may also manage it.
///
/// # Errors
/// It is unknown in the visitor's organization, or the user may not see it: as the rules of its webhook say, or where that is
/// deleted, of all that matter in the organization.
pub(super) async fn delivery_seen(app: &App, visitor: &Visitor, text: &str) -> CatalogueResult<(DeliveryRow, bool)> {
    let row = delivery_there(app, visitor, text).await?;
    let may = Rights::of(app, visitor, &row).await?;
    may.act(app, Action::See).await?;
    let manages = allowed(may.act(app, Action::Manage).await)?;
    Ok((row, manages))
}

/// The delivery that `text` names, for one who manages it.
///
/// # Errors
/// It is unknown in the visitor's organization, or the user may not manage it.
pub(super) async fn delivery_managed(app: &App, visitor: &Visitor, text: &str) -> CatalogueResult<DeliveryRow> {
    let row = delivery_there(app, visitor, text).await?;
    Rights::of(app, visitor, &row).await?.act(app, Action::Manage).await?;
    Ok(row)
}

async fn delivery_there(app: &App, visitor: &Visitor, text: &str) -> CatalogueResult<DeliveryRow> {
    let unknown = CatalogueError::NotFound("delivery");
    let Some(id) = DeliveryId::parse(text) else { return Err(unknown) };
    let own = visitor.organization.id;
    let row = app.store.read_one(log::delivery(id)).await?.filter(|row| row.organization == own).ok_or(unknown)?;
    Ok(row)
}

/// What a visitor may do with a delivery: as the rules of its webhook say.
struct Rights {
    actor: Actor,
    organization: Arc<CompiledOrganization>,
    webhook: WebhookId,
}

impl Rights {
    async fn of(app: &App, visitor: &Visitor, row: &DeliveryRow) -> CatalogueResult<Rights> {
        let organization = app.compiled().organization(visitor.organization.id).await?;
        let organization = organization.ok_or(CatalogueError::NotFound("organization"))?;
        Ok(Rights { actor: actor(app, visitor).await?, organization, webhook: row.webhook })
    }

    async fn act(&self, app: &App, action: Action) -> CatalogueResult<()> {
        match self.organization.webhook(self.webhook).map(|known| &known.webhook) {
            Some(webhook) => {
                let filter = webhook.settings.filter.as_ref();
                self.actor.may(app, self.organization.id, &webhook.profile, filter, action).await
            }
            None => self.actor.may_everywhere(&self.organization, action),
        }
    }
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
