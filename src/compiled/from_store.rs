//! Reads what is compiled from the store, and opens what is sealed.

use std::sync::Arc;

use fanfare_engine::access::User;
use fanfare_engine::event::EntityRef;
use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::webhook::{Credentials, Webhook};
use fanfare_store::catalogue::webhooks::WebhookRow;
use fanfare_store::catalogue::{entities, event_types, organizations, ownership, pauses, projects, users, webhooks};
use fanfare_store::{Store, StoreResult};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Hold, Source, StoredOrganization, StoredScope, StoredType, StoredTypes, StoredWebhook};
use crate::vault::Vault;

/// See the module.
pub struct FromStore {
    pub store: Store,
    pub vault: Vault,
}

impl FromStore {
    /// The webhook with its credentials. One whose credentials can't be opened keeps its place, so that its events wait and
    /// the organization's other webhooks go on.
    fn open(&self, row: WebhookRow) -> StoredWebhook {
        match self.vault.open_credentials(row.id, &row.sealed) {
            Ok(credentials) => whole(row, credentials).into(),
            Err(error) => {
                StoredWebhook { webhook: whole(row, Credentials::default()), unreadable: Some(error.to_string()) }
            }
        }
    }
}

/// A webhook whose credentials were opened, whole.
pub fn whole(row: WebhookRow, credentials: Credentials) -> Webhook {
    Webhook {
        id: row.id,
        project: row.project,
        organization: row.organization,
        number: row.number,
        uuid: row.uuid,
        profile: Arc::from(row.profile),
        status: row.status,
        status_reason: row.status_reason,
        failing_since: row.failing_since,
        failed_at: row.failed_at,
        settings: row.settings,
        credentials,
        created_at: row.created_at,
        updated_at: row.updated_at,
        created_by: row.created_by,
        owner: row.owner,
    }
}

impl Source for FromStore {
    fn organization(&self, id: OrganizationId) -> BoxFuture<'_, StoreResult<Option<StoredOrganization>>> {
        async move {
            let Some(place) = self.store.read_one(ownership::organization(id)).await? else { return Ok(None) };
            let rows = self.store.read(webhooks::all(id)).await?;
            let webhooks = rows.into_iter().map(|row| self.open(row)).collect();
            let ownership::Place { project, is_operator } = place;
            let allowed = self.store.read_one(projects::by_id(project)).await?;
            let profiles = allowed.map_or_else(Vec::new, |project| {
                std::iter::once(project.profile).chain(project.options.allowed_profiles).collect()
            });
            Ok(Some(StoredOrganization { id, project, is_operator, profiles, webhooks }))
        }
        .boxed()
    }

    fn users(&self, id: OrganizationId, users: Vec<String>) -> BoxFuture<'_, StoreResult<Vec<User>>> {
        async move {
            let mut found = Vec::new();
            for query in users::these(id, &users) {
                found.extend(self.store.read(query).await?);
            }
            Ok(found)
        }
        .boxed()
    }

    fn scopes(&self, id: OrganizationId, entities: Vec<EntityRef>) -> BoxFuture<'_, StoreResult<Vec<StoredScope>>> {
        async move {
            let mut scopes = Vec::new();
            for query in entities::these(id, &entities) {
                scopes.extend(
                    self.store
                        .read(query)
                        .await?
                        .into_iter()
                        .map(|row| StoredScope { entity: row.entity, scope: row.scope }),
                );
            }
            Ok(scopes)
        }
        .boxed()
    }

    fn webhooks(
        &self,
        organization: OrganizationId,
        ids: Vec<WebhookId>,
    ) -> BoxFuture<'_, StoreResult<Vec<StoredWebhook>>> {
        async move {
            let rows = self.store.read(webhooks::some(organization, &ids)).await?;
            Ok(rows.into_iter().map(|row| self.open(row)).collect())
        }
        .boxed()
    }

    fn owner(&self, webhook: WebhookId) -> BoxFuture<'_, StoreResult<Option<OrganizationId>>> {
        async move { self.store.read_one(ownership::webhook(webhook)).await }.boxed()
    }

    fn by_external_id<'a>(
        &'a self,
        project: ProjectId,
        name: &'a str,
    ) -> BoxFuture<'a, StoreResult<Option<OrganizationId>>> {
        let query = organizations::by_external_id(project, name);
        async move { Ok(self.store.read_one(query).await?.map(|organization| organization.id)) }.boxed()
    }

    fn operator(&self, project: ProjectId) -> BoxFuture<'_, StoreResult<Option<OrganizationId>>> {
        async move { Ok(self.store.read_one(organizations::operator(project)).await?.map(|operator| operator.id)) }
            .boxed()
    }

    fn event_types(&self, project: ProjectId) -> BoxFuture<'_, StoreResult<Option<StoredTypes>>> {
        async move {
            let Some(found) = self.store.read_one(projects::by_id(project)).await? else { return Ok(None) };
            let rows = self.store.read(event_types::all(project)).await?;
            let stored =
                |row: event_types::EventType| StoredType { name: row.name, schema: row.schema, example: row.example };
            let profiles = std::iter::once(found.profile).chain(found.options.allowed_profiles).collect();
            Ok(Some(StoredTypes { profiles, types: rows.into_iter().map(stored).collect() }))
        }
        .boxed()
    }

    fn holds(&self) -> BoxFuture<'_, StoreResult<Vec<Hold>>> {
        async move {
            let rows = self.store.read(pauses::all()).await?;
            Ok(rows
                .into_iter()
                .map(|pause| match pause.hold {
                    pauses::Hold::Organization(organization) => Hold::Organization(organization),
                    pauses::Hold::Host(host) => Hold::Host(pause.project, host),
                    pauses::Hold::Everything => Hold::Everything(pause.project),
                })
                .collect())
        }
        .boxed()
    }
}
