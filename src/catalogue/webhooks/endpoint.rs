//! Whether a URL may be called, as far as it can be known when it is saved.

use std::time::Duration;

use fanfare_engine::egress::{Denied, EgressPolicy, Host, Scheme, parse_endpoint};
use fanfare_engine::id::OrganizationId;
use fanfare_engine::profile::Profile;

use crate::app::{App, NameLookup};
use crate::catalogue::seats::Seats;
use crate::catalogue::{CatalogueError, CatalogueResult};

/// How long a name may take to be looked up before the URL is accepted without that; it is judged again at each send.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// Says of a URL what would be said of a webhook that has it.
///
/// # Errors
/// It is no URL that webhooks of this profile may have, or it leads to an address that may not be dialled.
pub async fn judge_url(app: &App, organization: OrganizationId, profile: &Profile, url: &str) -> CatalogueResult<()> {
    profile.check_url(url).map_err(|message| CatalogueError::field("url", message))?;
    check_url(app, organization, profile, url).await
}

/// Checks the URL's form, its address if it has one, and the addresses of its name if it has any. Where as many names are being
/// looked up as may be, this one is not, as if its name server were silent: it is judged again at each send.
///
/// # Errors
/// It is no URL that webhooks of this profile may have, or it leads to an address that may not be dialled.
pub(super) async fn check_url(
    app: &App,
    organization: OrganizationId,
    profile: &Profile,
    url: &str,
) -> CatalogueResult<()> {
    let judge = Judge { egress: &app.egress, names: &*app.names, seats: &app.waits.looked_up };
    judge.judge(organization, &profile.schemes, url).await
}

/// What URLs are judged by.
struct Judge<'a> {
    egress: &'a EgressPolicy,
    names: &'a dyn NameLookup,
    /// For names that are being looked up.
    seats: &'a Seats,
}

impl Judge<'_> {
    async fn judge(&self, organization: OrganizationId, schemes: &[Scheme], url: &str) -> CatalogueResult<()> {
        let endpoint = parse_endpoint(url, schemes).map_err(|error| CatalogueError::field("url", error.to_string()))?;
        self.egress.judge_endpoint(&endpoint).map_err(refused)?;
        let Host::Name(name) = endpoint.host() else { return Ok(()) };
        let Some(_seat) = self.seats.take(organization) else { return Ok(()) };
        let addresses = tokio::time::timeout(LOOKUP_TIMEOUT, self.names.addresses(name)).await.ok().flatten();
        for address in addresses.unwrap_or_default() {
            self.egress.judge_resolved(name, address, endpoint.port()).map_err(refused)?;
        }
        Ok(())
    }
}

/// Refuses a URL. Who asked is told the same whatever the reason; the operator's log says which address it was, and what
/// would allow it.
#[expect(clippy::needless_pass_by_value, reason = "it is what an error is mapped by")]
fn refused(denied: Denied) -> CatalogueError {
    let reason = denied.detail();
    match denied.allow() {
        Some(entry) => {
            tracing::info!("a URL was refused: {reason}; with {entry} in FANFARE_EGRESS_ALLOW it would be taken");
        }
        None => tracing::info!("a URL was refused: {reason}"),
    }
    CatalogueError::Denied(denied.to_string())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::app::Addresses;

    /// Knows a few names; the name server of any other does not answer.
    struct Known;

    impl NameLookup for Known {
        fn addresses<'a>(&'a self, name: &'a str) -> Addresses<'a> {
            let found: Option<&[&str]> = match name {
                "public.example.com" => Some(&["93.184.216.34"]),
                "private.example.com" => Some(&["10.0.0.1"]),
                "mixed.example.com" => Some(&["93.184.216.34", "127.0.0.1"]),
                "unknown.example.com" => None,
                _ => return Box::pin(std::future::pending()),
            };
            let found = found.map(|texts| texts.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect());
            Box::pin(std::future::ready(found))
        }
    }

    async fn verdict(url: &str) -> CatalogueResult<()> {
        verdict_among(&Seats::new(1, 1), OrganizationId(1), url).await
    }

    async fn verdict_among(seats: &Seats, organization: OrganizationId, url: &str) -> CatalogueResult<()> {
        let judge = Judge { egress: &EgressPolicy::default(), names: &Known, seats };
        judge.judge(organization, &[Scheme::Https], url).await
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_judged_by_their_addresses() {
        assert_eq!(verdict("https://public.example.com/").await, Ok(()));
        assert_eq!(verdict("https://unknown.example.com/").await, Ok(()), "it may be made later");
        assert_eq!(verdict("https://silent.example.com/").await, Ok(()), "it is judged again when it is called");
        for url in ["https://private.example.com/", "https://mixed.example.com/", "https://127.0.0.1/"] {
            assert!(matches!(verdict(url).await, Err(CatalogueError::Denied(_))), "{url}");
        }
        assert!(matches!(verdict("http://public.example.com/").await, Err(CatalogueError::Invalid(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_names_are_looked_up_for_an_organization_at_once() {
        const PRIVATE: &str = "https://private.example.com/";
        let [one, other] = [1, 2].map(OrganizationId);
        let seats = Seats::new(1, 2);
        let mut silent = Box::pin(verdict_among(&seats, one, "https://silent.example.com/"));
        assert!(futures_util::poll!(&mut silent).is_pending());
        assert_eq!(verdict_among(&seats, one, PRIVATE).await, Ok(()), "it is judged when it is called");
        assert!(verdict_among(&seats, one, "https://127.0.0.1/").await.is_err(), "an address needs no look-up");
        assert!(verdict_among(&seats, other, PRIVATE).await.is_err());
        assert_eq!(silent.await, Ok(()));
        assert!(verdict_among(&seats, one, PRIVATE).await.is_err());
    }
}
