//! Enate: subscriptions to packets and business objects, judged by role and permission at every message.

use axum::http::Method;
use serde_json::{Value, json};

use super::stage::{HOOKS, ORG, Stage};
use crate::api::Reply;

/// The GUID of the golden request's subscription.
const GUID: &str = "a3bc0b28-8023-4ac2-a0c4-2144e8a2d659";
const ZERO: &str = "00000000-0000-0000-0000-000000000000";
const PACKET: &str = "6f1d3f0a-4a0e-4f3e-9c57-5a9a2f0f7d11";
const COMPANY: &str = "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e01";
const CONTRACT: &str = "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e02";
const SERVICE: &str = "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e03";
const PROCESS: &str = "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e04";
const ANOTHER: &str = "11111111-2f7e-4d59-8f39-3c5a1b0f1e01";
const SCHEDULE: &str = "c5c2f0de-1f0b-4a37-8a35-6fd5f7a4be21";
/// The types of object, with their numbers.
const TYPES: [(&str, u32); 6] =
    [("Company", 31), ("Packet", 81), ("Contract", 215), ("Service", 217), ("Schedule", 260), ("Process", 911)];
/// Each event with its display name, whether its filter names one object, and the types of object that it takes.
const WEBHOOKS: [(&str, &str, bool, &[u32]); 6] = [
    ("PacketCreated", "Packet Created", true, &[31, 215, 217, 911]),
    ("PacketUpdated", "Packet Updated", true, &[81]),
    ("NewCommunication", "New Communication", true, &[81]),
    ("BusinessObjectCreated", "Business Object Created", false, &[31, 260]),
    ("BusinessObjectUpdated", "Business Object Updated", false, &[31, 260]),
    ("SpecificBusinessObjectUpdated", "Specific Business Object Updated", true, &[31, 260]),
];
const PACKET_MEMBERS: [&str; 13] = [
    "CustomerName",
    "SupplierName",
    "ContractName",
    "ServiceName",
    "ServiceLineName",
    "ProcessTypeName",
    "Reference",
    "Title",
    "Status",
    "DueDate",
    "RAGStatus",
    "ProcessType",
    "GUID",
];

/// The event that needs no object.
const CREATED: &str = "BusinessObjectCreated";

/// Whether an event takes a type of object; those of business objects take that of packets for that of schedules.
fn takes(event: &str, types: &[u32], number: u32) -> bool {
    types.contains(&number) || (number == 81 && event.contains("BusinessObject"))
}

async fn stage() -> Stage {
    with_builder(Stage::start("enate").await).await
}

/// With a user who may build everything, for whom the stage subscribes.
async fn with_builder(stage: Stage) -> Stage {
    stage.for_user("builder", json!({"roles": ["Process Builder"], "grants": "all"})).await
}

/// What an event on the packet carries besides its data: its packet, and what that belongs to.
fn packet(kind: &str, data: Value) -> Value {
    let scope = json!([{"type": "Company", "id": COMPANY}, {"type": "Contract", "id": CONTRACT},
        {"type": "Service", "id": SERVICE}, {"type": "Process", "id": PROCESS}]);
    json!({"type": kind, "entity": {"type": "Packet", "id": PACKET}, "scope": scope, "data": data})
}

fn object(kind: &str, entity: &str, id: &str) -> Value {
    json!({"type": kind, "entity": {"type": entity, "id": id}, "data": {"Name": "2022 Schedule"}})
}

fn wants(event: &str, kind: &str, id: Option<&str>) -> Value {
    json!({"events": [event], "filter": {"type": kind, "id": id}})
}

#[tokio::test]
async fn the_catalogue_says_what_there_is_and_what_each_takes() {
    let stage = stage().await;
    let key = stage.api.key(&["manage"], json!({"organization": ORG, "user": "builder"})).await;
    let all = stage.api.ask(Method::GET, "/WebHookSubscription/GetAllWebhooks").key(&key).send().await.ok();
    let ours = stage.api.get("/v1/event-types").await.ok();
    for (number, (name, display, names_one, types)) in WEBHOOKS.into_iter().enumerate() {
        let shown = &all[number];
        assert_eq!((&shown["Webhook"], &shown["DisplayName"]), (&json!(name), &json!(display)));
        let parameters = &shown["Parameters"];
        assert_eq!(parameters[0]["Rule"], if names_one { "required" } else { "none" }, "{shown}");
        assert_eq!(parameters[1]["Rule"], "required");
        let values: Vec<_> = parameters[1]["Values"].as_array().unwrap().iter().map(|of| &of["Value"]).collect();
        assert_eq!(values, types.iter().map(|number| json!(number)).collect::<Vec<_>>().iter().collect::<Vec<_>>());
        let names: Vec<_> = parameters.as_array().unwrap().iter().map(|of| of["Name"].as_str().unwrap()).collect();
        let expected = ["FilterObjectGUID", "FilterObjectType", "SubscriberURL", "CustomHeader", "CustomHeaderValue"];
        assert_eq!(names, expected);
        let listed = ours["data"].as_array().unwrap().iter().find(|kind| kind["name"] == name);
        assert_eq!(listed.unwrap()["description"], shown["Description"]);
    }
    assert_eq!(all.as_array().unwrap().len(), WEBHOOKS.len());
    let members: Vec<_> = all[0]["Message"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, PACKET_MEMBERS);
    stage.end().await;
}

#[tokio::test]
async fn each_row_of_the_matrix_is_taken_and_everything_beside_it_is_refused() {
    let stage = stage().await;
    for (event, _, names_one, types) in WEBHOOKS {
        for (kind, number) in TYPES {
            for id in [None, Some(COMPANY), Some(ZERO), Some("")] {
                let names = id == Some(COMPANY);
                // With an object named, an update of any object is taken for that of a specific one.
                let specific = event == "BusinessObjectUpdated" && names;
                let right = takes(event, types, number) && (names == names_one || specific || event == CREATED);
                for kind in [kind.to_owned(), number.to_string()] {
                    let settings = wants(event, &kind, id);
                    let reply = stage.make(settings.clone()).await;
                    if right {
                        let made = reply.created();
                        let taken = if specific { "SpecificBusinessObjectUpdated" } else { event };
                        assert_eq!(made["events"], json!([taken]), "{settings}");
                        if number == 81 && !types.contains(&81) {
                            assert_eq!(made["filter"]["type"], "Schedule", "the source's own example says 81");
                        }
                        if event == CREATED {
                            assert_eq!(made["filter"]["id"], Value::Null, "{settings}: its GUID is ignored");
                        }
                        continue;
                    }
                    let refused = reply.problem(422, "validation_failed");
                    let field = refused["errors"][0]["field"].as_str().unwrap();
                    let wrong_type = !takes(event, types, number);
                    let wrong_id = names != names_one && !specific;
                    assert!(
                        wrong_type && field == "filter.type" || wrong_id && field == "filter.id",
                        "{settings}: {refused}"
                    );
                }
            }
        }
        stage.refuse(&json!({}), json!({"events": [event], "filter": null}), "filter").await;
    }
    stage.end().await;
}

#[tokio::test]
async fn what_a_subscription_may_not_have_is_refused_by_its_name() {
    let stage = stage().await;
    let good = wants("BusinessObjectCreated", "Company", None);
    for (settings, field) in [
        (json!({"events": "all"}), "events"),
        (json!({"events": []}), "events"),
        (json!({"events": ["BusinessObjectCreated", "BusinessObjectUpdated"]}), "events"),
        (json!({"events": ["Nothing"]}), "events[0]"),
        (json!({"filter": {"type": "Invoice"}}), "filter.type"),
        (json!({"url": "ftp://example.com/h"}), "url"),
        (json!({"url": "no url"}), "url"),
        (json!({"url": null}), "url"),
        (json!({"headers": {"A": "1", "B": "2"}}), "headers"),
        (json!({"headers": {"X-Enate-Webhook-GUID": "1"}}), "headers.X-Enate-Webhook-GUID"),
        (json!({"method": "GET"}), "method"),
        (json!({"content_type": "application/x-www-form-urlencoded"}), "content_type"),
        (json!({"include_entity": true}), "include_entity"),
        (json!({"auth": {"type": "basic", "username": "u", "password": "p"}}), "auth"),
        (json!({"auth": {"type": "bearer", "token": "t"}}), "auth"),
        (json!({"secret": "s"}), "secret"),
        (json!({"retry": {"delays_seconds": [1], "jitter": 0.0}}), "retry"),
        (json!({"timeout_seconds": 5}), "timeout_seconds"),
    ] {
        stage.refuse(&good, settings, field).await;
    }
    // A Schedule is 260; given as 81, which is a Packet, it is refused with words that say so.
    let mistaken = stage.make(wants("BusinessObjectCreated", "911", None)).await;
    mistaken.invalid_because(
        "filter.type",
        "is Process (911), but BusinessObjectCreated takes Company (31), Schedule (260)",
    );
    for event in ["PacketUpdated", CREATED] {
        let no_guid = stage.make(wants(event, "Company", Some("no-guid"))).await;
        no_guid.invalid_because("filter.id", "must be a GUID");
    }
    for url in ["http://93.184.216.34/h", "https://93.184.216.34/h"] {
        stage.subscribe(json!({"url": url, "events": ["BusinessObjectCreated"], "filter": {"type": "Company"}})).await;
    }
    stage.end().await;
}

#[tokio::test]
async fn the_golden_request_byte_for_byte() {
    for stage in [Stage::start("enate").await, Stage::start_secure("enate").await] {
        let mut stage = with_builder(stage).await;
        let mut settings = wants("NewBusinessObject", "260", Some(ZERO));
        settings["uuid"] = GUID.into();
        settings["headers"] = json!({"new-schedule": "New schedule created"});
        let made = stage.subscribe(settings).await;
        assert_eq!((&made["events"], &made["filter"]["type"]), (&json!(["BusinessObjectCreated"]), &json!("Schedule")));
        let event = stage.event(object("BusinessObjectCreated", "Schedule", SCHEDULE)).await;
        let golden = r#"POST /h HTTP/1.1
Content-Type: application/json
X-Enate-Webhook-GUID: a3bc0b28-8023-4ac2-a0c4-2144e8a2d659
new-schedule: New schedule created

{"Name":"2022 Schedule","GUID":"a3bc0b28-8023-4ac2-a0c4-2144e8a2d659"}"#;
        stage.receiver.next().await.assert_is(golden);
        stage.delivery(&format!("event={event}"), "delivered", 1).await;
        // The host may post it by the other name.
        stage.event(object("NewBusinessObject", "Schedule", SCHEDULE)).await;
        stage.receiver.next().await.assert_is(golden);
        stage.end().await;
    }
}

#[tokio::test]
async fn every_event_has_its_flat_body_with_members_in_order() {
    let mut stage = stage().await;
    let head =
        |guid: &str| format!("POST /h HTTP/1.1\nContent-Type: application/json\nX-Enate-Webhook-GUID: {guid}\n\n");
    let mut cases = Vec::new();
    let submitted = r#""CustomerName":"Acme","SupplierName":"Northwind","ContractName":"AP","ServiceName":"Invoices","ServiceLineName":"Queries","ProcessTypeName":"Query","Reference":"1042-T","Title":"Invoice 77","Status":2,"DueDate":"2026-05-04T16:00:00Z","RAGStatus":1,"ProcessType":2"#;
    let draft = r#""CustomerName":"Acme","SupplierName":null,"ContractName":null,"ServiceName":null,"ServiceLineName":null,"ProcessTypeName":null,"Reference":null,"Title":null,"Status":0,"DueDate":null,"RAGStatus":-2,"ProcessType":1"#;
    let draft_data = json!({"ProcessType": 1, "RAGStatus": -2, "Status": 0, "CustomerName": "Acme", "Extra": {"a": 1}});
    let submitted_data: Value = serde_json::from_str(&format!("{{{submitted}}}")).unwrap();
    for (kind, id) in [("Company", COMPANY), ("Contract", CONTRACT), ("Service", SERVICE), ("Process", PROCESS)] {
        cases.push((
            wants("PacketCreated", kind, Some(id)),
            packet("PacketCreated", draft_data.clone()),
            draft.to_owned(),
        ));
    }
    let of_packet = |event| wants(event, "Packet", Some(PACKET));
    cases.push((of_packet("PacketUpdated"), packet("PacketUpdated", submitted_data), submitted.to_owned()));
    let mail = json!({"CommunicationType": 2, "PacketGUID": PACKET, "AttachmentCount": 1, "Subject": "Invoice 77",
        "From": "supplier@northwind.example", "CC": null, "Importance": 2, "To": "payables@acme.example"});
    let mail_body = format!(
        r#""To":"payables@acme.example","Importance":2,"CC":null,"From":"supplier@northwind.example","Subject":"Invoice 77","AttachmentCount":1,"GUID":"?","PacketGUID":"{PACKET}","CommunicationType":2"#
    );
    cases.push((of_packet("NewCommunication"), packet("NewCommunication", mail), mail_body));
    // The packet's GUID is that of the entity, where the data don't say it.
    let note = json!({"CommunicationType": 4, "AttachmentCount": 0, "Importance": 0});
    let note_body = format!(
        r#""To":null,"Importance":0,"CC":null,"From":null,"Subject":null,"AttachmentCount":0,"GUID":"?","PacketGUID":"{PACKET}","CommunicationType":4"#
    );
    cases.push((of_packet("NewCommunication"), packet("NewCommunication", note), note_body));
    for (event, kind, id) in [
        ("BusinessObjectCreated", "Company", None),
        ("BusinessObjectUpdated", "Schedule", None),
        ("SpecificBusinessObjectUpdated", "Company", Some(COMPANY)),
    ] {
        let posted = if id.is_some() { "BusinessObjectUpdated" } else { event };
        let about = if kind == "Company" { COMPANY } else { SCHEDULE };
        cases.push((wants(event, kind, id), object(posted, kind, about), r#""Name":"2022 Schedule""#.to_owned()));
    }
    for (settings, event, members) in cases {
        let made = stage.subscribe(settings).await;
        let guid = made["uuid"].as_str().unwrap();
        stage.event(event).await;
        let body = match members.contains('?') {
            true => members.replace('?', guid),
            false => format!("{members},\"GUID\":\"{guid}\""),
        };
        stage.receiver.next().await.assert_is(&format!("{}{{{body}}}", head(guid)));
        stage.api.delete(&format!("{HOOKS}/{}", made["id"].as_str().unwrap())).await.gone();
    }
    stage.end().await;
}

#[tokio::test]
async fn a_filter_matches_what_it_is_for_and_nothing_beside() {
    let mut stage = stage().await;
    let guid = async |settings| stage.subscribe(settings).await["uuid"].as_str().unwrap().to_owned();
    let created_in_company = guid(wants("PacketCreated", "Company", Some(COMPANY))).await;
    let any_company = guid(wants("BusinessObjectUpdated", "Company", None)).await;
    let this_company = guid(wants("BusinessObjectUpdated", "Company", Some(COMPANY))).await;
    guid(wants("PacketUpdated", "Packet", Some(ANOTHER))).await;
    let mut post = async |event: Value, expected: &[&String]| {
        let (_, deliveries) = stage.post(event.clone()).await;
        assert_eq!(deliveries, expected.len() as u64, "{event}");
        let mut got = Vec::new();
        for _ in expected {
            got.push(stage.receiver.next().await.header("x-enate-webhook-guid").to_owned());
        }
        let mut expected: Vec<String> = expected.iter().map(|guid| (*guid).clone()).collect();
        got.sort();
        expected.sort();
        assert_eq!(got, expected);
    };
    // One event that the host posts reaches both who wants any company and who wants this one.
    post(object("BusinessObjectUpdated", "Company", COMPANY), &[&any_company, &this_company]).await;
    post(object("BusinessObjectUpdated", "Company", "another"), &[&any_company]).await;
    // A company's subscriptions do not fire for its schedules.
    let mut schedule = object("BusinessObjectUpdated", "Schedule", SCHEDULE);
    schedule["scope"] = json!([{"type": "Company", "id": COMPANY}]);
    post(schedule, &[]).await;
    post(packet("PacketCreated", json!({})), &[&created_in_company]).await;
    post(packet("PacketUpdated", json!({})), &[]).await;
    stage.refuse_event(object("SpecificBusinessObjectUpdated", "Company", COMPANY), "type").await;
    stage.end().await;
}

#[tokio::test]
async fn a_failed_message_is_retried_three_times() {
    let mut stage = stage().await;
    stage.subscribe(wants("PacketUpdated", "Packet", Some(PACKET))).await;
    // Whatever is not 2xx is tried again; 410 switches nothing off.
    for status in [500, 404, 410, 302] {
        stage.receiver.answer(status);
        let event = stage.event(packet("PacketUpdated", json!({"Status": 1}))).await;
        let first = stage.receiver.next().await;
        let requests = stage.fail_by_schedule(&event, first, &[60, 300, 900]).await;
        assert_eq!(requests.len(), 4);
        assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
    }
    stage.receiver.answer(503);
    let event = stage.event(packet("PacketUpdated", json!({}))).await;
    stage.receiver.next().await;
    stage.delivery(&format!("event={event}"), "pending", 1).await;
    stage.receiver.answer(204);
    stage.api.pass(std::time::Duration::from_secs(60));
    stage.receiver.next().await;
    let done = stage.delivery(&format!("event={event}"), "delivered", 2).await;
    stage.stay_quiet(&format!("event={event}"), &done).await;
    stage.end().await;
}

/// Tells that anna may build processes, and has access to these companies.
async fn tell_of_anna(stage: &Stage, companies: &[&str]) {
    let grants: Vec<_> = companies.iter().map(|id| json!({"type": "Company", "id": id})).collect();
    stage.user("anna", json!({"roles": ["ProcessBuilder"], "grants": grants})).await;
}

async fn by_anna(stage: &Stage, settings: Value) -> Reply {
    stage.by("anna", Method::POST, HOOKS, stage.hook(settings)).await
}

#[tokio::test]
async fn who_subscribes_needs_the_role_and_permission_on_the_object() {
    let mut stage = stage().await;
    let of_packet = || wants("PacketUpdated", "Packet", Some(PACKET));
    let of_company = || wants("PacketCreated", "Company", Some(COMPANY));
    let of_any = || wants("BusinessObjectCreated", "Company", None);
    stage.user("anna", json!({"roles": ["Other"], "grants": "all"})).await;
    for settings in [of_packet(), of_company(), of_any()] {
        let refused = by_anna(&stage, settings).await.problem(403, "permission_denied");
        assert_eq!(refused["detail"], "the user anna needs the role ProcessBuilder");
    }
    tell_of_anna(&stage, &[]).await;
    by_anna(&stage, of_any()).await.created();
    by_anna(&stage, of_company()).await.problem(403, "permission_denied");
    tell_of_anna(&stage, &[COMPANY]).await;
    let made = by_anna(&stage, of_company()).await.created();
    // A packet is reached by what it belongs to, once an event has told of that.
    by_anna(&stage, of_packet()).await.problem(403, "permission_denied");
    stage.event(packet("PacketCreated", json!({}))).await;
    stage.receiver.next().await;
    by_anna(&stage, of_packet()).await.created();
    // In an edit the role and both objects count.
    let path = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    let elsewhere = json!({"filter": {"type": "Company", "id": "another"}});
    stage.by("anna", Method::PATCH, &path, elsewhere).await.problem(403, "permission_denied");
    stage.by("anna", Method::PATCH, &path, json!({"name": "Mine"})).await.ok();
    stage.user("anna", json!({"roles": []})).await;
    stage.by("anna", Method::PATCH, &path, json!({"name": "Still mine"})).await.problem(403, "permission_denied");
    stage.end().await;
}

/// A delivery that its owner's lost right ended, after so many attempts.
async fn assert_skipped(stage: &mut Stage, event: &str, attempts: u32) -> Value {
    let query = format!("event={event}");
    let delivery = stage.delivery(&query, "skipped", attempts).await;
    assert_eq!(delivery["skipped_reason"], "access_revoked");
    assert_eq!(stage.attempts(&delivery).await.len(), attempts as usize);
    stage.stay_quiet(&query, &delivery).await;
    delivery
}

#[tokio::test]
async fn permission_lost_between_event_and_preparation_means_no_request() {
    let mut stage = stage().await;
    tell_of_anna(&stage, &[COMPANY]).await;
    by_anna(&stage, wants("PacketCreated", "Company", Some(COMPANY))).await.created();
    for rights in [
        json!({"roles": [], "grants": "all"}),
        json!({"roles": ["ProcessBuilder"], "grants": [{"type": "Company", "id": "another"}]}),
    ] {
        tell_of_anna(&stage, &[COMPANY]).await;
        // The event is taken and waits; the right goes; then its turn comes.
        let pause = stage.api.post("/v1/pauses", json!({"organization": ORG})).await.created();
        let event = stage.event(packet("PacketCreated", json!({}))).await;
        stage.delivery(&format!("event={event}"), "pending", 0).await;
        stage.user("anna", rights).await;
        stage.api.delete(&format!("/v1/pauses/{}", pause["id"].as_str().unwrap())).await.gone();
        let skipped = assert_skipped(&mut stage, &event, 0).await;
        let why = stage.api.get(&format!("/v1/organizations/{ORG}/events/{event}/explain")).await.ok();
        assert_eq!(why["webhooks"][0]["reason"], "access_revoked", "{why}");
        // With the right back, it can be sent.
        tell_of_anna(&stage, &[COMPANY]).await;
        stage.resend(&skipped).await;
        stage.receiver.next().await;
        stage.delivery(&format!("event={event}"), "delivered", 1).await;
    }
    stage.end().await;
}

#[tokio::test]
async fn permission_lost_between_two_attempts_ends_them() {
    let mut stage = stage().await;
    tell_of_anna(&stage, &[COMPANY]).await;
    by_anna(&stage, wants("PacketCreated", "Company", Some(COMPANY))).await.created();
    stage.receiver.answer(500);
    let event = stage.event(packet("PacketCreated", json!({}))).await;
    stage.receiver.next().await;
    stage.delivery(&format!("event={event}"), "pending", 1).await;
    stage.user("anna", json!({"roles": ["ProcessBuilder"]})).await;
    stage.api.pass(std::time::Duration::from_secs(60));
    let skipped = assert_skipped(&mut stage, &event, 1).await;
    assert_eq!(stage.attempts(&skipped).await[0]["response"]["status"], 500);
    stage.end().await;
}

#[tokio::test]
async fn a_guid_is_one_in_whatever_spelling() {
    let mut stage = stage().await;
    let braced = |guid: &str| format!("{{{}}}", guid.to_uppercase());
    tell_of_anna(&stage, &[&COMPANY.to_uppercase()]).await;
    let made = by_anna(&stage, wants("PacketCreated", "Company", Some(&braced(COMPANY)))).await.created();
    assert_eq!(made["filter"], json!({"type": "Company", "id": COMPANY}));
    let empty = wants("BusinessObjectCreated", "Company", Some(&braced(ZERO)));
    assert_eq!(stage.subscribe(empty).await["filter"], json!({"type": "Company"}));
    stage.event(packet("PacketCreated", json!({}))).await;
    stage.receiver.next().await;
    // As a system writes them that prints them in its own way: the packet, and the company that the right rests on.
    let spelt = |kind: &str| {
        let mut event = packet(kind, json!({}));
        event["entity"]["id"] = PACKET.to_uppercase().into();
        event["scope"][0]["id"] = COMPANY.replace('-', "").to_uppercase().into();
        event
    };
    stage.event(spelt("PacketCreated")).await;
    stage.receiver.next().await;
    by_anna(&stage, wants("PacketUpdated", "Packet", Some(&PACKET.replace('-', "")))).await.created();
    for event in [spelt("PacketUpdated"), packet("PacketUpdated", json!({}))] {
        let event = stage.event(event).await;
        stage.receiver.next().await;
        stage.delivery(&format!("event={event}"), "delivered", 1).await;
    }
    let known = format!("/v1/organizations/{ORG}/entities/Packet");
    let known = async |id: &str| stage.api.get(&format!("{known}/{id}")).await.ok();
    assert_eq!(known(&PACKET.to_uppercase()).await, known(PACKET).await);
    stage.end().await;
}

#[tokio::test]
async fn an_event_that_names_fewer_ancestors_takes_no_right_away() {
    let mut stage = stage().await;
    let grants = json!([{"type": "Contract", "id": CONTRACT}]);
    stage.user("anna", json!({"roles": ["ProcessBuilder"], "grants": grants})).await;
    stage.post(packet("PacketCreated", json!({}))).await;
    by_anna(&stage, wants("PacketUpdated", "Packet", Some(PACKET))).await.created();
    let updated = |company: &str| {
        let mut event = packet("PacketUpdated", json!({}));
        event["scope"] = json!([{"type": "Company", "id": company}]);
        event
    };
    let event = stage.event(updated(COMPANY)).await;
    stage.receiver.next().await;
    stage.delivery(&format!("event={event}"), "delivered", 1).await;
    // Where it has gone to another company, nothing of the former one's counts.
    let moved = stage.event(updated("another")).await;
    assert_skipped(&mut stage, &moved, 0).await;
    stage.end().await;
}

#[tokio::test]
async fn a_deleted_users_subscriptions_stop_and_one_handed_over_goes_on() {
    let mut stage = stage().await;
    tell_of_anna(&stage, &[COMPANY]).await;
    stage.user("ben", json!({"roles": ["ProcessBuilder"], "grants": "all"})).await;
    stage.user("carl", json!({"roles": ["ProcessBuilder"]})).await;
    let lost = by_anna(&stage, wants("PacketCreated", "Company", Some(COMPANY))).await.created();
    let kept = by_anna(&stage, wants("PacketCreated", "Company", Some(COMPANY))).await.created();
    let path = |hook: &Value| format!("{HOOKS}/{}", hook["id"].as_str().unwrap());
    // Only to somebody who may have it.
    stage.api.patch(&path(&kept), json!({"owner": "carl"})).await.invalid("owner");
    stage.api.patch(&path(&kept), json!({"owner": "ben"})).await.ok();
    stage.api.delete(&format!("/v1/organizations/{ORG}/users/anna")).await.gone();
    let (event, _) = stage.post(packet("PacketCreated", json!({}))).await;
    let request = stage.receiver.next().await;
    assert_eq!(request.header("x-enate-webhook-guid"), kept["uuid"]);
    let of = |hook: &Value| format!("event={event}&webhook={}", hook["id"].as_str().unwrap());
    stage.delivery(&of(&kept), "delivered", 1).await;
    let skipped = stage.delivery(&of(&lost), "skipped", 0).await;
    assert_eq!(skipped["skipped_reason"], "access_revoked");
    stage.api.patch(&path(&lost), json!({"owner": "ben"})).await.ok();
    stage.post(packet("PacketCreated", json!({}))).await;
    stage.receiver.next().await;
    stage.receiver.next().await;
    stage.end().await;
}

#[tokio::test]
async fn the_same_through_its_own_api() {
    let mut stage = stage().await;
    tell_of_anna(&stage, &[COMPANY]).await;
    let key = stage.api.key(&["manage"], json!({"organization": ORG, "user": "anna"})).await;
    let call = async |stage: &Stage, what: &str, body: Value| {
        let path = format!("/WebHookSubscription/{what}WebhookSubscription");
        stage.api.ask(Method::POST, &path).key(&key).json(&body).send().await
    };
    let url = stage.receiver.url("/h");
    let input = json!({"Webhook": "PacketCreated", "FilterObjectGUID": COMPANY, "FilterObjectType": 31,
        "SubscriberURL": url, "CustomHeader": "X-Mine", "CustomHeaderValue": "yes"});
    let made = call(&stage, "Create", input.clone()).await.ok();
    let guid = made["GUID"].as_str().unwrap().to_owned();
    let list =
        stage.api.ask(Method::GET, "/WebHookSubscription/GetAllWebhookSubscriptions").key(&key).send().await.ok();
    assert_eq!(list, json!([made]));
    assert_eq!((&made["FilterObjectType"], &made["FilterObjectTypeName"]), (&json!(31), &json!("Company")));
    stage.event(packet("PacketCreated", json!({"Reference": "1042-T"}))).await;
    let request = stage.receiver.next().await;
    assert_eq!((request.header("x-enate-webhook-guid"), request.header("x-mine")), (guid.as_str(), "yes"));
    // Who may not manage it sees what was sent, but for the custom header's value.
    stage.user("vera", json!({"roles": ["Viewer"]})).await;
    let sent = stage.delivery("state=delivered", "delivered", 1).await;
    let log = format!("/v1/organizations/{ORG}/deliveries/{}/attempts", sent["id"].as_str().unwrap());
    let mine = async |user: &str| {
        let headers = stage.by(user, Method::GET, &log, json!({})).await.ok()["data"][0]["request"]["headers"].clone();
        assert_eq!(headers["x-enate-webhook-guid"], guid, "{headers}");
        headers["x-mine"].clone()
    };
    assert_eq!((mine("anna").await, mine("vera").await), (json!("yes"), json!("****")));

    let update = json!({"GUID": guid, "Webhook": "BusinessObjectCreated", "FilterObjectGUID": null, "FilterObjectType": 260,
        "CustomHeader": "", "CustomHeaderValue": null});
    call(&stage, "Update", update).await.ok();
    stage.event(object("BusinessObjectCreated", "Schedule", SCHEDULE)).await;
    let golden = format!(
        "POST /h HTTP/1.1\nContent-Type: application/json\nX-Enate-Webhook-GUID: {guid}\n\n{{\"Name\":\"2022 Schedule\",\"GUID\":\"{guid}\"}}"
    );
    stage.receiver.next().await.assert_is(&golden);

    stage.user("anna", json!({"grants": "all"})).await;
    call(&stage, "Create", input.clone()).await.problem(403, "permission_denied");
    call(&stage, "Delete", json!({"GUID": guid})).await.problem(403, "permission_denied");
    tell_of_anna(&stage, &[]).await;
    call(&stage, "Create", input).await.problem(403, "permission_denied");
    call(&stage, "Delete", json!({"GUID": guid})).await.gone();
    assert_eq!(stage.post(object("BusinessObjectCreated", "Schedule", SCHEDULE)).await.1, 0);
    stage.end().await;
}

#[tokio::test]
async fn its_own_api_refuses_every_subscription_beside_the_matrix() {
    let stage = stage().await;
    let key = stage.api.key(&["manage"], json!({"organization": ORG, "user": "builder"})).await;
    for (event, _, names_one, types) in WEBHOOKS {
        for (kind, number) in TYPES {
            for id in [ZERO, COMPANY] {
                let names = id == COMPANY;
                // By its number or by its name.
                let kind = if names_one { json!(kind) } else { json!(number) };
                let input = json!({"Webhook": event, "FilterObjectGUID": id, "FilterObjectType": kind,
                    "SubscriberURL": stage.receiver.url("/h")});
                let path = "/WebHookSubscription/CreateWebhookSubscription";
                let reply = stage.api.ask(Method::POST, path).key(&key).json(&input).send().await;
                if takes(event, types, number)
                    && (names == names_one || event == "BusinessObjectUpdated" || event == CREATED)
                {
                    reply.ok();
                    continue;
                }
                let refused = reply.problem(422, "validation_failed");
                let fields: Vec<_> =
                    refused["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
                let wrong_type = !takes(event, types, number) && fields.contains(&&json!("FilterObjectType"));
                let wrong_id = names != names_one && fields.contains(&&json!("FilterObjectGUID"));
                assert!(wrong_type || wrong_id, "{input}: {refused}");
            }
        }
    }
    stage.end().await;
}
