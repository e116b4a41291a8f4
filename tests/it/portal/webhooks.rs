//! The list of webhooks.

use fanfare::config::Sources;
use fanfare_engine::id::{OrganizationId, WebhookId};
use fanfare_store::catalogue::webhooks::{self, WebhookRow};
use fanfare_store::catalogue::{SCAN, ownership};
use fanfare_store::query::Change;
use serde_json::json;
use uuid::Uuid;

use super::id;
use crate::api::Api;
use crate::api::sending::{Sink, local};

const PATH: &str = "/portal/webhooks";

#[tokio::test]
async fn an_empty_list_says_what_to_do() {
    let api = Api::start().await;
    api.organization("acme").await;
    let visit = api.visit("acme").await;
    let seen = visit.get(PATH).await.ok();
    assert_eq!((seen.only("title"), seen.only(".brand-name")), ("Webhooks · acme".to_owned(), "acme".to_owned()));
    assert_eq!(seen.only(".empty h2"), "No webhooks yet");
    assert_eq!(seen.attribute(".empty a", "href").unwrap(), "/portal/webhooks/new");
    assert_eq!(seen.attribute("nav [aria-current=page]", "href").unwrap(), PATH);
    api.stop().await;
}

#[tokio::test]
async fn the_list_shows_how_each_webhook_does() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    api.webhook("acme", json!({"name": "Orders", "url": sink.url, "retry": {"delays_seconds": []}})).await;
    api.webhook("acme", json!({"name": "Staging", "enabled": false, "events": ["job.created"]})).await;
    let visit = api.visit("acme").await;
    for (status, state) in [(200, "delivered"), (500, "exhausted")] {
        for count in 1..=5 {
            let seen = visit.get(PATH).await.ok();
            assert_eq!(seen.texts("tbody .pill"), ["Off", "Active"], "a few failures are not yet failing");
            sink.answer(status);
            api.event("acme", "job.created").await;
            sink.next().await;
            api.until_state(state, count).await;
        }
    }
    let seen = visit.get(PATH).await.ok();
    assert_eq!(seen.texts("tbody .title"), ["Staging", "Orders"]);
    assert_eq!(seen.texts("tbody .pill"), ["Off", "Failing"]);
    assert_eq!(seen.texts("tbody td.main > .muted"), ["job.created", "All events"]);
    assert_eq!(seen.attributes("[role=switch]", "aria-checked"), ["false", "true"]);
    assert_eq!(
        seen.attributes("svg.spark", "aria-label"),
        ["Last 24 hours: 0 accepted, 0 failed.", "Last 24 hours: 5 accepted, 5 failed."]
    );
    assert_eq!(seen.texts(".day > .muted"), ["Nothing sent", "50 % failed"]);
    assert!(seen.only("tr:last-child .reason").starts_with("Every attempt has failed since 2026-11-22"));
    api.stop().await;
}

#[tokio::test]
async fn a_search_that_finds_nothing_among_the_newest_goes_on() {
    let api = Api::start().await;
    api.organization("acme").await;
    let old = api.webhook("acme", json!({"name": "Old", "enabled": false})).await;
    let newer = WebhookId::parse(&id(&api.webhook("acme", json!({"name": "New"})).await)).unwrap();
    let app = api.app();
    let owner = app.store.read_one(ownership::webhook(newer)).await.unwrap().unwrap();
    let row = app.store.read_one(webhooks::by_id(owner, newer)).await.unwrap().unwrap();
    // As many as are looked at for a page.
    let other = |number| WebhookRow { id: app.ids.next(), uuid: Uuid::from_u128(number), ..row.clone() };
    let steps = (1..u128::from(SCAN)).flat_map(|number| webhooks::insert(&other(number), None).steps).collect();
    app.store.change(Change { steps }, None).await.unwrap();
    let visit = api.visit("acme").await;
    let first = visit.get(&format!("{PATH}?status=deactivated")).await.ok();
    assert_eq!(first.only(".empty h2"), "No webhook matches");
    assert!(first.only(".empty p").ends_with("There may be older ones that match."));
    let next = visit.get(&first.attribute(".empty [rel=next]", "href").unwrap()).await.ok();
    assert_eq!(next.texts("tbody .title"), ["Old"]);
    assert_eq!(next.attribute("tbody tr", "id").unwrap(), format!("row-{}", id(&old)));
    api.stop().await;
}

#[tokio::test]
async fn filters_are_in_the_address() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.event_types(&["a", "b"]).await;
    api.webhook("acme", json!({"name": "Apples", "events": ["a"]})).await;
    api.webhook("acme", json!({"name": "Bread", "events": ["b"], "enabled": false})).await;
    api.webhook("acme", json!({"name": "Anything"})).await;
    let visit = api.visit("acme").await;
    for (query, names) in [
        ("", vec!["Anything", "Bread", "Apples"]),
        ("search=BREAD", vec!["Bread"]),
        ("status=active", vec!["Anything", "Apples"]),
        ("status=deactivated&event=b", vec!["Bread"]),
        ("event=a", vec!["Anything", "Apples"]),
        ("status=failing", vec![]),
        ("search=%25", vec![]),
    ] {
        let seen = visit.get(&format!("{PATH}?{query}")).await.ok();
        assert_eq!(seen.texts("tbody .title"), names, "{query}");
        if names.is_empty() {
            assert_eq!(seen.only(".empty h2"), "No webhook matches");
            assert_eq!(seen.attribute(".empty a", "href").unwrap(), PATH, "the way to clear the filters");
        }
    }
    let seen = visit.get(&format!("{PATH}?status=active&search=app")).await.ok();
    assert_eq!(seen.attribute("input[name=search]", "value").unwrap(), "app");
    assert_eq!(seen.attribute("select[name=status] option[selected]", "value").unwrap(), "active");
    api.stop().await;
}

#[tokio::test]
async fn long_lists_go_on() {
    let api = Api::start().await;
    api.organization("acme").await;
    for number in 0..60 {
        api.webhook("acme", json!({"name": format!("w{number}"), "enabled": number % 2 == 0})).await;
    }
    let visit = api.visit("acme").await;
    let mut path = PATH.to_owned();
    let mut names = Vec::new();
    loop {
        let seen = visit.get(&path).await.ok();
        names.extend(seen.texts("tbody .title"));
        match seen.attribute("a[rel=next]", "href") {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(names, (0..60).rev().map(|number| format!("w{number}")).collect::<Vec<_>>());
    let second = visit.get(&path).await.ok();
    let (switch, back) =
        (second.attribute("tbody form", "action").unwrap(), second.attribute("tbody [name=list]", "value").unwrap());
    assert_eq!(visit.post(&switch, &[("to", "off"), ("list", &back)]).await.leads(), path, "back to its own page");
    assert_eq!(second.attribute(".pages a", "href").unwrap(), PATH);
    assert_eq!(visit.get(&format!("{PATH}?status=active")).await.ok().count("a[rel=next]"), 0, "30 fit on a page");
    // A cursor of another list is not taken.
    let foreign = format!("{path}&search=w");
    assert_eq!(visit.get(&foreign).await.ok().texts("tbody .title")[0], "w59");
    api.stop().await;
}

#[tokio::test]
async fn a_switch_turns_a_webhook_off_and_on() {
    let api = Api::start().await;
    api.organization("acme").await;
    let webhook = id(&api.webhook("acme", json!({"name": "Orders"})).await);
    let visit = api.visit("acme").await;
    let path = format!("{PATH}/{webhook}/switch");
    for (to, on) in [("off", "false"), ("on", "true")] {
        let list = visit.post(&path, &[("to", to), ("list", "search=Ord&evil=1")]).await.leads();
        assert_eq!(list, "/portal/webhooks?search=Ord");
        assert_eq!(visit.get(&list).await.ok().attribute("[role=switch]", "aria-checked").unwrap(), on);
    }
    api.stop().await;
}

#[tokio::test]
async fn case_085_names_and_addresses_are_inert() {
    let corpus = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onfocus='alert(1)' autofocus='",
        "javascript:alert(1)",
        "{{7*7}}{% raw %}",
        "</title></textarea></style><svg/onload=alert(1)>",
        "&lt;b&gt;",
    ];
    let api = Api::start_with(Sources::default()).await;
    api.put("/v1/organizations/acme", json!({"name": corpus[5]})).await.created();
    api.event_types(&["<b>bold</b>"]).await;
    for name in corpus {
        let url = format!("https://93.184.216.34/{}", name.replace([' ', '\\'], "+"));
        let headers = json!({"X-Note": name});
        api.webhook("acme", json!({"name": name, "url": url, "headers": headers})).await;
    }
    let visit = api.visit("acme").await;
    let list = visit.get(PATH).await.ok();
    let mut names = corpus.to_vec();
    names.reverse();
    assert_eq!(list.texts("tbody .title"), names);
    assert_eq!(list.only(".brand-name"), corpus[5]);
    for name in corpus {
        let mut search = url::form_urlencoded::Serializer::new(String::new());
        let found = visit.get(&format!("{PATH}?{}", search.append_pair("search", name).finish())).await.ok();
        assert_eq!(found.attribute("input[name=search]", "value").unwrap(), name);
    }
    // Each page is also looked through for what could run, as every page of these tests is.
    for path in list.attributes("tbody .title", "href") {
        visit.get(&path).await.ok();
        let edit = visit.get(&format!("{path}/edit")).await.ok();
        assert!(corpus.contains(&edit.attribute("input[name=header_value]", "value").unwrap().as_str()));
    }
    api.stop().await;
}

#[tokio::test]
async fn one_whose_credentials_cannot_be_opened_keeps_nobody_from_the_others() {
    let api = Api::start().await;
    let organization = id(&api.organization("acme").await);
    api.event_types(&["job.created"]).await;
    let made = api.webhook("acme", json!({"name": "Damaged"})).await;
    api.webhook("acme", json!({"name": "Good"})).await;
    let organization = OrganizationId::parse(&organization).unwrap();
    let damaged = WebhookId::parse(&id(&made)).unwrap();
    let row = api.app().store.read_one(webhooks::by_id(organization, damaged)).await.unwrap().unwrap();
    let row = WebhookRow { sealed: vec![1], ..row };
    api.app().store.change(webhooks::update(&row), None).await.unwrap();
    let visit = api.visit("acme").await;
    assert_eq!(visit.get(PATH).await.ok().texts("tbody .title"), ["Good", "Damaged"]);
    let of_damaged = format!("{PATH}/{damaged}");
    for path in ["/portal/deliveries", "/portal/catalogue/type?name=job.created", &of_damaged] {
        visit.get(path).await.ok();
    }
    api.stop().await;
}
