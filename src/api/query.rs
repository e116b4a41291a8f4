//! Queries that a route does not take are refused, so that a parameter that was meant to hold something back is never
//! passed over in silence.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use futures_util::future::Either;
use tower::{Layer, Service};
use url::form_urlencoded;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use super::problem::{Code, Problem};

/// Where the API's own paths begin. What other systems' clients and probes may send elsewhere is not ours to judge.
const OWN: &str = "/v1/";

/// The query parameters that each route takes, from the API's description.
struct Known(HashMap<String, Vec<(Method, Vec<String>)>>);

impl Known {
    /// Reads them off the description of the routes.
    fn of(description: &OpenApi) -> Known {
        let routes = description.paths.paths.iter().filter(|(path, _)| path.starts_with(OWN));
        let routes = routes.map(|(path, item)| {
            let methods = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let taken =
                methods.into_iter().filter_map(|(method, operation)| Some((method, names(operation.as_ref()?))));
            (path.clone(), taken.collect())
        });
        Known(routes.collect())
    }

    /// What is wrong with a query: its first parameter that the route does not take.
    fn check(&self, path: &str, method: &Method, query: &str) -> Result<(), Problem> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let methods = self.0.get(path).map(Vec::as_slice).unwrap_or_default();
        let Some((_, taken)) = methods.iter().find(|(known, _)| known == method) else { return Ok(()) };
        let unknown =
            form_urlencoded::parse(query.as_bytes()).find(|(name, _)| !taken.iter().any(|known| known == name));
        let Some((name, _)) = unknown else { return Ok(()) };
        let message = match taken.is_empty() {
            true => "is not known here; this route takes no query parameters".to_owned(),
            false => format!("is not known here; this route takes {}", taken.join(", ")),
        };
        Err(Problem::field(Code::InvalidParameter, name, message))
    }
}

fn names(operation: &Operation) -> Vec<String> {
    let whole = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    let queries = whole.filter(|parameter| matches!(parameter.parameter_in, ParameterIn::Query));
    queries.map(|parameter| parameter.name.clone()).collect()
}

/// The layer that refuses a query with a parameter that its route does not take. A function as a layer would cost every request
/// three allocations, and few have a query.
#[derive(Clone)]
pub(super) struct OnlyKnown(Arc<Known>);

impl OnlyKnown {
    /// What it refuses is read off the description of the routes.
    pub(super) fn of(description: &OpenApi) -> OnlyKnown {
        OnlyKnown(Arc::new(Known::of(description)))
    }
}

impl<S> Layer<S> for OnlyKnown {
    type Service = Checked<S>;

    fn layer(&self, inner: S) -> Checked<S> {
        Checked { known: Arc::clone(&self.0), inner }
    }
}

/// A route whose queries are looked at first.
#[derive(Clone)]
pub(super) struct Checked<S> {
    known: Arc<Known>,
    inner: S,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Checked<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if let (Some(query), Some(path)) = (request.uri().query(), request.extensions().get::<MatchedPath>())
            && let Err(problem) = self.known.check(path.as_str(), request.method(), query)
        {
            return Either::Left(ready(Ok(problem.into_response())));
        }
        Either::Right(self.inner.call(request))
    }
}
