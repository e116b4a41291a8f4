//! Sessions of the portal: asked for by the host, opened once by a code, known from then on by a token.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanfare_engine::id::SessionId;
use fanfare_store::StoreError;
use fanfare_store::catalogue::organizations::Organization;
use fanfare_store::catalogue::sessions::{self as rows, Session};

use super::fields::Faults;
use super::{CatalogueError, CatalogueResult, check_room};
use crate::app::App;
use crate::random;

/// How long a session lasts where nothing is said.
pub const DEFAULT_SECONDS: u32 = 3_600;
/// The shortest and the longest session.
pub const MIN_SECONDS: u32 = 60;
pub const MAX_SECONDS: u32 = 7 * 86_400;
/// For how long a code opens its session.
pub const CODE_LIFETIME: Duration = Duration::from_secs(600);
/// How many sessions of an organization there may be that have not ended. Those that were not opened count as long as their
/// codes do.
pub const MAX_SESSIONS: u32 = 10_000;
/// Sessions are kept so long after their end, so that whoever comes late learns what became of them.
pub const KEPT: Duration = Duration::from_secs(86_400);
/// The longest code or token that is looked at, in bytes.
const MAX_TEXT_BYTES: usize = 128;

/// Under this name a session keeps from which session of the console it was begun.
const CONSOLE: &str = "console";
const CODE: &str = "code";

/// A session to be made.
#[derive(Clone, Debug, Default)]
pub struct NewSession {
    /// The user who is to visit; `None` for the host itself.
    pub user: Option<String>,
    /// How long it lasts, counted from now.
    pub seconds: Option<u32>,
    /// The session of the console that it is begun from, and ends with.
    pub console: Option<SessionId>,
}

/// Makes a session of an organization's portal; answers it with the code that opens it.
///
/// # Errors
/// Fields that are not valid, or too many sessions.
pub async fn create(app: &App, organization: &Organization, new: NewSession) -> CatalogueResult<(Session, String)> {
    let seconds = new.seconds.unwrap_or(DEFAULT_SECONDS);
    let mut faults = Faults::default();
    faults.require((MIN_SECONDS..=MAX_SECONDS).contains(&seconds), "expires_in", || {
        format!("must be from {MIN_SECONDS} to {MAX_SECONDS} seconds (7 days)")
    });
    if let Some(user) = &new.user {
        faults.external_id("user", user);
    }
    faults.finish()?;
    let now = app.now();
    let count = app.store.read_one(rows::count(organization.id, now)).await?;
    check_room(count, "sessions of an organization at once", MAX_SESSIONS)?;
    let session = Session {
        id: app.ids.next(),
        project: organization.project,
        organization: Some(organization.id),
        user: new.user,
        options: new.console.map(|console| (CONSOLE.to_owned(), console.to_string())).into_iter().collect(),
        created_at: now,
        expires_at: now.plus(Duration::from_secs(seconds.into())),
    };
    let code = secret_text();
    let change = rows::insert(&session, &app.vault.hash_session(&code), now.plus(CODE_LIFETIME));
    app.make(change, None, &session.expires_at.to_string()).await?;
    Ok((session, code))
}

/// The session that a code opens, for looking at it before; `None` where it opens none.
pub async fn awaiting(app: &App, code: &str) -> CatalogueResult<Option<Session>> {
    if code.len() > MAX_TEXT_BYTES {
        return Ok(None);
    }
    Ok(app.store.read_one(rows::awaiting(&app.vault.hash_session(code))).await?)
}

/// The session that a code is or was for, though it was used or came too late; `None` where there never was such a code, or
/// too long ago.
pub async fn of_code(app: &App, code: &str) -> CatalogueResult<Option<Session>> {
    if code.len() > MAX_TEXT_BYTES {
        return Ok(None);
    }
    Ok(app.store.read_one(rows::by_code(&app.vault.hash_session(code))).await?)
}

/// Opens a session by its code, which is used up by that; answers the token that its browser is to show. `options` are
/// added to the session's own.
///
/// # Errors
/// The code was used, is too old, or never was.
pub async fn open(app: &App, code: &str, options: BTreeMap<String, String>) -> CatalogueResult<(Session, String)> {
    let mut session = awaiting(app, code).await?.ok_or(CatalogueError::NotFound(CODE))?;
    session.options.extend(options);
    let token = secret_text();
    let hashes = [code, &token].map(|text| app.vault.hash_session(text));
    let change = rows::open(&hashes[0], &hashes[1], &session.options, app.now());
    match app.change(change, None).await {
        Ok(_) => Ok((session, token)),
        Err(StoreError::Stale(_)) => Err(CatalogueError::NotFound(CODE)),
        Err(error) => Err(error.into()),
    }
}

/// The session whose browser shows this token, be it over or not.
pub async fn of_token(app: &App, token: &str) -> CatalogueResult<Option<Session>> {
    if token.is_empty() || token.len() > MAX_TEXT_BYTES {
        return Ok(None);
    }
    Ok(app.store.read_one(rows::by_token(&app.vault.hash_session(token))).await?)
}

/// One session, be it over or not.
pub async fn by_id(app: &App, id: SessionId) -> CatalogueResult<Option<Session>> {
    Ok(app.store.read_one(rows::by_id(id)).await?)
}

/// The session of the console that this one was begun from.
pub fn begun_from(session: &Session) -> Option<SessionId> {
    session.options.get(CONSOLE).and_then(|id| SessionId::parse(id))
}

/// 32 bytes that nobody can guess, as text.
pub(super) fn secret_text() -> String {
    URL_SAFE_NO_PAD.encode(random::bytes::<32>())
}
