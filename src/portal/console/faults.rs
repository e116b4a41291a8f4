//! What was wrong with a form: said at its fields, and all of it above the content.

use askama::Template;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;

use super::Answer;
use crate::catalogue::CatalogueError;
use crate::portal::refusal::{Refusal, sentence};
use crate::portal::shell::page;

/// A field of a form: its id on the page, which is its name in the rules, and its label.
pub(super) type Field = (&'static str, &'static str);

/// What is wrong, in the order of the form; nothing where it is blank or good.
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
    /// What of an error belongs into a form with these fields.
    ///
    /// # Errors
    /// What is not the form's fault.
    pub(super) fn of(error: CatalogueError, fields: &[Field]) -> Result<Faults, Refusal> {
        let at = |named: &str, message: &str| {
            let head = named.split(['.', '[']).next().unwrap_or_default();
            match fields.iter().find(|(field, _)| *field == head) {
                Some((field, label)) => Fault { field, message: sentence(&format!("{label} {message}")) },
                None => Fault { field: "", message: sentence(&format!("{} {message}", named.replace('_', " "))) },
            }
        };
        let mut faults: Vec<Fault> = match error {
            CatalogueError::Invalid(errors) => errors.iter().map(|error| at(&error.field, &error.message)).collect(),
            CatalogueError::Denied(message) => vec![at("url", &message)],
            CatalogueError::Taken(field) => vec![at(field, "is taken by another one")],
            CatalogueError::State(_)
            | CatalogueError::Unready(_)
            | CatalogueError::Busy(_)
            | CatalogueError::Contended(_)
            | CatalogueError::Full { .. } => vec![Fault { field: "", message: sentence(&error.to_string()) }],
            other => return Err(other.into()),
        };
        faults.sort_by_key(|fault| fields.iter().position(|(field, _)| *field == fault.field));
        Ok(Faults(faults))
    }

    pub(super) fn all(&self) -> &[Fault] {
        &self.0
    }

    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
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

/// The page of a form that was not taken, with what was typed.
pub(super) fn refused(form: &impl Template) -> Answer {
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page(form)?).into_response())
}

#[cfg(test)]
mod tests {
    use fanfare_engine::profile::FieldError;

    use super::*;

    const FIELDS: [Field; 2] = [("name", "Name"), ("scopes", "Scopes")];

    #[test]
    fn faults_are_said_at_their_fields_in_the_order_of_the_form() {
        let errors = [("scopes[1]", "is unknown"), ("name", "must not be empty"), ("other_thing", "is odd")];
        let errors = errors.map(|(field, message)| FieldError::new(field, message)).to_vec();
        let faults = Faults::of(CatalogueError::Invalid(errors), &FIELDS).unwrap();
        let said: Vec<_> = faults.all().iter().map(|fault| (fault.field, fault.message.as_str())).collect();
        assert_eq!(
            said,
            [("", "Other thing is odd."), ("name", "Name must not be empty."), ("scopes", "Scopes is unknown.")]
        );
        assert!(faults.marks("name").ends_with("aria-describedby=\"name-error\" autofocus"));
        assert!(faults.marks("scopes").ends_with("aria-describedby=\"scopes-error\""));
        assert_eq!(faults.marks("user"), "");
    }

    #[test]
    fn what_is_not_the_forms_fault_is_not_said_in_it() {
        assert!(Faults::of(CatalogueError::NotFound("project"), &FIELDS).is_err());
        let taken = Faults::of(CatalogueError::Taken("name"), &FIELDS).unwrap();
        assert_eq!(taken.at("name"), Some("Name is taken by another one."));
    }
}
