//! Carries changes of the catalogue to the caches and to the dispatcher.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::app::{Addresses, CatalogueObserver, NameLookup};
use crate::compiled::Fact;
use crate::delivery::dns::Resolver;
use crate::dispatch::dispatcher::Dispatcher;

/// How long to wait before what is held is read again.
const AGAIN: Duration = Duration::from_millis(200);

/// See the module.
pub struct Observer {
    dispatcher: Arc<Dispatcher>,
}

impl Observer {
    pub fn new(dispatcher: Arc<Dispatcher>) -> Self {
        Observer { dispatcher }
    }

    /// Does something that takes the store, beside the request that caused it.
    #[expect(clippy::disallowed_methods, reason = "ends by itself; what it would have told is found when it is needed")]
    fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.dispatcher.tools.runtime.spawn(work);
    }
}

impl CatalogueObserver for Observer {
    fn organization_removed(&self, project: ProjectId, organization: OrganizationId, external_id: Option<&str>) {
        self.dispatcher.tools.compiled.organization_removed(project, organization, external_id);
        let dispatcher = Arc::clone(&self.dispatcher);
        self.beside(async move { dispatcher.organization_removed(organization).await });
    }

    fn external_id_changed(&self, project: ProjectId, external_id: &str) {
        self.dispatcher.tools.compiled.external_id_changed(project, external_id);
    }

    fn project_changed(&self, project: ProjectId) {
        self.dispatcher.tools.compiled.project_changed(project);
    }

    fn profiles_changed(&self, project: ProjectId) {
        self.dispatcher.tools.compiled.profiles_changed(project);
    }

    fn fact_changed(&self, organization: OrganizationId, fact: &Fact) {
        self.dispatcher.tools.compiled.fact_changed(organization, fact);
    }

    fn webhook_changed(&self, organization: OrganizationId, webhook: WebhookId) {
        self.dispatcher.tools.compiled.webhook_changed(organization, webhook);
        let dispatcher = Arc::clone(&self.dispatcher);
        self.beside(async move { dispatcher.webhook_edited(webhook).await });
    }

    fn pauses_changed(&self) -> BoxFuture<'_, ()> {
        async move {
            while let Err(error) = self.dispatcher.tools.compiled.holds_changed().await {
                tracing::warn!(%error, "what is held could not be read; trying again");
                tokio::time::sleep(AGAIN).await;
            }
            let dispatcher = Arc::clone(&self.dispatcher);
            self.beside(async move { dispatcher.all_changed().await });
        }
        .boxed()
    }
}

/// Looks names up as the sender does, while webhooks are saved.
pub struct Names(pub Arc<dyn Resolver>);

impl NameLookup for Names {
    fn addresses<'a>(&'a self, name: &'a str) -> Addresses<'a> {
        Box::pin(async move { self.0.lookup(name).await.ok().filter(|found: &Vec<IpAddr>| !found.is_empty()) })
    }
}
