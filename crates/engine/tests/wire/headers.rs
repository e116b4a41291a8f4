//! Custom headers: what a webhook may add and what it may not.

use fanfare_engine::header::{MAX_HEADERS_BYTES, MAX_VALUE_BYTES, check_custom};
use proptest::prelude::*;

use crate::builders::{profile, standard};

/// What is wrong with these headers under the standard profile.
fn wrong(headers: &[(&str, &str)]) -> Vec<String> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    check_custom(&standard(), &headers, false)
        .into_iter()
        .map(|error| format!("{} {}", error.field, error.message))
        .collect()
}

#[test]
fn plain_headers_are_fine() {
    assert_eq!(
        wrong(&[("X-Any", "value"), ("Authorization", "Token abc"), ("x-note", "Grüße"), ("X-Empty", "")]),
        [""; 0]
    );
}

#[test]
fn case_046_line_breaks_and_nul() {
    for value in ["a\rb", "a\nb", "a\r\nX-Evil: 1", "a\0b", "\u{7f}"] {
        assert_eq!(wrong(&[("X-Any", value)]).len(), 1, "{value:?}");
    }
    for name in ["X\r\nY", "X\0", "X Y", "X:", "", "Ünicode"] {
        assert_eq!(wrong(&[(name, "value")]).len(), 1, "{name:?}");
    }
}

#[test]
fn case_047_headers_that_are_not_the_webhooks() {
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "CONNECTION",
        "Upgrade",
        "Expect",
        "Keep-Alive",
        "Proxy-Authorization",
        "proxy-anything",
        "User-Agent",
        "Accept",
        "Accept-Encoding",
        "Content-Type",
        "Webhook-Id",
        "webhook-timestamp",
        "WEBHOOK-SIGNATURE",
    ] {
        let errors = wrong(&[(name, "value")]);
        assert!(errors.len() == 1 && errors[0].starts_with(&format!("headers.{name} ")), "{name}: {errors:?}");
    }
}

#[test]
fn case_047_authorization_is_either_a_header_or_auth() {
    let headers = [("Authorization".to_owned(), "Token abc".to_owned())];
    assert_eq!(check_custom(&standard(), &headers, true).len(), 1);
}

#[test]
fn case_048_sizes() {
    let value = "v".repeat(MAX_VALUE_BYTES);
    assert_eq!(wrong(&[("X-Any", &value)]), [""; 0]);
    assert_eq!(wrong(&[("X-Any", &format!("{value}v"))]).len(), 1);
    let small = "v".repeat(1_000);
    let names: Vec<String> = (0..20).map(|index| format!("x-{index}")).collect();
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), small.as_str())).collect();
    assert_eq!(wrong(&headers[..16]), [""; 0]);
    let errors = wrong(&headers);
    assert!(errors.len() == 1 && errors[0].contains(&MAX_HEADERS_BYTES.to_string()), "{errors:?}");
}

#[test]
fn a_name_twice_is_one_too_many() {
    assert_eq!(wrong(&[("X-Any", "1"), ("x-any", "2")]), ["headers.x-any is given twice"]);
}

#[test]
fn the_profile_says_how_many() {
    let pair = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())];
    let count = |rule: &str, headers: usize| {
        check_custom(&profile(&format!("custom_headers = \"{rule}\"")), &pair[..headers], false).len()
    };
    assert_eq!(
        [count("none", 0), count("none", 1), count("one", 1), count("one", 2), count("any", 2)],
        [0, 1, 0, 1, 0]
    );
}

proptest! {
    #[test]
    fn what_passes_can_be_sent(headers in prop::collection::vec((any::<String>(), any::<String>()), 0..6)) {
        let errors = check_custom(&standard(), &headers, true);
        let sendable = |(name, value): &(String, String)| {
            http::HeaderName::from_bytes(name.as_bytes()).is_ok() && http::HeaderValue::from_bytes(value.as_bytes()).is_ok()
        };
        prop_assert!(!errors.is_empty() || headers.iter().all(sendable));
    }

    #[test]
    fn token_names_with_visible_values_pass(name in "x-[a-z0-9]{1,20}", value in "[ -~]{0,100}") {
        prop_assert!(check_custom(&standard(), &[(name, value)], true).is_empty());
    }
}
