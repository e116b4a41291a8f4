//! What was wrong with a form of the console, by the labels of its fields.

use crate::portal::faults::{Faults, Refused};

/// A field of a form: its id on the page, which is its name in the rules, and its label.
pub(super) type Field = (&'static str, &'static str);

/// What a form with these fields was refused for; what belongs to none of them is of the whole form.
pub(super) fn of(refused: &Refused, fields: &[Field]) -> Faults {
    let mut faults = Faults::default();
    for error in &refused.errors {
        let head = error.field.split(['.', '[']).next().unwrap_or_default();
        match fields.iter().find(|(field, _)| *field == head) {
            Some((field, label)) => faults.add(field, &format!("{label} {}", error.message)),
            None => faults.add("", format!("{} {}", error.field.replace('_', " "), error.message).trim_start()),
        }
    }
    faults.sort(fields.iter().map(|(field, _)| *field));
    faults
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use fanfare_engine::profile::FieldError;

    use super::*;

    const FIELDS: [Field; 2] = [("name", "Name"), ("scopes", "Scopes")];

    #[test]
    fn faults_are_said_at_their_fields_in_the_order_of_the_form() {
        let errors = [("scopes[1]", "is unknown"), ("name", "must not be empty"), ("other_thing", "is odd")];
        let errors = errors.map(|(field, message)| FieldError::new(field, message)).to_vec();
        let faults = of(&Refused::by_fields(errors), &FIELDS);
        let said: Vec<_> = faults.all().iter().map(|fault| (fault.field, fault.message.as_str())).collect();
        assert_eq!(
            said,
            [("", "Other thing is odd."), ("name", "Name must not be empty."), ("scopes", "Scopes is unknown.")]
        );
        let whole = of(&Refused::whole(StatusCode::CONFLICT, "there may be at most 3 keys"), &FIELDS);
        assert_eq!(whole.all()[0].message, "There may be at most 3 keys.");
    }
}
