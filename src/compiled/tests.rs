//! The compiled catalogue over a source that the test steers.

use std::collections::HashMap;

use fanfare_engine::webhook::{ContentType, Credentials, Events, Method, Settings, Status};
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use super::*;

const ORG: OrganizationId = OrganizationId(7);

/// A catalogue in memory that answers one question for each permit.
struct Steered {
    webhooks: parking_lot::Mutex<HashMap<OrganizationId, Vec<Webhook>>>,
    asked: AtomicU64,
    permits: Semaphore,
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
            let stored = |webhooks| StoredOrganization {
                id,
                project: ProjectId(1),
                is_operator: false,
                profiles: Vec::new(),
                webhooks,
            };
            Ok(webhooks.map(stored))
        }
        .boxed()
    }

    fn owners(&self, _: OrganizationId) -> BoxFuture<'_, StoreResult<Vec<User>>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn scopes(&self, _: OrganizationId, _: Vec<EntityRef>) -> BoxFuture<'_, StoreResult<Vec<StoredScope>>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn owner(&self, _: WebhookId) -> BoxFuture<'_, StoreResult<Option<OrganizationId>>> {
        async { Ok(Some(ORG)) }.boxed()
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

async fn catalogue(webhooks: Vec<Webhook>) -> (Arc<Steered>, Compiled) {
    let webhooks = parking_lot::Mutex::new(HashMap::from([(ORG, webhooks)]));
    let source = Arc::new(Steered { webhooks, asked: AtomicU64::new(0), permits: Semaphore::new(0) });
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
    compiled.webhooks_changed(ORG);
    let mut after = Box::pin(compiled.organization(ORG));
    assert!(futures_util::poll!(&mut after).is_pending());
    source.permits.add_permits(2);
    assert_eq!(url_of(&before.await.unwrap().unwrap(), 1), "https://a.example/");
    assert_eq!(url_of(&after.await.unwrap().unwrap(), 1), "https://b.example/");
    assert_eq!(source.asked.load(Ordering::SeqCst), 2);
}
