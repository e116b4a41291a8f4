//! `/WebHookSubscription/…`: Enate's own API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fanfare_engine::profile::{EventTypeKnobs, FilterRule, OwnApi, Profile};
use fanfare_engine::webhook::{Events, Filter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::members::{Input, Members, Named, Names, Parameter};
use super::{Desk, renamed};
use crate::api::auth::{Manager, Principal, Reader};
use crate::api::problem::{Answer, Code, Problem};
use crate::app::App;
use crate::catalogue::webhooks::{self, HeaderList, MASK, OpenWebhook, WebhookInput, shown_headers};
use crate::example::{self, Wanted};

/// What Fanfare's fields are called here.
const NAMES: [(&str, &str); 6] = [
    ("events", "Webhook"),
    ("filter.id", "FilterObjectGUID"),
    ("filter.type", "FilterObjectType"),
    ("filter", "FilterObjectType"),
    ("url", "SubscriberURL"),
    ("headers", "CustomHeader"),
];

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(catalogue))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(create))
        .routes(routes!(update))
        .routes(routes!(delete))
}

/// A webhook that can be subscribed to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = EnateWebhook)]
struct WebhookBody {
    webhook: String,
    display_name: String,
    description: Option<String>,
    parameters: Vec<ParameterBody>,
    /// An example of the message.
    #[schema(value_type = Option<Object>)]
    message: Option<Box<RawValue>>,
}

/// A parameter of a subscription.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = EnateParameter)]
struct ParameterBody {
    name: &'static str,
    /// `required`, `optional`, or `none` for one that must be left empty.
    rule: &'static str,
    /// Which values it may have; empty for any.
    values: Vec<ObjectType>,
}

/// A type of business object.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = EnateObjectType)]
struct ObjectType {
    value: Option<u32>,
    name: String,
}

/// A subscription.
#[derive(Serialize, ToSchema)]
#[schema(as = EnateSubscription)]
struct SubscriptionBody {
    #[serde(rename = "GUID")]
    #[schema(value_type = String, format = "uuid")]
    guid: Uuid,
    #[serde(rename = "Webhook")]
    webhook: String,
    #[serde(rename = "FilterObjectGUID")]
    filter_object_guid: Option<String>,
    #[serde(rename = "FilterObjectType")]
    filter_object_type: Option<u32>,
    #[serde(rename = "FilterObjectTypeName")]
    filter_object_type_name: Option<String>,
    #[serde(rename = "SubscriberURL")]
    subscriber_url: String,
    /// Always null: requests are not signed.
    #[serde(rename = "Signature")]
    #[schema(value_type = Option<String>)]
    signature: (),
    #[serde(rename = "CustomHeader")]
    custom_header: Option<String>,
    /// `****` where it may be a credential.
    #[serde(rename = "CustomHeaderValue")]
    custom_header_value: Option<String>,
}

/// A subscription to create, or what changes in one: anything left out or null stays as it is, and an empty text takes
/// away. Member names may be written in any case.
#[derive(Deserialize, ToSchema)]
#[schema(as = EnateSubscriptionInput)]
struct SubscriptionInput {
    /// Which subscription, in an update.
    #[serde(rename = "GUID")]
    guid: Option<String>,
    #[serde(rename = "Webhook")]
    webhook: Option<String>,
    #[serde(rename = "FilterObjectGUID")]
    filter_object_guid: Option<String>,
    /// The number or the name of a type of business object.
    #[serde(rename = "FilterObjectType")]
    #[schema(value_type = Option<String>)]
    filter_object_type: Option<Value>,
    #[serde(rename = "SubscriberURL")]
    subscriber_url: Option<String>,
    #[serde(rename = "CustomHeader")]
    custom_header: Option<String>,
    /// Must be given where `CustomHeader` changes.
    #[serde(rename = "CustomHeaderValue")]
    custom_header_value: Option<String>,
}

impl Input for SubscriptionInput {
    const MEMBERS: Names = &[
        ("GUID", "GUID"),
        ("WebhookSubscriptionGUID", "GUID"),
        ("Webhook", "Webhook"),
        ("FilterObjectGUID", "FilterObjectGUID"),
        ("FilterObjectType", "FilterObjectType"),
        ("SubscriberURL", "SubscriberURL"),
        ("CustomHeader", "CustomHeader"),
        ("CustomHeaderValue", "CustomHeaderValue"),
    ];
}

/// Which subscription.
#[derive(Deserialize, ToSchema)]
#[schema(as = EnateSubscriptionName)]
struct SubscriptionName {
    #[serde(rename = "GUID")]
    guid: String,
}

impl Input for SubscriptionName {
    const MEMBERS: Names = &[("GUID", "GUID"), ("WebhookSubscriptionGUID", "GUID")];
}

/// Which subscription.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct SubscriptionQuery {
    /// Its GUID.
    #[param(rename = "webhookSubscriptionGUID")]
    guid: String,
}

impl Parameter for SubscriptionQuery {
    const NAME: &'static str = "webhookSubscriptionGUID";

    fn of(text: String) -> Self {
        SubscriptionQuery { guid: text }
    }
}

/// The webhooks that there are, with their parameters and an example of their message.
#[utoipa::path(get, path = "/WebHookSubscription/GetAllWebhooks", tag = "Enate's own API",
    responses((status = 200, body = Vec<WebhookBody>)))]
async fn catalogue(State(app): State<Arc<App>>, Reader(principal): Reader) -> Answer<Json<Vec<WebhookBody>>> {
    let desk = desk(&app, &principal).await?;
    let show = |known| show_webhook(&app, &desk.profile, known);
    Ok(Json(desk.profile.catalogue.iter().map(show).collect()))
}

/// All subscriptions, oldest first; where there are more than 10,000, or they take more than 32 MiB, the newest of them.
#[utoipa::path(get, path = "/WebHookSubscription/GetAllWebhookSubscriptions", tag = "Enate's own API",
    responses((status = 200, body = Vec<SubscriptionBody>)))]
async fn list(State(app): State<Arc<App>>, Reader(principal): Reader) -> Answer<Json<Vec<SubscriptionBody>>> {
    let desk = desk(&app, &principal).await?;
    Ok(Json(desk.list(&app).await?.iter().map(|webhook| show(&desk.profile, webhook)).collect()))
}

/// One subscription.
#[utoipa::path(get, path = "/WebHookSubscription/GetWebhookSubscription", tag = "Enate's own API",
    params(SubscriptionQuery), responses((status = 200, body = SubscriptionBody)))]
async fn get(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    Named(query): Named<SubscriptionQuery>,
) -> Answer<Json<SubscriptionBody>> {
    let desk = desk(&app, &principal).await?;
    Ok(Json(show(&desk.profile, &find(&app, &desk, &query.guid).await?)))
}

/// Subscribes.
#[utoipa::path(post, path = "/WebHookSubscription/CreateWebhookSubscription", tag = "Enate's own API",
    request_body = SubscriptionInput, responses((status = 200, body = SubscriptionBody)))]
async fn create(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    Members(input): Members<SubscriptionInput>,
) -> Answer<Json<SubscriptionBody>> {
    let desk = desk(&app, &principal).await?;
    let input = WebhookInput { profile: Some(desk.profile.name.to_string()), ..translate(input, &desk.profile, None)? };
    let made = webhooks::create(&app, &desk.place, input).await.map_err(|error| renamed(error, &NAMES))?;
    Ok(Json(show(&desk.profile, &made.0)))
}

/// Edits a subscription.
#[utoipa::path(post, path = "/WebHookSubscription/UpdateWebhookSubscription", tag = "Enate's own API",
    request_body = SubscriptionInput, responses((status = 200, body = SubscriptionBody)))]
async fn update(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    Members(input): Members<SubscriptionInput>,
) -> Answer<Json<SubscriptionBody>> {
    let desk = desk(&app, &principal).await?;
    let Some(guid) = &input.guid else {
        return Err(Problem::field(Code::ValidationFailed, "GUID", "is required: which subscription"));
    };
    let present = find(&app, &desk, guid).await?;
    let id = present.row.id.to_string();
    let input = translate(input, &desk.profile, Some(&present))?;
    let edited = webhooks::edit(&app, &desk.place, &id, &input).await.map_err(|error| renamed(error, &NAMES))?;
    Ok(Json(show(&desk.profile, &edited)))
}

/// Unsubscribes.
#[utoipa::path(post, path = "/WebHookSubscription/DeleteWebhookSubscription", tag = "Enate's own API",
    request_body = SubscriptionName, responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    Members(name): Members<SubscriptionName>,
) -> Answer<StatusCode> {
    let desk = desk(&app, &principal).await?;
    let webhook = find(&app, &desk, &name.guid).await?;
    webhooks::delete(&app, &desk.place, &webhook.row.id.to_string()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn desk(app: &App, principal: &Principal) -> Answer<Desk> {
    Desk::of(app, principal, OwnApi::Enate).await
}

async fn find(app: &App, desk: &Desk, guid: &str) -> Answer<OpenWebhook> {
    let uuid = Uuid::try_parse(guid).map_err(|_| Problem::not_found("webhook"))?;
    desk.seen(app, webhooks::by_uuid(app, &desk.place, uuid).await).await
}

/// What Fanfare is asked for; `present` is the subscription that is edited.
fn translate(input: SubscriptionInput, profile: &Profile, present: Option<&OpenWebhook>) -> Answer<WebhookInput> {
    let filter = filter(&input, profile, present)?;
    Ok(WebhookInput {
        name: name(&input, profile, filter.as_ref(), present),
        url: input.subscriber_url.clone(),
        headers: headers(&input, present)?,
        filter,
        events: input.webhook.map(|name| Events::Only(vec![name])),
        ..WebhookInput::default()
    })
}

/// A subscription has no name of its own: it is called as its event is, unless somebody called it otherwise.
fn name(
    input: &SubscriptionInput,
    profile: &Profile,
    filter: Option<&Option<Filter>>,
    present: Option<&OpenWebhook>,
) -> Option<String> {
    let event = input.webhook.as_deref().or_else(|| present.and_then(event_of)).unwrap_or_default();
    let before = present.and_then(|webhook| webhook.row.settings.filter.as_ref());
    let filter = filter.map_or(before, Option::as_ref);
    let with_id = filter.is_some_and(|filter| filter.id.as_ref().is_some_and(|id| !profile.filter.is_empty_id(id)));
    let is_as_its_event = present.is_none_or(|webhook| event_of(webhook) == Some(&*webhook.row.settings.name));
    is_as_its_event.then(|| profile.meant(event, with_id).to_owned())
}

/// The event of a subscription, which has one.
fn event_of(webhook: &OpenWebhook) -> Option<&str> {
    match &webhook.row.settings.events {
        Events::Only(names) => names.first().map(String::as_str),
        Events::All => None,
    }
}

fn filter(
    input: &SubscriptionInput,
    profile: &Profile,
    present: Option<&OpenWebhook>,
) -> Answer<Option<Option<Filter>>> {
    let before = present.and_then(|webhook| webhook.row.settings.filter.as_ref());
    let outdated = before.is_some_and(|filter| filter.id.is_some()) && is_for_another_event(input, profile, present);
    if input.filter_object_type.is_none() && input.filter_object_guid.is_none() && !outdated {
        return Ok(None);
    }
    let kind = match &input.filter_object_type {
        None => before.map(|filter| filter.kind.clone()),
        Some(Value::String(name)) => Some(name.clone()).filter(|name| !name.is_empty()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) => {
            let message = "must be the number or the name of a type of business object";
            return Err(Problem::field(Code::ValidationFailed, "FilterObjectType", message));
        }
    };
    let id = match &input.filter_object_guid {
        None => before.filter(|_| !outdated).and_then(|filter| filter.id.clone()),
        Some(id) => Some(id.clone()).filter(|id| !id.is_empty()),
    };
    match (kind, id) {
        (Some(kind), id) => Ok(Some(Some(Filter { kind, id }))),
        (None, None) => Ok(Some(None)),
        (None, Some(_)) => {
            Err(Problem::field(Code::ValidationFailed, "FilterObjectType", "is required where a GUID is given"))
        }
    }
}

/// Whether another event is asked for, which takes no GUID: the present one is not meant for it.
fn is_for_another_event(input: &SubscriptionInput, profile: &Profile, present: Option<&OpenWebhook>) -> bool {
    let Some(event) = input.webhook.as_deref().and_then(|name| profile.catalogue.get(name)) else { return false };
    present.and_then(event_of) != Some(&*event.name) && event.filter.id == FilterRule::None
}

fn headers(input: &SubscriptionInput, present: Option<&OpenWebhook>) -> Answer<Option<HeaderList>> {
    let before = present.and_then(|webhook| webhook.credentials.headers.first());
    let is_known = |name: &str| before.is_some_and(|(known, _)| known.eq_ignore_ascii_case(name));
    let one = |name: &str, value: &str| Ok(Some(HeaderList(vec![(name.to_owned(), value.to_owned())])));
    let missing = |field: &str, message: &str| Err(Problem::field(Code::ValidationFailed, field, message));
    // A value that came back as a mask is the present one.
    let value = input.custom_header_value.as_deref();
    let kept = before.filter(|_| value.is_none_or(|value| value == MASK)).map(|(_, value)| value.as_str());
    match (input.custom_header.as_deref(), value) {
        (None, None) => Ok(None),
        (Some(""), None | Some("" | MASK)) => Ok(Some(HeaderList::default())),
        (Some(""), Some(_)) => missing("CustomHeader", "is required where a value is given"),
        (None, Some(value)) => match (before, kept) {
            (None, _) if value.is_empty() => Ok(None),
            (None, _) => missing("CustomHeader", "is required where a value is given"),
            (Some(_), Some(_)) => Ok(None),
            (Some((name, _)), None) => one(name, value),
        },
        // Under another name a value that is masked could be read.
        (Some(name), None) if is_known(name) => one(name, kept.unwrap_or_default()),
        (Some(name), None) if before.is_none() => one(name, ""),
        (Some(_), None) => {
            missing("CustomHeaderValue", "is required where CustomHeader changes: a value stays with its header only")
        }
        (Some(name), Some(MASK)) if is_known(name) => one(name, kept.unwrap_or_default()),
        (Some(_), Some(MASK)) => missing(
            "CustomHeaderValue",
            "is a mask, behind which there is no value of this header; give the value itself",
        ),
        (Some(name), Some(value)) => one(name, value),
    }
}

fn show(profile: &Profile, webhook: &OpenWebhook) -> SubscriptionBody {
    let settings = &webhook.row.settings;
    let name = event_of(webhook).unwrap_or_default().to_owned();
    let kind = settings.filter.as_ref().map(|filter| filter.kind.clone());
    let header = shown_headers(&webhook.credentials.headers).into_iter().next();
    SubscriptionBody {
        guid: webhook.row.uuid,
        webhook: name,
        filter_object_guid: settings.filter.as_ref().and_then(|filter| filter.id.clone()),
        filter_object_type: kind.as_deref().and_then(|name| profile.entity_type(name)?.number),
        filter_object_type_name: kind,
        subscriber_url: settings.url.clone(),
        signature: (),
        custom_header: header.as_ref().map(|(name, _)| name.clone()),
        custom_header_value: header.map(|(_, value)| value),
    }
}

fn show_webhook(app: &App, profile: &Arc<Profile>, known: &EventTypeKnobs) -> WebhookBody {
    let wanted = Wanted { event_type: Some(&known.name), ..Wanted::plain(app.now()) };
    let example = example::request(profile, &wanted).ok();
    let message = example.and_then(|example| serde_json::from_slice(&example.request.body).ok());
    let types = known
        .filter
        .types
        .iter()
        .map(|name| ObjectType { value: profile.entity_type(name).and_then(|known| known.number), name: name.clone() });
    let parameter = |name, rule: FilterRule, values| ParameterBody { name, rule: rule.name(), values };
    WebhookBody {
        webhook: known.name.clone(),
        display_name: known.title.clone().unwrap_or_else(|| known.name.clone()),
        description: known.description.clone(),
        parameters: vec![
            parameter("FilterObjectGUID", known.filter.id, Vec::new()),
            parameter("FilterObjectType", known.filter.rule, types.collect()),
            parameter("SubscriberURL", FilterRule::Required, Vec::new()),
            parameter("CustomHeader", FilterRule::Optional, Vec::new()),
            parameter("CustomHeaderValue", FilterRule::Optional, Vec::new()),
        ],
        message,
    }
}
