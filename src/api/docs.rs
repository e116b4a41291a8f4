//! `/openapi.json` and `/docs`: the description of the API for programs and for people.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use super::problem::{Answer, Code, Problem};

/// Nothing but the page itself and its style sheet.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("docs.css");

/// The routes, for a description that does not change while the server runs.
pub(super) fn routes(description: OpenApi) -> Router {
    let shown = Shown { description, document: OnceLock::new(), page: OnceLock::new() };
    Router::new()
        .route("/", get(start))
        .route("/openapi.json", get(document))
        .route("/docs", get(page))
        .route("/docs/style.css", get(style))
        .with_state(Arc::new(shown))
}

/// The description as it is sent: written once, when it is first asked for, and then shared by all responses, so that clients that do
/// not read theirs take no memory.
struct Shown {
    description: OpenApi,
    document: OnceLock<Bytes>,
    page: OnceLock<Bytes>,
}

impl Shown {
    fn document(&self) -> Answer<Bytes> {
        once(&self.document, || serde_json::to_string(&self.description))
    }

    fn page(&self) -> Answer<Bytes> {
        once(&self.page, || Page::of(&self.description).render())
    }
}

fn once<E: Display>(kept: &OnceLock<Bytes>, write: impl FnOnce() -> Result<String, E>) -> Answer<Bytes> {
    if let Some(kept) = kept.get() {
        return Ok(kept.clone());
    }
    let written = write().map_err(|error| Problem::internal(&error))?;
    Ok(kept.get_or_init(|| written.into()).clone())
}

/// A browser is shown the operator's pages; whatever else comes is told what there is.
async fn start(headers: HeaderMap) -> Response {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepted.into_iter().any(|value| value.contains("text/html")) {
        return Redirect::to("/console").into_response();
    }
    let pages = [("console", "/console"), ("docs", "/docs"), ("openapi", "/openapi.json"), ("health", "/healthz")];
    Json(BTreeMap::from(pages)).into_response()
}

async fn document(State(shown): State<Arc<Shown>>) -> Answer<Response> {
    Ok(([(header::CONTENT_TYPE, "application/json")], shown.document()?).into_response())
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

async fn page(State(shown): State<Arc<Shown>>) -> Answer<Response> {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, shown.page()?).into_response())
}

/// The page.
#[derive(Template)]
#[template(path = "docs.html")]
struct Page {
    title: String,
    description: Prose,
    groups: Vec<Group>,
    schemas: Vec<Schema>,
    codes: Vec<(Code, Prose)>,
}

/// The routes of one resource.
struct Group {
    name: String,
    routes: Vec<Route>,
}

/// A text in which what stands between backticks is code.
struct Prose(String);

impl Prose {
    /// The parts in their order, each with whether it is code. A backtick without a second one is code to the end.
    fn parts(&self) -> impl Iterator<Item = (bool, &str)> {
        self.0.split('`').enumerate().map(|(number, part)| (number % 2 == 1, part))
    }
}

/// One method of one path.
struct Route {
    method: &'static str,
    path: String,
    summary: Prose,
    parameters: Vec<Parameter>,
    /// The names of the schemas of request and answer.
    takes: Option<String>,
    answers: Vec<(String, Option<String>)>,
}

struct Parameter {
    name: String,
    place: &'static str,
    description: Prose,
}

/// What a body looks like, as JSON Schema.
struct Schema {
    name: String,
    text: String,
}

impl Page {
    fn of(description: &OpenApi) -> Page {
        let mut groups: Vec<Group> = Vec::new();
        for (path, item) in &description.paths.paths {
            let methods = [
                ("GET", &item.get),
                ("POST", &item.post),
                ("PUT", &item.put),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
            ];
            for (method, operation) in methods {
                let Some(operation) = operation else { continue };
                let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
                let route = Route::of(method, path, operation);
                match groups.iter_mut().find(|group| group.name == tag) {
                    Some(group) => group.routes.push(route),
                    None => groups.push(Group { name: tag, routes: vec![route] }),
                }
            }
        }
        let schemas = description.components.iter().flat_map(|components| &components.schemas);
        let schemas = schemas.map(|(name, schema)| Schema {
            name: name.clone(),
            text: serde_json::to_string_pretty(schema).unwrap_or_default(),
        });
        Page {
            title: description.info.title.clone(),
            description: Prose(description.info.description.clone().unwrap_or_default()),
            groups,
            schemas: schemas.collect(),
            codes: Code::ALL.iter().map(|code| (*code, Prose(code.meaning().to_owned()))).collect(),
        }
    }
}

impl Route {
    fn of(method: &'static str, path: &str, operation: &Operation) -> Route {
        let parameters = operation.parameters.iter().flatten().filter_map(whole).map(|parameter| Parameter {
            name: parameter.name.clone(),
            place: match parameter.parameter_in {
                ParameterIn::Path => "path",
                ParameterIn::Header => "header",
                ParameterIn::Cookie => "cookie",
                _ => "query",
            },
            description: Prose(parameter.description.clone().unwrap_or_default()),
        });
        let takes = operation.request_body.as_ref().and_then(|body| schema_name(&serde_json::to_value(body).ok()?));
        let answers = operation.responses.responses.iter().filter(|(status, _)| *status != "default");
        let answers = answers.map(|(status, response)| {
            (status.clone(), serde_json::to_value(response).ok().and_then(|value| schema_name(&value)))
        });
        Route {
            method,
            path: path.to_owned(),
            summary: Prose(operation.summary.clone().or_else(|| operation.description.clone()).unwrap_or_default()),
            parameters: parameters.collect(),
            takes,
            answers: answers.collect(),
        }
    }
}

/// What stands in the document itself.
fn whole<T>(part: &RefOr<T>) -> Option<&T> {
    match part {
        RefOr::T(part) => Some(part),
        RefOr::Ref(_) => None,
    }
}

/// The name of the schema to which a body refers first.
fn schema_name(body: &serde_json::Value) -> Option<String> {
    let content = body.get("content")?.as_object()?.values().next()?;
    let text = content.get("schema")?.to_string();
    let (_, after) = text.split_once("#/components/schemas/")?;
    after.split('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_headers_and_code_is_code() {
        let page = Page::of(&crate::api::description()).render().unwrap();
        assert!(page.contains("<td><code>Idempotency-Key</code></td><td>header</td>"), "a header is shown otherwise");
        assert!(page.contains("POSTs honour <code>Idempotency-Key</code>;"), "code is not marked");
        let (prose, _) = page.split_once("id=\"schemas\"").unwrap();
        assert!(!prose.contains('`'), "a backtick is shown as it is");
    }

    #[test]
    fn responses_share_what_was_written_once() {
        let description = crate::api::description();
        let shown = Shown { description, document: OnceLock::new(), page: OnceLock::new() };
        for ask in [Shown::document, Shown::page] {
            let [one, other] = [ask(&shown).unwrap(), ask(&shown).unwrap()];
            assert_eq!(one.as_ptr(), other.as_ptr());
        }
    }

    #[test]
    fn a_text_stays_a_text() {
        let prose = Prose("a `b` <c>".to_owned());
        assert_eq!(prose.parts().collect::<Vec<_>>(), [(false, "a "), (true, "b"), (false, " <c>")]);
    }
}
