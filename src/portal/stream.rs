//! `/portal/deliveries/stream`: tells a list of deliveries that something changed, so that it asks again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use fanfare_engine::access::Action;
use futures_util::stream::unfold;

use super::Answer;
use super::reach;
use super::visitor::{Known, Visitor};
use crate::app::App;
use crate::catalogue::watching::{Happened, MayStill, Watch};

/// How long it rests between two words: a list is not asked for more often.
const REST: Duration = Duration::from_millis(400);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/portal/deliveries/stream", get(stream))
}

async fn stream(State(app): State<Arc<App>>, visitor: Visitor, headers: HeaderMap) -> Answer {
    reach::everything(&app, &visitor, Action::See).await?;
    let may_still = asking_again(Arc::clone(&app), headers, &visitor);
    let watch = Watch::start(&app, visitor.organization.id, may_still)?;
    let events = unfold(watch, |mut watch| async move {
        let event = match watch.next_after(REST).await? {
            Happened::Update(update) => Event::default().event("delivery").data(update.delivery.to_string()),
            Happened::Lost(count) => Event::default().event("lost").data(count.to_string()),
        };
        Some((Ok::<Event, Infallible>(event), watch))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// Asks anew what the gate asked at the beginning: the visit ends, or its user loses the right.
fn asking_again(app: Arc<App>, headers: HeaderMap, visitor: &Visitor) -> MayStill {
    let asked = Arc::new((app, headers, visitor.session.id));
    Box::new(move || {
        let asked = Arc::clone(&asked);
        Box::pin(async move {
            let (app, headers, session) = &*asked;
            match Known::of(app, headers).await {
                Ok(Known::Visitor(now)) if now.session.id == *session => {
                    reach::everything(app, &now, Action::See).await.is_ok()
                }
                _ => false,
            }
        })
    })
}
