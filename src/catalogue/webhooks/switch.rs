//! Switching a webhook on and off, holding it and letting it go on.

use fanfare_engine::profile::{Profile, TestOn};
use fanfare_engine::webhook::Status;
use fanfare_store::catalogue::webhooks::WebhookRow;

use super::edit::write;
use super::{NAME, OpenWebhook, Place, handshake, managed, turn};
use crate::app::App;
use crate::catalogue::{CatalogueError, CatalogueResult, EDIT_TRIES};

/// What is to become of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It gets events again, with no history of failure.
    Enable,
    /// It gets no events; what waits for it is skipped.
    Disable,
    /// Its events wait.
    Pause,
    /// What waited is sent.
    Resume,
}

impl Switch {
    /// Sets the new status, where it follows from the present one.
    pub(super) fn turn(self, row: &mut WebhookRow, place: &Place) -> CatalogueResult<()> {
        const OFF: &str = "the webhook is switched off; enable it first";
        let by = place.user.as_ref().map_or_else(String::new, |user| format!(" by user {user}"));
        let (status, reason) = match (self, row.status) {
            (Switch::Enable, _) | (Switch::Resume, Status::Active | Status::Paused) => (Status::Active, None),
            (Switch::Disable, _) => (Status::Deactivated, Some(format!("Switched off{by}."))),
            (Switch::Pause, Status::Active | Status::Paused) => (Status::Paused, Some(format!("Paused{by}."))),
            (Switch::Pause | Switch::Resume, Status::Deactivated | Status::AutoDisabled) => {
                return Err(CatalogueError::State(OFF));
            }
        };
        if status != row.status {
            row.status = status;
            row.status_reason = reason;
        }
        Ok(())
    }
}

/// Switches a webhook. One that is so already stays as it is.
///
/// # Errors
/// It is unknown in this place, the user may not manage it, or it is to be paused or resumed while it is switched off.
pub async fn switch(app: &App, place: &Place, text: &str, switch: Switch) -> CatalogueResult<OpenWebhook> {
    let _turn = turn(app, place, text).await?;
    for _ in 0..EDIT_TRIES {
        let before = managed(app, place, text).await?;
        let mut after = before.clone();
        switch.turn(&mut after.row, place)?;
        if after == before {
            return Ok(before);
        }
        let profile = app.profiles.get(&before.row.profile).cloned().ok_or(CatalogueError::State(
            "the webhook's profile is not among this server's profiles any more; choose another one for it",
        ))?;
        handshake::ask(app, &profile, Some(&before), &after).await?;
        if let Some(done) = write(app, place, &profile, &before, after).await? {
            return Ok(done);
        }
    }
    Err(CatalogueError::Contended(NAME))
}

/// Whether switching on sends a test event.
pub(super) fn wants_test(profile: &Profile) -> bool {
    profile.activation.test_on == TestOn::SwitchOn
}
