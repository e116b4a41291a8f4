//! The compiled catalogue over a source that the test steers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_engine::webhook::{ContentType, Credentials, Events, Filter, Method, Secret, Settings, Status};
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use super::*;

const ORG: OrganizationId = OrganizationId(7);

/// A catalogue in memory that answers one question for each permit.
struct Steered {
    webhooks: parking_lot::Mutex<HashMap<OrganizationId, Vec<Webhook>>>,
    /// How often an organization was read whole, and which webhooks were read alone.
    asked: AtomicU64,
    singly: parking_lot::Mutex<Vec<Vec<i64>>>,
    permits: Semaphore,
    holds: parking_lot::Mutex<Vec<Hold>>,
    names: parking_lot::Mutex<HashMap<String, OrganizationId>>,
}

fn webhook(id: i64, url: &str) -> Webhook {
    Webhook {
        id: WebhookId(id),
        project: ProjectId(1),
        organization: ORG,
        number: id,
        uuid: uuid::Uuid::from_u128(id.unsigned_abs().into()),
        profile: Arc::from("standard"),
        status: Status::Active,
        status_reason: None,
        failing_since: None,
        failed_at: None,
        settings: Settings {
            name: format!("webhook {id}"),
            url: url.to_owned(),
            events: Events::All,
            method: Method::Post,
            content_type: ContentType::Json,
            include_entity: false,
            filter: None,
            retry: None,
            timeout_seconds: None,
            rate_limit: None,
            metadata: Default::default(),
        },
        credentials: Credentials::default(),
        created_at: fanfare_engine::time::Timestamp(0),
        updated_at: fanfare_engine::time::Timestamp(0),
        created_by: None,
        owner: None,
    }
}

impl Source for Steered {
    fn organization(&self, id: OrganizationId) -> BoxFuture<'_, StoreResult<Option<StoredOrganization>>> {
        async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            // What is read is as it was when it was asked for.
            let webhooks = self.webhooks.lock().get(&id).cloned();
            self.permits.acquire().await.unwrap().forget();
            let stored = |webhooks: Vec<Webhook>| StoredOrganization {
                id,
                project: ProjectId(1),
                is_operator: false,
                profiles: vec!["standard".to_owned()],
                webhooks: webhooks.into_iter().map(Into::into).collect(),
            };
            Ok(webhooks.map(stored))
        }
        .boxed()
    }

    fn webhooks(&self, id: OrganizationId, ids: Vec<WebhookId>) -> BoxFuture<'_, StoreResult<Vec<StoredWebhook>>> {
        async move {
            self.singly.lock().push(ids.iter().map(|id| id.0).collect());
            let mut webhooks = self.webhooks.lock().get(&id).cloned().unwrap_or_default();
            webhooks.retain(|webhook| ids.contains(&webhook.id));
            self.permits.acquire().await.unwrap().forget();
            Ok(webhooks.into_iter().map(Into::into).collect())
        }
        .boxed()
    }

    fn users(&self, _: OrganizationId, _: Vec<String>) -> BoxFuture<'_, StoreResult<Vec<User>>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn scopes(&self, _: OrganizationId, _: Vec<EntityRef>) -> BoxFuture<'_, StoreResult<Vec<StoredScope>>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn owner(&self, _: WebhookId) -> BoxFuture<'_, StoreResult<Option<OrganizationId>>> {
        async { Ok(Some(ORG)) }.boxed()
    }

    fn by_external_id<'a>(&'a self, _: ProjectId, name: &'a str) -> BoxFuture<'a, StoreResult<Option<OrganizationId>>> {
        async { Ok(self.names.lock().get(name).copied()) }.boxed()
    }

    fn operator(&self, _: ProjectId) -> BoxFuture<'_, StoreResult<Option<OrganizationId>>> {
        async { Ok(None) }.boxed()
    }

    fn event_types(&self, _: ProjectId) -> BoxFuture<'_, StoreResult<Option<StoredTypes>>> {
        async { Ok(None) }.boxed()
    }

    fn holds(&self) -> BoxFuture<'_, StoreResult<Vec<Hold>>> {
        async { Ok(self.holds.lock().clone()) }.boxed()
    }
}

async fn catalogue(webhooks: Vec<Webhook>) -> (Arc<Steered>, Compiled) {
    let webhooks = parking_lot::Mutex::new(HashMap::from([(ORG, webhooks)]));
    let source = Arc::new(Steered {
        webhooks,
        asked: AtomicU64::new(0),
        singly: Default::default(),
        permits: Semaphore::new(0),
        holds: Default::default(),
        names: Default::default(),
    });
    let profiles = Arc::new(Profiles::load([]).unwrap());
    let compiled = Compiled::load(Arc::clone(&source) as _, profiles, 8).await.unwrap();
    (source, compiled)
}

fn url_of(organization: &CompiledOrganization, id: i64) -> &str {
    &organization.webhook(WebhookId(id)).unwrap().webhook.settings.url
}

#[tokio::test]
async fn an_organization_is_loaded_once_however_many_want_it() {
    let (source, compiled) = catalogue(vec![webhook(1, "https://a.example/")]).await;
    let mut wanted: Vec<_> = (0..10).map(|_| Box::pin(compiled.organization(ORG))).collect();
    for one in &mut wanted {
        assert!(futures_util::poll!(one).is_pending());
    }
    source.permits.add_permits(10);
    for one in wanted {
        assert_eq!(url_of(&one.await.unwrap().unwrap(), 1), "https://a.example/");
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_shown_after_it() {
    let (source, compiled) = catalogue(vec![webhook(1, "https://a.example/")]).await;
    let mut before = Box::pin(compiled.organization(ORG));
    assert!(futures_util::poll!(&mut before).is_pending());
    source.webhooks.lock().insert(ORG, vec![webhook(1, "https://b.example/")]);
    compiled.webhook_changed(ORG, WebhookId(1));
    let mut after = Box::pin(compiled.organization(ORG));
    assert!(futures_util::poll!(&mut after).is_pending());
    source.permits.add_permits(2);
    assert_eq!(url_of(&before.await.unwrap().unwrap(), 1), "https://a.example/");
    assert_eq!(url_of(&after.await.unwrap().unwrap(), 1), "https://b.example/");
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
    assert_eq!(*source.singly.lock(), [[1]]);
}

fn event() -> fanfare_engine::event::Event {
    fanfare_engine::event::Event {
        id: fanfare_engine::id::EventId(1),
        project: ProjectId(1),
        organization: ORG,
        kind: Arc::from("job.created"),
        external_id: None,
        data: bytes::Bytes::from_static(b"{}"),
        entity: None,
        scope: Vec::new(),
        occurred_at: fanfare_engine::time::Timestamp(0),
        ordering_key: None,
        hops: 0,
    }
}

fn matching(organization: &CompiledOrganization) -> Vec<i64> {
    let mut ids: Vec<i64> = organization.matches(&event()).map(|webhook| webhook.webhook.id.0).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn one_changed_webhook_leaves_the_others_compiled() {
    let (source, compiled) = catalogue((1..=5).map(|id| webhook(id, "https://a.example/")).collect()).await;
    source.permits.add_permits(100);
    let before = compiled.organization(ORG).await.unwrap().unwrap();
    assert_eq!(matching(&before), [1, 2, 3, 4, 5]);

    let changed = vec![
        webhook(1, "https://a.example/"),
        webhook(2, "https://b.example/"),
        Webhook { status: Status::Deactivated, ..webhook(3, "https://a.example/") },
        webhook(5, "https://a.example/"),
        webhook(6, "https://a.example/"),
    ];
    source.webhooks.lock().insert(ORG, changed);
    for id in [2, 3, 4, 6] {
        compiled.webhook_changed(ORG, WebhookId(id));
    }
    let after = compiled.organization(ORG).await.unwrap().unwrap();
    assert_eq!((url_of(&after, 2), matching(&after)), ("https://b.example/", vec![1, 2, 5, 6]));
    assert!(after.webhook(WebhookId(4)).is_none());
    assert_eq!(after.webhooks().map(|webhook| webhook.webhook.id.0).collect::<Vec<_>>(), [1, 2, 3, 5, 6]);
    let same = |id| Arc::ptr_eq(before.webhook(WebhookId(id)).unwrap(), after.webhook(WebhookId(id)).unwrap());
    assert!(same(1) && same(5) && !same(2));
    assert_eq!((source.asked.load(Ordering::SeqCst), source.singly.lock().len()), (1, 1));

    compiled.organization_removed(ProjectId(1), ORG, None);
    compiled.organization(ORG).await.unwrap();
    assert_eq!(source.asked.load(Ordering::SeqCst), 2, "it may have been removed");

    // What is said of an organization's profiles is of all its webhooks.
    source.webhooks.lock().get_mut(&ORG).unwrap()[0].profile = Arc::from("svix");
    compiled.webhook_changed(ORG, WebhookId(1));
    let other = compiled.organization(ORG).await.unwrap().unwrap();
    assert_eq!((other.profiles().len(), source.asked.load(Ordering::SeqCst)), (2, 3));
}

#[tokio::test]
async fn many_changes_are_indexed_at_last() {
    let (source, compiled) = catalogue((1..=600).map(|id| webhook(id, "https://a.example/")).collect()).await;
    source.permits.add_permits(1_000);
    compiled.organization(ORG).await.unwrap();
    for id in 1..=600 {
        let off = Webhook { status: Status::Deactivated, ..webhook(id, "https://a.example/") };
        source.webhooks.lock().get_mut(&ORG).unwrap()[id as usize - 1] = off;
        compiled.webhook_changed(ORG, WebhookId(id));
        let now = compiled.organization(ORG).await.unwrap().unwrap();
        assert_eq!(matching(&now), (id + 1..=600).collect::<Vec<_>>());
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn other_holds_compile_nothing_anew() {
    let webhooks = vec![webhook(1, "https://A.example/"), webhook(2, "https://b.example/")];
    let (source, compiled) = catalogue(webhooks).await;
    source.permits.add_permits(10);
    let organization = compiled.organization(ORG).await.unwrap().unwrap();
    let held = async |holds: Vec<Hold>| {
        *source.holds.lock() = holds;
        compiled.holds_changed().await.unwrap();
        let found = compiled.organization(ORG).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&found, &organization));
        [1, 2].map(|id| found.webhook(WebhookId(id)).unwrap().lane().held)
    };
    let host = |host: &str| Hold::Host(ProjectId(1), host.to_owned());
    assert_eq!(held(vec![Hold::Organization(ORG)]).await, [true, true]);
    assert_eq!(held(vec![host("a.example"), Hold::Everything(ProjectId(2))]).await, [true, false]);
    assert_eq!(held(vec![Hold::Host(ProjectId(2), "a.example".to_owned())]).await, [false, false]);
    assert_eq!(held(vec![Hold::Everything(ProjectId(1))]).await, [true, true]);
    assert_eq!(held(Vec::new()).await, [false, false]);
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_changes_elsewhere_while_an_organization_is_loaded_does_not_load_it_again() {
    let (source, compiled) = catalogue(vec![webhook(1, "https://a.example/")]).await;
    let mut first = Box::pin(compiled.organization(ORG));
    assert!(futures_util::poll!(&mut first).is_pending());
    compiled.organization_removed(ProjectId(1), OrganizationId(8), Some("customer-8"));
    compiled.webhook_changed(OrganizationId(9), WebhookId(9));
    compiled.profiles_changed(ProjectId(2));
    compiled.project_changed(ProjectId(1));
    source.permits.add_permits(10);
    first.await.unwrap().unwrap();
    compiled.organization(ORG).await.unwrap().unwrap();
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
    assert!(compiled.dirty.all().0.is_empty(), "nothing is noted of what is not in memory");
    // What its project allows concerns it.
    compiled.profiles_changed(ProjectId(1));
    compiled.organization(ORG).await.unwrap().unwrap();
    assert_eq!(source.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_an_organization_was_called_is_forgotten() {
    let (source, compiled) = catalogue(Vec::new()).await;
    let other = OrganizationId(8);
    source.webhooks.lock().insert(other, Vec::new());
    source.permits.add_permits(100);
    let called = async |name: &str| compiled.resolve(ProjectId(1), name).await.unwrap().map(|found| found.id);
    source.names.lock().insert("customer".to_owned(), ORG);
    assert_eq!((called("customer").await, called("client").await), (Some(ORG), None));
    source.names.lock().clear();
    source.names.lock().insert("client".to_owned(), ORG);
    compiled.external_id_changed(ProjectId(1), "customer");
    assert_eq!((called("customer").await, called("client").await), (None, Some(ORG)));
    // Removed under another name than it had when that was looked at, and made anew.
    source.webhooks.lock().remove(&ORG);
    source.names.lock().insert("client".to_owned(), other);
    compiled.organization_removed(ProjectId(1), ORG, Some("customer"));
    assert_eq!(called("client").await, Some(other));
}

#[tokio::test]
async fn external_ids_are_those_of_one_project_and_bounded_over_all() {
    let (source, compiled) = catalogue(Vec::new()).await;
    source.permits.add_permits(100);
    source.names.lock().insert("customer".to_owned(), ORG);
    for project in 1..=3 {
        // The source knows the name in every project; only the organization's own shows it.
        let found = compiled.resolve(ProjectId(project), "customer").await.unwrap();
        assert_eq!(found.is_some(), project == 1, "{project}");
    }
    compiled.external_ids.run_pending_tasks();
    assert_eq!(compiled.external_ids.entry_count(), 3, "one cache holds them all");
    assert_eq!(compiled.external_ids.policy().max_capacity(), Some(EXTERNAL_IDS));
}

#[tokio::test]
async fn what_is_needed_to_send_is_made_once() {
    let (source, compiled) = catalogue(vec![webhook(1, "https://a.example/"), webhook(2, "ftp://a.example/")]).await;
    source.permits.add_permits(10);
    let organization = compiled.organization(ORG).await.unwrap().unwrap();
    let sender = |id| organization.webhook(WebhookId(id)).unwrap().sender();
    assert!(Arc::ptr_eq(&sender(1).unwrap(), &sender(1).unwrap()));
    assert!(sender(2).is_err());
    assert!(organization.webhook(WebhookId(2)).unwrap().lane().held, "what cannot be sent waits");
}

#[tokio::test]
async fn an_organization_with_100_000_webhooks_is_kept() {
    let typical = |id: i64| {
        let mut webhook = webhook(id, &format!("https://receiver-{}.customers.example.com/hooks/{id}", id % 50));
        webhook.settings.events = Events::Only(vec!["job.created".into(), "job.closed".into(), "invoice.paid".into()]);
        webhook.settings.filter = Some(Filter { kind: "Company".into(), id: Some(format!("company-{id}")) });
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        webhook.credentials.secrets = vec![Secret { value: secret, expires_at: None, header: None }];
        webhook
    };
    let (source, compiled) = catalogue((1..=200).map(typical).collect()).await;
    source.permits.add_permits(10);
    let organization = compiled.organization(ORG).await.unwrap().unwrap();
    let of_100_000 = u64::from(organization.weight()) / 200 * 100_000;
    assert!(of_100_000 < 180 << 20 && of_100_000 > 100 << 20, "{of_100_000}");

    // However much one sets, it is kept.
    let heavy = |id| {
        let mut webhook = webhook(id, "https://a.example/");
        webhook.settings.metadata = [("k".to_owned(), "v".repeat(200 << 20))].into();
        webhook
    };
    source.webhooks.lock().insert(ORG, vec![heavy(1)]);
    compiled.organization_removed(ProjectId(1), ORG, None);
    for _ in 0..3 {
        compiled.organization(ORG).await.unwrap();
        compiled.organizations.run_pending_tasks();
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn heavy_organizations_that_are_used_in_turn_are_all_kept() {
    let heavy = || {
        let mut webhook = webhook(1, "https://a.example/");
        webhook.settings.metadata = [("k".to_owned(), "v".repeat(150 << 20))].into();
        vec![webhook]
    };
    let (source, compiled) = catalogue(heavy()).await;
    source.webhooks.lock().insert(OrganizationId(2), heavy());
    source.permits.add_permits(1_000);
    // Others that are used as often must not keep them out.
    for id in 10..260 {
        source.webhooks.lock().insert(OrganizationId(id), vec![webhook(id, "https://a.example/")]);
    }
    let use_all = async || {
        for id in (10..260).chain([ORG.0, 2]) {
            compiled.organization(OrganizationId(id)).await.unwrap();
            compiled.organizations.run_pending_tasks();
        }
    };
    use_all().await;
    let asked = source.asked.load(Ordering::SeqCst);
    use_all().await;
    use_all().await;
    assert_eq!(source.asked.load(Ordering::SeqCst), asked);
}
