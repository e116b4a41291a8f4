//! What the compiled catalogue is told of changes: only what is in memory, or on its way there, is noted.

use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_store::StoreResult;

use super::{Compiled, ExternalId, Fact, Holds};

impl Compiled {
    /// Has a webhook that changed read anew when its organization is next asked for.
    pub fn webhook_changed(&self, id: OrganizationId, webhook: WebhookId) {
        self.note(id, Some(webhook));
    }

    /// Has an organization read anew where the right to any of its webhooks rests on what changed. It does not block.
    pub fn fact_changed(&self, id: OrganizationId, fact: &Fact) {
        self.loads.changed(id, fact);
        if self.organizations.get(&id).is_some_and(|known| known.relies_on(fact)) {
            self.note(id, None);
        }
    }

    /// Has the organizations of a project read anew, which allows other profiles now.
    pub fn profiles_changed(&self, project: ProjectId) {
        self.loads.profiles_changed(project);
        for (id, organization) in &self.organizations {
            if organization.project == project {
                self.note(*id, None);
            }
        }
    }

    /// Forgets an organization that was removed, and what the host called it.
    pub fn organization_removed(&self, project: ProjectId, id: OrganizationId, external_id: Option<&str>) {
        self.note(id, None);
        if let Some(name) = external_id {
            self.external_id_changed(project, name);
        }
    }

    /// Forgets which organization of a project the host called so.
    pub fn external_id_changed(&self, project: ProjectId, name: &str) {
        self.generations.changed(project);
        self.external_ids.invalidate(&ExternalId(project, name));
    }

    /// Forgets what depends on a project that changed.
    pub fn project_changed(&self, project: ProjectId) {
        self.generations.changed(project);
        self.event_types.invalidate(&project);
        self.operators.invalidate(&project);
    }

    /// Reads anew what is held.
    pub async fn holds_changed(&self) -> StoreResult<()> {
        // One after the other, so that the last to read is the last to write.
        let _turn = self.reading_holds.lock().await;
        self.holds.set(Holds::new(self.source.holds().await?));
        Ok(())
    }

    /// Notes a change of an organization that is in memory or being loaded; whoever loads any other reads it as it is.
    fn note(&self, id: OrganizationId, webhook: Option<WebhookId>) {
        // In this order: what is not being loaded any more is there, or was displaced.
        if !self.loads.is_under_way(id) && !self.organizations.contains_key(&id) {
            return;
        }
        if !self.dirty.note(id, webhook) {
            self.let_go_of_what_changed();
            if !self.dirty.note(id, webhook) {
                self.let_go(id);
            }
        }
    }

    /// Drops everything of which a change is noted, so that there is room for notes; the others stay.
    fn let_go_of_what_changed(&self) {
        let (noted, latest) = self.dirty.all();
        for id in noted {
            self.let_go(id);
        }
        self.dirty.forget_all(latest);
    }

    /// Drops an organization. A load of it that is under way is used once and not kept.
    fn let_go(&self, id: OrganizationId) {
        self.loads.spoil(id);
        self.organizations.invalidate(&id);
    }
}
