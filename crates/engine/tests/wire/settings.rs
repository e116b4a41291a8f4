//! What of a webhook's settings is refused, under which field, and with which words.

use fanfare_engine::profile::Profile;
use fanfare_engine::webhook::{
    Auth, ContentType, Credentials, Events, Filter, Method, RateLimit, RetryOverride, Settings,
};

use crate::builders::{SECRET, profile, secret, settings, standard};

/// What is wrong under `profile` after `change`.
fn wrong(profile: &Profile, change: impl FnOnce(&mut Settings, &mut Credentials)) -> Vec<String> {
    let (mut settings, mut credentials) = (settings(), Credentials::default());
    change(&mut settings, &mut credentials);
    let errors = profile.check_settings(&settings, &credentials).err().unwrap_or_default();
    errors.into_iter().map(|error| format!("{} {}", error.field, error.message)).collect()
}

/// As `wrong`, under the standard profile, for a change that makes one mistake.
fn one(change: impl FnOnce(&mut Settings, &mut Credentials)) -> String {
    let mut errors = wrong(&standard(), change);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

#[test]
fn what_is_allowed_passes() {
    let full = |settings: &mut Settings, credentials: &mut Credentials| {
        settings.events = Events::Only(vec!["job.created".to_owned()]);
        settings.filter = Some(Filter { kind: "Company".to_owned(), id: None });
        settings.retry = Some(RetryOverride { delays_seconds: vec![1, 604_800], jitter: 1.0 });
        settings.timeout_seconds = Some(60);
        settings.rate_limit = Some(RateLimit::PerSecond(10_000));
        settings.metadata.insert("k".repeat(64), "v".repeat(512));
        credentials.secrets = vec![secret(SECRET), secret(SECRET)];
        credentials.auth = Some(Auth::Bearer { token: "t0ken".to_owned() });
        credentials.headers = vec![("X-Any".to_owned(), "value".to_owned())];
    };
    assert_eq!(wrong(&standard(), full), [""; 0]);
}

#[test]
fn urls() {
    let url = |url: &str| one(|settings, _| settings.url = url.to_owned());
    // Case 17: schemes.
    for scheme in ["file:///etc/passwd", "gopher://example.com/", "ws://example.com/"] {
        assert_eq!(url(scheme), "url must start with https:// or http://");
    }
    // Case 14: user information.
    assert_eq!(url("https://a:b@example.com/"), "url must not contain a user name or password; use auth for them");
    assert!(url("http://a@127.0.0.1#@x").contains("user name"));
    // Case 15: what URL parsers drop.
    for text in
        ["https://exa\tmple.com/", "https://example.com\\@evil/", "https://example.com/\0", " https://example.com"]
    {
        assert_eq!(url(text), "url must not contain spaces, control characters or backslashes");
    }
    assert!(url("https://[fe80::1%25eth0]/").contains("is no URL"));
    assert_eq!(url("nowhere"), "url is not a whole one; write a whole URL such as https://example.com/webhooks");
    assert_eq!(url(&format!("https://example.com/{}", "a".repeat(2_048))), "url must have at most 2048 bytes");
    let strict = profile("[url]\nschemes = [\"https\"]");
    let errors = wrong(&strict, |settings, _| settings.url = "http://example.com".to_owned());
    assert_eq!(errors, ["url must start with https://"]);
}

#[test]
fn events() {
    let events = |names: Vec<&str>| {
        one(|settings, _| settings.events = Events::Only(names.into_iter().map(str::to_owned).collect()))
    };
    assert_eq!(events(vec![]), "events must name at least one event type");
    assert_eq!(events(vec!["a"; 1_001]), "events must name 1 to 1000 event types, not 1001");
    assert_eq!(events(vec!["job.created", ""]), "events has \"\", which is no name of an event type");
    let single = profile("[events]\nall = false\nat_most = 1");
    assert_eq!(wrong(&single, |_, _| {}), ["events must name event types: this profile does not offer \"all\""]);
    let two = wrong(&single, |settings, _| settings.events = Events::Only(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(two, ["events must name exactly one event type, not 2"]);
}

#[test]
fn method_content_type_and_entity() {
    assert_eq!(one(|settings, _| settings.method = Method::Get), "method must be POST in this profile");
    let form = one(|settings, _| settings.content_type = ContentType::Form);
    assert_eq!(form, "content_type must be application/json in this profile");
    let entity = one(|settings, _| settings.include_entity = true);
    assert_eq!(entity, "include_entity must be false: this profile's payload has no entity");
}

#[test]
fn filters() {
    let company = || Some(Filter { kind: "Company".to_owned(), id: Some("c-17".to_owned()) });
    let required = profile("[filter]\nrule = \"required\"");
    assert_eq!(wrong(&required, |_, _| {}), ["filter is required: this profile needs it"]);
    assert_eq!(wrong(&required, |settings, _| settings.filter = company()), [""; 0]);
    let none = profile("[filter]\nrule = \"none\"");
    let errors = wrong(&none, |settings, _| settings.filter = company());
    assert_eq!(errors, ["filter must be null: this profile has none"]);
    let empty = one(|settings, _| settings.filter = Some(Filter { kind: String::new(), id: None }));
    assert!(empty.starts_with("filter must have a type"), "{empty}");
}

#[test]
fn auth() {
    let auth = |auth: Auth| one(|_, credentials| credentials.auth = Some(auth));
    let basic = |username: &str| Auth::Basic { username: username.to_owned(), password: "secret".to_owned() };
    assert!(auth(basic("a:b")).contains("without a colon"));
    assert!(auth(basic("a\nb")).contains("control characters"));
    assert!(auth(Auth::Bearer { token: "a b".to_owned() }).contains("visible ASCII"));
    let only_basic = profile("auth = [\"basic\"]");
    let errors = wrong(&only_basic, |_, credentials| credentials.auth = Some(Auth::Bearer { token: "t".to_owned() }));
    assert_eq!(errors, ["auth must be basic in this profile"]);
    let none = wrong(&profile(""), |_, credentials| credentials.auth = Some(basic("a")));
    assert_eq!(none, ["auth must be null: webhooks of this profile do not log in"]);
}

#[test]
fn secrets() {
    let hush = one(|_, credentials| credentials.secrets = vec![secret("hush")]);
    assert_eq!(hush, "secret must start with whsec_ or whsk_");
    let second = one(|_, credentials| credentials.secrets = vec![secret(SECRET), secret("whsec_AA==")]);
    assert_eq!(second, "secrets[1] must hold 24 to 64 bytes, but holds 1");
    let many = one(|_, credentials| credentials.secrets = vec![secret(SECRET); 11]);
    assert_eq!(many, "secrets must be at most 10, not 11");
    let unsigned = wrong(&profile(""), |_, credentials| credentials.secrets = vec![secret(SECRET)]);
    assert_eq!(unsigned, ["secret is not used: webhooks of this profile are not signed"]);
}

#[test]
fn retries_timeouts_and_rates() {
    let retry = |delays: Vec<u32>, jitter: f64| {
        one(|settings, _| settings.retry = Some(RetryOverride { delays_seconds: delays, jitter }))
    };
    assert_eq!(retry(vec![1; 51], 0.0), "retry.delays_seconds must have at most 50 delays, not 51");
    assert_eq!(retry(vec![5, 0], 0.0), "retry.delays_seconds[1] must be from 1 to 604800 (7 days)");
    assert_eq!(retry(vec![604_801], 0.0), "retry.delays_seconds[0] must be from 1 to 604800 (7 days)");
    assert_eq!(retry(vec![], 1.5), "retry.jitter must be from 0 to 1");
    assert_eq!(retry(vec![], f64::NAN), "retry.jitter must be from 0 to 1");
    for seconds in [0, 61] {
        let error = one(|settings, _| settings.timeout_seconds = Some(seconds));
        assert_eq!(error, "timeout_seconds must be from 1 to 60");
    }
    for (count, minutes) in [(0, 0), (10_001, 600_001)] {
        let error = one(|settings, _| settings.rate_limit = Some(RateLimit::PerSecond(count)));
        assert_eq!(error, "rate_limit.per_second must be from 1 to 10000");
        let error = one(|settings, _| settings.rate_limit = Some(RateLimit::PerMinute(minutes)));
        assert_eq!(error, "rate_limit.per_minute must be from 1 to 600000");
    }
    let fixed = wrong(&profile(""), |settings, _| {
        settings.timeout_seconds = Some(5);
        settings.retry = Some(RetryOverride { delays_seconds: vec![], jitter: 0.0 });
    });
    assert_eq!(fixed, ["timeout_seconds cannot be set in this profile", "retry cannot be set in this profile"]);
}

#[test]
fn names_and_metadata() {
    assert_eq!(one(|settings, _| settings.name = "ä".repeat(201)), "name must have at most 200 characters");
    assert!(one(|settings, _| settings.name = "a\nb".to_owned()).contains("line breaks"));
    assert_eq!(wrong(&standard(), |settings, _| settings.name = "ä".repeat(200)), [""; 0]);
    let metadata = |count: usize, key: usize, value: usize| {
        one(|settings, _| {
            settings.metadata = (0..count).map(|index| (format!("{index:0>key$}"), "v".repeat(value))).collect();
        })
    };
    assert_eq!(metadata(51, 3, 1), "metadata must have at most 50 entries, not 51");
    assert_eq!(metadata(1, 65, 1), "metadata must have keys of 1 to 64 bytes");
    assert_eq!(metadata(1, 1, 513), "metadata must have values of at most 512 bytes");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let errors = wrong(&standard(), |settings, credentials| {
        settings.url = "ftp://x".to_owned();
        settings.timeout_seconds = Some(0);
        credentials.headers = vec![("Host".to_owned(), "x".to_owned())];
    });
    assert_eq!(errors.len(), 3, "{errors:?}");
}
