//! Messages before the eyes of customers' receivers: the public verifying libraries for Python and Node.js.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fanfare::clock::{Clock, SystemClock};

/// A receiver that checks messages by the Standard Webhooks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Receiver {
    Python,
    Node,
}

/// All of them.
pub(crate) const RECEIVERS: [Receiver; 2] = [Receiver::Python, Receiver::Node];

/// A request as a receiver sees it.
pub(crate) struct Message {
    /// The webhook's secret, `whsec_…`.
    pub(crate) secret: String,
    /// Names in any case, and values.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why a receiver refused a message, in its library's words.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Receiver {
    /// Has the receiver check `message`, at the system's present time: its library refuses what is 5 minutes off.
    ///
    /// # Panics
    /// Where the receiver's library is not installed, or the receiver itself breaks.
    pub(crate) fn verify(self, message: &Message) -> Result<(), Refused> {
        let (program, script, library) = self.installation();
        check(&program, &script, &[], &library, &message.as_json())
    }

    /// The program, its script, and where its library is installed.
    fn installation(self) -> (PathBuf, PathBuf, PathBuf) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let installed = root.join("target/receivers");
        let scripts = root.join("tests/receivers");
        match self {
            Receiver::Python => {
                let program = installed.join("python/bin/python");
                (program.clone(), scripts.join("verify_standard.py"), program)
            }
            Receiver::Node => {
                let library = installed.join("node/node_modules/standardwebhooks");
                (PathBuf::from("node"), scripts.join("verify_standard.mjs"), library)
            }
        }
    }
}

/// A public library of a well-known sender, by the argument that the scripts take.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Vendor {
    Python(&'static str),
    Node(&'static str),
}

impl Vendor {
    /// Has the library check `message`, which was sent to `url`.
    ///
    /// # Panics
    /// Where the library is not installed, or breaks.
    pub(crate) fn verify(self, message: &Message, url: &str) -> Result<(), Refused> {
        let (receiver, script, name) = match self {
            Vendor::Python(name) => (Receiver::Python, "verify_vendor.py", name),
            Vendor::Node(name) => (Receiver::Node, "verify_vendor.mjs", name),
        };
        let (program, standard, library) = receiver.installation();
        let mut input = message.to_json();
        input["url"] = url.into();
        check(&program, &standard.with_file_name(script), &[name], &library, &input.to_string())
    }
}

/// Runs a script that prints "valid", or why not.
fn check(program: &Path, script: &Path, arguments: &[&str], library: &Path, input: &str) -> Result<(), Refused> {
    assert!(
        library.exists(),
        "{} is not there: script/test installs what the tests' receivers need; run it once",
        library.display()
    );
    let mut child = Command::new(program)
        .arg(script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{} does not start ({error}): script/test installs it; run it once", program.display())
        });
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match (output.status.code(), said.as_str()) {
        (Some(0), "valid") => Ok(()),
        (Some(1), reason) if !reason.is_empty() => Err(Refused(said)),
        _ => panic!("{} broke: {}{said}", script.display(), String::from_utf8_lossy(&output.stderr)),
    }
}

impl Message {
    fn as_json(&self) -> String {
        self.to_json().to_string()
    }

    fn to_json(&self) -> serde_json::Value {
        let headers: serde_json::Map<_, _> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let body = STANDARD.encode(&self.body);
        serde_json::json!({ "secret": self.secret, "headers": headers, "body": body })
    }

    fn set_header(&mut self, name: &str, value: &str) {
        let header = self.headers.iter_mut().find(|(known, _)| known == name).unwrap();
        header.1 = value.to_owned();
    }
}

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A message that is signed by the public Rust library, `age_seconds` ago.
fn signed_message(age_seconds: i64) -> Message {
    let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    let timestamp = SystemClock.now().seconds() - age_seconds;
    let body = r#"{"type":"job.created","data":{"title":"Füße & Hände ✓"}}"#.as_bytes().to_vec();
    let signature = standardwebhooks::Webhook::new(SECRET).unwrap().sign(id, timestamp, &body).unwrap();
    let headers =
        [("Webhook-Id", id), ("webhook-timestamp", &timestamp.to_string()), ("webhook-signature", &signature)];
    Message {
        secret: SECRET.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body,
    }
}

/// The signature that the Standard Webhooks' own libraries are tested with.
#[test]
fn the_signing_library_gives_the_published_answer() {
    let body = br#"{"email":"test@example.com","username":"test_user"}"#;
    let webhook = standardwebhooks::Webhook::new(SECRET).unwrap();
    let signature = webhook.sign("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body).unwrap();
    assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
}

#[test]
fn receivers_accept_a_signed_message() {
    for receiver in RECEIVERS {
        if let Err(refused) = receiver.verify(&signed_message(0)) {
            panic!("{receiver:?}: {refused}");
        }
    }
}

#[test]
fn receivers_accept_one_good_signature_among_several() {
    let mut message = signed_message(0);
    let signature = message.headers[2].1.clone();
    message.set_header("webhook-signature", &format!("v1,tFtCZ5RDCPxzWQRWXWPgrCgE2frDBe9gjpbWQxnVfsQ= {signature}"));
    for receiver in RECEIVERS {
        if let Err(refused) = receiver.verify(&message) {
            panic!("{receiver:?}: {refused}");
        }
    }
}

#[test]
fn receivers_refuse_a_message_that_was_tampered_with() {
    let mut other_body = signed_message(0);
    other_body.body.push(b' ');
    let mut other_id = signed_message(0);
    other_id.set_header("Webhook-Id", "msg_other");
    let mut other_secret = signed_message(0);
    other_secret.secret = format!("whsec_{}", STANDARD.encode([7; 24]));
    for message in [other_body, other_id, other_secret] {
        for receiver in RECEIVERS {
            let Refused(reason) = receiver.verify(&message).unwrap_err();
            assert_eq!(reason, "WebhookVerificationError: No matching signature found", "{receiver:?}");
        }
    }
}

#[test]
fn receivers_refuse_a_replayed_message() {
    for receiver in RECEIVERS {
        let Refused(reason) = receiver.verify(&signed_message(600)).unwrap_err();
        assert_eq!(reason, "WebhookVerificationError: Message timestamp too old", "{receiver:?}");
    }
}
