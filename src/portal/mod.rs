//! The portal: what a customer's people see of their organization, one file per page, its template named like it.
//!
//! Pages are rendered on the server and work without JavaScript; htmx fetches the same pages and takes parts of them. They
//! work through the same services as the API. `gate` stands before all of them, `visitor` says who asks, `refusal` is what
//! is shown instead of a page.

mod assets;
mod catalogue;
mod charts;
mod console;
mod deliveries;
mod delivery;
mod event_type;
mod faults;
mod form;
mod gate;
mod job;
mod json;
mod open;
mod reach;
mod recover;
mod refusal;
mod resend;
mod shell;
mod sparkline;
mod story;
mod stream;
mod texts;
mod theme;
mod verify;
mod visitor;
mod wanted;
mod webhook;
mod webhook_form;
mod webhooks;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tower_http::compression::CompressionLayer;

use self::refusal::Refusal;
use crate::app::App;
use crate::metered::Metered;

/// What a page's handler answers.
type Answer = Result<Response, Refusal>;

/// The portal, below `/portal`.
pub fn router(app: &Arc<App>) -> Router {
    let pages = Router::new()
        .route("/portal", get(async || Redirect::to(webhooks::PATH)))
        .route("/portal/", get(async || Redirect::to(webhooks::PATH)))
        .merge(open::routes())
        .merge(theme::routes())
        .merge(webhooks::routes())
        .merge(webhook_form::routes())
        .merge(webhook::routes())
        .merge(verify::routes())
        .merge(recover::routes())
        .merge(job::routes())
        .merge(deliveries::routes())
        .merge(stream::routes())
        .merge(resend::routes())
        .merge(delivery::routes())
        .merge(catalogue::routes())
        .merge(event_type::routes())
        .route("/portal/{*rest}", axum::routing::any(async || Refusal::NotFound))
        .method_not_allowed_fallback(async || Refusal::NotFound)
        .layer(from_fn_with_state(Arc::clone(app), gate::gate))
        .with_state(Arc::clone(app));
    let metered = Metered::new(app.dispatcher.tools.memory.clone(), no_memory);
    pages.merge(console::router(app)).layer(metered).merge(assets::routes()).layer(CompressionLayer::new())
}

/// The answer while the pages that wait to be read use up their memory.
fn no_memory() -> Response {
    let retry = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, retry, "The server is busy. Reload the page in a moment.").into_response()
}
