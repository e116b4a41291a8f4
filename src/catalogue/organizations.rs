//! Organizations: made, edited, listed, removed; known by their own id and by the host's.

use std::collections::BTreeMap;

use fanfare_engine::id::{OrganizationId, ProjectId};
use fanfare_store::StoreError;
use fanfare_store::catalogue::Page;
use fanfare_store::catalogue::organizations::{self as rows, Organization};
use fanfare_store::queue::Touches;

use super::fields::Faults;
use super::{CatalogueError, CatalogueResult, EDIT_TRIES, Found};
use crate::app::App;

const NAME: &str = "organization";

/// What is to be different; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct OrganizationChanges {
    pub name: Option<String>,
    /// `Some(None)` takes it away.
    pub external_id: Option<Option<String>>,
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Makes an organization.
///
/// # Errors
/// Fields that are not valid, or an external id that is taken.
pub async fn create(app: &App, project: ProjectId, changes: OrganizationChanges) -> CatalogueResult<Organization> {
    let now = app.now();
    let organization = Organization {
        id: app.ids.next(),
        project,
        name: String::new(),
        external_id: None,
        metadata: BTreeMap::new(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let organization = apply(organization, changes);
    check(&organization)?;
    app.make(rows::insert(&organization), Some(touches(project, organization.id)), &organization.id.to_string())
        .await?;
    Ok(organization)
}

/// Makes the organization with this external id, or edits it; says whether it was made. An id of Fanfare's own only
/// edits.
///
/// # Errors
/// Fields that are not valid, an external id that is not the one in the path, or an unknown id.
pub async fn put(
    app: &App,
    project: ProjectId,
    path: &str,
    changes: OrganizationChanges,
) -> CatalogueResult<(Organization, bool)> {
    if is_own_id(path) {
        let organization = find(app, project, path).await?;
        return Ok((edit(app, &organization, changes).await?, false));
    }
    if matches!(&changes.external_id, Some(id) if id.as_deref() != Some(path)) {
        return Err(CatalogueError::field("external_id", "must be the one in the path, or be left out"));
    }
    for _ in 0..EDIT_TRIES {
        if let Some(known) = app.store.read_one(rows::by_external_id(project, path)).await? {
            match edit(app, &known, changes.clone()).await {
                // It was removed meanwhile, so it is made.
                Err(CatalogueError::NotFound(_)) => {}
                other => return Ok((other?, false)),
            }
        }
        let named = OrganizationChanges { external_id: Some(Some(path.to_owned())), ..changes.clone() };
        match create(app, project, named).await {
            // Somebody else made it meanwhile, so it is edited.
            Err(CatalogueError::Taken(_)) => {}
            other => return Ok((other?, true)),
        }
    }
    Err(CatalogueError::Contended(NAME))
}

/// Edits an organization. One that is so already stays as it is.
///
/// # Errors
/// Fields that are not valid, an external id that is taken, or it is gone.
pub async fn edit(
    app: &App,
    organization: &Organization,
    changes: OrganizationChanges,
) -> CatalogueResult<Organization> {
    let (project, id) = (organization.project, organization.id);
    let _turn = app.turns.wait(id.0).await;
    for _ in 0..EDIT_TRIES {
        let read = app.store.read_one(rows::by_id(project, id)).await?.ok_or(CatalogueError::NotFound(NAME))?;
        let mut edited = apply(read.clone(), changes.clone());
        if edited == read {
            return Ok(read);
        }
        check(&edited)?;
        edited.updated_at = app.now();
        match app.change(rows::update(&edited), Some(touches(project, id))).await {
            Ok(_) => {
                if let Some(before) = read.external_id.filter(|before| edited.external_id.as_ref() != Some(before)) {
                    app.observer.external_id_changed(project, &before);
                }
                edited.version += 1;
                return Ok(edited);
            }
            Err(StoreError::Stale(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CatalogueError::Contended(NAME))
}

/// The customer's organization that `text` names: its id or the host's.
///
/// # Errors
/// It is unknown, or another project's.
pub async fn find(app: &App, project: ProjectId, text: &str) -> CatalogueResult<Organization> {
    let query = match OrganizationId::parse(text) {
        Some(id) => rows::by_id(project, id),
        None => rows::by_external_id(project, text),
    };
    app.store.read_one(query).await?.ok_or(CatalogueError::NotFound(NAME))
}

/// The organization that holds the operator's own webhooks of a project.
pub async fn operator(app: &App, project: ProjectId) -> CatalogueResult<Organization> {
    app.store.read_one(rows::operator(project)).await?.ok_or(CatalogueError::NotFound(NAME))
}

/// A page of a project's customers, perhaps only those with `search` in their name or external id, of as many as are looked
/// at for one page.
pub async fn list(
    app: &App,
    project: ProjectId,
    search: Option<&str>,
    page: Page,
) -> CatalogueResult<Found<Organization>> {
    let end = search.map(|_| rows::scan_end(project, page));
    Ok(Found::read(app, rows::list(project, search, page), page.limit, end).await?)
}

/// Removes an organization, its webhooks and its keys. What still waits for the webhooks is skipped, with that reason.
pub async fn delete(app: &App, organization: &Organization) -> CatalogueResult<()> {
    let (project, id) = (organization.project, organization.id);
    app.change(rows::delete(id), Some(touches(project, id))).await?;
    app.keyring.forget();
    app.observer.organization_removed(project, id, organization.external_id.as_deref());
    // Its holds went with it.
    if app.compiled().holds().names(id) {
        app.observer.pauses_changed().await;
    }
    Ok(())
}

fn touches(project: ProjectId, organization: OrganizationId) -> Touches {
    Touches { project, organization: Some(organization) }
}

fn is_own_id(text: &str) -> bool {
    text.starts_with(OrganizationId::PREFIX)
}

fn apply(mut organization: Organization, changes: OrganizationChanges) -> Organization {
    organization.name = changes.name.unwrap_or(organization.name);
    organization.external_id = changes.external_id.unwrap_or(organization.external_id);
    organization.metadata = changes.metadata.unwrap_or(organization.metadata);
    organization
}

fn check(organization: &Organization) -> CatalogueResult<()> {
    let mut faults = Faults::default();
    faults.name("name", &organization.name);
    if let Some(id) = &organization.external_id {
        faults.external_id("external_id", id);
        faults.require(!is_own_id(id), "external_id", || {
            format!("must not start with {}, so that it cannot be mistaken for an id", OrganizationId::PREFIX)
        });
    }
    faults.metadata(&organization.metadata);
    faults.finish()
}
