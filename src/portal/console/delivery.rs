//! `/console/deliveries/{delivery}`: one delivery of any organization, the operator's own included, with its attempts.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::id::DeliveryId;
use fanfare_store::log::{self, DeliveryRow};

use super::deliveries::PATH;
use super::operator::{Change, Operator};
use super::shell::Shell;
use super::{Answer, names};
use crate::app::App;
use crate::catalogue::{CatalogueError, CatalogueResult, deliveries as listing, sending};
use crate::portal::deliveries::resendable;
use crate::portal::form::Form;
use crate::portal::refusal::Refusal;
use crate::portal::shell::page;
use crate::portal::story::Story;
use crate::portal::texts::Texts;
use crate::portal::webhooks::name_of;
use crate::portal::words::{self, Moment};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/console/deliveries/{delivery}", get(show))
        .route("/console/deliveries/{delivery}/resend", post(resend))
        .route("/console/deliveries/{delivery}/cancel", post(cancel))
}

#[derive(Template)]
#[template(path = "console/delivery.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    id: String,
    event_id: String,
    event_type: String,
    organization: String,
    organization_name: String,
    /// Whether it is a customer's: the operator's own organization has neither page nor portal.
    of_customer: bool,
    /// Where its webhook is shown, and what it is called, while it is there.
    webhook: Option<(String, String)>,
    url: String,
    state: DeliveryState,
    state_label: &'static str,
    code: Option<u16>,
    skipped: Option<&'static str>,
    next: Option<Moment>,
    /// Whether it can be sent again now, or cancelled.
    resendable: bool,
    cancellable: bool,
    story: Story,
}

/// The delivery of the project that `text` names.
async fn find(app: &App, operator: &Operator, text: &str) -> CatalogueResult<DeliveryRow> {
    const UNKNOWN: CatalogueError = CatalogueError::NotFound("delivery");
    let id = DeliveryId::parse(text).ok_or(UNKNOWN)?;
    let row = app.store.read_one(log::delivery(id)).await?;
    row.filter(|row| row.project == operator.project.id).ok_or(UNKNOWN)
}

async fn show(State(app): State<Arc<App>>, operator: Operator, Path(id): Path<String>, uri: Uri) -> Answer {
    let t = operator.t;
    let row = find(&app, &operator, &id).await?;
    let asked = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let Some(story) = Story::of(&app, t, &row, true, &asked, &format!("{PATH}/{}", row.id)).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let known = listing::addressed(&app, vec![row.clone()]).await?.pop();
    let (url, webhook) = known.map_or((String::new(), None), |known| (known.url, known.webhook));
    let organization = names::organizations(&app, &operator, std::iter::once(row.organization)).await?;
    let organization = organization.get(&row.organization);
    let own = organization.is_some_and(|label| label.operator);
    let notice = match asked.get("done") {
        "resent" => Some(t.deliveries.resent),
        "cancelled" => Some("It was cancelled, and is not tried again."),
        _ => None,
    };
    page(&Page {
        shell: Shell::new(&operator, PATH, format!("{} {}", t.delivery.title, row.id)).saying(notice),
        t,
        id: row.id.to_string(),
        event_id: row.event.to_string(),
        event_type: row.event_type.clone(),
        organization: row.organization.to_string(),
        organization_name: organization.map_or_else(|| row.organization.to_string(), |label| label.name.clone()),
        of_customer: organization.is_some() && !own,
        resendable: operator.manages() && resendable(&app.profiles, &row, webhook.as_deref()),
        cancellable: operator.manages() && row.state == DeliveryState::Pending,
        webhook: webhook.map(|webhook| {
            let href =
                if own { format!("/console/alerts/{}", webhook.id) } else { format!("{PATH}?webhook={}", webhook.id) };
            (href, name_of(t, &webhook.settings))
        }),
        url,
        state: row.state,
        state_label: words::state(t, row.state),
        code: row.response_code,
        skipped: row.skipped_reason.map(|reason| words::skipped(t, reason)),
        next: row.next_attempt_at.map(Moment::from),
        story,
    })
}

async fn resend(State(app): State<Arc<App>>, Path(id): Path<String>, Change(operator, _): Change) -> Answer {
    let row = find(&app, &operator, &id).await?;
    if !sending::resend(&app, &row).await? {
        return Err(Refusal::State(operator.t.delivery.left_alone.to_owned()));
    }
    Ok(Redirect::to(&format!("{PATH}/{}?done=resent", row.id)).into_response())
}

async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>, Change(operator, _): Change) -> Answer {
    let row = find(&app, &operator, &id).await?;
    sending::cancel(&app, &row).await?;
    Ok(Redirect::to(&format!("{PATH}/{}?done=cancelled", row.id)).into_response())
}
