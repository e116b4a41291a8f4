//! What a visitor reaches: webhooks and deliveries of the own organization, as far as the user's rights go.

use std::collections::BTreeSet;
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

/// Returns whether the visitor manages a webhook.
///
/// # Errors
/// It cannot be found out.
pub(super) async fn manages(app: &App, visitor: &Visitor, webhook: WebhookId) -> CatalogueResult<bool> {
    allowed(Rights::of(app, visitor).await?.act(app, webhook, Action::Manage).await)
}

/// Refuses who may not do this with everything of the organization.
///
/// # Errors
/// What the user lacks.
pub(super) async fn everything(app: &App, visitor: &Visitor, action: Action) -> CatalogueResult<()> {
    Rights::of(app, visitor).await?.everywhere(action)
}

/// Refuses who may not do this with many deliveries at once: with those of one webhook as its rules say; with those of
/// several, or of one that is gone, as all rules do that matter in the organization, whichever entities they are about.
///
/// # Errors
/// What the user lacks.
pub(super) async fn many(
    app: &App,
    visitor: &Visitor,
    webhook: Option<WebhookId>,
    action: Action,
) -> CatalogueResult<()> {
    let rights = Rights::of(app, visitor).await?;
    let Some((actor, organization)) = &rights.0 else { return Ok(()) };
    match (webhook.filter(|webhook| organization.webhook(*webhook).is_some()), action) {
        (Some(webhook), _) => rights.act(app, webhook, action).await,
        (None, Action::See) => actor.may_everywhere(organization, action),
        (None, Action::Manage) => actor.may_manage_all(organization),
    }
}

/// Those of the webhooks of these deliveries that the visitor manages.
///
/// # Errors
/// It cannot be found out.
pub(super) async fn managed(
    app: &App,
    visitor: &Visitor,
    rows: &[DeliveryRow],
) -> CatalogueResult<BTreeSet<WebhookId>> {
    let rights = Rights::of(app, visitor).await?;
    let webhooks: BTreeSet<WebhookId> = rows.iter().map(|row| row.webhook).collect();
    let mut managed = BTreeSet::new();
    for webhook in webhooks {
        if allowed(rights.act(app, webhook, Action::Manage).await)? {
            managed.insert(webhook);
        }
    }
    Ok(managed)
}

/// The delivery that `text` names, and whether the user who may see it may also manage it.
///
/// # Errors
/// It is unknown in the visitor's organization, or the user may not see it: as the rules of its webhook say, or where that is
/// deleted, of all that matter in the organization.
pub(super) async fn delivery_seen(app: &App, visitor: &Visitor, text: &str) -> CatalogueResult<(DeliveryRow, bool)> {
    let row = delivery_there(app, visitor, text).await?;
    let rights = Rights::of(app, visitor).await?;
    rights.act(app, row.webhook, Action::See).await?;
    let manages = allowed(rights.act(app, row.webhook, Action::Manage).await)?;
    Ok((row, manages))
}

/// The delivery that `text` names, for one who manages it.
///
/// # Errors
/// It is unknown in the visitor's organization, or the user may not manage it.
pub(super) async fn delivery_managed(app: &App, visitor: &Visitor, text: &str) -> CatalogueResult<DeliveryRow> {
    let row = delivery_there(app, visitor, text).await?;
    Rights::of(app, visitor).await?.act(app, row.webhook, Action::Manage).await?;
    Ok(row)
}

async fn delivery_there(app: &App, visitor: &Visitor, text: &str) -> CatalogueResult<DeliveryRow> {
    let unknown = CatalogueError::NotFound("delivery");
    let Some(id) = DeliveryId::parse(text) else { return Err(unknown) };
    let own = visitor.organization.id;
    let row = app.store.read_one(log::delivery(id)).await?.filter(|row| row.organization == own).ok_or(unknown)?;
    Ok(row)
}

/// What a visitor may do: everything, where the host let them in for nobody; else what the rules say of the user.
struct Rights(Option<(Actor, Arc<CompiledOrganization>)>);

impl Rights {
    async fn of(app: &App, visitor: &Visitor) -> CatalogueResult<Rights> {
        let own = visitor.organization.id;
        let actor = Actor::of(app, own, visitor.session.user.as_deref()).await?;
        if actor == Actor::Host {
            return Ok(Rights(None));
        }
        let organization = app.compiled().organization(own).await?;
        Ok(Rights(Some((actor, organization.ok_or(CatalogueError::NotFound("organization"))?))))
    }

    fn everywhere(&self, action: Action) -> CatalogueResult<()> {
        let Some((actor, organization)) = &self.0 else { return Ok(()) };
        actor.may_everywhere(organization, action)
    }

    /// Of a webhook and its deliveries.
    async fn act(&self, app: &App, webhook: WebhookId, action: Action) -> CatalogueResult<()> {
        let Some((actor, organization)) = &self.0 else { return Ok(()) };
        match organization.webhook(webhook).map(|known| &known.webhook) {
            Some(webhook) => {
                let filter = webhook.settings.filter.as_ref();
                actor.may(app, organization.id, &webhook.profile, filter, action).await
            }
            None => actor.may_everywhere(organization, action),
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
