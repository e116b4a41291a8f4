//! A request made once more as it was first sent: its method, URL, content type and body; the rest as of now.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use url::Url;

use super::value::Facts;
use super::{Plan, RenderError, Rendered};
use crate::attempt::SentRequest;
use crate::egress::parse_url;
use crate::event::Event;
use crate::id::DeliveryId;
use crate::time::Timestamp;
use crate::webhook::{ContentType, Method};

/// What of a request stays the same when it is made again, whatever its webhook says by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstSent {
    pub(super) method: Method,
    pub(super) url: Arc<Url>,
    pub(super) content_type: Option<HeaderValue>,
    body: Bytes,
    verbatim: Option<Range<usize>>,
}

impl FirstSent {
    /// Of the request as it was logged. `verbatim`: where in its body the event's data stand byte for byte.
    ///
    /// # Errors
    /// Where no such request can be made any more.
    pub fn from_log(request: SentRequest, verbatim: Option<Range<usize>>) -> Result<FirstSent, RenderError> {
        let unfit = |what: &str| RenderError::FirstSent(what.to_owned());
        let method = [Method::Post, Method::Get].into_iter().find(|method| method.as_http() == request.method);
        let kind = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
        let kind = kind.map(|(_, value)| HeaderValue::from_bytes(value)).transpose();
        Ok(FirstSent {
            method: method.ok_or_else(|| unfit("method"))?,
            url: Arc::new(parse_url(&request.url).map_err(|_| unfit("URL"))?),
            content_type: kind.map_err(|_| unfit("content type"))?,
            body: request.body,
            verbatim,
        })
    }

    /// Where it went.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The content type, where it is one that conditions of a profile can name.
    pub(super) fn kind(&self) -> Option<ContentType> {
        let kinds = [ContentType::Json, ContentType::Form, ContentType::CloudEvents];
        let sent = self.content_type.as_ref()?;
        kinds.into_iter().find(|kind| sent.as_bytes() == kind.as_str().as_bytes())
    }
}

impl Plan {
    /// As [`Plan::render`], but method, URL, content type and body are those of `first`. Headers, timestamp and signatures
    /// are of `now`, the signatures over that body. Where `first` went to another origin or path than the webhook's present ones, the
    /// webhook's authorization and own headers are left out: they are for the receiver that it has now.
    ///
    /// # Errors
    /// Where the event has a value that cannot stand in a header.
    pub fn render_again(
        &self,
        event: &Event,
        delivery: DeliveryId,
        now: Timestamp,
        first: &FirstSent,
    ) -> Result<Rendered, RenderError> {
        let facts = Facts::again(self, event, delivery, now, first);
        let rendered = Rendered {
            method: first.method.as_http(),
            url: Arc::clone(&first.url),
            headers: HeaderMap::new(),
            body: first.body.clone(),
            verbatim: first.verbatim.clone(),
        };
        self.with_headers(&facts, rendered, Some(first.content_type.clone()))
    }
}
