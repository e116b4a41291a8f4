//! Which URLs a webhook may have.

use fanfare::config::Sources;
use serde_json::json;

use super::{Api, URL};

const PATH: &str = "/v1/organizations/acme/webhooks";

#[tokio::test]
async fn cases_014_015_017_urls_that_are_none() {
    let api = Api::start().await;
    api.organization("acme").await;
    let urls = [
        "",
        "example.com/hook",
        "//example.com/hook",
        "https://",
        "https://user@93.184.216.34/",
        "https://user:password@93.184.216.34/",
        "https://93.184.216.34@127.0.0.1#@x",
        "https://93.184.216.34\\@127.0.0.1/",
        "https://93.184.\t216.34/",
        "https://93.184.216.34/\n",
        "https://93.184.216.34/\0",
        "https://[fe80::1%25eth0]/",
        "https://93.184.216.34/#fragment",
        "https://93.184.216.34:99999/",
        "https://93.184.216.34:0/",
        "file:///etc/passwd",
        "gopher://93.184.216.34/",
        "ws://93.184.216.34/",
        "javascript:alert(1)",
        "data:text/plain,x",
    ];
    for url in urls {
        api.post(PATH, json!({"url": url})).await.invalid("url");
    }
    let long = format!("https://93.184.216.34/{}", "x".repeat(2_048));
    api.post(PATH, json!({"url": long})).await.invalid("url");
    api.stop().await;
}

#[tokio::test]
async fn cases_001_to_018_addresses_that_may_not_be_called_are_refused_alike() {
    let api = Api::start().await;
    api.organization("acme").await;
    let urls = [
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://localhost./",
        "https://intranet/",
        "https://service.internal/",
        "https://93.184.216.34:22/",
        "https://93.184.216.34:5432/",
    ];
    let mut texts = Vec::new();
    for url in urls {
        let reply = api.post(PATH, json!({"url": url})).await;
        texts.push(reply.text.clone());
        reply.refuses(422, "address_denied", "url");
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "the answers tell of the network: {texts:?}");
    api.stop().await;
}

#[tokio::test]
async fn an_edit_is_judged_too() {
    let api = Api::start().await;
    api.organization("acme").await;
    let made = api.webhook("acme", json!({})).await;
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    api.patch(&path, json!({"url": "https://127.0.0.1/"})).await.refuses(422, "address_denied", "url");
    api.patch(&path, json!({"url": "nowhere"})).await.invalid("url");
    assert_eq!(api.get(&path).await.ok()["url"], URL);
    api.patch(&path, json!({"url": "http://93.184.216.35/"})).await.ok();
    api.stop().await;
}

#[tokio::test]
async fn what_the_operator_allows_may_be_named() {
    let sources = Sources { egress_allow: Some("127.0.0.0/8".to_owned()), ..Sources::default() };
    let api = Api::start_with(sources).await;
    api.organization("acme").await;
    api.webhook("acme", json!({"url": "http://127.0.0.1:9999/hook"})).await;
    api.post(PATH, json!({"url": "http://10.0.0.1/"})).await.refuses(422, "address_denied", "url");
    api.stop().await;
}

#[tokio::test]
async fn case_017_http_is_refused_where_https_is_asked_for() {
    let sources = Sources { https_only: Some(true), ..Sources::default() };
    let api = Api::start_with(sources).await;
    api.organization("acme").await;
    api.post(PATH, json!({"url": "http://93.184.216.34/"})).await.invalid("url");
    api.webhook("acme", json!({})).await;
    api.stop().await;
}
