//! The store's contract: one suite of cases that every backend passes unchanged.
//!
//! A backend gives an `async fn(Now) -> Opened<impl Backend>` that opens an empty store, and names it in
//! `conformance_suite!`, which makes a test of each case. The cases use nothing but [`Backend`]. Time is the rig's: it
//! stands still unless a case moves it.

pub(crate) mod access;
pub(crate) mod changes;
pub(crate) mod clock;
pub(crate) mod figures;
pub(crate) mod intake;
pub(crate) mod jobs;
pub(crate) mod keyed;
pub(crate) mod leases;
pub(crate) mod lists;
pub(crate) mod ordering;
pub(crate) mod pruning;
pub(crate) mod recording;
pub(crate) mod requests;
pub(crate) mod rescues;
mod rig;
pub(crate) mod searches;

use std::future::Future;

use crate::backend::Backend;

pub(crate) use rig::{Now, Opened, Rig};

/// Runs one case against a fresh store.
pub(crate) fn run<B: Backend, O: Future<Output = Opened<B>>>(
    open: impl FnOnce(Now) -> O,
    case: impl AsyncFnOnce(&Rig<B>),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let rig = Rig::over(open).await;
        case(&rig).await;
        rig.store.close();
    });
}

/// Makes a test of each case for the backend that `$open` opens.
macro_rules! conformance_suite {
    ($open:path) => {
        $crate::conformance::conformance_suite! { $open;
            intake: [
                what_is_accepted_can_be_found
                an_event_without_deliveries_is_kept
                the_hosts_id_stands_for_one_content
                the_hosts_id_belongs_to_its_organization
                case_053_an_idempotency_key_stands_for_one_request
                case_054_an_idempotency_key_belongs_to_its_scope
                case_054_an_idempotency_key_ends
                a_repeated_event_keeps_the_new_key
                case_052_the_same_event_fifty_times_at_once
                case_052_the_same_key_fifty_times_at_once
                a_failing_operation_leaves_the_others_alone
                an_event_for_many_webhooks_is_kept_whole
                no_event_overtakes_another_of_its_organization
            ]
            keyed: [
                a_change_takes_its_key_with_it
                what_is_refused_leaves_its_key_free
                what_finds_nothing_to_do_leaves_its_key_free
                a_key_ends_and_can_be_used_again
            ]
            leases: [
                a_new_delivery_may_be_leased_already
                a_retry_is_due_when_it_is_due
                the_earliest_due_comes_first
                a_claim_takes_no_more_than_was_asked
                a_claim_is_bounded_by_bytes
                a_claimed_event_is_whole
                case_058_nothing_is_leased_twice
                case_057_an_old_lease_is_fenced
                a_lease_of_the_same_node_is_fenced_too
                another_nodes_lease_is_fenced
                what_is_given_back_waits_again
                a_lease_given_back_is_void
                what_is_put_off_waits_until_then
            ]
            clock: [
                case_059_what_waits_follows_a_clock_that_was_set_back
                case_059_nothing_becomes_due_in_the_past
                case_059_what_waits_for_an_earlier_one_goes_on_waiting
            ]
            recording: [
                an_outcome_is_recorded
                attempts_are_numbered
                attempts_come_in_pieces
                a_whole_body_is_kept
                a_body_around_the_data_is_put_together
                headers_come_back_as_they_were
                an_attempt_without_request_and_response
                a_report_is_kept_with_the_outcome
                a_fenced_outcome_leaves_no_report
                attempts_are_counted
            ]
            ordering: [
                one_after_the_other_in_order
                keys_and_webhooks_do_not_hold_each_other_back
                a_retry_holds_the_others_back
                a_skipped_one_lets_the_next_go
                a_cancelled_one_lets_the_next_go
                poison_lets_the_next_go
                skipping_in_pieces_holds_nothing_back_for_ever
                what_is_given_back_stays_first
            ]
            requests: [
                a_waiting_one_is_sent_early
                one_that_is_being_sent_is_left_alone
                an_exhausted_one_gets_a_single_attempt
                case_078_a_delivered_one_stays_delivered
                a_delivered_one_stays_delivered_whatever_ends_its_repetition
                a_test_gets_a_single_attempt
                what_waits_can_be_cancelled
                waiting_ones_are_skipped_in_pieces
                case_079_an_event_is_delivered_late_once
                an_event_that_is_gone_is_not_delivered
            ]
            rescues: [
                case_055_what_a_dead_node_held_is_sent_again
                rescue_goes_in_pieces
                case_073_poison_is_set_aside
                case_073_what_only_waited_in_memory_is_no_poison
                a_delivered_one_stays_delivered_while_its_repetition_begins
                an_outcome_forgives_earlier_claims
                a_rescued_single_attempt_stays_single
                what_may_have_been_sent_is_counted
            ]
            jobs: [
                a_job_is_kept_as_it_was_made
                a_job_is_made_where_there_is_room
                case_079_a_piece_is_done_once
                a_job_that_ended_does_nothing
                a_piece_cancels_what_waits
                a_piece_passes_over_events_that_are_gone
                old_jobs_are_forgotten
                jobs_take_turns
                what_a_webhook_got_of_each_event
                what_was_removed_is_not_taken_for_missing
                deliveries_can_be_gone_through_upwards
            ]
            figures: [
                attempts_of_a_webhook_by_time
                the_last_attempt_of_a_webhook
                when_webhooks_were_last_sent_something
                what_happens_in_a_project
                a_repeated_event_is_counted_once
                attempts_by_kind_and_duration
            ]
            lists: [
                deliveries_by_what_they_belong_to
                deliveries_by_text
                deliveries_by_state
                deliveries_by_code
                deliveries_by_time
                deliveries_made_late_stand_where_they_were_made
                pages_follow_each_other
                a_page_looks_at_so_many_rows
                a_page_looks_at_so_many_events
                a_webhooks_view_ends_at_its_newest
                an_events_deliveries_by_webhook
                events_are_listed
                the_last_url_of_each
                who_waits
                the_backlog_is_counted
            ]
            pruning: [
                what_is_old_and_final_goes
                case_076_what_is_to_be_sent_stays
                pruning_by_age_goes_in_pieces
                organizations_with_events_are_found_by_the_oldest_of_each
                an_event_for_many_webhooks_goes_in_pieces
                notes_of_changes_go_and_versions_count_on
                other_organizations_and_newer_events_stay
                only_the_newest_are_kept
                an_event_goes_with_its_last_delivery
                events_that_nobody_wanted_go_by_their_number
                keys_outlive_their_events
                keys_go_in_pieces
                keys_of_events_that_are_old_enough_go_with_them
            ]
            access: [
                a_user_is_kept_and_replaced
                nothing_is_kept_of_an_organization_that_is_gone
                users_and_entities_go_with_their_organization
                owners_and_users_by_their_ids
                what_waits_for_a_webhook_that_takes_events_is_not_skipped
                what_waits_for_a_removed_organization_is_skipped
                an_event_teaches_what_its_entity_belongs_to
                what_an_event_leaves_out_stays_known
                what_was_said_last_holds
                a_refused_event_teaches_nothing
                news_of_what_is_watched_raises_the_version
                no_more_entities_are_learnt_than_may_be_known
                entities_are_found_together
            ]
            searches: [
                organizations_by_a_part_of_their_name
                a_search_for_organizations_looks_at_so_many
                webhooks_by_how_they_stand
                a_search_for_webhooks_looks_at_so_many
                bytes_of_webhooks_are_counted
                webhooks_of_a_removed_organization_are_nobodys
            ]
            changes: [
                a_change_raises_the_version
                a_taken_name_undoes_all
                a_stale_step_undoes_all
                a_report_is_kept_with_the_change
                a_failed_change_leaves_no_report
                changes_in_one_batch_see_each_other
                a_heartbeat_needs_a_node
            ]
        }
    };
    ($open:path; $($module:ident: [$($case:ident)*])*) => {
        $(mod $module {
            $(#[test]
            fn $case() {
                $crate::conformance::run($open, $crate::conformance::$module::$case);
            })*
        })*
    };
}
pub(crate) use conformance_suite;
