//! How far a list looks for deliveries at once, and who waits for it.

use std::pin::pin;
use std::time::Duration;

use fanfare::catalogue::deliveries::{SCAN, page_within};
use fanfare_engine::id::OrganizationId;
use fanfare_store::log::DeliveryFilter;
use serde_json::{Value, json};

use super::id;
use crate::api::Api;

const LIST: &str = "/portal/deliveries";

#[tokio::test]
async fn a_filter_that_few_match_gives_short_pages_that_say_where_to_go_on() {
    let api = Api::start().await;
    let organization = OrganizationId::parse(&id(&api.organization("acme").await));
    api.event_types(&["wanted", "other"]).await;
    let webhook = id(&api.webhook("acme", json!({})).await);
    api.post(&format!("/v1/organizations/acme/webhooks/{webhook}/pause"), json!({})).await.ok();
    api.event("acme", "wanted").await;
    let half = SCAN / 2;
    let others: Vec<Value> = (0..half).map(|_| json!({"organization": "acme", "type": "other", "data": {}})).collect();
    for _ in 0..2 {
        api.post("/v1/events/batch", json!({"events": others})).await.with(202);
    }
    let filter = DeliveryFilter { organization, event_type: Some("wanted".to_owned()), ..DeliveryFilter::default() };
    let look = async |before, patience| {
        let page = page_within(api.app(), DeliveryFilter { before, ..filter.clone() }, 10, patience).await.unwrap();
        (page.rows.len(), page.cut, page.next)
    };
    let (found, cut, next) = look(None, Duration::ZERO).await;
    assert_eq!((found, cut, next.is_some()), (0, true, true), "it stops in front of the one that is wanted");
    assert_eq!(look(next, Duration::ZERO).await, (1, false, None));
    assert_eq!(look(None, Duration::from_secs(60)).await, (1, false, None), "who waits longer gets it at once");
    api.stop().await;
}

#[tokio::test]
async fn lists_of_one_organization_wait_for_each_other_and_not_for_anothers() {
    let api = Api::start().await;
    let organization = OrganizationId::parse(&id(&api.organization("acme").await)).unwrap();
    api.organization("other").await;
    let (own, other) = (api.visit("acme").await, api.visit("other").await);
    let turn = api.app().looking.wait(organization.0).await;
    let mut waiting = pin!(own.get(LIST));
    let others = async {
        for _ in 0..10 {
            other.get(LIST).await.ok();
        }
    };
    tokio::select! {
        _ = &mut waiting => panic!("it does not wait"),
        () = others => {}
    }
    drop(turn);
    waiting.await.ok();
    api.stop().await;
}
