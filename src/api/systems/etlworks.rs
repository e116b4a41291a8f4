//! `/rest/v1/webhooks`: Etlworks Integrator's own API.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fanfare_engine::profile::OwnApi;
use fanfare_engine::webhook::{Auth, ContentType, Events, Method};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::members::{self, Input, Members, Names};
use super::{Desk, renamed};
use crate::api::auth::{Manager, Principal, Reader};
use crate::api::problem::{Answer, Code, Problem};
use crate::api::request::PathParts;
use crate::app::App;
use crate::catalogue::webhooks::shown_headers;
use crate::catalogue::webhooks::{self, ContentTypeShape, HeaderList, MASK, MethodShape, OpenWebhook, WebhookInput};

/// What Fanfare's fields are called here.
const NAMES: [(&str, &str); 4] = [
    ("content_type", "contentType"),
    ("include_entity", "includeEntity"),
    ("auth", "basicUser"),
    ("metadata", "description"),
];
/// Where the description is kept.
const DESCRIPTION: &str = "description";

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, put, delete))
}

/// A webhook.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EtlworksWebhook)]
struct WebhookBody {
    id: i64,
    name: String,
    description: Option<String>,
    /// Empty for all.
    events: Vec<String>,
    url: String,
    #[schema(value_type = MethodShape)]
    method: Method,
    #[schema(value_type = ContentTypeShape)]
    content_type: ContentType,
    include_entity: bool,
    headers: Vec<HeaderBody>,
    /// `****` where there is one.
    secret: Option<&'static str>,
    basic_user: Option<String>,
    /// `****` where there is one.
    basic_pass: Option<&'static str>,
    enabled: bool,
}

/// A custom header.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = EtlworksHeader)]
struct HeaderBody {
    key: String,
    /// `****` where it may be a credential; sent back, it stays as it is.
    value: String,
}

/// A custom header in a request, its members in any case.
struct HeaderInput(HeaderBody);

impl<'de> Deserialize<'de> for HeaderInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const MEMBERS: Names = &[("key", "key"), ("value", "value")];
        members::object(deserializer, MEMBERS).map(HeaderInput)
    }
}

/// A webhook to create, or what changes in one. Anything left out or null stays as it is; in a new webhook it gets its
/// default. An empty text removes the description, the secret, or the user. Member names may be written in any case.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EtlworksWebhookInput)]
struct WebhookForm {
    name: Option<String>,
    description: Option<String>,
    /// All, where the list is empty.
    events: Option<Vec<String>>,
    url: Option<String>,
    #[schema(value_type = Option<MethodShape>)]
    method: Option<Method>,
    #[schema(value_type = Option<ContentTypeShape>)]
    content_type: Option<ContentType>,
    include_entity: Option<bool>,
    #[schema(value_type = Option<Vec<HeaderBody>>)]
    headers: Option<Vec<HeaderInput>>,
    /// `****` keeps the current one.
    secret: Option<String>,
    basic_user: Option<String>,
    /// `****` keeps the current one.
    basic_pass: Option<String>,
    enabled: Option<bool>,
}

impl Input for WebhookForm {
    const MEMBERS: Names = &[
        ("name", "name"),
        ("description", "description"),
        ("events", "events"),
        ("url", "url"),
        ("method", "method"),
        ("contentType", "contentType"),
        ("includeEntity", "includeEntity"),
        ("headers", "headers"),
        ("secret", "secret"),
        ("basicUser", "basicUser"),
        ("basicPass", "basicPass"),
        ("enabled", "enabled"),
    ];
}

/// The webhooks, oldest first; where there are more than 10,000, or they take more than 32 MiB, the newest of them.
#[utoipa::path(get, path = "/rest/v1/webhooks", tag = "Etlworks' own API",
    responses((status = 200, body = Vec<WebhookBody>)))]
async fn list(State(app): State<Arc<App>>, Reader(principal): Reader) -> Answer<Json<Vec<WebhookBody>>> {
    let desk = desk(&app, &principal).await?;
    Ok(Json(desk.list(&app).await?.into_iter().map(show).collect()))
}

/// Makes a webhook.
#[utoipa::path(post, path = "/rest/v1/webhooks", tag = "Etlworks' own API",
    request_body = WebhookForm, responses((status = 200, body = WebhookBody)))]
async fn create(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    Members(form): Members<WebhookForm>,
) -> Answer<Json<WebhookBody>> {
    let desk = desk(&app, &principal).await?;
    let input = WebhookInput { profile: Some(desk.profile.name.to_string()), ..translate(form, None)? };
    let made = webhooks::create(&app, &desk.place, input).await.map_err(|error| renamed(error, &NAMES))?;
    Ok(Json(show(made.0)))
}

/// One webhook.
#[utoipa::path(get, path = "/rest/v1/webhooks/{id}", tag = "Etlworks' own API",
    params(("id" = i64, Path, description = "The webhook's number")),
    responses((status = 200, body = WebhookBody)))]
async fn get(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts(id): PathParts<i64>,
) -> Answer<Json<WebhookBody>> {
    let desk = desk(&app, &principal).await?;
    Ok(Json(show(find(&app, &desk, id).await?)))
}

/// Changes a webhook's settings; anything left out stays as it is.
#[utoipa::path(put, path = "/rest/v1/webhooks/{id}", tag = "Etlworks' own API",
    params(("id" = i64, Path, description = "The webhook's number")),
    request_body = WebhookForm, responses((status = 200, body = WebhookBody)))]
async fn put(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts(id): PathParts<i64>,
    Members(form): Members<WebhookForm>,
) -> Answer<Json<WebhookBody>> {
    let desk = desk(&app, &principal).await?;
    let present = find(&app, &desk, id).await?;
    let input = translate(form, Some(&present))?;
    let webhook = present.row.id.to_string();
    let edited = webhooks::edit(&app, &desk.place, &webhook, &input).await.map_err(|error| renamed(error, &NAMES))?;
    Ok(Json(show(edited)))
}

/// Removes a webhook.
#[utoipa::path(delete, path = "/rest/v1/webhooks/{id}", tag = "Etlworks' own API",
    params(("id" = i64, Path, description = "The webhook's number")), responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts(id): PathParts<i64>,
) -> Answer<StatusCode> {
    let desk = desk(&app, &principal).await?;
    let webhook = find(&app, &desk, id).await?;
    webhooks::delete(&app, &desk.place, &webhook.row.id.to_string()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn desk(app: &App, principal: &Principal) -> Answer<Desk> {
    Desk::of(app, principal, OwnApi::Etlworks).await
}

async fn find(app: &App, desk: &Desk, number: i64) -> Answer<OpenWebhook> {
    desk.seen(app, webhooks::by_number(app, &desk.place, number).await).await
}

/// What Fanfare is asked for; `present` is the webhook that is edited.
fn translate(form: WebhookForm, present: Option<&OpenWebhook>) -> Answer<WebhookInput> {
    let auth = auth(&form, present)?;
    let secret = secret(form.secret, present)?;
    Ok(WebhookInput {
        name: form.name,
        url: form.url,
        events: form.events.map(|names| if names.is_empty() { Events::All } else { Events::Only(names) }),
        enabled: form.enabled,
        method: form.method,
        content_type: form.content_type,
        include_entity: form.include_entity,
        auth,
        headers: form
            .headers
            .map(|headers| HeaderList(headers.into_iter().map(|HeaderInput(of)| (of.key, of.value)).collect())),
        secret,
        metadata: form.description.map(|description| described(description, present)),
        ..WebhookInput::default()
    })
}

/// The webhook's metadata with this description.
fn described(description: String, present: Option<&OpenWebhook>) -> BTreeMap<String, String> {
    let mut metadata = present.map_or_else(BTreeMap::new, |webhook| webhook.row.settings.metadata.clone());
    match description.is_empty() {
        true => metadata.remove(DESCRIPTION),
        false => metadata.insert(DESCRIPTION.to_owned(), description),
    };
    metadata
}

/// The new secret; `None` where it stays as it is.
fn secret(given: Option<String>, present: Option<&OpenWebhook>) -> Answer<Option<Option<String>>> {
    let is_known = present.is_some_and(|webhook| !webhook.credentials.secrets.is_empty());
    match given {
        Some(mask) if mask == MASK && is_known => Ok(None),
        Some(mask) if mask == MASK => {
            let message = "is a mask, and there is no secret behind it; give the secret itself";
            Err(Problem::field(Code::ValidationFailed, "secret", message))
        }
        given => Ok(given.map(|secret| Some(secret).filter(|text| !text.is_empty()))),
    }
}

/// The user name and password; `None` where they stay as they are.
fn auth(form: &WebhookForm, present: Option<&OpenWebhook>) -> Answer<Option<Option<Auth>>> {
    let before = match present.and_then(|webhook| webhook.credentials.auth.as_ref()) {
        Some(Auth::Basic { username, password }) => Some((username, password)),
        _ => None,
    };
    // A mask is not a password, but what was shown in place of one.
    let given = form.basic_pass.as_ref().filter(|password| *password != MASK);
    let user = match (&form.basic_user, given) {
        (None, None) => return Ok(None),
        // A new password for the user who is known.
        (None, Some(_)) => before.map(|(user, _)| user.as_str()),
        (Some(user), _) => Some(user.as_str()).filter(|user| !user.is_empty()),
    };
    let Some(user) = user else {
        return match given.is_some_and(|password| !password.is_empty()) {
            true => Err(Problem::field(Code::ValidationFailed, "basicUser", "is required for this basicPass")),
            false => Ok(Some(None)),
        };
    };
    // One that is not shown can only stay with the user whose it is.
    let kept = || before.filter(|(known, _)| *known == user).map(|(_, password)| password.clone());
    match given.cloned().or_else(kept) {
        Some(password) => Ok(Some(Some(Auth::Basic { username: user.to_owned(), password }))),
        None => Err(Problem::field(Code::ValidationFailed, "basicPass", "is required for this basicUser")),
    }
}

fn show(webhook: OpenWebhook) -> WebhookBody {
    let settings = webhook.row.settings;
    let user = match &webhook.credentials.auth {
        Some(Auth::Basic { username, .. }) => Some(username.clone()),
        _ => None,
    };
    let headers = shown_headers(&webhook.credentials.headers);
    WebhookBody {
        id: webhook.row.number,
        name: settings.name,
        description: settings.metadata.get(DESCRIPTION).cloned(),
        events: match settings.events {
            Events::All => Vec::new(),
            Events::Only(names) => names,
        },
        url: settings.url,
        method: settings.method,
        content_type: settings.content_type,
        include_entity: settings.include_entity,
        headers: headers.into_iter().map(|(key, value)| HeaderBody { key, value }).collect(),
        secret: (!webhook.credentials.secrets.is_empty()).then_some(MASK),
        basic_pass: user.is_some().then_some(MASK),
        basic_user: user,
        enabled: webhook.row.status.takes_events(),
    }
}
