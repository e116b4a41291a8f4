//! Whether a URL may be called, as far as it can be known when it is saved.

use std::time::Duration;

use fanfare_engine::egress::{Host, parse_endpoint};
use fanfare_engine::profile::Profile;

use crate::app::App;
use crate::catalogue::{CatalogueError, CatalogueResult};

/// How long a name may take to be looked up before the URL is accepted without that; it is judged again at each send.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// Checks the URL's form, its address if it has one, and the addresses of its name if it has any.
///
/// # Errors
/// It is no URL that webhooks of this profile may have, or it leads to an address that may not be dialled.
pub(super) async fn check_url(app: &App, profile: &Profile, url: &str) -> CatalogueResult<()> {
    let endpoint =
        parse_endpoint(url, &profile.schemes).map_err(|error| CatalogueError::field("url", error.to_string()))?;
    let denied = |denied: fanfare_engine::egress::Denied| CatalogueError::Denied(denied.to_string());
    app.egress.judge_endpoint(&endpoint).map_err(denied)?;
    let Host::Name(name) = endpoint.host() else { return Ok(()) };
    let addresses = tokio::time::timeout(LOOKUP_TIMEOUT, app.names.addresses(name)).await.ok().flatten();
    for address in addresses.unwrap_or_default() {
        app.egress.judge_resolved(name, address, endpoint.port()).map_err(denied)?;
    }
    Ok(())
}
