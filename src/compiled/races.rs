//! Shows that what changes while an organization is loaded is not kept as it was before.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_engine::access::Grants;
use fanfare_engine::event::Entity;
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{ContentType, Credentials, Events, Filter, Method, Settings, Status};
use fanfare_store::queue::Learn;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::*;

const ORGANIZATION: OrganizationId = OrganizationId(2);
const GUARDED: &str = r#"
name = "guarded"
[payload]
raw = true
[permissions]
manage = { roles = ["Builder"] }
entity_access = true
recheck = true
"#;

/// A store whose answers a test sets, and holds back.
#[derive(Default)]
struct Held {
    roles: Mutex<Vec<String>>,
    /// While true, owners are answered as they were when they were asked for, after `go`.
    holds: Mutex<bool>,
    asked: Notify,
    go: Notify,
    loads: AtomicU64,
}

fn packet() -> EntityRef {
    EntityRef { kind: "Packet".to_owned(), id: "17".to_owned() }
}

fn webhook() -> Webhook {
    let EntityRef { kind, id } = packet();
    let settings = Settings {
        name: String::new(),
        url: "https://receiver.example/".to_owned(),
        events: Events::All,
        method: Method::Post,
        content_type: ContentType::Json,
        include_entity: false,
        filter: Some(Filter { kind, id: Some(id) }),
        retry: None,
        timeout_seconds: None,
        rate_limit: None,
        metadata: BTreeMap::new(),
    };
    Webhook {
        id: WebhookId(3),
        project: ProjectId(1),
        organization: ORGANIZATION,
        number: 1,
        uuid: uuid::Uuid::nil(),
        profile: Arc::from("guarded"),
        status: Status::Active,
        status_reason: None,
        failing_since: None,
        failed_at: None,
        settings,
        credentials: Credentials::default(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        created_by: None,
        owner: Some("anna".to_owned()),
    }
}

impl Source for Held {
    fn organization(&self, id: OrganizationId) -> BoxFuture<'_, StoreResult<Option<StoredOrganization>>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let profiles = vec!["guarded".to_owned()];
        let webhooks = vec![webhook().into()];
        let stored = StoredOrganization { id, project: ProjectId(1), is_operator: false, profiles, webhooks };
        async move { Ok(Some(stored)) }.boxed()
    }

    fn webhooks(&self, _: OrganizationId, _: Vec<WebhookId>) -> BoxFuture<'_, StoreResult<Vec<StoredWebhook>>> {
        async { Ok(vec![webhook().into()]) }.boxed()
    }

    fn users(&self, _: OrganizationId, _: Vec<String>) -> BoxFuture<'_, StoreResult<Vec<User>>> {
        let user = User { roles: self.roles.lock().clone(), grants: Grants::All, ..User::unknown("anna") };
        async move {
            if *self.holds.lock() {
                self.asked.notify_one();
                self.go.notified().await;
            }
            Ok(vec![user])
        }
        .boxed()
    }

    fn scopes(&self, _: OrganizationId, asked: Vec<EntityRef>) -> BoxFuture<'_, StoreResult<Vec<StoredScope>>> {
        assert_eq!(asked, [packet()]);
        async { Ok(Vec::new()) }.boxed()
    }

    fn owner(&self, _: WebhookId) -> BoxFuture<'_, StoreResult<Option<OrganizationId>>> {
        async { Ok(None) }.boxed()
    }

    fn by_external_id<'a>(&'a self, _: ProjectId, _: &'a str) -> BoxFuture<'a, StoreResult<Option<OrganizationId>>> {
        async { Ok(None) }.boxed()
    }

    fn operator(&self, _: ProjectId) -> BoxFuture<'_, StoreResult<Option<OrganizationId>>> {
        async { Ok(None) }.boxed()
    }

    fn event_types(&self, _: ProjectId) -> BoxFuture<'_, StoreResult<Option<StoredTypes>>> {
        async { Ok(None) }.boxed()
    }

    fn holds(&self) -> BoxFuture<'_, StoreResult<Vec<Hold>>> {
        async { Ok(Vec::new()) }.boxed()
    }
}

async fn compiled() -> (Arc<Held>, Arc<Compiled>) {
    let held = Arc::new(Held::default());
    *held.roles.lock() = vec!["Builder".to_owned()];
    let profiles = Profiles::load([("guarded.toml", GUARDED)]).unwrap();
    let compiled = Compiled::load(Arc::clone(&held) as _, Arc::new(profiles), 1).await.unwrap();
    (held, Arc::new(compiled))
}

async fn may(compiled: &Compiled) -> bool {
    compiled.organization(ORGANIZATION).await.unwrap().unwrap().webhooks().next().unwrap().access.is_ok()
}

#[tokio::test]
async fn what_is_revoked_during_a_load_is_not_missed() {
    let (held, compiled) = compiled().await;
    *held.holds.lock() = true;
    let load = async { may(&compiled).await };
    let revoke = async {
        held.asked.notified().await;
        held.roles.lock().clear();
        compiled.fact_changed(ORGANIZATION, &Fact::User("anna".to_owned()));
        *held.holds.lock() = false;
        held.go.notify_one();
    };
    let (before, ()) = tokio::join!(load, revoke);
    // The load that was under way is of the time before; nobody else is answered by it.
    assert!(before);
    assert!(!compiled.organizations.contains_key(&ORGANIZATION));
    assert!(!may(&compiled).await);
    assert_eq!(held.loads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn only_what_a_right_rests_on_makes_it_load_anew() {
    let (held, compiled) = compiled().await;
    let loads = || held.loads.load(Ordering::SeqCst);
    assert!(may(&compiled).await);
    compiled.fact_changed(ORGANIZATION, &Fact::User("ben".to_owned()));
    compiled.fact_changed(ORGANIZATION, &Fact::Entity(EntityRef { id: "18".to_owned(), ..packet() }));
    compiled.fact_changed(OrganizationId(9), &Fact::User("anna".to_owned()));
    compiled.profiles_changed(ProjectId(9));
    assert!(may(&compiled).await);
    assert_eq!(loads(), 1);
    compiled.fact_changed(ORGANIZATION, &Fact::Entity(packet()));
    assert!(may(&compiled).await);
    assert_eq!(loads(), 2);
    held.roles.lock().clear();
    compiled.fact_changed(ORGANIZATION, &Fact::User("anna".to_owned()));
    assert!(!may(&compiled).await);
    compiled.profiles_changed(ProjectId(1));
    assert!(!may(&compiled).await);
    assert_eq!(loads(), 4);
}

#[tokio::test]
async fn what_an_event_teaches_is_watched_where_a_filter_names_it() {
    let (_, compiled) = compiled().await;
    let organization = compiled.organization(ORGANIZATION).await.unwrap().unwrap();
    let learns = |id: &str, scope: &[&str]| {
        let entity = Entity { kind: "Packet".to_owned(), id: id.to_owned(), url: None, data: None };
        organization.learns(&fanfare_engine::event::Event {
            id: fanfare_engine::id::EventId(1),
            project: ProjectId(1),
            organization: ORGANIZATION,
            kind: Arc::from("t"),
            external_id: None,
            data: bytes::Bytes::new(),
            entity: Some(entity),
            scope: scope.iter().map(|id| EntityRef { kind: "Company".to_owned(), id: (*id).to_owned() }).collect(),
            occurred_at: Timestamp(0),
            ordering_key: None,
            hops: 0,
        })
    };
    assert_eq!(learns("17", &["c"]), Learn::WatchedScope);
    assert_eq!(learns("18", &["c"]), Learn::Scope);
    assert_eq!(learns("17", &[]), Learn::Nothing);
}
