//! Who asks for a page: the session that the browser shows, with its organization and project.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE};
use axum::http::request::Parts;
use fanfare_store::catalogue::organizations::Organization;
use fanfare_store::catalogue::projects::Project;
use fanfare_store::catalogue::sessions::Session;

use super::refusal::Refusal;
use super::texts::{self, Texts};
use crate::app::App;
use crate::catalogue::webhooks::Place;
use crate::catalogue::{CatalogueError, CatalogueResult, operators, organizations, projects, sessions};

/// The cookie by which a browser shows its session.
pub(super) const COOKIE_NAME: &str = "__Host-fanfare-portal";

/// One who may see an organization's pages.
#[derive(Clone)]
pub(super) struct Visitor {
    pub(super) session: Session,
    pub(super) project: Project,
    pub(super) organization: Organization,
    /// What every form of this session must carry.
    pub(super) form_mark: String,
    pub(super) t: &'static Texts,
}

impl Visitor {
    /// Where this visitor's webhooks are, and on whose behalf they are looked at.
    pub(super) fn place(&self) -> Place {
        Place {
            project: self.project.id,
            organization: self.organization.id,
            operator: false,
            user: self.session.user.clone(),
            imports: false,
        }
    }
}

/// What is known of the browser before its page is made.
#[derive(Clone)]
pub(super) enum Known {
    /// It showed no session, or one that there never was.
    Nobody,
    /// Its session is over, or what it was begun from, or its organization is gone.
    Ended(Project),
    Visitor(Box<Visitor>),
}

impl Known {
    /// Reads the session that the headers show.
    pub(super) async fn of(app: &App, headers: &HeaderMap) -> CatalogueResult<Known> {
        let Some(token) = cookie(headers, COOKIE_NAME) else { return Ok(Known::Nobody) };
        let Some(session) = sessions::of_token(app, token).await? else { return Ok(Known::Nobody) };
        let project = match projects::by_id(app, session.project).await {
            Err(CatalogueError::NotFound(_)) => return Ok(Known::Nobody),
            other => other?,
        };
        let Some(organization) = session.organization else { return Ok(Known::Nobody) };
        if app.now() >= session.expires_at {
            return Ok(Known::Ended(project));
        }
        if let Some(console) = sessions::begun_from(&session)
            && !operators::still_manages(app, console).await?
        {
            return Ok(Known::Ended(project));
        }
        let organization = match organizations::find(app, project.id, &organization.to_string()).await {
            Err(CatalogueError::NotFound(_)) => return Ok(Known::Ended(project)),
            other => other?,
        };
        let form_mark = app.vault.form_mark(token);
        Ok(Known::Visitor(Box::new(Visitor { session, project, organization, form_mark, t: language(headers) })))
    }
}

/// The texts in the language that the browser asks for.
pub(super) fn language(headers: &HeaderMap) -> &'static Texts {
    texts::for_languages(headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default())
}

/// The value of the cookie of this name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Refusal> {
        match parts.extensions.get::<Known>() {
            Some(Known::Visitor(visitor)) => Ok(Visitor::clone(visitor)),
            Some(Known::Ended(_)) => Err(Refusal::Ended),
            Some(Known::Nobody) | None => Err(Refusal::NoSession),
        }
    }
}
