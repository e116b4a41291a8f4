//! Variables that look like settings and are none: a mistake in a name would otherwise be passed over in silence.

use std::collections::BTreeSet;

/// What the names of all settings' variables start with.
const PREFIX: &str = "FANFARE_";

/// A line for each variable of the environment that starts like a setting's and is not among `known`, with the nearest one.
pub fn unknown_variables(known: &BTreeSet<String>) -> Vec<String> {
    #[expect(clippy::disallowed_methods, reason = "names alone are read, of what no setting is")]
    let present = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    told(present, known)
}

fn told(present: impl Iterator<Item = String>, known: &BTreeSet<String>) -> Vec<String> {
    let strangers: BTreeSet<String> =
        present.filter(|name| name.starts_with(PREFIX) && !known.contains(name)).collect();
    let line = |name: String| match nearest(&name, known) {
        Some(near) => format!("{name} is no setting and is not used; did you mean {near}?"),
        None => format!("{name} is no setting and is not used; `fanfare serve --help` lists them"),
    };
    strangers.into_iter().map(line).collect()
}

/// The known name that differs least, where that is by no more than a third of its letters.
fn nearest<'a>(name: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let own = name.strip_prefix(PREFIX).unwrap_or(name).as_bytes();
    let far = |known: &String| difference(own, known.strip_prefix(PREFIX).unwrap_or(known).as_bytes());
    let near = known.iter().min_by_key(|known| far(known))?;
    (far(near) <= own.len().div_ceil(3)).then_some(near)
}

/// How many letters must be put in, taken out or replaced to make one text of the other.
fn difference(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistaken_name_is_told_with_the_nearest() {
        let known = ["FANFARE_LISTEN", "FANFARE_EGRESS_ALLOW", "FANFARE_KEY"].map(str::to_owned).into();
        let present = ["PATH", "FANFARE_LISTEN", "FANFARE_EGRES_ALLOWED", "FANFARE_SOMETHING_ELSE"].map(str::to_owned);
        assert_eq!(
            told(present.into_iter(), &known),
            [
                "FANFARE_EGRES_ALLOWED is no setting and is not used; did you mean FANFARE_EGRESS_ALLOW?",
                "FANFARE_SOMETHING_ELSE is no setting and is not used; `fanfare serve --help` lists them",
            ]
        );
    }

    #[test]
    fn the_difference_of_two_texts() {
        for (from, to, expected) in [("", "", 0), ("a", "", 1), ("listen", "listne", 2), ("egres", "egress", 1)] {
            assert_eq!(difference(from.as_bytes(), to.as_bytes()), expected, "{from} {to}");
        }
    }
}
