//! Users: the people of an organization, as the host knows them.

use fanfare_engine::access::{Grants, User};
use fanfare_engine::id::OrganizationId;
use fanfare_engine::time::Timestamp;

use super::{Conditions, Page, document, must, parse_document, query, step};
use crate::arguments;
use crate::error::StoreResult;
use crate::query::{Change, Query, Row, Value};

/// How many users one query asks for.
const ASKED_AT_ONCE: usize = 200;

/// A user as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// The place in lists; the user is known by the host's own id.
    pub row: i64,
    pub organization: OrganizationId,
    pub name: Option<String>,
    /// What access is judged by.
    pub user: User,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

const COLUMNS: &str = "id, organization_id, user_id, name, roles, permissions, grants, created_at, updated_at";

fn decode(row: &dyn Row) -> StoreResult<UserRow> {
    Ok(UserRow {
        row: row.int(0)?,
        organization: OrganizationId(row.int(1)?),
        name: row.text_or_null(3)?,
        user: decode_user(row)?,
        created_at: Timestamp(row.int(7)?),
        updated_at: Timestamp(row.int(8)?),
    })
}

fn decode_user(row: &dyn Row) -> StoreResult<User> {
    Ok(User {
        id: row.text(2)?,
        roles: parse_document(&row.text(4)?)?,
        permissions: parse_document(&row.text(5)?)?,
        grants: parse_document::<Grants>(&row.text(6)?)?,
    })
}

/// Makes a user or replaces the one with the same id, which keeps its place in lists and the time when it was made. `Stale`
/// where the organization is gone.
pub fn put(user: &UserRow) -> Change {
    let organization = user.organization.0;
    let id = user.user.id.as_str();
    let counted = must(
        "organization",
        "UPDATE organizations SET users = users +
             CASE WHEN EXISTS (SELECT 1 FROM users WHERE organization_id = ?1 AND user_id = ?2) THEN 0 ELSE 1 END
         WHERE id = ?1",
        arguments![organization, id],
    );
    let kept = step(
        "INSERT INTO users (id, organization_id, user_id, name, roles, permissions, grants, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (organization_id, user_id) DO UPDATE SET name = excluded.name, roles = excluded.roles,
             permissions = excluded.permissions, grants = excluded.grants, updated_at = excluded.updated_at",
        arguments![
            user.row,
            organization,
            id,
            user.name.clone(),
            document(&user.user.roles),
            document(&user.user.permissions),
            document(&user.user.grants),
            user.created_at,
            user.updated_at
        ],
    );
    Change::one(counted).then(kept)
}

/// Removes a user. What the user owns stays, and is owned by one of whom nothing is known.
pub fn delete(organization: OrganizationId, id: &str) -> Change {
    Change::one(must(
        "user",
        "DELETE FROM users WHERE organization_id = ?1 AND user_id = ?2",
        arguments![organization.0, id],
    ))
    .then(step("UPDATE organizations SET users = users - 1 WHERE id = ?1", arguments![organization.0]))
}

/// The user with this id.
pub fn by_id(organization: OrganizationId, id: &str) -> Query<UserRow> {
    query(
        format!("SELECT {COLUMNS} FROM users WHERE organization_id = ?1 AND user_id = ?2"),
        arguments![organization.0, id],
        decode,
    )
}

/// A page of an organization's users.
pub fn list(organization: OrganizationId, page: Page) -> Query<UserRow> {
    let mut conditions = Conditions::new();
    conditions.add("organization_id = ?", organization.0);
    conditions.page(COLUMNS, "users", page, decode)
}

/// These users of an organization, as far as they are known: a query for each few hundred of them.
pub fn these(organization: OrganizationId, users: &[String]) -> Vec<Query<User>> {
    users.chunks(ASKED_AT_ONCE).map(|users| some(organization, users)).collect()
}

fn some(organization: OrganizationId, users: &[String]) -> Query<User> {
    let mut arguments = arguments![organization.0];
    let mut places = Vec::with_capacity(users.len());
    for user in users {
        arguments.push(Value::from(user.as_str()));
        places.push(format!("?{}", arguments.len()));
    }
    let places = places.join(", ");
    let sql = format!("SELECT {COLUMNS} FROM users WHERE organization_id = ?1 AND user_id IN ({places})");
    query(sql, arguments, decode_user)
}

/// How many users an organization has.
pub fn count(organization: OrganizationId) -> Query<i64> {
    query("SELECT users FROM organizations WHERE id = ?1", arguments![organization.0], |row| row.int(0))
}
