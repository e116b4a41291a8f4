//! What organizations and webhooks are called, for lists: asked for together, without loading more than the names.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_engine::id::{OrganizationId, WebhookId};
use fanfare_store::catalogue::labels::{self, OrganizationLabel, WebhookLabel};

use super::operator::Operator;
use crate::app::App;
use crate::catalogue::CatalogueResult;

/// What the organization is called that holds the operator's own webhooks.
const OWN: &str = "Alerts (your own)";

/// The organizations with these ids, as far as the project has them.
pub(super) async fn organizations(
    app: &App,
    operator: &Operator,
    ids: impl Iterator<Item = OrganizationId>,
) -> CatalogueResult<BTreeMap<OrganizationId, OrganizationLabel>> {
    let ids: Vec<_> = ids.collect::<BTreeSet<_>>().into_iter().collect();
    let found = app.store.read(labels::organizations(operator.project.id, &ids)).await?;
    let named = |label: OrganizationLabel| match label.operator {
        true => OrganizationLabel { name: OWN.to_owned(), ..label },
        false => label,
    };
    Ok(found.into_iter().map(|label| (label.id, named(label))).collect())
}

/// The webhooks with these ids, as far as the project has them.
pub(super) async fn webhooks(
    app: &App,
    operator: &Operator,
    ids: impl Iterator<Item = WebhookId>,
) -> CatalogueResult<BTreeMap<WebhookId, WebhookLabel>> {
    let ids: Vec<_> = ids.collect::<BTreeSet<_>>().into_iter().collect();
    let found = app.store.read(labels::webhooks(operator.project.id, &ids)).await?;
    Ok(found.into_iter().map(|label| (label.id, label)).collect())
}

/// What a webhook is called: its own name, or where it leads.
pub(super) fn of_webhook(label: &WebhookLabel) -> String {
    if label.name.is_empty() { label.url.clone() } else { label.name.clone() }
}
