//! The texts of the page on checking signatures.

use crate::portal::texts::VerifyTexts;

pub(super) const VERIFY: VerifyTexts = VerifyTexts {
    title: "Check signatures",
    lead: "Code for your receiver that tells our requests from anybody else's, made for this webhook.",
    link: "Code that checks it",
    how: "How requests are signed",
    header: "Header",
    signed: "What is signed",
    algorithm: "Algorithm",
    public_key: "Public key",
    hex: "in hexadecimal digits",
    base64: "in base64",
    code: "Code",
    language: "Language",
    reveal: "Put the secret in",
    note_body: "Check the body as it came, byte for byte, before anything parses it.",
    note_time: "Requests signed more than {minutes} minutes ago are refused, so that nobody can repeat an old one.",
    note_secret: "Keep the secret where your other secrets are, not in the code.",
    curl: "Sends your receiver a signed request, to see its check at work.",
    not_signed: "Requests of this format are not signed. Have your receiver ask for a user name and password, or for a token, and give them to the webhook under authentication, where its format has that; or put a word that nobody guesses into the URL. Either way use https.",
    no_secret: "This webhook has no secret, so its requests are not signed. Give it one on its page, under signing secret.",
    not_these: "Requests are not signed with the method and content type that this webhook has. Choose others in its settings.",
    message_signatures: "Requests are signed as HTTP Message Signatures (RFC 9421), with Content-Digest (RFC 9530). That takes a library: http-message-signatures for Python, http-message-signatures for Node.js, httpsign for Go, and others that name RFC 9421. Give it the secret's key, and have it demand the components that are named in Signature-Input.",
    ed25519: "Requests are signed with ed25519. Your receiver needs the public key only: give it to a library of Standard Webhooks, or to the ed25519 of your language.",
    unreadable: "What is signed holds more than a request says of itself, so a receiver cannot put it together from the request alone. Ask the people who run this which values they are.",
};
