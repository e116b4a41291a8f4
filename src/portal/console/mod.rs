//! The console: what the operator sees of a project, all its organizations and what runs. One file per page, its template
//! named like it, made of the portal's parts; its texts stand in its templates.
//!
//! `gate` stands before all of them, `operator` says who asks: by an API key, which decides what may be seen and changed.

mod alert;
mod alerts;
mod api_keys;
mod deliveries;
mod delivery;
mod delivery_rows;
mod entry;
mod event_type;
mod event_types;
mod failing;
mod faults;
mod figures;
mod gate;
mod jobs;
mod names;
mod operator;
mod organization;
mod organizations;
mod overview;
mod pauses;
mod profile_words;
mod profiles;
mod shell;
mod system;
mod visits;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;

use super::Answer;
use super::refusal::Refusal;
use crate::app::App;

/// Where the console begins.
const HOME: &str = "/console";

/// The console, below `/console`.
pub(super) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .merge(entry::routes())
        .merge(overview::routes())
        .merge(organizations::routes())
        .merge(organization::routes())
        .merge(visits::routes())
        .merge(failing::routes())
        .merge(deliveries::routes())
        .merge(delivery::routes())
        .merge(event_types::routes())
        .merge(event_type::routes())
        .merge(profiles::routes())
        .merge(api_keys::routes())
        .merge(pauses::routes())
        .merge(jobs::routes())
        .merge(alerts::routes())
        .merge(alert::routes())
        .merge(system::routes())
        .route("/console/{*rest}", axum::routing::any(async || Refusal::NotFound))
        .method_not_allowed_fallback(async || Refusal::NotFound)
        .layer(from_fn_with_state(Arc::clone(app), gate::gate))
        .with_state(Arc::clone(app))
}
