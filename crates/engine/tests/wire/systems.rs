//! The requests of four systems, byte for byte as their descriptions give them.

use bytes::Bytes;
use fanfare_engine::event::{Entity, Event};
use fanfare_engine::render::Rendered;
use fanfare_engine::webhook::{Auth, ContentType, Method, Webhook};

use crate::builders::{DELIVERY, body, builtin, event, header, render, webhook};

const GUID: &str = "a3bc0b28-8023-4ac2-a0c4-2144e8a2d659";
const ETL_SECRET: &str = "ZjZlZDdlOWE3OGQ0NTk4MTU1MjkzNDA0";

/// What of a request is the profile's own: everything but the headers that all requests have.
fn own_headers(rendered: &Rendered) -> Vec<(String, String)> {
    let automatic = ["accept", "accept-encoding", "user-agent"];
    let own = rendered.headers.iter().filter(|(name, _)| !automatic.contains(&name.as_str()));
    let mut own: Vec<_> =
        own.map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned())).collect();
    own.sort();
    own
}

fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut owned: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    owned.sort();
    owned
}

fn enate(kind: &str, data: &str) -> String {
    body(&render(&builtin("enate"), &webhook(&[]), &event(kind, data), 1)).to_owned()
}

#[test]
fn enate_a_communications_packet_is_the_entity_where_the_data_lack_it() {
    let rendered = |data: &str| {
        let mut event = event("NewCommunication", data);
        event.entity = Some(Entity { kind: "Packet".to_owned(), id: "p-1".to_owned(), url: None, data: None });
        body(&render(&builtin("enate"), &webhook(&[]), &event, 1)).to_owned()
    };
    assert!(rendered("{}").contains(r#""PacketGUID":"p-1","#), "{}", rendered("{}"));
    assert!(rendered(r#"{"PacketGUID":null}"#).contains(r#""PacketGUID":"p-1","#));
    assert!(rendered(r#"{"PacketGUID":"p-2"}"#).contains(r#""PacketGUID":"p-2","#));
}

#[test]
fn enate_business_object_created() {
    let mut webhook = webhook(&[]);
    webhook.credentials.headers = vec![("new-schedule".to_owned(), "New schedule created".to_owned())];
    let event = event("BusinessObjectCreated", r#"{"Name":"2022 Schedule","Extra":true}"#);
    let rendered = render(&builtin("enate"), &webhook, &event, 1);
    assert_eq!(rendered.method, http::Method::POST);
    assert_eq!(body(&rendered), format!(r#"{{"Name":"2022 Schedule","GUID":"{GUID}"}}"#));
    let expected = [
        ("content-type", "application/json"),
        ("x-enate-webhook-guid", GUID),
        ("new-schedule", "New schedule created"),
    ];
    assert_eq!(own_headers(&rendered), owned(&expected));
}

#[test]
fn enate_packets() {
    let draft = enate(
        "PacketCreated",
        r#"{"ProcessType":2,"RAGStatus":-2,"Status":0,"Reference":"1042-T","CustomerName":"Acme \u0026 Söhne"}"#,
    );
    let expected = format!(
        r#"{{"CustomerName":"Acme \u0026 Söhne","SupplierName":null,"ContractName":null,"ServiceName":null,"ServiceLineName":null,"ProcessTypeName":null,"Reference":"1042-T","Title":null,"Status":0,"DueDate":null,"RAGStatus":-2,"ProcessType":2,"GUID":"{GUID}"}}"#
    );
    assert_eq!(draft, expected);
    assert_eq!(enate("PacketUpdated", r#"{"GUID":"not this one"}"#).matches(GUID).count(), 1);
}

#[test]
fn enate_a_note_has_no_sender() {
    let note =
        enate("NewCommunication", r#"{"PacketGUID":"p-1","CommunicationType":4,"Importance":0,"AttachmentCount":0}"#);
    let expected = format!(
        r#"{{"To":null,"Importance":0,"CC":null,"From":null,"Subject":null,"AttachmentCount":0,"GUID":"{GUID}","PacketGUID":"p-1","CommunicationType":4}}"#
    );
    assert_eq!(note, expected);
}

#[test]
fn enablenow() {
    let data = r#"{"userId":null,"externalUserId":"u-1","consentId":"c-1","addedTransactionsCount":3}"#;
    let rendered = render(&builtin("enablenow"), &webhook(&[]), &event("transactions.fetched", data), 1);
    assert_eq!(body(&rendered), format!(r#"{{"event":"transactions.fetched","data":{data}}}"#));
    assert_eq!(own_headers(&rendered), owned(&[("content-type", "application/json")]));
}

#[test]
fn enablenow_signs_where_a_secret_is_given() {
    let webhook = webhook(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
    let rendered = render(&builtin("enablenow"), &webhook, &event("transactions.fetched", "{}"), 5);
    assert_eq!(header(&rendered, "webhook-timestamp"), "5");
    assert!(header(&rendered, "webhook-signature").starts_with("v1,"));
}

/// A webhook of Etlworks and an event of a flow.
fn etlworks() -> (Webhook, Event) {
    let mut event = event("Flow.Executed", "{}");
    event.entity = Some(Entity {
        kind: "Flow".to_owned(),
        id: "11225".to_owned(),
        url: Some("https://app.etlworks.com/rest/v1/flows/1?auditId=11225".to_owned()),
        data: Some(Bytes::from_static(br#"{"id": 11225, "name":"a & b"}"#)),
    });
    (webhook(&[ETL_SECRET]), event)
}

#[test]
fn etlworks_json() {
    let (mut webhook, event) = etlworks();
    webhook.credentials.auth = Some(Auth::Basic { username: "admin".to_owned(), password: "admin".to_owned() });
    let rendered = render(&builtin("etlworks"), &webhook, &event, 1);
    let id = DELIVERY.uuid().to_string();
    let golden = r#"{"eventId":"7027e72b-9005-4fcc-8385-8da47249136a","eventType":"Flow.Executed","webhookId":1,"entityId":11225,"entityUrl":"https://app.etlworks.com/rest/v1/flows/1?auditId=11225","timestamp":1588429200207}"#;
    assert_eq!(body(&rendered), golden.replace("7027e72b-9005-4fcc-8385-8da47249136a", &id));
    assert_eq!(rendered.body.len(), 204);
    let expected = [
        ("authorization", "Basic YWRtaW46YWRtaW4="),
        ("content-type", "application/json"),
        ("x-etl-webhook-event-id", id.as_str()),
        ("x-etl-webhook-event", "Flow.Executed"),
        ("x-etl-webhook-id", "1"),
        ("x-etl-webhook-entity-id", "11225"),
        ("x-etl-webhook-entity-url", "https://app.etlworks.com/rest/v1/flows/1?auditId=11225"),
        ("x-etl-webhook-signature", header(&rendered, "x-etl-webhook-signature")),
    ];
    assert_eq!(own_headers(&rendered), owned(&expected));
    assert_eq!(header(&rendered, "x-etl-webhook-signature").len(), 40);
}

#[test]
fn etlworks_entity_stands_after_its_id() {
    let (mut webhook, mut event) = etlworks();
    webhook.settings.include_entity = true;
    let rendered = render(&builtin("etlworks"), &webhook, &event, 1);
    assert!(body(&rendered).contains(r#""entityId":11225,"entity":{"id": 11225, "name":"a & b"},"entityUrl":"#));
    // An id that is no integer in canonical decimal is a text.
    event.entity.as_mut().expect("it has one").id = "007".to_owned();
    assert!(body(&render(&builtin("etlworks"), &webhook, &event, 1)).contains(r#""entityId":"007","#));
}

#[test]
fn etlworks_form() {
    let (mut webhook, mut event) = etlworks();
    webhook.settings.content_type = ContentType::Form;
    event.entity.as_mut().expect("it has one").id = "11157".to_owned();
    let id = DELIVERY.uuid();
    let rendered = render(&builtin("etlworks"), &webhook, &event, 1);
    let expected = format!("eventId={id}&eventType=Flow.Executed&webhookId=1&entityId=11157&timestamp=1588429200207");
    assert_eq!(body(&rendered), expected);
    assert_eq!(header(&rendered, "content-type"), "application/x-www-form-urlencoded");
    webhook.settings.include_entity = true;
    let rendered = render(&builtin("etlworks"), &webhook, &event, 1);
    let entity = "&entityId=11157&entity=%7B%22id%22%3A+11225%2C+%22name%22%3A%22a+%26+b%22%7D&timestamp=";
    assert!(body(&rendered).contains(entity), "{}", body(&rendered));
}

#[test]
fn etlworks_get() {
    let (mut webhook, event) = etlworks();
    webhook.settings.method = Method::Get;
    let rendered = render(&builtin("etlworks"), &webhook, &event, 1);
    assert_eq!((rendered.method.as_str(), rendered.body.len()), ("GET", 0));
    let id = DELIVERY.uuid().to_string();
    let expected = [
        ("x-etl-webhook-event-id", id.as_str()),
        ("x-etl-webhook-event", "Flow.Executed"),
        ("x-etl-webhook-id", "1"),
        ("x-etl-webhook-entity-id", "11225"),
        ("x-etl-webhook-entity-url", "https://app.etlworks.com/rest/v1/flows/1?auditId=11225"),
    ];
    assert_eq!(own_headers(&rendered), owned(&expected));
}

#[test]
fn one_click_contractor() {
    let mut webhook = webhook(&[]);
    webhook.credentials.auth = Some(Auth::Basic { username: "occ".to_owned(), password: "pass word".to_owned() });
    let event = event("job.created", r#"{"jobId":4711, "big":123456789012345678901234567890}"#);
    let rendered = render(&builtin("one-click-contractor"), &webhook, &event, 1);
    let data = r#"{"jobId":4711, "big":123456789012345678901234567890}"#;
    assert_eq!(body(&rendered), format!(r#"{{"id":"{}","event":"job.created","data":{data}}}"#, event.id));
    let expected = [("authorization", "Basic b2NjOnBhc3Mgd29yZA=="), ("content-type", "application/json")];
    assert_eq!(own_headers(&rendered), owned(&expected));
}
