//! `/v1/event-types`.

use serde_json::json;

use super::Api;

#[tokio::test]
async fn event_types_are_made_edited_and_removed() {
    let api = Api::start().await;
    let schema = json!({"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]});
    let made = api
        .post(
            "/v1/event-types",
            json!({"name": "job.created", "kind": "job", "description": "A job", "schema": schema, "example": {"id": 1}}),
        )
        .await
        .created();
    assert_eq!((&made["schema"], &made["example"]), (&schema, &json!({"id": 1})));
    assert_eq!(api.get("/v1/event-types/job.created").await.ok(), made);
    let edited = api.patch("/v1/event-types/job.created", json!({"kind": null, "description": "Any job"})).await.ok();
    assert_eq!((&edited["kind"], &edited["description"]), (&json!(null), &json!("Any job")));
    assert_eq!(edited["schema"], schema);
    api.post("/v1/event-types", json!({"name": "job.created"})).await.refuses(409, "taken", "name");
    api.post("/v1/event-types", json!({"name": "task.created", "kind": "task"})).await.created();
    let tasks = api.get("/v1/event-types?kind=task").await.ok();
    assert_eq!(tasks["data"].as_array().unwrap().len(), 1);
    api.delete("/v1/event-types/job.created").await.gone();
    api.get("/v1/event-types/job.created").await.problem(404, "not_found");
    api.delete("/v1/event-types/job.created").await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_event_type_is_named() {
    let api = Api::start().await;
    let cases = [
        (json!({"name": "two words"}), "name"),
        (json!({"name": "line\nbreak"}), "name"),
        (json!({"name": "größe"}), "name"),
        (json!({"name": "a", "schema": {"type": "integre"}}), "schema"),
        (json!({"name": "a", "schema": "text"}), "schema"),
        (json!({"name": "a", "schema": {"$ref": "https://93.184.216.34/schema"}}), "schema"),
        (json!({"name": "a", "schema": {"description": "x".repeat(70_000)}}), "schema"),
        (json!({"name": "a", "schema": {"type": "integer"}, "example": "text"}), "example"),
        (json!({"name": "a", "description": "x".repeat(2_001)}), "description"),
    ];
    for (body, field) in cases {
        api.post("/v1/event-types", body).await.invalid(field);
    }
    api.stop().await;
}
