//! `/portal/deliveries/{delivery}`: one delivery with what was sent and what came back, attempt by attempt.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::id::DeliveryId;

use super::Answer;
use super::deliveries::{self, resendable};
use super::form::Form;
use super::reach;
use super::refusal::Refusal;
use super::shell::{Section, Shell, page};
use super::story::Story;
use super::texts::Texts;
use super::visitor::Visitor;
use super::webhooks::name_of;
use super::words::{self, Moment};
use crate::app::App;
use crate::catalogue::deliveries as listing;
use crate::catalogue::sending;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/portal/deliveries/{delivery}", get(show))
        .route("/portal/deliveries/{delivery}/resend", post(resend))
}

#[derive(Template)]
#[template(path = "portal/delivery.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    id: String,
    shown_id: String,
    event_id: String,
    event_type: String,
    /// The webhook's id and name, while it is there.
    webhook: Option<(String, String)>,
    url: String,
    state: DeliveryState,
    code: Option<u16>,
    skipped: Option<&'static str>,
    next: Option<Moment>,
    /// Whether it can be sent again now.
    resendable: bool,
    story: Story,
}

impl Page {
    fn state_label(&self) -> &'static str {
        words::state(self.t, self.state)
    }
}

async fn show(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, uri: Uri) -> Answer {
    let t = visitor.t;
    let (row, manages) = reach::delivery_seen(&app, &visitor, &id).await?;
    let asked = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let Some(story) = Story::of(&app, t, &row, manages, &asked, &path(row.id, "")).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let known = listing::addressed(&app, vec![row.clone()]).await?.pop();
    let (url, webhook) = known.map_or((String::new(), None), |known| (known.url, known.webhook));
    page(&Page {
        shell: Shell::new(&visitor, Section::Deliveries, format!("{} {}", t.delivery.title, row.id))
            .saying((asked.get("done") == "resent").then_some(t.deliveries.resent)),
        t,
        id: row.id.to_string(),
        shown_id: deliveries::shown_id(deliveries::profile_of(&app, webhook.as_deref()), &row),
        event_id: row.event.to_string(),
        event_type: deliveries::event_label(deliveries::profile_of(&app, webhook.as_deref()), &row.event_type),
        resendable: manages && resendable(&app.profiles, &row, webhook.as_deref()),
        webhook: webhook.map(|webhook| (row.webhook.to_string(), name_of(t, &webhook.settings))),
        url,
        state: row.state,
        code: row.response_code,
        skipped: row.skipped_reason.map(|reason| words::skipped(t, reason)),
        next: row.next_attempt_at.map(Moment::from),
        story,
    })
}

/// Sends a delivery again, and goes back to where the button was.
async fn resend(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let row = reach::delivery_managed(&app, &visitor, &id).await?;
    if !sending::resend(&app, &row).await? {
        return Err(Refusal::State(visitor.t.delivery.left_alone.to_owned()));
    }
    let next = match form.get("from") {
        "list" => deliveries::back(form.get("list")),
        "webhook" => format!("/portal/webhooks/{}", row.webhook),
        _ => path(row.id, "?done=resent"),
    };
    Ok(Redirect::to(&next).into_response())
}

/// The page of a delivery.
pub(super) fn path(id: DeliveryId, query: &str) -> String {
    format!("/portal/deliveries/{id}{query}")
}
