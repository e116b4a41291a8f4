//! `/v1/deliveries/resend`, `/v1/deliveries/cancel` and `/v1/jobs`.

use axum::http::Method;
use fanfare_engine::delivery::State;
use fanfare_engine::id::{DeliveryId, JobId, OrganizationId};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::jobs::{self, Job, JobState, Room, Task};
use fanfare_store::log::{self, DeliveryFilter};
use fanfare_store::queue::{Operation, Work};
use serde_json::{Value, json};

use super::sending::{Sink, local, until};
use super::{Api, START};

/// A server with an organization and a webhook that tries once.
async fn ready(sink: &Sink) -> Api {
    let api = Api::start_with(local()).await;
    api.event_types(&["a", "b"]).await;
    for org in ["acme", "other"] {
        api.organization(org).await;
        api.webhook(org, json!({"url": sink.url, "retry": {"delays_seconds": []}})).await;
    }
    api
}

async fn exhausted(api: &Api, sink: &mut Sink, org: &str, kind: &str, count: usize) {
    sink.answer(500);
    for _ in 0..count {
        api.event(org, kind).await;
        sink.next().await;
    }
    until("all are exhausted", async || {
        let found = api.deliveries("state=exhausted").await;
        let own = |found: &&Value| found["event_type"] == kind && found["attempts"] == 1;
        (found.iter().filter(own).count() >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_failed_is_sent_again() {
    let mut sink = Sink::start().await;
    let api = ready(&sink).await;
    api.event("acme", "a").await;
    api.until_state("delivered", 1).await;
    sink.next().await;
    exhausted(&api, &mut sink, "acme", "a", 3).await;
    exhausted(&api, &mut sink, "acme", "b", 1).await;
    sink.answer(200);
    let selection = json!({"state": "exhausted", "event_type": "a"});
    let mut preview = selection.clone();
    preview["preview"] = json!(true);
    let counted = api.post("/v1/deliveries/resend", preview).await.ok();
    assert_eq!(counted, json!({"count": 3, "more": false}));
    let made = api.post("/v1/deliveries/resend", selection).await.with(202);
    let job = api.ended(&made).await;
    assert_eq!((&job["state"], &job["kind"]), (&json!("completed"), &json!("resend")), "{job}");
    assert_eq!((&job["done"], &job["total"]), (&json!(3), &json!(3)), "{job}");
    for _ in 0..3 {
        assert_eq!(sink.next().await["data"], json!({"of": "a"}));
    }
    let delivered = api.until_state("delivered", 4).await;
    let attempts: Vec<_> = delivered.iter().map(|delivery| delivery["attempts"].as_u64().unwrap()).collect();
    assert_eq!(attempts, [2, 2, 2, 1]);
    assert!(sink.rest().is_empty());
    api.stop().await;
}

#[tokio::test]
async fn cancelling_reaches_what_waits_in_memory() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(fanfare::config::Sources { webhook_concurrency: Some(1), ..local() }).await;
    api.event_types(&["a"]).await;
    api.organization("acme").await;
    let webhook = api.webhook("acme", json!({"url": sink.url})).await;
    sink.hold(true);
    for _ in 0..5 {
        api.event("acme", "a").await;
    }
    sink.next().await;
    let made = api.post("/v1/deliveries/cancel", json!({"webhook": webhook["id"]})).await.with(202);
    let job = api.ended(&made).await;
    assert_eq!((&job["done"], &job["total"]), (&json!(4), &json!(5)), "one is being sent: {job}");
    api.until_state("cancelled", 4).await;
    sink.hold(false);
    api.until_state("delivered", 1).await;
    assert!(sink.rest().is_empty());
    api.stop().await;
}

#[tokio::test]
async fn retries_can_be_cancelled() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.event_types(&["a"]).await;
    api.organization("acme").await;
    api.webhook("acme", json!({"url": sink.url})).await;
    sink.answer(500);
    api.event("acme", "a").await;
    sink.next().await;
    api.until_state("pending", 1).await;
    let made = api.post("/v1/deliveries/cancel", json!({"all": true})).await.with(202);
    assert_eq!(api.ended(&made).await["done"], 1);
    api.until_state("cancelled", 1).await;
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_selection_is_named() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    let cases = [
        (json!({}), "all"),
        (json!({"all": false}), "all"),
        (json!({"state": "lost"}), "state"),
        (json!({"webhook": "acme"}), "webhook"),
        (json!({"event": "mine"}), "event"),
        (json!({"organization": "nobody"}), "organization"),
        (json!({"since": "yesterday"}), "since"),
        (json!({"cursor": "x"}), "cursor"),
    ];
    for (body, field) in cases {
        api.post("/v1/deliveries/resend", body.clone()).await.invalid(field);
        api.post("/v1/deliveries/cancel", body).await.invalid(field);
    }
    api.post("/v1/deliveries/cancel", json!({"state": "delivered"})).await.invalid("state");
    api.stop().await;
}

#[tokio::test]
async fn case_080_jobs_are_their_tenants() {
    let mut sink = Sink::start().await;
    let api = ready(&sink).await;
    exhausted(&api, &mut sink, "acme", "a", 2).await;
    exhausted(&api, &mut sink, "other", "b", 1).await;
    let key = api.key(&["manage"], json!({"organization": "acme"})).await;
    let other = api.key(&["manage"], json!({"organization": "other"})).await;
    let ask = |body: Value| api.ask(Method::POST, "/v1/deliveries/resend").key(&key).json(&body);
    // All that a bound key can mean is its organization's.
    let made = ask(json!({"all": true})).send().await.with(202);
    let job = api.ended(&made).await;
    assert_eq!((&job["done"], &job["total"]), (&json!(2), &json!(2)), "{job}");
    ask(json!({"organization": "other"})).send().await.invalid("organization");
    let path = format!("/v1/jobs/{}", made["job_id"].as_str().unwrap());
    api.ask(Method::GET, &path).key(&key).send().await.ok();
    api.ask(Method::GET, &path).key(&other).send().await.problem(404, "not_found");
    api.ask(Method::POST, &format!("{path}/cancel")).key(&other).send().await.problem(404, "not_found");
    api.get("/v1/jobs/job_0000000000000").await.problem(404, "not_found");
    api.stop().await;
}

/// A job of the project `default` that nobody was told of.
fn unbegun(api: &Api, task: Task) -> Job {
    let now: Timestamp = START.parse().unwrap();
    Job {
        id: api.server.app.ids.next::<JobId>(),
        project: api.server.app.default_project,
        organization: None,
        task,
        state: JobState::Running,
        position: 0,
        done: 0,
        total: None,
        error: None,
        created_at: now,
        updated_at: now,
    }
}

/// Keeps a job, of which nobody is told.
async fn keep(api: &Api, job: &Job) {
    let room = Room { of_project: u32::MAX, of_organization: u32::MAX };
    api.server.app.store.change(jobs::insert(job, room, Timestamp(0)), None).await.unwrap();
}

#[tokio::test]
async fn a_job_can_be_cancelled_once() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    let job = unbegun(&api, Task::Resend(DeliveryFilter::default()));
    keep(&api, &job).await;
    let path = format!("/v1/jobs/{}", job.id);
    assert_eq!(api.post(&format!("{path}/cancel"), json!({})).await.ok()["state"], "cancelled");
    api.post(&format!("{path}/cancel"), json!({})).await.problem(409, "invalid_state");
    api.stop().await;
}

#[tokio::test]
async fn there_may_be_only_so_many_jobs() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    for _ in 0..fanfare::catalogue::jobs::MAX_RUNNING {
        let job = unbegun(&api, Task::Resend(DeliveryFilter::default()));
        keep(&api, &job).await;
    }
    api.post("/v1/deliveries/resend", json!({"all": true})).await.problem(409, "limit_reached");
    api.stop().await;
}

#[tokio::test]
async fn one_organization_leaves_room_for_the_jobs_of_others() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    let acme = api.get("/v1/organizations/acme").await.ok()["id"].as_str().and_then(OrganizationId::parse);
    for _ in 0..fanfare::catalogue::jobs::MAX_RUNNING_OF_ONE {
        let job = Job { organization: acme, ..unbegun(&api, Task::Resend(DeliveryFilter::default())) };
        keep(&api, &job).await;
    }
    let resend = async |organization: &str| {
        api.post("/v1/deliveries/resend", json!({"organization": organization, "state": "exhausted"})).await
    };
    resend("acme").await.problem(409, "limit_reached");
    let theirs = resend("other").await.with(202);
    assert_eq!(api.ended(&theirs).await["state"], "completed");
    api.stop().await;
}

#[tokio::test]
async fn case_079_a_job_goes_on_after_a_restart() {
    const COUNT: usize = 450;
    const BEFORE: u32 = 200;
    let mut sink = Sink::start().await;
    let api = ready(&sink).await;
    sink.answer(500);
    let events: Vec<Value> = (0..COUNT).map(|_| json!({"organization": "acme", "type": "a", "data": {}})).collect();
    api.post("/v1/events/batch", json!({"events": events})).await.with(202);
    for _ in 0..COUNT {
        sink.next().await;
    }
    until_counted(&api, "exhausted", COUNT).await;
    sink.answer(200);
    // The server ends just after the first piece is on disk, before anybody is told of it.
    let filter = DeliveryFilter { state: Some(State::Exhausted), ..DeliveryFilter::default() };
    let job = unbegun(&api, Task::Resend(filter.clone()));
    keep(&api, &job).await;
    let store = &api.server.app.store;
    let upwards = DeliveryFilter { after: Some(DeliveryId(0)), ..filter };
    let rows = store.read(log::deliveries(&upwards, BEFORE, u32::MAX)).await.unwrap();
    let resend: Vec<DeliveryId> = rows.iter().map(|row| row.id).collect();
    let to = resend.last().unwrap().0;
    let piece = Work { job: job.id, from: 0, to, ends: false, resend, cancel: Vec::new(), deliver: Vec::new() };
    store.apply(Operation::Work(piece)).await.unwrap();
    let directory = api.stop_and_keep().await;
    assert!(sink.rest().is_empty());

    let api = Api::start_in(directory, local()).await;
    let job = api.ended(&json!({"job_id": job.id})).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("completed"), &json!(COUNT)), "{job}");
    for _ in 0..COUNT {
        sink.next().await;
    }
    until_counted(&api, "delivered", COUNT).await;
    assert!(sink.rest().is_empty(), "something was sent twice");
    api.stop().await;
}

/// Waits until so many deliveries are in this state.
async fn until_counted(api: &Api, state: &str, count: usize) {
    until(&format!("{count} {state}"), async || {
        let counted = api.post("/v1/deliveries/resend", json!({"state": state, "preview": true})).await.ok();
        (counted["count"] == count).then_some(())
    })
    .await;
}
