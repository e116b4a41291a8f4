//! Projects: made, edited, listed.

use std::collections::BTreeMap;

use fanfare_engine::id::ProjectId;
use fanfare_engine::time::Timestamp;
use fanfare_store::StoreError;
use fanfare_store::catalogue::Page;
use fanfare_store::catalogue::projects::{self as rows, Project, ProjectOptions};
use fanfare_store::query::Change;
use fanfare_store::queue::Touches;
use url::Url;

use super::fields::Faults;
use super::themes::{self, has_plain_host};
use super::{CatalogueError, CatalogueResult, EDIT_TRIES, Found, check_room, event_types};
use crate::app::App;

/// How many projects there may be.
pub const MAX_PROJECTS: u32 = 1_000;
/// How many profiles a project may allow beside its own.
pub const MAX_ALLOWED_PROFILES: usize = 100;
/// The longest retention, in days.
pub const MAX_RETENTION_DAYS: u32 = 3_650;
/// How many origins may embed a project's portal.
pub const MAX_FRAME_ANCESTORS: usize = 50;
/// How many values of a theme are looked at; there are fewer names.
const MAX_THEME_FAULTS: usize = 40;
/// The longest origin, in bytes.
const MAX_ORIGIN: usize = 260;

/// What is to be different; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct ProjectChanges {
    pub name: Option<String>,
    pub profile: Option<String>,
    pub allowed_profiles: Option<Vec<String>>,
    /// `Some(None)` goes back to the server's own number.
    pub retention_days: Option<Option<u32>>,
    pub theme: Option<BTreeMap<String, String>>,
    pub frame_ancestors: Option<Vec<String>>,
}

/// A project with nothing set but its name and profile.
pub fn blank(id: ProjectId, name: &str, profile: &str, now: Timestamp) -> Project {
    Project {
        id,
        name: name.to_owned(),
        profile: profile.to_owned(),
        options: ProjectOptions::default(),
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// Makes a project. Where no profile is given it is that of the project `default`.
///
/// # Errors
/// Fields that are not valid, a name that is taken, or too many projects.
pub async fn create(app: &App, changes: ProjectChanges) -> CatalogueResult<Project> {
    check_room(app.store.read_one(rows::count()).await?, "projects", MAX_PROJECTS)?;
    let profile = match &changes.profile {
        Some(profile) => profile.clone(),
        None => by_id(app, app.default_project).await?.profile,
    };
    let project = apply(blank(app.ids.next(), "", &profile, app.now()), changes);
    check(app, &project, true)?;
    let change = with_event_types(app, &project, rows::insert(&project, app.ids.next()));
    app.make(change, Some(touches(project.id)), &project.id.to_string()).await?;
    app.observer.project_changed(project.id);
    Ok(project)
}

/// Edits a project.
///
/// # Errors
/// It is unknown, fields are not valid, or the name is taken.
pub async fn edit(app: &App, id: ProjectId, changes: ProjectChanges) -> CatalogueResult<Project> {
    let _turn = app.turns.wait(id.0).await;
    for _ in 0..EDIT_TRIES {
        let before = by_id(app, id).await?;
        let profiles = (before.profile.clone(), before.options.allowed_profiles.clone());
        let mut project = apply(before, changes.clone());
        check(app, &project, changes.theme.is_some())?;
        project.updated_at = app.now();
        let other_profiles = profiles != (project.profile.clone(), project.options.allowed_profiles.clone());
        let change = match other_profiles {
            true => with_event_types(app, &project, rows::update(&project)),
            false => rows::update(&project),
        };
        match app.change(change, Some(touches(id))).await {
            Ok(_) => {
                app.observer.project_changed(id);
                if other_profiles {
                    app.observer.profiles_changed(id);
                }
                project.version += 1;
                return Ok(project);
            }
            Err(StoreError::Stale(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CatalogueError::Contended("project"))
}

/// A change of a project, and the event types that its profiles bring.
fn with_event_types(app: &App, project: &Project, change: Change) -> Change {
    event_types::of_profiles(app, project).into_iter().fold(change, Change::then)
}

/// The project that `text` names: its id or its name.
pub async fn find(app: &App, text: &str) -> CatalogueResult<Project> {
    let query = match ProjectId::parse(text) {
        Some(id) => rows::by_id(id),
        None => rows::by_name(text),
    };
    app.store.read_one(query).await?.ok_or(CatalogueError::NotFound("project"))
}

/// The project with this id.
pub async fn by_id(app: &App, id: ProjectId) -> CatalogueResult<Project> {
    app.store.read_one(rows::by_id(id)).await?.ok_or(CatalogueError::NotFound("project"))
}

/// A page of all projects.
pub async fn list(app: &App, page: Page) -> CatalogueResult<Found<Project>> {
    Ok(Found::read(app, rows::list(page), page.limit, None).await?)
}

fn touches(project: ProjectId) -> Touches {
    Touches { project, organization: None }
}

fn apply(mut project: Project, changes: ProjectChanges) -> Project {
    project.name = changes.name.unwrap_or(project.name);
    project.profile = changes.profile.unwrap_or(project.profile);
    let options = &mut project.options;
    options.retention_days = changes.retention_days.unwrap_or(options.retention_days);
    if let Some(allowed) = changes.allowed_profiles {
        options.allowed_profiles = allowed;
    }
    if let Some(theme) = changes.theme {
        options.theme = theme;
    }
    if let Some(origins) = changes.frame_ancestors {
        options.frame_ancestors = origins;
    }
    project
}

/// Checks a project; its theme where that is new.
fn check(app: &App, project: &Project, with_theme: bool) -> CatalogueResult<()> {
    let mut faults = Faults::default();
    faults.name("name", &project.name);
    faults.require(!project.name.starts_with(ProjectId::PREFIX), "name", || {
        format!("must not start with {}, so that it cannot be mistaken for an id", ProjectId::PREFIX)
    });
    let known = || app.profiles.iter().map(|profile| profile.name.to_string()).collect::<Vec<_>>().join(", ");
    let exists = |name: &str| app.profiles.get(name).is_some();
    faults.require(exists(&project.profile), "profile", || format!("is no profile of this server; it has {}", known()));
    let options = &project.options;
    faults.require(options.allowed_profiles.len() <= MAX_ALLOWED_PROFILES, "allowed_profiles", || {
        format!("must name at most {MAX_ALLOWED_PROFILES} profiles")
    });
    for (index, name) in options.allowed_profiles.iter().enumerate() {
        faults.require(exists(name), &format!("allowed_profiles[{index}]"), || {
            format!("is no profile of this server; it has {}", known())
        });
    }
    let days = options.retention_days;
    faults.require(days.is_none_or(|days| (1..=MAX_RETENTION_DAYS).contains(&days)), "retention_days", || {
        format!("must be from 1 to {MAX_RETENTION_DAYS}")
    });
    if with_theme {
        check_theme(&mut faults, &options.theme);
    }
    faults.require(options.frame_ancestors.len() <= MAX_FRAME_ANCESTORS, "frame_ancestors", || {
        format!("must name at most {MAX_FRAME_ANCESTORS} origins")
    });
    for (index, origin) in options.frame_ancestors.iter().enumerate() {
        faults.require(is_origin(origin), &format!("frame_ancestors[{index}]"), || {
            "must be an origin such as https://app.example.com, without a path".to_owned()
        });
    }
    faults.finish()
}

fn check_theme(faults: &mut Faults, theme: &BTreeMap<String, String>) {
    for (name, value) in theme.iter().take(MAX_THEME_FAULTS) {
        let read = themes::read(name, value);
        faults.require(read.is_ok(), &format!("theme.{}", name.escape_debug()), || read.err().unwrap_or_default());
    }
}

/// Whether it is an origin that may stand in the policy of a page.
pub fn is_origin(text: &str) -> bool {
    // `*.` for all names below one, as in a content security policy.
    let plain = text.replacen("://*.", "://any.", 1);
    let good = |url: &Url| {
        matches!(url.scheme(), "http" | "https") && has_plain_host(url) && url.origin().ascii_serialization() == plain
    };
    text.len() <= MAX_ORIGIN && Url::parse(&plain).is_ok_and(|url| good(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_scheme_and_host_only() {
        for good in ["https://app.example.com", "http://localhost:3000", "https://*.example.com", "https://a.b:8443"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "https://",
            "https://a.b/",
            "https://a.b/x",
            "https://a.b; script-src *",
            "https://a.b;sandbox",
            "https://a.b,c.d",
            "ftp://a.b",
            "'self'",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
