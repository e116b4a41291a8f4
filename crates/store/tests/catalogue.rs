//! The catalogue's changes on a real file: numbers, versions, and what goes together.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_engine::id::{OrganizationId, ProjectId, SessionId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{ContentType, Events, Method, Settings, Status};
use fanfare_store::catalogue::organizations::{self, Organization};
use fanfare_store::catalogue::projects::{self, Project, ProjectOptions};
use fanfare_store::catalogue::sessions::{self, Session};
use fanfare_store::catalogue::webhooks::{self, WebhookRow};
use fanfare_store::query::Change;
use fanfare_store::sqlite::Limits;
use fanfare_store::{Store, StoreError};
use tempfile::TempDir;
use uuid::Uuid;

const PROJECT: ProjectId = ProjectId(1);
const ORGANIZATION: OrganizationId = OrganizationId(10);

struct Fixture {
    store: Store,
    _directory: TempDir,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.store.close();
    }
}

impl Fixture {
    /// A store with a project and an organization.
    async fn new() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(directory.path(), Limits::default(), Arc::new(|| Timestamp(5))).unwrap();
        let fixture = Fixture { store, _directory: directory };
        let project = Project {
            id: PROJECT,
            name: "p".to_owned(),
            profile: "standard".to_owned(),
            options: ProjectOptions::default(),
            version: 1,
            created_at: Timestamp(1),
            updated_at: Timestamp(1),
        };
        fixture.change(projects::insert(&project, OrganizationId(2))).await.unwrap();
        fixture.change(organizations::insert(&organization())).await.unwrap();
        fixture
    }

    async fn change(&self, change: Change) -> Result<(), StoreError> {
        self.store.change(change, None).await.map(drop)
    }

    async fn webhook(&self, id: i64) -> Option<WebhookRow> {
        self.store.read_one(webhooks::by_id(ORGANIZATION, WebhookId(id))).await.unwrap()
    }
}

fn organization() -> Organization {
    Organization {
        id: ORGANIZATION,
        project: PROJECT,
        name: "o".to_owned(),
        external_id: None,
        metadata: BTreeMap::new(),
        version: 1,
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
    }
}

fn webhook(id: i64) -> WebhookRow {
    WebhookRow {
        id: WebhookId(id),
        project: PROJECT,
        organization: ORGANIZATION,
        number: 0,
        uuid: Uuid::from_u128(id as u128),
        profile: "standard".to_owned(),
        status: Status::Active,
        status_reason: None,
        failing_since: None,
        failed_at: None,
        settings: Settings {
            name: String::new(),
            url: "https://example.com/".to_owned(),
            events: Events::All,
            method: Method::Post,
            content_type: ContentType::Json,
            include_entity: false,
            filter: None,
            retry: None,
            timeout_seconds: None,
            rate_limit: None,
            metadata: BTreeMap::new(),
        },
        sealed: vec![1, 2, 3],
        version: 1,
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
        created_by: None,
        owner: None,
    }
}

#[tokio::test]
async fn a_webhook_comes_back_as_it_was_kept() {
    let fixture = Fixture::new().await;
    fixture.change(webhooks::insert(&webhook(100), None)).await.unwrap();
    assert_eq!(fixture.webhook(100).await.unwrap(), WebhookRow { number: 1, ..webhook(100) });
}

#[tokio::test]
async fn a_webhook_that_cannot_be_kept_uses_up_no_number() {
    let fixture = Fixture::new().await;
    fixture.change(webhooks::insert(&webhook(100), Some(1))).await.unwrap();
    let same_uuid = WebhookRow { id: WebhookId(101), ..webhook(100) };
    let taken = Err(StoreError::Taken("number or uuid"));
    assert_eq!(fixture.change(webhooks::insert(&same_uuid, None)).await, taken);
    assert_eq!(fixture.change(webhooks::insert(&webhook(102), Some(1))).await, taken);
    fixture.change(webhooks::insert(&webhook(103), None)).await.unwrap();
    assert_eq!(fixture.webhook(103).await.unwrap().number, 2);
    let orphan = WebhookRow { organization: OrganizationId(11), ..webhook(104) };
    assert_eq!(fixture.change(webhooks::insert(&orphan, None)).await, Err(StoreError::Stale("organization")));
}

#[tokio::test]
async fn an_edit_of_what_was_edited_meanwhile_changes_nothing() {
    let fixture = Fixture::new().await;
    fixture.change(webhooks::insert(&webhook(100), None)).await.unwrap();
    let read = fixture.webhook(100).await.unwrap();
    let first = WebhookRow { status: Status::Paused, ..read.clone() };
    fixture.change(webhooks::update(&first)).await.unwrap();
    let second = WebhookRow { status: Status::Deactivated, ..read };
    assert_eq!(fixture.change(webhooks::update(&second)).await, Err(StoreError::Stale("webhook")));
    assert_eq!(fixture.webhook(100).await.unwrap().status, Status::Paused);
}

#[tokio::test]
async fn an_edit_does_not_undo_what_attempts_told_of_the_receiver() {
    let fixture = Fixture::new().await;
    fixture.change(webhooks::insert(&webhook(100), None)).await.unwrap();
    let read = fixture.webhook(100).await.unwrap();
    let failing = Some((Timestamp(77), Timestamp(78)));
    fixture.change(webhooks::set_failing(WebhookId(100), read.updated_at, failing)).await.unwrap();
    fixture.change(webhooks::update(&read)).await.unwrap();
    let row = fixture.webhook(100).await.unwrap();
    assert_eq!((row.failing_since, row.failed_at), (Some(Timestamp(77)), Some(Timestamp(78))));
    let again = fixture.webhook(100).await.unwrap();
    let change = webhooks::update(&again).then(webhooks::forget_failures(WebhookId(100)));
    fixture.change(change).await.unwrap();
    assert_eq!(fixture.webhook(100).await.unwrap().failing_since, None);
}

#[tokio::test]
async fn only_an_active_webhook_is_switched_off_by_itself() {
    let fixture = Fixture::new().await;
    fixture.change(webhooks::insert(&webhook(100), None)).await.unwrap();
    let disable = |seen| webhooks::disable_automatically(WebhookId(100), Timestamp(seen), "gone", Timestamp(9));
    assert_eq!(fixture.change(disable(0)).await, Err(StoreError::Stale("webhook")), "it was edited since");
    fixture.change(disable(1)).await.unwrap();
    let off = fixture.webhook(100).await.unwrap();
    assert_eq!((off.status, off.status_reason.as_deref()), (Status::AutoDisabled, Some("gone")));
    assert_eq!(fixture.change(disable(9)).await, Err(StoreError::Stale("webhook")));
}

#[tokio::test]
async fn the_operators_organization_is_neither_found_nor_removed() {
    let fixture = Fixture::new().await;
    let operator = OrganizationId(2);
    let store = &fixture.store;
    assert_eq!(store.read_one(organizations::operator(PROJECT)).await.unwrap().unwrap().id, operator);
    assert_eq!(store.read_one(organizations::by_id(PROJECT, operator)).await.unwrap(), None);
    assert_eq!(fixture.change(organizations::delete(operator)).await, Err(StoreError::Stale("organization")));
}

#[tokio::test]
async fn a_session_is_opened_once_and_in_time() {
    let fixture = Fixture::new().await;
    let session = Session {
        id: SessionId(50),
        project: PROJECT,
        organization: Some(ORGANIZATION),
        user: Some("ada".to_owned()),
        options: BTreeMap::new(),
        created_at: Timestamp(1),
        expires_at: Timestamp(100),
    };
    let (code, token) = ([1; 32], [2; 32]);
    fixture.change(sessions::insert(&session, &code, Timestamp(10))).await.unwrap();
    let stale = || Err(StoreError::Stale("code"));
    let none = BTreeMap::new();
    assert_eq!(fixture.change(sessions::open(&code, &token, &none, Timestamp(10))).await, stale(), "too late");
    assert_eq!(fixture.change(sessions::open(&[3; 32], &token, &none, Timestamp(5))).await, stale(), "another code");
    fixture.change(sessions::open(&code, &token, &none, Timestamp(9))).await.unwrap();
    assert_eq!(fixture.change(sessions::open(&code, &[4; 32], &none, Timestamp(9))).await, stale(), "used");
    assert_eq!(fixture.store.read_one(sessions::by_token(&token)).await.unwrap(), Some(session.clone()));
    assert_eq!(fixture.store.read_one(sessions::awaiting(&code)).await.unwrap(), None);
    assert_eq!(fixture.store.read_one(sessions::by_code(&code)).await.unwrap(), Some(session.clone()));
    for (now, open) in [(99, 1), (100, 0)] {
        let count = fixture.store.read_one(sessions::count(ORGANIZATION, Timestamp(now))).await.unwrap();
        assert_eq!(count, Some(open));
    }
    let unopened = Session { id: SessionId(51), ..session.clone() };
    fixture.change(sessions::insert(&unopened, &[5; 32], Timestamp(10))).await.unwrap();
    for (now, open) in [(9, 2), (10, 1)] {
        let count = fixture.store.read_one(sessions::count(ORGANIZATION, Timestamp(now))).await.unwrap();
        assert_eq!(count, Some(open), "nobody can open it any more at 10");
    }
    fixture.change(organizations::delete(ORGANIZATION)).await.unwrap();
    assert_eq!(fixture.store.read_one(sessions::by_id(session.id)).await.unwrap(), None);
}

#[tokio::test]
async fn the_oldest_sessions_of_a_key_make_room() {
    let fixture = Fixture::new().await;
    let options = |key: &str| BTreeMap::from([("operator".to_owned(), key.to_owned())]);
    for (id, key) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
        let session = Session {
            id: SessionId(id),
            project: PROJECT,
            organization: None,
            user: None,
            options: options(key),
            created_at: Timestamp(1),
            expires_at: Timestamp(100),
        };
        let code = [u8::try_from(id).unwrap(); 32];
        let change = sessions::insert(&session, &code, Timestamp(10)).then(sessions::delete_older(&options(key), 2));
        fixture.change(change).await.unwrap();
    }
    for (id, there) in [(1, false), (2, true), (3, true), (4, true)] {
        let found = fixture.store.read_one(sessions::by_id(SessionId(id))).await.unwrap();
        assert_eq!(found.is_some(), there, "{id}");
    }
}
