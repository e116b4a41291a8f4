//! `/portal/deliveries`: the list of deliveries, with its filters in the address.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Uri};
use axum::routing::get;
use fanfare_engine::access::Action;
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::id::{DeliveryId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::profile::{LoggedId, Profile, Profiles};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::webhooks::{WebhookFilter, WebhookRow};
use fanfare_store::catalogue::{Page, event_types};
use fanfare_store::log::{DeliveryFilter, DeliveryRow};

use super::Answer;
use super::reach;
use super::resend;
use super::shell::{Section, Shell, page};
use super::texts::{Texts, counted, fill};
use super::visitor::Visitor;
use super::wanted::Wanted;
use super::webhooks::name_of;
use super::words::{self, Moment};
use crate::app::App;
use crate::catalogue::deliveries as listing;
use crate::catalogue::{CatalogueError, CatalogueResult};

/// Where the list is.
pub(super) const PATH: &str = "/portal/deliveries";
/// Its filters.
pub(super) const FILTERS: [&str; 8] =
    ["search", "state", "event_type", "webhook", "response_code", "since", "until", "event"];
/// What htmx, and the script that follows the list, send along.
const BY_SCRIPT: HeaderName = HeaderName::from_static("hx-request");
/// How many deliveries a page shows.
pub(super) const SHOWN: u32 = 50;
/// How many webhooks can be chosen from; beyond it, the list is opened from the webhook's own page.
const MAX_CHOICES: u32 = 200;
/// For how long an attempt that is due is looked out for; what is held back, or waits behind much else, takes its time.
const SOON: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list))
}

#[derive(Template)]
#[template(path = "portal/deliveries.html")]
struct List {
    shell: Shell,
    t: &'static Texts,
    wanted: Wanted,
    /// What of the filters could not be read.
    faults: Vec<String>,
    rows: Vec<Row>,
    event_types: Vec<String>,
    /// Ids and names.
    webhooks: Vec<(String, String)>,
    older: Option<String>,
    /// Whether it stopped looking before it found a whole page.
    cut: bool,
    /// Whether the visitor may change anything.
    manages: bool,
    /// Whether any of them may be sent again.
    chooses: bool,
    /// Whether all that the filters match may be sent again at once.
    sends_all: bool,
    /// The one event that it is limited to, in words.
    event: Option<String>,
}

/// A delivery as lists show it.
pub(super) struct Row {
    pub(super) id: String,
    /// As the profile's log has it: the delivery's or the event's.
    pub(super) shown_id: String,
    pub(super) created: Moment,
    /// As the profile's log calls it.
    pub(super) event_type: String,
    pub(super) url: String,
    /// Its name, where the list is not of one webhook alone.
    pub(super) webhook: Option<String>,
    pub(super) code: Option<u16>,
    pub(super) state: DeliveryState,
    pub(super) state_label: &'static str,
    pub(super) attempts: String,
    pub(super) next: Option<Moment>,
    pub(super) resendable: bool,
    /// Whether it can be sent again as soon as its present attempt is over.
    pub(super) busy: bool,
    /// Whether there is soon more to see of it.
    pub(super) under_way: bool,
    pub(super) resend_label: String,
    pub(super) choose_label: String,
}

async fn list(State(app): State<Arc<App>>, visitor: Visitor, headers: HeaderMap, uri: Uri) -> Answer {
    let t = visitor.t;
    // Scripts take the list alone out of the page, and ask often: what its filters offer is left out for them.
    let whole = !headers.contains_key(BY_SCRIPT);
    reach::everything(&app, &visitor, Action::See).await?;
    let manages = reach::allowed(reach::everything(&app, &visitor, Action::Manage).await)?;
    let wanted = Wanted::of(&FILTERS, &uri);
    let (filter, faults) = filter(&app, t, visitor.project.id, Some(visitor.organization.id), &wanted).await?;
    let sends_all = reach::allowed(reach::many(&app, &visitor, filter.webhook, Action::Manage).await)?;
    let list = format!("portal deliveries {} {}", visitor.organization.id, wanted.query());
    let before = wanted.cursor().and_then(|cursor| app.vault.read_cursor(&list, cursor)).map(DeliveryId);
    let found = match faults.is_empty() {
        true => listing::page(&app, DeliveryFilter { before, ..filter }, SHOWN).await?,
        false => listing::Page::default(),
    };
    let managed = reach::managed(&app, &visitor, &found.rows).await?;
    let older = found.next.map(|id| wanted.href(PATH, Some(&app.vault.cursor(&list, id.0))));
    page(&List {
        shell: Shell::new(&visitor, Section::Deliveries, t.deliveries.title).saying(resend::notice(t, &uri)),
        t,
        rows: rows(&app, t, found.rows, Named::Yes, |webhook| managed.contains(&webhook)).await?,
        event_types: if whole { app.store.read(event_types::names(visitor.project.id)).await? } else { Vec::new() },
        webhooks: if whole { choices(&app, &visitor, &wanted).await? } else { Vec::new() },
        older,
        manages,
        chooses: sends_all || !managed.is_empty(),
        sends_all,
        cut: found.cut,
        faults,
        event: wanted.given("event").map(|event| fill(t.deliveries.event_filter, &[("event", &event)])),
        wanted,
    })
}

/// The filter that the address means, and what of it cannot be read.
pub(super) async fn filter(
    app: &App,
    t: &Texts,
    project: ProjectId,
    organization: Option<OrganizationId>,
    wanted: &Wanted,
) -> CatalogueResult<(DeliveryFilter, Vec<String>)> {
    let d = &t.deliveries;
    let mut faults = Vec::new();
    let bad_filter = |name: &str| fill(d.bad_filter, &[("name", &name)]);
    let state = wanted.given("state").map(DeliveryState::named);
    let webhook = wanted.given("webhook").map(WebhookId::parse);
    let code = wanted.given("response_code").map(|code| code.parse().ok().filter(|code| (100..1_000).contains(code)));
    let [since, until] = ["since", "until"].map(|name| wanted.given(name).map(|text| (text, read_time(text))));
    if state == Some(None) {
        faults.push(bad_filter(d.state_label));
    }
    if webhook == Some(None) {
        faults.push(bad_filter(d.webhook_label));
    }
    if code == Some(None) {
        faults.push(fill(d.bad_code, &[("value", &wanted.get("response_code"))]));
    }
    for (text, time) in [since, until].into_iter().flatten() {
        if time.is_none() {
            faults.push(fill(d.bad_time, &[("value", &text)]));
        }
    }
    let event = match wanted.given("event") {
        None => None,
        Some(text) => Some(listing::event_named(app, organization, text).await?),
    };
    let filter = DeliveryFilter {
        project: Some(project),
        organization,
        webhook: webhook.flatten(),
        event,
        event_type: wanted.given("event_type").map(str::to_owned),
        state: state.flatten(),
        response_code: code.flatten(),
        since: since.and_then(|(_, time)| time),
        until: until.and_then(|(_, time)| time),
        ..DeliveryFilter::default()
    };
    let filter = match wanted.given("search") {
        Some(text) => listing::search(app, filter, text).await?,
        None => filter,
    };
    Ok((filter, faults))
}

/// A time as browsers give it, `2026-11-22T09:30`, in UTC; or RFC 3339.
pub(super) fn read_time(text: &str) -> Option<Timestamp> {
    let forms = [text.to_owned(), format!("{text}Z"), format!("{text}:00Z"), format!("{text}T00:00:00Z")];
    forms.iter().find_map(|text| text.parse().ok())
}

/// The filters that are set, for people: what is filtered by, and the value.
pub(super) async fn filters_in_words(
    app: &App,
    visitor: &Visitor,
    wanted: &Wanted,
) -> CatalogueResult<Vec<(&'static str, String)>> {
    let d = &visitor.t.deliveries;
    let labels = [
        d.search_label,
        d.state_label,
        d.type_label,
        d.webhook_label,
        d.code_label,
        d.since_label,
        d.until_label,
        d.event,
    ];
    let mut said = Vec::new();
    for (name, label) in FILTERS.into_iter().zip(labels) {
        let Some(value) = wanted.given(name) else { continue };
        let value = match name {
            "state" => DeliveryState::named(value).map(|state| words::state(visitor.t, state).to_owned()),
            "webhook" => Some(webhook_named(app, visitor, value).await?),
            "since" | "until" => read_time(value).map(|time| time.to_string()),
            _ => None,
        }
        .unwrap_or_else(|| value.to_owned());
        said.push((label, value));
    }
    Ok(said)
}

/// What a webhook of the visitor's is called.
async fn webhook_named(app: &App, visitor: &Visitor, id: &str) -> CatalogueResult<String> {
    match reach::webhook(app, visitor, id, Action::See).await {
        Ok(webhook) => Ok(name_of(visitor.t, &webhook.row.settings)),
        Err(CatalogueError::NotFound(_)) => Ok(visitor.t.deliveries.deleted_webhook.to_owned()),
        Err(error) => Err(error),
    }
}

/// The webhooks to choose from; the chosen one is among them.
async fn choices(app: &App, visitor: &Visitor, wanted: &Wanted) -> CatalogueResult<Vec<(String, String)>> {
    let t = visitor.t;
    let newest = Page { before: None, limit: MAX_CHOICES };
    let all = reach::webhooks(app, visitor, &WebhookFilter::default(), newest).await?;
    let mut found: Vec<(String, String)> =
        all.iter().map(|webhook| (webhook.id.to_string(), name_of(t, &webhook.settings))).collect();
    if let Some(chosen) = wanted.given("webhook").filter(|chosen| !found.iter().any(|(id, _)| id == chosen)) {
        let name = webhook_named(app, visitor, chosen).await?;
        found.push((chosen.to_owned(), name));
    }
    Ok(found)
}

/// Whether each delivery says which webhook it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Yes,
    No,
}

/// Deliveries as lists show them, with what there is to do about those of webhooks that the visitor `manages`.
pub(super) async fn rows(
    app: &App,
    t: &Texts,
    found: Vec<DeliveryRow>,
    named: Named,
    manages: impl Fn(WebhookId) -> bool,
) -> CatalogueResult<Vec<Row>> {
    let now = app.now();
    let show = |listing::Addressed { row, url, webhook }: listing::Addressed| Row {
        id: row.id.to_string(),
        created: row.id.made_at().into(),
        url,
        code: row.response_code,
        state: row.state,
        state_label: words::state(t, row.state),
        attempts: counted(t.deliveries.attempts_one, t.deliveries.attempts_many, row.attempts.into()),
        next: row.next_attempt_at.map(Moment::from),
        resendable: manages(row.webhook) && resendable(&app.profiles, &row, webhook.as_deref()),
        busy: row.leased
            && manages(row.webhook)
            && takes_events(webhook.as_deref())
            && is_sent_by_hand(&app.profiles, webhook.as_deref()),
        under_way: is_under_way(&row, now),
        resend_label: fill(t.deliveries.resend_one, &[("id", &row.id)]),
        choose_label: fill(t.deliveries.choose, &[("id", &row.id)]),
        shown_id: shown_id(profile_of(app, webhook.as_deref()), &row),
        event_type: event_label(profile_of(app, webhook.as_deref()), &row.event_type),
        webhook: match (named, webhook) {
            (Named::No, _) => None,
            (Named::Yes, Some(webhook)) => Some(name_of(t, &webhook.settings)),
            (Named::Yes, None) => Some(t.deliveries.deleted_webhook.to_owned()),
        },
    };
    Ok(listing::addressed(app, found).await?.into_iter().map(show).collect())
}

/// Whether a delivery can be sent again: it is not being sent, and its webhook gets events and may be sent to by hand.
pub(super) fn resendable(profiles: &Profiles, row: &DeliveryRow, webhook: Option<&WebhookRow>) -> bool {
    !row.leased && takes_events(webhook) && is_sent_by_hand(profiles, webhook)
}

fn is_sent_by_hand(profiles: &Profiles, webhook: Option<&WebhookRow>) -> bool {
    webhook.and_then(|webhook| profiles.get(&webhook.profile)).is_none_or(|profile| profile.retry.by_hand)
}

/// The profile of a webhook that is there.
pub(super) fn profile_of<'a>(app: &'a App, webhook: Option<&WebhookRow>) -> Option<&'a Profile> {
    app.profiles.get(&webhook?.profile).map(|profile| &**profile)
}

/// The id by which the log of a webhook's profile names a delivery.
pub(super) fn shown_id(profile: Option<&Profile>, row: &DeliveryRow) -> String {
    match profile.map(|profile| profile.log.id) {
        Some(LoggedId::Event) => row.event.to_string(),
        _ => row.id.to_string(),
    }
}

/// What the log of a webhook's profile calls an event type.
pub(super) fn event_label(profile: Option<&Profile>, name: &str) -> String {
    profile.map_or(name, |profile| profile.event_label(name)).to_owned()
}

fn takes_events(webhook: Option<&WebhookRow>) -> bool {
    webhook.is_some_and(|webhook| webhook.status.takes_events())
}

/// Whether an attempt is being made, or about to be: there is soon more to see.
pub(super) fn is_under_way(row: &DeliveryRow, now: Timestamp) -> bool {
    let is_soon = |due: Timestamp| (due..due.plus(SOON)).contains(&now);
    row.leased || row.next_attempt_at.is_some_and(is_soon)
}

/// The list with the filters of `query`.
pub(super) fn back(query: &str) -> String {
    let wanted = Wanted::read(&FILTERS, query);
    wanted.href(PATH, wanted.cursor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_give_them() {
        let expected = "2026-11-22T09:30:00Z".parse().unwrap();
        for text in ["2026-11-22T09:30", "2026-11-22T09:30:00", "2026-11-22T09:30:00Z", "2026-11-22T10:30:00+01:00"] {
            assert_eq!(read_time(text), Some(expected), "{text}");
        }
        assert_eq!(read_time("2026-11-22"), "2026-11-22T00:00:00Z".parse().ok());
        assert_eq!(read_time("yesterday"), None);
    }
}
