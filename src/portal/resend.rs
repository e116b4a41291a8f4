//! `/portal/deliveries/resend`: sending again the deliveries that were chosen in the list, or all that its filters match.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::access::Action;
use fanfare_store::catalogue::jobs::Task;

use super::Answer;
use super::deliveries::{self, SHOWN};
use super::form::Form;
use super::refusal::Refusal;
use super::shell::{Section, Shell, page};
use super::texts::{Texts, counted, fill};
use super::visitor::Visitor;
use super::wanted::Wanted;
use super::{job, reach};
use crate::app::App;
use crate::catalogue::deliveries as listing;
use crate::catalogue::{CatalogueError, jobs, sending};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/portal/deliveries/resend", get(ask).post(all))
        .route("/portal/deliveries/resend/chosen", post(chosen))
}

#[derive(Template)]
#[template(path = "portal/resend.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    /// The list's filters, as a query.
    list: String,
    /// Where the list is.
    back: String,
    title: String,
    /// The filters in words: names and values.
    filters: Vec<(&'static str, String)>,
    /// Whether there is anything to send.
    some: bool,
}

/// Says how many the filters match, before anything is done.
async fn ask(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Answer {
    let t = visitor.t;
    let wanted = Wanted::of(&deliveries::FILTERS, &uri);
    let task = task(&app, &visitor, &wanted).await?;
    let count = jobs::count(&app, visitor.project.id, Some(visitor.organization.id), &task).await?;
    let title = fill(t.deliveries.resend_all_title, &[("count", &job::counted(t, count))]);
    page(&Page {
        shell: Shell::new(&visitor, Section::Deliveries, t.deliveries.resend_all),
        t,
        list: wanted.query(),
        back: wanted.href(deliveries::PATH, None),
        title,
        filters: deliveries::filters_in_words(&app, &visitor, &wanted).await?,
        some: count.count > 0 || count.more,
    })
}

/// Has all be sent again that the filters match.
async fn all(State(app): State<Arc<App>>, visitor: Visitor, form: Form) -> Answer {
    let wanted = Wanted::read(&deliveries::FILTERS, form.get("list"));
    let task = task(&app, &visitor, &wanted).await?;
    let made = jobs::start_once(&app, visitor.project.id, visitor.organization.id, task).await?;
    Ok(Redirect::to(&job::path(made.id)).into_response())
}

/// What the filters match, for one who may send all of it.
async fn task(app: &App, visitor: &Visitor, wanted: &Wanted) -> Result<Task, Refusal> {
    let (filter, faults) =
        deliveries::filter(app, visitor.t, visitor.project.id, Some(visitor.organization.id), wanted).await?;
    // With less than all filters it would be more than what was looked at.
    if !faults.is_empty() {
        return Err(Refusal::State(faults.join(" ")));
    }
    reach::many(app, visitor, filter.webhook, Action::Manage).await?;
    Ok(Task::Resend(listing::as_shown(app, filter).await?))
}

/// Sends the chosen ones again, and goes back to the list.
async fn chosen(State(app): State<Arc<App>>, visitor: Visitor, form: Form) -> Answer {
    let (mut sent, mut left) = (0_u32, 0_u32);
    for id in form.all("id").take(SHOWN as usize) {
        let tried = async {
            let row = reach::delivery_managed(&app, &visitor, id).await?;
            sending::resend(&app, &row).await
        };
        match tried.await {
            Ok(true) => sent += 1,
            // It is being sent, its webhook is off or deleted, it is kept no longer, or it is not the visitor's to send; the
            // others go all the same.
            Ok(false)
            | Err(
                CatalogueError::Unready(_)
                | CatalogueError::State(_)
                | CatalogueError::NotFound(_)
                | CatalogueError::Forbidden(_),
            ) => left += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let list = deliveries::back(form.get("list"));
    let join = if list.contains('?') { '&' } else { '?' };
    Ok(Redirect::to(&format!("{list}{join}resent={sent}&left={left}")).into_response())
}

/// What was done before the list was shown again.
pub(super) fn notice(t: &Texts, uri: &Uri) -> Option<String> {
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let number = |name| form.given(name).and_then(|text| text.parse::<u64>().ok());
    let (sent, left) = (number("resent")?, number("left").unwrap_or(0));
    let d = &t.deliveries;
    let done = match sent {
        0 if left == 0 => d.chosen_none.to_owned(),
        0 => String::new(),
        sent => counted(d.chosen_one, d.chosen_many, sent),
    };
    let rest = if left == 0 { String::new() } else { counted(d.chosen_left_one, d.chosen_left_many, left) };
    Some(format!("{done} {rest}").trim().to_owned())
}
