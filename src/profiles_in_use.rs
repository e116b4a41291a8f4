//! Refuses to start without a profile that projects or webhooks use.
//!
//! Without its profile nobody knows which events a webhook is for: they would be accepted, and never delivered to it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fanfare_engine::profile::Profiles;
use fanfare_store::catalogue::profiles_in_use::{self as rows, InUse};
use fanfare_store::catalogue::projects::{self, Project};
use fanfare_store::{Store, StoreResult};

use crate::app::StartError;

/// How many webhooks the refusal names.
const NAMED: u32 = 20;

/// Checks that the server has every profile in use.
///
/// # Errors
/// [`StartError::MissingProfiles`], which names the projects and the webhooks.
pub(crate) async fn check(store: &Store, profiles: &Profiles) -> Result<(), StartError> {
    let known: Vec<&str> = profiles.iter().map(|profile| &*profile.name).collect();
    let mut projects = store.read(projects::all()).await?;
    projects.retain(|project| profiles.get(&project.profile).is_none());
    let webhooks = store.read(rows::unknown(&known, NAMED)).await?;
    if projects.is_empty() && webhooks.is_empty() {
        return Ok(());
    }
    let count = store.read_one(rows::count_unknown(&known)).await?.unwrap_or(0);
    Err(StartError::MissingProfiles(describe(&projects, &webhooks, count)))
}

/// Says which profiles show more than the server's retention keeps.
pub(crate) async fn say_what_is_not_kept(store: &Store, profiles: &Profiles, days: u64) -> StoreResult<()> {
    let projects = store.read(projects::all()).await?;
    let used =
        projects.iter().flat_map(|project| std::iter::once(&project.profile).chain(&project.options.allowed_profiles));
    let names: BTreeSet<&String> = used.collect();
    for profile in names.into_iter().filter_map(|name| profiles.get(name)).filter(|profile| profile.log.however_old) {
        tracing::warn!(
            profile = %profile.name,
            days,
            "the system that this profile stands in for shows deliveries however old they are; this server removes them \
             after retention_days"
        );
    }
    Ok(())
}

/// A line for each project and each webhook; `count` is how many webhooks there are.
fn describe(projects: &[Project], webhooks: &[InUse], count: i64) -> String {
    let mut text = String::new();
    for Project { name, profile, .. } in projects {
        let _ = writeln!(text, "  profile {profile:?}: project {name:?} has it as its own");
    }
    for InUse { profile, webhook, name, organization, external_id } in webhooks {
        let host_id = external_id.as_ref().map_or_else(String::new, |id| format!(" ({id:?})"));
        let _ = writeln!(
            text,
            "  profile {profile:?}: webhook {webhook} ({name:?}) of organization {organization}{host_id}"
        );
    }
    let more = count - i64::try_from(webhooks.len()).unwrap_or(i64::MAX);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more webhooks");
    }
    text
}
