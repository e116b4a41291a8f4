//! `/portal/deliveries/stream`: tells a list of deliveries that something changed, so that it asks again.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use fanfare_engine::access::Action;
use futures_util::stream::unfold;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::Answer;
use super::reach;
use super::visitor::Visitor;
use crate::app::App;
use crate::dispatch::updates::DeliveryUpdate;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/portal/deliveries/stream", get(stream))
}

async fn stream(State(app): State<Arc<App>>, visitor: Visitor) -> Answer {
    reach::everything(&app, &visitor, Action::See).await?;
    let updates = app.dispatcher.updates();
    let stopping = app.stopping.clone();
    let events = unfold(Watcher { app, visitor, updates, stopping }, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok::<Event, Infallible>(event), watcher))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// Waits for what changes in a visitor's organization.
struct Watcher {
    app: Arc<App>,
    visitor: Visitor,
    updates: Receiver<Arc<DeliveryUpdate>>,
    stopping: watch::Receiver<bool>,
}

impl Watcher {
    /// The next event; `None` when the server stops, the visit is over, or the user may not see it any more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let update = tokio::select! {
                update = self.updates.recv() => update,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            };
            let event = match update {
                Ok(update) if update.organization != self.visitor.organization.id => continue,
                Ok(update) => Event::default().event("delivery").data(update.delivery.to_string()),
                Err(RecvError::Lagged(count)) => Event::default().event("lost").data(count.to_string()),
                Err(RecvError::Closed) => return None,
            };
            return self.may_still_see().await.then_some(event);
        }
    }

    async fn may_still_see(&self) -> bool {
        let is_open = self.app.now() < self.visitor.session.expires_at;
        is_open && reach::everything(&self.app, &self.visitor, Action::See).await.is_ok()
    }
}
