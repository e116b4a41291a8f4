//! The profiles of well-known senders: their published known answers, and for each a whole request.

use fanfare_engine::event::EntityRef;
use fanfare_engine::profile::{Handshake, RetrySends, TestOn};
use fanfare_engine::webhook::{ContentType, Webhook};
use std::time::Duration;

use crate::builders::{SECRET, body, builtin, event, header, render, webhook, written};

/// A webhook as the profile would make it, with this secret.
fn webhook_of(name: &str, secret: &str) -> Webhook {
    let mut made = webhook(&[secret]);
    made.profile = name.into();
    made.settings.content_type = builtin(name).content_types.default;
    assert_eq!(builtin(name).check_settings(&made.settings, &made.credentials), Ok(()), "{name}");
    made
}

#[test]
fn published_known_answers_by_whole_requests() {
    let slack = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let answers = [
        (
            "github",
            "It's a Secret to Everybody",
            0,
            "Hello, World!",
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
        (
            "stripe",
            "whsec_test_secret",
            1_492_774_577,
            "{\"object\": \"event\"}",
            "stripe-signature",
            "t=1492774577,v1=177be1c025ff773b355f3978950e72d9f22480ab862731119290485bff95a4b0",
        ),
        ("shopify", "hush", 0, "{\"id\":1}", "x-shopify-hmac-sha256", "VnKUjZsLuN5iZWjn5EntcBVCF9kMN43LglzCE1/GSeY="),
        (
            "slack",
            "8f742231b10e8888abcd99yyyzzz85a5",
            1_531_420_618,
            slack,
            "x-slack-signature",
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        ),
    ];
    for (name, secret, seconds, sent, signature, value) in answers {
        let rendered = render(&builtin(name), &webhook_of(name, secret), &event("test", sent), seconds);
        assert_eq!((body(&rendered), header(&rendered, signature)), (sent, value), "{name}");
    }
}

/// The message's id is the host's there, which Svix's own is not; the signed text is the same.
#[test]
fn svix_known_answer() {
    let mut profile = builtin("svix").as_ref().clone();
    profile.ids.message = fanfare_engine::profile::MessageIdOf::External;
    let mut event = event("test", "{\"test\": 2432232314}");
    event.external_id = Some("msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned());
    let rendered = render(&profile.into(), &webhook_of("svix", SECRET), &event, 1_614_265_330);
    assert_eq!(header(&rendered, "svix-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

const DATA: &str = "{\"b\": 1.0, \"name\": \"Füße\"}";

fn golden(name: &str, secret: &str, kind: &str) -> String {
    let mut event = event(kind, DATA);
    event.scope.push(EntityRef { kind: "shop".to_owned(), id: "cool.myshopify.com".to_owned() });
    event.scope.push(EntityRef { kind: "repository".to_owned(), id: "1296269".to_owned() });
    written(&render(&builtin(name), &webhook_of(name, secret), &event, 1_614_265_330))
}

#[test]
fn a_request_of_each_sender() {
    assert_eq!(golden("svix", SECRET, "invoice.paid"), include_str!("golden/svix.txt"));
    assert_eq!(golden("github", "hush", "issues"), include_str!("golden/github.txt"));
    assert_eq!(golden("stripe", "whsec_test_secret", "charge.succeeded"), include_str!("golden/stripe.txt"));
    assert_eq!(golden("shopify", "hush", "orders/create"), include_str!("golden/shopify.txt"));
    assert_eq!(golden("slack", "hush", "message"), include_str!("golden/slack.txt"));
    assert_eq!(golden("cloudevents", SECRET, "job.created"), include_str!("golden/cloudevents.txt"));
    assert_eq!(golden("cloudevents-binary", SECRET, "job.created"), include_str!("golden/cloudevents-binary.txt"));
    assert_eq!(golden("http-signatures", SECRET, "job.created"), include_str!("golden/http-signatures.txt"));
}

#[test]
fn github_signs_the_form_and_pings() {
    let mut webhook = webhook_of("github", "hush");
    webhook.settings.content_type = ContentType::Form;
    let rendered = render(&builtin("github"), &webhook, &event("issues", DATA), 0);
    assert_eq!(body(&rendered), "payload=%7B%22b%22%3A+1.0%2C+%22name%22%3A+%22F%C3%BC%C3%9Fe%22%7D");
    // Computed by Python's hmac over that body.
    assert_eq!(header(&rendered, "x-hub-signature"), "sha1=c9f57c8436667452f53de73124a0a8c610a8d4cc");
    let ping = render(&builtin("github"), &webhook_of("github", "hush"), &event("ping", "{}"), 0);
    let expected = concat!(
        "{\"zen\":\"Keep it logically awesome.\",\"hook_id\":1,\"hook\":{\"type\":\"Organization\",\"id\":1,",
        "\"name\":\"web\",\"config\":{\"content_type\":\"json\",\"url\":\"https://example.com/h\"}}}"
    );
    assert_eq!(body(&ping), expected);
    assert_eq!(header(&ping, "x-github-event"), "ping");
}

#[test]
fn cloud_events_headers_are_percent_encoded() {
    let mut event = event("job.created", "{}");
    event.entity.as_mut().unwrap().id = "Euro € 😀".to_owned();
    let binary = render(&builtin("cloudevents-binary"), &webhook_of("cloudevents-binary", SECRET), &event, 0);
    assert_eq!(header(&binary, "ce-subject"), "Flow/Euro%20%E2%82%AC%20%F0%9F%98%80");
    event.entity = None;
    event.external_id = Some("A234-1234-1234".to_owned());
    let mut unsigned = webhook_of("cloudevents", SECRET);
    unsigned.credentials.secrets.clear();
    let structured = render(&builtin("cloudevents"), &unsigned, &event, 0);
    assert!(body(&structured).starts_with("{\"specversion\":\"1.0\",\"id\":\"A234-1234-1234\",\"source\":\""));
    assert!(!body(&structured).contains("subject"), "{}", body(&structured));
    assert_eq!(header(&structured, "content-type"), "application/cloudevents+json");
    assert_eq!(header(&structured, "webhook-id"), "(none)");
}

#[test]
fn what_the_senders_document_of_their_manner() {
    let hours = |name: &str| builtin(name).retry.delays.iter().sum::<Duration>().as_secs_f64() / 3_600.0;
    let count = |name: &str| builtin(name).retry.delays.len();
    let timeout = |name: &str| builtin(name).timeouts.exchange.as_secs();
    assert_eq!((count("github"), timeout("github")), (0, 10));
    assert_eq!((count("shopify"), timeout("shopify"), hours("shopify")), (8, 5, 4.0));
    assert_eq!((count("slack"), timeout("slack")), (3, 3));
    assert!((48.0..72.0).contains(&hours("stripe")));
    assert_eq!(builtin("shopify").retry.sends, RetrySends::AsFirstSent);
    assert_eq!(builtin("github").activation.test_on, TestOn::Creation);
    let handshakes = ["slack", "cloudevents", "cloudevents-binary", "svix"].map(|name| builtin(name).handshake);
    let agreed = Handshake::CloudEvents;
    assert_eq!(handshakes, [Handshake::Challenge, agreed, agreed, Handshake::None]);
}
