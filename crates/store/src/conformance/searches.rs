//! Contract: lists of organizations and webhooks that search look at so many rows for a page, and find what they look at.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare_engine::id::{OrganizationId, WebhookId};
use fanfare_engine::webhook::{ContentType, Events, Method, Settings, Status};
use uuid::Uuid;

use super::rig::{ORGANIZATION, OTHER_ORGANIZATION, PROJECT, Rig};
use crate::arguments;
use crate::backend::Backend;
use crate::catalogue::organizations::{self, Organization};
use crate::catalogue::webhooks::{self, WebhookFilter, WebhookRow};
use crate::catalogue::{Page, SCAN};
use crate::error::StoreError;
use crate::query::{Change, Expect, Step};
use crate::queue::{Answer, Operation, Prune};

const NONE: [i64; 0] = [];
const FIRST: Page = Page { before: None, limit: 250 };

async fn organization<B: Backend>(rig: &Rig<B>, id: i64, name: &str, external_id: Option<&str>) -> Organization {
    let organization = Organization {
        id: OrganizationId(id),
        project: PROJECT,
        name: name.to_owned(),
        external_id: external_id.map(str::to_owned),
        metadata: BTreeMap::new(),
        version: 1,
        created_at: rig.now(),
        updated_at: rig.now(),
    };
    rig.change(organizations::insert(&organization)).await.unwrap();
    organization
}

async fn found<B: Backend>(rig: &Rig<B>, search: &str, page: Page) -> Vec<i64> {
    rig.read(organizations::list(PROJECT, Some(search), page)).await.into_iter().map(|found| found.id.0).collect()
}

pub(crate) async fn organizations_by_a_part_of_their_name<B: Backend>(rig: &Rig<B>) {
    let first = organization(rig, 1, "Ärzte GmbH", Some("Kunde-50%")).await;
    organization(rig, 2, "Acme", None).await;
    for (search, ids) in
        [("Ärzte", vec![1]), ("äRZTE g", vec![1]), ("kunde-50%", vec![1]), ("c", vec![2]), ("%", vec![1])]
    {
        assert_eq!(found(rig, search, FIRST).await, ids, "{search}");
    }
    let renamed = Organization { name: "Écoles".to_owned(), external_id: None, ..first };
    rig.change(organizations::update(&renamed)).await.unwrap();
    assert_eq!(found(rig, "école", FIRST).await, [1]);
    assert_eq!(found(rig, "ärzte", FIRST).await, NONE);
    assert_eq!(found(rig, "kunde", FIRST).await, NONE);
}

/// Rows that no search here finds, with ids from `from`.
async fn fill<B: Backend>(rig: &Rig<B>, insert: &'static str, from: i64, count: u32) {
    let sql = format!(
        "WITH RECURSIVE n (id) AS (SELECT {from} UNION ALL SELECT id + 1 FROM n WHERE id < {from} + {count} - 1) {insert}"
    );
    let step = Step { sql: sql.into(), arguments: arguments![PROJECT.0], expect: Expect::Any, unique: "" };
    rig.change(Change::one(step)).await.unwrap();
}

pub(crate) async fn a_search_for_organizations_looks_at_so_many<B: Backend>(rig: &Rig<B>) {
    organization(rig, 1, "Acme", None).await;
    organization(rig, 2, "Acme again", None).await;
    let insert = "INSERT INTO organizations (id, project_id, name, external_id, search, metadata, is_operator,
         next_webhook_number, version, created_at, updated_at) SELECT id, ?1, 'x', NULL, 'x', '{}', 0, 1, 1, 0, 0 FROM n";
    fill(rig, insert, 10, SCAN - 1).await;
    assert_eq!(found(rig, "acme", FIRST).await, [2]);
    let end = rig.read_one(organizations::scan_end(PROJECT, FIRST)).await;
    assert_eq!(end, Some(2));
    let next = Page { before: end, limit: 250 };
    assert_eq!(found(rig, "acme", next).await, [1]);
    assert_eq!(rig.read_one(organizations::scan_end(PROJECT, next)).await, None);
}

fn settings(url: &str) -> Settings {
    Settings {
        name: String::new(),
        url: url.to_owned(),
        events: Events::All,
        method: Method::Post,
        content_type: ContentType::Json,
        include_entity: false,
        filter: None,
        retry: None,
        timeout_seconds: None,
        rate_limit: None,
        metadata: BTreeMap::new(),
    }
}

async fn webhook<B: Backend>(rig: &Rig<B>, organization: OrganizationId, id: i64, status: Status) -> WebhookRow {
    let row = WebhookRow {
        id: WebhookId(id),
        project: PROJECT,
        organization,
        number: 0,
        uuid: Uuid::from_u128(u128::from(id.unsigned_abs())),
        profile: "standard".to_owned(),
        status,
        status_reason: None,
        failing_since: None,
        failed_at: None,
        settings: settings("https://receiver.example/hook"),
        sealed: vec![1; 40],
        version: 1,
        created_at: rig.now(),
        updated_at: rig.now(),
        created_by: None,
        owner: None,
    };
    rig.change(webhooks::insert(&row, None)).await.unwrap();
    row
}

async fn listed<B: Backend>(rig: &Rig<B>, filter: &WebhookFilter, page: Page) -> Vec<i64> {
    rig.read(webhooks::list(PROJECT, filter, page)).await.into_iter().map(|row| row.id.0).collect()
}

pub(crate) async fn webhooks_by_how_they_stand<B: Backend>(rig: &Rig<B>) {
    for id in [ORGANIZATION, OTHER_ORGANIZATION] {
        organization(rig, id.0, "Acme", None).await;
    }
    let statuses = [Status::Active, Status::Active, Status::Deactivated, Status::Paused, Status::AutoDisabled];
    let mut rows = Vec::new();
    for (id, status) in (1..).zip(statuses) {
        rows.push(webhook(rig, ORGANIZATION, id, status).await);
    }
    webhook(rig, OTHER_ORGANIZATION, 6, Status::Active).await;
    let failing = Some((rig.now(), rig.now()));
    for row in &rows[1..4] {
        rig.change(webhooks::set_failing(row.id, row.updated_at, failing)).await.unwrap();
    }
    let edited = rows[0].updated_at.plus(Duration::from_secs(1));
    rig.change(webhooks::set_failing(rows[0].id, edited, failing)).await.unwrap();
    let here = WebhookFilter { organization: Some(ORGANIZATION), ..WebhookFilter::default() };
    let active = WebhookFilter { status: Some(Status::Active), ..here.clone() };
    assert_eq!(listed(rig, &here, FIRST).await, [5, 4, 3, 2, 1]);
    assert_eq!(listed(rig, &active, FIRST).await, [2, 1]);
    assert_eq!(listed(rig, &WebhookFilter { fails: Some(true), ..active.clone() }, FIRST).await, [2]);
    assert_eq!(listed(rig, &WebhookFilter { fails: Some(false), ..active }, FIRST).await, [1]);
    let taking = WebhookFilter { takes_events: true, ..here.clone() };
    assert_eq!(listed(rig, &taking, FIRST).await, [4, 2, 1]);
    // What a person switched off is not in trouble.
    let failing = WebhookFilter { failing: true, ..WebhookFilter::default() };
    assert_eq!(listed(rig, &failing, FIRST).await, [5, 4, 2]);
    assert_eq!(rig.read_one(webhooks::count_failing(PROJECT, 100)).await, Some(3));
    assert_eq!(rig.read_one(webhooks::count_failing(PROJECT, 2)).await, Some(2));
    assert_eq!(listed(rig, &WebhookFilter { search: Some("no such".to_owned()), ..failing }, FIRST).await, NONE);
    // Nobody but customers.
    rig.change(Change::one(operators(OTHER_ORGANIZATION))).await.unwrap();
    assert_eq!(listed(rig, &WebhookFilter::default(), FIRST).await, [5, 4, 3, 2, 1]);
}

fn operators(organization: OrganizationId) -> Step {
    let sql = "UPDATE organizations SET is_operator = 1 WHERE id = ?1";
    Step { sql: sql.into(), arguments: arguments![organization.0], expect: Expect::Any, unique: "" }
}

pub(crate) async fn webhooks_of_a_removed_organization_are_nobodys<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION.0, "Acme", None).await;
    organization(rig, OTHER_ORGANIZATION.0, "Other", None).await;
    let gone = webhook(rig, ORGANIZATION, 1, Status::AutoDisabled).await;
    webhook(rig, ORGANIZATION, 2, Status::Active).await;
    webhook(rig, OTHER_ORGANIZATION, 3, Status::Active).await;
    rig.change(organizations::delete(ORGANIZATION)).await.unwrap();
    assert_eq!(listed(rig, &WebhookFilter::default(), FIRST).await, [3]);
    assert_eq!(rig.read_one(webhooks::count_failing(PROJECT, 9)).await, Some(0));
    assert_eq!(rig.read_one(webhooks::by_uuid(gone.uuid)).await, None);
    let moved = WebhookRow { id: WebhookId(4), organization: OTHER_ORGANIZATION, ..gone };
    rig.change(webhooks::insert(&moved, None)).await.unwrap();
    assert_eq!(rig.read_one(webhooks::by_uuid(moved.uuid)).await.map(|row| row.id), Some(WebhookId(4)));
    while let Answer::Pruned { position: Some(_), .. } =
        rig.apply(Operation::Prune(Prune::Removed { limit: 10 })).await.unwrap()
    {}
    assert_eq!(rig.read(webhooks::all(ORGANIZATION)).await, []);
    assert_eq!(listed(rig, &WebhookFilter::default(), FIRST).await, [4, 3]);
}

pub(crate) async fn a_search_for_webhooks_looks_at_so_many<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION.0, "Acme", None).await;
    let first = webhook(rig, ORGANIZATION, 1, Status::Paused).await;
    let insert =
        "INSERT INTO webhooks (id, project_id, organization_id, number, uuid, profile, search, status, settings,
         sealed, bytes, version, created_at, updated_at)
         SELECT id, ?1, 21, id, CAST(id AS TEXT), '', 'x', 0, '{}', '', 0, 1, 0, 0 FROM n";
    fill(rig, insert, 10, SCAN).await;
    let everywhere = WebhookFilter::default();
    let here = WebhookFilter { organization: Some(first.organization), ..WebhookFilter::default() };
    for filter in [everywhere, here] {
        let searches = [
            WebhookFilter { status: Some(Status::Paused), ..filter.clone() },
            WebhookFilter { search: Some("RECEIVER".to_owned()), ..filter.clone() },
        ];
        for search in searches {
            assert_eq!(listed(rig, &search, FIRST).await, NONE, "{search:?}");
            let end = rig.read_one(webhooks::scan_end(PROJECT, &search, FIRST)).await;
            assert_eq!(end, Some(10));
            let next = Page { before: end, limit: 250 };
            assert_eq!(listed(rig, &search, next).await, [1]);
            assert_eq!(rig.read_one(webhooks::scan_end(PROJECT, &search, next)).await, None);
        }
        assert_eq!(rig.read_one(webhooks::scan_end(PROJECT, &filter, FIRST)).await, None, "nothing is passed over");
    }
}

pub(crate) async fn bytes_of_webhooks_are_counted<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION.0, "Acme", None).await;
    let bytes = async || rig.read_one(webhooks::bytes(ORGANIZATION)).await.unwrap();
    assert_eq!(bytes().await, 0);
    let first = webhook(rig, ORGANIZATION, 1, Status::Active).await;
    let one = webhooks::stored_bytes(&first);
    assert!(one > 40);
    assert_eq!(bytes().await, one);
    let second = WebhookRow { id: WebhookId(2), uuid: Uuid::from_u128(2), ..first.clone() };
    rig.change(webhooks::insert(&second, Some(7))).await.unwrap();
    assert_eq!(bytes().await, 2 * one);
    let edited = WebhookRow { sealed: vec![1; 100], ..first.clone() };
    rig.change(webhooks::update(&edited)).await.unwrap();
    assert_eq!(bytes().await, 2 * one + 60);
    // What is refused counts for nothing.
    assert_eq!(rig.change(webhooks::update(&edited)).await, Err(StoreError::Stale("webhook")));
    assert_eq!(rig.change(webhooks::delete(ORGANIZATION, WebhookId(3))).await, Err(StoreError::Stale("webhook")));
    assert_eq!(bytes().await, 2 * one + 60);
    for id in [1, 2] {
        rig.change(webhooks::delete(ORGANIZATION, WebhookId(id))).await.unwrap();
    }
    assert_eq!(bytes().await, 0);
}
