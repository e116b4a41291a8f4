//! Bodies and headers of requests: what the standard profile sends, and what further profiles can.

use fanfare_engine::attempt::{Headers, SentRequest};
use fanfare_engine::id::{DeliveryId, EventId};
use fanfare_engine::render::{FirstSent, Plan, PlanError, RenderError, log_headers};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{Auth, ContentType, Method};
use http::HeaderMap;
use proptest::prelude::*;

use crate::builders::{DELIVERY, SECRET, body, event, header, profile, render, secret, standard, webhook};

#[test]
fn the_standard_request() {
    let rendered =
        render(&standard(), &webhook(&[SECRET]), &event("job.created", "{\"b\": 1.0, \"a\":[1e400]}"), 1_614_265_330);
    assert_eq!(rendered.method, http::Method::POST);
    assert_eq!(rendered.url.as_str(), "https://example.com/h");
    let expected = r#"{"type":"job.created","timestamp":"2020-05-02T14:20:00.207Z","data":{"b": 1.0, "a":[1e400]}}"#;
    assert_eq!(body(&rendered), expected);
    assert_eq!(&rendered.body[rendered.verbatim.clone().unwrap()], b"{\"b\": 1.0, \"a\":[1e400]}");
    let mut names: Vec<&str> = rendered.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "accept-encoding",
        "content-type",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    ];
    assert_eq!(names, expected);
    assert_eq!(header(&rendered, "content-type"), "application/json");
    assert_eq!(header(&rendered, "webhook-id"), EventId(12_345).to_string());
    assert_eq!(header(&rendered, "webhook-timestamp"), "1614265330");
    assert!(header(&rendered, "webhook-signature").starts_with("v1,"));
}

#[test]
fn attempts_have_the_same_id_and_a_fresh_timestamp_and_signature() {
    let plan = Plan::compile(&standard(), &webhook(&[SECRET])).unwrap();
    let event = event("job.created", "{}");
    let first = plan.render(&event, DELIVERY, Timestamp(1_000_000)).unwrap();
    let second = plan.render(&event, DELIVERY, Timestamp(6_000_000)).unwrap();
    assert_eq!(header(&first, "webhook-id"), header(&second, "webhook-id"));
    assert_eq!(header(&second, "webhook-timestamp"), "6000");
    assert_ne!(header(&first, "webhook-signature"), header(&second, "webhook-signature"));
    assert_eq!(first.body, second.body);
}

#[test]
fn case_075_both_secrets_sign_until_the_overlap_ends() {
    let mut webhook = webhook(&[SECRET]);
    let mut old = secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
    old.expires_at = Some(Timestamp(10_000));
    webhook.credentials.secrets.push(old);
    let count = |seconds| {
        let rendered = render(&standard(), &webhook, &event("a", "{}"), seconds);
        header(&rendered, "webhook-signature").split(' ').filter(|item| item.starts_with("v1,")).count()
    };
    assert_eq!((count(9), count(10)), (2, 1));
}

#[test]
fn hmac_and_ed25519_signatures_share_the_header() {
    let pair = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let rendered = render(&standard(), &webhook(&[pair, SECRET]), &event("a", "{}"), 1);
    let forms: Vec<&str> =
        header(&rendered, "webhook-signature").split(' ').map(|item| &item[..item.find(',').unwrap()]).collect();
    assert_eq!(forms, ["v1", "v1a"]);
}

#[test]
fn without_a_secret_nothing_is_signed() {
    let rendered = render(&standard(), &webhook(&[]), &event("a", "{}"), 1);
    assert_eq!(header(&rendered, "webhook-signature"), "(none)");
}

fn logged(headers: &HeaderMap) -> Headers {
    let mut logged = Headers::default();
    log_headers(headers, &mut logged);
    logged
}

#[test]
fn credentials_are_sent_marked_sensitive_and_masked_in_the_log() {
    let mut webhook = webhook(&[SECRET]);
    webhook.credentials.auth = Some(Auth::Basic { username: "admin".to_owned(), password: "admin".to_owned() });
    webhook.credentials.headers =
        vec![("X-Tenant".to_owned(), "blau".to_owned()), ("X-Api-Key".to_owned(), "k3y".to_owned())];
    let rendered = render(&standard(), &webhook, &event("a", "{}"), 1);
    assert_eq!(header(&rendered, "authorization"), "Basic YWRtaW46YWRtaW4=");
    assert!(rendered.headers["authorization"].is_sensitive() && rendered.headers["x-tenant"].is_sensitive());
    let logged = logged(&rendered.headers);
    let shows = |name: &str, value: &[u8]| logged.iter().any(|header| header == (name.into(), value));
    assert!(shows("authorization", b"Basic ****") && shows("x-tenant", b"blau"));
    assert_eq!(header(&rendered, "x-api-key"), "k3y");
    assert!(shows("x-api-key", b"****"));
    webhook.credentials.auth = Some(Auth::Bearer { token: "t0ken".to_owned() });
    let rendered = render(&standard(), &webhook, &event("a", "{}"), 1);
    assert_eq!(header(&rendered, "authorization"), "Bearer t0ken");
}

const ETL: &str = r#"
include_entity = true
[ids]
webhook = "number"
message = "external"
message_form = "uuid"
[method]
allowed = ["POST", "GET"]
[content_type]
allowed = ["application/json", "application/x-www-form-urlencoded"]
[payload]
fields = [
    { name = "eventId", from = "message.id" },
    { name = "eventType", from = "event.type" },
    { name = "webhookId", from = "webhook.id" },
    { name = "entityId", from = "entity.number" },
    { name = "entity", from = "entity.data", when = { include_entity = true } },
    { name = "entityUrl", from = "entity.url", when = { content_type = "application/json" } },
    { name = "timestamp", from = "event.occurred_at_millis" },
]
[[headers]]
name = "X-Etl-Webhook-Event-Id"
value = "{message.id}"
[[headers]]
name = "X-Etl-Webhook-Entity-URL"
value = "{entity.url}"
[[signatures]]
header = "X-Etl-Webhook-Signature"
algorithm = "hmac-sha1"
when = { method = "POST" }
[secret]
rule = "given"
"#;

const ETL_SECRET: &str = "ZjZlZDdlOWE3OGQ0NTk4MTU1MjkzNDA0";

fn flow_executed() -> fanfare_engine::event::Event {
    let mut event = event("Flow.Executed", "{}");
    event.external_id = Some("7027e72b-9005-4fcc-8385-8da47249136a".to_owned());
    event
}

#[test]
fn another_senders_json_is_met_byte_for_byte() {
    let rendered = render(&profile(ETL), &webhook(&[ETL_SECRET]), &flow_executed(), 1);
    let expected = concat!(
        r#"{"eventId":"7027e72b-9005-4fcc-8385-8da47249136a","eventType":"Flow.Executed","webhookId":1,"entityId":11225,"#,
        r#""entityUrl":"https://app.etlworks.com/rest/v1/flows/1?auditId=11225","timestamp":1588429200207}"#
    );
    assert_eq!(body(&rendered), expected);
    assert_eq!(header(&rendered, "x-etl-webhook-signature"), "269ec9d89809c0bfee29ee058e8d8dcf8f254029");
    assert_eq!(rendered.verbatim, None);
}

#[test]
fn a_form_has_the_same_members_url_encoded() {
    let mut webhook = webhook(&[ETL_SECRET]);
    webhook.settings.content_type = ContentType::Form;
    let rendered = render(&profile(ETL), &webhook, &flow_executed(), 1);
    let expected = "eventId=7027e72b-9005-4fcc-8385-8da47249136a&eventType=Flow.Executed&webhookId=1&entityId=11225&timestamp=1588429200207";
    assert_eq!(body(&rendered), expected);
    assert_eq!(header(&rendered, "content-type"), "application/x-www-form-urlencoded");
    webhook.settings.include_entity = true;
    let rendered = render(&profile(ETL), &webhook, &flow_executed(), 1);
    assert!(body(&rendered).contains("&entity=%7B%22id%22%3A+11225%7D&"), "{}", body(&rendered));
}

#[test]
fn a_get_has_no_body_no_content_type_and_no_signature() {
    let mut webhook = webhook(&[ETL_SECRET]);
    webhook.settings.method = Method::Get;
    let rendered = render(&profile(ETL), &webhook, &flow_executed(), 1);
    assert_eq!((rendered.method.as_str(), rendered.body.len()), ("GET", 0));
    assert_eq!(header(&rendered, "content-type"), "(none)");
    assert_eq!(header(&rendered, "x-etl-webhook-signature"), "(none)");
    assert_eq!(header(&rendered, "x-etl-webhook-event-id"), "7027e72b-9005-4fcc-8385-8da47249136a");
}

#[test]
fn a_header_without_a_value_is_left_out() {
    let mut event = flow_executed();
    event.entity = None;
    let rendered = render(&profile(ETL), &webhook(&[]), &event, 1);
    assert_eq!(header(&rendered, "x-etl-webhook-entity-url"), "(none)");
    assert!(body(&rendered).contains(r#""entityId":null,"entityUrl":null,"#), "{}", body(&rendered));
}

#[test]
fn only_canonical_decimals_are_numbers() {
    let numbered = profile("[payload]\nfields = [{ name = \"id\", from = \"entity.number\" }]");
    let id = |id: &str| {
        let mut event = event("a", "{}");
        event.entity.as_mut().unwrap().id = id.to_owned();
        body(&render(&numbered, &webhook(&[]), &event, 1)).to_owned()
    };
    assert_eq!(id("-17"), r#"{"id":-17}"#);
    for text in ["007", "+7", "-0", "1e3", "9223372036854775808", ""] {
        assert_eq!(id(text), format!(r#"{{"id":"{text}"}}"#));
    }
    assert_eq!(id("a\nb"), r#"{"id":"a\nb"}"#);
    assert_eq!(id("a\n\"\\b"), r#"{"id":"a\n\"\\b"}"#);
}

#[test]
fn a_null_in_the_data_is_no_value_for_a_header_or_a_form() {
    let titled = profile(
        r#"
[content_type]
allowed = ["application/x-www-form-urlencoded"]
[payload]
fields = [{ name = "title", from = "event.data.title" }, { name = "n", from = "event.data.n" }]
[[headers]]
name = "x-title"
value = "about {event.data.title}"
[[headers]]
name = "x-empty"
value = "about {event.data.title}"
missing = "empty"
"#,
    );
    let mut webhook = webhook(&[]);
    webhook.settings.content_type = ContentType::Form;
    let rendered = render(&titled, &webhook, &event("a", r#"{"title":null,"n":1}"#), 1);
    assert_eq!((header(&rendered, "x-title"), header(&rendered, "x-empty")), ("(none)", ""));
    assert_eq!(body(&rendered), "n=1");
}

#[test]
fn shapes_by_event_type_and_members_of_the_data() {
    let enate = profile(
        r#"
[[payload]]
when = { events = ["PacketCreated"] }
fields = [
    { name = "Title", from = "event.data.Title" },
    { name = "Status", from = "event.data.Status" },
    { name = "Company", from = "scope.Company" },
    { name = "Depth", from = "event.data.a.b" },
    { name = "Note", from = "event.data.Note", missing = "omit" },
    { name = "GUID", from = "webhook.uuid" },
]
[[payload]]
when = { events = ["BusinessObjectCreated"] }
fields = [{ name = "Name", from = "event.data.Name" }, { name = "GUID", from = "webhook.uuid" }]
"#,
    );
    let webhook = webhook(&[]);
    let packet = event("PacketCreated", r#"{"Status": 2, "a":{"b": [1.50]}, "Title":null}"#);
    let expected =
        r#"{"Title":null,"Status":2,"Company":"c-17","Depth":[1.50],"GUID":"a3bc0b28-8023-4ac2-a0c4-2144e8a2d659"}"#;
    assert_eq!(body(&render(&enate, &webhook, &packet, 1)), expected);
    let object = event("BusinessObjectCreated", r#"{"Name":"2022 Schedule"}"#);
    let expected = r#"{"Name":"2022 Schedule","GUID":"a3bc0b28-8023-4ac2-a0c4-2144e8a2d659"}"#;
    assert_eq!(body(&render(&enate, &webhook, &object, 1)), expected);
    let plan = Plan::compile(&enate, &webhook).unwrap();
    let other = plan.render(&event("Other", "{}"), DELIVERY, Timestamp(0)).unwrap_err();
    assert_eq!(other, RenderError::NoPayload("Other".to_owned()));
}

#[test]
fn a_form_may_hold_the_whole_document_in_one_member() {
    let github = profile(
        "[content_type]\nallowed = [\"application/x-www-form-urlencoded\"]\n[payload]\nraw = true\nform_member = \"payload\"",
    );
    let mut webhook = webhook(&[]);
    webhook.settings.content_type = ContentType::Form;
    assert_eq!(body(&render(&github, &webhook, &event("a", r#"{"a b":1}"#), 1)), "payload=%7B%22a+b%22%3A1%7D");
}

#[test]
fn cloudevents_headers_are_percent_encoded_and_objects_nest() {
    let cloudevents = profile(
        r#"
[payload]
fields = [
    { name = "specversion", text = "1.0" },
    { name = "source", text = "/organizations/{organization.id}" },
    { name = "meta", fields = [{ name = "kind", from = "entity.type" }, { name = "sent", from = "time.seconds" }] },
    { name = "none", fields = [{ name = "x", from = "event.external_id", missing = "omit" }] },
]
[[headers]]
name = "ce-subject"
value = "{event.data.title}"
percent_encoded = true
"#,
    );
    let rendered = render(&cloudevents, &webhook(&[]), &event("a", r#"{"title":"Euro € 😀"}"#), 5);
    assert_eq!(header(&rendered, "ce-subject"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
    let expected = r#"{"specversion":"1.0","source":"/organizations/org_0000000000002","meta":{"kind":"Flow","sent":5},"none":{}}"#;
    assert_eq!(body(&rendered), expected);
}

#[test]
fn ids_in_uuid_form_are_the_deliverys_own() {
    let by_delivery = profile(
        "[ids]\nmessage = \"delivery\"\nmessage_form = \"uuid\"\n[[headers]]\nname = \"X-GitHub-Delivery\"\nvalue = \"{id}\"",
    );
    let rendered = render(&by_delivery, &webhook(&[]), &event("a", "{}"), 1);
    let uuid = header(&rendered, "x-github-delivery").parse().unwrap();
    assert_eq!(DeliveryId::from_uuid(uuid), Some(DELIVERY));
}

#[test]
fn a_value_that_would_split_the_head_is_no_header() {
    let named = profile("[[headers]]\nname = \"x-title\"\nvalue = \"{event.data.title}\"");
    let plan = Plan::compile(&named, &webhook(&[])).unwrap();
    let event = event("a", r#"{"title":"a\r\nX-Evil: 1"}"#);
    assert_eq!(plan.render(&event, DELIVERY, Timestamp(0)).unwrap_err(), RenderError::Header("x-title".to_owned()));
}

#[test]
fn a_webhook_that_its_profile_does_not_allow_gives_no_plan() {
    let wrong = Plan::compile(&standard(), &webhook(&["hush"])).unwrap_err();
    assert_eq!(wrong.to_string(), "the secret must start with whsec_ or whsk_");
    let mut nowhere = webhook(&[]);
    nowhere.settings.url = "nowhere".to_owned();
    assert!(matches!(Plan::compile(&standard(), &nowhere), Err(PlanError::Url(_))));
}

/// JSON values as text, with spaces, escapes and numbers that a parser would rewrite.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1e400".to_owned()),
        Just("-0.10".to_owned()),
        Just("12345678901234567890123".to_owned()),
        Just(r#""\u00e9\/ ""#.to_owned()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[ {} ]", items.join(" ,"))),
            prop::collection::vec(inner, 0..5).prop_map(|items| {
                let members: Vec<_> = items.iter().map(|item| format!("\"same\" :{item}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn case_051_data_pass_through_byte_for_byte(data in json_text(), kind in "[!-~]{1,40}") {
        let rendered = render(&standard(), &webhook(&[SECRET]), &event(&kind, &data), 1);
        prop_assert_eq!(&rendered.body[rendered.verbatim.clone().unwrap()], data.as_bytes());
        let parsed: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
            serde_json::from_slice(&rendered.body).unwrap();
        prop_assert_eq!(parsed["data"].get(), data);
        prop_assert_eq!(serde_json::from_str::<String>(parsed["type"].get()).unwrap(), kind);
    }

    #[test]
    fn any_data_render_under_any_shape(data in json_text()) {
        for knobs in [ETL, "[payload]\nfields = [{ name = \"a\", from = \"event.data.same.same\" }]", ""] {
            let plan = Plan::compile(&profile(knobs), &webhook(&[])).unwrap();
            let rendered = plan.render(&event("a", &data), DELIVERY, Timestamp(0)).unwrap();
            prop_assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&rendered.body).is_ok());
        }
    }
}

#[test]
fn a_request_made_again_stays_as_it_was_and_is_signed_anew() {
    let knobs = "[content_type]\nallowed = [\"application/json\", \"application/cloudevents+json\"]\n[secret]\nrule = \"given\"\n[payload]\n\
        fields = [{ name = \"n\", from = \"event.data\" }]\n[[headers]]\nname = \"x-kind\"\nvalue = \"json\"\n\
        when = { content_type = \"application/json\" }\n[[signatures]]\nheader = \"x-signature\"\nalgorithm = \"hmac-sha256\"\n\
        input = \"{timestamp} {webhook.url} {body}\"";
    let profile = profile(knobs);
    let mut webhook = webhook(&["secret"]);
    let event = event("job.created", "[1]");
    let first = Plan::compile(&profile, &webhook).unwrap().render(&event, DELIVERY, Timestamp(1_000_000)).unwrap();
    let logged = SentRequest {
        method: first.method.clone(),
        url: first.url.to_string(),
        headers: logged(&first.headers),
        body: first.body.clone(),
    };
    let sent = FirstSent::from_log(logged, first.verbatim.clone()).unwrap();

    webhook.settings.url = "https://elsewhere.example/h".to_owned();
    webhook.settings.content_type = ContentType::CloudEvents;
    let changed = Plan::compile(&profile, &webhook).unwrap();
    let again = changed.render_again(&event, DELIVERY, Timestamp(1_000_000), &sent).unwrap();
    assert_eq!((&again.url, &again.body, &again.verbatim), (&first.url, &first.body, &first.verbatim));
    assert_eq!(again.headers, first.headers, "at the same moment it is the same request");
    let later = changed.render_again(&event, DELIVERY, Timestamp(2_000_000), &sent).unwrap();
    assert_ne!(header(&later, "x-signature"), header(&first, "x-signature"));
    assert_eq!(later.body, first.body);
}

#[test]
fn a_request_made_again_to_a_former_receiver_has_no_credentials_of_the_present_one() {
    let profile = profile("[payload]\nfields = [{ name = \"n\", from = \"event.data\" }]");
    let mut webhook = webhook(&[]);
    webhook.credentials.auth = Some(Auth::Bearer { token: "canary".to_owned() });
    webhook.credentials.headers = vec![("x-own".to_owned(), "canary".to_owned())];
    let event = event("job.created", "[1]");
    let first = Plan::compile(&profile, &webhook).unwrap().render(&event, DELIVERY, Timestamp(0)).unwrap();
    let logged = SentRequest {
        method: first.method.clone(),
        url: first.url.to_string(),
        headers: logged(&first.headers),
        body: first.body.clone(),
    };
    let sent = FirstSent::from_log(logged, first.verbatim.clone()).unwrap();
    let mut again = |url: &str| {
        webhook.settings.url = url.to_owned();
        let plan = Plan::compile(&profile, &webhook).unwrap();
        plan.render_again(&event, DELIVERY, Timestamp(0), &sent).unwrap()
    };
    let same = again("https://example.com:443/h?other");
    assert_eq!((header(&same, "authorization"), header(&same, "x-own")), ("Bearer canary", "canary"));
    for other in
        ["https://example.org/h", "https://example.com:8443/h", "http://example.com/h", "https://example.com/other"]
    {
        let other = again(other);
        assert_eq!(other.url, first.url);
        assert!(!other.headers.values().any(|value| value.as_bytes().ends_with(b"canary")), "{:?}", other.headers);
        assert_eq!(header(&other, "content-type"), header(&first, "content-type"));
    }
}

#[test]
fn a_final_dot_of_the_host_is_neither_signed_nor_taken_for_another_receiver() {
    let profile = profile(
        "[payload]\nfields = [{ name = \"n\", from = \"event.data\" }]\n[[headers]]\nname = \"x-url\"\nvalue = \"{webhook.url}\"",
    );
    let mut webhook = webhook(&[]);
    webhook.credentials.auth = Some(Auth::Bearer { token: "canary".to_owned() });
    webhook.settings.url = "https://example.com./h".to_owned();
    let event = event("job.created", "[1]");
    let plan = Plan::compile(&profile, &webhook).unwrap();
    let first = plan.render(&event, DELIVERY, Timestamp(0)).unwrap();
    assert_eq!((first.url.as_str(), header(&first, "x-url")), ("https://example.com/h", "https://example.com/h"));
    // The log of an earlier build has the URL as it was called or as it was saved.
    for logged_as in ["https://example.com/h", "https://example.com./h"] {
        let logged = SentRequest {
            method: first.method.clone(),
            url: logged_as.to_owned(),
            headers: logged(&first.headers),
            body: first.body.clone(),
        };
        let sent = FirstSent::from_log(logged, first.verbatim.clone()).unwrap();
        let again = plan.render_again(&event, DELIVERY, Timestamp(0), &sent).unwrap();
        assert_eq!(header(&again, "authorization"), "Bearer canary", "{logged_as}");
    }
}
