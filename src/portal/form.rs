//! A form that was sent: its fields, taken only where it carries the mark of the session.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::header;
use axum::http::request::Parts;
use url::form_urlencoded;

use super::refusal::Refusal;
use super::visitor::Visitor;
use crate::app::App;
use crate::memory_budget::Exhausted;
use crate::metered::is_caused_by;
use crate::vault::is_same_form_mark;

/// The most bytes that a form may have.
pub(super) const MAX_BYTES: usize = 512 * 1024;
/// The longest that a form may take to arrive.
const MAX_TIME: Duration = Duration::from_secs(60);
/// The field that holds the mark.
pub(super) const MARK: &str = "form_mark";

/// The fields of a form in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// The fields of a body or of a query.
    pub(super) fn parse(text: &[u8]) -> Form {
        Form(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of a field; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The first value of a field without blanks around it; `None` where nothing is left.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.get(name).trim()).filter(|value| !value.is_empty())
    }

    /// All values of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether there is such a field.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

impl FromRequest<Arc<App>> for Form {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        Form::marked(&parts, body, &visitor.form_mark).await
    }
}

impl Form {
    /// Reads a body; refuses what does not carry `mark`.
    pub(super) async fn marked(parts: &Parts, body: Body, mark: &str) -> Result<Form, Refusal> {
        let form = Form::sent(parts, body).await?;
        if !is_same_form_mark(form.get(MARK), mark) {
            return Err(Refusal::StaleForm);
        }
        Ok(form)
    }

    /// Reads a body that needs no mark, as where there is no session yet.
    pub(super) async fn sent(parts: &Parts, body: Body) -> Result<Form, Refusal> {
        let media_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !media_type.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded")) {
            return Err(Refusal::StaleForm);
        }
        let bytes = whole(body, MAX_BYTES).await?;
        Ok(Form::parse(&bytes))
    }
}

/// Reads a body of at most `most` bytes.
///
/// # Errors
/// It is larger, breaks off, or takes too long.
pub(super) async fn whole(body: Body, most: usize) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(MAX_TIME, to_bytes(body, most)).await {
        Ok(Err(error)) if is_caused_by::<Exhausted>(&error) => Err(Refusal::Unavailable),
        Ok(read) => read.map_err(|_| Refusal::TooLarge),
        Err(_) => Err(Refusal::TooSlow),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn forms_arrive_whole_in_time_or_not_at_all() {
        assert_eq!(whole(Body::from("a=1"), 3).await.unwrap(), "a=1");
        assert!(matches!(whole(Body::from("a=12"), 3).await, Err(Refusal::TooLarge)));
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        assert!(matches!(whole(never, 3).await, Err(Refusal::TooSlow)));
    }
}
