//! Profile files: what they set, and how their mistakes are told.

use std::time::Duration;

use fanfare_engine::profile::{
    AfterUnknown, AuthKind, CustomHeaders, MessageIdOf, Profiles, RetrySends, Scheme, SecretRule,
};
use proptest::prelude::*;

use crate::builders::{mistakes, profile, standard};

#[test]
fn the_standard_profile() {
    let standard = standard();
    assert_eq!(standard.schemes, [Scheme::Https, Scheme::Http]);
    assert_eq!(standard.ids.message, MessageIdOf::Event);
    assert_eq!(standard.auth, [AuthKind::Basic, AuthKind::Bearer]);
    assert_eq!(standard.custom_headers, CustomHeaders::Any);
    assert_eq!((standard.secret.rule, standard.secret.bytes.clone()), (SecretRule::Generated, 24..=64));
    assert_eq!(standard.secret.overlap, Duration::from_secs(86_400));
    assert_eq!(standard.timeouts.exchange, Duration::from_secs(15));
    assert_eq!((standard.retry.sends, standard.retry.after_unknown), (RetrySends::Current, AfterUnknown::Resend));
    assert_eq!(
        (standard.auto_disable.on_410, standard.auto_disable.after),
        (true, Some(Duration::from_secs(120 * 3_600)))
    );
    assert!(standard.activation.enabled);
}

#[test]
fn a_profile_of_one_line_is_complete() {
    let least = profile("");
    assert_eq!(&*least.name, "test");
    assert!(least.signatures.is_empty() && least.retry.delays.is_empty() && !least.auto_disable.on_410);
    assert_eq!(least.secret.rule, SecretRule::None);
}

#[test]
fn mistakes_are_told_with_line_and_knob() {
    let text = r#"colour = "blue"
user_agent = 5
[url]
schemes = ["ftp"]
[retry]
delays_seconds = [5, -3, "x"]
jitter = 2.0
[payload]
fields = [{ name = "a", from = "event.typ" }, { name = "b" }]
[[headers]]
name = "Host"
value = "{id}"
[[headers]]
name = "x-ok"
value = "a\u0007b"
[[signatures]]
header = "x-signature"
algorithm = "md5"
input = "{id"
item = "v1"
[secret]
rule = "given"
"#;
    let errors = mistakes(text);
    let expected = [
        "test.toml:2: colour: is no knob; known here: ",
        "test.toml:3: user_agent: is an integer, but a text in quotes is expected",
        "test.toml:5: url.schemes[0]: is \"ftp\", but must be one of \"https\", \"http\"",
        "test.toml:7: retry.delays_seconds[1]: is -3, but must be from 0.001 to 604800",
        "test.toml:7: retry.delays_seconds[2]: is a string, but a number is expected",
        "test.toml:8: retry.jitter: is 2.0, but must be from 0 to 1",
        "test.toml:10: payload.fields[0].from: \"event.typ\" is no field; known are",
        "test.toml:10: payload.fields[1]: must have exactly one of from",
        "test.toml:12: headers[0].name: belongs to the connection",
        "test.toml:16: headers[1].value: cannot be sent",
        "test.toml:19: signatures[0].algorithm: is \"md5\", but must be one of \"hmac-sha1\"",
        "test.toml:20: signatures[0].input: \"{id\" has a { without its }",
        "test.toml:21: signatures[0].item: must contain {signature}",
    ];
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(expected), "{error}\nshould start with\n{expected}");
    }
    // The signature that cannot be read is missing where secrets ask for one.
    assert_eq!(errors.len(), expected.len() + 1, "{errors:#?}");
}

#[test]
fn a_schedule_must_be_a_list() {
    let errors = mistakes("[retry]\ndelays_seconds = 5");
    assert_eq!(errors, ["test.toml:3: retry.delays_seconds: is an integer, but a list in brackets is expected"]);
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let errors = mistakes("description = \"a\"\nuser_agent = \n");
    assert!(errors[0].starts_with("test.toml:3: "), "{errors:?}");
}

#[test]
fn knobs_that_contradict_each_other() {
    let signature = "[[signatures]]\nheader = \"x-sig\"\nalgorithm = \"hmac-sha256\"\n";
    let contradictions = [
        (signature.to_owned(), "there are signatures"),
        ("[secret]\nrule = \"given\"".to_owned(), "no signatures that use them"),
        (format!("{signature}key = \"whsec\"\n[secret]\nrule = \"generated\""), "what would be generated cannot sign"),
        (
            format!("{signature}[secret]\nrule = \"given\"\n[[headers]]\nname = \"X-Sig\"\nvalue = \"1\""),
            "sent by headers already",
        ),
        (format!("{signature}{signature}join = \",\"\n[secret]\nrule = \"given\""), "same join and value"),
        ("[content_type]\nallowed = [\"application/x-www-form-urlencoded\"]".to_owned(), "form_member"),
        ("[method]\nallowed = [\"GET\"]\ndefault = \"POST\"".to_owned(), "one of those allowed"),
        ("[method]\nallowed = []".to_owned(), "at least one entry"),
        (format!("{signature}[secret]\nrule = \"given\"\nmin_bytes = 9\nmax_bytes = 8"), "must not be above"),
        (format!("payload = {}", nested(8)), "nested deeper than 8"),
        ("[payload]\nraw = true\nfields = []".to_owned(), "either fields"),
    ];
    for (text, needle) in contradictions {
        let errors = mistakes(&text);
        assert!(errors.len() == 1 && errors[0].contains(needle), "{text}\n{errors:#?}");
    }
}

/// A payload of objects in objects, `depth` of them in the outermost.
fn nested(depth: usize) -> String {
    let innermost = "{ fields = [{ name = \"a\", text = \"\" }] }".to_owned();
    (0..depth)
        .fold(innermost, |inner, _| format!("{{ fields = [{{ name = \"a\", {} }}] }}", &inner[2..inner.len() - 2]))
}

#[test]
fn objects_may_nest() {
    profile(&format!("payload = {}", nested(7)));
}

#[test]
fn a_given_profile_replaces_the_one_that_comes_with_the_program() {
    let own = ("mine/standard.toml", "name = \"standard\"\ndescription = \"ours\"");
    let other = ("mine/other.toml", "name = \"other\"");
    let profiles = Profiles::load([own, other]).unwrap();
    assert_eq!(profiles.get("standard").unwrap().description, "ours");
    let names: Vec<&str> = profiles.iter().map(|profile| &*profile.name).collect();
    assert_eq!(names.len(), Profiles::builtin().len() + 1);
    assert!(names.contains(&"other"));
    assert!(profiles.get("none").is_none());
    assert_eq!(profiles.https_only().get("other").unwrap().schemes, [Scheme::Https]);
}

#[test]
fn mistakes_of_all_files_are_told() {
    let files = [("a.toml", "name = \"a\""), ("b.toml", "name = \"a\""), ("c.toml", ""), ("d.toml", "name = \"D!\"")];
    let errors: Vec<String> = Profiles::load(files).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "b.toml:1: name: \"a\" is the name of a profile in another file; each needs its own",
            "c.toml:1: name: is missing",
            "d.toml:1: name: must be 1 to 64 small letters, digits, - and _",
        ]
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), tail in "[a-z_.]{1,12} ?= ?[\\[\\]{}\"a-z0-9,=.-]{0,24}") {
        let _ = fanfare_engine::profile::Profile::parse("any.toml", &text);
        let _ = fanfare_engine::profile::Profile::parse("any.toml", &format!("name = \"a\"\n{tail}"));
    }
}
