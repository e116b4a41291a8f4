//! Queries that a route does not take are refused, so that a parameter that was meant to hold something back is never
//! passed over in silence.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use super::problem::{Code, Problem};

/// Where the API's own paths begin. What other systems' clients and probes may send elsewhere is not ours to judge.
const OWN: &str = "/v1/";

/// The query parameters that each route takes, from the API's description.
pub(super) struct Known(HashMap<String, Vec<(Method, Vec<String>)>>);

impl Known {
    /// Reads them off the description of the routes.
    pub(super) fn of(description: &OpenApi) -> Known {
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

/// Refuses a query with a parameter that the route does not take.
pub(super) async fn only_known(State(known): State<Arc<Known>>, request: Request, next: Next) -> Response {
    if let (Some(query), Some(path)) = (request.uri().query(), request.extensions().get::<MatchedPath>())
        && let Err(problem) = known.check(path.as_str(), request.method(), query)
    {
        return problem.into_response();
    }
    next.run(request).await
}
