//! Whose right to its webhooks is judged anew at each message, and on what the judgement rests.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fanfare_engine::access::{Action, Refusal, User, judge, named_entity};
use fanfare_engine::event::EntityRef;
use fanfare_engine::id::OrganizationId;
use fanfare_engine::profile::{Profile, Profiles};
use fanfare_engine::webhook::Webhook;
use fanfare_store::StoreResult;

use super::{Source, StoredWebhook};

/// Something that a judgement rests on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// What is known of a user.
    User(String),
    /// What an entity belongs to; its id is canonical.
    Entity(EntityRef),
}

/// What is known of the owners of an organization's webhooks, and of the entities that these name: where it matters.
#[derive(Debug, Default)]
pub struct Known {
    users: HashMap<String, User>,
    scopes: HashMap<EntityRef, Vec<EntityRef>>,
    facts: HashSet<Fact>,
}

/// Why nothing is sent to a webhook: its owner may not manage it any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub owner: String,
    pub refusal: Refusal,
}

impl std::fmt::Display for Revoked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "its owner {} {}", self.owner, self.refusal)
    }
}

impl Known {
    /// Reads what the judgements of these webhooks of an organization rest on; nothing where no profile asks for them.
    pub(super) async fn read(
        source: &dyn Source,
        organization: OrganizationId,
        webhooks: &[StoredWebhook],
        profiles: &Profiles,
    ) -> StoreResult<Known> {
        let mut facts = HashSet::new();
        for StoredWebhook { webhook, .. } in webhooks {
            let Some((profile, owner)) = rechecked(webhook, profiles) else { continue };
            facts.insert(Fact::User(owner.to_owned()));
            let entity = named_entity(webhook.settings.filter.as_ref());
            facts.extend(entity.filter(|_| profile.permissions.entity_access).map(Fact::Entity));
        }
        if facts.is_empty() {
            return Ok(Known::default());
        }
        let users = facts.iter().filter_map(|fact| match fact {
            Fact::User(user) => Some(user.clone()),
            Fact::Entity(_) => None,
        });
        let mut owners: Vec<String> = users.collect();
        let entities = facts.iter().filter_map(|fact| match fact {
            Fact::Entity(entity) => Some(entity.clone()),
            Fact::User(_) => None,
        });
        let mut entities: Vec<EntityRef> = entities.collect();
        owners.sort_unstable();
        entities.sort_unstable();
        let users = source.users(organization, owners).await?.into_iter().map(|user| (user.id.clone(), user)).collect();
        let scopes = source.scopes(organization, entities).await?;
        let scopes = scopes.into_iter().map(|known| (known.entity, known.scope)).collect();
        Ok(Known { users, scopes, facts })
    }

    /// Whether the owner of a webhook may still have it; always so where the profile does not ask again.
    pub(super) fn judge(&self, webhook: &Webhook, profiles: &Profiles) -> Result<(), Revoked> {
        let Some((profile, owner)) = rechecked(webhook, profiles) else { return Ok(()) };
        let entity = named_entity(webhook.settings.filter.as_ref());
        let scope = entity.as_ref().and_then(|entity| self.scopes.get(entity)).map_or(&[][..], Vec::as_slice);
        let entity = entity.as_ref().map(|entity| (entity, scope));
        judge(&profile.permissions, self.users.get(owner), Action::Manage, entity)
            .map_err(|refusal| Revoked { owner: owner.to_owned(), refusal })
    }

    /// The facts, of which a change makes the judgements void.
    pub(super) fn into_facts(self) -> HashSet<Fact> {
        self.facts
    }
}

/// The profile and the owner, where the owner is judged again at each message.
fn rechecked<'a>(webhook: &'a Webhook, profiles: &'a Profiles) -> Option<(&'a Profile, &'a str)> {
    let profile: &Arc<Profile> = profiles.get(&webhook.profile)?;
    let owner = webhook.owner.as_deref()?;
    profile.permissions.recheck.then_some((profile, owner))
}
