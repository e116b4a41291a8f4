//! Errors as they are answered: RFC 9457 problems with a code from a closed list.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fanfare_engine::profile::FieldError;
use fanfare_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalogue::CatalogueError;
use crate::guesses::WRONG_KEYS;
use crate::request_id;
use crate::request_log::Reason;

/// The media type of problems.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");
/// After how many seconds a request that was refused for the moment may come again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

macro_rules! codes {
    ($($code:ident = $name:literal $status:ident $title:literal $meaning:literal;)*) => {
        /// What went wrong: a closed list. `docs/errors.md` explains each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $(#[doc = $meaning] $code),* }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$code),*];

            /// The word for it in answers.
            pub fn name(self) -> &'static str {
                match self { $(Code::$code => $name),* }
            }

            /// The status of an answer with it.
            pub fn status(self) -> StatusCode {
                match self { $(Code::$code => StatusCode::$status),* }
            }

            /// A few words that are always the same.
            pub fn title(self) -> &'static str {
                match self { $(Code::$code => $title),* }
            }

            /// What it means and what to do.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$code => $meaning),* }
            }
        }
    };
}

codes! {
    InvalidJson = "invalid_json" BAD_REQUEST "The body is not JSON"
        "The body is not JSON text in UTF-8, or is nested too deeply. `detail` says at which line and column.";
    InvalidParameter = "invalid_parameter" BAD_REQUEST "A parameter is not valid"
        "A query parameter or a header is unknown or has a value it cannot have. `errors` names it.";
    InvalidCursor = "invalid_cursor" BAD_REQUEST "The cursor is not valid"
        "`cursor` is not the `next_cursor` of the same list. Start the list anew without it.";
    Unauthenticated = "unauthenticated" UNAUTHORIZED "A valid key is needed"
        "The request has no API key, or one that is unknown, deleted or expired. Send `Authorization: Bearer KEY`.";
    TooManyWrongKeys = "too_many_wrong_keys" TOO_MANY_REQUESTS "Too many wrong keys were tried"
        "Too many requests from this address had no valid API key. Retry after `Retry-After` seconds. Keys that Fanfare made still work.";
    ScopeTooSmall = "scope_too_small" FORBIDDEN "The key may not do this"
        "The API key lacks the scope that the request needs. `detail` names the scope.";
    OrganizationKey = "organization_key" FORBIDDEN "The key is bound to an organization"
        "The API key acts on one organization only, and this request is about more than that one.";
    OrganizationKeyNeeded = "organization_key_needed" FORBIDDEN "A key of one organization is needed"
        "The route names no organization and acts on the one that the API key is bound to. Use such a key.";
    AdminOnly = "admin_only" FORBIDDEN "The admin key is needed"
        "Only the admin key may do this.";
    PermissionDenied = "permission_denied" FORBIDDEN "The user may not do this"
        "The user on whose behalf the request was made (`Fanfare-User`, or the key's user) may not do this. `detail` says what the user needs, or that it is for the host alone.";
    NotFound = "not_found" NOT_FOUND "Not found"
        "There is nothing of that kind with that id, or it is not yours. The answer is the same for both.";
    UnknownRoute = "unknown_route" NOT_FOUND "There is no such route"
        "No route has this path. See `/docs`.";
    MethodNotAllowed = "method_not_allowed" METHOD_NOT_ALLOWED "The route has no such method"
        "The path exists, but not with this method. The header `Allow` lists its methods.";
    Taken = "taken" CONFLICT "The value is taken"
        "Another one has this value, which must be unique. `errors` names the field.";
    Contended = "contended" CONFLICT "Somebody else changed it"
        "Others changed the same again and again meanwhile. Nothing was changed by this request; send it again.";
    InvalidState = "invalid_state" CONFLICT "It cannot be done now"
        "It cannot be done in the present state. `detail` says why and what to do first.";
    EventIdReused = "event_id_reused" CONFLICT "The event's id is taken"
        "The `id` belongs to an event with other content. Post the same content, or give the event an id of its own.";
    LimitReached = "limit_reached" CONFLICT "There may be no more"
        "There are as many as there may be. `detail` names the limit. Delete some first.";
    IdempotencyInProgress = "idempotency_in_progress" CONFLICT "The same request is at work"
        "A request with this `Idempotency-Key` has not ended yet. Send it again after `Retry-After` seconds.";
    BodyTooLarge = "body_too_large" PAYLOAD_TOO_LARGE "The body is too large"
        "The body has more bytes than this route takes. `detail` names the limit.";
    UnsupportedMediaType = "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The body is not declared as JSON"
        "The body must come with `Content-Type: application/json`.";
    ValidationFailed = "validation_failed" UNPROCESSABLE_ENTITY "Some fields are not valid"
        "The body is JSON, but some fields are unknown, missing, of a wrong type, or not allowed here. `errors` names each.";
    AddressDenied = "address_denied" UNPROCESSABLE_ENTITY "The address may not be called"
        "The URL leads to an address, port or name that webhooks may not call, such as one of a private network.";
    LoopDetected = "loop_detected" UNPROCESSABLE_ENTITY "Deliveries come back as events"
        "The request is a delivery that was forwarded to the API, and its event was more than three deliveries before. Find the webhook whose receiver forwards its requests here, and disable it or give it another URL.";
    IdempotencyKeyReused = "idempotency_key_reused" UNPROCESSABLE_ENTITY "The key was used for another request"
        "This `Idempotency-Key` came with another body within the last 24 hours. Use a new key for a new request.";
    Internal = "internal" INTERNAL_SERVER_ERROR "Something went wrong here"
        "A fault of the server. Its log has more under the answer's `X-Request-Id`.";
    Unavailable = "unavailable" SERVICE_UNAVAILABLE "Not now"
        "The server cannot do this at the moment; nothing was changed. Send it again after `Retry-After` seconds.";
}

/// A refused or failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    /// For people: what was wrong and what to do. It holds no secret and nothing of other tenants.
    pub detail: String,
    /// The fields that were wrong.
    pub errors: Vec<FieldError>,
    /// What the log is told of a fault of the server, and the client is not.
    pub cause: Option<Arc<str>>,
}

/// The result of a handler.
pub type Answer<T> = Result<T, Problem>;

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem { code, detail: detail.into(), errors: Vec::new(), cause: None }
    }

    /// A problem with one field.
    pub fn field(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        let errors = vec![FieldError::new(field, message)];
        Problem { code, detail: in_words(&errors), errors, cause: None }
    }

    /// Several fields that are not valid.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Problem { code: Code::ValidationFailed, detail: in_words(&errors), errors, cause: None }
    }

    /// There is no such thing for the one who asks: the same answer whether it is nobody's or somebody else's.
    pub fn not_found(what: &str) -> Self {
        Problem::new(Code::NotFound, format!("there is no such {what}"))
    }

    /// A fault of the server, told to the log and not to the client.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        let told = Problem::new(Code::Internal, "the server failed; its log has more under this answer's X-Request-Id");
        Problem { cause: Some(cause.to_string().into()), ..told }
    }
}

pub(super) fn in_words(errors: &[FieldError]) -> String {
    let words: Vec<String> = errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect();
    words.join("; ")
}

impl From<CatalogueError> for Problem {
    fn from(error: CatalogueError) -> Self {
        let detail = error.to_string();
        match error {
            CatalogueError::NotFound(what) => Problem::not_found(what),
            CatalogueError::Invalid(errors) => {
                Problem { code: Code::ValidationFailed, detail: in_words(&errors), errors, cause: None }
            }
            CatalogueError::Denied(message) => {
                let problem = Problem::field(Code::AddressDenied, "url", message);
                let detail = format!(
                    "{}. Whoever runs Fanfare finds the reason in its log, and may allow private addresses by FANFARE_EGRESS_ALLOW.",
                    problem.detail
                );
                Problem { detail, ..problem }
            }
            CatalogueError::Taken(field) => Problem::field(Code::Taken, field, "belongs to another one already"),
            CatalogueError::Contended(_) => Problem::new(Code::Contended, detail),
            CatalogueError::Forbidden(why) => Problem::new(Code::PermissionDenied, why),
            CatalogueError::Unready(why) => Problem::new(Code::InvalidState, why),
            CatalogueError::State(why) => Problem::new(Code::InvalidState, why),
            CatalogueError::Busy(why) => Problem::new(Code::Unavailable, why),
            CatalogueError::Full { .. } => Problem::new(Code::LimitReached, detail),
            CatalogueError::Store(error) => error.into(),
            CatalogueError::Vault(error) => Problem::internal(&error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                let told = "the server cannot do this at the moment; send it again soon";
                Problem { cause: Some(cause.into()), ..Problem::new(Code::Unavailable, told) }
            }
            // Another process did the work under the same key at the same moment.
            StoreError::Taken("idempotency key") => super::idempotency::in_progress(),
            other => Problem::internal(&other),
        }
    }
}

/// The body of a problem.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Where the code is explained.
    #[serde(rename = "type")]
    #[schema(example = "/docs#not_found")]
    kind: String,
    title: &'static str,
    status: u16,
    /// For people: what was wrong and what to do.
    detail: String,
    /// One of the list in the documentation of errors.
    #[schema(example = "not_found")]
    code: &'static str,
    /// The fields that were wrong.
    errors: Vec<ProblemField>,
}

/// What was wrong with one field.
#[derive(Serialize, ToSchema)]
pub struct ProblemField {
    #[schema(example = "retry.delays_seconds[3]")]
    field: String,
    message: String,
}

impl Problem {
    /// The problem with a part of the request that has these headers. Its cause is in the log, once.
    pub fn into_part(self, headers: &HeaderMap) -> ProblemBody {
        if let Some(cause) = &self.cause {
            let request_id = headers.get(request_id::HEADER).and_then(|id| id.to_str().ok());
            tracing::error!(request_id, code = self.code.name(), %cause, "a part of a request failed");
        }
        self.into_body()
    }

    /// The problem as it is written.
    fn into_body(self) -> ProblemBody {
        let fields = self.errors.into_iter().map(|error| ProblemField { field: error.field, message: error.message });
        ProblemBody {
            kind: format!("/docs#{}", self.code.name()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail,
            code: self.code.name(),
            errors: fields.collect(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let code = self.code;
        let status = code.status();
        let reason = Reason { code: code.name(), cause: self.cause.take() };
        let mut response = (status, Json(self.into_body())).into_response();
        response.extensions_mut().insert(reason);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        match code {
            Code::Unavailable | Code::IdempotencyInProgress => drop(headers.insert(header::RETRY_AFTER, RETRY_AFTER)),
            Code::TooManyWrongKeys => {
                let seconds = WRONG_KEYS.one_more.as_secs();
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => {}
        }
        response
    }
}

/// The list of codes as `docs/errors.md` has it.
pub fn table_of_codes() -> String {
    let mut table = "| code | status | meaning |\n|---|---|---|\n".to_owned();
    for code in Code::ALL {
        table.push_str(&format!("| `{}` | {} | {} |\n", code.name(), code.status().as_u16(), code.meaning()));
    }
    table
}
