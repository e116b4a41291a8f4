//! Every screen of the console, and a project with something on each of them.

use serde_json::json;

use super::driver::Browser;
use super::screen::{Screen, Things, at};
use super::{base, portal_screens};
use crate::api::sending::Sink;
use crate::api::{ADMIN, Api};
use crate::portal::id;

const SIGN_IN: &str = "/console/sign-in";
const OVERVIEW: &str = "/console";
const ORGANIZATIONS: &str = "/console/organizations";
const DELIVERIES: &str = "/console/deliveries";
const EVENT_TYPES: &str = "/console/event-types";
const NEW_TYPE: &str = "/console/event-types/new";
const PROFILE: &str = "/console/profiles/{name}";
const KEYS: &str = "/console/api-keys";
const PAUSES: &str = "/console/pauses";
const ALERTS: &str = "/console/alerts";

/// Those that an operator sees, in an order in which none spoils the next.
pub(super) const SCREENS: [Screen; 41] = [
    at(OVERVIEW).query("?range=1h").see(".chart"),
    at(OVERVIEW).query("?range=24h").see(".chart"),
    at(OVERVIEW).query("?range=7d").see(".chart"),
    at(OVERVIEW).query("?range=30d").see(".chart"),
    at(ORGANIZATIONS),
    at(ORGANIZATIONS).query("?search=nothing").see(".empty"),
    at("/console/organizations/{org}").query("?range=24h").see(".chart"),
    at("/console/organizations/{org}")
        .fill("#external_id", "org_x")
        .press(&[".card .primary"])
        .see("#external_id-error"),
    at("/console/organizations/{org}/delete"),
    at("/console/failing"),
    at("/console/failing").query("?search=nothing").see(".empty"),
    at(DELIVERIES),
    at(DELIVERIES).query("?organization=nobody").see("[role=alert]"),
    at(DELIVERIES).query("?state=cancelled").see(".empty"),
    at("/console/deliveries/{delivery}"),
    at("/console/deliveries/cancel").query("?organization=acme"),
    at(EVENT_TYPES),
    at(EVENT_TYPES).query("?search=nothing").see(".empty"),
    at("/console/event-types/edit/{name}"),
    at("/console/event-types/edit/{name}").fill("#payload", "{").press(&["#check button"]).see("#check li"),
    at("/console/event-types/edit/{name}").of("deprecated"),
    at(NEW_TYPE),
    at(NEW_TYPE).fill("#name", "no name").press(&[".actions button"]).see("[role=alert]"),
    at("/console/profiles"),
    at(PROFILE).of("standard"),
    at(PROFILE).of("enate"),
    at(PROFILE).of("etlworks"),
    at(PROFILE).of("http-signatures"),
    at(KEYS),
    at(KEYS).fill("#name", "Shop").press(&["input[value=read]", ".more-card .primary"]).see(".made code"),
    at(KEYS).fill("#name", "Shop").press(&[".more-card .primary"]).see("[role=alert]"),
    at(ALERTS),
    at("/console/alerts/{webhook}").of("alert"),
    at("/console/alerts/{webhook}/secret").of("alert").press(&["#secret-turn"]).see(".secrets"),
    at(ALERTS).fill("#url", "https://93.184.216.34/on-call").press(&[".more-card .primary"]).see(".made code"),
    at(ALERTS).fill("#url", "nonsense").press(&[".more-card .primary"]).see("[role=alert]"),
    at(PAUSES),
    at(PAUSES).fill("#host", "https://x").press(&[".more-card .primary"]).see("[role=alert]"),
    at("/console/jobs"),
    at("/console/system"),
    at("/console/{*rest}").of("nowhere").refuses(),
];

/// What one sees in a project that has nothing yet.
pub(super) const EMPTY: [Screen; 7] = [
    at(OVERVIEW),
    at(ORGANIZATIONS).see(".empty"),
    at("/console/failing").see(".empty"),
    at(DELIVERIES).see(".empty"),
    at(EVENT_TYPES).see(".empty"),
    at("/console/jobs").see(".empty"),
    at(PAUSES).see(".empty"),
];

/// What one sees who is not in.
pub(super) const OUTSIDE: [Screen; 2] =
    [at(SIGN_IN), at(SIGN_IN).fill("#key", "wrong").press(&["main button"]).see("[role=alert]")];

/// How one gets in by a link; its script is kept from pressing the button.
pub(super) const ENTRY: Screen = at("/console/open/{code}");

/// Signs in at the console with the admin key.
pub(super) async fn sign_in(browser: &Browser, api: &Api) {
    browser.open(&format!("{}{SIGN_IN}", base(api))).await;
    browser.fill("#key", ADMIN).await;
    browser.press("main button").await;
    browser.see(".session").await;
}

/// A project with something on every screen; gives what the screens are of.
pub(super) async fn project(api: &Api, sink: &mut Sink) -> Things {
    let mut things = portal_screens::customer(api, sink).await;
    api.post("/v1/projects", json!({"name": "A second one"})).await.created();
    let hold = json!({"organization": "empty"});
    api.post("/v1/pauses", hold).await.created();
    let told = json!({"name": "Pager", "url": crate::api::URL, "events": ["delivery.exhausted"]});
    things.insert("alert", id(&api.post("/v1/operator-webhooks", told).await.created()));
    things.insert("org", id(&api.get("/v1/organizations/acme").await.ok()));
    api.patch("/v1/event-types/other", json!({"deprecated": true})).await.ok();
    things.insert("deprecated", "other".to_owned());
    api.key(&["read", "events:write"], json!({"organization": "acme"})).await;
    let broken = json!({"name": "Broken", "url": sink.url, "retry": {"delays_seconds": []}, "events": ["other"]});
    api.webhook("acme", broken).await;
    sink.answer(410);
    api.event("acme", "other").await;
    // One goes to the webhook for all events.
    for _ in 0..2 {
        sink.next().await;
    }
    api.until_state("exhausted", 3).await;
    things.insert("name", "order.created".to_owned());
    for profile in ["standard", "enate", "etlworks", "http-signatures"] {
        things.insert(profile, profile.to_owned());
    }
    things
}
