//! What happens to each request before it is routed: its head is judged, its caller is named, and it is noted how far its body
//! is read and when the client is waited for.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use fanfare_engine::caller::TrustedProxies;
use futures_util::future::{Either, Ready, ready};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Version, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use crate::api::problem::{Code, Problem};
use crate::request_id;
use crate::request_log::{Noted, RequestLog};
use crate::strangers::Connection;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whether the client may still be sending the body of a connection's last request, which nobody reads any more.
#[derive(Clone, Debug, Default)]
pub struct Unread(Arc<AtomicBool>);

impl Unread {
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, unread: bool) {
        self.0.store(unread, Ordering::Relaxed);
    }
}

/// The service of one connection.
pub struct Reception {
    router: TowerToHyperService<Router>,
    peer: IpAddr,
    trusted: Arc<TrustedProxies>,
    unread: Unread,
    connection: Arc<Connection>,
    log: Arc<RequestLog>,
}

impl Reception {
    pub fn new(
        router: Router,
        peer: IpAddr,
        trusted: Arc<TrustedProxies>,
        unread: Unread,
        connection: Arc<Connection>,
        log: Arc<RequestLog>,
    ) -> Self {
        Reception { router: TowerToHyperService::new(router), peer, trusted, unread, connection, log }
    }
}

impl Service<Request<Incoming>> for Reception {
    type Response = Response;
    type Error = Infallible;
    type Future =
        Either<Ready<Result<Response, Infallible>>, <TowerToHyperService<Router> as Service<Request<Tracked>>>::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let forwarded = request.headers().get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let caller = self.trusted.caller(self.peer, forwarded);
        request.extensions_mut().insert(caller);
        if let Err((field, reason)) = judge_head(request.version(), request.headers()) {
            return Either::Left(ready(Ok(self.refuse(request, field, reason))));
        }
        request.extensions_mut().insert(Arc::clone(&self.connection));
        let tracked = |body| Tracked::new(body, self.unread.clone(), Arc::clone(&self.connection));
        Either::Right(self.router.call(request.map(tracked)))
    }
}

impl Reception {
    fn refuse<B>(&self, request: Request<B>, field: &'static str, reason: &'static str) -> Response {
        let request = request_id::name(request);
        let mut response = Problem::field(Code::InvalidParameter, field, reason).into_response();
        self.log.log(&Noted::of(&request), &mut response);
        let headers = response.headers_mut();
        // Where the next request starts cannot be known.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.extend(request.headers().get(request_id::HEADER).map(|id| (request_id::HEADER, id.clone())));
        response
    }
}

/// Refuses a head that proxies and servers understand differently (RFC 9112, 3.2 and 6.1), so that nobody can smuggle a request
/// past a proxy. hyper has refused what is wrong with the lengths.
fn judge_head(version: Version, headers: &HeaderMap) -> Result<(), (&'static str, &'static str)> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => {}
        (None, _) => return Err(("Host", "is required")),
        (Some(_), Some(_)) => return Err(("Host", "must be given once")),
        (Some(host), None) if !is_host(host) => {
            return Err(("Host", "must be a host name or an address, and a port if there is one"));
        }
        (Some(_), None) => {}
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(("Transfer-Encoding", "must be chunked, given once")),
    }
}

/// An empty one is right where a URL has no host.
fn is_host(value: &HeaderValue) -> bool {
    value.is_empty() || Authority::try_from(value.as_bytes()).is_ok_and(|host| !host.as_str().contains('@'))
}

/// A request's body, which notes when the client is waited for and when all of it was read.
pub struct Tracked {
    body: Incoming,
    unread: Unread,
    connection: Arc<Connection>,
}

impl Tracked {
    fn new(body: Incoming, unread: Unread, connection: Arc<Connection>) -> Self {
        unread.set(!body.is_end_stream());
        Tracked { body, unread, connection }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match polled {
            Poll::Pending => self.connection.wait(),
            // The connection is closed at this moment.
            Poll::Ready(_) if !self.connection.begin() => return Poll::Pending,
            Poll::Ready(_) => {}
        }
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.unread.set(false);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(version: Version, given: &[(&'static str, &'static str)]) -> Result<(), (&'static str, &'static str)> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_static(value));
        }
        judge_head(version, &headers)
    }

    #[test]
    fn a_host_is_given_once() {
        for good in ["example.com", "example.com:80", "127.0.0.1", "[::1]:8686", ""] {
            assert_eq!(judged(Version::HTTP_11, &[("host", good)]), Ok(()), "{good}");
        }
        for bad in ["a b", "a, b", "user@example.com", "example.com/x", "http://example.com"] {
            assert_eq!(judged(Version::HTTP_11, &[("host", bad)]).unwrap_err().0, "Host", "{bad}");
        }
        assert_eq!(judged(Version::HTTP_11, &[("host", "a"), ("host", "a")]), Err(("Host", "must be given once")));
        assert_eq!(judged(Version::HTTP_11, &[]), Err(("Host", "is required")));
        assert_eq!(judged(Version::HTTP_10, &[]), Ok(()));
    }

    #[test]
    fn a_body_comes_in_one_way() {
        let coded = |codings: &[&'static str]| {
            let codings = codings.iter().map(|coding| ("transfer-encoding", *coding));
            judged(Version::HTTP_11, &[("host", "a")].into_iter().chain(codings).collect::<Vec<_>>())
        };
        assert_eq!(coded(&["Chunked"]), Ok(()));
        for bad in
            [&["identity, chunked"][..], &["gzip, chunked"], &["identity", "chunked"], &["chunked", "chunked"], &["x"]]
        {
            assert_eq!(coded(bad).unwrap_err().0, "Transfer-Encoding", "{bad:?}");
        }
    }
}
