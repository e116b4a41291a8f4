//! What is shown where a page cannot be: why, and what to do.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use fanfare_store::StoreError;

use super::assets::{ASSETS, Assets};
use super::texts::Texts;
use super::webhooks;
use crate::catalogue::CatalogueError;

/// Why there is no page.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// The browser shows no session.
    NoSession,
    /// Its session is over.
    Ended,
    /// The link was used, is too old, or never was.
    Code,
    /// The browser did not send back the cookie that it was given.
    Cookie,
    /// There is no such thing, or it is not the visitor's.
    NotFound,
    /// The visitor may not; says what is lacking.
    Forbidden(String),
    CrossSite,
    /// The form carries the mark of another session, or none.
    StaleForm,
    /// It cannot be done in the present state; says why.
    State(String),
    TooLarge,
    /// The form did not arrive in time.
    TooSlow,
    Unavailable,
    Internal,
}

/// The page.
#[derive(Template)]
#[template(path = "portal/refusal.html")]
struct Page {
    t: &'static Texts,
    assets: &'static Assets,
    title: &'static str,
    text: String,
    /// What else to do, if anything.
    advice: Option<&'static str>,
    /// Where to go on, and what it is called.
    home: Option<(&'static str, &'static str)>,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::NoSession | Refusal::Ended | Refusal::Cookie => StatusCode::UNAUTHORIZED,
            Refusal::Code => StatusCode::GONE,
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::Forbidden(_) | Refusal::CrossSite | Refusal::StaleForm => StatusCode::FORBIDDEN,
            Refusal::State(_) => StatusCode::CONFLICT,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The page that says it.
    pub(super) fn show(&self, t: &'static Texts) -> Response {
        self.show_before(t, (webhooks::PATH, t.refusal.to_webhooks))
    }

    /// The page that says it, with the way to `home` for who is signed in.
    pub(super) fn show_before(&self, t: &'static Texts, home: (&'static str, &'static str)) -> Response {
        let r = &t.refusal;
        let (title, text) = match self {
            Refusal::NoSession => (r.no_session_title, r.no_session.to_owned()),
            Refusal::Ended => (r.ended_title, r.ended.to_owned()),
            Refusal::Code => (r.code_title, r.code.to_owned()),
            Refusal::Cookie => (r.cookie_title, r.cookie.to_owned()),
            Refusal::NotFound => (r.not_found_title, r.not_found.to_owned()),
            Refusal::Forbidden(why) => (r.forbidden_title, sentence(why)),
            Refusal::CrossSite => (r.cross_site_title, r.cross_site.to_owned()),
            Refusal::StaleForm => (r.cross_site_title, r.stale_form.to_owned()),
            Refusal::State(why) => (r.state_title, sentence(why)),
            Refusal::TooLarge => (r.too_large_title, r.too_large.to_owned()),
            Refusal::TooSlow => (r.too_slow_title, r.too_slow.to_owned()),
            Refusal::Unavailable => (r.unavailable_title, r.unavailable.to_owned()),
            Refusal::Internal => (r.internal_title, r.internal.to_owned()),
        };
        let outside = matches!(self, Refusal::NoSession | Refusal::Ended | Refusal::Code);
        let advice = match self {
            Refusal::NoSession | Refusal::Ended | Refusal::Code => Some(r.new_link),
            Refusal::Forbidden(_) => Some(r.forbidden),
            _ => None,
        };
        let signed_in = !outside && !matches!(self, Refusal::Cookie);
        let page = Page { t, assets: &ASSETS, title, text, advice, home: signed_in.then_some(home) };
        match page.render() {
            Ok(html) => (self.status(), Html(html)).into_response(),
            Err(error) => {
                tracing::error!(%error, "a page could not be written");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// The text as a sentence of its own.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// The gate shows it, in the visitor's language.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut answer = self.status().into_response();
        answer.extensions_mut().insert(self);
        answer
    }
}

impl From<CatalogueError> for Refusal {
    fn from(error: CatalogueError) -> Self {
        let text = error.to_string();
        match error {
            CatalogueError::NotFound(_) => Refusal::NotFound,
            CatalogueError::Invalid(errors) => {
                let words: Vec<String> =
                    errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect();
                Refusal::State(words.join("; "))
            }
            CatalogueError::State(why) => Refusal::State(why.to_owned()),
            CatalogueError::Forbidden(why) => Refusal::Forbidden(why),
            CatalogueError::Busy(_) => Refusal::Unavailable,
            CatalogueError::Unready(why) => Refusal::State(why),
            CatalogueError::Denied(_)
            | CatalogueError::Taken(_)
            | CatalogueError::Contended(_)
            | CatalogueError::Full { .. } => Refusal::State(text),
            CatalogueError::Store(error) => error.into(),
            CatalogueError::Vault(error) => {
                tracing::error!(cause = %error, "a page failed");
                Refusal::Internal
            }
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::warn!(%cause, "the store is unavailable");
                Refusal::Unavailable
            }
            other => {
                tracing::error!(cause = %other, "a page failed");
                Refusal::Internal
            }
        }
    }
}

impl From<askama::Error> for Refusal {
    fn from(error: askama::Error) -> Self {
        tracing::error!(cause = %error, "a page could not be written");
        Refusal::Internal
    }
}
