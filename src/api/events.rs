//! Events: posting one or many, reading them, and explaining whom they went to.

mod batch;
mod explain;
mod hops;
mod input;
pub(super) mod post;
mod read;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The routes of events.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(read::list, post::post))
        .routes(routes!(read::get))
        .routes(routes!(explain::explain))
        .routes(routes!(batch::batch))
}
