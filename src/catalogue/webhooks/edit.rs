//! Editing a webhook, and what its making shares with that.

use std::collections::BTreeSet;
use std::sync::Arc;

use fanfare_engine::profile::{DEFAULT_PROFILE, FieldError, Profile, SecretRule};
use fanfare_engine::webhook::{Events, Status};
use fanfare_store::StoreError;
use fanfare_store::catalogue::event_types;
use fanfare_store::catalogue::projects::Project;
use fanfare_store::catalogue::webhooks as rows;

use super::endpoint::check_url;
use super::secrets::replace_secret;
use super::switch::{Switch, wants_test};
use super::{NAME, OPERATOR_EVENTS, OpenWebhook, Place, WebhookInput};
use super::{check_bytes, first_test, handshake, managed, masking, owner, turn};
use crate::app::App;
use crate::catalogue::{CatalogueError, CatalogueResult, EDIT_TRIES, projects};

/// Edits a webhook.
///
/// # Errors
/// As for making one; or it is unknown in this place, or the user may not manage it as it was.
pub async fn edit(app: &App, place: &Place, text: &str, input: &WebhookInput) -> CatalogueResult<OpenWebhook> {
    edit_seen(app, place, text, input, None).await
}

/// Edits a webhook that was looked at before, in its `version`; in any where that is not known.
///
/// # Errors
/// As for [`edit`]; and [`CatalogueError::Contended`] where it was changed since.
pub async fn edit_seen(
    app: &App,
    place: &Place,
    text: &str,
    input: &WebhookInput,
    version: Option<i64>,
) -> CatalogueResult<OpenWebhook> {
    check_fixed(input)?;
    let project = projects::by_id(app, place.project).await?;
    let _turn = turn(app, place, text).await?;
    for _ in 0..EDIT_TRIES {
        let before = managed(app, place, text).await?;
        if version.is_some_and(|seen| seen != before.row.version) {
            return Err(CatalogueError::Contended(NAME));
        }
        let profile = edited_profile(app, place, &project, &before, input)?;
        let mut after = edited(app, place, &profile, &before, input)?;
        owner::settle(place, &profile, &before, &mut after);
        owner::check(app, place, &profile, Some(&before), &after).await?;
        check_edited(app, place, &profile, &before, &after).await?;
        handshake::ask(app, &profile, Some(&before), &after).await?;
        if let Some(done) = write(app, place, &profile, &before, after).await? {
            return Ok(done);
        }
    }
    Err(CatalogueError::Contended(NAME))
}

/// Writes an edited webhook; `None` where somebody else wrote it meanwhile.
pub(super) async fn write(
    app: &App,
    place: &Place,
    profile: &Profile,
    before: &OpenWebhook,
    mut after: OpenWebhook,
) -> CatalogueResult<Option<OpenWebhook>> {
    after.row.updated_at = app.now();
    after.seal(app);
    check_bytes(app, rows::stored_bytes(&before.row), &after.row).await?;
    let id = after.row.id;
    let mut change = rows::update(&after.row);
    let switched_on = !before.row.status.takes_events() && after.row.status.takes_events();
    if switched_on || before.row.settings.url != after.row.settings.url {
        // What failed was not what it is now.
        change = change.then(rows::forget_failures(id));
        (after.row.failing_since, after.row.failed_at) = (None, None);
    }
    let test = match switched_on && wants_test(profile) {
        true => first_test::prepare(app, profile, &after.row).await?,
        false => None,
    };
    match first_test::write(app, change, place.touches(), test, "").await {
        Ok(()) => {
            place.tell(app, id);
            if switched_on {
                first_test::send(app, id);
            }
            after.row.version += 1;
            Ok(Some(after))
        }
        Err(StoreError::Stale(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The profile that a webhook has, by name or by default; one that the project does not allow is a wrong field.
///
/// The operator's own webhooks are not the customers' business: they may have any profile, since one that stands in for
/// another system has no payload for what happens in Fanfare.
pub(super) fn profile_of(
    app: &App,
    place: &Place,
    project: &Project,
    name: Option<&str>,
) -> CatalogueResult<Arc<Profile>> {
    let name = name.unwrap_or(if place.operator { DEFAULT_PROFILE } else { &project.profile });
    let allowed = place.operator || project.allows_profile(name);
    let known = allowed.then(|| app.profiles.get(name)).flatten();
    known.cloned().ok_or_else(|| {
        let project = std::iter::once(&project.profile).chain(&project.options.allowed_profiles);
        let known: Vec<&str> = match place.operator {
            true => app.profiles.iter().map(|profile| &*profile.name).collect(),
            false => project.map(String::as_str).collect(),
        };
        CatalogueError::field("profile", format!("must be one of {}", known.join(", ")))
    })
}

fn edited_profile(
    app: &App,
    place: &Place,
    project: &Project,
    before: &OpenWebhook,
    input: &WebhookInput,
) -> CatalogueResult<Arc<Profile>> {
    match &input.profile {
        Some(name) if *name != before.row.profile => profile_of(app, place, project, Some(name)),
        // A webhook keeps the profile it has, though the project would not allow it any more.
        _ => app.profiles.get(&before.row.profile).cloned().ok_or_else(|| {
            CatalogueError::field("profile", "is not among this server's profiles any more; choose another one")
        }),
    }
}

fn edited(
    app: &App,
    place: &Place,
    profile: &Arc<Profile>,
    before: &OpenWebhook,
    input: &WebhookInput,
) -> CatalogueResult<OpenWebhook> {
    let mut after = before.clone();
    after.row.profile = profile.name.to_string();
    if after.row.profile != before.row.profile {
        // Secrets for headers that are not sent any more are of no use.
        let headers = profile.signature_headers();
        let is_sent = |name: &String| headers.iter().any(|header| header == name.as_str());
        after.credentials.secrets.retain(|secret| secret.header.as_ref().is_none_or(is_sent));
    }
    apply(&mut after, profile, input);
    match input.enabled {
        Some(true) if !after.row.status.takes_events() => Switch::Enable.turn(&mut after.row, place)?,
        Some(false) if after.row.status != Status::Deactivated => Switch::Disable.turn(&mut after.row, place)?,
        _ => {}
    }
    match &input.secret {
        None => {}
        Some(None) if profile.secret.rule == SecretRule::Generated => {
            return Err(CatalogueError::field(
                "secret",
                "must not be null: webhooks of this profile are always signed",
            ));
        }
        Some(None) => after.credentials.secrets.clear(),
        Some(Some(value)) if after.credentials.secrets.first().is_some_and(|current| current.value == *value) => {}
        Some(Some(value)) => {
            replace_secret(&mut after.credentials, value.clone(), profile.secret.overlap, app.now(), None)?;
        }
    }
    Ok(after)
}

/// Sets what the request gives of settings, credentials and owner, but for secrets, profile and status.
pub(super) fn apply(webhook: &mut OpenWebhook, profile: &Profile, input: &WebhookInput) {
    let input = input.clone();
    let settings = &mut webhook.row.settings;
    macro_rules! set {
        ($($field:ident),*) => { $(if let Some(value) = input.$field { settings.$field = value; })* };
    }
    set!(name, url, events, method, content_type, include_entity, filter, retry, timeout_seconds, rate_limit, metadata);
    profile.normalise(settings);
    if let Events::Only(names) = &mut settings.events {
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
    }
    if let Some(owner) = input.owner {
        webhook.row.owner = owner;
    }
    if let Some(auth) = input.auth {
        webhook.credentials.auth = auth;
    }
    if let Some(headers) = input.headers {
        webhook.credentials.headers = masking::unmasked(headers.0, &webhook.credentials.headers);
    }
}

async fn check_edited(
    app: &App,
    place: &Place,
    profile: &Profile,
    before: &OpenWebhook,
    after: &OpenWebhook,
) -> CatalogueResult<()> {
    let (old, new) = (&before.row.settings, &after.row.settings);
    let mut errors = profile.check_settings(new, &after.credentials).err().unwrap_or_default();
    errors.extend(masking::check(&after.credentials.headers));
    errors.extend(owner::missing(place, profile, Some(before), after));
    errors.extend(check_events(app, place, profile, &new.events, Some(&old.events)).await?);
    if !errors.is_empty() {
        return Err(CatalogueError::Invalid(errors));
    }
    if old.url != new.url || before.row.profile != after.row.profile {
        check_url(app, place.organization, profile, &new.url).await?;
    }
    Ok(())
}

/// The event types that are not in the catalogue, where the profile asks for that. Those that the webhook names already may
/// stay.
pub(super) async fn check_events(
    app: &App,
    place: &Place,
    profile: &Profile,
    events: &Events,
    before: Option<&Events>,
) -> CatalogueResult<Option<FieldError>> {
    let Events::Only(names) = events else { return Ok(None) };
    if profile.events.open && !place.operator {
        return Ok(None);
    }
    if before == Some(events) || names.is_empty() {
        return Ok(None);
    }
    let known: BTreeSet<String> = match place.operator {
        true => OPERATOR_EVENTS.iter().map(|&name| name.to_owned()).collect(),
        false => app.store.read(event_types::names(place.project)).await?.into_iter().collect(),
    };
    let kept = |name: &String| matches!(before, Some(Events::Only(old)) if old.contains(name));
    let unknown = names.iter().position(|name| !known.contains(name) && !kept(name));
    Ok(unknown.map(|index| {
        let message = format!("{:?} is no event type of this project", names[index]);
        FieldError::new(format!("events[{index}]"), message)
    }))
}

fn check_fixed(input: &WebhookInput) -> CatalogueResult<()> {
    let said =
        [("number", input.number.is_some()), ("uuid", input.uuid.is_some()), ("secrets", input.secrets.is_some())];
    let errors: Vec<FieldError> = said
        .into_iter()
        .filter(|(_, said)| *said)
        .map(|(field, _)| FieldError::new(field, "can be set in a new webhook only"))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(CatalogueError::Invalid(errors)) }
}
