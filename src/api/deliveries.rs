//! Deliveries: lists, one of them, its attempts, sending again, cancelling, one or many, and the live stream.

mod act;
mod attempts;
mod body;
mod bulk;
mod list;
mod stream;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The routes of deliveries.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(list::list_all))
        .routes(routes!(stream::stream))
        .routes(routes!(list::get))
        .routes(routes!(attempts::attempts))
        .routes(routes!(act::resend))
        .routes(routes!(act::cancel))
}

/// The routes of bulk work on deliveries.
pub(super) fn bulk_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(bulk::resend_many)).routes(routes!(bulk::cancel_many))
}
