//! A request as it can go over any connection.

use bytes::Bytes;
use fanfare_engine::egress::Endpoint;
use http_body_util::Full;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Version};

/// See the module.
pub(super) struct Message {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Message {
    pub(super) fn new(method: Method, mut headers: HeaderMap, body: Bytes) -> Message {
        if !headers.contains_key(ACCEPT) {
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        if !headers.contains_key(ACCEPT_ENCODING) {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        // An empty body's length is left out otherwise, and some receivers then wait for one.
        if body.is_empty() && method != Method::GET {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Message { method, headers, body }
    }

    pub(super) fn into_http1(self, endpoint: &Endpoint) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.version_mut() = Version::HTTP_11;
        *request.uri_mut() = endpoint.target().clone();
        *request.headers_mut() = self.headers;
        request.headers_mut().insert(HOST, endpoint.host_header().clone());
        request
    }

    /// The request of [`Message::into_http1`] as it was.
    pub(super) fn from_http1(request: Request<Full<Bytes>>) -> Message {
        let (head, body) = request.into_parts();
        // The body has not been read, so that it is there at once.
        let body = body.into_inner().unwrap_or_default();
        Message { method: head.method, headers: head.headers, body }
    }
}
