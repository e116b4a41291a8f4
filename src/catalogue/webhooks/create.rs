//! Making a webhook.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_engine::profile::{AuthKind, FieldError, Profile, SecretRule, TestOn};
use fanfare_engine::signing::make_secret;
use fanfare_engine::webhook::{Auth, Credentials, Events, Secret, Settings, Status};
use fanfare_store::catalogue::webhooks::{self as rows, WebhookRow};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::edit::{apply, check_events, profile_of};
use super::endpoint::check_url;
use super::{
    MAX_WEBHOOKS, OpenWebhook, Place, SecretInput, WebhookInput, check_bytes, first_test, get, handshake, masking,
    owner,
};
use crate::app::App;
use crate::catalogue::{CatalogueError, CatalogueResult, check_room, projects};
use crate::random;

/// The largest number that a webhook may be given: what every reader of JSON holds exactly.
const MAX_NUMBER: i64 = (1 << 53) - 1;

/// Makes a webhook; answers its secret, too, where one was made for it.
///
/// # Errors
/// Fields that its profile does not allow, a user who may not have it, an unknown event type, a denied address, a number or
/// UUID that is taken, or too many webhooks.
pub async fn create(
    app: &App,
    place: &Place,
    mut input: WebhookInput,
) -> CatalogueResult<(OpenWebhook, Option<String>)> {
    let project = projects::by_id(app, place.project).await?;
    let profile = profile_of(app, place, &project, input.profile.as_deref())?;
    check_import(place, &input)?;
    if is_import(&input) && profile.auth.contains(&AuthKind::Basic) {
        take_login(&mut input);
    }
    let (new, made) = draft(app, place, &profile, &input)?;
    owner::check(app, place, &profile, None, &new).await?;
    check_new(app, place, &profile, &new).await?;
    check_taken(app, place, &input).await?;
    let count = app.store.read_one(rows::count(place.organization)).await?;
    check_room(count, "webhooks in an organization", MAX_WEBHOOKS)?;
    check_bytes(app, 0, &new.row).await?;
    handshake::ask(app, &profile, None, &new).await?;
    let test = match new.row.status == Status::Active && profile.activation.test_on != TestOn::Never {
        true => first_test::prepare(app, &profile, &new.row).await?,
        false => None,
    };
    let is_tested = test.is_some();
    let id = new.row.id.to_string();
    first_test::write(app, rows::insert(&new.row, input.number), place.touches(), test, &id).await?;
    place.tell(app, new.row.id);
    if is_tested {
        first_test::send(app, new.row.id);
    }
    Ok((get(app, place, new.row.id).await?, made))
}

fn draft(
    app: &App,
    place: &Place,
    profile: &Arc<Profile>,
    input: &WebhookInput,
) -> CatalogueResult<(OpenWebhook, Option<String>)> {
    let now = app.now();
    let enabled = input.enabled.unwrap_or(profile.activation.enabled);
    let row = WebhookRow {
        id: app.ids.next(),
        project: place.project,
        organization: place.organization,
        number: 0,
        uuid: input.uuid.unwrap_or_else(|| uuid::Builder::from_random_bytes(random::bytes()).into_uuid()),
        profile: profile.name.to_string(),
        status: if enabled { Status::Active } else { Status::Deactivated },
        status_reason: (!enabled).then(|| "Not switched on yet.".to_owned()),
        failing_since: None,
        failed_at: None,
        settings: defaults(profile),
        sealed: Vec::new(),
        version: 1,
        created_at: now,
        updated_at: now,
        created_by: place.user.clone(),
        owner: place.user.clone(),
    };
    let mut new = OpenWebhook { row, credentials: Credentials::default(), unreadable: false };
    if input.url.is_none() {
        return Err(CatalogueError::field("url", "is required: where the requests go"));
    }
    apply(&mut new, profile, input);
    let mut made = None;
    if let Some(secrets) = &input.secrets {
        new.credentials.secrets = secrets.iter().map(|secret| secret.0.clone()).collect();
    } else if let Some(Some(value)) = &input.secret {
        new.credentials.secrets = vec![Secret::new(value.clone())];
    } else if profile.secret.rule == SecretRule::Generated {
        let value = fresh_secret(profile);
        made = Some(value.clone());
        new.credentials.secrets = vec![Secret::new(value)];
    }
    new.seal(app);
    Ok((new, made))
}

/// A secret as the profile makes them.
pub(super) fn fresh_secret(profile: &Profile) -> String {
    let mut bytes = vec![0; profile.secret.generated_bytes];
    random::fill(&mut bytes);
    make_secret(profile, &bytes)
}

fn defaults(profile: &Profile) -> Settings {
    Settings {
        name: String::new(),
        url: String::new(),
        events: if profile.events.all && !profile.events.required { Events::All } else { Events::Only(Vec::new()) },
        method: profile.methods.default,
        content_type: profile.content_types.default,
        include_entity: false,
        filter: None,
        retry: None,
        timeout_seconds: None,
        rate_limit: None,
        metadata: BTreeMap::new(),
    }
}

async fn check_new(app: &App, place: &Place, profile: &Profile, new: &OpenWebhook) -> CatalogueResult<()> {
    let settings = &new.row.settings;
    let mut errors = profile.check_settings(settings, &new.credentials).err().unwrap_or_default();
    errors.extend(masking::check(&new.credentials.headers));
    errors.extend(owner::missing(place, profile, None, new));
    errors.extend(check_events(app, place, profile, &settings.events, None).await?);
    if errors.is_empty() {
        return check_url(app, place.organization, profile, &settings.url).await;
    }
    Err(CatalogueError::Invalid(errors))
}

/// Whether a webhook comes from another system: it brings what only an import may say.
fn is_import(input: &WebhookInput) -> bool {
    input.number.is_some() || input.uuid.is_some() || input.secrets.is_some()
}

/// Makes the user name and password in a URL, as other systems have them, the webhook's basic authentication.
fn take_login(input: &mut WebhookInput) {
    let (Some(text), None | Some(None)) = (&input.url, &input.auth) else { return };
    let Some((scheme, rest)) = text.split_once("://") else { return };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((login, host)) = rest[..end].rsplit_once('@') else { return };
    let (username, password) = login.split_once(':').unwrap_or((login, ""));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned);
    let (Some(username), Some(password)) = (decoded(username), decoded(password)) else { return };
    input.url = Some(format!("{scheme}://{host}{}", &rest[end..]));
    input.auth = Some(Some(Auth::Basic { username, password }));
}

/// What only an import may say, and how.
fn check_import(place: &Place, input: &WebhookInput) -> CatalogueResult<()> {
    let said =
        [("number", input.number.is_some()), ("uuid", input.uuid.is_some()), ("secrets", input.secrets.is_some())];
    let mut errors = Vec::new();
    if !place.imports {
        let refused = said.into_iter().filter(|(_, said)| *said);
        errors.extend(refused.map(|(field, _)| FieldError::new(field, "may be set with the admin key only")));
    }
    if input.number.is_some_and(|number| !(1..=MAX_NUMBER).contains(&number)) {
        errors.push(FieldError::new("number", format!("must be from 1 to {MAX_NUMBER}")));
    }
    if let Some(secrets) = &input.secrets {
        if matches!(input.secret, Some(Some(_))) {
            errors.push(FieldError::new("secrets", "cannot be given together with secret"));
        }
        if secrets.first().is_none_or(|first| first.0.expires_at.is_some()) {
            let message = "must start with the present one, without an end";
            errors.push(FieldError::new("secrets", message));
        }
        errors.extend(check_ends(secrets));
    }
    if errors.is_empty() { Ok(()) } else { Err(CatalogueError::Invalid(errors)) }
}

/// For one header there is one secret without an end.
fn check_ends(secrets: &[SecretInput]) -> Option<FieldError> {
    let endless = |secret: &&SecretInput| secret.0.expires_at.is_none();
    let again = secrets.iter().enumerate().filter(|(_, secret)| endless(secret)).find(|(index, secret)| {
        secrets[..*index].iter().filter(endless).any(|earlier| earlier.0.shares_header_with(&secret.0))
    });
    again.map(|(index, _)| {
        let message = "must have its expires_at, or a header of its own whose signatures it makes";
        FieldError::new(format!("secrets[{index}]"), message)
    })
}

/// Says which of the given values is taken; the database itself keeps them unique.
async fn check_taken(app: &App, place: &Place, input: &WebhookInput) -> CatalogueResult<()> {
    if let Some(number) = input.number
        && app.store.read_one(rows::by_number(place.organization, number)).await?.is_some()
    {
        return Err(CatalogueError::Taken("number"));
    }
    if let Some(uuid) = input.uuid
        && app.store.read_one(rows::by_uuid(uuid)).await?.is_some()
    {
        return Err(CatalogueError::Taken("uuid"));
    }
    if input.uuid.is_some_and(|uuid: Uuid| uuid.is_nil()) {
        return Err(CatalogueError::field("uuid", "must not be all zeros"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_an_imported_url_becomes_basic_authentication() {
        let taken = |url: &str| {
            let mut input = WebhookInput { url: Some(url.to_owned()), ..WebhookInput::default() };
            take_login(&mut input);
            let login = input.auth.flatten().map(|auth| match auth {
                Auth::Basic { username, password } => format!("{username} {password}"),
                Auth::Bearer { .. } => unreachable!("it makes no other"),
            });
            (input.url.unwrap(), login)
        };
        let owned = |url: &str, login: Option<&str>| (url.to_owned(), login.map(str::to_owned));
        assert_eq!(taken("https://a:b%40c@x.example/p@q"), owned("https://x.example/p@q", Some("a b@c")));
        assert_eq!(taken("https://token@x.example"), owned("https://x.example", Some("token ")));
        assert_eq!(taken("https://a@b:c@x.example?d"), owned("https://x.example?d", Some("a@b c")));
        for other in ["https://x.example/a@b", "https://a:%ff@x.example/", "no url @ all"] {
            assert_eq!(taken(other), owned(other, None));
        }
    }
}
