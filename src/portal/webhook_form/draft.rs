//! The values in the form, as typed: where they come from, and what they ask for.

use fanfare_engine::profile::{AuthKind, CustomHeaders, FieldError, FilterRule, Profile, SecretRule};
use fanfare_engine::webhook::{
    Auth, ContentType, Credentials, Events, Filter, Method, RateLimit, RetryOverride, Settings,
};

use super::offer::Offer;
use crate::catalogue::webhooks::{HeaderList, OpenWebhook, WebhookInput, shown_headers};
use crate::portal::form::Form;
use crate::portal::texts::{Texts, fill};
use crate::portal::words::{read_delays, typed_delays};

/// The most headers that are taken from a form; far beyond what their bytes allow.
const MAX_HEADERS: usize = 1_000;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) method: String,
    pub(super) content_type: String,
    pub(super) include_entity: bool,
    pub(super) all_events: bool,
    pub(super) events: Vec<String>,
    pub(super) filter_type: String,
    pub(super) filter_id: String,
    /// `none`, `basic` or `bearer`.
    pub(super) auth: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) token: String,
    pub(super) secret: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) rate_limit: String,
    /// Whether the rate limit is one of requests a minute.
    pub(super) rate_is_per_minute: bool,
    pub(super) own_retry: bool,
    pub(super) delays: String,
    pub(super) timeout: String,
    pub(super) enabled: bool,
    /// Which state of the webhook the form showed; `None` for a new one.
    pub(super) version: Option<i64>,
}

impl Draft {
    /// What a new webhook has at first.
    pub(super) fn blank(profile: &Profile) -> Draft {
        let seconds: Vec<u32> =
            profile.retry.delays.iter().filter_map(|delay| u32::try_from(delay.as_secs()).ok()).collect();
        Draft {
            method: profile.methods.default.as_http().to_string(),
            content_type: profile.content_types.default.as_str().to_owned(),
            all_events: profile.events.all && !profile.events.required,
            auth: "none".to_owned(),
            delays: typed_delays(&seconds),
            enabled: profile.activation.enabled,
            ..Draft::default()
        }
    }

    /// What a webhook has. Its secrets are not among it.
    pub(super) fn of(webhook: &OpenWebhook) -> Draft {
        let Settings { name, url, events, method, content_type, include_entity, filter, retry, .. } =
            webhook.row.settings.clone();
        let (auth, username) = match &webhook.credentials.auth {
            None => ("none", String::new()),
            Some(Auth::Basic { username, .. }) => ("basic", username.clone()),
            Some(Auth::Bearer { .. }) => ("bearer", String::new()),
        };
        let settings = &webhook.row.settings;
        Draft {
            name,
            url,
            method: method.as_http().to_string(),
            content_type: content_type.as_str().to_owned(),
            include_entity,
            all_events: events == Events::All,
            events: match events {
                Events::All => Vec::new(),
                Events::Only(names) => names,
            },
            filter_type: filter.as_ref().map(|filter| filter.kind.clone()).unwrap_or_default(),
            filter_id: filter.and_then(|filter| filter.id).unwrap_or_default(),
            auth: auth.to_owned(),
            username,
            headers: shown_headers(&webhook.credentials.headers),
            rate_limit: settings.rate_limit.map(typed_rate).unwrap_or_default(),
            rate_is_per_minute: matches!(settings.rate_limit, Some(RateLimit::PerMinute(_))),
            own_retry: retry.is_some(),
            delays: retry.map(|retry| typed_delays(&retry.delays_seconds)).unwrap_or_default(),
            timeout: settings.timeout_seconds.map(|seconds| seconds.to_string()).unwrap_or_default(),
            enabled: webhook.row.status.takes_events(),
            version: Some(webhook.row.version),
            ..Draft::default()
        }
    }

    /// What was typed.
    pub(super) fn sent(form: &Form) -> Draft {
        let text = |name: &str| form.get(name).trim().to_owned();
        let names = form.all("header_name").take(MAX_HEADERS);
        let headers =
            names.zip(form.all("header_value")).map(|(name, value)| (name.trim().to_owned(), value.to_owned()));
        Draft {
            name: text("name"),
            url: text("url"),
            method: text("method"),
            content_type: text("content_type"),
            include_entity: form.has("include_entity"),
            all_events: form.get("events") == "all",
            events: form.all("event").map(str::to_owned).collect(),
            filter_type: text("filter_type"),
            filter_id: text("filter_id"),
            auth: text("auth"),
            username: form.get("username").to_owned(),
            password: form.get("password").to_owned(),
            token: text("token"),
            secret: text("secret"),
            headers: headers.filter(|(name, value)| !name.is_empty() || !value.is_empty()).collect(),
            rate_limit: text("rate_limit"),
            rate_is_per_minute: form.get("rate_unit") == "minute",
            own_retry: form.get("retry") == "own",
            delays: text("delays"),
            timeout: text("timeout"),
            enabled: form.has("enabled"),
            version: form.given("version").and_then(|text| text.parse().ok()),
        }
    }

    /// The same with a further row for a header, where the form asks for one.
    pub(super) fn with_blank_header(mut self, form: &Form) -> Draft {
        if form.get("more") == "headers" {
            self.headers.push(Default::default());
        }
        self
    }

    /// The same for another profile: what that does not offer becomes as it has it at first.
    pub(super) fn fitting(mut self, profile: &Profile) -> Draft {
        let blank = Draft::blank(profile);
        if self.method(profile).is_none() {
            self.method = blank.method;
        }
        if self.content_type(profile).is_none() {
            self.content_type = blank.content_type;
        }
        if !self.own_retry {
            self.delays = blank.delays;
        }
        self.all_events &= blank.all_events;
        self
    }

    /// The rows for headers: those that there are, or a blank one.
    pub(super) fn header_rows(&self) -> Vec<(String, String)> {
        if self.headers.is_empty() { vec![Default::default()] } else { self.headers.clone() }
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.events.iter().any(|known| known == name)
    }

    /// What the form asks for, as far as the profile offers it. `present` are the credentials that are kept where nothing
    /// new was typed, `schedule` is the webhook's own one.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn input(
        &self,
        t: &Texts,
        profile: &Profile,
        offer: &Offer,
        present: &Credentials,
        schedule: Option<&RetryOverride>,
    ) -> Result<WebhookInput, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut number = |field: &str, text: &str| match text.parse::<u32>() {
            _ if text.is_empty() => None,
            Ok(number) => Some(number),
            Err(_) => {
                errors.push(FieldError::new(field, t.form.bad_number));
                None
            }
        };
        let rate = if self.rate_is_per_minute { RateLimit::PerMinute } else { RateLimit::PerSecond };
        let rate_limit = number("rate_limit", &self.rate_limit).map(rate);
        let timeout = number("timeout_seconds", &self.timeout);
        let retry = self.schedule(profile, schedule).map_err(|delay| {
            errors.push(FieldError::new("retry", fill(t.form.bad_delay, &[("delay", &delay)])));
        });
        let auth = self.auth(profile, present);
        if matches!(&auth, Some(Auth::Basic { password, .. }) if password.is_empty() && !offer.has_password) {
            errors.push(FieldError::new("auth", t.form.no_password));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(WebhookInput {
            name: Some(self.name.clone()),
            url: Some(self.url.clone()),
            events: Some(if self.all_events { Events::All } else { Events::Only(self.events.clone()) }),
            method: self.method(profile),
            content_type: self.content_type(profile),
            include_entity: profile.include_entity.then_some(self.include_entity),
            filter: offer.filter.is_some().then(|| self.filter()),
            auth: (!profile.auth.is_empty()).then_some(auth),
            headers: (profile.custom_headers != CustomHeaders::None).then(|| HeaderList(self.headers.clone())),
            secret: (profile.secret.rule != SecretRule::None && !self.secret.is_empty())
                .then(|| Some(self.secret.clone())),
            retry: profile.retry.own.then_some(retry.unwrap_or_default()),
            timeout_seconds: profile.timeouts.own.then_some(timeout),
            rate_limit: Some(rate_limit),
            ..WebhookInput::default()
        })
    }

    fn method(&self, profile: &Profile) -> Option<Method> {
        profile.methods.allowed.iter().find(|method| method.as_http().as_str() == self.method).copied()
    }

    fn content_type(&self, profile: &Profile) -> Option<ContentType> {
        profile.content_types.allowed.iter().find(|kind| kind.as_str() == self.content_type).copied()
    }

    fn filter(&self) -> Option<Filter> {
        let id = Some(self.filter_id.clone()).filter(|id| !id.is_empty());
        (!self.filter_type.is_empty() || id.is_some()).then(|| Filter { kind: self.filter_type.clone(), id })
    }

    /// What was typed, or what is kept where a password or token was left empty.
    fn auth(&self, profile: &Profile, present: &Credentials) -> Option<Auth> {
        match self.auth.as_str() {
            "basic" if profile.auth.contains(&AuthKind::Basic) => {
                let kept = match &present.auth {
                    Some(Auth::Basic { password, .. }) if self.password.is_empty() => password.clone(),
                    _ => self.password.clone(),
                };
                Some(Auth::Basic { username: self.username.clone(), password: kept })
            }
            "bearer" if profile.auth.contains(&AuthKind::Bearer) => {
                let kept = match &present.auth {
                    Some(Auth::Bearer { token }) if self.token.is_empty() => token.clone(),
                    _ => self.token.clone(),
                };
                Some(Auth::Bearer { token: kept })
            }
            _ => None,
        }
    }

    fn schedule(&self, profile: &Profile, present: Option<&RetryOverride>) -> Result<Option<RetryOverride>, String> {
        if !self.own_retry {
            return Ok(None);
        }
        let jitter = present.map_or(profile.retry.jitter, |present| present.jitter);
        Ok(Some(RetryOverride { delays_seconds: read_delays(&self.delays)?, jitter }))
    }
}

/// Whether a profile lets a webhook have a filter at all.
pub(super) fn may_filter(profile: &Profile) -> bool {
    profile.filter.rule != FilterRule::None
        || profile.catalogue.iter().any(|known| known.filter.rule != FilterRule::None)
}

fn typed_rate(limit: RateLimit) -> String {
    let (RateLimit::PerSecond(count) | RateLimit::PerMinute(count)) = limit;
    count.to_string()
}
