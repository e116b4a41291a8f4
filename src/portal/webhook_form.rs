//! `/portal/webhooks/new` and `…/edit`: the form of a webhook's settings, exactly those that its profile allows.

mod draft;
mod offer;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::access::Action;
use fanfare_engine::profile::{FieldError, Profile};
use fanfare_engine::webhook::Credentials;

use self::draft::Draft;
use self::offer::Offer;
use super::Answer;
use super::faults::{Faults, Refused};
use super::form::Form;
use super::reach;
use super::refusal::Refusal;
use super::shell::{Section, Shell, page};
use super::texts::{FormTexts, Texts, fill};
use super::visitor::Visitor;
use super::webhooks::name_of;
use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::catalogue::webhooks::{self as service, OpenWebhook};

/// Where a URL is judged. It changes nothing; a form asks it, since addresses are kept in many a log, and a URL may have a
/// secret in it.
pub(super) const JUDGE_URL: &str = "/portal/webhooks/judge-url";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/portal/webhooks/new", get(blank).post(add))
        .route(JUDGE_URL, post(judge_url))
        .route("/portal/webhooks/{webhook}/edit", get(filled).post(save))
}

#[derive(Template)]
#[template(path = "portal/webhook_form.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    offer: Offer,
    draft: Draft,
    /// The id of the webhook that is edited, and what it is called.
    edited: Option<(String, String)>,
    faults: Faults,
    /// Whether somebody else changed the webhook since the form was shown.
    changed: bool,
}

/// Whether a URL may be called, for the field that it was typed into.
#[derive(Template)]
#[template(path = "portal/judged_url.html")]
struct JudgedUrl {
    t: &'static Texts,
    faults: Faults,
}

impl JudgedUrl {
    /// What is wrong with the URL.
    fn error(&self, field: &str) -> Option<&str> {
        self.faults.at(field)
    }
}

/// The fields of the form in their order on the page, each with the fields of a webhook that it is about.
const FIELDS: [(&str, &[&str]); 13] = [
    ("name", &["name"]),
    ("url", &["url"]),
    ("method", &["method"]),
    ("content_type", &["content_type"]),
    ("include_entity", &["include_entity"]),
    ("events", &["events"]),
    ("filter", &["filter"]),
    ("auth", &["auth"]),
    ("secret", &["secret", "secrets"]),
    ("headers", &["headers"]),
    ("rate_limit", &["rate_limit"]),
    ("retry", &["retry"]),
    ("timeout", &["timeout_seconds"]),
];

impl Page {
    fn new(visitor: &Visitor, offer: Offer, draft: Draft, edited: Option<&OpenWebhook>, errors: &[FieldError]) -> Page {
        let t = visitor.t;
        let title = if edited.is_some() { t.form.edit_title } else { t.form.add_title };
        Page {
            shell: Shell::new(visitor, Section::Webhooks, title),
            t,
            offer,
            draft,
            edited: edited.map(|webhook| (webhook.row.id.to_string(), name_of(t, &webhook.row.settings))),
            faults: faults(&t.form, errors),
            changed: false,
        }
    }

    /// What is wrong with a field.
    fn error(&self, field: &str) -> Option<&str> {
        self.faults.at(field)
    }

    /// The attributes that a field has for what is wrong with it.
    fn marks(&self, field: &str) -> String {
        self.faults.marks(field)
    }
}

/// What is wrong, at the fields that it is about and in their words.
fn faults(t: &FormTexts, errors: &[FieldError]) -> Faults {
    let mut faults = Faults::default();
    for error in errors {
        let head = error.field.split(['.', '[']).next().unwrap_or_default();
        let known = FIELDS.iter().find(|(_, about)| about.contains(&head)).map_or("", |(field, _)| *field);
        let label = match known {
            "name" => t.name,
            "url" => t.url,
            "method" => t.method,
            "content_type" => t.content_type,
            "include_entity" => t.include_entity,
            "events" => t.events,
            "filter" => match error.field.as_str() {
                "filter.type" => t.filter_type,
                "filter.id" => t.filter_id,
                _ => t.filter,
            },
            "auth" => t.auth,
            "secret" => t.secret,
            "headers" => t.headers,
            "rate_limit" => t.rate_limit,
            "retry" => t.retry,
            "timeout" => t.timeout,
            _ => &error.field,
        };
        faults.add(known, format!("{label} {}", error.message).trim_start());
    }
    faults.sort(FIELDS.iter().map(|(field, _)| *field));
    faults
}

async fn blank(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Answer {
    reach::everything(&app, &visitor, Action::Manage).await?;
    let wanted = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let profile = profile_of_new(&app, &visitor, wanted.given("profile"))?;
    let offer = Offer::of(&app, &visitor, &profile, None).await?;
    page(&Page::new(&visitor, offer, Draft::blank(&profile), None, &[]))
}

async fn filled(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>) -> Answer {
    let webhook = reach::webhook(&app, &visitor, &id, Action::Manage).await?;
    let profile = profile_of(&app, &webhook)?;
    let offer = Offer::of(&app, &visitor, &profile, Some(&webhook)).await?;
    page(&Page::new(&visitor, offer, Draft::of(&webhook), Some(&webhook), &[]))
}

async fn add(State(app): State<Arc<App>>, visitor: Visitor, form: Form) -> Answer {
    let profile = profile_of_new(&app, &visitor, form.given("profile"))?;
    let draft = Draft::sent(&form);
    let offer = Offer::of(&app, &visitor, &profile, None).await?;
    // A format that was chosen is not what the form offered; so it is shown anew, with what was typed.
    if form.given("shown_profile").is_some_and(|shown| shown != &*profile.name) {
        let shown = Page::new(&visitor, offer, draft.fitting(&profile), None, &[]);
        return page(&Page { shell: shown.shell.saying(Some(visitor.t.form.profile_changed)), ..shown });
    }
    if form.has("more") {
        return page(&Page::new(&visitor, offer, draft.with_blank_header(&form), None, &[]));
    }
    let refused = match draft.input(visitor.t, &profile, &offer, &Credentials::default(), None) {
        Ok(input) => {
            let input = service::WebhookInput {
                enabled: Some(draft.enabled),
                profile: Some(profile.name.to_string()),
                ..input
            };
            match service::create(&app, &visitor.place(), input).await {
                Ok((made, _)) => {
                    let done = if made.row.status.takes_events() { "added" } else { "added-off" };
                    return Ok(Redirect::to(&format!("/portal/webhooks?done={done}")).into_response());
                }
                Err(error) => Refused::of(visitor.t, error)?,
            }
        }
        Err(errors) => Refused::by_fields(errors),
    };
    refused.answer(&Page::new(&visitor, offer, draft, None, &refused.errors))
}

async fn save(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let webhook = reach::webhook(&app, &visitor, &id, Action::Manage).await?;
    let profile = profile_of(&app, &webhook)?;
    let offer = Offer::of(&app, &visitor, &profile, Some(&webhook)).await?;
    let draft = Draft::sent(&form);
    if form.has("more") {
        return page(&Page::new(&visitor, offer, draft.with_blank_header(&form), Some(&webhook), &[]));
    }
    // What was typed is read beside what the form showed, so it must be that.
    if draft.version.is_some_and(|seen| seen != webhook.row.version) {
        return changed(&app, &visitor, draft, &id).await;
    }
    let present = webhook.row.settings.retry.as_ref();
    let refused = match draft.input(visitor.t, &profile, &offer, &webhook.credentials, present) {
        Ok(input) => match service::edit_seen(&app, &visitor.place(), &id, &input, draft.version).await {
            Ok(_) => return Ok(Redirect::to(&format!("/portal/webhooks/{id}?done=saved")).into_response()),
            Err(CatalogueError::Contended(_)) => return changed(&app, &visitor, draft, &id).await,
            Err(error) => Refused::of(visitor.t, error)?,
        },
        Err(errors) => Refused::by_fields(errors),
    };
    refused.answer(&Page::new(&visitor, offer, draft, Some(&webhook), &refused.errors))
}

/// The form with what was typed where somebody else changed the webhook meanwhile. Sent again, it replaces their changes.
async fn changed(app: &App, visitor: &Visitor, draft: Draft, id: &str) -> Answer {
    let webhook = reach::webhook(app, visitor, id, Action::Manage).await?;
    let profile = profile_of(app, &webhook)?;
    let offer = Offer::of(app, visitor, &profile, Some(&webhook)).await?;
    let draft = Draft { version: Some(webhook.row.version), ..draft };
    let refused = Refused::whole(StatusCode::CONFLICT, visitor.t.form.changed);
    let shown = Page::new(visitor, offer, draft, Some(&webhook), &refused.errors);
    refused.answer(&Page { changed: true, ..shown })
}

/// Judges a URL while the form is still being filled in.
async fn judge_url(State(app): State<Arc<App>>, visitor: Visitor, form: Form) -> Answer {
    let t = visitor.t;
    let mut judged = JudgedUrl { t, faults: Faults::default() };
    // Who may not add webhooks is not told where names lead. The form itself says what is wrong when it is sent.
    let may = reach::allowed(reach::everything(&app, &visitor, Action::Manage).await)?;
    let profile = form.given("profile").and_then(|name| app.profiles.get(name));
    if let (true, Some(url), Some(profile)) = (may, form.given("url"), profile)
        && let Err(error) = service::judge_url(&app, visitor.organization.id, profile, url).await
    {
        judged.faults = faults(&t.form, &Refused::of(t, error)?.errors);
    }
    page(&judged)
}

/// The profile of a new webhook: the one that is asked for, where the project allows it.
fn profile_of_new(app: &App, visitor: &Visitor, name: Option<&str>) -> Result<Arc<Profile>, Refusal> {
    let name = name.filter(|name| visitor.project.allows_profile(name)).unwrap_or(&visitor.project.profile);
    app.profiles.get(name).cloned().ok_or(Refusal::Internal)
}

fn profile_of(app: &App, webhook: &OpenWebhook) -> Result<Arc<Profile>, Refusal> {
    let gone = "the webhook's format is not there any more; ask the people who run this to choose another one for it";
    app.profiles.get(&webhook.row.profile).cloned().ok_or_else(|| Refusal::State(gone.to_owned()))
}

fn fill_schemes(t: &Texts, schemes: &str) -> String {
    fill(t.form.url_hint, &[("schemes", &schemes)])
}

fn usual(t: &Texts, schedule: &str) -> String {
    fill(t.form.retry_default, &[("schedule", &schedule)])
}

fn usual_timeout(t: &Texts, seconds: &u64) -> String {
    fill(t.form.timeout_hint, &[("seconds", seconds)])
}
