//! Replacing a webhook's secret by the form on its page.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect};
use fanfare_engine::access::Action;
use fanfare_engine::profile::FieldError;

use super::Page;
use crate::app::App;
use crate::catalogue::webhooks::{self as service, Rotation};
use crate::portal::Answer;
use crate::portal::charts::Range;
use crate::portal::faults::{Faults, Refused};
use crate::portal::form::Form;
use crate::portal::reach;
use crate::portal::texts::Texts;
use crate::portal::visitor::Visitor;
use crate::portal::words::span;

/// The fields of the form, in their order on the page.
const FIELDS: [&str; 2] = ["overlap", "new-secret"];
/// How long a replaced secret may still sign, in hours.
const OVERLAPS: [u64; 4] = [1, 24, 3 * 24, 7 * 24];

/// How long a replaced secret may still sign, in seconds and in words.
pub(in crate::portal) fn overlaps(t: &Texts) -> Vec<(String, String)> {
    let choice = |hours: &u64| {
        let seconds = hours * 3_600;
        (seconds.to_string(), span(&t.words, Duration::from_secs(seconds)))
    };
    OVERLAPS.iter().map(choice).collect()
}

/// What was typed into the form, and what is wrong with it.
#[derive(Default)]
pub(in crate::portal) struct Replacing {
    pub(super) secret: String,
    /// In seconds; empty for the usual time.
    pub(super) overlap: String,
    pub(super) faults: Faults,
}

impl Replacing {
    pub(in crate::portal) fn sent(form: &Form) -> Replacing {
        let text = |name: &str| form.get(name).trim().to_owned();
        Replacing { secret: text("secret"), overlap: text("overlap"), faults: Faults::default() }
    }

    /// What is to be done.
    ///
    /// # Errors
    /// What cannot be read.
    pub(in crate::portal) fn rotation(&self, t: &Texts) -> Result<Rotation, FieldError> {
        let overlap_seconds = match self.overlap.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| FieldError::new("overlap_seconds", t.form.bad_number))?),
        };
        let secret = Some(self.secret.clone()).filter(|secret| !secret.is_empty());
        Ok(Rotation { secret, overlap_seconds, header: None })
    }

    fn refused(mut self, t: &Texts, errors: &[FieldError]) -> Replacing {
        for error in errors {
            let head = error.field.split(['.', '[']).next().unwrap_or_default();
            match head {
                "secret" | "secrets" => {
                    self.faults.add("new-secret", &format!("{} {}", t.webhook.rotate_own, error.message));
                }
                "overlap_seconds" => {
                    self.faults.add("overlap", &format!("{} {}", t.webhook.rotate_span, error.message));
                }
                "" => self.faults.add("", &error.message),
                other => self.faults.add("", &format!("{other} {}", error.message)),
            }
        }
        self.faults.sort(FIELDS.into_iter());
        self
    }
}

pub(super) async fn replace(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let t = visitor.t;
    let typed = Replacing::sent(&form);
    let refused = match typed.rotation(t) {
        Ok(rotation) => match service::rotate(&app, &visitor.place(), &id, &rotation).await {
            Ok(_) => return Ok(Redirect::to(&format!("/portal/webhooks/{id}?done=rotated")).into_response()),
            Err(error) => Refused::of(t, error)?,
        },
        Err(error) => Refused::by_fields(vec![error]),
    };
    let webhook = reach::webhook(&app, &visitor, &id, Action::Manage).await?;
    let shown = Page::of(&app, &visitor, webhook, Range::default(), None, false).await?;
    refused.answer(&Page { replacing: typed.refused(t, &refused.errors), ..shown })
}
