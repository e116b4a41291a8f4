//! Whether the user on whose behalf something is done may do it. The host itself may do everything.

use fanfare_engine::access::{Action, Grants, Refusal, User, judge, named_entity};
use fanfare_engine::id::OrganizationId;
use fanfare_engine::profile::Profile;
use fanfare_engine::webhook::Filter;
use fanfare_store::catalogue::{entities, users};

use super::{CatalogueError, CatalogueResult};
use crate::app::App;
use crate::compiled::CompiledOrganization;

/// Who does something in an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    Host,
    /// A user as the host told of; one of whom it never told has nothing.
    User(User),
}

impl Actor {
    /// The one on whose behalf `user` says it is done; the host where it names nobody.
    pub async fn of(app: &App, organization: OrganizationId, user: Option<&str>) -> CatalogueResult<Actor> {
        let Some(id) = user else { return Ok(Actor::Host) };
        let known = app.store.read_one(users::by_id(organization, id)).await?;
        Ok(Actor::User(known.map_or_else(|| User::unknown(id), |known| known.user)))
    }

    /// Whether this may be done with everything of an organization: all profiles that matter in it must allow it.
    ///
    /// # Errors
    /// What is lacking, or one of the profiles is not there any more, so that nobody knows its rules.
    pub fn may_everywhere(&self, organization: &CompiledOrganization, action: Action) -> CatalogueResult<()> {
        let Actor::User(user) = self else { return Ok(()) };
        if organization.lacks_profile() {
            let why = "a profile that counts in this organization is not among this server's profiles any more, so only the host may do this";
            return Err(CatalogueError::Forbidden(why.to_owned()));
        }
        for profile in organization.profiles() {
            judge(&profile.permissions, Some(user), action, None).map_err(|refusal| refused(user, &refusal))?;
        }
        Ok(())
    }

    /// Whether everything of an organization may be managed at once, whichever entities its webhooks are about.
    ///
    /// # Errors
    /// As for [`Actor::may_everywhere`]; and where any webhook is about one entity that its profile asks access to, access to
    /// all of them.
    pub fn may_manage_all(&self, organization: &CompiledOrganization) -> CatalogueResult<()> {
        self.may_everywhere(organization, Action::Manage)?;
        let profiles = organization.profiles();
        let asks = |name: &str| profiles.iter().any(|own| *own.name == *name && own.permissions.entity_access);
        let asks_for_entities = || {
            let mut webhooks = organization.webhooks().map(|compiled| &compiled.webhook);
            webhooks.any(|webhook| named_entity(webhook.settings.filter.as_ref()).is_some() && asks(&webhook.profile))
        };
        match self {
            Actor::User(user) if user.grants != Grants::All && asks_for_entities() => {
                let lacks = "needs access to all entities to do this with several webhooks at once";
                Err(CatalogueError::Forbidden(format!("the user {} {lacks}", user.id.escape_debug())))
            }
            _ => Ok(()),
        }
    }

    /// Whether this may be done with a webhook of this profile and filter.
    ///
    /// # Errors
    /// What is lacking, or the profile is not there any more, so that nobody knows its rules.
    pub async fn may(
        &self,
        app: &App,
        organization: OrganizationId,
        profile: &str,
        filter: Option<&Filter>,
        action: Action,
    ) -> CatalogueResult<()> {
        let Actor::User(user) = self else { return Ok(()) };
        let Some(profile) = app.profiles.get(profile) else {
            let why =
                "the webhook's profile is not among this server's profiles any more, so only the host may do this";
            return Err(CatalogueError::Forbidden(why.to_owned()));
        };
        let judged = judge_user(app, organization, user, profile, filter, action).await?;
        judged.map_err(|refusal| refused(user, &refusal))
    }
}

/// Whether a user may do this with a webhook of this profile and filter.
pub(super) async fn judge_user(
    app: &App,
    organization: OrganizationId,
    user: &User,
    profile: &Profile,
    filter: Option<&Filter>,
    action: Action,
) -> CatalogueResult<Result<(), Refusal>> {
    let rules = &profile.permissions;
    let asked = action == Action::Manage && rules.entity_access;
    let Some(entity) = named_entity(filter).filter(|_| asked) else {
        return Ok(judge(rules, Some(user), action, None));
    };
    let known = app.store.read_one(entities::get(organization, &entity)).await?;
    let scope = known.map_or_else(Vec::new, |known| known.scope);
    Ok(judge(rules, Some(user), action, Some((&entity, &scope))))
}

fn refused(user: &User, refusal: &Refusal) -> CatalogueError {
    CatalogueError::Forbidden(format!("the user {} {refusal}", user.id.escape_debug()))
}
