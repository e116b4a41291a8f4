//! What the log keeps of a receiver's response: no more than for each attempt, than the memory budget has room for, and than
//! its organization may add in a day.

use bytes::Bytes;
use fanfare_engine::attempt::Outcome;
use fanfare_engine::id::OrganizationId;
use fanfare_store::queue::LoggedResponse;

use super::dispatcher::Dispatcher;
use crate::memory_budget::{Permit, Use};

/// Most bytes of a response's headers in the log.
const MAX_HEAD: usize = 16 << 10;
/// Of a response that is not logged whole, so many bytes of its headers are; one that has no more altogether counts for nothing.
const SMALL: usize = 1 << 10;

/// Shortens a response to what the log keeps of it. The permit stands for its memory, until it is on disk.
pub(super) fn shorten(
    dispatcher: &Dispatcher,
    organization: OrganizationId,
    outcome: Outcome,
    response: &mut LoggedResponse,
) -> Option<Permit> {
    response.truncated |= response.headers.shorten(MAX_HEAD);
    let bytes = response.headers.lines().len() + response.body.len();
    if bytes <= SMALL {
        return None;
    }
    let tools = &dispatcher.tools;
    let mut permit = tools.memory.permit(Use::Logs, organization.0.unsigned_abs());
    let has_room = permit.grow(bytes).is_ok();
    if has_room && dispatcher.may_log(organization, outcome, bytes) {
        return Some(permit);
    }
    response.headers.shorten(SMALL);
    response.body = Bytes::new();
    response.truncated = true;
    tools.metrics.shortened();
    None
}
