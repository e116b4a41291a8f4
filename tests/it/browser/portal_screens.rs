//! Every screen of the portal, and a customer who has something on each of them.

use serde_json::{Value, json};

use super::screen::{Screen, Things, at};
use crate::api::sending::{Sink, until};
use crate::api::{Api, START};
use crate::portal::id;

const WEBHOOKS: &str = "/portal/webhooks";
const NEW: &str = "/portal/webhooks/new";
const WEBHOOK: &str = "/portal/webhooks/{webhook}";
const EDIT: &str = "/portal/webhooks/{webhook}/edit";
const VERIFY: &str = "/portal/webhooks/{webhook}/verify";
const RECOVER: &str = "/portal/webhooks/{webhook}/recover";
const DELIVERIES: &str = "/portal/deliveries";
const DELIVERY: &str = "/portal/deliveries/{delivery}";
const CATALOGUE: &str = "/portal/catalogue";

/// Those about webhooks, in an order in which none spoils the next.
pub(super) const OF_WEBHOOKS: [Screen; 24] = [
    at(WEBHOOKS),
    at(WEBHOOKS).query("?search=nothing").see(".empty"),
    at(NEW),
    at(NEW).press(&[".form > .actions button"]).see("[aria-invalid=true]"),
    at(NEW).query("?profile=enate").see("#filter"),
    at(NEW).query("?profile=etlworks").see("#method"),
    at(NEW).query("?profile=one-click-contractor"),
    at(NEW).query("?profile=enablenow"),
    at(EDIT),
    at(WEBHOOK).query("?range=1h").see(".chart"),
    at(WEBHOOK).query("?range=24h").see(".chart"),
    at(WEBHOOK).query("?range=7d").see(".chart"),
    at(WEBHOOK).query("?range=30d").see(".chart"),
    at(WEBHOOK).of("paused"),
    at(WEBHOOK).of("off"),
    at(RECOVER),
    at(RECOVER).query("?since=").see("[role=alert]"),
    at(RECOVER).query("?since=2026-11-22T09%3A00&until=&state=exhausted").see("#count"),
    at(WEBHOOKS).press(&["[data-copy]"]).see(".toast"),
    // These change something.
    at(WEBHOOK).press(&["#secret .more button"]).see(".notice.good"),
    at(WEBHOOK).press(&["#secret form button"]).see(".secrets dd"),
    at("/portal/webhooks/{webhook}/secret"),
    at("/portal/webhooks/{webhook}/secret/rotate"),
    at(WEBHOOK).press(&["[aria-labelledby=test] form button"]).see(".timeline"),
];

/// Those about deliveries and all else, in such an order, too.
pub(super) const OF_DELIVERIES: [Screen; 17] = [
    at("/portal/jobs/{job}"),
    at(DELIVERIES),
    at(DELIVERIES).press(&["[data-live]"]).see("[data-live][aria-pressed=true]"),
    at(DELIVERIES).query("?response_code=abc").see("[role=alert]"),
    at(DELIVERIES).query("?state=cancelled").see(".empty"),
    at("/portal/deliveries/resend").query("?state=exhausted").see("main .button.primary"),
    at("/portal/deliveries/resend").query("?state=cancelled"),
    at(DELIVERY).see(".attempt[open]"),
    at(DELIVERY).of("waiting"),
    at(CATALOGUE),
    at(CATALOGUE).query("?search=nothing").see(".empty"),
    at("/portal/catalogue/type").query("?name=order.created"),
    at(VERIFY).press(&["#code form button"]).see("#code a.button"),
    at(VERIFY).of("unsigned"),
    at("/portal/{*rest}").of("nowhere").refuses(),
    // These change something.
    at(DELIVERY).press(&[".page-head [data-resend]"]).see(".timeline"),
    at(DELIVERIES).press(&["input[form=chosen]", "#chosen button"]).see(".notice.good"),
];

/// The page of code, once for each language.
pub(super) const LANGUAGES: [Screen; 9] = [
    at(VERIFY).press(&["label[for=language-node]"]),
    at(VERIFY).press(&["label[for=language-python]"]),
    at(VERIFY).press(&["label[for=language-go]"]),
    at(VERIFY).press(&["label[for=language-rust]"]),
    at(VERIFY).press(&["label[for=language-java]"]),
    at(VERIFY).press(&["label[for=language-ruby]"]),
    at(VERIFY).press(&["label[for=language-php]"]),
    at(VERIFY).press(&["label[for=language-csharp]"]),
    at(VERIFY).press(&["label[for=language-curl]"]),
];

/// What one sees who has nothing yet.
pub(super) const EMPTY: [Screen; 3] = [at(WEBHOOKS).see(".empty"), at(DELIVERIES).see(".empty"), at(CATALOGUE)];

/// What one sees who is not in, or was.
pub(super) const OUTSIDE: [Screen; 2] = [at(WEBHOOKS).refuses(), at("/portal/open/{code}").of("used code").refuses()];

/// How one gets in; its script is kept from pressing the button.
pub(super) const ENTRY: Screen = at("/portal/open/{code}");

/// A customer with something on every screen; gives what the screens are of.
pub(super) async fn customer(api: &Api, sink: &mut Sink) -> Things {
    let profiles = ["enate", "enablenow", "etlworks", "one-click-contractor"];
    api.patch("/v1/projects/default", json!({"allowed_profiles": profiles})).await.ok();
    api.organization("acme").await;
    api.organization("empty").await;
    for (name, kind) in [("order.created", Some("Orders")), ("order.done", Some("Orders")), ("other", None)] {
        let example = json!({"id": 1, "title": "New roof", "paid": false, "tags": [null, 1.5]});
        let schema = json!({"type": "object"});
        let body =
            json!({"name": name, "kind": kind, "description": "It happened.", "example": example, "schema": schema});
        api.post("/v1/event-types", body).await.created();
    }
    let once = json!({"delays_seconds": []});
    let webhook = id(&api.webhook("acme", json!({"name": "Orders", "url": sink.url, "retry": once})).await);
    // Nothing is missed as yet.
    let recover = format!("/v1/organizations/acme/webhooks/{webhook}/recover");
    let job = api.post(&recover, json!({"since": START})).await;
    let job: Value = api.ended(&job.accepted()).await;
    let off = id(&api.webhook("acme", json!({"name": "", "enabled": false, "events": ["other"]})).await);
    let long = json!({"name": "A name that is rather long and goes on", "events": ["order.done"]});
    let paused = id(&api.webhook("acme", long).await);
    api.post(&format!("/v1/organizations/acme/webhooks/{paused}/pause"), json!({})).await.ok();
    let unsigned = json!({"name": "Unsigned", "profile": "enablenow", "events": ["transactions.fetched"]});
    let unsigned = id(&api.webhook("acme", unsigned).await);
    sink.answer(503);
    api.event("acme", "order.created").await;
    sink.next().await;
    let delivery = id(&api.until_state("exhausted", 1).await[0]);
    sink.answer(200);
    api.event("acme", "order.done").await;
    sink.next().await;
    api.until_state("delivered", 1).await;
    let waiting = id(&api.until_state("pending", 1).await[0]);
    // Figures are written a moment after what they count.
    let visit = api.visit("acme").await;
    until("the charts", async || {
        let page = visit.get(&format!("/portal/webhooks/{webhook}?range=1h")).await.ok();
        (page.count(".chart") > 0).then_some(())
    })
    .await;
    Things::from([
        ("webhook", webhook),
        ("off", off),
        ("paused", paused),
        ("unsigned", unsigned),
        ("delivery", delivery),
        ("waiting", waiting),
        ("job", id(&job)),
        ("nowhere", "nowhere".to_owned()),
    ])
}
