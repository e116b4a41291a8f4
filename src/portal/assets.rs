//! Style sheets and scripts, compiled in; each has a hash of its content in its name, so that browsers may keep it for good.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// How browsers may keep what never changes under its name.
pub(super) const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// How many digits of the hash are in a name.
const HASH_DIGITS: usize = 12;

/// The addresses of what pages refer to.
pub(super) static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("portal", "css", "text/css; charset=utf-8", include_bytes!("../../assets/portal.css")),
    script: Asset::new("portal", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/portal.js")),
    htmx: Asset::new("htmx", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/htmx.min.js")),
});

/// See [`ASSETS`].
pub(super) struct Assets {
    pub(super) style: Asset,
    pub(super) script: Asset,
    pub(super) htmx: Asset,
}

/// One file.
pub(super) struct Asset {
    /// Its path on this server.
    pub(super) href: String,
    media_type: &'static str,
    content: &'static [u8],
}

impl Asset {
    fn new(stem: &str, extension: &str, media_type: &'static str, content: &'static [u8]) -> Asset {
        Asset { href: format!("/portal/assets/{stem}-{}.{extension}", short_hash(content)), media_type, content }
    }
}

/// The first digits of a content's hash.
pub(super) fn short_hash(content: &[u8]) -> String {
    blake3::hash(content).to_hex()[..HASH_DIGITS].to_owned()
}

pub(super) fn routes() -> Router {
    Router::new().route("/portal/assets/{name}", get(serve))
}

async fn serve(Path(name): Path<String>) -> Response {
    let Assets { style, script, htmx } = &*ASSETS;
    let found = [style, script, htmx].into_iter().find(|asset| asset.href.ends_with(&format!("/{name}")));
    match found {
        Some(asset) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
                (header::CACHE_CONTROL, FOR_GOOD),
                (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ];
            (headers, asset.content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
