//! Whose a webhook is: whether it may be made, changed and handed over.

use fanfare_engine::access::Action;
use fanfare_engine::profile::{FieldError, Profile};
use fanfare_store::catalogue::users;
use fanfare_store::catalogue::webhooks::WebhookRow;

use super::{OpenWebhook, Place};
use crate::app::App;
use crate::catalogue::access::judge_user;
use crate::catalogue::{CatalogueError, CatalogueResult};

/// Whether the user on whose behalf it is done may have the webhook so, and its new owner may have it. `before` is the
/// webhook as it was, `None` for a new one; who changes a webhook must have been allowed to manage it before, too.
///
/// # Errors
/// What the user lacks; or that the new owner is unknown or lacks something.
pub(super) async fn check(
    app: &App,
    place: &Place,
    profile: &Profile,
    before: Option<&OpenWebhook>,
    after: &OpenWebhook,
) -> CatalogueResult<()> {
    place.check(app, &after.row, Action::Manage).await?;
    let present = before.map_or(place.user.as_deref(), |before| before.row.owner.as_deref());
    let new = after.row.owner.as_deref();
    if new == present {
        return Ok(());
    }
    match (new, place.user.as_deref()) {
        // Whose it is not any more is not asked about again, so that a user could keep it beyond the right to it.
        (None, Some(_)) => {
            let why = "only the host may make a webhook its own; send it without Fanfare-User, or name a user in owner";
            Err(CatalogueError::Forbidden(why.to_owned()))
        }
        (None, None) => Ok(()),
        // He was judged just now.
        (Some(owner), Some(user)) if owner == user => Ok(()),
        // His right would be asked about again, and not that of who chose what is sent where.
        (Some(_), Some(_)) if profile.permissions.recheck => {
            let why = "only the host may hand a webhook of this profile to somebody else; send it without Fanfare-User";
            Err(CatalogueError::Forbidden(why.to_owned()))
        }
        (Some(owner), _) => check_owner(app, place, profile, &after.row, owner).await,
    }
}

/// What is wrong where the profile asks for the owner's right at each message and there would be no owner: a webhook that is
/// new, or goes to another place. One that the host made before its profile asked keeps going as it is.
pub(super) fn missing(
    place: &Place,
    profile: &Profile,
    before: Option<&OpenWebhook>,
    after: &OpenWebhook,
) -> Option<FieldError> {
    let was_nobodys = |before: &OpenWebhook| before.row.owner.is_none() && !is_other_receipt(before, after);
    let asks = profile.permissions.recheck && !place.operator;
    let lacks = asks && after.row.owner.is_none() && !before.is_some_and(was_nobodys);
    lacks.then(|| {
        let why =
            "is required: this profile asks for the owner's right at each message; name the user in owner or Fanfare-User";
        FieldError::new("owner", why)
    })
}

/// Makes the user on whose behalf a webhook is edited its owner, where the profile asks about the owner's right again and
/// the edit says what is sent where: it is to rest on the right of who decided that.
pub(super) fn settle(place: &Place, profile: &Profile, before: &OpenWebhook, after: &mut OpenWebhook) {
    let Some(user) = &place.user else { return };
    if profile.permissions.recheck && is_other_receipt(before, after) {
        after.row.owner = Some(user.clone());
    }
}

/// Whether an edit changes where requests go, what they are about, or what lets them in there.
fn is_other_receipt(before: &OpenWebhook, after: &OpenWebhook) -> bool {
    let (old, new) = (&before.row.settings, &after.row.settings);
    old.url != new.url
        || old.filter != new.filter
        || before.credentials.auth != after.credentials.auth
        || before.credentials.headers != after.credentials.headers
        || before.row.profile != after.row.profile
}

async fn check_owner(
    app: &App,
    place: &Place,
    profile: &Profile,
    webhook: &WebhookRow,
    owner: &str,
) -> CatalogueResult<()> {
    let Some(known) = app.store.read_one(users::by_id(place.organization, owner)).await? else {
        return Err(CatalogueError::field("owner", "is no user of this organization; tell of the user first"));
    };
    let filter = webhook.settings.filter.as_ref();
    let judged = judge_user(app, place.organization, &known.user, profile, filter, Action::Manage).await?;
    judged.map_err(|refusal| CatalogueError::field("owner", format!("cannot be this user, who {refusal}")))
}
