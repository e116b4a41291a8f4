//! What every page has around its content.

use askama::Template;
use axum::response::{Html, IntoResponse as _};

use super::Answer;
use super::assets::{ASSETS, Assets};
use super::theme;
use super::visitor::Visitor;

/// The section that a page is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Webhooks,
    Deliveries,
    Catalogue,
}

/// What the layout shows.
pub(super) struct Shell {
    pub(super) assets: &'static Assets,
    pub(super) title: String,
    pub(super) section: Section,
    pub(super) organization: String,
    /// Tells pages of one organization from those of another that the same browser opened.
    pub(super) visit: String,
    pub(super) logo: Option<String>,
    pub(super) theme: Option<String>,
    pub(super) form_mark: String,
    /// What was just done, said once above the content.
    pub(super) notice: Option<String>,
}

impl Shell {
    pub(super) fn new(visitor: &Visitor, section: Section, title: impl Into<String>) -> Shell {
        Shell {
            assets: &ASSETS,
            title: title.into(),
            section,
            organization: visitor.organization.name.clone(),
            visit: visitor.organization.id.to_string(),
            logo: theme::logo(&theme::of(visitor)).map(str::to_owned),
            theme: theme::href(visitor),
            form_mark: visitor.form_mark.clone(),
            notice: None,
        }
    }

    /// The same with something said above the content.
    pub(super) fn saying(self, notice: Option<impl Into<String>>) -> Shell {
        Shell { notice: notice.map(Into::into), ..self }
    }

    pub(super) fn is_in(&self, section: &str) -> bool {
        let own = match self.section {
            Section::Webhooks => "webhooks",
            Section::Deliveries => "deliveries",
            Section::Catalogue => "catalogue",
        };
        own == section
    }
}

/// The page as it is answered.
pub(super) fn page(page: &impl Template) -> Answer {
    Ok(Html(page.render()?).into_response())
}
