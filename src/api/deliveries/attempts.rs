//! Reading the attempts of a delivery.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fanfare_engine::access::Action;
use fanfare_store::attempts::{self as rows, Piece};
use serde::Deserialize;

use super::body::AttemptBody;
use super::list::find;
use crate::api::auth::{Principal, Reader};
use crate::api::page::{List, ListBody};
use crate::api::problem::{Answer, Code};
use crate::api::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::{MAX_PAGE_BYTES, deliveries};

/// Which piece of the list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AttemptQuery {
    /// At most so many, 1 to 250.
    limit: Option<u32>,
    /// Where the last piece ended.
    cursor: Option<String>,
}

/// List a delivery's attempts
///
/// Where requests and responses are large, a piece has fewer attempts than `limit` allows, and `next_cursor` leads on.
#[utoipa::path(
    get, path = "/v1/organizations/{org}/deliveries/{delivery}/attempts", tag = "Deliveries",
    params(("org" = String, Path, description = "The organization's id or external id"),
           ("delivery" = String, Path, description = "The delivery's id"), AttemptQuery),
    responses((status = 200, description = "Newest first", body = ListBody<AttemptBody>)),
)]
pub(super) async fn attempts(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts((org, delivery)): PathParts<(String, String)>,
    QueryParts(query): QueryParts<AttemptQuery>,
) -> Answer<Json<ListBody<AttemptBody>>> {
    let row = find(&app, &principal, &org, &delivery, Action::See).await?;
    let list = List::ask(&app.vault, format!("attempts {}", row.id), query.limit, query.cursor.as_deref())?;
    let before = list.before().and_then(|number| u32::try_from(number).ok());
    let piece = Piece { before, limit: list.limit(), bytes: MAX_PAGE_BYTES as i64 };
    let mut found = app.store.read(rows::attempts(row.id, piece)).await?;
    if !manages(&app, &principal, &org, &delivery).await? {
        deliveries::hide_headers(&app, &row, &mut found).await?;
    }
    let next = found.last().filter(|_| rows::earlier(&found) > 0).map(|oldest| i64::from(oldest.number));
    Ok(list.answer_until(found.into_iter().map(AttemptBody::from).collect(), next))
}

/// Whether who may see a delivery may also manage it.
async fn manages(app: &App, principal: &Principal, org: &str, delivery: &str) -> Answer<bool> {
    match find(app, principal, org, delivery, Action::Manage).await {
        Ok(_) => Ok(true),
        Err(problem) if problem.code == Code::PermissionDenied => Ok(false),
        Err(problem) => Err(problem),
    }
}
