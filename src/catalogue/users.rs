//! Users: told by the host, replaced, forgotten. Whatever rests on them is judged anew before the answer.

use fanfare_engine::access::{Grants, User};
use fanfare_engine::profile::MAX_STANDING_BYTES;
use fanfare_store::catalogue::Page;
use fanfare_store::catalogue::organizations::Organization;
use fanfare_store::catalogue::users::{self as rows, UserRow};
use fanfare_store::queue::Touches;

use super::fields::{Faults, MAX_NAME_CHARS};
use super::{CatalogueError, CatalogueResult, Found, check_room};
use crate::app::App;
use crate::compiled::Fact;

/// How many users an organization may have.
pub const MAX_USERS: u32 = 100_000;
/// How many roles a user may have, and how many permissions.
pub const MAX_STANDING: usize = 100;

const NAME: &str = "user";

/// What the host tells of a user; what it leaves out the user has not.
#[derive(Clone, Debug, Default)]
pub struct UserInput {
    /// For people.
    pub name: Option<String>,
    pub roles: Vec<String>,
    pub permissions: Vec<String>,
    pub grants: Grants,
}

/// Makes a user or replaces what was known of it; says whether it was made.
///
/// # Errors
/// Fields that are not valid, too many users, or the organization is gone.
pub async fn put(
    app: &App,
    organization: &Organization,
    id: &str,
    input: UserInput,
) -> CatalogueResult<(UserRow, bool)> {
    check(id, &input, app.max_grants)?;
    let known = app.store.read_one(rows::by_id(organization.id, id)).await?;
    if known.is_none() {
        check_room(app.store.read_one(rows::count(organization.id)).await?, "users in an organization", MAX_USERS)?;
    }
    let now = app.now();
    let UserInput { name, roles, permissions, grants } = input;
    let user = User { id: id.to_owned(), roles, permissions, grants };
    let made = known.is_none();
    let row = match known {
        Some(known) if known.name == name && known.user == user => return Ok((known, false)),
        Some(known) => UserRow { name, user, updated_at: now, ..known },
        None => {
            let row = app.ids.next();
            UserRow { row, organization: organization.id, name, user, created_at: now, updated_at: now }
        }
    };
    app.change(rows::put(&row), Some(touches(organization))).await?;
    app.observer.fact_changed(organization.id, &Fact::User(id.to_owned()));
    Ok((row, made))
}

/// The user with this id.
///
/// # Errors
/// It is unknown.
pub async fn get(app: &App, organization: &Organization, id: &str) -> CatalogueResult<UserRow> {
    app.store.read_one(rows::by_id(organization.id, id)).await?.ok_or(CatalogueError::NotFound(NAME))
}

/// A page of an organization's users.
pub async fn list(app: &App, organization: &Organization, page: Page) -> CatalogueResult<Found<UserRow>> {
    Ok(Found::read(app, rows::list(organization.id, page), page.limit, None).await?)
}

/// Forgets a user. Its webhooks stay, owned by one who has nothing: where their profile asks again, nothing is sent.
///
/// # Errors
/// It is unknown.
pub async fn delete(app: &App, organization: &Organization, id: &str) -> CatalogueResult<()> {
    app.change(rows::delete(organization.id, id), Some(touches(organization))).await?;
    app.observer.fact_changed(organization.id, &Fact::User(id.to_owned()));
    Ok(())
}

fn touches(organization: &Organization) -> Touches {
    Touches { project: organization.project, organization: Some(organization.id) }
}

/// `max_grants`: how many entities a user may be granted.
fn check(id: &str, input: &UserInput, max_grants: usize) -> CatalogueResult<()> {
    let mut faults = Faults::default();
    faults.external_id("user", id);
    if let Some(name) = &input.name {
        let good = name.chars().count() <= MAX_NAME_CHARS && !name.contains(char::is_control);
        faults.require(good, "name", || format!("must have at most {MAX_NAME_CHARS} characters and no line breaks"));
    }
    for (field, names) in [("roles", &input.roles), ("permissions", &input.permissions)] {
        faults.require(names.len() <= MAX_STANDING, field, || format!("must have at most {MAX_STANDING} entries"));
        for (index, name) in names.iter().enumerate().take(MAX_STANDING) {
            let good = (1..=MAX_STANDING_BYTES).contains(&name.len()) && !name.contains(char::is_control);
            faults.require(good, &format!("{field}[{index}]"), || {
                format!("must have 1 to {MAX_STANDING_BYTES} bytes and no control characters")
            });
        }
    }
    if let Grants::Only(granted) = &input.grants {
        faults.require(granted.len() <= max_grants, "grants", || {
            format!("must have at most {max_grants} entries; the setting max_grants_per_user allows more")
        });
        for entity in granted.iter().take(max_grants) {
            faults.entity("grants", entity);
        }
    }
    faults.finish()
}
