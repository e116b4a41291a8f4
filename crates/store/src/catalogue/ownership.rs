//! Whose is what, by id alone: for the sender, which meets ids and no paths.

use std::borrow::Cow;

use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};

use crate::arguments;
use crate::query::Query;

/// An organization's project, and whether it is the operator's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub project: ProjectId,
    pub is_operator: bool,
}

/// Where an organization belongs, the operator's own among them.
pub fn organization(id: OrganizationId) -> Query<Place> {
    Query {
        sql: Cow::Borrowed("SELECT project_id, is_operator FROM organizations WHERE id = ?1"),
        arguments: arguments![id.0],
        decode: |row| Ok(Place { project: ProjectId(row.int(0)?), is_operator: row.int(1)? != 0 }),
    }
}

/// The organization that a webhook belongs to.
pub fn webhook(id: WebhookId) -> Query<OrganizationId> {
    Query {
        sql: Cow::Borrowed("SELECT organization_id FROM webhooks WHERE id = ?1"),
        arguments: arguments![id.0],
        decode: |row| Ok(OrganizationId(row.int(0)?)),
    }
}
