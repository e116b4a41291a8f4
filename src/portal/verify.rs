//! `/portal/webhooks/{webhook}/verify`: how the receiver checks that a request is ours, as code made for this webhook.

mod languages;
mod literal;
mod recipe;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use fanfare_engine::access::Action;
use fanfare_engine::signing::{Algorithm, Encoding};

use self::languages::Code;
use self::recipe::{Recipe, TOLERANCE_SECONDS, Without};
use super::Answer;
use super::form::Form;
use super::reach;
use super::refusal::Refusal;
use super::shell::{Section, Shell, page};
use super::texts::{Texts, fill};
use super::visitor::Visitor;
use super::webhook::note_revealed;
use super::webhooks::name_of;
use crate::app::App;
use crate::catalogue::webhooks::OpenWebhook;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/portal/webhooks/{webhook}/verify", get(show).post(reveal))
}

#[derive(Template)]
#[template(path = "portal/verify.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    id: String,
    name: String,
    /// What is signed and how, in words.
    facts: Vec<(&'static str, String)>,
    codes: Vec<Code>,
    /// That old requests are refused, where they say when they were sent.
    tolerance: Option<String>,
    /// Whether the secret is in the code.
    revealed: bool,
    /// Why there is no code, and what to do instead.
    without: Option<&'static str>,
}

async fn show(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>) -> Answer {
    let webhook = reach::webhook(&app, &visitor, &id, Action::See).await?;
    page(&Page::of(&app, &visitor, &webhook, false)?)
}

async fn reveal(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, _form: Form) -> Answer {
    let webhook = reach::webhook(&app, &visitor, &id, Action::Manage).await?;
    note_revealed(&visitor, &webhook);
    page(&Page::of(&app, &visitor, &webhook, true)?)
}

impl Page {
    fn of(app: &App, visitor: &Visitor, webhook: &OpenWebhook, revealed: bool) -> Result<Page, Refusal> {
        let t = visitor.t;
        let row = &webhook.row;
        let name = name_of(t, &row.settings);
        let profile = app.profiles.get(&row.profile);
        let unknown = Err(Without::Unreadable);
        let found = profile.map_or(unknown, |profile| Recipe::of(profile, webhook, app.now()));
        let mut tolerance = None;
        let (facts, codes, without) = match found {
            Ok(recipe) => {
                let prefix = match (recipe.prefix(), profile) {
                    ("", Some(profile)) => &profile.secret.prefix,
                    (prefix, _) => prefix,
                };
                let minutes = TOLERANCE_SECONDS / 60;
                tolerance = recipe.time.as_ref().map(|_| fill(t.verify.note_time, &[("minutes", &minutes)]));
                let hidden = format!("{prefix}YOUR_SECRET");
                let recipe = if revealed { recipe } else { recipe.with_secret(hidden) };
                (facts(t, &recipe), languages::codes(&recipe, &row.settings)?, None)
            }
            Err(reason) => (facts_without(t, &reason), Vec::new(), Some(instead(t, &reason))),
        };
        Ok(Page {
            shell: Shell::new(visitor, Section::Webhooks, format!("{} · {name}", t.verify.title)),
            t,
            id: row.id.to_string(),
            name,
            facts,
            codes,
            tolerance,
            revealed,
            without,
        })
    }
}

fn facts(t: &Texts, recipe: &Recipe) -> Vec<(&'static str, String)> {
    let v = &t.verify;
    let algorithm = match recipe.algorithm {
        Algorithm::HmacSha1 => "HMAC-SHA1",
        Algorithm::HmacSha256 => "HMAC-SHA256",
        Algorithm::HmacSha512 => "HMAC-SHA512",
        Algorithm::Ed25519 => "ed25519",
    };
    let encoding = match recipe.encoding {
        Encoding::Hex => v.hex,
        Encoding::Base64 => v.base64,
    };
    vec![
        (v.header, recipe.header_in_words()),
        (v.signed, recipe.signed_in_words()),
        (v.algorithm, format!("{algorithm}, {encoding}")),
    ]
}

fn facts_without(t: &Texts, reason: &Without) -> Vec<(&'static str, String)> {
    match reason {
        Without::Ed25519 { public_key, header } => {
            vec![(t.verify.header, header.clone()), (t.verify.public_key, public_key.clone())]
        }
        _ => Vec::new(),
    }
}

/// What to use where there is no code to show.
fn instead(t: &Texts, reason: &Without) -> &'static str {
    let v = &t.verify;
    match reason {
        Without::NotSigned => v.not_signed,
        Without::NoSecret => v.no_secret,
        Without::NotThese => v.not_these,
        Without::MessageSignatures => v.message_signatures,
        Without::Ed25519 { .. } => v.ed25519,
        Without::Unreadable => v.unreadable,
    }
}
