//! Sessions: visits of people to the portal. Known by hashes only: of the code that opens one once, and of the token that
//! its browser shows from then on.

use std::collections::BTreeMap;

use fanfare_engine::id::{OrganizationId, ProjectId, SessionId};
use fanfare_engine::time::Timestamp;

use super::{decode_int, document, must, parse_document, query, step, unique};
use crate::arguments;
use crate::error::StoreResult;
use crate::query::{Change, Query, Row, Step};

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub project: ProjectId,
    /// The organization that its visitor sees.
    pub organization: Option<OrganizationId>,
    /// The user who visits; `None` for the host itself.
    pub user: Option<String>,
    /// How the visitor wants it to look: names as in a project's theme, with their values; and by which key an operator's
    /// session was begun, or from which session of an operator a visit was.
    pub options: BTreeMap<String, String>,
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

const COLUMNS: &str = "id, project_id, organization_id, user_id, options, created_at, expires_at";

fn decode(row: &dyn Row) -> StoreResult<Session> {
    Ok(Session {
        id: SessionId(row.int(0)?),
        project: ProjectId(row.int(1)?),
        organization: row.int_or_null(2)?.map(OrganizationId),
        user: row.text_or_null(3)?,
        options: parse_document(&row.text(4)?)?,
        created_at: Timestamp(row.int(5)?),
        expires_at: Timestamp(row.int(6)?),
    })
}

/// Keeps a session that is to be opened once, by the code of this hash, before `code_expires_at`.
pub fn insert(session: &Session, code: &[u8; 32], code_expires_at: Timestamp) -> Change {
    let row = step(
        "INSERT INTO sessions (id, project_id, organization_id, user_id, code, code_expires_at, token, options, created_at,
             expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7, ?8, ?9)",
        arguments![
            session.id.0,
            session.project.0,
            session.organization.map(|organization| organization.0),
            session.user.clone(),
            code.to_vec(),
            code_expires_at,
            document(&session.options),
            session.created_at,
            session.expires_at
        ],
    );
    Change::one(unique(row, "code"))
}

/// Opens the session that waits for this code, for the browser that shows the token of this hash. `Stale` where the code
/// was used, is too old, or never was.
pub fn open(code: &[u8; 32], token: &[u8; 32], options: &BTreeMap<String, String>, now: Timestamp) -> Change {
    let row = must(
        "code",
        "UPDATE sessions SET token = ?1, options = ?2
         WHERE code = ?3 AND token IS NULL AND code_expires_at > ?4 AND expires_at > ?4",
        arguments![token.to_vec(), document(options), code.to_vec(), now],
    );
    Change::one(unique(row, "token"))
}

/// The session that waits for the code of this hash, be it too old or not.
pub fn awaiting(code: &[u8; 32]) -> Query<Session> {
    let sql = format!("SELECT {COLUMNS} FROM sessions WHERE code = ?1 AND token IS NULL");
    query(sql, arguments![code.to_vec()], decode)
}

/// The session that the code of this hash is or was for, be it opened or over.
pub fn by_code(code: &[u8; 32]) -> Query<Session> {
    query(format!("SELECT {COLUMNS} FROM sessions WHERE code = ?1"), arguments![code.to_vec()], decode)
}

/// The session whose browser shows the token of this hash, be it over or not.
pub fn by_token(token: &[u8; 32]) -> Query<Session> {
    query(format!("SELECT {COLUMNS} FROM sessions WHERE token = ?1"), arguments![token.to_vec()], decode)
}

/// One session.
pub fn by_id(id: SessionId) -> Query<Session> {
    query(format!("SELECT {COLUMNS} FROM sessions WHERE id = ?1"), arguments![id.0], decode)
}

/// How many sessions of an organization have not ended. Those that nobody opened count as long as somebody could.
pub fn count(organization: OrganizationId, now: Timestamp) -> Query<i64> {
    query(
        "SELECT count(*) FROM sessions
         WHERE organization_id = ?1 AND expires_at > ?2 AND (token IS NOT NULL OR code_expires_at > ?2)",
        arguments![organization.0, now],
        decode_int,
    )
}

/// Ends the sessions of no organization that have these options, but for the newest `kept`.
pub fn delete_older(options: &BTreeMap<String, String>, kept: u32) -> Step {
    step(
        "DELETE FROM sessions WHERE organization_id IS NULL AND options = ?1 AND id NOT IN (
             SELECT id FROM sessions WHERE organization_id IS NULL AND options = ?1 ORDER BY id DESC LIMIT ?2)",
        arguments![document(options), i64::from(kept)],
    )
}

/// Has a session look at another project.
pub fn turn_to(id: SessionId, project: ProjectId) -> Change {
    let sql = "UPDATE sessions SET project_id = ?1 WHERE id = ?2 AND organization_id IS NULL";
    Change::one(must("session", sql, arguments![project.0, id.0]))
}

/// Ends a session.
pub fn delete(id: SessionId) -> Change {
    Change::one(step("DELETE FROM sessions WHERE id = ?1", arguments![id.0]))
}
