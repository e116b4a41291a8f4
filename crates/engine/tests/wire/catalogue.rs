//! Event types that come with a profile: names, filters, what is posted, and what an event must not lack.

use fanfare_engine::event::{Entity, EntityRef};
use fanfare_engine::matching::Interest;
use fanfare_engine::profile::{Profile, ToldEvent};
use fanfare_engine::webhook::{Events, Filter, Settings};

use crate::builders::{builtin, event, mistakes, profile, settings, webhook};

const ID: &str = "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e01";

const NO_GUID: &str = "filter.id must be a GUID such as 0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e01";

fn subscription(name: &str, filter: Option<(&str, Option<&str>)>) -> Settings {
    let filter = filter.map(|(kind, id)| Filter { kind: kind.to_owned(), id: id.map(str::to_owned) });
    Settings { events: Events::Only(vec![name.to_owned()]), filter, ..settings() }
}

/// What is wrong with such a subscription, once it is in the profile's own form.
fn wrong(name: &str, filter: Option<(&str, Option<&str>)>) -> Vec<String> {
    let enate = builtin("enate");
    let mut settings = subscription(name, filter);
    enate.normalise(&mut settings);
    let errors = enate.check_settings(&settings, &webhook(&[]).credentials).err().unwrap_or_default();
    errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect()
}

#[test]
fn each_event_type_has_its_filter() {
    let right = [
        ("PacketCreated", Some(("Company", Some(ID)))),
        ("PacketCreated", Some(("911", Some(ID)))),
        ("PacketUpdated", Some(("81", Some(ID)))),
        ("NewCommunication", Some(("Packet", Some(ID)))),
        ("BusinessObjectCreated", Some(("Schedule", None))),
        ("NewBusinessObject", Some(("260", Some("00000000-0000-0000-0000-000000000000")))),
        ("BusinessObjectUpdated", Some(("31", Some("")))),
        ("SpecificBusinessObjectUpdated", Some(("Schedule", Some(ID)))),
        ("BusinessObjectUpdated", Some(("Schedule", Some(ID)))),
        // The source's own example says 81 for a schedule, and its parameter list asks for a GUID that is not needed.
        ("BusinessObjectCreated", Some(("81", None))),
        ("NewBusinessObject", Some(("31", Some(ID)))),
        ("SpecificBusinessObjectUpdated", Some(("Packet", Some(ID)))),
    ];
    for (name, filter) in right {
        assert_eq!(wrong(name, filter), [""; 0], "{name} {filter:?}");
    }
    let refused = [
        ("PacketCreated", None, "filter is required: PacketCreated needs it"),
        ("PacketCreated", Some(("Company", None)), "filter.id is required: PacketCreated needs it"),
        (
            "PacketCreated",
            Some(("81", Some(ID))),
            "filter.type is Packet (81), but PacketCreated takes Company (31), Contract (215), Service (217), Process (911)",
        ),
        (
            "BusinessObjectCreated",
            Some(("911", None)),
            "filter.type is Process (911), but BusinessObjectCreated takes Company (31), Schedule (260)",
        ),
        ("PacketUpdated", Some(("81", Some("17"))), NO_GUID),
        ("BusinessObjectCreated", Some(("31", Some("17"))), NO_GUID),
        (
            "SpecificBusinessObjectUpdated",
            Some(("31", None)),
            "filter.id is required: SpecificBusinessObjectUpdated needs it",
        ),
        (
            "PacketUpdated",
            Some(("82", Some(ID))),
            "filter.type is \"82\", but must be one of Company (31), Packet (81), Contract (215), Service (217), Schedule (260), Process (911)",
        ),
    ];
    for (name, filter, message) in refused {
        assert_eq!(wrong(name, filter), [message]);
    }
}

#[test]
fn an_update_with_an_id_means_the_specific_one() {
    let mut settings = subscription("BusinessObjectUpdated", Some(("31", Some(ID))));
    builtin("enate").normalise(&mut settings);
    assert_eq!(settings, subscription("SpecificBusinessObjectUpdated", Some(("Company", Some(ID)))));
}

#[test]
fn what_is_taken_for_another_type_or_ignored_is_written_so() {
    let enate = builtin("enate");
    for (given, kept) in [
        (("BusinessObjectCreated", "Packet", Some(ID)), ("Schedule", None)),
        (("BusinessObjectUpdated", "81", None), ("Schedule", None)),
        (("PacketUpdated", "81", Some(ID)), ("Packet", Some(ID))),
        (("BusinessObjectCreated", "Company", Some("17")), ("Company", Some("17"))),
    ] {
        let (name, kind, id) = given;
        let mut settings = subscription(name, Some((kind, id)));
        enate.normalise(&mut settings);
        assert_eq!(settings.filter, subscription(name, Some(kept)).filter, "{given:?}");
    }
}

fn hears(profile: &Profile, settings: &Settings, kind: &str, entity: (&str, &str), scope: &[(&str, &str)]) -> bool {
    let mut event = event(kind, "{}");
    let (entity_kind, id) = entity;
    event.entity = Some(Entity { kind: entity_kind.to_owned(), id: id.to_owned(), url: None, data: None });
    event.scope = scope.iter().map(|(kind, id)| EntityRef { kind: (*kind).to_owned(), id: (*id).to_owned() }).collect();
    Interest::of(profile, settings).check(&event).is_ok()
}

#[test]
fn one_posted_event_serves_both_kinds_of_subscription() {
    let enate = builtin("enate");
    let of_type = subscription("BusinessObjectUpdated", Some(("Company", None)));
    let of_one = subscription("SpecificBusinessObjectUpdated", Some(("Company", Some(ID))));
    let updated = |settings, id| hears(&enate, settings, "BusinessObjectUpdated", ("Company", id), &[]);
    assert!(updated(&of_type, ID) && updated(&of_type, "other"));
    assert!(updated(&of_one, ID) && !updated(&of_one, "other"));
    // A company's subscription does not hear of the company's schedules.
    assert!(!hears(&enate, &of_one, "BusinessObjectUpdated", ("Schedule", "s"), &[("Company", ID)]));
}

#[test]
fn only_created_packets_match_by_their_scope() {
    let enate = builtin("enate");
    let created = subscription("PacketCreated", Some(("Process", Some("p-9"))));
    let scope = [("Company", ID), ("Process", "p-9")];
    assert!(hears(&enate, &created, "PacketCreated", ("Packet", "k"), &scope));
    assert!(!hears(&enate, &created, "PacketCreated", ("Packet", "k"), &scope[..1]));
    let updated = subscription("PacketUpdated", Some(("Packet", Some("k"))));
    assert!(hears(&enate, &updated, "PacketUpdated", ("Packet", "k"), &scope));
    assert!(!hears(&enate, &updated, "PacketUpdated", ("Packet", "other"), &[("Packet", "k")]));
}

#[test]
fn an_event_that_lacks_what_is_needed_is_refused_by_name() {
    let etlworks = builtin("etlworks");
    let fields = |told: &ToldEvent| -> Vec<String> {
        let errors = etlworks.check_event(told).err().unwrap_or_default();
        errors.into_iter().map(|error| error.field).collect()
    };
    let told = |entity| ToldEvent { kind: "Flow.Executed", external_id: None, data: b"{}", entity, scope: &[] };
    assert_eq!(fields(&told(None)), ["entity"]);
    let bare = Entity { kind: "Flow".to_owned(), id: "1".to_owned(), url: None, data: None };
    let whole = Entity { url: Some("https://app.example.com/1".to_owned()), ..bare.clone() };
    assert_eq!(fields(&told(Some(&bare))), ["entity.url"]);
    assert_eq!(fields(&told(Some(&whole))), [""; 0]);
}

#[test]
fn members_of_the_data_may_be_needed_for_some_types_of_event() {
    let profile = profile(
        r#"payload = { fields = [
            { name = "a", from = "event.data.a.b", missing = "required", when = { events = ["x"] } },
            { name = "o", fields = [{ name = "c", text = "{event.data.c}-{scope.Company}", missing = "required" }] },
        ] }"#,
    );
    let fields = |kind: &str, data: &str| -> Vec<String> {
        let told = ToldEvent { kind, external_id: None, data: data.as_bytes(), entity: None, scope: &[] };
        let errors = profile.check_event(&told).err().unwrap_or_default();
        errors.into_iter().map(|error| error.field).collect()
    };
    assert_eq!(fields("x", r#"{"a":{}}"#), ["data.a.b", "data.c", "scope.Company"]);
    assert_eq!(fields("x", r#"{"a":{"b":null},"c":1}"#), ["scope.Company"]);
    assert_eq!(fields("y", r#"{"c":1}"#), ["scope.Company"]);
}

#[test]
fn mistakes_in_a_catalogue_are_told_with_their_line() {
    let errors = mistakes(
        r#"[filter]
types = [{ name = "Company", number = 31 }]
[[event_types]]
name = "a b"
[[event_types]]
name = "x"
listens_to = ["y"]
filter = { types = ["Firm"], with_id = "z" }
[event_types.example]
data = "{"
[[event_types]]
name = "v"
aliases = ["x"]
[[headers]]
name = "x-e"
value = "{entity.id}"
missing = "required"
when = { method = "POST" }
"#,
    );
    let expected = [
        "test.toml:5: event_types[0].name: must be the name of an event type",
        "test.toml:6: event_types[1]: \"y\" is no event type of this profile",
        "test.toml:9: event_types[1].filter.types[0]: is \"Firm\", which is not among filter.types: Company",
        "test.toml:11: event_types[1].example.data: is not JSON",
        "test.toml:12: event_types[2]: \"x\" is the name of another event type",
        "test.toml:15: headers[0]: missing = \"required\" goes with when.events alone",
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(expected), "{error}\nshould start with\n{expected}");
    }
}
