//! Path and query of a request, refused as problems where they are not valid.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::{Answer, Code, Problem};
use crate::app::App;

/// The variable parts of the path.
pub struct PathParts<T>(pub T);

/// The query's parameters; unknown ones are refused where `T` does.
pub struct QueryParts<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for PathParts<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Self> {
        match Path::<T>::from_request_parts(parts, app).await {
            Ok(Path(values)) => Ok(PathParts(values)),
            // What cannot be read names nothing.
            Err(_) => Err(Problem::new(Code::NotFound, "the path cannot be read")),
        }
    }
}

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for QueryParts<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Answer<Self> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(values)) => Ok(QueryParts(values)),
            Err(rejection) => Err(explain(&rejection)),
        }
    }
}

fn explain(rejection: &dyn std::error::Error) -> Problem {
    let text = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
    let named = text.split('`').nth(1);
    match (text.contains("unknown field"), named) {
        (true, Some(name)) => Problem::field(Code::InvalidParameter, name, "is not known here"),
        _ => match text.split_once(": ") {
            Some((field, message)) => Problem::field(Code::InvalidParameter, field, message),
            None => Problem::new(Code::InvalidParameter, text),
        },
    }
}
