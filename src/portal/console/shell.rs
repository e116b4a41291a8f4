//! What every page of the console has around its content.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::faults::{self, Field};
use super::operator::Operator;
use crate::portal::assets::{ASSETS, Assets};
use crate::portal::faults::{Faults, Refused};

/// The pages that the navigation leads to: path and label.
const PLACES: [(&str, &str); 11] = [
    ("/console", "Overview"),
    ("/console/organizations", "Organizations"),
    ("/console/failing", "Failing"),
    ("/console/deliveries", "Deliveries"),
    ("/console/event-types", "Event types"),
    ("/console/profiles", "Profiles"),
    ("/console/api-keys", "API keys"),
    ("/console/pauses", "Pauses"),
    ("/console/jobs", "Jobs"),
    ("/console/alerts", "Alerts"),
    ("/console/system", "System"),
];

/// What the layout shows.
pub(super) struct Shell {
    pub(super) assets: &'static Assets,
    pub(super) title: String,
    /// Path, label, and whether the page is there.
    pub(super) places: Vec<(&'static str, &'static str, bool)>,
    pub(super) project: String,
    pub(super) project_id: String,
    /// The ids and names of the projects to choose from.
    pub(super) projects: Vec<(String, String)>,
    pub(super) form_mark: String,
    /// Whether anything may be changed.
    pub(super) manages: bool,
    /// What was just done, said once above the content.
    pub(super) notice: Option<String>,
    /// What was wrong with the form that was sent.
    pub(super) faults: Faults,
}

impl Shell {
    /// `path` is that of the navigation's place where the page belongs.
    pub(super) fn new(operator: &Operator, path: &str, title: impl Into<String>) -> Shell {
        Shell {
            assets: &ASSETS,
            title: title.into(),
            places: PLACES.iter().map(|(place, label)| (*place, *label, *place == path)).collect(),
            project: operator.project.name.clone(),
            project_id: operator.project.id.to_string(),
            projects: operator.projects.clone(),
            form_mark: operator.form_mark.clone(),
            manages: operator.manages(),
            notice: None,
            faults: Faults::default(),
        }
    }

    /// The same with something said above the content.
    pub(super) fn saying(self, notice: Option<&str>) -> Shell {
        Shell { notice: notice.map(str::to_owned), ..self }
    }

    /// The same with what a form with these fields was refused for.
    pub(super) fn faulting(self, refused: &Refused, fields: &[Field]) -> Shell {
        Shell { faults: faults::of(refused, fields), ..self }
    }
}

/// A name as a part of a path.
pub(super) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}
