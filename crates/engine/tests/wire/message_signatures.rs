//! HTTP message signatures: the RFC's own examples, several keys, and mistakes in profiles.

use fanfare_engine::time::Timestamp;

use crate::builders::{SECRET, builtin, event, header, mistakes, profile, render, secret, webhook};

/// The request that RFC 9421 signs in its appendix B.2, as far as these signatures cover it.
fn rfc_9421(knobs: &str, key: &str) -> (String, String) {
    let profile = profile(&format!(
        r#"
[[headers]]
name = "Date"
value = "Tue, 20 Apr 2021 02:07:55 GMT"
[secret]
rule = "given"
[[message_signatures]]
key = "base64"
{knobs}
"#
    ));
    let mut webhook = webhook(&[key]);
    webhook.settings.url = "https://example.com/foo?param=Value&Pet=dog".to_owned();
    let rendered = render(&profile, &webhook, &event("test", "{\"hello\": \"world\"}"), 1_618_884_473);
    (header(&rendered, "signature-input").to_owned(), header(&rendered, "signature").to_owned())
}

#[test]
fn rfc_9421_b_2_5_hmac() {
    let knobs = r#"label = "sig-b25"
algorithm = "hmac-sha256"
keyid = "test-shared-secret"
components = ["date", "@authority", "content-type"]"#;
    let key = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    let (input, signature) = rfc_9421(knobs, key);
    let expected = r#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#;
    assert_eq!(input, expected);
    assert_eq!(signature, "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:");
}

#[test]
fn rfc_9421_b_2_6_ed25519() {
    let knobs = r#"label = "sig-b26"
algorithm = "ed25519"
keyid = "test-key-ed25519"
components = ["date", "@method", "@path", "@authority", "content-type", "content-length"]"#;
    let (input, signature) = rfc_9421(knobs, "n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU=");
    let expected = concat!(
        r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")"#,
        r#";created=1618884473;keyid="test-key-ed25519""#
    );
    assert_eq!(input, expected);
    assert_eq!(
        signature,
        "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"
    );
}

#[test]
fn every_live_secret_has_its_own_label() {
    let pair = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let mut webhook = webhook(&[SECRET, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", pair]);
    webhook.credentials.secrets[1].expires_at = Some(Timestamp(10_000));
    let labels = |seconds| {
        let rendered = render(&builtin("http-signatures"), &webhook, &event("a", "{}"), seconds);
        let names = |list: &str| -> Vec<String> {
            list.split(", ").map(|member| member[..member.find('=').unwrap()].to_owned()).collect()
        };
        let (input, signature) = (header(&rendered, "signature-input"), header(&rendered, "signature"));
        assert_eq!(names(input), names(signature));
        names(input)
    };
    assert_eq!(labels(9), ["sig1", "sig2", "sig3"]);
    assert_eq!(labels(10), ["sig1", "sig2"]);
}

#[test]
fn tag_end_and_both_digests() {
    let profile = profile(
        r#"
[secret]
rule = "given"
[[message_signatures]]
algorithm = "hmac-sha256"
components = ["@query", "content-digest", "content-type"]
content_digest = "sha-256"
tag = "t"
expires_seconds = 60
keyid = "{webhook.name}"
[[message_signatures]]
label = "b"
algorithm = "hmac-sha256"
components = ["content-digest"]
content_digest = "sha-512"
[method]
allowed = ["POST", "GET"]
"#,
    );
    let mut webhook = webhook(&["hush"]);
    webhook.settings.name = "Bü\"ro".to_owned();
    let rendered = render(&profile, &webhook, &event("a", "{}"), 5);
    let expected = concat!(
        r#"sig1=("@query" "content-digest" "content-type");created=5;expires=65;keyid="B%C3%BC%22ro";tag="t", "#,
        r#"b=("content-digest");created=5"#
    );
    assert_eq!(header(&rendered, "signature-input"), expected);
    let digest = header(&rendered, "content-digest");
    assert!(digest.starts_with("sha-256=:") && digest.contains(":, sha-512=:"), "{digest}");
    // A GET has no content type, so it is not said to be covered.
    webhook.settings.method = fanfare_engine::webhook::Method::Get;
    let get = render(&profile, &webhook, &event("a", "{}"), 5);
    assert!(header(&get, "signature-input").starts_with("sig1=(\"@query\" \"content-digest\");created=5;"));
    // Without a secret nothing is signed.
    webhook.credentials.secrets.clear();
    let unsigned = render(&profile, &webhook, &event("a", "{}"), 5);
    assert_eq!(header(&unsigned, "signature"), "(none)");
}

#[test]
fn what_a_profile_sends_a_webhook_cannot() {
    let mut webhook = webhook(&[SECRET]);
    for name in ["Signature", "signature-input", "Content-Digest"] {
        webhook.credentials.headers = vec![(name.to_owned(), "x".to_owned())];
        let errors = builtin("http-signatures").check_settings(&webhook.settings, &webhook.credentials).unwrap_err();
        assert_eq!(errors[0].field, format!("headers.{name}"));
    }
}

#[test]
fn mistakes_are_told_with_line_and_knob() {
    let text = r#"[secret]
rule = "given"
[[message_signatures]]
label = "1sig"
algorithm = "hmac-sha1"
components = ["@methode", "host", "@path", "@path"]
content_digest = "md5"
tag = "a\nb"
expires_seconds = 0
colour = 1
[[message_signatures]]
keyid = "{nobody}"
"#;
    let errors = mistakes(text);
    let expected = [
        "test.toml:4: message_signatures[0]: ",
        "test.toml:5: message_signatures[0].label: must be 1 to 64 small letters",
        "test.toml:6: message_signatures[0].algorithm: must be \"hmac-sha256\" or \"ed25519\"",
        "test.toml:7: message_signatures[0].components[0]: is \"@methode\", but must be one of @method, @target-uri",
        "test.toml:7: message_signatures[0].components[1]: is \"host\", which HTTP/2 does not send",
        "test.toml:7: message_signatures[0].components[3]: is there twice",
        "test.toml:8: message_signatures[0].content_digest: is \"md5\", but must be one of \"none\", \"sha-256\"",
        "test.toml:9: message_signatures[0].tag: must be 1 to 64 bytes",
        "test.toml:10: message_signatures[0].expires_seconds: is 0",
        "test.toml:11: message_signatures[0].colour: is no knob",
        "test.toml:12: message_signatures[1].algorithm: is missing",
        "test.toml:12: message_signatures[1].components: is missing",
        "test.toml:13: message_signatures[1].keyid: \"nobody\" is no field",
    ];
    for expected in &expected[1..] {
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected}\nis not in\n{errors:#?}");
    }
}

#[test]
fn what_does_not_fit_together_is_told_at_the_components() {
    let with = |components: &str, more: &str| {
        let text = format!(
            "[secret]\nrule = \"given\"\n{more}\n[[message_signatures]]\nalgorithm = \"ed25519\"\ncomponents = [{components}]"
        );
        mistakes(&text).join("\n")
    };
    let told = with("\"x-any\"", "");
    assert!(
        told.contains("message_signatures[0].components: has \"x-any\", but requests of this profile have no"),
        "{told}"
    );
    let told = with("\"content-digest\"", "");
    assert!(told.contains("content_digest is \"none\""), "{told}");
    let told = with("\"signature\"", "");
    assert!(told.contains("cannot cover what is made after it"), "{told}");
    let told = with("\"@path\"]\ncontent_digest = \"sha-256\"\nkeyid = [", "");
    assert!(told.contains("must have \"content-digest\""), "{told}");
    let told = with("\"@path\"", "[[headers]]\nname = \"Signature\"\nvalue = \"1\"");
    assert!(told.contains("the header signature is sent by others already"), "{told}");
    assert!(
        mistakes("[[message_signatures]]\nalgorithm = \"ed25519\"\ncomponents = [\"@path\"]")[0]
            .contains("there are signatures")
    );
}

/// A webhook that moves: the old header has the old secret alone, the new one the new secret.
#[test]
fn a_secret_may_be_for_one_header_alone() {
    let moving = profile(
        r#"
[secret]
rule = "generated"
[[signatures]]
header = "X-Old-Signature"
algorithm = "hmac-sha1"
join = ","
[[signatures]]
header = "webhook-signature"
algorithm = "hmac-sha256"
"#,
    );
    let mut webhook = webhook(&["new", "old"]);
    let mut old = secret("old");
    old.header = Some("x-old-signature".to_owned());
    webhook.credentials.secrets[1] = old;
    let sent = |webhook: &_, name: &str, seconds| {
        header(&render(&moving, webhook, &event("a", "{}"), seconds), name).to_owned()
    };
    let alone = |value: &str, name: &str| sent(&crate::builders::webhook(&[value]), name, 0);
    assert_eq!(sent(&webhook, "x-old-signature", 0), alone("old", "x-old-signature"));
    assert_eq!(sent(&webhook, "webhook-signature", 0), alone("new", "webhook-signature"));
    // When the old one has ended, the present one signs everything.
    webhook.credentials.secrets[1].expires_at = Some(Timestamp(10_000));
    assert_eq!(sent(&webhook, "x-old-signature", 10), alone("new", "x-old-signature"));
    webhook.credentials.secrets[1].header = Some("x-other".to_owned());
    let errors = moving.check_settings(&webhook.settings, &webhook.credentials).unwrap_err();
    assert_eq!(errors[0].field, "secrets[1]");
    assert_eq!(
        errors[0].message,
        "must have a header that holds signatures in this profile: x-old-signature, webhook-signature"
    );
}
