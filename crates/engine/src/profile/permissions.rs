//! Who may see and manage webhooks of a profile, and whether that is asked again before each message.

use super::reader::{Entry, Section};

/// The most roles, and the most permissions, that one need may name.
const MAX_NAMED: usize = 100;
/// The longest name of a role or permission, in bytes.
pub const MAX_STANDING_BYTES: usize = 255;

/// Roles and permissions of which a user needs any one; nothing named is what everybody has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub roles: Vec<String>,
    pub permissions: Vec<String>,
}

impl Standing {
    /// Whether everybody meets it.
    pub fn is_nothing(&self) -> bool {
        self.roles.is_empty() && self.permissions.is_empty()
    }
}

/// The rules for users; the host itself is not judged. See [`crate::access::judge`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// To look at webhooks and at what they were sent.
    pub see: Standing,
    /// To make and change webhooks.
    pub manage: Standing,
    /// Whether who makes or changes a webhook whose filter names an entity by its id needs a grant on it, or on one of its
    /// ancestors.
    pub entity_access: bool,
    /// Whether the owner's right to manage the webhook is judged again when a message is prepared, on each attempt.
    pub recheck: bool,
}

pub(super) fn permissions(knobs: &Section) -> Permissions {
    Permissions {
        see: knobs.section("see", need),
        manage: knobs.section("manage", need),
        entity_access: knobs.or("entity_access", false, Entry::boolean),
        recheck: knobs.or("recheck", false, Entry::boolean),
    }
}

fn need(knobs: &Section) -> Standing {
    Standing { roles: named(knobs, "roles"), permissions: named(knobs, "permissions") }
}

fn named(knobs: &Section, key: &'static str) -> Vec<String> {
    let names = knobs.each(key, name);
    if names.len() > MAX_NAMED {
        knobs.note(format!("{key} has {} entries, but at most {MAX_NAMED} are allowed", names.len()));
    }
    names
}

fn name(entry: &Entry) -> Option<String> {
    let text = entry.text()?;
    if text.is_empty() || text.len() > MAX_STANDING_BYTES || text.contains(char::is_control) {
        entry.note(format!("must have 1 to {MAX_STANDING_BYTES} bytes and no control characters"));
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::profile::{Permissions, Profile, Standing};

    const BODY: &str = "\n[payload]\nraw = true\n";

    fn parse(knobs: &str) -> Result<Permissions, String> {
        let text = format!("name = \"x\"\n{knobs}{BODY}");
        let profile = Profile::parse("x.toml", &text);
        profile.map(|profile| profile.permissions).map_err(|errors| format!("{errors:?}"))
    }

    #[test]
    fn nothing_said_is_everybody() {
        assert_eq!(parse("").unwrap(), Permissions::default());
    }

    #[test]
    fn needs_are_named() {
        let parsed = parse(
            "[permissions]\nmanage = { roles = [\"A\", \"B\"], permissions = [\"p\"] }\nentity_access = true\nrecheck = true",
        );
        let manage = Standing { roles: vec!["A".to_owned(), "B".to_owned()], permissions: vec!["p".to_owned()] };
        assert_eq!(
            parsed.unwrap(),
            Permissions { manage, entity_access: true, recheck: true, ..Permissions::default() }
        );
    }

    #[test]
    fn mistakes_are_told() {
        let error = parse("[permissions]\nsee = { role = [\"A\"] }").unwrap_err();
        assert!(error.contains("permissions.see.role"), "{error}");
        assert!(parse("[permissions]\nsee = { roles = [\"\"] }").unwrap_err().contains("1 to 255 bytes"));
    }
}
