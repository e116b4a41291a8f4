//! The APIs of the systems that profiles stand in for: thin, over the same services as Fanfare's own, so that a script which
//! was written for such a system goes on working.
//!
//! Their paths name no organization: they act on the one that the API key is bound to. Unknown members are ignored. Refusals
//! are the problems that all routes answer with, and name the fields as these APIs do.

mod enate;
mod etlworks;
mod members;

use std::sync::Arc;

use fanfare_engine::access::Action;
use fanfare_engine::profile::{OwnApi, Profile};
use fanfare_store::catalogue::Page;
use fanfare_store::catalogue::webhooks::{WebhookFilter, stored_bytes};
use utoipa_axum::router::OpenApiRouter;

use super::auth::Principal;
use super::problem::{Answer, Code, Problem};
use super::webhooks::answers::customer_place;
use crate::app::App;
use crate::catalogue::access::Actor;
use crate::catalogue::webhooks::{self, OpenWebhook, Place};
use crate::catalogue::{CatalogueError, CatalogueResult, projects};

/// Webhooks that one answer lists at most, the newest: these APIs have no pages. The routes' descriptions name the number.
const MAX_LISTED: usize = 10_000;
/// How many bytes their settings and credentials take at most (32 MiB), about; the routes' descriptions name it.
const MAX_LISTED_BYTES: i64 = 32 << 20;
/// Webhooks that are read at once for such an answer.
const PIECE: u32 = 500;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    enate::routes().merge(etlworks::routes())
}

/// Where a request to such an API acts, and by which profile.
struct Desk {
    place: Place,
    profile: Arc<Profile>,
}

impl Desk {
    /// The organization of the key, and the project's profile that stands in for the system.
    async fn of(app: &App, principal: &Principal, api: OwnApi) -> Answer<Desk> {
        let project = projects::by_id(app, principal.project).await?;
        let names = std::iter::once(&project.profile).chain(&project.options.allowed_profiles);
        let profile = names.filter_map(|name| app.profiles.get(name)).find(|profile| profile.own_api == api);
        let profile =
            profile.ok_or_else(|| Problem::new(Code::UnknownRoute, "no profile of this project has this API"))?;
        let organization = principal.organization.ok_or_else(|| {
            let detail = "this API names no organization: use an API key that is bound to one";
            Problem::new(Code::OrganizationKeyNeeded, detail)
        })?;
        principal.require_someone()?;
        Ok(Desk {
            place: customer_place(app, principal, &organization.to_string()).await?,
            profile: Arc::clone(profile),
        })
    }

    /// The webhooks of the profile, at most the newest [`MAX_LISTED`] and about [`MAX_LISTED_BYTES`] of them, oldest first.
    async fn list(&self, app: &App) -> Answer<Vec<OpenWebhook>> {
        let mut found: Vec<OpenWebhook> = Vec::new();
        // Judged once for all: those of other profiles are left out, whoever may see them.
        let (organization, user) = (self.place.organization, self.place.user.as_deref());
        let actor = Actor::of(app, organization, user).await?;
        actor.may(app, organization, &self.profile.name, None, Action::See).await?;
        let place = Place { user: None, ..self.place.clone() };
        let mut bytes = 0;
        let mut page = Page { before: None, limit: PIECE };
        loop {
            let mut piece = webhooks::list_in(app, &place, WebhookFilter::default(), page).await?;
            page.before = piece.next(PIECE as usize - 1, |webhook| webhook.row.id.0);
            for webhook in piece.rows.into_iter().filter(|webhook| self.is_ours(webhook)) {
                bytes += stored_bytes(&webhook.row);
                found.push(webhook);
            }
            if page.before.is_none() || found.len() >= MAX_LISTED || bytes >= MAX_LISTED_BYTES {
                break;
            }
        }
        found.truncate(MAX_LISTED);
        webhooks::hidden(app, &self.place, &mut found).await?;
        found.reverse();
        Ok(found)
    }

    /// The webhook that was found, if it is of this profile and may be seen.
    async fn seen(&self, app: &App, found: CatalogueResult<OpenWebhook>) -> Answer<OpenWebhook> {
        let webhook = found?;
        if !self.is_ours(&webhook) {
            return Err(Problem::not_found("webhook"));
        }
        Ok(webhooks::seen(app, &self.place, &webhook.row.id.to_string()).await?)
    }

    fn is_ours(&self, webhook: &OpenWebhook) -> bool {
        *webhook.row.profile == *self.profile.name
    }
}

/// A refusal with the fields named as the system's own API names them.
fn renamed(error: CatalogueError, names: &[(&str, &str)]) -> Problem {
    let mut problem = Problem::from(error);
    for error in &mut problem.errors {
        let below = |ours: &str| error.field.strip_prefix(ours).is_some_and(|rest| rest.starts_with(['[', '.']));
        let known = names.iter().find(|(ours, _)| error.field == *ours || below(ours));
        if let Some((_, theirs)) = known {
            error.field = (*theirs).to_owned();
        }
    }
    match problem.errors.is_empty() {
        true => problem,
        false => Problem { detail: super::problem::in_words(&problem.errors), ..problem },
    }
}
