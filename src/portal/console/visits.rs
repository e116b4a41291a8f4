//! `/console/organizations/{org}/open`: the operator's way into an organization's portal.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::post;

use super::Answer;
use super::operator::Change;
use crate::app::App;
use crate::catalogue::organizations;
use crate::catalogue::sessions::{self, NewSession};
use crate::portal::{open, webhooks};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/console/organizations/{org}/open", post(visit))
}

/// Makes a session of the organization's portal for the host itself, which ends with that of the console at the latest, and
/// goes to the wanted page of it.
async fn visit(State(app): State<Arc<App>>, Path(org): Path<String>, Change(operator, form): Change) -> Answer {
    let organization = organizations::find(&app, operator.project.id, &org).await?;
    let new = NewSession { console: Some(operator.session.id), ..NewSession::default() };
    let (_, code) = sessions::create(&app, &organization, new).await?;
    let (session, token) = sessions::open(&app, &code, std::collections::BTreeMap::new()).await?;
    tracing::info!(organization = %organization.id, by = %operator.session.id, session = %session.id,
        "an operator opened an organization's portal");
    let cookie = open::cookie(&app, &session, &token)?;
    let wanted = form.get("to");
    let plain = wanted.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-'));
    let to = if wanted.starts_with("/portal/") && plain { wanted } else { webhooks::PATH };
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response())
}
