//! Holds on sending: started, listed, ended. What is held waits; nothing is lost.

use fanfare_engine::id::{PauseId, ProjectId};
use fanfare_store::catalogue::Page;
use fanfare_store::catalogue::pauses::{self as rows, Hold, Pause};

use super::{CatalogueError, CatalogueResult, check_room};
use crate::app::App;

/// How many holds a project may have.
pub const MAX_PAUSES: u32 = 1_000;
/// The longest host, in bytes.
const MAX_HOST: usize = 253;

/// Starts a hold.
///
/// # Errors
/// Too many holds.
pub async fn create(app: &App, project: ProjectId, hold: Hold) -> CatalogueResult<Pause> {
    check_room(app.store.read_one(rows::count(project)).await?, "pauses in a project", MAX_PAUSES)?;
    let pause = Pause { id: app.ids.next(), project, hold, created_at: app.now() };
    app.make(rows::insert(&pause), None, &pause.id.to_string()).await?;
    app.observer.pauses_changed().await;
    Ok(pause)
}

/// A page of a project's holds.
pub async fn list(app: &App, project: ProjectId, page: Page) -> CatalogueResult<Vec<Pause>> {
    Ok(app.store.read(rows::list(project, page)).await?)
}

/// Ends a hold: what was held is sent.
pub async fn delete(app: &App, project: ProjectId, id: PauseId) -> CatalogueResult<()> {
    app.change(rows::delete(project, id), None).await?;
    app.observer.pauses_changed().await;
    Ok(())
}

/// A host name or address in the form that endpoints have.
///
/// # Errors
/// It is no host.
pub fn canonical_host(text: &str) -> CatalogueResult<String> {
    let host = url::Host::parse(text).map(|host| host.to_string()).unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(&host);
    if host.is_empty() || host.len() > MAX_HOST {
        let message = "must be a host name or address such as example.com, without scheme, port and path";
        return Err(CatalogueError::field("host", message));
    }
    Ok(host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_one_form() {
        assert_eq!(canonical_host("Example.COM.").unwrap(), "example.com");
        assert_eq!(canonical_host("bücher.example").unwrap(), "xn--bcher-kva.example");
        assert_eq!(canonical_host("203.0.113.7").unwrap(), "203.0.113.7");
        for bad in ["", "https://example.com", "example.com:80", "a b", "a/b"] {
            assert!(canonical_host(bad).is_err(), "{bad}");
        }
    }
}
