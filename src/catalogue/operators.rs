//! Sessions of the operator's console: begun by an API key that sees a whole project, over when the key is.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare_engine::id::{ApiKeyId, ProjectId, SessionId};
use fanfare_store::catalogue::api_keys::{self, ApiKey};
use fanfare_store::catalogue::sessions::{self as rows, Session};

use super::sessions::{CODE_LIFETIME, by_id, of_token, secret_text};
use super::{CatalogueError, CatalogueResult, projects};
use crate::app::App;
use crate::keyring::Bearer;

/// How long a session lasts.
pub const LIFETIME: Duration = Duration::from_secs(12 * 3_600);
/// How many sessions one key may have at once; with one more, its oldest ends.
pub const MAX_SESSIONS: u32 = 100;
/// The longest key that is looked at, in bytes.
const MAX_KEY_BYTES: usize = 256;
/// Under this name a session keeps by which key it was begun.
const BY: &str = "operator";
const MANAGE: &str = "manage";
const READ: &str = "read";

/// By which key somebody operates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operates {
    /// The admin key: all projects.
    Admin,
    /// A key of one project.
    Key { id: ApiKeyId, project: ProjectId, manages: bool },
}

impl Operates {
    /// Whether it may change anything.
    pub fn manages(&self) -> bool {
        match self {
            Operates::Admin => true,
            Operates::Key { manages, .. } => *manages,
        }
    }

    /// Whether it is the admin key.
    pub fn is_admin(&self) -> bool {
        matches!(self, Operates::Admin)
    }

    /// Whether it may look at this project.
    pub fn reaches(&self, project: ProjectId) -> bool {
        match self {
            Operates::Admin => true,
            Operates::Key { project: own, .. } => *own == project,
        }
    }
}

/// What a key opens; `None` where it is unknown, over, bound to an organization, or only posts events.
///
/// # Errors
/// The store's.
pub async fn by_key(app: &App, key: &str) -> CatalogueResult<Option<Operates>> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Ok(None);
    }
    Ok(match app.keyring.find(&app.store, app.vault.hash_api_key(key)).await? {
        None => None,
        Some(Bearer::Admin) => Some(Operates::Admin),
        Some(Bearer::Key(key)) => operates(app, &key),
    })
}

fn operates(app: &App, key: &ApiKey) -> Option<Operates> {
    let has = |scope: &str| key.scopes.iter().any(|known| known == scope);
    let whole = key.organization.is_none() && key.user.is_none();
    let live = key.expires_at.is_none_or(|end| app.now() < end);
    (whole && live && (has(MANAGE) || has(READ))).then(|| Operates::Key {
        id: key.id,
        project: key.project,
        manages: has(MANAGE),
    })
}

/// Makes a session of the console; answers it with the code that opens it.
///
/// # Errors
/// The store's.
pub async fn begin(app: &App, operates: &Operates) -> CatalogueResult<(Session, String)> {
    let now = app.now();
    let (project, by) = match operates {
        Operates::Admin => (app.default_project, app.keyring.admin_mark()),
        Operates::Key { id, project, .. } => (*project, id.to_string()),
    };
    let session = Session {
        id: app.ids.next(),
        project,
        organization: None,
        user: None,
        options: BTreeMap::from([(BY.to_owned(), by)]),
        created_at: now,
        expires_at: now.plus(LIFETIME),
    };
    let code = secret_text();
    let change = rows::insert(&session, &app.vault.hash_session(&code), now.plus(CODE_LIFETIME))
        .then(rows::delete_older(&session.options, MAX_SESSIONS));
    app.change(change, None).await?;
    Ok((session, code))
}

/// The session whose browser shows this token, and what its key still opens; `None` where it is over.
///
/// # Errors
/// The store's.
pub async fn visiting(app: &App, token: &str) -> CatalogueResult<Option<(Session, Operates)>> {
    let Some(session) = of_token(app, token).await? else { return Ok(None) };
    Ok(opened(app, &session).await?.map(|operates| (session, operates)))
}

/// Whether the session of the console with this id still lets somebody change things.
///
/// # Errors
/// The store's.
pub async fn still_manages(app: &App, id: SessionId) -> CatalogueResult<bool> {
    let Some(session) = by_id(app, id).await? else { return Ok(false) };
    Ok(opened(app, &session).await?.is_some_and(|operates| operates.manages()))
}

/// What a session's key still opens; `None` where the session is over.
async fn opened(app: &App, session: &Session) -> CatalogueResult<Option<Operates>> {
    if app.now() >= session.expires_at {
        return Ok(None);
    }
    Ok(match session.options.get(BY) {
        Some(by) if is_of_operator(session) && *by == app.keyring.admin_mark() => Some(Operates::Admin),
        Some(by) if is_of_operator(session) => match ApiKeyId::parse(by) {
            Some(id) => {
                let key = app.store.read_one(api_keys::by_id(session.project, id)).await?;
                key.and_then(|key| operates(app, &key))
            }
            None => None,
        },
        _ => None,
    })
}

/// Whether it is a session of the console, and not of an organization's portal.
pub fn is_of_operator(session: &Session) -> bool {
    session.organization.is_none() && session.options.contains_key(BY)
}

/// Has a session look at another project.
///
/// # Errors
/// There is no such project, or the key does not reach it.
pub async fn turn_to(app: &App, session: &Session, operates: &Operates, project: &str) -> CatalogueResult<()> {
    let project = projects::find(app, project).await?;
    if !operates.reaches(project.id) {
        return Err(CatalogueError::NotFound("project"));
    }
    app.change(rows::turn_to(session.id, project.id), None).await?;
    Ok(())
}

/// Ends a session.
///
/// # Errors
/// The store's.
pub async fn end(app: &App, session: &Session) -> CatalogueResult<()> {
    app.change(rows::delete(session.id), None).await?;
    Ok(())
}
