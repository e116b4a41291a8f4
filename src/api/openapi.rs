//! The description of the API: its head, and what all of its routes have in common.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::problem::{ProblemBody, ProblemField};

/// The media type of problems.
const PROBLEM: &str = "application/problem+json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Fanfare",
        description = "Webhooks for your customers. JSON over HTTP: lists answer `{data, next_cursor}` and take `limit` and \
                       `cursor`, newest first; times are RFC 3339 in UTC; unknown members are refused; errors are problems \
                       (RFC 9457) with a `code` from a closed list; POSTs honour `Idempotency-Key`; every answer carries \
                       `X-Request-Id`. `{org}` is an organization's id or the host's own id for it.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "This server")),
    components(schemas(ProblemBody, ProblemField)),
    modifiers(&Keys),
    security(("key" = []))
)]
struct Head;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut Document) {
        let key = SecurityScheme::Http(
            Http::builder()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("The admin key, or an API key with the scope that the route needs."))
                .build(),
        );
        document.components.get_or_insert_default().add_security_scheme("key", key);
    }
}

/// The description without any route.
pub fn head() -> Document {
    Head::openapi()
}

/// The description with what every route answers where it refuses.
pub fn complete(mut document: Document) -> Document {
    let problem = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
    let refusal = ResponseBuilder::new().description("Refused or failed; `code` says why").content(PROBLEM, problem);
    let refusal = RefOr::T(refusal.build());
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.entry("default".to_owned()).or_insert_with(|| refusal.clone());
        }
    }
    document
}
