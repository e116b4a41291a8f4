//! Who asks for a page of the console, and what they may do.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use fanfare_store::catalogue::labels;
use fanfare_store::catalogue::projects::Project;
use fanfare_store::catalogue::sessions::Session;

use crate::app::App;
use crate::catalogue::operators::{self, Operates};
use crate::catalogue::projects::{self, MAX_PROJECTS};
use crate::catalogue::{CatalogueError, CatalogueResult};
use crate::portal::form::Form;
use crate::portal::refusal::Refusal;
use crate::portal::texts::Texts;
use crate::portal::visitor::{cookie, language};

/// The cookie by which a browser shows its session.
pub(super) const COOKIE_NAME: &str = "__Host-fanfare-console";
/// The field of a form that says of which project its page was.
const OF_PROJECT: &str = "of_project";

/// One who may see a project's pages.
#[derive(Clone)]
pub(super) struct Operator {
    pub(super) session: Session,
    pub(super) operates: Operates,
    pub(super) project: Project,
    /// The ids and names of the projects to choose from; empty where there is only one.
    pub(super) projects: Vec<(String, String)>,
    /// What every form of this session must carry.
    pub(super) form_mark: String,
    pub(super) t: &'static Texts,
}

impl Operator {
    /// Reads the session that the headers show; `None` where there is none, or it is over.
    pub(super) async fn of(app: &App, headers: &HeaderMap) -> CatalogueResult<Option<Operator>> {
        let Some(token) = cookie(headers, COOKIE_NAME) else { return Ok(None) };
        let Some((session, operates)) = operators::visiting(app, token).await? else { return Ok(None) };
        let project = match projects::by_id(app, session.project).await {
            Err(CatalogueError::NotFound(_)) => return Ok(None),
            other => other?,
        };
        let mut choices: Vec<(String, String)> = match operates {
            Operates::Admin => {
                let all = app.store.read(labels::projects(MAX_PROJECTS)).await?;
                all.into_iter().map(|(id, name)| (id.to_string(), name)).collect()
            }
            Operates::Key { .. } => Vec::new(),
        };
        if choices.len() < 2 {
            choices.clear();
        }
        let form_mark = app.vault.form_mark(token);
        Ok(Some(Operator { session, operates, project, projects: choices, form_mark, t: language(headers) }))
    }

    /// Whether the key may change anything.
    pub(super) fn manages(&self) -> bool {
        self.operates.manages()
    }
}

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Refusal> {
        parts.extensions.get::<Operator>().cloned().ok_or(Refusal::NoSession)
    }
}

/// A form of one who may see the pages.
pub(super) struct Sent(pub(super) Operator, pub(super) Form);

impl FromRequest<Arc<App>> for Sent {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let operator = Operator::from_request_parts(&mut parts, app).await?;
        let form = Form::marked(&parts, body, &operator.form_mark).await?;
        Ok(Sent(operator, form))
    }
}

/// A form of one who may change things: everything that changes more than the session takes this. The project is chosen for
/// all tabs of a browser, so a form says of which its page was, and is carried out in that one or not at all.
pub(super) struct Change(pub(super) Operator, pub(super) Form);

impl FromRequest<Arc<App>> for Change {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let Sent(operator, form) = Sent::from_request(request, app).await?;
        if !operator.manages() {
            let why = "the key you signed in with may only look; sign in with one that has the scope manage";
            return Err(Refusal::Forbidden(why.to_owned()));
        }
        if form.get(OF_PROJECT) != operator.project.id.to_string() {
            let why = format!(
                "the form is of another project than {}, which you chose since, perhaps in another tab; nothing was changed: \
                 choose the form's project again, load its page and repeat it",
                operator.project.name
            );
            return Err(Refusal::State(why));
        }
        Ok(Change(operator, form))
    }
}
