//! Deliveries as the console lists them, with what they belong to.

use std::collections::BTreeMap;

use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::id::DeliveryId;
use fanfare_store::log::{self, DeliveryRow};

use super::names;
use super::operator::Operator;
use crate::app::App;
use crate::catalogue::CatalogueResult;
use crate::portal::texts::counted;
use crate::portal::words::{self, Moment};

/// A delivery of a list.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) organization: String,
    pub(super) organization_name: String,
    /// Whether it is of a customer who is there: not the operator's own, and not of one who was deleted.
    pub(super) of_customer: bool,
    pub(super) created: Moment,
    pub(super) event_type: String,
    /// What its webhook is called, where it has a name.
    pub(super) webhook: Option<String>,
    pub(super) url: String,
    pub(super) code: Option<u16>,
    pub(super) state: DeliveryState,
    pub(super) state_label: &'static str,
    pub(super) attempts: String,
    pub(super) next: Option<Moment>,
}

/// The rows of a list: all that is beside of them is asked for at once.
pub(super) async fn rows(app: &App, operator: &Operator, found: Vec<DeliveryRow>) -> CatalogueResult<Vec<Row>> {
    let t = operator.t;
    let organizations = names::organizations(app, operator, found.iter().map(|row| row.organization)).await?;
    let webhooks = names::webhooks(app, operator, found.iter().map(|row| row.webhook)).await?;
    let ids: Vec<DeliveryId> = found.iter().map(|row| row.id).collect();
    let urls: BTreeMap<DeliveryId, String> = app.store.read(log::last_urls(&ids)).await?.into_iter().collect();
    let show = |row: DeliveryRow| {
        let organization = organizations.get(&row.organization);
        let webhook = webhooks.get(&row.webhook);
        let sent_to = urls.get(&row.id).filter(|url| !url.is_empty()).cloned();
        Row {
            id: row.id.to_string(),
            organization: row.organization.to_string(),
            organization_name: organization.map_or_else(|| row.organization.to_string(), |label| label.name.clone()),
            of_customer: organization.is_some_and(|label| !label.operator),
            created: row.id.made_at().into(),
            webhook: match webhook {
                Some(label) => Some(label.name.clone()).filter(|name| !name.is_empty()),
                None => Some(t.deliveries.deleted_webhook.to_owned()),
            },
            url: sent_to.or_else(|| webhook.map(|label| label.url.clone())).unwrap_or_default(),
            code: row.response_code,
            state: row.state,
            state_label: words::state(t, row.state),
            attempts: counted(t.deliveries.attempts_one, t.deliveries.attempts_many, row.attempts.into()),
            next: row.next_attempt_at.map(Moment::from),
            event_type: row.event_type,
        }
    };
    Ok(found.into_iter().map(show).collect())
}
