//! `/console/failing`: webhooks of all organizations whose receivers fail.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use fanfare_engine::id::WebhookId;
use fanfare_store::catalogue::Page as Piece;
use fanfare_store::catalogue::webhooks::{WebhookFilter, WebhookRow};
use fanfare_store::stats::{self, LastAttempt};

use super::Answer;
use super::names;
use super::operator::Operator;
use super::shell::Shell;
use crate::app::App;
use crate::catalogue::webhooks;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::wanted::Wanted;
use crate::portal::webhooks::name_of;
use crate::portal::words::{self, Moment, Standing};

const PATH: &str = "/console/failing";
const FILTERS: [&str; 1] = ["search"];
/// How many a page shows.
const SHOWN: u32 = 50;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list))
}

#[derive(Template)]
#[template(path = "console/failing.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    wanted: Wanted,
    rows: Vec<Row>,
    older: Option<String>,
}

struct Row {
    id: String,
    name: String,
    url: String,
    organization: String,
    organization_name: String,
    standing: Standing,
    since: Option<Moment>,
    reason: Option<String>,
    backs_off: Option<Moment>,
    last: Option<(Moment, &'static str, Option<u16>)>,
}

async fn list(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let t = operator.t;
    let project = operator.project.id;
    let wanted = Wanted::of(&FILTERS, &uri);
    let list = format!("console failing {project} {}", wanted.query());
    let before = wanted.cursor().and_then(|cursor| app.vault.read_cursor(&list, cursor));
    let filter =
        WebhookFilter { failing: true, search: wanted.given("search").map(str::to_owned), ..WebhookFilter::default() };
    let piece = Piece { before, limit: SHOWN + 1 };
    let mut found = webhooks::rows_of(&app, project, &filter, piece).await?;
    let next = found.next(SHOWN as usize, |webhook| webhook.id.0);
    let older = next.map(|id| wanted.href(PATH, Some(&app.vault.cursor(&list, id))));
    let found = found.rows;
    let names = names::organizations(&app, &operator, found.iter().map(|webhook| webhook.organization)).await?;
    let ids: Vec<WebhookId> = found.iter().map(|webhook| webhook.id).collect();
    let last: BTreeMap<WebhookId, LastAttempt> =
        app.store.read(stats::last_attempts(&ids)).await?.into_iter().collect();
    let show = |webhook: WebhookRow| {
        let last = last.get(&webhook.id);
        Row {
            id: webhook.id.to_string(),
            name: name_of(t, &webhook.settings),
            organization: webhook.organization.to_string(),
            organization_name: names.get(&webhook.organization).map(|label| label.name.clone()).unwrap_or_default(),
            standing: Standing::of(webhook.status, webhook.failing_since),
            since: webhook.failing_since.map(Moment::from),
            reason: webhook.status_reason,
            backs_off: app.dispatcher.backs_off_until(webhook.id).map(Moment::from),
            last: last.map(|last| (last.at.into(), words::outcome(t, last.outcome), last.response_code)),
            url: webhook.settings.url,
        }
    };
    let shown = found.into_iter().map(show).collect();
    page(&Page { shell: Shell::new(&operator, PATH, "Failing webhooks"), t, wanted, rows: shown, older })
}
