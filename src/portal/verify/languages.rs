//! The code that checks signatures, in the languages that receivers are written in: one template for each.

use askama::Template;
use fanfare_engine::webhook::{Method, Settings};

use super::literal;
use super::recipe::{Piece, Recipe, TOLERANCE_SECONDS};

/// A piece of code to copy.
pub(super) struct Code {
    /// For the page's addresses.
    pub(super) id: &'static str,
    /// The language's name.
    pub(super) label: &'static str,
    pub(super) text: String,
}

macro_rules! languages {
    ($($Name:ident $id:literal $label:literal $path:tt)*) => {
        $(
            #[derive(Template)]
            #[template(path = $path)]
            struct $Name<'a> {
                r: &'a Recipe,
                tolerance: u32,
            }
        )*

        /// The checks, in the order in which they are offered.
        fn checks(r: &Recipe) -> Result<Vec<Code>, askama::Error> {
            let tolerance = TOLERANCE_SECONDS;
            Ok(vec![$(Code { id: $id, label: $label, text: $Name { r, tolerance }.render()? },)*])
        }
    };
}

languages! {
    Node "node" "Node.js" "portal/verify/node.txt"
    Python "python" "Python" "portal/verify/python.txt"
    Go "go" "Go" "portal/verify/go.txt"
    Rust "rust" "Rust" "portal/verify/rust.txt"
    Java "java" "Java" "portal/verify/java.txt"
    Ruby "ruby" "Ruby" "portal/verify/ruby.txt"
    Php "php" "PHP" "portal/verify/php.txt"
    CSharp "csharp" "C#" "portal/verify/csharp.txt"
}

/// A request to try a check with.
#[derive(Template)]
#[template(path = "portal/verify/curl.txt")]
struct Curl<'a> {
    r: &'a Recipe,
    method: String,
    url: &'a str,
    content_type: String,
    with_body: bool,
}

/// All code for a webhook with these settings: the checks, and a signed request to try them with.
///
/// # Errors
/// A template's, which does not happen.
pub(super) fn codes(r: &Recipe, settings: &Settings) -> Result<Vec<Code>, askama::Error> {
    let curl = Curl {
        r,
        method: settings.method.as_http().to_string(),
        url: &settings.url,
        content_type: format!("content-type: {}", settings.content_type.as_str()),
        with_body: settings.method != Method::Get,
    };
    let text = curl.render()?;
    let mut codes = checks(r)?;
    codes.push(Code { id: "curl", label: "curl", text });
    Ok(codes)
}
