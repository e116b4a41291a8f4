//! Records how an attempt of a leased delivery ended, unless the lease was lost.

use std::collections::BTreeSet;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::{Single, SkipReason, State};
use fanfare_engine::id::{DeliveryId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::Status;
use rusqlite::{Transaction, params};

use super::accept;
use super::kept::{Kept, Statement};
use super::rows;
use super::tally::{Ended, Tally};
use crate::error::StoreResult;
use crate::queue::{Finish, Finished, Lease, LoggedAttempt, LoggedBody, Next};

/// One that was delivered before stays so, whatever the end of its repetition.
pub(super) const END_LEASE: &str =
    "UPDATE deliveries SET state = CASE WHEN one_shot = 2 THEN 2 ELSE ?4 END, lease_node = 0,
         next_attempt_at = coalesce(?5, next_attempt_at), attempts = attempts + ?6, failures = failures + ?7,
         response_code = CASE WHEN ?6 THEN ?8 ELSE response_code END,
         skipped_reason = CASE WHEN one_shot = 2 THEN NULL ELSE ?9 END,
         completed_at = CASE WHEN one_shot = 2 THEN completed_at ELSE ?10 END,
         trigger = 0, one_shot = 0, claims = CASE WHEN ?6 THEN 0 ELSE claims END
     WHERE id = ?1 AND lease_node = ?2 AND epoch = ?3";

pub(super) const INSERT_ATTEMPT: &str =
    "INSERT INTO attempts (id, delivery_id, number, at, duration_ms, outcome, error, trigger, method, url, request_headers,
         body_head, body_tail, response_code, response_headers, response_body, truncated, note)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";

pub(super) fn finish(
    transaction: &Transaction<'_>,
    kept: &mut Kept<'_>,
    now: Timestamp,
    finish: &Finish,
    tally: &mut Tally,
) -> StoreResult<Finished> {
    let state = match finish.next {
        Next::Delivered => State::Delivered,
        Next::RetryAt(_) => State::Pending,
        Next::Exhausted => State::Exhausted,
        Next::Skipped(_) => State::Skipped,
    };
    if !end_lease(kept, now, finish, state)? {
        return Ok(Finished::Fenced);
    }
    let held = &finish.held;
    if let Some(attempt) = &finish.attempt {
        insert_attempt(&mut kept.insert_attempt, finish.lease.delivery, i64::from(held.attempts) + 1, attempt)?;
        let ended = Ended {
            at: attempt.at,
            duration_ms: attempt.duration_ms,
            outcome: attempt.outcome,
            response_code: attempt.response.as_ref().map(|response| response.status),
        };
        tally.attempt(held.project, held.organization, finish.webhook, ended);
    }
    if let Some(report) = &finish.report {
        accept::accept(transaction, kept, now, report, tally)?;
    }
    let waits_again = state == State::Pending && held.single != Single::StaysDelivered;
    let unblocked = match &held.ordering_key {
        Some(key) if !waits_again => unblock(transaction, now, finish.webhook, key)?,
        _ => false,
    };
    Ok(Finished::Recorded { unblocked })
}

/// Gives the row its new state if the lease still holds; answers whether it does.
fn end_lease(kept: &mut Kept<'_>, now: Timestamp, finish: &Finish, state: State) -> StoreResult<bool> {
    let Lease { delivery, node, claim } = finish.lease;
    let (due, reason) = match finish.next {
        Next::RetryAt(at) => (Some(at.0), None),
        Next::Skipped(reason) => (None, Some(reason as i64)),
        Next::Delivered | Next::Exhausted => (None, None),
    };
    let attempt = finish.attempt.as_ref();
    let failed = attempt.is_some_and(|attempt| attempt.outcome != Outcome::Success);
    let code = attempt.and_then(|attempt| attempt.response.as_ref()).map(|response| response.status);
    let completed_at = if state.is_final() { Some(now.0) } else { None };
    let ended = kept.end_lease.execute(params![
        delivery.0,
        node.0,
        claim,
        state as i64,
        due,
        attempt.is_some(),
        failed,
        code,
        reason,
        completed_at
    ])?;
    Ok(ended > 0)
}

/// Logs an attempt as its delivery's `number`th.
pub(super) fn insert_attempt(
    insert: &mut Statement<'_>,
    delivery: DeliveryId,
    number: i64,
    attempt: &LoggedAttempt,
) -> StoreResult<()> {
    let id = if number == 1 { delivery.0 } else { attempt.id };
    let request = attempt.request.as_ref();
    let (head, tail) = match request.map(|request| &request.body) {
        None => (None, None),
        Some(LoggedBody::Whole(body)) => (Some(&body[..]), None),
        Some(LoggedBody::AroundData { head, tail }) => (Some(&head[..]), Some(&tail[..])),
    };
    let response = attempt.response.as_ref();
    insert.execute(params![
        id,
        delivery.0,
        number,
        attempt.at.0,
        attempt.duration_ms,
        attempt.outcome as i64,
        attempt.error,
        attempt.trigger as i64,
        request.map(|request| request.method.as_str()),
        request.map(|request| &*request.url),
        request.map(|request| request.headers.lines()),
        head,
        tail,
        response.map(|response| response.status),
        response.map(|response| response.headers.lines()),
        response.map(|response| &response.body[..]),
        response.map(|response| response.truncated),
        attempt.note,
    ])?;
    Ok(())
}

/// Makes the next delivery of an ordering key due. Answers whether there is one.
pub(super) fn unblock(
    transaction: &Transaction<'_>,
    now: Timestamp,
    webhook: WebhookId,
    ordering_key: &str,
) -> StoreResult<bool> {
    let rows = rows::execute(
        transaction,
        "UPDATE deliveries SET next_attempt_at = ?3 WHERE next_attempt_at = ?4 AND id = (
             SELECT min(id) FROM deliveries INDEXED BY deliveries_ordered
             WHERE state < 2 AND ordering_key IS NOT NULL AND webhook_id = ?1 AND ordering_key = ?2)",
        (webhook.0, ordering_key, now.0, Timestamp::NEVER.0),
    )?;
    Ok(rows > 0)
}

/// Marks deliveries that wait for a webhook which gets nothing any more.
pub(super) fn skip_waiting(
    transaction: &Transaction<'_>,
    now: Timestamp,
    webhook: WebhookId,
    reason: SkipReason,
    limit: u32,
) -> StoreResult<u64> {
    // Who asks may have looked before the webhook was switched on; what came with that is to be sent. That of an organization
    // which was removed is as it was until it goes, too.
    let takes_events: Option<i64> = rows::first(
        transaction,
        "SELECT 1 FROM webhooks WHERE id = ?1 AND status IN (?2, ?3)
             AND organization_id NOT IN (SELECT organization_id FROM removed_organizations)",
        (webhook.0, Status::Active as i64, Status::Paused as i64),
        |row| row.get(0),
    )?;
    if takes_events.is_some() {
        return Ok(0);
    }
    let keys: Vec<Option<String>> = rows::all(
        transaction,
        "UPDATE deliveries SET state = CASE WHEN one_shot = 2 THEN 2 ELSE ?3 END,
             skipped_reason = CASE WHEN one_shot = 2 THEN NULL ELSE ?4 END,
             completed_at = CASE WHEN one_shot = 2 THEN completed_at ELSE ?5 END, one_shot = 0
         WHERE id IN (SELECT id FROM deliveries INDEXED BY deliveries_live
                      WHERE state < 2 AND lease_node = 0 AND webhook_id = ?1 LIMIT ?2)
         RETURNING ordering_key",
        (webhook.0, limit, State::Skipped as i64, reason as i64, now.0),
        |row| row.get(0),
    )?;
    // The rest of a key must not wait for what was skipped, in case the webhook is active again before its turn.
    for key in keys.iter().flatten().collect::<BTreeSet<_>>() {
        unblock(transaction, now, webhook, key)?;
    }
    Ok(keys.len() as u64)
}
