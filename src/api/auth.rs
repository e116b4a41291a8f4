//! Who asks: the key of the request, what it may do, and where.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::{HeaderMap, header, request::Parts};
use fanfare_engine::caller::Caller;
use fanfare_engine::id::{ApiKeyId, OrganizationId, ProjectId};
use fanfare_store::catalogue::organizations::Organization;

use super::problem::{Answer, Code, Problem};
use crate::app::App;
use crate::background::Owner;
use crate::catalogue::organizations;
use crate::keyring::{Bearer, MAX_KEY_BYTES};
use crate::strangers::Connection;

/// The header that says on which user's behalf the host acts.
pub const USER_HEADER: &str = "fanfare-user";
/// The longest id of a user, in bytes.
const MAX_USER_BYTES: usize = 255;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything in the project.
    Manage,
    /// Reading, but no secrets.
    Read,
    /// Posting events.
    EventsWrite,
    /// Acting for the host itself, and not for a user, in the systems' own APIs.
    Host,
}

impl Scope {
    pub const ALL: [Scope; 4] = [Scope::Manage, Scope::Read, Scope::EventsWrite, Scope::Host];

    pub fn name(self) -> &'static str {
        match self {
            Scope::Manage => "manage",
            Scope::Read => "read",
            Scope::EventsWrite => "events:write",
            Scope::Host => "host",
        }
    }

    pub fn parse(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// The one who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `None` for the admin key.
    pub key: Option<ApiKeyId>,
    pub project: ProjectId,
    pub scopes: Vec<Scope>,
    /// The one organization that the key may act on; `None` for all of the project.
    pub organization: Option<OrganizationId>,
    /// The user on whose behalf it asks; `None` for the host itself.
    pub user: Option<String>,
    /// Whether the key itself is bound to that user, who may have it in hands; otherwise the host names the user.
    pub bound: bool,
}

impl Principal {
    /// Who sent a request; found once for each.
    pub(super) async fn of(app: &App, parts: &mut Parts) -> Answer<Principal> {
        if let Some(known) = parts.extensions.get::<Principal>() {
            return Ok(known.clone());
        }
        let principal = sender(app, parts).await?;
        parts.extensions.insert(principal.clone());
        Ok(principal)
    }

    /// Whether it is the admin key.
    pub fn is_admin(&self) -> bool {
        self.key.is_none()
    }

    /// Whose share of the slots for changes it uses.
    pub fn owner(&self) -> Owner {
        match (self.organization, self.key) {
            (Some(organization), _) => Owner::Organization(organization),
            (None, Some(key)) => Owner::Key(key),
            (None, None) => Owner::Operator,
        }
    }

    /// Whether it may do what `scope` is about.
    pub fn may(&self, scope: Scope) -> bool {
        self.is_admin() || self.scopes.contains(&scope) || self.scopes.contains(&Scope::Manage)
    }

    /// Refuses who acts neither for a user nor expressly for the host: where customers hold the keys, one without a user must
    /// not pass by the rights that users need.
    pub fn require_someone(&self) -> Answer<()> {
        if self.user.is_some() || self.is_admin() || self.scopes.contains(&Scope::Host) {
            return Ok(());
        }
        Err(Problem::new(
            Code::PermissionDenied,
            "this API acts for a user; use a key that is bound to a user, name the user in Fanfare-User, or create a key \
             with the scope host to act for the host itself",
        ))
    }

    /// Refuses who may not do what `scope` is about.
    pub fn require(&self, scope: Scope) -> Answer<()> {
        if self.may(scope) {
            return Ok(());
        }
        Err(Problem::new(Code::ScopeTooSmall, format!("this needs a key with the scope {}", scope.name())))
    }

    /// Refuses everyone but the admin key.
    pub fn require_admin(&self) -> Answer<()> {
        if self.is_admin() {
            return Ok(());
        }
        Err(Problem::new(Code::AdminOnly, "only the admin key may do this"))
    }

    /// Refuses who acts on behalf of a user: what is for the host itself.
    pub fn require_host(&self) -> Answer<()> {
        match &self.user {
            None => Ok(()),
            Some(_) => Err(Problem::new(
                Code::PermissionDenied,
                "this is for the host itself, and not on behalf of a user; send it without Fanfare-User, with a key that is bound to no user",
            )),
        }
    }

    /// Refuses who may not post events. A user's own key may not: events say what entities belong to, and so what grants
    /// reach. The host may name a user and post none the less.
    pub fn require_poster(&self) -> Answer<()> {
        self.require(Scope::EventsWrite)?;
        match self.bound {
            false => Ok(()),
            true => Err(Problem::new(
                Code::PermissionDenied,
                "events are posted by the host itself; send them with a key that is bound to no user",
            )),
        }
    }

    /// The project, for what is about all of it; refuses keys that are bound to an organization.
    pub fn whole_project(&self) -> Answer<ProjectId> {
        match self.organization {
            None => Ok(self.project),
            Some(_) => Err(Problem::new(
                Code::OrganizationKey,
                "this key is bound to an organization, and this is about the whole project",
            )),
        }
    }

    /// The organization that `text` names, by its id or the host's, if this key may act on it. One that it may not act on
    /// looks like one that is not there.
    pub async fn organization(&self, app: &App, text: &str) -> Answer<Organization> {
        let found = organizations::find(app, self.project, text).await?;
        match self.organization {
            Some(own) if own != found.id => Err(Problem::not_found("organization")),
            _ => Ok(found),
        }
    }
}

/// Says who sent a request, and whose its connection is while it is carried out.
pub async fn sender(app: &App, parts: &Parts) -> Answer<Principal> {
    let principal = authenticate(app, &parts.headers, parts.extensions.get()).await?;
    if let Some(connection) = parts.extensions.get::<Arc<Connection>>() {
        connection.belongs_to(principal.owner());
    }
    Ok(principal)
}

/// Says who asks, from the headers of a request and its caller, if that is known.
pub async fn authenticate(app: &App, headers: &HeaderMap, caller: Option<&Caller>) -> Answer<Principal> {
    let bearer = find(app, bearer(headers)?, caller.copied()).await?;
    let named = named_user(headers)?;
    match bearer {
        Bearer::Admin => Ok(Principal {
            key: None,
            project: app.default_project,
            scopes: Scope::ALL.to_vec(),
            organization: None,
            user: named,
            bound: false,
        }),
        Bearer::Key(key) => {
            if key.expires_at.is_some_and(|end| app.now() >= end) {
                return Err(unauthenticated("the API key has expired"));
            }
            let user = match (&key.user, named) {
                (Some(own), Some(named)) if *own != named => {
                    return Err(Problem::field(
                        Code::InvalidParameter,
                        "Fanfare-User",
                        "must be the user to whom the key is bound, or be left out",
                    ));
                }
                (Some(own), _) => Some(own.clone()),
                (None, named) => named,
            };
            Ok(Principal {
                key: Some(key.id),
                project: key.project,
                scopes: key.scopes.iter().filter_map(|name| Scope::parse(name)).collect(),
                organization: key.organization,
                user,
                bound: key.user.is_some(),
            })
        }
    }
}

/// Whose key it is. Wrong keys are counted for each caller.
async fn find(app: &App, key: &str, caller: Option<Caller>) -> Answer<Bearer> {
    let now = app.now();
    let too_many =
        || Problem::new(Code::TooManyWrongKeys, "too many wrong API keys came from this address; retry later");
    if caller.is_some_and(|caller| !app.guesses.may_try(caller, key, now)) {
        return Err(too_many());
    }
    let found = match key.len() <= MAX_KEY_BYTES {
        true => app.keyring.find(&app.store, app.vault.hash_api_key(key)).await?,
        false => None,
    };
    match (found, caller) {
        (Some(bearer), caller) => {
            caller.into_iter().for_each(|caller| app.guesses.right(caller, key, now));
            Ok(bearer)
        }
        (None, Some(caller)) if !app.guesses.wrong(caller, now) => Err(too_many()),
        (None, _) => Err(unauthenticated("the API key is not known")),
    }
}

fn bearer(headers: &HeaderMap) -> Answer<&str> {
    let missing = || unauthenticated("send the API key as \"Authorization: Bearer KEY\"");
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    let (scheme, key) = value.split_once(' ').ok_or_else(missing)?;
    let key = key.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() {
        return Err(missing());
    }
    Ok(key)
}

fn named_user(headers: &HeaderMap) -> Answer<Option<String>> {
    let Some(value) = headers.get(USER_HEADER) else { return Ok(None) };
    let user = std::str::from_utf8(value.as_bytes()).ok();
    let good = user.filter(|user| (1..=MAX_USER_BYTES).contains(&user.len()) && !user.contains(char::is_control));
    match good {
        Some(user) => Ok(Some(user.to_owned())),
        None => Err(Problem::field(
            Code::InvalidParameter,
            "Fanfare-User",
            format!("must be the id of a user, in 1 to {MAX_USER_BYTES} bytes of UTF-8"),
        )),
    }
}

fn unauthenticated(detail: &str) -> Problem {
    Problem::new(Code::Unauthenticated, detail)
}

impl FromRequestParts<Arc<App>> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Self> {
        Principal::of(app, parts).await
    }
}

impl OptionalFromRequestParts<Arc<App>> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Option<Self>> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        <Principal as FromRequestParts<Arc<App>>>::from_request_parts(parts, app).await.map(Some)
    }
}

/// One who may read.
pub struct Reader(pub Principal);

/// One who may change what is set up, and see secrets.
pub struct Manager(pub Principal);

/// The host itself, who may read.
pub struct HostReader(pub Principal);

/// The host itself, who may change what is set up.
pub struct HostManager(pub Principal);

/// The host itself, who may read what is about the whole project.
pub struct ProjectReader(pub Principal);

/// The host itself, who may change what is about the whole project.
pub struct ProjectManager(pub Principal);

/// The admin key.
pub struct Admin(pub Principal);

macro_rules! who {
    ($($name:ident: |$principal:ident| $check:block)*) => {$(
        impl FromRequestParts<Arc<App>> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Self> {
                let $principal = <Principal as FromRequestParts<Arc<App>>>::from_request_parts(parts, app).await?;
                $check
                Ok($name($principal))
            }
        }
    )*};
}

who! {
    Reader: |principal| {
        principal.require(Scope::Read)?;
    }
    Manager: |principal| {
        principal.require(Scope::Manage)?;
    }
    HostReader: |principal| {
        principal.require(Scope::Read)?;
        principal.require_host()?;
    }
    HostManager: |principal| {
        principal.require(Scope::Manage)?;
        principal.require_host()?;
    }
    ProjectReader: |principal| {
        principal.require(Scope::Read)?;
        principal.require_host()?;
        principal.whole_project()?;
    }
    ProjectManager: |principal| {
        principal.require(Scope::Manage)?;
        principal.require_host()?;
        principal.whole_project()?;
    }
    Admin: |principal| {
        principal.require_admin()?;
        principal.require_host()?;
    }
}
