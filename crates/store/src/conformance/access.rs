//! Contract: users, and what entities belong to: told by the host or learnt from events, in the events' own commits.

use std::collections::BTreeMap;

use fanfare_engine::access::{Grants, User};
use fanfare_engine::delivery::{SkipReason, State};
use fanfare_engine::event::{Entity, EntityRef, Event};
use fanfare_engine::id::{OrganizationId, WebhookId};
use fanfare_engine::webhook::{ContentType, Events, Method, Settings, Status};
use uuid::Uuid;

use super::rig::{ORGANIZATION, OTHER_ORGANIZATION, OTHER_WEBHOOK, PROJECT, Rig, WEBHOOK, key};
use crate::backend::Backend;
use crate::catalogue::Page;
use crate::catalogue::entities::{self, EntityRow, MAX_ENTITIES, ToldBy};
use crate::catalogue::organizations::{self, Organization};
use crate::catalogue::users::{self, UserRow};
use crate::catalogue::webhooks::{self, WebhookRow};
use crate::error::StoreError;
use crate::query::{Change, Expect, Step};
use crate::queue::{Accept, Accepted, Answer, Learn, Operation, Prune};

fn entity(kind: &str, id: &str) -> EntityRef {
    EntityRef { kind: kind.to_owned(), id: id.to_owned() }
}

pub(super) async fn organization<B: Backend>(rig: &Rig<B>, id: OrganizationId) {
    let now = rig.now();
    let organization = Organization {
        id,
        project: PROJECT,
        name: "Acme".to_owned(),
        external_id: None,
        metadata: BTreeMap::new(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    rig.change(organizations::insert(&organization)).await.unwrap();
}

fn user<B: Backend>(rig: &Rig<B>, id: &str) -> UserRow {
    let user = User {
        id: id.to_owned(),
        roles: vec!["ProcessBuilder".to_owned()],
        permissions: vec!["Org.webhooks".to_owned()],
        grants: Grants::Only([entity("Company", "c"), entity("Packet", "17")].into()),
    };
    let (created_at, updated_at) = (rig.now(), rig.now());
    UserRow { row: rig.id(), organization: ORGANIZATION, name: Some("Anna".to_owned()), user, created_at, updated_at }
}

pub(crate) async fn a_user_is_kept_and_replaced<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION).await;
    let first = user(rig, "anna");
    rig.change(users::put(&first)).await.unwrap();
    assert_eq!(rig.read_one(users::by_id(ORGANIZATION, "anna")).await, Some(first.clone()));
    assert_eq!(rig.read_one(users::by_id(OTHER_ORGANIZATION, "anna")).await, None);

    rig.advance(5);
    let second =
        UserRow { name: None, user: User { grants: Grants::All, ..User::unknown("anna") }, ..user(rig, "anna") };
    rig.change(users::put(&second)).await.unwrap();
    // Its place and the time of its making stay.
    let replaced = UserRow { row: first.row, created_at: first.created_at, ..second };
    assert_eq!(rig.read_one(users::by_id(ORGANIZATION, "anna")).await, Some(replaced));
    assert_eq!(rig.read_one(users::count(ORGANIZATION)).await, Some(1));

    rig.change(users::put(&user(rig, "ben"))).await.unwrap();
    let ids = |rows: Vec<UserRow>| rows.into_iter().map(|row| row.user.id).collect::<Vec<_>>();
    assert_eq!(ids(rig.read(users::list(ORGANIZATION, Page { before: None, limit: 10 })).await), ["ben", "anna"]);
    assert_eq!(ids(rig.read(users::list(OTHER_ORGANIZATION, Page { before: None, limit: 10 })).await), [""; 0]);
    rig.change(users::delete(ORGANIZATION, "anna")).await.unwrap();
    assert_eq!(rig.change(users::delete(ORGANIZATION, "anna")).await, Err(StoreError::Stale("user")));
    assert_eq!(rig.read_one(users::count(ORGANIZATION)).await, Some(1));
}

pub(crate) async fn nothing_is_kept_of_an_organization_that_is_gone<B: Backend>(rig: &Rig<B>) {
    assert_eq!(rig.change(users::put(&user(rig, "anna"))).await, Err(StoreError::Stale("organization")));
    assert_eq!(rig.read_one(users::by_id(ORGANIZATION, "anna")).await, None);
    assert_eq!(rig.change(entities::put(&told(rig, "17", &[]))).await, Err(StoreError::Stale("organization")));
    let accepted = rig.accept(about(rig, "17", &[entity("Company", "c")], Learn::Scope)).await;
    assert_eq!(accepted, Accepted::New { held_back: Vec::new(), learnt: false });
    assert_eq!(scope(rig, "17").await, None);
}

pub(crate) async fn users_and_entities_go_with_their_organization<B: Backend>(rig: &Rig<B>) {
    for id in [ORGANIZATION, OTHER_ORGANIZATION] {
        organization(rig, id).await;
        rig.change(users::put(&UserRow { organization: id, ..user(rig, "anna") })).await.unwrap();
        rig.change(entities::put(&EntityRow { organization: id, ..told(rig, "17", &[]) })).await.unwrap();
    }
    rig.change(organizations::delete(ORGANIZATION)).await.unwrap();
    let mut pieces = Vec::new();
    while let Answer::Pruned { removed, position: Some(_) } =
        rig.apply(Operation::Prune(Prune::Removed { limit: 1 })).await.unwrap()
    {
        pieces.push(removed);
    }
    assert_eq!(pieces, [1, 1, 0]);
    assert_eq!(rig.read_one(users::by_id(ORGANIZATION, "anna")).await, None);
    assert_eq!(rig.read_one(entities::get(ORGANIZATION, &entity("Packet", "17"))).await, None);
    assert!(rig.read_one(users::by_id(OTHER_ORGANIZATION, "anna")).await.is_some());
    assert!(rig.read_one(entities::get(OTHER_ORGANIZATION, &entity("Packet", "17"))).await.is_some());
}

pub(super) fn webhook_of<B: Backend>(rig: &Rig<B>, id: WebhookId, owner: Option<&str>) -> WebhookRow {
    let settings = Settings {
        name: String::new(),
        url: "https://receiver.example/hook".to_owned(),
        events: Events::All,
        method: Method::Post,
        content_type: ContentType::Json,
        include_entity: false,
        filter: None,
        retry: None,
        timeout_seconds: None,
        rate_limit: None,
        metadata: BTreeMap::new(),
    };
    WebhookRow {
        id,
        project: PROJECT,
        organization: ORGANIZATION,
        number: 0,
        uuid: Uuid::from_u128(u128::from(id.0.unsigned_abs())),
        profile: "standard".to_owned(),
        status: Status::Active,
        status_reason: None,
        failing_since: None,
        failed_at: None,
        settings,
        sealed: Vec::new(),
        version: 1,
        created_at: rig.now(),
        updated_at: rig.now(),
        created_by: None,
        owner: owner.map(str::to_owned),
    }
}

pub(crate) async fn owners_and_users_by_their_ids<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION).await;
    for id in ["anna", "ben"] {
        rig.change(users::put(&user(rig, id))).await.unwrap();
    }
    for (webhook, owner) in [(WEBHOOK, Some("anna")), (OTHER_WEBHOOK, Some("gone"))] {
        let row = webhook_of(rig, webhook, owner);
        rig.change(webhooks::insert(&row, None)).await.unwrap();
        assert_eq!(rig.read_one(webhooks::by_id(ORGANIZATION, webhook)).await.unwrap().owner.as_deref(), owner);
    }
    let row = rig.read_one(webhooks::by_id(ORGANIZATION, WEBHOOK)).await.unwrap();
    rig.change(webhooks::update(&WebhookRow { owner: None, ..row })).await.unwrap();
    assert_eq!(rig.read_one(webhooks::by_id(ORGANIZATION, WEBHOOK)).await.unwrap().owner, None);

    let mut asked: Vec<String> = (0..500).map(|number| format!("user-{number}")).collect();
    asked.extend(["anna".to_owned(), "gone".to_owned()]);
    let mut found = Vec::new();
    for query in users::these(ORGANIZATION, &asked) {
        found.extend(rig.read(query).await);
    }
    assert_eq!(found, [user(rig, "anna").user]);
}

/// Who has them skipped may have looked at the webhook before it was switched on.
pub(crate) async fn what_waits_for_a_webhook_that_takes_events_is_not_skipped<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION).await;
    let row = webhook_of(rig, WEBHOOK, None);
    rig.change(webhooks::insert(&row, None)).await.unwrap();
    let waiting = rig.waiting().await;
    let skip = || Operation::SkipWaiting { webhook: WEBHOOK, reason: SkipReason::WebhookDeactivated, limit: 10 };
    for (status, skipped) in [(Status::Active, 0), (Status::Paused, 0), (Status::Deactivated, 1)] {
        let row = rig.read_one(webhooks::by_id(ORGANIZATION, WEBHOOK)).await.unwrap();
        rig.change(webhooks::update(&WebhookRow { status, ..row })).await.unwrap();
        assert_eq!(rig.count(skip()).await, skipped, "{status:?}");
    }
    assert_eq!(rig.state(waiting).await, State::Skipped);
}

/// Its webhooks stay as they were until they go, too.
pub(crate) async fn what_waits_for_a_removed_organization_is_skipped<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION).await;
    rig.change(webhooks::insert(&webhook_of(rig, WEBHOOK, None), None)).await.unwrap();
    let waiting = rig.waiting().await;
    let skip = Operation::SkipWaiting { webhook: WEBHOOK, reason: SkipReason::WebhookDeleted, limit: 10 };
    rig.change(organizations::delete(ORGANIZATION)).await.unwrap();
    assert_eq!(rig.count(skip).await, 1);
    assert_eq!(rig.state(waiting).await, State::Skipped);
}

fn told<B: Backend>(rig: &Rig<B>, id: &str, scope: &[EntityRef]) -> EntityRow {
    EntityRow {
        organization: ORGANIZATION,
        entity: entity("Packet", id),
        scope: scope.to_vec(),
        told_by: ToldBy::Host,
        updated_at: rig.now(),
    }
}

/// An event about a packet.
fn about<B: Backend>(rig: &Rig<B>, id: &str, scope: &[EntityRef], learn: Learn) -> Accept {
    let packet = Entity { kind: "Packet".to_owned(), id: id.to_owned(), url: None, data: None };
    let event = Event { entity: Some(packet), scope: scope.to_vec(), ..rig.event("PacketUpdated") };
    Accept { learn, ..rig.acceptance(event, &[], None) }
}

async fn learns<B: Backend>(rig: &Rig<B>, accept: Accept) -> bool {
    match rig.accept(accept).await {
        Accepted::New { learnt, .. } => learnt,
        other => panic!("{other:?}"),
    }
}

/// What a packet belongs to, and who said so.
async fn scope<B: Backend>(rig: &Rig<B>, id: &str) -> Option<(Vec<EntityRef>, ToldBy)> {
    let row = rig.read_one(entities::get(ORGANIZATION, &entity("Packet", id))).await;
    row.map(|row| (row.scope, row.told_by))
}

pub(crate) async fn an_event_teaches_what_its_entity_belongs_to<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION).await;
    let (c, d) = ([entity("Company", "c")], [entity("Company", "d")]);
    assert!(learns(rig, about(rig, "17", &c, Learn::Scope)).await);
    assert_eq!(scope(rig, "17").await, Some((c.to_vec(), ToldBy::Event)));
    // The same again is no news, and an event without a scope says nothing.
    assert!(!learns(rig, about(rig, "17", &c, Learn::Scope)).await);
    assert!(!learns(rig, about(rig, "17", &[], Learn::Scope)).await);
    assert!(!learns(rig, about(rig, "18", &[], Learn::Scope)).await);
    assert!(!learns(rig, about(rig, "17", &d, Learn::Nothing)).await);
    assert_eq!(scope(rig, "17").await, Some((c.to_vec(), ToldBy::Event)));
    assert!(learns(rig, about(rig, "17", &d, Learn::Scope)).await);
    assert_eq!(scope(rig, "17").await, Some((d.to_vec(), ToldBy::Event)));
    assert_eq!(rig.read_one(entities::count(ORGANIZATION)).await, Some(1));
}

pub(crate) async fn what_an_event_leaves_out_stays_known<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION).await;
    let (company, contract) = (entity("Company", "c"), entity("Contract", "k"));
    let both = [company.clone(), contract.clone()];
    assert!(learns(rig, about(rig, "17", &both, Learn::Scope)).await);
    for no_news in [vec![contract.clone(), company.clone()], vec![company.clone()], vec![contract.clone(); 2]] {
        assert!(!learns(rig, about(rig, "17", &no_news, Learn::Scope)).await, "{no_news:?}");
    }
    assert_eq!(scope(rig, "17").await, Some((both.to_vec(), ToldBy::Event)));
    let moved = [entity("Company", "d")];
    assert!(learns(rig, about(rig, "17", &moved, Learn::Scope)).await);
    assert_eq!(scope(rig, "17").await, Some((moved.to_vec(), ToldBy::Event)));
}

pub(crate) async fn what_was_said_last_holds<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION).await;
    let (c, d) = ([entity("Company", "c")], [entity("Company", "d")]);
    learns(rig, about(rig, "17", &c, Learn::Scope)).await;
    rig.change(entities::put(&told(rig, "17", &d))).await.unwrap();
    assert_eq!(scope(rig, "17").await, Some((d.to_vec(), ToldBy::Host)));
    assert!(learns(rig, about(rig, "17", &c, Learn::Scope)).await);
    assert_eq!(scope(rig, "17").await, Some((c.to_vec(), ToldBy::Event)));
    rig.change(entities::put(&told(rig, "17", &[]))).await.unwrap();
    assert_eq!(scope(rig, "17").await, Some((Vec::new(), ToldBy::Host)));
    assert_eq!(rig.read_one(entities::count(ORGANIZATION)).await, Some(1));
    rig.change(entities::delete(ORGANIZATION, &entity("Packet", "17"))).await.unwrap();
    assert_eq!(rig.read_one(entities::count(ORGANIZATION)).await, Some(0));
}

pub(crate) async fn a_refused_event_teaches_nothing<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION).await;
    let keyed = |id: &str, fingerprint| {
        let accept = about(rig, id, &[entity("Company", "c")], Learn::Scope);
        Accept { idempotency: Some(key("events", "k", fingerprint)), ..accept }
    };
    assert!(learns(rig, keyed("17", 1)).await);
    assert_eq!(rig.accept(keyed("18", 2)).await, Accepted::OtherRequest);
    assert!(matches!(rig.accept(keyed("19", 1)).await, Accepted::Repeated { .. }));
    assert_eq!((scope(rig, "18").await, scope(rig, "19").await), (None, None));
}

pub(crate) async fn news_of_what_is_watched_raises_the_version<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION).await;
    let version = async || rig.claim_by(rig.node, WEBHOOK, 1).await.catalogue_version;
    let (before, c) = (version().await, [entity("Company", "c")]);
    assert!(learns(rig, about(rig, "17", &c, Learn::Scope)).await);
    assert!(!learns(rig, about(rig, "17", &c, Learn::WatchedScope)).await);
    assert_eq!(version().await, before);
    assert!(learns(rig, about(rig, "17", &[entity("Company", "d")], Learn::WatchedScope)).await);
    assert!(version().await > before);
}

pub(crate) async fn no_more_entities_are_learnt_than_may_be_known<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION).await;
    let c = [entity("Company", "c")];
    assert!(learns(rig, about(rig, "17", &c, Learn::Scope)).await);
    let full = Step {
        sql: "UPDATE organizations SET entities = ?1".into(),
        arguments: crate::arguments![i64::from(MAX_ENTITIES)],
        expect: Expect::Any,
        unique: "",
    };
    rig.change(Change::one(full)).await.unwrap();
    assert!(!learns(rig, about(rig, "18", &c, Learn::Scope)).await);
    // What is known may still change.
    assert!(learns(rig, about(rig, "17", &[entity("Company", "d")], Learn::Scope)).await);
}

pub(crate) async fn entities_are_found_together<B: Backend>(rig: &Rig<B>) {
    organization(rig, ORGANIZATION).await;
    for number in 0..450 {
        rig.change(entities::put(&told(rig, &number.to_string(), &[]))).await.unwrap();
    }
    let wanted: Vec<_> = (0..450).step_by(2).map(|number| entity("Packet", &number.to_string())).collect();
    let strangers = [entity("Company", "1"), entity("Packet", "x")];
    let mut found = Vec::new();
    for query in entities::these(ORGANIZATION, &[&wanted[..], &strangers].concat()) {
        found.extend(rig.read(query).await.into_iter().map(|row| row.entity));
    }
    found.sort();
    let mut sorted = wanted.clone();
    sorted.sort();
    assert_eq!(found, sorted);
    assert!(entities::these(ORGANIZATION, &[]).is_empty());
}
