//! Names of things by their ids, for lists that only say what something belongs to: no credentials, no whole rows.

use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::webhook::{Settings, Status};

use super::{parse_document, query};
use crate::arguments;
use crate::error::StoreError;
use crate::query::{Query, listed};

/// What an organization is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationLabel {
    pub id: OrganizationId,
    pub name: String,
    /// Whether it is the one that holds the operator's own webhooks.
    pub operator: bool,
}

/// What a webhook is called, and whether it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookLabel {
    pub id: WebhookId,
    pub organization: OrganizationId,
    pub name: String,
    pub url: String,
    pub status: Status,
}

/// The names of these organizations of a project, as far as they are there. `ids` must be a few thousand at most.
pub fn organizations(project: ProjectId, ids: &[OrganizationId]) -> Query<OrganizationLabel> {
    let list = listed(ids.iter().map(|id| id.0));
    query(
        format!("SELECT id, name, is_operator FROM organizations WHERE project_id = ?1 AND id IN ({list})"),
        arguments![project.0],
        |row| Ok(OrganizationLabel { id: OrganizationId(row.int(0)?), name: row.text(1)?, operator: row.int(2)? == 1 }),
    )
}

/// The names of these webhooks of a project, as far as they are there. `ids` must be a few thousand at most.
pub fn webhooks(project: ProjectId, ids: &[WebhookId]) -> Query<WebhookLabel> {
    let list = listed(ids.iter().map(|id| id.0));
    query(
        format!("SELECT id, organization_id, settings, status FROM webhooks WHERE project_id = ?1 AND id IN ({list})"),
        arguments![project.0],
        |row| {
            let settings: Settings = parse_document(&row.text(2)?)?;
            let unknown = || StoreError::Damaged("a webhook has an unknown status".to_owned());
            Ok(WebhookLabel {
                id: WebhookId(row.int(0)?),
                organization: OrganizationId(row.int(1)?),
                name: settings.name,
                url: settings.url,
                status: Status::from_number(row.int(3)?).ok_or_else(unknown)?,
            })
        },
    )
}

/// The names of projects, at most `limit`, in their order.
pub fn projects(limit: u32) -> Query<(ProjectId, String)> {
    query("SELECT id, name FROM projects ORDER BY name LIMIT ?1", arguments![i64::from(limit)], |row| {
        Ok((ProjectId(row.int(0)?), row.text(1)?))
    })
}
