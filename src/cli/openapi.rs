//! `fanfare openapi`: prints the description of the API.

use clap::Args;

use super::answers::print;
use crate::api;

/// Print the API's OpenAPI document
#[derive(Args, Debug)]
pub struct OpenapiArgs {}

/// Prints the document that a server of this version gives at `/openapi.json`.
///
/// # Errors
/// Standard output cannot be written to.
pub fn run(_: &OpenapiArgs) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(&api::description())?))
}
