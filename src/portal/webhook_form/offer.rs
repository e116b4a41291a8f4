//! What a profile lets a webhook choose from.

use fanfare_engine::profile::{
    AuthKind, CustomHeaders, EventTypeKnobs, FilterRule, Handshake, Profile, SecretRule, TestOn,
};
use fanfare_engine::webhook::{Auth, Events, Settings};
use fanfare_store::catalogue::event_types::{self, Listed};

use super::draft::may_filter;
use crate::app::App;
use crate::catalogue::CatalogueResult;
use crate::catalogue::webhooks::OpenWebhook;
use crate::portal::texts::{FormTexts, Texts, fill};
use crate::portal::visitor::Visitor;
use crate::portal::words;

/// See the module. Lists with one entry need no choice.
pub(super) struct Offer {
    /// The profiles that the project allows, with their descriptions.
    pub(super) profiles: Vec<(String, String)>,
    pub(super) profile: String,
    pub(super) schemes: String,
    pub(super) methods: Vec<String>,
    pub(super) content_types: Vec<String>,
    pub(super) include_entity: bool,
    pub(super) all_events: bool,
    /// Whether a webhook names exactly one event type.
    pub(super) one_event: bool,
    pub(super) groups: Vec<Group>,
    pub(super) filter: Option<FilterOffer>,
    pub(super) basic: bool,
    pub(super) bearer: bool,
    /// Whether a password or token is kept already.
    pub(super) has_password: bool,
    pub(super) has_token: bool,
    /// What to say beside the secret; `None` where webhooks have none.
    pub(super) secret: Option<&'static str>,
    pub(super) headers: bool,
    pub(super) one_header: bool,
    pub(super) own_retry: bool,
    pub(super) schedule: String,
    pub(super) own_timeout: bool,
    pub(super) timeout: u64,
    /// What happens when it is saved, besides.
    pub(super) notes: Vec<&'static str>,
}

/// Event types of one kind.
pub(super) struct Group {
    pub(super) kind: String,
    pub(super) all_label: String,
    pub(super) types: Vec<Choice>,
}

/// One event type.
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) description: String,
    /// What its filter must be, in words.
    pub(super) rule: String,
    /// Whether it is offered only because the webhook has it already.
    pub(super) deprecated: bool,
}

/// Types of entity that a filter may name; none for any.
pub(super) struct FilterOffer {
    /// Names with their labels.
    pub(super) types: Vec<(String, String)>,
}

impl Offer {
    /// What a new webhook of this profile may have, or `webhook` instead of what it has.
    pub(super) async fn of(
        app: &App,
        visitor: &Visitor,
        profile: &Profile,
        webhook: Option<&OpenWebhook>,
    ) -> CatalogueResult<Offer> {
        let t = visitor.t;
        let types = app.store.read(event_types::listed(visitor.project.id)).await?;
        let auth = webhook.and_then(|webhook| webhook.credentials.auth.as_ref());
        let schemes: Vec<String> = profile.schemes.iter().map(|scheme| format!("{}://", scheme.as_str())).collect();
        let usual = profile.retry_policy(&blank_settings(profile));
        Ok(Offer {
            profiles: if webhook.is_some() { Vec::new() } else { profiles(app, visitor) },
            profile: profile.name.to_string(),
            schemes: schemes.join(t.form.or),
            methods: profile.methods.allowed.iter().map(|method| method.as_http().to_string()).collect(),
            content_types: profile.content_types.allowed.iter().map(|kind| kind.as_str().to_owned()).collect(),
            include_entity: profile.include_entity,
            all_events: profile.events.all,
            one_event: profile.events.at_most == 1,
            groups: groups(t, profile, types, webhook),
            filter: may_filter(profile).then(|| FilterOffer {
                types: profile
                    .filter
                    .types
                    .iter()
                    .map(|known| (known.name.clone(), profile.entity_type_label(&known.name)))
                    .collect(),
            }),
            basic: profile.auth.contains(&AuthKind::Basic),
            bearer: profile.auth.contains(&AuthKind::Bearer),
            has_password: matches!(auth, Some(Auth::Basic { .. })),
            has_token: matches!(auth, Some(Auth::Bearer { .. })),
            secret: match (profile.secret.rule, webhook) {
                (SecretRule::None, _) => None,
                (_, Some(webhook)) if !webhook.credentials.secrets.is_empty() => Some(t.form.secret_keep),
                (SecretRule::Generated, None) => Some(t.form.secret_made),
                (SecretRule::Given | SecretRule::Generated, _) => Some(t.form.secret_given),
            },
            headers: profile.custom_headers != CustomHeaders::None,
            one_header: profile.custom_headers == CustomHeaders::One,
            own_retry: profile.retry.own,
            schedule: words::schedule(&t.words, &usual),
            own_timeout: profile.timeouts.own,
            timeout: profile.timeouts.exchange.as_secs(),
            notes: notes(&t.form, profile, webhook.is_some()),
        })
    }
}

/// Settings of nobody, for asking what a profile does where a webhook says nothing.
fn blank_settings(profile: &Profile) -> Settings {
    Settings {
        name: String::new(),
        url: String::new(),
        events: Events::All,
        method: profile.methods.default,
        content_type: profile.content_types.default,
        include_entity: false,
        filter: None,
        retry: None,
        timeout_seconds: None,
        rate_limit: None,
        metadata: Default::default(),
    }
}

fn profiles(app: &App, visitor: &Visitor) -> Vec<(String, String)> {
    let project = &visitor.project;
    let names = std::iter::once(&project.profile).chain(&project.options.allowed_profiles);
    let mut found: Vec<(String, String)> = Vec::new();
    for profile in names.filter_map(|name| app.profiles.get(name)) {
        if !found.iter().any(|(name, _)| *name == *profile.name) {
            found.push((profile.name.to_string(), profile.description.clone()));
        }
    }
    found
}

fn notes(t: &FormTexts, profile: &Profile, edited: bool) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if profile.handshake != Handshake::None {
        notes.push(t.handshake);
    }
    match profile.activation.test_on {
        TestOn::Creation if !edited => notes.push(t.test_on_creation),
        TestOn::SwitchOn => notes.push(t.test_on_switch),
        TestOn::Creation | TestOn::Never => {}
    }
    notes
}

/// The event types by kind: those of the profile in its order, then the others by name; and those that the webhook names
/// though there are none of these names any more. Deprecated ones are offered to a webhook only that names them already.
fn groups(t: &Texts, profile: &Profile, mut types: Vec<Listed>, webhook: Option<&OpenWebhook>) -> Vec<Group> {
    let named = match webhook.map(|webhook| &webhook.row.settings.events) {
        Some(Events::Only(names)) => names.as_slice(),
        Some(Events::All) | None => &[],
    };
    types.retain(|kind| !kind.deprecated || named.contains(&kind.name));
    types.sort_by_key(|kind| profile.catalogue.iter().position(|known| known.name == kind.name).unwrap_or(usize::MAX));
    let mut groups: Vec<Group> = Vec::new();
    let mut add = |kind: Option<String>, choice: Choice| {
        let kind = kind.unwrap_or_else(|| t.form.events_other.to_owned());
        match groups.iter_mut().find(|group| group.kind == kind) {
            Some(group) => group.types.push(choice),
            None => {
                let all_label = fill(t.form.group_all, &[("kind", &kind)]);
                groups.push(Group { kind, all_label, types: vec![choice] });
            }
        }
    };
    let mut shown = Vec::with_capacity(types.len());
    for kind in types {
        let known = profile.catalogue.get(&kind.name);
        let title = known.and_then(|known| known.title.clone()).unwrap_or_else(|| kind.name.clone());
        let rule = known.map(|known| rule(&t.form, profile, known)).unwrap_or_default();
        shown.push(kind.name.clone());
        let description = kind.description.unwrap_or_default();
        add(kind.kind, Choice { name: kind.name, title, description, rule, deprecated: kind.deprecated });
    }
    for name in named.iter().filter(|name| !shown.contains(name)) {
        let (title, description, rule) = (name.clone(), String::new(), String::new());
        add(None, Choice { name: name.clone(), title, description, rule, deprecated: false });
    }
    groups
}

/// Which filter goes with an event type, where the profile says anything about filters.
fn rule(t: &FormTexts, profile: &Profile, known: &EventTypeKnobs) -> String {
    if !may_filter(profile) {
        return String::new();
    }
    let mut parts = vec![match known.filter.rule {
        FilterRule::None => return t.rule_none.to_owned(),
        FilterRule::Optional => t.rule_optional.to_owned(),
        FilterRule::Required => t.rule_required.to_owned(),
    }];
    if !known.filter.types.is_empty() {
        let types: Vec<String> = known.filter.types.iter().map(|name| profile.entity_type_label(name)).collect();
        parts.push(fill(t.rule_types, &[("types", &types.join(", "))]));
    }
    match known.filter.id {
        FilterRule::None => parts.push(t.rule_id_none.to_owned()),
        FilterRule::Required => parts.push(t.rule_id_required.to_owned()),
        FilterRule::Optional => {}
    }
    parts.join(" ")
}
