//! What was first sent of a delivery, where its profile wants later attempts to be the same.

use fanfare_engine::profile::RetrySends;
use fanfare_engine::render::{FirstSent, RenderError};
use fanfare_engine::scheduler::Job;
use fanfare_store::{StoreResult, first_sent};

use super::dispatcher::Dispatcher;
use crate::compiled::CompiledWebhook;

/// `None` where the attempt is made as the webhook is set up now: on a first attempt, or where the profile says so. An
/// attempt is the first as long as no request is in the delivery's log.
pub(super) async fn load(
    dispatcher: &Dispatcher,
    job: &Job,
    webhook: &CompiledWebhook,
) -> StoreResult<Option<Result<FirstSent, RenderError>>> {
    let is_wanted = || webhook.sender().is_ok_and(|sender| sender.profile.retry.sends == RetrySends::AsFirstSent);
    if job.attempts == 0 || !is_wanted() {
        return Ok(None);
    }
    let request = dispatcher.tools.store.read_one(first_sent::first_request(job.delivery)).await?;
    Ok(request.map(|(request, verbatim)| FirstSent::from_log(request, verbatim)))
}
