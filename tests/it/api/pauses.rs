//! `/v1/pauses`.

use serde_json::json;

use super::Api;

#[tokio::test]
async fn holds_are_started_listed_and_ended() {
    let api = Api::start().await;
    let acme = api.organization("acme").await;
    let one = api.post("/v1/pauses", json!({"organization": "acme"})).await.created();
    assert_eq!((&one["organization"], &one["everything"]), (&acme["id"], &json!(false)));
    let host = api.post("/v1/pauses", json!({"host": "Hooks.Example.COM."})).await.created();
    assert_eq!(host["host"], "hooks.example.com");
    let all = api.post("/v1/pauses", json!({"everything": true})).await.created();
    assert_eq!((&all["everything"], &all["organization"], &all["host"]), (&json!(true), &json!(null), &json!(null)));
    let list = api.get("/v1/pauses").await.ok();
    assert_eq!(list["data"], json!([all, host, one]));
    let path = format!("/v1/pauses/{}", one["id"].as_str().unwrap());
    api.delete(&path).await.gone();
    api.delete(&path).await.problem(404, "not_found");
    assert_eq!(api.get("/v1/pauses").await.ok()["data"], json!([all, host]));
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_hold_is_named() {
    let api = Api::start().await;
    api.organization("acme").await;
    let cases = [
        (json!({"organization": "nobody"}), "organization"),
        (json!({"host": "https://example.com/"}), "host"),
        (json!({"host": "a.example", "organization": "acme"}), "everything"),
        (json!({"everything": false}), "everything"),
    ];
    for (body, field) in cases {
        api.post("/v1/pauses", body).await.invalid(field);
    }
    api.stop().await;
}
