//! Who may see and manage webhooks: a user's roles, permissions and grants, judged by a profile's rules.
//!
//! The host itself is not judged. A user whom the host never told of is one with nothing: such a user may do what the
//! profile asks nothing for.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::EntityRef;
use crate::profile::{Permissions, Standing};
use crate::webhook::Filter;

/// How many ancestors of an entity are known at most.
pub const MAX_ANCESTORS: usize = 100;

/// The entities that a user has access to; an entity covers those below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grants {
    /// Every entity.
    All,
    /// These, and those whose ancestors they are; their ids are canonical, see [`canonical_id`](crate::event::canonical_id).
    Only(BTreeSet<EntityRef>),
}

impl Default for Grants {
    fn default() -> Self {
        Grants::Only(BTreeSet::new())
    }
}

impl Grants {
    /// Whether they cover an entity whose ancestors are `scope`; all ids are canonical.
    pub fn cover(&self, entity: &EntityRef, scope: &[EntityRef]) -> bool {
        match self {
            Grants::All => true,
            Grants::Only(granted) => {
                granted.contains(entity) || scope.iter().any(|ancestor| granted.contains(ancestor))
            }
        }
    }
}

impl Serialize for Grants {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Grants::All => serializer.serialize_str("all"),
            Grants::Only(granted) => granted.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Grants {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "expected \"all\" or a list of {\"type\", \"id\"}";
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected \"all\" or a list of {\"type\", \"id\"}")]
        enum Form {
            Word(String),
            Granted(Vec<EntityRef>),
        }
        match Form::deserialize(deserializer)? {
            Form::Word(word) if word == "all" => Ok(Grants::All),
            Form::Word(_) => Err(serde::de::Error::custom(EXPECTED)),
            Form::Granted(granted) => Ok(Grants::Only(granted.into_iter().map(EntityRef::canonical).collect())),
        }
    }
}

/// A person of an organization, as the host knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The host's own id.
    pub id: String,
    pub roles: Vec<String>,
    pub permissions: Vec<String>,
    pub grants: Grants,
}

impl User {
    /// One of whom nothing but the id is known.
    pub fn unknown(id: impl Into<String>) -> Self {
        User { id: id.into(), ..User::default() }
    }
}

/// What a user is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at webhooks and at what they were sent.
    See,
    /// Make, change, switch, try out or remove a webhook, and have deliveries sent again or cancelled.
    Manage,
}

/// What a user lacks. It reads on after the user's name: "needs the role ProcessBuilder".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// One of these roles or permissions.
    Standing(Standing),
    /// A grant on this entity or on one of its ancestors.
    Entity(EntityRef),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Standing(Standing { roles, permissions }) => {
                let roles = roles.iter().map(|role| format!("the role {role}"));
                let permissions = permissions.iter().map(|permission| format!("the permission {permission}"));
                let all: Vec<String> = roles.chain(permissions).collect();
                write!(f, "needs {}", all.join(" or "))
            }
            Refusal::Entity(EntityRef { kind, id }) => write!(f, "needs access to {kind} {id}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// The entity that a filter names by its id, if it does: what `entity_access` is about. Its id is canonical.
pub fn named_entity(filter: Option<&Filter>) -> Option<EntityRef> {
    let filter = filter?;
    Some(EntityRef { kind: filter.kind.clone(), id: filter.id.clone()? }.canonical())
}

/// What is known of an entity's ancestors once an event said `told` of them, where `known` was known before; `None` where
/// that is no news. The order does not matter, and each stands once.
///
/// An event need not name them all. As long as it says the same of every type that it names, what it leaves out stays known.
/// Once it says otherwise of any, the entity has moved, and only what it says holds: nobody keeps a right by an ancestor
/// of which the event is silent.
pub fn learnt(known: &[EntityRef], told: &[EntityRef]) -> Option<Vec<EntityRef>> {
    let told: BTreeSet<&EntityRef> = told.iter().collect();
    let known: BTreeSet<&EntityRef> = known.iter().collect();
    let named: BTreeSet<&str> = told.iter().map(|ancestor| ancestor.kind.as_str()).collect();
    let of_named = |ancestor: &&&EntityRef| named.contains(ancestor.kind.as_str());
    let spoken_of: BTreeSet<&EntityRef> = known.iter().filter(of_named).copied().collect();
    let kinds: BTreeSet<&str> = spoken_of.iter().map(|ancestor| ancestor.kind.as_str()).collect();
    let agrees = told.iter().filter(|ancestor| kinds.contains(ancestor.kind.as_str())).eq(spoken_of.iter());
    let all: BTreeSet<&EntityRef> = told.union(&known).copied().collect();
    let learnt = if agrees && all.len() <= MAX_ANCESTORS { all } else { told };
    (learnt != known).then(|| learnt.into_iter().cloned().collect())
}

/// Whether a user may do this under these rules. `entity` is the one that the webhook's filter names by its id, with its
/// ancestors; it matters for [`Action::Manage`] where the rules have `entity_access`. `None` for a user is one of whom the
/// host never told, or does not any more.
///
/// # Errors
/// What is lacking; the standing before the access to the entity.
pub fn judge(
    permissions: &Permissions,
    user: Option<&User>,
    action: Action,
    entity: Option<(&EntityRef, &[EntityRef])>,
) -> Result<(), Refusal> {
    let need = match action {
        Action::See => &permissions.see,
        Action::Manage => &permissions.manage,
    };
    if !meets(need, user) {
        return Err(Refusal::Standing(need.clone()));
    }
    match entity {
        Some((entity, scope)) if action == Action::Manage && permissions.entity_access => {
            match user.is_some_and(|user| user.grants.cover(entity, scope)) {
                true => Ok(()),
                false => Err(Refusal::Entity(entity.clone())),
            }
        }
        _ => Ok(()),
    }
}

/// Any one of the roles or permissions suffices; where none is named, everybody meets it.
fn meets(need: &Standing, user: Option<&User>) -> bool {
    if need.is_nothing() {
        return true;
    }
    user.is_some_and(|user| {
        need.roles.iter().any(|role| user.roles.iter().any(|own| is_same_role(role, own)))
            || need.permissions.iter().any(|permission| user.permissions.contains(permission))
    })
}

/// Whether both name the same role: "ProcessBuilder" and "Process Builder" do.
fn is_same_role(one: &str, other: &str) -> bool {
    one.bytes().filter(|byte| *byte != b' ').eq(other.bytes().filter(|byte| *byte != b' '))
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn names(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn entity(kind: &str, id: &str) -> EntityRef {
        EntityRef { kind: kind.to_owned(), id: id.to_owned() }
    }

    fn rules() -> Permissions {
        Permissions {
            see: Standing::default(),
            manage: Standing { roles: names(&["ProcessBuilder"]), permissions: names(&["Org.webhooks"]) },
            entity_access: true,
            recheck: true,
        }
    }

    fn builder(granted: &[EntityRef]) -> User {
        let grants = Grants::Only(granted.iter().cloned().collect());
        User { id: "anna".to_owned(), roles: names(&["ProcessBuilder"]), permissions: Vec::new(), grants }
    }

    #[test]
    fn any_one_of_the_roles_or_permissions_suffices() {
        let rules = rules();
        assert_eq!(judge(&rules, Some(&builder(&[])), Action::Manage, None), Ok(()));
        let by_permission = User { permissions: names(&["Org.webhooks"]), ..User::unknown("ben") };
        assert_eq!(judge(&rules, Some(&by_permission), Action::Manage, None), Ok(()));
        let refusal = judge(&rules, Some(&User::unknown("eve")), Action::Manage, None).unwrap_err();
        assert_eq!(refusal.to_string(), "needs the role ProcessBuilder or the permission Org.webhooks");
        assert_eq!(judge(&rules, None, Action::Manage, None), Err(refusal));
        assert_eq!(judge(&rules, None, Action::See, None), Ok(()));
    }

    #[test]
    fn a_role_is_the_same_with_and_without_its_spaces() {
        for (role, result) in [("Process Builder", true), ("ProcessBuilder", true), ("processbuilder", false)] {
            let user = User { roles: names(&[role]), ..User::unknown("anna") };
            assert_eq!(judge(&rules(), Some(&user), Action::Manage, None).is_ok(), result, "{role}");
        }
    }

    #[test]
    fn a_role_is_no_permission() {
        let swapped =
            User { roles: names(&["Org.webhooks"]), permissions: names(&["ProcessBuilder"]), ..User::unknown("x") };
        assert!(judge(&rules(), Some(&swapped), Action::Manage, None).is_err());
    }

    #[test]
    fn a_grant_covers_the_entity_and_what_is_below_it() {
        let (rules, packet, company) = (rules(), entity("Packet", "17"), entity("Company", "c"));
        let judged =
            |user: &User, scope: &[EntityRef]| judge(&rules, Some(user), Action::Manage, Some((&packet, scope)));
        assert_eq!(judged(&builder(std::slice::from_ref(&packet)), &[]), Ok(()));
        let of_company = builder(std::slice::from_ref(&company));
        assert_eq!(judged(&of_company, std::slice::from_ref(&company)), Ok(()));
        let refusal = judged(&of_company, &[entity("Company", "d")]).unwrap_err();
        assert_eq!(refusal.to_string(), "needs access to Packet 17");
        // Another type with the same id is another entity.
        assert!(judged(&builder(&[entity("Company", "17")]), &[]).is_err());
        assert_eq!(judged(&User { grants: Grants::All, ..builder(&[]) }, &[]), Ok(()));
    }

    #[test]
    fn an_event_adds_to_what_is_known_and_contradicts_it_as_a_whole() {
        let refs = |text: &str| -> Vec<EntityRef> {
            text.split_whitespace().map(|word| entity(&word[..1], &word[1..])).collect()
        };
        for (known, told, expected) in [
            ("A1 B2", "A1 B2", None),
            ("A1 B2", "B2 A1 A1", None),
            // It says nothing of the others.
            ("A1 B2 C3", "A1", None),
            ("A1 B2", "A1 C3", Some("A1 B2 C3")),
            ("", "A1", Some("A1")),
            ("A1", "B2", Some("A1 B2")),
            // It moved: what it belonged to before counts no more.
            ("A1 B2 C3", "A9", Some("A9")),
            ("A1 B2", "A1 B3", Some("A1 B3")),
            ("A1 A2 B2", "A1", Some("A1")),
            ("A1 B2", "A1 A2", Some("A1 A2")),
        ] {
            assert_eq!(learnt(&refs(known), &refs(told)), expected.map(refs), "{told} after {known}");
        }
        let many: Vec<EntityRef> = (0..MAX_ANCESTORS).map(|number| entity(&format!("kind {number}"), "1")).collect();
        assert_eq!(learnt(&many, &refs("A1")), Some(refs("A1")), "what is known stays bounded");
    }

    #[test]
    fn a_uuid_is_granted_in_whatever_spelling() {
        let spelt = r#"[{"type":"Company","id":"{0A3F7D0E-2F7E-4D59-8F39-3C5A1B0F1E01}"}]"#;
        let user = User { grants: serde_json::from_str(spelt).unwrap(), ..builder(&[]) };
        let filter = Filter { kind: "Company".to_owned(), id: Some("0A3F7D0E2F7E4D598F393C5A1B0F1E01".to_owned()) };
        let named = named_entity(Some(&filter)).unwrap();
        assert_eq!(judge(&rules(), Some(&user), Action::Manage, Some((&named, &[]))), Ok(()));
    }

    #[test]
    fn who_only_looks_needs_no_grant() {
        let packet = entity("Packet", "17");
        assert_eq!(judge(&rules(), Some(&builder(&[])), Action::See, Some((&packet, &[]))), Ok(()));
    }

    #[test]
    fn grants_are_all_or_a_list() {
        let read = |text: &str| serde_json::from_str::<Grants>(text);
        assert_eq!(read("\"all\"").unwrap(), Grants::All);
        assert_eq!(read("[]").unwrap(), Grants::default());
        let some = read(r#"[{"type":"B","id":"2"},{"type":"A","id":"1"},{"type":"B","id":"2"}]"#).unwrap();
        assert_eq!(serde_json::to_string(&some).unwrap(), r#"[{"type":"A","id":"1"},{"type":"B","id":"2"}]"#);
        assert!(read("\"none\"").is_err() && read(r#"[{"type":"A"}]"#).is_err());
    }

    fn any_entity() -> impl Strategy<Value = EntityRef> {
        ("[AB]", "[123]").prop_map(|(kind, id)| EntityRef { kind, id })
    }

    fn any_standing() -> impl Strategy<Value = Standing> {
        (vec("[ab]", 0..3), vec("[ab]", 0..3)).prop_map(|(roles, permissions)| Standing { roles, permissions })
    }

    fn any_rules() -> impl Strategy<Value = Permissions> {
        (any_standing(), any_standing(), any::<bool>(), any::<bool>())
            .prop_map(|(see, manage, entity_access, recheck)| Permissions { see, manage, entity_access, recheck })
    }

    fn any_user() -> impl Strategy<Value = User> {
        (vec("[abc]", 0..3), vec("[abc]", 0..3), btree_set(any_entity(), 0..4)).prop_map(
            |(roles, permissions, granted)| User {
                id: "u".to_owned(),
                roles,
                permissions,
                grants: Grants::Only(granted),
            },
        )
    }

    proptest! {
        /// More roles, permissions or grants never take anything away.
        #[test]
        fn having_more_never_refuses(
            rules in any_rules(), user in any_user(), more in any_user(), named in any_entity(),
            scope in vec(any_entity(), 0..3), manage: bool,
        ) {
            let action = if manage { Action::Manage } else { Action::See };
            let mut richer = user.clone();
            richer.roles.extend(more.roles);
            richer.permissions.extend(more.permissions);
            if let (Grants::Only(own), Grants::Only(further)) = (&mut richer.grants, more.grants) {
                own.extend(further);
            }
            let judged = |user: &User| judge(&rules, Some(user), action, Some((&named, &scope))).is_ok();
            prop_assert!(!judged(&user) || judged(&richer));
            prop_assert!(judge(&rules, None, action, Some((&named, &scope))).is_err() || judged(&user));
        }

        #[test]
        fn an_unknown_user_is_one_with_nothing(rules in any_rules(), named in any_entity(), scope in vec(any_entity(), 0..3)) {
            let nobody = User::unknown("nobody");
            for action in [Action::See, Action::Manage] {
                let entity = Some((&named, scope.as_slice()));
                prop_assert_eq!(judge(&rules, None, action, entity), judge(&rules, Some(&nobody), action, entity));
            }
        }

        /// What the refusal asks for is what was lacking.
        #[test]
        fn what_is_asked_for_suffices(rules in any_rules(), user in any_user(), named in any_entity()) {
            let mut user = user;
            for _ in 0..2 {
                match judge(&rules, Some(&user), Action::Manage, Some((&named, &[]))) {
                    Ok(()) => break,
                    Err(Refusal::Standing(Standing { mut roles, mut permissions })) => match roles.pop() {
                        Some(role) => user.roles.push(role),
                        None => user.permissions.extend(permissions.pop()),
                    },
                    Err(Refusal::Entity(entity)) => user.grants = Grants::Only(BTreeSet::from([entity])),
                }
            }
            prop_assert_eq!(judge(&rules, Some(&user), Action::Manage, Some((&named, &[]))), Ok(()));
        }
    }
}
