//! Event types that come with a project's profile: seen, named, posted, and kept.

use serde_json::{Value, json};

use super::{Api, URL};
use fanfare::config::Sources;

const COMPANY: &str = "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e01";

async fn enate() -> Api {
    let api = Api::start_with(Sources { profile: Some("enate".to_owned()), ..Sources::default() }).await;
    api.organization("acme").await;
    let rights = json!({"roles": ["ProcessBuilder"], "grants": "all"});
    api.put("/v1/organizations/acme/users/builder", rights).await.created();
    api
}

fn subscription(event: &str, filter: Value) -> Value {
    json!({"url": URL, "events": [event], "filter": filter, "owner": "builder"})
}

#[tokio::test]
async fn a_project_has_the_event_types_of_its_profile() {
    let api = enate().await;
    let list = api.get("/v1/event-types").await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), 6);
    let specific = api.get("/v1/event-types/SpecificBusinessObjectUpdated").await.ok();
    assert_eq!(specific["title"], "Specific Business Object Updated");
    assert_eq!(specific["listens_to"], json!(["BusinessObjectUpdated"]));
    let types = json!([{"name": "Company", "number": 31}, {"name": "Schedule", "number": 260}]);
    assert_eq!(specific["filter"], json!({"rule": "required", "id": "required", "types": types}));
    assert_eq!(specific["example"], json!({"Name": "Acme"}));
    let refused = api.delete("/v1/event-types/PacketCreated").await.problem(409, "invalid_state");
    assert!(refused["detail"].as_str().unwrap().contains("comes with the project's profile"));
    api.stop().await;
}

#[tokio::test]
async fn a_project_that_gets_another_profile_gets_its_event_types() {
    let api = Api::start().await;
    api.post("/v1/event-types", json!({"name": "job.created", "description": "Ours"})).await.created();
    api.patch("/v1/projects/default", json!({"profile": "one-click-contractor"})).await.ok();
    assert_eq!(api.get("/v1/event-types/job.created").await.ok()["description"], "Ours");
    assert_eq!(api.get("/v1/event-types/estimate.updated").await.ok()["kind"], "Estimate");
    let made = api.post("/v1/projects", json!({"name": "second", "profile": "etlworks"})).await.created();
    assert_eq!(made["profile"], "etlworks");
    api.stop().await;
}

#[tokio::test]
async fn a_project_has_the_event_types_of_the_profiles_that_it_allows() {
    let api = Api::start().await;
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["etlworks"]})).await.ok();
    api.get("/v1/event-types/Flow.Executed").await.ok();
    api.organization("acme").await;
    let webhook = json!({"url": URL, "profile": "etlworks", "events": ["Flow.Executed"]});
    api.post("/v1/organizations/acme/webhooks", webhook).await.created();
    api.delete("/v1/event-types/Flow.Executed").await.problem(409, "invalid_state");
    api.stop().await;
}

#[tokio::test]
async fn event_types_that_a_profile_got_since_are_made_at_the_start() {
    let profiles = tempfile::tempdir().unwrap();
    let write = |types: &[&str]| {
        let types: String = types.iter().map(|name| format!("[[event_types]]\nname = {name:?}\n")).collect();
        std::fs::write(profiles.path().join("own.toml"), format!("name = \"own\"\n{types}")).unwrap();
    };
    let sources = || Sources {
        profile: Some("own".to_owned()),
        profiles_dir: Some(profiles.path().to_owned()),
        ..Sources::default()
    };
    write(&["a"]);
    let directory = Api::start_with(sources()).await.stop_and_keep().await;
    write(&["a", "b"]);
    let api = Api::start_in(directory, sources()).await;
    api.get("/v1/event-types/b").await.ok();
    api.stop().await;
}

#[tokio::test]
async fn settings_are_kept_in_the_form_of_the_profile() {
    let api = enate().await;
    let filter = json!({"type": "31", "id": COMPANY});
    let webhook = api.webhook("acme", subscription("BusinessObjectUpdated", filter)).await;
    assert_eq!(webhook["events"], json!(["SpecificBusinessObjectUpdated"]));
    assert_eq!(webhook["filter"], json!({"type": "Company", "id": COMPANY}));
    let zero = json!({"type": "260", "id": "00000000-0000-0000-0000-000000000000"});
    let webhook = api.webhook("acme", subscription("NewBusinessObject", zero)).await;
    assert_eq!(webhook["events"], json!(["BusinessObjectCreated"]));
    assert_eq!(webhook["filter"], json!({"type": "Schedule"}));
    let wrong = subscription("BusinessObjectCreated", json!({"type": "911"}));
    let message = "is Process (911), but BusinessObjectCreated takes Company (31), Schedule (260)";
    api.post("/v1/organizations/acme/webhooks", wrong).await.invalid_because("filter.type", message);
    api.stop().await;
}

#[tokio::test]
async fn what_only_webhooks_name_is_not_posted() {
    let api = enate().await;
    let path = "/v1/organizations/acme/events";
    let specific = json!({"type": "SpecificBusinessObjectUpdated", "data": {"Name": "Acme"}});
    api.post(path, specific).await.invalid_because("type", "post BusinessObjectUpdated instead");
    let company = json!({"type": "Company", "id": COMPANY});
    api.webhook("acme", subscription("BusinessObjectUpdated", json!({"type": "Company"}))).await;
    api.webhook("acme", subscription("SpecificBusinessObjectUpdated", company.clone())).await;
    let posted = json!({"type": "BusinessObjectUpdated", "data": {"Name": "Acme"}, "entity": company});
    assert_eq!(api.post(path, posted).await.accepted()["deliveries"], 2);
    let alias = json!({"type": "NewBusinessObject", "data": {"Name": "Acme"}});
    let id = api.post(path, alias).await.accepted()["id"].as_str().unwrap().to_owned();
    assert_eq!(api.get(&format!("{path}/{id}")).await.ok()["type"], "BusinessObjectCreated");
    api.stop().await;
}

#[tokio::test]
async fn an_event_that_lacks_what_its_profile_needs_is_refused() {
    let api = Api::start_with(Sources { profile: Some("etlworks".to_owned()), ..Sources::default() }).await;
    api.organization("acme").await;
    let path = "/v1/organizations/acme/events";
    api.post(path, json!({"type": "Flow.Executed", "data": {}})).await.invalid("entity");
    let bare = json!({"type": "Flow.Executed", "data": {}, "entity": {"type": "Flow", "id": "1"}});
    api.post(path, bare).await.invalid("entity.url");
    let entity = json!({"type": "Flow", "id": "1", "url": "https://app.example.com/flows/1"});
    api.post(path, json!({"type": "Flow.Executed", "data": {}, "entity": entity})).await.accepted();
    api.stop().await;
}

#[tokio::test]
async fn event_types_of_a_profile_that_is_merely_allowed_keep_its_rules() {
    let api = Api::start().await;
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["etlworks", "enate"]})).await.ok();
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let path = "/v1/organizations/acme/events";
    api.post(path, json!({"type": "Flow.Executed", "data": {}})).await.invalid("entity");
    // What is not of that profile is not its business.
    api.post(path, json!({"type": "job.created", "data": {}})).await.accepted();
    let specific = json!({"type": "SpecificBusinessObjectUpdated", "data": {"Name": "Acme"}});
    api.post(path, specific).await.invalid_because("type", "post BusinessObjectUpdated instead");
    let alias = json!({"type": "NewBusinessObject", "data": {"Name": "Acme"}});
    let id = api.post(path, alias).await.accepted()["id"].as_str().unwrap().to_owned();
    assert_eq!(api.get(&format!("{path}/{id}")).await.ok()["type"], "BusinessObjectCreated");
    api.stop().await;
}
