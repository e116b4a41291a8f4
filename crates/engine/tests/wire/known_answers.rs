//! Published known answers: a profile of few lines gives the signature that the original sender gives.

use proptest::prelude::*;

use crate::builders::{SECRET, event, header, profile, render, standard, webhook};

/// Signs `body` as sent raw under a profile with the signature `knobs`, and gives the header's value.
fn signed(knobs: &str, name: &str, secret: &str, id: &str, seconds: i64, body: &str) -> String {
    let knobs = format!(
        "[ids]\nmessage = \"external\"\n[secret]\nrule = \"given\"\n[[signatures]]\nheader = \"{name}\"\n{knobs}"
    );
    let mut event = event("test", body);
    event.external_id = Some(id.to_owned());
    let rendered = render(&profile(&knobs), &webhook(&[secret]), &event, seconds);
    assert_eq!(rendered.body, body);
    header(&rendered, name).to_owned()
}

#[test]
fn standard_webhooks_v1() {
    let knobs = r#"algorithm = "hmac-sha256"
key = "whsec"
input = "{id}.{timestamp}.{body}"
encoding = "base64"
item = "v1,{signature}""#;
    let body = r##"{"test": 2432232314}"##;
    let value = signed(knobs, "webhook-signature", SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
    assert_eq!(value, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn svix() {
    let knobs = r#"algorithm = "hmac-sha256"
key = "whsec"
input = "{id}.{timestamp}.{body}"
encoding = "base64"
item = "v1,{signature}""#;
    let body = r##"{"test": 2432232314}"##;
    let value = signed(knobs, "svix-signature", SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
    assert_eq!(value, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn standard_webhooks_v1a() {
    let knobs = r#"algorithm = "ed25519"
key = "whsk"
input = "{id}.{timestamp}.{body}"
encoding = "base64"
item = "v1a,{signature}""#;
    let body = r##"{"test": 2432232314}"##;
    let value = signed(
        knobs,
        "webhook-signature",
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        body,
    );
    assert_eq!(value, "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==");
}

#[test]
fn github() {
    let knobs = r#"algorithm = "hmac-sha256"
item = "sha256={signature}""#;
    let body = r##"Hello, World!"##;
    let value = signed(knobs, "X-Hub-Signature-256", "It's a Secret to Everybody", "msg", 0, body);
    assert_eq!(value, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
}

#[test]
fn stripe() {
    let knobs = r#"algorithm = "hmac-sha256"
input = "{timestamp}.{body}"
item = "v1={signature}"
join = ","
value = "t={timestamp},{signatures}""#;
    let body = r##"{"object": "event"}"##;
    let value = signed(knobs, "Stripe-Signature", "whsec_test_secret", "msg", 1_492_774_577, body);
    assert_eq!(value, "t=1492774577,v1=177be1c025ff773b355f3978950e72d9f22480ab862731119290485bff95a4b0");
}

#[test]
fn shopify() {
    let knobs = r#"algorithm = "hmac-sha256"
encoding = "base64""#;
    let body = r##"{"id":1}"##;
    let value = signed(knobs, "X-Shopify-Hmac-SHA256", "hush", "msg", 0, body);
    assert_eq!(value, "VnKUjZsLuN5iZWjn5EntcBVCF9kMN43LglzCE1/GSeY=");
}

#[test]
fn slack() {
    let knobs = r#"algorithm = "hmac-sha256"
input = "v0:{timestamp}:{body}"
item = "v0={signature}""#;
    let body = r##"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"##;
    let value = signed(knobs, "X-Slack-Signature", "8f742231b10e8888abcd99yyyzzz85a5", "msg", 1_531_420_618, body);
    assert_eq!(value, "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503");
}

#[test]
fn etlworks_json() {
    let knobs = r#"algorithm = "hmac-sha1""#;
    let body = r##"{"eventId":"7027e72b-9005-4fcc-8385-8da47249136a","eventType":"Flow.Executed","webhookId":1,"entityId":11225,"entityUrl":"https://app.etlworks.com/rest/v1/flows/1?auditId=11225","timestamp":1588429200207}"##;
    let value = signed(knobs, "X-Etl-Webhook-Signature", "ZjZlZDdlOWE3OGQ0NTk4MTU1MjkzNDA0", "msg", 0, body);
    assert_eq!(value, "269ec9d89809c0bfee29ee058e8d8dcf8f254029");
}

#[test]
fn etlworks_form() {
    let knobs = r#"algorithm = "hmac-sha1""#;
    let body = r##"eventId=32f54fa6-41ae-432e-a720-4373bdf72e6d&eventType=Flow.Executed&webhookId=1&entityId=11157&timestamp=1588165500224"##;
    let value = signed(knobs, "X-Etl-Webhook-Signature", "ZjZlZDdlOWE3OGQ0NTk4MTU1MjkzNDA0", "msg", 0, body);
    assert_eq!(value, "24ca8b6a5f65c599a69961a8afa4202f50e966bc");
}

/// RFC 4231, test case 2: the key as hexadecimal digits and as base64 gives the same.
#[test]
fn rfc_4231_hmac_sha512() {
    let answer = concat!(
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554",
        "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
    );
    for (key, secret) in [("hex", "4a656665"), ("base64", "SmVmZQ=="), ("utf8", "Jefe")] {
        let knobs = format!("algorithm = \"hmac-sha512\"\nkey = \"{key}\"");
        let value = signed(&knobs, "x-signature", secret, "msg", 0, "what do ya want for nothing?");
        assert_eq!(value, answer, "{key}");
    }
}

proptest! {
    /// The reference library is an implementation that is not ours.
    #[test]
    fn the_standard_signature_is_the_reference_librarys(data in "[ -~]{0,2000}", seconds in 0i64..4_000_000_000) {
        let data = serde_json::Value::from(data).to_string();
        let rendered = render(&standard(), &webhook(&[SECRET]), &event("job.created", &data), seconds);
        let reference = standardwebhooks::Webhook::new(SECRET).unwrap();
        let expected = reference.sign(header(&rendered, "webhook-id"), seconds, &rendered.body).unwrap();
        prop_assert_eq!(header(&rendered, "webhook-signature"), expected);
    }
}
