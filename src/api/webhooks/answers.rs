//! What is answered about webhooks in one place, be it a customer's or the operator's.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fanfare_engine::webhook::Status;
use fanfare_store::catalogue::webhooks::WebhookFilter;
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::{SecretBody, WebhookBody, show, show_secrets};
use crate::api::auth::Principal;
use crate::api::idempotency::with_secret;
use crate::api::page::{List, ListBody};
use crate::api::problem::{Answer, Code, Problem};
use crate::app::App;
use crate::catalogue::organizations;
use crate::catalogue::webhooks::{self, OpenWebhook, Place, Rotation, Switch, WebhookInput};

/// The longest text that is searched for, in characters.
const MAX_SEARCH_CHARS: usize = 200;

/// Which webhooks of a place.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WebhookQuery {
    /// Only those with this status: `active`, `deactivated`, `paused` or `auto_disabled`.
    pub status: Option<String>,
    /// Only those with this in their name or URL. Of many, so many are looked at for a piece: one may be short or empty though
    /// `next_cursor` says that the list goes on.
    pub search: Option<String>,
    /// At most so many entries: 1 to 250, by default 50.
    pub limit: Option<u32>,
    /// The `next_cursor` of the piece before.
    pub cursor: Option<String>,
}

/// How a secret is to be replaced.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// The new one; one is made where none is given.
    secret: Option<String>,
    /// How long the present one still signs: 0 to 2592000 (30 days), by default as the profile says.
    overlap_seconds: Option<u32>,
    /// Where the webhook has secrets for single headers: which of them is to be replaced.
    header: Option<String>,
}

/// Refuses a webhook that gets nothing as it is.
pub(super) fn active(webhook: &OpenWebhook) -> Answer<()> {
    let status = webhook.row.status;
    if status.takes_events() {
        return Ok(());
    }
    Err(Problem::new(Code::InvalidState, format!("the webhook is {}; enable it first", status.name())))
}

/// The place of a customer's webhooks.
pub(in crate::api) async fn customer_place(app: &App, principal: &Principal, org: &str) -> Answer<Place> {
    let organization = principal.organization(app, org).await?;
    Ok(Place {
        project: organization.project,
        organization: organization.id,
        operator: false,
        user: principal.user.clone(),
        imports: principal.is_admin(),
    })
}

/// The place of the operator's own webhooks.
pub(in crate::api) async fn operator_place(app: &App, principal: &Principal) -> Answer<Place> {
    let organization = organizations::operator(app, principal.whole_project()?).await?;
    Ok(Place {
        project: organization.project,
        organization: organization.id,
        operator: true,
        user: principal.user.clone(),
        imports: principal.is_admin(),
    })
}

pub(in crate::api) async fn list(app: &App, place: &Place, query: WebhookQuery) -> Answer<Json<ListBody<WebhookBody>>> {
    let name = format!("webhooks {} {:?} {:?}", place.organization, query.status, query.search);
    let list = List::ask(&app.vault, name, query.limit, query.cursor.as_deref())?;
    let filter = WebhookFilter {
        organization: None,
        status: status(query.status.as_deref())?,
        search: search(query.search)?,
        ..WebhookFilter::default()
    };
    let found = webhooks::list_in(app, place, filter, list.page()).await?;
    Ok(list.answer(found, |webhook| webhook.row.id.0, |webhook| show(webhook, place.operator, None)))
}

pub(in crate::api) fn status(name: Option<&str>) -> Answer<Option<Status>> {
    let Some(name) = name else { return Ok(None) };
    let found = Status::ALL.into_iter().find(|status| status.name() == name);
    found.map(Some).ok_or_else(|| {
        let known = Status::ALL.map(Status::name).join(", ");
        Problem::field(Code::InvalidParameter, "status", format!("must be one of {known}"))
    })
}

pub(in crate::api) fn search(text: Option<String>) -> Answer<Option<String>> {
    match text {
        Some(text) if text.chars().count() > MAX_SEARCH_CHARS => {
            let message = format!("must have at most {MAX_SEARCH_CHARS} characters");
            Err(Problem::field(Code::InvalidParameter, "search", message))
        }
        other => Ok(other.filter(|text| !text.is_empty())),
    }
}

pub(in crate::api) async fn create(app: &App, place: &Place, input: WebhookInput) -> Answer<Response> {
    let (webhook, made) = webhooks::create(app, place, input).await?;
    with_secret(StatusCode::CREATED, &show(webhook, place.operator, made), &["secret"])
}

pub(in crate::api) async fn get(app: &App, place: &Place, webhook: &str) -> Answer<Json<WebhookBody>> {
    Ok(Json(show(webhooks::seen(app, place, webhook).await?, place.operator, None)))
}

pub(in crate::api) async fn edit(
    app: &App,
    place: &Place,
    webhook: &str,
    input: &WebhookInput,
) -> Answer<Json<WebhookBody>> {
    Ok(Json(show(webhooks::edit(app, place, webhook, input).await?, place.operator, None)))
}

pub(in crate::api) async fn delete(app: &App, place: &Place, webhook: &str) -> Answer<StatusCode> {
    webhooks::delete(app, place, webhook).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::api) async fn switch(
    app: &App,
    place: &Place,
    webhook: &str,
    switch: Switch,
) -> Answer<Json<WebhookBody>> {
    Ok(Json(show(webhooks::switch(app, place, webhook, switch).await?, place.operator, None)))
}

pub(in crate::api) async fn secret(app: &Arc<App>, place: &Place, webhook: &str) -> Answer<Json<SecretBody>> {
    // Who holds a secret can sign as the host does, which is more than seeing.
    let webhook = webhooks::managed(app, place, webhook).await?;
    Ok(Json(show_secrets(&webhook.credentials, app.now())))
}

pub(in crate::api) async fn rotate(app: &App, place: &Place, webhook: &str, body: RotateBody) -> Answer<Response> {
    let rotation = Rotation { secret: body.secret, overlap_seconds: body.overlap_seconds, header: body.header };
    let webhook = webhooks::rotate(app, place, webhook, &rotation).await?;
    let secrets = show_secrets(&webhook.credentials, app.now());
    with_secret(StatusCode::OK, &secrets, &["secret", "previous", "further"]).map(IntoResponse::into_response)
}
