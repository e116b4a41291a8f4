//! `/v1/clock`: whether the server trusts its system's clock.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fanfare_engine::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Admin;
use super::problem::Answer;
use crate::app::App;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(confirm))
}

/// The system's clock as the server sees it. After a large step nothing is pruned, and no webhook is disabled for failing,
/// until the clock has been steady for an hour.
#[derive(Serialize, ToSchema)]
#[schema(as = Clock)]
pub struct ClockBody {
    #[schema(value_type = String, format = "date-time")]
    now: Timestamp,
    trusted: bool,
    /// When the clock will be trusted again if it runs steadily; null while it is trusted.
    #[schema(value_type = Option<String>, format = "date-time")]
    trusted_at: Option<Timestamp>,
}

impl ClockBody {
    fn of(app: &App) -> Self {
        let trusted_at = app.dispatcher.tools.trusted_clock.trusted_at();
        ClockBody { now: app.now(), trusted: trusted_at.is_none(), trusted_at }
    }
}

/// Shows whether the clock is trusted.
#[utoipa::path(get, path = "/v1/clock", tag = "Server", responses((status = 200, body = ClockBody)))]
async fn show(State(app): State<Arc<App>>, _: Admin) -> Json<ClockBody> {
    Json(ClockBody::of(&app))
}

/// Confirms that the clock is right, so that it is trusted from now on.
#[utoipa::path(post, path = "/v1/clock/confirm", tag = "Server", responses((status = 200, body = ClockBody)))]
async fn confirm(State(app): State<Arc<App>>, _: Admin) -> Answer<Json<ClockBody>> {
    app.dispatcher.tools.trusted_clock.confirm();
    Ok(Json(ClockBody::of(&app)))
}
