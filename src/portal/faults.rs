//! What is wrong with a form that was sent: said at its fields, or of the whole of it. What was typed stays in the form.

use askama::Template;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use fanfare_engine::profile::FieldError;

use super::Answer;
use super::refusal::{Refusal, sentence};
use super::shell::page;
use super::texts::Texts;
use crate::catalogue::CatalogueError;

/// What is wrong with a form, in the order of the page; nothing where it is blank or good.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The id of the field; empty for the whole of the form.
    pub(super) field: &'static str,
    /// A sentence.
    pub(super) message: String,
}

impl Faults {
    /// Adds a fault; `message` becomes a sentence.
    pub(super) fn add(&mut self, field: &'static str, message: &str) {
        self.0.push(Fault { field, message: sentence(message) });
    }

    /// Puts them in the order in which `fields` stand on the page; those of the whole come first.
    pub(super) fn sort(&mut self, fields: impl Iterator<Item = &'static str>) {
        let fields: Vec<&str> = fields.collect();
        self.0.sort_by_key(|fault| fields.iter().position(|field| *field == fault.field));
    }

    pub(super) fn all(&self) -> &[Fault] {
        &self.0
    }

    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether there is one that can be mended at a field.
    pub(super) fn at_fields(&self) -> bool {
        self.0.iter().any(|fault| !fault.field.is_empty())
    }

    /// What is wrong with a field.
    pub(super) fn at(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|fault| fault.field == field).map(|fault| fault.message.as_str())
    }

    /// The attributes that a field has for what is wrong with it. The first wrong one takes the focus.
    pub(super) fn marks(&self, field: &str) -> String {
        if self.at(field).is_none() {
            return String::new();
        }
        let first = self.0.iter().find(|fault| !fault.field.is_empty());
        let focus = if first.is_some_and(|fault| fault.field == field) { " autofocus" } else { "" };
        format!(" aria-invalid=\"true\" aria-describedby=\"{field}-error\"{focus}")
    }
}

/// Why a form was not carried out.
#[derive(Debug)]
pub(super) struct Refused {
    /// With which status its page is answered.
    pub(super) status: StatusCode,
    /// What is wrong; with the whole of the form where the field is empty.
    pub(super) errors: Vec<FieldError>,
}

impl Refused {
    /// For what is wrong with fields.
    pub(super) fn by_fields(errors: Vec<FieldError>) -> Refused {
        Refused { status: StatusCode::UNPROCESSABLE_ENTITY, errors }
    }

    /// For what is wrong with the whole.
    pub(super) fn whole(status: StatusCode, why: impl Into<String>) -> Refused {
        Refused { status, errors: vec![FieldError::new("", why.into())] }
    }

    /// What of an error belongs into the form: all that its sender can mend, or can send again later.
    ///
    /// # Errors
    /// The rest, for which there is a page of its own.
    pub(super) fn of(t: &Texts, error: CatalogueError) -> Result<Refused, Refusal> {
        let why = error.to_string();
        match error {
            CatalogueError::Invalid(errors) => Ok(Refused::by_fields(errors)),
            CatalogueError::Denied(message) => Ok(Refused::by_fields(vec![FieldError::new("url", message)])),
            CatalogueError::Taken(field) => Ok(Refused::by_fields(vec![FieldError::new(field, t.shell.taken)])),
            CatalogueError::Busy(why) => Ok(Refused::whole(StatusCode::SERVICE_UNAVAILABLE, why)),
            CatalogueError::Full { .. }
            | CatalogueError::Contended(_)
            | CatalogueError::State(_)
            | CatalogueError::Unready(_) => Ok(Refused::whole(StatusCode::CONFLICT, why)),
            other => match Refusal::from(other) {
                Refusal::Unavailable => Ok(Refused::whole(StatusCode::SERVICE_UNAVAILABLE, t.refusal.unavailable)),
                refusal => Err(refusal),
            },
        }
    }

    /// The form's page with what is wrong.
    pub(super) fn answer(&self, form: &impl Template) -> Answer {
        Ok((self.status, page(form)?).into_response())
    }
}

#[cfg(test)]
mod tests {
    use fanfare_store::StoreError;

    use super::*;
    use crate::portal::texts::for_languages;

    #[test]
    fn whatever_can_be_mended_or_sent_again_stays_in_the_form() {
        let t = for_languages("");
        for (error, status, field) in [
            (CatalogueError::field("name", "is long"), 422, "name"),
            (CatalogueError::Denied("is private".to_owned()), 422, "url"),
            (CatalogueError::Taken("number"), 422, "number"),
            (CatalogueError::Busy("try again"), 503, ""),
            (CatalogueError::Full { what: "webhooks", most: 3 }, 409, ""),
            (CatalogueError::Contended("webhook"), 409, ""),
            (CatalogueError::Unready("it is off".to_owned()), 409, ""),
            (CatalogueError::Store(StoreError::Unavailable("full".to_owned())), 503, ""),
        ] {
            let refused = Refused::of(t, error.clone()).unwrap();
            assert_eq!((refused.status.as_u16(), refused.errors[0].field.as_str()), (status, field), "{error}");
        }
        assert!(matches!(Refused::of(t, CatalogueError::NotFound("webhook")), Err(Refusal::NotFound)));
    }

    #[test]
    fn the_first_wrong_field_takes_the_focus() {
        let mut faults = Faults::default();
        for field in ["url", "", "name"] {
            faults.add(field, "is wrong");
        }
        faults.sort(["name", "url"].into_iter());
        let order: Vec<&str> = faults.all().iter().map(|fault| fault.field).collect();
        assert_eq!(order, ["", "name", "url"]);
        assert!(faults.marks("name").ends_with("aria-describedby=\"name-error\" autofocus"));
        assert!(faults.marks("url").ends_with("aria-describedby=\"url-error\""));
        assert_eq!(faults.marks("secret"), "");
    }
}
