//! The portal's pages, asked for through its router as a browser would.

mod console;
mod console_changes;
mod deliveries;
mod event_catalogue;
mod forms;
mod framing;
mod gate;
mod isolation;
mod live;
mod looking;
mod recover;
mod resend;
mod sessions;
mod theme;
mod verify;
mod verify_programs;
mod verify_rust;
mod webhook;
mod webhooks;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::{Extension, Router};
use fanfare::portal;
use fanfare_engine::caller::Caller;
use scraper::{ElementRef, Html, Selector};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use url::form_urlencoded::Serializer;

use crate::api::Api;

/// A browser that is in an organization's portal.
pub(crate) struct Visit {
    router: Router,
    cookie: String,
    pub(crate) mark: String,
    /// The project whose pages of the console it looks at; empty in a portal.
    pub(crate) project: String,
}

/// An answer to it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Api {
    /// A link into an organization's portal, without the server's address.
    pub(crate) async fn portal_link(&self, org: &str, session: Value) -> String {
        let made = self.post(&format!("/v1/organizations/{org}/portal-sessions"), session).await.created();
        let url = made["url"].as_str().unwrap();
        url[url.find("/portal/").unwrap()..].to_owned()
    }

    /// Opens an organization's portal.
    pub(crate) async fn visit(&self, org: &str) -> Visit {
        self.visit_as(org, json!({})).await
    }

    pub(crate) async fn visit_as(&self, org: &str, session: Value) -> Visit {
        self.visit_by(&self.portal_link(org, session).await).await
    }

    /// Opens the portal by a link.
    pub(crate) async fn visit_by(&self, link: &str) -> Visit {
        let mut visit = self.stranger();
        let opened = visit.send(Method::POST, link, &[], Vec::new()).await;
        assert_eq!(opened.status, StatusCode::SEE_OTHER, "{opened:?}");
        visit.cookie = opened.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        visit.mark = self.app().vault.form_mark(visit.cookie.split_once('=').unwrap().1);
        visit
    }

    /// A browser that is not in.
    pub(crate) fn stranger(&self) -> Visit {
        // As the listener does it.
        let caller = Extension(Caller::at([127, 0, 0, 1].into()));
        Visit {
            router: portal::router(self.app()).layer(caller),
            cookie: String::new(),
            mark: String::new(),
            project: String::new(),
        }
    }
}

impl Visit {
    pub(crate) async fn get(&self, path: &str) -> Seen {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    /// Opens a stream: its answer, whose body goes on.
    pub(crate) async fn open(&self, path: &str) -> axum::response::Response {
        let request = Request::builder().uri(path).header("cookie", &self.cookie).body(Body::empty()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a form with the session's mark, as its own page would.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let marks = [("form_mark", self.mark.as_str()), ("of_project", self.project.as_str())];
        let marks = if self.project.is_empty() { &marks[..1] } else { &marks[..] };
        let fields = [marks, fields].concat();
        self.send(Method::POST, path, &[("sec-fetch-site", "same-origin")], fields).await
    }

    /// Sends anything.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        fields: Vec<(&str, &str)>,
    ) -> Seen {
        let mut request = Request::builder().method(&method).uri(path).header("cookie", &self.cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut form = Serializer::new(String::new());
        form.extend_pairs(fields);
        if method == Method::POST {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let answer = self.router.clone().oneshot(request.body(Body::from(form.finish())).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let text = String::from_utf8_lossy(&to_bytes(body, 16 << 20).await.unwrap()).into_owned();
        let seen = Seen { status: head.status, headers: head.headers, text };
        seen.check_form();
        seen
    }
}

impl Seen {
    /// What every page has in common: it carries its rules, and nothing in it needs other ones.
    fn check_form(&self) {
        if self.headers.get("content-type").is_none_or(|kind| kind != "text/html; charset=utf-8") {
            return;
        }
        let policy = self.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert_eq!(self.headers["cache-control"], "no-store");
        let page = Html::parse_document(&self.text);
        for element in page.root_element().descendent_elements() {
            let name = element.value().name();
            assert!(name != "style", "an inline style sheet: {}", self.text);
            assert!(name != "script" || element.attr("src").is_some(), "an inline script: {}", self.text);
            for (attribute, value) in element.value().attrs() {
                assert!(attribute != "style" && !attribute.starts_with("on"), "{name} has {attribute}: {}", self.text);
                let address = matches!(attribute, "href" | "src" | "action" | "formaction");
                let inert =
                    value.starts_with('/') || value.starts_with('#') || value.starts_with('?') || value == "data:,";
                let logo = attribute == "src" && element.attr("class") == Some("logo");
                assert!(!address || inert || logo, "{name} leads to {value}");
            }
        }
        assert_eq!(page.errors.len(), 0, "{:?}: {}", page.errors, self.text);
        self.check_labels(&page);
    }

    /// Everything that can be filled in says what it is, and everything that is referred to is there.
    fn check_labels(&self, page: &Html) {
        let find = |selector: &str| page.select(&Selector::parse(selector).unwrap()).next().is_some();
        for field in page.select(&Selector::parse("input:not([type=hidden]), select, textarea").unwrap()) {
            let by_id = field.attr("id").is_some_and(|id| find(&format!("label[for='{id}']")));
            let inside = field.ancestors().filter_map(ElementRef::wrap).any(|above| above.value().name() == "label");
            assert!(by_id || inside || field.attr("aria-label").is_some(), "no label: {}", field.html());
        }
        for button in page.select(&Selector::parse("button, a").unwrap()) {
            let says = button.text().any(|text| !text.trim().is_empty()) || button.attr("aria-label").is_some();
            assert!(says, "says nothing: {}", button.html());
        }
        for attribute in ["aria-labelledby", "aria-describedby"] {
            for element in page.select(&Selector::parse(&format!("[{attribute}]")).unwrap()) {
                let id = element.attr(attribute).unwrap();
                assert!(find(&format!("[id='{id}']")), "{attribute} names {id}, which is not there");
            }
        }
        let mut ids: Vec<&str> =
            page.root_element().descendent_elements().filter_map(|element| element.attr("id")).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "an id is there twice: {}", self.text);
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Seen {
        self.with(200)
    }

    #[track_caller]
    pub(crate) fn with(self, status: u16) -> Seen {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// Where it leads.
    #[track_caller]
    pub(crate) fn leads(self) -> String {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.headers["location"].to_str().unwrap().to_owned()
    }

    /// The texts of the elements that are selected, with single blanks.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let page = Html::parse_document(&self.text);
        let selector = Selector::parse(selector).unwrap();
        let found = page.select(&selector);
        found
            .map(|element| element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// The text of the one element that is selected.
    #[track_caller]
    pub(crate) fn only(&self, selector: &str) -> String {
        let mut texts = self.texts(selector);
        assert_eq!(texts.len(), 1, "{selector}: {texts:?} in {}", self.text);
        texts.remove(0)
    }

    pub(crate) fn count(&self, selector: &str) -> usize {
        self.texts(selector).len()
    }

    /// An attribute of the first element that is selected.
    pub(crate) fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        self.attributes(selector, name).into_iter().next()
    }

    pub(crate) fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let page = Html::parse_document(&self.text);
        let selector = Selector::parse(selector).unwrap();
        let found = page.select(&selector);
        found.filter_map(|element| element.attr(name).map(str::to_owned)).collect()
    }
}

/// The id of what the API answered.
pub(crate) fn id(body: &Value) -> String {
    body["id"].as_str().unwrap().to_owned()
}
