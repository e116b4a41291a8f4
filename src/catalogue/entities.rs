//! What the host's entities belong to, for grants that cover what is below them.

use fanfare_engine::access::MAX_ANCESTORS;
use fanfare_engine::event::EntityRef;
use fanfare_store::catalogue::entities::{self as rows, EntityRow, MAX_ENTITIES, ToldBy};
use fanfare_store::catalogue::organizations::Organization;
use fanfare_store::queue::Touches;

use super::fields::Faults;
use super::{CatalogueError, CatalogueResult, check_room};
use crate::app::App;
use crate::compiled::Fact;

/// How many ancestors an entity may have.
pub const MAX_SCOPE: usize = MAX_ANCESTORS;

const NAME: &str = "entity";

/// Notes what an entity belongs to, whatever was known before; an event may say otherwise later. UUIDs are kept in their
/// common spelling.
///
/// # Errors
/// Fields that are not valid, too many entities, or the organization is gone.
pub async fn put(
    app: &App,
    organization: &Organization,
    entity: EntityRef,
    scope: Vec<EntityRef>,
) -> CatalogueResult<EntityRow> {
    check(&entity, &scope)?;
    let (entity, scope) = (entity.canonical(), scope.into_iter().map(EntityRef::canonical).collect());
    let known = app.store.read_one(rows::get(organization.id, &entity)).await?;
    if known.is_none() {
        let count = app.store.read_one(rows::count(organization.id)).await?;
        check_room(count, "entities in an organization", MAX_ENTITIES)?;
    }
    let row = EntityRow { organization: organization.id, entity, scope, told_by: ToldBy::Host, updated_at: app.now() };
    app.change(rows::put(&row), Some(touches(organization))).await?;
    app.observer.fact_changed(organization.id, &Fact::Entity(row.entity.clone()));
    Ok(row)
}

/// What is known of an entity.
///
/// # Errors
/// It is unknown.
pub async fn get(app: &App, organization: &Organization, entity: &EntityRef) -> CatalogueResult<EntityRow> {
    let entity = entity.clone().canonical();
    app.store.read_one(rows::get(organization.id, &entity)).await?.ok_or(CatalogueError::NotFound(NAME))
}

/// Forgets what an entity belongs to, until an event says so again.
///
/// # Errors
/// It is unknown.
pub async fn delete(app: &App, organization: &Organization, entity: &EntityRef) -> CatalogueResult<()> {
    let entity = entity.clone().canonical();
    app.change(rows::delete(organization.id, &entity), Some(touches(organization))).await?;
    app.observer.fact_changed(organization.id, &Fact::Entity(entity));
    Ok(())
}

fn touches(organization: &Organization) -> Touches {
    Touches { project: organization.project, organization: Some(organization.id) }
}

fn check(entity: &EntityRef, scope: &[EntityRef]) -> CatalogueResult<()> {
    let mut faults = Faults::default();
    faults.entity("entity", entity);
    faults.require(scope.len() <= MAX_SCOPE, "scope", || format!("must have at most {MAX_SCOPE} entries"));
    for (index, ancestor) in scope.iter().enumerate().take(MAX_SCOPE) {
        faults.entity(&format!("scope[{index}]"), ancestor);
    }
    faults.finish()
}
